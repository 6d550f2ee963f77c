//! What becomes of those who wait for a service that is gone, and how its successor goes on.

use std::collections::BTreeMap;

use scenehost_core::auth::{self, Asker, Auth};
use scenehost_core::config::{self, Fleet};
use scenehost_core::db::{self, Db, Rules};
use scenehost_core::lobby::{self, Lobby};
use scenehost_core::matching::{self, Match, Seeker, Wish};
use scenehost_core::message::{EndReason, Notice, SceneEnded, ToUser};
use scenehost_core::scene_list::Ask;
use scenehost_core::scene_master::{Capacity, Event, HEARD_MS_MAX, Held, Joiner, Matched, SceneMaster};
use scenehost_core::{
    ConnectionId, Epoch, FleetName, MatchId, Message, NodeId, Partition, Refusal, SceneId, ServiceName, UserId,
    profile, scene_service,
};

use crate::one_user::{
    CONNECTION, GRACE_MS, SCENE, USER, domain, entry, identity, in_scene, res_enter, rules, sign_in,
};
use crate::table::short;
use crate::world::World;

fn shorts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(short).collect()
}

const LOBBY_DOWN: Event = Event::Service { service: ServiceName::Lobby, up: false };
const LOBBY_UP: Event = Event::Service { service: ServiceName::Lobby, up: true };

pub fn master() -> World<SceneMaster> {
    let fleet = Fleet { join_in_progress: true, seats_max: 4, spectators_max: 4, ..Fleet::default() };
    let mut world = World::new(SceneMaster::new(BTreeMap::from([(FleetName::from("gomoku"), fleet)])));
    let (url, capacity) = ("/v1/scene".to_owned(), Capacity::scenes(10));
    world.tell(Event::NodeUp { node: NodeId(1), url, capacity, idle: None, region: None });
    world
}

fn create(world: &mut World<SceneMaster>) -> SceneId {
    let player =
        |user| Matched { user: UserId(user), name: "Ada".to_owned(), rating: 1500, team: 0, role: None, party: 0 };
    let told = world.tell(Event::ReqCreateScene {
        match_id: MatchId(50),
        domain: "gomoku".into(),
        fleet: "gomoku".into(),
        players: [10, 11].map(player).to_vec(),
        choices: Vec::new(),
        region: None,
        bots: 0,
    });
    let scene = told.iter().find_map(|message| match message {
        Message::SceneService(_, scene_service::Event::ReqCreateScene { scene, .. }) => Some(*scene),
        _ => None,
    });
    scene.expect("there is a slot")
}

fn running() -> (World<SceneMaster>, SceneId) {
    let mut world = master();
    let scene = create(&mut world);
    world.tell(Event::ResCreateScene { scene, epoch: Epoch(1), result: Ok(()) });
    world.tell(Event::SynUserJoined { scene, epoch: Epoch(1), seat: 0 });
    (world, scene)
}

/// What SceneMaster says of a user's seat, and what has ended for the user.
fn seat(world: &mut World<SceneMaster>, user: u64) -> (Option<SceneId>, Option<EndReason>) {
    match &world.tell(Event::ReqSeat { user: UserId(user), number: 3 })[..] {
        [Message::Lobby(lobby::Event::ResSeat { user: of, number: 3, held: Ok(held), ended, .. })] if of.0 == user => {
            (held.as_ref().map(|held| held.scene), ended.as_ref().map(|ended| ended.reason.clone()))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn scene_master_tells_a_lobby_of_the_seats_whose_users_were_told() {
    let mut world = master();
    let scene = create(&mut world);
    assert_eq!(seat(&mut world, 10), (None, None), "the match is not answered yet");
    world.tell(Event::ResCreateScene { scene, epoch: Epoch(1), result: Ok(()) });
    assert_eq!(seat(&mut world, 10), (Some(scene), None));
    assert_eq!(seat(&mut world, 12), (None, None));
}

#[test]
fn what_ended_while_no_lobby_could_be_told_or_just_before_is_told_the_next_one_once() {
    let left = |scene, seat| Event::SynUserLeft { scene, epoch: Epoch(1), seat, reason: EndReason::Left };
    let (mut world, scene) = running();
    world.tell(left(scene, 0));
    world.pass_ms(HEARD_MS_MAX / 2);
    world.tell(LOBBY_DOWN);
    world.tell(left(scene, 1));
    world.tell(LOBBY_UP);
    for user in [10, 11] {
        assert_eq!(seat(&mut world, user), (None, Some(EndReason::Left)));
        assert_eq!(seat(&mut world, user), (None, None), "once");
    }

    let (mut world, scene) = running();
    world.tell(left(scene, 0));
    world.pass_ms(HEARD_MS_MAX + 1);
    world.tell(LOBBY_DOWN);
    assert_eq!(seat(&mut world, 10), (None, None), "the lobby has told it");
}

#[test]
fn seats_and_ways_that_a_lobby_has_asked_for_are_given_up_with_it() {
    let (mut world, scene) = running();
    let (ratings, blocked) = Default::default();
    let joiner = Box::new(Joiner { user: UserId(20), name: "Eve".to_owned(), ratings, blocked });
    world.tell(Event::ReqJoinInProgress { number: 1, scene, joiner });
    world.tell(Event::ReqWatch { user: UserId(21), number: 2, scene });
    let told = shorts(&world.tell(LOBBY_DOWN));
    for part in ["SceneService ReqRemoveUser", "SceneService ReqRemoveSpectator"] {
        assert!(told.iter().any(|told| told == part), "{told:?}");
    }
    assert_eq!(seat(&mut world, 20), (None, None));
    let told = world.tell(Event::ResAddSeat { scene, epoch: Epoch(1), seat: 2, result: Ok(()) });
    assert_eq!(shorts(&told), [] as [&str; 0], "it is nobody's");
}

#[test]
fn scenes_that_are_made_for_a_match_handler_that_is_gone_are_given_up() {
    let down = |domain: &str| Event::Handler { domain: domain.into(), up: false };
    let mut world = master();
    let scene = create(&mut world);
    world.tell(down("chess"));
    assert_eq!(world.service.state_name(scene), "Placing", "that is another one");
    world.tell(down("gomoku"));
    assert_eq!(world.service.state_name(scene), "Stopped");
    let (mut world, scene) = running();
    world.tell(down("gomoku"));
    assert_eq!(world.service.state_name(scene), "Running", "its users were told");
}

fn seeker(user: u64) -> Seeker {
    let (blocked, wish) = (Default::default(), Wish::default());
    Seeker { user: UserId(user), name: "Ada".to_owned(), rating: 1500, games: 0, blocked, wish }
}

#[test]
fn a_match_handler_ends_what_users_of_a_lobby_wanted_that_is_gone() {
    let mut world = World::new(Match::new(domain(), rules(), None));
    let ask = |ticket, user| matching::Event::ReqMatch {
        ticket,
        seekers: vec![seeker(user)],
        waited_ms: 0,
        away: <_>::default(),
    };
    [ask(1, 1), ask(2, 2), ask(3, 3)].into_iter().for_each(|event| _ = world.tell(event));
    assert_eq!([1, 3].map(|user| world.service.ticket_name(UserId(user))), ["Placing", "Waiting"]);
    let told = world.tell(matching::Event::Service { service: ServiceName::Lobby, up: false });
    assert!(shorts(&told).contains(&"SceneMaster ReqCancelScene".to_owned()), "{told:?}");
    assert_eq!([1, 2, 3].map(|user| world.service.ticket_name(UserId(user))), ["none"; 3]);
    let told = world.tell(ask(1 << 32, 1));
    assert_eq!(shorts(&told), ["Lobby SynMatchState"], "a lobby that asks is up");
}

/// A lobby that takes over, with a connection whose sign-in Auth and Db have accepted.
fn asking() -> World<Lobby> {
    let lobby = Lobby::new(BTreeMap::from([(domain(), rules())]), GRACE_MS).taking_over(1 << 32);
    let mut world = World::new(lobby);
    world.tell(lobby::Event::Opened { connection: CONNECTION });
    world.tell(sign_in(CONNECTION));
    world.tell(lobby::Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) });
    world
}

/// The numbers of the questions for a user's seat.
fn numbers(told: &[Message]) -> Vec<u64> {
    let numbers = told.iter().filter_map(|message| match message {
        Message::SceneMaster(Event::ReqSeat { user: USER, number }) => Some(*number),
        _ => None,
    });
    numbers.collect()
}

fn res_seat(number: u64, scene: Option<SceneId>) -> lobby::Event {
    let held = Ok(scene.map(|scene| Held { scene, domain: domain() }));
    lobby::Event::ResSeat { user: USER, number, of: Partition::WHOLE, held, ended: None }
}

fn master_is(up: bool) -> lobby::Event {
    lobby::Event::Service { service: ServiceName::SceneMaster, up }
}

#[test]
fn a_lobby_that_takes_over_asks_where_a_user_has_a_seat_before_the_user_is_in() {
    let mut world = asking();
    let told = world.tell(res_enter(CONNECTION, USER));
    assert_eq!(shorts(&told), ["SceneMaster ReqSeat"], "the user waits for that");
    let [number] = numbers(&told)[..] else { panic!("{told:?}") };
    assert!(number > 1 << 32, "the lobby before had the numbers below");
    assert_eq!(world.tell(res_seat(number - (1 << 32), Some(SCENE))), [], "an answer to the lobby before");
    let told = world.tell(res_seat(number, Some(SCENE)));
    let scene = told.iter().find_map(|message| match message {
        Message::User(ToUser { notice: Notice::ResSignIn(signed_in), .. }) => signed_in.scene,
        _ => None,
    });
    assert_eq!((scene, world.service.phase_name(USER).as_str()), (Some(SCENE), "InScene"));
    let told = world.tell(lobby::Event::ReqRejoin { connection: CONNECTION, request: 2 });
    assert_eq!(shorts(&told), ["SceneMaster ReqRejoin"]);
}

#[test]
fn who_has_just_made_an_account_has_no_seat_and_waits_for_nothing() {
    let lobby = Lobby::new(BTreeMap::from([(domain(), rules())]), GRACE_MS).taking_over(1 << 32);
    let mut world = World::new(lobby);
    world.tell(lobby::Event::Opened { connection: CONNECTION });
    world.tell(sign_in(CONNECTION));
    let mut identity = identity(USER);
    identity.created = true;
    world.tell(lobby::Event::ResSignIn { connection: CONNECTION, result: Ok(identity) });
    let told = world.tell(res_enter(CONNECTION, USER));
    assert!(numbers(&told).is_empty() && shorts(&told).contains(&"User ResSignIn".to_owned()), "{told:?}");
    let req_match = lobby::Event::ReqMatch { connection: CONNECTION, request: 2, domain: domain(), wish: None };
    assert!(shorts(&world.tell(req_match)).contains(&"Match ReqMatch".to_owned()));
}

#[test]
fn what_ended_while_the_lobby_was_down_is_told_after_the_sign_in() {
    let mut world = asking();
    let number = numbers(&world.tell(res_enter(CONNECTION, USER)))[0];
    let ended = Some(SceneEnded { scene: SCENE, reason: EndReason::Finished, results: Vec::new() });
    let told = world.tell(lobby::Event::ResSeat { user: USER, number, of: Partition::WHOLE, held: Ok(None), ended });
    let told: Vec<String> = shorts(&told).into_iter().filter(|told| told.starts_with("User")).collect();
    assert_eq!(told, ["User ResSignIn", "User SynSceneEnded"]);
    assert_eq!(world.service.phase_name(USER), "Idle");
}

#[test]
fn a_user_whose_seat_is_not_known_comes_in_begins_nothing_and_is_told_the_way_when_it_is() {
    let mut world = asking();
    world.tell(master_is(false));
    let told = world.tell(res_enter(CONNECTION, USER));
    assert!(numbers(&told).is_empty() && shorts(&told).contains(&"User ResSignIn".to_owned()), "{told:?}");
    let told = world.tell(master_is(true));
    let [number] = numbers(&told)[..] else { panic!("{told:?}") };
    let req_match = lobby::Event::ReqMatch { connection: CONNECTION, request: 2, domain: domain(), wish: None };
    assert_eq!(shorts(&world.tell(req_match)), ["User Refused Busy"]);
    assert_eq!(shorts(&world.tell(res_seat(number, Some(SCENE)))), ["SceneMaster ReqRejoin"]);
    let told = world.tell(lobby::Event::ResRejoin { user: USER, result: Ok(entry(1)) });
    assert_eq!(shorts(&told), ["User ResMatch"]);
    assert_eq!(world.service.phase_name(USER), "InScene");
}

#[test]
fn a_scene_master_that_says_nothing_of_a_seat_keeps_nobody_out() {
    let mut world = asking();
    world.tell(res_enter(CONNECTION, USER));
    let told = world.pass_ms(lobby::ANSWER_MS_MAX);
    assert!(shorts(&told).contains(&"User ResSignIn".to_owned()), "{told:?}");
    assert_eq!(numbers(&told).len(), 1, "it is asked again");
}

#[test]
fn when_a_fresh_scene_master_is_up_the_lobby_asks_for_all_who_are_in_scenes() {
    let down_and_up = || {
        let mut world = in_scene();
        world.tell(master_is(false));
        let told = world.tell(master_is(true));
        let [number] = numbers(&told)[..] else { panic!("{told:?}") };
        (world, number)
    };
    let (mut world, number) = down_and_up();
    assert_eq!(world.tell(res_seat(number, Some(SCENE))), []);
    assert_eq!(world.service.phase_name(USER), "InScene");

    let (mut world, number) = down_and_up();
    assert_eq!(shorts(&world.tell(res_seat(number, None))), ["User SynSceneEnded"], "its end was never told");
    assert_eq!(world.service.phase_name(USER), "Idle");

    // What has been told meanwhile is newer.
    let (mut world, number) = down_and_up();
    world.tell(crate::one_user::ended());
    assert_eq!(world.tell(res_seat(number, Some(SCENE))), []);
    assert_eq!(world.service.phase_name(USER), "Idle");
}

#[test]
fn nobody_joins_a_game_before_the_seat_is_known() {
    let mut world = asking();
    world.tell(master_is(false));
    world.tell(res_enter(CONNECTION, USER));
    world.tell(master_is(true));
    let told = world.tell(crate::lobby_scenes::req(Ask::Join(SCENE)));
    assert_eq!(shorts(&told), ["User Refused Busy"]);
}

#[test]
fn auth_answers_nobody_in_a_lobby_that_is_gone_and_tells_the_next_one_of_bans() {
    let mut world = World::new(Auth::new(config::Auth::default()));
    let down = |up| auth::Event::Service { service: ServiceName::Lobby, up };
    let credential = auth::Credential::Guest("a-device-of-32-letters-0123456789".to_owned());
    let request = auth::Request::SignIn { credential, name: "Ada".to_owned(), device: String::new() };
    let asker = Asker::Lobby(ConnectionId(1));
    world.tell(auth::Event::Req { asker, request: Box::new(request) });
    world.tell(down(false));
    let told = world.step(auth::Event::Loaded { job: 1, values: Ok(vec![None]) });
    assert_eq!((told.messages, told.writes.is_empty()), (Vec::new(), false), "the account is made all the same");
    assert_eq!(world.service.requests(), 0);

    // The account and the user as they were just written.
    let value = |prefix: &str| {
        let put = told.writes.iter().find_map(|write| match write {
            scenehost_core::Write::Put { key, value } if key.starts_with(prefix) => Some((key.clone(), value.clone())),
            _ => None,
        });
        put.expect("it is written")
    };
    let ((key, user_record), (_, account)) = (value("user/"), value("account/"));
    let user: UserId = key.trim_start_matches("user/").parse().expect("it is a user's");
    let order = auth::Order::Ban { reason: "for a while".to_owned(), until: None };
    let request = Box::new(auth::Request::Operator { user, order });
    world.tell(auth::Event::Req { asker: Asker::Nobody, request });
    world.tell(auth::Event::Loaded { job: 2, values: Ok(vec![Some(account), Some(user_record)]) });
    let told = world.tell(down(true));
    assert!(matches!(&told[..], [Message::Lobby(lobby::Event::SynAccountClosed { user: of, .. })] if *of == user));
    assert_eq!(world.tell(down(true)), [], "once");
}

#[test]
fn db_does_what_was_asked_and_answers_nobody_in_a_lobby_that_is_gone() {
    let mut world = World::new(Db::new(Rules::default()));
    let asker = db::Asker::User { user: USER, number: 1 };
    let request = Box::new(db::Request::Profile(profile::Request::Show(vec![USER])));
    let told = world.tell(db::Event::Req { caller: db::Caller::Operator, asker, request });
    let Some(Message::LoadForDb(load)) = told.first() else { panic!("{told:?}") };
    world.tell(db::Event::Service { service: ServiceName::Lobby, up: false });
    let values = Ok(vec![None; load.keys.len()]);
    assert_eq!(world.tell(db::Event::Loaded { job: load.job, values }), []);
    assert_eq!(world.service.waiting(), 0);
}

#[test]
fn a_refusal_that_nobody_asked_for_is_not_told() {
    let mut world = asking();
    world.tell(master_is(false));
    world.tell(res_enter(CONNECTION, USER));
    let number = numbers(&world.tell(master_is(true)))[0];
    world.tell(res_seat(number, Some(SCENE)));
    let told = world.tell(lobby::Event::ResRejoin { user: USER, result: Err(Refusal::Restarting) });
    assert_eq!(told, [], "the way is told when it is there");
    assert_eq!(world.service.phase_name(USER), "InScene");
}
