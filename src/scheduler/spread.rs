//! ◆ How much a node helps to spread a group over the values of an attribute.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::constraint::resolve;
use super::distinct::PropertyUse;
use super::input::Lookup;
use crate::model::{Allocation, Job, Node, TaskGroup};

/// All spreads of one group, the job's included.
#[derive(Debug, Clone)]
pub struct Spreads(Vec<One>);

#[derive(Debug, Clone)]
struct One {
    usage: PropertyUse,
    /// How many allocations each value should have; `None` is the rest. Empty for an even spread.
    desired: BTreeMap<Option<String>, f64>,
    /// Its part of all weights.
    share: f64,
}

impl Spreads {
    /// The spreads of `group` in `job`, counted over the job's allocations.
    pub fn of(
        job: &Job,
        group: &TaskGroup,
        allocs: &[Arc<Allocation>],
        lookup: &dyn Lookup,
    ) -> Self {
        let spreads: Vec<_> = group.spreads.iter().chain(&job.spreads).collect();
        let weights: f64 = spreads.iter().map(|s| f64::from(s.weight)).sum();
        let count = small(group.count);
        let one = |spread: &&crate::model::Spread| {
            let mut desired: BTreeMap<Option<String>, f64> = spread
                .targets
                .iter()
                .map(|t| (Some(t.value.clone()), f64::from(t.percent) / 100.0 * count))
                .collect();
            let sum: f64 = desired.values().sum();
            if sum > 0.0 && sum < count {
                desired.insert(None, count - sum);
            }
            let allocs = allocs.iter().map(|a| &**a);
            One {
                usage: PropertyUse::of(&spread.attribute, Some(&group.name), allocs, lookup),
                desired,
                share: f64::from(spread.weight) / weights,
            }
        };
        Self(spreads.iter().map(one).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An allocation of `group` comes to `node` (1) or leaves it (−1).
    pub fn change(&mut self, group: &str, node: &Node, by: i64) {
        self.0.iter_mut().for_each(|one| one.usage.change(group, node, by));
    }

    /// The sum over all spreads of how much `node` helps. Nomad: a node without the attribute costs 1.
    pub fn score(&self, node: &Node) -> f64 {
        self.0.iter().map(|one| one.score(node)).sum()
    }
}

impl One {
    fn score(&self, node: &Node) -> f64 {
        let Some(value) = resolve(&self.usage.attribute, node) else { return -1.0 };
        if self.desired.is_empty() {
            return self.even(value);
        }
        let named = self.desired.get(&Some(value.to_owned()));
        let (wanted, used) = match (named, self.desired.get(&None)) {
            (Some(wanted), _) => (*wanted, self.usage.used(value)),
            (None, Some(rest)) => (*rest, self.used_by_the_rest()),
            (None, None) => return -1.0,
        };
        if wanted == 0.0 {
            return -1.0;
        }
        (wanted - small(used + 1)) / wanted * self.share
    }

    /// Values without a target of their own share what is left.
    fn used_by_the_rest(&self) -> i64 {
        let counts = self.usage.counts().iter();
        let rest = counts.filter(|(value, _)| !self.desired.contains_key(&Some((*value).clone())));
        rest.map(|(_, count)| count).sum()
    }

    /// Nomad: unweighted; least used values gain, and when all are equal each one loses.
    fn even(&self, value: &str) -> f64 {
        let counts = self.usage.counts();
        let (Some(&min), Some(&max)) = (counts.values().min(), counts.values().max()) else {
            return 0.0;
        };
        let current = self.usage.used(value);
        if current != min {
            small(min - current) / small(min)
        } else if min == max {
            -1.0
        } else {
            small(max - min) / small(min)
        }
    }
}

/// Counts of allocations are far below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "counts of allocations are small")]
fn small(count: i64) -> f64 {
    count as f64
}
