//! The records in memory.
//!
//! Invariant: a record is let go only when the store has it as it is here, so what is loaded is never older than
//! what was written.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What an entry costs besides its key and value, about.
const ENTRY_BYTES: usize = 160;
/// How many entries are looked at to find one that may go; the newest writes are not the oldest uses.
const LOOKED_AT_MAX: usize = 16;

#[derive(Debug, Clone)]
pub(super) struct Cache {
    entries: HashMap<Arc<str>, Entry>,
    /// The keys by their last use.
    by_use: BTreeMap<u64, Arc<str>>,
    last_use: u64,
    bytes: usize,
    bytes_max: usize,
    /// The number of the newest batch of writes, and of the newest that is known to be synced.
    written: u64,
    synced: u64,
    /// Whether word of a sync is to come.
    asked: bool,
}

#[derive(Debug, Clone)]
struct Entry {
    /// `None`: there is no such record.
    value: Option<Vec<u8>>,
    last_use: u64,
    /// The batch that wrote it; 0: it was loaded.
    written: u64,
}

impl Cache {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            last_use: 0,
            bytes: 0,
            bytes_max,
            written: 0,
            synced: 0,
            asked: false,
        }
    }

    /// How many records are in memory, also of those that are known not to be there.
    pub fn records(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes they take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A record, if it is known whether there is one.
    pub fn get(&mut self, key: &str) -> Option<Option<&[u8]>> {
        let entry = self.entries.get_mut(key)?;
        self.last_use += 1;
        if let Some(key) = self.by_use.remove(&entry.last_use) {
            self.by_use.insert(self.last_use, key);
        }
        entry.last_use = self.last_use;
        Some(entry.value.as_deref())
    }

    /// The writes that follow are one batch. Whether word of its sync has to be asked for; else it comes with the
    /// next.
    pub fn begin_write(&mut self) -> bool {
        self.written += 1;
        !std::mem::replace(&mut self.asked, true)
    }

    /// The number of the newest batch of writes.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The batches up to this one are synced. Whether there are newer ones, of which word has to be asked for.
    pub fn synced(&mut self, number: u64) -> bool {
        self.synced = self.synced.max(number);
        self.asked = self.written > self.synced;
        self.asked
    }

    pub fn write(&mut self, key: &str, value: Option<Vec<u8>>) {
        self.insert(key, value, self.written);
    }

    pub fn load(&mut self, key: &str, value: Option<Vec<u8>>) {
        self.insert(key, value, 0);
    }

    fn insert(&mut self, key: &str, value: Option<Vec<u8>>, written: u64) {
        self.remove(key);
        self.last_use += 1;
        let key: Arc<str> = key.into();
        self.bytes += bytes(&key, value.as_deref());
        self.by_use.insert(self.last_use, Arc::clone(&key));
        self.entries.insert(key, Entry { value, last_use: self.last_use, written });
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.last_use);
            self.bytes -= bytes(key, entry.value.as_deref());
        }
    }

    /// Lets go of the oldest until the rest fits. Not to be called before those who waited for what was loaded have
    /// used it.
    pub fn let_go(&mut self) {
        while self.bytes > self.bytes_max {
            let may_go = |key: &&Arc<str>| self.entries[*key].written <= self.synced;
            let Some(oldest) = self.by_use.values().take(LOOKED_AT_MAX).find(may_go).cloned() else { return };
            self.remove(&oldest);
        }
    }
}

fn bytes(key: &str, value: Option<&[u8]>) -> usize {
    ENTRY_BYTES + key.len() + value.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_synced_stays_and_the_rest_goes_by_age() {
        let mut cache = Cache::new(3 * (ENTRY_BYTES + 10));
        let load = |cache: &mut Cache, key| {
            cache.load(key, None);
            cache.let_go();
        };
        load(&mut cache, "loaded");
        assert!(cache.begin_write());
        cache.write("written", Some(vec![2]));
        assert!(!cache.begin_write(), "word of the first is to come");
        cache.write("later", Some(vec![3]));
        load(&mut cache, "new");
        assert_eq!(cache.get("loaded"), None, "the oldest");
        load(&mut cache, "newer");
        assert_eq!(cache.get("new"), None, "those that were written are not in the store yet");
        assert_eq!(cache.get("written"), Some(Some(&[2][..])));
        assert!(cache.synced(1), "there is a second batch");
        load(&mut cache, "newest");
        assert_eq!(cache.get("newer"), None);
        assert!(!cache.synced(2));
        load(&mut cache, "last");
        assert_eq!(cache.get("later"), None, "synced, and not used for the longest time");
        assert_eq!(cache.get("written"), Some(Some(&[2][..])));
    }
}
