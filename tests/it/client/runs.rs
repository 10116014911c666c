//! Allocations come, run, end and go.

use std::sync::Arc;

use serde_json::json;
use stead::model::allocation::TaskPhase;
use stead::model::policy::RestartPolicy;
use stead::model::task::Lifecycle;
use stead::model::{ClientStatus, JobType, Nanos, Task};

use super::support::{NodeUnderTest, Place, Servers, alloc, events, mock};

const ID: &str = "32734d69-a3a0-4c9b-d8a0-8acb8ec34fb9";

fn forever(name: &str) -> Task {
    mock(name, json!({}))
}

#[tokio::test]
async fn a_service_runs_until_it_is_stopped_and_leaves_nothing_when_it_is_forgotten() {
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    servers.place(alloc(ID, JobType::Service, vec![forever("main")]));
    let running = servers.until_status(ID, ClientStatus::Running).await;
    assert_eq!(running.client_description, "Tasks are running");
    assert_eq!(events(&running, "main"), ["Received", "Task Setup", "Started"]);
    servers.stop(ID);
    let ended = servers.until_status(ID, ClientStatus::Complete).await;
    assert_eq!(
        events(&ended, "main"),
        ["Received", "Task Setup", "Started", "Killing", "Terminated", "Killed"]
    );
    assert!(dir.path().join("alloc").join(ID).exists());
    servers.forget(ID);
    until("the directory is gone", || !dir.path().join("alloc").join(ID).exists()).await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_batch_task_fails_after_its_restarts() {
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    let policy = RestartPolicy {
        attempts: 2,
        interval: Nanos::from_secs(60),
        delay: Nanos::from_millis(10),
        mode: "fail".to_owned(),
        render_templates: false,
    };
    let task = Task {
        restart_policy: policy,
        ..mock("main", json!({ "run_for": "1ms", "exit_code": 3 }))
    };
    servers.place(alloc(ID, JobType::Batch, vec![task]));
    let failed = servers.until_status(ID, ClientStatus::Failed).await;
    assert_eq!(failed.task_states["main"].restarts, 2);
    assert_eq!(events(&failed, "main").last().unwrap(), "Not Restarting");
    node.shutdown().await;
}

#[tokio::test]
async fn hooks_run_around_the_main_task() {
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    let hook = |name: &str, hook: &str, sidecar: bool, config| Task {
        lifecycle: Some(Lifecycle { hook: hook.to_owned(), sidecar }),
        ..mock(name, config)
    };
    let tasks = vec![
        mock("main", json!({ "run_for": "20ms" })),
        hook("init", "prestart", false, json!({ "run_for": "5ms" })),
        hook("side", "prestart", true, json!({})),
        hook("bye", "poststop", false, json!({ "run_for": "1ms" })),
    ];
    servers.place(alloc(ID, JobType::Batch, tasks));
    let ended = servers.until_status(ID, ClientStatus::Complete).await;
    let states = &ended.task_states;
    assert!(states["init"].finished_at <= states["main"].started_at);
    assert!(states["side"].started_at <= states["main"].started_at);
    assert!(states["side"].finished_at <= states["bye"].started_at);
    assert!(events(&ended, "side").contains(&"Main Tasks Dead".to_owned()));
    node.shutdown().await;
}

#[tokio::test]
async fn a_failed_task_takes_its_siblings_with_it() {
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    let bad = mock("bad", json!({ "run_for": "10ms", "exit_code": 1 }));
    servers.place(alloc(ID, JobType::Service, vec![bad, forever("good")]));
    let failed = servers.until_status(ID, ClientStatus::Failed).await;
    assert_eq!(failed.task_states["good"].state, TaskPhase::Dead);
    assert!(!failed.task_states["good"].failed && failed.task_states["bad"].failed);
    assert!(events(&failed, "good").contains(&"Sibling Task Failed".to_owned()));
    node.shutdown().await;
}

#[tokio::test]
async fn a_wrong_config_fails_the_task_and_says_why() {
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    let task = mock("main", json!({ "imaeg": "x" }));
    servers.place(alloc(ID, JobType::Service, vec![task]));
    let failed = servers.until_status(ID, ClientStatus::Failed).await;
    let state = &failed.task_states["main"];
    let told = state.events.iter().map(|e| e.display_message.as_str()).collect::<Vec<_>>();
    assert!(told.iter().any(|text| text.contains("imaeg")), "{told:?}");
    node.shutdown().await;
}

#[tokio::test]
async fn a_replacement_starts_when_the_one_it_replaces_has_ended() {
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    let slow = mock("main", json!({ "kill_after": "50ms" }));
    servers.place(alloc(ID, JobType::Service, vec![slow]));
    servers.until_status(ID, ClientStatus::Running).await;
    servers.stop(ID);
    let mut next = alloc("next-0", JobType::Service, vec![forever("main")]);
    next.previous_allocation = ID.into();
    servers.place(next);
    let next = servers.until_status("next-0", ClientStatus::Running).await;
    let old = servers.alloc(ID);
    assert_eq!(old.client_status, ClientStatus::Complete);
    assert!(old.task_states["main"].finished_at <= next.task_states["main"].started_at);
    node.shutdown().await;
}

#[tokio::test]
async fn news_is_folded_but_never_lost() {
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    for n in 0..50 {
        let task = mock("main", json!({ "run_for": "5ms" }));
        servers.place(alloc(&format!("alloc-{n}"), JobType::Batch, vec![task]));
    }
    for n in 0..50 {
        servers.until_status(&format!("alloc-{n}"), ClientStatus::Complete).await;
    }
    assert_eq!(servers.world().registrations, 1);
    node.shutdown().await;
}

/// Waits until something outside the servers is so.
async fn until(what: &str, is: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while !is() {
        assert!(tokio::time::Instant::now() < deadline, "not so in time: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn the_node_tells_what_it_is() {
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    node.client.registered().await;
    let told = Arc::clone(servers.world().node.as_ref().unwrap());
    assert!(told.drivers.contains_key("mock_driver") && told.drivers.contains_key("raw_exec"));
    assert_eq!(told.attributes["driver.mock_driver"], "1");
    assert!(told.node_resources.cpu.cpu_shares > 0);
    node.shutdown().await;
}
