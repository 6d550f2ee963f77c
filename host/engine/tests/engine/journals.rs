//! Journals: what is written, that it can be run again, and what is found when it cannot.

use scenehost_engine::{
    Comeback, CreateError, Event, Failure, Instance, Limits, Plugin, SceneSpec,
    journal::{
        self, About, Divergence, Ended, Entry, Error, JournalSpec, Nobody, Observer, Reader, Report, Unreadable,
    },
};

use crate::support::{A, PLUGIN, Table, init, ms, player, say, version};

pub fn spec(tick_rate_hz: u32, snapshot_steps: u32) -> SceneSpec {
    let about = About { scene: 1, epoch: 1, fleet: "test".to_owned(), ..About::default() };
    SceneSpec { journal: Some(JournalSpec { about, snapshot_steps }), ..SceneSpec::new(init(tick_rate_hz)) }
}

/// A scene with a journal, and the player of seat 0 inside.
pub fn recorded(tick_rate_hz: u32, snapshot_steps: u32) -> Table {
    let mut table = Table::new();
    table.try_create(A, &spec(tick_rate_hz, snapshot_steps)).unwrap();
    table.worker.admit(A, &player(0), || table.now, &mut table.said).unwrap().unwrap();
    table.deliver(A, Event::Joined(player(0)));
    table
}

/// Plays for a while: messages, random numbers, timers, somebody who may not enter, sleep.
fn play(table: &mut Table) {
    table.run_for(ms(120));
    table.say(A, b"ehello");
    table.say(A, &[b'T', 1, 20]);
    table.say(A, b"d");
    table.run_for(ms(330));
    assert_eq!(
        table.worker.admit(A, &player(7), || table.now, &mut table.said).unwrap().unwrap_err(),
        "nobody may sit on seat 7"
    );
    table.deliver(A, Event::Dropped(0));
    table.say(A, &[b'T', 2, 200]);
    table.run_for(ms(1_000));
    table.say(A, b"d");
    table.run_for(ms(1_500));
}

pub fn whole(table: &Table) -> &[u8] {
    &table.said.journals[&A][0]
}

pub fn the_plugin(digest: &scenehost_engine::Digest) -> Option<Plugin> {
    (PLUGIN.digest() == *digest).then(|| PLUGIN.clone())
}

pub fn replay(journal: &[u8]) -> Result<Report, Error> {
    journal::replay(journal, the_plugin, &mut Nobody)
}

/// A version that answers `e` with something else.
pub fn other_version() -> Plugin {
    version(
        "(then (call $send_all (local.get $body) (local.get $len))))",
        "(then (call $send_all (i32.const 0) (i32.const 1))))",
    )
}

#[test]
fn a_journal_is_replayed_bit_for_bit() {
    for (tick_rate_hz, snapshot_steps) in [(20, 7), (20, 1_000_000), (0, 2), (0, 1_000_000)] {
        let mut table = recorded(tick_rate_hz, snapshot_steps);
        play(&mut table);
        let steps = table.take_steps(A).len() as u64;
        let report = replay(whole(&table)).unwrap();
        // Quiet steps of the last second may not be in it yet.
        assert!(report.steps <= steps && steps - report.steps < 20, "{report:?} of {steps}");
        assert_eq!((report.first_tick, report.admits, &report.ended), (0, 2, &Ended::Open));
        assert_eq!(report.snapshots > 0, snapshot_steps < 1_000_000, "{report:?}");
    }
}

#[test]
fn what_is_left_behind_a_snapshot_is_a_journal_of_its_own() {
    let mut table = recorded(20, 5);
    play(&mut table);
    let [whole, trimmed] = &table.said.journals[&A];
    let (whole_report, report) = (replay(whole).unwrap(), replay(trimmed).unwrap());
    assert!(report.first_tick > 0 && trimmed.len() < whole.len());
    assert_eq!(report.chain, whole_report.chain);
    assert_eq!(report.first_tick + report.steps, whole_report.steps);
}

#[test]
fn a_step_is_in_the_journal_before_it_is_told() {
    let mut table = recorded(20, 1_000_000);
    table.said.order.clear();
    table.say(A, b"ehello");
    table.run_for(ms(50));
    assert_eq!(table.said.order, ["journaled", "stepped"]);
}

#[test]
fn steps_in_which_nothing_happens_are_written_once_a_second() {
    let mut table = recorded(20, 1_000_000);
    table.run_for(ms(100));
    let before = whole(&table).len();
    table.run_for(ms(10_000));
    let (_, reader) = Reader::new(whole(&table)).unwrap();
    let quiet: Vec<_> = reader.filter(|entry| matches!(entry, Ok(Entry::Quiet { .. }))).collect();
    assert_eq!(quiet.len(), 10);
    assert!(whole(&table).len() - before < 200);
}

#[test]
fn every_flipped_byte_is_found_and_said_where() {
    let mut table = recorded(20, 3);
    table.say(A, b"ehello");
    table.run_for(ms(300));
    let journal = whole(&table).to_vec();
    let good = replay(&journal).unwrap();
    for at in 0..journal.len() {
        let mut damaged = journal.clone();
        damaged[at] ^= 0x10;
        match replay(&damaged) {
            Err(Error::Unreadable(Unreadable::Damaged(damage))) => {
                assert!(damage.offset <= at, "{damage}");
                assert!(damage.to_string().contains(&format!("record {}", damage.record)));
            }
            Err(Error::Unreadable(Unreadable::NotAJournal | Unreadable::Format { .. })) => assert!(at < 8),
            other => panic!("byte {at} of {}: {other:?} and not {good:?}", journal.len()),
        }
    }
}

#[test]
fn a_journal_may_end_anywhere() {
    let mut table = recorded(20, 3);
    table.say(A, b"ehello");
    table.run_for(ms(300));
    let journal = whole(&table).to_vec();
    let steps = replay(&journal).unwrap().steps;
    let mut most = 0;
    for len in 0..journal.len() {
        match replay(&journal[..len]) {
            Ok(report) => {
                assert!(report.steps >= most && report.steps <= steps);
                assert!(matches!(report.ended, Ended::Torn | Ended::Open));
                most = report.steps;
            }
            Err(Error::Unreadable(_)) => assert_eq!(most, 0, "only as long as its beginning is not whole"),
            Err(other) => panic!("{len} bytes: {other}"),
        }
    }
}

#[test]
fn what_is_not_a_journal_is_refused() {
    assert!(matches!(replay(b""), Err(Error::Unreadable(Unreadable::NotAJournal))));
    assert!(matches!(replay(b"\0asm\x0d\0\x01\0"), Err(Error::Unreadable(Unreadable::NotAJournal))));
    let later = replay(b"SHJRNL\0\x63").unwrap_err();
    assert!(later.to_string().contains("format 99"), "{later}");
    assert!(replay(b"SHJRNL\0\x01").unwrap_err().to_string().contains("record 0"));
}

#[test]
fn a_component_that_is_not_here_is_named() {
    let mut table = recorded(20, 100);
    play(&mut table);
    let error = journal::replay(whole(&table), |_| None, &mut Nobody).unwrap_err();
    assert!(error.to_string().contains(&PLUGIN.digest().to_string()), "{error}");
}

#[test]
fn another_version_is_compared_up_to_the_first_difference() {
    let mut table = recorded(20, 4);
    table.run_for(ms(220));
    table.say(A, b"d");
    table.run_for(ms(100));
    table.say(A, b"ehello");
    table.run_for(ms(200));
    let journal = whole(&table);
    assert_eq!(journal::verify(journal, &PLUGIN, &mut Nobody).unwrap().ended, Ended::Open);
    match journal::verify(journal, &other_version(), &mut Nobody) {
        Err(Error::Diverged(divergence)) => match *divergence {
            Divergence::Step { tick, events, commands } => {
                assert_eq!((tick, events), (7, vec![say(b"ehello")]));
                assert_eq!(commands, [crate::support::sent(b"t")]);
            }
            other => panic!("{other}"),
        },
        other => panic!("{other:?}"),
    }
}

/// Every kind of failure that the guest can have in a step, and one in `admit`.
#[test]
fn a_failure_is_in_the_journal_with_what_has_caused_it() {
    for (message, kind) in
        [(&b"t"[..], "trap"), (b"m", "out_of_memory"), (b"r", "stack_overflow"), (b"E", "game_error")]
    {
        let mut table = recorded(20, 100);
        table.run_for(ms(100));
        table.say(A, message);
        table.run_for(ms(100));
        assert_eq!(table.said.failures[0].1.kind(), kind);
        let report = replay(whole(&table)).unwrap();
        let Ended::Failed { tick, kind: found, text } = report.ended else { panic!("{report:?}") };
        assert_eq!((tick, found.as_str(), text), (2, kind, table.said.failures[0].1.to_string()));
    }
    let mut table = recorded(20, 100);
    table.worker.admit(A, &player(8), || table.now, &mut table.said).unwrap_err();
    assert!(matches!(replay(whole(&table)).unwrap().ended, Ended::Failed { kind, .. } if kind == "trap"));
}

#[test]
fn an_endless_loop_is_not_run_again() {
    let mut table = recorded(20, 100);
    table.say(A, b"l");
    table.run_for(ms(100));
    // A version that does not loop: if the step were made, it would be found not to fail.
    let other = version("(i32.eq (local.get $op) (i32.const 108)) ;; l: loop", "(i32.const 0)");
    let report = journal::replay(whole(&table), |_| Some(other.clone()), &mut Nobody).unwrap();
    assert!(matches!(report.ended, Ended::Failed { kind, .. } if kind == "deadline"));
}

#[test]
fn a_game_that_cannot_be_saved_is_recorded_from_its_beginning() {
    let plugin = version(
        "(func (export \"scenehost:scene/logic@0.3.0#save\") (result i32)",
        "(func (export \"scenehost:scene/logic@0.3.0#save\") (result i32)
          (return (call $err (i32.const 0) (i32.const 19)))",
    );
    let mut table = Table::new();
    table.worker.create(A, &plugin, &spec(20, 2), || table.now, &mut table.said).unwrap();
    table.deliver(A, Event::Joined(player(0)));
    table.run_for(ms(1_500));
    assert!(table.said.failures.is_empty());
    let (_, reader) = Reader::new(whole(&table)).unwrap();
    assert_eq!(reader.filter(|entry| matches!(entry, Ok(Entry::Unsaved { .. }))).count(), 1, "it is asked once");
    let report = journal::replay(whole(&table), |_| Some(plugin.clone()), &mut Nobody).unwrap();
    assert!(report.steps >= 20);
}

#[test]
fn a_snapshot_that_is_too_large_ends_the_scene() {
    let mut table = recorded(20, 2);
    table.say(A, b"S");
    table.run_for(ms(300));
    assert!(matches!(table.said.failures[0].1, Failure::SnapshotTooLarge { .. }));
    assert!(matches!(replay(whole(&table)).unwrap().ended, Ended::Failed { kind, .. } if kind == "snapshot_too_large"));
}

#[test]
fn the_host_can_put_in_something_of_its_own_and_the_end() {
    #[derive(Default)]
    struct Notes(Vec<(Vec<u8>, u64)>, u64);
    impl Observer for Notes {
        fn stepped(&mut self, _: &journal::Stepped<'_>) {
            self.1 += 1;
        }
        fn host(&mut self, bytes: &[u8]) {
            self.0.push((bytes.to_vec(), self.1));
        }
    }
    let mut table = recorded(20, 100);
    table.run_for(ms(100));
    table.worker.note(A, b"one", &mut table.said);
    table.run_for(ms(100));
    table.worker.note(A, b"two", &mut table.said);
    table.worker.end_journal(A, "an operator", &mut table.said);
    let mut notes = Notes::default();
    let report = journal::replay(whole(&table), the_plugin, &mut notes).unwrap();
    assert_eq!(notes.0, [(b"one".to_vec(), 2), (b"two".to_vec(), 4)]);
    assert_eq!(report.ended, Ended::Ended { reason: "an operator".to_owned() });
}

/// Goes on with a journal in a worker of its own.
fn recovered(journal: &[u8]) -> Table {
    let mut table = Table::new();
    table.now = ms(77_777);
    let recovered = table.worker.recover(A, journal, the_plugin, |_| spec(0, 5), table.now, &mut Nobody).unwrap();
    assert_eq!(recovered.journal_bytes, journal.len());
    table.said.journals.insert(A, [journal.to_vec(), Vec::new()]);
    table
}

#[test]
fn a_scene_goes_on_where_its_journal_ends() {
    for tick_rate_hz in [20, 0] {
        let mut first = recorded(tick_rate_hz, 5);
        first.run_for(ms(200));
        first.say(A, &[b'T', 1, 30]);
        first.say(A, &[b'T', 2, 90]);
        first.say(A, b"d");
        first.run_for(ms(230));
        // The journal of a ticking scene ends with its last step that was not quiet.
        first.say(A, b"d");
        first.run_for(ms(50));
        for index in [0, 1] {
            let mut second = recovered(&first.said.journals[&A][index]);
            let mut twin = recovered(&first.said.journals[&A][index]);
            let go_on = |table: &mut Table| {
                table.take_steps(A);
                table.say(A, b"d");
                table.run_for(ms(1_000));
                table.say(A, b"d");
                table.run_for(ms(500));
                table.take_steps(A).into_iter().map(|(_, step)| (step.tick, step.commands)).collect::<Vec<_>>()
            };
            let (there, again) = (go_on(&mut second), go_on(&mut twin));
            assert_eq!(there, again);
            let commands = |steps: &[(u64, Vec<_>)]| steps.iter().flat_map(|step| step.1.clone()).collect::<Vec<_>>();
            assert_eq!(commands(&there).len(), 4, "two timers and two random numbers: {there:?}");
            if index == 0 {
                let whole_again = replay(whole(&second)).unwrap();
                assert_eq!(whole_again.first_tick, 0, "and its journal goes on, too");
                assert!(whole_again.steps > 10 || tick_rate_hz == 0);
            }
        }
        let there = go_on_with(&mut recovered(whole(&first)));
        assert_eq!(go_on_with(&mut first), there, "as it would have gone on without");
    }
}

fn go_on_with(table: &mut Table) -> Vec<scenehost_engine::Command> {
    table.take_steps(A);
    table.say(A, b"d");
    table.run_for(ms(2_000));
    table.take_commands(A)
}

#[test]
fn a_scene_that_is_over_does_not_go_on() {
    let mut table = recorded(20, 100);
    table.say(A, b"F");
    table.run_for(ms(100));
    let journal = whole(&table).to_vec();
    let mut other = Table::new();
    let error = other.worker.recover(A, &journal, the_plugin, |_| spec(0, 5), ms(1), &mut Nobody).unwrap_err();
    assert_eq!(error.to_string(), "the scene was over already");
    assert!(!other.worker.contains(A));
}

#[test]
fn a_session_with_a_journal_has_an_instance_of_its_own() {
    let mut table = Table::new();
    let spec = spec(20, 100);
    table.try_create(A, &spec).unwrap();
    table.worker.restart(A, &PLUGIN, &spec, || table.now, &mut table.said).unwrap();
    table.deliver(A, Event::Joined(player(0)));
    table.say(A, b"n");
    table.run_for(ms(100));
    assert!(table.take_commands(A).contains(&crate::support::sent(&[1])), "it was started once");
    replay(whole(&table)).unwrap();
}

#[test]
fn a_scene_that_does_not_start_has_no_journal() {
    let mut table = Table::new();
    let mut spec = spec(20, 100);
    spec.init.configuration = "E".to_owned();
    assert!(matches!(table.try_create(A, &spec), Err(CreateError::Failed(_))));
    assert!(table.said.journals.is_empty());
}

#[test]
fn a_state_that_is_not_what_the_game_saves_is_a_divergence() {
    let mut table = recorded(20, 2);
    table.say(A, b"d");
    table.run_for(ms(200));
    // A version whose save leaves the random number as it is not.
    let plugin =
        version("(i64.store (i32.const 2048) (global.get $random))", "(i64.store (i32.const 2048) (i64.const 5))");
    let error = journal::replay(whole(&table), |_| Some(plugin.clone()), &mut Nobody).unwrap_err();
    assert!(matches!(&error, Error::Diverged(it) if matches!(**it, Divergence::State { .. })), "{error}");
    assert!(Instance::new(&plugin, Limits::default()).is_ok());
}

#[test]
fn the_tail_of_a_journal_is_enough_to_go_on() {
    let mut table = recorded(20, 5);
    play(&mut table);
    table.worker.swap(A, &other_version(), Limits::default(), &mut table.said).unwrap();
    table.deliver(A, Event::Resumed(Comeback { seat: 0, missed: false }));
    table.say(A, b"d");
    table.run_for(ms(700));
    let mut torn = whole(&table).to_vec();
    let all = torn.len();
    torn.extend([1, 2, 3]);
    let (tail, bytes) = journal::tail(&torn).unwrap();
    assert_eq!(bytes, all);
    assert!(tail.len() < all);
    let both = |digest: &scenehost_engine::Digest| {
        [PLUGIN.clone(), other_version()].into_iter().find(|plugin| plugin.digest() == *digest)
    };
    let whole_report = journal::replay(&torn, both, &mut Nobody).unwrap();
    let report = journal::replay(&tail, both, &mut Nobody).unwrap();
    assert_eq!(report.chain, whole_report.chain);
    assert!(report.first_tick > 0 && report.swaps == 0);
}

#[test]
fn what_happened_is_told_in_json() {
    let mut table = recorded(20, 100);
    table.run_for(ms(100));
    table.say(A, b"ehello");
    table.say(A, &[b'e', 0xff]);
    table.run_for(ms(50));
    table.say(A, b"t");
    table.run_for(ms(50));
    let mut lines = Vec::new();
    let mut export = journal::export::Export::new(|line| lines.push(line.clone()));
    let report = journal::replay(whole(&table), the_plugin, &mut export).unwrap();
    export.end(&report);
    assert_eq!(lines[0]["began"]["players"][1]["name"], "player 1");
    assert_eq!(lines[1]["admit"]["seat"], 0);
    assert_eq!(lines[2]["in"][0]["event"], "joined");
    let step = serde_json::json!({
        "tick": 2, "ms": 100,
        "in": [{"event": "message", "from": 0, "text": "ehello"}, {"event": "message", "from": 0, "base64": "Zf8="}],
        "out": [
            {"command": "send", "to": "all", "text": "ehello"}, {"command": "send", "to": "all", "base64": "Zf8="},
        ],
    });
    assert_eq!(lines[3], step);
    assert_eq!(lines[4]["log"], "error");
    assert_eq!((&lines[5]["failed"], &lines[5]["in"][0]["text"]), (&"trap".into(), &"t".into()));
    assert_eq!((&lines[6]["ended"]["how"], &lines[6]["ended"]["kind"]), (&"failed".into(), &"trap".into()));
}
