//! Fleets: scenes that are kept ready, reserved, allocated, used again, drained and replaced.
//!
//! The helper is [`Farm`]: SceneMaster with nodes that obey, so that a test sees what it decides.

use std::collections::BTreeMap;

use scenehost_core::config::{AfterSession, Fleet, Placement, StartOn, Usage};
use scenehost_core::message::PlayerResult;
use scenehost_core::record::{self, SceneRecord};
use scenehost_core::scene_master::{Answer, Ask, Capacity, Event, FleetView, Idle, Matched, Order, SceneMaster};
use scenehost_core::scene_service::Event as ToNode;
use scenehost_core::{
    AllocationId, Build, Epoch, FleetName, MatchId, Message, NodeId, Refusal, SceneId, UserId, Write, db, lobby,
    matching, results,
};

use crate::world::World;

const FLEET: &str = "arena";

/// SceneMaster, and nodes that do what it orders.
struct Farm {
    world: World<SceneMaster>,
    /// What the nodes were ordered, in order.
    orders: Vec<(NodeId, ToNode)>,
    /// What nodes answer to the next orders to make a scene; `Ok` without.
    answers: Vec<Result<(), Refusal>>,
    /// The scenes as the store has them.
    records: BTreeMap<SceneId, SceneRecord>,
    number: u64,
}

impl Farm {
    fn new(fleet: Fleet) -> Self {
        Self::with_nodes(fleet, &[Capacity::scenes(10)])
    }

    fn with_nodes(fleet: Fleet, nodes: &[Capacity]) -> Self {
        fleet.check().unwrap();
        let world = World::new(SceneMaster::new(BTreeMap::from([(FleetName::from(FLEET), fleet)])));
        let mut farm = Self { world, orders: Vec::new(), answers: Vec::new(), records: BTreeMap::new(), number: 0 };
        for (node, capacity) in (1..).zip(nodes) {
            farm.node_up(node, *capacity, None);
        }
        farm
    }

    fn node_up(&mut self, node: u64, capacity: Capacity, idle: Option<Idle>) {
        self.node_up_in(node, capacity, idle, None);
    }

    fn node_up_in(&mut self, node: u64, capacity: Capacity, idle: Option<Idle>, region: Option<&str>) {
        let (url, region) = (format!("node-{node}"), region.map(str::to_owned));
        self.tell(Event::NodeUp { node: NodeId(node), url, capacity, idle, region });
    }

    /// One event, and the obedience that follows; what is said to others than nodes.
    fn tell(&mut self, event: Event) -> Vec<Message> {
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

    fn write(&mut self, write: Write) {
        let (Write::Put { key, .. } | Write::Delete { key }) = &write;
        let Some(id) = key.strip_prefix(record::SCENE_PREFIX).and_then(|id| id.parse().ok()) else { return };
        match &write {
            Write::Put { key, value } => _ = self.records.insert(id, record::decode(key, value).unwrap()),
            Write::Delete { .. } => _ = self.records.remove(&id),
        }
    }

    fn obey(&mut self, order: &ToNode) -> Option<Event> {
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

    fn pass_ms(&mut self, ms: u64) -> Vec<Message> {
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
    fn order(&mut self, order: Order) -> Result<Answer, Refusal> {
        self.number += 1;
        let number = self.number;
        let said = self.tell(Event::ReqOperator { number, order });
        answer_to(number, &said).expect("an order is answered")
    }

    fn reserve(&mut self) -> Result<SceneId, Refusal> {
        match self.order(Order::Reserve { fleet: FLEET.into(), for_ms: None })? {
            Answer::Reserved { scene, .. } => Ok(scene),
            other => panic!("{other:?}"),
        }
    }

    fn allocate(&mut self, scene: Option<SceneId>, users: &[u64]) -> Result<(AllocationId, SceneId), Refusal> {
        let players = users.iter().map(|user| player(*user)).collect();
        match self.order(Order::Allocate { fleet: FLEET.into(), scene, domain: Some("arena".into()), players })? {
            Answer::Allocated { allocation, scene, entries } => {
                assert_eq!(entries.iter().map(|(user, _)| user.0).collect::<Vec<_>>(), users);
                Ok((allocation, scene))
            }
            other => panic!("{other:?}"),
        }
    }

    fn matched(&mut self, match_id: u64, users: &[u64]) -> Vec<Message> {
        self.matched_in(match_id, users, None)
    }

    fn matched_in(&mut self, match_id: u64, users: &[u64], region: Option<&str>) -> Vec<Message> {
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

    fn view(&mut self) -> FleetView {
        match self.order(Order::Fleets) {
            Ok(Answer::Fleets(mut fleets)) if fleets.len() == 1 => fleets.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// How many scenes are in each state.
    fn states(&mut self) -> Vec<(&'static str, u32)> {
        self.view().scenes.into_iter().collect()
    }

    /// What was ordered since this was asked last, shortly.
    fn ordered(&mut self) -> Vec<String> {
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
            other => format!("{other:?}"),
        };
        orders.into_iter().map(text).collect()
    }

    fn epoch(&self, scene: SceneId) -> Epoch {
        self.records[&scene].epoch
    }

    /// The game of a scene ends as intended.
    fn finish(&mut self, scene: SceneId, results: Vec<PlayerResult>) -> Vec<Message> {
        let epoch = self.epoch(scene);
        self.tell(Event::ReqAskDestroyScene { scene, epoch, ask: Ask::Finished(results) })
    }

    fn set_build(&mut self, build: u64, fleet: Fleet) {
        self.tell(Event::Fleets { fleets: BTreeMap::from([(FLEET.into(), (Build(build).into(), fleet))]) });
    }
}

fn player(user: u64) -> Matched {
    Matched { user: UserId(user), name: format!("User {user}"), rating: 1_500, team: 0, role: None, party: 0 }
}

fn answer_to(number: u64, said: &[Message]) -> Option<Result<Answer, Refusal>> {
    said.iter().find_map(|message| match message {
        Message::Operator(to, result) if *to == number => Some(result.clone().map(|answer| *answer)),
        _ => None,
    })
}

/// The scene that a match was answered.
fn scene_of(said: &[Message]) -> SceneId {
    let scene = said.iter().find_map(|message| match message {
        Message::Match(_, matching::Event::ResCreateScene { result: Ok(entries), .. }) => Some(entries[0].1.scene),
        _ => None,
    });
    scene.unwrap_or_else(|| panic!("no match was answered: {said:?}"))
}

fn on_standby(min: u32) -> Fleet {
    Fleet { start: StartOn::Provision, standby_min: min, ..Fleet::default() }
}

fn reused() -> Fleet {
    Fleet { after_session: AfterSession::Reuse, ..on_standby(1) }
}

#[test]
fn as_many_scenes_as_the_fleet_says_are_always_ready() {
    let mut farm = Farm::new(on_standby(3));
    assert_eq!(farm.states(), [("Ready", 3)]);
    farm.matched(1, &[10, 11]);
    assert_eq!(farm.states(), [("Allocated", 1), ("Ready", 3)]);
    farm.pass_ms(20 * 60_000);
    assert_eq!(farm.states(), [("Ready", 3)], "they outlive their time on standby, and the unjoined game does not");
}

#[test]
fn a_match_gets_the_scene_that_is_ready_for_the_longest_time_as_its_next_epoch() {
    let mut farm = Farm::new(on_standby(1));
    let (first, _) = farm.records.iter().next().map(|(id, it)| (*id, it.epoch)).unwrap();
    farm.ordered();
    let said = farm.matched(1, &[10, 11]);
    assert_eq!(scene_of(&said), first);
    assert_eq!(
        farm.ordered(),
        ["1: create epoch 2 again of build 0 with 2 seats", "1: create epoch 1 of build 0 with 0 seats"]
    );
}

#[test]
fn nobody_waits_while_scenes_cannot_be_made_ready_but_each_attempt_comes_later() {
    let mut farm = Farm::with_nodes(on_standby(2), &[]);
    farm.answers = vec![Err(Refusal::Invalid("no".to_owned())); 6];
    farm.node_up(1, Capacity::scenes(10), None);
    assert_eq!(farm.ordered().len(), 2, "both are tried");
    let mut gaps = Vec::new();
    for _ in 0..2 {
        let at = farm.view().retry_at.expect("they are tried again");
        gaps.push(at.ms_since(farm.world.now));
        farm.pass_ms(at.ms_since(farm.world.now) - 1);
        assert!(farm.ordered().is_empty(), "not before");
        farm.pass_ms(1);
        assert_eq!(farm.ordered().len(), 2);
    }
    assert!((500..=750).contains(&gaps[0]) && (1_000..=1_500).contains(&gaps[1]), "{gaps:?}");
    farm.pass_ms(10_000);
    assert_eq!(farm.states(), [("Ready", 2)]);
    assert_eq!(farm.view().retry_at, None);
}

#[test]
fn a_scene_that_ends_by_itself_on_standby_is_not_replaced_at_once() {
    let mut farm = Farm::new(on_standby(1));
    let scene = *farm.records.keys().next().unwrap();
    farm.ordered();
    farm.finish(scene, Vec::new());
    assert_eq!(farm.ordered(), ["1: end epoch 1, Finished"]);
    farm.pass_ms(1_000);
    assert_eq!(farm.states(), [("Ready", 1)]);
}

#[test]
fn a_reservation_holds_a_scene_until_it_is_used_released_or_too_old() {
    let mut farm = Farm::new(Fleet { reserve_ms: 2_000, standby_ms: 60_000, ..Fleet::default() });
    let scene = farm.reserve().unwrap();
    assert_eq!(farm.states(), [("Reserved", 1)]);
    let said = farm.matched(1, &[1, 2]);
    assert_ne!(scene_of(&said), scene, "a match does not get it");
    farm.pass_ms(2_000);
    assert_eq!(farm.states(), [("Allocated", 1), ("Ready", 1)], "the time is over");
    let held = farm.reserve().unwrap();
    assert_eq!(held, scene);
    farm.order(Order::Release { scene: held }).unwrap();
    assert!(farm.order(Order::Release { scene: held }).is_err(), "there is none any more");
    assert_eq!(farm.reserve().unwrap(), scene);
    let (_, allocated) = farm.allocate(Some(scene), &[10]).unwrap();
    assert_eq!(allocated, scene);
    assert!(matches!(farm.allocate(Some(scene), &[12]), Err(Refusal::NotFound(_))), "it is used");
}

#[test]
fn a_reservation_may_say_for_how_long_within_limits() {
    let mut farm = Farm::new(Fleet::default());
    for for_ms in [0, 86_400_001] {
        let order = Order::Reserve { fleet: FLEET.into(), for_ms: Some(for_ms) };
        assert!(matches!(farm.order(order), Err(Refusal::Invalid(_))));
    }
    let Ok(Answer::Reserved { until, .. }) = farm.order(Order::Reserve { fleet: FLEET.into(), for_ms: Some(5) }) else {
        panic!()
    };
    assert_eq!(until, farm.world.now.plus_ms(5));
    assert!(matches!(farm.order(Order::Reserve { fleet: "none".into(), for_ms: None }), Err(Refusal::NotFound(_))));
}

#[test]
fn an_operators_allocation_tells_users_their_way_in() {
    let mut farm = Farm::new(Fleet::default());
    let order = Order::Allocate { fleet: FLEET.into(), scene: None, domain: None, players: vec![player(10)] };
    let said = farm.tell(Event::ReqOperator { number: 9, order });
    let Some(Ok(Answer::Allocated { scene, entries, .. })) = answer_to(9, &said) else { panic!("{said:?}") };
    let told = said.iter().any(|message| match message {
        Message::Lobby(lobby::Event::SynAllocated { user, entry }) => {
            *user == UserId(10) && entry.scene == scene && *entry == entries[0].1
        }
        _ => false,
    });
    assert!(told, "{said:?}");
    assert!(matches!(farm.allocate(None, &[10]), Err(Refusal::Busy(_))), "nobody is in two scenes");
}

#[test]
fn scenes_that_are_started_by_hand_are_given_out_and_none_else() {
    let mut farm = Farm::new(Fleet { start: StartOn::Hand, ..Fleet::default() });
    assert!(matches!(farm.allocate(None, &[10]), Err(Refusal::Overloaded(_))));
    assert!(matches!(farm.reserve(), Err(Refusal::Overloaded(_))));
    let said = farm.tell(Event::ReqCreateByHand { number: 900, fleet: FLEET.into(), count: 2 });
    let Some(Ok(Answer::Scenes(made))) = answer_to(900, &said) else { panic!("{said:?}") };
    assert_eq!((made.len(), farm.states()), (2, vec![("Ready", 2)]));
    let (_, scene) = farm.allocate(None, &[10]).unwrap();
    assert!(made.contains(&scene));
}

#[test]
fn a_scene_on_standby_that_is_not_needed_ends_in_time() {
    let mut farm = Farm::new(Fleet { standby_ms: 5_000, ..Fleet::default() });
    farm.tell(Event::ReqCreateByHand { number: 900, fleet: FLEET.into(), count: 1 });
    farm.pass_ms(4_999);
    assert_eq!(farm.states(), [("Ready", 1)]);
    farm.ordered();
    farm.pass_ms(1);
    assert_eq!(farm.ordered(), ["1: end epoch 1, Idle"]);
}

#[test]
fn there_are_no_more_ready_scenes_than_the_fleet_may_have() {
    let mut farm = Farm::new(Fleet { standby_max: 2, ..Fleet::default() });
    farm.tell(Event::ReqCreateByHand { number: 900, fleet: FLEET.into(), count: 3 });
    assert_eq!(farm.states(), [("Ready", 2)]);
}

#[test]
fn an_instance_is_not_kept_where_enough_are_ready() {
    let mut farm = Farm::new(Fleet { standby_max: 1, ..reused() });
    let (_, scene) = farm.allocate(None, &[10, 11]).unwrap();
    farm.ordered();
    farm.finish(scene, Vec::new());
    assert_eq!(farm.ordered(), ["1: end epoch 2, Finished"]);
}

#[test]
fn a_scene_whose_session_is_over_is_ready_again() {
    let mut farm = Farm::new(Fleet { start: StartOn::Allocation, standby_min: 0, ..reused() });
    let (first, scene) = farm.allocate(None, &[10, 11]).unwrap();
    farm.ordered();
    let said = farm.finish(scene, results_of(2));
    assert_eq!(farm.ordered(), ["1: end epoch 1, Finished, kept"]);
    assert_eq!((recorded(&said), farm.states()), (vec![first], vec![("Ready", 1)]));
    let over = said.iter().filter(|it| matches!(it, Message::Lobby(lobby::Event::SynSceneEnded { .. }))).count();
    assert_eq!(over, 2, "its users are back in the lobby");

    let (second, again) = farm.allocate(None, &[11, 12]).unwrap();
    assert_eq!((again, farm.epoch(again)), (scene, Epoch(2)));
    assert_eq!(farm.ordered(), ["1: create epoch 2 again of build 0 with 2 seats"]);
    let said = farm.finish(scene, results_of(2));
    assert_eq!(recorded(&said), [second], "each session's results are its own");
}

#[test]
fn what_an_earlier_session_says_does_not_count() {
    let mut farm = Farm::new(Fleet { start: StartOn::Allocation, standby_min: 0, ..reused() });
    let (_, scene) = farm.allocate(None, &[10]).unwrap();
    farm.finish(scene, Vec::new());
    farm.allocate(None, &[11]).unwrap();
    farm.ordered();
    for late in [
        Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Finished(Vec::new()) },
        Event::ResDestroyScene { scene, epoch: Epoch(1), kept: true },
        Event::ResDestroyScene { scene, epoch: Epoch(1), kept: false },
        Event::SynUserJoined { scene, epoch: Epoch(1), seat: 0 },
        Event::ResCreateScene { scene, epoch: Epoch(1), result: Err(Refusal::Internal("x")) },
    ] {
        farm.tell(late);
    }
    assert_eq!(farm.states(), [("Allocated", 1)]);
}

#[test]
fn an_instance_ends_after_its_last_session() {
    let mut farm = Farm::new(Fleet { start: StartOn::Allocation, standby_min: 0, sessions_max: 2, ..reused() });
    for session in 0..2 {
        let (_, scene) = farm.allocate(None, &[10]).unwrap();
        farm.ordered();
        farm.finish(scene, Vec::new());
        let kept = if session == 0 { ", kept" } else { "" };
        assert_eq!(farm.ordered(), [format!("1: end epoch {}, Finished{kept}", session + 1)]);
    }
}

#[test]
fn an_instance_that_failed_or_was_stopped_is_not_used_again() {
    let mut farm = Farm::new(Fleet { start: StartOn::Allocation, standby_min: 0, ..reused() });
    let (_, scene) = farm.allocate(None, &[10]).unwrap();
    farm.ordered();
    let ask = Ask::Crashed("trap".to_owned());
    farm.tell(Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask });
    assert_eq!(farm.ordered(), ["1: end epoch 1, Crashed"]);
    farm.pass_ms(1_000);
    assert_eq!(farm.ordered(), ["1: create epoch 2 of build 0 with 1 seats"], "a fresh instance, the same allocation");
    farm.order(Order::Stop { scene }).unwrap();
    assert_eq!(farm.ordered(), ["1: end epoch 2, Stopped"]);
}

#[test]
fn an_instance_that_is_not_kept_after_all_ends() {
    let mut farm = Farm::new(Fleet { start: StartOn::Allocation, standby_min: 0, ..reused() });
    let (_, scene) = farm.allocate(None, &[10]).unwrap();
    let epoch = farm.epoch(scene);
    // Its node is silent this time.
    let effects = farm.world.step(Event::ReqAskDestroyScene { scene, epoch, ask: Ask::Finished(Vec::new()) });
    assert!(
        effects
            .messages
            .iter()
            .any(|message| matches!(message, Message::SceneService(_, ToNode::ReqDestroyScene { keep: true, .. })))
    );
    farm.ordered();
    farm.pass_ms(7_000);
    assert_eq!(farm.ordered(), ["1: end epoch 1, Finished"], "it is given up, and its instance with it");
    assert!(farm.states().is_empty());
    farm.tell(Event::ResDestroyScene { scene, epoch, kept: true });
    assert!(farm.states().is_empty(), "a late answer makes nothing ready");
}

#[test]
fn running_scenes_keep_their_build_and_those_on_standby_are_replaced() {
    let mut farm = Farm::new(on_standby(1));
    let (_, running) = farm.allocate(None, &[10]).unwrap();
    farm.ordered();
    farm.set_build(7, Fleet { standby_min: 2, ..on_standby(1) });
    assert_eq!(
        farm.ordered(),
        [
            "1: end epoch 1, Replaced",
            "1: create epoch 1 of build 7 with 0 seats",
            "1: create epoch 1 of build 7 with 0 seats"
        ]
    );
    assert_eq!(farm.states(), [("Allocated", 1), ("Ready", 2)]);
    assert_eq!(farm.view().of_other_builds, 1);
    assert_eq!(farm.epoch(running), Epoch(2), "it goes on");
}

#[test]
fn an_allocation_that_meets_the_wrong_build_gets_the_right_one() {
    let mut farm = Farm::new(Fleet::default());
    let held = farm.reserve().unwrap();
    farm.ordered();
    farm.set_build(7, Fleet::default());
    assert!(farm.ordered().is_empty(), "a reservation is kept");
    farm.allocate(Some(held), &[10]).unwrap();
    assert_eq!(farm.ordered(), ["1: create epoch 2 again of build 7 with 1 seats"]);
}

#[test]
fn a_fleet_that_is_no_more_has_no_new_scenes_and_its_games_go_on() {
    let mut farm = Farm::new(on_standby(1));
    let (_, scene) = farm.allocate(None, &[10]).unwrap();
    farm.ordered();
    farm.tell(Event::Fleets { fleets: BTreeMap::new() });
    assert_eq!(farm.ordered(), ["1: end epoch 1, Replaced"]);
    assert!(matches!(farm.allocate(None, &[11]), Err(Refusal::NotFound(_))));
    farm.pass_ms(1_000);
    assert!(farm.ordered().is_empty(), "none is made ready");
    assert_eq!(farm.states(), [("Allocated", 1)]);
    farm.finish(scene, Vec::new());
    assert_eq!(farm.ordered(), ["1: end epoch 2, Finished"]);
    assert_eq!(farm.order(Order::Fleets), Ok(Answer::Fleets(Vec::new())), "nothing of it is left");
}

#[test]
fn a_node_has_as_many_scenes_as_it_has_cores_and_memory_for() {
    let capacity = |cpu_us_per_s, memory_kib| Capacity { scenes: 100, cpu_us_per_s, memory_kib };
    for (capacity, room) in [(capacity(1_000, 10_000), 2), (capacity(9_000, 1_000), 3), (capacity(90_000, 90_000), 100)]
    {
        let fleet = Fleet { usage: Usage { cpu_us_per_s: 400, memory_kib: 300 }, ..Fleet::default() };
        let mut farm = Farm::with_nodes(fleet, &[capacity]);
        assert_eq!(farm.view().room, room);
        let made = (0..).map_while(|user| farm.allocate(None, &[user]).ok()).take(200).count();
        assert_eq!(made as u32, room);
        assert!(matches!(farm.allocate(None, &[999]), Err(Refusal::Overloaded(_))));
    }
}

#[test]
fn scenes_are_spread_or_packed() {
    for (placement, expected) in [(Placement::Spread, [2, 2]), (Placement::Packed, [4, 0])] {
        let mut farm = Farm::with_nodes(Fleet { placement, ..Fleet::default() }, &[Capacity::scenes(5); 2]);
        (0..4).for_each(|user| _ = farm.allocate(None, &[user]).unwrap());
        let used = [1, 2].map(|node| farm.world.service.slots(NodeId(node)).unwrap().0);
        assert_eq!(used, expected, "{placement:?}");
    }
}

#[test]
fn a_match_gets_a_scene_in_its_region_or_in_none_and_never_in_another() {
    let fleet = Fleet { start: StartOn::Provision, standby_min: 1, ..Fleet::default() };
    let mut farm = Farm::with_nodes(fleet, &[]);
    // The scene that is ready is in asia.
    farm.node_up_in(1, Capacity::scenes(5), None, Some("asia"));
    farm.node_up_in(2, Capacity::scenes(1), None, Some("eu"));
    farm.node_up_in(3, Capacity::scenes(1), None, None);
    farm.ordered();
    let node_of = |said: &[Message]| {
        said.iter().find_map(|message| match message {
            Message::Match(_, matching::Event::ResCreateScene { result, .. }) => Some(match result {
                Ok(entries) => entries[0].1.url.split('/').next().unwrap_or_default().to_owned(),
                Err(refusal) => format!("{refusal:?}"),
            }),
            _ => None,
        })
    };
    let mut place = |number: u64, region| node_of(&farm.matched_in(number, &[100 + number], region)).unwrap();
    assert_eq!(place(1, Some("eu")), "node-2");
    assert_eq!(place(2, Some("eu")), "node-3", "where it has no room: anywhere");
    assert_eq!(place(3, Some("eu")), "Overloaded(\"scenes in this region\")");
    assert_eq!(place(4, Some("asia")), "node-1");
    assert_eq!(place(5, None), "node-1");
    let mut farm = Farm::with_nodes(Fleet::default(), &[]);
    farm.node_up_in(1, Capacity::scenes(5), None, Some("asia"));
    let told = node_of(&farm.matched_in(1, &[10], Some("eu"))).unwrap();
    assert_eq!(told, "NotFound(\"server for games in the region \\\"eu\\\" now\")");
}

#[test]
fn what_matching_has_arranged_is_the_scenes_also_when_it_begins_anew() {
    let mut farm = Farm::with_nodes(Fleet::default(), &[Capacity::scenes(5)]);
    farm.node_up_in(1, Capacity::scenes(5), None, Some("eu"));
    let mut player = player(10);
    (player.role, player.party) = (Some("tank".to_owned()), 3);
    let choices = vec![("map".to_owned(), "dust".to_owned())];
    let (domain, fleet) = ("arena".into(), FLEET.into());
    let (match_id, players, choices, region) = (MatchId(1), vec![player], choices, None);
    let said = farm.tell(Event::ReqCreateScene { match_id, domain, fleet, players, choices, region, bots: 2 });
    let scene = scene_of(&said);
    let ask = Ask::Crashed("trap".to_owned());
    farm.tell(Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask });
    farm.pass_ms(1_000);
    let made: Vec<_> = farm
        .orders
        .iter()
        .filter_map(|(_, order)| match order {
            ToNode::ReqCreateScene { epoch, arranged, seats, .. } => {
                Some((*epoch, arranged.clone(), seats[0].player.clone()))
            }
            _ => None,
        })
        .collect();
    let [(Epoch(1), first, one), (Epoch(2), second, two)] = &made[..] else { panic!("{made:?}") };
    assert_eq!((first, one), (second, two));
    assert_eq!((first.region.as_deref(), first.bots, first.choices.len()), (Some("eu"), 2, 1));
    assert_eq!((one.role.as_deref(), one.party), (Some("tank"), 3));
}

#[test]
fn another_node_is_asked_when_one_has_no_room_or_does_not_answer() {
    let fleet = Fleet { placement: Placement::Packed, ..Fleet::default() };
    let mut farm = Farm::with_nodes(fleet.clone(), &[Capacity::scenes(5); 3]);
    farm.answers = vec![Err(Refusal::Overloaded("scenes"))];
    farm.allocate(None, &[10]).unwrap();
    assert_eq!(
        farm.ordered(),
        [
            "1: create epoch 1 of build 0 with 1 seats",
            "1: end epoch 1, Expired",
            "2: create epoch 2 of build 0 with 1 seats"
        ]
    );

    let mut farm = Farm::with_nodes(fleet.clone(), &[Capacity::scenes(5); 3]);
    farm.answers = vec![Err(Refusal::Overloaded("scenes")); 3];
    assert_eq!(farm.allocate(None, &[10]), Err(Refusal::Overloaded("scenes")), "after three it is told");
    assert!(farm.states().is_empty(), "{:?}", farm.states());
    assert!(farm.allocate(None, &[10]).is_ok(), "and the user is free again");
}

#[test]
fn a_node_that_is_drained_gets_no_scenes_and_its_games_have_their_time() {
    let fleet = Fleet { drain_ms: 60_000, ..on_standby(1) };
    let mut farm = Farm::with_nodes(fleet, &[Capacity::scenes(5); 2]);
    let (_, scene) = farm.allocate(None, &[10]).unwrap();
    let node = farm.records[&scene].node;
    farm.tell(Event::SynUserJoined { scene, epoch: farm.epoch(scene), seat: 0 });
    farm.ordered();
    farm.order(Order::DrainNode { node, exits: true }).unwrap();
    let ordered = farm.ordered();
    assert!(ordered.contains(&format!("{}: drain epoch 2 in 60000 ms", node.0)), "{ordered:?}");
    assert_eq!(farm.states(), [("Draining", 1), ("Ready", 1)]);
    farm.allocate(None, &[11]).unwrap();
    assert!(farm.ordered().iter().all(|order| !order.starts_with(&node.0.to_string())), "none on this node");
    let said = farm.pass_ms(60_000);
    assert!(farm.ordered().contains(&format!("{}: end epoch 2, Drained", node.0)));
    assert!(said.contains(&Message::NodeDrained(node)), "its process may exit: {said:?}");
}

#[test]
fn a_scene_that_is_made_to_be_reserved_on_a_node_that_is_drained_meanwhile_is_not_reserved() {
    let mut farm = Farm::new(Fleet::default());
    farm.answers = vec![Err(Refusal::SceneEnded)]; // Nothing is heard yet.
    let said = farm.tell(Event::ReqOperator { number: 7, order: Order::Reserve { fleet: FLEET.into(), for_ms: None } });
    assert_eq!(answer_to(7, &said), None);
    farm.order(Order::DrainNode { node: NodeId(1), exits: false }).unwrap();
    let scene = *farm.records.keys().next().expect("it is being made");
    let said = farm.tell(Event::ResCreateScene { scene, epoch: farm.epoch(scene), result: Ok(()) });
    assert_eq!(answer_to(7, &said), Some(Err(Refusal::Overloaded("scenes"))));
    assert!(farm.states().is_empty());
}

#[test]
fn who_waits_for_a_scene_that_its_node_has_given_up_is_told_so() {
    let mut farm = Farm::new(Fleet::default());
    farm.answers = vec![Err(Refusal::SceneEnded)];
    let said = farm.tell(Event::ReqOperator { number: 7, order: Order::Reserve { fleet: FLEET.into(), for_ms: None } });
    assert_eq!(answer_to(7, &said), None);
    let scene = *farm.records.keys().next().expect("it is being made");
    // That it was given up was lost; what is heard is that it has ended.
    let said = farm.tell(Event::ResDestroyScene { scene, epoch: farm.epoch(scene), kept: false });
    assert_eq!(answer_to(7, &said), Some(Err(Refusal::SceneEnded)));
}

#[test]
fn a_game_that_ends_by_itself_while_its_node_is_drained_ends_as_ever() {
    let mut farm = Farm::new(Fleet { start: StartOn::Allocation, standby_min: 0, ..reused() });
    let (_, scene) = farm.allocate(None, &[10]).unwrap();
    farm.order(Order::DrainNode { node: NodeId(1), exits: true }).unwrap();
    farm.ordered();
    let said = farm.finish(scene, Vec::new());
    assert_eq!(farm.ordered(), ["1: end epoch 1, Finished"], "its instance is not kept");
    assert!(said.contains(&Message::NodeDrained(NodeId(1))));
}

#[test]
fn a_node_whose_drain_is_taken_back_gets_scenes_again() {
    let mut farm = Farm::new(on_standby(2));
    farm.order(Order::DrainNode { node: NodeId(1), exits: false }).unwrap();
    assert!(farm.states().is_empty());
    assert!(matches!(farm.allocate(None, &[10]), Err(Refusal::Overloaded(_))));
    farm.order(Order::UndrainNode { node: NodeId(1) }).unwrap();
    assert_eq!(farm.states(), [("Ready", 2)]);
    assert!(matches!(farm.order(Order::UndrainNode { node: NodeId(7) }), Err(Refusal::NotFound(_))));
}

#[test]
fn a_node_on_which_nothing_is_allocated_for_its_time_says_so_and_drains() {
    let mut farm = Farm::with_nodes(on_standby(1), &[]);
    farm.node_up(1, Capacity::scenes(5), Some(Idle { after_ms: 10_000, exits: true }));
    farm.pass_ms(6_000);
    let (_, scene) = farm.allocate(None, &[10]).unwrap();
    assert!(farm.pass_ms(15_000).iter().all(|it| !matches!(it, Message::NodeIdle(_))), "it is in use");
    farm.finish(scene, Vec::new());
    let said = farm.pass_ms(9_999);
    assert!(said.iter().all(|it| !matches!(it, Message::NodeIdle(_))));
    let said = farm.pass_ms(1);
    assert!(said.contains(&Message::NodeIdle(NodeId(1))) && said.contains(&Message::NodeDrained(NodeId(1))));
    assert!(farm.states().is_empty(), "what was on standby has ended");
}

#[test]
fn a_scene_whose_node_is_gone_before_it_is_there_is_made_elsewhere() {
    let mut farm = Farm::with_nodes(Fleet::default(), &[Capacity::scenes(5)]);
    farm.answers = vec![Err(Refusal::SceneEnded)];
    farm.matched(1, &[10, 11]);
    farm.node_up(2, Capacity::scenes(5), None);
    let said = farm.tell(Event::NodeDown { node: NodeId(1) });
    let scene = scene_of(&said);
    assert_eq!(farm.records[&scene].node, NodeId(2));
}

#[test]
fn nothing_is_given_out_while_the_host_stops() {
    let mut farm = Farm::new(on_standby(2));
    farm.tell(Event::Stopping);
    assert!(farm.states().is_empty());
    assert_eq!(farm.allocate(None, &[10]), Err(Refusal::Stopping));
    assert_eq!(farm.reserve(), Err(Refusal::Stopping));
}

fn results_of(players: u32) -> Vec<PlayerResult> {
    (0..players).map(|seat| PlayerResult { seat, place: seat + 1, score: 0 }).collect()
}

/// The allocations whose results are handed over.
fn recorded(said: &[Message]) -> Vec<AllocationId> {
    let allocation = |message: &Message| match message {
        Message::Db(db::Event::Req { request, .. }) => match &**request {
            db::Request::Results(results::Request::Record { allocation, .. }) => Some(*allocation),
            _ => None,
        },
        _ => None,
    };
    said.iter().filter_map(allocation).collect()
}
