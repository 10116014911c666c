//! ◆ A task as clients send it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::constraint::{Affinity, Constraint};
use super::group::ScalingPolicy;
use super::identity::{Consul, Secret, Vault, WorkloadIdentity};
use super::policy::RestartPolicy;
use super::resources::Resources;
use super::service::{Owner, Service};
use super::template::{TaskArtifact, Template};
use super::volume::VolumeMount;
use super::{Dict, List, list};
use crate::model::{Nanos, task};

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

impl Task {
    pub(super) fn canonical(self, group: &RestartPolicy, owner: Owner<'_>) -> task::Task {
        let owner = Owner { task: Some(&self.name), ..owner };
        let services = list(self.services, |service| service.canonical(owner));
        let scaling = list(self.scaling_policies, |policy| policy.canonical(owner, 0));
        let restart = self.restart_policy.unwrap_or_default().over(group.clone());
        task::Task {
            services,
            scaling_policies: scaling,
            restart_policy: restart.canonical(),
            driver: self.driver,
            user: self.user,
            lifecycle: self
                .lifecycle
                .filter(|lifecycle| !lifecycle.hook.is_empty() || lifecycle.sidecar)
                .map(|lifecycle| task::Lifecycle {
                    hook: lifecycle.hook,
                    sidecar: lifecycle.sidecar,
                }),
            config: self.config.filter(|config| !config.is_empty()),
            constraints: list(self.constraints, Constraint::canonical),
            affinities: list(self.affinities, Affinity::canonical),
            env: self.env.unwrap_or_default(),
            resources: self.resources.unwrap_or_default().canonical(),
            meta: self.meta.unwrap_or_default(),
            kill_timeout: Nanos(self.kill_timeout.unwrap_or(5_000_000_000)),
            log_config: self.log_config.unwrap_or_default().canonical(),
            artifacts: list(self.artifacts, TaskArtifact::canonical),
            vault: self.vault.map(Vault::canonical),
            consul: self.consul.map(Consul::canonical),
            templates: list(self.templates, Template::canonical),
            dispatch_payload: self
                .dispatch_payload
                .map(|payload| task::DispatchPayload { file: payload.file }),
            // Nomad: a mount that names no volume vanishes without a word.
            volume_mounts: self
                .volume_mounts
                .into_iter()
                .flatten()
                .filter(|mount| mount.volume.is_some())
                .map(VolumeMount::canonical)
                .collect(),
            csi_plugin_config: self.csi_plugin_config.map(CsiPluginConfig::canonical),
            leader: self.leader,
            shutdown_delay: Nanos(self.shutdown_delay),
            kill_signal: self.kill_signal,
            kind: self.kind,
            secrets: list(self.secrets, Secret::canonical),
            identity: self.identity.map(WorkloadIdentity::canonical),
            identities: list(self.identities, WorkloadIdentity::canonical),
            actions: list(self.actions, |action| task::Action {
                name: action.name,
                command: action.command,
                args: action.args.unwrap_or_default(),
            }),
            schedule: self.schedule.and_then(|schedule| serde_json::to_value(schedule).ok()),
            name: self.name,
        }
    }
}

impl LogConfig {
    pub(super) fn canonical(self) -> task::LogConfig {
        let disabled = self.disabled.or_else(|| self.enabled.map(|enabled| !enabled));
        task::LogConfig {
            max_files: self.max_files.unwrap_or(10),
            max_file_size_mb: self.max_file_size_mb.unwrap_or(10),
            disabled: disabled.unwrap_or_default(),
        }
    }
}

impl CsiPluginConfig {
    /// The servers' shape.
    fn canonical(self) -> Value {
        let or = |given: String, default: &str| {
            if given.is_empty() { default.to_owned() } else { given }
        };
        json!({
            "ID": self.id,
            "Type": self.kind,
            "MountDir": or(self.mount_dir, "/csi"),
            "StagePublishBaseDir": or(self.stage_publish_base_dir, "/local/csi"),
            "HealthTimeout": if self.health_timeout == 0 { 30_000_000_000 } else { self.health_timeout },
        })
    }
}
