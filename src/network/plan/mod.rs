//! ◆ From a request to a plan in which nothing is left to choose.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ipam::{Pool, Subnet4, Subnet6};
use super::ports::Ports;
use super::request::{
    Attachment, Mode, NetworkPlan, NetworkRequest, PlannedPort, PortRequest, Protocol, Scope,
};

/// What the node's configuration says about networks.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bridge's IPv4 network.
    pub subnet_v4: Subnet4,
    /// The bridge's IPv6 network; `None` leaves IPv6 out.
    pub subnet_v6: Option<Subnet6>,
    /// Addresses that belong together, as the IPv4 and IPv6 address of one interface do: a port published on
    /// one of them is published on all.
    pub host_networks: Vec<Vec<IpAddr>>,
}

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The id would become a file and link name.
    #[error("alloc id `{0}`: only letters, digits and `-`, at most 64 of them")]
    AllocId(String),
    /// Not a name that a resolver or `sethostname` takes.
    #[error(
        "hostname `{0}`: labels of letters, digits and `-`, joined by dots, at most 63 characters"
    )]
    Hostname(String),
    /// Port 0 is no port.
    #[error("port `{0}`: the host port must not be 0")]
    PortZero(String),
    /// Two ports of this request are the same.
    #[error("port `{label}`: {port}/{protocol} is asked for twice")]
    PortTwice {
        /// The second of the two.
        label: String,
        /// The port on the host.
        port: u16,
        /// The transport.
        protocol: Protocol,
    },
    /// Another allocation of this node has the port.
    #[error("port `{label}`: {port}/{protocol} is taken by alloc {owner}")]
    PortTaken {
        /// The name in the job file.
        label: String,
        /// The port on the host.
        port: u16,
        /// The transport.
        protocol: Protocol,
        /// Who has it.
        owner: String,
    },
    /// No address is left.
    #[error("subnet {0}: every address is leased; a larger `bridge_network_subnet` has more")]
    SubnetFull(Subnet4),
}

/// What is leased at the moment. The owner keeps it equal to the plans that are in force.
#[derive(Debug, Clone)]
pub struct Leases {
    /// Addresses.
    pub pool: Pool,
    /// Ports.
    pub ports: Ports,
}

impl Leases {
    /// Nothing leased.
    pub fn new(settings: &Settings) -> Self {
        Self { pool: Pool::new(settings.subnet_v4, settings.subnet_v6), ports: Ports::default() }
    }

    /// Leases what `plan` says. False, and nothing changed, when its address is leased already or is no longer in the subnet.
    pub fn take(&mut self, plan: &NetworkPlan) -> bool {
        if let Attachment::Bridge { offset, v4, v6, .. } = &plan.attachment
            && (self.pool.addresses(*offset) != (*v4, *v6) || !self.pool.take(*offset))
        {
            return false;
        }
        self.ports.claim(plan);
        true
    }

    /// Ends the leases of `plan`.
    pub fn release(&mut self, plan: &NetworkPlan) {
        if let Attachment::Bridge { offset, .. } = plan.attachment {
            self.pool.release(offset);
        }
        self.ports.release(&plan.alloc_id);
    }
}

/// Decides names, addresses and ports for `request`. Leases nothing: see [`Leases::take`].
pub fn plan(
    request: &NetworkRequest,
    leases: &Leases,
    settings: &Settings,
) -> Result<NetworkPlan, PlanError> {
    let alloc_id = checked_id(&request.alloc_id)?;
    let hostname = match &request.hostname {
        Some(name) => checked_hostname(name)?,
        None => alloc_id.chars().take(8).collect(),
    };
    let attachment = match request.mode {
        Mode::Host => Attachment::Host,
        Mode::None => Attachment::None { netns: alloc_id.clone() },
        Mode::Bridge => {
            let offset = leases.pool.free().ok_or(PlanError::SubnetFull(settings.subnet_v4))?;
            let (v4, v6) = leases.pool.addresses(offset);
            Attachment::Bridge {
                netns: alloc_id.clone(),
                veth: veth_name(&alloc_id),
                offset,
                v4,
                v6,
            }
        }
    };
    let mut plan =
        NetworkPlan { alloc_id, attachment, hostname, dns: request.dns.clone(), ports: Vec::new() };
    // Nomad: mode `none` takes no ports; there is no link that could carry them.
    if request.mode != Mode::None {
        let mut own = Ports::default();
        for port in &request.ports {
            let planned = planned_port(port, request.mode, [&own, &leases.ports], settings)?;
            refuse_conflicts(&planned, &own, &leases.ports)?;
            plan.ports.push(planned);
            own = Ports::default();
            own.claim(&plan);
        }
    }
    Ok(plan)
}

pub(super) fn checked_id(id: &str) -> Result<String, PlanError> {
    let fits = (1..=64).contains(&id.len()) && !id.starts_with('-');
    if fits && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        Ok(id.to_owned())
    } else {
        Err(PlanError::AllocId(id.chars().take(80).collect()))
    }
}

fn checked_hostname(name: &str) -> Result<String, PlanError> {
    let label = |l: &str| {
        !l.is_empty()
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    // sethostname(2) takes 64 bytes; one stays free so that every libc can hold the NUL.
    if name.len() <= 63 && name.split('.').all(label) {
        Ok(name.to_owned())
    } else {
        Err(PlanError::Hostname(name.chars().take(80).collect()))
    }
}

/// The host's end of the link: `vs` and the first twelve characters of the id without dashes, 14 in all. A link
/// name holds 15.
pub(super) fn veth_name(alloc_id: &str) -> String {
    let short = alloc_id.chars().filter(|c| *c != '-').take(12);
    std::iter::once('v').chain(std::iter::once('s')).chain(short).collect()
}

fn planned_port(
    port: &PortRequest,
    mode: Mode,
    taken: [&Ports; 2],
    settings: &Settings,
) -> Result<PlannedPort, PlanError> {
    if port.host_port == 0 {
        return Err(PlanError::PortZero(port.label.clone()));
    }
    let to = if port.to == 0 { port.host_port } else { port.to };
    let scope = match mode {
        Mode::Host if !port.host_ip.is_unspecified() => Scope::At(vec![port.host_ip]),
        Mode::Host | Mode::None => Scope::Every,
        Mode::Bridge => published_scope(port, taken, settings),
    };
    Ok(PlannedPort {
        label: port.label.clone(),
        scope,
        host_port: port.host_port,
        to,
        protocols: port.protocols,
    })
}

/// The addresses a bridge port answers on: those of the host network of its address, and loopback, so that a
/// port which answers on the LAN always answers on the box itself. Loopback yields to another allocation that
/// has the same number there already.
fn published_scope(port: &PortRequest, taken: [&Ports; 2], settings: &Settings) -> Scope {
    const LOOPBACK: [IpAddr; 2] =
        [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    if port.host_ip.is_unspecified() {
        return Scope::Every;
    }
    let network = settings.host_networks.iter().find(|network| network.contains(&port.host_ip));
    let mut addresses = network.cloned().unwrap_or_else(|| vec![port.host_ip]);
    for loopback in LOOPBACK {
        let alone = Scope::At(vec![loopback]);
        let is_taken = port.protocols.each().iter().any(|protocol| {
            taken.iter().any(|t| t.owner(*protocol, port.host_port, &alone).is_some())
        });
        if !addresses.contains(&loopback) && (!is_taken || port.host_ip.is_loopback()) {
            addresses.push(loopback);
        }
    }
    if settings.subnet_v6.is_none() {
        addresses.retain(|address| address.is_ipv4() || *address == port.host_ip);
    }
    Scope::At(addresses)
}

fn refuse_conflicts(port: &PlannedPort, own: &Ports, others: &Ports) -> Result<(), PlanError> {
    for protocol in port.protocols.each() {
        if own.owner(*protocol, port.host_port, &port.scope).is_some() {
            return Err(PlanError::PortTwice {
                label: port.label.clone(),
                port: port.host_port,
                protocol: *protocol,
            });
        }
        if let Some(owner) = others.owner(*protocol, port.host_port, &port.scope) {
            return Err(PlanError::PortTaken {
                label: port.label.clone(),
                port: port.host_port,
                protocol: *protocol,
                owner: owner.to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
