//! The host as a whole: puts the parts together, runs them, and stops them in order.
//!
//! [`services`] is what runs in a host that is all there is; [`member`] makes one a node of a cluster, whose services
//! run where their units are claimed; [`part`] is either.

mod member;
mod part;
mod services;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};
use scenehost_core::economy::catalogue::Catalogue;
use scenehost_core::scene_master::{self, Offer};
use scenehost_engine::{CodeCache, Engine, Options, rule};
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::bus::Bus;
use crate::capacity;
use crate::catalogue;
use crate::checks;
use crate::clock::Clock;
use crate::config::{Config, StoreConfig};
use crate::domains::Domains;
use crate::edge::{self, Door, Edge, Limits};
use crate::fleets::Fleets;
use crate::game_logs::GameLogs;
use crate::id_tokens::IdTokens;
use crate::journals::Journals;
use crate::match_streams::Streams;
use crate::moderation;
use crate::open_files;
use crate::ops::{Backups, Ops};
use crate::records;
use crate::registry::{Plugins, Registry};
use crate::rules::Rules;
use crate::scene_thread::{self, FleetRuns, Room, SceneThreads};
use crate::service_loop::Shell;
use crate::sole::Sole;
use crate::store::Store;
use crate::store::lock::DataLock;
use member::Member;
use part::Part;
use services::Left;
pub use services::lobby_of;

/// How long the last frames have to leave when the host stops.
const LAST_FRAMES: Duration = Duration::from_millis(500);
/// How long scene threads have for their last turn. A call of a game may be under way.
const LAST_TURNS: Duration = Duration::from_secs(15);
/// How long what games have saved may still wait for Db.
const LAST_SAVES: Duration = Duration::from_secs(5);
/// How long the store has for what waits to be written.
const LAST_WRITES: Duration = Duration::from_secs(5);
/// How long the store's own work has to end.
const LAST_REST: Duration = Duration::from_secs(2);
/// How long a backup that is being made has when everything else has stopped.
const LAST_BACKUP: Duration = Duration::from_secs(10);

/// Runs the host until `stop` says so or something fails that it cannot do without. The file is the one of the
/// configuration: its fleets may change. Once it serves, `serving` is given the way to its services.
pub async fn run(
    config: Config,
    file: PathBuf,
    mut stop: mpsc::Receiver<()>,
    serving: impl FnOnce(&Bus),
) -> anyhow::Result<()> {
    let clock = Clock::start();
    let metrics = install_metrics()?;
    let connections_max = open_files::connections(config.server.connections_max)?;
    std::fs::create_dir_all(&config.server.data_dir)
        .with_context(|| format!("the data folder {} cannot be made", config.server.data_dir.display()))?;
    let lock = DataLock::take(&config.server.data_dir)?;
    let (store, tenure) = open_store(&config, lock).await?;
    let registry = open_registry(&config, &store, clock).await?;
    let engine = registry.engine();
    tokio::spawn(store.clone().watch());
    let journals = Journals::open(&config.server.data_dir, engine).context("the folder of journals")?;
    tokio::spawn(journals.clone().tidy(config.journals, clock));
    if config.cluster.is_some() {
        tokio::spawn(journals.copies(store.clone()).run());
    }
    let slots = engine.scenes_max().min(config.server.scenes_max);
    let (capacity, idle) = capacity::of(&config.node, slots);
    let offer = Offer { url: "/v1/scene".to_owned(), capacity, idle, region: config.node.region.clone() };
    let member = match &config.cluster {
        Some(of) => Some(Member::join(&config, of, (&store, clock), offer.clone()).await?),
        None => None,
    };
    let node = member.as_ref().map_or(services::NODE, Member::node);

    let threads = match config.server.scene_threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let (scene_threads, seeds) = SceneThreads::new(threads)?;
    let router = member.as_ref().map(|member| member.router.clone());
    let (bus, to_host) = Bus::new(scene_threads.clone(), store.clone(), router, config.partitions());
    if config.cluster.is_some() {
        let (journals, store, engine) = (journals.clone(), store.clone(), engine.clone());
        bus.fetch_with(Box::new(move |next| {
            let (journals, store, engine) = (journals.clone(), store.clone(), engine.clone());
            Box::pin(async move { journals.fetch(&store, &engine, next).await })
        }));
    }
    // Before anything is said to a service of a host that is all there is.
    let left = match member {
        Some(_) => None,
        None => Some((Left::read(&store).await?, bus.open())),
    };
    let saves = Room::new();
    let (runs, failing) = FleetRuns::new();
    let logs = GameLogs::new();
    let joins = scene_thread::spawn(seeds, engine, &runs, &bus, clock, &saves, (&journals, &logs))?;

    let (stopping, stopping_seen) = watch::channel(false);
    let (draining, draining_seen) = watch::channel(false);
    let rules = Rules::new(registry.clone(), config.server.plugins_dir.clone(), clock);
    let of_threads = (runs, scene_threads.clone());
    let of_plugins = (registry.clone(), journals.clone());
    let fleets = Fleets::open(of_plugins, &config, node, bus.clone(), of_threads, store.clone()).await?;
    let shell = Shell { clock, bus: bus.clone(), store: store.clone() };
    records::spawn(to_host.questions, shell.store.clone(), bus.clone())?;
    moderation::spawn(to_host.moderated, config.chat.moderation.as_ref(), bus.clone(), clock)?;
    let id_tokens = IdTokens::spawn(&config.auth.providers, clock, &bus)?;
    checks::spawn(to_host.checks, id_tokens, bus.clone(), StdRng::try_from_rng(&mut SysRng)?)?;
    let catalogue = keep_catalogue(&config, &bus)?;
    let streams = Streams::spawn(config.server.data_dir.join("match"), clock, &mut StdRng::try_from_rng(&mut SysRng)?)?;
    let (domains, new_domains) =
        Domains::open(&config, (registry.clone(), rules, streams), fleets.clone(), bus.clone(), store.clone()).await?;
    let plugins = Plugins::new(registry, domains.clone());
    tokio::spawn(plugins.clone().keep_away(failing));
    tokio::spawn(domains.clone().keep_current(file, edge::tls::Served::hang_ups()?));
    let mut part = match (member, left) {
        (Some(member), _) => Part::of_node(member, &config, &shell, offer, (&domains, catalogue)),
        (None, left) => {
            let (left, inboxes) = left.context("a host that is all there is has read what was left")?;
            Part::all(&config, &shell, offer, (&domains, new_domains, catalogue), (&journals, left, inboxes)).await?
        }
    };

    let listener = listen(config.server.listen, "server.listen").await?;
    let ops_listener = listen(config.ops.listen, "ops.listen").await?;
    let (address, ops_address) = (listener.local_addr()?, ops_listener.local_addr()?);
    let limits = Arc::new(Limits::new(connections_max, &config.server.per_address));
    let tls = certificate(&config)?;
    let edge = Edge::new(bus.clone(), clock, &config, Arc::clone(&limits), stopping_seen.clone());
    let router = edge.router(config.server.pages_dir.clone(), config.cluster.as_ref().map(|cluster| &cluster.roles));
    let backups = Backups::new(store.clone(), store_folder(&config)?, config.server.backup_dir());
    let ops = Ops::new(
        bus.clone(),
        clock,
        metrics.clone(),
        &config.ops,
        draining_seen,
        backups.clone(),
        (domains.clone(), plugins, logs),
    );
    tokio::spawn(Door::new(router, limits, tls, &config.server).serve(listener, stopping_seen));
    tokio::spawn(async move { axum::serve(ops_listener, ops.router()).await });
    tokio::spawn(keep_metrics(metrics));
    tokio::spawn(scene_threads.clone().watch(clock));
    // Tests and tools wait for this line.
    tracing::info!(%address, %ops_address, scenes_max = slots, scene_threads = threads, "scenehost serves");
    serving(&bus);

    let failed = tokio::select! {
        _ = stop.recv() => None,
        () = bus.drained() => {
            tracing::info!("drained: nothing is left to run here");
            None
        }
        error = part.run() => Some(error),
    };
    if let Some(error) = failed {
        // Users come back elsewhere, and find what ran here at another node as soon as it has been given back.
        let _ = stopping.send(true); // Nobody is connected: fine.
        end_scenes(&scene_threads, joins, &bus).await;
        // Meanwhile the last of the journals is copied.
        tokio::time::sleep(LAST_FRAMES).await;
        part.end().await;
        return Err(error);
    }

    tracing::info!(drain_ms = config.server.drain_ms, "stopping: no new matches, running games may end");
    let _ = draining.send(true); // Nobody asks for health any more: fine.
    part.begin_to_stop(&bus);
    let is_all = part.is_all();
    let (ordered, drained) = (part.drain(&bus), drain(&config, &bus, &mut stop, is_all));
    tokio::select! {
        () = async { ordered.await; drained.await } => {}
        error = part.run() => tracing::error!(%error, "it ends at once"),
    }
    // The services still tell users in the lobby how their games ended.
    tokio::time::sleep(LAST_FRAMES).await;
    let _ = stopping.send(true);
    end_scenes(&scene_threads, joins, &bus).await;
    tokio::time::sleep(LAST_FRAMES).await;
    let never_made = saves.cleared(LAST_SAVES).await;
    if never_made > 0 {
        tracing::error!(never_made, "what games have saved is lost: the store could not be written until the end");
    }
    part.end().await;
    let written = store.finish(LAST_WRITES).await;
    if !backups.ended(LAST_BACKUP).await {
        tracing::warn!("a backup was not ready in time: it is given up");
    }
    tenure.end().await;
    store.rest(LAST_REST).await;
    written?;
    tracing::info!("stopped");
    Ok(())
}

/// Ends all threads of scenes, and what runs on them.
async fn end_scenes(threads: &SceneThreads, joins: Vec<std::thread::JoinHandle<()>>, bus: &Bus) {
    threads.stop();
    // One that waits for a lease that is over waits no more.
    bus.router().into_iter().for_each(|router| router.grant().end());
    let all_ended = async {
        while joins.iter().any(|join| !join.is_finished()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // What keeps one is a fault of the host; it is not to keep the others from going on with what was here.
    if tokio::time::timeout(LAST_TURNS, all_ended).await.is_err() {
        tracing::error!("a scene thread stands and does not end: what runs on it ends with the process");
    }
}

/// By what right this host writes.
enum Tenure {
    /// Nobody else can.
    Alone,
    /// It has the lease on a store that others could use, too.
    Sole(Sole),
    /// It is one of many, each of whose units has its own. The lock of the data folder is held, not read.
    Node(#[expect(dead_code, reason = "it is held")] DataLock),
}

impl Tenure {
    async fn end(self) {
        if let Self::Sole(sole) = self {
            sole.release().await;
        }
    }
}

/// The store to write by.
async fn open_store(config: &Config, lock: DataLock) -> anyhow::Result<(Store, Tenure)> {
    let settings = match &config.store {
        StoreConfig::Rocksdb {} => return Ok((Store::open(&config.server.store_dir(), lock)?, Tenure::Alone)),
        StoreConfig::Postgres(settings) => settings,
    };
    let store = Store::connect(settings).await?;
    tracing::info!(place = settings.place(), "the store is in PostgreSQL");
    if config.cluster.is_some() {
        return Ok((store, Tenure::Node(lock)));
    }
    let (store, sole) = Sole::take(&store, lock).await?;
    Ok((store, Tenure::Sole(sole)))
}

/// Where the store is that this host makes backups of, without links; nowhere if it makes none.
fn store_folder(config: &Config) -> anyhow::Result<PathBuf> {
    match &config.store {
        StoreConfig::Rocksdb {} => config.server.store_dir().canonicalize().context("the store's folder"),
        StoreConfig::Postgres(_) => Ok(PathBuf::new()),
    }
}

/// The registry of plugins, with the engines that compile them and what they have compiled before.
async fn open_registry(config: &Config, store: &Store, clock: Clock) -> anyhow::Result<Registry> {
    let folder = config.server.code_dir();
    let code = CodeCache::open(&folder, config.plugins.code_cache_bytes_max)
        .with_context(|| format!("the folder of compiled code, {}", folder.display()))?;
    let component_bytes_max = config.plugins.upload_bytes_max;
    let of_games = Options { scenes_max: config.server.scenes_max, component_bytes_max, ..Options::default() };
    let engine = Engine::with_cache(of_games, Some(code.clone()))?;
    let of_rules = rule::Options { component_bytes_max, ..rule::Options::default() };
    let rules = rule::Engine::with_cache(of_rules, Some(code.clone())).context("the rules of domains")?;
    let (folder, settings) = (config.server.uploads_dir(), config.plugins.clone());
    Ok(Registry::open((engine, rules, code), settings, folder, (store.clone(), config.cluster.is_some()), clock)
        .await?)
}

/// What clients are served with by TLS, kept current, if the host speaks that.
fn certificate(config: &Config) -> anyhow::Result<Option<Arc<edge::tls::Served>>> {
    let Some(files) = config.server.tls.clone() else { return Ok(None) };
    let served = Arc::new(edge::tls::Served::new(files).context("[server.tls]")?);
    let (hang_ups, kept) = (edge::tls::Served::hang_ups()?, Arc::clone(&served));
    tokio::spawn(async move { kept.keep_current(hang_ups).await });
    Ok(Some(served))
}

/// Gives running games the configured time, then ends them; those of a node are left to who goes on with them. A second
/// signal ends the wait.
async fn drain(config: &Config, bus: &Bus, stop: &mut mpsc::Receiver<()>, is_all: bool) {
    let scenes_done = async |limit: Duration| {
        let until_none = async {
            while bus.scene_threads().scenes() > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(limit, until_none).await.is_ok()
    };
    tokio::select! {
        done = scenes_done(Duration::from_millis(config.server.drain_ms)) => if done { return },
        _ = stop.recv() => tracing::warn!("told again to stop: running games end now"),
    }
    if !is_all {
        return;
    }
    bus.send(scene_master::Event::Stopping.into());
    let grace_ms = config.fleets.values().map(|fleet| fleet.scene.stop_grace_ms).max().unwrap_or(0);
    let limit = Duration::from_millis(u64::from(grace_ms)) + Duration::from_secs(2);
    if !scenes_done(limit).await {
        tracing::warn!("some scenes did not end in time");
    }
}

fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new().install_recorder().context("the metrics recorder cannot be installed")?;
    Ok(handle)
}

/// The recorder wants to be tidied up now and then.
async fn keep_metrics(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        metrics.run_upkeep();
    }
}

/// The records whose keys are this and an id; one that cannot be read is reported.
pub async fn recover<Id: FromStr, Record: DeserializeOwned>(
    store: &Store,
    prefix: &str,
) -> anyhow::Result<Vec<(Id, Record)>> {
    let mut records = Vec::new();
    let mut unreadable = String::new();
    for (key, value) in store.scan(prefix).await? {
        let id = key.strip_prefix(prefix).and_then(|id| id.parse().ok());
        match (id, scenehost_core::record::decode(&key, &value)) {
            (Some(id), Ok(record)) => records.push((id, record)),
            (None, _) => _ = writeln!(unreadable, "the key {key} has no id"),
            (_, Err(error)) => _ = writeln!(unreadable, "{error}"),
        }
    }
    if !unreadable.is_empty() {
        tracing::error!("{}", unreadable.trim_end());
    }
    Ok(records)
}

/// What the shop sells, kept current if there is a file with it.
fn keep_catalogue(config: &Config, bus: &Bus) -> anyhow::Result<watch::Receiver<Arc<Catalogue>>> {
    let Some(path) = config.economy.catalogue.clone() else { return Ok(watch::channel(Arc::default()).1) };
    let (sender, receiver) = watch::channel(catalogue::load(&path).context("[economy]")?);
    let hang_ups = edge::tls::Served::hang_ups()?;
    tokio::spawn(catalogue::keep_current(path, sender, bus.clone(), hang_ups));
    Ok(receiver)
}

async fn listen(address: std::net::SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} ({setting}); is another scenehost running?"))
}
