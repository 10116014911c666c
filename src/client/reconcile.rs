//! ◆ What the node was given against what it runs: which allocations to start, update, stop and forget.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{AllocId, Allocation, Index};

/// What is to be done, in this order: what stops makes room for what starts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steps {
    /// No server knows them any more: stop them if they run, and leave nothing of them.
    pub forget: Vec<AllocId>,
    /// The servers changed something of them; most often they want them gone.
    pub update: Vec<Arc<Allocation>>,
    /// New.
    pub start: Vec<Arc<Allocation>>,
    /// New, and not wanted any more: said to be over, so that their room is given to others.
    pub decline: Vec<Arc<Allocation>>,
}

/// What the node has of an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// When a server last changed what the node knows of it.
    pub index: Index,
    /// Whether nothing of it runs and its ports and addresses are free.
    pub ended: bool,
}

/// Compares. `running` holds every allocation the node has anything of.
///
/// `settled` are allocations the node is done with and has nothing of; what the servers last said of them may be
/// older than what they were told.
///
/// An allocation that replaces others of this node is not started before they have ended: it was given their
/// room. To be called again whenever one has.
pub fn reconcile(
    desired: &BTreeMap<AllocId, Arc<Allocation>>,
    running: &BTreeMap<AllocId, Known>,
    settled: &BTreeSet<AllocId>,
) -> Steps {
    let in_the_way = |id: &AllocId| {
        let lives = running.get(id).is_some_and(|known| !known.ended);
        lives && desired.get(id).is_none_or(|alloc| alloc.is_server_terminal())
    };
    let mut steps = Steps::default();
    for id in running.keys().filter(|id| !desired.contains_key(*id)) {
        steps.forget.push(id.clone());
    }
    for (id, alloc) in desired {
        match running.get(id) {
            Some(known) if alloc.alloc_modify_index > known.index => {
                steps.update.push(Arc::clone(alloc));
            }
            Some(_) => {}
            None if alloc.is_client_terminal() || settled.contains(id) => {}
            None if alloc.is_server_terminal() => steps.decline.push(Arc::clone(alloc)),
            None if in_the_way(&alloc.previous_allocation)
                || alloc.preempted_allocations.iter().any(in_the_way) => {}
            None => steps.start.push(Arc::clone(alloc)),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DesiredStatus;

    fn alloc(id: &str, index: Index, desired_status: DesiredStatus) -> (AllocId, Arc<Allocation>) {
        let alloc = Allocation {
            id: id.into(),
            alloc_modify_index: index,
            desired_status,
            ..Allocation::default()
        };
        (id.into(), Arc::new(alloc))
    }

    #[test]
    fn new_ones_start_changed_ones_are_told_and_unknown_ones_go() {
        let desired = BTreeMap::from([
            alloc("new", 5, DesiredStatus::Run),
            alloc("new-but-stopped", 5, DesiredStatus::Stop),
            alloc("same", 5, DesiredStatus::Run),
            alloc("stopped", 7, DesiredStatus::Stop),
        ]);
        let running =
            ["same", "stopped", "gone"].map(|id| (id.into(), Known { index: 5, ended: false }));
        let steps = reconcile(&desired, &BTreeMap::from(running), &BTreeSet::new());
        assert_eq!(steps.forget, ["gone".into()]);
        assert_eq!(steps.update, [Arc::clone(&desired["stopped"])]);
        assert_eq!(steps.start, [Arc::clone(&desired["new"])]);
        assert_eq!(steps.decline, [Arc::clone(&desired["new-but-stopped"])]);
    }

    #[test]
    fn an_old_answer_changes_nothing() {
        let desired = BTreeMap::from([alloc("a", 5, DesiredStatus::Run)]);
        let running = BTreeMap::from([("a".into(), Known { index: 9, ended: false })]);
        assert_eq!(reconcile(&desired, &running, &BTreeSet::new()), Steps::default());
    }

    #[test]
    fn a_replacement_waits_until_the_one_it_replaces_has_ended() {
        let (id, new) = alloc("new", 8, DesiredStatus::Run);
        let new = Allocation { previous_allocation: "old".into(), ..Allocation::clone(&new) };
        let old = alloc("old", 7, DesiredStatus::Stop);
        let desired = BTreeMap::from([(id.clone(), Arc::new(new.clone())), old]);
        let at = |ended| BTreeMap::from([("old".into(), Known { index: 7, ended })]);
        assert_eq!(reconcile(&desired, &at(false), &BTreeSet::new()), Steps::default());
        assert_eq!(reconcile(&desired, &at(true), &BTreeSet::new()).start, [Arc::new(new.clone())]);
        // A canary runs beside the one it may replace later.
        let beside = BTreeMap::from([(id, Arc::new(new)), alloc("old", 7, DesiredStatus::Run)]);
        assert_eq!(reconcile(&beside, &at(false), &BTreeSet::new()).start.len(), 1);
    }

    #[test]
    fn what_the_node_is_done_with_is_not_started_again_by_old_news() {
        let desired = BTreeMap::from([
            alloc("done", 5, DesiredStatus::Run),
            alloc("declined", 5, DesiredStatus::Stop),
        ]);
        let settled = BTreeSet::from(["done".into(), "declined".into()]);
        assert_eq!(reconcile(&desired, &BTreeMap::new(), &settled), Steps::default());
    }
}
