//! ◇ The one owner of the node's network: a thread of its own with its own netlink sockets, so that everything it does
//! happens in one network namespace and in one order. It is asleep unless somebody asks or nftables says that
//! another program changed something.
//!
//! Setup makes, in this order, and undoes in the reverse order when a step fails: the sockets that hold the ports, the
//! namespace, the link pair, addresses and routes, the elements of the port maps. Teardown goes the same way back, does not
//! stop at a failure, and needs no setup to have been there.

mod restore;
mod setup;
mod table;
mod teardown;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Weak;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::bridge::Bridge;
use super::claim::Claim;
use super::conntrack::Redirected;
use super::error::NetworkError;
use super::forward::Probe;
use super::link::{Link, Links};
use super::nat::{Foreign, Nat};
use super::netns;
use super::plan::Leases;
use super::request::{NetworkPlan, NetworkRequest};
use super::rules::{self, Reach};
use super::sysctl::{self, Sysctls};
use super::{NetworkConfig, NetworkStatus};
use crate::sys::clock;
use crate::sys::tasks::{Stop, Tasks};

/// The link inside a namespace. Nomad: the same name.
pub(super) const INTERFACE: &str = "eth0";

/// How long the kernel may take to remove the links of a namespace that is gone, before we do it.
const LINGER: Duration = Duration::from_secs(1);
/// How long the sockets of a port may take to close.
const CLOSE: Duration = Duration::from_secs(2);

type Reply<T> = oneshot::Sender<Result<T, NetworkError>>;

/// What the owner can be asked.
#[derive(Debug)]
pub(super) enum Request {
    SetUp(Box<NetworkRequest>, Reply<NetworkStatus>),
    TearDown(String, Reply<()>),
    HostNetworks(Vec<Vec<IpAddr>>),
    RemoveAll(Reply<()>),
    Changed(Foreign),
    Close(oneshot::Sender<()>),
}

/// An allocation whose network is up.
#[derive(Debug)]
struct Alloc {
    plan: NetworkPlan,
    /// The tasks that keep its ports' sockets.
    ports: Option<Tasks>,
}

#[derive(Debug)]
pub(super) struct Actor {
    config: NetworkConfig,
    runtime: Handle,
    stop: Stop,
    /// To ourselves, for the watcher; weak, so that the last handle's end is seen.
    mailbox: Weak<SyncSender<Request>>,
    links: Links,
    /// The bridge as it was last seen in order.
    bridge: Option<Link>,
    /// The bridge and the table are ours to change.
    claim: Option<Claim>,
    nat: Nat,
    sysctls: Sysctls,
    leases: Leases,
    allocs: BTreeMap<String, Alloc>,
    with_v6: bool,
    /// Whether the table is in force and watched.
    watching: Option<Tasks>,
    reach: watch::Sender<Reach>,
    /// Links that the kernel should have removed by a certain time, the earliest first.
    lingering: Vec<(Instant, String)>,
    /// A probe under way, and the time of the last one.
    probe: Option<Probe>,
    redirected: Redirected,
    probed_at: Option<Instant>,
}

impl Actor {
    pub(super) fn open(
        mut config: NetworkConfig,
        runtime: Handle,
        stop: Stop,
        mailbox: Weak<SyncSender<Request>>,
        reach: watch::Sender<Reach>,
    ) -> Result<Self, NetworkError> {
        let failed = |action| move |source| NetworkError::Open { action, source };
        if !is_link_name(&config.bridge) {
            return Err(NetworkError::BridgeName(config.bridge));
        }
        let with_v6 = sysctl::has_ipv6();
        if !with_v6 {
            config.settings.subnet_v6 = None;
        }
        let file = config.own_path("sysctls.json");
        Ok(Self {
            leases: Leases::new(&config.settings),
            runtime,
            stop,
            mailbox,
            links: Links::open().map_err(failed("open rtnetlink"))?,
            bridge: None,
            claim: None,
            nat: Nat::open(rules::table_name(&config.bridge)).map_err(failed("open nfnetlink"))?,
            sysctls: Sysctls::open(file).map_err(failed("read the list of changed settings"))?,
            allocs: BTreeMap::new(),
            with_v6,
            watching: None,
            reach,
            lingering: Vec::new(),
            probe: None,
            redirected: Redirected::default(),
            probed_at: None,
            config,
        })
    }

    /// Serves until told to close or until nobody can ask any more.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        let runtime = self.runtime.clone();
        let mut closed = None;
        loop {
            let request = match self.next_due() {
                None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => {
                    requests.recv_timeout(due.saturating_duration_since(clock::monotonic()))
                }
            };
            match request {
                Ok(Request::Close(reply)) => {
                    closed = Some(reply);
                    break;
                }
                Ok(request) => self.serve(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = clock::monotonic();
            self.remove_lingering(now);
            self.look_at_probe(now);
            self.redirected.begin(now);
        }
        let tasks = self.allocs.into_values().filter_map(|alloc| alloc.ports);
        let all =
            tasks.chain(self.watching).map(|tasks| async move { tasks.shutdown(CLOSE).await });
        drop(runtime.block_on(futures::future::join_all(all)));
        self.redirected.finish();
        // Whoever opens the room next must find it free.
        drop(self.claim);
        if let Some(reply) = closed {
            // Whoever asked may have gone.
            reply.send(()).unwrap_or_default();
        }
    }

    /// When something is to be done without being asked; mostly never.
    fn next_due(&self) -> Option<Instant> {
        let link = self.lingering.first().map(|(due, _)| *due);
        let probe = self.probe.as_ref().map(Probe::due);
        link.into_iter().chain(probe).chain(self.redirected.due()).min()
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::SetUp(request, reply) => {
                let status = self.set_up(&request);
                let bridged = status.as_ref().is_ok_and(|status| status.address.is_some());
                if let Err(Ok(status)) = reply.send(status) {
                    // Nobody will ever use or tear down what was just made.
                    self.tear_down(&status.plan.alloc_id).unwrap_or_else(|error| log(&error));
                } else if bridged {
                    self.probe_sometimes();
                }
            }
            Request::TearDown(alloc_id, reply) => {
                reply.send(self.tear_down(&alloc_id)).unwrap_or_default();
            }
            Request::HostNetworks(networks) => self.config.settings.host_networks = networks,
            Request::RemoveAll(reply) => reply.send(self.remove_all()).unwrap_or_default(),
            Request::Changed(foreign) => self.changed(foreign),
            Request::Close(_) => {}
        }
    }

    fn status(&self, plan: &NetworkPlan) -> NetworkStatus {
        NetworkStatus {
            interface: plan.address().map(|_| INTERFACE.to_owned()),
            address: plan.address(),
            address_v6: plan.address_v6(),
            netns: plan.netns().map(|name| self.netns_path(name)),
            plan: plan.clone(),
        }
    }

    fn netns_path(&self, name: &str) -> PathBuf {
        netns::path(&self.config.netns_dir(), name)
    }
}

fn bridge(config: &NetworkConfig) -> Bridge<'_> {
    Bridge { name: &config.bridge, settings: &config.settings, mtu: config.mtu }
}
/// Stricter than the kernel: the name also becomes a part of paths below `/proc/sys` and of advice to operators.
fn is_link_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !matches!(name, "." | ".." | "all" | "default")
}

fn log(error: &NetworkError) {
    tracing::error!("{}", crate::sys::report::chain(error));
}
