//! ◇ Another node, as the API asks it: over the line it dialled.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;

use super::call::{Line, within};
use super::frame;
use super::local_calls::Frames;
use super::local_wire::{Answer, Question, Told, failure};
use super::{Body, RpcError, whole};
use crate::http::Local;
use crate::http::local::{
    Ended, ExecInput, ExecOutput, ExecRequest, ExecSession, FileInfo, LocalError, LocalResult,
    LogRequest, Origin, Piece, Pieces,
};
use crate::model::{AllocId, NodeId};
use crate::sys::report::Kind;
use crate::sys::tasks::Tasks;

/// How long a node may take to answer a simple question; collecting allocations takes longest.
const PATIENCE: Duration = Duration::from_mins(1);
/// Messages of a session that wait for a slow other side.
const WAITING: usize = 16;

/// Another node.
#[derive(Debug, Clone)]
pub(super) struct RemoteNode {
    pub line: Line,
    pub tasks: Tasks,
}

fn failed(error: &RpcError) -> LocalError {
    LocalError { kind: error.kind, text: error.reason.clone() }
}

fn unexpected() -> LocalError {
    LocalError { kind: Kind::Internal, text: "node: its answer is of another kind".to_owned() }
}

fn encoded<T: serde::Serialize>(head: &T, data: &[u8]) -> std::io::Result<Bytes> {
    frame::encode(head, data).map_err(std::io::Error::other)
}

impl RemoteNode {
    async fn frames(&self, question: &Question) -> LocalResult<Frames> {
        let bytes = encoded(question, &[]).map_err(|error| failed(&RpcError::away(error)))?;
        self.open(whole(bytes)).await
    }

    async fn open(&self, body: Body) -> LocalResult<Frames> {
        let response = self.line.open("/local", body, PATIENCE).await;
        let response = response.map_err(|error| failed(&error))?;
        Ok(Frames::of(response.into_body()))
    }

    /// A question with an answer of one piece.
    async fn value(&self, question: Question) -> LocalResult<Value> {
        let answered = async {
            let mut frames = self.frames(&question).await?;
            match frames.next::<Answer>().await.map_err(|error| failed(&error))? {
                Some((Answer::Value(value), _)) => Ok(value),
                Some((Answer::Failed { kind, reason }, _)) => Err(failure(kind, reason)),
                Some(_) | None => Err(unexpected()),
            }
        };
        within("node", PATIENCE, answered).await.map_err(|error| failed(&error))?
    }

    async fn typed<T: DeserializeOwned>(&self, question: Question) -> LocalResult<T> {
        serde_json::from_value(self.value(question).await?).map_err(|_| unexpected())
    }

    /// A question whose answer comes in pieces. The first is waited for only when it says that there are none.
    async fn pieces(&self, question: Question) -> LocalResult<Pieces> {
        let frames = self.frames(&question).await?;
        let pieces = futures::stream::try_unfold(frames, |mut frames| async move {
            let next = frames.next::<Answer>().await.map_err(|error| failed(&error))?;
            match next {
                None => Ok(None),
                Some((Answer::Piece { file, offset, event }, data)) => {
                    Ok(Some((Piece { file, offset, data, event }, frames)))
                }
                Some((Answer::Failed { kind, reason }, _)) => Err(failure(kind, reason)),
                Some(_) => Err(unexpected()),
            }
        });
        Ok(pieces.boxed())
    }

    async fn session(&self, alloc: &AllocId, request: ExecRequest) -> LocalResult<ExecSession> {
        let ExecRequest { task, command, tty } = request;
        let question = Question::Exec { alloc: alloc.clone(), task, command, tty };
        let first = encoded(&question, &[]);
        let (input, told) = mpsc::channel(WAITING);
        let (tell, output) = mpsc::channel(WAITING);
        let more =
            futures::stream::unfold(told, |mut told: mpsc::Receiver<ExecInput>| async move {
                let frame = match told.recv().await? {
                    ExecInput::Stdin(data) => encoded(&Told::Stdin, &data),
                    ExecInput::Close => encoded(&Told::Close, &[]),
                    ExecInput::Resize { width, height } => {
                        encoded(&Told::Resize { width, height }, &[])
                    }
                };
                Some((frame, told))
            });
        let frames = futures::stream::once(std::future::ready(first)).chain(more);
        let body = StreamBody::new(frames.map(|bytes| bytes.map(Frame::data))).boxed_unsync();
        let mut frames = self.open(body).await?;
        let stop = self.tasks.stop_token();
        self.tasks.spawn("exec output", async move {
            loop {
                let next = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    // Whoever listened has gone: dropping the frames ends the command.
                    () = tell.closed() => return,
                    next = frames.next::<Answer>() => next,
                };
                let (output, last) = match next {
                    Ok(Some((Answer::Stdout, data))) => (Ok(ExecOutput::Stdout(data)), false),
                    Ok(Some((Answer::Stderr, data))) => (Ok(ExecOutput::Stderr(data)), false),
                    Ok(Some((Answer::Exited(code), _))) => (Ok(ExecOutput::Exited(code)), true),
                    Ok(Some((Answer::Failed { kind, reason }, _))) => {
                        (Err(failure(kind, reason)), true)
                    }
                    Ok(Some(_)) => (Err(unexpected()), true),
                    Ok(None) => return,
                    Err(error) => (Err(failed(&error)), true),
                };
                if tell.send(output).await.is_err() || last {
                    return;
                }
            }
        });
        Ok(ExecSession { input, output })
    }
}

impl Local for RemoteNode {
    fn ls<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
    ) -> BoxFuture<'a, LocalResult<Vec<FileInfo>>> {
        self.typed(Question::Ls { alloc: alloc.clone(), path: path.to_owned() }).boxed()
    }

    fn stat<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
    ) -> BoxFuture<'a, LocalResult<FileInfo>> {
        self.typed(Question::Stat { alloc: alloc.clone(), path: path.to_owned() }).boxed()
    }

    fn read<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
        (offset, limit): (u64, Option<u64>),
    ) -> BoxFuture<'a, LocalResult<Pieces>> {
        let (alloc, path) = (alloc.clone(), path.to_owned());
        self.pieces(Question::Read { alloc, path, offset, limit }).boxed()
    }

    fn stream<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
        origin: Origin,
        follow: bool,
    ) -> BoxFuture<'a, LocalResult<Pieces>> {
        let (alloc, path) = (alloc.clone(), path.to_owned());
        self.pieces(Question::Stream { alloc, path, origin: origin.into(), follow }).boxed()
    }

    fn logs<'a>(
        &'a self,
        alloc: &'a AllocId,
        request: LogRequest,
    ) -> BoxFuture<'a, LocalResult<Pieces>> {
        self.pieces(Question::Logs { alloc: alloc.clone(), log: request.into() }).boxed()
    }

    fn alloc_stats<'a>(
        &'a self,
        alloc: &'a AllocId,
        task: Option<&'a str>,
    ) -> BoxFuture<'a, LocalResult<Value>> {
        let task = task.map(str::to_owned);
        self.value(Question::AllocStats { alloc: alloc.clone(), task }).boxed()
    }

    fn host_stats<'a>(&'a self, _: Option<&'a NodeId>) -> BoxFuture<'a, LocalResult<Value>> {
        self.value(Question::HostStats).boxed()
    }

    fn restart<'a>(
        &'a self,
        alloc: &'a AllocId,
        task: Option<&'a str>,
        all: bool,
    ) -> BoxFuture<'a, LocalResult<()>> {
        let (alloc, task) = (alloc.clone(), task.map(str::to_owned));
        let question = Question::Restart { alloc, task, all };
        async move { self.value(question).await.map(drop) }.boxed()
    }

    fn signal<'a>(
        &'a self,
        alloc: &'a AllocId,
        task: Option<&'a str>,
        signal: &'a str,
    ) -> BoxFuture<'a, LocalResult<()>> {
        let (alloc, task) = (alloc.clone(), task.map(str::to_owned));
        let question = Question::Signal { alloc, task, signal: signal.to_owned() };
        async move { self.value(question).await.map(drop) }.boxed()
    }

    fn gc<'a>(&'a self, ended: Ended<'a>) -> BoxFuture<'a, LocalResult<()>> {
        let alloc = match ended {
            Ended::Alloc(alloc) => Some(alloc.clone()),
            Ended::All(_) => None,
        };
        let question = Question::Gc { alloc };
        async move { self.value(question).await.map(drop) }.boxed()
    }

    fn exec<'a>(
        &'a self,
        alloc: &'a AllocId,
        request: ExecRequest,
    ) -> BoxFuture<'a, LocalResult<ExecSession>> {
        self.session(alloc, request).boxed()
    }
}
