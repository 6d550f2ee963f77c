//! The writer: one thread that takes all batches that wait and syncs them together (group commit), so a
//! sync is paid once for many.
//!
//! Invariants: batches are written in the order in which they were given, each whole. Those of a group are written
//! as one, with the last change of each record. None is passed over:
//! what cannot be written is tried again until it is, or until the host gives up, and then nothing after it
//! is written either. After a failure the database is closed and opened again before the next try, for what
//! it holds in memory of a write that failed is not to be trusted; what was read is read meanwhile.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::Duration;

use rocksdb::{DB, WriteBatch, WriteOptions};
use tokio::sync::watch;

use super::options;
use crate::GROUP_MAX;
use crate::batch::{Batch, Changes, Decision, changes, decide};
use crate::lock::DataLock;

/// How long it is from a failure to the next try; doubles up to the maximum.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A write that has not come back after so many looks at it hangs.
const LOOKS_MAX: u32 = 8;
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// So much has to find room on the disk before the database is opened again.
const PROBE_BYTES: usize = 64 * 1_024;

/// What the writer and the store's readers share.
pub struct Shared {
    path: PathBuf,
    /// `None` while it cannot be opened, not even to read.
    db: RwLock<Option<Arc<DB>>>,
    state: Mutex<State>,
    gives_up: Condvar,
    up: watch::Sender<bool>,
    /// Given back when the database is closed, which a write that hangs can put off beyond everything else.
    _lock: DataLock,
}

#[derive(Default)]
struct State {
    /// How many batches were given and are not written.
    waiting: usize,
    /// How many tries there were, and whether the last one is still under way.
    tries: u64,
    trying: bool,
    /// What the last try failed of.
    cause: Option<String>,
    give_up: bool,
}

impl Shared {
    pub fn new(path: &Path, db: DB, lock: DataLock) -> Self {
        metrics::gauge!("scenehost_store_up").set(1.0);
        Self {
            path: path.to_owned(),
            db: RwLock::new(Some(Arc::new(db))),
            state: Mutex::default(),
            gives_up: Condvar::new(),
            up: watch::Sender::new(true),
            _lock: lock,
        }
    }

    /// Whether it can be written, now and later.
    pub fn up(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }

    /// The database, if it is open. Waits while it is opened again.
    pub fn db(&self) -> Option<Opened<'_>> {
        Opened::new(self.db.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same, without a wait.
    pub fn db_now(&self) -> Option<Opened<'_>> {
        match self.db.try_read() {
            Ok(place) => Opened::new(place),
            Err(TryLockError::Poisoned(poisoned)) => Opened::new(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Notes a batch that is on its way, or that it is not.
    pub fn given(&self) {
        self.state().waiting += 1;
    }

    pub fn not_given(&self) {
        self.state().waiting -= 1;
    }

    /// How many batches are not written, and why, if that is known.
    pub fn waiting(&self) -> (usize, Option<String>) {
        let state = self.state();
        (state.waiting, state.cause.clone())
    }

    /// From now on what fails is not tried again.
    pub fn give_up(&self) {
        self.state().give_up = true;
        self.gives_up.notify_all();
    }

    /// Looks for writes that hang, until it is dropped.
    pub async fn watch(&self) {
        let (mut seen, mut looks) = (0, 0);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            // Held until it is told, or it might be told after the write has come back.
            let state = self.state();
            looks = if state.trying && state.tries == seen { looks + 1 } else { 0 };
            seen = state.tries;
            if looks == LOOKS_MAX {
                self.set_up(false, "a write hangs");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says to everyone concerned how it is, if that is new.
    fn set_up(&self, up: bool, why: &str) {
        if !self.up.send_if_modified(|was| std::mem::replace(was, up) != up) {
            return;
        }
        metrics::gauge!("scenehost_store_up").set(if up { 1.0 } else { 0.0 });
        match up {
            true => tracing::info!("the store is written again"),
            false => tracing::error!(cause = why, "the store cannot be written; what waits is tried again"),
        }
    }

    /// Writes a group, whatever it takes, and tells what has become of its batches; `None` if it was given up.
    fn write(&self, group: &[Batch]) -> Option<Vec<Decision>> {
        let mut wait = RETRY;
        // What was decided once stays so: a try that has failed may have been written all the same.
        let mut decided = None;
        let mut again = false;
        loop {
            {
                let mut state = self.state();
                state.tries += 1;
                state.trying = true;
            }
            let written = if again { self.reopen() } else { Ok(()) }.and_then(|()| self.commit(group, &mut decided));
            if !self.tried(group.len(), written) {
                let state = self.state();
                let waited = self.gives_up.wait_timeout_while(state, wait, |state| !state.give_up);
                if waited.unwrap_or_else(PoisonError::into_inner).0.give_up {
                    return None;
                }
                (again, wait) = (true, (wait * 2).min(RETRY_MAX));
                continue;
            }
            metrics::counter!("scenehost_store_syncs_total").increment(1);
            metrics::counter!("scenehost_store_commits_total").increment(group.len() as u64);
            return decided;
        }
    }

    /// Notes how a try ended; whether it was the last.
    fn tried(&self, batches: usize, written: Result<(), String>) -> bool {
        let mut state = self.state();
        state.trying = false;
        match written {
            Ok(()) => {
                state.waiting -= batches;
                state.cause = None;
                self.set_up(true, "");
                true
            }
            Err(cause) => {
                tracing::warn!(%cause, waiting = state.waiting, "a write of the store failed");
                self.set_up(false, &cause);
                state.cause = Some(cause);
                false
            }
        }
    }

    fn commit(&self, group: &[Batch], decided: &mut Option<Vec<Decision>>) -> Result<(), String> {
        let changes = match decided {
            Some(decisions) => changes(group, decisions),
            None => {
                let (decisions, changes) = self.decide(group)?;
                *decided = Some(decisions);
                changes
            }
        };
        let mut all = WriteBatch::default();
        for (key, value) in changes {
            match value {
                Some(value) => all.put(key, value),
                None => all.delete(key),
            }
        }
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        let db = self.db().ok_or("the database is closed")?;
        db.write_opt(all, &synced).map_err(|cause| cause.to_string())
    }

    fn decide<'a>(&self, group: &'a [Batch]) -> Result<(Vec<Decision>, Changes<'a>), String> {
        let stored = |key: &str| match self.db() {
            Some(db) => db.get(key).map_err(|cause| cause.to_string()),
            None => Err("the database is closed".to_owned()),
        };
        decide(group, stored)
    }

    /// Opens the database again, so that it begins from what the disk has. Where that fails it is opened to
    /// be read.
    fn reopen(&self) -> Result<(), String> {
        self.probe().map_err(|cause| format!("the disk takes nothing: {cause}"))?;
        let mut place = self.db.write().unwrap_or_else(PoisonError::into_inner);
        if place.as_ref().is_some_and(|db| Arc::strong_count(db) > 1) {
            return Err("a backup has to end before the database can be opened again".to_owned());
        }
        // The one before has to be closed: only one at a time may write.
        *place = None;
        let opened = DB::open(&options(), &self.path);
        let opened = opened.map_err(|cause| {
            *place = DB::open_for_read_only(&options(), &self.path, false).ok().map(Arc::new);
            format!("the database cannot be opened again: {cause}")
        })?;
        *place = Some(Arc::new(opened));
        Ok(())
    }

    /// Whether the disk takes anything: as long as it does not, the database that is open is good to read.
    fn probe(&self) -> std::io::Result<()> {
        let path = self.path.with_extension("probe");
        let written = std::fs::File::create(&path).and_then(|mut file| {
            std::io::Write::write_all(&mut file, &[0; PROBE_BYTES])?;
            file.sync_all()
        });
        let _ = std::fs::remove_file(&path); // The next probe takes its place.
        written
    }
}

/// The database, as long as nobody opens it again.
pub struct Opened<'a>(RwLockReadGuard<'a, Option<Arc<DB>>>);

impl<'a> Opened<'a> {
    fn new(place: RwLockReadGuard<'a, Option<Arc<DB>>>) -> Option<Self> {
        place.is_some().then_some(Self(place))
    }

    /// For longer; it is not opened again before this is dropped.
    pub fn kept(&self) -> Arc<DB> {
        Arc::clone(self.0.as_ref().expect("it was open when this was made, and cannot be closed meanwhile"))
    }
}

impl std::ops::Deref for Opened<'_> {
    type Target = DB;

    fn deref(&self) -> &DB {
        self.0.as_ref().expect("it was open when this was made, and cannot be closed meanwhile")
    }
}

/// Writes what is given until nobody can give anything any more, or it is given up.
pub fn run(shared: &Shared, commits: &Receiver<Batch>) {
    while let Ok(first) = commits.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = commits.try_recv()
        {
            group.push(next);
        }
        // Whoever waits for one that is given up hears that it was not done.
        let Some(decisions) = shared.write(&group) else { return };
        group.into_iter().zip(decisions).for_each(|(batch, decision)| batch.answer(decision));
    }
}
