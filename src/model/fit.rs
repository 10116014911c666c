//! ◆ Whether allocations fit on a node together: processor, cores, memory, disk, devices and ports.
//!
//! The scheduler asks it before it places and the state machine asks it again before it believes, so both
//! mean the same by "fits". [`allocs_fit`] answers for a whole set; [`Taken`] is the same, kept while
//! allocations are added one after another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use super::allocation::Allocation;
use super::id::{AllocId, JobKey};
use super::node::Node;
use super::resources::{AllocatedPort, AllocatedResources, AllocatedTaskResources};

/// Amounts that add up: MHz and MiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// MHz.
    pub cpu_mhz: i64,
    /// MiB that are reserved.
    pub memory_mb: i64,
    /// MiB that may be used when there is room; at least `memory_mb`.
    pub memory_max_mb: i64,
    /// MiB of ephemeral disk.
    pub disk_mb: i64,
}

impl Usage {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpu_mhz: self.cpu_mhz.saturating_add(other.cpu_mhz),
            memory_mb: self.memory_mb.saturating_add(other.memory_mb),
            memory_max_mb: self.memory_max_mb.saturating_add(other.memory_max_mb),
            disk_mb: self.disk_mb.saturating_add(other.disk_mb),
        }
    }

    /// What is left of this without `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            cpu_mhz: self.cpu_mhz.saturating_sub(other.cpu_mhz),
            memory_mb: self.memory_mb.saturating_sub(other.memory_mb),
            memory_max_mb: self.memory_max_mb.saturating_sub(other.memory_max_mb),
            disk_mb: self.disk_mb.saturating_sub(other.disk_mb),
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            cpu_mhz: self.cpu_mhz.max(other.cpu_mhz),
            memory_mb: self.memory_mb.max(other.memory_mb),
            memory_max_mb: self.memory_max_mb.max(other.memory_max_mb),
            disk_mb: self.disk_mb.max(other.disk_mb),
        }
    }
}

/// What a node has for allocations: all of it without what is reserved.
pub fn capacity(node: &Node) -> Usage {
    let (has, kept) = (&node.node_resources, &node.reserved_resources);
    let memory_mb = has.memory.memory_mb.saturating_sub(kept.memory.memory_mb);
    Usage {
        cpu_mhz: has.cpu.cpu_shares.saturating_sub(kept.cpu.cpu_shares),
        memory_mb,
        memory_max_mb: memory_mb,
        disk_mb: has.disk.disk_mb.saturating_sub(kept.disk.disk_mb),
    }
}

/// The most an allocation uses at any time of its life: tasks that are over before the main ones start, and
/// those that start after them, take turns with the main ones.
pub fn usage(resources: &AllocatedResources) -> Usage {
    let (mut before, mut beside) = (Usage::default(), Usage::default());
    let (mut main, mut after) = (Usage::default(), Usage::default());
    for (name, task) in &resources.tasks {
        let lifecycle = resources.task_lifecycles.get(name).and_then(Option::as_ref);
        let phase = match lifecycle {
            Some(l) if l.hook == "prestart" && l.sidecar => &mut beside,
            Some(l) if l.hook == "prestart" => &mut before,
            Some(l) if l.hook == "poststop" => &mut after,
            Some(_) | None => &mut main,
        };
        *phase = phase.plus(task_usage(task));
    }
    let mut all = beside.plus(before.max(main).max(after));
    all.disk_mb = all.disk_mb.saturating_add(resources.shared.disk_mb);
    all
}

fn task_usage(task: &AllocatedTaskResources) -> Usage {
    Usage {
        cpu_mhz: task.cpu.cpu_shares,
        memory_mb: task.memory.memory_mb,
        memory_max_mb: task.memory.memory_max_mb.max(task.memory.memory_mb),
        disk_mb: 0,
    }
}

/// Every port an allocation holds on its node.
pub fn ports(resources: &AllocatedResources) -> Vec<AllocatedPort> {
    let legacy = |network: &super::network::NetworkResource| {
        network
            .ports()
            .map(|port| AllocatedPort { host_ip: network.ip.clone(), ..AllocatedPort::from(port) })
            .collect::<Vec<_>>()
    };
    let mut held = resources.shared.ports.clone();
    if held.is_empty() {
        held.extend(resources.shared.networks.iter().flat_map(legacy));
    }
    held.extend(resources.tasks.values().flat_map(|task| &task.networks).flat_map(legacy));
    held.retain(|port| port.value != 0);
    held
}

/// The ranges in `22,80,8000-9000`. Parts that are no ports are left out.
pub fn port_ranges(text: &str) -> Vec<RangeInclusive<u16>> {
    text.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last).then_some(first..=last)
        })
        .collect()
}

/// Whether a host address of a port means every address.
pub fn is_any_address(ip: &str) -> bool {
    matches!(ip, "" | "0.0.0.0" | "::")
}

/// Who holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortHolder {
    /// The node's configuration keeps it from tasks.
    Node,
    /// An allocation.
    Alloc {
        /// Its job.
        job: JobKey,
        /// Its group.
        group: String,
        /// It.
        alloc: AllocId,
    },
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("the node's reserved ports"),
            Self::Alloc { job, group, alloc } => {
                write!(f, "job `{}` (group `{group}`, alloc {})", job.id, alloc.short())
            }
        }
    }
}

/// Why allocations do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// Too little processor, in MHz.
    Cpu {
        /// What all of them need.
        needed: i64,
        /// What there is.
        available: i64,
    },
    /// Too little memory, in MiB.
    Memory {
        /// What all of them need.
        needed: i64,
        /// What there is.
        available: i64,
    },
    /// Too little disk, in MiB.
    Disk {
        /// What all of them need.
        needed: i64,
        /// What there is.
        available: i64,
    },
    /// A core that is not there, is kept, or is given twice.
    Core(u16),
    /// A port that somebody else has.
    Port {
        /// Its label.
        label: String,
        /// Its number on the host.
        port: u16,
        /// Who has it.
        holder: PortHolder,
    },
    /// A device that is not there or is given twice.
    Device {
        /// `vendor/type/model`.
        name: String,
        /// The instance.
        id: String,
    },
    /// More allocations than the node takes.
    Count {
        /// How many it takes.
        max: i64,
    },
}

impl Misfit {
    /// The dimension, as Nomad's placement metrics name it.
    pub fn dimension(&self) -> String {
        match self {
            Self::Cpu { .. } => "cpu".to_owned(),
            Self::Memory { .. } => "memory".to_owned(),
            Self::Disk { .. } => "disk".to_owned(),
            Self::Core(_) => "cores".to_owned(),
            Self::Port { label, port, .. } => {
                format!("network: reserved port collision {label}={port}")
            }
            Self::Device { .. } => "devices".to_owned(),
            Self::Count { .. } => "max allocations exceeded".to_owned(),
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu { needed, available } => {
                write!(f, "cpu: {needed} MHz needed, {available} available")
            }
            Self::Memory { needed, available } => {
                write!(f, "memory: {needed} MiB needed, {available} available")
            }
            Self::Disk { needed, available } => {
                write!(f, "disk: {needed} MiB needed, {available} available")
            }
            Self::Core(core) => write!(f, "cores: core {core} is not free"),
            Self::Port { label, port, holder } => {
                write!(f, "port {port} (`{label}`) is held by {holder}")
            }
            Self::Device { name, id } => write!(f, "devices: `{name}` {id} is not free"),
            Self::Count { max } => write!(f, "the node takes {max} allocations at most"),
        }
    }
}

/// What is taken on one node.
#[derive(Debug, Clone)]
pub struct Taken<'a> {
    node: &'a Node,
    usage: Usage,
    cores: BTreeSet<u16>,
    free_cores: BTreeSet<u16>,
    ports: BTreeMap<u16, Vec<HeldPort>>,
    kept_ports: Vec<(String, RangeInclusive<u16>)>,
    devices: BTreeSet<(&'a str, &'a str, &'a str, &'a str)>,
    count: i64,
}

#[derive(Debug, Clone)]
struct HeldPort {
    ip: String,
    shared: bool,
    holder: PortHolder,
}

impl<'a> Taken<'a> {
    /// An empty node, but for what its configuration keeps.
    pub fn new(node: &'a Node) -> Self {
        let (has, kept) = (&node.node_resources, &node.reserved_resources);
        let mut kept_ports: Vec<_> = port_ranges(&kept.networks.reserved_host_ports)
            .into_iter()
            .map(|range| (String::new(), range))
            .collect();
        for address in has.node_networks.iter().flat_map(|network| &network.addresses) {
            let ranges = port_ranges(&address.reserved_ports);
            kept_ports.extend(ranges.into_iter().map(|range| (address.address.clone(), range)));
        }
        let reserved = &kept.cpu.reserved_cpu_cores;
        Self {
            node,
            usage: Usage::default(),
            cores: BTreeSet::new(),
            free_cores: has
                .cpu
                .reservable_cpu_cores
                .iter()
                .filter(|core| !reserved.contains(core))
                .copied()
                .collect(),
            ports: BTreeMap::new(),
            kept_ports,
            devices: BTreeSet::new(),
            count: 0,
        }
    }

    /// What is taken in all.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Cores that nobody has yet.
    pub fn free_cores(&self) -> impl Iterator<Item = u16> + '_ {
        self.free_cores.difference(&self.cores).copied()
    }

    /// Who holds `port` at `ip`; an address that means all of them asks for any.
    pub fn port_holder(&self, ip: &str, port: u16) -> Option<PortHolder> {
        let meets = |other: &str| is_any_address(ip) || is_any_address(other) || ip == other;
        if self.kept_ports.iter().any(|(other, range)| range.contains(&port) && meets(other)) {
            return Some(PortHolder::Node);
        }
        let held = self.ports.get(&port)?.iter().find(|held| meets(&held.ip))?;
        Some(held.holder.clone())
    }

    /// Whether an instance of a device is given to somebody.
    pub fn has_device(&self, vendor: &str, kind: &str, name: &str, id: &str) -> bool {
        self.devices.contains(&(vendor, kind, name, id))
    }

    /// Adds an allocation. Refuses what two cannot have: a core, a port, a device. Amounts are only summed;
    /// [`Taken::check`] compares them.
    pub fn add(&mut self, alloc: &'a Allocation) -> Result<(), Misfit> {
        let resources = &alloc.allocated_resources;
        self.usage = self.usage.plus(usage(resources));
        self.count = self.count.saturating_add(1);
        for task in resources.tasks.values() {
            for core in &task.cpu.reserved_cores {
                if !self.cores.insert(*core) {
                    return Err(Misfit::Core(*core));
                }
            }
            for device in &task.devices {
                for id in &device.device_ids {
                    let key = (&*device.vendor, &*device.kind, &*device.name, &**id);
                    if !self.devices.insert(key) {
                        let name = format!("{}/{}/{}", device.vendor, device.kind, device.name);
                        return Err(Misfit::Device { name, id: id.clone() });
                    }
                }
            }
        }
        ports(resources).into_iter().try_for_each(|port| self.hold(alloc, port))
    }

    fn hold(&mut self, alloc: &Allocation, port: AllocatedPort) -> Result<(), Misfit> {
        let shared = |held: &HeldPort| held.shared && port.ignore_collision;
        let free_to_share = port.ignore_collision
            && self.ports.get(&port.value).is_none_or(|held| held.iter().all(shared));
        if !free_to_share && let Some(holder) = self.port_holder(&port.host_ip, port.value) {
            return Err(Misfit::Port { label: port.label, port: port.value, holder });
        }
        let holder = PortHolder::Alloc {
            job: alloc.job_key(),
            group: alloc.task_group.clone(),
            alloc: alloc.id.clone(),
        };
        self.ports.entry(port.value).or_default().push(HeldPort {
            ip: port.host_ip,
            shared: port.ignore_collision,
            holder,
        });
        Ok(())
    }

    /// Whether the node has as much as is taken.
    pub fn check(&self) -> Result<(), Misfit> {
        let (needed, available) = (self.usage, capacity(self.node));
        if let Some(core) = self.cores.iter().find(|core| !self.free_cores.contains(core)) {
            return Err(Misfit::Core(*core));
        }
        if needed.cpu_mhz > available.cpu_mhz {
            return Err(Misfit::Cpu { needed: needed.cpu_mhz, available: available.cpu_mhz });
        }
        if needed.memory_mb > available.memory_mb {
            let (needed, available) = (needed.memory_mb, available.memory_mb);
            return Err(Misfit::Memory { needed, available });
        }
        if needed.disk_mb > available.disk_mb {
            return Err(Misfit::Disk { needed: needed.disk_mb, available: available.disk_mb });
        }
        let max = self.node.node_max_allocs;
        if max > 0 && self.count > max {
            return Err(Misfit::Count { max });
        }
        self.check_devices()
    }

    fn check_devices(&self) -> Result<(), Misfit> {
        for (vendor, kind, name, id) in &self.devices {
            let known = self.node.node_resources.devices.iter().any(|device| {
                device.vendor == *vendor
                    && device.kind == *kind
                    && device.name == *name
                    && device
                        .instances
                        .iter()
                        .any(|i| i.get("ID").and_then(serde_json::Value::as_str) == Some(id))
            });
            if !known {
                let name = format!("{vendor}/{kind}/{name}");
                return Err(Misfit::Device { name, id: (*id).to_owned() });
            }
        }
        Ok(())
    }
}

/// Whether all these fit on `node` together, and what they take. Those that ended take nothing.
pub fn allocs_fit<'a>(
    node: &'a Node,
    allocs: impl IntoIterator<Item = &'a Allocation>,
) -> Result<Usage, Misfit> {
    let mut taken = Taken::new(node);
    for alloc in allocs {
        if !alloc.is_client_terminal() {
            taken.add(alloc)?;
        }
    }
    taken.check()?;
    Ok(taken.usage())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::resources::{AllocatedCpu, AllocatedMemory};
    use crate::model::task::Lifecycle;

    fn node() -> Node {
        let mut node = Node::default();
        node.node_resources.cpu.cpu_shares = 1000;
        node.node_resources.cpu.reservable_cpu_cores = vec![0, 1];
        node.node_resources.memory.memory_mb = 1024;
        node.node_resources.disk.disk_mb = 1000;
        node.reserved_resources.networks.reserved_host_ports = "22,8000-8010".to_owned();
        node
    }

    fn alloc(id: &str, cpu: i64, memory: i64) -> Allocation {
        let mut alloc = Allocation { id: id.into(), job_id: "web".into(), ..Allocation::default() };
        let task = AllocatedTaskResources {
            cpu: AllocatedCpu { cpu_shares: cpu, reserved_cores: Vec::new() },
            memory: AllocatedMemory { memory_mb: memory, memory_max_mb: 0 },
            ..AllocatedTaskResources::default()
        };
        alloc.allocated_resources.tasks.insert("main".into(), task);
        alloc
    }

    fn with_port(mut alloc: Allocation, ip: &str, value: u16) -> Allocation {
        alloc.allocated_resources.shared.ports.push(AllocatedPort {
            label: "http".into(),
            value,
            host_ip: ip.into(),
            ..AllocatedPort::default()
        });
        alloc
    }

    #[test]
    fn amounts_are_summed_and_ended_allocations_are_not() {
        let node = node();
        let mut ended = alloc("c", 1000, 1);
        ended.client_status = crate::model::ClientStatus::Complete;
        let allocs = [alloc("a", 500, 100), alloc("b", 500, 100), ended];
        assert_eq!(allocs_fit(&node, &allocs).map(|u| u.cpu_mhz), Ok(1000));
        let more = [alloc("a", 500, 100), alloc("b", 501, 100)];
        assert_eq!(allocs_fit(&node, &more), Err(Misfit::Cpu { needed: 1001, available: 1000 }));
        assert_eq!(
            allocs_fit(&node, &[alloc("a", 5, 2000)]).map_err(|m| m.dimension()),
            Err("memory".into())
        );
    }

    #[test]
    fn a_port_is_refused_with_its_holder() {
        let node = node();
        let allocs =
            [with_port(alloc("a", 1, 1), "", 80), with_port(alloc("b", 1, 1), "10.0.0.1", 80)];
        let misfit = allocs_fit(&node, &allocs).unwrap_err();
        assert_eq!(misfit.dimension(), "network: reserved port collision http=80");
        assert!(misfit.to_string().contains("job `web`"), "{misfit}");
        let apart = [
            with_port(alloc("a", 1, 1), "10.0.0.2", 80),
            with_port(alloc("b", 1, 1), "10.0.0.1", 80),
        ];
        assert!(allocs_fit(&node, &apart).is_ok());
        assert!(allocs_fit(&node, &[with_port(alloc("a", 1, 1), "", 8005)]).is_err());
    }

    #[test]
    fn tasks_that_take_turns_are_not_summed() {
        let mut alloc = alloc("a", 600, 100);
        let init = alloc.allocated_resources.tasks["main"].clone();
        alloc.allocated_resources.tasks.insert("init".into(), init);
        let lifecycle = Lifecycle { hook: "prestart".into(), sidecar: false };
        alloc.allocated_resources.task_lifecycles.insert("init".into(), Some(lifecycle.clone()));
        assert_eq!(usage(&alloc.allocated_resources).cpu_mhz, 600);
        let sidecar = Lifecycle { sidecar: true, ..lifecycle };
        alloc.allocated_resources.task_lifecycles.insert("init".into(), Some(sidecar));
        assert_eq!(usage(&alloc.allocated_resources).cpu_mhz, 1200);
    }

    #[test]
    fn a_core_is_given_once() {
        let node = node();
        let mut one = alloc("a", 0, 1);
        one.allocated_resources.tasks.get_mut("main").unwrap().cpu.reserved_cores = vec![1];
        let two = one.clone();
        assert_eq!(allocs_fit(&node, &[one, two]), Err(Misfit::Core(1)));
    }
}
