//! A good division for sizes where not all can be looked at.
//!
//! Units are dealt out, the largest and strongest first, each to the team with the most free places and of those to
//! the weakest. Then pairs of teams, those whose strengths differ most first, exchange two units, or one moves over,
//! whichever makes the two most even, until no pair can be improved or [`TRIES_MAX`] exchanges were tried.
//!
//! Invariant: no exchange breaks a rule for sizes or roles, and none widens the gap of strengths but to repair a
//! broken rule or to even out the numbers of players.

use std::cmp::Reverse;

use super::cast::Cast;
use super::rules::{Rules, Score, Tally, Unit, Units};

/// How many exchanges are tried for one division, at most; that takes less than a millisecond.
pub const TRIES_MAX: u32 = 50_000;

/// A team while units are exchanged.
#[derive(Debug, Clone, Default)]
struct Group {
    tally: Tally,
    units: Vec<u16>,
    /// How many of its units have the size of the largest, and the largest size below.
    largest_count: u32,
    second: u32,
}

impl Group {
    fn count(&mut self, units: &[Unit]) {
        self.tally = Tally::default();
        self.units.iter().for_each(|place| self.tally.add(&units[usize::from(*place)]));
        let sizes = || self.units.iter().map(|place| units[usize::from(*place)].size);
        self.largest_count = sizes().filter(|size| *size == self.tally.largest).count() as u32;
        self.second = sizes().filter(|size| *size < self.tally.largest).max().unwrap_or(0);
    }

    /// Its part in an exchange: nothing, or one of its units.
    fn choices(&self) -> impl Iterator<Item = Option<u16>> {
        std::iter::once(None).chain(self.units.iter().copied().map(Some))
    }

    /// What it has with one unit less and one more.
    fn after(&self, less: Option<&Unit>, more: Option<&Unit>) -> Tally {
        let mut tally = self.tally;
        if let Some(less) = less {
            tally.players -= less.size;
            tally.weight -= less.weight;
            if less.size == tally.largest && self.largest_count == 1 {
                tally.largest = self.second;
            }
        }
        if let Some(more) = more {
            tally.add(more);
        }
        tally
    }
}

/// How far two teams are from what is wanted; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Measure {
    /// How many players and members of parties are missing for the rules.
    missing: u32,
    /// The squares of the free places.
    uneven: u64,
    /// The difference of the strengths.
    spread: f64,
    /// The lower and the higher strength.
    strengths: (f64, f64),
}

impl Measure {
    /// Whether it is better than this one, and makes the gap of all teams no wider for strengths alone.
    fn betters(&self, before: &Self) -> bool {
        let (rules, rules_before) = ((self.missing, self.uneven), (before.missing, before.uneven));
        let is_within = self.strengths.0 >= before.strengths.0 && self.strengths.1 <= before.strengths.1;
        rules < rules_before || (rules == rules_before && self.spread < before.spread && is_within)
    }
}

/// The buffers.
#[derive(Debug, Clone)]
pub(super) struct Swaps {
    groups: Vec<Group>,
    order: Vec<u16>,
    casts: Vec<Cast>,
    has_roles: bool,
}

impl Swaps {
    pub fn new(casts: &[Cast]) -> Self {
        let has_roles = casts.iter().any(Cast::has_roles);
        Self { groups: vec![Group::default(); casts.len()], order: Vec::new(), casts: casts.to_vec(), has_roles }
    }

    /// Finds a division and how good it is; nothing if it finds none. It begins with dealing out and, if that does not
    /// lead to one by the rules, with a way in which the units fit.
    pub fn divide(&mut self, rules: &mut Rules, units: &Units, fit: &[u16], team_of: &mut Vec<u16>) -> Option<Score> {
        if self.deal(rules, units) {
            let score = self.improve(rules, units, team_of);
            if score.is_some() {
                return score;
            }
        }
        self.groups.iter_mut().for_each(|group| group.units.clear());
        for (place, team) in (0..).zip(fit) {
            self.groups[usize::from(*team)].units.push(place);
        }
        self.improve(rules, units, team_of)
    }

    /// Deals the units out. False if there is no room for one.
    fn deal(&mut self, rules: &Rules, units: &Units) -> bool {
        for (group, cast) in self.groups.iter_mut().zip(&mut self.casts) {
            group.units.clear();
            group.tally = Tally::default();
            cast.clear(0);
        }
        self.sort(units);
        for at in 0..self.order.len() {
            let place = self.order[at];
            let unit = &units.units[usize::from(place)];
            let Some(team) = self.team_for(rules, units, unit) else { return false };
            self.groups[team].tally.add(unit);
            self.groups[team].units.push(place);
        }
        true
    }

    /// The largest first, then those with the fewest roles, then the strongest.
    fn sort(&mut self, units: &Units) {
        let Self { order, has_roles, .. } = self;
        order.clear();
        order.extend(0..units.units.len() as u16);
        order.sort_by_key(|place| {
            let unit = &units.units[usize::from(*place)];
            let choices = if *has_roles { units.roles_of(unit).map(u64::count_ones).min() } else { None };
            (Reverse(unit.size), choices, Reverse(unit.weight))
        });
    }

    /// The team that gets the next unit.
    fn team_for(&mut self, rules: &Rules, units: &Units, unit: &Unit) -> Option<usize> {
        let mut tried = 0u128;
        for _ in 0..rules.sides.len() {
            let rooms = rules.sides.iter().zip(&self.groups).enumerate();
            let rooms = rooms.map(|(team, (side, group))| (team, side, &group.tally));
            let best = rooms
                .filter(|(team, side, tally)| tried >> team & 1 == 0 && side.size - tally.players >= unit.size)
                .min_by_key(|(_, side, tally)| {
                    let is_enough = tally.players >= rules.fewest(side);
                    (is_enough, Reverse(side.size - tally.players), tally.strength())
                });
            let (team, _, _) = best?;
            if self.casts[team].push_all(units.roles_of(unit)) {
                return Some(team);
            }
            tried |= 1 << team;
        }
        None
    }

    /// Exchanges units as long as that makes the division better. How good it is then.
    fn improve(&mut self, rules: &mut Rules, units: &Units, team_of: &mut Vec<u16>) -> Option<Score> {
        self.groups.iter_mut().for_each(|group| group.count(&units.units));
        let largest = units.largest();
        let mut work = Work { rules, units, largest, has_roles: self.has_roles, tries_left: TRIES_MAX };
        while work.tries_left > 0 && self.sweep(&mut work) {}
        team_of.clear();
        team_of.resize(units.units.len(), 0);
        for (team, group) in (0..).zip(&self.groups) {
            group.units.iter().for_each(|place| team_of[usize::from(*place)] = team);
        }
        rules.score(units, team_of)
    }

    /// Each pair of teams once, those that were farthest apart first. Whether there was an exchange.
    fn sweep(&mut self, work: &mut Work<'_>) -> bool {
        let Self { groups, order, .. } = self;
        order.clear();
        order.extend(0..groups.len() as u16);
        order.sort_by_key(|team| groups[usize::from(*team)].tally.strength());
        let mut changed = false;
        for distance in (1..self.order.len()).rev() {
            for low in 0..self.order.len() - distance {
                let pair = [self.order[low], self.order[low + distance]].map(usize::from);
                changed |= self.even_out(work, pair);
            }
        }
        changed
    }

    /// Makes the best exchange between two teams, if one is better than none.
    fn even_out(&mut self, work: &mut Work<'_>, pair: [usize; 2]) -> bool {
        let [one, other] = pair.map(|team| &self.groups[team]);
        let mut best = work.measure(pair, [one.tally, other.tally]);
        let mut exchange = None;
        if work.is_even(pair, [one, other], &best) {
            return false;
        }
        for less in one.choices() {
            for more in other.choices() {
                let Some(after) = work.try_one(pair, [one, other], [less, more]) else { continue };
                if after.betters(&best) && work.has_cast(&mut self.casts, pair, [one, other], [less, more]) {
                    (best, exchange) = (after, Some([less, more]));
                }
            }
        }
        let Some([less, more]) = exchange else { return false };
        for (team, less, more) in [(pair[0], less, more), (pair[1], more, less)] {
            let group = &mut self.groups[team];
            group.units.retain(|place| Some(*place) != less);
            group.units.extend(more);
            group.count(&work.units.units);
        }
        true
    }
}

/// One division while it is made better.
struct Work<'a> {
    rules: &'a Rules,
    units: &'a Units,
    /// The size of the largest party.
    largest: u32,
    has_roles: bool,
    tries_left: u32,
}

impl Work<'_> {
    fn measure(&self, pair: [usize; 2], tallies: [Tally; 2]) -> Measure {
        let (mut missing, mut uneven) = (0, 0);
        for (team, tally) in pair.iter().zip(&tallies) {
            let side = &self.rules.sides[*team];
            missing += self.rules.fewest(side).saturating_sub(tally.players);
            if tally.players > 0 {
                missing += self.rules.party_needed(side, self.largest).saturating_sub(tally.largest);
            }
            uneven += u64::from(side.size - tally.players).pow(2);
        }
        let [one, other] = tallies.map(|tally| tally.weight as f64 / f64::from(tally.players));
        // A team without players has no strength, so there is nothing to even out.
        let strengths =
            if tallies.iter().any(|tally| tally.players == 0) { (0.0, 0.0) } else { (one.min(other), one.max(other)) };
        Measure { missing, uneven, spread: strengths.1 - strengths.0, strengths }
    }

    /// Whether no exchange can better this.
    fn is_even(&self, pair: [usize; 2], groups: [&Group; 2], measure: &Measure) -> bool {
        let [one, other] = pair.map(|team| &self.rules.sides[team]);
        let free = [one.size - groups[0].tally.players, other.size - groups[1].tally.players];
        let are_mirrored = one.kind == other.kind && groups.iter().all(|group| group.units.len() <= 1);
        measure.missing == 0 && free[0].abs_diff(free[1]) <= 1 && (measure.spread == 0.0 || are_mirrored)
    }

    /// What an exchange would lead to; nothing if there is no room for it, and if enough were tried.
    fn try_one(&mut self, pair: [usize; 2], groups: [&Group; 2], exchange: [Option<u16>; 2]) -> Option<Measure> {
        self.tries_left = self.tries_left.checked_sub(1)?;
        let [less, more] = exchange.map(|place| place.map(|place| &self.units.units[usize::from(place)]));
        let tallies = [groups[0].after(less, more), groups[1].after(more, less)];
        let has_room = pair.iter().zip(&tallies).all(|(team, tally)| tally.players <= self.rules.sides[*team].size);
        has_room.then(|| self.measure(pair, tallies))
    }

    /// Whether both teams have roles for their players after an exchange.
    fn has_cast(
        &mut self,
        casts: &mut [Cast],
        pair: [usize; 2],
        groups: [&Group; 2],
        [less, more]: [Option<u16>; 2],
    ) -> bool {
        if !self.has_roles {
            return true;
        }
        [(0, less, more), (1, more, less)].into_iter().all(|(at, less, more)| {
            let cast = &mut casts[pair[at]];
            cast.clear(0);
            let stay = groups[at].units.iter().copied().filter(|place| Some(*place) != less);
            stay.chain(more).all(|place| {
                let unit = &self.units.units[usize::from(place)];
                self.tries_left = self.tries_left.saturating_sub(unit.size);
                cast.push_all(self.units.roles_of(unit))
            })
        })
    }
}
