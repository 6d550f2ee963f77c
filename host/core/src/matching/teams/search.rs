//! The best division of few units into any number of teams, by a search that leaves out what cannot be better
//! (branch and bound, A. Land and A. Doig, 1960), beginning with a good one.

use std::cmp::Reverse;

use super::cast::Cast;
use super::rules::{Range, Rules, Score, Tally, Units};

/// Up to so many units.
pub const SEARCH_UNITS_MAX: usize = 12;
/// How many placements of a unit are tried; if they do not suffice, the best that was found is taken.
pub const STEPS_MAX: u32 = 20_000;

/// The buffers.
#[derive(Debug, Clone)]
pub(super) struct Search {
    tallies: Vec<Tally>,
    casts: Vec<Cast>,
    order: Vec<u16>,
    team_of: Vec<u16>,
}

impl Search {
    pub fn new(casts: &[Cast]) -> Self {
        Self { tallies: Vec::new(), casts: casts.to_vec(), order: Vec::new(), team_of: Vec::new() }
    }

    /// Looks for a better division than the one that there is, if there is one. Whether it is the best one; nothing if
    /// there is none.
    pub fn improve(
        &mut self,
        rules: &Rules,
        units: &Units,
        start: Option<Score>,
        best_team_of: &mut Vec<u16>,
    ) -> Option<bool> {
        if units.units.len() > SEARCH_UNITS_MAX {
            return start.map(|_| rules.sides.len() == 1);
        }
        self.tallies.clear();
        self.tallies.resize(rules.sides.len(), Tally::default());
        self.casts.iter_mut().for_each(|cast| cast.clear(0));
        self.team_of.clear();
        self.team_of.resize(units.units.len(), 0);
        self.order.clear();
        self.order.extend(0..units.units.len() as u16);
        self.order.sort_by_key(|place| {
            let unit = &units.units[usize::from(*place)];
            (Reverse(unit.size), Reverse(unit.weight))
        });
        let mut all = Tally::default();
        units.units.iter().for_each(|unit| all.add(unit));
        let mut work = Work { rules, units, search: self, all, best: start, best_team_of, steps_left: STEPS_MAX };
        let is_best = work.place(0, units.players);
        work.best.map(|_| is_best)
    }
}

/// One search.
struct Work<'a> {
    rules: &'a Rules,
    units: &'a Units,
    search: &'a mut Search,
    /// All units together.
    all: Tally,
    best: Option<Score>,
    best_team_of: &'a mut Vec<u16>,
    steps_left: u32,
}

impl Work<'_> {
    /// Puts the units of the order from this one on, with so many players, into teams. Not deeper than there are
    /// units. False if there were too many steps.
    fn place(&mut self, depth: usize, players_left: u32) -> bool {
        let Some(place) = self.search.order.get(depth) else {
            self.take();
            return true;
        };
        let place = usize::from(*place);
        let unit = self.units.units[place];
        for team in 0..self.rules.sides.len() {
            if self.is_mirrored(team) || self.search.tallies[team].players + unit.size > self.rules.sides[team].size {
                continue;
            }
            let Some(steps_left) = self.steps_left.checked_sub(1) else { return false };
            self.steps_left = steps_left;
            if !self.search.casts[team].push_all(self.units.roles_of(&unit)) {
                continue;
            }
            let before = self.search.tallies[team];
            self.search.tallies[team].add(&unit);
            self.search.team_of[place] = team as u16;
            let left = players_left - unit.size;
            let is_done = !self.may_be_better(left) || self.place(depth + 1, left);
            self.search.tallies[team] = before;
            self.search.casts[team].pop_many(unit.size as usize);
            if !is_done {
                return false;
            }
        }
        true
    }

    /// Whether the team before is like this one and both are empty, so that its turn was this one's.
    fn is_mirrored(&self, team: usize) -> bool {
        let Some(before) = team.checked_sub(1) else { return false };
        let is_empty = |team: usize| self.search.tallies[team].players == 0;
        self.rules.sides[team].kind == self.rules.sides[before].kind && is_empty(team) && is_empty(before)
    }

    /// Whether a division that begins like this can be by the rules and better than the best.
    fn may_be_better(&self, players_left: u32) -> bool {
        let mut missing = 0;
        let mut strengths = Range::default();
        let mut others = self.all;
        for (side, tally) in self.rules.sides.iter().zip(&self.search.tallies) {
            missing += self.rules.fewest(side).saturating_sub(tally.players);
            if tally.players == side.size
                && let Some(strength) = tally.strength()
            {
                strengths.add(strength);
                others.players -= tally.players;
                others.weight -= tally.weight;
            }
        }
        // The strengths of full teams will not change, and of the others one will be at their mean or above, and one at
        // it or below.
        others.strength().into_iter().for_each(|mean| strengths.add(mean));
        let least = Score { size_gap: 0, gap: strengths.width(), party_gap: 0 };
        missing <= players_left && self.best.is_none_or(|best| least < best)
    }

    fn take(&mut self) {
        let Some(score) = self.rules.score_of(&self.search.tallies) else { return };
        if self.best.is_none_or(|best| score < best) {
            self.best = Some(score);
            self.best_team_of.clone_from(&self.search.team_of);
        }
    }
}
