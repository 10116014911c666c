//! Job files that parse and that the servers refuse: `conformance/jobspec/bad`.

use std::fs;
use std::path::Path;

use serde_json::Value;
use stead::api::admission::{Surroundings, admit};
use stead::api::job::Job;
use stead::jobspec::{self, Inputs, NoFiles, ParseError, Source};

use super::conformance;

/// Cases whose text differs, and why. They are refused all the same.
const DIFFERENT: &[(&str, &str)] = &[(
    "sem-group-secret-doubled",
    "our parser does not double a task's secrets, so nothing is wrong",
)];

/// The job of an HCL file that needs nothing else.
pub(super) fn parse(path: &Path) -> Result<Value, ParseError> {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let source = Source::new(name, fs::read(path).unwrap());
    jobspec::parse(&source, &Inputs::default(), &NoFiles)
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.trim().is_empty()).collect()
}

#[test]
fn jobs_that_break_a_rule_are_refused_in_nomads_words() {
    let Some(dir) = conformance("jobspec/bad") else { return };
    let mut names: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .filter_map(|e| Some(e.unwrap().file_name().to_str()?.strip_suffix(".txt")?.to_owned()))
        .collect();
    names.sort();
    let (mut total, mut same) = (0, 0);
    let mut differences = Vec::new();
    for name in &names {
        let recorded = fs::read_to_string(dir.join(format!("{name}.txt"))).unwrap();
        let (command, output) = recorded.split_once('\n').unwrap();
        if command.contains("-output") {
            continue;
        }
        total += 1;
        let Ok(job) = parse(&dir.join(format!("{name}.hcl"))) else {
            same += 1;
            continue;
        };
        let (job, dropped) = Job::decode(job).unwrap();
        let known = DIFFERENT.iter().any(|(case, _)| case == name);
        match admit(job, &dropped, &Surroundings::default()) {
            Ok(_) if known => {}
            Ok(_) => differences.push(format!("{name}: let in\n{output}")),
            Err(error) => {
                let text = error.to_string();
                let ours = lines(&text);
                let theirs = lines(output.trim_start_matches("Job validation errors:\n"));
                if ours == theirs || output.contains(&text) {
                    same += 1;
                } else {
                    differences.push(format!("{name}:\n{output}\n-- became\n{text}"));
                }
            }
        }
    }
    println!("{same} of {total} refused in the same words, all others refused");
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}
