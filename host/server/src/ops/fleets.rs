//! `/v1/fleets`: what fleets are, and how many scenes of each there are; operators change them while the host runs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scenehost_core::config::Fleet;
use scenehost_core::scene_master::{Answer, Event, FleetView, Order};
use scenehost_core::{FleetName, Refusal};
use serde::Serialize;

use super::{Ops, problem};
use crate::config::FleetConfig;
use crate::edge::status;
use crate::fleets::Error;
use crate::strict::Strict;

#[derive(Serialize)]
struct Shown {
    fleet: FleetName,
    /// What its new scenes are made of: another number after each change.
    build: String,
    /// What some of them are made of, to see how it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<Canary>,
    /// What they are made of has failed too often: there are none.
    in_quarantine: bool,
    rules: Fleet,
    /// How many scenes are in each state.
    scenes: BTreeMap<Cow<'static, str>, u32>,
    /// How many of them are the canary's.
    of_canary: u32,
    /// How many of them still run with settings of before.
    of_other_builds: u32,
    /// How many more there is room for.
    room: u32,
    /// When scenes are made ready again, in milliseconds since 1970, if that has just failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at_ms: Option<u64>,
}

impl From<FleetView> for Shown {
    fn from(view: FleetView) -> Self {
        Self {
            fleet: view.fleet,
            build: view.builds.build.to_string(),
            canary: view.builds.canary.map(|it| Canary { build: it.build.to_string(), percent: it.percent }),
            in_quarantine: view.builds.in_quarantine,
            rules: (*view.rules).clone(),
            scenes: view.scenes,
            of_canary: view.of_canary,
            of_other_builds: view.of_other_builds,
            room: view.room,
            retry_at_ms: view.retry_at.map(|at| at.0),
        }
    }
}

#[derive(Serialize)]
struct Canary {
    build: String,
    percent: u8,
}

#[derive(Serialize)]
struct Put {
    build: String,
}

async fn views(ops: &Ops) -> Result<Vec<Shown>, Refusal> {
    match ops.0.bus.ask_scene_master(|number| Event::ReqOperator { number, order: Order::Fleets }).await? {
        Answer::Fleets(views) => Ok(views.into_iter().map(Shown::from).collect()),
        _ => Err(Refusal::Internal("an answer to another question".into())),
    }
}

/// All fleets.
pub async fn list(State(ops): State<Ops>, headers: HeaderMap) -> Response {
    if let Err(refused) = ops.authorise(&headers) {
        return refused;
    }
    match views(&ops).await {
        Ok(fleets) => Json(fleets).into_response(),
        Err(refusal) => problem(status(&refusal), &refusal.to_string()),
    }
}

/// One fleet.
pub async fn show(State(ops): State<Ops>, headers: HeaderMap, Path(name): Path<String>) -> Response {
    if let Err(refused) = ops.authorise(&headers) {
        return refused;
    }
    match views(&ops).await.map(|fleets| fleets.into_iter().find(|it| it.fleet.as_str() == name)) {
        Ok(Some(fleet)) => Json(fleet).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, &format!("there is no fleet named {name:?}")),
        Err(refusal) => problem(status(&refusal), &refusal.to_string()),
    }
}

/// Makes a fleet, or changes it: scenes that are used keep what they have, those that are ready are replaced.
pub async fn put(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path(name): Path<String>,
    body: Result<Json<Strict<FleetConfig>>, JsonRejection>,
) -> Response {
    let by = match ops.authorise(&headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let fleet = match body {
        Ok(Json(Strict(fleet))) => fleet,
        Err(rejection) => return problem(rejection.status(), &rejection.body_text()),
    };
    let result = ops.0.fleets.put(FleetName::from(name.as_str()), fleet).await;
    tracing::info!(target: "audit", by = &*by, fleet = name, refused = ?result.as_ref().err(), "an operator sets a fleet");
    match result {
        Ok(build) => Json(Put { build: build.to_string() }).into_response(),
        Err(error) => failed(&error),
    }
}

/// Takes back what operators have set: the fleet is as in the configuration file, or is no more.
pub async fn remove(State(ops): State<Ops>, headers: HeaderMap, Path(name): Path<String>) -> Response {
    let by = match ops.authorise(&headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let result = ops.0.fleets.remove(&FleetName::from(name.as_str())).await;
    tracing::info!(target: "audit", by = &*by, fleet = name, refused = ?result.as_ref().err(), "an operator removes a fleet");
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> Response {
    let status = match error {
        Error::Read { .. } | Error::Rejected { .. } | Error::Plugin { .. } | Error::Wrong(_) => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Error::Unknown(_) => StatusCode::NOT_FOUND,
        Error::Used(_) => StatusCode::CONFLICT,
        Error::Keep { .. } | Error::Store(_) | Error::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    problem(status, &error.to_string())
}
