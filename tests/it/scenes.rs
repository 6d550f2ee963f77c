//! Games that are going on: found by users and operators, joined in progress, watched later than they are played, and
//! users who are taken out of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use scenehost_client::v1::req_scenes::Find;
use scenehost_client::v1::syn_scene_ended::Reason;
use scenehost_client::v1::{self, Code};
use scenehost_client::{Encoding, Error, Lobby, Scene, Spectator, SpectatorEvent};
use scenehost_protocol::v1::{client_frame, label_value, server_frame};
use serde_json::{Value, json};

use crate::host::{Host, OPS_TOKEN, until, within};
use crate::player::{Player, gather, lobby_ended, options, refusal, scene_ended, sign_in};
use crate::raw::{Raw, join, message, ping};

const DELAY: Duration = Duration::from_millis(1_500);

const ROUNDS: &str = r#"
[server]
scenes_max = 64

[fleets.arena]
plugin = "arena"
configuration = { round_s = 600 }
scene = { tick_rate_hz = 20, join_in_progress = true, seats_max = 3, spectators_max = 1, spectator_delay_ms = 1500 }

[domains.arena]
fleet = "arena"
players_min = 2
players_max = 2

[fleets.gomoku]
plugin = "gomoku"
scene = { spectators_max = 5 }

[domains.gomoku]
fleet = "gomoku"
players_min = 2
players_max = 2
"#;

async fn found(lobby: &Lobby, find: Find) -> Vec<v1::FoundScene> {
    lobby.find_scenes(find).await.expect("the list can be had").scenes
}

fn of_domain(domain: &str) -> Find {
    Find { domain: domain.to_owned(), ..Find::default() }
}

fn condition(field: &str, at_least: f64, at_most: f64) -> v1::LabelCondition {
    let (at_least, at_most) = (Some(at_least), Some(at_most));
    v1::LabelCondition { field: field.to_owned(), at_least, at_most, ..v1::LabelCondition::default() }
}

/// Waits until the list tells this of a scene.
async fn until_listed(lobby: &Lobby, what: &str, is_so: impl Fn(&v1::FoundScene) -> bool) {
    until(what, async || found(lobby, Find::default()).await.iter().any(&is_so)).await;
}

async fn ops(host: &Host, method: &str, path: &str) -> (u16, Value) {
    let bearer = format!("Bearer {OPS_TOKEN}");
    let answer = host.ops(method, path, &[("authorization", &bearer)], "").await;
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

/// The next thing that is shown to a spectator, of JSON.
async fn shown(spectator: &mut Spectator) -> Value {
    within("something to see", async {
        match spectator.next().await {
            Some(SpectatorEvent::Message(body)) => serde_json::from_slice(&body).expect("this game speaks JSON"),
            other => panic!("something to see was expected, {other:?} came"),
        }
    })
    .await
}

async fn watch(lobby: &Lobby, scene_id: &str) -> Spectator {
    let way = lobby.watch_scene(scene_id).await.expect("it can be watched");
    Spectator::watch(&way, &options(Encoding::Json)).await.expect("the token lets in")
}

/// Waits until a spectator is told that it is over; what was shown before, oldest first.
async fn watched_to_the_end(spectator: &mut Spectator) -> (Vec<Value>, v1::SynSceneEnded) {
    let mut before = Vec::new();
    let ended = within("the end of what is watched", async {
        loop {
            match spectator.next().await {
                Some(SpectatorEvent::Message(body)) => before.push(serde_json::from_slice(&body).expect("JSON")),
                Some(SpectatorEvent::Ended(ended)) => return ended,
                other => panic!("the end was expected, {other:?} came"),
            }
        }
    })
    .await;
    (before, ended)
}

#[tokio::test]
async fn a_game_is_found_by_its_label_and_joined_while_it_goes_on() {
    let host = Host::start(ROUNDS);
    let mut players = gather(&host, "arena", 2).await;
    let scene_id = players[0].seat.scene_id.clone();
    let eve = sign_in(&host, "Eve").await;
    until_listed(&eve, "the label of the round", |scene| scene.label.contains(r#""players":2"#)).await;

    let two_players = Find { conditions: vec![condition("players", 2.0, 2.0)], joinable: true, ..of_domain("arena") };
    let games = found(&eve, two_players).await;
    let [game] = &games[..] else { panic!("{games:?}") };
    assert_eq!((&game.scene_id, &*game.domain, game.players, game.players_max), (&scene_id, "arena", 2, 3));
    assert!(game.can_join && game.can_watch && game.spectators == 0 && game.started_ms > 0);
    let other = Find { conditions: vec![condition("players", 3.0, 9.0)], ..of_domain("arena") };
    assert_eq!(found(&eve, other).await, []);
    let of_nobody = v1::LabelValue { value: Some(label_value::Value::Text("nobody".to_owned())) };
    let leader = v1::LabelCondition { field: "leader".to_owned(), values: vec![of_nobody], ..Default::default() };
    assert_eq!(found(&eve, Find { conditions: vec![leader], ..Find::default() }).await, []);
    assert_eq!(found(&eve, of_domain("gomoku")).await, []);
    assert_eq!(refusal(eve.find_scenes(Find { limit: 51, ..Find::default() }).await).code(), Code::Invalid);

    let seat = eve.join_scene(&scene_id).await.expect("there is a free seat");
    let scene = Scene::join(&seat, &options(Encoding::Proto)).await.expect("the token lets her in");
    assert_eq!((scene.info().seat, scene.info().players.len()), (2, 3));
    let mut eve = Player { lobby: eve, seat, scene };
    assert_eq!(eve.hear("welcome").await["players"].as_array().map(Vec::len), Some(3));
    let told = within("word of Eve", async {
        loop {
            let told = players[0].hear("players").await;
            if told["players"].as_array().is_some_and(|players| players.len() == 3) {
                return told;
            }
        }
    });
    assert_eq!(told.await["players"][2]["name"], "Eve");

    // All seats are taken now, and nobody has two.
    let zoe = sign_in(&host, "Zoe").await;
    assert_eq!(refusal(zoe.join_scene(&scene_id).await).code(), Code::SceneFull);
    assert_eq!(found(&zoe, Find { joinable: true, ..Find::default() }).await, []);
    assert_eq!(refusal(eve.lobby.join_scene(&scene_id).await).code(), Code::Busy);
    assert_eq!(refusal(zoe.join_scene("00000000000000aa").await).code(), Code::NotFound);

    // Who gives the seat up makes room for another one, and does not come back.
    let Player { lobby: eve, scene, .. } = eve;
    scene.leave().await.expect("she may leave");
    lobby_ended(&eve).await;
    assert_eq!(refusal(eve.join_scene(&scene_id).await).code(), Code::Forbidden);
    let seat = zoe.join_scene(&scene_id).await.expect("there is a free seat again");
    let scene = Scene::join(&seat, &options(Encoding::Proto)).await.expect("the token lets her in");
    assert_eq!(scene.info().seat, 3, "a seat is not given twice");
}

#[tokio::test]
async fn a_game_that_takes_nobody_in_is_not_joined() {
    let host = Host::start(ROUNDS);
    let players = gather(&host, "gomoku", 2).await;
    let eve = sign_in(&host, "Eve").await;
    until_listed(&eve, "the table", |scene| scene.label.contains("Guest 1")).await;
    let refused = refusal(eve.join_scene(&players[0].seat.scene_id).await);
    assert_eq!(refused.code(), Code::Forbidden);
    assert!(refused.text.contains("matched"), "{}", refused.text);
}

#[tokio::test]
async fn who_watches_sees_everything_so_much_later_and_says_nothing() {
    let host = Host::start(ROUNDS);
    let mut players = gather(&host, "arena", 2).await;
    let scene_id = players[0].seat.scene_id.clone();
    let vic = sign_in(&host, "Vic").await;
    let way = vic.watch_scene(&scene_id).await.expect("it can be watched");
    assert_eq!(way.delay, DELAY);
    let mut spectator = Spectator::watch(&way, &options(Encoding::Json)).await.expect("the token lets him in");
    assert_eq!((spectator.info().players.len(), spectator.info().delay_ms), (2, 1_500));
    let refused = refusal(Spectator::watch(&way, &options(Encoding::Json)).await);
    assert_eq!(refused.code(), Code::BadToken, "it lets in once");

    // When a player sees a step, and when he does.
    let mut seen_by_player = BTreeMap::new();
    for _ in 0..60 {
        let snapshot = players[0].hear("snapshot").await;
        seen_by_player.insert(snapshot["tick"].as_u64().expect("a number"), Instant::now());
    }
    let first = shown(&mut spectator).await;
    assert_eq!(first["type"], "watching", "a whole view first");
    assert_eq!(first["players"].as_array().map(Vec::len), Some(2));
    let mut last = first["snapshot"]["tick"].as_u64().expect("a number");
    let mut compared = 0;
    while compared < 20 {
        let snapshot = shown(&mut spectator).await;
        let now = Instant::now();
        if snapshot["type"] == "watching" {
            last = snapshot["snapshot"]["tick"].as_u64().expect("a number");
            continue;
        }
        let tick = snapshot["tick"].as_u64().expect("a step");
        assert_eq!(tick, last + 1, "nothing is left out");
        last = tick;
        let Some(at) = seen_by_player.get(&tick) else { continue };
        let later = now.duration_since(*at);
        // The player's message may have been read a little late.
        assert!(later + Duration::from_millis(200) >= DELAY, "step {tick} was shown {later:?} later");
        compared += 1;
    }

    // Another one finds no room until he goes.
    let eve = sign_in(&host, "Eve").await;
    assert_eq!(refusal(eve.watch_scene(&scene_id).await).code(), Code::SceneFull);
    assert_eq!(refusal(players[0].lobby.watch_scene(&scene_id).await).code(), Code::Busy, "she plays in it");
    drop(spectator);
    until("room to watch", async || eve.watch_scene(&scene_id).await.is_ok()).await;
}

#[tokio::test]
async fn a_connection_that_watches_is_not_one_that_plays() {
    let host = Host::start(ROUNDS);
    let players = gather(&host, "arena", 2).await;
    let scene_id = players[0].seat.scene_id.clone();
    let vic = sign_in(&host, "Vic").await;
    let way = vic.watch_scene(&scene_id).await.expect("it can be watched");
    let enter = |watch_token: &str| {
        client_frame::Body::ReqWatchScene(v1::ReqWatchScene { watch_token: watch_token.to_owned() })
    };
    let mut raw = Raw::scene(&host, &scene_id, Encoding::Json).await;
    assert_eq!(raw.refused(enter(&players[0].seat.scene_token)).await.code(), Code::BadToken);
    assert_eq!(raw.refused(join(&way.watch_token)).await.code(), Code::BadToken);
    let answer = raw.ask(enter(&way.watch_token)).await;
    assert!(matches!(answer, server_frame::Body::ResWatchScene(_)), "{answer:?}");
    assert_eq!(raw.refused(message(b"{}")).await.code(), Code::OutOfOrder);
    assert_eq!(raw.refused(enter(&way.watch_token)).await.code(), Code::OutOfOrder);
    assert!(matches!(raw.ask(ping(3)).await, server_frame::Body::Pong(pong) if pong.received == 0));
    let answer = raw.ask(client_frame::Body::ReqLeaveScene(v1::ReqLeaveScene {})).await;
    assert!(
        matches!(&answer, server_frame::Body::SynSceneEnded(ended) if ended.reason() == Reason::Left),
        "{answer:?}"
    );
}

#[tokio::test]
async fn at_the_end_of_a_game_those_who_watch_see_the_rest_and_the_result() {
    let host = Host::start(ROUNDS);
    let mut players = gather(&host, "gomoku", 2).await;
    let vic = sign_in(&host, "Vic").await;
    let mut spectator = watch(&vic, &players[0].seat.scene_id).await;
    let state = shown(&mut spectator).await;
    let names: Vec<String> = players.iter().map(|player| player.lobby.session().name).collect();
    assert_eq!((&state["type"], &state["names"]), (&json!("state"), &json!(names)));
    players[0].say(&json!({ "type": "resign" })).await;
    players[1].hear("over").await;
    let Player { scene, .. } = players.remove(0);
    scene.leave().await.expect("she may leave");
    let (before, ended) = watched_to_the_end(&mut spectator).await;
    assert!(before.iter().any(|shown| shown["type"] == "over"), "{before:?}");
    assert_eq!((ended.reason(), ended.results.len()), (Reason::Finished, 2));
    // The lobby knows nothing of an end of Vic's: he was in no game.
    assert_eq!(refusal(vic.watch_scene(&ended.scene_id).await).code(), Code::SceneEnded);
}

#[tokio::test]
async fn operators_list_scenes_and_take_users_out_of_them() {
    let host = Host::start(ROUNDS);
    let mut players = gather(&host, "arena", 2).await;
    let tables = gather(&host, "gomoku", 2).await;
    let scene_id = players[0].seat.scene_id.clone();
    until("both labels", async || {
        let (_, all) = ops(&host, "GET", "/v1/scenes").await;
        all["scenes"].as_array().is_some_and(|all| all.iter().filter(|it| it["label"].is_object()).count() == 2)
    })
    .await;
    let (status, page) = ops(&host, "GET", "/v1/scenes?state=Running&label.players=2..3&limit=1").await;
    assert_eq!((status, page["scenes"].as_array().map(Vec::len), &page["next"]), (200, Some(1), &Value::Null));
    let scene = &page["scenes"][0];
    assert_eq!((&scene["scene"], &scene["fleet"], &scene["players"]), (&json!(scene_id), &json!("arena"), &json!(2)));
    assert_eq!(scene["label"]["round_s"], 600);
    let (_, first) = ops(&host, "GET", "/v1/scenes?limit=1").await;
    let next = first["next"].as_str().expect("there is another one");
    let (_, second) = ops(&host, "GET", &format!("/v1/scenes?limit=1&after={next}")).await;
    assert_eq!(first["scenes"][0]["scene"], json!(tables[0].seat.scene_id), "the newest first");
    assert_eq!(second["scenes"][0]["scene"], json!(scene_id));
    for wrong in ["colour=red", "limit=0", "limit=many", "after=x", "joinable=perhaps", "label.players=a..b"] {
        let (status, problem) = ops(&host, "GET", &format!("/v1/scenes?{wrong}")).await;
        assert_eq!(status, 400, "{wrong}: {problem}");
    }

    // One who watches, and one who plays.
    let vic = sign_in(&host, "Vic").await;
    let mut spectator = watch(&vic, &scene_id).await;
    let path = |lobby: &Lobby| format!("/v1/scenes/{scene_id}/users/{}?text=a%20foul", lobby.session().user_id);
    assert_eq!(ops(&host, "DELETE", &path(&vic)).await.0, 204);
    let (_, ended) = watched_to_the_end(&mut spectator).await;
    assert_eq!(ended.reason(), Reason::Kicked);
    let mut ada = players.remove(0);
    assert_eq!(ops(&host, "DELETE", &path(&ada.lobby)).await.0, 204);
    let ended = scene_ended(&mut ada.scene).await;
    assert_eq!(ended.reason(), Reason::Kicked);
    assert!(ended.text.contains("a foul"), "{}", ended.text);
    lobby_ended(&ada.lobby).await;
    assert_eq!(refusal(ada.lobby.join_scene(&scene_id).await).code(), Code::Forbidden);
    assert_eq!(ops(&host, "DELETE", &path(&ada.lobby)).await.0, 404);
    assert_eq!(ops(&host, "DELETE", "/v1/scenes/x/users/y").await.0, 400);
    let unauthorised = host.ops("GET", "/v1/scenes", &[], "").await;
    assert_eq!(unauthorised.status, 401);
    players[0].hear("snapshot").await; // The other one plays on.
}

#[tokio::test]
async fn a_spectator_is_told_when_the_connection_is_gone() {
    let mut host = Host::start(ROUNDS);
    let players = gather(&host, "arena", 2).await;
    let vic = sign_in(&host, "Vic").await;
    let mut spectator = watch(&vic, &players[0].seat.scene_id).await;
    host.kill9();
    within("the loss", async {
        while let Some(event) = spectator.next().await {
            match event {
                SpectatorEvent::Message(_) => {}
                SpectatorEvent::Gone(why) => return assert!(!matches!(*why, Error::Refused(_)), "{why}"),
                SpectatorEvent::Ended(ended) => panic!("{ended:?}"),
            }
        }
        panic!("it ended without a word");
    })
    .await;
}
