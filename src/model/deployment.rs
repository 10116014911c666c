//! ◆ A deployment: a version of a job on its way out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Index;
use super::go;
use super::id::{AllocId, DeploymentId, JobKey};
use super::time::{self, Nanos, Timestamp};

/// A version of a job on its way out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Deployment {
    /// A UUID.
    #[serde(rename = "ID")]
    pub id: DeploymentId,
    /// The job's namespace.
    pub namespace: String,
    /// The job.
    #[serde(rename = "JobID")]
    pub job_id: String,
    /// The version.
    pub job_version: u64,
    /// When the job's row last changed at its start.
    pub job_modify_index: Index,
    /// When the job's specification last changed at its start.
    pub job_spec_modify_index: Index,
    /// When the job was made.
    pub job_create_index: Index,
    /// Enterprise.
    pub is_multiregion: bool,
    /// By group.
    #[serde(with = "go")]
    pub task_groups: BTreeMap<String, DeploymentState>,
    /// Where it stands.
    pub status: DeploymentStatus,
    /// A sentence about that.
    pub status_description: String,
    /// The priority of its evaluations.
    pub eval_priority: i64,
    /// When it was made.
    pub create_index: Index,
    /// When it last changed.
    pub modify_index: Index,
    /// When it was made.
    pub create_time: Timestamp,
    /// When it last changed.
    pub modify_time: Timestamp,
}

impl Deployment {
    /// The job it belongs to.
    pub fn job_key(&self) -> JobKey {
        JobKey::new(self.namespace.as_str(), self.job_id.as_str())
    }

    /// Whether it still goes on.
    pub fn is_active(&self) -> bool {
        self.status.is_active()
    }

    /// Whether canaries wait for a promotion.
    pub fn requires_promotion(&self) -> bool {
        self.is_active() && self.task_groups.values().any(|g| g.desired_canaries > 0 && !g.promoted)
    }
}

/// A group in a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "Nomad's fields")]
pub struct DeploymentState {
    /// Whether failure goes back to the last stable version.
    pub auto_revert: bool,
    /// Whether healthy canaries are promoted by themselves.
    pub auto_promote: bool,
    /// When lack of progress fails it.
    pub progress_deadline: Nanos,
    /// The next such time.
    #[serde(with = "time::rfc3339")]
    pub require_progress_by: Timestamp,
    /// Whether its canaries were promoted.
    pub promoted: bool,
    /// Its canaries.
    #[serde(with = "go")]
    pub placed_canaries: Vec<AllocId>,
    /// How many canaries there should be.
    pub desired_canaries: i64,
    /// How many allocations there should be in all.
    pub desired_total: i64,
    /// How many were placed.
    pub placed_allocs: i64,
    /// How many are healthy.
    pub healthy_allocs: i64,
    /// How many are not.
    pub unhealthy_allocs: i64,
}

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeploymentStatus {
    /// Just made.
    #[default]
    Initializing,
    /// Multi-region.
    Pending,
    /// Goes on.
    Running,
    /// Somebody paused it.
    Paused,
    /// Multi-region.
    Blocked,
    /// Multi-region.
    Unblocking,
    /// Done.
    Successful,
    /// Given up.
    Failed,
    /// Another took its place.
    Cancelled,
}

impl DeploymentStatus {
    /// Whether it still goes on.
    pub fn is_active(self) -> bool {
        match self {
            Self::Initializing
            | Self::Pending
            | Self::Running
            | Self::Paused
            | Self::Blocked
            | Self::Unblocking => true,
            Self::Successful | Self::Failed | Self::Cancelled => false,
        }
    }
}
