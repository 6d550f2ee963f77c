//! Requests and their answers: by each driver of the bus that carries payloads in real time, and over the links between
//! nodes that a host's messages go over. The simulator's driver has no part in this, for its time is moved by hand.
//!
//! Invariant: an answer counts only if it has what was asked with in it. Links answer in order, so the oldest question is
//! answered first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use passing_nats::NatsServer;
use scenehost_bus::driver::local::LocalBus;
use scenehost_bus::driver::nats::{self, Nats};
use scenehost_bus::peers::{self, Event};
use scenehost_bus::{Driver, Peers};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::runtime;
use tokio::sync::mpsc;

use super::{Figures, Settings};
use crate::process;

/// How many calls are under way at once.
const AT_ONCE: usize = 64;
/// About what a message between services has.
const PAYLOAD_BYTES: usize = 200;
const SUBJECT: &str = "bench.calls";
/// How long a call may take.
const CALL_MAX: Duration = Duration::from_secs(5);
/// How long two nodes may take to hear each other.
const UP_MAX: Duration = Duration::from_secs(10);
const NANOSECONDS_MAX: u64 = 60_000_000_000;

/// So many calls under way.
#[derive(Clone, Copy, Serialize)]
struct Times {
    at_once: usize,
    count: u64,
    per_s: f64,
    p50_us: f64,
    p99_us: f64,
}

impl Times {
    fn new(at_once: usize, times: &Histogram<u64>, took: Duration) -> Self {
        let us = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        let per_s = times.len() as f64 / took.as_secs_f64();
        Self { at_once, count: times.len(), per_s, p50_us: us(0.5), p99_us: us(0.99) }
    }
}

/// One way of asking.
#[derive(Serialize)]
struct Row {
    what: &'static str,
    alone: Times,
    together: Times,
    /// What the NATS server's own work was for each of those together, in microseconds of one core.
    server_us: Option<f64>,
}

pub fn measure(settings: &Settings, server: &NatsServer, figures: &mut Figures) -> Result<Value> {
    println!("  requests of {PAYLOAD_BYTES} bytes and their answers, one at a time and {AT_ONCE} at once:");
    // As the host's own: the services of a process run on a few threads.
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (window, server_id, url) = (settings.window, server.id(), server.url());
    let rows = runtime.block_on(async move {
        let mut rows = Vec::new();
        for (what, is_nats, is_link) in
            [("local", false, false), ("nats", true, false), ("local_link", false, true), ("nats_link", true, true)]
        {
            let drivers = if is_nats { over_nats(&url).await? } else { in_process() };
            let server = is_nats.then_some(server_id);
            // The asker is a task as services are, not the thread that waits here.
            let row = tokio::spawn(async move { row(what, drivers, is_link, window, server).await }).await??;
            println!(
                "  {:11} p50 {:7.2}  p99 {:8.2} us   together {:9.0} a second  p50 {:8.2}  p99 {:8.2} us   server {:6.2} us each",
                row.what,
                row.alone.p50_us,
                row.alone.p99_us,
                row.together.per_s,
                row.together.p50_us,
                row.together.p99_us,
                row.server_us.unwrap_or_default(),
            );
            rows.push(row);
        }
        anyhow::Ok(rows)
    })?;
    for row in &rows {
        let name = row.what;
        figures.insert(format!("{name}_call_p50_us"), row.alone.p50_us);
        figures.insert(format!("{name}_call_p99_us"), row.alone.p99_us);
        figures.insert(format!("{name}_calls_per_s"), row.together.per_s);
        figures.extend(row.server_us.map(|us| (format!("{name}_server_us_per_call"), us)));
    }
    Ok(json!(rows))
}

/// The asker's driver and the answerer's.
type Drivers = [Arc<dyn Driver>; 2];

fn in_process() -> Drivers {
    let bus = LocalBus::default();
    [Arc::new(bus.node()), Arc::new(bus.node())]
}

async fn over_nats(url: &str) -> Result<Drivers> {
    let settings = |name: &str| nats::Settings {
        servers: vec![url.to_owned()],
        name: name.to_owned(),
        ..nats::Settings::default()
    };
    Ok([Arc::new(Nats::connect(settings("asker")).await?), Arc::new(Nats::connect(settings("answerer")).await?)])
}

async fn row(
    what: &'static str,
    drivers: Drivers,
    is_link: bool,
    window: Duration,
    server: Option<u32>,
) -> Result<Row> {
    let mut calls = if is_link { Calls::over_link(drivers).await? } else { Calls::by_driver(drivers).await? };
    let alone = calls.measure(1, window).await?;
    let cpu = || server.map(process::cpu_of).transpose();
    let before = cpu()?;
    let together = calls.measure(AT_ONCE, window).await?;
    let used = cpu()?.zip(before).map(|(after, before)| after - before);
    // What was asked to warm up is in it, too: about as much more as it takes longer.
    let asked = together.count as f64 * (1.0 + WARM_UP);
    let server_us = used.map(|used| used.as_secs_f64() * 1e6 / asked);
    Ok(Row { what, alone, together, server_us })
}

/// How long it is asked before it counts, in windows.
const WARM_UP: f64 = 0.2;

/// Two that ask and answer.
enum Calls {
    ByDriver(Arc<dyn Driver>),
    OverLink { peers: Peers, events: mpsc::Receiver<Event> },
}

impl Calls {
    async fn by_driver([asker, answerer]: Drivers) -> Result<Self> {
        let mut asked = answerer.subscribe(SUBJECT).await?;
        tokio::spawn(async move {
            let _answerer = answerer; // It receives while it is there.
            while let Some(delivery) = asked.recv().await {
                let sent = delivery.reply.map(|reply| reply.send(delivery.bytes));
                sent.transpose().expect("the connection takes an answer");
            }
        });
        Ok(Self::ByDriver(asker))
    }

    async fn over_link([asker, answerer]: Drivers) -> Result<Self> {
        let (peers, mut events) = node(asker, 1)?;
        let (answering, mut asked) = node(answerer, 2)?;
        let up = tokio::time::timeout(UP_MAX, events.recv()).await.context("the nodes do not hear each other")?;
        ensure!(matches!(up, Some(Event::Up { node: 2, .. })), "the asker was told {up:?}");
        tokio::spawn(async move {
            while let Some(event) = asked.recv().await {
                if let Event::Message { node, bytes, .. } = event {
                    answering.send(node, bytes).expect("the link takes an answer");
                }
            }
        });
        Ok(Self::OverLink { peers, events })
    }

    /// Asks so many at once for so long, after some time that does not count.
    async fn measure(&mut self, at_once: usize, window: Duration) -> Result<Times> {
        self.ask(at_once, window.mul_f64(WARM_UP)).await?;
        let began = Instant::now();
        let times = self.ask(at_once, window).await?;
        Ok(Times::new(at_once, &times, began.elapsed()))
    }

    async fn ask(&mut self, at_once: usize, window: Duration) -> Result<Histogram<u64>> {
        match self {
            Self::ByDriver(driver) => ask_driver(driver, at_once, window).await,
            Self::OverLink { peers, events } => ask_link(peers, events, at_once, window).await,
        }
    }
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, NANOSECONDS_MAX, 3)?)
}

async fn ask_driver(driver: &Arc<dyn Driver>, at_once: usize, window: Duration) -> Result<Histogram<u64>> {
    let until = Instant::now() + window;
    let one = |driver: Arc<dyn Driver>, number: usize| async move {
        let (question, mut times) = (Bytes::from(vec![number as u8; PAYLOAD_BYTES]), histogram()?);
        while Instant::now() < until {
            let sent = Instant::now();
            let answer = driver.request(SUBJECT, question.clone(), CALL_MAX).await?;
            times.saturating_record(sent.elapsed().as_nanos() as u64);
            ensure!(answer == question, "another question was answered");
        }
        anyhow::Ok(times)
    };
    let asking: Vec<_> = (0..at_once).map(|number| tokio::spawn(one(Arc::clone(driver), number))).collect();
    let mut all = histogram()?;
    for times in asking {
        all.add(times.await??)?;
    }
    Ok(all)
}

/// A node that is to hear one other.
fn node(driver: Arc<dyn Driver>, number: u16) -> Result<(Peers, mpsc::Receiver<Event>)> {
    let settings = peers::Settings {
        prefix: "bench".to_owned(),
        node: number,
        incarnation: 1,
        process: number.into(),
        hello: Bytes::new(),
    };
    let (peers, runner, events) = Peers::new(driver, settings)?;
    tokio::spawn(runner.run(std::future::pending()));
    Ok((peers, events))
}

async fn ask_link(
    peers: &Peers,
    events: &mut mpsc::Receiver<Event>,
    at_once: usize,
    window: Duration,
) -> Result<Histogram<u64>> {
    let until = Instant::now() + window;
    let mut times = histogram()?;
    let mut sent = VecDeque::new();
    let mut asked: u64 = 0;
    let ask = |number: u64| {
        let mut question = vec![0; PAYLOAD_BYTES];
        question[..8].copy_from_slice(&number.to_be_bytes());
        peers.send(2, question.into())
    };
    for _ in 0..at_once {
        sent.push_back((asked, Instant::now()));
        ask(asked)?;
        asked += 1;
    }
    while let Some((number, at)) = sent.pop_front() {
        let told = tokio::time::timeout(CALL_MAX, events.recv()).await.context("no answer over the link")?;
        let Some(Event::Message { bytes, .. }) = told else {
            bail!("instead of an answer the asker was told {told:?}")
        };
        times.saturating_record(at.elapsed().as_nanos() as u64);
        ensure!(bytes.starts_with(&number.to_be_bytes()), "another question was answered");
        if Instant::now() < until {
            sent.push_back((asked, Instant::now()));
            ask(asked)?;
            asked += 1;
        }
    }
    Ok(times)
}
