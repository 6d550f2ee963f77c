//! Runs a service of `host/core`: takes what waits in its inbox, steps, commits, then sends.
//!
//! Invariant: messages leave in the order in which they were said, and none of a batch before the
//! writes of the whole batch are synced. Meanwhile the service goes on with the next batches, so that
//! it never waits for the disk. A store that is down is one whose syncs take long: what was said waits, and
//! only a service that knows of it and writes nothing more may speak before ([`Service::speaks_at_once`]).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use scenehost_core::{Context, Effects, Message, Service, ServiceName};
use tokio::sync::{mpsc, watch};

use crate::bus::Bus;
use crate::clock::Clock;
use crate::meters::ServiceMeters;
use crate::store::{self, Store};

/// How many events are taken into one commit.
const BATCH_MAX: usize = 512;
/// How many batches may wait for the disk; then the service waits, too.
const COMMITS_MAX: usize = 16;

/// What a service's loop lives on.
#[derive(Clone)]
pub struct Shell {
    pub clock: Clock,
    pub bus: Bus,
    pub store: Store,
}

/// Why a service's loop has ended before the host did.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{service:?} cannot go on: {cause}")]
    Store { service: ServiceName, cause: store::Error },
    #[error("{service:?} has failed: a step panicked; the panic's text is above")]
    Panicked { service: ServiceName },
    #[error("no randomness from the operating system: {0}")]
    Randomness(rand::rngs::SysError),
}

/// Runs a service until every sender of its inbox is gone. A step that panics makes the service
/// fail: with `again` a fresh one takes over and everyone hears Down and Up, without it the host
/// has to stop, because others rely on what is lost.
pub async fn run<S: Service>(
    name: ServiceName,
    mut service: S,
    again: Option<impl Fn() -> S>,
    mut inbox: mpsc::Receiver<S::Event>,
    shell: Shell,
) -> Result<(), Error> {
    let Shell { clock, bus, store } = shell;
    let mut rng = StdRng::try_from_rng(&mut SysRng).map_err(Error::Randomness)?;
    let mut events = Vec::with_capacity(BATCH_MAX);
    let mut out = Effects::default();
    let mut said = VecDeque::new();
    let mut store_up = store.up();
    // What the service knows of the store.
    let mut told_up = true;
    let mut meters = ServiceMeters::new();
    loop {
        let deadline = service.deadline().map(|deadline| clock.until(deadline));
        let has_room = said.len() < COMMITS_MAX || service.speaks_at_once();
        tokio::select! {
            synced = first_synced(&mut said) => {
                synced.map_err(|cause| Error::Store { service: name, cause })?;
                send_synced(&mut said, &bus);
                continue;
            }
            // In no inbox, for that may be full: everyone hears of this.
            up = other_than(&mut store_up, told_up) => {
                told_up = up;
                events.extend(S::store(up));
            }
            received = inbox.recv_many(&mut events, BATCH_MAX), if has_room => if received == 0 { return Ok(()) },
            () = sleep(deadline), if has_room => events.push(S::tick()),
            () = sleep(meters.due().map(|due| due.saturating_sub(clock.elapsed()))) => {
                meters.report(service.meters());
                continue;
            }
        }
        meters.stepped(clock.elapsed());
        for event in events.drain(..) {
            let before = out.lengths();
            let mut cx = Context { now: clock.now(), rng: &mut rng, out: &mut out };
            let stepped = catch_unwind(AssertUnwindSafe(|| service.step(event, &mut cx)));
            if stepped.is_err() {
                let Some(again) = &again else { return Err(Error::Panicked { service: name }) };
                tracing::error!(service = ?name, "a step panicked; a fresh service takes over");
                out.truncate(before);
                service = again();
                told_up = true;
                bus.announce(name, false);
                // Db is no more up than the store is; that it is again is told by the store.
                if name != ServiceName::Db || *store_up.borrow() {
                    bus.announce(name, true);
                }
            }
        }
        let batch = conclude(name, &mut out, &store).await?;
        if batch.commit.is_none() && service.speaks_at_once() {
            batch.messages.into_iter().for_each(|message| bus.send(message));
        } else {
            said.push_back(batch);
            send_synced(&mut said, &bus);
        }
    }
}

/// What a batch has said, and the commit that it waits for.
struct Said {
    commit: Option<store::Commit>,
    messages: Vec<Message>,
}

/// Tells what should not be, and begins to write; what was said is to wait for that.
async fn conclude(name: ServiceName, out: &mut Effects, store: &Store) -> Result<Said, Error> {
    for fault in out.faults.drain(..) {
        tracing::error!(service = ?name, "{fault}");
    }
    let commit = match std::mem::take(&mut out.writes) {
        writes if writes.is_empty() => None,
        writes => Some(store.begin(writes).await.map_err(|cause| Error::Store { service: name, cause })?),
    };
    Ok(Said { commit, messages: std::mem::take(&mut out.messages) })
}

/// Waits until the first batch is synced; for ever if there is none.
async fn first_synced(said: &mut VecDeque<Said>) -> Result<(), store::Error> {
    let Some(first) = said.front_mut() else { return std::future::pending().await };
    if let Some(commit) = &mut first.commit {
        commit.synced().await?;
        first.commit = None;
    }
    Ok(())
}

/// Waits until it is other than the service knows.
async fn other_than(up: &mut watch::Receiver<bool>, told: bool) -> bool {
    let changed = up.wait_for(|up| *up != told).await.map(|up| *up);
    match changed {
        Ok(up) => up,
        Err(_) => std::future::pending().await, // The store has ended, and its commits tell of it.
    }
}

/// Sends what waits for nothing any more, in its order.
fn send_synced(said: &mut VecDeque<Said>, bus: &Bus) {
    while said.front().is_some_and(|first| first.commit.is_none()) {
        for message in said.pop_front().into_iter().flat_map(|first| first.messages) {
            bus.send(message);
        }
    }
}

async fn sleep(duration: Option<std::time::Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
