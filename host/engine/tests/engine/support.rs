//! Guests written by hand, and a worker whose clock is a number.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use scenehost_engine::{
    Aside, CallError, Command, CreateError, DeliverError, Engine, Event, Failure, Incoming, Init, Log, NotTaken,
    Options, Outgoing, Player, Plugin, SceneKey, SceneSpec, Sink, Stepped, Target, Worker, WorkerOptions,
    journal::Journaled,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

pub const GUEST: &str = include_str!("guest.wat");

pub static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(Options { scenes_max: 200, ..Options::default() }).unwrap());

pub static PLUGIN: LazyLock<Plugin> = LazyLock::new(|| ENGINE.compile(&component(GUEST)).unwrap());

/// Another version of the guest: with this in the place of that.
pub fn version(that: &str, this: &str) -> Plugin {
    assert!(GUEST.contains(that), "the guest has changed: {that}");
    ENGINE.compile(&component(&GUEST.replace(that, this))).unwrap()
}

/// The bytes of WebAssembly in text.
pub fn encode_text(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// Encodes a core module in text as a component of the contract's world.
pub fn component(core: &str) -> Vec<u8> {
    encode(core, "scenehost:scene/scene@0.3.0")
}

/// The same for the contract of rules.
pub fn rule_component(core: &str) -> Vec<u8> {
    encode(core, "scenehost:match-rule/match-rule@0.1.0")
}

fn encode(core: &str, world: &str) -> Vec<u8> {
    let mut module = wat::parse_str(core).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    let packages = ["scene.wit", "match-rule.wit"].map(|file| resolve.push_path(format!("{wit}/{file}")).unwrap().0);
    let world = resolve.select_world(&packages, Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

pub fn init(tick_rate_hz: u32) -> Init {
    Init {
        seed: 0x5eed,
        tick_rate_hz,
        configuration: "{}".to_owned(),
        players: vec![player(0), player(1)],
        region: None,
        chosen: Vec::new(),
        bots: 0,
    }
}

pub fn player(seat: u32) -> Player {
    Player {
        seat,
        user: 1_000 + u64::from(seat),
        name: format!("player {seat}"),
        rating: 1_500,
        team: 0,
        role: None,
        party: seat,
    }
}

/// A message of the player in seat 0; `guest.wat` lists what its bytes ask for.
pub fn say(body: &[u8]) -> Event {
    Event::Message(Incoming { from: 0, body: body.to_vec() })
}

pub fn sent(body: &[u8]) -> Command {
    Command::Send(Outgoing { to: Target::All, body: body.to_vec() })
}

/// What the guest sends for an event that is not a message.
pub fn answer(case: u8, first: u8) -> Command {
    sent(&[case, first])
}

pub const JOINED: u8 = 0;
pub const TIMER: u8 = 5;

/// A worker, its clock and all it has said.
pub struct Table {
    pub worker: Worker,
    pub now: Duration,
    pub said: Recorder,
}

/// What a game says to who would enter.
pub type Answer = Result<(), String>;

#[derive(Default)]
pub struct Recorder {
    pub steps: Vec<(SceneKey, Duration, Stepped)>,
    pub failures: Vec<(SceneKey, Failure)>,
    pub logs: Vec<(SceneKey, Log)>,
    pub swaps: Vec<(SceneKey, Result<(), String>)>,
    pub created: Vec<(SceneKey, Result<(), CreateError>)>,
    pub admitted: Vec<(SceneKey, Result<Answer, CallError>)>,
    /// Calls that another thread is to make; `None` where there is no such thread.
    #[expect(clippy::vec_box, reason = "they are kept as they are given")]
    pub lane: Option<Vec<Box<Aside>>>,
    pub lane_is_full: bool,
    /// How much the thread has worked, if that is to count.
    pub worked: Option<Duration>,
    /// The whole journals, and what is left of them behind the last snapshot.
    pub journals: BTreeMap<SceneKey, [Vec<u8>; 2]>,
    /// What was told in which order.
    pub order: Vec<&'static str>,
    now: Duration,
}

impl Sink for Recorder {
    fn stepped(&mut self, key: SceneKey, stepped: Stepped) {
        self.steps.push((key, self.now, stepped));
        self.order.push("stepped");
    }

    fn journaled(&mut self, key: SceneKey, part: Journaled<'_>) {
        let [whole, trimmed] = self.journals.entry(key).or_default();
        let bytes = match part {
            Journaled::Begun(bytes) => {
                whole.clear();
                trimmed.clear();
                bytes
            }
            Journaled::Added(bytes) => bytes,
            Journaled::Snapshot { head, bytes } => {
                *trimmed = head.to_vec();
                bytes
            }
        };
        whole.extend(bytes);
        trimmed.extend(bytes);
        self.order.push("journaled");
    }

    fn swapped(&mut self, key: SceneKey, result: Result<(), String>) {
        self.swaps.push((key, result));
    }

    fn worked(&self) -> Option<Duration> {
        self.worked
    }

    fn aside(&mut self, aside: Box<Aside>) -> Result<(), NotTaken> {
        match &mut self.lane {
            Some(lane) if !self.lane_is_full => lane.push(aside),
            Some(_) => return Err(NotTaken::Full(aside)),
            None => return Err(NotTaken::Nobody(aside)),
        }
        Ok(())
    }

    fn created(&mut self, key: SceneKey, result: Result<(), CreateError>) {
        self.created.push((key, result));
    }

    fn admitted(&mut self, key: SceneKey, result: Result<Result<(), String>, CallError>) {
        self.admitted.push((key, result));
    }

    fn failed(&mut self, key: SceneKey, failure: Failure) {
        self.failures.push((key, failure));
    }

    fn logged(&mut self, key: SceneKey, log: Log) {
        self.logs.push((key, log));
    }
}

pub const A: SceneKey = SceneKey(1);
pub const B: SceneKey = SceneKey(2);

impl Table {
    pub fn new() -> Table {
        Table::with(WorkerOptions { quantum: Duration::ZERO, ..WorkerOptions::default() })
    }

    pub fn with(options: WorkerOptions) -> Table {
        Table { worker: Worker::new(options), now: ms(1_000), said: Recorder::default() }
    }

    pub fn create(&mut self, key: SceneKey, tick_rate_hz: u32) {
        self.try_create(key, &SceneSpec::new(init(tick_rate_hz))).unwrap();
    }

    pub fn try_create(&mut self, key: SceneKey, spec: &SceneSpec) -> Result<(), CreateError> {
        self.worker.create(key, &PLUGIN, spec, || self.now, &mut self.said)
    }

    /// Makes a scene with the player of seat 0 inside.
    pub fn create_joined(&mut self, key: SceneKey, tick_rate_hz: u32) {
        self.create(key, tick_rate_hz);
        self.deliver(key, Event::Joined(player(0)));
    }

    pub fn deliver(&mut self, key: SceneKey, event: Event) {
        self.try_deliver(key, event).unwrap();
    }

    pub fn try_deliver(&mut self, key: SceneKey, event: Event) -> Result<(), DeliverError> {
        self.worker.deliver(key, event, self.now)
    }

    pub fn say(&mut self, key: SceneKey, body: &[u8]) {
        self.deliver(key, say(body));
    }

    /// Runs once, at this moment.
    pub fn run(&mut self) -> u32 {
        self.said.now = self.now;
        self.worker.run_due(|| self.now, &mut self.said)
    }

    /// Runs as a punctual owner would, until `span` has passed.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.worker.next_due()
            && due < end
        {
            self.now = self.now.max(due);
            self.run();
        }
        self.now = end;
    }

    /// The ticks of a scene's steps since the last call, each with the milliseconds since the table's beginning.
    pub fn take_ticks(&mut self, key: SceneKey) -> Vec<(u64, u128)> {
        let steps = self.take_steps(key);
        let ticks = steps.iter().map(|(at, step)| (step.tick, (*at - ms(1_000)).as_millis()));
        ticks.collect()
    }

    pub fn take_commands(&mut self, key: SceneKey) -> Vec<Command> {
        let steps = self.take_steps(key);
        steps.into_iter().flat_map(|(_, step)| step.commands).collect()
    }

    pub fn take_steps(&mut self, key: SceneKey) -> Vec<(Duration, Stepped)> {
        let taken = self.said.steps.extract_if(.., |(of, _, _)| *of == key);
        taken.map(|(_, at, step)| (at, step)).collect()
    }
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
