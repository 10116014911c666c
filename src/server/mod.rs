//! ◇ Turns what people and nodes ask for into commands, and, on the leader, keeps jobs as they should be.
//!
//! ```text
//! http, client ──▶ intend/ ──▶ propose ──▶ raft ──▶ state
//!                                │ touched ◆: what the command may have set in motion
//!                                ▼ (leader only)
//!      ┌──────────┬──────────────┬────────────┬──────────┬─────┐
//!    evals      heartbeats   deployments    drains   periodic   gc        each: drive.rs and a ◆ core
//!      │ deliver
//!    workers: snapshot ──▶ scheduler ──▶ Plan ──▶ propose
//! ```
//!
//! - [`eval_broker`], [`blocked`], [`heartbeats`], [`deployments`], [`drainer`], [`gc`] (◆): what should happen.
//! - `evals.rs`, `worker.rs`, `rollouts.rs`, `drains.rs`, `nodes.rs`, `collect.rs`: make it happen.
//! - `leader.rs`: starts the loops when this server leads and stops them when it does not.
//! - `intend/`: one file per noun of what can be asked for.
//!
//! Every change of the state that this cluster sees goes through [`Server::propose`] of the leader, so a loop need not
//! look for changes: it is told what a command touched. That is a hint; each loop then looks at the newest snapshot.
//! Idle means asleep.
//!
//! Plans are checked again when they are applied, so workers need no lock between them: many schedule at once from
//! snapshots, their commands share one fsync, and who is refused looks again. `http` and the agent call this room; it
//! knows neither drivers nor networks.

pub mod blocked;
mod collect;
mod config;
pub mod deployments;
pub mod drainer;
mod drains;
mod drive;
mod error;
pub mod eval_broker;
mod evals;
pub mod gc;
pub mod heartbeats;
mod intend;
mod leader;
mod nodes;
mod propose;
mod rollouts;
mod snapshot;
pub mod touched;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use config::ServerConfig;
pub use error::ServerError;
pub use intend::deployments::{DeploymentChanged, Health};
pub use intend::jobs::{DryRun, Failed, JobChanged, Purge, RegisterJob};
pub use intend::nodes::{NodeChanged, NodeLease};
pub use propose::Proposed;

use crate::model::Timestamp;
use crate::raft::{Leadership, RaftHandle};
use crate::scheduler::Config;
use crate::state::{RowTable, State, Watch};
use crate::sys::tasks::{Stop, Tasks};
use leader::Loops;
use snapshot::NodeSets;

/// A server. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    raft: RaftHandle,
    config: ServerConfig,
    tasks: Tasks,
    /// The mailboxes of the leader's loops while this server leads.
    loops: Mutex<Option<Arc<Loops>>>,
    node_sets: NodeSets,
}

impl Server {
    /// Starts a server over its log. It stops when `stop` is told or by [`Server::shutdown`].
    pub fn start(raft: RaftHandle, config: ServerConfig, stop: &Stop) -> Self {
        let inner = Inner {
            raft,
            config,
            tasks: Tasks::new("server", stop),
            loops: Mutex::new(None),
            node_sets: NodeSets::default(),
        };
        let server = Self { inner: Arc::new(inner) };
        let tasks = &server.inner.tasks;
        tasks.spawn("leader", leader::follow(server.clone(), tasks.stop_token()));
        server
    }

    /// The log and its members.
    pub fn raft(&self) -> &RaftHandle {
        &self.inner.raft
    }

    /// The newest snapshot here.
    pub fn state(&self) -> Arc<State> {
        self.inner.raft.state()
    }

    /// The newest snapshot and those who wait for it to change.
    pub fn watch(&self) -> &Watch {
        self.inner.raft.watch()
    }

    /// Whether this server leads and its loops run.
    pub fn is_leading(&self) -> bool {
        self.loops().is_some()
    }

    /// Waits until this server leads and its loops run; false when that takes longer than `limit`.
    pub async fn wait_until_leading(&self, limit: Duration) -> bool {
        let mut leadership = self.inner.raft.leadership();
        let leading = async {
            while !self.is_leading() {
                // The loops start right after the change that is seen here.
                if leadership.wait_for(Leadership::is_leader).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(limit, leading).await.is_ok() && self.is_leading()
    }

    /// The scheduler's settings.
    pub fn scheduler_config(&self) -> Config {
        scheduler_config(&self.state())
    }

    fn loops(&self) -> Option<Arc<Loops>> {
        self.inner.loops.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_loops(&self, loops: Option<Arc<Loops>>) {
        *self.inner.loops.lock().unwrap_or_else(PoisonError::into_inner) = loops;
    }

    /// Stops the loops; the log goes on until its owner stops it. Returns whether all ended in time.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.inner.tasks.shutdown(grace).await
    }
}

/// The key of the one row of the scheduler's settings.
const SCHEDULER_CONFIG: &str = "default";

fn scheduler_config(state: &State) -> Config {
    let row = state.row(RowTable::SchedulerConfig, SCHEDULER_CONFIG);
    row.and_then(|row| serde_json::from_value(row.value.clone()).ok()).unwrap_or_default()
}

fn now() -> Timestamp {
    Timestamp(crate::sys::clock::unix_nanos())
}
