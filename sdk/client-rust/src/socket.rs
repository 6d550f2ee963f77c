//! One WebSocket connection that carries frames.
//!
//! Invariant: the server's frames are handed on in order and without a gap, or not at all.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use scenehost_protocol::v1::{ClientFrame, ServerFrame, client_frame, server_frame};
use scenehost_protocol::{Encoding, FRAME_BYTES_MAX, Payload, SERVER_FRAME_BYTES_MAX};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::{Error, Options};

/// The number of a connection's first request.
const FIRST_REQUEST: u32 = 1;
const READ_BUFFER_BYTES: usize = 4096;

pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    encoding: Encoding,
    send_timeout: Duration,
    request_last: u32,
    seq_last: u32,
}

impl Socket {
    /// Connects and makes the first request, which says who is there; the answer comes with it.
    pub async fn connect(
        url: &Uri,
        first: client_frame::Body,
        options: &Options,
    ) -> Result<(Self, server_frame::Body), Error> {
        within(options.connect_timeout, async {
            let mut socket = Self::open(url, options).await?;
            let request = socket.request(first).await?;
            assert_eq!(request, FIRST_REQUEST);
            match socket.next().await? {
                ServerFrame { request: FIRST_REQUEST, body: Some(body), .. } => Ok((socket, answer(body)?)),
                ServerFrame { body: Some(server_frame::Body::SynClosing(closing)), .. } => Err(Error::Closing(closing)),
                _ => Err(Error::Unexpected),
            }
        })
        .await
    }

    async fn open(url: &Uri, options: &Options) -> Result<Self, Error> {
        let request = ClientRequestBuilder::new(url.clone()).with_sub_protocol(options.encoding.subprotocol());
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(2 * FRAME_BYTES_MAX)
            .max_message_size(Some(SERVER_FRAME_BYTES_MAX))
            .max_frame_size(Some(SERVER_FRAME_BYTES_MAX));
        let nodelay = true;
        let (stream, _) = connect_async_with_config(request, Some(config), nodelay)
            .await
            .map_err(|source| Error::Connect { url: url.to_string(), source: Box::new(source) })?;
        Ok(Self {
            stream,
            encoding: options.encoding,
            send_timeout: options.request_timeout,
            request_last: 0,
            seq_last: 0,
        })
    }

    /// Sends a request and tells its number, which the answer will carry.
    pub async fn request(&mut self, body: client_frame::Body) -> Result<u32, Error> {
        // After the last number comes 1: 0 is not a request.
        let request = self.request_last.checked_add(1).unwrap_or(FIRST_REQUEST);
        self.send(request, body).await?;
        self.request_last = request;
        Ok(request)
    }

    /// Sends a message that nothing answers.
    pub async fn tell(&mut self, body: client_frame::Body) -> Result<(), Error> {
        self.send(0, body).await
    }

    async fn send(&mut self, request: u32, body: client_frame::Body) -> Result<(), Error> {
        let frame = ClientFrame { request, seen: self.seq_last, body: Some(body) };
        let payload = self.encoding.encode_client(&frame);
        let payload_bytes = payload.as_bytes().len();
        if payload_bytes > FRAME_BYTES_MAX {
            return Err(Error::TooLarge(payload_bytes));
        }
        let message = match payload {
            Payload::Binary(bytes) => Message::Binary(bytes),
            Payload::Text(text) => Message::Text(text.into()),
        };
        within(self.send_timeout, async { self.stream.send(message).await.map_err(broken) }).await
    }

    /// The next frame. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<ServerFrame, Error> {
        loop {
            let frame = match self.stream.next().await {
                None | Some(Ok(Message::Close(_))) => return Err(Error::Closed),
                Some(Err(error)) => return Err(broken(error)),
                Some(Ok(Message::Binary(bytes))) => self.encoding.decode_server(&bytes[..])?,
                Some(Ok(Message::Text(text))) => self.encoding.decode_server(text.as_str())?,
                // Pings are answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            };
            // 0 is outside of the count.
            if frame.seq != 0 {
                let expected = self.seq_last.wrapping_add(1);
                if frame.seq != expected {
                    return Err(Error::FrameLost { expected, got: frame.seq });
                }
                self.seq_last = frame.seq;
            }
            // A newer server's event, which this client does not know.
            if frame.body.is_some() {
                return Ok(frame);
            }
        }
    }

    /// Tells the server that the connection ends on purpose.
    pub async fn close(mut self) {
        // The other side may be gone already; the connection ends all the same.
        let on_purpose = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = timeout(self.send_timeout, self.stream.close(Some(on_purpose))).await;
    }
}

/// An answer, if it is not a refusal.
pub(crate) fn answer(body: server_frame::Body) -> Result<server_frame::Body, Error> {
    match body {
        server_frame::Body::Refused(refused) => Err(Error::Refused(refused)),
        body => Ok(body),
    }
}

/// Gives up after `limit`.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::TimedOut { waited_ms: limit.as_millis() as u64 }),
    }
}

fn broken(error: tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Error::Closed,
        error => Error::Broken(Box::new(error)),
    }
}
