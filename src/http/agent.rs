//! ◇ `/v1/agent/…`, `/v1/status/…`, `/v1/regions`, `/v1/operator/…`, `/v1/system/…`.

use axum::body::{Body, Bytes};
use axum::http::Method;
use axum::response::IntoResponse as _;
use serde_json::json;

use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use crate::state::command::RowTable;

/// `GET /v1/agent/…`.
pub(super) fn agent(cx: &Context, method: &Method, path: &str, query: &Query) -> Answer {
    match (path, method) {
        ("self", &Method::GET) => answer::plain(query, &cx.facts.agent_self()),
        ("members", &Method::GET) => answer::plain(query, &cx.facts.members()),
        ("health", &Method::GET) => health(cx, query),
        ("servers", &Method::GET) => answer::plain(query, &cx.facts.peers()),
        ("self" | "members" | "health" | "servers", _) => Err(HttpError::method()),
        _ => Err(HttpError::not_found("")),
    }
}

fn health(cx: &Context, query: &Query) -> Answer {
    let kind = query.text("type");
    let wants = |name: &str| kind.is_empty() || kind == name;
    let ok = json!({ "ok": true, "message": "ok" });
    let mut health = json!({});
    if wants("client") && cx.local.is_some() {
        health["client"] = ok.clone();
    }
    if wants("server") && cx.server.is_some() {
        health["server"] = if cx.facts.leader().is_empty() {
            json!({ "ok": false, "message": "No cluster leader" })
        } else {
            ok
        };
    }
    let healthy = health.as_object().is_some_and(|map| map.values().all(|part| part["ok"] == true));
    if healthy {
        return answer::plain(query, &health);
    }
    // Nomad: an agent that is not well answers 500 with the same JSON as text.
    Err(HttpError::of(crate::sys::report::Kind::Internal, health.to_string()))
}

/// `GET /v1/status/leader` and `/v1/status/peers`.
pub(super) fn status(cx: &Context, path: &str, query: &Query) -> Answer {
    match path {
        "leader" => answer::plain(query, &cx.facts.leader()),
        "peers" => answer::plain(query, &cx.facts.peers()),
        _ => Err(HttpError::not_found("")),
    }
}

/// `GET /v1/regions`.
pub(super) fn regions(cx: &Context, query: &Query) -> Answer {
    answer::plain(query, &[cx.facts.region()])
}

/// `/v1/operator/…`.
pub(super) async fn operator(
    cx: &Context,
    method: &Method,
    path: &str,
    query: &Query,
    sent: &Bytes,
) -> Answer {
    let write = matches!(*method, Method::PUT | Method::POST);
    match path {
        "raft/configuration" if *method == Method::GET => {
            answer::plain(query, &cx.facts.raft_configuration())
        }
        "scheduler/configuration" if *method == Method::GET => scheduler_config(cx, query),
        "scheduler/configuration" if write => set_scheduler_config(cx, query, sent).await,
        "raft/configuration" | "scheduler/configuration" => Err(HttpError::method()),
        _ => Err(HttpError::not_found("")),
    }
}

fn scheduler_config(cx: &Context, query: &Query) -> Answer {
    let state = cx.state()?;
    let row = state.row(RowTable::SchedulerConfig, "scheduler");
    let index = row.map_or(1, |row| row.modify_index);
    let config = row.map_or_else(default_scheduler_config, |row| row.value.clone());
    answer::indexed(
        query,
        index,
        &json!({
            "SchedulerConfig": config,
            "Index": index,
            "LastContact": 0,
            "KnownLeader": true,
            "NextToken": "",
        }),
    )
}

fn default_scheduler_config() -> serde_json::Value {
    json!({
        "SchedulerAlgorithm": "binpack",
        "PreemptionConfig": {
            "SystemSchedulerEnabled": true,
            "SysBatchSchedulerEnabled": false,
            "BatchSchedulerEnabled": false,
            "ServiceSchedulerEnabled": false,
        },
        "MemoryOversubscriptionEnabled": false,
        "RejectJobRegistration": false,
        "PauseEvalBroker": false,
        "NodeLimitForFeasibilityChecks": 0,
        "CreateIndex": 0,
        "ModifyIndex": 0,
    })
}

async fn set_scheduler_config(cx: &Context, query: &Query, sent: &Bytes) -> Answer {
    let config: serde_json::Value = super::body::decode(sent)?;
    let cas = query.number("cas")?.and_then(|index| u64::try_from(index).ok());
    let mut row = default_scheduler_config();
    for (key, value) in config.as_object().into_iter().flatten() {
        if row.get(key).is_none() {
            return Err(HttpError::bad_request(format!("unknown field `{key}`")));
        }
        row[key] = value.clone();
    }
    let stored = cx.server()?.put_row(RowTable::SchedulerConfig, "scheduler", row, cas).await;
    let (updated, index) = match stored {
        Ok(index) => (true, index),
        Err(error) if error.kind() == crate::sys::report::Kind::Conflict => (false, 0),
        Err(error) => return Err(HttpError::from_error(error.kind(), &error)),
    };
    answer::indexed(query, index, &json!({ "Updated": updated, "Index": index }))
}

/// `PUT /v1/system/…`.
pub(super) async fn system(cx: &Context, method: &Method, path: &str) -> Answer {
    if !matches!(*method, Method::PUT | Method::POST) {
        return Err(HttpError::method());
    }
    let server = cx.server()?;
    let done = match path {
        "gc" => server.force_collect().await,
        "reconcile/summaries" => server.reconcile_summaries().await.map(drop),
        _ => return Err(HttpError::not_found("")),
    };
    done.map_err(|error| HttpError::from_error(error.kind(), &error))?;
    Ok(Body::empty().into_response())
}
