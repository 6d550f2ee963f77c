//! How often a password may be tried: the first few at once, then ever more slowly.
//!
//! Invariant: it holds back whoever tries a name, whether the name exists or not, and never whoever has a session.
//! It is kept in memory: a restart forgives.

use std::collections::HashMap;

use super::identity::IdentityKey;
use crate::deadlines::Deadlines;
use crate::ids::Time;

/// So many wrong passwords in a row are a person's.
const FREE: u32 = 5;
/// After the first one more the next has to wait so long, and twice as long after each further one.
const WAIT_MS: u64 = 1_000;
const WAIT_MS_MAX: u64 = 300_000;
/// A name whose last wrong password is so long ago begins anew.
const FORGIVEN_MS: u64 = 900_000;
/// How many names are remembered; with more, the one that is forgiven first is forgiven now.
const NAMES_MAX: usize = 100_000;

#[derive(Debug, Clone, Default)]
pub struct Throttle {
    tries: HashMap<IdentityKey, Tries>,
    forgiven: Deadlines<IdentityKey>,
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    wrong: u32,
    next: Time,
}

impl Throttle {
    /// How long the next try has to wait, if it has to.
    pub fn wait_ms(&self, name: &IdentityKey, now: Time) -> Option<u64> {
        let tries = self.tries.get(name)?;
        (tries.next > now).then(|| tries.next.ms_since(now))
    }

    /// A password was wrong.
    pub fn wrong(&mut self, name: &IdentityKey, now: Time) {
        if self.tries.len() >= NAMES_MAX && !self.tries.contains_key(name) {
            self.forgiven.pop_due(Time(u64::MAX)).map(|first| self.tries.remove(&first));
        }
        let tries = self.tries.entry(name.clone()).or_insert(Tries { wrong: 0, next: now });
        tries.wrong = tries.wrong.saturating_add(1);
        if let Some(over) = tries.wrong.checked_sub(FREE + 1) {
            let wait_ms = WAIT_MS.saturating_mul(1 << over.min(20)).min(WAIT_MS_MAX);
            tries.next = now.plus_ms(wait_ms);
        }
        self.forgiven.set(name.clone(), now.plus_ms(FORGIVEN_MS));
    }

    /// A password was right.
    pub fn right(&mut self, name: &IdentityKey) {
        self.tries.remove(name);
        self.forgiven.clear(name);
    }

    /// Forgets what is long ago.
    pub fn expire(&mut self, now: Time) {
        while let Some(name) = self.forgiven.pop_due(now) {
            self.tries.remove(&name);
        }
    }
}
