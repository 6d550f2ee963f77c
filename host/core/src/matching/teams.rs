//! Teams: whether chosen tickets can be divided into the teams of a match, and how that is done evenly.
//!
//! A unit is a ticket: one user, or a party that stays together. Units are added one after the other
//! ([`Teams::add`]), each only if all of them still fit into the teams; then they are divided ([`Teams::divide`]).
//!
//! **The rules.** Each unit is in one team. A team has at most `size` players and at least `size_min`. Where it has
//! roles, each of its players has one that the player would play, and no role is given more often than it is there.
//! And what [`Balance`] says about free places and the sizes of parties holds.
//!
//! **The aim.** A team's strength is the mean of its players' ratings, each party of n counted with n - 1 times the
//! bonus for parties. Among the divisions by the rules the one is taken where, first, the free places of teams differ
//! least (a missing player is worse than the mean tells), then the strengths of the strongest and the weakest team,
//! then the sizes of their parties. With teams of one size the sums of ratings would give the same order. Teams without
//! players have no strength.
//!
//! **Exactness.** The best division is found for two teams of up to [`EXACT_UNITS_MAX`] units, by looking at all; and
//! for more teams and up to [`SEARCH_UNITS_MAX`] units if a search of `search::STEPS_MAX` steps sees all that could
//! be better. Beyond that it is a good one, made by dealing out and swapping (`swaps`), and none is found at all
//! if the rules are so tight that swaps from two beginnings do not get there. [`Division::exact`] tells.
//!
//! **Fairness.** Teams that are alike are put in a random order in the end, from the caller's seed, so that the
//! number of a team says nothing about its strength. The same units, in the same order, with the same seed give the
//! same division.
//!
//! Invariant: units that were added fit together, and a division keeps all the rules. Every loop is bounded by the
//! numbers of players and teams and by constants. Where all divisions are looked at nothing is allocated once the
//! buffers have grown.

mod cast;
pub mod layout;
mod packing;
mod pair;
mod rules;
mod search;
mod swaps;

use crate::ids::RoleName;
use cast::Cast;
pub use layout::{Balance, Layout, Team};
use packing::Packing;
pub use pair::EXACT_UNITS_MAX;
use pair::Pair;
use rules::{Rules, Score, Side, Units};
pub use search::SEARCH_UNITS_MAX;
use search::Search;
use swaps::Swaps;

/// A player as far as teams are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The rating.
    pub rating: i32,
    /// The roles that this user would play: the bits of [`Teams::role_mask`]. [`ANY_ROLE`]: all.
    pub roles: u64,
}

/// The mask of who plays any role.
pub const ANY_ROLE: u64 = u64::MAX;

/// Where a player plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The team, from 0, as the layout numbers them.
    pub team: u32,
    /// The role, as its place in [`Teams::roles`], in a team that has roles.
    pub role: Option<u8>,
}

/// How the units of a match are divided.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Division {
    /// For each player, in the order in which the units were added.
    pub places: Vec<Place>,
    /// How many players each team has.
    pub players: Vec<u32>,
    /// The strength of each team: its mean rating with the bonus for parties; 0 for one without players.
    pub strengths: Vec<f64>,
    /// How far the strengths of the strongest and of the weakest team with players are apart.
    pub gap: f64,
    /// By how many the free places of teams differ.
    pub size_gap: u32,
    /// By how many members the largest party of all exceeds the largest of a team, as far as that has the room.
    pub party_gap: u32,
    /// Whether there is certainly none better.
    pub exact: bool,
}

impl Division {
    /// How likely team 0 wins against team 1, from 0 to 1, if there are two teams and both have players: the logistic
    /// curve of Elo's system, by which 400 points more win 10 of 11 games (A. Elo, "The Rating of Chessplayers, Past
    /// and Present", 1978), at the difference of the strengths.
    pub fn win_probability(&self) -> Option<f64> {
        let [one, other] = self.strengths.as_slice() else { return None };
        self.players.iter().all(|players| *players > 0).then(|| 1.0 / (1.0 + 10f64.powf((other - one) / 400.0)))
    }
}

/// The teams of one match after the other, for one layout; the buffers are kept.
#[derive(Debug, Clone)]
pub struct Teams {
    roles: Vec<RoleName>,
    rules: Rules,
    units: Units,
    packing: Packing,
    pair: Pair,
    swaps: Swaps,
    search: Search,
    /// The numbers of the teams that are alike, for each kind with more than one.
    alike: Vec<Vec<u16>>,
    /// The number that each team gets in the end.
    numbers: Vec<u16>,
    team_of: Vec<u16>,
    casts: Vec<Cast>,
    division: Division,
}

impl Teams {
    /// Nobody yet.
    ///
    /// # Errors
    /// What [`Layout::check`] says.
    pub fn new(layout: &Layout) -> Result<Self, String> {
        layout.check()?;
        let roles = layout.roles();
        let (mut sides, mut casts, mut kinds) = (Vec::new(), Vec::new(), Vec::<&Team>::new());
        for team in &layout.teams {
            let kind = kinds.iter().position(|kind| kind.is_like(team)).unwrap_or(kinds.len());
            kinds.push(team);
            let counts = roles.iter().map(|role| team.roles.get(role).copied().unwrap_or(0)).collect();
            let cast = Cast::new(if team.roles.is_empty() { Vec::new() } else { counts });
            for _ in 0..team.count {
                sides.push(Side { kind: kind as u16, size: team.size, size_min: team.fewest() });
                casts.push(cast.clone());
            }
        }
        let of_kind = |kind: usize| (0u16..).zip(&sides).filter(move |(_, side)| usize::from(side.kind) == kind);
        let alike = (0..kinds.len()).map(|kind| of_kind(kind).map(|(team, _)| team).collect::<Vec<_>>());
        let alike = alike.filter(|teams| teams.len() > 1).collect();
        Ok(Self {
            packing: Packing::new(&sides, &casts),
            search: Search::new(&casts),
            swaps: Swaps::new(&casts),
            rules: Rules::new(sides),
            roles,
            units: Units::default(),
            pair: Pair::default(),
            alike,
            numbers: Vec::new(),
            team_of: Vec::new(),
            casts,
            division: Division::default(),
        })
    }

    /// All roles in the order of their bits.
    pub fn roles(&self) -> &[RoleName] {
        &self.roles
    }

    /// The mask of these roles; nothing if there is no role of one of the names.
    pub fn role_mask<'a>(&self, names: impl IntoIterator<Item = &'a RoleName>) -> Option<u64> {
        let bit = |name: &RoleName| self.roles.iter().position(|role| role == name).map(|place| 1 << place);
        names.into_iter().try_fold(0, |mask, name| bit(name).map(|bit: u64| mask | bit))
    }

    /// Forgets all units, and begins another match.
    pub fn begin(&mut self, balance: Balance) {
        self.rules.set(balance);
        self.units.clear();
        self.packing.clear(&self.rules);
    }

    /// How many players were added.
    pub fn players(&self) -> u32 {
        self.units.players
    }

    /// Whether no team has a place left.
    pub fn is_full(&self) -> bool {
        self.units.players == self.rules.players_max
    }

    /// Adds a unit, if all of them can still be in one match. False, and nothing changes, if they cannot: no team has
    /// room for the party, however the others are arranged; the roles do not suffice; or another party of its size
    /// would be needed in another team and there is no room for it any more.
    ///
    /// Exact as far as a search of `packing::STEPS_MAX` steps goes, which is only made if the unit does not just fit
    /// in; beyond that a unit is refused that may fit. Whether teams get their fewest players and are even enough is
    /// told by [`Teams::divide`], for units may still come.
    pub fn add(&mut self, members: &[Member]) -> bool {
        if members.len() > self.rules.players_max as usize {
            return false;
        }
        self.units.push(members, self.rules.balance.party_bonus);
        let fits = self.packing.add(&self.rules, &self.units);
        if !fits {
            self.units.pop();
        }
        fits
    }

    /// Divides the units that were added; nothing if they cannot be divided by the rules. The seed decides the order
    /// of teams that are alike and who gets which of the roles that several would play.
    pub fn divide(&mut self, seed: u64) -> Option<&Division> {
        if self.units.players < self.rules.players_min {
            return None;
        }
        let exact = if pair::is_for(&self.rules, &self.units) {
            self.pair.divide(&self.rules, &self.units, &mut self.casts, &mut self.team_of).then_some(true)?
        } else {
            let start = self.swaps.divide(&mut self.rules, &self.units, self.packing.team_of(), &mut self.team_of);
            self.search.improve(&self.rules, &self.units, start, &mut self.team_of)?
        };
        let score = self.rules.score(&self.units, &self.team_of)?;
        self.settle(score, exact, seed)
    }

    /// Puts teams that are alike in a random order, and gives the roles.
    fn settle(&mut self, score: Score, exact: bool, seed: u64) -> Option<&Division> {
        let mut random = SplitMix(seed);
        self.shuffle(&mut random);
        let teams = self.rules.sides.len();
        let Division { places, players, strengths, .. } = &mut self.division;
        players.clear();
        players.resize(teams, 0);
        places.clear();
        let turn = random.below(u32::MAX);
        self.casts.iter_mut().for_each(|cast| cast.clear(turn));
        for (unit, team) in self.units.units.iter().zip(&self.team_of) {
            let team = usize::from(self.numbers[usize::from(*team)]);
            for member in self.units.members_of(unit) {
                if !self.casts[team].push(member.roles) {
                    return None;
                }
                // The role comes last, for a later member of the team may change it; until then: the place in the team.
                places.push(Place { team: team as u32, role: Some(players[team] as u8) });
                players[team] += 1;
            }
        }
        for place in places.iter_mut() {
            place.role = place.role.and_then(|member| self.casts[place.team as usize].role(usize::from(member)));
        }
        strengths.clear();
        strengths.resize(teams, 0.0);
        for (team, strength) in self.rules.strengths() {
            strengths[usize::from(self.numbers[team])] = strength;
        }
        self.division.gap = rules::points(score.gap);
        self.division.size_gap = score.size_gap;
        self.division.party_gap = score.party_gap;
        self.division.exact = exact;
        Some(&self.division)
    }

    /// Numbers the teams anew; only those that are alike change places (R. Durstenfeld, "Algorithm 235", 1964).
    fn shuffle(&mut self, random: &mut SplitMix) {
        self.numbers.clear();
        self.numbers.extend(0..self.rules.sides.len() as u16);
        for teams in &self.alike {
            for last in (1..teams.len()).rev() {
                let other = random.below(last as u32 + 1) as usize;
                self.numbers.swap(usize::from(teams[last]), usize::from(teams[other]));
            }
        }
    }
}

/// Random numbers from a seed (G. Steele, D. Lea and C. Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
struct SplitMix(u64);

impl SplitMix {
    /// A number below `limit`.
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // Of 2^64 numbers each gets as many, or one more.
        ((u128::from(mixed) * u128::from(limit)) >> 64) as u32
    }
}
