//! ◆ What can be forgotten.
//!
//! Nothing is forgotten that something else still stands on: an evaluation goes with its allocations, a job when all its
//! evaluations go, a node when it runs nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::job::JobType;
use crate::model::{
    AllocId, Allocation, ClientStatus, DeploymentId, DesiredStatus, EvalId, Evaluation, Job,
    JobKey, JobStatus, Nanos, NodeId, NodeStatus, Timestamp,
};
use crate::state::{Intent, State};

/// For how long things that are over are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Evaluations and their allocations.
    pub eval: Nanos,
    /// Evaluations of batch jobs and their allocations.
    pub batch_eval: Nanos,
    /// Jobs that are dead, since they were submitted.
    pub job: Nanos,
    /// Nodes that are down.
    pub node: Nanos,
    /// Deployments that have ended.
    pub deployment: Nanos,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            eval: Nanos::from_secs(3600),
            batch_eval: Nanos::from_secs(24 * 3600),
            job: Nanos::from_secs(4 * 3600),
            node: Nanos::from_secs(24 * 3600),
            deployment: Nanos::from_secs(3600),
        }
    }
}

impl Thresholds {
    /// Everything that is over.
    pub const FORCE: Self = Self {
        eval: Nanos::ZERO,
        batch_eval: Nanos::ZERO,
        job: Nanos::ZERO,
        node: Nanos::ZERO,
        deployment: Nanos::ZERO,
    };
}

/// What can be forgotten at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Garbage {
    evals: BTreeSet<EvalId>,
    allocs: BTreeSet<AllocId>,
    deployments: BTreeSet<DeploymentId>,
    jobs: BTreeSet<JobKey>,
    nodes: BTreeSet<NodeId>,
}

impl Garbage {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The command that forgets it.
    pub fn intent(self) -> Intent {
        Intent::Collect {
            evals: self.evals.into_iter().collect(),
            allocs: self.allocs.into_iter().collect(),
            deployments: self.deployments.into_iter().collect(),
            jobs: self.jobs.into_iter().collect(),
            nodes: self.nodes.into_iter().collect(),
        }
    }
}

/// What can be forgotten now.
pub fn garbage(state: &State, keep: &Thresholds, now: Timestamp) -> Garbage {
    let mut found = Garbage::default();
    jobs(state, keep, now, &mut found);
    evals(state, keep, now, &mut found);
    for deployment in state.deployments() {
        let live = state
            .allocs_by_deployment(&deployment.id)
            .any(|a| !found.allocs.contains(&a.id) && !a.is_terminal());
        if !deployment.is_active() && is_old(deployment.modify_time, keep.deployment, now) && !live
        {
            found.deployments.insert(deployment.id.clone());
        }
    }
    for node in state.nodes() {
        let since = Timestamp(node.status_updated_at.saturating_mul(1_000_000_000));
        let idle = state.allocs_by_node_non_terminal(&node.id).next().is_none();
        if node.status == NodeStatus::Down && is_old(since, keep.node, now) && idle {
            found.nodes.insert(node.id.clone());
        }
    }
    found
}

fn is_old(since: Timestamp, keep: Nanos, now: Timestamp) -> bool {
    now.since(since) >= keep
}

/// Dead jobs with all that is theirs.
fn jobs(state: &State, keep: &Thresholds, now: Timestamp, found: &mut Garbage) {
    let over = |job: &&Arc<Job>| {
        job.status == JobStatus::Dead
            && (job.stop || matches!(job.kind, JobType::Batch | JobType::Sysbatch))
            && (job.stop || !job.is_parent())
            && is_old(job.submit_time, keep.job, now)
    };
    for job in state.jobs().filter(over) {
        let key = job.key();
        if state.job_versions(&key).iter().any(|version| version.version_tag.is_some()) {
            continue;
        }
        let evals: Vec<&Arc<Evaluation>> = state.evals_by_job(&key).collect();
        let allocs: Vec<&Arc<Allocation>> = state.allocs_by_job(&key).collect();
        let all_over = evals.iter().all(|eval| eval_is_over(eval, keep.eval, now))
            && allocs.iter().all(|alloc| alloc_is_over(alloc, Some(job), keep.eval, now));
        if all_over {
            found.evals.extend(evals.iter().map(|eval| eval.id.clone()));
            found.allocs.extend(allocs.iter().map(|alloc| alloc.id.clone()));
            found.deployments.extend(state.deployments_by_job(&key).map(|d| d.id.clone()));
            found.jobs.insert(key);
        }
    }
}

fn evals(state: &State, keep: &Thresholds, now: Timestamp, found: &mut Garbage) {
    let new: Vec<&Arc<Evaluation>> =
        state.evals().filter(|eval| !found.evals.contains(&eval.id)).collect();
    for eval in new {
        let job = state.job(&eval.job_key());
        let is_batch = matches!(eval.kind.as_str(), "batch" | "sysbatch");
        let keep = if is_batch { keep.batch_eval } else { keep.eval };
        if !eval_is_over(eval, keep, now) {
            continue;
        }
        let allocs: Vec<&Arc<Allocation>> = state.allocs_by_eval(&eval.id).collect();
        // What a batch job has done in this version says that it need not be done again.
        let counts = |alloc: &&&Arc<Allocation>| {
            is_batch
                && job.is_some_and(|job| {
                    !job.stop
                        && alloc.job.as_ref().is_some_and(|j| {
                            j.create_index == job.create_index
                                && j.job_modify_index >= job.job_modify_index
                        })
                })
        };
        let over =
            |alloc: &&&Arc<Allocation>| alloc_is_over(alloc, job, keep, now) && !counts(alloc);
        let gone: Vec<AllocId> =
            allocs.iter().filter(|alloc| over(alloc)).map(|alloc| alloc.id.clone()).collect();
        if gone.len() == allocs.len() {
            found.evals.insert(eval.id.clone());
        }
        found.allocs.extend(gone);
    }
}

fn eval_is_over(eval: &Evaluation, keep: Nanos, now: Timestamp) -> bool {
    eval.is_terminal() && is_old(eval.modify_time, keep, now)
}

/// Whether an allocation tells nothing any more: it ended, and nobody will replace it.
fn alloc_is_over(alloc: &Allocation, job: Option<&Arc<Job>>, keep: Nanos, now: Timestamp) -> bool {
    let runs = matches!(
        alloc.client_status,
        ClientStatus::Pending | ClientStatus::Running | ClientStatus::Unknown
    );
    if !alloc.is_terminal()
        || (runs && alloc.desired_status == DesiredStatus::Run)
        || alloc.client_status == ClientStatus::Running
    {
        return false;
    }
    if !is_old(alloc.modify_time, keep, now) {
        return false;
    }
    let Some(job) = job.filter(|job| !job.stop && job.status != JobStatus::Dead) else {
        return true;
    };
    if alloc.is_server_terminal() || alloc.client_status != ClientStatus::Failed {
        return true;
    }
    let policy = job.group(&alloc.task_group).and_then(|group| group.reschedule_policy.as_ref());
    let Some(policy) = policy.filter(|policy| policy.unlimited || policy.attempts > 0) else {
        return true;
    };
    if !alloc.next_allocation.is_empty() {
        return true;
    }
    let last = alloc.reschedule_tracker.as_ref().and_then(|tracker| tracker.events.last());
    !policy.unlimited
        && last.is_some_and(|event| now.since(event.reschedule_time) > policy.interval)
}
