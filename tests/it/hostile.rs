//! What components may not do. Each misdeed ends its own scene with a word to its users, who can
//! play again; a neighbour on the same thread goes on, and no tick of it is missing.

use std::time::{Duration, Instant};

use scenehost_client::{Encoding, Lobby, Scene, SceneEvent, v1};
use scenehost_protocol::v1::syn_scene_ended::Reason;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::host::{Host, until, within};
use crate::player::{Player, enter, gather, lobby_ended, matched, options, refusal, sign_in};

/// A call of the guests here may take so long, and a start.
const STEP_MS: u32 = 50;
/// How much later than its tick a neighbour's tick may come: the misdeed's own time, and what a
/// machine needs that builds and tests other things at the same time.
const GAP_MAX: Duration = Duration::from_millis(STEP_MS as u64 + 950);
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
        config += &format!(
            r#"
[fleets.{misdeed}-{when}]
plugin = "hostile"
configuration = {{ misbehave = "{misdeed}", when = "{when}" }}
scene = {{ tick_rate_hz = {tick_rate_hz} }}
limits = {{ step_ms = {STEP_MS}, start_ms = {STEP_MS} }}

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
    /// How many ticks came so far.
    ticks: watch::Receiver<u64>,
    stop: watch::Sender<bool>,
    watching: JoinHandle<Gaps>,
}

/// The times from one tick to the next, as they arrived.
struct Gaps {
    count: u64,
    max: Duration,
}

impl Neighbour {
    async fn begin(host: &Host) -> Self {
        let mut player = enter(vec![sign_in(host, "Neighbour").await], "neighbour").await.remove(0);
        let (counted, ticks) = watch::channel(0);
        let (stop, mut stopped) = watch::channel(false);
        let watching = tokio::spawn(async move {
            let mut gaps = Gaps { count: 0, max: Duration::ZERO };
            let mut last = None;
            loop {
                let (tick, came) = tokio::select! {
                    tick = snapshot_tick(&mut player) => (tick, Instant::now()),
                    _ = stopped.wait_for(|stopped| *stopped) => return gaps,
                };
                if let Some((last_tick, last_came)) = last.replace((tick, came)) {
                    assert_eq!(tick, last_tick + 1, "no tick is missing");
                    gaps.max = gaps.max.max(came - last_came);
                }
                gaps.count += 1;
                counted.send_replace(gaps.count);
            }
        });
        let mut neighbour = Self { ticks, stop, watching };
        neighbour.goes_on().await;
        neighbour
    }

    /// Waits for some more ticks.
    async fn goes_on(&mut self) {
        let wanted = *self.ticks.borrow() + 10;
        let counted = within("the neighbour's ticks", self.ticks.wait_for(|count| *count >= wanted));
        assert!(counted.await.is_ok(), "the neighbour's scene has ended");
    }

    async fn end(self) -> Gaps {
        self.stop.send_replace(true);
        self.watching.await.expect("the neighbour saw every tick")
    }
}

async fn snapshot_tick(player: &mut Player) -> u64 {
    player.hear("snapshot").await["tick"].as_u64().expect("a number")
}

/// What a scene's users are told when it has failed.
async fn told_of_crash(players: &mut [Player], text: &str) {
    for player in players {
        let ended = player.ended().await;
        assert_eq!((ended.reason(), ended.results.len()), (Reason::Crashed, 0));
        assert!(ended.text.ends_with(text), "{:?}", ended.text);
    }
}

/// The same misdeed again: whoever was in the scene is free to play.
async fn matched_again(players: Vec<Player>, domain: &str) {
    let lobbies: Vec<Lobby> = players.into_iter().map(|player| player.lobby).collect();
    matched(&lobbies, domain).await;
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
    ("giant", "message", MET_AN_ERROR, "message_too_large"),
    ("giant", "tick", MET_AN_ERROR, "message_too_large"),
    ("fail", "message", MET_AN_ERROR, "game_error"),
    ("flood", "message", OUT_OF_MEMORY, "out_of_memory"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_misdeed_ends_its_own_scene_and_the_neighbour_misses_no_tick() {
    let plans: Vec<(&str, &str)> = MISDEEDS.iter().map(|(misdeed, when, ..)| (*misdeed, *when)).collect();
    let host = Host::start(&config(&plans));
    let mut neighbour = Neighbour::begin(&host).await;
    for (misdeed, when, text, kind) in MISDEEDS {
        let key = format!(r#"scenehost_scenes_failed_total{{kind="{kind}"}}"#);
        let before = host.metrics().await.get(&key);
        let domain = format!("{misdeed}-{when}");
        let lobbies = vec![sign_in(&host, "Ada").await, sign_in(&host, "Bob").await];
        let mut players = match when {
            "join" => joined_as_it_fails(lobbies, &domain).await,
            _ => enter(lobbies, &domain).await,
        };
        if when == "message" {
            players[0].scene.send("do it").await.expect("the scene's connection is open");
        }
        told_of_crash(&mut players, text).await;
        assert_eq!(host.metrics().await.get(&key), before + 1.0, "{misdeed} at {when} is a {kind}");
        matched_again(players, &domain).await;
        neighbour.goes_on().await;
    }
    let gaps = neighbour.end().await;
    println!("{} ticks of the neighbour, one each {TICK:?}; at most {:?} between two", gaps.count, gaps.max);
    assert!(gaps.max <= TICK + GAP_MAX, "a tick came {:?} after the one before", gaps.max);
}

/// The first who comes in makes the scene fail, so that only this one was inside.
async fn joined_as_it_fails(lobbies: Vec<Lobby>, domain: &str) -> Vec<Player> {
    let seats = matched(&lobbies, domain).await;
    let scene = Scene::join(&seats[0], &options(Encoding::Proto)).await.expect("the token lets her in");
    let mut lobbies = lobbies.into_iter();
    let inside = Player { lobby: lobbies.next().expect("two"), seat: seats[0].clone(), scene };
    let outside = lobbies.next().expect("two");
    let ended = lobby_ended(&outside).await;
    assert_eq!((ended.reason(), &ended.scene_id), (Reason::Crashed, &seats[1].scene_id));
    vec![inside]
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
    until("the dropped lines to be counted", async || {
        !host.logged("log lines past the limit were dropped").is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_scene_in_which_nothing_is_wrong_echoes() {
    let host = Host::start(&config(&[("trap", "save")]));
    let mut players = gather(&host, "trap-save", 2).await;
    players[0].echo("hello").await;
    let other = within("silence for the other", async {
        tokio::time::timeout(Duration::from_millis(200), players[1].scene.next()).await
    })
    .await;
    assert!(!matches!(other, Ok(Ok(Some(SceneEvent::Message(_))))), "an echo is for its sender only");
}
