//! SceneService: creates and runs the scenes of one node, and obeys SceneMaster.
//!
//! Invariants: it never begins or ends a scene by its own decision, and it answers every order of
//! SceneMaster, by the scene's answer or at the deadline. An incarnation that has ended here, or was to end before it
//! began, does not begin again, nor does one before it: an order that comes late makes nothing.
//!
//! Main type: [`SceneService`]. The scenes themselves are handlers of their own
//! ([`crate::scene::Scene`]), each on the thread that owns its component; this service passes
//! orders to them and their answers back.

mod event;
mod load;
mod release;
mod report;

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::config::{Fleet, Usage};
use crate::deadlines::Deadlines;
use crate::ids::{Build, DomainName, Epoch, FleetName, NodeId, SceneId, Time};
use crate::message::{Arranged, EndReason, Message, PlayerResult};
use crate::partition::Partition;
use crate::refusal::Refusal;
use crate::scene_master::{self, Offer};
use crate::{Context, Service};
pub use event::{Event, SeatGrant, Start, ToScene};
pub use report::{GATHER_MS_MAX, Life, REPORT_MS, REPORT_SCENES_MAX, Report, Reported, Round, SeatNow};

/// How long a scene may take to begin.
pub const START_MS_MAX: u64 = 4_000;
/// How long a scene may take to end, beyond its own grace.
pub const END_MS_MAX: u64 = 3_000;
/// Of how many scenes that have ended the last incarnation is remembered; the oldest are forgotten first.
pub const ENDED_MAX: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Running,
    Ending {
        keep: bool,
        /// The order that it answers: of this incarnation, or of a later one.
        order: Epoch,
    },
    /// Its session is over, its instance waits for the next one.
    Kept,
}

/// A scene of this node.
#[derive(Debug, Clone)]
struct Row {
    epoch: Epoch,
    state: State,
    fleet: FleetName,
    build: Build,
    usage: Usage,
    /// It was ordered for somebody.
    is_used: bool,
    grace_ms: u64,
    /// How long it may say nothing; 0: for ever.
    silence_ms: u64,
}

/// How a scene is ordered.
struct Order {
    epoch: Epoch,
    fleet: FleetName,
    build: Build,
    reuse: bool,
    domain: Option<DomainName>,
    seed: u64,
    arranged: Arranged,
    seats: Vec<SeatGrant>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A scene is to have begun, or ended.
    Scene(SceneId),
    /// A scene is to have said something.
    Silent(SceneId),
    Report,
    /// The SceneMasters are to be told what is taken.
    Load,
}

/// The service.
#[derive(Debug, Clone)]
pub struct SceneService {
    node: NodeId,
    offer: Offer,
    fleets: BTreeMap<FleetName, Fleet>,
    /// In the order of their ids, in which they are reported.
    scenes: BTreeMap<SceneId, Row>,
    by_fleet: HashMap<FleetName, u32>,
    /// The last incarnations that have ended here, were to end before they began, or were refused.
    ended: HashMap<SceneId, Epoch>,
    /// Their scenes, in the order in which they were noted.
    ended_first: VecDeque<SceneId>,
    reports: report::Reports,
    load: load::Shared,
    deadlines: Deadlines<Due>,
}

impl Service for SceneService {
    type Event = Event;

    fn step(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::Fleets { fleets } => self.fleets = fleets,
            Event::ReqCreateScene { scene, epoch, fleet, build, reuse, domain, seed, arranged, seats } => {
                let order = Order { epoch, fleet, build, reuse, domain, seed, arranged, seats };
                self.req_create_scene(scene, order, cx);
            }
            Event::ResStart { scene, epoch, result } => self.res_start(scene, epoch, result, cx),
            Event::ReqDestroyScene { scene, epoch, reason, results, keep } => {
                self.req_destroy_scene(scene, epoch, reason, results, keep, cx)
            }
            Event::ReqDrainScene { scene, epoch, grace_ms } => {
                if self.row(scene, epoch).is_some() {
                    cx.send(Message::Scene(scene, ToScene::Drain { epoch, grace_ms }));
                }
            }
            Event::ReqReleaseScene { scene, epoch } => self.req_release_scene(scene, epoch, cx),
            Event::ResRelease { scene, epoch, result } => self.res_release(scene, epoch, result, cx),
            Event::ResEnd { scene, epoch, kept } => self.res_end(scene, epoch, kept, cx),
            Event::ReqAddToken { scene, epoch, seat, token, until } => match self.row(scene, epoch) {
                Some(Row { state: State::Running, .. }) => {
                    cx.send(Message::Scene(scene, ToScene::AddToken { epoch, seat, token, until }));
                }
                _ => cx.send(scene_master::Event::ResAddToken { scene, epoch, seat, result: Err(Refusal::SceneEnded) }),
            },
            Event::ReqRemoveUser { scene, epoch, seat, reason } => {
                if self.scenes.contains_key(&scene) {
                    cx.send(Message::Scene(scene, ToScene::RemoveUser { epoch, seat, reason }));
                }
            }
            Event::ReqAddSeats { scene, epoch, seats } => match self.runs(scene, epoch) {
                true => cx.send(Message::Scene(scene, ToScene::AddSeats { epoch, seats })),
                false => {
                    let Some(SeatGrant { player, .. }) = seats.last() else { return };
                    let (seat, result) = (player.seat, Err(Refusal::SceneEnded));
                    cx.send(scene_master::Event::ResAddSeat { scene, epoch, seat, result });
                }
            },
            Event::ReqAddSpectator { scene, epoch, user, token, until } => match self.runs(scene, epoch) {
                true => cx.send(Message::Scene(scene, ToScene::AddSpectator { epoch, user, token, until })),
                false => {
                    let result = Err(Refusal::SceneEnded);
                    cx.send(scene_master::Event::ResAddSpectator { scene, epoch, user, result });
                }
            },
            Event::ReqRemoveSpectator { scene, epoch, user, reason } => {
                if self.runs(scene, epoch) {
                    cx.send(Message::Scene(scene, ToScene::RemoveSpectator { epoch, user, reason }));
                }
            }
            Event::ReqReport { number, from, to } => self.req_report(number, from, to, cx),
            Event::SynDrained { partition, drained } => self.syn_drained(partition, drained, cx),
            Event::ResReport { scene, epoch, build, seats } => self.res_report(scene, epoch, build, seats, cx),
            Event::Tick => self.expire(cx),
        }
    }

    fn tick() -> Event {
        Event::Tick
    }

    fn deadline(&self) -> Option<Time> {
        self.deadlines.next()
    }
}

impl SceneService {
    /// The service of a node that offers this to SceneMaster. It reports for the first time at once.
    pub fn new(node: NodeId, offer: Offer, fleets: BTreeMap<FleetName, Fleet>) -> Self {
        let mut deadlines = Deadlines::default();
        deadlines.set(Due::Report, Time(0));
        Self {
            node,
            offer,
            fleets,
            scenes: BTreeMap::new(),
            by_fleet: HashMap::new(),
            ended: HashMap::new(),
            ended_first: VecDeque::new(),
            reports: report::Reports::default(),
            load: load::Shared::new([Partition::WHOLE]),
            deadlines,
        }
    }

    /// One beside the SceneMasters of these partitions; without this there is one.
    pub fn with_partitions(mut self, partitions: impl IntoIterator<Item = Partition>) -> Self {
        self.load = load::Shared::new(partitions);
        self
    }

    /// The node whose scenes these are.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The state of a scene, for tables and logs.
    pub fn state_name(&self, scene: SceneId) -> &'static str {
        match self.scenes.get(&scene) {
            None => "none",
            Some(Row { state: State::Starting, .. }) => "Starting",
            Some(Row { state: State::Running, .. }) => "Running",
            Some(Row { state: State::Ending { .. }, .. }) => "Ending",
            Some(Row { state: State::Kept, .. }) => "Kept",
        }
    }

    fn row(&mut self, scene: SceneId, epoch: Epoch) -> Option<&mut Row> {
        self.scenes.get_mut(&scene).filter(|row| row.epoch == epoch)
    }

    fn req_create_scene(&mut self, scene: SceneId, order: Order, cx: &mut Context<'_>) {
        let (epoch, fleet) = (order.epoch, order.fleet.clone());
        let answer =
            |result, cx: &mut Context<'_>| cx.send(scene_master::Event::ResCreateScene { scene, epoch, result });
        let has_ended = self.ended.get(&scene).is_some_and(|ended| epoch <= *ended);
        let replaced = match self.scenes.get(&scene) {
            Some(Row { epoch: known, state: State::Running, .. }) if *known == epoch => return answer(Ok(()), cx),
            // The answer is on its way.
            Some(Row { epoch: known, state: State::Starting, .. }) if *known == epoch => return,
            _ if has_ended => return answer(Err(Refusal::SceneEnded), cx),
            Some(Row { epoch: known, state: State::Running | State::Kept, .. }) if order.reuse && *known < epoch => {
                true
            }
            Some(_) => {
                return answer(Err(Refusal::Busy("another incarnation of this scene still lives here".into())), cx);
            }
            None => false,
        };
        let Some(limits) = self.fleets.get(&fleet).cloned() else {
            let refusal = Refusal::NotFound(format!("fleet named {:?}", fleet.as_str()));
            return self.not_created(scene, epoch, refusal, cx);
        };
        if replaced {
            self.remove(scene, cx);
        }
        let of_fleet = self.by_fleet.get(&fleet).copied().unwrap_or_default();
        let is_full = of_fleet >= limits.scenes_max || !self.has_room(limits.usage);
        if is_full && !replaced {
            self.tell_load(cx);
            return self.not_created(scene, epoch, Refusal::Overloaded("scenes".into()), cx);
        }
        *self.by_fleet.entry(fleet.clone()).or_default() += 1;
        let grace_ms = u64::from(limits.stop_grace_ms);
        let silence_ms = limits.strikes.silence_ms;
        let row = Row {
            epoch,
            state: State::Starting,
            fleet: fleet.clone(),
            build: order.build,
            usage: limits.usage,
            is_used: !order.seats.is_empty(),
            grace_ms,
            silence_ms,
        };
        self.load.add(scene, &row);
        self.scenes.insert(scene, row);
        self.plan_load(cx);
        self.deadlines.set(Due::Scene(scene), cx.now.plus_ms(START_MS_MAX));
        let Order { build, reuse, domain, seed, arranged, seats, .. } = order;
        let start = Start { epoch, fleet, build, reuse, limits, domain, seed, arranged, seats };
        cx.send(Message::Scene(scene, ToScene::Start(Box::new(start))));
    }

    /// Nor does this incarnation begin if its order comes again: SceneMaster may have it elsewhere by then.
    fn not_created(&mut self, scene: SceneId, epoch: Epoch, refusal: Refusal, cx: &mut Context<'_>) {
        self.note_ended(scene, epoch);
        cx.send(scene_master::Event::ResCreateScene { scene, epoch, result: Err(refusal) });
    }

    fn res_start(&mut self, scene: SceneId, epoch: Epoch, result: Result<(), Refusal>, cx: &mut Context<'_>) {
        match self.row(scene, epoch) {
            Some(row) if row.state == State::Starting => {
                row.state = State::Running;
                self.deadlines.clear(&Due::Scene(scene));
                if result.is_err() {
                    self.remove(scene, cx);
                }
                cx.send(scene_master::Event::ResCreateScene { scene, epoch, result });
            }
            // It is to end already.
            Some(_) => {}
            // Its start was given up, and perhaps the next incarnation is ordered since.
            None if result.is_ok() => {
                let (reason, results) = (EndReason::Expired, Vec::new());
                cx.send(Message::Scene(scene, ToScene::End { epoch, reason, results, keep: false }));
            }
            None => {}
        }
    }

    fn req_destroy_scene(
        &mut self,
        scene: SceneId,
        epoch: Epoch,
        reason: EndReason,
        results: Vec<PlayerResult>,
        keep: bool,
        cx: &mut Context<'_>,
    ) {
        match self.scenes.get_mut(&scene).filter(|row| row.epoch <= epoch) {
            // As ordered before.
            Some(row) if row.epoch == epoch && row.state == State::Kept && keep => {
                cx.send(scene_master::Event::ResDestroyScene { scene, epoch, kept: true });
            }
            // The answer is on its way. An order to keep it is from before the one that let it go.
            Some(Row { state: State::Ending { keep: kept, order }, .. }) if *order >= epoch && (keep || !*kept) => {}
            // Incarnations before the one that is to end have no place any more, either.
            Some(row) => {
                let keep = keep && row.epoch == epoch;
                row.state = State::Ending { keep, order: epoch };
                let (epoch, within_ms) = (row.epoch, row.grace_ms + END_MS_MAX);
                self.deadlines.clear(&Due::Silent(scene));
                self.deadlines.set(Due::Scene(scene), cx.now.plus_ms(within_ms));
                cx.send(Message::Scene(scene, ToScene::End { epoch, reason, results, keep }));
            }
            // It is as ordered: no such incarnation lives here. One whose start or end was given up might still.
            None => {
                self.note_ended(scene, epoch);
                cx.send(Message::Scene(scene, ToScene::End { epoch, reason, results, keep: false }));
                cx.send(scene_master::Event::ResDestroyScene { scene, epoch, kept: false });
            }
        }
    }

    fn runs(&self, scene: SceneId, epoch: Epoch) -> bool {
        self.scenes.get(&scene).is_some_and(|row| row.epoch == epoch && row.state == State::Running)
    }

    fn res_end(&mut self, scene: SceneId, epoch: Epoch, kept: bool, cx: &mut Context<'_>) {
        let mut answered = epoch;
        match self.row(scene, epoch) {
            Some(row) if kept && matches!(row.state, State::Ending { keep: true, .. }) => {
                row.state = State::Kept;
                let kept = row.clone();
                self.load.remove(scene, &kept);
                self.scenes.entry(scene).and_modify(|row| row.is_used = false);
                self.load.add(scene, &Row { is_used: false, ..kept });
                self.plan_load(cx);
                self.deadlines.clear(&Due::Scene(scene));
            }
            // It has been ordered meanwhile that the instance ends, too.
            Some(_) if kept => return,
            // It has not answered in time, and SceneMaster knows it no more.
            None if kept => {
                let (reason, results) = (EndReason::Expired, Vec::new());
                return cx.send(Message::Scene(scene, ToScene::End { epoch, reason, results, keep: false }));
            }
            Some(row) => {
                if let State::Ending { order, .. } = row.state {
                    answered = order;
                }
                self.remove(scene, cx);
            }
            None => {}
        }
        cx.send(scene_master::Event::ResDestroyScene { scene, epoch: answered, kept });
    }

    fn expire(&mut self, cx: &mut Context<'_>) {
        while let Some(due) = self.deadlines.pop_due(cx.now) {
            match due {
                Due::Scene(scene) => self.scene_late(scene, cx),
                Due::Silent(scene) => self.silent(scene, cx),
                Due::Report => self.report_due(cx),
                Due::Load => self.tell_load(cx),
            }
        }
    }

    /// A scene has not begun, or not ended, in its time.
    fn scene_late(&mut self, scene: SceneId, cx: &mut Context<'_>) {
        let Some(Row { epoch, state, .. }) = self.scenes.get(&scene).cloned() else { return };
        match state {
            State::Starting => {
                self.remove(scene, cx);
                // It may start yet, and is to end then: SceneMaster is free to make it elsewhere.
                let (reason, results) = (EndReason::Expired, Vec::new());
                cx.send(Message::Scene(scene, ToScene::End { epoch, reason, results, keep: false }));
                let result = Err(Refusal::TimedOut("starting the scene".into()));
                cx.send(scene_master::Event::ResCreateScene { scene, epoch, result });
            }
            State::Ending { order: epoch, .. } => {
                cx.fault(format!("scene {scene} did not answer the order to end"));
                self.remove(scene, cx);
                cx.send(scene_master::Event::ResDestroyScene { scene, epoch, kept: false });
            }
            State::Running | State::Kept => {}
        }
    }

    fn remove(&mut self, scene: SceneId, cx: &mut Context<'_>) {
        self.deadlines.clear(&Due::Scene(scene));
        self.deadlines.clear(&Due::Silent(scene));
        let Some(row) = self.scenes.remove(&scene) else { return };
        self.load.remove(scene, &row);
        self.plan_load(cx);
        let Row { epoch, state, fleet, .. } = row;
        if let Some(count) = self.by_fleet.get_mut(&fleet) {
            *count -= 1;
        }
        let last = if let State::Ending { order, .. } = state { order } else { epoch };
        self.note_ended(scene, last);
        self.exit_if_drained(cx);
    }

    /// Neither this incarnation nor one before it begins here any more.
    fn note_ended(&mut self, scene: SceneId, epoch: Epoch) {
        match self.ended.get_mut(&scene) {
            Some(known) => *known = epoch.max(*known),
            None => {
                self.ended.insert(scene, epoch);
                self.ended_first.push_back(scene);
            }
        }
        if self.ended_first.len() > ENDED_MAX
            && let Some(oldest) = self.ended_first.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }
}
