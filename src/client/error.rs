//! What can go wrong on a node, as those who ask it are told. Texts that Nomad's clients match are Nomad's.

use crate::driver::DriverError;
use crate::sys::report::{self, Kind};

/// Why the node did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No such allocation here.
    #[error("Unknown allocation \"{0}\"")]
    UnknownAlloc(String),
    /// The allocation has no such task.
    #[error("Could not find task runner for task: {0}")]
    UnknownTask(String),
    /// The allocation has no such task; the words for signals.
    #[error("Task not found")]
    TaskNotFound,
    /// Several things went wrong.
    #[error("{}", report::several(.0))]
    Several(Vec<String>),
    /// A path leads out of the allocation's directory.
    #[error("Path escapes the alloc directory")]
    Escapes,
    /// A task's secrets are nobody else's business.
    #[error("Reading secret file prohibited: {0}")]
    Secret(String),
    /// Only files can be read.
    #[error("file {0:?} is a directory")]
    IsDirectory(String),
    /// Pipes, sockets and devices are not read.
    #[error("file {0:?} is not a regular file")]
    NotAFile(String),
    /// A file could not be looked at.
    #[error("{text}")]
    File {
        /// As Go tells it.
        text: String,
        /// Whether there is no such file.
        missing: bool,
    },
    /// The task is not running.
    #[error("Task not running")]
    NotRunning,
    /// The allocation is over or being stopped.
    #[error("restart of an alloc that should not run")]
    ShouldNotRun,
    /// No such signal.
    #[error("unknown signal `{0}`")]
    UnknownSignal(String),
    /// Garbage collection of something that lives or is not there.
    #[error("No such allocation on client, or allocation not eligible for GC")]
    NotCollectable,
    /// Somebody else's request is in the way; ask again.
    #[error("alloc {0}: busy")]
    Busy(String),
    /// The agent is ending.
    #[error("alloc {0}: the agent is stopping")]
    Stopping(String),
    /// The driver refused.
    #[error("task {task}: {doing}")]
    Driver {
        /// Which task.
        task: String,
        /// What was attempted.
        doing: &'static str,
        /// Why not.
        #[source]
        source: DriverError,
    },
}

impl ClientError {
    /// What it means to the one who asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::UnknownAlloc(_) => Kind::NotFound,
            Self::File { missing: true, .. } => Kind::NotFound,
            Self::UnknownSignal(_) | Self::IsDirectory(_) | Self::NotAFile(_) => Kind::Invalid,
            Self::Secret(_) => Kind::Denied,
            Self::UnknownTask(_)
            | Self::TaskNotFound
            | Self::NotRunning
            | Self::ShouldNotRun
            | Self::Several(_)
            | Self::NotCollectable => Kind::Conflict,
            Self::Escapes | Self::File { missing: false, .. } => Kind::Internal,
            Self::Busy(_) => Kind::Busy,
            Self::Stopping(_) => Kind::Unavailable,
            Self::Driver { source, .. } => source.kind(),
        }
    }
}
