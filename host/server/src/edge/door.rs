//! The door: takes clients' connections in, or turns them away with a word on why.
//!
//! Invariant: a connection that is taken in holds a place, and every step of it has a deadline: the
//! handshake of TLS, the head of a request (counted from the connection, or from the answer before it),
//! the taking of what is sent. Turning clients away costs no more than [`TURNED_AWAY_MAX`] at once.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, Response, StatusCode, header};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use scenehost_core::address::{self, Client, Network};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::limits::{HostPlace, Limits, OwnPlace, Place};
use super::tls::Served;
use super::transport::{Transport, Watched};
use crate::config;

/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 16 * 1_024;
/// How many clients are told at once why they are turned away; more are cut off without a word.
const TURNED_AWAY_MAX: usize = 64;
/// How long that may take.
const TURN_AWAY_MAX: Duration = Duration::from_secs(2);

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

pub struct Door {
    router: Router,
    limits: Arc<Limits>,
    tls: Option<Arc<Served>>,
    trusted_proxies: Vec<Network>,
    idle: Duration,
    http: http1::Builder,
    turning_away: Arc<Semaphore>,
}

/// Who is at the other end of a connection.
enum Peer {
    Client(Arc<OwnPlace>),
    /// A proxy that says with each request whose it is.
    Proxy(IpAddr),
}

/// Why a client is turned away.
#[derive(Debug, Clone, Copy)]
enum Full {
    Host,
    Address,
}

impl Full {
    fn answer(self) -> (StatusCode, &'static str, u32) {
        match self {
            Self::Host => (StatusCode::SERVICE_UNAVAILABLE, "the server is full: try again in a moment\n", 5),
            Self::Address => {
                let text = "too many connections from your address: close some, or try again in a moment\n";
                (StatusCode::TOO_MANY_REQUESTS, text, 5)
            }
        }
    }

    fn count(self) {
        let kind = match self {
            Self::Host => "host",
            Self::Address => "address",
        };
        metrics::counter!("scenehost_connections_refused_total", "kind" => kind).increment(1);
    }
}

impl Door {
    pub fn new(router: Router, limits: Arc<Limits>, tls: Option<Arc<Served>>, config: &config::Server) -> Self {
        let idle = Duration::from_millis(config.idle_ms);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(HEAD_BYTES_MAX);
        let trusted_proxies = config.trusted_proxies.clone();
        Self {
            router,
            limits,
            tls,
            trusted_proxies,
            idle,
            http,
            turning_away: Arc::new(Semaphore::new(TURNED_AWAY_MAX)),
        }
    }

    /// Takes clients in until the host stops.
    pub async fn serve(self, listener: TcpListener, mut stopping: watch::Receiver<bool>) {
        let door = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopping.wait_for(|stopping| *stopping) => return,
            };
            match accepted {
                Ok((stream, address)) => door.open(stream, address),
                Err(error) => {
                    // Out of file descriptors, most likely: others have to close first.
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn open(self: &Arc<Self>, stream: TcpStream, address: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %address, "no-delay cannot be set");
        }
        let door = Arc::clone(self);
        match self.places(address.ip()) {
            Ok((place, peer)) => _ = tokio::spawn(async move { door.take_in(stream, address, place, peer).await }),
            Err(full) => {
                full.count();
                let Ok(permit) = Arc::clone(&self.turning_away).try_acquire_owned() else { return };
                tokio::spawn(async move {
                    // Who does not listen is cut off.
                    let _ = tokio::time::timeout(TURN_AWAY_MAX, door.turn_away(stream, full)).await;
                    drop(permit);
                });
            }
        }
    }

    fn places(&self, address: IpAddr) -> Result<(HostPlace, Peer), Full> {
        let place = self.limits.host_place().ok_or(Full::Host)?;
        if address::is_trusted(address, &self.trusted_proxies) {
            return Ok((place, Peer::Proxy(address)));
        }
        let own = self.limits.own_place(Client::of(address)).ok_or(Full::Address)?;
        Ok((place, Peer::Client(Arc::new(own))))
    }

    async fn take_in(&self, stream: TcpStream, address: SocketAddr, place: HostPlace, peer: Peer) {
        let transport = match tokio::time::timeout(self.idle, self.transport(stream)).await {
            Ok(Ok(transport)) => transport,
            Ok(Err(error)) => return tracing::debug!(%error, %address, "no TLS came about"),
            Err(_) => return tracing::debug!(%address, "no TLS came about in time"),
        };
        let place = Arc::new(place);
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            let admitted = self.admit(&request, &place, &peer);
            let router = self.router.clone();
            async move {
                match admitted {
                    Ok(place) => {
                        request.extensions_mut().insert(place);
                        router.oneshot(request).await
                    }
                    Err(refused) => Ok::<_, Infallible>(*refused),
                }
            }
        });
        let connection = self.http.serve_connection(TokioIo::new(transport), service);
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, %address, "a connection ended early");
        }
    }

    async fn transport(&self, stream: TcpStream) -> std::io::Result<Transport> {
        let stream = Watched::new(stream, self.idle);
        Ok(match &self.tls {
            None => Transport::Plain(stream),
            Some(tls) => Transport::Tls(Box::new(TlsAcceptor::from(tls.now()).accept(stream).await?)),
        })
    }

    /// The place that a request is served in: the connection's own, or behind a proxy one of the client
    /// that the proxy names.
    fn admit(
        &self,
        request: &hyper::Request<Incoming>,
        of_host: &Arc<HostPlace>,
        peer: &Peer,
    ) -> Result<Place, Box<Response<axum::body::Body>>> {
        let own = match peer {
            Peer::Client(own) => Arc::clone(own),
            Peer::Proxy(proxy) => {
                let forwarded = request.headers().get_all(X_FORWARDED_FOR).into_iter();
                let origin = address::origin(*proxy, forwarded.map(|value| value.as_bytes()), &self.trusted_proxies);
                let origin = origin.map_err(|error| {
                    tracing::warn!(%proxy, %error, "a request is refused");
                    Box::new((StatusCode::BAD_REQUEST, format!("{error}\n")).into_response())
                })?;
                Arc::new(self.limits.own_place(Client::of(origin)).ok_or_else(|| {
                    Full::Address.count();
                    let (status, text, retry_after_s) = Full::Address.answer();
                    Box::new((status, [(header::RETRY_AFTER, retry_after_s.to_string())], text).into_response())
                })?)
            }
        };
        Ok(Place::new(Arc::clone(of_host), own))
    }

    /// Answers before anything was asked.
    async fn turn_away(&self, stream: TcpStream, full: Full) -> std::io::Result<()> {
        let (status, text, retry_after_s) = full.answer();
        let answer = format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\nretry-after: {retry_after_s}\r\n\
             content-type: text/plain\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        let mut transport = self.transport(stream).await?;
        transport.write_all(answer.as_bytes()).await?;
        transport.shutdown().await?;
        // Until the client has closed, too, or else the system would discard what it has not read.
        let mut unread = [0; 1_024];
        while transport.read(&mut unread).await? > 0 {}
        Ok(())
    }
}
