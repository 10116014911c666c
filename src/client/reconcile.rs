//! ◆ What the node was given against what it runs: which allocations to start, update, stop and forget.

use std::collections::BTreeMap;
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
}

/// Compares. `running` holds every allocation the node has anything of, with the index at which a server last
/// changed what it knows of it.
pub fn reconcile(
    desired: &BTreeMap<AllocId, Arc<Allocation>>,
    running: &BTreeMap<AllocId, Index>,
) -> Steps {
    let mut steps = Steps::default();
    for id in running.keys().filter(|id| !desired.contains_key(*id)) {
        steps.forget.push(id.clone());
    }
    for (id, alloc) in desired {
        match running.get(id) {
            Some(known) if alloc.alloc_modify_index > *known => {
                steps.update.push(Arc::clone(alloc))
            }
            Some(_) => {}
            // An allocation that ended before the node ever saw it needs nothing.
            None if alloc.is_terminal() => {}
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
            BTreeMap::from([("same".into(), 5), ("stopped".into(), 5), ("gone".into(), 5)]);
        let steps = reconcile(&desired, &running);
        assert_eq!(steps.forget, ["gone".into()]);
        assert_eq!(steps.update, [Arc::clone(&desired["stopped"])]);
        assert_eq!(steps.start, [Arc::clone(&desired["new"])]);
    }

    #[test]
    fn an_old_answer_changes_nothing() {
        let desired = BTreeMap::from([alloc("a", 5, DesiredStatus::Run)]);
        let running = BTreeMap::from([("a".into(), 9)]);
        assert_eq!(reconcile(&desired, &running), Steps::default());
    }
}
