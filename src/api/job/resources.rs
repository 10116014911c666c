//! ◆ What a task asks for, as clients send it.

use serde::{Deserialize, Serialize};

use super::List;
use super::constraint::{Affinity, Constraint};
use super::network::NetworkResource;

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
