//! Clients of a host, as players see it: thousands of all strengths who ask for a match at once, and some who come one
//! after the other and find somebody waiting. Each match has its scene, made and durable, before it is told.
//!
//! Invariant: every client is signed in and has its rating before anything is measured, and each is connected to the
//! end or counted as lost.

use std::collections::HashMap;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use scenehost_protocol::Encoding;
use scenehost_protocol::v1::{self, client_frame, req_sign_in, server_frame};
use serde::Serialize;
use serde_json::json;

use crate::connection::Connection;
use crate::http;
use crate::process::Server;
use crate::websocket::{self, BINARY, CLOSE, PING, PONG};

const CLIENTS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7480);
const OPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7481);
const OPS_TOKEN: &str = "the-bench-is-the-operator";
const ENCODING: Encoding = Encoding::Proto;
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
/// How many sign in at a time.
const SIGN_INS: usize = 64;
/// From one who comes to the next.
const ARRIVES_EVERY: Duration = Duration::from_millis(10);
/// How long it may take until all are matched.
const MATCHED_MAX: Duration = Duration::from_secs(60);
const MICROSECONDS_MAX: u64 = 60_000_000;
const READ_BYTES_MAX: usize = 64 * 1_024;

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
    let waits = one_by_one(settings.arrivals)?;
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
    let mut clients = Clients::gather(count)?;
    clients.rate()?;
    let began = Instant::now();
    for client in 0..count {
        clients.ask(client)?;
        // What has come is taken now and then, so that nobody waits for this program.
        if client % 64 == 0 {
            clients.hear(Duration::ZERO)?;
        }
    }
    while clients.waiting > 0 {
        ensure!(began.elapsed() < MATCHED_MAX, "{} of {count} clients have no match", clients.waiting);
        clients.hear(Duration::from_millis(100))?;
    }
    let matched = clients.members.iter().filter_map(|member| member.matched);
    let mut waits: Vec<f64> = matched.map(|matched| (matched - began).as_secs_f64()).collect();
    waits.sort_unstable_by(f64::total_cmp);
    Ok(Crowd {
        all_matched_s: *waits.last().context("nobody was matched")?,
        matched_99_s: waits[waits.len() * 99 / 100],
        beyond_range: clients.beyond_range(),
        lost: clients.members.iter().filter(|member| member.lost).count(),
    })
}

/// How long those wait, in microseconds, who find somebody: every second of those who come.
fn one_by_one(count: usize) -> Result<Histogram<u64>> {
    let mut clients = Clients::gather(count)?;
    let began = Instant::now();
    for client in 0..count {
        let due = ARRIVES_EVERY * client as u32;
        while began.elapsed() < due {
            // To the millisecond, as far as the system's own wait goes; the rest is waited for here.
            clients.hear(due.saturating_sub(began.elapsed()).min(Duration::from_millis(1)))?;
        }
        clients.ask(client)?;
    }
    while clients.waiting > 0 {
        ensure!(began.elapsed() < ARRIVES_EVERY * count as u32 + MATCHED_MAX, "{} have no match", clients.waiting);
        clients.hear(Duration::from_millis(100))?;
    }
    let mut waits = Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3)?;
    for member in clients.members.iter().skip(1).step_by(2) {
        let (asked, matched) = member.asked.zip(member.matched).context("a connection was lost")?;
        waits.saturating_record((matched - asked).as_micros() as u64);
    }
    Ok(waits)
}

struct Member {
    stream: TcpStream,
    user_id: String,
    /// The one that operators have set, once the client has heard of it.
    rating: Option<u32>,
    /// The beginning of a frame whose end has not come yet.
    partial: Vec<u8>,
    asked: Option<Instant>,
    matched: Option<Instant>,
    /// Where the match is played.
    scene: String,
    lost: bool,
}

struct Clients {
    poll: Poll,
    members: Vec<Member>,
    events: Events,
    scratch: Vec<u8>,
    /// How many have asked and have no match yet.
    waiting: usize,
}

impl Clients {
    /// Signs everybody in, some at a time; those who are in already answer the host's pings meanwhile.
    fn gather(count: usize) -> Result<Self> {
        let (events, scratch) = (Events::with_capacity(1_024), vec![0; READ_BYTES_MAX]);
        let mut clients = Self { poll: Poll::new()?, members: Vec::new(), events, scratch, waiting: 0 };
        let numbers: Vec<usize> = (0..count).collect();
        for numbers in numbers.chunks(SIGN_INS) {
            let asked: Vec<Connection> = numbers.iter().map(|number| sign_in(*number)).collect::<Result<_>>()?;
            asked.into_iter().try_for_each(|connection| clients.add(connection))?;
            clients.hear(Duration::ZERO)?;
        }
        Ok(clients)
    }

    /// Takes a client in who has asked to sign in.
    fn add(&mut self, mut connection: Connection) -> Result<()> {
        let user_id = signed_in(&mut connection)?;
        let Connection { stream, unread } = connection;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, Token(self.members.len()), Interest::READABLE)?;
        self.members.push(Member {
            stream,
            user_id,
            rating: None,
            partial: unread,
            asked: None,
            matched: None,
            scene: String::new(),
            lost: false,
        });
        Ok(())
    }

    /// Gives everybody a rating, and waits until each has heard of it. The ratings are even, in an order by chance.
    fn rate(&mut self) -> Result<()> {
        let count = self.members.len() as u32;
        let mut ratings: Vec<u32> = (0..count).map(|number| RATING_MIN + number * RATINGS / count).collect();
        ratings.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
        let orders: Vec<(&str, u32)> = self.members.iter().map(|member| member.user_id.as_str()).zip(ratings).collect();
        std::thread::scope(|scope| {
            let parts = orders.chunks(orders.len().div_ceil(OPERATORS));
            let operators: Vec<_> = parts.map(|part| scope.spawn(|| set_ratings(part))).collect();
            operators.into_iter().try_for_each(|operator| operator.join().expect("it does not panic"))
        })?;
        let began = Instant::now();
        while self.members.iter().any(|member| member.rating.is_none()) {
            ensure!(began.elapsed() < RATED_MAX, "some have not heard of their rating");
            self.hear(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// How many play with somebody whose rating is further away than the range at first.
    fn beyond_range(&self) -> usize {
        let mut first = HashMap::new();
        let matched = self.members.iter().filter(|member| member.matched.is_some());
        let gaps = matched.filter_map(|member| {
            let other = first.insert(&member.scene, member.rating?)?;
            Some(other.abs_diff(member.rating?))
        });
        2 * gaps.filter(|gap| *gap > RANGE).count()
    }

    fn ask(&mut self, client: usize) -> Result<()> {
        let member = &mut self.members[client];
        let payload = encoded(2, client_frame::Body::ReqMatch(v1::ReqMatch { domain: "duel".into(), wish: None }));
        let mut frame = Vec::new();
        websocket::put_client_frame(&mut frame, BINARY, &payload);
        member.asked = Some(Instant::now());
        self.waiting += 1;
        // A few bytes have room.
        member.stream.write_all(&frame).context("a client cannot ask")
    }

    /// Takes what comes, for so long at most.
    fn hear(&mut self, limit: Duration) -> Result<()> {
        self.poll.poll(&mut self.events, Some(limit))?;
        let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        ready.into_iter().try_for_each(|client| self.receive(client))
    }

    fn receive(&mut self, client: usize) -> Result<()> {
        loop {
            let member = &mut self.members[client];
            let held = member.partial.len();
            self.scratch[..held].copy_from_slice(&member.partial);
            match member.stream.read(&mut self.scratch[held..]) {
                Ok(0) => return self.lose(client),
                Ok(count) => self.take_frames(client, held + count)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return self.lose(client),
            }
        }
    }

    fn lose(&mut self, client: usize) -> Result<()> {
        let member = &mut self.members[client];
        if !member.lost && member.asked.is_some() && member.matched.is_none() {
            self.waiting -= 1;
        }
        member.lost = true;
        Ok(self.poll.registry().deregister(&mut member.stream)?)
    }

    fn take_frames(&mut self, client: usize, filled: usize) -> Result<()> {
        let mut start = 0;
        while let Some(frame) = websocket::take_frame(&mut self.scratch[..filled], start)? {
            let payload = &self.scratch[frame.payload_start..frame.end];
            start = frame.end;
            let member = &mut self.members[client];
            match frame.opcode {
                BINARY => match heard(payload)? {
                    Heard::Match(scene) => {
                        (member.matched, member.scene) = (Some(Instant::now()), scene);
                        self.waiting -= 1;
                    }
                    Heard::Rating(rating) => member.rating = Some(rating),
                    Heard::Other => {}
                },
                PING => {
                    let mut pong = Vec::new();
                    websocket::put_client_frame(&mut pong, PONG, payload);
                    member.stream.write_all(&pong)?;
                }
                CLOSE => return self.lose(client),
                _ => {}
            }
        }
        let partial = &mut self.members[client].partial;
        partial.clear();
        partial.extend_from_slice(&self.scratch[start..filled]);
        Ok(())
    }
}

/// What matters of what a client is told.
enum Heard {
    /// The way into its match, in this scene.
    Match(String),
    Rating(u32),
    Other,
}

fn heard(payload: &[u8]) -> Result<Heard> {
    match ENCODING.decode_server(payload)?.body {
        Some(server_frame::Body::ResMatch(found)) => Ok(Heard::Match(found.scene_id)),
        Some(server_frame::Body::SynStanding(news)) => Ok(Heard::Rating(news.rating.try_into()?)),
        Some(server_frame::Body::SynMatchState(v1::SynMatchState { refused: Some(refused), .. })) => {
            bail!("no match: {}", refused.text)
        }
        Some(server_frame::Body::Refused(refused)) => bail!("refused: {}", refused.text),
        _ => Ok(Heard::Other),
    }
}

/// Sets ratings as operators do.
fn set_ratings(orders: &[(&str, u32)]) -> Result<()> {
    let mut operator = http::Client::connect(OPS)?;
    orders.iter().try_for_each(|(user, rating)| {
        operator.put(&format!("/v1/users/{user}/ratings/duel"), OPS_TOKEN, &json!({ "rating": rating }))
    })
}

fn encoded(request: u32, body: client_frame::Body) -> Vec<u8> {
    let frame = v1::ClientFrame { request, seen: 0, body: Some(body) };
    ENCODING.encode_client(&frame).as_bytes().to_vec()
}

/// A client who asks to sign in.
fn sign_in(number: usize) -> Result<Connection> {
    let mut connection = Connection::open(CLIENTS, "/v1/lobby", Some(ENCODING.subprotocol()))?;
    let credential = req_sign_in::Credential::Guest(req_sign_in::Guest {
        device_id: format!("bench-device-{number:08}"),
        name: format!("Guest {number}"),
    });
    let sign_in = v1::ReqSignIn { credential: Some(credential), device: String::new(), resume_seq: None };
    connection.send(&encoded(1, client_frame::Body::ReqSignIn(sign_in)))?;
    Ok(connection)
}

/// The user's id, once the host has taken the client in.
fn signed_in(connection: &mut Connection) -> Result<String> {
    loop {
        match ENCODING.decode_server(&connection.receive()?[..])?.body {
            Some(server_frame::Body::ResSignIn(session)) => return Ok(session.user_id),
            Some(server_frame::Body::Refused(refused)) => bail!("refused: {}", refused.text),
            _ => {}
        }
    }
}
