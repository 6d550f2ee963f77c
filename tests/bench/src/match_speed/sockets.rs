//! Clients of a host, as players see it: thousands of all strengths who ask for a match at once, and some who come one
//! after the other and find somebody waiting. Each match has its scene, made and durable, before it is told.
//!
//! Invariant: every client is signed in and has its rating before anything is measured.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde_json::json;

use crate::http;
use crate::lobby_clients::Clients;
use crate::process::Server;

const CLIENTS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7480);
const OPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7481);
const OPS_TOKEN: &str = "the-bench-is-the-operator";
const DOMAIN: &str = "duel";
/// At once users meet within 100 points. Who is matched at once takes those away whom the last few of a crowd would have
/// met, so after a quarter of a second the range of these grows to all ratings.
const CONFIG: &str = "[server]
scenes_max = 10_000
scene_threads = 1
connections_max = 15_000

[server.per_address]
connections = 20_000
sign_ins_per_minute = 60_000_000

[fleets.duel]
plugin = \"bench-room\"
scene = { tick_rate_hz = 20 }

[domains.duel]
fleet = \"duel\"
players_min = 2
players_max = 2
widening = [
    { after_ms = 0, range = 100 },
    { after_ms = 250, range = 100 },
    { after_ms = 500, range = 4_000 },
]
";
/// How far apart the ratings of those may be who are matched at once.
const RANGE: u32 = 100;
/// The ratings of those who ask at once: every so many points one, from the lowest that there is.
const RATING_MIN: u32 = 100;
const RATINGS: u32 = 3_000;
/// Through how many connections ratings are set.
const OPERATORS: usize = 16;
const RATED_MAX: Duration = Duration::from_secs(30);
const SEED: u64 = 8;

pub struct Settings {
    pub at_once: usize,
    /// An even number.
    pub arrivals: usize,
}

/// What clients have seen.
#[derive(Serialize)]
pub struct Found {
    at_once: usize,
    all_matched_s: f64,
    /// How long until 99 of 100 were matched, in seconds.
    matched_99_s: f64,
    /// How many had nobody left within the range and were matched when it had grown.
    beyond_range: usize,
    lost: usize,
    arrivals: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Found {
    pub fn figures(&self) -> [(String, f64); 6] {
        [
            (format!("sockets_{}_all_matched_s", self.at_once), self.all_matched_s),
            (format!("sockets_{}_99_matched_s", self.at_once), self.matched_99_s),
            (format!("sockets_{}_beyond_range", self.at_once), self.beyond_range as f64),
            ("sockets_lost".to_owned(), self.lost as f64),
            ("rate_100_p50_ms".to_owned(), self.p50_ms),
            ("rate_100_p99_ms".to_owned(), self.p99_ms),
        ]
    }
}

/// Measures both, each with a host of its own.
pub fn measure(settings: &Settings, program: &Path, plugins: &Path, out: &Path) -> Result<Found> {
    let crowd = {
        let _server = start(program, plugins, out)?;
        at_once(settings.at_once)?
    };
    let _server = start(program, plugins, out)?;
    let waits = Clients::gather(CLIENTS, 0..settings.arrivals)?.one_by_one(DOMAIN)?;
    let ms = |quantile| waits.value_at_quantile(quantile) as f64 / 1e3;
    let found = Found {
        at_once: settings.at_once,
        all_matched_s: crowd.all_matched_s,
        matched_99_s: crowd.matched_99_s,
        beyond_range: crowd.beyond_range,
        lost: crowd.lost,
        arrivals: settings.arrivals,
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        max_ms: waits.max() as f64 / 1e3,
    };
    let Found { all_matched_s, matched_99_s, beyond_range, lost, p50_ms, p99_ms, max_ms, .. } = found;
    println!(
        "  {} ask at once: all matched after {all_matched_s:.3} s, 99 of 100 after {matched_99_s:.3} s, \
         {beyond_range} beyond the range of {RANGE}, {lost} connections lost",
        found.at_once
    );
    println!("  100 come a second, somebody waits: p50 {p50_ms:.2}  p99 {p99_ms:.2}  max {max_ms:.2} ms");
    Ok(found)
}

fn start(program: &Path, plugins: &Path, out: &Path) -> Result<Server> {
    let data = out.join("match-data");
    if data.exists() {
        fs::remove_dir_all(&data).context("the data of the last run cannot be removed")?;
    }
    let config = out.join("match.toml");
    fs::write(&config, CONFIG)?;
    let program = fs::canonicalize(program).with_context(|| format!("{} is not there", program.display()))?;
    let configure = |command: &mut Command| {
        command.args(["serve", "--config"]).arg(&config).arg("--data-dir").arg(&data);
        command.arg("--plugins-dir").arg(plugins);
        command.args(["--listen", &CLIENTS.to_string(), "--ops-listen", &OPS.to_string()]);
        command.args(["--ops-token", OPS_TOKEN]);
    };
    let mut server = Server::start(&program, configure, &out.join("match.log"))?;
    server.wait_until_ready(OPS, "/health")?;
    Ok(server)
}

/// What becomes of those who ask at once.
struct Crowd {
    all_matched_s: f64,
    matched_99_s: f64,
    beyond_range: usize,
    lost: usize,
}

fn at_once(count: usize) -> Result<Crowd> {
    let mut clients = Clients::gather(CLIENTS, 0..count)?;
    rate(&mut clients)?;
    let waits = clients.all_at_once(|_| DOMAIN)?;
    Ok(Crowd {
        all_matched_s: *waits.last().context("nobody was matched")?,
        matched_99_s: waits[waits.len() * 99 / 100],
        beyond_range: beyond_range(&clients),
        lost: clients.members.iter().filter(|member| member.lost).count(),
    })
}

/// Gives everybody a rating, and waits until each has heard of it. The ratings are even, in an order by chance.
fn rate(clients: &mut Clients) -> Result<()> {
    let count = clients.members.len() as u32;
    let mut ratings: Vec<u32> = (0..count).map(|number| RATING_MIN + number * RATINGS / count).collect();
    ratings.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
    let orders: Vec<(&str, u32)> = clients.members.iter().map(|member| member.user_id.as_str()).zip(ratings).collect();
    std::thread::scope(|scope| {
        let parts = orders.chunks(orders.len().div_ceil(OPERATORS));
        let operators: Vec<_> = parts.map(|part| scope.spawn(|| set_ratings(part))).collect();
        operators.into_iter().try_for_each(|operator| operator.join().expect("it does not panic"))
    })?;
    let began = Instant::now();
    while clients.members.iter().any(|member| member.rating.is_none()) {
        ensure!(began.elapsed() < RATED_MAX, "some have not heard of their rating");
        clients.hear(Duration::from_millis(100))?;
    }
    Ok(())
}

/// How many play with somebody whose rating is further away than the range at first.
fn beyond_range(clients: &Clients) -> usize {
    let mut first = HashMap::new();
    let matched = clients.members.iter().filter(|member| member.matched.is_some());
    let gaps = matched.filter_map(|member| {
        let other = first.insert(&member.scene, member.rating?)?;
        Some(other.abs_diff(member.rating?))
    });
    2 * gaps.filter(|gap| *gap > RANGE).count()
}

/// Sets ratings as operators do.
fn set_ratings(orders: &[(&str, u32)]) -> Result<()> {
    let mut operator = http::Client::connect(OPS)?;
    orders.iter().try_for_each(|(user, rating)| {
        operator.put(&format!("/v1/users/{user}/ratings/{DOMAIN}"), OPS_TOKEN, &json!({ "rating": rating }))
    })
}
