//! ◇ What every runner of the node shares.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::journal::Journal;
use super::networks::Networks;
use crate::driver::Drivers;
use crate::image::Store;
use crate::model::{Nanos, Node, Timestamp};
use crate::sys::{clock, ids};

/// Where things are, and what the node's owner decided.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directories of allocations.
    pub alloc_dir: PathBuf,
    /// The node's own files: identity, journal, task records.
    pub state_dir: PathBuf,
    /// The node's region.
    pub region: String,
    /// No task may take longer than this to stop.
    pub max_kill_timeout: Nanos,
    /// The cgroup above all tasks.
    pub cgroup_parent: String,
    /// The agent's own environment, for tasks that share the host's root.
    pub host_env: BTreeMap<String, String>,
}

/// What every runner of the node shares.
#[derive(Debug)]
pub struct Site {
    /// Directories and decisions.
    pub settings: Settings,
    /// Starts, finds and stops tasks.
    pub drivers: Drivers,
    /// Images; none on a node that runs no containers.
    pub images: Option<Store>,
    /// Bridge and ports.
    pub networks: Networks,
    /// What survives the agent.
    pub journal: Journal,
    /// The node as it was last registered.
    pub node: watch::Receiver<Arc<Node>>,
}

impl Site {
    /// Where the driver keeps what it knows of a task.
    pub fn task_state_dir(&self, alloc: &str, task: &str) -> PathBuf {
        self.settings.state_dir.join("tasks").join(alloc).join(task)
    }
}

/// The time, with a random number.
pub fn moment() -> super::task::lifecycle::Moment {
    super::task::lifecycle::Moment { time: now(), random: ids::random_u64() }
}

/// The time.
pub fn now() -> Timestamp {
    Timestamp(clock::unix_nanos())
}

/// Completes at `time`; never when there is none.
pub async fn until(time: Option<Timestamp>) {
    match time {
        Some(time) => tokio::time::sleep(time.since(now()).to_std()).await,
        None => std::future::pending().await,
    }
}
