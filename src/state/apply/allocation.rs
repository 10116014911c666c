//! Allocations: what their nodes say of them, and what is to be done with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::allocation::{AllocDeploymentStatus, DesiredTransition};
use crate::model::{AllocId, Allocation, JobKey, Node, NodeId};

use super::transaction::Transaction;
use super::{deployment, status, summary};

/// Takes over what nodes say, but only what a node may say: statuses, task states, addresses and health.
pub(super) fn update_from_client(tx: &mut Transaction<'_>, allocs: &[Allocation]) {
    let mut jobs = BTreeSet::new();
    let mut nodes = BTreeSet::new();
    for told in allocs {
        // It may have been collected meanwhile.
        let Some(existing) = tx.state.alloc(&told.id).cloned() else { continue };
        let updated = merge(tx, &existing, told);
        summary::count_alloc(tx, &updated, Some(&existing));
        deployment::count_alloc(tx, &updated, Some(&existing));
        jobs.insert(existing.job_key());
        nodes.insert(existing.node_id.clone());
        tx.put_alloc(updated);
    }
    for key in jobs {
        status::refresh(tx, &key);
    }
    for id in nodes {
        note_heard(tx, &id);
    }
}

/// Notes that a node has told of its allocations since it was last missed. Once is enough: a node's row is
/// long, and its allocations change often.
fn note_heard(tx: &mut Transaction<'_>, id: &NodeId) {
    let Some(node) = tx.state.node(id).cloned() else { return };
    if node.last_alloc_update_index <= node.last_missed_heartbeat_index {
        tx.put_node(Node { last_alloc_update_index: tx.index, ..Node::clone(&node) });
    }
}

fn merge(tx: &Transaction<'_>, existing: &Allocation, told: &Allocation) -> Allocation {
    let mut updated = Allocation {
        client_status: told.client_status,
        client_description: told.client_description.clone(),
        task_states: told.task_states.clone(),
        modify_time: if told.modify_time.is_never() { tx.time } else { told.modify_time },
        ..existing.clone()
    };
    if told.network_status.is_some() {
        updated.network_status.clone_from(&told.network_status);
    }
    if !told.alloc_states.is_empty() {
        updated.alloc_states.clone_from(&told.alloc_states);
    }
    if let Some(health) = &told.deployment_status
        && health.healthy.is_some()
    {
        let known = updated.deployment_status.get_or_insert_default();
        if known.healthy != health.healthy {
            *known = AllocDeploymentStatus {
                healthy: health.healthy,
                timestamp: if health.timestamp.is_never() { tx.time } else { health.timestamp },
                canary: known.canary,
                modify_index: tx.index,
            };
        }
    }
    updated
}

/// Adds to what is to be done with allocations. What is not mentioned stays.
pub(super) fn set_transitions(
    tx: &mut Transaction<'_>,
    transitions: &BTreeMap<AllocId, DesiredTransition>,
) {
    for (id, transition) in transitions {
        if let Some(existing) = tx.state.alloc(id).cloned() {
            set_transition(tx, &existing, transition);
        }
    }
}

/// Makes all that runs of a job stop without waiting.
pub(super) fn skip_shutdown_delay(tx: &mut Transaction<'_>, key: &JobKey) {
    let live: Vec<Arc<Allocation>> = tx.state.allocs_by_job_non_terminal(key).cloned().collect();
    let at_once =
        DesiredTransition { no_shutdown_delay: Some(true), ..DesiredTransition::default() };
    for alloc in live {
        set_transition(tx, &alloc, &at_once);
    }
}

fn set_transition(tx: &mut Transaction<'_>, existing: &Allocation, wanted: &DesiredTransition) {
    let known = &existing.desired_transition;
    let desired_transition = DesiredTransition {
        migrate: wanted.migrate.or(known.migrate),
        reschedule: wanted.reschedule.or(known.reschedule),
        force_reschedule: wanted.force_reschedule.or(known.force_reschedule),
        no_shutdown_delay: wanted.no_shutdown_delay.or(known.no_shutdown_delay),
        migrate_disable_placement: wanted
            .migrate_disable_placement
            .or(known.migrate_disable_placement),
    };
    tx.put_alloc(Allocation {
        desired_transition,
        alloc_modify_index: tx.index,
        modify_time: tx.time,
        ..existing.clone()
    });
}
