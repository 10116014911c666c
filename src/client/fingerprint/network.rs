//! ◇ Interfaces and addresses that ports are published on.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

use crate::client::config::HostNetwork;

/// An interface with its addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its MAC address; empty when it has none.
    pub mac: String,
    /// Mbit/s; 1000 when it does not say.
    pub speed: i64,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<Address>,
}

/// An address, and the host network it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// `default`, or a name of the configuration.
    pub network: String,
    /// Ports that are not given to tasks.
    pub reserved_ports: String,
}

/// The default interface first, then those of named host networks.
pub(super) fn look(wanted: &str, networks: &BTreeMap<String, HostNetwork>) -> Vec<Interface> {
    let found = all();
    let default = if wanted.is_empty() { default_route() } else { Some(wanted.to_owned()) };
    // A machine without a default route still has itself.
    let default =
        default.filter(|name| found.contains_key(name)).unwrap_or_else(|| "lo".to_owned());
    let mut interfaces: BTreeMap<String, Interface> = BTreeMap::new();
    for (name, ips) in &found {
        for ip in ips {
            let mut add = |network: &str, reserved_ports: &str| {
                let interface = interfaces.entry(name.clone()).or_insert_with(|| described(name));
                interface.addresses.push(Address {
                    ip: *ip,
                    network: network.to_owned(),
                    reserved_ports: reserved_ports.to_owned(),
                });
            };
            for (network, what) in networks.iter().filter(|(_, what)| belongs(what, name, *ip)) {
                add(network, &what.reserved_ports);
            }
            if *name == default {
                add("default", "");
            }
        }
    }
    let mut list: Vec<Interface> = interfaces.into_values().collect();
    list.sort_by_key(|interface| interface.name != default);
    list
}

fn all() -> BTreeMap<String, Vec<IpAddr>> {
    let mut found: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    let Ok(addresses) = getifaddrs() else { return found };
    for address in addresses {
        let Some(storage) = address.address else { continue };
        let v4 = storage.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        let v6 = storage.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip()));
        // Link-local addresses need a scope that nobody writes into a URL.
        let usable = |ip: &IpAddr| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        if let Some(ip) = v4.or(v6).filter(usable) {
            found.entry(address.interface_name).or_default().push(ip);
        }
    }
    for ips in found.values_mut() {
        ips.sort_by_key(IpAddr::is_ipv6);
    }
    found
}

/// The interface of the default route with the lowest metric.
fn default_route() -> Option<String> {
    let v4 = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (name, destination, metric) = (fields.first()?, fields.get(1)?, fields.get(6)?);
        (*destination == "00000000")
            .then(|| (metric.parse::<u64>().unwrap_or(0), (*name).to_owned()))
    };
    if let Some((_, name)) = v4.lines().skip(1).filter_map(route).min() {
        return Some(name);
    }
    let v6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let zeros = "0".repeat(32);
    v6.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_default = fields.first() == Some(&zeros.as_str()) && fields.get(1) == Some(&"00");
        let name = *fields.last()?;
        (is_default && name != "lo").then(|| name.to_owned())
    })
}

fn belongs(network: &HostNetwork, interface: &str, ip: IpAddr) -> bool {
    let by_name = network.interface.is_empty() || network.interface == interface;
    let by_range =
        network.cidr.is_empty() || network.cidr.split(',').any(|cidr| contains(cidr.trim(), ip));
    by_name && by_range && !(network.interface.is_empty() && network.cidr.is_empty())
}

/// Whether `ip` is in `10.0.0.0/8`.
fn contains(cidr: &str, ip: IpAddr) -> bool {
    let Some((base, bits)) = cidr.split_once('/') else { return false };
    let (Ok(base), Ok(bits)) = (base.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (base, ip) {
        (IpAddr::V4(base), IpAddr::V4(ip)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            base.to_bits() & mask == ip.to_bits() & mask
        }
        (IpAddr::V6(base), IpAddr::V6(ip)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            base.to_bits() & mask == ip.to_bits() & mask
        }
        (_, _) => false,
    }
}

fn described(name: &str) -> Interface {
    let read = |file: &str| {
        fs::read_to_string(format!("/sys/class/net/{name}/{file}")).unwrap_or_default()
    };
    let mac = read("address").trim().to_owned();
    Interface {
        name: name.to_owned(),
        mac: if mac == "00:00:00:00:00:00" { String::new() } else { mac },
        speed: read("speed").trim().parse().ok().filter(|speed| *speed > 0).unwrap_or(1000),
        addresses: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_can_be_asked_for() {
        let list = look("lo", &BTreeMap::new());
        let first = list.first().unwrap();
        assert_eq!(first.name, "lo");
        assert!(first.addresses.iter().any(|a| a.ip.is_loopback() && a.network == "default"));
    }

    #[test]
    fn a_named_network_takes_its_addresses() {
        let networks = BTreeMap::from([(
            "private".to_owned(),
            HostNetwork { cidr: "127.0.0.0/8".to_owned(), ..HostNetwork::default() },
        )]);
        let list = look("", &networks);
        let named = list.iter().flat_map(|i| &i.addresses).filter(|a| a.network == "private");
        assert!(named.count() >= 1);
        assert!(contains("10.0.0.0/8", "10.9.9.9".parse().unwrap()));
        assert!(!contains("10.0.0.0/8", "11.0.0.1".parse().unwrap()));
        assert!(
            contains("::/0", "::1".parse().unwrap())
                && !contains("nonsense", "::1".parse().unwrap())
        );
    }
}
