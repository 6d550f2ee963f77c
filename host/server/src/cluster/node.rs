//! Runs this node of a cluster: keeps its lease, hears of the others, and starts and stops units.
//!
//! Invariants: the units here hear that one elsewhere is gone before they hear anything of its successor. A node that is cut
//! off ends: everything it runs may be another node's by then, or is to be. It says so and exits, to be started anew as a
//! node without a past.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use metrics::gauge;
use scenehost_bus::link::SILENCE_MS_MAX;
use scenehost_bus::peers;
use scenehost_core::scene_master::{self, Offer};
use scenehost_core::{Message, NodeId, lobby, matching};
use scenehost_store::lease::{self, Leases};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::grant::Grant;
use super::router::{Place, Router, place};
use super::unit::Unit;
use super::view::cut_off::{CutOff, HOLD_MS, REACHES_MS};
use super::view::{Act, NodeRow, Row};
use super::wire::{Changed, Hello, To};
use crate::bus::Bus;
use crate::clock::Clock;

/// How long a lease lasts that is not renewed.
pub const LEASE: Duration = Duration::from_secs(5);
/// How long a node goes on after a renewal was sent that was granted.
pub const HOLD: Duration = Duration::from_millis(HOLD_MS);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How long the store may take for one word about leases.
const WORD_MAX: Duration = Duration::from_secs(3);
/// How often it looks at what time brings.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A node that has not looked for so long did not run: whom it hears is how it was before.
const LOOKS_MAX: Duration = Duration::from_secs(1);
/// After so long it knows again whom it hears. Longer than it takes until a node is found silent.
const HEARS_AFTER: Duration = Duration::from_millis(SILENCE_MS_MAX + 500);
/// How long a node leaves a unit alone that has ended on it, or that it was not given; others may take it meanwhile. Also
/// after how long it is asked again whether another node's lease can be ended.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How many answers of the store may wait.
const WORDS_MAX: usize = 256;
/// How long domains that are handed over because the node stops may take; their handlers have deadlines below that.
const HAND_OVER_MAX: Duration = Duration::from_millis(matching::HAND_OVER_MS_MAX + matching::HEARD_MS_MAX + 500);
/// How long giving back takes at most when the node stops.
const RELEASE_MAX: Duration = Duration::from_secs(2);

/// Why a node cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("this node has lost its lease: {0}")]
    Lost(lease::Error),
    #[error(
        "this node is cut off: it has not reached the store for {} ms and does not hear all the other nodes, so what it \
         ran may be theirs by now; it ends, to be started anew",
        .0.as_millis()
    )]
    CutOff(Duration),
    #[error(
        "this node is cut off from the store: it has not reached it for {} ms, and node {reached_by} does; it ends, so that \
         what it ran is had elsewhere",
        .without.as_millis()
    )]
    CutOffFromStore { without: Duration, reached_by: u16 },
    #[error(
        "this node is cut off from the other nodes: others that it does not hear go on without it; it ends, so that what \
         it ran is had elsewhere"
    )]
    CutOffFromNodes,
    #[error("this node takes no part any more: the bus has ended")]
    Bus,
}

/// A unit's work, from its start to its end.
pub type Work = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// Makes a unit's work: which, and in which epoch.
pub type Start = Box<dyn FnMut(&Unit, u64) -> Work + Send>;

/// What was asked of the store, answered.
enum Word {
    Renewed {
        sent: Duration,
        read: Result<(Vec<Row>, Vec<NodeRow>), lease::Error>,
    },
    Claimed {
        unit: Unit,
        result: Result<Option<u64>, lease::Error>,
    },
    /// A node's lease cannot be renewed any more.
    Ended {
        node: u16,
        result: Result<bool, lease::Error>,
    },
}

/// Keeps the lease of a node from when it was taken, so that it lasts while the host starts.
pub struct Keeper {
    leases: Leases,
    lease: lease::Node,
    clock: Clock,
    taken: Duration,
    words: (mpsc::Sender<Word>, mpsc::Receiver<Word>),
    /// Which nodes this one hears; `None` as long as it does not take part.
    hears: watch::Sender<Option<BTreeSet<u16>>>,
    _renewing: AbortOnDrop,
}

impl Keeper {
    /// The grant is extended with the lease.
    pub fn spawn(leases: Leases, lease: lease::Node, (clock, taken): (Clock, Duration), grant: Grant) -> Self {
        let words = mpsc::channel(WORDS_MAX);
        let hears = watch::Sender::new(None);
        let renewing = tokio::spawn(renew(leases.clone(), lease, (clock, grant), words.0.clone(), hears.subscribe()));
        Self { leases, lease, clock, taken, words, hears, _renewing: AbortOnDrop(renewing.abort_handle()) }
    }
}

/// See the module.
pub struct Node {
    router: Router,
    bus: Bus,
    keeper: Keeper,
    events: mpsc::Receiver<peers::Event>,
    changed: mpsc::Sender<Changed>,
    start: Start,
    began: Duration,
    /// When the last renewal was sent that was granted.
    renewed: Duration,
    /// When it has looked last, and since when it does without a break.
    looked: Duration,
    awake_since: Duration,
    /// What the store was asked and has not answered.
    claiming: BTreeSet<Unit>,
    ending: BTreeSet<u16>,
    /// When the work of units has ended here last by itself, or they were claimed last and not given.
    failed: BTreeMap<Unit, Duration>,
    /// When the leases of nodes were to be ended last and were not.
    not_ended: BTreeMap<u16, Duration>,
    work: JoinSet<(Unit, u64, anyhow::Result<()>)>,
    running: BTreeMap<Unit, (u64, AbortHandle)>,
    /// Since when the node hands its units over because it is to end, and whether that is done.
    leaving: Option<Duration>,
    has_left: watch::Sender<bool>,
}

impl Node {
    /// A node with its lease. What other nodes say has changed is given to `changed`.
    pub fn new(
        (router, bus): (Router, Bus),
        keeper: Keeper,
        events: mpsc::Receiver<peers::Event>,
        changed: mpsc::Sender<Changed>,
        start: Start,
    ) -> Self {
        Self {
            router,
            bus,
            began: keeper.clock.elapsed(),
            renewed: keeper.taken,
            looked: keeper.clock.elapsed(),
            awake_since: keeper.clock.elapsed(),
            keeper,
            events,
            changed,
            start,
            claiming: BTreeSet::new(),
            ending: BTreeSet::new(),
            failed: BTreeMap::new(),
            not_ended: BTreeMap::new(),
            work: JoinSet::new(),
            running: BTreeMap::new(),
            leaving: None,
            has_left: watch::Sender::new(false),
        }
    }

    /// Takes part until it cannot go on. Dropping the future stops all units.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn run(&mut self) -> Result<(), Error> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.events.recv() => self.heard(event.ok_or(Error::Bus)?),
                Some(word) = self.keeper.words.1.recv() => self.told(word)?,
                Some(ended) = self.work.join_next() => self.work_ended(ended),
                _ = look.tick() => {
                    self.keeper.hears.send_replace(Some(self.router.hears()));
                }
            }
            // What has come while the host was starting, or busy.
            while let Ok(word) = self.keeper.words.1.try_recv() {
                self.told(word)?;
            }
            let without = self.without();
            self.go_on(without)?;
            self.measure(without);
            self.act();
            self.leave_if_ready();
        }
    }

    /// How long ago the last renewal was sent that was granted.
    fn without(&self) -> Duration {
        self.keeper.clock.elapsed().saturating_sub(self.renewed)
    }

    /// Says whether the store is reached, and whether this node can go on.
    fn go_on(&mut self, without: Duration) -> Result<(), Error> {
        let now = self.keeper.clock.elapsed();
        if now.saturating_sub(self.looked) > LOOKS_MAX {
            self.awake_since = now;
        }
        self.looked = now;
        let (without_ms, now_ms) = (without.as_millis() as u64, self.now_ms());
        let (is_news, cut_off) = {
            let mut view = self.router.view();
            (view.set_reaches_store(without_ms <= REACHES_MS), view.cut_off(without_ms, now_ms))
        };
        if is_news {
            self.router.announce();
        }
        match cut_off {
            None => {
                // The store is away for all, as far as this node hears.
                if without > HOLD && now.saturating_sub(self.awake_since) >= HEARS_AFTER {
                    self.router.grant().extend(now + LOOKS_MAX);
                }
                Ok(())
            }
            Some(CutOff::Both) => Err(Error::CutOff(without)),
            Some(CutOff::Store { reached_by }) => Err(Error::CutOffFromStore { without, reached_by }),
            Some(CutOff::Nodes) => Err(Error::CutOffFromNodes),
        }
    }

    /// The units here go to other nodes, and this one claims none any more: first the domains, whose handlers have to
    /// come to an end with what they have begun, then all others.
    pub fn hand_over(&mut self) {
        self.router.view().claim_nothing();
        self.router.announce();
        self.leaving = Some(self.keeper.clock.elapsed());
        self.running.keys().for_each(|unit| self.have_handed_over(unit));
        self.leave_if_ready();
    }

    /// Whether the units here were handed over.
    pub fn has_left(&self) -> watch::Receiver<bool> {
        self.has_left.subscribe()
    }

    /// Has the handler of a domain hand over; its work ends when that is done.
    fn have_handed_over(&self, unit: &Unit) {
        if let Unit::Match(domain) = unit {
            self.bus.deliver(Message::Match(domain.clone(), matching::Event::HandOver));
        }
    }

    /// A SceneMaster has in the store what it is about: the next one goes on from there.
    fn give_to_newcomer(&mut self, unit: Unit) {
        let Some((epoch, _)) = self.running.get(&unit) else { return };
        let epoch = *epoch;
        self.stop(&unit);
        self.give_back(unit, epoch);
    }

    fn leave_if_ready(&mut self) {
        let Some(since) = self.leaving.filter(|_| !*self.has_left.borrow()) else { return };
        let is_late = self.keeper.clock.elapsed() - since > HAND_OVER_MAX;
        if !is_late && self.running.keys().any(|unit| matches!(unit, Unit::Match(_))) {
            return;
        }
        let units: Vec<(Unit, u64)> = self.running.iter().map(|(unit, (epoch, _))| (unit.clone(), *epoch)).collect();
        for (unit, epoch) in units {
            self.stop(&unit);
            self.give_back(unit, epoch);
        }
        self.router.announce();
        self.has_left.send_replace(true);
    }

    /// Gives everything back, so that others have it at once.
    pub async fn release(&mut self) {
        let units: Vec<Unit> = self.running.keys().cloned().collect();
        units.iter().for_each(|unit| self.stop(unit));
        self.work.shutdown().await;
        if self.without() > HOLD {
            return; // The store is not there to hear it.
        }
        let give_back = async {
            if let Err(error) = self.keeper.leases.release_node(&self.keeper.lease).await {
                tracing::warn!(%error, "the lease was not given back: the others wait until it has run out");
            }
        };
        let _ = tokio::time::timeout(RELEASE_MAX, give_back).await; // It runs out by itself.
    }

    fn now_ms(&self) -> u64 {
        (self.keeper.clock.elapsed() - self.began).as_millis() as u64
    }

    fn heard(&mut self, event: peers::Event) {
        let now_ms = self.now_ms();
        match event {
            peers::Event::Up { node, incarnation, link, hello } => {
                let Some(hello) = read_hello(node, &hello) else { return };
                tracing::info!(node, incarnation, release = %hello.release, "a node is up");
                self.router.view().peer_up(node, (incarnation, link), hello, now_ms);
                // What was changed there while it was not heard was told to nobody here.
                Changed::ALL.into_iter().for_each(|what| self.read_again(what));
            }
            peers::Event::Hello { node, hello } => {
                if let Some(hello) = read_hello(node, &hello) {
                    self.router.view().peer_hello(node, hello, now_ms);
                }
            }
            peers::Event::Down { node, why } => {
                tracing::warn!(node, ?why, "a node is down");
                self.router.view().peer_down(node, now_ms);
            }
            peers::Event::Message { node, bytes, .. } => match self.router.received(node, &bytes) {
                Some(To::Unit { unit, message, .. }) => {
                    if self.router.view().has_heard_higher() {
                        self.act();
                    }
                    self.bus.deliver_to(&unit, *message);
                }
                Some(To::Node { message }) => {
                    if self.router.view().has_heard_higher() {
                        self.act();
                    }
                    self.deliver(*message);
                }
                Some(To::Changed(what)) => self.read_again(what),
                None => {}
            },
        }
    }

    /// Something may have been changed on another node.
    fn read_again(&self, what: Changed) {
        if let Err(full) = self.changed.try_send(what) {
            let what = full.into_inner();
            tracing::warn!(?what, "too many changes wait to be read: this one is read with the next");
        }
    }

    /// What another node has sent. What stays in its process is nobody's to send.
    fn deliver(&self, message: Message) {
        match place(&message) {
            Place::Here => tracing::error!(?message, "another node has sent what stays in its process"),
            _ => self.bus.deliver(message),
        }
    }

    fn told(&mut self, word: Word) -> Result<(), Error> {
        match word {
            Word::Renewed { sent, read: Ok((rows, nodes)) } => {
                self.renewed = sent;
                let now_ms = self.now_ms();
                self.router.view().read(rows, nodes, now_ms);
            }
            Word::Renewed { read: Err(error @ lease::Error::Lost(_)), .. } => return Err(Error::Lost(error)),
            Word::Renewed { read: Err(error), .. } => tracing::warn!(%error, "the lease was not renewed"),
            Word::Claimed { unit, result } => {
                self.claiming.remove(&unit);
                if let Ok(Some(epoch)) = result {
                    self.begin(unit, epoch);
                    return Ok(());
                }
                // Without an error another node was faster.
                result.err().into_iter().for_each(|error| tracing::warn!(%unit, %error, "a unit was not claimed"));
                self.failed.insert(unit, self.keeper.clock.elapsed());
            }
            Word::Ended { node, result } => {
                self.ending.remove(&node);
                match result {
                    Ok(true) => {
                        self.router.view().ended(node);
                        self.bus.deliver(scene_master::Event::NodeDown { node: NodeId(node.into()) }.into());
                        return Ok(());
                    }
                    Ok(false) => {} // It has come back.
                    Err(error) => tracing::warn!(node, %error, "whether a node is gone for good is not known yet"),
                }
                self.not_ended.insert(node, self.keeper.clock.elapsed());
            }
        }
        Ok(())
    }

    fn measure(&self, without: Duration) {
        let view = self.router.view();
        gauge!("scenehost_cluster_nodes").set(1.0 + view.others().len() as f64);
        gauge!("scenehost_cluster_units").set(view.own().len() as f64);
        gauge!("scenehost_cluster_lease_age_ms").set(without.as_millis() as f64);
    }

    fn act(&mut self) {
        let now_ms = self.now_ms();
        let acts = self.router.view().acts(now_ms);
        let mut has_changed = false;
        for act in acts {
            match act {
                Act::Claim(unit) => self.claim(unit),
                Act::Stop(unit) => {
                    tracing::warn!(%unit, "this node does not run a unit any more");
                    let epoch = self.running.get(&unit).map(|(epoch, _)| *epoch);
                    self.stop(&unit);
                    // Without this one that is wanted again, as a domain may be, would be nobody's to claim.
                    epoch.into_iter().for_each(|epoch| self.give_back(unit.clone(), epoch));
                    has_changed = true;
                }
                Act::HandOver(unit) => {
                    tracing::info!(%unit, "a node that has come is given a unit");
                    match unit {
                        Unit::SceneMaster(_) => {
                            self.give_to_newcomer(unit);
                            has_changed = true;
                        }
                        _ => self.have_handed_over(&unit),
                    }
                }
                Act::Tell(unit, up) => {
                    tracing::info!(%unit, up, "a unit");
                    self.bus.tell_unit(&unit, up);
                }
                Act::NodeUp(node, Offer { url, capacity, idle, region }) => {
                    let node = NodeId(node.into());
                    let event = scene_master::Event::NodeUp { node, url, capacity, idle, region };
                    self.bus.deliver(event.into());
                }
                Act::NodeDown(node) => {
                    self.bus.deliver(scene_master::Event::NodeDown { node: NodeId(node.into()) }.into());
                }
                Act::End(node, incarnation) => self.end(lease::Node { number: node, incarnation }),
                Act::EdgeLost(node) => {
                    for connection in self.router.take_edge(node) {
                        self.bus.deliver(lobby::Event::Closed { connection, left: false }.into());
                    }
                }
                Act::LobbyLost => self.bus.cut_users_off(),
            }
        }
        if has_changed {
            self.router.announce();
        }
    }

    fn claim(&mut self, unit: Unit) {
        if self.is_recent(self.failed.get(&unit)) || !self.claiming.insert(unit.clone()) {
            return;
        }
        let (leases, lease, words) = (self.keeper.leases.clone(), self.keeper.lease, self.keeper.words.0.clone());
        tokio::spawn(async move {
            let result = in_time(leases.claim_unit(&unit.to_string(), &lease)).await;
            let _ = words.send(Word::Claimed { unit, result }).await; // The node has ended: nobody waits.
        });
    }

    fn is_recent(&self, failure: Option<&Duration>) -> bool {
        failure.is_some_and(|at| self.keeper.clock.elapsed() - *at < AFTER_FAILURE)
    }

    fn end(&mut self, other: lease::Node) {
        if self.is_recent(self.not_ended.get(&other.number)) || !self.ending.insert(other.number) {
            return;
        }
        let (leases, words) = (self.keeper.leases.clone(), self.keeper.words.0.clone());
        tokio::spawn(async move {
            let result = in_time(leases.end_node(&other)).await;
            let _ = words.send(Word::Ended { node: other.number, result }).await;
        });
    }

    fn begin(&mut self, unit: Unit, epoch: u64) {
        tracing::info!(%unit, epoch, "this node runs a unit");
        self.router.view().claimed(unit.clone(), epoch);
        // Whoever is here hears of the one before before this one says anything.
        self.act();
        let work = (self.start)(&unit, epoch);
        let of = unit.clone();
        let handle = self.work.spawn(async move { (of, epoch, work.await) });
        self.running.insert(unit, (epoch, handle));
        self.router.announce();
    }

    fn stop(&mut self, unit: &Unit) {
        if let Some((_, handle)) = self.running.remove(unit) {
            handle.abort();
        }
        self.bus.close_unit(unit);
        self.router.view().stopped(unit);
        if *unit == Unit::Lobby {
            self.router.forget_edges();
        }
    }

    /// A unit's work has ended by itself: it was handed over, or it has failed; whoever claims it begins anew.
    fn work_ended(&mut self, ended: Result<(Unit, u64, anyhow::Result<()>), tokio::task::JoinError>) {
        let (unit, epoch) = match ended {
            Ok((unit, epoch, result)) => {
                match result {
                    Ok(()) => tracing::info!(%unit, epoch, "a unit was handed over"),
                    Err(error) => tracing::error!(%unit, epoch, %error, "a unit has failed"),
                }
                (unit, epoch)
            }
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                tracing::error!(%error, "a unit has failed");
                let failed = self.running.iter().find(|(_, (_, handle))| handle.is_finished());
                let Some((unit, (epoch, _))) = failed else { return };
                (unit.clone(), *epoch)
            }
        };
        if self.running.get(&unit).is_none_or(|(running, _)| *running != epoch) {
            return;
        }
        self.stop(&unit);
        self.failed.insert(unit.clone(), self.keeper.clock.elapsed());
        self.router.announce();
        self.give_back(unit, epoch);
    }

    /// Tells the store that a unit is free, until it has heard that: nobody else can have it before.
    fn give_back(&self, unit: Unit, epoch: u64) {
        let (leases, lease) = (self.keeper.leases.clone(), self.keeper.lease);
        tokio::spawn(async move {
            while let Err(error) = in_time(leases.release_unit(&unit.to_string(), &lease, epoch)).await {
                tracing::warn!(%unit, %error, "a unit was not given back");
                if !matches!(error, lease::Error::Store(_)) {
                    return; // It is not this node's any more.
                }
                tokio::time::sleep(RENEW_EVERY).await;
            }
        });
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Renews the lease, with which nodes are heard, and reads what the store says, for ever.
async fn renew(
    leases: Leases,
    lease: lease::Node,
    (clock, grant): (Clock, Grant),
    words: mpsc::Sender<Word>,
    hears: watch::Receiver<Option<BTreeSet<u16>>>,
) {
    let mut every = tokio::time::interval(RENEW_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let sent = clock.elapsed();
        let read = in_time(async {
            let hears = hears.borrow().clone();
            leases.renew_saying(&lease, LEASE, hears.as_ref()).await?;
            Ok((rows(leases.units().await?), nodes(&leases.nodes().await?)))
        });
        let read = read.await;
        if read.is_ok() {
            grant.extend(sent + HOLD);
        }
        // The lease lasts whether or not anybody hears of it: a host that is still starting takes no words.
        if let Err(TrySendError::Closed(_)) = words.try_send(Word::Renewed { sent, read }) {
            return;
        }
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, lease::Error>>) -> Result<T, lease::Error> {
    let late = |_| Err(lease::Error::Store(scenehost_store::Error::Down));
    tokio::time::timeout(WORD_MAX, asked).await.unwrap_or_else(late)
}

fn rows(units: Vec<lease::Unit>) -> Vec<Row> {
    let row = |of: lease::Unit| {
        let holder = of.holder.map(|holder| (holder.number, holder.incarnation));
        // One of a later version is none of ours.
        Some(Row { unit: of.name.parse().ok()?, epoch: of.epoch, holder })
    };
    units.into_iter().filter_map(row).collect()
}

fn nodes(leases: &[lease::Lease]) -> Vec<NodeRow> {
    let row = |lease: &lease::Lease| {
        let lease::Node { number, incarnation } = lease.node;
        NodeRow { node: number, incarnation, is_alive: !lease.left.is_zero(), hears: lease.hears.clone() }
    };
    leases.iter().map(row).collect()
}

fn read_hello(node: u16, bytes: &Bytes) -> Option<Hello> {
    match Hello::decode(bytes) {
        Ok(hello) => Some(hello),
        Err(error) => {
            tracing::error!(node, %error, "a node is passed over");
            None
        }
    }
}
