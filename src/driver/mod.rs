//! ◇ How a task is started, watched and stopped: `container` (alias `docker`), `exec`, `raw_exec`, `mock_driver`.
//!
//! ```text
//!            plan ◆                start                        wait, signal, kill, exec, stats
//! config map ──────► Plan ─┬─► shim process ──► TaskHandle ◄──────────────────────────── client
//!                          │        │  ▲                │
//!          TaskContext ────┘        ▼  │ adopt          └─ destroy: nothing is left
//!                         task.json, run.json, exit.json in the task's state directory
//! ```
//!
//! The agent never runs a task as its own child and never calls libcontainer (see [`shim`] for why). Each task
//! has a shim: this same binary, run as a single-threaded process that starts the task, writes its output,
//! waits for it and records how it ended. The agent watches the shim through a pidfd and may be killed,
//! upgraded or absent at any time; [`Driver::recover`] finds the task again from its state directory.
//!
//! This room does not pull images, make networks or volumes, restart tasks or decide when to stop them: the
//! client does, and hands over a [`TaskContext`] with all choices made. It names no other room but `logs`,
//! whose writer the shim uses.

mod cgroup;
mod config;
mod container;
mod context;
mod error;
mod handle;
mod mock;
mod plan;
mod process;
mod raw_exec;
mod session;
pub mod shim;
mod users;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::cgroup::stats::TaskStats;
pub use self::context::{
    Device, EtcFiles, ImageRoot, LogPolicy, Mount, Resources, TaskContext, TaskDirs,
};
pub use self::error::DriverError;
pub use self::handle::{ExitResult, StoredHandle, TaskHandle};
pub use self::plan::{ImageNeed, NetworkNeed, Plan, RegistryAuth, TaskConfig};
pub use self::process::{ProcessId, become_subreaper};
pub use self::session::{ExecEvent, ExecInput, ExecOutput, ExecRequest, ExecSession, TerminalSize};

use self::shim::launch::Program;

/// What the node's owner allows, and where things are.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, as in Nomad's plugin blocks"
)]
pub struct Settings {
    /// The binary that is run as shim: `/proc/self/exe` in the product.
    pub program: PathBuf,
    /// Nomad: off unless enabled, because its tasks are not isolated.
    pub raw_exec: bool,
    /// `mock_driver` is for tests and benchmarks.
    pub mock: bool,
    /// Containers may ask for `privileged`.
    pub allow_privileged: bool,
    /// Containers may mount paths of the host.
    pub volumes: bool,
    /// Capabilities a task may add. `all` allows every one.
    pub allow_caps: Vec<String>,
    /// Processes of a container when its config says nothing. `None` is 4096.
    pub pids_limit: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            raw_exec: false,
            mock: false,
            allow_privileged: false,
            volumes: false,
            allow_caps: Vec::new(),
            pids_limit: None,
        }
    }
}

/// What a driver told about the node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Node attributes, as `driver.exec` = `1`.
    pub attributes: std::collections::BTreeMap<String, String>,
    /// The driver can run here.
    pub detected: bool,
    /// It can run now.
    pub healthy: bool,
    /// Why not, or `Healthy`.
    pub description: String,
}

/// How much of the host a task of this driver sees. Decides the paths in its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// The host's files: `NOMAD_TASK_DIR` is the host's path.
    None,
    /// A root made of the host's directories; `/alloc`, `/local`, `/secrets`.
    Chroot,
    /// A root from an image; `/alloc`, `/local`, `/secrets`.
    Image,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nomad calls it `docker`; `container` is the same without the name of a program that is not there.
    Container(&'static str),
    Exec,
    RawExec,
    Mock,
}

/// The drivers of this node.
#[derive(Debug, Clone)]
pub struct Drivers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    program: Program,
}

/// One driver. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Driver {
    kind: Kind,
    shared: Arc<Shared>,
}

impl Drivers {
    /// Makes the drivers that `settings` enable. Does not fail: what the node lacks is told by the fingerprint.
    pub fn new(settings: Settings) -> Self {
        let program = Program::open(&settings.program);
        Self { shared: Arc::new(Shared { settings, program }) }
    }

    /// Names under which jobs may ask, in the order in which nodes report them.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names = vec!["container", "docker", "exec"];
        if self.shared.settings.raw_exec {
            names.push("raw_exec");
        }
        if self.shared.settings.mock {
            names.push("mock_driver");
        }
        names
    }

    /// The driver of that name.
    pub fn get(&self, name: &str) -> Result<Driver, DriverError> {
        let kind = match name {
            "container" => Kind::Container("container"),
            "docker" => Kind::Container("docker"),
            "exec" => Kind::Exec,
            "raw_exec" if self.shared.settings.raw_exec => Kind::RawExec,
            "mock_driver" if self.shared.settings.mock => Kind::Mock,
            _ => {
                return Err(DriverError::UnknownDriver {
                    name: name.to_owned(),
                    known: self.names().join(", "),
                });
            }
        };
        Ok(Driver { kind, shared: Arc::clone(&self.shared) })
    }

    /// Removes the cgroup above all tasks if none is left in it.
    pub fn remove_cgroup_parent(parent: &str) {
        cgroup::remove_parent(parent);
    }
}

impl Driver {
    /// As in the node's attributes and in stored handles.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Container(name) => name,
            Kind::Exec => "exec",
            Kind::RawExec => "raw_exec",
            Kind::Mock => "mock_driver",
        }
    }

    /// What tasks of this driver see of the host.
    pub fn isolation(&self) -> Isolation {
        match self.kind {
            Kind::Container(_) => Isolation::Image,
            Kind::Exec => Isolation::Chroot,
            Kind::RawExec | Kind::Mock => Isolation::None,
        }
    }

    /// The signal that asks a task to stop when neither job nor image says another.
    pub fn stop_signal(&self) -> &'static str {
        match self.kind {
            Kind::Container(_) => "SIGTERM",
            // Nomad: the exec family interrupts.
            Kind::Exec | Kind::RawExec | Kind::Mock => "SIGINT",
        }
    }

    /// Whether and how well the driver works on this node.
    pub fn fingerprint(&self) -> Fingerprint {
        match self.kind {
            Kind::Container(_) | Kind::Exec => container::fingerprint(self.name()),
            Kind::RawExec => raw_exec::fingerprint(),
            Kind::Mock => mock::fingerprint(),
        }
    }

    /// Reads the task's `config`: every key known, every value of its kind, everything allowed here.
    pub fn plan(&self, config: &TaskConfig) -> Result<Plan, DriverError> {
        match self.kind {
            Kind::Container(_) => container::config::plan(&config.config, &self.shared.settings),
            Kind::Exec => container::chroot::plan(&config.config, &self.shared.settings),
            Kind::RawExec => raw_exec::plan(&config.config),
            Kind::Mock => mock::plan(&config.config),
        }
    }

    /// The handle the task will have, to be stored before [`Self::start`] so that a crash in between is found.
    pub fn handle_of(&self, context: &TaskContext) -> StoredHandle {
        StoredHandle {
            driver: self.name().to_owned(),
            alloc_id: context.alloc_id.clone(),
            task: context.task.clone(),
            state: context.dirs.state.clone(),
            cgroup_parent: context.cgroup_parent.clone(),
        }
    }

    /// Starts the task and returns when it runs. After an error nothing of it is left.
    pub async fn start(&self, plan: Plan, context: TaskContext) -> Result<TaskHandle, DriverError> {
        let stored = self.handle_of(&context);
        match (self.kind, plan.work) {
            (Kind::Mock, plan::Work::Mock(work)) => mock::start(work, stored, &context).await,
            (Kind::RawExec, plan::Work::Process(work)) => {
                let work = shim::records::Workload::Process(work);
                handle::start(&self.shared.program, stored, context, work).await
            }
            (Kind::Container(_) | Kind::Exec, plan::Work::Container(work)) => {
                let work = shim::records::Workload::Container(work);
                handle::start(&self.shared.program, stored, context, work).await
            }
            _ => Err(DriverError::ForeignPlan { driver: self.name() }),
        }
    }

    /// Finds a task that an earlier agent started: running, ended, or lost. What it has become is told by
    /// [`TaskHandle::wait`].
    pub async fn recover(&self, stored: StoredHandle) -> TaskHandle {
        match self.kind {
            Kind::Mock => mock::recover(stored),
            Kind::Container(_) | Kind::Exec | Kind::RawExec => {
                handle::recover(&self.shared.program, stored).await
            }
        }
    }
}
