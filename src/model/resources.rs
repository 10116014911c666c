//! ◆ What a task asks for and what an allocation was given.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::constraint::{Affinity, Constraint};
use super::go;
use super::network::{NetworkResource, Port};
use super::task::Lifecycle;

/// What a task asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Resources {
    /// MHz; 0 when whole cores are asked for.
    #[serde(rename = "CPU")]
    pub cpu: i64,
    /// Whole cores.
    pub cores: i64,
    /// MiB that are reserved, and the limit unless `memory_max` is set.
    #[serde(rename = "MemoryMB")]
    pub memory_mb: i64,
    /// MiB that may be used when there is room; 0 for none, −1 for no limit.
    #[serde(rename = "MemoryMaxMB")]
    pub memory_max_mb: i64,
    /// Legacy, always 0.
    #[serde(rename = "DiskMB")]
    pub disk_mb: i64,
    /// MiB of the task's secrets directory; 0 means 1.
    #[serde(rename = "SecretsMB")]
    pub secrets_mb: i64,
    /// Legacy.
    #[serde(rename = "IOPS")]
    pub iops: i64,
    /// Legacy task networks.
    #[serde(with = "go")]
    pub networks: Vec<NetworkResource>,
    /// Devices.
    #[serde(with = "go")]
    pub devices: Vec<RequestedDevice>,
    /// Memory locality.
    #[serde(rename = "NUMA")]
    pub numa: Option<Numa>,
}

/// Memory locality of reserved cores.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Numa {
    /// `none`, `prefer` or `require`.
    pub affinity: String,
    /// Devices that must be near.
    #[serde(with = "go")]
    pub devices: Vec<String>,
}

/// Devices a task asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RequestedDevice {
    /// Type, `vendor/type` or `vendor/type/name`.
    pub name: String,
    /// How many.
    pub count: u64,
    /// Conditions on the device.
    #[serde(with = "go")]
    pub constraints: Vec<Constraint>,
    /// Wishes about the device.
    #[serde(with = "go")]
    pub affinities: Vec<Affinity>,
}

/// What an allocation was given on its node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocatedResources {
    /// By task name.
    #[serde(with = "go")]
    pub tasks: BTreeMap<String, AllocatedTaskResources>,
    /// Lifecycle of each task; `null` for main tasks.
    #[serde(with = "go")]
    pub task_lifecycles: BTreeMap<String, Option<Lifecycle>>,
    /// What the tasks share.
    pub shared: AllocatedSharedResources,
}

/// What one task was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocatedTaskResources {
    /// Processor.
    pub cpu: AllocatedCpu,
    /// Memory.
    pub memory: AllocatedMemory,
    /// Legacy task networks.
    #[serde(with = "go")]
    pub networks: Vec<NetworkResource>,
    /// Devices.
    #[serde(with = "go")]
    pub devices: Vec<AllocatedDevice>,
}

/// Processor time and cores.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocatedCpu {
    /// MHz.
    pub cpu_shares: i64,
    /// Ids of cores that are the task's own.
    #[serde(with = "go")]
    pub reserved_cores: Vec<u16>,
}

/// Memory in MiB.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocatedMemory {
    /// Reserved.
    #[serde(rename = "MemoryMB")]
    pub memory_mb: i64,
    /// The limit when it is more than the reservation, else 0.
    #[serde(rename = "MemoryMaxMB")]
    pub memory_max_mb: i64,
}

/// Devices a task was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocatedDevice {
    /// Vendor.
    pub vendor: String,
    /// Type.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Model.
    pub name: String,
    /// Instances.
    #[serde(rename = "DeviceIDs", with = "go")]
    pub device_ids: Vec<String>,
}

/// What an allocation's tasks share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocatedSharedResources {
    /// Group networks, with the ports that were chosen.
    #[serde(with = "go")]
    pub networks: Vec<NetworkResource>,
    /// MiB of ephemeral disk.
    #[serde(rename = "DiskMB")]
    pub disk_mb: i64,
    /// Every port of the group, with its host address.
    #[serde(with = "go")]
    pub ports: Vec<AllocatedPort>,
}

/// A port of an allocation on its node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocatedPort {
    /// Its label in the job.
    pub label: String,
    /// The port on the host.
    pub value: u16,
    /// The port inside the allocation; 0 when it is the same.
    #[serde(skip_serializing_if = "is_zero")]
    pub to: u16,
    /// The host's address it is published on.
    #[serde(rename = "HostIP")]
    pub host_ip: String,
    /// Whether others may have it too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_collision: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(port: &u16) -> bool {
    *port == 0
}

impl From<&Port> for AllocatedPort {
    fn from(port: &Port) -> Self {
        Self {
            label: port.label.clone(),
            value: u16::try_from(port.value).unwrap_or_default(),
            to: u16::try_from(port.to).unwrap_or_default(),
            host_ip: String::new(),
            ignore_collision: port.ignore_collision,
        }
    }
}
