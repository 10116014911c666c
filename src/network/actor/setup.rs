//! ◇ Making the network of one allocation, all or nothing.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd as _;

use super::super::error::NetworkError;
use super::super::hold::{self, Held};
use super::super::link::{Link, Links, Veth};
use super::super::plan;
use super::super::request::{Address4, Address6, Attachment, NetworkPlan, NetworkRequest};
use super::super::{NetworkStatus, holder, netns, proxy, rules};
use super::{Actor, Alloc, INTERFACE, log};
use crate::sys::tasks::Tasks;

impl Actor {
    pub(super) fn set_up(
        &mut self,
        request: &NetworkRequest,
    ) -> Result<NetworkStatus, NetworkError> {
        if let Some(alloc) = self.allocs.get(&request.alloc_id) {
            return Ok(self.status(&alloc.plan));
        }
        let plan =
            plan::plan(request, &self.leases, &self.config.settings).map_err(NetworkError::Plan)?;
        let ports = match &plan.attachment {
            Attachment::Host => {
                // The tasks will bind them; all that can be done is to find out now that they could not.
                drop(self.bind(&plan)?);
                None
            }
            Attachment::None { netns } => {
                drop(self.make_namespace(netns)?);
                None
            }
            Attachment::Bridge { .. } => Some(self.set_up_bridge(&plan)?),
        };
        let leased = self.leases.take(&plan);
        debug_assert!(leased, "the plan was made from these leases");
        self.note_redirected(&plan);
        let status = self.status(&plan);
        self.allocs.insert(plan.alloc_id.clone(), Alloc { plan, ports });
        Ok(status)
    }

    pub(super) fn set_up_bridge(&mut self, plan: &NetworkPlan) -> Result<Tasks, NetworkError> {
        let bridge = self.ensure_bridge()?;
        let held = self.bind(plan)?;
        let Some(netns) = plan.netns() else { return Ok(self.port_tasks()) };
        let made = self.make_namespace(netns)?;
        let done = self.attach(plan, &bridge, made).and_then(|()| {
            let elements = rules::elements(plan);
            self.nat.add(&elements).or_else(|_| {
                // The table may be gone; what it should be is known.
                self.replace_table(Some(plan))
            })
        });
        let served = done.and_then(|()| self.serve_ports(plan, held));
        if served.is_err() {
            for failure in self.unmake(plan) {
                log(&failure);
            }
        }
        served
    }

    pub(super) fn bind(&self, plan: &NetworkPlan) -> Result<Vec<Held>, NetworkError> {
        hold::bind_all(plan, self.with_v6).map_err(|refused| {
            let (label, port) = (refused.port.label, refused.port.host_port);
            let (protocol, address) = (refused.protocol, refused.address);
            if refused.source.kind() != io::ErrorKind::AddrInUse {
                return NetworkError::Bind {
                    label,
                    port,
                    protocol,
                    address,
                    source: refused.source,
                };
            }
            let holder = holder::find(protocol, address, port);
            NetworkError::PortHeld { label, port, protocol, address, holder }
        })
    }

    pub(super) fn make_namespace(&self, name: &str) -> Result<netns::Made, NetworkError> {
        let path = self.netns_path(name);
        let failed =
            |source| NetworkError::Namespace { name: name.to_owned(), action: "create", source };
        match netns::create(&path) {
            // Left behind by an agent that ended between making and journaling it; nobody lives in it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                netns::delete(&path).and_then(|()| netns::create(&path)).map_err(failed)
            }
            made => made.map_err(failed),
        }
    }

    pub(super) fn attach(
        &mut self,
        plan: &NetworkPlan,
        bridge: &Link,
        made: netns::Made,
    ) -> Result<(), NetworkError> {
        let Attachment::Bridge { veth, v4, v6, .. } = &plan.attachment else { return Ok(()) };
        let wanted = Veth {
            name: veth,
            bridge: bridge.index,
            mtu: bridge.mtu,
            peer: INTERFACE,
            namespace: made.namespace.as_fd(),
        };
        let failed =
            |action| move |source| NetworkError::Link { name: veth.clone(), action, source };
        if let Err(error) = self.links.add_veth(&wanted) {
            // A link of this name is left of an agent that was killed; its namespace is gone.
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(failed("create")(error));
            }
            let again = self.links.delete(veth).and_then(|()| self.links.add_veth(&wanted));
            again.map_err(failed("create"))?;
        }
        self.links.hairpin(veth).map_err(failed("allow hairpin"))?;
        configure(made.links, v4, v6.as_ref()).map_err(failed("configure its peer"))
    }

    pub(super) fn serve_ports(
        &self,
        plan: &NetworkPlan,
        held: Vec<Held>,
    ) -> Result<Tasks, NetworkError> {
        let tasks = self.port_tasks();
        let v6 = plan.address_v6().map(IpAddr::V6);
        let targets: Vec<IpAddr> = plan.address().map(IpAddr::V4).into_iter().chain(v6).collect();
        for held in held {
            let failed = |source| NetworkError::Open { action: "serve a held port", source };
            proxy::serve(held, &targets, &tasks).map_err(failed)?;
        }
        Ok(tasks)
    }

    pub(super) fn port_tasks(&self) -> Tasks {
        Tasks::new("published ports", &self.stop)
    }
}

/// Gives the namespace's end of the link its addresses and routes.
pub(super) fn configure(mut links: Links, v4: &Address4, v6: Option<&Address6>) -> io::Result<()> {
    let index = links.index(INTERFACE)?;
    links.up(index)?;
    links.add_address(index, v4.address.into(), v4.prefix)?;
    links.add_default_route(v4.gateway.into())?;
    if let Some(v6) = v6 {
        links.add_address(index, v6.address.into(), v6.prefix)?;
        links.add_default_route(v6.gateway.into())?;
    }
    Ok(())
}
