//! ◇ The servers as this agent's own client sees them: a call.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::client::{Desired, Lease, Upstream, UpstreamError};
use crate::model::{Allocation, Index, Node, NodeId};
use crate::server::{Server, ServerError};
use crate::sys::report;

/// How long a question for what is desired waits for a change.
const WAIT: Duration = Duration::from_secs(300);

/// The server of this very agent.
#[derive(Debug, Clone)]
pub(super) struct OwnServer(pub(super) Server);

fn refused(error: &ServerError) -> UpstreamError {
    UpstreamError { kind: error.kind(), reason: report::chain(error) }
}

impl Upstream for OwnServer {
    fn register(&self, node: Arc<Node>) -> BoxFuture<'_, Result<Lease, UpstreamError>> {
        async move {
            let lease =
                self.0.register_node(Node::clone(&node)).await.map_err(|error| refused(&error))?;
            Ok(Lease { ttl: lease.ttl })
        }
        .boxed()
    }

    fn heartbeat(&self, node: &NodeId) -> BoxFuture<'_, Result<Lease, UpstreamError>> {
        let node = node.clone();
        async move {
            let lease = self.0.heartbeat(&node).await.map_err(|error| refused(&error))?;
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
            let (index, allocs) = self.0.node_allocs(&node, after, WAIT).await;
            Ok(Desired { index, allocs })
        }
        .boxed()
    }

    fn update(
        &self,
        _node: &NodeId,
        allocs: Vec<Allocation>,
    ) -> BoxFuture<'_, Result<(), UpstreamError>> {
        async move { self.0.update_allocs(allocs).await.map(drop).map_err(|error| refused(&error)) }
            .boxed()
    }
}
