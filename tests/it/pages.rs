//! The games in a real browser: the scripts of `tests/browser`, against a host that serves the pages.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::host::{Host, alone, binary, http, pages};

/// The demo's configuration as it is delivered.
const DEMO: &str = include_str!("../../plugins/scenehost.toml");

/// What `cargo xtask play` adds to it.
const HANDS: &str = include_str!("../../plugins/rock-paper-scissors/scenehost.toml");

fn host_with_pages(config: &str) -> Host {
    let pages = pages();
    Host::start_with(config, &["--pages-dir", pages.to_str().expect("it is UTF-8")])
}

/// Runs a script against a host of its own; pictures go to the target folder.
fn play(script: &str) {
    play_at(DEMO, script);
}

/// The same against a host with this configuration.
fn play_at(config: &str, script: &str) {
    let host = host_with_pages(config);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    assert!(scripts.join("node_modules").exists(), "the scripts' packages are missing: run `cargo xtask test`");
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    let base = format!("http://{}/", host.address());
    let mut node = Command::new("node");
    node.arg(scripts.join(script)).args([&base, pictures.to_str().expect("it is UTF-8")]).stdin(Stdio::null());
    // For those that look into the host's journals.
    node.arg(binary()).arg(host.data_dir());
    let output = node.output().expect("node is installed");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {}; pictures are in {}", output.status, pictures.display());
}

#[test]
fn two_people_play_gomoku_by_clicks_to_the_announced_winner() {
    play("two-pages-gomoku.mjs");
}

#[test]
fn two_people_fly_and_shoot_in_the_arena() {
    play("arena-smoke.mjs");
}

#[test]
fn people_come_back_after_lost_connections_and_reloads_and_keep_accounts() {
    play("coming-back.mjs");
}

#[test]
fn people_talk_save_profiles_and_meet_in_guilds_around_the_games() {
    play("around-the-games.mjs");
}

#[test]
fn people_find_games_that_go_on_and_watch_and_join_them() {
    play("games-going-on.mjs");
}

#[tokio::test]
async fn two_people_play_rock_paper_scissors_and_a_third_watches() {
    // Compiling the component takes both cores for seconds, and so would disturb who measures.
    let _alone = alone().await;
    play_at(&format!("{DEMO}\n{HANDS}"), "hands.mjs");
}

#[test]
fn matches_are_played_back_step_by_step_from_their_journals() {
    play("replay.mjs");
}

#[test]
fn people_choose_how_they_like_to_play_and_accept_or_decline_a_match() {
    play("accepting.mjs");
}

#[test]
fn people_form_a_party_and_go_into_a_game_together() {
    // People press buttons while the arena waits for more players, and the machine may be a slow one.
    let patient = DEMO.replace("fill_ms = 4000", "fill_ms = 10000");
    assert_ne!(patient, DEMO);
    play_at(&patient, "parties.mjs");
}

#[tokio::test]
async fn pages_are_served_with_careful_headers_and_nothing_beside_them_is() {
    let host = host_with_pages(DEMO);
    let home = http(host.address(), "GET", "/", &[], "").await;
    assert_eq!(home.status, 200);
    assert!(home.body.contains("<html"), "{}", home.body);
    for header in ["content-type: text/html", "x-content-type-options: nosniff", "referrer-policy: same-origin"] {
        assert!(home.head.contains(header), "{header} should be in {}", home.head);
    }
    for outside in ["/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/no-such-page"] {
        assert_eq!(http(host.address(), "GET", outside, &[], "").await.status, 404, "{outside}");
    }
}
