//! Deployments from end to end.

use stead::model::*;

use super::crowd::{Crowd, changed, job, key, node, rolling, running};

fn of_version(state: &stead::state::State, id: &str, version: u64) -> usize {
    state
        .allocs_by_job(&key(id))
        .filter(|a| {
            a.version() == version
                && a.client_status == ClientStatus::Running
                && !a.is_server_terminal()
        })
        .count()
}

fn latest(state: &stead::state::State, id: &str) -> Option<DeploymentStatus> {
    state.latest_deployment(&key(id)).map(|deployment| deployment.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_rolls_and_never_changes_more_than_it_may() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 1000)).await;
    let web = rolling(job("web", JobType::Service, 6, 10), 2, 0);
    crowd.register(web.clone()).await;
    crowd
        .until("the first is done", |s| latest(s, "web") == Some(DeploymentStatus::Successful))
        .await;
    let mut follow = crowd.server.watch().follow();
    crowd.register(changed(web, "2")).await;
    let mut least = usize::MAX;
    loop {
        let state = follow.borrow_and_update().clone();
        least = least.min(running(&state, "web"));
        if of_version(&state, "web", 1) == 6
            && latest(&state, "web") == Some(DeploymentStatus::Successful)
        {
            break;
        }
        tokio::time::timeout(super::crowd::LONG, follow.changed()).await.expect("in time").unwrap();
    }
    assert!(least >= 4, "only {least} ran at a time");
    assert!(crowd.server.state().job(&key("web")).unwrap().stable);
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn canaries_wait_for_their_promotion() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 1000)).await;
    let web = rolling(job("web", JobType::Service, 3, 10), 3, 1);
    crowd.register(web.clone()).await;
    crowd
        .until("the first is done", |s| latest(s, "web") == Some(DeploymentStatus::Successful))
        .await;
    crowd.register(changed(web, "2")).await;
    let state = crowd
        .until("the canary is healthy", |s| {
            s.latest_deployment(&key("web"))
                .is_some_and(|d| d.job_version == 1 && d.task_groups["app"].healthy_allocs == 1)
        })
        .await;
    assert_eq!((of_version(&state, "web", 0), of_version(&state, "web", 1)), (3, 1));
    let id = state.latest_deployment(&key("web")).unwrap().id.clone();
    crowd.server.promote_deployment(&id, None).await.unwrap();
    let state = crowd
        .until("all are new", |s| {
            of_version(s, "web", 1) == 3 && latest(s, "web") == Some(DeploymentStatus::Successful)
        })
        .await;
    assert_eq!(of_version(&state, "web", 0), 0);
    let error = crowd.server.promote_deployment(&id, None).await.unwrap_err();
    assert_eq!(error.to_string(), "can't promote terminal deployment");
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_deployment_goes_back_to_the_stable_version() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 1000)).await;
    let web = rolling(job("web", JobType::Service, 2, 10), 1, 0);
    crowd.register(web.clone()).await;
    crowd
        .until("the first is done", |s| latest(s, "web") == Some(DeploymentStatus::Successful))
        .await;
    crowd.ending("web", ClientStatus::Pending);
    crowd.register(changed(web, "2")).await;
    let state = crowd
        .until("it rolls", |s| s.latest_deployment(&key("web")).is_some_and(|d| d.job_version == 1))
        .await;
    let id = state.latest_deployment(&key("web")).unwrap().id.clone();
    crowd.ending("web", ClientStatus::Running);
    let failed = crowd.server.fail_deployment(&id).await.unwrap();
    assert_eq!(failed.reverted_to, Some(0));
    let state = crowd
        .until("the old specification runs again", |s| {
            of_version(s, "web", 2) == 2 && latest(s, "web") == Some(DeploymentStatus::Successful)
        })
        .await;
    let text = &state.deployment(&id).unwrap().status_description;
    assert_eq!(text, "Deployment marked as failed - rolling back to job version 0");
    crowd.shutdown().await;
}
