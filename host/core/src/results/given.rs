//! Ratings that an operator, or a game's own backend, sets: of users who come from another system, and of games that
//! are rated elsewhere.
//!
//! Invariant: what is set is within the limits of a rating, and counts as a rating from games does from then on: for
//! matching, for who asks, and as what the next game changes.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::News;
use super::finished::{Ratings, ratings_key};
use super::rating::{DEVIATION_LIMITS, RATING_LIMITS, Rating};
use crate::db::{Caller, News as DbNews, Stop, Transaction};
use crate::ids::{DomainName, Time, UserId};
use crate::profile;
use crate::refusal::Refusal;

const RATINGS: RangeInclusive<u32> = RATING_LIMITS.0 as u32..=RATING_LIMITS.1 as u32;
const DEVIATIONS: RangeInclusive<u32> = DEVIATION_LIMITS.0 as u32..=DEVIATION_LIMITS.1 as u32;

/// How strong a user is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The likeliest strength, 100 to 4000; 1500 is a newcomer's.
    pub rating: u32,
    /// How uncertain that is, 30 to 350; without it a newcomer's, so the first games move the rating far.
    #[serde(default = "newcomers_deviation")]
    pub deviation: u32,
    /// Games won before.
    #[serde(default)]
    pub wins: u32,
    /// Games with a shared best place before.
    #[serde(default)]
    pub draws: u32,
    /// All other games before.
    #[serde(default)]
    pub losses: u32,
}

fn newcomers_deviation() -> u32 {
    *DEVIATIONS.end()
}

impl Given {
    /// The record that it becomes. How much the strength changes is not said, so it is a newcomer's.
    ///
    /// # Errors
    /// Numbers beyond their limits.
    fn rating(self, now: Time) -> Result<Rating, Refusal> {
        let Self { rating, deviation, wins, draws, losses } = self;
        let invalid = |text: String| Err(Refusal::Invalid(text));
        if !RATINGS.contains(&rating) {
            return invalid(format!("rating is {rating}: use {} to {}", RATINGS.start(), RATINGS.end()));
        }
        if !DEVIATIONS.contains(&deviation) {
            return invalid(format!("deviation is {deviation}: use {} to {}", DEVIATIONS.start(), DEVIATIONS.end()));
        }
        let Some(games) = wins.checked_add(draws).and_then(|games| games.checked_add(losses)) else {
            return invalid("wins, draws and losses are together more games than are counted".to_owned());
        };
        let (rating, deviation, last) = (f64::from(rating), f64::from(deviation), Some(now));
        Ok(Rating { rating, deviation, games, wins, draws, losses, last, ..Rating::default() })
    }
}

/// Sets a user's rating in a domain, or makes the user a newcomer there. Leaderboards stay as they are: their scores
/// are set by themselves.
///
/// # Errors
/// Callers who are users; a user or a domain that is not there; numbers beyond their limits.
pub(super) fn set(
    caller: &Caller,
    user: UserId,
    domain: &DomainName,
    given: Option<Given>,
    tx: &mut Transaction<'_>,
) -> Result<(), Stop> {
    if *caller != Caller::Operator {
        return Err(Refusal::Forbidden("ratings come from games, and from operators".into()).into());
    }
    let key = ratings_key(user);
    tx.want([profile::key(user), key.clone()])?;
    if !tx.has(&profile::key(user))? {
        return Err(Refusal::NotFound(format!("user {user} who has been in the lobby")).into());
    }
    let mut known: Ratings = tx.get_or_default(&key)?;
    // What a domain that is no more has left can be taken away.
    if given.is_some() && !tx.rules.results.rated.contains_key(domain) {
        let name: String = domain.as_str().chars().take(64).collect();
        return Err(Refusal::NotFound(format!("domain named {name:?}")).into());
    }
    let rating = given.map(|given| given.rating(tx.now)).transpose()?;
    let before = match rating {
        Some(rating) => known.domains.insert(domain.clone(), rating),
        None => known.domains.remove(domain),
    };
    if before == rating {
        return Ok(());
    }
    if known.domains.is_empty() {
        tx.delete(key)
    } else {
        tx.put(key, &known)
    }
    let (before, after) = (before.unwrap_or_default(), rating.unwrap_or_default());
    let news = News {
        domain: domain.clone(),
        rating: after.rounded(),
        games: after.games,
        change: after.rounded() - before.rounded(),
        place: 0,
        ended: tx.now,
    };
    tx.tell(user, DbNews::Results(news));
    Ok(())
}
