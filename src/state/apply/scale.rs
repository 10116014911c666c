//! Scaling: counts of groups, the record of what scaled them, and the policies their jobs carry.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::model::group::ScalingPolicy;
use crate::model::{Evaluation, Job, JobKey};
use crate::state::command::{Refusal, Reply, RowTable};
use crate::state::row::Row;

use super::transaction::Transaction;
use super::{deployment, evaluation, job, status};

/// How many scaling events of a group are kept.
const KEPT_EVENTS: usize = 20;

/// A wish to scale a group, or the record of something that did not become one.
pub(super) struct Scale<'a> {
    pub(super) key: &'a JobKey,
    pub(super) group: &'a str,
    pub(super) count: Option<i64>,
    pub(super) event: &'a Value,
}

/// Changes a group's count and records why.
pub(super) fn scale(
    tx: &mut Transaction<'_>,
    scale: &Scale<'_>,
    eval: Option<&Evaluation>,
) -> Result<Reply, Refusal> {
    let Some(existing) = tx.state.job(scale.key).cloned() else {
        return Err(Refusal::NotFound(format!("job \"{}\" not found", scale.key.id)));
    };
    let Some(before) = existing.group(scale.group).map(|group| group.count) else {
        return Err(Refusal::Invalid(format!(
            "task group \"{}\" specified for scaling does not exist in job",
            scale.group
        )));
    };
    let current = match scale.count {
        Some(count) => {
            if count < 0 {
                return Err(Refusal::Invalid("scaling action count can't be negative".to_owned()));
            }
            if deployment::is_active(tx, &existing) {
                let text = "job scaling blocked due to active deployment";
                return Err(Refusal::Invalid(text.to_owned()));
            }
            set_count(tx, &existing, scale.group, count)
        }
        None => existing,
    };
    let eval_id = evaluation::follow(tx, eval, current.job_modify_index);
    let eval_text = eval_id.as_ref().map(|id| Value::from(id.as_str()));
    record(tx, scale, before, eval_text.unwrap_or_default());
    status::refresh(tx, scale.key);
    let job_modify_index = current.job_modify_index;
    Ok(Reply::Job { job_modify_index, version: current.version, eval_id })
}

fn set_count(tx: &mut Transaction<'_>, existing: &Arc<Job>, group: &str, count: i64) -> Arc<Job> {
    let mut scaled = Job { submit_time: tx.time, ..Job::clone(existing) };
    if let Some(group) = scaled.task_groups.iter_mut().find(|g| g.name == group) {
        group.count = count;
    }
    if job::is_same_specification(existing, &scaled) {
        return Arc::clone(existing);
    }
    job::add_version(tx, existing, scaled)
}

/// Puts an event at the head of the group's.
fn record(tx: &mut Transaction<'_>, scale: &Scale<'_>, before: i64, eval_id: Value) {
    let key: Arc<str> = row_key(scale.key).into();
    let existing = tx.state.row(RowTable::ScalingEvents, &key).cloned();
    let mut event = scale.event.as_object().cloned().unwrap_or_default();
    event.insert("Count".to_owned(), scale.count.into());
    event.insert("PreviousCount".to_owned(), before.into());
    event.insert("EvalID".to_owned(), eval_id);
    event.insert("CreateIndex".to_owned(), tx.index.into());
    event.entry("Time").or_insert_with(|| tx.time.0.into());
    let mut groups = existing
        .as_ref()
        .and_then(|row| row.value.get("ScalingEvents").and_then(Value::as_object).cloned())
        .unwrap_or_else(Map::new);
    let events = groups.entry(scale.group).or_insert_with(|| Value::Array(Vec::new()));
    if let Some(events) = events.as_array_mut() {
        events.insert(0, Value::Object(event));
        events.truncate(KEPT_EVENTS);
    }
    let value = json!({
        "Namespace": &*scale.key.namespace,
        "JobID": &*scale.key.id,
        "ScalingEvents": groups,
    });
    let created = existing.map_or(tx.index, |row| row.create_index);
    if let Some(row) = Row::new(value, created, tx.index) {
        tx.put_row(RowTable::ScalingEvents, key, row);
    }
}

/// The key of a job's row of scaling events.
pub(super) fn row_key(key: &JobKey) -> String {
    format!("{}/{}", key.namespace, key.id)
}

/// Writes the rows of the policies that a job carries, and removes those it carries no more. A stopped job
/// has none.
pub(super) fn write_policies(tx: &mut Transaction<'_>, job: &Job) {
    let wanted = if job.stop { BTreeMap::new() } else { policies(job) };
    for id in policy_ids(tx, &job.key()) {
        if !wanted.contains_key(&*id) {
            tx.remove_row(RowTable::ScalingPolicies, &id);
        }
    }
    for (id, policy) in wanted {
        let existing = tx.state.row(RowTable::ScalingPolicies, &id).cloned();
        let created = existing.as_ref().map_or(tx.index, |row| row.create_index);
        let Ok(value) = serde_json::to_value(&policy) else { continue };
        let modified = existing.as_ref().map_or(tx.index, |row| row.modify_index);
        let same = Row::new(value.clone(), created, modified);
        if (existing.is_none() || same.as_ref() != existing.as_deref())
            && let Some(row) = Row::new(value, created, tx.index)
        {
            tx.put_row(RowTable::ScalingPolicies, id.into(), row);
        }
    }
}

/// Removes what is kept about the scaling of a job.
pub(super) fn forget(tx: &mut Transaction<'_>, key: &JobKey) {
    for id in policy_ids(tx, key) {
        tx.remove_row(RowTable::ScalingPolicies, &id);
    }
    tx.remove_row(RowTable::ScalingEvents, &Arc::from(row_key(key)));
}

fn policy_ids(tx: &Transaction<'_>, key: &JobKey) -> Vec<Arc<str>> {
    let is = |row: &Row, name: &str, wanted: &str| {
        row.value.pointer(&format!("/Target/{name}")).and_then(Value::as_str) == Some(wanted)
    };
    tx.state
        .rows(RowTable::ScalingPolicies)
        .filter(|(_, row)| is(row, "Job", &key.id) && is(row, "Namespace", &key.namespace))
        .map(|(id, _)| Arc::clone(id))
        .collect()
}

/// The policies in a job by their ids. An id follows from what the policy is for, so that every server and
/// every later version of the job finds the same.
fn policies(job: &Job) -> BTreeMap<String, ScalingPolicy> {
    let mut found = BTreeMap::new();
    for group in &job.task_groups {
        let tasks = group.tasks.iter().flat_map(|task| {
            task.scaling_policies.iter().map(|policy| (task.name.as_str(), policy))
        });
        let own = group.scaling.iter().map(|policy| ("", policy));
        for (task, policy) in own.chain(tasks) {
            let name = [&*job.namespace, &*job.id, &*group.name, task, &*policy.kind].join("\u{0}");
            let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string();
            let mut target = BTreeMap::from([
                ("Namespace".to_owned(), job.namespace.clone()),
                ("Job".to_owned(), job.id.clone()),
                ("Group".to_owned(), group.name.clone()),
            ]);
            if !task.is_empty() {
                target.insert("Task".to_owned(), task.to_owned());
            }
            let policy = ScalingPolicy { id: id.clone(), target, ..policy.clone() };
            found.insert(id, policy);
        }
    }
    found
}
