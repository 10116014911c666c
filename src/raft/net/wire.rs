//! What servers say to each other, as JSON: entries travel as the text they have in the log.

use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    VoteRequest, VoteResponse,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::raft::error::RpcError;
use crate::raft::forms::{Ballot, FORMAT, Line, LineError, Position, SnapshotHead};
use crate::raft::types::{LogId, Types, Vote};

/// Who calls whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) format: u32,
    /// The caller's cluster, once it knows.
    pub(super) cluster: Option<String>,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) body: T,
}

/// Checks that a call is meant for this server of this cluster, and gives what it says.
pub(super) fn open<T: DeserializeOwned>(
    bytes: &[u8],
    own: u64,
    cluster: Option<&str>,
) -> Result<Envelope<T>, RpcError> {
    // First what every format has, then the rest.
    let head: Envelope<&RawValue> = parse_borrowed(bytes)?;
    if head.format != FORMAT {
        return Err(RpcError::Format { found: head.format });
    }
    if head.to != own {
        return Err(RpcError::Target { wanted: head.to, own });
    }
    if let (Some(theirs), Some(ours)) = (&head.cluster, cluster)
        && theirs != ours
    {
        return Err(RpcError::Cluster { theirs: theirs.clone(), ours: ours.to_owned() });
    }
    let body =
        serde_json::from_str(head.body.get()).map_err(|source| RpcError::Malformed { source })?;
    Ok(Envelope { format: head.format, cluster: head.cluster, from: head.from, to: head.to, body })
}

fn parse_borrowed(bytes: &[u8]) -> Result<Envelope<&RawValue>, RpcError> {
    serde_json::from_slice(bytes).map_err(|source| RpcError::Malformed { source })
}

/// Entries from a leader.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Append {
    vote: Ballot,
    previous: Option<Position>,
    committed: Option<Position>,
    entries: Vec<Line>,
}

impl Append {
    pub(super) fn of(request: &AppendEntriesRequest<Types>) -> Result<Self, LineError> {
        Ok(Self {
            vote: Ballot::from(&request.vote),
            previous: request.prev_log_id.map(Position::from),
            committed: request.leader_commit.map(Position::from),
            entries: request.entries.iter().map(Line::of).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn into_request(self) -> Result<AppendEntriesRequest<Types>, LineError> {
        let entries = self.entries.into_iter().map(Line::into_entry);
        Ok(AppendEntriesRequest {
            vote: self.vote.into(),
            prev_log_id: self.previous.map(LogId::from),
            leader_commit: self.committed.map(LogId::from),
            entries: entries.collect::<Result<_, _>>()?,
        })
    }
}

/// What became of entries.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Appended {
    All,
    UpTo(Option<Position>),
    Conflict,
    HigherVote(Ballot),
}

impl From<AppendEntriesResponse<Types>> for Appended {
    fn from(response: AppendEntriesResponse<Types>) -> Self {
        match response {
            AppendEntriesResponse::Success => Self::All,
            AppendEntriesResponse::PartialSuccess(upto) => Self::UpTo(upto.map(Position::from)),
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::HigherVote(Ballot::from(&vote)),
        }
    }
}

impl From<Appended> for AppendEntriesResponse<Types> {
    fn from(appended: Appended) -> Self {
        match appended {
            Appended::All => Self::Success,
            Appended::UpTo(upto) => Self::PartialSuccess(upto.map(LogId::from)),
            Appended::Conflict => Self::Conflict,
            Appended::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

/// A wish to be voted for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AskVote {
    vote: Ballot,
    last: Option<Position>,
    #[serde(default)]
    is_transfer: bool,
}

impl From<&VoteRequest<Types>> for AskVote {
    fn from(request: &VoteRequest<Types>) -> Self {
        Self {
            vote: Ballot::from(&request.vote),
            last: request.last_log_id.map(Position::from),
            is_transfer: request.leadership_transfer,
        }
    }
}

impl From<AskVote> for VoteRequest<Types> {
    fn from(ask: AskVote) -> Self {
        let mut request = Self::new(ask.vote.into(), ask.last.map(LogId::from));
        request.leadership_transfer = ask.is_transfer;
        request
    }
}

/// A vote, or not.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GiveVote {
    vote: Ballot,
    granted: bool,
    last: Option<Position>,
}

impl From<VoteResponse<Types>> for GiveVote {
    fn from(response: VoteResponse<Types>) -> Self {
        Self {
            vote: Ballot::from(&response.vote),
            granted: response.vote_granted,
            last: response.last_log_id.map(Position::from),
        }
    }
}

impl From<GiveVote> for VoteResponse<Types> {
    fn from(given: GiveVote) -> Self {
        Self::new(Vote::from(given.vote), given.last.map(LogId::from), given.granted)
    }
}

/// A leader that wants another to lead.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Transfer {
    from: Ballot,
    to: u64,
    last: Option<Position>,
}

impl From<&TransferLeaderRequest<Types>> for Transfer {
    fn from(request: &TransferLeaderRequest<Types>) -> Self {
        Self {
            from: Ballot::from(request.from_leader()),
            to: *request.to_node_id(),
            last: request.last_log_id().copied().map(Position::from),
        }
    }
}

impl From<Transfer> for TransferLeaderRequest<Types> {
    fn from(transfer: Transfer) -> Self {
        Self::new(transfer.from.into(), transfer.to, transfer.last.map(LogId::from))
    }
}

/// What became of a transfer: empty when it goes on, else why not.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Transferred {
    Begun,
    VoteChanged { expected: Ballot, actual: Ballot },
    NotFlushed { expected: Option<Position>, actual: Option<Position> },
}

/// A part of a snapshot: rows, and at the end what they are together.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) vote: Ballot,
    /// Tells one sending from another.
    pub(super) sending: u64,
    pub(super) number: u32,
    pub(super) rows: Vec<(String, String, Box<RawValue>)>,
    pub(super) end: Option<PartEnd>,
}

/// The end of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PartEnd {
    pub(super) head: SnapshotHead,
    pub(super) index: u64,
    pub(super) tables: Vec<(String, u64)>,
}

/// What became of a part; the vote when it was the last.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PartTaken {
    pub(super) vote: Option<Ballot>,
}

impl From<SnapshotResponse<Types>> for PartTaken {
    fn from(response: SnapshotResponse<Types>) -> Self {
        Self { vote: Some(Ballot::from(&response.vote)) }
    }
}
