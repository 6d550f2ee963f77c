//! The records in memory.
//!
//! Invariant: a record is let go only when the store has it as it is here, so what is loaded is never older than
//! what was written.
//!
//! Records have turns. Where room is needed, those go that were not used since their last turn; the others get
//! another one. Who had a record loaded reads it soon, which is no use; one is to read it later. What is new, like an
//! entry of a ledger, is seldom used: it goes as soon as it is synced, if it was not used by then.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// What an entry costs besides its key and value, about.
const ENTRY_BYTES: usize = 160;
/// How many entries have their turn to find one that may go.
const TURNS_MAX: usize = 16;
/// A record is read soon if so many turns at most have been given since its own: about what one request loads.
const SOON_TURNS: u64 = 64;

#[derive(Debug, Clone)]
pub(super) struct Cache {
    entries: HashMap<Arc<str>, Entry>,
    by_turn: BTreeMap<u64, Arc<str>>,
    last_turn: u64,
    /// The records that were not there before they were written, with the batches that wrote them.
    new: VecDeque<(u64, Arc<str>)>,
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
    turn: u64,
    /// Whether it was read after its last turn, and not soon after.
    used: bool,
    /// The batch that wrote it; 0: it was loaded.
    written: u64,
}

impl Cache {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_turn: BTreeMap::new(),
            last_turn: 0,
            new: VecDeque::new(),
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
        entry.used |= self.last_turn - entry.turn > SOON_TURNS;
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
        while let Some((_, key)) = self.new.pop_front_if(|(written, _)| *written <= self.synced) {
            if self.entries.get(&key).is_some_and(|entry| !entry.used && entry.written <= self.synced) {
                self.remove(&key);
            }
        }
        self.asked = self.written > self.synced;
        self.asked
    }

    pub fn write(&mut self, key: &str, value: Option<Vec<u8>>) {
        self.put(key, value, self.written);
    }

    pub fn load(&mut self, key: &str, value: Option<Vec<u8>>) {
        self.put(key, value, 0);
    }

    fn put(&mut self, key: &str, value: Option<Vec<u8>>, written: u64) {
        let mut is_new = written > 0 && value.is_some();
        self.bytes += bytes(key, value.as_deref());
        let turn = match self.entries.get_mut(key) {
            Some(entry) => {
                self.bytes -= bytes(key, entry.value.as_deref());
                is_new &= entry.value.is_none();
                entry.used &= !is_new;
                (entry.value, entry.written) = (value, written);
                entry.turn
            }
            None => {
                let key: Arc<str> = key.into();
                let turn = self.next_turn(Arc::clone(&key));
                self.entries.insert(key, Entry { value, turn, used: false, written });
                turn
            }
        };
        if is_new {
            self.new.push_back((written, Arc::clone(&self.by_turn[&turn])));
        }
    }

    fn next_turn(&mut self, key: Arc<str>) -> u64 {
        self.last_turn += 1;
        self.by_turn.insert(self.last_turn, key);
        self.last_turn
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_turn.remove(&entry.turn);
            self.bytes -= bytes(key, entry.value.as_deref());
        }
    }

    /// Lets go of what may go until the rest fits. Not to be called before those who waited for what was loaded have
    /// used it.
    pub fn let_go(&mut self) {
        let mut turns = 0;
        while self.bytes > self.bytes_max && turns < TURNS_MAX {
            let Some((_, key)) = self.by_turn.pop_first() else { return };
            turns = if self.stays(&key) { turns + 1 } else { 0 };
        }
    }

    /// Whether an entry whose turn it was stays, and gets another one.
    fn stays(&mut self, key: &Arc<str>) -> bool {
        let turn = self.next_turn(Arc::clone(key));
        let Some(entry) = self.entries.get_mut(key) else { return false };
        entry.turn = turn;
        let stays = std::mem::take(&mut entry.used) || entry.written > self.synced;
        if !stays {
            self.remove(key);
        }
        stays
    }
}

fn bytes(key: &str, value: Option<&[u8]>) -> usize {
    ENTRY_BYTES + key.len() + value.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many turns that what is read now was not read soon.
    fn later(cache: &mut Cache) {
        let from = cache.last_turn;
        (from..=from + SOON_TURNS).for_each(|number| cache.load(&format!("other {number}"), None));
    }

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
        assert_eq!(cache.get("written"), None, "it was new");
        assert_eq!(cache.get("later"), Some(Some(&[3][..])), "not synced");
        assert!(!cache.synced(2));
        assert_eq!(cache.get("later"), None);
        assert_eq!(cache.get("newer"), Some(None));
    }

    #[test]
    fn what_is_used_stays_longer_than_what_was_loaded_for_once() {
        let mut cache = Cache::new(usize::MAX);
        for key in ["used", "once"] {
            cache.load(key, Some(vec![0]));
            assert!(cache.get(key).is_some());
        }
        later(&mut cache);
        assert!(cache.get("used").is_some());
        cache.bytes_max = cache.bytes - 1;
        cache.let_go();
        assert_eq!(["used", "once"].map(|key| cache.entries.contains_key(key)), [true, false]);
        cache.bytes_max = cache.bytes - 1;
        (0..SOON_TURNS).for_each(|_| cache.let_go());
        assert!(cache.entries.contains_key("used"), "the others are before it now");
        cache.bytes_max = 0;
        (0..=SOON_TURNS).for_each(|_| cache.let_go());
        assert_eq!((cache.entries.len(), cache.by_turn.len(), cache.bytes), (0, 0, 0));
    }

    #[test]
    fn what_is_new_goes_when_it_is_synced_unless_it_was_used() {
        let mut cache = Cache::new(usize::MAX);
        cache.load("balance", Some(vec![0]));
        cache.load("request", None);
        later(&mut cache);
        assert_eq!(cache.get("request"), Some(None));
        cache.begin_write();
        let keys = ["balance", "request", "entry", "used", "changed"];
        keys.iter().for_each(|key| cache.write(key, Some(vec![1])));
        later(&mut cache);
        assert!(cache.get("used").is_some());
        cache.begin_write();
        cache.write("changed", Some(vec![2]));
        cache.synced(1);
        assert_eq!(keys.map(|key| cache.entries.contains_key(key)), [true, false, false, true, true]);
    }
}
