//! Money and items after the host was killed, or the power failed, at any moment: nothing that was acknowledged is
//! lost, a request that is sent again has its effect once, and no more is sold than there was.
//!
//! Each user asks for one thing after the other. What has no answer when the host goes is asked for again, by the same
//! request id, after its restart; from then on it is known what the wallet has to be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use scenehost_client::v1::req_shop::{Ask, Buy, Wallet};
use scenehost_client::{Credential, Encoding, Error, Lobby};
use serde_json::json;

use crate::host::{Host, OPS_TOKEN};
use crate::keep_alive::KeepAlive;
use crate::player::{device, without_return};

/// How often the host is killed in each test; `SCENEHOST_CRASHES` says otherwise, for a longer run.
const CRASHES: u64 = 60;
const USERS: usize = 6;
/// The load lasts at most so long before the host is killed.
const LOAD_MS_MAX: u64 = 100;
/// How many hats there are for everybody together.
const HATS: u64 = 20;
const CATALOGUE: &str = r#"
[currencies.coin]
[items.potion]
[items.hat]
[offers.potion]
title = "A potion"
price = { coin = 1 }
gives = { potion = 1 }
[offers.hat]
title = "A hat"
price = { coin = 2 }
gives = { hat = 1 }
stock = 20
"#;

fn crashes() -> u64 {
    std::env::var("SCENEHOST_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(CRASHES)
}

fn config(folder: &std::path::Path) -> String {
    let file = folder.join("catalogue.toml");
    std::fs::write(&file, CATALOGUE).expect("the folder is writable");
    format!("[economy]\ncatalogue = {:?}\n", file.display().to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_wallets_have_what_was_acknowledged_once() {
    let folder = tempfile::tempdir().expect("there is room");
    let mut host = Host::start(&config(folder.path()));
    let mut users: Vec<User> = (0..USERS).map(User::new).collect();
    for round in 0..crashes() {
        users = load(&host, users, round).await;
        host.kill9();
        host.restart();
        check(&host, &mut users, round).await;
    }
    assert_enough(&host, &users);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_failure_wallets_have_what_was_acknowledged_once() {
    let folder = tempfile::tempdir().expect("there is room");
    let mut host = Host::start_on_noted_disk(&config(folder.path()));
    let mut users: Vec<User> = (0..USERS).map(User::new).collect();
    for round in 0..crashes() {
        users = load(&host, users, round).await;
        host.power_failure();
        host.restart_on_noted_disk();
        check(&host, &mut users, round).await;
    }
    assert_enough(&host, &users);
}

/// Something that changes the wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    /// An operator gives three coins.
    Grant,
    Potion,
    Hat,
}

struct User {
    device: String,
    rng: StdRng,
    requests: u64,
    /// What has to be there.
    wallet: BTreeMap<String, u64>,
    /// What was asked for, and has no answer.
    open: Option<(Act, String)>,
    done: BTreeMap<Act, u64>,
    /// How often something was asked for again.
    repeated: u64,
}

impl User {
    fn new(number: usize) -> Self {
        Self {
            device: device(),
            rng: StdRng::seed_from_u64(number as u64),
            requests: 0,
            wallet: BTreeMap::new(),
            open: None,
            done: BTreeMap::new(),
            repeated: 0,
        }
    }

    async fn lobby(&self, host: &str) -> Result<Lobby, Error> {
        let credential = Credential::Guest { device_id: self.device.clone(), name: String::new() };
        Lobby::connect(host, credential, without_return(Encoding::Proto)).await
    }

    fn has_done(&mut self, act: Act) {
        let mut change = |name: &str, by: i64| {
            let count = self.wallet.entry(name.to_owned()).or_default();
            *count = count.checked_add_signed(by).expect("it was allowed");
        };
        match act {
            Act::Grant => change("coin", 3),
            Act::Potion => {
                change("coin", -1);
                change("potion", 1);
            }
            Act::Hat => {
                change("coin", -2);
                change("hat", 1);
            }
        }
        self.wallet.retain(|_, count| *count > 0);
        *self.done.entry(act).or_default() += 1;
    }

    /// Asks for what is open, and takes note of the answer; `None`: there was none.
    async fn ask(&mut self, lobby: &Lobby, operators: &mut KeepAlive) -> Option<()> {
        let (act, request_id) = self.open.clone()?;
        let allowed = match act {
            Act::Grant => {
                let grant = json!({ "amounts": { "coin": "3" }, "note": "a test", "requestId": request_id });
                let frame = json!({ "reqShop": { "userId": lobby.session().user_id, "grant": grant } });
                match operators.call("POST", "/v1/ask", OPS_TOKEN, &frame).await?.0 {
                    200 => true,
                    400..500 => false,
                    _ => return None,
                }
            }
            Act::Potion | Act::Hat => {
                let offer = if act == Act::Hat { "hat" } else { "potion" }.to_owned();
                match lobby.shop(Ask::Buy(Buy { offer, count: 1, request_id })).await {
                    Ok(_) => true,
                    Err(Error::Refused(_)) => false,
                    Err(_) => return None,
                }
            }
        };
        self.open = None;
        if allowed {
            self.has_done(act);
        }
        Some(())
    }

    /// Asks for one thing after the other until the host goes.
    async fn work(mut self, host: String, operators: std::net::SocketAddr, over: Arc<AtomicBool>) -> Self {
        let Ok(lobby) = self.lobby(&host).await else { return self };
        let mut operators = KeepAlive::connect(operators).await;
        while !over.load(Ordering::Relaxed) {
            let act = [Act::Grant, Act::Potion, Act::Potion, Act::Hat][self.rng.random_range(0..4)];
            self.requests += 1;
            self.open = Some((act, format!("request-{}", self.requests)));
            if self.ask(&lobby, &mut operators).await.is_none() {
                break;
            }
        }
        self
    }
}

/// Lets all users work, and kills the host in the middle of it.
async fn load(host: &Host, users: Vec<User>, round: u64) -> Vec<User> {
    let over = Arc::new(AtomicBool::new(false));
    let lasts = Duration::from_millis(StdRng::seed_from_u64(round).random_range(20..LOAD_MS_MAX));
    let tasks: Vec<_> = users
        .into_iter()
        .map(|user| tokio::spawn(user.work(host.url(), host.ops_address(), Arc::clone(&over))))
        .collect();
    tokio::time::sleep(lasts).await;
    host.kill_now();
    over.store(true, Ordering::Relaxed);
    join_all(tasks).await.into_iter().map(|user| user.expect("no user panics")).collect()
}

/// What has no answer is asked for again; then every wallet has to be as its user knows it.
async fn check(host: &Host, users: &mut [User], round: u64) {
    let mut operators = KeepAlive::connect(host.ops_address()).await;
    for user in users {
        let lobby = user.lobby(&host.url()).await.expect("the host runs");
        if user.open.is_some() {
            user.repeated += 1;
            user.ask(&lobby, &mut operators).await.expect("the host runs");
        }
        let shown = lobby.shop(Ask::Wallet(Wallet {})).await.expect("one's own wallet");
        let found: BTreeMap<String, u64> = shown.balances.into_iter().collect();
        assert_eq!(found, user.wallet, "round {round}");
    }
}

/// A test that did nothing would prove nothing.
fn assert_enough(host: &Host, users: &[User]) {
    let sum = |act| users.iter().filter_map(|user| user.done.get(&act)).sum::<u64>();
    let repeated: u64 = users.iter().map(|user| user.repeated).sum();
    let counts = (sum(Act::Grant), sum(Act::Potion), sum(Act::Hat), repeated);
    assert!(counts.0 > crashes() && counts.1 > crashes() && repeated > crashes() / 3, "{counts:?}");
    assert_eq!(sum(Act::Hat), HATS, "all hats are sold, and no more");
    let (right, said) = host.store(&["check"]);
    assert!(right, "{said}");
}
