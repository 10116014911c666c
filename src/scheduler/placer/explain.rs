//! ◆ What people are told of nodes that were not taken.

use std::collections::BTreeMap;

use crate::model::usage::Shortage;
use crate::model::{AllocMetric, Node};
use crate::scheduler::input::Lookup;

fn add(counts: &mut BTreeMap<String, i64>, key: &str) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => drop(counts.insert(key.to_owned(), 1)),
    }
}

/// A condition excludes the node.
pub(super) fn filter(metrics: &mut AllocMetric, node: &Node, reason: &str) {
    metrics.nodes_filtered += 1;
    if !node.node_class.is_empty() {
        add(&mut metrics.class_filtered, &node.node_class);
    }
    add(&mut metrics.constraint_filtered, reason);
}

/// The node has no room. A port is told with the job that holds it.
pub(super) fn exhaust(
    metrics: &mut AllocMetric,
    node: &Node,
    shortage: &Shortage,
    lookup: &dyn Lookup,
) {
    metrics.nodes_exhausted += 1;
    if !node.node_class.is_empty() {
        add(&mut metrics.class_exhausted, &node.node_class);
    }
    let holder = shortage.holder().and_then(|id| lookup.alloc(id));
    match holder {
        Some(alloc) => {
            let dimension = format!("{shortage} (held by job `{}`)", alloc.job_id);
            add(&mut metrics.dimension_exhausted, &dimension);
        }
        None => add(&mut metrics.dimension_exhausted, &shortage.to_string()),
    }
}
