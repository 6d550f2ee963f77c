//! The folder with the journals: names, lists, and what is removed.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use scenehost_core::{Epoch, Incarnation, SceneId};
use scenehost_engine::Digest;

use super::{Bounds, digests};

const LIVE: &str = "live";
const OVER: &str = "journal";
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Where journals are.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// One of its files.
#[derive(Debug, Clone)]
pub struct Filed {
    pub incarnation: Incarnation,
    pub path: PathBuf,
    /// Its scene runs, or its host has died.
    pub is_live: bool,
    pub bytes: u64,
    pub changed: SystemTime,
}

impl Folder {
    /// That of a host's data folder.
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("journals"))
    }

    /// The journal of a scene that runs.
    pub fn live(&self, of: Incarnation) -> PathBuf {
        self.path(of, LIVE)
    }

    /// The journal of a scene that is over.
    pub fn over(&self, of: Incarnation) -> PathBuf {
        self.path(of, OVER)
    }

    fn path(&self, of: Incarnation, extension: &str) -> PathBuf {
        self.0.join(format!("{of}.{extension}"))
    }

    pub(super) fn components(&self) -> PathBuf {
        self.0.join("components")
    }

    pub(super) fn component_path(&self, digest: &Digest) -> PathBuf {
        self.components().join(format!("{digest}.wasm"))
    }

    /// The bytes of a component that a journal needs.
    ///
    /// # Errors
    /// When it is not there, or is not what its name says.
    pub fn component(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        let bytes = fs::read(self.component_path(digest))?;
        if Digest::of(&bytes) != *digest {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file has been changed: its digest is another"));
        }
        Ok(bytes)
    }

    /// All journals, the newest last.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<Filed>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            files.extend(filed(&entry?));
        }
        files.sort_by_key(|filed| (filed.changed, filed.incarnation));
        Ok(files)
    }

    /// The newest journal of a scene, or that of one incarnation.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn find(&self, scene: SceneId, epoch: Option<Epoch>) -> io::Result<Option<Filed>> {
        let is_it =
            |it: &Filed| it.incarnation.scene == scene && epoch.is_none_or(|epoch| it.incarnation.epoch == epoch);
        Ok(self.list()?.into_iter().filter(is_it).max_by_key(|it| it.incarnation.epoch))
    }

    /// A scene is over whose journal is kept.
    pub fn close(&self, of: Incarnation) {
        if let Err(error) = fs::rename(self.live(of), self.over(of)) {
            tracing::warn!(scene = %of.scene, %error, "a journal cannot be put away");
        }
    }

    /// Removes what is too old or too much, and components that no journal needs.
    pub(super) fn tidy(&self, bounds: Bounds) -> io::Result<()> {
        let mut over: Vec<Filed> = self.list()?.into_iter().filter(|filed| !filed.is_live).collect();
        let age_max = DAY * bounds.days_max;
        let mut bytes: u64 = over.iter().map(|filed| filed.bytes).sum();
        let bytes_max = bounds.mib_max.saturating_mul(1 << 20);
        let is_old = |filed: &Filed| filed.changed.elapsed().is_ok_and(|age| age > age_max);
        let mut removed = 0;
        over.retain(|filed| {
            let goes = is_old(filed) || bytes > bytes_max;
            if goes && fs::remove_file(&filed.path).is_ok() {
                bytes -= filed.bytes;
                removed += 1;
            }
            !goes
        });
        if removed > 0 {
            tracing::info!(removed, "old journals were removed");
            self.tidy_components()?;
        }
        Ok(())
    }

    fn tidy_components(&self) -> io::Result<()> {
        let mut needed = HashSet::new();
        for filed in self.list()? {
            // Of one that cannot be read nobody knows what it needs.
            let Ok(digests) = fs::read(&filed.path).map_err(|error| error.to_string()).and_then(|it| digests(&it))
            else {
                return Ok(());
            };
            needed.extend(digests.into_iter().map(|digest| self.component_path(&digest)));
        }
        for entry in fs::read_dir(self.components())? {
            let entry = entry?;
            let is_new = entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age < DAY);
            if !needed.contains(&entry.path()) && !is_new {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// What a file is, if its name is that of a journal.
fn filed(entry: &DirEntry) -> Option<Filed> {
    let path = entry.path();
    let is_live = match path.extension()?.to_str()? {
        LIVE => true,
        OVER => false,
        _ => return None,
    };
    let incarnation = path.file_stem()?.to_str()?.parse().ok()?;
    let metadata = entry.metadata().ok()?;
    Some(Filed { incarnation, is_live, bytes: metadata.len(), changed: metadata.modified().ok()?, path })
}
