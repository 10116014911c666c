//! System and sysbatch jobs.

use stead::model::node::Eligibility;
use stead::model::*;

use super::world::{World, group, job, node, rolling};

#[test]
fn a_system_job_is_once_on_every_node_also_on_later_ones() {
    let mut world = World::with_nodes(3);
    world.register(job("logs", JobType::System, vec![group("app", 1, 100, 100)]));
    world.run("logs");
    assert_eq!(world.alive("logs").len(), 3);
    world.add_node(node("late", 4000, 8192));
    world.obey();
    world.run("logs");
    let mut nodes: Vec<_> = world.alive("logs").iter().map(|a| a.node_id.clone()).collect();
    nodes.sort();
    nodes.dedup();
    assert_eq!(nodes.len(), 4);
    assert!(world.run("logs").plan.is_no_op());
}

#[test]
fn nodes_that_may_not_run_it_are_no_failure_and_full_ones_are() {
    let mut world = World::with_nodes(1);
    let mut other = node("windows", 4000, 4000);
    other.attributes.insert("kernel.name".into(), "windows".into());
    world.add_node(other);
    let mut logs = job("logs", JobType::System, vec![group("app", 1, 100, 100)]);
    logs.constraints.push(Constraint {
        left: "${attr.kernel.name}".into(),
        right: "linux".into(),
        operator: "=".into(),
    });
    world.register(logs.clone());
    let outcome = world.run("logs");
    assert!(outcome.is_complete() && outcome.blocked.is_none());
    assert_eq!(world.alive("logs").len(), 1);
    world.add_node(node("small", 50, 50));
    let outcome = world.run("logs");
    assert_eq!(outcome.failed["app"].dimension_exhausted["cpu"], 1);
    assert!(outcome.blocked.is_some());
}

#[test]
fn an_ineligible_node_keeps_what_it_has_and_a_down_one_does_not() {
    let mut world = World::with_nodes(3);
    world.register(job("logs", JobType::System, vec![group("app", 1, 100, 100)]));
    world.run("logs");
    world.obey();
    world.change_node("node-000", |node| {
        node.scheduling_eligibility = Eligibility::Ineligible;
    });
    assert!(world.run("logs").plan.is_no_op());
    world.change_node("node-001", |node| node.status = NodeStatus::Down);
    world.run("logs");
    assert_eq!(world.alive("logs").len(), 2);
}

#[test]
fn a_system_update_rolls_through_the_nodes() {
    let mut world = World::with_nodes(4);
    let app = rolling(group("app", 1, 100, 100), 2, 0);
    world.register(job("logs", JobType::System, vec![app.clone()]));
    world.run("logs");
    world.obey();
    let mut changed = app;
    changed.tasks[0].user = "nobody".into();
    world.register(job("logs", JobType::System, vec![changed]));
    world.run("logs");
    assert_eq!(world.alive("logs").iter().filter(|a| a.version() == 1).count(), 2);
    assert!(world.run("logs").plan.is_no_op(), "they have not started yet");
    world.obey();
    world.run("logs");
    assert_eq!(world.alive("logs").iter().filter(|a| a.version() == 1).count(), 4);
}

#[test]
fn a_sysbatch_job_runs_once_per_node_and_version() {
    let mut world = World::with_nodes(2);
    world.register(job("setup", JobType::Sysbatch, vec![group("app", 1, 100, 100)]));
    world.run("setup");
    for alloc in world.alive("setup") {
        world.change(&alloc.id, |a| a.client_status = ClientStatus::Complete);
    }
    assert!(world.run("setup").plan.is_no_op());
    let mut changed = group("app", 1, 100, 100);
    changed.tasks[0].user = "nobody".into();
    world.register(job("setup", JobType::Sysbatch, vec![changed]));
    world.run("setup");
    assert_eq!(world.alive("setup").len(), 2);
}

#[test]
fn a_system_job_makes_less_important_ones_go_and_no_more_than_it_needs() {
    let mut world = World::new();
    world.add_node(node("a", 1000, 1000));
    let mut low = job("low", JobType::Service, vec![group("app", 3, 300, 300)]);
    low.priority = 20;
    world.register(low);
    world.run("low");
    let mut logs = job("logs", JobType::System, vec![group("app", 1, 350, 350)]);
    logs.priority = 80;
    world.register(logs);
    let outcome = world.run("logs");
    assert!(outcome.is_complete(), "{:?}", outcome.failed);
    assert_eq!(world.alive("logs")[0].preempted_allocations.len(), 1);
    let annotations = outcome.plan.annotations.unwrap();
    assert_eq!(annotations.desired_tg_updates["app"].preemptions, 1);
    assert_eq!(world.alive("low").len(), 2);
}
