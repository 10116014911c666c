//! ◆ An evaluation: somebody should look whether a job is as it should be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Index;
use super::id::{DeploymentId, EvalId, JobKey, NodeId};
use super::metric::AllocMetric;
use super::plan::PlanAnnotations;
use super::time::{Nanos, Timestamp};

/// A look at a job that somebody should take. Nomad: empty fields are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Evaluation {
    /// A UUID.
    #[serde(rename = "ID")]
    pub id: EvalId,
    /// The job's namespace.
    pub namespace: String,
    /// The job's priority, unless somebody chose another.
    pub priority: i64,
    /// The scheduler: a job type, or `_core`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// What asked for it.
    pub triggered_by: EvalTrigger,
    /// The job.
    #[serde(rename = "JobID")]
    pub job_id: String,
    /// The job's specification it is for.
    #[serde(skip_serializing_if = "is_zero")]
    pub job_modify_index: Index,
    /// The node that asked for it, if one did.
    #[serde(rename = "NodeID", skip_serializing_if = "NodeId::is_empty")]
    pub node_id: NodeId,
    /// That node's state it is for.
    #[serde(skip_serializing_if = "is_zero")]
    pub node_modify_index: Index,
    /// The deployment it belongs to.
    #[serde(rename = "DeploymentID", skip_serializing_if = "DeploymentId::is_empty")]
    pub deployment_id: DeploymentId,
    /// Where it stands.
    pub status: EvalStatus,
    /// A sentence about that.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status_description: String,
    /// Deprecated form of `wait_until`.
    #[serde(skip_serializing_if = "is_no_time")]
    pub wait: Nanos,
    /// When it may be looked at.
    #[serde(with = "super::time::rfc3339", skip_serializing_if = "is_never")]
    pub wait_until: Timestamp,
    /// The one that follows.
    #[serde(skip_serializing_if = "EvalId::is_empty")]
    pub next_eval: EvalId,
    /// The one before.
    #[serde(skip_serializing_if = "EvalId::is_empty")]
    pub previous_eval: EvalId,
    /// The blocked one that waits for room for what could not be placed.
    #[serde(skip_serializing_if = "EvalId::is_empty")]
    pub blocked_eval: EvalId,
    /// Why placements failed, by group.
    #[serde(
        rename = "FailedTGAllocs",
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "super::go::deserialize"
    )]
    pub failed_tg_allocs: BTreeMap<String, AllocMetric>,
    /// What the plan would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_annotations: Option<PlanAnnotations>,
    /// For a blocked one: which computed classes of nodes were feasible.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "super::go::deserialize"
    )]
    pub class_eligibility: BTreeMap<String, bool>,
    /// Enterprise.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub quota_limit_reached: String,
    /// For a blocked one: whether conditions on unique attributes make classes useless.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub escaped_computed_class: bool,
    /// Whether `plan_annotations` were asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub annotate_plan: bool,
    /// Allocations that could not be placed, by group.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "super::go::deserialize"
    )]
    pub queued_allocations: BTreeMap<String, i64>,
    /// The state the scheduler looked at.
    #[serde(skip_serializing_if = "is_zero")]
    pub snapshot_index: Index,
    /// When it was made.
    pub create_index: Index,
    /// When it last changed.
    pub modify_index: Index,
    /// When it was made.
    pub create_time: Timestamp,
    /// When it last changed.
    pub modify_time: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_no_time(time: &Nanos) -> bool {
    time.0 == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_never(time: &Timestamp) -> bool {
    time.is_never()
}

impl Evaluation {
    /// The job it is for.
    pub fn job_key(&self) -> JobKey {
        JobKey::new(self.namespace.as_str(), self.job_id.as_str())
    }

    /// Whether a scheduler should look at it.
    pub fn should_enqueue(&self) -> bool {
        self.status == EvalStatus::Pending
    }

    /// Whether it waits for room.
    pub fn should_block(&self) -> bool {
        self.status == EvalStatus::Blocked
    }

    /// Whether nothing more happens with it.
    pub fn is_terminal(&self) -> bool {
        match self.status {
            EvalStatus::Complete | EvalStatus::Failed | EvalStatus::Canceled => true,
            EvalStatus::Pending | EvalStatus::Blocked => false,
        }
    }
}

/// Where an evaluation stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvalStatus {
    /// Waits for room.
    Blocked,
    /// Waits for a scheduler.
    #[default]
    Pending,
    /// Done.
    Complete,
    /// Given up.
    Failed,
    /// Another took its place.
    Canceled,
}

/// What asked for an evaluation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the variants are Nomad's words")]
pub enum EvalTrigger {
    #[default]
    JobRegister,
    JobDeregister,
    PeriodicJob,
    NodeDrain,
    NodeUpdate,
    AllocStop,
    Scheduled,
    RollingUpdate,
    DeploymentWatcher,
    FailedFollowUp,
    MaxPlanAttempts,
    AllocFailure,
    QueuedAllocs,
    Preemption,
    JobScaling,
    MaxDisconnectTimeout,
    Reconnect,
    AllocReschedule,
}
