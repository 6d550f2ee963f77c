//! A store that cannot be written for a while, because its disk is full or hangs: users are told, what needs
//! no write goes on, all of it opens again, and what was acknowledged is there whatever happens next.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forgetful::{FULL, STUCK, UNSYNCED};
use futures_util::future::join_all;
use scenehost_client::{Encoding, Error, Lobby, LobbyEvent, Owner, v1};
use serde_json::{Value, json};

use crate::host::{Host, OPS_TOKEN, until, within};
use crate::keep_alive::KeepAlive;
use crate::player::{device, gather, refusal, sign_in, sign_in_as};

const CONFIG: &str = r#"
[server]
scenes_max = 16
scene_threads = 1
drain_ms = 0

[fleets.echo]
plugin = "hostile"

[domains.pair]
fleet = "echo"
players_min = 2
players_max = 2
"#;

async fn new_guest(http: &mut KeepAlive) -> (u16, Value) {
    http.sign_in(json!({ "guest": { "deviceId": device() } })).await.expect("an answer")
}

fn token(signed_in: &Value) -> String {
    signed_in["sessionToken"].as_str().expect("a token").to_owned()
}

/// Signs a guest in, once what was just told of the store is known everywhere.
async fn guest_again(http: &mut KeepAlive, credential: Value) -> Value {
    within("sign-ins again", async {
        loop {
            match http.sign_in(credential.clone()).await.expect("an answer") {
                (200, answer) => return answer,
                (status, answer) => assert_eq!(status, 503, "{answer}"),
            }
        }
    })
    .await
}

/// The status of a sign-in with a session token.
async fn resume(http: &mut KeepAlive, token: &str) -> u16 {
    http.sign_in(json!({ "sessionToken": token })).await.expect("an answer").0
}

/// Waits until a user is told that the store is down, or up.
async fn told(lobby: &Lobby, up: bool) {
    within("word of the store", async {
        loop {
            match lobby.next().await {
                Some(LobbyEvent::Service(told)) => {
                    assert_eq!((told.service(), told.up), (v1::Service::Db, up));
                    return;
                }
                Some(LobbyEvent::Gone(why)) => panic!("gone: {why}"),
                Some(_) => {}
                None => panic!("the lobby's connection ended: {:?}", lobby.end()),
            }
        }
    })
    .await;
}

/// Guests who sign in, one after the other at each of some connections, whatever the answer.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    acknowledged: Mutex<Vec<String>>,
    refused: AtomicU64,
}

impl Load {
    async fn run(self: Arc<Self>, host: std::net::SocketAddr) {
        join_all((0..8).map(|_| async {
            let mut http = KeepAlive::connect(host).await;
            while !self.over.load(Relaxed) {
                match new_guest(&mut http).await {
                    (200, answer) => self.acknowledged.lock().expect("no holder panics").push(token(&answer)),
                    // Whether it was done is not known: it was on its way when the disk was full.
                    (504, _) => {}
                    (status, answer) => {
                        assert_eq!((status, answer["code"].as_str()), (503, Some("SERVICE_DOWN")), "{answer}");
                        self.refused.fetch_add(1, Relaxed);
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            }
        }))
        .await;
    }

    /// A user who counts in a stored record: how far it must have come, and how far it may.
    async fn count(self: Arc<Self>, lobby: Lobby) -> (u64, u64) {
        let (mut saved, mut tried) = (0, 0);
        while !self.over.load(Relaxed) {
            tried += 1;
            let value = Some(tried.to_string().into_bytes().into());
            let change = v1::RecordChange { key: "count".to_owned(), value, ..v1::RecordChange::default() };
            match lobby.write_records("hostile", vec![change]).await {
                Ok(_) => saved = tried,
                Err(Error::Refused(refused)) => {
                    assert!(matches!(refused.code(), v1::Code::ServiceDown | v1::Code::TimedOut), "{refused:?}");
                }
                Err(other) => panic!("{other}"),
            }
            // No more than a client may ask for.
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        (saved, tried)
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged.lock().expect("no holder panics").len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_is_full_games_go_on_and_sign_ins_are_refused_and_all_of_it_opens_again() {
    let mut host = Host::start_on_noted_disk(CONFIG);
    let mut http = KeepAlive::connect(host.address()).await;
    let mut players = gather(&host, "pair", 2).await;
    let watcher = sign_in(&host, "Watcher").await;
    let load = Arc::new(Load::default());
    let running = tokio::spawn(Arc::clone(&load).run(host.address()));
    let writer = device();
    let counting = sign_in_as(&host, &writer, "Writer", Encoding::Proto).await;
    let counting = tokio::spawn(Arc::clone(&load).count(counting));
    until("the load to begin", async || load.acknowledged() > 50).await;

    for fault in [FULL, UNSYNCED, FULL] {
        host.disk_is("data", fault, true);
        told(&watcher, false).await;
        let at_begin = load.acknowledged();
        let (status, refused) = new_guest(&mut http).await;
        assert_eq!((status, refused["code"].as_str()), (503, Some("SERVICE_DOWN")), "{refused}");
        assert!(refused["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0), "{refused}");
        let refused = refusal(watcher.find_match("pair").await);
        assert!(refused.code() == v1::Code::ServiceDown && refused.text.contains("saving"), "{refused:?}");
        let (status, health) = host.health().await;
        assert!(status == 503 && health.contains("the store cannot be written"), "{health}");
        assert_eq!(host.metrics().await.get("scenehost_store_up"), 0.0);
        let bearer = format!("Bearer {OPS_TOKEN}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        for (path, body) in [("/v1/store/backup", "{}"), ("/v1/scenes", r#"{"fleet":"echo","count":1}"#)] {
            assert_eq!(host.ops("POST", path, &headers, body).await.status, 503, "{path}");
        }
        let known = load.acknowledged.lock().expect("no holder panics").clone();
        for known in known.iter().rev().take(20) {
            assert_eq!(resume(&mut http, known).await, 200, "a session goes on");
        }
        let refused = load.refused.load(Relaxed);
        until("others to be refused", async || load.refused.load(Relaxed) > refused + 50).await;
        for player in &mut players {
            player.echo(&format!("while it is {fault}")).await;
        }
        assert!(load.acknowledged() <= at_begin + 8, "no more than what was written already");

        host.disk_is("data", fault, false);
        told(&watcher, true).await;
        assert_eq!(host.health().await, (200, "ok\n".to_owned()));
        let before = load.acknowledged();
        until("sign-ins again", async || load.acknowledged() > before + 50).await;
    }
    gather(&host, "pair", 2).await;
    load.over.store(true, Relaxed);
    within("the load to end", running).await.expect("it does not panic");
    let (saved, tried) = within("the count to end", counting).await.expect("it does not panic");
    players[0].echo("still here").await;

    // What was written and not synced is gone with the power.
    host.power_failure();
    host.restart_on_noted_disk();
    let mut http = KeepAlive::connect(host.address()).await;
    let acknowledged = load.acknowledged.lock().expect("no holder panics").clone();
    for token in &acknowledged {
        assert_eq!(resume(&mut http, token).await, 200, "acknowledged before, between or after");
    }
    let writer = sign_in_as(&host, &writer, "Writer", Encoding::Proto).await;
    let counted = writer.read_records("hostile", Owner::Own, vec!["count".to_owned()]).await.expect("it can be read");
    let counted: u64 = std::str::from_utf8(&counted[0].value).expect("text").parse().expect("a number");
    assert!((saved..=tried).contains(&counted) && saved > 10, "{counted} of {saved} to {tried}");
    let (done, said) = host.store(&["check"]);
    assert!(done, "{said}");
}

#[tokio::test]
async fn a_disk_that_hangs_is_down_too_and_what_was_on_its_way_is_done_in_the_end() {
    let host = Host::start_on_noted_disk(CONFIG);
    let watcher = sign_in(&host, "Watcher").await;
    let device_id = device();
    let mut http = KeepAlive::connect(host.address()).await;
    host.disk_is("data", STUCK, true);
    // Nobody hears whether this was done.
    let guest = json!({ "guest": { "deviceId": device_id } });
    let (status, refused) = http.sign_in(guest.clone()).await.expect("an answer");
    assert_eq!((status, refused["code"].as_str()), (504, Some("TIMED_OUT")), "{refused}");
    told(&watcher, false).await;
    let (status, refused) = new_guest(&mut http).await;
    assert_eq!((status, refused["code"].as_str()), (503, Some("SERVICE_DOWN")), "{refused}");
    host.disk_is("data", STUCK, false);
    told(&watcher, true).await;
    let answer = guest_again(&mut http, guest).await;
    assert_eq!(answer["created"].as_bool(), None, "the account is there already: {answer}");
}

#[tokio::test]
async fn a_host_that_stops_while_its_disk_is_full_says_what_was_never_written() {
    let mut host = Host::start_on_noted_disk(CONFIG);
    let mut http = KeepAlive::connect(host.address()).await;
    let (_, known) = new_guest(&mut http).await;
    host.disk_is("data", FULL, true);
    let (status, refused) = new_guest(&mut http).await;
    assert_eq!((status, refused["code"].as_str()), (504, Some("TIMED_OUT")), "{refused}");
    assert_eq!(new_guest(&mut http).await.0, 503);
    host.terminate();
    let status = host.ended().await;
    let log = host.log();
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(log.contains("never written nor acknowledged: 1, for") && log.contains("No space left"), "{log}");
    host.restart();
    let mut http = KeepAlive::connect(host.address()).await;
    assert_eq!(resume(&mut http, &token(&known)).await, 200);
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_again_is_read_meanwhile() {
    let part = "data/store";
    let host = Host::start_on_disk_of(CONFIG, part);
    let watcher = sign_in(&host, "Watcher").await;
    let mut http = KeepAlive::connect(host.address()).await;
    let (_, known) = new_guest(&mut http).await;
    // Beside the store there is room, so it is closed and opened again, and finds none.
    host.disk_is(part, FULL, true);
    let mut lost = KeepAlive::connect(host.address()).await;
    let asked = tokio::spawn(async move { new_guest(&mut lost).await.0 });
    told(&watcher, false).await;
    until("tries to open it", async || host.log().matches("cannot be opened again").count() >= 3).await;
    for _ in 0..20 {
        assert_eq!(resume(&mut http, &token(&known)).await, 200, "a session goes on");
    }
    assert_eq!(new_guest(&mut http).await.0, 503);
    host.disk_is(part, FULL, false);
    told(&watcher, true).await;
    let after = guest_again(&mut http, json!({ "guest": { "deviceId": device() } })).await;
    assert_eq!(resume(&mut http, &token(&after)).await, 200);
    assert!(matches!(within("an answer", asked).await, Ok(200 | 504)), "it was written in the end");
}
