//! One WebSocket connection that carries frames.
//!
//! Invariant: frames are handed on as they came; [`crate::line`] counts them.

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
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use crate::Error;
use crate::door::Door;

/// The number of a connection's first request.
const FIRST_REQUEST: u32 = 1;
const READ_BUFFER_BYTES: usize = 4096;

pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    encoding: Encoding,
    send_timeout: Duration,
}

impl Socket {
    /// Connects and makes the first request, which says who is there; the answer comes with it.
    pub async fn connect(
        url: &Uri,
        first: client_frame::Body,
        door: &Door,
    ) -> Result<(Self, server_frame::Body), Error> {
        within(door.options.connect_timeout, async {
            let mut socket = Self::open(url, door).await?;
            socket.send(ClientFrame { request: FIRST_REQUEST, seen: 0, body: Some(first) }).await?;
            match socket.next().await? {
                ServerFrame { request: FIRST_REQUEST, body: Some(body), .. } => Ok((socket, answer(body)?)),
                ServerFrame { body: Some(server_frame::Body::SynClosing(closing)), .. } => Err(Error::Closing(closing)),
                _ => Err(Error::Unexpected),
            }
        })
        .await
    }

    async fn open(url: &Uri, door: &Door) -> Result<Self, Error> {
        let encoding = door.options.encoding;
        let request = ClientRequestBuilder::new(url.clone()).with_sub_protocol(encoding.subprotocol());
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(2 * FRAME_BYTES_MAX)
            .max_message_size(Some(SERVER_FRAME_BYTES_MAX))
            .max_frame_size(Some(SERVER_FRAME_BYTES_MAX));
        let nodelay = true;
        let connector = door.tls.clone().map_or(Connector::Plain, Connector::Rustls);
        let (stream, _) = connect_async_tls_with_config(request, Some(config), nodelay, Some(connector))
            .await
            .map_err(|source| Error::Connect { url: url.to_string(), source: Box::new(source) })?;
        Ok(Self { stream, encoding, send_timeout: door.options.request_timeout })
    }

    /// Sends a frame, and waits until the system has taken it over.
    pub async fn send(&mut self, frame: ClientFrame) -> Result<(), Error> {
        let message = message(self.encoding, &frame)?;
        within(self.send_timeout, async { self.stream.send(message).await.map_err(broken) }).await
    }

    /// The next frame. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<ServerFrame, Error> {
        loop {
            return match self.stream.next().await {
                None | Some(Ok(Message::Close(_))) => Err(Error::Closed),
                Some(Err(error)) => Err(broken(error)),
                Some(Ok(Message::Binary(bytes))) => Ok(self.encoding.decode_server(&bytes[..])?),
                Some(Ok(Message::Text(text))) => Ok(self.encoding.decode_server(text.as_str())?),
                // Pings are answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            };
        }
    }

    /// Tells the server that the connection ends on purpose.
    pub async fn close(mut self) {
        // The other side may be gone already; the connection ends all the same.
        let on_purpose = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = timeout(self.send_timeout, self.stream.close(Some(on_purpose))).await;
    }
}

/// A frame as it is sent.
fn message(encoding: Encoding, frame: &ClientFrame) -> Result<Message, Error> {
    let payload = encoding.encode_client(frame);
    let payload_bytes = payload.as_bytes().len();
    if payload_bytes > FRAME_BYTES_MAX {
        return Err(Error::TooLarge(payload_bytes));
    }
    Ok(match payload {
        Payload::Binary(bytes) => Message::Binary(bytes),
        Payload::Text(text) => Message::Text(text.into()),
    })
}

/// Whether a body can be sent, whatever numbers its frame will have.
pub(crate) fn fits(encoding: Encoding, body: &client_frame::Body) -> Result<(), Error> {
    let frame = ClientFrame { request: u32::MAX, seen: u32::MAX, body: Some(body.clone()) };
    message(encoding, &frame).map(|_| ())
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
