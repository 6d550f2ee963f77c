//! Long steps are made aside: the worker goes on with its other scenes, and tells of everything in its order.

use std::{
    cell::Cell,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use scenehost_engine::{
    Aside, CallError, DeliverError, Event, Failure, Limits, Plugin, SceneSpec, Worker, WorkerOptions,
    journal::{About, JournalSpec},
};

use crate::support::{A, B, JOINED, PLUGIN, Recorder, answer, init, ms, player, say, sent, version};

/// A worker whose scene A has had a long step, by a clock that leaps when it is read.
struct Beside {
    worker: Worker,
    now: Cell<Duration>,
    said: Recorder,
    woken: Receiver<()>,
}

impl Beside {
    fn new(spec: &SceneSpec) -> Beside {
        let (wake, woken) = channel();
        let wake = move || _ = wake.send(());
        let aside = Aside::spawn("aside".to_owned(), 2 << 20, || {}, wake).unwrap();
        let options = WorkerOptions { quantum: Duration::ZERO, ..WorkerOptions::default() };
        let mut worker = Worker::with_aside(options, aside);
        let (now, mut said) = (Cell::new(ms(1_000)), Recorder::default());
        worker.create(A, &PLUGIN, spec, now.get(), &mut said).unwrap();
        let mut beside = Beside { worker, now, said, woken };
        beside.deliver(A, Event::Joined(player(0)));
        beside.now.set(beside.now.get() + ms(50));
        let clock = || {
            beside.now.set(beside.now.get() + ms(10));
            beside.now.get()
        };
        assert_eq!(beside.worker.run_due(clock, &mut beside.said), 1);
        assert_eq!(beside.said.steps.len(), 1);
        beside
    }

    fn deliver(&mut self, key: scenehost_engine::SceneKey, event: Event) {
        self.worker.deliver(key, event, self.now.get()).unwrap();
    }

    /// A run at the next tick.
    fn tick(&mut self) -> u32 {
        self.now.set(self.now.get() + ms(50));
        self.run()
    }

    fn run(&mut self) -> u32 {
        self.worker.run_due(|| self.now.get(), &mut self.said)
    }

    /// A run when a step was made aside.
    fn run_when_woken(&mut self) -> u32 {
        self.woken.recv_timeout(Duration::from_secs(20)).expect("a step was given away");
        self.run()
    }

    fn last(&self) -> &[scenehost_engine::Command] {
        &self.said.steps.last().expect("there was a step").2.commands
    }
}

fn at_20_hz() -> SceneSpec {
    SceneSpec::new(init(20))
}

/// Another game: the same but for a text.
fn other() -> Plugin {
    version("the board is broken", "the table is broken")
}

#[test]
fn after_a_long_step_the_next_ones_are_made_aside_and_told_as_all_others() {
    let mut beside = Beside::new(&at_20_hz());
    assert_eq!(beside.last(), [answer(JOINED, 0)]);
    for word in [b"e one", b"e two"] {
        beside.deliver(A, say(word));
        assert_eq!(beside.tick(), 0, "it is given away");
        assert_eq!(beside.run_when_woken(), 1);
        assert_eq!(beside.last(), [sent(word)]);
    }
    let ticks: Vec<u64> = beside.said.steps.iter().map(|(_, _, stepped)| stepped.tick).collect();
    assert_eq!(ticks, [ticks[0], ticks[0] + 1, ticks[0] + 2]);
}

#[test]
fn what_comes_while_a_scene_is_away_comes_in_its_next_step() {
    let mut beside = Beside::new(&SceneSpec { inbox_events_max: 2, ..at_20_hz() });
    beside.deliver(A, say(b"e first"));
    beside.tick();
    beside.deliver(A, say(b"e second"));
    beside.deliver(A, Event::Joined(player(1)));
    beside.deliver(A, say(b"e third"));
    assert_eq!(beside.worker.deliver(A, say(b"e fourth"), beside.now.get()), Err(DeliverError::InboxFull));
    assert_eq!(beside.worker.waiting(A).count(), 2);
    beside.run_when_woken();
    assert_eq!(beside.last(), [sent(b"e first")]);
    beside.tick();
    beside.run_when_woken();
    assert_eq!(beside.last(), [sent(b"e second"), answer(JOINED, 1), sent(b"e third")]);
}

#[test]
fn a_neighbour_is_stepped_while_a_game_loops_aside_and_only_that_game_ends() {
    let limits = Limits { step_ms_max: 200, ..Limits::default() };
    let mut beside = Beside::new(&SceneSpec { limits, ..at_20_hz() });
    beside.worker.create(B, &other(), &at_20_hz(), beside.now.get(), &mut beside.said).unwrap();
    beside.deliver(B, Event::Joined(player(0)));
    beside.deliver(A, say(b"l"));
    for _ in 0..3 {
        assert_eq!(beside.tick(), 1);
        assert_eq!(beside.said.steps.last().map(|step| step.0), Some(B));
    }
    assert!(beside.said.failures.is_empty(), "it loops still");
    beside.run_when_woken();
    let [(A, Failure::Deadline { .. })] = beside.said.failures[..] else { panic!("{:?}", beside.said.failures) };
    assert!(!beside.worker.contains(A) && beside.worker.contains(B));
}

#[test]
fn who_is_removed_while_away_is_not_heard_of_again() {
    let mut beside = Beside::new(&at_20_hz());
    beside.tick();
    assert!(beside.worker.remove(A) && !beside.worker.remove(A));
    assert_eq!(beside.worker.deliver(A, say(b"e"), beside.now.get()), Err(DeliverError::NoScene));
    beside.worker.create(A, &PLUGIN, &at_20_hz(), beside.now.get(), &mut beside.said).unwrap();
    let told = beside.said.steps.len();
    beside.run_when_woken();
    assert_eq!(beside.said.steps.len(), told, "the scene of this key is another one now");
    beside.deliver(A, say(b"e anew"));
    beside.tick();
    beside.run_when_woken();
    assert_eq!(beside.last(), [sent(b"e anew")]);
}

#[test]
fn what_needs_a_scene_waits_for_it_and_comes_behind_its_step() {
    let journal = JournalSpec { about: About::default(), snapshot_steps: 1_000 };
    let mut beside = Beside::new(&SceneSpec { journal: Some(journal), ..at_20_hz() });
    beside.deliver(A, say(b"e kept"));
    beside.tick();
    beside.said.order.clear();
    assert_eq!(beside.worker.admit(A, &player(1), &mut beside.said), Ok(Ok(())));
    assert_eq!(beside.said.order, ["journaled", "stepped", "journaled"]);
    assert_eq!(beside.last(), [sent(b"e kept")]);

    beside.deliver(A, say(b"t"));
    beside.tick();
    assert_eq!(beside.worker.admit(A, &player(1), &mut beside.said), Err(CallError::NoScene), "it has trapped before");
    assert_eq!(beside.said.failures.len(), 1);
}

#[test]
fn a_scene_that_is_parked_while_away_says_nothing_more() {
    let mut beside = Beside::new(&at_20_hz());
    beside.deliver(A, say(b"e"));
    beside.tick();
    assert!(beside.worker.park(A));
    assert_eq!(beside.worker.deliver(A, say(b"e"), beside.now.get()), Err(DeliverError::Finished));
    let told = beside.said.steps.len();
    beside.run_when_woken();
    beside.tick();
    assert_eq!(beside.said.steps.len(), told);
    assert_eq!(beside.worker.deliver(A, say(b"e"), beside.now.get()), Err(DeliverError::Finished));
}
