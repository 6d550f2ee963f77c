//! `/v1/scenes`, `/v1/reservations`, `/v1/allocations`: operators, and the game's own backend, start, hold, give and
//! end scenes.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scenehost_core::scene_master::{Answer, Event, Matched, Order};
use scenehost_core::{DomainName, FleetName, Refusal, SceneId, UserId, record, token};
use serde::{Deserialize, Serialize};

use super::{Ops, problem, scene_list};
use crate::edge::status;

/// How many scenes one call may start.
const SCENES_PER_CALL_MAX: u32 = 10_000;
/// How many users one call may put together.
const USERS_MAX: usize = 1_000;
/// The longest name of a user.
const NAME_CHARS_MAX: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The fleet whose scenes they are.
    fleet: FleetName,
    /// How many.
    count: u32,
}

#[derive(Serialize)]
struct Started {
    created: usize,
    scenes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reserve {
    /// Of which fleet.
    fleet: FleetName,
    /// For how long; without it as long as the fleet says.
    for_ms: Option<u64>,
}

#[derive(Serialize)]
struct Reserved {
    scene: String,
    /// In milliseconds since 1970.
    until_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocate {
    /// Of which fleet.
    fleet: FleetName,
    /// One that was reserved.
    scene: Option<String>,
    /// The domain for which the results count.
    domain: Option<DomainName>,
    /// Who, in the order of seats.
    users: Vec<User>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    user: String,
    name: String,
    rating: Option<i32>,
    #[serde(default)]
    team: u32,
}

#[derive(Serialize)]
struct Allocated {
    allocation: String,
    scene: String,
    seats: Vec<Seat>,
}

#[derive(Serialize)]
struct Seat {
    user: String,
    /// Where the user's client connects.
    url: String,
    /// What it enters with, once.
    scene_token: String,
    expires_in_ms: u64,
}

/// Starts scenes that nobody uses yet: an allocation gets them first.
pub async fn start(State(ops): State<Ops>, headers: HeaderMap, body: Result<Json<Start>, JsonRejection>) -> Response {
    answer(&ops, &headers, body, |Start { fleet, count }| {
        if count == 0 || count > SCENES_PER_CALL_MAX {
            return Err(Refusal::Invalid(format!("count needs 1 to {SCENES_PER_CALL_MAX}")));
        }
        Ok(Box::new(move |number| Event::ReqCreateByHand { number, fleet, count }))
    })
    .await
}

/// Holds a scene for an allocation to come.
pub async fn reserve(
    State(ops): State<Ops>,
    headers: HeaderMap,
    body: Result<Json<Reserve>, JsonRejection>,
) -> Response {
    answer(&ops, &headers, body, |Reserve { fleet, for_ms }| Ok(ordered(Order::Reserve { fleet, for_ms }))).await
}

/// Gives a reservation back.
pub async fn release(State(ops): State<Ops>, headers: HeaderMap, Path(scene): Path<String>) -> Response {
    answer(&ops, &headers, Ok(Json(scene)), |scene| Ok(ordered(Order::Release { scene: id(&scene)? }))).await
}

/// Puts users together in a scene.
pub async fn allocate(
    State(ops): State<Ops>,
    headers: HeaderMap,
    body: Result<Json<Allocate>, JsonRejection>,
) -> Response {
    let domains = ops.0.domains.settings();
    answer(&ops, &headers, body, |Allocate { fleet, scene, domain, users }| {
        if users.is_empty() || users.len() > USERS_MAX {
            return Err(Refusal::Invalid(format!("users needs 1 to {USERS_MAX}")));
        }
        if let Some(domain) = domain.as_ref().filter(|domain| !domains.contains_key(domain)) {
            return Err(Refusal::NotFound(format!("domain named {:?}", domain.as_str())));
        }
        // Each has come alone.
        let players = (0..).zip(users).map(|(party, user)| matched(user, party)).collect::<Result<_, _>>()?;
        let scene = scene.as_deref().map(id).transpose()?;
        Ok(ordered(Order::Allocate { fleet, scene, domain, players }))
    })
    .await
}

/// Ends a scene.
pub async fn stop(State(ops): State<Ops>, headers: HeaderMap, Path(scene): Path<String>) -> Response {
    let by = ops.by(&headers);
    answer(&ops, &headers, Ok(Json(scene)), |scene| {
        tracing::info!(target: "audit", by = by.as_deref(), scene, "an operator ends a scene");
        Ok(ordered(Order::Stop { scene: id(&scene)? }))
    })
    .await
}

pub(super) type Question = Box<dyn FnOnce(u64) -> Event + Send>;

pub(super) fn ordered(order: Order) -> Question {
    Box::new(move |number| Event::ReqOperator { number, order })
}

pub(super) fn id(text: &str) -> Result<SceneId, Refusal> {
    text.parse().map_err(|_| Refusal::Invalid("a scene's id has 16 hexadecimal digits".to_owned()))
}

fn matched(user: User, party: u32) -> Result<Matched, Refusal> {
    let id: UserId = user.user.parse().map_err(|error| Refusal::Invalid(format!("no user's id: {error}")))?;
    if user.name.trim().is_empty() || user.name.chars().count() > NAME_CHARS_MAX {
        return Err(Refusal::Invalid(format!("a user's name has 1 to {NAME_CHARS_MAX} characters")));
    }
    let rating = user.rating.unwrap_or(record::RATING_START);
    Ok(Matched { user: id, name: user.name, rating, team: user.team, role: None, party })
}

/// One question to SceneMaster. What it is, is looked at when the operator's right is clear.
pub(super) async fn answer<T>(
    ops: &Ops,
    headers: &HeaderMap,
    body: Result<Json<T>, JsonRejection>,
    question: impl FnOnce(T) -> Result<Question, Refusal>,
) -> Response {
    if let Err(refused) = ops.authorise(headers) {
        return refused;
    }
    let question = match body {
        Ok(Json(body)) => question(body),
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    let answer = match question {
        Ok(question) => ops.0.bus.ask_scene_master(question).await,
        Err(refusal) => Err(refusal),
    };
    match answer {
        Ok(answer) => shown(answer),
        // Nothing of it is wrong: it does not go now.
        Err(refusal @ (Refusal::Overloaded(_) | Refusal::Busy(_) | Refusal::Quarantined)) => {
            problem(StatusCode::CONFLICT, &refusal.to_string())
        }
        Err(refusal) => problem(status(&refusal), &refusal.to_string()),
    }
}

fn shown(answer: Answer) -> Response {
    match answer {
        Answer::Done => StatusCode::NO_CONTENT.into_response(),
        Answer::Scenes(scenes) => {
            let scenes: Vec<String> = scenes.iter().map(ToString::to_string).collect();
            Json(Started { created: scenes.len(), scenes }).into_response()
        }
        Answer::Reserved { scene, until } => {
            Json(Reserved { scene: scene.to_string(), until_ms: until.0 }).into_response()
        }
        Answer::Allocated { allocation, scene, entries } => {
            let seat = |(user, entry): (UserId, scenehost_core::message::Entry)| Seat {
                user: user.to_string(),
                url: entry.url.clone(),
                scene_token: token::scene_token(entry.scene, &entry.secret),
                expires_in_ms: entry.expires_in_ms,
            };
            let seats = entries.into_iter().map(seat).collect();
            Json(Allocated { allocation: allocation.to_string(), scene: scene.to_string(), seats }).into_response()
        }
        Answer::Found(page) => scene_list::shown(&page),
        Answer::Fleets(_) | Answer::Nodes(_) => {
            problem(StatusCode::INTERNAL_SERVER_ERROR, "SceneMaster has answered another question")
        }
    }
}
