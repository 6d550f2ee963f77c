//! The room for the saves of all scenes of the host that are not answered yet.
//!
//! Invariant: together they take no more than [`BYTES_MAX`], however long Db is down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many bytes all of them may have.
const BYTES_MAX: usize = 64 << 20;
/// So many bytes are one place, which is the least that a save takes: so there are at most 16,384 of them.
const PLACE_BYTES: usize = 4 << 10;
const PLACES: u32 = (BYTES_MAX / PLACE_BYTES) as u32;

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Room {
    places: Arc<Semaphore>,
    taken_by: Arc<AtomicUsize>,
}

/// The places of one save; free again when it is dropped.
pub struct Place {
    _places: OwnedSemaphorePermit,
    taken_by: Arc<AtomicUsize>,
}

impl Room {
    pub fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES as usize)), taken_by: Arc::default() }
    }

    /// Room for a save of so many bytes, if there is some.
    pub fn take(&self, bytes: usize) -> Option<Place> {
        let places = u32::try_from(bytes.div_ceil(PLACE_BYTES).max(1)).ok()?;
        let places = Arc::clone(&self.places).try_acquire_many_owned(places).ok()?;
        let count = self.taken_by.fetch_add(1, Ordering::Relaxed) + 1;
        report(count);
        Some(Place { _places: places, taken_by: Arc::clone(&self.taken_by) })
    }

    /// Waits until all saves are answered, but no longer than this; how many are not. For a host that stops: nobody
    /// finds room any more.
    pub async fn cleared(&self, limit: Duration) -> usize {
        // Only a semaphore that is closed fails, and this one never is.
        let _ = tokio::time::timeout(limit, self.places.acquire_many(PLACES)).await;
        self.taken_by.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let count = self.taken_by.fetch_sub(1, Ordering::Relaxed) - 1;
        report(count);
    }
}

fn report(count: usize) {
    metrics::gauge!("scenehost_saves_under_way").set(count as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_is_room_for_so_many_bytes_and_again_when_some_are_answered() {
        let room = Room::new();
        let half = room.take(BYTES_MAX / 2).expect("it is empty");
        let mut small: Vec<Place> = std::iter::from_fn(|| room.take(1)).collect();
        assert_eq!(small.len(), PLACES as usize / 2, "each takes a place");
        assert!(room.take(0).is_none());
        small.pop();
        assert!(room.take(PLACE_BYTES + 1).is_none());
        assert_eq!(room.cleared(Duration::ZERO).await, PLACES as usize / 2);
        drop((half, small));
        assert_eq!(room.cleared(Duration::from_secs(10)).await, 0);
        assert!(room.take(usize::MAX).is_none());
    }
}
