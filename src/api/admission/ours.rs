//! ◆ Our own warnings: what was dropped, and what this version reads and shows but does not act on.
//!
//! A line leaves this file when its feature works. Nomad's clients show the text as it is.

use super::errors::Errors;
use crate::api::job;
use crate::model::{Job, Service, Task, TaskGroup};

/// What is lost on the way from what was sent.
pub(super) fn lost(job: &job::Job) -> Vec<String> {
    let mut lost = Vec::new();
    for group in job.task_groups.iter().flatten() {
        let name = group.name.as_deref().unwrap_or_default();
        let mut of_group = |field: &str, instead: &str| {
            lost.push(format!("group \"{name}\": {field} is ignored; use {instead}"));
        };
        if group.max_client_disconnect.is_some() {
            of_group("max_client_disconnect", "disconnect.lost_after");
        }
        if group.stop_after_client_disconnect.is_some() {
            of_group("stop_after_client_disconnect", "disconnect.stop_on_client_after");
        }
        if group.prevent_reschedule_on_lost.is_some() {
            of_group("prevent_reschedule_on_lost", "disconnect.replace");
        }
        for (volume, request) in group.volumes.iter().flatten() {
            if request.kind != "host" && request.kind != "csi" {
                lost.push(format!(
                    "group \"{name}\": volume \"{volume}\" is ignored: its type \"{}\" is neither \
                     \"host\" nor \"csi\"",
                    request.kind
                ));
            }
        }
        for task in group.tasks.iter().flatten() {
            let disk = task.resources.as_ref().and_then(|resources| resources.disk_mb);
            if task.volume_mounts.iter().flatten().any(|mount| mount.volume.is_none()) {
                lost.push(format!(
                    "task \"{}\": a volume_mount without a volume is ignored",
                    task.name
                ));
            }
            if disk.unwrap_or_default() > 0 {
                lost.push(format!(
                    "task \"{}\": resources.disk is ignored; use the group's ephemeral_disk",
                    task.name
                ));
            }
        }
    }
    lost
}

/// What was dropped or lost, and what has no effect yet.
pub(super) fn warnings(job: &Job, dropped: &[String], lost: Vec<String>) -> Errors {
    let mut warnings = Errors::default();
    for key in dropped {
        warnings.push(format!("{key} is not a field of a job and was ignored"));
    }
    for text in lost {
        warnings.push(text);
    }
    for group in &job.task_groups {
        let used = in_group(group);
        if !used.is_empty() {
            warnings.push(format!(
                "group \"{}\": no effect in this version: {}",
                group.name,
                used.join(", ")
            ));
        }
        for task in &group.tasks {
            let used = in_task(task);
            if !used.is_empty() {
                warnings.push(format!(
                    "task \"{}\": no effect in this version: {}",
                    task.name,
                    used.join(", ")
                ));
            }
        }
    }
    warnings
}

fn in_group(group: &TaskGroup) -> Vec<&'static str> {
    let mut used = of_services(&group.services);
    let mut note = |is_used: bool, name| {
        if is_used {
            used.push(name);
        }
    };
    note(!group.volumes.is_empty(), "volume");
    note(group.scaling.is_some(), "scaling");
    note(group.disconnect.is_some(), "disconnect");
    note(group.consul.is_some(), "consul");
    note(
        group.ephemeral_disk.sticky || group.ephemeral_disk.migrate,
        "ephemeral_disk sticky and migrate",
    );
    used
}

fn in_task(task: &Task) -> Vec<&'static str> {
    let mut used = of_services(&task.services);
    let mut note = |is_used: bool, name| {
        if is_used {
            used.push(name);
        }
    };
    note(!task.templates.is_empty(), "template");
    note(!task.artifacts.is_empty(), "artifact");
    note(!task.volume_mounts.is_empty(), "volume_mount");
    note(!task.resources.devices.is_empty(), "device");
    note(!task.resources.networks.is_empty(), "resources.network");
    note(!task.scaling_policies.is_empty(), "scaling");
    note(!task.secrets.is_empty(), "secret");
    note(!task.actions.is_empty(), "action");
    note(!task.identities.is_empty(), "identity");
    note(task.identity.as_ref().is_some_and(|identity| identity.env || identity.file), "identity");
    note(task.dispatch_payload.is_some(), "dispatch_payload");
    note(task.csi_plugin_config.is_some(), "csi_plugin");
    note(task.vault.is_some(), "vault");
    note(task.consul.is_some(), "consul");
    used.dedup();
    used
}

fn of_services(services: &[Service]) -> Vec<&'static str> {
    let mut used = Vec::new();
    if services.iter().any(|service| service.provider == "nomad") {
        used.push("service");
    }
    if services.iter().any(|service| service.provider == "consul") {
        used.push("service of provider \"consul\" (no node will fit; use provider = \"nomad\")");
    }
    if services.iter().any(|service| !service.checks.is_empty()) {
        used.push("check");
    }
    if services.iter().any(|service| service.connect.is_some()) {
        used.push("connect");
    }
    used
}
