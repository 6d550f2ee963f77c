//! The waiting tickets of a domain, and who of them may play together as far as numbers say: ratings, regions, and
//! what users have and want. What needs names (blocks, a party's shape, the game's own rule) is asked of the caller.
//!
//! Invariants: a ticket that waits is in the bins of exactly one bracket, by its rating. Two tickets meet only if each
//! is in the other's range, so a range that has widened finds by itself whom it has come to reach. Whoever is chosen
//! is chosen uniformly among those who may be, up to [`SCAN_MAX`] of them, and nearly so beyond.
//!
//! Main type: [`Pool`].

use std::ops::Range;

use rand::RngExt;

use super::bins::{Bins, Entry};
use super::domain::{Domain, PROPERTIES_MAX};
use super::glance::{Glance, Layout};
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
    /// Where it is in its bin; [`NOWHERE`] if nobody is here.
    position: u32,
    /// Tells it from tickets that were here before.
    turn: u32,
}

/// The position of nobody.
const NOWHERE: u32 = u32::MAX;

impl Place {
    fn is_taken(&self) -> bool {
        self.position != NOWHERE
    }
}

/// The index of waiting tickets.
#[derive(Debug, Clone)]
pub struct Pool {
    places: Vec<Place>,
    free: Vec<Slot>,
    /// By bracket.
    bins: Vec<Bins>,
    /// For each place one for each property.
    marks: Vec<Marks>,
    /// For each place the round trip to each region, in milliseconds.
    round_trips: Vec<u16>,
    properties: usize,
    regions: usize,
    layout: Layout,
    /// Whom one search may choose; kept to be used again.
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
            places: Vec::new(),
            free: Vec::new(),
            bins: vec![Bins::default()],
            marks: Vec::new(),
            round_trips: Vec::new(),
            properties: domain.properties.len(),
            regions: domain.regions().len(),
            layout: Layout::new(domain),
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
        let bracket = usize::from(ticket.bracket);
        if bracket >= self.bins.len() {
            self.bins.resize_with(bracket + 1, Bins::default);
        }
        let (at, first_mark, first_trip) =
            (slot as usize, slot as usize * self.properties, slot as usize * self.regions);
        for i in 0..self.properties {
            self.marks[first_mark + i] = marks.get(i).copied().unwrap_or(ANY);
        }
        for i in 0..self.regions {
            self.round_trips[first_trip + i] = round_trips.get(i).copied().unwrap_or(0);
        }
        let place = &mut self.places[at];
        place.ticket = ticket;
        let entry = Entry { slot, glance: self.glance(slot) };
        self.places[at].position = self.bins[bracket].insert(ticket.rating, entry);
        slot
    }

    fn grow(&mut self) -> Slot {
        let nobody =
            Waiting { number: 0, since: Time(0), regions: 0, rating: 0, users: 0, bracket: OPEN, careful: false };
        self.places.push(Place { ticket: nobody, position: NOWHERE, turn: 0 });
        self.marks.resize(self.places.len() * self.properties, ANY);
        self.round_trips.resize(self.places.len() * self.regions, 0);
        self.places.len() as Slot - 1
    }

    /// Takes a ticket out.
    pub fn remove(&mut self, slot: Slot) {
        self.leave_bin(slot);
        let place = &mut self.places[slot as usize];
        place.position = NOWHERE;
        place.turn = place.turn.wrapping_add(1);
        self.free.push(slot);
    }

    fn leave_bin(&mut self, slot: Slot) {
        let Place { ticket, position, .. } = self.places[slot as usize];
        let bins = &mut self.bins[usize::from(ticket.bracket)];
        if let Some(moved) = bins.remove(ticket.rating, position) {
            self.places[moved as usize].position = position;
        }
    }

    /// A ticket that waits.
    pub fn get(&self, slot: Slot) -> &Waiting {
        &self.places[slot as usize].ticket
    }

    /// What tells this ticket from those that had its slot before.
    pub fn turn(&self, slot: Slot) -> u32 {
        self.places[slot as usize].turn
    }

    /// Whether this ticket still waits.
    pub fn waits(&self, slot: Slot, turn: u32) -> bool {
        self.places.get(slot as usize).is_some_and(|place| place.is_taken() && place.turn == turn)
    }

    /// Whether the ticket of this number is there.
    pub fn holds(&self, slot: Slot, number: u64) -> bool {
        self.places.get(slot as usize).is_some_and(|place| place.is_taken() && place.ticket.number == number)
    }

    /// All who wait, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.places.iter().filter(|place| place.is_taken()).map(|place| &place.ticket)
    }

    /// Lets a ticket play in these regions from now on.
    pub fn set_regions(&mut self, slot: Slot, regions: u64) {
        let place = &mut self.places[slot as usize];
        place.ticket.regions = regions;
        let bins = &mut self.bins[usize::from(place.ticket.bracket)];
        bins.set_regions(place.ticket.rating, place.position, regions);
    }

    /// Moves a ticket to another bracket.
    pub fn set_bracket(&mut self, slot: Slot, bracket: u16) {
        self.leave_bin(slot);
        if usize::from(bracket) >= self.bins.len() {
            self.bins.resize_with(usize::from(bracket) + 1, Bins::default);
        }
        let place = &mut self.places[slot as usize];
        place.ticket.bracket = bracket;
        let rating = place.ticket.rating;
        let entry = Entry { slot, glance: self.glance(slot) };
        self.places[slot as usize].position = self.bins[usize::from(bracket)].insert(rating, entry);
    }

    /// A ticket as it lies in its bin.
    fn glance(&self, slot: Slot) -> Glance {
        let Waiting { regions, users, .. } = *self.get(slot);
        self.layout.of(self.marks_of(slot), if self.regions == 0 { u64::MAX } else { regions }, users)
    }

    /// Whom a group seeks, at a glance.
    fn sought(&self, gathering: &Gathering, room: u32) -> Glance {
        let regions = if self.regions == 0 { u64::MAX } else { gathering.regions };
        self.layout.sought(self.marks_of(gathering.slots[0]), &gathering.common, regions, room)
    }

    /// The round trips of a ticket, in milliseconds, by region.
    pub fn round_trips(&self, slot: Slot) -> &[u16] {
        &self.round_trips[slot as usize * self.regions..][..self.regions]
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
        let bins = &self.bins[usize::from(self.get(seeker).bracket)];
        if bins.users_within(gathering.lowest, gathering.highest) < users.start || !company.begin(seeker, self) {
            return None;
        }
        while gathering.users < users.end {
            let room = users.end - gathering.users;
            let Some(chosen) = self.choose(&gathering, room, domain, now, rng, company) else { break };
            self.add(&mut gathering, chosen, domain, now);
        }
        (gathering.users >= users.start).then_some(gathering)
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
        let Waiting { rating, bracket, .. } = *self.get(seeker);
        let bins = &self.bins[usize::from(bracket)];
        let ranks = bins.within(begin.lowest, begin.highest);
        // With more than can be looked through: those around the seeker.
        let spare = (ranks.len() as u32).saturating_sub(SCAN_MAX as u32);
        let own = bins.within(i32::MIN, rating).end.clamp(ranks.start, ranks.end);
        let first = own.saturating_sub(SCAN_MAX as u32 / 2).clamp(ranks.start, ranks.start + spare);
        let mut near = std::mem::take(&mut self.candidates);
        near.clear();
        let sought = self.sought(&begin, users.end.saturating_sub(begin.users));
        let last = ranks.end.min(first + SCAN_MAX as u32);
        self.glance_through(bracket, first..last, &sought, &mut near);
        self.looked_at += u64::from(last - first);
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
    pub fn around(&self, bracket: u16, lowest: i32, highest: i32) -> impl Iterator<Item = &Waiting> {
        let bins = self.bins.get(usize::from(bracket));
        let ranks = bins.map_or(0..0, |bins| bins.within(lowest, highest));
        let entries = bins.into_iter().flat_map(move |bins| bins.slices(ranks.clone()).flatten());
        entries.take(SCAN_MAX).map(|entry| self.get(entry.slot))
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
        &self.marks[slot as usize * self.properties..][..self.properties]
    }

    /// One who may join, uniformly at random.
    fn choose(
        &mut self,
        gathering: &Gathering,
        room: u32,
        domain: &Domain,
        now: Time,
        rng: &mut dyn rand_core::CryptoRng,
        company: &mut dyn Company,
    ) -> Option<Slot> {
        let bracket = usize::from(self.get(gathering.slots[0]).bracket);
        let ranks = self.bins[bracket].within(gathering.lowest, gathering.highest);
        // Those who were chosen are in the range themselves.
        if ranks.len() <= gathering.slots.len() {
            return None;
        }
        let sought = self.sought(gathering, room);
        if ranks.len() as u32 > FEW {
            for _ in 0..DRAWS_MAX {
                self.looked_at += 1;
                let Entry { slot, glance } = *self.bins[bracket].at(rng.random_range(ranks.clone()));
                if self.layout.may_be(&sought, &glance)
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
        let first = if ranks.len() <= SCAN_MAX { ranks.start } else { rng.random_range(ranks.clone()) };
        let last = ranks.end.min(first.saturating_add(SCAN_MAX as u32));
        let again = ranks.start..first.min(ranks.start + SCAN_MAX as u32 - (last - first));
        self.looked_at += (last - first) as u64 + again.len() as u64;
        for ranks in [first..last, again] {
            self.glance_through(bracket as u16, ranks, &sought, &mut candidates);
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

    /// Adds those of these ranks who may be whom a group seeks.
    fn glance_through(&self, bracket: u16, ranks: Range<u32>, sought: &Glance, found: &mut Vec<Slot>) {
        for slice in self.bins[usize::from(bracket)].slices(ranks) {
            for entry in slice {
                if self.layout.may_be(sought, &entry.glance) {
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
            && (self.regions == 0 || gathering.regions & ticket.regions != 0)
            && !gathering.slots.contains(&slot)
            && (self.properties == 0 || self.agree(gathering, slot, domain, now))
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
        self.places.capacity() * size_of::<Place>()
            + self.free.capacity() * size_of::<Slot>()
            + self.marks.capacity() * size_of::<Marks>()
            + self.round_trips.capacity() * size_of::<u16>()
            + self.bins.iter().map(Bins::bytes).sum::<usize>()
    }
}
