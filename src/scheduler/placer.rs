//! ◆ Finds a node for one allocation after another, each knowing what the plan already does.

use std::collections::HashMap;
use std::sync::Arc;

use super::assign::Ask;
use super::constraint::Compiled;
use super::distinct::{DistinctProperty, wants_distinct_hosts};
use super::feasible::Requirements;
use super::input::{Config, Input, Lookup, NodeSet};
use super::rank::{self, Score};
use super::seed::Sequence;
use super::spread::Spreads;
use crate::model::job::JobType;
use crate::model::usage::{NodeUse, Shortage};
use crate::model::{
    Affinity, AllocId, AllocMetric, AllocatedResources, Allocation, Job, Node, NodeId, TaskGroup,
};

/// Nodes that score nothing and are set aside while better ones may follow.
const MAX_SET_ASIDE: usize = 3;
/// Nodes that are looked at when spread or affinity make it matter.
const WIDE_LIMIT: usize = 100;
/// Scores that the explanation keeps.
const SCORES_KEPT: usize = 5;

/// Finds nodes for the allocations of one evaluation.
#[derive(Debug)]
pub struct Placer<'a> {
    lookup: &'a dyn Lookup,
    config: &'a Config,
    nodes: &'a NodeSet,
    allocs: &'a [Arc<Allocation>],
    kind: JobType,
    pool: String,
    /// Where ids and choices come from.
    pub seed: Sequence,
    compiled: Compiled,
    work: HashMap<u32, Work>,
    /// Allocations of this job by node and group, before the plan.
    present: HashMap<NodeId, Vec<(String, i64)>>,
    order: Vec<u32>,
    shuffled: usize,
    cursor: usize,
    groups: Vec<Group>,
}

/// A node as it will be when the plan is applied.
#[derive(Debug, Default)]
struct Work {
    usage: Arc<NodeUse>,
    mine: Vec<(String, i64)>,
}

/// What is known of a group, made once per evaluation.
#[derive(Debug)]
struct Group {
    name: String,
    version: u64,
    count: i64,
    requirements: Requirements,
    ask: Ask,
    affinities: Vec<Affinity>,
    spreads: Spreads,
    distinct: Vec<DistinctProperty>,
    hosts: DistinctHosts,
    limit: usize,
    asks: Vec<(String, crate::model::Resources)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DistinctHosts {
    No,
    PerGroup,
    PerJob,
}

/// What one placement should be like.
#[derive(Debug, Default)]
pub struct Wish<'w> {
    /// Nodes it failed on before.
    pub penalised: &'w [NodeId],
    /// A node whose data it would like to find again.
    pub preferred: Option<&'w NodeId>,
}

/// Where one allocation goes and what it gets there.
#[derive(Debug)]
pub struct Placed {
    /// The node.
    pub node: Arc<Node>,
    /// What it gets.
    pub resources: AllocatedResources,
    /// Why there.
    pub metrics: AllocMetric,
}

struct Candidate {
    at: u32,
    score: Score,
}

impl<'a> Placer<'a> {
    /// For this input; `seed` decides ids, the order of nodes and dynamic ports.
    pub fn new(input: &'a Input<'a>, seed: u64) -> Self {
        let mut present: HashMap<NodeId, Vec<(String, i64)>> = HashMap::new();
        for alloc in input.allocs.iter().filter(|alloc| !alloc.is_terminal()) {
            change(present.entry(alloc.node_id.clone()).or_default(), &alloc.task_group, 1);
        }
        let count = u32::try_from(input.nodes.len()).unwrap_or(u32::MAX);
        Self {
            lookup: input.lookup,
            config: input.config,
            nodes: &input.nodes,
            allocs: &input.allocs,
            kind: input.kind(),
            pool: input.job.as_ref().map(|job| job.node_pool.clone()).unwrap_or_default(),
            seed: Sequence::new(seed),
            compiled: Compiled::default(),
            work: HashMap::new(),
            present,
            order: (0..count).collect(),
            shuffled: 0,
            cursor: 0,
            groups: Vec::new(),
        }
    }

    /// An id for something new.
    pub fn fresh_id(&mut self) -> String {
        self.seed.uuid()
    }

    /// The plan stops `alloc`: its room is free for what the plan places.
    pub fn leave(&mut self, alloc: &Allocation) {
        self.shift(alloc, -1);
    }

    /// The plan does not stop `alloc` after all.
    pub fn stay(&mut self, alloc: &Allocation) {
        self.shift(alloc, 1);
    }

    fn shift(&mut self, alloc: &Allocation, by: i64) {
        let counted = !alloc.is_terminal();
        if let Some(at) = self.nodes.place(&alloc.node_id) {
            let work = self.work(at);
            let usage = Arc::make_mut(&mut work.usage);
            if by < 0 {
                usage.remove(alloc)
            } else {
                usage.add(alloc)
            }
            if counted {
                change(&mut work.mine, &alloc.task_group, by);
            }
        }
        if counted && let Some(node) = self.lookup.node(&alloc.node_id) {
            self.count(&alloc.task_group, &node, by);
        }
    }

    /// Tells all groups' spreads and distinct properties that an allocation of `group` comes or goes.
    fn count(&mut self, group: &str, node: &Node, by: i64) {
        for known in &mut self.groups {
            known.spreads.change(group, node, by);
            known.distinct.iter_mut().for_each(|property| property.change(group, node, by));
        }
    }

    /// The room of `alloc` is `resources` from now on; it was placed by this plan on `node`.
    pub fn take(
        &mut self,
        node: &Node,
        group: &str,
        alloc: &AllocId,
        resources: &AllocatedResources,
    ) {
        if let Some(at) = self.nodes.place(&node.id) {
            let work = self.work(at);
            Arc::make_mut(&mut work.usage).claim(alloc, resources);
            change(&mut work.mine, group, 1);
        }
        self.count(group, node, 1);
    }

    fn work(&mut self, at: u32) -> &mut Work {
        let (nodes, lookup, present) = (self.nodes, self.lookup, &self.present);
        self.work.entry(at).or_insert_with(|| {
            let id = &nodes.node(at).id;
            Work { usage: lookup.usage(id), mine: present.get(id).cloned().unwrap_or_default() }
        })
    }

    /// Finds the node for one allocation of `group` in this version of the job. What it gets is not taken yet:
    /// [`Placer::take`].
    pub fn place(
        &mut self,
        job: &Job,
        group: &TaskGroup,
        wish: &Wish<'_>,
    ) -> Result<Placed, AllocMetric> {
        let group = self.group(job, group);
        if let Some(at) = wish.preferred.and_then(|id| self.nodes.place(id)) {
            let mut metrics = self.metrics();
            if let Some(found) = self.candidate(group, at, wish, &mut metrics)
                && let Some(placed) = self.settle(group, vec![found], &mut metrics)
            {
                return Ok(placed);
            }
        }
        let mut metrics = self.metrics();
        let candidates = self.candidates(group, wish, &mut metrics);
        match self.settle(group, candidates, &mut metrics) {
            Some(placed) => Ok(placed),
            None => Err(self.explain_failure(group, metrics)),
        }
    }

    /// Whether `group` may be on this node, and what it would get there; for system jobs.
    pub fn place_on(
        &mut self,
        job: &Job,
        group: &TaskGroup,
        at: u32,
    ) -> Result<Placed, AllocMetric> {
        let group = self.group(job, group);
        let mut metrics = self.metrics();
        let found = self.candidate(group, at, &Wish::default(), &mut metrics);
        match found.and_then(|found| self.settle(group, vec![found], &mut metrics)) {
            Some(placed) => Ok(placed),
            None => Err(self.explain_failure(group, metrics)),
        }
    }

    /// What `alloc` gets where it is when it becomes this version of its group; none if it cannot stay.
    /// Ports and cores it has stay its own.
    pub fn keep(&mut self, job: &Job, group: &TaskGroup, alloc: &Allocation) -> Option<Placed> {
        let at = self.nodes.place(&alloc.node_id)?;
        self.leave(alloc);
        let group = self.group(job, group);
        let mut metrics = self.metrics();
        let found = self.candidate(group, at, &Wish::default(), &mut metrics);
        let placed = found.and_then(|found| self.settle(group, vec![found], &mut metrics));
        self.stay(alloc);
        let mut placed = placed?;
        let had = &alloc.allocated_resources;
        placed.resources.shared.networks.clone_from(&had.shared.networks);
        placed.resources.shared.ports.clone_from(&had.shared.ports);
        for (name, task) in &mut placed.resources.tasks {
            if let Some(before) = had.tasks.get(name) {
                task.networks.clone_from(&before.networks);
                task.devices.clone_from(&before.devices);
                task.cpu.clone_from(&before.cpu);
            }
        }
        Some(placed)
    }

    /// What is known of a group; made at its first use.
    fn group(&mut self, job: &Job, group: &TaskGroup) -> usize {
        let known = |g: &Group| g.name == group.name && g.version == job.version;
        if let Some(at) = self.groups.iter().position(known) {
            return at;
        }
        let made = self.make_group(job, group);
        self.groups.push(made);
        self.groups.len() - 1
    }

    fn make_group(&self, job: &Job, group: &TaskGroup) -> Group {
        let affinities = rank::affinities(job, group);
        // The plan's own changes so far are not in the snapshot these count from; groups are made before
        // the plan changes anything that counts, or count it again below.
        let mut spreads = Spreads::of(job, group, self.allocs, self.lookup);
        let per_job = DistinctProperty::among(&job.constraints, None, self.allocs, self.lookup);
        let name = Some(group.name.as_str());
        let per_group = DistinctProperty::among(&group.constraints, name, self.allocs, self.lookup);
        let mut distinct: Vec<_> = per_job.chain(per_group).collect();
        for (at, work) in &self.work {
            let node = self.nodes.node(*at);
            let before = self.present.get(&node.id).map(Vec::as_slice).unwrap_or_default();
            for (name, now) in &work.mine {
                let by = now - count_of(before, name);
                spreads.change(name, node, by);
                distinct.iter_mut().for_each(|property| property.change(name, node, by));
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
        Group {
            name: group.name.clone(),
            version: job.version,
            count: group.count,
            requirements: Requirements::of(job, group, self.nodes),
            ask: Ask::of(group, self.config.memory_oversubscription_enabled),
            limit: self.limit(wide, group.count),
            affinities,
            spreads,
            distinct,
            hosts,
            asks: group.tasks.iter().map(|t| (t.name.clone(), t.resources.clone())).collect(),
        }
    }

    /// How many nodes with room are compared.
    fn limit(&self, wide: bool, count: i64) -> usize {
        let count = usize::try_from(count).unwrap_or(0);
        match self.kind {
            JobType::System | JobType::Sysbatch => 1,
            JobType::Service | JobType::Batch if wide => count.max(WIDE_LIMIT),
            JobType::Batch => 2,
            JobType::Service => {
                let bits = usize::BITS - self.nodes.len().saturating_sub(1).leading_zeros();
                (bits as usize).max(2)
            }
        }
    }

    fn metrics(&self) -> AllocMetric {
        AllocMetric {
            node_pool: self.pool.clone(),
            nodes_in_pool: self.nodes.in_pool(),
            nodes_available: self.nodes.by_datacenter().clone(),
            ..AllocMetric::default()
        }
    }

    /// The next node, in an order that the seed decides as far as it is needed.
    fn next_node(&mut self) -> u32 {
        let at = self.cursor;
        if at >= self.shuffled {
            let rest = u32::try_from(self.order.len() - at).unwrap_or(u32::MAX);
            let other = at + self.seed.below(rest) as usize;
            self.order.swap(at, other);
            self.shuffled = at + 1;
        }
        self.cursor = (at + 1) % self.order.len();
        self.order[at]
    }

    /// Nodes with room, best last looked at is not best: [`Placer::settle`] chooses.
    fn candidates(
        &mut self,
        group: usize,
        wish: &Wish<'_>,
        metrics: &mut AllocMetric,
    ) -> Vec<Candidate> {
        let limit = self.groups[group].limit;
        let (mut found, mut set_aside) = (Vec::new(), Vec::new());
        for _ in 0..self.order.len() {
            if found.len() >= limit {
                break;
            }
            let at = self.next_node();
            let Some(candidate) = self.candidate(group, at, wish, metrics) else { continue };
            if candidate.score.mean() <= 0.0 && set_aside.len() < MAX_SET_ASIDE {
                set_aside.push(candidate);
            } else {
                found.push(candidate);
            }
        }
        let missing = limit.saturating_sub(found.len());
        found.extend(set_aside.into_iter().take(missing));
        found
    }

    /// Scores a node, or notes why it is none.
    fn candidate(
        &mut self,
        group: usize,
        at: u32,
        wish: &Wish<'_>,
        metrics: &mut AllocMetric,
    ) -> Option<Candidate> {
        metrics.nodes_evaluated += 1;
        let (nodes, lookup) = (self.nodes, self.lookup);
        let node = nodes.node(at);
        self.work(at);
        let Self { groups, compiled, work, kind, config, .. } = self;
        let (group, work) = (groups.get_mut(group)?, work.get(&at)?);
        if let Err(reason) = group.requirements.allow(nodes, at, compiled) {
            filter(metrics, node, reason);
            return None;
        }
        if let Err(reason) = group.allows(node, &work.mine) {
            filter(metrics, node, &reason);
            return None;
        }
        let taken = match group.ask.fits(nodes.capacity(at), &work.usage) {
            Ok(taken) => taken,
            Err(shortage) => {
                exhaust(metrics, node, &shortage, lookup);
                return None;
            }
        };
        let mut score = Score::default();
        let algorithm = config.scheduler_algorithm;
        score.count("binpack", rank::packing(algorithm, nodes.capacity(at), taken));
        match kind {
            JobType::System | JobType::Sysbatch => {}
            JobType::Service | JobType::Batch => {
                group.rank(node, &work.mine, wish, compiled, &mut score)
            }
        }
        Some(Candidate { at, score })
    }

    /// Takes the best candidate that has the ports it seemed to have.
    fn settle(
        &mut self,
        group: usize,
        mut candidates: Vec<Candidate>,
        metrics: &mut AllocMetric,
    ) -> Option<Placed> {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        // Stable: of equal ones the first that was found wins.
        order.sort_by(|a, b| candidates[*b].score.mean().total_cmp(&candidates[*a].score.mean()));
        let explain = |i: &usize| {
            let candidate = &candidates[*i];
            candidate.score.explain(&self.nodes.node(candidate.at).id)
        };
        metrics.score_meta_data = order.iter().take(SCORES_KEPT).map(explain).collect();
        for best in order {
            let at = candidates[best].at;
            let usage = Arc::clone(&self.work(at).usage);
            let ask = &self.groups[group].ask;
            match ask.assign(self.nodes.capacity(at), &usage, &mut self.seed) {
                Ok(resources) => {
                    candidates.clear();
                    let node = Arc::clone(self.nodes.node(at));
                    return Some(Placed { node, resources, metrics: std::mem::take(metrics) });
                }
                Err(shortage) => exhaust(metrics, self.nodes.node(at), &shortage, self.lookup),
            }
        }
        None
    }

    /// Adds what the tasks wanted of what was lacking.
    fn explain_failure(&self, group: usize, mut metrics: AllocMetric) -> AllocMetric {
        let lacks = |what: &str| metrics.dimension_exhausted.contains_key(what);
        let (cpu, memory, cores) = (lacks("cpu"), lacks("memory"), lacks("cores"));
        if cpu || memory || cores {
            for (name, wants) in &self.groups[group].asks {
                let mut lacking = crate::model::Resources::default();
                lacking.cpu = if cpu { wants.cpu } else { 0 };
                lacking.memory_mb = if memory { wants.memory_mb } else { 0 };
                lacking.cores = if cores { wants.cores } else { 0 };
                metrics.resources_exhausted.insert(name.clone(), lacking);
            }
        }
        metrics
    }

    /// Which classes of nodes were found feasible or not by any group, and whether conditions make classes useless.
    pub fn eligibility(&self) -> (std::collections::BTreeMap<String, bool>, bool) {
        let mut classes = std::collections::BTreeMap::new();
        for (class, feasible) in self.groups.iter().flat_map(|g| g.requirements.classes()) {
            let name = self.nodes.class_name(class).to_owned();
            *classes.entry(name).or_insert(false) |= feasible;
        }
        (classes, self.groups.iter().any(|g| g.requirements.escapes()))
    }
}

impl Group {
    fn allows(&self, node: &Node, mine: &[(String, i64)]) -> Result<(), String> {
        let crowded = match self.hosts {
            DistinctHosts::No => false,
            DistinctHosts::PerGroup => count_of(mine, &self.name) > 0,
            DistinctHosts::PerJob => mine.iter().any(|(_, count)| *count > 0),
        };
        if crowded {
            return Err(super::constraint::DISTINCT_HOSTS.to_owned());
        }
        self.distinct.iter().try_for_each(|property| property.allows(node))
    }

    fn rank(
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
}

fn count_of(counts: &[(String, i64)], group: &str) -> i64 {
    counts.iter().find(|(name, _)| name == group).map_or(0, |(_, count)| *count)
}

fn change(counts: &mut Vec<(String, i64)>, group: &str, by: i64) {
    match counts.iter_mut().find(|(name, _)| name == group) {
        Some((_, count)) => *count += by,
        None => counts.push((group.to_owned(), by)),
    }
}

fn add(counts: &mut std::collections::BTreeMap<String, i64>, key: &str) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => drop(counts.insert(key.to_owned(), 1)),
    }
}

fn filter(metrics: &mut AllocMetric, node: &Node, reason: &str) {
    metrics.nodes_filtered += 1;
    if !node.node_class.is_empty() {
        add(&mut metrics.class_filtered, &node.node_class);
    }
    add(&mut metrics.constraint_filtered, reason);
}

fn exhaust(metrics: &mut AllocMetric, node: &Node, shortage: &Shortage, lookup: &dyn Lookup) {
    metrics.nodes_exhausted += 1;
    if !node.node_class.is_empty() {
        add(&mut metrics.class_exhausted, &node.node_class);
    }
    let holder = shortage.holder().and_then(|id| lookup.alloc(id));
    match holder {
        Some(alloc) => {
            let dimension = format!("{shortage} (held by job `{}`)", alloc.job_id);
            add(&mut metrics.dimension_exhausted, &dimension);
        }
        None => add(&mut metrics.dimension_exhausted, &shortage.to_string()),
    }
}
