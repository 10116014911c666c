//! ◇ Puts the table of [`rules`](super::rules) into the kernel. Each change is one transaction: all of it or nothing.

mod encode;

use std::collections::BTreeSet;
use std::io;

use super::conntrack;
use super::netlink::wire::{Message, attributes};
use super::netlink::{Netlink, Protocol};
use super::request::NetworkPlan;
use super::rules::{self, Element, Table};

/// The connection to nftables.
#[derive(Debug)]
pub(crate) struct Nat {
    netlink: Netlink,
}

impl Nat {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { netlink: Netlink::open(Protocol::Netfilter)? })
    }

    /// The number by which notifications name our own changes.
    pub(crate) fn port(&self) -> io::Result<u32> {
        self.netlink.port()
    }

    /// Replaces the table, whatever is there, by `table` with the elements of `plans`. Nobody sees it half done.
    pub(crate) fn replace<'a>(
        &mut self,
        table: &Table,
        plans: impl Iterator<Item = &'a NetworkPlan>,
    ) -> io::Result<()> {
        // A table that is not there cannot be deleted, so it is added first.
        let mut messages = vec![encode::add_table(), encode::delete_table(), encode::add_table()];
        messages.extend(encode::fill_table(table));
        for (map, elements) in rules::all_elements(plans) {
            messages.extend(encode::add_elements(map, &elements));
        }
        self.commit(messages)
    }

    /// Publishes the ports of one plan.
    pub(crate) fn add(&mut self, elements: &[Element]) -> io::Result<()> {
        self.commit(by_map(elements, encode::add_elements))
    }

    /// Ends the publication of ports that [`Self::add`] began.
    pub(crate) fn remove(&mut self, elements: &[Element]) -> io::Result<()> {
        self.commit(by_map(elements, encode::delete_elements))
    }

    /// Deletes the table. Nothing happens when there is none.
    pub(crate) fn delete(&mut self) -> io::Result<()> {
        self.commit(vec![encode::add_table(), encode::delete_table()])
    }

    /// How many packets a counter of ours has seen.
    pub(crate) fn count(&mut self, counter: &str) -> io::Result<u64> {
        let mut packets = None;
        self.netlink.get(encode::get_counter(counter), |reply| {
            // Attribute 4 of a counter object is its data, 2 in there the number of packets.
            packets = reply
                .attributes(4)
                .find(|(kind, _)| *kind == 4)
                .and_then(|(_, data)| attributes(data).find(|(kind, _)| *kind == 2))
                .and_then(|(_, value)| value.first_chunk().map(|c| u64::from_be_bytes(*c)));
        })?;
        packets.ok_or_else(|| io::Error::other("the kernel's answer has no count"))
    }

    /// Makes the kernel decide anew where UDP flows to these ports go.
    pub(crate) fn forget_udp(&mut self, ports: &BTreeSet<u16>) -> io::Result<()> {
        conntrack::forget_udp(&mut self.netlink, ports)
    }

    fn commit(&mut self, changes: Vec<Message>) -> io::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let last = changes.len();
        self.netlink.transact(encode::transaction(changes), last)
    }
}

fn by_map(
    elements: &[Element],
    encode: fn(rules::Map, &[Element]) -> Vec<Message>,
) -> Vec<Message> {
    let mut sorted = elements.to_vec();
    sorted.sort_by_key(|element| element.map);
    sorted.chunk_by(|one, two| one.map == two.map).flat_map(|c| encode(c[0].map, c)).collect()
}

/// What a datagram of nftables notifications says happened to our table, when somebody else did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Foreign {
    /// Our table was touched.
    pub(crate) ours: bool,
    /// Some table was touched.
    pub(crate) any: bool,
}

impl Foreign {
    /// Reads one datagram. `own_port` is [`Nat::port`]. Of others' tables nothing is read but that they have another name.
    pub(crate) fn read(datagram: &[u8], own_port: u32) -> Self {
        let mut seen = Self::default();
        for reply in super::netlink::wire::replies(datagram) {
            if reply.port == own_port {
                continue;
            }
            seen.any = true;
            let kind = i32::from(reply.kind & 0xff);
            // The number of a generation has no table; everything else names its table first.
            let named = reply.attributes(4).find(|(attribute, _)| *attribute == 1);
            seen.ours |= kind != libc::NFT_MSG_NEWGEN
                && named.is_some_and(|(_, name)| {
                    name.strip_suffix(&[0]) == Some(rules::TABLE.as_bytes())
                });
        }
        seen
    }

    /// Both datagrams together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { ours: self.ours || other.ours, any: self.any || other.any }
    }
}
