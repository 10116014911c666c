//! ◇ The servers as this agent's own client sees them: a call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::client::{Desired, Lease, Upstream, UpstreamError};
use crate::model::{Allocation, Index, Node, NodeId};
use crate::server::{Server, ServerError};
use crate::state::State;
use crate::state::watch::Topic;
use crate::sys::report;

/// How long a question for what is desired waits for a change.
const WAIT: Duration = Duration::from_mins(5);

/// What a node was told last of its allocations: how many there were, and when a server last changed one of them.
/// That one is gone shows in the first number only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    count: usize,
    newest: Index,
}

/// Every allocation of a node, as soon as that is not what it has `seen` any more; at the latest after some minutes.
/// The index is that of the state.
pub(super) async fn desired(
    server: &Server,
    node: &NodeId,
    after: Index,
    seen: Seen,
) -> (Desired, Seen) {
    let newest = |state: &State| {
        let indexes = state.allocs_by_node(node).map(|alloc| alloc.alloc_modify_index);
        let (count, newest) =
            indexes.fold((0, 0), |(count, most), index| (count + 1, index.max(most)));
        let now = Seen { count, newest };
        // Nothing new is an index that nobody waits for.
        (if after == 0 || now != seen { state.index().max(1) } else { 0 }, now)
    };
    let topics = [Topic::AllocsOfNode(node.clone())];
    let (state, _, seen) = server.watch().block(&topics, after, WAIT, newest).await;
    let allocs = state.allocs_by_node(node).cloned().collect();
    (Desired { index: state.index().max(1), allocs }, seen)
}

/// The server of this very agent.
#[derive(Debug)]
pub(super) struct OwnServer {
    server: Server,
    /// What the client was told last. Locked for moments only.
    seen: Mutex<Seen>,
}

impl OwnServer {
    pub(super) fn new(server: Server) -> Self {
        Self { server, seen: Mutex::default() }
    }
}

fn refused(error: &ServerError) -> UpstreamError {
    UpstreamError { kind: error.kind(), reason: report::chain(error) }
}

impl Upstream for OwnServer {
    fn register(&self, node: Arc<Node>) -> BoxFuture<'_, Result<Lease, UpstreamError>> {
        async move {
            let lease = self
                .server
                .register_node(Node::clone(&node))
                .await
                .map_err(|error| refused(&error))?;
            Ok(Lease { ttl: lease.ttl })
        }
        .boxed()
    }

    fn heartbeat(&self, node: &NodeId) -> BoxFuture<'_, Result<Lease, UpstreamError>> {
        let node = node.clone();
        async move {
            let lease = self.server.heartbeat(&node).await.map_err(|error| refused(&error))?;
            Ok(Lease { ttl: lease.ttl })
        }
        .boxed()
    }

    fn desired(
        &self,
        node: &NodeId,
        after: Index,
    ) -> BoxFuture<'_, Result<Desired, UpstreamError>> {
        let node = node.clone();
        async move {
            let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let (desired, seen) = desired(&self.server, &node, after, seen).await;
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
            Ok(desired)
        }
        .boxed()
    }

    fn update(
        &self,
        _node: &NodeId,
        allocs: Vec<Allocation>,
    ) -> BoxFuture<'_, Result<(), UpstreamError>> {
        async move { self.server.update_allocs(allocs).await.map(drop).map_err(|error| refused(&error)) }
            .boxed()
    }
}
