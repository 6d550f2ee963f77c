//! A server that follows a script.
//!
//! Invariant: it counts frames and messages as a real one does, unless a script says otherwise.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use scenehost_client::v1::{self, client_frame, server_frame};
use scenehost_client::{Credential, Encoding, Options};
use scenehost_protocol::Payload;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// How long anything may take that happens at once on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// What a server says that it keeps everything for.
pub const GRACE_MS: u32 = 5_000;

/// The server's end of one connection.
pub struct Peer {
    pub stream: WebSocketStream<TcpStream>,
    pub path: String,
    pub encoding: Encoding,
    /// The number of the last frame that was sent.
    pub seq: u32,
    /// What the client has last said that came.
    pub seen: u32,
    /// How many of the client's own pings came.
    pub pings: u32,
    /// How many messages to the game came over the line.
    pub received: u32,
}

impl Peer {
    pub async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = timeout(PATIENCE, listener.accept()).await.expect("a client comes").unwrap();
        let mut path = String::new();
        let mut encoding = None;
        #[allow(clippy::result_large_err, reason = "the library's signature")]
        let callback = |request: &Request, mut response: Response| {
            path = request.uri().path().to_owned();
            let name = request.headers()["sec-websocket-protocol"].clone();
            encoding = Encoding::from_subprotocol(name.to_str().unwrap());
            response.headers_mut().insert("sec-websocket-protocol", name);
            Ok(response)
        };
        let stream = accept_hdr_async(stream, callback).await.unwrap();
        Self { stream, path, encoding: encoding.unwrap(), seq: 0, seen: 0, pings: 0, received: 0 }
    }

    /// The next frame, whatever it is.
    pub async fn receive_any(&mut self) -> v1::ClientFrame {
        let message = timeout(PATIENCE, self.stream.next()).await.expect("the client speaks");
        let frame = match message.unwrap().unwrap() {
            Message::Binary(bytes) => self.encoding.decode_client(&bytes[..]).unwrap(),
            Message::Text(text) => self.encoding.decode_client(text.as_str()).unwrap(),
            other => panic!("not a frame: {other:?}"),
        };
        self.seen = frame.seen;
        frame
    }

    /// The next frame that is not the client's own ping; those are answered.
    pub async fn receive(&mut self) -> (u32, client_frame::Body) {
        loop {
            let frame = self.receive_any().await;
            match frame.body.unwrap() {
                client_frame::Body::Ping(v1::Ping { payload: 0 }) if frame.request == 0 => {
                    self.pings += 1;
                    self.pong(0).await;
                }
                body => {
                    self.received += u32::from(matches!(body, client_frame::Body::SceneMessage(_)));
                    return (frame.request, body);
                }
            }
        }
    }

    /// The next message to the game.
    pub async fn message(&mut self) -> String {
        match self.receive().await {
            (0, client_frame::Body::SceneMessage(message)) => String::from_utf8(message.body.into()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Sends a frame of the line.
    pub async fn send(&mut self, request: u32, body: server_frame::Body) {
        self.seq += 1;
        self.put(self.seq, request, body).await;
    }

    /// Sends a frame outside of the count.
    pub async fn tell(&mut self, request: u32, body: server_frame::Body) {
        self.put(0, request, body).await;
    }

    pub async fn say(&mut self, message: &str) {
        let body = message.as_bytes().to_vec().into();
        self.send(0, server_frame::Body::SceneMessage(v1::SceneMessage { body })).await;
    }

    pub async fn pong(&mut self, payload: u64) {
        self.tell(0, server_frame::Body::Pong(v1::Pong { payload, received: self.received })).await;
    }

    pub async fn closing(&mut self, code: v1::Code) {
        let closing = v1::SynClosing { code: code.into(), text: "go away".into() };
        self.tell(0, server_frame::Body::SynClosing(closing)).await;
    }

    async fn put(&mut self, seq: u32, request: u32, body: server_frame::Body) {
        let frame = v1::ServerFrame { seq, request, body: Some(body) };
        let message = match self.encoding.encode_server(&frame) {
            Payload::Binary(bytes) => Message::Binary(bytes),
            Payload::Text(text) => Message::Text(text.into()),
        };
        self.stream.send(message).await.unwrap();
    }

    /// Cuts the connection as a broken network does: reset, without a word.
    pub fn cut(self) {
        self.stream.get_ref().set_zero_linger().unwrap();
    }

    /// The client says nothing more until it closes the connection.
    pub async fn expect_silence(mut self) {
        loop {
            match timeout(PATIENCE, self.stream.next()).await.expect("the client closes") {
                Some(Ok(Message::Binary(bytes))) => {
                    let frame = self.encoding.decode_client(&bytes[..]).unwrap();
                    assert!(matches!(frame.body, Some(client_frame::Body::Ping(_))), "{frame:?}");
                }
                Some(Ok(Message::Close(_))) => return,
                other => panic!("{other:?}"),
            }
        }
    }

    /// A connection to the lobby that asks to sign in, with this request.
    pub async fn asks_to_sign_in(listener: &TcpListener) -> (Self, u32, v1::ReqSignIn) {
        let mut peer = Self::accept(listener).await;
        assert_eq!(peer.path, "/v1/lobby");
        match peer.receive().await {
            (request, client_frame::Body::ReqSignIn(sign_in)) => (peer, request, sign_in),
            other => panic!("{other:?}"),
        }
    }

    /// Lets the user in, whoever it is.
    pub async fn sign_in(listener: &TcpListener) -> Self {
        let (mut peer, request, _) = Self::asks_to_sign_in(listener).await;
        peer.tell(request, server_frame::Body::ResSignIn(session())).await;
        peer
    }

    /// A connection to the scene that asks to enter, with this request.
    pub async fn asks_to_enter(listener: &TcpListener) -> (Self, u32, v1::ReqJoinScene) {
        let mut peer = Self::accept(listener).await;
        assert_eq!(peer.path, "/v1/scene");
        match peer.receive().await {
            (request, client_frame::Body::ReqJoinScene(join)) => {
                assert_eq!(join.scene_token, "token");
                (peer, request, join)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Lets the user into the scene.
    pub async fn enter(listener: &TcpListener) -> Self {
        let (mut peer, request, join) = Self::asks_to_enter(listener).await;
        assert_eq!(join.resume_seq, None);
        peer.tell(request, server_frame::Body::ResJoinScene(info())).await;
        peer
    }

    /// Lets the user go on in the scene after this frame and with so many messages that came.
    pub async fn enter_again(listener: &TcpListener, seq: u32, received: u32) -> Self {
        let (mut peer, request, join) = Self::asks_to_enter(listener).await;
        assert_eq!(join.resume_seq, Some(seq));
        (peer.seq, peer.received) = (seq, received);
        let info = v1::ResJoinScene { resumed: true, received, after_seq: seq, ..info() };
        peer.tell(request, server_frame::Body::ResJoinScene(info)).await;
        peer
    }

    pub async fn expect_match_request(&mut self) {
        let (request, body) = self.receive().await;
        assert!(matches!(body, client_frame::Body::ReqMatch(_)));
        self.send(request, match_state(v1::syn_match_state::State::Searching, None)).await;
    }
}

pub fn session() -> v1::ResSignIn {
    v1::ResSignIn {
        user_id: "00".repeat(8),
        name: "Ada".into(),
        session_token: "session".into(),
        refresh_token: "refresh".into(),
        grace_ms: GRACE_MS,
        ..Default::default()
    }
}

pub fn info() -> v1::ResJoinScene {
    v1::ResJoinScene { scene_id: "s".into(), seat: 2, grace_ms: GRACE_MS, ..Default::default() }
}

pub fn match_state(state: v1::syn_match_state::State, refused: Option<v1::Refused>) -> server_frame::Body {
    let domain = "arena".into();
    server_frame::Body::SynMatchState(v1::SynMatchState { state: state.into(), domain, refused, ..Default::default() })
}

pub fn refused(code: v1::Code) -> v1::Refused {
    v1::Refused { code: code.into(), text: "try later".into(), retry_after_ms: 1 }
}

pub fn match_made() -> server_frame::Body {
    server_frame::Body::ResMatch(v1::ResMatch {
        scene_id: "s".into(),
        domain: "arena".into(),
        scene_url: "/v1/scene".into(),
        scene_token: "token".into(),
        token_expires_in_ms: 5000,
    })
}

pub fn guest() -> Credential {
    Credential::Guest { device_id: "0123456789abcdef".into(), name: String::new() }
}

pub fn options() -> Options {
    Options { request_timeout: Duration::from_millis(200), ..patient() }
}

/// For requests that wait for the script.
pub fn patient() -> Options {
    Options { request_timeout: PATIENCE, backoff_max: Duration::from_millis(50), ..Options::default() }
}

/// A listening server, its address and what it does.
pub async fn serve<F>(script: impl FnOnce(TcpListener) -> F) -> (String, JoinHandle<F::Output>)
where
    F: Future<Output: Send> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    (url, tokio::spawn(script(listener)))
}

/// Answers one call to refresh a session's tokens; what was sent. `head`: the status, and headers on further lines.
pub async fn answer_refresh(listener: &TcpListener, head: &str, answer: &str) -> String {
    // The body is the last part, and an object.
    answer_http(listener, "}", head, answer).await
}

/// Answers one attempt to connect by something else than a connection. `head`: as in `answer_refresh`.
pub async fn turn_away(listener: &TcpListener, head: &str) {
    answer_http(listener, "\r\n\r\n", head, "go away").await;
}

/// Answers a request that ends with this; what was sent.
async fn answer_http(listener: &TcpListener, end: &str, head: &str, answer: &str) -> String {
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("a client comes").unwrap();
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut part = [0; 4096];
        let part_bytes = stream.read(&mut part).await.unwrap();
        assert_ne!(part_bytes, 0, "{text}");
        text.push_str(std::str::from_utf8(&part[..part_bytes]).unwrap());
    }
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(answer.as_bytes()).await.unwrap();
    text
}

/// Nobody connects for a while.
pub async fn expect_nobody(listener: &TcpListener) {
    let came = timeout(Duration::from_millis(300), listener.accept()).await;
    assert!(came.is_err(), "a client came that should not");
}
