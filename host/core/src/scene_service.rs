//! SceneService: creates and runs the scenes of one node, and obeys SceneMaster.
//!
//! Invariants: it never begins or ends a scene by its own decision, and it answers every order of
//! SceneMaster, by the scene's answer or at the deadline. An incarnation that has ended, or whose end
//! was ordered, does not begin again.
//!
//! Main type: [`SceneService`]. The scenes themselves are handlers of their own
//! ([`crate::scene::Scene`]), each on the thread that owns its component; this service passes
//! orders to them and their answers back.

mod ended;

use std::collections::{BTreeMap, HashMap};

use crate::config::Fleet;
use crate::deadlines::Deadlines;
use crate::ids::{DomainName, Epoch, FleetName, NodeId, SceneId, Seat, Time};
use crate::message::{EndReason, Message, Player, PlayerResult};
use crate::refusal::Refusal;
use crate::token::SecretHash;
use crate::{Context, Service, scene_master};
use ended::Ended;

/// How long a scene may take to begin.
pub const START_MS_MAX: u64 = 4_000;
/// How long a scene may take to end, beyond its own grace.
pub const END_MS_MAX: u64 = 3_000;

/// A seat in a new scene: who may enter it, with what, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatGrant {
    /// Whose seat it is.
    pub player: Player,
    /// The hash of the scene token.
    pub token: SecretHash,
    /// Until when the token lets its holder in.
    pub until: Time,
}

/// What a SceneService can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// SceneMaster orders a scene; idempotent by scene and epoch.
    ReqCreateScene {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// How it runs.
        fleet: FleetName,
        /// The domain it was matched in.
        domain: Option<DomainName>,
        /// The seed of its randomness.
        seed: u64,
        /// Its seats, by number.
        seats: Vec<SeatGrant>,
    },
    /// A scene has begun, or could not.
    ResStart {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Whether it runs.
        result: Result<(), Refusal>,
    },
    /// SceneMaster orders a scene's end.
    ReqDestroyScene {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Why.
        reason: EndReason,
        /// The results, if the game was decided.
        results: Vec<PlayerResult>,
    },
    /// A scene has ended.
    ResEnd {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
    },
    /// SceneMaster opens a new way to a seat; answered by the scene itself.
    ReqAddToken {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Which seat.
        seat: Seat,
        /// The hash of the new token.
        token: SecretHash,
        /// Until when it lets its holder in.
        until: Time,
    },
    /// SceneMaster takes a user's seat away.
    ReqRemoveUser {
        /// Which scene.
        scene: SceneId,
        /// Which incarnation.
        epoch: Epoch,
        /// Which seat.
        seat: Seat,
    },
    /// Time has passed.
    Tick,
}

/// What the handler of a scene can be told by its SceneService.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToScene {
    /// Begin; answered by [`Event::ResStart`].
    Start(Box<Start>),
    /// A new way to a seat; answered by [`scene_master::Event::ResAddToken`].
    AddToken {
        /// Which incarnation.
        epoch: Epoch,
        /// Which seat.
        seat: Seat,
        /// The hash of the token.
        token: SecretHash,
        /// Until when it lets its holder in.
        until: Time,
    },
    /// The user of a seat may not play any more.
    RemoveUser {
        /// Which incarnation.
        epoch: Epoch,
        /// Which seat.
        seat: Seat,
    },
    /// End; answered by [`Event::ResEnd`].
    End {
        /// Which incarnation.
        epoch: Epoch,
        /// Why.
        reason: EndReason,
        /// The results, if the game was decided.
        results: Vec<PlayerResult>,
    },
}

/// Everything that a scene begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Which incarnation.
    pub epoch: Epoch,
    /// The fleet's name.
    pub fleet: FleetName,
    /// The fleet's limits.
    pub limits: Fleet,
    /// The domain it was matched in.
    pub domain: Option<DomainName>,
    /// The seed of its randomness.
    pub seed: u64,
    /// Its seats, by number.
    pub seats: Vec<SeatGrant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Running,
    Ending,
}

/// The service.
#[derive(Debug, Clone)]
pub struct SceneService {
    node: NodeId,
    slots: u32,
    fleets: BTreeMap<FleetName, Fleet>,
    scenes: HashMap<SceneId, (Epoch, State, FleetName)>,
    by_fleet: HashMap<FleetName, u32>,
    ended: Ended,
    deadlines: Deadlines<SceneId>,
}

impl Service for SceneService {
    type Event = Event;

    fn step(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::ReqCreateScene { scene, epoch, fleet, domain, seed, seats } => {
                self.req_create_scene(scene, epoch, fleet, domain, seed, seats, cx);
            }
            Event::ResStart { scene, epoch, result } => self.res_start(scene, epoch, result, cx),
            Event::ReqDestroyScene { scene, epoch, reason, results } => {
                self.req_destroy_scene(scene, epoch, reason, results, cx)
            }
            Event::ResEnd { scene, epoch } => {
                if self.scenes.get(&scene).is_some_and(|(known, ..)| *known == epoch) {
                    self.remove(scene);
                }
                cx.send(scene_master::Event::ResDestroyScene { scene, epoch });
            }
            Event::ReqAddToken { scene, epoch, seat, token, until } => match self.scenes.get(&scene) {
                Some((known, State::Running, _)) if *known == epoch => {
                    cx.send(Message::Scene(scene, ToScene::AddToken { epoch, seat, token, until }));
                }
                _ => cx.send(scene_master::Event::ResAddToken { scene, epoch, seat, result: Err(Refusal::SceneEnded) }),
            },
            Event::ReqRemoveUser { scene, epoch, seat } => {
                if self.scenes.contains_key(&scene) {
                    cx.send(Message::Scene(scene, ToScene::RemoveUser { epoch, seat }));
                }
            }
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
    /// The service of a node that can run this many scenes.
    pub fn new(node: NodeId, slots: u32, fleets: BTreeMap<FleetName, Fleet>) -> Self {
        Self {
            node,
            slots,
            fleets,
            scenes: HashMap::new(),
            by_fleet: HashMap::new(),
            ended: Ended::default(),
            deadlines: Deadlines::default(),
        }
    }

    /// The node whose scenes these are.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The state of a scene, for tables and logs.
    pub fn state_name(&self, scene: SceneId) -> &'static str {
        match self.scenes.get(&scene) {
            None => "none",
            Some((_, State::Starting, _)) => "Starting",
            Some((_, State::Running, _)) => "Running",
            Some((_, State::Ending, _)) => "Ending",
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    fn req_create_scene(
        &mut self,
        scene: SceneId,
        epoch: Epoch,
        fleet: FleetName,
        domain: Option<DomainName>,
        seed: u64,
        seats: Vec<SeatGrant>,
        cx: &mut Context<'_>,
    ) {
        let answer =
            |result, cx: &mut Context<'_>| cx.send(scene_master::Event::ResCreateScene { scene, epoch, result });
        match self.scenes.get(&scene) {
            Some((known, State::Running, _)) if *known == epoch => return answer(Ok(()), cx),
            Some((known, State::Starting, _)) if *known == epoch => return, // The answer is on its way.
            Some(_) => return answer(Err(Refusal::Busy("another incarnation of this scene still lives here")), cx),
            // The order is late: it was doubled, or that to end the scene has overtaken it.
            None if self.ended.has(scene, epoch) => return answer(Err(Refusal::SceneEnded), cx),
            None => {}
        }
        let Some(limits) = self.fleets.get(&fleet).cloned() else {
            return answer(Err(Refusal::NotFound(format!("fleet named {:?}", fleet.as_str()))), cx);
        };
        let of_fleet = self.by_fleet.entry(fleet.clone()).or_default();
        if self.scenes.len() >= self.slots as usize || *of_fleet >= limits.scenes_max {
            return answer(Err(Refusal::Overloaded("scenes")), cx);
        }
        *of_fleet += 1;
        self.scenes.insert(scene, (epoch, State::Starting, fleet.clone()));
        self.deadlines.set(scene, cx.now.plus_ms(START_MS_MAX));
        let start = Start { epoch, fleet, limits, domain, seed, seats };
        cx.send(Message::Scene(scene, ToScene::Start(Box::new(start))));
    }

    fn res_start(&mut self, scene: SceneId, epoch: Epoch, result: Result<(), Refusal>, cx: &mut Context<'_>) {
        match self.scenes.get_mut(&scene) {
            Some((known, state @ State::Starting, _)) if *known == epoch => {
                *state = State::Running;
                self.deadlines.clear(&scene);
                if result.is_err() {
                    self.remove(scene);
                }
                cx.send(scene_master::Event::ResCreateScene { scene, epoch, result });
            }
            // It is to end already.
            Some((known, ..)) if *known == epoch => {}
            // Its start was given up, and perhaps the next incarnation is ordered since.
            _ if result.is_ok() => {
                let end = ToScene::End { epoch, reason: EndReason::Expired, results: Vec::new() };
                cx.send(Message::Scene(scene, end));
            }
            _ => {}
        }
    }

    fn req_destroy_scene(
        &mut self,
        scene: SceneId,
        epoch: Epoch,
        reason: EndReason,
        results: Vec<PlayerResult>,
        cx: &mut Context<'_>,
    ) {
        self.ended.note(scene, epoch);
        match self.scenes.get_mut(&scene) {
            Some((known, State::Ending, _)) if *known == epoch => {} // The answer is on its way.
            Some((known, state, fleet)) if *known == epoch => {
                *state = State::Ending;
                let grace_ms = self.fleets.get(fleet).map_or(0, |limits| u64::from(limits.stop_grace_ms));
                self.deadlines.set(scene, cx.now.plus_ms(grace_ms + END_MS_MAX));
                cx.send(Message::Scene(scene, ToScene::End { epoch, reason, results }));
            }
            // It is as ordered: no such incarnation lives here. One whose start or end was given up might still.
            _ => {
                cx.send(Message::Scene(scene, ToScene::End { epoch, reason, results }));
                cx.send(scene_master::Event::ResDestroyScene { scene, epoch });
            }
        }
    }

    fn expire(&mut self, cx: &mut Context<'_>) {
        while let Some(scene) = self.deadlines.pop_due(cx.now) {
            let Some((epoch, state, _)) = self.scenes.get(&scene) else { continue };
            let epoch = *epoch;
            match state {
                State::Starting => {
                    self.remove(scene);
                    let result = Err(Refusal::TimedOut("starting the scene"));
                    cx.send(scene_master::Event::ResCreateScene { scene, epoch, result });
                }
                State::Ending => {
                    self.remove(scene);
                    cx.fault(format!("scene {scene} did not answer the order to end"));
                    cx.send(scene_master::Event::ResDestroyScene { scene, epoch });
                }
                State::Running => {}
            }
        }
    }

    fn remove(&mut self, scene: SceneId) {
        self.deadlines.clear(&scene);
        let Some((epoch, _, fleet)) = self.scenes.remove(&scene) else { return };
        self.ended.note(scene, epoch);
        if let Some(count) = self.by_fleet.get_mut(&fleet) {
            *count -= 1;
        }
    }
}
