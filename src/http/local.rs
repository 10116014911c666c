//! ◇ What routes below `/v1/client/` ask of a node. The agent implements it: its own client, or a node that is
//! reached through its connection.

use std::fmt;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;

use super::local_images::Images;
use crate::model::{AllocId, NodeId};
use crate::sys::report::Kind;

/// Why a node did not do it.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct LocalError {
    /// What it means.
    pub kind: Kind,
    /// For people, in Nomad's words where clients know them.
    pub text: String,
}

/// What a node answers.
pub type LocalResult<T> = Result<T, LocalError>;

/// A file of an allocation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FileInfo {
    /// Its name.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Bytes.
    pub size: u64,
    /// As `ls` shows it.
    pub file_mode: String,
    /// RFC 3339.
    pub mod_time: String,
    /// What it seems to hold; only of a single file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub content_type: String,
}

/// From where a file or log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// So many bytes after the beginning.
    Start(u64),
    /// So many bytes before the end.
    End(u64),
}

/// Which log is read.
#[derive(Debug, Clone)]
pub struct LogRequest {
    /// The task.
    pub task: String,
    /// Whether stderr is meant.
    pub stderr: bool,
    /// From where.
    pub origin: Origin,
    /// Whether to go on as more is written.
    pub follow: bool,
}

/// A piece of a file.
#[derive(Debug, Clone, Default)]
pub struct Piece {
    /// The file's name below the allocation's directory.
    pub file: String,
    /// Where in it the piece ends.
    pub offset: u64,
    /// The bytes.
    pub data: Bytes,
    /// `file deleted`, `file truncated`, or nothing.
    pub event: String,
}

/// Pieces as they come; dropping it ends the reading.
pub type Pieces = BoxStream<'static, LocalResult<Piece>>;

/// What a command in a task is told.
#[derive(Debug)]
pub enum ExecInput {
    /// For its stdin.
    Stdin(Bytes),
    /// Its stdin ends.
    Close,
    /// Its terminal has this size now.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
}

/// What a command in a task tells.
#[derive(Debug)]
pub enum ExecOutput {
    /// From its stdout.
    Stdout(Bytes),
    /// From its stderr.
    Stderr(Bytes),
    /// It ended with this code.
    Exited(i32),
}

/// A command that runs in a task.
#[derive(Debug)]
pub struct ExecSession {
    /// What it is told. Dropping it closes its stdin.
    pub input: mpsc::Sender<ExecInput>,
    /// What it tells; the last is that it ended, or why it could not run.
    pub output: mpsc::Receiver<LocalResult<ExecOutput>>,
}

/// What a command is to be.
#[derive(Debug, Clone)]
pub struct ExecRequest {
    /// The task.
    pub task: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether it gets a terminal.
    pub tty: bool,
}

/// What is removed of what ended.
#[derive(Debug, Clone, Copy)]
pub enum Ended<'a> {
    /// This allocation.
    Alloc(&'a AllocId),
    /// Every one of a node; of this agent's own when none is named.
    All(Option<&'a NodeId>),
}

/// A node, as the API needs it.
pub trait Local: fmt::Debug + Send + Sync {
    /// The files of a directory below the allocation's.
    fn ls<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
    ) -> BoxFuture<'a, LocalResult<Vec<FileInfo>>>;
    /// One file.
    fn stat<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
    ) -> BoxFuture<'a, LocalResult<FileInfo>>;
    /// A file's bytes, from an offset, at most `limit`.
    fn read<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
        range: (u64, Option<u64>),
    ) -> BoxFuture<'a, LocalResult<Pieces>>;
    /// A file from an origin on, perhaps followed.
    fn stream<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
        origin: Origin,
        follow: bool,
    ) -> BoxFuture<'a, LocalResult<Pieces>>;
    /// A task's log, across its files.
    fn logs<'a>(
        &'a self,
        alloc: &'a AllocId,
        request: LogRequest,
    ) -> BoxFuture<'a, LocalResult<Pieces>>;
    /// What an allocation uses, as `AllocResourceUsage`.
    fn alloc_stats<'a>(
        &'a self,
        alloc: &'a AllocId,
        task: Option<&'a str>,
    ) -> BoxFuture<'a, LocalResult<Value>>;
    /// What the host of a node uses, as `HostStats`; of this agent's own when none is named.
    fn host_stats<'a>(&'a self, node: Option<&'a NodeId>) -> BoxFuture<'a, LocalResult<Value>>;
    /// Starts tasks again: one, all that run (`None`), or all whatever they do.
    fn restart<'a>(
        &'a self,
        alloc: &'a AllocId,
        task: Option<&'a str>,
        all: bool,
    ) -> BoxFuture<'a, LocalResult<()>>;
    /// Signals a task, or all.
    fn signal<'a>(
        &'a self,
        alloc: &'a AllocId,
        task: Option<&'a str>,
        signal: &'a str,
    ) -> BoxFuture<'a, LocalResult<()>>;
    /// Removes what ended.
    fn gc<'a>(&'a self, ended: Ended<'a>) -> BoxFuture<'a, LocalResult<()>>;
    /// Runs a command in a task.
    fn exec<'a>(
        &'a self,
        alloc: &'a AllocId,
        request: ExecRequest,
    ) -> BoxFuture<'a, LocalResult<ExecSession>>;
    /// Its images, or why they cannot be had here.
    fn images(&self) -> LocalResult<&dyn Images> {
        let text = "a node's images are asked for at its own agent".to_owned();
        Err(LocalError { kind: Kind::NotFound, text })
    }
}
