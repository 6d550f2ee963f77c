//! The driver of one process: payloads go from queue to queue.
//!
//! Invariant: the same as over a network. Nodes share nothing but the subjects.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::queue::{Delivery, Feed, Reply, Subscription, queue};
use super::{Driver, Error, Wait, check, check_subject};

/// What the nodes of one process share.
#[derive(Clone, Default)]
pub struct LocalBus(Arc<Mutex<Subjects>>);

#[derive(Default)]
struct Subjects {
    nodes: u64,
    feeds: HashMap<String, Vec<(u64, Feed)>>,
}

impl LocalBus {
    /// The driver of one more node.
    pub fn node(&self) -> Local {
        let mut subjects = self.subjects();
        subjects.nodes += 1;
        Local { bus: self.clone(), node: subjects.nodes, closed: watch::Sender::new(false) }
    }

    fn subjects(&self) -> MutexGuard<'_, Subjects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers a payload to each subscription; how many there are.
    fn offer(&self, subject: &str, bytes: &Bytes, reply: Option<&mpsc::Sender<Result<Bytes, Error>>>) -> usize {
        let mut subjects = self.subjects();
        let Some(feeds) = subjects.feeds.get_mut(subject) else { return 0 };
        feeds.retain(|(_, feed)| !feed.is_over());
        for (_, feed) in &*feeds {
            feed.offer(Delivery { bytes: bytes.clone(), reply: reply.cloned().map(Reply::new) });
        }
        let listeners = feeds.len();
        if listeners == 0 {
            subjects.feeds.remove(subject);
        }
        listeners
    }
}

/// One node's driver. See [`LocalBus::node`].
pub struct Local {
    bus: LocalBus,
    node: u64,
    closed: watch::Sender<bool>,
}

impl Local {
    fn check_open(&self) -> Result<(), Error> {
        if *self.closed.borrow() { Err(Error::Closed) } else { Ok(()) }
    }
}

impl Driver for Local {
    fn publish(&self, subject: &str, bytes: Bytes) -> Result<(), Error> {
        check(subject, &bytes)?;
        self.check_open()?;
        self.bus.offer(subject, &bytes, None);
        Ok(())
    }

    fn request<'a>(&'a self, subject: &'a str, bytes: Bytes, limit: Duration) -> Wait<'a, Result<Bytes, Error>> {
        Box::pin(async move {
            check(subject, &bytes)?;
            self.check_open()?;
            let (reply, mut answer) = mpsc::channel(1);
            if self.bus.offer(subject, &bytes, Some(&reply)) == 0 {
                return Err(Error::NoResponder);
            }
            let mut closed = self.closed.subscribe();
            tokio::select! {
                // `reply` is kept until then: an answer that nobody gives is a limit that runs out, as it is
                // between machines.
                answer = answer.recv() => answer.unwrap_or(Err(Error::TimedOut)),
                () = tokio::time::sleep(limit) => Err(Error::TimedOut),
                _ = closed.wait_for(|closed| *closed) => Err(Error::Closed),
            }
        })
    }

    fn subscribe<'a>(&'a self, subject: &'a str) -> Wait<'a, Result<Subscription, Error>> {
        Box::pin(async move {
            check_subject(subject)?;
            self.check_open()?;
            let (feed, subscription) = queue();
            self.bus.subjects().feeds.entry(subject.to_owned()).or_default().push((self.node, feed));
            Ok(subscription)
        })
    }

    fn close(&self) -> Wait<'_, ()> {
        Box::pin(async move {
            self.closed.send_replace(true);
            self.bus.subjects().feeds.retain(|_, feeds| {
                feeds.retain(|(node, _)| *node != self.node);
                !feeds.is_empty()
            });
        })
    }
}

impl Drop for Local {
    /// A node that is gone receives nothing more, as one whose process has ended.
    fn drop(&mut self) {
        self.bus.subjects().feeds.retain(|_, feeds| {
            feeds.retain(|(node, _)| *node != self.node);
            !feeds.is_empty()
        });
    }
}
