//! A secondary index: many values under one key, as one ordered set of pairs. One set instead of a set per
//! key, because a key with one value would cost a whole node of its own.

use std::hash::Hash;

use imbl::OrdSet;

/// Values under keys; a clone shares all of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grouped<K: Ord + Clone + Hash, V: Ord + Clone + Hash>(OrdSet<(K, V)>);

impl<K: Ord + Clone + Hash, V: Ord + Clone + Hash> Default for Grouped<K, V> {
    fn default() -> Self {
        Self(OrdSet::new())
    }
}

impl<K: Ord + Clone + Hash, V: Ord + Clone + Hash + Default> Grouped<K, V> {
    pub(super) fn insert(&mut self, key: K, value: V) {
        self.0.insert((key, value));
    }

    pub(super) fn remove(&mut self, key: K, value: V) {
        self.0.remove(&(key, value));
    }

    /// The values under `key`, in order. The default value must be the least one.
    pub(super) fn of<'a>(&'a self, key: &K) -> impl Iterator<Item = &'a V> + use<'a, K, V> {
        let key = key.clone();
        let from = (key.clone(), V::default());
        self.0.range(from..).take_while(move |(other, _)| *other == key).map(|(_, value)| value)
    }

    #[cfg(test)]
    pub(super) fn pairs(&self) -> impl Iterator<Item = &(K, V)> {
        self.0.iter()
    }
}
