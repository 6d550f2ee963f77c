//! What a request may do while it runs: read records, change them, and say what follows.

use std::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRng;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cache::Cache;
use super::request::{News, Rules};
use crate::ids::{Time, UserId};
use crate::message::Message;
use crate::refusal::Refusal;
use crate::results::boards::{Boards, Change, Place};
use crate::{lobby, record};

/// Why a transaction did not come to its end; it has changed nothing then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A record is not in memory; it will be loaded, and the transaction runs again from its beginning.
    Missing,
    /// It may not be.
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A request that runs. It sees its own changes.
pub struct Transaction<'a> {
    /// The time.
    pub now: Time,
    /// Randomness. What was drawn by a run that was stopped has no effect.
    pub rng: &'a mut dyn CryptoRng,
    /// What operators have decided.
    pub rules: &'a Rules,
    cache: &'a mut Cache,
    boards: &'a Boards,
    done: Done,
}

/// What has come of a transaction.
#[derive(Default)]
pub(super) struct Done {
    pub changes: BTreeMap<String, Option<Vec<u8>>>,
    pub missing: BTreeSet<String>,
    /// Leaderboards are needed, and not loaded yet.
    pub boards_missing: bool,
    /// What changes on leaderboards.
    pub ranks: Vec<Change>,
    pub messages: Vec<Message>,
    pub faults: Vec<String>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(
        now: Time,
        rng: &'a mut dyn CryptoRng,
        cache: &'a mut Cache,
        rules: &'a Rules,
        boards: &'a Boards,
    ) -> Self {
        Self { now, rng, rules, cache, boards, done: Done::default() }
    }

    pub(super) fn end(self) -> Done {
        self.done
    }

    /// Makes sure that all these records are in memory, so that they are loaded together.
    ///
    /// # Errors
    /// [`Stop::Missing`] if one of them is not.
    pub fn want<K: AsRef<str>>(&mut self, keys: impl IntoIterator<Item = K>) -> Result<(), Stop> {
        for key in keys {
            let key = key.as_ref();
            if !self.done.changes.contains_key(key) && self.cache.get(key).is_none() {
                self.done.missing.insert(key.to_owned());
            }
        }
        if self.done.missing.is_empty() { Ok(()) } else { Err(Stop::Missing) }
    }

    /// Reads a record, `None` if there is none.
    ///
    /// # Errors
    /// [`Stop::Missing`] if it is not in memory; a refusal, and a word to the operators, if it cannot be read.
    pub fn get<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, Stop> {
        let Some(value) = self.value(key)? else { return Ok(None) };
        let decoded = record::decode(key, value);
        decoded.map(Some).map_err(|unreadable| {
            self.done.faults.push(unreadable.to_string());
            Stop::Refused(Refusal::Internal("a stored record cannot be read".into()))
        })
    }

    /// Whether there is a record.
    ///
    /// # Errors
    /// [`Stop::Missing`] if it is not in memory.
    pub fn has(&mut self, key: &str) -> Result<bool, Stop> {
        Ok(self.value(key)?.is_some())
    }

    fn value(&mut self, key: &str) -> Result<Option<&[u8]>, Stop> {
        match self.done.changes.get(key) {
            Some(changed) => Ok(changed.as_deref()),
            None => self.cache.get(key).ok_or_else(|| {
                self.done.missing.insert(key.to_owned());
                Stop::Missing
            }),
        }
    }

    /// Reads a record that begins with its default.
    ///
    /// # Errors
    /// As [`Transaction::get`].
    pub fn get_or_default<T: DeserializeOwned + Default>(&mut self, key: &str) -> Result<T, Stop> {
        Ok(self.get(key)?.unwrap_or_default())
    }

    /// Writes a record.
    pub fn put<T: Serialize>(&mut self, key: String, record: &T) {
        self.done.changes.insert(key, Some(record::encode(record)));
    }

    /// Removes a record; one that is not there is no error.
    pub fn delete(&mut self, key: String) {
        self.done.changes.insert(key, None);
    }

    /// The leaderboards, as they were before this request.
    ///
    /// # Errors
    /// [`Stop::Missing`] if they are not loaded yet.
    pub fn boards(&mut self) -> Result<&'a Boards, Stop> {
        if self.boards.to_load().is_some() {
            self.done.boards_missing = true;
            return Err(Stop::Missing);
        }
        Ok(self.boards)
    }

    /// Changes a leaderboard; the entry's record is changed beside it.
    pub(crate) fn rank(&mut self, change: Change) {
        self.done.ranks.push(change);
    }

    /// How many users this request has put on the same leaderboard who were not on it.
    pub(crate) fn entering(&self, at: &Place) -> u32 {
        let same = |place: &Place| place.board == at.board && place.season == at.season;
        let is_new = |it: &&Change| it.entry.is_some() && same(&it.place) && self.boards.get(&it.place).is_none();
        self.done.ranks.iter().filter(is_new).count() as u32
    }

    /// Says something to another service, once the changes are saved.
    pub fn send(&mut self, message: impl Into<Message>) {
        self.done.messages.push(message.into());
    }

    /// Tells a user something, if the user is in the lobby, once the changes are saved.
    pub fn tell(&mut self, user: UserId, news: News) {
        self.send(lobby::Event::SynNews { user, news: Box::new(news) });
    }
}
