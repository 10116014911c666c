//! ◇ `/v1/allocations` and `/v1/allocation/:id`.

use axum::http::Method;
use serde_json::json;

use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use super::read;
use super::view::{self, AllocStubOptions};
use crate::model::AllocId;
use crate::state::Topic;
use crate::state::{RowKey, Table};

/// Nomad: ids are bytes, so a prefix of an odd length or with another character is an error.
pub(super) fn check_prefix(prefix: &str) -> Result<(), HttpError> {
    let kind = crate::sys::report::Kind::Internal;
    let digits = prefix.chars().filter(|c| *c != '-').collect::<String>();
    if digits.len() % 2 == 1 {
        return Err(HttpError::of(kind, "Invalid UUID: must be even length"));
    }
    if digits.len() > 32 {
        return Err(HttpError::of(kind, "Invalid UUID: must be 36 characters"));
    }
    match digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        Some(_) => Err(HttpError::of(kind, "Invalid UUID: must be hexadecimal")),
        None => Ok(()),
    }
}

/// `GET /v1/allocations`.
pub(super) async fn list(cx: &Context, query: &Query) -> Answer {
    let prefix = query.text("prefix").to_owned();
    check_prefix(&prefix)?;
    let options = AllocStubOptions {
        resources: query.flag("resources", false)?,
        task_states: query.flag("task_states", true)?,
    };
    read::rows(cx, query, &[Topic::Table(Table::Allocs)], |state| {
        let allocs =
            state.allocs_by_prefix(&prefix).filter(|a| query.wants_namespace(&a.namespace));
        let mut found: Vec<_> = allocs.collect();
        found.sort_by(|a, b| (a.create_index, &a.id).cmp(&(b.create_index, &b.id)));
        let rows = found.into_iter().map(|alloc| {
            (format!("{}.{}", alloc.create_index, alloc.id), view::alloc_stub(alloc, options))
        });
        (state.table_index(Table::Allocs), rows.collect())
    })
    .await
}

/// `/v1/allocation/<id>…`.
pub(super) async fn route(cx: &Context, method: &Method, path: &str, query: &Query) -> Answer {
    let (id, what) = path.split_once('/').unwrap_or((path, ""));
    let id = AllocId::from(id);
    match (what, method) {
        ("", &Method::GET) => alloc(cx, query, &id).await,
        ("stop", &(Method::PUT | Method::POST)) => stop(cx, query, &id).await,
        ("services", &Method::GET) => answer::indexed(query, 1, &json!([])),
        ("checks", &Method::GET) => answer::plain(query, &json!({})),
        ("" | "stop" | "services" | "checks", _) => Err(HttpError::method()),
        _ => Err(HttpError::not_found("resource not found")),
    }
}

async fn alloc(cx: &Context, query: &Query, id: &AllocId) -> Answer {
    let topics = [Topic::Row(RowKey::Alloc(id.clone()))];
    read::object(cx, query, &topics, "alloc not found", |state| match state.alloc(id) {
        Some(alloc) => (alloc.modify_index, Some(view::alloc_view(alloc))),
        None => (state.table_index(Table::Allocs), None),
    })
    .await
}

async fn stop(cx: &Context, query: &Query, id: &AllocId) -> Answer {
    let no_delay = query.flag("no_shutdown_delay", false)?;
    let stopped = cx.server()?.stop_alloc(id, no_delay).await;
    let done = stopped.map_err(|error| HttpError::from_error(error.kind(), &error))?;
    answer::indexed(query, done.index, &json!({ "EvalID": done.eval_id, "Index": done.index }))
}
