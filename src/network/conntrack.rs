//! ◇ Forgetting UDP flows whose redirection has changed.
//!
//! The kernel decides where a flow goes at its first datagram and remembers it as long as datagrams keep coming: a
//! client that began before the port was published, or whose allocation was replaced, would talk to nobody for
//! ever. TCP needs none of this, as its connections end.
//!
//! The kernel finds flows by walking through a table of up to 262,144 rows, which takes some 15 ms: so it is done on a thread
//! beside the owner's, once for all ports that changed meanwhile.

use std::collections::BTreeSet;
use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::netlink::wire::{Attributes, Message, attributes, half};
use super::netlink::{Netlink, Protocol};

/// Several setups and teardowns often come together.
const AFTER: Duration = Duration::from_millis(20);

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

/// Ports whose redirection changed, and the walk that forgets their flows.
#[derive(Debug, Default)]
pub(crate) struct Redirected {
    ports: BTreeSet<u16>,
    due: Option<Instant>,
    walk: Option<JoinHandle<()>>,
}

impl Redirected {
    /// Notes that datagrams to `ports` go another way from now on.
    pub(crate) fn note(&mut self, ports: impl Iterator<Item = u16>, now: Instant) {
        self.ports.extend(ports);
        if !self.ports.is_empty() && self.due.is_none() {
            self.due = Some(now + AFTER);
        }
    }

    /// When to begin a walk, if at all.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Begins a walk in the calling thread's network namespace, when one is due and none is under way.
    pub(crate) fn begin(&mut self, now: Instant) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        if self.walk.as_ref().is_some_and(|walk| !walk.is_finished()) {
            self.due = Some(now + AFTER);
            return;
        }
        self.due = None;
        let ports = std::mem::take(&mut self.ports);
        let walk = move || {
            if let Err(error) = forget_udp(&ports) {
                tracing::debug!(%error, "network: old UDP flows could not be forgotten");
            }
        };
        // Without a thread there are worse troubles than an old flow.
        self.walk = std::thread::Builder::new().name("conntrack".to_owned()).spawn(walk).ok();
    }

    /// Waits for the walk under way.
    pub(crate) fn finish(self) {
        if let Some(walk) = self.walk {
            // A panic in there has been printed, and nothing depends on it.
            walk.join().unwrap_or_default();
        }
    }
}

/// Forgets every UDP flow that was sent to one of `ports`.
fn forget_udp(ports: &BTreeSet<u16>) -> io::Result<()> {
    let mut netlink = Netlink::open(Protocol::Netfilter)?;
    // The kernel does not filter both families in one walk.
    for family in [libc::AF_INET, libc::AF_INET6] {
        let mut flows = Vec::new();
        let ask = all_udp(half(family).to_le_bytes()[0]);
        netlink.dump(ask, |reply| flows.extend(flow_to(ports, reply.body)))?;
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

fn flow_to(ports: &BTreeSet<u16>, body: &[u8]) -> Option<Flow> {
    let find = |kind: u16| attributes(body.get(4..)?).find(|(k, _)| *k == kind).map(|(_, v)| v);
    let original = find(TUPLE_ORIGINAL)?;
    let (_, protocol) = attributes(original).find(|(kind, _)| *kind == TUPLE_PROTO)?;
    let part = |kind: u16| attributes(protocol).find(|(k, _)| *k == kind).map(|(_, v)| v);
    let port = part(PROTO_DESTINATION)?.first_chunk().map(|c| u16::from_be_bytes(*c))?;
    let wanted = part(PROTO_NUMBER)? == [UDP] && ports.contains(&port);
    let (family, zone) = (*body.first()?, find(ZONE).map(<[u8]>::to_vec));
    wanted.then(|| Flow { family, original: original.to_vec(), zone })
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
