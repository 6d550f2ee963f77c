//! The operators' listener: health, metrics, and calls that change something.
//!
//! Invariant: it is a listener of its own, on loopback unless configured otherwise, and a call
//! that changes something needs the token.

mod ask;
mod backups;
mod cluster;
mod domains;
mod fleets;
mod guild;
mod journals;
mod logs;
mod mute;
mod nodes;
mod notifications;
mod plugins;
mod ratings;
mod reports;
mod scene_list;
mod scenes;
mod usage;

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Request as HttpRequest, State};
use axum::http::request::Parts as RequestParts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use scenehost_core::auth::{Answer, Order, Request};
use scenehost_core::token::SecretHash;
use scenehost_core::{Refusal, UserId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::config;
use crate::domains::Domains;
use crate::export;
use crate::fleets::Fleets;
use crate::game_logs::GameLogs;
use crate::registry::Plugins;

pub use backups::{Backups, Made, MakeBackup};

#[derive(Clone)]
pub struct Ops(Arc<Parts>);

struct Parts {
    bus: Bus,
    clock: Clock,
    metrics: PrometheusHandle,
    /// The names of those who may call, by their tokens.
    tokens: Vec<(SecretHash, Arc<str>)>,
    stopping: watch::Receiver<bool>,
    backups: Backups,
    fleets: Fleets,
    domains: Domains,
    logs: GameLogs,
    plugins: Plugins,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    /// For the user to read.
    reason: String,
    /// For how long; without it for good.
    minutes: Option<u64>,
}

#[derive(Serialize)]
struct Problem {
    error: String,
    /// A short name, where there are several reasons for one status.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
}

impl Ops {
    pub fn new(
        bus: Bus,
        clock: Clock,
        metrics: PrometheusHandle,
        config: &config::Ops,
        stopping: watch::Receiver<bool>,
        backups: Backups,
        (domains, plugins, logs): (Domains, Plugins, GameLogs),
    ) -> Self {
        let fleets = domains.fleets().clone();
        let named = config.tokens.iter().map(|(name, token)| (token, Arc::from(name.as_str())));
        let tokens = config.token.iter().map(|token| (token, Arc::from(config::OPS_NAME))).chain(named);
        Self(Arc::new(Parts {
            bus,
            clock,
            metrics,
            tokens: tokens.map(|(token, name)| (SecretHash::of(token), name)).collect(),
            stopping,
            backups,
            fleets,
            domains,
            logs,
            plugins,
        }))
    }

    pub fn router(self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/metrics", get(show_metrics))
            .route("/v1/ask", post(ask::ask))
            .route("/v1/notifications", post(notifications::post))
            .route("/v1/guilds/{guild}", delete(guild::end))
            .route("/v1/reports", get(reports::show))
            .route("/v1/reports/{number}", delete(reports::remove))
            .route("/v1/allocations", post(scenes::allocate))
            .route("/v1/domains", get(domains::list))
            .route("/v1/domains/{domain}", get(domains::show).put(domains::put).delete(domains::remove))
            .route("/v1/fleets", get(fleets::list))
            .route("/v1/fleets/{fleet}", get(fleets::show).put(fleets::put).delete(fleets::remove))
            .route("/v1/journals", get(journals::list))
            .route("/v1/journals/{scene}", get(journals::show))
            .route("/v1/logs", get(logs::show))
            .route("/v1/cluster", get(cluster::show))
            .route("/v1/nodes", get(nodes::list))
            .route("/v1/nodes/{node}/drain", post(nodes::drain).delete(nodes::undrain))
            .route("/v1/plugins", get(plugins::list))
            .route("/v1/plugins/{plugin}", get(plugins::show))
            .route("/v1/plugins/{plugin}/active", post(plugins::activate))
            .route("/v1/plugins/{plugin}/rollback", post(plugins::roll_back))
            .route("/v1/plugins/{plugin}/usage", get(usage::of_plugin))
            .route("/v1/plugins/{plugin}/versions", post(plugins::upload))
            .route("/v1/plugins/{plugin}/versions/{version}", delete(plugins::remove))
            .route("/v1/plugins/{plugin}/versions/{version}/component", get(plugins::component))
            .route("/v1/plugins/{plugin}/versions/{version}/release", post(plugins::release))
            .route("/v1/reservations", post(scenes::reserve))
            .route("/v1/reservations/{scene}", delete(scenes::release))
            .route("/v1/scenes", get(scene_list::list).post(scenes::start))
            .route("/v1/scenes/{scene}", get(usage::of_scene).delete(scenes::stop))
            .route("/v1/scenes/{scene}/move", post(scenes::go_elsewhere))
            .route("/v1/scenes/{scene}/users/{user}", delete(scene_list::kick))
            .route("/v1/store/backup", post(backups::make))
            .route("/v1/users/{user}", get(show_user))
            .route("/v1/users/{user}/ban", post(ban).delete(unban))
            .route("/v1/users/{user}/mute", post(mute::mute).delete(mute::unmute))
            .route("/v1/users/{user}/ratings/{domain}", put(ratings::put).delete(ratings::remove))
            .route("/v1/users/{user}/sessions/{session}", delete(end_session))
            .layer(DefaultBodyLimit::max(64 * 1_024))
            .layer(middleware::from_fn(to_its_end))
            .with_state(self)
    }

    /// Who calls, if that is an operator.
    fn by(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        let presented = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = SecretHash::of(presented.and_then(|value| value.strip_prefix("Bearer "))?);
        // Hashes are compared, so the time tells nothing about a token.
        self.0.tokens.iter().find(|(known, _)| *known == token).map(|(_, name)| Arc::clone(name))
    }

    /// Who calls; it stands in the audit log.
    #[expect(clippy::result_large_err, reason = "the error is the answer")]
    fn authorise(&self, headers: &HeaderMap) -> Result<Arc<str>, Response> {
        if self.0.tokens.is_empty() {
            let text = "calls that change something need ops.token in the configuration";
            return Err(problem(StatusCode::FORBIDDEN, text));
        }
        self.by(headers).ok_or_else(|| {
            problem(StatusCode::UNAUTHORIZED, "send the header Authorization: Bearer <ops.token>, or one of ops.tokens")
        })
    }
}

/// Who calls, where only operators may: a call without a right token ends here, before its body is read.
struct By(Arc<str>);

impl FromRequestParts<Ops> for By {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut RequestParts, ops: &Ops) -> Result<Self, Response> {
        ops.authorise(&parts.headers).map(Self)
    }
}

/// Has every call come to its end, also when who has called does not wait for it any more: what it has written to the store
/// is to be used, too.
async fn to_its_end(request: HttpRequest, next: Next) -> Response {
    let failed = |_| StatusCode::INTERNAL_SERVER_ERROR.into_response();
    tokio::spawn(next.run(request)).await.unwrap_or_else(failed)
}

/// Whether the host can serve; for load balancers and supervisors.
async fn health(State(ops): State<Ops>) -> Response {
    if *ops.0.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    if !ops.0.bus.scene_threads().all_running() {
        return (StatusCode::INTERNAL_SERVER_ERROR, "a scene thread has ended\n").into_response();
    }
    if !ops.0.backups.store_up() {
        let text = "the store cannot be written: new sign-ins and matches are refused, running games go on\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    "ok\n".into_response()
}

async fn show_metrics(State(ops): State<Ops>) -> Response {
    let text = ops.0.metrics.render() + &ops.0.plugins.usage_metrics();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// All that is kept about a user.
async fn show_user(State(ops): State<Ops>, headers: HeaderMap, Path(user): Path<String>) -> Response {
    order(&ops, &headers, &user, || Ok(Order::Export)).await
}

/// Shuts an account and ends its sessions and its game.
async fn ban(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path(user): Path<String>,
    body: Result<Json<Ban>, JsonRejection>,
) -> Response {
    let clock = ops.0.clock;
    let wanted = || {
        let Json(Ban { reason, minutes }) = body.map_err(|rejection| rejection.body_text())?;
        if reason.trim().is_empty() {
            return Err("reason is empty: the user reads it".to_owned());
        }
        let until = minutes.map(|minutes| clock.now().plus_ms(minutes.saturating_mul(60_000)));
        Ok(Order::Ban { reason, until })
    };
    order(&ops, &headers, &user, wanted).await
}

async fn unban(State(ops): State<Ops>, headers: HeaderMap, Path(user): Path<String>) -> Response {
    order(&ops, &headers, &user, || Ok(Order::Unban)).await
}

async fn end_session(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path((user, session)): Path<(String, String)>,
) -> Response {
    let id =
        || session.parse().map(Order::EndSession).map_err(|_| "a session's id has 16 hexadecimal digits".to_owned());
    order(&ops, &headers, &user, id).await
}

/// One order about an account. What it is, is looked at when the operator's right is clear.
async fn order(ops: &Ops, headers: &HeaderMap, user: &str, wanted: impl FnOnce() -> Result<Order, String>) -> Response {
    let by = match ops.authorise(headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let Ok(user) = user.parse::<UserId>() else {
        return problem(StatusCode::BAD_REQUEST, "a user's id has 16 hexadecimal digits");
    };
    let order = match wanted() {
        Ok(order) => order,
        Err(text) => return problem(StatusCode::BAD_REQUEST, &text),
    };
    tracing::info!(target: "audit", by = &*by, %user, ?order, "an operator's order about an account");
    let answer = match ops.0.bus.ask_auth(Request::Operator { user, order }).await {
        Ok(Answer::Export(user, export)) => export::answer(&ops.0.bus, user, export).await,
        answer => answer.map(|_| StatusCode::NO_CONTENT.into_response()),
    };
    match answer {
        Ok(response) => response,
        Err(refusal @ Refusal::NotFound(_)) => problem(StatusCode::NOT_FOUND, &refusal.to_string()),
        Err(refusal @ Refusal::Invalid(_)) => problem(StatusCode::BAD_REQUEST, &refusal.to_string()),
        Err(refusal) => problem(StatusCode::SERVICE_UNAVAILABLE, &refusal.to_string()),
    }
}

fn problem(status: StatusCode, error: &str) -> Response {
    (status, Json(Problem { error: error.to_owned(), kind: None })).into_response()
}

/// The same, with a short name.
fn problem_of_kind(status: StatusCode, kind: &'static str, error: &str) -> Response {
    (status, Json(Problem { error: error.to_owned(), kind: Some(kind) })).into_response()
}
