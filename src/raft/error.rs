//! What can go wrong, by what was attempted.

use std::path::PathBuf;

use crate::state::disk::DiskError;
use crate::sys::report::Kind;

use super::leadership::Peer;

/// Why a server could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory could not be made.
    #[error("raft directory `{}`: create", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The log could not be opened.
    #[error(transparent)]
    Log(super::log::LogError),
    /// The state could not be opened.
    #[error(transparent)]
    State(DiskError),
    /// The timing makes no sense.
    #[error("raft timing: {0}")]
    Timing(String),
    /// openraft would not start.
    #[error("raft: start: {0}")]
    Start(String),
    /// The cluster of one could not be made.
    #[error("raft: bootstrap: {0}")]
    Bootstrap(String),
}

impl OpenError {
    /// What it means to who asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Timing(_) => Kind::Invalid,
            Self::State(error) => error.kind(),
            Self::Directory { .. } | Self::Log(_) | Self::Start(_) | Self::Bootstrap(_) => {
                Kind::Internal
            }
        }
    }
}

/// Why a proposal was not agreed on. That the state machine refused it is no error but a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Another server leads, or none.
    #[error("this server does not lead{}", leader.as_ref().map(|l| format!("; `{}` does", l.member.name)).unwrap_or_default())]
    NotLeader {
        /// Who does, when that is known.
        leader: Option<Peer>,
    },
    /// More proposals wait than are taken.
    #[error("too many proposals wait; try again")]
    Busy,
    /// No quorum answers. It was not, and perhaps yet will be, agreed on.
    #[error("no quorum: {reason}")]
    Unavailable {
        /// What is known of it, and the way out.
        reason: String,
    },
    /// The leader changed while it was under way: it may or may not have been agreed on.
    #[error("the leader changed; look whether it was done before trying again")]
    Unknown,
    /// The command has no text.
    #[error("the command cannot be written: {0}")]
    Invalid(String),
    /// This server has stopped, or must.
    #[error("raft has stopped: {0}")]
    Stopped(String),
}

impl ProposeError {
    /// No quorum; the server adds what it knows.
    pub(super) fn no_quorum() -> Self {
        Self::Unavailable { reason: String::new() }
    }

    /// What it means to who asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotLeader { .. } | Self::Unavailable { .. } | Self::Unknown => Kind::Unavailable,
            Self::Busy => Kind::Busy,
            Self::Invalid(_) => Kind::Invalid,
            Self::Stopped(_) => Kind::Internal,
        }
    }
}

/// Why another server's call was not answered.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// It is no call we know.
    #[error("raft call: not understood")]
    Malformed {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It was made in another format.
    #[error("raft call: format {found}, this server speaks {}", super::forms::FORMAT)]
    Format {
        /// Its format.
        found: u32,
    },
    /// It was meant for another server: an address that moved.
    #[error("raft call: meant for server {wanted}, this is {own}")]
    Target {
        /// Whom it was meant for.
        wanted: u64,
        /// Who this is.
        own: u64,
    },
    /// It comes from another cluster.
    #[error("raft call: from cluster `{theirs}`, this is `{ours}`")]
    Cluster {
        /// The caller's.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// An entry in it cannot be read.
    #[error("raft call: entry {index} cannot be read")]
    Entry {
        /// Which.
        index: u64,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A part of a snapshot came out of order.
    #[error("raft call: snapshot part {found} instead of {wanted}")]
    SnapshotPart {
        /// Which came.
        found: u32,
        /// Which should have.
        wanted: u32,
    },
    /// A row of a snapshot cannot be read.
    #[error("raft call: snapshot")]
    SnapshotRow {
        /// Why.
        #[source]
        source: crate::state::RowError,
    },
    /// This server has stopped, or must.
    #[error("raft has stopped: {0}")]
    Stopped(String),
}

impl RpcError {
    /// What it means to who asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Malformed { .. }
            | Self::Format { .. }
            | Self::Entry { .. }
            | Self::SnapshotRow { .. } => Kind::Invalid,
            Self::Target { .. } | Self::Cluster { .. } | Self::SnapshotPart { .. } => {
                Kind::Conflict
            }
            Self::Stopped(_) => Kind::Unavailable,
        }
    }
}
