//! The waiting tickets of a domain, and who of them may play together as far as numbers say: ratings, regions, and
//! what users have and want. What needs names (blocks, a party's shape, the game's own rule) is asked of the caller.
//!
//! Invariants: a ticket that waits is on exactly one shelf of its bracket, by its rating. Two tickets meet only if each
//! is in the other's range, so a range that has widened finds by itself whom it has come to reach. Whoever is chosen
//! is chosen uniformly among those who may be, up to [`SCAN_MAX`] of them, and nearly so beyond.
//!
//! Main type: [`Pool`].

use std::ops::Range;

use rand::RngExt;

use super::bins::Entry;
use super::domain::{Domain, PROPERTIES_MAX};
use super::glance::{ANYONE, Glance, Layout};
use super::rows::Rows;
use super::shelves::{Reach, Shelves, Spot};
use crate::ids::Time;

/// How many candidates are drawn before all are looked through.
const DRAWS_MAX: u32 = 16;
/// How many candidates are looked through at most, from a random one on.
pub const SCAN_MAX: usize = 512;
/// With so few candidates all are looked through at once.
const FEW: u32 = 24;
/// How many brackets tickets may be of at once, the open one included.
pub const BRACKETS_MAX: usize = 64;
/// The open bracket.
pub const OPEN: u16 = 0;

/// A place in the table of waiting tickets. It is given to another ticket when its own one has gone.
pub type Slot = u32;

/// What the index has to know of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The lobby's number.
    pub number: u64,
    /// Since when it waits.
    pub since: Time,
    /// The regions that are near enough by now, a bit each.
    pub regions: u64,
    /// By what it is compared.
    pub rating: i32,
    /// How many users it has, 1 or more.
    pub users: u32,
    /// Only tickets of one bracket meet.
    pub bracket: u16,
    /// Whether the caller has to be asked about it: it has blocks, or somebody to avoid, or a named opponent.
    pub careful: bool,
}

/// What a ticket has and wants of one property, a bit for each of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// What its users have.
    pub has: u64,
    /// What the others are to have.
    pub wants: u64,
}

/// Of one who does not care.
pub const ANY: Marks = Marks { has: u64::MAX, wants: u64::MAX };

#[derive(Debug, Clone)]
struct Place {
    ticket: Waiting,
    /// Tells it from tickets that were here before.
    turn: u32,
    /// Where it is on the shelves; nowhere if nobody is here.
    spot: Spot,
}

/// A place that nobody has had.
const EMPTY: Place = Place {
    ticket: Waiting { number: 0, since: Time(0), regions: 0, rating: 0, users: 0, bracket: OPEN, careful: false },
    turn: 0,
    spot: Spot::NOWHERE,
};

impl Place {
    fn is_taken(&self) -> bool {
        self.spot != Spot::NOWHERE
    }
}

/// The index of waiting tickets.
#[derive(Debug, Clone)]
pub struct Pool {
    places: Rows<Place>,
    free: Vec<Slot>,
    shelves: Shelves,
    /// For each place one for each property.
    marks: Rows<Marks>,
    /// For each place the round trip to each region, in milliseconds.
    round_trips: Rows<u16>,
    has_regions: bool,
    /// Whom one search may choose of; kept to be used again.
    reach: Reach,
    candidates: Vec<Slot>,
    /// How many candidates were looked at, for the limit of a step.
    looked_at: u64,
}

/// What is asked about tickets beyond the numbers, while a group is put together.
pub trait Company {
    /// Whether a ticket may join those that were chosen. It is asked about many that are not chosen.
    fn allows(&self, pool: &Pool, chosen: &[Slot], slot: Slot) -> bool;

    /// A group begins with this ticket; whether it can.
    fn begin(&mut self, slot: Slot, pool: &Pool) -> bool;

    /// The ticket joins, if it still fits in with those that have: whether it did.
    fn take(&mut self, slot: Slot, pool: &Pool) -> bool;
}

/// Tickets that may play together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gathering {
    /// Which, the one that searched first.
    pub slots: Vec<Slot>,
    /// How many users they have.
    pub users: u32,
    /// Ratings that all of them accept.
    lowest: i32,
    highest: i32,
    /// Their own ratings.
    least: i32,
    most: i32,
    /// The regions that are near enough for all, a bit each.
    pub regions: u64,
    /// What all of them want of the properties that are common to a match.
    pub common: [u64; PROPERTIES_MAX],
}

impl Pool {
    /// An empty one for such a domain.
    pub fn new(domain: &Domain) -> Self {
        Self {
            places: Rows::new(1),
            free: Vec::new(),
            shelves: Shelves::new(Layout::new(domain)),
            marks: Rows::new(domain.properties.len()),
            round_trips: Rows::new(domain.regions().len()),
            has_regions: !domain.regions().is_empty(),
            reach: Reach::default(),
            candidates: Vec::new(),
            looked_at: 0,
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many candidates were looked at since the last time that this was asked.
    pub fn take_looked_at(&mut self) -> u64 {
        std::mem::take(&mut self.looked_at)
    }

    /// Puts a ticket in, with its marks, one for each property of the domain, and its round trips, one for each
    /// region; what is missing is [`ANY`] and 0.
    pub fn insert(&mut self, ticket: Waiting, marks: &[Marks], round_trips: &[u16]) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        fill(self.marks.row_mut(slot), marks, ANY);
        fill(self.round_trips.row_mut(slot), round_trips, 0);
        self.place_mut(slot).ticket = ticket;
        self.enter(slot);
        slot
    }

    fn grow(&mut self) -> Slot {
        self.places.push(EMPTY);
        self.marks.push(ANY);
        self.round_trips.push(0);
        self.places.len() as Slot - 1
    }

    fn place(&self, slot: Slot) -> &Place {
        &self.places.row(slot)[0]
    }

    fn place_mut(&mut self, slot: Slot) -> &mut Place {
        &mut self.places.row_mut(slot)[0]
    }

    /// Puts a ticket on its shelf.
    fn enter(&mut self, slot: Slot) {
        let Waiting { bracket, rating, .. } = *self.get(slot);
        let entry = Entry { slot, glance: self.glance(slot) };
        self.place_mut(slot).spot = self.shelves.insert(bracket, rating, entry);
    }

    /// Takes a ticket from its shelf.
    fn leave(&mut self, slot: Slot) {
        let Place { ticket, spot, .. } = *self.place(slot);
        if let Some(moved) = self.shelves.remove(spot, ticket.rating) {
            let place = self.place_mut(moved);
            place.spot = place.spot.at(spot);
        }
    }

    /// Takes a ticket out.
    pub fn remove(&mut self, slot: Slot) {
        self.leave(slot);
        let place = self.place_mut(slot);
        place.spot = Spot::NOWHERE;
        place.turn = place.turn.wrapping_add(1);
        self.free.push(slot);
    }

    /// A ticket that waits.
    pub fn get(&self, slot: Slot) -> &Waiting {
        &self.place(slot).ticket
    }

    /// What tells this ticket from those that had its slot before.
    pub fn turn(&self, slot: Slot) -> u32 {
        self.place(slot).turn
    }

    /// Whether this ticket still waits.
    pub fn waits(&self, slot: Slot, turn: u32) -> bool {
        self.taken(slot).is_some_and(|place| place.turn == turn)
    }

    /// Whether the ticket of this number is there.
    pub fn holds(&self, slot: Slot, number: u64) -> bool {
        self.taken(slot).is_some_and(|place| place.ticket.number == number)
    }

    fn taken(&self, slot: Slot) -> Option<&Place> {
        let place = ((slot as usize) < self.places.len()).then(|| self.place(slot));
        place.filter(|place| place.is_taken())
    }

    /// Takes some of those out who wait, in no order, of a pool that is used no longer: since when each waits, and its
    /// number. `None`: nobody is left.
    pub fn dissolve(&mut self) -> Option<Vec<(Time, u64)>> {
        self.marks.pop_chunk();
        self.round_trips.pop_chunk();
        let places = self.places.pop_chunk()?;
        self.free.clear();
        let taken = places.iter().filter(|place| place.is_taken());
        Some(taken.map(|place| (place.ticket.since, place.ticket.number)).collect())
    }

    /// Gives some of the memory back, of a pool in which nobody is left: that of so many bins. `None`: of all.
    pub fn discard_some(&mut self) -> Option<usize> {
        self.shelves.discard_some()
    }

    /// Lets a ticket play in these regions from now on.
    pub fn set_regions(&mut self, slot: Slot, regions: u64) {
        let place = self.place_mut(slot);
        place.ticket.regions = regions;
        let (spot, rating) = (place.spot, place.ticket.rating);
        self.shelves.set_regions(spot, rating, regions);
    }

    /// Moves a ticket to another bracket.
    pub fn set_bracket(&mut self, slot: Slot, bracket: u16) {
        self.leave(slot);
        self.place_mut(slot).ticket.bracket = bracket;
        self.enter(slot);
    }

    /// Moves a ticket to the shelf of its kind, if there is one by now and it is not there.
    pub fn tidy(&mut self, slot: Slot) {
        if self.shelves.is_misplaced(self.place(slot).spot, &self.glance(slot)) {
            self.leave(slot);
            self.enter(slot);
        }
    }

    /// A ticket as it lies in its bin.
    fn glance(&self, slot: Slot) -> Glance {
        let Waiting { regions, users, .. } = *self.get(slot);
        self.shelves.layout().of(self.marks_of(slot), if self.has_regions { regions } else { u64::MAX }, users)
    }

    /// Whom a group seeks, at a glance.
    fn sought(&self, gathering: &Gathering, room: u32) -> Glance {
        let regions = if self.has_regions { gathering.regions } else { u64::MAX };
        self.shelves.layout().sought(self.marks_of(gathering.slots[0]), &gathering.common, regions, room)
    }

    /// The round trips of a ticket, in milliseconds, by region.
    pub fn round_trips(&self, slot: Slot) -> &[u16] {
        self.round_trips.row(slot)
    }

    /// Who may play with a ticket, chosen at random: a group of at least `users.start` and at most `users.end` users.
    /// `company` is asked about candidates that all numbers allow.
    pub fn gather(
        &mut self,
        seeker: Slot,
        users: &Range<u32>,
        domain: &Domain,
        now: Time,
        rng: &mut dyn rand_core::CryptoRng,
        company: &mut dyn Company,
    ) -> Option<Gathering> {
        let mut gathering = self.begin(seeker, domain, now);
        let mut reach = std::mem::take(&mut self.reach);
        self.find(&mut reach, &gathering, users.end);
        // Who is in reach of itself is counted already.
        let own = if reach.has_shelf_of(self.place(seeker).spot) { 0 } else { gathering.users };
        let mut is_open = reach.users + own >= users.start && company.begin(seeker, self);
        let is_begun = is_open;
        while is_open && gathering.users < users.end {
            let chosen = self.choose(&gathering, &reach, domain, now, rng, company);
            is_open = chosen.is_some();
            if let Some(chosen) = chosen {
                self.add(&mut gathering, chosen, domain, now);
                self.find(&mut reach, &gathering, users.end);
            }
        }
        self.reach = reach;
        (is_begun && gathering.users >= users.start).then_some(gathering)
    }

    /// Finds those whom a group of at most `most` users may reach; nobody, if it is full.
    fn find(&self, reach: &mut Reach, gathering: &Gathering, most: u32) {
        let sought = self.sought(gathering, most.saturating_sub(gathering.users));
        let bracket = self.get(gathering.slots[0]).bracket;
        reach.clear();
        if sought.users > 0 {
            self.shelves.find(reach, sought, bracket, (gathering.lowest, gathering.highest));
        }
    }

    /// The same, the nearest ratings first: a group that chance did not find is found so, if there is one around the
    /// seeker's rating.
    pub fn gather_nearest(
        &mut self,
        seeker: Slot,
        users: &Range<u32>,
        domain: &Domain,
        now: Time,
        company: &mut dyn Company,
    ) -> Option<Gathering> {
        let begin = self.begin(seeker, domain, now);
        let rating = self.get(seeker).rating;
        let (mut reach, mut near) = (std::mem::take(&mut self.reach), std::mem::take(&mut self.candidates));
        near.clear();
        self.find(&mut reach, &begin, users.end);
        if reach.tickets > SCAN_MAX as u32 {
            self.shelves.cut_around(&mut reach, rating, SCAN_MAX as u32);
        }
        self.glance_through(&reach, 0..reach.tickets, &mut near);
        self.looked_at += u64::from(reach.tickets);
        self.reach = reach;
        near.sort_by_key(|slot| {
            let ticket = self.get(*slot);
            (ticket.rating.abs_diff(rating), ticket.since, ticket.number)
        });
        let gathering = self.gather_of(seeker, near.iter().copied(), users, domain, now, company);
        self.candidates = near;
        gathering
    }

    /// The same of these candidates only, in their order.
    pub fn gather_of(
        &self,
        seeker: Slot,
        candidates: impl Iterator<Item = Slot>,
        users: &Range<u32>,
        domain: &Domain,
        now: Time,
        company: &mut dyn Company,
    ) -> Option<Gathering> {
        let mut gathering = self.begin(seeker, domain, now);
        if !company.begin(seeker, self) {
            return None;
        }
        for slot in candidates {
            let room = users.end.saturating_sub(gathering.users);
            if self.get(slot).bracket == self.get(seeker).bracket
                && self.may_join(&gathering, slot, room, domain, now)
                && company.allows(self, &gathering.slots, slot)
                && company.take(slot, self)
            {
                self.add(&mut gathering, slot, domain, now);
            }
        }
        (gathering.users >= users.start).then_some(gathering)
    }

    /// The tickets of a bracket whose ratings are from `lowest` to `highest`, [`SCAN_MAX`] at most.
    pub fn around(&self, bracket: u16, lowest: i32, highest: i32) -> Vec<&Waiting> {
        let mut reach = Reach::default();
        self.shelves.find(&mut reach, ANYONE, bracket, (lowest, highest));
        let entries = self.shelves.slices(&reach, 0..reach.tickets).flatten();
        entries.take(SCAN_MAX).map(|entry| self.get(entry.slot)).collect()
    }

    /// A group of one ticket.
    pub fn begin(&self, slot: Slot, domain: &Domain, now: Time) -> Gathering {
        let ticket = self.get(slot);
        let (lowest, highest) = domain.accepted(ticket.rating, now.ms_since(ticket.since));
        let mut common = [u64::MAX; PROPERTIES_MAX];
        for (i, marks) in self.marks_of(slot).iter().enumerate().filter(|(i, _)| domain.properties[*i].common) {
            common[i] = marks.wants;
        }
        Gathering {
            slots: vec![slot],
            users: ticket.users,
            lowest,
            highest,
            least: ticket.rating,
            most: ticket.rating,
            regions: ticket.regions,
            common,
        }
    }

    /// Adds a ticket that may join.
    pub fn add(&self, gathering: &mut Gathering, slot: Slot, domain: &Domain, now: Time) {
        let ticket = self.get(slot);
        let (lowest, highest) = domain.accepted(ticket.rating, now.ms_since(ticket.since));
        gathering.slots.push(slot);
        gathering.users += ticket.users;
        gathering.lowest = gathering.lowest.max(lowest);
        gathering.highest = gathering.highest.min(highest);
        gathering.least = gathering.least.min(ticket.rating);
        gathering.most = gathering.most.max(ticket.rating);
        gathering.regions &= ticket.regions;
        for (common, marks) in gathering.common.iter_mut().zip(self.marks_of(slot)) {
            *common &= marks.wants;
        }
    }

    fn marks_of(&self, slot: Slot) -> &[Marks] {
        self.marks.row(slot)
    }

    /// One who may join, uniformly at random.
    fn choose(
        &mut self,
        gathering: &Gathering,
        reach: &Reach,
        domain: &Domain,
        now: Time,
        rng: &mut dyn rand_core::CryptoRng,
        company: &mut dyn Company,
    ) -> Option<Slot> {
        // Of those who were chosen some are in reach themselves.
        let chosen = gathering.slots.iter().filter(|slot| reach.has_shelf_of(self.place(**slot).spot)).count();
        if reach.tickets as usize <= chosen {
            return None;
        }
        let room = reach.sought.users;
        if reach.tickets > FEW {
            for _ in 0..DRAWS_MAX {
                self.looked_at += 1;
                let Entry { slot, glance } = *self.shelves.at(reach, rng.random_range(0..reach.tickets))?;
                if self.shelves.layout().may_be(&reach.sought, &glance)
                    && self.may_join(gathering, slot, room, domain, now)
                    && company.allows(self, &gathering.slots, slot)
                    && company.take(slot, self)
                {
                    return Some(slot);
                }
            }
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        // With more than can be looked through: those from one at random on, and from the first again.
        let most = reach.tickets.min(SCAN_MAX as u32);
        let first = if reach.tickets == most { 0 } else { rng.random_range(0..reach.tickets) };
        let last = reach.tickets.min(first + most);
        self.looked_at += u64::from(most);
        for numbers in [first..last, 0..most - (last - first)] {
            self.glance_through(reach, numbers, &mut candidates);
        }
        candidates.retain(|slot| {
            self.may_join(gathering, *slot, room, domain, now) && company.allows(self, &gathering.slots, *slot)
        });
        let mut chosen = None;
        while chosen.is_none() && !candidates.is_empty() {
            let slot = candidates.swap_remove(rng.random_range(0..candidates.len()));
            chosen = company.take(slot, self).then_some(slot);
        }
        self.candidates = candidates;
        chosen
    }

    /// Adds those of these numbers in reach who may be whom the group seeks.
    fn glance_through(&self, reach: &Reach, numbers: Range<u32>, found: &mut Vec<Slot>) {
        for slice in self.shelves.slices(reach, numbers) {
            for entry in slice {
                if self.shelves.layout().may_be(&reach.sought, &entry.glance) {
                    found.push(entry.slot);
                }
            }
        }
    }

    /// Whether a ticket may join a group, as far as numbers say: it accepts all, and all accept it.
    fn may_join(&self, gathering: &Gathering, slot: Slot, room: u32, domain: &Domain, now: Time) -> bool {
        let ticket = self.get(slot);
        if ticket.users > room || !(gathering.lowest..=gathering.highest).contains(&ticket.rating) {
            return false;
        }
        let (lowest, highest) = domain.accepted(ticket.rating, now.ms_since(ticket.since));
        lowest <= gathering.least
            && gathering.most <= highest
            && (!self.has_regions || gathering.regions & ticket.regions != 0)
            && !gathering.slots.contains(&slot)
            && (domain.properties.is_empty() || self.agree(gathering, slot, domain, now))
    }

    /// Whether a ticket has what a group wants, the other way round, and something in common with all.
    fn agree(&self, gathering: &Gathering, slot: Slot, domain: &Domain, now: Time) -> bool {
        let marks = self.marks_of(slot);
        let waited = |slot: Slot| now.ms_since(self.get(slot).since);
        domain.properties.iter().enumerate().all(|(i, property)| {
            if property.common {
                return gathering.common[i] & marks[i].wants != 0;
            }
            let wanted = property.wanted(marks[i], waited(slot));
            gathering.slots.iter().all(|other| {
                let theirs = self.marks_of(*other)[i];
                theirs.has & wanted != 0 && marks[i].has & property.wanted(theirs, waited(*other)) != 0
            })
        })
    }

    /// How many bytes the index takes, by what is allocated.
    pub fn bytes(&self) -> usize {
        self.places.bytes()
            + self.free.capacity() * size_of::<Slot>()
            + self.marks.bytes()
            + self.round_trips.bytes()
            + self.shelves.bytes()
    }
}

/// Fills a row with what there is, and what is missing with `rest`.
fn fill<T: Copy>(row: &mut [T], values: &[T], rest: T) {
    for (i, place) in row.iter_mut().enumerate() {
        *place = values.get(i).copied().unwrap_or(rest);
    }
}
