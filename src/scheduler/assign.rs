//! ◆ What exactly an allocation gets on a node: MHz, cores, memory, disk, ports and their addresses.

use super::seed::Sequence;
use crate::model::network::NetworkResource;
use crate::model::resources::{
    AllocatedCpu, AllocatedMemory, AllocatedPort, AllocatedTaskResources,
};
use crate::model::usage::{Capacity, HostAddress, NodeUse, Shortage, Sum};
use crate::model::{AllocatedResources, Port, TaskGroup};

/// What a group asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// All that does not depend on the node.
    template: AllocatedResources,
    /// Tasks that want cores for themselves, and how many.
    cores: Vec<(String, usize)>,
    /// Sums that do not depend on the node.
    sum: Sum,
    static_ports: Vec<Port>,
    dynamic_ports: Vec<Port>,
}

impl Ask {
    /// What `group` asks for.
    pub fn of(group: &TaskGroup, oversubscription: bool) -> Self {
        let mut template = AllocatedResources::default();
        let mut cores = Vec::new();
        for task in &group.tasks {
            let wants = &task.resources;
            let cpu = if wants.cores > 0 { 0 } else { wants.cpu };
            if let (true, Ok(count)) = (wants.cores > 0, usize::try_from(wants.cores)) {
                cores.push((task.name.clone(), count));
            }
            let most = if oversubscription { wants.memory_max_mb } else { 0 };
            let given = AllocatedTaskResources {
                cpu: AllocatedCpu { cpu_shares: cpu, reserved_cores: Vec::new() },
                memory: AllocatedMemory { memory_mb: wants.memory_mb, memory_max_mb: most },
                networks: Vec::new(),
                devices: Vec::new(),
            };
            template.tasks.insert(task.name.clone(), given);
            template.task_lifecycles.insert(task.name.clone(), task.lifecycle.clone());
        }
        template.shared.disk_mb = group.ephemeral_disk.size_mb;
        template.shared.networks.clone_from(&group.networks);
        let ports = |pick: fn(&NetworkResource) -> &Vec<Port>| {
            group.networks.iter().flat_map(pick).cloned().collect()
        };
        Self {
            sum: Sum::of(&template),
            template,
            cores,
            static_ports: ports(|n| &n.reserved_ports),
            dynamic_ports: ports(|n| &n.dynamic_ports),
        }
    }

    /// What it needs at once, cores aside.
    pub fn sum(&self) -> Sum {
        self.sum
    }

    /// What would be taken on a node with room for it, in MHz and MiB, and if there is none, what is lacking.
    /// Chooses nothing yet: [`Ask::assign`] may still find a port taken.
    pub fn fits(&self, capacity: &Capacity, usage: &NodeUse) -> Result<Sum, Shortage> {
        let sum = self.sum_on(capacity, usage)?;
        if usage.cpu + sum.cpu > capacity.cpu {
            return Err(Shortage::Cpu);
        }
        if usage.memory + sum.memory > capacity.memory {
            return Err(Shortage::Memory);
        }
        if usage.disk + self.template.shared.disk_mb > capacity.disk {
            return Err(Shortage::Disk);
        }
        if capacity.max_allocs > 0 && usage.allocs >= capacity.max_allocs {
            return Err(Shortage::Allocs);
        }
        for port in &self.static_ports {
            static_port(port, capacity, usage)?;
        }
        dynamic_ports_left(self.dynamic_ports.len(), capacity, usage)?;
        Ok(Sum { cpu: usage.cpu + sum.cpu, memory: usage.memory + sum.memory })
    }

    fn sum_on(&self, capacity: &Capacity, usage: &NodeUse) -> Result<Sum, Shortage> {
        if self.cores.is_empty() {
            return Ok(self.sum);
        }
        let mut with_cores = self.template.clone();
        assign_cores(&self.cores, capacity, usage, &mut with_cores)?;
        Ok(Sum::of(&with_cores))
    }

    /// Chooses cores and ports.
    pub fn assign(
        &self,
        capacity: &Capacity,
        usage: &NodeUse,
        seed: &mut Sequence,
    ) -> Result<AllocatedResources, Shortage> {
        let mut given = self.template.clone();
        assign_cores(&self.cores, capacity, usage, &mut given)?;
        let mut ports: Vec<AllocatedPort> = Vec::new();
        for network in &mut given.shared.networks {
            for port in &network.reserved_ports {
                let address = static_port(port, capacity, usage)?;
                let number = u16::try_from(port.value).unwrap_or_default();
                ports.push(allocated(port, number, address));
            }
            for port in &mut network.dynamic_ports {
                let address = address_of(port, capacity)?;
                let number = dynamic_port(address, capacity, usage, &ports, seed)?;
                port.value = i64::from(number);
                if port.to == -1 {
                    port.to = port.value;
                }
                ports.push(allocated(port, number, address));
            }
            if let Some(first) = ports.first() {
                network.ip.clone_from(&first.host_ip);
            }
        }
        given.shared.ports = ports;
        Ok(given)
    }
}

/// No address: the node told none, so the port is published on all it has.
const ANYWHERE: &str = "";

fn allocated(port: &Port, number: u16, address: Option<&HostAddress>) -> AllocatedPort {
    AllocatedPort {
        label: port.label.clone(),
        value: number,
        to: if port.to == -1 { number } else { u16::try_from(port.to).unwrap_or_default() },
        host_ip: address.map_or(ANYWHERE, |a| &a.address).to_owned(),
        ignore_collision: port.ignore_collision,
    }
}

/// The address of a port's host network. Each network has one that counts, so a port is taken on all or none of it.
fn address_of<'a>(
    port: &Port,
    capacity: &'a Capacity,
) -> Result<Option<&'a HostAddress>, Shortage> {
    let name = if port.host_network.is_empty() { "default" } else { port.host_network.as_str() };
    let found = capacity.addresses.iter().find(|address| address.network == name);
    match found {
        Some(address) => Ok(Some(address)),
        None if name == "default" => Ok(None),
        None => Err(Shortage::Address { network: name.to_owned() }),
    }
}

fn static_port<'a>(
    port: &Port,
    capacity: &'a Capacity,
    usage: &NodeUse,
) -> Result<Option<&'a HostAddress>, Shortage> {
    let address = address_of(port, capacity)?;
    let number = u16::try_from(port.value).unwrap_or_default();
    let taken = |holder| Shortage::Port { port: number, label: port.label.clone(), holder };
    if is_kept(number, address, capacity) {
        return Err(taken(None));
    }
    let ip = address.map_or(ANYWHERE, |a| &a.address);
    match usage.holder(number, ip, port.ignore_collision) {
        Some(used) => Err(taken(Some(used.alloc.clone()))),
        None => Ok(address),
    }
}

fn is_kept(port: u16, address: Option<&HostAddress>, capacity: &Capacity) -> bool {
    capacity.kept_ports.contains(port) || address.is_some_and(|a| a.kept_ports.contains(port))
}

fn dynamic_ports_left(wanted: usize, capacity: &Capacity, usage: &NodeUse) -> Result<(), Shortage> {
    if wanted == 0 {
        return Ok(());
    }
    let (from, to) = (capacity.min_dynamic_port, capacity.max_dynamic_port);
    let first = usage.ports.partition_point(|used| used.port < from);
    let last = usage.ports.partition_point(|used| used.port <= to);
    let size = usize::from(to.saturating_sub(from)) + 1;
    if size < last - first + wanted { Err(Shortage::DynamicPorts) } else { Ok(()) }
}

fn dynamic_port(
    address: Option<&HostAddress>,
    capacity: &Capacity,
    usage: &NodeUse,
    chosen: &[AllocatedPort],
    seed: &mut Sequence,
) -> Result<u16, Shortage> {
    const TRIES: u32 = 20;
    let (from, to) = (capacity.min_dynamic_port, capacity.max_dynamic_port);
    let ip = address.map_or(ANYWHERE, |a| &a.address);
    let is_free = |port: u16| {
        !is_kept(port, address, capacity)
            && usage.holder(port, ip, false).is_none()
            && chosen.iter().all(|other| other.value != port)
    };
    let size = u32::from(to.saturating_sub(from)) + 1;
    for _ in 0..TRIES {
        let port = from + u16::try_from(seed.below(size)).unwrap_or_default();
        if is_free(port) {
            return Ok(port);
        }
    }
    (from..=to).find(|port| is_free(*port)).ok_or(Shortage::DynamicPorts)
}

fn assign_cores(
    wanted: &[(String, usize)],
    capacity: &Capacity,
    usage: &NodeUse,
    given: &mut AllocatedResources,
) -> Result<(), Shortage> {
    let taken = |core: &u16| usage.cores.iter().any(|(other, _)| other == core);
    let mut free = capacity.cores.iter().copied().filter(|core| !taken(core));
    for (name, count) in wanted {
        let cores: Vec<u16> = free.by_ref().take(*count).collect();
        if cores.len() < *count {
            return Err(Shortage::Cores);
        }
        if let Some(task) = given.tasks.get_mut(name) {
            let count = i64::try_from(*count).unwrap_or_default();
            task.cpu.cpu_shares = count * capacity.mhz_per_core;
            task.cpu.reserved_cores = cores;
        }
    }
    Ok(())
}
