//! ◇ Reading tables of plain rows: namespaces and node pools.

use serde_json::{Value, json};

use super::answer::Answer;
use super::context::Context;
use super::query::Query;
use super::read;
use crate::state::Topic;
use crate::state::command::RowTable;
use crate::state::{RowKey, Table};

/// A namespace or a pool with the fields that Nomad always shows.
fn view(table: RowTable, row: &Value) -> Value {
    let mut view = row.clone();
    let defaults = match table {
        RowTable::NodePools => json!({ "Hash": null, "NodeIdentityTTL": DAY }),
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
    for (key, value) in defaults.as_object().into_iter().flatten() {
        if view.get(key).is_none() {
            view[key] = value.clone();
        }
    }
    view
}

/// How long the identity of a node lives unless its pool says otherwise; nanoseconds.
const DAY: i64 = 86_400_000_000_000;

/// `GET /v1/namespaces` or `/v1/node/pools`.
pub(super) async fn list(cx: &Context, query: &Query, rows: RowTable, table: Table) -> Answer {
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
    query: &Query,
    (rows, table): (RowTable, Table),
    (key, missing): (&str, &str),
) -> Answer {
    read::object(cx, query, &[Topic::Row(RowKey::Row(rows, key.into()))], missing, |state| {
        match state.row(rows, key) {
            Some(row) => (row.modify_index, Some(view(rows, &row.value))),
            None => (state.table_index(table), None),
        }
    })
    .await
}
