//! Rounds of the arena, played through the test kit.

use std::f32::consts::PI;

use arena::Arena;
use arena::messages::{Here, HitRow, Input, Reply, ShipRow, ShotRow, Snapshot};
use arena::spawn::POINTS;
use glam::Vec2;
use scenehost_sdk::testing::{SceneTest, players};
use scenehost_sdk::{Init, LeaveReason, PlayerResult, Seat, StopReason};

const TOP_LEFT: Vec2 = POINTS[0];
const TOP_RIGHT: Vec2 = POINTS[2];
const LEFT: Vec2 = POINTS[3];

fn start(seed: u64, count: u32, configuration: &str) -> SceneTest<Arena> {
    let configuration = configuration.to_owned();
    let mut round = SceneTest::start(Init { seed, tick_rate_hz: 20, configuration, ..players(count) });
    (0..count).for_each(|seat| round.join(seat));
    round.ticks(1);
    round
}

/// A round in which chance put the ships just there.
fn start_at(points: &[Vec2]) -> SceneTest<Arena> {
    (0..10_000)
        .map(|seed| start(seed, points.len() as u32, "{}"))
        .find(|round| round.scene().world().ships.values().map(|ship| ship.position).eq(points.iter().copied()))
        .expect("one of so many seeds does")
}

/// Two ships 400 units apart on the upper edge, the left one aiming at the right one.
fn duel() -> SceneTest<Arena> {
    let mut round = start_at(&[TOP_LEFT, TOP_RIGHT]);
    steer(&mut round, 0, [1.0, 0.0], 0.0, false);
    steer(&mut round, 1, [-1.0, 0.0], PI, false);
    round.ticks(40);
    steer(&mut round, 0, [0.0, 0.0], 0.0, false);
    steer(&mut round, 1, [0.0, 0.0], PI, false);
    round.ticks(1);
    round.received_bytes(0);
    round.received_bytes(1);
    round
}

fn steer(round: &mut SceneTest<Arena>, seat: Seat, direction: [f32; 2], aim: f32, fire: bool) {
    round.send(seat, &Input { n: 7, direction, aim, fire, ..Input::default() });
}

fn position(round: &SceneTest<Arena>, seat: Seat) -> Vec2 {
    round.scene().world().ships[&seat].position
}

fn snapshots(round: &mut SceneTest<Arena>, seat: Seat) -> Vec<Snapshot> {
    let only_snapshots = |reply| match reply {
        Reply::Snapshot(snapshot) => Some(snapshot),
        _ => None,
    };
    round.received(seat).into_iter().filter_map(only_snapshots).collect()
}

fn results(round: &SceneTest<Arena>) -> Vec<(Seat, u32, i64)> {
    let ending = round.ending().expect("the round is over");
    let fields = |result: &PlayerResult| (result.seat, result.place, result.score);
    ending.results.iter().map(fields).collect()
}

#[test]
fn a_ship_moves_at_its_speed_whatever_the_client_asks() {
    for direction in [[1.0, 0.0], [5.0, 0.0], [f32::MAX / 1e20, 0.0]] {
        let mut round = start_at(&[TOP_LEFT]);
        steer(&mut round, 0, direction, 0.0, false);
        round.ticks(20);
        assert!(position(&round, 0).abs_diff_eq(TOP_LEFT + Vec2::new(260.0, 0.0), 0.01));
    }
    let mut round = start_at(&[TOP_LEFT]);
    steer(&mut round, 0, [0.25, 0.0], 0.0, false);
    round.ticks(20);
    assert!(position(&round, 0).abs_diff_eq(TOP_LEFT + Vec2::new(65.0, 0.0), 0.01));
}

#[test]
fn a_ship_stays_in_the_world() {
    let mut round = start_at(&[TOP_LEFT]);
    steer(&mut round, 0, [-1.0, -1.0], 0.0, false);
    round.ticks(40);
    assert_eq!(position(&round, 0), Vec2::splat(18.0));
}

#[test]
fn a_wall_blocks_ships_and_lets_them_slide() {
    let mut round = start_at(&[LEFT]);
    steer(&mut round, 0, [1.0, 0.0], 0.0, false);
    round.ticks(40);
    assert!(position(&round, 0).abs_diff_eq(Vec2::new(162.0, 450.0), 0.01));
    steer(&mut round, 0, [1.0, 1.0], 0.0, false);
    round.ticks(5);
    let slid = position(&round, 0);
    assert!((slid.x - 162.0).abs() < 0.01 && slid.y > 480.0, "{slid}");
}

#[test]
fn numbers_that_are_none_do_nothing() {
    let mut round = start_at(&[TOP_LEFT]);
    for body in [
        r#"{"type":"input","n":1,"move":[1e300,-1e300],"aim":1e300,"fire":false}"#,
        r#"{"type":"input","n":1,"move":[1e38,1e38],"aim":0,"fire":false}"#,
        r#"{"type":"input","n":1,"move":[null,0],"aim":0,"fire":true}"#,
        r#"{"type":"input","n":-1,"move":[1,0],"aim":0,"fire":true}"#,
        "nonsense",
    ] {
        round.send_bytes(0, body);
        round.ticks(3);
        assert!(position(&round, 0).is_finite());
    }
    assert!(round.scene().world().shots.is_empty());
}

#[test]
fn a_shot_hits_what_is_in_its_way() {
    let mut round = duel();
    steer(&mut round, 0, [0.0, 0.0], 0.0, true);
    round.ticks(1);
    steer(&mut round, 0, [0.0, 0.0], 0.0, false);
    round.ticks(15);
    let told = snapshots(&mut round, 1);
    let hits: Vec<HitRow> = told.iter().flat_map(|snapshot| snapshot.hits.clone()).collect();
    let &[(0, 1, x, y, false)] = hits.as_slice() else {
        panic!("{hits:?}");
    };
    let edge = position(&round, 1) - Vec2::new(18.0, 0.0);
    assert!((Vec2::new(x as f32, y as f32) / 10.0).abs_diff_eq(edge, 0.1));
    let last = told.last().unwrap();
    assert_eq!(last.ships[1].4, 75, "hp");
    assert!(last.shots.is_empty(), "the shot is used up");
}

#[test]
fn the_trigger_fires_every_250_ms() {
    let mut round = start_at(&[TOP_LEFT]);
    steer(&mut round, 0, [0.0, 0.0], PI / 2.0, true);
    round.ticks(20);
    let told = snapshots(&mut round, 0);
    let fired: Vec<(u64, u32)> =
        told.iter().flat_map(|snapshot| snapshot.shots.iter().map(|shot| (snapshot.tick, shot.0))).collect();
    let first_seen = |id| fired.iter().find(|shot| shot.1 == id).map(|shot| shot.0);
    assert_eq!([0, 1, 2, 3].map(first_seen), [Some(1), Some(6), Some(11), Some(16)]);
    assert_eq!(first_seen(4), None);
}

#[test]
fn a_shot_fades_after_its_life() {
    let mut round = start_at(&[TOP_LEFT]);
    steer(&mut round, 0, [0.0, 0.0], 0.0, true);
    round.ticks(1);
    steer(&mut round, 0, [0.0, 0.0], 0.0, false);
    round.ticks(23);
    let shots: Vec<ShotRow> = snapshots(&mut round, 0).pop().unwrap().shots;
    assert_eq!(shots, [(0, 0, 9_200, 800, 7_000, 0)], "after 24 steps of 35 units");
    round.ticks(1);
    assert!(snapshots(&mut round, 0).pop().unwrap().shots.is_empty());
}

#[test]
fn a_wall_stops_shots() {
    let mut round = start_at(&[LEFT]);
    steer(&mut round, 0, [0.0, 0.0], 0.0, true);
    round.ticks(30);
    for snapshot in snapshots(&mut round, 0) {
        assert!(snapshot.shots.iter().all(|shot| shot.2 < 1_800), "{snapshot:?}");
    }
}

#[test]
fn a_destroyed_ship_is_counted_and_comes_back() {
    let mut round = duel();
    steer(&mut round, 0, [0.0, 0.0], 0.0, true);
    let mut told = Vec::new();
    while !told.iter().any(|snapshot: &Snapshot| snapshot.hits.iter().any(|hit| hit.4)) {
        round.ticks(1);
        told.extend(snapshots(&mut round, 1));
        assert!(told.len() < 60, "four hits destroy a ship");
    }
    steer(&mut round, 0, [0.0, 0.0], 0.0, false);
    let ships: Vec<ShipRow> = told.pop().unwrap().ships;
    assert_eq!((ships[0].6, ships[0].7), (1, 0), "kills and deaths of the shooter");
    assert_eq!((ships[1].4, ships[1].5, ships[1].6, ships[1].7), (0, 2000, 0, 1));

    let wreck = position(&round, 1);
    steer(&mut round, 1, [0.0, 1.0], PI, true);
    round.ticks(39);
    assert_eq!(position(&round, 1), wreck, "a destroyed ship does not move");
    assert!(round.scene().world().shots.iter().all(|shot| shot.seat != 1), "nor fire");
    steer(&mut round, 1, [0.0, 0.0], PI, false);
    round.ticks(1);
    let ship = &round.scene().world().ships[&1];
    assert!(ship.hp == 100 && POINTS.contains(&ship.position));
    assert!(ship.position.distance(position(&round, 0)) > 600.0, "far from the enemy");
    round.assert_replays();
}

#[test]
fn a_round_ends_with_standings() {
    let mut round = duel();
    steer(&mut round, 0, [0.0, 0.0], 0.0, true);
    round.ticks(30);
    round.advance_ms(180_000);
    let last = round.received::<Reply>(1).pop().unwrap();
    let Reply::Over { standings } = last else {
        panic!("{last:?}");
    };
    let row = |place: usize| {
        let standing = &standings[place];
        (standing.seat, standing.place, standing.kills, standing.deaths)
    };
    assert_eq!((row(0), row(1)), ((0, 1, 1, 0), (1, 2, 0, 1)));
    assert_eq!(standings[1].name, "player 1");
    assert_eq!(results(&round), [(0, 1, 1), (1, 2, 0)]);
    assert_eq!(round.now_ms(), 180_000, "the round began with the first step");
    round.assert_replays();
}

#[test]
fn equals_share_a_place() {
    let mut round = start(1, 3, r#"{"round_s":1}"#);
    round.ticks(20);
    assert_eq!(results(&round), [(0, 1, 0), (1, 1, 0), (2, 1, 0)]);
}

#[test]
fn who_joins_in_progress_is_welcomed_and_plays() {
    let mut round = start(5, 2, "{}");
    round.ticks(100);
    round.received_bytes(0);
    round.join(2);
    round.ticks(1);
    let here = |seat| Here { seat, name: format!("player {seat}"), present: true };
    let everybody = vec![here(0), here(1), here(2)];
    let told = round.received::<Reply>(2);
    let Reply::Welcome { seat: 2, world: [1600.0, 900.0], round_s: 180, walls, players } = &told[0] else {
        panic!("{told:?}");
    };
    assert_eq!((walls.len(), players), (7, &everybody));
    let Reply::Snapshot(snapshot) = &told[1] else {
        panic!("{told:?}");
    };
    assert_eq!((snapshot.ships.len(), snapshot.ships[2].4), (3, 100));
    assert_eq!(snapshot.left_ms, 180_000 - 101 * 50);
    assert_eq!(round.received::<Reply>(0)[0], Reply::Players { players: everybody });
}

#[test]
fn a_dropped_players_ship_stays_and_stands_still() {
    let mut round = start_at(&[TOP_LEFT, TOP_RIGHT]);
    steer(&mut round, 0, [1.0, 0.0], 0.0, true);
    round.ticks(2);
    round.received_bytes(1);
    round.drop_out(0);
    round.ticks(2);
    let stopped = position(&round, 0);
    let Reply::Players { players } = &round.received::<Reply>(1)[0] else {
        panic!("the others are told");
    };
    assert_eq!(players.iter().map(|here| here.present).collect::<Vec<_>>(), [false, true]);
    round.ticks(20);
    assert_eq!(position(&round, 0), stopped);
    round.reload();
    round.resume(0, true);
    round.ticks(1);
    assert!(matches!(round.received::<Reply>(0)[0], Reply::Welcome { seat: 0, .. }));
    round.assert_replays();
}

#[test]
fn the_round_goes_on_until_the_last_has_left() {
    let mut round = start(1, 2, "{}");
    round.leave(0);
    round.ticks(1);
    assert_eq!(round.scene().world().ships.len(), 1);
    assert!(round.ending().is_none());
    round.leave(1);
    round.ticks(1);
    assert_eq!(results(&round), [(0, 1, 0), (1, 1, 0)], "who left is counted");
}

#[test]
fn a_round_that_nobody_came_to_has_no_result() {
    let mut round = SceneTest::<Arena>::start(Init { tick_rate_hz: 20, ..players(2) });
    round.leave_because(0, LeaveReason::NeverJoined);
    round.leave_because(1, LeaveReason::NeverJoined);
    round.ticks(1);
    assert!(results(&round).is_empty());
}

#[test]
fn a_host_that_stops_gets_the_result_in_time() {
    let mut round = start(1, 2, r#"{"round_s":60}"#);
    round.stop(StopReason::Drain, 60_000);
    round.ticks(1);
    assert!(round.ending().is_none(), "the round ends within the grace");
    round.stop(StopReason::Drain, 1_000);
    round.ticks(1);
    assert_eq!(results(&round).len(), 2);
}

#[test]
fn the_same_seed_gives_the_same_round_and_another_one_another() {
    let play = |seed| {
        let mut round = start(seed, 4, "{}");
        for tick in 0..60_u32 {
            for seat in 0..4 {
                let turn = (tick * (seat + 1)) as f32 * 0.37;
                steer(&mut round, seat, [turn.cos(), turn.sin()], turn, tick % 3 == 0);
            }
            round.ticks(1);
        }
        round.received_bytes(0)
    };
    assert_eq!(play(11), play(11));
    assert_ne!(play(11), play(12));
}

#[test]
fn a_fleet_that_cannot_work_is_refused() {
    let refused = |tick_rate_hz, configuration: &str| {
        let configuration = configuration.to_owned();
        SceneTest::<Arena>::try_start(Init { tick_rate_hz, configuration, ..players(2) }).err()
    };
    assert!(refused(0, "{}").unwrap().contains("tick rate"));
    assert!(refused(20, r#"{"round_s":0}"#).unwrap().contains("round_s"));
    assert!(refused(20, r#"{"rounds":1}"#).unwrap().contains("rounds"));
    assert!(refused(30, "{}").is_none());
}

#[test]
fn messages_have_the_documented_form() {
    let mut round = start_at(&[TOP_LEFT]);
    round.received_bytes(0);
    round.send_bytes(0, r#"{"type":"input","n":3,"move":[0.5,0],"aim":1.5,"fire":true}"#);
    round.ticks(1);
    let text = String::from_utf8(round.received_bytes(0).remove(0)).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"{"type":"snapshot","tick":1,"left_ms":179950,"ships":[[0,865,800,1500,100,0,0,0,3]],"#,
            r#""shots":[[0,0,890,1149,495,6982]],"hits":[]}"#
        )
    );
}

#[test]
fn those_who_watch_are_shown_everything_once_and_then_what_changes() {
    let mut round = start(1, 2, "{}");
    round.ticks(3);
    assert_eq!(round.shown::<Reply>(), [], "nobody can watch, as far as is known");
    round.watched();
    round.ticks(1);
    let shown = round.shown::<Reply>();
    let [(true, Reply::Watching { players, snapshot, walls, .. })] = &shown[..] else { panic!("{shown:?}") };
    assert_eq!((players.len(), walls.len(), snapshot.ships.len()), (2, 7, 2));
    round.ticks(1);
    assert!(matches!(&round.shown()[..], [(false, Reply::Snapshot(next))] if next.tick == snapshot.tick + 1));
    round.leave(1);
    round.ticks(1);
    assert!(matches!(&round.shown()[..], [(false, Reply::Players { players }), _] if players.len() == 1));
    round.leave(0);
    round.ticks(1);
    assert!(round.shown::<Reply>().iter().any(|(_, reply)| matches!(reply, Reply::Over { .. })));
    round.assert_replays();
}

#[test]
fn who_joins_a_round_that_goes_on_plays_at_once_and_counts() {
    let mut round = start(1, 2, r#"{"round_s":60}"#);
    round.ticks(100);
    round.join(5);
    round.ticks(1);
    assert_eq!(round.scene().world().ships.len(), 3);
    let welcome = round.received::<Reply>(5);
    assert!(matches!(&welcome[0], Reply::Welcome { seat: 5, players, .. } if players.len() == 3), "{welcome:?}");
    round.advance_ms(60_000);
    assert_eq!(results(&round).len(), 3);
    round.assert_replays();
}

#[test]
fn the_list_of_games_tells_how_many_play_and_who_leads() {
    let mut round = duel();
    assert_eq!(round.label(), Some(r#"{"round_s":180,"players":2,"kills":0}"#));
    steer(&mut round, 0, [0.0, 0.0], 0.0, true);
    round.ticks(60);
    let label = round.label().unwrap();
    assert!(label.starts_with(r#"{"round_s":180,"players":2,"leader":"player 0","kills":1"#), "{label}");
}
