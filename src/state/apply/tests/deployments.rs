//! Deployments.

use super::*;
use crate::model::allocation::AllocDeploymentStatus;
use crate::model::deployment::DeploymentState;
use crate::model::plan::DeploymentStatusUpdate;
use crate::model::{Deployment, DeploymentStatus, JobStatus, Nanos};

fn deployment(job: &Job) -> Deployment {
    let group = DeploymentState {
        desired_total: 2,
        desired_canaries: 1,
        progress_deadline: Nanos::from_secs(10),
        ..DeploymentState::default()
    };
    Deployment {
        id: "d".into(),
        namespace: job.namespace.clone(),
        job_id: job.id.clone(),
        job_version: job.version,
        job_create_index: job.create_index,
        status: DeploymentStatus::Running,
        task_groups: [("web".to_owned(), group)].into(),
        ..Deployment::default()
    }
}

fn canary(id: &str, job: &Arc<Job>) -> Allocation {
    Allocation {
        deployment_id: "d".into(),
        deployment_status: Some(AllocDeploymentStatus { canary: true, ..Default::default() }),
        ..alloc(id, job, "n")
    }
}

fn world() -> World {
    let mut world = World::new();
    world.ok(Intent::RegisterNode(Box::new(node("n"))));
    world.register(job("a"));
    let job = world.job("a");
    let mut plan = Plan { job: Some(Arc::clone(&job)), ..Plan::default() };
    plan.deployment = Some(deployment(&job));
    plan.node_allocation.insert("n".into(), vec![canary("1", &job)]);
    world.ok(Intent::ApplyPlan { plan: Box::new(plan), preemption_evals: vec![], on_full: vec![] });
    world
}

fn group(world: &World) -> DeploymentState {
    world.state.deployment(&"d".into()).unwrap().task_groups["web"].clone()
}

fn healthy(world: &mut World, id: &str, healthy: bool) {
    let mut told = Allocation::clone(&world.alloc(id));
    told.client_status = ClientStatus::Running;
    told.deployment_status = Some(AllocDeploymentStatus {
        healthy: Some(healthy),
        timestamp: Timestamp(50_000_000_000),
        ..Default::default()
    });
    world.ok(Intent::UpdateAllocsFromClient { allocs: vec![told], evals: vec![] });
}

#[test]
fn placements_and_health_are_counted() {
    let mut world = world();
    assert_eq!(group(&world).placed_allocs, 1);
    assert_eq!(group(&world).placed_canaries.len(), 1);
    assert_eq!(group(&world).require_progress_by, Timestamp(13_000_000_000));
    healthy(&mut world, "1", true);
    assert_eq!((group(&world).healthy_allocs, group(&world).unhealthy_allocs), (1, 0));
    assert_eq!(group(&world).require_progress_by, Timestamp(60_000_000_000));
    assert!(world.alloc("1").deployment_status.as_ref().unwrap().canary, "a node cannot promote");
    healthy(&mut world, "1", false);
    assert_eq!((group(&world).healthy_allocs, group(&world).unhealthy_allocs), (0, 1));
}

#[test]
fn only_healthy_canaries_are_promoted() {
    let mut world = world();
    let promote = Intent::PromoteDeployment { id: "d".into(), groups: None, eval: None };
    let text = "Task group \"web\" has 0/1 healthy allocations";
    assert_eq!(world.refused(promote.clone()), Refusal::Conflict(text.into()));
    healthy(&mut world, "1", true);
    world.ok(promote);
    assert!(group(&world).promoted);
    assert!(!world.alloc("1").deployment_status.as_ref().unwrap().canary);
    assert_eq!(world.alloc("1").alloc_modify_index, world.index());
}

#[test]
fn success_makes_the_version_stable_and_is_final() {
    let mut world = world();
    let update = |status| Intent::UpdateDeployment {
        update: DeploymentStatusUpdate {
            deployment_id: "d".into(),
            status,
            status_description: String::new(),
        },
        revert: None,
        eval: None,
    };
    assert!(!world.job("a").stable);
    world.ok(update(DeploymentStatus::Successful));
    assert!(world.job("a").stable);
    assert_eq!(world.job("a").version, 0);
    let refusal = world.refused(update(DeploymentStatus::Failed));
    let text = "deployment \"d\" has terminal status \"successful\"";
    assert_eq!(refusal, Refusal::Conflict(text.into()));
}

#[test]
fn a_failed_deployment_can_take_the_job_back() {
    let mut world = world();
    let older = Job { priority: 7, ..job("a") };
    let applied = world.ok(Intent::UpdateDeploymentAllocHealth {
        id: "d".into(),
        healthy: vec![],
        unhealthy: vec!["1".into()],
        update: Some(DeploymentStatusUpdate {
            deployment_id: "d".into(),
            status: DeploymentStatus::Failed,
            status_description: "Failed due to unhealthy allocations".into(),
        }),
        revert: Some(Box::new(older)),
        eval: Some(Box::new(eval("back", &job("a")))),
    });
    assert_eq!(world.job("a").priority, 7);
    assert_eq!(world.job("a").version, 1);
    let index = world.index();
    assert_eq!(world.state.eval(&"back".into()).unwrap().job_modify_index, index);
    assert_eq!(group(&world).unhealthy_allocs, 1);
    assert!(matches!(applied.reply, Reply::Job { version: 1, .. }));
}

#[test]
fn health_is_refused_for_what_is_not_in_the_deployment() {
    let mut world = world();
    world.place("a", "n", &["other"]);
    let tell = |id: &str| Intent::UpdateDeploymentAllocHealth {
        id: "d".into(),
        healthy: vec!["1".into(), id.into()],
        unhealthy: vec![],
        update: None,
        revert: None,
        eval: None,
    };
    assert!(matches!(world.refused(tell("none")), Refusal::NotFound(_)));
    let text = "alloc \"other\" not part of deployment \"d\"";
    assert_eq!(world.refused(tell("other")), Refusal::Invalid(text.into()));
}

#[test]
fn an_active_deployment_keeps_its_job_running_and_unscaled() {
    let mut world = world();
    world.tell("1", ClientStatus::Complete);
    assert_eq!(world.job("a").status, JobStatus::Running);
    let scale = Intent::ScaleJob {
        key: key("a"),
        group: "web".into(),
        count: Some(2),
        event: serde_json::json!({}),
        eval: None,
    };
    let text = "job scaling blocked due to active deployment";
    assert_eq!(world.refused(scale), Refusal::Invalid(text.into()));
    assert_eq!(world.state.latest_deployment(&key("a")).unwrap().id.as_str(), "d");
}

#[test]
fn what_a_watcher_read_before_does_not_undo_counts() {
    let mut world = world();
    let read = Deployment::clone(world.state.deployment(&"d".into()).unwrap());
    healthy(&mut world, "1", true);
    world.ok(Intent::UpsertDeployment(Box::new(read)));
    assert_eq!(group(&world).healthy_allocs, 1);
}

#[test]
fn canaries_that_found_no_room_are_forgotten() {
    let mut world = World::new();
    world.register(job("a"));
    let job = world.job("a");
    let mut planned = deployment(&job);
    planned.task_groups.get_mut("web").unwrap().placed_canaries = vec!["1".into()];
    let mut plan = Plan { job: Some(Arc::clone(&job)), ..Plan::default() };
    plan.deployment = Some(planned);
    plan.node_allocation.insert("n".into(), vec![canary("1", &job)]);
    world.ok(Intent::ApplyPlan { plan: Box::new(plan), preemption_evals: vec![], on_full: vec![] });
    assert!(group(&world).placed_canaries.is_empty());
}
