//! SceneMaster with nodes that obey, so that a test sees what it decides.

use std::borrow::Cow;
use std::collections::BTreeMap;

use scenehost_core::config::{AfterSession, Fleet, StartOn};
use scenehost_core::message::PlayerResult;
use scenehost_core::record::{self, SceneRecord};
use scenehost_core::scene_master::{
    Answer, Ask, Builds, Capacity, Event, FleetView, Idle, Matched, Order, SceneMaster,
};
use scenehost_core::scene_service::Event as ToNode;
use scenehost_core::{
    AllocationId, Build, Epoch, FleetName, MatchId, Message, NodeId, Refusal, SceneId, UserId, Write, db, matching,
    results,
};

use crate::world::World;

pub const FLEET: &str = "arena";

/// SceneMaster, and nodes that do what it orders.
pub struct Farm {
    pub world: World<SceneMaster>,
    /// What the nodes were ordered, in order.
    pub orders: Vec<(NodeId, ToNode)>,
    /// What nodes answer to the next orders to make a scene; `Ok` without.
    pub answers: Vec<Result<(), Refusal>>,
    /// The scenes as the store has them.
    pub records: BTreeMap<SceneId, SceneRecord>,
    pub number: u64,
}

impl Farm {
    pub fn new(fleet: Fleet) -> Self {
        Self::with_nodes(fleet, &[Capacity::scenes(10)])
    }

    pub fn with_nodes(fleet: Fleet, nodes: &[Capacity]) -> Self {
        fleet.check().unwrap();
        let world = World::new(SceneMaster::new(BTreeMap::from([(FleetName::from(FLEET), fleet)])));
        let mut farm = Self { world, orders: Vec::new(), answers: Vec::new(), records: BTreeMap::new(), number: 0 };
        for (node, capacity) in (1..).zip(nodes) {
            farm.node_up(node, *capacity, None);
        }
        farm
    }

    pub fn node_up(&mut self, node: u64, capacity: Capacity, idle: Option<Idle>) {
        self.node_up_in(node, capacity, idle, None);
    }

    pub fn node_up_in(&mut self, node: u64, capacity: Capacity, idle: Option<Idle>, region: Option<&str>) {
        let (url, region) = (format!("node-{node}"), region.map(str::to_owned));
        self.tell(Event::NodeUp { node: NodeId(node), url, capacity, idle, region });
    }

    /// One event, and the obedience that follows; what is said to others than nodes.
    pub fn tell(&mut self, event: Event) -> Vec<Message> {
        let mut events = vec![event];
        let mut said = Vec::new();
        while let Some(event) = (!events.is_empty()).then(|| events.remove(0)) {
            let effects = self.world.step(event);
            for write in effects.writes {
                self.write(write);
            }
            for message in effects.messages {
                match message {
                    Message::SceneService(node, order) => {
                        events.extend(self.obey(&order));
                        self.orders.push((node, order));
                    }
                    other => said.push(other),
                }
            }
        }
        said
    }

    pub fn write(&mut self, write: Write) {
        let (Write::Put { key, .. } | Write::Delete { key }) = &write;
        let Some(id) = key.strip_prefix(record::SCENE_PREFIX).and_then(|id| id.parse().ok()) else { return };
        match &write {
            Write::Put { key, value } => _ = self.records.insert(id, record::decode(key, value).unwrap()),
            Write::Delete { .. } => _ = self.records.remove(&id),
        }
    }

    pub fn obey(&mut self, order: &ToNode) -> Option<Event> {
        match *order {
            ToNode::ReqCreateScene { scene, epoch, .. } => {
                let result = if self.answers.is_empty() { Ok(()) } else { self.answers.remove(0) };
                // A node that does not answer at all.
                (result != Err(Refusal::SceneEnded)).then_some(Event::ResCreateScene { scene, epoch, result })
            }
            ToNode::ReqDestroyScene { scene, epoch, keep, .. } => {
                Some(Event::ResDestroyScene { scene, epoch, kept: keep })
            }
            _ => None,
        }
    }

    pub fn pass_ms(&mut self, ms: u64) -> Vec<Message> {
        let end = self.world.now.plus_ms(ms);
        let mut said = Vec::new();
        while let Some(deadline) = self.world.deadline().filter(|deadline| *deadline <= end) {
            self.world.now = self.world.now.max(deadline);
            said.extend(self.tell(Event::Tick));
        }
        self.world.now = end;
        said
    }

    /// What an operator is answered.
    pub fn order(&mut self, order: Order) -> Result<Answer, Refusal> {
        self.number += 1;
        let number = self.number;
        let said = self.tell(Event::ReqOperator { number, order });
        answer_to(number, &said).expect("an order is answered")
    }

    pub fn reserve(&mut self) -> Result<SceneId, Refusal> {
        match self.order(Order::Reserve { fleet: FLEET.into(), for_ms: None })? {
            Answer::Reserved { scene, .. } => Ok(scene),
            other => panic!("{other:?}"),
        }
    }

    pub fn allocate(&mut self, scene: Option<SceneId>, users: &[u64]) -> Result<(AllocationId, SceneId), Refusal> {
        let players = users.iter().map(|user| player(*user)).collect();
        match self.order(Order::Allocate { fleet: FLEET.into(), scene, domain: Some("arena".into()), players })? {
            Answer::Allocated { allocation, scene, entries } => {
                assert_eq!(entries.iter().map(|(user, _)| user.0).collect::<Vec<_>>(), users);
                Ok((allocation, scene))
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn matched(&mut self, match_id: u64, users: &[u64]) -> Vec<Message> {
        self.matched_in(match_id, users, None)
    }

    pub fn matched_in(&mut self, match_id: u64, users: &[u64], region: Option<&str>) -> Vec<Message> {
        let players = users.iter().map(|user| player(*user)).collect();
        let match_id = MatchId(match_id);
        self.tell(Event::ReqCreateScene {
            match_id,
            domain: "arena".into(),
            fleet: FLEET.into(),
            players,
            choices: Vec::new(),
            region: region.map(str::to_owned),
            bots: 0,
        })
    }

    pub fn view(&mut self) -> FleetView {
        match self.order(Order::Fleets) {
            Ok(Answer::Fleets(mut fleets)) if fleets.len() == 1 => fleets.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// How many scenes are in each state.
    pub fn states(&mut self) -> Vec<(&'static str, u32)> {
        let own = |(state, scenes)| match state {
            Cow::Borrowed(state) => (state, scenes),
            Cow::Owned(state) => panic!("{state:?} has come from elsewhere"),
        };
        self.view().scenes.into_iter().map(own).collect()
    }

    /// What was ordered since this was asked last, shortly.
    pub fn ordered(&mut self) -> Vec<String> {
        let orders = std::mem::take(&mut self.orders);
        let text = |(NodeId(node), order): (NodeId, ToNode)| match order {
            ToNode::ReqCreateScene { epoch, build, reuse, seats, .. } => {
                let again = if reuse { " again" } else { "" };
                format!("{node}: create epoch {}{again} of build {} with {} seats", epoch.0, build.0, seats.len())
            }
            ToNode::ReqDestroyScene { epoch, reason, keep, .. } => {
                format!("{node}: end epoch {}, {}{}", epoch.0, reason.name(), if keep { ", kept" } else { "" })
            }
            ToNode::ReqDrainScene { epoch, grace_ms, .. } => {
                format!("{node}: drain epoch {} in {grace_ms} ms", epoch.0)
            }
            ToNode::SynDrained { drained, .. } => format!("{node}: {}", if drained { "drained" } else { "undrained" }),
            other => format!("{other:?}"),
        };
        orders.into_iter().map(text).collect()
    }

    pub fn epoch(&self, scene: SceneId) -> Epoch {
        self.records[&scene].epoch
    }

    /// The game of a scene ends as intended.
    pub fn finish(&mut self, scene: SceneId, results: Vec<PlayerResult>) -> Vec<Message> {
        let epoch = self.epoch(scene);
        self.tell(Event::ReqAskDestroyScene { scene, epoch, ask: Ask::Finished(results) })
    }

    pub fn set_build(&mut self, build: u64, fleet: Fleet) {
        self.set_builds(Build(build).into(), fleet);
    }

    pub fn set_builds(&mut self, builds: Builds, fleet: Fleet) {
        self.tell(Event::Fleets { fleets: BTreeMap::from([(FLEET.into(), (builds, fleet))]) });
    }
}

pub fn player(user: u64) -> Matched {
    Matched { user: UserId(user), name: format!("User {user}"), rating: 1_500, team: 0, role: None, party: 0 }
}

pub fn answer_to(number: u64, said: &[Message]) -> Option<Result<Answer, Refusal>> {
    said.iter().find_map(|message| match message {
        Message::Operator(to, result) if *to == number => Some(result.clone().map(|answer| *answer)),
        _ => None,
    })
}

/// The scene that a match was answered.
pub fn scene_of(said: &[Message]) -> SceneId {
    let scene = said.iter().find_map(|message| match message {
        Message::Match(_, matching::Event::ResCreateScene { result: Ok(entries), .. }) => Some(entries[0].1.scene),
        _ => None,
    });
    scene.unwrap_or_else(|| panic!("no match was answered: {said:?}"))
}

pub fn on_standby(min: u32) -> Fleet {
    Fleet { start: StartOn::Provision, standby_min: min, ..Fleet::default() }
}

pub fn reused() -> Fleet {
    Fleet { after_session: AfterSession::Reuse, ..on_standby(1) }
}

pub fn results_of(players: u32) -> Vec<PlayerResult> {
    (0..players).map(|seat| PlayerResult { seat, place: seat + 1, score: 0 }).collect()
}

/// The allocations whose results are handed over.
pub fn recorded(said: &[Message]) -> Vec<AllocationId> {
    let allocation = |message: &Message| match message {
        Message::Db(db::Event::Req { request, .. }) => match &**request {
            db::Request::Results(results::Request::Record { allocation, .. }) => Some(*allocation),
            _ => None,
        },
        _ => None,
    };
    said.iter().filter_map(allocation).collect()
}
