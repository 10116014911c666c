//! ◇ Removing: never stops at a failure, needs no setup to have been there, reports everything.

use std::time::Instant;

use super::super::error::NetworkError;
use super::super::request::{Attachment, NetworkPlan};
use super::super::{netns, plan, rules};
use super::{Actor, Alloc, CLOSE, LINGER, bridge, log};
use crate::sys::clock;

impl Actor {
    pub(super) fn tear_down(&mut self, alloc_id: &str) -> Result<(), NetworkError> {
        let failures = match self.allocs.remove(alloc_id) {
            Some(alloc) => {
                let Alloc { plan, ports } = alloc;
                if let Some(ports) = ports {
                    self.runtime.block_on(ports.shutdown(CLOSE));
                }
                let failures = self.unmake(&plan);
                if failures.is_empty() {
                    self.leases.release(&plan);
                } else {
                    // It keeps its leases until somebody asks again and it works.
                    self.allocs.insert(plan.alloc_id.clone(), Alloc { plan, ports: None });
                }
                failures
            }
            None => self.unmake_unknown(alloc_id),
        };
        if failures.is_empty() {
            return Ok(());
        }
        Err(NetworkError::Teardown { alloc_id: alloc_id.to_owned(), failures })
    }

    /// Removes what [`Self::set_up`] made, except leases and sockets.
    pub(super) fn unmake(&mut self, plan: &NetworkPlan) -> Vec<NetworkError> {
        let mut failures = Vec::new();
        let elements = rules::elements(plan);
        if self.nat.remove(&elements).is_err() {
            // Elements that are not there cannot be deleted; what should be there is known.
            failures.extend(self.replace_table(None).err());
        }
        if let Some(name) = plan.netns() {
            failures.extend(self.delete_namespace(name).err());
        }
        self.note_redirected(plan);
        if let Attachment::Bridge { veth, .. } = &plan.attachment {
            self.lingering.push((clock::monotonic() + LINGER, veth.clone()));
        }
        failures
    }

    /// An allocation we know nothing of may still have left something.
    pub(super) fn unmake_unknown(&mut self, alloc_id: &str) -> Vec<NetworkError> {
        let Ok(name) = plan::checked_id(alloc_id) else { return Vec::new() };
        let mut failures = Vec::new();
        failures.extend(self.delete_namespace(&name).err());
        let veth = plan::veth_name(&name);
        if let Err(source) = self.links.delete(&veth) {
            failures.push(NetworkError::Link { name: veth, action: "delete", source });
        }
        failures
    }

    pub(super) fn delete_namespace(&self, name: &str) -> Result<(), NetworkError> {
        netns::delete(&self.netns_path(name)).map_err(|source| NetworkError::Namespace {
            name: name.to_owned(),
            action: "delete",
            source,
        })
    }

    /// The kernel removes a namespace's links with it, some milliseconds later. When a process is stuck in there
    /// it does not, and its address would answer for ever.
    pub(super) fn remove_lingering(&mut self, now: Instant) {
        let links = &mut self.links;
        self.lingering.retain(|(due, name)| {
            if *due > now {
                return true;
            }
            if let Err(source) = links.delete(name) {
                log(&NetworkError::Link { name: name.clone(), action: "delete", source });
            }
            false
        });
    }

    pub(super) fn remove_all(&mut self) -> Result<(), NetworkError> {
        if !self.allocs.is_empty() {
            return Err(NetworkError::InUse(self.allocs.len()));
        }
        if !self.may_clean() {
            // Then nothing of it is ours.
            return Ok(());
        }
        if let Some(tasks) = self.watching.take() {
            self.runtime.block_on(tasks.shutdown(CLOSE));
        }
        self.bridge = None;
        let mut failures = Vec::new();
        for (_, name) in std::mem::take(&mut self.lingering) {
            if let Err(source) = self.links.delete(&name) {
                failures.push(NetworkError::Link { name, action: "delete", source });
            }
        }
        if let Err(source) = self.nat.delete() {
            failures.push(NetworkError::Rules {
                table: rules::table_name(&self.config.bridge),
                action: "delete",
                source,
            });
        }
        let Self { config, links, sysctls, .. } = self;
        failures.extend(bridge(config).remove(links, sysctls));
        // Only an empty directory goes.
        std::fs::remove_dir(self.config.netns_dir()).unwrap_or_default();
        if failures.is_empty() {
            return Ok(());
        }
        Err(NetworkError::Teardown { alloc_id: String::from("(none)"), failures })
    }
}
