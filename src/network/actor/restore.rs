//! ◇ Taking over from an agent that ended.

use super::super::error::NetworkError;
use super::super::link::Link;
use super::super::request::{Attachment, NetworkPlan};
use super::super::{Restored, netns, rules};
use super::{Actor, Alloc};

impl Actor {
    /// Takes over what an earlier agent made for `plans`, and removes what nobody wants.
    pub(in super::super) fn restore(
        &mut self,
        plans: Vec<NetworkPlan>,
    ) -> Result<Restored, NetworkError> {
        let mut restored = Restored::default();
        for plan in plans {
            let id = plan.alloc_id.clone();
            if self.is_there(&plan) && self.leases.take(&plan) {
                restored.adopted.push(id.clone());
                self.allocs.insert(id, Alloc { plan, ports: None });
            } else {
                restored.missing.push(id);
            }
        }
        let bridged = self.allocs.values().any(|alloc| alloc.plan.address().is_some());
        // Another agent's network is no leftover.
        if self.may_clean() {
            self.remove_leftovers(&mut restored);
            if !bridged && let Err(source) = self.nat.delete() {
                let table = rules::table_name(&self.config.bridge);
                let action = "delete an old one";
                restored.failures.push(NetworkError::Rules { table, action, source });
            }
        }
        if bridged {
            self.ensure_bridge()?;
            self.hold_again(&mut restored);
            self.probe_reach();
        }
        Ok(restored)
    }

    /// Whether what looks like ours is ours, and can be removed.
    pub(super) fn may_clean(&mut self) -> bool {
        nix::unistd::geteuid().is_root() && self.claim_bridge().is_ok()
    }

    pub(super) fn is_there(&mut self, plan: &NetworkPlan) -> bool {
        let namespace = plan.netns().is_none_or(|name| netns::open(&self.netns_path(name)).is_ok());
        match &plan.attachment {
            Attachment::Host | Attachment::None { .. } => namespace,
            Attachment::Bridge { veth, .. } => {
                namespace && self.links.find(veth).is_ok_and(|link| link.is_some())
            }
        }
    }

    pub(super) fn remove_leftovers(&mut self, restored: &mut Restored) {
        let directory = self.config.netns_dir();
        let names = netns::names(&directory).unwrap_or_else(|source| {
            let name = directory.display().to_string();
            restored.failures.push(NetworkError::Namespace { name, action: "list", source });
            Vec::new()
        });
        for name in names {
            if !self.allocs.values().any(|alloc| alloc.plan.netns() == Some(&name)) {
                match self.delete_namespace(&name) {
                    Ok(()) => restored.removed.push(name),
                    Err(error) => restored.failures.push(error),
                }
            }
        }
        for name in self.unwanted_links() {
            match self.links.delete(&name) {
                Ok(()) => restored.removed.push(name),
                Err(source) => {
                    let action = "delete a left one";
                    restored.failures.push(NetworkError::Link { name, action, source });
                }
            }
        }
    }

    /// Ports of our bridge that have our kind of name and no allocation.
    fn unwanted_links(&mut self) -> Vec<String> {
        let links = self.links.all().unwrap_or_default();
        let bridge = links.iter().find(|link| link.name == self.config.bridge).map(|l| l.index);
        let wanted = |link: &Link| {
            self.allocs.values().any(|alloc| {
                matches!(&alloc.plan.attachment, Attachment::Bridge { veth, .. } if *veth == link.name)
            })
        };
        let ours = |link: &&Link| link.master == bridge && link.name.starts_with("vs");
        let mut found = Vec::new();
        if bridge.is_some() {
            found.extend(links.iter().filter(ours).filter(|l| !wanted(l)).map(|l| l.name.clone()));
        }
        found
    }

    /// While no agent ran, somebody may have bound a port. The kernel still redirects what comes from elsewhere, so the allocation goes
    /// on; it is only told.
    pub(super) fn hold_again(&mut self, restored: &mut Restored) {
        let ids: Vec<String> = self.allocs.keys().cloned().collect();
        for id in ids {
            let Some(plan) = self.allocs.get(&id).map(|alloc| alloc.plan.clone()) else { continue };
            if plan.address().is_none() {
                continue;
            }
            match self.bind(&plan).and_then(|held| self.serve_ports(&plan, held)) {
                Ok(tasks) => {
                    if let Some(alloc) = self.allocs.get_mut(&id) {
                        alloc.ports = Some(tasks);
                    }
                }
                Err(error) => restored.unheld.push((id, error)),
            }
        }
    }
}
