//! Reports: what a node's SceneService tells SceneMaster of its scenes, at regular intervals and when it is asked.
//!
//! Invariants: a round goes through all ids of scenes, part after part without a gap, so that a part also tells which
//! scenes are not there; a part waits for its scenes' own words for [`GATHER_MS_MAX`] at most, and a scene that says
//! nothing in that time is told of as silent. Only one part is gathered at a time. What a SceneMaster has asked for comes
//! before what is regular.

use std::collections::{BTreeMap, BTreeSet};

use super::{Due, Row, SceneService, State, ToScene};
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::ids::{Build, Epoch, NodeId, SceneId, Time};
use crate::message::{EndReason, Message};
use crate::partition::Shard;
use crate::scene_master::{self, Load, Offer};

/// How often a node reports all of its scenes, at least; more often where a fleet's scenes may be silent for less.
pub const REPORT_MS: u64 = 10_000;
/// How often at most.
const REPORT_MS_MIN: u64 = 1_000;
/// How many scenes are in one part of a report at most.
pub const REPORT_SCENES_MAX: usize = 256;
/// How long a part waits for what its scenes say.
pub const GATHER_MS_MAX: u64 = 500;

/// A part of what a node tells of its scenes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which node.
    pub node: NodeId,
    /// What it offers.
    pub offer: Offer,
    /// SceneMaster's number, if it was asked for; 0: it is a regular one.
    pub asked: u64,
    /// Which round of the node it belongs to.
    pub round: Round,
    /// The first id that this part is about.
    pub from: SceneId,
    /// The last one.
    pub to: SceneId,
    /// What is taken of the node, by shard.
    #[serde(default)]
    pub load: BTreeMap<Shard, Load>,
    /// All scenes of the node with these ids, in the order of their ids.
    pub scenes: Vec<Reported>,
}

/// A round of a node's reports. A later one is greater, also when the node has begun anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Round {
    /// When the node has reported for the first time since it began, by its own clock.
    pub since: Time,
    /// Grows with every round.
    pub number: u64,
}

/// What a node tells of one scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// Which scene.
    pub scene: SceneId,
    /// Which incarnation.
    pub epoch: Epoch,
    /// What it is made of.
    pub build: Build,
    /// How far it is.
    pub life: Life,
    /// Its seats by number, as it says itself; `None`: it has said nothing in time, or is not running.
    pub seats: Option<Vec<SeatNow>>,
}

/// How far a scene is, by its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Life {
    /// It is about to begin.
    Starting,
    /// It runs.
    Running,
    /// It was told to end.
    Ending,
    /// Its session is over, its instance waits for the next one.
    Kept,
}

/// A seat, as its scene knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeatNow {
    /// Its user has not been inside.
    Expected,
    /// Its user is inside, or dropped and may come back.
    Held,
    /// It was given up.
    Gone(EndReason),
}

/// The part that is being gathered.
#[derive(Debug, Clone)]
pub(super) struct Part {
    asked: u64,
    round: Round,
    from: SceneId,
    to: SceneId,
    /// The last id of those that it is a part of.
    end: SceneId,
    /// Who has not said anything yet.
    waiting: BTreeSet<SceneId>,
    seats: BTreeMap<SceneId, (Epoch, Vec<SeatNow>)>,
}

/// What a SceneMaster has asked for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    number: u64,
    round: Round,
    /// Where the next part begins.
    next: SceneId,
}

/// How far the node is with its reports.
#[derive(Debug, Clone)]
pub(super) struct Reports {
    /// The one that began last, asked for or not; `None`: there was none.
    latest: Option<Round>,
    /// The regular one that is under way, where its next part begins, and when.
    regular: Round,
    next: SceneId,
    at: Time,
    /// What was asked for and is not all told, by the last id of each.
    asked: BTreeMap<SceneId, Asked>,
    part: Option<Part>,
}

impl Default for Reports {
    fn default() -> Self {
        let regular = Round { since: Time(0), number: 0 };
        Self { latest: None, regular, next: SceneId(0), at: Time(0), asked: BTreeMap::new(), part: None }
    }
}

impl Reports {
    fn next_round(&mut self, now: Time) -> Round {
        let round = match self.latest {
            Some(Round { since, number }) => Round { since, number: number + 1 },
            None => Round { since: now, number: 1 },
        };
        self.latest = Some(round);
        round
    }
}

impl SceneService {
    /// A SceneMaster wants to know what there is of its partition from this id on, before anything else. What it has
    /// asked for before needs no more parts.
    pub(super) fn req_report(&mut self, number: u64, from: SceneId, to: SceneId, cx: &mut Context<'_>) {
        if from > to {
            return;
        }
        let round = self.reports.next_round(cx.now);
        self.reports.asked.insert(to, Asked { number, round, next: from });
        if self.reports.part.as_ref().is_none_or(|part| part.asked == 0 || part.end == to) {
            self.reports.part = None;
            self.begin_part(cx);
        }
    }

    /// Asks the scenes of the next part what they know of their seats.
    pub(super) fn begin_part(&mut self, cx: &mut Context<'_>) {
        let next_asked = self.reports.asked.iter().next().map(|(end, asked)| (*end, *asked));
        let (asked, round, from, end) = match next_asked {
            Some((end, Asked { number, round, next })) => (number, round, next, end),
            None => {
                if self.reports.next == SceneId(0) {
                    self.reports.regular = self.reports.next_round(cx.now);
                }
                (0, self.reports.regular, self.reports.next, SceneId(u64::MAX))
            }
        };
        let mut in_part = self.scenes.range(from..=end).take(REPORT_SCENES_MAX + 1);
        let mut running = Vec::new();
        for (id, scene) in in_part.by_ref().take(REPORT_SCENES_MAX) {
            if scene.state == State::Running {
                running.push((*id, scene.epoch));
            }
        }
        let to = in_part.next().map_or(end, |(first_of_next, _)| SceneId(first_of_next.0 - 1));
        let waiting = running.iter().map(|(id, _)| *id).collect();
        self.reports.part = Some(Part { asked, round, from, to, end, waiting, seats: BTreeMap::new() });
        self.deadlines.set(Due::Report, cx.now.plus_ms(GATHER_MS_MAX));
        for (id, epoch) in running {
            self.expect_word(id, cx.now);
            cx.send(Message::Scene(id, ToScene::Report { epoch, anew: asked != 0 }));
        }
        self.end_part_if_complete(cx);
    }

    /// A scene has said what it knows of its seats: it is no longer silent.
    pub(super) fn res_report(
        &mut self,
        id: SceneId,
        epoch: Epoch,
        build: Build,
        seats: Vec<SeatNow>,
        cx: &mut Context<'_>,
    ) {
        let Some(scene) = self.scenes.get_mut(&id).filter(|scene| scene.epoch == epoch) else { return };
        let is_changed = scene.build != build;
        scene.build = build;
        if is_changed && scene.state == State::Running {
            self.report_change(id, &seats, cx);
        }
        self.deadlines.clear(&Due::Silent(id));
        if let Some(part) = &mut self.reports.part
            && part.waiting.remove(&id)
        {
            part.seats.insert(id, (epoch, seats));
            self.end_part_if_complete(cx);
        }
    }

    /// A running scene is made of something else now: SceneMaster hears of it at once, by a part that is about this
    /// scene alone.
    fn report_change(&self, id: SceneId, seats: &[SeatNow], cx: &mut Context<'_>) {
        let (Some(scene), Some(round)) = (self.scenes.get(&id), self.reports.latest) else { return };
        let seats = Some(seats.to_vec());
        let reported = Reported { scene: id, epoch: scene.epoch, build: scene.build, life: Life::Running, seats };
        let (node, offer, scenes) = (self.node, self.offer.clone(), vec![reported]);
        let load = self.load.by_shard().clone();
        let report = Report { node, offer, asked: 0, round, from: id, to: id, load, scenes };
        cx.send(scene_master::Event::SynReport(Box::new(report)));
    }

    /// The time has come to end a part, or to begin the next one.
    pub(super) fn report_due(&mut self, cx: &mut Context<'_>) {
        match self.reports.part.take() {
            Some(part) => self.end_part(part, cx),
            None => self.begin_part(cx),
        }
    }

    fn end_part_if_complete(&mut self, cx: &mut Context<'_>) {
        if let Some(part) = self.reports.part.take_if(|part| part.waiting.is_empty()) {
            self.end_part(part, cx);
        }
    }

    /// Tells SceneMaster of a part, as everything is now, and plans the next one.
    fn end_part(&mut self, mut part: Part, cx: &mut Context<'_>) {
        let Part { asked, round, from, to, end, .. } = part;
        let mut reported = |id: &SceneId, scene: &Row| {
            let seats = part.seats.remove(id).filter(|(epoch, _)| *epoch == scene.epoch).map(|(_, seats)| seats);
            let life = match scene.state {
                State::Starting => Life::Starting,
                State::Running => Life::Running,
                State::Ending { .. } => Life::Ending,
                State::Kept => Life::Kept,
            };
            Reported { scene: *id, epoch: scene.epoch, build: scene.build, life, seats }
        };
        let scenes = self.scenes.range(from..=to).map(|(id, scene)| reported(id, scene)).collect();
        let (offer, load) = (self.offer.clone(), self.load.by_shard().clone());
        let report = Report { node: self.node, offer, asked, round, from, to, load, scenes };
        cx.send(scene_master::Event::SynReport(Box::new(report)));
        let next = if to == end { None } else { Some(SceneId(to.0 + 1)) };
        match (asked, next) {
            (0, _) => {
                let parts = self.scenes.len().div_ceil(REPORT_SCENES_MAX).max(1) as u64;
                self.reports.next = next.unwrap_or(SceneId(0));
                self.reports.at = cx.now.plus_ms(self.round_ms() / parts);
            }
            (_, Some(next)) => self.reports.asked.get_mut(&end).into_iter().for_each(|asked| asked.next = next),
            (_, None) => _ = self.reports.asked.remove(&end),
        }
        // Somebody waits for what was asked for.
        let at = if self.reports.asked.is_empty() { self.reports.at } else { cx.now };
        self.deadlines.set(Due::Report, at);
    }

    /// How long a round takes: within it each scene is asked once, and one that is silent is found.
    fn round_ms(&self) -> u64 {
        let silence_ms = self.fleets.values().map(|fleet| fleet.strikes.silence_ms).filter(|ms| *ms > 0);
        silence_ms.min().unwrap_or(REPORT_MS).clamp(REPORT_MS_MIN, REPORT_MS)
    }

    /// A running scene was asked something: from now on its silence counts, unless it counts already.
    fn expect_word(&mut self, id: SceneId, now: Time) {
        let silence_ms = self.scenes.get(&id).map_or(0, |scene| scene.silence_ms);
        if silence_ms > 0 && self.deadlines.get(&Due::Silent(id)).is_none() {
            self.deadlines.set(Due::Silent(id), now.plus_ms(silence_ms));
        }
    }

    /// A running scene has said nothing for as long as its fleet allows.
    pub(super) fn silent(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id).filter(|scene| scene.state == State::Running) else { return };
        let kind = scene_master::Misbehaviour::Silence;
        cx.fault(format!("scene {id} has said nothing for {} ms", scene.silence_ms));
        cx.send(scene_master::Event::SynMisbehaved { scene: id, epoch: scene.epoch, kind });
        self.deadlines.set(Due::Silent(id), cx.now.plus_ms(scene.silence_ms));
        // What it was asked may have been lost.
        cx.send(Message::Scene(id, ToScene::Report { epoch: scene.epoch, anew: false }));
    }
}
