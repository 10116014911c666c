//! ◇ A server's port: nodes and servers come in.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio_rustls::server::TlsStream;

use super::call::{ALIVE_EVERY, ALIVE_WITHIN, Line, Other, collect, within};
use super::node_calls::{self, Proof};
use super::nodes::Nodes;
use super::tls::{Role, Tls};
use super::{Body, REVERSE, Refusal, RpcError, whole};
use crate::raft::{Leadership, RpcKind};
use crate::server::Server;
use crate::sys::report::Kind;
use crate::sys::tasks::{Stop, Tasks};

/// How long somebody who dials has to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// How many may be about to say it; more wait in the listener's queue.
const INTRODUCTIONS: usize = 512;
/// How long a call may take to arrive whole.
const ARRIVAL: Duration = Duration::from_mins(1);
/// How long a call that is passed on to the leader may take; questions for what is desired wait for minutes.
const PASSED_ON: Duration = Duration::from_secs(330);
/// Calls of one connection that are answered at once: a node makes a few …
const AT_ONCE_OF_NODE: u32 = 64;
/// … and a server passes on those of all nodes that chose it, one of each waiting for minutes.
const AT_ONCE_OF_SERVER: u32 = 100_000;
/// Nothing a node says of who it is may be longer.
const LONGEST_PROOF: usize = 64 * 1024;
/// No call of a node may be longer …
const LONGEST_OF_NODE: usize = 16 * 1024 * 1024;
/// … and none of a server: entries of the log, many at a time.
const LONGEST_OF_SERVER: usize = 256 * 1024 * 1024;

/// A server's port. Clones are the same one.
#[derive(Debug, Clone)]
pub(in crate::agent) struct Port {
    server: Server,
    tls: Tls,
    nodes: Nodes,
    /// The way to the leader when this server is not. Held while it is dialled, so that one dials for all.
    leader: Arc<Mutex<Option<(String, Line)>>>,
    tasks: Tasks,
}

/// Takes whoever has a certificate of the cluster until told to stop.
pub(in crate::agent) async fn serve(port: Port, listener: TcpListener, stop: Stop) {
    let introductions = Arc::new(Semaphore::new(INTRODUCTIONS));
    loop {
        let accepted = async {
            let place = Arc::clone(&introductions).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Nothing is lost when this is dropped: the connection stays in the listener's queue.
            accepted = accepted => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, most likely: give others a moment to close some.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (port, stop) = (port.clone(), port.tasks.stop_token());
        let tasks = port.tasks.clone();
        tasks.spawn("rpc connection", async move {
            let taken = async {
                let introduced = port.introduce(stream).await;
                drop(place);
                let (stream, role) = introduced?;
                Box::pin(port.take(stream, role)).await
            };
            let ended = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // Dropped by the stop only.
                ended = taken => ended,
            };
            match ended {
                // Somebody tried to come in who may not: its owner looks for why, most likely.
                Err(error) if error.kind == Kind::Denied => {
                    tracing::warn!(%peer, %error, "rpc connection refused");
                }
                Ok(()) | Err(_) => tracing::debug!(%peer, ?ended, "rpc connection ended"),
            }
        });
    }
}

impl Port {
    pub(in crate::agent) fn new(server: Server, tls: Tls, nodes: Nodes, tasks: Tasks) -> Self {
        Self { server, tls, nodes, leader: Arc::default(), tasks }
    }

    /// Who dialled, and what it may do. A certificate of our authority without a role gets an answer that says so.
    async fn introduce(
        &self,
        stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Result<Role, RpcError>), RpcError> {
        // Small calls must not wait for an acknowledgement; failing to set it only costs time.
        stream.set_nodelay(true).unwrap_or_default();
        let accepted = self.tls.acceptor().accept(stream);
        let secured = within("TLS", INTRODUCTION, accepted).await?;
        let secured = secured.map_err(|error| self.tls.failed("who dialled", &error))?;
        let certificates = secured.get_ref().1.peer_certificates();
        let role = self.tls.role(certificates.and_then(<[_]>::first));
        Ok((secured, role))
    }

    async fn take(
        &self,
        stream: TlsStream<TcpStream>,
        role: Result<Role, RpcError>,
    ) -> Result<(), RpcError> {
        if stream.get_ref().1.alpn_protocol() == Some(REVERSE) {
            return self.take_node(stream, role).await;
        }
        let refused = role.clone().map(drop);
        self.answer_all(stream, role).await?;
        refused
    }

    /// The one who dialled is a node that waits for questions.
    async fn take_node(
        &self,
        stream: TlsStream<TcpStream>,
        role: Result<Role, RpcError>,
    ) -> Result<(), RpcError> {
        let other = Other { name: "node".to_owned(), longest: LONGEST_PROOF };
        let line = Line::over(stream, other, &self.tls, &self.tasks).await?;
        let proven = async {
            role?;
            let proof: Proof = line.ask("/who", &(), INTRODUCTION).await?;
            node_calls::check(&self.server, &proof)?;
            Ok(proof)
        };
        let proof: Proof = match proven.await {
            Ok(proof) => proof,
            Err(error) => {
                // It says so in its own log; whether it hears is its own affair.
                line.ask("/refused", &Refusal::from(&error), INTRODUCTION).await.unwrap_or(());
                return Err(error);
            }
        };
        let line = line.called(format!("node {}", proof.node.short()));
        let number = self.nodes.add(proof.clone(), line.clone());
        line.ask("/welcome", &(), INTRODUCTION).await.unwrap_or(());
        tracing::debug!(node = %proof.node, "node can be asked");
        let ended = line.closed().await;
        self.nodes.remove(&proof, number);
        Err(ended)
    }

    async fn answer_all(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        role: Result<Role, RpcError>,
    ) -> Result<(), RpcError> {
        let at_once = match role {
            Ok(Role::Server) => AT_ONCE_OF_SERVER,
            Ok(Role::Client) | Err(_) => AT_ONCE_OF_NODE,
        };
        let service = service_fn(|request: Request<Incoming>| {
            let (port, role) = (self.clone(), role.clone());
            async move {
                let answered = async { port.answer(request, role?).await }.await;
                Ok::<_, Infallible>(
                    answered
                        .map_or_else(|error| refusal(&error), |bytes| Response::new(whole(bytes))),
                )
            }
        });
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(ALIVE_EVERY)
            .keep_alive_timeout(ALIVE_WITHIN)
            .max_concurrent_streams(at_once)
            .serve_connection(TokioIo::new(stream), service)
            .await
            .map_err(RpcError::away)
    }

    async fn answer(&self, request: Request<Incoming>, role: Role) -> Result<Bytes, RpcError> {
        let path = request.uri().path().to_owned();
        let longest = match role {
            Role::Server => LONGEST_OF_SERVER,
            Role::Client => LONGEST_OF_NODE,
        };
        let body = within(&path, ARRIVAL, collect(request.into_body(), longest)).await??;
        if let Some(what) = path.strip_prefix("/node/") {
            return match self.leader().await? {
                Some(leader) => {
                    leader.send(&format!("/passed-on/{what}"), whole(body), PASSED_ON).await
                }
                None => node_calls::answer(&self.server, what, &body).await,
            };
        }
        if role != Role::Server {
            let reason =
                format!("`{path}`: only servers may ask this: the certificate is a client's");
            return Err(RpcError::new(Kind::Denied, reason));
        }
        if let Some(what) = path.strip_prefix("/passed-on/") {
            // Two servers that each think the other leads must not pass a call to and fro.
            if !self.server.raft().leadership().borrow().is_leader() {
                return Err(RpcError::away("it does not lead any more"));
            }
            return node_calls::answer(&self.server, what, &body).await;
        }
        if let Some(kind) = path.strip_prefix("/raft/").and_then(RpcKind::named) {
            let answered = self.server.raft().handle_rpc(kind, &body).await;
            return answered.map_err(|error| RpcError::new(Kind::Conflict, error.to_string()));
        }
        Err(RpcError::new(Kind::NotFound, format!("no call `{path}`; is this agent older?")))
    }

    /// The way to the leader; none when that is this server.
    async fn leader(&self) -> Result<Option<Line>, RpcError> {
        let leadership = self.server.raft().leadership().borrow().clone();
        let address = match leadership {
            Leadership::Leader { .. } => return Ok(None),
            Leadership::Follower { leader: Some(leader) } => leader.member.address,
            Leadership::Follower { leader: None } => {
                return Err(RpcError::new(Kind::Unavailable, "No cluster leader"));
            }
        };
        let mut known = self.leader.lock().await;
        if let Some((at, line)) = &*known
            && *at == address
            && !line.is_closed()
        {
            return Ok(Some(line.clone()));
        }
        let line = Line::dial(&address, &self.tls, &self.tasks).await?;
        *known = Some((address, line.clone()));
        Ok(Some(line))
    }
}

/// An error as an answer.
pub(super) fn refusal(error: &RpcError) -> Response<Body> {
    let text = serde_json::to_vec(&Refusal::from(error)).unwrap_or_default();
    let mut response = Response::new(whole(text));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}
