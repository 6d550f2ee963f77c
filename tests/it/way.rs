//! Connections that go through the test, which can cut them: between users, nodes, NATS and PostgreSQL. Namespaces would
//! need rights that a test does not have.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

const BUFFER_BYTES: usize = 16 * 1024;

/// Where a way leads.
pub enum End {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    /// Connections are reset, and new ones refused.
    Closed,
    /// Nothing gets through either way, and nobody is told; it goes on when the way is open again.
    Silent,
}

/// What connections have in common that lead to one place.
pub struct Way {
    to: End,
    state: watch::Sender<State>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Way {
    pub fn to(end: End) -> Arc<Self> {
        Arc::new(Self { to: end, state: watch::Sender::new(State::Open) })
    }

    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }

    /// A connection to where it leads; `None` if nobody is there.
    async fn connect(&self) -> Option<Box<dyn Stream>> {
        let mut state = self.state.subscribe();
        let state = *state.wait_for(|state| *state != State::Silent).await.ok()?;
        if state == State::Closed {
            return None;
        }
        match &self.to {
            End::Tcp(address) => {
                let stream = TcpStream::connect(address).await.ok()?;
                stream.set_nodelay(true).ok()?;
                Some(Box::new(stream))
            }
            End::Unix(path) => Some(Box::new(UnixStream::connect(path).await.ok()?)),
        }
    }
}

/// Listens on a port of its own, and lets each connection go by the first of these ways on which somebody is there;
/// the next connection begins with the next way, as a load balancer has it.
pub async fn listen(ways: Vec<Arc<Way>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are free ports");
    let address = listener.local_addr().expect("it has one");
    let (ways, turn) = (Arc::new(ways), AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (ways, first) = (Arc::clone(&ways), turn.fetch_add(1, Ordering::Relaxed));
            tokio::spawn(async move {
                for number in 0..ways.len() {
                    let way = &ways[(first + number) % ways.len()];
                    if let Some(server) = way.connect().await {
                        return carry(client, server, way).await;
                    }
                }
            });
        }
    });
    address
}

/// Until either side is gone, or the way is closed.
async fn carry(client: TcpStream, server: Box<dyn Stream>, way: &Way) {
    if client.set_nodelay(true).is_err() {
        return;
    }
    let (from_client, to_client) = split(Box::new(client) as Box<dyn Stream>);
    let (from_server, to_server) = split(server);
    tokio::select! {
        () = copy(from_client, to_server, way.state.subscribe()) => {}
        () = copy(from_server, to_client, way.state.subscribe()) => {}
        () = closed(way.state.subscribe()) => {}
    }
}

async fn closed(mut state: watch::Receiver<State>) {
    let _ = state.wait_for(|state| *state == State::Closed).await; // The way gone means the same.
}

async fn copy(
    mut from: ReadHalf<Box<dyn Stream>>,
    mut to: WriteHalf<Box<dyn Stream>>,
    mut state: watch::Receiver<State>,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let Ok(bytes @ 1..) = from.read(&mut buffer).await else { return };
        // What was under way when the way was cut comes late.
        let is_open = state.wait_for(|state| *state != State::Silent).await.is_ok();
        if !is_open || to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
    }
}
