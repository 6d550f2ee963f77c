//! How scenes come to be, and to be used: where they run, who has a seat, and who is answered once they are there.
//!
//! Invariants: a scene has a slot of its node before the node is asked; whoever has asked for a scene is answered once,
//! when it is there or will not be. An allocation gets the scene that is ready for the longest time, and a fresh one
//! where none is; every session has an epoch of its own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::fleets::{FleetState, Standing};
use super::nodes::Nearness;
use super::{
    Answer, ByHand, For, Matched, PLACE_MS_MAX, PLACES_MAX, Scene, SceneMaster, SeatRow, SeatState, State, TOKEN_MS_MAX,
};
use crate::Context;
use crate::config::{Fleet, StartOn};
use crate::ids::{AllocationId, DomainName, Epoch, FleetName, MatchId, NodeId, SceneId, Seat, UserId};
use crate::matching;
use crate::message::{Arranged, EndReason, Entry, Message, Player};
use crate::partition::Shard;
use crate::refusal::Refusal;
use crate::scene_service::{self, SeatGrant};
use crate::token::Secret;

/// How long the match of a scene that a SceneMaster before has placed may take to ask for it again.
const MATCH_AGAIN_MS: u64 = 5_000;

/// Who waits for a scene that is being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// Nobody: it is to be ready.
    Standby,
    /// An operator who started some by hand, with this number.
    Hand(u64),
    /// An operator who reserves it for so many milliseconds.
    Reserve(u64, u64),
    /// An operator who puts users together.
    Allocate(u64),
    /// The domain's match handler.
    Match,
}

/// Who gets a scene.
pub(super) struct Allocation {
    pub asked: Asked,
    pub domain: Option<DomainName>,
    pub match_id: Option<MatchId>,
    pub players: Vec<Matched>,
    pub arranged: Arranged,
}

/// What a scene is made of.
enum Nearest {
    /// One that is there.
    Ready(SceneId),
    /// Room on a node.
    Node(NodeId),
}

impl Matched {
    /// As the player of a seat.
    pub(super) fn at(self, seat: Seat) -> Player {
        let Self { user, name, rating, team, role, party } = self;
        Player { seat, user, name, rating, team, role, party }
    }
}

impl SeatRow {
    /// Its user is on the way in, and the way is not known any more.
    fn has_lost_way(&self) -> bool {
        self.state == SeatState::Expected && self.entry.is_none()
    }
}

impl SceneMaster {
    pub(super) fn req_create_scene(
        &mut self,
        match_id: MatchId,
        domain: DomainName,
        fleet: FleetName,
        players: Vec<Matched>,
        arranged: Arranged,
        cx: &mut Context<'_>,
    ) {
        if let Some(id) = self.by_match.get(&match_id).copied() {
            let scene = &self.scenes[&id];
            return match scene.state {
                // The scene has gone on to another match.
                _ if scene.match_id != Some(match_id) => refuse_match(domain, match_id, Refusal::SceneEnded, cx),
                State::Placing | State::Releasing | State::Restarting => {} // The answer is on its way, or was given.
                State::Allocated | State::Running | State::Suspect | State::Draining => {
                    self.open_ways(id, For::Match, cx);
                }
                State::Ready | State::Reserved | State::Empty | State::Stopping | State::Stopped => {
                    refuse_match(domain, match_id, Refusal::SceneEnded, cx)
                }
            };
        }
        let (asked, of) = (Asked::Match, Some(domain.clone()));
        let allocation = Allocation { asked, domain: of, match_id: Some(match_id), players, arranged };
        match self.allocate(&fleet, allocation, cx) {
            Ok(scene) => _ = self.by_match.insert(match_id, scene),
            Err(refusal) => refuse_match(domain, match_id, refusal, cx),
        }
    }

    /// Gives players a scene of a fleet, one that is ready or a fresh one.
    ///
    /// # Errors
    /// Without a fleet or room, or if one of the players has a seat elsewhere.
    pub(super) fn allocate(
        &mut self,
        fleet: &FleetName,
        allocation: Allocation,
        cx: &mut Context<'_>,
    ) -> Result<SceneId, Refusal> {
        let FleetState { rules, .. } = self.open_fleet(fleet)?;
        let rules = Arc::clone(rules);
        if allocation.asked != Asked::Match {
            self.check_seats(&allocation.players, cx)?;
        }
        let id = match self.nearest(fleet, &rules, allocation.arranged.region.as_deref())? {
            Nearest::Ready(id) => id,
            Nearest::Node(node) => self.place(fleet, node, Asked::Standby, cx),
        };
        for player in &allocation.players {
            if self.by_user.contains_key(&player.user) {
                // For the lobby the user is in no game, and so does not know of that seat.
                cx.fault(format!("user {} was matched while holding a seat", player.user));
                self.give_up_seat(player.user, cx);
            }
        }
        self.give(id, allocation, cx);
        Ok(id)
    }

    /// What a scene is made of: one that is ready in the wanted region, or a node there with room; else the same of no
    /// region.
    fn nearest(&self, name: &FleetName, rules: &Fleet, region: Option<&str>) -> Result<Nearest, Refusal> {
        for near in Nearness::of(region) {
            if let Some(id) = self.ready_scene(name, near) {
                return Ok(Nearest::Ready(id));
            }
            if rules.start == StartOn::Hand {
                continue;
            }
            if let Some(node) = self.node_near(rules, near, None) {
                return Ok(Nearest::Node(node));
            }
        }
        Err(match rules.start {
            StartOn::Hand => Refusal::Overloaded("scenes that are ready: this fleet's are started by hand".into()),
            _ => self.no_room(region),
        })
    }

    /// No operator puts anybody into two scenes; the lobby gives a seat up that is in another partition.
    pub(super) fn check_seats(&self, players: &[Matched], cx: &mut Context<'_>) -> Result<(), Refusal> {
        match players.iter().find(|player| self.by_user.contains_key(&player.user)) {
            Some(player) => {
                cx.fault(format!("user {} was to be put into two scenes", player.user));
                Err(Refusal::Busy("one of the players is still in another game".into()))
            }
            None => Ok(()),
        }
    }

    /// Gives a scene that nobody uses to these players: its next epoch is their session.
    pub(super) fn give(&mut self, id: SceneId, allocation: Allocation, cx: &mut Context<'_>) {
        let Allocation { asked, domain, match_id, players, arranged } = allocation;
        let number = AllocationId(Shard::of_id(id.0).id(cx.rng.next_u64()));
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let Some(fleet) = self.fleets.get_mut(&scene.fleet) else { return };
        let reuse = matches!(scene.state, State::Ready | State::Reserved);
        if reuse {
            scene.epoch = scene.epoch.next();
        }
        // It begins its session with the rules and a build of now, also if it was made ready with others.
        (scene.build, scene.rules) = (fleet.build_after(scene.build), Arc::clone(&fleet.rules));
        (scene.asked, scene.allocation) = (Some(asked), Some(number));
        (scene.domain, scene.match_id, scene.arranged) = (domain, match_id, arranged);
        (scene.born, scene.end) = (cx.now, None);
        scene.crashes.clear();
        scene.falls.clear();
        scene.strikes.clear();
        scene.missed = None;
        scene.sessions += 1;
        let seats = (0..).zip(players).map(|(seat, player)| SeatRow {
            player: player.at(seat),
            state: SeatState::Expected,
            is_known: true,
            entry: None,
            asked: None,
            remove: None,
        });
        scene.seats = seats.collect();
        let users: Vec<_> = scene.seats.iter().map(|row| row.player.user).collect();
        for (seat, user) in (0..).zip(users) {
            self.by_user.insert(user, (id, seat));
        }
        self.order_scene(id, reuse, cx);
    }

    pub(super) fn req_create_by_hand(&mut self, number: u64, fleet: &FleetName, count: u32, cx: &mut Context<'_>) {
        let mut order = ByHand { open: 0, made: Vec::new(), refusal: None };
        for _ in 0..count {
            let node = self.open_fleet(fleet).and_then(|fleet| self.choose_node(&fleet.rules, None, None));
            match node {
                Ok(node) => {
                    let id = self.place(fleet, node, Asked::Hand(number), cx);
                    self.order_scene(id, false, cx);
                    order.open += 1;
                }
                Err(refusal) => {
                    order.refusal = Some(refusal);
                    break;
                }
            }
        }
        self.orders.insert(number, order);
        self.settle_order(number, cx);
    }

    /// A new scene that has a slot of a node and is not ordered yet.
    pub(super) fn place(&mut self, fleet: &FleetName, node: NodeId, asked: Asked, cx: &mut Context<'_>) -> SceneId {
        let id = SceneId(Shard::of_fleet(fleet).id(cx.rng.next_u64()));
        // Whoever asks for a place has found the fleet.
        let of = self.fleets.entry(fleet.clone()).or_default();
        let scene = Scene {
            epoch: Epoch(1),
            state: State::Placing,
            fleet: fleet.clone(),
            rules: Arc::clone(&of.rules),
            build: of.next_build(),
            standing: Standing::Other,
            counted_on: None,
            asked: Some(asked),
            allocation: None,
            domain: None,
            match_id: None,
            arranged: Arranged::default(),
            seeks: 0,
            past_matches: Vec::new(),
            node,
            usage: None,
            to: None,
            places: 0,
            sessions: 0,
            born: cx.now,
            seats: Vec::new(),
            crashes: Vec::new(),
            falls: Vec::new(),
            strikes: Vec::new(),
            missed: None,
            end: None,
        };
        self.scenes.insert(id, scene);
        self.counts.begun();
        self.take_slot(id);
        id
    }

    /// Orders the scene's incarnation on its node, with new ways in for those who have a seat. Where `reuse` says so,
    /// in the instance of an incarnation before, if that is still there and of the same build.
    pub(super) fn order_scene(&mut self, id: SceneId, reuse: bool, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let until = cx.now.plus_ms(PLACE_MS_MAX + scene.rules.token_ms);
        let mut arranged = scene.arranged.clone();
        if arranged.region.is_none() {
            arranged.region = self.nodes.get(&scene.node).and_then(|node| node.region.clone());
        }
        let mut grants = Vec::with_capacity(scene.seats.len());
        for row in &mut scene.seats {
            let secret = Secret::draw(cx.rng);
            let token = secret.hash();
            // Who has given the seat up has it in the new game, too, and gives it up at once.
            let is_gone = row.state == SeatState::Gone;
            let until = if is_gone { cx.now } else { until };
            grants.push(SeatGrant { player: row.player.clone(), token, until });
            row.is_known = true;
            if !is_gone {
                row.state = SeatState::Expected;
                row.entry = Some(secret);
            }
        }
        scene.places += 1;
        let event = scene_service::Event::ReqCreateScene {
            scene: id,
            epoch: scene.epoch,
            fleet: scene.fleet.clone(),
            build: scene.build,
            reuse,
            domain: scene.domain.clone(),
            seed: cx.rng.next_u64(),
            arranged,
            seats: grants,
        };
        let node = scene.node;
        self.enter(id, State::Placing, Some(cx.now.plus_ms(PLACE_MS_MAX)), cx);
        cx.send(Message::SceneService(node, event));
    }

    pub(super) fn res_create_scene(
        &mut self,
        id: SceneId,
        epoch: Epoch,
        result: Result<(), Refusal>,
        cx: &mut Context<'_>,
    ) {
        let Some(scene) = self.scenes.get(&id).filter(|scene| scene.epoch == epoch) else {
            return if result.is_ok() {
                self.end_stray(id, epoch, cx)
            };
        };
        match (scene.state, result) {
            (State::Placing, Ok(())) => self.placed(id, cx),
            (State::Placing, Err(refusal)) if !scene.is_new() => self.crashed(id, refusal.to_string(), cx),
            (State::Placing, Err(refusal)) if refusal.is_passing() && self.place_elsewhere(id, cx) => {}
            (State::Placing, Err(refusal)) => self.not_placed(id, refusal, cx),
            (State::Stopped, Ok(())) => self.end_stray(id, epoch, cx),
            // It was answered before, or its end is ordered already.
            _ => {}
        }
    }

    /// The scene is there: it is ready, or the way in is told to whom it was given.
    fn placed(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let asked = scene.asked.take();
        scene.places = 0;
        let (fleet, born) = (scene.fleet.clone(), scene.born);
        self.was_placed(&fleet);
        let scene = &self.scenes[&id];
        if scene.allocation.is_none() {
            let is_draining = self.nodes.get(&self.scenes[&id].node).is_none_or(|node| node.is_draining);
            match asked {
                Some(Asked::Reserve(number, for_ms)) if !is_draining => return self.reserved(id, number, for_ms, cx),
                // It would end before it could be used.
                Some(Asked::Reserve(..)) => self.refuse(id, asked, Refusal::Overloaded("scenes".into()), cx),
                Some(Asked::Hand(number)) => self.count_order(number, Ok(id), cx),
                _ => {}
            }
            return self.ready(id, cx);
        }
        let (rules, nobody) = (&scene.rules, scene.seats.is_empty());
        let way_in_ms = if nobody { rules.empty_ms } else { PLACE_MS_MAX + rules.token_ms };
        let state = if nobody { State::Empty } else { State::Allocated };
        self.enter(id, state, Some(cx.now.plus_ms(way_in_ms)), cx);
        if asked.is_some() {
            self.counts.allocated(cx.now.ms_since(born));
        }
        match asked {
            Some(Asked::Allocate(number)) => self.open_ways(id, For::Operator(number), cx),
            // It was placed by the SceneMaster before. Its match asks again, if there still is one.
            Some(_) if self.scenes[&id].seats.iter().any(SeatRow::has_lost_way) => {
                self.enter(id, state, Some(cx.now.plus_ms(MATCH_AGAIN_MS)), cx);
            }
            Some(_) => self.answer_match(id, cx),
            None => self.tell_restarted(id, cx),
        }
        if self.nodes.get(&self.scenes[&id].node).is_some_and(|node| node.is_draining) {
            self.drain(id, cx);
        }
    }

    /// The node had no room, or is gone: another one is asked, a few times. Whether there is one.
    pub(super) fn place_elsewhere(&mut self, id: SceneId, cx: &mut Context<'_>) -> bool {
        let Some(scene) = self.scenes.get(&id).filter(|scene| scene.places < PLACES_MAX) else { return false };
        let (rules, region, before) = (Arc::clone(&scene.rules), scene.arranged.region.as_deref(), scene.node);
        let Ok(node) = self.choose_node(&rules, region, Some(before)) else { return false };
        // It might begin there yet, or an instance that was to be used again lives on.
        self.order_end(id, EndReason::Expired, Vec::new(), false, cx);
        self.free_slot(id, cx);
        let Some(scene) = self.scenes.get_mut(&id) else { return false };
        (scene.node, scene.epoch) = (node, scene.epoch.next());
        self.take_slot(id);
        self.order_scene(id, false, cx);
        true
    }

    /// A scene that did not begin: its slot and its users are free again.
    pub(super) fn not_placed(&mut self, id: SceneId, refusal: Refusal, cx: &mut Context<'_>) {
        if self.scenes.get(&id).is_some_and(|scene| scene.epoch > Epoch(1)) {
            // The instance that was to be used again lives on.
            self.order_end(id, EndReason::Expired, Vec::new(), false, cx);
        }
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let asked = scene.asked.take();
        // Who has given the seat up before may have one elsewhere by now.
        for row in scene.seats.iter_mut().filter(|row| row.state != SeatState::Gone) {
            row.state = SeatState::Gone;
            self.by_user.remove(&row.player.user);
        }
        self.stopped(id, cx);
        self.refuse(id, asked, refusal, cx);
    }

    /// Whoever waits for a scene is told that there will be none.
    pub(super) fn refuse(&mut self, id: SceneId, asked: Option<Asked>, refusal: Refusal, cx: &mut Context<'_>) {
        let Some(Scene { match_id, domain, fleet, .. }) = self.scenes.get(&id) else { return };
        let (match_id, domain, fleet) = (*match_id, domain.clone(), fleet.clone());
        match asked {
            Some(Asked::Standby) => self.not_provisioned(&fleet, cx),
            Some(Asked::Hand(number)) => self.count_order(number, Err(refusal), cx),
            Some(Asked::Reserve(number, _) | Asked::Allocate(number)) => {
                cx.send(Message::Operator(number, Err(refusal)));
            }
            Some(Asked::Match) => {
                if let (Some(domain), Some(match_id)) = (domain, match_id) {
                    refuse_match(domain, match_id, refusal, cx);
                }
            }
            None => {}
        }
    }

    /// Opens ways in where they are not known any more, and tells who is to know them as soon as they are open.
    pub(super) fn open_ways(&mut self, id: SceneId, asked: For, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let lost = (0..).zip(&scene.seats).filter(|(_, row)| row.has_lost_way() && row.asked.is_none());
        let lost: Vec<Seat> = lost.map(|(seat, _)| seat).collect();
        if scene.state == State::Allocated && !lost.is_empty() {
            let until = cx.now.plus_ms(TOKEN_MS_MAX + scene.rules.token_ms);
            self.enter(id, State::Allocated, Some(until), cx);
        }
        for seat in lost {
            self.open_way(id, seat, asked, cx);
        }
        self.answer_when_open(id, asked, cx);
    }

    /// Answers whoever has asked for the scene as soon as it has noted all ways in, or has not for too long; who has
    /// none then does not come.
    pub(super) fn answer_when_open(&mut self, id: SceneId, asked: For, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        if scene.seats.iter().any(|row| row.asked == Some(asked)) {
            return;
        }
        let without: Vec<UserId> =
            scene.seats.iter().filter(|row| row.has_lost_way()).map(|row| row.player.user).collect();
        match asked {
            For::Match => self.answer_match(id, cx),
            For::Operator(number) => self.answer_allocation(id, number, cx),
            // Each user is told alone.
            For::Rejoin | For::Restart => return,
        }
        for user in without {
            self.give_up_seat(user, cx);
        }
    }

    fn answer_match(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let scene = &self.scenes[&id];
        let (Some(domain), Some(match_id)) = (scene.domain.clone(), scene.match_id) else { return };
        let entries =
            scene.seats.iter().filter_map(|row| Some((row.player.user, self.entry(id, scene, row.entry.clone()?))));
        let result = Ok(entries.collect());
        cx.send(Message::Match(domain, matching::Event::ResCreateScene { match_id, result }));
    }

    pub(super) fn entry(&self, id: SceneId, scene: &Scene, secret: Secret) -> Entry {
        let url = self.nodes.get(&scene.node).map(|node| format!("{}/{id}", node.url)).unwrap_or_default();
        let domain = scene.domain.clone().unwrap_or_else(|| DomainName::from(""));
        Entry { scene: id, allocation: scene.allocation, domain, url, secret, expires_in_ms: scene.rules.token_ms }
    }

    /// The node was silent: whether the scene runs is unknown, so its end is ordered too.
    pub(super) fn not_placed_in_time(&mut self, id: SceneId, refusal: Refusal, cx: &mut Context<'_>) {
        self.order_end(id, EndReason::Expired, Vec::new(), false, cx);
        self.not_placed(id, refusal, cx);
    }

    fn count_order(&mut self, number: u64, result: Result<SceneId, Refusal>, cx: &mut Context<'_>) {
        let Some(order) = self.orders.get_mut(&number) else { return };
        order.open -= 1;
        match result {
            Ok(scene) => order.made.push(scene),
            Err(refusal) => order.refusal = Some(refusal),
        }
        self.settle_order(number, cx);
    }

    fn settle_order(&mut self, number: u64, cx: &mut Context<'_>) {
        if self.orders.get(&number).is_some_and(|order| order.open == 0)
            && let Some(order) = self.orders.remove(&number)
        {
            let result = match order.refusal {
                Some(refusal) if order.made.is_empty() => Err(refusal),
                _ => Ok(Box::new(Answer::Scenes(order.made))),
            };
            cx.send(Message::Operator(number, result));
        }
    }
}

pub(super) fn refuse_match(domain: DomainName, match_id: MatchId, refusal: Refusal, cx: &mut Context<'_>) {
    let event = matching::Event::ResCreateScene { match_id, result: Err(refusal) };
    cx.send(Message::Match(domain, event));
}
