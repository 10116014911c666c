//! ◆ From an allocation to what it wants of the network, and back to what the servers are told.

use std::net::{IpAddr, Ipv4Addr};

use crate::client::task::interpolate::Names;
use crate::model::allocation::AllocNetworkStatus;
use crate::model::network::DnsConfig;
use crate::model::{Allocation, NetworkResource};
use crate::network::request::{Attachment, Dns};
use crate::network::{Mode, NetworkPlan, NetworkRequest, NetworkStatus, PortRequest, Protocols};

/// Why an allocation's network cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No such mode here.
    #[error("network mode `{0}` is not supported; use `host`, `bridge` or `none`")]
    Mode(String),
    /// A port is to be published on something that is no address.
    #[error("port `{label}`: host address `{host_ip}` is not an IP address")]
    HostIp {
        /// The port.
        label: String,
        /// What the scheduler gave it.
        host_ip: String,
    },
}

/// What `alloc` wants of the network.
pub fn request(alloc: &Allocation, names: &Names<'_>) -> Result<NetworkRequest, RequestError> {
    let wanted = wanted(alloc);
    let mode = match wanted.map(|network| network.mode.as_str()) {
        None | Some("" | "host") => Mode::Host,
        Some("bridge") => Mode::Bridge,
        Some("none") => Mode::None,
        Some(other) => return Err(RequestError::Mode(other.to_owned())),
    };
    let hostname = wanted.map(|network| names.fill(&network.hostname));
    let ports = &alloc.allocated_resources.shared.ports;
    let ports: Result<Vec<PortRequest>, RequestError> = ports
        .iter()
        .map(|port| {
            let host_ip = match port.host_ip.as_str() {
                "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                text => text.parse().map_err(|_| RequestError::HostIp {
                    label: port.label.clone(),
                    host_ip: text.to_owned(),
                })?,
            };
            Ok(PortRequest {
                label: port.label.clone(),
                host_ip,
                host_port: port.value,
                to: port.to,
                protocols: Protocols::default(),
            })
        })
        .collect();
    Ok(NetworkRequest {
        alloc_id: alloc.id.to_string(),
        mode,
        hostname: hostname.filter(|name| !name.is_empty()),
        dns: wanted.and_then(|network| network.dns.as_ref()).map(|dns| self::dns(dns, names)),
        ports: ports?,
    })
}

/// The network of an allocation that shares the host's and asks for none of its ports: nothing is to be made.
pub fn bare(request: &NetworkRequest) -> Option<NetworkStatus> {
    if request.mode != Mode::Host || !request.ports.is_empty() {
        return None;
    }
    let plan = NetworkPlan {
        alloc_id: request.alloc_id.clone(),
        attachment: Attachment::Host,
        hostname: request.hostname.clone().unwrap_or_default(),
        dns: request.dns.clone(),
        ports: Vec::new(),
    };
    Some(NetworkStatus { plan, interface: None, address: None, address_v6: None, netns: None })
}

/// The group's network as it was given; as it was asked for when the scheduler left it alone.
fn wanted(alloc: &Allocation) -> Option<&NetworkResource> {
    let given = alloc.allocated_resources.shared.networks.first();
    given.or_else(|| alloc.group()?.networks.first())
}

fn dns(dns: &DnsConfig, names: &Names<'_>) -> Dns {
    let fill = |texts: &[String]| texts.iter().map(|text| names.fill(text)).collect();
    Dns { servers: fill(&dns.servers), searches: fill(&dns.searches), options: fill(&dns.options) }
}

/// What the servers are told of the network; nothing for an allocation that shares the host's.
pub fn told(alloc: &Allocation, status: &NetworkStatus) -> Option<AllocNetworkStatus> {
    let address = status.address?;
    Some(AllocNetworkStatus {
        interface_name: status.interface.clone().unwrap_or_default(),
        address: address.to_string(),
        address_ipv6: status.address_v6.map(|address| address.to_string()).unwrap_or_default(),
        dns: wanted(alloc).and_then(|network| network.dns.clone()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::Node;
    use crate::model::resources::AllocatedPort;

    fn ask(mode: &str, host_ip: &str) -> Result<NetworkRequest, RequestError> {
        let mut alloc = Allocation { id: "a1".into(), ..Allocation::default() };
        let network = NetworkResource {
            mode: mode.to_owned(),
            hostname: "web-${node.region}".to_owned(),
            ..NetworkResource::default()
        };
        alloc.allocated_resources.shared.networks.push(network);
        alloc.allocated_resources.shared.ports.push(AllocatedPort {
            label: "http".to_owned(),
            value: 8080,
            to: 80,
            host_ip: host_ip.to_owned(),
            ignore_collision: false,
        });
        let (node, env) = (Node::default(), BTreeMap::new());
        request(&alloc, &Names { node: &node, region: "global", env: &env })
    }

    #[test]
    fn ports_and_names_go_to_the_network_room() {
        let asked = ask("bridge", "192.0.2.7").unwrap();
        assert_eq!((asked.mode, asked.hostname.as_deref()), (Mode::Bridge, Some("web-global")));
        let port = asked.ports.first().unwrap();
        assert_eq!((port.host_port, port.to), (8080, 80));
        assert_eq!(ask("", "").unwrap().mode, Mode::Host);
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        assert_eq!(ask("cni/x", "").unwrap_err(), RequestError::Mode("cni/x".to_owned()));
        assert!(matches!(ask("bridge", "eth0"), Err(RequestError::HostIp { .. })));
    }
}
