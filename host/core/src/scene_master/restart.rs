//! Scenes that begin anew after their game has failed, or their node is gone.
//!
//! Invariants: the next incarnation has the next epoch from the moment of the failure, so nothing that the one before
//! says counts any more; it begins later with each failure, and not for ever; its users keep their seats. Between the
//! two a scene has no slot.

use super::{Due, For, MACHINE_GONE, Scene, SceneMaster, SeatState, State};
use crate::Context;
use crate::config::{CRASHES_WITHIN_MS, Keep, OnCrash};
use crate::ids::{SceneId, Time};
use crate::lobby;
use crate::message::EndReason;
use crate::record::{self, SceneRecord};
use crate::refusal::Refusal;

/// How long after its first failure a scene begins anew; each time twice as long, and up to half of it longer.
pub const RESTART_MS: u64 = 500;
/// How soon after the start of a host the scenes that the one before has left go on.
pub const GO_ON_MS: u64 = 50;
/// The longest time without the half.
pub const RESTART_MS_MAX: u64 = 30_000;

impl Scene {
    /// It has failed, and its next incarnation is not there yet.
    pub(super) fn begins_anew(&self) -> bool {
        self.state == State::Restarting || (self.state == State::Placing && !self.is_new())
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
        let has_time = now < scene.born.plus_ms(fleet.life_ms_max);
        let is_wanted = scene.seats.is_empty() || scene.seats.iter().any(|row| row.state != SeatState::Gone);
        let may = fleet.on_crash == OnCrash::Restart && scene.crashes.len() < fleet.crashes_max as usize;
        may && has_time && is_wanted && !self.stopping
    }

    /// A scene of the host before this one. It lived in the memory of the process that ran it, so it has ended with that;
    /// but one that was being played and has a journal goes on from it, in its next incarnation.
    pub(super) fn recovered(&mut self, id: SceneId, record: SceneRecord, cx: &mut Context<'_>) {
        let rules = self.fleets.get(&record.fleet).map(|fleet| &fleet.rules);
        let has_journal = rules.is_some_and(|it| it.journal.keep != Keep::Off && it.on_crash == OnCrash::Restart);
        let state = State::ALL.into_iter().find(|state| state.name() == record.state);
        let was_played = matches!(
            state,
            Some(
                State::Allocated | State::Running | State::Empty | State::Suspect | State::Draining | State::Restarting
            )
        );
        // The slot was one of the process before.
        let record = SceneRecord { holds_slot: false, ..record };
        if has_journal && was_played && record.asked.is_none() && self.restore(id, record, cx).is_ok() {
            if self.may_restart(id, cx.now) {
                self.restart(id, MACHINE_GONE.to_owned(), cx);
                // It is not the game that has failed.
                self.deadlines.set(Due::Scene(id), cx.now.plus_ms(GO_ON_MS));
                return;
            }
            return self.stop(id, EndReason::Crashed(MACHINE_GONE.to_owned()), Vec::new(), cx);
        }
        cx.delete(record::scene_key(id));
    }

    /// The incarnation that has failed is ended, and the next one begins at the deadline.
    pub(super) fn restart(&mut self, id: SceneId, text: String, cx: &mut Context<'_>) {
        self.order_end(id, EndReason::Crashed(text), Vec::new(), false, cx);
        self.incarnation_over(id, &Refusal::Restarting, cx);
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let doublings = scene.crashes.len().min(16);
        scene.crashes.push(cx.now);
        let after_ms = (RESTART_MS << doublings).min(RESTART_MS_MAX);
        let after_ms = after_ms + cx.rng.next_u64() % (after_ms / 2 + 1);
        scene.epoch = scene.epoch.next();
        scene.strikes.clear();
        scene.missed = None;
        for (seat, row) in (0..).zip(&mut scene.seats) {
            self.deadlines.clear(&Due::Token(id, seat));
            row.entry = None;
            row.asked = None;
        }
        self.free_slot(id, cx);
        self.enter(id, State::Restarting, Some(cx.now.plus_ms(after_ms)), cx);
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
        let node = match self.choose_node(&scene.rules, scene.arranged.region.as_deref(), None) {
            Ok(node) => node,
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
