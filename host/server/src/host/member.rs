//! How a host joins a cluster: takes its lease, reaches the bus, and knows of nobody yet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rand::rngs::{StdRng, SysRng};
use rand::{Rng as _, SeedableRng as _};
use scenehost_bus::driver::nats::Nats;
use scenehost_bus::peers::{self, Runner, Settings};
use scenehost_bus::{Driver, Peers};
use scenehost_core::NodeId;
use scenehost_core::scene_master::Offer;
use tokio::sync::{mpsc, oneshot};

use crate::bus::Bus;
use crate::clock::Clock;
use crate::cluster::grant::Grant;
use crate::cluster::node::{HOLD, Keeper, LEASE, Node, Start};
use crate::cluster::router::Router;
use crate::cluster::unit::Role;
use crate::cluster::view::View;
use crate::cluster::wire::{Changed, SPEAKS};
use crate::config::{self, Config, StoreConfig};
use crate::store::Store;
use crate::store::lease::{self, Lease, Leases, Terms};

/// How long it is from one look at a lease that somebody has to the next.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How many words of other nodes about changes may wait.
const CHANGES_MAX: usize = 64;
/// How long the bus has for its last words.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A host that has joined, and does not take part yet.
pub struct Member {
    pub router: Router,
    roles: BTreeSet<Role>,
    scene_url: String,
    keeper: Keeper,
    runner: Runner,
    events: mpsc::Receiver<peers::Event>,
}

/// One that takes part.
pub struct Running {
    pub node: Node,
    leave: oneshot::Sender<()>,
    bus: tokio::task::JoinHandle<Result<(), peers::Error>>,
}

impl Member {
    /// Takes a lease and connects. The offer is what the node gives to scenes, if it runs any.
    pub async fn join(
        config: &Config,
        of: &config::Cluster,
        (store, clock): (&Store, Clock),
        offer: Offer,
    ) -> anyhow::Result<Self> {
        if !matches!(config.store, StoreConfig::Postgres(_)) {
            bail!("[cluster] needs a store that all nodes share: set kind = \"postgres\" in [store]");
        }
        let leases = store.leases();
        let taken = clock.elapsed();
        let lease = take(&leases, of.node).await.context("[cluster]")?;
        if let Err(refused) = meet(&leases, lease, of.scene_master_partitions).await {
            // So that who works with the others can have the number at once; else it runs out by itself.
            let _ = leases.release_node(&lease).await;
            return Err(refused.context("[cluster]"));
        }
        let grant = Grant::new(clock, taken + HOLD);
        let keeper = Keeper::spawn(leases, lease, (clock, taken), grant.clone());
        let name = format!("scenehost {} node {}", of.name, lease.number);
        let settings = of.nats.settings(name).map_err(anyhow::Error::msg).context("[cluster.nats]")?;
        let driver: Arc<dyn Driver> = Arc::new(Nats::connect(settings).await.context("[cluster.nats]")?);
        let scene_url = scene_url(of);
        let offer = of.roles.contains(&Role::SceneService).then(|| Offer { url: scene_url.clone(), ..offer });
        let view = View::new(lease.number, lease.incarnation, of.roles.clone(), offer, config.partitions());
        let settings = Settings {
            prefix: format!("scenehost.{}", of.name),
            node: lease.number,
            incarnation: lease.incarnation,
            process: StdRng::try_from_rng(&mut SysRng)?.next_u64(),
            hello: view.hello().encode(),
        };
        let (peers, runner, events) = Peers::new(driver, settings).context("[cluster]")?;
        tracing::info!(node = %lease, cluster = of.name, "this host is a node");
        let router = Router::new(lease.number, peers, view, grant);
        Ok(Self { router, roles: of.roles.clone(), scene_url, keeper, runner, events })
    }

    /// Whether it has a role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// What it gives to scenes, with where their users' connections go.
    pub fn offer(&self, offer: Offer) -> Offer {
        Offer { url: self.scene_url.clone(), ..offer }
    }

    /// Its number, as SceneMaster knows it.
    pub fn node(&self) -> NodeId {
        NodeId(self.router.me().into())
    }

    /// Takes part from now on; and what may have been changed by operators on other nodes.
    pub fn run(self, bus: &Bus, start: Start) -> (Running, mpsc::Receiver<Changed>) {
        let (leave, left) = oneshot::channel::<()>();
        let (changed, changes) = mpsc::channel(CHANGES_MAX);
        let runner = self.runner.run(async {
            let _ = left.await; // Its sender gone means the same.
        });
        let node = Node::new((self.router, bus.clone()), self.keeper, self.events, changed, start);
        (Running { node, leave, bus: tokio::spawn(runner) }, changes)
    }
}

impl Running {
    /// Gives everything back and says goodbye.
    pub async fn leave(mut self) {
        self.node.release().await;
        let _ = self.leave.send(()); // It has ended already.
        let _ = tokio::time::timeout(LAST_WORDS, self.bus).await; // Silence says the same, only later.
    }
}

/// The number, as soon as nobody has it, if that is within the time of a lease that is not renewed.
async fn take(leases: &Leases, preferred: Option<u16>) -> Result<lease::Node, lease::Error> {
    let looks = 2 + LEASE.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        match leases.take_node(preferred, LEASE).await {
            Err(lease::Error::Held { .. }) => tokio::time::sleep(LOOK_EVERY).await,
            taken => return taken,
        }
    }
    leases.take_node(preferred, LEASE).await
}

/// Tells on which terms this node works, and looks whether all that are there can work with it. Of two that come at once
/// each has told before it looks, so they do not miss each other.
async fn meet(leases: &Leases, me: lease::Node, partitions: u16) -> anyhow::Result<()> {
    leases.note_terms(&me, Terms { speaks: SPEAKS, partitions }).await?;
    for Lease { node, left, terms, .. } in leases.nodes().await? {
        let Some(Terms { speaks, partitions: theirs }) = terms.filter(|_| node != me && !left.is_zero()) else {
            continue;
        };
        if !SPEAKS.works_with(speaks) {
            bail!(
                "this binary {SPEAKS} of what nodes say to each other, and node {node}, which is there, {speaks}: they cannot \
                 work together. Stop all nodes before the first of this binary is started, or use one in between"
            );
        }
        if theirs != partitions {
            bail!(
                "scene_master_partitions is {partitions} here, and {theirs} on node {node}, which is there: all nodes need \
                 the same number, and all have to be stopped before it is changed"
            );
        }
    }
    Ok(())
}

/// Where the scenes' connections of users go.
fn scene_url(of: &config::Cluster) -> String {
    let path = "/v1/scene";
    of.url.as_ref().map_or_else(|| path.to_owned(), |url| format!("{}{path}", url.trim_end_matches('/')))
}
