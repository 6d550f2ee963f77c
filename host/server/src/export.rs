//! All that is kept about a user, from both services that keep something.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use scenehost_core::db::{Answer, Caller, Request};
use scenehost_core::{Refusal, UserId};
use serde_json::Value;

use crate::bus::Bus;

/// The answer to who may have it: what Auth has told of the user, with what Db keeps.
///
/// # Errors
/// If Db does not answer.
pub async fn answer(bus: &Bus, user: UserId, mut export: Value) -> Result<Response, Refusal> {
    match bus.ask_db(Caller::Host, Request::Export(user)).await? {
        Answer::Export(kept) => export["kept"] = kept,
        _ => return Err(Refusal::Internal("an export has another answer".into())),
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], export.to_string()).into_response())
}
