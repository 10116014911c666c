//! The answering side.

use std::sync::Arc;

use bytes::Bytes;
use openraft::raft::TransferLeaderError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::RpcKind;
use super::snapshot::{self, Incoming};
use super::wire::{
    self, Append, Appended, AskVote, GiveVote, Part, PartTaken, Transfer, Transferred,
};
use crate::raft::error::RpcError;
use crate::raft::forms::{Ballot, LineError, Position};
use crate::raft::types::{Openraft, Snapshot, Vote};
use crate::state::Watch;

/// What is needed to answer.
#[derive(Debug)]
pub(in crate::raft) struct Desk {
    pub(in crate::raft) own: u64,
    pub(in crate::raft) raft: Openraft,
    pub(in crate::raft) watch: Watch,
    /// A snapshot on its way here. Held while a part is added and while the whole is installed, so that two
    /// senders cannot mix.
    incoming: Mutex<Option<Incoming>>,
}

impl Desk {
    pub(in crate::raft) fn new(own: u64, raft: Openraft, watch: Watch) -> Self {
        Self { own, raft, watch, incoming: Mutex::default() }
    }

    fn open<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, RpcError> {
        let state = self.watch.state();
        wire::open::<T>(body, self.own, state.cluster_id()).map(|envelope| envelope.body)
    }
}

/// Answers a call of another server.
pub(in crate::raft) async fn serve(
    desk: &Desk,
    kind: RpcKind,
    body: &[u8],
) -> Result<Bytes, RpcError> {
    match kind {
        RpcKind::Append => {
            let request = desk.open::<Append>(body)?.into_request().map_err(malformed_entry)?;
            let answer = desk.raft.append_entries(request).await.map_err(stopped)?;
            write(&Appended::from(answer))
        }
        RpcKind::Vote => {
            let request = desk.open::<AskVote>(body)?.into();
            write(&GiveVote::from(desk.raft.vote(request).await.map_err(stopped)?))
        }
        RpcKind::PreVote => {
            let request = desk.open::<AskVote>(body)?.into();
            write(&GiveVote::from(desk.raft.pre_vote(request).await.map_err(stopped)?))
        }
        RpcKind::Snapshot => write(&take_part(desk, desk.open::<Part>(body)?).await?),
        RpcKind::TransferLeader => {
            let request = desk.open::<Transfer>(body)?.into();
            let answer = desk.raft.handle_transfer_leader(request).await.map_err(stopped)?;
            write(&match answer {
                Ok(()) => Transferred::Begun,
                Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                    let (expected, actual) = (Ballot::from(&expected), Ballot::from(&actual));
                    Transferred::VoteChanged { expected, actual }
                }
                Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                    let position = |id: Option<_>| id.map(Position::from);
                    Transferred::NotFlushed {
                        expected: position(expected),
                        actual: position(actual),
                    }
                }
            })
        }
    }
}

async fn take_part(desk: &Desk, part: Part) -> Result<PartTaken, RpcError> {
    let vote = Vote::from(part.vote);
    let mut incoming = desk.incoming.lock().await;
    let Some((meta, state)) = snapshot::take(&mut incoming, part)? else {
        return Ok(PartTaken { vote: None });
    };
    let snapshot = Snapshot { meta, snapshot: Arc::new(state) };
    let answer = desk.raft.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
    Ok(answer.into())
}

fn write<T: Serialize>(answer: &T) -> Result<Bytes, RpcError> {
    serde_json::to_vec(answer).map(Bytes::from).map_err(|source| RpcError::Malformed { source })
}

fn malformed_entry(LineError { index, source }: LineError) -> RpcError {
    RpcError::Entry { index, source }
}

fn stopped(error: impl std::fmt::Display) -> RpcError {
    RpcError::Stopped(error.to_string())
}
