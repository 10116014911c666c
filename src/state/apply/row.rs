//! Plain rows: namespaces, pools, configurations. And the cluster's identity.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::model::Index;
use crate::state::command::{Refusal, Reply, RowTable};
use crate::state::row::Row;

use super::transaction::Transaction;

/// Writes a row, unless it is not at the index that was assumed.
pub(super) fn put(
    tx: &mut Transaction<'_>,
    table: RowTable,
    key: &str,
    value: &Value,
    check_index: Option<Index>,
) -> Result<Reply, Refusal> {
    let existing = tx.state.row(table, key).cloned();
    let current = existing.as_ref().map_or(0, |row| row.modify_index);
    if check_index.is_some_and(|assumed| assumed != current) {
        return Err(Refusal::Conflict(format!("`{key}` was changed at index {current}")));
    }
    let created = existing.map_or(tx.index, |row| row.create_index);
    let Some(row) = Row::new(value.clone(), created, tx.index) else {
        return Err(Refusal::Invalid(format!("`{key}` is no object")));
    };
    tx.put_row(table, key.into(), row);
    Ok(Reply::Done)
}

/// Removes a row.
pub(super) fn delete(
    tx: &mut Transaction<'_>,
    table: RowTable,
    key: &str,
) -> Result<Reply, Refusal> {
    let removed = tx.remove_row(table, &Arc::from(key));
    removed.map(|_| Reply::Done).ok_or_else(|| Refusal::NotFound(format!("`{key}` not found")))
}

/// Nomad: a pool comes into being when the first node names it.
pub(super) fn ensure_pool(tx: &mut Transaction<'_>, name: &str) {
    if name.is_empty() || tx.state.row(RowTable::NodePools, name).is_some() {
        return;
    }
    let value =
        json!({ "Name": name, "Description": "", "Meta": null, "SchedulerConfiguration": null });
    if let Some(row) = Row::new(value, tx.index, tx.index) {
        tx.put_row(RowTable::NodePools, name.into(), row);
    }
}

/// Sets the identity once.
pub(super) fn set_cluster_id(tx: &mut Transaction<'_>, id: &str) -> Reply {
    if tx.state.cluster_id().is_none() {
        tx.set_cluster_id(id);
    }
    Reply::Done
}
