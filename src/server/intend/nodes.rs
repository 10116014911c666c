//! ◇ Nodes: registered, heard of, drained, made eligible, removed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::model::node::{DrainMetadata, DrainStrategy, Eligibility, NodeEvent};
use crate::model::{EvalId, EvalTrigger, Evaluation, Index, Nanos, Node, NodeId, NodeStatus};
use crate::scheduler::feasible::computed_class;
use crate::server::{Server, ServerError, nodes, now};
use crate::state::command::NodeDrain;
use crate::state::{Intent, State};

/// For how long the servers believe that a node is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLease {
    /// The next heartbeat is due before this has passed.
    pub ttl: Duration,
    /// The state's index with it.
    pub index: Index,
}

/// What became of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeChanged {
    /// The state's index with it.
    pub index: Index,
    /// Evaluations that follow.
    pub eval_ids: Vec<EvalId>,
    /// When they were made; 0 when there are none.
    pub eval_create_index: Index,
}

impl NodeChanged {
    fn new(index: Index, evals: &[EvalId]) -> Self {
        let eval_create_index = if evals.is_empty() { 0 } else { index };
        Self { index, eval_ids: evals.to_vec(), eval_create_index }
    }
}

impl Server {
    /// Registers a node or what changed of it. It is ready for allocations when this returns.
    pub async fn register_node(&self, mut node: Node) -> Result<NodeLease, ServerError> {
        node.computed_class = computed_class(&node);
        if node.node_pool.is_empty() {
            "default".clone_into(&mut node.node_pool);
        }
        node.status = NodeStatus::Ready;
        let id = node.id.clone();
        let state = self.state();
        let known = state.node(&id).cloned();
        if known.as_ref().is_none_or(|known| differs(known, &node)) {
            self.propose(Intent::RegisterNode(Box::new(node))).await?;
            let was_ready = known.is_some_and(|known| known.status == NodeStatus::Ready);
            if !was_ready {
                self.evaluate_node_for(&id).await?;
            }
        }
        self.lease(&id).await
    }

    /// Says that a node is alive. [`ServerError::NotFound`] when the servers do not know it: register again.
    pub async fn heartbeat(&self, id: &NodeId) -> Result<NodeLease, ServerError> {
        let state = self.state();
        let node = state.node(id).ok_or_else(ServerError::node_not_found)?;
        if node.status != NodeStatus::Ready {
            self.update_node_status(id, NodeStatus::Ready).await?;
        }
        self.lease(id).await
    }

    async fn lease(&self, id: &NodeId) -> Result<NodeLease, ServerError> {
        let loops = self.loops().ok_or(ServerError::NoLeader)?;
        let (answer, answered) = oneshot::channel();
        let heard = nodes::Event::Heard(id.clone(), answer);
        loops.nodes.send(heard).await.map_err(|_| ServerError::NoLeader)?;
        let ttl: Nanos = answered.await.map_err(|_| ServerError::NoLeader)?;
        Ok(NodeLease { ttl: ttl.to_std(), index: self.state().index() })
    }

    /// Marks a node as heard of or not; its jobs are looked at.
    pub async fn update_node_status(
        &self,
        id: &NodeId,
        status: NodeStatus,
    ) -> Result<NodeChanged, ServerError> {
        let state = self.state();
        let node = state.node(id).ok_or_else(ServerError::node_not_found)?;
        let message = match (node.status, status) {
            (NodeStatus::Down | NodeStatus::Disconnected, NodeStatus::Ready) => {
                Some("Node reregistered by heartbeat")
            }
            _ => None,
        };
        let event = message.map(|text| event(text, "Cluster"));
        let evals = Self::node_evals(&state, id, EvalTrigger::NodeUpdate);
        let ids = ids_of(&evals);
        let intent = Intent::UpdateNodeStatus { node: id.clone(), status, event, evals };
        let index = self.propose(intent).await?.index;
        Ok(NodeChanged::new(index, &ids))
    }

    /// Makes a node eligible for new allocations or not.
    pub async fn update_node_eligibility(
        &self,
        id: &NodeId,
        eligibility: Eligibility,
    ) -> Result<NodeChanged, ServerError> {
        let state = self.state();
        let node = state.node(id).ok_or_else(ServerError::node_not_found)?;
        let gains =
            eligibility == Eligibility::Eligible && node.scheduling_eligibility != eligibility;
        let evals =
            if gains { Self::node_evals(&state, id, EvalTrigger::NodeUpdate) } else { Vec::new() };
        let text = match eligibility {
            Eligibility::Eligible => "Node marked as eligible for scheduling",
            Eligibility::Ineligible => "Node marked as ineligible for scheduling",
        };
        let ids = ids_of(&evals);
        let intent = Intent::UpdateNodeEligibility {
            node: id.clone(),
            eligibility,
            event: Some(event(text, "Cluster")),
            evals,
        };
        let index = self.propose(intent).await?.index;
        Ok(NodeChanged::new(index, &ids))
    }

    /// Begins the drain of a node, or ends it where no strategy is given.
    pub async fn update_node_drain(
        &self,
        id: &NodeId,
        strategy: Option<DrainStrategy>,
        mark_eligible: bool,
        meta: BTreeMap<String, String>,
    ) -> Result<NodeChanged, ServerError> {
        let state = self.state();
        if state.node(id).is_none() {
            return Err(ServerError::node_not_found());
        }
        let now = now();
        let begins = strategy.is_some();
        let strategy = strategy.map(|mut strategy| {
            strategy.started_at = now;
            if strategy.deadline.0 > 0 {
                strategy.force_deadline = now.plus(strategy.deadline);
            }
            strategy
        });
        let evals =
            if begins { Vec::new() } else { Self::node_evals(&state, id, EvalTrigger::NodeUpdate) };
        let metadata = DrainMetadata { meta, ..DrainMetadata::default() };
        let drain = NodeDrain {
            mark_eligible,
            metadata: (begins || !metadata.meta.is_empty()).then_some(metadata),
            strategy,
        };
        let text = if begins { "Node drain strategy set" } else { "Node drain disabled" };
        let ids = ids_of(&evals);
        let intent = Intent::UpdateNodeDrain {
            nodes: BTreeMap::from([(id.clone(), drain)]),
            event: Some(event(text, "Drain")),
            evals,
        };
        let index = self.propose(intent).await?.index;
        Ok(NodeChanged::new(index, &ids))
    }

    /// Lets schedulers look at everything on a node.
    pub async fn evaluate_node(&self, id: &NodeId) -> Result<NodeChanged, ServerError> {
        if self.state().node(id).is_none() {
            return Err(ServerError::node_not_found());
        }
        self.evaluate_node_for(id).await
    }

    async fn evaluate_node_for(&self, id: &NodeId) -> Result<NodeChanged, ServerError> {
        let state = self.state();
        let evals = Self::node_evals(&state, id, EvalTrigger::NodeUpdate);
        if evals.is_empty() {
            return Ok(NodeChanged::new(state.index(), &[]));
        }
        let ids = ids_of(&evals);
        let index = self.propose(Intent::UpsertEvals(evals)).await?.index;
        Ok(NodeChanged::new(index, &ids))
    }

    /// Forgets a node; what ran on it is lost.
    pub async fn purge_node(&self, id: &NodeId) -> Result<NodeChanged, ServerError> {
        let state: Arc<State> = self.state();
        let evals = Self::node_evals(&state, id, EvalTrigger::NodeUpdate);
        let index = self.propose(Intent::DeregisterNodes(vec![id.clone()])).await?.index;
        if evals.is_empty() {
            return Ok(NodeChanged::new(index, &[]));
        }
        let ids = ids_of(&evals);
        let made = self.propose(Intent::UpsertEvals(evals)).await?.index;
        Ok(NodeChanged { index, eval_create_index: made, eval_ids: ids })
    }
}

fn ids_of(evals: &[Evaluation]) -> Vec<EvalId> {
    evals.iter().map(|eval| eval.id.clone()).collect()
}

fn event(message: &str, subsystem: &str) -> NodeEvent {
    NodeEvent {
        message: message.to_owned(),
        subsystem: subsystem.to_owned(),
        ..NodeEvent::default()
    }
}

/// Whether a node tells anything new of itself, beside what servers decide about it.
fn differs(known: &Node, told: &Node) -> bool {
    let told = Node {
        drain_strategy: known.drain_strategy.clone(),
        scheduling_eligibility: known.scheduling_eligibility,
        status_description: known.status_description.clone(),
        status_updated_at: known.status_updated_at,
        events: known.events.clone(),
        last_drain: known.last_drain.clone(),
        last_missed_heartbeat_index: known.last_missed_heartbeat_index,
        last_alloc_update_index: known.last_alloc_update_index,
        create_index: known.create_index,
        modify_index: known.modify_index,
        ..told.clone()
    };
    told != *known
}
