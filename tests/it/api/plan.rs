//! Differences between jobs against `conformance/plan`.

use std::fs;
use std::path::Path;

use serde_json::Value;
use stead::api::admission::{Surroundings, admit};
use stead::api::diff;
use stead::api::job::Job;
use stead::model;
use stead::model::plan::PlanAnnotations;

use super::conformance;
use super::refused::parse;

/// Cases that differ, and why.
const DIFFERENT: &[(&str, &str)] = &[];

fn admitted(path: &Path) -> Option<Result<model::Job, String>> {
    let value = parse(path).ok()?;
    let (job, dropped) = Job::decode(value).unwrap();
    let around = Surroundings::default();
    Some(admit(job, &dropped, &around).map(|(job, _)| job).map_err(|e| e.to_string()))
}

/// Objects of one name have no order.
fn sort(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                sort(value);
                if let ("Objects", Some(objects)) = (key.as_str(), value.as_array_mut()) {
                    let names: Vec<String> =
                        objects.iter().map(|o| o["Name"].as_str().unwrap().to_owned()).collect();
                    let place = |o: &Value| names.iter().position(|n| o["Name"] == **n);
                    let mut sorted = objects.clone();
                    sorted.sort_by_key(|o| (place(o), canonical(o)));
                    *objects = sorted;
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(sort),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Text of a value whose keys are sorted.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            keys.into_iter()
                .map(|key| format!("{key}:{},", canonical(&map[key])))
                .collect::<Vec<_>>()
                .concat()
        }
        Value::Array(items) => items.iter().map(canonical).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn case(dir: &Path) -> Vec<String> {
    let old = dir.join("old.hcl");
    let old = if old.exists() { admitted(&old).unwrap().ok() } else { None };
    let new = admitted(&dir.join("new.hcl"));
    let Ok(recorded) = fs::read_to_string(dir.join("plan.json")) else {
        let ids = |job: &model::Job| job.id.clone();
        let same = match (&old, &new) {
            (Some(old), Some(Ok(new))) => ids(old) == ids(new),
            (_, new) => matches!(new, Some(Ok(_))),
        };
        return if same { vec!["not refused".to_owned()] } else { Vec::new() };
    };
    let Some(Ok(new)) = new else { return vec![format!("refused: {new:?}")] };
    let steps = fs::read_to_string(dir.join("steps.txt")).unwrap_or_default();
    let old = old.map(|old| model::Job { stop: steps.contains("stop"), ..old });
    let recorded: Value = serde_json::from_str(&recorded).unwrap();
    let annotations: PlanAnnotations =
        serde_json::from_value(recorded["Annotations"].clone()).unwrap_or_default();
    let mut diff = diff::between(old.as_ref(), Some(&new));
    diff::annotate(&mut diff, Some(&annotations));
    let mut found = Vec::new();
    let (mut ours, mut theirs) = (serde_json::to_value(&diff).unwrap(), recorded["Diff"].clone());
    sort(&mut ours);
    sort(&mut theirs);
    super::jobspec::differ("Diff", &theirs, &ours, &mut found);
    found.extend(text(dir, &diff));
    found
}

/// The text of the difference, line by line in any order within blocks of one name.
fn text(dir: &Path, diff: &diff::JobDiff) -> Option<String> {
    let recorded = fs::read_to_string(dir.join("plan.txt")).unwrap();
    let recorded = recorded.split("\nScheduler dry-run").next().unwrap().trim_end();
    let ours = diff::text::job(diff, diff::text::Color::Off, false);
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    };
    (lines(&ours) != lines(recorded)).then(|| format!("text:\n{recorded}\n-- became\n{ours}"))
}

#[test]
fn differences_between_jobs_are_told_as_nomad_tells_them() {
    let Some(dir) = conformance("plan") else { return };
    let mut dirs: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    dirs.sort();
    let mut differences = Vec::new();
    let mut held = 0;
    for dir in &dirs {
        let name = dir.file_name().unwrap().to_str().unwrap();
        let found = case(dir);
        let known = DIFFERENT.iter().any(|(case, _)| *case == name);
        if found.is_empty() != known {
            held += 1;
        } else {
            differences.extend(found.iter().map(|d| format!("{name}: {d}")));
            if known {
                differences.push(format!("{name} differs no more; take it off the list"));
            }
        }
    }
    println!("{held} of {} cases hold", dirs.len());
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}
