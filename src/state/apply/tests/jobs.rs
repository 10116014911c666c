//! Jobs, versions, evaluations, scaling.

use serde_json::json;

use super::*;
use crate::model::JobStatus;
use crate::model::policy::PeriodicConfig;
use crate::state::RowTable;

fn changed(job: &Job) -> Job {
    Job { priority: job.priority + 1, ..job.clone() }
}

#[test]
fn the_same_specification_makes_no_new_version() {
    let mut world = World::new();
    world.register(job("a"));
    let applied = world.register(job("a"));
    assert_eq!(world.job("a").version, 0);
    assert!(matches!(applied.reply, Reply::Job { job_modify_index: 1, version: 0, .. }));
    let applied = world.register(changed(&job("a")));
    assert!(matches!(applied.reply, Reply::Job { job_modify_index: 3, version: 1, .. }));
    let now = world.job("a");
    assert_eq!((now.create_index, now.job_modify_index, now.version), (1, 3, 1));
    assert_eq!(world.state.job_versions(&key("a")).len(), 2);
}

#[test]
fn an_assumed_index_is_enforced_in_nomads_words() {
    let mut world = World::new();
    let register = |enforce| Intent::RegisterJob {
        job: Box::new(job("a")),
        submission: None,
        enforce_index: Some(enforce),
        eval: None,
    };
    let refusal = world.refused(register(7));
    let text = "Enforcing job modify index 7: job does not exist";
    assert_eq!(refusal, Refusal::Conflict(text.into()));
    world.ok(register(0));
    let refusal = world.refused(register(0));
    let text = "Enforcing job modify index 0: job already exists";
    assert_eq!(refusal, Refusal::Conflict(text.into()));
    let refusal = world.refused(register(9));
    let text = "Enforcing job modify index 9: job exists with conflicting job modify index: 2";
    assert_eq!(refusal, Refusal::Conflict(text.into()));
}

#[test]
fn a_status_follows_evaluations_and_allocations() {
    let mut world = World::new();
    world.ok(Intent::RegisterNode(Box::new(node("n"))));
    world.register(job("a"));
    assert_eq!(world.job("a").status, JobStatus::Pending);
    world.place("a", "n", &["1"]);
    assert_eq!(world.job("a").status, JobStatus::Running);
    world.complete("eval-1");
    assert_eq!(world.job("a").status, JobStatus::Running);
    world.tell("1", ClientStatus::Complete);
    assert_eq!(world.job("a").status, JobStatus::Dead);
}

#[test]
fn system_jobs_and_parents_run_until_they_are_stopped() {
    let mut world = World::new();
    let system = Job { kind: JobType::System, ..job("s") };
    let parent = Job { periodic: Some(PeriodicConfig::default()), ..job("p") };
    for job in [system, parent] {
        let id = job.id.clone();
        world.register(job);
        assert_eq!(world.job(&id).status, JobStatus::Running);
        world.ok(Intent::DeregisterJob {
            key: key(&id),
            purge: false,
            eval: None,
            no_shutdown_delay: false,
        });
        assert_eq!(world.job(&id).status, JobStatus::Dead);
    }
}

#[test]
fn a_stop_is_a_version_and_a_purge_leaves_what_runs() {
    let mut world = World::new();
    world.ok(Intent::RegisterNode(Box::new(node("n"))));
    world.register(job("a"));
    world.place("a", "n", &["1"]);
    let deregister = |purge| Intent::DeregisterJob {
        key: key("a"),
        purge,
        eval: Some(Box::new(eval("stop", &job("a")))),
        no_shutdown_delay: true,
    };
    world.ok(deregister(false));
    assert!(world.job("a").stop);
    assert_eq!(world.job("a").version, 1);
    assert_eq!(world.alloc("1").desired_transition.no_shutdown_delay, Some(true));
    assert_eq!(world.state.eval(&"stop".into()).unwrap().job_modify_index, 4);
    world.ok(deregister(true));
    assert!(world.state.job(&key("a")).is_none());
    assert!(world.state.job_summary(&key("a")).is_none());
    assert_eq!(world.alloc("1").job.as_ref().unwrap().version, 0);
    // Only the version that runs is left, and a new job of that ID does not touch it.
    assert_eq!(world.state.versions.len(), 1);
    world.register(changed(&job("a")));
    assert_eq!(world.job("a").version, 0);
    assert_eq!(world.alloc("1").job.as_ref().unwrap().priority, 50);
    assert_eq!(world.state.versions.len(), 2);
    let refusal = world.refused(Intent::DeregisterJob {
        key: key("nope"),
        purge: true,
        eval: None,
        no_shutdown_delay: false,
    });
    assert_eq!(refusal, Refusal::NotFound("job not found".into()));
}

#[test]
fn old_versions_go_unless_somebody_needs_them() {
    let mut world = World::new();
    world.ok(Intent::RegisterNode(Box::new(node("n"))));
    let mut spec = job("a");
    let next = |world: &mut World, spec: &mut Job| {
        *spec = changed(spec);
        world.register(spec.clone());
    };
    world.register(spec.clone());
    world.place("a", "n", &["1"]);
    next(&mut world, &mut spec);
    world.ok(Intent::TagJobVersion {
        key: key("a"),
        name: "good".into(),
        tag: Some((1, "it".into())),
    });
    next(&mut world, &mut spec);
    world.ok(Intent::SetJobStability { key: key("a"), version: 2, stable: true });
    for _ in 0..8 {
        next(&mut world, &mut spec);
    }
    let kept = |world: &World| -> Vec<u64> {
        world.state.job_versions(&key("a")).iter().map(|job| job.version).collect()
    };
    assert_eq!(kept(&world), [10, 9, 8, 7, 6, 5, 2, 1, 0]);
    world.tell("1", ClientStatus::Complete);
    world.ok(Intent::Collect {
        evals: Vec::new(),
        allocs: vec!["1".into()],
        deployments: Vec::new(),
        jobs: Vec::new(),
        nodes: Vec::new(),
    });
    assert_eq!(kept(&world), [10, 9, 8, 7, 6, 5, 2, 1]);
    world.ok(Intent::TagJobVersion { key: key("a"), name: "good".into(), tag: None });
    assert_eq!(kept(&world), [10, 9, 8, 7, 6, 5, 2]);
    let untag = Intent::TagJobVersion { key: key("a"), name: "good".into(), tag: None };
    let text = "tag \"good\" not found on job \"a\"";
    assert_eq!(world.refused(untag), Refusal::NotFound(text.into()));
}

#[test]
fn a_name_belongs_to_one_version() {
    let mut world = World::new();
    world.register(job("a"));
    world.register(changed(&job("a")));
    let tag = |version| Intent::TagJobVersion {
        key: key("a"),
        name: "good".into(),
        tag: Some((version, String::new())),
    };
    world.ok(tag(0));
    world.ok(tag(0));
    let text = "tag \"good\" already exists on a different version of job \"a\"";
    assert_eq!(world.refused(tag(1)), Refusal::Conflict(text.into()));
    let text = "job \"a\" version 99 not found";
    assert_eq!(world.refused(tag(99)), Refusal::NotFound(text.into()));
}

#[test]
fn a_successful_evaluation_cancels_the_blocked_ones() {
    let mut world = World::new();
    world.register(job("a"));
    let blocked = Evaluation { status: EvalStatus::Blocked, ..eval("blocked", &job("a")) };
    world.ok(Intent::UpsertEvals(vec![blocked]));
    let mut failed = Evaluation::clone(world.state.eval(&"eval-0".into()).unwrap());
    failed.status = EvalStatus::Complete;
    failed.failed_tg_allocs.insert("web".into(), crate::model::AllocMetric::default());
    failed.queued_allocations.insert("web".into(), 3);
    world.ok(Intent::UpsertEvals(vec![failed.clone()]));
    assert_eq!(world.job("a").status, JobStatus::Pending);
    assert_eq!(world.state.job_summary(&key("a")).unwrap().summary["web"].queued, 3);
    failed.failed_tg_allocs.clear();
    failed.queued_allocations.insert("web".into(), 0);
    world.ok(Intent::UpsertEvals(vec![failed]));
    let blocked = world.state.eval(&"blocked".into()).unwrap();
    assert_eq!(blocked.status, EvalStatus::Canceled);
    assert_eq!(blocked.status_description, "evaluation \"eval-0\" successful");
    assert_eq!(world.job("a").status, JobStatus::Dead);
}

#[test]
fn children_are_counted_at_their_parent() {
    let mut world = World::new();
    world.register(Job { periodic: Some(PeriodicConfig::default()), ..job("p") });
    let child = Job { parent_id: "p".into(), kind: JobType::Batch, ..job("p/periodic-1") };
    world.register(child);
    let counts = |world: &World| {
        let c = world.state.job_summary(&key("p")).unwrap().children.unwrap();
        (c.pending, c.running, c.dead)
    };
    assert_eq!(counts(&world), (1, 0, 0));
    assert_eq!(world.state.children(&key("p")).count(), 1);
    world.complete("eval-1");
    assert_eq!(counts(&world), (0, 0, 1));
    world.ok(Intent::Collect {
        evals: vec!["eval-1".into()],
        allocs: Vec::new(),
        deployments: Vec::new(),
        jobs: vec![key("p/periodic-1"), key("p")],
        nodes: Vec::new(),
    });
    assert!(world.state.job(&key("p/periodic-1")).is_none());
    assert!(world.state.job(&key("p")).is_some(), "a parent is not dead");
    assert_eq!(counts(&world), (0, 0, 1));
}

#[test]
fn scaling_changes_the_count_and_is_recorded() {
    let mut world = World::new();
    let mut spec = job("a");
    spec.task_groups[0].scaling = Some(crate::model::group::ScalingPolicy {
        kind: "horizontal".into(),
        max: 5,
        ..Default::default()
    });
    world.register(spec);
    let (id, policy) = world.state.rows(RowTable::ScalingPolicies).next().unwrap();
    assert_eq!(policy.value["ID"], json!(&**id));
    assert_eq!(policy.value["Target"]["Group"], json!("web"));
    let scale = |group: &str, count| Intent::ScaleJob {
        key: key("a"),
        group: group.into(),
        count,
        event: json!({ "Message": "more", "Error": false, "Meta": null, "Time": 5 }),
        eval: None,
    };
    world.ok(scale("web", Some(3)));
    world.ok(scale("web", None));
    assert_eq!(world.job("a").task_groups[0].count, 3);
    assert_eq!(world.job("a").version, 1);
    let row = world.state.row(RowTable::ScalingEvents, "default/a").unwrap();
    let events = &row.value["ScalingEvents"]["web"];
    assert_eq!((&events[0]["Count"], &events[0]["PreviousCount"]), (&json!(null), &json!(3)));
    assert_eq!((&events[1]["Count"], &events[1]["PreviousCount"]), (&json!(3), &json!(1)));
    assert_eq!(events[1]["CreateIndex"], json!(2));
    let text = "task group \"nope\" specified for scaling does not exist in job";
    assert_eq!(world.refused(scale("nope", Some(1))), Refusal::Invalid(text.into()));
    world.ok(Intent::DeregisterJob {
        key: key("a"),
        purge: true,
        eval: None,
        no_shutdown_delay: false,
    });
    assert_eq!(world.state.rows(RowTable::ScalingPolicies).count(), 0);
    assert_eq!(world.state.rows(RowTable::ScalingEvents).count(), 0);
}

#[test]
fn events_are_named_by_the_command() {
    let mut world = World::new();
    let applied = world.register(job("a"));
    let told: Vec<_> = applied.events.iter().map(|e| (e.topic(), e.kind, e.key())).collect();
    assert_eq!(told, [("Job", "JobRegistered", "a"), ("Evaluation", "JobRegistered", "eval-0")]);
    let event = applied.events[1].to_model();
    assert_eq!(event.filter_keys, ["a", ""]);
    assert_eq!(event.payload["Evaluation"]["JobModifyIndex"], json!(1));
    world.ok(Intent::RegisterNode(Box::new(node("n"))));
    let applied = world.place("a", "n", &["1"]);
    let alloc = applied.events.iter().find(|e| e.topic() == "Allocation").unwrap();
    assert_eq!(alloc.kind, "PlanResult");
    assert!(alloc.to_model().payload["Allocation"].get("Job").is_none());
}

#[test]
fn plain_rows_are_written_when_their_index_is_as_assumed() {
    let mut world = World::new();
    let put = |check| Intent::PutRow {
        table: RowTable::SchedulerConfig,
        key: "config".into(),
        row: json!({ "SchedulerAlgorithm": "spread" }),
        check_index: check,
    };
    world.ok(put(Some(0)));
    assert!(matches!(world.refused(put(Some(0))), Refusal::Conflict(_)));
    world.ok(put(Some(1)));
    let row = world.state.row(RowTable::SchedulerConfig, "config").unwrap();
    assert_eq!((row.create_index, row.modify_index), (1, 3));
    assert_eq!(row.value["ModifyIndex"], json!(3));
    let bad = Intent::PutRow {
        table: RowTable::Namespaces,
        key: "x".into(),
        row: json!([]),
        check_index: None,
    };
    assert!(matches!(world.refused(bad), Refusal::Invalid(_)));
    let absent = Intent::DeleteRow { table: RowTable::Namespaces, key: "x".into() };
    assert!(matches!(world.refused(absent), Refusal::NotFound(_)));
    world.ok(Intent::SetClusterId("one".into()));
    world.ok(Intent::SetClusterId("two".into()));
    assert_eq!(world.state.cluster_id(), Some("one"));
}
