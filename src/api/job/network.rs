//! ◆ Networks and ports as clients send them.

use serde::{Deserialize, Serialize};

use super::{Dict, List, list};
use crate::model::network;

/// A network a group or task asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkResource {
    pub mode: String,
    pub device: String,
    #[serde(rename = "CIDR")]
    pub cidr: String,
    #[serde(rename = "IP")]
    pub ip: String,
    #[serde(rename = "DNS")]
    pub dns: Option<DnsConfig>,
    pub reserved_ports: List<Port>,
    pub dynamic_ports: List<Port>,
    pub hostname: String,
    #[serde(rename = "MBits")]
    pub mbits: Option<i64>,
    #[serde(rename = "CNI")]
    pub cni: Option<CniConfig>,
}

/// What a task's resolver is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DnsConfig {
    pub servers: List<String>,
    pub searches: List<String>,
    pub options: List<String>,
}

/// Arguments for CNI plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CniConfig {
    pub args: Dict<String>,
}

/// A port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Port {
    pub label: String,
    pub value: i64,
    pub to: i64,
    pub host_network: String,
    pub ignore_collision: bool,
}

impl NetworkResource {
    pub(super) fn canonical(self) -> network::NetworkResource {
        network::NetworkResource {
            mode: self.mode,
            // Nomad: read and forgotten.
            device: String::new(),
            cidr: self.cidr,
            ip: self.ip,
            hostname: self.hostname,
            mbits: self.mbits.unwrap_or_default(),
            dns: self.dns.map(|dns| network::DnsConfig {
                servers: dns.servers.unwrap_or_default(),
                searches: dns.searches.unwrap_or_default(),
                options: dns.options.unwrap_or_default(),
            }),
            reserved_ports: list(self.reserved_ports, Port::canonical),
            dynamic_ports: list(self.dynamic_ports, Port::canonical),
            cni: self.cni.map(|cni| network::CniConfig { args: cni.args.unwrap_or_default() }),
        }
    }
}

impl Port {
    fn canonical(self) -> network::Port {
        let host_network =
            if self.host_network.is_empty() { "default".to_owned() } else { self.host_network };
        network::Port {
            label: self.label,
            value: self.value,
            to: self.to,
            host_network,
            ignore_collision: self.ignore_collision,
        }
    }
}
