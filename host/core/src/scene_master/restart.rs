//! Scenes that begin anew after their game has failed, or go on where their node is gone.
//!
//! Invariants: the next incarnation has the next epoch from the moment of the failure, so nothing that the one before
//! says counts any more; it begins later with each failure, and not for ever; its users keep their seats. Between the
//! two a scene has no slot, but for that of the node it moves to. A machine that is gone is no failure of a game that
//! goes on from its journal: it does so at once, and is counted apart, at most [`FALLS_MAX`] times in
//! [`CRASHES_WITHIN_MS`].

use super::{Due, For, MACHINE_GONE, Scene, SceneMaster, SeatState, State};
use crate::Context;
use crate::config::{CRASHES_WITHIN_MS, OnCrash};
use crate::ids::{SceneId, Time};
use crate::lobby;
use crate::message::EndReason;
use crate::record::{self, SceneRecord};
use crate::refusal::Refusal;

/// How long after its first failure a scene begins anew; each time twice as long, and up to half of it longer.
pub const RESTART_MS: u64 = 500;
/// How soon after the start of a host the scenes that the one before has left go on.
pub const GO_ON_MS: u64 = 50;
/// How often a game goes on whose machine is gone; more often counts as a failure of the game.
pub const FALLS_MAX: usize = 8;
/// How long a game whose machine is gone waits for room elsewhere; then that counts as a failure of the game.
pub const ROOM_MS_MAX: u64 = 60_000;
/// How often it looks for room meanwhile.
pub const ROOM_AGAIN_MS: u64 = 1_000;
/// The longest time without the half.
pub const RESTART_MS_MAX: u64 = 30_000;

impl Scene {
    /// It has failed, or moves, and its next incarnation is not there yet.
    pub(super) fn begins_anew(&self) -> bool {
        matches!(self.state, State::Releasing | State::Restarting) || (self.state == State::Placing && !self.is_new())
    }

    /// Whether it has time left, and somebody to play for.
    fn is_wanted_at(&self, now: Time) -> bool {
        let is_wanted = self.seats.is_empty() || self.seats.iter().any(|row| row.state != SeatState::Gone);
        is_wanted && now < self.born.plus_ms(self.rules.life_ms_max)
    }

    /// Somebody has asked for it and is not answered yet, be it only its fleet.
    pub(super) fn is_new(&self) -> bool {
        self.asked.is_some()
    }
}

impl SceneMaster {
    /// A game has failed: it begins anew, if its fleet says so and it has not failed too often.
    pub(super) fn crashed(&mut self, id: SceneId, text: String, cx: &mut Context<'_>) {
        // Who has asked for it is not answered yet, and may try again.
        if self.scenes.get(&id).is_some_and(|scene| scene.state == State::Placing && scene.is_new()) {
            return self.not_placed_in_time(id, Refusal::NotAdmitted(text), cx);
        }
        match self.may_restart(id, cx.now) {
            true => self.restart(id, text, cx),
            false => self.stop(id, EndReason::Crashed(text), Vec::new(), cx),
        }
    }

    /// Whether a scene that has failed now may begin anew.
    pub(super) fn may_restart(&mut self, id: SceneId, now: Time) -> bool {
        let Some(scene) = self.scenes.get_mut(&id) else { return false };
        let fleet = &scene.rules;
        scene.crashes.retain(|at| now.ms_since(*at) < CRASHES_WITHIN_MS);
        let may = fleet.on_crash == OnCrash::Restart && scene.crashes.len() < fleet.crashes_max as usize;
        may && scene.is_wanted_at(now) && !self.stopping
    }

    /// Whether a scene whose machine is gone goes on from its journal without that counting as a failure.
    pub(super) fn may_go_on(&mut self, id: SceneId, now: Time) -> bool {
        let Some(scene) = self.scenes.get_mut(&id) else { return false };
        scene.falls.retain(|at| now.ms_since(*at) < CRASHES_WITHIN_MS);
        scene.rules.goes_on() && scene.falls.len() < FALLS_MAX && scene.is_wanted_at(now) && !self.stopping
    }

    /// The machine of a scene is gone. It is not the game that has failed.
    pub(super) fn fell(&mut self, id: SceneId, why: &str, cx: &mut Context<'_>) {
        self.order_end(id, EndReason::Crashed(why.to_owned()), Vec::new(), false, cx);
        self.scenes.entry(id).and_modify(|scene| scene.falls.push(cx.now));
        self.next_life(id, cx.now.plus_ms(GO_ON_MS), cx);
    }

    /// A scene of the host before this one. It lived in the memory of the process that ran it, so it has ended with that;
    /// but one that was being played and has a journal goes on from it, in its next incarnation.
    pub(super) fn recovered(&mut self, id: SceneId, record: SceneRecord, cx: &mut Context<'_>) {
        let rules = self.fleets.get(&record.fleet).map(|fleet| &fleet.rules);
        let has_journal = rules.is_some_and(|rules| rules.goes_on());
        let state = State::ALL.into_iter().find(|state| state.name() == record.state);
        let was_played = matches!(
            state,
            Some(
                State::Allocated
                    | State::Running
                    | State::Empty
                    | State::Suspect
                    | State::Draining
                    | State::Releasing
                    | State::Restarting
            )
        );
        // The slot was one of the process before.
        let record = SceneRecord { holds_slot: false, to: None, ..record };
        if has_journal && was_played && record.asked.is_none() && self.restore(id, record, cx).is_ok() {
            if self.may_go_on(id, cx.now) {
                return self.fell(id, MACHINE_GONE, cx);
            }
            return self.stop(id, EndReason::Crashed(MACHINE_GONE.to_owned()), Vec::new(), cx);
        }
        cx.delete(record::scene_key(id));
    }

    /// The incarnation that has failed is ended, and the next one begins at the deadline.
    pub(super) fn restart(&mut self, id: SceneId, text: String, cx: &mut Context<'_>) {
        self.order_end(id, EndReason::Crashed(text), Vec::new(), false, cx);
        self.free_slot_to_come(id, cx);
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let doublings = scene.crashes.len().min(16);
        scene.crashes.push(cx.now);
        let after_ms = (RESTART_MS << doublings).min(RESTART_MS_MAX);
        let after_ms = after_ms + cx.rng.next_u64() % (after_ms / 2 + 1);
        self.next_life(id, cx.now.plus_ms(after_ms), cx);
    }

    /// An incarnation is over, and the next one begins then.
    pub(super) fn next_life(&mut self, id: SceneId, at: Time, cx: &mut Context<'_>) {
        self.incarnation_over(id, &Refusal::Restarting, cx);
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        scene.epoch = scene.epoch.next();
        scene.strikes.clear();
        scene.missed = None;
        for (seat, row) in (0..).zip(&mut scene.seats) {
            self.deadlines.clear(&Due::Token(id, seat));
            row.entry = None;
            row.asked = None;
        }
        self.free_slot(id, cx);
        self.enter(id, State::Restarting, Some(at), cx);
    }

    /// The time has come: the next incarnation is placed, perhaps on another node.
    pub(super) fn place_anew(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let scene = &self.scenes[&id];
        if !scene.seats.is_empty() && scene.seats.iter().all(|row| row.state == SeatState::Gone) {
            return self.stop(id, EndReason::Empty, Vec::new(), cx);
        }
        if !self.db_up {
            // Nothing begins now, which is not the scene's fault.
            return self.deadlines.set(Due::Scene(id), cx.now.plus_ms(RESTART_MS));
        }
        let may_wait = scene.falls.last().is_some_and(|at| cx.now.ms_since(*at) < ROOM_MS_MAX);
        let to = self.free_slot_to_come(id, cx).filter(|to| self.nodes.get(to).is_some_and(|node| !node.is_draining));
        let scene = &self.scenes[&id];
        let node = to.map_or_else(|| self.choose_node(&scene.rules, scene.arranged.region.as_deref(), None), Ok);
        let node = match node {
            Ok(node) => node,
            Err(_) if may_wait => {
                return self.enter(id, State::Restarting, Some(cx.now.plus_ms(ROOM_AGAIN_MS)), cx);
            }
            // It counts as a failure, so that it is not tried for ever.
            Err(refusal) => return self.crashed(id, refusal.to_string(), cx),
        };
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        scene.node = node;
        self.take_slot(id);
        self.order_scene(id, false, cx);
    }

    /// The next incarnation is there: its users are told the way in.
    pub(super) fn tell_restarted(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let scene = &self.scenes[&id];
        let ways = scene.seats.iter().filter_map(|row| Some((row.player.user, row.entry.clone()?)));
        for (user, secret) in ways {
            cx.send(lobby::Event::SynSceneRestarted { user, entry: self.entry(id, scene, secret) });
        }
        // If a SceneMaster before has placed it.
        self.open_ways(id, For::Restart, cx);
    }
}
