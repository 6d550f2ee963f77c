//! The services of a host that is all there is: what they find of the run before, and their loops.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use scenehost_core::auth::Auth;
use scenehost_core::db::{self, Db};
use scenehost_core::economy::catalogue::Catalogue;
use scenehost_core::lobby::{self, Lobby};
use scenehost_core::party::{self, Party};
use scenehost_core::record::{DRAIN_PREFIX, FINISHED_PREFIX, SCENE_PREFIX, SceneRecord};
use scenehost_core::results::Finished;
use scenehost_core::save;
use scenehost_core::scene_master::{self, Offer, SceneMaster};
use scenehost_core::scene_service::SceneService;
use scenehost_core::{AllocationId, NodeId, PartyId, SceneId, ServiceName, Write};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::recover;
use crate::bus::{Bus, Inboxes};
use crate::cluster::unit::Unit;
use crate::config::Config;
use crate::domains::{Domains, New as NewDomain};
use crate::journals::Journals;
use crate::service_loop::{self, Shell};
use crate::store::Store;

/// The node of a host that is all there is.
pub const NODE: NodeId = NodeId(1);

pub type Services = JoinSet<Result<(), service_loop::Error>>;

/// What the run before has left.
pub struct Left {
    scenes: Vec<(SceneId, SceneRecord)>,
    finished: Vec<(AllocationId, Finished)>,
    parties: Vec<(PartyId, Party)>,
}

impl Left {
    pub async fn read(store: &Store) -> anyhow::Result<Self> {
        let scenes = recover_scenes(store).await?;
        let finished = recover(store, FINISHED_PREFIX).await?;
        let parties = recover(store, party::PREFIX).await?;
        Ok(Self { scenes, finished, parties })
    }
}

/// Starts all services but the handlers of domains, with what the run before has left.
pub async fn start(
    config: &Config,
    shell: &Shell,
    inboxes: Inboxes,
    offer: Offer,
    (domains, catalogue): (&Domains, watch::Receiver<Arc<Catalogue>>),
    (journals, left): (&Journals, Left),
) -> anyhow::Result<Services> {
    let (bus, store) = (&shell.bus, &shell.store);
    let Left { scenes, finished, parties } = left;
    // Before Db or anybody else can change one.
    bus.send(lobby::Event::Recovered { parties }.into());
    // Users of games that go on are not known to a lobby that begins anew: it has to ask for them.
    let mut lobby = lobby_of(config, domains);
    if !scenes.is_empty() {
        lobby = lobby.taking_over(shell.clock.now().0);
    }
    let services = start_services(config, inboxes, shell, offer.clone(), (lobby, domains), catalogue);
    forget_saves(store, bus, journals).await?;
    forget_drains(store).await?;
    bus.send(scene_master::Event::Recovered { scenes, finished }.into());
    let Offer { url, capacity, idle, region } = offer;
    bus.send(scene_master::Event::NodeUp { node: NODE, url, capacity, idle, region }.into());
    Ok(services)
}

/// The scenes that a host before this one has left.
async fn recover_scenes(store: &Store) -> anyhow::Result<Vec<(SceneId, SceneRecord)>> {
    let scenes = recover(store, SCENE_PREFIX).await?;
    if !scenes.is_empty() {
        tracing::warn!(scenes = scenes.len(), "there are scenes of the run before, which has not ended them");
    }
    Ok(scenes)
}

/// The scenes of the run before are gone, so nobody asks for their saves again, but those that go on.
async fn forget_saves(store: &Store, bus: &Bus, journals: &Journals) -> anyhow::Result<()> {
    for (key, _) in store.scan(save::SAVED_PREFIX).await? {
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
    let drained = store.scan(DRAIN_PREFIX).await?;
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
    (lobby, domains): (Lobby, &Domains),
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
    services.spawn(service_loop::run(ServiceName::Lobby, lobby, None::<fn() -> Lobby>, inboxes.lobby, shell.clone()));
    for (partition, inbox) in inboxes.scene_masters {
        let scene_master = SceneMaster::new(fleets.clone()).of(partition);
        let next_fleets = domains.fleets().clone();
        let next = move || next_fleets.next_scene_master(partition, [NODE]);
        let of_unit = Shell { bus: shell.bus.of_unit(Unit::SceneMaster(partition), 0), ..shell.clone() };
        services.spawn(service_loop::run(ServiceName::SceneMaster, scene_master, Some(next), inbox, of_unit));
    }
    let scene_service = SceneService::new(NODE, offer, fleets).with_partitions(config.partitions());
    let shell = shell.clone();
    services.spawn(async move {
        let bus = shell.bus.clone();
        bus.scene_service().run(scene_service, shell).await
    });
    services
}

/// A lobby with what the configuration says.
pub fn lobby_of(config: &Config, domains: &Domains) -> Lobby {
    Lobby::new(domains.settings(), config.lobby.grace_ms)
        .with_partitions(config.partitions())
        .with_chat(config.chat.clone())
        .with_parties(config.parties.clone())
}

/// Runs the handler of a domain that was not there before.
pub fn start_match(services: &mut Services, (name, inbox): NewDomain, domains: &Domains, shell: &Shell) {
    let Some(new) = domains.handlers(name.clone()) else { return };
    let shell = Shell { bus: shell.bus.of_unit(Unit::Match(name), 0), ..shell.clone() };
    services.spawn(service_loop::run(ServiceName::Match, new(), Some(new), inbox, shell));
}
