//! Calls between servers. What carries them is lent by the agent; what they say is ours.

mod client;
mod serve;
mod snapshot;
mod wire;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

pub(super) use client::Network;
pub(super) use serve::{Desk, serve};

/// What a call asks for. Each may have its own path or stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RpcKind {
    /// Take these entries; also a leader's sign of life.
    Append,
    /// Vote for me.
    Vote,
    /// Would you vote for me?
    PreVote,
    /// Take a part of this snapshot.
    Snapshot,
    /// Become the leader.
    TransferLeader,
}

impl RpcKind {
    /// Its name in a path.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Vote => "vote",
            Self::PreVote => "pre-vote",
            Self::Snapshot => "snapshot",
            Self::TransferLeader => "transfer-leader",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Append, Self::Vote, Self::PreVote, Self::Snapshot, Self::TransferLeader]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// Why a call was not answered.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The other server could not be reached.
    #[error("server {target} at `{address}`: not reached: {reason}")]
    Unreachable {
        /// Which server.
        target: u64,
        /// Where it was looked for.
        address: String,
        /// Why.
        reason: String,
    },
    /// It was reached and refused: another server, another cluster, or no understanding.
    #[error("server {target} at `{address}`: refused: {reason}")]
    Refused {
        /// Which server.
        target: u64,
        /// Where it was looked for.
        address: String,
        /// Why.
        reason: String,
    },
}

/// Carries calls to other servers. The agent's is HTTP/2 with mutual TLS; tests call directly.
pub trait Transport: Send + Sync + fmt::Debug + 'static {
    /// Calls `target` at `address` and gives what its [`super::RaftHandle::handle_rpc`] answered. It must give
    /// up after `timeout`.
    fn call(
        &self,
        target: u64,
        address: &str,
        kind: RpcKind,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Bytes, TransportError>>;
}

/// A transport that reaches nobody, for a server that is alone.
#[derive(Debug, Clone, Copy)]
pub struct Unconnected;

impl Transport for Unconnected {
    fn call(
        &self,
        target: u64,
        address: &str,
        _kind: RpcKind,
        _body: Bytes,
        _timeout: Duration,
    ) -> BoxFuture<'static, Result<Bytes, TransportError>> {
        let (address, reason) = (address.to_owned(), "this server has no network".to_owned());
        Box::pin(async move { Err(TransportError::Unreachable { target, address, reason }) })
    }
}
