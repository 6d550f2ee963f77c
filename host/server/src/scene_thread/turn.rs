//! The turns of a scene thread. Main type: [`SceneThread`].

mod away;
mod connections;
mod going_on;
mod release;
mod save;
mod start;
mod swap;
mod used;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use mio::{Events, Poll, Token};
use scenehost_core::scene::{self, Effect, GameEvent, Scene};
use scenehost_core::scene_service::{Event::ResRelease, ToScene};
use scenehost_core::{DomainName, Message, Refusal, SceneId, Time};
use scenehost_engine::{
    Aside, CallError, Command, CreateError, DeliverError, Failure, Level, Log, NextMatch, NotTaken, Outgoing, SceneKey,
    Showing, Sink, Stepped, Worker, WorkerOptions, journal::Journaled,
};
use scenehost_protocol::SharedEvent;
use scenehost_protocol::v1::{self, server_frame::Body};
use slab::Slab;
use tokio::runtime;

use super::connection::Connection;
use super::lane::Lane;
use super::ledger::Ledger;
use super::logs::SceneLogs;
use super::runs::{FleetRun, InUse};
use super::saves::{Room, Saves};
use super::usage::Groups;
use super::{FleetRuns, Handle, Order, SceneThreads, Seed, game};
use crate::bus::Bus;
use crate::clock::{self, Clock};
use crate::journals::Writer;
use crate::meters::SceneMeters;
use crate::wire;
use away::{Called, Deferred, Waiting};

pub use connections::CONNECTIONS_MAX;

pub const WAKE: Token = Token(usize::MAX);

/// How many sockets may be ready in one turn; more follow in the next.
const READY_MAX: usize = 1_024;
/// How many orders are taken in one turn.
const ORDERS_PER_TURN_MAX: usize = 256;
/// How often connections are looked through, and metrics told.
const SWEEP: Duration = Duration::from_secs(1);
/// A busy thread rests so long between turns: what came in meanwhile then shares one poll, and
/// what is due one turn. Far below a tick, and below what players can feel.
const REST: Duration = Duration::from_millis(1);
/// A scene may be stepped so much before its due time, with others that are due. A turn of the
/// thread costs more than many steps, so scenes that tick share turns; the numbers of their ticks and
/// the times that the games see are exact all the same.
const QUANTUM: Duration = Duration::from_millis(5);
/// When to ask again for a scene whose journal is about to be read. That takes milliseconds, and people wait for it; so this
/// is far below what a host asks for that is at a limit.
const GOES_ON_MS: u32 = 100;
/// How many messages in a turn's span of [`REST`] make a thread busy.
const BUSY_MESSAGES: u32 = 2;

/// What a user is told in the line of a seat. One event is shared by all whom it is for, also while it
/// is kept for those who may have missed it.
type Told = Rc<SharedEvent>;
/// What keeping it costs besides its body.
const TOLD_BYTES: usize = 64;

/// The scenes of one thread.
pub struct SceneThread {
    poll: Poll,
    orders: Receiver<Order>,
    /// Whether there may be more orders than one turn takes.
    orders_left: bool,
    fleets: FleetRuns,
    bus: Bus,
    clock: Clock,
    worker: Worker,
    scenes: HashMap<SceneId, Scene<Told>>,
    /// The scenes' deadlines; an entry that is no longer its scene's is passed over.
    deadlines: BinaryHeap<Reverse<(Time, SceneId)>>,
    /// The entry that was made last for each scene, until it is passed.
    noted: HashMap<SceneId, Time>,
    connections: Slab<Connection>,
    /// Grows with every connection, so that no two have the same id.
    generation: u64,
    /// The connections with something to flush.
    touched: Vec<usize>,
    /// The connections that had more to read than one turn takes.
    unread: Vec<usize>,
    saves: Saves,
    logs: SceneLogs,
    /// What the scenes are made of.
    runs: HashMap<SceneId, InUse>,
    groups: Groups,
    /// The scenes that are to change what they are made of.
    swaps: VecDeque<(SceneId, Arc<FleetRun>)>,
    /// The same that have changed and not made a step since.
    swapping: HashMap<SceneId, Arc<FleetRun>>,
    /// What is held of the scenes that have journals.
    ledgers: HashMap<SceneId, Ledger>,
    /// What the calls are for that are made elsewhere and are no steps.
    called: HashMap<SceneId, Called>,
    outcomes: Outcomes,
    /// The least that is a strike in any fleet: a step below both is looked at no further.
    strike_step: Duration,
    strike_bytes: usize,
    sweep_at: Duration,
    messages_in_turn: u32,
    meters: SceneMeters,
    threads: SceneThreads,
    runtime: runtime::Handle,
    index: usize,
    stopping: bool,
}

/// What the worker said, to be dealt with when it has returned.
struct Outcomes {
    queue: VecDeque<(SceneId, Outcome)>,
    /// Who makes the calls of slow scenes, which are away meanwhile.
    lane: Lane,
    away: HashMap<SceneId, Waiting>,
    /// Written at once.
    journals: Writer,
    /// The step of which the worker tells now, when it has something to tell besides its commands.
    tick: Option<(SceneKey, u64)>,
}

enum Outcome {
    Stepped(Stepped),
    Failed(Option<u64>, Failure),
    Logged(Option<u64>, Log),
    /// The scene's whole state is in its journal now.
    Snapshot,
    /// Another version of its game is used from now on, or why not.
    Swapped(Result<(), String>),
    Created(Result<(), CreateError>),
    Admitted(Result<Result<(), String>, CallError>),
}

impl Outcomes {
    /// The tick of what is told of a scene, if it was a step.
    fn tick_of(&self, key: SceneKey) -> Option<u64> {
        self.tick.filter(|(of, _)| *of == key).map(|(_, tick)| tick)
    }
}

impl Sink for Outcomes {
    fn in_step(&mut self, key: SceneKey, tick: u64) {
        self.tick = Some((key, tick));
    }

    fn stepped(&mut self, key: SceneKey, stepped: Stepped) {
        self.tick = None;
        self.push(key, Outcome::Stepped(stepped));
    }

    fn failed(&mut self, key: SceneKey, failure: Failure) {
        self.journals.failed(SceneId(key.0));
        self.push(key, Outcome::Failed(self.tick_of(key), failure));
        self.tick = None;
    }

    fn journaled(&mut self, key: SceneKey, part: Journaled<'_>) {
        self.journals.write(SceneId(key.0), part);
        if let Journaled::Snapshot { .. } = part {
            self.push(key, Outcome::Snapshot);
        }
    }

    fn logged(&mut self, key: SceneKey, log: Log) {
        self.push(key, Outcome::Logged(self.tick_of(key), log));
    }

    fn swapped(&mut self, key: SceneKey, result: Result<(), String>) {
        self.push(key, Outcome::Swapped(result));
    }

    fn worked(&self) -> Option<Duration> {
        Some(clock::worked())
    }

    fn aside(&mut self, call: Box<Aside>) -> Result<(), NotTaken> {
        self.put_aside(call)
    }

    fn created(&mut self, key: SceneKey, result: Result<(), CreateError>) {
        self.push(key, Outcome::Created(result));
    }

    fn admitted(&mut self, key: SceneKey, result: Result<Result<(), String>, CallError>) {
        self.push(key, Outcome::Admitted(result));
    }
}

impl SceneThread {
    pub fn new(
        seed: Seed,
        fleets: FleetRuns,
        bus: Bus,
        clock: Clock,
        runtime: runtime::Handle,
        saves: Room,
        (journals, logs, lane): (Writer, SceneLogs, Lane),
    ) -> Self {
        Self {
            saves: Saves::new(saves, runtime.clone(), bus.clone(), seed.threads.clone()),
            runtime,
            runs: HashMap::new(),
            groups: Groups::default(),
            swaps: VecDeque::new(),
            swapping: HashMap::new(),
            ledgers: HashMap::new(),
            called: HashMap::new(),
            poll: seed.poll,
            orders: seed.orders,
            orders_left: false,
            fleets,
            bus,
            clock,
            worker: Worker::new(WorkerOptions { quantum: QUANTUM, ..WorkerOptions::default() }),
            scenes: HashMap::new(),
            deadlines: BinaryHeap::new(),
            noted: HashMap::new(),
            connections: Slab::new(),
            generation: 0,
            touched: Vec::new(),
            unread: Vec::new(),
            logs,
            outcomes: Outcomes { queue: VecDeque::new(), lane, away: HashMap::new(), journals, tick: None },
            strike_step: Duration::MAX,
            strike_bytes: usize::MAX,
            sweep_at: clock.elapsed() + SWEEP,
            messages_in_turn: 0,
            meters: SceneMeters::new(seed.index),
            threads: seed.threads,
            index: seed.index,
            stopping: false,
        }
    }

    /// Turns until it is told to stop.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(READY_MAX);
        while !self.stopping {
            if self.messages_in_turn >= BUSY_MESSAGES {
                std::thread::sleep(REST);
            }
            self.messages_in_turn = 0;
            let wait = self.wait();
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the sockets cannot be polled");
                return;
            }
            if !self.may_speak() {
                return;
            }
            for index in std::mem::take(&mut self.unread) {
                if let Some(connection) = self.connections.get_mut(index) {
                    connection.queued = false;
                }
                self.read(index);
            }
            for event in &events {
                if event.token() != WAKE {
                    self.ready(event.token().0, event.is_read_closed() || event.is_error());
                }
            }
            self.step_due();
            self.swap_some();
            self.take_orders();
            self.expire();
            if !self.may_speak() {
                return;
            }
            self.flush();
            self.sweep();
            let handle = self.handle();
            handle.turned_ms.store(self.clock.elapsed().as_millis() as u64, Ordering::Relaxed);
            handle.scenes.store(self.scenes.len(), Ordering::Relaxed);
            handle.connections.store(self.connections.len(), Ordering::Relaxed);
        }
        self.close_all();
    }

    /// Waits as long as it is not known whether these scenes are still this node's; false: they are not.
    fn may_speak(&self) -> bool {
        let Some(router) = self.bus.router() else { return true };
        if router.grant().lasts() {
            return true;
        }
        let waits = &self.handle().waits_for_lease;
        waits.store(true, Ordering::Relaxed);
        let may_speak = router.grant().wait();
        waits.store(false, Ordering::Relaxed);
        may_speak
    }

    fn handle(&self) -> &Handle {
        &self.threads.0[self.index]
    }

    fn wait(&mut self) -> Duration {
        let left = self.orders_left || !self.outcomes.queue.is_empty();
        if left || !self.unread.is_empty() || !self.swaps.is_empty() {
            return Duration::ZERO; // What they had to say has been said: no event will follow.
        }
        let now = self.clock.elapsed();
        let step = self.worker.next_due().map(|due| due.saturating_sub(now));
        let deadline = self.deadlines.peek().map(|Reverse((time, _))| self.clock.until(*time));
        // Also without connections: the metrics of a thread with nothing to do are to be true, too.
        let sweep = self.sweep_at.saturating_sub(now);
        [step, deadline].into_iter().flatten().fold(sweep, Duration::min)
    }

    fn take_orders(&mut self) {
        // Before they are looked at: what is ordered from now on wakes the thread again.
        self.handle().woken.swap(false, Ordering::AcqRel);
        self.orders_left = false;
        for _ in 0..ORDERS_PER_TURN_MAX {
            let Ok(order) = self.orders.try_recv() else { return };
            if self.order(order) {
                break;
            }
        }
        self.orders_left = true;
    }

    /// Whether that took so long that others go first.
    fn order(&mut self, order: Order) -> bool {
        if let Some(waiting) = order.scene().and_then(|id| self.waiting(id)) {
            waiting.wait(Deferred::Order(order));
            return false;
        }
        match order {
            Order::Scene(id, ToScene::Start(start)) => {
                self.start(id, *start);
                // That takes as long as many steps: those that are due go first.
                let now = self.clock.elapsed();
                return self.worker.next_due().is_some_and(|due| due <= now);
            }
            Order::Scene(id, ToScene::Release { epoch }) => self.release(id, epoch),
            Order::Scene(id, order) => {
                if let ToScene::End { reason, .. } = &order {
                    let reason = format!("{reason:?}");
                    self.worker.end_journal(SceneKey(id.0), &reason, &mut self.outcomes);
                }
                self.scene_event(id, scene::Event::Order(order));
            }
            Order::Socket(id, socket) => self.open(id, socket),
            Order::Saved(id, save, made) => self.made(id, save, made),
            Order::Swap(targets) => self.plan_swaps(&targets),
            Order::Usage(id, answer) => self.tell_usage(id, answer),
            Order::Back(call) => self.back(call),
            Order::Stop => self.stopping = true,
        }
        false
    }

    fn scene_event(&mut self, id: SceneId, event: scene::Event) {
        let mut waiting = VecDeque::from([event]);
        while let Some(event) = waiting.pop_front() {
            if let Some(away) = self.waiting(id) {
                away.wait(Deferred::Event(event));
                continue;
            }
            let now = self.clock.now();
            let Some(scene) = self.scenes.get_mut(&id) else {
                if let scene::Event::ReqJoinScene { connection, request, .. }
                | scene::Event::ReqWatchScene { connection, request, .. } = event
                {
                    self.answer(connection, request, Body::Refused(self.not_here(id)));
                }
                return;
            };
            for effect in scene.step(now, event) {
                self.carry_out(id, effect, &mut waiting);
            }
        }
        self.note_deadline(id);
    }

    /// Why nobody can enter a scene that is not here.
    fn not_here(&self, id: SceneId) -> v1::Refused {
        if !self.outcomes.journals.journals().awaits(id) {
            return wire::refused(&Refusal::SceneEnded);
        }
        let refused = wire::refused(&Refusal::Overloaded("the scene goes on in a moment".into()));
        v1::Refused { retry_after_ms: GOES_ON_MS, ..refused }
    }

    fn carry_out(&mut self, id: SceneId, effect: Effect<Told>, waiting: &mut VecDeque<scene::Event>) {
        match effect {
            Effect::Admit { player, connection, request } => {
                let (seat, player) = (player.seat, game::player(&player));
                let (key, clock) = (SceneKey(id.0), self.clock);
                let clock = || clock.elapsed();
                let asked = if self.is_to_step_aside(id) {
                    match self.worker.admit_aside(key, player, clock, &mut self.outcomes) {
                        Ok(()) => {
                            self.called.insert(id, Called::Admit { seat, connection, request });
                            return;
                        }
                        Err(error) => Err(error),
                    }
                } else {
                    self.worker.admit(key, &player, clock, &mut self.outcomes)
                };
                let result = self.answered(id, asked, waiting);
                waiting.push_back(scene::Event::Admitted { seat, connection, request, result });
            }
            Effect::Game(event) => self.tell_game(id, event, waiting),
            Effect::Tell { connection, notice: scene::Notice::Closing(refusal), .. } => {
                self.cut_off(connection, &refusal);
            }
            Effect::Tell { connection, request, notice } => {
                if let scene::Notice::Joined { .. } = notice {
                    self.note(id); // What the user goes on with is written before it is told.
                }
                if let Some(connection) = self.connection(connection) {
                    match &notice {
                        scene::Notice::Joined { seat, .. } => connection.seat = Some(*seat),
                        scene::Notice::Watching { .. } => connection.is_watching = true,
                        _ => {}
                    }
                }
                let Some(scene) = self.scenes.get(&id) else { return };
                let body = wire::scene_notice(notice, scene);
                self.answer(connection, request, body);
            }
            Effect::Repeat { connection, seq, frame } => self.tell(connection, seq, &frame),
            Effect::Show { connections, frame } => {
                connections.into_iter().for_each(|connection| self.tell(connection, 0, &frame));
            }
            // Not into the host's log: a game may give cause for it again and again.
            Effect::Complain(text) => self.logs.said(self.clock.now(), id, Level::Warn, text),
            Effect::Close(connection) => self.close(connection, 1000),
            Effect::Send(message) => match *message {
                Message::OwnSceneService(ResRelease { epoch, result: Ok(()), .. }) => self.let_go(id, epoch),
                message => self.bus.send(message),
            },
            Effect::Kept => {
                self.close_journal(id);
                self.worker.park(SceneKey(id.0));
                if let Some(scene) = self.scenes.get(&id) {
                    self.saves.gone(scene.incarnation());
                }
            }
            Effect::Gone => {
                self.close_journal(id);
                self.lives_no_more(id);
            }
            Effect::Released => {
                self.ledgers.remove(&id);
                self.outcomes.journals.let_go(id);
                self.lives_no_more(id);
            }
        }
    }

    /// The answer to who wants to enter, whatever the game has said.
    fn answered(
        &mut self,
        id: SceneId,
        asked: Result<Result<(), String>, CallError>,
        waiting: &mut VecDeque<scene::Event>,
    ) -> Result<(), String> {
        match asked {
            Ok(result) => result,
            Err(CallError::NoScene | CallError::Finished) => Err("the game is over".to_owned()),
            Err(CallError::Failed(failure)) => {
                let text = self.failed(id, None, &failure);
                waiting.push_back(scene::Event::Failed(text));
                Err("the game has failed".to_owned())
            }
        }
    }

    fn tell_game(&mut self, id: SceneId, event: GameEvent, waiting: &mut VecDeque<scene::Event>) {
        if let Some(away) = self.waiting(id) {
            return away.wait(Deferred::Game(event));
        }
        let now = self.clock.elapsed();
        if self.worker.deliver(SceneKey(id.0), game::event(event), now) == Err(DeliverError::InboxFull) {
            self.worker.remove(SceneKey(id.0));
            waiting.push_back(scene::Event::Failed("it has lost track of its players".to_owned()));
        }
    }

    fn lives_no_more(&mut self, id: SceneId) {
        self.worker.remove(SceneKey(id.0));
        self.logs.gone(id);
        self.runs.remove(&id);
        self.swapping.remove(&id);
        if let Some(scene) = self.scenes.remove(&id) {
            self.saves.gone(scene.incarnation());
        }
    }

    fn close_journal(&mut self, id: SceneId) {
        self.ledgers.remove(&id);
        self.outcomes.journals.close(id);
    }

    fn step_due(&mut self) {
        let clock = self.clock;
        self.worker.run_due(|| clock.elapsed(), &mut self.outcomes);
        self.deal();
    }

    /// Deals with what the worker has said.
    fn deal(&mut self) {
        // An outcome may lead to calls with outcomes of their own; those come to the end.
        while let Some((id, outcome)) = self.outcomes.queue.pop_front() {
            match outcome {
                Outcome::Stepped(stepped) => {
                    self.meters.stepped(stepped.late_by, stepped.took);
                    if stepped.took > self.strike_step || stepped.memory_bytes > self.strike_bytes {
                        self.measured(id, stepped.took, stepped.memory_bytes);
                    }
                    if let Some(ledger) = self.ledgers.get_mut(&id) {
                        ledger.stepped(&stepped.commands);
                        let refused = ledger.take_refused();
                        self.scenes.get_mut(&id).into_iter().for_each(Scene::settle);
                        if refused {
                            self.note(id);
                        }
                    }
                    for command in stepped.commands {
                        self.command(id, command);
                    }
                }
                Outcome::Failed(tick, failure) => {
                    let text = self.failed(id, tick, &failure);
                    self.scene_event(id, scene::Event::Failed(text));
                }
                Outcome::Logged(tick, log) => self.logs.logged(self.clock.now(), id, tick, log),
                Outcome::Snapshot => self.note(id),
                Outcome::Swapped(result) => self.swapped(id, result),
                Outcome::Created(result) => self.created(id, result),
                Outcome::Admitted(result) => self.admitted(id, result),
            }
        }
    }

    /// A step was long, or a scene uses much: SceneMaster hears of it if that is more than the fleet allows.
    fn measured(&mut self, id: SceneId, took: Duration, memory_bytes: usize) {
        let now = self.clock.now();
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let Some(message) = scene.measured(now, took.as_micros() as u64, memory_bytes as u64) else { return };
        tracing::warn!(scene = %id, took_us = took.as_micros() as u64, memory_bytes, "a scene misbehaves: a strike");
        self.bus.send(message);
    }

    fn failed(&mut self, id: SceneId, tick: Option<u64>, failure: &Failure) -> String {
        tracing::warn!(scene = %id, tick, kind = failure.kind(), %failure, "a scene failed");
        self.logs.failed(self.clock.now(), id, tick, failure);
        self.meters.failed(failure.kind());
        if let Some(run) = self.runs.get(&id) {
            self.fleets.failed(run, id, self.clock.now(), failure);
        }
        failure.public_text().to_owned()
    }

    fn command(&mut self, id: SceneId, command: Command) {
        match command {
            Command::Send(outgoing) => self.send(id, outgoing),
            Command::Kick(eviction) => {
                let reason = eviction.reason.chars().take(256).collect();
                self.scene_event(id, scene::Event::Kick { seat: eviction.seat, reason });
            }
            Command::Finish(ending) => self.scene_event(id, scene::Event::Finish(game::results(ending))),
            Command::Save(request) => self.save(id, request),
            Command::SeekPlayers(openings) => {
                self.scene_event(id, scene::Event::SeekPlayers(game::openings(openings)));
            }
            Command::StopSeeking => self.scene_event(id, scene::Event::SeekPlayers(Vec::new())),
            Command::MatchAgain(NextMatch { seats, domain, together }) => {
                let domain = domain.as_deref().map(DomainName::from);
                self.scene_event(id, scene::Event::MatchAgain { seats, domain, together });
            }
            Command::Label(label) => self.scene_event(id, scene::Event::Label(label)),
            Command::Show(showing) => self.show(id, showing),
            // The worker keeps timers itself.
            Command::Timer(_) | Command::CancelTimer(_) => {}
        }
    }

    /// The hot path: one message of the game to those it is for, encoded once.
    fn send(&mut self, id: SceneId, outgoing: Outgoing) {
        let Some(scene) = self.scenes.get_mut(&id) else { return };
        let bytes = TOLD_BYTES + outgoing.body.len();
        let event = Rc::new(SharedEvent::new(Body::SceneMessage(v1::SceneMessage { body: outgoing.body.into() })));
        for (connection, seq) in scene.tell(|seat| wire::is_target(&outgoing.to, seat), &event, bytes) {
            self.tell(connection, seq, &event);
        }
    }

    /// Something for those who watch: it is encoded once, too, and kept until its time.
    fn show(&mut self, id: SceneId, Showing { whole, body }: Showing) {
        let now = self.clock.now();
        let can_be_watched = |scene: &&mut Scene<Told>| scene.limits().spectators_max > 0;
        let Some(scene) = self.scenes.get_mut(&id).filter(can_be_watched) else { return };
        let bytes = TOLD_BYTES + body.len();
        let event = Rc::new(SharedEvent::new(Body::SceneMessage(v1::SceneMessage { body: body.into() })));
        let effects = scene.say_to_spectators(now, whole, event, bytes);
        self.note_deadline(id);
        let mut waiting = VecDeque::new();
        effects.into_iter().for_each(|effect| self.carry_out(id, effect, &mut waiting));
        waiting.into_iter().for_each(|event| self.scene_event(id, event));
    }

    /// Tells scenes that their deadlines have come. Each hears of it once in a turn, whatever deadline it has then.
    fn expire(&mut self) {
        let now = self.clock.now();
        let mut due = BTreeSet::new();
        while let Some(Reverse((time, id))) = self.deadlines.peek().copied().filter(|Reverse((time, _))| *time <= now) {
            self.deadlines.pop();
            due.insert(id);
            if self.noted.get(&id) == Some(&time) {
                self.noted.remove(&id);
            }
        }
        for id in due {
            // One that is away has its deadline looked at when it is back.
            if self.waiting(id).is_none() && self.scenes.get(&id).and_then(Scene::deadline).is_some_and(|at| at <= now)
            {
                self.scene_event(id, scene::Event::Tick);
            }
        }
    }

    /// The thread wakes when the scene's deadline comes.
    fn note_deadline(&mut self, id: SceneId) {
        if let Some(deadline) = self.scenes.get(&id).and_then(Scene::deadline)
            && self.noted.insert(id, deadline) != Some(deadline)
        {
            self.deadlines.push(Reverse((deadline, id)));
        }
    }

    fn sweep(&mut self) {
        let now = self.clock.elapsed();
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now + SWEEP;
        self.meters.report(self.scenes.len(), self.connections.len());
        self.groups.report(&mut self.worker);
        self.look_through(now);
    }
}
