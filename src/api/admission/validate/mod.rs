//! ◆ The rules a job must keep, one file per noun, in Nomad's order and words.
//!
//! Each function takes a noun with every default filled in and adds to a list what is wrong with it.

use std::collections::HashMap;

use super::{Errors, Surroundings};
use crate::model::{Job, JobType, Task};

mod constraint;
mod group;
mod identity;
mod network;
mod periodic;
mod policy;
mod resources;
mod service;
mod task;
mod template;
mod volume;

/// All that is wrong with a job. Its type cannot be wrong here, so one that does not exist comes beside it.
pub(super) fn job(
    job: &Job,
    unknown_type: Option<&str>,
    around: &Surroundings,
    errors: &mut Errors,
) {
    vault_and_consul(job, errors);
    if !around.namespaces.contains(&job.namespace) {
        errors
            .push(format!("job \"{}\" is in nonexistent namespace \"{}\"", job.id, job.namespace));
    }
    if !around.node_pools.contains(&job.node_pool) {
        errors
            .push(format!("job \"{}\" is in nonexistent node pool \"{}\"", job.id, job.node_pool));
    }
    errors.append(core(job, unknown_type));
    limits(job, around, errors);
    enterprise(job, errors);
}

fn core(job: &Job, unknown_type: Option<&str>) -> Errors {
    let mut errors = Errors::default();
    names(job, &mut errors);
    if let Some(name) = unknown_type {
        errors.push(format!("Invalid job type: \"{name}\""));
    }
    if job.datacenters.iter().any(String::is_empty) {
        errors.push("Job datacenter must be non-empty string");
    }
    if job.task_groups.is_empty() {
        errors.push("Missing job task groups");
    }
    constraint::constraints(&job.constraints, &mut errors);
    let system = job.kind == JobType::System;
    constraint::affinities(&job.affinities, system, &mut errors);
    constraint::spreads(&job.spreads, system, &mut errors);
    groups(job, &mut errors);
    for group in &job.task_groups {
        let about = format!("Task group {} validation failed", group.name);
        errors.nest(&about, &group::group(job, group));
    }
    periodic::periodic(job, &mut errors);
    if let Some(ui) = &job.ui {
        let length = ui.description.chars().count();
        errors.check(length <= 1000, || {
            format!("UI description must be under 1000 characters, currently {length}")
        });
    }
    if job.multiregion.is_some() {
        errors.push("Multiregion jobs are unlicensed.");
    }
    errors
}

fn names(job: &Job, errors: &mut Errors) {
    if job.id.is_empty() {
        errors.push("Missing job ID");
    } else if job.id.contains(' ') {
        errors.push("Job ID contains a space");
    } else if job.id.contains('\0') {
        errors.push("Job ID contains a null character");
    }
    if job.name.is_empty() {
        errors.push("Missing job name");
    } else if job.name.contains('\0') {
        errors.push("Job Name contains a null character");
    }
    errors.check(job.payload.is_none(), || {
        "Job can't be submitted with a payload, only dispatched".to_owned()
    });
}

fn groups(job: &Job, errors: &mut Errors) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (at, group) in job.task_groups.iter().enumerate() {
        let number = at + 1;
        if group.name.is_empty() {
            errors.push(format!("Job task group {number} missing name"));
        } else if let Some(first) = seen.insert(&group.name, number) {
            errors.push(format!(
                "Job task group {number} redefines '{}' from group {first}",
                group.name
            ));
        }
        errors.check(group.shutdown_delay.is_none_or(|delay| delay.0 >= 0), || {
            "ShutdownDelay must be a positive value".to_owned()
        });
        errors.check(job.kind != JobType::System || group.count <= 1, || {
            format!(
                "Job task group {} has count {}. Count cannot exceed 1 with system scheduler",
                group.name, group.count
            )
        });
    }
}

fn limits(job: &Job, around: &Surroundings, errors: &mut Errors) {
    errors.check((1..=around.max_priority).contains(&job.priority), || {
        format!("job priority must be between [1, {}]", around.max_priority)
    });
    let total = job.task_groups.iter().fold(0i64, |sum, group| sum.saturating_add(group.count));
    errors.check(total <= around.max_count, || {
        format!(
            "total count was greater than configured job_max_count: {total} > {}",
            around.max_count
        )
    });
}

fn tasks(job: &Job) -> impl Iterator<Item = &Task> {
    job.task_groups.iter().flat_map(|group| &group.tasks)
}

/// There is neither Vault nor a second Consul here, so what asks for them cannot run.
fn vault_and_consul(job: &Job, errors: &mut Errors) {
    let cluster = |task: &Task| {
        let vault = task.vault.as_ref()?;
        Some(vault["Cluster"].as_str().unwrap_or_default().to_owned())
    };
    if let Some(cluster) = tasks(job).find_map(cluster) {
        errors.push(format!("Vault \"{cluster}\" not enabled but used in the job"));
    }
    for group in &job.task_groups {
        let of_group = group.consul.as_ref();
        let of_tasks = || group.tasks.iter().filter_map(|task| task.consul.as_ref());
        let outer = of_group.map_or("", |consul| consul.partition.as_str());
        let other = |inner: &str| !outer.is_empty() && !inner.is_empty() && outer != inner;
        if let Some(consul) = of_tasks().find(|consul| other(&consul.partition)) {
            errors.push(format!(
                "task.consul.partition \"{}\" must match group.consul.partition \"{outer}\" if both are set",
                consul.partition
            ));
        } else if of_tasks().chain(of_group).any(|consul| consul.cluster != "default") {
            errors.push("non-default Consul cluster requires Nomad Enterprise");
        }
    }
    for task in tasks(job) {
        let Some(cluster) = cluster(task).filter(|cluster| cluster != "default") else { continue };
        let name = format!("vault_{cluster}");
        errors.check(task.identities.iter().any(|identity| identity.name == name), || {
            format!(
                "Task {} uses Vault cluster {cluster} but does not have an identity named {name} and \
                 no default identity is provided in agent configuration",
                task.name
            )
        });
    }
}

fn enterprise(job: &Job, errors: &mut Errors) {
    let numa = |task: &Task| task.resources.numa.as_ref().is_some_and(|n| n.affinity != "none");
    errors.check(!tasks(job).any(numa), || "numa scheduling requires Nomad Enterprise".to_owned());
    errors.check(tasks(job).all(|task| task.schedule.is_none()), || {
        "task schedules requires Nomad Enterprise".to_owned()
    });
}
