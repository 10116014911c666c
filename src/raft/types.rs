//! What openraft is told of us: our commands, our answers, our servers.

use std::fmt;
use std::sync::Arc;

use openraft::type_config::alias::{
    EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf,
};
use serde::{Deserialize, Serialize};

use crate::model::Index;
use crate::state::{Command, Reply, State};

openraft::declare_raft_types!(
    pub Types: D = Batch, R = Answers, NodeId = u64, Node = Member
);

pub(super) type Entry = EntryOf<Types>;
pub(super) type LogId = LogIdOf<Types>;
pub(super) type Vote = VoteOf<Types>;
pub(super) type StoredMembership = StoredMembershipOf<Types>;
pub(super) type SnapshotMeta = SnapshotMetaOf<Types>;
pub(super) type Snapshot = SnapshotOf<Types, Arc<State>>;
pub(super) type Membership = openraft::Membership<u64, Member>;
pub(super) type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, u64>;
pub(super) type Openraft = openraft::Raft<Types, super::machine::Machine>;

/// A server, as the members of a cluster know it. Its identity is a number of its own, never its address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    /// Its name, for people.
    pub name: String,
    /// Where other servers reach it.
    pub address: String,
    /// Where its HTTP API is.
    pub http_address: String,
    /// The version of its binary.
    pub version: String,
}

/// Commands that become one entry of the log. Shared between the cache, the writer and the state machine.
#[derive(Clone)]
pub struct Batch(Arc<Inner>);

struct Inner {
    commands: Vec<Command>,
    text: String,
}

impl Batch {
    /// A batch of commands and their texts in the log; the texts may be left out where nothing is written.
    pub(super) fn new(commands: Vec<Command>, texts: &[String]) -> Self {
        let length = texts.iter().map(|text| text.len() + 1).sum::<usize>() + 1;
        let mut text = String::with_capacity(length);
        for (at, one) in texts.iter().enumerate() {
            text.push(if at == 0 { '[' } else { ',' });
            text.push_str(one);
        }
        text.push(']');
        Self(Arc::new(Inner { commands, text }))
    }

    /// A batch as the log has it.
    pub(super) fn parse(text: String) -> Result<Self, serde_json::Error> {
        let commands = serde_json::from_str(&text)?;
        Ok(Self(Arc::new(Inner { commands, text })))
    }

    pub(super) fn commands(&self) -> &[Command] {
        &self.0.commands
    }

    /// The text in the log: an array of commands.
    pub(super) fn text(&self) -> &str {
        &self.0.text
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} commands", self.0.commands.len())
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} commands", self.0.commands.len())
    }
}

/// What became of each command of a batch, and the state's index afterwards.
#[derive(Debug, Clone, Default)]
pub struct Answers(pub(super) Vec<(Index, Reply)>);
