//! With whom each user talks directly, so that what is said is found when one of the two goes.
//!
//! Invariant: two users' lists name each other or neither; the channel of two who do not is empty.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{KEPT_MAX, direct_key, forget_channel};
use crate::db::account::PART_LEN;
use crate::db::{Stop, Transaction};
use crate::ids::{Time, UserId};

/// With how many others the direct messages of a user are kept.
pub const TALKS_MAX: usize = 1_000;
/// How exactly it is known when a user has last said something to somebody: so that not every message writes the list.
const TALK_USE_MS: u64 = 3_600_000;

/// With whom a user has talked directly.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Talks {
    /// When the user has said something to each last, to [`TALK_USE_MS`]; to whom never, when the other began.
    pub with: BTreeMap<UserId, Time>,
    /// To whom of these the user has said something.
    #[serde(default)]
    pub said_to: BTreeSet<UserId>,
}

impl Talks {
    /// The talk that is forgotten first: of those in which the user has never said anything the oldest, so that
    /// strangers push out each other only; else the one in which the user has said nothing for the longest time.
    fn least(&self) -> Option<UserId> {
        let order = |(other, since): &(&UserId, &Time)| (self.said_to.contains(other), **since);
        self.with.iter().min_by_key(order).map(|(other, _)| *other)
    }
}

/// The key of a user's [`Talks`].
pub(crate) fn key(user: UserId) -> String {
    format!("talks/{user}")
}

/// A user says something to another: both lists name the other one. Beyond [`TALKS_MAX`] a list forgets its
/// [`Talks::least`] talk.
pub(super) fn note(user: UserId, other: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    tx.want([key(user), key(other)])?;
    for (one, with, says) in [(user, other, true), (other, user, false)] {
        let mut talks: Talks = tx.get_or_default(&key(one))?;
        let known = talks.with.get(&with).copied();
        let is_noted = !says || talks.said_to.contains(&with);
        if known.is_some_and(|last| is_noted && (!says || tx.now.ms_since(last) < TALK_USE_MS)) {
            continue;
        }
        if known.is_none()
            && talks.with.len() >= TALKS_MAX
            && let Some(least) = talks.least()
        {
            end(one, least, tx)?;
            talks = tx.get_or_default(&key(one))?;
        }
        talks.with.insert(with, tx.now);
        if says {
            talks.said_to.insert(with);
        }
        tx.put(key(one), &talks);
    }
    Ok(())
}

/// What two users have said to each other is gone.
fn end(one: UserId, other: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    for (user, with) in [(one, other), (other, one)] {
        let key = key(user);
        let mut talks: Talks = tx.get_or_default(&key)?;
        talks.with.remove(&with);
        talks.said_to.remove(&with);
        match talks.with.is_empty() {
            true => tx.delete(key),
            false => tx.put(key, &talks),
        }
    }
    forget_channel(direct_key(one, other), tx);
    Ok(())
}

/// Removes some of the direct messages of a user whose account is deleted, also from those who got them. False if
/// there were none left.
pub(crate) fn forget(user: UserId, tx: &mut Transaction<'_>) -> Result<bool, Stop> {
    let talks: Talks = tx.get_or_default(&key(user))?;
    let some: Vec<UserId> = talks.with.into_keys().take(PART_LEN / KEPT_MAX as usize).collect();
    tx.want(some.iter().map(|other| key(*other)))?;
    for other in &some {
        end(user, *other, tx)?;
    }
    Ok(!some.is_empty())
}
