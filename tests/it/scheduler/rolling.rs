//! Updates: in place or replaced, so many at once, canaries, deployments.

use stead::model::node::Eligibility;
use stead::model::*;

use super::world::{World, group, job, rolling};

fn changed(mut group: TaskGroup, value: &str) -> TaskGroup {
    group.tasks[0].env.insert("VERSION".into(), value.into());
    group
}

fn versions(world: &World, id: &str) -> (usize, usize) {
    let alive = world.alive(id);
    let new = world.job(id).version;
    (
        alive.iter().filter(|a| a.version() < new).count(),
        alive.iter().filter(|a| a.version() == new).count(),
    )
}

/// Two versions of a job of five, the first one healthy.
fn two_versions(parallel: i64, canary: i64) -> World {
    let mut world = World::with_nodes(4);
    let app = rolling(group("app", 5, 100, 100), parallel, canary);
    world.register(job("web", JobType::Service, vec![app.clone()]));
    world.run("web");
    world.obey();
    world.heal("web");
    world.run("web");
    world.register(job("web", JobType::Service, vec![changed(app, "2")]));
    world
}

#[test]
fn a_first_version_makes_a_deployment_that_ends_when_all_are_healthy() {
    let mut world = World::with_nodes(2);
    let app = rolling(group("app", 2, 100, 100), 1, 0);
    world.register(job("web", JobType::Service, vec![app]));
    let outcome = world.run("web");
    let deployment = outcome.plan.deployment.unwrap();
    assert_eq!(deployment.task_groups["app"].desired_total, 2);
    assert_eq!(deployment.status_description, "Deployment is running");
    assert!(world.alive("web").iter().all(|a| a.deployment_id == deployment.id));
    world.obey();
    assert!(world.run("web").plan.is_no_op(), "nobody is healthy yet");
    world.heal("web");
    let outcome = world.run("web");
    assert_eq!(outcome.plan.deployment_updates[0].status, DeploymentStatus::Successful);
}

#[test]
fn so_many_are_replaced_at_once_and_the_next_when_they_are_healthy() {
    let mut world = two_versions(2, 0);
    for done in [2, 4, 5] {
        let outcome = world.run("web");
        assert_eq!(versions(&world, "web"), (5 - done, done));
        let replaced = outcome.plan.node_update.values().flatten().count();
        assert!(replaced <= 2, "{replaced} at once");
        world.obey();
        assert!(world.run("web").plan.is_no_op(), "the last ones are not healthy yet");
        world.heal("web");
    }
    let outcome = world.run("web");
    assert_eq!(outcome.plan.deployment_updates[0].status, DeploymentStatus::Successful);
}

#[test]
fn an_unhealthy_one_stops_the_roll() {
    let mut world = two_versions(2, 0);
    world.run("web");
    world.obey();
    let new = world.alive("web").into_iter().find(|a| a.version() == 1).unwrap();
    world.change(&new.id, |alloc| {
        alloc.deployment_status.get_or_insert_default().healthy = Some(false);
    });
    assert!(world.run("web").plan.is_no_op());
}

#[test]
fn without_an_update_block_all_are_replaced_at_once() {
    let mut world = World::with_nodes(2);
    world.register(job("web", JobType::Service, vec![group("app", 4, 100, 100)]));
    world.run("web");
    world.register(job("web", JobType::Service, vec![changed(group("app", 4, 100, 100), "2")]));
    let outcome = world.run("web");
    assert_eq!(versions(&world, "web"), (0, 4));
    assert!(outcome.plan.deployment.is_none());
}

#[test]
fn canaries_come_beside_the_old_ones_and_nothing_else_changes_until_promotion() {
    let mut world = two_versions(2, 1);
    let outcome = world.run("web");
    let deployment = outcome.plan.deployment.unwrap();
    assert_eq!(
        deployment.status_description,
        "Deployment is running but requires manual promotion"
    );
    assert_eq!(deployment.task_groups["app"].desired_canaries, 1);
    assert_eq!(deployment.task_groups["app"].desired_total, 5);
    assert_eq!(versions(&world, "web"), (5, 1));
    world.obey();
    world.heal("web");
    assert!(world.run("web").plan.is_no_op());

    let key = JobKey::new("default", "web");
    let deployment = std::sync::Arc::make_mut(world.deployments.get_mut(&key).unwrap());
    deployment.task_groups.get_mut("app").unwrap().promoted = true;
    for _ in 0..4 {
        world.run("web");
        world.obey();
        world.heal("web");
        assert!(world.alive("web").len() <= 6);
    }
    assert_eq!(versions(&world, "web"), (0, 5));
    let mut names: Vec<_> = world.alive("web").iter().map(|a| a.name.clone()).collect();
    names.sort();
    assert_eq!(names, (0..5).map(|i| format!("web.app[{i}]")).collect::<Vec<_>>());
}

#[test]
fn canaries_of_an_older_version_are_stopped_by_a_newer_one() {
    let mut world = two_versions(1, 2);
    world.run("web");
    world.obey();
    let app = rolling(group("app", 5, 100, 100), 1, 2);
    world.register(job("web", JobType::Service, vec![changed(app, "3")]));
    let outcome = world.run("web");
    assert_eq!(outcome.plan.deployment_updates[0].status, DeploymentStatus::Cancelled);
    let alive = world.alive("web");
    assert_eq!(alive.iter().filter(|a| a.version() == 1).count(), 0);
    assert_eq!(alive.iter().filter(|a| a.version() == 2).count(), 2);
}

#[test]
fn a_change_that_needs_no_restart_is_made_in_place() {
    let mut world = two_versions(1, 0);
    let before: Vec<_> = world.alive("web").iter().map(|a| a.id.clone()).collect();
    let mut app = rolling(group("app", 5, 100, 100), 1, 0);
    app.tasks[0].kill_timeout = Nanos::from_secs(9);
    world.register(job("web", JobType::Service, vec![app]));
    let outcome = world.run("web");
    let after: Vec<_> = world.alive("web").iter().map(|a| a.id.clone()).collect();
    assert_eq!(before, after);
    assert_eq!(versions(&world, "web"), (0, 5));
    assert!(outcome.plan.node_update.is_empty());
    let deployment = outcome.plan.deployment.unwrap();
    assert!(world.alive("web").iter().all(|a| a.deployment_id == deployment.id));
}

#[test]
fn a_paused_deployment_changes_nothing_but_replaces_what_is_lost() {
    let mut world = two_versions(2, 0);
    world.run("web");
    world.obey();
    let key = JobKey::new("default", "web");
    std::sync::Arc::make_mut(world.deployments.get_mut(&key).unwrap()).status =
        DeploymentStatus::Paused;
    world.heal("web");
    assert!(world.run("web").plan.is_no_op());
    let gone = world.alive("web")[0].node_id.clone();
    world.change_node(gone.as_str(), |node| node.status = NodeStatus::Down);
    world.run("web");
    assert_eq!(world.alive("web").len(), 5);
}

#[test]
fn a_change_in_place_is_also_made_on_a_node_that_takes_nothing_new() {
    let mut world = two_versions(1, 0);
    world.jobs.get_mut(&JobKey::new("default", "web")).unwrap().pop();
    let before: Vec<_> = world.alive("web").iter().map(|a| a.id.clone()).collect();
    let node = world.alive("web")[0].node_id.clone();
    world.change_node(node.as_str(), |node| {
        node.scheduling_eligibility = Eligibility::Ineligible;
    });
    let mut app = rolling(group("app", 5, 100, 100), 1, 0);
    app.tasks[0].kill_timeout = Nanos::from_secs(9);
    world.register(job("web", JobType::Service, vec![app]));
    let outcome = world.run("web");
    let after: Vec<_> = world.alive("web").iter().map(|a| a.id.clone()).collect();
    assert_eq!(before, after);
    assert!(outcome.plan.node_update.is_empty());
}
