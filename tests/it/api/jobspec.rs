//! The job tree against `conformance/jobspec`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stead::api::admission::{Surroundings, admit};
use stead::api::job::Job;

use super::conformance;

/// Every recorded `job run -output`, by name.
pub(super) fn outputs() -> Vec<(String, Value)> {
    let Some(dir) = conformance("jobspec/ok") else { return Vec::new() };
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
            let kind = Path::new(&name).extension().and_then(|kind| kind.to_str());
            let input = matches!(kind, Some("in" | "vars"));
            (!input)
                .then(|| (name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()))
        })
        .collect()
}

#[test]
fn a_job_that_was_read_is_written_as_it_was() {
    let outputs = outputs();
    for (name, output) in &outputs {
        let (job, dropped) = Job::decode(output.clone()).unwrap();
        assert!(dropped.is_empty(), "{name}: {dropped:?}");
        let written = serde_json::to_value(&job).unwrap();
        assert_eq!(written, output["Job"], "{name}");
    }
    println!("{} of {} jobs round-trip", outputs.len(), outputs.len());
}

/// Keys under these belong to the user.
const FREE: &[&str] = &[
    "Config",
    "Meta",
    "CanaryMeta",
    "Env",
    "Policy",
    "Volumes",
    "GetterOptions",
    "GetterHeaders",
    "Header",
    "TaggedAddresses",
    "Args",
    "EnvoyGatewayBindAddresses",
    "Add",
    "Set",
];

fn fold(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let free = FREE.contains(&key.as_str());
                (key.to_lowercase(), if free { value.clone() } else { fold(value) })
            })
            .collect(),
        Value::Array(items) => items.iter().map(fold).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_case_of_keys_does_not_matter() {
    for (name, output) in outputs() {
        let (job, _) = Job::decode(fold(&output)).unwrap();
        assert_eq!(serde_json::to_value(&job).unwrap(), output["Job"], "{name}");
    }
}

fn ignore(job: &mut Value) {
    for key in ["CreateIndex", "ModifyIndex", "JobModifyIndex", "SubmitTime", "Status"] {
        job.as_object_mut().unwrap().remove(key);
    }
    for group in job["TaskGroups"].as_array_mut().into_iter().flatten() {
        ignore_policy(&mut group["Scaling"]);
        for task in group["Tasks"].as_array_mut().into_iter().flatten() {
            for policy in task["ScalingPolicies"].as_array_mut().into_iter().flatten() {
                ignore_policy(policy);
            }
        }
    }
}

fn ignore_policy(policy: &mut Value) {
    if let Some(policy) = policy.as_object_mut() {
        for key in ["ID", "CreateIndex", "ModifyIndex"] {
            policy.remove(key);
        }
    }
}

/// What differs from Nomad on purpose: job, path, why.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("accepted-volume-type", "Volumes", "an empty map is written as null, as everywhere else"),
    (
        "logs-forms",
        "LogConfig.Disabled",
        "`enabled = false` turns logs off; Nomad's servers forget it",
    ),
    ("gateway-ingress", "refused", "Nomad tries to reach Consul"),
    ("gateway-ingress-tls", "refused", "Nomad tries to reach Consul"),
    ("gateway-terminating-mesh", "refused", "Nomad tries to reach Consul"),
    ("multiregion", "refused", "Nomad looks for the regions first; both refuse"),
];

#[test]
fn a_registered_job_has_nomads_defaults_and_implied_constraints_or_is_refused() {
    let Some(dir) = conformance("jobspec/registered") else { return };
    let mut differences = Vec::new();
    let outputs = outputs();
    for (name, output) in &outputs {
        let (job, dropped) = Job::decode(output.clone()).unwrap();
        let admitted = admit(job, &dropped, &Surroundings::default());
        let recorded = fs::read_to_string(dir.join(format!("{name}.json"))).ok();
        let mut found = Vec::new();
        match (admitted, recorded) {
            (Ok((job, warnings)), Some(recorded)) => {
                let mut recorded: Value = serde_json::from_str(&recorded).unwrap();
                let mut ours = serde_json::to_value(&job).unwrap();
                ignore(&mut ours);
                ignore(&mut recorded["Job"]);
                differ("Job", &recorded["Job"], &ours, &mut found);
                let expected = recorded["Warnings"].as_str().unwrap_or_default().trim_end();
                let ours = warnings.nomad.warnings();
                if ours.trim_end() != expected {
                    found.push(format!("warnings: {expected}\n   ours: {ours}"));
                }
            }
            (Err(error), None) => {
                let text = fs::read_to_string(dir.join(format!("{name}.txt"))).unwrap();
                let expected = text.split_once('\n').unwrap().1;
                let ours = error.to_string();
                if ours.trim_end() != expected.trim_end() {
                    found.push(format!("refused with\n{ours}instead of\n{expected}"));
                }
            }
            (Ok(_), None) => found.push("let in".to_owned()),
            (Err(error), Some(_)) => found.push(format!("refused: {error}")),
        }
        for (_, path, _) in DIFFERENT.iter().filter(|(job, _, _)| job == name) {
            let before = found.len();
            found.retain(|difference| !difference.contains(path));
            assert!(found.len() < before, "{name}: {path} differs no more; take it off the list");
        }
        differences.extend(found.iter().map(|d| format!("{name}: {d}")));
    }
    let listed = DIFFERENT.len();
    println!("{} jobs, {listed} known differences, {} others", outputs.len(), differences.len());
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

#[test]
fn a_job_that_a_server_showed_can_be_sent_back_unchanged() {
    let Some(dir) = conformance("jobspec/registered") else { return };
    let mut differences = Vec::new();
    for (name, _) in outputs() {
        let Ok(recorded) = fs::read_to_string(dir.join(format!("{name}.json"))) else { continue };
        let mut recorded: Value = serde_json::from_str(&recorded).unwrap();
        let (job, dropped) = Job::decode(recorded["Job"].clone()).unwrap();
        assert!(dropped.is_empty(), "{name}: {dropped:?}");
        let (job, _) = admit(job, &dropped, &Surroundings::default()).unwrap();
        let mut ours = serde_json::to_value(&job).unwrap();
        ignore(&mut ours);
        ignore(&mut recorded["Job"]);
        let mut found = Vec::new();
        differ("Job", &recorded["Job"], &ours, &mut found);
        found.retain(|difference| !difference.ends_with("{} became null"));
        differences.extend(found.iter().map(|d| format!("{name}: {d}")));
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

/// What differs, by path.
pub(super) fn differ(path: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => differ(&format!("{path}.{key}"), a, b, found),
                    (Some(a), None) => found.push(format!("{path}.{key}: missing {a}")),
                    (None, Some(b)) => found.push(format!("{path}.{key}: additional {b}")),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differ(&format!("{path}[{i}]"), a, b, found);
            }
        }
        (a, b) if a == b || a.is_number() && a.as_f64() == b.as_f64() => {}
        (a, b) => found.push(format!("{path}: {a} became {b}")),
    }
}
