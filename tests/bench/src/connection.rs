//! A client's WebSocket while it is being set up: one message at a time, waiting for the other side.
//!
//! Invariant: no byte is lost between here and the generator, which takes over stream and rest.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::http::read_more;
use crate::websocket::{self, BINARY, CLOSE, PING, PONG};

const ANSWER_DEADLINE: Duration = Duration::from_secs(15);

pub struct Connection {
    pub stream: TcpStream,
    /// What came after the last message that was read.
    pub unread: Vec<u8>,
}

impl Connection {
    /// Connects and becomes a WebSocket.
    pub fn open(address: SocketAddr, path: &str, subprotocol: Option<&str>) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
        stream.set_write_timeout(Some(ANSWER_DEADLINE))?;
        let subprotocol = subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2NlbmVob3N0IGJlbmNoIQ==\r\n{}\r\n",
            subprotocol.unwrap_or_default(),
        );
        stream.write_all(request.as_bytes())?;
        let unread = upgraded(&mut stream).with_context(|| format!("{path} did not become a WebSocket"))?;
        Ok(Self { stream, unread })
    }

    pub fn send(&mut self, payload: &[u8]) -> Result<()> {
        let mut bytes = Vec::new();
        websocket::put_client_frame(&mut bytes, BINARY, payload);
        Ok(self.stream.write_all(&bytes)?)
    }

    /// The next message; waits for it.
    pub fn receive(&mut self) -> Result<Vec<u8>> {
        loop {
            let Some(frame) = websocket::take_frame(&mut self.unread, 0)? else {
                read_more(&mut self.stream, &mut self.unread).context("while waiting for a message")?;
                continue;
            };
            let rest = self.unread.split_off(frame.end);
            let payload = std::mem::replace(&mut self.unread, rest).split_off(frame.payload_start);
            match frame.opcode {
                PING => {
                    let mut pong = Vec::new();
                    websocket::put_client_frame(&mut pong, PONG, &payload);
                    self.stream.write_all(&pong)?;
                }
                CLOSE => bail!("the server closed: {}", String::from_utf8_lossy(&payload)),
                _ => return Ok(payload),
            }
        }
    }
}

/// Waits for the answer to the upgrade and gives what came after it.
fn upgraded(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        read_more(stream, &mut bytes)?;
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head_bytes) = response.parse(&bytes)? else { continue };
        if response.code != Some(101) {
            bail!("the answer was {}", String::from_utf8_lossy(&bytes));
        }
        return Ok(bytes.split_off(head_bytes));
    }
}
