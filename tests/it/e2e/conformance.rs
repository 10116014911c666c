//! The recorded scenario of Nomad's API, driven against the real agent, and compared step by step.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::{Agent, is_root};

/// What is compared. The others belong to resources of later versions (events, search, services, variables, volumes)
/// or to an operator's work with several servers.
const SECTIONS: &[&str] = &[
    "agent",
    "transport",
    "parse",
    "service_job",
    "job_lists",
    "other_jobs",
    "deployments",
    "evaluations",
    "allocations",
    "files",
    "namespaces",
    "nodes",
    "node_pools",
    "acl_off",
    "node_drain",
];

/// Differences that are meant, or known, each with its reason.
const ALLOWED: &str = include_str!("conformance.allow.json");

/// The folder with the scenario, or none; says so when it is not there.
fn scenario() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance");
    let root = std::env::var_os("STEAD_CONFORMANCE").map_or(beside, PathBuf::from).join("api");
    if root.join("scenario.py").exists() {
        return Some(root);
    }
    println!("skipped: no scenario in {}", root.display());
    None
}

fn text(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// The recordings of [`SECTIONS`] in a directory of their own.
fn recorded(api: &Path, dir: &Path) -> usize {
    fs::create_dir(dir).unwrap();
    let mut steps = 0;
    for entry in fs::read_dir(api.join("recorded/plain")).unwrap() {
        let path = entry.unwrap().path();
        let step: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        if step["section"].as_str().is_some_and(|section| SECTIONS.contains(&section)) {
            fs::copy(&path, dir.join(path.file_name().unwrap())).unwrap();
            steps += 1;
        }
    }
    steps
}

#[test]
fn the_api_answers_as_nomad_did() {
    if !is_root("the_api_answers_as_nomad_did") {
        return;
    }
    let Some(api) = scenario() else { return };
    let agent = Agent::with("client {\n  network_interface = \"lo\"\n}\n");
    let (old, new) = (agent.dir().join("old"), agent.dir().join("new"));
    let steps = recorded(&api, &old);
    let mut drive = Command::new("python3");
    drive.arg(api.join("scenario.py")).args(["--addr", agent.address(), "--out"]).arg(&new);
    for section in SECTIONS {
        drive.args(["--section", section]);
    }
    let driven = drive.output().unwrap();
    assert!(driven.status.success(), "{}\n-- agent --\n{}", text(&driven), agent.log());

    let mut rules: Vec<Value> = serde_json::from_str(ALLOWED).unwrap();
    let machine = fs::read_to_string(api.join("allow.json")).unwrap();
    rules.extend(serde_json::from_str::<Vec<Value>>(&machine).unwrap());
    let allow = agent.dir().join("allow.json");
    fs::write(&allow, Value::from(rules).to_string()).unwrap();
    let compared = Command::new("python3")
        .arg(api.join("compare.py"))
        .args(["--errors-only", "--allow"])
        .args([&allow, &old, &new])
        .output()
        .unwrap();
    let text = text(&compared);
    println!("{steps} steps; {}", text.lines().last().unwrap_or_default());
    let different: Vec<&str> =
        text.lines().filter(|line| !line.trim_end().ends_with(" equal")).collect();
    assert!(compared.status.success(), "{}", different.join("\n"));
}
