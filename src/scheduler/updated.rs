//! ◆ Whether a changed group can be changed where its allocations are, or must be replaced.
//!
//! ```text
//! destructive                                       in place
//! tasks added, removed, renamed                     services without connect, their checks
//! driver, user, config, env, artifacts, templates   kill_timeout, kill_signal, leader, lifecycle
//! vault, secrets, identities, csi_plugin            shutdown_delay, actions, dispatch payload
//! volume_mounts, merged meta, logs.disabled         restart (but render_templates), reschedule, migrate,
//! cpu, cores, memory, memory_max, devices, numa     update, disconnect, count, scaling
//! ephemeral_disk, networks, volumes, consul         constraints, affinities, spreads (the node is asked again)
//! ```

use std::collections::BTreeMap;

use crate::model::network::NetworkResource;
use crate::model::{Job, Resources, Service, Task, TaskGroup};

/// Whether group `name` differs between two versions so that its allocations must be replaced.
pub fn must_replace(old: &Job, new: &Job, name: &str) -> bool {
    let (Some(a), Some(b)) = (old.group(name), new.group(name)) else { return true };
    if std::ptr::eq(a, b) {
        return false;
    }
    a.tasks.len() != b.tasks.len()
        || a.ephemeral_disk != b.ephemeral_disk
        || a.volumes != b.volumes
        || a.consul != b.consul
        || networks_differ(&a.networks, &b.networks)
        || connect_differs(&a.services, &b.services)
        || b.tasks.iter().any(|task| match a.task(&task.name) {
            None => true,
            Some(before) => {
                task_differs(before, task) || meta(old, a, before) != meta(new, b, task)
            }
        })
}

fn task_differs(a: &Task, b: &Task) -> bool {
    a.driver != b.driver
        || a.user != b.user
        || a.config != b.config
        || a.env != b.env
        || a.artifacts != b.artifacts
        || a.templates != b.templates
        || a.vault != b.vault
        || a.consul != b.consul
        || a.secrets != b.secrets
        || a.csi_plugin_config != b.csi_plugin_config
        || a.volume_mounts != b.volume_mounts
        || a.identity != b.identity
        || a.identities != b.identities
        || a.log_config.disabled != b.log_config.disabled
        || a.restart_policy.render_templates != b.restart_policy.render_templates
        || resources_differ(&a.resources, &b.resources)
        || connect_differs(&a.services, &b.services)
}

fn resources_differ(a: &Resources, b: &Resources) -> bool {
    a.cpu != b.cpu
        || a.cores != b.cores
        || a.memory_mb != b.memory_mb
        || a.memory_max_mb != b.memory_max_mb
        || a.secrets_mb != b.secrets_mb
        || a.devices != b.devices
        || a.numa != b.numa
        || networks_differ(&a.networks, &b.networks)
}

/// Ports are compared as a set: their order means nothing.
fn networks_differ(a: &[NetworkResource], b: &[NetworkResource]) -> bool {
    let same = |(a, b): (&NetworkResource, &NetworkResource)| {
        a.mode == b.mode
            && a.mbits == b.mbits
            && a.hostname == b.hostname
            && a.dns == b.dns
            && a.cni == b.cni
            && ports(a) == ports(b)
    };
    a.len() != b.len() || !a.iter().zip(b).all(same)
}

fn ports(network: &NetworkResource) -> BTreeMap<&str, (i64, i64, &str, bool)> {
    let default = |name: &'static str, given: &'_ str| given.is_empty().then_some(name);
    network
        .ports()
        .map(|port| {
            let host = default("default", &port.host_network).unwrap_or(&port.host_network);
            (port.label.as_str(), (port.value, port.to, host, port.ignore_collision))
        })
        .collect()
}

fn connect_differs(a: &[Service], b: &[Service]) -> bool {
    let connects = |services: &[Service]| -> Vec<serde_json::Value> {
        services.iter().filter_map(|s| s.connect.clone()).collect()
    };
    connects(a) != connects(b)
}

/// The meta a task sees: its own over its group's over its job's.
fn meta<'a>(job: &'a Job, group: &'a TaskGroup, task: &'a Task) -> BTreeMap<&'a str, &'a str> {
    [&job.meta, &group.meta, &task.meta]
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}
