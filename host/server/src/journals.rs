//! The journals of this host's scenes: a file for each, in `journals` of the data folder.
//!
//! A file is `SCENE-EPOCH.live` while its scene runs, and `SCENE-EPOCH.journal` when it is over and the file is kept.
//! Beside them, in `components`, is each component that a journal needs, by its digest.
//!
//! Invariants: what a step has been given is written before anything of the step goes out, so a host that is killed
//! loses nothing that anybody has seen. It is written and not synced: a loss of power can take the last seconds. A journal
//! that cannot be written ends there, and its scene goes on. Files that are over are bounded by age and by size.

mod command;
mod copies;
mod folder;
mod writer;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use scenehost_core::{Epoch, Incarnation, SceneId};
use scenehost_engine::journal::{Entry, Reader};
use scenehost_engine::{Digest, Engine, Plugin};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::store::Store;
pub use command::{Replay, run};
pub use copies::Copies;
use copies::LetGo;
pub use folder::{Filed, Folder};
pub use writer::Writer;

/// How often the folder is tidied up.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// Scenes that are not asked for so long after their journal was found here, or fetched, do not go on any more.
const AWAITED_MAX: Duration = Duration::from_secs(600);

/// How much is kept of journals that are over.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// For how many days.
    pub days_max: u32,
    /// How much of them, in MiB; the oldest go first.
    pub mib_max: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { days_max: 7, mib_max: 4_096 }
    }
}

impl Bounds {
    /// What is wrong with them, if anything.
    pub fn check(&self) -> Result<(), String> {
        if self.days_max == 0 || self.mib_max == 0 {
            return Err("days_max and mib_max need at least 1".to_owned());
        }
        Ok(())
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Journals(Arc<Parts>);

struct Parts {
    folder: Folder,
    /// The components of the games that may go on, until all of them do.
    plugins: RwLock<HashMap<Digest, Plugin>>,
    /// One more was learned since it was looked whether they are still needed.
    has_learned: AtomicBool,
    /// Scenes of the run before, and of other nodes, that may go on here, and which incarnation of each has the journal.
    awaited: Mutex<BTreeMap<SceneId, Epoch>>,
    /// In a cluster: the way to what copies journals.
    let_go: OnceLock<mpsc::Sender<LetGo>>,
}

impl Journals {
    /// Opens the folder, and makes ready the components of the scenes that the run before has left.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(data_dir: &Path, engine: &Engine) -> io::Result<Self> {
        let folder = Folder::of(data_dir);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.components())?;
        let mut awaited = BTreeMap::new();
        for filed in folder.list()?.into_iter().filter(|filed| filed.is_live) {
            awaited.insert(filed.incarnation.scene, filed.incarnation.epoch);
        }
        let journals = Self(Arc::new(Parts {
            folder,
            plugins: RwLock::default(),
            has_learned: AtomicBool::new(false),
            awaited: Mutex::new(awaited.clone()),
            let_go: OnceLock::new(),
        }));
        for (scene, epoch) in awaited {
            journals.make_ready(Incarnation { scene, epoch }, engine);
        }
        Ok(journals)
    }

    /// The components of one journal are compiled before its scene is asked for: then it is to go on at once.
    fn make_ready(&self, of: Incarnation, engine: &Engine) {
        let path = self.0.folder.live(of);
        let digests = fs::read(&path).map_err(|error| error.to_string()).and_then(|bytes| digests(&bytes));
        let digests = match digests {
            Ok(digests) => digests,
            Err(error) => return tracing::error!(scene = %of.scene, %error, "a scene's journal cannot be read"),
        };
        for digest in digests {
            if self.plugin(&digest).is_some() {
                continue;
            }
            match self.0.folder.component(&digest).map(|bytes| engine.compile(&bytes)) {
                Ok(Ok(plugin)) => self.know(&plugin),
                Ok(Err(error)) => tracing::error!(%digest, %error, "a journal's component is refused"),
                Err(error) => tracing::error!(%digest, %error, "a journal's component is not here"),
            }
        }
    }

    /// A component whose games have journals: it is kept, so that they can be replayed when nobody uses it any more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, plugin: &Plugin, bytes: &[u8]) -> io::Result<()> {
        let path = self.0.folder.component_path(&plugin.digest());
        if !path.exists() {
            let partial = path.with_extension("partial");
            let mut file = private(&partial)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(partial, path)?;
        }
        Ok(())
    }

    fn know(&self, plugin: &Plugin) {
        let mut plugins = self.0.plugins.write().unwrap_or_else(PoisonError::into_inner);
        plugins.insert(plugin.digest(), plugin.clone());
        self.0.has_learned.store(true, Ordering::Relaxed);
    }

    /// The component of a digest, if it is that of a scene that may go on.
    pub fn plugin(&self, digest: &Digest) -> Option<Plugin> {
        self.0.plugins.read().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// From now on journals are copied into the store, by what is to be run.
    pub fn copies(&self, store: Store) -> Copies {
        let (copies, let_go) = Copies::new(self.0.folder.clone(), store);
        let _ = self.0.let_go.set(let_go); // Only the host does this, once.
        copies
    }

    /// Whether scenes can be let go, to go on on another node.
    pub fn has_copies(&self) -> bool {
        self.0.let_go.get().is_some()
    }

    /// A scene has been let go: waits until its journal is in the store, whole, and not here any more. Whether it is.
    pub async fn let_go(&self, life: Incarnation) -> bool {
        let (done, answer) = oneshot::channel();
        let Some(copies) = self.0.let_go.get() else { return false };
        copies.send(LetGo { life, done }).await.is_ok() && answer.await.unwrap_or(false)
    }

    /// A scene is to go on here that may have run on another node: its journal is fetched from the store, unless there
    /// is a later one here.
    pub async fn fetch(&self, store: &Store, engine: &Engine, next: Incarnation) {
        let (older, bytes) = match copies::get(store, next).await {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(scene = %next, %error, "its journal cannot be fetched");
                return;
            }
        };
        if self.awaited().get(&next.scene).is_some_and(|here| *here >= older.epoch) {
            return;
        }
        let (own, engine) = (self.clone(), engine.clone());
        let made_ready = tokio::task::spawn_blocking(move || {
            fs::write(own.0.folder.live(older), &bytes)?;
            // Before its components are learned, so that they are not forgotten.
            own.awaited().insert(older.scene, older.epoch);
            own.make_ready(older, &engine);
            io::Result::Ok(())
        });
        match made_ready.await {
            Ok(Ok(())) => tracing::info!(scene = %next, "its journal was fetched"),
            Ok(Err(error)) => return tracing::error!(scene = %next, %error, "its journal cannot be written here"),
            Err(_) => return,
        }
        if let Err(error) = copies::forget(store, next).await {
            tracing::warn!(scene = %next, %error, "copies of its journals stay in the store");
        }
    }

    /// Whether a scene of the run before may go on, and has not yet.
    pub fn awaits(&self, scene: SceneId) -> bool {
        self.awaited().contains_key(&scene)
    }

    /// The journal from which an incarnation is to go on, and whose it was; once.
    pub fn take(&self, next: Incarnation) -> Option<(Incarnation, io::Result<Vec<u8>>)> {
        let epoch = self.awaited().remove(&next.scene)?;
        let older = Incarnation { scene: next.scene, epoch };
        (older.epoch < next.epoch).then(|| (older, fs::read(self.0.folder.live(older))))
    }

    fn awaited(&self) -> std::sync::MutexGuard<'_, BTreeMap<SceneId, Epoch>> {
        self.0.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files.
    pub fn folder(&self) -> &Folder {
        &self.0.folder
    }

    /// Tidies up for as long as the host runs.
    pub async fn tidy(self, bounds: Bounds, clock: Clock) {
        let mut since = BTreeMap::new();
        loop {
            let own = self.clone();
            let late = self.awaited_too_long(&mut since, clock.elapsed());
            let done = tokio::task::spawn_blocking(move || {
                own.give_up(late);
                own.0.folder.tidy(bounds)
            });
            match done.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "old journals cannot be removed"),
                Err(_) => return,
            }
            tokio::time::sleep(TIDY_EVERY).await;
        }
    }

    /// The scenes that nobody has asked for in all the time; `since` has when each was first seen. When there are none
    /// that wait, the components are forgotten.
    fn awaited_too_long(&self, since: &mut BTreeMap<Incarnation, Duration>, now: Duration) -> Vec<Incarnation> {
        let awaited = self.awaited();
        // If the last one was learned before the last look, its scene goes on already.
        if awaited.is_empty() && !self.0.has_learned.swap(false, Ordering::Relaxed) {
            self.0.plugins.write().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let before = std::mem::take(since);
        let first_seen = |of: Incarnation| (of, before.get(&of).copied().unwrap_or(now));
        *since =
            awaited.iter().map(|(scene, epoch)| first_seen(Incarnation { scene: *scene, epoch: *epoch })).collect();
        let is_late = |at: Duration| now.saturating_sub(at) >= AWAITED_MAX;
        since.iter().filter(|(_, at)| is_late(**at)).map(|(of, _)| *of).collect()
    }

    /// These scenes do not go on. What there is of them is kept for a while.
    fn give_up(&self, late: Vec<Incarnation>) {
        for of in late {
            let is_there = self.awaited().get(&of.scene) == Some(&of.epoch);
            if is_there {
                self.awaited().remove(&of.scene);
                self.0.folder.close(of);
            }
        }
    }
}

/// Every component that a journal names.
fn digests(journal: &[u8]) -> Result<Vec<Digest>, String> {
    let (header, reader) = Reader::new(journal).map_err(|error| error.to_string())?;
    let mut digests = vec![header.digest];
    // What is damaged behind is found when it is replayed.
    for entry in reader.map_while(Result::ok) {
        if let Entry::Swapped { digest, .. } = entry
            && !digests.contains(&digest)
        {
            digests.push(digest);
        }
    }
    Ok(digests)
}

/// A new file that nobody else may read.
fn private(path: &PathBuf) -> io::Result<File> {
    fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use scenehost_engine::Options;

    use super::*;

    fn life(scene: u64) -> Incarnation {
        Incarnation { scene: SceneId(scene), epoch: Epoch(1) }
    }

    #[test]
    fn each_scene_that_waits_to_go_on_has_the_whole_time_from_when_its_journal_came() {
        let data = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::of(data.path());
        fs::create_dir_all(data.path().join("journals")).expect("it is writable");
        fs::write(folder.live(life(1)), "of the run before").expect("it is writable");
        let engine = Engine::new(Options::default()).expect("this machine can run components");
        let journals = Journals::open(data.path(), &engine).expect("it can be read");
        let mut since = BTreeMap::new();
        assert_eq!(journals.awaited_too_long(&mut since, Duration::ZERO), []);
        // One that another node had is fetched just before the time of the first one is over.
        let just_before = AWAITED_MAX - Duration::from_secs(1);
        fs::write(folder.live(life(2)), "of another node").expect("it is writable");
        journals.awaited().insert(life(2).scene, life(2).epoch);
        assert_eq!(journals.awaited_too_long(&mut since, just_before), []);
        let late = journals.awaited_too_long(&mut since, AWAITED_MAX);
        assert_eq!(late, [life(1)]);
        journals.give_up(late);
        assert!(!journals.awaits(life(1).scene) && journals.awaits(life(2).scene));
        assert!(!folder.live(life(1)).exists() && folder.live(life(2)).exists());
        assert_eq!(journals.awaited_too_long(&mut since, just_before + AWAITED_MAX), [life(2)]);
    }
}
