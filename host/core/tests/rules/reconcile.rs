//! Reconciliation: a SceneMaster that takes over goes on with what is in the store and on the nodes, and what a lost
//! message has left behind is found by the nodes' reports.
//!
//! The helper is [`Books`]: SceneMaster and the store it writes, one node that says what it is told to say, and a
//! fresh SceneMaster that takes over.

use std::collections::BTreeMap;

use scenehost_core::config::{AfterSession, Fleet, StartOn};
use scenehost_core::matching::backfill::Opening;
use scenehost_core::message::{EndReason, PlayerResult, ServiceName};
use scenehost_core::record::drain_key;
use scenehost_core::scene_master::{
    Ask, Capacity, Event, Matched, OFFER_MS_MAX, Offer, Order, RECONCILE_MS_MAX, SceneMaster,
};
use scenehost_core::scene_service::{Event as ToNode, Life, Report, Reported, Round, SeatNow};
use scenehost_core::{
    Build, Epoch, FleetName, MatchId, Message, NodeId, Refusal, SceneId, Time, UserId, Write, lobby, matching,
    scene_list,
};

use crate::table::short;
use crate::world::World;

const NODE: NodeId = NodeId(1);
const FLEET: &str = "arena";
const BUILD: Build = Build(3);
const MATCH: MatchId = MatchId(50);

/// See the module.
struct Books {
    world: World<SceneMaster>,
    store: BTreeMap<String, Vec<u8>>,
    fleet: Fleet,
    rounds: u64,
    /// The number with which it has asked the nodes.
    asked: u64,
}

impl Books {
    fn new(fleet: Fleet) -> Self {
        let master = SceneMaster::new(BTreeMap::from([(FleetName::from(FLEET), fleet.clone())]));
        let fleets = BTreeMap::from([(FLEET.into(), (BUILD.into(), fleet.clone()))]);
        let mut books = Self { world: World::new(master), store: BTreeMap::new(), fleet, rounds: 0, asked: 0 };
        books.tell(Event::Fleets { fleets });
        let Offer { url, capacity, idle, region } = offer();
        books.tell(Event::NodeUp { node: NODE, url, capacity, idle, region });
        books
    }

    fn tell(&mut self, event: Event) -> Vec<Message> {
        let effects = self.world.step(event);
        for write in effects.writes {
            match write {
                Write::Put { key, value } => _ = self.store.insert(key, value),
                Write::Delete { key } => _ = self.store.remove(&key),
            }
        }
        effects.messages
    }

    /// One event; what it has it say, shortly.
    fn said(&mut self, event: Event) -> Vec<String> {
        self.tell(event).iter().map(short).collect()
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

    /// SceneMaster fails, and a fresh one takes over and reads what there is, until it has asked the nodes.
    fn fail(&mut self) {
        self.fail_with_nodes(&[]);
    }

    /// The same while these nodes are there; what it says with its question to them.
    fn fail_with_nodes(&mut self, nodes: &[NodeId]) -> Vec<Message> {
        let now = self.world.now;
        let fleets = BTreeMap::from([(FLEET.into(), (BUILD.into(), self.fleet.clone()))]);
        self.world = World::seeded(SceneMaster::taking_over(fleets).awaiting(nodes.iter().copied()), 8);
        self.world.now = now;
        let mut said = self.tell(Event::Tick);
        for _ in 0..10 {
            match &said[..] {
                [.., Message::ScanForMaster(scan)] => {
                    let records = self.store.range(scan.from.clone()..scan.to.clone()).take(scan.limit);
                    let records = records.map(|(key, value)| (key.clone(), value.clone())).collect();
                    said = self.tell(Event::Scanned { job: scan.job, records: Ok(records) });
                }
                [Message::EverySceneService(ToNode::ReqReport { number, .. }), ..] => {
                    self.asked = *number;
                    return said;
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("it reads on and on");
    }

    fn report(&mut self, asked: u64, scenes: Vec<Reported>) -> Vec<Message> {
        self.rounds += 1;
        let round = Round { since: Time(1), number: self.rounds };
        let (from, to) = (SceneId(0), SceneId(u64::MAX));
        let (offer, load) = (offer(), BTreeMap::new());
        self.tell(Event::SynReport(Box::new(Report { node: NODE, offer, asked, round, from, to, load, scenes })))
    }

    /// The node says what it runs, because it was asked.
    fn answers(&mut self, scenes: Vec<Reported>) -> Vec<Message> {
        self.report(self.asked, scenes)
    }

    /// It does so because it is time to.
    fn reports(&mut self, scenes: Vec<Reported>) -> Vec<Message> {
        self.report(0, scenes)
    }

    fn req_create(&mut self, match_id: MatchId, users: [u64; 2]) -> Vec<Message> {
        let players = users.map(player).to_vec();
        self.tell(Event::ReqCreateScene {
            match_id,
            domain: FLEET.into(),
            fleet: FLEET.into(),
            players,
            choices: Vec::new(),
            region: None,
            bots: 0,
        })
    }

    /// A scene of users 10 and 11 that its node was ordered to make.
    fn placing(fleet: Fleet) -> (Self, SceneId) {
        let mut books = Self::new(fleet);
        let scene = placed(&books.req_create(MATCH, [10, 11])).0;
        (books, scene)
    }

    /// The same, with user 10 inside.
    fn running(fleet: Fleet) -> (Self, SceneId) {
        let (mut books, scene) = Self::placing(fleet);
        books.tell(Event::ResCreateScene { scene, epoch: Epoch(1), result: Ok(()) });
        books.tell(Event::SynUserJoined { scene, epoch: Epoch(1), seat: 0 });
        (books, scene)
    }

    /// A scene that is ready, with the epoch that it has.
    fn ready() -> (Self, SceneId) {
        let mut books = Self::new(Fleet { start: StartOn::Provision, standby_min: 1, ..reused() });
        let scene = *books.scenes().first().expect("one is made ready");
        books.tell(Event::ResCreateScene { scene, epoch: Epoch(1), result: Ok(()) });
        (books, scene)
    }

    /// The scenes in the store.
    fn scenes(&self) -> Vec<SceneId> {
        self.store.keys().filter_map(|key| key.strip_prefix("scene/")?.parse().ok()).collect()
    }

    fn state(&self, scene: SceneId) -> &'static str {
        self.world.service.state_name(scene)
    }

    fn order(&mut self, order: Order) -> Vec<Message> {
        self.tell(Event::ReqOperator { number: 7, order })
    }
}

fn offer() -> Offer {
    Offer { url: "/v1/scene".to_owned(), capacity: Capacity::scenes(10), idle: None, region: None }
}

fn reused() -> Fleet {
    Fleet { after_session: AfterSession::Reuse, sessions_max: 9, ..Fleet::default() }
}

fn player(user: u64) -> Matched {
    Matched { user: UserId(user), name: format!("User {user}"), rating: 1_500, team: 0, role: None, party: 0 }
}

/// The scene that was ordered, and its epoch.
fn placed(said: &[Message]) -> (SceneId, Epoch, bool) {
    let order = said.iter().find_map(|message| match message {
        Message::SceneService(_, ToNode::ReqCreateScene { scene, epoch, reuse, .. }) => Some((*scene, *epoch, *reuse)),
        _ => None,
    });
    order.unwrap_or_else(|| panic!("no scene was ordered: {said:?}"))
}

fn lives(scene: SceneId, epoch: u64, life: Life) -> Reported {
    Reported { scene, epoch: Epoch(epoch), build: BUILD, life, seats: None }
}

fn with_seats(scene: SceneId, seats: [SeatNow; 2]) -> Reported {
    Reported { scene, epoch: Epoch(1), build: BUILD, life: Life::Running, seats: Some(seats.to_vec()) }
}

fn shorts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(short).collect()
}

#[test]
fn a_fresh_one_decides_nothing_before_it_knows_what_there_is() {
    let (mut books, scene) = Books::running(Fleet::default());
    books.fail();
    assert_eq!(shorts(&books.req_create(MatchId(51), [12, 13])), ["Match ResCreateScene ✗ServiceDown"]);
    assert_eq!(books.said(Event::ReqRejoin { user: UserId(10), scene }), ["Lobby ResRejoin ✗ServiceDown"]);
    let refused = Err(Refusal::ServiceDown(ServiceName::SceneMaster));
    assert_eq!(books.order(Order::Stop { scene }), [Message::Operator(7, refused)]);
    // Nobody would ask for this again.
    assert!(books.said(Event::ReqRemoveUser { user: UserId(10) }).is_empty());
    let said = books.answers(vec![with_seats(scene, [SeatNow::Held, SeatNow::Expected])]);
    assert_eq!(shorts(&said), ["SceneService ReqRemoveUser", "SceneMaster up"]);
    assert_eq!(books.state(scene), "Running");
    placed(&books.req_create(MatchId(51), [12, 13]));
}

#[test]
fn seats_go_on_from_where_the_scene_says_they_are() {
    let (mut books, scene) = Books::running(Fleet::default());
    books.fail();
    // User 10 has left and user 11 has come in while nobody listened.
    let seats = [SeatNow::Gone(EndReason::Left), SeatNow::Held];
    assert_eq!(shorts(&books.answers(vec![with_seats(scene, seats)])), ["Lobby SynSceneEnded", "SceneMaster up"]);
    assert_eq!(books.said(Event::ReqRejoin { user: UserId(10), scene }), ["Lobby ResRejoin ✗NoSeat"]);
    assert_eq!(books.said(Event::ReqRejoin { user: UserId(11), scene }), ["SceneService ReqAddToken"]);
    // A report from before changes nothing, and what the books have given up the scene gives up, too.
    let late = [SeatNow::Held, SeatNow::Expected];
    assert_eq!(shorts(&books.reports(vec![with_seats(scene, late)])), ["SceneService ReqRemoveUser"]);
    assert_eq!(books.state(scene), "Running");
}

#[test]
fn orphans_are_found_in_both_directions() {
    for (on_crash, said) in [("restart", vec![]), ("end", vec!["Lobby SynSceneEnded"; 2])] {
        let on_crash = serde_json::from_value(on_crash.into()).unwrap();
        let (mut books, scene) = Books::running(Fleet { on_crash, ..Fleet::default() });
        books.fail();
        // The node has lost the scene, and runs one that nobody knows.
        let told = shorts(&books.answers(vec![lives(SceneId(99), 1, Life::Running)]));
        assert_eq!(told[0], "SceneService ReqDestroyScene", "{told:?}");
        assert_eq!(told.last().map(String::as_str), Some("SceneMaster up"));
        let to_lobby: Vec<&String> = told.iter().filter(|text| text.starts_with("Lobby")).collect();
        assert_eq!(to_lobby, said.iter().collect::<Vec<_>>());
        let anew = if said.is_empty() { "Restarting" } else { "Stopped" };
        assert_eq!(books.state(scene), anew);
    }
}

#[test]
fn stale_epochs_end() {
    let (mut books, scene) = Books::running(Fleet::default());
    let ended = |said: &[Message]| -> Vec<Epoch> {
        let epoch = |message: &Message| match message {
            Message::SceneService(_, ToNode::ReqDestroyScene { scene: of, epoch, .. }) if *of == scene => Some(*epoch),
            _ => None,
        };
        said.iter().filter_map(epoch).collect()
    };
    books.tell(Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Crashed("trap".to_owned()) });
    books.tell(Event::ResDestroyScene { scene, epoch: Epoch(1), kept: false });
    let epoch = placed(&books.pass_ms(1_000)).1;
    books.tell(Event::ResCreateScene { scene, epoch, result: Ok(()) });
    books.fail();
    let said = books.answers(vec![lives(scene, 2, Life::Running)]);
    assert_eq!((epoch, ended(&said)), (Epoch(2), vec![]));
    assert_eq!(ended(&books.reports(vec![lives(scene, 1, Life::Running)])), [Epoch(1)]);
}

#[test]
fn a_match_that_waits_for_its_scene_gets_it_from_a_fresh_one() {
    let (mut books, scene) = Books::placing(Fleet::default());
    books.fail();
    let said = books.answers(vec![with_seats(scene, [SeatNow::Expected, SeatNow::Expected])]);
    assert_eq!((shorts(&said), books.state(scene)), (vec!["SceneMaster up".to_owned()], "Allocated"));
    // The ways in are not known any more: the match asks again, and gets new ones.
    assert_eq!(shorts(&books.req_create(MATCH, [10, 11])), ["SceneService ReqAddToken"; 2]);
    let noted = |seat, result| Event::ResAddToken { scene, epoch: Epoch(1), seat, result };
    assert!(books.said(noted(0, Ok(()))).is_empty(), "it is answered once");
    let said = books.tell(noted(1, Err(Refusal::NoSeat)));
    let Message::Match(_, matching::Event::ResCreateScene { result: Ok(entries), .. }) = &said[0] else {
        panic!("{said:?}")
    };
    assert_eq!(entries.iter().map(|(user, _)| user.0).collect::<Vec<_>>(), [10]);
    assert_eq!(shorts(&said[1..]), ["SceneService ReqRemoveUser", "Lobby SynSceneEnded"], "user 11 has no way in");
}

#[test]
fn a_fresh_one_goes_on_with_searches_for_players_by_newer_leases() {
    let seek = |scene, number| {
        let openings = vec![Opening { count: 2, team: None, role: None }];
        Event::SynSeekPlayers { scene, epoch: Epoch(1), number, openings }
    };
    let lease = |said: &[Message]| {
        said.iter().rev().find_map(|message| match message {
            Message::Match(_, matching::Event::ReqBackfill { lease, openings, .. }) => {
                Some((*lease, openings[0].count))
            }
            _ => None,
        })
    };
    let (mut books, scene) = Books::running(Fleet::default());
    let (before, _) = lease(&books.tell(seek(scene, 4))).unwrap();
    let fill = |match_id, lease, user| Event::ReqFillSeats {
        match_id: MatchId(match_id),
        domain: FLEET.into(),
        lease,
        players: vec![player(user)],
    };
    books.tell(fill(60, before, 20));
    books.fail();
    let refused = books.tell(fill(61, before, 21));
    assert_eq!(shorts(&refused), ["Match ResCreateScene ✗ServiceDown"]);
    assert_eq!(books.tell(seek(scene, 4)), [], "it is not up yet");
    let seats = vec![SeatNow::Held, SeatNow::Expected, SeatNow::Expected];
    let there = Reported { scene, epoch: Epoch(1), build: BUILD, life: Life::Running, seats: Some(seats) };
    let said = books.answers(vec![there]);
    // User 20 is on the way by the books: that place is taken.
    let (after, open) = lease(&said).expect("the search goes on");
    assert_eq!((after.allocation, after.generation, open), (before.allocation, before.generation + 1, 1));
    assert_eq!(shorts(&books.tell(fill(61, before, 21))), ["Match ResCreateScene ✗Conflict"]);
    // Whoever has asked for user 20 has forgotten it by now, so nobody comes.
    let said = books.pass_ms(60_000);
    assert_eq!(lease(&said).map(|(_, open)| open), Some(2), "{:?}", shorts(&said));
}

#[test]
fn a_scene_whose_match_does_not_ask_again_ends() {
    let (mut books, scene) = Books::placing(Fleet::default());
    books.fail();
    books.answers(vec![with_seats(scene, [SeatNow::Expected, SeatNow::Expected])]);
    assert_eq!(books.said(Event::ReqCancelScene { match_id: MATCH }), ["SceneService ReqDestroyScene"]);
    let (mut books, scene) = Books::placing(Fleet::default());
    books.fail();
    books.answers(vec![with_seats(scene, [SeatNow::Expected, SeatNow::Expected])]);
    books.pass_ms(5_000);
    assert_eq!(books.state(scene), "Stopping");
}

#[test]
fn users_whom_an_operator_has_put_together_are_told_by_a_fresh_one() {
    let mut books = Books::new(Fleet::default());
    let players = vec![player(10), player(11)];
    let order = Order::Allocate { fleet: FLEET.into(), scene: None, domain: None, players };
    let scene = placed(&books.order(order)).0;
    books.fail();
    let said = books.answers(vec![lives(scene, 1, Life::Running)]);
    assert_eq!(shorts(&said), ["SceneService ReqAddToken", "SceneService ReqAddToken", "SceneMaster up"]);
    let noted = |seat| Event::ResAddToken { scene, epoch: Epoch(1), seat, result: Ok(()) };
    books.tell(noted(0));
    let said = books.tell(noted(1));
    assert_eq!(shorts(&said), ["Lobby SynAllocated", "Lobby SynAllocated", "Operator"]);
}

#[test]
fn a_scene_that_begins_anew_gives_its_users_their_way_in_from_a_fresh_one() {
    let (mut books, scene) = Books::running(Fleet::default());
    books.tell(Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Crashed("trap".to_owned()) });
    books.tell(Event::ResDestroyScene { scene, epoch: Epoch(1), kept: false });
    let epoch = placed(&books.pass_ms(1_000)).1;
    books.fail();
    let said = books.answers(vec![lives(scene, epoch.0, Life::Running)]);
    assert_eq!(shorts(&said), ["SceneService ReqAddToken", "SceneService ReqAddToken", "SceneMaster up"]);
    let noted = Event::ResAddToken { scene, epoch, seat: 1, result: Ok(()) };
    assert_eq!(books.said(noted), ["Lobby SynSceneRestarted"]);
}

/// A fresh one takes over from books that were brought into this state; the node runs the scene, and it is in the same
/// state and has the same deadline after that.
#[track_caller]
fn check(state: &str, mut books: Books, scene: SceneId, reported: Vec<Reported>) -> Books {
    assert_eq!(books.state(scene), state);
    books.pass_ms(10);
    let before = books.store.clone();
    books.fail();
    books.answers(reported);
    assert_eq!(books.state(scene), state);
    assert_eq!(books.store, before, "nothing is decided anew");
    books
}

#[test]
fn every_state_goes_on() {
    let (books, scene) = Books::running(Fleet::default());
    check("Running", books, scene, vec![with_seats(scene, [SeatNow::Held, SeatNow::Expected])]);

    let (books, scene) = Books::ready();
    let mut books = check("Ready", books, scene, vec![lives(scene, 1, Life::Running)]);
    assert_eq!(placed(&books.req_create(MATCH, [10, 11])), (scene, Epoch(2), true), "it is used as before");

    let (mut books, scene) = Books::ready();
    books.order(Order::Reserve { fleet: FLEET.into(), for_ms: Some(5_000) });
    let replaced = *books.scenes().iter().find(|id| **id != scene).expect("another one is made ready");
    books.tell(Event::ResCreateScene { scene: replaced, epoch: Epoch(1), result: Ok(()) });
    let both = vec![lives(scene, 1, Life::Running), lives(replaced, 1, Life::Running)];
    let mut books = check("Reserved", books, scene, both);
    books.pass_ms(5_000);
    assert_eq!(books.state(scene), "Ready", "its reservation has ended");

    let (mut books, scene) = Books::running(Fleet { drain_ms: 60_000, ..Fleet::default() });
    books.order(Order::DrainNode { node: NODE, exits: false });
    let mut books = check("Draining", books, scene, vec![with_seats(scene, [SeatNow::Held, SeatNow::Expected])]);
    let refused = shorts(&books.req_create(MatchId(51), [12, 13]));
    assert_eq!(refused, ["Match ResCreateScene ✗Overloaded"], "its node is still being drained");
    books.order(Order::UndrainNode { node: NODE });
    books.fail();
    books.answers(vec![lives(scene, 1, Life::Running)]);
    placed(&books.req_create(MatchId(51), [12, 13]));
}

#[test]
fn a_node_that_reports_too_late_counts_again_and_what_it_runs_of_before_is_ended() {
    let (mut books, scene) = Books::running(Fleet::default());
    books.fail();
    books.pass_ms(RECONCILE_MS_MAX);
    assert_eq!(books.state(scene), "Restarting", "its node is taken for lost");
    let said = shorts(&books.reports(vec![lives(scene, 1, Life::Running)]));
    assert!(said.contains(&"SceneService ReqDestroyScene".to_owned()), "{said:?}");
    placed(&books.req_create(MatchId(51), [12, 13]));
}

#[test]
fn a_node_that_is_being_drained_is_so_for_a_fresh_one_too_that_hears_of_it_late() {
    let (mut books, scene) = Books::running(Fleet { drain_ms: 60_000, ..Fleet::default() });
    books.order(Order::DrainNode { node: NODE, exits: true });
    let is_kept = |books: &Books| books.store.contains_key(&drain_key(NODE));
    for _ in 0..2 {
        books.fail();
        books.pass_ms(RECONCILE_MS_MAX);
        assert!(is_kept(&books), "the next one is to know, too");
    }
    books.reports(vec![lives(scene, 1, Life::Running)]);
    let refused = shorts(&books.req_create(MatchId(51), [12, 13]));
    assert_eq!(refused, ["Match ResCreateScene ✗Overloaded"]);
    books.tell(Event::NodeDown { node: NODE });
    assert!(!is_kept(&books));
}

#[test]
fn a_scene_that_stops_is_told_so_again_and_its_instance_kept_if_it_was_to_be() {
    for keeps in [true, false] {
        let (mut books, scene) = Books::running(if keeps { reused() } else { Fleet::default() });
        books.tell(Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Finished(Vec::new()) });
        books.fail();
        let said = books.answers(vec![lives(scene, 1, if keeps { Life::Kept } else { Life::Ending })]);
        let keep = said.iter().find_map(|message| match message {
            Message::SceneService(_, ToNode::ReqDestroyScene { reason: EndReason::Finished, keep, .. }) => Some(*keep),
            _ => None,
        });
        assert_eq!(keep, Some(keeps));
        let said = books.said(Event::ResDestroyScene { scene, epoch: Epoch(1), kept: keeps });
        assert_eq!(said, ["Lobby SynSceneEnded"; 2]);
        assert_eq!(books.state(scene), if keeps { "Ready" } else { "Stopped" });
    }
}

#[test]
fn results_that_are_not_recorded_are_by_a_fresh_one() {
    let (mut books, scene) = Books::running(Fleet::default());
    let results = vec![PlayerResult { seat: 0, place: 1, score: 3 }, PlayerResult { seat: 1, place: 2, score: 1 }];
    books.tell(Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Finished(results) });
    books.tell(Event::ResDestroyScene { scene, epoch: Epoch(1), kept: false });
    assert_eq!(books.world.service.unrecorded(), 1);
    books.fail();
    assert_eq!(books.world.service.unrecorded(), 1);
}

#[test]
fn a_node_that_says_nothing_is_given_up() {
    let (mut books, scene) = Books::running(Fleet::default());
    books.fail();
    let said = books.pass_ms(RECONCILE_MS_MAX - 1);
    assert!(said.iter().all(|message| short(message) == "SceneService ReqReport"), "it is asked again: {said:?}");
    assert_eq!(books.state(scene), "Running");
    let said = books.pass_ms(1);
    assert_eq!(shorts(&said).last().map(String::as_str), Some("SceneMaster up"));
    assert_eq!(books.state(scene), "Restarting");
    assert_eq!(shorts(&books.req_create(MatchId(51), [12, 13])), ["Match ResCreateScene ✗Overloaded"]);
}

#[test]
fn a_fresh_one_is_up_when_it_has_heard_what_each_node_that_is_there_offers() {
    let mut books = Books::new(Fleet::default());
    assert_eq!(shorts(&books.fail_with_nodes(&[NODE])), ["SceneService ReqReport"]);
    assert_eq!(shorts(&books.req_create(MATCH, [10, 11])), ["Match ResCreateScene ✗ServiceDown"]);
    assert_eq!(shorts(&books.answers(Vec::new())), ["SceneMaster up"]);
    placed(&books.req_create(MATCH, [10, 11]));
}

#[test]
fn a_node_of_no_scenes_that_says_nothing_is_not_waited_for_as_long_as_one_with_scenes() {
    const SILENT: NodeId = NodeId(2);
    let (mut books, scene) = Books::running(Fleet::default());
    books.fail_with_nodes(&[NODE, SILENT]);
    let said = books.pass_ms(OFFER_MS_MAX);
    assert!(said.iter().all(|message| short(message) == "SceneService ReqReport"), "both are asked again: {said:?}");
    assert_eq!(shorts(&books.answers(vec![lives(scene, 1, Life::Running)])), ["SceneMaster up"]);

    let mut books = Books::new(Fleet::default());
    books.fail_with_nodes(&[NODE]);
    assert!(!shorts(&books.pass_ms(OFFER_MS_MAX - 1)).contains(&"SceneMaster up".to_owned()));
    assert_eq!(shorts(&books.pass_ms(1)), ["SceneMaster up"]);
    assert_eq!(shorts(&books.req_create(MATCH, [10, 11])), ["Match ResCreateScene ✗Overloaded"]);
    books.reports(Vec::new());
    placed(&books.req_create(MatchId(51), [10, 11]));
}

#[test]
fn a_node_that_goes_before_it_has_said_what_it_offers_is_not_waited_for() {
    let mut books = Books::new(Fleet::default());
    books.fail_with_nodes(&[NODE]);
    assert_eq!(shorts(&books.tell(Event::NodeDown { node: NODE })), ["SceneMaster up"]);
}

#[test]
fn a_fleet_that_was_changed_meanwhile_has_its_ready_scenes_replaced() {
    let (mut books, scene) = Books::ready();
    books.fail();
    let fleets = BTreeMap::from([(FLEET.into(), (Build(4).into(), books.fleet.clone()))]);
    assert!(books.said(Event::Fleets { fleets }).is_empty());
    let said = shorts(&books.answers(vec![lives(scene, 1, Life::Running)]));
    assert_eq!(said, ["SceneService ReqDestroyScene", "SceneMaster up", "SceneService ReqCreateScene"]);
}

#[test]
fn what_the_store_or_a_node_said_to_the_one_before_is_passed_over() {
    let (mut books, scene) = Books::running(Fleet::default());
    books.fail();
    let asked = books.asked;
    books.fail();
    assert!(books.said(Event::Scanned { job: 1, records: Ok(Vec::new()) }).is_empty());
    assert!(shorts(&books.report(asked ^ 2, Vec::new())).is_empty(), "the node did not answer this one");
    assert_eq!(books.state(scene), "Running");
}

#[test]
fn a_scene_that_is_missing_in_two_reports_is_lost_and_in_one_it_may_just_have_begun() {
    let (mut books, scene) = Books::running(Fleet::default());
    assert!(books.reports(Vec::new()).is_empty());
    assert!(books.reports(vec![lives(scene, 1, Life::Running)]).is_empty());
    assert!(books.reports(Vec::new()).is_empty(), "it was there in between");
    books.rounds -= 2;
    assert!(books.reports(Vec::new()).is_empty(), "that one has come too late");
    books.rounds += 2;
    assert_eq!(shorts(&books.reports(Vec::new())), ["SceneService ReqDestroyScene"]);
    assert_eq!(books.state(scene), "Restarting");
}

#[test]
fn lost_messages_are_made_good_by_the_next_report() {
    let (mut books, scene) = Books::placing(Fleet::default());
    // That it was made.
    let said = books.reports(vec![with_seats(scene, [SeatNow::Expected, SeatNow::Expected])]);
    assert_eq!(shorts(&said), ["Match ResCreateScene"]);
    // That a user came in, and another one will not.
    let said = books.reports(vec![with_seats(scene, [SeatNow::Held, SeatNow::Gone(EndReason::NeverJoined)])]);
    assert_eq!((shorts(&said), books.state(scene)), (vec!["Lobby SynSceneEnded".to_owned()], "Running"));
    // That a user has to go.
    books.tell(Event::ReqRemoveUser { user: UserId(10) });
    let said = books.reports(vec![with_seats(scene, [SeatNow::Held, SeatNow::Gone(EndReason::NeverJoined)])]);
    assert_eq!(shorts(&said), ["SceneService ReqRemoveUser"]);
}

#[test]
fn a_node_that_was_not_known_offers_itself_with_its_report() {
    let fleets = BTreeMap::from([(FleetName::from(FLEET), Fleet::default())]);
    let world = World::new(SceneMaster::new(fleets));
    let mut books = Books { world, store: BTreeMap::new(), fleet: Fleet::default(), rounds: 0, asked: 0 };
    assert_eq!(shorts(&books.req_create(MATCH, [10, 11])), ["Match ResCreateScene ✗Overloaded"]);
    books.reports(Vec::new());
    placed(&books.req_create(MATCH, [10, 11]));
    books.tell(Event::NodeDown { node: NODE });
    books.reports(Vec::new());
    let refused = shorts(&books.req_create(MatchId(51), [12, 13]));
    assert_eq!(refused, ["Match ResCreateScene ✗Overloaded"], "what it said before it was gone came late");
}

#[test]
fn a_match_that_comes_after_its_search_was_given_up_gives_its_seat_up() {
    let (mut books, scene) = Books::placing(Fleet::default());
    books.tell(Event::ResCreateScene { scene, epoch: Epoch(1), result: Ok(()) });
    books.tell(Event::SynUserJoined { scene, epoch: Epoch(1), seat: 0 });
    let gives_up = |user| Event::ReqGiveUpSeat { user: UserId(user), scene };
    assert!(books.said(gives_up(10)).is_empty(), "who is inside has it");
    assert_eq!(books.said(gives_up(11)), ["SceneService ReqRemoveUser", "Lobby SynSceneEnded"]);
    assert!(books.said(gives_up(11)).is_empty());
}

fn found(books: &mut Books) -> Vec<scene_list::Found> {
    let query = Box::new(scene_list::Query { limit: 10, ..scene_list::Query::default() });
    match &books.tell(Event::ReqFindScenes { user: UserId(1), number: 1, query })[..] {
        [Message::Lobby(lobby::Event::ResFindScenes { result: Ok(page), .. })] => page.scenes.clone(),
        other => panic!("{other:?}"),
    }
}

fn joinable() -> Fleet {
    Fleet { join_in_progress: true, seats_max: 4, spectators_max: 5, ..Fleet::default() }
}

#[test]
fn a_fresh_one_lists_the_scenes_again_and_hears_their_labels_and_who_watches() {
    let (mut books, scene) = Books::running(joinable());
    books.fail();
    assert_eq!(
        books.said(Event::ReqWatch { user: UserId(20), number: 1, scene }),
        ["Lobby ResWatch ✗ServiceDown"],
        "not before it knows what there is"
    );
    // What a scene says again when it is asked anew; it may be there before the report.
    let label = scene_list::Label::parse(r#"{"map":"ice"}"#).unwrap();
    books.tell(Event::SynLabel { scene, epoch: Epoch(1), label: label.clone() });
    books.tell(Event::SynSpectators { scene, epoch: Epoch(1), users: vec![UserId(20), UserId(21)] });
    books.answers(vec![with_seats(scene, [SeatNow::Held, SeatNow::Held])]);
    let found = found(&mut books);
    assert_eq!((found.len(), found[0].scene, found[0].players, found[0].spectators), (1, scene, 2, 2));
    assert_eq!(found[0].label, Some(label));
}

#[test]
fn a_seat_that_was_given_just_before_is_taken_back_if_nobody_comes() {
    let (mut books, scene) = Books::running(joinable());
    books.tell(crate::joining::req_join(scene, 20));
    books.fail();
    // The scene has not heard of the seat.
    books.answers(vec![with_seats(scene, [SeatNow::Held, SeatNow::Held])]);
    assert_eq!(found(&mut books)[0].players, 3);
    let said = books.pass_ms(60_000);
    assert!(shorts(&said).contains(&"Lobby SynSceneEnded".to_owned()), "{said:?}");
    assert_eq!(found(&mut books)[0].players, 2);
    // The next one's seat is named with all that the scene may lack.
    let told = books.tell(crate::joining::req_join(scene, 21));
    let [Message::SceneService(NODE, ToNode::ReqAddSeats { seats, .. })] = &told[..] else { panic!("{told:?}") };
    assert_eq!(seats.iter().map(|grant| grant.player.seat).collect::<Vec<_>>(), [0, 1, 2, 3]);
}
