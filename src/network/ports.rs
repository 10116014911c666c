//! ◆ Which allocation has which port, so that two never publish the same.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::request::{NetworkPlan, Protocol, Scope};

#[derive(Debug, Clone)]
struct Claim {
    scope: Scope,
    alloc_id: String,
}

/// The ports of all plans of this node. Keyed by transport and port: the same number on two addresses, or once
/// for TCP and once for UDP, is no conflict.
#[derive(Debug, Clone, Default)]
pub struct Ports {
    claims: BTreeMap<(Protocol, u16), Vec<Claim>>,
}

impl Ports {
    /// The allocation that has `port` on an address of `scope`.
    pub fn owner(&self, protocol: Protocol, port: u16, scope: &Scope) -> Option<&str> {
        self.claims
            .get(&(protocol, port))?
            .iter()
            .find(|claim| overlap(&claim.scope, scope))
            .map(|claim| claim.alloc_id.as_str())
    }

    /// Records every port of `plan`.
    pub fn claim(&mut self, plan: &NetworkPlan) {
        for port in &plan.ports {
            for protocol in port.protocols.each() {
                let claim = Claim { scope: port.scope.clone(), alloc_id: plan.alloc_id.clone() };
                self.claims.entry((*protocol, port.host_port)).or_default().push(claim);
            }
        }
    }

    /// Forgets every port of the allocation.
    pub fn release(&mut self, alloc_id: &str) {
        self.claims.retain(|_, claims| {
            claims.retain(|claim| claim.alloc_id != alloc_id);
            !claims.is_empty()
        });
    }
}

fn overlap(one: &Scope, other: &Scope) -> bool {
    match (one, other) {
        (Scope::Every, _) | (_, Scope::Every) => true,
        (Scope::At(one), Scope::At(other)) => one.iter().any(|a: &IpAddr| other.contains(a)),
    }
}
