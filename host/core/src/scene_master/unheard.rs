//! What a fresh lobby has to know: where a user has a seat, and what was over while no lobby could be told.
//!
//! Invariants: a seat of which its user was never told is not told here either; nobody waits for a lobby that is gone.
//! Ends that may not have been heard are kept for their users, the last of each, at most [`UNHEARD_MAX`] of them; the
//! oldest go first. Who was told just before the lobby failed may hear it twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::joining::Waiting;
use super::{Asked, SceneMaster};
use crate::ids::{AllocationId, DomainName, MatchId, SceneId, Seat, Time, UserId};
use crate::message::{EndReason, SceneEnded, ServiceName};
use crate::refusal::Refusal;
use crate::{Context, lobby};

/// How long word to a lobby may be on its way when it fails: as long as that may not be noticed.
pub const HEARD_MS_MAX: u64 = 5_000;
/// How many ends are kept that may not have been heard.
pub const UNHEARD_MAX: usize = 10_000;

/// The seat that a user has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// In which scene.
    pub scene: SceneId,
    /// The domain it belongs to.
    pub domain: DomainName,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Unheard {
    lobby_down: bool,
    /// What was told a lobby that may fail yet before it has heard it, the oldest first.
    told: VecDeque<(Time, UserId, SceneEnded)>,
    /// What no lobby has heard.
    ended: BTreeMap<UserId, (Time, SceneEnded)>,
    by_age: BTreeSet<(Time, UserId)>,
}

impl Unheard {
    fn note(&mut self, user: UserId, ended: SceneEnded, now: Time) {
        if self.lobby_down {
            return self.keep(now, user, ended);
        }
        let is_over = |told: &(Time, UserId, SceneEnded)| now.ms_since(told.0) > HEARD_MS_MAX;
        while self.told.front().is_some_and(is_over) || self.told.len() >= UNHEARD_MAX {
            self.told.pop_front();
        }
        self.told.push_back((now, user, ended));
    }

    fn keep(&mut self, at: Time, user: UserId, ended: SceneEnded) {
        self.take(user);
        self.ended.insert(user, (at, ended));
        self.by_age.insert((at, user));
        if self.ended.len() > UNHEARD_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.ended.remove(&oldest);
        }
    }

    fn take(&mut self, user: UserId) -> Option<SceneEnded> {
        let (at, ended) = self.ended.remove(&user)?;
        self.by_age.remove(&(at, user));
        Some(ended)
    }

    fn lobby_down(&mut self, now: Time) {
        self.lobby_down = true;
        for (at, user, ended) in std::mem::take(&mut self.told) {
            if now.ms_since(at) <= HEARD_MS_MAX {
                self.keep(at, user, ended);
            }
        }
    }
}

impl SceneMaster {
    /// Tells a user that a scene is over for the user.
    pub(super) fn tell_ended(
        &mut self,
        user: UserId,
        allocation: Option<AllocationId>,
        ended: SceneEnded,
        cx: &mut Context<'_>,
    ) {
        self.unheard.note(user, ended.clone(), cx.now);
        cx.send(lobby::Event::SynSceneEnded { user, allocation, ended });
    }

    /// A lobby wants to know where a user has a seat.
    pub(super) fn req_seat(&mut self, user: UserId, number: u64, cx: &mut Context<'_>) {
        let held = self.by_user.get(&user).and_then(|(id, seat)| {
            let scene = self.scenes.get(id)?;
            let is_untold = scene.is_new() || self.newcomers.waits(*id, *seat);
            let domain = || scene.domain.clone().unwrap_or_else(|| DomainName::from(""));
            (!is_untold).then(|| Held { scene: *id, domain: domain() })
        });
        let ended = self.unheard.take(user);
        cx.send(lobby::Event::ResSeat { user, number, of: self.partition, held: Ok(held), ended });
    }

    /// The lobby is down, or a fresh one is up.
    pub(super) fn lobby(&mut self, up: bool, cx: &mut Context<'_>) {
        match up {
            true => self.unheard.lobby_down = false,
            false => {
                self.unheard.lobby_down(cx.now);
                self.lobby_down(cx);
            }
        }
    }

    /// Seats and ways in that a lobby has asked for which is gone: nobody was told of them.
    fn lobby_down(&mut self, cx: &mut Context<'_>) {
        let refusal = Refusal::ServiceDown(ServiceName::Lobby);
        let by_lobby = |waiting: &Waiting| matches!(waiting, Waiting::Lobby(_));
        let asked: Vec<(SceneId, Seat)> = self.newcomers.waiting(by_lobby);
        for (id, seat) in asked {
            self.ask_to_remove(id, seat, EndReason::NeverJoined, cx);
            self.take_seat_back(id, seat, refusal.clone(), cx);
        }
        for user in self.spectators.waiting() {
            self.stop_watching(user, EndReason::Left, cx);
        }
    }

    /// The match handler of a domain is down, or another one: nobody waits for the scenes and seats that are made for it.
    pub(super) fn handler_down(&mut self, domain: &DomainName, cx: &mut Context<'_>) {
        let is_asked = |scene: &super::Scene| {
            let is_of_domain = scene.asked == Some(Asked::Match) && scene.domain.as_ref() == Some(domain);
            scene.match_id.filter(|_| is_of_domain)
        };
        let mut made: Vec<(SceneId, MatchId)> =
            self.scenes.iter().filter_map(|(id, scene)| Some((*id, is_asked(scene)?))).collect();
        made.sort();
        for (id, match_id) in made {
            self.req_cancel_scene(id, match_id, cx);
        }
        for match_id in self.newcomers.matches() {
            if self.backfill.is_of(match_id, domain) {
                self.cancel_fill(match_id, cx);
            }
        }
    }
}
