//! A job's status, derived from its allocations, deployments and evaluations.

use crate::model::{Job, JobKey, JobStatus, JobType};
use crate::state::tables::{State, parent_key};

use super::summary;
use super::transaction::Transaction;

/// Derives the status of a job again and writes it when it changed.
pub(super) fn refresh(tx: &mut Transaction<'_>, key: &JobKey) {
    refresh_when(tx, key, Remains::Known);
}

/// As [`refresh`], after evaluations or allocations were collected: that nothing is left does not mean that
/// nothing was there yet.
pub(super) fn refresh_after_collection(tx: &mut Transaction<'_>, key: &JobKey) {
    refresh_when(tx, key, Remains::Collected);
}

#[derive(Clone, Copy, PartialEq)]
enum Remains {
    Known,
    Collected,
}

fn refresh_when(tx: &mut Transaction<'_>, key: &JobKey, remains: Remains) {
    let Some(job) = tx.state.job(key).cloned() else { return };
    let status = derive(tx.state, &job, remains);
    if status == job.status {
        return;
    }
    if let Some(parent) = parent_key(&job) {
        summary::move_child(tx, &parent, job.status, status);
    }
    tx.put_job(Job { status, ..Job::clone(&job) });
}

fn derive(state: &State, job: &Job, remains: Remains) -> JobStatus {
    let key = job.key();
    if job.kind == JobType::System || job.is_parent() {
        return if job.stop { JobStatus::Dead } else { JobStatus::Running };
    }
    if state.allocs_by_job_non_terminal(&key).next().is_some()
        || state.deployments_by_job(&key).any(|deployment| deployment.is_active())
    {
        return JobStatus::Running;
    }
    if state.evals_by_job(&key).any(|eval| !eval.is_terminal()) {
        return JobStatus::Pending;
    }
    let is_fresh = remains == Remains::Known
        && state.evals_by_job(&key).next().is_none()
        && state.allocs_by_job(&key).next().is_none();
    if is_fresh { JobStatus::Pending } else { JobStatus::Dead }
}
