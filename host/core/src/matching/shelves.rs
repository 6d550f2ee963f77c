//! The waiting tickets of all brackets, on shelves: each bracket has one for all sorts, and where many have and want the
//! same they get one of their own. One look at such a shelf turns all of them away from whoever they cannot play with,
//! so those who want what nobody has are in nobody's way.
//!
//! Invariants: a ticket is on one shelf, of its bracket, and a shelf of one kind has only tickets of that kind. There are
//! at most [`APART_MAX`] of those, each of which began with [`CROWD_MIN`] tickets, and one that is empty is put away.

use std::collections::BTreeMap;
use std::ops::Range;

use super::bins::{Bins, Entry};
use super::glance::{ANYONE, Glance, Layout};

/// So many of a kind among all sorts get a shelf of their own.
pub(super) const CROWD_MIN: u32 = 64;
/// How many shelves of one kind there are at most, in all brackets together.
const APART_MAX: usize = 64;

/// The shelves.
#[derive(Debug, Clone)]
pub(super) struct Shelves {
    layout: Layout,
    shelves: Vec<Option<Shelf>>,
    /// The shelf for all sorts of each bracket that has or had tickets.
    mixed: Vec<Option<u16>>,
    /// The kinds of the tickets that wait, by bracket.
    kinds: BTreeMap<(u16, Glance), Kind>,
    /// How many shelves of one kind there are.
    apart: usize,
}

#[derive(Debug, Clone)]
struct Shelf {
    bracket: u16,
    /// It is for all sorts.
    is_mixed: bool,
    /// What all on it have in common.
    kind: Glance,
    bins: Bins,
    /// How many are on it.
    len: u32,
}

/// Where tickets of one kind are.
#[derive(Debug, Clone, Copy, Default)]
struct Kind {
    /// So many are among all sorts.
    mixed: u32,
    /// The shelf of its own.
    shelf: Option<u16>,
}

/// Where a ticket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    shelf: u16,
    /// Its position in its bin.
    position: u32,
}

impl Spot {
    /// No place at all.
    pub const NOWHERE: Self = Self { shelf: u16::MAX, position: u32::MAX };

    /// The same on its shelf, at the position of another ticket, which has left it.
    pub fn at(self, left: Self) -> Self {
        Self { position: left.position, ..self }
    }
}

/// Those whom a group may find: stretches of shelves, in order.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    /// Whom the group seeks.
    pub sought: Glance,
    stretches: Vec<(u16, Range<u32>)>,
    /// How many they are, and how many users they have.
    pub tickets: u32,
    pub users: u32,
}

impl Default for Reach {
    fn default() -> Self {
        Self { sought: ANYONE, stretches: Vec::new(), tickets: 0, users: 0 }
    }
}

impl Reach {
    /// Leaves nobody in it.
    pub fn clear(&mut self) {
        self.stretches.clear();
        (self.tickets, self.users) = (0, 0);
    }

    /// Whether the shelf of this one is in it.
    pub fn has_shelf_of(&self, spot: Spot) -> bool {
        self.stretches.iter().any(|(shelf, _)| *shelf == spot.shelf)
    }
}

impl Shelves {
    pub fn new(layout: Layout) -> Self {
        Self { layout, shelves: Vec::new(), mixed: Vec::new(), kinds: BTreeMap::new(), apart: 0 }
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Puts a ticket in: on the shelf of its kind, or among all sorts.
    pub fn insert(&mut self, bracket: u16, rating: i32, entry: Entry) -> Spot {
        let shelf = match self.layout.kind_of(&entry.glance) {
            None => self.mixed(bracket),
            Some(kind) => self.shelf_for(bracket, kind),
        };
        let Some(Shelf { bins, len, .. }) = &mut self.shelves[usize::from(shelf)] else { return Spot::NOWHERE };
        *len += 1;
        Spot { shelf, position: bins.insert(rating, entry) }
    }

    /// Where one more of a kind goes.
    fn shelf_for(&mut self, bracket: u16, glance: Glance) -> u16 {
        let kind = self.kinds.entry((bracket, glance)).or_default();
        if let Some(shelf) = kind.shelf {
            return shelf;
        }
        if kind.mixed < CROWD_MIN || self.apart == APART_MAX {
            kind.mixed += 1;
            return self.mixed(bracket);
        }
        self.apart += 1;
        let shelf = self.add(bracket, glance, false);
        self.kinds.entry((bracket, glance)).or_default().shelf = Some(shelf);
        shelf
    }

    fn mixed(&mut self, bracket: u16) -> u16 {
        let place = usize::from(bracket);
        if place >= self.mixed.len() {
            self.mixed.resize(place + 1, None);
        }
        if let Some(shelf) = self.mixed[place] {
            return shelf;
        }
        let shelf = self.add(bracket, ANYONE, true);
        self.mixed[place] = Some(shelf);
        shelf
    }

    fn add(&mut self, bracket: u16, kind: Glance, is_mixed: bool) -> u16 {
        let free = self.shelves.iter().position(Option::is_none).unwrap_or(self.shelves.len());
        if free == self.shelves.len() {
            self.shelves.push(None);
        }
        self.shelves[free] = Some(Shelf { bracket, is_mixed, kind, bins: Bins::default(), len: 0 });
        free as u16
    }

    /// Takes the ticket at a spot out. Which ticket is there instead, if another one is.
    pub fn remove(&mut self, spot: Spot, rating: i32) -> Option<u32> {
        let place = usize::from(spot.shelf);
        let Shelf { bracket, is_mixed, bins, len, .. } = self.shelves.get_mut(place)?.as_mut()?;
        let (glance, moved) = bins.remove(rating, spot.position);
        *len -= 1;
        let Some(key) = self.layout.kind_of(&glance).map(|kind| (*bracket, kind)) else { return moved };
        let kind = self.kinds.entry(key).or_default();
        if *is_mixed {
            kind.mixed -= 1;
        } else if *len == 0 {
            kind.shelf = None;
            self.apart -= 1;
            self.shelves[place] = None;
        }
        if kind.mixed == 0 && kind.shelf.is_none() {
            self.kinds.remove(&key);
        }
        moved
    }

    /// Whether a ticket among all sorts belongs on a shelf of its kind, which is there by now.
    pub fn is_misplaced(&self, spot: Spot, glance: &Glance) -> bool {
        let Some(Some(shelf)) = self.shelves.get(usize::from(spot.shelf)) else { return false };
        let own = self.layout.kind_of(glance).and_then(|kind| self.kinds.get(&(shelf.bracket, kind)));
        shelf.is_mixed && own.is_some_and(|own| own.shelf.is_some())
    }

    /// Lets a ticket play in these regions from now on.
    pub fn set_regions(&mut self, spot: Spot, rating: i32, regions: u64) {
        if let Some(Some(shelf)) = self.shelves.get_mut(usize::from(spot.shelf)) {
            shelf.bins.set_regions(rating, spot.position, regions);
        }
    }

    /// Finds those of a bracket whose rating may be from `lowest` to `highest`, on the shelves of those who may be sought.
    pub fn find(&self, reach: &mut Reach, sought: Glance, bracket: u16, (lowest, highest): (i32, i32)) {
        reach.clear();
        reach.sought = sought;
        for (place, shelf) in (0..).zip(&self.shelves) {
            let Some(Shelf { bracket: of, kind, bins, .. }) = shelf else { continue };
            if *of != bracket || !self.layout.may_be(&sought, kind) {
                continue;
            }
            let (ranks, users) = bins.within(lowest, highest);
            if !ranks.is_empty() {
                reach.tickets += ranks.len() as u32;
                reach.users += users;
                reach.stretches.push((place, ranks));
            }
        }
    }

    /// The bins of a stretch.
    fn bins(&self, shelf: u16) -> Option<&Bins> {
        self.shelves.get(usize::from(shelf))?.as_ref().map(|shelf| &shelf.bins)
    }

    /// One of those in reach, by a number below their count.
    pub fn at(&self, reach: &Reach, mut number: u32) -> Option<&Entry> {
        for (shelf, ranks) in &reach.stretches {
            let count = ranks.len() as u32;
            if number < count {
                return Some(self.bins(*shelf)?.at(ranks.start + number));
            }
            number -= count;
        }
        None
    }

    /// Those in reach with these numbers, as slices.
    pub fn slices(&self, reach: &Reach, numbers: Range<u32>) -> impl Iterator<Item = &[Entry]> {
        let mut before = 0;
        reach.stretches.iter().flat_map(move |(shelf, ranks)| {
            let count = ranks.len() as u32;
            let (first, end) = (numbers.start.saturating_sub(before), numbers.end.saturating_sub(before));
            before += count;
            let ranks = ranks.start + first.min(count)..ranks.start + end.min(count);
            self.bins(*shelf).filter(|_| !ranks.is_empty()).into_iter().flat_map(move |bins| bins.slices(ranks.clone()))
        })
    }

    /// Cuts each stretch down to those around a rating, in equal parts, so that at most about `most` are left.
    pub fn cut_around(&self, reach: &mut Reach, rating: i32, most: u32) {
        let all = reach.tickets.max(1);
        for (shelf, ranks) in &mut reach.stretches {
            let Some(Some(Shelf { bins, .. })) = self.shelves.get(usize::from(*shelf)) else { continue };
            let count = ranks.len() as u64;
            let share = ((count * u64::from(most)).div_ceil(u64::from(all))).min(count) as u32;
            let own = bins.below(rating.saturating_add(1)).clamp(ranks.start, ranks.end);
            let first = own.saturating_sub(share / 2).clamp(ranks.start, ranks.end - share);
            *ranks = first..first + share;
        }
        reach.tickets = reach.stretches.iter().map(|(_, ranks)| ranks.len() as u32).sum();
    }

    /// Takes a part of what is on the shelves away, whatever it is. Of how many bins that was the memory; `None`: nothing
    /// is left.
    pub fn discard_some(&mut self) -> Option<usize> {
        let last = self.shelves.last_mut()?.as_mut();
        let discarded = last.and_then(|shelf| shelf.bins.discard_some());
        if discarded.is_none() {
            self.shelves.pop();
        }
        discarded.or(Some(0))
    }

    /// How many bytes it takes, by what is allocated.
    pub fn bytes(&self) -> usize {
        self.shelves.iter().flatten().map(|shelf| shelf.bins.bytes()).sum()
    }
}
