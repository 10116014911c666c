//! ◆ Why a placement went where it went, or nowhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::go;
use super::id::NodeId;
use super::resources::Resources;
use super::time::Nanos;

/// What the scheduler saw while it placed one allocation of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocMetric {
    /// Nodes that were looked at.
    pub nodes_evaluated: i64,
    /// Nodes that a condition excluded.
    pub nodes_filtered: i64,
    /// Nodes in the pool.
    pub nodes_in_pool: i64,
    /// The pool.
    pub node_pool: String,
    /// Ready nodes by data centre.
    #[serde(with = "go")]
    pub nodes_available: BTreeMap<String, i64>,
    /// Excluded nodes by class.
    #[serde(with = "go")]
    pub class_filtered: BTreeMap<String, i64>,
    /// Excluded nodes by the condition that excluded them.
    #[serde(with = "go")]
    pub constraint_filtered: BTreeMap<String, i64>,
    /// Nodes without room.
    pub nodes_exhausted: i64,
    /// Nodes without room by class.
    #[serde(with = "go")]
    pub class_exhausted: BTreeMap<String, i64>,
    /// Nodes without room by what they lack: `memory`, `cpu`, `network: reserved port collision http=80` …
    #[serde(with = "go")]
    pub dimension_exhausted: BTreeMap<String, i64>,
    /// Enterprise.
    #[serde(with = "go")]
    pub quota_exhausted: Vec<String>,
    /// What was lacking, by task.
    #[serde(with = "go")]
    pub resources_exhausted: BTreeMap<String, Resources>,
    /// Deprecated, always null.
    #[serde(with = "go")]
    pub scores: BTreeMap<String, f64>,
    /// The best five nodes and their scores.
    #[serde(with = "go")]
    pub score_meta_data: Vec<NodeScore>,
    /// How long the placement took.
    pub allocation_time: Nanos,
    /// Further placements of the group that failed for the same reason.
    pub coalesced_failures: i64,
}

/// A node's score and its parts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeScore {
    /// The node.
    #[serde(rename = "NodeID")]
    pub node_id: NodeId,
    /// The parts.
    #[serde(with = "go")]
    pub scores: BTreeMap<String, f64>,
    /// Their mean.
    pub norm_score: f64,
}
