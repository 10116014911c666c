//! Clients that were written for Nomad, unmodified: its public Go SDK, and python-nomad.

use std::process::{Command, Output};

use super::{Agent, is_root};

/// Whether a program is there; says so by name when not.
fn has(program: &str, test: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .unwrap()
        .status
        .success();
    if !found {
        println!("skipped: {test} needs {program}");
    }
    found
}

fn passed(out: &Output, agent: &Agent) {
    let text =
        format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success() && text.contains("done"), "{text}\n-- agent --\n{}", agent.log());
}

#[test]
fn nomads_go_sdk_works_unmodified() {
    const TEST: &str = "nomads_go_sdk_works_unmodified";
    if !is_root(TEST) || !has("go", TEST) {
        return;
    }
    let agent = Agent::start();
    let program = agent.dir().join("go-client");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(format!("{}/tests/clients/go", env!("CARGO_MANIFEST_DIR")))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    passed(&Command::new(program).env("NOMAD_ADDR", agent.address()).output().unwrap(), &agent);
}

#[test]
fn python_nomad_works_unmodified() {
    const TEST: &str = "python_nomad_works_unmodified";
    if !is_root(TEST) || !has("python3", TEST) {
        return;
    }
    let agent = Agent::start();
    let venv = agent.dir().join("venv");
    let script = format!(
        "python3 -m venv {0} && {0}/bin/pip install --quiet --disable-pip-version-check python-nomad==2.1.0",
        venv.display()
    );
    let made = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let client = format!("{}/tests/clients/python/client.py", env!("CARGO_MANIFEST_DIR"));
    let ran = Command::new(venv.join("bin/python"))
        .arg(client)
        .env("NOMAD_ADDR", agent.address())
        .output()
        .unwrap();
    passed(&ran, &agent);
}
