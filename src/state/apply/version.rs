//! Versions of a job: kept, marked stable, named.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::job::JobVersionTag;
use crate::model::{Index, Job, JobKey};
use crate::state::command::{Refusal, Reply};
use crate::state::key::VersionKey;
use crate::state::tables::version_key;

use super::job::existing;
use super::transaction::Transaction;

/// How many versions of a job are kept at least.
pub(super) const KEPT: usize = 6;

/// Forgets old versions: all but the newest six, those with a name, the newest that ran well, and those that
/// an allocation runs. Of a job that was purged only the last kind is kept.
pub(super) fn prune(tx: &mut Transaction<'_>, key: &JobKey) {
    let all: Vec<Arc<Job>> = {
        let version = |created| VersionKey { job: key.clone(), created, version: 0 };
        let kept = tx.state.versions.range(version(0)..);
        kept.take_while(|(other, _)| other.job == *key).map(|(_, job)| Arc::clone(job)).collect()
    };
    let created = tx.state.job(key).map(|job| job.create_index);
    let (current, former): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|job| Some(job.create_index) == created);
    if former.is_empty() && current.len() <= KEPT {
        return;
    }
    let used: HashSet<(Index, u64)> = tx
        .state
        .allocs_by_job(key)
        .filter_map(|alloc| alloc.job.as_ref())
        .map(|job| (job.create_index, job.version))
        .collect();
    let old = &current[..current.len().saturating_sub(KEPT)];
    let last_stable = current.iter().rev().find(|job| job.stable).map(|job| job.version);
    let old = old
        .iter()
        .filter(|job| job.version_tag.is_none() && Some(job.version) != last_stable)
        .chain(&former)
        .filter(|job| !used.contains(&(job.create_index, job.version)));
    for job in old {
        if Some(job.create_index) == created {
            tx.remove_submission(key, job.version);
        }
        tx.remove_version(version_key(job));
    }
}

/// Marks a version as one that ran well, or not.
pub(super) fn set_stability(
    tx: &mut Transaction<'_>,
    key: &JobKey,
    version: u64,
    stable: bool,
) -> Result<Reply, Refusal> {
    let current = existing(tx, key)?;
    let job = tx.state.job_version(key, version).cloned().ok_or_else(|| unknown(key, version))?;
    if job.stable != stable {
        put(tx, &current, Job { stable, ..Job::clone(&job) });
    }
    let eval_id = None;
    Ok(Reply::Job { job_modify_index: current.job_modify_index, version, eval_id })
}

/// Names a version. A name belongs to one version of a job; naming the same one again changes the words.
pub(super) fn tag(
    tx: &mut Transaction<'_>,
    key: &JobKey,
    name: &str,
    version: u64,
    description: &str,
) -> Result<Reply, Refusal> {
    let current = existing(tx, key)?;
    let job = tx.state.job_version(key, version).cloned().ok_or_else(|| {
        Refusal::NotFound(format!("job \"{}\" version {version} not found", key.id))
    })?;
    if tagged(tx, key, name).is_some_and(|other| other.version != version) {
        return Err(Refusal::Conflict(format!(
            "tag \"{name}\" already exists on a different version of job \"{}\"",
            key.id
        )));
    }
    let tag = JobVersionTag {
        name: name.to_owned(),
        description: description.to_owned(),
        tagged_time: tx.time,
    };
    put(tx, &current, Job { version_tag: Some(tag), ..Job::clone(&job) });
    Ok(Reply::Job { job_modify_index: current.job_modify_index, version, eval_id: None })
}

/// Takes a name away.
pub(super) fn untag(tx: &mut Transaction<'_>, key: &JobKey, name: &str) -> Result<Reply, Refusal> {
    let current = existing(tx, key)?;
    let Some(job) = tagged(tx, key, name) else {
        return Err(Refusal::NotFound(format!("tag \"{name}\" not found on job \"{}\"", key.id)));
    };
    let version = job.version;
    put(tx, &current, Job { version_tag: None, ..Job::clone(&job) });
    prune(tx, key);
    Ok(Reply::Job { job_modify_index: current.job_modify_index, version, eval_id: None })
}

fn tagged(tx: &Transaction<'_>, key: &JobKey, name: &str) -> Option<Arc<Job>> {
    let named = |job: &&&Arc<Job>| job.version_tag.as_ref().is_some_and(|tag| tag.name == name);
    tx.state.job_versions(key).iter().find(named).map(|job| Arc::clone(job))
}

fn put(tx: &mut Transaction<'_>, current: &Job, job: Job) {
    if job.version == current.version {
        tx.put_job(job);
    } else {
        tx.put_version(job);
    }
}

fn unknown(key: &JobKey, version: u64) -> Refusal {
    Refusal::NotFound(format!(
        "job \"{}\" in namespace \"{}\" at version {version} not found",
        key.id, key.namespace
    ))
}
