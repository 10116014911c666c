//! ◆ Addresses: the bridge's subnets and the leases in them.
//!
//! One lease is one offset, used in both families: offset 5 of `172.26.64.0/20` and `fd00::/64` is `172.26.64.5` and
//! `fd00::5`. Offset 1 is the bridge. Leases rotate: a freed offset comes back only after all the others were
//! used, so a neighbour's stale ARP entry or a client's old connection does not meet a newcomer.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::request::{Address4, Address6};

const GATEWAY: u32 = 1;
const FIRST: u32 = 2;

/// An IPv4 network, as `172.26.64.0/20`. Nomad: the same default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet4 {
    network: Ipv4Addr,
    prefix: u8,
}

/// An IPv6 network of at most 96 bits of prefix, as `fd12:3456:789a::/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet6 {
    network: Ipv6Addr,
    prefix: u8,
}

/// Why a text is no subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("subnet `{text}`: {reason}")]
pub struct SubnetError {
    text: String,
    reason: &'static str,
}

impl Subnet4 {
    /// Nomad's default for its bridge.
    pub const DEFAULT: Self = Self { network: Ipv4Addr::new(172, 26, 64, 0), prefix: 20 };

    /// The network's own address.
    pub fn network(self) -> Ipv4Addr {
        self.network
    }

    /// Bits of the network.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The mask with [`Self::prefix`] bits set.
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from(mask4(self.prefix))
    }

    /// The bridge's address.
    pub fn gateway(self) -> Ipv4Addr {
        self.at(GATEWAY)
    }

    /// Whether the two networks have an address in common.
    pub fn overlaps(self, other: Ipv4Addr, prefix: u8) -> bool {
        let mask = mask4(self.prefix.min(prefix));
        u32::from(self.network) & mask == u32::from(other) & mask
    }

    fn at(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.network) | offset)
    }

    /// The last offset that can be leased; the one above is the broadcast address.
    fn last(self) -> u32 {
        !mask4(self.prefix) - 1
    }
}

impl Subnet6 {
    /// A unique local network (RFC 4193) whose 40 random bits are taken from `seed`.
    pub fn unique_local(seed: u64) -> Self {
        let random = u128::from(seed) & 0xff_ffff_ffff;
        Self { network: Ipv6Addr::from((0xfd_u128 << 120) | (random << 80)), prefix: 64 }
    }

    /// The network's own address.
    pub fn network(self) -> Ipv6Addr {
        self.network
    }

    /// Bits of the network.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The mask with [`Self::prefix`] bits set.
    pub fn mask(self) -> Ipv6Addr {
        Ipv6Addr::from(mask6(self.prefix))
    }

    /// The bridge's address.
    pub fn gateway(self) -> Ipv6Addr {
        self.at(GATEWAY)
    }

    /// Whether the two networks have an address in common.
    pub fn overlaps(self, other: Ipv6Addr, prefix: u8) -> bool {
        let mask = mask6(self.prefix.min(prefix));
        u128::from(self.network) & mask == u128::from(other) & mask
    }

    fn at(self, offset: u32) -> Ipv6Addr {
        Ipv6Addr::from(u128::from(self.network) | u128::from(offset))
    }
}

fn mask4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

fn mask6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0)
}

impl std::str::FromStr for Subnet4 {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let refuse = |reason| SubnetError { text: text.to_owned(), reason };
        let (address, prefix) = text.split_once('/').ok_or_else(|| refuse("no prefix length"))?;
        let address: Ipv4Addr = address.parse().map_err(|_| refuse("not an IPv4 address"))?;
        let prefix: u8 = prefix.parse().map_err(|_| refuse("prefix length is not a number"))?;
        if !(8..=29).contains(&prefix) {
            return Err(refuse("the prefix length must be between 8 and 29"));
        }
        Ok(Self { network: Ipv4Addr::from(u32::from(address) & mask4(prefix)), prefix })
    }
}

impl std::str::FromStr for Subnet6 {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let refuse = |reason| SubnetError { text: text.to_owned(), reason };
        let (address, prefix) = text.split_once('/').ok_or_else(|| refuse("no prefix length"))?;
        let address: Ipv6Addr = address.parse().map_err(|_| refuse("not an IPv6 address"))?;
        let prefix: u8 = prefix.parse().map_err(|_| refuse("prefix length is not a number"))?;
        if !(16..=96).contains(&prefix) {
            return Err(refuse("the prefix length must be between 16 and 96"));
        }
        Ok(Self { network: Ipv6Addr::from(u128::from(address) & mask6(prefix)), prefix })
    }
}

impl std::fmt::Display for Subnet4 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl std::fmt::Display for Subnet6 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl TryFrom<String> for Subnet4 {
    type Error = SubnetError;

    fn try_from(text: String) -> Result<Self, SubnetError> {
        text.parse()
    }
}

impl TryFrom<String> for Subnet6 {
    type Error = SubnetError;

    fn try_from(text: String) -> Result<Self, SubnetError> {
        text.parse()
    }
}

impl From<Subnet4> for String {
    fn from(subnet: Subnet4) -> Self {
        subnet.to_string()
    }
}

impl From<Subnet6> for String {
    fn from(subnet: Subnet6) -> Self {
        subnet.to_string()
    }
}

/// The leases of one bridge.
#[derive(Debug, Clone)]
pub struct Pool {
    v4: Subnet4,
    v6: Option<Subnet6>,
    leased: BTreeSet<u32>,
    latest: u32,
}

impl Pool {
    /// Nothing leased.
    pub fn new(v4: Subnet4, v6: Option<Subnet6>) -> Self {
        Self { v4, v6, leased: BTreeSet::new(), latest: GATEWAY }
    }

    /// The next free offset, or `None` when every address is leased. It is not leased yet: see [`Self::take`].
    pub fn free(&self) -> Option<u32> {
        let after = first_gap(&self.leased, self.latest.saturating_add(1), self.v4.last());
        after.or_else(|| first_gap(&self.leased, FIRST, self.latest.min(self.v4.last())))
    }

    /// Leases `offset`. False when it is leased already or lies outside the subnet.
    pub fn take(&mut self, offset: u32) -> bool {
        if !(FIRST..=self.v4.last()).contains(&offset) || !self.leased.insert(offset) {
            return false;
        }
        self.latest = offset;
        true
    }

    /// Ends a lease; nothing happens when there is none.
    pub fn release(&mut self, offset: u32) {
        self.leased.remove(&offset);
    }

    /// The two addresses of an offset.
    pub fn addresses(&self, offset: u32) -> (Address4, Option<Address6>) {
        let v4 = Address4 {
            address: self.v4.at(offset),
            prefix: self.v4.prefix,
            gateway: self.v4.gateway(),
        };
        let v6 = self.v6.map(|v6| Address6 {
            address: v6.at(offset),
            prefix: v6.prefix,
            gateway: v6.gateway(),
        });
        (v4, v6)
    }
}

fn first_gap(leased: &BTreeSet<u32>, from: u32, to: u32) -> Option<u32> {
    if from > to {
        return None;
    }
    let mut candidate = from;
    for taken in leased.range(from..=to) {
        if *taken != candidate {
            break;
        }
        candidate += 1;
    }
    (candidate <= to).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn small() -> Pool {
        Pool::new("10.0.0.0/29".parse().unwrap(), None)
    }

    #[test]
    fn a_subnet_is_read_and_printed() {
        assert_eq!("172.26.65.7/20".parse(), Ok(Subnet4::DEFAULT));
        assert_eq!(Subnet4::DEFAULT.to_string(), "172.26.64.0/20");
        assert_eq!(Subnet4::DEFAULT.gateway().to_string(), "172.26.64.1");
        assert_eq!(Subnet4::DEFAULT.mask().to_string(), "255.255.240.0");
        assert!("172.26.64.0".parse::<Subnet4>().is_err());
        assert!("172.26.64.0/33".parse::<Subnet4>().is_err());
        assert!("fd00::/128".parse::<Subnet6>().is_err());
        assert_eq!("fd00::9/64".parse::<Subnet6>().unwrap().to_string(), "fd00::/64");
    }

    #[test]
    fn a_unique_local_network_lies_in_fd00_8() {
        let subnet = Subnet6::unique_local(u64::MAX);
        assert_eq!(subnet.to_string(), "fdff:ffff:ffff::/64");
        assert_eq!(subnet.gateway().to_string(), "fdff:ffff:ffff::1");
    }

    #[test]
    fn overlap_is_seen_from_both_sizes() {
        assert!(Subnet4::DEFAULT.overlaps(Ipv4Addr::new(172, 26, 70, 1), 24));
        assert!(Subnet4::DEFAULT.overlaps(Ipv4Addr::new(172, 16, 0, 1), 12));
        assert!(!Subnet4::DEFAULT.overlaps(Ipv4Addr::new(172, 26, 80, 1), 20));
    }

    #[test]
    fn a_lease_has_the_same_offset_in_both_families() {
        let pool = Pool::new(Subnet4::DEFAULT, Some("fd00::/64".parse().unwrap()));
        let (v4, v6) = pool.addresses(300);
        assert_eq!(v4.address, Ipv4Addr::new(172, 26, 65, 44));
        assert_eq!(v6.unwrap().address.to_string(), "fd00::12c");
    }

    #[test]
    fn a_full_subnet_leases_nothing_more_and_a_freed_address_comes_back_last() {
        let mut pool = small();
        let mut order = Vec::new();
        while let Some(offset) = pool.free() {
            assert!(pool.take(offset));
            order.push(offset);
        }
        assert_eq!(order, [2, 3, 4, 5, 6]);
        pool.release(3);
        pool.release(5);
        assert_eq!(pool.free(), Some(3));
        assert!(pool.take(3));
        assert_eq!(pool.free(), Some(5));
    }

    #[test]
    fn the_bridge_and_the_broadcast_address_are_never_leased() {
        let mut pool = small();
        for offset in [0, 1, 7, 8, u32::MAX] {
            assert!(!pool.take(offset), "{offset}");
        }
    }

    proptest! {
        #[test]
        fn no_address_is_leased_twice_and_a_release_frees(steps in prop::collection::vec(0_u32..20, 0..200)) {
            let mut pool = Pool::new("10.0.0.0/28".parse().unwrap(), None);
            let mut model = BTreeSet::new();
            for step in steps {
                if step < 12 {
                    let free = pool.free();
                    prop_assert_eq!(free.is_none(), model.len() == 13);
                    if let Some(offset) = free {
                        prop_assert!(pool.take(offset));
                        prop_assert!((2..=14).contains(&offset));
                        prop_assert!(model.insert(offset));
                    }
                } else if let Some(offset) = model.iter().nth(step as usize % model.len().max(1)).copied() {
                    pool.release(offset);
                    model.remove(&offset);
                }
            }
        }
    }
}
