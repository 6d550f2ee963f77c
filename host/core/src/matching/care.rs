//! What is remembered of users between their searches: whom they met lately, who did not accept, and whom those have
//! blocked who play.
//!
//! Invariant: all of it is forgotten by a deadline, and before that where too much would have to be kept, the oldest
//! first: then somebody meets the same again, or may search a little sooner.

use std::collections::{BTreeSet, VecDeque};

use super::by_id::ById;
use super::domain::{Decline, Recent};
use crate::ids::{Time, UserId};

/// Of how many users it is remembered whom they met.
pub(super) const MET_MAX: usize = 200_000;
/// Of how many users it is remembered whom they have blocked, and for how long: as a game may last.
const BLOCKS_MAX: usize = 50_000;
const BLOCKS_MS: u64 = 4 * 3_600_000;
/// Of how many users it is remembered that they did not accept.
pub(super) const DECLINED_MAX: usize = 100_000;

/// Whom users met lately.
#[derive(Debug, Clone, Default)]
pub(super) struct Met {
    of: ById<UserId, VecDeque<(UserId, Time)>>,
    /// Who met somebody, and when, the oldest first.
    by_age: VecDeque<(Time, UserId)>,
}

impl Met {
    /// Notes that users of different tickets have met.
    pub fn note(&mut self, tickets: &[Vec<UserId>], now: Time, rules: Recent) {
        if rules.opponents == 0 {
            return;
        }
        self.forget(now, rules);
        for (i, ticket) in tickets.iter().enumerate() {
            // From the next ticket on, so that not all remember the same of a large match.
            let others = tickets[i + 1..].iter().chain(&tickets[..i]).flatten().take(rules.opponents);
            for user in ticket {
                let met = self.of.entry(*user).or_default();
                met.extend(others.clone().map(|other| (*other, now)));
                while met.len() > rules.opponents {
                    met.pop_front();
                }
                self.by_age.push_back((now, *user));
            }
        }
    }

    /// Whom a user is not to meet again yet.
    pub fn by(&self, user: UserId, now: Time, rules: Recent) -> impl Iterator<Item = UserId> {
        let met = self.of.get(&user).into_iter().flatten();
        met.filter(move |(_, at)| now.ms_since(*at) < rules.ms).map(|(other, _)| *other)
    }

    /// Of how many users it is remembered.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    fn forget(&mut self, now: Time, rules: Recent) {
        while let Some((at, user)) = self.by_age.front().copied() {
            if now.ms_since(at) < rules.ms && self.by_age.len() <= MET_MAX {
                return;
            }
            self.by_age.pop_front();
            if let Some(met) = self.of.get_mut(&user) {
                met.retain(|(_, met_at)| *met_at > at);
                if met.is_empty() {
                    self.of.remove(&user);
                }
            }
        }
    }
}

/// Whom users have blocked who were matched lately, and may play still.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks {
    of: ById<UserId, (Time, BTreeSet<UserId>)>,
    by_age: VecDeque<(Time, UserId)>,
}

impl Blocks {
    /// Notes whom a user has blocked who is matched now.
    pub fn note(&mut self, user: UserId, blocked: BTreeSet<UserId>, now: Time) {
        while let Some((at, user)) = self.by_age.front().copied() {
            if now.ms_since(at) < BLOCKS_MS && self.by_age.len() < BLOCKS_MAX {
                break;
            }
            self.by_age.pop_front();
            if self.of.get(&user).is_some_and(|(noted, _)| *noted <= at) {
                self.of.remove(&user);
            }
        }
        self.of.insert(user, (now, blocked));
        self.by_age.push_back((now, user));
    }

    /// Whether a user who plays has blocked another.
    pub fn has(&self, user: UserId, other: UserId) -> bool {
        self.of.get(&user).is_some_and(|(_, blocked)| blocked.contains(&other))
    }
}

/// Who did not accept a match lately.
#[derive(Debug, Clone, Default)]
pub(super) struct Declined {
    of: ById<UserId, Decliner>,
    by_age: VecDeque<(Time, UserId)>,
}

#[derive(Debug, Clone, Copy)]
struct Decliner {
    times: u32,
    last: Time,
    until: Time,
}

impl Declined {
    /// Notes that a user did not accept.
    pub fn note(&mut self, user: UserId, now: Time, rules: Decline) {
        self.forget(now, rules);
        let times = self.of.get(&user).map_or(0, |decliner| decliner.times);
        let ms = rules.ms.saturating_mul(1 << times.min(32)).min(rules.ms_max);
        self.of.insert(user, Decliner { times: times.saturating_add(1), last: now, until: now.plus_ms(ms) });
        self.by_age.push_back((now, user));
    }

    /// For how long a user may not search yet, in milliseconds; 0: the user may.
    pub fn left_ms(&self, user: UserId, now: Time) -> u64 {
        self.of.get(&user).map_or(0, |decliner| decliner.until.ms_since(now))
    }

    fn forget(&mut self, now: Time, rules: Decline) {
        while let Some((at, user)) = self.by_age.front().copied() {
            if now.ms_since(at) < rules.forget_ms && self.by_age.len() < DECLINED_MAX {
                return;
            }
            self.by_age.pop_front();
            // One who has declined again since is remembered by that.
            if self.of.get(&user).is_some_and(|decliner| decliner.last <= at) {
                self.of.remove(&user);
            }
        }
    }
}
