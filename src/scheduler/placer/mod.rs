//! ◆ Finds a node for one allocation after another, each knowing what the plan already does.

mod explain;
mod group;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::constraint::Compiled;
use super::input::{Config, Input, Lookup, NodeSet, may_host};
use super::preempt;
use super::rank::{self, Score};
use super::seed::Sequence;
use crate::model::job::JobType;
use crate::model::usage::{Capacity, NodeUse, Sum};
use crate::model::{
    AllocId, AllocMetric, AllocatedResources, Allocation, Job, JobKey, Node, NodeId, NodeStatus,
    TaskGroup,
};
use explain::{exhaust, filter};
use group::{Counts, Group, Source, change};

/// Nodes that score nothing and are set aside while better ones may follow.
const MAX_SET_ASIDE: usize = 3;
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
    asker: (JobKey, i64),
    /// Allocations that the plan stops or makes go.
    gone: HashSet<AllocId>,
    /// Where ids and choices come from.
    pub seed: Sequence,
    compiled: Compiled,
    work: HashMap<u32, Work>,
    /// Allocations of this job by node and group, before the plan.
    present: HashMap<NodeId, Counts>,
    /// What the plan did to that so far.
    moved: HashMap<NodeId, (Arc<Node>, Counts)>,
    order: Vec<u32>,
    shuffled: usize,
    cursor: usize,
    groups: Vec<Group>,
}

/// A node as it will be when the plan is applied.
#[derive(Debug, Default)]
struct Work {
    usage: Arc<NodeUse>,
    mine: Counts,
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
    /// Whose allocations have to go for it.
    pub preempted: Vec<Arc<Allocation>>,
}

struct Candidate {
    at: u32,
    score: Score,
    preempted: Vec<Arc<Allocation>>,
}

/// Whether others may be made to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manners {
    Polite,
    Preempting,
}

impl<'a> Placer<'a> {
    /// For this input; `seed` decides ids, the order of nodes and dynamic ports.
    pub fn new(input: &'a Input<'a>, seed: u64) -> Self {
        let mut present: HashMap<NodeId, Counts> = HashMap::new();
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
            asker: (
                input.eval.job_key(),
                input.job.as_ref().map_or(input.eval.priority, |job| job.priority),
            ),
            gone: HashSet::new(),
            seed: Sequence::new(seed),
            compiled: Compiled::default(),
            work: HashMap::new(),
            present,
            moved: HashMap::new(),
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
        if by < 0 {
            self.gone.insert(alloc.id.clone());
        } else {
            self.gone.remove(&alloc.id);
        }
        if let Some(at) = self.nodes.place(&alloc.node_id) {
            let work = self.work(at);
            let usage = Arc::make_mut(&mut work.usage);
            if by < 0 {
                usage.remove(alloc);
            } else {
                usage.add(alloc);
            }
            if counted {
                change(&mut work.mine, &alloc.task_group, by);
            }
        }
        if counted && let Some(node) = self.lookup.node(&alloc.node_id) {
            self.count(&alloc.task_group, &node, by);
        }
    }

    /// Tells all groups, also those that are made later, that an allocation of `group` comes or goes.
    fn count(&mut self, group: &str, node: &Arc<Node>, by: i64) {
        self.groups.iter_mut().for_each(|known| known.count(group, node, by));
        let moved = self.moved.entry(node.id.clone());
        change(&mut moved.or_insert_with(|| (Arc::clone(node), Counts::new())).1, group, by);
    }

    /// An allocation of another job has to go.
    fn evict(&mut self, alloc: &Allocation) {
        self.gone.insert(alloc.id.clone());
        if let Some(at) = self.nodes.place(&alloc.node_id) {
            Arc::make_mut(&mut self.work(at).usage).remove(alloc);
        }
    }

    /// The room of `alloc` is `resources` from now on; it was placed by this plan on `node`.
    pub fn take(
        &mut self,
        node: &Arc<Node>,
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
    ) -> Result<Placed, Box<AllocMetric>> {
        let group = self.group(job, group);
        if let Some(at) = wish.preferred.and_then(|id| self.nodes.place(id)) {
            let mut metrics = self.metrics();
            if let Some(found) = self.candidate(group, at, wish, Manners::Polite, &mut metrics)
                && let Some(placed) = self.settle(group, vec![found], &mut metrics)
            {
                return Ok(placed);
            }
        }
        let mut metrics = self.metrics();
        let candidates = self.candidates(group, wish, Manners::Polite, &mut metrics);
        if let Some(placed) = self.settle(group, candidates, &mut metrics) {
            return Ok(placed);
        }
        if self.may_preempt() && metrics.nodes_exhausted > 0 {
            let mut second = self.metrics();
            let candidates = self.candidates(group, wish, Manners::Preempting, &mut second);
            if let Some(placed) = self.settle(group, candidates, &mut second) {
                return Ok(placed);
            }
        }
        Err(Box::new(self.groups[group].explain(metrics)))
    }

    fn may_preempt(&self) -> bool {
        self.config.preemption_config.allows(self.kind)
    }

    /// Whether `group` may be on this node, and what it would get there; for system jobs.
    pub fn place_on(
        &mut self,
        job: &Job,
        group: &TaskGroup,
        at: u32,
    ) -> Result<Placed, Box<AllocMetric>> {
        let group = self.group(job, group);
        let mut metrics = self.metrics();
        let wish = Wish::default();
        let mut found = self.candidate(group, at, &wish, Manners::Polite, &mut metrics);
        if found.is_none() && self.may_preempt() && metrics.nodes_exhausted > 0 {
            let mut second = self.metrics();
            found = self.candidate(group, at, &wish, Manners::Preempting, &mut second);
        }
        match found.and_then(|found| self.settle(group, vec![found], &mut metrics)) {
            Some(placed) => Ok(placed),
            None => Err(Box::new(self.groups[group].explain(metrics))),
        }
    }

    /// What `alloc` gets where it is when it becomes this version of its group; none if it cannot stay.
    /// Ports and cores it has stay its own.
    pub fn keep(&mut self, job: &Job, group: &TaskGroup, alloc: &Allocation) -> Option<Placed> {
        let group = self.group(job, group);
        let mut placed = match self.nodes.place(&alloc.node_id) {
            Some(at) => {
                self.leave(alloc);
                let mut metrics = self.metrics();
                let wish = Wish::default();
                let found = self.candidate(group, at, &wish, Manners::Polite, &mut metrics);
                let placed = found.and_then(|found| self.settle(group, vec![found], &mut metrics));
                self.stay(alloc);
                placed?
            }
            None => self.keep_aside(job, group, alloc)?,
        };
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

    /// As [`Placer::keep`], on a node that takes nothing new: what it has may go on there.
    fn keep_aside(&mut self, job: &Job, group: usize, alloc: &Allocation) -> Option<Placed> {
        let node = self.lookup.node(&alloc.node_id)?;
        if node.status != NodeStatus::Ready || !may_host(&node, job) {
            return None;
        }
        let metrics = self.metrics();
        let Self { groups, compiled, lookup, seed, .. } = self;
        let group = groups.get(group)?;
        if !group.requirements.allow_one(&node, compiled) {
            return None;
        }
        let mut usage = lookup.usage(&node.id);
        Arc::make_mut(&mut usage).remove(alloc);
        let capacity = Capacity::of(&node);
        group.ask.fits(&capacity, &usage).ok()?;
        let resources = group.ask.assign(&capacity, &usage, seed).ok()?;
        Some(Placed { node, resources, metrics, preempted: Vec::new() })
    }

    /// What is known of a group; made at its first use.
    fn group(&mut self, job: &Job, group: &TaskGroup) -> usize {
        let known = |g: &Group| g.name == group.name && g.version == job.version;
        if let Some(at) = self.groups.iter().position(known) {
            return at;
        }
        let made = Group::new(self.source(), job, group, &self.moved);
        self.groups.push(made);
        self.groups.len() - 1
    }

    fn source(&self) -> Source<'a> {
        Source {
            lookup: self.lookup,
            config: self.config,
            nodes: self.nodes,
            allocs: self.allocs,
            kind: self.kind,
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
        manners: Manners,
        metrics: &mut AllocMetric,
    ) -> Vec<Candidate> {
        let limit = self.groups[group].limit;
        let (mut found, mut set_aside) = (Vec::new(), Vec::new());
        for _ in 0..self.order.len() {
            if found.len() >= limit {
                break;
            }
            let at = self.next_node();
            let Some(candidate) = self.candidate(group, at, wish, manners, metrics) else {
                continue;
            };
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
        manners: Manners,
        metrics: &mut AllocMetric,
    ) -> Option<Candidate> {
        metrics.nodes_evaluated += 1;
        let (nodes, lookup) = (self.nodes, self.lookup);
        let node = nodes.node(at);
        self.work(at);
        let Self { groups, compiled, work, kind, config, gone, asker, .. } = self;
        let (group, work) = (groups.get_mut(group)?, work.get(&at)?);
        if let Err(reason) = group.requirements.allow(nodes, at, compiled) {
            filter(metrics, node, reason);
            return None;
        }
        if let Err(reason) = group.allows(node, &work.mine) {
            filter(metrics, node, &reason);
            return None;
        }
        let capacity = nodes.capacity(at);
        let (taken, preempted) = match group.ask.fits(capacity, &work.usage) {
            Ok(taken) => (taken, Vec::new()),
            Err(shortage) => {
                let found = (manners == Manners::Preempting).then(|| {
                    let mut others = lookup.allocs_on(&node.id);
                    others.retain(|alloc| !gone.contains(&alloc.id));
                    let asker = (&asker.0, asker.1);
                    preempt::victims(&group.ask, capacity, &work.usage, &others, asker)
                });
                let Some(victims) = found.flatten() else {
                    exhaust(metrics, node, &shortage, lookup);
                    return None;
                };
                // Nomad: what has to go still counts as taken.
                let (usage, sum) = (&work.usage, group.ask.sum());
                (Sum { cpu: usage.cpu + sum.cpu, memory: usage.memory + sum.memory }, victims)
            }
        };
        let mut score = Score::default();
        let algorithm = config.scheduler_algorithm;
        score.count("binpack", rank::packing(algorithm, capacity, taken));
        match kind {
            JobType::System | JobType::Sysbatch => {}
            JobType::Service | JobType::Batch => {
                group.rank(node, &work.mine, wish, compiled, &mut score);
            }
        }
        if !preempted.is_empty() {
            score.count("preemption", preempt::score(&preempted));
        }
        Some(Candidate { at, score, preempted })
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
            let preempted = std::mem::take(&mut candidates[best].preempted);
            let mut usage = Arc::clone(&self.work(at).usage);
            for alloc in &preempted {
                Arc::make_mut(&mut usage).remove(alloc);
            }
            let ask = &self.groups[group].ask;
            match ask.assign(self.nodes.capacity(at), &usage, &mut self.seed) {
                Ok(resources) => {
                    for alloc in &preempted {
                        self.evict(alloc);
                    }
                    let node = Arc::clone(self.nodes.node(at));
                    let metrics = std::mem::take(metrics);
                    return Some(Placed { node, resources, metrics, preempted });
                }
                Err(shortage) => exhaust(metrics, self.nodes.node(at), &shortage, self.lookup),
            }
        }
        None
    }

    /// Which classes of nodes were found feasible or not by any group, and whether conditions make classes useless.
    pub fn eligibility(&self) -> (BTreeMap<String, bool>, bool) {
        let mut classes = BTreeMap::new();
        for (class, feasible) in self.groups.iter().flat_map(|g| g.requirements.classes()) {
            let name = self.nodes.class_name(class).to_owned();
            *classes.entry(name).or_insert(false) |= feasible;
        }
        (classes, self.groups.iter().any(|g| g.requirements.escapes()))
    }
}
