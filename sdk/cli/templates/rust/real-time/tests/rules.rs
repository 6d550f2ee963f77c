//! Plays the game natively; `scenectl test` plays the component in the real engine.

use scenehost_sdk::prelude::*;
use scenehost_sdk::testing::{SceneTest, players};
use {{crate}}::Game;

fn begun(round_s: u32) -> SceneTest<Game> {
    let configuration = format!(r#"{{"round_s":{round_s}}}"#);
    let mut game = SceneTest::<Game>::start(Init { tick_rate_hz: 20, configuration, ..players(2) });
    game.join(0);
    game.join(1);
    game.ticks(1);
    game
}

#[test]
fn everybody_is_told_in_each_tick() {
    let mut game = begun(60);
    game.received_bytes(0);
    game.ticks(20);
    assert_eq!(game.received_bytes(0).len(), 20);
    game.assert_replays();
}

#[test]
fn who_runs_into_a_wall_stands_there() {
    let mut game = begun(60);
    game.send_bytes(0, r#"{"type":"run","x":1,"y":0}"#);
    game.ticks(200);
    let field = String::from_utf8(game.received_bytes(0).pop().unwrap()).unwrap();
    assert!(field.contains(r#""0":{"at":[100.0,"#), "{field}");
}

#[test]
fn a_round_ends_in_time() {
    let mut game = begun(2);
    game.ticks(40);
    assert_eq!(game.ending().unwrap().results.len(), 2);
}
