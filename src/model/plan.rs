//! ◆ A plan: what a scheduler wants changed, so specific that carrying it out needs no choice.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Index;
use super::allocation::Allocation;
use super::deployment::{Deployment, DeploymentStatus};
use super::go;
use super::id::{DeploymentId, EvalId, NodeId};
use super::job::Job;

/// What a scheduler wants changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// The evaluation it answers.
    pub eval_id: EvalId,
    /// Its priority.
    pub priority: i64,
    /// Whether it is applied whole or not at all.
    pub all_at_once: bool,
    /// The job as the scheduler saw it; what new allocations run.
    pub job: Option<Arc<Job>>,
    /// The state it was made from.
    pub snapshot_index: Index,
    /// Allocations to stop (or to mark lost or unknown), by node: as they should be afterwards.
    pub node_update: BTreeMap<NodeId, Vec<Allocation>>,
    /// Allocations to place or update in place, by node.
    pub node_allocation: BTreeMap<NodeId, Vec<Allocation>>,
    /// Allocations that have to go for others, by node.
    pub node_preemptions: BTreeMap<NodeId, Vec<Allocation>>,
    /// A new deployment, or the job's own changed.
    pub deployment: Option<Deployment>,
    /// Deployments that end.
    pub deployment_updates: Vec<DeploymentStatusUpdate>,
    /// What it would do, for people.
    pub annotations: Option<PlanAnnotations>,
}

impl Plan {
    /// Whether it would change nothing.
    pub fn is_no_op(&self) -> bool {
        self.node_update.is_empty()
            && self.node_allocation.is_empty()
            && self.node_preemptions.is_empty()
            && self.deployment.is_none()
            && self.deployment_updates.is_empty()
    }
}

/// What became of a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanResult {
    /// The stops that were made, by node.
    pub node_update: BTreeMap<NodeId, Vec<Allocation>>,
    /// The placements that were made, by node.
    pub node_allocation: BTreeMap<NodeId, Vec<Allocation>>,
    /// The preemptions that were made, by node.
    pub node_preemptions: BTreeMap<NodeId, Vec<Allocation>>,
    /// The deployment that was made or changed.
    pub deployment: Option<Deployment>,
    /// Deployments that ended.
    pub deployment_updates: Vec<DeploymentStatusUpdate>,
    /// Nodes whose part was refused, each with the reason.
    pub rejected_nodes: BTreeMap<NodeId, String>,
    /// Set when a part was refused: look at the state again from this index on.
    pub refresh_index: Index,
    /// Where it was applied.
    pub alloc_index: Index,
}

impl PlanResult {
    /// Whether nothing of the plan was refused.
    pub fn is_full(&self) -> bool {
        self.rejected_nodes.is_empty()
    }
}

/// A deployment's new status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeploymentStatusUpdate {
    /// Which.
    #[serde(rename = "DeploymentID")]
    pub deployment_id: DeploymentId,
    /// Its status.
    pub status: DeploymentStatus,
    /// A sentence about that.
    pub status_description: String,
}

/// What a plan would do, for people.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PlanAnnotations {
    /// By group.
    #[serde(rename = "DesiredTGUpdates", with = "go")]
    pub desired_tg_updates: BTreeMap<String, DesiredUpdates>,
    /// What would have to go.
    #[serde(with = "go")]
    pub preempted_allocs: Vec<serde_json::Value>,
}

/// How many allocations of a group a plan touches, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DesiredUpdates {
    /// Left alone.
    pub ignore: u64,
    /// Placed.
    pub place: u64,
    /// Moved.
    pub migrate: u64,
    /// Stopped.
    pub stop: u64,
    /// Changed where they are.
    pub in_place_update: u64,
    /// Stopped and placed anew.
    pub destructive_update: u64,
    /// Placed as canaries.
    pub canary: u64,
    /// Made to go.
    pub preemptions: u64,
    /// Marked unknown.
    pub disconnect: u64,
    /// Known again.
    pub reconnect: u64,
    /// Replaced now.
    pub reschedule_now: u64,
    /// Replaced later.
    pub reschedule_later: u64,
}
