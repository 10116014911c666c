//! Jobs over the command line: run, look, change, stop; and what is said when it cannot be.

use super::{Agent, eventually, free_port, is_root};

const SLEEPER: &str = r#"
job "sleeper" {
  group "app" {
    task "main" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "echo out; echo err >&2; echo $GREETING; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
      }
      env {
        GREETING = "hello ${NOMAD_TASK_NAME}"
      }
      kill_signal = "SIGTERM"
      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
  update {
    min_healthy_time = "10ms"
  }
}
"#;

#[test]
fn a_job_runs_is_looked_at_and_stops() {
    if !is_root("a_job_runs_is_looked_at_and_stops") {
        return;
    }
    let agent = Agent::start();
    let file = agent.job("sleeper.hcl", SLEEPER);
    let shown = agent.ok(&["job", "run", &file]);
    assert!(shown.contains("finished with status \"complete\""), "{shown}");
    let alloc = agent.alloc_with("sleeper", "running");
    eventually("the greeting is in the log", || {
        agent.ok(&["alloc", "logs", "-stdout", &alloc]).contains("hello main").then_some(())
    });
    eventually("the error is in the other log", || {
        (agent.cli(&["alloc", "logs", "-stderr", &alloc]).stderr == b"err\n").then_some(())
    });
    let status = agent.ok(&["alloc", "status", &alloc]);
    assert!(
        status.contains("Task \"main\" is \"running\"") && status.contains("Started"),
        "{status}"
    );
    let out = agent.cli(&[
        "alloc",
        "exec",
        "-i=false",
        &alloc,
        "/bin/sh",
        "-c",
        "echo $NOMAD_ALLOC_INDEX; exit 3",
    ]);
    assert_eq!((out.stdout.as_slice(), out.status.code()), (b"0\n".as_slice(), Some(3)));
    assert!(agent.ok(&["alloc", "fs", &alloc]).contains("main/"));
    let jobs = agent.ok(&["job", "status"]);
    assert!(jobs.contains("sleeper  service  50        running"), "{jobs}");
    agent.ok(&["job", "stop", &alloc_job(&agent)]);
    agent.alloc_with("sleeper", "complete");
    assert!(agent.ok(&["job", "status", "sleeper"]).contains("dead (stopped)"));
}

fn alloc_job(agent: &Agent) -> String {
    agent.allocs("sleeper")[0]["JobID"].as_str().unwrap().to_owned()
}

#[test]
fn a_change_replaces_what_runs_and_keeps_versions() {
    if !is_root("a_change_replaces_what_runs_and_keeps_versions") {
        return;
    }
    let agent = Agent::start();
    agent.ok(&["job", "run", "-detach", &agent.job("one.hcl", SLEEPER)]);
    let first = agent.alloc_with("sleeper", "running");
    let changed = SLEEPER.replace("hello ", "bye ");
    let plan = agent.cli(&["job", "plan", &agent.job("two.hcl", &changed)]);
    assert_eq!(plan.status.code(), Some(1), "{}", String::from_utf8_lossy(&plan.stderr));
    assert!(String::from_utf8_lossy(&plan.stdout).contains("GREETING"));
    agent.ok(&["job", "run", "-detach", &agent.job("two.hcl", &changed)]);
    let second = eventually("the new version runs", || {
        agent.allocs("sleeper").into_iter().find(|alloc| {
            alloc["ClientStatus"] == "running"
                && alloc["JobVersion"] == 1
                && alloc["ID"] != first.as_str()
        })
    });
    eventually("the new greeting is in the log", || {
        agent
            .ok(&["alloc", "logs", "-stdout", second["ID"].as_str().unwrap()])
            .contains("bye main")
            .then_some(())
    });
    let same = agent.cli(&["job", "plan", &agent.job("two.hcl", &changed)]);
    assert_eq!(same.status.code(), Some(0));
    assert_eq!(agent.api("/v1/job/sleeper/versions")["Versions"].as_array().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_placed_says_why_and_starts_when_there_is_room() {
    if !is_root("what_cannot_be_placed_says_why_and_starts_when_there_is_room") {
        return;
    }
    let agent = Agent::start();
    let port = free_port();
    let with_port = |name: &str| {
        SLEEPER.replace("\"sleeper\"", &format!("\"{name}\"")).replace(
            "group \"app\" {",
            &format!("group \"app\" {{\n    network {{\n      port \"http\" {{ static = {port} }}\n    }}"),
        )
    };
    agent.ok(&["job", "run", "-detach", &agent.job("holder.hcl", &with_port("holder"))]);
    agent.alloc_with("holder", "running");
    let out = agent.cli(&["job", "run", &agent.job("waiter.hcl", &with_port("waiter"))]);
    let shown = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(2), "{shown}{}", String::from_utf8_lossy(&out.stderr));
    assert!(shown.contains("http") && shown.contains("holder"), "the holder is named: {shown}");
    agent.ok(&["job", "stop", "-detach", "holder"]);
    agent.alloc_with("waiter", "running");
}

#[test]
fn bad_input_is_refused_with_its_place() {
    if !is_root("bad_input_is_refused_with_its_place") {
        return;
    }
    let agent = Agent::start();
    let out =
        agent.cli(&["job", "run", &agent.job("bad.hcl", "job \"x\" {\n  grup \"a\" {}\n}\n")]);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1));
    assert!(text.contains("bad.hcl:2,3"), "{text}");
    let out = agent.cli(&["job", "run", &agent.job("empty.hcl", "job \"x\" {}\n")]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("Missing job task groups"));
    assert_eq!(agent.cli(&["nope"]).status.code(), Some(127));
    assert_eq!(agent.cli(&["job", "status", "none"]).status.code(), Some(1));
}
