//! What users want of scenes that are there already: to find some, to join one in progress, to watch one.
//!
//! Invariants: everything asked is answered, refused, or ended by its deadline, and never told to a client that has
//! asked something else. Who joins is in a phase of its own, so that nobody looks for a match at the same time. Who
//! watches is in no phase: a user can search for a match, and play, and watch another game meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ANSWER_MS_MAX, Due, Lobby, Phase};
use crate::Context;
use crate::deadlines::Deadlines;
use crate::ids::{ConnectionId, SceneId, UserId};
use crate::message::{Entry, Notice, ServiceName};
use crate::partition::{Partition, Shard};
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
    /// By the user and the lobby's number.
    asked: BTreeMap<(UserId, u64), Asked>,
    /// The last of the lobby's numbers.
    number: u64,
    rate: Buckets<UserId>,
}

#[derive(Debug, Clone)]
struct Asked {
    /// The user's number.
    request: u32,
    /// Who is to answer.
    awaited: BTreeSet<Partition>,
    /// The parts of a list that have come, and how many scenes of them are wanted.
    pages: Vec<Page>,
    limit: usize,
    /// Why there is none, of one that has none.
    refusal: Option<Refusal>,
}

impl Scenes {
    pub fn new() -> Self {
        let rate = Buckets::over(SCENE_ASKS_PER_10_S, 10_000, BUCKETS_MAX);
        Self { asked: BTreeMap::new(), number: 0, rate }
    }

    /// The numbers begin after this one.
    pub fn number_after(&mut self, last: u64) {
        self.number = last;
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
        let of = match &ask {
            Ask::Find(query) => query.to(),
            Ask::Watch(scene) | Ask::Join(scene) => Shard::of_id(scene.0).into(),
        };
        let result = result.and_then(|()| self.may_ask_for_scenes(of)).and_then(|()| match ask {
            Ask::Find(query) => self.ask_for_scenes(id, request, query, cx),
            Ask::Watch(scene) => self.ask_to_watch(id, request, scene, cx),
            Ask::Join(scene) => self.ask_to_join(id, request, scene, cx),
        });
        if let Err(refusal) = result {
            self.tell(id, request, Notice::Refused(refusal), cx);
        }
    }

    /// Whether SceneMasters can be asked that have one of these shards. Without the store their answers wait, too.
    fn may_ask_for_scenes(&self, of: Partition) -> Result<(), Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        self.masters.check(of)?;
        match self.services_down.contains(&ServiceName::Db) {
            true => Err(Refusal::ServiceDown(ServiceName::Db)),
            false => Ok(()),
        }
    }

    fn ask_for_scenes(
        &mut self,
        user: UserId,
        request: u32,
        query: Box<Query>,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        query.check()?;
        let number = self.note_asked(user, request, (query.to(), query.limit), cx)?;
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
        let number = self.note_asked(user, request, (Shard::of_id(scene.0).into(), 0), cx)?;
        cx.send(scene_master::Event::ReqWatch { user, number, scene });
        Ok(())
    }

    fn note_asked(
        &mut self,
        user: UserId,
        request: u32,
        (of, limit): (Partition, usize),
        cx: &Context<'_>,
    ) -> Result<u64, Refusal> {
        if self.scenes.of(user).len() >= SCENE_ASKS_MAX {
            return Err(Refusal::Overloaded("requests of yours that are under way".into()));
        }
        self.scenes.number += 1;
        let number = self.scenes.number;
        let awaited = self.masters.up_of(of);
        self.scenes.asked.insert((user, number), Asked { request, awaited, pages: Vec::new(), limit, refusal: None });
        self.deadlines.set(Due::Scenes(user, number), cx.now.plus_ms(ANSWER_MS_MAX));
        Ok(number)
    }

    fn ask_to_join(&mut self, id: UserId, request: u32, scene: SceneId, cx: &mut Context<'_>) -> Result<(), Refusal> {
        let user = self.users.get(&id).ok_or(Refusal::Unauthenticated)?;
        match &user.phase {
            Phase::Idle => self.has_no_seat(id)?,
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
        self.set_phase(id, Phase::Joining { scene, number, asked: request });
        self.deadlines.set(Due::User(id), cx.now.plus_ms(ANSWER_MS_MAX));
        cx.send(scene_master::Event::ReqJoinInProgress { number, scene, joiner: Box::new(joiner) });
        Ok(())
    }

    pub(super) fn res_find_scenes(
        &mut self,
        user: UserId,
        number: u64,
        of: Partition,
        result: Result<Box<Page>, Refusal>,
        cx: &mut Context<'_>,
    ) {
        let Some(asked) = self.scenes.asked.get_mut(&(user, number)).filter(|asked| asked.awaited.contains(&of)) else {
            return;
        };
        match result {
            Ok(page) => asked.pages.push(*page),
            Err(refusal) => asked.refusal = Some(refusal),
        }
        self.answers_no_more(user, number, of, cx);
    }

    /// One has said what it has to say about a part of the list, or will say nothing. The last one: the user is told
    /// what has come.
    fn answers_no_more(&mut self, user: UserId, number: u64, of: Partition, cx: &mut Context<'_>) {
        let Some(asked) = self.scenes.asked.get_mut(&(user, number)) else { return };
        if !asked.awaited.remove(&of) || !asked.awaited.is_empty() {
            return;
        }
        let (pages, limit) = (std::mem::take(&mut asked.pages), asked.limit);
        let down = Refusal::ServiceDown(ServiceName::SceneMaster);
        let notice = match pages.is_empty() {
            true => Notice::Refused(asked.refusal.take().unwrap_or(down)),
            false => Notice::ResFindScenes(Arc::new(Page::merge(pages, limit))),
        };
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
        if let Some(asked) = self.scenes.asked.remove(&(user, number)) {
            self.tell(user, asked.request, notice, cx);
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
            Phase::Joining { number, asked, .. } if number == of_number => asked,
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

    /// The store is down, without which no SceneMaster answers. Who is on the way into a game may have a seat, and is
    /// told later.
    pub(super) fn scenes_not_told(&mut self, why: &Refusal, cx: &mut Context<'_>) {
        let waiting: Vec<(UserId, u64)> = self.scenes.asked.keys().copied().collect();
        for (user, number) in waiting {
            self.answer_asked(user, number, Notice::Refused(why.clone()), cx);
        }
    }

    /// A SceneMaster that is gone answers nothing, and gives no seat.
    pub(super) fn scene_master_answers_no_more(&mut self, partition: Partition, cx: &mut Context<'_>) {
        let waiting: Vec<(UserId, u64)> = self.scenes.asked.keys().copied().collect();
        for (user, number) in waiting {
            self.answers_no_more(user, number, partition, cx);
        }
        let is_joining =
            |phase: &Phase| matches!(phase, Phase::Joining { scene, .. } if partition.has(Shard::of_id(scene.0)));
        for id in self.users_where(|user| is_joining(&user.phase)) {
            self.joining_ends(id, Refusal::ServiceDown(ServiceName::SceneMaster), cx);
        }
    }
}
