//! `POST /v1/notifications`: a notification of the operators, or of the game's own backend, for the inboxes of many
//! users.
//!
//! Invariant: the same call made again posts nothing twice, so a call that ended in its middle is simply repeated.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use scenehost_core::db::{Answer, Caller, Request};
use scenehost_core::inbox::{self, Kind, Notification};
use scenehost_core::{Refusal, Time, UserId};
use serde::{Deserialize, Serialize};

use super::{Ops, problem};
use crate::edge::status;

/// To how many users one call posts.
const USERS_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Post {
    /// Names the call, so that it can be made again.
    request_id: String,
    /// To whom.
    users: Vec<String>,
    /// For the users to read.
    title: String,
    /// The same.
    #[serde(default)]
    body: String,
    /// For the game.
    data: Option<serde_json::Value>,
    /// When it goes by itself, in milliseconds since 1970.
    expires_ms: Option<u64>,
}

#[derive(Serialize)]
struct Posted {
    /// The users that there are not.
    unknown: Vec<String>,
}

pub async fn post(State(ops): State<Ops>, headers: HeaderMap, body: Result<Json<Post>, JsonRejection>) -> Response {
    let by = match ops.authorise(&headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let asked = match body {
        Ok(Json(asked)) => asked,
        Err(rejection) => return problem(rejection.status(), &rejection.body_text()),
    };
    let (id, count) = (asked.request_id.clone(), asked.users.len());
    let result = post_to_all(&ops, asked).await;
    tracing::info!(target: "audit", by = &*by, id, users = count, refused = ?result.as_ref().err(), "operators' notification");
    match result {
        Ok(unknown) => Json(Posted { unknown: unknown.iter().map(ToString::to_string).collect() }).into_response(),
        Err(refusal) => problem(status(&refusal), &refusal.to_string()),
    }
}

/// Posts to some users at a time; each such part is done as a whole.
async fn post_to_all(ops: &Ops, asked: Post) -> Result<Vec<UserId>, Refusal> {
    if asked.users.is_empty() || asked.users.len() > USERS_MAX {
        return Err(Refusal::Invalid(format!("users needs 1 to {USERS_MAX} ids")));
    }
    let id = |text: &String| text.parse().map_err(|error| Refusal::Invalid(format!("no user's id: {error}")));
    let users: BTreeSet<UserId> = asked.users.iter().map(id).collect::<Result<_, _>>()?;
    let notification = Notification {
        kind: Kind::Operator,
        from: None,
        title: asked.title,
        body: asked.body,
        data: asked.data.map(|data| data.to_string()).unwrap_or_default(),
        expires: asked.expires_ms.map(Time),
    };
    let users: Vec<UserId> = users.into_iter().collect();
    let mut unknown = Vec::new();
    for users in users.chunks(inbox::USERS_AT_ONCE_MAX) {
        let notification = Box::new(notification.clone());
        let request =
            inbox::Request::Post { users: users.to_vec(), request_id: asked.request_id.clone(), notification };
        match ops.0.bus.ask_db(Caller::Operator, Request::Inbox(request)).await? {
            Answer::Inbox(inbox::Answer::Unknown(some)) => unknown.extend(some),
            _ => return Err(Refusal::Internal("an answer to another question".into())),
        }
    }
    Ok(unknown)
}
