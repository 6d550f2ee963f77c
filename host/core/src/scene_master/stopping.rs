//! How scenes end: who asks for it, what is decided, and what users are told.
//!
//! Invariants: the first reason counts, and users hear it once. A scene that has ended is remembered as a tombstone for
//! [`TOMBSTONE_MS`], at most [`TOMBSTONES_MAX`] of them, so that late questions have an answer.

use super::{Ask, Due, PAST_MATCHES_MAX, STOP_MS_MAX, SceneMaster, SeatState, State, TOMBSTONE_MS, TOMBSTONES_MAX};
use crate::Context;
use crate::ids::{Epoch, SceneId};
use crate::message::{EndReason, PlayerResult, SceneEnded};
use crate::refusal::Refusal;

impl SceneMaster {
    pub(super) fn req_ask_destroy_scene(&mut self, id: SceneId, epoch: Epoch, ask: Ask, cx: &mut Context<'_>) {
        let Some(scene) = self.live(id, epoch) else {
            // Nobody knows this incarnation: it must not live on.
            return self.end_stray(id, epoch, cx);
        };
        let on_the_way = scene.seats.iter().any(|row| row.state == SeatState::Expected);
        match (scene.state, ask) {
            // Told to stop, the game has come to a result all the same.
            (State::Stopping, Ask::Finished(results)) if !results.is_empty() => {
                if let Some((_, of_end)) = &mut scene.end
                    && of_end.is_empty()
                {
                    of_end.clone_from(&results);
                    self.decided(id, results, cx);
                    self.enter(id, State::Stopping, self.deadlines.get(&Due::Scene(id)), cx);
                }
            }
            (State::Stopping, _) => {}
            (State::Stopped, _) => self.end_stray(id, epoch, cx),
            (
                State::Placing
                | State::Allocated
                | State::Running
                | State::Suspect
                | State::Draining
                | State::Releasing,
                Ask::Empty,
            ) if on_the_way => {}
            (_, Ask::Empty) => self.stop(id, EndReason::Empty, Vec::new(), cx),
            (_, Ask::Finished(results)) => self.stop(id, EndReason::Finished, results, cx),
            (_, Ask::Crashed(text)) => self.crashed(id, text, cx),
            (_, Ask::GivenUp(text)) => self.stop(id, EndReason::Crashed(text), Vec::new(), cx),
        }
    }

    pub(super) fn stop_all(&mut self, cx: &mut Context<'_>) {
        self.stopping = true;
        let mut running: Vec<SceneId> = self
            .scenes
            .iter()
            .filter(|(_, it)| !matches!(it.state, State::Stopping | State::Stopped))
            .map(|(id, _)| *id)
            .collect();
        running.sort();
        for id in running {
            let scene = &self.scenes[&id];
            if scene.state == State::Placing && scene.is_new() {
                self.not_placed_in_time(id, Refusal::Stopping, cx);
            } else {
                self.stop(id, EndReason::Stopped, Vec::new(), cx);
            }
        }
    }

    /// Orders a scene's end.
    pub(super) fn stop(&mut self, id: SceneId, reason: EndReason, results: Vec<PlayerResult>, cx: &mut Context<'_>) {
        let keep = self.scenes.contains_key(&id) && self.may_be_kept(id, &reason);
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        scene.end = Some((reason.clone(), results.clone()));
        let grace_ms = u64::from(scene.rules.stop_grace_ms);
        // One that ends by itself before anybody uses it would do so again: the next one comes later.
        let is_in_vain = scene.allocation.is_none()
            && matches!(reason, EndReason::Finished | EndReason::Crashed(_) | EndReason::Misbehaved(_));
        let (asked, fleet) = (scene.asked.take(), scene.fleet.clone());
        if is_in_vain {
            self.not_provisioned(&fleet, cx);
        }
        self.refuse(id, asked, Refusal::SceneEnded, cx);
        self.decided(id, results.clone(), cx);
        self.order_end(id, reason, results, keep, cx);
        self.enter(id, State::Stopping, Some(cx.now.plus_ms(grace_ms + STOP_MS_MAX)), cx);
    }

    pub(super) fn res_destroy_scene(&mut self, id: SceneId, epoch: Epoch, kept: bool, cx: &mut Context<'_>) {
        if kept && !self.is_to_be_kept(id, epoch) {
            return; // It is ordered since that the instance ends, too, or it serves the next session already.
        }
        self.end_confirmed(id, epoch);
        match self.live(id, epoch).map(|it| it.state) {
            None | Some(State::Stopped) => {}
            Some(State::Stopping) if kept => self.session_over(id, cx),
            // Its node has given up making it, and that was not heard.
            Some(State::Placing) if self.scenes[&id].is_new() => self.not_placed(id, Refusal::SceneEnded, cx),
            Some(_) => self.stopped(id, cx),
        }
    }

    /// Its node has not said that the scene has ended. If its instance was to be kept, it is not any more.
    pub(super) fn give_up(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(epoch) = self.scenes.get(&id).map(|scene| scene.epoch) else { return };
        self.keep_no_more(id, epoch, cx);
        self.stopped(id, cx);
    }

    /// The session of a scene is over whose instance is kept: its users are told, and it is ready for the next one.
    pub(super) fn session_over(&mut self, id: SceneId, cx: &mut Context<'_>) {
        self.tell_end(id, cx);
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        (scene.allocation, scene.domain, scene.end) = (None, None, None);
        scene.seats.clear();
        scene.past_matches.extend(scene.match_id.take());
        let too_many = scene.past_matches.len().saturating_sub(PAST_MATCHES_MAX);
        for match_id in scene.past_matches.drain(..too_many) {
            self.by_match.remove(&match_id);
        }
        self.ready(id, cx);
    }

    /// What was known of an incarnation, or a session, beside its seats is over with it.
    pub(super) fn incarnation_over(&mut self, id: SceneId, refusal: &Refusal, cx: &mut Context<'_>) {
        self.forget_label(id);
        self.forget_search(id, refusal, cx);
        self.forget_newcomers(id);
        self.end_watching(id, refusal, cx);
    }

    /// The users of a scene that is over are told and are back in the lobby.
    pub(super) fn tell_end(&mut self, id: SceneId, cx: &mut Context<'_>) {
        self.incarnation_over(id, &Refusal::SceneEnded, cx);
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let (reason, results) = scene.end.clone().unwrap_or((EndReason::Stopped, Vec::new()));
        let allocation = scene.allocation;
        self.counts.ended(reason.name());
        let mut users = Vec::new();
        for (seat, row) in (0..).zip(&mut scene.seats) {
            self.deadlines.clear(&Due::Token(id, seat));
            if row.state != SeatState::Gone {
                row.state = SeatState::Gone;
                self.by_user.remove(&row.player.user);
                users.push(row.player.user);
            }
        }
        for user in users {
            let ended = SceneEnded { scene: id, reason: reason.clone(), results: results.clone() };
            self.tell_ended(user, allocation, ended, cx);
        }
    }

    /// A scene has ended, and its slot is free.
    pub(super) fn stopped(&mut self, id: SceneId, cx: &mut Context<'_>) {
        self.tell_end(id, cx);
        self.free_slot(id, cx);
        self.enter(id, State::Stopped, Some(cx.now.plus_ms(TOMBSTONE_MS)), cx);
        self.tombstones.push_back(id);
        if self.tombstones.len() > TOMBSTONES_MAX
            && let Some(oldest) = self.tombstones.front().copied()
        {
            self.deadlines.clear(&Due::Scene(oldest));
            self.forget(oldest);
        }
    }

    pub(super) fn forget(&mut self, id: SceneId) {
        // They are forgotten in the order in which they have ended, so it is nearly always the first.
        match self.tombstones.front() {
            Some(first) if *first == id => _ = self.tombstones.pop_front(),
            _ => self.tombstones.retain(|it| *it != id),
        }
        if let Some(scene) = self.scenes.remove(&id) {
            for match_id in scene.past_matches.iter().chain(&scene.match_id) {
                self.by_match.remove(match_id);
            }
        }
    }
}
