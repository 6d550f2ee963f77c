//! From sign-in to the result and to the next game, and every way around.

use std::time::Duration;

use scenehost_client::{Encoding, Error, LobbyEvent, Match, Scene, SceneEvent, v1};
use scenehost_protocol::v1::server_frame::Body;
use scenehost_protocol::v1::syn_match_state::State;
use scenehost_protocol::v1::syn_scene_ended::Reason;
use scenehost_protocol::v1::{ReqCancelMatch, ReqRejoin, SynMatchState, client_frame};
use serde_json::{Value, json};

use crate::host::{Host, within};
use crate::player::{
    Player, closed_with, device, enter, free_to_play, gather, lobby_ended, matched, options, refusal, scene_ended,
    sign_in, sign_in_as,
};
use crate::raw::{Raw, find_match};

/// Two domains: one for games, one that never gets its three players by accident.
const GOMOKU: &str = r#"
[server]
scenes_max = 64
scene_threads = 2

[fleets.gomoku]
plugin = "gomoku"
configuration = { rematch_ms = 300 }

[domains.gomoku]
fleet = "gomoku"
players_min = 2
players_max = 2
# Whoever wins may meet the loser again at once.
rating_range = 1000

[domains.trio]
fleet = "gomoku"
players_min = 3
players_max = 3
rating_range = 100
rating_range_per_s = 15
"#;

/// Plays a game in which black gets five in a row; tells the two seats.
pub async fn play(players: &mut [Player]) -> (usize, usize) {
    let state = players[0].hear("state").await;
    let state = if state["phase"] == "waiting" { players[0].hear("state").await } else { state };
    assert_eq!(state["phase"], "playing");
    let black = state["black"].as_u64().expect("a seat") as usize;
    let white = 1 - black;
    for column in 0..5 {
        place(players, black, column, 7).await;
        if column < 4 {
            place(players, white, column, 9).await;
        }
    }
    (black, white)
}

async fn place(players: &mut [Player], seat: usize, x: u64, y: u64) {
    players[seat].say(&json!({"type": "place", "x": x, "y": y})).await;
    for player in players {
        let placed = player.hear("placed").await;
        assert_eq!((&placed["seat"], &placed["x"], &placed["y"]), (&json!(seat), &json!(x), &json!(y)));
    }
}

fn places(ended: &v1::SynSceneEnded) -> Vec<(u32, u32)> {
    ended.results.iter().map(|result| (result.seat, result.place)).collect()
}

#[tokio::test]
async fn two_guests_sign_in_play_to_the_winner_and_can_be_matched_again() {
    let host = Host::start(GOMOKU);
    let mut players = gather(&host, "gomoku", 2).await;
    for player in &players {
        let info = player.scene.info();
        assert_eq!((info.domain.as_str(), info.tick_rate_hz, info.players.len()), ("gomoku", 0, 2));
        let me = &info.players[info.seat as usize];
        assert_eq!((&me.user_id, &me.name), (&player.lobby.session().user_id, &player.lobby.session().name));
    }
    let (black, white) = play(&mut players).await;
    for player in &mut players {
        let over = player.hear("over").await;
        assert_eq!((&over["winner"], &over["reason"]), (&json!(black), &json!("five")));
        assert_eq!(over["line"].as_array().map(Vec::len), Some(5));
    }
    let mut expected = vec![(black as u32, 1), (white as u32, 2)];
    expected.sort();
    for player in &mut players {
        let ended = player.ended().await;
        assert_eq!((ended.reason(), places(&ended)), (Reason::Finished, expected.clone()));
    }
    let first = players[0].seat.scene_id.clone();
    let lobbies = players.into_iter().map(|player| player.lobby).collect();
    let mut again = enter(lobbies, "gomoku").await;
    assert_ne!(again[0].seat.scene_id, first, "a new game is a new scene");
    play(&mut again).await;
}

#[tokio::test]
async fn a_client_in_json_and_one_in_protobuf_play_against_each_other() {
    let host = Host::start(GOMOKU);
    let lobbies = [
        sign_in_as(&host, &device(), "Json", Encoding::Json).await,
        sign_in_as(&host, &device(), "Proto", Encoding::Proto).await,
    ];
    let seats = matched(&lobbies, "gomoku").await;
    let mut players = Vec::new();
    for ((lobby, seat), encoding) in lobbies.into_iter().zip(seats).zip([Encoding::Json, Encoding::Proto]) {
        let scene = Scene::join(&seat, &options(encoding)).await.expect("the token lets them in");
        players.push(Player { lobby, seat, scene });
    }
    players.sort_by_key(|player| player.scene.info().seat);
    let (black, _) = play(&mut players).await;
    for player in &mut players {
        assert_eq!(player.hear("over").await["winner"], json!(black));
        assert_eq!(player.ended().await.reason(), Reason::Finished);
    }
}

async fn searching(raw: &mut Raw) -> SynMatchState {
    raw.next_that(|body| match body {
        Body::SynMatchState(state) if state.state() == State::Searching => Some(state),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn who_waits_is_told_how_the_search_stands_until_the_match_is_made() {
    let host = Host::start(GOMOKU);
    let mut first = Raw::guest(&host, Encoding::Proto).await;
    let Body::SynMatchState(state) = first.ask(find_match("trio")).await else { panic!("no state") };
    assert_eq!(state.state(), State::Searching);
    assert_eq!((state.domain.as_str(), state.waiting, state.rating_range), ("trio", 1, 100));
    assert_eq!((state.players_min, state.players_max), (3, 3));

    let mut second = Raw::guest(&host, Encoding::Json).await;
    let Body::SynMatchState(state) = second.ask(find_match("trio")).await else { panic!("no state") };
    assert_eq!(state.waiting, 2);
    let later = searching(&mut first).await;
    assert!(later.waited_ms >= 1_000, "told again after a second at the earliest: {later:?}");
    assert!(later.rating_range > 100, "the range grows with the wait: {later:?}");
    assert_eq!(later.waiting, 2);

    let mut third = Raw::guest(&host, Encoding::Proto).await;
    third.request(find_match("trio")).await;
    let mut scenes = Vec::new();
    for raw in [&mut first, &mut second, &mut third] {
        let placing = |body| match body {
            Body::SynMatchState(state) if state.state() == State::Placing => Some(()),
            Body::ResMatch(_) => panic!("the match is announced before its scene is"),
            _ => None,
        };
        raw.next_that(placing).await;
        scenes
            .push(raw.next_that(|body| if let Body::ResMatch(made) = body { Some(made.scene_id) } else { None }).await);
    }
    assert_eq!([&scenes[0]; 2], [&scenes[1], &scenes[2]]);
}

#[tokio::test]
async fn a_search_that_is_taken_back_ends_and_can_begin_again() {
    let host = Host::start(GOMOKU);
    let ada = sign_in(&host, "Ada").await;
    ada.cancel_match().await.expect("nothing to take back is as wished");
    let search = ada.find_match("gomoku");
    let cancel = async {
        within("the search to begin", async {
            while !matches!(ada.next().await, Some(LobbyEvent::MatchState(state)) if state.state() == State::Searching)
            {
            }
        })
        .await;
        ada.cancel_match().await.expect("it can be taken back");
    };
    let (found, ()) = tokio::join!(search, cancel);
    assert!(matches!(found, Err(Error::Cancelled)), "{found:?}");
    let bob = sign_in(&host, "Bob").await;
    free_to_play(vec![ada, bob], "gomoku").await;
}

#[tokio::test]
async fn a_user_who_goes_away_while_searching_is_not_matched() {
    let host = Host::start(GOMOKU);
    let gone = sign_in(&host, "Gone").await;
    let searching = tokio::time::timeout(Duration::from_millis(300), gone.find_match("trio")).await;
    assert!(searching.is_err(), "nobody is there to be matched with");
    gone.close().await;
    let mut here = Raw::guest(&host, Encoding::Proto).await;
    within("the absent one to be let go", async {
        loop {
            let Body::SynMatchState(state) = here.ask(find_match("trio")).await else { panic!("no state") };
            if state.waiting == 1 {
                break;
            }
            here.ask(client_frame::Body::ReqCancelMatch(ReqCancelMatch {})).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_user_is_in_one_search_or_one_game_at_a_time() {
    let host = Host::start(GOMOKU);
    let mut ada = Raw::guest(&host, Encoding::Proto).await;
    let refused = ada.refused(client_frame::Body::ReqRejoin(ReqRejoin {})).await;
    assert_eq!(refused.code(), v1::Code::NoSeat);
    let refused = ada.refused(find_match("chess")).await;
    assert_eq!(refused.code(), v1::Code::NotFound);
    assert!(refused.text.contains("\"chess\""), "{}", refused.text);

    ada.ask(find_match("gomoku")).await;
    let refused = ada.refused(find_match("trio")).await;
    assert_eq!(refused.code(), v1::Code::Busy);
    let bob = sign_in(&host, "Bob").await;
    let seat = bob.find_match("gomoku").await.expect("Ada waits, whatever else she asked for");
    let made = ada.next_that(|body| if let Body::ResMatch(made) = body { Some(made) } else { None }).await;
    assert_eq!(made.scene_id, seat.scene_id);
    for busy in [find_match("gomoku"), client_frame::Body::ReqCancelMatch(ReqCancelMatch {})] {
        assert_eq!(ada.refused(busy).await.code(), v1::Code::Busy);
    }
}

#[tokio::test]
async fn a_second_sign_in_takes_the_lobby_connection_over_and_leads_back_to_the_game() {
    let host = Host::start(GOMOKU);
    let device_id = device();
    let older = sign_in_as(&host, &device_id, "Ada", Encoding::Proto).await;
    let user = older.session().user_id;
    let mut players = enter(vec![older, sign_in(&host, "Bob").await], "gomoku").await;
    let seat = players.iter().position(|player| player.lobby.session().user_id == user).expect("Ada is in");

    let newer = sign_in_as(&host, &device_id, "", Encoding::Json).await;
    assert_eq!((&newer.session().user_id, newer.session().name.as_str()), (&user, "Ada"));
    assert_eq!(newer.session().scene_id, players[seat].seat.scene_id, "the seat is kept");
    let told = within("the older connection's end", async {
        loop {
            match players[seat].lobby.next().await {
                Some(LobbyEvent::Gone(why)) => return closed_with(&why),
                Some(_) => {}
                None => panic!("it ended without a word"),
            }
        }
    });
    assert_eq!(told.await, v1::Code::TakenOver);

    let way_in = newer.rejoin().await.expect("the seat is kept");
    let again = Scene::join(&way_in, &options(Encoding::Json)).await.expect("the token lets her in");
    assert_eq!(again.info().seat as usize, seat);
    let told = within("the older scene connection's end", async {
        loop {
            match players[seat].scene.next().await {
                Some(SceneEvent::Gone(why)) => return closed_with(&why),
                Some(_) => {}
                None => panic!("it ended without a word"),
            }
        }
    });
    assert_eq!(told.await, v1::Code::TakenOver);
}

#[tokio::test]
async fn a_dropped_player_comes_back_to_the_same_seat_and_the_game_as_it_stands() {
    let host = Host::start(GOMOKU);
    let mut players = gather(&host, "gomoku", 2).await;
    let state = players[0].hear("state").await;
    let state = if state["phase"] == "waiting" { players[0].hear("state").await } else { state };
    let black = state["black"].as_u64().expect("a seat") as usize;
    place(&mut players, black, 7, 7).await;
    let mut bob = players.pop().expect("two");
    let Player { lobby, scene, .. } = players.pop().expect("two");
    drop(scene);
    let presence = async |bob: &mut Player, present: bool| {
        let told = within("the other's presence", async {
            loop {
                let told = bob.hear("presence").await;
                if told["present"] == present {
                    return told;
                }
            }
        });
        assert_eq!(told.await["seat"], 0);
    };
    presence(&mut bob, false).await;

    let way_in = lobby.rejoin().await.expect("the seat is kept");
    assert_eq!(way_in.scene_id, bob.seat.scene_id);
    let scene = Scene::join(&way_in, &options(Encoding::Proto)).await.expect("the token lets them in");
    assert_eq!(scene.info().seat, 0);
    let mut back = Player { lobby, seat: way_in, scene };
    let state = back.hear("state").await;
    assert_eq!((&state["phase"], &state["moves"]), (&json!("playing"), &json!([[7, 7]])));
    presence(&mut bob, true).await;

    let white = 1 - black;
    let mut players = vec![back, bob];
    place(&mut players, white, 8, 8).await;
}

#[tokio::test]
async fn a_seat_is_given_up_when_the_grace_is_over() {
    let host = Host::start(&format!("{GOMOKU}\n[fleets.gomoku.scene]\ngrace_ms = 500\n"));
    let mut players = gather(&host, "gomoku", 2).await;
    let mut bob = players.pop().expect("two");
    let Player { lobby, scene, .. } = players.pop().expect("two");
    drop(scene);
    assert_eq!(lobby_ended(&lobby).await.reason(), Reason::Expired);
    assert_eq!(bob.hear("over").await["reason"], "left");
    assert_eq!(refusal(lobby.rejoin().await).code(), v1::Code::NoSeat);
    assert_eq!(bob.ended().await.reason(), Reason::Finished);
    free_to_play(vec![lobby, bob.lobby], "gomoku").await;
}

#[tokio::test]
async fn who_leaves_is_free_at_once_and_the_other_wins() {
    let host = Host::start(GOMOKU);
    let mut players = gather(&host, "gomoku", 2).await;
    for player in &mut players {
        let state = player.hear("state").await;
        if state["phase"] == "waiting" {
            player.hear("state").await;
        }
    }
    let mut bob = players.pop().expect("two");
    let Player { lobby, scene, .. } = players.pop().expect("two");
    let told = scene.leave().await.expect("anyone may leave");
    assert_eq!(told.reason(), Reason::Left);
    assert_eq!(lobby_ended(&lobby).await, told);
    let over = bob.hear("over").await;
    assert_eq!((&over["winner"], &over["reason"]), (&json!(1), &json!("left")));
    let ended = bob.ended().await;
    assert_eq!((ended.reason(), places(&ended)), (Reason::Finished, vec![(0, 2), (1, 1)]));
    free_to_play(vec![lobby, bob.lobby], "gomoku").await;
}

#[tokio::test]
async fn a_match_that_nobody_enters_ends_and_its_users_are_told() {
    let host = Host::start(&format!("{GOMOKU}\n[fleets.gomoku.scene]\ntoken_ms = 1000\n"));
    let lobbies = [sign_in(&host, "Ada").await, sign_in(&host, "Bob").await];
    let seats: Vec<Match> = matched(&lobbies, "gomoku").await;
    for (lobby, seat) in lobbies.iter().zip(&seats) {
        assert_eq!(seat.token_expires_in, Duration::from_secs(1));
        let ended = lobby_ended(lobby).await;
        assert_eq!((ended.reason(), &ended.scene_id), (Reason::Expired, &seat.scene_id));
    }
    free_to_play(lobbies.into(), "gomoku").await;
}

#[tokio::test]
async fn a_game_that_waits_in_vain_for_the_second_player_ends_without_a_result() {
    let host = Host::start(&format!("{GOMOKU}\n[fleets.gomoku.scene]\ntoken_ms = 1000\n"));
    let lobbies = [sign_in(&host, "Ada").await, sign_in(&host, "Bob").await];
    let seats = matched(&lobbies, "gomoku").await;
    let mut scene = Scene::join(&seats[0], &options(Encoding::Proto)).await.expect("the token lets her in");
    let ended = scene_ended(&mut scene).await;
    assert_eq!((ended.reason(), places(&ended)), (Reason::Finished, vec![]));
    assert_eq!(lobby_ended(&lobbies[0]).await.reason(), Reason::Finished);
    assert_eq!(lobby_ended(&lobbies[1]).await.reason(), Reason::Expired);
}

#[tokio::test]
async fn the_game_answers_what_it_cannot_read() {
    let host = Host::start(GOMOKU);
    let mut players = gather(&host, "gomoku", 2).await;
    players[0].say(&Value::from("what?")).await;
    assert_eq!(players[0].hear("refused").await["reason"], "unreadable");
}
