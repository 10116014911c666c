//! ◇ The loop of nodes: who is heard of, and what happens to one that is not.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::heartbeats::Heartbeats;
use super::{Server, drive};
use crate::model::node::NodeEvent;
use crate::model::{Allocation, EvalTrigger, Nanos, Node, NodeId, NodeStatus, Timestamp};
use crate::state::{Intent, State};
use crate::sys::tasks::Tasks;

/// What the loop is told.
#[derive(Debug)]
pub(super) enum Event {
    /// A node was heard of; how long has it until the next time?
    Heard(NodeId, oneshot::Sender<Nanos>),
    /// A node is new, changed (and how it is now) or gone.
    Changed(NodeId, Option<NodeStatus>),
}

/// Runs the loop. What the state knows of has some time to report.
pub(super) async fn run(server: Server, tasks: Tasks, mailbox: mpsc::Receiver<Event>) {
    let pace = server.inner.config.pace;
    let mut beats = Heartbeats::new(pace, crate::sys::ids::random_u64());
    let start = super::now();
    for node in server.state().nodes().filter(|node| is_expected(node.status)) {
        beats.expect(node.id.clone(), start);
    }
    let turn = |events: Vec<Event>, now: Timestamp| {
        for event in events {
            match event {
                Event::Heard(node, answer) => {
                    // Who asked may have gone away.
                    let _gone = answer.send(beats.heard(node, now)).is_err();
                }
                Event::Changed(node, status) if status.is_none_or(|s| !is_expected(s)) => {
                    beats.forget(&node);
                }
                Event::Changed(..) => {}
            }
        }
        for node in beats.tick(now) {
            let server = server.clone();
            tasks.spawn("missed", async move { missed(&server, &node).await });
        }
        beats.deadline()
    };
    drive::drive(mailbox, tasks.stop_token(), turn).await;
}

fn is_expected(status: NodeStatus) -> bool {
    match status {
        NodeStatus::Ready | NodeStatus::Initializing => true,
        NodeStatus::Down | NodeStatus::Disconnected => false,
    }
}

/// A node was not heard of in time: it is down, or away for as long as one of its allocations may wait.
async fn missed(server: &Server, id: &NodeId) {
    let state = server.state();
    let Some(node) = state.node(id).filter(|node| is_expected(node.status)) else { return };
    let status =
        if may_come_back(&state, node) { NodeStatus::Disconnected } else { NodeStatus::Down };
    let event = NodeEvent {
        message: "Node heartbeat missed".to_owned(),
        subsystem: "Cluster".to_owned(),
        ..NodeEvent::default()
    };
    let evals = Server::node_evals(&state, id, EvalTrigger::NodeUpdate);
    let intent = Intent::UpdateNodeStatus { node: id.clone(), status, event: Some(event), evals };
    tracing::warn!(node = %id, name = %node.name, ?status, "a node was not heard of");
    if let Err(error) = server.propose(intent).await {
        tracing::warn!(node = %id, %error, "a node could not be marked as away");
    }
}

fn may_come_back(state: &State, node: &Node) -> bool {
    let waits = |alloc: &&Arc<Allocation>| {
        !alloc.is_terminal()
            && alloc
                .group()
                .and_then(|group| group.disconnect.as_ref())
                .is_some_and(|disconnect| disconnect.lost_after.0 > 0)
    };
    state.allocs_by_node(&node.id).any(|alloc| waits(&alloc))
}
