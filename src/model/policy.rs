//! ◆ How a job's allocations are restarted, rescheduled, updated, migrated and disconnected.

use serde::{Deserialize, Serialize};

use super::time::Nanos;

/// When a task that ended is started again on the same node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    /// Restarts within `interval`.
    pub attempts: i64,
    /// The window the attempts are counted in.
    pub interval: Nanos,
    /// The wait before a restart.
    pub delay: Nanos,
    /// `fail` or `delay`: what happens when the attempts are used up.
    pub mode: String,
    /// Whether templates are rendered again at a restart.
    pub render_templates: bool,
}

/// When a failed allocation is replaced by another, perhaps elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ReschedulePolicy {
    /// Attempts within `interval`, unless unlimited.
    pub attempts: i64,
    /// The window the attempts are counted in.
    pub interval: Nanos,
    /// The first wait.
    pub delay: Nanos,
    /// `constant`, `exponential` or `fibonacci`.
    pub delay_function: String,
    /// The longest wait.
    pub max_delay: Nanos,
    /// Whether attempts are not counted.
    pub unlimited: bool,
}

/// How a change is rolled out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateStrategy {
    /// The wait between batches where no health is watched.
    pub stagger: Nanos,
    /// Allocations changed at once; 0 means all, without a deployment.
    pub max_parallel: i64,
    /// `checks`, `task_states` or `manual`.
    pub health_check: String,
    /// How long an allocation must be healthy to count.
    pub min_healthy_time: Nanos,
    /// When an allocation that is not healthy counts as unhealthy.
    pub healthy_deadline: Nanos,
    /// When a deployment without progress fails.
    pub progress_deadline: Nanos,
    /// Whether a failed deployment goes back to the last stable version.
    pub auto_revert: bool,
    /// Whether healthy canaries are promoted without being asked.
    pub auto_promote: bool,
    /// New allocations placed beside the old ones first.
    pub canary: i64,
}

/// How allocations leave a node that is drained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MigrateStrategy {
    /// Allocations moved at once.
    pub max_parallel: i64,
    /// `checks` or `task_states`.
    pub health_check: String,
    /// How long a replacement must be healthy to count.
    pub min_healthy_time: Nanos,
    /// When a replacement that is not healthy is given up.
    pub healthy_deadline: Nanos,
}

/// What happens when the node of an allocation is not heard of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DisconnectStrategy {
    /// How long the allocation is "unknown" before it is lost.
    pub lost_after: Nanos,
    /// When the node stops the allocation by itself.
    pub stop_on_client_after: Option<Nanos>,
    /// Whether a replacement is started meanwhile.
    pub replace: Option<bool>,
    /// Which of the two stays when the node comes back.
    pub reconcile: String,
}

/// When a batch job is launched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PeriodicConfig {
    /// Whether it is launched at all.
    pub enabled: bool,
    /// One cron expression (older form).
    pub spec: String,
    /// Cron expressions; the earliest next launch counts.
    #[serde(deserialize_with = "super::go::deserialize")]
    pub specs: Vec<String>,
    /// Always `cron`.
    pub spec_type: String,
    /// Whether a launch waits for the last one to end.
    pub prohibit_overlap: bool,
    /// An IANA time zone.
    pub time_zone: String,
}

/// A job that is a template for dispatched ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ParameterizedJobConfig {
    /// `optional`, `required` or `forbidden`.
    pub payload: String,
    /// Keys a dispatch must give.
    #[serde(with = "super::go")]
    pub meta_required: Vec<String>,
    /// Keys a dispatch may give.
    #[serde(with = "super::go")]
    pub meta_optional: Vec<String>,
}
