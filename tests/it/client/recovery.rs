//! An agent goes away and another comes: tasks, states and directories are taken over. Real processes.

use std::path::Path;

use serde_json::json;
use stead::model::policy::RestartPolicy;
use stead::model::{ClientStatus, JobType, Nanos, Task};

use super::support::{NodeUnderTest, Place, Servers, alloc, events, mock, script};

const ID: &str = "77c5a2f1-9a5f-4a76-9a63-0a8f0a5d1c22";

fn may_run(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: {test} needs root");
    }
    root
}

fn pid(dir: &Path) -> Option<i32> {
    std::fs::read_to_string(dir.join("alloc").join(ID).join("alloc/data/pid"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

fn waits() -> Task {
    let wait = "echo $$ > ${NOMAD_ALLOC_DIR}/data/pid; while [ ! -e ${NOMAD_ALLOC_DIR}/data/go ]; do sleep 0.05; done; exit 7";
    let policy = RestartPolicy {
        attempts: 0,
        interval: Nanos::from_secs(60),
        mode: "fail".to_owned(),
        ..RestartPolicy::default()
    };
    Task { restart_policy: policy, ..script("main", wait) }
}

#[tokio::test]
async fn a_task_outlives_its_agent_and_its_end_is_learned() {
    if !may_run("a_task_outlives_its_agent_and_its_end_is_learned") {
        return;
    }
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    servers.place(alloc(ID, JobType::Batch, vec![waits()]));
    let before = servers.until_status(ID, ClientStatus::Running).await;
    until("the pid is written", || pid(dir.path()).is_some()).await;
    let first = pid(dir.path()).unwrap();
    node.shutdown().await;
    assert!(Path::new(&format!("/proc/{first}")).exists(), "the task goes on");

    let node = NodeUnderTest::start(&dir, &servers).await;
    let told = servers.world().updates;
    servers.until(ID, "told again", |_| servers.world().updates > told || told > 1).await;
    assert_eq!(pid(dir.path()), Some(first));
    node.shutdown().await;
    // It ends while nobody looks.
    std::fs::write(dir.path().join("alloc").join(ID).join("alloc/data/go"), "").unwrap();
    until("the task has ended", || !Path::new(&format!("/proc/{first}")).exists()).await;

    let node = NodeUnderTest::start(&dir, &servers).await;
    let failed = servers.until_status(ID, ClientStatus::Failed).await;
    let state = &failed.task_states["main"];
    assert_eq!(state.started_at, before.task_states["main"].started_at);
    assert_eq!(
        events(&failed, "main"),
        ["Received", "Task Setup", "Started", "Terminated", "Not Restarting"]
    );
    assert!(state.events.iter().any(|e| e.details.get("exit_code").is_some_and(|c| c == "7")));
    servers.forget(ID);
    until("nothing is left", || !dir.path().join("alloc").join(ID).exists()).await;
    let tasks = dir.path().join("client/tasks").join(ID);
    until("no record is left", || !tasks.exists()).await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_stop_that_came_while_the_agent_was_away_is_carried_out() {
    if !may_run("a_stop_that_came_while_the_agent_was_away_is_carried_out") {
        return;
    }
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    servers.place(alloc(ID, JobType::Service, vec![waits()]));
    servers.until_status(ID, ClientStatus::Running).await;
    node.shutdown().await;
    servers.stop(ID);
    let node = NodeUnderTest::start(&dir, &servers).await;
    let ended = servers.until_status(ID, ClientStatus::Complete).await;
    assert_eq!(events(&ended, "main").last().unwrap(), "Killed");
    node.shutdown().await;
}

#[tokio::test]
async fn a_task_that_was_lost_with_its_agent_runs_again() {
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    let task = Task { restart_policy: RestartPolicy::default(), ..mock("main", json!({})) };
    servers.place(alloc(ID, JobType::Service, vec![task]));
    servers.until_status(ID, ClientStatus::Running).await;
    // A mock task lives in the agent's memory, as any task does in the machine's when that is restarted.
    node.shutdown().await;
    let node = NodeUnderTest::start(&dir, &servers).await;
    let again = servers
        .until(ID, "started again", |alloc| {
            events(alloc, "main").iter().filter(|kind| *kind == "Started").count() == 2
        })
        .await;
    assert!(events(&again, "main").contains(&"Failed Restoring Task".to_owned()));
    assert!(!again.task_states["main"].failed);
    assert!(!servers.statuses(ID).contains(&ClientStatus::Failed));
    node.shutdown().await;
}

#[tokio::test]
async fn what_belongs_to_no_allocation_is_removed_at_the_start() {
    let dir = Place::new();
    let servers = Servers::new();
    let left = dir.path().join("alloc").join(ID).join("main/local");
    std::fs::create_dir_all(&left).unwrap();
    let kept = dir.path().join("alloc/something-else");
    std::fs::create_dir_all(&kept).unwrap();
    let node = NodeUnderTest::start(&dir, &servers).await;
    assert!(!left.exists() && kept.exists());
    node.shutdown().await;
}

async fn until(what: &str, is: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while !is() {
        assert!(tokio::time::Instant::now() < deadline, "not so in time: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}
