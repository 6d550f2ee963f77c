//! Fleets: scenes that are kept ready, reserved, allocated, used again and replaced.

use std::collections::BTreeMap;

use scenehost_core::config::{Fleet, StartOn};
use scenehost_core::scene_master::{Answer, Ask, Capacity, Event, Order};
use scenehost_core::scene_service::Event as ToNode;
use scenehost_core::{Epoch, Message, Refusal, UserId, lobby};

use crate::farm::{FLEET, Farm, answer_to, on_standby, player, recorded, results_of, reused, scene_of};

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
        Event::ResCreateScene { scene, epoch: Epoch(1), result: Err(Refusal::Internal("x".into())) },
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
