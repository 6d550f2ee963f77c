//! One scene connection: a WebSocket on a socket that never blocks.
//!
//! Invariant: a connection holds at most [`WRITE_BUFFER_BYTES_MAX`] that its client has not taken;
//! a client that is slower than that loses the connection, not the scene its pace.

use std::io::{self, Read as _};
use std::time::Duration;

use bytes::Bytes;
use mio::net::TcpStream;
use rustls::ServerConnection;
use scenehost_core::{ConnectionId, SceneId, Seat};
use scenehost_protocol::v1::{ServerFrame, server_frame::Body};
use scenehost_protocol::{Encoding, FRAME_BYTES_MAX, Payload, SharedEvent};
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode};
use tungstenite::{Message, WebSocket};

use super::socket::Socket;
use crate::edge::Place;

/// What may wait for a client that does not read.
pub const WRITE_BUFFER_BYTES_MAX: usize = 512 * 1024;
/// What is read from a socket at once; messages of games are small, and there are many sockets.
const READ_BYTES: usize = 2 * 1024;

/// So many frames over the limit in one second end a connection.
const FLOOD_FRAMES: u32 = 1_000;

/// A socket handed over by the edge after its HTTP upgrade.
pub struct NewSocket {
    pub stream: std::net::TcpStream,
    /// The state of TLS, if it speaks that.
    pub tls: Option<Box<ServerConnection>>,
    /// What the client sent behind the upgrade.
    pub read_already: Bytes,
    pub encoding: Encoding,
    pub place: Place,
}

pub struct Connection {
    pub id: ConnectionId,
    pub scene: SceneId,
    /// The seat, once its user is inside.
    pub seat: Option<Seat>,
    /// Whether its user is here to watch.
    pub is_watching: bool,
    /// Since the host's start: when it was opened, when the client was last heard.
    pub opened: Duration,
    pub heard: Duration,
    /// When it is cut off, once it is closing.
    pub closing: Option<Duration>,
    /// Whether something waits to be flushed.
    pub touched: bool,
    pub pinged: bool,
    /// Whether it waits for its turn to read on.
    pub queued: bool,
    /// What comes cannot be read any more.
    discarding: bool,
    websocket: WebSocket<Socket>,
    encoding: Encoding,
    window: Window,
    /// Free for another client when this connection is gone.
    _place: Place,
}

/// How many messages came in the current second.
#[derive(Default)]
struct Window {
    second: u64,
    count: u32,
}

/// Whether a frame is within its sender's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    Yes,
    /// The first one over the limit in this second: its sender is told.
    TellNo,
    No,
    /// So many over the limit that no client at work sends them.
    CutOff,
}

/// What came in.
pub enum Incoming {
    Frame(Message),
    /// Nothing more for now.
    Drained,
    /// There is more, but others have waited long enough.
    Paused,
    /// The client is gone, or has to go; why, if it should be told.
    Gone(Option<String>),
}

impl Connection {
    pub fn new(id: ConnectionId, scene: SceneId, socket: NewSocket, now: Duration) -> Self {
        let stream = Socket::new(TcpStream::from_std(socket.stream), socket.tls);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            // Frames gather until the end of a step, then leave in one system call.
            .write_buffer_size(WRITE_BUFFER_BYTES_MAX / 2)
            .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX - stream.held_bytes_max())
            .max_message_size(Some(FRAME_BYTES_MAX))
            .max_frame_size(Some(FRAME_BYTES_MAX));
        let part = socket.read_already.to_vec();
        Self {
            id,
            scene,
            seat: None,
            is_watching: false,
            opened: now,
            heard: now,
            closing: None,
            touched: false,
            pinged: false,
            queued: false,
            discarding: false,
            websocket: WebSocket::from_partially_read(stream, part, Role::Server, Some(config)),
            encoding: socket.encoding,
            window: Window::default(),
            _place: socket.place,
        }
    }

    /// Whether its user is inside, to play or to watch.
    pub fn is_inside(&self) -> bool {
        self.seat.is_some() || self.is_watching
    }

    /// Its user is not inside any more. Whether that is new.
    pub fn go_out(&mut self) -> bool {
        let was_inside = self.is_inside();
        (self.seat, self.is_watching) = (None, false);
        was_inside
    }

    pub fn source(&mut self) -> &mut TcpStream {
        self.websocket.get_mut().source()
    }

    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The socket has something to read. `ending`: the client has closed its side.
    pub fn wake(&mut self, ending: bool) {
        self.websocket.get_mut().wake(ending);
    }

    /// What comes from now on is thrown away, since it cannot be read. It is taken all the same: a system
    /// that closes a socket with something unread in it may take back what the client was told.
    pub fn discard(&mut self) {
        self.discarding = true;
    }

    /// Reads the next frame, if there is one.
    pub fn read(&mut self, now: Duration) -> Incoming {
        if self.discarding {
            return self.read_nothing();
        }
        match self.websocket.read() {
            Ok(message) => {
                self.heard = now;
                self.pinged = false;
                Incoming::Frame(message)
            }
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                match self.websocket.get_mut().take_pause() {
                    true => Incoming::Paused,
                    false => Incoming::Drained,
                }
            }
            Err(tungstenite::Error::Capacity(error)) => Incoming::Gone(Some(error.to_string())),
            Err(tungstenite::Error::Protocol(error)) => Incoming::Gone(Some(error.to_string())),
            Err(tungstenite::Error::Utf8(error)) => Incoming::Gone(Some(error.to_string())),
            Err(_) => Incoming::Gone(None),
        }
    }

    fn read_nothing(&mut self) -> Incoming {
        let socket = self.websocket.get_mut();
        let mut nowhere = [0; READ_BYTES];
        loop {
            match socket.read(&mut nowhere) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return if socket.take_pause() { Incoming::Paused } else { Incoming::Drained };
                }
                Ok(0) | Err(_) => return Incoming::Gone(None),
            }
        }
    }

    /// Counts a frame against what is allowed in a second.
    pub fn count(&mut self, now: Duration, per_second_max: u32) -> Allowed {
        let second = now.as_secs();
        if self.window.second != second {
            self.window = Window { second, count: 0 };
        }
        self.window.count += 1;
        match self.window.count.checked_sub(per_second_max) {
            None | Some(0) => Allowed::Yes,
            Some(1) => Allowed::TellNo,
            Some(over) if over <= FLOOD_FRAMES => Allowed::No,
            Some(_) => Allowed::CutOff,
        }
    }

    /// Puts an event behind what waits to be sent, with its number in the user's line; false if the client
    /// has not read for too long.
    #[must_use]
    pub fn tell(&mut self, event: &SharedEvent, seq: u32) -> bool {
        self.write(event.payload(self.encoding, seq))
    }

    /// Answers a request, or tells something that is about this connection only (request 0).
    #[must_use]
    pub fn answer(&mut self, body: Body, request: u32) -> bool {
        let frame = ServerFrame { seq: 0, request, body: Some(body) };
        self.write(self.encoding.encode_server(&frame))
    }

    fn write(&mut self, payload: Payload) -> bool {
        if self.closing.is_some() {
            return true;
        }
        let message = match payload {
            Payload::Binary(bytes) => Message::Binary(bytes),
            Payload::Text(text) => Message::Text(text.into()),
        };
        match self.websocket.write(message) {
            Ok(()) => true,
            // The socket takes no more for now. What was written waits, and has a limit, which is another error.
            Err(tungstenite::Error::Io(error)) => error.kind() == io::ErrorKind::WouldBlock,
            Err(_) => false,
        }
    }

    /// Asks the client for a sign of life.
    pub fn ping(&mut self) {
        self.pinged = true;
        let _ = self.websocket.write(Message::Ping(Bytes::new())); // A broken socket shows when it is read.
    }

    /// Sends what waits, as far as the socket takes it; false if the socket is broken.
    #[must_use]
    pub fn flush(&mut self) -> bool {
        match self.websocket.flush() {
            Ok(()) => true,
            Err(tungstenite::Error::Io(error)) => error.kind() == io::ErrorKind::WouldBlock,
            // The closing handshake is complete; reading ends the connection.
            Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => true,
            Err(_) => false,
        }
    }

    /// Begins to close: what was told leaves first, then the client has `until` to agree.
    pub fn close(&mut self, code: u16, until: Duration) {
        if self.closing.is_none() {
            self.closing = Some(until);
            let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
            let _ = self.websocket.close(Some(frame)); // A broken socket shows when it is read.
        }
    }
}
