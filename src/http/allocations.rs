//! ◇ `/v1/allocations` and `/v1/allocation/:id`.

use std::sync::Arc;

use axum::http::Method;
use serde_json::json;

use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use super::read;
use super::view::{self, AllocStubOptions};
use crate::model::{AllocId, Allocation};
use crate::state::{RowKey, State, Table, Topic};
use crate::sys::report::Kind;

/// Nomad: ids are bytes, so a prefix of an odd length or with another character is an error.
pub(super) fn check_prefix(noun: &str, prefix: &str) -> Result<(), HttpError> {
    let digits = prefix.chars().filter(|c| *c != '-').collect::<String>();
    let why = if digits.len() > 32 {
        format!("Invalid UUID length. UUID have 36 characters; got {}", prefix.len())
    } else if digits.len() % 2 == 1 {
        "Input (without hyphens) must be even length".to_owned()
    } else if let Some(c) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        format!("Invalid UUID: encoding/hex: invalid byte: U+{:04X} '{c}'", u32::from(c))
    } else {
        return Ok(());
    };
    Err(lookup_failed(noun, &why))
}

/// Nomad: an id that is not whole is refused before anything is looked up.
pub(super) fn check_id(noun: &str, id: &str) -> Result<(), HttpError> {
    if id.len() == 36 {
        return check_prefix(noun, id);
    }
    Err(lookup_failed(noun, "UUID must be 36 characters"))
}

fn lookup_failed(noun: &str, why: &str) -> HttpError {
    HttpError::of(Kind::Internal, format!("{noun} lookup failed: index error: {why}"))
}

/// `GET /v1/allocations`.
pub(super) async fn list(cx: &Context, query: &Query) -> Answer {
    let prefix = query.text("prefix").to_owned();
    check_prefix("alloc", &prefix)?;
    let options = AllocStubOptions {
        resources: query.flag("resources", false)?,
        task_states: query.flag("task_states", true)?,
    };
    let find = |state: &State| {
        let allocs =
            state.allocs_by_prefix(&prefix).filter(|a| query.wants_namespace(&a.namespace));
        let mut found: Vec<_> = allocs.collect();
        found.sort_by(|a, b| (a.create_index, &a.id).cmp(&(b.create_index, &b.id)));
        let rows = found
            .into_iter()
            .map(|alloc| (format!("{}.{}", alloc.create_index, alloc.id), Arc::clone(alloc)));
        (state.table_index(Table::Allocs), rows.collect())
    };
    let whole = |alloc: &Arc<Allocation>| view::alloc_view(alloc);
    let shown = |_: &State, alloc: Arc<Allocation>| view::alloc_stub(&alloc, options);
    read::nouns(cx, query, &[Topic::Table(Table::Allocs)], find, (whole, shown)).await
}

/// `/v1/allocation/<id>…`.
pub(super) async fn route(cx: &Context, method: &Method, path: &str, query: &Query) -> Answer {
    let (id, what) = path.split_once('/').unwrap_or((path, ""));
    let id = AllocId::from(id);
    match (what, method) {
        ("", &Method::GET) => alloc(cx, query, &id).await,
        ("stop", &(Method::PUT | Method::POST)) => stop(cx, query, &id).await,
        ("services", &Method::GET) => answer::indexed(query, 1, &json!([])),
        ("checks", &Method::GET) => answer::plain(query, &json!(null)),
        ("" | "stop" | "services" | "checks", _) => Err(HttpError::method()),
        _ => Err(HttpError::not_found("resource not found")),
    }
}

async fn alloc(cx: &Context, query: &Query, id: &AllocId) -> Answer {
    check_id("alloc", id.as_str())?;
    let topics = [Topic::Row(RowKey::Alloc(id.clone()))];
    read::object(cx, query, &topics, "alloc not found", |state| match state.alloc(id) {
        Some(alloc) => (alloc.modify_index, Some(view::alloc_view(alloc))),
        None => (state.table_index(Table::Allocs), None),
    })
    .await
}

async fn stop(cx: &Context, query: &Query, id: &AllocId) -> Answer {
    let no_delay = query.flag("no_shutdown_delay", false)?;
    if cx.state()?.alloc(id).is_none() {
        return Err(HttpError::not_found("allocation not found"));
    }
    let done = cx.server()?.stop_alloc(id, no_delay).await.map_err(HttpError::refused)?;
    answer::indexed(query, done.index, &json!({ "EvalID": done.eval_id, "Index": done.index }))
}
