//! ◆ A task as clients send it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::constraint::{Affinity, Constraint};
use super::group::ScalingPolicy;
use super::identity::{Consul, Secret, Vault, WorkloadIdentity};
use super::policy::RestartPolicy;
use super::resources::Resources;
use super::service::Service;
use super::template::{TaskArtifact, Template};
use super::volume::VolumeMount;
use super::{Dict, List};

/// One thing that a driver runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    pub name: String,
    pub driver: String,
    pub user: String,
    pub lifecycle: Option<TaskLifecycle>,
    pub config: Option<Map<String, Value>>,
    pub constraints: List<Constraint>,
    pub affinities: List<Affinity>,
    pub env: Dict<String>,
    pub services: List<Service>,
    pub resources: Option<Resources>,
    pub restart_policy: Option<RestartPolicy>,
    pub meta: Dict<String>,
    pub kill_timeout: Option<i64>,
    pub log_config: Option<LogConfig>,
    pub artifacts: List<TaskArtifact>,
    pub vault: Option<Vault>,
    pub consul: Option<Consul>,
    pub templates: List<Template>,
    pub dispatch_payload: Option<DispatchPayloadConfig>,
    pub volume_mounts: List<VolumeMount>,
    #[serde(rename = "CSIPluginConfig", skip_serializing_if = "Option::is_none")]
    pub csi_plugin_config: Option<CsiPluginConfig>,
    pub leader: bool,
    pub shutdown_delay: i64,
    pub kill_signal: String,
    pub kind: String,
    pub scaling_policies: List<ScalingPolicy>,
    pub identity: Option<WorkloadIdentity>,
    pub identities: List<WorkloadIdentity>,
    pub actions: List<Action>,
    pub schedule: Option<TaskSchedule>,
    pub secrets: List<Secret>,
}

/// When in the life of the group a task runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskLifecycle {
    pub hook: String,
    pub sidecar: bool,
}

/// How a task's output is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LogConfig {
    pub max_files: Option<i64>,
    #[serde(rename = "MaxFileSizeMB")]
    pub max_file_size_mb: Option<i64>,
    /// Nomad: the deprecated inverse of `disabled`.
    pub enabled: Option<bool>,
    pub disabled: Option<bool>,
}

/// Where a dispatch's payload is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DispatchPayloadConfig {
    pub file: String,
}

/// Set when a task is a CSI plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CsiPluginConfig {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(rename = "Type")]
    pub kind: String,
    pub mount_dir: String,
    pub stage_publish_base_dir: String,
    pub health_timeout: i64,
}

/// A command people may run in a task by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Action {
    pub name: String,
    pub command: String,
    pub args: List<String>,
}

/// Enterprise; read so that it can be refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskSchedule {
    pub cron: Option<TaskScheduleCron>,
}

/// Enterprise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskScheduleCron {
    pub start: String,
    pub end: String,
    pub timezone: String,
}
