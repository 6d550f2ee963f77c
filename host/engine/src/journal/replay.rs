//! Runs journals again.
//!
//! Invariant: a replay calls an instance exactly as the journal says that it was called, and nothing else, so that what
//! differs is the component or the host, and never the replay.

use std::borrow::Cow;

use super::{During, Entry, Header, Kept, Reader, Step, Unreadable, entry};
use crate::{
    bindings::{Command, Event, Moment, Player},
    failure::Failure,
    instance::Instance,
    limits::{DEADLINE_MS_MAX, Limits},
    log::Log,
    plugin::Plugin,
    upload::Digest,
};

/// Ticks, and milliseconds: 30,000 years.
const TIME_MAX: u64 = 1 << 50;

/// Why a journal was not replayed to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Not all versions are at hand that the scene has run on.
    #[error("the journal is of the component {0}, which is not here")]
    NoPlugin(Digest),
    #[error(transparent)]
    Diverged(Box<Divergence>),
    /// The scene has failed where it had not when the journal was written.
    #[error("the scene fails{}, and it did not when the journal was written: {failure}", at(.tick))]
    Failed { tick: Option<u64>, failure: Failure },
    /// The journal says what cannot have been.
    #[error("the journal is not right: {0}")]
    Wrong(&'static str),
}

fn at(tick: &Option<u64>) -> String {
    tick.map(|tick| format!(" in the step of tick {tick}")).unwrap_or_default()
}

/// The first thing that came out otherwise than when the journal was written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Divergence {
    #[error("the step of tick {tick} returns something else than when the journal was written")]
    Step { tick: u64, events: Vec<Event>, commands: Vec<Command> },
    #[error("asked whether {} may enter, before tick {before_tick}, the game answers {found:?}, and it was {recorded:?}", .player.name)]
    Admit { before_tick: u64, player: Player, recorded: Result<(), String>, found: Result<(), String> },
    #[error("before tick {before_tick} the scene's state is another one than when the journal was written")]
    State { before_tick: u64 },
    #[error(
        "at tick {tick} the scene {}, and when the journal was written it failed: {recorded}",
        .found.as_ref().map_or("does not fail".to_owned(), |found| format!("fails otherwise ({found})"))
    )]
    Failure { tick: u64, recorded: String, found: Option<String> },
}

/// How a journal ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It does not: the scene still runs, or its host has died.
    Open,
    /// In the middle of a record: its host has died.
    Torn,
    /// The scene has failed.
    Failed { tick: u64, kind: String, text: String },
    /// The scene was ended.
    Ended { reason: String },
}

/// What a replay has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The number of the first step; more than 0 if the journal goes on from a state.
    pub first_tick: u64,
    pub steps: u64,
    pub admits: u64,
    pub snapshots: u64,
    pub swaps: u64,
    /// The hash of everything that the scene has returned.
    pub chain: u64,
    pub ended: Ended,
}

/// A step that a replay has made.
pub struct Stepped<'a> {
    pub at: Moment,
    pub events: &'a [Event],
    pub commands: &'a [Command],
    pub memory_bytes: usize,
}

/// Who watches a replay.
pub trait Observer {
    fn began(&mut self, _header: &Header) {}
    fn stepped(&mut self, _stepped: &Stepped<'_>) {}
    fn admitted(&mut self, _player: &Player, _answer: &Result<(), String>) {}
    /// The scene runs on another version from here.
    fn swapped(&mut self, _digest: Digest) {}
    /// It does not: it goes on as before.
    fn swapped_back(&mut self, _reason: &str) {}
    fn logged(&mut self, _log: &Log) {}
    fn host(&mut self, _bytes: &[u8]) {}
    /// The scene fails in this call, as it did.
    fn failed(&mut self, _during: &During<'_>, _kind: &str, _text: &str) {}
}

/// Nobody watches.
pub struct Nobody;

impl Observer for Nobody {}

/// Runs a journal again and compares everything that comes out. `plugin_of` gives the component of a digest.
///
/// # Errors
///
/// When the journal cannot be read, or the first thing that is not as it was.
pub fn replay(
    journal: &[u8],
    plugin_of: impl Fn(&Digest) -> Option<Plugin>,
    observer: &mut impl Observer,
) -> Result<Report, Error> {
    let mut replayer = Replayer::begin(journal, plugin_of, Compare::Everything, observer)?;
    replayer.run(observer)?;
    Ok(replayer.report())
}

/// Runs a journal on another version of the game, and tells the first step, or answer, that is not as it was. The
/// scene's state may be another one, as that is the version's own business.
///
/// # Errors
///
/// As [`replay`].
pub fn verify(journal: &[u8], plugin: &Plugin, observer: &mut impl Observer) -> Result<Report, Error> {
    let mut replayer = Replayer::begin(journal, |_| Some(plugin.clone()), Compare::Outputs, observer)?;
    replayer.run(observer)?;
    Ok(replayer.report())
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Everything,
    /// Not the state.
    Outputs,
}

/// A journal that is being run.
pub(crate) struct Replayer<'a, F> {
    pub header: Header,
    reader: Reader<'a>,
    plugin_of: F,
    compare: Compare,
    pub plugin: Plugin,
    pub limits: Limits,
    pub instance: Instance,
    /// The version before, until the one that has taken its place has made a step.
    before: Option<(Instance, Plugin, Limits)>,
    pub kept: Kept,
    pub chain: u64,
    report: Report,
    scratch: Vec<u8>,
}

impl<'a, F: Fn(&Digest) -> Option<Plugin>> Replayer<'a, F> {
    pub fn begin(
        journal: &'a [u8],
        plugin_of: F,
        compare: Compare,
        observer: &mut impl Observer,
    ) -> Result<Self, Error> {
        let (header, mut reader) = Reader::new(journal)?;
        let plugin = plugin_of(&header.digest).ok_or(Error::NoPlugin(header.digest))?;
        let failed = |failure| Error::Failed { tick: None, failure };
        let mut instance = Instance::new(&plugin, unhurried(&header.limits)).map_err(failed)?;
        observer.began(&header);
        let mut first = reader.clone();
        let (kept, chain) = match first.next() {
            Some(Ok(Entry::Snapshot { state, kept, chain })) => {
                reader = first;
                if [kept.next_tick, kept.slept_slots, kept.elapsed_ms].into_iter().any(|it| it > TIME_MAX) {
                    return Err(Error::Wrong("it begins at a time that no scene comes to"));
                }
                instance.load(&header.init, &state).map_err(failed)?;
                (kept.into_owned(), chain)
            }
            _ => {
                instance.start(&header.init).map_err(failed)?;
                (Kept::default(), 0)
            }
        };
        let report = Report {
            first_tick: kept.next_tick,
            steps: 0,
            admits: 0,
            snapshots: 0,
            swaps: 0,
            chain,
            ended: Ended::Open,
        };
        let limits = header.limits;
        let mut replayer = Self {
            header,
            reader,
            plugin_of,
            compare,
            plugin,
            limits,
            instance,
            before: None,
            kept,
            chain,
            report,
            scratch: Vec::new(),
        };
        replayer.tell_log(observer);
        Ok(replayer)
    }

    /// Runs to the end.
    pub fn run(&mut self, observer: &mut impl Observer) -> Result<(), Error> {
        while matches!(self.report.ended, Ended::Open)
            && let Some(entry) = self.reader.next()
        {
            self.take(entry.map_err(Unreadable::from)?, observer)?;
        }
        if self.reader.is_torn() {
            self.report.ended = Ended::Torn;
        }
        Ok(())
    }

    pub fn report(&self) -> Report {
        Report { chain: self.chain, ..self.report.clone() }
    }

    /// Where the last whole record ends that was read.
    pub fn offset(&self) -> usize {
        self.reader.offset()
    }

    fn take(&mut self, entry: Entry<'_>, observer: &mut impl Observer) -> Result<(), Error> {
        match entry {
            Entry::Begin(_) => return Err(Error::Wrong("it begins twice")),
            Entry::Admit { player, answer } => self.admit(&player, answer.map_err(Cow::into_owned), observer)?,
            Entry::Step { step, chain } => self.step(&step, chain, observer)?,
            Entry::Quiet { steps } => self.steps_quietly(steps, observer)?,
            Entry::Failed { during, kind, text } => self.fail(&during, &kind, &text, observer)?,
            Entry::Snapshot { state, kept, chain } => self.snapshot(&state, &kept, chain, observer)?,
            Entry::Unsaved { .. } | Entry::NotSwapped { .. } => {
                self.save(observer)?.ok();
            }
            Entry::Swapped { digest, limits } => self.swap(digest, limits, observer)?,
            Entry::SwappedBack { reason } => {
                let before = self.before.take().ok_or(Error::Wrong("it goes back to a version that is not there"))?;
                (self.instance, self.plugin, self.limits) = before;
                observer.swapped_back(&reason);
            }
            Entry::Host(bytes) => observer.host(&bytes),
            Entry::End { reason } => self.report.ended = Ended::Ended { reason: reason.into_owned() },
        }
        Ok(())
    }

    fn admit(
        &mut self,
        player: &Player,
        recorded: Result<(), String>,
        observer: &mut impl Observer,
    ) -> Result<(), Error> {
        let result = self.instance.admit(player);
        self.tell_log(observer);
        let found = result.map_err(|failure| self.unexpected(failure))?;
        self.report.admits += 1;
        if found != recorded {
            let (before_tick, player) = (self.kept.next_tick, player.clone());
            return diverged(Divergence::Admit { before_tick, player, recorded, found });
        }
        observer.admitted(player, &found);
        Ok(())
    }

    fn step(&mut self, step: &Step<'_>, recorded: u64, observer: &mut impl Observer) -> Result<(), Error> {
        let result = self.instance.step(step.moment(), &step.events);
        self.tell_log(observer);
        let commands = result.map_err(|failure| Error::Failed { tick: Some(step.tick), failure })?;
        self.before = None;
        self.chain = entry::chained(self.chain, &commands, &mut self.scratch);
        if self.chain != recorded {
            let events = step.events.to_vec();
            return diverged(Divergence::Step { tick: step.tick, events, commands });
        }
        self.kept.stepped(step, self.header.init.tick_rate_hz, &commands);
        self.report.steps += 1;
        let memory_bytes = self.instance.memory_bytes();
        observer.stepped(&Stepped { at: step.moment(), events: &step.events, commands: &commands, memory_bytes });
        Ok(())
    }

    fn steps_quietly(&mut self, steps: u32, observer: &mut impl Observer) -> Result<(), Error> {
        let tick_rate_hz = self.header.init.tick_rate_hz;
        if tick_rate_hz == 0 {
            return Err(Error::Wrong("a scene that does not tick has made steps without events"));
        }
        for _ in 0..steps {
            let (tick, slept_slots) = (self.kept.next_tick, self.kept.slept_slots);
            let elapsed_ms = tick.saturating_mul(1_000) / u64::from(tick_rate_hz);
            self.step(&Step { tick, elapsed_ms, slept_slots, events: Cow::Borrowed(&[]) }, self.chain, observer)?;
        }
        Ok(())
    }

    fn fail(&mut self, during: &During<'_>, kind: &str, text: &str, observer: &mut impl Observer) -> Result<(), Error> {
        let tick = self.kept.next_tick;
        // What depends on the machine's speed is not run into again.
        if kind != (Failure::Deadline { limit_ms: 0 }).kind() {
            let result = match during {
                During::Step(step) => self.instance.step(step.moment(), &step.events).map(drop),
                During::Admit(player) => self.instance.admit(player).map(drop),
                During::Save => self.instance.save().map(drop),
            };
            self.tell_log(observer);
            let found = result.err();
            if found.as_ref().map(Failure::kind) != Some(kind) {
                let (recorded, found) = (text.to_owned(), found.map(|failure| failure.to_string()));
                return diverged(Divergence::Failure { tick, recorded, found });
            }
        }
        observer.failed(during, kind, text);
        self.report.ended = Ended::Failed { tick, kind: kind.to_owned(), text: text.to_owned() };
        Ok(())
    }

    fn snapshot(&mut self, state: &[u8], kept: &Kept, chain: u64, observer: &mut impl Observer) -> Result<(), Error> {
        let found = self.save(observer)?;
        self.report.snapshots += 1;
        let is_equal = found.is_ok_and(|found| found == state) && *kept == self.kept && chain == self.chain;
        if self.compare == Compare::Everything && !is_equal {
            return diverged(Divergence::State { before_tick: self.kept.next_tick });
        }
        Ok(())
    }

    fn save(&mut self, observer: &mut impl Observer) -> Result<Result<Vec<u8>, String>, Error> {
        let result = self.instance.save();
        self.tell_log(observer);
        result.map_err(|failure| self.unexpected(failure))
    }

    fn swap(&mut self, digest: Digest, limits: Limits, observer: &mut impl Observer) -> Result<(), Error> {
        let plugin = (self.plugin_of)(&digest).ok_or(Error::NoPlugin(digest))?;
        let state = self.save(observer)?.map_err(|_| Error::Wrong("a state was loaded that could not be saved"))?;
        let mut instance = Instance::new(&plugin, unhurried(&limits)).map_err(|failure| self.unexpected(failure))?;
        instance.load(&self.header.init, &state).map_err(|failure| self.unexpected(failure))?;
        let older = std::mem::replace(&mut self.instance, instance);
        let plugin = std::mem::replace(&mut self.plugin, plugin);
        let limits = std::mem::replace(&mut self.limits, limits);
        self.before.get_or_insert((older, plugin, limits));
        self.report.swaps += 1;
        observer.swapped(digest);
        Ok(())
    }

    fn unexpected(&self, failure: Failure) -> Error {
        Error::Failed { tick: self.kept.next_tick.checked_sub(1), failure }
    }

    fn tell_log(&mut self, observer: &mut impl Observer) {
        if let Some(log) = self.instance.take_log() {
            observer.logged(&log);
        }
    }
}

fn diverged(divergence: Divergence) -> Result<(), Error> {
    Err(Error::Diverged(Box::new(divergence)))
}

/// The same limits with all the time that there is: how long a step takes is the machine's business.
fn unhurried(limits: &Limits) -> Limits {
    Limits { step_ms_max: DEADLINE_MS_MAX, start_ms_max: DEADLINE_MS_MAX, ..*limits }
}
