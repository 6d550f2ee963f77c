//! `GET /v1/scenes`: the list of scenes, in all states, with filters and pages; and users who are taken out of one.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query as InUrl, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use scenehost_core::scene_list::{Condition, Found, Is, Number, PAGE_MAX, Page, Query, Scalar};
use scenehost_core::scene_master::Order;
use scenehost_core::{DomainName, FleetName, Refusal, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Ops;
use super::scenes::{answer, id, ordered};

/// What a user is told who is taken out of a game without another text.
const KICKED: &str = "by an operator";
/// The longest text.
const TEXT_CHARS_MAX: usize = 256;
/// The names of filters by a field of the label begin so.
const LABEL_PREFIX: &str = "label.";

#[derive(Serialize)]
struct Scenes<'a> {
    scenes: Vec<Scene<'a>>,
    /// What to ask for as `after` to go on; without it, that was the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct Scene<'a> {
    scene: String,
    fleet: &'a str,
    domain: Option<&'a str>,
    state: &'a str,
    players: u32,
    players_max: u32,
    spectators: u32,
    label: Option<Value>,
    started_ms: u64,
    can_join: bool,
    can_watch: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kick {
    /// For the user to read.
    text: Option<String>,
}

/// A part of the list of scenes.
pub async fn list(
    State(ops): State<Ops>,
    headers: HeaderMap,
    filters: Result<InUrl<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    answer(&ops, &headers, Ok(Json(())), |()| {
        let InUrl(filters) = filters.map_err(unreadable)?;
        let query = Box::new(query(filters)?);
        Ok(ordered(Order::Find { query }))
    })
    .await
}

fn unreadable(rejection: QueryRejection) -> Refusal {
    Refusal::Invalid(rejection.body_text())
}

/// Takes a user out of a scene: one who plays loses the seat, one who watches watches no more.
pub async fn kick(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path((scene, user)): Path<(String, String)>,
    why: Result<InUrl<Kick>, QueryRejection>,
) -> Response {
    let by = ops.by(&headers);
    answer(&ops, &headers, Ok(Json(())), |()| {
        let InUrl(Kick { text }) = why.map_err(unreadable)?;
        let text = text.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| KICKED.to_owned());
        if text.chars().count() > TEXT_CHARS_MAX {
            return Err(Refusal::Invalid(format!("text has at most {TEXT_CHARS_MAX} characters")));
        }
        let user_id: UserId = user.parse().map_err(|error| Refusal::Invalid(format!("no user's id: {error}")))?;
        tracing::info!(target: "audit", by = by.as_deref(), scene, user, text, "an operator takes a user out of a scene");
        Ok(ordered(Order::Kick { scene: id(&scene)?, user: user_id, text }))
    })
    .await
}

/// `fleet`, `domain`, `state`, `joinable`, `watchable`, `limit`, `after`, and any number of fields of the label:
/// `label.map=ice`, `label.round=2..5`, `label.ranked=true`; a field that is named more than once is one of these.
fn query(filters: Vec<(String, String)>) -> Result<Query, Refusal> {
    let mut query = Query { limit: PAGE_MAX, ..Query::default() };
    for (name, value) in filters {
        let flag = || match value.as_str() {
            "true" | "" => Ok(true),
            "false" => Ok(false),
            _ => Err(Refusal::Invalid(format!("{name} is true or false"))),
        };
        match name.as_str() {
            "fleet" => query.fleet = Some(FleetName::from(value.as_str())),
            "domain" => query.domain = Some(DomainName::from(value.as_str())),
            "joinable" => query.joinable = flag()?,
            "watchable" => query.watchable = flag()?,
            "limit" => {
                let limit = value.parse().map_err(|_| Refusal::Invalid(format!("limit is 1 to {PAGE_MAX}")))?;
                query.limit = limit;
            }
            "after" => query.after = Some(value.parse()?),
            "state" => query.state = Some(value),
            name => match name.strip_prefix(LABEL_PREFIX) {
                Some(field) => add(&mut query.conditions, field, &value)?,
                None => return Err(Refusal::Invalid(format!("scenes are not filtered by {name:?}"))),
            },
        }
    }
    query.check()?;
    Ok(query)
}

fn add(conditions: &mut Vec<Condition>, field: &str, value: &str) -> Result<(), Refusal> {
    if let Some((min, max)) = value.split_once("..") {
        let bound = |text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(|number| Some(Number(number))).map_err(|_| {
                Refusal::Invalid(format!("{LABEL_PREFIX}{field}={value} is no span of numbers, such as 2..5"))
            }),
        };
        let is = Is::Within { min: bound(min)?, max: bound(max)? };
        conditions.push(Condition { field: field.to_owned(), is });
        return Ok(());
    }
    // What is no JSON is a text as it stands: `ice` is as good as `"ice"`.
    let scalar = serde_json::from_str(value).ok().and_then(Scalar::of);
    let scalar = scalar.unwrap_or_else(|| Scalar::Text(value.to_owned()));
    let known = conditions.iter_mut().find(|condition| condition.field == field);
    match known.map(|condition| &mut condition.is) {
        Some(Is::OneOf(values)) => values.push(scalar),
        _ => conditions.push(Condition { field: field.to_owned(), is: Is::OneOf(vec![scalar]) }),
    }
    Ok(())
}

pub fn shown(page: &Page) -> Response {
    Json(Scenes { scenes: page.scenes.iter().map(one).collect(), next: page.next.map(|next| next.to_string()) })
        .into_response()
}

fn one(found: &Found) -> Scene<'_> {
    Scene {
        scene: found.scene.to_string(),
        fleet: found.fleet.as_str(),
        domain: found.domain.as_ref().map(DomainName::as_str),
        state: &found.state,
        players: found.players,
        players_max: found.players_max,
        spectators: found.spectators,
        // It was read as JSON when it was set.
        label: found.label.as_ref().and_then(|label| serde_json::from_str(label.text()).ok()),
        started_ms: found.started.0,
        can_join: found.can_join,
        can_watch: found.can_watch,
    }
}
