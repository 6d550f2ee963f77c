//! The lobby: searches, services that go down, and every state and event.

use scenehost_core::chat::{Ask, To};
use scenehost_core::db::Answer;
use scenehost_core::lobby::{ANSWER_MS_MAX, Event, FIRST_FRAME_MS_MAX, Lobby, MatchingAsk};
use scenehost_core::message::{EndReason, MatchState, Notice, SceneEnded, Searching, ToUser};
use scenehost_core::party;
use scenehost_core::{
    AllocationId, ConnectionId, Message, Partition, PartyId, Refusal, ServiceName, UserId, scene_list,
};

use crate::one_user::{
    ALLOCATION, CONNECTION, SCENE, SESSION, USER, domain, ended, entry, found, identity, idle, in_scene, left, lobby,
    lost, news, numbered, party, req_chat, req_db, req_match, req_matching, res_enter, searching, shorts, sign_in,
    syn_party,
};
use crate::table;
use crate::world::World;

#[test]
fn a_connection_without_sign_in_is_closed() {
    let mut world = lobby();
    world.tell(Event::Opened { connection: CONNECTION });
    assert_eq!(shorts(&world.pass_ms(FIRST_FRAME_MS_MAX)), ["User SynClosing Unauthenticated"]);
    assert_eq!(world.service.connection_name(CONNECTION), "unknown");
}

#[test]
fn a_search_whose_match_service_is_lost_ends_and_the_door_is_closed_until_it_is_back() {
    let mut world = searching();
    let told = world.tell(Event::Handler { domain: domain(), up: false });
    assert_eq!(shorts(&told), ["User SynHandler", "User SynMatchState Idle"]);
    assert_eq!(shorts(&world.tell(req_match())), ["User Refused ServiceDown"]);
    let told = world.tell(Event::Handler { domain: domain(), up: true });
    assert_eq!(shorts(&told), ["User SynHandler"]);
    assert_eq!(shorts(&world.tell(req_match())), ["Match ReqMatch"]);
}

#[test]
fn while_the_store_is_down_nobody_is_matched_or_signed_out_and_everybody_is_told_why() {
    let db = |up| Event::Service { service: ServiceName::Db, up };
    let mut world = idle();
    assert_eq!(shorts(&world.tell(db(false))), ["User SynService"]);
    let refused = [world.tell(req_match()), world.tell(Event::ReqSignOut { connection: CONNECTION, request: 3 })];
    for told in refused {
        let [Message::User(to_user)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(to_user.notice, Notice::Refused(Refusal::ServiceDown(ServiceName::Db)));
    }
    assert_eq!(shorts(&world.tell(db(true))), ["User SynService"]);
    assert_eq!(shorts(&world.tell(req_match())), ["Match ReqMatch"]);
}

#[test]
fn a_search_that_ends_before_its_first_answer_answers_all_who_wait() {
    let cancelling = || {
        let mut world = searching();
        world.tell(Event::ReqCancelMatch { connection: CONNECTION, request: 3 });
        world
    };
    let answered = |told: Vec<Message>| {
        let told = numbered(&told, CONNECTION).into_iter();
        told.map(|(_, request, _)| request).filter(|request| *request != 0).collect::<Vec<_>>()
    };
    let down = Event::Handler { domain: domain(), up: false };
    assert_eq!(answered(cancelling().tell(down)), [2, 3]);
    let made = Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) };
    assert_eq!(answered(cancelling().tell(made)), [3, 2], "the match is made");
    let taken_back = Event::ResCancelMatch { user: USER, ticket: 1, result: Ok(()) };
    assert_eq!(answered(cancelling().tell(taken_back)), [2, 3]);
}

#[test]
fn a_seat_that_was_given_up_before_its_match_was_told_is_not_taken() {
    let ended = |allocation: u64| {
        let ended = SceneEnded { scene: SCENE, reason: EndReason::AccountClosed, results: Vec::new() };
        Event::SynSceneEnded { user: USER, allocation: Some(AllocationId(allocation)), ended }
    };
    let made = Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) };

    let mut world = searching();
    assert!(world.tell(ended(ALLOCATION.0)).is_empty(), "the search is not over before Match says so");
    assert_eq!(world.service.phase_name(USER), "Searching");
    assert_eq!(shorts(&world.tell(made.clone())), ["User SynMatchState Idle", "User SynSceneEnded"]);
    assert_eq!(world.service.phase_name(USER), "Idle");

    let mut world = searching();
    world.tell(ended(ALLOCATION.0 + 1));
    assert_eq!(shorts(&world.tell(made)), ["User ResMatch"], "it was another session of the same scene that has ended");
    assert_eq!(world.service.phase_name(USER), "InScene");
}

#[test]
fn an_answer_to_an_older_search_changes_nothing() {
    let mut world = searching();
    world.tell(Event::ResMatch { user: USER, ticket: 1, result: Err(Refusal::NoMatch) });
    world.tell(req_match());
    assert!(world.tell(Event::ResMatch { user: USER, ticket: 1, result: Err(Refusal::NoMatch) }).is_empty());
    let told = world.tell(Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) });
    assert_eq!(shorts(&told), ["SceneMaster ReqGiveUpSeat"], "nobody will come into that scene");
    assert_eq!(world.service.phase_name(USER), "Searching");
}

#[test]
fn a_search_ends_even_if_match_never_answers() {
    let mut world = searching();
    let told = world.pass_ms(60_000 + 30_000);
    assert_eq!(shorts(&told), ["User SynMatchState Idle"]);
    assert_eq!(world.service.phase_name(USER), "Idle");
}

#[test]
fn word_of_a_search_that_is_being_taken_back_delays_nothing() {
    let mut world = searching();
    world.tell(left());
    world.tell(Event::SynMatchState { user: USER, ticket: 1, state: MatchState::Found(found()) });
    world.pass_ms(ANSWER_MS_MAX);
    assert_eq!(world.service.phase_name(USER), "absent");
}

#[test]
fn every_state_and_event() {
    let fresh = {
        let mut world = lobby();
        world.tell(Event::Opened { connection: CONNECTION });
        world
    };
    let signing_in = {
        let mut world = fresh.clone();
        world.tell(sign_in(CONNECTION));
        world
    };
    let entering = {
        let mut world = signing_in.clone();
        world.tell(Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) });
        world
    };
    let asking = {
        let mut world = idle();
        world.tell(req_db(9));
        world
    };
    let cancelling = {
        let mut world = searching();
        world.tell(Event::ReqCancelMatch { connection: CONNECTION, request: 3 });
        world
    };
    let rejoining = {
        let mut world = in_scene();
        world.tell(Event::ReqRejoin { connection: CONNECTION, request: 4 });
        world
    };
    let joining = {
        let mut world = idle();
        world.tell(crate::lobby_scenes::req(scene_list::Ask::Join(SCENE)));
        world
    };
    let after = |mut world: World<Lobby>, event: Event| {
        world.tell(event);
        world
    };
    let (away, leaving) = (after(in_scene(), left()), after(searching(), left()));
    let (idle_dropped, searching_dropped) = (after(idle(), lost()), after(searching(), lost()));
    let handed_over = after(searching(), Event::ReqHandOver { domain: domain() });
    let refused = || Err(Refusal::NotFound("x".to_owned()));
    let state = Searching {
        domain: domain(),
        waited_ms: 0,
        rating_range: 100,
        ping_ms: None,
        relaxed: Vec::new(),
        usual_wait_ms: None,
        waiting: 1,
        players_min: 2,
        players_max: 2,
    };
    let service = |service, up| Event::Service { service, up };
    table::check(
        "lobby",
        &[
            ("(no connection)", lobby()),
            ("Fresh", fresh),
            ("SigningIn", signing_in),
            ("Entering", entering),
            ("Idle", idle()),
            ("Idle, asking", asking),
            ("Searching", searching()),
            ("Searching, handed over", handed_over),
            ("Cancelling", cancelling),
            ("Idle, dropped", idle_dropped),
            ("Searching, dropped", searching_dropped),
            ("Cancelling, away", leaving),
            ("Joining", joining),
            ("InScene", in_scene()),
            ("Rejoining", rejoining),
            ("InScene, away", away),
        ],
        &[
            ("Opened", Event::Opened { connection: ConnectionId(2) }),
            ("Closed: lost", lost()),
            ("Closed: left", left()),
            ("Heard", Event::Heard { connection: CONNECTION, seen: 1 }),
            ("ReqSignIn", sign_in(CONNECTION)),
            ("ReqSignOut", Event::ReqSignOut { connection: CONNECTION, request: 2 }),
            (
                "SynSessionsEnded",
                Event::SynSessionsEnded { user: USER, sessions: vec![SESSION], refusal: Refusal::SessionEnded },
            ),
            ("SynAccountClosed", Event::SynAccountClosed { user: USER, refusal: Refusal::SessionEnded }),
            ("SynAccountDeleted", Event::SynAccountDeleted { user: USER }),
            ("ResSignIn", Event::ResSignIn { connection: CONNECTION, result: Ok(identity(USER)) }),
            ("ResSignIn, refused", Event::ResSignIn { connection: CONNECTION, result: refused() }),
            ("ResEnter", res_enter(CONNECTION, USER)),
            (
                "ResEnter, refused",
                Event::ResEnter {
                    user: USER,
                    connection: Some(CONNECTION),
                    result: Err(Refusal::TimedOut("x".into())),
                },
            ),
            ("ReqDb", req_db(5)),
            ("ResDb", Event::ResDb { user: USER, number: 1, result: Ok(Box::new(Answer::Done)) }),
            ("ResDb, refused", Event::ResDb { user: USER, number: 1, result: Err(Refusal::Forbidden("x".into())) }),
            ("SynNews", Event::SynNews { user: USER, news: news() }),
            ("ReqChat: join", req_chat(Ask::Join("lobby".into()))),
            ("ReqChat: say", req_chat(Ask::Say(To::Direct(UserId(11)), "hello".to_owned()))),
            ("ReqChat: history", req_chat(Ask::History(To::Guild, 0, 0))),
            ("Moderated", Event::Moderated { number: 1, verdict: None }),
            ("ReqParty: create", Event::ReqParty { connection: CONNECTION, request: 7, ask: party::Ask::Create }),
            ("ReqParty: ready", Event::ReqParty { connection: CONNECTION, request: 7, ask: party::Ask::Ready(true) }),
            ("SynParty", syn_party()),
            ("Recovered", Event::Recovered { parties: vec![(PartyId(5), party())] }),
            ("ReqMatch", req_match()),
            (
                "ReqMatch, unknown domain",
                Event::ReqMatch { connection: CONNECTION, request: 2, domain: "chess".into(), wish: None },
            ),
            ("ReqMatching: wish", req_matching(MatchingAsk::Wish(Box::default()))),
            ("ReqMatching: accept", req_matching(MatchingAsk::Accept(true))),
            ("ReqMatching: domains", req_matching(MatchingAsk::Domains("".into()))),
            ("ReqCancelMatch", Event::ReqCancelMatch { connection: CONNECTION, request: 3 }),
            ("ReqRejoin", Event::ReqRejoin { connection: CONNECTION, request: 4 }),
            ("SynMatchState", Event::SynMatchState { user: USER, ticket: 1, state: MatchState::Searching(state) }),
            ("SynMatchState, found", Event::SynMatchState { user: USER, ticket: 1, state: MatchState::Found(found()) }),
            ("ResMatch", Event::ResMatch { user: USER, ticket: 1, result: Ok(entry(1)) }),
            ("ResMatch, refused", Event::ResMatch { user: USER, ticket: 1, result: Err(Refusal::NoMatch) }),
            ("ResCancelMatch", Event::ResCancelMatch { user: USER, ticket: 1, result: Ok(()) }),
            (
                "ResCancelMatch, refused",
                Event::ResCancelMatch { user: USER, ticket: 1, result: Err(Refusal::Busy("made".into())) },
            ),
            ("ResRejoin", Event::ResRejoin { user: USER, result: Ok(entry(1)) }),
            ("ResRejoin, refused", Event::ResRejoin { user: USER, result: Err(Refusal::SceneEnded) }),
            ("ResSeat", Event::ResSeat { user: USER, number: 1, of: Partition::WHOLE, held: Ok(None), ended: None }),
            ("SynSceneEnded", ended()),
            ("ReqScenes: find", crate::lobby_scenes::req(crate::lobby_scenes::find())),
            ("ReqScenes: join", crate::lobby_scenes::req(scene_list::Ask::Join(SCENE))),
            ("ReqScenes: watch", crate::lobby_scenes::req(scene_list::Ask::Watch(SCENE))),
            ("ResJoinInProgress", Event::ResJoinInProgress { user: USER, number: 1, result: Ok(entry(1)) }),
            (
                "ResJoinInProgress, refused",
                Event::ResJoinInProgress { user: USER, number: 1, result: Err(Refusal::SceneEnded) },
            ),
            ("Auth down", service(ServiceName::Auth, false)),
            ("Handler down", Event::Handler { domain: domain(), up: false }),
            ("Handler up", Event::Handler { domain: domain(), up: true }),
            ("ReqHandOver", Event::ReqHandOver { domain: domain() }),
            ("Match down", service(ServiceName::Match, false)),
            ("SceneMaster down", service(ServiceName::SceneMaster, false)),
            ("SceneService down", service(ServiceName::SceneService, false)),
            ("SceneMaster up again", service(ServiceName::SceneMaster, true)),
            ("Db down", service(ServiceName::Db, false)),
            ("up, was up", service(ServiceName::Db, true)),
            ("Stopping", Event::Stopping),
            ("Tick at the deadline", Event::Tick),
        ],
        |state, event| {
            let mut world = state.clone();
            if *event == Event::Tick {
                world.now = world.now.plus_ms(FIRST_FRAME_MS_MAX.max(ANSWER_MS_MAX) + 100_000);
            }
            if *event == service(ServiceName::SceneMaster, true) {
                world.tell(service(ServiceName::SceneMaster, false));
            }
            let effects = world.step(event.clone());
            let state = match world.service.phase_name(USER).as_str() {
                "absent" => world.service.connection_name(CONNECTION).to_owned(),
                phase => phase.to_owned(),
            };
            table::cell(&state, &effects)
        },
    );
}

#[test]
fn a_name_that_no_domain_has_is_refused_and_a_long_one_is_not_said_again() {
    let mut world = idle();
    for (name, said) in [("chess".to_owned(), true), ("x".repeat(64), true), ("x".repeat(65), false)] {
        let told = world.tell(Event::ReqMatch {
            connection: CONNECTION,
            request: 5,
            domain: name.as_str().into(),
            wish: None,
        });
        let [Message::User(ToUser { notice: Notice::Refused(refusal), .. })] = &told[..] else { panic!("{told:?}") };
        assert_eq!(refusal.to_string().contains(&name), said, "{refusal}");
    }
}
