//! What scenes use: one scene, and the versions of a plugin.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use scenehost_core::SceneId;
use serde::Serialize;

use super::{By, Ops, plugins, problem};
use crate::registry::{ShownUse, VersionUse};

/// How long a scene's thread may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct OfScene {
    scene: String,
    fleet: String,
    plugin: String,
    /// Nothing of a component of `plugins_dir`.
    version: Option<u32>,
    digest: String,
    #[serde(flatten)]
    used: ShownUse,
}

#[derive(Serialize)]
struct OfPlugin {
    plugin: String,
    usage: Vec<VersionUse>,
}

/// What a scene is made of, and what it has used.
pub async fn of_scene(State(ops): State<Ops>, _by: By, Path(scene): Path<String>) -> Response {
    let Ok(scene) = scene.parse::<SceneId>() else {
        return problem(StatusCode::BAD_REQUEST, "a scene's id has 16 hexadecimal digits");
    };
    let asked = ops.0.bus.scene_threads().usage(scene);
    match tokio::time::timeout(ANSWER_MAX, asked).await {
        Ok(Ok(it)) => Json(OfScene {
            scene: it.scene.to_string(),
            version: ops.0.plugins.registry().version_of(it.plugin.as_str(), it.digest),
            fleet: it.fleet.as_str().to_owned(),
            plugin: it.plugin.as_str().to_owned(),
            digest: it.digest.to_string(),
            used: it.usage.into(),
        })
        .into_response(),
        Ok(Err(_)) => problem(StatusCode::NOT_FOUND, &format!("no scene {scene} runs on this host")),
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "the scene's thread is busy: try again in a moment"),
    }
}

/// What the scenes of a plugin have used, by fleet and version.
pub async fn of_plugin(State(ops): State<Ops>, _by: By, Path(plugin): Path<String>) -> Response {
    plugins::answer(ops.0.plugins.usage(&plugin).map(|usage| Json(OfPlugin { plugin, usage })))
}
