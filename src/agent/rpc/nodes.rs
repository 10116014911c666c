//! ◇ The nodes this server can ask: each dialled it and waits for questions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::call::Line;
use super::node_calls::Proof;
use crate::model::Node;

/// By what it proves, the newest line, and its number.
type Lines = HashMap<Proof, (u64, Line)>;

/// The nodes that are connected. Clones are the same table.
#[derive(Debug, Clone, Default)]
pub(in crate::agent) struct Nodes {
    /// The newest line of each, by what it proves: who dials before it is registered may be anybody, and is
    /// found only when it knows the secret that was registered. Locked for moments only.
    lines: Arc<Mutex<Lines>>,
}

impl Nodes {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a node in; the number names this very line.
    pub(super) fn add(&self, proof: Proof, line: Line) -> u64 {
        let mut lines = self.lock();
        let number = lines.get(&proof).map_or(1, |(number, _)| number + 1);
        lines.insert(proof, (number, line));
        number
    }

    /// Forgets a line, unless a newer one took its place.
    pub(super) fn remove(&self, proof: &Proof, number: u64) {
        let mut lines = self.lock();
        if lines.get(proof).is_some_and(|(newest, _)| *newest == number) {
            lines.remove(proof);
        }
    }

    /// The line to a node, as it is registered.
    pub(super) fn line(&self, node: &Node) -> Option<Line> {
        let proof = Proof { node: node.id.clone(), secret: node.secret_id.clone() };
        self.lock().get(&proof).map(|(_, line)| line.clone()).filter(|line| !line.is_closed())
    }
}
