//! The economy's catalogue, read from the operator's file, and read again when that changes.
//!
//! Invariant: only a catalogue that was checked is sold from; one that is not right changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use scenehost_core::db;
use scenehost_core::economy::catalogue::{Catalogue, Wrong};
use tokio::signal::unix::Signal;
use tokio::sync::watch;

use crate::bus::Bus;
use crate::strict::Strict;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// The largest file; with everything at its limits it is smaller.
const BYTES_MAX: u64 = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the catalogue {path} cannot be read: {cause}")]
    Read { path: PathBuf, cause: std::io::Error },
    #[error("the catalogue {path} is larger than {BYTES_MAX} bytes")]
    TooLarge { path: PathBuf },
    #[error("the catalogue {path} is not right:\n{cause}")]
    Parse { path: PathBuf, cause: toml::de::Error },
    #[error("the catalogue {path} is not right: {cause}")]
    Wrong { path: PathBuf, cause: Wrong },
}

/// Reads a catalogue and checks it.
pub fn load(path: &Path) -> Result<Arc<Catalogue>, Error> {
    let read_error = |cause| Error::Read { path: path.to_owned(), cause };
    if std::fs::metadata(path).map_err(read_error)?.len() > BYTES_MAX {
        return Err(Error::TooLarge { path: path.to_owned() });
    }
    let text = std::fs::read_to_string(path).map_err(read_error)?;
    let parse_error = |cause| Error::Parse { path: path.to_owned(), cause };
    let Strict(catalogue) = toml::from_str::<Strict<Catalogue>>(&text).map_err(parse_error)?;
    catalogue.check().map_err(|cause| Error::Wrong { path: path.to_owned(), cause })?;
    Ok(Arc::new(catalogue))
}

type Stamp = Option<(SystemTime, u64)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Reads the file again at each of `hang_ups` and when it has changed, for as long as the host runs. A Db that begins
/// anew takes what `current` has.
pub async fn keep_current(path: PathBuf, current: watch::Sender<Arc<Catalogue>>, bus: Bus, mut hang_ups: Signal) {
    // Never equal to a file's: what has changed since the start is read at the first look.
    let mut used: Option<Stamp> = None;
    let mut seen: Option<Stamp> = None;
    loop {
        let told = tokio::select! {
            _ = hang_ups.recv() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        let file = path.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || stamp(&file)).await else { continue };
        // It is read when it has come to rest.
        let changed = used != Some(now) && seen == Some(now);
        seen = Some(now);
        if told || changed {
            used = Some(now);
            read_again(path.clone(), &current, &bus).await;
        }
    }
}

async fn read_again(path: PathBuf, current: &watch::Sender<Arc<Catalogue>>, bus: &Bus) {
    let file = path.clone();
    match tokio::task::spawn_blocking(move || load(&file)).await {
        Ok(Ok(catalogue)) if **current.borrow() == *catalogue => {}
        Ok(Ok(catalogue)) => {
            current.send_replace(Arc::clone(&catalogue));
            bus.deliver(db::Event::Catalogue(catalogue).into());
            tracing::info!(catalogue = %path.display(), "the catalogue was read again");
        }
        Ok(Err(error)) => tracing::error!(%error, "the new catalogue is not right: the one before it stays"),
        Err(error) => tracing::error!(%error, "reading the catalogue has failed"),
    }
}
