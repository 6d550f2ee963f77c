//! The fleets of this host: from the configuration, and from operators, who change them while the host runs.
//!
//! Invariants: only a fleet whose component compiles is used, and what is not right changes nothing. What operators
//! have set stands above the file and is in the store before it is used; so is which version of a plugin is chosen. Scene
//! threads know a build before any service orders a scene of it.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use scenehost_core::config::Keep;
use scenehost_core::record::{FLEET_PREFIX, SCENE_PREFIX, SceneRecord, decode, encode, fleet_key};
use scenehost_core::scene_master::{Builds, Canary, SceneMaster};
use scenehost_core::{Build, FleetName, GameName, Message, NodeId, Partition, Write, scene_master, scene_service};
use scenehost_engine::{Digest, Plugin};
use sha2::{Digest as _, Sha256};

use crate::bus::Bus;
use crate::cluster::wire::Changed;
use crate::config::{Config, FleetConfig};
use crate::journals::Journals;
use crate::registry::{self, Chosen, PluginRecord, Registry};
use crate::scene_thread::{FleetRun, FleetRuns, SceneThreads};
use crate::store::Store;

/// How many fleets there may be.
const FLEETS_MAX: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("[fleets.{fleet}]: the component {path} cannot be read: {cause}")]
    Read { fleet: FleetName, path: PathBuf, cause: std::io::Error },
    #[error("[fleets.{fleet}]: the component {path} is refused: {cause}")]
    Rejected { fleet: FleetName, path: PathBuf, cause: scenehost_engine::Rejected },
    #[error("[fleets.{fleet}]: the plugin {plugin:?} cannot be used: {cause}")]
    Plugin { fleet: FleetName, plugin: String, cause: Box<registry::Error> },
    #[error("[fleets.{fleet}]: its component cannot be kept for its journals: {cause}")]
    Keep { fleet: FleetName, cause: std::io::Error },
    #[error("{0}")]
    Wrong(String),
    #[error("there is no fleet named {0:?} that was set here; those of the configuration file are changed there")]
    Unknown(String),
    #[error("the fleet {0:?} is used by a domain: give the domain another one first")]
    Used(String),
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    #[error("the work was given up: the host is stopping")]
    Stopping,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Fleets(Arc<Parts>);

struct Parts {
    registry: Registry,
    journals: Journals,
    plugins_dir: PathBuf,
    runs: FleetRuns,
    threads: SceneThreads,
    bus: Bus,
    store: Store,
    node: NodeId,
    /// The fleets that domains use.
    used: RwLock<BTreeSet<FleetName>>,
    /// What SceneMaster was told last.
    current: RwLock<BTreeMap<FleetName, (Builds, scenehost_core::config::Fleet)>>,
    /// What is used now.
    configured: RwLock<BTreeMap<FleetName, FleetConfig>>,
    state: tokio::sync::Mutex<State>,
}

/// What fleets are, by where that comes from.
#[derive(Clone, Default)]
struct State {
    of_file: BTreeMap<FleetName, FleetConfig>,
    of_operators: BTreeMap<FleetName, FleetConfig>,
}

impl State {
    fn all(&self) -> BTreeMap<FleetName, FleetConfig> {
        let mut all = self.of_file.clone();
        all.extend(self.of_operators.clone());
        all
    }
}

impl Fleets {
    /// Compiles everything that the configuration and the store name, and tells the services. Where the active version
    /// of a plugin is damaged, the one that was active before is used and that is reported.
    ///
    /// # Errors
    /// A component of the file that cannot be used. One of the store's is left out and reported: an operator can mend it
    /// only while the host runs.
    pub async fn open(
        (registry, journals): (Registry, Journals),
        config: &Config,
        node: NodeId,
        bus: Bus,
        (runs, threads): (FleetRuns, SceneThreads),
        store: Store,
    ) -> Result<Self, Error> {
        let of_file = config.fleets.clone();
        let fleets = Self(Arc::new(Parts {
            registry,
            journals,
            plugins_dir: config.server.plugins_dir.clone(),
            runs,
            threads,
            bus,
            store,
            node,
            used: RwLock::default(),
            current: RwLock::default(),
            configured: RwLock::default(),
            state: tokio::sync::Mutex::default(),
        }));
        let mut built = fleets.compile(&of_file, &Choice::Lenient)?;
        let mut of_operators = BTreeMap::new();
        for (name, fleet) in fleets.stored().await? {
            match fleet
                .check()
                .map_err(Error::Wrong)
                .and_then(|()| fleets.compile(&BTreeMap::from([(name.clone(), fleet.clone())]), &Choice::Lenient))
            {
                Ok(run) => {
                    built.extend(run);
                    of_operators.insert(name, fleet);
                }
                Err(error) => tracing::error!(fleet = %name, %error, "a fleet that operators have set is left out"),
            }
        }
        *fleets.0.state.try_lock().map_err(|_| Error::Stopping)? = State { of_file, of_operators };
        fleets.use_all(built);
        Ok(fleets)
    }

    async fn stored(&self) -> Result<Vec<(FleetName, FleetConfig)>, Error> {
        let mut stored = Vec::new();
        for (key, value) in self.0.store.scan(FLEET_PREFIX).await? {
            let name = FleetName::from(key.trim_start_matches(FLEET_PREFIX));
            match decode(&key, &value) {
                Ok(fleet) => stored.push((name, fleet)),
                Err(error) => tracing::error!("{error}"),
            }
        }
        Ok(stored)
    }

    /// What operators say that a fleet is.
    ///
    /// # Errors
    /// Settings that are not right, a component that cannot be used, a store that cannot be written.
    pub async fn put(&self, name: FleetName, fleet: FleetConfig) -> Result<Build, Error> {
        if !is_plain(name.as_str()) {
            return Err(Error::Wrong("a fleet's name has 1 to 64 letters, digits, - and _".to_owned()));
        }
        fleet.check().map_err(Error::Wrong)?;
        let mut state = self.0.state.lock().await;
        let mut next = state.clone();
        next.of_operators.insert(name.clone(), fleet.clone());
        if next.all().len() > FLEETS_MAX {
            return Err(Error::Wrong(format!("there are {FLEETS_MAX} fleets already: remove one first")));
        }
        let built = self.compile_aside(next.all(), Choice::AsKept).await?;
        self.write(Write::Put { key: fleet_key(&name), value: encode(&fleet) }).await?;
        let build = built[&name].builds().build;
        *state = next;
        self.tell_others(Changed::Fleets);
        self.use_all(built);
        Ok(build)
    }

    /// What operators have said of a fleet does not count any more: it is as in the file, or is no more.
    ///
    /// # Errors
    /// A fleet that operators have not set, or that a domain uses and the file does not have.
    pub async fn remove(&self, name: &FleetName) -> Result<(), Error> {
        let mut state = self.0.state.lock().await;
        if !state.of_operators.contains_key(name) {
            return Err(Error::Unknown(name.as_str().to_owned()));
        }
        if self.is_used(name) && !state.of_file.contains_key(name) {
            return Err(Error::Used(name.as_str().to_owned()));
        }
        let mut next = state.clone();
        next.of_operators.remove(name);
        let built = self.compile_aside(next.all(), Choice::AsKept).await?;
        self.write(Write::Delete { key: fleet_key(name) }).await?;
        *state = next;
        self.tell_others(Changed::Fleets);
        self.use_all(built);
        Ok(())
    }

    /// Operators have said on another node what fleets are: it is read from the store.
    ///
    /// # Errors
    /// What cannot be used; then nothing is changed.
    pub async fn read_stored(&self) -> Result<(), Error> {
        let mut state = self.0.state.lock().await;
        let of_operators: BTreeMap<FleetName, FleetConfig> = self.stored().await?.into_iter().collect();
        if of_operators == state.of_operators {
            return Ok(());
        }
        for fleet in of_operators.values() {
            fleet.check().map_err(Error::Wrong)?;
        }
        let next = State { of_operators, ..state.clone() };
        let built = self.compile_aside(next.all(), Choice::AsKept).await?;
        *state = next;
        self.use_all(built);
        Ok(())
    }

    /// New scenes are made of what the registry says now.
    ///
    /// # Errors
    /// A version that cannot be used; then nothing is changed.
    pub async fn make_anew(&self) -> Result<(), Error> {
        let state = self.0.state.lock().await;
        let built = self.compile_aside(state.all(), Choice::AsKept).await?;
        self.use_all(built);
        drop(state);
        Ok(())
    }

    /// Other nodes of the cluster hear that something was changed here.
    pub fn tell_others(&self, what: Changed) {
        if let Some(router) = self.0.bus.router() {
            router.changed(what);
        }
    }

    /// What is kept of their games.
    pub fn journals(&self) -> &Journals {
        &self.0.journals
    }

    /// Whether there is a fleet of this name.
    pub fn has(&self, name: &FleetName) -> bool {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    /// Domains use these from now on.
    pub fn use_by_domains(&self, fleets: BTreeSet<FleetName>) {
        *self.0.used.write().unwrap_or_else(PoisonError::into_inner) = fleets;
    }

    fn is_used(&self, name: &FleetName) -> bool {
        self.0.used.read().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// The fleets that there are if the configuration file has these.
    pub async fn names_with(&self, of_file: &BTreeMap<FleetName, FleetConfig>) -> BTreeSet<FleetName> {
        let state = self.0.state.lock().await;
        of_file.keys().chain(state.of_operators.keys()).cloned().collect()
    }

    /// The configuration file has these fleets now, of which domains are going to use some.
    ///
    /// # Errors
    /// A component that cannot be used, or a fleet for a domain that there is not.
    pub async fn replace_file(
        &self,
        of_file: BTreeMap<FleetName, FleetConfig>,
        used: BTreeSet<FleetName>,
    ) -> Result<(), Error> {
        let mut state = self.0.state.lock().await;
        let mut next = state.clone();
        next.of_file = of_file;
        let all = next.all();
        if let Some(name) = used.into_iter().find(|name| !all.contains_key(name)) {
            return Err(Error::Used(name.as_str().to_owned()));
        }
        let built = self.compile_aside(all, Choice::AsKept).await?;
        *state = next;
        self.use_all(built);
        Ok(())
    }

    /// A plugin is this from now on: its fleets make new scenes of what is chosen then.
    ///
    /// # Errors
    /// A version that cannot be used; then nothing is changed.
    pub async fn use_plugin(&self, name: &str, plugin: PluginRecord) -> Result<(), registry::Error> {
        let state = self.0.state.lock().await;
        let built = self.compile_aside(state.all(), Choice::Instead(name.to_owned(), plugin.chosen())).await?;
        self.0.registry.keep(name, plugin).await?;
        self.tell_others(Changed::Plugins);
        self.use_all(built);
        drop(state);
        Ok(())
    }

    /// Running scenes of the fleets of a plugin change to what their fleets are now, each between two of its steps: how
    /// many there are. What came of it is in the log and the metrics.
    pub fn swap(&self, plugin: &str) -> usize {
        let fleets = self.of_plugin(plugin).into_keys().collect();
        let (asked, targets) = self.0.runs.to_swap(&fleets);
        if asked > 0 {
            self.0.threads.swap(&Arc::new(targets));
        }
        asked
    }

    /// The fleets that name a plugin.
    pub fn of_plugin(&self, plugin: &str) -> BTreeMap<FleetName, FleetConfig> {
        let current = self.0.configured.read().unwrap_or_else(PoisonError::into_inner);
        let of_plugin = current.iter().filter(|(_, fleet)| fleet.plugin == plugin);
        of_plugin.map(|(name, fleet)| (name.clone(), fleet.clone())).collect()
    }

    /// The failures of a component's scenes until now do not count any more.
    pub fn forget_failures(&self, digest: Digest) {
        self.0.runs.forget_failures(digest);
    }

    /// How scenes run, and what they have used: each build that is known of a fleet.
    pub fn known_runs(&self) -> Vec<Arc<FleetRun>> {
        self.0.runs.known()
    }

    /// How many scenes run with each component.
    pub fn scenes_by_digest(&self) -> BTreeMap<Digest, usize> {
        self.0.runs.scenes_by_digest()
    }

    /// How many scenes on other nodes may run with a version of this plugin, by SceneMaster's records: those of its fleets
    /// that are not known to run with something else. Older settings of a fleet may not be known here.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn scenes_elsewhere(&self, plugin: &str, version: Digest, others: &[Digest]) -> Result<usize, Error> {
        let of_plugin = self.of_plugin(plugin);
        let known = self.known_runs();
        let known = known.iter().filter(|run| run.plugin.digest() != version).map(|run| run.build);
        let of_others = of_plugin.values().flat_map(|fleet| others.iter().map(|digest| build_of(fleet, *digest)));
        let of_others: BTreeSet<Build> = known.chain(of_others).collect();
        let mut scenes = 0;
        for (key, value) in self.0.store.scan(SCENE_PREFIX).await? {
            match decode::<SceneRecord>(&key, &value) {
                Ok(record) => {
                    let is_elsewhere = record.node != self.0.node && of_plugin.contains_key(&record.fleet);
                    scenes += usize::from(is_elsewhere && !of_others.contains(&record.build));
                }
                Err(error) => tracing::error!("{error}"),
            }
        }
        Ok(scenes)
    }

    async fn write(&self, write: Write) -> Result<(), Error> {
        let mut commit = self.0.store.begin(vec![write]).await?;
        Ok(commit.synced().await?)
    }

    async fn compile_aside(&self, fleets: BTreeMap<FleetName, FleetConfig>, choice: Choice) -> Result<Built, Error> {
        let own = self.clone();
        tokio::task::spawn_blocking(move || own.compile(&fleets, &choice)).await.map_err(|_| Error::Stopping)?
    }

    /// Compiles each plugin once, whatever the number of its fleets.
    fn compile(&self, fleets: &BTreeMap<FleetName, FleetConfig>, choice: &Choice) -> Result<Built, Error> {
        let mut plugins: BTreeMap<&str, Loaded> = BTreeMap::new();
        let mut built = BTreeMap::new();
        for (name, fleet) in fleets {
            let loaded = match plugins.entry(&fleet.plugin) {
                Entry::Occupied(loaded) => loaded.into_mut(),
                Entry::Vacant(place) => {
                    let has_journal =
                        |of: &FleetConfig| of.plugin == fleet.plugin && of.scene.journal.keep != Keep::Off;
                    let loaded = self.load(name, &fleet.plugin, choice)?;
                    if fleets.values().any(has_journal) {
                        self.keep_for_journals(name, &fleet.plugin, &loaded)?;
                    }
                    place.insert(loaded)
                }
            };
            let run = |plugin: &Plugin| Arc::new(run_of(name, fleet, plugin));
            // The same version cannot be its own canary.
            let canary = loaded.canary.as_ref().filter(|(plugin, _)| plugin.digest() != loaded.plugin.digest());
            let canary = canary.map(|(plugin, percent)| (run(plugin), *percent));
            let (run, in_quarantine) = (run(&loaded.plugin), loaded.in_quarantine);
            built.insert(name.clone(), Made { fleet: fleet.clone(), run, canary, in_quarantine });
        }
        Ok(built)
    }

    /// What is chosen of a plugin; the file of its name if nothing is.
    fn load(&self, fleet: &FleetName, name: &str, choice: &Choice) -> Result<Loaded, Error> {
        let chosen = match choice {
            Choice::Instead(plugin, chosen) if plugin == name => chosen.clone(),
            _ => self.0.registry.chosen(name),
        };
        let plugin = match chosen.active {
            Some(digest) => self.0.registry.game(digest).or_else(|cause| {
                self.load_before(fleet, name, &chosen, choice).ok_or_else(|| {
                    let (fleet, plugin) = (fleet.clone(), name.to_owned());
                    Error::Plugin { fleet, plugin, cause: Box::new(cause) }
                })
            })?,
            None => self.load_file(fleet, name)?,
        };
        let canary = chosen.canary.and_then(|(digest, percent)| match self.0.registry.game(digest) {
            Ok(plugin) => Some((plugin, percent)),
            Err(error) => {
                tracing::error!(%fleet, plugin = name, %error, "the canary cannot be used: there is none");
                None
            }
        });
        Ok(Loaded { plugin, canary, in_quarantine: chosen.in_quarantine })
    }

    /// A host that starts does so with what it has: an operator can mend the rest only while it runs.
    fn load_before(&self, fleet: &FleetName, name: &str, chosen: &Chosen, choice: &Choice) -> Option<Plugin> {
        if !matches!(choice, Choice::Lenient) {
            return None;
        }
        let before = chosen.before.iter().find_map(|digest| self.0.registry.game(*digest).ok());
        let plugin = before.or_else(|| self.load_file(fleet, name).ok())?;
        let damaged = chosen.active.map(|digest| self.0.registry.game(digest).err().map(|error| error.to_string()));
        tracing::error!(
            %fleet, plugin = name, error = damaged.flatten(), used = %plugin.digest(),
            "the active version cannot be used: one that was before it is"
        );
        Some(plugin)
    }

    /// The components of games that have journals are kept beside those, so that they can be replayed when nobody uses
    /// them any more.
    fn keep_for_journals(&self, fleet: &FleetName, name: &str, loaded: &Loaded) -> Result<(), Error> {
        let plugins = [&loaded.plugin].into_iter().chain(loaded.canary.as_ref().map(|(plugin, _)| plugin));
        for plugin in plugins.filter(|plugin| self.0.journals.plugin(&plugin.digest()).is_none()) {
            let file = || std::fs::read(self.0.plugins_dir.join(format!("{name}.wasm")));
            let bytes = self.0.registry.bytes(plugin.digest()).map_or_else(file, Ok);
            // What is in use may be damaged on the disk, and the file be another version.
            let is_it = |bytes: &Vec<u8>| Digest::of(bytes) == plugin.digest();
            let lost = || std::io::Error::new(std::io::ErrorKind::InvalidData, "what is stored of it is damaged");
            let bytes = bytes.and_then(|bytes| Some(bytes).filter(is_it).ok_or_else(lost));
            let kept = bytes.and_then(|bytes| self.0.journals.keep(plugin, &bytes));
            kept.map_err(|cause| Error::Keep { fleet: fleet.clone(), cause })?;
        }
        Ok(())
    }

    fn load_file(&self, fleet: &FleetName, name: &str) -> Result<Plugin, Error> {
        let path = self.0.plugins_dir.join(format!("{name}.wasm"));
        let unread = |cause| Error::Read { fleet: fleet.clone(), path: path.clone(), cause };
        let bytes = std::fs::read(&path).map_err(unread)?;
        let rejected = |cause| Error::Rejected { fleet: fleet.clone(), path: path.clone(), cause };
        let plugin = self.0.registry.compile_game(&bytes).map_err(rejected)?;
        tracing::info!(path = %path.display(), digest = %plugin.digest(), bytes = plugin.size_bytes(), "plugin compiled");
        Ok(plugin)
    }

    fn use_all(&self, built: Built) {
        let of_threads = |(name, made): (&FleetName, &Made)| {
            (name.clone(), (Arc::clone(&made.run), made.canary.as_ref().map(|(run, _)| Arc::clone(run))))
        };
        self.0.runs.set(built.iter().map(of_threads).collect());
        let rules = built.iter().map(|(name, made)| (name.clone(), made.fleet.scene.clone())).collect();
        self.0.bus.deliver(Message::SceneService(self.0.node, scene_service::Event::Fleets { fleets: rules }));
        let fleets: BTreeMap<_, _> =
            built.iter().map(|(name, made)| (name.clone(), (made.builds(), made.fleet.scene.clone()))).collect();
        *self.0.configured.write().unwrap_or_else(PoisonError::into_inner) =
            built.into_iter().map(|(name, made)| (name, made.fleet)).collect();
        // Before it is told: a SceneMaster that takes over meanwhile hears of it in any case.
        self.0.current.write().unwrap_or_else(PoisonError::into_inner).clone_from(&fleets);
        self.0.bus.deliver(scene_master::Event::Fleets { fleets }.into());
    }

    /// The SceneMaster of a partition that takes over with the fleets of now, while these nodes are there.
    pub fn next_scene_master(&self, partition: Partition, nodes: impl IntoIterator<Item = NodeId>) -> SceneMaster {
        let fleets = self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        SceneMaster::taking_over(fleets).of(partition).awaiting(nodes)
    }
}

type Built = BTreeMap<FleetName, Made>;

/// A fleet, ready to be used.
struct Made {
    fleet: FleetConfig,
    run: Arc<FleetRun>,
    /// The canary, and how many of a hundred new scenes it gets.
    canary: Option<(Arc<FleetRun>, u8)>,
    in_quarantine: bool,
}

impl Made {
    fn builds(&self) -> Builds {
        let canary = self.canary.as_ref().map(|(run, percent)| Canary { build: run.build, percent: *percent });
        Builds { build: self.run.build, canary, in_quarantine: self.in_quarantine }
    }
}

/// What is chosen of a plugin, compiled.
struct Loaded {
    plugin: Plugin,
    canary: Option<(Plugin, u8)>,
    /// It has failed too often: there are no new scenes.
    in_quarantine: bool,
}

/// Which versions of plugins are used.
enum Choice {
    /// Those that the registry says.
    AsKept,
    /// The same, but a damaged one does not keep the host from starting.
    Lenient,
    /// The same, but of one plugin these.
    Instead(String, Chosen),
}

fn run_of(name: &FleetName, fleet: &FleetConfig, plugin: &Plugin) -> FleetRun {
    FleetRun {
        fleet: name.clone(),
        build: build_of(fleet, plugin.digest()),
        game: GameName::from(fleet.plugin.as_str()),
        plugin: plugin.clone(),
        configuration: fleet.configuration_json(),
        limits: fleet.limits.limits(),
        tick_when_empty: fleet.tick_when_empty,
        quarantine: fleet.scene.quarantine,
        scenes: AtomicUsize::new(0),
        failures: Mutex::default(),
        used: Mutex::default(),
    }
}

/// Another plugin or other settings are another build; the same are the same one in every process.
fn build_of(fleet: &FleetConfig, plugin: Digest) -> Build {
    let settings = serde_json::to_string(fleet).expect("settings are plain data, which JSON can always hold");
    let digest = Sha256::new().chain_update(plugin.0).chain_update(settings).finalize();
    Build(digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Whether this may be the name of a fleet or a domain.
pub fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}
