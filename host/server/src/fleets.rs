//! The fleets of this host: from the configuration, and from operators, who change them while the host runs.
//!
//! Invariants: only a fleet whose component compiles is used, and what is not right changes nothing. What operators
//! have set stands above the file and is in the store before it is used. Scene threads know a build before any service
//! orders a scene of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use scenehost_core::config::Keep;
use scenehost_core::record::{FLEET_PREFIX, decode, encode, fleet_key};
use scenehost_core::scene_master::SceneMaster;
use scenehost_core::{Build, FleetName, GameName, Message, NodeId, Write, scene_master, scene_service};
use scenehost_engine::{Engine, Plugin};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::bus::Bus;
use crate::config::{Config, FleetConfig};
use crate::journals::Journals;
use crate::scene_thread::{FleetRun, FleetRuns};
use crate::store::Store;

/// How many fleets there may be.
const FLEETS_MAX: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("[fleets.{fleet}]: the component {path} cannot be read: {cause}")]
    Read { fleet: FleetName, path: PathBuf, cause: std::io::Error },
    #[error("[fleets.{fleet}]: the component {path} is refused: {cause}")]
    Rejected { fleet: FleetName, path: PathBuf, cause: scenehost_engine::Rejected },
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
    engine: Engine,
    journals: Journals,
    plugins_dir: PathBuf,
    runs: FleetRuns,
    bus: Bus,
    store: Store,
    node: NodeId,
    /// The fleets that domains use.
    used: RwLock<BTreeSet<FleetName>>,
    /// What SceneMaster was told last.
    current: RwLock<BTreeMap<FleetName, (Build, scenehost_core::config::Fleet)>>,
    state: Mutex<State>,
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
    /// Compiles everything that the configuration and the store name, and tells the services.
    ///
    /// # Errors
    /// A component of the file that cannot be used. One of the store's is left out and reported: an operator can mend it
    /// only while the host runs.
    pub fn open(
        (engine, journals): (Engine, Journals),
        config: &Config,
        node: NodeId,
        bus: Bus,
        runs: FleetRuns,
        store: Store,
    ) -> Result<Self, Error> {
        let of_file = config.fleets.clone();
        let fleets = Self(Arc::new(Parts {
            engine,
            journals,
            plugins_dir: config.server.plugins_dir.clone(),
            runs,
            bus,
            store,
            node,
            used: RwLock::default(),
            current: RwLock::default(),
            state: Mutex::default(),
        }));
        let mut built = fleets.compile(&of_file)?;
        let mut of_operators = BTreeMap::new();
        for (name, fleet) in fleets.stored()? {
            match fleet
                .check()
                .map_err(Error::Wrong)
                .and_then(|()| fleets.compile(&BTreeMap::from([(name.clone(), fleet.clone())])))
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

    fn stored(&self) -> Result<Vec<(FleetName, FleetConfig)>, Error> {
        let mut stored = Vec::new();
        for (key, value) in self.0.store.scan(FLEET_PREFIX)? {
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
        let built = self.compile_aside(next.all()).await?;
        self.write(Write::Put { key: fleet_key(&name), value: encode(&fleet) }).await?;
        let build = built[&name].0;
        *state = next;
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
        let built = self.compile_aside(next.all()).await?;
        self.write(Write::Delete { key: fleet_key(name) }).await?;
        *state = next;
        self.use_all(built);
        Ok(())
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
        let built = self.compile_aside(all).await?;
        *state = next;
        self.use_all(built);
        Ok(())
    }

    async fn write(&self, write: Write) -> Result<(), Error> {
        let mut commit = self.0.store.begin(vec![write]).await?;
        Ok(commit.synced().await?)
    }

    async fn compile_aside(&self, fleets: BTreeMap<FleetName, FleetConfig>) -> Result<Built, Error> {
        let own = self.clone();
        tokio::task::spawn_blocking(move || own.compile(&fleets)).await.map_err(|_| Error::Stopping)?
    }

    /// Compiles each plugin once, whatever the number of its fleets.
    fn compile(&self, fleets: &BTreeMap<FleetName, FleetConfig>) -> Result<Built, Error> {
        let mut plugins: BTreeMap<&str, Plugin> = BTreeMap::new();
        let mut built = BTreeMap::new();
        for (name, fleet) in fleets {
            let plugin = match plugins.get(fleet.plugin.as_str()) {
                Some(plugin) => plugin.clone(),
                None => {
                    let has_journal =
                        |of: &FleetConfig| of.plugin == fleet.plugin && of.scene.journal.keep != Keep::Off;
                    let plugin = self.load_plugin(name, &fleet.plugin, fleets.values().any(has_journal))?;
                    plugins.insert(&fleet.plugin, plugin.clone());
                    plugin
                }
            };
            let build = build_of(fleet, &plugin);
            let run = FleetRun {
                build,
                game: GameName::from(fleet.plugin.as_str()),
                plugin,
                configuration: serde_json::Value::Object(fleet.configuration.clone()).to_string(),
                limits: fleet.limits.limits(),
                tick_when_empty: fleet.tick_when_empty,
            };
            built.insert(name.clone(), (build, fleet.clone(), Arc::new(run)));
        }
        Ok(built)
    }

    fn load_plugin(&self, fleet: &FleetName, name: &str, has_journal: bool) -> Result<Plugin, Error> {
        let path = self.0.plugins_dir.join(format!("{name}.wasm"));
        let unread = |cause| Error::Read { fleet: fleet.clone(), path: path.clone(), cause };
        let bytes = std::fs::read(&path).map_err(unread)?;
        let rejected = |cause| Error::Rejected { fleet: fleet.clone(), path: path.clone(), cause };
        let plugin = self.0.engine.compile(&bytes).map_err(rejected)?;
        if has_journal {
            let kept = self.0.journals.keep(&plugin, &bytes);
            kept.map_err(|cause| Error::Keep { fleet: fleet.clone(), cause })?;
        }
        tracing::info!(path = %path.display(), digest = %plugin.digest(), bytes = plugin.size_bytes(), "plugin compiled");
        Ok(plugin)
    }

    fn use_all(&self, built: Built) {
        self.0.runs.set(built.iter().map(|(name, (_, _, run))| (name.clone(), Arc::clone(run))).collect());
        let rules = built.iter().map(|(name, (_, fleet, _))| (name.clone(), fleet.scene.clone())).collect();
        self.0.bus.send(Message::SceneService(self.0.node, scene_service::Event::Fleets { fleets: rules }));
        let fleets: BTreeMap<_, _> =
            built.into_iter().map(|(name, (build, fleet, _))| (name, (build, fleet.scene))).collect();
        // Before it is told: a SceneMaster that takes over meanwhile hears of it in any case.
        self.0.current.write().unwrap_or_else(PoisonError::into_inner).clone_from(&fleets);
        self.0.bus.send(scene_master::Event::Fleets { fleets }.into());
    }

    /// A SceneMaster that takes over with the fleets of now.
    pub fn next_scene_master(&self) -> SceneMaster {
        SceneMaster::taking_over(self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

type Built = BTreeMap<FleetName, (Build, FleetConfig, Arc<FleetRun>)>;

/// Another plugin or other settings are another build; the same are the same one in every process.
fn build_of(fleet: &FleetConfig, plugin: &Plugin) -> Build {
    let settings = serde_json::to_string(fleet).expect("settings are plain data, which JSON can always hold");
    let digest = Sha256::new().chain_update(plugin.digest().0).chain_update(settings).finalize();
    Build(digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Whether this may be the name of a fleet or a domain.
pub fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}
