//! Garbage: rows that the leader found to be of no more use. It looked at an older snapshot, so each is
//! looked at again.

use std::collections::BTreeSet;

use crate::model::{AllocId, DeploymentId, EvalId, JobKey, JobStatus, NodeId};

use super::transaction::Transaction;
use super::{job, status, version};

/// Forgets allocations that have ended.
pub(super) fn allocs(tx: &mut Transaction<'_>, ids: &[AllocId]) {
    let mut jobs = BTreeSet::new();
    for id in ids {
        let has_ended = tx.state.alloc(id).is_some_and(|alloc| alloc.is_terminal());
        if has_ended && let Some(alloc) = tx.remove_alloc(id) {
            jobs.insert(alloc.job_key());
        }
    }
    for key in jobs {
        // Versions that only they ran.
        version::prune(tx, &key);
        status::refresh_after_collection(tx, &key);
    }
}

/// Forgets evaluations, also such that were never worked on: an operator may ask for that.
pub(super) fn evals(tx: &mut Transaction<'_>, ids: &[EvalId]) {
    let mut jobs = BTreeSet::new();
    for id in ids {
        if let Some(eval) = tx.remove_eval(id) {
            jobs.insert(eval.job_key());
        }
    }
    for key in jobs {
        status::refresh_after_collection(tx, &key);
    }
}

/// Forgets deployments that have ended, jobs that are still dead, and nodes that still have nothing to run.
pub(super) fn others(
    tx: &mut Transaction<'_>,
    finished: &[DeploymentId],
    dead: &[JobKey],
    away: &[NodeId],
) {
    deployments(tx, finished);
    jobs(tx, dead);
    nodes(tx, away);
}

fn deployments(tx: &mut Transaction<'_>, ids: &[DeploymentId]) {
    for id in ids {
        if tx.state.deployment(id).is_some_and(|deployment| !deployment.is_active()) {
            tx.remove_deployment(id);
        }
    }
}

fn jobs(tx: &mut Transaction<'_>, keys: &[JobKey]) {
    for key in keys {
        if tx.state.job(key).is_some_and(|job| job.status == JobStatus::Dead) {
            job::remove(tx, key);
        }
    }
}

fn nodes(tx: &mut Transaction<'_>, ids: &[NodeId]) {
    for id in ids {
        let is_idle = tx.state.allocs_by_node_non_terminal(id).next().is_none();
        let is_away = tx.state.node(id).is_some_and(|node| !node.is_ready());
        if is_idle && is_away {
            tx.remove_node(id);
        }
    }
}
