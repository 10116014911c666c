//! ◇ `/v1/deployments` and `/v1/deployment/…`.

use axum::body::Bytes;
use axum::http::Method;
use serde_json::json;

use super::allocations::{check_id, check_prefix};
use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use super::view::{self, AllocStubOptions};
use super::{body, read};
use crate::model::DeploymentId;
use crate::server::{DeploymentChanged, Health};
use crate::state::Topic;
use crate::state::{RowKey, Table};

/// `GET /v1/deployments`.
pub(super) async fn list(cx: &Context, query: &Query) -> Answer {
    let prefix = query.text("prefix").to_owned();
    check_prefix("deployment", &prefix)?;
    read::rows(cx, query, &[Topic::Table(Table::Deployments)], |state| {
        let found =
            state.deployments_by_prefix(&prefix).filter(|d| query.wants_namespace(&d.namespace));
        let mut found: Vec<_> = found.collect();
        found.sort_by(|a, b| (a.create_index, &a.id).cmp(&(b.create_index, &b.id)));
        let rows =
            found.into_iter().map(|d| (format!("{}.{}", d.create_index, d.id), view::value(d)));
        (state.table_index(Table::Deployments), rows.collect())
    })
    .await
}

/// `/v1/deployment/…`: `<id>`, `allocations/<id>`, or what is to be done with `<id>`.
pub(super) async fn route(
    cx: &Context,
    method: &Method,
    path: &str,
    query: &Query,
    sent: &Bytes,
) -> Answer {
    let write = matches!(*method, Method::PUT | Method::POST);
    match path.split_once('/') {
        None if *method == Method::GET => deployment(cx, query, &path.into()).await,
        Some(("allocations", id)) if *method == Method::GET => {
            allocations(cx, query, &id.into()).await
        }
        Some((verb, id)) if write => act(cx, query, verb, &id.into(), sent).await,
        None | Some(_) => Err(HttpError::method()),
    }
}

async fn deployment(cx: &Context, query: &Query, id: &DeploymentId) -> Answer {
    check_id("deployment", id.as_str())?;
    let topics = [Topic::Row(RowKey::Deployment(id.clone()))];
    read::object(cx, query, &topics, "deployment not found", |state| match state.deployment(id) {
        Some(deployment) => (deployment.modify_index, Some(view::value(deployment))),
        None => (state.table_index(Table::Deployments), None),
    })
    .await
}

async fn allocations(cx: &Context, query: &Query, id: &DeploymentId) -> Answer {
    let options = AllocStubOptions { resources: false, task_states: true };
    read::rows(cx, query, &[Topic::AllocsOfDeployment(id.clone())], |state| {
        let found = state.allocs_by_deployment(id);
        let rows: Vec<_> =
            found.map(|a| (a.id.to_string(), view::alloc_stub(a, options))).collect();
        let newest = state.allocs_by_deployment(id).map(|alloc| alloc.modify_index).max();
        (newest.unwrap_or_else(|| state.table_index(Table::Allocs)), rows)
    })
    .await
}

async fn act(cx: &Context, query: &Query, verb: &str, id: &DeploymentId, sent: &Bytes) -> Answer {
    let request: body::DeploymentRequest = body::decode_or_default(sent)?;
    if !request.deployment_id.is_empty() && request.deployment_id != id.as_str() {
        return Err(HttpError::bad_request("Deployment ID does not match"));
    }
    let server = cx.server()?;
    let done = match verb {
        "fail" => server.fail_deployment(id).await,
        "pause" => server.pause_deployment(id, request.pause).await,
        "promote" => {
            let groups = (!request.all).then_some(request.groups);
            server.promote_deployment(id, groups).await
        }
        "allocation-health" => {
            let ids = |list: &[String]| list.iter().map(|id| id.as_str().into()).collect();
            let (healthy, unhealthy) = (ids(&request.healthy), ids(&request.unhealthy));
            server.set_deployment_health(id, Health { healthy, unhealthy }).await
        }
        // Nomad: only deployments over regions are ever blocked; others are let pass.
        "unblock" => Ok(DeploymentChanged::default()),
        _ => return Err(HttpError::nowhere()),
    };
    let done = done.map_err(HttpError::refused)?;
    answer::indexed(
        query,
        done.index,
        &json!({
            "EvalID": done.eval_id,
            "EvalCreateIndex": done.eval_create_index,
            "DeploymentModifyIndex": done.index,
            "RevertedJobVersion": done.reverted_to,
            "Index": done.index,
        }),
    )
}
