//! ◇ The servers, as a node without one of its own sees them: whichever of its list answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RpcError;
use super::call::Line;
use super::node_calls::{AskDesired, IsDesired, Leased, Proof, Register, Update};
use super::tls::Tls;
use crate::agent::upstream::Seen;
use crate::client::{Desired, Lease, Upstream, UpstreamError};
use crate::model::{Allocation, Index, Node, NodeId};
use crate::sys::report::Kind;
use crate::sys::tasks::Tasks;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// A question for what is desired waits for a change.
const LONG_PATIENCE: Duration = Duration::from_secs(330);

/// Servers that are reached over the network.
#[derive(Debug)]
pub(in crate::agent) struct Servers {
    addresses: Vec<String>,
    tls: Tls,
    tasks: Tasks,
    /// Proves who the node is; known with its registration. Locked for moments only.
    secret: Mutex<String>,
    /// What it was told last. Locked for moments only.
    seen: Mutex<Seen>,
    /// The server in use. Held while dialling, so that one dials for all.
    current: tokio::sync::Mutex<Current>,
}

/// The server in use.
#[derive(Debug, Default)]
struct Current {
    /// Its place in the list; the next to be dialled when there is no line.
    place: usize,
    /// Which of all lines this is; an answer that comes late must not cost a newer one.
    number: u64,
    line: Option<Line>,
}

impl Servers {
    pub(in crate::agent) fn new(addresses: Vec<String>, tls: Tls, tasks: Tasks) -> Self {
        let (secret, seen) = (Mutex::default(), Mutex::default());
        Self { addresses, tls, tasks, secret, seen, current: tokio::sync::Mutex::default() }
    }

    /// A line, and its number.
    async fn line(&self) -> Result<(Line, u64), RpcError> {
        let mut current = self.current.lock().await;
        if let Some(line) = current.line.as_ref().filter(|line| !line.is_closed()) {
            return Ok((line.clone(), current.number));
        }
        let mut failures: Vec<RpcError> = Vec::new();
        for turn in 0..self.addresses.len() {
            let place = (current.place + turn) % self.addresses.len();
            match Line::dial(&self.addresses[place], &self.tls, &self.tasks).await {
                Ok(line) => {
                    let number = current.number + 1;
                    *current = Current { place, number, line: Some(line.clone()) };
                    return Ok((line, number));
                }
                Err(error) => failures.push(error),
            }
        }
        let kind = failures.first().map_or(Kind::Unavailable, |first| first.kind);
        let kind = if failures.iter().all(|e| e.kind == kind) { kind } else { Kind::Unavailable };
        let reasons: Vec<_> = failures.into_iter().map(|error| error.reason).collect();
        Err(RpcError::new(kind, reasons.join("; ")))
    }

    /// Leaves a server that cannot help, unless another is in use already.
    async fn leave(&self, number: u64) {
        let mut current = self.current.lock().await;
        if current.number == number {
            (current.place, current.line) = (current.place + 1, None);
        }
    }

    async fn ask<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &str,
        question: &Q,
        patience: Duration,
    ) -> Result<A, UpstreamError> {
        let (line, number) = self.line().await?;
        let answer = line.ask(path, question, patience).await;
        if answer.as_ref().is_err_and(|error: &RpcError| error.kind == Kind::Unavailable) {
            // Another server may know better.
            self.leave(number).await;
        }
        Ok(answer?)
    }

    fn proof(&self, node: &NodeId) -> Proof {
        let secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Proof { node: node.clone(), secret }
    }
}

fn lease(leased: &Leased) -> Lease {
    Lease { ttl: Duration::from_millis(leased.ttl_ms) }
}

impl Upstream for Servers {
    fn register(&self, node: Arc<Node>) -> BoxFuture<'_, Result<Lease, UpstreamError>> {
        async move {
            self.secret.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&node.secret_id);
            let question = Register { node: Node::clone(&node) };
            Ok(lease(&self.ask("/node/register", &question, PATIENCE).await?))
        }
        .boxed()
    }

    fn heartbeat(&self, node: &NodeId) -> BoxFuture<'_, Result<Lease, UpstreamError>> {
        let proof = self.proof(node);
        async move { Ok(lease(&self.ask("/node/heartbeat", &proof, PATIENCE).await?)) }.boxed()
    }

    fn desired(
        &self,
        node: &NodeId,
        after: Index,
    ) -> BoxFuture<'_, Result<Desired, UpstreamError>> {
        let proof = self.proof(node);
        async move {
            let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let question = AskDesired { proof, after, seen };
            let IsDesired { index, allocs, seen } =
                self.ask("/node/desired", &question, LONG_PATIENCE).await?;
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
            Ok(Desired { index, allocs: allocs.into_iter().map(Arc::new).collect() })
        }
        .boxed()
    }

    fn update(
        &self,
        node: &NodeId,
        allocs: Vec<Allocation>,
    ) -> BoxFuture<'_, Result<(), UpstreamError>> {
        let proof = self.proof(node);
        async move { self.ask("/node/update", &Update { proof, allocs }, PATIENCE).await }.boxed()
    }
}
