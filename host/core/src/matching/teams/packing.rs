//! Whether units still fit into the teams together, told while they come.
//!
//! A way in which all units fit is kept. A new one is put where it leaves the least room (best fit); only if it fits
//! nowhere is another way looked for, with the largest parties first, depth first, teams in the same state tried
//! once.
//!
//! Invariant: the kept way is one by the rules for sizes, roles and parties. A team that lacks a party of the needed
//! size ([`Rules::party_needed`]) keeps the room for one.

use super::cast::Cast;
use super::rules::{Rules, Side, Unit, Units};

/// How many placements a search for another way tries. It is enough for all ways of two teams of five. In larger
/// matches it has sufficed for every match without roles that was tried, up to two teams of 100, and with exact roles
/// for nearly all up to 40 players; of 8 teams of 6 with parties and exact roles a fifth to two fifths did not get their
/// last unit. Beyond it a unit is taken not to fit.
pub const STEPS_MAX: u32 = 4_096;

/// A way in which units fit.
#[derive(Debug, Clone, Default)]
struct Way {
    team_of: Vec<u16>,
    /// What each team has left, and its largest party.
    teams: Vec<Room>,
    casts: Vec<Cast>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Room {
    kind: u16,
    free: u32,
    largest: u32,
    /// The size of the largest party that it needs; 0 if any will do.
    needed: u32,
}

impl Room {
    fn new(side: &Side) -> Self {
        Self { kind: side.kind, free: side.size, largest: 0, needed: 0 }
    }

    /// How many places are left for units smaller than the party that it needs; nothing if that does not fit any more.
    fn spare(&self) -> Option<u32> {
        if self.largest >= self.needed { Some(self.free) } else { self.free.checked_sub(self.needed) }
    }

    fn fits(&self, size: u32) -> bool {
        let room = if size >= self.needed { self.free } else { self.spare().unwrap_or(0) };
        size <= room
    }
}

impl Way {
    fn clear(&mut self, sides: &[Side]) {
        self.team_of.clear();
        self.teams.clear();
        self.teams.extend(sides.iter().map(Room::new));
        self.casts.iter_mut().for_each(|cast| cast.clear(0));
    }

    /// Says which parties are needed, now that the largest has this size. False if a team has no room for its.
    fn need(&mut self, rules: &Rules, largest: u32) -> bool {
        for (room, side) in self.teams.iter_mut().zip(&rules.sides) {
            let needed = rules.party_needed(side, largest);
            room.needed = if needed > 1 { needed } else { 0 };
        }
        self.teams.iter().all(|room| room.spare().is_some())
    }

    /// Puts a unit into a team that has room for it. False if the roles do not allow it.
    fn put(&mut self, units: &Units, unit: &Unit, team: usize) -> bool {
        if !self.casts[team].push_all(units.roles_of(unit)) {
            return false;
        }
        let room = &mut self.teams[team];
        room.free -= unit.size;
        room.largest = room.largest.max(unit.size);
        true
    }

    /// Puts a unit where it leaves the least room.
    fn put_best(&mut self, units: &Units, unit: &Unit) -> Option<usize> {
        let fits = |(_, room): &(usize, &Room)| room.fits(unit.size);
        let (best, _) = self.teams.iter().enumerate().filter(fits).min_by_key(|(_, room)| room.free)?;
        if self.put(units, unit, best) {
            return Some(best);
        }
        (0..self.teams.len())
            .find(|team| *team != best && self.teams[*team].fits(unit.size) && self.put(units, unit, *team))
    }
}

/// The kept way, and the buffers for another one.
#[derive(Debug, Clone)]
pub(super) struct Packing {
    way: Way,
    other: Way,
    /// The roles of all teams together; what does not fit here fits in no way.
    pool: Cast,
    has_roles: bool,
    /// The size of the largest party.
    largest: u32,
    order: Vec<u16>,
}

impl Packing {
    pub fn new(sides: &[Side], casts: &[Cast]) -> Self {
        let mut way = Way { casts: casts.to_vec(), ..Way::default() };
        way.clear(sides);
        let (pool, has_roles) = (Cast::pool(casts), casts.iter().any(Cast::has_roles));
        Self { other: way.clone(), way, pool, has_roles, largest: 0, order: Vec::new() }
    }

    pub fn clear(&mut self, rules: &Rules) {
        self.way.clear(&rules.sides);
        self.pool.clear(0);
        self.largest = 0;
    }

    /// The team of each unit in the kept way.
    pub fn team_of(&self) -> &[u16] {
        &self.way.team_of
    }

    /// Takes the last of the units in, if it fits; else nothing changes.
    pub fn add(&mut self, rules: &Rules, units: &Units) -> bool {
        let Some(unit) = units.units.last() else { return false };
        if unit.size == 0 || units.players > rules.players_max {
            return false;
        }
        if !self.pool.push_all(units.roles_of(unit)) {
            return false;
        }
        if self.put(rules, units, unit) {
            return true;
        }
        self.pool.pop_many(unit.size as usize);
        false
    }

    fn put(&mut self, rules: &Rules, units: &Units, unit: &Unit) -> bool {
        let largest = self.largest.max(unit.size);
        if self.put_aside(rules, units, unit, largest) || self.find_way(rules, units, largest) {
            self.largest = largest;
            return true;
        }
        if largest > self.largest {
            self.way.need(rules, self.largest);
        }
        false
    }

    /// Puts the unit in beside the others, which stay where they are.
    fn put_aside(&mut self, rules: &Rules, units: &Units, unit: &Unit, largest: u32) -> bool {
        if largest > self.largest && !self.way.need(rules, largest) {
            return false;
        }
        let Some(team) = self.way.put_best(units, unit) else { return false };
        self.way.team_of.push(team as u16);
        true
    }

    /// Looks for a way from the beginning.
    fn find_way(&mut self, rules: &Rules, units: &Units, largest: u32) -> bool {
        let Self { other, order, has_roles, .. } = self;
        other.clear(&rules.sides);
        other.team_of.resize(units.units.len(), 0);
        if !other.need(rules, largest) {
            return false;
        }
        // Without roles, whoever is alone fits wherever there is room, so these come last, all at once.
        let is_alone = |unit: &Unit| !*has_roles && unit.size == 1;
        order.clear();
        order.extend((0u16..).zip(&units.units).filter(|(_, unit)| !is_alone(unit)).map(|(place, _)| place));
        order.sort_by_key(|place| {
            let unit = &units.units[usize::from(*place)];
            let choices = if *has_roles { units.roles_of(unit).map(u64::count_ones).min() } else { None };
            (std::cmp::Reverse(unit.size), choices)
        });
        let mut search = Search { units, way: other, order, has_roles: *has_roles, steps_left: STEPS_MAX };
        if !search.place(0) || !search.place_alone() {
            return false;
        }
        std::mem::swap(&mut self.way, &mut self.other);
        true
    }
}

/// A search for a way in which all units fit.
struct Search<'a> {
    units: &'a Units,
    way: &'a mut Way,
    order: &'a [u16],
    has_roles: bool,
    steps_left: u32,
}

impl Search<'_> {
    /// Puts the units of the order from this one on into teams. Not deeper than there are units.
    fn place(&mut self, depth: usize) -> bool {
        let Some(place) = self.order.get(depth) else { return self.has_room_for_alone() };
        let place = usize::from(*place);
        let unit = self.units.units[place];
        let mut tried: Option<Room> = None;
        for team in self.first_team(depth, &unit)..self.way.teams.len() {
            let Some(steps_left) = self.steps_left.checked_sub(1) else { return false };
            self.steps_left = steps_left;
            let room = self.way.teams[team];
            // With roles, teams are in one state only while they are empty.
            let is_tried = tried == Some(room) && (!self.has_roles || room.largest == 0);
            if is_tried || !room.fits(unit.size) || !self.way.put(self.units, &unit, team) {
                continue;
            }
            tried = Some(room);
            self.way.team_of[place] = team as u16;
            if self.place(depth + 1) {
                return true;
            }
            self.way.teams[team] = room;
            self.way.casts[team].pop_many(unit.size as usize);
        }
        false
    }

    /// Units of one size are as one without roles, so a later one need not come into an earlier team.
    fn first_team(&self, depth: usize, unit: &Unit) -> usize {
        let before = depth.checked_sub(1).map(|before| usize::from(self.order[before]));
        match before {
            Some(before) if !self.has_roles && self.units.units[before].size == unit.size => {
                usize::from(self.way.team_of[before])
            }
            _ => 0,
        }
    }

    fn has_room_for_alone(&self) -> bool {
        let alone = if self.has_roles { 0 } else { self.units.units.iter().filter(|unit| unit.size == 1).count() };
        let spare: u32 = self.way.teams.iter().filter_map(Room::spare).sum();
        alone <= spare as usize
    }

    /// Puts those in who are alone and have no roles.
    fn place_alone(&mut self) -> bool {
        if self.has_roles {
            return true;
        }
        let alone = self.units.units.iter().enumerate().filter(|(_, unit)| unit.size == 1);
        let mut team = 0;
        for (place, unit) in alone {
            while self.way.teams.get(team).is_some_and(|room| !room.fits(1)) {
                team += 1;
            }
            if team == self.way.teams.len() || !self.way.put(self.units, unit, team) {
                return false;
            }
            self.way.team_of[place] = team as u16;
        }
        true
    }
}
