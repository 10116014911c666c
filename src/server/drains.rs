//! ◇ The loop of drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::drainer::{Step, View, deadline, look};
use super::error::ServerError;
use super::leader::Flags;
use super::{Server, drive};
use crate::model::allocation::DesiredTransition;
use crate::model::node::{DrainMetadata, NodeEvent};
use crate::model::{AllocId, Allocation, EvalTrigger, JobKey, Node, NodeId, Timestamp};
use crate::state::command::NodeDrain;
use crate::state::{Intent, State};
use crate::sys::tasks::Tasks;

impl View for State {
    fn on_node(&self, id: &NodeId) -> Vec<Arc<Allocation>> {
        self.allocs_by_node(id).filter(|alloc| !alloc.is_client_terminal()).cloned().collect()
    }

    fn of_job(&self, key: &JobKey) -> Vec<Arc<Allocation>> {
        self.allocs_by_job_non_terminal(key).cloned().collect()
    }

    fn count(&self, key: &JobKey, group: &str) -> Option<i64> {
        let job = self.job(key).filter(|job| !job.is_stopped())?;
        job.group(group).map(|group| group.count)
    }
}

/// Runs the loop: whenever something changed while a node is drained, and at the drains' deadlines.
pub(super) async fn run(
    server: Server,
    tasks: Tasks,
    (again, hints): (mpsc::Sender<()>, mpsc::Receiver<()>),
    flags: Arc<Flags>,
) {
    // While a step is being made the state is not looked at: it would ask for the same step again.
    let busy = Arc::new(AtomicBool::new(false));
    let turn = |_: Vec<()>, now: Timestamp| {
        let state = server.state();
        let nodes: Vec<Arc<Node>> =
            state.nodes().filter(|node| node.drain_strategy.is_some()).cloned().collect();
        flags.draining.store(!nodes.is_empty(), Ordering::Release);
        let next = deadline(&nodes, now);
        if nodes.is_empty() || busy.load(Ordering::Acquire) {
            return next;
        }
        let step = look(&nodes, &*state, now);
        if step != Step::default() {
            busy.store(true, Ordering::Release);
            let (server, busy, again) = (server.clone(), Arc::clone(&busy), again.clone());
            tasks.spawn("drain", async move {
                if let Err(error) = perform(&server, &state, step).await {
                    tracing::warn!(%error, "a drain could not go on");
                }
                busy.store(false, Ordering::Release);
                let _full = again.try_send(()).is_err();
            });
        }
        next
    };
    drive::drive(hints, tasks.stop_token(), turn).await;
}

async fn perform(server: &Server, state: &State, step: Step) -> Result<(), ServerError> {
    if !step.migrate.is_empty() {
        server.propose(migrate(server, state, &step)).await?;
    }
    for id in step.complete {
        server.propose(complete(state, &id)).await?;
    }
    Ok(())
}

fn migrate(server: &Server, state: &State, step: &Step) -> Intent {
    let moving = DesiredTransition { migrate: Some(true), ..DesiredTransition::default() };
    let known = |id: &AllocId| state.alloc(id).map(|alloc| alloc.job_key());
    let mut jobs: Vec<JobKey> = step.migrate.iter().filter_map(known).collect();
    jobs.sort();
    jobs.dedup();
    let evals = jobs.iter().filter_map(|key| server.job_eval(key, EvalTrigger::NodeDrain));
    Intent::UpdateDesiredTransitions {
        transitions: step.migrate.iter().map(|id| (id.clone(), moving.clone())).collect(),
        evals: evals.collect(),
    }
}

fn complete(state: &State, id: &NodeId) -> Intent {
    let known = state.node(id).and_then(|node| node.last_drain.clone()).unwrap_or_default();
    let metadata = DrainMetadata { status: "complete".to_owned(), ..known };
    let drain = NodeDrain { strategy: None, mark_eligible: false, metadata: Some(metadata) };
    let event = NodeEvent {
        message: "Node drain complete".to_owned(),
        subsystem: "Drain".to_owned(),
        ..NodeEvent::default()
    };
    Intent::UpdateNodeDrain {
        nodes: [(id.clone(), drain)].into(),
        event: Some(event),
        evals: Vec::new(),
    }
}
