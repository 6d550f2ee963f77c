//! Durable purchases a second: one at a time, so that each is a synced write of its own; and of 64 users at once,
//! whose purchases share writes.
//!
//! Invariant: every answer is looked at, so that a refusal never counts as a purchase.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use scenehost_protocol::v1::{self, client_frame, req_shop, req_sign_in, server_frame};
use scenehost_protocol::{Encoding, Payload};
use serde::Serialize;
use serde_json::json;

use super::{Part, Settings};
use crate::connection::Connection;
use crate::http::Client;
use crate::process::Server;

const CLIENTS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7460);
const OPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7461);
const TOKEN: &str = "a-token-of-the-bench";
/// How many purchases are under way at once, each of another user.
const AT_ONCE: usize = 64;
/// So many users take turns, for one connection may send 50 frames a second only.
const SHARE: usize = 40;
/// How many writes the disk itself is timed with.
const SYNCS: u32 = 1_000;
const MICROSECONDS_MAX: u64 = 60_000_000;
/// All load comes from one address, so what one may do is not limited here.
const CONFIG: &str = "[server.per_address]
connections = 100000
sign_ins_per_minute = 60000000

[economy]
catalogue = \"lobby-catalogue.toml\"

";
const CATALOGUE: &str = r#"
[currencies.coin]
[items.potion]
[offers.potion]
title = "A potion"
price = { coin = 1 }
gives = { potion = 1 }
"#;

#[derive(Serialize)]
struct Row {
    at_once: usize,
    count: u64,
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// What the host worked for each: edge, Lobby, Db and store. The disk's time is not in it.
    host_us: f64,
}

/// A user who buys.
struct Buyer {
    connection: Connection,
    user: String,
    request: u32,
    seen: u32,
}

pub(super) fn run(settings: &Settings, program: &Path, out: &Path) -> Result<Part> {
    let data = out.join("lobby-data");
    if data.exists() {
        fs::remove_dir_all(&data).context("the data of the last run cannot be removed")?;
    }
    fs::write(out.join("lobby-catalogue.toml"), CATALOGUE)?;
    let config = out.join("lobby.toml");
    fs::write(&config, format!("{CONFIG}[ops]\ntoken = {TOKEN:?}\n"))?;
    let program = fs::canonicalize(program).with_context(|| format!("{} is not there", program.display()))?;
    let configure = |command: &mut std::process::Command| {
        command.args(["serve", "--config"]).arg(&config).arg("--data-dir").arg(&data);
        command.args(["--listen", &CLIENTS.to_string(), "--ops-listen", &OPS.to_string()]);
    };
    let mut server = Server::start(&program, configure, &out.join("lobby.log"))?;
    server.wait_until_ready(OPS, "/health")?;
    println!("  durable purchases, one at a time with a synced write each, against {AT_ONCE} that share them:");
    let alone = measure(settings, &server, 1)?;
    let together = measure(settings, &server, AT_ONCE)?;
    let sync_us = disk_sync_us(out)?;
    println!("  the disk alone takes {sync_us:.0} us for a synced write: sharing gains what that costs");
    let figures = BTreeMap::from([
        ("disk_sync_p50_us", sync_us),
        ("purchases_per_s", together.per_s),
        ("purchases_one_at_a_time_per_s", alone.per_s),
        ("purchase_group_ratio", together.per_s / alone.per_s),
        ("purchase_host_us", together.host_us),
    ]);
    Ok(Part { rows: json!([alone, together]), figures })
}

/// How long a small write takes that is synced, on the disk where the host's data is.
fn disk_sync_us(out: &Path) -> Result<f64> {
    let path = out.join("lobby-sync");
    let mut file = fs::File::create(&path)?;
    let mut times = Histogram::<u64>::new_with_bounds(1, MICROSECONDS_MAX, 3)?;
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[0; 256])?;
        file.sync_data()?;
        times.saturating_record(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    fs::remove_file(&path)?;
    Ok(times.value_at_quantile(0.5) as f64)
}

/// A share of users for each purchase that is under way. They come together and only now, for the host gives up who is
/// silent for long.
fn buyers(at_once: usize) -> Result<Vec<Vec<Buyer>>> {
    let share = |share: usize| {
        let names = (0..SHARE).map(|number| format!("buyer-{at_once:04}-{share:04}-{number:04}"));
        names.map(|name| Buyer::new(&name)).collect::<Result<Vec<_>>>()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|number| scope.spawn(move || share(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    })
}

fn measure(settings: &Settings, server: &Server, at_once: usize) -> Result<Row> {
    let mut buyers = buyers(at_once)?;
    let (warm, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let start = Barrier::new(at_once + 1);
    let one = |buyers: &mut [Buyer]| -> Result<Histogram<u64>> {
        let mut times = Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3)?;
        start.wait();
        let mut turn = 0;
        while !over.load(Ordering::Relaxed) {
            let sent = Instant::now();
            buyers[turn].buy()?;
            turn = (turn + 1) % buyers.len();
            if warm.load(Ordering::Relaxed) {
                times.saturating_record(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
        }
        Ok(times)
    };
    let (mut took, mut worked) = (Duration::ZERO, Duration::ZERO);
    let mut times = Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3)?;
    thread::scope(|scope| -> Result<()> {
        let one = &one;
        let threads: Vec<_> = buyers.iter_mut().map(|share| scope.spawn(move || one(share))).collect();
        start.wait();
        thread::sleep(settings.warm_up);
        warm.store(true, Ordering::Relaxed);
        let (began, before) = (Instant::now(), server.cpu_exact()?);
        thread::sleep(settings.window);
        over.store(true, Ordering::Relaxed);
        (took, worked) = (began.elapsed(), server.cpu_exact()? - before);
        for thread in threads {
            times.add(thread.join().expect("it does not panic")?)?;
        }
        Ok(())
    })?;
    let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    let per_s = times.len() as f64 / took.as_secs_f64();
    let host_us = worked.as_secs_f64() * 1e6 / times.len().max(1) as f64;
    let row = Row { at_once, count: times.len(), per_s, p50_ms: ms(0.5), p99_ms: ms(0.99), host_us };
    println!(
        "  {at_once:4} at once {per_s:9.0} a second   p50 {:7.2}  p99 {:7.2} ms   host {host_us:6.1} us each",
        row.p50_ms, row.p99_ms
    );
    Ok(row)
}

impl Buyer {
    /// Signs a guest in, and lets the operator give enough coins.
    fn new(device: &str) -> Result<Self> {
        let connection = Connection::open(CLIENTS, "/v1/lobby", Some(Encoding::Proto.subprotocol()))?;
        let mut buyer = Self { connection, user: String::new(), request: 0, seen: 0 };
        let guest = req_sign_in::Guest { device_id: device.to_owned(), ..Default::default() };
        let credential = Some(req_sign_in::Credential::Guest(guest));
        let sign_in = v1::ReqSignIn { credential, ..Default::default() };
        match buyer.ask(client_frame::Body::ReqSignIn(sign_in))? {
            server_frame::Body::ResSignIn(signed_in) => buyer.user = signed_in.user_id,
            other => bail!("no sign-in: {other:?}"),
        }
        let grant = json!({ "amounts": { "coin": "1000000000" }, "requestId": "bench" });
        let frame = json!({ "request": 1, "reqShop": { "userId": buyer.user, "grant": grant } });
        Client::connect(OPS)?.post("/v1/ask", Some(TOKEN), &frame)?;
        Ok(buyer)
    }

    fn buy(&mut self) -> Result<()> {
        let request_id = format!("purchase-{}", self.request);
        let buy = req_shop::Buy { offer: "potion".to_owned(), count: 1, request_id };
        let asked = v1::ReqShop { user_id: String::new(), ask: Some(req_shop::Ask::Buy(buy)) };
        match self.ask(client_frame::Body::ReqShop(asked))? {
            server_frame::Body::ResShop(_) => Ok(()),
            other => bail!("no purchase: {other:?}"),
        }
    }

    /// Asks, and passes over what else is told until the answer.
    fn ask(&mut self, body: client_frame::Body) -> Result<server_frame::Body> {
        self.request += 1;
        let frame = v1::ClientFrame { request: self.request, seen: self.seen, body: Some(body) };
        let Payload::Binary(bytes) = Encoding::Proto.encode_client(&frame) else { bail!("protobuf is binary") };
        self.connection.send(&bytes)?;
        loop {
            let bytes = self.connection.receive()?;
            let frame = Encoding::Proto.decode_server(scenehost_protocol::PayloadRef::Binary(&bytes))?;
            self.seen = self.seen.max(frame.seq);
            if frame.request == self.request {
                return frame.body.context("an answer without a body");
            }
        }
    }
}
