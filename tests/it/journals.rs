//! Games with journals: replayed from outside, and going on after kill -9 as if nothing had been.

use std::time::Duration;

use futures_util::future::join_all;
use scenehost_client::{Credential, Encoding, Lobby, Options, Scene, SceneEvent};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::host::{Host, OPS_TOKEN, within};
use crate::player::{Player, device, gather, matched, options};

const CONFIG: &str = r#"
[server]
scenes_max = 64
scene_threads = 2

[fleets.gomoku]
plugin = "gomoku"
configuration = { rematch_ms = 300 }
scene = { journal = { keep = "full", snapshot_steps = 4 } }

[domains.gomoku]
fleet = "gomoku"
players_min = 2
players_max = 2

[fleets.keeper]
plugin = "hostile"
configuration = { keeps = true }
scene = { crashes_max = 20, messages_per_s_max = 1000, journal = { keep = "recovery", snapshot_steps = 7 } }

[domains.keeper]
fleet = "keeper"
players_min = 2
players_max = 2

[fleets.trap]
plugin = "hostile"
configuration = { misbehave = "trap", when = "message" }
scene = { on_crash = "end", journal = { keep = "recovery" } }

[domains.trap]
fleet = "trap"
players_min = 1
players_max = 1
"#;

async fn journals(host: &Host) -> Vec<Value> {
    let authorization = format!("Bearer {OPS_TOKEN}");
    let answer = host.ops("GET", "/v1/journals", &[("Authorization", &authorization)], "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).expect("JSON")
}

/// Waits until the journal of the only scene is put away.
pub async fn put_away(host: &Host) {
    within("the journal of a game that is over", async {
        while journals(host).await.iter().any(|journal| journal["running"] == true) {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Black makes five in a row, from the stone of this number on; white plays elsewhere.
async fn play(players: &mut [Player], black: usize, stones: std::ops::Range<u64>) {
    for x in stones {
        for (seat, y) in [(black, 7), (1 - black, 9)] {
            players[seat].say(&json!({"type": "place", "x": x, "y": y})).await;
            for player in &mut *players {
                player.hear("placed").await;
            }
            if x == 4 {
                return; // That was the fifth of black.
            }
        }
    }
}

/// Who begins, as both are told.
async fn black(players: &mut [Player]) -> usize {
    let mut black = 0;
    for player in players {
        black = player.hear("state").await["black"].as_u64().expect("a seat") as usize;
    }
    black
}

#[tokio::test]
async fn a_game_is_replayed_bit_for_bit_by_another_process() {
    let host = Host::start(CONFIG);
    let (good, said) = host.replay(&[]);
    assert!(good && said.contains("no journals in") && said.contains("scene.journal.keep"), "{said}");
    let mut players = gather(&host, "gomoku", 2).await;
    let scene = players[0].seat.scene_id.clone();
    let black = black(&mut players).await;
    play(&mut players, black, 0..5).await;
    for player in &mut players {
        player.ended().await;
    }
    put_away(&host).await;

    let (good, said) = host.replay(&[&scene]);
    assert!(good && said.contains("all outputs and states are as they were"), "{said}");
    let (good, printed) = host.replay(&[&scene, "--print"]);
    assert!(good && printed.contains("\"began\"") && printed.contains("\"command\":\"finish\""), "{printed}");
    let (good, said) = host.replay(&["0000000000000001"]);
    assert!(!good && said.contains("there is no journal of the scene"), "{said}");

    let other = crate::host::plugins().join("hostile.wasm");
    let (good, said) = host.replay(&[&scene, "--component", other.to_str().expect("a path in text")]);
    assert!(!good && said.contains("fail") || said.contains("something else"), "{said}");

    // One bit is another.
    let file = host.data_dir().join("journals").join(format!("{scene}-0000000000000001.journal"));
    let mut bytes = std::fs::read(&file).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("it can be written");
    let (good, said) = host.replay(&[&scene]);
    assert!(!good && said.contains("the journal is damaged: its record"), "{said}");
}

#[tokio::test]
async fn the_journal_of_a_game_that_failed_says_what_has_caused_it() {
    let host = Host::start(CONFIG);
    let mut players = gather(&host, "trap", 1).await;
    let scene = players[0].seat.scene_id.clone();
    players[0].scene.send("the last straw".to_owned()).await.expect("the scene's connection is open");
    players[0].ended().await;
    put_away(&host).await;
    let (good, printed) = host.replay(&[&scene, "--print"]);
    assert!(good && printed.contains("it failed at tick"), "{printed}");
    let failed = printed.lines().find(|line| line.contains("\"failed\"")).expect("it is told");
    let failed: Value = serde_json::from_str(failed).expect("JSON");
    let events = failed["in"].as_array().expect("what has caused it");
    assert_eq!(failed["failed"], "trap");
    assert!(events.iter().any(|event| event["text"] == "the last straw"), "{failed}");
}

#[tokio::test]
async fn of_a_game_that_ended_well_nothing_is_kept_for_recovery() {
    let host = Host::start(CONFIG);
    let players = gather(&host, "keeper", 2).await;
    assert_eq!(journals(&host).await.len(), 1);
    for player in players {
        player.scene.leave().await.expect("it is open");
    }
    within("the journal to be gone", async {
        while !journals(&host).await.is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Users whose connections come back quickly.
pub async fn persistent(host: &Host, domain: &str, count: usize) -> (Vec<Lobby>, Vec<Scene>) {
    let quick = || Options { backoff_max: Duration::from_millis(200), ..options(Encoding::Proto) };
    let mut lobbies = Vec::new();
    for number in 0..count {
        let credential = Credential::Guest { device_id: device(), name: format!("Guest {number}") };
        lobbies.push(Lobby::connect(&host.url(), credential, quick()).await.expect("a guest may sign in"));
    }
    let seats = matched(&lobbies, domain).await;
    let scenes = join_all(seats.iter().map(async |seat| Scene::join(seat, &quick()).await.expect("they may enter")));
    (lobbies, scenes.await)
}

/// What the game has kept of a user, who asks for it by a name that nobody has used before.
pub async fn list(scene: &mut Scene, name: u64) -> Vec<u64> {
    let question = format!("list{name}");
    scene.send(question.clone()).await.expect("the seat is held");
    within("the list", async {
        loop {
            match scene.next().await.expect("the scene goes on") {
                SceneEvent::Message(body) => {
                    let text = String::from_utf8(body.to_vec()).expect("this game speaks text");
                    match text.split_once(' ') {
                        Some((name, list)) if name == question => {
                            return list.split(',').filter_map(|number| number.parse().ok()).collect();
                        }
                        // The whole state, for who has missed something: then the answer may be among that.
                        Some(_) => scene.send(question.clone()).await.expect("the seat is held"),
                        None => {}
                    }
                }
                SceneEvent::Ended(ended) => panic!("it has ended: {ended:?}"),
                _ => {}
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_a_game_goes_on_and_nothing_that_was_said_is_lost_or_comes_twice() {
    let mut host = Host::start(CONFIG);
    let (_lobbies, scenes) = persistent(&host, "keeper", 2).await;
    let mut scenes: Vec<(Scene, u64)> = scenes.into_iter().map(|scene| (scene, 0)).collect();
    for kill in 0..4 {
        let until = Instant::now() + Duration::from_millis(150 + 40 * kill);
        for (scene, said) in &mut scenes {
            // Half of what is said leaves while the host is being killed.
            while Instant::now() < until && *said < 40 * (kill + 1) {
                *said += 1;
                scene.send(said.to_string()).await.expect("the seat is held");
            }
        }
        host.kill9();
        for (scene, said) in &mut scenes {
            *said += 1;
            scene.send(said.to_string()).await.expect("what is said meanwhile waits");
        }
        host.restart_in_place();
        for (scene, said) in &mut scenes {
            let kept = list(scene, kill).await;
            assert_eq!(kept, (1..=*said).collect::<Vec<_>>(), "after kill {kill}\n{}", host.log());
        }
    }
}

/// Says something to a game of JSON, and waits for this answer to it.
async fn told(scene: &mut Scene, kind: &str) -> Value {
    within(kind, async {
        loop {
            match scene.next().await.expect("the scene goes on") {
                SceneEvent::Message(body) => {
                    let message: Value = serde_json::from_slice(&body).expect("this game speaks JSON");
                    if message["type"] == kind {
                        return message;
                    }
                }
                SceneEvent::Ended(ended) => panic!("it has ended: {ended:?}"),
                _ => {}
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_a_game_of_turns_is_played_to_its_end() {
    let mut host = Host::start(CONFIG);
    let (_lobbies, mut scenes) = persistent(&host, "gomoku", 2).await;
    scenes.sort_by_key(|scene| scene.info().seat);
    let id = scenes[0].info().scene_id.clone();
    let mut black = 0;
    for scene in &mut scenes {
        black = told(scene, "state").await["black"].as_u64().expect("a seat") as usize;
    }
    for x in 0..5 {
        for (seat, y) in [(black, 7), (1 - black, 9)] {
            if (x, y) == (4, 9) {
                break; // Black has five.
            }
            let stone = json!({"type": "place", "x": x, "y": y}).to_string();
            scenes[seat].send(stone).await.expect("the seat is held");
            if (x, seat) == (2, black) {
                // The stone is on its way, or placed, or its answer is.
                host.kill9();
                host.restart_in_place();
            }
            for scene in &mut scenes {
                // Who comes back is told the whole board, or what was missed of it.
                while !has_stone(&mut *scene, x, y).await {}
            }
        }
    }
    for scene in &mut scenes {
        assert_eq!(told(scene, "over").await["winner"], json!(black));
    }
    put_away(&host).await;
    let (good, said) = host.replay(&[&id]);
    assert!(
        good && said.contains("all outputs and states are as they were"),
        "from before the kill to the end: {said}"
    );
}

/// Whether the next message that tells of stones tells of this one.
async fn has_stone(scene: &mut Scene, x: u64, y: u64) -> bool {
    let message = within("a stone", async {
        loop {
            match scene.next().await.expect("the scene goes on") {
                SceneEvent::Message(body) => {
                    let message: Value = serde_json::from_slice(&body).expect("this game speaks JSON");
                    if message["type"] == "placed" || message["type"] == "state" {
                        return message;
                    }
                }
                SceneEvent::Ended(ended) => panic!("it has ended: {ended:?}"),
                _ => {}
            }
        }
    })
    .await;
    match message["type"].as_str() {
        Some("placed") => (&message["x"], &message["y"]) == (&json!(x), &json!(y)),
        _ => message["moves"].as_array().is_some_and(|moves| moves.contains(&json!([x, y]))),
    }
}
