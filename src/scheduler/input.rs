//! ◆ Everything a decision may depend on.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::job::JobType;
use crate::model::usage::{Capacity, NodeUse};
use crate::model::{AllocId, Allocation, Deployment, Evaluation, Index, Job, JobKey, Node, NodeId};

/// Everything a decision may depend on, beside the seed and the time.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// The evaluation.
    pub eval: &'a Evaluation,
    /// Its job; none when it was purged.
    pub job: Option<Arc<Job>>,
    /// All allocations of the job, also ended ones.
    pub allocs: Vec<Arc<Allocation>>,
    /// The job's newest deployment.
    pub deployment: Option<Arc<Deployment>>,
    /// Where the job may run.
    pub nodes: Arc<NodeSet>,
    /// The scheduler's settings.
    pub config: &'a Config,
    /// The state all this was taken from.
    pub snapshot_index: Index,
    /// The rest of that state, one thing at a time.
    pub lookup: &'a dyn Lookup,
}

impl Input<'_> {
    /// Which scheduler decides. Nomad: the evaluation of a stopped or purged job always says service.
    pub fn kind(&self) -> JobType {
        match (&self.job, self.eval.kind.as_str()) {
            (Some(job), _) => job.kind,
            (None, "batch") => JobType::Batch,
            (None, "system") => JobType::System,
            (None, "sysbatch") => JobType::Sysbatch,
            (None, _) => JobType::Service,
        }
    }

    /// Whether nothing of the job should run.
    pub fn is_stopped(&self) -> bool {
        self.job.as_ref().is_none_or(|job| job.is_stopped())
    }
}

/// One thing of a snapshot at a time.
pub trait Lookup: fmt::Debug {
    /// The node of that id.
    fn node(&self, id: &NodeId) -> Option<Arc<Node>>;
    /// What is taken on a node.
    fn usage(&self, id: &NodeId) -> Arc<NodeUse>;
    /// The allocation of that id.
    fn alloc(&self, id: &AllocId) -> Option<Arc<Allocation>>;
    /// Allocations on a node that its node has not ended, of all jobs.
    fn allocs_on(&self, id: &NodeId) -> Vec<Arc<Allocation>>;
    /// A version of a job.
    fn job_version(&self, key: &JobKey, version: u64) -> Option<Arc<Job>>;
}

/// The ready nodes of one pool and some data centres. Made once per change of the nodes, not once per evaluation.
#[derive(Debug, Default)]
pub struct NodeSet {
    nodes: Vec<Arc<Node>>,
    capacities: Vec<Capacity>,
    classes: Vec<Option<u32>>,
    class_names: Vec<String>,
    at: HashMap<NodeId, u32>,
    by_datacenter: BTreeMap<String, i64>,
    in_pool: i64,
}

impl NodeSet {
    /// Those of `nodes` that are in `pool` (`all` means any) and a data centre that one of the patterns matches.
    pub fn new<'a>(
        nodes: impl IntoIterator<Item = &'a Arc<Node>>,
        pool: &str,
        datacenters: &[String],
    ) -> Self {
        let mut set = Self::default();
        let mut class_ids: HashMap<String, u32> = HashMap::new();
        for node in nodes.into_iter().filter(|node| is_in_pool(node, pool)) {
            set.in_pool += 1;
            if !node.is_ready() || !in_datacenters(node, datacenters) {
                continue;
            }
            *set.by_datacenter.entry(node.datacenter.clone()).or_default() += 1;
            let class = (!node.computed_class.is_empty()).then(|| {
                *class_ids.entry(node.computed_class.clone()).or_insert_with(|| {
                    set.class_names.push(node.computed_class.clone());
                    u32::try_from(set.class_names.len() - 1).unwrap_or(u32::MAX)
                })
            });
            let at = u32::try_from(set.nodes.len()).unwrap_or(u32::MAX);
            set.at.insert(node.id.clone(), at);
            set.classes.push(class);
            set.capacities.push(Capacity::of(node));
            set.nodes.push(Arc::clone(node));
        }
        set
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The node at a place.
    pub fn node(&self, at: u32) -> &Arc<Node> {
        &self.nodes[at as usize]
    }

    /// What the node at a place has.
    pub fn capacity(&self, at: u32) -> &Capacity {
        &self.capacities[at as usize]
    }

    /// The class of the node at a place.
    pub fn class(&self, at: u32) -> Option<u32> {
        self.classes[at as usize]
    }

    /// The name of a class.
    pub fn class_name(&self, class: u32) -> &str {
        &self.class_names[class as usize]
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// The place of a node; none when it is not among them.
    pub fn place(&self, id: &NodeId) -> Option<u32> {
        self.at.get(id).copied()
    }

    /// Ready nodes by data centre.
    pub fn by_datacenter(&self) -> &BTreeMap<String, i64> {
        &self.by_datacenter
    }

    /// Nodes in the pool, ready or not.
    pub fn in_pool(&self) -> i64 {
        self.in_pool
    }
}

/// Whether a node is in the job's pool and data centres, ready or not.
pub fn may_host(node: &Node, job: &Job) -> bool {
    is_in_pool(node, &job.node_pool) && in_datacenters(node, &job.datacenters)
}

/// Whether a node is in a pool: `all` has every node, and no name means `default`.
fn is_in_pool(node: &Node, pool: &str) -> bool {
    match pool {
        "all" => true,
        "" => node.node_pool == "default",
        _ => node.node_pool == pool,
    }
}

/// Whether one of the patterns matches the node's data centre. `*` matches any run of characters, `?` one.
pub fn in_datacenters(node: &Node, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| glob(pattern.as_bytes(), node.datacenter.as_bytes()))
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            glob(rest, text) || text.split_first().is_some_and(|(_, text)| glob(pattern, text))
        }
        (Some((b'?', rest)), Some((_, text))) => glob(rest, text),
        (Some((a, rest)), Some((b, text))) => a == b && glob(rest, text),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// How nodes with room are preferred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Full ones first.
    #[default]
    Binpack,
    /// Empty ones first.
    Spread,
}

/// The scheduler's settings, in the JSON of Nomad's operator API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "Nomad's settings are these flags")]
pub struct Config {
    /// How nodes with room are preferred.
    pub scheduler_algorithm: Algorithm,
    /// Who may make others go.
    pub preemption_config: Preemption,
    /// Whether `memory_max` has effect.
    pub memory_oversubscription_enabled: bool,
    /// Whether only operators may register jobs.
    pub reject_job_registration: bool,
    /// Whether evaluations wait.
    pub pause_eval_broker: bool,
    /// When it was first set.
    pub create_index: Index,
    /// When it last changed.
    pub modify_index: Index,
}

/// Which jobs may make allocations of lower priority go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "Nomad's settings are these flags")]
pub struct Preemption {
    /// System jobs.
    pub system_scheduler_enabled: bool,
    /// Sysbatch jobs.
    pub sys_batch_scheduler_enabled: bool,
    /// Batch jobs.
    pub batch_scheduler_enabled: bool,
    /// Service jobs.
    pub service_scheduler_enabled: bool,
}

impl Default for Preemption {
    fn default() -> Self {
        Self {
            system_scheduler_enabled: true,
            sys_batch_scheduler_enabled: false,
            batch_scheduler_enabled: false,
            service_scheduler_enabled: false,
        }
    }
}

impl Preemption {
    /// Whether jobs of this kind may make others go.
    pub fn allows(&self, kind: JobType) -> bool {
        match kind {
            JobType::Service => self.service_scheduler_enabled,
            JobType::Batch => self.batch_scheduler_enabled,
            JobType::System => self.system_scheduler_enabled,
            JobType::Sysbatch => self.sys_batch_scheduler_enabled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn data_centre_patterns_match_as_shells_do() {
        assert!(glob(b"*", b"dc1") && glob(b"dc?", b"dc1") && glob(b"eu-*-1", b"eu-west-1"));
        assert!(!glob(b"dc", b"dc1") && !glob(b"dc?", b"dc") && !glob(b"*x", b"dc1"));
    }
}
