//! The host as a whole: puts the parts together, runs them, and stops them in order.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};
use scenehost_core::auth::Auth;
use scenehost_core::db::{self, Db};
use scenehost_core::economy::catalogue::Catalogue;
use scenehost_core::lobby::Lobby;
use scenehost_core::party::{self, Party};
use scenehost_core::record::{DRAIN_PREFIX, FINISHED_PREFIX, SCENE_PREFIX, SceneRecord};
use scenehost_core::save;
use scenehost_core::scene_master::{self, Offer, SceneMaster};
use scenehost_core::scene_service::SceneService;
use scenehost_core::{NodeId, PartyId, SceneId, ServiceName, Write, lobby};
use scenehost_engine::{CodeCache, Engine, Options, rule};
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::bus::{Bus, Inboxes};
use crate::capacity;
use crate::catalogue;
use crate::checks;
use crate::clock::Clock;
use crate::config::Config;
use crate::domains::{Domains, New as NewDomain};
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
use crate::service_loop::{self, Shell};
use crate::store::Store;
use crate::store::lock::DataLock;

/// The node of a host that is all there is.
const NODE: NodeId = NodeId(1);
/// How long the last frames have to leave when the host stops.
const LAST_FRAMES: Duration = Duration::from_millis(500);
/// How long what games have saved may still wait for Db.
const LAST_SAVES: Duration = Duration::from_secs(5);
/// How long the store has for what waits to be written.
const LAST_WRITES: Duration = Duration::from_secs(5);
/// How long the store's own work has to end.
const LAST_REST: Duration = Duration::from_secs(2);
/// How long a backup that is being made has when everything else has stopped.
const LAST_BACKUP: Duration = Duration::from_secs(10);

type Services = JoinSet<Result<(), service_loop::Error>>;

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
    let store = Store::open(&config.server.store_dir(), lock)?;
    let registry = open_registry(&config, &store, clock)?;
    let engine = registry.engine();
    tokio::spawn(store.clone().watch());
    let journals = Journals::open(&config.server.data_dir, engine).context("the folder of journals")?;
    tokio::spawn(journals.clone().tidy(config.journals, clock));
    let scenes = recover_scenes(&store)?;
    let finished = recover(&store, FINISHED_PREFIX)?;
    let parties: Vec<(PartyId, Party)> = recover(&store, party::PREFIX)?;

    let threads = match config.server.scene_threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let (scene_threads, seeds) = SceneThreads::new(threads)?;
    let (bus, inboxes, to_host) = Bus::new(scene_threads.clone(), store.clone());
    let saves = Room::new();
    let (runs, failing) = FleetRuns::new();
    let logs = GameLogs::new();
    let joins = scene_thread::spawn(seeds, engine, &runs, &bus, clock, &saves, (&journals, &logs))?;

    let (stopping, stopping_seen) = watch::channel(false);
    let (draining, draining_seen) = watch::channel(false);
    let slots = engine.scenes_max().min(config.server.scenes_max);
    let (capacity, idle) = capacity::of(&config.node, slots);
    let rules = Rules::new(registry.clone(), config.server.plugins_dir.clone(), clock);
    let of_threads = (runs, scene_threads.clone());
    let of_plugins = (registry.clone(), journals.clone());
    let fleets = Fleets::open(of_plugins, &config, NODE, bus.clone(), of_threads, store.clone())?;
    let shell = Shell { clock, bus: bus.clone(), store: store.clone() };
    records::spawn(to_host.questions, shell.store.clone(), bus.clone())?;
    moderation::spawn(to_host.moderated, config.chat.moderation.as_ref(), bus.clone(), clock)?;
    let id_tokens = IdTokens::spawn(&config.auth.providers, clock, &bus)?;
    checks::spawn(to_host.checks, id_tokens, bus.clone(), StdRng::try_from_rng(&mut SysRng)?)?;
    let catalogue = keep_catalogue(&config, &bus)?;
    let streams = Streams::spawn(config.server.data_dir.join("match"), clock, &mut StdRng::try_from_rng(&mut SysRng)?)?;
    // Before Db or anybody else can change one.
    bus.send(lobby::Event::Recovered { parties }.into());
    let offer = Offer { url: "/v1/scene".to_owned(), capacity, idle, region: config.node.region.clone() };
    let (domains, mut new_domains) =
        Domains::open(&config, (registry.clone(), rules, streams), fleets.clone(), bus.clone(), store.clone())?;
    let plugins = Plugins::new(registry, domains.clone());
    tokio::spawn(plugins.clone().keep_away(failing));
    tokio::spawn(domains.clone().keep_current(file, edge::tls::Served::hang_ups()?));
    let mut services = start_services(&config, inboxes, &shell, offer.clone(), &domains, catalogue);
    forget_saves(&store, &bus, &journals)?;
    forget_drains(&store).await?;
    bus.send(scene_master::Event::Recovered { scenes, finished }.into());
    let Offer { url, capacity, idle, region } = offer;
    bus.send(scene_master::Event::NodeUp { node: NODE, url, capacity, idle, region }.into());

    let listener = listen(config.server.listen, "server.listen").await?;
    let ops_listener = listen(config.ops.listen, "ops.listen").await?;
    let (address, ops_address) = (listener.local_addr()?, ops_listener.local_addr()?);
    let limits = Arc::new(Limits::new(connections_max, &config.server.per_address));
    let tls = certificate(&config)?;
    let edge = Edge::new(bus.clone(), clock, &config, Arc::clone(&limits), stopping_seen.clone());
    let router = edge.router(config.server.pages_dir.clone());
    let path = config.server.store_dir().canonicalize().context("the store's folder")?;
    let backups = Backups::new(store.clone(), path, config.server.backup_dir());
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
    // Tests and tools wait for this line.
    tracing::info!(%address, %ops_address, scenes_max = slots, scene_threads = threads, "scenehost serves");
    serving(&bus);

    let failed = loop {
        tokio::select! {
            _ = stop.recv() => break None,
            () = bus.drained() => {
                tracing::info!("drained: nothing is left to run here");
                break None;
            }
            Some(new) = new_domains.recv() => start_match(&mut services, new, &domains, &shell),
            ended = services.join_next() => break Some(ended),
        }
    };
    if let Some(ended) = failed {
        scene_threads.stop();
        return Err(match ended {
            Some(Ok(Err(error))) => error.into(),
            Some(Err(error)) => anyhow!("a service failed: {error}"),
            Some(Ok(Ok(()))) | None => anyhow!("a service ended by itself"),
        });
    }

    tracing::info!(drain_ms = config.server.drain_ms, "stopping: no new matches, running games may end");
    let _ = draining.send(true); // Nobody asks for health any more: fine.
    bus.send(lobby::Event::Stopping.into());
    drain(&config, &bus, &mut stop).await;
    // The services still tell users in the lobby how their games ended.
    tokio::time::sleep(LAST_FRAMES).await;
    let _ = stopping.send(true);
    scene_threads.stop();
    for join in joins {
        let _ = tokio::task::spawn_blocking(move || join.join()).await;
    }
    tokio::time::sleep(LAST_FRAMES).await;
    let never_made = saves.cleared(LAST_SAVES).await;
    if never_made > 0 {
        tracing::error!(never_made, "what games have saved is lost: the store could not be written until the end");
    }
    services.shutdown().await;
    let written = store.finish(LAST_WRITES).await;
    if !backups.ended(LAST_BACKUP).await {
        tracing::warn!("a backup was not ready in time: it is given up");
    }
    store.rest(LAST_REST).await;
    written?;
    tracing::info!("stopped");
    Ok(())
}

/// The registry of plugins, with the engines that compile them and what they have compiled before.
fn open_registry(config: &Config, store: &Store, clock: Clock) -> anyhow::Result<Registry> {
    let folder = config.server.code_dir();
    let code = CodeCache::open(&folder, config.plugins.code_cache_bytes_max)
        .with_context(|| format!("the folder of compiled code, {}", folder.display()))?;
    let component_bytes_max = config.plugins.upload_bytes_max;
    let of_games = Options { scenes_max: config.server.scenes_max, component_bytes_max, ..Options::default() };
    let engine = Engine::with_cache(of_games, Some(code.clone()))?;
    let of_rules = rule::Options { component_bytes_max, ..rule::Options::default() };
    let rules = rule::Engine::with_cache(of_rules, Some(code.clone())).context("the rules of domains")?;
    let (folder, settings) = (config.server.uploads_dir(), config.plugins.clone());
    Ok(Registry::open((engine, rules, code), settings, folder, store.clone(), clock)?)
}

/// What clients are served with by TLS, kept current, if the host speaks that.
fn certificate(config: &Config) -> anyhow::Result<Option<Arc<edge::tls::Served>>> {
    let Some(files) = config.server.tls.clone() else { return Ok(None) };
    let served = Arc::new(edge::tls::Served::new(files).context("[server.tls]")?);
    let (hang_ups, kept) = (edge::tls::Served::hang_ups()?, Arc::clone(&served));
    tokio::spawn(async move { kept.keep_current(hang_ups).await });
    Ok(Some(served))
}

/// Gives running games the configured time, then ends them. A second signal ends the wait.
async fn drain(config: &Config, bus: &Bus, stop: &mut mpsc::Receiver<()>) {
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

/// The scenes that a host before this one has left.
fn recover_scenes(store: &Store) -> anyhow::Result<Vec<(SceneId, SceneRecord)>> {
    let scenes = recover(store, SCENE_PREFIX)?;
    if !scenes.is_empty() {
        tracing::warn!(scenes = scenes.len(), "there are scenes of the run before, which has not ended them");
    }
    Ok(scenes)
}

/// The records whose keys are this and an id; one that cannot be read is reported.
fn recover<Id: FromStr, Record: DeserializeOwned>(store: &Store, prefix: &str) -> anyhow::Result<Vec<(Id, Record)>> {
    let mut records = Vec::new();
    let mut unreadable = String::new();
    for (key, value) in store.scan(prefix)? {
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

/// The scenes of the run before are gone, so nobody asks for their saves again, but those that go on.
fn forget_saves(store: &Store, bus: &Bus, journals: &Journals) -> anyhow::Result<()> {
    for (key, _) in store.scan(save::SAVED_PREFIX)? {
        if let Some(scene) = save::saved_scene(&key).filter(|life| !journals.awaits(life.scene)) {
            let request = Box::new(db::Request::Save(save::Request::Ended(scene)));
            let (caller, asker) = (db::Caller::Host, db::Asker::Nobody);
            bus.send(db::Event::Req { caller, asker, request }.into());
        }
    }
    Ok(())
}

/// A node that was drained when the run before ended is not drained any more.
async fn forget_drains(store: &Store) -> anyhow::Result<()> {
    let drained = store.scan(DRAIN_PREFIX)?;
    if !drained.is_empty() {
        let writes = drained.into_iter().map(|(key, _)| Write::Delete { key }).collect();
        store.begin(writes).await?.synced().await?;
    }
    Ok(())
}

fn start_services(
    config: &Config,
    inboxes: Inboxes,
    shell: &Shell,
    offer: Offer,
    domains: &Domains,
    catalogue: watch::Receiver<Arc<Catalogue>>,
) -> Services {
    let mut services = JoinSet::new();
    let fleets = config.fleet_rules();
    let accounts = config.auth.accounts.clone();
    let generations = AtomicU64::new(1);
    // What Auth, Db and Match hold can be asked for again; the others know what nobody else does.
    services.spawn(service_loop::run(
        ServiceName::Auth,
        Auth::new(accounts.clone()),
        Some(move || {
            // Each Auth has four billion numbers of its own.
            let generation = generations.fetch_add(1, Ordering::Relaxed);
            Auth::new(accounts.clone()).numbered_after(generation << 32)
        }),
        inboxes.auth,
        shell.clone(),
    ));
    let mut rules = config.db_rules();
    rules.economy.catalogue = catalogue.borrow().clone();
    rules.results.rated = domains.rated();
    let rated = domains.clone();
    let generations = AtomicU64::new(1);
    services.spawn(service_loop::run(
        ServiceName::Db,
        Db::new(rules.clone()),
        Some(move || {
            let generation = generations.fetch_add(1, Ordering::Relaxed);
            let mut rules = rules.clone();
            rules.economy.catalogue = catalogue.borrow().clone();
            rules.results.rated = rated.rated();
            Db::new(rules).numbered_after(generation << 32)
        }),
        inboxes.db,
        shell.clone(),
    ));
    services.spawn(service_loop::run(
        ServiceName::Lobby,
        Lobby::new(domains.settings(), config.lobby.grace_ms)
            .with_chat(config.chat.clone())
            .with_parties(config.parties.clone()),
        None::<fn() -> Lobby>,
        inboxes.lobby,
        shell.clone(),
    ));
    let scene_master = SceneMaster::new(fleets.clone());
    let next_fleets = domains.fleets().clone();
    services.spawn(service_loop::run(
        ServiceName::SceneMaster,
        scene_master,
        Some(move || next_fleets.next_scene_master()),
        inboxes.scene_master,
        shell.clone(),
    ));
    let scene_service = SceneService::new(NODE, offer, fleets);
    let shell = shell.clone();
    services.spawn(async move {
        let bus = shell.bus.clone();
        bus.scene_service().run(scene_service, shell).await
    });
    services
}

/// Runs the handler of a domain that was not there before.
fn start_match(services: &mut Services, (name, inbox): NewDomain, domains: &Domains, shell: &Shell) {
    let Some(new) = domains.handlers(name) else { return };
    services.spawn(service_loop::run(ServiceName::Match, new(), Some(new), inbox, shell.clone()));
}

async fn listen(address: std::net::SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} ({setting}); is another scenehost running?"))
}
