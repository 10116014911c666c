//! ◆ What a difference makes the scheduler do.

use super::{DiffType, FieldDiff, JobDiff, ObjectDiff, TaskDiff};
use crate::model::plan::{DesiredUpdates, PlanAnnotations};

const CREATE: &str = "forces create";
const DESTROY: &str = "forces destroy";
const IN_PLACE: &str = "forces in-place update";
const DESTRUCTIVE: &str = "forces create/destroy update";

/// Adds to a difference what the plan would do for it.
pub fn annotate(diff: &mut JobDiff, plan: Option<&PlanAnnotations>) {
    for group in &mut diff.task_groups {
        let updates = plan.and_then(|plan| plan.desired_tg_updates.get(&group.name));
        group.updates = updates.map(counted);
        for field in group.fields.iter_mut().filter(|field| field.name == "Count") {
            field.annotations = count(field).into_iter().map(ToOwned::to_owned).collect();
        }
        for task in &mut group.tasks {
            let annotation = self::task(task, group.kind);
            task.annotations = annotation.into_iter().map(ToOwned::to_owned).collect();
        }
    }
}

fn counted(updates: &DesiredUpdates) -> std::collections::BTreeMap<String, u64> {
    [
        ("ignore", updates.ignore),
        ("create", updates.place),
        ("migrate", updates.migrate),
        ("destroy", updates.stop),
        ("in-place update", updates.in_place_update),
        ("create/destroy update", updates.destructive_update),
        ("canary", updates.canary),
    ]
    .into_iter()
    .filter(|(_, count)| *count != 0)
    .map(|(name, count)| (name.to_owned(), count))
    .collect()
}

fn count(field: &FieldDiff) -> Option<&'static str> {
    let number = |text: &str| text.parse::<i64>().unwrap_or_default();
    match field.kind {
        DiffType::Added => Some(CREATE),
        DiffType::Deleted => Some(DESTROY),
        DiffType::Edited if number(&field.old) < number(&field.new) => Some(CREATE),
        DiffType::Edited => Some(DESTROY),
        DiffType::None => None,
    }
}

fn task(task: &TaskDiff, group: DiffType) -> Option<&'static str> {
    match (task.kind, group) {
        (DiffType::None, _) => None,
        (DiffType::Added, DiffType::Added) => Some(CREATE),
        (DiffType::Deleted, DiffType::Deleted) => Some(DESTROY),
        (DiffType::Added | DiffType::Deleted, _) => Some(DESTRUCTIVE),
        (DiffType::Edited, _) => {
            let fields = task.fields.iter().any(|field| field.name != "KillTimeout");
            let blocks = task.objects.iter().any(is_destructive);
            Some(if fields || blocks { DESTRUCTIVE } else { IN_PLACE })
        }
    }
}

/// Whether a running task cannot take the change.
fn is_destructive(block: &ObjectDiff) -> bool {
    match block.name.as_str() {
        "LogConfig" => {
            block.fields.iter().any(|f| f.name == "Disabled" && f.kind != DiffType::None)
        }
        "Service" | "Constraint" | "Affinity" => false,
        _ => true,
    }
}
