//! Who has a seat: kept by the runtime from the events, so that no game has to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Player, Seat};

/// Where the holder of a seat is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Presence {
    Expected,
    Inside,
    Dropped,
}

#[derive(Serialize, Deserialize)]
struct Place {
    player: Player,
    presence: Presence,
    /// Messages that could not be read, never reset.
    unreadable_count: u32,
}

/// Everybody who is inside, dropped or on the way, by seat.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Roster(BTreeMap<Seat, Place>);

impl Roster {
    pub(crate) fn expecting(players: &[Player]) -> Roster {
        let mut roster = Roster::default();
        for player in players {
            roster.put(player, Presence::Expected);
        }
        roster
    }

    pub(crate) fn put(&mut self, player: &Player, presence: Presence) {
        let place = Place { player: player.clone(), presence, unreadable_count: 0 };
        self.0.insert(player.seat, place);
    }

    pub(crate) fn mark(&mut self, seat: Seat, presence: Presence) {
        if let Some(place) = self.0.get_mut(&seat) {
            place.presence = presence;
        }
    }

    pub(crate) fn remove(&mut self, seat: Seat) {
        self.0.remove(&seat);
    }

    pub(crate) fn player(&self, seat: Seat) -> Option<&Player> {
        self.0.get(&seat).map(|place| &place.player)
    }

    pub(crate) fn is(&self, seat: Seat, presence: Presence) -> bool {
        self.0.get(&seat).is_some_and(|place| place.presence == presence)
    }

    pub(crate) fn with(&self, presence: Presence) -> impl Iterator<Item = &Player> {
        self.0.values().filter(move |place| place.presence == presence).map(|place| &place.player)
    }

    pub(crate) fn everybody(&self) -> impl Iterator<Item = &Player> {
        self.0.values().map(|place| &place.player)
    }

    pub(crate) fn unreadable_count(&self, seat: Seat) -> u32 {
        self.0.get(&seat).map_or(0, |place| place.unreadable_count)
    }

    /// Counts one more and returns the new count.
    pub(crate) fn count_unreadable(&mut self, seat: Seat) -> u32 {
        let Some(place) = self.0.get_mut(&seat) else {
            return 0;
        };
        place.unreadable_count = place.unreadable_count.saturating_add(1);
        place.unreadable_count
    }
}
