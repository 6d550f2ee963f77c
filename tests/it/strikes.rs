//! Scenes that misbehave without failing: they are stopped from outside, and their users are told why.

use std::time::{Duration, Instant};

use scenehost_client::{Encoding, Scene};
use scenehost_protocol::v1::syn_scene_ended::Reason;

use crate::host::{Host, until};
use crate::player::{free_to_play, lobby_ended, matched, options, scene_ended, sign_in};

/// A fleet of games that do this, with strikes like this.
fn config(misdeed: &str, limits: &str, scene: &str) -> String {
    format!(
        r#"
[server]
scenes_max = 8
scene_threads = 1

[fleets.game]
plugin = "hostile"
configuration = {{ {misdeed} }}
limits = {{ {limits} }}

[fleets.game.scene]
tick_rate_hz = 20
stop_grace_ms = 0
on_crash = "end"
{scene}

[domains.game]
fleet = "game"
players_min = 1
players_max = 1
"#
    )
}

/// A game that misbehaves is stopped for this reason, and its user may play again; how long that took. One that does
/// not answer cannot tell its user so itself: only the lobby does.
async fn check(config: String, kind: &str, reason: &str) -> Duration {
    let host = Host::start(&config);
    let lobbies = vec![sign_in(&host, "Ada").await];
    let seats = matched(&lobbies, "game").await;
    let begun = Instant::now();
    let mut scene = Scene::join(&seats[0], &options(Encoding::Proto)).await.expect("the token lets them in");
    let mut told = vec![lobby_ended(&lobbies[0]).await];
    let took = begun.elapsed();
    // When it goes on at last, it has come to its hard limit meanwhile.
    let by_scene = scene_ended(&mut scene).await;
    if kind != "silence" {
        told.push(by_scene);
    }
    for ended in told {
        assert_eq!((ended.reason(), &ended.scene_id), (Reason::Stopped, &seats[0].scene_id));
        assert_eq!(ended.text, format!("the game was stopped because {reason}"));
    }
    until("the strikes and the end to be counted", async || {
        let metrics = host.metrics().await;
        metrics.get(&format!(r#"scenehost_scene_strikes_total{{kind="{kind}"}}"#)) >= 1.0
            && metrics.get(r#"scenehost_scenes_ended_total{reason="Misbehaved"}"#) == 1.0
    })
    .await;
    free_to_play(lobbies, "game").await;
    took
}

#[tokio::test]
async fn a_game_whose_steps_take_too_long_is_stopped() {
    // A step that writes 100,000 lines is slow, and within its hard limit.
    let slow = config(
        r#"misbehave = "log", when = "tick""#,
        "step_ms = 10000",
        "strikes = { max = 2, within_ms = 30000, step_ms = 1 }",
    );
    let took = check(slow, "slow", "its steps took too long").await;
    assert!(took >= Duration::from_millis(900), "it had its second strike after {took:?}");
}

#[tokio::test]
async fn a_game_that_uses_too_much_memory_is_stopped() {
    // Less than any component has.
    let large = config("", "", "strikes = { max = 2, within_ms = 30000, memory_kib = 64 }");
    check(large, "memory", "it used too much memory").await;
}

#[tokio::test]
async fn a_game_that_hangs_is_stopped_before_its_step_comes_to_its_hard_limit() {
    let silent = config(
        r#"misbehave = "loop", when = "tick""#,
        "step_ms = 10000",
        "strikes = { max = 1, within_ms = 30000, silence_ms = 500 }",
    );
    let took = check(silent, "silence", "it did not answer").await;
    assert!(took < Duration::from_secs(9), "it was stopped after {took:?}");
}

#[tokio::test]
async fn a_game_within_its_limits_plays_on() {
    let well = config(
        "",
        "",
        "strikes = { max = 1, within_ms = 30000, step_ms = 2000, memory_kib = 65536, silence_ms = 3000 }",
    );
    let host = Host::start(&well);
    let mut player = crate::player::gather(&host, "game", 1).await.remove(0);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        player.echo("still here").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(host.metrics().await.sum("scenehost_scene_strikes_total"), 0.0);
}
