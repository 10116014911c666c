//! ◇ Puts the table of [`super::rules`] into the kernel. Each change is one transaction: all of it or nothing.

mod encode;

use std::io;

use super::netlink::wire::{Message, attributes};
use super::netlink::{Netlink, Protocol};
use super::request::NetworkPlan;
use super::rules::{self, Element, Table};

/// The connection to nftables.
#[derive(Debug)]
pub(crate) struct Nat {
    netlink: Netlink,
    table: String,
}

impl Nat {
    /// `table` is the name of the one table that is ever touched.
    pub(crate) fn open(table: String) -> io::Result<Self> {
        Ok(Self { netlink: Netlink::open(Protocol::Netfilter)?, table })
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
        let mut messages = vec![
            encode::add_table(&self.table),
            encode::delete_table(&self.table),
            encode::add_table(&self.table),
        ];
        messages.extend(encode::fill_table(&self.table, table));
        for (map, elements) in rules::all_elements(plans) {
            messages.extend(encode::add_elements(&self.table, map, &elements));
        }
        self.commit(messages)
    }

    /// Publishes the ports of one plan.
    pub(crate) fn add(&mut self, elements: &[Element]) -> io::Result<()> {
        self.commit(by_map(&self.table, elements, encode::add_elements))
    }

    /// Ends the publication of ports that [`Self::add`] began.
    pub(crate) fn remove(&mut self, elements: &[Element]) -> io::Result<()> {
        self.commit(by_map(&self.table, elements, encode::delete_elements))
    }

    /// Deletes the table. Nothing happens when there is none.
    pub(crate) fn delete(&mut self) -> io::Result<()> {
        self.commit(vec![encode::add_table(&self.table), encode::delete_table(&self.table)])
    }

    /// How many packets a counter of ours has seen.
    pub(crate) fn count(&mut self, counter: &str) -> io::Result<u64> {
        let mut packets = None;
        self.netlink.get(encode::get_counter(&self.table, counter), |reply| {
            // Attribute 4 of a counter object is its data, 2 in there the number of packets.
            packets = reply
                .attributes(4)
                .find(|(kind, _)| *kind == 4)
                .and_then(|(_, data)| attributes(data).find(|(kind, _)| *kind == 2))
                .and_then(|(_, value)| value.first_chunk().map(|c| u64::from_be_bytes(*c)));
        })?;
        packets.ok_or_else(|| io::Error::other("the kernel's answer has no count"))
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
    table: &str,
    elements: &[Element],
    encode: fn(&str, rules::Map, &[Element]) -> Vec<Message>,
) -> Vec<Message> {
    let mut sorted = elements.to_vec();
    sorted.sort_by_key(|element| element.map);
    let maps = sorted.chunk_by(|one, two| one.map == two.map);
    maps.flat_map(|chunk| encode(table, chunk[0].map, chunk)).collect()
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
    /// Reads one datagram. `own_port` is [`Nat::port`], `table` the name of ours. Of others' tables nothing is read but that they have another name.
    pub(crate) fn read(datagram: &[u8], own_port: u32, table: &str) -> Self {
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
                && named.is_some_and(|(_, name)| name.strip_suffix(&[0]) == Some(table.as_bytes()));
        }
        seen
    }

    /// Both datagrams together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { ours: self.ours || other.ours, any: self.any || other.any }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ipam::Subnet4;
    use super::super::plan::{Leases, Settings, plan};
    use super::super::request::{Mode, NetworkRequest, PortRequest, Protocols};
    use super::super::rules::{Reach, TableInput};
    use super::*;

    /// One allocation with far more ports than anybody has.
    fn crowded(ports: u16) -> NetworkPlan {
        let settings = Settings {
            subnet_v4: Subnet4::DEFAULT,
            subnet_v6: Some("fd00::/64".parse().unwrap()),
            host_networks: Vec::new(),
        };
        let port = |number: u16| PortRequest {
            label: format!("p{number}"),
            host_ip: [0, 0, 0, 0].into(),
            host_port: number,
            to: 0,
            protocols: Protocols::Both,
        };
        let asked = |ports| NetworkRequest {
            alloc_id: "crowded".to_owned(),
            mode: Mode::Bridge,
            hostname: None,
            dns: None,
            ports,
        };
        let mut whole = plan(&asked(Vec::new()), &Leases::new(&settings), &settings).unwrap();
        for number in 1..=ports {
            let one = plan(&asked(vec![port(number)]), &Leases::new(&settings), &settings).unwrap();
            whole.ports.extend(one.ports);
        }
        whole
    }

    #[test]
    fn a_table_of_twenty_thousand_elements_is_replaced_at_once_and_a_bad_change_changes_nothing() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let thread = std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            let mut nat = Nat::open("stead".to_owned()).unwrap();
            let table = rules::table(&TableInput {
                bridge: "stead0",
                subnet_v4: Subnet4::DEFAULT,
                subnet_v6: Some("fd00::/64".parse().unwrap()),
                reach: Reach::Forwarded,
            });
            let (many, few) = (crowded(5000), crowded(2));
            for _ in 0..2 {
                nat.replace(&table, [&many].into_iter()).unwrap();
            }
            assert_eq!(nat.count(rules::PROBE_SEEN).unwrap(), 0);

            nat.replace(&table, [&few].into_iter()).unwrap();
            let elements = rules::elements(&few);
            nat.remove(&elements[..1]).unwrap();
            // The first is gone already, so the others stay as well.
            assert!(nat.remove(&elements).is_err());
            nat.remove(&elements[1..]).unwrap();
            nat.add(&elements).unwrap();
            nat.delete().unwrap();
            nat.delete().unwrap();
            assert!(nat.add(&elements).is_err());
        });
        thread.join().unwrap();
    }
}
