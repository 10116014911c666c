//! ◇ A command run inside a task, as the agent holds it. The process at the other end of the socket is
//! the shim's `exec`; both speak its `wire`.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::DriverError;
use super::shim::launch::Program;
use super::shim::wire::{Head, Tag};

/// A command to run beside the task's own process, as the task's user, in its cgroup and namespaces.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExecRequest {
    /// The program and its arguments; at least one word.
    pub command: Vec<String>,
    /// Give it a terminal. Its output is then all on stdout.
    pub tty: bool,
    /// Of the terminal, at first.
    pub size: Option<TerminalSize>,
    /// Added to the task's environment.
    pub env: BTreeMap<String, String>,
}

/// Characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    pub width: u16,
    pub height: u16,
}

/// A running command. Dropping both halves kills it.
#[derive(Debug)]
pub struct ExecSession {
    pub input: ExecInput,
    pub output: ExecOutput,
}

/// What goes to the command.
#[derive(Debug)]
pub struct ExecInput {
    task: String,
    socket: OwnedWriteHalf,
}

/// What comes from it.
#[derive(Debug)]
pub struct ExecOutput {
    socket: OwnedReadHalf,
    /// Dropping it leaves the reaping to the runtime.
    helper: tokio::process::Child,
}

/// One piece of what comes from a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecEvent {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// The last event: 128 and the signal's number for a command that a signal ended.
    Exited(i32),
}

impl ExecInput {
    /// Writes to the command's standard input; waits while the command does not read.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        for part in bytes.chunks(Head::MAX) {
            self.send(Tag::Stdin, part).await?;
        }
        Ok(())
    }

    /// Ends the command's standard input.
    pub async fn close(&mut self) -> Result<(), DriverError> {
        self.send(Tag::StdinEnd, &[]).await
    }

    /// Changes the size of the command's terminal. Without a terminal nothing happens.
    pub async fn resize(&mut self, size: TerminalSize) -> Result<(), DriverError> {
        let [width, height] = [size.width.to_le_bytes(), size.height.to_le_bytes()];
        self.send(Tag::Resize, &[width[0], width[1], height[0], height[1]]).await
    }

    async fn send(&mut self, tag: Tag, bytes: &[u8]) -> Result<(), DriverError> {
        let frame = Head::frame(tag, bytes);
        let sent = self.socket.write_all(&frame).await;
        sent.map_err(|source| DriverError::Session { task: self.task.clone(), source })
    }
}

impl ExecOutput {
    /// The next piece, or `None` after the last, or when the session broke.
    pub async fn next(&mut self) -> Option<ExecEvent> {
        let (tag, bytes) = receive(&mut self.socket).await.ok()?;
        match tag {
            Tag::Stdout => Some(ExecEvent::Stdout(bytes)),
            Tag::Stderr => Some(ExecEvent::Stderr(bytes)),
            Tag::Exited => {
                // It may stay for what the command left running; then the runtime reaps it later.
                drop(self.helper.try_wait());
                let code = bytes.try_into().map_or(1, i32::from_le_bytes);
                Some(ExecEvent::Exited(code))
            }
            Tag::Request | Tag::Started | Tag::Failed => None,
            Tag::Stdin | Tag::StdinEnd | Tag::Resize => None,
        }
    }
}

async fn receive(socket: &mut OwnedReadHalf) -> io::Result<(Tag, Vec<u8>)> {
    let mut head = [0; Head::SIZE];
    socket.read_exact(&mut head).await?;
    let head = Head::parse(head)?;
    let mut bytes = vec![0; head.length];
    socket.read_exact(&mut bytes).await?;
    Ok((head.tag, bytes))
}

/// Starts `request` in the task whose state directory this is.
pub(super) async fn exec(
    program: &Program,
    task: &str,
    state: &Path,
    request: &ExecRequest,
) -> Result<ExecSession, DriverError> {
    let broken = |source| DriverError::Session { task: task.to_owned(), source };
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(broken)?;
    ours.set_nonblocking(true).map_err(broken)?;
    let stdin = Stdio::from(OwnedFd::from(theirs));
    let command = program.command("exec", state, stdin, Stdio::null()).map_err(broken)?;
    let helper = tokio::process::Command::from(command)
        .spawn()
        .map_err(|source| DriverError::Spawn { task: task.to_owned(), source })?;
    let (mut read, socket) = UnixStream::from_std(ours).map_err(broken)?.into_split();
    let mut input = ExecInput { task: task.to_owned(), socket };
    let text = serde_json::to_vec(request).map_err(|error| broken(io::Error::other(error)))?;
    input.send(Tag::Request, &text).await?;
    let refused = |reason: String| DriverError::Exec {
        task: task.to_owned(),
        command: request.command.join(" "),
        reason,
    };
    match receive(&mut read).await.map_err(broken)? {
        (Tag::Started, _) => Ok(ExecSession { input, output: ExecOutput { socket: read, helper } }),
        (Tag::Failed, reason) => Err(refused(String::from_utf8_lossy(&reason).into_owned())),
        (tag, _) => Err(refused(format!("unexpected {tag:?} from its process"))),
    }
}
