//! The list of scenes: labels, filters, paging, and who sees what.

use std::collections::BTreeMap;

use scenehost_core::config::{AfterSession, Fleet};
use scenehost_core::scene_list::{
    CONDITIONS_MAX, Condition, Cursor, Found, Is, LABEL_BYTES_MAX, LABEL_FIELDS_MAX, Label, LabelError, Number,
    PAGE_BYTES_MAX, PAGE_MAX, Page, Query, Scalar, TEXT_BYTES_MAX, VALUES_MAX,
};
use scenehost_core::scene_master::{Answer, Ask, Capacity, Event, Matched, Order, SCANNED_MAX, SceneMaster};
use scenehost_core::{
    Build, Epoch, FleetName, MatchId, Message, NodeId, Refusal, SceneId, Time, UserId, lobby, scene_service,
};

use crate::world::World;

const NODE: NodeId = NodeId(1);

/// A fleet whose games can be joined, one whose games can be watched, and one whose games are their players' alone.
fn master() -> World<SceneMaster> {
    let open = Fleet { join_in_progress: true, seats_max: 4, ..Fleet::default() };
    let shown = Fleet { spectators_max: 10, ..Fleet::default() };
    let fleets = [("arena", open), ("gomoku", shown), ("quiet", Fleet::default())];
    let fleets = fleets.map(|(name, fleet)| (FleetName::from(name), fleet));
    let mut world = World::new(SceneMaster::new(BTreeMap::from(fleets)));
    let capacity = Capacity::scenes(10_000);
    world.tell(Event::NodeUp { node: NODE, url: "/v1/scene".to_owned(), capacity, idle: None, region: None });
    world
}

/// A running game of two users, whose ids come from the match's, begun one second after the one before.
fn begin(world: &mut World<SceneMaster>, fleet: &str, number: u64) -> SceneId {
    world.pass_ms(1_000);
    let player =
        |user| Matched { user: UserId(user), name: "Ada".to_owned(), rating: 1500, team: 0, role: None, party: 0 };
    let told = world.tell(Event::ReqCreateScene {
        match_id: MatchId(number),
        domain: fleet.into(),
        fleet: fleet.into(),
        players: [10 * number, 10 * number + 1].map(player).to_vec(),
        choices: Vec::new(),
        region: None,
        bots: 0,
    });
    let scene = told.iter().find_map(|message| match message {
        Message::SceneService(_, scene_service::Event::ReqCreateScene { scene, .. }) => Some(*scene),
        _ => None,
    });
    let scene = scene.expect("there is room");
    world.tell(Event::ResCreateScene { scene, epoch: Epoch(1), result: Ok(()) });
    world.tell(Event::SynUserJoined { scene, epoch: Epoch(1), seat: 0 });
    scene
}

fn set_label(world: &mut World<SceneMaster>, scene: SceneId, epoch: u64, text: &str) {
    world.tell(Event::SynLabel { scene, epoch: Epoch(epoch), label: Label::parse(text).unwrap() });
}

fn all() -> Query {
    Query { limit: PAGE_MAX, ..Query::default() }
}

fn find(world: &mut World<SceneMaster>, query: Query) -> Page {
    let told = world.tell(Event::ReqFindScenes { user: UserId(1), number: 7, query: Box::new(query) });
    match &told[..] {
        [Message::Lobby(lobby::Event::ResFindScenes { user: UserId(1), number: 7, result: Ok(page), .. })] => {
            (**page).clone()
        }
        other => panic!("{other:?}"),
    }
}

fn found(world: &mut World<SceneMaster>, query: Query) -> Vec<SceneId> {
    find(world, query).scenes.iter().map(|found| found.scene).collect()
}

fn find_all(world: &mut World<SceneMaster>, query: Query) -> Page {
    let told = world.tell(Event::ReqOperator { number: 3, order: Order::Find { query: Box::new(query) } });
    match &told[..] {
        [Message::Operator(3, Ok(answer))] => match &**answer {
            Answer::Found(page) => (**page).clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn text(value: &str) -> Scalar {
    Scalar::Text(value.to_owned())
}

fn one_of(field: &str, values: Vec<Scalar>) -> Condition {
    Condition { field: field.to_owned(), is: Is::OneOf(values) }
}

fn within(field: &str, min: Option<f64>, max: Option<f64>) -> Condition {
    Condition { field: field.to_owned(), is: Is::Within { min: min.map(Number), max: max.map(Number) } }
}

#[test]
fn users_find_the_newest_games_first_with_what_there_is_to_know() {
    let mut world = master();
    let first = begin(&mut world, "arena", 1);
    let second = begin(&mut world, "gomoku", 2);
    set_label(&mut world, first, 1, r#"{"map":"ice"}"#);
    let page = find(&mut world, all());
    assert_eq!(page.scenes.iter().map(|found| found.scene).collect::<Vec<_>>(), [second, first]);
    assert_eq!(page.next, None);
    let arena = Found {
        scene: first,
        domain: Some("arena".into()),
        fleet: "arena".into(),
        state: "Running".into(),
        players: 2,
        players_max: 4,
        spectators: 0,
        label: Some(Label::parse(r#"{"map":"ice"}"#).unwrap()),
        started: Time(page.scenes[0].started.0 - 1_000),
        can_join: true,
        can_watch: false,
    };
    assert_eq!(page.scenes[1], arena);
    let gomoku = &page.scenes[0];
    assert_eq!((gomoku.players_max, gomoku.can_join, gomoku.can_watch, &gomoku.label), (2, false, true, &None));
}

#[test]
fn a_game_that_says_nothing_and_takes_nobody_is_for_operators_alone() {
    let mut world = master();
    let scene = begin(&mut world, "quiet", 1);
    assert_eq!(found(&mut world, all()), []);
    assert_eq!(find_all(&mut world, all()).scenes[0].scene, scene);
    set_label(&mut world, scene, 1, r#"{"map":"ice"}"#);
    assert_eq!(found(&mut world, all()), [scene], "it wants to be found");
}

#[test]
fn users_find_no_game_that_they_cannot_be_in_and_operators_find_it_by_its_state() {
    let mut world = master();
    let scene = begin(&mut world, "arena", 1);
    let ask = Ask::Finished(Vec::new());
    world.tell(Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask });
    assert_eq!(found(&mut world, all()), []);
    let in_state = |state: &str| Query { state: Some(state.to_owned()), ..all() };
    assert_eq!(find_all(&mut world, in_state("Stopping")).scenes.len(), 1);
    assert_eq!(find_all(&mut world, in_state("Running")).scenes.len(), 0);
    world.tell(Event::ResDestroyScene { scene, epoch: Epoch(1), kept: false });
    assert_eq!(find_all(&mut world, all()).scenes, [], "a tombstone is in no list");
}

#[test]
fn a_label_is_its_incarnations() {
    let mut world = master();
    let scene = begin(&mut world, "arena", 1);
    set_label(&mut world, scene, 2, r#"{"map":"sand"}"#);
    assert_eq!(find(&mut world, all()).scenes[0].label, None, "of an epoch that is not");
    set_label(&mut world, scene, 1, r#"{"map":"ice"}"#);
    world.tell(Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Crashed("trap".to_owned()) });
    world.pass_ms(1_000);
    // The next one may say it before it is known that it runs.
    assert_eq!(find_all(&mut world, all()).scenes[0].label, None);
    set_label(&mut world, scene, 2, r#"{"map":"sand"}"#);
    world.tell(Event::ResCreateScene { scene, epoch: Epoch(2), result: Ok(()) });
    assert_eq!(find(&mut world, all()).scenes[0].label, Some(Label::parse(r#"{"map":"sand"}"#).unwrap()));
}

#[test]
fn games_are_found_by_the_fields_of_their_labels() {
    let mut world = master();
    let labels = [
        r#"{"map":"ice","round":1,"ranked":true,"deep":{"map":"sand"}}"#,
        r#"{"map":"sand","round":2.5}"#,
        r#"{"map":"mud","round":"2"}"#,
    ];
    let mut scenes = Vec::new();
    for (number, label) in (1..).zip(labels) {
        let scene = begin(&mut world, "arena", number);
        set_label(&mut world, scene, 1, label);
        scenes.push(scene);
    }
    begin(&mut world, "arena", 9);
    let mut check = |conditions: Vec<Condition>, expected: &[usize]| {
        let expected: Vec<SceneId> = expected.iter().map(|index| scenes[*index]).collect();
        let told = format!("{conditions:?}");
        assert_eq!(found(&mut world, Query { conditions, ..all() }), expected, "{told}");
    };
    check(vec![one_of("map", vec![text("ice")])], &[0]);
    check(vec![one_of("map", vec![text("sand"), text("mud")])], &[2, 1]);
    check(vec![one_of("ranked", vec![Scalar::Flag(true)])], &[0]);
    check(vec![one_of("ranked", vec![Scalar::Flag(false)])], &[]);
    check(vec![one_of("round", vec![text("2")])], &[2]);
    check(vec![one_of("round", vec![Scalar::Number(Number(2.5))])], &[1]);
    check(vec![within("round", Some(1.0), None)], &[1, 0]);
    check(vec![within("round", Some(1.5), Some(2.5))], &[1]);
    check(vec![within("map", Some(0.0), None)], &[]);
    check(vec![one_of("map", vec![text("ice")]), within("round", None, Some(0.5))], &[]);
    check(vec![one_of("nothing", vec![text("ice")])], &[]);
}

#[test]
fn games_are_found_by_domain_by_fleet_and_by_what_is_open() {
    let mut world = master();
    let full = begin(&mut world, "arena", 1);
    let free = begin(&mut world, "arena", 2);
    let shown = begin(&mut world, "gomoku", 3);
    for user in [100, 101] {
        let event = crate::joining::req_join(full, user);
        world.tell(event);
    }
    assert_eq!(found(&mut world, Query { domain: Some("arena".into()), ..all() }), [free, full]);
    assert_eq!(found(&mut world, Query { fleet: Some("gomoku".into()), ..all() }), [shown]);
    let other = Query { domain: Some("gomoku".into()), fleet: Some("arena".into()), ..all() };
    assert_eq!(found(&mut world, other), []);
    assert_eq!(found(&mut world, Query { joinable: true, ..all() }), [free]);
    assert_eq!(found(&mut world, Query { watchable: true, ..all() }), [shown]);
    assert_eq!(found(&mut world, Query { domain: Some("nowhere".into()), ..all() }), []);
}

#[test]
fn pages_follow_each_other_also_while_games_come_and_go() {
    let mut world = master();
    let scenes: Vec<SceneId> = (1..=5).map(|number| begin(&mut world, "arena", number)).collect();
    let first = find(&mut world, Query { limit: 2, ..all() });
    assert_eq!(first.scenes.iter().map(|found| found.scene).collect::<Vec<_>>(), [scenes[4], scenes[3]]);
    // The last one that was seen ends, and a new one comes.
    world.tell(Event::ReqAskDestroyScene { scene: scenes[3], epoch: Epoch(1), ask: Ask::Finished(Vec::new()) });
    begin(&mut world, "arena", 6);
    let after = first.next;
    assert!(after.is_some());
    let second = find(&mut world, Query { limit: 2, after, ..all() });
    assert_eq!(second.scenes.iter().map(|found| found.scene).collect::<Vec<_>>(), [scenes[2], scenes[1]]);
    let third = find(&mut world, Query { limit: 2, after: second.next, ..all() });
    assert_eq!(third.scenes.iter().map(|found| found.scene).collect::<Vec<_>>(), [scenes[0]]);
    assert_eq!(third.next, None);
}

#[test]
fn one_request_looks_at_so_many_games_and_says_where_to_go_on() {
    let mut world = master();
    let wanted = begin(&mut world, "arena", 1);
    set_label(&mut world, wanted, 1, r#"{"map":"ice"}"#);
    for number in 0..SCANNED_MAX as u64 {
        begin(&mut world, "arena", 2 + number);
    }
    let query = Query { conditions: vec![one_of("map", vec![text("ice")])], ..all() };
    let page = find(&mut world, query.clone());
    assert_eq!(page.scenes, []);
    let page = find(&mut world, Query { after: page.next, ..query });
    assert_eq!(page.scenes[0].scene, wanted);
    assert_eq!(page.next, None);
}

#[test]
fn a_page_of_long_labels_has_fewer_games() {
    let mut world = master();
    let label = format!(r#"{{"map":"{}"}}"#, "i".repeat(LABEL_BYTES_MAX - 10));
    for number in 1..=PAGE_MAX as u64 {
        let scene = begin(&mut world, "arena", number);
        set_label(&mut world, scene, 1, &label);
    }
    let mut page = find(&mut world, all());
    let mut found = page.scenes.len();
    while let Some(after) = page.next {
        let bytes = page.bytes();
        assert!((PAGE_BYTES_MAX..PAGE_BYTES_MAX + LABEL_BYTES_MAX + 1_024).contains(&bytes), "{bytes}");
        page = find(&mut world, Query { after: Some(after), ..all() });
        found += page.scenes.len();
    }
    assert_eq!(found, PAGE_MAX);
}

#[test]
fn a_query_out_of_its_limits_is_refused_with_what_to_change() {
    let check = |query: Query, expected: &str| {
        let refusal = query.check().unwrap_err();
        assert!(matches!(&refusal, Refusal::Invalid(text) if text.contains(expected)), "{refusal:?}");
        let mut world = master();
        let told = world.tell(Event::ReqFindScenes { user: UserId(1), number: 1, query: Box::new(query) });
        let Message::Lobby(lobby::Event::ResFindScenes { result, .. }) = &told[0] else { panic!("{told:?}") };
        assert_eq!(result, &Err(refusal));
    };
    let with = |condition: Condition| Query { conditions: vec![condition], ..all() };
    check(Query { limit: 0, ..all() }, "1 to 50");
    check(Query { limit: PAGE_MAX + 1, ..all() }, "1 to 50");
    let too_many = vec![one_of("map", vec![text("ice")]); CONDITIONS_MAX + 1];
    check(Query { conditions: too_many, ..all() }, "at most 8 fields");
    check(with(one_of("", vec![text("ice")])), "name of a field");
    check(with(one_of(&"a".repeat(TEXT_BYTES_MAX + 1), vec![text("ice")])), "name of a field");
    check(with(one_of("map", Vec::new())), "1 to 16 values");
    check(with(one_of("map", vec![text("ice"); VALUES_MAX + 1])), "1 to 16 values");
    check(with(one_of("map", vec![text(&"a".repeat(TEXT_BYTES_MAX + 1))])), "at most 256 bytes");
    check(with(within("round", None, None)), "at_least or at_most");
    check(with(within("round", Some(f64::NAN), None)), "finite");
}

#[test]
fn a_label_is_a_bounded_object_of_json() {
    let label = Label::parse(r#"{"map":"ice"}"#).unwrap();
    assert_eq!(label.text(), r#"{"map":"ice"}"#);
    assert!(matches!(Label::parse("{"), Err(LabelError::NoJson(_))));
    assert_eq!(Label::parse("[1]"), Err(LabelError::NoObject));
    let long = format!(r#"{{"map":"{}"}}"#, "a".repeat(LABEL_BYTES_MAX));
    assert_eq!(Label::parse(&long), Err(LabelError::TooLong(long.len())));
    let fields: Vec<String> = (0..=LABEL_FIELDS_MAX).map(|index| format!(r#""{index}":1"#)).collect();
    let many = format!("{{{}}}", fields.join(","));
    assert_eq!(Label::parse(&many), Err(LabelError::TooManyFields(LABEL_FIELDS_MAX + 1)));
}

#[test]
fn a_cursor_is_what_its_text_says() {
    let cursor = Cursor { started: Time(1_234), scene: SceneId(0xabc) };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    for wrong in ["", "12", "0000000000000001zzzzzzzzzzzzzzzz", "é000000000000001000000000000000"] {
        assert!(matches!(wrong.parse::<Cursor>(), Err(Refusal::Invalid(_))), "{wrong:?}");
    }
}

/// The game's sessions follow each other in one scene: the list tells of each as of a game of its own.
#[test]
fn a_scene_that_is_used_again_is_found_as_the_new_game_that_it_is() {
    let mut world = master();
    let fleet = Fleet {
        join_in_progress: true,
        seats_max: 4,
        after_session: AfterSession::Reuse,
        standby_max: 4,
        ..Fleet::default()
    };
    world.tell(Event::Fleets { fleets: BTreeMap::from([("arena".into(), (Build(0).into(), fleet))]) });
    let scene = begin(&mut world, "arena", 1);
    let older = begin(&mut world, "arena", 2);
    set_label(&mut world, scene, 1, r#"{"map":"ice"}"#);
    world.tell(Event::ReqAskDestroyScene { scene, epoch: Epoch(1), ask: Ask::Finished(Vec::new()) });
    world.tell(Event::ResDestroyScene { scene, epoch: Epoch(1), kept: true });
    assert_eq!(found(&mut world, all()), [older], "ready, and nobody's");
    let ready = find_all(&mut world, Query { state: Some("Ready".to_owned()), ..all() });
    assert_eq!((ready.scenes[0].scene, &ready.scenes[0].label), (scene, &None));

    let order = Order::Allocate {
        fleet: "arena".into(),
        scene: None,
        domain: None,
        players: vec![Matched { user: UserId(1), name: "Ada".to_owned(), rating: 1500, team: 0, role: None, party: 0 }],
    };
    world.pass_ms(1_000);
    world.tell(Event::ReqOperator { number: 4, order });
    world.tell(Event::ResCreateScene { scene, epoch: Epoch(2), result: Ok(()) });
    let page = find(&mut world, all());
    assert_eq!(page.scenes.iter().map(|found| found.scene).collect::<Vec<_>>(), [scene, older], "the newest first");
    assert_eq!((page.scenes[0].players, &page.scenes[0].label, &page.scenes[0].domain), (1, &None, &None));
    assert_eq!(find_all(&mut world, all()).scenes.len(), 2, "each is in the list once");
}
