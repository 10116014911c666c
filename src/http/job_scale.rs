//! ◇ Scaling a job's groups, and the policies that say how they may be scaled.

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::jobs::newest;
use super::query::Query;
use super::{body, read, view};
use crate::model::allocation::ClientStatus;
use crate::model::{Allocation, Job, JobKey, JobType, TaskGroup};
use crate::state::{RowKey, RowTable, State, Table, Topic};
use crate::sys::report::Kind;

/// `GET /v1/job/<id>/scale`.
pub(super) async fn status(cx: &Context, query: &Query, key: &JobKey) -> Answer {
    let topics = [Topic::Row(RowKey::Job(key.clone())), Topic::OfJob(Table::Allocs, key.clone())];
    read::object(cx, query, &topics, "job not found", |state| {
        let Some(job) = state.job(key) else { return (state.table_index(Table::Jobs), None) };
        let groups: Map<String, Value> = job
            .task_groups
            .iter()
            .map(|group| (group.name.clone(), group_status(state, key, group)))
            .collect();
        let allocs = state.allocs_by_job(key).map(|alloc| alloc.modify_index);
        let index = newest(allocs, job.modify_index).max(job.modify_index);
        let answer = json!({
            "JobID": job.id,
            "Namespace": job.namespace,
            "JobCreateIndex": job.create_index,
            "JobModifyIndex": job.modify_index,
            "JobStopped": job.stop,
            "TaskGroups": groups,
        });
        (index, Some(answer))
    })
    .await
}

fn group_status(state: &State, key: &JobKey, group: &TaskGroup) -> Value {
    let (mut placed, mut running, mut healthy, mut unhealthy) = (0, 0, 0, 0);
    // Nomad: canaries do not count yet.
    let is_canary = |alloc: &Allocation| {
        alloc.deployment_status.as_ref().is_some_and(|deployment| deployment.canary)
    };
    let allocs = state.allocs_by_job(key).filter(|alloc| alloc.task_group == group.name);
    let allocs = allocs.filter(|alloc| !is_canary(alloc));
    for alloc in allocs.filter(|alloc| !alloc.is_terminal()) {
        placed += 1;
        running += i64::from(alloc.client_status == ClientStatus::Running);
        match alloc.deployment_status.as_ref().and_then(|status| status.healthy) {
            Some(true) => healthy += 1,
            Some(false) => unhealthy += 1,
            None => {}
        }
    }
    let row = state.row(RowTable::ScalingEvents, &format!("{}/{}", key.namespace, key.id));
    let events = row.map(|row| row.value["ScalingEvents"][&group.name].clone());
    json!({
        "Desired": group.count,
        "Placed": placed,
        "Running": running,
        "Healthy": healthy,
        "Unhealthy": unhealthy,
        "Events": events.unwrap_or_default(),
    })
}

/// `PUT /v1/job/<id>/scale`.
pub(super) async fn scale(cx: &Context, query: &Query, key: &JobKey, sent: &Bytes) -> Answer {
    let request: body::ScaleRequest = body::decode(sent)?;
    let name = request.target.get("Group").map(String::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err(HttpError::bad_request("missing task group name for scaling action"));
    }
    if request.error && request.count.is_some() {
        let text = "scaling action should not contain count if error is true";
        return Err(HttpError::bad_request(text));
    }
    let state = cx.state()?;
    let Some(job) = state.job(key) else {
        return Err(HttpError::not_found(format!("job \"{}\" not found", key.id)));
    };
    check_count(job, name, request.count)?;
    let event = json!({ "Message": request.message, "Error": request.error, "Meta": request.meta });
    let done = cx.server()?.scale_job(key, name, request.count, event).await;
    let done = done.map_err(|error| match error.kind() {
        Kind::Invalid | Kind::Conflict => HttpError::bad_request(error.to_string()),
        Kind::NotFound | Kind::Denied | Kind::Busy | Kind::Unavailable | Kind::Internal => {
            HttpError::refused(error)
        }
    })?;
    answer::indexed(
        query,
        done.index,
        &json!({
            "EvalID": done.eval_id,
            "EvalCreateIndex": done.eval_create_index,
            "JobModifyIndex": done.job_modify_index,
            "Warnings": "",
            "Index": done.index,
            "LastContact": 0,
            "KnownLeader": true,
            "NextToken": "",
        }),
    )
}

/// What a count must keep before anybody is asked.
fn check_count(job: &Job, name: &str, count: Option<i64>) -> Result<(), HttpError> {
    let Some(group) = job.group(name) else {
        return Err(HttpError::bad_request(format!(
            "task group \"{name}\" specified for scaling does not exist in job"
        )));
    };
    let Some(count) = count else { return Ok(()) };
    if job.kind == JobType::System && !(0..=1).contains(&count) {
        let text = "task groups of system jobs can only be scaled to 0 or 1";
        return Err(HttpError::bad_request(text));
    }
    let Some(policy) = &group.scaling else { return Ok(()) };
    if count > policy.max {
        return Err(HttpError::bad_request(format!(
            "group count was greater than scaling policy maximum: {count} > {}",
            policy.max
        )));
    }
    if count < policy.min {
        return Err(HttpError::bad_request(format!(
            "group count was less than scaling policy minimum: {count} < {}",
            policy.min
        )));
    }
    Ok(())
}

/// `GET /v1/scaling/policies`.
pub(super) async fn policies(cx: &Context, query: &Query) -> Answer {
    let (job, kind) = (query.text("job").to_owned(), query.text("type").to_owned());
    read::rows(cx, query, &[Topic::Table(Table::ScalingPolicies)], |state| {
        let rows = state.rows(RowTable::ScalingPolicies).filter_map(|(id, row)| {
            let policy = &row.value;
            let target = |field: &str| policy["Target"][field].as_str().unwrap_or_default();
            let wanted = query.wants_namespace(target("Namespace"))
                && (job.is_empty() || target("Job") == job)
                && (kind.is_empty() || policy["Type"] == kind.as_str());
            wanted.then(|| {
                let stub = json!({
                    "ID": &**id,
                    "Enabled": policy["Enabled"],
                    "Type": policy["Type"],
                    "Target": policy["Target"],
                    "CreateIndex": row.create_index,
                    "ModifyIndex": row.modify_index,
                });
                (id.to_string(), stub)
            })
        });
        (state.table_index(Table::ScalingPolicies), rows.collect())
    })
    .await
}

/// `GET /v1/scaling/policy/<id>`.
pub(super) async fn policy(cx: &Context, method: &Method, query: &Query, id: &str) -> Answer {
    if *method != Method::GET {
        return Err(HttpError::method());
    }
    let topics = [Topic::Table(Table::ScalingPolicies)];
    read::object(cx, query, &topics, "policy not found", |state| {
        match state.row(RowTable::ScalingPolicies, id) {
            Some(row) => (row.modify_index, Some(view::value(&row.value))),
            None => (state.table_index(Table::ScalingPolicies), None),
        }
    })
    .await
}
