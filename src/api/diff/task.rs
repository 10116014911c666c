//! ◆ A task's fields and blocks.

use serde_json::Value;

use super::field::{self, Flat, Same, block, deep, flat, keyed_by, placed, set, simple, simple_of};
use super::job::changed;
use super::{DiffType, ObjectDiff, TaskDiff, job, network, service};

/// Compares two tasks; null for one that does not exist.
pub(super) fn diff(name: &str, old: &Value, new: &Value) -> TaskDiff {
    let hidden = ["Name", "Config"];
    let fields = field::fields(&flat(old, &hidden), &flat(new, &hidden), Same::Hidden);
    let kind = if old == new { DiffType::None } else { field::kind(old, new) };
    let objects = objects(old, new);
    TaskDiff { kind, name: name.to_owned(), fields, objects, annotations: Vec::new() }
}

fn objects(old: &Value, new: &Value) -> Vec<ObjectDiff> {
    let plain = |field: &str, name: &str| simple_of(name, &old[field], &new[field]);
    let mut found: Vec<ObjectDiff> =
        simple("Config", &deep(&old["Config"]), &deep(&new["Config"])).into_iter().collect();
    found.extend(job::requirements(old, new));
    found.extend(resources(&old["Resources"], &new["Resources"]));
    found.extend(plain("LogConfig", "LogConfig"));
    found.extend(keyed_by("RelativeDest", &old["Artifacts"], &new["Artifacts"], artifact));
    found.extend(service::services(&old["Services"], &new["Services"]));
    found.extend(plain("Vault", "Vault"));
    found.extend(plain("Consul", "Consul"));
    found.extend(keyed_by("DestPath", &old["Templates"], &new["Templates"], template));
    found.extend(identity(&old["Identity"], &new["Identity"]));
    found.extend(keyed_by("Name", &old["Identities"], &new["Identities"], identity));
    found.extend(placed(&old["Actions"], &new["Actions"], action));
    found.extend(plain("DispatchPayload", "DispatchPayload"));
    found.extend(keyed_by("Volume", &old["VolumeMounts"], &new["VolumeMounts"], |old, new| {
        block("VolumeMount", (old, new), |value| flat(value, &[]), Vec::new)
    }));
    found.extend(keyed_by("Name", &old["Secrets"], &new["Secrets"], |old, new| {
        block("Secret", (old, new), |value| flat(value, &[]), Vec::new)
    }));
    found
}

fn artifact(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block("Artifact", (old, new), |value| flat(value, &[]), Vec::new)
}

/// What a task asks for; also a sidecar's.
pub(super) fn resources(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "Resources",
        (old, new),
        |value| flat(value, &[]),
        || {
            let mut found = network::networks(&old["Networks"], &new["Networks"]);
            found.extend(keyed_by("Name", &old["Devices"], &new["Devices"], |old, new| {
                block("Device", (old, new), |value| flat(value, &[]), Vec::new)
            }));
            let (old, new) = (&old["NUMA"], &new["NUMA"]);
            found.extend(block(
                "NUMA",
                (old, new),
                |value| flat(value, &[]),
                || changed(set("Devices", &old["Devices"], &new["Devices"])),
            ));
            found
        },
    )
}

/// An identity of a task or service.
pub(super) fn identity(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "Identity",
        (old, new),
        |value| flat(value, &[]),
        || set("Audience", &old["Audience"], &new["Audience"]).into_iter().collect(),
    )
}

fn template(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "Template",
        (old, new),
        |value| flat(value, &[]),
        || {
            // Nomad: its `wait` carries the name of the template.
            let wait = |value: &Value| -> Flat { flat(&value["Wait"], &[]) };
            let mut found: Vec<ObjectDiff> =
                simple("Template", &wait(old), &wait(new)).into_iter().collect();
            let (old, new) = (&old["ChangeScript"], &new["ChangeScript"]);
            found.extend(block(
                "ChangeScript",
                (old, new),
                |value| flat(value, &[]),
                || changed(set("Args", &old["Args"], &new["Args"])),
            ));
            found
        },
    )
}

fn action(old: &Value, new: &Value) -> Option<ObjectDiff> {
    block(
        "Action",
        (old, new),
        |value| flat(value, &[]),
        || changed(set("Args", &old["Args"], &new["Args"])),
    )
}
