//! ◆ Rules of networks and ports.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::admission::Errors;
use crate::model::{NetworkResource, TaskGroup};

/// The highest port there is.
const MAX_PORT: i64 = 65_535;

/// All that is wrong with the networks of a group and its tasks.
pub(super) fn networks(group: &TaskGroup) -> Errors {
    let mut errors = Errors::default();
    let mut labels: BTreeMap<&str, String> = BTreeMap::new();
    let mut statics: BTreeMap<(&str, i64), String> = BTreeMap::new();
    let mut arguments: BTreeSet<&str> = BTreeSet::new();
    for network in &group.networks {
        mode(network, &mut errors);
        ports(network, "taskgroup network", (&mut labels, &mut statics), &mut errors);
        for (key, value) in network.cni.iter().flat_map(|cni| &cni.args) {
            let kinds = [(key, "key"), (value, "value")];
            for (text, kind) in kinds.into_iter().filter(|(text, _)| text.contains(';')) {
                errors.push(format!("invalid ';' character in CNI arg {kind} \"{text}\""));
            }
            errors.check(arguments.insert(key), || format!("duplicate CNI arg \"{key}\""));
        }
    }
    for task in &group.tasks {
        let owner = format!("task {}", task.name);
        for network in &task.resources.networks {
            ports(network, &owner, (&mut labels, &mut statics), &mut errors);
        }
    }
    errors
}

fn mode(network: &NetworkResource, errors: &mut Errors) {
    let mode = network.mode.as_str();
    let known = ["", "host", "bridge", "none"].contains(&mode)
        || mode.strip_prefix("cni/").is_some_and(|name| !name.is_empty());
    errors.check(known, || {
        format!("Invalid network mode \"{mode}\"; must be one of \"none\", \"host\", \"bridge\" or \"cni/*\"")
    });
}

type Taken<'a, 'b> = (&'b mut BTreeMap<&'a str, String>, &'b mut BTreeMap<(&'a str, i64), String>);

fn ports<'a>(
    network: &'a NetworkResource,
    owner: &str,
    (labels, statics): Taken<'a, '_>,
    errors: &mut Errors,
) {
    for port in network.ports() {
        let label = port.label.as_str();
        if let Some(other) = labels.insert(label, owner.to_owned()) {
            errors.push(format!("Port label {label} already in use by {other}"));
        }
        let host = ["", "host"].contains(&network.mode.as_str());
        errors.check(!port.ignore_collision || host, || {
            format!(
                "Port \"{label}\" collision may not be ignored on non-host network mode \"{}\"",
                network.mode
            )
        });
        if port.value > MAX_PORT || port.value < 0 {
            let bound = if port.value < 0 { "less than 0" } else { "greater than 65535" };
            errors.push(format!("Port {label} ({}) cannot be {bound}", port.value));
        } else if port.value > 0 && !port.ignore_collision {
            let place = (port.host_network.as_str(), port.value);
            if let Some(other) = statics.insert(place, format!("{owner}:{label}")) {
                errors.push(format!("Static port {} already reserved by {other}", port.value));
            }
        }
        errors.check(port.to <= MAX_PORT, || {
            format!("Port \"{label}\" cannot be mapped to a port ({}) greater than 65535", port.to)
        });
        errors.check(port.to >= -1, || {
            format!("Port \"{label}\" cannot be mapped to negative value {}", port.to)
        });
    }
}
