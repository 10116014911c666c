//! ◆ The node as the servers are told: from what was found, what the drivers say, and what its owner decided. Its
//! class is computed by the servers.

use std::collections::BTreeMap;

use serde_json::json;

use super::config::ClientConfig;
use super::fingerprint::Fingerprint;
use super::identity::Identity;
use crate::driver;
use crate::model::node::{
    DriverInfo, HostNetworkInfo, HostVolumeInfo, NodeAddress, NodeCpu, NodeDisk, NodeMemory,
    NodeNetwork, NodeProcessors, NodeReservedCpu, NodeReservedNetworks, NodeReservedResources,
    NodeResources,
};
use crate::model::{NetworkResource, Node, NodeStatus, Timestamp};

/// Puts the node together.
pub(super) fn node(
    config: &ClientConfig,
    identity: &Identity,
    found: &Fingerprint,
    drivers: &BTreeMap<String, driver::Fingerprint>,
    now: Timestamp,
) -> Node {
    let mut attributes = found.attributes.clone();
    for fingerprint in drivers.values() {
        attributes.extend(fingerprint.attributes.clone());
    }
    Node {
        id: identity.id.clone(),
        secret_id: identity.secret.clone(),
        datacenter: config.datacenter.clone(),
        name: config.name.clone(),
        http_addr: config.http_addr.clone(),
        cgroup_parent: config.cgroup_parent.clone(),
        attributes,
        node_resources: resources(config, found),
        reserved_resources: reserved(config),
        meta: config.meta.clone(),
        node_class: config.node_class.clone(),
        node_pool: config.node_pool.clone(),
        status: NodeStatus::Initializing,
        drivers: drivers.iter().map(|(name, found)| (name.clone(), info(found, now))).collect(),
        host_volumes: volumes(config),
        host_networks: networks(config),
        node_max_allocs: config.node_max_allocs,
        ..Node::default()
    }
}

fn info(found: &driver::Fingerprint, now: Timestamp) -> DriverInfo {
    DriverInfo {
        attributes: found.attributes.clone(),
        detected: found.detected,
        healthy: found.healthy,
        health_description: found.description.clone(),
        update_time: now,
    }
}

fn resources(config: &ClientConfig, found: &Fingerprint) -> NodeResources {
    let cores = u16::try_from(found.cpu.cores.len()).unwrap_or(u16::MAX);
    NodeResources {
        cpu: NodeCpu {
            cpu_shares: found.cpu.total_mhz,
            total_cpu_cores: cores,
            reservable_cpu_cores: found.cpu.cores.clone(),
        },
        processors: NodeProcessors { topology: Some(topology(found)) },
        memory: NodeMemory { memory_mb: found.memory_mb },
        disk: NodeDisk { disk_mb: found.disk_free_mb },
        devices: Vec::new(),
        node_networks: node_networks(found),
        networks: legacy_networks(found),
        min_dynamic_port: config.min_dynamic_port,
        max_dynamic_port: config.max_dynamic_port,
    }
}

fn topology(found: &Fingerprint) -> serde_json::Value {
    let cores: Vec<_> = found
        .cpu
        .cores
        .iter()
        .map(|id| {
            json!({
                "SocketID": 0, "NodeID": 0, "ID": id, "Grade": true, "Disable": false,
                "BaseSpeed": found.cpu.core_mhz(), "MaxSpeed": 0, "GuessSpeed": 0,
            })
        })
        .collect();
    json!({
        "Nodes": [0], "Distances": null, "Cores": cores,
        "OverrideTotalCompute": found.cpu.total_mhz, "OverrideWitholdCompute": 0,
    })
}

fn node_networks(found: &Fingerprint) -> Vec<NodeNetwork> {
    let bridge = NodeNetwork { mode: "bridge".to_owned(), ..NodeNetwork::default() };
    let host = found.interfaces.iter().map(|interface| NodeNetwork {
        mode: "host".to_owned(),
        device: interface.name.clone(),
        mac_address: interface.mac.clone(),
        speed: interface.speed,
        addresses: interface
            .addresses
            .iter()
            .map(|address| NodeAddress {
                family: if address.ip.is_ipv4() { "ipv4" } else { "ipv6" }.to_owned(),
                alias: address.network.clone(),
                address: address.ip.to_string(),
                reserved_ports: address.reserved_ports.clone(),
                gateway: String::new(),
            })
            .collect(),
    });
    std::iter::once(bridge).chain(host).collect()
}

fn legacy_networks(found: &Fingerprint) -> Vec<NetworkResource> {
    let bridge = NetworkResource { mode: "bridge".to_owned(), ..NetworkResource::default() };
    let default = found.interfaces.first();
    let host = default.into_iter().flat_map(|interface| {
        interface.addresses.iter().filter(|address| address.network == "default").map(|address| {
            let bits = if address.ip.is_ipv4() { 32 } else { 128 };
            NetworkResource {
                mode: "host".to_owned(),
                device: interface.name.clone(),
                cidr: format!("{}/{bits}", address.ip),
                ip: address.ip.to_string(),
                mbits: interface.speed,
                ..NetworkResource::default()
            }
        })
    });
    std::iter::once(bridge).chain(host).collect()
}

fn reserved(config: &ClientConfig) -> NodeReservedResources {
    NodeReservedResources {
        cpu: NodeReservedCpu {
            cpu_shares: config.reserved.cpu,
            reserved_cpu_cores: config.reserved.cores.clone(),
        },
        memory: NodeMemory { memory_mb: config.reserved.memory },
        disk: NodeDisk { disk_mb: config.reserved.disk },
        networks: NodeReservedNetworks { reserved_host_ports: config.reserved.ports.clone() },
    }
}

fn volumes(config: &ClientConfig) -> BTreeMap<String, HostVolumeInfo> {
    let info = |(name, volume): (&String, &super::config::HostVolume)| {
        let info = HostVolumeInfo {
            name: name.clone(),
            path: volume.path.display().to_string(),
            read_only: volume.read_only,
            id: String::new(),
        };
        (name.clone(), info)
    };
    config.host_volumes.iter().map(info).collect()
}

fn networks(config: &ClientConfig) -> BTreeMap<String, HostNetworkInfo> {
    let info = |(name, network): (&String, &super::config::HostNetwork)| {
        let info = HostNetworkInfo {
            name: name.clone(),
            cidr: network.cidr.clone(),
            interface: network.interface.clone(),
            reserved_ports: network.reserved_ports.clone(),
        };
        (name.clone(), info)
    };
    config.host_networks.iter().map(info).collect()
}
