//! ◇ What nodes ask of the servers. A follower passes it on to the leader.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::RpcError;
use crate::agent::upstream::{self, Seen};
use crate::model::{Allocation, Index, Node, NodeId};
use crate::server::{Server, ServerError};
use crate::sys::report::{self, Kind};

/// A node that is registered or changed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Register {
    pub node: Node,
}

/// A node and the secret that proves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(in crate::agent) struct Proof {
    pub node: NodeId,
    pub secret: String,
}

/// How long the servers believe that the node is alive.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Leased {
    pub ttl_ms: u64,
}

/// What is desired of the node?
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AskDesired {
    pub proof: Proof,
    pub after: Index,
    pub seen: Seen,
}

/// Everything that is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IsDesired {
    pub index: Index,
    pub allocs: Vec<Allocation>,
    pub seen: Seen,
}

/// How allocations are.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Update {
    pub proof: Proof,
    pub allocs: Vec<Allocation>,
}

fn refused(error: &ServerError) -> RpcError {
    RpcError::new(error.kind(), report::chain(error))
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, RpcError> {
    serde_json::from_slice(body).map_err(|error| RpcError::new(Kind::Invalid, error.to_string()))
}

fn text<T: Serialize>(value: &T) -> Result<Bytes, RpcError> {
    let text = serde_json::to_vec(value);
    text.map(Bytes::from).map_err(|error| RpcError::new(Kind::Internal, error.to_string()))
}

/// Answers what follows `/node/`.
pub(super) async fn answer(server: &Server, what: &str, body: &Bytes) -> Result<Bytes, RpcError> {
    match what {
        "register" => {
            let Register { node } = parsed(body)?;
            if uuid::Uuid::try_parse(node.id.as_str()).is_err() {
                return Err(RpcError::new(Kind::Invalid, "a node's id must be a UUID"));
            }
            check(server, &Proof { node: node.id.clone(), secret: node.secret_id.clone() })?;
            let lease = server.register_node(node).await.map_err(|error| refused(&error))?;
            text(&leased(lease.ttl))
        }
        "heartbeat" => {
            let proof: Proof = parsed(body)?;
            known(server, &proof)?;
            let lease = server.heartbeat(&proof.node).await.map_err(|error| refused(&error))?;
            text(&leased(lease.ttl))
        }
        "desired" => {
            let AskDesired { proof, after, seen } = parsed(body)?;
            known(server, &proof)?;
            let (desired, seen) = upstream::desired(server, &proof.node, after, seen).await;
            let allocs = desired.allocs.iter().map(|alloc| Allocation::clone(alloc)).collect();
            text(&IsDesired { index: desired.index, allocs, seen })
        }
        "update" => {
            let Update { proof, allocs } = parsed(body)?;
            known(server, &proof)?;
            let state = server.state();
            let is_own = |told: &Allocation| {
                state.alloc(&told.id).is_none_or(|alloc| alloc.node_id == proof.node)
            };
            if !allocs.iter().all(is_own) {
                let reason = format!("node {}: tells of allocations of other nodes", proof.node);
                return Err(RpcError::new(Kind::Denied, reason));
            }
            server.update_allocs(allocs).await.map_err(|error| refused(&error))?;
            text(&())
        }
        _ => Err(RpcError::new(Kind::NotFound, format!("no call `{what}`"))),
    }
}

fn leased(ttl: Duration) -> Leased {
    Leased { ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX) }
}

/// A node is who it says if it knows the secret it came with first. Of one that is not known, nobody can tell.
pub(super) fn check(server: &Server, proof: &Proof) -> Result<(), RpcError> {
    match known(server, proof) {
        Err(error) if error.kind == Kind::NotFound && !proof.secret.is_empty() => Ok(()),
        checked => checked,
    }
}

/// As [`check`], of a node that must be known. One that is not registers again.
fn known(server: &Server, Proof { node, secret }: &Proof) -> Result<(), RpcError> {
    let state = server.state();
    let Some(known) = state.node(node) else {
        return Err(RpcError::new(Kind::NotFound, "node not found"));
    };
    if secret.is_empty() || known.secret_id != *secret {
        let reason = format!(
            "node {node}: its secret is not the one it registered with; if its data was restored or copied, let it start with an empty `client.state_dir`"
        );
        return Err(RpcError::new(Kind::Denied, reason));
    }
    Ok(())
}
