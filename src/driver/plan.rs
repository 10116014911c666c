//! ◆ What a driver made of a task's `config`: validated, nothing left to look up in it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::container::plan::ContainerPlan;

/// The task's `config` block, interpolated, in the shape of the API's JSON.
#[derive(Debug, Clone, Default)]
pub struct TaskConfig {
    pub config: Map<String, Value>,
}

/// A validated config. Only the driver that made it can start it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The image the client has to provide in [`super::TaskContext::image`].
    pub image: Option<ImageNeed>,
    /// The network the task wants, where its config says one.
    pub network: NetworkNeed,
    /// Labels of the group's ports that the task publishes.
    pub ports: Vec<String>,
    pub(super) work: Work,
}

/// The network a task's config asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkNeed {
    /// The group's.
    #[default]
    Group,
    /// One that is not the host's. Nomad: a docker task has it also in a group of mode `host`, with its `ports`
    /// published; the client makes a namespace for it.
    Own,
    /// The host's, whatever the group has.
    Host,
    /// None at all; the driver makes an empty namespace.
    Nothing,
}

impl Plan {
    pub(super) fn of(work: Work) -> Self {
        Self { image: None, network: NetworkNeed::Group, ports: Vec::new(), work }
    }
}

/// An image a task needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageNeed {
    /// As written in the job.
    pub reference: String,
    pub auth: Option<RegistryAuth>,
    /// Try without credentials when they are missing.
    pub auth_soft_fail: bool,
    /// Ask the registry even when the image is there.
    pub force_pull: bool,
    /// `os/arch[/variant]`; `None` is the node's.
    pub platform: Option<String>,
    /// Seconds a pull may take.
    pub pull_timeout: Option<u64>,
    /// An archive in the task's directory to load the image from first.
    pub load: Option<String>,
}

/// Credentials for a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryAuth {
    pub username: String,
    pub password: String,
    pub server_address: Option<String>,
}

impl std::fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryAuth").field("username", &self.username).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub(super) enum Work {
    Process(ProcessPlan),
    Container(Box<ContainerPlan>),
    Mock(MockPlan),
}

/// A process of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProcessPlan {
    pub command: String,
    pub args: Vec<String>,
    pub work_dir: Option<String>,
    pub oom_score_adj: Option<i64>,
    /// Patterns (`*` at the ends) of variables the task does not get.
    pub denied_env: Vec<String>,
}

/// What the mock driver pretends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MockPlan {
    /// Milliseconds; `None` runs until it is stopped.
    pub run_for_ms: Option<u64>,
    pub exit_code: i32,
    pub exit_signal: i32,
    pub exit_err: Option<String>,
    pub start_error: Option<String>,
    pub start_error_recoverable: bool,
    pub start_block_for_ms: u64,
    /// Milliseconds between a signal or kill and the end.
    pub kill_after_ms: u64,
    pub signal_error: Option<String>,
    pub stdout: String,
    pub stdout_repeat: u64,
}
