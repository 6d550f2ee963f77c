//! How good a game is that matching has made.
//!
//! Invariant: functions of who is in the game; nothing of how it went.

use std::collections::HashMap;

use crate::ids::{Time, UserId};

/// Who meets again within so long meets again too soon.
pub const REMATCH_MS: u64 = 600_000;

/// A game as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Game {
    /// Who plays.
    pub members: Vec<Member>,
}

/// Who plays, and for which team. If all are of one team, each plays for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// The rating.
    pub rating: i32,
    /// The team.
    pub team: u32,
}

impl Game {
    /// How far apart the strongest and the weakest are; with two users the gap between their ratings.
    pub fn spread(&self) -> u32 {
        let ratings = self.members.iter().map(|member| member.rating);
        ratings.clone().max().unwrap_or_default().abs_diff(ratings.min().unwrap_or_default())
    }

    /// How far apart the means of the strongest and the weakest side are.
    pub fn team_gap(&self) -> f64 {
        let means = self.sides().into_iter().map(|side| mean(&side));
        let (least, most) = means.fold((f64::MAX, f64::MIN), |(least, most), it| (least.min(it), most.max(it)));
        (most - least).max(0.0)
    }

    /// How far from one half a win is, the mean of all pairs of sides; 0 is a fair game and 0.5 a decided one.
    ///
    /// The chance is that of Elo, `1 / (1 + 10^(-d / 400))` (A. Elo, "The Rating of Chessplayers", 1978). Between teams
    /// `d` is the difference of their means times the root of their size: the strengths of n users add up to n times
    /// the difference of the means, and their luck only to the root of n times the luck of one (as in R. Herbrich et
    /// al., "TrueSkill: A Bayesian Skill Rating System", 2006). How certain ratings are is not known here, so they
    /// are taken as they are.
    pub fn unfairness(&self) -> f64 {
        let sides = self.sides();
        let (mut sum, mut pairs) = (0.0, 0_u32);
        for (index, one) in sides.iter().enumerate() {
            for other in &sides[index + 1..] {
                let size = (one.len() + other.len()) as f64 / 2.0;
                let difference = (mean(one) - mean(other)) * size.sqrt();
                sum += (1.0 / (1.0 + 10_f64.powf(-difference / 400.0)) - 0.5).abs();
                pairs += 1;
            }
        }
        if pairs == 0 { 0.0 } else { sum / f64::from(pairs) }
    }

    /// The ratings of each side.
    fn sides(&self) -> Vec<Vec<i32>> {
        let each_alone = self.members.iter().all(|member| member.team == self.members[0].team);
        let mut sides = std::collections::BTreeMap::new();
        for (index, member) in self.members.iter().enumerate() {
            let side = if each_alone { index } else { member.team as usize };
            sides.entry(side).or_insert_with(Vec::new).push(member.rating);
        }
        sides.into_values().collect()
    }
}

fn mean(ratings: &[i32]) -> f64 {
    ratings.iter().map(|rating| f64::from(*rating)).sum::<f64>() / ratings.len().max(1) as f64
}

/// Who has met whom, and when.
#[derive(Debug, Default)]
pub(super) struct Meetings {
    last: HashMap<(UserId, UserId), Time>,
    swept: usize,
}

/// With so many pairs, those who have not met for long are forgotten.
const PAIRS_SWEPT: usize = 100_000;

impl Meetings {
    /// Whether two of a game have met within [`REMATCH_MS`], and that all of them meet now.
    pub fn meet(&mut self, game: &Game, now: Time) -> bool {
        if self.last.len() >= self.swept.max(PAIRS_SWEPT) {
            self.last.retain(|_, met| now.ms_since(*met) < REMATCH_MS);
            self.swept = 2 * self.last.len();
        }
        let mut again = false;
        for (index, one) in game.members.iter().enumerate() {
            for other in &game.members[index + 1..] {
                let pair = (one.user.min(other.user), one.user.max(other.user));
                let before = self.last.insert(pair, now);
                again |= before.is_some_and(|met| now.ms_since(met) < REMATCH_MS);
            }
        }
        again
    }
}
