//! ◇ `/v1/jobs/statuses`: jobs with what runs of them, for the interface's list.

use std::collections::HashSet;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};

use super::answer::Answer;
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use super::{body, read};
use crate::model::{Allocation, Job, JobKey};
use crate::state::{State, Table, Topic};

/// `GET` and `POST /v1/jobs/statuses`.
pub(super) async fn statuses(cx: &Context, method: &Method, query: &Query, sent: &Bytes) -> Answer {
    let request: body::StatusesRequest = match *method {
        Method::GET => body::StatusesRequest::default(),
        Method::POST | Method::PUT => body::decode_or_default(sent)?,
        _ => return Err(HttpError::method()),
    };
    let children = request.include_children || query.flag("include_children", false)?;
    let asked: HashSet<JobKey> = request
        .jobs
        .iter()
        .map(|job| {
            let namespace = Some(job.namespace.as_str()).filter(|name| !name.is_empty());
            JobKey::new(namespace.unwrap_or_else(|| query.namespace()), job.id.as_str())
        })
        .collect();
    let prefix = query.text("prefix").to_owned();
    let tables = [Table::Jobs, Table::Allocs, Table::Deployments];
    let topics = tables.map(Topic::Table);
    read::rows(cx, query, &topics, |state| {
        let wanted = |job: &Job| {
            if asked.is_empty() {
                query.wants_namespace(&job.namespace)
                    && job.id.starts_with(&prefix)
                    && (children || job.parent_id.is_empty())
            } else {
                asked.contains(&job.key())
            }
        };
        let mut jobs: Vec<_> = state.jobs().filter(|job| wanted(job)).collect();
        jobs.sort_by(|a, b| (a.modify_index, &a.id).cmp(&(b.modify_index, &b.id)));
        let rows = jobs
            .into_iter()
            .map(|job| (format!("{}.{}", job.modify_index, job.id), row(state, job)));
        (state.tables_index(&tables), rows.collect())
    })
    .await
}

fn row(state: &State, job: &Job) -> Value {
    let key = job.key();
    let current = |alloc: &&std::sync::Arc<Allocation>| {
        let of = alloc.job.as_ref().map(|job| job.create_index);
        of == Some(job.create_index) && (!alloc.is_terminal() || alloc.version() == job.version)
    };
    let allocs: Vec<Value> =
        state.allocs_by_job(&key).filter(current).map(|alloc| alloc_row(alloc)).collect();
    let launches = job.periodic.is_some() || job.parameterized_job.is_some();
    let children: Option<Vec<Value>> =
        launches.then(|| state.children(&key).map(|child| json!(child.status)).collect());
    let children = children.filter(|children| !children.is_empty());
    json!({
        "ID": job.id,
        "Namespace": job.namespace,
        "Name": job.name,
        "Type": job.kind,
        "NodePool": job.node_pool,
        "Datacenters": job.datacenters,
        "Priority": job.priority,
        "Version": job.version,
        "SubmitTime": job.submit_time,
        "ModifyIndex": job.modify_index,
        "Allocs": allocs,
        "GroupCountSum": job.task_groups.iter().map(|group| group.count).sum::<i64>(),
        "ChildStatuses": children,
        "ParentID": job.parent_id,
        "LatestDeployment": deployment(state, &key),
        "Status": job.status,
        "Stop": job.stop,
        "IsPack": job.meta.contains_key("pack.name"),
    })
}

fn alloc_row(alloc: &Allocation) -> Value {
    let paused = |state: &crate::model::allocation::TaskState| !state.paused.is_empty();
    json!({
        "ID": alloc.id,
        "Group": alloc.task_group,
        "ClientStatus": alloc.client_status,
        "NodeID": alloc.node_id,
        "DeploymentStatus": alloc.deployment_status.as_ref().map(|status| {
            json!({ "Canary": status.canary, "Healthy": status.healthy })
        }),
        "JobVersion": alloc.version(),
        "FollowupEvalID": alloc.followup_eval_id,
        "HasPausedTask": alloc.task_states.values().any(paused),
    })
}

fn deployment(state: &State, key: &JobKey) -> Value {
    let Some(latest) = state.latest_deployment(key) else { return Value::Null };
    json!({
        "ID": latest.id,
        "IsActive": latest.is_active(),
        "JobVersion": latest.job_version,
        "Status": latest.status,
        "StatusDescription": latest.status_description,
        "AllAutoPromote": !latest.task_groups.is_empty()
            && latest.task_groups.values().all(|group| group.auto_promote),
        "RequiresPromotion": latest.requires_promotion(),
    })
}
