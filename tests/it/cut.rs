//! A thousand clients whose connections are reset at once, in running arenas: all are back in their
//! seats, and nothing that was said in either direction is lost or comes twice.
//!
//! The clients are bare: each counts the frames that come (the numbers are checked by [`Raw`]), the ticks
//! that the arena tells, and what it has sent.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use scenehost_client::{Encoding, v1};
use scenehost_protocol::v1::server_frame::Body;
use scenehost_protocol::v1::{client_frame, req_sign_in};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::time::{Instant, timeout_at};

use crate::host::{Host, alone};
use crate::player::device;
use crate::raw::{self, Raw, find_match, ping};

const CLIENTS: usize = 1_000;
const PLAYERS: usize = 4;
const INPUT_EVERY: Duration = Duration::from_millis(200);
/// How long they play before each cut, and after the last.
const PLAY: Duration = Duration::from_secs(3);
const CUTS: usize = 2;
/// How long they are away at least, so that each has missed some ticks.
const AWAY: Duration = Duration::from_millis(200);
/// How long a client may take to be back.
const BACK_MAX: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_that_are_cut_at_once_are_back_in_their_seats_and_have_missed_nothing() {
    let _alone = alone().await;
    let host = Host::start(&format!(
        r#"
[server]
scenes_max = 512
scene_threads = 1

[fleets.arena]
plugin = "arena"
configuration = {{ round_s = 600 }}
scene = {{ tick_rate_hz = 20 }}

[domains.arena]
fleet = "arena"
players_min = {PLAYERS}
players_max = {PLAYERS}
"#
    ));
    let together = Arc::new(Barrier::new(CLIENTS));
    let clients = join_all((0..CLIENTS).map(|_| client(&host, Arc::clone(&together)))).await;
    let slowest = clients.iter().map(|client| client.back_after).max().expect("there are clients");
    println!("{CLIENTS} clients, cut {CUTS} times: the slowest was back after {slowest:.2?}");
    assert!(slowest < BACK_MAX, "{slowest:?}");
}

/// A client in its arena.
struct Client {
    /// `None` only while it is away.
    scene: Option<Raw>,
    made: v1::ResMatch,
    sent: u32,
    tick: u64,
    back_after: Duration,
}

async fn client(host: &Host, together: Arc<Barrier>) -> Client {
    let mut lobby = Raw::lobby(host, Encoding::Proto).await;
    let Body::ResSignIn(session) = lobby.ask(raw::sign_in(&device(), "Ada")).await else { panic!("no sign-in") };
    lobby.ask(find_match("arena")).await;
    let made = lobby.next_that(|body| if let Body::ResMatch(made) = body { Some(made) } else { None }).await;
    let mut scene = Raw::scene(host, &made.scene_id, Encoding::Proto).await;
    let Body::ResJoinScene(_) = scene.ask(raw::join(&made.scene_token)).await else { panic!("not inside") };
    let mut client = Client { scene: Some(scene), made, sent: 0, tick: 0, back_after: Duration::ZERO };

    for _ in 0..CUTS {
        client.play(PLAY).await;
        together.wait().await;
        let began = Instant::now();
        let seen_in_lobby = lobby.seen();
        lobby.cut();
        client.cut_and_come_back(host).await;
        lobby = resume_lobby(host, &session.session_token, seen_in_lobby).await;
        client.back_after = client.back_after.max(began.elapsed());
    }
    client.play(PLAY).await;
    // Whatever was said and cut, every input has come, and each once.
    let Body::Pong(pong) = client.scene().ask(ping(0)).await else { panic!("no pong") };
    assert_eq!(pong.received, client.sent);
    client
}

async fn resume_lobby(host: &Host, session_token: &str, seen: u32) -> Raw {
    let mut lobby = Raw::lobby(host, Encoding::Proto).await;
    let credential = Some(req_sign_in::Credential::SessionToken(session_token.to_owned()));
    let sign_in = v1::ReqSignIn { credential, device: String::new(), resume_seq: Some(seen) };
    let answer = lobby.ask(client_frame::Body::ReqSignIn(sign_in)).await;
    assert!(matches!(answer, Body::ResSignIn(session) if session.resumed));
    lobby.expect_after(seen);
    lobby
}

impl Client {
    fn scene(&mut self) -> &mut Raw {
        self.scene.as_mut().expect("not away")
    }

    async fn play(&mut self, span: Duration) {
        let until = Instant::now() + span;
        let mut input_at = Instant::now();
        while Instant::now() < until {
            match timeout_at(input_at, self.scene().next()).await {
                Ok(frame) => self.got(frame.body),
                Err(_) => {
                    input_at += INPUT_EVERY;
                    self.sent += 1;
                    self.input(self.sent).await;
                }
            }
        }
    }

    async fn input(&mut self, n: u32) {
        let turn = f64::from(n) * 0.3;
        let input = json!({"type": "input", "n": n, "move": [turn.cos(), turn.sin()], "aim": turn, "fire": false});
        self.scene().tell(raw::message(input.to_string().as_bytes())).await;
    }

    fn got(&mut self, body: Option<Body>) {
        let Some(Body::SceneMessage(message)) = body else { panic!("{body:?}") };
        let message: Value = serde_json::from_slice(&message.body).expect("arena speaks JSON");
        if message["type"] == "snapshot" {
            let tick = message["tick"].as_u64().expect("a number");
            assert!(self.tick == 0 || tick == self.tick + 1, "tick {tick} came after {}", self.tick);
            self.tick = tick;
        }
    }

    /// The connection is reset in the middle of what is said; a new one goes on with the line.
    async fn cut_and_come_back(&mut self, host: &Host) {
        self.sent += 1;
        self.input(self.sent).await;
        let seen = self.scene().seen();
        self.scene.take().expect("not away").cut();
        tokio::time::sleep(AWAY).await;
        let mut scene = Raw::scene(host, &self.made.scene_id, Encoding::Proto).await;
        let answer = scene.ask(raw::resume(&self.made.scene_token, Some(seen))).await;
        let Body::ResJoinScene(back) = answer else { panic!("not inside again: {answer:?}") };
        assert!(back.resumed && back.after_seq == seen);
        scene.expect_after(seen);
        self.scene = Some(scene);
        for n in back.received + 1..=self.sent {
            self.input(n).await;
        }
    }
}
