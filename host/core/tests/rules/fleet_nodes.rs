//! Fleets on their nodes: how many scenes these have room for, which of them gets the next one, and drains.

use scenehost_core::config::{Fleet, Placement, StartOn, Usage};
use scenehost_core::scene_master::{Ask, Capacity, Event, Idle, Order};
use scenehost_core::scene_service::Event as ToNode;
use scenehost_core::{Epoch, MatchId, Message, NodeId, Refusal, matching};

use crate::farm::{FLEET, Farm, answer_to, on_standby, player, reused, scene_of};

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
    farm.answers = vec![Err(Refusal::Overloaded("scenes".into()))];
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
    farm.answers = vec![Err(Refusal::Overloaded("scenes".into())); 3];
    assert_eq!(farm.allocate(None, &[10]), Err(Refusal::Overloaded("scenes".into())), "after three it is told");
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
    farm.pass_ms(60_000);
    let ordered = farm.ordered();
    assert!(ordered.contains(&format!("{}: end epoch 2, Drained", node.0)));
    assert!(ordered.contains(&format!("{}: drained", node.0)), "its process may exit: {ordered:?}");
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
    assert_eq!(answer_to(7, &said), Some(Err(Refusal::Overloaded("scenes".into()))));
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
    farm.finish(scene, Vec::new());
    assert_eq!(farm.ordered(), ["1: end epoch 1, Finished", "1: drained"], "its instance is not kept");
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
    assert!(said.contains(&Message::NodeIdle(NodeId(1))));
    assert!(farm.ordered().contains(&"1: drained".to_owned()));
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
