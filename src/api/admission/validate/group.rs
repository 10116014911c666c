//! ◆ Rules of a task group.

use std::collections::HashMap;

use super::{constraint, network, policy, service, task, volume};
use crate::api::admission::Errors;
use crate::model::group::ScalingPolicy;
use crate::model::{Job, JobType, TaskGroup};

/// All that is wrong with a group.
pub(super) fn group(job: &Job, group: &TaskGroup) -> Errors {
    let mut errors = Errors::default();
    if group.name.is_empty() {
        errors.push("Missing task group name");
    } else if group.name.contains('\0') {
        errors.push("Task group name contains null character");
    }
    errors.check(group.count >= 0, || "Task group count can't be negative".to_owned());
    errors.check(!group.tasks.is_empty(), || "Missing tasks for task group".to_owned());
    run_duration(job, group, &mut errors);
    if let Some(disconnect) = &group.disconnect {
        policy::disconnect(disconnect, job.kind, &mut errors);
    }
    let system = job.kind == JobType::System;
    constraint::constraints(&group.constraints, &mut errors);
    constraint::affinities(&group.affinities, system, &mut errors);
    policy::restart(&group.restart_policy, &mut errors);
    constraint::spreads(&group.spreads, system, &mut errors);
    rollout(job, group, &mut errors);
    names(group, &mut errors);
    for (name, request) in &group.volumes {
        let about = format!("Task group volume validation for {name} failed");
        errors.nest(&about, &volume::request(request, job, group));
    }
    errors.nest("Task group network validation failed", &network::networks(group));
    errors.nest("Task group service validation failed", &service::of_group(group));
    errors.nest("Task group service check validation failed", &service::script_checks(group));
    if let Some(scaling) = &group.scaling {
        let about = "Task group scaling policy validation failed";
        errors.nest(about, &self::scaling(scaling, group.count));
    }
    errors.check(
        group.tasks.is_empty() || group.tasks.iter().any(crate::model::Task::is_main),
        || format!("Task group {} must have at least one main task", group.name),
    );
    for task in &group.tasks {
        let about = format!("Task {} validation failed", task.name);
        errors.nest(&about, &task::task(job, group, task));
    }
    errors
}

fn run_duration(job: &Job, group: &TaskGroup, errors: &mut Errors) {
    let Some(longest) = group.max_run_duration else { return };
    errors.check(matches!(job.kind, JobType::Batch | JobType::Sysbatch), || {
        format!("Job type \"{}\" does not allow max_run_duration", job.kind.as_str())
    });
    errors.check(longest.0 > 0, || "MaxRunDuration must be greater than zero".to_owned());
}

/// Reschedule, disk, update and migrate.
fn rollout(job: &Job, group: &TaskGroup, errors: &mut Errors) {
    if let Some(reschedule) = &group.reschedule_policy {
        match job.kind {
            JobType::Service | JobType::Batch => policy::reschedule(reschedule, errors),
            JobType::System | JobType::Sysbatch => {
                errors.push("System or sysbatch jobs should not have a reschedule policy");
            }
        }
    }
    let disk = group.ephemeral_disk.size_mb;
    errors.check(disk >= 10, || format!("minimum DiskMB value is 10; got {disk}"));
    if let Some(update) = &group.update {
        errors.check(matches!(job.kind, JobType::Service | JobType::System), || {
            format!("Job type \"{}\" does not allow update block", job.kind.as_str())
        });
        policy::update(update, errors);
    }
    if let Some(migrate) = &group.migrate {
        match job.kind {
            JobType::Service => policy::migrate(migrate, errors),
            JobType::Batch | JobType::System | JobType::Sysbatch => errors
                .push(format!("Job type \"{}\" does not allow migrate block", job.kind.as_str())),
        }
    }
}

fn names(group: &TaskGroup, errors: &mut Errors) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (at, task) in group.tasks.iter().enumerate() {
        let number = at + 1;
        if task.name.is_empty() {
            errors.push(format!("Task {number} missing name"));
        } else if let Some(first) = seen.insert(&task.name, number) {
            errors.push(format!("Task {number} redefines '{}' from task {first}", task.name));
        }
    }
    errors.check(group.tasks.iter().filter(|task| task.leader).count() <= 1, || {
        "Only one task may be marked as leader".to_owned()
    });
}

fn scaling(policy: &ScalingPolicy, count: i64) -> Errors {
    let mut errors = Errors::default();
    let mut rule = |holds: bool, text: &str| {
        errors.check(holds, || format!("Scaling policy invalid: {text}"));
    };
    rule(policy.kind == "horizontal", "type must be \"horizontal\"");
    rule(policy.min >= 0, "minimum count must be specified and non-negative");
    rule(policy.max >= 0, "maximum count must be specified and non-negative");
    rule(policy.max >= policy.min, "maximum count must not be less than minimum count");
    rule(
        count >= policy.min,
        "task group count must not be less than minimum count in scaling policy",
    );
    rule(
        count <= policy.max,
        "task group count must not be greater than maximum count in scaling policy",
    );
    errors
}
