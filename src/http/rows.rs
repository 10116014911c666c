//! ◇ Tables of plain rows: namespaces and node pools. Reading only; writing them is a later issue.

use axum::http::Method;
use serde_json::{Value, json};

use super::answer::Answer;
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use super::read;
use crate::state::Topic;
use crate::state::command::RowTable;
use crate::state::{RowKey, Table};

/// A namespace or a pool with the fields that Nomad always shows.
fn view(table: RowTable, row: &Value) -> Value {
    let defaults = match table {
        RowTable::NodePools => json!({ "Hash": null, "NodeIdentityTTL": 86_400_000_000_000_i64 }),
        RowTable::Namespaces => json!({
            "Hash": "",
            "ConsulConfiguration": null,
            "VaultConfiguration": null,
            "OptionalExtraClaims": null,
            "RequiredExtraClaims": null,
        }),
        RowTable::SchedulerConfig
        | RowTable::AutopilotConfig
        | RowTable::ScalingPolicies
        | RowTable::ScalingEvents => json!({}),
    };
    let mut view = row.clone();
    for (key, value) in defaults.as_object().into_iter().flatten() {
        if view.get(key).is_none() {
            view[key] = value.clone();
        }
    }
    view
}

/// `GET /v1/namespaces` or `/v1/node/pools`.
pub(super) async fn list(
    cx: &Context,
    method: &Method,
    query: &Query,
    rows: RowTable,
    table: Table,
) -> Answer {
    if *method != Method::GET {
        return Err(HttpError::method());
    }
    let prefix = query.text("prefix").to_owned();
    read::rows(cx, query, &[Topic::Table(table)], |state| {
        let found = state.rows(rows).filter(|(key, _)| key.starts_with(&prefix));
        let found = found.map(|(key, row)| (key.to_string(), view(rows, &row.value))).collect();
        (state.table_index(table), found)
    })
    .await
}

/// `GET /v1/namespace/<name>` or `/v1/node/pool/<name>`.
pub(super) async fn one(
    cx: &Context,
    method: &Method,
    query: &Query,
    (rows, table): (RowTable, Table),
    (key, missing): (&str, &str),
) -> Answer {
    if *method != Method::GET {
        return Err(HttpError::method());
    }
    read::object(cx, query, &[Topic::Row(RowKey::Row(rows, key.into()))], missing, |state| {
        match state.row(rows, key) {
            Some(row) => (row.modify_index, Some(view(rows, &row.value))),
            None => (state.table_index(table), None),
        }
    })
    .await
}
