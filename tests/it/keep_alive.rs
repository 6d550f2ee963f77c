//! HTTP calls one after the other on one connection, for loads of them.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::host::within;

/// A connection that stays open.
pub struct KeepAlive {
    stream: TcpStream,
    address: SocketAddr,
    read: Vec<u8>,
}

impl KeepAlive {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the host listens");
        stream.set_nodelay(true).expect("a socket has the option");
        Self { stream, address, read: Vec::new() }
    }

    /// Waits until the host has closed it without another word.
    pub async fn ended(&mut self) -> bool {
        matches!(within("the host to hang up", self.stream.read_buf(&mut self.read)).await, Ok(0) | Err(_))
    }

    pub async fn sign_in(&mut self, credential: Value) -> Option<(u16, Value)> {
        self.call("POST", "/v1/auth/sign-in", "", &credential).await
    }

    /// The status and the answer, if it is JSON; `None` if the host went before it was whole.
    pub async fn call(&mut self, method: &str, path: &str, token: &str, body: &Value) -> Option<(u16, Value)> {
        let body = body.to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await.ok()?;
        loop {
            if let Some((status, end, body_bytes)) = head(&self.read)
                && self.read.len() >= end + body_bytes
            {
                let body = serde_json::from_slice(&self.read[end..end + body_bytes]).unwrap_or_default();
                self.read.drain(..end + body_bytes);
                return Some((status, body));
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

/// The status, where the head ends, and how long the body is.
fn head(read: &[u8]) -> Option<(u16, usize, usize)> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&read[..end]).expect("a head is ASCII");
    let status = text.split(' ').nth(1)?.parse().expect("a status is a number");
    let length = text.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:").map(str::to_owned));
    let body_bytes = length.map_or(0, |length| length.trim().parse().expect("a length is a number"));
    Some((status, end, body_bytes))
}
