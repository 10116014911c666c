//! ◆ Which nodes are heard of.
//!
//! ```text
//! registered or heard ──▶ alive until ttl + grace ──nothing heard──▶ missed (the server marks it down)
//! ```

use std::collections::{BTreeSet, HashMap};

use crate::model::{Nanos, NodeId, Timestamp};
use crate::scheduler::seed::Sequence;

/// How often nodes must be heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The least time between two heartbeats of a node.
    pub min_ttl: Nanos,
    /// Heartbeats a second that the servers take of all nodes together.
    pub max_per_second: u32,
    /// How much later than promised a heartbeat may come.
    pub grace: Nanos,
    /// How long nodes have after a new leader took over.
    pub failover_ttl: Nanos,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            min_ttl: Nanos::from_secs(10),
            max_per_second: 50,
            grace: Nanos::from_secs(10),
            failover_ttl: Nanos::from_secs(300),
        }
    }
}

/// The nodes that are heard of, each with the time by which it must be heard again.
#[derive(Debug)]
pub struct Heartbeats {
    pace: Pace,
    due: BTreeSet<(Timestamp, NodeId)>,
    nodes: HashMap<NodeId, Timestamp>,
    seed: Sequence,
}

impl Heartbeats {
    /// Nobody yet.
    pub fn new(pace: Pace, seed: u64) -> Self {
        let seed = Sequence::new(seed);
        Self { pace, due: BTreeSet::new(), nodes: HashMap::new(), seed }
    }

    /// A new leader knows this node from the state; it has some time to report.
    pub fn expect(&mut self, node: NodeId, now: Timestamp) {
        self.set(node, now.plus(self.pace.failover_ttl));
    }

    /// The node was heard of. Returns how long it has until it must be heard again: the more nodes, the longer, and
    /// a little by chance, so that they do not all come at once.
    pub fn heard(&mut self, node: NodeId, now: Timestamp) -> Nanos {
        let nodes = i64::try_from(self.nodes.len()).unwrap_or(i64::MAX);
        let spread =
            nodes.saturating_mul(1_000_000_000) / i64::from(self.pace.max_per_second.max(1));
        let base = self.pace.min_ttl.0.max(spread);
        let chance = i64::from(self.seed.below(1_000_000));
        let ttl = Nanos(base + base / 1_000_000 * chance);
        self.set(node, now.plus(ttl).plus(self.pace.grace));
        ttl
    }

    fn set(&mut self, node: NodeId, at: Timestamp) {
        if let Some(before) = self.nodes.insert(node.clone(), at) {
            self.due.remove(&(before, node.clone()));
        }
        self.due.insert((at, node));
    }

    /// The node is not expected any more: it is down already, or gone.
    pub fn forget(&mut self, node: &NodeId) {
        if let Some(at) = self.nodes.remove(node) {
            self.due.remove(&(at, node.clone()));
        }
    }

    /// Nodes that were not heard of in time.
    pub fn tick(&mut self, now: Timestamp) -> Vec<NodeId> {
        let mut missed = Vec::new();
        while let Some((_, node)) = self.due.first().cloned().filter(|(at, _)| *at <= now) {
            self.forget(&node);
            missed.push(node);
        }
        missed
    }

    /// When [`Heartbeats::tick`] should be called next.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    #[test]
    fn a_node_that_is_heard_in_time_is_never_missed() {
        let mut beats = Heartbeats::new(Pace::default(), 1);
        let mut now = NOW;
        for _ in 0..50 {
            let ttl = beats.heard("a".into(), now);
            assert!((10..=20).contains(&(ttl.0 / 1_000_000_000)));
            now = now.plus(ttl);
            assert!(beats.tick(now).is_empty());
        }
        let due = beats.deadline().unwrap();
        assert_eq!(beats.tick(due), ["a".into()]);
        assert_eq!(beats.deadline(), None);
    }

    #[test]
    fn many_nodes_come_less_often() {
        let mut beats = Heartbeats::new(Pace::default(), 1);
        for i in 0..1000 {
            beats.expect(NodeId::from(i.to_string()), NOW);
        }
        assert!(beats.heard("0".into(), NOW) >= Nanos::from_secs(20));
    }
}
