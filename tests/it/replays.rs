//! Matches of both demo games, played at random, are replayed bit for bit: by an engine that has compiled the component
//! anew, and by another process. One byte that is another is found, and named.
//!
//! `SCENEHOST_MATCHES=1000` plays so many; without it as many as take a few seconds.

use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use scenehost_engine::journal::{self, Damage, Ended, Error, Observer, Reader, Unreadable};
use scenehost_engine::{Command, Engine, Options, Plugin};
use tempfile::TempDir;

use crate::host::{alone, plugins, replay};
use crate::random_match::{Game, Played, play};

const MATCHES: u64 = 60;
/// One in so many is replayed by another process, too, which compiles the component for each.
const BY_A_PROCESS: u64 = 20;
/// Bytes that are changed in each, one at a time.
const FLIPS: usize = 4;

fn matches() -> u64 {
    match std::env::var("SCENEHOST_MATCHES") {
        Ok(count) => count.parse().expect("SCENEHOST_MATCHES is a number"),
        Err(_) => MATCHES,
    }
}

/// A demo game, compiled by an engine of its own.
fn compiled(bytes: &[u8]) -> Plugin {
    let engine = Engine::new(Options { scenes_max: 16, ..Options::default() }).expect("there is room for a few");
    engine.compile(bytes).expect("it is a component")
}

#[tokio::test]
async fn matches_are_replayed_bit_for_bit_and_a_flipped_byte_is_found() {
    // Components are compiled on both cores, and would disturb who measures.
    let _alone = alone().await;
    let folder = TempDir::new().expect("there is room");
    let (mut steps, mut failed, mut swaps, mut bytes) = (0, 0, 0, 0);
    for (game, name) in [(Game::Gomoku, "gomoku.wasm"), (Game::Arena, "arena.wasm")] {
        let component = fs::read(plugins().join(name)).expect("the component was built");
        let (plugin, anew) = (compiled(&component), compiled(&component));
        for seed in (0..matches()).filter(|seed| (seed % 2 == 0) == (game == Game::Gomoku)) {
            let played = play(game, &plugin, seed);
            replays(&played, &anew, seed);
            flips_are_found(&played.journal, &anew, seed);
            if seed % BY_A_PROCESS < 2 {
                another_process_replays(folder.path(), &played.journal, &plugin, &component, seed);
            }
            steps += played.steps.len();
            failed += usize::from(played.failure.is_some());
            swaps += played.swaps;
            bytes += played.journal.len();
        }
    }
    println!("{} matches, {steps} steps, {swaps} swaps, {failed} failed, {bytes} bytes", matches());
    let is_varied = steps as u64 > 10 * matches() && swaps > 0 && failed > 0;
    assert!(is_varied, "{steps} steps, {swaps} swaps and {failed} failures are no matches");
}

/// Keeps what a replay returns.
#[derive(Default)]
struct Heard(Vec<(u64, Vec<Command>)>);

impl Observer for Heard {
    fn stepped(&mut self, stepped: &journal::Stepped<'_>) {
        self.0.push((stepped.at.tick, Played::shown(stepped.commands)));
    }
}

fn replays(played: &Played, anew: &Plugin, seed: u64) {
    let mut heard = Heard::default();
    let report = journal::replay(&played.journal, |_| Some(anew.clone()), &mut heard)
        .unwrap_or_else(|error| panic!("match {seed}: {error}"));
    match &played.failure {
        None => assert_eq!(report.ended, Ended::Ended { reason: "the test ends it".to_owned() }, "match {seed}"),
        Some(failure) => {
            let Ended::Failed { kind, .. } = &report.ended else { panic!("match {seed}: {report:?}, not {failure}") };
            assert_eq!(kind, failure.kind(), "match {seed}");
        }
    }
    assert!(heard.0 == played.steps, "match {seed} returns something else");
    assert_eq!(report.swaps, played.swaps, "match {seed}");
}

/// Where each record of a journal ends.
fn ends(journal: &[u8]) -> Vec<usize> {
    let (_, mut reader) = Reader::new(journal).expect("it can be read");
    let mut ends = vec![reader.offset()];
    while let Some(entry) = reader.next() {
        entry.expect("it is whole");
        ends.push(reader.offset());
    }
    ends
}

/// Changes a byte here and there: the record is named in which it lies.
fn flips_are_found(journal: &[u8], plugin: &Plugin, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let ends = ends(journal);
    for _ in 0..FLIPS {
        let (place, other) = (rng.random_range(0..journal.len()), rng.random_range(1..=u8::MAX));
        let mut flipped = journal.to_vec();
        flipped[place] ^= other;
        let found = journal::replay(&flipped, |_| Some(plugin.clone()), &mut journal::Nobody);
        let record = ends.partition_point(|end| *end <= place);
        match found {
            Err(Error::Unreadable(Unreadable::Damaged(Damage { record: named, offset, .. }))) => {
                let begin = record.checked_sub(1).map_or(journal::MAGIC.len(), |before| ends[before]);
                assert_eq!((named, offset), (record as u64, begin), "match {seed}, byte {place}");
            }
            Err(Error::Unreadable(Unreadable::NotAJournal | Unreadable::Format { .. })) => {
                assert!(place < journal::MAGIC.len(), "match {seed}, byte {place}");
            }
            other => panic!("match {seed}, byte {place}: {other:?}"),
        }
    }
}

/// The journal in a data folder, as a host leaves it; whole, and damaged.
fn another_process_replays(data_dir: &Path, journal: &[u8], plugin: &Plugin, component: &[u8], seed: u64) {
    let folder = data_dir.join("journals");
    let scene = format!("{:016x}", seed + 1);
    fs::create_dir_all(folder.join("components")).expect("there is room");
    fs::write(folder.join("components").join(format!("{}.wasm", plugin.digest())), component).expect("there is room");
    let file = folder.join(format!("{scene}-0000000000000001.journal"));
    fs::write(&file, journal).expect("there is room");
    let (good, said) = replay(data_dir, &[&scene]);
    assert!(good && said.contains("all outputs and states are as they were"), "match {seed}: {said}");

    let mut flipped = journal.to_vec();
    let ends = ends(journal);
    let record = ends.len() / 2;
    flipped[ends[record] - 1] ^= 1;
    fs::write(&file, flipped).expect("there is room");
    let (good, said) = replay(data_dir, &[&scene]);
    let named = format!("the journal is damaged: its record {record}, at byte {}", ends[record - 1]);
    assert!(!good && said.contains(&named), "match {seed}: {said}");
}
