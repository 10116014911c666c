//! How a server of the cluster is opened.

use std::path::PathBuf;
use std::sync::Arc;

use super::net::Transport;
use super::types::Member;

/// How a server of the cluster is opened.
#[derive(Debug, Clone)]
pub struct RaftConfig {
    /// Where the log and the state are kept.
    pub storage: Storage,
    /// How others know this server.
    pub member: Member,
    /// What happens when it belongs to no cluster yet.
    pub bootstrap: Bootstrap,
    /// How long servers wait for each other.
    pub timing: Timing,
    /// How much of the log is kept.
    pub retention: Retention,
    /// How it reaches the others.
    pub transport: Arc<dyn Transport>,
}

impl RaftConfig {
    /// A server that is a cluster of its own, in memory only: for `-dev` and tests.
    pub fn in_memory() -> Self {
        Self {
            storage: Storage::Memory,
            member: Member { name: "dev".to_owned(), ..Member::default() },
            bootstrap: Bootstrap::Alone,
            timing: Timing::default(),
            retention: Retention::default(),
            transport: Arc::new(super::net::Unconnected),
        }
    }
}

/// Where the log and the state are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// Nowhere: all is gone when the process ends.
    Memory,
    /// In `raft.db` and `state.db` in this directory, which is made when it is not there.
    Directory(PathBuf),
}

/// What happens when a server belongs to no cluster yet. After the first time it has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bootstrap {
    /// It becomes a cluster of its own (`bootstrap_expect = 1`).
    Alone,
    /// It waits for [`super::RaftHandle::bootstrap`], or for a leader that takes it in.
    Wait,
}

/// How much of the log is kept, in entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// After so many the state is made safe, and the log before it may go …
    pub snapshot_every: u64,
    /// … but for so many, for servers that were away for a moment; others get a snapshot.
    pub kept_entries: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { snapshot_every: 4096, kept_entries: 2048 }
    }
}

/// How long servers wait for each other, in milliseconds. A server that is alone waits for nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two signs of life of a leader.
    pub heartbeat_ms: u64,
    /// Without a sign of life for at least so long, a server asks to become the leader.
    pub election_min_ms: u64,
    /// The most of that; the actual time is random, so that two rarely ask at once.
    pub election_max_ms: u64,
    /// How long a proposal waits for a quorum before it is called unavailable.
    pub propose_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat_ms: 250, election_min_ms: 1000, election_max_ms: 2000, propose_ms: 10_000 }
    }
}
