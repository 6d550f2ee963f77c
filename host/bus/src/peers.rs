//! The nodes of a cluster as one of them sees them: who is there, and a link to each.
//!
//! [`Peers`] is the handle, cheap to clone; [`Runner`] drives the pure [`machine`] on a driver.
//! Each node sends a heartbeat to `<prefix>.hb` and receives what is for it alone on
//! `<prefix>.node.<number>`.
//!
//! Invariant: sending never waits, and what is not refused arrives, in order and once, or the
//! peer is told Down. Who does not take events is not sent more; nothing is dropped.

pub mod machine;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::driver::{self, Driver, Subscription, check_subject};
use machine::{Machine, To};

pub use crate::link::{Counters, Why};

/// How often a node shows that it is there.
pub const HEARTBEAT_MS: u64 = 500;
/// How many bytes a node may say of itself.
pub const HELLO_BYTES_MAX: usize = 64 * 1024;
/// How many other nodes a node knows; further ones are not heard.
pub const PEERS_MAX: usize = 1_024;
/// How many events may wait to be taken. With so many, links stop acknowledging.
pub const EVENTS_LEN_MAX: usize = 256;

/// How many payloads are taken before what they have caused is sent.
const BATCH_LEN_MAX: usize = 256;
/// The wait before a subscription that has failed is tried again.
const SUBSCRIBE_WAIT: Duration = Duration::from_millis(200);

/// How long a node that goes waits for the acknowledgement of what it has sent.
pub const DRAIN_MAX: Duration = Duration::from_secs(1);
const DRAIN_STEP: Duration = Duration::from_millis(5);

/// Who this node is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the subjects of this cluster begin with.
    pub prefix: String,
    /// This node's number in the cluster, from 1.
    pub node: u16,
    /// The number of this run of it, higher than those of all runs before.
    pub incarnation: u64,
    /// Any random number. It tells two processes apart that have been given one incarnation.
    pub process: u64,
    /// What the node says of itself, at most [`HELLO_BYTES_MAX`].
    pub hello: Bytes,
}

impl Settings {
    fn check(&self) -> Result<(), Error> {
        if self.node == 0 {
            return Err(Error::BadNumber);
        }
        check_subject(&self.heartbeats()).and(check_subject(&self.node_subject(u16::MAX)))?;
        if self.hello.len() > HELLO_BYTES_MAX {
            return Err(Error::HelloTooLarge { bytes: self.hello.len() });
        }
        Ok(())
    }

    fn heartbeats(&self) -> String {
        format!("{}.hb", self.prefix)
    }

    fn node_subject(&self, node: u16) -> String {
        format!("{}.node.{node}", self.prefix)
    }
}

/// Why a node cannot take part, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A node's number is 0.
    #[error("a node's number is from 1 to 65535")]
    BadNumber,
    /// What the node says of itself is beyond the limit.
    #[error("what a node says of itself has {bytes} bytes; at most {HELLO_BYTES_MAX} are allowed")]
    HelloTooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// Another process runs with this node's number, and the same incarnation or a higher one.
    #[error(
        "another process runs as node {node}, with incarnation {other} to our {incarnation}; give each process a \
         number of its own, or stop one"
    )]
    NumberTaken {
        /// The number.
        node: u16,
        /// Our incarnation.
        incarnation: u64,
        /// The other's.
        other: u64,
    },
    /// The driver has been closed, or refuses the subjects.
    #[error(transparent)]
    Bus(#[from] driver::Error),
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The node is not Up, or the link that was named is over.
    #[error("the node is not up")]
    Down,
    /// Too much waits for the node.
    #[error("too much waits for the node; try again when it has taken some of it")]
    Full,
    /// The message is beyond [`crate::link::MESSAGE_BYTES_MAX`].
    #[error("the message has {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// This node takes no part any more.
    #[error("this node has left the cluster")]
    Closed,
}

/// What is told of other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A node is there, and messages can be sent to it.
    Up {
        /// Its number.
        node: u16,
        /// Its incarnation.
        incarnation: u64,
        /// The number of our link to it, for [`Peers::send_on`]. Each Up has another.
        link: u64,
        /// What it says of itself.
        hello: Bytes,
    },
    /// A node that is Up says something else of itself than before.
    Hello {
        /// Its number.
        node: u16,
        /// What it says now.
        hello: Bytes,
    },
    /// A node is not there any more, or was not for a while: the link is over, and it is unknown
    /// how much of what was sent to the node has arrived. It was a prefix of it.
    Down {
        /// Its number.
        node: u16,
        /// Why.
        why: Why,
    },
    /// A message.
    Message {
        /// The node that sent it.
        node: u16,
        /// Its incarnation.
        incarnation: u64,
        /// The message.
        bytes: Bytes,
    },
}

/// A node that is Up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its number.
    pub node: u16,
    /// Its incarnation.
    pub incarnation: u64,
    /// The number of our link to it.
    pub link: u64,
    /// What it says of itself.
    pub hello: Bytes,
    /// How many frames wait to be acknowledged by it.
    pub unacked: usize,
}

/// Sends to the nodes that are there. Cheap to clone.
#[derive(Clone)]
pub struct Peers(Arc<Shared>);

struct Shared {
    machine: Mutex<Machine>,
    changed: Notify,
    began: Instant,
    is_over: AtomicBool,
}

impl Peers {
    /// A node's handle, what runs it, and what it is told.
    ///
    /// # Errors
    /// [`Error`] of the settings.
    pub fn new(driver: Arc<dyn Driver>, settings: Settings) -> Result<(Peers, Runner, mpsc::Receiver<Event>), Error> {
        let machine = Mutex::new(Machine::new(settings.clone())?);
        let shared = Shared { machine, changed: Notify::new(), began: Instant::now(), is_over: AtomicBool::new(false) };
        let peers = Peers(Arc::new(shared));
        let (events, told) = mpsc::channel(EVENTS_LEN_MAX);
        let runner = Runner { peers: peers.clone(), driver, settings, events };
        Ok((peers, runner, told))
    }

    /// Sends a message to a node that is Up. Never waits.
    ///
    /// # Errors
    /// [`SendError`]; nothing of the message has been taken then.
    pub fn send(&self, node: u16, bytes: Bytes) -> Result<(), SendError> {
        self.push(node, None, &bytes)
    }

    /// Sends a message to a node if it still is what was told Up with this link. What answers a
    /// message of an old link cannot get into a new one so, though Down has not been read yet.
    ///
    /// # Errors
    /// [`SendError`]; nothing of the message has been taken then.
    pub fn send_on(&self, node: u16, link: u64, bytes: Bytes) -> Result<(), SendError> {
        self.push(node, Some(link), &bytes)
    }

    fn push(&self, node: u16, link: Option<u64>, bytes: &Bytes) -> Result<(), SendError> {
        if self.0.is_over.load(Ordering::Acquire) {
            return Err(SendError::Closed);
        }
        let now_ms = self.now_ms();
        self.machine().send(node, link, bytes, now_ms)?;
        self.0.changed.notify_one();
        Ok(())
    }

    /// Changes what this node says of itself: it is said at once, and then with each heartbeat.
    ///
    /// # Errors
    /// [`Error::HelloTooLarge`]; what was said before stays.
    pub fn announce(&self, hello: Bytes) -> Result<(), Error> {
        self.machine().announce(hello)?;
        self.0.changed.notify_one();
        Ok(())
    }

    /// The nodes that are Up, by their numbers.
    pub fn peers(&self) -> Vec<Peer> {
        self.machine().peers()
    }

    /// Whether the bus brings back what this node says to all; if not, it is this node that is cut off, or the bus that
    /// is away.
    pub fn hears_itself(&self) -> bool {
        let now_ms = self.now_ms();
        self.machine().hears_itself(now_ms)
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        self.machine().counters()
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        self.0.began.elapsed().as_millis() as u64
    }
}

/// What runs a node's part. See [`Runner::run`].
pub struct Runner {
    peers: Peers,
    driver: Arc<dyn Driver>,
    settings: Settings,
    events: mpsc::Sender<Event>,
}

impl Drop for Runner {
    /// A node that does not run any more takes no messages, whatever has ended it.
    fn drop(&mut self) {
        self.peers.0.is_over.store(true, Ordering::Release);
    }
}

/// Where payloads come from.
struct Inlets {
    heartbeats: Subscription,
    node: Subscription,
}

impl Runner {
    /// Takes part until `stop` is ready or nobody takes events any more; then takes no more messages,
    /// waits at most [`DRAIN_MAX`] until those it has are acknowledged, and says goodbye, which is on
    /// its way when the driver has been closed after this. Without a connection it goes on trying.
    ///
    /// # Errors
    /// [`Error::NumberTaken`], or [`Error::Bus`] if the driver has been closed.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let mut part = pin!(self.take_part());
        let ended = tokio::select! {
            ended = &mut part => ended,
            () = stop => Ok(()),
            () = self.events.closed() => Ok(()),
        };
        self.peers.0.is_over.store(true, Ordering::Release);
        ended?;
        tokio::select! {
            ended = &mut part => ended?,
            () = self.drained() => {}
            () = tokio::time::sleep(DRAIN_MAX) => {}
        }
        // Without a connection nobody hears it; silence says the same later.
        self.driver.publish(&self.settings.heartbeats(), self.peers.machine().goodbye()).ok();
        Ok(())
    }

    /// Waits until all messages have been acknowledged.
    async fn drained(&self) {
        while self.peers.machine().unacked() > 0 {
            tokio::time::sleep(DRAIN_STEP).await;
        }
    }

    async fn take_part(&self) -> Result<(), Error> {
        let mut inlets = Inlets {
            heartbeats: self.subscribe(&self.settings.heartbeats()).await?,
            node: self.subscribe(&self.settings.node_subject(self.settings.node)).await?,
        };
        loop {
            self.advance();
            let wake_ms = self.peers.machine().wake_ms().saturating_sub(self.peers.now_ms());
            let waits_to_tell = self.peers.machine().has_events();
            let delivery = tokio::select! {
                delivery = inlets.node.recv() => Some(delivery),
                delivery = inlets.heartbeats.recv() => Some(delivery),
                () = self.peers.0.changed.notified() => None,
                // The next turn tells; here it only waits until there is a place.
                Ok(_) = self.events.reserve(), if waits_to_tell => None,
                () = tokio::time::sleep(Duration::from_millis(wake_ms)) => None,
            };
            if let Some(delivery) = delivery {
                let first = delivery.ok_or(driver::Error::Closed)?;
                self.receive(first.bytes, &mut inlets)?;
            }
        }
    }

    async fn subscribe(&self, subject: &str) -> Result<Subscription, Error> {
        loop {
            match self.driver.subscribe(subject).await {
                Err(driver::Error::Down(why)) => {
                    tracing::warn!(subject, why, "cannot subscribe yet");
                    tokio::time::sleep(SUBSCRIBE_WAIT).await;
                }
                subscribed => return Ok(subscribed?),
            }
        }
    }

    /// Takes a payload, and those that have come in the meantime.
    fn receive(&self, first: Bytes, inlets: &mut Inlets) -> Result<(), Error> {
        let now_ms = self.peers.now_ms();
        let mut machine = self.peers.machine();
        machine.receive(first, now_ms)?;
        for _ in 0..BATCH_LEN_MAX {
            let Some(next) = inlets.node.try_recv().or_else(|| inlets.heartbeats.try_recv()) else { break };
            machine.receive(next.bytes, now_ms)?;
        }
        Ok(())
    }

    /// Lets time pass, sends what is to be sent and tells what there is place for.
    fn advance(&self) {
        let now_ms = self.peers.now_ms();
        self.peers.machine().tick(now_ms);
        while let Ok(place) = self.events.try_reserve() {
            let Some(event) = self.peers.machine().event(now_ms) else { break };
            place.send(event);
        }
        loop {
            let Some((to, bytes)) = self.peers.machine().transmit(now_ms) else { break };
            let subject = match to {
                To::All => self.settings.heartbeats(),
                To::Node(node) => self.settings.node_subject(node),
            };
            // What does not get through is sent again, as what is lost on its way is.
            if let Err(why) = self.driver.publish(&subject, bytes) {
                tracing::debug!(subject, %why, "not sent");
            }
        }
    }
}
