//! What stands on disk and on the wire, with names that do not change when openraft does.

use std::collections::{BTreeMap, BTreeSet};

use openraft::EntryPayload;
use openraft::vote::RaftLeaderId as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::types::{
    Batch, Entry, LeaderId, LogId, Member, Membership, SnapshotMeta, StoredMembership, Vote,
};

/// The version of what is on disk in `raft.db` and of what servers tell each other.
pub(super) const FORMAT: u32 = 1;

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// In which term …
    pub(super) term: u64,
    /// … and by which leader it was written.
    pub(super) node: u64,
    /// Which entry.
    pub(super) index: u64,
}

impl From<LogId> for Position {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
    }
}

impl From<Position> for LogId {
    fn from(position: Position) -> Self {
        Self { leader_id: LeaderId::new(position.term, position.node), index: position.index }
    }
}

/// Whom a server voted for, or follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ballot {
    /// In which term.
    pub(super) term: u64,
    /// Whom.
    pub(super) node: u64,
    /// Whether a quorum voted so.
    pub(super) committed: bool,
}

impl From<&Vote> for Ballot {
    fn from(vote: &Vote) -> Self {
        Self { term: vote.leader_id.term, node: vote.leader_id.node_id, committed: vote.committed }
    }
}

impl From<Ballot> for Vote {
    fn from(ballot: Ballot) -> Self {
        Self { leader_id: LeaderId::new(ballot.term, ballot.node), committed: ballot.committed }
    }
}

/// Who belongs to the cluster: sets of voters (two while they change) and everybody's address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Circle {
    pub(super) voters: Vec<BTreeSet<u64>>,
    pub(super) members: BTreeMap<u64, Member>,
}

impl From<&Membership> for Circle {
    fn from(membership: &Membership) -> Self {
        Self {
            voters: membership.get_joint_config().clone(),
            members: membership.nodes().map(|(id, member)| (*id, member.clone())).collect(),
        }
    }
}

impl From<Circle> for Membership {
    fn from(circle: Circle) -> Self {
        if circle.voters.is_empty() {
            return Self::default();
        }
        Self::new_with_defaults(circle.voters, []).extended(circle.members)
    }
}

/// Gives members their addresses.
trait Extended {
    fn extended(self, members: BTreeMap<u64, Member>) -> Self;
}

impl Extended for Membership {
    fn extended(self, members: BTreeMap<u64, Member>) -> Self {
        let voters = self.get_joint_config().clone();
        // Fails only when a voter has no address; then the defaults stay.
        Self::new(voters, members).unwrap_or(self)
    }
}

/// The last membership and where it stood in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlacedCircle {
    pub(super) position: Option<Position>,
    pub(super) circle: Circle,
}

impl From<&StoredMembership> for PlacedCircle {
    fn from(stored: &StoredMembership) -> Self {
        Self {
            position: (*stored.log_id()).map(Position::from),
            circle: Circle::from(stored.membership()),
        }
    }
}

impl From<PlacedCircle> for StoredMembership {
    fn from(placed: PlacedCircle) -> Self {
        Self::new(placed.position.map(LogId::from), placed.circle.into())
    }
}

/// What a snapshot stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotHead {
    pub(super) position: Option<Position>,
    pub(super) membership: PlacedCircle,
}

impl From<&SnapshotMeta> for SnapshotHead {
    fn from(meta: &SnapshotMeta) -> Self {
        Self {
            position: meta.last_log_id.map(Position::from),
            membership: PlacedCircle::from(&meta.last_membership),
        }
    }
}

impl From<SnapshotHead> for SnapshotMeta {
    fn from(head: SnapshotHead) -> Self {
        Self {
            last_log_id: head.position.map(LogId::from),
            last_membership: head.membership.into(),
        }
    }
}

/// What an entry of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum EntryKind {
    /// A new leader's first.
    Blank = 0,
    /// Commands.
    Commands = 1,
    /// A membership.
    Membership = 2,
}

/// An entry of the log as text.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) position: Position,
    pub(super) kind: EntryKind,
    /// An array of commands, a [`Circle`], or `null`.
    pub(super) body: Box<RawValue>,
}

/// Why text is no entry.
#[derive(Debug, thiserror::Error)]
#[error("entry {index} of the log cannot be read")]
pub(super) struct LineError {
    pub(super) index: u64,
    #[source]
    pub(super) source: serde_json::Error,
}

/// The kind and the text of an entry.
pub(super) fn entry_text(entry: &Entry) -> (EntryKind, String) {
    match &entry.payload {
        EntryPayload::Blank => (EntryKind::Blank, "null".to_owned()),
        EntryPayload::Normal(batch) => (EntryKind::Commands, batch.text().to_owned()),
        EntryPayload::Membership(membership) => {
            // Numbers, names and addresses always have a text.
            let text = serde_json::to_string(&Circle::from(membership)).unwrap_or_default();
            (EntryKind::Membership, text)
        }
    }
}

/// The entry that text stands for.
pub(super) fn entry_of(
    position: Position,
    kind: EntryKind,
    text: String,
) -> Result<Entry, LineError> {
    let wrong = |source| LineError { index: position.index, source };
    let payload = match kind {
        EntryKind::Blank => EntryPayload::Blank,
        EntryKind::Commands => EntryPayload::Normal(Batch::parse(text).map_err(wrong)?),
        EntryKind::Membership => {
            let circle: Circle = serde_json::from_str(&text).map_err(wrong)?;
            EntryPayload::Membership(circle.into())
        }
    };
    Ok(Entry { log_id: position.into(), payload })
}

impl Line {
    pub(super) fn of(entry: &Entry) -> Result<Self, LineError> {
        let (kind, text) = entry_text(entry);
        let index = entry.log_id.index;
        let body = RawValue::from_string(text).map_err(|source| LineError { index, source })?;
        Ok(Self { position: entry.log_id.into(), kind, body })
    }

    pub(super) fn into_entry(self) -> Result<Entry, LineError> {
        entry_of(self.position, self.kind, self.body.get().to_owned())
    }
}
