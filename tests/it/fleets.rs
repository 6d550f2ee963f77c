//! Fleets of a running host: scenes that are kept ready, given out by the operator, used again, drained and replaced,
//! and fleets that change meanwhile.

use scenehost_client::v1::syn_scene_ended::Reason;
use scenehost_client::{Encoding, Lobby, LobbyEvent, Match, Scene};
use serde_json::{Value, json};

use crate::flow::play;
use crate::host::{Host, OPS_TOKEN, until, within};
use crate::player::{Player, enter, gather, options, sign_in};

const CONFIG: &str = r#"
[server]
scenes_max = 16
scene_threads = 2

[fleets.echo]
plugin = "hostile"
scene = { start = "provision", standby_min = 2 }

[fleets.hand]
plugin = "hostile"
scene = { start = "hand" }

[fleets.gomoku]
plugin = "gomoku"
configuration = { rematch_ms = 300 }
scene = { after_session = "reuse", sessions_max = 2 }

[domains.pair]
fleet = "echo"
players_min = 2
players_max = 2

[domains.gomoku]
fleet = "gomoku"
players_min = 2
players_max = 2
rating_range = 1000
"#;

/// A call of an operator: the status, and the answer if there is one.
pub async fn call(host: &Host, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let bearer = format!("Bearer {OPS_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = host.ops(method, path, &headers, &body).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
}

async fn fleet(host: &Host, name: &str) -> Value {
    let (status, fleet) = call(host, "GET", &format!("/v1/fleets/{name}"), &Value::Null).await;
    assert_eq!(status, 200, "{fleet}");
    fleet
}

/// Waits until the fleet has as many scenes in each state.
async fn until_scenes(host: &Host, name: &str, expected: &Value) {
    until(&format!("{name} to have {expected}"), async || fleet(host, name).await["scenes"] == *expected).await;
}

async fn only_node(host: &Host) -> Value {
    let (status, nodes) = call(host, "GET", "/v1/nodes", &Value::Null).await;
    assert_eq!((status, nodes.as_array().map(Vec::len)), (200, Some(1)), "{nodes}");
    nodes[0].clone()
}

/// The way in that the lobby tells of by itself.
async fn way_in(lobby: &Lobby) -> Match {
    within("the way in", async {
        loop {
            if let LobbyEvent::Match(way) = lobby.next().await.expect("the lobby goes on") {
                return way;
            }
        }
    })
    .await
}

/// Users of the lobby are put together by the operator.
async fn allocate(host: &Host, fleet: &str, scene: Option<&str>, lobbies: Vec<Lobby>) -> (Value, Vec<Player>) {
    let user = |lobby: &Lobby| json!({"user": lobby.session().user_id, "name": lobby.session().name});
    let users: Vec<Value> = lobbies.iter().map(user).collect();
    let order = json!({"fleet": fleet, "scene": scene, "users": users});
    let (status, allocated) = call(host, "POST", "/v1/allocations", &order).await;
    assert_eq!(status, 200, "{allocated}");
    let mut players = Vec::new();
    for (seat, lobby) in lobbies.into_iter().enumerate() {
        let way = way_in(&lobby).await;
        assert_eq!(
            (&json!(way.scene_id), &json!(way.scene_token)),
            (&allocated["scene"], &allocated["seats"][seat]["scene_token"])
        );
        let scene = Scene::join(&way, &options(Encoding::Proto)).await.expect("the token lets them in");
        assert_eq!(scene.info().seat as usize, seat);
        players.push(Player { lobby, seat: way, scene });
    }
    (allocated, players)
}

#[tokio::test]
async fn matches_get_scenes_that_were_ready_and_others_take_their_place() {
    let host = Host::start(CONFIG);
    until_scenes(&host, "echo", &json!({"Ready": 2})).await;
    let mut players = gather(&host, "pair", 2).await;
    players[0].echo("one").await;
    until_scenes(&host, "echo", &json!({"Ready": 2, "Running": 1})).await;
    until("them to be counted", async || host.metrics().await.sum("scenehost_scenes") == 3.0).await;
}

#[tokio::test]
async fn the_operator_reserves_a_scene_and_puts_users_in_it() {
    let host = Host::start(CONFIG);
    let (status, reserved) = call(&host, "POST", "/v1/reservations", &json!({"fleet": "echo"})).await;
    assert_eq!(status, 200, "{reserved}");
    until_scenes(&host, "echo", &json!({"Ready": 2, "Reserved": 1})).await;
    let lobbies = vec![sign_in(&host, "Ada").await, sign_in(&host, "Bob").await];
    let scene = reserved["scene"].as_str().expect("its id").to_owned();
    let (allocated, mut players) = allocate(&host, "echo", Some(&scene), lobbies).await;
    assert_eq!(allocated["scene"], json!(scene));
    players[0].echo("here").await;

    let again = json!({"fleet": "echo", "scene": scene, "users": [{"user": "00000000000000ff", "name": "Eve"}]});
    let (status, refused) = call(&host, "POST", "/v1/allocations", &again).await;
    assert_eq!(status, 404, "it is used: {refused}");
    let (status, _) = call(&host, "DELETE", &format!("/v1/reservations/{scene}"), &Value::Null).await;
    assert_eq!(status, 404);

    let (status, _) = call(&host, "DELETE", &format!("/v1/scenes/{scene}"), &Value::Null).await;
    assert_eq!(status, 204);
    for player in &mut players {
        assert_eq!(player.ended().await.reason(), Reason::Stopped);
    }
}

#[tokio::test]
async fn a_reservation_that_is_given_back_is_ready_again() {
    let host = Host::start(CONFIG);
    let (_, reserved) = call(&host, "POST", "/v1/reservations", &json!({"fleet": "echo", "for_ms": 60000})).await;
    let path = format!("/v1/reservations/{}", reserved["scene"].as_str().expect("its id"));
    assert_eq!(call(&host, "DELETE", &path, &Value::Null).await.0, 204);
    until_scenes(&host, "echo", &json!({"Ready": 3})).await;
}

#[tokio::test]
async fn scenes_that_are_started_by_hand_are_the_only_ones_of_such_a_fleet() {
    let host = Host::start(CONFIG);
    let users = json!({"fleet": "hand", "users": [{"user": "00000000000000ff", "name": "Eve"}]});
    let (status, refused) = call(&host, "POST", "/v1/allocations", &users).await;
    assert_eq!(status, 409);
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("started by hand")), "{refused}");
    let (status, _) = call(&host, "POST", "/v1/scenes", &json!({"fleet": "hand", "count": 1})).await;
    assert_eq!(status, 200);
    let lobbies = vec![sign_in(&host, "Ada").await];
    let (_, mut players) = allocate(&host, "hand", None, lobbies).await;
    players[0].echo("here").await;
}

#[tokio::test]
async fn one_instance_serves_games_one_after_another_up_to_its_last() {
    let host = Host::start(CONFIG);
    let mut lobbies = vec![sign_in(&host, "Ada").await, sign_in(&host, "Bob").await];
    let mut scenes = Vec::new();
    for game in 1..=3 {
        let mut players = enter(lobbies, "gomoku").await;
        play(&mut players).await;
        for player in &mut players {
            assert_eq!(player.ended().await.reason(), Reason::Finished, "game {game}");
        }
        scenes.push(players[0].seat.scene_id.clone());
        lobbies = players.into_iter().map(|player| player.lobby).collect();
    }
    assert_eq!(scenes[0], scenes[1], "the same instance");
    assert_ne!(scenes[1], scenes[2], "which had its last session");
}

#[tokio::test]
async fn a_fleet_that_operators_set_is_used_at_once_and_after_a_restart() {
    let mut host = Host::start(CONFIG);
    let night = json!({"plugin": "hostile", "scene": {"start": "provision", "standby_min": 1}});
    let (status, put) = call(&host, "PUT", "/v1/fleets/night", &night).await;
    assert_eq!(status, 200, "{put}");
    until_scenes(&host, "night", &json!({"Ready": 1})).await;
    host.kill9();
    host.restart();
    until_scenes(&host, "night", &json!({"Ready": 1})).await;
    assert_eq!(fleet(&host, "night").await["build"], put["build"], "the same build in every process");
    assert_eq!(call(&host, "DELETE", "/v1/fleets/night", &Value::Null).await.0, 204);
    until("the fleet to be gone", async || call(&host, "GET", "/v1/fleets/night", &Value::Null).await.0 == 404).await;
    assert_eq!(call(&host, "DELETE", "/v1/fleets/night", &Value::Null).await.0, 404);
    assert_eq!(call(&host, "DELETE", "/v1/fleets/echo", &Value::Null).await.0, 404, "it is the file's");
}

#[tokio::test]
async fn a_fleet_that_changes_leaves_its_games_alone_and_replaces_what_is_ready() {
    let host = Host::start(CONFIG);
    let mut players = gather(&host, "pair", 2).await;
    until_scenes(&host, "echo", &json!({"Ready": 2, "Running": 1})).await;
    let before = fleet(&host, "echo").await["build"].clone();
    let changed = json!({"plugin": "hostile", "configuration": {"grants": "coin"}, "scene": {"start": "provision", "standby_min": 1}});
    let (status, put) = call(&host, "PUT", "/v1/fleets/echo", &changed).await;
    assert_eq!(status, 200, "{put}");
    assert_ne!(put["build"], before);
    until("those on standby to be replaced", async || {
        let fleet = fleet(&host, "echo").await;
        fleet["scenes"]["Ready"] == json!(1) && fleet["of_other_builds"] == json!(1)
    })
    .await;
    players[0].echo("as before").await;

    assert_eq!(call(&host, "DELETE", "/v1/fleets/echo", &Value::Null).await.0, 204);
    until("the file's to be back", async || fleet(&host, "echo").await["build"] == before).await;
    until_scenes(&host, "echo", &json!({"Ready": 2, "Running": 1})).await;
    assert_eq!(fleet(&host, "echo").await["of_other_builds"], json!(0));
}

#[tokio::test]
async fn the_fleets_of_the_file_are_read_again_at_a_hang_up() {
    let host = Host::start(CONFIG);
    until_scenes(&host, "echo", &json!({"Ready": 2})).await;
    host.rewrite(&CONFIG.replace("standby_min = 2", "standby_min = 4"));
    host.hang_up();
    until_scenes(&host, "echo", &json!({"Ready": 4})).await;
    host.rewrite(&CONFIG.replace("standby_min = 2", "standby_min = \"many\""));
    host.hang_up();
    until("the reason", async || host.log().contains("fleets and domains stay as they were")).await;
    host.rewrite(&CONFIG.replace("plugin = \"gomoku\"", "plugin = \"missing\""));
    host.hang_up();
    until("the other reason", async || host.log().contains("missing.wasm cannot be read")).await;
    until_scenes(&host, "echo", &json!({"Ready": 4})).await;
}

#[tokio::test]
async fn what_is_not_right_about_a_fleet_is_refused_with_the_reason() {
    let host = Host::start(CONFIG);
    for (path, body, status, word) in [
        ("/v1/fleets/x", json!({}), 422, "plugin"),
        ("/v1/fleets/x", json!({"plugin": "hostile", "more": 1}), 422, "unknown field `more`"),
        ("/v1/fleets/x", json!({"plugin": "hostile", "scene": {"journal": {"kep": 1}}}), 422, "in scene.journal.kep"),
        ("/v1/fleets/x", json!({"plugin": "missing"}), 422, "cannot be read"),
        ("/v1/fleets/x", json!({"plugin": "../hostile"}), 422, "letters, digits"),
        ("/v1/fleets/x", json!({"plugin": "hostile", "scene": {"standby_min": 1}}), 422, "provision"),
        ("/v1/fleets/x", json!({"plugin": "hostile", "scene": {"sessions_max": 0}}), 422, "sessions_max"),
        ("/v1/fleets/x%20y", json!({"plugin": "hostile"}), 422, "letters"),
    ] {
        let (got, answer) = call(&host, "PUT", path, &body).await;
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(got == status && error.contains(word), "{path} {body}: {got} {answer}");
    }
    let eve = json!({"user": "00000000000000ff", "name": "Eve"});
    for (path, body, status, word) in [
        ("/v1/reservations", json!({"fleet": "none"}), 404, "none"),
        ("/v1/reservations", json!({"fleet": "echo", "for_ms": 0}), 400, "milliseconds"),
        ("/v1/allocations", json!({"fleet": "echo", "users": []}), 400, "1 to 1000"),
        ("/v1/allocations", json!({"fleet": "echo", "users": [{"user": "x", "name": "Eve"}]}), 400, "user"),
        ("/v1/allocations", json!({"fleet": "echo", "users": [{"user": "00000000000000ff", "name": ""}]}), 400, "name"),
        ("/v1/allocations", json!({"fleet": "echo", "scene": "x", "users": [eve]}), 400, "16 hexadecimal"),
        ("/v1/allocations", json!({"fleet": "echo", "scene": "00000000000000ff", "users": [eve]}), 404, "reservation"),
        ("/v1/allocations", json!({"fleet": "echo", "domain": "none", "users": [eve]}), 404, "domain"),
        ("/v1/nodes/x/drain", Value::Null, 400, "16 hexadecimal"),
        ("/v1/nodes/00000000000000ff/drain", Value::Null, 404, "node"),
    ] {
        let (got, answer) = call(&host, "POST", path, &body).await;
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(got == status && error.contains(word), "{path} {body}: {got} {answer}");
    }
    let unknown = call(&host, "DELETE", "/v1/scenes/00000000000000ff", &Value::Null).await;
    assert_eq!(unknown.0, 404, "{}", unknown.1);
    for path in ["/v1/fleets", "/v1/fleets/echo", "/v1/nodes"] {
        assert_eq!(host.ops("GET", path, &[], "").await.status, 401, "{path} needs the token");
    }
}

#[tokio::test]
async fn a_node_that_is_drained_lets_games_end_and_exits() {
    let mut host = Host::start(CONFIG);
    let mut players = gather(&host, "gomoku", 2).await;
    let node = only_node(&host).await;
    let path = format!("/v1/nodes/{}/drain?exit=true", node["node"].as_str().expect("its id"));
    assert_eq!(call(&host, "POST", &path, &Value::Null).await.0, 204);
    until_scenes(&host, "gomoku", &json!({"Draining": 1})).await;
    until_scenes(&host, "echo", &json!({})).await;
    assert_eq!(only_node(&host).await["draining"], json!(true));
    play(&mut players).await;
    assert_eq!(players[0].ended().await.reason(), Reason::Finished, "the game is played to its end");
    assert!(host.ended().await.success());
}

#[tokio::test]
async fn a_drain_that_is_taken_back_changes_nothing() {
    let host = Host::start(CONFIG);
    until_scenes(&host, "echo", &json!({"Ready": 2})).await;
    let path = format!("/v1/nodes/{}/drain", only_node(&host).await["node"].as_str().expect("its id"));
    assert_eq!(call(&host, "POST", &path, &Value::Null).await.0, 204);
    until_scenes(&host, "echo", &json!({})).await;
    assert_eq!(call(&host, "DELETE", &path, &Value::Null).await.0, 204);
    until_scenes(&host, "echo", &json!({"Ready": 2})).await;
}

#[tokio::test]
async fn a_node_that_nobody_needs_says_so_and_exits_if_it_is_told_to() {
    let mut host = Host::start(&format!("{CONFIG}\n[node]\nidle_ms = 1000\non_idle = \"exit\"\n"));
    assert!(host.ended().await.success());
    assert!(host.log().contains("the machine may be taken away"), "{}", host.log());

    let host = Host::start(&format!("{CONFIG}\n[node]\nidle_ms = 1000\n"));
    until("it to say so", async || host.metrics().await.sum("scenehost_node_idle_total") == 1.0).await;
    let mut players = gather(&host, "pair", 2).await;
    players[0].echo("it goes on").await;
}

#[tokio::test]
async fn a_node_has_room_for_as_many_scenes_as_its_cores_and_memory_hold() {
    let config = CONFIG.replace("[fleets.hand]", "[node]\ncores = 0.5\nmemory_mib = 1\n\n[fleets.hand]");
    let config =
        config.replace("start = \"hand\"", "start = \"hand\", usage = { cpu_us_per_s = 100, memory_kib = 100 }");
    let host = Host::start(&config);
    let node = only_node(&host).await;
    assert_eq!((&node["capacity"]["cpu_us_per_s"], &node["capacity"]["memory_kib"]), (&json!(500_000), &json!(1024)));
    until_scenes(&host, "echo", &json!({"Ready": 2})).await;
    // Two of 64 KiB are on standby.
    let (status, made) = call(&host, "POST", "/v1/scenes", &json!({"fleet": "hand", "count": 20})).await;
    assert_eq!((status, &made["created"]), (200, &json!(8)), "{made}");
}
