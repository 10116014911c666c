//! ◆ Room on a node, kept up as allocations come and go: what the node has ([`Capacity`]), what is taken of it
//! ([`NodeUse`], one add or remove per allocation, never a sum over all of them), and what is lacking
//! ([`Shortage`]). The state keeps one `NodeUse` per node; the scheduler starts from it.
//!
//! What is taken is counted until the *node* has ended an allocation, not only until a server wants it gone: a port or
//! core is never given away while its holder still lets go of it. The stops of one plan do make room for the
//! placements of the same plan, because a replacement waits on its node for the one it replaces.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::allocation::Allocation;
use super::id::AllocId;
use super::node::Node;
use super::resources::AllocatedResources;

/// What a node has for tasks: its resources less what is kept from them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capacity {
    /// MHz.
    pub cpu: i64,
    /// MiB.
    pub memory: i64,
    /// MiB.
    pub disk: i64,
    /// At most so many allocations; 0 for no limit.
    pub max_allocs: i64,
    /// Cores tasks may have for themselves, ascending.
    pub cores: Vec<u16>,
    /// MHz of one core.
    pub mhz_per_core: i64,
    /// Ports no task gets on any address.
    pub kept_ports: PortRanges,
    /// Addresses that ports are published on.
    pub addresses: Vec<HostAddress>,
    /// Dynamic ports are chosen from here …
    pub min_dynamic_port: u16,
    /// … to here.
    pub max_dynamic_port: u16,
}

/// An address of a node that ports are published on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAddress {
    /// The host network it belongs to.
    pub network: String,
    /// The address.
    pub address: String,
    /// Ports no task gets on it.
    pub kept_ports: PortRanges,
}

impl Capacity {
    /// The usual first dynamic port.
    pub const MIN_DYNAMIC_PORT: u16 = 20_000;
    /// The usual last dynamic port.
    pub const MAX_DYNAMIC_PORT: u16 = 32_000;

    /// What `node` has for tasks.
    pub fn of(node: &Node) -> Self {
        let (has, kept) = (&node.node_resources, &node.reserved_resources);
        let mut cores = has.cpu.reservable_cpu_cores.clone();
        cores.retain(|core| !kept.cpu.reserved_cpu_cores.contains(core));
        cores.sort_unstable();
        let addresses = has
            .node_networks
            .iter()
            .flat_map(|network| &network.addresses)
            .map(|address| HostAddress {
                network: if address.alias.is_empty() { "default" } else { &address.alias }
                    .to_owned(),
                address: address.address.clone(),
                kept_ports: PortRanges::parse(&address.reserved_ports),
            })
            .collect();
        let or = |port: u16, usual: u16| if port == 0 { usual } else { port };
        Self {
            cpu: has.cpu.cpu_shares - kept.cpu.cpu_shares,
            memory: has.memory.memory_mb - kept.memory.memory_mb,
            disk: has.disk.disk_mb - kept.disk.disk_mb,
            max_allocs: node.node_max_allocs,
            cores,
            mhz_per_core: has.cpu.cpu_shares / i64::from(has.cpu.total_cpu_cores.max(1)),
            kept_ports: PortRanges::parse(&kept.networks.reserved_host_ports),
            addresses,
            min_dynamic_port: or(has.min_dynamic_port, Self::MIN_DYNAMIC_PORT),
            max_dynamic_port: or(has.max_dynamic_port, Self::MAX_DYNAMIC_PORT),
        }
    }

    /// Whether all of `usage` has room, and if not, what is lacking first.
    pub fn holds(&self, usage: &NodeUse) -> Result<(), Shortage> {
        let cores = |core: &(u16, AllocId)| self.cores.binary_search(&core.0).is_ok();
        if !usage.cores.iter().all(cores) || usage.has_shared_core() {
            return Err(Shortage::Cores);
        }
        if usage.cpu > self.cpu {
            return Err(Shortage::Cpu);
        }
        if usage.memory > self.memory {
            return Err(Shortage::Memory);
        }
        if usage.disk > self.disk {
            return Err(Shortage::Disk);
        }
        if self.max_allocs > 0 && usage.allocs > self.max_allocs {
            return Err(Shortage::Allocs);
        }
        usage.port_collision().map_or(Ok(()), Err)
    }
}

/// Ports as people list them: `22,80,8000-9000`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortRanges(Vec<(u16, u16)>);

impl PortRanges {
    /// Reads the list; parts that are no port or range are passed over.
    pub fn parse(text: &str) -> Self {
        let range = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
        };
        Self(text.split(',').filter_map(range).collect())
    }

    /// Whether `port` is in the list.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|&(from, to)| (from..=to).contains(&port))
    }
}

/// What is taken on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeUse {
    /// MHz.
    pub cpu: i64,
    /// MiB.
    pub memory: i64,
    /// MiB.
    pub disk: i64,
    /// Allocations.
    pub allocs: i64,
    /// Cores that are somebody's own.
    pub cores: Vec<(u16, AllocId)>,
    /// Ports, ascending by number.
    pub ports: Vec<UsedPort>,
}

/// A port that is somebody's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsedPort {
    /// The number.
    pub port: u16,
    /// The host address; empty for all.
    pub address: Arc<str>,
    /// Whether others may have it too.
    pub shared: bool,
    /// Its label.
    pub label: Arc<str>,
    /// Whose it is.
    pub alloc: AllocId,
}

impl UsedPort {
    /// Whether the two cannot be had at once.
    pub fn collides(&self, port: u16, address: &str, shared: bool) -> bool {
        self.port == port && !(self.shared && shared) && same_address(&self.address, address)
    }
}

/// Whether a port on `a` is also one on `b`.
fn same_address(a: &str, b: &str) -> bool {
    let any = |address: &str| matches!(address, "" | "0.0.0.0" | "::");
    a == b || any(a) || any(b)
}

impl NodeUse {
    /// What these allocations take.
    pub fn of<'a>(allocs: impl IntoIterator<Item = &'a Allocation>) -> Self {
        let mut usage = Self::default();
        allocs.into_iter().for_each(|alloc| usage.add(alloc));
        usage
    }

    /// Counts `alloc` in, unless its node has ended it.
    pub fn add(&mut self, alloc: &Allocation) {
        if alloc.is_client_terminal() {
            return;
        }
        self.claim(&alloc.id, &alloc.allocated_resources);
    }

    /// Counts resources in that `alloc` has or would have.
    pub fn claim(&mut self, alloc: &AllocId, resources: &AllocatedResources) {
        let sum = Sum::of(resources);
        self.cpu += sum.cpu;
        self.memory += sum.memory;
        self.disk += resources.shared.disk_mb;
        self.allocs += 1;
        for &core in resources.tasks.values().flat_map(|task| &task.cpu.reserved_cores) {
            let core = (core, alloc.clone());
            let at = self.cores.partition_point(|other| *other < core);
            self.cores.insert(at, core);
        }
        for port in &resources.shared.ports {
            let used = UsedPort {
                port: port.value,
                address: port.host_ip.as_str().into(),
                shared: port.ignore_collision,
                label: port.label.as_str().into(),
                alloc: alloc.clone(),
            };
            let at = self.ports.partition_point(|other| *other < used);
            self.ports.insert(at, used);
        }
    }

    /// Counts `alloc` out again, as it was counted in. Nothing happens if its node had ended it.
    pub fn remove(&mut self, alloc: &Allocation) {
        if alloc.is_client_terminal() {
            return;
        }
        let sum = Sum::of(&alloc.allocated_resources);
        self.cpu -= sum.cpu;
        self.memory -= sum.memory;
        self.disk -= alloc.allocated_resources.shared.disk_mb;
        self.allocs -= 1;
        self.cores.retain(|(_, holder)| *holder != alloc.id);
        self.ports.retain(|used| used.alloc != alloc.id);
    }

    /// Whether nothing is taken.
    pub fn is_empty(&self) -> bool {
        self.allocs == 0
    }

    /// Who has `port` on `address`, unless all want to share it.
    pub fn holder(&self, port: u16, address: &str, shared: bool) -> Option<&UsedPort> {
        let first = self.ports.partition_point(|used| used.port < port);
        let same = self.ports.get(first..)?.iter().take_while(|used| used.port == port);
        same.into_iter().find(|used| used.collides(port, address, shared))
    }

    fn has_shared_core(&self) -> bool {
        self.cores.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0))
    }

    fn port_collision(&self) -> Option<Shortage> {
        self.ports.iter().enumerate().find_map(|(at, port)| {
            let others = self.ports.get(at + 1..)?.iter().take_while(|o| o.port == port.port);
            let mut others = others;
            others
                .find(|other| other.collides(port.port, &port.address, port.shared))
                .map(|other| Shortage::port(other, &port.alloc))
        })
    }
}

/// What the tasks of an allocation need at once: tasks that are over before the main ones begin, or begin when
/// they are over, share room with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// MHz.
    pub cpu: i64,
    /// MiB.
    pub memory: i64,
}

impl Sum {
    /// What an allocation with these resources needs at once.
    pub fn of(resources: &AllocatedResources) -> Self {
        let (mut before, mut beside, mut main, mut after) =
            (Self::default(), Self::default(), Self::default(), Self::default());
        for (name, task) in &resources.tasks {
            let lifecycle = resources.task_lifecycles.get(name).and_then(Option::as_ref);
            let part = match lifecycle.map(|l| (l.hook.as_str(), l.sidecar)) {
                Some(("prestart", false)) => &mut before,
                Some(("prestart", true)) => &mut beside,
                Some(("poststop", _)) => &mut after,
                Some(_) | None => &mut main,
            };
            part.cpu += task.cpu.cpu_shares;
            part.memory += task.memory.memory_mb;
        }
        Self {
            cpu: beside.cpu + before.cpu.max(main.cpu).max(after.cpu),
            memory: beside.memory + before.memory.max(main.memory).max(after.memory),
        }
    }
}

/// What a node lacks. Its text is Nomad's name of the dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shortage {
    /// MHz.
    Cpu,
    /// Memory.
    Memory,
    /// Disk.
    Disk,
    /// Cores for oneself.
    Cores,
    /// The node takes no more allocations.
    Allocs,
    /// A port is somebody else's.
    Port {
        /// The number.
        port: u16,
        /// Its label in the group that asks for it.
        label: String,
        /// Whose it is; none when it is kept from tasks.
        holder: Option<AllocId>,
    },
    /// The node has no address in that host network.
    Address {
        /// The host network.
        network: String,
    },
    /// All dynamic ports are taken.
    DynamicPorts,
    /// No such devices are free.
    Devices,
}

impl Shortage {
    /// Whose the port is that is lacking.
    pub fn holder(&self) -> Option<&AllocId> {
        match self {
            Self::Port { holder, .. } => holder.as_ref(),
            Self::Cpu
            | Self::Memory
            | Self::Disk
            | Self::Cores
            | Self::Allocs
            | Self::Address { .. }
            | Self::DynamicPorts
            | Self::Devices => None,
        }
    }

    fn port(used: &UsedPort, holder: &AllocId) -> Self {
        Self::Port { port: used.port, label: used.label.to_string(), holder: Some(holder.clone()) }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Memory => f.write_str("memory"),
            Self::Disk => f.write_str("disk"),
            Self::Cores => f.write_str("cores"),
            Self::Allocs => f.write_str("max allocs"),
            Self::Port { port, label, holder: _ } => {
                write!(f, "network: reserved port collision {label}={port}")
            }
            Self::Address { network } => {
                write!(f, "network: no addresses available for \"{network}\" network")
            }
            Self::DynamicPorts => f.write_str("network: dynamic port selection failed"),
            Self::Devices => f.write_str("devices"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::allocation::ClientStatus;
    use crate::model::resources::{AllocatedPort, AllocatedTaskResources};
    use crate::model::task::Lifecycle;

    fn alloc(id: &str, memory: i64, port: u16) -> Allocation {
        let mut alloc = Allocation { id: id.into(), ..Allocation::default() };
        let mut task = AllocatedTaskResources::default();
        task.memory.memory_mb = memory;
        alloc.allocated_resources.tasks.insert("t".into(), task);
        if port > 0 {
            let port = AllocatedPort { label: "http".into(), value: port, ..Default::default() };
            alloc.allocated_resources.shared.ports.push(port);
        }
        alloc
    }

    fn capacity(memory: i64) -> Capacity {
        Capacity { memory, ..Capacity::default() }
    }

    #[test]
    fn what_is_added_and_removed_leaves_nothing() {
        let (a, b) = (alloc("a", 10, 80), alloc("b", 20, 81));
        let mut usage = NodeUse::of([&a, &b]);
        assert_eq!((usage.memory, usage.allocs, usage.ports.len()), (30, 2, 2));
        usage.remove(&a);
        usage.remove(&b);
        assert_eq!(usage, NodeUse::default());
    }

    #[test]
    fn an_ended_allocation_takes_nothing_and_a_stopping_one_does() {
        let mut ended = alloc("a", 10, 80);
        ended.client_status = ClientStatus::Complete;
        let mut stopping = alloc("b", 10, 80);
        stopping.desired_status = crate::model::DesiredStatus::Stop;
        assert_eq!(NodeUse::of([&ended, &stopping]).memory, 10);
    }

    #[test]
    fn a_shortage_is_named() {
        let usage = NodeUse::of([&alloc("a", 10, 80), &alloc("b", 20, 80)]);
        assert_eq!(capacity(29).holds(&usage), Err(Shortage::Memory));
        let lack = capacity(30).holds(&usage).unwrap_err();
        assert_eq!(lack.to_string(), "network: reserved port collision http=80");
        assert!(capacity(30).holds(&NodeUse::of([&alloc("a", 10, 80)])).is_ok());
    }

    #[test]
    fn tasks_that_never_run_together_share_room() {
        let mut alloc = alloc("a", 100, 0);
        for (name, hook, sidecar, memory) in [
            ("init", "prestart", false, 300),
            ("proxy", "prestart", true, 50),
            ("end", "poststop", false, 20),
        ] {
            let mut task = AllocatedTaskResources::default();
            task.memory.memory_mb = memory;
            alloc.allocated_resources.tasks.insert(name.into(), task);
            let lifecycle = Lifecycle { hook: hook.into(), sidecar };
            alloc.allocated_resources.task_lifecycles.insert(name.into(), Some(lifecycle));
        }
        assert_eq!(Sum::of(&alloc.allocated_resources).memory, 350);
    }

    #[test]
    fn port_ranges_are_read() {
        let ranges = PortRanges::parse("22, 80,8000-9000,x");
        assert!(ranges.contains(22) && ranges.contains(8500) && !ranges.contains(81));
    }
}
