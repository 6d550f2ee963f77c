//! `GET /v1/cluster`: who is there, and who runs what, as this node sees it.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::Ops;

/// What this node knows of its cluster.
pub async fn show(State(ops): State<Ops>, headers: HeaderMap) -> Response {
    if let Err(refused) = ops.authorise(&headers) {
        return refused;
    }
    match ops.0.bus.router() {
        Some(router) => Json(router.view().status()).into_response(),
        None => {
            (StatusCode::NOT_FOUND, "this host is all there is: its configuration has no [cluster]\n").into_response()
        }
    }
}
