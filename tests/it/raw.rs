//! The bare protocol: what a client sends, right or wrong, and what comes back.
//!
//! Invariant: the frames of a connection are counted from 1 without gaps.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use scenehost_client::Match;
use scenehost_protocol::v1::{self, ClientFrame, ServerFrame, client_frame, req_sign_in, server_frame};
use scenehost_protocol::{Encoding, Payload};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::host::{Host, within};
use crate::player::device;

pub const LOBBY: &str = "/v1/lobby";

/// The status and the text of a refused upgrade.
#[derive(Debug)]
pub struct NoUpgrade {
    pub status: u16,
    pub text: String,
}

/// How a connection ended: what was told last, and the close code.
#[derive(Debug, PartialEq)]
pub struct End {
    pub code: v1::Code,
    pub text: String,
    pub close: u16,
}

/// A connection on which anything can be sent.
pub struct Raw<S = TcpStream> {
    stream: WebSocketStream<S>,
    encoding: Encoding,
    seq: u32,
    request: u32,
}

/// The next WebSocket message that is no ping or pong; `None` if the connection is gone.
pub async fn receive<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut WebSocketStream<S>) -> Option<Message> {
    within("a message from the host", async {
        loop {
            match stream.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    })
    .await
}

/// Opens a WebSocket with these headers.
pub async fn upgrade(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<WebSocketStream<TcpStream>, NoUpgrade> {
    upgrade_on(TcpSocket::new_v4().expect("a socket"), address, path, headers).await
}

async fn upgrade_on(
    socket: TcpSocket,
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<WebSocketStream<TcpStream>, NoUpgrade> {
    let stream = within("a connection", socket.connect(address)).await.expect("the host listens");
    upgrade_over(stream, address, path, headers).await
}

/// Opens a WebSocket over a connection that is there.
async fn upgrade_over<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<WebSocketStream<S>, NoUpgrade> {
    let mut request = format!("ws://{address}{path}").into_client_request().expect("an address");
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("a header's name");
        request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a header's value"));
    }
    // Small, since there may be many.
    let config = WebSocketConfig::default().read_buffer_size(4 << 10);
    let upgraded = within("the upgrade", client_async_with_config(request, stream, Some(config)));
    match upgraded.await {
        Ok((stream, _)) => Ok(stream),
        Err(Error::Http(answer)) => Err(NoUpgrade {
            status: answer.status().as_u16(),
            text: answer.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned(),
        }),
        Err(error) => panic!("no WebSocket at {path}: {error}"),
    }
}

impl Raw {
    /// A connection to the lobby.
    pub async fn lobby(host: &Host, encoding: Encoding) -> Self {
        Self::open(host.address(), LOBBY, encoding).await
    }

    /// A connection to the lobby that has signed in as a new guest.
    pub async fn guest(host: &Host, encoding: Encoding) -> Self {
        let mut raw = Self::lobby(host, encoding).await;
        let answer = raw.ask(sign_in(&device(), "Raw")).await;
        assert!(matches!(answer, server_frame::Body::ResSignIn(_)), "{answer:?}");
        raw
    }

    /// A connection to a scene that has not entered yet.
    pub async fn scene(host: &Host, scene_id: &str, encoding: Encoding) -> Self {
        Self::open(host.address(), &scene_path(scene_id), encoding).await
    }

    /// A connection to the scene of a match that has entered.
    pub async fn inside(host: &Host, seat: &Match, encoding: Encoding) -> Self {
        let mut raw = Self::scene(host, &seat.scene_id, encoding).await;
        let answer = raw.ask(join(&seat.scene_token)).await;
        assert!(matches!(answer, server_frame::Body::ResJoinScene(_)), "{answer:?}");
        raw
    }

    async fn open(address: SocketAddr, path: &str, encoding: Encoding) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        Self::open_on(socket, address, path, encoding).await
    }

    /// The same on a socket that was prepared.
    pub async fn open_on(socket: TcpSocket, address: SocketAddr, path: &str, encoding: Encoding) -> Self {
        let headers = [("sec-websocket-protocol", encoding.subprotocol())];
        let stream = upgrade_on(socket, address, path, &headers).await.expect("the upgrade is allowed");
        Self { stream, encoding, seq: 0, request: 0 }
    }

    /// Cuts the connection as a broken network does: reset, without a word.
    pub fn cut(self) {
        self.stream.get_ref().set_zero_linger().expect("a socket has the option");
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// A WebSocket over a connection that is there.
    pub async fn over(stream: S, address: SocketAddr, path: &str, encoding: Encoding) -> Self {
        let headers = [("sec-websocket-protocol", encoding.subprotocol())];
        let stream = upgrade_over(stream, address, path, &headers).await.expect("the upgrade is allowed");
        Self { stream, encoding, seq: 0, request: 0 }
    }

    /// The connection beneath.
    pub fn into_inner(self) -> S {
        self.stream.into_inner()
    }

    /// Sends bytes that need not be WebSocket's. The other side may have gone by then.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        within("bytes to leave", self.stream.get_mut().write_all(bytes)).await
    }

    /// Sends a WebSocket message as it is. The other side may have gone by then.
    pub async fn send(&mut self, message: Message) -> Result<(), Error> {
        within("a message to leave", self.stream.send(message)).await
    }

    /// Sends messages together. The other side may have gone by then.
    pub async fn send_all(&mut self, messages: Vec<Message>) -> Result<(), Error> {
        within("messages to leave", async {
            for message in messages {
                self.stream.feed(message).await?;
            }
            self.stream.flush().await
        })
        .await
    }

    /// Sends a frame that wants an answer, and tells its number.
    pub async fn request(&mut self, body: client_frame::Body) -> u32 {
        self.request += 1;
        self.frame(self.request, body).await;
        self.request
    }

    /// Sends a frame that wants no answer.
    pub async fn tell(&mut self, body: client_frame::Body) {
        self.frame(0, body).await;
    }

    async fn frame(&mut self, request: u32, body: client_frame::Body) {
        self.send(self.message(request, body)).await.expect("the host reads");
    }

    /// A frame that wants no answer, not sent yet.
    pub fn encoded(&self, body: client_frame::Body) -> Message {
        self.message(0, body)
    }

    fn message(&self, request: u32, body: client_frame::Body) -> Message {
        let frame = ClientFrame { request, seen: self.seq, body: Some(body) };
        match self.encoding.encode_client(&frame) {
            Payload::Binary(bytes) => Message::Binary(bytes),
            Payload::Text(text) => Message::Text(text.into()),
        }
    }

    /// Sends a request and takes its answer; what comes before it is passed over.
    pub async fn ask(&mut self, body: client_frame::Body) -> server_frame::Body {
        let request = self.request(body).await;
        loop {
            let frame = self.next().await;
            if frame.request == request {
                return frame.body.expect("an answer has a body");
            }
        }
    }

    /// Sends a request that is to be refused.
    pub async fn refused(&mut self, body: client_frame::Body) -> v1::Refused {
        match self.ask(body).await {
            server_frame::Body::Refused(refused) => refused,
            other => panic!("this should have been refused: {other:?}"),
        }
    }

    /// The number of the last frame that counted.
    pub fn seen(&self) -> u32 {
        self.seq
    }

    /// The line goes on after this number.
    pub fn expect_after(&mut self, seq: u32) {
        self.seq = seq;
    }

    /// The next frame.
    pub async fn next(&mut self) -> ServerFrame {
        match receive(&mut self.stream).await {
            Some(Message::Close(close)) => panic!("closed: {close:?}"),
            Some(message) => self.decode(&message),
            None => panic!("the connection is gone"),
        }
    }

    /// The next frame that `choose` wants; others are passed over.
    pub async fn next_that<T>(&mut self, choose: impl Fn(server_frame::Body) -> Option<T>) -> T {
        loop {
            if let Some(chosen) = self.next().await.body.and_then(&choose) {
                return chosen;
            }
        }
    }

    /// Waits for the end of the connection; what comes before it is passed over.
    pub async fn end(&mut self) -> End {
        let mut told = None;
        loop {
            match receive(&mut self.stream).await {
                Some(Message::Close(close)) => {
                    let told: v1::SynClosing = told.expect("the reason is told before the close");
                    let close = close.map(|close| close.code.into()).expect("a close code");
                    return End { code: told.code(), text: told.text, close };
                }
                Some(message) => {
                    if let Some(server_frame::Body::SynClosing(closing)) = self.decode(&message).body {
                        told = Some(closing);
                    }
                }
                None => panic!("closed without a close frame; told: {told:?}"),
            }
        }
    }

    fn decode(&mut self, message: &Message) -> ServerFrame {
        let frame = match message {
            Message::Binary(bytes) => self.encoding.decode_server(&bytes[..]),
            Message::Text(text) => self.encoding.decode_server(text.as_str()),
            other => panic!("no frame: {other:?}"),
        };
        let frame = frame.expect("the host sends frames");
        // 0 is outside of the count.
        if frame.seq != 0 {
            self.seq += 1;
            assert_eq!(frame.seq, self.seq, "frames are counted without gaps");
        }
        frame
    }
}

/// Where a scene's connections go.
pub fn scene_path(scene_id: &str) -> String {
    format!("/v1/scene/{scene_id}")
}

pub fn sign_in(device_id: &str, name: &str) -> client_frame::Body {
    let guest = req_sign_in::Guest { device_id: device_id.to_owned(), name: name.to_owned() };
    let credential = Some(req_sign_in::Credential::Guest(guest));
    client_frame::Body::ReqSignIn(v1::ReqSignIn { credential, device: "a test".to_owned(), resume_seq: None })
}

pub fn find_match(domain: &str) -> client_frame::Body {
    client_frame::Body::ReqMatch(v1::ReqMatch { domain: domain.to_owned(), wish: None })
}

pub fn accept_match(accept: bool) -> client_frame::Body {
    client_frame::Body::ReqAcceptMatch(v1::ReqAcceptMatch { accept })
}

pub fn join(scene_token: &str) -> client_frame::Body {
    resume(scene_token, None)
}

/// Goes on with the line that a token began, after this frame.
pub fn resume(scene_token: &str, resume_seq: Option<u32>) -> client_frame::Body {
    client_frame::Body::ReqJoinScene(v1::ReqJoinScene { scene_token: scene_token.to_owned(), resume_seq })
}

pub fn message(body: &[u8]) -> client_frame::Body {
    client_frame::Body::SceneMessage(v1::SceneMessage { body: body.to_vec().into() })
}

pub fn ping(payload: u64) -> client_frame::Body {
    client_frame::Body::Ping(v1::Ping { payload })
}
