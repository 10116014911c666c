//! The agent may go away at any time: tasks go on, and what they did meanwhile is learned.

use super::{Agent, eventually, is_root};

const LONG: &str = r#"
job "long" {
  type = "batch"
  group "app" {
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts = 0
    }
    task "stays" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "echo $$ > ${NOMAD_ALLOC_DIR}/pid; trap 'exit 0' INT; while :; do sleep 0.1; done"]
      }
    }
  }
  group "short" {
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts = 0
    }
    task "ends" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "touch ${NOMAD_ALLOC_DIR}/ready; until [ -e ${NOMAD_ALLOC_DIR}/go ]; do sleep 0.05; done; exit 7"]
      }
    }
  }
}
"#;

#[test]
fn tasks_outlive_a_killed_agent_and_are_adopted() {
    if !is_root("tasks_outlive_a_killed_agent_and_are_adopted") {
        return;
    }
    let mut agent = Agent::start();
    let file = agent.job("long.hcl", LONG);
    agent.ok(&["job", "run", "-detach", &file]);
    let find = |agent: &Agent, group: &str| {
        eventually(&format!("{group} runs"), || {
            agent
                .allocs("long")
                .into_iter()
                .find(|a| a["TaskGroup"] == group && a["ClientStatus"] == "running")
        })["ID"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (stays, ends) = (find(&agent, "app"), find(&agent, "short"));
    let dir = |alloc: &str| agent.dir().join("data/alloc").join(alloc).join("alloc");
    let pid_file = dir(&stays).join("pid");
    let pid = eventually("the task wrote its pid", || {
        std::fs::read_to_string(&pid_file).ok().filter(|text| text.ends_with('\n'))
    });
    eventually("the other is ready", || dir(&ends).join("ready").exists().then_some(()));
    let go = dir(&ends).join("go");
    agent.kill();
    std::fs::write(go, "").unwrap();
    let proc = format!("/proc/{}", pid.trim());
    assert!(std::path::Path::new(&proc).exists(), "the task goes on without its agent");
    agent.launch();
    let failed = agent.alloc_with("long", "failed");
    assert_eq!(failed, ends);
    let state = &agent.api(&format!("/v1/allocation/{ends}"))["TaskStates"]["ends"];
    let events = state["Events"].as_array().unwrap();
    assert!(events.iter().any(|event| event["ExitCode"] == 7), "{events:?}");
    assert_eq!(find(&agent, "app"), stays, "the same allocation runs on");
    assert!(std::path::Path::new(&proc).exists(), "with the same process");
}
