//! ◇ A connection on which calls are made, whoever dialled it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::tls::Tls;
use super::{Body, Refusal, RpcError, whole};
use crate::sys::report::{self, Kind};
use crate::sys::tasks::Tasks;

/// A silent other side is asked whether it is there …
pub(super) const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// … and must answer within this.
pub(super) const ALIVE_WITHIN: Duration = Duration::from_secs(10);
/// How long reaching somebody may take.
pub(super) const DIAL: Duration = Duration::from_secs(5);
/// No answer of a server that is taken whole may be longer: allocations of a node, each with its job.
const LONGEST_OF_SERVER: usize = 256 * 1024 * 1024;
/// How long the end of a connection may take to be noticed after a call on it failed.
const NOTICED: Duration = Duration::from_millis(200);

/// A connection on which calls are made. Clones share it.
#[derive(Debug, Clone)]
pub(in crate::agent) struct Line {
    sender: SendRequest<Body>,
    /// Who is called, for errors.
    other: Arc<str>,
    /// Answers that are taken whole may not be longer.
    longest: usize,
    /// Why it ended; nothing while it lasts.
    ended: watch::Receiver<Option<RpcError>>,
}

/// Why a call gave no answer.
enum CallError {
    /// The other side said so, in its words.
    Refused(RpcError),
    /// It could not be asked, or not be heard.
    Failed(RpcError),
}

/// Who is called.
#[derive(Debug, Clone)]
pub(super) struct Other {
    /// For errors: `server at 10.0.0.1:4647`.
    pub name: String,
    /// Answers that are taken whole may not be longer.
    pub longest: usize,
}

impl Line {
    /// Reaches a server.
    pub(super) async fn dial(address: &str, tls: &Tls, tasks: &Tasks) -> Result<Self, RpcError> {
        let other = format!("server at {address}");
        let stream = connect(address).await?;
        let secured = tls.forward().connect(tls.server_name(), stream);
        let secured = within(&other, DIAL, secured).await?;
        let secured = secured.map_err(|error| tls.failed(&other, &error))?;
        let other = Other { name: other, longest: LONGEST_OF_SERVER };
        Self::over(secured, other, tls, tasks).await
    }

    /// Makes calls on a connection that is there.
    pub(super) async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        Other { name: other, longest }: Other,
        tls: &Tls,
        tasks: &Tasks,
    ) -> Result<Self, RpcError> {
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(ALIVE_EVERY)
            .keep_alive_timeout(ALIVE_WITHIN)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream));
        let shaken = within(&other, DIAL, handshake).await?;
        let (sender, connection) = shaken.map_err(|error| broken(&other, &error))?;
        let (tell, ended) = watch::channel(None);
        let (stop, tls, name) = (tasks.stop_token(), tls.clone(), other.clone());
        tasks.spawn("line", async move {
            let why = tokio::select! {
                biased;
                () = stop.cancelled() => RpcError::away(format!("{name}: this agent stops")),
                // Dropped by the stop only.
                ended = connection => match ended {
                    Ok(()) => RpcError::away(format!("{name}: it closed the connection")),
                    Err(error) => tls.ended(&name, &report::chain(&error)),
                },
            };
            tell.send_replace(Some(why));
        });
        Ok(Self { sender, other: other.into(), longest, ended })
    }

    /// The same, when it is known better who is called.
    pub(super) fn called(self, name: String) -> Self {
        Self { other: name.into(), ..self }
    }

    /// Whether no call can be made any more.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed() || self.ended.borrow().is_some()
    }

    /// Completes when no call can be made any more, and says why.
    pub(super) async fn closed(&self) -> RpcError {
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(Option::is_some).await;
        let why = ended.ok().and_then(|why| why.clone());
        why.unwrap_or_else(|| RpcError::away(format!("{}: the connection ended", self.other)))
    }

    /// Asks, and takes the answer whole.
    pub(super) async fn ask<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &str,
        question: &Q,
        patience: Duration,
    ) -> Result<A, RpcError> {
        let wrong = |what: &str, error: &serde_json::Error| {
            RpcError::new(Kind::Internal, format!("{}: `{path}`: {what}: {error}", self.other))
        };
        let text = serde_json::to_vec(question).map_err(|error| wrong("question", &error))?;
        let bytes = self.send(path, whole(text), patience).await?;
        serde_json::from_slice(&bytes).map_err(|error| wrong("answer", &error))
    }

    /// Sends bytes, and takes the answer whole.
    pub(super) async fn send(
        &self,
        path: &str,
        body: Body,
        patience: Duration,
    ) -> Result<Bytes, RpcError> {
        let answered = async {
            let response = self.call(path, body).await.map_err(|error| match error {
                CallError::Refused(error) => self.named(&error),
                CallError::Failed(error) => error,
            })?;
            collect(response.into_body(), self.longest).await.map_err(|error| self.named(&error))
        };
        within(&format!("{}: `{path}`", self.other), patience, answered).await?
    }

    /// Makes a call whose answer comes in pieces. The first of it must come in time. A refusal is told in the other
    /// side's words only: people who asked for a file need not know where it is.
    pub(super) async fn open(
        &self,
        path: &str,
        body: Body,
        patience: Duration,
    ) -> Result<Response<Incoming>, RpcError> {
        let opened = self.call(path, body);
        let opened = within(&format!("{}: `{path}`", self.other), patience, opened).await?;
        opened.map_err(|error| match error {
            CallError::Refused(error) | CallError::Failed(error) => error,
        })
    }

    async fn call(&self, path: &str, body: Body) -> Result<Response<Incoming>, CallError> {
        let request = Request::builder().method(Method::POST).uri(format!("https://agent{path}"));
        let request = request.body(body).map_err(|error| {
            let reason = format!("{}: `{path}`: {error}", self.other);
            CallError::Failed(RpcError::new(Kind::Internal, reason))
        })?;
        let mut sender = self.sender.clone();
        let sent = async {
            sender.ready().await?;
            sender.send_request(request).await
        };
        let response = match sent.await {
            Ok(response) => response,
            Err(error) => return Err(CallError::Failed(self.failed(&error).await)),
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let bytes = collect(response.into_body(), self.longest).await;
        let bytes = bytes.map_err(|error| CallError::Failed(self.named(&error)))?;
        let refusal: Result<Refusal, _> = serde_json::from_slice(&bytes);
        Err(CallError::Refused(match refusal {
            Ok(refusal) => refusal.into(),
            Err(_) => RpcError::away(format!("`{path}`: refused without a reason")),
        }))
    }

    /// Why a call failed: what ended the connection says more than the call itself.
    async fn failed(&self, error: &hyper::Error) -> RpcError {
        let why = tokio::time::timeout(NOTICED, self.closed()).await;
        why.unwrap_or_else(|_| broken(&self.other, error))
    }

    /// The error, with who it is from.
    fn named(&self, error: &RpcError) -> RpcError {
        RpcError::new(error.kind, format!("{}: {}", self.other, error.reason))
    }
}

fn broken(other: &str, error: &hyper::Error) -> RpcError {
    RpcError::away(format!("{other}: {}", report::chain(error)))
}

/// A body, all of it, but no more than `longest` bytes.
pub(super) async fn collect(body: Incoming, longest: usize) -> Result<Bytes, RpcError> {
    let limited = http_body_util::Limited::new(body, longest);
    let collected = limited.collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            let reason = format!("a message of more than {longest} bytes");
            return RpcError::new(Kind::Invalid, reason);
        }
        RpcError::away(report::chain(&*error))
    })
}

/// A connection to `host:port`.
pub(super) async fn connect(address: &str) -> Result<TcpStream, RpcError> {
    let other = format!("server at {address}");
    let stream = within(&other, DIAL, TcpStream::connect(address)).await?;
    let stream = stream.map_err(|error| RpcError::away(format!("{other}: connect: {error}")))?;
    // Small calls must not wait for an acknowledgement; failing to set it only costs time.
    stream.set_nodelay(true).unwrap_or_default();
    Ok(stream)
}

/// Gives up on `what` after `patience`.
pub(super) async fn within<T>(
    what: &str,
    patience: Duration,
    future: impl Future<Output = T>,
) -> Result<T, RpcError> {
    tokio::time::timeout(patience, future)
        .await
        .map_err(|_| RpcError::away(format!("{what}: no answer within {} s", patience.as_secs())))
}
