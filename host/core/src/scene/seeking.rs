//! What a game wants of Match: players for its empty places, and the next match for users who are done here.
//!
//! Invariants: a search leaves at most once in [`SEARCH_MS_MIN`], of what the game says meanwhile the newest; that it
//! wants nobody any more leaves at once. Each has a higher number than the one before, and is said again with each
//! report, so that one that is lost is made good. Who is sent on has left the scene.

use super::seat::SeatState;
use super::{Effect, GameEvent, Notice, Scene};
use crate::ids::{DomainName, Seat, Time};
use crate::matching::backfill::Opening;
use crate::message::{EndReason, SceneEnded};
use crate::scene_master;

/// How long it is at least from one search for players to the next.
pub const SEARCH_MS_MIN: u64 = 1_000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seeking {
    /// What the game has said last, until it is told.
    wanted: Option<Vec<Opening>>,
    told: Vec<Opening>,
    /// How often something was told.
    number: u64,
    /// Before this no search is told.
    next: Time,
}

impl Seeking {
    /// When there is something to tell.
    pub fn deadline(&self) -> Option<Time> {
        self.wanted.as_ref().map(|_| self.next)
    }

    fn set(&mut self, openings: Vec<Opening>) {
        self.wanted = Some(openings);
    }

    /// What is to be told now, if anything: with its number, the openings; none: nobody is wanted.
    fn take(&mut self, now: Time) -> Option<(u64, Vec<Opening>)> {
        let openings = self.wanted.take_if(|openings| openings.is_empty() || self.next <= now)?;
        if openings.is_empty() && self.told.is_empty() {
            return None;
        }
        if !openings.is_empty() {
            self.next = now.plus_ms(SEARCH_MS_MIN);
        }
        self.number += 1;
        self.told.clone_from(&openings);
        Some((self.number, openings))
    }

    /// What was told last, if anything.
    fn told(&self) -> Option<(u64, Vec<Opening>)> {
        (self.number > 0).then(|| (self.number, self.told.clone()))
    }
}

impl<F: Clone> Scene<F> {
    /// The game wants players, or with no openings none any more.
    pub(super) fn seek_players(&mut self, now: Time, openings: Vec<Opening>) {
        if !self.is_open() {
            return;
        }
        if self.domain.is_none() {
            let text = "the search for players was not taken: this scene was not made by a match";
            return self.effects.push(Effect::Complain(text.to_owned()));
        }
        self.seeking.set(openings);
        self.tell_search(now);
    }

    /// What the game wants, when its time has come.
    pub(super) fn tell_search(&mut self, now: Time) {
        if let Some(search) = self.seeking.take(now) {
            self.send_search(search);
        }
    }

    /// What the game wants, again.
    pub(super) fn repeat_search(&mut self) {
        if let Some(search) = self.seeking.told() {
            self.send_search(search);
        }
    }

    fn send_search(&mut self, (number, openings): (u64, Vec<Opening>)) {
        let (scene, epoch) = (self.id, self.epoch);
        self.tell_master(scene_master::Event::SynSeekPlayers { scene, epoch, number, openings });
    }

    /// The game sends the users of these seats on to their next match, with one ticket or each alone, in this domain or
    /// in the one in which this scene was made. Seats whose users are not inside, nor dropped, are passed over.
    pub(super) fn match_again(&mut self, now: Time, seats: Vec<Seat>, domain: Option<DomainName>, together: bool) {
        if !self.is_open() {
            return;
        }
        let Some(domain) = domain.or_else(|| self.domain.clone()) else {
            let text =
                "nobody was sent on to the next match: this scene was not made by one, so the domain has to be said";
            return self.effects.push(Effect::Complain(text.to_owned()));
        };
        let mut sent = Vec::new();
        for seat in seats {
            if self.send_on(seat) {
                sent.push(seat);
            }
        }
        if !sent.is_empty() {
            let (scene, epoch) = (self.id, self.epoch);
            self.tell_master(scene_master::Event::SynMatchAgain { scene, epoch, seats: sent, domain, together });
        }
        self.ask_if_empty(now);
    }

    /// A user leaves for the next match. Whether one was there.
    fn send_on(&mut self, seat: Seat) -> bool {
        let reason = EndReason::NextMatch;
        let row = self.seats.get_mut(seat as usize).filter(|row| matches!(row.state, SeatState::Present(_)));
        let Some(row) = row else { return false };
        let connection = row.connection();
        row.leave(&reason);
        if let Some(connection) = connection {
            let ended = SceneEnded { scene: self.id, reason: reason.clone(), results: Vec::new() };
            self.notify(connection, 0, Notice::Ended(ended));
            self.effects.push(Effect::Close(connection));
        }
        self.effects.push(Effect::Game(GameEvent::Left(seat, reason)));
        true
    }
}
