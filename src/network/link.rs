//! ◇ Links, addresses and routes over rtnetlink (rtnetlink(7)), in the namespace of the thread that opened it.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use super::netlink::wire::{Attributes, Message, attributes, half, text, u32_of};
use super::netlink::{Netlink, Protocol};

/// The index of `lo` in every namespace.
pub(crate) const LOOPBACK: u32 = 1;

const CREATE_NEW: u16 = half(libc::NLM_F_CREATE | libc::NLM_F_EXCL);
const UP: u32 = libc::IFF_UP as u32;
const IFINFOMSG: usize = 16;

// Attributes that libc does not name.
const VETH_PEER: u16 = 1;
const PORT_MODE: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_OIF: u16 = 4;
const RTA_TABLE: u16 = 15;

/// A link as the kernel tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// `bridge`, `veth`, …; empty for hardware and loopback.
    pub(crate) kind: String,
    /// The bridge it is a port of.
    pub(crate) master: Option<u32>,
    pub(crate) mtu: u32,
}

/// An address and its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkAddress {
    pub(crate) index: u32,
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
}

/// A veth pair to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Veth<'a> {
    /// The host's end.
    pub(crate) name: &'a str,
    /// The bridge it becomes a port of.
    pub(crate) bridge: u32,
    pub(crate) mtu: u32,
    /// The other end's name.
    pub(crate) peer: &'a str,
    /// Where the other end is born.
    pub(crate) namespace: BorrowedFd<'a>,
}

/// The connection to rtnetlink.
#[derive(Debug)]
pub(crate) struct Links {
    netlink: Netlink,
}

fn ifinfo(family: u8, index: u32, flags: u32, change: u32) -> [u8; IFINFOMSG] {
    let mut fixed = [0; IFINFOMSG];
    fixed[0] = family;
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&change.to_ne_bytes());
    fixed
}

fn family(address: IpAddr) -> u8 {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    u8::try_from(family).expect("address families are small numbers")
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

impl Links {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { netlink: Netlink::open(Protocol::Route)? })
    }

    /// The link of this name.
    pub(crate) fn find(&mut self, name: &str) -> io::Result<Option<Link>> {
        let mut wanted = Attributes::default();
        wanted.text(libc::IFLA_IFNAME, name);
        let ask = Message::new(libc::RTM_GETLINK, 0, &ifinfo(0, 0, 0, 0), &wanted);
        let mut found = None;
        match self.netlink.get(ask, |reply| found = link(reply.body)) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Ok(found),
        }
    }

    /// The index of the link of this name; an error when there is none.
    pub(crate) fn index(&mut self, name: &str) -> io::Result<u32> {
        let found = self.find(name)?;
        found.map(|link| link.index).ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
    }

    /// Every link of the namespace.
    pub(crate) fn all(&mut self) -> io::Result<Vec<Link>> {
        let ask = Message::new(libc::RTM_GETLINK, 0, &ifinfo(0, 0, 0, 0), &Attributes::default());
        let mut links = Vec::new();
        self.netlink.dump(ask, |reply| links.extend(link(reply.body)))?;
        Ok(links)
    }

    /// Every address of the namespace.
    pub(crate) fn addresses(&mut self) -> io::Result<Vec<LinkAddress>> {
        let ask = Message::new(libc::RTM_GETADDR, 0, &[0; 8], &Attributes::default());
        let mut addresses = Vec::new();
        self.netlink.dump(ask, |reply| addresses.extend(link_address(reply.body)))?;
        Ok(addresses)
    }

    /// The MTU of the link of the IPv4 default route, when there is one.
    pub(crate) fn default_mtu(&mut self) -> io::Result<Option<u32>> {
        let fixed =
            [u8::try_from(libc::AF_INET).unwrap_or_default(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let ask = Message::new(libc::RTM_GETROUTE, 0, &fixed, &Attributes::default());
        let mut default = None;
        self.netlink.dump(ask, |reply| {
            let main = reply.attributes(12).any(|(kind, value)| {
                kind == RTA_TABLE && u32_of(value) == Some(u32::from(libc::RT_TABLE_MAIN))
            });
            let whole = reply.body.get(1) == Some(&0);
            if main && whole && default.is_none() {
                default = reply
                    .attributes(12)
                    .find(|(kind, _)| *kind == RTA_OIF)
                    .and_then(|(_, value)| u32_of(value));
            }
        })?;
        let Some(index) = default else { return Ok(None) };
        Ok(self.all()?.into_iter().find(|link| link.index == index).map(|link| link.mtu))
    }

    /// Makes a bridge with a hardware address of its own; else it would change with every port that comes or goes.
    pub(crate) fn add_bridge(&mut self, name: &str, hardware: [u8; 6]) -> io::Result<()> {
        let mut wanted = Attributes::default();
        wanted.text(libc::IFLA_IFNAME, name);
        wanted.bytes(libc::IFLA_ADDRESS, &hardware);
        wanted.nested(libc::IFLA_LINKINFO, |info| {
            info.text(libc::IFLA_INFO_KIND, "bridge");
        });
        self.request(libc::RTM_NEWLINK, CREATE_NEW, &ifinfo(0, 0, 0, 0), &wanted)
    }

    /// Makes a veth pair, the host's end up and a port of the bridge. The kernel refuses to bring the other up with it.
    pub(crate) fn add_veth(&mut self, veth: &Veth<'_>) -> io::Result<()> {
        let namespace = veth.namespace.as_raw_fd().cast_unsigned();
        let mut wanted = Attributes::default();
        wanted.text(libc::IFLA_IFNAME, veth.name).u32(libc::IFLA_MTU, veth.mtu);
        wanted.u32(libc::IFLA_MASTER, veth.bridge);
        wanted.nested(libc::IFLA_LINKINFO, |info| {
            info.text(libc::IFLA_INFO_KIND, "veth").nested(libc::IFLA_INFO_DATA, |data| {
                data.nested_after(VETH_PEER, &ifinfo(0, 0, 0, 0), |peer| {
                    peer.text(libc::IFLA_IFNAME, veth.peer).u32(libc::IFLA_MTU, veth.mtu);
                    peer.u32(libc::IFLA_NET_NS_FD, namespace);
                });
            });
        });
        self.request(libc::RTM_NEWLINK, CREATE_NEW, &ifinfo(0, 0, UP, UP), &wanted)
    }

    /// Lets a bridge port send a packet back where it came from, which a namespace that calls itself by its published port needs
    /// when `br_netfilter` redirects packets inside the bridge.
    pub(crate) fn hairpin(&mut self, port: &str) -> io::Result<()> {
        let mut wanted = Attributes::default();
        wanted.text(libc::IFLA_IFNAME, port).nested(libc::IFLA_LINKINFO, |info| {
            info.text(libc::IFLA_INFO_SLAVE_KIND, "bridge");
            info.nested(libc::IFLA_INFO_SLAVE_DATA, |data| {
                data.bytes(PORT_MODE, &[1]);
            });
        });
        self.request(libc::RTM_NEWLINK, 0, &ifinfo(0, 0, 0, 0), &wanted)
    }

    /// Sets the MTU. A bridge keeps one that was set after it was made, and else takes a new one with every port.
    pub(crate) fn set_mtu(&mut self, index: u32, mtu: u32) -> io::Result<()> {
        let mut wanted = Attributes::default();
        wanted.u32(libc::IFLA_MTU, mtu);
        self.request(libc::RTM_NEWLINK, 0, &ifinfo(0, index, 0, 0), &wanted)
    }

    /// Brings a link up.
    pub(crate) fn up(&mut self, index: u32) -> io::Result<()> {
        self.request(libc::RTM_NEWLINK, 0, &ifinfo(0, index, UP, UP), &Attributes::default())
    }

    /// Deletes a link. Nothing happens when there is none.
    pub(crate) fn delete(&mut self, name: &str) -> io::Result<()> {
        let mut wanted = Attributes::default();
        wanted.text(libc::IFLA_IFNAME, name);
        match self.request(libc::RTM_DELLINK, 0, &ifinfo(0, 0, 0, 0), &wanted) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            done => done,
        }
    }

    /// Adds an address, usable at once.
    pub(crate) fn add_address(
        &mut self,
        index: u32,
        address: IpAddr,
        prefix: u8,
    ) -> io::Result<()> {
        let no_dad = if address.is_ipv6() { libc::IFA_F_NODAD } else { 0 };
        let flags = u8::try_from(no_dad).unwrap_or_default();
        let mut fixed = vec![family(address), prefix, flags, 0];
        fixed.extend(index.to_ne_bytes());
        let mut wanted = Attributes::default();
        let bytes = octets(address);
        wanted.bytes(libc::IFA_LOCAL, &bytes).bytes(libc::IFA_ADDRESS, &bytes);
        if let (IpAddr::V4(v4), 1..31) = (address, prefix) {
            let host = u32::MAX >> prefix;
            wanted.be32(libc::IFA_BROADCAST, u32::from(v4) | host);
        }
        self.request(libc::RTM_NEWADDR, CREATE_NEW, &fixed, &wanted)
    }

    /// Sends everything without a better route to `gateway`.
    pub(crate) fn add_default_route(&mut self, gateway: IpAddr) -> io::Result<()> {
        let fixed = [
            family(gateway),
            0,
            0,
            0,
            libc::RT_TABLE_MAIN,
            libc::RTPROT_STATIC,
            libc::RT_SCOPE_UNIVERSE,
            libc::RTN_UNICAST,
            0,
            0,
            0,
            0,
        ];
        let mut wanted = Attributes::default();
        wanted.bytes(RTA_GATEWAY, &octets(gateway));
        self.request(libc::RTM_NEWROUTE, CREATE_NEW, &fixed, &wanted)
    }

    fn request(
        &mut self,
        kind: u16,
        flags: u16,
        fixed: &[u8],
        wanted: &Attributes,
    ) -> io::Result<()> {
        self.netlink.request(Message::new(kind, flags, fixed, wanted))
    }
}

fn link(body: &[u8]) -> Option<Link> {
    let mut link = Link {
        index: u32_of(body.get(4..8)?)?,
        name: String::new(),
        kind: String::new(),
        master: None,
        mtu: 0,
    };
    for (kind, value) in attributes(body.get(IFINFOMSG..)?) {
        match kind {
            libc::IFLA_IFNAME => link.name = text(value),
            libc::IFLA_MASTER => link.master = u32_of(value),
            libc::IFLA_MTU => link.mtu = u32_of(value)?,
            libc::IFLA_LINKINFO => {
                let kind = attributes(value).find(|(kind, _)| *kind == libc::IFLA_INFO_KIND);
                link.kind = kind.map(|(_, value)| text(value)).unwrap_or_default();
            }
            _ => {}
        }
    }
    Some(link)
}

fn link_address(body: &[u8]) -> Option<LinkAddress> {
    let prefix = *body.get(1)?;
    let index = u32_of(body.get(4..8)?)?;
    let (mut local, mut other) = (None, None);
    for (kind, value) in attributes(body.get(8..)?) {
        let address = match value.len() {
            4 => value.first_chunk::<4>().map(|c| IpAddr::from(*c)),
            16 => value.first_chunk::<16>().map(|c| IpAddr::from(*c)),
            _ => None,
        };
        match kind {
            libc::IFA_LOCAL => local = address,
            libc::IFA_ADDRESS => other = address,
            _ => {}
        }
    }
    Some(LinkAddress { index, address: local.or(other)?, prefix })
}
