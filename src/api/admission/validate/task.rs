//! ◆ Rules of a task.

use std::collections::BTreeSet;

use super::{constraint, identity, policy, resources, service, template, volume};
use crate::api::admission::Errors;
use crate::api::duration;
use crate::model::{Job, JobType, Nanos, Task, TaskGroup};

/// All that is wrong with a task.
pub(super) fn task(job: &Job, group: &TaskGroup, task: &Task) -> Errors {
    let mut errors = Errors::default();
    name(task, &mut errors);
    errors.check(!task.driver.is_empty(), || "Missing task driver".to_owned());
    times(job, group, task, &mut errors);
    errors.nest_bare(&resources::resources(&task.resources));
    constraints(task, &mut errors);
    constraint::affinities(&task.affinities, job.kind == JobType::System, &mut errors);
    errors.nest_bare(&logs(task, group.ephemeral_disk.size_mb));
    errors.nest_bare(&service::of_task(task, group));
    identity::vault(task, &mut errors);
    template::artifacts(&task.artifacts, &mut errors);
    template::templates(&task.templates, &mut errors);
    if let Some(payload) = &task.dispatch_payload {
        // It is written below the task's `local/`.
        errors.check(!payload.file.is_empty() && !template::escapes(&payload.file, 3), || {
            "Dispatch Payload validation failed: destination escapes allocation directory"
                .to_owned()
        });
    }
    if let Some(lifecycle) = &task.lifecycle {
        errors.check(
            ["prestart", "poststart", "poststop"].contains(&lifecycle.hook.as_str()),
            || format!("Lifecycle validation failed: invalid hook: {}", lifecycle.hook),
        );
    }
    if task.restart_policy != group.restart_policy {
        let mut found = Errors::default();
        policy::restart(&task.restart_policy, &mut found);
        errors.nest("Restart policy validation failed", &found);
    }
    volume::mounts(&task.volume_mounts, group, &mut errors);
    plugin(task, &mut errors);
    identity::identities(task, &mut errors);
    identity::secrets(task, &mut errors);
    actions(task, &mut errors);
    errors
}

fn name(task: &Task, errors: &mut Errors) {
    let name = task.name.as_str();
    if name.is_empty() {
        errors.push("Missing task name");
    }
    errors.check(!name.contains(['/', '\\']), || "Task name cannot include slashes".to_owned());
    errors.check(!name.contains('\0'), || "Task name cannot include null characters".to_owned());
    errors.check(name != "alloc", || "Task cannot be named \"alloc\"".to_owned());
}

fn times(job: &Job, group: &TaskGroup, task: &Task, errors: &mut Errors) {
    errors.check(task.kill_timeout.0 >= 0, || "KillTimeout must be a positive value".to_owned());
    if let Some(update) = group.update.as_ref().filter(|_| job.kind == JobType::Service) {
        let deadline = update.progress_deadline;
        errors.check(deadline == Nanos::ZERO || task.kill_timeout <= deadline, || {
            format!(
                "KillTimout ({}) longer than the group's ProgressDeadline ({})",
                duration::format(task.kill_timeout),
                duration::format(deadline)
            )
        });
    }
    errors
        .check(task.shutdown_delay.0 >= 0, || "ShutdownDelay must be a positive value".to_owned());
}

fn constraints(task: &Task, errors: &mut Errors) {
    for (at, one) in task.constraints.iter().enumerate() {
        errors.nest(&format!("Constraint {} validation failed", at + 1), &constraint::one(one));
        errors.check(!one.operator.starts_with("distinct_"), || {
            format!("Constraint {} has disallowed Operand at task level: {}", at + 1, one.operator)
        });
    }
}

fn logs(task: &Task, disk: i64) -> Errors {
    let mut errors = Errors::default();
    let log = &task.log_config;
    errors.check(log.max_files >= 1, || {
        format!("minimum number of files is 1; got {}", log.max_files)
    });
    errors.check(log.max_file_size_mb >= 1, || {
        format!("minimum file size is 1MB; got {}", log.max_file_size_mb)
    });
    let storage = log.max_files.saturating_mul(log.max_file_size_mb);
    errors.check(log.disabled || storage < disk, || {
        format!("log storage ({storage} MB) must be less than requested disk capacity ({disk} MB)")
    });
    errors
}

fn plugin(task: &Task, errors: &mut Errors) {
    let Some(plugin) = &task.csi_plugin_config else { return };
    let text = |key: &str| plugin[key].as_str().unwrap_or_default();
    errors.check(!text("ID").is_empty(), || {
        "CSIPluginConfig must have a non-empty PluginID".to_owned()
    });
    errors.check(["node", "controller", "monolith"].contains(&text("Type")), || {
        format!(
            "CSIPluginConfig PluginType must be one of 'node', 'controller', or 'monolith', got: \"{}\"",
            text("Type")
        )
    });
    let (base, mount) = (text("StagePublishBaseDir"), text("MountDir"));
    errors.check(base != mount && !base.starts_with(&format!("{mount}/")), || {
        "CSIPluginConfig StagePublishBaseDir must not be a subdirectory of MountDir".to_owned()
    });
}

fn actions(task: &Task, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for action in &task.actions {
        let name = action.name.as_str();
        errors.check(seen.insert(name), || format!("Action {name} defined multiple times"));
        let mut found = Errors::default();
        found.check(!action.command.is_empty(), || "command cannot be empty".to_owned());
        let valid = (1..=128).contains(&name.len())
            && !name.contains(|c: char| c.is_whitespace() || c == '\0');
        found.check(valid, || format!("invalid name '{name}'"));
        errors.nest(&format!("Action {name} validation failed"), &found);
    }
}
