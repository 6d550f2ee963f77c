//! Where the players of a scene are, as its game is told.

use serde::{Deserialize, Serialize};

use crate::bindings::Event;

/// Where a player is who has been inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// Inside and connected.
    Inside,
    /// Not connected, and may come back.
    Away,
    /// Gone for good, also if never inside.
    Gone,
}

impl Presence {
    /// Notes what an event means for who is where.
    pub fn note(seats: &mut Vec<(u32, Presence)>, event: &Event) {
        let (seat, presence) = match event {
            Event::Joined(player) => (player.seat, Presence::Inside),
            Event::Resumed(comeback) => (comeback.seat, Presence::Inside),
            Event::Dropped(seat) => (*seat, Presence::Away),
            Event::Left(departure) => (departure.seat, Presence::Gone),
            Event::Message(_)
            | Event::Timer(_)
            | Event::Signal(_)
            | Event::Saved(_)
            | Event::Stopping(_)
            | Event::Watched => return,
        };
        match seats.iter_mut().find(|(noted, _)| *noted == seat) {
            Some((_, noted)) => *noted = presence,
            None => seats.push((seat, presence)),
        }
    }
}
