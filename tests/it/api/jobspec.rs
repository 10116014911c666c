//! The job tree against `conformance/jobspec`.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
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
            let input = name.ends_with(".in") || name.ends_with(".vars");
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
