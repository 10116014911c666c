//! ◆ Whether a node may run a group at all, whatever room it has.
//!
//! Most conditions give the same answer for all nodes of one computed class, so they are looked at once per class. Those
//! on attributes that are unique to a node "escape" the class and are looked at on each.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::constraint::{Compiled, DISTINCT_HOSTS, DISTINCT_PROPERTY, escapes_class, text};
use super::input::NodeSet;
use crate::model::{Constraint, Job, Node, TaskGroup};

/// What a node must be to run a group.
#[derive(Debug)]
pub struct Requirements {
    shared: Vec<Check>,
    escaped: Vec<Check>,
    /// By class: not looked at yet, feasible, or the first condition that is not met.
    classes: Vec<Option<Result<(), usize>>>,
}

#[derive(Debug)]
struct Check {
    label: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Constraint(Constraint),
    Drivers(Vec<String>),
    NetworkMode(String),
    HostNetwork(String),
    HostVolume { source: String, writable: bool },
}

impl Requirements {
    /// What a node must be to run `group` of `job`.
    pub fn of(job: &Job, group: &TaskGroup, nodes: &NodeSet) -> Self {
        let mut all = Vec::new();
        let mut drivers: Vec<String> = group.tasks.iter().map(|t| t.driver.clone()).collect();
        drivers.sort();
        drivers.dedup();
        all.push(Check { label: "missing drivers".to_owned(), what: What::Drivers(drivers) });
        let tasks = group.tasks.iter().flat_map(|task| &task.constraints);
        for constraint in job.constraints.iter().chain(&group.constraints).chain(tasks) {
            if constraint.operator == DISTINCT_HOSTS || constraint.operator == DISTINCT_PROPERTY {
                continue;
            }
            all.push(Check { label: text(constraint), what: What::Constraint(constraint.clone()) });
        }
        for network in &group.networks {
            if !matches!(network.mode.as_str(), "" | "host" | "none") {
                let what = What::NetworkMode(network.mode.clone());
                all.push(Check { label: "missing network".to_owned(), what });
            }
            for port in network.ports() {
                if !matches!(port.host_network.as_str(), "" | "default")
                    && !port.host_network.starts_with("${")
                {
                    let label = format!(
                        "missing host network \"{}\" for port \"{}\"",
                        port.host_network, port.label
                    );
                    let what = What::HostNetwork(port.host_network.clone());
                    all.push(Check { label, what });
                }
            }
        }
        for volume in group.volumes.values().filter(|v| v.kind == "host" || v.kind.is_empty()) {
            let what =
                What::HostVolume { source: volume.source.clone(), writable: !volume.read_only };
            all.push(Check { label: "missing compatible host volumes".to_owned(), what });
        }
        let (escaped, shared) = all.into_iter().partition(Check::escapes);
        Self { shared, escaped, classes: vec![None; nodes.classes()] }
    }

    /// Whether the node at a place of `nodes` may run the group, and if not, which condition says so.
    pub fn allow(&mut self, nodes: &NodeSet, at: u32, compiled: &mut Compiled) -> Result<(), &str> {
        let node = nodes.node(at);
        let class = nodes.class(at).map(|class| class as usize);
        let known = class.and_then(|class| self.classes.get(class).copied().flatten());
        let shared = known.unwrap_or_else(|| first_unmet(&self.shared, node, compiled));
        if let Some(slot) = class.and_then(|class| self.classes.get_mut(class)) {
            *slot = Some(shared);
        }
        shared.map_err(|unmet| self.shared[unmet].label.as_str())?;
        first_unmet(&self.escaped, node, compiled)
            .map_err(|unmet| self.escaped[unmet].label.as_str())
    }

    /// Whether a node that is not among those of the evaluation may run the group.
    pub fn allow_one(&self, node: &Node, compiled: &mut Compiled) -> bool {
        first_unmet(&self.shared, node, compiled).is_ok()
            && first_unmet(&self.escaped, node, compiled).is_ok()
    }

    /// Whether some condition must be looked at on each node.
    pub fn escapes(&self) -> bool {
        !self.escaped.is_empty()
    }

    /// The classes that were looked at, and whether they are feasible.
    pub fn classes(&self) -> impl Iterator<Item = (u32, bool)> + '_ {
        (0u32..).zip(&self.classes).filter_map(|(class, known)| Some((class, (*known)?.is_ok())))
    }
}

fn first_unmet(checks: &[Check], node: &Node, compiled: &mut Compiled) -> Result<(), usize> {
    checks.iter().position(|check| !check.holds(node, compiled)).map_or(Ok(()), Err)
}

impl Check {
    fn escapes(&self) -> bool {
        match &self.what {
            What::Constraint(constraint) => {
                escapes_class(&constraint.left) || escapes_class(&constraint.right)
            }
            What::Drivers(_)
            | What::NetworkMode(_)
            | What::HostNetwork(_)
            | What::HostVolume { .. } => false,
        }
    }

    fn holds(&self, node: &Node, compiled: &mut Compiled) -> bool {
        match &self.what {
            What::Constraint(constraint) => compiled.meets(node, constraint),
            What::Drivers(drivers) => drivers.iter().all(|driver| has_driver(node, driver)),
            What::NetworkMode(mode) => has_network_mode(node, mode),
            What::HostNetwork(name) => {
                let addresses = node.node_resources.node_networks.iter().flat_map(|n| &n.addresses);
                addresses.into_iter().any(|address| address.alias == *name)
            }
            What::HostVolume { source, writable } => node
                .host_volumes
                .get(source.as_str())
                .is_some_and(|volume| !(*writable && volume.read_only)),
        }
    }
}

/// Whether `driver` works on `node`.
pub fn has_driver(node: &Node, driver: &str) -> bool {
    if let Some(info) = node.drivers.get(driver) {
        return info.detected && info.healthy;
    }
    let attribute = resolve_driver(node, driver);
    matches!(attribute, Some("1" | "true"))
}

fn resolve_driver<'a>(node: &'a Node, driver: &str) -> Option<&'a str> {
    let mut key = String::from("driver.");
    key.push_str(driver);
    node.attributes.get(&key).map(String::as_str)
}

fn has_network_mode(node: &Node, mode: &str) -> bool {
    let resources = &node.node_resources;
    resources.networks.iter().any(|network| network.mode == mode)
        || resources.node_networks.iter().any(|network| network.mode == mode)
}

/// The class of `node`: a hash of all that [`Requirements`] may ask of it and that is not unique to it.
pub fn computed_class(node: &Node) -> String {
    let mut text = String::new();
    let mut add = |key: &str, value: &str| {
        // Lengths keep two different lists from reading the same. Writing to a String cannot fail.
        let _ = write!(text, "{}:{key}={}:{value};", key.len(), value.len());
    };
    add("datacenter", &node.datacenter);
    add("class", &node.node_class);
    add("pool", &node.node_pool);
    for (kind, map) in [("attr", &node.attributes), ("meta", &node.meta)] {
        for (key, value) in map.iter().filter(|(key, _)| !key.starts_with("unique.")) {
            add(kind, key);
            add(kind, value);
        }
    }
    for (name, info) in &node.drivers {
        add("driver", name);
        add("driver", if info.detected && info.healthy { "1" } else { "0" });
    }
    for network in &node.node_resources.networks {
        add("mode", &network.mode);
    }
    for network in &node.node_resources.node_networks {
        add("mode", &network.mode);
        network.addresses.iter().for_each(|address| add("alias", &address.alias));
    }
    for volume in node.host_volumes.values() {
        add("volume", &volume.name);
        add("volume", if volume.read_only { "ro" } else { "rw" });
    }
    for device in &node.node_resources.devices {
        add("device", &format!("{}/{}/{}", device.vendor, device.kind, device.name));
        add("device", &serde_json::to_string(&device.attributes).unwrap_or_default());
    }
    let digest = Sha256::digest(text.as_bytes());
    let first = digest.iter().take(8).fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
    format!("v1:{first}")
}
