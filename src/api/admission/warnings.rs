//! ◆ Nomad's warnings, in its words and layout.

use super::Surroundings;
use super::errors::Errors;
use crate::model::task::WorkloadIdentity;
use crate::model::{Job, Nanos, Service, Task, TaskGroup};

/// What Nomad would warn of.
pub(super) fn of(job: &Job, around: &Surroundings) -> Errors {
    let mut warnings = Errors::default();
    automatic_promotion(job, &mut warnings);
    for group in &job.task_groups {
        let found = in_group(group);
        trimmed(&mut warnings, &format!("Group \"{}\" has warnings", group.name), &found);
    }
    if job.periodic.as_ref().is_some_and(|periodic| !periodic.spec.is_empty()) {
        warnings
            .push("cron is deprecated and may be removed in a future release. Use crons instead");
    }
    for group in &job.task_groups {
        shutdown_delay(group, &mut warnings);
    }
    for task in job.task_groups.iter().flat_map(|group| &group.tasks) {
        let vault = task.identities.iter().find(|i| i.name.starts_with("vault_"));
        if let Some(identity) = vault.filter(|_| task.vault.is_none()) {
            warnings.push(format!(
                "Task {} has an identity called {} but no vault block",
                task.name, identity.name
            ));
        }
    }
    if !around.memory_oversubscription {
        oversubscription(job, &mut warnings);
    }
    warnings
}

/// Nomad: the empty lines that end a nested list are kept between warnings and cut at the end of each.
fn trimmed(warnings: &mut Errors, about: &str, part: &Errors) {
    let mut one = Errors::default();
    one.nest(about, part);
    for text in one.list() {
        warnings.push(text.trim_end());
    }
}

fn automatic_promotion(job: &Job, warnings: &mut Errors) {
    let canaries =
        || job.task_groups.iter().filter_map(|g| g.update.as_ref()).filter(|u| u.canary > 0);
    if canaries().any(|u| u.auto_promote) && canaries().any(|u| !u.auto_promote) {
        warnings.push("auto_promote must be true for all groups to enable automatic promotion");
    }
}

fn in_group(group: &TaskGroup) -> Errors {
    let mut found = Errors::default();
    if let Some(update) = &group.update
        && group.count > 1
        && update.max_parallel > group.count
    {
        found.push(format!(
            "Update max parallel count is greater than task group count ({} > {}). A destructive \
             change would result in the simultaneous replacement of all allocations.",
            update.max_parallel, group.count
        ));
    }
    if group.networks.iter().any(|network| network.mbits > 0) {
        found.push("mbits has been deprecated as of Nomad 0.12.0. Please remove mbits from the network block");
    }
    for service in &group.services {
        if let Some(identity) = &service.identity {
            for text in of_identity(identity) {
                found.push(format!("Service \"{}\": {text}", service.name));
            }
        }
    }
    for task in &group.tasks {
        found.nest(&format!("Task \"{}\" has warnings", task.name), &in_task(task));
    }
    found
}

fn in_task(task: &Task) -> Errors {
    let mut found = Errors::default();
    if task.resources.iops != 0 {
        found.push(
            "IOPS has been deprecated as of Nomad 0.9.0. Please remove IOPS from resource block.",
        );
    }
    if !task.resources.networks.is_empty() {
        found.push(
            "task network resources have been deprecated as of Nomad 0.12.0. Please configure \
             networking via group network block.",
        );
    }
    for (number, template) in task.templates.iter().enumerate() {
        if template.vault_grace != Nanos::ZERO {
            found.push(format!(
                "Template[{number}] VaultGrace has been deprecated as of Nomad 0.11 and ignored since \
                 Vault 0.5. Please remove VaultGrace / vault_grace from template block."
            ));
        }
    }
    for identity in &task.identities {
        let mut of_one = Errors::default();
        for text in of_identity(identity) {
            of_one.push(format!("Identity[{}] {text}", identity.name));
        }
        found.nest_bare(&of_one);
    }
    found
}

fn of_identity(identity: &WorkloadIdentity) -> Vec<&'static str> {
    let mut found = Vec::new();
    match identity.audience.len() {
        0 => found.push("identities without an audience are insecure"),
        1 => {}
        _ => found.push(
            "while multiple audiences is allowed, it is more secure to use 1 audience per identity",
        ),
    }
    if identity.ttl == Nanos::ZERO {
        found.push("identities without an expiration are insecure");
    }
    if identity.env && identity.change_mode != "restart" {
        found.push(
            "using env=true without change_mode=\"restart\" may result in task not getting updated identity",
        );
    }
    found
}

/// Connections are cut when a task stops before others have learned that its service is gone.
fn shutdown_delay(group: &TaskGroup, warnings: &mut Errors) {
    if group.shutdown_delay.is_some_and(|delay| delay != Nanos::ZERO) {
        return;
    }
    let delayed = |task: &Task| task.shutdown_delay != Nanos::ZERO;
    for service in group.services.iter().filter(|service| !service.task_name.is_empty()) {
        if let Some(task) = group.task(&service.task_name).filter(|task| !delayed(task)) {
            warnings.push(format!(
                "group \"{}\" references task \"{}\" in a service definition, but the task has no \
                 shutdown_delay set",
                group.name, task.name
            ));
        }
    }
    for task in group.tasks.iter().filter(|task| !task.services.is_empty() && !delayed(task)) {
        warnings.push(format!(
            "task \"{}\" in group \"{}\" defines services, but has no shutdown_delay set",
            task.name, group.name
        ));
    }
    let sidecar = |service: &Service| {
        service.connect.as_ref().is_some_and(|connect| !connect["SidecarService"].is_null())
    };
    let own = |service: &Service| service.task_name.is_empty() && !sidecar(service);
    if group.services.iter().any(own) && !group.tasks.iter().any(delayed) {
        warnings.push(format!(
            "group \"{}\" defines services, but neither the group nor any of its tasks have \
             shutdown_delay set",
            group.name
        ));
    }
}

fn oversubscription(job: &Job, warnings: &mut Errors) {
    for group in &job.task_groups {
        for task in group.tasks.iter().filter(|task| task.resources.memory_max_mb != 0) {
            warnings.push(format!(
                "Memory oversubscription is not enabled; Task \"{}.{}\" memory_max value will be \
                 ignored. Update the Scheduler Configuration to allow oversubscription.",
                group.name, task.name
            ));
        }
    }
}
