//! ◆ A task: one thing that a driver runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::constraint::{Affinity, Constraint};
use super::go;
use super::group::ScalingPolicy;
use super::policy::RestartPolicy;
use super::resources::Resources;
use super::service::Service;
use super::time::Nanos;
use super::volume::VolumeMount;

/// One thing that a driver runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    /// Its name, unique in the group.
    pub name: String,
    /// The driver that runs it.
    pub driver: String,
    /// Who it runs as; empty for the driver's choice.
    pub user: String,
    /// When in the life of the group it runs; none for main tasks.
    pub lifecycle: Option<Lifecycle>,
    /// For the driver, in its own words.
    pub config: Option<Map<String, Value>>,
    /// Conditions.
    #[serde(with = "go")]
    pub constraints: Vec<Constraint>,
    /// Wishes.
    #[serde(with = "go")]
    pub affinities: Vec<Affinity>,
    /// Environment, before interpolation.
    #[serde(with = "go")]
    pub env: BTreeMap<String, String>,
    /// Services of the task.
    #[serde(with = "go")]
    pub services: Vec<Service>,
    /// What it asks for.
    pub resources: Resources,
    /// When it is started again.
    pub restart_policy: RestartPolicy,
    /// Free-form metadata, over the group's.
    #[serde(with = "go")]
    pub meta: BTreeMap<String, String>,
    /// How long it has between the kill signal and SIGKILL.
    pub kill_timeout: Nanos,
    /// How its output is kept.
    pub log_config: LogConfig,
    /// What is downloaded first.
    #[serde(with = "go")]
    pub artifacts: Vec<TaskArtifact>,
    /// Kept as given.
    pub vault: Option<Value>,
    /// Kept as given.
    pub consul: Option<Consul>,
    /// Files rendered for it.
    #[serde(with = "go")]
    pub templates: Vec<Template>,
    /// Where a dispatch's payload is written.
    pub dispatch_payload: Option<DispatchPayload>,
    /// Volumes of the group it sees.
    #[serde(with = "go")]
    pub volume_mounts: Vec<VolumeMount>,
    /// Set when the task is a CSI plugin; kept as given.
    #[serde(rename = "CSIPluginConfig")]
    pub csi_plugin_config: Option<Value>,
    /// Whether the group ends when it does.
    pub leader: bool,
    /// The wait between leaving the catalogue and the kill signal.
    pub shutdown_delay: Nanos,
    /// The signal that asks it to stop; empty for the driver's choice.
    pub kill_signal: String,
    /// Internal to service meshes.
    pub kind: String,
    /// How its resources may be scaled.
    #[serde(with = "go")]
    pub scaling_policies: Vec<ScalingPolicy>,
    /// Secrets it refers to; kept as given.
    #[serde(with = "go")]
    pub secrets: Vec<Value>,
    /// The identity every task has.
    pub identity: Option<WorkloadIdentity>,
    /// Further identities.
    #[serde(with = "go")]
    pub identities: Vec<WorkloadIdentity>,
    /// Commands people may run in it by name.
    #[serde(with = "go")]
    pub actions: Vec<Action>,
    /// Enterprise; kept as given.
    pub schedule: Option<Value>,
}

impl Task {
    /// Whether it belongs to the middle of the group's life.
    pub fn is_main(&self) -> bool {
        self.lifecycle.is_none()
    }
}

/// When in the life of a group a task runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Lifecycle {
    /// `prestart`, `poststart` or `poststop`.
    pub hook: String,
    /// Whether it goes on beside the main tasks.
    pub sidecar: bool,
}

/// How a task's output is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LogConfig {
    /// Files for each of stdout and stderr.
    pub max_files: i64,
    /// MB a file may grow to.
    #[serde(rename = "MaxFileSizeMB")]
    pub max_file_size_mb: i64,
    /// Whether output is thrown away.
    pub disabled: bool,
}

/// What is downloaded before a task starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskArtifact {
    /// A go-getter URL.
    pub getter_source: String,
    /// Its options.
    #[serde(with = "go")]
    pub getter_options: BTreeMap<String, String>,
    /// HTTP headers.
    #[serde(with = "go")]
    pub getter_headers: BTreeMap<String, String>,
    /// `any`, `file` or `dir`.
    pub getter_mode: String,
    /// Whether TLS is not verified.
    pub getter_insecure: bool,
    /// Where to, relative to the task directory.
    pub relative_dest: String,
    /// Whether it is given to the task's user.
    pub chown: bool,
}

/// A file rendered for a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "Nomad's template has these flags")]
pub struct Template {
    /// A file that holds the template.
    pub source_path: String,
    /// Where the result goes.
    pub dest_path: String,
    /// The template itself.
    pub embedded_tmpl: String,
    /// `noop`, `restart`, `signal` or `script`.
    pub change_mode: String,
    /// The signal of mode `signal`.
    pub change_signal: String,
    /// The script of mode `script`.
    pub change_script: Option<ChangeScript>,
    /// Whether it is rendered once only.
    pub once: bool,
    /// A random wait of at most this before the change is acted on.
    pub splay: Nanos,
    /// Octal mode of the file.
    pub perms: String,
    /// Owner.
    pub uid: Option<i64>,
    /// Group.
    pub gid: Option<i64>,
    /// Opening delimiter.
    pub left_delim: String,
    /// Closing delimiter.
    pub right_delim: String,
    /// Whether the file is also read as environment.
    pub envvars: bool,
    /// Deprecated.
    pub vault_grace: Nanos,
    /// How long changes are gathered.
    pub wait: Option<WaitConfig>,
    /// Whether a missing key is an error.
    pub err_missing_key: bool,
}

/// The script that is run when a template changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ChangeScript {
    /// The program.
    pub command: String,
    /// Its arguments.
    #[serde(deserialize_with = "go::deserialize")]
    pub args: Vec<String>,
    /// How long it may take.
    pub timeout: Nanos,
    /// Whether its failure fails the task.
    pub fail_on_error: bool,
    /// Whether it also runs after the first render.
    pub run_on_first_render: bool,
}

/// How long changes are gathered before a template is rendered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WaitConfig {
    /// At least.
    pub min: Option<Nanos>,
    /// At most.
    pub max: Option<Nanos>,
}

/// Where a dispatch's payload is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DispatchPayload {
    /// Below the task's `local/`.
    pub file: String,
}

/// Which Consul a group or task means; kept as given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Consul {
    /// Namespace.
    pub namespace: String,
    /// Cluster.
    pub cluster: String,
    /// Partition.
    pub partition: String,
}

/// A token that tells others who a task is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WorkloadIdentity {
    /// Its name; `default` for the one every task has.
    pub name: String,
    /// Who it is for.
    #[serde(with = "go")]
    pub audience: Vec<String>,
    /// What happens when it is renewed.
    pub change_mode: String,
    /// The signal of mode `signal`.
    pub change_signal: String,
    /// Whether the task gets it in its environment.
    pub env: bool,
    /// Whether the task gets it as a file.
    pub file: bool,
    /// Where the file is.
    pub filepath: String,
    /// Internal.
    pub service_name: String,
    /// How long it is valid; 0 for the life of the allocation.
    #[serde(rename = "TTL")]
    pub ttl: Nanos,
    /// Further claims.
    #[serde(with = "go")]
    pub extra_claims: Vec<String>,
}

/// A command people may run in a task by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// The program.
    pub command: String,
    /// Its arguments.
    #[serde(with = "go")]
    pub args: Vec<String>,
}
