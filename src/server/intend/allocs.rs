//! ◇ Allocations: what nodes ask and say of them, and stopping one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::eval_of;
use super::jobs::JobChanged;
use crate::model::allocation::DesiredTransition;
use crate::model::{
    AllocId, Allocation, ClientStatus, EvalTrigger, Evaluation, Index, JobKey, JobType, NodeId,
};
use crate::server::{Server, ServerError, now};
use crate::state::watch::Topic;
use crate::state::{Intent, State};

impl Server {
    /// Stops an allocation; its job gets another in its place.
    pub async fn stop_alloc(
        &self,
        id: &AllocId,
        no_shutdown_delay: bool,
    ) -> Result<JobChanged, ServerError> {
        let state = self.state();
        let alloc = state
            .alloc(id)
            .cloned()
            .ok_or_else(|| ServerError::NotFound("allocation not found".to_owned()))?;
        let eval =
            state.job(&alloc.job_key()).map(|job| eval_of(job, EvalTrigger::AllocStop, now()));
        let eval_id = eval.as_ref().map(|eval| eval.id.clone()).unwrap_or_default();
        let transition = DesiredTransition {
            migrate: Some(true),
            no_shutdown_delay: no_shutdown_delay.then_some(true),
            ..DesiredTransition::default()
        };
        let intent = Intent::UpdateDesiredTransitions {
            transitions: BTreeMap::from([(id.clone(), transition)]),
            evals: eval.into_iter().collect(),
        };
        let index = self.propose(intent).await?.index;
        Ok(JobChanged { index, eval_id, eval_create_index: index, ..JobChanged::default() })
    }

    /// Every allocation of a node, each with its job, as soon as a server changed one of them after `after`; at the
    /// latest after `wait`. Give the index to the next call.
    ///
    /// A node must say of each that is to stop that it ended, also of those it never started: until then their room
    /// is not given to others.
    pub async fn node_allocs(
        &self,
        node: &NodeId,
        after: Index,
        wait: Duration,
    ) -> (Index, Vec<Arc<Allocation>>) {
        let topics = [Topic::AllocsOfNode(node.clone())];
        let newest = |state: &State| {
            let changed = state.allocs_by_node(node).map(|alloc| alloc.alloc_modify_index).max();
            (changed.unwrap_or(1).max(1), ())
        };
        let (state, index, ()) = self.watch().block(&topics, after, wait, newest).await;
        (index, state.allocs_by_node(node).cloned().collect())
    }

    /// Takes over what a node says of its allocations. Jobs of which one failed, or came back, are looked at.
    pub async fn update_allocs(&self, allocs: Vec<Allocation>) -> Result<Index, ServerError> {
        let state = self.state();
        let evals = evals_for(&state, &allocs);
        let intent = Intent::UpdateAllocsFromClient { allocs, evals };
        self.propose(intent).await.map(|proposed| proposed.index)
    }
}

/// One evaluation for each job that what was told is news for.
fn evals_for(state: &State, told: &[Allocation]) -> Vec<Evaluation> {
    let mut jobs: BTreeMap<JobKey, EvalTrigger> = BTreeMap::new();
    for told in told {
        let Some(known) = state.alloc(&told.id) else { continue };
        if let Some(trigger) = news(known, told) {
            jobs.insert(known.job_key(), trigger);
        }
    }
    let eval = |(key, trigger): (&JobKey, &EvalTrigger)| {
        let job = state.job(key).filter(|job| !job.is_stopped())?;
        Some(eval_of(job, *trigger, now()))
    };
    jobs.iter().filter_map(eval).collect()
}

fn news(known: &Allocation, told: &Allocation) -> Option<EvalTrigger> {
    if known.client_status == ClientStatus::Unknown && told.client_status != ClientStatus::Unknown {
        return Some(EvalTrigger::Reconnect);
    }
    let failed = told.client_status == ClientStatus::Failed && !known.is_terminal();
    let kind = known.job.as_ref().map_or(JobType::Service, |job| job.kind);
    match kind {
        JobType::Service | JobType::Batch if failed => Some(EvalTrigger::AllocFailure),
        JobType::Service | JobType::Batch | JobType::System | JobType::Sysbatch => None,
    }
}
