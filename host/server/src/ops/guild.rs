//! `DELETE /v1/guilds/<id>`: ends a guild whose name or conduct cannot stay.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scenehost_core::db::{Caller, Request};
use scenehost_core::{GuildId, guild};

use super::{Ops, problem};
use crate::edge::status;

pub async fn end(State(ops): State<Ops>, headers: HeaderMap, Path(guild): Path<String>) -> Response {
    let by = match ops.authorise(&headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let Ok(guild) = guild.parse::<GuildId>() else {
        return problem(StatusCode::BAD_REQUEST, "a guild's id has 16 hexadecimal digits");
    };
    tracing::info!(target: "audit", by = &*by, %guild, "an operator ends a guild");
    match ops.0.bus.ask_db(Caller::Operator, Request::Guild(guild::Request::End(guild))).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => problem(status(&refusal), &refusal.to_string()),
    }
}
