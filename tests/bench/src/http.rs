//! Small HTTP requests to a server on this machine, over one connection that is kept.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const HEADERS_MAX: usize = 32;
const RESPONSE_BYTES_MAX: usize = 1024 * 1024;
/// Making thousands of rooms takes a while.
const ANSWER_DEADLINE: Duration = Duration::from_secs(120);

pub struct Client {
    stream: TcpStream,
    address: SocketAddr,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
        stream.set_write_timeout(Some(ANSWER_DEADLINE))?;
        Ok(Self { stream, address })
    }

    /// Posts JSON and gives the JSON that comes back with a status of success.
    pub fn post(&mut self, path: &str, token: Option<&str>, body: &Value) -> Result<Value> {
        let body = body.to_string();
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{}Content-Length: {}\r\n\r\n{body}",
            self.address,
            authorization.unwrap_or_default(),
            body.len(),
        );
        self.stream.write_all(request.as_bytes())?;
        let (status, body) = self.response().with_context(|| format!("no answer to POST {path}"))?;
        let text = String::from_utf8_lossy(&body);
        if !(200..300).contains(&status) {
            bail!("POST {path} was answered with status {status}: {text}");
        }
        serde_json::from_slice(&body).with_context(|| format!("POST {path} was not answered with JSON: {text}"))
    }

    /// Puts JSON there.
    pub fn put(&mut self, path: &str, token: &str, body: &Value) -> Result<()> {
        let body = body.to_string();
        let request = format!(
            "PUT {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        );
        self.stream.write_all(request.as_bytes())?;
        match self.head().with_context(|| format!("no answer to PUT {path}"))?.0 {
            204 => Ok(()),
            status => bail!("PUT {path} was answered with status {status}"),
        }
    }

    /// The text that a GET is answered with.
    pub fn get(&mut self, path: &str, token: Option<&str>) -> Result<String> {
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{authorization}\r\n", self.address);
        self.stream.write_all(request.as_bytes())?;
        let (status, body) = self.response().with_context(|| format!("no answer to GET {path}"))?;
        let text = String::from_utf8_lossy(&body).into_owned();
        if status != 200 {
            bail!("GET {path} was answered with status {status}: {text}");
        }
        Ok(text)
    }

    /// Deletes what is there.
    pub fn delete(&mut self, path: &str, token: &str) -> Result<()> {
        let authorization = format!("Authorization: Bearer {token}\r\n");
        let request = format!("DELETE {path} HTTP/1.1\r\nHost: {}\r\n{authorization}\r\n", self.address);
        self.stream.write_all(request.as_bytes())?;
        match self.head().with_context(|| format!("no answer to DELETE {path}"))?.0 {
            204 => Ok(()),
            status => bail!("DELETE {path} was answered with status {status}"),
        }
    }

    /// The status that a GET is answered with; ends the connection.
    pub fn status(mut self, path: &str) -> Result<u16> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        self.stream.write_all(request.as_bytes())?;
        Ok(self.head()?.0)
    }

    fn response(&mut self) -> Result<(u16, Vec<u8>)> {
        let (status, body_bytes, mut body) = self.head()?;
        let body_bytes = body_bytes.context("the answer does not tell its length")?;
        if body_bytes > RESPONSE_BYTES_MAX {
            bail!("the answer has {body_bytes} bytes, and {RESPONSE_BYTES_MAX} are expected at most");
        }
        let received_bytes = body.len();
        body.resize(body_bytes, 0);
        if received_bytes < body_bytes {
            self.stream.read_exact(&mut body[received_bytes..])?;
        }
        Ok((status, body))
    }

    /// The status, the length of the body if told, and what came of the body already.
    fn head(&mut self) -> Result<(u16, Option<usize>, Vec<u8>)> {
        let mut bytes = Vec::new();
        loop {
            read_more(&mut self.stream, &mut bytes)?;
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut response = httparse::Response::new(&mut headers);
            let httparse::Status::Complete(head_bytes) = response.parse(&bytes)? else { continue };
            let status = response.code.context("no status")?;
            let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
            let length = length.map(|header| Ok::<_, anyhow::Error>(std::str::from_utf8(header.value)?.parse()?));
            return Ok((status, length.transpose()?, bytes.split_off(head_bytes)));
        }
    }
}

/// Appends what comes next, at least one byte.
pub fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<()> {
    let mut chunk = [0; 4096];
    let count = stream.read(&mut chunk)?;
    if count == 0 {
        bail!("the server closed the connection");
    }
    bytes.extend_from_slice(&chunk[..count]);
    if bytes.len() > RESPONSE_BYTES_MAX {
        bail!("more than {RESPONSE_BYTES_MAX} bytes came");
    }
    Ok(())
}
