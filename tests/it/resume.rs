//! Connections that are cut at any moment, and clients that come back by themselves: nothing is lost and nothing
//! comes twice.
//!
//! A small proxy between clients and the host cuts connections as a broken network does: reset, without a word.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use scenehost_client::{Credential, Encoding, Lobby, LobbyEvent, Options, Scene, SceneEvent};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::host::{Host, alone, within};
use crate::player::{device, matched, options};

const CONFIG: &str = r#"
[server]
scenes_max = 512
scene_threads = 2

[fleets.echo]
plugin = "hostile"

[domains.echo]
fleet = "echo"
players_min = 2
players_max = 2

[fleets.arena]
plugin = "arena"
configuration = { round_s = 600 }
scene = { tick_rate_hz = 20 }

[domains.arena]
fleet = "arena"
players_min = 4
players_max = 4
"#;
/// How often all connections are cut while somebody plays.
const CUTS: u32 = 12;
/// The host lets 60 messages a second through.
const SEND_EVERY: Duration = Duration::from_millis(25);

/// Stands between clients and the host until it is dropped.
struct Proxy {
    address: SocketAddr,
    cuts: watch::Sender<u32>,
}

impl Proxy {
    async fn before(host: &Host) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let (cuts, cut) = watch::channel(0);
        let host = host.address();
        tokio::spawn(async move {
            let mut over = cut.clone();
            loop {
                tokio::select! {
                    Ok((client, _)) = listener.accept() => drop(tokio::spawn(connect(client, host, cut.clone()))),
                    Err(_) = over.changed() => return,
                    else => {}
                }
            }
        });
        Self { address, cuts }
    }

    fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Cuts all connections that stand.
    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Cuts all connections now and then, at times that nobody can foresee.
    async fn cut_at_random(&self, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..CUTS {
            sleep(Duration::from_millis(rng.random_range(1..400))).await;
            self.cut();
        }
    }
}

/// Carries bytes both ways until the connection is cut.
async fn connect(mut client: TcpStream, host: SocketAddr, mut cut: watch::Receiver<u32>) {
    cut.mark_unchanged();
    let mut host = TcpStream::connect(host).await.expect("the host listens");
    host.set_nodelay(true).expect("a socket has the option");
    client.set_nodelay(true).expect("a socket has the option");
    tokio::select! {
        _ = cut.changed() => {
            // Both sides see a reset.
            client.set_zero_linger().expect("a socket has the option");
            host.set_zero_linger().expect("a socket has the option");
        }
        // Whichever side ends it.
        _ = copy_bidirectional(&mut client, &mut host) => {}
    }
}

fn quick(encoding: Encoding) -> Options {
    Options { backoff_max: Duration::from_millis(500), ..options(encoding) }
}

async fn sign_in(proxy: &Proxy, name: &str, encoding: Encoding) -> Lobby {
    let credential = Credential::Guest { device_id: device(), name: name.to_owned() };
    Lobby::connect(&proxy.url(), credential, quick(encoding)).await.expect("a guest may sign in")
}

/// Lets users of the lobby play together. The first connection to a scene is tried once, so nothing is cut yet.
async fn enter(lobbies: &[Lobby], domain: &str, encodings: &[Encoding]) -> Vec<Scene> {
    let seats = matched(lobbies, domain).await;
    let scenes = seats
        .iter()
        .zip(encodings)
        .map(async |(seat, encoding)| Scene::join(seat, &quick(*encoding)).await.expect("the token lets them in"));
    join_all(scenes).await
}

/// How often a line was lost and came back, by its events.
#[derive(Default, Debug)]
struct Returns {
    complete: u32,
    incomplete: u32,
    last: Option<Instant>,
}

impl Returns {
    fn count(&mut self, complete: bool) {
        self.last = Some(Instant::now());
        match complete {
            true => self.complete += 1,
            false => self.incomplete += 1,
        }
    }
}

/// Plays in an echoing scene: sends numbers for as long as `playing` says, and then waits until the last one is back.
async fn count_aloud(scene: &mut Scene, playing: &watch::Receiver<bool>) -> (u64, Returns) {
    let (mut sent, mut heard, mut returns) = (0_u64, 0_u64, Returns::default());
    let mut send_at = Instant::now();
    while *playing.borrow() || heard < sent {
        match timeout_at(send_at, scene.next()).await {
            Err(_) => {
                send_at += SEND_EVERY;
                if *playing.borrow() {
                    sent += 1;
                    scene.send(sent.to_string()).await.expect("there is room");
                }
            }
            Ok(Some(SceneEvent::Message(body))) => {
                heard += 1;
                assert_eq!(body, heard.to_string(), "each number comes back once and in its order");
            }
            Ok(Some(SceneEvent::Dropped { .. })) => {}
            Ok(Some(SceneEvent::Resumed { complete })) => returns.count(complete),
            Ok(other) => panic!("{other:?}"),
        }
    }
    (sent, returns)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_cut_off_again_and_again_plays_on_and_nothing_is_lost_or_doubled() {
    let host = Host::start(CONFIG);
    let proxy = Proxy::before(&host).await;
    let lobbies = [sign_in(&proxy, "Ada", Encoding::Proto).await, sign_in(&proxy, "Bob", Encoding::Json).await];
    let mut scenes = enter(&lobbies, "echo", &[Encoding::Proto, Encoding::Json]).await;
    let (stop, playing) = watch::channel(true);
    let cutting = async {
        proxy.cut_at_random(1).await;
        stop.send_replace(false);
    };
    let play = scenes.iter_mut().map(|scene| count_aloud(scene, &playing));
    let played = async { tokio::join!(cutting, join_all(play)).1 };
    for (sent, returns) in within("the game", played).await {
        assert!(sent > 20, "{sent}");
        assert!(returns.complete >= CUTS / 3 && returns.incomplete == 0, "{returns:?}");
    }
    for lobby in &lobbies {
        within("the lobby's return", lobby.ping()).await.expect("the lobby is back too");
        while let Ok(Some(event)) = timeout_at(Instant::now(), lobby.next()).await {
            assert!(!matches!(event, LobbyEvent::Resumed { complete: false } | LobbyEvent::Gone(_)), "{event:?}");
        }
    }
}

/// Sees every tick of an arena while all connections are cut.
async fn watch_ticks(scene: &mut Scene, playing: &watch::Receiver<bool>) -> (u64, Returns) {
    let (mut ticks, mut last, mut returns) = (0_u64, None, Returns::default());
    let mut number = 0_u64;
    let mut send_at = Instant::now();
    while *playing.borrow() {
        match timeout_at(send_at, scene.next()).await {
            Err(_) => {
                send_at += 4 * SEND_EVERY;
                number += 1;
                let turn = number as f64 * 0.3;
                let input =
                    json!({"type": "input", "n": number, "move": [turn.cos(), turn.sin()], "aim": turn, "fire": false});
                scene.send(input.to_string()).await.expect("there is room");
            }
            Ok(Some(SceneEvent::Message(body))) => {
                let message: Value = serde_json::from_slice(&body).expect("arena speaks JSON");
                if message["type"] == "snapshot" {
                    let tick = message["tick"].as_u64().expect("a number");
                    assert!(last.is_none_or(|last| tick == last + 1), "after {last:?} came {tick}");
                    last = Some(tick);
                    ticks += 1;
                }
            }
            Ok(Some(SceneEvent::Dropped { .. })) => {}
            Ok(Some(SceneEvent::Resumed { complete })) => returns.count(complete),
            Ok(other) => panic!("{other:?}"),
        }
    }
    (ticks, returns)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tick_of_an_arena_is_seen_once_although_connections_are_cut() {
    let host = Host::start(CONFIG);
    let proxy = Proxy::before(&host).await;
    let (_lobbies, mut scenes) = pilots(&proxy, 4).await;
    let (stop, playing) = watch::channel(true);
    let cutting = async {
        proxy.cut_at_random(2).await;
        // The last return is part of it.
        sleep(Duration::from_secs(1)).await;
        stop.send_replace(false);
    };
    let play = scenes.iter_mut().map(|scene| watch_ticks(scene, &playing));
    let played = async { tokio::join!(cutting, join_all(play)).1 };
    for (ticks, returns) in within("the game", played).await {
        assert!(ticks > 20, "{ticks}");
        assert!(returns.complete >= CUTS / 3 && returns.incomplete == 0, "{returns:?}");
    }
}

/// As in `cut.rs`, here with clients that come back by themselves, in their own time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_are_cut_at_once_come_back_by_themselves() {
    const PILOTS: usize = 1_000;
    const BACK_MAX: Duration = Duration::from_secs(5);
    let _alone = alone().await;
    let host = Host::start(CONFIG);
    let proxy = Proxy::before(&host).await;
    let (_lobbies, mut scenes) = pilots(&proxy, PILOTS).await;
    let (stop, playing) = watch::channel(true);
    let cutting = async {
        sleep(Duration::from_secs(2)).await;
        let cut_at = Instant::now();
        proxy.cut();
        sleep(BACK_MAX).await;
        stop.send_replace(false);
        cut_at
    };
    let play = scenes.iter_mut().map(|scene| watch_ticks(scene, &playing));
    let (cut_at, played) = within("the game", async { tokio::join!(cutting, join_all(play)) }).await;
    let back = played.iter().map(|(ticks, returns)| {
        assert!(returns.complete >= 1 && returns.incomplete == 0, "back in time, after {ticks} ticks: {returns:?}");
        returns.last.map_or(Duration::ZERO, |last| last - cut_at)
    });
    let slowest = back.max().expect("there are pilots");
    println!("{PILOTS} clients with two connections each: the slowest was back after {slowest:.2?}");
    assert!(slowest < BACK_MAX, "{slowest:?}");
}

/// Users in arenas of four.
async fn pilots(proxy: &Proxy, count: usize) -> (Vec<Lobby>, Vec<Scene>) {
    let pilots = (0..count).map(async |number| {
        let lobby = sign_in(proxy, &format!("Pilot {number}"), Encoding::Proto).await;
        let seat = lobby.find_match("arena").await.expect("they are matched");
        let scene = Scene::join(&seat, &quick(Encoding::Proto)).await.expect("the token lets them in");
        (lobby, scene)
    });
    join_all(pilots).await.into_iter().unzip()
}

#[tokio::test]
async fn a_session_token_that_is_good_no_more_is_refreshed_and_the_line_goes_on() {
    let host = Host::start(CONFIG);
    let proxy = Proxy::before(&host).await;
    let first = sign_in(&proxy, "Ada", Encoding::Proto).await;
    let kept = first.session();
    first.close().await;
    // The host cannot tell one that has expired from one that never was.
    let tokens = Credential::Tokens { session_token: "0".repeat(64), refresh_token: kept.refresh_token.clone() };
    let ada = Lobby::connect(&proxy.url(), tokens, quick(Encoding::Proto)).await.expect("the refresh token is good");
    assert_eq!(ada.session().user_id, kept.user_id);
    let Some(LobbyEvent::Refreshed(fresh)) = ada.next().await else { panic!("the new tokens are told") };
    assert_ne!(fresh.session_token, kept.session_token);
    proxy.cut();
    let returned = async {
        loop {
            if let LobbyEvent::Resumed { complete } = ada.next().await.expect("it goes on") {
                return complete;
            }
        }
    };
    assert!(within("the return", returned).await);
    assert_eq!(ada.session().refresh_token, fresh.refresh_token, "a sign-in by a token does not tell it again");
}
