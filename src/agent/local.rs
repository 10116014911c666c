//! ◇ This agent's own client, as the API asks it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use nix::sys::inotify::AddWatchFlags;
use serde_json::Value;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use super::images::OwnImages;
use crate::client::{ClientError, Local as Node};
use crate::driver::{ExecEvent, ExecRequest as DriverRequest, TerminalSize};
use crate::http::local::{
    Ended, ExecInput, ExecOutput, ExecRequest, ExecSession, FileInfo, Local, LocalError,
    LocalResult, LogRequest, Origin, Piece, Pieces,
};
use crate::http::local_images::Images;
use crate::logs::Stream;
use crate::logs::follow::{Follow, Origin as LogOrigin, Watch};
use crate::model::{AllocId, NodeId};
use crate::sys::report::{self, Kind};
use crate::sys::tasks::Tasks;

/// So much of a file is read at once.
const PIECE: usize = 64 * 1024;

/// This agent's own client.
#[derive(Debug, Clone)]
pub(super) struct OwnNode {
    pub(super) node: Node,
    /// Its images; none on a node that runs no containers.
    pub(super) images: Option<OwnImages>,
    /// Sessions of commands in tasks.
    pub(super) tasks: Tasks,
}

fn failed(error: &ClientError) -> LocalError {
    LocalError { kind: error.kind(), text: report::chain(error) }
}

fn broken(what: &str, error: &std::io::Error) -> LocalError {
    LocalError { kind: Kind::Internal, text: format!("{what}: {error}") }
}

fn info(file: crate::client::local::FileInfo) -> FileInfo {
    FileInfo {
        name: file.name,
        is_dir: file.is_dir,
        size: u64::try_from(file.size).unwrap_or(0),
        file_mode: file.mode,
        mod_time: file.mod_time.rfc3339(),
        content_type: file.content_type.unwrap_or_default(),
    }
}

fn to_json<T: serde::Serialize>(value: &T) -> LocalResult<Value> {
    serde_json::to_value(value)
        .map_err(|error| LocalError { kind: Kind::Internal, text: error.to_string() })
}

impl OwnNode {
    /// That client, with what it needs to be asked.
    pub(super) fn new(node: Node, tasks: Tasks) -> Self {
        let store = node.images().cloned();
        let images = store.map(|store| OwnImages { node: node.clone(), store });
        Self { node, images, tasks }
    }

    /// Whether the node that is meant is this one.
    fn check_node(&self, node: Option<&NodeId>) -> LocalResult<()> {
        let own = self.node.node();
        match node.filter(|node| **node != own.id) {
            None => Ok(()),
            Some(other) => {
                let text = format!(
                    "No path to node {}: this agent has no connection to it, it is node {}",
                    other.short(),
                    own.id.short()
                );
                Err(LocalError { kind: Kind::Unavailable, text })
            }
        }
    }

    /// `missing` is what is said when the allocation has no such task.
    fn check_task(&self, alloc: &AllocId, task: &str, missing: String) -> LocalResult<()> {
        let tasks = self.node.tasks(alloc.as_str()).map_err(|error| failed(&error))?;
        if tasks.iter().any(|name| name == task) {
            return Ok(());
        }
        Err(LocalError { kind: Kind::NotFound, text: missing })
    }

    fn open_log(&self, alloc: &AllocId, request: &LogRequest) -> LocalResult<Pieces> {
        let missing = format!("unknown task name \"{}\"", request.task);
        self.check_task(alloc, &request.task, missing)?;
        let dir = self.node.log_dir(alloc.as_str()).map_err(|error| failed(&error))?;
        let stream = if request.stderr { Stream::Stderr } else { Stream::Stdout };
        let origin = match request.origin {
            Origin::Start(offset) => LogOrigin::Start(offset),
            Origin::End(offset) => LogOrigin::End(offset),
        };
        let log =
            Follow::open(&dir, &request.task, stream, origin, request.follow).map_err(|error| {
                broken(&format!("alloc {alloc}: open the log of {}", request.task), &error)
            })?;
        let pieces = futures::stream::try_unfold(log, |mut log| async move {
            let next = log.next().await.map_err(|error| broken("read the log", &error))?;
            Ok(next.map(|piece| {
                let data = Bytes::from(piece.data);
                let file = format!("alloc/logs/{}", piece.file);
                (Piece { file, offset: piece.offset, data, event: String::new() }, log)
            }))
        });
        Ok(pieces.boxed())
    }

    async fn open_file(&self, alloc: &AllocId, path: &str) -> LocalResult<(File, u64)> {
        let opened = self.node.open(alloc.as_str(), path).await.map_err(|error| failed(&error))?;
        Ok((opened.file, u64::try_from(opened.info.size).unwrap_or(0)))
    }

    async fn open_exec(&self, alloc: &AllocId, request: ExecRequest) -> LocalResult<ExecSession> {
        self.check_task(alloc, &request.task, "task not found".to_owned())?;
        let size = request.tty.then_some(TerminalSize { width: 80, height: 24 });
        let wanted = DriverRequest {
            command: request.command,
            tty: request.tty,
            size,
            ..DriverRequest::default()
        };
        let opened = self.node.exec(alloc.as_str(), &request.task, &wanted).await;
        let session = opened.map_err(|error| failed(&error))?;
        let (input, mut told) = mpsc::channel(16);
        let (tell, output) = mpsc::channel(16);
        let (mut to_task, mut from_task) = (session.input, session.output);
        let stop = self.tasks.stop_token();
        self.tasks.spawn("exec input", async move {
            loop {
                let input = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    // What was not taken is of no use when the session ends.
                    input = told.recv() => input,
                };
                let passed = match input {
                    Some(ExecInput::Stdin(bytes)) => to_task.write(&bytes).await,
                    Some(ExecInput::Close) => to_task.close().await,
                    Some(ExecInput::Resize { width, height }) => {
                        to_task.resize(TerminalSize { width, height }).await
                    }
                    None => return,
                };
                if passed.is_err() {
                    return;
                }
            }
        });
        let stop = self.tasks.stop_token();
        self.tasks.spawn("exec output", async move {
            loop {
                let event = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    // Dropped by the stop only.
                    event = from_task.next() => event,
                };
                let output = match event {
                    Some(ExecEvent::Stdout(bytes)) => Ok(ExecOutput::Stdout(bytes.into())),
                    Some(ExecEvent::Stderr(bytes)) => Ok(ExecOutput::Stderr(bytes.into())),
                    Some(ExecEvent::Exited(code)) => Ok(ExecOutput::Exited(code)),
                    None => return,
                };
                if tell.send(output).await.is_err() {
                    return;
                }
            }
        });
        Ok(ExecSession { input, output })
    }
}

/// A file from an offset on, at most `limit` bytes; with `follow` on and on.
fn pieces(
    file: File,
    name: String,
    at: u64,
    limit: Option<u64>,
    follow: bool,
) -> LocalResult<Pieces> {
    let watch =
        if follow { Some(watch(&file).map_err(|e| broken("watch the file", &e))?) } else { None };
    let state = (file, name, at, limit, watch);
    let pieces = futures::stream::try_unfold(state, |(file, name, at, left, watch)| async move {
        loop {
            let wanted =
                left.map_or(PIECE, |left| PIECE.min(usize::try_from(left).unwrap_or(PIECE)));
            let mut data = vec![0; wanted];
            let count =
                file.read_at(&mut data, at).map_err(|error| broken("read the file", &error))?;
            if count > 0 {
                data.truncate(count);
                let at = at + count as u64;
                let left = left.map(|left| left - count as u64);
                let piece = Piece {
                    file: name.clone(),
                    offset: at,
                    data: data.into(),
                    event: String::new(),
                };
                return Ok(Some((piece, (file, name, at, left, watch))));
            }
            let Some(changed) = watch.as_ref().filter(|_| wanted > 0) else { return Ok(None) };
            let mut ready =
                changed.readable().await.map_err(|error| broken("watch the file", &error))?;
            // The events only say: look again.
            changed.get_ref().drain().map_err(|error| broken("watch the file", &error))?;
            ready.clear_ready();
        }
    });
    Ok(pieces.boxed())
}

fn watch(file: &File) -> std::io::Result<AsyncFd<Watch>> {
    use std::os::fd::AsRawFd as _;
    // The open file itself, whatever its name leads to by now.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Watch::new(std::path::Path::new(&path), AddWatchFlags::IN_MODIFY)
}

impl Local for OwnNode {
    fn ls<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
    ) -> BoxFuture<'a, LocalResult<Vec<FileInfo>>> {
        async move {
            let files =
                self.node.list(alloc.as_str(), path).await.map_err(|error| failed(&error))?;
            Ok(files.into_iter().map(info).collect())
        }
        .boxed()
    }

    fn stat<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
    ) -> BoxFuture<'a, LocalResult<FileInfo>> {
        async move {
            self.node.stat(alloc.as_str(), path).await.map(info).map_err(|error| failed(&error))
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
        (offset, limit): (u64, Option<u64>),
    ) -> BoxFuture<'a, LocalResult<Pieces>> {
        async move {
            let (file, _) = self.open_file(alloc, path).await?;
            pieces(file, path.to_owned(), offset, limit, false)
        }
        .boxed()
    }

    fn stream<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
        origin: Origin,
        follow: bool,
    ) -> BoxFuture<'a, LocalResult<Pieces>> {
        async move {
            let (file, size) = self.open_file(alloc, path).await?;
            let at = match origin {
                Origin::Start(offset) => offset,
                Origin::End(offset) => size - offset.min(size),
            };
            pieces(file, path.to_owned(), at, None, follow)
        }
        .boxed()
    }

    fn logs<'a>(
        &'a self,
        alloc: &'a AllocId,
        request: LogRequest,
    ) -> BoxFuture<'a, LocalResult<Pieces>> {
        std::future::ready(self.open_log(alloc, &request)).boxed()
    }

    fn alloc_stats<'a>(
        &'a self,
        alloc: &'a AllocId,
        task: Option<&'a str>,
    ) -> BoxFuture<'a, LocalResult<Value>> {
        async move {
            let stats =
                self.node.stats(alloc.as_str(), task).await.map_err(|error| failed(&error))?;
            to_json(&stats)
        }
        .boxed()
    }

    fn host_stats<'a>(&'a self, node: Option<&'a NodeId>) -> BoxFuture<'a, LocalResult<Value>> {
        async move {
            self.check_node(node)?;
            to_json(&self.node.host_stats().await.map_err(|error| failed(&error))?)
        }
        .boxed()
    }

    fn restart<'a>(
        &'a self,
        alloc: &'a AllocId,
        task: Option<&'a str>,
        all: bool,
    ) -> BoxFuture<'a, LocalResult<()>> {
        async move {
            let restarted = if all {
                self.node.restart_all(alloc.as_str()).await
            } else {
                self.node.restart(alloc.as_str(), task).await
            };
            restarted.map_err(|error| failed(&error))
        }
        .boxed()
    }

    fn signal<'a>(
        &'a self,
        alloc: &'a AllocId,
        task: Option<&'a str>,
        signal: &'a str,
    ) -> BoxFuture<'a, LocalResult<()>> {
        async move {
            self.node.signal(alloc.as_str(), task, signal).await.map_err(|error| failed(&error))
        }
        .boxed()
    }

    fn gc<'a>(&'a self, ended: Ended<'a>) -> BoxFuture<'a, LocalResult<()>> {
        async move {
            match ended {
                Ended::Alloc(alloc) => {
                    self.node.collect(alloc.as_str()).await.map_err(|error| failed(&error))
                }
                Ended::All(node) => {
                    self.check_node(node)?;
                    self.node.collect_all().await;
                    Ok(())
                }
            }
        }
        .boxed()
    }

    fn exec<'a>(
        &'a self,
        alloc: &'a AllocId,
        request: ExecRequest,
    ) -> BoxFuture<'a, LocalResult<ExecSession>> {
        self.open_exec(alloc, request).boxed()
    }

    fn images(&self) -> LocalResult<&dyn Images> {
        let images = self.images.as_ref().map(|images| -> &dyn Images { images });
        images.ok_or_else(|| LocalError {
            kind: Kind::NotFound,
            text: "this node keeps no images".to_owned(),
        })
    }
}
