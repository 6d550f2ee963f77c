//! The rules of gomoku, played through the test kit.

use gomoku::Gomoku;
use gomoku::messages::{Over, PhaseName, Reason, Refusal, Reply, Request, State};
use scenehost_sdk::testing::{SceneTest, player, players};
use scenehost_sdk::{Init, LeaveReason, PlayerResult, Seat, StopReason};

/// A table at which both sit, and what the test has to know of it.
struct Table {
    game: SceneTest<Gomoku>,
    black: Seat,
}

impl Table {
    fn seated() -> Table {
        Table::configured("{}")
    }

    fn configured(configuration: &str) -> Table {
        let configuration = configuration.to_owned();
        let init = Init { configuration, ..players(2) };
        let mut game = SceneTest::start(init);
        game.join(0);
        game.join(1);
        let black = last_state(&mut game, 0).black;
        game.received_bytes(1);
        Table { game, black }
    }

    fn white(&self) -> Seat {
        1 - self.black
    }

    /// Places by turns, black first, and forgets what was said.
    fn play(&mut self, points: &[(i64, i64)]) {
        for (index, &(x, y)) in points.iter().enumerate() {
            let seat = if index % 2 == 0 { self.black } else { self.white() };
            self.game.send(seat, &Request::Place { x, y });
        }
        self.game.received_bytes(0);
        self.game.received_bytes(1);
    }

    /// Black places in a row of its own, white far from it and from each other.
    fn play_row(&mut self, row: &[(i64, i64)]) -> Over {
        let (last, before) = row.split_last().unwrap();
        let far = [(0, 14), (2, 14), (4, 14), (6, 14), (8, 14)];
        let points: Vec<_> = before.iter().zip(far).flat_map(|(&black, white)| [black, white]).collect();
        self.play(&points);
        self.game.send(self.black, &Request::Place { x: last.0, y: last.1 });
        self.expect_over()
    }

    fn request(&mut self, seat: Seat, request: Request) -> Vec<Reply> {
        self.game.send(seat, &request);
        self.game.received(seat)
    }

    /// Both were told the same end, as the last thing.
    fn expect_over(&mut self) -> Over {
        let ends = [0, 1].map(|seat| match self.game.received(seat).pop() {
            Some(Reply::Over(over)) => over,
            other => panic!("seat {seat} was told {other:?}"),
        });
        assert_eq!(ends[0], ends[1]);
        ends[0].clone()
    }
}

fn last_state(game: &mut SceneTest<Gomoku>, seat: Seat) -> State {
    match game.received(seat).pop() {
        Some(Reply::State(state)) => state,
        other => panic!("seat {seat} was told {other:?}"),
    }
}

fn refused(reason: Refusal) -> Vec<Reply> {
    vec![Reply::Refused { reason }]
}

fn results(game: &SceneTest<Gomoku>) -> Vec<(u32, i64)> {
    let ending = game.ending().expect("the scene has finished");
    let fields = |result: &PlayerResult| (result.place, result.score);
    ending.results.iter().map(fields).collect()
}

#[test]
fn five_win_in_all_four_directions() {
    for (dx, dy) in [(1, 0), (0, 1), (1, 1), (1, -1)] {
        let row: Vec<_> = (0..5).map(|step| (3 + dx * step, 6 + dy * step)).collect();
        let mut table = Table::seated();
        let over = table.play_row(&row);
        assert_eq!((over.winner, over.reason), (Some(table.black), Reason::Five));
        assert_eq!(over.line, row);
        table.game.assert_replays();
    }
}

#[test]
fn an_overline_wins_with_all_its_stones() {
    let mut table = Table::seated();
    let over = table.play_row(&[(2, 7), (3, 7), (4, 7), (6, 7), (7, 7), (5, 7)]);
    assert_eq!(over.reason, Reason::Five);
    assert_eq!(over.line, [(2, 7), (3, 7), (4, 7), (5, 7), (6, 7), (7, 7)]);
}

#[test]
fn a_row_does_not_go_around_the_edge() {
    let mut table = Table::seated();
    table.play(&[(11, 3), (0, 14), (12, 3), (2, 14), (13, 3), (4, 14), (14, 3), (6, 14), (0, 4)]);
    let state = {
        table.game.drop_out(0);
        table.game.resume(0, true);
        last_state(&mut table.game, 0)
    };
    assert_eq!(state.phase, PhaseName::Playing);
}

#[test]
fn a_move_is_told_to_both_with_the_clocks() {
    let mut table = Table::seated();
    let (black, white) = (table.black, table.white());
    table.game.advance_ms(2_000);
    let placed = table.request(black, Request::Place { x: 7, y: 7 });
    let mut clocks_ms = [300_000; 2];
    clocks_ms[black as usize] = 303_000;
    let expected = Reply::Placed { seat: black, x: 7, y: 7, turn: Some(white), clocks_ms };
    assert_eq!(placed, std::slice::from_ref(&expected));
    assert_eq!(table.game.received::<Reply>(white), [expected]);
}

#[test]
fn moves_that_are_against_the_rules_are_refused_to_the_sender_only() {
    let mut table = Table::seated();
    let (black, white) = (table.black, table.white());
    let place = |x, y| Request::Place { x, y };
    assert_eq!(table.request(white, place(7, 7)), refused(Refusal::NotYourTurn));
    for (x, y) in [(15, 0), (0, 15), (-1, 0), (i64::MAX, i64::MIN)] {
        assert_eq!(table.request(black, place(x, y)), refused(Refusal::OffBoard));
    }
    table.play(&[(7, 7)]);
    assert_eq!(table.request(white, place(7, 7)), refused(Refusal::Occupied));
    let unfit = table.request(white, Request::Rematch);
    assert_eq!(unfit, refused(Refusal::NotPlaying));
    assert!(table.game.received_bytes(black).is_empty());
}

#[test]
fn nobody_moves_before_both_are_inside() {
    let mut game = SceneTest::<Gomoku>::start(players(2));
    game.join(0);
    assert_eq!(last_state(&mut game, 0).phase, PhaseName::Waiting);
    game.send(0, &Request::Place { x: 7, y: 7 });
    assert_eq!(game.received::<Reply>(0), refused(Refusal::NotPlaying));
    game.advance_ms(3_600_000);
    game.drop_out(0);
    game.join(1);
    assert_eq!(last_state(&mut game, 1).phase, PhaseName::Waiting);
    game.resume(0, true);
    let state = last_state(&mut game, 0);
    assert_eq!((state.phase, state.clocks_ms), (PhaseName::Playing, [300_000; 2]));
    assert_eq!(state.names, ["player 0", "player 1"]);
    assert!(game.try_join(player(2)).is_err());
}

#[test]
fn a_clock_that_runs_out_loses() {
    let mut table = Table::configured(r#"{"main_ms":10000,"increment_ms":0}"#);
    table.game.advance_ms(4_000);
    table.play(&[(7, 7)]);
    table.game.advance_ms(9_999);
    assert!(table.game.received_bytes(0).is_empty());
    table.game.advance_ms(1);
    let over = table.expect_over();
    assert_eq!((over.winner, over.reason), (Some(table.black), Reason::Time));
    let mut clocks_ms = [0; 2];
    clocks_ms[table.black as usize] = 6_000;
    assert_eq!(over.clocks_ms, clocks_ms);
}

#[test]
fn a_dropped_players_clock_runs_on() {
    let mut table = Table::seated();
    let (black, white) = (table.black, table.white());
    table.game.drop_out(black);
    let told = table.game.received::<Reply>(white);
    assert_eq!(told, [Reply::Presence { seat: black, present: false }]);
    table.game.advance_ms(1_500);
    table.game.resume(black, true);
    let state = last_state(&mut table.game, black);
    assert_eq!(state.clocks_ms[black as usize], 298_500);
    assert_eq!((state.turn, state.present), (Some(black), [true; 2]));
    let told = table.game.received::<Reply>(white);
    assert_eq!(told, [Reply::Presence { seat: black, present: true }]);
}

#[test]
fn a_player_who_is_back_gets_the_whole_state() {
    let mut table = Table::seated();
    table.play(&[(7, 7), (8, 8), (6, 6)]);
    table.game.send(table.black, &Request::OfferDraw);
    table.game.drop_out(0);
    table.game.reload();
    table.game.resume(0, true);
    let state = last_state(&mut table.game, 0);
    assert_eq!(state.moves, [(7, 7), (8, 8), (6, 6)]);
    assert_eq!(state.turn, Some(table.white()));
    assert_eq!(state.draw_offer, Some(table.black));
    table.game.assert_replays();
}

#[test]
fn who_resigns_loses() {
    let mut table = Table::seated();
    let black = table.black;
    table.game.send(black, &Request::Resign);
    let over = table.expect_over();
    assert_eq!((over.winner, over.reason), (Some(table.white()), Reason::Resign));
    assert_eq!(table.request(black, Request::Resign), refused(Refusal::NotPlaying));
}

#[test]
fn a_draw_is_agreed_declined_or_lapses() {
    let mut table = Table::seated();
    let (black, white) = (table.black, table.white());
    let accept = Request::AnswerDraw { accept: true };
    assert_eq!(table.request(white, accept.clone()), refused(Refusal::NoOffer));

    let offered = [Reply::DrawOffered { seat: black }];
    assert_eq!(table.request(black, Request::OfferDraw), offered);
    assert_eq!(table.request(black, accept.clone()), refused(Refusal::NoOffer));
    let declined = table.request(white, Request::AnswerDraw { accept: false });
    assert_eq!(declined.last(), Some(&Reply::DrawDeclined { seat: white }));

    table.game.send(black, &Request::OfferDraw);
    table.play(&[(7, 7), (8, 8)]);
    assert_eq!(table.request(white, accept.clone()), refused(Refusal::NoOffer), "the move declined it");

    table.game.send(white, &Request::OfferDraw);
    table.game.send(black, &accept);
    let over = table.expect_over();
    assert_eq!((over.winner, over.reason, over.score), (None, Reason::Draw, [0.5, 0.5]));
}

#[test]
fn a_full_board_is_a_draw() {
    let mut table = Table::seated();
    // In pairs along a row and alternating down a column, nowhere more than two of one colour.
    let is_black = |&(x, y): &(i64, i64)| (x / 2 + y) % 2 == 0;
    let all = (0..15).flat_map(|y| (0..15).map(move |x| (x, y)));
    let (mut blacks, whites): (Vec<_>, Vec<_>) = all.partition(is_black);
    let last = blacks.pop().unwrap();
    let points: Vec<_> = blacks.into_iter().zip(whites).flat_map(|(b, w)| [b, w]).collect();
    table.play(&points);
    table.game.send(table.black, &Request::Place { x: last.0, y: last.1 });
    let over = table.expect_over();
    assert_eq!((over.winner, over.reason), (None, Reason::Full));
}

#[test]
fn a_rematch_swaps_colours_and_counts_on() {
    let mut table = Table::seated();
    let (black, white) = (table.black, table.white());
    table.game.send(black, &Request::Resign);
    table.expect_over();

    assert_eq!(table.request(white, Request::Rematch), [Reply::RematchOffered { seat: white }]);
    assert!(table.request(white, Request::Rematch).is_empty());
    table.game.advance_ms(59_999);
    table.game.send(black, &Request::Rematch);
    let state = last_state(&mut table.game, black);
    assert_eq!((state.game, state.black, state.turn), (2, white, Some(white)));
    assert_eq!(state.score[white as usize], 1.0);
    assert!(state.moves.is_empty() && state.clocks_ms == [300_000; 2]);

    table.game.advance_ms(60_000);
    assert!(table.game.ending().is_none(), "the window is closed");
    table.game.received_bytes(0);
    table.game.received_bytes(1);
    table.game.send(white, &Request::Resign);
    assert_eq!(table.expect_over().score, [1.0, 1.0]);
    table.game.leave(white);
    assert_eq!(results(&table.game), [(1, 2), (1, 2)]);
    table.game.assert_replays();
}

#[test]
fn who_looks_for_another_opponent_leaves_and_the_series_is_the_result() {
    let mut table = Table::seated();
    let (black, white) = (table.black, table.white());
    let unfit = table.request(white, Request::NewOpponent);
    assert_eq!(unfit, [Reply::Refused { reason: Refusal::NotPlaying }]);
    table.game.send(black, &Request::Resign);
    table.expect_over();
    table.game.send(white, &Request::NewOpponent);
    assert_eq!(
        table.game.next_matches(),
        [scenehost_sdk::NextMatch { seats: vec![white], domain: None, together: false }]
    );
    let mut expected = vec![(1, 2), (1, 2)];
    expected[black as usize] = (2, 0);
    assert_eq!(results(&table.game), expected);
    table.game.assert_replays();
}

#[test]
fn without_a_rematch_the_series_is_the_result() {
    let mut table = Table::seated();
    table.game.send(table.black, &Request::Resign);
    table.game.advance_ms(60_000);
    let mut expected = vec![(1, 2), (1, 2)];
    expected[table.black as usize] = (2, 0);
    assert_eq!(results(&table.game), expected);
}

#[test]
fn who_leaves_a_game_loses_it_and_ends_the_series() {
    let mut table = Table::seated();
    table.game.leave_because(0, LeaveReason::Dropped);
    let Some(Reply::Over(over)) = table.game.received(1).pop() else {
        panic!("no end was told");
    };
    assert_eq!((over.winner, over.reason), (Some(1), Reason::Left));
    assert_eq!(results(&table.game), [(2, 0), (1, 2)]);
}

#[test]
fn a_player_who_never_comes_ends_it_undecided() {
    let mut game = SceneTest::<Gomoku>::start(players(2));
    game.join(0);
    game.leave_because(1, LeaveReason::NeverJoined);
    assert!(results(&game).is_empty());
}

#[test]
fn a_host_that_stops_does_not_wait_for_a_rematch() {
    let mut table = Table::seated();
    table.game.stop(StopReason::Drain, 600_000);
    assert!(table.game.ending().is_none(), "a game may be played to its end");
    table.game.send(0, &Request::Resign);
    table.game.stop(StopReason::Drain, 600_000);
    assert_eq!(results(&table.game), [(2, 0), (1, 2)]);
}

#[test]
fn what_cannot_be_read_is_refused_and_changes_nothing() {
    let mut table = Table::seated();
    for body in ["", "null", "{\"type\":\"cheat\"}", "{\"type\":\"place\",\"x\":1}", "\u{0}"] {
        table.game.send_bytes(0, body);
        assert_eq!(table.game.received::<Reply>(0), refused(Refusal::Unreadable));
    }
    table.game.send_bytes(0, [0xff; 4096]);
    assert_eq!(table.game.received::<Reply>(0), refused(Refusal::Unreadable));
    assert!(table.game.received_bytes(1).is_empty());
    assert_eq!(table.game.log().len(), 3, "the 1st, 2nd and 4th of six are logged");
}

#[test]
fn the_seed_chooses_black() {
    let black = |seed| {
        let mut game = SceneTest::<Gomoku>::start(Init { seed, ..players(2) });
        game.join(0);
        last_state(&mut game, 0).black
    };
    let seats: Vec<Seat> = (0..32).map(black).collect();
    assert!(seats.contains(&0) && seats.contains(&1));
    assert_eq!(seats, (0..32).map(black).collect::<Vec<_>>());
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    for configuration in [r#"{"main":1}"#, r#"{"main_ms":0}"#, r#"{"main_ms":86400001}"#, ""] {
        let configuration = configuration.to_owned();
        let init = Init { configuration, ..players(2) };
        assert!(SceneTest::<Gomoku>::try_start(init).is_err());
    }
}

#[test]
fn messages_have_the_documented_form() {
    let mut table = Table::configured(r#"{"main_ms":1000}"#);
    let black = table.black;
    table.game.send_bytes(black, r#"{"type":"place","x":0,"y":14}"#);
    let text = String::from_utf8(table.game.received_bytes(black).remove(0)).unwrap();
    let form = r#"{"type":"placed","seat":B,"x":0,"y":14,"turn":W,"clocks_ms":[C,D]}"#;
    let mut clocks_ms = ["1000", "1000"];
    clocks_ms[black as usize] = "6000";
    let form = form.replace('B', &black.to_string()).replace('W', &table.white().to_string());
    assert_eq!(text, form.replace('C', clocks_ms[0]).replace('D', clocks_ms[1]));
    table.game.send_bytes(black, r#"{"type":"answer_draw","accept":true}"#);
    let text = String::from_utf8(table.game.received_bytes(black).remove(0)).unwrap();
    assert_eq!(text, r#"{"type":"refused","reason":"no_offer"}"#);
}

#[test]
fn those_who_watch_see_the_table_and_every_move() {
    let mut table = Table::seated();
    table.game.shown::<Reply>();
    table.play(&[(7, 7)]);
    table.game.watched();
    table.play(&[(3, 3), (8, 8)]);
    let shown = table.game.shown::<Reply>();
    let [(false, Reply::Placed { .. }), (true, Reply::State(state)), (false, Reply::Placed { .. })] = &shown[..3]
    else {
        panic!("{shown:?}")
    };
    assert_eq!(state.moves, [(7, 7)]);
    assert_eq!(state.names, ["player 0", "player 1"]);
}

#[test]
fn those_who_watch_are_shown_a_new_game_and_its_end() {
    let mut table = Table::seated();
    let shown = table.game.shown::<Reply>();
    assert!(matches!(shown.last(), Some((true, Reply::State(state))) if state.phase == PhaseName::Playing));
    table.request(0, Request::Resign);
    let shown = table.game.shown::<Reply>();
    assert!(matches!(&shown[..], [(false, Reply::Over(over))] if over.winner == Some(1)), "{shown:?}");
}

#[test]
fn the_list_of_games_tells_who_plays_and_how_far_they_are() {
    let mut table = Table::seated();
    table.play(&[(7, 7), (3, 3)]);
    assert_eq!(table.game.label(), Some(r#"{"players":"player 0 – player 1","game":1,"moves":2}"#));
}

#[test]
fn who_was_never_admitted_changes_nothing() {
    let mut table = Table::seated();
    table.play(&[(7, 7)]);
    let asked = [
        Request::Place { x: 8, y: 8 },
        Request::Resign,
        Request::OfferDraw,
        Request::AnswerDraw { accept: true },
        Request::Rematch,
        Request::NewOpponent,
    ];
    for request in asked {
        table.game.send(2, &request);
    }
    assert!(table.game.received_bytes(0).is_empty() && table.game.received_bytes(1).is_empty());
}
