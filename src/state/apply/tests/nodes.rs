//! Nodes.

use super::*;
use crate::model::node::{DrainStrategy, Eligibility, NodeEvent};
use crate::state::RowTable;
use crate::state::command::NodeDrain;

fn status(status: NodeStatus) -> Intent {
    let event = NodeEvent { message: "x".into(), ..NodeEvent::default() };
    Intent::UpdateNodeStatus { node: "n".into(), status, event: Some(event), evals: vec![] }
}

fn drain(strategy: Option<DrainStrategy>, mark_eligible: bool) -> Intent {
    let drain = NodeDrain { strategy, mark_eligible, metadata: None };
    Intent::UpdateNodeDrain { nodes: [("n".into(), drain)].into(), event: None, evals: vec![] }
}

fn seen(world: &World) -> Arc<Node> {
    Arc::clone(world.state.node(&"n".into()).unwrap())
}

#[test]
fn registering_again_keeps_what_was_decided_about_a_node() {
    let mut world = World::new();
    world.ok(Intent::RegisterNode(Box::new(Node { node_pool: "gpu".into(), ..node("n") })));
    assert!(world.state.row(RowTable::NodePools, "gpu").is_some());
    assert_eq!(seen(&world).events[0].message, "Node registered");
    world.ok(drain(Some(DrainStrategy::default()), false));
    world.ok(status(NodeStatus::Down));
    assert_eq!(seen(&world).last_missed_heartbeat_index, 3);
    let again = Node { name: "renamed".into(), status: NodeStatus::Initializing, ..node("n") };
    world.ok(Intent::RegisterNode(Box::new(again)));
    let now = seen(&world);
    assert_eq!((now.create_index, now.name.as_str()), (1, "renamed"));
    assert!(now.drain_strategy.is_some());
    assert_eq!(now.scheduling_eligibility, Eligibility::Ineligible);
    let said: Vec<_> = now.events.iter().map(|e| (e.message.as_str(), e.create_index)).collect();
    assert_eq!(said, [("Node registered", 1), ("x", 3), ("Node re-registered", 4)]);
}

#[test]
fn a_drain_makes_ineligible_and_its_end_may_undo_that() {
    let mut world = World::new();
    world.ok(Intent::RegisterNode(Box::new(node("n"))));
    assert_eq!(world.state.ready_nodes().count(), 1);
    world.ok(drain(Some(DrainStrategy::default()), false));
    assert_eq!(world.state.ready_nodes().count(), 0);
    assert_eq!(seen(&world).last_drain.as_ref().unwrap().status, "draining");
    let eligible = Intent::UpdateNodeEligibility {
        node: "n".into(),
        eligibility: Eligibility::Eligible,
        event: None,
        evals: vec![],
    };
    assert!(matches!(world.refused(eligible), Refusal::Conflict(_)));
    world.ok(drain(None, true));
    let last = seen(&world).last_drain.clone().unwrap();
    assert_eq!((last.status.as_str(), last.started_at.0), ("canceled", 2_000_000_000));
    assert_eq!(world.state.ready_nodes().count(), 1);
}

#[test]
fn unknown_nodes_are_refused() {
    let mut world = World::new();
    let not_found = Refusal::NotFound("node not found".into());
    assert_eq!(world.refused(status(NodeStatus::Ready)), not_found);
    assert_eq!(world.refused(drain(None, true)), not_found);
    assert_eq!(world.refused(Intent::DeregisterNodes(vec!["n".into()])), not_found);
}

#[test]
fn a_node_that_runs_something_is_not_collected() {
    let mut world = World::new();
    world.ok(Intent::RegisterNode(Box::new(node("n"))));
    world.register(job("a"));
    world.place("a", "n", &["1"]);
    world.ok(status(NodeStatus::Down));
    let collect = || Intent::Collect {
        evals: vec![],
        allocs: vec!["1".into()],
        deployments: vec![],
        jobs: vec![],
        nodes: vec!["n".into()],
    };
    world.ok(collect());
    assert!(world.state.node(&"n".into()).is_some() && world.state.alloc(&"1".into()).is_some());
    world.tell("1", ClientStatus::Lost);
    world.ok(collect());
    assert!(world.state.node(&"n".into()).is_none() && world.state.alloc(&"1".into()).is_none());
}
