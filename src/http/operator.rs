//! ◇ `/v1/operator/…`: settings and the servers among themselves.

use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse as _;
use serde_json::json;

use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use crate::state::command::RowTable;
use crate::sys::report::Kind;

/// The key of the one row of the scheduler's settings.
const SCHEDULER_CONFIG: &str = "default";

/// `/v1/operator/…`.
pub(super) async fn route(
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
        "raft/peer" if *method == Method::DELETE => remove_peer(cx, query),
        "raft/transfer-leadership" if write => transfer(cx, query),
        "license" if *method == Method::GET => Ok(StatusCode::NO_CONTENT.into_response()),
        "license" | "utilization" => Err(HttpError::not_here("Nomad Enterprise only endpoint")),
        "raft/configuration"
        | "raft/peer"
        | "raft/transfer-leadership"
        | "scheduler/configuration" => Err(HttpError::method()),
        "snapshot" | "autopilot/configuration" | "autopilot/health" => Err(HttpError::later(path)),
        _ => Err(HttpError::nowhere()),
    }
}

fn scheduler_config(cx: &Context, query: &Query) -> Answer {
    let state = cx.state()?;
    let row = state.row(RowTable::SchedulerConfig, SCHEDULER_CONFIG);
    let index = row.map_or(1, |row| row.modify_index);
    let mut config = default_scheduler_config();
    for (key, value) in row.and_then(|row| row.value.as_object()).into_iter().flatten() {
        config[key] = value.clone();
    }
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
    if let Some(name) = row["SchedulerAlgorithm"].as_str()
        && !["binpack", "spread"].contains(&name)
    {
        return Err(HttpError::bad_request(format!("invalid scheduler algorithm: {name}")));
    }
    let stored = cx.server()?.put_row(RowTable::SchedulerConfig, SCHEDULER_CONFIG, row, cas).await;
    let (updated, index) = match stored {
        Ok(index) => (true, index),
        Err(error) if error.kind() == Kind::Conflict => (false, cx.state()?.index()),
        Err(error) => return Err(HttpError::from_error(error.kind(), &error)),
    };
    answer::indexed(query, index, &json!({ "Updated": updated, "Index": index }))
}

/// Whether a server has that id.
fn is_server(cx: &Context, id: &str) -> bool {
    let configuration = cx.facts.raft_configuration();
    let servers = configuration["Servers"].as_array();
    servers.is_some_and(|servers| servers.iter().any(|server| server["ID"] == id))
}

fn not_a_server(id: &str) -> String {
    format!("id \"{id}\" was not found in the Raft configuration")
}

fn remove_peer(cx: &Context, query: &Query) -> Answer {
    match (query.given("id"), query.given("address")) {
        (Some(id), None) if is_server(cx, id) => Err(HttpError::later("removing a server")),
        (Some(id), None) => Err(HttpError::of(Kind::Internal, not_a_server(id))),
        (None, Some(_)) => {
            let text =
                "Removing a peer by address is not supported in the current raft protocol version";
            Err(HttpError::bad_request(text))
        }
        _ => Err(HttpError::bad_request("Must specify the peer's ID to remove")),
    }
}

fn transfer(cx: &Context, query: &Query) -> Answer {
    match (query.given("id"), query.given("address")) {
        (None, None) => Err(HttpError::bad_request("must specify id or address")),
        (Some(_), Some(_)) => Err(HttpError::bad_request("must specify either id or address")),
        (Some(id), None) if !is_server(cx, id) => Err(HttpError::bad_request(not_a_server(id))),
        _ => Err(HttpError::later("handing leadership over")),
    }
}
