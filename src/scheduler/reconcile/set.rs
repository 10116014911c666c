//! ◆ A group's allocations, sorted by what happened to them and their nodes.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::input::Lookup;
use super::super::reschedule;
use crate::model::allocation::{ClientStatus, DesiredStatus};
use crate::model::{
    AllocId, Allocation, Deployment, EvalId, Nanos, NodeStatus, TaskState, Timestamp,
};

/// Allocations, by name and age.
pub type Set = Vec<Arc<Allocation>>;

/// A failed allocation that is due within this time is replaced now.
const DUE_NOW: Nanos = Nanos::from_secs(1);

/// Allocations by what became of their node.
#[derive(Debug, Default)]
pub struct ByNode {
    /// Nothing.
    pub untainted: Set,
    /// They are to move.
    pub migrate: Set,
    /// Their node is down or gone, or they were unknown for too long.
    pub lost: Set,
    /// Their node is not heard of, and they may wait for it.
    pub disconnecting: Set,
    /// Their node is heard of again.
    pub reconnecting: Set,
    /// Nothing is to be done with them.
    pub ignore: Set,
}

/// Removes from `set` all that are in one of `others`.
pub(super) fn without(set: &mut Set, others: &[&[Arc<Allocation>]]) {
    let gone: HashSet<&AllocId> =
        others.iter().flat_map(|other| other.iter()).map(|alloc| &alloc.id).collect();
    set.retain(|alloc| !gone.contains(&alloc.id));
}

/// Sorts by what became of the node.
pub fn by_node(set: Set, lookup: &dyn Lookup, now: Timestamp) -> ByNode {
    let mut sorted = ByNode::default();
    for alloc in set {
        let place = match fate(&alloc, lookup, now) {
            Fate::Untainted => &mut sorted.untainted,
            Fate::Migrate => &mut sorted.migrate,
            Fate::Lost => &mut sorted.lost,
            Fate::Disconnecting => &mut sorted.disconnecting,
            Fate::Reconnecting => &mut sorted.reconnecting,
            Fate::Ignore => &mut sorted.ignore,
        };
        place.push(alloc);
    }
    sorted
}

enum Fate {
    Untainted,
    Migrate,
    Lost,
    Disconnecting,
    Reconnecting,
    Ignore,
}

fn fate(alloc: &Allocation, lookup: &dyn Lookup, now: Timestamp) -> Fate {
    let waits = lost_after(alloc).is_some();
    let back = waits && needs_reconnect(alloc);
    let runs = alloc.desired_status == DesiredStatus::Run;
    if back && alloc.client_status == ClientStatus::Failed {
        return if runs { Fate::Reconnecting } else { Fate::Ignore };
    }
    let node = lookup.node(&alloc.node_id).map(|node| node.status);
    if waits && !alloc.is_terminal() {
        match (node, alloc.client_status) {
            (Some(NodeStatus::Disconnected), ClientStatus::Running) => return Fate::Disconnecting,
            (Some(NodeStatus::Disconnected), ClientStatus::Pending) => return Fate::Lost,
            (Some(NodeStatus::Ready), _) if back => {
                return if is_expired(alloc, now) { Fate::Lost } else { Fate::Reconnecting };
            }
            _ => {}
        }
    }
    if alloc.is_terminal() {
        return Fate::Untainted;
    }
    if alloc.desired_transition.should_migrate() {
        return Fate::Migrate;
    }
    if waits && is_expired(alloc, now) {
        return Fate::Lost;
    }
    if waits && runs && alloc.client_status == ClientStatus::Unknown {
        // One that has a replacement meanwhile does not count; one that has none does.
        return if is_replaced_meanwhile(alloc) { Fate::Ignore } else { Fate::Untainted };
    }
    match node {
        None | Some(NodeStatus::Down) => Fate::Lost,
        Some(NodeStatus::Disconnected) => Fate::Lost,
        Some(NodeStatus::Ready | NodeStatus::Initializing) => Fate::Untainted,
    }
}

/// How long the group waits for a node that is not heard of.
pub(super) fn lost_after(alloc: &Allocation) -> Option<Nanos> {
    let after = alloc.group()?.disconnect.as_ref()?.lost_after;
    (after.0 > 0).then_some(after)
}

/// Whether the group wants a replacement while its node is not heard of.
pub(super) fn is_replaced_meanwhile(alloc: &Allocation) -> bool {
    let disconnect = alloc.group().and_then(|group| group.disconnect.as_ref());
    disconnect.is_none_or(|disconnect| disconnect.replace.unwrap_or(true))
}

/// Whether it was unknown, and is known again since or about to be.
fn needs_reconnect(alloc: &Allocation) -> bool {
    alloc
        .alloc_states
        .iter()
        .rfind(|change| is_client_status(&change.field))
        .is_some_and(|c| c.value == "unknown")
        && alloc.client_status != ClientStatus::Unknown
}

fn is_client_status(field: &str) -> bool {
    field.eq_ignore_ascii_case("clientstatus") || field == "client_status"
}

fn is_expired(alloc: &Allocation, now: Timestamp) -> bool {
    let Some(after) = lost_after(alloc) else { return false };
    let since =
        alloc.alloc_states.iter().rfind(|c| is_client_status(&c.field) && c.value == "unknown");
    alloc.client_status == ClientStatus::Unknown
        && since.is_some_and(|change| now >= change.time.plus(after))
}

/// Allocations by whether they failed and are replaced.
#[derive(Debug, Default)]
pub(super) struct ByFailure {
    /// Stay as they are.
    pub(super) untainted: Set,
    /// Are replaced now.
    pub(super) now: Set,
    /// Are replaced at a time.
    pub(super) later: Vec<(Arc<Allocation>, Timestamp)>,
}

/// Sorts untainted allocations by whether they failed and are replaced.
pub(super) fn by_failure(
    set: Set,
    is_batch: bool,
    now: Timestamp,
    eval: &EvalId,
    deployment: Option<&Deployment>,
) -> ByFailure {
    let mut sorted = ByFailure::default();
    for alloc in set {
        if !alloc.next_allocation.is_empty() && alloc.is_terminal() {
            continue;
        }
        match standing(&alloc, is_batch) {
            Standing::Stays => sorted.untainted.push(alloc),
            Standing::Gone => {}
            Standing::Failed => match verdict(&alloc, now, eval, deployment) {
                Verdict::Now => sorted.now.push(alloc),
                Verdict::Later(at) => {
                    sorted.later.push((Arc::clone(&alloc), at));
                    sorted.untainted.push(alloc);
                }
                Verdict::Never => sorted.untainted.push(alloc),
            },
        }
    }
    sorted
}

enum Standing {
    Stays,
    Gone,
    Failed,
}

fn standing(alloc: &Allocation, is_batch: bool) -> Standing {
    match (is_batch, alloc.is_server_terminal(), alloc.client_status) {
        (true, true, _) if ran_successfully(alloc) => Standing::Stays,
        (_, true, _) => Standing::Gone,
        (_, false, ClientStatus::Failed) => Standing::Failed,
        (true, false, _) => Standing::Stays,
        (false, false, ClientStatus::Complete | ClientStatus::Lost) => Standing::Gone,
        (false, false, ClientStatus::Pending | ClientStatus::Running | ClientStatus::Unknown) => {
            Standing::Stays
        }
    }
}

/// Whether all tasks ended well.
pub fn ran_successfully(alloc: &Allocation) -> bool {
    alloc.client_status == ClientStatus::Complete
        || (!alloc.task_states.is_empty()
            && alloc.task_states.values().all(TaskState::is_successful))
}

enum Verdict {
    Now,
    Later(Timestamp),
    Never,
}

fn verdict(
    alloc: &Allocation,
    now: Timestamp,
    eval: &EvalId,
    deployment: Option<&Deployment>,
) -> Verdict {
    let in_deployment = deployment.is_some_and(|d| d.is_active() && d.id == alloc.deployment_id);
    if in_deployment && !alloc.desired_transition.should_reschedule() {
        return Verdict::Never;
    }
    if alloc.desired_transition.should_force_reschedule() {
        return Verdict::Now;
    }
    match reschedule::due(alloc) {
        None => Verdict::Never,
        Some(at) if alloc.followup_eval_id == *eval || at.since(now) <= DUE_NOW => Verdict::Now,
        Some(at) if alloc.followup_eval_id.is_empty() => Verdict::Later(at),
        Some(_) => Verdict::Never,
    }
}
