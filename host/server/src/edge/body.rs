//! The body of a call: JSON, of a bounded size, whole in a bounded time.
//!
//! Invariant: nothing is unpacked, so a body is never larger than what was sent.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::Response;
use scenehost_core::Refusal;
use serde::de::DeserializeOwned;

use super::account::refused;
use crate::wire;

/// The longest body; an ID token is the longest thing in one.
pub const BODY_BYTES_MAX: usize = 16 * 1_024;
/// How long a client may take with its body.
const BODY_MAX: Duration = Duration::from_secs(5);

pub struct Body(Result<Bytes, Refusal>);

impl Body {
    /// Reads a body whatever its type is said to be: it is JSON or refused.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T, Refusal> {
        let malformed = |error| Refusal::Malformed(format!("the body is not right: {error}"));
        serde_json::from_slice(&self.0?).map_err(malformed)
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let packed = |encoding: &header::HeaderValue| !encoding.as_bytes().eq_ignore_ascii_case(b"identity");
        if request.headers().get_all(header::CONTENT_ENCODING).iter().any(packed) {
            let refusal = Refusal::Malformed("send the body as it is, without Content-Encoding".to_owned());
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, &wire::refused(&refusal)));
        }
        let body = tokio::time::timeout(BODY_MAX, Bytes::from_request(request, state)).await;
        Ok(Self(match body {
            Ok(body) => body.map_err(|rejection| Refusal::Malformed(rejection.body_text())),
            Err(_) => Err(Refusal::Malformed(format!("the body was not whole after {} s", BODY_MAX.as_secs()))),
        }))
    }
}
