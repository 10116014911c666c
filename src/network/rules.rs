//! ◆ The whole table `inet stead` as data.
//!
//! ```text
//! packet in ──guard──► prerouting ──► forward ──► postrouting ──► out
//!                         │  dnat by map   │ only what the          │ masquerade: out of the bridge's network,
//! local ──► output ───────┘                │ bridge may carry       │ loopback and hairpin into it
//! ```
//!
//! A published port is an element of a map, never a rule: one lookup however many ports there are. Each family
//! and transport has two maps, the first keyed by address and port, the second by port for ports that are published on every address.
//!
//! A packet that another program's chain drops is dropped, whatever we accept: nftables asks every chain at a
//! hook. So `forward` accepts for nobody but itself, and [`Reach`] says how to live with a drop.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use super::ipam::{Subnet4, Subnet6};
use super::request::{Attachment, NetworkPlan, Protocol, Scope};

/// The name of our table, in family `inet`: `stead`, or with another bridge than the default one, a name of its own. Nobody
/// else's is read or written.
pub fn table_name(bridge: &str) -> String {
    if bridge == DEFAULT_BRIDGE { "stead".to_owned() } else { format!("stead-{bridge}") }
}

/// The bridge's usual name.
pub const DEFAULT_BRIDGE: &str = "stead0";

/// Where a probe is sent to; reserved for documentation (RFC 5737), so no one is ever reached.
pub const PROBE_ADDRESS: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 0, 2, 1);
/// The discard port.
pub const PROBE_PORT: u16 = 9;
/// Counts probes that arrive at the forward hook before any other chain.
pub const PROBE_SEEN: &str = "probe_seen";
/// Counts probes that no chain at the forward hook dropped.
pub const PROBE_PASSED: &str = "probe_passed";

/// Whether packets can cross this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// They can; a published port leads into the namespace in the kernel and the client's address is kept.
    Forwarded,
    /// Another program's firewall drops them. Ports are served by the held sockets instead.
    Proxied,
}

/// Numbers that go into the table.
#[derive(Debug, Clone)]
pub struct TableInput<'a> {
    /// Link name of the bridge.
    pub bridge: &'a str,
    /// Its IPv4 network.
    pub subnet_v4: Subnet4,
    /// Its IPv6 network.
    pub subnet_v6: Option<Subnet6>,
    /// Whether to send packets from elsewhere into namespaces.
    pub reach: Reach,
}

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

/// One of the eight maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Map {
    /// Family of addresses in keys and targets.
    pub family: Family,
    /// Transport.
    pub protocol: Protocol,
    /// Whether the key has the address, too.
    pub by_address: bool,
}

impl Map {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        [Family::V4, Family::V6].into_iter().flat_map(|family| {
            [Protocol::Tcp, Protocol::Udp].into_iter().flat_map(move |protocol| {
                [true, false].map(|by_address| Self { family, protocol, by_address })
            })
        })
    }

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match (self.protocol, self.family, self.by_address) {
            (Protocol::Tcp, Family::V4, false) => "tcp4",
            (Protocol::Tcp, Family::V6, false) => "tcp6",
            (Protocol::Udp, Family::V4, false) => "udp4",
            (Protocol::Udp, Family::V6, false) => "udp6",
            (Protocol::Tcp, Family::V4, true) => "tcp4_at",
            (Protocol::Tcp, Family::V6, true) => "tcp6_at",
            (Protocol::Udp, Family::V4, true) => "udp4_at",
            (Protocol::Udp, Family::V6, true) => "udp6_at",
        }
    }
}

/// One published port in one map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// Where it goes.
    pub map: Map,
    /// Destination address, in maps that are keyed by address.
    pub address: Option<IpAddr>,
    /// Destination port.
    pub port: u16,
    /// The address in the namespace, of the map's family.
    pub target: IpAddr,
    /// The port in the namespace.
    pub target_port: u16,
}

/// Where a chain is hooked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// On arrival, before routing.
    Prerouting,
    /// On the way from one link to another.
    Forward,
    /// What this machine sends.
    Output,
    /// On departure.
    Postrouting,
}

/// A chain and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Name in the table.
    pub name: &'static str,
    /// Where.
    pub hook: Hook,
    /// Smaller is earlier.
    pub priority: i32,
    /// Type `nat` (sees the first packet of a connection) or `filter` (sees all).
    pub nat: bool,
    /// Its rules in order.
    pub rules: Vec<Vec<Expression>>,
}

/// What a rule is made of. A rule ends at the first match that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// The packet is of this family.
    Family(Family),
    /// The packet is of this transport.
    Protocol(Protocol),
    /// It came by this link.
    From(String),
    /// It did not come by this link.
    NotFrom(String),
    /// It leaves by this link.
    To(String),
    /// It leaves by another link.
    NotTo(String),
    /// The source address, masked, is this network.
    Source { network: IpAddr, mask: IpAddr },
    /// The destination address, masked, is this network.
    Destination { network: IpAddr, mask: IpAddr },
    /// The destination port.
    Port(u16),
    /// The destination is an address of this machine.
    Local,
    /// Its connection was redirected by a map.
    Redirected,
    /// Its connection is known.
    Established,
    /// Redirects the connection to what the map says, or ends the rule when the map has no such element.
    Redirect(Map),
    /// The connection takes the address of the link it leaves by.
    Masquerade,
    /// Adds to a named counter.
    Count(&'static str),
    /// This chain has no objection.
    Accept,
    /// The packet ends here.
    Drop,
    /// The packet skips the rest of this chain.
    Return,
}

use Expression as E;

/// Everything in the table except the elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Names of counters.
    pub counters: [&'static str; 2],
    /// The maps.
    pub maps: Vec<Map>,
    /// The chains.
    pub chains: Vec<Chain>,
}

/// The table that should be there.
pub fn table(input: &TableInput<'_>) -> Table {
    let mut chains = vec![guard(), output(), postrouting(input), forward(input)];
    match input.reach {
        Reach::Forwarded => chains.push(Chain {
            name: "prerouting",
            hook: Hook::Prerouting,
            priority: -100,
            nat: true,
            rules: redirects(),
        }),
        Reach::Proxied => {}
    }
    chains.extend(probes(input));
    Table { counters: [PROBE_SEEN, PROBE_PASSED], maps: Map::all().collect(), chains }
}

/// With `route_localnet` the kernel no longer refuses loopback addresses on the bridge, and a redirect of
/// `127.0.0.1` would be reachable from the LAN: so nothing for loopback may come in by any other link.
fn guard() -> Chain {
    let from_elsewhere = vec![
        E::Family(Family::V4),
        E::Destination { network: [127, 0, 0, 0].into(), mask: [255, 0, 0, 0].into() },
        E::NotFrom("lo".to_owned()),
        E::Drop,
    ];
    Chain {
        name: "guard",
        hook: Hook::Prerouting,
        priority: -300,
        nat: false,
        rules: vec![from_elsewhere],
    }
}

fn redirects() -> Vec<Vec<E>> {
    Map::all()
        .map(|map| {
            let mut rule = vec![E::Family(map.family), E::Protocol(map.protocol)];
            if !map.by_address {
                rule.push(E::Local);
            }
            rule.push(E::Redirect(map));
            rule
        })
        .collect()
}

fn output() -> Chain {
    // IPv6 has no route_localnet: what is sent to ::1 stays with the held socket, which passes it on.
    let loopback = E::Destination {
        network: Ipv6Addr::LOCALHOST.into(),
        mask: Ipv6Addr::from(u128::MAX).into(),
    };
    let mut rules = vec![vec![E::Family(Family::V6), loopback, E::Return]];
    rules.extend(redirects());
    Chain { name: "output", hook: Hook::Output, priority: -100, nat: true, rules }
}

/// Each network of the bridge with its mask.
fn networks(input: &TableInput<'_>) -> Vec<(Family, IpAddr, IpAddr)> {
    let v4 = input.subnet_v4;
    let v4 = (Family::V4, v4.network().into(), v4.mask().into());
    let v6 = input.subnet_v6.map(|v6| (Family::V6, v6.network().into(), v6.mask().into()));
    std::iter::once(v4).chain(v6).collect()
}

fn postrouting(input: &TableInput<'_>) -> Chain {
    let bridge = || input.bridge.to_owned();
    let mut rules = Vec::new();
    for (family, network, mask) in networks(input) {
        let own = E::Source { network, mask };
        // Out into the world.
        rules.push(vec![E::Family(family), own.clone(), E::NotTo(bridge()), E::Masquerade]);
        // Hairpin: a namespace that reaches itself or a neighbour through a published port must see the answer come back this way.
        rules.push(vec![E::Family(family), own, E::To(bridge()), E::Redirected, E::Masquerade]);
    }
    let loopback = E::Source { network: [127, 0, 0, 0].into(), mask: [255, 0, 0, 0].into() };
    rules.push(vec![E::Family(Family::V4), loopback, E::To(bridge()), E::Masquerade]);
    Chain { name: "postrouting", hook: Hook::Postrouting, priority: 100, nat: true, rules }
}

/// Only answers and published ports go into the bridge: a neighbour on the LAN that adds a route to the
/// bridge's network does not reach what was not published.
fn forward(input: &TableInput<'_>) -> Chain {
    let to = || E::To(input.bridge.to_owned());
    let rules = vec![
        vec![E::From(input.bridge.to_owned()), E::Accept],
        vec![to(), E::Established, E::Accept],
        vec![to(), E::Redirected, E::Accept],
        vec![to(), E::Drop],
    ];
    Chain { name: "forward", hook: Hook::Forward, priority: 0, nat: false, rules }
}

/// A probe is counted before and after everybody else's forward chains, and never leaves the machine.
fn probes(input: &TableInput<'_>) -> [Chain; 2] {
    let v4 = input.subnet_v4;
    let probe = || {
        vec![
            E::Family(Family::V4),
            E::Source { network: v4.network().into(), mask: v4.mask().into() },
            E::Destination { network: PROBE_ADDRESS.into(), mask: [255; 4].into() },
            E::Protocol(Protocol::Udp),
            E::Port(PROBE_PORT),
        ]
    };
    let (mut seen, mut passed) = (probe(), probe());
    seen.push(E::Count(PROBE_SEEN));
    passed.extend([E::Count(PROBE_PASSED), E::Drop]);
    let chain =
        |name, hook, rule| Chain { name, hook, priority: -400, nat: false, rules: vec![rule] };
    [chain("probe_seen", Hook::Forward, seen), chain("probe_passed", Hook::Postrouting, passed)]
}

/// The elements of one plan; none unless it is in bridge mode.
pub fn elements(plan: &NetworkPlan) -> Vec<Element> {
    let Attachment::Bridge { v4, v6, .. } = &plan.attachment else { return Vec::new() };
    let mut elements = Vec::new();
    for port in &plan.ports {
        for protocol in port.protocols.each() {
            let mut push = |family, address: Option<IpAddr>, target: IpAddr| {
                elements.push(Element {
                    map: Map { family, protocol: *protocol, by_address: address.is_some() },
                    address,
                    port: port.host_port,
                    target,
                    target_port: port.to,
                });
            };
            match &port.scope {
                Scope::Every => {
                    push(Family::V4, None, v4.address.into());
                    if let Some(v6) = v6 {
                        push(Family::V6, None, v6.address.into());
                    }
                }
                Scope::At(addresses) => {
                    for address in addresses {
                        match (address, v6) {
                            (IpAddr::V4(_), _) => {
                                push(Family::V4, Some(*address), v4.address.into());
                            }
                            (IpAddr::V6(a), Some(v6)) if !a.is_loopback() => {
                                push(Family::V6, Some(*address), v6.address.into());
                            }
                            (IpAddr::V6(_), _) => {}
                        }
                    }
                }
            }
        }
    }
    elements
}

/// The elements of all plans, map by map.
pub fn all_elements<'a>(
    plans: impl Iterator<Item = &'a NetworkPlan>,
) -> BTreeMap<Map, Vec<Element>> {
    let mut by_map: BTreeMap<Map, Vec<Element>> = BTreeMap::new();
    for element in plans.flat_map(elements) {
        by_map.entry(element.map).or_default().push(element);
    }
    by_map
}

#[cfg(test)]
mod tests {
    use super::super::request::{Address4, Address6, PlannedPort, Protocols};
    use super::*;

    fn input(reach: Reach) -> TableInput<'static> {
        let subnet_v6 = Some("fd00::/64".parse().unwrap());
        TableInput { bridge: "stead0", subnet_v4: Subnet4::DEFAULT, subnet_v6, reach }
    }

    fn plan(scope: Scope, protocols: Protocols) -> NetworkPlan {
        let address = [172, 26, 64, 2].into();
        let gateway = [172, 26, 64, 1].into();
        let v6 = ("fd00::2".parse().unwrap(), "fd00::1".parse().unwrap());
        NetworkPlan {
            alloc_id: "a".to_owned(),
            attachment: Attachment::Bridge {
                netns: "a".to_owned(),
                veth: "vsa".to_owned(),
                offset: 2,
                v4: Address4 { address, prefix: 20, gateway },
                v6: Some(Address6 { address: v6.0, prefix: 64, gateway: v6.1 }),
            },
            hostname: "a".to_owned(),
            dns: None,
            ports: vec![PlannedPort {
                label: "http".to_owned(),
                scope,
                host_port: 8080,
                to: 80,
                protocols,
            }],
        }
    }

    fn shown(plan: &NetworkPlan) -> Vec<String> {
        let show = |e: Element| {
            let at = e.address.map(|a| format!("{a} ")).unwrap_or_default();
            format!("{}: {at}{} -> {} {}", e.map.name(), e.port, e.target, e.target_port)
        };
        elements(plan).into_iter().map(show).collect()
    }

    #[test]
    fn a_port_on_every_address_is_in_the_maps_without_addresses() {
        let shown = shown(&plan(Scope::Every, Protocols::Both));
        let expected = [
            "tcp4: 8080 -> 172.26.64.2 80",
            "tcp6: 8080 -> fd00::2 80",
            "udp4: 8080 -> 172.26.64.2 80",
            "udp6: 8080 -> fd00::2 80",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_port_on_some_addresses_leaves_ipv6_loopback_to_its_socket() {
        let addresses = ["192.168.1.5", "fd11::5", "127.0.0.1", "::1"].map(|a| a.parse().unwrap());
        let shown = shown(&plan(Scope::At(addresses.to_vec()), Protocols::Tcp));
        let expected = [
            "tcp4_at: 192.168.1.5 8080 -> 172.26.64.2 80",
            "tcp6_at: fd11::5 8080 -> fd00::2 80",
            "tcp4_at: 127.0.0.1 8080 -> 172.26.64.2 80",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn nothing_is_redirected_on_arrival_when_it_could_not_be_forwarded() {
        let names =
            |reach| table(&input(reach)).chains.iter().map(|chain| chain.name).collect::<Vec<_>>();
        assert!(names(Reach::Forwarded).contains(&"prerouting"));
        assert!(!names(Reach::Proxied).contains(&"prerouting"));
        assert!(names(Reach::Proxied).contains(&"output"));
    }

    #[test]
    fn every_rule_that_looks_into_a_header_has_checked_the_family_first() {
        for rule in table(&input(Reach::Forwarded)).chains.iter().flat_map(|chain| &chain.rules) {
            let looks = rule.iter().position(|e| {
                matches!(
                    e,
                    E::Source { .. } | E::Destination { .. } | E::Redirect(_) | E::Masquerade
                )
            });
            let family = rule.iter().position(|e| matches!(e, E::Family(_)));
            assert!(looks.is_none() || family < looks && family.is_some(), "{rule:?}");
        }
    }
}
