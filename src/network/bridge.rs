//! ◇ The bridge: made when the first allocation needs it, healed when somebody changed it, removed on request.

use std::io;
use std::net::IpAddr;

use super::error::NetworkError;
use super::link::{Link, LinkAddress, Links};
use super::plan::Settings;
use super::sysctl::{self, Sysctls};

/// Locally administered, and the same on every node, so that it never changes: 02, then `stead` in ASCII.
const HARDWARE: [u8; 6] = [0x02, b's', b't', b'e', b'a', b'd'];
const DEFAULT_MTU: u32 = 1500;

/// Kinds of links whose owners need the host to forward.
const FORWARDERS: [&str; 8] = ["bridge", "tun", "wireguard", "vxlan", "ppp", "ipip", "gre", "sit"];

/// The bridge as it should be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bridge<'a> {
    pub(crate) name: &'a str,
    pub(crate) settings: &'a Settings,
    /// `None`: that of the link of the default route.
    pub(crate) mtu: Option<u32>,
}

impl Bridge<'_> {
    /// Makes what is missing of the bridge, its addresses and the host's settings. Returns the link. `known` is the bridge as an
    /// earlier call returned it: when it is still there, only the settings are looked at again.
    pub(crate) fn ensure(
        &self,
        known: Option<&Link>,
        links: &mut Links,
        sysctls: &mut Sysctls,
    ) -> Result<Link, NetworkError> {
        let failed = |action| move |source| self.failed(action, source);
        let link = match links.find(self.name).map_err(failed("find"))? {
            Some(link) if known.is_some_and(|known| known.index == link.index) => {
                self.tune(sysctls)?;
                return Ok(link);
            }
            Some(link) if link.kind == "bridge" => link,
            Some(_) => return Err(NetworkError::NotABridge { name: self.name.to_owned() }),
            None => self.create(links)?,
        };
        self.tune(sysctls)?;
        let addresses = links.addresses().map_err(failed("list addresses"))?;
        for (address, prefix) in self.addresses() {
            let has = |a: &LinkAddress| a.index == link.index && a.address == address;
            if !addresses.iter().any(has) {
                let added = links.add_address(link.index, address, prefix);
                added.map_err(failed("add its address"))?;
            }
        }
        links.up(link.index).map_err(failed("bring up"))?;
        Ok(link)
    }

    /// Removes the bridge and puts the host's settings back. Returns every failure.
    pub(crate) fn remove(&self, links: &mut Links, sysctls: &mut Sysctls) -> Vec<NetworkError> {
        let mut failures = Vec::new();
        if let Err(source) = links.delete(self.name) {
            failures.push(self.failed("delete", source));
        }
        let others = links.all().unwrap_or_default();
        let others_forward = others.iter().any(|link| FORWARDERS.contains(&link.kind.as_str()));
        let wanted = |key: &str| !others_forward || !is_forwarding(key);
        if let Err(source) = sysctls.restore(wanted) {
            let key = "all that stead had set".to_owned();
            failures.push(NetworkError::Sysctl { key, action: "put back", source });
        }
        failures
    }

    fn create(&self, links: &mut Links) -> Result<Link, NetworkError> {
        self.refuse_overlap(links)?;
        let failed = |action| move |source| self.failed(action, source);
        let mtu = match self.mtu {
            Some(mtu) => mtu,
            None => links.default_mtu().map_err(failed("find the MTU"))?.unwrap_or(DEFAULT_MTU),
        };
        links.add_bridge(self.name, HARDWARE).map_err(failed("create"))?;
        let index = links.index(self.name).map_err(failed("find"))?;
        links.set_mtu(index, mtu).map_err(failed("set the MTU"))?;
        let found = links.find(self.name).map_err(failed("find"))?;
        found.ok_or_else(|| self.failed("find", io::Error::from_raw_os_error(libc::ENODEV)))
    }

    /// Two links with one network would each see half of the answers.
    fn refuse_overlap(&self, links: &mut Links) -> Result<(), NetworkError> {
        let failed = |source| self.failed("list addresses", source);
        let addresses = links.addresses().map_err(failed)?;
        let Settings { subnet_v4, subnet_v6, .. } = self.settings;
        let in_the_way = addresses.iter().find_map(|a| match a.address {
            IpAddr::V4(v4) => subnet_v4.overlaps(v4, a.prefix).then(|| (a, subnet_v4.to_string())),
            IpAddr::V6(v6) => {
                let subnet = subnet_v6.filter(|subnet| subnet.overlaps(v6, a.prefix))?;
                Some((a, subnet.to_string()))
            }
        });
        let Some((address, subnet)) = in_the_way else { return Ok(()) };
        let all = links.all().map_err(failed)?;
        let link = all.into_iter().find(|link| link.index == address.index);
        let link = link.map(|link| link.name).unwrap_or_default();
        Err(NetworkError::SubnetInUse { subnet, link, address: address.address })
    }

    fn addresses(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let v4 = self.settings.subnet_v4;
        let v6 = self.settings.subnet_v6.map(|v6| (v6.gateway().into(), v6.prefix()));
        std::iter::once((v4.gateway().into(), v4.prefix())).chain(v6)
    }

    fn tune(&self, sysctls: &mut Sysctls) -> Result<(), NetworkError> {
        let mut set = |key: String, value: &str| match sysctls.set(&key, value) {
            Err(source) => Err(NetworkError::Sysctl { key, action: "set", source }),
            Ok(_) => Ok(()),
        };
        set("net/ipv4/ip_forward".to_owned(), "1")?;
        // So that what is sent to 127.0.0.1 can be redirected into the bridge. Only there, and the table's `guard` chain keeps others out.
        set(format!("net/ipv4/conf/{}/route_localnet", self.name), "1")?;
        if self.settings.subnet_v6.is_none() {
            return Ok(());
        }
        set(format!("net/ipv6/conf/{}/accept_ra", self.name), "0")?;
        // Until its link-local address is sure to be its own, a link asks no neighbour for anything: nobody would
        // reach the first allocation for two seconds.
        set(format!("net/ipv6/conf/{}/accept_dad", self.name), "0")?;
        if sysctl::read("net/ipv6/conf/all/forwarding").is_ok_and(|value| value == "0") {
            // A router ignores other routers unless told otherwise: a host that got its IPv6 route by an
            // advertisement would lose it. Told first, because the switch drops such routes at once.
            for link in sysctl::links_that_heed_advertisements() {
                set(format!("net/ipv6/conf/{link}/accept_ra"), "2")?;
            }
        }
        set("net/ipv6/conf/all/forwarding".to_owned(), "1")
    }

    fn failed(&self, action: &'static str, source: io::Error) -> NetworkError {
        NetworkError::Link { name: self.name.to_owned(), action, source }
    }
}

fn is_forwarding(key: &str) -> bool {
    key == "net/ipv4/ip_forward"
        || key == "net/ipv6/conf/all/forwarding"
        || key.ends_with("/accept_ra")
}
