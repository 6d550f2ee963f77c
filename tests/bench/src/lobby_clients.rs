//! Many clients of a lobby in one thread: they sign in, ask for matches, and hear of them. What waits for the other side is
//! the system's to tell, so that thousands cost this program little.
//!
//! Invariant: every client is signed in before it asks, and each is connected to the end or counted as lost.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use scenehost_protocol::Encoding;
use scenehost_protocol::v1::{self, client_frame, req_sign_in, server_frame};

use crate::connection::Connection;
use crate::websocket::{self, BINARY, CLOSE, PING, PONG};

const ENCODING: Encoding = Encoding::Proto;
/// How many sign in at a time.
const SIGN_INS: usize = 64;
/// From one who comes to the next.
const ARRIVES_EVERY: Duration = Duration::from_millis(10);
/// How long it may take until all are matched.
const MATCHED_MAX: Duration = Duration::from_secs(60);
const MICROSECONDS_MAX: u64 = 60_000_000;
const READ_BYTES_MAX: usize = 64 * 1_024;

/// One client.
pub struct Member {
    stream: TcpStream,
    pub user_id: String,
    /// The one that operators have set, once the client has heard of it.
    pub rating: Option<u32>,
    /// The beginning of a frame whose end has not come yet.
    partial: Vec<u8>,
    asked: Option<Instant>,
    pub matched: Option<Instant>,
    /// Where the match is played.
    pub scene: String,
    pub lost: bool,
}

/// All of them.
pub struct Clients {
    poll: Poll,
    pub members: Vec<Member>,
    events: Events,
    scratch: Vec<u8>,
    /// How many have asked and have no match yet.
    waiting: usize,
}

impl Clients {
    /// Signs guests with these numbers in, some at a time; those who are in already answer the host's pings meanwhile.
    pub fn gather(lobby: SocketAddr, numbers: Range<usize>) -> Result<Self> {
        let (events, scratch) = (Events::with_capacity(1_024), vec![0; READ_BYTES_MAX]);
        let mut clients = Self { poll: Poll::new()?, members: Vec::new(), events, scratch, waiting: 0 };
        let numbers: Vec<usize> = numbers.collect();
        for numbers in numbers.chunks(SIGN_INS) {
            let asked: Vec<Connection> = numbers.iter().map(|number| sign_in(lobby, *number)).collect::<Result<_>>()?;
            asked.into_iter().try_for_each(|connection| clients.add(connection))?;
            clients.hear(Duration::ZERO)?;
        }
        Ok(clients)
    }

    /// Lets all ask at once, each in the domain that this names for its place, and waits until all are matched. How long
    /// each has waited since the first asked, in seconds, the shortest first.
    pub fn all_at_once<'a>(&mut self, domain: impl Fn(usize) -> &'a str) -> Result<Vec<f64>> {
        let began = Instant::now();
        for client in 0..self.members.len() {
            self.ask(client, domain(client))?;
            // What has come is taken now and then, so that nobody waits for this program.
            if client % 64 == 0 {
                self.hear(Duration::ZERO)?;
            }
        }
        while self.waiting > 0 {
            let (waiting, all) = (self.waiting, self.members.len());
            ensure!(began.elapsed() < MATCHED_MAX, "{waiting} of {all} clients have no match");
            self.hear(Duration::from_millis(100))?;
        }
        let matched = self.members.iter().filter_map(|member| member.matched);
        let mut waits: Vec<f64> = matched.map(|matched| (matched - began).as_secs_f64()).collect();
        waits.sort_unstable_by(f64::total_cmp);
        Ok(waits)
    }

    /// Lets a hundred a second ask for a match of two, one after the other. How long those wait who find somebody, in
    /// microseconds: every second of them.
    pub fn one_by_one(&mut self, domain: &str) -> Result<Histogram<u64>> {
        let (began, count) = (Instant::now(), self.members.len());
        for client in 0..count {
            let due = ARRIVES_EVERY * client as u32;
            while began.elapsed() < due {
                // To the millisecond, as far as the system's own wait goes; the rest is waited for here.
                self.hear(due.saturating_sub(began.elapsed()).min(Duration::from_millis(1)))?;
            }
            self.ask(client, domain)?;
        }
        while self.waiting > 0 {
            let time_max = ARRIVES_EVERY * count as u32 + MATCHED_MAX;
            ensure!(began.elapsed() < time_max, "{} have no match", self.waiting);
            self.hear(Duration::from_millis(100))?;
        }
        let mut waits = Histogram::new_with_bounds(1, MICROSECONDS_MAX, 3)?;
        for member in self.members.iter().skip(1).step_by(2) {
            let (asked, matched) = member.asked.zip(member.matched).context("a connection was lost")?;
            waits.saturating_record((matched - asked).as_micros() as u64);
        }
        Ok(waits)
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

    fn ask(&mut self, client: usize, domain: &str) -> Result<()> {
        let member = &mut self.members[client];
        let payload = encoded(2, client_frame::Body::ReqMatch(v1::ReqMatch { domain: domain.into(), wish: None }));
        let mut frame = Vec::new();
        websocket::put_client_frame(&mut frame, BINARY, &payload);
        member.asked = Some(Instant::now());
        self.waiting += 1;
        // A few bytes have room.
        member.stream.write_all(&frame).context("a client cannot ask")
    }

    /// Takes what comes, for so long at most.
    pub fn hear(&mut self, limit: Duration) -> Result<()> {
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

fn encoded(request: u32, body: client_frame::Body) -> Vec<u8> {
    let frame = v1::ClientFrame { request, seen: 0, body: Some(body) };
    ENCODING.encode_client(&frame).as_bytes().to_vec()
}

/// A client who asks to sign in.
fn sign_in(lobby: SocketAddr, number: usize) -> Result<Connection> {
    let mut connection = Connection::open(lobby, "/v1/lobby", Some(ENCODING.subprotocol()))?;
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
