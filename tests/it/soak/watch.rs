//! What all bots together have seen, and what must not be in it.
//!
//! Invariants that are looked at while bots play:
//! - A bot is in one game at a time, and a seat of a game is one user's.
//! - Of one game one incarnation serves: no connection that was made before another node was heard to serve the game gets
//!   an answer to something that was said after that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Shorter silences are of no interest.
const SILENCE_MIN: Duration = Duration::from_millis(500);
/// How many broken invariants are kept.
const BROKEN_MAX: usize = 100;

pub struct Watch {
    began: Instant,
    records: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    broken: Vec<String>,
    counts: BTreeMap<String, u64>,
    bots: Vec<Signs>,
    scenes: BTreeMap<String, Scene>,
}

/// When a bot was told something.
struct Signs {
    last: Instant,
    /// From when to when nothing was told.
    silences: Vec<(Instant, Instant)>,
}

#[derive(Default)]
struct Scene {
    /// Who has which seat.
    seats: BTreeMap<u32, String>,
    answers: Vec<Answer>,
}

/// A game's answer to something that was said to it.
pub struct Answer {
    /// Which node has given it.
    pub node: String,
    /// When the connection was made over which it came.
    pub since: Instant,
    pub said: Instant,
    pub heard: Instant,
}

impl Watch {
    pub fn new(records: &Path, bots: usize) -> Self {
        let began = Instant::now();
        let bots = (0..bots).map(|_| Signs { last: began, silences: Vec::new() }).collect();
        let state = Mutex::new(State { bots, ..State::default() });
        Self { began, records: records.to_owned(), state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Seconds since the beginning, as in the records.
    pub fn now_s(&self) -> f64 {
        (self.began.elapsed().as_secs_f64() * 1e3).round() / 1e3
    }

    pub fn records(&self) -> &Path {
        &self.records
    }

    /// Something that must not be.
    pub fn broken(&self, what: String) {
        println!("BROKEN at {} s: {what}", self.now_s());
        let mut state = self.state();
        if state.broken.len() < BROKEN_MAX {
            state.broken.push(format!("{} s: {what}", self.now_s()));
        }
    }

    pub fn all_broken(&self) -> Vec<String> {
        self.state().broken.clone()
    }

    pub fn count(&self, what: impl Into<String>) {
        self.add(what, 1);
    }

    pub fn add(&self, what: impl Into<String>, much: u64) {
        *self.state().counts.entry(what.into()).or_default() += much;
    }

    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.state().counts.clone()
    }

    /// A bot is told something by a server: it plays, or it knows.
    pub fn sign(&self, bot: usize) {
        let (now, mut state) = (Instant::now(), self.state());
        let signs = &mut state.bots[bot];
        if now - signs.last >= SILENCE_MIN {
            signs.silences.push((signs.last, now));
        }
        signs.last = now;
    }

    /// The longest time since this moment in which each bot was told nothing. What was before now is forgotten then.
    pub fn silences(&self, since: Instant) -> Vec<Duration> {
        let (now, mut state) = (Instant::now(), self.state());
        let longest = |signs: &mut Signs| {
            let all = std::mem::take(&mut signs.silences).into_iter().chain([(signs.last, now)]);
            all.map(|(from, until)| until.saturating_duration_since(from.max(since))).max().unwrap_or_default()
        };
        state.bots.iter_mut().map(longest).collect()
    }

    /// Whether a bot has been told nothing for so long.
    pub fn is_quiet(&self, bot: usize, least: Duration) -> bool {
        self.state().bots[bot].last.elapsed() >= least
    }

    /// Whether all bots have been told something since this moment.
    pub fn all_told_since(&self, moment: Instant) -> bool {
        self.state().bots.iter().all(|signs| signs.last >= moment)
    }

    /// A user has come in.
    pub fn seated(&self, scene: &str, seat: u32, user: &str) {
        let mut state = self.state();
        let scene_state = state.scenes.entry(scene.to_owned()).or_default();
        let holder = scene_state.seats.entry(seat).or_insert_with(|| user.to_owned());
        if holder != user {
            let holder = holder.clone();
            drop(state);
            self.broken(format!("seat {seat} of the game {scene} is that of {holder} and of {user}"));
        }
    }

    /// A game has answered.
    pub fn answered(&self, scene: &str, answer: Answer) {
        let mut state = self.state();
        let of_scene = &mut state.scenes.entry(scene.to_owned()).or_default().answers;
        let between = of_scene
            .iter()
            .find(|other| other.node != answer.node && answer.since <= other.said && other.heard <= answer.said);
        let broken = between.map(|other| {
            let at = |time: Instant| (time - self.began).as_secs_f64();
            format!(
                "two incarnations of the game {scene} serve: {} has answered at {:.3} s, and {} at {:.3} s what was said at \
                 {:.3} s over a connection of {:.3} s",
                other.node,
                at(other.heard),
                answer.node,
                at(answer.heard),
                at(answer.said),
                at(answer.since)
            )
        });
        of_scene.push(answer);
        drop(state);
        broken.into_iter().for_each(|broken| self.broken(broken));
    }
}

/// What one bot was told, a line each, written as it comes.
pub struct Record {
    file: std::io::BufWriter<std::fs::File>,
}

impl Record {
    pub fn new(watch: &Watch, bot: usize) -> Self {
        let file = std::fs::File::create(watch.records().join(format!("bot-{bot:03}.jsonl"))).expect("it is ours");
        Self { file: std::io::BufWriter::new(file) }
    }

    pub fn note(&mut self, watch: &Watch, what: &str, more: Value) {
        use std::io::Write as _;
        let line = json!({ "s": watch.now_s(), "what": what, "more": more });
        writeln!(self.file, "{line}").and_then(|()| self.file.flush()).expect("there is room");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(began: Instant, node: &str, [since, said, heard]: [u64; 3]) -> Answer {
        let at = |ms| began + Duration::from_millis(ms);
        Answer { node: node.to_owned(), since: at(since), said: at(said), heard: at(heard) }
    }

    fn watch() -> (tempfile::TempDir, Watch) {
        let folder = tempfile::tempdir().expect("there is room");
        let watch = Watch::new(folder.path(), 1);
        (folder, watch)
    }

    #[test]
    fn a_node_that_serves_a_game_after_another_has_taken_it_over_is_found() {
        let (_folder, watch) = watch();
        let began = watch.began;
        watch.answered("a", answer(began, "one", [0, 10, 20]));
        watch.answered("a", answer(began, "two", [30, 40, 50]));
        assert!(watch.all_broken().is_empty(), "it has moved");
        watch.answered("a", answer(began, "one", [0, 45, 60]));
        assert!(watch.all_broken().is_empty(), "it may have been said, and answered, before");
        watch.answered("a", answer(began, "one", [70, 80, 90]));
        assert!(watch.all_broken().is_empty(), "it has moved back");
        watch.answered("a", answer(began, "one", [0, 80, 90]));
        assert_eq!(watch.all_broken().len(), 1, "{:?}", watch.all_broken());
    }

    #[test]
    fn a_seat_is_one_user_s() {
        let (_folder, watch) = watch();
        watch.seated("a", 0, "ada");
        watch.seated("a", 0, "ada");
        watch.seated("a", 1, "bob");
        assert!(watch.all_broken().is_empty());
        watch.seated("a", 1, "eve");
        assert_eq!(watch.all_broken().len(), 1);
    }
}
