//! Games that are slow: those on the same thread do not wait for one that has shown it, and the slow one itself loses
//! nothing but time.

use std::time::Duration;

use scenehost_client::{Encoding, Scene, SceneEvent};
use scenehost_protocol::v1::syn_scene_ended::Reason;

use crate::host::{Host, within};
use crate::journals::put_away;
use crate::player::{Player, enter, gather, lobby_ended, matched, options, refusal, scene_ended, sign_in};

/// A call may take so long: twelve ticks of the neighbour.
const CALL_MS: u32 = 600;
/// Ticks of the neighbour, of which it would miss all but one or two if it waited.
const TICKS: u64 = 5;
const MESSAGES: usize = 10;
/// How long a seat is kept whose user is away: shorter than a call can be.
const GRACE_MS: u32 = 400;
/// After so long it is known that a connection has gone, and its seat is still kept.
const AWAY: Duration = Duration::from_millis(200);

/// One thread runs them all.
fn config() -> String {
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
    for (name, plan) in [
        ("loop-message", r#"misbehave = "loop", when = "message""#),
        ("loop-start", r#"misbehave = "loop", when = "start""#),
        ("loop-admit", r#"misbehave = "loop", when = "admit""#),
        ("slow", r#"misbehave = "slow", when = "message", keeps = true"#),
    ] {
        config += &format!(
            r#"
[fleets.{name}]
plugin = "hostile"
configuration = {{ {plan} }}
scene = {{ on_crash = "end", messages_per_s_max = 1000, grace_ms = {GRACE_MS}, journal = {{ keep = "full", snapshot_steps = 7 }} }}
limits = {{ step_ms = {CALL_MS}, start_ms = {CALL_MS} }}

[domains.{name}]
fleet = "{name}"
players_min = 2
players_max = 2
"#
        );
    }
    config
}

async fn tick(neighbour: &mut Player) -> u64 {
    neighbour.hear("snapshot").await["tick"].as_u64().expect("a number")
}

/// Something slow is to come to its end only after the neighbour has had its ticks.
async fn meanwhile(neighbour: &mut Player, slow: impl Future<Output = ()>, what: &str) {
    let from = tick(neighbour).await;
    let ticks = async { while tick(neighbour).await < from + TICKS {} };
    tokio::select! {
        biased;
        () = ticks => {}
        () = slow => panic!("{what} was over before the neighbour had its ticks"),
    }
}

/// A game loops on a message of its player, and is ended.
async fn loops(players: &mut [Player]) {
    players[0].scene.send("loop").await.expect("the scene's connection is open");
    for player in players {
        assert_eq!(scene_ended(&mut player.scene).await.reason(), Reason::Crashed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_game_that_has_been_slow_before() {
    let host = Host::start(&config());
    let mut neighbour = enter(vec![sign_in(&host, "Neighbour").await], "neighbour").await.remove(0);

    // The first one surprises everybody.
    loops(&mut gather(&host, "loop-message", 2).await).await;
    let mut players = gather(&host, "loop-message", 2).await;
    {
        let mut looping = std::pin::pin!(loops(&mut players));
        meanwhile(&mut neighbour, &mut looping, "the endless loop").await;
        // The ticks may all be there before it has even begun.
        looping.await;
    }
    for player in &mut players {
        assert_eq!(lobby_ended(&player.lobby).await.reason(), Reason::Crashed);
    }

    // What has never started is not trusted at all.
    let lobbies = [sign_in(&host, "Ada").await, sign_in(&host, "Bob").await];
    let start = async {
        let (one, two) = tokio::join!(lobbies[0].find_match("loop-start"), lobbies[1].find_match("loop-start"));
        assert!([one, two].into_iter().all(|found| refusal(found).text.contains("could not start")));
    };
    let mut start = std::pin::pin!(start);
    meanwhile(&mut neighbour, &mut start, "the start").await;
    start.await;

    for is_first in [true, false] {
        let lobbies = [sign_in(&host, "Ada").await, sign_in(&host, "Bob").await];
        let seats = matched(&lobbies, "loop-admit").await;
        let options = options(Encoding::Proto);
        let join = async { assert!(Scene::join(&seats[0], &options).await.is_err()) };
        let mut join = std::pin::pin!(join);
        if !is_first {
            meanwhile(&mut neighbour, &mut join, "the question who may enter").await;
        }
        join.await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_game_loses_nothing_but_time() {
    let host = Host::start(&config());
    let mut players = gather(&host, "slow", 2).await;
    let id = players[0].seat.scene_id.clone();
    for player in &players {
        for number in 0..MESSAGES {
            player.scene.send(format!("{number}")).await.expect("the scene's connection is open");
        }
    }
    // Every message is counted, in its order, while each takes its time.
    for player in &mut players {
        for number in 1..=MESSAGES {
            assert_eq!(heard(player).await, number.to_string());
        }
    }
    // Somebody leaves in the middle of a step, and the other one plays on.
    let (mut one, two) = (players.remove(0), players.remove(0));
    one.scene.send("more").await.expect("the scene's connection is open");
    two.scene.leave().await.expect("nobody is kept");
    assert_eq!(heard(&mut one).await, (MESSAGES + 1).to_string());
    one.scene.send("list").await.expect("the scene's connection is open");
    let list = (0..MESSAGES).map(|number| number.to_string()).chain(["more".to_owned()]).collect::<Vec<_>>();
    assert_eq!(heard(&mut one).await, format!("list {}", list.join(",")));
    one.scene.leave().await.expect("nobody is kept");

    put_away(&host).await;
    let (good, said) = host.replay(&[&id]);
    assert!(good && said.contains("all outputs and states are as they were"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_s_time_may_be_over_in_the_middle_of_a_slow_call() {
    let host = Host::start(&config());
    loops(&mut gather(&host, "loop-message", 2).await).await;
    let mut players = gather(&host, "loop-message", 2).await;
    drop(players.remove(1).scene);
    tokio::time::sleep(AWAY).await;
    players[0].scene.send("loop").await.expect("the scene's connection is open");
    // What is due for the seat waits for the game, and the thread does not wait for it.
    assert_eq!(scene_ended(&mut players[0].scene).await.reason(), Reason::Crashed);
}

async fn heard(player: &mut Player) -> String {
    within("an answer", async {
        loop {
            match player.scene.next().await.expect("the scene goes on") {
                SceneEvent::Message(body) => return String::from_utf8_lossy(&body).into_owned(),
                SceneEvent::Pong { .. } => {}
                other => panic!("an answer was expected, {other:?} came"),
            }
        }
    })
    .await
}
