//! `/v1/plugins`: games and rules of matching that are uploaded while the host runs, their versions, and which are used.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::{Ops, problem, problem_of_kind};
use crate::registry::{Activation, Error, Shown, Signed, Upload};

/// How long a client may take with the bytes of a component.
const UPLOAD_MAX: Duration = Duration::from_secs(60);
/// How much of an upload that is too large is read all the same.
const PASSED_OVER_BYTES_MAX: usize = 256 << 20;
/// The most bytes of the body of another call.
const BODY_BYTES_MAX: usize = 1_024;
const PUBLISHER: &str = "x-scenehost-publisher";
const SIGNATURE: &str = "x-scenehost-signature";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uploaded {
    #[serde(default)]
    label: String,
    /// New scenes are made of it at once.
    #[serde(default)]
    activate: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Active {
    version: u32,
    #[serde(default = "all")]
    percent: u8,
    #[serde(default)]
    swap: bool,
}

fn all() -> u8 {
    100
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rollback {
    swap: bool,
}

#[derive(Serialize)]
struct All {
    plugins: Vec<Shown>,
}

/// All plugins.
pub async fn list(State(ops): State<Ops>, headers: HeaderMap) -> Response {
    match ops.authorise(&headers) {
        Ok(_) => Json(All { plugins: ops.0.plugins.all() }).into_response(),
        Err(refused) => refused,
    }
}

/// One plugin.
pub async fn show(State(ops): State<Ops>, headers: HeaderMap, Path(name): Path<String>) -> Response {
    match ops.authorise(&headers) {
        Ok(_) => answer(ops.0.plugins.one(&name).map(Json)),
        Err(refused) => refused,
    }
}

/// Makes a version of a component.
pub async fn upload(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path(name): Path<String>,
    query: Result<Query<Uploaded>, QueryRejection>,
    request: Request,
) -> Response {
    let by = match ops.authorise(&headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let Uploaded { label, activate } = match query {
        Ok(Query(query)) => query,
        Err(rejection) => return problem(rejection.status(), &rejection.body_text()),
    };
    let registry = ops.0.plugins.registry();
    let place = match registry.place() {
        Ok(place) => place,
        Err(error) => return failed(&error),
    };
    let bytes = match read(&headers, request.into_body(), registry.upload_bytes_max()).await {
        Ok(bytes) => bytes,
        Err(refused) => return refused,
    };
    let text = |header| headers.get(header).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let signed = Signed { publisher: text(PUBLISHER), signature: text(SIGNATURE) };
    let upload = Upload { plugin: name.clone(), label, bytes, by: by.to_string(), signed };
    // It goes on when the asker hangs up: what was begun is found out, and said in the log.
    let plugins = ops.0.plugins.clone();
    let looked_at = tokio::spawn(async move {
        let (version, is_new) = plugins.upload(place, upload).await?;
        if activate {
            plugins.activate(&name, Activation { version: version.version(), percent: 100, swap: false }).await?;
        }
        let (number, digest) = (version.version(), version.digest().to_string());
        Ok((name, number, digest, is_new, version, activate))
    });
    let result = looked_at.await.unwrap_or(Err(Error::Stopping));
    let outcome = result.as_ref().map_or_else(Error::kind, |_| "accepted");
    metrics::counter!("scenehost_plugin_uploads_total", "outcome" => outcome).increment(1);
    match result {
        Ok((plugin, version, digest, is_new, shown, activated)) => {
            tracing::info!(target: "audit", by = &*by, plugin, version, digest, is_new, activated, "an operator uploads a plugin");
            (if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(shown)).into_response()
        }
        Err(error) => {
            tracing::info!(target: "audit", by = &*by, refused = %error, "an operator uploads a plugin");
            failed(&error)
        }
    }
}

/// Reads a body of a bounded size in a bounded time.
#[expect(clippy::result_large_err, reason = "the error is the answer, made once an upload")]
async fn read(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Vec<u8>, Response> {
    let too_large = || {
        let text = format!(
            "the component has more than {bytes_max} bytes: build it in release mode, strip its debug information, and keep \
             assets out of it; or an operator raises [plugins] upload_bytes_max"
        );
        problem_of_kind(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &text)
    };
    let said = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let whole = async {
        let mut bytes = Vec::with_capacity(said.unwrap_or(0).min(bytes_max));
        let mut size = 0;
        let mut parts = body.into_data_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| problem(StatusCode::BAD_REQUEST, &error.to_string()))?;
            size += part.len();
            match size {
                _ if size <= bytes_max => bytes.extend_from_slice(&part),
                // Not kept any more, only read: a client that still sends when it is answered misses the answer.
                _ if size <= PASSED_OVER_BYTES_MAX => bytes = Vec::new(),
                _ => break,
            }
        }
        if size > bytes_max { Err(too_large()) } else { Ok(bytes) }
    };
    let text = format!("the component was not there whole after {} s", UPLOAD_MAX.as_secs());
    let late = |_| Err(problem_of_kind(StatusCode::REQUEST_TIMEOUT, "too_slow", &text));
    tokio::time::timeout(UPLOAD_MAX, whole).await.unwrap_or_else(late)
}

/// Makes new scenes of a version, all or some; and running ones, if that is wanted.
pub async fn activate(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let by = match ops.authorise(&headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let Active { version, percent, swap } = match body(request).await {
        Ok(Some(asked)) => asked,
        Ok(None) => {
            return problem_of_kind(StatusCode::BAD_REQUEST, "malformed", "say which version: {\"version\": 3}");
        }
        Err(refused) => return refused,
    };
    let result = ops.0.plugins.activate(&name, Activation { version, percent, swap }).await;
    let refused = result.as_ref().err().map(ToString::to_string);
    tracing::info!(
        target: "audit", by = &*by, plugin = name, version, percent, swap, refused, "an operator activates a version"
    );
    answer(result.map(Json))
}

/// Makes new scenes of the version that was active before.
pub async fn roll_back(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let by = match ops.authorise(&headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let Rollback { swap } = match body(request).await {
        Ok(asked) => asked.unwrap_or_default(),
        Err(refused) => return refused,
    };
    let result = ops.0.plugins.roll_back(&name, swap).await;
    let refused = result.as_ref().err().map(ToString::to_string);
    tracing::info!(target: "audit", by = &*by, plugin = name, swap, refused, "an operator rolls a plugin back");
    answer(result.map(Json))
}

/// Removes a version that nobody uses.
pub async fn remove(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path((name, version)): Path<(String, String)>,
) -> Response {
    let by = match ops.authorise(&headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let result = match number(&version) {
        Ok(version) => ops.0.plugins.remove(&name, version).await,
        Err(error) => Err(error),
    };
    let refused = result.as_ref().err().map(ToString::to_string);
    tracing::info!(target: "audit", by = &*by, plugin = name, version, refused, "an operator removes a version");
    answer(result.map(|()| StatusCode::NO_CONTENT))
}

/// The bytes of a version.
pub async fn component(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path((name, version)): Path<(String, String)>,
) -> Response {
    if let Err(refused) = ops.authorise(&headers) {
        return refused;
    }
    let registry = ops.0.plugins.registry().clone();
    let read = move || number(&version).and_then(|version| registry.component(&name, version));
    let read = tokio::task::spawn_blocking(read).await.unwrap_or(Err(Error::Stopping));
    answer(read.map(|bytes| ([(header::CONTENT_TYPE, "application/wasm")], bytes)))
}

fn number(text: &str) -> Result<u32, Error> {
    text.parse().map_err(|_| Error::Wrong(format!("{text:?} is no version: it has a number")))
}

/// The body of a call as JSON, whatever its type is said to be; `None`: it is empty.
async fn body<T: for<'a> Deserialize<'a>>(request: Request) -> Result<Option<T>, Response> {
    let malformed = |text: String| problem_of_kind(StatusCode::BAD_REQUEST, "malformed", &text);
    let bytes = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await;
    let bytes =
        bytes.map_err(|_| malformed(format!("the body has more than {BODY_BYTES_MAX} bytes, or was cut off")))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| malformed(format!("the body is not right: {error}")))
}

fn answer(result: Result<impl IntoResponse, Error>) -> Response {
    match result {
        Ok(answer) => answer.into_response(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> Response {
    let status = match error {
        Error::Rejected(scenehost_engine::Rejected::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        Error::Scratch(scenehost_engine::scratch::Fault::Busy(_)) => StatusCode::SERVICE_UNAVAILABLE,
        Error::Rejected(_)
        | Error::Scratch(_)
        | Error::Wrong(_)
        | Error::OtherKind { .. }
        | Error::Fleets(_)
        | Error::Domains(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Error::UnknownPlugin(_) | Error::UnknownVersion { .. } => StatusCode::NOT_FOUND,
        Error::NoneBefore(_) | Error::InUse { .. } | Error::Full { .. } => StatusCode::CONFLICT,
        Error::Busy => StatusCode::TOO_MANY_REQUESTS,
        Error::Unsigned | Error::UnknownPublisher(_) | Error::BadSignature(_) => StatusCode::FORBIDDEN,
        Error::Damaged { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        Error::Files { .. } | Error::Store(_) | Error::Threads(_) | Error::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    problem_of_kind(status, error.kind(), &error.to_string())
}
