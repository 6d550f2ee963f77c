//! How scenes come to be: where they run, who has a seat, and who is answered once they are there.
//!
//! Invariants: a scene has a slot of its node before the node is asked; whoever has asked for a scene is answered once,
//! when it is there or will not be.

use super::{
    FIRST_EPOCH, For, Matched, Order, PLACE_MS_MAX, Scene, SceneMaster, SeatRow, SeatState, State, TOKEN_MS_MAX,
};
use crate::Context;
use crate::config::Fleet;
use crate::ids::{DomainName, Epoch, FleetName, MatchId, NodeId, SceneId, Seat, UserId};
use crate::matching;
use crate::message::{EndReason, Entry, Message, Player, ServiceName};
use crate::refusal::Refusal;
use crate::scene_service::{self, SeatGrant};
use crate::token::Secret;

/// How long the match of a scene that a SceneMaster before has placed may take to ask for it again.
const MATCH_AGAIN_MS: u64 = 5_000;

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
        cx: &mut Context<'_>,
    ) {
        if let Some(scene) = self.by_match.get(&match_id) {
            let scene = *scene;
            return match self.scenes[&scene].state {
                State::Placing | State::Restarting => {} // The answer is on its way, or was given.
                State::Allocated | State::Running | State::Suspect => self.open_ways(scene, For::Match, cx),
                State::Empty | State::Stopping | State::Stopped => {
                    refuse_match(domain, match_id, Refusal::SceneEnded, cx)
                }
            };
        }
        let (node, fleet_config) = match self.choose_node(&fleet) {
            Ok(chosen) => chosen,
            Err(refusal) => return refuse_match(domain, match_id, refusal, cx),
        };
        let token_ms = fleet_config.token_ms;
        for player in &players {
            if self.by_user.contains_key(&player.user) {
                // For the lobby the user is in no game, and so does not know of that seat.
                cx.fault(format!("user {} was matched while holding a seat", player.user));
                self.give_up_seat(player.user, cx);
            }
        }
        let token_until = cx.now.plus_ms(PLACE_MS_MAX + token_ms);
        let mut seats = Vec::with_capacity(players.len());
        let mut grants = Vec::with_capacity(players.len());
        for (seat, player) in (0..).zip(players) {
            let secret = Secret::draw(cx.rng);
            let token = secret.hash();
            let player =
                Player { seat, user: player.user, name: player.name, rating: player.rating, team: player.team };
            seats.push(SeatRow {
                player: player.clone(),
                state: SeatState::Expected,
                entry: Some(secret),
                asked: None,
                remove: None,
            });
            grants.push(SeatGrant { player, token, until: token_until });
        }
        let scene = self.place(fleet, Some(domain), Some(match_id), None, node, seats, grants, cx);
        self.by_match.insert(match_id, scene);
    }

    pub(super) fn req_create_by_hand(&mut self, number: u64, fleet: &FleetName, count: u32, cx: &mut Context<'_>) {
        let mut order = Order { open: 0, made: Vec::new(), refusal: None };
        let mut scenes = Vec::new();
        for _ in 0..count {
            match self.choose_node(fleet) {
                Ok((node, _)) => {
                    scenes.push(self.place(fleet.clone(), None, None, Some(number), node, Vec::new(), Vec::new(), cx))
                }
                Err(refusal) => {
                    order.refusal = Some(refusal);
                    break;
                }
            }
        }
        order.open = scenes.len() as u32;
        self.orders.insert(number, order);
        self.settle_order(number, cx);
    }

    /// A node with a free slot for one more scene of a fleet: the one with the most free slots.
    pub(super) fn choose_node(&self, fleet: &FleetName) -> Result<(NodeId, &Fleet), Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        if !self.db_up {
            // It would wait for its record to be written, and its users with it.
            return Err(Refusal::ServiceDown(ServiceName::Db));
        }
        let config =
            self.fleets.get(fleet).ok_or_else(|| Refusal::NotFound(format!("fleet named {:?}", fleet.as_str())))?;
        let (node, _) = self
            .nodes
            .iter()
            .filter(|(_, node)| node.used < node.slots)
            .max_by_key(|(_, node)| node.slots - node.used)
            .ok_or(Refusal::Overloaded("scenes"))?;
        Ok((*node, config))
    }

    pub(super) fn take_slot(&mut self, id: SceneId) {
        let Some(scene) = self.scenes.get_mut(&id).filter(|scene| !scene.holds_slot) else { return };
        scene.holds_slot = true;
        self.nodes.entry(scene.node).and_modify(|node| node.used += 1);
    }

    pub(super) fn free_slot(&mut self, id: SceneId) {
        let Some(scene) = self.scenes.get_mut(&id).filter(|scene| scene.holds_slot) else { return };
        scene.holds_slot = false;
        self.nodes.entry(scene.node).and_modify(|node| node.used -= 1);
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of one row, each of another type")]
    fn place(
        &mut self,
        fleet: FleetName,
        domain: Option<DomainName>,
        match_id: Option<MatchId>,
        operator: Option<u64>,
        node: NodeId,
        seats: Vec<SeatRow>,
        grants: Vec<SeatGrant>,
        cx: &mut Context<'_>,
    ) -> SceneId {
        let id = SceneId(cx.rng.next_u64());
        let epoch = FIRST_EPOCH;
        for (seat, row) in (0..).zip(&seats) {
            self.by_user.insert(row.player.user, (id, seat));
        }
        let scene = Scene {
            epoch,
            state: State::Placing,
            fleet: fleet.clone(),
            domain: domain.clone(),
            match_id,
            operator,
            node,
            holds_slot: false,
            born: cx.now,
            seats,
            crashes: Vec::new(),
            strikes: Vec::new(),
            missed: None,
            end: None,
        };
        self.scenes.insert(id, scene);
        self.counts.begun();
        self.take_slot(id);
        self.enter(id, State::Placing, Some(cx.now.plus_ms(PLACE_MS_MAX)), cx);
        let seed = cx.rng.next_u64();
        let event = scene_service::Event::ReqCreateScene { scene: id, epoch, fleet, domain, seed, seats: grants };
        cx.send(Message::SceneService(node, event));
        id
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
            (State::Placing, Ok(())) => {
                let fleet = &self.fleets[&scene.fleet];
                let way_in_ms = if scene.seats.is_empty() { fleet.empty_ms } else { PLACE_MS_MAX + fleet.token_ms };
                let state = if scene.seats.is_empty() { State::Empty } else { State::Allocated };
                let (operator, born) = (scene.operator, scene.born);
                self.enter(id, state, Some(cx.now.plus_ms(way_in_ms)), cx);
                if epoch > FIRST_EPOCH {
                    return self.tell_restarted(id, cx);
                }
                self.counts.allocated(cx.now.ms_since(born));
                self.count_order(operator, Ok(id), cx);
                match self.scenes[&id].seats.iter().any(SeatRow::has_lost_way) {
                    // It was placed by the SceneMaster before. Its match asks again, if there still is one.
                    true => self.enter(id, state, Some(cx.now.plus_ms(MATCH_AGAIN_MS)), cx),
                    false => self.answer_match(id, cx),
                }
            }
            (State::Placing, Err(refusal)) if epoch > FIRST_EPOCH => self.crashed(id, refusal.to_string(), cx),
            (State::Placing, Err(refusal)) => self.not_placed(id, refusal, cx),
            (State::Stopped, Ok(())) => self.end_stray(id, epoch, cx),
            // It was answered before, or its end is ordered already.
            _ => {}
        }
    }

    /// A scene that did not begin: its slot and its users are free again.
    pub(super) fn not_placed(&mut self, id: SceneId, refusal: Refusal, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let (operator, match_id, domain) = (scene.operator, scene.match_id, scene.domain.clone());
        for row in &mut scene.seats {
            row.state = SeatState::Gone;
            self.by_user.remove(&row.player.user);
        }
        self.stopped(id, cx);
        if let (Some(domain), Some(match_id)) = (domain, match_id) {
            refuse_match(domain, match_id, refusal.clone(), cx);
        }
        self.count_order(operator, Err(refusal), cx);
    }

    /// Opens ways in where they are not known any more, and tells who is to know them as soon as they are open.
    pub(super) fn open_ways(&mut self, id: SceneId, asked: For, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let lost = (0..).zip(&scene.seats).filter(|(_, row)| row.has_lost_way() && row.asked.is_none());
        let lost: Vec<Seat> = lost.map(|(seat, _)| seat).collect();
        if scene.state == State::Allocated && !lost.is_empty() {
            let until = cx.now.plus_ms(TOKEN_MS_MAX + self.fleets[&scene.fleet].token_ms);
            self.enter(id, State::Allocated, Some(until), cx);
        }
        for seat in lost {
            self.open_way(id, seat, asked, cx);
        }
        if asked == For::Match {
            self.answer_match_when_open(id, cx);
        }
    }

    /// Answers the match as soon as the scene has noted all ways in, or has not for too long; who has none then does
    /// not come.
    pub(super) fn answer_match_when_open(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        if scene.seats.iter().any(|row| row.asked == Some(For::Match)) {
            return;
        }
        let without: Vec<UserId> =
            scene.seats.iter().filter(|row| row.has_lost_way()).map(|row| row.player.user).collect();
        self.answer_match(id, cx);
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
        Entry { scene: id, domain, url, secret, expires_in_ms: self.fleets[&scene.fleet].token_ms }
    }

    /// The node was silent: whether the scene runs is unknown, so its end is ordered too.
    pub(super) fn not_placed_in_time(&mut self, id: SceneId, refusal: Refusal, cx: &mut Context<'_>) {
        self.order_end(id, EndReason::Expired, Vec::new(), cx);
        self.not_placed(id, refusal, cx);
    }

    fn count_order(&mut self, operator: Option<u64>, result: Result<SceneId, Refusal>, cx: &mut Context<'_>) {
        let Some(number) = operator else { return };
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
                _ => Ok(order.made),
            };
            cx.send(Message::Operator(number, result));
        }
    }
}

pub(super) fn refuse_match(domain: DomainName, match_id: MatchId, refusal: Refusal, cx: &mut Context<'_>) {
    let event = matching::Event::ResCreateScene { match_id, result: Err(refusal) };
    cx.send(Message::Match(domain, event));
}
