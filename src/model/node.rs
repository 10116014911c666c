//! ◆ A node: a machine that runs allocations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Index;
use super::go;
use super::id::NodeId;
use super::network::NetworkResource;
use super::time::{self, Nanos, Timestamp};

/// A machine that runs allocations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Node {
    /// A UUID, kept in the node's data directory.
    #[serde(rename = "ID")]
    pub id: NodeId,
    /// Proves that it is who it says; never shown.
    #[serde(rename = "SecretID")]
    pub secret_id: String,
    /// Its data centre.
    pub datacenter: String,
    /// Its name.
    pub name: String,
    /// Where its own HTTP API is.
    #[serde(rename = "HTTPAddr")]
    pub http_addr: String,
    /// Whether that is TLS.
    #[serde(rename = "TLSEnabled")]
    pub tls_enabled: bool,
    /// The cgroup its tasks live in.
    pub cgroup_parent: String,
    /// What was found out about it.
    pub attributes: BTreeMap<String, String>,
    /// What it has.
    pub node_resources: NodeResources,
    /// What is kept from tasks.
    pub reserved_resources: NodeReservedResources,
    /// Links to other systems.
    pub links: BTreeMap<String, String>,
    /// Free-form metadata.
    pub meta: BTreeMap<String, String>,
    /// A class people gave it.
    pub node_class: String,
    /// Its pool.
    pub node_pool: String,
    /// A hash of all that is not unique to it: nodes of one class are equally feasible.
    pub computed_class: String,
    /// Set while it is drained.
    pub drain_strategy: Option<DrainStrategy>,
    /// Whether new allocations may be placed on it.
    pub scheduling_eligibility: Eligibility,
    /// Whether it is heard of.
    pub status: NodeStatus,
    /// A sentence about that.
    pub status_description: String,
    /// When that changed, in seconds since the epoch.
    pub status_updated_at: i64,
    /// The last ten events.
    #[serde(with = "go")]
    pub events: Vec<NodeEvent>,
    /// Its drivers.
    pub drivers: BTreeMap<String, DriverInfo>,
    /// CSI; kept as given.
    #[serde(rename = "CSIControllerPlugins")]
    pub csi_controller_plugins: BTreeMap<String, Value>,
    /// CSI; kept as given.
    #[serde(rename = "CSINodePlugins")]
    pub csi_node_plugins: BTreeMap<String, Value>,
    /// Host volumes by name.
    pub host_volumes: BTreeMap<String, HostVolumeInfo>,
    /// Whether its volumes go with it.
    #[serde(rename = "GCVolumesOnNodeGC")]
    pub gc_volumes_on_node_gc: bool,
    /// Named host networks.
    #[serde(with = "go")]
    pub host_networks: BTreeMap<String, HostNetworkInfo>,
    /// How its last drain ended.
    pub last_drain: Option<DrainMetadata>,
    /// At most so many allocations; 0 for no limit.
    pub node_max_allocs: i64,
    /// When it last was not heard of.
    pub last_missed_heartbeat_index: Index,
    /// When it last told of its allocations.
    pub last_alloc_update_index: Index,
    /// The key that signed its identity.
    #[serde(rename = "IdentitySigningKeyID")]
    pub identity_signing_key_id: String,
    /// When it was first registered.
    pub create_index: Index,
    /// When it last changed.
    pub modify_index: Index,
}

impl Node {
    /// How many events are kept.
    pub const KEPT_EVENTS: usize = 10;

    /// Whether new allocations may be placed on it.
    pub fn is_ready(&self) -> bool {
        self.status == NodeStatus::Ready
            && self.drain_strategy.is_none()
            && self.scheduling_eligibility == Eligibility::Eligible
    }

    /// Appends an event and forgets the oldest when there are too many.
    pub fn push_event(&mut self, event: NodeEvent) {
        self.events.push(event);
        if self.events.len() > Self::KEPT_EVENTS {
            self.events.remove(0);
        }
    }
}

/// Whether a node is heard of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeStatus {
    /// Registered, and has not told of its allocations yet.
    #[default]
    Initializing,
    /// Heard of.
    Ready,
    /// Not heard of; its allocations are lost.
    Down,
    /// Not heard of; its allocations may come back.
    Disconnected,
}

/// Whether new allocations may be placed on a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Eligibility {
    /// They may.
    #[default]
    Eligible,
    /// They may not.
    Ineligible,
}

/// What a node has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeResources {
    /// Processor.
    pub cpu: NodeCpu,
    /// Cores and their places.
    pub processors: NodeProcessors,
    /// Memory.
    pub memory: NodeMemory,
    /// Disk.
    pub disk: NodeDisk,
    /// Devices.
    #[serde(with = "go")]
    pub devices: Vec<NodeDevice>,
    /// Addresses by interface.
    #[serde(with = "go")]
    pub node_networks: Vec<NodeNetwork>,
    /// Legacy form of the same.
    #[serde(with = "go")]
    pub networks: Vec<NetworkResource>,
    /// Dynamic ports are chosen from here …
    pub min_dynamic_port: u16,
    /// … to here.
    pub max_dynamic_port: u16,
}

/// A node's processor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeCpu {
    /// MHz of all cores.
    pub cpu_shares: i64,
    /// How many cores.
    pub total_cpu_cores: u16,
    /// Which of them tasks may have for themselves.
    #[serde(with = "go")]
    pub reservable_cpu_cores: Vec<u16>,
}

/// Cores and their places; kept as the node tells it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeProcessors {
    /// The topology.
    pub topology: Option<Value>,
}

/// A node's memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeMemory {
    /// MiB.
    #[serde(rename = "MemoryMB")]
    pub memory_mb: i64,
}

/// A node's disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeDisk {
    /// MiB.
    #[serde(rename = "DiskMB")]
    pub disk_mb: i64,
}

/// Devices of one kind on a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeDevice {
    /// Vendor.
    pub vendor: String,
    /// Type.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Model.
    pub name: String,
    /// Each of them.
    #[serde(with = "go")]
    pub instances: Vec<Value>,
    /// What is known of them.
    #[serde(with = "go")]
    pub attributes: BTreeMap<String, Value>,
}

/// An interface of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeNetwork {
    /// `host` or `bridge`.
    pub mode: String,
    /// Its name.
    pub device: String,
    /// Its MAC address.
    pub mac_address: String,
    /// Mbit/s.
    pub speed: i64,
    /// Its addresses.
    #[serde(with = "go")]
    pub addresses: Vec<NodeAddress>,
}

/// An address of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeAddress {
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// The host network it belongs to: `default` or a name of the configuration.
    pub alias: String,
    /// The address.
    pub address: String,
    /// Ports that are not given to tasks.
    pub reserved_ports: String,
    /// Its gateway.
    pub gateway: String,
}

/// What is kept from tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeReservedResources {
    /// Processor.
    pub cpu: NodeReservedCpu,
    /// Memory.
    pub memory: NodeMemory,
    /// Disk.
    pub disk: NodeDisk,
    /// Ports.
    pub networks: NodeReservedNetworks,
}

/// Processor kept from tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeReservedCpu {
    /// MHz.
    pub cpu_shares: i64,
    /// Cores.
    #[serde(with = "go")]
    pub reserved_cpu_cores: Vec<u16>,
}

/// Ports kept from tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeReservedNetworks {
    /// `22,80,8000-9000`.
    pub reserved_host_ports: String,
}

/// A driver on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DriverInfo {
    /// What is known of it.
    #[serde(with = "go")]
    pub attributes: BTreeMap<String, String>,
    /// Whether it is there.
    pub detected: bool,
    /// Whether it works.
    pub healthy: bool,
    /// A sentence about that.
    pub health_description: String,
    /// When that was found.
    #[serde(with = "time::rfc3339")]
    pub update_time: Timestamp,
}

/// A host volume of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostVolumeInfo {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// Whether it is not written.
    pub read_only: bool,
    /// Set for volumes made by the servers.
    #[serde(rename = "ID")]
    pub id: String,
}

/// A named host network of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostNetworkInfo {
    /// Its name.
    pub name: String,
    /// Addresses in here belong to it.
    #[serde(rename = "CIDR")]
    pub cidr: String,
    /// Addresses of this interface belong to it.
    pub interface: String,
    /// Ports that are not given to tasks.
    pub reserved_ports: String,
}

/// Something that happened to a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NodeEvent {
    /// What.
    pub message: String,
    /// Drain, Driver, Heartbeat, Cluster, Scheduler or Storage.
    pub subsystem: String,
    /// The facts.
    #[serde(with = "go")]
    pub details: BTreeMap<String, String>,
    /// When.
    #[serde(with = "time::rfc3339")]
    pub timestamp: Timestamp,
    /// When it was recorded.
    pub create_index: Index,
}

/// How a node is drained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DrainStrategy {
    /// How long it may take; negative is at once, 0 is for ever.
    pub deadline: Nanos,
    /// Whether system jobs stay.
    pub ignore_system_jobs: bool,
    /// When all that is left is stopped.
    #[serde(with = "time::rfc3339")]
    pub force_deadline: Timestamp,
    /// When it began.
    #[serde(with = "time::rfc3339")]
    pub started_at: Timestamp,
}

/// How a node's last drain went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DrainMetadata {
    /// When it began.
    #[serde(with = "time::rfc3339")]
    pub started_at: Timestamp,
    /// When it last changed.
    #[serde(with = "time::rfc3339")]
    pub updated_at: Timestamp,
    /// `draining`, `complete` or `canceled`.
    pub status: String,
    /// Who asked for it.
    #[serde(rename = "AccessorID")]
    pub accessor_id: String,
    /// Why.
    #[serde(with = "go")]
    pub meta: BTreeMap<String, String>,
}
