//! The calling side: openraft's requests become calls of the transport.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::OptionalSend;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{
    Append, Appended, AskVote, Envelope, GiveVote, Part, PartTaken, Transfer, Transferred,
};
use super::{RpcKind, Transport, TransportError, snapshot};
use crate::raft::forms::{FORMAT, LineError};
use crate::raft::types::{LogId, Member, Snapshot, Types, Vote};
use crate::state::{State, Watch};

/// How long one part of a snapshot may take.
const PART_TIMEOUT: Duration = Duration::from_secs(30);

/// The way to all other servers.
#[derive(Debug, Clone)]
pub(in crate::raft) struct Network {
    pub(in crate::raft) own: u64,
    pub(in crate::raft) transport: Arc<dyn Transport>,
    /// Knows the cluster's identity.
    pub(in crate::raft) watch: Watch,
}

/// The way to one of them.
#[derive(Debug)]
pub(in crate::raft) struct Client {
    network: Network,
    target: u64,
    address: String,
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Transport(TransportError),
    #[error("a request cannot be written")]
    Write(#[source] serde_json::Error),
    #[error("an entry cannot be written")]
    Entry(#[source] LineError),
    #[error("the answer cannot be read")]
    Answer(#[source] serde_json::Error),
}

impl From<CallError> for RPCError<Types> {
    fn from(error: CallError) -> Self {
        Self::Unreachable(Unreachable::from_string(crate::sys::report::chain(&error)))
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, member: &Member) -> Client {
        Client { network: self.clone(), target, address: member.address.clone() }
    }
}

impl Client {
    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        kind: RpcKind,
        body: Q,
        timeout: Duration,
    ) -> Result<A, CallError> {
        let envelope = Envelope {
            format: FORMAT,
            cluster: self.network.watch.state().cluster_id().map(str::to_owned),
            from: self.network.own,
            to: self.target,
            body,
        };
        let bytes = serde_json::to_vec(&envelope).map_err(CallError::Write)?;
        let answer = self
            .network
            .transport
            .call(self.target, &self.address, kind, Bytes::from(bytes), timeout)
            .await
            .map_err(CallError::Transport)?;
        serde_json::from_slice(&answer).map_err(CallError::Answer)
    }

    async fn send_snapshot(&self, vote: Vote, taken: Snapshot) -> Result<PartTaken, CallError> {
        let sending = crate::sys::ids::random_u64();
        let mut parts = snapshot::Parts::new(vote, sending, &taken);
        loop {
            let part: Part = parts.next_part().map_err(CallError::Write)?;
            let is_last = part.end.is_some();
            let answer: PartTaken = self.call(RpcKind::Snapshot, part, PART_TIMEOUT).await?;
            // A vote before the end: the other follows somebody newer.
            if is_last || answer.vote.is_some() {
                return Ok(answer);
            }
        }
    }
}

impl RaftNetworkV2<Types> for Client {
    type SnapshotData = Arc<State>;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let body = Append::of(&request).map_err(CallError::Entry)?;
        let answer: Appended = self.call(RpcKind::Append, body, option.soft_ttl()).await?;
        Ok(answer.into())
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let body = AskVote::from(&request);
        let answer: GiveVote = self.call(RpcKind::Vote, body, option.soft_ttl()).await?;
        Ok(answer.into())
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let body = AskVote::from(&request);
        let answer: GiveVote = self.call(RpcKind::PreVote, body, option.soft_ttl()).await?;
        Ok(answer.into())
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            // Dropping it leaves parts at the other side, which the next sending replaces.
            sent = self.send_snapshot(vote, snapshot) => match sent {
                Ok(taken) => Ok(SnapshotResponse::new(taken.vote.map_or(vote, Vote::from))),
                Err(error) => Err(RPCError::from(error).into()),
            },
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let body = Transfer::from(&request);
        let answer: Transferred =
            self.call(RpcKind::TransferLeader, body, option.soft_ttl()).await?;
        Ok(match answer {
            Transferred::Begun => Ok(()),
            Transferred::VoteChanged { expected, actual } => {
                Err(TransferLeaderError::VoteChanged {
                    expected: expected.into(),
                    actual: actual.into(),
                })
            }
            Transferred::NotFlushed { expected, actual } => {
                Err(TransferLeaderError::LogNotFlushed {
                    expected: expected.map(LogId::from),
                    actual: actual.map(LogId::from),
                })
            }
        })
    }
}
