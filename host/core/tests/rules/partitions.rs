//! SceneMaster in two partitions: each has its fleets, their scenes and nothing else, and one that is down concerns
//! nobody but those of its fleets.

use std::collections::{BTreeMap, BTreeSet};

use scenehost_core::config::{Fleet, Usage};
use scenehost_core::lobby::{self, Lobby};
use scenehost_core::matching::domain::Domain;
use scenehost_core::matching::{self, Match};
use scenehost_core::message::{Notice, ToUser};
use scenehost_core::partition::SHARDS;
use scenehost_core::scene_list::{Ask, Cursor, Found, Page, Query};
use scenehost_core::scene_master::{self, Answer, Capacity, Held, Load, Matched, NodeView, Offer, Order, SceneMaster};
use scenehost_core::scene_service::{self, Event as ToNode, Report, SceneService};
use scenehost_core::{
    Build, DomainName, Epoch, FleetName, MatchId, Message, NodeId, Partition, Refusal, SceneId, ServiceName, Shard,
    Time, UserId,
};

use crate::matchmaker::seeker;
use crate::one_user::{
    CONNECTION, GRACE_MS, USER, domain, entry, identity, res_enter, rules, shorts, sign_in, signed_in_on,
};
use crate::world::{World, req_create_scene};

const NODE: NodeId = NodeId(1);
const MINE: &str = "gomoku";
const DOWN: Refusal = Refusal::ServiceDown(ServiceName::SceneMaster);

/// The partition that has the fleet of these tests, and the other one.
fn partitions() -> [Partition; 2] {
    let mut both = Partition::split(2);
    both.sort_by_key(|partition| !partition.has(Shard::of_fleet(&MINE.into())));
    [both[0], both[1]]
}

/// A fleet of the other partition.
fn others() -> FleetName {
    let names = (0..).map(|number| FleetName::from(format!("fleet-{number}")));
    names.into_iter().find(|name| partitions()[1].has(Shard::of_fleet(name))).expect("half of all names are")
}

/// A scene of a fleet.
fn scene_of(fleet: &FleetName, number: u64) -> SceneId {
    SceneId(Shard::of_fleet(fleet).id(number << 8))
}

#[test]
fn each_shard_is_in_one_partition_and_an_id_keeps_its_shard() {
    for count in [1, 2, 3, 16, 255, SHARDS] {
        let all = Partition::split(count);
        assert_eq!(all.len(), usize::from(count));
        for shard in (0..=u8::MAX).map(Shard) {
            assert_eq!(all.iter().filter(|partition| partition.has(shard)).count(), 1, "{count}: {shard:?}");
            assert_eq!(Shard::of_id(shard.id(u64::MAX)), shard);
            assert_eq!(Shard::of_id(shard.id(0)), shard);
        }
        for partition in all {
            assert_eq!(partition.to_string().parse(), Ok(partition));
            let (first, last) = partition.scenes();
            assert!(partition.has(Shard::of_id(first.0)) && partition.has(Shard::of_id(last.0)));
        }
    }
    assert_eq!(Partition::split(1), [Partition::WHOLE]);
    for text in ["", "00", "80-7f", "0-ff", "00-+f", "00-7f-80"] {
        assert!(text.parse::<Partition>().is_err(), "{text}");
    }
}

/// SceneMaster of the first partition, on a node of three slots.
fn master() -> World<SceneMaster> {
    let fleets = [MINE.into(), others()].map(|name| (name, Fleet::default()));
    let mut world = World::new(SceneMaster::new(BTreeMap::from(fleets)).of(partitions()[0]));
    let Offer { url, capacity, idle, region } = offer();
    world.tell(scene_master::Event::NodeUp { node: NODE, url, capacity, idle, region });
    world
}

fn offer() -> Offer {
    Offer { url: String::new(), capacity: Capacity::scenes(3), idle: None, region: None }
}

fn req_create(number: u64, fleet: &FleetName) -> scene_master::Event {
    let player =
        |user| Matched { user: UserId(user), name: "Ada".to_owned(), rating: 1_500, team: 0, role: None, party: 0 };
    scene_master::Event::ReqCreateScene {
        match_id: MatchId(Shard::of_fleet(fleet).id(number << 8)),
        domain: domain(),
        fleet: fleet.clone(),
        players: [10 * number, 10 * number + 1].map(player).to_vec(),
        choices: Vec::new(),
        region: None,
        bots: 0,
    }
}

/// The scene that is ordered, and its allocation's shard by its record.
fn ordered(said: &[Message]) -> Option<SceneId> {
    said.iter().find_map(|message| match message {
        Message::SceneService(_, ToNode::ReqCreateScene { scene, .. }) => Some(*scene),
        _ => None,
    })
}

#[test]
fn a_scene_master_has_the_fleets_of_its_partition_and_their_scenes_are_of_it() {
    let mut world = master();
    let event = req_create(1, &MINE.into());
    assert!(partitions()[0].overlaps(event.to()) && !partitions()[1].overlaps(event.to()));
    let scene = ordered(&world.tell(event)).expect("there is room");
    assert_eq!(Shard::of_id(scene.0), Shard::of_fleet(&MINE.into()));
    assert_eq!(shorts(&world.tell(req_create(2, &others()))), ["Match ResCreateScene ✗NotFound"]);
    // Fleets that operators change are told to all.
    let fleets = BTreeMap::from([(others(), (Build(1).into(), Fleet::default()))]);
    world.tell(scene_master::Event::Fleets { fleets });
    assert_eq!(shorts(&world.tell(req_create(3, &others()))), ["Match ResCreateScene ✗NotFound"]);
    assert_eq!(shorts(&world.tell(req_create(4, &MINE.into()))), ["Match ResCreateScene ✗NotFound"], "it is gone");
}

#[test]
fn what_other_partitions_have_on_a_node_is_not_free_and_not_ended() {
    let mut world = master();
    let load = BTreeMap::from([(Shard::of_fleet(&others()), Load { scenes: 2, ..Load::default() })]);
    world.tell(scene_master::Event::SynLoad { node: NODE, load });
    ordered(&world.tell(req_create(1, &MINE.into()))).expect("there is room for one");
    assert_eq!(shorts(&world.tell(req_create(2, &MINE.into()))), ["Match ResCreateScene ✗Overloaded"]);
    world.tell(scene_master::Event::SynLoad { node: NODE, load: BTreeMap::new() });
    ordered(&world.tell(req_create(3, &MINE.into()))).expect("there is room again");

    let reported = scene_service::Reported {
        scene: scene_of(&others(), 1),
        epoch: Epoch(1),
        build: Build(1),
        life: scene_service::Life::Running,
        seats: None,
    };
    let report = Report {
        node: NODE,
        offer: offer(),
        asked: 0,
        round: scene_service::Round { since: Time(1), number: 1 },
        from: SceneId(0),
        to: SceneId(u64::MAX),
        load: BTreeMap::new(),
        scenes: vec![reported],
    };
    assert_eq!(world.tell(scene_master::Event::SynReport(Box::new(report))), []);
}

/// A node of two slots for both partitions.
fn node() -> World<SceneService> {
    let usage = Usage { cpu_us_per_s: 400, memory_kib: 1 };
    let fleets = [MINE.into(), others()].map(|name| (name, Fleet { usage, ..Fleet::default() }));
    let capacity = Capacity { scenes: 10, cpu_us_per_s: 1_000, memory_kib: 1_000 };
    let service = SceneService::new(NODE, Offer { capacity, ..offer() }, BTreeMap::from(fleets));
    let mut world = World::new(service.with_partitions(partitions()));
    world.pass_ms(1);
    world
}

fn order(scene: SceneId, fleet: FleetName) -> ToNode {
    req_create_scene((scene, Epoch(1)), fleet, Build(1))
}

#[test]
fn a_node_has_the_last_word_on_its_room_and_tells_all_what_is_taken() {
    let mut node = node();
    let (mine, of_others) = (scene_of(&MINE.into(), 1), scene_of(&others(), 1));
    node.tell(order(mine, MINE.into()));
    node.tell(order(of_others, others()));
    let said = node.tell(order(scene_of(&MINE.into(), 2), MINE.into()));
    assert_eq!(shorts(&said), ["SceneMaster SynLoad", "SceneMaster ResCreateScene ✗Overloaded"]);
    let Message::SceneMaster(scene_master::Event::SynLoad { load, .. }) = &said[0] else { panic!("{said:?}") };
    assert_eq!(load.values().map(|load| load.scenes).collect::<Vec<_>>(), [1, 1]);

    node.tell(ToNode::ReqDestroyScene {
        scene: mine,
        epoch: Epoch(1),
        reason: scenehost_core::message::EndReason::Stopped,
        results: Vec::new(),
        keep: false,
    });
    node.tell(ToNode::ResEnd { scene: mine, epoch: Epoch(1), kept: false });
    let said = node.pass_ms(1_000);
    let told = said.iter().find_map(|message| match message {
        Message::SceneMaster(scene_master::Event::SynLoad { load, .. }) => Some(load.keys().copied().collect()),
        _ => None,
    });
    assert_eq!(told, Some(vec![Shard::of_fleet(&others())]), "{said:?}");
}

#[test]
fn two_that_ask_a_node_at_the_same_time_are_each_told_of_their_scenes() {
    let mut node = node();
    node.tell(order(scene_of(&MINE.into(), 1), MINE.into()));
    node.tell(order(scene_of(&others(), 1), others()));
    for (scene, fleet) in [(scene_of(&MINE.into(), 1), MINE.into()), (scene_of(&others(), 1), others())] {
        assert_eq!(Shard::of_id(scene.0), Shard::of_fleet(&fleet));
        node.tell(ToNode::ResStart { scene, epoch: Epoch(1), result: Ok(()) });
    }
    let asked = partitions().map(|partition| (partition, partition.scenes()));
    for (number, (_, (from, to))) in (1..).zip(asked) {
        node.tell(ToNode::ReqReport { number, from, to });
    }
    let said = node.pass_ms(2 * scene_service::GATHER_MS_MAX + 10);
    for (number, (partition, (from, to))) in (1..).zip(asked) {
        let reports = said.iter().filter_map(|message| match message {
            Message::SceneMaster(scene_master::Event::SynReport(report)) if report.asked == number => Some(report),
            _ => None,
        });
        let reports: Vec<&Box<Report>> = reports.collect();
        assert_eq!(reports.len(), 1, "{said:?}");
        assert_eq!((reports[0].from, reports[0].to), (from, to));
        assert!(reports[0].scenes.len() == 1 && partition.has(Shard::of_id(reports[0].scenes[0].scene.0)));
    }
}

#[test]
fn a_node_may_exit_when_all_have_drained_it_and_nothing_is_left() {
    let mut node = node();
    let scene = scene_of(&MINE.into(), 1);
    let drained = |partition, drained| ToNode::SynDrained { partition, drained };
    let [one, other] = partitions();
    assert_eq!(node.tell(drained(one, true)), []);
    assert_eq!(node.tell(drained(one, false)), []);
    assert_eq!(node.tell(drained(other, true)), []);
    node.tell(order(scene, MINE.into()));
    assert_eq!(node.tell(drained(one, true)), [], "one is on its way");
    let said = node.tell(ToNode::ResStart { scene, epoch: Epoch(1), result: Err(Refusal::SceneEnded) });
    assert!(said.contains(&Message::NodeDrained(NODE)), "{said:?}");
}

/// A lobby of two domains, each with a fleet of another partition.
fn lobby() -> Lobby {
    let of_others = Domain { fleet: others(), ..rules() };
    let domains = BTreeMap::from([(domain(), rules()), ("elsewhere".into(), of_others)]);
    Lobby::new(domains, GRACE_MS).with_partitions(partitions())
}

fn is_up(partition: Partition, up: bool) -> lobby::Event {
    lobby::Event::SceneMaster { partition, up }
}

fn search(domain: DomainName, request: u32) -> lobby::Event {
    lobby::Event::ReqMatch { connection: CONNECTION, request, domain, wish: None }
}

/// What users are told of partitions.
fn told(messages: &[Message]) -> Vec<(DomainName, bool)> {
    let of_partition = messages.iter().filter_map(|message| match message {
        Message::User(ToUser { notice: Notice::SynScenes { domain, up }, .. }) => Some((domain.clone(), *up)),
        _ => None,
    });
    of_partition.collect()
}

#[test]
fn a_partition_that_is_down_refuses_searches_for_its_fleets_alone_and_those_users_hear_of_it() {
    let [mine, other] = partitions();
    let mut world = World::new(lobby());
    signed_in_on(&mut world, CONNECTION, USER);
    assert_eq!(world.tell(is_up(other, false)), [], "nobody is concerned");
    assert!(shorts(&world.tell(search(domain(), 2))).contains(&format!("Match {}", "ReqMatch")));
    assert_eq!(told(&world.tell(is_up(mine, false))), [(domain(), false)]);
    assert_eq!(world.service.phase_name(USER), "Searching", "it is asked again when it is up");
    assert_eq!(told(&world.tell(is_up(mine, true))), [(domain(), true)]);
    world.tell(lobby::Event::ReqCancelMatch { connection: CONNECTION, request: 3 });
    world.tell(lobby::Event::ResCancelMatch { user: USER, ticket: 1, result: Ok(()) });
    assert_eq!(shorts(&world.tell(search("elsewhere".into(), 4))), ["User Refused ServiceDown"]);
    assert_eq!(told(&world.tell(is_up(other, true))), [("elsewhere".into(), true)], "who was refused is told");
}

#[test]
fn who_plays_in_a_partition_that_is_down_cannot_come_back_and_its_seat_is_asked_for() {
    let [mine, other] = partitions();
    let scene = scene_of(&MINE.into(), 1);
    let mut world = World::new(lobby());
    signed_in_on(&mut world, CONNECTION, USER);
    world.tell(search(domain(), 2));
    let found = scenehost_core::message::Entry { scene, ..entry(1) };
    world.tell(lobby::Event::ResMatch { user: USER, ticket: 1, result: Ok(found) });
    world.tell(is_up(other, false));
    let rejoin = |request| lobby::Event::ReqRejoin { connection: CONNECTION, request };
    assert_eq!(shorts(&world.tell(rejoin(3))), ["SceneMaster ReqRejoin"]);
    let said = world.tell(is_up(mine, false));
    assert_eq!(shorts(&said), ["User SynScenes", "User Refused ServiceDown"]);
    assert_eq!(shorts(&world.tell(rejoin(4))), ["User Refused ServiceDown"]);
    assert_eq!(shorts(&world.tell(is_up(mine, true))), ["User SynScenes", "SceneMaster ReqSeat"]);
}

/// A lobby that takes over, while a user comes in; the number of its question.
fn asking(down: Option<Partition>) -> (World<Lobby>, u64) {
    let mut world = World::new(lobby().taking_over(1 << 32));
    down.into_iter().for_each(|partition| _ = world.tell(is_up(partition, false)));
    world.tell(lobby::Event::Opened { connection: CONNECTION });
    world.tell(sign_in(CONNECTION));
    world.tell(lobby::Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) });
    let said = world.tell(res_enter(CONNECTION, USER));
    (world, number(&said))
}

fn number(said: &[Message]) -> u64 {
    match said {
        [.., Message::SceneMaster(scene_master::Event::ReqSeat { user: USER, number })] => *number,
        other => panic!("{other:?}"),
    }
}

fn res_seat(number: u64, of: Partition, scene: Option<SceneId>) -> lobby::Event {
    let held = Ok(scene.map(|scene| Held { scene, domain: domain() }));
    lobby::Event::ResSeat { user: USER, number, of, held, ended: None }
}

#[test]
fn a_fresh_lobby_knows_that_there_is_no_seat_when_all_have_said_so() {
    let [mine, other] = partitions();
    let (mut world, number) = asking(None);
    assert_eq!(world.tell(res_seat(number, other, None)), []);
    assert!(shorts(&world.tell(res_seat(number, mine, None))).contains(&"User ResSignIn".to_owned()));
    assert!(shorts(&world.tell(search(domain(), 2))).contains(&"Match ReqMatch".to_owned()));

    let (mut world, number) = asking(None);
    let said = world.tell(res_seat(number, mine, Some(scene_of(&MINE.into(), 1))));
    assert!(shorts(&said).contains(&"User ResSignIn".to_owned()), "one that has it is enough");
    assert_eq!(world.service.phase_name(USER), "InScene");
}

#[test]
fn a_fresh_lobby_asks_one_that_was_down_when_it_is_up() {
    let [mine, other] = partitions();
    let (mut world, first) = asking(Some(mine));
    assert!(shorts(&world.tell(res_seat(first, other, None))).contains(&"User ResSignIn".to_owned()));
    assert_eq!(shorts(&world.tell(search("elsewhere".into(), 2))), ["User Refused Busy"], "there may be a seat");
    let second = number(&world.tell(is_up(mine, true)));
    assert_eq!(shorts(&world.tell(res_seat(second, mine, Some(scene_of(&MINE.into(), 1))))), ["SceneMaster ReqRejoin"]);
}

#[test]
fn one_that_goes_while_a_user_waits_keeps_nobody_out() {
    let [mine, other] = partitions();
    let (mut world, number) = asking(None);
    world.tell(res_seat(number, other, None));
    assert!(shorts(&world.tell(is_up(mine, false))).contains(&"User ResSignIn".to_owned()));
}

fn found(fleet: &FleetName, number: u64, started: u64) -> Found {
    Found {
        scene: scene_of(fleet, number),
        domain: None,
        fleet: fleet.clone(),
        state: "Running".into(),
        players: 1,
        players_max: 2,
        spectators: 0,
        label: None,
        started: Time(started),
        can_join: true,
        can_watch: false,
    }
}

#[test]
fn a_list_of_scenes_is_one_of_all_partitions_that_are_up() {
    let [mine, other] = partitions();
    let mut world = World::new(lobby());
    signed_in_on(&mut world, CONNECTION, USER);
    let query = || Box::new(Query { limit: 10, ..Query::default() });
    let ask = |request| lobby::Event::ReqScenes { connection: CONNECTION, request, ask: Ask::Find(query()) };
    let part = |number, of, found| {
        let page = Page { scenes: vec![found], next: None };
        lobby::Event::ResFindScenes { user: USER, number, of, result: Ok(Box::new(page)) }
    };
    let page = |said: &[Message]| match said {
        [Message::User(ToUser { notice: Notice::ResFindScenes(page), .. })] => {
            page.scenes.iter().map(|found| found.started.0).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    world.tell(ask(2));
    assert_eq!(world.tell(part(1, mine, found(&MINE.into(), 1, 5))), []);
    assert_eq!(page(&world.tell(part(1, other, found(&others(), 1, 7)))), [7, 5], "the newest first");

    world.tell(ask(3));
    world.tell(part(2, mine, found(&MINE.into(), 1, 5)));
    assert_eq!(page(&world.tell(is_up(other, false))), [5], "the other one will not answer");
    world.tell(ask(4));
    assert_eq!(page(&world.tell(part(3, mine, found(&MINE.into(), 1, 5)))), [5]);
    let of_fleet = Box::new(Query { fleet: Some(others()), limit: 10, ..Query::default() });
    let ask = lobby::Event::ReqScenes { connection: CONNECTION, request: 5, ask: Ask::Find(of_fleet) };
    assert_eq!(shorts(&world.tell(ask)), ["User Refused ServiceDown"]);
}

#[test]
fn pages_of_several_lists_make_one_page_without_a_gap() {
    let fleet = FleetName::from(MINE);
    let cursor = |number, started| Cursor { started: Time(started), scene: scene_of(&fleet, number) };
    let one = Page { scenes: vec![found(&fleet, 1, 9), found(&fleet, 2, 6)], next: Some(cursor(2, 6)) };
    let other = Page { scenes: vec![found(&fleet, 3, 8), found(&fleet, 4, 5)], next: None };
    let started = |page: &Page| page.scenes.iter().map(|found| found.started.0).collect::<Vec<_>>();
    let merged = Page::merge(vec![one.clone(), other.clone()], 10);
    assert_eq!((started(&merged), merged.next), (vec![9, 8, 6], Some(cursor(2, 6))), "behind it there may be more");
    let merged = Page::merge(vec![one, other.clone()], 2);
    assert_eq!((started(&merged), merged.next), (vec![9, 8], Some(cursor(3, 8))));
    let merged = Page::merge(vec![other, Page::default()], 10);
    assert_eq!((started(&merged), merged.next), (vec![8, 5], None));
}

#[test]
fn answers_of_several_scene_masters_are_one() {
    let view = |scenes, idle: Option<u64>| NodeView {
        node: NODE,
        region: None,
        capacity: Capacity::scenes(9),
        used: Capacity { scenes, cpu_us_per_s: 0, memory_kib: 0 },
        allocated: scenes,
        idle_since: idle.map(Time),
        is_draining: false,
    };
    let nodes = |view| Ok(Answer::Nodes(vec![view]));
    let merged = Answer::merge(vec![nodes(view(1, None)), Err(DOWN), nodes(view(2, Some(7)))], 10);
    assert_eq!(merged, Ok(Answer::Nodes(vec![view(3, None)])), "one that is down has none to tell of");
    assert_eq!(Answer::merge(vec![Err(DOWN), Err(DOWN)], 10), Err(DOWN));
    assert_eq!(Answer::merge(vec![Ok(Answer::Done), Err(DOWN)], 10), Err(DOWN), "what is ordered is done by all");
    assert_eq!(Answer::merge(vec![Ok(Answer::Done), Ok(Answer::Done)], 10), Ok(Answer::Done));
    let of_scene = Order::Stop { scene: scene_of(&MINE.into(), 1) };
    assert_eq!(of_scene.to(), Partition::from(Shard::of_fleet(&MINE.into())));
}

#[test]
fn a_handler_waits_for_the_partition_of_its_fleet_alone() {
    let [mine, other] = partitions();
    let mut world = World::new(Match::new(domain(), rules(), None));
    let ask = |ticket: u64| {
        let seekers = vec![seeker(ticket, 1_500)];
        matching::Event::ReqMatch { ticket, seekers, waited_ms: 0, away: BTreeSet::new() }
    };
    world.tell(matching::Event::SceneMaster { partition: other, up: false });
    world.tell(ask(1));
    let said = world.tell(ask(2));
    let asked = said.iter().find_map(|message| match message {
        Message::SceneMaster(event @ scene_master::Event::ReqCreateScene { .. }) => Some(event.to()),
        _ => None,
    });
    assert!(asked.is_some_and(|to| mine.overlaps(to) && !other.overlaps(to)), "{said:?}");
    world.tell(matching::Event::SceneMaster { partition: mine, up: false });
    world.tell(ask(3));
    assert!(!shorts(&world.tell(ask(4))).contains(&"SceneMaster ReqCreateScene".to_owned()));
    assert!(
        !shorts(&world.tell(matching::Event::SceneMaster { partition: other, up: true }))
            .contains(&"SceneMaster ReqCreateScene".to_owned())
    );
    let said = world.tell(matching::Event::SceneMaster { partition: mine, up: true });
    assert!(shorts(&said).contains(&"SceneMaster ReqCreateScene".to_owned()), "the match that it was making: {said:?}");
}
