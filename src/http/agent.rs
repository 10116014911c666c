//! ◇ `/v1/agent/…`, `/v1/status/…`, `/v1/regions`, `/v1/system/…`: what an agent says and does for itself.

use axum::body::Body;
use axum::http::Method;
use axum::response::IntoResponse as _;
use serde_json::json;

use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::query::Query;

/// `GET /v1/agent/…`.
pub(super) fn agent(cx: &Context, method: &Method, path: &str, query: &Query) -> Answer {
    match (path, method) {
        ("self", &Method::GET) => answer::plain(query, &cx.facts.agent_self()),
        ("members", &Method::GET) => answer::plain(query, &cx.facts.members()),
        ("health", &Method::GET) => health(cx, query),
        ("servers", &Method::GET) => answer::plain(query, &cx.facts.peers()),
        ("join", &(Method::PUT | Method::POST)) => join(query),
        ("force-leave", &(Method::PUT | Method::POST)) if query.given("node").is_none() => {
            Err(HttpError::bad_request("missing node to force leave"))
        }
        ("host", &Method::GET) => Err(denied()),
        (path, _) if path.starts_with("pprof/") => Err(denied()),
        ("monitor", &Method::GET) => monitor(query),
        ("monitor/export", &Method::GET) => {
            Err(HttpError::bad_request("Either -service-name or -on-disk must be set"))
        }
        // Nomad: without a key for the gossip between servers there is nothing to list or to change.
        (path, _) if path.starts_with("keyring/") => {
            Err(HttpError::of(crate::sys::report::Kind::Internal, "1/1 nodes reported failure"))
        }
        ("schedulers" | "schedulers/config" | "reload" | "force-leave", _) => {
            Err(HttpError::later(path))
        }
        ("self" | "members" | "health" | "servers", _) => Err(HttpError::method()),
        _ => Err(HttpError::nowhere()),
    }
}

fn denied() -> HttpError {
    HttpError::of(crate::sys::report::Kind::Denied, "Permission denied")
}

/// The log is where the agent's stderr goes.
fn monitor(query: &Query) -> Answer {
    let levels = ["trace", "debug", "info", "warn", "error"];
    match query.given("log_level") {
        Some(level) if !levels.contains(&level.to_lowercase().as_str()) => {
            Err(HttpError::bad_request(format!("Unknown log level: {level}")))
        }
        Some(_) | None => Err(HttpError::later("following the agent's log")),
    }
}

/// Servers join through their own connections; nothing is joined here.
fn join(query: &Query) -> Answer {
    if query.given("address").is_none() {
        return Err(HttpError::bad_request("missing address to join"));
    }
    let error = "joining other servers through the API is not possible in this version";
    answer::plain(query, &json!({ "num_joined": 0, "error": error }))
}

fn health(cx: &Context, query: &Query) -> Answer {
    let kind = query.text("type");
    let wants = |name: &str| kind.is_empty() || kind == name;
    let ok = json!({ "ok": true, "message": "ok" });
    let mut health = json!({});
    if wants("client") && cx.facts.is_client() {
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
        _ => Err(HttpError::nowhere()),
    }
}

/// `GET /v1/regions`.
pub(super) fn regions(cx: &Context, query: &Query) -> Answer {
    answer::plain(query, &[cx.facts.region()])
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
        _ => return Err(HttpError::nowhere()),
    };
    done.map_err(|error| HttpError::from_error(error.kind(), &error))?;
    Ok(Body::empty().into_response())
}
