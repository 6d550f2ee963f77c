//! Sign-ins over HTTP: new guests, each durable before it is answered, and resumes by session token.
//!
//! Invariant: every answer is looked at, so that a refusal never counts as a sign-in.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::Client;
use crate::process::{self, Server};
use crate::report::{self, Machine};

const CLIENTS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7450);
const OPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7451);
/// All load comes from one address, so what one may do is not limited here.
const CONFIG: &str = "[server]
scenes_max = 16
scene_threads = 1

[server.per_address]
sign_ins_per_minute = 60000000
";
const SIGN_IN: &str = "/v1/auth/sign-in";
/// Connections that are kept open, each with one request at a time.
const CONNECTIONS: usize = 16;
/// How many known sessions the resumes take turns with.
const SESSIONS: usize = 20_000;
const MICROSECONDS_MAX: u64 = 60_000_000;

pub struct Settings {
    pub warm_up: Duration,
    pub window: Duration,
}

/// What was measured of one kind of sign-in.
#[derive(Serialize)]
struct Row {
    what: &'static str,
    count: u64,
    per_s: f64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    server_cpu_percent: f64,
    generator_cpu_percent: f64,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    load: Value,
    rows: Vec<Row>,
    figures: BTreeMap<&'static str, f64>,
}

/// Starts the host, measures it, prints the table and writes `sign-in.json`.
pub fn run(settings: &Settings, program: &Path, out: &Path) -> Result<PathBuf> {
    report::print_machine();
    let machine = report::machine()?;
    let data = out.join("sign-in-data");
    if data.exists() {
        fs::remove_dir_all(&data).context("the data of the last run cannot be removed")?;
    }
    let config = out.join("sign-in.toml");
    fs::write(&config, CONFIG)?;
    let program = fs::canonicalize(program).with_context(|| format!("{} is not there", program.display()))?;
    let configure = |command: &mut std::process::Command| {
        command.args(["serve", "--config"]).arg(&config).arg("--data-dir").arg(&data);
        command.args(["--listen", &CLIENTS.to_string(), "--ops-listen", &OPS.to_string()]);
    };
    let mut server = Server::start(&program, configure, &out.join("sign-in.log"))?;
    server.wait_until_ready(OPS, "/health")?;

    let made = AtomicU64::new(0);
    let new_guest = || {
        let number = made.fetch_add(1, Ordering::Relaxed);
        json!({ "guest": { "deviceId": format!("bench-device-{number:012}") } })
    };
    let guests = measure("new guests", settings, &server, new_guest)?;

    let sessions = sessions(&new_guest)?;
    let turn = AtomicU64::new(0);
    let resume = || {
        let number = turn.fetch_add(1, Ordering::Relaxed) as usize;
        json!({ "sessionToken": sessions[number % sessions.len()] })
    };
    let resumes = measure("resumes", settings, &server, resume)?;

    let figures = BTreeMap::from([
        ("guests_per_s", guests.per_s),
        ("guest_p99_ms", guests.p99_ms),
        ("resumes_per_s", resumes.per_s),
        ("resume_p99_ms", resumes.p99_ms),
    ]);
    let load = json!({
        "connections": CONNECTIONS,
        "warm_up_s": settings.warm_up.as_secs_f64(),
        "window_s": settings.window.as_secs_f64(),
        "cores": "server on core 0, generator on core 1",
    });
    let report = Report { machine, load, rows: vec![guests, resumes], figures };
    for (name, value) in &report.figures {
        println!("  {name:28} {value:10.2}");
    }
    let file = out.join("sign-in.json");
    report::write(&report, &file)?;
    Ok(file)
}

/// Tokens of known users.
fn sessions(new_guest: &(impl Fn() -> Value + Sync)) -> Result<Vec<String>> {
    let one = |_| -> Result<Vec<String>> {
        let mut client = Client::connect(CLIENTS)?;
        let token = |answer: Value| answer["sessionToken"].as_str().map(ToOwned::to_owned).context("no token");
        (0..SESSIONS / CONNECTIONS).map(|_| token(client.post(SIGN_IN, None, &new_guest())?)).collect()
    };
    let all: Result<Vec<Vec<String>>> = on_all_connections(one).into_iter().collect();
    Ok(all?.concat())
}

fn measure(
    what: &'static str,
    settings: &Settings,
    server: &Server,
    request: impl Fn() -> Value + Sync,
) -> Result<Row> {
    let (warm, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let start = Barrier::new(CONNECTIONS + 1);
    let one = |_| -> Result<Histogram<u64>> {
        let mut client = Client::connect(CLIENTS)?;
        let mut times = Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3)?;
        start.wait();
        while !over.load(Ordering::Relaxed) {
            let body = request();
            let sent = Instant::now();
            let answer = client.post(SIGN_IN, None, &body)?;
            let took = sent.elapsed();
            anyhow::ensure!(answer["userId"].is_string(), "no sign-in: {answer}");
            if warm.load(Ordering::Relaxed) {
                times.saturating_record(took.as_micros() as u64);
            }
        }
        Ok(times)
    };
    let (mut cpu, mut own, mut took) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut all = Vec::new();
    thread::scope(|scope| -> Result<()> {
        let clock = scope.spawn(|| -> Result<_> {
            start.wait();
            thread::sleep(settings.warm_up);
            warm.store(true, Ordering::Relaxed);
            let before = (server.cpu()?, process::own_cpu(), Instant::now());
            thread::sleep(settings.window);
            over.store(true, Ordering::Relaxed);
            Ok((server.cpu()? - before.0, process::own_cpu() - before.1, before.2.elapsed()))
        });
        all = on_all_connections(one);
        (cpu, own, took) = clock.join().expect("it does not panic")?;
        Ok(())
    })?;
    let mut times = Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3)?;
    for one in all {
        times.add(one?)?;
    }
    let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    let percent = |time: Duration| 100.0 * time.as_secs_f64() / took.as_secs_f64();
    let row = Row {
        what,
        count: times.len(),
        per_s: times.len() as f64 / took.as_secs_f64(),
        p50_ms: ms(0.5),
        p95_ms: ms(0.95),
        p99_ms: ms(0.99),
        max_ms: times.max() as f64 / 1e3,
        server_cpu_percent: percent(cpu),
        generator_cpu_percent: percent(own),
    };
    println!(
        "  {:12} {:9.0} a second   p50 {:6.2}  p95 {:6.2}  p99 {:6.2}  max {:7.2} ms   server {:5.1} %  generator {:5.1} %",
        row.what,
        row.per_s,
        row.p50_ms,
        row.p95_ms,
        row.p99_ms,
        row.max_ms,
        row.server_cpu_percent,
        row.generator_cpu_percent
    );
    Ok(row)
}

fn on_all_connections<T: Send>(one: impl Fn(usize) -> Result<T> + Sync) -> Vec<Result<T>> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|index| {
                scope.spawn({
                    let one = &one;
                    move || one(index)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    })
}
