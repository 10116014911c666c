//! ◇ What can be asked for, one file per noun. Each turns a request into one command; what depends on the state is
//! decided when that is applied.

mod allocs;
pub(super) mod deployments;
pub(super) mod jobs;
pub(super) mod nodes;
mod rows;

use super::{Server, now};
use crate::model::{EvalId, EvalTrigger, Evaluation, Job, JobKey, NodeId, Timestamp};
use crate::state::State;

impl Server {
    /// An evaluation of a job as it is now; none when there is no such job or it is only a template for others.
    pub(super) fn job_eval(&self, key: &JobKey, triggered_by: EvalTrigger) -> Option<Evaluation> {
        let state = self.state();
        let job = state.job(key).filter(|job| !job.is_parent())?;
        Some(eval_of(job, triggered_by, now()))
    }

    /// Evaluations of everything that runs on a node or could: its jobs, and all system jobs.
    pub(super) fn node_evals(
        state: &State,
        id: &NodeId,
        triggered_by: EvalTrigger,
    ) -> Vec<Evaluation> {
        let Some(node) = state.node(id) else { return Vec::new() };
        let now = now();
        let mut jobs: Vec<JobKey> = state
            .allocs_by_node(id)
            .filter(|a| !a.is_client_terminal())
            .map(|a| a.job_key())
            .collect();
        let is_system = |job: &&std::sync::Arc<Job>| {
            matches!(job.kind, crate::model::JobType::System | crate::model::JobType::Sysbatch)
                && !job.is_stopped()
                && !job.is_parent()
                && crate::scheduler::input::in_datacenters(node, &job.datacenters)
        };
        jobs.extend(state.jobs().filter(is_system).map(|job| job.key()));
        jobs.sort();
        jobs.dedup();
        let eval = |key: &JobKey| {
            let job = state.job(key)?;
            let eval = eval_of(job, triggered_by, now);
            Some(Evaluation { node_id: id.clone(), node_modify_index: node.modify_index, ..eval })
        };
        jobs.iter().filter_map(eval).collect()
    }
}

/// A new evaluation of `job`.
fn eval_of(job: &Job, triggered_by: EvalTrigger, now: Timestamp) -> Evaluation {
    Evaluation {
        id: EvalId::from(crate::sys::ids::uuid()),
        namespace: job.namespace.clone(),
        job_id: job.id.clone(),
        priority: job.priority,
        kind: job.kind.as_str().to_owned(),
        triggered_by,
        job_modify_index: job.job_modify_index,
        create_time: now,
        modify_time: now,
        ..Evaluation::default()
    }
}
