//! Plans are believed only as far as they hold.

use super::*;
use crate::model::node::Eligibility;
use crate::model::{JobStatus, PlanResult};

fn result(applied: &Applied) -> Arc<PlanResult> {
    match &applied.reply {
        Reply::Plan(result) => Arc::clone(result),
        Reply::Done | Reply::Job { .. } | Reply::Refused(_) => panic!("no plan's result"),
    }
}

fn world() -> World {
    let mut world = World::new();
    world.ok(Intent::RegisterNode(Box::new(node("n"))));
    world.ok(Intent::RegisterNode(Box::new(node("m"))));
    world.register(job("a"));
    world
}

#[test]
fn a_placement_is_counted_and_shares_its_job() {
    let mut world = world();
    let applied = world.place("a", "n", &["1", "2"]);
    assert!(result(&applied).is_full());
    let (one, two) = (world.alloc("1"), world.alloc("2"));
    assert!(Arc::ptr_eq(one.job.as_ref().unwrap(), two.job.as_ref().unwrap()));
    assert_eq!((one.create_index, one.alloc_modify_index, one.job_version), (4, 4, None));
    assert_eq!(world.state.job_summary(&key("a")).unwrap().summary["web"].starting, 2);
    assert_eq!(world.state.allocs_by_node_non_terminal(&"n".into()).count(), 2);
    world.tell("1", ClientStatus::Running);
    let summary = world.state.job_summary(&key("a")).unwrap().summary["web"];
    assert_eq!((summary.starting, summary.running), (1, 1));
    assert_eq!(world.alloc("1").alloc_modify_index, 4, "a node's word is not a server's");
    assert_eq!(world.state.node(&"n".into()).unwrap().last_alloc_update_index, 5);
}

#[test]
fn what_has_no_room_is_refused_node_by_node() {
    let mut world = world();
    let job = world.job("a");
    let big = |id: &str, node: &str| {
        let mut alloc = alloc(id, &job, node);
        alloc.allocated_resources.tasks.get_mut("main").unwrap().memory.memory_mb = 600;
        alloc
    };
    let mut plan = Plan { job: Some(Arc::clone(&job)), ..Plan::default() };
    plan.node_allocation.insert("n".into(), vec![big("1", "n"), big("2", "n")]);
    plan.node_allocation.insert("m".into(), vec![big("3", "m")]);
    let intent = Intent::ApplyPlan {
        plan: Box::new(plan.clone()),
        preemption_evals: vec![],
        on_full: vec![],
    };
    let part = result(&world.ok(intent));
    assert_eq!(
        part.rejected_nodes.keys().map(crate::model::NodeId::as_str).collect::<Vec<_>>(),
        ["n"]
    );
    assert!(part.rejected_nodes["n"].contains("memory"));
    assert_eq!(part.refresh_index, world.index());
    assert!(world.state.alloc(&"1".into()).is_none());
    assert!(world.state.alloc(&"3".into()).is_some());
    plan.all_at_once = true;
    plan.node_allocation.insert("m".into(), vec![alloc("4", &job, "m")]);
    let intent =
        Intent::ApplyPlan { plan: Box::new(plan), preemption_evals: vec![], on_full: vec![] };
    assert!(result(&world.ok(intent)).node_allocation.is_empty());
    assert!(world.state.alloc(&"4".into()).is_none());
}

#[test]
fn a_port_is_given_once_and_passes_from_the_stopped_to_the_new() {
    let mut world = world();
    let job = world.job("a");
    let first = with_port(alloc("1", &job, "n"), 80);
    world.ok(plan(&job, "n", vec![first], vec![]));
    let second = with_port(alloc("2", &job, "n"), 80);
    let refused = result(&world.ok(plan(&job, "n", vec![second.clone()], vec![])));
    let reason = &refused.rejected_nodes["n"];
    assert!(reason.contains("reserved port collision http=80 (held by job `a`)"), "{reason}");
    let old = stopped(&world.alloc("1"));
    assert!(result(&world.ok(plan(&job, "n", vec![second], vec![old]))).is_full());
    assert_eq!(world.alloc("1").desired_status, DesiredStatus::Stop);
    assert_eq!(world.state.allocs_by_node_non_terminal(&"n".into()).count(), 1);
    assert_eq!(world.state.allocs_by_node(&"n".into()).count(), 2);
}

#[test]
fn only_ready_nodes_take_allocations() {
    let mut world = world();
    let job = world.job("a");
    world.place("a", "n", &["1"]);
    world.ok(Intent::UpdateNodeEligibility {
        node: "n".into(),
        eligibility: Eligibility::Ineligible,
        event: None,
        evals: vec![],
    });
    let reject = |world: &mut World, id: &str, node: &str| {
        let intent = plan(&job, node, vec![alloc(id, &job, node)], vec![]);
        result(&world.ok(intent)).rejected_nodes.get(node).cloned()
    };
    assert_eq!(reject(&mut world, "2", "n"), Some("node is not eligible".into()));
    assert_eq!(reject(&mut world, "1", "n"), None, "an update in place may stay");
    assert_eq!(reject(&mut world, "3", "x"), Some("node does not exist".into()));
    world.ok(Intent::UpdateNodeStatus {
        node: "m".into(),
        status: NodeStatus::Down,
        event: None,
        evals: vec![],
    });
    assert_eq!(reject(&mut world, "4", "m"), Some("node is not ready for placements".into()));
}

#[test]
fn of_an_existing_allocation_the_nodes_own_words_stay() {
    let mut world = world();
    let job = world.job("a");
    world.place("a", "n", &["1"]);
    let snapshot = world.alloc("1");
    world.tell("1", ClientStatus::Running);
    // A scheduler that saw it pending.
    world.ok(plan(&job, "n", vec![Allocation::clone(&snapshot)], vec![]));
    assert_eq!(world.alloc("1").client_status, ClientStatus::Running);
    let lost = Allocation {
        client_status: ClientStatus::Lost,
        client_description: "alloc is lost since its node is down".into(),
        ..stopped(&snapshot)
    };
    world.ok(plan(&job, "n", vec![], vec![lost]));
    assert_eq!(world.alloc("1").client_status, ClientStatus::Lost);
    let summary = world.state.job_summary(&key("a")).unwrap().summary["web"];
    assert_eq!((summary.running, summary.lost), (0, 1));
}

#[test]
fn a_replacement_is_linked_both_ways() {
    let mut world = world();
    let job = world.job("a");
    world.place("a", "n", &["1"]);
    let next = Allocation { previous_allocation: "1".into(), ..alloc("2", &job, "m") };
    world.ok(plan(&job, "m", vec![next], vec![]));
    assert_eq!(world.alloc("1").next_allocation.as_str(), "2");
    assert_eq!(world.alloc("1").alloc_modify_index, 4);
}

#[test]
fn a_plan_for_a_purged_job_places_nothing() {
    let mut world = world();
    let job = world.job("a");
    world.ok(Intent::DeregisterJob {
        key: key("a"),
        purge: true,
        eval: None,
        no_shutdown_delay: false,
    });
    let applied = world.ok(plan(&job, "n", vec![alloc("1", &job, "n")], vec![]));
    assert_eq!(result(&applied).rejected_nodes["n"], "job `a` was purged");
}

#[test]
fn an_evicted_allocation_says_for_whom() {
    let mut world = world();
    let job = world.job("a");
    world.place("a", "n", &["1"]);
    let gone =
        Allocation { preempted_by_allocation: "2".into(), ..Allocation::clone(&world.alloc("1")) };
    let mut plan = Plan { job: Some(Arc::clone(&job)), ..Plan::default() };
    plan.node_allocation.insert("n".into(), vec![alloc("2", &job, "n")]);
    plan.node_preemptions.insert("n".into(), vec![gone]);
    world.ok(Intent::ApplyPlan { plan: Box::new(plan), preemption_evals: vec![], on_full: vec![] });
    let one = world.alloc("1");
    assert_eq!(one.desired_status, DesiredStatus::Evict);
    assert_eq!(one.desired_description, "Preempted by alloc ID 2");
    assert_eq!(world.job("a").status, JobStatus::Running);
}
