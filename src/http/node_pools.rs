//! ◇ `/v1/node/pool…`: pools of nodes.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::namespaces::{hash, is_name};
use super::query::Query;
use super::{body, read, rows, view};
use crate::model::job::JobStatus;
use crate::state::command::RowTable;
use crate::state::{State, Table, Topic};
use crate::sys::report::{self, Kind};

const TABLES: (RowTable, Table) = (RowTable::NodePools, Table::NodePools);

/// Every node is in this one.
const ALL: &str = "all";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NodePool {
    name: String,
    description: String,
    meta: Option<BTreeMap<String, String>>,
    scheduler_configuration: Option<Value>,
}

/// `/v1/node/pools`.
pub(super) async fn all(cx: &Context, method: &Method, query: &Query, sent: &Bytes) -> Answer {
    match *method {
        Method::GET => rows::list(cx, query, TABLES.0, TABLES.1).await,
        Method::PUT | Method::POST => put(cx, None, sent).await,
        _ => Err(HttpError::method()),
    }
}

/// `/v1/node/pool/<name>…`.
pub(super) async fn one(
    cx: &Context,
    method: &Method,
    query: &Query,
    path: &str,
    sent: &Bytes,
) -> Answer {
    let (name, what) = path.split_once('/').unwrap_or((path, ""));
    match (what, method) {
        ("", &Method::GET) => rows::one(cx, query, TABLES, (name, "node pool not found")).await,
        ("", &(Method::PUT | Method::POST)) => put(cx, Some(name), sent).await,
        ("", &Method::DELETE) => delete(cx, name).await,
        ("nodes", &Method::GET) => nodes(cx, query, name).await,
        ("jobs", &Method::GET) => jobs(cx, query, name).await,
        ("" | "nodes" | "jobs", _) => Err(HttpError::method()),
        _ => Err(HttpError::nowhere()),
    }
}

async fn put(cx: &Context, path: Option<&str>, sent: &Bytes) -> Answer {
    let pool: NodePool = body::decode(sent)?;
    let name = pool.name.as_str();
    if path.is_some_and(|path| path != name) {
        return Err(HttpError::bad_request("Node pool name does not match request path"));
    }
    if matches!(name, ALL | "default") {
        let text = format!("modifying node pool \"{name}\" is not allowed");
        return Err(HttpError::bad_request(text));
    }
    check(&pool).map_err(HttpError::bad_request)?;
    if pool.scheduler_configuration.is_some() {
        let text = "Feature \"Node Pools Governance\" is unlicensed";
        return Err(HttpError::of(Kind::Internal, text));
    }
    let mut row = json!({
        "Name": name,
        "Description": pool.description,
        "Meta": pool.meta.filter(|meta| !meta.is_empty()),
        "SchedulerConfiguration": null,
    });
    row["Hash"] = hash(&row).into();
    let stored = cx.server()?.put_row(TABLES.0, name, row, None).await;
    Ok(answer::done(stored.map_err(HttpError::refused)?))
}

fn check(pool: &NodePool) -> Result<(), String> {
    let name = &pool.name;
    let mut errors = Vec::new();
    if !is_name(name, "-_") {
        let rule = "^[a-zA-Z0-9-_]{1,128}$";
        errors.push(format!("invalid name \"{name}\", must match regex {rule}"));
    }
    if pool.description.len() > 256 {
        errors.push("description longer than 256".to_owned());
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(format!("invalid node pool \"{name}\": {}", report::several(&errors)))
}

async fn delete(cx: &Context, name: &str) -> Answer {
    let state = cx.state()?;
    let refused = |text: String| Err(HttpError::of(Kind::Internal, text));
    if state.row(TABLES.0, name).is_none() {
        return refused(format!("node pool {name} not found"));
    }
    let used = users(&state, name, &cx.facts.region());
    if !used.is_empty() {
        return refused(report::several(&used));
    }
    if matches!(name, ALL | "default") {
        return refused(format!("deleting node pool \"{name}\" is not allowed"));
    }
    let deleted = cx.server()?.delete_row(TABLES.0, name).await;
    Ok(answer::done(deleted.map_err(HttpError::refused)?))
}

fn users(state: &State, name: &str, region: &str) -> Vec<String> {
    let of = |what: &str| format!("node pool \"{name}\" has {what} in regions: [{region}]");
    let mut jobs = state.jobs();
    let jobs = jobs.find(|job| job.node_pool == name && job.status != JobStatus::Dead);
    let nodes = state.nodes().find(|node| node.node_pool == name);
    let jobs = jobs.map(|_| of("non-terminal jobs"));
    nodes.map(|_| of("nodes")).into_iter().chain(jobs).collect()
}

async fn nodes(cx: &Context, query: &Query, name: &str) -> Answer {
    let (resources, os) = (query.flag("resources", false)?, query.flag("os", false)?);
    let options = view::NodeStubOptions { resources, os };
    read::rows(cx, query, &[Topic::Table(Table::Nodes)], |state| {
        let nodes = state.nodes().filter(|node| name == ALL || node.node_pool == name);
        let rows =
            nodes.map(|node| (node.id.to_string(), view::node_stub(node, options))).collect();
        (state.table_index(Table::Nodes), rows)
    })
    .await
}

async fn jobs(cx: &Context, query: &Query, name: &str) -> Answer {
    if query.given("prefix").is_some() {
        return Err(HttpError::bad_request("prefix argument not allowed"));
    }
    let with_meta = query.flag("meta", false)?;
    let tables = [Table::Jobs, Table::JobSummaries];
    read::rows(cx, query, &tables.map(Topic::Table), |state| {
        let jobs = state.jobs().filter(|job| name == ALL || job.node_pool == name);
        let jobs = jobs.filter(|job| query.wants_namespace(&job.namespace));
        let rows = jobs.map(|job| {
            let summary = state.job_summary(&job.key()).map(AsRef::as_ref);
            (format!("{}.{}", job.namespace, job.id), view::job_stub(job, summary, with_meta))
        });
        (state.tables_index(&tables), rows.collect())
    })
    .await
}
