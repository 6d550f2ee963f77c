//! How strong a user is in a domain, from the places of its games.
//!
//! Two systems, by the crate `skillratings`: Glicko-2 where one plays against one (M. Glickman,
//! "Example of the Glicko-2 system", 2022), and Weng-Lin, by the model of Bradley and Terry, for teams
//! and free-for-all (R. Weng and C.-J. Lin, "A Bayesian Approximation Method for Online Ranking",
//! JMLR 12, 2011). A domain's games may be of both kinds, so one record serves both, on the scale of
//! Glicko-2: Weng-Lin's mean of 25 is a rating of 1500 and its deviation of 25/3 is one of 350, so 1 of
//! its points is 42 of ours. The mapping is linear, so what both mean by a rating, a normal distribution
//! of the user's strength, is the same before and after it.
//!
//! Invariant: a rating is always finite and within its limits, whatever the record says. Everything is a
//! function of the arguments.
//!
//! **More than two sides.** Weng and Lin sum what each pair of sides says, as if each were a game of its
//! own. For the few sides of their data that is best, but it counts the one performance of a player again
//! for each opponent, and with 16 sides or more the ratings overshoot so far that they predict worse than
//! a coin (simulated with 600 players and 3 to 64 sides). So all pairs of a side together count as at most
//! [`GAMES_PER_GAME_MAX`] games, the best of the tried weights; up to 5 sides nothing changes.
//!
//! **Time.** Glicko-2 counts in rating periods, and a user who did not play becomes less certain by
//! the volatility in each of them (step 6 of the example). Here a game is a period, and so is each day
//! without one, counted in fractions: a user at a deviation of 50 is at 100 after about ten weeks.

use serde::{Deserialize, Serialize};
use skillratings::Outcomes;
use skillratings::glicko2::{Glicko2Config, Glicko2Rating, expected_score, glicko2};
use skillratings::weng_lin::{WengLinConfig, WengLinRating, weng_lin_two_teams};

use crate::config::PLAYERS_MAX;
use crate::ids::Time;
use crate::record::RATING_START;

/// The limits of a rating. Three in a thousand of a newcomer's distribution are outside of 450 to 2550.
pub const RATING_LIMITS: (f64, f64) = (100.0, 4_000.0);
/// The limits of a deviation: a newcomer's, and the least, so that a rating never stops to move (the
/// least that Glickman advises).
pub const DEVIATION_LIMITS: (f64, f64) = (30.0, 350.0);
/// The limits of a volatility. Glickman starts at 0.06.
pub const VOLATILITY_LIMITS: (f64, f64) = (0.01, 0.1);
/// How many games against one opponent a game against many counts as, at most.
pub const GAMES_PER_GAME_MAX: f64 = 4.0;

const START: f64 = RATING_START as f64;
const VOLATILITY_START: f64 = 0.06;
/// A point of Glicko-2's inner scale, in points of the rating.
const GLICKO_POINTS: f64 = 173.7178;
/// A point of Weng-Lin, in points of the rating: 350 / (25 / 3).
const WENG_LIN_POINTS: f64 = 42.0;
const WENG_LIN_START: f64 = 25.0;
const DAY_MS: f64 = 86_400_000.0;

/// A user's rating in one domain. Stored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rating {
    /// The likeliest strength; 1500 is a newcomer's.
    pub rating: f64,
    /// How uncertain that is: the strength is within two of these with 95 %. As it was at `last`.
    pub deviation: f64,
    /// How much the strength changes; only games of one against one change this.
    pub volatility: f64,
    /// How many rated games: the sum of the next three.
    pub games: u32,
    /// Games in which the user's side alone had the best place.
    pub wins: u32,
    /// Games in which it shared the best place.
    pub draws: u32,
    /// All other games.
    pub losses: u32,
    /// When the last of them ended, or an operator set the rating; nothing if neither was.
    pub last: Option<Time>,
}

impl Default for Rating {
    /// A newcomer's.
    fn default() -> Self {
        let deviation = DEVIATION_LIMITS.1;
        let volatility = VOLATILITY_START;
        Self { rating: START, deviation, volatility, games: 0, wins: 0, draws: 0, losses: 0, last: None }
    }
}

impl Rating {
    /// The rating as matching and games see it.
    pub fn rounded(&self) -> i32 {
        within(self.rating, RATING_LIMITS, START).round() as i32
    }

    /// The record at a moment: within its limits, and less certain by the time without a game.
    fn at(self, now: Time) -> Self {
        let volatility = within(self.volatility, VOLATILITY_LIMITS, VOLATILITY_START);
        let deviation = within(self.deviation, DEVIATION_LIMITS, DEVIATION_LIMITS.1);
        let days = self.last.map_or(0.0, |last| now.ms_since(last) as f64 / DAY_MS);
        let grown = deviation.hypot(volatility * GLICKO_POINTS * days.sqrt());
        Self {
            rating: within(self.rating, RATING_LIMITS, START),
            deviation: within(grown, DEVIATION_LIMITS, DEVIATION_LIMITS.1),
            volatility,
            ..self
        }
    }

    /// The record after a game.
    fn after(self, rating: f64, deviation: f64, volatility: f64, end: End, now: Time) -> Self {
        let one_more = |count: u32, counts: bool| count.saturating_add(u32::from(counts));
        Self {
            rating: within(rounded(rating, 1e3), RATING_LIMITS, self.rating),
            deviation: within(rounded(deviation, 1e3), DEVIATION_LIMITS, self.deviation),
            volatility: within(rounded(volatility, 1e6), VOLATILITY_LIMITS, self.volatility),
            games: one_more(self.games, true),
            wins: one_more(self.wins, end == End::Win),
            draws: one_more(self.draws, end == End::Draw),
            losses: one_more(self.losses, end == End::Loss),
            last: Some(now.max(self.last.unwrap_or_default())),
        }
    }
}

/// How strong a user is in a domain, as matching and games see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The rating, rounded.
    pub rating: i32,
    /// How many rated games it comes from.
    pub games: u32,
}

impl Default for Level {
    /// A newcomer's.
    fn default() -> Self {
        Self { rating: RATING_START, games: 0 }
    }
}

impl From<&Rating> for Level {
    fn from(rating: &Rating) -> Self {
        Self { rating: rating.rounded(), games: rating.games }
    }
}

/// How one player of a game ended it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finish {
    /// The rating before the game.
    pub rating: Rating,
    /// Whose side. If all players are of one team, each plays for itself.
    pub team: u32,
    /// 1 is best; equal places are a draw. A team's place is the best of its members.
    pub place: u32,
}

/// Why a game has no ratings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody to compare with.
    #[error("a game of {0} cannot be rated: at least two players are needed")]
    TooFew(usize),
    /// More than can be in a scene.
    #[error("a game of {0} cannot be rated: at most {PLAYERS_MAX} players are possible")]
    TooMany(usize),
}

/// The ratings after a game that ended now, in the order of `players`, to a thousandth of a point. Two players are rated by
/// Glicko-2, all other games by Weng-Lin. The time grows with the square of the number of sides.
///
/// # Errors
/// Fewer than two players, or more than [`PLAYERS_MAX`].
pub fn rate(players: &[Finish], now: Time) -> Result<Vec<Rating>, Error> {
    match players.len() {
        few @ ..2 => return Err(Error::TooFew(few)),
        many if many > PLAYERS_MAX as usize => return Err(Error::TooMany(many)),
        _ => {}
    }
    let players: Vec<Finish> = players.iter().map(|p| Finish { rating: p.rating.at(now), ..*p }).collect();
    match players.as_slice() {
        [one, other] => Ok(rate_pair(one, other, now).to_vec()),
        _ => Ok(rate_sides(&players, now)),
    }
}

/// How likely `one` wins against `other` as they are at a moment, from 0 to 1; a draw counts as half
/// a win.
pub fn win_probability(one: &Rating, other: &Rating, now: Time) -> f64 {
    expected_score(&glicko_of(&one.at(now)), &glicko_of(&other.at(now))).0
}

/// What a game was for one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Win,
    Draw,
    Loss,
}

fn rate_pair(one: &Finish, other: &Finish, now: Time) -> [Rating; 2] {
    let config = Glicko2Config::default();
    let outcome = outcome(one.place, other.place);
    let (new_one, new_other) = glicko2(&glicko_of(&one.rating), &glicko_of(&other.rating), &outcome, &config);
    let (end_one, end_other) = match outcome {
        Outcomes::WIN => (End::Win, End::Loss),
        Outcomes::LOSS => (End::Loss, End::Win),
        Outcomes::DRAW => (End::Draw, End::Draw),
    };
    [(one, new_one, end_one), (other, new_other, end_other)]
        .map(|(before, new, end)| before.rating.after(new.rating, new.deviation, new.volatility, end, now))
}

/// One side of a game of many: which players, as Weng-Lin sees them, and what the game changes.
struct Side {
    place: u32,
    players: Vec<usize>,
    before: Vec<WengLinRating>,
    /// The sums over all opponents, by player: points won, and the part of the variance lost.
    change: Vec<(f64, f64)>,
}

fn rate_sides(players: &[Finish], now: Time) -> Vec<Rating> {
    let mut sides = sides_of(players);
    for first in 1..sides.len() {
        let (before, rest) = sides.split_at_mut(first);
        let one = before.last_mut().expect("it was split after at least one");
        for other in rest {
            compare(one, other);
        }
    }
    let weight = (GAMES_PER_GAME_MAX / (sides.len() - 1) as f64).min(1.0);
    let best = sides.iter().map(|side| side.place).min().unwrap_or_default();
    let alone = sides.iter().filter(|side| side.place == best).count() == 1;
    let mut ratings: Vec<Rating> = players.iter().map(|player| player.rating).collect();
    for side in &sides {
        let end = match (side.place == best, alone) {
            (true, true) => End::Win,
            (true, false) => End::Draw,
            (false, _) => End::Loss,
        };
        for (&index, (points, part)) in side.players.iter().zip(&side.change) {
            let before = ratings[index];
            let rating = before.rating + weight * points * WENG_LIN_POINTS;
            let deviation = before.deviation * (1.0 - weight * part).max(0.0).sqrt();
            ratings[index] = before.after(rating, deviation, before.volatility, end, now);
        }
    }
    ratings
}

/// The sides of a game; at least two, for there are at least two players.
fn sides_of(players: &[Finish]) -> Vec<Side> {
    let free_for_all = players.iter().all(|player| player.team == players[0].team);
    let mut sides = std::collections::BTreeMap::new();
    for (index, player) in players.iter().enumerate() {
        let key = if free_for_all { index } else { player.team as usize };
        let new = || Side { place: player.place, players: Vec::new(), before: Vec::new(), change: Vec::new() };
        let side: &mut Side = sides.entry(key).or_insert_with(new);
        side.place = side.place.min(player.place);
        side.players.push(index);
        side.before.push(weng_lin_of(&player.rating));
        side.change.push((0.0, 0.0));
    }
    sides.into_values().collect()
}

/// Adds what two sides say about each other to both.
fn compare(one: &mut Side, other: &mut Side) {
    let outcome = outcome(one.place, other.place);
    let (after_one, after_other) = weng_lin_two_teams(&one.before, &other.before, &outcome, &WengLinConfig::default());
    for (side, after) in [(one, after_one), (other, after_other)] {
        for ((before, after), change) in side.before.iter().zip(after).zip(&mut side.change) {
            change.0 += after.rating - before.rating;
            change.1 += 1.0 - (after.uncertainty / before.uncertainty).powi(2);
        }
    }
}

fn outcome(place: u32, of_other: u32) -> Outcomes {
    match place.cmp(&of_other) {
        std::cmp::Ordering::Less => Outcomes::WIN,
        std::cmp::Ordering::Equal => Outcomes::DRAW,
        std::cmp::Ordering::Greater => Outcomes::LOSS,
    }
}

fn glicko_of(rating: &Rating) -> Glicko2Rating {
    Glicko2Rating { rating: rating.rating, deviation: rating.deviation, volatility: rating.volatility }
}

fn weng_lin_of(rating: &Rating) -> WengLinRating {
    WengLinRating {
        rating: WENG_LIN_START + (rating.rating - START) / WENG_LIN_POINTS,
        uncertainty: rating.deviation / WENG_LIN_POINTS,
    }
}

/// The value to one `steps`th. A number of few digits is read from JSON as it was written, which one of
/// 17 digits is not always.
fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

/// The value within its limits, or what to take instead of one that is no number.
fn within(value: f64, (least, most): (f64, f64), otherwise: f64) -> f64 {
    if value.is_finite() { value.clamp(least, most) } else { otherwise }
}
