//! Matches that were recorded, played again by `replay`, and on another version by `verify`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use scenehost_engine::journal::{About, JournalSpec, Journaled};
use scenehost_engine::{
    Digest, Engine, Event, Failure, Incoming, Init, Log, Options, Player, SceneKey, SceneSpec, Sink, Stepped, Worker,
    WorkerOptions,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::host::host;
use crate::tool::{component, scenectl};

/// The journal of a scene.
#[derive(Default)]
struct Journal(Vec<u8>);

impl Sink for Journal {
    fn stepped(&mut self, _: SceneKey, _: Stepped) {}

    fn failed(&mut self, _: SceneKey, failure: Failure) {
        panic!("{failure}");
    }

    fn logged(&mut self, _: SceneKey, _: Log) {}

    fn journaled(&mut self, _: SceneKey, part: Journaled<'_>) {
        let (Journaled::Begun(bytes) | Journaled::Added(bytes) | Journaled::Snapshot { bytes, .. }) = part;
        self.0.extend_from_slice(bytes);
    }
}

/// A short game of gomoku, recorded as a host does.
fn recorded(folder: &Path) -> PathBuf {
    let player = |seat: u32| Player {
        seat,
        user: u64::from(seat),
        name: format!("player {seat}"),
        rating: 1_500,
        team: 0,
        role: None,
        party: seat,
    };
    let init = Init {
        seed: 3,
        tick_rate_hz: 0,
        configuration: "{}".to_owned(),
        players: vec![player(0), player(1)],
        region: None,
        chosen: Vec::new(),
        bots: 0,
    };
    let about = About { scene: 0xabc, fleet: "duel".to_owned(), plugin: "gomoku".to_owned(), ..About::default() };
    let spec = SceneSpec { journal: Some(JournalSpec { about, snapshot_steps: 2 }), ..SceneSpec::new(init) };
    let engine = Engine::new(Options { scenes_max: 16, ..Options::default() }).unwrap();
    let plugin = engine.compile(&std::fs::read(component("gomoku")).unwrap()).unwrap();
    let (mut worker, mut journal, key) = (Worker::new(WorkerOptions::default()), Journal::default(), SceneKey(1));
    let mut now = Duration::from_secs(1);
    worker.create(key, &plugin, &spec, || now, &mut journal).unwrap();
    let message = |from, body: &str| Event::Message(Incoming { from, body: body.as_bytes().to_vec() });
    let events = [
        Event::Joined(player(0)),
        Event::Joined(player(1)),
        message(0, r#"{"type":"place","x":7,"y":7}"#),
        message(1, r#"{"type":"place","x":7,"y":7}"#),
        message(1, "what?"),
    ];
    for event in events {
        now += Duration::from_millis(500);
        worker.deliver(key, event, now).unwrap();
        worker.run_due(|| now, &mut journal);
    }
    let path = folder.join("match.journal");
    std::fs::write(&path, journal.0).unwrap();
    path
}

#[test]
fn a_match_is_played_again_and_shown() {
    let folder = TempDir::new().unwrap();
    recorded(folder.path());
    let gomoku = component("gomoku");
    let replay = |more: &[&str]| {
        let named = ["replay", "match.journal", "--component", gomoku.to_str().unwrap()];
        scenectl(folder.path(), &[&named, more].concat()).ended(0)
    };
    let report = replay(&["--json"]).json();
    assert_eq!((&report["equal"], &report["steps"], &report["ended"]), (&true.into(), &5.into(), &"open".into()));
    let printed = replay(&["--print"]).out;
    for text in [
        "gomoku of fleet duel",
        "< seat 1 joins: player 1",
        "< seat 1 sends what?",
        "> to ",
        "every output is the same",
    ] {
        assert!(printed.contains(text), "{text}: {printed}");
    }
    let exported = replay(&["--export", "json"]).out;
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["began"]["plugin"], "gomoku");
    let placed = lines.iter().find(|line| line["events"][0]["message"]["body"]["json"]["x"] == 7);
    assert_eq!(placed.unwrap()["tick"], 2);
    // Without anybody who could press Enter it is just played.
    replay(&["--step"]);
}

#[test]
fn a_scene_is_asked_for_at_its_host_and_its_component_lies_beside_a_journal() {
    let folder = TempDir::new().unwrap();
    let path = recorded(folder.path());
    let bytes = std::fs::read(component("gomoku")).unwrap();
    let gomoku = component("gomoku");
    let (url, asked) = host(vec![(200, std::fs::read(&path).unwrap())]);
    let scene = ["replay", "00000000000abcde", "--host", &url, "--component", gomoku.to_str().unwrap(), "--json"];
    assert_eq!(scenectl(folder.path(), &scene).ended(0).json()["equal"], true);
    assert_eq!(asked.recv().unwrap().line, "GET /v1/journals/00000000000abcde");

    let components = folder.path().join("components");
    std::fs::create_dir(&components).unwrap();
    std::fs::write(components.join(format!("{}.wasm", Digest::of(&bytes))), bytes).unwrap();
    assert_eq!(scenectl(folder.path(), &["replay", "match.journal", "--json"]).ended(0).json()["equal"], true);
}

#[test]
fn another_version_differs_where_it_does() {
    let folder = TempDir::new().unwrap();
    recorded(folder.path());
    let verify = |name: &str| {
        let component = component(name);
        scenectl(folder.path(), &["verify", "match.journal", "--component", component.to_str().unwrap(), "--json"])
    };
    assert_eq!(verify("gomoku").ended(0).json()["equal"], true);
    let differs = verify("hostile").ended(1).json();
    let text = differs["error"].as_str().unwrap();
    assert!(text.contains("something else than when the journal was written"), "{text}");
}

#[test]
fn damage_and_a_missing_version_are_told() {
    let folder = TempDir::new().unwrap();
    let path = recorded(folder.path());
    let gomoku = component("gomoku");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    std::fs::write(folder.path().join("damaged"), bytes).unwrap();
    let ran = scenectl(folder.path(), &["replay", "damaged", "--component", gomoku.to_str().unwrap()]).ended(1);
    assert!(ran.err.contains("is damaged") && ran.err.contains("record"), "{}", ran.err);

    let ran = scenectl(folder.path(), &["replay", "match.journal", "--host", "http://127.0.0.1:1"]).ended(1);
    assert!(ran.err.contains("played on the component") && ran.err.contains("--component"), "{}", ran.err);
}
