//! The registry of plugins: uploaded components, their versions, and which of them new scenes are made of.
//!
//! Invariants: a component is compiled, checked and tried before it is a version, and its bytes are on the disk before
//! its record is, and its record before anybody uses it. Versions live side by side; what is chosen for new scenes is
//! one record, so a change of it is whole or not at all. A version whose scenes keep failing is taken out of it. A few uploads are looked at at once, one of them compiled, by
//! threads that leave the processor to the games; more are refused.
//!
//! Main type: [`Registry`], which keeps plugins. What is done with them while the host runs, fleets and domains
//! included, is [`Plugins`].

mod error;
mod files;
mod plugins;
mod quarantine;
mod record;
mod shared;
mod signature;
mod uploaded;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use scenehost_core::record::{PLUGIN_PREFIX, decode, encode, plugin_key};
use scenehost_core::{Time, Write};
use scenehost_engine::scratch;
use scenehost_engine::{CodeCache, Digest, Engine, Plugin, Rejected, rule};
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;
use crate::config;
use crate::fleets::is_plain;
use crate::store::{Expected, Outcome, Store};

pub use error::Error;
use files::Files;
pub use plugins::{Activation, Plugins, Shown, ShownVersion};
pub use record::{Chosen, Kind, PluginRecord, VersionRecord};
use signature::Publishers;
pub use signature::Signed;
pub use uploaded::Uploaded;
pub use usage::{ShownUse, VersionUse};

/// How many plugins there may be.
const PLUGINS_MAX: usize = 256;
/// How many uploads are looked at at once: one is compiled, the others are read or wait. Each is in memory.
const UPLOADS_MAX: usize = 4;
const LABEL_CHARS_MAX: usize = 128;
/// How much less the threads that compile uploads are worth than those that run games; see `nice(1)`.
const NICENESS: i32 = 10;
/// Those threads also try uploads, whose calls need a stack.
const STACK_BYTES_MIN: usize = 2 << 20;

/// Cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Parts>);

struct Parts {
    engine: Engine,
    rules: rule::Engine,
    code: CodeCache,
    files: Files,
    publishers: Publishers,
    settings: config::Plugins,
    store: Store,
    /// Other nodes use the store, too: it has the components besides their records.
    is_shared: bool,
    clock: Clock,
    uploads: Arc<Semaphore>,
    compiling: Semaphore,
    /// Where uploads are compiled and tried.
    compilers: rayon::ThreadPool,
    plugins: RwLock<BTreeMap<String, PluginRecord>>,
    /// Held by whoever changes something.
    turn: Mutex<()>,
}

/// A place among the uploads that are looked at.
pub struct Place(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// What is uploaded, by whom.
pub struct Upload {
    pub plugin: String,
    pub label: String,
    pub bytes: Vec<u8>,
    pub by: String,
    pub signed: Signed,
}

/// How an upload is tried: with what the fleets and domains say that name its plugin.
#[derive(Default)]
pub struct Trials {
    pub settings: Vec<scratch::Setting>,
    pub configurations: Vec<String>,
}

/// An upload that may be a version.
struct Tried {
    kind: Kind,
    digest: Digest,
    imports: Vec<String>,
    publisher: Option<String>,
    report: scratch::Report,
}

impl Registry {
    /// Reads the records, and removes components that belong to none. `folder` is where components are.
    ///
    /// # Errors
    /// When the store or the folder cannot be read. A record that cannot be is reported and left out, and then no
    /// component is removed.
    pub async fn open(
        (engine, rules, code): (Engine, rule::Engine, CodeCache),
        settings: config::Plugins,
        folder: PathBuf,
        (store, is_shared): (Store, bool),
        clock: Clock,
    ) -> Result<Self, Error> {
        let files = Files::open(folder)?;
        let mut plugins = BTreeMap::new();
        let mut is_whole = true;
        for (key, value) in store.scan(PLUGIN_PREFIX).await? {
            match decode::<PluginRecord>(&key, &value) {
                Ok(record) => _ = plugins.insert(key.trim_start_matches(PLUGIN_PREFIX).to_owned(), record),
                Err(error) => {
                    is_whole = false;
                    tracing::error!("{error}");
                }
            }
        }
        if is_whole {
            let orphans = files.remove_others(&digests(&plugins))?;
            if orphans > 0 {
                tracing::info!(orphans, "components of no version were removed");
            }
        }
        let compilers = compilers(engine.thread_stack_bytes_min().max(STACK_BYTES_MIN))?;
        let known = digests(&plugins);
        let registry = Self(Arc::new(Parts {
            compilers,
            engine,
            rules,
            code,
            files,
            publishers: Publishers::new(&settings)?,
            settings,
            store,
            is_shared,
            clock,
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            compiling: Semaphore::new(1),
            plugins: RwLock::new(plugins),
            turn: Mutex::const_new(()),
        }));
        if is_shared {
            registry.fetch(&known).await?;
            registry.share(&known).await?;
        }
        Ok(registry)
    }

    /// The time, as records have it.
    pub(crate) fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// What compiles games.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The size of an upload.
    pub fn upload_bytes_max(&self) -> usize {
        self.0.settings.upload_bytes_max
    }

    /// All plugins.
    pub fn all(&self) -> BTreeMap<String, PluginRecord> {
        self.0.plugins.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A plugin.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn plugin(&self, name: &str) -> Result<PluginRecord, Error> {
        let plugins = self.0.plugins.read().unwrap_or_else(PoisonError::into_inner);
        plugins.get(name).cloned().ok_or_else(|| Error::UnknownPlugin(name.to_owned()))
    }

    /// What is chosen of a plugin; nothing of one that is not here.
    pub fn chosen(&self, name: &str) -> Chosen {
        let plugins = self.0.plugins.read().unwrap_or_else(PoisonError::into_inner);
        plugins.get(name).map(PluginRecord::chosen).unwrap_or_default()
    }

    /// Which version of a plugin a component is.
    pub fn version_of(&self, name: &str, digest: Digest) -> Option<u32> {
        let plugins = self.0.plugins.read().unwrap_or_else(PoisonError::into_inner);
        plugins.get(name)?.of_digest(digest).map(|version| version.version)
    }

    /// The component of a version. Blocks.
    ///
    /// # Errors
    /// When there is no such version, or its file is damaged.
    pub fn component(&self, name: &str, version: u32) -> Result<Vec<u8>, Error> {
        let plugin = self.plugin(name)?;
        let version = plugin.version(version).ok_or_else(|| Error::unknown_version(name, version))?;
        self.0.files.read(version.digest)
    }

    /// The component of a digest, if it is that of a version and undamaged. Blocks.
    pub fn bytes(&self, digest: Digest) -> Option<Vec<u8>> {
        self.0.files.read(digest).ok()
    }

    /// A game, compiled. One that is in use is not read again. Blocks.
    ///
    /// # Errors
    /// When its file is damaged, or it is none.
    pub fn game(&self, digest: Digest) -> Result<Plugin, Error> {
        match self.0.engine.in_use(digest) {
            Some(plugin) => Ok(plugin),
            None => self.compile_game(&self.0.files.read(digest)?).map_err(Error::from),
        }
    }

    /// A rule of matching, compiled; as [`Registry::game`].
    ///
    /// # Errors
    /// The same.
    pub fn rule(&self, digest: Digest) -> Result<rule::Component, Error> {
        match self.0.rules.in_use(digest) {
            Some(component) => Ok(component),
            None => self.compile_rule(&self.0.files.read(digest)?).map_err(Error::from),
        }
    }

    /// Compiles a game and counts it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile_game(&self, bytes: &[u8]) -> Result<Plugin, Rejected> {
        let compiled = self.0.engine.compile(bytes);
        self.count_code();
        compiled
    }

    /// Compiles a rule of matching and counts it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile_rule(&self, bytes: &[u8]) -> Result<rule::Component, Rejected> {
        let compiled = self.0.rules.compile(bytes);
        self.count_code();
        compiled
    }

    fn count_code(&self) {
        let counts = self.0.code.counts();
        for (outcome, count) in [("loaded", counts.loaded), ("compiled", counts.compiled), ("spoiled", counts.spoiled)]
        {
            metrics::counter!("scenehost_component_code_total", "outcome" => outcome).absolute(count);
        }
    }

    /// A place for one more upload, before its bytes are read.
    ///
    /// # Errors
    /// When there is none.
    pub fn place(&self) -> Result<Place, Error> {
        let place = Arc::clone(&self.0.uploads).try_acquire_owned();
        place.map(Place).map_err(|_| Error::Busy)
    }

    /// Looks at an upload and makes a version of it; and whether it is a new one: the same bytes are one version.
    ///
    /// # Errors
    /// What is wrong with it, or why there is no room for it.
    pub async fn upload(&self, _place: Place, upload: Upload, trials: Trials) -> Result<(VersionRecord, bool), Error> {
        if !is_plain(&upload.plugin) {
            return Err(Error::Wrong("a plugin's name has 1 to 64 letters, digits, - and _".to_owned()));
        }
        if upload.label.chars().count() > LABEL_CHARS_MAX || upload.label.chars().any(char::is_control) {
            return Err(Error::Wrong(format!("a label has at most {LABEL_CHARS_MAX} characters, on one line")));
        }
        let upload = Arc::new(upload);
        let tried = {
            let _compiling = self.0.compiling.acquire().await.map_err(|_| Error::Stopping)?;
            let (own, of) = (self.clone(), Arc::clone(&upload));
            let work = move || own.0.compilers.install(|| own.try_upload(&of, &trials));
            tokio::task::spawn_blocking(work).await.map_err(|_| Error::Stopping)??
        };
        let _turn = self.turn().await;
        let known = self.plugin(&upload.plugin).ok();
        if let Some(there) = known.as_ref().and_then(|plugin| plugin.of_digest(tried.digest)) {
            self.keep_file(tried.digest, &upload).await?; // It may be damaged.
            return Ok((there.clone(), false));
        }
        let plugin = known.unwrap_or_else(|| PluginRecord::new(tried.kind));
        self.check_room(&upload, &plugin)?;
        self.keep_file(tried.digest, &upload).await?;
        let version = VersionRecord {
            version: plugin.next,
            digest: tried.digest,
            label: upload.label.clone(),
            size_bytes: upload.bytes.len() as u64,
            imports: tried.imports,
            uploaded: self.0.clock.now(),
            by: upload.by.clone(),
            publisher: tried.publisher,
            scratch: tried.report.into(),
            quarantine: None,
        };
        self.keep(&upload.plugin, plugin.with(version.clone())).await?;
        Ok((version, true))
    }

    /// Everything that can be found out before it is kept. Blocks for up to seconds.
    fn try_upload(&self, upload: &Upload, trials: &Trials) -> Result<Tried, Error> {
        let digest = Digest::of(&upload.bytes);
        let publisher = self.0.publishers.check(digest, &upload.signed)?;
        let known = self.plugin(&upload.plugin).ok().map(|plugin| plugin.kind);
        let clock = || self.0.clock.elapsed();
        let (kind, imports, report) = match self.compile_game(&upload.bytes) {
            Ok(game) => {
                check_kind(&upload.plugin, known, Kind::Scene)?;
                let report = scratch::try_plugin(&game, &trials.settings, clock)?;
                (Kind::Scene, game.imports().to_vec(), report)
            }
            Err(Rejected::IsRule) => {
                let component = self.compile_rule(&upload.bytes)?;
                check_kind(&upload.plugin, known, Kind::MatchRule)?;
                let report = scratch::try_rule(&component, &trials.configurations, clock)?;
                (Kind::MatchRule, component.imports().to_vec(), report)
            }
            Err(rejected) => return Err(rejected.into()),
        };
        Ok(Tried { kind, digest, imports, publisher, report })
    }

    fn check_room(&self, upload: &Upload, plugin: &PluginRecord) -> Result<(), Error> {
        let full = |what: String| Err(Error::Full { what });
        let all = self.all();
        if plugin.versions.is_empty() && all.len() >= PLUGINS_MAX {
            return full(format!("there are {PLUGINS_MAX} plugins"));
        }
        let config::Plugins { versions_max, stored_bytes_max, .. } = self.0.settings;
        if plugin.versions.len() >= versions_max {
            return full(format!("{:?} has {versions_max} versions", upload.plugin));
        }
        let stored: u64 = all.values().flat_map(|plugin| &plugin.versions).map(|version| version.size_bytes).sum();
        if stored + upload.bytes.len() as u64 > stored_bytes_max {
            return full(format!("the components of all versions have {stored} of {stored_bytes_max} bytes"));
        }
        Ok(())
    }

    async fn keep_file(&self, digest: Digest, upload: &Arc<Upload>) -> Result<(), Error> {
        if self.0.is_shared {
            shared::put(&self.0.store, digest, &upload.bytes).await?;
        }
        let (files, upload) = (self.0.files.clone(), Arc::clone(upload));
        let written = tokio::task::spawn_blocking(move || files.write(digest, &upload.bytes));
        written.await.map_err(|_| Error::Stopping)?
    }

    /// Another node has changed something: the records are read again, and components fetched that are not here. Whether
    /// there is anything new.
    ///
    /// # Errors
    /// When the store cannot be read, or a file cannot be written. A record that cannot be read is reported and left as it
    /// was.
    pub async fn read_again(&self) -> Result<bool, Error> {
        let _turn = self.turn().await;
        let before = self.all();
        let mut plugins = BTreeMap::new();
        for (key, value) in self.0.store.scan(PLUGIN_PREFIX).await? {
            let name = key.trim_start_matches(PLUGIN_PREFIX).to_owned();
            match decode::<PluginRecord>(&key, &value) {
                Ok(record) => _ = plugins.insert(name, record),
                Err(error) => {
                    tracing::error!("{error}");
                    plugins.extend(before.get(&name).map(|record| (name, record.clone())));
                }
            }
        }
        self.fetch(&digests(&plugins)).await?;
        let is_new = plugins != before;
        *self.0.plugins.write().unwrap_or_else(PoisonError::into_inner) = plugins;
        Ok(is_new)
    }

    /// Fetches the components from the store that are not among the files of this node.
    async fn fetch(&self, digests: &BTreeSet<Digest>) -> Result<(), Error> {
        for digest in digests {
            if self.0.files.has(*digest) {
                continue;
            }
            match shared::get(&self.0.store, *digest).await? {
                Some(bytes) => self.write_file(*digest, bytes).await?,
                None => tracing::error!(%digest, "a component is not in the store that others have"),
            }
        }
        Ok(())
    }

    /// Puts the components into the store that are only here: those of a host that has become a node of many.
    async fn share(&self, digests: &BTreeSet<Digest>) -> Result<(), Error> {
        for digest in digests {
            if !self.0.files.has(*digest) || shared::has(&self.0.store, *digest).await? {
                continue;
            }
            let (files, digest) = (self.0.files.clone(), *digest);
            let read = tokio::task::spawn_blocking(move || files.read(digest)).await.map_err(|_| Error::Stopping)?;
            match read {
                Ok(bytes) => shared::put(&self.0.store, digest, &bytes).await?,
                Err(error) => tracing::error!(%digest, %error, "a component cannot be given to the other nodes"),
            }
        }
        Ok(())
    }

    async fn write_file(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), Error> {
        let files = self.0.files.clone();
        tokio::task::spawn_blocking(move || files.write(digest, &bytes)).await.map_err(|_| Error::Stopping)?
    }

    /// Whoever changes something waits for this, and holds it meanwhile.
    async fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }

    /// Writes what a plugin is from now on, and knows it then. With nothing left of it, it is no more.
    ///
    /// # Errors
    /// When the store has ended, or somebody has changed the plugin on another node, and this one has not heard of it yet.
    pub async fn keep(&self, name: &str, plugin: PluginRecord) -> Result<(), Error> {
        let key = plugin_key(name);
        let is_over = plugin.versions.is_empty();
        let value = self.0.store.get(&key).await?;
        // One that is damaged is known to nobody, and mended by this.
        let stored = value.as_deref().and_then(|bytes| decode::<PluginRecord>(&key, bytes).ok());
        let expected = Expected { key: key.clone(), value };
        let write = if is_over { Write::Delete { key } } else { Write::Put { key, value: encode(&plugin) } };
        if stored != self.plugin(name).ok()
            || self.0.store.commit_if(vec![expected], vec![write]).await? == Outcome::Conflict
        {
            return Err(Error::Outdated { plugin: name.to_owned() });
        }
        let mut plugins = self.0.plugins.write().unwrap_or_else(PoisonError::into_inner);
        if is_over {
            plugins.remove(name);
        } else {
            plugins.insert(name.to_owned(), plugin);
        }
        Ok(())
    }

    /// A component's file goes with its last version.
    async fn forget_file(&self, digest: Digest) -> Result<(), Error> {
        if digests(&self.all()).contains(&digest) {
            return Ok(());
        }
        if self.0.is_shared {
            shared::remove(&self.0.store, digest).await?;
        }
        let files = self.0.files.clone();
        tokio::task::spawn_blocking(move || files.remove(digest)).await.map_err(|_| Error::Stopping)?
    }
}

/// Half of the cores compile uploads, and give way to everything else: games go on while a designer uploads.
fn compilers(stack_size: usize) -> Result<rayon::ThreadPool, Error> {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
    let compilers = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(stack_size)
        .thread_name(|index| format!("compile-{index}"))
        // Where the system does not allow it, they compete with the games.
        .start_handler(|_| _ = rustix::process::nice(NICENESS))
        .build();
    compilers.map_err(|error| Error::Threads(error.to_string()))
}

fn digests(plugins: &BTreeMap<String, PluginRecord>) -> BTreeSet<Digest> {
    plugins.values().flat_map(|plugin| &plugin.versions).map(|version| version.digest).collect()
}

/// All versions of a plugin are of one kind.
fn check_kind(plugin: &str, known: Option<Kind>, kind: Kind) -> Result<(), Error> {
    match known {
        Some(is) if is != kind => {
            Err(Error::OtherKind { plugin: plugin.to_owned(), is: is.text(), uploaded: kind.text() })
        }
        _ => Ok(()),
    }
}
