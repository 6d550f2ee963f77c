//! The queue between a driver and who has subscribed; the same for all drivers.
//!
//! Invariant: it never holds more than [`QUEUE_LEN_MAX`] deliveries or [`QUEUE_BYTES_MAX`] bytes.
//! What is beyond is dropped and counted, and who waits for an answer to it is told at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Error, QUEUE_BYTES_MAX, QUEUE_LEN_MAX, check_size};

/// One payload that has arrived.
pub struct Delivery {
    /// The payload.
    pub bytes: Bytes,
    /// Where an answer goes, if the sender waits for one.
    pub reply: Option<Reply>,
}

/// The way back to who waits for an answer. Dropped, it leaves the sender to its limit.
pub struct Reply(Box<dyn Answer>);

impl Reply {
    pub(super) fn new(answer: impl Answer + 'static) -> Reply {
        Reply(Box::new(answer))
    }

    /// Answers; never waits. Who has given up in the meantime hears nothing.
    ///
    /// # Errors
    /// [`Error::TooLarge`], after which no answer has gone, and those of
    /// [`super::Driver::publish`].
    pub fn send(self, bytes: Bytes) -> Result<(), Error> {
        check_size(&bytes)?;
        self.0.answer(Ok(bytes))
    }
}

/// How a driver brings an answer back.
pub(super) trait Answer: Send {
    fn answer(self: Box<Self>, answer: Result<Bytes, Error>) -> Result<(), Error>;
}

/// An answer to a question of this process: the first one counts.
impl Answer for mpsc::Sender<Result<Bytes, Error>> {
    fn answer(self: Box<Self>, answer: Result<Bytes, Error>) -> Result<(), Error> {
        self.try_send(answer).ok();
        Ok(())
    }
}

#[derive(Default)]
struct Counts {
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

/// The receiving end.
pub struct Subscription {
    deliveries: mpsc::Receiver<Delivery>,
    counts: Arc<Counts>,
}

impl Subscription {
    /// Waits for the next delivery. None when the driver has been closed and nothing is left.
    pub async fn recv(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.recv().await?;
        self.counts.bytes.fetch_sub(delivery.bytes.len(), Ordering::Relaxed);
        Some(delivery)
    }

    /// The next delivery, if there is one by now.
    pub fn try_recv(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.try_recv().ok()?;
        self.counts.bytes.fetch_sub(delivery.bytes.len(), Ordering::Relaxed);
        Some(delivery)
    }

    /// How many deliveries have been dropped so far because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }
}

/// The driver's end.
#[derive(Clone)]
pub(super) struct Feed {
    deliveries: mpsc::Sender<Delivery>,
    counts: Arc<Counts>,
}

impl Feed {
    /// Puts a delivery into the queue, or drops it, counts it and says so to who waits.
    pub(super) fn offer(&self, delivery: Delivery) {
        let bytes = delivery.bytes.len();
        if self.counts.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > QUEUE_BYTES_MAX {
            return self.refuse(delivery);
        }
        if let Err(mpsc::error::TrySendError::Full(delivery)) = self.deliveries.try_send(delivery) {
            self.refuse(delivery);
        }
    }

    fn refuse(&self, delivery: Delivery) {
        self.counts.bytes.fetch_sub(delivery.bytes.len(), Ordering::Relaxed);
        self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        if let Some(Reply(answer)) = delivery.reply {
            answer.answer(Err(Error::Overloaded)).ok();
        }
    }

    /// Whether the subscription has been dropped.
    pub(super) fn is_over(&self) -> bool {
        self.deliveries.is_closed()
    }

    /// Waits until the subscription has been dropped.
    pub(super) async fn over(&self) {
        self.deliveries.closed().await;
    }
}

/// A queue's two ends.
pub(super) fn queue() -> (Feed, Subscription) {
    let (sender, receiver) = mpsc::channel(QUEUE_LEN_MAX);
    let counts = Arc::new(Counts::default());
    (Feed { deliveries: sender, counts: counts.clone() }, Subscription { deliveries: receiver, counts })
}
