use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;
use crate::model::Deployment;

/// What a Nomad answered, or none without the recordings.
fn recorded(step: &str) -> Option<Value> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance");
    let root = std::env::var_os("STEAD_CONFORMANCE").map_or(beside, PathBuf::from);
    let dir = root.join("api/recorded/plain");
    let Ok(files) = std::fs::read_dir(&dir) else {
        println!("skipped: no recordings in {}", dir.display());
        return None;
    };
    let suffix = format!("-{step}.json");
    let of_step = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.get(3..) == Some(suffix.as_str())
    };
    let path = files.filter_map(Result::ok).map(|entry| entry.path()).find(of_step).unwrap();
    let step: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    Some(step["body"].clone())
}

/// Where two values are not the same.
fn differences(ours: &Value, theirs: &Value, at: &str, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for key in keys {
                let at = format!("{at}.{key}");
                match (ours.get(key), theirs.get(key)) {
                    (Some(ours), Some(theirs)) => differences(ours, theirs, &at, found),
                    (Some(ours), None) => found.push(format!("{at}: too much: {ours}")),
                    (None, theirs) => found.push(format!("{at}: missing: {theirs:?}")),
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                differences(ours, theirs, &format!("{at}[{i}]"), found);
            }
        }
        (ours, theirs) if ours.as_f64().is_some() && ours.as_f64() == theirs.as_f64() => {}
        (ours, theirs) if ours == theirs => {}
        (ours, theirs) => found.push(format!("{at}: {theirs} became {ours}")),
    }
}

/// Reads what was recorded as our noun, shows it, and expects the same. Keys are those that differ
/// for a reason.
fn shown_again<T: serde::de::DeserializeOwned>(
    step: &str,
    known: &[&str],
    show: impl Fn(&T) -> Value,
) {
    let Some(theirs) = recorded(step) else { return };
    let noun: T = serde_json::from_value(theirs.clone()).unwrap();
    let mut found = Vec::new();
    differences(&show(&noun), &theirs, step, &mut found);
    found.retain(|line| !known.iter().any(|known| line.contains(known)));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

#[test]
fn allocations_are_shown_as_nomad_shows_them() {
    for step in ["alloc-read", "alloc-read-stopped", "service-alloc-read"] {
        // No key signs the identity of a task here, so none is named.
        shown_again(step, &["SigningKeyID"], alloc_view);
    }
}

#[test]
fn evaluations_are_shown_as_nomad_shows_them() {
    shown_again("job-evaluation-read", &[], eval_view);
    shown_again("eval-read-failed", &[], eval_view);
}

#[test]
fn deployments_are_shown_as_nomad_shows_them() {
    for step in ["deployment-canary", "deployment-successful", "deployment-failed"] {
        shown_again::<Deployment>(step, &[], value);
    }
}

#[test]
fn nodes_are_shown_as_nomad_shows_them() {
    shown_again("node-read", &[], node_view);
}

#[test]
fn lists_show_what_nomad_lists() {
    let (Some(alloc), Some(allocs)) =
        (recorded("alloc-read"), recorded("list-allocations-resources"))
    else {
        return;
    };
    let alloc: Allocation = serde_json::from_value(alloc).unwrap();
    let options = AllocStubOptions { resources: true, task_states: true };
    assert_eq!(keys(&alloc_stub(&alloc, options)), keys(&allocs[0]));
    let options = AllocStubOptions { resources: false, task_states: true };
    let allocs = recorded("list-allocations").unwrap();
    assert_eq!(keys(&alloc_stub(&alloc, options)), keys(&allocs[0]));

    let node: Node = serde_json::from_value(recorded("node-read").unwrap()).unwrap();
    let nodes = recorded("node-list").unwrap();
    assert_eq!(keys(&node_stub(&node, NodeStubOptions::default())), keys(&nodes[0]));
    let nodes = recorded("node-list-resources").unwrap();
    assert_eq!(
        keys(&node_stub(&node, NodeStubOptions { resources: true, os: true })),
        keys(&nodes[0])
    );

    let job: Job = serde_json::from_value(recorded("job-read").unwrap()).unwrap();
    let jobs = recorded("job-list").unwrap();
    assert_eq!(keys(&job_stub(&job, None, false)), keys(&jobs[0]));
    let jobs = recorded("job-list-meta").unwrap();
    assert_eq!(keys(&job_stub(&job, None, true)), keys(&jobs[0]));
}
