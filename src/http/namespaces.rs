//! ◇ `/v1/namespace…`: namespaces of jobs.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::Method;
use base64::Engine as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Digest as _;

use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use super::{body, rows};
use crate::state::command::RowTable;
use crate::state::{State, Table};
use crate::sys::report::{self, Kind};

const TABLES: (RowTable, Table) = (RowTable::Namespaces, Table::Namespaces);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Namespace {
    name: String,
    description: String,
    quota: String,
    meta: Option<BTreeMap<String, String>>,
    capabilities: Option<Capabilities>,
}

/// What jobs of a namespace may use.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Capabilities {
    enabled_task_drivers: Option<Vec<String>>,
    disabled_task_drivers: Option<Vec<String>>,
    enabled_network_modes: Option<Vec<String>>,
    disabled_network_modes: Option<Vec<String>>,
}

/// `/v1/namespaces`.
pub(super) async fn all(cx: &Context, method: &Method, query: &Query, sent: &Bytes) -> Answer {
    match *method {
        Method::GET => rows::list(cx, query, TABLES.0, TABLES.1).await,
        Method::PUT | Method::POST => put(cx, None, sent).await,
        _ => Err(HttpError::method()),
    }
}

/// `/v1/namespace` and `/v1/namespace/<name>`.
pub(super) async fn one(
    cx: &Context,
    method: &Method,
    query: &Query,
    name: &str,
    sent: &Bytes,
) -> Answer {
    match *method {
        Method::PUT | Method::POST => put(cx, Some(name).filter(|n| !n.is_empty()), sent).await,
        Method::GET if !name.is_empty() => {
            rows::one(cx, query, TABLES, (name, "Namespace not found")).await
        }
        Method::DELETE if !name.is_empty() => delete(cx, name).await,
        _ => Err(HttpError::method()),
    }
}

async fn put(cx: &Context, path: Option<&str>, sent: &Bytes) -> Answer {
    let namespace: Namespace = body::decode(sent)?;
    if path.is_some_and(|name| name != namespace.name) {
        return Err(HttpError::bad_request("Namespace name does not match request path"));
    }
    check(&namespace).map_err(|text| HttpError::of(Kind::Internal, text))?;
    let mut row = json!({
        "Name": namespace.name,
        "Description": namespace.description,
        "Quota": namespace.quota,
        "Meta": namespace.meta.filter(|meta| !meta.is_empty()),
        "Capabilities": namespace.capabilities,
        "NodePoolConfiguration": null,
    });
    row["Hash"] = hash(&row).into();
    let stored = cx.server()?.put_row(TABLES.0, &namespace.name, row, None).await;
    Ok(answer::done(stored.map_err(HttpError::refused)?))
}

fn check(namespace: &Namespace) -> Result<(), String> {
    let name = &namespace.name;
    let mut errors = Vec::new();
    if !is_name(name, "-") {
        errors.push(format!("invalid name \"{name}\". Must match regex ^[a-zA-Z0-9-]{{1,128}}$"));
    }
    if namespace.description.len() > 256 {
        errors.push("description longer than 256".to_owned());
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(format!("Invalid namespace \"{name}\": {}", report::several(&errors)))
}

async fn delete(cx: &Context, name: &str) -> Answer {
    let state = cx.state()?;
    let refused = |text: String| Err(HttpError::of(Kind::Internal, text));
    if name == "default" {
        return refused("can not delete default namespace".to_owned());
    }
    if state.row(TABLES.0, name).is_none() {
        return refused("namespace not found".to_owned());
    }
    let used = users(&state, name, &cx.facts.region());
    if !used.is_empty() {
        return refused(report::several(&used));
    }
    let deleted = cx.server()?.delete_row(TABLES.0, name).await;
    Ok(answer::done(deleted.map_err(HttpError::refused)?))
}

fn users(state: &State, name: &str, region: &str) -> Vec<String> {
    let of =
        |what: &str| format!("namespace \"{name}\" has non-terminal {what} in regions: [{region}]");
    let lives = |job: &&std::sync::Arc<crate::model::Job>| {
        job.namespace == name && job.status != crate::model::job::JobStatus::Dead
    };
    let jobs = state.jobs().find(lives).map(|_| of("jobs"));
    let mut allocs = state.allocs_by_prefix("");
    let allocs = allocs.find(|a| a.namespace == name && !a.is_terminal());
    jobs.into_iter().chain(allocs.map(|_| of("allocations"))).collect()
}

/// Letters, digits and some more, at most 128.
pub(super) fn is_name(name: &str, more: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    (1..=128).contains(&name.len()) && name.chars().all(good)
}

/// Tells contents apart; it means nothing else.
pub(super) fn hash(row: &Value) -> String {
    base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(row.to_string()))
}
