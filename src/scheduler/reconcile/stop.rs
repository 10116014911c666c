//! ◆ Which allocations of a group end because they are too many or too old.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::names::Names;
use super::set::{Set, by_node, without};
use super::{Reconciler, reason};
use crate::model::{AllocId, Allocation, ClientStatus, TaskGroup};

/// What [`Reconciler::surplus`] looks at.
pub(super) struct Surplus<'s> {
    pub(super) untainted: &'s mut Set,
    pub(super) migrate: &'s mut Set,
    pub(super) lost: &'s Set,
    pub(super) canaries: &'s Set,
    pub(super) is_canarying: bool,
}

impl Reconciler<'_, '_> {
    /// Stops canaries that no deployment waits for any more. Returns those that count.
    pub(super) fn stale_canaries(&mut self, group: &TaskGroup, all: &mut Set) -> Set {
        let mut stale: HashSet<AllocId> = HashSet::new();
        let old = self.old_deployment.as_ref().and_then(|d| d.task_groups.get(&group.name));
        let failed = self.deployment.as_ref().filter(|_| self.failed);
        let failed = failed.and_then(|d| d.task_groups.get(&group.name));
        for state in old.into_iter().chain(failed).filter(|state| !state.promoted) {
            stale.extend(state.placed_canaries.iter().cloned());
        }
        let (stop, keep): (Set, Set) =
            std::mem::take(all).into_iter().partition(|alloc| stale.contains(&alloc.id));
        *all = keep;
        for alloc in stop.into_iter().filter(|alloc| !alloc.is_terminal()) {
            self.count(&group.name, |d| d.stop += 1);
            self.stop(alloc, reason::NOT_NEEDED);
        }
        let current = self.deployment.as_ref().and_then(|d| d.task_groups.get(&group.name));
        let placed: HashSet<AllocId> = current
            .map(|state| state.placed_canaries.iter().cloned().collect())
            .unwrap_or_default();
        if placed.is_empty() {
            return Set::new();
        }
        let canaries = all.iter().filter(|alloc| placed.contains(&alloc.id)).cloned().collect();
        let sorted = by_node(canaries, self.input.lookup, self.now);
        without(all, &[&sorted.migrate, &sorted.lost]);
        for alloc in sorted.migrate {
            self.count(&group.name, |d| d.stop += 1);
            self.stop(alloc, reason::MIGRATING);
        }
        for alloc in sorted.lost {
            self.count(&group.name, |d| d.stop += 1);
            self.stop_lost(alloc);
        }
        sorted.untainted
    }

    /// Stops what is lost, and what is more than the count: old ones whose name a promoted canary has, moving ones,
    /// then the highest names.
    pub(super) fn surplus(&mut self, group: &TaskGroup, names: &mut Names, what: Surplus<'_>) {
        let Surplus { untainted, migrate, lost, canaries, is_canarying } = what;
        for alloc in lost {
            self.count(&group.name, |d| d.stop += 1);
            self.stop_lost(Arc::clone(alloc));
        }
        let mut stoppable: Set = untainted.clone();
        if is_canarying {
            without(&mut stoppable, &[canaries]);
        }
        let have = stoppable.len() + migrate.len();
        let wanted = usize::try_from(group.count).unwrap_or(0);
        let mut remove = have.saturating_sub(wanted);
        if remove == 0 {
            return;
        }
        // Those that ended already are not stopped again, but they do count as too many.
        stoppable.retain(|alloc| {
            !alloc.is_server_terminal()
                && !matches!(alloc.client_status, ClientStatus::Complete | ClientStatus::Lost)
        });
        let mut gone = Set::new();
        if !is_canarying && !canaries.is_empty() {
            let taken: BTreeSet<_> = canaries.iter().map(|alloc| alloc.name.clone()).collect();
            let is_canary: HashSet<&AllocId> = canaries.iter().map(|alloc| &alloc.id).collect();
            let shares_name =
                |a: &Arc<Allocation>| !is_canary.contains(&a.id) && taken.contains(&a.name);
            take(&mut stoppable, &mut gone, &mut remove, shares_name);
        }
        let moving = Names::taken_by("", "", 0, migrate.iter().map(|a| &**a)).highest(remove);
        let mut moved = Set::new();
        take(migrate, &mut moved, &mut remove, |a| a.index().is_some_and(|i| moving.contains(&i)));
        for alloc in gone.iter().chain(&moved) {
            names.release(alloc);
        }
        let highest = names.highest(remove);
        take(&mut stoppable, &mut gone, &mut remove, |a| {
            a.index().is_some_and(|i| highest.contains(&i))
        });
        take(&mut stoppable, &mut gone, &mut remove, |_| true);
        without(untainted, &[&gone]);
        for alloc in gone.into_iter().chain(moved) {
            names.release(&alloc);
            self.count(&group.name, |d| d.stop += 1);
            self.stop(alloc, reason::NOT_NEEDED);
        }
    }
}

/// Moves at most `budget` of those that match from one set to the other.
fn take(
    from: &mut Set,
    to: &mut Set,
    budget: &mut usize,
    matches: impl Fn(&Arc<Allocation>) -> bool,
) {
    let mut kept = Set::with_capacity(from.len());
    for alloc in from.drain(..) {
        if *budget > 0 && matches(&alloc) {
            *budget -= 1;
            to.push(alloc);
        } else {
            kept.push(alloc);
        }
    }
    *from = kept;
}
