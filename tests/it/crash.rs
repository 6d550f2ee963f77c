//! What was acknowledged is true after the host was killed at any moment, and after a power failure.
//!
//! A load of sign-ins, refreshes, sign-outs and bans runs while the host is killed again and again. What was
//! acknowledged is kept outside of the host ([`Facts`]) and held against it after each restart. A request without an
//! answer has either happened or not: what is found then stays so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::host::{Host, OPS_TOKEN};
use crate::keep_alive::KeepAlive;
use crate::player::device;

/// How often the host is killed in one test; `SCENEHOST_CRASHES` says otherwise, for a longer run.
const CRASHES: u64 = 200;
/// How many clients there are, each of which does one thing after the other.
const CLIENTS: u64 = 8;
/// The load lasts at most so long before the host is killed.
const LOAD_MS_MAX: u64 = 120;
/// How many of the older facts are looked at after each restart, beside those of its own run.
const OLD_FACTS: usize = 40;

/// No games: the host starts at once.
const CONFIG: &str = "[server]\nscenes_max = 16\nscene_threads = 1\n[auth.accounts]\nsessions = 64\n";

fn crashes() -> u64 {
    std::env::var("SCENEHOST_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(CRASHES)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_at_any_moment_every_acknowledged_fact_is_true() {
    let mut host = Host::start(CONFIG);
    let mut facts = Facts::default();
    for round in 0..crashes() {
        load(&host, &mut facts, round).await;
        host.kill9();
        host.restart();
        facts.check(&host, round).await;
    }
    facts.assert_enough(crashes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_failure_at_any_moment_every_acknowledged_fact_is_true() {
    let mut host = Host::start_on_noted_disk(CONFIG);
    let mut facts = Facts::default();
    let mut forgotten = 0;
    for round in 0..crashes() {
        load(&host, &mut facts, round).await;
        forgotten += host.power_failure();
        host.restart_on_noted_disk();
        facts.check(&host, round).await;
    }
    facts.assert_enough(crashes());
    assert!(forgotten > 0, "there was always something that was not synced, if only the store's own log");
}

/// What is known of something that a host keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Is {
    True,
    False,
    /// A request about it was not answered.
    Unknown,
}

#[derive(Clone)]
struct Session {
    user: usize,
    session_token: String,
    refresh_token: String,
    lives: Is,
}

struct User {
    device_id: String,
    /// `None`: its first sign-in was not answered.
    id: Option<String>,
    banned: Is,
}

/// What the clients know. Everything that was acknowledged, and what was asked for without an answer.
#[derive(Default)]
struct Facts {
    users: Vec<User>,
    sessions: Vec<Session>,
    /// Session tokens that a newer one has replaced.
    void: Vec<String>,
    acknowledged: HashMap<&'static str, u64>,
}

impl Facts {
    fn count(&mut self, what: &'static str) {
        *self.acknowledged.entry(what).or_default() += 1;
    }

    fn session_of(&mut self, user: usize, answer: &Value) {
        let text = |field: &str| answer[field].as_str().expect("a sign-in has it").to_owned();
        self.users[user].id = Some(text("userId"));
        let session =
            Session { user, session_token: text("sessionToken"), refresh_token: text("refreshToken"), lives: Is::True };
        self.sessions.push(session);
    }

    /// Holds the facts against the host: those of this round, and some of the older ones.
    async fn check(&mut self, host: &Host, round: u64) {
        let mut client = KeepAlive::connect(host.address()).await;
        let mut rng = StdRng::seed_from_u64(round);
        let some = |len: usize, rng: &mut StdRng| -> Vec<usize> {
            let recent = len.saturating_sub(80)..len;
            let old = (0..OLD_FACTS.min(recent.start)).map(|_| rng.random_range(0..recent.start));
            old.collect::<Vec<_>>().into_iter().chain(recent).collect()
        };
        for index in some(self.users.len(), &mut rng) {
            let user = &self.users[index];
            let (status, answer) = client.sign_in(guest(&user.device_id)).await.expect("the host runs");
            let banned = match status {
                200 => Is::False,
                403 => Is::True,
                _ => panic!("round {round}: {answer}"),
            };
            assert!(
                user.banned == banned || user.banned == Is::Unknown,
                "round {round}: {:?}, found {banned:?}",
                user.banned
            );
            if status == 200 {
                if let Some(id) = &user.id {
                    assert_eq!(answer["userId"], json!(id), "round {round}: a device is the same user");
                }
                // This sign-in was only to look; its session is not to push out one that is a fact.
                let token = answer["sessionToken"].as_str().expect("a sign-in has it");
                client.call("POST", "/v1/auth/sign-out", token, &json!({})).await.expect("the host runs");
            }
            self.users[index].banned = banned;
        }
        for index in some(self.sessions.len(), &mut rng) {
            let session = &self.sessions[index];
            let token = json!({ "sessionToken": session.session_token });
            let (status, answer) = client.sign_in(token).await.expect("the host runs");
            let lives = match status {
                200 => Is::True,
                401 | 403 => Is::False,
                _ => panic!("round {round}: {answer}"),
            };
            assert!(
                session.lives == lives || session.lives == Is::Unknown,
                "round {round}: the session is {:?}, found {lives:?}: {answer}",
                session.lives
            );
            self.sessions[index].lives = lives;
        }
        for index in some(self.void.len(), &mut rng) {
            let token = json!({ "sessionToken": self.void[index] });
            let (status, answer) = client.sign_in(token).await.expect("the host runs");
            assert!(matches!(status, 401 | 403), "round {round}: a token that was replaced signs in: {answer}");
        }
    }

    /// A test that did nothing would prove nothing.
    fn assert_enough(&self, crashes: u64) {
        for what in ["new guest", "refresh", "sign-out", "ban"] {
            let count = self.acknowledged.get(what).copied().unwrap_or_default();
            assert!(count >= crashes / 4, "only {count} times: {what} ({:?})", self.acknowledged);
        }
    }
}

fn guest(device_id: &str) -> Value {
    json!({ "guest": { "deviceId": device_id } })
}

/// Lets all clients work until a random moment; then the host is about to be killed, and what has no answer by then
/// gets none.
async fn load(host: &Host, facts: &mut Facts, round: u64) {
    let shared = Arc::new(Mutex::new(std::mem::take(facts)));
    let over = Arc::new(AtomicBool::new(false));
    let mut rng = StdRng::seed_from_u64(1_000_000 + round);
    let lasts = Duration::from_millis(rng.random_range(5..LOAD_MS_MAX));
    let clients = (0..CLIENTS).map(|client| {
        let (shared, over) = (Arc::clone(&shared), Arc::clone(&over));
        let rng = StdRng::seed_from_u64(round * CLIENTS + client);
        let (public, operators) = (host.address(), host.ops_address());
        tokio::spawn(async move {
            let worker = Worker {
                public: KeepAlive::connect(public).await,
                operators: KeepAlive::connect(operators).await,
                facts: shared,
                rng,
                client,
            };
            worker.work(&over).await;
        })
    });
    let clients: Vec<_> = clients.collect();
    tokio::time::sleep(lasts).await;
    // Whoever is in the middle of something is cut off there: the caller kills the host now.
    for client in &clients {
        client.abort();
    }
    over.store(true, Ordering::Relaxed);
    join_all(clients).await;
    *facts = std::mem::take(&mut *shared.lock().expect("no holder panics"));
}

/// One client. It works on users of its own, so that what it knows cannot change behind its back.
struct Worker {
    public: KeepAlive,
    operators: KeepAlive,
    facts: Arc<Mutex<Facts>>,
    rng: StdRng,
    client: u64,
}

impl Worker {
    async fn work(mut self, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            let done = match self.rng.random_range(0..10) {
                0..3 => self.new_guest().await,
                3..7 => self.refresh().await,
                7..9 => self.sign_out().await,
                _ => self.ban().await,
            };
            if done.is_none() {
                return;
            }
        }
    }

    fn facts<T>(&self, with: impl FnOnce(&mut Facts) -> T) -> T {
        with(&mut self.facts.lock().expect("no holder panics"))
    }

    async fn new_guest(&mut self) -> Option<()> {
        let device_id = device();
        let user = self.facts(|facts| {
            facts.users.push(User { device_id: device_id.clone(), id: None, banned: Is::False });
            facts.users.len() - 1
        });
        let (status, answer) = self.public.sign_in(guest(&device_id)).await?;
        assert_eq!(status, 200, "{answer}");
        self.facts(|facts| {
            facts.session_of(user, &answer);
            facts.count("new guest");
        });
        Some(())
    }

    /// One of the sessions of this client that live, if there is one.
    fn session(&mut self) -> Option<(usize, Session)> {
        let of_client = |session: &Session| session.user as u64 % CLIENTS == self.client && session.lives == Is::True;
        let live: Vec<(usize, Session)> = self.facts(|facts| {
            let of_users = facts.sessions.iter().enumerate().rev().filter(|(_, session)| of_client(session)).take(20);
            let open = of_users.filter(|(_, session)| facts.users[session.user].banned == Is::False);
            open.map(|(index, session)| (index, session.clone())).collect()
        });
        (!live.is_empty()).then(|| live[self.rng.random_range(0..live.len())].clone())
    }

    async fn refresh(&mut self) -> Option<()> {
        let Some((index, session)) = self.session() else { return Some(()) };
        let body = json!({ "refreshToken": session.refresh_token });
        let (status, answer) = self.public.call("POST", "/v1/auth/refresh", "", &body).await?;
        assert_eq!(status, 200, "{answer}");
        let text = |field: &str| answer[field].as_str().expect("a refresh has it").to_owned();
        let (session_token, refresh_token) = (text("sessionToken"), text("refreshToken"));
        // From now on both pairs are good, until the new one is used.
        self.facts(|facts| {
            facts.sessions[index].session_token.clone_from(&session_token);
            facts.sessions[index].refresh_token = refresh_token;
        });
        let (status, answer) = self.public.sign_in(json!({ "sessionToken": session_token })).await?;
        assert_eq!(status, 200, "{answer}");
        self.facts(|facts| {
            facts.void.push(session.session_token);
            facts.count("refresh");
        });
        Some(())
    }

    async fn sign_out(&mut self) -> Option<()> {
        let Some((index, session)) = self.session() else { return Some(()) };
        self.facts(|facts| facts.sessions[index].lives = Is::Unknown);
        let done = self.public.call("POST", "/v1/auth/sign-out", &session.session_token, &json!({})).await?;
        assert_eq!(done.0, 204, "{done:?}");
        self.facts(|facts| {
            facts.sessions[index].lives = Is::False;
            facts.count("sign-out");
        });
        Some(())
    }

    async fn ban(&mut self) -> Option<()> {
        let Some((_, session)) = self.session() else { return Some(()) };
        let user = session.user;
        let id = self.facts(|facts| {
            facts.users[user].banned = Is::Unknown;
            facts.sessions.iter_mut().filter(|session| session.user == user).for_each(|session| {
                if session.lives == Is::True {
                    session.lives = Is::Unknown;
                }
            });
            facts.users[user].id.clone().expect("it has a session")
        });
        let path = format!("/v1/users/{id}/ban");
        let done = self.operators.call("POST", &path, OPS_TOKEN, &json!({ "reason": "a test" })).await?;
        assert_eq!(done.0, 204, "{done:?}");
        self.facts(|facts| {
            facts.users[user].banned = Is::True;
            facts
                .sessions
                .iter_mut()
                .filter(|session| session.user == user)
                .for_each(|session| session.lives = Is::False);
            facts.count("ban");
        });
        Some(())
    }
}
