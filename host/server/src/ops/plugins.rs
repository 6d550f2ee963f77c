//! `/v1/plugins`: games and rules of matching that are uploaded while the host runs, their versions, and which are used.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::{By, Ops, problem, problem_of_kind};
use crate::registry::{Activation, Error, Shown, ShownVersion, Signed, Upload};

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
pub struct Active {
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
pub struct Rollback {
    swap: bool,
}

#[derive(Serialize)]
struct All {
    plugins: Vec<Shown>,
}

/// All plugins.
pub async fn list(State(ops): State<Ops>, _by: By) -> Response {
    Json(All { plugins: ops.0.plugins.all() }).into_response()
}

/// One plugin.
pub async fn show(State(ops): State<Ops>, _by: By, Path(name): Path<String>) -> Response {
    answer(ops.0.plugins.one(&name).map(Json))
}

/// Makes a version of a component.
pub async fn upload(
    State(ops): State<Ops>,
    By(by): By,
    Path(name): Path<String>,
    query: Result<Query<Uploaded>, QueryRejection>,
    request: Request,
) -> Response {
    let uploaded = match query {
        Ok(Query(query)) => query,
        Err(rejection) => return problem(rejection.status(), &rejection.body_text()),
    };
    // It goes on when the asker hangs up: what was begun is found out, and said in the log.
    let audited = tokio::spawn(async move {
        let result = accept(&ops, &by, &name, &uploaded, request).await;
        audit(&by, &name, uploaded.activate, &result);
        result
    });
    match audited.await.unwrap_or(Err(Error::Stopping)) {
        Ok((shown, is_new)) => (if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(shown)).into_response(),
        Err(error) => failed(&error),
    }
}

/// What has come of an upload stands in the log, whatever it was.
fn audit(by: &str, plugin: &str, activated: bool, result: &Result<(ShownVersion, bool), Error>) {
    let outcome = result.as_ref().map_or_else(Error::kind, |_| "accepted");
    metrics::counter!("scenehost_plugin_uploads_total", "outcome" => outcome).increment(1);
    match result {
        Ok((shown, is_new)) => {
            let (version, digest) = (shown.version(), shown.digest().to_string());
            tracing::info!(target: "audit", by, plugin, version, digest, is_new, activated, "an operator uploads a plugin");
        }
        Err(error) => {
            tracing::info!(target: "audit", by, plugin, refused = %error, "an operator uploads a plugin");
        }
    }
}

/// Reads an upload and makes a version of it; and whether it is a new one.
async fn accept(
    ops: &Ops,
    by: &str,
    plugin: &str,
    Uploaded { label, activate }: &Uploaded,
    request: Request,
) -> Result<(ShownVersion, bool), Error> {
    let plugins = &ops.0.plugins;
    let place = plugins.registry().place()?;
    let (head, body) = request.into_parts();
    let bytes = read(&head.headers, body, plugins.registry().upload_bytes_max()).await?;
    let text = |header| head.headers.get(header).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let signed = Signed { publisher: text(PUBLISHER), signature: text(SIGNATURE) };
    let upload = Upload { plugin: plugin.to_owned(), label: label.clone(), bytes, by: by.to_owned(), signed };
    let (shown, is_new) = plugins.upload(place, upload).await?;
    if *activate {
        plugins.activate(plugin, Activation { version: shown.version(), percent: 100, swap: false }).await?;
    }
    Ok((shown, is_new))
}

/// Reads a body of a bounded size in a bounded time.
async fn read(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Vec<u8>, Error> {
    let said = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let whole = async {
        let mut bytes = Vec::with_capacity(said.unwrap_or(0).min(bytes_max));
        let mut size = 0;
        let mut parts = body.into_data_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| Error::CutOff(error.to_string()))?;
            size += part.len();
            match size {
                _ if size <= bytes_max => bytes.extend_from_slice(&part),
                // Not kept any more, only read: a client that still sends when it is answered misses the answer.
                _ if size <= PASSED_OVER_BYTES_MAX => bytes = Vec::new(),
                _ => break,
            }
        }
        if size > bytes_max { Err(Error::TooLarge { bytes_max }) } else { Ok(bytes) }
    };
    let late = |_| Err(Error::TooSlow { s: UPLOAD_MAX.as_secs() });
    tokio::time::timeout(UPLOAD_MAX, whole).await.unwrap_or_else(late)
}

/// Makes new scenes of a version, all or some; and running ones, if that is wanted.
pub async fn activate(
    State(ops): State<Ops>,
    By(by): By,
    Path(name): Path<String>,
    Asked(asked): Asked<Active>,
) -> Response {
    let Some(Active { version, percent, swap }) = asked else {
        return problem_of_kind(StatusCode::BAD_REQUEST, "malformed", "say which version: {\"version\": 3}");
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
    By(by): By,
    Path(name): Path<String>,
    Asked(asked): Asked<Rollback>,
) -> Response {
    let Rollback { swap } = asked.unwrap_or_default();
    let result = ops.0.plugins.roll_back(&name, swap).await;
    let refused = result.as_ref().err().map(ToString::to_string);
    tracing::info!(target: "audit", by = &*by, plugin = name, swap, refused, "an operator rolls a plugin back");
    answer(result.map(Json))
}

/// Takes a version out of quarantine.
pub async fn release(State(ops): State<Ops>, By(by): By, Path((name, version)): Path<(String, String)>) -> Response {
    let result = match number(&version) {
        Ok(version) => ops.0.plugins.release(&name, version).await,
        Err(error) => Err(error),
    };
    let refused = result.as_ref().err().map(ToString::to_string);
    tracing::info!(target: "audit", by = &*by, plugin = name, version, refused, "an operator releases a version");
    answer(result.map(Json))
}

/// Removes a version that nobody uses.
pub async fn remove(State(ops): State<Ops>, By(by): By, Path((name, version)): Path<(String, String)>) -> Response {
    let result = match number(&version) {
        Ok(version) => ops.0.plugins.remove(&name, version).await,
        Err(error) => Err(error),
    };
    let refused = result.as_ref().err().map(ToString::to_string);
    tracing::info!(target: "audit", by = &*by, plugin = name, version, refused, "an operator removes a version");
    answer(result.map(|()| StatusCode::NO_CONTENT))
}

/// The bytes of a version.
pub async fn component(State(ops): State<Ops>, _by: By, Path((name, version)): Path<(String, String)>) -> Response {
    let registry = ops.0.plugins.registry().clone();
    let read = move || number(&version).and_then(|version| registry.component(&name, version));
    let read = tokio::task::spawn_blocking(read).await.unwrap_or(Err(Error::Stopping));
    answer(read.map(|bytes| ([(header::CONTENT_TYPE, "application/wasm")], bytes)))
}

fn number(text: &str) -> Result<u32, Error> {
    text.parse().map_err(|_| Error::Wrong(format!("{text:?} is no version: it has a number")))
}

/// The body of a call as JSON, whatever its type is said to be; `None`: it is empty.
pub struct Asked<T>(Option<T>);

impl<S: Sync, T: for<'a> Deserialize<'a>> FromRequest<S> for Asked<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let malformed = |text: String| problem_of_kind(StatusCode::BAD_REQUEST, "malformed", &text);
        let bytes = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX).await;
        let bytes =
            bytes.map_err(|_| malformed(format!("the body has more than {BODY_BYTES_MAX} bytes, or was cut off")))?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        let asked = serde_json::from_slice(&bytes);
        asked.map(|asked| Self(Some(asked))).map_err(|error| malformed(format!("the body is not right: {error}")))
    }
}

pub fn answer(result: Result<impl IntoResponse, Error>) -> Response {
    match result {
        Ok(answer) => answer.into_response(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> Response {
    let status = match error {
        Error::Rejected(scenehost_engine::Rejected::TooLarge { .. }) | Error::TooLarge { .. } => {
            StatusCode::PAYLOAD_TOO_LARGE
        }
        Error::CutOff(_) => StatusCode::BAD_REQUEST,
        Error::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
        Error::Scratch(scenehost_engine::scratch::Fault::Busy(_)) => StatusCode::SERVICE_UNAVAILABLE,
        Error::Rejected(_)
        | Error::Scratch(_)
        | Error::Wrong(_)
        | Error::OtherKind { .. }
        | Error::Fleets(_)
        | Error::Domains(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Error::UnknownPlugin(_) | Error::UnknownVersion { .. } => StatusCode::NOT_FOUND,
        Error::NoneBefore(_)
        | Error::InUse { .. }
        | Error::Outdated { .. }
        | Error::Full { .. }
        | Error::Quarantined { .. }
        | Error::NotQuarantined { .. } => StatusCode::CONFLICT,
        Error::Busy => StatusCode::TOO_MANY_REQUESTS,
        Error::Unsigned | Error::UnknownPublisher(_) | Error::BadSignature(_) => StatusCode::FORBIDDEN,
        Error::Damaged { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        Error::Files { .. } | Error::Store(_) | Error::Threads(_) | Error::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    problem_of_kind(status, error.kind(), &error.to_string())
}
