//! The driver of simulations: a network whose weather and time are given by hand.
//!
//! Invariant: the same seed and the same calls give the same deliveries in the same order. Time
//! moves only in [`Sim::step`] and [`Network::step`].

mod network;

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::queue::{Answer, Delivery, Feed, Reply, Subscription, queue};
use super::{Driver, Error, Wait, check, check_subject};

pub use network::{Arrival, Network, Weather};

/// A simulated network with drivers on it. Cheap to clone.
#[derive(Clone)]
pub struct Sim {
    world: Arc<Mutex<World>>,
    /// Answers that nodes have given since the last step.
    answers: Arc<Mutex<Vec<Answered>>>,
}

struct World {
    network: Network,
    drivers: u64,
    questions: u64,
    /// The queue of each subscription, and the driver that has it.
    feeds: BTreeMap<u64, (u64, Feed)>,
    waiting: BTreeMap<u64, Question>,
    closed: Vec<u64>,
}

/// A request that waits for its answer.
struct Question {
    driver: u64,
    until_ms: u64,
    answer: mpsc::Sender<Result<Bytes, Error>>,
}

/// An answer on its way from a node.
struct Answered {
    from: String,
    to: String,
    question: u64,
    answer: Result<Bytes, Error>,
}

impl Sim {
    /// A network at time 0 in calm weather.
    pub fn new(seed: u64) -> Sim {
        let world = World {
            network: Network::new(seed),
            drivers: 0,
            questions: 0,
            feeds: BTreeMap::new(),
            waiting: BTreeMap::new(),
            closed: Vec::new(),
        };
        Sim { world: Arc::new(Mutex::new(world)), answers: Arc::default() }
    }

    /// A driver for the node of that name. A node may have several, one after the other.
    pub fn driver(&self, node: &str) -> SimDriver {
        let mut world = self.world();
        world.drivers += 1;
        SimDriver { sim: self.clone(), node: node.to_owned(), driver: world.drivers }
    }

    /// Changes the network's weather, cuts or pauses.
    pub fn change<T>(&self, change: impl FnOnce(&mut Network) -> T) -> T {
        change(&mut self.world().network)
    }

    /// Lets so many milliseconds pass: brings what arrives in them to its subscriptions, and ends
    /// the wait of requests whose limit has passed.
    pub fn step(&self, ms: u64) {
        let answers = mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner));
        let mut world = self.world();
        for Answered { from, to, question, answer } in answers {
            world.network.answer(&from, &to, question, answer);
        }
        let now_ms = world.network.now_ms() + ms;
        for arrival in world.network.step(now_ms) {
            world.bring(arrival, self);
        }
        let is_late = |question: &Question| question.until_ms <= now_ms;
        world.give_up(is_late, &Error::TimedOut);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    fn bring(&mut self, arrival: Arrival, sim: &Sim) {
        match arrival {
            Arrival::Answer { question, answer } => {
                if let Some(question) = self.waiting.remove(&question) {
                    question.answer.try_send(answer).ok();
                }
            }
            Arrival::Payload { subscription, from, to, bytes, question } => {
                if let Some((_, feed)) = self.feeds.get(&subscription) {
                    let way = question.map(|question| Way { sim: sim.clone(), from: to, to: from, question });
                    feed.offer(Delivery { bytes, reply: way.map(Reply::new) });
                }
            }
        }
    }

    /// Forgets subscriptions that nobody reads any more.
    fn sweep(&mut self) {
        let over: Vec<u64> = self.feeds.iter().filter(|(_, (_, feed))| feed.is_over()).map(|(id, _)| *id).collect();
        for subscription in over {
            self.feeds.remove(&subscription);
            self.network.unsubscribe(subscription);
        }
    }

    fn give_up(&mut self, over: impl Fn(&Question) -> bool, why: &Error) {
        self.waiting.retain(|_, question| {
            let is_over = over(question);
            if is_over {
                question.answer.try_send(Err(why.clone())).ok();
            }
            !is_over
        });
    }

    fn check_open(&self, driver: u64) -> Result<(), Error> {
        if self.closed.contains(&driver) { Err(Error::Closed) } else { Ok(()) }
    }

    fn close(&mut self, driver: u64) {
        if !self.closed.contains(&driver) {
            self.closed.push(driver);
        }
        self.give_up(|question| question.driver == driver, &Error::Closed);
        let theirs: Vec<u64> = self.feeds.iter().filter(|(_, (of, _))| *of == driver).map(|(id, _)| *id).collect();
        for subscription in theirs {
            self.feeds.remove(&subscription);
            self.network.unsubscribe(subscription);
        }
    }
}

/// The way of an answer, which goes through the network's weather, too.
struct Way {
    sim: Sim,
    from: String,
    to: String,
    question: u64,
}

impl Answer for Way {
    fn answer(self: Box<Self>, answer: Result<Bytes, Error>) -> Result<(), Error> {
        let Way { sim, from, to, question } = *self;
        let mut answers = sim.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push(Answered { from, to, question, answer });
        Ok(())
    }
}

/// One node's driver. See [`Sim::driver`].
pub struct SimDriver {
    sim: Sim,
    node: String,
    driver: u64,
}

impl SimDriver {
    fn begin(&self, subject: &str, bytes: &Bytes, limit: Duration) -> Result<Answers, Error> {
        check(subject, bytes)?;
        let mut world = self.sim.world();
        world.check_open(self.driver)?;
        world.sweep();
        world.questions += 1;
        let question = world.questions;
        if world.network.publish(&self.node, subject, bytes, Some(question)) == 0 {
            return Err(Error::NoResponder);
        }
        let (answer, answers) = mpsc::channel(1);
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let until_ms = world.network.now_ms().saturating_add(limit_ms);
        world.waiting.insert(question, Question { driver: self.driver, until_ms, answer });
        Ok(answers)
    }
}

type Answers = mpsc::Receiver<Result<Bytes, Error>>;

impl Driver for SimDriver {
    fn publish(&self, subject: &str, bytes: Bytes) -> Result<(), Error> {
        check(subject, &bytes)?;
        let mut world = self.sim.world();
        world.check_open(self.driver)?;
        world.network.publish(&self.node, subject, &bytes, None);
        Ok(())
    }

    fn request<'a>(&'a self, subject: &'a str, bytes: Bytes, limit: Duration) -> Wait<'a, Result<Bytes, Error>> {
        Box::pin(async move {
            let mut answers = self.begin(subject, &bytes, limit)?;
            answers.recv().await.unwrap_or(Err(Error::TimedOut))
        })
    }

    fn subscribe<'a>(&'a self, subject: &'a str) -> Wait<'a, Result<Subscription, Error>> {
        Box::pin(async move {
            check_subject(subject)?;
            let mut world = self.sim.world();
            world.check_open(self.driver)?;
            let (feed, subscription) = queue();
            let id = world.network.subscribe(&self.node, subject);
            world.feeds.insert(id, (self.driver, feed));
            Ok(subscription)
        })
    }

    fn close(&self) -> Wait<'_, ()> {
        Box::pin(async move { self.sim.world().close(self.driver) })
    }
}

impl Drop for SimDriver {
    fn drop(&mut self) {
        self.sim.world().close(self.driver);
    }
}
