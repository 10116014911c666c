//! ◆ A job's own fields and blocks.

use std::collections::BTreeSet;

use serde_json::Value;

use super::field::{self, Same, block, flat, placed, set, set_of, simple_of};
use super::{DiffType, JobDiff, ObjectDiff, group, name_of};

/// What the servers set themselves, and what identifies the job.
const HIDDEN: [&str; 11] = [
    "ID",
    "Status",
    "StatusDescription",
    "Version",
    "Stable",
    "CreateIndex",
    "ModifyIndex",
    "JobModifyIndex",
    "SubmitTime",
    "NomadTokenID",
    "Payload",
];

/// Compares two jobs; null for one that does not exist.
pub(super) fn diff(id: String, old: &Value, new: &Value) -> JobDiff {
    let mut objects: Vec<ObjectDiff> = Vec::new();
    let blocks = set("Datacenters", &old["Datacenters"], &new["Datacenters"]);
    objects.extend(blocks.filter(|diff| diff.kind != DiffType::None));
    objects.extend(requirements(old, new));
    objects.extend(periodic(&old["Periodic"], &new["Periodic"]));
    objects.extend(parameterized(&old["ParameterizedJob"], &new["ParameterizedJob"]));
    objects.extend(ui(&old["UI"], &new["UI"]));
    let fields = field::fields(&flat(old, &HIDDEN), &flat(new, &HIDDEN), Same::Hidden);
    let task_groups = groups(&old["TaskGroups"], &new["TaskGroups"]);
    let edited = !fields.is_empty()
        || !objects.is_empty()
        || task_groups.iter().any(|group| group.kind != DiffType::None);
    let kind = match field::kind(old, new) {
        DiffType::Edited if !edited => DiffType::None,
        kind => kind,
    };
    JobDiff { kind, id, fields, objects, task_groups }
}

/// Constraints and affinities, which jobs, groups and tasks have.
pub(super) fn requirements(old: &Value, new: &Value) -> Vec<ObjectDiff> {
    let mut found = set_of(&old["Constraints"], &new["Constraints"], |old, new| {
        simple_of("Constraint", old, new)
    });
    found.extend(set_of(&old["Affinities"], &new["Affinities"], |old, new| {
        simple_of("Affinity", old, new)
    }));
    found
}

fn groups(old: &Value, new: &Value) -> Vec<super::TaskGroupDiff> {
    let (old, new) = (field::items(old), field::items(new));
    let names: BTreeSet<&str> = old.iter().chain(new).map(name_of).collect();
    let find = |list: &'_ [Value], name: &str| {
        list.iter().find(|group| name_of(group) == name).cloned().unwrap_or_default()
    };
    names.into_iter().map(|name| group::diff(name, &find(old, name), &find(new, name))).collect()
}

fn periodic(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "Periodic",
        (old, new),
        |value| flat(value, &[]),
        || changed(set("Specs", &old["Specs"], &new["Specs"])),
    )
}

fn parameterized(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "ParameterizedJob",
        (old, new),
        |value| flat(value, &[]),
        || {
            let optional = set("MetaOptional", &old["MetaOptional"], &new["MetaOptional"]);
            let required = set("MetaRequired", &old["MetaRequired"], &new["MetaRequired"]);
            [changed(optional), changed(required)].concat()
        },
    )
}

fn ui(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "UI",
        (old, new),
        |value| flat(value, &[]),
        || placed(&old["Links"], &new["Links"], |old, new| simple_of("Link", old, new)),
    )
}

/// Without what is the same.
pub(super) fn changed(diff: Option<ObjectDiff>) -> Vec<ObjectDiff> {
    diff.into_iter().filter(|diff| diff.kind != DiffType::None).collect()
}
