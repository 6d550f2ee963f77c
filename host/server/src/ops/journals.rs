//! `/v1/journals`: what scenes were given, to be replayed elsewhere.

use std::fs;
use std::time::UNIX_EPOCH;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use scenehost_core::{Epoch, SceneId};
use serde::{Deserialize, Serialize};

use super::{Ops, problem};
use crate::journals::{Filed, Folder};

/// How many journals are listed, the newest.
const LISTED_MAX: usize = 1_000;

#[derive(Serialize)]
struct Shown {
    scene: String,
    epoch: u64,
    /// Whether its scene runs.
    running: bool,
    bytes: u64,
    /// When it was written last, in milliseconds since 1970.
    changed_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Which life of the scene, instead of the last.
    epoch: Option<u64>,
}

/// The journals that there are, the newest first.
pub async fn list(State(ops): State<Ops>, headers: HeaderMap) -> Response {
    if let Err(refused) = ops.authorise(&headers) {
        return refused;
    }
    match aside(&ops, |folder| folder.list()).await {
        Ok(files) => Json(files.iter().rev().take(LISTED_MAX).map(shown).collect::<Vec<_>>()).into_response(),
        Err(response) => response,
    }
}

/// The bytes of a scene's journal, for `scenectl replay`. Of a scene that runs it is what there is so far.
pub async fn show(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path(scene): Path<String>,
    which: Result<Query<Which>, QueryRejection>,
) -> Response {
    if let Err(refused) = ops.authorise(&headers) {
        return refused;
    }
    let Ok(scene) = scene.parse::<SceneId>() else {
        return problem(StatusCode::BAD_REQUEST, "a scene's id has 16 hexadecimal digits");
    };
    let epoch = match which {
        Ok(Query(Which { epoch })) => epoch.map(Epoch),
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    tracing::info!(target: "audit", %scene, "an operator takes a journal");
    let read = aside(&ops, move |folder| folder.find(scene, epoch)?.map(|filed| fs::read(filed.path)).transpose());
    match read.await {
        Ok(Some(bytes)) => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
        Ok(None) => {
            problem(StatusCode::NOT_FOUND, "there is no journal of this scene: its fleet keeps none, or not so long")
        }
        Err(response) => response,
    }
}

fn shown(filed: &Filed) -> Shown {
    let changed_ms = filed.changed.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    Shown {
        scene: filed.incarnation.scene.to_string(),
        epoch: filed.incarnation.epoch.0,
        running: filed.is_live,
        bytes: filed.bytes,
        changed_ms,
    }
}

/// Files are read where that may take its time.
async fn aside<T: Send + 'static>(
    ops: &Ops,
    read: impl FnOnce(&Folder) -> std::io::Result<T> + Send + 'static,
) -> Result<T, Response> {
    let folder = ops.0.fleets.journals().folder().clone();
    match tokio::task::spawn_blocking(move || read(&folder)).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => {
            Err(problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the journals cannot be read: {error}")))
        }
        Err(_) => Err(problem(StatusCode::SERVICE_UNAVAILABLE, "the host is stopping")),
    }
}
