//! Chat: a room of a thousand connections in which somebody says something many times a second, from the sending to
//! the receipt at everybody else.
//!
//! Invariant: every message that was sent is accounted for at every connection of the room, and each of them is
//! connected to the end.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use scenehost_protocol::Encoding;
use scenehost_protocol::v1::{self, ChatKind, client_frame, req_chat, req_sign_in, server_frame, syn_chat};

use super::Settings;
use crate::connection::Connection;
use crate::process::{self, Server};
use crate::websocket::{self, BINARY, CLOSE, PING, PONG};

const CLIENTS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7450);
const OPS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7451);
const ENCODING: Encoding = Encoding::Proto;
const ROOM: &str = "lobby";
/// How many connections are in the room.
const CONNECTIONS: usize = 1_000;
/// How often somebody says something; connections take turns.
const SAY_PERIOD: Duration = Duration::from_millis(100);
/// Everybody comes from one address, and says as much as it takes.
const CONFIG: &str = "[server]
scenes_max = 16
scene_threads = 1

[server.per_address]
connections = 100000
sign_ins_per_minute = 60000000

[chat]
room_members = 1000
messages = 1000
per_ms = 1000
";
/// How long what was sent has to arrive after the window.
const DRAIN: Duration = Duration::from_secs(5);
const MICROSECONDS_MAX: u64 = 60_000_000;
const READ_BYTES_MAX: usize = 64 * 1_024;
/// The text is padded to what people write.
const TEXT_BYTES: usize = 60;

/// What was measured.
pub struct Fanout {
    pub connections: usize,
    pub messages: u64,
    pub receipts: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    pub server_cpu_percent: f64,
    /// What the host worked for each receipt: Lobby and edge.
    pub host_us_per_receipt: f64,
    pub generator_cpu_percent: f64,
}

/// Starts the host with an empty store, fills a room, lets it talk, and tells how long it took.
pub fn chat_fanout(settings: &Settings, program: &Path, out: &Path) -> Result<Fanout> {
    let data = out.join("chat-data");
    if data.exists() {
        fs::remove_dir_all(&data).context("the data of the last run cannot be removed")?;
    }
    let config = out.join("chat.toml");
    fs::write(&config, CONFIG)?;
    let program = fs::canonicalize(program).with_context(|| format!("{} is not there", program.display()))?;
    let configure = |command: &mut Command| {
        command.args(["serve", "--config"]).arg(&config).arg("--data-dir").arg(&data);
        command.args(["--listen", &CLIENTS.to_string(), "--ops-listen", &OPS.to_string()]);
    };
    let mut server = Server::start(&program, configure, &out.join("chat.log"))?;
    server.wait_until_ready(OPS, "/health")?;
    let mut crowd = Crowd::gather()?;
    crowd.measure(settings, &server)
}

struct Member {
    stream: TcpStream,
    /// The beginning of a frame whose end has not come yet.
    partial: Vec<u8>,
}

struct Crowd {
    poll: Poll,
    members: Vec<Member>,
    scratch: Vec<u8>,
    epoch: Instant,
    /// The messages sent within these count.
    window_us: std::ops::Range<u64>,
    sent: u64,
    received: u64,
    latency_us: Histogram<u64>,
}

impl Crowd {
    /// Signs everybody in and brings them into the room.
    fn gather() -> Result<Self> {
        let mut connections = Vec::new();
        for number in 0..CONNECTIONS {
            let mut connection = Connection::open(CLIENTS, "/v1/lobby", Some(ENCODING.subprotocol()))?;
            let credential = req_sign_in::Credential::Guest(req_sign_in::Guest {
                device_id: format!("bench-device-{number:08}"),
                name: format!("Guest {number}"),
            });
            let sign_in = v1::ReqSignIn { credential: Some(credential), device: String::new(), resume_seq: None };
            connection.send(&encoded(1, client_frame::Body::ReqSignIn(sign_in)))?;
            connections.push(connection);
        }
        for connection in &mut connections {
            answered(connection, 1)?;
            let join = req_chat::Ask::Join(req_chat::Join { room: ROOM.to_owned() });
            connection.send(&encoded(2, client_frame::Body::ReqChat(v1::ReqChat { ask: Some(join) })))?;
        }
        let poll = Poll::new()?;
        let mut members = Vec::new();
        for mut connection in connections {
            answered(&mut connection, 2)?;
            let Connection { stream, unread } = connection;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(members.len()), Interest::READABLE)?;
            members.push(Member { stream, partial: unread });
        }
        Ok(Self {
            poll,
            members,
            scratch: vec![0; READ_BYTES_MAX],
            epoch: Instant::now(),
            window_us: 0..0,
            sent: 0,
            received: 0,
            latency_us: Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3)?,
        })
    }

    fn measure(&mut self, settings: &Settings, server: &Server) -> Result<Fanout> {
        self.epoch = Instant::now();
        let end = settings.warm_up + settings.window;
        self.window_us = micros(settings.warm_up)..micros(end);
        self.talk(Duration::ZERO, settings.warm_up)?;
        let (cpu, own, began) = (server.cpu_exact()?, process::own_cpu(), Instant::now());
        self.talk(settings.warm_up, end)?;
        let took = began.elapsed();
        let percent = |time: Duration| 100.0 * time.div_duration_f64(took);
        let (worked, own) = (server.cpu_exact()? - cpu, percent(process::own_cpu() - own));
        let expected = self.sent * (CONNECTIONS as u64 - 1);
        while self.received < expected {
            ensure!(self.epoch.elapsed() < end + DRAIN, "{} of {expected} messages have arrived", self.received);
            self.hear(SAY_PERIOD)?;
        }
        let ms = |quantile| self.latency_us.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Fanout {
            connections: CONNECTIONS,
            messages: self.sent,
            receipts: self.received,
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            max_ms: self.latency_us.max() as f64 / 1e3,
            server_cpu_percent: percent(worked),
            host_us_per_receipt: worked.as_secs_f64() * 1e6 / expected.max(1) as f64,
            generator_cpu_percent: own,
        })
    }

    /// Lets members speak in turn, evenly spread.
    fn talk(&mut self, from: Duration, until: Duration) -> Result<()> {
        let mut due = from;
        while due < until {
            let now = self.epoch.elapsed();
            if now < due {
                self.hear(due - now)?;
                continue;
            }
            // Far apart, as people are.
            let turn = (due.as_nanos() / SAY_PERIOD.as_nanos()) as usize * 7 % self.members.len();
            self.say(turn)?;
            due += SAY_PERIOD;
        }
        Ok(())
    }

    fn say(&mut self, turn: usize) -> Result<()> {
        let now_us = micros(self.epoch.elapsed());
        let channel = Some(v1::ChatChannel { kind: ChatKind::Room.into(), of: ROOM.to_owned() });
        let text = format!("{now_us} {:.<width$}", "", width = TEXT_BYTES - 1 - now_us.to_string().len());
        let say = req_chat::Ask::Say(req_chat::Say { channel, text });
        let payload = encoded(3, client_frame::Body::ReqChat(v1::ReqChat { ask: Some(say) }));
        let mut frame = Vec::new();
        websocket::put_client_frame(&mut frame, BINARY, &payload);
        self.sent += u64::from(self.window_us.contains(&now_us));
        // A few bytes after a second of silence have room.
        self.members[turn].stream.write_all(&frame).context("a member cannot speak")
    }

    /// Takes what comes, for so long at most.
    fn hear(&mut self, limit: Duration) -> Result<()> {
        let mut events = Events::with_capacity(CONNECTIONS);
        self.poll.poll(&mut events, Some(limit))?;
        for event in &events {
            self.receive(event.token().0)?;
        }
        Ok(())
    }

    fn receive(&mut self, index: usize) -> Result<()> {
        loop {
            let member = &mut self.members[index];
            let held = member.partial.len();
            self.scratch[..held].copy_from_slice(&member.partial);
            let count = match member.stream.read(&mut self.scratch[held..]) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let now_us = micros(self.epoch.elapsed());
            self.take_frames(index, held + count, now_us)?;
        }
    }

    fn take_frames(&mut self, index: usize, filled: usize, now_us: u64) -> Result<()> {
        let mut start = 0;
        while let Some(frame) = websocket::take_frame(&mut self.scratch[..filled], start)? {
            let payload = &self.scratch[frame.payload_start..frame.end];
            start = frame.end;
            match frame.opcode {
                BINARY => {
                    if let Some(sent_us) = sent_us(payload)?
                        && self.window_us.contains(&sent_us)
                    {
                        self.received += 1;
                        self.latency_us.saturating_record(now_us.saturating_sub(sent_us));
                    }
                }
                PING => {
                    let mut pong = Vec::new();
                    websocket::put_client_frame(&mut pong, PONG, payload);
                    self.members[index].stream.write_all(&pong)?;
                }
                CLOSE => bail!("closed: {}", String::from_utf8_lossy(payload)),
                _ => {}
            }
        }
        let partial = &mut self.members[index].partial;
        partial.clear();
        partial.extend_from_slice(&self.scratch[start..filled]);
        Ok(())
    }
}

/// When a message of the room was sent; `None` for what is none.
fn sent_us(payload: &[u8]) -> Result<Option<u64>> {
    match ENCODING.decode_server(payload)?.body {
        Some(server_frame::Body::SynChat(v1::SynChat { what: Some(syn_chat::What::Message(message)) })) => {
            let sent_us = message.text.split(' ').next().and_then(|text| text.parse().ok());
            Ok(Some(sent_us.context("a message that nobody has sent")?))
        }
        Some(server_frame::Body::Refused(refused)) => bail!("refused: {}", refused.text),
        Some(server_frame::Body::SynClosing(closing)) => bail!("closing: {}", closing.text),
        _ => Ok(None),
    }
}

fn encoded(request: u32, body: client_frame::Body) -> Vec<u8> {
    let frame = v1::ClientFrame { request, seen: 0, body: Some(body) };
    ENCODING.encode_client(&frame).as_bytes().to_vec()
}

/// Waits for the answer to a request; news come between.
fn answered(connection: &mut Connection, request: u32) -> Result<()> {
    loop {
        let frame = ENCODING.decode_server(&connection.receive()?[..])?;
        match frame.body {
            Some(server_frame::Body::Refused(refused)) => bail!("refused: {}", refused.text),
            _ if frame.request == request => return Ok(()),
            _ => {}
        }
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}
