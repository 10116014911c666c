//! ◇ The node's side: answers what a server asks of it.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Response;
use hyper::body::{Frame, Incoming};
use serde_json::Value;

use super::frame::{self, Decoder};
use super::listen::refusal;
use super::local_wire::{Answer, Question, Told};
use super::{Body, RpcError, whole};
use crate::http::Local;
use crate::http::local::{
    Ended, ExecInput, ExecOutput, ExecRequest, ExecSession, LocalError, LocalResult, Pieces,
};
use crate::sys::report::Kind;
use crate::sys::tasks::Tasks;

/// The frames of a body, as they come.
pub(super) struct Frames {
    body: Incoming,
    decoder: Decoder,
}

impl Frames {
    pub(super) fn of(body: Incoming) -> Self {
        Self { body, decoder: Decoder::default() }
    }

    /// The next; `None` when there are no more.
    pub(super) async fn next<T: serde::de::DeserializeOwned>(
        &mut self,
    ) -> Result<Option<(T, Bytes)>, RpcError> {
        loop {
            let next = self.decoder.next();
            let next = next.map_err(|error| RpcError::new(Kind::Invalid, error.to_string()))?;
            if next.is_some() {
                return Ok(next);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.decoder.push(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Err(RpcError::away(error)),
                None => return Ok(None),
            }
        }
    }
}

/// Answers one question.
pub(super) async fn answer(body: Incoming, local: Arc<dyn Local>, tasks: &Tasks) -> Response<Body> {
    let mut frames = Frames::of(body);
    let question = match frames.next::<Question>().await {
        Ok(Some((question, _))) => question,
        Ok(None) => return refusal(&RpcError::new(Kind::Invalid, "nothing was asked")),
        Err(error) => return refusal(&error),
    };
    let answered = match question {
        Question::Read { alloc, path, offset, limit } => {
            local.read(&alloc, &path, (offset, limit)).await.map(pieces)
        }
        Question::Stream { alloc, path, origin, follow } => {
            local.stream(&alloc, &path, origin.into(), follow).await.map(pieces)
        }
        Question::Logs { alloc, log } => local.logs(&alloc, log.into()).await.map(pieces),
        Question::Exec { alloc, task, command, tty } => {
            let request = ExecRequest { task, command, tty };
            local.exec(&alloc, request).await.map(|session| exec(session, frames, tasks))
        }
        other => simple(&*local, other).await.map(|value| one(&Answer::Value(value))),
    };
    answered.map_or_else(
        |error: LocalError| refusal(&RpcError::new(error.kind, error.text)),
        Response::new,
    )
}

/// Questions with an answer of one piece.
async fn simple(local: &dyn Local, question: Question) -> LocalResult<Value> {
    match question {
        Question::Ls { alloc, path } => json(&local.ls(&alloc, &path).await?),
        Question::Stat { alloc, path } => json(&local.stat(&alloc, &path).await?),
        Question::AllocStats { alloc, task } => local.alloc_stats(&alloc, task.as_deref()).await,
        Question::HostStats => local.host_stats(None).await,
        Question::Restart { alloc, task, all } => {
            local.restart(&alloc, task.as_deref(), all).await.map(|()| Value::Null)
        }
        Question::Signal { alloc, task, signal } => {
            local.signal(&alloc, task.as_deref(), &signal).await.map(|()| Value::Null)
        }
        Question::Gc { alloc } => {
            let ended = alloc.as_ref().map_or(Ended::All(None), Ended::Alloc);
            local.gc(ended).await.map(|()| Value::Null)
        }
        Question::Read { .. }
        | Question::Stream { .. }
        | Question::Logs { .. }
        | Question::Exec { .. } => Ok(Value::Null),
    }
}

fn json<T: serde::Serialize>(value: &T) -> LocalResult<Value> {
    serde_json::to_value(value)
        .map_err(|error| LocalError { kind: Kind::Internal, text: error.to_string() })
}

fn encoded(answer: &Answer, data: &[u8]) -> std::io::Result<Bytes> {
    frame::encode(answer, data).map_err(std::io::Error::other)
}

fn one(answer: &Answer) -> Body {
    whole(encoded(answer, &[]).unwrap_or_default())
}

fn pieces(pieces: Pieces) -> Body {
    let frames = pieces.map(|piece| match piece {
        Ok(piece) => {
            let head = Answer::Piece { file: piece.file, offset: piece.offset, event: piece.event };
            encoded(&head, &piece.data)
        }
        Err(error) => encoded(&Answer::from(&error), &[]),
    });
    StreamBody::new(frames.map_ok(Frame::data)).boxed_unsync()
}

fn exec(session: ExecSession, mut told: Frames, tasks: &Tasks) -> Body {
    let ExecSession { input, output } = session;
    let stop = tasks.stop_token();
    tasks.spawn("exec input", async move {
        loop {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // Dropped by the stop only.
                next = told.next::<Told>() => next,
            };
            let passed = match next {
                Ok(Some((Told::Stdin, data))) => input.send(ExecInput::Stdin(data)).await,
                Ok(Some((Told::Close, _))) => input.send(ExecInput::Close).await,
                Ok(Some((Told::Resize { width, height }, _))) => {
                    input.send(ExecInput::Resize { width, height }).await
                }
                Ok(None) | Err(_) => return,
            };
            if passed.is_err() {
                return;
            }
        }
    });
    let frames = futures::stream::unfold(output, |mut output| async move {
        let frame = match output.recv().await? {
            Ok(ExecOutput::Stdout(data)) => encoded(&Answer::Stdout, &data),
            Ok(ExecOutput::Stderr(data)) => encoded(&Answer::Stderr, &data),
            Ok(ExecOutput::Exited(code)) => encoded(&Answer::Exited(code), &[]),
            Err(error) => encoded(&Answer::from(&error), &[]),
        };
        Some((frame, output))
    });
    StreamBody::new(frames.map_ok(Frame::data)).boxed_unsync()
}
