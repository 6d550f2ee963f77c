//! Deadlines by key, at most one a key, in the order in which they come due.
//!
//! They are moments of [`Time`], or of a finer clock where milliseconds are too coarse.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::Time;

#[derive(Debug, Clone)]
pub(crate) struct Deadlines<K, T = Time> {
    by_time: BTreeSet<(T, K)>,
    by_key: BTreeMap<K, T>,
}

impl<K, T> Default for Deadlines<K, T> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, T: Ord + Copy> Deadlines<K, T> {
    /// Sets the deadline of a key, in the place of the one it had.
    pub fn set(&mut self, key: K, deadline: T) {
        self.clear(&key);
        self.by_key.insert(key.clone(), deadline);
        self.by_time.insert((deadline, key));
    }

    pub fn clear(&mut self, key: &K) {
        if let Some(deadline) = self.by_key.remove(key) {
            self.by_time.remove(&(deadline, key.clone()));
        }
    }

    /// Takes a key whose deadline has come.
    pub fn pop_due(&mut self, now: T) -> Option<K> {
        let (deadline, _) = self.by_time.first()?;
        if *deadline > now {
            return None;
        }
        self.pop_first()
    }

    /// Takes the key whose deadline comes first, whether it has come or not.
    pub fn pop_first(&mut self) -> Option<K> {
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    pub fn get(&self, key: &K) -> Option<T> {
        self.by_key.get(key).copied()
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn next(&self) -> Option<T> {
        self.by_time.first().map(|(deadline, _)| *deadline)
    }
}
