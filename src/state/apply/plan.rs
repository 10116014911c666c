//! Plans: checked again node by node against the state as it is now, and carried out as far as they hold.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::model::node::Eligibility;
use crate::model::usage::{Capacity, NodeUse};
use crate::model::{
    AllocId, Allocation, ClientStatus, DesiredStatus, JobKey, Node, NodeId, NodeStatus, Plan,
    PlanResult,
};
use crate::state::tables::State;

use super::transaction::Transaction;
use super::{deployment, evaluation, status, summary};

/// Carries out `plan` as far as it holds.
pub(super) fn apply(tx: &mut Transaction<'_>, plan: &Plan) -> Arc<PlanResult> {
    let mut result = judge(tx.state, plan);
    result.alloc_index = tx.index;
    if !result.is_full() {
        result.refresh_index = tx.index;
        if plan.all_at_once {
            result.node_update.clear();
            result.node_allocation.clear();
            result.node_preemptions.clear();
            result.deployment = None;
            result.deployment_updates.clear();
        }
        forget_unplaced_canaries(tx.state, &mut result);
    }
    let mut jobs = BTreeSet::new();
    if let Some(planned) = &result.deployment {
        deployment::put(tx, planned.clone());
        jobs.insert(planned.job_key());
    }
    for update in &result.deployment_updates {
        // A deployment that ended meanwhile stays as it ended.
        if let Ok(changed) = deployment::set_status(tx, update) {
            jobs.insert(changed.job_key());
        }
    }
    for stopped in result.node_update.values().chain(result.node_preemptions.values()).flatten() {
        jobs.extend(stop(tx, stopped));
    }
    for placed in result.node_allocation.values().flatten() {
        jobs.insert(place(tx, placed));
    }
    evaluation::touch(tx, &plan.eval_id);
    for key in jobs {
        status::refresh(tx, &key);
    }
    Arc::new(result)
}

/// The parts of a plan that hold, and why the others do not.
fn judge(state: &State, plan: &Plan) -> PlanResult {
    let mut result = PlanResult {
        deployment: plan.deployment.clone(),
        deployment_updates: plan.deployment_updates.clone(),
        ..PlanResult::default()
    };
    let nodes: BTreeSet<&NodeId> = plan
        .node_update
        .keys()
        .chain(plan.node_allocation.keys())
        .chain(plan.node_preemptions.keys())
        .collect();
    for id in nodes {
        let placed: Vec<Allocation> = plan
            .node_allocation
            .get(id)
            .into_iter()
            .flatten()
            .map(|alloc| linked(state, plan, alloc.clone()))
            .collect();
        if let Err(reason) = check(state, plan, id, &placed) {
            result.rejected_nodes.insert(id.clone(), reason);
            continue;
        }
        if let Some(stops) = plan.node_update.get(id) {
            result.node_update.insert(id.clone(), stops.clone());
        }
        if let Some(evicted) = plan.node_preemptions.get(id) {
            result.node_preemptions.insert(id.clone(), evicted.clone());
        }
        if !placed.is_empty() {
            result.node_allocation.insert(id.clone(), placed);
        }
    }
    result
}

/// The allocation with the job it runs: its own, the plan's, or the version it names.
fn linked(state: &State, plan: &Plan, mut alloc: Allocation) -> Allocation {
    if alloc.job.is_none() && alloc.job_version.is_none() {
        alloc.job = plan
            .job
            .clone()
            .or_else(|| state.alloc(&alloc.id).and_then(|existing| existing.job.clone()))
            .or_else(|| state.job(&alloc.job_key()).cloned());
    }
    // The state's own copy of that version is shared by all who run it.
    if let Some(job) = alloc.job.take() {
        alloc.job_version = Some(job.version);
        alloc.job_create_index = Some(job.create_index);
        let own = state.attach(alloc);
        return if own.job.is_some() { own } else { own.attached(job) };
    }
    state.attach(alloc)
}

/// Whether a node can take its part of a plan now.
fn check(state: &State, plan: &Plan, id: &NodeId, placed: &[Allocation]) -> Result<(), String> {
    if placed.is_empty() {
        // Nothing but stops always holds.
        return Ok(());
    }
    if let Some(alloc) = placed.iter().find(|alloc| alloc.job.is_none()) {
        return Err(format!("job `{}` was purged", alloc.job_id));
    }
    let Some(node) = state.node(id) else { return Err("node does not exist".to_owned()) };
    let only_unknown = || placed.iter().all(|alloc| alloc.client_status == ClientStatus::Unknown);
    match node.status {
        NodeStatus::Ready => {}
        NodeStatus::Disconnected if only_unknown() => return Ok(()),
        NodeStatus::Disconnected => {
            return Err("node is disconnected and contains invalid updates".to_owned());
        }
        NodeStatus::Down if only_unknown() => return Ok(()),
        NodeStatus::Down | NodeStatus::Initializing => {
            return Err("node is not ready for placements".to_owned());
        }
    }
    let lives_here = |alloc: &Allocation| {
        state.alloc(&alloc.id).is_some_and(|known| known.node_id == *id && !known.is_terminal())
    };
    if placed.iter().all(lives_here) {
        // In-place updates only: they may stay even where nothing new may come.
        return Ok(());
    }
    if node.scheduling_eligibility == Eligibility::Ineligible || node.drain_strategy.is_some() {
        return Err("node is not eligible".to_owned());
    }
    fits(state, plan, node, placed)
}

/// Looks at the kept sum of what is taken, not at all who take it. What the plan stops makes room for what it places.
fn fits(state: &State, plan: &Plan, node: &Node, placed: &[Allocation]) -> Result<(), String> {
    let mut usage = NodeUse::clone(&state.node_use(&node.id));
    let gone: BTreeSet<&AllocId> = [&plan.node_update, &plan.node_preemptions]
        .into_iter()
        .filter_map(|part| part.get(&node.id))
        .flatten()
        .chain(placed)
        .map(|alloc| &alloc.id)
        .collect();
    let known = gone.into_iter().filter_map(|id| state.alloc(id));
    known.filter(|alloc| alloc.node_id == node.id).for_each(|alloc| usage.remove(alloc));
    for alloc in placed {
        usage.add(alloc);
    }
    Capacity::of(node).holds(&usage).map_err(|shortage| {
        let holder = shortage.holder().and_then(|id| state.alloc(id));
        holder.map_or_else(
            || shortage.to_string(),
            |alloc| format!("{shortage} (held by job `{}`)", alloc.job_id),
        )
    })
}

/// Canaries that were not placed are not the deployment's.
fn forget_unplaced_canaries(state: &State, result: &mut PlanResult) {
    let Some(planned) = &mut result.deployment else { return };
    let placed: HashSet<&AllocId> =
        result.node_allocation.values().flatten().map(|alloc| &alloc.id).collect();
    for group in planned.task_groups.values_mut() {
        group.placed_canaries.retain(|id| placed.contains(id) || state.alloc(id).is_some());
    }
}

/// Takes over that an allocation should stop; of its client status only what the servers may say.
fn stop(tx: &mut Transaction<'_>, planned: &Allocation) -> Option<JobKey> {
    let existing = tx.state.alloc(&planned.id).cloned()?;
    let is_evicted = !planned.preempted_by_allocation.is_empty();
    let mut stopped = Allocation {
        desired_status: match planned.desired_status {
            DesiredStatus::Run if is_evicted => DesiredStatus::Evict,
            DesiredStatus::Run => existing.desired_status,
            DesiredStatus::Stop | DesiredStatus::Evict => planned.desired_status,
        },
        desired_description: planned.desired_description.clone(),
        ..Allocation::clone(&existing)
    };
    if is_evicted {
        stopped.preempted_by_allocation = planned.preempted_by_allocation.clone();
        if stopped.desired_description.is_empty() {
            stopped.desired_description =
                format!("Preempted by alloc ID {}", planned.preempted_by_allocation);
        }
    }
    if !planned.followup_eval_id.is_empty() {
        stopped.followup_eval_id = planned.followup_eval_id.clone();
    }
    take_server_status(&mut stopped, planned);
    Some(write(tx, stopped, planned, Some(&existing)))
}

/// Places an allocation, or changes it where it is.
fn place(tx: &mut Transaction<'_>, planned: &Allocation) -> JobKey {
    let existing = tx.state.alloc(&planned.id).cloned();
    let mut placed = planned.clone();
    if let Some(existing) = &existing {
        placed.create_time = existing.create_time;
        placed.client_status = existing.client_status;
        placed.client_description.clone_from(&existing.client_description);
        placed.task_states.clone_from(&existing.task_states);
        placed.network_status.clone_from(&existing.network_status);
        placed.alloc_states.clone_from(&existing.alloc_states);
        placed.desired_transition = existing.desired_transition.clone();
        placed.next_allocation = existing.next_allocation.clone();
        if placed.deployment_id == existing.deployment_id {
            placed.deployment_status.clone_from(&existing.deployment_status);
        }
        take_server_status(&mut placed, planned);
    }
    if existing.is_none() {
        link_previous(tx, planned);
    }
    write(tx, placed, planned, existing.as_deref())
}

/// That an allocation is lost or unknown the servers know better than its node.
fn take_server_status(alloc: &mut Allocation, planned: &Allocation) {
    match planned.client_status {
        ClientStatus::Lost | ClientStatus::Unknown => {
            alloc.client_status = planned.client_status;
            alloc.client_description.clone_from(&planned.client_description);
            if planned.alloc_states.len() > alloc.alloc_states.len() {
                alloc.alloc_states.clone_from(&planned.alloc_states);
            }
        }
        ClientStatus::Pending
        | ClientStatus::Running
        | ClientStatus::Complete
        | ClientStatus::Failed => {}
    }
}

fn link_previous(tx: &mut Transaction<'_>, planned: &Allocation) {
    if let Some(previous) = tx.state.alloc(&planned.previous_allocation).cloned() {
        tx.put_alloc(Allocation {
            next_allocation: planned.id.clone(),
            ..Allocation::clone(&previous)
        });
    }
}

fn write(
    tx: &mut Transaction<'_>,
    mut alloc: Allocation,
    planned: &Allocation,
    existing: Option<&Allocation>,
) -> JobKey {
    alloc.create_index = existing.map_or(tx.index, |existing| existing.create_index);
    alloc.alloc_modify_index = tx.index;
    alloc.modify_time = if planned.modify_time.is_never() { tx.time } else { planned.modify_time };
    if alloc.create_time.is_never() {
        alloc.create_time = alloc.modify_time;
    }
    summary::count_alloc(tx, &alloc, existing);
    deployment::count_alloc(tx, &alloc, existing);
    let key = alloc.job_key();
    tx.put_alloc(alloc);
    key
}
