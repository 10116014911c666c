//! How many allocations of a job, and how many of its children, are in which state.

use std::sync::Arc;

use crate::model::job::{ChildrenSummary, GroupSummary, JobSummary};
use crate::model::{Allocation, ClientStatus, Evaluation, Job, JobKey, JobStatus};

use crate::state::command::Reply;

use super::transaction::Transaction;

/// Makes a summary for a job, or adds the groups that are new. Groups that are gone keep their counts.
pub(super) fn ensure(tx: &mut Transaction<'_>, job: &Job) {
    let key = job.key();
    let existing = tx.state.job_summary(&key).filter(|s| s.create_index >= job.create_index);
    let mut summary = existing.map_or_else(
        || JobSummary {
            job_id: job.id.clone(),
            namespace: job.namespace.clone(),
            children: Some(ChildrenSummary::default()),
            create_index: job.create_index,
            ..JobSummary::default()
        },
        |existing| JobSummary::clone(existing),
    );
    let before = summary.summary.len();
    for group in &job.task_groups {
        summary.summary.entry(group.name.clone()).or_default();
    }
    if summary.summary.len() != before || existing_is_missing(tx, &key) {
        tx.put_summary(&key, summary);
    }
}

fn existing_is_missing(tx: &Transaction<'_>, key: &JobKey) -> bool {
    tx.state.job_summary(key).is_none()
}

/// Counts an allocation that was placed or whose client status changed.
pub(super) fn count_alloc(
    tx: &mut Transaction<'_>,
    alloc: &Allocation,
    before: Option<&Allocation>,
) {
    let status_before = before.map(|before| before.client_status);
    if status_before == Some(alloc.client_status) {
        return;
    }
    change(tx, alloc, |group| {
        if let Some(before) = status_before {
            let count = bin(group, before);
            *count = count.saturating_sub(1).max(0);
        } else {
            group.queued = group.queued.saturating_sub(1).max(0);
        }
        let count = bin(group, alloc.client_status);
        *count = count.saturating_add(1);
    });
}

fn change(tx: &mut Transaction<'_>, alloc: &Allocation, act: impl FnOnce(&mut GroupSummary)) {
    let key = alloc.job_key();
    let created = alloc.job.as_ref().map(|job| job.create_index);
    // A summary of a later job of that ID does not count the allocations of the purged one.
    let Some(summary) =
        tx.state.job_summary(&key).filter(|s| Some(s.create_index) == created).cloned()
    else {
        return;
    };
    let mut summary = JobSummary::clone(&summary);
    if let Some(group) = summary.summary.get_mut(&alloc.task_group) {
        act(group);
        tx.put_summary(&key, summary);
    }
}

fn bin(group: &mut GroupSummary, status: ClientStatus) -> &mut i64 {
    match status {
        ClientStatus::Pending => &mut group.starting,
        ClientStatus::Running => &mut group.running,
        ClientStatus::Complete => &mut group.complete,
        ClientStatus::Failed => &mut group.failed,
        ClientStatus::Lost => &mut group.lost,
        ClientStatus::Unknown => &mut group.unknown,
    }
}

/// Takes over how many allocations an evaluation could not place.
pub(super) fn set_queued(tx: &mut Transaction<'_>, eval: &Evaluation) {
    if eval.queued_allocations.is_empty() {
        return;
    }
    let key = eval.job_key();
    let Some(existing) = tx.state.job_summary(&key).cloned() else { return };
    let mut summary = JobSummary::clone(&existing);
    for (name, queued) in &eval.queued_allocations {
        if let Some(group) = summary.summary.get_mut(name) {
            group.queued = *queued;
        }
    }
    if summary != *existing {
        tx.put_summary(&key, summary);
    }
}

/// Counts a new child of a job.
pub(super) fn add_child(tx: &mut Transaction<'_>, parent: &JobKey, status: JobStatus) {
    change_children(tx, parent, |children| {
        let count = child_bin(children, status);
        *count = count.saturating_add(1);
    });
}

/// Counts a child whose status changed.
pub(super) fn move_child(
    tx: &mut Transaction<'_>,
    parent: &JobKey,
    from: JobStatus,
    to: JobStatus,
) {
    if from != to {
        change_children(tx, parent, |children| {
            let count = child_bin(children, from);
            *count = count.saturating_sub(1).max(0);
            let count = child_bin(children, to);
            *count = count.saturating_add(1);
        });
    }
}

fn change_children(
    tx: &mut Transaction<'_>,
    parent: &JobKey,
    act: impl FnOnce(&mut ChildrenSummary),
) {
    let Some(summary) = tx.state.job_summary(parent).cloned() else { return };
    let mut summary = JobSummary::clone(&summary);
    act(summary.children.get_or_insert_default());
    tx.put_summary(parent, summary);
}

fn child_bin(children: &mut ChildrenSummary, status: JobStatus) -> &mut i64 {
    match status {
        JobStatus::Pending => &mut children.pending,
        JobStatus::Running => &mut children.running,
        JobStatus::Dead => &mut children.dead,
    }
}

/// Counts everything again from the allocations and jobs that are there. Queued ones are kept.
pub(super) fn recount(tx: &mut Transaction<'_>) -> Reply {
    let jobs: Vec<Arc<Job>> = tx.state.jobs().cloned().collect();
    for job in jobs {
        let key = job.key();
        let old = tx.state.job_summary(&key).cloned();
        let mut summary = JobSummary {
            job_id: job.id.clone(),
            namespace: job.namespace.clone(),
            children: Some(ChildrenSummary::default()),
            create_index: job.create_index,
            modify_index: old.as_ref().map(|s| s.modify_index).unwrap_or_default(),
            ..JobSummary::default()
        };
        let queued = |name: &str| {
            old.as_ref().and_then(|s| s.summary.get(name)).map(|g| g.queued).unwrap_or_default()
        };
        for group in &job.task_groups {
            let empty = GroupSummary { queued: queued(&group.name), ..GroupSummary::default() };
            summary.summary.insert(group.name.clone(), empty);
        }
        for alloc in tx.state.allocs_by_job(&key) {
            if alloc.job.as_ref().is_some_and(|j| j.create_index == job.create_index) {
                let group = summary.summary.entry(alloc.task_group.clone()).or_default();
                *bin(group, alloc.client_status) += 1;
            }
        }
        let children = summary.children.get_or_insert_default();
        for child in tx.state.children(&key) {
            *child_bin(children, child.status) += 1;
        }
        if old.is_none_or(|old| *old != summary) {
            tx.put_summary(&key, summary);
        }
    }
    Reply::Done
}
