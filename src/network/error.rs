//! ◆ What can go wrong, by what was attempted.

use std::io;
use std::net::IpAddr;

use super::holder::HeldBy;
use super::plan::PlanError;
use super::request::Protocol;
use crate::sys::report::Kind;

/// An error of the network room.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The request cannot be planned.
    #[error(transparent)]
    Plan(PlanError),
    /// Something outside has the port.
    #[error(
        "port `{label}`: {port}/{protocol} on {address} is held by {holder}; stop it or publish another port"
    )]
    PortHeld {
        /// The name in the job file.
        label: String,
        /// The port on the host.
        port: u16,
        /// The transport.
        protocol: Protocol,
        /// The address that could not be bound.
        address: IpAddr,
        /// Who has it.
        holder: HeldBy,
    },
    /// The port could not be bound for another reason.
    #[error("port `{label}`: bind {port}/{protocol} on {address}")]
    Bind {
        /// The name in the job file.
        label: String,
        /// The port on the host.
        port: u16,
        /// The transport.
        protocol: Protocol,
        /// The address that could not be bound.
        address: IpAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bridge's network is somebody else's already.
    #[error(
        "subnet {subnet}: link `{link}` has {address} in it; set another `bridge_network_subnet`"
    )]
    SubnetInUse {
        /// Ours.
        subnet: String,
        /// The link that has an address in it.
        link: String,
        /// That address.
        address: IpAddr,
    },
    /// The bridge's name is somebody else's already.
    #[error("link `{name}` is not a bridge; set another `bridge_network_name`")]
    NotABridge {
        /// The name.
        name: String,
    },
    /// Another agent on this machine made the bridge.
    #[error(
        "bridge `{name}`: the agent with pid {pid} owns it; set another `bridge_network_name` and `bridge_network_subnet`"
    )]
    Owned {
        /// Its name.
        name: String,
        /// The owner.
        pid: i32,
    },
    /// The kernel takes no such link name.
    #[error("bridge name `{0}`: a link name has 1 to 15 letters, digits, `-`, `_` or `.`")]
    BridgeName(String),
    /// A namespace could not be made, opened or removed.
    #[error("namespace `{name}`: {action}")]
    Namespace {
        /// Its name.
        name: String,
        /// What was attempted.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A link, address or route could not be made or removed.
    #[error("link `{name}`: {action}")]
    Link {
        /// Its name.
        name: String,
        /// What was attempted.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// nftables refused.
    #[error("nftables table `{table}`: {action}")]
    Rules {
        /// Its name.
        table: String,
        /// What was attempted.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A kernel setting could not be changed or put back.
    #[error("kernel setting `{key}`: {action}")]
    Sysctl {
        /// Its name below `/proc/sys`.
        key: String,
        /// What was attempted.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The room's own thread or sockets could not be had.
    #[error("network: {action}")]
    Open {
        /// What was attempted.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Several parts of a teardown failed; the rest of it was done.
    #[error("alloc {alloc_id}: {} parts of its network could not be removed", failures.len())]
    Teardown {
        /// Whose network.
        alloc_id: String,
        /// Each failure.
        failures: Vec<NetworkError>,
    },
    /// Allocations still have networks.
    #[error("network: {0} allocations still use it")]
    InUse(usize),
    /// Too many requests wait.
    #[error("network: too many requests wait; try again")]
    Busy,
    /// The room was closed.
    #[error("network: closed")]
    Closed,
}

impl NetworkError {
    /// What it means to the one who asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Plan(PlanError::PortTaken { .. }) | Self::PortHeld { .. } => Kind::Conflict,
            Self::Plan(PlanError::SubnetFull(_)) | Self::Busy => Kind::Busy,
            Self::Plan(_)
            | Self::SubnetInUse { .. }
            | Self::NotABridge { .. }
            | Self::BridgeName(_) => Kind::Invalid,
            Self::Bind { .. }
            | Self::Namespace { .. }
            | Self::Link { .. }
            | Self::Rules { .. }
            | Self::Sysctl { .. }
            | Self::Open { .. }
            | Self::Teardown { .. } => Kind::Internal,
            Self::InUse(_) | Self::Owned { .. } => Kind::Conflict,
            Self::Closed => Kind::Unavailable,
        }
    }
}
