//! `POST /v1/ask`: what users can ask of Db over their lobby connection, asked by an operator or the game's own
//! backend. The body and the answer are frames of the client protocol in JSON.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scenehost_core::db::{Caller, Request};
use scenehost_core::economy::Request::{Grant, Refund, Spend};
use scenehost_core::{Refusal, results, storage};
use scenehost_protocol::v1::{ClientFrame, ServerFrame, server_frame};

use super::{Ops, problem};
use crate::edge::status;
use crate::wire;

pub async fn ask(
    State(ops): State<Ops>,
    headers: HeaderMap,
    body: Result<Json<ClientFrame>, JsonRejection>,
) -> Response {
    let by = match ops.authorise(&headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let frame = match body {
        Ok(Json(frame)) => frame,
        Err(rejection) => return problem(rejection.status(), &rejection.body_text()),
    };
    let request = frame.request;
    let asked = frame.body.and_then(wire::db::request);
    let result = match asked {
        Some(Ok(what)) => {
            audit(&by, &what);
            ops.0.bus.ask_db(Caller::Operator, what).await
        }
        Some(Err(refusal)) => Err(refusal),
        None => Err(Refusal::Invalid("the frame has no body that can be asked here".to_owned())),
    };
    let (status, body) = match result {
        Ok(answer) => (StatusCode::OK, wire::db::answer(&answer)),
        Err(refusal) => (status(&refusal), server_frame::Body::Refused(wire::refused(&refusal))),
    };
    (status, Json(ServerFrame { seq: 0, request, body: Some(body) })).into_response()
}

/// Notes what changes something, before it is done; of what is stored the keys and sizes only.
fn audit(by: &str, what: &Request) {
    match what {
        Request::Economy(order @ (Grant(_) | Spend(_) | Refund { .. })) => {
            tracing::info!(target: "audit", by, ?order, "an operator's order about a wallet");
        }
        Request::Results(results::Request::Set { board, user, score }) => {
            tracing::info!(target: "audit", by, ?board, %user, score, "an operator's order about a leaderboard");
        }
        Request::Storage(storage::Request::Write { game, changes }) => {
            // More are refused.
            for storage::Change { whose, key, value, readers, writers, .. } in changes.iter().take(storage::AT_ONCE_MAX)
            {
                let (game, bytes) = (game.as_str(), value.as_ref().map(Vec::len));
                tracing::info!(
                    target: "audit", by, ?game, ?whose, ?key, bytes, ?readers, ?writers, "an operator changes a record"
                );
            }
        }
        // The rest only looks, or is refused: it is for users.
        _ => {}
    }
}
