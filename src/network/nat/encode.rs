//! ◆ The table as netlink messages: what the kernel's header `linux/netfilter/nf_tables.h` calls things.

use std::net::IpAddr;

use super::super::netlink::wire::{Attributes, Message, half};
use super::super::request::Protocol;
use super::super::rules::{Chain, Element, Expression, Family, Hook, Map, Table};

const CREATE: u16 = half(libc::NLM_F_CREATE);
const APPEND: u16 = half(libc::NLM_F_APPEND);
const SUBSYSTEM: u16 = half(libc::NFNL_SUBSYS_NFTABLES) << 8;
/// `NFPROTO_INET`: IPv4 and IPv6 in one table.
const INET: u8 = 1;

/// Elements of one message; its attribute of elements must stay below 64 KiB.
const CHUNK: usize = 500;

// Attribute numbers, `NFTA_*`. In every object the first attribute is its table's name.
const TABLE_NAME: u16 = 1;
const LIST_ELEMENT: u16 = 1;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;

const COUNTER_OBJECT: u32 = 1;
const SET_IS_MAP: u32 = 8;
/// `nft`'s own numbers for types, so that it can print what we made; a concatenation is `first << 6 | second`.
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_SERVICE: u32 = 13;

/// The 16-byte register that addresses and verdicts are made in, and its 4-byte parts.
const REG_1: u32 = libc::NFT_REG_1 as u32;
const REG_VERDICT: u32 = libc::NFT_REG_VERDICT as u32;
const REG32_01: u32 = libc::NFT_REG32_00 as u32 + 1;
const REG32_04: u32 = libc::NFT_REG32_00 as u32 + 4;

fn kind(message: i32) -> u16 {
    SUBSYSTEM | half(message)
}

fn object(table: &str, message: i32, flags: u16, fill: impl FnOnce(&mut Attributes)) -> Message {
    let mut attributes = Attributes::default();
    attributes.text(TABLE_NAME, table);
    fill(&mut attributes);
    Message::new(kind(message), flags, &[INET, 0, 0, 0], &attributes)
}

/// The message that begins or ends a transaction.
fn batch(message: i32) -> Message {
    let [high, low] = half(libc::NFNL_SUBSYS_NFTABLES).to_be_bytes();
    Message::new(half(message), 0, &[0, 0, high, low], &Attributes::default())
}

/// `changes` between the begin and end of a transaction.
pub(super) fn transaction(changes: Vec<Message>) -> Vec<Message> {
    let mut messages = Vec::with_capacity(changes.len() + 2);
    messages.push(batch(libc::NFNL_MSG_BATCH_BEGIN));
    messages.extend(changes);
    messages.push(batch(libc::NFNL_MSG_BATCH_END));
    messages
}

/// Makes sure the table is there; changes nothing when it is.
pub(super) fn add_table(table: &str) -> Message {
    object(table, libc::NFT_MSG_NEWTABLE, CREATE, |_| ())
}

/// Deletes the table and all in it; it must be there.
pub(super) fn delete_table(table: &str) -> Message {
    object(table, libc::NFT_MSG_DELTABLE, 0, |_| ())
}

/// Everything in an empty table, except elements.
pub(super) fn fill_table(table: &str, wanted: &Table) -> Vec<Message> {
    let mut messages: Vec<Message> =
        wanted.counters.iter().map(|name| add_counter(table, name)).collect();
    messages.extend(wanted.maps.iter().zip(1..).map(|(map, id)| add_map(table, *map, id)));
    for chain in &wanted.chains {
        messages.push(add_chain(table, chain));
        messages.extend(chain.rules.iter().map(|rule| add_rule(table, chain.name, rule)));
    }
    messages
}

/// Asks for a counter.
pub(super) fn get_counter(table: &str, name: &str) -> Message {
    object(table, libc::NFT_MSG_GETOBJ, 0, |a| {
        a.text(2, name).be32(3, COUNTER_OBJECT);
    })
}

fn add_counter(table: &str, name: &str) -> Message {
    object(table, libc::NFT_MSG_NEWOBJ, CREATE, |a| {
        a.text(2, name).be32(3, COUNTER_OBJECT).nested(4, |_| ());
    })
}

fn add_map(table: &str, map: Map, id: u32) -> Message {
    let (address_type, address_length) = match map.family {
        Family::V4 => (TYPE_IPV4, 4),
        Family::V6 => (TYPE_IPV6, 16),
    };
    let (pair_type, pair_length) = (address_type << 6 | TYPE_SERVICE, address_length + 4);
    let (key_type, key_length) =
        if map.by_address { (pair_type, pair_length) } else { (TYPE_SERVICE, 2) };
    object(table, libc::NFT_MSG_NEWSET, CREATE, |a| {
        a.text(2, map.name()).be32(3, SET_IS_MAP);
        a.be32(4, key_type).be32(5, key_length).be32(6, pair_type).be32(7, pair_length);
        a.be32(10, id);
    })
}

fn add_chain(table: &str, chain: &Chain) -> Message {
    let hook: i32 = match chain.hook {
        Hook::Prerouting => libc::NF_INET_PRE_ROUTING,
        Hook::Forward => libc::NF_INET_FORWARD,
        Hook::Output => libc::NF_INET_LOCAL_OUT,
        Hook::Postrouting => libc::NF_INET_POST_ROUTING,
    };
    object(table, libc::NFT_MSG_NEWCHAIN, CREATE, |a| {
        a.text(3, chain.name).nested(4, |h| {
            h.be32(1, hook.cast_unsigned()).be32(2, chain.priority.cast_unsigned());
        });
        a.text(7, if chain.nat { "nat" } else { "filter" });
    })
}

fn add_rule(table: &str, chain: &str, rule: &[Expression]) -> Message {
    object(table, libc::NFT_MSG_NEWRULE, CREATE | APPEND, |a| {
        a.text(2, chain).nested(4, |list| {
            for expression in rule {
                encode(list, expression);
            }
        });
    })
}

/// Adds elements, at most [`CHUNK`] in a message.
pub(super) fn add_elements(table: &str, map: Map, elements: &[Element]) -> Vec<Message> {
    change_elements(table, (libc::NFT_MSG_NEWSETELEM, CREATE), map, elements)
}

/// Deletes elements; each must be there.
pub(super) fn delete_elements(table: &str, map: Map, elements: &[Element]) -> Vec<Message> {
    change_elements(table, (libc::NFT_MSG_DELSETELEM, 0), map, elements)
}

fn change_elements(
    table: &str,
    (message, flags): (i32, u16),
    map: Map,
    elements: &[Element],
) -> Vec<Message> {
    let chunks = elements.chunks(CHUNK);
    chunks
        .map(|chunk| {
            object(table, message, flags, |a| {
                a.text(2, map.name()).nested(3, |list| {
                    for element in chunk {
                        list.nested(LIST_ELEMENT, |e| one_element(e, element));
                    }
                });
            })
        })
        .collect()
}

fn one_element(attributes: &mut Attributes, element: &Element) {
    let pair = |address: IpAddr, port: u16| {
        let mut bytes = address_bytes(address);
        bytes.extend(port.to_be_bytes());
        bytes.extend([0, 0]);
        bytes
    };
    let key = match element.address {
        Some(address) => pair(address, element.port),
        None => element.port.to_be_bytes().to_vec(),
    };
    let target = pair(element.target, element.target_port);
    attributes
        .nested(1, |k| {
            k.bytes(DATA_VALUE, &key);
        })
        .nested(2, |d| {
            d.bytes(DATA_VALUE, &target);
        });
}

fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn encode(list: &mut Attributes, expression: &Expression) {
    match expression {
        Expression::Family(family) => {
            meta(list, libc::NFT_META_NFPROTO);
            equal(list, &[family_number(*family)]);
        }
        Expression::Protocol(protocol) => {
            meta(list, libc::NFT_META_L4PROTO);
            equal(list, &[protocol_number(*protocol)]);
        }
        Expression::From(link) => {
            compare_link(list, libc::NFT_META_IIFNAME, link, libc::NFT_CMP_EQ);
        }
        Expression::NotFrom(link) => {
            compare_link(list, libc::NFT_META_IIFNAME, link, libc::NFT_CMP_NEQ);
        }
        Expression::To(link) => compare_link(list, libc::NFT_META_OIFNAME, link, libc::NFT_CMP_EQ),
        Expression::NotTo(link) => {
            compare_link(list, libc::NFT_META_OIFNAME, link, libc::NFT_CMP_NEQ);
        }
        Expression::Source { network, mask } => {
            in_network(list, if network.is_ipv4() { 12 } else { 8 }, *network, *mask);
        }
        Expression::Destination { network, mask } => {
            in_network(list, if network.is_ipv4() { 16 } else { 24 }, *network, *mask);
        }
        Expression::Port(port) => {
            destination_port(list, REG_1);
            equal(list, &port.to_be_bytes());
        }
        Expression::Local => {
            // Result 3: the address type; flag 2: of the destination. Type 2 is RTN_LOCAL.
            named(list, "fib", |d| {
                d.be32(1, REG_1).be32(2, 3).be32(3, 2);
            });
            equal(list, &2_u32.to_ne_bytes());
        }
        // Bit 5 of the status is IPS_DST_NAT; bits 1 and 2 of the state are established and related.
        Expression::Redirected => connection_has(list, libc::NFT_CT_STATUS, 1 << 5),
        Expression::Established => connection_has(list, libc::NFT_CT_STATE, 1 << 1 | 1 << 2),
        Expression::Redirect(map) => redirect(list, *map),
        Expression::Masquerade => named(list, "masq", |_| ()),
        Expression::Count(name) => named(list, "objref", |d| {
            d.be32(1, COUNTER_OBJECT).text(2, name);
        }),
        Expression::Accept => verdict(list, libc::NF_ACCEPT),
        Expression::Drop => verdict(list, libc::NF_DROP),
        Expression::Return => verdict(list, libc::NFT_RETURN),
    }
}

fn named(list: &mut Attributes, name: &str, fill: impl FnOnce(&mut Attributes)) {
    list.nested(LIST_ELEMENT, |e| {
        e.text(1, name).nested(2, fill);
    });
}

fn meta(list: &mut Attributes, key: i32) {
    named(list, "meta", |d| {
        d.be32(1, REG_1).be32(2, key.cast_unsigned());
    });
}

fn compare(list: &mut Attributes, operator: i32, value: &[u8]) {
    named(list, "cmp", |d| {
        d.be32(1, REG_1).be32(2, operator.cast_unsigned()).nested(3, |v| {
            v.bytes(DATA_VALUE, value);
        });
    });
}

fn equal(list: &mut Attributes, value: &[u8]) {
    compare(list, libc::NFT_CMP_EQ, value);
}

/// Link names are compared with all 16 bytes that the kernel keeps.
fn compare_link(list: &mut Attributes, key: i32, link: &str, operator: i32) {
    let mut name = [0; 16];
    for (to, from) in name[..15].iter_mut().zip(link.bytes()) {
        *to = from;
    }
    meta(list, key);
    compare(list, operator, &name);
}

/// `base` 1 is the network header, 2 the transport header.
fn payload(list: &mut Attributes, register: u32, base: u32, offset: u32, length: u32) {
    named(list, "payload", |d| {
        d.be32(1, register).be32(2, base).be32(3, offset).be32(4, length);
    });
}

fn destination_port(list: &mut Attributes, register: u32) {
    payload(list, register, 2, 2, 2);
}

fn mask(list: &mut Attributes, mask: &[u8]) {
    let length = u32::try_from(mask.len()).expect("at most an IPv6 address");
    named(list, "bitwise", |d| {
        d.be32(1, REG_1).be32(2, REG_1).be32(3, length);
        d.nested(4, |v| {
            v.bytes(DATA_VALUE, mask);
        });
        d.nested(5, |v| {
            v.bytes(DATA_VALUE, &vec![0; mask.len()]);
        });
    });
}

fn in_network(list: &mut Attributes, offset: u32, network: IpAddr, bits: IpAddr) {
    payload(list, REG_1, 1, offset, if network.is_ipv4() { 4 } else { 16 });
    let bits = address_bytes(bits);
    if bits.iter().any(|byte| *byte != 0xff) {
        mask(list, &bits);
    }
    equal(list, &address_bytes(network));
}

fn connection_has(list: &mut Attributes, key: i32, bits: u32) {
    named(list, "ct", |d| {
        d.be32(1, REG_1).be32(2, key.cast_unsigned());
    });
    mask(list, &bits.to_ne_bytes());
    compare(list, libc::NFT_CMP_NEQ, &0_u32.to_ne_bytes());
}

fn redirect(list: &mut Attributes, map: Map) {
    let (offset, length, after_address) = match map.family {
        Family::V4 => (16, 4, REG32_01),
        Family::V6 => (24, 16, REG32_04),
    };
    if map.by_address {
        payload(list, REG_1, 1, offset, length);
        destination_port(list, after_address);
    } else {
        destination_port(list, REG_1);
    }
    named(list, "lookup", |d| {
        d.text(1, map.name()).be32(2, REG_1).be32(3, REG_1);
    });
    // Type 1 is a change of destination. The map's value lies in the registers as address, then port.
    let family = u32::from(family_number(map.family));
    named(list, "nat", |d| {
        d.be32(1, 1).be32(2, family).be32(3, REG_1).be32(5, after_address);
    });
}

fn verdict(list: &mut Attributes, code: i32) {
    named(list, "immediate", |d| {
        d.be32(1, REG_VERDICT).nested(2, |v| {
            v.nested(DATA_VERDICT, |c| {
                c.be32(VERDICT_CODE, code.cast_unsigned());
            });
        });
    });
}

fn family_number(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}
