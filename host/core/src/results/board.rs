//! What operators decide about a leaderboard: what it counts, of which domain, and when it begins anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ranking::{ENTRIES_MAX, Order};
use super::season::{Reset, Season};
use crate::config::Domain;
use crate::ids::{DomainName, Time};

/// The most leaderboards.
pub const BOARDS_MAX: usize = 64;
/// The longest name of a leaderboard, in characters.
pub const NAME_CHARS_MAX: usize = 64;

/// A leaderboard, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// Whose games count.
    pub domain: DomainName,
    /// What it counts.
    pub kind: Kind,
    /// Which scores are better.
    #[serde(default)]
    pub order: Order,
    /// How often it begins anew.
    #[serde(default)]
    pub reset: Reset,
    /// How many users a season may have. One that is full takes nobody new.
    #[serde(default = "default_entries_max")]
    pub entries_max: u32,
}

/// What a leaderboard counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The rating in the domain, as it was after the user's last game of the season.
    Rating,
    /// The best score of one game.
    ScoreBest,
    /// The scores of all games together.
    ScoreSum,
    /// Games in which the user's side alone had the best place.
    Wins,
}

fn default_entries_max() -> u32 {
    1_000_000
}

impl Board {
    /// What is wrong with these leaderboards, if anything: the name of the first one, and what to do.
    pub fn check_all(
        boards: &BTreeMap<String, Self>,
        domains: &BTreeMap<DomainName, Domain>,
    ) -> Result<(), (String, String)> {
        if let Some(name) = boards.keys().nth(BOARDS_MAX) {
            return Err((name.clone(), format!("there may be at most {BOARDS_MAX} leaderboards")));
        }
        for (name, board) in boards {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(plain) {
                let what = format!("a leaderboard's name has 1 to {NAME_CHARS_MAX} letters, digits, - and _");
                return Err((name.chars().take(NAME_CHARS_MAX).collect(), what));
            }
            board.check(domains).map_err(|what| (name.clone(), what))?;
        }
        Ok(())
    }

    fn check(&self, domains: &BTreeMap<DomainName, Domain>) -> Result<(), String> {
        let Some(domain) = domains.get(&self.domain) else {
            return Err(format!("domain {:?} is not configured: add [domains.{}]", self.domain.as_str(), self.domain));
        };
        if self.kind == Kind::Rating && !domain.rated {
            return Err(format!("kind is \"rating\", but the games of domain {} are not rated", self.domain));
        }
        if matches!(self.kind, Kind::Rating | Kind::Wins) && self.order == Order::Lowest {
            return Err("order = \"lowest\" is for scores: leave it out".to_owned());
        }
        if self.entries_max == 0 || self.entries_max > ENTRIES_MAX {
            return Err(format!("entries_max needs 1 to {ENTRIES_MAX}"));
        }
        Ok(())
    }

    /// The season that is on, and the one before it, which can still be read.
    pub fn seasons(&self, now: Time) -> (Season, Option<Season>) {
        let current = self.reset.season(now);
        let before = current.begins.0.checked_sub(1).map(|at| self.reset.season(Time(at)));
        (current, before)
    }

    /// Whether the season of this name is over for so long that it is not kept any more. One that this leaderboard
    /// cannot have, because it began anew at other times once, is not kept either.
    pub fn is_old(&self, season: &str, now: Time) -> bool {
        let (current, before) = self.seasons(now);
        // The names of one kind of season are equally long, and no two kinds are.
        season.len() != current.name.len() || before.is_some_and(|before| season < before.name.as_str())
    }

    /// A user's score after a game, by the one before it; `None`: the game does not count here.
    pub fn score_after(&self, before: Option<i64>, score: i64, rating: Option<i32>, won: bool) -> Option<i64> {
        match self.kind {
            Kind::Rating => rating.map(i64::from),
            Kind::ScoreBest => Some(before.filter(|before| !self.order.is_better(score, *before)).unwrap_or(score)),
            Kind::ScoreSum => Some(before.unwrap_or_default().saturating_add(score)),
            Kind::Wins => won.then(|| before.unwrap_or_default().saturating_add(1)),
        }
    }
}
