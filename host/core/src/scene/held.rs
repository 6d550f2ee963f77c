//! A scene that goes on after its host has died.
//!
//! Invariants: what a user was told to have arrived is in the journal; a user who was inside has the whole grace period
//! to come back, on the line of before or by a new way in; a seat that was given up stays so.

use serde::{Deserialize, Serialize};

use super::{Phase, Scene, SeatRow, SeatState};
use crate::ids::{SceneId, Seat, Time};
use crate::scene_master;
use crate::scene_service::Start;
use crate::token::SecretHash;

/// What has to be known of the line of a seat, besides what its game was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLine {
    /// Which seat.
    pub seat: Seat,
    /// The token that goes on with the line.
    pub token: SecretHash,
    /// How many messages of the user came over it.
    pub received: u32,
    /// How many messages of the user, those of a client before included, the game has not got yet.
    pub waiting: u32,
}

/// Where the user of a seat was, as far as the game was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// The game does not know that the user has come in.
    Expected,
    /// Inside, or dropped.
    Held,
    /// Gone for good.
    Gone,
}

impl<F: Clone> Scene<F> {
    /// A scene that is about to go on from its journal, by what its game was told of each seat, and by what was held of
    /// the lines. Of the first `known` seats the game has known from the beginning.
    pub fn going_on(
        id: SceneId,
        mut start: Start,
        now: Time,
        known: usize,
        whereabouts: impl Fn(Seat) -> Whereabouts,
        lines: &[HeldLine],
    ) -> Self {
        let grants = std::mem::take(&mut start.seats);
        let mut scene = Self::start(id, start);
        let grace_ms = scene.limits.grace_ms;
        for grant in grants {
            let seat = grant.player.seat;
            let line = lines.iter().find(|line| line.seat == seat);
            scene.seats.push(match whereabouts(seat) {
                Whereabouts::Expected if line.is_none() && (seat as usize) < known => SeatRow::expected(grant),
                Whereabouts::Expected if line.is_none() => SeatRow::added(grant, now),
                // Who has come in without the game having heard of it is told to it next.
                Whereabouts::Expected | Whereabouts::Held => {
                    // Whose seat SceneMaster knows to be given up does not come back.
                    let until = if grant.until <= now { now } else { now.plus_ms(grace_ms) };
                    SeatRow::held(grant, line, until, grace_ms)
                }
                Whereabouts::Gone => SeatRow::gone(grant),
            });
        }
        scene
    }

    /// What has to be known of its lines to go on when its host has died; to be written down with whatever changes it,
    /// and with the messages that wait for the game.
    pub fn to_hold(&self) -> Vec<HeldLine> {
        self.seats.iter().filter_map(SeatRow::to_hold).collect()
    }

    /// The game has got all messages that came, and they are in its journal.
    pub fn settle(&mut self) {
        self.seats.iter_mut().filter_map(SeatRow::present).for_each(super::seat::Present::settle);
    }

    /// What [`Scene::to_hold`] has told is written down, and so is what waits for the game.
    pub fn noted(&mut self) {
        self.seats.iter_mut().filter_map(SeatRow::present).for_each(super::seat::Present::noted);
    }

    /// The message that came last from a seat's user waits for the game.
    pub fn count_waiting(&mut self, seat: Seat) {
        if let Some(present) = self.seats.get_mut(seat as usize).and_then(SeatRow::present) {
            present.count_waiting();
        }
    }

    /// SceneMaster hears of the users who were inside before.
    pub(super) fn tell_held(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        let is_held = |row: &&SeatRow<F>| matches!(row.state, SeatState::Present(_));
        let held: Vec<Seat> = self.seats.iter().filter(is_held).map(|row| row.player.seat).collect();
        for seat in held {
            self.tell_master(scene_master::Event::SynUserJoined { scene: self.id, epoch: self.epoch, seat });
        }
    }
}
