//! The socket of a scene connection, which never blocks: TCP, or TLS on it.
//!
//! Invariant: of what it was given to send it holds at most [`Socket::held_bytes_max`]; while something
//! waits for the system it takes no more. After [`READ_BYTES_MAX`] it pauses, so that a client who sends
//! without end, even nothing but empty fragments of a message, leaves the thread to others.

use std::io::{self, Read, Write};

use mio::net::TcpStream;
use rustls::ServerConnection;

/// What TLS takes at once: one record of the longest kind.
const RECORD_BYTES_MAX: usize = 16 * 1_024;
/// What it may hold: that, and what TLS adds to it.
const HELD_BYTES_MAX: usize = RECORD_BYTES_MAX + 1_024;
/// How much is read until the thread's others have their turn: one frame of the longest kind.
const READ_BYTES_MAX: usize = 64 * 1_024;

pub struct Socket {
    tcp: Tcp,
    tls: Option<Box<ServerConnection>>,
}

impl Socket {
    /// A socket, and the state of TLS if it speaks that.
    pub fn new(stream: TcpStream, tls: Option<Box<ServerConnection>>) -> Self {
        let mut socket = Self { tcp: Tcp::new(stream), tls };
        if let Some(tls) = &mut socket.tls {
            tls.set_buffer_limit(Some(RECORD_BYTES_MAX));
        }
        socket
    }

    pub fn source(&mut self) -> &mut TcpStream {
        &mut self.tcp.stream
    }

    /// There is something to read. `ending`: the client has closed its side.
    pub fn wake(&mut self, ending: bool) {
        self.tcp.drained = false;
        self.tcp.trust_short_reads = !ending;
    }

    /// Whether it has paused with more to read, for which no event will follow. Asking ends the pause.
    pub fn take_pause(&mut self) -> bool {
        let paused = self.tcp.read_bytes >= READ_BYTES_MAX;
        self.tcp.read_bytes = 0;
        paused
    }

    /// The most that it holds on the way to the system.
    pub fn held_bytes_max(&self) -> usize {
        self.tls.as_ref().map_or(0, |_| HELD_BYTES_MAX)
    }
}

/// Saves the system call that would only learn that there is nothing more to read: after a read
/// that did not fill its buffer a socket is empty, and the next event says when that changes.
struct Tcp {
    stream: TcpStream,
    drained: bool,
    /// Not true any more once the client has closed its side, since no event would follow.
    trust_short_reads: bool,
    /// How much was read since the last pause.
    read_bytes: usize,
}

impl Tcp {
    fn new(stream: TcpStream) -> Self {
        Self { stream, drained: false, trust_short_reads: true, read_bytes: 0 }
    }
}

impl Read for Tcp {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.drained || self.read_bytes >= READ_BYTES_MAX {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = self.stream.read(buffer);
        self.read_bytes += result.as_ref().copied().unwrap_or(0);
        self.drained = match &result {
            Ok(size) => self.trust_short_reads && *size < buffer.len(),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        result
    }
}

impl Write for Tcp {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives the system what TLS has encrypted.
fn push(tls: &mut ServerConnection, tcp: &mut Tcp) -> io::Result<()> {
    while tls.wants_write() {
        if tls.write_tls(tcp)? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.read(buffer) };
        loop {
            // What is decrypted already comes first: no event of the socket would follow for it.
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            // The end of the stream shows in the reader, too.
            tls.read_tls(&mut self.tcp)?;
            if let Err(error) = tls.process_new_packets() {
                let _ = push(tls, &mut self.tcp); // The alert for the client, which may be gone.
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.write(bytes) };
        push(tls, &mut self.tcp)?;
        let taken = tls.writer().write(bytes)?;
        match push(tls, &mut self.tcp) {
            // The rest leaves with the next write or flush.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => push(tls, &mut self.tcp),
            None => Ok(()),
        }
    }
}

impl Drop for Socket {
    /// Says good-bye, so that the client knows that nothing was cut off; if the system takes no more,
    /// it was.
    fn drop(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = push(tls, &mut self.tcp);
        }
    }
}
