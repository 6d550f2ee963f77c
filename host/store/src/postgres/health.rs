//! Whether the database can be written: as long as nobody who tries to has failed last.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// How it is for all handles together.
pub struct Health {
    /// Why the last try failed of those whose last try did.
    failing: Mutex<BTreeMap<u64, String>>,
    parties: AtomicU64,
    up: watch::Sender<bool>,
}

/// One who tries. When it is dropped, its last try does not count any more.
pub struct Party {
    health: Arc<Health>,
    number: u64,
}

impl Health {
    pub fn new() -> Self {
        metrics::gauge!("scenehost_store_up").set(1.0);
        Self { failing: Mutex::default(), parties: AtomicU64::new(0), up: watch::Sender::new(true) }
    }

    pub fn up(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }

    /// Somebody new who tries.
    pub fn party(self: &Arc<Self>) -> Party {
        Party { health: Arc::clone(self), number: self.parties.fetch_add(1, Ordering::Relaxed) }
    }

    /// Why it is down, if it is.
    pub fn cause(&self) -> Option<String> {
        self.failing().values().next().cloned()
    }

    fn failing(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Party {
    /// How the last try went: nothing, or why it failed.
    pub fn set(&self, cause: Option<String>) {
        // Held until it is told, so that the last word is the right one.
        let mut failing = self.health.failing();
        let was_up = failing.is_empty();
        match cause {
            Some(cause) => _ = failing.insert(self.number, cause),
            None => _ = failing.remove(&self.number),
        }
        let up = failing.is_empty();
        if was_up == up {
            return;
        }
        self.health.up.send_replace(up);
        metrics::gauge!("scenehost_store_up").set(if up { 1.0 } else { 0.0 });
        match failing.values().next() {
            None => tracing::info!("the store is written again"),
            Some(cause) => tracing::error!(%cause, "the database cannot be written; what waits is tried again"),
        }
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.set(None);
    }
}
