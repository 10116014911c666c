//! ◆ What follows from what a job uses: conditions that its nodes must meet, and identities.

use std::collections::BTreeSet;

use crate::model::task::WorkloadIdentity;
use crate::model::{Constraint, Job, Service, Task, TaskGroup};

/// Adds the conditions, each once, in Nomad's order.
pub(super) fn constraints(job: &mut Job) {
    for group in &mut job.task_groups {
        let mut implied = Vec::new();
        implied.extend(signals(group));
        implied.extend(discovery(group));
        if group.services.iter().any(|service| service.provider == "consul") {
            implied.push(consul());
        }
        if let Some(consul) = group.consul.as_ref().filter(|c| !c.partition.is_empty()) {
            implied.push(constraint("${attr.consul.partition}", "=", &consul.partition));
        }
        implied.extend(cni(group));
        implied.extend(transparent_proxy(group));
        implied.extend(secrets(group));
        add(&mut group.constraints, implied);
        for task in &mut group.tasks {
            if task.services.iter().any(|service| service.provider == "consul") {
                add(&mut task.constraints, vec![consul()]);
            }
        }
    }
}

/// Gives every task the identity all tasks have.
pub(super) fn identities(job: &mut Job) {
    for group in &mut job.task_groups {
        for task in &mut group.tasks {
            let identity = task.identity.get_or_insert_with(WorkloadIdentity::default);
            "default".clone_into(&mut identity.name);
            identity.audience = vec!["nomadproject.io".to_owned()];
        }
        let of_service = |services: &[Service]| services.iter().any(|s| s.identity.is_some());
        let named = of_service(&group.services)
            || group.tasks.iter().any(|t| !t.identities.is_empty() || of_service(&t.services));
        if named {
            let version = constraint("${attr.nomad.version}", "semver", ">= 1.7.0-a");
            add(&mut group.constraints, vec![version]);
        }
    }
}

fn constraint(left: &str, operator: &str, right: &str) -> Constraint {
    Constraint { left: left.to_owned(), right: right.to_owned(), operator: operator.to_owned() }
}

fn add(constraints: &mut Vec<Constraint>, implied: Vec<Constraint>) {
    for constraint in implied {
        if !constraints.contains(&constraint) {
            constraints.push(constraint);
        }
    }
}

fn signals(group: &TaskGroup) -> Option<Constraint> {
    let mut signals = BTreeSet::new();
    for task in &group.tasks {
        signals.insert(task.kill_signal.as_str());
        signals.extend(
            task.templates
                .iter()
                .filter(|template| template.change_mode == "signal")
                .map(|template| template.change_signal.as_str()),
        );
        signals.extend(vault_signal(task));
    }
    signals.remove("");
    let signals = signals.into_iter().collect::<Vec<_>>().join(",");
    (!signals.is_empty()).then(|| constraint("${attr.os.signals}", "set_contains", &signals))
}

fn vault_signal(task: &Task) -> Option<&str> {
    let vault = task.vault.as_ref()?;
    (vault["ChangeMode"] == "signal").then(|| vault["ChangeSignal"].as_str()).flatten()
}

fn discovery(group: &TaskGroup) -> Vec<Constraint> {
    let services = group.services.iter().chain(group.tasks.iter().flat_map(|t| &t.services));
    let ours: Vec<&Service> = services.filter(|service| service.provider == "nomad").collect();
    let mut implied = Vec::new();
    if !ours.is_empty() {
        implied.push(constraint("${attr.nomad.service_discovery}", "=", "true"));
    }
    if ours.iter().any(|service| !service.checks.is_empty()) {
        implied.push(constraint("${attr.nomad.version}", "semver", ">= 1.4.0"));
    }
    implied
}

fn consul() -> Constraint {
    constraint("${attr.consul.version}", "semver", ">= 1.8.0")
}

fn cni(group: &TaskGroup) -> Vec<Constraint> {
    if !group.networks.iter().any(|network| network.mode == "bridge") {
        return Vec::new();
    }
    ["bridge", "firewall", "host-local", "loopback", "portmap"]
        .into_iter()
        .map(|name| {
            constraint(&format!("${{attr.plugins.cni.version.{name}}}"), "semver", ">= 0.4.0")
        })
        .collect()
}

fn transparent_proxy(group: &TaskGroup) -> Vec<Constraint> {
    let used =
        group.services.iter().filter_map(|service| service.connect.as_ref()).any(|connect| {
            connect.pointer("/SidecarService/Proxy/TransparentProxy").is_some_and(|p| !p.is_null())
        });
    if !used {
        return Vec::new();
    }
    vec![
        constraint("${attr.plugins.cni.version.consul-cni}", "semver", ">= 1.4.2"),
        constraint("${attr.nomad.version}", "semver", ">= 1.8.0-dev"),
    ]
}

fn secrets(group: &TaskGroup) -> Vec<Constraint> {
    let providers: BTreeSet<&str> = group
        .tasks
        .iter()
        .flat_map(|task| &task.secrets)
        .filter_map(|secret| secret["Provider"].as_str())
        .filter(|provider| !provider.is_empty())
        .collect();
    providers
        .into_iter()
        .map(|name| constraint(&format!("${{attr.plugins.secrets.{name}.version}}"), "is_set", ""))
        .collect()
}
