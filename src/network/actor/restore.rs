//! ◇ Taking over from an agent that ended.

use super::super::error::NetworkError;
use super::super::link::Link;
use super::super::request::{Attachment, NetworkPlan};
use super::super::{Restored, netns};
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
        self.remove_leftovers(&mut restored)?;
        if self.allocs.values().any(|alloc| alloc.plan.address().is_some()) {
            self.ensure_bridge()?;
            self.hold_again(&mut restored);
            self.probe_reach();
        } else if let Err(error) = self.nat.delete() {
            // Without the right to, there is nothing of ours either.
            tracing::debug!(%error, "network: no old table removed");
        }
        Ok(restored)
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

    pub(super) fn remove_leftovers(&mut self, restored: &mut Restored) -> Result<(), NetworkError> {
        let directory = self.config.netns_dir();
        let failed = |source| NetworkError::Namespace {
            name: directory.display().to_string(),
            action: "list",
            source,
        };
        for name in netns::names(&directory).map_err(failed)? {
            if !self.allocs.values().any(|alloc| alloc.plan.netns() == Some(&name)) {
                self.delete_namespace(&name)?;
                restored.removed.push(name);
            }
        }
        let failed = |source| NetworkError::Link {
            name: self.config.bridge.clone(),
            action: "list its ports",
            source,
        };
        let links = self.links.all().map_err(failed)?;
        let bridge = links.iter().find(|link| link.name == self.config.bridge).map(|l| l.index);
        let wanted = |link: &Link| {
            self.allocs.values().any(|alloc| {
                matches!(&alloc.plan.attachment, Attachment::Bridge { veth, .. } if *veth == link.name)
            })
        };
        let ours = |link: &&Link| {
            bridge.is_some()
                && link.master == bridge
                && link.name.starts_with("vs")
                && !wanted(link)
        };
        let leftovers: Vec<String> = links.iter().filter(ours).map(|l| l.name.clone()).collect();
        for name in leftovers {
            let deleted = self.links.delete(&name);
            deleted.map_err(|source| NetworkError::Link {
                name: name.clone(),
                action: "delete",
                source,
            })?;
            restored.removed.push(name);
        }
        Ok(())
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
