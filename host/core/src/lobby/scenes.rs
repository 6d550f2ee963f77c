//! What users want of scenes that are there already: to find some, to join one in progress, to watch one.
//!
//! Invariants: everything asked is answered, refused, or ended by its deadline, and never told to a client that has
//! asked something else. Who joins is in a phase of its own, so that nobody looks for a match at the same time. Who
//! watches is in no phase: a user can search for a match, and play, and watch another game meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ANSWER_MS_MAX, Due, Lobby, Phase};
use crate::Context;
use crate::deadlines::Deadlines;
use crate::ids::{ConnectionId, SceneId, UserId};
use crate::message::{Entry, Notice, ServiceName};
use crate::rate::Buckets;
use crate::refusal::Refusal;
use crate::scene_list::{Ask, Page, Query};
use crate::scene_master::{self, Joiner};

/// How often a user may ask for scenes, a seat or a way to watch in 10 s; also all at once.
pub const SCENE_ASKS_PER_10_S: u32 = 20;
/// How many of these a user may have under way.
pub const SCENE_ASKS_MAX: usize = 4;
/// How many users' buckets are kept; those who have asked the least are forgotten first.
const BUCKETS_MAX: usize = 65_536;

/// What was asked of SceneMaster, but for seats.
#[derive(Debug, Clone)]
pub(super) struct Scenes {
    /// By the user and the lobby's number: the user's number.
    asked: BTreeMap<(UserId, u64), u32>,
    /// The last of the lobby's numbers.
    number: u64,
    rate: Buckets<UserId>,
}

impl Scenes {
    pub fn new() -> Self {
        let rate = Buckets::over(SCENE_ASKS_PER_10_S, 10_000, BUCKETS_MAX);
        Self { asked: BTreeMap::new(), number: 0, rate }
    }

    /// What an older client has asked is answered to nobody.
    pub fn forget(&mut self, user: UserId, deadlines: &mut Deadlines<Due>) {
        for number in self.of(user) {
            deadlines.clear(&Due::Scenes(user, number));
            self.asked.remove(&(user, number));
        }
    }

    fn of(&self, user: UserId) -> Vec<u64> {
        self.asked.range((user, 0)..=(user, u64::MAX)).map(|((_, number), _)| *number).collect()
    }
}

impl Lobby {
    pub(super) fn req_scenes(&mut self, connection: ConnectionId, request: u32, ask: Ask, cx: &mut Context<'_>) {
        let Some((id, _)) = self.signed_in(connection, request, cx) else { return };
        let result =
            self.scenes.rate.take(id, cx.now).map_err(|ms| Refusal::TooOften { what: "requests for games".into(), ms });
        let result = result.and_then(|()| self.may_ask_for_scenes()).and_then(|()| match ask {
            Ask::Find(query) => self.ask_for_scenes(id, request, query, cx),
            Ask::Watch(scene) => self.ask_to_watch(id, request, scene, cx),
            Ask::Join(scene) => self.ask_to_join(id, request, scene, cx),
        });
        if let Err(refusal) = result {
            self.tell(id, request, Notice::Refused(refusal), cx);
        }
    }

    /// Without the store SceneMaster's answers wait, too.
    fn may_ask_for_scenes(&self) -> Result<(), Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        let mut needed = [ServiceName::SceneMaster, ServiceName::Db].into_iter();
        needed.find(|it| self.services_down.contains(it)).map_or(Ok(()), |down| Err(Refusal::ServiceDown(down)))
    }

    fn ask_for_scenes(
        &mut self,
        user: UserId,
        request: u32,
        query: Box<Query>,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        query.check()?;
        let number = self.note_asked(user, request, cx)?;
        cx.send(scene_master::Event::ReqFindScenes { user, number, query });
        Ok(())
    }

    fn ask_to_watch(
        &mut self,
        user: UserId,
        request: u32,
        scene: SceneId,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        if matches!(self.users.get(&user).map(|user| &user.phase), Some(Phase::InScene { scene: it, .. }) if *it == scene)
        {
            return Err(Refusal::Busy("you play in this game: who plays does not watch".into()));
        }
        let number = self.note_asked(user, request, cx)?;
        cx.send(scene_master::Event::ReqWatch { user, number, scene });
        Ok(())
    }

    fn note_asked(&mut self, user: UserId, request: u32, cx: &Context<'_>) -> Result<u64, Refusal> {
        if self.scenes.of(user).len() >= SCENE_ASKS_MAX {
            return Err(Refusal::Overloaded("requests of yours that are under way".into()));
        }
        self.scenes.number += 1;
        let number = self.scenes.number;
        self.scenes.asked.insert((user, number), request);
        self.deadlines.set(Due::Scenes(user, number), cx.now.plus_ms(ANSWER_MS_MAX));
        Ok(number)
    }

    fn ask_to_join(&mut self, id: UserId, request: u32, scene: SceneId, cx: &mut Context<'_>) -> Result<(), Refusal> {
        let user = self.users.get(&id).ok_or(Refusal::Unauthenticated)?;
        match &user.phase {
            Phase::Idle => {}
            Phase::Searching { .. } => {
                return Err(Refusal::Busy("you are looking for a match: cancel it first".into()));
            }
            Phase::Joining { .. } => return Err(Refusal::Busy("you are on the way into a game already".into())),
            Phase::InScene { .. } => {
                return Err(Refusal::Busy("you are in a game: go back with req_rejoin, or leave it first".into()));
            }
        }
        // Db has told nothing of the user yet: not whom the user has blocked.
        let known = user.entered.as_ref().ok_or(Refusal::ServiceDown(ServiceName::Db))?;
        let joiner = Joiner {
            user: id,
            name: user.record.name.clone(),
            ratings: known.levels.iter().map(|(domain, level)| (domain.clone(), level.rating)).collect(),
            blocked: known.blocked.clone(),
        };
        self.scenes.number += 1;
        let number = self.scenes.number;
        self.set_phase(id, Phase::Joining { number, asked: request });
        self.deadlines.set(Due::User(id), cx.now.plus_ms(ANSWER_MS_MAX));
        cx.send(scene_master::Event::ReqJoinInProgress { number, scene, joiner: Box::new(joiner) });
        Ok(())
    }

    pub(super) fn res_find_scenes(
        &mut self,
        user: UserId,
        number: u64,
        result: Result<Box<Page>, Refusal>,
        cx: &mut Context<'_>,
    ) {
        let notice = result.map_or_else(Notice::Refused, |page| Notice::ResFindScenes(Arc::from(page)));
        self.answer_asked(user, number, notice, cx);
    }

    pub(super) fn res_watch(
        &mut self,
        user: UserId,
        number: u64,
        result: Result<(Entry, u64), Refusal>,
        cx: &mut Context<'_>,
    ) {
        let notice = result.map_or_else(Notice::Refused, |(entry, delay_ms)| Notice::ResWatch(entry, delay_ms));
        self.answer_asked(user, number, notice, cx);
    }

    pub(super) fn answer_asked(&mut self, user: UserId, number: u64, notice: Notice, cx: &mut Context<'_>) {
        self.deadlines.clear(&Due::Scenes(user, number));
        if let Some(request) = self.scenes.asked.remove(&(user, number)) {
            self.tell(user, request, notice, cx);
        }
    }

    pub(super) fn res_join_in_progress(
        &mut self,
        id: UserId,
        of_number: u64,
        result: Result<Entry, Refusal>,
        cx: &mut Context<'_>,
    ) {
        let Some(user) = self.users.get(&id) else { return };
        let request = match user.phase {
            Phase::Joining { number, asked } if number == of_number => asked,
            // It came too late to be an answer. The seat is the user's all the same.
            Phase::Idle if result.is_ok() => 0,
            Phase::InScene { scene, .. } if result.as_ref().is_ok_and(|entry| entry.scene == scene) => return,
            Phase::Idle | Phase::Joining { .. } | Phase::Searching { .. } | Phase::InScene { .. } => {
                // One who has gone elsewhere meanwhile does not come.
                if let Ok(entry) = result {
                    cx.send(scene_master::Event::ReqGiveUpSeat { user: id, scene: entry.scene });
                }
                return;
            }
        };
        self.deadlines.clear(&Due::User(id));
        match result {
            Ok(entry) => {
                let (scene, domain) = (entry.scene, entry.domain.clone());
                self.set_phase(id, Phase::InScene { scene, domain, rejoin: None });
                self.tell(id, request, Notice::ResMatch(entry), cx);
            }
            Err(refusal) => {
                self.tell(id, request, Notice::Refused(refusal), cx);
                self.set_phase(id, Phase::Idle);
            }
        }
    }

    /// SceneMaster has said nothing of a user's way into a game.
    pub(super) fn joining_ends(&mut self, id: UserId, refusal: Refusal, cx: &mut Context<'_>) {
        if let Some(Phase::Joining { number, .. }) = self.users.get(&id).map(|user| &user.phase) {
            let number = *number;
            self.res_join_in_progress(id, number, Err(refusal), cx);
        }
    }

    /// A service is down without which SceneMaster does not answer.
    pub(super) fn scenes_down(&mut self, service: ServiceName, cx: &mut Context<'_>) {
        let waiting: Vec<(UserId, u64)> = self.scenes.asked.keys().copied().collect();
        for (user, number) in waiting {
            self.answer_asked(user, number, Notice::Refused(Refusal::ServiceDown(service)), cx);
        }
        // A SceneMaster that is gone gives no seat. With the store down one may have been given, and is told later.
        if service == ServiceName::SceneMaster {
            for id in self.users_where(|user| matches!(user.phase, Phase::Joining { .. })) {
                self.joining_ends(id, Refusal::ServiceDown(service), cx);
            }
        }
    }
}
