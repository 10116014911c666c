//! ◇ openraft over SQLite: log, vote, membership, network, recovery.
//!
//! One server of a cluster of one or more. It takes intentions ([`RaftHandle::propose`]), gets them agreed
//! on and written down, applies them to the state, and lets everybody look at the newest snapshot
//! ([`RaftHandle::state`], [`RaftHandle::watch`]). It decides nothing about jobs or nodes, speaks no
//! transport (the agent lends it one, [`Transport`]), and never calls the rooms above it.
//!
//! ```text
//! propose ─▶ proposer ─▶ openraft ─▶ log/  (raft.db, synced: many commands, one fsync)
//!             (packs)        │ └────▶ net/ ─▶ Transport ─▶ other servers' handle_rpc
//!                            ▼ committed
//!                         machine ─▶ state::apply ─▶ Watch (snapshot, waiters, events)
//!                            └─▶ keeper (state.db, a little later)
//! ```
//!
//! - `forms.rs`: what is on disk and on the wire. openraft's own structures are in neither: they change with
//!   its versions.
//! - `log/`: the log in memory and in `raft.db`; one writer thread, group commit, checkpoints beside it.
//! - `machine.rs`: the replicated state machine; `keeper.rs`: writes changed rows to `state.db` behind it.
//! - `net/`: calls to other servers, and the answers to theirs.
//! - `proposer.rs`: many commands that wait become one entry of the log.
//! - `leadership.rs`: who leads, told only once the leader has caught up with its own log.
//! - `handle.rs`: opening, proposing, membership, shutting down.
//!
//! The state's index counts commands, not entries of the log: an entry may carry many, and elections make
//! entries that carry none. It goes on rising when a snapshot is carried to another cluster.

mod config;
mod error;
mod forms;
mod handle;
mod keeper;
mod leadership;
mod log;
mod machine;
mod members;
mod net;
mod proposer;
mod types;

#[cfg(test)]
mod tests;

pub use config::{Bootstrap, RaftConfig, Retention, Storage, Timing};
pub use error::{OpenError, ProposeError, RpcError};
pub use handle::{RaftHandle, RaftStats, open};
pub use leadership::{Leadership, Peer};
pub use log::LogError;
pub use members::{MemberStatus, MembershipError, Role};
pub use net::{RpcKind, Transport, TransportError, Unconnected};
pub use types::Member;
