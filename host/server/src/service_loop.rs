//! Runs a service of `host/core`: takes what waits in its inbox, steps, commits, then sends.
//!
//! Invariant: messages leave in the order in which they were said, and none before the writes of the step
//! that said it, and of all steps before, are synced. Meanwhile the service goes on, so that it never waits
//! for the disk: what it wants done gathers, and is the next commit. A store that is down is one whose syncs
//! take long: what was said waits, and only a service that knows of it and writes nothing more may speak
//! before ([`Service::speaks_at_once`]).

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use scenehost_core::{Context, Effects, Message, Service, ServiceName};
use tokio::sync::{mpsc, watch};

use crate::bus::Bus;
use crate::clock::Clock;
use crate::meters::ServiceMeters;
use crate::store::{self, Store};

/// How many events are taken at once.
const BATCH_MAX: usize = 512;
/// Of how many events the effects may gather while a commit is under way; then the service waits, too.
const GATHERED_MAX: usize = 8_192;

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

/// Runs a service until every sender of its inbox is gone, or it is over by itself. A step that panics makes the service
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
    // What was wanted since the commit began that is under way, and by how many events.
    let mut out = Effects::default();
    let mut gathered = 0;
    let mut under_way: Option<UnderWay> = None;
    let mut store_up = store.up();
    // What the service knows of the store.
    let mut told_up = true;
    let mut meters = ServiceMeters::new();
    // How many commits have to be synced before a fresh service can read all that the one before has written.
    let mut commits_of_before = 0;
    loop {
        let deadline = service.deadline().map(|deadline| clock.until(deadline));
        let has_room = gathered < GATHERED_MAX || service.speaks_at_once();
        tokio::select! {
            messages = synced(&mut under_way) => {
                for message in messages.map_err(|cause| Error::Store { service: name, cause })? {
                    bus.send(message);
                }
                commits_of_before -= usize::from(commits_of_before > 0);
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
        let [_, written, said] = out.lengths();
        // A service asks a limited number of times for what an event needs, so this ends.
        while !events.is_empty() {
            gathered += events.len();
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
                    commits_of_before = usize::from(under_way.is_some()) + usize::from(!out.writes.is_empty());
                    // Db is no more up than the store is: everybody has heard of that, and hears when it is up again, past
                    // the inboxes, which this could not overtake.
                    if name == ServiceName::Db && !*store_up.borrow() {
                        continue;
                    }
                    bus.announce(name, false);
                    // One that has to find out first what there is tells by itself.
                    if service.is_up() {
                        bus.announce(name, true);
                    }
                }
            }
            if commits_of_before == 0 {
                answer_loads::<S>(&mut out.messages, said, &store, &bus, &mut events);
            }
        }
        for fault in out.faults.drain(..) {
            tracing::error!(service = ?name, "{fault}");
        }
        if service.speaks_at_once() && out.writes.len() == written {
            out.messages.drain(said..).for_each(|message| bus.send(message));
        }
        if under_way.is_none() {
            gathered = 0;
            let messages = std::mem::take(&mut out.messages);
            match std::mem::take(&mut out.writes) {
                writes if writes.is_empty() => messages.into_iter().for_each(|message| bus.send(message)),
                writes => {
                    let commit = store.begin(writes).await.map_err(|cause| Error::Store { service: name, cause })?;
                    under_way = Some(UnderWay { commit, messages });
                }
            }
        }
        if service.is_over() && under_way.is_none() {
            return Ok(());
        }
    }
}

/// Answers the questions for records that memory can answer, and asks the disk the others: as they change nothing,
/// they need not wait for a commit.
fn answer_loads<S: Service>(
    messages: &mut Vec<Message>,
    from: usize,
    store: &Store,
    bus: &Bus,
    events: &mut Vec<S::Event>,
) {
    for message in messages.extract_if(from.., |message| matches!(message, Message::LoadForDb(_))) {
        let Message::LoadForDb(load) = &message else { continue };
        match store.get_from_memory(&load.keys).and_then(|values| S::loaded(load.job, values)) {
            Some(loaded) => events.push(loaded),
            None => bus.send(message),
        }
    }
}

/// A commit, and what is said when it is synced.
struct UnderWay {
    commit: store::Commit,
    messages: Vec<Message>,
}

/// Waits until the commit is synced that is under way, and gives what was said with it; for ever if there is none.
async fn synced(under_way: &mut Option<UnderWay>) -> Result<Vec<Message>, store::Error> {
    let Some(UnderWay { commit, .. }) = under_way else { return std::future::pending().await };
    commit.synced().await?;
    Ok(under_way.take().map(|ended| ended.messages).unwrap_or_default())
}

/// Waits until it is other than the service knows.
async fn other_than(up: &mut watch::Receiver<bool>, told: bool) -> bool {
    let changed = up.wait_for(|up| *up != told).await.map(|up| *up);
    match changed {
        Ok(up) => up,
        Err(_) => std::future::pending().await, // The store has ended, and its commits tell of it.
    }
}

/// For ever, if it is not said how long.
pub async fn sleep(duration: Option<std::time::Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use scenehost_core::config::{Fleet, OnCrash};
    use scenehost_core::message::{Arranged, EndReason, Player};
    use scenehost_core::record::{self, SceneRecord, SeatRecord, SeatState};
    use scenehost_core::scene_master::{Capacity, Event, Offer, SceneMaster};
    use scenehost_core::scene_service::SceneService;
    use scenehost_core::{Build, Epoch, Meter, NodeId, Partition, SceneId, Time, UserId, Write, lobby};

    use super::*;
    use crate::records;
    use crate::scene_thread::SceneThreads;
    use crate::store::lock::DataLock;

    const NODE: NodeId = NodeId(1);

    /// SceneMaster, which fails when it hears of this group.
    struct Breaks(SceneMaster);

    impl Service for Breaks {
        type Event = Event;

        fn step(&mut self, event: Event, cx: &mut Context<'_>) {
            assert!(!matches!(event, Event::ReqCancelScene { .. }), "it was told to fail");
            self.0.step(event, cx);
        }

        fn tick() -> Event {
            SceneMaster::tick()
        }

        fn deadline(&self) -> Option<Time> {
            self.0.deadline()
        }

        fn is_up(&self) -> bool {
            self.0.is_up()
        }

        fn meters(&self) -> Vec<Meter> {
            self.0.meters()
        }
    }

    /// A scene that is in the books, and not on its node.
    fn record() -> SceneRecord {
        let player =
            Player { seat: 0, user: UserId(10), name: "Ada".to_owned(), rating: 1_500, team: 0, role: None, party: 0 };
        SceneRecord {
            epoch: Epoch(1),
            fleet: "arena".into(),
            node: NODE,
            state: "Running".to_owned(),
            deadline: Some(Time(u64::MAX)),
            users: vec![player.user],
            build: Build(1),
            born: Time(0),
            holds_slot: true,
            sessions: 1,
            asked: None,
            allocation: None,
            domain: None,
            match_id: None,
            arranged: Arranged::default(),
            seeks: 0,
            past_matches: Vec::new(),
            seats: vec![SeatRecord { player, state: SeatState::Held, is_known: true, remove: None }],
            crashes: Vec::new(),
            falls: Vec::new(),
            to: None,
            strikes: Vec::new(),
            end: None,
            is_kept: false,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_scene_master_that_fails_is_followed_by_one_that_finds_out_what_there_is() {
        let folder = std::env::temp_dir().join(format!("scenehost-loop-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder is writable");
        let store = Store::open(&folder.join("store"), DataLock::take(&folder).expect("it is free")).expect("it opens");
        let (threads, _seeds) = SceneThreads::new(1).expect("it can poll");
        let (bus, to_host) = Bus::new(threads, store.clone(), None, [Partition::WHOLE]);
        let mut inboxes = bus.open();
        let shell = Shell { clock: Clock::start(), bus: bus.clone(), store: store.clone() };
        records::spawn(to_host.questions, store.clone(), bus.clone()).expect("a thread can be started");

        let rules = Fleet { on_crash: OnCrash::End, ..Fleet::default() };
        let fleets = BTreeMap::from([("arena".into(), rules.clone())]);
        let offer = Offer { url: String::new(), capacity: Capacity::scenes(4), idle: None, region: None };
        let service = SceneService::new(NODE, offer, fleets.clone());
        let (of_service, to_service) = (shell.clone(), bus.clone());
        tokio::spawn(async move { to_service.scene_service().run(service, of_service).await });
        let next = move || {
            Breaks(SceneMaster::taking_over(BTreeMap::from([("arena".into(), (Build(1).into(), rules.clone()))])))
        };
        let first = Breaks(SceneMaster::new(fleets));
        let inbox = inboxes.scene_masters.remove(&Partition::WHOLE).expect("there is one");
        tokio::spawn(run(ServiceName::SceneMaster, first, Some(next), inbox, shell));

        let scene = SceneId(7);
        let write = Write::Put { key: record::scene_key(scene), value: record::encode(&record()) };
        store.begin(vec![write]).await.expect("it is up").synced().await.expect("it can be written");
        bus.send(Event::ReqCancelScene { match_id: scenehost_core::MatchId(1) }.into());
        let mut heard = Vec::new();
        while heard.len() < 3 {
            let next = tokio::time::timeout(Duration::from_secs(20), inboxes.lobby.recv()).await;
            heard.extend(next.expect("it takes over"));
        }
        let lobby::Event::SynSceneEnded { user: UserId(10), ended, .. } = &heard[1] else { panic!("{heard:?}") };
        assert!(matches!(ended.reason, EndReason::Crashed(_)) && ended.scene == scene, "{ended:?}");
        let service = ServiceName::SceneMaster;
        let around = [&heard[0], &heard[2]];
        assert_eq!(around, [false, true].map(|up| lobby::Event::Service { service, up }).each_ref());
        let _ = std::fs::remove_dir_all(&folder); // What is left there is in nobody's way.
    }
}
