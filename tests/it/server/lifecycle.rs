//! From registering a job to its end.

use stead::model::policy::ReschedulePolicy;
use stead::model::*;
use stead::server::{Failed, Purge, RegisterJob, ServerError};

use super::crowd::{Crowd, changed, job, key, node, running};

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_job_is_evaluated_placed_and_runs() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 1000)).await;
    let done = crowd.register(job("web", JobType::Service, 3, 10)).await;
    let state = crowd.until("three run", |state| running(state, "web") == 3).await;
    let eval = state.eval(&done.eval_id).unwrap();
    assert_eq!((eval.status, eval.triggered_by), (EvalStatus::Complete, EvalTrigger::JobRegister));
    assert_eq!(eval.queued_allocations["app"], 0);
    assert_eq!(state.job(&key("web")).unwrap().status, JobStatus::Running);
    assert!(state.cluster_id().is_some());
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unplaceable_job_waits_and_starts_when_room_appears() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 100)).await;
    let done = crowd.register(job("big", JobType::Service, 1, 500)).await;
    let state = crowd
        .until("it is blocked", |state| {
            state.eval(&done.eval_id).is_some_and(|eval| eval.status == EvalStatus::Complete)
        })
        .await;
    let eval = state.eval(&done.eval_id).unwrap();
    assert_eq!(eval.failed_tg_allocs["app"].dimension_exhausted["memory"], 1);
    let blocked = state.eval(&eval.blocked_eval).unwrap();
    assert_eq!(blocked.status, EvalStatus::Blocked);
    crowd.join(node("b", 1000, 1000)).await;
    let state = crowd.until("it runs", |state| running(state, "big") == 1).await;
    let blocked = state.eval(&blocked.id).unwrap();
    assert_eq!(blocked.status, EvalStatus::Complete);
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn room_that_another_job_frees_is_used() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 600)).await;
    crowd.register(job("first", JobType::Service, 1, 500)).await;
    crowd.until("the first runs", |state| running(state, "first") == 1).await;
    crowd.register(job("second", JobType::Service, 1, 500)).await;
    crowd
        .until("the second is blocked", |state| {
            state.evals_by_job(&key("second")).any(|eval| eval.status == EvalStatus::Blocked)
        })
        .await;
    crowd.server.deregister_job(&key("first"), Purge::No, None).await.unwrap();
    crowd.until("the second runs", |state| running(state, "second") == 1).await;
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_job_stops_and_a_purged_one_is_gone() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 1000)).await;
    crowd.register(job("web", JobType::Service, 2, 10)).await;
    crowd.until("two run", |state| running(state, "web") == 2).await;
    crowd.server.deregister_job(&key("web"), Purge::No, None).await.unwrap();
    let ended = |state: &stead::state::State| {
        state.allocs_by_job(&key("web")).all(|a| a.client_status == ClientStatus::Complete)
    };
    let state = crowd.until("all have ended", ended).await;
    assert!(state.job(&key("web")).unwrap().stop);
    crowd.until("it is dead", |s| s.job(&key("web")).unwrap().status == JobStatus::Dead).await;
    crowd.server.deregister_job(&key("web"), Purge::Yes, None).await.unwrap();
    crowd.until("it is gone", |state| state.job(&key("web")).is_none()).await;
    let none = crowd.server.deregister_job(&key("nope"), Purge::No, None).await.unwrap();
    assert_eq!(none.index, 0);
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_collected_on_demand() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 1000)).await;
    crowd.ending("sum", ClientStatus::Complete);
    crowd.register(job("sum", JobType::Batch, 2, 10)).await;
    crowd
        .until("it is done", |state| {
            state.job(&key("sum")).is_some_and(|job| job.status == JobStatus::Dead)
        })
        .await;
    crowd.server.force_collect().await.unwrap();
    let state = crowd.server.state();
    assert!(state.job(&key("sum")).is_none(), "{}", super::crowd::describe(&state));
    assert_eq!(state.allocs().count() + state.evals().count(), 0);
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_allocation_is_replaced() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 1000)).await;
    let mut web = job("web", JobType::Service, 1, 10);
    web.task_groups[0].reschedule_policy = Some(ReschedulePolicy {
        delay: Nanos::from_millis(100),
        delay_function: "constant".into(),
        unlimited: true,
        ..Default::default()
    });
    crowd.ending("web", ClientStatus::Failed);
    crowd.register(web).await;
    let state = crowd
        .until("it is replaced twice", |state| state.allocs_by_job(&key("web")).count() >= 3)
        .await;
    let chained =
        state.allocs_by_job(&key("web")).filter(|a| !a.next_allocation.is_empty()).count();
    assert!(chained >= 2);
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_would_happen_and_does_not_do_it() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 1000)).await;
    let web = job("web", JobType::Service, 2, 10);
    let plan = crowd.server.plan_job(web.clone()).unwrap();
    assert_eq!(plan.annotations.unwrap().desired_tg_updates["app"].place, 2);
    assert!(plan.before.is_none() && plan.failed.is_empty());
    assert_eq!(crowd.server.state().jobs().count(), 0);
    crowd.register(web.clone()).await;
    crowd.until("two run", |state| running(state, "web") == 2).await;
    let same = crowd.server.plan_job(web.clone()).unwrap();
    assert_eq!(same.annotations.unwrap().desired_tg_updates["app"].ignore, 2);
    let plan = crowd.server.plan_job(changed(web, "2")).unwrap();
    assert_eq!(plan.annotations.unwrap().desired_tg_updates["app"].destructive_update, 2);
    let index = crowd.server.state().job(&key("web")).unwrap().job_modify_index;
    assert_eq!(plan.job_modify_index, index);
    let big = crowd.server.plan_job(job("big", JobType::Service, 1, 5000)).unwrap();
    assert_eq!(big.failed["app"].dimension_exhausted["memory"], 1);
    assert_eq!(big.created_evals[0].status, EvalStatus::Blocked);
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_in_nomads_words() {
    let crowd = Crowd::new().await;
    let refused = |job: Job, enforce_index| {
        let server = crowd.server.clone();
        let wanted = RegisterJob { job, enforce_index, ..RegisterJob::default() };
        async move { server.register_job(wanted).await.unwrap_err().to_string() }
    };
    let mut elsewhere = job("web", JobType::Service, 1, 10);
    elsewhere.namespace = "nope".into();
    let text = refused(elsewhere, None).await;
    assert_eq!(text, "1 error occurred:\n\t* job \"web\" is in nonexistent namespace \"nope\"\n\n");
    let mut pool = job("web", JobType::Service, 1, 10);
    pool.node_pool = "nope".into();
    assert!(refused(pool, None).await.contains("nonexistent node pool \"nope\""));
    let web = job("web", JobType::Service, 1, 10);
    let text = refused(web.clone(), Some(7)).await;
    assert_eq!(text, "Enforcing job modify index 7: job does not exist");
    crowd.register(web.clone()).await;
    let text = refused(Job { kind: JobType::Batch, ..web }, None).await;
    assert_eq!(text, "cannot update job from type \"service\" to \"batch\"");
    let error = crowd.server.evaluate_job(&key("nope"), Failed::Leave).await.unwrap_err();
    assert_eq!(error, ServerError::NotFound("job not found".into()));
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_can_be_run_again() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 1000)).await;
    let web = job("web", JobType::Service, 1, 10);
    crowd.register(web.clone()).await;
    crowd.register(changed(web, "2")).await;
    let text = crowd.server.revert_job(&key("web"), 1, None).await.unwrap_err().to_string();
    assert_eq!(text, "can't revert to current version");
    let text = crowd.server.revert_job(&key("web"), 9, None).await.unwrap_err().to_string();
    assert_eq!(text, "job \"web\" in namespace \"default\" at version 9 not found");
    let back = crowd.server.revert_job(&key("web"), 0, None).await.unwrap();
    assert_eq!(back.version, 2);
    let state = crowd.server.state();
    assert!(state.job(&key("web")).unwrap().task_groups[0].tasks[0].env.is_empty());
    crowd.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_allocation_gets_a_successor() {
    let crowd = Crowd::new().await;
    crowd.join(node("a", 1000, 1000)).await;
    crowd.register(job("web", JobType::Service, 1, 10)).await;
    let state = crowd.until("it runs", |state| running(state, "web") == 1).await;
    let first = state.allocs_by_job(&key("web")).next().unwrap().id.clone();
    crowd.server.stop_alloc(&first, false).await.unwrap();
    let state = crowd
        .until("another runs", |state| {
            running(state, "web") == 1 && state.alloc(&first).unwrap().is_client_terminal()
        })
        .await;
    assert!(!state.alloc(&first).unwrap().next_allocation.is_empty());
    crowd.shutdown().await;
}
