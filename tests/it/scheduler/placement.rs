//! Placing, stopping, failing and starting over of service and batch jobs.

use stead::model::node::Eligibility;
use stead::model::policy::DisconnectStrategy;
use stead::model::*;

use super::world::{World, first_alive, group, job, node, port, rescheduling};

fn names(world: &World, id: &str) -> Vec<String> {
    let mut names: Vec<String> = world.alive(id).iter().map(|a| a.name.clone()).collect();
    names.sort();
    names
}

#[test]
fn a_service_gets_as_many_as_it_wants() {
    let mut world = World::with_nodes(5);
    world.register(job("web", JobType::Service, vec![group("app", 3, 100, 100)]));
    let outcome = world.run("web");
    assert_eq!(names(&world, "web"), ["web.app[0]", "web.app[1]", "web.app[2]"]);
    assert!(outcome.is_complete() && outcome.blocked.is_none());
    assert_eq!(outcome.queued["app"], 0);
    let annotations = outcome.plan.annotations.unwrap();
    assert_eq!(annotations.desired_tg_updates["app"].place, 3);
}

#[test]
fn nothing_is_done_twice() {
    let mut world = World::with_nodes(2);
    world.register(job("web", JobType::Service, vec![group("app", 3, 100, 100)]));
    world.run("web");
    world.obey();
    assert!(world.run("web").plan.is_no_op());
}

#[test]
fn a_stopped_job_stops_all_and_places_nothing() {
    let mut world = World::with_nodes(2);
    let mut web = job("web", JobType::Service, vec![group("app", 3, 100, 100)]);
    world.register(web.clone());
    world.run("web");
    web.stop = true;
    world.register(web);
    let outcome = world.run("web");
    assert_eq!(outcome.plan.node_update.values().flatten().count(), 3);
    assert!(world.alive("web").is_empty());
}

#[test]
fn a_purged_job_stops_all() {
    let mut world = World::with_nodes(1);
    let web = world.register(job("web", JobType::Service, vec![group("app", 2, 100, 100)]));
    world.run("web");
    let eval = world.evaluation(&web);
    let versions = world.jobs.remove(&web.key()).unwrap();
    let outcome = world.decide(&eval);
    world.jobs.insert(web.key(), versions);
    world.apply(&outcome);
    assert!(world.alive("web").is_empty());
}

#[test]
fn scaling_down_stops_the_highest_names() {
    let mut world = World::with_nodes(3);
    world.register(job("web", JobType::Service, vec![group("app", 5, 100, 100)]));
    world.run("web");
    world.obey();
    world.register(job("web", JobType::Service, vec![group("app", 2, 100, 100)]));
    world.run("web");
    assert_eq!(names(&world, "web"), ["web.app[0]", "web.app[1]"]);
}

#[test]
fn a_removed_group_is_stopped() {
    let mut world = World::with_nodes(1);
    let groups = vec![group("a", 1, 100, 100), group("b", 1, 100, 100)];
    world.register(job("web", JobType::Service, groups));
    world.run("web");
    world.register(job("web", JobType::Service, vec![group("a", 1, 100, 100)]));
    world.run("web");
    assert_eq!(names(&world, "web"), ["web.a[0]"]);
}

#[test]
fn what_has_no_room_waits_and_says_what_is_lacking() {
    let mut world = World::new();
    world.add_node(node("a", 1000, 1000));
    world.register(job("web", JobType::Service, vec![group("app", 3, 400, 100)]));
    let outcome = world.run("web");
    assert_eq!(names(&world, "web").len(), 2);
    assert_eq!(outcome.queued["app"], 1);
    let why = &outcome.failed["app"];
    assert_eq!(why.dimension_exhausted["cpu"], 1);
    assert_eq!(why.resources_exhausted["main"].cpu, 400);
    assert_eq!((why.nodes_evaluated, why.nodes_exhausted, why.nodes_in_pool), (1, 1, 1));
    let blocked = outcome.blocked.unwrap();
    assert_eq!(blocked.status, EvalStatus::Blocked);
    assert!(!blocked.escaped_computed_class);
    assert_eq!(blocked.class_eligibility.values().collect::<Vec<_>>(), [&true]);

    // Room appears: the blocked evaluation places the rest.
    world.add_node(node("b", 1000, 1000));
    let outcome = world.run_eval(&blocked);
    assert!(outcome.is_complete() && outcome.blocked.is_none());
    assert_eq!(names(&world, "web").len(), 3);
}

#[test]
fn a_blocked_evaluation_without_room_goes_on_waiting_as_itself() {
    let mut world = World::new();
    world.add_node(node("a", 100, 100));
    world.register(job("web", JobType::Service, vec![group("app", 1, 400, 100)]));
    let first = world.run("web").blocked.unwrap();
    let second = world.run_eval(&first).blocked.unwrap();
    assert_eq!(first.id, second.id);
}

#[test]
fn a_static_port_is_refused_with_the_job_that_holds_it() {
    let mut world = World::with_nodes(1);
    world.register(job("first", JobType::Service, vec![port(group("app", 1, 1, 1), "http", 80)]));
    world.run("first");
    world.register(job("second", JobType::Service, vec![port(group("app", 1, 1, 1), "web", 80)]));
    let outcome = world.run("second");
    let why: Vec<_> = outcome.failed["app"].dimension_exhausted.keys().cloned().collect();
    assert_eq!(why, ["network: reserved port collision web=80 (held by job `first`)"]);
}

#[test]
fn a_port_is_free_only_when_its_holder_has_ended() {
    let mut world = World::with_nodes(1);
    let mut first = job("first", JobType::Service, vec![port(group("app", 1, 1, 1), "http", 80)]);
    world.register(first.clone());
    world.run("first");
    world.obey();
    first.stop = true;
    world.register(first);
    world.run("first");
    world.register(job("second", JobType::Service, vec![port(group("app", 1, 1, 1), "web", 80)]));
    let blocked = world.run("second").blocked.unwrap();
    world.obey();
    assert!(world.run_eval(&blocked).is_complete());
}

#[test]
fn a_new_version_with_the_same_static_port_replaces_the_old_one_on_a_full_node() {
    let mut world = World::new();
    world.add_node(node("a", 500, 500));
    let app = port(group("app", 1, 400, 400), "http", 80);
    world.register(job("web", JobType::Service, vec![app.clone()]));
    world.run("web");
    world.obey();
    let mut changed = app;
    changed.tasks[0].env.insert("A".into(), "b".into());
    world.register(job("web", JobType::Service, vec![changed]));
    let outcome = world.run("web");
    assert!(outcome.is_complete(), "{:?}", outcome.failed);
    assert_eq!(outcome.plan.node_update.len(), 1);
    assert_eq!(world.alive("web")[0].version(), 1);
}

#[test]
fn dynamic_ports_are_distinct_and_in_range() {
    let mut world = World::with_nodes(1);
    let app = port(port(group("app", 20, 1, 1), "a", 0), "b", 0);
    world.register(job("web", JobType::Service, vec![app]));
    world.run("web");
    let mut ports: Vec<u16> = world
        .alive("web")
        .iter()
        .flat_map(|a| a.allocated_resources.shared.ports.clone())
        .map(|p| p.value)
        .collect();
    assert!(ports.iter().all(|p| (20_000..=32_000).contains(p)));
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 40);
}

#[test]
fn cores_are_given_once() {
    let mut world = World::with_nodes(1);
    let mut app = group("app", 3, 0, 10);
    app.tasks[0].resources.cores = 2;
    world.register(job("web", JobType::Service, vec![app]));
    let outcome = world.run("web");
    let mut cores: Vec<u16> = world
        .alive("web")
        .iter()
        .flat_map(|a| a.allocated_resources.tasks["main"].cpu.reserved_cores.clone())
        .collect();
    cores.sort_unstable();
    assert_eq!(cores, [0, 1, 2, 3]);
    assert_eq!(outcome.failed["app"].dimension_exhausted["cores"], 1);
}

#[test]
fn a_failed_allocation_is_replaced_after_its_delay_and_elsewhere() {
    let mut world = World::with_nodes(2);
    let app = rescheduling(group("app", 1, 100, 100), 30);
    world.register(job("web", JobType::Service, vec![app]));
    world.run("web");
    world.obey();
    let failed = first_alive(&world, "web");
    world.fail(&failed.id);

    let outcome = world.run("web");
    assert_eq!(outcome.follow_ups.len(), 1);
    let later = outcome.follow_ups[0].clone();
    assert_eq!(later.wait_until, world.now.plus(Nanos::from_secs(30)));
    assert!(world.alive("web").is_empty());
    assert_eq!(world.of_job("web").len(), 1, "nothing is placed before its time");
    assert!(world.run("web").plan.is_no_op(), "it is waited for once");

    world.wait(30);
    world.run_eval(&later);
    let replacement = first_alive(&world, "web");
    assert_eq!(replacement.previous_allocation, failed.id);
    assert_ne!(replacement.node_id, failed.node_id);
    assert_eq!(replacement.reschedule_tracker.as_ref().unwrap().events.len(), 1);
    assert_eq!(replacement.name, failed.name);
}

#[test]
fn a_group_without_reschedule_stays_failed() {
    let mut world = World::with_nodes(2);
    world.register(job("web", JobType::Service, vec![group("app", 1, 100, 100)]));
    world.run("web");
    let failed = first_alive(&world, "web");
    world.fail(&failed.id);
    assert!(world.run("web").plan.is_no_op());
}

#[test]
fn a_batch_allocation_that_is_done_is_not_run_again_until_the_job_changes() {
    let mut world = World::with_nodes(2);
    let work = group("work", 2, 100, 100);
    world.register(job("sum", JobType::Batch, vec![work.clone()]));
    world.run("sum");
    for alloc in world.alive("sum") {
        world.change(&alloc.id, |a| a.client_status = ClientStatus::Complete);
    }
    assert!(world.run("sum").plan.is_no_op());
    let mut changed = work;
    changed.tasks[0].env.insert("A".into(), "b".into());
    world.register(job("sum", JobType::Batch, vec![changed]));
    world.run("sum");
    assert_eq!(world.alive("sum").len(), 2);
}

#[test]
fn allocations_of_a_node_that_is_down_are_lost_and_replaced() {
    let mut world = World::with_nodes(2);
    world.register(job("web", JobType::Service, vec![group("app", 2, 100, 100)]));
    world.run("web");
    world.obey();
    let gone = world.alive("web")[0].node_id.clone();
    world.change_node(gone.as_str(), |node| node.status = NodeStatus::Down);
    world.run("web");
    let alive = world.alive("web");
    assert_eq!(alive.len(), 2);
    assert!(alive.iter().all(|alloc| alloc.node_id != gone));
    let lost: Vec<_> =
        world.of_job("web").into_iter().filter(|a| a.client_status == ClientStatus::Lost).collect();
    assert!(!lost.is_empty() && lost.iter().all(|a| !a.next_allocation.is_empty()));
}

#[test]
fn a_moving_allocation_goes_to_another_node() {
    let mut world = World::with_nodes(2);
    world.register(job("web", JobType::Service, vec![group("app", 1, 100, 100)]));
    world.run("web");
    world.obey();
    let old = first_alive(&world, "web");
    world.change_node(old.node_id.as_str(), |node| {
        node.scheduling_eligibility = Eligibility::Ineligible;
    });
    world.change(&old.id, |alloc| alloc.desired_transition.migrate = Some(true));
    world.run("web");
    let new = first_alive(&world, "web");
    assert_ne!(new.node_id, old.node_id);
    assert_eq!(new.previous_allocation, old.id);
}

#[test]
fn nodes_of_other_pools_data_centres_and_drivers_are_not_used() {
    let mut world = World::new();
    world.add_node(Node { node_pool: "gpu".into(), ..node("pool", 1000, 1000) });
    world.add_node(Node { datacenter: "eu".into(), ..node("dc", 1000, 1000) });
    let mut driverless = node("driver", 1000, 1000);
    driverless.drivers.clear();
    world.add_node(driverless);
    let mut web = job("web", JobType::Service, vec![group("app", 1, 100, 100)]);
    web.datacenters = vec!["dc*".into()];
    world.register(web);
    let outcome = world.run("web");
    let why = &outcome.failed["app"];
    assert_eq!(why.constraint_filtered["missing drivers"], 1);
    assert_eq!((why.nodes_evaluated, why.nodes_in_pool), (1, 2));
    assert_eq!(why.nodes_available["dc1"], 1);
}

#[test]
fn distinct_hosts_and_properties_are_respected() {
    let mut world = World::new();
    for (name, rack) in [("a", "1"), ("b", "1"), ("c", "2")] {
        let mut node = node(name, 1000, 1000);
        node.meta.insert("rack".into(), rack.into());
        world.add_node(node);
    }
    let distinct = |operator: &str, left: &str, right: &str| Constraint {
        left: left.into(),
        right: right.into(),
        operator: operator.into(),
    };
    let mut hosts = group("app", 4, 10, 10);
    hosts.constraints.push(distinct("distinct_hosts", "", "true"));
    world.register(job("hosts", JobType::Service, vec![hosts]));
    let outcome = world.run("hosts");
    assert_eq!(world.alive("hosts").len(), 3);
    assert_eq!(outcome.failed["app"].constraint_filtered["distinct_hosts"], 3);

    let mut racks = group("app", 4, 10, 10);
    racks.constraints.push(distinct("distinct_property", "${meta.rack}", "1"));
    world.register(job("racks", JobType::Service, vec![racks]));
    world.run("racks");
    assert_eq!(world.alive("racks").len(), 2);
}

#[test]
fn allocations_of_a_disconnected_node_wait_for_it_beside_their_replacements() {
    let mut world = World::with_nodes(2);
    let mut app = group("app", 1, 100, 100);
    app.disconnect =
        Some(DisconnectStrategy { lost_after: Nanos::from_secs(600), ..Default::default() });
    world.register(job("web", JobType::Service, vec![app]));
    world.run("web");
    world.obey();
    let first = first_alive(&world, "web");
    world.change_node(first.node_id.as_str(), |node| node.status = NodeStatus::Disconnected);
    let outcome = world.run("web");
    assert_eq!(outcome.follow_ups[0].wait_until, world.now.plus(Nanos::from_secs(600)));
    assert_eq!(world.allocs[&first.id].client_status, ClientStatus::Unknown);
    assert_eq!(world.alive("web").len(), 2, "the unknown one and its replacement");
    assert!(world.run("web").plan.is_no_op());

    // It comes back: the original stays, the replacement goes.
    world.change_node(first.node_id.as_str(), |node| node.status = NodeStatus::Ready);
    world.change(&first.id, |alloc| alloc.client_status = ClientStatus::Running);
    world.run("web");
    let alive = world.alive("web");
    assert_eq!(alive.iter().map(|a| a.id.clone()).collect::<Vec<_>>(), vec![first.id.clone()]);
}

#[test]
fn an_unknown_allocation_is_lost_when_its_time_is_over() {
    let mut world = World::with_nodes(2);
    let mut app = group("app", 1, 100, 100);
    app.disconnect = Some(DisconnectStrategy {
        lost_after: Nanos::from_secs(60),
        replace: Some(false),
        ..Default::default()
    });
    world.register(job("web", JobType::Service, vec![app]));
    world.run("web");
    world.obey();
    let first = first_alive(&world, "web");
    world.change_node(first.node_id.as_str(), |node| node.status = NodeStatus::Disconnected);
    world.run("web");
    assert_eq!(world.alive("web").len(), 1, "nothing replaces it meanwhile");
    world.wait(61);
    world.run("web");
    assert_eq!(world.allocs[&first.id].client_status, ClientStatus::Lost);
    assert_eq!(world.alive("web").len(), 1);
    assert_ne!(world.alive("web")[0].node_id, first.node_id);
}
