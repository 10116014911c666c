//! ◆ How good a node is for a group: parts, each about −1 to 1, and their mean.

use std::collections::BTreeMap;

use super::constraint::Compiled;
use super::input::Algorithm;
use crate::model::metric::NodeScore;
use crate::model::usage::{Capacity, Sum};
use crate::model::{Affinity, Job, Node, NodeId, TaskGroup};

/// The most that bin packing gives before it is brought to 0..1.
const BINPACK_MAX: f64 = 18.0;

/// A node's score in the making.
#[derive(Debug, Clone, Default)]
pub struct Score {
    /// What people see.
    shown: Vec<(&'static str, f64)>,
    sum: f64,
    parts: f64,
}

impl Score {
    /// Adds a part that counts.
    pub fn count(&mut self, name: &'static str, value: f64) {
        self.show(name, value);
        self.sum += value;
        self.parts += 1.0;
    }

    /// Shows a part that does not count.
    pub fn show(&mut self, name: &'static str, value: f64) {
        self.shown.push((name, value));
    }

    /// Adds a part that counts unless it is zero.
    pub fn count_or_show(&mut self, name: &'static str, value: f64) {
        if value == 0.0 { self.show(name, value) } else { self.count(name, value) }
    }

    /// The mean of the parts that count.
    pub fn mean(&self) -> f64 {
        if self.parts == 0.0 { 0.0 } else { self.sum / self.parts }
    }

    /// The form of the explanation.
    pub fn explain(&self, node: &NodeId) -> NodeScore {
        let scores: BTreeMap<String, f64> =
            self.shown.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        NodeScore { node_id: node.clone(), scores, norm_score: self.mean() }
    }
}

/// How well what is then taken fills the node: Google's `BestFit` v3, 0 to 1.
pub fn packing(algorithm: Algorithm, capacity: &Capacity, taken: Sum) -> f64 {
    let free = |taken: i64, has: i64| {
        if has <= 0 { 0.0 } else { 1.0 - as_f64(taken) / as_f64(has) }
    };
    let (cpu, memory) = (free(taken.cpu, capacity.cpu), free(taken.memory, capacity.memory));
    let total = 10f64.powf(cpu) + 10f64.powf(memory);
    let score = match algorithm {
        Algorithm::Binpack => 20.0 - total,
        Algorithm::Spread => total - 2.0,
    };
    score.clamp(0.0, BINPACK_MAX) / BINPACK_MAX
}

/// Fewer allocations of one group on one node.
pub fn anti_affinity(already: i64, desired: i64) -> f64 {
    if already == 0 { 0.0 } else { -(as_f64(already) + 1.0) / as_f64(desired.max(1)) }
}

/// What a group would like of its nodes, the job's and tasks' wishes included.
pub fn affinities(job: &Job, group: &TaskGroup) -> Vec<Affinity> {
    let tasks = group.tasks.iter().flat_map(|task| &task.affinities);
    job.affinities.iter().chain(&group.affinities).chain(tasks).cloned().collect()
}

/// The weights of the wishes that `node` meets, as a part of all of them.
pub fn affinity(wishes: &[Affinity], node: &Node, compiled: &mut Compiled) -> f64 {
    let all: f64 = wishes.iter().map(|w| f64::from(w.weight).abs()).sum();
    let met: f64 = wishes
        .iter()
        .filter(|wish| compiled.matches(node, wish))
        .map(|wish| f64::from(wish.weight))
        .sum();
    if all == 0.0 { 0.0 } else { met / all }
}

/// Amounts of MHz, MiB and allocations are far below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "MHz, MiB and counts are small")]
pub fn as_f64(number: i64) -> f64 {
    number as f64
}
