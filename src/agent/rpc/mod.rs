//! ◇ Between agents: one port, TLS on both sides, HTTP/2 inside.
//!
//! ```text
//!  node ──dials──▶ server   `h2`: register, heartbeat, what is desired, how allocations are; raft between servers
//!  node ◀──asks─── server   `stead-reverse`: the node dials this one too, then the roles change: the server asks for
//!                           files, logs, numbers and commands in tasks. A node needs no open port.
//! ```
//!
//! - [`tls`]: who may speak: whoever has a certificate of the cluster's CA; servers carry a server's name in it.
//! - [`call`]: a connection on which calls are made; [`frame`] ◆: what streams are made of.
//! - [`listen`]: a server's port; [`peers`]: other servers'. [`node_calls`]: what nodes ask of it. [`nodes`]: the nodes it can ask.
//! - [`servers`]: the servers as a node without one of its own sees them. [`asked`]: the node dials to be asked;
//!   [`local_calls`]: what it is asked.
//! - [`any_node`]: finds the node of an allocation: this agent's own, or one that is connected.

pub(super) mod any_node;
pub(super) mod asked;
mod call;
mod frame;
pub(super) mod listen;
mod local_calls;
mod local_wire;
pub(super) mod node_calls;
pub(super) mod nodes;
pub(super) mod peers;
mod remote_node;
pub(super) mod servers;
pub(super) mod tls;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use serde::{Deserialize, Serialize};

use crate::client::UpstreamError;
use crate::sys::report::Kind;

/// ALPN: calls of whoever dialled.
const FORWARD: &[u8] = b"h2";
/// ALPN: calls of whoever was dialled.
const REVERSE: &[u8] = b"stead-reverse";

/// What a message holds; streams are made of pieces as they come.
type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A message that is all there.
fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Why a call was not answered as wished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct RpcError {
    /// What it means.
    pub kind: Kind,
    /// For people.
    pub reason: String,
}

impl RpcError {
    fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }

    /// The other side was not reached, or went away.
    fn away(reason: impl std::fmt::Display) -> Self {
        Self::new(Kind::Unavailable, reason.to_string())
    }
}

impl From<RpcError> for UpstreamError {
    fn from(error: RpcError) -> Self {
        Self { kind: error.kind, reason: error.reason }
    }
}

/// An error on the wire.
#[derive(Debug, Serialize, Deserialize)]
struct Refusal {
    kind: String,
    reason: String,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::Invalid, "invalid"),
    (Kind::NotFound, "not found"),
    (Kind::Conflict, "conflict"),
    (Kind::Denied, "denied"),
    (Kind::Busy, "busy"),
    (Kind::Unavailable, "unavailable"),
    (Kind::Internal, "internal"),
];

impl From<&RpcError> for Refusal {
    fn from(error: &RpcError) -> Self {
        let kind = KINDS.iter().find(|(kind, _)| *kind == error.kind).map_or("internal", |k| k.1);
        Self { kind: kind.to_owned(), reason: error.reason.clone() }
    }
}

impl From<Refusal> for RpcError {
    fn from(refusal: Refusal) -> Self {
        let kind = KINDS.iter().find(|(_, name)| *name == refusal.kind);
        Self { kind: kind.map_or(Kind::Internal, |(kind, _)| *kind), reason: refusal.reason }
    }
}
