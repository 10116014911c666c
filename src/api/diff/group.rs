//! ◆ A group's fields and blocks.

use std::collections::BTreeSet;

use serde_json::Value;

use super::field::{self, Same, block, deep, flat, simple};
use super::{DiffType, ObjectDiff, TaskGroupDiff, job, name_of, network, service, task};

/// Compares two groups; null for one that does not exist.
pub(super) fn diff(name: &str, old: &Value, new: &Value) -> TaskGroupDiff {
    let hidden = ["Name", "MaxRunDuration"];
    let fields = field::fields(&flat(old, &hidden), &flat(new, &hidden), Same::Hidden);
    let tasks = tasks(&old["Tasks"], &new["Tasks"]);
    let kind = if old == new { DiffType::None } else { field::kind(old, new) };
    let objects = objects(old, new);
    TaskGroupDiff {
        kind,
        name: name.to_owned(),
        fields,
        objects,
        tasks,
        ..TaskGroupDiff::default()
    }
}

fn objects(old: &Value, new: &Value) -> Vec<ObjectDiff> {
    let pair = |name: &str| (old[name].clone(), new[name].clone());
    let named = |field: &str, name: &str, hidden: &[&str]| {
        let (old, new) = pair(field);
        simple(name, &flat(&old, hidden), &flat(&new, hidden))
    };
    let mut found = job::requirements(old, new);
    found.extend(named("RestartPolicy", "RestartPolicy", &[]));
    found.extend(disconnect(&old["Disconnect"], &new["Disconnect"]));
    found.extend(named("Migrate", "Migrate", &[]));
    found.extend(named("ReschedulePolicy", "ReschedulePolicy", &[]));
    found.extend(named("EphemeralDisk", "EphemeralDisk", &[]));
    found.extend(named("Update", "Update", &["Stagger"]));
    found.extend(named("Consul", "Consul", &[]));
    found.extend(network::networks(&old["Networks"], &new["Networks"]));
    found.extend(volumes(&old["Volumes"], &new["Volumes"]));
    found.extend(service::services(&old["Services"], &new["Services"]));
    found.extend(scaling(&old["Scaling"], &new["Scaling"]));
    found
}

fn tasks(old: &Value, new: &Value) -> Vec<super::TaskDiff> {
    let (old, new) = (field::items(old), field::items(new));
    let names: BTreeSet<&str> = old.iter().chain(new).map(name_of).collect();
    let find = |list: &'_ [Value], name: &str| {
        list.iter().find(|task| name_of(task) == name).cloned().unwrap_or_default()
    };
    names.into_iter().map(|name| task::diff(name, &find(old, name), &find(new, name))).collect()
}

fn disconnect(old: &Value, new: &Value) -> Option<ObjectDiff> {
    // Nomad: of all that may be absent, this one shows as "nil".
    let fields = [("LostAfter", ""), ("Reconcile", ""), ("Replace", ""), ("StopOnClientAfter", "")];
    simple("Disconnect", &field::named(old, &fields), &field::named(new, &fields))
}

fn scaling(old: &Value, new: &Value) -> Option<ObjectDiff> {
    let fields = |value: &Value| field::named(value, &[("Enabled", ""), ("Max", ""), ("Min", "")]);
    let policy = simple("Policy", &deep(&old["Policy"]), &deep(&new["Policy"]));
    let own = simple("Scaling", &fields(old), &fields(new));
    if own.is_none() && policy.is_none() {
        return None;
    }
    let pair = (old, new);
    block("Scaling", pair, fields, || policy.into_iter().collect())
}

fn volumes(old: &Value, new: &Value) -> Vec<ObjectDiff> {
    let entries = |value: &'_ Value| -> Vec<(String, Value)> {
        value.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    let (old, new) = (entries(old), entries(new));
    field::keyed(
        old.iter().map(|(key, value)| (key.as_str(), value)),
        new.iter().map(|(key, value)| (key.as_str(), value)),
        volume,
    )
}

fn volume(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "Volume",
        (old, new),
        |value| flat(value, &[]),
        || {
            let (old, new) = (&old["MountOptions"], &new["MountOptions"]);
            let options = block(
                "MountOptions",
                (old, new),
                |value| flat(value, &[]),
                || job::changed(field::set("MountFlags", &old["MountFlags"], &new["MountFlags"])),
            );
            options.into_iter().collect()
        },
    )
}
