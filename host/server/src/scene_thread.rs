//! A thread that owns scenes: their components, their seats, and the sockets of their users.
//!
//! Sockets, steps and frames of a scene share one thread, so that a message meets no lock, no queue
//! and no wake-up between the socket and the game. One turn of the thread: read what the sockets
//! have, step what is due, take orders from the services, send.
//!
//! Invariant: nothing here waits but the poll, and the poll waits until the next step or deadline
//! at most.

mod connection;
mod game;
mod lane;
mod ledger;
mod logs;
mod runs;
mod saves;
mod socket;
mod turn;
mod usage;
mod watch;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use mio::{Poll, Waker};
use scenehost_core::scene_service::ToScene;
use scenehost_core::{Incarnation, SceneId};
use scenehost_engine::{Aside, Engine};
use tokio::sync::oneshot;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::game_logs::GameLogs;
use crate::journals::{Journals, Writer};
pub use connection::NewSocket;
use lane::Lane;
use logs::SceneLogs;
pub use runs::{Failing, FleetRun, FleetRuns, Targets};
use saves::Made;
pub use saves::Room;
pub use usage::SceneUse;

/// How many orders may wait for a thread.
const ORDERS_MAX: usize = 65_536;

/// What a thread is told from outside.
enum Order {
    Scene(SceneId, ToScene),
    Socket(SceneId, NewSocket),
    /// What has come of a save of the scene, by its number.
    Saved(Incarnation, u64, Made),
    /// Running scenes of these fleets change to these builds.
    Swap(Arc<Targets>),
    /// What a scene has used is wanted; without an answer it is not here.
    Usage(SceneId, oneshot::Sender<SceneUse>),
    /// A slow scene's call was made.
    Back(Box<Aside>),
    /// Close every socket and end.
    Stop,
}

impl Order {
    /// The scene that has to be there for it.
    fn scene(&self) -> Option<SceneId> {
        match self {
            Self::Scene(id, _) | Self::Usage(id, _) => Some(*id),
            Self::Saved(of, ..) => Some(of.scene),
            Self::Socket(..) | Self::Swap(_) | Self::Back(_) | Self::Stop => None,
        }
    }
}

/// The threads' inboxes. Cheap to clone. A scene's thread follows from its id, so that everyone
/// finds it without asking.
#[derive(Clone)]
pub struct SceneThreads(Arc<[Handle]>);

struct Handle {
    orders: SyncSender<Order>,
    waker: Waker,
    /// It was woken and has not looked at its orders since: another order needs no system call.
    woken: AtomicBool,
    running: AtomicBool,
    /// When its last turn was over, in milliseconds since the start of the host.
    turned_ms: AtomicU64,
    /// It stands until it is known that its node still has its lease.
    waits_for_lease: AtomicBool,
    scenes: AtomicUsize,
    connections: AtomicUsize,
}

/// What a thread is made of, before it runs.
pub struct Seed {
    poll: Poll,
    orders: std::sync::mpsc::Receiver<Order>,
    threads: SceneThreads,
    index: usize,
}

impl SceneThreads {
    /// Prepares so many threads; [`spawn`] starts them.
    pub fn new(count: usize) -> io::Result<(Self, Vec<Seed>)> {
        let mut handles = Vec::with_capacity(count);
        let mut parts = Vec::with_capacity(count);
        for _ in 0..count {
            let poll = Poll::new()?;
            let (orders, receiver) = sync_channel(ORDERS_MAX);
            handles.push(Handle {
                orders,
                waker: Waker::new(poll.registry(), turn::WAKE)?,
                woken: AtomicBool::new(false),
                running: AtomicBool::new(true),
                turned_ms: AtomicU64::new(0),
                waits_for_lease: AtomicBool::new(false),
                scenes: AtomicUsize::new(0),
                connections: AtomicUsize::new(0),
            });
            parts.push((poll, receiver));
        }
        let threads = Self(handles.into());
        let seed = |(index, (poll, orders))| Seed { poll, orders, threads: threads.clone(), index };
        let seeds = parts.into_iter().enumerate().map(seed).collect();
        Ok((threads, seeds))
    }

    /// Passes an order to a scene's handler; false if its thread's inbox is full.
    pub fn order(&self, scene: SceneId, order: ToScene) -> bool {
        self.handle(scene).put(Order::Scene(scene, order)).is_ok()
    }

    /// Passes a user's socket to the thread of a scene; false if its inbox is full.
    pub fn socket(&self, scene: SceneId, socket: NewSocket) -> bool {
        self.handle(scene).put(Order::Socket(scene, socket)).is_ok()
    }

    /// What a scene has used; the answer never comes where there is no such scene, or its thread's inbox is full.
    pub fn usage(&self, scene: SceneId) -> oneshot::Receiver<SceneUse> {
        let (answer, heard) = oneshot::channel();
        let _ = self.handle(scene).put(Order::Usage(scene, answer)); // Dropping it is an answer, too.
        heard
    }

    /// Tells every thread to change its scenes of these fleets. One whose inbox is full is reported: its scenes keep what
    /// they have.
    pub fn swap(&self, targets: &Arc<Targets>) {
        for (index, handle) in self.0.iter().enumerate() {
            if handle.put(Order::Swap(Arc::clone(targets))).is_err() {
                tracing::error!(
                    thread = index,
                    "a scene thread has no room for orders: its scenes keep their versions"
                );
            }
        }
    }

    /// Tells every thread to end; its sockets are closed with the reason.
    pub fn stop(&self) {
        for handle in self.0.iter() {
            let _ = handle.put(Order::Stop); // One that is over needs no order.
        }
    }

    /// Whether every thread still runs.
    pub fn all_running(&self) -> bool {
        self.0.iter().all(|handle| handle.running.load(Ordering::Relaxed))
    }

    /// Whether the thread of a scene holds as many connections as it may.
    pub fn is_full(&self, scene: SceneId) -> bool {
        self.handle(scene).connections.load(Ordering::Relaxed) >= turn::CONNECTIONS_MAX
    }

    /// How many scenes live on all threads.
    pub fn scenes(&self) -> usize {
        self.0.iter().map(|handle| handle.scenes.load(Ordering::Relaxed)).sum()
    }

    fn handle(&self, scene: SceneId) -> &Handle {
        &self.0[(scene.0 % self.0.len() as u64) as usize]
    }
}

impl Handle {
    /// Passes an order; it comes back if there is no room for it.
    fn put(&self, order: Order) -> Result<(), Order> {
        self.orders.try_send(order).map_err(|(TrySendError::Full(order) | TrySendError::Disconnected(order))| order)?;
        if !self.woken.swap(true, Ordering::AcqRel) {
            // Without this it is seen at the thread's next sweep.
            let _ = self.waker.wake();
        }
        Ok(())
    }
}

/// Says that a thread has ended, also when it ends by a panic, so that health tells the truth.
struct Running {
    threads: SceneThreads,
    index: usize,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.threads.0[self.index].running.store(false, Ordering::Relaxed);
    }
}

/// Starts the threads.
pub fn spawn(
    seeds: Vec<Seed>,
    engine: &Engine,
    fleets: &FleetRuns,
    bus: &Bus,
    clock: Clock,
    saves: &Room,
    (journals, logs): (&Journals, &GameLogs),
) -> io::Result<Vec<std::thread::JoinHandle<()>>> {
    let runtime = tokio::runtime::Handle::current();
    let mut joins = Vec::with_capacity(seeds.len());
    for seed in seeds {
        let (fleets, bus, runtime) = (fleets.clone(), bus.clone(), runtime.clone());
        let (saves, journals) = (saves.clone(), Writer::new(journals.clone()));
        let logs = SceneLogs::new(logs.clone());
        // Guests run on these stacks; running out of one would end the process.
        let stack_bytes = engine.thread_stack_bytes_min().max(2 << 20);
        let lane = Lane::spawn(seed.index, stack_bytes, seed.threads.clone(), clock)?;
        let builder = std::thread::Builder::new().name(format!("scenes-{}", seed.index)).stack_size(stack_bytes);
        joins.push(builder.spawn(move || {
            let _running = Running { threads: seed.threads.clone(), index: seed.index };
            turn::SceneThread::new(seed, fleets, bus, clock, runtime, saves, (journals, logs, lane)).run();
        })?);
    }
    Ok(joins)
}
