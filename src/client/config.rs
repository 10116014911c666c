//! ◆ What the node's owner decided about it. The agent fills it from files and flags.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::Nanos;
use crate::network::NetworkConfig;

/// Everything a client needs to know before it starts.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The node's name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its data centre.
    pub datacenter: String,
    /// A class people gave it.
    pub node_class: String,
    /// Its pool.
    pub node_pool: String,
    /// Free-form metadata.
    pub meta: BTreeMap<String, String>,
    /// The node's own files.
    pub state_dir: PathBuf,
    /// Directories of allocations.
    pub alloc_dir: PathBuf,
    /// Where the HTTP API of this agent is, as others reach it.
    pub http_addr: String,
    /// The interface whose addresses are published; empty for the one of the default route.
    pub network_interface: String,
    /// Measured values that the owner knows better.
    pub overrides: Overrides,
    /// What is kept from tasks.
    pub reserved: Reserved,
    /// Dynamic ports are chosen from here …
    pub min_dynamic_port: u16,
    /// … to here.
    pub max_dynamic_port: u16,
    /// No task may take longer than this to stop.
    pub max_kill_timeout: Nanos,
    /// The cgroup above all tasks.
    pub cgroup_parent: String,
    /// Ended allocations that are kept for their logs.
    pub gc_max_allocs: usize,
    /// At most so many allocations; 0 for no limit.
    pub node_max_allocs: i64,
    /// Whether the built-in catalogue of services is offered.
    pub service_discovery: bool,
    /// Named host networks: name to interface or range of addresses.
    pub host_networks: BTreeMap<String, HostNetwork>,
    /// Directories that jobs may mount by name.
    pub host_volumes: BTreeMap<String, HostVolume>,
    /// The bridge and its subnets; none when the agent may make no networks.
    pub network: Option<NetworkConfig>,
    /// The agent's own environment.
    pub host_env: BTreeMap<String, String>,
    /// The version of Nomad whose behaviour this is, and our own.
    pub version: String,
    /// How long a clean stop may take.
    pub grace: Duration,
}

/// Measured values that the owner knows better; 0 is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overrides {
    /// MHz of all cores.
    pub cpu_total_compute: i64,
    /// MiB.
    pub memory_total_mb: i64,
    /// MiB.
    pub disk_total_mb: i64,
    /// MiB.
    pub disk_free_mb: i64,
}

/// What is kept from tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reserved {
    /// MHz.
    pub cpu: i64,
    /// Cores.
    pub cores: Vec<u16>,
    /// MiB.
    pub memory: i64,
    /// MiB.
    pub disk: i64,
    /// `22,80,8500-8600`.
    pub ports: String,
}

/// A named host network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNetwork {
    /// Addresses in here belong to it.
    pub cidr: String,
    /// Addresses of this interface belong to it.
    pub interface: String,
    /// Ports that are not given to tasks.
    pub reserved_ports: String,
}

/// A directory that jobs may mount by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostVolume {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is not written.
    pub read_only: bool,
}

impl ClientConfig {
    /// Nomad's defaults, below these directories.
    pub fn new(state_dir: PathBuf, alloc_dir: PathBuf) -> Self {
        Self {
            name: "localhost".to_owned(),
            region: "global".to_owned(),
            datacenter: "dc1".to_owned(),
            node_class: String::new(),
            node_pool: "default".to_owned(),
            meta: BTreeMap::new(),
            state_dir,
            alloc_dir,
            http_addr: String::new(),
            network_interface: String::new(),
            overrides: Overrides::default(),
            reserved: Reserved::default(),
            min_dynamic_port: 20_000,
            max_dynamic_port: 32_000,
            max_kill_timeout: Nanos::from_secs(30),
            cgroup_parent: "/stead.slice".to_owned(),
            gc_max_allocs: 50,
            node_max_allocs: 0,
            service_discovery: true,
            host_networks: BTreeMap::new(),
            host_volumes: BTreeMap::new(),
            network: None,
            host_env: BTreeMap::new(),
            version: "2.0.6".to_owned(),
            grace: Duration::from_secs(5),
        }
    }
}
