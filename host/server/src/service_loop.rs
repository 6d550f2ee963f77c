//! Runs a service of `host/core`: takes what waits in its inbox, steps, commits, then sends.
//!
//! Invariant: no message of a batch leaves before the writes of the whole batch are synced.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use scenehost_core::{Context, Effects, Service, ServiceName};
use tokio::sync::mpsc;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::store::{self, Store};

/// How many events are taken into one commit.
const BATCH_MAX: usize = 512;

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
    loop {
        let deadline = service.deadline().map(|deadline| clock.until(deadline));
        tokio::select! {
            received = inbox.recv_many(&mut events, BATCH_MAX) => if received == 0 { return Ok(()) },
            () = sleep(deadline) => events.push(S::tick()),
        }
        for event in events.drain(..) {
            let before = out.lengths();
            let mut cx = Context { now: clock.now(), rng: &mut rng, out: &mut out };
            let stepped = catch_unwind(AssertUnwindSafe(|| service.step(event, &mut cx)));
            if stepped.is_err() {
                let Some(again) = &again else { return Err(Error::Panicked { service: name }) };
                tracing::error!(service = ?name, "a step panicked; a fresh service takes over");
                out.truncate(before);
                service = again();
                bus.announce(name, false);
                bus.announce(name, true);
            }
        }
        for fault in out.faults.drain(..) {
            tracing::error!(service = ?name, "{fault}");
        }
        if !out.writes.is_empty() {
            let writes = std::mem::take(&mut out.writes);
            store.commit(writes).await.map_err(|cause| Error::Store { service: name, cause })?;
        }
        for message in out.messages.drain(..) {
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
