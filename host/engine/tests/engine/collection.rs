//! A collection of hostile components: each is refused, or ends its own scene, or goes on within its limits; and a
//! neighbour on the same core gives the same outputs at the same ticks as without it.
//!
//! `SCENEHOST_MUTATIONS` says how many mutated uploads are tried, instead of a hundred.

use scenehost_engine::{CreateError, Event, Limits, Plugin, SceneSpec, SwapError};

use crate::support::{A, B, ENGINE, GUEST, Table, component, encode_text, init, ms, player, say, sent};

/// What comes of a component.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Refused(&'static str),
    /// It does not start.
    Stillborn(&'static str),
    /// It runs, and fails.
    Failed(&'static str),
    /// It runs on, within its limits.
    Lives,
}

use Outcome::{Failed, Lives, Refused, Stillborn};

/// What is done with a component that is not refused.
enum Deed {
    /// It is started.
    Start,
    /// Somebody says this to it.
    Say(&'static [u8]),
    /// Somebody asks to enter.
    Admit,
    /// Its state is saved, and loaded by another instance.
    Swap,
}

struct Hostile {
    name: &'static str,
    bytes: Vec<u8>,
    deed: Deed,
    outcome: Outcome,
}

fn hostile(name: &'static str, bytes: Vec<u8>, deed: Deed, outcome: Outcome) -> Hostile {
    Hostile { name, bytes, deed, outcome }
}

/// The guest with this in the place of that.
fn guest(that: &str, this: &str) -> Vec<u8> {
    assert!(GUEST.contains(that), "the guest has changed: {that}");
    component(&GUEST.replacen(that, this, 1))
}

/// Code at the beginning of one of the guest's functions.
fn with_code(function: &str, code: &str) -> Vec<u8> {
    let begin = GUEST.find(&format!("logic@0.3.0#{function}\"")).expect("the guest has it");
    // The locals, or the parameters, end where the first instruction begins.
    let body = &GUEST[begin..];
    let first = body.find("\n    (").map(|at| begin + at).expect("it has a body");
    let after_params =
        match GUEST[first..].trim_start().starts_with("(param") || GUEST[first..].trim_start().starts_with("(local") {
            true => first + 1 + GUEST[first + 1..].find("\n    (").expect("it goes on"),
            false => first,
        };
    component(&format!("{}\n    {code}{}", &GUEST[..after_params], &GUEST[after_params..]))
}

fn uploads() -> Vec<Hostile> {
    let good = component(GUEST);
    let memory = r#"(memory (export "memory") 4)"#;
    let refused = |name, bytes, kind| hostile(name, bytes, Deed::Start, Refused(kind));
    vec![
        refused("nothing", Vec::new(), "not_webassembly"),
        refused("text", b"(component)".to_vec(), "not_webassembly"),
        refused("native code", b"\x7fELF\x02\x01\x01".to_vec(), "precompiled"),
        refused("a core module", encode_text(GUEST), "core_module"),
        refused("half a component", good[..good.len() / 2].to_vec(), "invalid"),
        refused("bytes behind the end", [good.as_slice(), &[0xff; 64]].concat(), "invalid"),
        refused(
            "a clock",
            encode_text(r#"(component (import "wasi:clocks/monotonic-clock@0.2.0" (instance)))"#),
            "undeclared_import",
        ),
        refused(
            "files",
            encode_text(r#"(component (import "wasi:filesystem/types@0.2.0" (instance)))"#),
            "undeclared_import",
        ),
        refused("memory from the start", guest(memory, r#"(memory (export "memory") 60000)"#), "resources"),
        refused("a huge table", guest("(global $heap", "(table 1000000 funcref) (global $heap"), "resources"),
        refused("shared memory", guest(memory, r#"(memory (export "memory") 4 8 shared)"#), "invalid"),
        refused("memory of 64 bits", encode_text("(component (core module (memory i64 1)))"), "invalid"),
        refused("components in a component that call each other", encode_text(COMPOSED), "invalid"),
    ]
}

/// Two components with memories of their own; what one hands to the other is copied by code that the runtime makes.
const COMPOSED: &str = r#"(component
  (component $a
    (core module $m
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
      (func (export "f") (param i32 i32)))
    (core instance $i (instantiate $m))
    (func (export "f") (param "s" string)
      (canon lift (core func $i "f") (memory (core memory $i "mem")) (realloc (core func $i "realloc")))))
  (component $b
    (import "f" (func $f (param "s" string)))
    (core module $libc
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
    (core instance $libc (instantiate $libc))
    (core func $f_lower (canon lower (func $f) (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
    (core module $m
      (import "" "f" (func $f (param i32 i32)))
      (func (export "g") (call $f (i32.const 0) (i32.const 1))))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f_lower))))))
    (func (export "g") (canon lift (core func $i "g"))))
  (instance $ia (instantiate $a))
  (instance $ib (instantiate $b (with "f" (func $ia "f"))))
  (export "g" (func $ib "g")))"#;

fn scenes() -> Vec<Hostile> {
    let good = || component(GUEST);
    let says = |name, body, kind| hostile(name, good(), Deed::Say(body), Failed(kind));
    let begins = |name, code: &str, kind| hostile(name, with_code("start", code), Deed::Start, Stillborn(kind));
    vec![
        begins("a start that never ends", "(call $forever)", "deadline"),
        begins("a start that traps", "unreachable", "trap"),
        begins("a start that calls itself for ever", "(drop (call $recurse (i32.const 0)))", "stack_overflow"),
        begins("a start that takes all memory", "(call $grow_until_refused) unreachable", "out_of_memory"),
        hostile(
            "code that runs for ever before it starts",
            guest("(func $panic", "(start $forever) (func $panic"),
            Deed::Start,
            Stillborn("deadline"),
        ),
        says("an endless loop", b"l", "deadline"),
        says("a trap", b"t", "trap"),
        says("all memory, then an abort", b"m", "out_of_memory"),
        hostile("all memory, and no complaint", good(), Deed::Say(b"h"), Lives),
        says("recursion", b"r", "stack_overflow"),
        says("a flood of messages", b"f\x41", "too_many_messages"),
        says("a flood of commands", b"f\xff", "too_many_commands"),
        says("a message that is too large", b"g\x02", "message_too_large"),
        says("output that is too large", b"g\x64", "output_too_large"),
        says("a message outside of its memory", b"o", "bad_output"),
        says("a command that there is not", b"k", "bad_output"),
        says("a text that is none", b"u", "bad_output"),
        says("a label that is too long", b"b\x21", "bad_command"),
        says("a flood of timers", b"N\x11", "too_many_timers"),
        hostile("a flood of lines", good(), Deed::Say(b"x\xff"), Lives),
        hostile(
            "a table that grows for ever",
            guest(
                "(func $forever (loop $again (br $again)))",
                "(table $t 1 funcref)
                 (func $forever (loop $again
                   (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $again)))",
            ),
            Deed::Say(b"l"),
            Failed("deadline"),
        ),
        hostile("an admission that traps", with_code("admit", "unreachable"), Deed::Admit, Failed("trap")),
        hostile("an admission that never ends", with_code("admit", "(call $forever)"), Deed::Admit, Failed("deadline")),
        hostile(
            "an allocator that lies",
            guest("(local.get $at))\n\n  ;; ok", "(i32.const -16))\n\n  ;; ok"),
            Deed::Start,
            Stillborn("bad_output"),
        ),
        hostile("a state that traps", with_code("save", "unreachable"), Deed::Swap, Failed("trap")),
        hostile("a state that never comes", with_code("save", "(call $forever)"), Deed::Swap, Failed("deadline")),
        hostile(
            "a state outside of its memory",
            with_code("save", "(return (call $ok_list (i32.const 131072) (i32.const 2147483647)))"),
            Deed::Swap,
            Failed("bad_output"),
        ),
        hostile(
            "a state of five megabytes",
            guest("(global $big_snapshot (mut i32) (i32.const 0))", "(global $big_snapshot (mut i32) (i32.const 1))"),
            Deed::Swap,
            Failed("snapshot_too_large"),
        ),
        hostile(
            "a state that its own load refuses",
            with_code("save", "(return (call $ok_list (i32.const 0) (i32.const 3)))"),
            Deed::Swap,
            Lives,
        ),
        hostile("a load that never ends", with_code("load", "(call $forever)"), Deed::Swap, Lives),
    ]
}

fn spec() -> SceneSpec {
    let limits = Limits { step_ms_max: 20, start_ms_max: 20, ..Limits::default() };
    SceneSpec { limits, ..SceneSpec::new(init(20)) }
}

/// Lets a component do its worst beside a neighbour.
fn outcome(hostile: &Hostile) -> Outcome {
    let plugin = match ENGINE.compile(&hostile.bytes) {
        Ok(plugin) => plugin,
        Err(rejected) => return Refused(rejected.kind()),
    };
    let mut table = Table::new();
    table.create_joined(B, 20);
    let outcome = run(&mut table, &plugin, &hostile.deed);
    table.say(B, b"e still here");
    table.run_for(ms(500));
    let steps = table.take_steps(B);
    let ticks: Vec<u64> = steps.iter().map(|(_, step)| step.tick).collect();
    assert_eq!(ticks, Vec::from_iter(0..ticks.len() as u64), "{}", hostile.name);
    assert!(steps.iter().any(|(_, step)| step.commands.contains(&sent(b"e still here"))), "{}", hostile.name);
    outcome
}

fn run(table: &mut Table, plugin: &Plugin, deed: &Deed) -> Outcome {
    match table.worker.create(A, plugin, &spec(), || table.now, &mut table.said) {
        Ok(()) => {}
        Err(CreateError::Failed(failure)) => return Stillborn(failure.kind()),
        Err(other) => panic!("{other}"),
    }
    match deed {
        Deed::Start => {}
        Deed::Admit => {
            let _ =
                table.worker.admit(A, &player(0), || table.now, &mut table.said).map_err(|error| note(table, error));
        }
        Deed::Say(body) => {
            table.deliver(A, Event::Joined(player(0)));
            table.deliver(A, say(body));
        }
        Deed::Swap => {
            table.deliver(A, Event::Joined(player(0)));
            table.run_for(ms(100));
            match table.worker.swap(A, plugin, spec().limits, &mut table.said) {
                Err(SwapError::Failed(failure)) => table.said.failures.push((A, failure)),
                // It may have failed, or finished, before.
                Ok(()) | Err(SwapError::Kept { .. } | SwapError::NoScene | SwapError::Finished) => {}
            }
        }
    }
    table.run_for(ms(500));
    let failure = table.said.failures.iter().find(|(key, _)| *key == A);
    assert_eq!(failure.is_none(), table.worker.contains(A));
    failure.map_or(Lives, |(_, failure)| Failed(failure.kind()))
}

fn note(table: &mut Table, error: scenehost_engine::CallError) {
    match error {
        scenehost_engine::CallError::Failed(failure) => table.said.failures.push((A, failure)),
        other => panic!("{other}"),
    }
}

#[test]
fn each_component_of_the_collection_hurts_only_itself() {
    let collection: Vec<Hostile> = uploads().into_iter().chain(scenes()).collect();
    assert!(collection.len() >= 40);
    for hostile in &collection {
        assert_eq!(outcome(hostile), hostile.outcome, "{}", hostile.name);
    }
}

#[test]
fn what_the_collection_leaves_is_as_much_as_before() {
    // All slots of the engine are free again: as many scenes as ever fit.
    for hostile in &scenes() {
        for _ in 0..4 {
            outcome(hostile);
        }
    }
    let mut table = Table::new();
    for key in 0..64 {
        table.create(scenehost_engine::SceneKey(100 + key), 20);
    }
}

/// Pseudo-random numbers that are the same in every run (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    }
}

fn mutated(bytes: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=numbers.next(2) {
        let at = 8 + numbers.next(bytes.len() - 8);
        match numbers.next(12) {
            0..=7 => bytes[at] ^= 1 << numbers.next(8),
            8 => bytes[at] = numbers.next(256) as u8,
            9 => drop(bytes.drain(at..(at + 1 + numbers.next(16)).min(bytes.len()))),
            10 => {
                let piece = bytes[at..(at + 1 + numbers.next(16)).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes.truncate(at + 1),
        }
        if bytes.len() < 16 {
            break;
        }
    }
    bytes
}

#[test]
fn mutated_uploads_are_refused_or_run_within_their_limits() {
    let count = std::env::var("SCENEHOST_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let good = component(GUEST);
    let mut numbers = Numbers(0x5eed);
    let mut ran = 0;
    for _ in 0..count {
        let Ok(plugin) = ENGINE.compile(&mutated(&good, &mut numbers)) else { continue };
        ran += 1;
        let mut table = Table::new();
        table.create_joined(B, 20);
        for deed in [Deed::Say(b"ehello"), Deed::Swap, Deed::Admit] {
            let outcome = run(&mut table, &plugin, &deed);
            assert_ne!(outcome, Refused("never"));
            table.worker.remove(A);
            table.said.failures.clear();
        }
        assert!(table.worker.contains(B));
    }
    assert!(ran >= count / 50, "{ran} of {count} could be run: the mutations are too wild to show anything");
}
