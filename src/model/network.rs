//! ◆ A group's network and its ports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::go;

/// A network a group asks for, or one it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkResource {
    /// `host`, `bridge`, `none`, `cni/<name>`; empty means host.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// Legacy: the device.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub device: String,
    /// Legacy: its network.
    #[serde(rename = "CIDR", skip_serializing_if = "String::is_empty")]
    pub cidr: String,
    /// Legacy: its address.
    #[serde(rename = "IP", skip_serializing_if = "String::is_empty")]
    pub ip: String,
    /// The host name inside the network namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// Legacy: bandwidth.
    #[serde(rename = "MBits", skip_serializing_if = "is_zero")]
    pub mbits: i64,
    /// Resolver settings.
    #[serde(rename = "DNS", skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsConfig>,
    /// Ports whose host number is fixed.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "go")]
    pub reserved_ports: Vec<Port>,
    /// Ports whose host number is chosen.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "go")]
    pub dynamic_ports: Vec<Port>,
    /// Arguments for CNI plugins.
    #[serde(rename = "CNI", skip_serializing_if = "Option::is_none")]
    pub cni: Option<CniConfig>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl NetworkResource {
    /// Static and dynamic ports, static ones first.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.reserved_ports.iter().chain(&self.dynamic_ports)
    }
}

/// What a task's resolver is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DnsConfig {
    /// `nameserver` lines.
    #[serde(with = "go")]
    pub servers: Vec<String>,
    /// The `search` line.
    #[serde(with = "go")]
    pub searches: Vec<String>,
    /// The `options` line.
    #[serde(with = "go")]
    pub options: Vec<String>,
}

/// Arguments for CNI plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CniConfig {
    /// Passed as `CNI_ARGS`.
    #[serde(with = "go")]
    pub args: BTreeMap<String, String>,
}

/// A port of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Port {
    /// Its label, unique in the group.
    pub label: String,
    /// The number on the host; 0 until one is chosen.
    #[serde(skip_serializing_if = "is_zero")]
    pub value: i64,
    /// The number inside: 0 the same as `value` where the namespace is the host's, −1 always the same.
    #[serde(skip_serializing_if = "is_zero")]
    pub to: i64,
    /// The named host network it is published on; `default`.
    pub host_network: String,
    /// Whether others may have the same static port (host mode only).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_collision: bool,
}
