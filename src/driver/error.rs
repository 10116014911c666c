//! ◇ What can go wrong between a task and the kernel.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::sys::report::Kind;

/// Why a driver could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// No driver of that name is built in or enabled.
    #[error("driver `{name}` is not available on this node; available: {known}")]
    UnknownDriver { name: String, known: String },
    /// The task's `config` has a key that the driver does not have.
    #[error("driver `{driver}`: config has no key `{key}`; known keys: {known}")]
    UnknownKey { driver: &'static str, key: String, known: String },
    /// The task's `config` has a key of Nomad's that this driver does not act on.
    #[error("driver `{driver}`: config key `{key}` is not supported: {why}")]
    Unsupported { driver: &'static str, key: String, why: &'static str },
    /// A required key is missing.
    #[error("driver `{driver}`: config needs `{key}`")]
    MissingKey { driver: &'static str, key: String },
    /// A key has a value of the wrong kind.
    #[error("driver `{driver}`: config key `{key}`: {why}")]
    InvalidValue { driver: &'static str, key: String, why: String },
    /// The node's owner has not allowed this.
    #[error(
        "driver `{driver}`: `{what}` is not allowed on this node; its owner may set `{setting}`"
    )]
    NotAllowed { driver: &'static str, what: String, setting: &'static str },
    /// Plan and driver, or handle and driver, do not belong together.
    #[error("driver `{driver}`: asked to run a plan that is not its own")]
    ForeignPlan { driver: &'static str },
    /// The task needs an image and was given none.
    #[error("task {task}: no image was prepared")]
    NoImage { task: String },
    /// A file of the task's state directory could not be read or written.
    #[error("task {task}: {doing} `{}`", path.display())]
    State {
        task: String,
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The shim could not be run.
    #[error("task {task}: run its shim")]
    Spawn {
        task: String,
        #[source]
        source: io::Error,
    },
    /// The shim said why the task did not start.
    #[error("task {task}: {reason}")]
    Start { task: String, reason: String },
    /// The task is not running.
    #[error("task {task} is not running")]
    NotRunning { task: String },
    /// A signal could not be delivered.
    #[error("task {task}: signal {signal}")]
    Signal {
        task: String,
        signal: i32,
        #[source]
        source: io::Error,
    },
    /// The task's processes could not be killed, counted or removed.
    #[error("task {task}: {doing}")]
    Cgroup {
        task: String,
        doing: &'static str,
        #[source]
        source: io::Error,
    },
    /// A command inside the task could not be run.
    #[error("task {task}: exec `{command}`: {reason}")]
    Exec { task: String, command: String, reason: String },
    /// The session's other end is gone.
    #[error("task {task}: exec session")]
    Session {
        task: String,
        #[source]
        source: io::Error,
    },
}

impl DriverError {
    /// What the error means to the one who asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::UnknownDriver { .. } => Kind::NotFound,
            Self::UnknownKey { .. }
            | Self::Unsupported { .. }
            | Self::MissingKey { .. }
            | Self::InvalidValue { .. }
            | Self::Exec { .. }
            | Self::Start { .. } => Kind::Invalid,
            Self::NotAllowed { .. } => Kind::Denied,
            Self::NotRunning { .. } => Kind::Conflict,
            Self::ForeignPlan { .. } | Self::NoImage { .. } => Kind::Internal,
            Self::State { .. }
            | Self::Spawn { .. }
            | Self::Signal { .. }
            | Self::Cgroup { .. }
            | Self::Session { .. } => Kind::Internal,
        }
    }

    /// Whether starting the same task again may help. What the job says wrongly, stays wrong.
    pub fn is_recoverable(&self) -> bool {
        match self {
            Self::UnknownDriver { .. }
            | Self::UnknownKey { .. }
            | Self::Unsupported { .. }
            | Self::MissingKey { .. }
            | Self::InvalidValue { .. }
            | Self::NotAllowed { .. }
            | Self::ForeignPlan { .. } => false,
            Self::NoImage { .. }
            | Self::State { .. }
            | Self::Spawn { .. }
            | Self::Start { .. }
            | Self::NotRunning { .. }
            | Self::Signal { .. }
            | Self::Cgroup { .. }
            | Self::Exec { .. }
            | Self::Session { .. } => true,
        }
    }
}

/// The error and its causes, for a record that outlives the process that met it.
pub(super) fn told(error: &(dyn Error + 'static)) -> String {
    crate::sys::report::chain(error)
}
