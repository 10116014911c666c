//! ◆ What a server asks of a node, and how the answer comes: heads of frames.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Refusal, RpcError};
use crate::http::local::{LocalError, LogRequest, Origin};
use crate::model::AllocId;

/// From where a file or log is read.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum From {
    Start(u64),
    End(u64),
}

impl std::convert::From<Origin> for From {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Start(offset) => Self::Start(offset),
            Origin::End(offset) => Self::End(offset),
        }
    }
}

impl std::convert::From<From> for Origin {
    fn from(origin: From) -> Self {
        match origin {
            From::Start(offset) => Self::Start(offset),
            From::End(offset) => Self::End(offset),
        }
    }
}

/// Which log is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Log {
    pub task: String,
    pub stderr: bool,
    pub origin: From,
    pub follow: bool,
}

impl std::convert::From<LogRequest> for Log {
    fn from(request: LogRequest) -> Self {
        let LogRequest { task, stderr, origin, follow } = request;
        Self { task, stderr, origin: origin.into(), follow }
    }
}

impl std::convert::From<Log> for LogRequest {
    fn from(log: Log) -> Self {
        let Log { task, stderr, origin, follow } = log;
        Self { task, stderr, origin: origin.into(), follow }
    }
}

/// What is asked; the head of the first frame.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Question {
    Ls { alloc: AllocId, path: String },
    Stat { alloc: AllocId, path: String },
    Read { alloc: AllocId, path: String, offset: u64, limit: Option<u64> },
    Stream { alloc: AllocId, path: String, origin: From, follow: bool },
    Logs { alloc: AllocId, log: Log },
    AllocStats { alloc: AllocId, task: Option<String> },
    HostStats,
    Restart { alloc: AllocId, task: Option<String>, all: bool },
    Signal { alloc: AllocId, task: Option<String>, signal: String },
    Gc { alloc: Option<AllocId> },
    Exec { alloc: AllocId, task: String, command: Vec<String>, tty: bool },
}

/// What a command in a task is told; heads of the frames after the first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Told {
    /// The frame's data is for its stdin.
    Stdin,
    Close,
    Resize {
        width: u16,
        height: u16,
    },
}

/// The answer; heads of frames.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// All of it.
    Value(Value),
    /// The frame's data is a piece of a file.
    Piece {
        file: String,
        offset: u64,
        event: String,
    },
    /// The frame's data is from a command's stdout.
    Stdout,
    /// The frame's data is from its stderr.
    Stderr,
    Exited(i32),
    Failed {
        kind: String,
        reason: String,
    },
}

impl std::convert::From<&LocalError> for Answer {
    fn from(error: &LocalError) -> Self {
        let Refusal { kind, reason } =
            Refusal::from(&RpcError::new(error.kind, error.text.clone()));
        Self::Failed { kind, reason }
    }
}

/// A failure that came as an answer.
pub(super) fn failure(kind: String, reason: String) -> LocalError {
    let RpcError { kind, reason } = Refusal { kind, reason }.into();
    LocalError { kind, text: reason }
}
