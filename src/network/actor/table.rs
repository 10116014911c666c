//! ◇ Keeping the bridge and the one table as they should be.

use std::sync::Weak;
use std::time::{Duration, Instant};

use super::super::claim::{self, Claim};
use super::super::error::NetworkError;
use super::super::forward::{self, Look, Probe};
use super::super::link::Link;
use super::super::nat::Foreign;
use super::super::request::{NetworkPlan, PlannedPort, Protocol};
use super::super::rules::{self, Reach, TableInput};
use super::super::{netns, watcher};
use super::{Actor, bridge, log};
use crate::sys::clock;
use crate::sys::tasks::Tasks;

/// Setups within this time of a probe do without one of their own.
const PROBE_AGAIN: Duration = Duration::from_secs(1);

impl Actor {
    /// The bridge, with the table in force and watched.
    pub(super) fn ensure_bridge(&mut self) -> Result<Link, NetworkError> {
        self.claim_bridge()?;
        let Self { config, links, sysctls, .. } = self;
        let link = bridge(config).ensure(self.bridge.as_ref(), links, sysctls)?;
        self.bridge = Some(link.clone());
        if self.watching.is_none() {
            self.replace_table(None)?;
            let tasks = Tasks::new("nftables watcher", &self.stop);
            let table = rules::table_name(&self.config.bridge);
            let failed = |source| NetworkError::Open { action: "watch nftables", source };
            let port = self.nat.port().map_err(failed)?;
            let own = watcher::Own { port, table };
            watcher::start(&tasks, own, Weak::clone(&self.mailbox)).map_err(failed)?;
            self.watching = Some(tasks);
        }
        Ok(link)
    }

    /// Makes the table what the plans in force, and `one_more`, say.
    pub(super) fn replace_table(
        &mut self,
        one_more: Option<&NetworkPlan>,
    ) -> Result<(), NetworkError> {
        let table = rules::table(&TableInput {
            bridge: &self.config.bridge,
            subnet_v4: self.config.settings.subnet_v4,
            subnet_v6: self.config.settings.subnet_v6,
            reach: *self.reach.borrow(),
        });
        let plans = self.allocs.values().map(|alloc| &alloc.plan).chain(one_more);
        self.nat.replace(&table, plans).map_err(|source| NetworkError::Rules {
            table: rules::table_name(&self.config.bridge),
            action: "replace",
            source,
        })
    }

    /// Becomes the owner of the bridge, unless it is already.
    pub(super) fn claim_bridge(&mut self) -> Result<(), NetworkError> {
        let name = &self.config.bridge;
        if self.claim.is_none() {
            let failed = |source| NetworkError::Open { action: "claim the bridge", source };
            match claim::claim(name).map_err(failed)? {
                Claim::Theirs { pid } => {
                    return Err(NetworkError::Owned { name: name.clone(), pid });
                }
                claim @ (Claim::Ours(_) | Claim::Ignored) => self.claim = Some(claim),
            }
        }
        Ok(())
    }

    /// Notes that datagrams to the ports of `plan` go another way from now on.
    pub(super) fn note_redirected(&mut self, plan: &NetworkPlan) {
        if plan.address().is_some() {
            let udp = |port: &&PlannedPort| port.protocols.each().contains(&Protocol::Udp);
            let ports = plan.ports.iter().filter(udp).map(|port| port.host_port);
            self.redirected.note(ports, clock::monotonic());
        }
    }

    pub(super) fn changed(&mut self, foreign: Foreign) {
        if self.watching.is_none() {
            return;
        }
        if foreign.ours {
            let table = rules::table_name(&self.config.bridge);
            tracing::warn!(%table, "another program changed our nftables table; it is put back");
            self.replace_table(None).unwrap_or_else(|error| log(&error));
        }
        if foreign.any {
            self.probe_reach();
        }
    }

    /// Not every setup needs a probe of its own when many come together.
    pub(super) fn probe_sometimes(&mut self) {
        let recent = |at: Instant| clock::monotonic().saturating_duration_since(at) < PROBE_AGAIN;
        if !self.probed_at.is_some_and(recent) {
            self.probe_reach();
        }
    }

    /// Begins to find out whether packets are forwarded. What is found is seen by [`Self::look_at_probe`].
    pub(super) fn probe_reach(&mut self) {
        let mut names = self.allocs.values().filter(|a| a.plan.address().is_some());
        let Some(name) = names.next().and_then(|alloc| alloc.plan.netns()) else { return };
        let now = clock::monotonic();
        let sent = netns::open(&self.netns_path(name))
            .and_then(|namespace| Probe::send(&mut self.nat, namespace, now));
        self.probed_at = Some(now);
        match sent {
            Ok(probe) => self.probe = Some(probe),
            Err(error) => tracing::debug!(%error, "network: forwarding could not be probed"),
        }
    }

    /// Looks how far the probe came, and changes the table when that says something new.
    pub(super) fn look_at_probe(&mut self, now: Instant) {
        let Some(probe) = self.probe.as_mut().filter(|probe| probe.due() <= now) else { return };
        let found = match probe.look(&mut self.nat) {
            Look::Later => return,
            Look::Unknown => None,
            Look::Found(reach) => Some(reach),
        };
        self.probe = None;
        let Some(found) = found else { return };
        if !self.reach.send_if_modified(|reach| std::mem::replace(reach, found) != found) {
            return;
        }
        match found {
            Reach::Forwarded => tracing::info!("network: packets are forwarded again"),
            Reach::Proxied => tracing::warn!("network: {}", forward::advice(&self.config.bridge)),
        }
        self.replace_table(None).unwrap_or_else(|error| log(&error));
    }
}
