//! ◇ Forgetting UDP flows whose redirection has changed.
//!
//! The kernel decides where a flow goes at its first datagram and remembers it as long as datagrams keep coming: a
//! client that began before the port was published, or whose allocation was replaced, would talk to nobody for
//! ever. TCP needs none of this, as its connections end.

use std::collections::BTreeSet;
use std::io;

use super::netlink::Netlink;
use super::netlink::wire::{Attributes, Message, attributes, half};

const SUBSYSTEM: u16 = half(libc::NFNL_SUBSYS_CTNETLINK) << 8;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;

// `CTA_*` of linux/netfilter/nfnetlink_conntrack.h.
const TUPLE_ORIGINAL: u16 = 1;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
const TUPLE_PROTO: u16 = 2;
const PROTO_NUMBER: u16 = 1;
const PROTO_DESTINATION: u16 = 3;
const FILTER_ORIGINAL: u16 = 1;
const FILTER_PROTO_NUMBER: u32 = 1 << 3;

const UDP: u8 = 17;

/// A flow as the kernel names it.
#[derive(Debug)]
struct Flow {
    family: u8,
    original: Vec<u8>,
    zone: Option<Vec<u8>>,
}

/// Forgets every UDP flow that was sent to one of `ports`.
pub(crate) fn forget_udp(netlink: &mut Netlink, ports: &BTreeSet<u16>) -> io::Result<()> {
    for family in [libc::AF_INET, libc::AF_INET6] {
        let family = half(family).to_le_bytes()[0];
        let mut flows = Vec::new();
        netlink.dump(all_udp(family), |reply| flows.extend(flow_to(ports, family, reply.body)))?;
        for flow in flows {
            match netlink.request(flow.delete()) {
                // It ended by itself.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                done => done?,
            }
        }
    }
    Ok(())
}

/// Kernels before 5.8 do not know the filter and answer with all flows, which costs time and nothing else.
fn all_udp(family: u8) -> Message {
    let mut wanted = Attributes::default();
    wanted.nested(TUPLE_ORIGINAL, |tuple| {
        tuple.nested(TUPLE_PROTO, |protocol| {
            protocol.bytes(PROTO_NUMBER, &[UDP]);
        });
    });
    wanted.nested(FILTER, |filter| {
        filter.u32(FILTER_ORIGINAL, FILTER_PROTO_NUMBER);
    });
    Message::new(GET, 0, &[family, 0, 0, 0], &wanted)
}

fn flow_to(ports: &BTreeSet<u16>, family: u8, body: &[u8]) -> Option<Flow> {
    let find = |kind: u16| attributes(body.get(4..)?).find(|(k, _)| *k == kind).map(|(_, v)| v);
    let original = find(TUPLE_ORIGINAL)?;
    let (_, protocol) = attributes(original).find(|(kind, _)| *kind == TUPLE_PROTO)?;
    let part = |kind: u16| attributes(protocol).find(|(k, _)| *k == kind).map(|(_, v)| v);
    let port = part(PROTO_DESTINATION)?.first_chunk().map(|c| u16::from_be_bytes(*c))?;
    let wanted = part(PROTO_NUMBER)? == [UDP] && ports.contains(&port);
    wanted.then(|| Flow {
        family,
        original: original.to_vec(),
        zone: find(ZONE).map(<[u8]>::to_vec),
    })
}

impl Flow {
    /// Names the flow in full: a delete without a name would forget everybody's.
    fn delete(&self) -> Message {
        let mut named = Attributes::default();
        named.nested_after(TUPLE_ORIGINAL, &self.original, |_| ());
        if let Some(zone) = &self.zone {
            named.bytes(ZONE, zone);
        }
        Message::new(DELETE, 0, &[self.family, 0, 0, 0], &named)
    }
}
