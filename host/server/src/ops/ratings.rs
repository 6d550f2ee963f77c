//! `PUT` and `DELETE /v1/users/<id>/ratings/<domain>`: how strong a user is who comes from another system, or who is
//! rated by the game's own backend.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scenehost_core::UserId;
use scenehost_core::db::{Caller, Request};
use scenehost_core::results::{self, Given};

use super::{Ops, problem};
use crate::edge::status;
use crate::strict::Strict;

pub async fn put(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path(path): Path<(String, String)>,
    body: Result<Json<Strict<Given>>, JsonRejection>,
) -> Response {
    let given = || body.map(|Json(Strict(given))| Some(given)).map_err(|rejection| rejection.body_text());
    carry_out(&ops, &headers, path, given).await
}

pub async fn remove(State(ops): State<Ops>, headers: HeaderMap, Path(path): Path<(String, String)>) -> Response {
    carry_out(&ops, &headers, path, || Ok(None)).await
}

async fn carry_out(
    ops: &Ops,
    headers: &HeaderMap,
    (user, domain): (String, String),
    given: impl FnOnce() -> Result<Option<Given>, String>,
) -> Response {
    if let Err(refused) = ops.authorise(headers) {
        return refused;
    }
    let Ok(user) = user.parse::<UserId>() else {
        return problem(StatusCode::BAD_REQUEST, "a user's id has 16 hexadecimal digits");
    };
    let given = match given() {
        Ok(given) => given,
        Err(text) => return problem(StatusCode::BAD_REQUEST, &text),
    };
    tracing::info!(target: "audit", %user, domain, ?given, "an operator's order about a rating");
    let order = results::Request::Rate { user, domain: domain.as_str().into(), given };
    match ops.0.bus.ask_db(Caller::Operator, Request::Results(order)).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => problem(status(&refusal), &refusal.to_string()),
    }
}
