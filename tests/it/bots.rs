//! A hundred players in twenty-five arenas for half a minute: none is lost, and every message is
//! accounted for, on every connection and in the host's own count.

use std::time::Duration;

use futures_util::future::join_all;
use scenehost_client::{Encoding, Options, Scene, SceneEvent};
use scenehost_protocol::v1::syn_scene_ended::Reason;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::host::{Host, until};
use crate::player::{Player, lobby_ended, options, sign_in};

const BOTS: usize = 100;
const PLAYERS: usize = 4;
const ROUND_S: u64 = 30;
const INPUT_EVERY: Duration = Duration::from_millis(100);
/// Before the round ends bots fall silent, so that the scene hears all that was sent. Not so long that the client would
/// have to say what has come.
const SILENCE_MS: u64 = 2_500;

/// What a bot has sent and got by the end of the round.
#[derive(Debug)]
struct Account {
    scene_id: String,
    sent: u64,
    received: u64,
    first_tick: u64,
    last_tick: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_bots_play_a_round_and_every_message_is_accounted_for() {
    let host = Host::start(&format!(
        r#"
[server]
scenes_max = 64
scene_threads = 2

[fleets.arena]
plugin = "arena"
configuration = {{ round_s = {ROUND_S} }}
scene = {{ tick_rate_hz = 20, grace_ms = 1000 }}

[domains.arena]
fleet = "arena"
players_min = {PLAYERS}
players_max = {PLAYERS}
"#
    ));
    let began = Instant::now();
    let accounts = join_all((0..BOTS).map(|number| bot(&host, number))).await;
    let took = began.elapsed();

    let mut scenes: Vec<&str> = accounts.iter().map(|account| account.scene_id.as_str()).collect();
    scenes.sort();
    scenes.dedup();
    assert_eq!(scenes.len(), BOTS / PLAYERS);
    for account in &accounts {
        let of_the_same = accounts.iter().find(|other| other.scene_id == account.scene_id).expect("itself");
        assert_eq!(account.last_tick, of_the_same.last_tick, "all saw the last tick: {account:?}");
        assert!(account.last_tick - account.first_tick > ROUND_S * 20 / 2, "{account:?}");
    }

    let sent: u64 = accounts.iter().map(|account| account.sent).sum();
    let received: u64 = accounts.iter().map(|account| account.received).sum();
    // Every bot sent its inputs, and the request to enter.
    let counted_in = (sent + BOTS as u64) as f64;
    until("the host's count of its messages", async || {
        let metrics = host.metrics().await;
        metrics.sum("scenehost_messages_in_total") == counted_in
            && metrics.sum("scenehost_messages_out_total") == received as f64
            && metrics.sum("scenehost_scenes") == 0.0
            && metrics.sum("scenehost_scene_connections") == 0.0
    })
    .await;
    let metrics = host.metrics().await;
    for nothing in [
        "scenehost_messages_refused_total",
        "scenehost_slow_connections_total",
        "scenehost_connections_refused_total",
        "scenehost_dropped_messages_total",
        "scenehost_scenes_failed_total",
    ] {
        assert_eq!(metrics.sum(nothing), 0.0, "{nothing}");
    }
    assert_eq!(metrics.sum("scenehost_scenes_started_total"), (BOTS / PLAYERS) as f64);
    println!("{sent} messages to {} scenes and {received} from them, in {took:.1?}", scenes.len());
}

/// One bot from sign-in to the end of its round.
async fn bot(host: &Host, number: usize) -> Account {
    let lobby = sign_in(host, &format!("Bot {number}")).await;
    let seat = lobby.find_match("arena").await.expect("a hundred are divided by four");
    // Enough room that the client does not ask what has come: those would be messages of its own.
    let options = Options { kept_messages_max: 10_000, ..options(Encoding::Proto) };
    let scene = Scene::join(&seat, &options).await.expect("the token lets it in");
    let mut player = Player { lobby, seat, scene };
    let mut account =
        Account { scene_id: player.seat.scene_id.clone(), sent: 0, received: 0, first_tick: 0, last_tick: 0 };
    let mut over = false;
    let mut silent = false;
    let mut input_at = Instant::now();
    loop {
        // Frames are counted on each connection; the client drops it if one is missing.
        let event = timeout_at(input_at, player.scene.next()).await;
        match event {
            Err(_) => {
                input_at += INPUT_EVERY;
                if !silent {
                    account.sent += 1;
                    player.say(&input(number, account.sent)).await;
                }
            }
            Ok(Some(SceneEvent::Message(body))) => {
                account.received += 1;
                let message: Value = serde_json::from_slice(&body).expect("arena speaks JSON");
                match message["type"].as_str() {
                    Some("snapshot") => {
                        saw(&mut account, &message);
                        silent |= message["left_ms"].as_u64().expect("a number") < SILENCE_MS;
                    }
                    Some("over") => over = true,
                    Some("welcome" | "players") => {}
                    _ => panic!("{message}"),
                }
            }
            Ok(Some(SceneEvent::Ended(ended))) => {
                assert!(over, "the standings come before the end");
                assert_eq!((ended.reason(), ended.results.len()), (Reason::Finished, PLAYERS));
                assert_eq!(lobby_ended(&player.lobby).await, ended);
                return account;
            }
            Ok(other) => panic!("bot {number}: {other:?}"),
        }
    }
}

fn saw(account: &mut Account, snapshot: &Value) {
    let tick = snapshot["tick"].as_u64().expect("a number");
    if account.last_tick == 0 {
        account.first_tick = tick;
    } else {
        assert_eq!(tick, account.last_tick + 1, "no tick is missing");
    }
    account.last_tick = tick;
}

/// Bots fly in circles of their own and shoot now and then.
fn input(number: usize, n: u64) -> Value {
    let turn = (n as f64 + number as f64) * 0.3;
    json!({"type": "input", "n": n, "move": [turn.cos(), turn.sin()], "aim": turn, "fire": n.is_multiple_of(3)})
}
