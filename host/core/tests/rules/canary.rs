//! Canaries: a build that a part of a fleet's new scenes is made of; and scenes that go on as another build.

use std::collections::BTreeMap;

use scenehost_core::config::{Fleet, StartOn};
use scenehost_core::message::Arranged;
use scenehost_core::record::{self, SceneRecord};
use scenehost_core::scene::{self, Scene};
use scenehost_core::scene_master::{
    Answer, Ask, Builds, Canary, Capacity, Event, FleetView, Offer, Order, SceneMaster,
};
use scenehost_core::scene_service::{Event as ToNode, Life, Report, Reported, Round, SceneService, Start};
use scenehost_core::{Build, Epoch, FleetName, Message, NodeId, SceneId, Time, Write};

use crate::world::World;

const FLEET: &str = "arena";
const NODE: NodeId = NodeId(1);
const ACTIVE: Build = Build(1);
const TRIED: Build = Build(2);

fn builds(build: Build, canary: Option<(Build, u8)>) -> Builds {
    Builds { canary: canary.map(|(build, percent)| Canary { build, percent }), ..Builds::from(build) }
}

fn fleets(fleet: &Fleet, builds: Builds) -> Event {
    Event::Fleets { fleets: BTreeMap::from([(FLEET.into(), (builds, fleet.clone()))]) }
}

fn offer() -> Offer {
    Offer { url: "node".to_owned(), capacity: Capacity::scenes(10_000), idle: None, region: None }
}

/// SceneMaster with one node that obeys.
struct Farm {
    world: World<SceneMaster>,
    fleet: Fleet,
    records: BTreeMap<SceneId, SceneRecord>,
}

impl Farm {
    fn new(fleet: Fleet, builds: Builds) -> Self {
        let master = SceneMaster::new(BTreeMap::from([(FleetName::from(FLEET), fleet.clone())]));
        let mut farm = Self { world: World::new(master), fleet, records: BTreeMap::new() };
        farm.set(builds);
        let Offer { url, capacity, idle, region } = offer();
        farm.tell(Event::NodeUp { node: NODE, url, capacity, idle, region });
        farm
    }

    fn set(&mut self, builds: Builds) -> Vec<String> {
        let event = fleets(&self.fleet, builds);
        self.tell(event)
    }

    /// One event and the obedience that follows: what was ordered, shortly.
    fn tell(&mut self, event: Event) -> Vec<String> {
        let mut events = vec![event];
        let mut ordered = Vec::new();
        while let Some(event) = (!events.is_empty()).then(|| events.remove(0)) {
            let effects = self.world.step(event);
            for write in effects.writes {
                let (Write::Put { key, .. } | Write::Delete { key }) = &write;
                let Some(id) = key.strip_prefix(record::SCENE_PREFIX).and_then(|id| id.parse().ok()) else { continue };
                match &write {
                    Write::Put { key, value } => _ = self.records.insert(id, record::decode(key, value).unwrap()),
                    Write::Delete { .. } => _ = self.records.remove(&id),
                }
            }
            for message in effects.messages {
                match message {
                    Message::SceneService(_, ToNode::ReqCreateScene { scene, epoch, build, .. }) => {
                        ordered.push(format!("create {}", build.0));
                        events.push(Event::ResCreateScene { scene, epoch, result: Ok(()) });
                    }
                    Message::SceneService(_, ToNode::ReqDestroyScene { scene, epoch, keep, reason, .. }) => {
                        ordered.push(format!("end, {}", reason.name()));
                        events.push(Event::ResDestroyScene { scene, epoch, kept: keep });
                    }
                    _ => {}
                }
            }
        }
        ordered
    }

    fn pass_ms(&mut self, ms: u64) -> Vec<String> {
        let end = self.world.now.plus_ms(ms);
        let mut ordered = Vec::new();
        while let Some(deadline) = self.world.deadline().filter(|deadline| *deadline <= end) {
            self.world.now = self.world.now.max(deadline);
            ordered.extend(self.tell(Event::Tick));
        }
        self.world.now = end;
        ordered
    }

    /// Scenes that an operator starts by hand: whether each of them is the canary's, in order.
    fn start(&mut self, count: u32) -> Vec<bool> {
        let ordered = self.tell(Event::ReqCreateByHand { number: 1, fleet: FLEET.into(), count });
        assert_eq!(ordered.len(), count as usize);
        ordered.iter().map(|order| *order == format!("create {}", TRIED.0)).collect()
    }

    fn view(&mut self) -> FleetView {
        let messages = self.world.tell(Event::ReqOperator { number: 9, order: Order::Fleets });
        let answer = messages.into_iter().find_map(|message| match message {
            Message::Operator(9, Ok(answer)) => Some(*answer),
            _ => None,
        });
        match answer {
            Some(Answer::Fleets(mut fleets)) if fleets.len() == 1 => fleets.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// The node tells of a scene that runs as this build.
    fn report(&mut self, scene: SceneId, epoch: Epoch, build: Build) -> Vec<String> {
        let reported = Reported { scene, epoch, build, life: Life::Running, seats: Some(Vec::new()) };
        let round = Round { since: Time(1), number: 1 };
        let (offer, scenes) = (offer(), vec![reported]);
        self.tell(Event::SynReport(Box::new(Report {
            node: NODE,
            offer,
            asked: 0,
            round,
            from: scene,
            to: scene,
            scenes,
            load: BTreeMap::new(),
        })))
    }
}

fn in_use(farm: &mut Farm) -> SceneId {
    let order = Order::Allocate { fleet: FLEET.into(), scene: None, domain: Some("arena".into()), players: Vec::new() };
    let before: Vec<SceneId> = farm.records.keys().copied().collect();
    farm.tell(Event::ReqOperator { number: 3, order });
    *farm.records.keys().find(|id| !before.contains(id)).expect("a scene was made")
}

#[test]
fn of_any_hundred_new_scenes_in_a_row_the_canary_has_its_share_and_evenly() {
    for percent in [1_u8, 10, 33, 50, 99, 100] {
        let mut farm = Farm::new(Fleet::default(), builds(ACTIVE, Some((TRIED, percent))));
        let is_canary = farm.start(300);
        for window in is_canary.windows(100) {
            assert_eq!(window.iter().filter(|it| **it).count(), usize::from(percent), "{percent} %");
        }
        // No two of the canary's are further apart, nor nearer, than the share says.
        let at: Vec<usize> = (0..).zip(&is_canary).filter(|(_, it)| **it).map(|(at, _)| at).collect();
        let apart = 100.0 / f64::from(percent);
        assert!(
            at.windows(2).all(|two| (apart.floor()..=apart.ceil()).contains(&((two[1] - two[0]) as f64))),
            "{percent} %: {at:?}"
        );
    }
}

#[test]
fn without_a_canary_all_new_scenes_are_of_the_fleets_build() {
    let mut farm = Farm::new(Fleet::default(), ACTIVE.into());
    assert!(farm.start(50).iter().all(|is_canary| !is_canary));
    farm.set(builds(ACTIVE, Some((TRIED, 0))));
    assert!(farm.start(50).iter().all(|is_canary| !is_canary));
    assert_eq!(farm.view().of_other_builds, 0);
}

#[test]
fn the_canarys_scenes_are_counted_and_go_on_when_it_is_taken_back() {
    let mut farm = Farm::new(Fleet::default(), builds(ACTIVE, Some((TRIED, 50))));
    for _ in 0..4 {
        in_use(&mut farm);
    }
    let view = farm.view();
    assert_eq!((view.of_canary, view.of_other_builds), (2, 0));
    assert!(farm.set(ACTIVE.into()).is_empty(), "scenes in use keep what they have");
    let view = farm.view();
    assert_eq!((view.of_canary, view.of_other_builds), (0, 2));
}

#[test]
fn scenes_on_standby_are_of_both_builds_and_keep_theirs_when_they_are_used() {
    let fleet = Fleet { start: StartOn::Provision, standby_min: 4, ..Fleet::default() };
    let mut farm = Farm::new(fleet, ACTIVE.into());
    assert_eq!(farm.view().scenes, BTreeMap::from([("Ready".into(), 4)]));
    assert!(farm.set(builds(ACTIVE, Some((TRIED, 50)))).is_empty(), "those that are ready are of a build of now");
    for _ in 0..8 {
        let scene = in_use(&mut farm);
        assert!([ACTIVE, TRIED].contains(&farm.records[&scene].build));
    }
    let view = farm.view();
    assert_eq!((view.of_canary, view.of_other_builds), (4, 0), "12 in all, of which 8 were made since");
    let ordered = farm.set(ACTIVE.into());
    let [ended, made] = ["end, Replaced", "create 1"].map(|it| ordered.iter().filter(|order| *order == it).count());
    assert!(ended > 0 && ended == made && ended + made == ordered.len(), "{ordered:?}");
    assert_eq!(farm.view().scenes["Ready"], 4);
}

#[test]
fn a_scene_that_goes_on_as_another_build_is_counted_as_that_and_begins_anew_as_that() {
    let mut farm = Farm::new(Fleet::default(), ACTIVE.into());
    let scene = in_use(&mut farm);
    farm.set(TRIED.into());
    assert_eq!(farm.view().of_other_builds, 1);
    farm.report(scene, Epoch(9), TRIED);
    assert_eq!(farm.view().of_other_builds, 1, "of another incarnation it means nothing");
    farm.report(scene, farm.records[&scene].epoch, TRIED);
    assert_eq!((farm.view().of_other_builds, farm.records[&scene].build), (0, TRIED));
    let epoch = farm.records[&scene].epoch;
    let ask = Ask::Crashed("it trapped".to_owned());
    farm.tell(Event::ReqAskDestroyScene { scene, epoch, ask });
    assert_eq!(farm.pass_ms(1_000), ["create 2"], "it begins anew as what it was last");
}

#[test]
fn a_node_tells_at_once_of_a_scene_that_goes_on_as_another_build() {
    let fleets = BTreeMap::from([(FleetName::from(FLEET), Fleet::default())]);
    let mut node = World::new(SceneService::new(NODE, offer(), fleets));
    node.tell(ToNode::Tick);
    let (scene, epoch) = (SceneId(5), Epoch(1));
    node.tell(ToNode::ReqCreateScene {
        scene,
        epoch,
        fleet: FLEET.into(),
        build: ACTIVE,
        reuse: false,
        domain: None,
        seed: 1,
        arranged: Arranged::default(),
        seats: Vec::new(),
    });
    node.tell(ToNode::ResStart { scene, epoch, result: Ok(()) });
    let start = Start {
        epoch,
        fleet: FLEET.into(),
        build: ACTIVE,
        reuse: false,
        limits: Fleet::default(),
        domain: None,
        seed: 1,
        arranged: Arranged::default(),
        seats: Vec::new(),
    };
    let mut handler: Scene<()> = Scene::start(scene, start);
    assert_eq!(handler.made_of(ACTIVE), None, "it does not run yet");
    handler.step(Time(1), scene::Event::Started(Ok(())));
    let Some(Message::OwnSceneService(unchanged)) = handler.made_of(ACTIVE) else { panic!("it runs") };
    assert!(node.tell(unchanged).is_empty(), "nothing has changed");
    let Some(Message::OwnSceneService(changed)) = handler.made_of(TRIED) else { panic!("it runs") };
    let told = node.tell(changed);
    let [Message::SceneMaster(Event::SynReport(report))] = &told[..] else { panic!("{told:?}") };
    assert_eq!((report.from, report.to), (scene, scene));
    assert_eq!((report.scenes[0].build, report.scenes[0].life), (TRIED, Life::Running));
}
