//! ◇ `PUT /v1/search`: what begins with a prefix.

use axum::body::Bytes;
use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::body;
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use crate::state::State;
use crate::state::Table;
use crate::state::command::RowTable;
use crate::sys::report::Kind;

/// So many of each context, no more.
const LIMIT: usize = 20;

const CONTEXTS: [&str; 7] =
    ["allocs", "deployment", "evals", "jobs", "namespaces", "node_pools", "nodes"];

/// Nomad knows these too; here nothing of them exists yet, so nothing is found.
const EMPTY: [&str; 6] = ["plugins", "scaling_policy", "vars", "volumes", "host_volumes", "quotas"];

/// `PUT /v1/search`.
pub(super) fn prefix(cx: &Context, query: &Query, sent: &Bytes) -> Answer {
    let request: body::SearchRequest = body::decode(sent)?;
    let contexts: Vec<&str> = match request.context.as_str() {
        "all" => CONTEXTS.to_vec(),
        one if CONTEXTS.contains(&one) || EMPTY.contains(&one) => vec![one],
        other => {
            let text = format!("context \"{other}\" is not one of {}, all", CONTEXTS.join(", "));
            return Err(HttpError::of(Kind::Internal, text));
        }
    };
    let state = cx.state()?;
    let (mut matches, mut truncations, mut index) = (Map::new(), Map::new(), 0);
    for context in contexts {
        let mut found = find(&state, query, context, &request.prefix);
        let cut = found.len() > LIMIT;
        found.truncate(LIMIT);
        if !found.is_empty() {
            index = index.max(state.table_index(table(context)));
        }
        let list = if found.is_empty() { Value::Null } else { found.into() };
        matches.insert(context.to_owned(), list);
        truncations.insert(context.to_owned(), cut.into());
    }
    answer::indexed(
        query,
        index,
        &json!({
            "Matches": matches,
            "Truncations": truncations,
            "Index": index,
            "KnownLeader": true,
            "LastContact": 0,
            "NextToken": "",
        }),
    )
}

fn table(context: &str) -> Table {
    match context {
        "allocs" => Table::Allocs,
        "deployment" => Table::Deployments,
        "evals" => Table::Evals,
        "namespaces" => Table::Namespaces,
        "node_pools" => Table::NodePools,
        "nodes" => Table::Nodes,
        _ => Table::Jobs,
    }
}

fn find(state: &State, query: &Query, context: &str, prefix: &str) -> Vec<String> {
    // Nomad: ids are bytes, so an odd prefix loses its last character.
    let even = &prefix[..prefix.len() - usize::from(prefix.len() % 2 == 1 && prefix.is_ascii())];
    let here = |namespace: &str| query.wants_namespace(namespace);
    let rows = |table| {
        let keys = state.rows(table).map(|(key, _)| key.to_string());
        keys.filter(|key| key.starts_with(prefix)).collect::<Vec<_>>()
    };
    match context {
        "allocs" => state
            .allocs_by_prefix(even)
            .filter(|a| here(&a.namespace))
            .map(|a| a.id.to_string())
            .collect(),
        "deployment" => state
            .deployments_by_prefix(even)
            .filter(|d| here(&d.namespace))
            .map(|d| d.id.to_string())
            .collect(),
        "evals" => state
            .evals_by_prefix(even)
            .filter(|e| here(&e.namespace))
            .map(|e| e.id.to_string())
            .collect(),
        "nodes" => state.nodes_by_prefix(even).map(|node| node.id.to_string()).collect(),
        "jobs" => state
            .jobs()
            .filter(|job| here(&job.namespace) && job.id.starts_with(prefix))
            .map(|job| job.id.clone())
            .collect(),
        "namespaces" => rows(RowTable::Namespaces),
        "node_pools" => rows(RowTable::NodePools),
        _ => Vec::new(),
    }
}
