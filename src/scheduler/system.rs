//! ◆ System and sysbatch jobs: one allocation of each group on every node that may run it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::generic::Draft;
use super::input::Input;
use super::outcome::Outcome;
use super::placer::Placer;
use super::reconcile::{Set, Stop, by_node, ran_successfully, reason};
use super::updated;
use crate::model::job::JobType;
use crate::model::plan::{DesiredUpdates, PlanAnnotations};
use crate::model::{Allocation, ClientStatus, EvalId, Job, NodeId, TaskGroup, Timestamp};

/// Decides about a system or sysbatch job.
pub fn schedule(input: &Input<'_>, seed: u64, now: Timestamp) -> Outcome {
    let placer = Placer::new(input, seed);
    let mut system = System {
        is_sysbatch: input.kind() == JobType::Sysbatch,
        draft: Draft::new(input, placer, now),
        desired: BTreeMap::new(),
    };
    system.decide();
    let System { mut draft, desired, .. } = system;
    draft.outcome.plan.annotations =
        Some(PlanAnnotations { desired_tg_updates: desired, preempted_allocs: Vec::new() });
    draft.finish()
}

struct System<'a> {
    draft: Draft<'a>,
    is_sysbatch: bool,
    desired: BTreeMap<String, DesiredUpdates>,
}

impl System<'_> {
    fn decide(&mut self) {
        let input = self.draft.input;
        let job = input.job.clone().filter(|job| !job.is_stopped());
        let groups: Vec<TaskGroup> = job.iter().flat_map(|job| job.task_groups.clone()).collect();
        for group in &groups {
            self.desired.insert(group.name.clone(), DesiredUpdates::default());
            self.draft.outcome.queued.insert(group.name.clone(), 0);
        }
        let named = |alloc: &&Arc<Allocation>| groups.iter().any(|g| g.name == alloc.task_group);
        let (known, orphans): (Set, Set) =
            input.allocs.iter().cloned().partition(|alloc| named(&alloc));
        self.stop_all(orphans);
        let Some(job) = job else { return };
        for group in &groups {
            let of_group: Set =
                known.iter().filter(|a| a.task_group == group.name).cloned().collect();
            self.group(&job, group, &of_group);
        }
    }

    fn group(&mut self, job: &Arc<Job>, group: &TaskGroup, allocs: &Set) {
        let input = self.draft.input;
        let wanted = group.count != 0;
        let sorted = by_node(allocs.clone(), input.lookup, self.draft.now);
        for alloc in sorted.migrate {
            self.stop(alloc, reason::MIGRATING, None);
        }
        for alloc in sorted.lost {
            self.stop(alloc, reason::LOST, Some(ClientStatus::Lost));
        }
        let mut settled: BTreeSet<NodeId> = BTreeSet::new();
        let mut outdated = Set::new();
        let rest =
            sorted.untainted.into_iter().chain(sorted.reconnecting).chain(sorted.disconnecting);
        for alloc in rest.filter(|alloc| !alloc.is_server_terminal()) {
            if !wanted {
                if !alloc.is_terminal() {
                    self.stop(alloc, reason::NOT_NEEDED, None);
                }
                continue;
            }
            match self.standing(job, group, &alloc) {
                Standing::Done => drop(settled.insert(alloc.node_id.clone())),
                Standing::Over => {}
                Standing::Misplaced => {
                    self.stop(alloc, reason::TAINTED, None);
                }
                Standing::Duplicate if settled.contains(&alloc.node_id) => {
                    self.stop(alloc, reason::NOT_NEEDED, None);
                }
                Standing::Current | Standing::Duplicate => {
                    settled.insert(alloc.node_id.clone());
                    self.count(&group.name, |d| d.ignore += 1);
                }
                Standing::InPlace(update) => {
                    settled.insert(alloc.node_id.clone());
                    self.count(&group.name, |d| d.in_place_update += 1);
                    self.draft.update(*update);
                }
                Standing::Outdated => {
                    settled.insert(alloc.node_id.clone());
                    outdated.push(alloc);
                }
            }
        }
        if wanted {
            self.replace(job, group, outdated, allocs);
            self.fill(job, group, &settled, allocs);
        }
    }

    /// What one allocation is to the version of the job that is wanted.
    fn standing(&mut self, job: &Arc<Job>, group: &TaskGroup, alloc: &Arc<Allocation>) -> Standing {
        let input = self.draft.input;
        let same =
            alloc.job.as_ref().is_none_or(|old| old.job_modify_index == job.job_modify_index);
        if alloc.is_client_terminal() {
            // A done sysbatch allocation is done until the job changes; a system one is placed again.
            let done = self.is_sysbatch && (same || !must_replace(job, group, alloc));
            let done =
                done && (ran_successfully(alloc) || alloc.client_status == ClientStatus::Failed);
            return if done { Standing::Done } else { Standing::Over };
        }
        let here = input.nodes.place(&alloc.node_id);
        let Some(node) = input.lookup.node(&alloc.node_id) else { return Standing::Over };
        if here.is_none() {
            // Not eligible is no reason to stop, nor to update; another pool or data centre is.
            let belongs = super::input::may_host(&node, job);
            return if belongs { Standing::Current } else { Standing::Misplaced };
        }
        if same {
            return Standing::Duplicate;
        }
        if must_replace(job, group, alloc) {
            return Standing::Outdated;
        }
        match self.draft.placer.keep(job, group, alloc) {
            None => Standing::Outdated,
            Some(kept) => Standing::InPlace(Box::new(Allocation {
                eval_id: input.eval.id.clone(),
                job: None,
                job_version: Some(job.version),
                job_create_index: Some(job.create_index),
                allocated_resources: kept.resources,
                metrics: kept.metrics,
                modify_time: self.draft.now,
                ..Allocation::clone(alloc)
            })),
        }
    }

    /// Replaces what is outdated, as many at once as `max_parallel` says. Those not started yet count as being changed.
    fn replace(&mut self, job: &Arc<Job>, group: &TaskGroup, outdated: Set, all: &Set) {
        let parallel = group.update.as_ref().map_or(0, |update| update.max_parallel);
        let mut budget = match usize::try_from(parallel) {
            Ok(0) | Err(_) => outdated.len(),
            Ok(parallel) => {
                let starting = |a: &&Arc<Allocation>| {
                    a.version() == job.version
                        && !a.is_terminal()
                        && a.client_status == ClientStatus::Pending
                };
                parallel.saturating_sub(all.iter().filter(starting).count())
            }
        };
        for alloc in outdated {
            if budget == 0 {
                self.count(&group.name, |d| d.ignore += 1);
                continue;
            }
            budget -= 1;
            self.count(&group.name, |d| d.destructive_update += 1);
            self.draft.placer.leave(&alloc);
            let placed = self.place(job, group, &alloc.node_id.clone(), Some(&alloc));
            if !placed {
                self.draft.placer.stay(&alloc);
                continue;
            }
            let follow_up = EvalId::default();
            self.draft.stop(&Stop {
                alloc,
                client_status: None,
                reason: reason::UPDATING,
                follow_up,
            });
        }
    }

    /// Places the group on every node that has none of it.
    fn fill(&mut self, job: &Arc<Job>, group: &TaskGroup, settled: &BTreeSet<NodeId>, all: &Set) {
        let input = self.draft.input;
        let count = u32::try_from(input.nodes.len()).unwrap_or(u32::MAX);
        for at in 0..count {
            let id = input.nodes.node(at).id.clone();
            if settled.contains(&id) {
                continue;
            }
            let previous = all.iter().filter(|a| a.node_id == id).max_by_key(|a| a.create_index);
            let previous = previous.filter(|a| a.is_client_terminal()).cloned();
            if self.place(job, group, &id, previous.as_ref()) {
                self.count(&group.name, |d| d.place += 1);
            }
        }
    }

    fn place(
        &mut self,
        job: &Arc<Job>,
        group: &TaskGroup,
        node: &NodeId,
        previous: Option<&Arc<Allocation>>,
    ) -> bool {
        let Some(at) = self.draft.input.nodes.place(node) else { return false };
        match self.draft.placer.place_on(job, group, at) {
            Ok(placed) => {
                let name = format!("{}.{}[0]", job.id, group.name);
                let mut alloc = self.draft.allocation(job, &group.name, name, placed);
                if let Some(previous) = previous {
                    alloc.previous_allocation = previous.id.clone();
                }
                self.draft.update(alloc);
                true
            }
            Err(metrics) => {
                // A node that may not run the group is none of its nodes; one without room is a failure.
                if metrics.nodes_exhausted > 0 {
                    self.exhausted(&group.name, *metrics);
                } else if let Some(failed) = self.draft.outcome.failed.get_mut(&group.name) {
                    failed.nodes_evaluated += 1;
                    failed.nodes_filtered += 1;
                }
                false
            }
        }
    }

    fn exhausted(&mut self, group: &str, metrics: crate::model::AllocMetric) {
        let Some(known) = self.draft.outcome.failed.get_mut(group) else {
            self.draft.fail(group, metrics);
            return;
        };
        known.nodes_evaluated += metrics.nodes_evaluated;
        known.nodes_exhausted += metrics.nodes_exhausted;
        known.coalesced_failures += 1;
        for (dimension, count) in metrics.dimension_exhausted {
            *known.dimension_exhausted.entry(dimension).or_default() += count;
        }
        for (class, count) in metrics.class_exhausted {
            *known.class_exhausted.entry(class).or_default() += count;
        }
        *self.draft.outcome.queued.entry(group.to_owned()).or_default() += 1;
    }

    fn stop_all(&mut self, allocs: Set) {
        let sorted = by_node(allocs, self.draft.input.lookup, self.draft.now);
        let alive = [sorted.untainted, sorted.migrate, sorted.reconnecting, sorted.disconnecting];
        for alloc in alive.into_iter().flatten().filter(|alloc| !alloc.is_terminal()) {
            self.stop(alloc, reason::NOT_NEEDED, None);
        }
        for alloc in sorted.lost {
            self.stop(alloc, reason::LOST, Some(ClientStatus::Lost));
        }
    }

    fn stop(&mut self, alloc: Arc<Allocation>, reason: &'static str, status: Option<ClientStatus>) {
        self.count(&alloc.task_group.clone(), |d| d.stop += 1);
        self.draft.placer.leave(&alloc);
        let follow_up = EvalId::default();
        self.draft.stop(&Stop { alloc, client_status: status, reason, follow_up });
    }

    fn count(&mut self, group: &str, change: impl FnOnce(&mut DesiredUpdates)) {
        change(self.desired.entry(group.to_owned()).or_default());
    }
}

fn must_replace(job: &Job, group: &TaskGroup, alloc: &Allocation) -> bool {
    alloc.job.as_ref().is_some_and(|old| updated::must_replace(old, job, &group.name))
}

enum Standing {
    /// Ended, and that is how it should be.
    Done,
    /// Ended, and another should take its place.
    Over,
    /// On a node the job may not be on.
    Misplaced,
    /// As it should be, on a node nothing may be placed on.
    Current,
    /// As it should be, unless there is another.
    Duplicate,
    /// Changes where it is.
    InPlace(Box<Allocation>),
    /// Must be replaced.
    Outdated,
}
