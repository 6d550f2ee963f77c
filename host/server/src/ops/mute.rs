//! `POST` and `DELETE /v1/users/<id>/mute`: a user may say nothing for a while, and may speak again.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scenehost_core::db::{Caller, Request};
use scenehost_core::{UserId, chat};
use serde::Deserialize;

use super::{Ops, problem};
use crate::edge::status;

/// The longest mute: ten years, in minutes.
const MINUTES_MAX: u64 = 10 * 366 * 24 * 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mute {
    /// For how long.
    minutes: u64,
}

pub async fn mute(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path(user): Path<String>,
    body: Result<Json<Mute>, JsonRejection>,
) -> Response {
    let now = ops.0.clock.now();
    let order = |user| {
        let Json(Mute { minutes }) = body.map_err(|rejection| rejection.body_text())?;
        if !(1..=MINUTES_MAX).contains(&minutes) {
            return Err(format!("minutes needs 1 to {MINUTES_MAX}"));
        }
        Ok(chat::Request::Mute(user, now.plus_ms(minutes * 60_000)))
    };
    carry_out(&ops, &headers, &user, order).await
}

pub async fn unmute(State(ops): State<Ops>, headers: HeaderMap, Path(user): Path<String>) -> Response {
    carry_out(&ops, &headers, &user, |user| Ok(chat::Request::Unmute(user))).await
}

async fn carry_out(
    ops: &Ops,
    headers: &HeaderMap,
    user: &str,
    order: impl FnOnce(UserId) -> Result<chat::Request, String>,
) -> Response {
    let by = match ops.authorise(headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let Ok(user) = user.parse::<UserId>() else {
        return problem(StatusCode::BAD_REQUEST, "a user's id has 16 hexadecimal digits");
    };
    let order = match order(user) {
        Ok(order) => order,
        Err(text) => return problem(StatusCode::BAD_REQUEST, &text),
    };
    tracing::info!(target: "audit", by = &*by, %user, ?order, "an operator's order about chat");
    match ops.0.bus.ask_db(Caller::Operator, Request::Chat(order)).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => problem(status(&refusal), &refusal.to_string()),
    }
}
