//! ◆ What is known of a group while its allocations are placed, made once per evaluation.

use std::collections::HashMap;
use std::sync::Arc;

use super::Wish;
use crate::model::job::JobType;
use crate::model::{Affinity, AllocMetric, Allocation, Job, Node, NodeId, Resources, TaskGroup};
use crate::scheduler::assign::Ask;
use crate::scheduler::constraint::{Compiled, DISTINCT_HOSTS};
use crate::scheduler::distinct::{DistinctProperty, wants_distinct_hosts};
use crate::scheduler::feasible::Requirements;
use crate::scheduler::input::{Config, Lookup, NodeSet};
use crate::scheduler::rank::{self, Score};
use crate::scheduler::spread::Spreads;

/// Nodes that are looked at when spread or affinity make it matter.
const WIDE_LIMIT: usize = 100;

/// How many allocations of each group of the job.
pub(super) type Counts = Vec<(String, i64)>;

/// What is known of a group, made once per evaluation.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) version: u64,
    count: i64,
    pub(super) requirements: Requirements,
    pub(super) ask: Ask,
    affinities: Vec<Affinity>,
    spreads: Spreads,
    distinct: Vec<DistinctProperty>,
    hosts: DistinctHosts,
    pub(super) limit: usize,
    asks: Vec<(String, Resources)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DistinctHosts {
    No,
    PerGroup,
    PerJob,
}

/// What groups are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) lookup: &'a dyn Lookup,
    pub(super) config: &'a Config,
    pub(super) nodes: &'a NodeSet,
    pub(super) allocs: &'a [Arc<Allocation>],
    pub(super) kind: JobType,
}

impl Group {
    /// What is known of `group` in `job`. `moved` is what the plan did so far, by node: it is not in the snapshot.
    pub(super) fn new(
        source: Source<'_>,
        job: &Job,
        group: &TaskGroup,
        moved: &HashMap<NodeId, (Arc<Node>, Counts)>,
    ) -> Self {
        let Source { lookup, config, nodes, allocs, kind } = source;
        let affinities = rank::affinities(job, group);
        let mut spreads = Spreads::of(job, group, allocs, lookup);
        let per_job = DistinctProperty::among(&job.constraints, None, allocs, lookup);
        let name = Some(group.name.as_str());
        let per_group = DistinctProperty::among(&group.constraints, name, allocs, lookup);
        let mut distinct: Vec<_> = per_job.chain(per_group).collect();
        for (node, counts) in moved.values() {
            for (name, by) in counts {
                spreads.change(name, node, *by);
                for property in &mut distinct {
                    property.change(name, node, *by);
                }
            }
        }
        let hosts = if wants_distinct_hosts(&job.constraints) {
            DistinctHosts::PerJob
        } else if wants_distinct_hosts(&group.constraints) {
            DistinctHosts::PerGroup
        } else {
            DistinctHosts::No
        };
        let wide = !affinities.is_empty() || !spreads.is_empty();
        Self {
            name: group.name.clone(),
            version: job.version,
            count: group.count,
            requirements: Requirements::of(job, group, nodes),
            ask: Ask::of(group, config.memory_oversubscription_enabled),
            limit: limit(kind, nodes.len(), wide, group.count),
            affinities,
            spreads,
            distinct,
            hosts,
            asks: group.tasks.iter().map(|t| (t.name.clone(), t.resources.clone())).collect(),
        }
    }

    /// An allocation of `group` comes to `node` (1) or leaves it (−1).
    pub(super) fn count(&mut self, group: &str, node: &Node, by: i64) {
        self.spreads.change(group, node, by);
        self.distinct.iter_mut().for_each(|property| property.change(group, node, by));
    }

    /// Whether the job's other allocations let this node be used, and if not, why.
    pub(super) fn allows(&self, node: &Node, mine: &[(String, i64)]) -> Result<(), String> {
        let crowded = match self.hosts {
            DistinctHosts::No => false,
            DistinctHosts::PerGroup => count_of(mine, &self.name) > 0,
            DistinctHosts::PerJob => mine.iter().any(|(_, count)| *count > 0),
        };
        if crowded {
            return Err(DISTINCT_HOSTS.to_owned());
        }
        self.distinct.iter().try_for_each(|property| property.allows(node))
    }

    /// Adds the parts of the score that are about the group.
    pub(super) fn rank(
        &self,
        node: &Node,
        mine: &[(String, i64)],
        wish: &Wish<'_>,
        compiled: &mut Compiled,
        score: &mut Score,
    ) {
        let already = count_of(mine, &self.name);
        score.count_or_show("job-anti-affinity", rank::anti_affinity(already, self.count));
        let failed_here = wish.penalised.contains(&node.id);
        score.count_or_show("node-reschedule-penalty", if failed_here { -1.0 } else { 0.0 });
        if self.affinities.is_empty() {
            score.show("node-affinity", 0.0);
        } else {
            score.count("node-affinity", rank::affinity(&self.affinities, node, compiled));
        }
        if !self.spreads.is_empty() {
            let spread = self.spreads.score(node);
            score.count_or_show("allocation-spread", spread);
        }
    }

    /// Adds what the tasks wanted of what was lacking.
    pub(super) fn explain(&self, mut metrics: AllocMetric) -> AllocMetric {
        let lacks = |what: &str| metrics.dimension_exhausted.contains_key(what);
        let (cpu, memory, cores) = (lacks("cpu"), lacks("memory"), lacks("cores"));
        if cpu || memory || cores {
            for (name, wants) in &self.asks {
                let of = |lacks: bool, wanted: i64| if lacks { wanted } else { 0 };
                let lacking = Resources {
                    cpu: of(cpu, wants.cpu),
                    memory_mb: of(memory, wants.memory_mb),
                    cores: of(cores, wants.cores),
                    ..Resources::default()
                };
                metrics.resources_exhausted.insert(name.clone(), lacking);
            }
        }
        metrics
    }
}

/// How many nodes with room are compared.
fn limit(kind: JobType, nodes: usize, wide: bool, count: i64) -> usize {
    let count = usize::try_from(count).unwrap_or(0);
    match kind {
        JobType::System | JobType::Sysbatch => 1,
        JobType::Service | JobType::Batch if wide => count.max(WIDE_LIMIT),
        JobType::Batch => 2,
        JobType::Service => {
            let bits = usize::BITS - nodes.saturating_sub(1).leading_zeros();
            (bits as usize).max(2)
        }
    }
}

pub(super) fn count_of(counts: &[(String, i64)], group: &str) -> i64 {
    counts.iter().find(|(name, _)| name == group).map_or(0, |(_, count)| *count)
}

pub(super) fn change(counts: &mut Counts, group: &str, by: i64) {
    match counts.iter_mut().find(|(name, _)| name == group) {
        Some((_, count)) => *count += by,
        None => counts.push((group.to_owned(), by)),
    }
}
