//! Plays the game natively; `scenectl test` plays the component in the real engine.

use scenehost_sdk::prelude::*;
use scenehost_sdk::testing::{SceneTest, players};
use {{crate}}::Game;

fn begun() -> (SceneTest<Game>, Seat) {
    let mut game = SceneTest::<Game>::start(players(2));
    game.join(0);
    game.join(1);
    let first = turn(&mut game);
    (game, first)
}

fn turn(game: &mut SceneTest<Game>) -> Seat {
    let board = String::from_utf8(game.received_bytes(0).pop().unwrap()).unwrap();
    if board.contains(r#""turn":0"#) { 0 } else { 1 }
}

fn place(game: &mut SceneTest<Game>, seat: Seat, cell: usize) {
    game.send_bytes(seat, format!(r#"{{"type":"place","cell":{cell}}}"#));
}

#[test]
fn three_in_a_row_win() {
    let (mut game, first) = begun();
    for (seat, cell) in [(first, 0), (1 - first, 3), (first, 1), (1 - first, 4), (first, 2)] {
        place(&mut game, seat, cell);
    }
    let results = &game.ending().unwrap().results;
    assert_eq!(results[first as usize].place, 1);
    assert_eq!(results[1 - first as usize].place, 2);
    game.assert_replays();
}

#[test]
fn a_taken_cell_and_a_wrong_turn_are_refused() {
    let (mut game, first) = begun();
    place(&mut game, 1 - first, 0);
    assert_eq!(game.received_bytes(1 - first).last().unwrap(), br#"{"type":"refused","why":"it is not your turn"}"#);
    place(&mut game, first, 0);
    place(&mut game, 1 - first, 0);
    assert_eq!(game.received_bytes(1 - first).last().unwrap(), br#"{"type":"refused","why":"this cell is taken"}"#);
}

#[test]
fn who_thinks_for_too_long_loses() {
    let (mut game, first) = begun();
    game.advance_ms(30_000);
    assert_eq!(game.ending().unwrap().results[first as usize].place, 2);
}
