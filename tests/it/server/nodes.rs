//! Nodes that come, go, drain and fall silent.

use std::collections::BTreeMap;

use stead::model::node::{DrainStrategy, Eligibility};
use stead::model::*;
use stead::raft::RaftConfig;
use stead::server::ServerConfig;
use stead::server::heartbeats::Pace;

use super::crowd::{Crowd, job, key, node, running};

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_down_and_its_allocations_run_elsewhere() {
    let pace = Pace {
        min_ttl: Nanos::from_millis(200),
        grace: Nanos::from_millis(200),
        ..Pace::default()
    };
    let config = ServerConfig { pace, ..ServerConfig::default() };
    let crowd = Crowd::with(config, RaftConfig::in_memory()).await;
    crowd.join(node("a", 1000, 1000)).await;
    crowd.register(job("web", JobType::Service, 2, 10)).await;
    crowd.until("both run on the only node", |state| running(state, "web") == 2).await;
    crowd.silence("a");
    let b = node("b", 1000, 1000);
    crowd.join(b.clone()).await;
    let server = crowd.server.clone();
    let beats = async {
        loop {
            server.heartbeat(&b.id).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let moved = crowd.until("they run on the other", |state| {
        state.node(&"a".into()).unwrap().status == NodeStatus::Down
            && state
                .allocs_by_node(&"b".into())
                .filter(|a| a.client_status == ClientStatus::Running)
                .count()
                == 2
    });
    let state = tokio::select! { state = moved => state, () = beats => unreachable!() };
    let lost = state.allocs_by_node(&"a".into()).all(|a| a.client_status == ClientStatus::Lost);
    assert!(lost, "{}", super::crowd::describe(&state));
    // It is heard of again: ready, with nothing to run.
    crowd.server.heartbeat(&"a".into()).await.unwrap();
    crowd.until("it is ready", |s| s.node(&"a".into()).unwrap().status == NodeStatus::Ready).await;
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_node_is_told_to_register() {
    let crowd = Crowd::new().await;
    let error = crowd.server.heartbeat(&"nobody".into()).await.unwrap_err();
    assert_eq!(error.to_string(), "node not found");
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_node_is_left_one_by_one_and_the_system_job_goes_last() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 1000)).await;
    crowd.register(job("web", JobType::Service, 3, 10)).await;
    crowd.register(job("logs", JobType::System, 1, 10)).await;
    crowd.until("all run", |s| running(s, "web") == 3 && running(s, "logs") == 1).await;
    crowd.join(node("b", 1000, 1000)).await;
    crowd.until("the system job is on both", |s| running(s, "logs") == 2).await;
    let strategy = DrainStrategy { deadline: Nanos::from_secs(600), ..DrainStrategy::default() };
    crowd
        .server
        .update_node_drain(&"a".into(), Some(strategy), false, BTreeMap::new())
        .await
        .unwrap();
    let state = crowd
        .until("the drain is complete", |state| {
            let node = state.node(&"a".into()).unwrap();
            node.drain_strategy.is_none() && running(state, "web") == 3
        })
        .await;
    let node = state.node(&"a".into()).unwrap();
    assert_eq!(node.scheduling_eligibility, Eligibility::Ineligible);
    assert_eq!(node.last_drain.as_ref().unwrap().status, "complete");
    assert!(state.allocs_by_node(&"a".into()).all(|alloc| alloc.is_client_terminal()));
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_job_comes_to_a_new_node() {
    let crowd = Crowd::new().await;
    crowd.register(job("logs", JobType::System, 1, 10)).await;
    crowd.join(node("a", 1000, 1000)).await;
    crowd.until("it is on the first", |s| running(s, "logs") == 1).await;
    crowd.join(node("b", 1000, 1000)).await;
    crowd.until("it is on the second", |s| running(s, "logs") == 2).await;
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ineligible_node_gets_nothing_until_it_is_eligible() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 1000)).await;
    let a = NodeId::from("a");
    crowd.server.update_node_eligibility(&a, Eligibility::Ineligible).await.unwrap();
    crowd.register(job("web", JobType::Service, 1, 10)).await;
    crowd
        .until("it is blocked", |s| {
            s.evals_by_job(&key("web")).any(|e| e.status == EvalStatus::Blocked)
        })
        .await;
    crowd.server.update_node_eligibility(&a, Eligibility::Eligible).await.unwrap();
    crowd.until("it runs", |s| running(s, "web") == 1).await;
    crowd.shutdown().await;
}
