//! Accounts over HTTP: sign-in, tokens, sessions, identities. JSON by the protocol's schema;
//! sdk/protocol/README.md lists the calls.
//!
//! Invariant: what is refused is answered by a `Refused` of the schema, with the HTTP status that fits.

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Router};
use scenehost_core::auth::{Action, Answer, Credential, Request};
use scenehost_core::token::SecretHash;
use scenehost_core::{Refusal, SessionId};
use scenehost_protocol::v1;
use serde::Serialize;

use super::body::{BODY_BYTES_MAX, Body};
use super::{Edge, Place};
use crate::{export, wire};

pub fn router() -> Router<Edge> {
    Router::new()
        .route("/v1/auth/sign-in", post(sign_in))
        .route("/v1/auth/custom", post(sign_in_custom))
        .route("/v1/auth/refresh", post(refresh))
        .route("/v1/auth/sign-out", post(sign_out))
        .route("/v1/account", get(show).delete(delete_account))
        .route("/v1/account/export", get(export))
        .route("/v1/account/link", post(link))
        .route("/v1/account/unlink", post(unlink))
        .route("/v1/account/sessions/{session}", delete(end_session))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

type Answered = Result<Response, Refusal>;

async fn sign_in(
    State(edge): State<Edge>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(async {
        edge.check_origin(&headers)?;
        edge.count_sign_in(place.client())?;
        signed_in(&edge, wire::sign_in(body.parse()?)?).await
    })
    .await
}

/// For the game's own backend, which has the server key and vouches for its users.
async fn sign_in_custom(
    State(edge): State<Edge>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(async {
        let Some(expected) = edge.0.server_key else {
            let text = "this server vouches for nobody: its operator can set auth.server_key";
            return Err(Refusal::Invalid(text.to_owned()));
        };
        // Hashes are compared, so the time tells nothing about the key. The backend signs in as many as
        // it likes, but not from an address where somebody guesses at the key.
        edge.may_sign_in(place.client())?;
        if SecretHash::of(bearer(&headers)?) != expected {
            edge.count_sign_in(place.client())?;
            return Err(Refusal::BadToken("the server key is wrong".into()));
        }
        let v1::ReqSignInCustom { id, name, device } = body.parse()?;
        signed_in(&edge, Request::SignIn { credential: Credential::Custom(id), name, device }).await
    })
    .await
}

async fn refresh(
    State(edge): State<Edge>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(async {
        edge.check_origin(&headers)?;
        edge.count_sign_in(place.client())?;
        let v1::ReqRefresh { refresh_token } = body.parse()?;
        signed_in(&edge, Request::Refresh(refresh_token)).await
    })
    .await
}

async fn sign_out(
    State(edge): State<Edge>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(async {
        let v1::ReqSignOutHttp { everywhere } = body.parse()?;
        own(&edge, &place, &headers, if everywhere { Action::SignOutEverywhere } else { Action::SignOut }).await
    })
    .await
}

async fn show(State(edge): State<Edge>, Extension(place): Extension<Place>, headers: HeaderMap) -> Response {
    respond(own(&edge, &place, &headers, Action::Show)).await
}

async fn export(State(edge): State<Edge>, Extension(place): Extension<Place>, headers: HeaderMap) -> Response {
    respond(own(&edge, &place, &headers, Action::Export)).await
}

async fn delete_account(State(edge): State<Edge>, Extension(place): Extension<Place>, headers: HeaderMap) -> Response {
    respond(own(&edge, &place, &headers, Action::Delete)).await
}

async fn link(
    State(edge): State<Edge>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(async {
        let v1::ReqSignIn { credential, .. } = body.parse()?;
        let (credential, _) = wire::credential(credential)?;
        own(&edge, &place, &headers, Action::Link(credential)).await
    })
    .await
}

async fn unlink(
    State(edge): State<Edge>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    respond(async {
        let v1::ReqUnlink { identity } = body.parse()?;
        own(&edge, &place, &headers, Action::Unlink(identity)).await
    })
    .await
}

async fn end_session(
    State(edge): State<Edge>,
    Extension(place): Extension<Place>,
    headers: HeaderMap,
    Path(session): Path<String>,
) -> Response {
    respond(async {
        let id = (session.len() == 16).then(|| session.parse::<SessionId>().ok()).flatten();
        let id = id.ok_or_else(|| Refusal::Invalid("a session's id has 16 hexadecimal digits".to_owned()))?;
        own(&edge, &place, &headers, Action::EndSession(id)).await
    })
    .await
}

async fn signed_in(edge: &Edge, request: Request) -> Answered {
    match edge.0.bus.ask_auth(request).await? {
        Answer::SignedIn(identity) => Ok(json(StatusCode::OK, &wire::identity(&identity))),
        _ => Err(Refusal::Internal("a sign-in has another answer".into())),
    }
}

/// What a user does with the own account, by the session token.
async fn own(edge: &Edge, place: &Place, headers: &HeaderMap, action: Action) -> Answered {
    edge.check_origin(headers)?;
    let token = bearer(headers)?.to_owned();
    edge.0.limits.call(&token, edge.0.clock.now())?;
    // Work for a password or an ID token, and a word about whose it is: that counts as a sign-in.
    let counts = matches!(action, Action::Link(_));
    match counts {
        true => edge.count_sign_in(place.client())?,
        false => edge.may_sign_in(place.client())?,
    }
    let answer = match edge.0.bus.ask_auth(Request::Own { token, action }).await {
        // Each wrong token is another one, so who tries them is counted by address.
        Err(refusal @ Refusal::BadToken(_)) if !counts => {
            edge.count_sign_in(place.client())?;
            return Err(refusal);
        }
        answer => answer?,
    };
    Ok(match answer {
        Answer::Done => StatusCode::NO_CONTENT.into_response(),
        Answer::Account { sessions, identities } => json(StatusCode::OK, &wire::account(&sessions, identities)),
        Answer::Export(user, export) => export::answer(&edge.0.bus, user, export).await?,
        Answer::SignedIn(_) => return Err(Refusal::Internal("an account has another answer".into())),
    })
}

fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let missing = Refusal::BadToken("send the header Authorization: Bearer <token>".into());
    value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(missing)
}

async fn respond(answer: impl Future<Output = Answered>) -> Response {
    match answer.await {
        Ok(response) => response,
        Err(refusal) => refused(status(&refusal), &wire::refused(&refusal)),
    }
}

/// The answer to a call that is refused.
pub fn refused(status: StatusCode, refused: &v1::Refused) -> Response {
    let mut response = json(status, refused);
    if refused.retry_after_ms > 0 {
        response.headers_mut().insert(header::RETRY_AFTER, refused.retry_after_ms.div_ceil(1_000).into());
    }
    response
}

/// The status that fits a refusal.
pub fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed(_) | Refusal::Invalid(_) | Refusal::OutOfOrder(_) => StatusCode::BAD_REQUEST,
        Refusal::Unauthenticated
        | Refusal::BadToken(_)
        | Refusal::WrongPassword
        | Refusal::BadCredential(_)
        | Refusal::TokenExpired
        | Refusal::SessionEnded => StatusCode::UNAUTHORIZED,
        Refusal::Banned { .. } | Refusal::NotAdmitted(_) | Refusal::Forbidden(_) => StatusCode::FORBIDDEN,
        Refusal::NotFound(_) | Refusal::NoSeat | Refusal::SceneEnded | Refusal::NoMatch => StatusCode::NOT_FOUND,
        Refusal::Taken(_)
        | Refusal::Conflict(_)
        | Refusal::Busy(_)
        | Refusal::SceneFull(_)
        | Refusal::SearchStopped(_)
        | Refusal::TakenOver => StatusCode::CONFLICT,
        Refusal::RateLimited { .. } | Refusal::TriedTooOften { .. } | Refusal::TooOften { .. } => {
            StatusCode::TOO_MANY_REQUESTS
        }
        Refusal::Overloaded(_)
        | Refusal::Restarting
        | Refusal::ServiceDown(_)
        | Refusal::ProviderDown
        | Refusal::Closed { .. }
        | Refusal::Quarantined
        | Refusal::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
        Refusal::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
