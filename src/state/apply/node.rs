//! Nodes: registered, heard of, drained, made eligible.

use crate::model::node::{DrainMetadata, Eligibility, NodeEvent};
use crate::model::{Evaluation, Node, NodeId, NodeStatus, Timestamp};
use crate::state::command::{Intent, NodeDrain, Refusal, Reply};

use super::transaction::Transaction;
use super::{evaluation, row};

pub(super) fn carry_out(tx: &mut Transaction<'_>, intent: &Intent) -> Result<Reply, Refusal> {
    let evals: &[Evaluation] = match intent {
        Intent::RegisterNode(node) => {
            register(tx, node);
            &[]
        }
        Intent::DeregisterNodes(ids) => {
            deregister(tx, ids)?;
            &[]
        }
        Intent::UpdateNodeStatus { node, status, event, evals } => {
            set_status(tx, node, *status, event.as_ref())?;
            evals
        }
        Intent::UpdateNodeDrain { nodes, event, evals } => {
            if nodes.keys().any(|id| tx.state.node(id).is_none()) {
                return Err(not_found());
            }
            for (id, drain) in nodes {
                set_drain(tx, id, drain, event.as_ref());
            }
            evals
        }
        Intent::UpdateNodeEligibility { node, eligibility, event, evals } => {
            set_eligibility(tx, node, *eligibility, event.as_ref())?;
            evals
        }
        Intent::Noop
        | Intent::RegisterJob { .. }
        | Intent::DeregisterJob { .. }
        | Intent::SetJobStability { .. }
        | Intent::TagJobVersion { .. }
        | Intent::ScaleJob { .. }
        | Intent::UpsertEvals(_)
        | Intent::Collect { .. }
        | Intent::ApplyPlan { .. }
        | Intent::UpdateAllocsFromClient { .. }
        | Intent::UpdateDesiredTransitions { .. }
        | Intent::UpdateDeployment { .. }
        | Intent::PromoteDeployment { .. }
        | Intent::UpdateDeploymentAllocHealth { .. }
        | Intent::UpsertDeployment(_)
        | Intent::ReconcileSummaries
        | Intent::PutRow { .. }
        | Intent::DeleteRow { .. }
        | Intent::SetClusterId(_) => {
            return Err(Refusal::Invalid("not about a node".to_owned()));
        }
    };
    evaluation::upsert(tx, evals);
    Ok(Reply::Done)
}

/// Registers a node or what changed of it. What people and servers decided about it stays.
fn register(tx: &mut Transaction<'_>, told: &Node) {
    let existing = tx.state.node(&told.id).cloned();
    let mut node = told.clone();
    if let Some(existing) = existing {
        node.create_index = existing.create_index;
        node.drain_strategy.clone_from(&existing.drain_strategy);
        node.scheduling_eligibility = existing.scheduling_eligibility;
        node.last_drain.clone_from(&existing.last_drain);
        node.last_missed_heartbeat_index = existing.last_missed_heartbeat_index;
        node.last_alloc_update_index = existing.last_alloc_update_index;
        node.events.clone_from(&existing.events);
        if existing.status == NodeStatus::Down && node.status != NodeStatus::Down {
            push(tx, &mut node, &cluster_event("Node re-registered"));
        }
        // A node that registers again is still as ready as it was.
        let is_known = matches!(existing.status, NodeStatus::Ready | NodeStatus::Initializing);
        if node.status == NodeStatus::Initializing && is_known {
            node.status = existing.status;
            node.status_updated_at = existing.status_updated_at;
        }
    } else {
        node.create_index = tx.index;
        node.events.clear();
        push(tx, &mut node, &cluster_event("Node registered"));
    }
    if node.status_updated_at == 0 {
        node.status_updated_at = seconds(tx.time);
    }
    row::ensure_pool(tx, &node.node_pool);
    tx.put_node(node);
}

fn cluster_event(message: &str) -> NodeEvent {
    NodeEvent {
        message: message.to_owned(),
        subsystem: "Cluster".to_owned(),
        ..NodeEvent::default()
    }
}

fn push(tx: &Transaction<'_>, node: &mut Node, event: &NodeEvent) {
    let timestamp = if event.timestamp.is_never() { tx.time } else { event.timestamp };
    node.push_event(NodeEvent { create_index: tx.index, timestamp, ..event.clone() });
}

fn deregister(tx: &mut Transaction<'_>, ids: &[NodeId]) -> Result<(), Refusal> {
    if ids.iter().any(|id| tx.state.node(id).is_none()) {
        return Err(not_found());
    }
    for id in ids {
        tx.remove_node(id);
    }
    Ok(())
}

fn set_status(
    tx: &mut Transaction<'_>,
    id: &NodeId,
    status: NodeStatus,
    event: Option<&NodeEvent>,
) -> Result<(), Refusal> {
    let existing = tx.state.node(id).cloned().ok_or_else(not_found)?;
    let mut node = Node { status, ..Node::clone(&existing) };
    if status != existing.status {
        node.status_updated_at = seconds(tx.time);
    }
    if is_away(status) && !is_away(existing.status) {
        node.last_missed_heartbeat_index = tx.index;
    }
    if let Some(event) = event {
        push(tx, &mut node, event);
    }
    tx.put_node(node);
    Ok(())
}

fn is_away(status: NodeStatus) -> bool {
    match status {
        NodeStatus::Down | NodeStatus::Disconnected => true,
        NodeStatus::Initializing | NodeStatus::Ready => false,
    }
}

fn set_drain(tx: &mut Transaction<'_>, id: &NodeId, drain: &NodeDrain, event: Option<&NodeEvent>) {
    let Some(existing) = tx.state.node(id).cloned() else { return };
    let mut node = Node { drain_strategy: drain.strategy.clone(), ..Node::clone(&existing) };
    if drain.strategy.is_some() {
        node.scheduling_eligibility = Eligibility::Ineligible;
    } else if drain.mark_eligible {
        node.scheduling_eligibility = Eligibility::Eligible;
    }
    if drain.strategy.is_some() || existing.drain_strategy.is_some() || drain.metadata.is_some() {
        node.last_drain = Some(record(tx, &existing, drain));
    }
    if let Some(event) = event {
        push(tx, &mut node, event);
    }
    tx.put_node(node);
}

/// The record of a drain: begun now, gone on, or ended.
fn record(tx: &Transaction<'_>, existing: &Node, drain: &NodeDrain) -> DrainMetadata {
    let known = existing.last_drain.clone().filter(|_| existing.drain_strategy.is_some());
    let given = drain.metadata.clone().or_else(|| known.clone()).unwrap_or_default();
    let begun = known.map_or(tx.time, |known| known.started_at);
    let status = match (&drain.strategy, &drain.metadata) {
        (_, Some(metadata)) if !metadata.status.is_empty() => metadata.status.clone(),
        (Some(_), _) => "draining".to_owned(),
        (None, _) => "canceled".to_owned(),
    };
    DrainMetadata {
        started_at: if given.started_at.is_never() { begun } else { given.started_at },
        updated_at: tx.time,
        status,
        ..given
    }
}

fn set_eligibility(
    tx: &mut Transaction<'_>,
    id: &NodeId,
    eligibility: Eligibility,
    event: Option<&NodeEvent>,
) -> Result<(), Refusal> {
    let existing = tx.state.node(id).cloned().ok_or_else(not_found)?;
    if existing.drain_strategy.is_some() && eligibility == Eligibility::Eligible {
        return Err(Refusal::Conflict(
            "can not set node's scheduling eligibility to eligible while it is draining".to_owned(),
        ));
    }
    let mut node = Node { scheduling_eligibility: eligibility, ..Node::clone(&existing) };
    if let Some(event) = event {
        push(tx, &mut node, event);
    }
    tx.put_node(node);
    Ok(())
}

fn not_found() -> Refusal {
    Refusal::NotFound("node not found".to_owned())
}

fn seconds(time: Timestamp) -> i64 {
    time.0.div_euclid(1_000_000_000)
}
