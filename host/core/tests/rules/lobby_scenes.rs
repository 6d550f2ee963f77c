//! The lobby: users who want something of scenes that are there already.

use scenehost_core::lobby::{ANSWER_MS_MAX, Event, SCENE_ASKS_MAX, SCENE_ASKS_PER_10_S};
use scenehost_core::message::Notice;
use scenehost_core::scene_list::{Ask, Page, Query};
use scenehost_core::{Message, Partition, Refusal, SceneId, ServiceName, scene_master};

use crate::one_user::{
    CONNECTION, SCENE, USER, come_back, ended, entry, idle, in_scene, left, lost, searching, shorts,
};

pub fn req(ask: Ask) -> Event {
    Event::ReqScenes { connection: CONNECTION, request: 5, ask }
}

pub fn find() -> Ask {
    Ask::Find(Box::new(Query { limit: 10, ..Query::default() }))
}

fn joined(result: Result<scenehost_core::message::Entry, Refusal>) -> Event {
    Event::ResJoinInProgress { user: USER, number: 1, result }
}

fn watch(number: u64, result: Result<(scenehost_core::message::Entry, u64), Refusal>) -> Event {
    Event::ResWatch { user: USER, number, result }
}

#[test]
fn a_user_finds_scenes() {
    let mut world = idle();
    assert_eq!(shorts(&world.tell(req(find()))), ["SceneMaster ReqFindScenes"]);
    let answer =
        || Event::ResFindScenes { user: USER, number: 1, of: Partition::WHOLE, result: Ok(Box::new(Page::default())) };
    let told = world.tell(answer());
    assert!(
        matches!(&told[..], [Message::User(told)] if told.request == 5 && told.notice == Notice::ResFindScenes(Default::default())),
        "{told:?}"
    );
    assert_eq!(shorts(&world.tell(answer())), [] as [&str; 0], "answered once");
}

#[test]
fn a_query_that_is_wrong_does_not_leave_the_lobby() {
    let mut world = idle();
    let told = world.tell(req(Ask::Find(Box::default())));
    assert_eq!(shorts(&told), ["User Refused Invalid"]);
}

#[test]
fn a_user_joins_a_game_and_is_in_it() {
    let mut world = idle();
    let told = world.tell(req(Ask::Join(SCENE)));
    let [Message::SceneMaster(scene_master::Event::ReqJoinInProgress { number: 1, scene: SCENE, joiner })] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((joiner.user, &*joiner.name), (USER, "Ada"));
    assert_eq!(world.service.phase_name(USER), "Joining");
    assert!(shorts(&world.tell(joined(Ok(entry(1))))).contains(&"User ResMatch".to_owned()));
    assert_eq!(world.service.phase_name(USER), "InScene");
    world.tell(ended());
    assert_eq!(world.service.phase_name(USER), "Idle");
}

#[test]
fn a_user_who_is_elsewhere_does_not_join() {
    for (mut world, state) in [(searching(), "Searching"), (in_scene(), "InScene")] {
        assert_eq!(shorts(&world.tell(req(Ask::Join(SceneId(5))))), ["User Refused Busy"], "{state}");
        assert_eq!(world.service.phase_name(USER), state);
    }
    let mut world = idle();
    world.tell(req(Ask::Join(SCENE)));
    assert_eq!(shorts(&world.tell(req(Ask::Join(SCENE)))), ["User Refused Busy"]);
    let search = Event::ReqMatch { connection: CONNECTION, request: 6, domain: "gomoku".into(), wish: None };
    assert_eq!(shorts(&world.tell(search)), ["User Refused Busy"], "nor looks for a match meanwhile");
}

#[test]
fn a_way_in_that_does_not_come_is_given_up_and_one_that_comes_too_late_is_the_users_all_the_same() {
    let mut world = idle();
    world.tell(req(Ask::Join(SCENE)));
    assert!(shorts(&world.pass_ms(ANSWER_MS_MAX)).contains(&"User Refused TimedOut".to_owned()));
    assert_eq!(world.service.phase_name(USER), "Idle");
    world.tell(joined(Ok(entry(1))));
    assert_eq!(world.service.phase_name(USER), "InScene");
    let mut world = searching();
    let told = world.tell(joined(Ok(entry(1))));
    assert_eq!(shorts(&told), ["SceneMaster ReqGiveUpSeat"], "who has gone elsewhere does not come");
    assert_eq!(world.service.phase_name(USER), "Searching");
}

#[test]
fn without_scene_master_or_the_store_nothing_is_asked_and_who_waits_is_told() {
    for service in [ServiceName::SceneMaster, ServiceName::Db] {
        let down = || Event::Service { service, up: false };
        let mut world = idle();
        world.tell(down());
        for ask in [find(), Ask::Join(SCENE), Ask::Watch(SCENE)] {
            assert_eq!(shorts(&world.tell(req(ask))), ["User Refused ServiceDown"]);
        }
        let mut world = idle();
        world.tell(req(Ask::Watch(SCENE)));
        assert!(shorts(&world.tell(down())).contains(&"User Refused ServiceDown".to_owned()));
    }
    let mut world = idle();
    world.tell(req(Ask::Join(SCENE)));
    world.tell(Event::Service { service: ServiceName::SceneMaster, up: false });
    assert_eq!(world.service.phase_name(USER), "Idle");
}

#[test]
fn a_user_watches_also_while_looking_for_a_match_but_not_the_own_game() {
    let mut world = searching();
    assert_eq!(shorts(&world.tell(req(Ask::Watch(SCENE)))), ["SceneMaster ReqWatch"]);
    let told = world.tell(watch(1, Ok((entry(1), 3_000))));
    assert!(
        matches!(&told[..], [Message::User(told)] if told.request == 5 && matches!(told.notice, Notice::ResWatch(_, 3_000))),
        "{told:?}"
    );
    assert_eq!(world.service.phase_name(USER), "Searching");
    let mut world = in_scene();
    assert_eq!(shorts(&world.tell(req(Ask::Watch(SCENE)))), ["User Refused Busy"]);
    assert_eq!(shorts(&world.tell(req(Ask::Watch(SceneId(5))))), ["SceneMaster ReqWatch"]);
}

#[test]
fn a_user_asks_for_so_many_at_once_and_so_often() {
    let mut world = idle();
    for _ in 0..SCENE_ASKS_MAX {
        assert_eq!(shorts(&world.tell(req(find()))), ["SceneMaster ReqFindScenes"]);
    }
    assert_eq!(shorts(&world.tell(req(find()))), ["User Refused Overloaded"]);
    for number in 1..=SCENE_ASKS_MAX as u64 {
        world.tell(Event::ResFindScenes { user: USER, number, of: Partition::WHOLE, result: Err(Refusal::SceneEnded) });
    }
    for number in SCENE_ASKS_MAX as u64 + 1..u64::from(SCENE_ASKS_PER_10_S) {
        world.tell(req(find()));
        world.tell(Event::ResFindScenes { user: USER, number, of: Partition::WHOLE, result: Err(Refusal::SceneEnded) });
    }
    assert_eq!(shorts(&world.tell(req(find()))), ["User Refused TooOften"]);
}

#[test]
fn an_answer_to_a_client_that_is_gone_is_told_to_nobody() {
    let mut world = idle();
    world.tell(req(find()));
    world.tell(left());
    come_back(&mut world, scenehost_core::ConnectionId(2), None);
    let answer =
        Event::ResFindScenes { user: USER, number: 1, of: Partition::WHOLE, result: Ok(Box::new(Page::default())) };
    assert_eq!(shorts(&world.tell(answer)), [] as [&str; 0]);
}

#[test]
fn who_drops_while_joining_is_in_the_game_on_return() {
    let mut world = idle();
    world.tell(req(Ask::Join(SCENE)));
    world.tell(lost());
    world.tell(joined(Ok(entry(1))));
    assert!(world.service.phase_name(USER).starts_with("InScene"));
}
