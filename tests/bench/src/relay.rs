//! The limit's row: an epoll loop that does the same traffic and nothing else. No sign-in, no
//! services, no sandbox: a path names the room, each frame's message is kept until the room's next
//! tick, and each tick writes one frame to each member.
//!
//! Invariant: one thread, one system call per message in and per frame out; ticks are spread over
//! their period in slots of a millisecond.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use tungstenite::handshake::derive_accept_key;

use crate::generator::MESSAGE_BYTES;
use crate::websocket::{self, BINARY, CLOSE, PING, PONG};

const TICK_SLOTS: usize = 50;
const SLOT: Duration = Duration::from_millis(1);
const EVENTS_LEN_MAX: usize = 1024;
const READ_BYTES_MAX: usize = 64 * 1024;
const REQUEST_BYTES_MAX: usize = 4096;
const ROOMS_MAX: usize = 16 * 1024;
const LISTENER: Token = Token(usize::MAX);

#[derive(Default)]
struct Room {
    members: Vec<usize>,
    pending: Vec<u8>,
}

struct Peer {
    stream: TcpStream,
    /// The beginning of a request or a frame whose end has not come yet.
    partial: Vec<u8>,
    room: Option<usize>,
    track: Track,
}

/// The small state per player.
#[derive(Default)]
struct Track {
    sequence: u32,
    count: u32,
    position: [f32; 2],
}

struct Relay {
    poll: Poll,
    peers: Slab<Peer>,
    rooms: Vec<Room>,
    scratch: Vec<u8>,
    frame: Vec<u8>,
}

/// What became of a peer's input.
enum Outcome {
    Stays,
    Leaves,
}

/// Serves until the process is ended.
pub fn run(address: SocketAddr) -> Result<()> {
    let mut listener = TcpListener::bind(address)?;
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS_LEN_MAX);
    let scratch = vec![0; READ_BYTES_MAX];
    let mut relay = Relay { poll, peers: Slab::new(), rooms: Vec::new(), scratch, frame: Vec::new() };
    let started = Instant::now();
    let mut slot: u64 = 0;
    loop {
        let due = SLOT * slot as u32;
        let wait = due.saturating_sub(started.elapsed());
        relay.poll.poll(&mut events, Some(wait)).or_else(unless_interrupted)?;
        for event in &events {
            match event.token() {
                LISTENER => relay.accept(&listener)?,
                Token(peer) => relay.on_readable(peer),
            }
        }
        while SLOT * slot as u32 <= started.elapsed() {
            relay.tick((slot % TICK_SLOTS as u64) as usize);
            slot += 1;
        }
    }
}

fn unless_interrupted(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}

impl Relay {
    fn accept(&mut self, listener: &TcpListener) -> Result<()> {
        loop {
            let (mut stream, _) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot accept"),
            };
            stream.set_nodelay(true)?;
            let entry = self.peers.vacant_entry();
            self.poll.registry().register(&mut stream, Token(entry.key()), Interest::READABLE)?;
            entry.insert(Peer { stream, partial: Vec::new(), room: None, track: Track::default() });
        }
    }

    fn on_readable(&mut self, peer: usize) {
        // An event may be left over of a peer that has gone.
        if self.peers.contains(peer) && !matches!(self.read(peer), Ok(Outcome::Stays)) {
            self.remove(peer);
        }
    }

    /// Reads until the socket is empty, which a read that does not fill the buffer tells.
    fn read(&mut self, index: usize) -> Result<Outcome> {
        loop {
            let peer = &mut self.peers[index];
            let held = peer.partial.len();
            self.scratch[..held].copy_from_slice(&peer.partial);
            peer.partial.clear();
            let count = match peer.stream.read(&mut self.scratch[held..]) {
                Ok(0) => return Ok(Outcome::Leaves),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error.into()),
            };
            let filled = held + count;
            let taken = match peer.room {
                Some(room) => self.take_frames(index, room, filled)?,
                None => self.take_request(index, filled)?,
            };
            let Some(taken) = taken else { return Ok(Outcome::Leaves) };
            self.peers[index].partial.extend_from_slice(&self.scratch[taken..filled]);
            if filled < READ_BYTES_MAX {
                return Ok(Outcome::Stays);
            }
        }
    }

    /// Gives how many bytes were used, or `None` if the peer leaves.
    fn take_frames(&mut self, index: usize, room: usize, filled: usize) -> Result<Option<usize>> {
        let mut start = 0;
        while let Some(frame) = websocket::take_frame(&mut self.scratch[..filled], start)? {
            let payload = &self.scratch[frame.payload_start..frame.end];
            start = frame.end;
            match frame.opcode {
                BINARY => {
                    let message = payload.as_array::<MESSAGE_BYTES>().context("a message has 24 bytes")?;
                    self.peers[index].track.update(message);
                    self.rooms[room].pending.extend_from_slice(message);
                }
                PING => {
                    self.frame.clear();
                    websocket::put_server_frame(&mut self.frame, PONG, payload);
                    self.peers[index].stream.write_all(&self.frame)?;
                }
                CLOSE => return Ok(None),
                _ => {}
            }
        }
        Ok(Some(start))
    }

    /// Answers the request for a room, or whether the relay runs.
    fn take_request(&mut self, index: usize, filled: usize) -> Result<Option<usize>> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(taken) = request.parse(&self.scratch[..filled])? else {
            return if filled < REQUEST_BYTES_MAX { Ok(Some(0)) } else { bail!("the request is too long") };
        };
        let path = request.path.context("no path")?;
        let stream = &mut self.peers[index].stream;
        let Some(room) = path.strip_prefix("/rooms/") else {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(None);
        };
        let room: usize = room.parse()?;
        if room >= ROOMS_MAX {
            bail!("there are {ROOMS_MAX} rooms");
        }
        let key = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"));
        let accept = derive_accept_key(key.context("no key")?.value);
        write!(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )?;
        if self.rooms.len() <= room {
            self.rooms.resize_with(room + 1, Room::default);
        }
        self.rooms[room].members.push(index);
        self.peers[index].room = Some(room);
        Ok(Some(taken))
    }

    /// Sends what came in the rooms of a slot.
    fn tick(&mut self, slot: usize) {
        for room in (slot..self.rooms.len()).step_by(TICK_SLOTS) {
            let Room { members, pending } = &mut self.rooms[room];
            if pending.is_empty() {
                continue;
            }
            self.frame.clear();
            websocket::put_server_frame(&mut self.frame, BINARY, pending);
            pending.clear();
            // Whoever does not take a whole frame at once is too slow for this relay.
            let frame = &self.frame;
            let gone = members.iter().filter(|member| self.peers[**member].stream.write_all(frame).is_err());
            let gone: Vec<usize> = gone.copied().collect();
            for member in gone {
                self.remove(member);
            }
        }
    }

    fn remove(&mut self, index: usize) {
        let peer = self.peers.remove(index);
        if let Some(room) = peer.room {
            self.rooms[room].members.retain(|member| *member != index);
        }
    }
}

impl Track {
    fn update(&mut self, message: &[u8; MESSAGE_BYTES]) {
        self.sequence = u32::from_le_bytes([message[12], message[13], message[14], message[15]]);
        self.count = self.count.wrapping_add(1);
        let turn = self.sequence as f32 * 0.1 % 2.0;
        self.position[0] += 1.0 - turn;
        self.position[1] += turn;
    }
}
