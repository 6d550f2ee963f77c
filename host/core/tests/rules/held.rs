//! A scene with a journal: what its users are told to have arrived, and how it goes on after its host has died.

use scenehost_core::config::{Fleet, Journal, Keep};
use scenehost_core::message::EndReason;
use scenehost_core::scene::{Event, GameEvent, HeldLine, Notice, Whereabouts};
use scenehost_core::scene_service::Start;
use scenehost_core::token::SecretHash;
use scenehost_core::{Epoch, SceneId};

use crate::scene::{ADA, BOB, Effect, Scene, add_token, enter, join, resume, short, start, token};
use crate::world::START;

fn recorded() -> Start {
    let journal = Journal { keep: Keep::Recovery, ..Journal::default() };
    let start = start();
    Start { limits: Fleet { journal, ..start.limits.clone() }, ..start }
}

#[test]
fn with_a_journal_a_message_has_arrived_once_it_is_in_there() {
    let mut scene = Scene::start(SceneId(100), recorded());
    scene.step(START, Event::Started(Ok(())));
    enter(&mut scene, START, ADA, 0);
    let said = |scene: &mut Scene| {
        scene.count_message(0);
        scene.count_waiting(0);
    };
    said(&mut scene);
    said(&mut scene);
    assert_eq!(scene.received(0), 0, "the game has not got them");
    scene.settle();
    assert_eq!(scene.received(0), 2);
    let held = |received, waiting| vec![HeldLine { seat: 0, token: token(0), received, waiting }];
    assert_eq!(scene.to_hold(), held(2, 0));

    // What waits for the game is safe, too, once it is written down: so a user who comes back need not say it again.
    said(&mut scene);
    assert_eq!((scene.received(0), scene.to_hold()), (2, held(3, 1)));
    scene.noted();
    assert_eq!((scene.received(0), scene.to_hold()), (3, held(3, 1)));
    scene.settle();
    assert_eq!((scene.received(0), scene.to_hold()), (3, held(3, 0)));
    // One that is refused came, and does not wait.
    scene.count_message(0);
    assert_eq!(scene.to_hold(), held(4, 0));

    // Another client while one of the first one's messages waits: that one does not count for it.
    said(&mut scene);
    scene.step(START, add_token(0, "another"));
    scene.step(START, join(BOB, SecretHash::of("another")));
    said(&mut scene);
    let [line] = &scene.to_hold()[..] else { panic!("one user is inside") };
    assert_eq!((line.token, line.received, line.waiting), (SecretHash::of("another"), 1, 2));
    scene.settle();
    assert_eq!(scene.received(0), 1);
}

/// A scene that goes on, of which the game knows seat 0 to be inside and seat 1 to be so.
fn going_on(seat_1: Whereabouts, lines: &[HeldLine]) -> (Scene, Vec<Effect>) {
    let of = |seat| if seat == 0 { Whereabouts::Held } else { seat_1 };
    let mut start = Start { epoch: Epoch(2), ..recorded() };
    // SceneMaster has opened new ways in.
    start.seats.iter_mut().for_each(|grant| grant.token = new_token(grant.player.seat));
    let mut scene = Scene::going_on(SceneId(100), start, START, 2, of, lines);
    let effects = scene.step(START, Event::Started(Ok(())));
    (scene, effects)
}

fn new_token(seat: u32) -> SecretHash {
    SecretHash::of(&format!("new token {seat}"))
}

fn line_of_ada() -> HeldLine {
    HeldLine { seat: 0, token: token(0), received: 7, waiting: 0 }
}

#[test]
fn after_its_host_has_died_a_user_goes_on_with_the_line_of_before() {
    let (mut scene, effects) = going_on(Whereabouts::Expected, &[line_of_ada()]);
    let told: Vec<String> = effects.iter().map(short).collect();
    assert_eq!(told, ["SceneService ResStart", "SceneMaster SynUserJoined"], "SceneMaster hears who holds a seat");
    let effects = scene.step(START, resume(ADA, 40));
    let joined = effects.iter().find_map(|effect| match effect {
        Effect::Tell { notice: Notice::Joined { seat, resumed, after_seq, received, .. }, .. } => {
            Some((*seat, *resumed, *after_seq, *received))
        }
        _ => None,
    });
    assert_eq!(joined, Some((0, false, 41, 7)), "what was acknowledged stays so, and frames go on behind those seen");
    let missed = Effect::Game(GameEvent::Resumed { seat: 0, missed: true });
    assert!(effects.contains(&missed), "the game tells its whole state");
}

#[test]
fn after_its_host_has_died_a_user_may_come_by_the_new_way_in_as_well() {
    let (mut scene, _) = going_on(Whereabouts::Expected, &[line_of_ada()]);
    let effects = scene.step(START, join(ADA, new_token(0)));
    assert!(effects.contains(&Effect::Game(GameEvent::Resumed { seat: 0, missed: true })));
    assert_eq!(scene.received(0), 0, "a new client has sent nothing");
}

#[test]
fn after_its_host_has_died_who_does_not_come_back_in_time_is_gone() {
    let (mut scene, _) = going_on(Whereabouts::Gone, &[line_of_ada()]);
    let grace = START.plus_ms(Fleet::default().grace_ms);
    assert_eq!(scene.deadline(), Some(grace));
    let effects = scene.step(grace, Event::Tick);
    assert!(effects.contains(&Effect::Game(GameEvent::Left(0, EndReason::Expired))));
    assert_eq!((scene.seat_name(0), scene.seat_name(1)), ("Gone", "Gone"));
}

#[test]
fn a_seat_that_the_game_knows_to_be_given_up_is_not_entered_again() {
    let (mut scene, _) = going_on(Whereabouts::Gone, &[line_of_ada()]);
    let effects = scene.step(START, join(BOB, new_token(1)));
    assert!(matches!(effects[..], [Effect::Tell { notice: Notice::Refused(_), .. }]), "{effects:?}");
}
