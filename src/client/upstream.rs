//! ◇ What the node needs of the servers. The agent implements it: an in-process call on one box, a connection
//! otherwise. The node never knows which.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::model::{Allocation, Index, Node, NodeId};
use crate::sys::report::Kind;

/// The servers, as a node sees them. Every call may fail and is made again by the node.
pub trait Upstream: Debug + Send + Sync {
    /// Registers the node, or what changed of it. It is ready for allocations when this returns.
    fn register(&self, node: Arc<Node>) -> BoxFuture<'_, Result<Lease, UpstreamError>>;

    /// Says that the node is alive. [`Kind::NotFound`] when the servers do not know it: register again.
    fn heartbeat(&self, node: &NodeId) -> BoxFuture<'_, Result<Lease, UpstreamError>>;

    /// Every allocation of the node, each with its job, as soon as a server changed something of them after
    /// `after`. Waits until then, or for some minutes.
    fn desired(&self, node: &NodeId, after: Index)
    -> BoxFuture<'_, Result<Desired, UpstreamError>>;

    /// Tells how allocations are. Of each only what a node may say is looked at.
    fn update(
        &self,
        node: &NodeId,
        allocs: Vec<Allocation>,
    ) -> BoxFuture<'_, Result<(), UpstreamError>>;
}

/// For how long the servers believe that the node is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The next heartbeat is due before this has passed.
    pub ttl: Duration,
}

/// What the servers want of a node.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// The index of the state in which that was so. Give it to the next call.
    pub index: Index,
    /// All allocations the servers know of the node.
    pub allocs: Vec<Arc<Allocation>>,
}

/// Why the servers did not do it.
#[derive(Debug, thiserror::Error)]
#[error("server: {reason}")]
pub struct UpstreamError {
    /// What it means.
    pub kind: Kind,
    /// For people.
    pub reason: String,
}
