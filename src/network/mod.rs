//! ◇ The network of a node's allocations: namespaces, the bridge, published ports.
//!
//! ```text
//! NetworkRequest ──plan ◆──► NetworkPlan ──actor──► netns, link, hold, nat      what each allocation has
//!                   │                       │
//!          ipam ◆, ports ◆              rules ◆ (the one table, from all plans)
//! ```
//!
//! - [`request`], [`plan`], [`ipam`], [`ports`], [`rules`], [`files`] decide: plain data in, plain data out.
//! - `actor` owns everything that was made, on a thread of its own; `bridge`, `netns`, `link`, `nat`, `hold`, `proxy`, `udp`,
//!   `sysctl`, `claim`, `conntrack`, `forward`, `watcher` and [`holder`] are its hands. `netlink` is the wire under `link` and `nat`.
//!
//! What lives where: the bridge (`stead0`) and the links (`vs…`) in the namespace the room was opened in; one nftables table, `inet
//! stead`; namespaces as files below the runtime directory. No other program's link, table or namespace is
//! read, changed or removed. Running allocations keep their network when the agent ends.
//!
//! The room does not choose ports (the scheduler does), does not write files of a task ([`files`] only says what
//! belongs in them), and knows no allocation but by its id. The client calls it.

mod actor;
mod bridge;
mod claim;
mod conntrack;
mod error;
pub mod files;
mod forward;
mod hold;
pub mod holder;
pub mod ipam;
mod link;
mod nat;
mod netlink;
mod netns;
pub mod plan;
pub mod ports;
mod proxy;
pub mod request;
pub mod rules;
mod sysctl;
mod udp;
mod watcher;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

pub use error::NetworkError;
pub use plan::Settings;
pub use request::{Mode, NetworkPlan, NetworkRequest, PortRequest, Protocols};
pub use rules::Reach;

use crate::sys::tasks::Stop;
use actor::{Actor, Request};

/// How many requests may wait. Each takes a few milliseconds.
const MAILBOX: usize = 1024;

/// What the room needs to know of the node.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The bridge's link name, at most 15 characters.
    pub bridge: String,
    /// Subnets and host networks.
    pub settings: Settings,
    /// For namespaces and the list of changed kernel settings. It must not survive a reboot, as `/run/stead`.
    pub runtime_dir: PathBuf,
    /// MTU of the bridge and its links; `None` takes that of the default route's link.
    pub mtu: Option<u32>,
}

impl NetworkConfig {
    /// The defaults: bridge `stead0`, Nomad's IPv4 subnet, and the IPv6 subnet that `node_seed`, which must stay the same
    /// on a node, gives.
    pub fn new(runtime_dir: PathBuf, node_seed: u64) -> Self {
        let settings = Settings {
            subnet_v4: ipam::Subnet4::DEFAULT,
            subnet_v6: Some(ipam::Subnet6::unique_local(node_seed)),
            host_networks: Vec::new(),
        };
        Self { bridge: rules::DEFAULT_BRIDGE.to_owned(), settings, runtime_dir, mtu: None }
    }

    fn netns_dir(&self) -> PathBuf {
        self.own_path("netns")
    }

    /// Two agents with different bridges may share the directory.
    fn own_path(&self, name: &str) -> PathBuf {
        if self.bridge == rules::DEFAULT_BRIDGE {
            return self.runtime_dir.join(name);
        }
        self.runtime_dir.join(format!("{}-{name}", self.bridge))
    }
}

/// An allocation's network as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkStatus {
    /// What was made; to be journaled, and given to [`Network::open`] after a restart.
    pub plan: NetworkPlan,
    /// The link inside the namespace, in bridge mode.
    pub interface: Option<String>,
    /// Its IPv4 address.
    pub address: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub address_v6: Option<Ipv6Addr>,
    /// The namespace that the tasks are to join; `None` is the host's.
    pub netns: Option<PathBuf>,
}

/// What became of the plans given to [`Network::open`].
#[derive(Debug, Default)]
pub struct Restored {
    /// Allocations whose network is in force again.
    pub adopted: Vec<String>,
    /// Allocations whose namespace, link or address is no more: they must be set up anew, with their tasks.
    pub missing: Vec<String>,
    /// Namespaces and links that nobody wanted.
    pub removed: Vec<String>,
    /// What could not be removed of what nobody wanted.
    pub failures: Vec<NetworkError>,
    /// Adopted allocations with a port that somebody else bound meanwhile.
    pub unheld: Vec<(String, NetworkError)>,
}

/// The network of this node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Network {
    requests: Arc<SyncSender<Request>>,
    reach: watch::Receiver<Reach>,
}

impl Network {
    /// Opens the room in the calling thread's network namespace, takes over the networks of `plans`, and removes
    /// what an earlier agent left behind. Makes nothing until it is needed. The sockets of published ports are
    /// served on the calling runtime until `stop`.
    pub async fn open(
        config: NetworkConfig,
        plans: Vec<NetworkPlan>,
        stop: &Stop,
    ) -> Result<(Self, Restored), NetworkError> {
        let (requests, mailbox) = sync_channel(MAILBOX);
        let requests = Arc::new(requests);
        let (reach_in, reach) = watch::channel(Reach::Forwarded);
        let (ready, opened) = oneshot::channel();
        let (weak, runtime, stop) = (Arc::downgrade(&requests), Handle::current(), stop.clone());
        let work = move || {
            // Sockets that are served and tasks that are spawned need to know their runtime.
            let _entered = runtime.enter();
            let opened = Actor::open(config, runtime.clone(), stop, weak, reach_in);
            serve(opened, plans, ready, &mailbox);
        };
        let thread = std::thread::Builder::new().name("network".to_owned()).spawn(work);
        drop(thread.map_err(|source| NetworkError::Open { action: "start a thread", source })?);
        let restored = opened.await.map_err(|_| NetworkError::Closed)??;
        Ok((Self { requests, reach }, restored))
    }

    /// Makes the allocation's network: all of it, or nothing. Asking again for the same allocation gives the same.
    pub async fn setup(&self, request: &NetworkRequest) -> Result<NetworkStatus, NetworkError> {
        let request = Box::new(request.clone());
        self.ask(|reply| Request::SetUp(request, reply)).await
    }

    /// Removes all of the allocation's network, also what setup never finished. May be repeated.
    pub async fn teardown(&self, alloc_id: &str) -> Result<(), NetworkError> {
        let alloc_id = alloc_id.to_owned();
        self.ask(|reply| Request::TearDown(alloc_id, reply)).await
    }

    /// Says which addresses of the host belong together from now on; see [`Settings::host_networks`].
    pub fn set_host_networks(&self, networks: Vec<Vec<IpAddr>>) -> Result<(), NetworkError> {
        self.send(Request::HostNetworks(networks))
    }

    /// Removes bridge and table and puts kernel settings back, so that the machine is as it was before the first
    /// setup. An error while an allocation has a network.
    pub async fn remove_all(&self) -> Result<(), NetworkError> {
        self.ask(Request::RemoveAll).await
    }

    /// Whether packets cross this machine, or another program's firewall makes published ports fall back to proxies.
    pub fn reach(&self) -> watch::Receiver<Reach> {
        self.reach.clone()
    }

    /// Ends the room. What allocations have stays, except that their ports are no longer held.
    pub async fn close(self) {
        let (reply, closed) = oneshot::channel();
        if self.send(Request::Close(reply)).is_ok() {
            // An error means that it is closed already.
            closed.await.unwrap_or_default();
        }
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, NetworkError>>) -> Request,
    ) -> Result<T, NetworkError> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply))?;
        answer.await.map_err(|_| NetworkError::Closed)?
    }

    fn send(&self, request: Request) -> Result<(), NetworkError> {
        self.requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => NetworkError::Busy,
            TrySendError::Disconnected(_) => NetworkError::Closed,
        })
    }
}

/// The life of the owner's thread.
fn serve(
    opened: Result<Actor, NetworkError>,
    plans: Vec<NetworkPlan>,
    ready: oneshot::Sender<Result<Restored, NetworkError>>,
    mailbox: &Receiver<Request>,
) {
    // Whoever opened may have gone; then the mailbox has no other end, and the owner stops at once.
    let mut actor = match opened {
        Ok(actor) => actor,
        Err(error) => {
            drop(ready.send(Err(error)));
            return;
        }
    };
    let restored = actor.restore(plans);
    if ready.send(restored).is_ok() {
        actor.run(mailbox);
    }
}
