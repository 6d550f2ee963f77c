//! Scene connections: the HTTP upgrade happens here, then the bare socket, with the state of TLS if it
//! speaks that, goes to the thread that runs the scene.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use hyper_util::rt::TokioIo;
use scenehost_core::SceneId;

use super::transport::Transport;
use super::{Edge, Place, Upgrade};
use crate::scene_thread::NewSocket;

pub async fn upgrade(
    State(edge): State<Edge>,
    Extension(place): Extension<Place>,
    Path(scene): Path<String>,
    mut request: Upgrade,
) -> axum::response::Response {
    let encoding = match edge.check(request.headers()) {
        Ok(encoding) => encoding,
        Err(refused) => return refused,
    };
    let Some(scene) = (scene.len() == 16).then(|| scene.parse::<SceneId>().ok()).flatten() else {
        return (StatusCode::NOT_FOUND, "a scene's id has 16 hexadecimal digits\n").into_response();
    };
    if edge.0.bus.scene_threads().is_full(scene) {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many scene connections: try again in a moment\n")
            .into_response();
    }
    let headers = request.headers();
    let is = |name, value: &str| {
        headers.get(name).is_some_and(|it: &HeaderValue| it.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
    };
    let key = headers.get(header::SEC_WEBSOCKET_KEY).cloned();
    let (Some(key), true, true) = (key, is(header::UPGRADE, "websocket"), is(header::SEC_WEBSOCKET_VERSION, "13"))
    else {
        return (StatusCode::UPGRADE_REQUIRED, "this is a WebSocket, version 13\n").into_response();
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!(%error, "an upgrade failed"),
        };
        let Ok(parts) = upgraded.downcast::<TokioIo<Transport>>() else {
            return tracing::error!("a scene connection came over a transport that scene threads do not know");
        };
        let (stream, tls) = parts.io.into_inner().into_parts();
        match stream.into_std() {
            Ok(stream) => {
                let socket = NewSocket { stream, tls, read_already: parts.read_buf, encoding, place };
                if !edge.0.bus.scene_threads().socket(scene, socket) {
                    tracing::warn!(%scene, "a scene thread's inbox is full, connection closed");
                }
            }
            Err(error) => tracing::warn!(%error, "a socket cannot be handed over"),
        }
    });
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .header(header::SEC_WEBSOCKET_PROTOCOL, encoding.subprotocol())
        .body(axum::body::Body::empty());
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
