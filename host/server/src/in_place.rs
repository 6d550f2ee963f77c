//! SceneService, run without a task of its own: whoever says something to it makes its steps.
//!
//! It stands between SceneMaster and the scene threads, writes nothing, wants to hear nothing of the store, and does
//! little in a step, so a message on its way through it need not wait for another task or thread to wake up.
//!
//! Invariants: events are taken one after the other in the order in which they were said, and their messages leave in
//! that order. Whoever finds somebody else at it leaves the event to that one, and waits for nothing. One sender makes
//! at most [`STEPS_MAX`] steps; the rest is left to [`InPlace::run`], which also sees to the time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use scenehost_core::scene_service::{Event, SceneService};
use scenehost_core::{Context, Effects, Service as _, ServiceName, Time};
use tokio::sync::Notify;

use crate::bus::{Bus, INBOX_LEN_MAX};
use crate::clock::Clock;
use crate::service_loop::{Error, Shell, sleep};

/// How many steps one sender makes at most.
const STEPS_MAX: usize = 64;

/// The place where the service is, before and while it runs.
pub struct InPlace {
    inbox: Mutex<Inbox>,
    /// `None` until it begins, and when it has failed. Locked only by who is at it.
    running: Mutex<Option<Running>>,
    /// [`InPlace::run`] is to look.
    look: Notify,
}

struct Inbox {
    events: VecDeque<Event>,
    taken: Taken,
    /// When [`InPlace::run`] looks by itself.
    looks_at: Option<Time>,
}

/// Who makes its steps, or is about to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Free,
    BySender,
    ByRun,
    /// It does not run on this node.
    Never,
}

struct Running {
    service: SceneService,
    clock: Clock,
    rng: StdRng,
    out: Effects,
}

/// How it is after some steps.
enum Done {
    /// Nothing waits, and nobody is at it any more.
    All,
    /// More waits.
    Some,
    /// A step has panicked.
    Failed,
}

impl InPlace {
    /// What is said to it waits until it begins.
    pub fn new() -> Self {
        let inbox = Inbox { events: VecDeque::new(), taken: Taken::ByRun, looks_at: None };
        Self { inbox: Mutex::new(inbox), running: Mutex::new(None), look: Notify::new() }
    }

    /// It does not run on this node: what is said to all of its kind is nothing here.
    pub fn never_begin(&self) {
        let mut inbox = self.inbox();
        inbox.taken = Taken::Never;
        inbox.events.clear();
    }

    /// Says something to it, and makes the step if nobody else is at it. False: its inbox is full.
    pub fn say(&self, event: Event, bus: &Bus) -> bool {
        {
            let mut inbox = self.inbox();
            if inbox.taken == Taken::Never {
                return true;
            }
            if inbox.events.len() >= INBOX_LEN_MAX {
                return false;
            }
            inbox.events.push_back(event);
            if inbox.taken != Taken::Free {
                return true;
            }
            inbox.taken = Taken::BySender;
        }
        if !matches!(self.go_on(bus), Done::All) {
            self.inbox().taken = Taken::ByRun;
            self.look.notify_one();
        }
        true
    }

    /// Begins, and does what senders leave to do, for as long as the host runs.
    ///
    /// # Errors
    /// Without randomness, and when a step panics: others rely on what is lost then, so the host has to stop.
    pub async fn run(&self, service: SceneService, shell: Shell) -> Result<(), Error> {
        let Shell { clock, bus, .. } = shell;
        let rng = StdRng::try_from_rng(&mut SysRng).map_err(Error::Randomness)?;
        *self.running() = Some(Running { service, clock, rng, out: Effects::default() });
        loop {
            if self.take() {
                match self.go_on(&bus) {
                    Done::All => {}
                    Done::Some => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Done::Failed => return Err(Error::Panicked { service: ServiceName::SceneService }),
                }
            }
            let looks_at = self.inbox().looks_at.map(|time| clock.until(time));
            tokio::select! {
                () = self.look.notified() => {}
                () = sleep(looks_at) => self.inbox().events.push_back(SceneService::tick()),
            }
        }
    }

    /// Whether it is for [`InPlace::run`] now. If a sender is at it, that one says when there is something to do.
    fn take(&self) -> bool {
        let mut inbox = self.inbox();
        if inbox.taken == Taken::BySender {
            inbox.looks_at = None;
            return false;
        }
        inbox.taken = Taken::ByRun;
        true
    }

    /// Makes some of the steps that wait; only for who has taken it.
    fn go_on(&self, bus: &Bus) -> Done {
        let mut running = self.running();
        let Some(Running { service, clock, rng, out }) = &mut *running else { return Done::Failed };
        for _ in 0..STEPS_MAX {
            let Some(event) = self.next(service.deadline()) else { return Done::All };
            let mut cx = Context { now: clock.now(), rng: &mut *rng, out: &mut *out };
            let step = || {
                service.step(event, &mut cx);
                assert!(cx.out.writes.is_empty(), "it would have to wait for its writes");
            };
            if catch_unwind(AssertUnwindSafe(step)).is_err() {
                *running = None;
                return Done::Failed;
            }
            for fault in out.faults.drain(..) {
                tracing::error!(service = ?ServiceName::SceneService, "{fault}");
            }
            out.messages.drain(..).for_each(|message| bus.send(message));
        }
        Done::Some
    }

    /// The next event. Without one nobody is at it any more, and it is looked at again at the deadline.
    fn next(&self, deadline: Option<Time>) -> Option<Event> {
        let mut inbox = self.inbox();
        let event = inbox.events.pop_front();
        if event.is_none() {
            let is_sooner = deadline.is_some_and(|at| inbox.looks_at.is_none_or(|looks_at| at < looks_at));
            match inbox.taken {
                Taken::ByRun => inbox.looks_at = deadline,
                Taken::BySender if is_sooner => self.look.notify_one(),
                Taken::BySender | Taken::Free | Taken::Never => {}
            }
            inbox.taken = Taken::Free;
        }
        event
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use scenehost_core::message::EndReason;
    use scenehost_core::scene_master::{self, Capacity, Offer};
    use scenehost_core::{Epoch, NodeId, Partition, SceneId};

    use super::*;
    use crate::bus::Inboxes;
    use crate::scene_thread::SceneThreads;
    use crate::store::Store;
    use crate::store::lock::DataLock;

    const SENDERS: u64 = 4;
    const SAID: u64 = 500;

    fn destroy(scene: u64, epoch: u64) -> Event {
        let (reason, results) = (EndReason::Stopped, Vec::new());
        Event::ReqDestroyScene { scene: SceneId(scene), epoch: Epoch(epoch), reason, results, keep: false }
    }

    fn of_master(inboxes: &mut Inboxes) -> &mut tokio::sync::mpsc::Receiver<scene_master::Event> {
        inboxes.scene_masters.get_mut(&Partition::WHOLE).expect("there is one")
    }

    /// What SceneMaster hears: the scenes and epochs that have ended, and how many reports.
    async fn heard(inboxes: &mut Inboxes, events: usize) -> (Vec<(u64, u64)>, usize) {
        let (mut ended, mut reports) = (Vec::new(), 0);
        while ended.len() + reports < events {
            let event = tokio::time::timeout(Duration::from_secs(20), of_master(inboxes).recv()).await;
            match event.expect("it is told in time") {
                Some(scene_master::Event::ResDestroyScene { scene, epoch, .. }) => ended.push((scene.0, epoch.0)),
                Some(scene_master::Event::SynReport(_)) => reports += 1,
                other => panic!("{other:?}"),
            }
        }
        (ended, reports)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_many_say_at_once_is_done_in_the_order_of_each() {
        let folder = std::env::temp_dir().join(format!("scenehost-in-place-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder is writable");
        let store = Store::open(&folder.join("store"), DataLock::take(&folder).expect("it is free")).expect("it opens");
        let (threads, _seeds) = SceneThreads::new(1).expect("it can poll");
        let (bus, _to_host) = Bus::new(threads, store.clone(), None, [Partition::WHOLE]);
        let mut inboxes = bus.open();
        let shell = Shell { clock: Clock::start(), bus: bus.clone(), store };

        bus.send(scenehost_core::Message::OwnSceneService(destroy(0, 1)));
        assert!(of_master(&mut inboxes).try_recv().is_err(), "it has not begun");
        let offer = Offer { url: String::new(), capacity: Capacity::scenes(4), idle: None, region: None };
        let service = SceneService::new(NodeId(1), offer, BTreeMap::new());
        let runs = bus.clone();
        tokio::spawn(async move { runs.scene_service().run(service, shell).await });
        let (ended, reports) = heard(&mut inboxes, 2).await;
        assert_eq!((ended, reports), (vec![(0, 1)], 1), "what was said before, and the report that is due");

        let all = Arc::new(std::sync::Barrier::new(SENDERS as usize));
        for sender in 1..=SENDERS {
            let (bus, all) = (bus.clone(), Arc::clone(&all));
            std::thread::spawn(move || {
                all.wait();
                (1..=SAID).for_each(|epoch| assert!(bus.scene_service().say(destroy(sender, epoch), &bus)));
            });
        }
        let (ended, _) = heard(&mut inboxes, (SENDERS * SAID) as usize).await;
        for sender in 1..=SENDERS {
            let of_sender: Vec<u64> = ended.iter().filter(|(of, _)| *of == sender).map(|(_, epoch)| *epoch).collect();
            assert_eq!(of_sender, (1..=SAID).collect::<Vec<_>>());
        }
        let _ = std::fs::remove_dir_all(&folder); // What is left there is in nobody's way.
    }
}
