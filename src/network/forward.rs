//! ◇ Whether packets can cross this machine, found out by sending one.
//!
//! Docker and ufw set the policy of their own forward chain to drop, and no chain of ours can overrule that: the
//! kernel asks every chain. Reading others' tables to find out would mean to understand them. So a probe is sent
//! from a namespace to an address that belongs to nobody; our table counts it before and after the others' chains and drops
//! it before it leaves. Seen but not passed means that somebody drops.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use super::nat::Nat;
use super::netns;
use super::rules::{PROBE_ADDRESS, PROBE_PASSED, PROBE_PORT, PROBE_SEEN, Reach};

/// When to look at the counters, in milliseconds after sending. Mostly the second look has the answer; the others are for a
/// packet that got lost, which is then sent again.
const LOOKS_MS: [u64; 8] = [0, 2, 20, 100, 300, 1100, 1200, 2300];

/// A probe that was sent.
#[derive(Debug)]
pub(crate) struct Probe {
    namespace: File,
    sent: Instant,
    before: Counts,
    looks: usize,
    /// The previous look saw it at the forward hook.
    seen: bool,
}

/// Packets counted before and after others' chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    seen: u64,
    passed: u64,
}

/// What a look at a probe finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Look again when it is due.
    Later,
    /// It did not get as far as the forward hook, for example because the machine has no default route.
    Unknown,
    /// The answer.
    Found(Reach),
}

impl Probe {
    /// Sends a probe from `namespace`, which must be attached to the bridge.
    pub(crate) fn send(nat: &mut Nat, namespace: File, now: Instant) -> io::Result<Self> {
        let before = Counts::read(nat)?;
        send_from(&namespace)?;
        Ok(Self { namespace, sent: now, before, looks: 0, seen: false })
    }

    /// When to look.
    pub(crate) fn due(&self) -> Instant {
        let last = LOOKS_MS.len() - 1;
        self.sent + Duration::from_millis(LOOKS_MS[self.looks.min(last)])
    }

    /// Looks.
    pub(crate) fn look(&mut self, nat: &mut Nat) -> Look {
        // Without counters (the table was just deleted) nothing is known.
        let Ok(now) = Counts::read(nat) else { return Look::Unknown };
        let found = self.judge(now);
        if found == Look::Later
            && !self.seen
            && self.looks > 1
            && send_from(&self.namespace).is_err()
        {
            return Look::Unknown;
        }
        found
    }

    fn judge(&mut self, now: Counts) -> Look {
        if now.passed > self.before.passed {
            return Look::Found(Reach::Forwarded);
        }
        // Both hooks are passed in one go, so what did not pass between two looks never will.
        if self.seen {
            return Look::Found(Reach::Proxied);
        }
        self.seen = now.seen > self.before.seen;
        self.looks += 1;
        if self.looks < LOOKS_MS.len() { Look::Later } else { Look::Unknown }
    }
}

fn send_from(namespace: &File) -> io::Result<()> {
    netns::inside(namespace.try_clone()?, || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.send_to(&[], (PROBE_ADDRESS, PROBE_PORT)).map(drop)
    })
}

impl Counts {
    fn read(nat: &mut Nat) -> io::Result<Self> {
        Ok(Self { seen: nat.count(PROBE_SEEN)?, passed: nat.count(PROBE_PASSED)? })
    }
}

/// What to tell an operator whose firewall drops what our bridge sends.
pub(crate) fn advice(bridge: &str) -> String {
    format!(
        "another firewall on this machine drops forwarded packets (Docker and ufw do): tasks in bridge mode cannot reach \
         the outside, and published ports are served by a proxy that hides client addresses. With Docker: \
         `iptables -I DOCKER-USER -i {bridge} -j ACCEPT; iptables -I DOCKER-USER -o {bridge} -j ACCEPT`. With ufw: \
         `ufw route allow in on {bridge}; ufw route allow out on {bridge}`. Docker leaves forwarding alone when \
         it is on before Docker starts, so starting stead first (or `net.ipv4.ip_forward=1` in /etc/sysctl.d) avoids it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;

    fn probe() -> Probe {
        let before = Counts { seen: 3, passed: 2 };
        let namespace = File::open("/proc/self/ns/net").unwrap();
        Probe { namespace, sent: clock::monotonic(), before, looks: 0, seen: false }
    }

    #[test]
    fn what_passed_was_forwarded() {
        assert_eq!(probe().judge(Counts { seen: 4, passed: 3 }), Look::Found(Reach::Forwarded));
    }

    #[test]
    fn what_was_seen_and_did_not_pass_by_the_next_look_was_dropped() {
        let mut probe = probe();
        assert_eq!(probe.judge(Counts { seen: 4, passed: 2 }), Look::Later);
        assert_eq!(probe.judge(Counts { seen: 4, passed: 2 }), Look::Found(Reach::Proxied));
    }

    #[test]
    fn what_never_came_says_nothing() {
        let mut probe = probe();
        for _ in 1..LOOKS_MS.len() {
            assert_eq!(probe.judge(Counts { seen: 3, passed: 2 }), Look::Later);
        }
        assert_eq!(probe.judge(Counts { seen: 3, passed: 2 }), Look::Unknown);
    }
}
