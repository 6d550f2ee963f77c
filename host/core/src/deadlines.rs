//! Deadlines by key, at most one a key, in the order in which they come due.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::Time;

#[derive(Debug, Clone)]
pub(crate) struct Deadlines<K> {
    by_time: BTreeSet<(Time, K)>,
    by_key: BTreeMap<K, Time>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Deadlines<K> {
    /// Sets the deadline of a key, in the place of the one it had.
    pub fn set(&mut self, key: K, deadline: Time) {
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
    pub fn pop_due(&mut self, now: Time) -> Option<K> {
        let (deadline, _) = self.by_time.first()?;
        if *deadline > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    pub fn next(&self) -> Option<Time> {
        self.by_time.first().map(|(deadline, _)| *deadline)
    }
}
