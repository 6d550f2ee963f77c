//! The seats of scenes: who is on the way, inside, and gone, and new ways in.
//!
//! Invariants: a user has one seat, or none. A seat goes only forward, from expected to held to gone. There is a way in
//! only where the scene has noted it.

use super::{Due, For, SceneMaster, SeatState, State, TOKEN_MS_MAX};
use crate::Context;
use crate::ids::{Epoch, SceneId, Seat, UserId};
use crate::lobby;
use crate::message::{EndReason, Message, SceneEnded};
use crate::refusal::Refusal;
use crate::scene_service;
use crate::token::Secret;

impl SceneMaster {
    pub(super) fn syn_user_joined(&mut self, id: SceneId, epoch: Epoch, seat: Seat, cx: &mut Context<'_>) {
        let Some(scene) = self.live(id, epoch) else { return };
        let Some(row) = scene.seats.get_mut(seat as usize) else { return };
        if row.state == SeatState::Gone {
            // Too late: the seat was taken back, and the user may be elsewhere.
            return self.ask_to_remove(id, seat, EndReason::NeverJoined, cx);
        }
        (row.state, row.is_known) = (SeatState::Held, true);
        row.entry = None;
        if scene.state == State::Allocated {
            let life_until = scene.born.plus_ms(scene.rules.life_ms_max);
            self.enter(id, State::Running, Some(life_until), cx);
        }
    }

    pub(super) fn syn_user_left(
        &mut self,
        id: SceneId,
        epoch: Epoch,
        seat: Seat,
        reason: EndReason,
        cx: &mut Context<'_>,
    ) {
        let Some(scene) = self.live(id, epoch) else { return };
        let Some(row) = scene.seats.get_mut(seat as usize) else { return };
        if row.state == SeatState::Gone {
            return;
        }
        let is_unknown = !row.is_known;
        row.state = SeatState::Gone;
        // Also if its match is not answered yet: there is no way in any more.
        row.entry = None;
        let (user, allocation) = (row.player.user, scene.allocation);
        self.by_user.remove(&user);
        let ended = SceneEnded { scene: id, reason, results: Vec::new() };
        self.tell_ended(user, allocation, ended, cx);
        if is_unknown {
            self.free_place(id, seat);
        }
        self.end_if_nobody(id, cx);
        self.seek_anew(id, cx);
    }

    /// A scene whose last seat was given up ends soon.
    pub(super) fn end_if_nobody(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let nobody = scene.seats.iter().all(|row| row.state == SeatState::Gone);
        let empty_ms = scene.rules.empty_ms;
        match scene.state {
            State::Allocated | State::Running | State::Suspect if nobody => {
                self.enter(id, State::Empty, Some(cx.now.plus_ms(empty_ms)), cx);
            }
            State::Draining if nobody => self.stop(id, EndReason::Empty, Vec::new(), cx),
            // Or a fresh SceneMaster would think that the user still has it.
            _ => self.keep(id, cx),
        }
    }

    pub(super) fn req_rejoin(&mut self, user: UserId, cx: &mut Context<'_>) {
        let Some((id, seat)) = self.by_user.get(&user).copied() else {
            return cx.send(lobby::Event::ResRejoin { user, result: Err(Refusal::NoSeat) });
        };
        let scene = self.scenes.get_mut(&id).expect("a seat's scene is known as long as the seat");
        if scene.begins_anew() {
            return cx.send(lobby::Event::ResRejoin { user, result: Err(Refusal::Restarting) });
        }
        if matches!(scene.state, State::Placing | State::Stopping | State::Stopped) {
            return cx.send(lobby::Event::ResRejoin { user, result: Err(Refusal::SceneEnded) });
        }
        self.open_way(id, seat, For::Rejoin, cx);
    }

    /// Asks the scene to note a new way in for a seat.
    pub(super) fn open_way(&mut self, id: SceneId, seat: Seat, asked: For, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let secret = Secret::draw(cx.rng);
        let token = secret.hash();
        let row = &mut scene.seats[seat as usize];
        row.entry = Some(secret);
        row.asked = Some(asked);
        let (epoch, node) = (scene.epoch, scene.node);
        let until = cx.now.plus_ms(scene.rules.token_ms);
        self.wait_longer(id, seat, until);
        self.deadlines.set(Due::Token(id, seat), cx.now.plus_ms(TOKEN_MS_MAX));
        cx.send(Message::SceneService(
            node,
            scene_service::Event::ReqAddToken { scene: id, epoch, seat, token, until },
        ));
    }

    /// The scene gives the seat up and says so; until then the user is still on its books, and it is told again with
    /// each of its reports.
    pub(super) fn req_remove_user(&mut self, user: UserId, cx: &mut Context<'_>) {
        self.stop_watching(user, EndReason::AccountClosed, cx);
        if let Some((id, seat)) = self.by_user.get(&user).copied() {
            self.take_seat_away(id, seat, EndReason::AccountClosed, cx);
        }
    }

    pub(super) fn take_seat_away(&mut self, id: SceneId, seat: Seat, reason: EndReason, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        if scene.state == State::Restarting {
            // No scene is there to say it.
            let epoch = scene.epoch;
            return self.syn_user_left(id, epoch, seat, reason, cx);
        }
        scene.seats[seat as usize].remove = Some(reason.clone());
        self.keep(id, cx);
        self.ask_to_remove(id, seat, reason, cx);
    }

    pub(super) fn res_add_token(&mut self, id: SceneId, seat: Seat, result: Result<(), Refusal>, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let Some(row) = scene.seats.get_mut(seat as usize) else { return };
        let asked = row.asked.take().unwrap_or(For::Rejoin);
        let is_answer = matches!(asked, For::Match | For::Operator(_));
        if is_answer && result.is_err() {
            row.entry = None;
        }
        let (user, secret) = (row.player.user, row.entry.clone());
        self.deadlines.clear(&Due::Token(id, seat));
        if is_answer {
            return self.answer_when_open(id, asked, cx);
        }
        let scene = &self.scenes[&id];
        let result = match (result, secret) {
            (Ok(()), Some(secret)) => Ok(self.entry(id, scene, secret)),
            (Ok(()), None) => return, // Inside already, by the token before.
            (Err(refusal), _) => Err(refusal),
        };
        match (asked, result) {
            (For::Restart, Ok(entry)) => cx.send(lobby::Event::SynSceneRestarted { user, entry }),
            // The user was told nothing yet, and finds the way back by asking for it.
            (For::Restart, Err(_)) => {}
            (_, result) => cx.send(lobby::Event::ResRejoin { user, result }),
        }
    }
}
