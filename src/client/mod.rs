//! ◇ The node: makes the allocations it was given run, and says how they are.
//!
//! ```text
//!  servers ──desired──▶ watch ──▶ reconcile ◆ ──▶ alloc runner ──▶ task runner ──▶ driver
//!     ▲  ▲                                          │    │             │
//!     │  └── register, heartbeat ◀── fingerprint    │    └── journal ◀─┘
//!     └───────── status (folded) ◀──────────────────┘
//! ```
//!
//! Tasks of this room, each with what it reads and writes:
//! - `register`: node in, lease kept; `watch_desired`: blocking question in, newest answer out;
//! - `Keeper`: answer in, one alloc runner per allocation out; `StatusBoard`: news in, batches out;
//! - one runner per allocation and one per task, told through bounded mailboxes, heard through watch channels.
//!
//! Everything a task needs to be found again is journaled before it is made ([`journal`]): the agent may be killed at any
//! time, and the next one goes on, before it has spoken to any server. A stop of the agent leaves the tasks alone.
//!
//! It composes driver, image, network and logs, and never sees the state, the scheduler or the log: what it knows
//! of the servers is [`Upstream`]. The agent makes it; http asks it through [`Local`].

pub mod alloc;
pub mod config;
mod error;
pub mod fingerprint;
pub mod identity;
pub mod journal;
pub mod local;
mod networks;
mod node;
pub mod reconcile;
mod run;
pub mod site;
pub mod status;
pub mod task;
pub mod upstream;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use config::ClientConfig;
pub use error::ClientError;
pub use local::Local;
pub use upstream::{Desired, Lease, Upstream, UpstreamError};

use crate::driver::Drivers;
use crate::image::Store;
use crate::model::Node;
use crate::network::NetworkError;
use crate::sys::report;
use crate::sys::tasks::{Stop, Tasks};
use alloc::order::Order;
use fingerprint::{Fingerprint, Interface};
use identity::{Identity, IdentityError};
use journal::{Journal, JournalError, Recovered};
use networks::Networks;
use run::{Keeper, Lines};
use site::{Settings, Site};
use status::StatusBoard;

/// Rooms the client composes, made by the agent.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The drivers of this node.
    pub drivers: Drivers,
    /// Its images; none on a node that runs no containers.
    pub images: Option<Store>,
}

/// Why a client does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A directory of its own cannot be made.
    #[error("client: make directory `{}`", path.display())]
    Dir {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It does not know who it is.
    #[error("client: find out who this node is")]
    Identity(#[source] IdentityError),
    /// It cannot remember.
    #[error("client: open its journal")]
    Journal(#[source] JournalError),
    /// It cannot look after the network of its allocations.
    #[error("client: open its network")]
    Network(#[source] NetworkError),
}

/// How long the tasks of an agent that keeps nothing may take to stop.
const DESTROY: Duration = Duration::from_secs(40);

/// What ends a client.
#[derive(Debug)]
pub struct Running {
    tasks: Tasks,
    lines: watch::Receiver<Lines>,
    networks: Networks,
    writer: journal::Writer,
    grace: Duration,
}

impl Running {
    /// Stops every task and leaves nothing of any allocation, then ends. For an agent that keeps nothing.
    pub async fn destroy(self) {
        let lines = self.lines.borrow().clone();
        for line in lines.values() {
            line.tell(Order::Destroy).await;
        }
        let gone = async {
            for line in lines.values() {
                // The sender goes when the allocation is gone.
                drop(line.view.clone().wait_for(|view| view.gone).await);
            }
        };
        if tokio::time::timeout(DESTROY, gone).await.is_err() {
            tracing::warn!("client: some allocations did not go in time");
        }
        self.shutdown().await;
    }

    /// Ends every loop and writes what is pending. Tasks go on.
    pub async fn shutdown(self) {
        if !self.tasks.shutdown(self.grace).await {
            tracing::warn!("client: some loops did not end in time");
        }
        if let Some(network) = self.networks.opened() {
            match network.remove_all().await {
                // What runs keeps its network, and with it the bridge and the rules.
                Ok(()) | Err(NetworkError::InUse(_)) => {}
                Err(error) => {
                    tracing::warn!(error = %report::chain(&error), "the bridge was not removed");
                }
            }
            network.clone().close().await;
        }
        let closed = tokio::task::spawn_blocking(move || self.writer.close()).await;
        if closed.is_err() {
            tracing::warn!("client: the journal's writer ended unexpectedly");
        }
    }
}

impl Local {
    /// Takes over what an earlier agent left, and begins. Does not wait for a server.
    pub async fn start(
        config: ClientConfig,
        parts: Parts,
        upstream: Arc<dyn Upstream>,
        stop: &Stop,
    ) -> Result<(Self, Running), StartError> {
        for (dir, mode) in [(&config.state_dir, 0o700), (&config.alloc_dir, 0o711)] {
            make_dir(dir, mode).map_err(|source| StartError::Dir { path: dir.clone(), source })?;
        }
        let identity = Identity::load(&config.state_dir).map_err(StartError::Identity)?;
        let (journal, writer, recovered) =
            Journal::open(&config.state_dir.join("client.db")).map_err(StartError::Journal)?;
        let found = fingerprint::look(&config);
        let networks = networks(&config, &found, &recovered, stop).await?;
        let node = Arc::new(look(&config, &identity, &found, &parts.drivers));
        let (node_out, node) = watch::channel(node);
        let site = Arc::new(Site {
            settings: settings(&config),
            drivers: parts.drivers,
            images: parts.images,
            networks: networks.clone(),
            journal,
            node,
        });
        let tasks = Tasks::new("client", stop);
        let (desired_out, desired) = watch::channel(None);
        let (registered_out, registered) = watch::channel(0);
        let board = Arc::new(StatusBoard::default());
        let mut keeper = Keeper::new(
            Arc::clone(&site),
            Arc::clone(&board),
            tasks.clone(),
            desired,
            config.gc_max_allocs,
        );
        keeper.recover(recovered).await;
        let lines = keeper.lines.subscribe();
        run::sweep(&site, &lines.borrow());
        let node_in = site.node.clone();
        let stop = || tasks.stop_token();
        tasks.spawn(
            "register",
            run::register(node_in, Arc::clone(&upstream), registered_out, stop()),
        );
        let watching = run::watch_desired(
            Arc::clone(&site),
            Arc::clone(&upstream),
            registered.clone(),
            desired_out,
            stop(),
        );
        tasks.spawn("watch", watching);
        tasks.spawn("status", board.run(identity.id, upstream, stop()));
        tasks.spawn("keeper", keeper.run(stop()));
        let running =
            Running { tasks, lines: lines.clone(), networks, writer, grace: config.grace };
        Ok((Self { site, lines, registered, node: node_out }, running))
    }
}

fn make_dir(path: &std::path::Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

fn settings(config: &ClientConfig) -> Settings {
    Settings {
        alloc_dir: config.alloc_dir.clone(),
        state_dir: config.state_dir.clone(),
        region: config.region.clone(),
        max_kill_timeout: config.max_kill_timeout,
        cgroup_parent: config.cgroup_parent.clone(),
        host_env: config.host_env.clone(),
    }
}

/// The network room with the networks that an earlier agent left in use.
async fn networks(
    config: &ClientConfig,
    found: &Fingerprint,
    recovered: &Recovered,
    stop: &Stop,
) -> Result<Networks, StartError> {
    let addresses = |interface: &Interface| interface.addresses.iter().map(|a| a.ip).collect();
    let mut wanted = config.network.clone();
    if let Some(wanted) = &mut wanted {
        wanted.settings.host_networks = found.interfaces.iter().map(addresses).collect();
    }
    let plans = recovered
        .allocs
        .values()
        .filter(|(row, _)| !row.ended && !row.doomed)
        .filter_map(|(row, _)| serde_json::from_value(row.network.clone()?).ok())
        .collect();
    Networks::new(wanted, plans, stop).await.map_err(StartError::Network)
}

/// The node as it is now.
fn look(
    config: &ClientConfig,
    identity: &Identity,
    found: &Fingerprint,
    drivers: &Drivers,
) -> Node {
    let drivers: BTreeMap<String, crate::driver::Fingerprint> = drivers
        .names()
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), drivers.get(name).ok()?.fingerprint())))
        .collect();
    node::node(config, identity, found, &drivers, site::now())
}
