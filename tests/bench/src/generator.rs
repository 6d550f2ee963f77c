//! The players of all rooms, in one thread on one core: sends each player's message when it is due
//! and accounts for every message that comes back.
//!
//! Invariant: the generator must be much cheaper than any server, and says so when it was not: all
//! sends and receipts of a quarter of a millisecond share one wake-up, buffers are reused, and
//! `late_ms_p99` tells how late its own sends were.

use std::io::{ErrorKind, Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::connection::Connection;
use crate::contender::Contender;
use crate::process::{Server, own_cpu};
use crate::websocket::{self, BINARY, CLOSE, PING, PONG, TEXT};

pub const PLAYERS_PER_ROOM: u32 = 4;
pub const MESSAGE_BYTES: usize = 24;
pub const SEND_PERIOD: Duration = Duration::from_millis(100);

/// How long the generator sleeps between two looks at its sockets.
const SLOT: Duration = Duration::from_micros(250);
const DRAIN: Duration = Duration::from_secs(1);
const EVENTS_LEN_MAX: usize = 4096;
const READ_BYTES_MAX: usize = 64 * 1024;
/// A server that does not take this much from a client has failed it.
const UNSENT_BYTES_MAX: usize = 64 * 1024;
const LATENCY_MS_MAX: u64 = 60_000;
/// The order in which the players send is the same in every run.
const ORDER_SEED: u64 = 1;

/// A 24-byte message: the sender's clock in us (`u64`), player (`u32`), sequence (`u32`), and 8
/// bytes that are only carried; all little endian.
pub type Message = [u8; MESSAGE_BYTES];

/// How long a step lasts.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub warm_up: Duration,
    pub window: Duration,
}

/// What one step of the load showed.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    pub contender: &'static str,
    pub rooms: u32,
    pub held: bool,
    pub clients_lost: u32,
    /// Of the messages expected at all members, how many came.
    pub delivery_percent: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub server_cpu_percent: f64,
    pub server_resident_mb: f64,
    pub generator_cpu_percent: f64,
    /// How late the generator itself sent.
    pub late_ms_p99: f64,
    /// Why the first lost client was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_because: Option<String>,
}

impl Step {
    /// Whether the generator, not the server, was at its limit.
    pub fn generator_saturated(&self) -> bool {
        self.generator_cpu_percent > 97.0 || self.late_ms_p99 > 10.0
    }
}

struct Client {
    stream: TcpStream,
    /// The beginning of a frame whose end has not come yet.
    partial: Vec<u8>,
    /// What the socket would not take yet.
    unsent: Vec<u8>,
    role: Role,
    /// How many frames of the game have come.
    seen: u32,
    lost: Option<String>,
}

enum Role {
    /// Sends and receives the game's messages.
    Player { id: u32, sequence: u32 },
    /// Only stays connected.
    Bystander,
}

pub struct Generator<'a> {
    contender: &'a dyn Contender,
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    payload: Vec<u8>,
    frame: Vec<u8>,
    clients: Vec<Client>,
    /// The players' places in `clients`.
    players: Vec<usize>,
    epoch: Instant,
    account: Account,
}

/// What was sent and what came back, for the messages sent within the window.
struct Account {
    window_us: std::ops::Range<u64>,
    sent: u64,
    received: u64,
    latency_us: Histogram<u32>,
    late_us: Histogram<u32>,
}

impl<'a> Generator<'a> {
    pub fn new(contender: &'a dyn Contender) -> Result<Self> {
        Ok(Self {
            contender,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_LEN_MAX),
            scratch: vec![0; READ_BYTES_MAX],
            payload: Vec::new(),
            frame: Vec::new(),
            clients: Vec::new(),
            players: Vec::new(),
            epoch: Instant::now(),
            account: Account::new()?,
        })
    }

    pub fn add_player(&mut self, connection: Connection) -> Result<()> {
        let id = self.players.len() as u32;
        self.players.push(self.clients.len());
        self.add(connection, Role::Player { id, sequence: 0 })
    }

    pub fn add_bystander(&mut self, connection: Connection) -> Result<()> {
        self.add(connection, Role::Bystander)
    }

    fn add(&mut self, connection: Connection, role: Role) -> Result<()> {
        let Connection { stream, unread } = connection;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let token = Token(self.clients.len());
        self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.clients.push(Client { stream, partial: unread, unsent: Vec::new(), role, seen: 0, lost: None });
        Ok(())
    }

    /// Answers what servers ask of connected clients, without waiting.
    pub fn serve(&mut self) -> Result<()> {
        loop {
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
            for &index in &ready {
                self.flush(index);
                self.receive(index);
            }
            if ready.len() < EVENTS_LEN_MAX {
                return Ok(());
            }
        }
    }

    /// Lets all players send for the warm-up and the window, and tells how the server did.
    pub fn measure(&mut self, rooms: u32, timing: Timing, server: &Server) -> Result<Step> {
        if self.players.len() != (rooms * PLAYERS_PER_ROOM) as usize {
            bail!("{} players are in {rooms} rooms", self.players.len());
        }
        let mut order = self.players.clone();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(ORDER_SEED));

        self.epoch = Instant::now();
        let window_end = timing.warm_up + timing.window;
        self.account.window_us = micros(timing.warm_up)..micros(window_end);
        self.send_until(&order, Duration::ZERO, timing.warm_up)?;
        let (cpu_before, own_before, began) = (server.cpu()?, own_cpu(), Instant::now());
        self.send_until(&order, timing.warm_up, window_end)?;
        let elapsed = began.elapsed();
        let (server_cpu, own_cpu) = (server.cpu()? - cpu_before, own_cpu() - own_before);
        let resident_kb = server.resident_kb()?;
        self.drain(window_end + DRAIN)?;
        Ok(self.step(rooms, server_cpu.div_duration_f64(elapsed), own_cpu.div_duration_f64(elapsed), resident_kb))
    }

    /// Sends in the given order, evenly spread over each period.
    fn send_until(&mut self, order: &[usize], from: Duration, until: Duration) -> Result<()> {
        let spacing_ns = SEND_PERIOD.as_nanos() as u64 / order.len() as u64;
        let mut next = from.as_nanos() as u64 / spacing_ns;
        loop {
            let now = self.epoch.elapsed();
            while next * spacing_ns <= now.as_nanos() as u64 && now < until {
                self.send_message(order[(next % order.len() as u64) as usize], next * spacing_ns / 1000);
                next += 1;
            }
            if now >= until {
                return Ok(());
            }
            self.serve()?;
            sleep(SLOT);
        }
    }

    /// Takes what is still on its way.
    fn drain(&mut self, until: Duration) -> Result<()> {
        while self.epoch.elapsed() < until && !self.account.is_complete() {
            self.serve()?;
            sleep(SLOT);
        }
        Ok(())
    }

    fn send_message(&mut self, index: usize, due_us: u64) {
        let client = &mut self.clients[index];
        let Role::Player { id, sequence } = &mut client.role else { return };
        if client.lost.is_some() {
            return;
        }
        *sequence += 1;
        let now_us = micros(self.epoch.elapsed());
        let mut message: Message = [0; MESSAGE_BYTES];
        message[..8].copy_from_slice(&now_us.to_le_bytes());
        message[8..12].copy_from_slice(&id.to_le_bytes());
        message[12..16].copy_from_slice(&sequence.to_le_bytes());
        self.payload.clear();
        self.contender.put_message(&message, client.seen, &mut self.payload);
        self.frame.clear();
        websocket::put_client_frame(&mut self.frame, BINARY, &self.payload);
        self.account.on_sent(now_us, due_us);
        client.send(&self.frame);
    }

    fn flush(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if !client.unsent.is_empty() {
            let unsent = std::mem::take(&mut client.unsent);
            client.send(&unsent);
        }
    }

    /// Reads what came for a client. A read that does not fill the buffer has emptied the socket,
    /// and what comes later is told by another event.
    fn receive(&mut self, index: usize) {
        loop {
            let client = &mut self.clients[index];
            if client.lost.is_some() {
                return;
            }
            let held = client.partial.len();
            self.scratch[..held].copy_from_slice(&client.partial);
            client.partial.clear();
            let count = match client.stream.read(&mut self.scratch[held..]) {
                Ok(0) => return client.lose("the server closed the connection"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return client.lose(&error.to_string()),
            };
            let filled = held + count;
            if let Err(error) = self.take_frames(index, filled) {
                return self.clients[index].lose(&format!("{error:#}"));
            }
            if filled < READ_BYTES_MAX {
                return;
            }
        }
    }

    fn take_frames(&mut self, index: usize, filled: usize) -> Result<()> {
        let mut start = 0;
        while let Some(frame) = websocket::take_frame(&mut self.scratch[..filled], start)? {
            let payload = &self.scratch[frame.payload_start..frame.end];
            start = frame.end;
            let client = &mut self.clients[index];
            match (frame.opcode, &client.role) {
                (BINARY | TEXT, Role::Player { id, .. }) => {
                    if let Some(messages) = self.contender.read(payload)? {
                        self.account.on_received(micros(self.epoch.elapsed()), *id, &messages)?;
                        client.seen = client.seen.wrapping_add(1);
                    }
                }
                (PING, _) => {
                    self.frame.clear();
                    websocket::put_client_frame(&mut self.frame, PONG, payload);
                    client.send(&self.frame);
                }
                (CLOSE, _) => bail!("closed: {}", String::from_utf8_lossy(payload)),
                _ => {}
            }
        }
        if filled - start == READ_BYTES_MAX {
            bail!("a frame is longer than {READ_BYTES_MAX} bytes");
        }
        self.clients[index].partial.extend_from_slice(&self.scratch[start..filled]);
        Ok(())
    }

    fn step(&self, rooms: u32, server_cpu: f64, generator_cpu: f64, resident_kb: u64) -> Step {
        let lost: Vec<&String> = self.clients.iter().filter_map(|client| client.lost.as_ref()).collect();
        let latency_ms = |quantile| self.account.latency_us.value_at_quantile(quantile) as f64 / 1000.0;
        let mut step = Step {
            contender: self.contender.name(),
            rooms,
            held: false,
            clients_lost: lost.len() as u32,
            delivery_percent: self.account.delivery() * 100.0,
            p50_ms: latency_ms(0.50),
            p95_ms: latency_ms(0.95),
            p99_ms: latency_ms(0.99),
            server_cpu_percent: server_cpu * 100.0,
            server_resident_mb: resident_kb as f64 / 1024.0,
            generator_cpu_percent: generator_cpu * 100.0,
            late_ms_p99: self.account.late_us.value_at_quantile(0.99) as f64 / 1000.0,
            lost_because: lost.first().map(|reason| reason.to_string()),
        };
        step.held = step.clients_lost == 0 && step.delivery_percent >= 99.0 && step.p99_ms <= 100.0;
        step
    }
}

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        if self.lost.is_some() {
            return;
        }
        let mut written = 0;
        while self.unsent.is_empty() && written < bytes.len() {
            match self.stream.write(&bytes[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return self.lose(&error.to_string()),
            }
        }
        self.unsent.extend_from_slice(&bytes[written..]);
        if self.unsent.len() > UNSENT_BYTES_MAX {
            self.lose("the server does not read what the client sends");
        }
    }

    fn lose(&mut self, reason: &str) {
        self.lost = Some(reason.to_owned());
    }
}

impl Account {
    fn new() -> Result<Self> {
        let histogram = || Histogram::new_with_max(LATENCY_MS_MAX * 1000, 3);
        Ok(Self { window_us: 0..0, sent: 0, received: 0, latency_us: histogram()?, late_us: histogram()? })
    }

    fn on_sent(&mut self, now_us: u64, due_us: u64) {
        if self.window_us.contains(&now_us) {
            self.sent += 1;
            self.late_us.saturating_record(now_us.saturating_sub(due_us));
        }
    }

    fn on_received(&mut self, now_us: u64, to: u32, messages: &[u8]) -> Result<()> {
        let (messages, rest) = messages.as_chunks::<MESSAGE_BYTES>();
        if !rest.is_empty() {
            bail!("{} bytes came that are no message", rest.len());
        }
        for message in messages {
            let sent_us = u64::from_le_bytes(message[..8].try_into().context("eight bytes")?);
            let from = u32::from_le_bytes(message[8..12].try_into().context("four bytes")?);
            if self.window_us.contains(&sent_us) {
                self.received += 1;
                if from == to {
                    self.latency_us.saturating_record(now_us.saturating_sub(sent_us));
                }
            }
        }
        Ok(())
    }

    fn expected(&self) -> u64 {
        self.sent * u64::from(PLAYERS_PER_ROOM)
    }

    fn is_complete(&self) -> bool {
        self.received == self.expected()
    }

    fn delivery(&self) -> f64 {
        if self.sent == 0 { 0.0 } else { self.received as f64 / self.expected() as f64 }
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}
