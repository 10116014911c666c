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

/// What is searched, in the order in which Nomad names them.
const CONTEXTS: [&str; 12] = [
    "allocs",
    "jobs",
    "nodes",
    "node_pools",
    "evals",
    "deployment",
    "plugins",
    "volumes",
    "scaling_policy",
    "vars",
    "namespaces",
    "host_volumes",
];

/// These are found by the beginning of a UUID.
const BY_ID: [&str; 4] = ["allocs", "nodes", "evals", "deployment"];

/// `PUT /v1/search`.
pub(super) fn prefix(cx: &Context, query: &Query, sent: &Bytes) -> Answer {
    let request: body::SearchRequest = body::decode(sent)?;
    let prefix = request.prefix.as_str();
    let contexts: Vec<&str> = match request.context.as_str() {
        // Nomad: what cannot be an id is not looked for among those.
        "all" => {
            let is_id = prefix.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
            CONTEXTS.into_iter().filter(|one| is_id || !BY_ID.contains(one)).collect()
        }
        one if CONTEXTS.contains(&one) => vec![one],
        other => {
            let known = CONTEXTS.join(" ");
            let text = format!(
                "context must be one of [{known}] or 'all' for all contexts; got \"{other}\""
            );
            return Err(HttpError::of(Kind::Internal, text));
        }
    };
    let state = cx.state()?;
    let (mut matches, mut truncations, mut index) = (Map::new(), Map::new(), 0);
    for context in contexts {
        let mut found = find(&state, query, context, prefix);
        let cut = found.len() > LIMIT;
        found.truncate(LIMIT);
        index = index.max(table(context).map_or(0, |table| state.table_index(table)));
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

fn table(context: &str) -> Option<Table> {
    Some(match context {
        "allocs" => Table::Allocs,
        "deployment" => Table::Deployments,
        "evals" => Table::Evals,
        "namespaces" => Table::Namespaces,
        "node_pools" => Table::NodePools,
        "nodes" => Table::Nodes,
        "jobs" => Table::Jobs,
        _ => return None,
    })
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
