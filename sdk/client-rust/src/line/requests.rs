//! The lobby's requests, by their numbers, until they are answered.
//!
//! Invariant: numbers grow, and each request is given back once: with its answer, or because its outcome
//! cannot be known any more.

use std::collections::BTreeMap;

/// The first request of each connection says who is there, and is not one of these.
const FIRST: u32 = 2;

/// Requests without an answer.
#[derive(Clone, Debug)]
pub struct Requests<T> {
    open: BTreeMap<u32, Open<T>>,
    next: u32,
    len_max: usize,
}

#[derive(Clone, Debug)]
struct Open<T> {
    request: T,
    /// Whether it has left over the line.
    sent: bool,
    /// Whether the answer belongs to the connection and not to the line, so that a drop loses it.
    of_connection: bool,
}

impl<T> Requests<T> {
    /// No requests; at most so many will wait at once.
    pub fn new(len_max: usize) -> Self {
        Self { open: BTreeMap::new(), next: FIRST, len_max }
    }

    /// Adds a request, or gives it back at the limit. `of_connection`: the answer does not survive a drop.
    pub fn push(&mut self, request: T, of_connection: bool) -> Result<(), T> {
        if self.open.len() >= self.len_max {
            return Err(request);
        }
        self.open.insert(self.next, Open { request, sent: false, of_connection });
        // 0 and 1 have meanings of their own.
        self.next = self.next.checked_add(1).unwrap_or(FIRST);
        Ok(())
    }

    /// The first request that has not left yet, with its number; it counts as sent now.
    pub fn next_unsent(&mut self) -> Option<(u32, &T)> {
        let (number, open) = self.open.iter_mut().find(|(_, open)| !open.sent)?;
        open.sent = true;
        Some((*number, &open.request))
    }

    /// The request that this number answers; it is over.
    pub fn answered(&mut self, number: u32) -> Option<T> {
        Some(self.open.remove(&number)?.request)
    }

    /// Lets go of requests whose answers nobody waits for.
    pub fn retain(&mut self, wanted: impl Fn(&T) -> bool) {
        self.open.retain(|_, open| wanted(&open.request));
    }

    /// Whether some request has not left yet that `is` describes.
    pub fn any_unsent(&self, is: impl Fn(&T) -> bool) -> bool {
        self.open.values().any(|open| !open.sent && is(&open.request))
    }

    /// The line goes on, and the server has the requests up to this number: the others leave again.
    pub fn go_on(&mut self, last_request: u32) {
        for (number, open) in &mut self.open {
            open.sent &= *number <= last_request && !open.of_connection;
        }
    }

    /// The line does not go on. Gives those back whose outcome is unknown; the others leave over the new one.
    pub fn begin_anew(&mut self) -> Vec<T> {
        self.open.values_mut().filter(|open| open.of_connection).for_each(|open| open.sent = false);
        let unknown: Vec<u32> = self.open.iter().filter(|(_, open)| open.sent).map(|(number, _)| *number).collect();
        unknown.into_iter().filter_map(|number| self.answered(number)).collect()
    }

    /// Gives all back.
    pub fn take_all(&mut self) -> Vec<T> {
        std::mem::take(&mut self.open).into_values().map(|open| open.request).collect()
    }
}
