//! The best division into two teams, by looking at all.
//!
//! The units are two halves (E. Horowitz and S. Sahni, "Computing Partitions with Applications to the Knapsack
//! Problem", 1974, for its tables). Of each half all subsets are added up once, ratings and players in one number, so
//! that one addition tells of a division how far it is from even and whether it has the right number of players; roles
//! and parties are looked at only where it would be the best so far.

use super::cast::Cast;
use super::rules::{Rules, Side, Units};

/// Up to so many units in two teams.
pub const EXACT_UNITS_MAX: usize = 14;

/// The bits of a number of players: 0 to 200.
const SIZE_BITS: u32 = 8;

/// Whether this is the case that is looked at here.
pub(super) fn is_for(rules: &Rules, units: &Units) -> bool {
    rules.sides.len() == 2 && units.units.len() <= EXACT_UNITS_MAX
}

/// The sums of all subsets of both halves.
#[derive(Debug, Clone, Default)]
pub(super) struct Pair {
    low: Vec<i64>,
    high: Vec<i64>,
}

/// The best division so far.
struct Best {
    /// The units of the first team, by their bits.
    mask: Option<u32>,
    /// Between the strengths, times `scale`.
    difference: u64,
    party_gap: u32,
    /// One whose difference is less may be better.
    limit: u64,
    scale: u64,
}

impl Best {
    /// Counts differences with another scale from now on.
    fn rescale(&mut self, scale: u64) {
        if scale != self.scale && self.mask.is_some() {
            let rescaled = |it: u64| {
                let scaled = (u128::from(it) * u128::from(scale)).div_ceil(u128::from(self.scale));
                u64::try_from(scaled).unwrap_or(u64::MAX)
            };
            (self.difference, self.limit) = (rescaled(self.difference), rescaled(self.limit));
        }
        self.scale = scale;
    }
}

/// The units of one match, and the buffers.
struct View<'a> {
    rules: &'a Rules,
    units: &'a Units,
    casts: &'a mut [Cast],
    low: &'a [i64],
    high: &'a [i64],
    /// How many units are in `low`.
    low_units: usize,
    /// The mask of the first of `high`.
    high_first: u32,
    has_roles: bool,
    has_parties: bool,
}

impl Pair {
    /// Finds the best division of two teams. False if there is none by the rules.
    pub fn divide(&mut self, rules: &Rules, units: &Units, casts: &mut [Cast], team_of: &mut Vec<u16>) -> bool {
        let halves = units.units.split_at(units.units.len() / 2);
        let players = i64::from(units.players);
        // At most 2^40 of ratings, by 200 players, and 8 bits for these: far from 63 bits.
        let packed = |weight: i64, size: u32| ((weight * players) << SIZE_BITS) + i64::from(size);
        add_up(halves.0.iter().map(|unit| packed(unit.weight, unit.size)), &mut self.low);
        add_up(halves.1.iter().map(|unit| packed(unit.weight, unit.size)), &mut self.high);
        // If the teams are alike, the last unit is in the first team: the other divisions are mirror images.
        let alike = rules.sides[0].kind == rules.sides[1].kind;
        let high_first = if alike { self.high.len() / 2 } else { 0 };
        let view = View {
            rules,
            units,
            has_roles: casts.iter().any(Cast::has_roles),
            has_parties: units.units.iter().any(|unit| unit.size > 1),
            casts,
            low: &self.low,
            low_units: halves.0.len(),
            high: &self.high[high_first..],
            high_first: high_first as u32,
        };
        let Some(mask) = view.find() else { return false };
        team_of.clear();
        team_of.extend((0..units.units.len()).map(|unit| u16::from(mask >> unit & 1 == 0)));
        true
    }
}

/// The sums of all subsets, by their masks.
fn add_up(values: impl Iterator<Item = i64>, sums: &mut Vec<i64>) {
    sums.clear();
    sums.push(0);
    for value in values {
        sums.extend_from_within(..);
        let half = sums.len() / 2;
        sums[half..].iter_mut().for_each(|sum| *sum += value);
    }
}

impl View<'_> {
    /// The best mask, with the least difference of free places.
    fn find(mut self) -> Option<u32> {
        let [one, other] = [&self.rules.sides[0], &self.rules.sides[1]].map(|side| i64::from(side.size));
        let [one_min, other_min] =
            [&self.rules.sides[0], &self.rules.sides[1]].map(|side| i64::from(self.rules.fewest(side)));
        let players = i64::from(self.units.players);
        let possible = one_min.max(players - other)..=one.min(players - other_min);
        let gap_max = self.rules.balance.size_gap_max.map_or(one + other, |max| i64::from(max).min(one + other));
        // With so many players in the first team, no more places are free in one than in the other; twice, for it may
        // be half a player.
        let even_twice = one - other + players;
        for gap in (even_twice & 1..=gap_max).step_by(2) {
            let mut best =
                Best { mask: None, difference: u64::MAX, party_gap: 0, limit: u64::MAX >> SIZE_BITS, scale: 1 };
            for first in [(even_twice - gap) / 2, (even_twice + gap) / 2] {
                if possible.contains(&first) {
                    self.look_at_all(first, &mut best);
                }
            }
            if best.mask.is_some() {
                return best.mask;
            }
        }
        None
    }

    /// Looks at all divisions with so many players in the first team.
    fn look_at_all(&mut self, first: i64, best: &mut Best) {
        let players = i64::from(self.units.players);
        best.rescale((first * (players - first)).max(1).unsigned_abs());
        // The strengths a / f of the first team and (w - a) / (p - f) of the other differ by (a p - w f) / (f (p - f)).
        let weight: i64 = self.units.units.iter().map(|unit| unit.weight).sum();
        let even = ((weight * first) << SIZE_BITS) + first;
        let (low, high) = (self.low, self.high);
        for (low_mask, low) in (0u32..).zip(low) {
            let low = low - even;
            for (high_mask, high) in (self.high_first..).zip(high) {
                // With another number of players its bits are not 0, and turned to the top they are above every limit.
                let difference = (low + high).unsigned_abs().rotate_right(SIZE_BITS);
                if difference < best.limit {
                    self.take(low_mask | high_mask << self.low_units, difference, best);
                }
            }
        }
    }

    /// Takes a division that is better, if it is one by the rules.
    fn take(&mut self, mask: u32, difference: u64, best: &mut Best) {
        let party_gap = if self.has_parties { self.party_gap(mask) } else { 0 };
        let is_better = difference < best.difference || party_gap < best.party_gap;
        let is_even = self.rules.balance.party_gap_max.is_none_or(|max| party_gap <= max);
        if !is_better || !is_even || (self.has_roles && !self.has_cast(mask)) {
            return;
        }
        // One as even is better only if its parties are.
        let limit = if party_gap == 0 { difference } else { difference + 1 };
        *best = Best { mask: Some(mask), difference, party_gap, limit, scale: best.scale };
    }

    fn party_gap(&self, mask: u32) -> u32 {
        let mut largest = [0; 2];
        for (bit, unit) in (0..).zip(&self.units.units) {
            let team = &mut largest[usize::from(mask >> bit & 1 == 0)];
            *team = unit.size.max(*team);
        }
        let most = largest[0].max(largest[1]);
        let gap = |(largest, side): (&u32, &Side)| if *largest == 0 { 0 } else { most.min(side.size) - largest };
        largest.iter().zip(&self.rules.sides).map(gap).max().unwrap_or(0)
    }

    /// Whether everybody has a role.
    fn has_cast(&mut self, mask: u32) -> bool {
        self.casts.iter_mut().for_each(|cast| cast.clear(0));
        (0..)
            .zip(&self.units.units)
            .all(|(bit, unit)| self.casts[usize::from(mask >> bit & 1 == 0)].push_all(self.units.roles_of(unit)))
    }
}
