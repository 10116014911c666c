//! ◆ How often each value of a node's property is used by a job's allocations: what `distinct_property` limits and
//! what spreads even out. And `distinct_hosts`.

use std::collections::BTreeMap;

use super::constraint::{DISTINCT_HOSTS, DISTINCT_PROPERTY, resolve};
use super::input::Lookup;
use crate::model::{Allocation, Constraint, Node};

/// How often each value of one property is used.
#[derive(Debug, Clone)]
pub struct PropertyUse {
    /// The property: `${meta.rack}`.
    pub attribute: String,
    /// The group whose allocations count; none for all of the job.
    group: Option<String>,
    counts: BTreeMap<String, i64>,
}

impl PropertyUse {
    /// Counts the property over those of `allocs` that are to go on.
    pub fn of<'a>(
        attribute: &str,
        group: Option<&str>,
        allocs: impl IntoIterator<Item = &'a Allocation>,
        lookup: &dyn Lookup,
    ) -> Self {
        let mut property = Self {
            attribute: attribute.to_owned(),
            group: group.map(str::to_owned),
            counts: BTreeMap::new(),
        };
        for alloc in allocs.into_iter().filter(|alloc| !alloc.is_terminal()) {
            if let Some(node) = lookup.node(&alloc.node_id) {
                property.change(&alloc.task_group, &node, 1);
            }
        }
        property
    }

    /// An allocation of `group` comes to `node` (1) or leaves it (−1).
    pub fn change(&mut self, group: &str, node: &Node, by: i64) {
        if self.group.as_deref().is_some_and(|only| only != group) {
            return;
        }
        let Some(value) = resolve(&self.attribute, node) else { return };
        if let Some(count) = self.counts.get_mut(value) {
            *count += by;
            if *count <= 0 {
                self.counts.remove(value);
            }
        } else if by > 0 {
            self.counts.insert(value.to_owned(), by);
        }
    }

    /// How often `value` is used.
    pub fn used(&self, value: &str) -> i64 {
        self.counts.get(value).copied().unwrap_or(0)
    }

    /// The counts of all values that are used.
    pub fn counts(&self) -> &BTreeMap<String, i64> {
        &self.counts
    }
}

/// `distinct_property` with its limit.
#[derive(Debug, Clone)]
pub struct DistinctProperty {
    usage: PropertyUse,
    limit: i64,
}

impl DistinctProperty {
    /// Those among `constraints`; `group` is theirs, none for the job's.
    pub fn among<'a>(
        constraints: &'a [Constraint],
        group: Option<&'a str>,
        allocs: &'a [std::sync::Arc<Allocation>],
        lookup: &'a dyn Lookup,
    ) -> impl Iterator<Item = Self> + 'a {
        constraints.iter().filter(|c| c.operator == DISTINCT_PROPERTY).map(move |constraint| Self {
            usage: PropertyUse::of(&constraint.left, group, allocs.iter().map(|a| &**a), lookup),
            limit: constraint.right.parse().unwrap_or(1),
        })
    }

    /// Whether one more may come to `node`, and if not, why.
    pub fn allows(&self, node: &Node) -> Result<(), String> {
        let attribute = &self.usage.attribute;
        let Some(value) = resolve(attribute, node) else {
            return Err(format!(
                "missing property \"{}\"",
                attribute.trim_matches(['$', '{', '}'])
            ));
        };
        let used = self.usage.used(value);
        if used < self.limit {
            return Ok(());
        }
        Err(format!(
            "distinct_property: {}={value} used by {used} allocs",
            attribute.trim_start_matches("${").trim_end_matches('}')
        ))
    }

    /// An allocation of `group` comes to `node` (1) or leaves it (−1).
    pub fn change(&mut self, group: &str, node: &Node, by: i64) {
        self.usage.change(group, node, by);
    }
}

/// Whether `distinct_hosts` is among them. Nomad: the value `false` switches it off.
pub fn wants_distinct_hosts(constraints: &[Constraint]) -> bool {
    constraints.iter().any(|c| c.operator == DISTINCT_HOSTS && c.right != "false")
}
