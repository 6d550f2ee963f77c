//! What the SDK promises a game, shown by a scene that tells what it hears.

use std::collections::BTreeMap;

use scenehost_sdk::prelude::*;
use scenehost_sdk::testing::{SceneTest, player, players};

const ALARM: Timer = Timer::named("alarm");

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ask {
    Alarm { after_ms: u32, index: u32 },
    Cancel { index: u32 },
    Roll,
    Kick(Seat),
    Seek,
    SeekNobody,
    Next(Seat),
    Save,
    Broken,
    Finish,
}

#[derive(Default, Serialize, Deserialize)]
struct Parrot {
    heard: Vec<String>,
    ticks: u32,
}

impl Parrot {
    fn hear(&mut self, ctx: &Context, what: impl Into<String>) {
        self.heard.push(format!("{} {}", ctx.now_ms(), what.into()));
    }
}

impl Scene for Parrot {
    type Message = Ask;

    fn start(_: &Init, _: &mut Random) -> Result<Self, Fault> {
        Ok(Parrot::default())
    }

    fn admit(&self, player: &Player) -> Result<(), String> {
        match player.rating {
            ..1000 => Err("come back with a rating of 1000".to_owned()),
            _ => Ok(()),
        }
    }

    fn joined(&mut self, ctx: &mut Context, player: &Player) {
        let present: Vec<Seat> = ctx.present().map(|player| player.seat).collect();
        self.hear(ctx, format!("{} joined, present {present:?}", player.name));
    }

    fn dropped(&mut self, ctx: &mut Context, seat: Seat) {
        let present = ctx.is_present(seat);
        self.hear(ctx, format!("{seat} dropped, present {present}"));
    }

    fn resumed(&mut self, ctx: &mut Context, seat: Seat, missed: bool) {
        let present = ctx.is_present(seat);
        self.hear(ctx, format!("{seat} resumed, missed {missed}, present {present}"));
    }

    fn left(&mut self, ctx: &mut Context, seat: Seat, reason: LeaveReason) {
        let name = ctx.player(seat).map(|player| player.name.clone());
        self.hear(ctx, format!("{name:?} left, {reason:?}"));
    }

    fn message(&mut self, ctx: &mut Context, from: Seat, ask: Ask) {
        match ask {
            Ask::Alarm { after_ms, index } => ctx.set_timer(ALARM.at(index), after_ms),
            Ask::Cancel { index } => ctx.cancel_timer(ALARM.at(index)),
            Ask::Roll => {
                let roll: u32 = ctx.random().random_range(1..=6);
                ctx.send(from, &roll);
            }
            Ask::Kick(seat) => ctx.kick(seat, "you were asked to go"),
            Ask::Seek => ctx.seek([Opening::any(1).of_team(1), Opening::any(0), Opening::any(2).of_role("healer")]),
            Ask::SeekNobody => ctx.seek_players(0),
            Ask::Next(seat) => ctx.match_again([seat]),
            Ask::Save => {
                let amount = Amount { seat: from, name: "gold".to_owned(), count: 3 };
                let id = ctx.save(vec![SaveOperation::Grant(amount)]);
                ctx.send(from, &id);
            }
            Ask::Broken => ctx.send(from, &BTreeMap::from([((1, 2), 3)])),
            Ask::Finish => {
                ctx.finish(vec![]);
                ctx.send(Target::All, "too late");
            }
        }
    }

    fn timer(&mut self, ctx: &mut Context, timer: Timer) {
        assert_eq!(timer.family(), ALARM);
        self.hear(ctx, format!("alarm {}", timer.index()));
    }

    fn signal(&mut self, ctx: &mut Context, name: &str, body: &[u8]) {
        self.hear(ctx, format!("signal {name} {body:?}"));
    }

    fn saved(&mut self, ctx: &mut Context, id: u64, outcome: Result<(), SaveError>) {
        self.hear(ctx, format!("saved {id} {outcome:?}"));
    }

    fn stopping(&mut self, ctx: &mut Context, notice: StopNotice) {
        self.hear(ctx, format!("stopping, {:?} in {}", notice.reason, notice.grace_ms));
    }

    fn tick(&mut self, _: &mut Context) {
        self.ticks += 1;
    }
}

fn parrot(tick_rate_hz: u32) -> SceneTest<Parrot> {
    let mut scene = SceneTest::start(Init { tick_rate_hz, ..players(2) });
    scene.join(0);
    scene.join(1);
    scene
}

/// What the scene heard after the two have joined at the start.
fn heard(scene: &SceneTest<Parrot>) -> Vec<&str> {
    scene.scene().heard.iter().skip(2).map(String::as_str).collect()
}

#[test]
fn every_event_reaches_its_handler_with_the_players_as_they_are_then() {
    let mut scene = parrot(0);
    scene.drop_out(1);
    scene.advance_ms(30);
    scene.resume(1, true);
    scene.leave_because(1, LeaveReason::Removed);
    scene.signal("rain", [1, 2]);
    scene.stop(StopReason::Drain, 500);
    scene.join(7);
    assert_eq!(scene.scene().heard[1], "0 player 1 joined, present [0, 1]");
    assert_eq!(
        heard(&scene),
        [
            "0 1 dropped, present false",
            "30 1 resumed, missed true, present true",
            "30 Some(\"player 1\") left, LeaveReason::Removed",
            "30 signal rain [1, 2]",
            "30 stopping, StopReason::Drain in 500",
            "30 player 7 joined, present [0, 7]",
        ]
    );
    scene.assert_replays();
}

#[test]
fn timers_are_due_at_their_time_and_can_be_set_anew_and_cleared() {
    let mut scene = parrot(0);
    scene.send(0, &Ask::Alarm { after_ms: 100, index: 1 });
    scene.send(0, &Ask::Alarm { after_ms: 50, index: 2 });
    scene.send(0, &Ask::Alarm { after_ms: 70, index: 3 });
    scene.advance_ms(20);
    scene.send(0, &Ask::Alarm { after_ms: 100, index: 2 });
    scene.send(0, &Ask::Cancel { index: 3 });
    assert_eq!(scene.timer_due_ms(ALARM.at(1)), Some(80));
    scene.reload();
    scene.advance_ms(1000);
    assert_eq!(heard(&scene), ["100 alarm 1", "120 alarm 2"]);
    assert_eq!(scene.timer_due_ms(ALARM.at(1)), None);
}

#[test]
fn a_ticking_scene_hears_of_timers_and_events_in_its_steps() {
    let mut scene = parrot(30);
    scene.ticks(1);
    scene.send(0, &Ask::Alarm { after_ms: 50, index: 0 });
    assert_eq!(scene.scene().ticks, 1, "events wait for the step");
    scene.ticks(2);
    assert!(heard(&scene).is_empty());
    scene.advance_ms(1000 - scene.now_ms());
    assert_eq!(heard(&scene), ["100 alarm 0"], "set at 33, due in the first step from 83 on");
    assert_eq!((scene.scene().ticks, scene.now_ms()), (31, 1000));
}

#[test]
fn a_scene_without_players_sleeps() {
    let mut scene = parrot(20);
    scene.ticks(2);
    scene.leave(0);
    scene.leave(1);
    scene.ticks(50);
    assert_eq!(scene.scene().ticks, 3, "one more for the leavers");
    scene.join(0);
    scene.ticks(1);
    assert_eq!(scene.now_ms(), 150, "the next tick number");
}

#[test]
fn randomness_goes_on_after_a_snapshot() {
    let rolls = |reload: bool| {
        let mut scene = parrot(0);
        for roll in 0..40 {
            scene.send(0, &Ask::Roll);
            if reload && roll % 7 == 0 {
                scene.reload();
            }
        }
        scene.received::<u32>(0)
    };
    assert_eq!(rolls(true), rolls(false));
    assert!((1..=6).all(|side| rolls(false).contains(&side)));
}

#[test]
fn a_kicked_player_leaves() {
    let mut scene = parrot(0);
    scene.send(0, &Ask::Kick(1));
    assert_eq!(scene.kicks()[0].reason, "you were asked to go");
    assert_eq!(heard(&scene), ["0 Some(\"player 1\") left, LeaveReason::Kicked"]);
}

#[test]
fn whoever_comes_takes_a_place_of_the_search() {
    let mut scene = parrot(0);
    scene.send(0, &Ask::Seek);
    assert_eq!(scene.search(), [Opening::any(1).of_team(1), Opening::any(2).of_role("healer")]);
    assert_eq!(scene.join_sought(), 2);
    assert_eq!(scene.search(), [Opening::any(2).of_role("healer")]);
    scene.join(3);
    assert_eq!(scene.search(), [Opening::any(1).of_role("healer")]);
    scene.send(0, &Ask::SeekNobody);
    assert_eq!(scene.search(), []);
    scene.assert_replays();
}

#[test]
fn who_is_sent_on_to_the_next_match_leaves() {
    let mut scene = parrot(0);
    scene.send(0, &Ask::Next(1));
    assert_eq!(scene.next_matches(), [NextMatch { seats: vec![1], domain: None, together: false }]);
    assert_eq!(heard(&scene), ["0 Some(\"player 1\") left, LeaveReason::NextMatch"]);
}

#[test]
fn saves_have_ids_of_their_own_and_are_answered() {
    let mut scene = parrot(0);
    scene.send(0, &Ask::Save);
    scene.reload();
    scene.send(0, &Ask::Save);
    assert_eq!(scene.received::<u64>(0), [1, 2]);
    assert_eq!(scene.saves().len(), 2);
    scene.answer_save(2, Err(SaveError::Conflict("no gold".to_owned())));
    assert_eq!(heard(&scene), ["0 saved 2 Err(SaveError::Conflict(\"no gold\"))"]);
}

#[test]
fn a_refused_player_stays_outside() {
    let mut scene = parrot(0);
    let refusal = scene.try_join(Player { rating: 999, ..player(2) });
    assert_eq!(refusal, Err("come back with a rating of 1000".to_owned()));
    assert!(heard(&scene).is_empty());
}

#[test]
fn nothing_is_heard_or_sent_after_the_finish() {
    let mut scene = parrot(0);
    scene.send(0, &Ask::Finish);
    assert!(scene.ending().is_some());
    assert!(scene.received_bytes(1).is_empty());
    scene.drop_out(1);
    assert!(heard(&scene).is_empty());
}

#[test]
fn what_cannot_be_read_is_counted_and_seldom_logged() {
    let mut scene = parrot(0);
    for _ in 0..100 {
        scene.send_bytes(1, "{");
    }
    assert_eq!(scene.log().len(), 7, "the 1st, 2nd, 4th ... 64th");
    let (level, line) = &scene.log()[0];
    assert_eq!(*level, Level::Warn);
    assert!(line.starts_with("seat 1, 1 unreadable so far: not a message of this game"), "{line}");
    assert!(heard(&scene).is_empty());
}

#[test]
#[should_panic = "cannot be sent as JSON"]
fn a_message_that_is_no_json_fails_the_scene() {
    parrot(0).send(0, &Ask::Broken);
}

/// State that text formats and careless binary ones lose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    floats: (f32, f64, f64),
    least: i64,
    most: u64,
    by_point: BTreeMap<(u8, i32), Vec<u8>>,
    piece: Option<Piece>,
    nothing: Option<u8>,
    unit: (),
    letter: char,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Piece {
    Rook { moved: bool },
}

#[derive(Serialize, Deserialize)]
struct Box1 {
    state: State,
    removed: u32,
}

#[derive(Serialize, Deserialize)]
struct Box2 {
    #[serde(default)]
    added: Vec<String>,
    state: State,
}

macro_rules! silent_scene {
    ($scene:ty) => {
        impl Scene for $scene {
            type Message = ();
            fn start(_: &Init, _: &mut Random) -> Result<Self, Fault> {
                Err("is only loaded".into())
            }
        }
    };
}
silent_scene!(Box1);
silent_scene!(Box2);

#[test]
fn a_snapshot_is_exact_and_a_newer_version_reads_it() {
    let state = State {
        floats: (0.1, 0.1 + 0.2, f64::NEG_INFINITY),
        least: i64::MIN,
        most: u64::MAX,
        by_point: BTreeMap::from([((1, -2), vec![3]), ((4, 5), vec![])]),
        piece: Some(Piece::Rook { moved: true }),
        nothing: None,
        unit: (),
        letter: 'ä',
    };
    let snapshot = Box1 { state: state.clone(), removed: 1 }.save().unwrap();
    let same = Box1::load(&players(0), &snapshot).unwrap();
    assert_eq!((same.state, same.removed), (state.clone(), 1));
    let newer = Box2::load(&players(0), &snapshot).unwrap();
    assert_eq!((newer.state, newer.added.len()), (state, 0));
    assert!(Box1::load(&players(0), b"something else").is_err());
}

/// A game with a board that is dear to make and the same in every session, and a count that is not.
#[derive(Serialize, Deserialize)]
struct Board {
    squares: Vec<u32>,
    moves: u32,
    secret: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum View {
    Whole { moves: u32 },
    Moved(u32),
}

impl Scene for Board {
    type Message = u32;

    fn start(_: &Init, random: &mut Random) -> Result<Self, Fault> {
        Ok(Board { squares: (0..64).collect(), moves: 0, secret: random.random() })
    }

    fn restart(&mut self, init: &Init, random: &mut Random) -> Result<(), Fault> {
        if init.configuration != "{}" {
            return Err("this board has no configuration".into());
        }
        (self.moves, self.secret) = (0, random.random());
        Ok(())
    }

    fn message(&mut self, ctx: &mut Context, _: Seat, square: u32) {
        self.moves += 1;
        ctx.show(&View::Moved(square));
        ctx.label(&BTreeMap::from([("moves", self.moves)]));
    }

    fn watched(&mut self, ctx: &mut Context) {
        ctx.show_whole(&View::Whole { moves: self.moves });
    }
}

#[test]
fn those_who_watch_are_shown_the_whole_view_when_it_is_wanted_and_the_changes() {
    let mut game = SceneTest::<Board>::start(players(1));
    game.join(0);
    game.send(0, &5);
    game.watched();
    game.send(0, &6);
    let expected = [(false, View::Moved(5)), (true, View::Whole { moves: 1 }), (false, View::Moved(6))];
    assert_eq!(game.shown::<View>(), expected);
    assert_eq!(game.received_bytes(0), [] as [Vec<u8>; 0], "it is not for players");
    assert_eq!(game.label(), Some(r#"{"moves":2}"#));
    game.assert_replays();
}

#[test]
fn the_next_session_is_as_new_as_a_scene_of_its_own() {
    let mut game = SceneTest::<Board>::start(players(2));
    game.join(0);
    game.join(1);
    game.send(0, &5);
    let before = game.scene().secret;
    let mut game = game.restart(Init { seed: 2, ..players(1) });
    assert_eq!((game.scene().moves, game.now_ms()), (0, 0));
    assert_ne!(game.scene().secret, before, "it has a seed of its own");
    assert_eq!(game.label(), None);
    game.join(0);
    game.send(0, &7);
    assert_eq!(game.scene().moves, 1);
    game.assert_replays();
}

#[test]
#[should_panic(expected = "this board has no configuration")]
fn a_scene_may_refuse_the_next_session() {
    let game = SceneTest::<Board>::start(players(1));
    game.restart(Init { configuration: r#"{"size":9}"#.to_owned(), ..players(1) });
}

#[test]
fn by_default_the_next_session_is_started_anew() {
    let mut scene = parrot(0);
    scene.join(0);
    let mut scene = scene.restart(players(3));
    assert_eq!(scene.scene().heard, [] as [&str; 0]);
    scene.join(0);
    assert_eq!(scene.scene().heard, ["0 player 0 joined, present [0]"]);
    scene.assert_replays();
}
