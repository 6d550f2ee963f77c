//! What a host does besides its edge and its scenes: all services, or a node's part of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use scenehost_core::economy::catalogue::Catalogue;
use scenehost_core::scene_master::{self, Offer, Order};
use scenehost_core::scene_service::SceneService;
use scenehost_core::{NodeId, lobby};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::member::{Member, Running};
use super::services::{self, Left, Services};
use crate::bus::Bus;
use crate::cluster::unit::Role;
use crate::config::Config;
use crate::domains::{Domains, New as NewDomain};
use crate::journals::Journals;
use crate::service_loop::Shell;
use crate::units::Units;

/// How often a SceneMaster is looked for that drains this node, and how long at most: one that has to write it down may
/// have no store to do so.
const ASK_EVERY: Duration = Duration::from_millis(200);
const ASKS_MAX: Duration = Duration::from_secs(10);

/// See the module.
pub enum Part {
    /// This host is all there is.
    All { services: Services, new_domains: mpsc::Receiver<NewDomain>, domains: Domains, shell: Shell },
    /// It is a node.
    OfNode { running: Box<Running>, services: Services, node: NodeId },
}

impl Part {
    /// Starts all services.
    pub async fn all(
        config: &Config,
        shell: &Shell,
        offer: Offer,
        (domains, new_domains, catalogue): (&Domains, mpsc::Receiver<NewDomain>, watch::Receiver<Arc<Catalogue>>),
        left: (&Journals, Left, crate::bus::Inboxes),
    ) -> anyhow::Result<Self> {
        let (journals, left, inboxes) = left;
        let services = services::start(config, shell, inboxes, offer, (domains, catalogue), (journals, left)).await?;
        Ok(Self::All { services, new_domains, domains: domains.clone(), shell: shell.clone() })
    }

    /// Takes part in a cluster.
    pub fn of_node(
        member: Member,
        config: &Config,
        shell: &Shell,
        offer: Offer,
        (domains, catalogue): (&Domains, watch::Receiver<Arc<Catalogue>>),
    ) -> Self {
        let node = member.node();
        let mut services = JoinSet::new();
        if member.has(Role::SceneService) {
            let service = SceneService::new(node, member.offer(offer), config.fleet_rules());
            let service = service.with_partitions(config.partitions());
            let shell = shell.clone();
            services.spawn(async move {
                let bus = shell.bus.clone();
                bus.scene_service().run(service, shell).await
            });
        } else {
            shell.bus.scene_service().never_begin();
        }
        let units = Units { config: config.clone(), shell: shell.clone(), domains: domains.clone(), catalogue };
        let (running, mut changes) = member.run(&shell.bus, units.start());
        let domains = domains.clone();
        // Beside the node, which must not wait: what has changed may have to be compiled.
        tokio::spawn(async move {
            while let Some(what) = changes.recv().await {
                domains.read_changed(what).await;
            }
        });
        Self::OfNode { running: Box::new(running), services, node }
    }

    /// Runs until something fails that the host cannot do without; what that is. Dropping the future loses nothing.
    pub async fn run(&mut self) -> anyhow::Error {
        match self {
            Self::All { services, new_domains, domains, shell } => loop {
                tokio::select! {
                    Some(new) = new_domains.recv() => services::start_match(services, new, domains, shell),
                    ended = services.join_next() => return failure(ended),
                }
            },
            Self::OfNode { running, services, .. } => {
                tokio::select! {
                    Some(ended) = services.join_next() => failure(Some(ended)),
                    ended = running.node.run() => match ended {
                        Err(error) => error.into(),
                        Ok(()) => anyhow!("this node takes no part any more"),
                    },
                }
            }
        }
    }

    /// The host is going to stop: no new matches here, and a node's units go to others.
    pub fn begin_to_stop(&mut self, bus: &Bus) {
        match self {
            Self::All { .. } => bus.send(lobby::Event::Stopping.into()),
            Self::OfNode { running, .. } => running.node.hand_over(),
        }
    }

    /// The units here go to others, and the scenes are told to come to their end.
    pub fn drain(&self, bus: &Bus) -> impl Future<Output = ()> + use<> {
        let of_node = match self {
            Self::All { .. } => None,
            Self::OfNode { node, running, .. } => Some((*node, running.node.has_left())),
        };
        let bus = bus.clone();
        async move {
            let Some((node, mut has_left)) = of_node else { return };
            // The SceneMaster that is asked is to be the one that stays. Without the node there is nothing to wait for.
            let _ = has_left.wait_for(|has_left| *has_left).await;
            drain_scenes(node, &bus).await;
        }
    }

    /// Whether it is all there is: then ending a scene is for this host alone to say.
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All { .. })
    }

    /// Ends everything.
    pub async fn end(self) {
        match self {
            Self::All { mut services, .. } => services.shutdown().await,
            Self::OfNode { running, mut services, .. } => {
                services.shutdown().await;
                running.leave().await;
            }
        }
    }
}

/// Has SceneMaster drain the scenes of a node, as soon as there is one.
async fn drain_scenes(node: NodeId, bus: &Bus) {
    let ask = async {
        loop {
            let order = Order::DrainNode { node, exits: false };
            let asked = bus.ask_scene_master(|number| scene_master::Event::ReqOperator { number, order });
            match asked.await {
                Ok(_) => return,
                Err(refusal) if refusal.is_passing() => tokio::time::sleep(ASK_EVERY).await,
                Err(refusal) => return tracing::warn!(%refusal, "this node's scenes are not drained"),
            }
        }
    };
    if tokio::time::timeout(ASKS_MAX, ask).await.is_err() {
        tracing::warn!("there is no SceneMaster to drain this node: its scenes end with it");
    }
}

fn failure<E: std::error::Error + Send + Sync + 'static>(
    ended: Option<Result<Result<(), E>, tokio::task::JoinError>>,
) -> anyhow::Error {
    match ended {
        Some(Ok(Err(error))) => error.into(),
        Some(Err(error)) => anyhow!("a service failed: {error}"),
        Some(Ok(Ok(()))) | None => anyhow!("a service ended by itself"),
    }
}
