//! The rules of a division and how good it is; the units that are divided.

use super::Member;
use super::layout::Balance;

/// In how many parts a point of rating is counted in strengths: a multiple of 1 to 12, so that the mean of up to 12
/// players is exact. Of larger teams it is too small by less than one part.
const PARTS: i64 = 27_720;

/// Parts as points of rating.
pub(super) fn points(parts: i64) -> f64 {
    parts as f64 / PARTS as f64
}

/// A user or a party.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    /// Where its members begin.
    first: u32,
    /// How many they are.
    pub size: u32,
    /// The sum of their ratings, with the bonus for parties. At most 2^40, of all units together, too.
    pub weight: i64,
}

/// Those that were added.
#[derive(Debug, Clone, Default)]
pub(super) struct Units {
    pub units: Vec<Unit>,
    members: Vec<Member>,
    /// How many members.
    pub players: u32,
}

impl Units {
    pub fn clear(&mut self) {
        self.units.clear();
        self.members.clear();
        self.players = 0;
    }

    pub fn push(&mut self, members: &[Member], party_bonus: i32) {
        let ratings: i64 = members.iter().map(|member| i64::from(member.rating)).sum();
        let bonus = i64::from(party_bonus) * members.len().saturating_sub(1) as i64;
        let (first, size) = (self.members.len() as u32, members.len() as u32);
        self.units.push(Unit { first, size, weight: ratings + bonus });
        self.members.extend_from_slice(members);
        self.players += size;
    }

    pub fn pop(&mut self) {
        if let Some(unit) = self.units.pop() {
            self.members.truncate(unit.first as usize);
            self.players -= unit.size;
        }
    }

    pub fn members_of(&self, unit: &Unit) -> &[Member] {
        &self.members[unit.first as usize..(unit.first + unit.size) as usize]
    }

    /// The roles that each member of a unit would play.
    pub fn roles_of(&self, unit: &Unit) -> impl Iterator<Item = u64> {
        self.members_of(unit).iter().map(|member| member.roles)
    }

    /// The size of the largest party.
    pub fn largest(&self) -> u32 {
        self.units.iter().map(|unit| unit.size).max().unwrap_or(0)
    }
}

/// A team as the rules see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side {
    /// Teams of one kind are alike.
    pub kind: u16,
    pub size: u32,
    pub size_min: u32,
}

/// How good a division is; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Score {
    pub size_gap: u32,
    /// Between the strongest and the weakest team, in parts of a point.
    pub gap: i64,
    pub party_gap: u32,
}

/// What a team has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub players: u32,
    pub weight: i64,
    /// The size of its largest party.
    pub largest: u32,
}

impl Tally {
    pub fn add(&mut self, unit: &Unit) {
        self.players += unit.size;
        self.weight += unit.weight;
        self.largest = self.largest.max(unit.size);
    }

    /// Its mean rating, in parts of a point.
    pub fn strength(&self) -> Option<i64> {
        (self.players > 0).then(|| (self.weight * PARTS).div_euclid(i64::from(self.players)))
    }
}

/// The teams, and how evenly they are to be matched.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub sides: Vec<Side>,
    pub balance: Balance,
    pub players_min: u32,
    pub players_max: u32,
    /// What the teams of the division that was scored last have.
    tallies: Vec<Tally>,
}

impl Rules {
    pub fn new(sides: Vec<Side>) -> Self {
        let players_max = sides.iter().map(|side| side.size).sum();
        let mut rules = Self { sides, balance: Balance::default(), players_min: 1, players_max, tallies: Vec::new() };
        rules.set(Balance::default());
        rules
    }

    pub fn set(&mut self, balance: Balance) {
        self.balance = balance;
        self.players_min = self.sides.iter().map(|side| self.fewest(side)).sum::<u32>().max(1);
    }

    /// The fewest players of a team.
    pub fn fewest(&self, side: &Side) -> u32 {
        let free_max = self.balance.free_max.unwrap_or(u32::MAX);
        side.size_min.max(side.size.saturating_sub(free_max))
    }

    /// How many members the largest party of a team needs at least, if the largest of all is of this size. With 0 and
    /// 1 every team with players has it.
    pub fn party_needed(&self, side: &Side, largest: u32) -> u32 {
        self.balance.party_gap_max.map_or(0, |gap_max| largest.min(side.size).saturating_sub(gap_max))
    }

    /// How good a division is; nothing if it breaks a rule. Roles are not looked at.
    pub fn score(&mut self, units: &Units, team_of: &[u16]) -> Option<Score> {
        let mut tallies = std::mem::take(&mut self.tallies);
        tallies.clear();
        tallies.resize(self.sides.len(), Tally::default());
        for (unit, team) in units.units.iter().zip(team_of) {
            tallies[usize::from(*team)].add(unit);
        }
        let score = self.score_of(&tallies);
        self.tallies = tallies;
        score
    }

    /// The same for what the teams have.
    pub fn score_of(&self, tallies: &[Tally]) -> Option<Score> {
        let largest = tallies.iter().map(|tally| tally.largest).max().unwrap_or(0);
        let (mut free, mut strength) = (Range::default(), Range::default());
        let mut party_gap = 0;
        for (side, tally) in self.sides.iter().zip(tallies) {
            if tally.players > side.size || tally.players < self.fewest(side) {
                return None;
            }
            free.add(i64::from(side.size - tally.players));
            if let Some(mean) = tally.strength() {
                strength.add(mean);
                party_gap = party_gap.max(largest.min(side.size) - tally.largest);
            }
        }
        let size_gap = free.width() as u32;
        let is_even = |gap, max: Option<u32>| max.is_none_or(|max| gap <= max);
        let kept = is_even(size_gap, self.balance.size_gap_max) && is_even(party_gap, self.balance.party_gap_max);
        kept.then_some(Score { size_gap, gap: strength.width(), party_gap })
    }

    /// The teams with players of the division that was scored last, and their strengths in points.
    pub fn strengths(&self) -> impl Iterator<Item = (usize, f64)> {
        let strengths = self.tallies.iter().map(Tally::strength).enumerate();
        strengths.filter_map(|(team, strength)| Some((team, points(strength?))))
    }
}

/// From the least to the most.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Range(Option<(i64, i64)>);

impl Range {
    pub fn add(&mut self, value: i64) {
        let (least, most) = self.0.unwrap_or((value, value));
        self.0 = Some((least.min(value), most.max(value)));
    }

    pub fn width(&self) -> i64 {
        self.0.map_or(0, |(least, most)| most - least)
    }
}
