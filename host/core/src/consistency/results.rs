//! Whether ratings, leaderboards and histories can be read, and matches and histories say the same of each other.

use super::{Check, id_of};
use crate::ids::{AllocationId, UserId};
use crate::record;
use crate::results::boards::{Place, Stored};
use crate::results::finished::Ratings;
use crate::results::history::{self, History, MatchRecord};

impl<E, G: Fn(&str) -> Result<Option<Vec<u8>>, E>> Check<G> {
    pub(super) fn rating(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        self.readable::<Ratings>(key, value);
        if id_of::<UserId>(key, "rating/").is_none() {
            self.problem(key, "is no user's: delete it");
        }
        Ok(())
    }

    pub(super) fn board(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        self.readable::<Stored>(key, value);
        if Place::of_key(key).is_none() {
            self.problem(key, "is no leaderboard's: delete it");
        }
        Ok(())
    }

    pub(super) fn history(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(history) = self.readable::<History>(key, value) else { return Ok(()) };
        if id_of::<UserId>(key, "history/").is_none() {
            self.problem(key, "is no user's: delete it");
        }
        for allocation in history.allocations {
            let match_key = history::match_key(allocation);
            if (self.get)(&match_key)?.is_none() {
                self.problem(key, &format!("lists {match_key}, which is not there: restore a backup"));
            }
        }
        Ok(())
    }

    pub(super) fn result(&mut self, key: &str, value: &[u8]) -> Result<(), E> {
        let Some(result) = self.readable::<MatchRecord>(key, value) else { return Ok(()) };
        let Some(allocation) = id_of::<AllocationId>(key, "result/") else {
            self.problem(key, "is no game's: delete it");
            return Ok(());
        };
        let mut leading = 0;
        for player in result.players {
            let history_key = history::key(player.user);
            let history = (self.get)(&history_key)?;
            let history = history.and_then(|value| record::decode::<History>(&history_key, &value).ok());
            leading += u32::from(history.is_some_and(|history| history.allocations.contains(&allocation)));
        }
        if leading != result.kept {
            let kept = result.kept;
            self.problem(key, &format!("is kept for {kept} histories, and {leading} lead to it: restore a backup"));
        }
        Ok(())
    }
}
