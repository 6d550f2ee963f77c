//! Users who watch games.
//!
//! Invariants: a user watches one scene at most, the last that was asked for, and none in which the user plays; a scene
//! that has ended, or begins anew, is watched by nobody. How many watch is limited by the scene itself, which knows who
//! is there; here it is known well enough to say so.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Due, Scene, SceneMaster, TOKEN_MS_MAX};
use crate::Context;
use crate::ids::{Epoch, SceneId, UserId};
use crate::lobby;
use crate::message::{EndReason, Message};
use crate::refusal::Refusal;
use crate::scene_service;
use crate::token::Secret;

#[derive(Debug, Clone, Default)]
pub(super) struct Spectators {
    by_user: HashMap<UserId, SceneId>,
    by_scene: BTreeMap<SceneId, BTreeSet<UserId>>,
    /// Ways in that the scene has not noted yet.
    asked: BTreeMap<UserId, Asked>,
}

#[derive(Debug, Clone)]
struct Asked {
    number: u64,
    scene: SceneId,
    secret: Secret,
}

impl Spectators {
    /// How many watch a scene.
    pub fn count(&self, scene: SceneId) -> u32 {
        self.by_scene.get(&scene).map_or(0, BTreeSet::len) as u32
    }

    fn add(&mut self, user: UserId, scene: SceneId) {
        self.by_user.insert(user, scene);
        self.by_scene.entry(scene).or_default().insert(user);
    }

    fn remove(&mut self, user: UserId) -> Option<SceneId> {
        let scene = self.by_user.remove(&user)?;
        if let Some(users) = self.by_scene.get_mut(&scene) {
            users.remove(&user);
            if users.is_empty() {
                self.by_scene.remove(&scene);
            }
        }
        Some(scene)
    }
}

impl SceneMaster {
    pub(super) fn req_watch(&mut self, user: UserId, number: u64, id: SceneId, cx: &mut Context<'_>) {
        let (epoch, node, token_ms) = match self.may_watch(user, id) {
            Ok(scene) => (scene.epoch, scene.node, scene.rules.token_ms),
            Err(refusal) => return cx.send(lobby::Event::ResWatch { user, number, result: Err(refusal) }),
        };
        if self.spectators.by_user.get(&user).is_some_and(|watched| *watched != id) {
            self.stop_watching(user, EndReason::Left, cx);
        }
        let secret = Secret::draw(cx.rng);
        let token = secret.hash();
        self.spectators.add(user, id);
        self.spectators.asked.insert(user, Asked { number, scene: id, secret });
        self.deadlines.set(Due::Watch(user), cx.now.plus_ms(TOKEN_MS_MAX));
        let until = cx.now.plus_ms(TOKEN_MS_MAX + token_ms);
        let event = scene_service::Event::ReqAddSpectator { scene: id, epoch, user, token, until };
        cx.send(Message::SceneService(node, event));
    }

    fn may_watch(&self, user: UserId, id: SceneId) -> Result<&Scene, Refusal> {
        if self.spectators.asked.contains_key(&user) {
            return Err(Refusal::Busy("a game is being opened for you to watch already".into()));
        }
        let scene = self.open_scene(id)?;
        self.may_be_watched(scene)?;
        if self.by_user.get(&user).is_some_and(|(played, _)| *played == id) {
            return Err(Refusal::Busy("you play in this game: who plays does not watch".into()));
        }
        Ok(scene)
    }

    pub(super) fn may_be_watched(&self, scene: &Scene) -> Result<(), Refusal> {
        match scene.rules.spectators_max {
            0 => Err(Refusal::Forbidden("this game cannot be watched".into())),
            _ => Ok(()),
        }
    }

    pub(super) fn res_add_spectator(
        &mut self,
        id: SceneId,
        epoch: Epoch,
        user: UserId,
        result: Result<(), Refusal>,
        cx: &mut Context<'_>,
    ) {
        if self.live(id, epoch).is_some() {
            self.answer_watch(id, user, result, cx);
        }
    }

    /// A scene has not said in time whether the user may watch.
    pub(super) fn watch_due(&mut self, user: UserId, cx: &mut Context<'_>) {
        if let Some(id) = self.spectators.asked.get(&user).map(|asked| asked.scene) {
            self.answer_watch(id, user, Err(Refusal::TimedOut("opening the game for you to watch".into())), cx);
        }
    }

    fn answer_watch(&mut self, id: SceneId, user: UserId, result: Result<(), Refusal>, cx: &mut Context<'_>) {
        if self.spectators.asked.get(&user).is_none_or(|asked| asked.scene != id) {
            return;
        }
        let Some(asked) = self.spectators.asked.remove(&user) else { return };
        self.deadlines.clear(&Due::Watch(user));
        let result = result.map(|()| {
            let scene = &self.scenes[&id];
            (self.entry(id, scene, asked.secret), scene.rules.spectator_delay_ms)
        });
        if result.is_err() {
            self.spectators.remove(user);
        }
        cx.send(lobby::Event::ResWatch { user, number: asked.number, result });
    }

    pub(super) fn syn_spectator_left(&mut self, id: SceneId, epoch: Epoch, user: UserId) {
        let is_watched = self.spectators.by_user.get(&user) == Some(&id);
        if is_watched && self.live(id, epoch).is_some() && !self.spectators.asked.contains_key(&user) {
            self.spectators.remove(user);
        }
    }

    /// A scene tells who watches it. Whoever watches something else since is known by that.
    pub(super) fn syn_spectators(&mut self, id: SceneId, epoch: Epoch, users: Vec<UserId>, cx: &mut Context<'_>) {
        if self.live(id, epoch).is_none() {
            return;
        }
        for user in users {
            match self.spectators.by_user.get(&user) {
                None => self.spectators.add(user, id),
                Some(other) if *other == id => {}
                Some(_) => self.end_watching_of(user, id, EndReason::Left, cx),
            }
        }
    }

    pub(super) fn watches(&self, user: UserId, id: SceneId) -> bool {
        self.spectators.by_user.get(&user) == Some(&id)
    }

    /// A user may watch no more, or watches something else.
    pub(super) fn stop_watching(&mut self, user: UserId, reason: EndReason, cx: &mut Context<'_>) {
        let Some(scene) = self.spectators.by_user.get(&user).copied() else { return };
        self.answer_watch(scene, user, Err(Refusal::Forbidden("you may not watch this game".into())), cx);
        self.spectators.remove(user);
        self.end_watching_of(user, scene, reason, cx);
    }

    fn end_watching_of(&self, user: UserId, scene: SceneId, reason: EndReason, cx: &mut Context<'_>) {
        let Some(Scene { epoch, node, .. }) = self.scenes.get(&scene) else { return };
        let event = scene_service::Event::ReqRemoveSpectator { scene, epoch: *epoch, user, reason };
        cx.send(Message::SceneService(*node, event));
    }

    /// An incarnation, or a session, is over, and nobody watches it any more.
    pub(super) fn end_watching(&mut self, id: SceneId, refusal: &Refusal, cx: &mut Context<'_>) {
        for user in self.spectators.by_scene.remove(&id).unwrap_or_default() {
            self.spectators.by_user.remove(&user);
            self.answer_watch(id, user, Err(refusal.clone()), cx);
        }
    }
}
