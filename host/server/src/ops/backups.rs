//! Backups of the store that a running host makes when its operators ask for one.
//!
//! Invariant: one at a time, none of another store than the one that is meant, and none that is begun when
//! the host stops.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{Ops, problem};
use crate::store::backup::{self, Backup};
use crate::store::{Store, command};

/// What backups are made of, and where. Cheap to clone.
#[derive(Clone)]
pub struct Backups {
    store: Store,
    /// Where the store is, without links; nothing if it is in a database.
    path: PathBuf,
    folder: PathBuf,
    one: Arc<Mutex<()>>,
}

impl Backups {
    pub fn new(store: Store, path: PathBuf, folder: PathBuf) -> Self {
        Self { store, path, folder, one: Arc::default() }
    }

    pub fn store_up(&self) -> bool {
        *self.store.up().borrow()
    }

    /// Waits for the one that is being made, if any, at most so long; whether there is none now.
    pub async fn ended(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.one.lock()).await.is_ok()
    }
}

/// What an operator asks for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakeBackup {
    /// So many are kept, the newest.
    #[serde(default = "kept")]
    pub keep: usize,
    /// The store that is meant, without links; a host that has another one refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<PathBuf>,
}

fn kept() -> usize {
    command::KEEP
}

/// What was made, and where it lies.
#[derive(Serialize, Deserialize)]
pub struct Made {
    #[serde(flatten)]
    pub backup: Backup,
    pub folder: PathBuf,
}

/// Makes a backup of the store while everything goes on.
pub async fn make(
    State(ops): State<Ops>,
    headers: HeaderMap,
    body: Result<Json<MakeBackup>, JsonRejection>,
) -> Response {
    let by = match ops.authorise(&headers) {
        Ok(by) => by,
        Err(refused) => return refused,
    };
    let Json(MakeBackup { keep, store: meant }) = match body {
        Ok(body) => body,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    if !ops.0.backups.store_up() {
        let text = "the store cannot be written now: make the backup when it can";
        return problem(StatusCode::SERVICE_UNAVAILABLE, text);
    }
    let Backups { store, path, folder, one } = ops.0.backups.clone();
    if meant.is_some_and(|meant| meant != path) {
        let text = format!("this host's store is {}: ask the host that has yours", path.display());
        return problem(StatusCode::CONFLICT, &text);
    }
    let Ok(one) = one.try_lock_owned() else {
        return problem(StatusCode::CONFLICT, "a backup is being made already");
    };
    // Asked with the lock held: a host that stops has said so before it waits for the lock.
    if *ops.0.stopping.borrow() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the host is stopping: make the backup when it has");
    }
    // It goes on when the asker hangs up; until it has ended, others are told so.
    let made = tokio::task::spawn_blocking(move || {
        let made = store.backup(&folder, keep);
        drop(one);
        made.map(|backup| Made { backup, folder })
    });
    match made.await {
        Ok(Ok(made)) => {
            tracing::info!(target: "audit", by = &*by, backup = %made.backup, "a backup was made");
            Json(made).into_response()
        }
        Ok(Err(error @ backup::Error::Elsewhere)) => problem(StatusCode::CONFLICT, &error.to_string()),
        Ok(Err(error)) => {
            tracing::error!(%error, "a backup could not be made");
            problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
        }
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
