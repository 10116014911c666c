//! What people ask of a node: signals, restarts, files, removal.

use serde_json::json;
use stead::client::ClientError;
use stead::model::task::Lifecycle;
use stead::model::{ClientStatus, JobType, Task};

use super::support::{NodeUnderTest, Place, Servers, alloc, events, mock};

const ID: &str = "5a0d5a34-0c1b-4c9b-8d10-2f6a1f0b7d11";

#[tokio::test]
async fn a_task_is_signalled_and_restarted_by_request() {
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    servers.place(alloc(
        ID,
        JobType::Service,
        vec![mock("main", json!({})), mock("side", json!({}))],
    ));
    servers.until_status(ID, ClientStatus::Running).await;
    let started = servers.until(ID, "all running", |alloc| {
        alloc.task_states.values().all(|state| !state.started_at.is_never())
    });
    started.await;
    node.client.restart(ID, Some("side")).await.unwrap();
    let again = servers.until(ID, "restarted", |alloc| {
        alloc.task_states["side"].restarts == 1
            && events(alloc, "side").last().unwrap() == "Started"
    });
    let again = again.await;
    assert!(events(&again, "side").contains(&"Restart Signaled".to_owned()));
    assert_eq!(again.task_states["main"].restarts, 0);
    assert!(matches!(
        node.client.restart(ID, Some("nope")).await,
        Err(ClientError::UnknownTask(_))
    ));
    assert!(matches!(
        node.client.signal(ID, Some("nope"), "SIGHUP").await,
        Err(ClientError::TaskNotFound)
    ));
    assert!(matches!(
        node.client.signal(ID, None, "SIGNOPE").await,
        Err(ClientError::UnknownSignal(_))
    ));
    assert!(matches!(
        node.client.signal("no-such", None, "SIGHUP").await,
        Err(ClientError::UnknownAlloc(_))
    ));
    assert!(matches!(node.client.collect(ID).await, Err(ClientError::NotCollectable)));
    servers.stop(ID);
    servers.until_status(ID, ClientStatus::Complete).await;
    let refused = node.client.signal(ID, None, "SIGHUP").await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "2 errors occurred:\n\t* Failed to signal task: main, err: Task not running\n\t* Failed to signal task: side, err: Task not running\n\n"
    );
    assert!(matches!(node.client.restart(ID, None).await, Err(ClientError::ShouldNotRun)));
    node.client.collect(ID).await.unwrap();
    assert!(!dir.path().join("alloc").join(ID).exists());
    node.shutdown().await;
}

#[tokio::test]
async fn restarting_all_tasks_runs_prestart_again() {
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    let lifecycle = Some(Lifecycle { hook: "prestart".to_owned(), sidecar: false });
    let init = Task { lifecycle, ..mock("init", json!({ "run_for": "1ms" })) };
    servers.place(alloc(ID, JobType::Service, vec![init, mock("main", json!({}))]));
    servers.until_status(ID, ClientStatus::Running).await;
    let up = servers.until(ID, "main runs", |a| !a.task_states["main"].started_at.is_never()).await;
    node.client.restart_all(ID).await.unwrap();
    let again = servers
        .until(ID, "started over", |alloc| {
            alloc.task_states["main"].started_at > up.task_states["main"].started_at
        })
        .await;
    assert!(again.task_states["init"].started_at > up.task_states["init"].started_at);
    assert!(again.task_states["init"].finished_at <= again.task_states["main"].started_at);
    assert!(!servers.statuses(ID).contains(&ClientStatus::Complete));
    node.shutdown().await;
}

#[tokio::test]
async fn files_of_an_allocation_can_be_read() {
    let dir = Place::new();
    let servers = Servers::new();
    let node = NodeUnderTest::start(&dir, &servers).await;
    let task = mock("main", json!({ "stdout_string": "hello\n" }));
    servers.place(alloc(ID, JobType::Service, vec![task]));
    servers.until_status(ID, ClientStatus::Running).await;
    let names: Vec<_> =
        node.client.list(ID, "/").await.unwrap().into_iter().map(|f| f.name).collect();
    assert_eq!(names, ["alloc", "main"]);
    let log = node.client.open(ID, "alloc/logs/main.stdout.0").await.unwrap();
    assert_eq!(std::io::read_to_string(log.file).unwrap(), "hello\n");
    assert!(matches!(node.client.open(ID, "../../etc/passwd").await, Err(ClientError::Escapes)));
    assert!(node.client.host_stats().await.unwrap().memory.total > 0);
    node.shutdown().await;
}
