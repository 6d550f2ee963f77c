//! What components may not do. Each misdeed ends its own scene with a word to its users, who can
//! play again; a neighbour on the same thread goes on, and no tick of it is missing.

use std::time::{Duration, Instant};

use scenehost_client::{Encoding, Lobby, Scene, SceneEvent, v1};
use scenehost_protocol::v1::syn_scene_ended::Reason;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::host::{Host, until, within};
use crate::player::{Player, enter, gather, lobby_ended, matched, options, refusal, scene_ended, sign_in};

/// A call of the guests here may take so long, and a start.
const STEP_MS: u32 = 50;
/// How much later than its tick a neighbour's tick may come: the misdeed's own time, and what a
/// machine needs that builds and tests other things at the same time.
const LATE_MAX: Duration = Duration::from_millis(STEP_MS as u64 + 950);
const TICK: Duration = Duration::from_millis(50);

/// A neighbour, and a fleet for each misdeed and moment. One thread runs them all.
fn config(plans: &[(&str, &str)]) -> String {
    let mut config = r#"
[server]
scenes_max = 64
scene_threads = 1

[fleets.neighbour]
plugin = "arena"
scene = { tick_rate_hz = 20 }

[domains.neighbour]
fleet = "neighbour"
players_min = 1
players_max = 1
"#
    .to_owned();
    for (misdeed, when) in plans {
        let tick_rate_hz = if *when == "tick" { 20 } else { 0 };
        // What does not take for ever has the time that a machine may need for it that stands still now and then.
        let call_ms = if *misdeed == "loop" { STEP_MS } else { 20 * STEP_MS };
        config += &format!(
            r#"
[fleets.{misdeed}-{when}]
plugin = "hostile"
configuration = {{ misbehave = "{misdeed}", when = "{when}" }}
scene = {{ tick_rate_hz = {tick_rate_hz}, on_crash = "end" }}
limits = {{ step_ms = {call_ms}, start_ms = {call_ms} }}

[domains.{misdeed}-{when}]
fleet = "{misdeed}-{when}"
players_min = 2
players_max = 2
"#
        );
    }
    config
}

/// A player of a game at 20 Hz who counts its ticks.
struct Neighbour {
    ticks: watch::Receiver<Ticks>,
    watching: JoinHandle<()>,
}

/// The ticks as they arrived.
#[derive(Clone, Copy, Default)]
struct Ticks {
    count: u64,
    /// The longest time from one to the next.
    gap_max: Duration,
}

impl Neighbour {
    async fn begin(host: &Host) -> Self {
        let mut player = enter(vec![sign_in(host, "Neighbour").await], "neighbour").await.remove(0);
        let (counted, ticks) = watch::channel(Ticks::default());
        let watching = tokio::spawn(async move {
            let mut last = (snapshot_tick(&mut player).await, Instant::now());
            // Until nobody wants to know any more.
            while !counted.is_closed() {
                let (tick, came) = (snapshot_tick(&mut player).await, Instant::now());
                assert_eq!(tick, last.0 + 1, "no tick is missing");
                counted.send_modify(|ticks| {
                    ticks.count += 1;
                    ticks.gap_max = ticks.gap_max.max(came - last.1);
                });
                last = (tick, came);
            }
        });
        let mut neighbour = Self { ticks, watching };
        neighbour.goes_on().await;
        neighbour
    }

    /// Waits for some more ticks; tells of all so far.
    async fn goes_on(&mut self) -> Ticks {
        let wanted = self.ticks.borrow().count + 10;
        let counted = within("the neighbour's ticks", self.ticks.wait_for(|ticks| ticks.count >= wanted)).await;
        *counted.expect("the neighbour saw every tick")
    }

    async fn end(self) {
        drop(self.ticks);
        self.watching.await.expect("the neighbour saw every tick");
    }
}

async fn snapshot_tick(player: &mut Player) -> u64 {
    player.hear("snapshot").await["tick"].as_u64().expect("a number")
}

/// Lets a scene come to its misdeed, and sees that its users are told on every connection.
async fn crash(lobbies: &[Lobby], domain: &str, when: &str, text: &str) {
    let seats = matched(lobbies, domain).await;
    // With the first player inside it is time for a step or a join.
    let inside = if when == "message" { &seats[..] } else { &seats[..1] };
    let mut scenes = Vec::new();
    for seat in inside {
        scenes.push(Scene::join(seat, &options(Encoding::Proto)).await.expect("the token lets them in"));
    }
    if when == "message" {
        scenes[0].send("do it").await.expect("the scene's connection is open");
    }
    let mut told = Vec::new();
    for scene in &mut scenes {
        told.push(scene_ended(scene).await);
    }
    for lobby in lobbies {
        told.push(lobby_ended(lobby).await);
    }
    for ended in told {
        assert_eq!((ended.reason(), ended.results.len()), (Reason::Crashed, 0));
        assert_eq!(ended.scene_id, seats[0].scene_id);
        assert!(ended.text.ends_with(text), "{:?}", ended.text);
    }
}

const STOPPED_RESPONDING: &str = "The game stopped responding and was ended.";
const MET_AN_ERROR: &str = "The game met an error and was ended.";
const OUT_OF_MEMORY: &str = "The game ran out of memory and was ended.";

/// Misdeeds while a game runs: what users are told, and how the metrics call it.
const MISDEEDS: [(&str, &str, &str, &str); 12] = [
    ("loop", "message", STOPPED_RESPONDING, "deadline"),
    ("loop", "tick", STOPPED_RESPONDING, "deadline"),
    ("loop", "join", STOPPED_RESPONDING, "deadline"),
    ("trap", "message", MET_AN_ERROR, "trap"),
    ("trap", "join", MET_AN_ERROR, "trap"),
    ("memory", "message", OUT_OF_MEMORY, "out_of_memory"),
    ("recursion", "message", MET_AN_ERROR, "stack_overflow"),
    ("recursion", "tick", MET_AN_ERROR, "stack_overflow"),
    ("giant", "message", MET_AN_ERROR, "output_too_large"),
    ("giant", "tick", MET_AN_ERROR, "output_too_large"),
    ("fail", "message", MET_AN_ERROR, "game_error"),
    ("flood", "message", OUT_OF_MEMORY, "out_of_memory"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_misdeed_ends_its_own_scene_and_the_neighbour_misses_no_tick() {
    let plans: Vec<(&str, &str)> = MISDEEDS.iter().map(|(misdeed, when, ..)| (*misdeed, *when)).collect();
    let host = Host::start(&config(&plans));
    let mut neighbour = Neighbour::begin(&host).await;
    let before = neighbour.goes_on().await;
    for (misdeed, when, text, kind) in MISDEEDS {
        let key = format!(r#"scenehost_scenes_failed_total{{kind="{kind}"}}"#);
        let failed = host.metrics().await.get(&key);
        let domain = format!("{misdeed}-{when}");
        let lobbies = [sign_in(&host, "Ada").await, sign_in(&host, "Bob").await];
        crash(&lobbies, &domain, when, text).await;
        assert_eq!(host.metrics().await.get(&key), failed + 1.0, "{misdeed} at {when} is a {kind}");
        matched(&lobbies, &domain).await;
        neighbour.goes_on().await;
    }
    let after = neighbour.goes_on().await;
    neighbour.end().await;
    println!(
        "the neighbour had {} ticks, one each {TICK:?}; the longest gap was {:?} before the misdeeds and {:?} in all",
        after.count, before.gap_max, after.gap_max
    );
    assert!(after.gap_max <= TICK + LATE_MAX, "a tick came {:?} after the one before", after.gap_max);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_game_that_cannot_start_gives_its_users_back_to_the_lobby() {
    let plans = [("loop", "start"), ("trap", "start"), ("memory", "start"), ("recursion", "start"), ("fail", "start")];
    let host = Host::start(&config(&plans));
    let mut neighbour = Neighbour::begin(&host).await;
    for (misdeed, when) in plans {
        let lobbies = [sign_in(&host, "Ada").await, sign_in(&host, "Bob").await];
        let domain = format!("{misdeed}-{when}");
        let (one, two) = tokio::join!(lobbies[0].find_match(&domain), lobbies[1].find_match(&domain));
        for refused in [refusal(one), refusal(two)] {
            assert_eq!(refused.code(), v1::Code::Invalid, "{misdeed}");
            assert!(refused.text.contains("could not start"), "{}", refused.text);
        }
        let free = lobbies[0].find_match("neighbour").await;
        assert!(free.is_ok(), "after {misdeed} at {when}: {free:?}");
        neighbour.goes_on().await;
    }
    neighbour.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_game_that_fails_while_it_is_asked_about_a_player_lets_nobody_in() {
    let plans = [("loop", "admit"), ("trap", "admit"), ("memory", "admit")];
    let host = Host::start(&config(&plans));
    let mut neighbour = Neighbour::begin(&host).await;
    for (misdeed, when) in plans {
        let lobbies = [sign_in(&host, "Ada").await, sign_in(&host, "Bob").await];
        let domain = format!("{misdeed}-{when}");
        let seats = matched(&lobbies, &domain).await;
        let refused = refusal(Scene::join(&seats[0], &options(Encoding::Proto)).await);
        let codes = [v1::Code::NotAdmitted, v1::Code::SceneEnded];
        assert!(codes.contains(&refused.code()), "{misdeed}: {refused:?}");
        for lobby in &lobbies {
            assert_eq!(lobby_ended(lobby).await.reason(), Reason::Crashed, "{misdeed}");
        }
        matched(&lobbies, &domain).await;
        neighbour.goes_on().await;
    }
    neighbour.end().await;
}

#[tokio::test]
async fn a_game_may_refuse_a_player_without_ending() {
    let host = Host::start(&config(&[("fail", "admit")]));
    let lobbies = [sign_in(&host, "Ada").await, sign_in(&host, "Bob").await];
    let seats = matched(&lobbies, "fail-admit").await;
    let refused = refusal(Scene::join(&seats[0], &options(Encoding::Proto)).await);
    assert_eq!(refused.code(), v1::Code::NotAdmitted);
    assert_eq!(refused.text, "this scene fails as it was told to", "the text is the game's own");
    assert_eq!(lobby_ended(&lobbies[0]).await.reason(), Reason::Kicked);
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut_and_the_scene_goes_on() {
    let host = Host::start(&config(&[("log", "message")]));
    let mut players = gather(&host, "log-message", 2).await;
    players[0].echo("log a lot").await;
    players[1].echo("and again").await;
    until("the dropped lines to be counted", async || !host.logged("log lines past the limit were dropped").is_empty())
        .await;
}

#[tokio::test]
async fn a_scene_in_which_nothing_is_wrong_echoes_to_the_sender_only() {
    let host = Host::start(&config(&[("trap", "save")]));
    let mut players = gather(&host, "trap-save", 2).await;
    players[0].echo("of the first").await;
    players[1].scene.send("of the second").await.expect("the scene's connection is open");
    let first = within("the echo", players[1].scene.next()).await;
    assert!(matches!(&first, Some(SceneEvent::Message(body)) if body == "of the second"), "{first:?}");
}
