//! A scene that does one forbidden thing at one moment, both chosen by configuration; until then,
//! and without configuration, it echoes every message to its sender.
//!
//! `{"misbehave":"loop","when":"message"}`. It exists so that tests can show that a scene hurts
//! nobody but itself. With `{"grants":"coin"}` it grants the sender a coin for every message instead. With `{"seeks":1}`
//! it asks matching for so many more players when seat 0 comes in. With `{"keeps":true}` it keeps every message, answers each
//! with how many its sender has sent, and tells all of them who asks for a `list` or has missed something.

use std::collections::BTreeMap;
use std::hint::black_box;

use scenehost_sdk::log;
use scenehost_sdk::prelude::*;

/// How many messages or lines a flood has, and how long each is.
const FLOOD_COUNT: u32 = 100_000;
const FLOOD_BYTES: usize = 1024;

/// The length of one giant message or snapshot, and of the pieces that memory is taken in.
const GIANT_BYTES: usize = 8 * 1024 * 1024;

/// How far a slow scene counts.
const SLOW_COUNT: u64 = 4_000_000;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misdeed {
    /// Never return.
    Loop,
    /// Panic.
    Trap,
    /// Take memory until there is none, and use it.
    Memory,
    /// Send 100,000 messages of 1 KiB in one step.
    Flood,
    /// Send one message of 8 MiB; at `save`, give such a snapshot.
    Giant,
    /// Call without end.
    Recursion,
    /// Write 100,000 lines of 1 KiB, and go on.
    Log,
    /// Return an error.
    Fail,
    /// Work for some milliseconds, and go on.
    Slow,
}

/// When to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// While the scene starts.
    Start,
    /// When a player is asked about.
    Admit,
    /// When a player comes in.
    Join,
    /// When a player's message comes.
    Message,
    /// At the end of every step.
    Tick,
    /// While a snapshot is taken.
    Save,
    /// While a snapshot is loaded.
    Load,
}

/// The configuration. Empty: a harmless echo.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// What to do.
    pub misbehave: Option<Misdeed>,
    /// When to do it; at the first message if it is not said.
    pub when: Option<When>,
    /// How many steps pass before misdeeds at ticks begin.
    pub after_ticks: u64,
    /// In how many steps after those the one lies at which they begin; the seed draws it.
    pub within_ticks: u32,
    /// For every message grant its sender one of this, and tell everybody the answer, in the place of an echo.
    pub grants: Option<String>,
    /// For how many more players to ask.
    pub seeks: u32,
    /// Keep messages, and count them, in the place of an echo.
    pub keeps: bool,
}

/// The scene.
#[derive(Serialize, Deserialize)]
pub struct Hostile {
    plan: Plan,
    /// From this step on misdeeds at ticks are committed.
    due_tick: u64,
    /// What each seat has sent, with `keeps`.
    kept: BTreeMap<Seat, Vec<String>>,
}

impl Plan {
    /// The misdeed that is due at a moment.
    fn due(&self, now: When) -> Option<Misdeed> {
        let when = self.when.unwrap_or(When::Message);
        self.misbehave.filter(|_| when == now)
    }

    /// At a moment without a context: what can be done without one.
    fn obey(&self, now: When) -> Result<(), String> {
        match self.due(now) {
            Some(Misdeed::Fail) => Err("this scene fails as it was told to".to_owned()),
            Some(misdeed) => {
                commit(misdeed);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn obey_in(&self, now: When, ctx: &mut Context) {
        match self.due(now) {
            Some(Misdeed::Flood) => {
                for _ in 0..FLOOD_COUNT {
                    ctx.send_bytes(Target::All, vec![b'f'; FLOOD_BYTES]);
                }
            }
            Some(Misdeed::Giant) => ctx.send_bytes(Target::All, vec![b'g'; GIANT_BYTES]),
            Some(Misdeed::Fail) => ctx.fail("this scene fails as it was told to"),
            Some(misdeed) => commit(misdeed),
            None => {}
        }
    }
}

impl Scene for Hostile {
    type Message = ();

    fn start(init: &Init, random: &mut Random) -> Result<Self, Fault> {
        let plan: Plan = init.configured()?;
        plan.obey(When::Start)?;
        let after = if plan.within_ticks == 0 { 0 } else { random.random_range(0..plan.within_ticks) };
        let due_tick = plan.after_ticks + u64::from(after);
        Ok(Hostile { plan, due_tick, kept: BTreeMap::new() })
    }

    fn admit(&self, _: &Player) -> Result<(), String> {
        self.plan.obey(When::Admit)
    }

    fn joined(&mut self, ctx: &mut Context, player: &Player) {
        if self.plan.seeks > 0 && player.seat == 0 {
            ctx.seek_players(self.plan.seeks);
        }
        self.plan.obey_in(When::Join, ctx);
    }

    fn resumed(&mut self, ctx: &mut Context, seat: Seat, missed: bool) {
        if self.plan.keeps && missed {
            self.tell_kept(ctx, seat, "missed");
        }
    }

    fn received(&mut self, ctx: &mut Context, from: Seat, body: Vec<u8>) {
        self.plan.obey_in(When::Message, ctx);
        if self.plan.keeps {
            return self.keep(ctx, from, &body);
        }
        match &self.plan.grants {
            Some(name) => {
                let amount = Amount { seat: from, name: name.clone(), count: 1 };
                ctx.save(vec![SaveOperation::Grant(amount)]);
            }
            None => ctx.send_bytes(from, body),
        }
    }

    fn saved(&mut self, ctx: &mut Context, id: u64, outcome: Result<(), SaveError>) {
        let told = match outcome {
            Ok(()) => format!("granted {id}"),
            Err(error) => format!("not granted {id}: {error:?}"),
        };
        ctx.send_bytes(Target::All, told.into_bytes());
    }

    fn tick(&mut self, ctx: &mut Context) {
        if ctx.tick() >= self.due_tick {
            self.plan.obey_in(When::Tick, ctx);
        }
    }

    fn save(&self) -> Result<Vec<u8>, Fault> {
        self.plan.obey(When::Save)?;
        match self.plan.due(When::Save) {
            Some(Misdeed::Giant) => Ok(vec![b'g'; GIANT_BYTES]),
            _ => Ok(minicbor_serde::to_vec(self)?),
        }
    }

    fn load(init: &Init, snapshot: &[u8]) -> Result<Self, Fault> {
        let plan: Plan = init.configured()?;
        plan.obey(When::Load)?;
        let saved: Hostile = minicbor_serde::from_slice(snapshot)?;
        Ok(Hostile { plan, ..saved })
    }
}

impl Hostile {
    fn keep(&mut self, ctx: &mut Context, from: Seat, body: &[u8]) {
        let text = String::from_utf8_lossy(body).into_owned();
        if text.starts_with("list") {
            return self.tell_kept(ctx, from, &text);
        }
        let kept = self.kept.entry(from).or_default();
        kept.push(text);
        ctx.send_bytes(from, kept.len().to_string().into_bytes());
    }

    fn tell_kept(&self, ctx: &mut Context, seat: Seat, why: &str) {
        let kept = self.kept.get(&seat).map_or(String::new(), |kept| kept.join(","));
        ctx.send_bytes(seat, format!("{why} {kept}").into_bytes());
    }
}

/// Does what needs no context; the rest is done by the caller.
fn commit(misdeed: Misdeed) {
    match misdeed {
        Misdeed::Loop => endless(),
        Misdeed::Trap => panic!("this scene traps as it was told to"),
        Misdeed::Memory => take_all_memory(),
        Misdeed::Recursion => {
            black_box(descend(0));
        }
        Misdeed::Log => {
            let line = "l".repeat(FLOOD_BYTES);
            (0..FLOOD_COUNT).for_each(|_| log::warn(&line));
        }
        Misdeed::Slow => (0..SLOW_COUNT).for_each(|count| _ = black_box(count)),
        Misdeed::Flood | Misdeed::Giant | Misdeed::Fail => {}
    }
}

fn endless() {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

fn take_all_memory() {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; GIANT_BYTES]));
    }
}

/// Each call needs a frame of its own, because the caller still looks at it afterwards.
#[allow(unconditional_recursion)]
fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    descend(depth + 1).wrapping_add(frame[depth as usize % 16])
}

export_scene!(Hostile);
