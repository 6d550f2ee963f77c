//! What a step and an instance cost on this machine. With an argument: of that component instead of the tests' guest.
//!
//! Rows: an empty step and a step of four 24-byte messages, of one scene again and again (hot) and of 4,000 scenes in
//! turn (cold); making and dropping an instance; memory of an idle instance after its first step; what sleeping and
//! ticking scenes cost a worker.

#[path = "../tests/engine/support.rs"]
#[allow(dead_code)]
mod support;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use scenehost_engine::{
    Engine, Event, Failure, Init, Instance, Limits, Log, Moment, Options, Plugin, SceneKey, SceneSpec, Sink, Stepped,
    Worker, WorkerOptions,
};

const SCENES: u32 = 4_000;

fn main() {
    let engine = Engine::new(Options::default()).unwrap();
    let bytes = match std::env::args().nth(1) {
        Some(path) => std::fs::read(path).unwrap(),
        None => support::component(support::GUEST),
    };
    let begun = Instant::now();
    let plugin = engine.compile(&bytes).unwrap();
    println!("compile {} bytes: {:?}", bytes.len(), begun.elapsed());
    make(&plugin);
    steps(&plugin);
    turns(&plugin);
    worker(&plugin);
}

fn started(plugin: &Plugin) -> Instance {
    let mut instance = Instance::new(plugin, Limits::default()).unwrap();
    start(&mut instance);
    instance
}

fn start(instance: &mut Instance) {
    instance.start(&init()).unwrap();
    let joined: Vec<Event> = (0..4).map(|seat| Event::Joined(support::player(seat))).collect();
    instance.step(at(0), &joined).unwrap();
}

/// A scene of four players.
fn init() -> Init {
    Init { players: (0..4).map(support::player).collect(), ..support::init(20) }
}

fn at(tick: u64) -> Moment {
    Moment { tick, elapsed_ms: tick * 50 }
}

fn make(plugin: &Plugin) {
    let per_instance = |label: &str, begun: Instant| {
        println!("{label}: {:.1} us", begun.elapsed().as_secs_f64() * 1e6 / f64::from(SCENES));
    };
    for slots in ["fresh slots", "used slots"] {
        let before = Memory::now();
        let begun = Instant::now();
        let mut instances: Vec<Instance> =
            (0..SCENES).map(|_| Instance::new(plugin, Limits::default()).unwrap()).collect();
        per_instance(&format!("instantiate ({slots})"), begun);
        Memory::now().print_since(&before, "instantiated");
        let begun = Instant::now();
        instances.iter_mut().for_each(start);
        per_instance("start and first step", begun);
        Memory::now().print_since(&before, "after first step");
        let begun = Instant::now();
        drop(instances);
        per_instance("drop", begun);
    }
}

fn steps(plugin: &Plugin) {
    let messages: Vec<Event> = (0..4).map(|_| support::say(b"e 24 bytes of a message.")).collect();
    let mut instances: Vec<Instance> = (0..SCENES).map(|_| started(plugin)).collect();
    for (label, events) in [("no event", &[] as &[Event]), ("4 messages", &messages)] {
        let mut tick = 1;
        let hot = time(400_000, |_| {
            tick += 1;
            black_box(instances[0].step(at(tick), events).unwrap());
        });
        let cold = time(400_000, |i| {
            let index = i as usize % instances.len();
            tick += 1;
            black_box(instances[index].step(at(tick), events).unwrap());
        });
        println!("step, {label}: hot {hot:.0} ns, cold {cold:.0} ns");
    }
}

fn time(rounds: u32, mut round: impl FnMut(u32)) -> f64 {
    (0..SCENES).for_each(&mut round);
    let begun = Instant::now();
    (0..rounds).for_each(&mut round);
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
}

struct Count(u32);

impl Sink for Count {
    fn stepped(&mut self, _key: SceneKey, stepped: Stepped) {
        self.0 += 1;
        black_box(stepped);
    }

    fn failed(&mut self, key: SceneKey, failure: Failure) {
        panic!("{key:?}: {failure}");
    }

    fn logged(&mut self, _key: SceneKey, _log: Log) {}
}

/// What a worker adds to cold steps: all scenes in turn by a clock that is moved.
fn turns(plugin: &Plugin) {
    let mut sink = Count(0);
    let mut worker = Worker::new(WorkerOptions::default());
    for key in 0..u64::from(SCENES) {
        let spec = SceneSpec { tick_when_empty: true, ..SceneSpec::new(init()) };
        let start = Duration::from_micros(key * 10);
        worker.create(SceneKey(key), plugin, &spec, || start, &mut sink).unwrap();
    }
    let mut now = Duration::ZERO;
    let mut turn = |sink: &mut Count| {
        now += Duration::from_millis(50);
        while worker.run_due(|| now, sink) > 0 {}
    };
    turn(&mut sink);
    sink.0 = 0;
    let begun = Instant::now();
    (0..100).for_each(|_| turn(&mut sink));
    let ns = begun.elapsed().as_secs_f64() * 1e9 / f64::from(sink.0);
    println!("step of a worker, no event: cold {ns:.0} ns ({} steps)", sink.0);
}

/// Five seconds of 5,000 scenes at 20 Hz: asleep, ticking empty.
fn worker(plugin: &Plugin) {
    for tick_when_empty in [false, true] {
        let epoch = Instant::now();
        let mut sink = Count(0);
        let mut worker = Worker::new(WorkerOptions::default());
        let before = Memory::now();
        for key in 0..5_000 {
            let spec = SceneSpec { tick_when_empty, ..SceneSpec::new(init()) };
            worker.create(SceneKey(key), plugin, &spec, || epoch.elapsed(), &mut sink).unwrap();
        }
        Memory::now().print_since_of(&before, "in a worker", 5_000);
        let (begun, cpu, mut runs) = (Instant::now(), cpu_time(), 0);
        while begun.elapsed() < Duration::from_secs(5) {
            let wait = worker.next_due().map_or(Duration::from_secs(1), |due| due.saturating_sub(epoch.elapsed()));
            std::thread::sleep(wait);
            worker.run_due(|| epoch.elapsed(), &mut sink);
            runs += 1;
        }
        let share = (cpu_time() - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
        println!(
            "5,000 scenes at 20 Hz, ticking empty {tick_when_empty}: {:.2} % of a core, {} steps, {runs} runs",
            share * 100.0,
            sink.0
        );
    }
}

/// The process's processor time, all threads.
fn cpu_time() -> Duration {
    let stat = read("/proc/self/schedstat");
    let own: u64 = stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let all: u64 = tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(all.max(own))
}

/// The process's memory in kB: resident as the system counts it, which counts a page that instances share once for each;
/// resident counting every page once; page tables; and the number of mappings.
struct Memory {
    resident: u64,
    counted_once: u64,
    page_tables: u64,
    mappings: usize,
}

impl Memory {
    fn now() -> Memory {
        let status = read("/proc/self/status");
        Memory {
            resident: field(&status, "VmRSS:"),
            counted_once: field(&read("/proc/self/smaps_rollup"), "Pss:"),
            page_tables: field(&status, "VmPTE:"),
            mappings: read("/proc/self/maps").lines().count(),
        }
    }

    fn print_since(&self, before: &Memory, label: &str) {
        self.print_since_of(before, label, SCENES);
    }

    fn print_since_of(&self, before: &Memory, label: &str, scenes: u32) {
        let each = |now: u64, then: u64| now.saturating_sub(then) as f64 / f64::from(scenes);
        println!(
            "  {label}: {:.1} kB resident ({:.1} kB with shared pages counted once), {:.1} kB page tables, \
             {:.1} mappings an instance",
            each(self.resident, before.resident),
            each(self.counted_once, before.counted_once),
            each(self.page_tables, before.page_tables),
            each(self.mappings as u64, before.mappings as u64),
        );
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}
