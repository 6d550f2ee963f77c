//! Writes the journal of one scene while it runs.
//!
//! Invariant: whatever has an effect outside of the scene is written in the same call. Quiet steps, which have none, are
//! counted and written together, after a second at the latest.

use std::borrow::Cow;

use super::{During, Entry, Header, JournalSpec, Kept, Step, entry};
use crate::{
    bindings::{CONTRACT_VERSION, Command, Event, Init, Moment, Player},
    failure::Failure,
    limits::Limits,
    upload::Digest,
};

/// The scene's side of its journal.
pub struct Recorder {
    spec: JournalSpec,
    chain: u64,
    /// Quiet steps that are not written yet.
    quiet_steps: u32,
    quiet_steps_max: u32,
    slept_slots: u64,
    steps_since_snapshot: u32,
    /// The game has said that it cannot be saved, and is not asked again.
    unsaveable: bool,
    scratch: Vec<u8>,
}

impl Recorder {
    /// One that goes on with a journal that has come to this chain; 0 at the beginning.
    pub fn new(spec: JournalSpec, tick_rate_hz: u32, chain: u64, slept_slots: u64) -> Recorder {
        Recorder {
            spec,
            chain,
            quiet_steps: 0,
            quiet_steps_max: tick_rate_hz,
            slept_slots,
            steps_since_snapshot: 0,
            unsaveable: false,
            scratch: Vec::new(),
        }
    }

    /// What a journal of this scene begins with.
    pub fn head(&self, digest: Digest, limits: &Limits, tick_when_empty: bool, init: &Init) -> Vec<u8> {
        let header = Header {
            contract: CONTRACT_VERSION.to_owned(),
            digest,
            limits: *limits,
            tick_when_empty,
            init: init.clone(),
            about: self.spec.about.clone(),
        };
        let mut head = entry::MAGIC.to_vec();
        Entry::Begin(Cow::Owned(header)).write(&mut head);
        head
    }

    pub fn admitted(&mut self, player: &Player, answer: &Result<(), String>, out: &mut Vec<u8>) {
        let answer = answer.as_ref().copied().map_err(|text| Cow::Borrowed(text.as_str()));
        self.write(&Entry::Admit { player: Cow::Borrowed(player), answer }, out);
    }

    pub fn stepped(&mut self, at: Moment, slept_slots: u64, events: &[Event], commands: &[Command], out: &mut Vec<u8>) {
        self.steps_since_snapshot += 1;
        let is_quiet = events.is_empty() && commands.is_empty() && slept_slots == self.slept_slots;
        if is_quiet && self.quiet_steps_max > 0 {
            self.quiet_steps += 1;
            if self.quiet_steps >= self.quiet_steps_max {
                self.flush(out);
            }
            return;
        }
        self.slept_slots = slept_slots;
        self.chain = entry::chained(self.chain, commands, &mut self.scratch);
        let step = step(at, slept_slots, events);
        self.write(&Entry::Step { step, chain: self.chain }, out);
    }

    pub fn failed(&mut self, during: During<'_>, failure: &Failure, out: &mut Vec<u8>) {
        let (kind, text) = (Cow::Borrowed(failure.kind()), Cow::Owned(failure.to_string()));
        self.write(&Entry::Failed { during, kind, text }, out);
    }

    /// Whether the scene's state is to be put in.
    pub fn wants_snapshot(&self) -> bool {
        self.steps_since_snapshot >= self.spec.snapshot_steps.max(1) && !self.unsaveable
    }

    /// Writes what is not written yet.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        match std::mem::take(&mut self.quiet_steps) {
            0 => {}
            steps => Entry::Quiet { steps }.write(out),
        }
    }

    pub fn snapshot(&mut self, state: &[u8], kept: &Kept, out: &mut Vec<u8>) {
        self.steps_since_snapshot = 0;
        let (state, kept, chain) = (Cow::Borrowed(state), Cow::Borrowed(kept), self.chain);
        self.write(&Entry::Snapshot { state, kept, chain }, out);
    }

    pub fn unsaved(&mut self, text: &str, out: &mut Vec<u8>) {
        self.unsaveable = true;
        self.write(&Entry::Unsaved { text: Cow::Borrowed(text) }, out);
    }

    pub fn not_swapped(&mut self, reason: &str, out: &mut Vec<u8>) {
        self.write(&Entry::NotSwapped { reason: Cow::Borrowed(reason) }, out);
    }

    pub fn swapped(&mut self, digest: Digest, limits: Limits, out: &mut Vec<u8>) {
        self.unsaveable = false;
        self.write(&Entry::Swapped { digest, limits }, out);
    }

    pub fn swapped_back(&mut self, reason: &str, out: &mut Vec<u8>) {
        self.write(&Entry::SwappedBack { reason: Cow::Borrowed(reason) }, out);
    }

    pub fn host(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.write(&Entry::Host(Cow::Borrowed(bytes)), out);
    }

    pub fn ended(&mut self, reason: &str, out: &mut Vec<u8>) {
        self.write(&Entry::End { reason: Cow::Borrowed(reason) }, out);
    }

    fn write(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        self.flush(out);
        entry.write(out);
    }
}

/// A step, as it is written.
pub fn step(at: Moment, slept_slots: u64, events: &[Event]) -> Step<'_> {
    Step { tick: at.tick, elapsed_ms: at.elapsed_ms, slept_slots, events: Cow::Borrowed(events) }
}
