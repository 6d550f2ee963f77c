//! The test kit: plays a scene natively, in plain `cargo test`, as the host would.
//!
//! Two things are checked in every test without a line of its own: in each step the scene is saved,
//! loaded into a twin, and both must answer the step alike; and
//! [`assert_replays`](SceneTest::assert_replays) plays the same inputs once more from the start. A
//! panic in a handler is a panic of the test.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::runtime::Runtime;
use crate::{
    Comeback, Command, Departure, Ending, Event, Eviction, External, Incoming, Init, LeaveReason, Level, Moment,
    NextMatch, Opening, Outgoing, Player, SaveAnswer, SaveError, SaveRequest, Scene, Seat, Showing, StopNotice,
    StopReason, Target, Timer,
};

thread_local! {
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// Where `log::log` goes natively.
pub(crate) fn note(level: Level, text: &str) {
    LINES.with_borrow_mut(|lines| lines.push((level, text.to_owned())));
}

/// What went there since the last time.
pub(crate) fn take_notes() -> Vec<(Level, String)> {
    LINES.take()
}

/// What a scene starts with in a test: so many matched players, seats from 0, tick rate 0, an empty
/// configuration and seed 1. Change single fields by `Init { tick_rate_hz: 20, ..players(2) }`.
pub fn players(count: u32) -> Init {
    Init {
        seed: 1,
        tick_rate_hz: 0,
        configuration: "{}".to_owned(),
        players: (0..count).map(player).collect(),
        region: None,
        chosen: Vec::new(),
        bots: 0,
    }
}

/// A player for a seat, as [`players`] makes them: `player 0` is user 100 with rating 1500, and came alone.
pub fn player(seat: Seat) -> Player {
    let (user, name) = (100 + u64::from(seat), format!("player {seat}"));
    Player { seat, user, name, rating: 1500, team: 0, role: None, party: seat }
}

/// One step, as it was: what went in and what came out.
struct Step {
    at: Moment,
    events: Vec<Event>,
    commands: Vec<Command>,
}

/// A scene in play. At tick rate 0 every event is a step at once; in a ticking scene events wait for
/// [`ticks`](SceneTest::ticks) or [`advance_ms`](SceneTest::advance_ms). After the end nothing
/// reaches the scene any more.
pub struct SceneTest<S: Scene> {
    init: Init,
    runtime: Runtime<S>,
    tick_next: u64,
    now_ms: u64,
    queue: Vec<Event>,
    /// When each timer that is set is due, by its id.
    timers: BTreeMap<u64, u64>,
    /// Seats that were joined and not left, and of those the connected ones.
    held: BTreeSet<Seat>,
    connected: BTreeSet<Seat>,
    seats_ever: BTreeSet<Seat>,
    inboxes: BTreeMap<Seat, Vec<Vec<u8>>>,
    history: Vec<Step>,
    lines: Vec<(Level, String)>,
    shown: Vec<Showing>,
    label: Option<String>,
    search: Vec<Opening>,
    next_matches: Vec<NextMatch>,
    saves: Vec<SaveRequest>,
    kicks: Vec<Eviction>,
    ending: Option<Ending>,
}

impl<S: Scene> SceneTest<S> {
    /// Starts the scene. Panics if it refuses to start.
    pub fn start(init: Init) -> Self {
        Self::try_start(init).unwrap_or_else(|error| panic!("the scene did not start: {error}"))
    }

    /// Starts the scene, or returns the text of its refusal.
    pub fn try_start(init: Init) -> Result<Self, String> {
        LINES.take();
        let runtime = Runtime::start(init.clone())?;
        Ok(Self::begun(init, runtime))
    }

    /// The session is over, and the scene is used for the next one, in a fleet that does so. Panics if it refuses.
    /// What this test knows of the session before is gone, too; that the new one is as new as a scene of its own
    /// [`assert_replays`](SceneTest::assert_replays) checks.
    pub fn restart(self, init: Init) -> Self {
        LINES.take();
        let mut runtime = self.runtime;
        runtime.restart(init.clone()).unwrap_or_else(|error| panic!("the next session did not start: {error}"));
        Self::begun(init, runtime)
    }

    fn begun(init: Init, runtime: Runtime<S>) -> Self {
        SceneTest {
            init,
            runtime,
            tick_next: 0,
            now_ms: 0,
            queue: Vec::new(),
            timers: BTreeMap::new(),
            held: BTreeSet::new(),
            connected: BTreeSet::new(),
            seats_ever: BTreeSet::new(),
            inboxes: BTreeMap::new(),
            history: Vec::new(),
            lines: LINES.take(),
            shown: Vec::new(),
            label: None,
            search: Vec::new(),
            next_matches: Vec::new(),
            saves: Vec::new(),
            kicks: Vec::new(),
            ending: None,
        }
    }

    /// A player comes in: the one matched for the seat, else a new one as by [`player`]. Panics if
    /// the scene does not admit them.
    pub fn join(&mut self, seat: Seat) {
        let matched = self.init.players.iter().find(|player| player.seat == seat);
        let player = matched.cloned().unwrap_or_else(|| player(seat));
        self.try_join(player).unwrap_or_else(|refusal| panic!("seat {seat} was not admitted: {refusal}"));
    }

    /// A player comes in, or the text of the refusal comes out.
    pub fn try_join(&mut self, player: Player) -> Result<(), String> {
        self.runtime.admit(&player)?;
        self.fill_opening(&player);
        self.seats_ever.insert(player.seat);
        self.held.insert(player.seat);
        self.connected.insert(player.seat);
        self.event(Event::Joined(player));
        Ok(())
    }

    /// A player's connection is lost.
    pub fn drop_out(&mut self, seat: Seat) {
        self.connected.remove(&seat);
        self.event(Event::Dropped(seat));
    }

    /// A dropped player is back, and has missed messages if `missed`.
    pub fn resume(&mut self, seat: Seat, missed: bool) {
        self.connected.insert(seat);
        self.event(Event::Resumed(Comeback { seat, missed }));
    }

    /// A player leaves by wish.
    pub fn leave(&mut self, seat: Seat) {
        self.leave_because(seat, LeaveReason::Left);
    }

    /// A player is gone for another reason.
    pub fn leave_because(&mut self, seat: Seat, reason: LeaveReason) {
        self.held.remove(&seat);
        self.connected.remove(&seat);
        self.event(Event::Left(Departure { seat, reason }));
    }

    /// A player sends a message as JSON.
    pub fn send<M: Serialize + ?Sized>(&mut self, from: Seat, message: &M) {
        let body = serde_json::to_vec(message).expect("the message can be written as JSON");
        self.send_bytes(from, body);
    }

    /// A player sends bytes.
    pub fn send_bytes(&mut self, from: Seat, body: impl Into<Vec<u8>>) {
        let body = body.into();
        self.event(Event::Message(Incoming { from, body }));
    }

    /// A message from outside the game.
    pub fn signal(&mut self, name: &str, body: impl Into<Vec<u8>>) {
        let (name, body) = (name.to_owned(), body.into());
        self.event(Event::Signal(External { name, body }));
    }

    /// The answer to one of the scene's [`saves`](SceneTest::saves).
    pub fn answer_save(&mut self, id: u64, outcome: Result<(), SaveError>) {
        self.event(Event::Saved(SaveAnswer { id, outcome }));
    }

    /// The host asks the scene to end.
    pub fn stop(&mut self, reason: StopReason, grace_ms: u32) {
        self.event(Event::Stopping(StopNotice { reason, grace_ms }));
    }

    /// The host wants the whole view of those who watch.
    pub fn watched(&mut self) {
        self.event(Event::Watched);
    }

    /// Makes so many steps of a ticking scene. While nobody holds a seat it sleeps.
    pub fn ticks(&mut self, count: u32) {
        assert_ne!(self.init.tick_rate_hz, 0, "this scene does not tick");
        for _ in 0..count {
            self.step_ticking();
        }
    }

    /// Lets time pass, and makes the steps and fires the timers that fall into it.
    pub fn advance_ms(&mut self, ms: u64) {
        let until_ms = self.now_ms + ms;
        if self.init.tick_rate_hz > 0 {
            while self.tick_ms(self.tick_next) <= until_ms && self.step_ticking() {}
            return;
        }
        while let Some(due_ms) = self.next_due_ms().filter(|&due_ms| due_ms <= until_ms) {
            self.now_ms = due_ms.max(self.now_ms);
            self.queue_due_timers();
            self.settle();
        }
        self.now_ms = until_ms;
    }

    /// Continues in a scene loaded from a snapshot, as after a crash or a move.
    pub fn reload(&mut self) {
        self.runtime = self.twin();
    }

    /// The messages a player got since the last call, read from JSON.
    pub fn received<M: DeserializeOwned>(&mut self, seat: Seat) -> Vec<M> {
        let read = |body: Vec<u8>| {
            serde_json::from_slice(&body).unwrap_or_else(|error| {
                let text = String::from_utf8_lossy(&body);
                panic!("seat {seat} got what cannot be read ({error}): {text}")
            })
        };
        self.received_bytes(seat).into_iter().map(read).collect()
    }

    /// The messages a player got since the last call.
    pub fn received_bytes(&mut self, seat: Seat) -> Vec<Vec<u8>> {
        self.inboxes.remove(&seat).unwrap_or_default()
    }

    /// What was shown to those who watch since the last call: whether it is a whole view, and what it is, read from
    /// JSON.
    pub fn shown<M: DeserializeOwned>(&mut self) -> Vec<(bool, M)> {
        let read = |Showing { whole, body }: Showing| {
            let message = serde_json::from_slice(&body).unwrap_or_else(|error| {
                panic!("what is shown cannot be read ({error}): {}", String::from_utf8_lossy(&body))
            });
            (whole, message)
        };
        std::mem::take(&mut self.shown).into_iter().map(read).collect()
    }

    /// The scene's state.
    pub fn scene(&self) -> &S {
        self.runtime.scene()
    }

    /// Milliseconds since the scene started.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// How the scene finished, if it has.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Milliseconds until a timer is due, if it is set.
    pub fn timer_due_ms(&self, timer: Timer) -> Option<u64> {
        let due_ms = self.timers.get(&timer.id())?;
        Some(due_ms.saturating_sub(self.now_ms))
    }

    /// The scene's label, JSON text.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// What is still open of the scene's search for players: whoever joins has taken a place. Empty if it seeks nobody.
    pub fn search(&self) -> &[Opening] {
        &self.search
    }

    /// Matching has found somebody for the scene's search: a new player, with the team and the role of the first
    /// opening, comes in with the next seat. Panics if the scene seeks nobody, or does not admit the player.
    pub fn join_sought(&mut self) -> Seat {
        let opening = self.search.first().cloned().expect("the scene seeks somebody");
        let known = self.init.players.iter().map(|player| player.seat).chain(self.seats_ever.iter().copied());
        let seat = known.max().map_or(0, |last| last + 1);
        let sought = Player { team: opening.team.unwrap_or(0), role: opening.role, ..player(seat) };
        self.try_join(sought).unwrap_or_else(|refusal| panic!("seat {seat} was not admitted: {refusal}"));
        seat
    }

    /// Whom the scene has sent on to their next matches; they have left in the step after.
    pub fn next_matches(&self) -> &[NextMatch] {
        &self.next_matches
    }

    /// The saves the scene has asked for.
    pub fn saves(&self) -> &[SaveRequest] {
        &self.saves
    }

    /// The players the scene has kicked; each has left in the step after.
    pub fn kicks(&self) -> &[Eviction] {
        &self.kicks
    }

    /// The lines the scene has logged.
    pub fn log(&self) -> &[(Level, String)] {
        &self.lines
    }

    /// Plays all inputs again in a new scene with the same seed, and panics unless every step
    /// answers as it did.
    pub fn assert_replays(&self) {
        let mut again = Runtime::<S>::start(self.init.clone()).expect("the scene has started once");
        for Step { at, events, commands } in &self.history {
            let answer = again.step(*at, events.clone());
            let tick = at.tick;
            assert_eq!(answer.as_ref(), Ok(commands), "step {tick} is not a function of the scene's inputs");
        }
        LINES.take();
    }

    fn event(&mut self, event: Event) {
        self.queue.push(event);
        if self.init.tick_rate_hz == 0 {
            self.settle();
        }
    }

    /// At tick rate 0: steps until nothing more has happened.
    fn settle(&mut self) {
        while !self.queue.is_empty() {
            self.step();
        }
    }

    /// One step at the tick rate; false if the scene sleeps or has ended.
    fn step_ticking(&mut self) -> bool {
        if self.ending.is_some() || self.held.is_empty() && self.queue.is_empty() {
            return false;
        }
        self.now_ms = self.tick_ms(self.tick_next);
        self.queue_due_timers();
        self.step();
        true
    }

    fn step(&mut self) {
        let events = std::mem::take(&mut self.queue);
        if self.ending.is_some() {
            return;
        }
        let at = Moment { tick: self.tick_next, elapsed_ms: self.now_ms };
        self.tick_next += 1;
        let mut twin = self.twin();
        let commands =
            self.runtime.step(at, events.clone()).unwrap_or_else(|error| panic!("step {} failed: {error}", at.tick));
        self.lines.extend(LINES.take());
        assert_eq!(
            twin.step(at, events.clone()).as_ref(),
            Ok(&commands),
            "step {}: a scene loaded from the snapshot answers otherwise; its state is not whole",
            at.tick
        );
        LINES.take();
        for command in commands.clone() {
            self.carry_out(command);
        }
        self.history.push(Step { at, events, commands });
    }

    fn carry_out(&mut self, command: Command) {
        if self.ending.is_some() {
            return;
        }
        match command {
            Command::Send(outgoing) => self.deliver(outgoing),
            Command::Show(showing) => self.shown.push(showing),
            Command::Kick(eviction) => {
                self.goes(eviction.seat, LeaveReason::Kicked);
                self.kicks.push(eviction);
            }
            Command::Label(label) => self.label = Some(label),
            Command::SeekPlayers(openings) => self.search = openings,
            Command::StopSeeking => self.search.clear(),
            Command::MatchAgain(next) => {
                for &seat in &next.seats {
                    self.goes(seat, LeaveReason::NextMatch);
                }
                self.next_matches.push(next);
            }
            Command::Timer(alarm) => {
                let due_ms = self.now_ms + u64::from(alarm.after_ms);
                self.timers.insert(alarm.id, due_ms);
            }
            Command::CancelTimer(id) => {
                self.timers.remove(&id);
            }
            Command::Save(request) => self.saves.push(request),
            Command::Finish(ending) => self.ending = Some(ending),
        }
    }

    /// The scene has sent a player away; it hears of it in the next step.
    fn goes(&mut self, seat: Seat, reason: LeaveReason) {
        self.connected.remove(&seat);
        if self.held.remove(&seat) {
            self.queue.push(Event::Left(Departure { seat, reason }));
        }
    }

    /// A player who was not matched at the beginning takes a place of the search, if there is one.
    fn fill_opening(&mut self, player: &Player) {
        let is_new = self.init.players.iter().all(|matched| matched.seat != player.seat);
        let fits = |it: &Opening| {
            let of_role = it.role.is_none() || player.role.is_none() || it.role == player.role;
            of_role && it.team.is_none_or(|team| team == player.team)
        };
        if let Some(place) = self.search.iter().position(fits).filter(|_| is_new) {
            self.search[place].count -= 1;
            self.search.retain(|opening| opening.count > 0);
        }
    }

    fn deliver(&mut self, Outgoing { to, body }: Outgoing) {
        let hears = |seat: &Seat| match &to {
            Target::One(one) => seat == one,
            Target::Many(many) => many.contains(seat),
            Target::All => true,
            Target::AllBut(but) => seat != but,
        };
        for &seat in self.connected.iter().filter(|seat| hears(seat)) {
            self.inboxes.entry(seat).or_default().push(body.clone());
        }
    }

    fn twin(&self) -> Runtime<S> {
        let snapshot = self.runtime.save().expect("the scene can be saved");
        Runtime::load(self.init.clone(), &snapshot).expect("the snapshot can be loaded")
    }

    fn next_due_ms(&self) -> Option<u64> {
        self.timers.values().min().copied()
    }

    fn queue_due_timers(&mut self) {
        let now_ms = self.now_ms;
        let mut due: Vec<(u64, u64)> =
            self.timers.extract_if(.., |_, due_ms| *due_ms <= now_ms).map(|(id, due_ms)| (due_ms, id)).collect();
        due.sort_unstable();
        self.queue.extend(due.into_iter().map(|(_, id)| Event::Timer(id)));
    }

    fn tick_ms(&self, tick: u64) -> u64 {
        tick * 1000 / u64::from(self.init.tick_rate_hz)
    }
}
