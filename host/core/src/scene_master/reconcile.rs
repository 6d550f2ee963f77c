//! Reconciliation: what SceneMaster's books say and what the nodes report are made one.
//!
//! Each node reports all of its scenes at regular intervals, and when it is asked. What is in the books and not there
//! is lost, what is there and not in the books is ended, and seats go on from where the scene says they are. So a
//! message that is lost is made good, and a fresh SceneMaster that has taken over goes on with the scenes of the one
//! before.
//!
//! Invariants: a fresh SceneMaster decides nothing before it has all records and every node that its records name has
//! reported, or was silent for [`RECONCILE_MS_MAX`], and every other node that is there, or it was silent for
//! [`OFFER_MS_MAX`]; what it is asked for meanwhile is refused, or held if nobody would ask again. A seat goes only
//! forward, from expected to held to gone, so a report that comes late changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fleets::{Builds, FleetState, Standing};
use super::{Due, Event, Scene, SceneMaster, SeatRow, SeatState, State};
use crate::config::Fleet;
use crate::ids::{AllocationId, Epoch, FleetName, MatchId, NodeId, SceneId, Seat, Time, UserId};
use crate::message::{EndReason, Message, ServiceName};
use crate::partition::Shard;
use crate::read::{ScanRecords, Scanned};
use crate::record::{self, DRAIN_PREFIX, DrainRecord, FINISHED_PREFIX, SCENE_PREFIX, SceneRecord};
use crate::refusal::Refusal;
use crate::results::Finished;
use crate::scene_service::{self, Life, Report, Reported, SeatNow};
use crate::{Context, Service as _, lobby};

/// How long a fresh SceneMaster waits for the reports of nodes, from when it has its records.
pub const RECONCILE_MS_MAX: u64 = 10_000;
/// How long it waits for those of which its records name no scene. Nothing is lost with them, but nobody who asks for a
/// scene shall be told that there is no room only because it has not heard of it yet.
pub const OFFER_MS_MAX: u64 = 2_000;
/// How long it waits for a node's next part before it asks again, and before it asks a store again that has refused.
const ASK_AGAIN_MS: u64 = 1_000;
/// How long it waits for the store's answer before it asks again.
const SCAN_AGAIN_MS: u64 = 10_000;
/// Where the records begin that it asks for.
const PREFIXES: [&str; 3] = [SCENE_PREFIX, FINISHED_PREFIX, DRAIN_PREFIX];
/// How many records it asks for at once.
const RECORDS_MAX: usize = 1_000;
/// How many events it holds that nobody would repeat; more are dropped.
const HELD_MAX: usize = 10_000;
/// Why scenes end that are in the books, and of which their node knows nothing.
const NOT_THERE: &str = "the machine that ran it has lost it";
const DOWN: Refusal = Refusal::ServiceDown(ServiceName::SceneMaster);

/// A fresh SceneMaster that has not gone on yet.
#[derive(Debug, Clone)]
pub(super) struct Reconcile {
    stage: Stage,
    /// When it does something by itself.
    pub at: Time,
    /// What is to be done when it goes on.
    held: Vec<Event>,
    /// The nodes that are being drained.
    drained: BTreeMap<NodeId, DrainRecord>,
    /// The scenes of which only the session ends.
    kept: BTreeSet<SceneId>,
    /// The nodes that were there when it began.
    there: BTreeSet<NodeId>,
}

#[derive(Debug, Clone)]
enum Stage {
    /// The records of this prefix from this key on are to come; the number is that of the question, not 0.
    Loading { job: u64, prefix: usize, from: String },
    /// The nodes are to report: from which id on each. Those of which the records name no scene have less time.
    Asking { number: u64, offers_until: Time, until: Time, awaited: BTreeMap<NodeId, SceneId> },
}

impl Reconcile {
    fn hold(&mut self, event: Event) {
        if self.held.len() < HELD_MAX {
            self.held.push(event);
        }
    }
}

impl Default for Reconcile {
    fn default() -> Self {
        let stage = Stage::Loading { job: 0, prefix: 0, from: PREFIXES[0].to_owned() };
        Self {
            stage,
            at: Time(0),
            held: Vec::new(),
            drained: BTreeMap::new(),
            kept: BTreeSet::new(),
            there: BTreeSet::new(),
        }
    }
}

impl SceneMaster {
    /// One that takes over from one that has failed, with what fleets are now: it goes on with the scenes that are in
    /// the store and on the nodes, and says that it is up as soon as it knows them. Of nodes it hears by their reports.
    pub fn taking_over(fleets: BTreeMap<FleetName, (Builds, Fleet)>) -> Self {
        let fleets = fleets.into_iter().map(|(name, (builds, rules))| (name, FleetState::of(builds, rules))).collect();
        Self { fleets, reconcile: Some(Reconcile::default()), ..Self::new(BTreeMap::new()) }
    }

    /// The nodes that are there when it begins: they, too, have reported before it is up.
    pub fn awaiting(mut self, nodes: impl IntoIterator<Item = NodeId>) -> Self {
        if let Some(reconcile) = &mut self.reconcile {
            reconcile.there = nodes.into_iter().collect();
        }
        self
    }

    /// What is to be done with an event now; `None`: nothing more.
    pub(super) fn unless_held(&mut self, event: Event, cx: &mut Context<'_>) -> Option<Event> {
        let Some(reconcile) = &mut self.reconcile else { return Some(event) };
        let has_records = matches!(reconcile.stage, Stage::Asking { .. });
        match event {
            Event::Scanned { job, records } => self.loaded(job, records, cx),
            Event::Tick => self.reconcile_due(cx),
            Event::Stopping => self.stopping = true,
            Event::ReqCreateScene { match_id, domain, .. } | Event::ReqFillSeats { match_id, domain, .. } => {
                super::placing::refuse_match(domain, match_id, DOWN, cx)
            }
            Event::ReqCreateByHand { number, .. } | Event::ReqOperator { number, .. } => {
                cx.send(Message::Operator(number, Err(DOWN)));
            }
            Event::ReqFindScenes { user, number, .. } => {
                cx.send(lobby::Event::ResFindScenes { user, number, of: self.partition, result: Err(DOWN) });
            }
            Event::ReqJoinInProgress { number, joiner, .. } => {
                cx.send(lobby::Event::ResJoinInProgress { user: joiner.user, number, result: Err(DOWN) });
            }
            Event::ReqWatch { user, number, .. } => {
                cx.send(lobby::Event::ResWatch { user, number, result: Err(DOWN) });
            }
            Event::ReqRejoin { user, .. } => cx.send(lobby::Event::ResRejoin { user, result: Err(DOWN) }),
            Event::ReqSeat { user, number } => {
                cx.send(lobby::Event::ResSeat { user, number, of: self.partition, held: Err(DOWN), ended: None });
            }
            Event::ReqRemoveUser { .. } | Event::ReqCancelScene { .. } | Event::ReqGiveUpSeat { .. } => {
                reconcile.hold(event);
            }
            Event::Fleets { .. }
            | Event::NodeUp { .. }
            | Event::SynLoad { .. }
            | Event::NodeDown { .. }
            | Event::Handler { .. }
            | Event::Service { .. }
            | Event::ResRecord { .. } => return Some(event),
            // Who has said these says them again, or reports them.
            event if has_records => return Some(event),
            _ => {}
        }
        None
    }

    /// Nothing more has come in time.
    fn reconcile_due(&mut self, cx: &mut Context<'_>) {
        match self.reconcile.as_mut().map(|it| &mut it.stage) {
            Some(Stage::Loading { .. }) => self.ask_store(cx),
            Some(Stage::Asking { until, .. }) if *until <= cx.now => self.go_on(cx),
            Some(Stage::Asking { offers_until, .. }) if *offers_until <= cx.now => self.await_scenes_only(cx),
            Some(Stage::Asking { .. }) => self.ask_nodes(cx),
            None => {}
        }
    }

    /// Nodes of which no scene is in the books are waited for no longer: what they offer is known when they report.
    fn await_scenes_only(&mut self, cx: &mut Context<'_>) {
        let of_scenes = self.nodes_of_scenes();
        if let Some(Reconcile { stage: Stage::Asking { awaited, .. }, .. }) = &mut self.reconcile {
            awaited.retain(|node, _| of_scenes.contains(node));
        }
        self.ask_nodes(cx);
        self.go_on_if_complete(cx);
    }

    /// The nodes on which scenes of the books have a slot.
    fn nodes_of_scenes(&self) -> BTreeSet<NodeId> {
        self.scenes.values().filter(|scene| scene.usage.is_some()).map(|scene| scene.node).collect()
    }

    fn ask_store(&mut self, cx: &mut Context<'_>) {
        let Some(Reconcile { stage: Stage::Loading { job, prefix, from }, at, .. }) = &mut self.reconcile else {
            return;
        };
        *at = cx.now.plus_ms(SCAN_AGAIN_MS);
        // Drawn, so that no answer to a SceneMaster before, or to an earlier question, is taken for one to this.
        *job = self.partition.first().id(cx.rng.next_u64()) | 1;
        let (first, to) = match PREFIXES[*prefix] {
            // The first text behind all that begin with the prefix, whose last sign is a slash. All have the nodes.
            DRAIN_PREFIX => (DRAIN_PREFIX.to_owned(), format!("{}0", DRAIN_PREFIX.trim_end_matches('/'))),
            // Allocations are numbered as scenes are.
            of_scenes => {
                let (first, last) = self.partition.scenes();
                (format!("{of_scenes}{first}"), format!("{of_scenes}{last}\0"))
            }
        };
        let from = first.max(from.clone());
        cx.send(Message::ScanForMaster(ScanRecords { job: *job, from, to, limit: RECORDS_MAX }));
    }

    fn loaded(&mut self, of_job: u64, records: Scanned, cx: &mut Context<'_>) {
        let Some(Reconcile { stage: Stage::Loading { job, prefix, from }, at, .. }) = &mut self.reconcile else {
            return;
        };
        if *job != of_job {
            return;
        }
        let Ok(records) = records else {
            *at = cx.now.plus_ms(ASK_AGAIN_MS);
            return;
        };
        *job = 0;
        let mut is_all = false;
        match records.last() {
            Some((last, _)) if records.len() >= RECORDS_MAX => *from = format!("{last}\0"),
            _ => {
                *prefix += 1;
                match PREFIXES.get(*prefix) {
                    Some(next) => *from = (*next).to_owned(),
                    None => is_all = true,
                }
            }
        }
        for (key, value) in records {
            if let Err(why) = self.know(&key, &value, cx) {
                cx.fault(why);
            }
        }
        match is_all {
            true => self.begin_asking(cx),
            false => self.ask_store(cx),
        }
    }

    /// A record of the SceneMaster before.
    fn know(&mut self, key: &str, value: &[u8], cx: &mut Context<'_>) -> Result<(), String> {
        let (prefix, id) = key.split_once('/').unwrap_or_default();
        let id: u64 = id.parse::<SceneId>().map_err(|_| format!("the key {key} has no id"))?.0;
        match &key[..=prefix.len()] {
            FINISHED_PREFIX => {
                let finished = record::decode::<Finished>(key, value).map_err(|error| error.to_string())?;
                self.owe(AllocationId(id), finished, cx);
            }
            DRAIN_PREFIX => {
                let record = record::decode::<DrainRecord>(key, value).map_err(|error| error.to_string())?;
                self.reconcile.iter_mut().for_each(|it| _ = it.drained.insert(NodeId(id), record));
            }
            _ => {
                let record = record::decode::<SceneRecord>(key, value).map_err(|error| error.to_string())?;
                self.restore(SceneId(id), record, cx)?;
            }
        }
        Ok(())
    }

    /// A scene of the SceneMaster before.
    pub(super) fn restore(&mut self, id: SceneId, record: SceneRecord, cx: &Context<'_>) -> Result<(), String> {
        let state = State::ALL.into_iter().find(|state| state.name() == record.state);
        let state = state.ok_or_else(|| format!("scene {id} cannot go on: there is no state {:?}", record.state))?;
        // It goes on with what its fleet's rules are now.
        let rules = Arc::clone(&self.fleets.entry(record.fleet.clone()).or_insert_with(FleetState::gone).rules);
        let seats = record.seats.into_iter().map(|seat| SeatRow {
            player: seat.player,
            state: seat.state,
            is_known: seat.is_known,
            entry: None,
            asked: None,
            remove: seat.remove,
        });
        let scene = Scene {
            epoch: record.epoch,
            state,
            fleet: record.fleet,
            rules,
            build: record.build,
            standing: Standing::Other,
            counted_on: None,
            asked: record.asked,
            allocation: record.allocation,
            domain: record.domain,
            match_id: record.match_id,
            arranged: record.arranged,
            seeks: record.seeks,
            past_matches: record.past_matches,
            node: record.node,
            usage: None,
            to: record.to,
            places: 0,
            sessions: record.sessions,
            born: record.born,
            seats: seats.collect(),
            crashes: record.crashes,
            falls: record.falls,
            strikes: record.strikes,
            missed: None,
            end: record.end,
        };
        if let Some(reconcile) = self.reconcile.as_mut().filter(|_| record.is_kept) {
            reconcile.kept.insert(id);
        }
        for row in scene.seats.iter().filter(|row| row.state != SeatState::Gone) {
            self.by_user.insert(row.player.user, (id, row.player.seat));
        }
        let matches: Vec<MatchId> = scene.past_matches.iter().chain(&scene.match_id).copied().collect();
        self.by_match.extend(matches.into_iter().map(|match_id| (match_id, id)));
        if let Some(deadline) = record.deadline {
            self.deadlines.set(Due::Scene(id), deadline);
        }
        self.scenes.insert(id, scene);
        if record.holds_slot {
            self.take_slot(id);
        }
        self.take_slot_to_come(id);
        self.count(id, cx);
        self.list_anew(id);
        self.restore_seats(id, cx.now);
        Ok(())
    }

    fn begin_asking(&mut self, cx: &mut Context<'_>) {
        let mut nodes = self.nodes_of_scenes();
        nodes.extend(self.nodes.keys());
        nodes.extend(self.reconcile.iter().flat_map(|it| &it.there));
        let (from, to) = self.partition.scenes();
        let awaited = nodes.difference(&self.gone).map(|node| (*node, from)).collect();
        // Drawn, too.
        let number = cx.rng.next_u64() | 1;
        if let Some(reconcile) = &mut self.reconcile {
            let (offers_until, until) = (cx.now.plus_ms(OFFER_MS_MAX), cx.now.plus_ms(RECONCILE_MS_MAX));
            reconcile.stage = Stage::Asking { number, offers_until, until, awaited };
        }
        // Those, too, that nobody here has heard of.
        cx.send(Message::EverySceneService(scene_service::Event::ReqReport { number, from, to }));
        self.plan_asking(cx);
        self.go_on_if_complete(cx);
    }

    fn plan_asking(&mut self, cx: &Context<'_>) {
        if let Some(Reconcile { stage: Stage::Asking { offers_until, until, .. }, at, .. }) = &mut self.reconcile {
            let last = if cx.now < *offers_until { *offers_until } else { *until };
            *at = cx.now.plus_ms(ASK_AGAIN_MS).min(last);
        }
    }

    /// Asks those again of whom a part is to come.
    fn ask_nodes(&mut self, cx: &mut Context<'_>) {
        let Some(Reconcile { stage: Stage::Asking { number, awaited, .. }, .. }) = &self.reconcile else { return };
        let (_, to) = self.partition.scenes();
        for (node, from) in awaited {
            let event = scene_service::Event::ReqReport { number: *number, from: *from, to };
            cx.send(Message::SceneService(*node, event));
        }
        self.plan_asking(cx);
    }

    /// A node tells what it runs.
    pub(super) fn syn_report(&mut self, report: &Report, cx: &mut Context<'_>) {
        // What it said before it was gone may come after that.
        if self.gone.contains(&report.node) {
            return;
        }
        if !self.nodes.contains_key(&report.node) {
            let drain = self.drains.remove(&report.node);
            self.node_up(report.node, report.offer.clone(), cx);
            drain.into_iter().for_each(|exits| self.drain_node(report.node, exits, cx));
        }
        let Some(node) = self.nodes.get_mut(&report.node) else { return };
        if node.round.is_some_and(|latest| report.round < latest) {
            return; // It is overtaken by what the node has said since.
        }
        node.round = Some(report.round);
        self.note_load(report.node, &report.load);
        let is_first = match self.reconcile.as_ref().map(|reconcile| &reconcile.stage) {
            Some(Stage::Asking { number, awaited, .. }) => {
                *number == report.asked && awaited.get(&report.node).is_some_and(|next| report.from <= *next)
            }
            _ => false,
        };
        self.compare(report, is_first, cx);
        if let Some(Reconcile { stage: Stage::Asking { awaited, .. }, .. }) = &mut self.reconcile
            && is_first
            && let Some(next) = awaited.get_mut(&report.node)
        {
            match report.to < self.partition.scenes().1 {
                false => _ = awaited.remove(&report.node),
                true => *next = SceneId(report.to.0 + 1).max(*next),
            }
            self.plan_asking(cx);
            self.go_on_if_complete(cx);
        }
    }

    fn go_on_if_complete(&mut self, cx: &mut Context<'_>) {
        if let Some(Reconcile { stage: Stage::Asking { awaited, .. }, .. }) = &self.reconcile
            && awaited.is_empty()
        {
            self.go_on(cx);
        }
    }

    /// A node that is gone reports nothing.
    pub(super) fn await_no_more(&mut self, node: NodeId, cx: &mut Context<'_>) {
        if let Some(Reconcile { stage: Stage::Asking { awaited, .. }, .. }) = &mut self.reconcile
            && awaited.remove(&node).is_some()
        {
            self.go_on_if_complete(cx);
        }
    }

    /// Everything is known that can be: SceneMaster is up.
    fn go_on(&mut self, cx: &mut Context<'_>) {
        let reconcile = self.reconcile.take_if(|it| matches!(it.stage, Stage::Asking { .. }));
        let Some(Reconcile { stage: Stage::Asking { awaited, .. }, held, drained, kept, .. }) = reconcile else {
            return;
        };
        for node in awaited.into_keys() {
            cx.fault(format!("node {node} has not reported its scenes in time"));
            self.node_lost(node, cx);
        }
        let stopping = |(id, scene): (&SceneId, &Scene)| {
            let (reason, results) = scene.end.clone().unwrap_or((EndReason::Stopped, Vec::new()));
            (scene.state == State::Stopping).then_some((*id, (reason, results, kept.contains(id))))
        };
        let ends: BTreeMap<SceneId, _> = self.scenes.iter().filter_map(stopping).collect();
        for (id, (reason, results, keep)) in ends {
            self.order_end(id, reason, results, keep, cx);
        }
        for (node, DrainRecord { exits }) in drained {
            if self.nodes.contains_key(&node) {
                self.drain_node(node, exits, cx);
            } else if self.gone.contains(&node) {
                cx.delete(record::drain_key(node));
            } else {
                self.drains.insert(node, exits);
            }
        }
        self.replace(cx);
        self.wait_anew(cx);
        self.seek_all_anew(cx);
        for event in held {
            self.step(event, cx);
        }
        if self.stopping {
            self.stop_all(cx);
        }
        cx.send(Message::Service(ServiceName::SceneMaster, true));
    }

    /// A part of a node's report against the books. The first one that a fresh SceneMaster has asked for was made when
    /// nothing was under way; else a scene is only missing if it is so twice, for its beginning may have crossed the
    /// first report.
    fn compare(&mut self, report: &Report, is_first: bool, cx: &mut Context<'_>) {
        let alive = report.scenes.iter().filter(|it| it.life != Life::Ending);
        let there: BTreeSet<(SceneId, Epoch)> = alive.map(|it| (it.scene, it.epoch)).collect();
        for reported in &report.scenes {
            if self.partition.has(Shard::of_id(reported.scene.0)) {
                self.compare_one(report.node, reported, cx);
            }
        }
        let is_missing = |id: &SceneId, scene: &Scene| {
            let may_be = match scene.state {
                State::Placing => is_first,
                State::Stopping | State::Restarting | State::Stopped => false,
                _ => true,
            };
            let in_part = scene.node == report.node && (report.from..=report.to).contains(id);
            in_part && may_be && !there.contains(&(*id, scene.epoch))
        };
        let mut missing: Vec<SceneId> =
            self.scenes.iter().filter(|(id, it)| is_missing(id, it)).map(|(id, _)| *id).collect();
        missing.sort();
        for id in missing {
            let Some(scene) = self.scenes.get_mut(&id) else { continue };
            let is_second = scene.missed.is_some_and(|round| round < report.round);
            scene.missed.get_or_insert(report.round);
            if is_first || is_second {
                self.counts.reconciled("lost");
                self.not_there(id, cx);
            }
        }
    }

    /// Its node does not know it.
    fn not_there(&mut self, id: SceneId, cx: &mut Context<'_>) {
        match self.scenes.get(&id).map(|scene| (scene.state, scene.is_new())) {
            // If the order to make it is still to come, the one to end it is there before.
            Some((State::Placing, true)) => {
                self.not_placed_in_time(id, Refusal::TimedOut("making the scene".into()), cx)
            }
            Some((State::Placing, false)) => self.crashed(id, NOT_THERE.to_owned(), cx),
            _ => self.lost(id, NOT_THERE, cx),
        }
    }

    fn compare_one(&mut self, node: NodeId, reported: &Reported, cx: &mut Context<'_>) {
        let Reported { scene: id, epoch, build, life, seats } = reported;
        let known = self.scenes.get_mut(id);
        let is_used_again =
            |it: &Scene| it.state == State::Placing && it.node == node && it.is_new() && *epoch < it.epoch;
        if known.as_deref().is_some_and(is_used_again) {
            return; // Its next session is ordered, perhaps in this instance.
        }
        let known = known.filter(|it| it.epoch == *epoch && it.node == node && it.state != State::Stopped);
        let Some(scene) = known else {
            if *life != Life::Ending && !self.ending.contains_key(&(*id, *epoch)) {
                self.counts.reconciled("stray");
                let (reason, results) = (EndReason::Expired, Vec::new());
                let (scene, epoch) = (*id, *epoch);
                let event = scene_service::Event::ReqDestroyScene { scene, epoch, reason, results, keep: false };
                cx.send(Message::SceneService(node, event));
            }
            return;
        };
        scene.missed = None;
        // Its game was changed while it runs, or what was ordered was not there any more.
        if *life == Life::Running && scene.build != *build {
            scene.build = *build;
            self.keep(*id, cx);
        }
        let Some(scene) = self.scenes.get(id) else { return };
        if scene.state == State::Placing && *life == Life::Running {
            self.res_create_scene(*id, *epoch, Ok(()), cx);
        }
        for (seat, now) in (0..).zip(seats.iter().flatten()) {
            self.compare_seat(*id, *epoch, seat, now, cx);
        }
    }

    fn compare_seat(&mut self, id: SceneId, epoch: Epoch, seat: Seat, now: &SeatNow, cx: &mut Context<'_>) {
        let Some(row) = self.live(id, epoch).and_then(|scene| scene.seats.get(seat as usize)) else { return };
        match (row.state, now) {
            (SeatState::Expected, SeatNow::Held) => {
                let remove = row.remove.clone();
                self.counts.reconciled("seat");
                self.syn_user_joined(id, epoch, seat, cx);
                if let Some(reason) = remove {
                    self.ask_to_remove(id, seat, reason, cx);
                }
            }
            (SeatState::Expected | SeatState::Held, SeatNow::Gone(reason)) => {
                self.counts.reconciled("seat");
                self.syn_user_left(id, epoch, seat, reason.clone(), cx);
            }
            (SeatState::Gone, SeatNow::Expected | SeatNow::Held) => {
                let reason = row.remove.clone().unwrap_or(EndReason::NeverJoined);
                self.ask_to_remove(id, seat, reason, cx);
            }
            (_, SeatNow::Expected | SeatNow::Held) => {
                if let Some(reason) = row.remove.clone() {
                    self.ask_to_remove(id, seat, reason, cx);
                }
            }
            (SeatState::Gone, SeatNow::Gone(_)) => {}
        }
    }

    /// The scene is told to take a user out of the seat.
    pub(super) fn ask_to_remove(&mut self, id: SceneId, seat: Seat, reason: EndReason, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let event = scene_service::Event::ReqRemoveUser { scene: id, epoch: scene.epoch, seat, reason };
        cx.send(Message::SceneService(scene.node, event));
    }

    /// A user who is not inside will not come: the seat is free at once, and the scene hears of it until it says so.
    pub(super) fn give_up_seat(&mut self, user: UserId, cx: &mut Context<'_>) {
        let Some((id, seat)) = self.by_user.get(&user).copied() else { return };
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let (epoch, is_there) = (scene.epoch, scene.state != State::Restarting);
        let Some(row) = scene.seats.get_mut(seat as usize) else { return };
        row.remove = Some(EndReason::NeverJoined);
        if is_there {
            self.ask_to_remove(id, seat, EndReason::NeverJoined, cx);
        }
        self.syn_user_left(id, epoch, seat, EndReason::NeverJoined, cx);
    }

    /// The lobby has told a user that a search is over, and a match was made for it all the same.
    pub(super) fn req_give_up_seat(&mut self, user: UserId, of: SceneId, cx: &mut Context<'_>) {
        let Some((id, seat)) = self.by_user.get(&user).copied().filter(|(id, _)| *id == of) else { return };
        let row = self.scenes.get(&id).and_then(|scene| scene.seats.get(seat as usize));
        if row.is_some_and(|row| row.state == SeatState::Expected) {
            self.give_up_seat(user, cx);
        }
    }

    /// Match has nobody to tell of a scene that was made: unless somebody has come in, it ends.
    pub(super) fn req_cancel_scene(&mut self, id: SceneId, match_id: MatchId, cx: &mut Context<'_>) {
        // It may have gone on to another match.
        let Some(scene) = self.scenes.get(&id).filter(|scene| scene.match_id == Some(match_id)) else { return };
        match (scene.state, scene.is_new()) {
            (State::Placing, true) => self.not_placed_in_time(id, Refusal::TimedOut("making the scene".into()), cx),
            (State::Placing | State::Allocated | State::Restarting, _) => {
                self.stop(id, EndReason::NeverJoined, Vec::new(), cx);
            }
            (State::Releasing, _) if scene.seats.iter().all(|row| row.state != SeatState::Held) => {
                self.stop(id, EndReason::NeverJoined, Vec::new(), cx);
            }
            _ => {}
        }
    }
}
