//! `GET /v1/logs`: what scenes have written and how they have failed, as lines of JSON; with `follow=true` also what
//! comes.
//!
//! Invariant: an answer that stays open is one of a bounded number, and holds no more than the lines that go out next.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use scenehost_engine::Level;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;

use super::{Ops, problem};
use crate::game_logs::{Filter, GameLogs, Part, Shown};

/// When nothing comes for so long, an empty line does, so that both sides know of a lost connection.
const KEPT_ALIVE: Duration = Duration::from_secs(15);

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    scene: Option<String>,
    fleet: Option<String>,
    version: Option<String>,
    level: Option<String>,
    #[serde(default)]
    after: u64,
    #[serde(default)]
    follow: bool,
}

impl Wanted {
    fn filter(self) -> Result<Filter, &'static str> {
        let scene = self.scene.map(|scene| scene.parse()).transpose();
        let scene = scene.map_err(|_| "scene is the id of a scene, 16 hexadecimal digits")?;
        let level = match self.level.as_deref() {
            None => None,
            Some("debug") => Some(Level::Debug),
            Some("info") => Some(Level::Info),
            Some("warn") => Some(Level::Warn),
            Some("error") => Some(Level::Error),
            Some(_) => return Err("level is one of debug, info, warn and error"),
        };
        let digest = self.version.map(|digest| digest.to_ascii_lowercase());
        let is_digit = |sign: u8| sign.is_ascii_hexdigit();
        if digest.as_ref().is_some_and(|digest| digest.len() > 64 || !digest.bytes().all(is_digit)) {
            return Err("version is the digest of a component, or how it begins, in hexadecimal digits");
        }
        Ok(Filter { scene, fleet: self.fleet, digest, level })
    }
}

/// Lines that the reader has not seen and that are gone.
#[derive(Serialize)]
struct Lost {
    lost: u64,
}

pub async fn show(
    State(ops): State<Ops>,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    if let Err(refused) = ops.authorise(&headers) {
        return refused;
    }
    let wanted = match wanted {
        Ok(Query(wanted)) => wanted,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    let (after, follow) = (wanted.after, wanted.follow);
    let filter = match wanted.filter() {
        Ok(filter) => filter,
        Err(text) => return problem(StatusCode::BAD_REQUEST, text),
    };
    let logs = ops.0.logs.clone();
    let following = match follow.then(|| logs.follower()) {
        None => None,
        Some(Some(permit)) => Some((permit, logs.grown(), ops.0.stopping.clone())),
        Some(None) => {
            let text = "as many follow the logs as may: end another one, or ask without follow";
            return problem(StatusCode::TOO_MANY_REQUESTS, text);
        }
    };
    let reader = Reader { logs, filter, after, following, at_end: false };
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(reader.stream())).into_response()
}

/// One answer.
struct Reader {
    logs: GameLogs,
    filter: Filter,
    after: u64,
    following: Option<(OwnedSemaphorePermit, watch::Receiver<u64>, watch::Receiver<bool>)>,
    at_end: bool,
}

impl Reader {
    /// Its parts; the next is made when the one before has gone out.
    fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut reader| async { Some((Ok(reader.next().await?), reader)) })
    }

    /// The next part; `None`: that was all.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.at_end && !self.wait().await? {
                return Some(Bytes::from_static(b"\n"));
            }
            let part = self.logs.after(self.after, &self.filter);
            (self.after, self.at_end) = (part.after, part.at_end);
            let text = written(&part);
            if !text.is_empty() {
                return Some(text.into());
            }
        }
    }

    /// Waits for more lines; whether there are some, `None` when no more is to come.
    async fn wait(&mut self) -> Option<bool> {
        let after = self.after;
        let (_, grown, stopping) = self.following.as_mut()?;
        tokio::select! {
            waited = timeout(KEPT_ALIVE, grown.wait_for(|newest| *newest > after)) => match waited {
                Ok(more) => more.is_ok().then_some(true),
                Err(_) => Some(false),
            },
            _ = stopping.wait_for(|stopping| *stopping) => None,
        }
    }
}

fn written(part: &Part) -> String {
    let mut text = String::new();
    let mut put = |line: serde_json::Result<String>| {
        text += &line.expect("a line can be written as JSON");
        text.push('\n');
    };
    if part.lost > 0 {
        put(serde_json::to_string(&Lost { lost: part.lost }));
    }
    for line in &part.lines {
        put(serde_json::to_string(&Shown::from(&**line)));
    }
    text
}
