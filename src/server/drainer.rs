//! ◆ What leaves a node that is drained, and when.
//!
//! ```text
//! drained node ──▶ service groups: as many at once as `migrate.max_parallel` allows, the next when
//!    │             replacements are healthy
//!    │        ──▶ batch: may finish
//!    │        ──▶ system: last, when nothing else is left; never if they are ignored
//!    ├──deadline──▶ all that is left at once
//!    └──nothing left──▶ complete: the node stays ineligible
//! ```
//!
//! Level-triggered: [`look`] says what the present state needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::job::JobType;
use crate::model::{AllocId, Allocation, JobKey, Node, NodeId, Timestamp};

/// What the drainer looks at.
pub trait View {
    /// The node's allocations that are not ended.
    fn on_node(&self, id: &NodeId) -> Vec<Arc<Allocation>>;
    /// A job's allocations that are not ended.
    fn of_job(&self, key: &JobKey) -> Vec<Arc<Allocation>>;
    /// How many a group of a job should have; none when there is no such group any more.
    fn count(&self, key: &JobKey, group: &str) -> Option<i64>;
}

/// What a drain needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Allocations that move now.
    pub migrate: BTreeSet<AllocId>,
    /// Nodes whose drain is done.
    pub complete: BTreeSet<NodeId>,
}

/// What the drained among `nodes` need now.
pub fn look(nodes: &[Arc<Node>], view: &dyn View, now: Timestamp) -> Step {
    let mut step = Step::default();
    let mut groups: BTreeMap<(JobKey, String), Vec<Arc<Allocation>>> = BTreeMap::new();
    for node in nodes.iter().filter(|node| node.drain_strategy.is_some()) {
        let rest = Rest::of(node, view, now);
        if rest.is_done() {
            step.complete.insert(node.id.clone());
            continue;
        }
        step.migrate.extend(rest.at_once.iter().map(|alloc| alloc.id.clone()));
        for alloc in rest.in_turn {
            groups.entry((alloc.job_key(), alloc.task_group.clone())).or_default().push(alloc);
        }
    }
    for ((key, group), draining) in groups {
        step.migrate.extend(in_turn(&key, &group, &draining, view));
    }
    step
}

/// When to look again though nothing changes.
pub fn deadline(nodes: &[Arc<Node>], now: Timestamp) -> Option<Timestamp> {
    let ends = nodes.iter().filter_map(|node| force_deadline(node));
    ends.filter(|end| *end > now).min()
}

fn force_deadline(node: &Node) -> Option<Timestamp> {
    let strategy = node.drain_strategy.as_ref()?;
    match strategy.deadline.0 {
        ..0 => Some(Timestamp::NEVER),
        0 => None,
        1.. => Some(strategy.force_deadline),
    }
}

/// What is left on a node.
#[derive(Default)]
struct Rest {
    at_once: Vec<Arc<Allocation>>,
    in_turn: Vec<Arc<Allocation>>,
    /// Batch and system allocations that may go on, and such that are leaving already.
    others: usize,
}

impl Rest {
    fn of(node: &Node, view: &dyn View, now: Timestamp) -> Self {
        let mut rest = Self::default();
        let ignores_system =
            node.drain_strategy.as_ref().is_some_and(|strategy| strategy.ignore_system_jobs);
        let force = force_deadline(node).is_some_and(|at| at <= now);
        let mut system = Vec::new();
        for alloc in view.on_node(&node.id) {
            let kind = alloc.job.as_ref().map_or(JobType::Service, |job| job.kind);
            let is_system = matches!(kind, JobType::System | JobType::Sysbatch);
            if is_system && ignores_system {
                continue;
            }
            if alloc.is_server_terminal() || alloc.desired_transition.should_migrate() {
                rest.others += 1;
            } else if is_system {
                system.push(alloc);
            } else if force {
                rest.at_once.push(alloc);
            } else if kind == JobType::Batch {
                rest.others += 1;
            } else {
                rest.in_turn.push(alloc);
            }
        }
        let only_system = rest.others == 0 && rest.in_turn.is_empty() && rest.at_once.is_empty();
        if only_system || force {
            rest.at_once.extend(system);
        } else {
            rest.others += system.len();
        }
        rest
    }

    fn is_done(&self) -> bool {
        self.others == 0 && self.at_once.is_empty() && self.in_turn.is_empty()
    }
}

/// Those of a group that may move now, so that enough healthy ones stay.
fn in_turn(
    key: &JobKey,
    group: &str,
    draining: &[Arc<Allocation>],
    view: &dyn View,
) -> Vec<AllocId> {
    let Some(count) = view.count(key, group) else { return Vec::new() };
    let parallel = draining
        .first()
        .and_then(|alloc| alloc.group()?.migrate.as_ref())
        .map_or(1, |migrate| migrate.max_parallel.max(1));
    let all = view.of_job(key);
    let stays = |alloc: &&Arc<Allocation>| {
        alloc.task_group == group
            && !alloc.is_terminal()
            && !alloc.desired_transition.should_migrate()
            && is_healthy(alloc)
    };
    let healthy = i64::try_from(all.iter().filter(stays).count()).unwrap_or(i64::MAX);
    let may_go = usize::try_from(healthy - (count - parallel)).unwrap_or(0);
    // One that is not healthy serves nobody and need not wait for its turn.
    let (well, ill): (Vec<_>, Vec<_>) = draining.iter().partition(|alloc| is_healthy(alloc));
    well.into_iter().take(may_go).chain(ill).map(|alloc| alloc.id.clone()).collect()
}

/// Whether it can be counted on: healthy in its deployment or migration, or running where nobody watches its health.
fn is_healthy(alloc: &Allocation) -> bool {
    match alloc.deployment_status.as_ref().and_then(|status| status.healthy) {
        Some(healthy) => healthy,
        None => {
            alloc.client_status == crate::model::ClientStatus::Running
                && alloc.deployment_id.is_empty()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::DrainStrategy;
    use crate::model::policy::MigrateStrategy;
    use crate::model::{ClientStatus, Job, Nanos, TaskGroup};

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    struct Fake(Vec<Arc<Allocation>>);

    impl View for Fake {
        fn on_node(&self, id: &NodeId) -> Vec<Arc<Allocation>> {
            self.0.iter().filter(|alloc| alloc.node_id == *id).cloned().collect()
        }

        fn of_job(&self, key: &JobKey) -> Vec<Arc<Allocation>> {
            self.0.iter().filter(|alloc| alloc.job_key() == *key).cloned().collect()
        }

        fn count(&self, _: &JobKey, _: &str) -> Option<i64> {
            Some(3)
        }
    }

    fn alloc(id: &str, node: &str, kind: JobType) -> Arc<Allocation> {
        let migrate = Some(MigrateStrategy { max_parallel: 1, ..MigrateStrategy::default() });
        let group = TaskGroup { name: "app".into(), migrate, ..TaskGroup::default() };
        let job =
            Job { id: kind.as_str().into(), kind, task_groups: vec![group], ..Job::default() };
        Arc::new(Allocation {
            id: id.into(),
            node_id: node.into(),
            job_id: job.id.clone(),
            task_group: "app".into(),
            client_status: ClientStatus::Running,
            job: Some(Arc::new(job)),
            ..Allocation::default()
        })
    }

    fn node(deadline: i64) -> Arc<Node> {
        let drain_strategy = Some(DrainStrategy {
            deadline: Nanos(deadline),
            force_deadline: NOW.plus(Nanos(deadline)),
            ..DrainStrategy::default()
        });
        Arc::new(Node { id: "n".into(), drain_strategy, ..Node::default() })
    }

    #[test]
    fn services_leave_one_after_another_and_system_jobs_last() {
        let all = vec![
            alloc("a", "n", JobType::Service),
            alloc("b", "n", JobType::Service),
            alloc("c", "m", JobType::Service),
            alloc("s", "n", JobType::System),
        ];
        let step = look(&[node(60)], &Fake(all.clone()), NOW);
        assert_eq!(step.migrate.len(), 1);
        let left = vec![Arc::clone(&all[3])];
        let step = look(&[node(60)], &Fake(left), NOW);
        assert_eq!(step.migrate.into_iter().collect::<Vec<_>>(), ["s".into()]);
    }

    #[test]
    fn the_next_waits_for_the_replacement_of_the_first() {
        let mut leaving = Allocation::clone(&alloc("a", "n", JobType::Service));
        leaving.desired_transition.migrate = Some(true);
        let rest = [alloc("b", "n", JobType::Service), alloc("c", "m", JobType::Service)];
        let mut all = vec![Arc::new(leaving)];
        all.extend(rest);
        assert_eq!(look(&[node(60)], &Fake(all.clone()), NOW), Step::default());
        all.push(alloc("d", "m", JobType::Service));
        assert_eq!(look(&[node(60)], &Fake(all), NOW).migrate.len(), 1);
    }

    #[test]
    fn batch_may_finish_until_the_deadline() {
        let all = vec![alloc("a", "n", JobType::Batch)];
        assert_eq!(look(&[node(60)], &Fake(all.clone()), NOW), Step::default());
        let end = deadline(&[node(60)], NOW).unwrap();
        assert_eq!(look(&[node(60)], &Fake(all.clone()), end).migrate.len(), 1);
        assert_eq!(look(&[node(-1)], &Fake(all), NOW).migrate.len(), 1);
    }

    #[test]
    fn an_empty_node_is_done() {
        let step = look(&[node(60)], &Fake(Vec::new()), NOW);
        assert_eq!(step.complete.into_iter().collect::<Vec<_>>(), ["n".into()]);
    }
}
