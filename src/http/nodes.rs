//! ◇ `/v1/nodes` and `/v1/node/:id`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::json;

use super::allocations::{check_id, check_prefix};
use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use super::{body, read, view};
use crate::model::node::{DrainStrategy, Eligibility};
use crate::model::{Node, NodeId};
use crate::server::NodeChanged;
use crate::state::{RowKey, State, Table, Topic};

/// `GET /v1/nodes`.
pub(super) async fn list(cx: &Context, query: &Query) -> Answer {
    let prefix = query.text("prefix").to_owned();
    check_prefix("node", &prefix)?;
    let (resources, os) = (query.flag("resources", false)?, query.flag("os", false)?);
    let options = view::NodeStubOptions { resources, os };
    let find = |state: &State| {
        let nodes = state.nodes_by_prefix(&prefix);
        let rows = nodes.map(|node| (node.id.to_string(), Arc::clone(node))).collect();
        (state.table_index(Table::Nodes), rows)
    };
    let whole = |node: &Arc<Node>| view::node_view(node);
    let shown = |_: &State, node: Arc<Node>| view::node_stub(&node, options);
    read::nouns(cx, query, &[Topic::Table(Table::Nodes)], find, (whole, shown)).await
}

/// `/v1/node/<id>…`.
pub(super) async fn route(
    cx: &Context,
    method: &Method,
    path: &str,
    query: &Query,
    sent: &Bytes,
) -> Answer {
    let (id, what) = path.split_once('/').unwrap_or((path, ""));
    let id = NodeId::from(id);
    let write = matches!(*method, Method::PUT | Method::POST);
    match what {
        "" if *method == Method::GET => node(cx, query, &id).await,
        "allocations" if *method == Method::GET => allocations(cx, query, &id).await,
        "evaluate" if write => evaluate(cx, query, &id).await,
        "eligibility" if write => eligibility(cx, query, &id, sent).await,
        "drain" if write => drain(cx, query, &id, sent).await,
        "purge" if write => purge(cx, query, &id).await,
        "" | "allocations" | "evaluate" | "eligibility" | "drain" | "purge" => {
            Err(HttpError::method())
        }
        // Nomad: anything else is taken for a part of the id.
        _ => Err(check_id("node", path).err().unwrap_or_else(HttpError::nowhere)),
    }
}

async fn node(cx: &Context, query: &Query, id: &NodeId) -> Answer {
    check_id("node", id.as_str())?;
    let topics = [Topic::Row(RowKey::Node(id.clone()))];
    read::object(cx, query, &topics, "node not found", |state| match state.node(id) {
        Some(node) => (node.modify_index, Some(view::node_view(node))),
        None => (state.table_index(Table::Nodes), None),
    })
    .await
}

async fn allocations(cx: &Context, query: &Query, id: &NodeId) -> Answer {
    read::rows(cx, query, &[Topic::AllocsOfNode(id.clone())], |state| {
        let rows =
            state.allocs_by_node(id).map(|a| (a.id.to_string(), view::alloc_view(a))).collect();
        let newest = state.allocs_by_node(id).map(|alloc| alloc.modify_index).max();
        (newest.unwrap_or_else(|| state.table_index(Table::Allocs)), rows)
    })
    .await
}

async fn evaluate(cx: &Context, query: &Query, id: &NodeId) -> Answer {
    let done = cx.server()?.evaluate_node(id).await.map_err(HttpError::refused)?;
    answer::indexed(
        query,
        done.index,
        &json!({
            "HeartbeatTTL": 0,
            "EvalIDs": done.eval_ids,
            "EvalCreateIndex": done.eval_create_index,
            "NodeModifyIndex": done.index,
            "LeaderRPCAddr": cx.facts.leader(),
            "NumNodes": cx.state()?.nodes().count(),
            "Servers": [],
            "Index": done.index,
        }),
    )
}

async fn eligibility(cx: &Context, query: &Query, id: &NodeId, sent: &Bytes) -> Answer {
    let request: body::EligibilityRequest = body::decode_or_default(sent)?;
    let eligibility = match request.eligibility.as_str() {
        "eligible" => Eligibility::Eligible,
        "ineligible" => Eligibility::Ineligible,
        other => {
            return Err(HttpError::of(
                crate::sys::report::Kind::Internal,
                format!("invalid scheduling eligibility \"{other}\""),
            ));
        }
    };
    let done =
        cx.server()?.update_node_eligibility(id, eligibility).await.map_err(HttpError::refused)?;
    changed(query, &done)
}

/// What became of a node.
fn changed(query: &Query, done: &NodeChanged) -> Answer {
    answer::indexed(
        query,
        done.index,
        &json!({
            "NodeModifyIndex": done.index,
            "EvalIDs": done.eval_ids,
            "EvalCreateIndex": done.eval_create_index,
            "Index": done.index,
        }),
    )
}

async fn drain(cx: &Context, query: &Query, id: &NodeId, sent: &Bytes) -> Answer {
    let request: body::DrainRequest = body::decode(sent)?;
    let spec = request.drain_spec.map(|spec| DrainStrategy {
        deadline: spec.deadline,
        ignore_system_jobs: spec.ignore_system_jobs,
        ..DrainStrategy::default()
    });
    let meta = request.meta.unwrap_or_default();
    let server = cx.server()?;
    let drained = server.update_node_drain(id, spec, request.mark_eligible, meta).await;
    let done = drained.map_err(HttpError::refused)?;
    changed(query, &done)
}

async fn purge(cx: &Context, query: &Query, id: &NodeId) -> Answer {
    let done = cx.server()?.purge_node(id).await.map_err(HttpError::refused)?;
    answer::indexed(
        query,
        done.index,
        &json!({
            "NodeModifyIndex": done.index,
            "EvalIDs": done.eval_ids,
            "EvalCreateIndex": done.eval_create_index,
            "HeartbeatTTL": 0,
            "Index": done.index,
        }),
    )
}
