//! What scenes write for their designers, and how they fail: the newest lines of all scenes, in memory.
//!
//! Scene threads put lines in, operators read them, by [`GameLogs::after`] and [`GameLogs::grown`].
//!
//! Invariant: there are at most [`LINES_MAX`] lines of [`BYTES_MAX`] bytes together; the oldest go first. Writing waits for
//! no reader longer than it takes to look at [`SCANNED_MAX`] lines, and a scene that logs nothing costs nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scenehost_core::{FleetName, GameName, SceneId, Time};
use scenehost_engine::{Digest, Level};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The most lines that are kept.
const LINES_MAX: usize = 20_000;
/// The most bytes of theirs.
const BYTES_MAX: usize = 8 << 20;
/// What a line takes besides its text.
const LINE_BYTES: usize = 128;
/// The longest text; a component's own limit for the lines of a step is shorter.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// How many lines a reader looks at before others have their turn.
const SCANNED_MAX: usize = 512;
/// How many readers may wait for what comes.
const FOLLOWERS_MAX: usize = 16;

/// Of what a scene is.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    pub fleet: FleetName,
    pub plugin: GameName,
    pub digest: Digest,
}

/// A line.
#[derive(Debug)]
pub struct Line {
    /// Its number, from 1; no two of a host's run have the same.
    pub seq: u64,
    pub at: Time,
    pub scene: SceneId,
    pub source: Arc<Source>,
    /// The step in which it was written, if it was one.
    pub tick: Option<u64>,
    pub level: Level,
    /// How the scene has failed, if this tells of that.
    pub kind: Option<&'static str>,
    pub text: String,
}

/// A line before it has its number.
pub struct Entry {
    pub at: Time,
    pub scene: SceneId,
    pub source: Arc<Source>,
    pub tick: Option<u64>,
    pub level: Level,
    pub kind: Option<&'static str>,
    pub text: String,
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub scene: Option<SceneId>,
    pub fleet: Option<String>,
    /// How the digest of the component begins, in hexadecimal digits.
    pub digest: Option<String>,
    /// This level and worse ones.
    pub level: Option<Level>,
}

impl Filter {
    fn takes(&self, line: &Line) -> bool {
        self.scene.is_none_or(|scene| scene == line.scene)
            && self.level.is_none_or(|level| rank(line.level) >= rank(level))
            && self.fleet.as_ref().is_none_or(|fleet| fleet == line.source.fleet.as_str())
            && self.digest.as_ref().is_none_or(|digest| line.source.digest.to_string().starts_with(digest))
    }
}

fn rank(level: Level) -> u8 {
    match level {
        Level::Debug => 0,
        Level::Info => 1,
        Level::Warn => 2,
        Level::Error => 3,
    }
}

/// What a reader gets at once.
#[derive(Default)]
pub struct Part {
    pub lines: Vec<Arc<Line>>,
    /// Lines that the reader has not seen and that are gone.
    pub lost: u64,
    /// Where to go on.
    pub after: u64,
    /// Whether nothing is left after that now.
    pub at_end: bool,
}

/// The lines. Cheap to clone.
#[derive(Clone)]
pub struct GameLogs(Arc<Shared>);

struct Shared {
    ring: Mutex<Ring>,
    /// The newest line's number.
    newest: watch::Sender<u64>,
    followers: Arc<Semaphore>,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
    newest: u64,
}

impl Ring {
    fn put(&mut self, entry: Entry) -> u64 {
        let Entry { at, scene, source, tick, level, kind, mut text } = entry;
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        self.newest += 1;
        self.bytes += LINE_BYTES + text.len();
        self.lines.push_back(Arc::new(Line { seq: self.newest, at, scene, source, tick, level, kind, text }));
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= LINE_BYTES + oldest.text.len();
        }
        self.newest
    }

    fn after(&self, after: u64, filter: &Filter) -> Part {
        // The lines' numbers have no gaps.
        let oldest = self.newest + 1 - self.lines.len() as u64;
        // A number of another run of the host is none of this one.
        let after = if after > self.newest { 0 } else { after };
        let lost = oldest.saturating_sub(after + 1);
        let from = (after + 1).saturating_sub(oldest) as usize;
        let scanned = self.lines.iter().skip(from).take(SCANNED_MAX);
        let lines = scanned.filter(|line| filter.takes(line)).cloned().collect();
        let end = (oldest - 1 + (from + SCANNED_MAX) as u64).min(self.newest);
        Part { lines, lost, after: end, at_end: end == self.newest }
    }
}

impl GameLogs {
    pub fn new() -> Self {
        let followers = Arc::new(Semaphore::new(FOLLOWERS_MAX));
        Self(Arc::new(Shared { ring: Mutex::default(), newest: watch::Sender::new(0), followers }))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a line behind the others.
    pub fn put(&self, entry: Entry) {
        let newest = self.ring().put(entry);
        self.0.newest.send_replace(newest);
    }

    /// The next lines after the one of this number, 0 being before all, that a filter takes.
    pub fn after(&self, after: u64, filter: &Filter) -> Part {
        self.ring().after(after, filter)
    }

    /// Tells when there are more lines.
    pub fn grown(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// The right to wait for lines; `None` when as many have it as may.
    pub fn follower(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.followers).try_acquire_owned().ok()
    }
}

/// A line as operators read it.
#[derive(Serialize)]
pub struct Shown<'a> {
    seq: u64,
    at_ms: u64,
    scene: String,
    fleet: &'a str,
    plugin: &'a str,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tick: Option<u64>,
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    text: &'a str,
}

impl<'a> From<&'a Line> for Shown<'a> {
    fn from(line: &'a Line) -> Self {
        Shown {
            seq: line.seq,
            at_ms: line.at.0,
            scene: line.scene.to_string(),
            fleet: line.source.fleet.as_str(),
            plugin: line.source.plugin.as_str(),
            digest: line.source.digest.to_string(),
            tick: line.tick,
            level: level_name(line.level),
            kind: line.kind,
            text: &line.text,
        }
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(scene: u64, level: Level, text: &str) -> Entry {
        let source = Source { fleet: "duel".into(), plugin: "chess".into(), digest: Digest([0xab; 32]) };
        let (at, scene, source) = (Time(1), SceneId(scene), Arc::new(source));
        Entry { at, scene, source, tick: Some(7), level, kind: None, text: text.to_owned() }
    }

    fn texts(part: &Part) -> Vec<&str> {
        part.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn readers_get_what_they_ask_for_and_go_on_from_there() {
        let logs = GameLogs::new();
        logs.put(entry(1, Level::Info, "a"));
        logs.put(entry(2, Level::Warn, "b"));
        logs.put(entry(1, Level::Error, "c"));
        let all = logs.after(0, &Filter::default());
        assert_eq!((texts(&all), all.after, all.at_end, all.lost), (vec!["a", "b", "c"], 3, true, 0));
        assert_eq!(texts(&logs.after(2, &Filter::default())), ["c"]);
        let of_one = Filter { scene: Some(SceneId(1)), ..Filter::default() };
        assert_eq!(texts(&logs.after(0, &of_one)), ["a", "c"]);
        let worse = Filter { level: Some(Level::Warn), ..Filter::default() };
        assert_eq!(texts(&logs.after(0, &worse)), ["b", "c"]);
        let of_version = |digest: &str| Filter { digest: Some(digest.to_owned()), ..Filter::default() };
        assert_eq!(texts(&logs.after(0, &of_version("abab"))).len(), 3);
        assert!(texts(&logs.after(0, &of_version("ac"))).is_empty());
        let of_fleet = Filter { fleet: Some("other".to_owned()), ..Filter::default() };
        let none = logs.after(0, &of_fleet);
        assert_eq!((texts(&none).len(), none.after), (0, 3), "what was passed over is not looked at again");
    }

    #[test]
    fn the_oldest_lines_go_and_readers_hear_how_many() {
        let logs = GameLogs::new();
        let newest = LINES_MAX as u64 + 10;
        (0..newest).for_each(|_| logs.put(entry(1, Level::Info, "x")));
        let part = logs.after(4, &Filter::default());
        assert_eq!((part.lost, part.lines[0].seq, part.lines.len()), (6, 11, SCANNED_MAX));
        assert!(!part.at_end);
        // Half a megabyte each: few of them fit.
        (0..1_000).for_each(|_| logs.put(entry(1, Level::Info, &"y".repeat(600_000))));
        let ring = logs.ring();
        assert!(ring.bytes <= BYTES_MAX && ring.lines.len() < 1_000);
        assert!(ring.lines.iter().all(|line| line.text.len() <= TEXT_BYTES_MAX));
    }

    #[test]
    fn a_number_of_another_run_begins_anew() {
        let logs = GameLogs::new();
        logs.put(entry(1, Level::Info, "a"));
        let part = logs.after(99, &Filter::default());
        assert_eq!((texts(&part), part.lost), (vec!["a"], 0));
    }

    #[test]
    fn followers_are_bounded() {
        let logs = GameLogs::new();
        let permits: Vec<_> = (0..FOLLOWERS_MAX).map(|_| logs.follower().unwrap()).collect();
        assert!(logs.follower().is_none());
        drop(permits);
        assert!(logs.follower().is_some());
    }
}
