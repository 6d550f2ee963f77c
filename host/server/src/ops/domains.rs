//! `/v1/domains`: how users are matched; operators change it while the host runs, and whoever waits keeps waiting.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scenehost_core::DomainName;
use scenehost_core::config::Domain;
use serde::Serialize;

use super::{Ops, problem};
use crate::domains::{Error, Used};
use crate::strict::Strict;

#[derive(Serialize)]
struct Shown {
    domain: DomainName,
    settings: Domain,
    /// Whether operators have set it here; else it is of the configuration file.
    of_operators: bool,
    /// The rule's own name and version.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Rule>,
}

#[derive(Serialize)]
struct Rule {
    name: String,
    version: String,
}

impl From<(DomainName, Used)> for Shown {
    fn from((domain, used): (DomainName, Used)) -> Self {
        let rule = used.rule.map(|rule| {
            let description = rule.description();
            Rule { name: description.name.clone(), version: description.version.clone() }
        });
        Self { domain, settings: used.domain, of_operators: used.of_operators, rule }
    }
}

/// All domains.
pub async fn list(State(ops): State<Ops>, headers: HeaderMap) -> Response {
    if let Err(refused) = ops.authorise(&headers) {
        return refused;
    }
    Json(ops.0.domains.all().into_iter().map(Shown::from).collect::<Vec<_>>()).into_response()
}

/// One domain.
pub async fn show(State(ops): State<Ops>, headers: HeaderMap, Path(name): Path<String>) -> Response {
    if let Err(refused) = ops.authorise(&headers) {
        return refused;
    }
    match ops.0.domains.all().remove_entry(&DomainName::from(name.as_str())) {
        Some(domain) => Json(Shown::from(domain)).into_response(),
        None => problem(StatusCode::NOT_FOUND, &format!("there is no domain named {name:?}")),
    }
}

/// Makes a domain, or changes it: whoever waits in it keeps waiting under the new settings, or is told why not.
pub async fn put(
    State(ops): State<Ops>,
    headers: HeaderMap,
    Path(name): Path<String>,
    body: Result<Json<Strict<Domain>>, JsonRejection>,
) -> Response {
    let by = match ops.authorise(&headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let domain = match body {
        Ok(Json(Strict(domain))) => domain,
        Err(rejection) => return problem(rejection.status(), &rejection.body_text()),
    };
    let result = ops.0.domains.put(DomainName::from(name.as_str()), domain).await;
    tracing::info!(target: "audit", by = &*by, domain = name, refused = ?result.as_ref().err(), "an operator sets a domain");
    answer(result)
}

/// Takes back what operators have set: the domain is as in the configuration file, or is no more.
pub async fn remove(State(ops): State<Ops>, headers: HeaderMap, Path(name): Path<String>) -> Response {
    let by = match ops.authorise(&headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let result = ops.0.domains.remove(&DomainName::from(name.as_str())).await;
    tracing::info!(target: "audit", by = &*by, domain = name, refused = ?result.as_ref().err(), "an operator removes a domain");
    answer(result)
}

fn answer(result: Result<(), Error>) -> Response {
    let error = match result {
        Ok(()) => return StatusCode::NO_CONTENT.into_response(),
        Err(error) => error,
    };
    let status = match error {
        Error::Wrong(_) | Error::Rule(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Error::Unknown(_) => StatusCode::NOT_FOUND,
        Error::Store(_) | Error::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    problem(status, &error.to_string())
}
