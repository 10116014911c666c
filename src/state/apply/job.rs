//! Jobs: registered, stopped, purged.

use std::sync::Arc;

use crate::model::job::JobSubmission;
use crate::model::{Evaluation, Index, Job, JobKey, JobStatus};
use crate::state::command::{Refusal, Reply};
use crate::state::tables::parent_key;

use super::transaction::Transaction;
use super::{evaluation, scale, status, summary, version};

/// Refuses when the job's specification is not at the index that was assumed. The texts are Nomad's, which
/// clients match.
pub(super) fn check_index(
    tx: &Transaction<'_>,
    key: &JobKey,
    enforced: Option<Index>,
) -> Result<(), Refusal> {
    let Some(enforced) = enforced else { return Ok(()) };
    let current = tx.state.job(key).map(|job| job.job_modify_index);
    let problem = match (enforced, current) {
        (0, None) => return Ok(()),
        (0, Some(_)) => "job already exists".to_owned(),
        (_, None) => "job does not exist".to_owned(),
        (enforced, Some(current)) if enforced == current => return Ok(()),
        (_, Some(current)) => {
            format!("job exists with conflicting job modify index: {current}")
        }
    };
    Err(Refusal::Conflict(format!("Enforcing job modify index {enforced}: {problem}")))
}

/// Registers `job`; a new version only when its specification differs.
pub(super) fn register(
    tx: &mut Transaction<'_>,
    job: &Job,
    submission: Option<&JobSubmission>,
    eval: Option<&Evaluation>,
) -> Reply {
    let key = job.key();
    let existing = tx.state.job(&key).cloned();
    let current = match existing {
        Some(existing) if is_same_specification(&existing, job) => existing,
        Some(existing) => add_version(tx, &existing, job.clone()),
        None => add(tx, job.clone()),
    };
    if current.job_modify_index == tx.index
        && let Some(submission) = submission
    {
        tx.put_submission(
            &key,
            JobSubmission {
                namespace: current.namespace.clone(),
                job_id: current.id.clone(),
                version: current.version,
                job_modify_index: tx.index,
                ..submission.clone()
            },
        );
    }
    reply_with(tx, &current, eval)
}

/// Stops a job: a version that says so. Stopping it again changes nothing but asks for an evaluation.
pub(super) fn stop(
    tx: &mut Transaction<'_>,
    key: &JobKey,
    eval: Option<&Evaluation>,
) -> Result<Reply, Refusal> {
    let existing = existing(tx, key)?;
    let current = if existing.stop {
        existing
    } else {
        let stopped = Job { stop: true, submit_time: tx.time, ..Job::clone(&existing) };
        add_version(tx, &existing, stopped)
    };
    Ok(reply_with(tx, &current, eval))
}

/// Removes a job and all that is only its own. Its allocations stay until they are collected, and so do the
/// versions they run.
pub(super) fn purge(
    tx: &mut Transaction<'_>,
    key: &JobKey,
    eval: Option<&Evaluation>,
) -> Result<Reply, Refusal> {
    let job = existing(tx, key)?;
    remove(tx, key);
    let eval_id = evaluation::follow(tx, eval, tx.index);
    Ok(Reply::Job { job_modify_index: tx.index, version: job.version, eval_id })
}

/// Removes a job and all that is only its own.
pub(super) fn remove(tx: &mut Transaction<'_>, key: &JobKey) {
    let Some(job) = tx.remove_job(key) else { return };
    if let Some(parent) = parent_key(&job) {
        // Nomad: a child that is gone is counted as dead for ever.
        summary::move_child(tx, &parent, job.status, JobStatus::Dead);
    }
    tx.remove_summary(key);
    let versions: Vec<u64> = tx
        .state
        .submissions
        .range((key.clone(), 0)..=(key.clone(), u64::MAX))
        .map(|((_, version), _)| *version)
        .collect();
    for version in versions {
        tx.remove_submission(key, version);
    }
    scale::forget(tx, key);
    version::prune(tx, key);
}

/// A new version over `existing`, with what the state machine alone decides.
pub(super) fn add_version(tx: &mut Transaction<'_>, existing: &Job, job: Job) -> Arc<Job> {
    let job = Job {
        create_index: existing.create_index,
        version: existing.version.saturating_add(1),
        status: existing.status,
        status_description: existing.status_description.clone(),
        ..job
    };
    write(tx, job)
}

fn add(tx: &mut Transaction<'_>, job: Job) -> Arc<Job> {
    let job = Job {
        create_index: tx.index,
        version: 0,
        status: JobStatus::Pending,
        status_description: String::new(),
        ..job
    };
    if let Some(parent) = parent_key(&job) {
        summary::add_child(tx, &parent, job.status);
    }
    write(tx, job)
}

fn write(tx: &mut Transaction<'_>, job: Job) -> Arc<Job> {
    let submit_time = if job.submit_time.is_never() { tx.time } else { job.submit_time };
    // Stopping changes nothing of what was found to be stable.
    let stable = job.stop && tx.state.job(&job.key()).is_some_and(|old| old.stable);
    let job = tx.put_job(Job {
        job_modify_index: tx.index,
        submit_time,
        stable,
        version_tag: None,
        ..job
    });
    let key = job.key();
    version::prune(tx, &key);
    summary::ensure(tx, &job);
    scale::write_policies(tx, &job);
    job
}

fn reply_with(tx: &mut Transaction<'_>, job: &Job, eval: Option<&Evaluation>) -> Reply {
    let eval_id = evaluation::follow(tx, eval, job.job_modify_index);
    status::refresh(tx, &job.key());
    Reply::Job { job_modify_index: job.job_modify_index, version: job.version, eval_id }
}

pub(super) fn existing(tx: &Transaction<'_>, key: &JobKey) -> Result<Arc<Job>, Refusal> {
    tx.state.job(key).cloned().ok_or_else(|| Refusal::NotFound("job not found".to_owned()))
}

/// Whether two jobs ask for the same: all but what the state machine and the submission add.
pub(super) fn is_same_specification(old: &Job, new: &Job) -> bool {
    let new = Job {
        status: old.status,
        status_description: old.status_description.clone(),
        stable: old.stable,
        version: old.version,
        submit_time: old.submit_time,
        create_index: old.create_index,
        modify_index: old.modify_index,
        job_modify_index: old.job_modify_index,
        nomad_token_id: old.nomad_token_id.clone(),
        version_tag: old.version_tag.clone(),
        ..new.clone()
    };
    new == *old
}
