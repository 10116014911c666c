//! ◇ Jobs: register, plan, evaluate, scale, go back, tag, stop.

use std::sync::Arc;

use serde_json::Value;

use super::eval_of;
use crate::model::allocation::DesiredTransition;
use crate::model::job::JobSubmission;
use crate::model::plan::PlanAnnotations;
use crate::model::{
    AllocMetric, ClientStatus, EvalId, EvalTrigger, Evaluation, Index, Job, JobKey,
};
use crate::scheduler::schedule;
use crate::server::propose::Proposed;
use crate::server::snapshot::Snapshot;
use crate::server::{Server, ServerError, now, scheduler_config};
use crate::state::{Command, Intent, Reply, RowTable, State, apply};
use crate::sys::report;

/// A job to register.
#[derive(Debug, Clone, Default)]
pub struct RegisterJob {
    /// The job, validated and with every default.
    pub job: Job,
    /// What it was written as.
    pub submission: Option<JobSubmission>,
    /// Refuse unless the job's `job_modify_index` is this (0: unless it does not exist).
    pub enforce_index: Option<Index>,
    /// The evaluation's priority, when it is not the job's.
    pub eval_priority: Option<i64>,
}

/// What became of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobChanged {
    /// The state's index with it.
    pub index: Index,
    /// When its specification last changed.
    pub job_modify_index: Index,
    /// Its version.
    pub version: u64,
    /// The evaluation that follows; empty for templates of other jobs.
    pub eval_id: EvalId,
    /// When that was made; 0 when there is none.
    pub eval_create_index: Index,
}

/// What registering a job would do.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// The job as it is; none when it is new.
    pub before: Option<Arc<Job>>,
    /// The job as it would be.
    pub after: Arc<Job>,
    /// What would change, in numbers.
    pub annotations: Option<PlanAnnotations>,
    /// Groups of which something could not be placed, with the reason.
    pub failed: std::collections::BTreeMap<String, AllocMetric>,
    /// Evaluations that would be made.
    pub created_evals: Vec<Evaluation>,
    /// The index to enforce when it is registered so: 0 for a new job.
    pub job_modify_index: Index,
}

impl JobChanged {
    fn of(proposed: &Proposed) -> Self {
        let (job_modify_index, version, eval_id) = proposed.job();
        Self {
            index: proposed.index,
            job_modify_index,
            version,
            eval_create_index: if eval_id.is_some() { proposed.index } else { 0 },
            eval_id: eval_id.unwrap_or_default(),
        }
    }
}

impl Server {
    /// Registers a job, or a new version of it when its specification differs.
    pub async fn register_job(&self, wanted: RegisterJob) -> Result<JobChanged, ServerError> {
        let RegisterJob { job, submission, enforce_index, eval_priority } = wanted;
        admit(&self.state(), &job)?;
        let eval = (!job.is_parent()).then(|| {
            let eval = eval_of(&job, EvalTrigger::JobRegister, now());
            Box::new(Evaluation { priority: eval_priority.unwrap_or(eval.priority), ..eval })
        });
        let intent = Intent::RegisterJob {
            job: Box::new(job),
            submission: submission.map(Box::new),
            enforce_index,
            eval,
        };
        self.propose(intent).await.map(|proposed| JobChanged::of(&proposed))
    }

    /// What registering `job` would do. Changes nothing.
    pub fn plan_job(&self, job: Job) -> Result<DryRun, ServerError> {
        let state = self.state();
        admit(&state, &job)?;
        let key = job.key();
        let before = state.job(&key).cloned();
        let mut eval = eval_of(&job, EvalTrigger::JobRegister, now());
        eval.annotate_plan = true;
        // The same code that registers it, on a copy that nobody else sees.
        let mut would_be = State::clone(&state);
        let intent = Intent::RegisterJob {
            job: Box::new(job),
            submission: None,
            enforce_index: None,
            eval: Some(Box::new(eval.clone())),
        };
        let command = Command { time: now(), intent };
        if let Reply::Refused(refusal) = apply(&mut would_be, &command, state.index() + 1).reply {
            return Err(refusal.into());
        }
        let after = would_be.job(&key).cloned().ok_or_else(ServerError::job_not_found)?;
        let snapshot = Snapshot(Arc::new(would_be));
        let config = scheduler_config(&state);
        let input = snapshot.input(&eval, &config, &self.inner.node_sets);
        let outcome = schedule(&input, crate::sys::ids::random_u64(), now());
        Ok(DryRun {
            job_modify_index: before.as_ref().map_or(0, |job| job.job_modify_index),
            before,
            after,
            annotations: outcome.plan.annotations,
            failed: outcome.failed,
            created_evals: outcome.follow_ups.into_iter().chain(outcome.blocked).collect(),
        })
    }

    /// Stops a job, or removes it with all its versions. Nomad: one that does not exist is no error; all is zero then.
    pub async fn deregister_job(
        &self,
        key: &JobKey,
        purge: Purge,
        eval_priority: Option<i64>,
    ) -> Result<JobChanged, ServerError> {
        let state = self.state();
        let Some(job) = state.job(key).cloned() else { return Ok(JobChanged::default()) };
        let mut eval = eval_of(&job, EvalTrigger::JobDeregister, now());
        eval.priority = eval_priority.unwrap_or(eval.priority);
        let intent = Intent::DeregisterJob {
            key: key.clone(),
            purge: purge == Purge::Yes,
            eval: (!job.is_parent()).then(|| Box::new(eval)),
            no_shutdown_delay: purge == Purge::NoShutdownDelay,
        };
        self.propose(intent).await.map(|proposed| JobChanged::of(&proposed))
    }

    /// Lets a scheduler look at a job. With `Failed::Replace`, failed allocations are replaced even where their
    /// policy would not.
    pub async fn evaluate_job(
        &self,
        key: &JobKey,
        failed: Failed,
    ) -> Result<JobChanged, ServerError> {
        let state = self.state();
        let job = state.job(key).cloned().ok_or_else(ServerError::job_not_found)?;
        if job.periodic.is_some() {
            return Err(ServerError::Invalid("can't evaluate periodic job".to_owned()));
        }
        if job.is_parent() {
            return Err(ServerError::Invalid("can't evaluate parameterized job".to_owned()));
        }
        let eval = eval_of(&job, EvalTrigger::JobRegister, now());
        let (eval_id, job_modify_index) = (eval.id.clone(), job.job_modify_index);
        let force =
            DesiredTransition { force_reschedule: Some(true), ..DesiredTransition::default() };
        let transitions = match failed {
            Failed::Leave => std::collections::BTreeMap::new(),
            Failed::Replace => state
                .allocs_by_job(key)
                .filter(|alloc| {
                    alloc.client_status == ClientStatus::Failed
                        && alloc.next_allocation.is_empty()
                        && !alloc.is_server_terminal()
                })
                .map(|alloc| (alloc.id.clone(), force.clone()))
                .collect(),
        };
        let intent = Intent::UpdateDesiredTransitions { transitions, evals: vec![eval] };
        let index = self.propose(intent).await?.index;
        let version = job.version;
        Ok(JobChanged { index, job_modify_index, version, eval_id, eval_create_index: index })
    }

    /// Registers an older version again. `enforce` refuses unless this is the current one.
    pub async fn revert_job(
        &self,
        key: &JobKey,
        version: u64,
        enforce: Option<u64>,
    ) -> Result<JobChanged, ServerError> {
        let state = self.state();
        let current = state.job(key).cloned().ok_or_else(ServerError::job_not_found)?;
        if version == current.version {
            return Err(ServerError::Invalid("can't revert to current version".to_owned()));
        }
        if let Some(enforced) = enforce.filter(|enforced| *enforced != current.version) {
            let text = format!(
                "Current job has version {}; enforcing version {enforced}",
                current.version
            );
            return Err(ServerError::Conflict(text));
        }
        let Some(old) = state.job_version(key, version) else {
            return Err(ServerError::NotFound(format!(
                "job \"{}\" in namespace \"{}\" at version {version} not found",
                key.id, key.namespace
            )));
        };
        let job = Job { stable: false, version_tag: None, submit_time: now(), ..Job::clone(old) };
        let submission = state.job_submission(key, version).map(|s| JobSubmission::clone(s));
        let wanted = RegisterJob {
            job,
            submission,
            enforce_index: Some(current.job_modify_index),
            eval_priority: None,
        };
        self.register_job(wanted).await
    }

    /// Says that a version ran well, or not.
    pub async fn set_job_stability(
        &self,
        key: &JobKey,
        version: u64,
        stable: bool,
    ) -> Result<Index, ServerError> {
        let intent = Intent::SetJobStability { key: key.clone(), version, stable };
        self.propose(intent).await.map(|proposed| proposed.index)
    }

    /// Names a version (a version and a description), or takes the name away.
    pub async fn tag_job_version(
        &self,
        key: &JobKey,
        name: &str,
        tag: Option<(u64, String)>,
    ) -> Result<Index, ServerError> {
        let intent = Intent::TagJobVersion { key: key.clone(), name: name.to_owned(), tag };
        self.propose(intent).await.map(|proposed| proposed.index)
    }

    /// Changes a group's count, or records an event only when there is none.
    pub async fn scale_job(
        &self,
        key: &JobKey,
        group: &str,
        count: Option<i64>,
        event: Value,
    ) -> Result<JobChanged, ServerError> {
        let state = self.state();
        let job = state
            .job(key)
            .cloned()
            .ok_or_else(|| ServerError::NotFound(format!("job \"{}\" not found", key.id)))?;
        let eval = count.map(|_| Box::new(eval_of(&job, EvalTrigger::JobScaling, now())));
        let intent =
            Intent::ScaleJob { key: key.clone(), group: group.to_owned(), count, event, eval };
        self.propose(intent).await.map(|proposed| JobChanged::of(&proposed))
    }
}

/// Whether a job that is stopped is also removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    /// It is.
    Yes,
    /// It is kept.
    No,
    /// It is kept, and its allocations stop without their shutdown delay.
    NoShutdownDelay,
}

/// What is done with failed allocations of a job that is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// Nothing.
    Leave,
    /// They are replaced.
    Replace,
}

/// What a job must stand up to that depends on the state. The texts are Nomad's.
fn admit(state: &State, job: &Job) -> Result<(), ServerError> {
    let mut problems = Vec::new();
    if state.row(RowTable::Namespaces, &job.namespace).is_none() {
        problems
            .push(format!("job \"{}\" is in nonexistent namespace \"{}\"", job.id, job.namespace));
    }
    if !job.node_pool.is_empty() && state.row(RowTable::NodePools, &job.node_pool).is_none() {
        problems
            .push(format!("job \"{}\" is in nonexistent node pool \"{}\"", job.id, job.node_pool));
    }
    if !problems.is_empty() {
        return Err(ServerError::Invalid(report::several(&problems)));
    }
    let Some(known) = state.job(&job.key()) else { return Ok(()) };
    if known.kind != job.kind {
        return Err(ServerError::Invalid(format!(
            "cannot update job from type \"{}\" to \"{}\"",
            known.kind.as_str(),
            job.kind.as_str()
        )));
    }
    let change = |was: bool, is: bool, word: &str| match (was, is) {
        (true, false) => Err(format!("cannot update {word} job to being non-{word}")),
        (false, true) => Err(format!("cannot update non-{word} job to being {word}")),
        (true, true) | (false, false) => Ok(()),
    };
    change(known.periodic.is_some(), job.periodic.is_some(), "periodic")
        .and_then(|()| {
            let parameterized = |job: &Job| job.parameterized_job.is_some();
            change(parameterized(known), parameterized(job), "parameterized")
        })
        .map_err(ServerError::Invalid)
}
