//! ◆ The nouns of the room: what is asked for, and what was decided.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// How an allocation is attached to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A network namespace with nothing but its own loopback.
    None,
    /// The host's own namespace: ports are checked, nothing is made.
    Host,
    /// A network namespace with a link into the bridge.
    Bridge,
}

/// A transport whose ports can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Which transports a published port carries. Nomad: a port block always publishes both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocols {
    /// TCP only.
    Tcp,
    /// UDP only.
    Udp,
    /// Both, as Nomad does.
    #[default]
    Both,
}

impl Protocols {
    /// Each transport once.
    pub fn each(self) -> &'static [Protocol] {
        match self {
            Self::Tcp => &[Protocol::Tcp],
            Self::Udp => &[Protocol::Udp],
            Self::Both => &[Protocol::Tcp, Protocol::Udp],
        }
    }
}

/// A port the scheduler gave to the allocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRequest {
    /// The name in the job file.
    pub label: String,
    /// The host address to publish on. The unspecified address of either family means every address of both.
    /// An address of one of [`Settings::host_networks`](super::plan::Settings) means all addresses of that network.
    pub host_ip: IpAddr,
    /// The port on the host; never 0.
    pub host_port: u16,
    /// The port in the allocation's namespace; 0 means the same as `host_port`.
    pub to: u16,
    /// What to publish.
    #[serde(default)]
    pub protocols: Protocols,
}

/// The `dns` block.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Nameserver addresses.
    pub servers: Vec<String>,
    /// Search domains.
    pub searches: Vec<String>,
    /// Resolver options, e.g. `ndots:2`.
    pub options: Vec<String>,
}

/// What an allocation wants of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRequest {
    /// Names the namespace, and with it everything that is made.
    pub alloc_id: String,
    /// How to attach.
    pub mode: Mode,
    /// The host name inside; `None` means the short allocation id.
    pub hostname: Option<String>,
    /// The `dns` block, when there is one.
    pub dns: Option<Dns>,
    /// Ports with their host side already chosen.
    pub ports: Vec<PortRequest>,
}

/// Where on the host a port is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Every address of the host, of both families.
    Every,
    /// These addresses only.
    At(Vec<IpAddr>),
}

/// A port with everything decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPort {
    /// The name in the job file.
    pub label: String,
    /// Where it is published.
    pub scope: Scope,
    /// The port on the host.
    pub host_port: u16,
    /// The port in the namespace.
    pub to: u16,
    /// What is published.
    pub protocols: Protocols,
}

/// An IPv4 address on the bridge's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address4 {
    /// The allocation's address.
    pub address: Ipv4Addr,
    /// Bits of the network.
    pub prefix: u8,
    /// The bridge's address.
    pub gateway: Ipv4Addr,
}

/// An IPv6 address on the bridge's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address6 {
    /// The allocation's address.
    pub address: Ipv6Addr,
    /// Bits of the network.
    pub prefix: u8,
    /// The bridge's address.
    pub gateway: Ipv6Addr,
}

/// How the allocation is attached, with every name and number decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum Attachment {
    /// Nothing to make.
    Host,
    /// A namespace of this name, without links.
    None {
        /// File name below the directory of namespaces.
        netns: String,
    },
    /// A namespace of this name with a link into the bridge.
    Bridge {
        /// File name below the directory of namespaces.
        netns: String,
        /// The host's end of the link.
        veth: String,
        /// Position in the subnets, which is what is leased.
        offset: u32,
        /// IPv4 side.
        v4: Address4,
        /// IPv6 side, when the node has IPv6.
        v6: Option<Address6>,
    },
}

/// All that setup will make, and teardown remove. It survives a restart in the client's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPlan {
    /// Whose it is.
    pub alloc_id: String,
    /// How it is attached.
    pub attachment: Attachment,
    /// Host name inside.
    pub hostname: String,
    /// The `dns` block.
    pub dns: Option<Dns>,
    /// Published ports (bridge), or ports the tasks will bind themselves (host).
    pub ports: Vec<PlannedPort>,
}

impl NetworkPlan {
    /// The name of the namespace, unless the allocation lives in the host's.
    pub fn netns(&self) -> Option<&str> {
        match &self.attachment {
            Attachment::Host => None,
            Attachment::None { netns } | Attachment::Bridge { netns, .. } => Some(netns),
        }
    }

    /// The IPv4 address inside, in bridge mode.
    pub fn address(&self) -> Option<Ipv4Addr> {
        match &self.attachment {
            Attachment::Host | Attachment::None { .. } => None,
            Attachment::Bridge { v4, .. } => Some(v4.address),
        }
    }

    /// The IPv6 address inside, in bridge mode on a node with IPv6.
    pub fn address_v6(&self) -> Option<Ipv6Addr> {
        match &self.attachment {
            Attachment::Host | Attachment::None { .. } => None,
            Attachment::Bridge { v6, .. } => v6.map(|v6| v6.address),
        }
    }
}
