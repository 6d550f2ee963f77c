//! The edge: where clients connect. HTTP by axum on connections that [`door`] takes in; the lobby's
//! WebSockets stay here ([`lobby`]), the scenes' are handed to the threads of their scenes
//! ([`scene`]), everything else is calls about accounts ([`account`]) and pages.
//!
//! Invariant: nothing that a client sends is trusted before it is checked, and every wait for a
//! client has a limit.

mod account;
mod body;
mod door;
mod limits;
mod lobby;
mod scene;
mod shared;
pub mod tls;
mod transport;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use scenehost_core::address::Client;
use scenehost_core::token::SecretHash;
use scenehost_core::{ConnectionId, Refusal};
use scenehost_protocol::Encoding;
use tokio::sync::watch;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::cluster::router;
use crate::cluster::unit::Role;
use crate::config::Config;

pub use account::status;
pub use door::Door;
pub use limits::{Limits, Place};
pub use shared::SharedFrame;

const ORIGIN_TEXT: &str = "this page may not connect: the operator can allow its origin with server.allowed_origins";

#[derive(Clone)]
pub struct Edge(Arc<Parts>);

struct Parts {
    bus: Bus,
    clock: Clock,
    allowed_origins: Vec<String>,
    /// What the game's own backend signs users in with.
    server_key: Option<SecretHash>,
    limits: Arc<Limits>,
    connections: AtomicU64,
    stopping: watch::Receiver<bool>,
}

impl Edge {
    pub fn new(bus: Bus, clock: Clock, config: &Config, limits: Arc<Limits>, stopping: watch::Receiver<bool>) -> Self {
        Self(Arc::new(Parts {
            bus,
            clock,
            allowed_origins: config.server.allowed_origins.clone(),
            server_key: config.auth.server_key.as_deref().map(SecretHash::of),
            limits,
            connections: AtomicU64::new(first_connection(clock)),
            stopping,
        }))
    }

    /// What is served: the two WebSockets, accounts, and pages if there are any. A node of a cluster serves what its
    /// roles say: users in the lobby, or in scenes.
    pub fn router(&self, pages: Option<PathBuf>, roles: Option<&BTreeSet<Role>>) -> Router {
        let has = |role| roles.is_none_or(|roles| roles.contains(&role));
        let mut router = Router::new();
        if has(Role::Lobby) {
            router = router.route("/v1/lobby", get(lobby::upgrade)).merge(account::router());
        }
        if has(Role::SceneService) {
            router = router.route("/v1/scene/{scene}", get(scene::upgrade));
        }
        let router = router.with_state(self.clone());
        let router = match pages {
            Some(pages) => router.fallback_service(ServeDir::new(pages)),
            None => router.fallback(|| async {
                (StatusCode::NOT_FOUND, "Scenehost serves /v1/lobby here; no pages are configured.\n")
            }),
        };
        let set = |name, value| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
        router
            .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .layer(set(header::REFERRER_POLICY, "same-origin"))
            .layer(set(header::CACHE_CONTROL, "no-cache"))
    }

    /// The number of a new connection, which begins with that of the node.
    fn next_connection(&self) -> ConnectionId {
        let node = self.0.bus.router().map_or(0, router::Router::me);
        ConnectionId(router::numbered(node, self.0.connections.fetch_add(1, Ordering::Relaxed)))
    }

    /// The encoding of the first subprotocol that both sides know.
    fn encoding(headers: &HeaderMap) -> Option<Encoding> {
        let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
        let names = offered.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        names.map(str::trim).find_map(Encoding::from_subprotocol)
    }

    /// A page of another site may not act for its visitor, unless the operator allows it. Clients
    /// that are no browsers send no origin.
    fn origin_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let own = origin.split_once("://").map(|(_, host)| host);
        (own.is_some() && own == host) || self.0.allowed_origins.iter().any(|allowed| allowed == origin)
    }

    /// As [`Self::origin_allowed`], for calls.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match self.origin_allowed(headers) {
            true => Ok(()),
            false => Err(Refusal::Invalid(ORIGIN_TEXT.to_owned())),
        }
    }

    /// Counts a try of this client to sign in.
    fn count_sign_in(&self, client: Client) -> Result<(), Refusal> {
        self.0.limits.sign_in(client, self.0.clock.now())
    }

    /// For what counts only when it fails: who has failed too often does not try again.
    fn may_sign_in(&self, client: Client) -> Result<(), Refusal> {
        self.0.limits.may_sign_in(client, self.0.clock.now())
    }

    /// Why an upgrade is refused, if it is.
    #[expect(clippy::result_large_err, reason = "the error is the answer, made once a connection")]
    fn check(&self, headers: &HeaderMap) -> Result<Encoding, Response> {
        if *self.0.stopping.borrow() {
            return Err((StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n").into_response());
        }
        if !self.origin_allowed(headers) {
            return Err((StatusCode::FORBIDDEN, format!("{ORIGIN_TEXT}\n")).into_response());
        }
        Self::encoding(headers).ok_or_else(|| {
            let text = "ask for the WebSocket subprotocol scenehost.v1.proto or scenehost.v1.json\n";
            (StatusCode::BAD_REQUEST, text).into_response()
        })
    }
}

/// Numbers of connections go on where those of a process before have not been: 128 for each of its milliseconds are more
/// than it can have had.
fn first_connection(clock: Clock) -> u64 {
    clock.now().0 << 7
}

/// A request whose head has been read, for the handlers of upgrades.
type Upgrade = Request;
