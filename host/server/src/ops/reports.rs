//! `GET /v1/reports`, `DELETE /v1/reports/<number>`: what users have shown to the operators.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scenehost_core::chat::{self, Answer, Place, Report};
use scenehost_core::db::{self, Caller, Request};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Ops, problem};
use crate::edge::status;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct After {
    /// Those after this one.
    #[serde(default)]
    after: u64,
}

pub async fn show(State(ops): State<Ops>, headers: HeaderMap, query: Result<Query<After>, QueryRejection>) -> Response {
    if let Err(refused) = ops.authorise(&headers) {
        return refused;
    }
    let Query(After { after }) = match query {
        Ok(query) => query,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    match ops.0.bus.ask_db(Caller::Operator, Request::Chat(chat::Request::Reports(after))).await {
        Ok(db::Answer::Chat(Answer::Reports(reports))) => {
            let reports: Vec<Value> = reports.iter().map(|(number, report)| shown(*number, report)).collect();
            Json(json!({ "reports": reports })).into_response()
        }
        Ok(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "an answer to another question"),
        Err(refusal) => problem(status(&refusal), &refusal.to_string()),
    }
}

fn shown(number: u64, report: &Report) -> Value {
    let (kind, of) = match &report.place {
        Place::Room(room) => ("room", room.to_string()),
        Place::Direct(user) => ("direct", user.to_string()),
        Place::Guild(guild) => ("guild", guild.to_string()),
        Place::Party(party) => ("party", party.to_string()),
    };
    json!({
        "number": number,
        "by": report.by.to_string(),
        "reporters": report.others.len() + 1,
        "at_ms": report.at.0,
        "reason": report.reason,
        "channel": { "kind": kind, "of": of },
        "message": {
            "id": report.message.id,
            "user_id": report.message.from.to_string(),
            "name": report.message.name,
            "text": report.message.text,
            "sent_ms": report.message.sent.0,
        },
    })
}

pub async fn remove(State(ops): State<Ops>, headers: HeaderMap, Path(number): Path<String>) -> Response {
    let by = match ops.authorise(&headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let Ok(number) = number.parse::<u64>() else {
        return problem(StatusCode::BAD_REQUEST, "a report has a number");
    };
    tracing::info!(target: "audit", by = &*by, number, "an operator puts a report away");
    match ops.0.bus.ask_db(Caller::Operator, Request::Chat(chat::Request::RemoveReport(number))).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => problem(status(&refusal), &refusal.to_string()),
    }
}
