//! ◆ What a task asks for, as clients send it.

use serde::{Deserialize, Serialize};

use super::constraint::{Affinity, Constraint};
use super::network::NetworkResource;
use super::{List, list};
use crate::model::resources;

/// What a task asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Resources {
    #[serde(rename = "CPU")]
    pub cpu: Option<i64>,
    pub cores: Option<i64>,
    #[serde(rename = "MemoryMB")]
    pub memory_mb: Option<i64>,
    #[serde(rename = "MemoryMaxMB")]
    pub memory_max_mb: Option<i64>,
    #[serde(rename = "DiskMB")]
    pub disk_mb: Option<i64>,
    pub networks: List<NetworkResource>,
    pub devices: List<RequestedDevice>,
    #[serde(rename = "NUMA")]
    pub numa: Option<NumaResource>,
    #[serde(rename = "SecretsMB")]
    pub secrets_mb: Option<i64>,
    #[serde(rename = "IOPS")]
    pub iops: Option<i64>,
}

/// Memory locality of reserved cores.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NumaResource {
    pub affinity: String,
    pub devices: List<String>,
}

/// Devices a task asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RequestedDevice {
    pub name: String,
    pub count: Option<u64>,
    pub constraints: List<Constraint>,
    pub affinities: List<Affinity>,
}

impl Resources {
    pub(super) fn canonical(self) -> resources::Resources {
        let cores = self.cores.unwrap_or_default();
        resources::Resources {
            cpu: self.cpu.unwrap_or(if cores == 0 { 100 } else { 0 }),
            cores,
            memory_mb: self.memory_mb.unwrap_or(300),
            memory_max_mb: self.memory_max_mb.unwrap_or_default(),
            // Nomad: a disk here is read and forgotten.
            disk_mb: 0,
            secrets_mb: self.secrets_mb.unwrap_or_default(),
            iops: self.iops.unwrap_or_default(),
            networks: list(self.networks, NetworkResource::canonical),
            devices: list(self.devices, RequestedDevice::canonical),
            numa: self.numa.map(|numa| resources::Numa {
                affinity: if numa.affinity.is_empty() { "none".to_owned() } else { numa.affinity },
                devices: numa.devices.unwrap_or_default(),
            }),
        }
    }
}

impl RequestedDevice {
    fn canonical(self) -> resources::RequestedDevice {
        resources::RequestedDevice {
            name: self.name,
            count: self.count.unwrap_or(1),
            constraints: list(self.constraints, Constraint::canonical),
            affinities: list(self.affinities, Affinity::canonical),
        }
    }
}
