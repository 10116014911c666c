//! ◆ What holds for any plan. Tests ask it about every plan they see.

use std::collections::{BTreeMap, BTreeSet};

use super::input::Input;
use super::outcome::Outcome;
use crate::model::usage::Capacity;
use crate::model::{AllocId, Allocation, ClientStatus};

/// What is wrong with `outcome` as an answer to `input`; nothing if all is well.
pub fn problems(input: &Input<'_>, outcome: &Outcome) -> Vec<String> {
    let mut problems = Vec::new();
    nodes_hold_what_they_get(input, outcome, &mut problems);
    ids_are_unique(input, outcome, &mut problems);
    groups_are_not_exceeded(input, outcome, &mut problems);
    follow_ups_exist(outcome, &mut problems);
    if !outcome.failed.is_empty() && outcome.blocked.is_none() {
        problems.push("something could not be placed and nothing waits for room".to_owned());
    }
    for (group, queued) in &outcome.queued {
        if (*queued > 0) != outcome.failed.contains_key(group) {
            problems.push(format!("group `{group}` queues {queued} but does not say why"));
        }
    }
    problems
}

fn placed(outcome: &Outcome) -> impl Iterator<Item = &Allocation> {
    outcome.plan.node_allocation.values().flatten()
}

fn stopped(outcome: &Outcome) -> impl Iterator<Item = &Allocation> {
    let plan = &outcome.plan;
    plan.node_update.values().chain(plan.node_preemptions.values()).flatten()
}

fn is_new(input: &Input<'_>, id: &AllocId) -> bool {
    input.allocs.iter().all(|alloc| alloc.id != *id)
}

fn nodes_hold_what_they_get(input: &Input<'_>, outcome: &Outcome, problems: &mut Vec<String>) {
    for (id, allocs) in &outcome.plan.node_allocation {
        let Some(node) = input.lookup.node(id) else {
            problems.push(format!("node {id} does not exist"));
            continue;
        };
        let fresh = |alloc: &&Allocation| is_new(input, &alloc.id);
        if allocs.iter().any(|alloc| fresh(&alloc)) && input.nodes.place(id).is_none() {
            problems.push(format!("node {id} is not ready for this job"));
        }
        let mut usage = (*input.lookup.usage(id)).clone();
        let here = |alloc: &&Allocation| alloc.node_id == *id;
        let before = |wanted: &AllocId| input.lookup.alloc(wanted);
        for gone in stopped(outcome).filter(here).chain(allocs) {
            if let Some(known) = before(&gone.id) {
                usage.remove(&known);
            }
        }
        for alloc in allocs {
            usage.add(alloc);
        }
        if allocs.iter().any(|alloc| fresh(&alloc))
            && let Err(shortage) = Capacity::of(&node).holds(&usage)
        {
            problems.push(format!("node {id} lacks {shortage}"));
        }
        for alloc in allocs.iter().filter(|alloc| alloc.node_id != *id) {
            problems.push(format!("alloc {} is filed under node {id}", alloc.id));
        }
    }
}

fn ids_are_unique(input: &Input<'_>, outcome: &Outcome, problems: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for alloc in placed(outcome).chain(stopped(outcome)) {
        if !seen.insert(&alloc.id) {
            problems.push(format!("alloc {} is in the plan twice", alloc.id));
        }
        if alloc.job.is_some() || alloc.job_version.is_none() {
            problems.push(format!("alloc {} does not name its job by version", alloc.id));
        }
    }
    for alloc in stopped(outcome).filter(|alloc| is_new(input, &alloc.id)) {
        let preempted = outcome.plan.node_preemptions.values().flatten().any(|a| a.id == alloc.id);
        if !preempted {
            problems.push(format!("alloc {} is stopped and is none of this job", alloc.id));
        }
    }
}

/// No group has more allocations afterwards than it wants, canaries and replacements for unknown ones aside.
fn groups_are_not_exceeded(input: &Input<'_>, outcome: &Outcome, problems: &mut Vec<String>) {
    let Some(job) = input.job.as_ref().filter(|job| !job.is_stopped()) else {
        if placed(outcome).any(|alloc| is_new(input, &alloc.id)) {
            problems.push("something is placed for a job that is stopped".to_owned());
        }
        return;
    };
    let gone: BTreeSet<&AllocId> = stopped(outcome).map(|alloc| &alloc.id).collect();
    // Those whose node is not heard of may have a replacement beside them.
    let unknown: BTreeSet<&AllocId> = placed(outcome)
        .filter(|alloc| alloc.client_status == ClientStatus::Unknown)
        .map(|alloc| &alloc.id)
        .collect();
    for group in &job.task_groups {
        let of_group = |alloc: &&Allocation| alloc.task_group == group.name;
        let is_canary = |alloc: &Allocation| {
            alloc.deployment_status.as_ref().is_some_and(|status| status.canary)
        };
        let stay = input.allocs.iter().map(|alloc| &**alloc).filter(of_group).filter(|alloc| {
            !alloc.is_terminal()
                && !gone.contains(&alloc.id)
                && !is_canary(alloc)
                && !unknown.contains(&alloc.id)
                && alloc.client_status != ClientStatus::Unknown
        });
        let fresh: Vec<&Allocation> = placed(outcome)
            .filter(of_group)
            .filter(|alloc| is_new(input, &alloc.id) && !is_canary(alloc))
            .collect();
        let mut per_node: BTreeMap<_, i64> = BTreeMap::new();
        let stay: Vec<&Allocation> = stay.collect();
        for alloc in stay.iter().chain(&fresh) {
            *per_node.entry(&alloc.node_id).or_default() += 1;
        }
        let per_job = i64::try_from(stay.len() + fresh.len()).unwrap_or(i64::MAX);
        let most = group.count;
        let is_system =
            matches!(job.kind, crate::model::JobType::System | crate::model::JobType::Sysbatch);
        if is_system && !fresh.is_empty() && per_node.values().any(|count| *count > 1) {
            problems.push(format!("group `{}` is twice on a node", group.name));
        }
        if !is_system
            && !fresh.is_empty()
            && per_job > most
            && input.eval.status != crate::model::EvalStatus::Blocked
        {
            problems.push(format!("group `{}` has {per_job} of {most}", group.name));
        }
    }
}

fn follow_ups_exist(outcome: &Outcome, problems: &mut Vec<String>) {
    let known: BTreeSet<_> = outcome.follow_ups.iter().map(|eval| &eval.id).collect();
    for alloc in placed(outcome).filter(|alloc| !alloc.followup_eval_id.is_empty()) {
        if !known.contains(&alloc.followup_eval_id)
            && outcome.plan.eval_id != alloc.followup_eval_id
        {
            problems.push(format!("alloc {} waits for an evaluation that is not made", alloc.id));
        }
    }
}
