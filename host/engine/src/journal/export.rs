//! What happened in a scene, as lines of JSON: for people, for pages that play a game back, and for other tools.
//!
//! One object in a line, in the order of what happened:
//!
//! | line | what |
//! |---|---|
//! | `{"began": …}` | the first: who plays, with what configuration, on which component |
//! | `{"tick", "ms", "in": […], "out": […]}` | a step in which something happened: events and commands |
//! | `{"admit": player, "answer": null or text}` | somebody asked to enter |
//! | `{"log": level, "text"}` | the game logged something, in the call of the next line |
//! | `{"swapped": digest}`, `{"swapped_back": reason}` | another version of the game, and that it is not used |
//! | `{"failed": kind, "text", "in": […]}` | the scene failed in this call |
//! | `{"ended": …}` | the last: how it ended, and how much there was |
//!
//! An event is `{"event": name, …}` and a command `{"command": name, …}`, with the fields of the contract; ids and users,
//! numbers of 64 bits, are texts. A body is `"text"` if it is UTF-8, else `"base64"`. Whom a message is for is
//! `"to": "all"`, `{"all_but": seat}` or a list of seats.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{During, Ended, Header, Observer, Report, Stepped};
use crate::{
    bindings::{Command, Event, LeaveReason, Level, Moment, Player, SaveOperation, StopReason, Target},
    log::Log,
    upload::Digest,
};

/// Writes the lines of a replay; each is given to a function, without its end of line.
pub struct Export<F> {
    write: F,
}

impl<F: FnMut(&Value)> Export<F> {
    pub fn new(write: F) -> Export<F> {
        Export { write }
    }

    /// The last line.
    pub fn end(&mut self, report: &Report) {
        let how = match &report.ended {
            Ended::Open => json!({"how": "open"}),
            Ended::Torn => json!({"how": "torn"}),
            Ended::Failed { tick, kind, text } => json!({"how": "failed", "tick": tick, "kind": kind, "text": text}),
            Ended::Ended { reason } => json!({"how": "ended", "reason": reason}),
        };
        let mut ended = object(how);
        let Report { first_tick, steps, admits, snapshots, swaps, chain, ended: _ } = report;
        let counts = json!({
            "first_tick": first_tick, "steps": steps, "admits": admits, "snapshots": snapshots, "swaps": swaps,
            "outputs": format!("{chain:016x}"),
        });
        ended.extend(object(counts));
        (self.write)(&json!({"ended": ended}));
    }
}

impl<F: FnMut(&Value)> Observer for Export<F> {
    fn began(&mut self, header: &Header) {
        let (init, about) = (&header.init, &header.about);
        (self.write)(&json!({"began": {
            "contract": header.contract,
            "digest": header.digest.to_string(),
            "scene": format!("{:016x}", about.scene),
            "epoch": about.epoch,
            "fleet": about.fleet,
            "plugin": about.plugin,
            "started_ms": about.started_ms,
            "tick_rate_hz": init.tick_rate_hz,
            "seed": init.seed.to_string(),
            "configuration": init.configuration,
            "players": init.players.iter().map(player).collect::<Vec<_>>(),
            "region": init.region,
            "chosen": init.chosen,
            "bots": init.bots,
        }}));
    }

    fn stepped(&mut self, stepped: &Stepped<'_>) {
        if stepped.events.is_empty() && stepped.commands.is_empty() {
            return;
        }
        let mut line = object(json!({"tick": stepped.at.tick, "ms": stepped.at.elapsed_ms}));
        if !stepped.events.is_empty() {
            line.insert("in".to_owned(), stepped.events.iter().map(event).collect());
        }
        if !stepped.commands.is_empty() {
            line.insert("out".to_owned(), stepped.commands.iter().map(command).collect());
        }
        (self.write)(&Value::Object(line));
    }

    fn admitted(&mut self, asks: &Player, answer: &Result<(), String>) {
        (self.write)(&json!({"admit": player(asks), "answer": answer.as_ref().err()}));
    }

    fn swapped(&mut self, digest: Digest) {
        (self.write)(&json!({"swapped": digest.to_string()}));
    }

    fn swapped_back(&mut self, reason: &str) {
        (self.write)(&json!({"swapped_back": reason}));
    }

    fn logged(&mut self, log: &Log) {
        for line in &log.lines {
            (self.write)(&json!({"log": level(line.level), "text": line.text}));
        }
        if log.dropped > 0 {
            (self.write)(&json!({"log": "warn", "text": format!("{} lines past the limit were dropped", log.dropped)}));
        }
    }

    fn failed(&mut self, during: &During<'_>, kind: &str, text: &str) {
        let mut line = object(json!({"failed": kind, "text": text}));
        match during {
            During::Step(step) => {
                let Moment { tick, elapsed_ms } = step.moment();
                line.extend(object(json!({"tick": tick, "ms": elapsed_ms})));
                line.insert("in".to_owned(), step.events.iter().map(event).collect());
            }
            During::Admit(asks) => _ = line.insert("admit".to_owned(), player(asks)),
            During::Save => _ = line.insert("save".to_owned(), Value::Bool(true)),
        }
        (self.write)(&Value::Object(line));
    }
}

/// An event as JSON.
pub fn event(event: &Event) -> Value {
    let (name, fields) = match event {
        Event::Joined(joined) => ("joined", json!({"player": player(joined)})),
        Event::Dropped(seat) => ("dropped", json!({"seat": seat})),
        Event::Resumed(it) => ("resumed", json!({"seat": it.seat, "missed": it.missed})),
        Event::Left(it) => ("left", json!({"seat": it.seat, "reason": leave_reason(it.reason)})),
        Event::Message(it) => ("message", with_body(json!({"from": it.from}), &it.body)),
        Event::Timer(id) => ("timer", json!({"id": id.to_string()})),
        Event::Signal(it) => ("signal", with_body(json!({"name": it.name}), &it.body)),
        Event::Saved(it) => {
            ("saved", json!({"id": it.id.to_string(), "refused": it.outcome.as_ref().err().map(plain)}))
        }
        Event::Stopping(it) => ("stopping", json!({"reason": stop_reason(it.reason), "grace_ms": it.grace_ms})),
        Event::Watched => ("watched", json!({})),
    };
    named("event", name, fields)
}

/// A command as JSON.
pub fn command(command: &Command) -> Value {
    let (name, fields) = match command {
        Command::Send(it) => ("send", with_body(json!({"to": target(&it.to)}), &it.body)),
        Command::Show(it) => ("show", with_body(json!({"whole": it.whole}), &it.body)),
        Command::Kick(it) => ("kick", json!({"seat": it.seat, "reason": it.reason})),
        Command::Label(text) => ("label", json!({"text": text})),
        Command::SeekPlayers(openings) => ("seek-players", json!({"openings": plain(openings)})),
        Command::StopSeeking => ("stop-seeking", json!({})),
        Command::MatchAgain(it) => ("match-again", plain(it)),
        Command::Timer(it) => ("timer", json!({"id": it.id.to_string(), "after_ms": it.after_ms})),
        Command::CancelTimer(id) => ("cancel-timer", json!({"id": id.to_string()})),
        Command::Save(it) => {
            let operations = it.operations.iter().map(operation).collect::<Vec<_>>();
            ("save", json!({"id": it.id.to_string(), "operations": operations}))
        }
        Command::Finish(it) => ("finish", json!({"results": plain(&it.results)})),
    };
    named("command", name, fields)
}

fn operation(operation: &SaveOperation) -> Value {
    match operation {
        SaveOperation::Put(it) => {
            let put = json!({"put": it.key, "owner": it.owner, "if_version": it.if_version});
            with_body(put, &it.value)
        }
        SaveOperation::Grant(it) => json!({"grant": it.name, "seat": it.seat, "count": it.count}),
        SaveOperation::Spend(it) => json!({"spend": it.name, "seat": it.seat, "count": it.count}),
    }
}

fn player(player: &Player) -> Value {
    // Numbers of users have 64 bits, more than numbers of JSON have in a browser.
    let mut fields = object(plain(player));
    fields.insert("user".to_owned(), Value::String(format!("{:016x}", player.user)));
    Value::Object(fields)
}

fn target(target: &Target) -> Value {
    match target {
        Target::One(seat) => json!([seat]),
        Target::Many(seats) => json!(seats),
        Target::All => json!("all"),
        Target::AllBut(seat) => json!({"all_but": seat}),
    }
}

fn leave_reason(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::Left => "left",
        LeaveReason::Dropped => "dropped",
        LeaveReason::NeverJoined => "never-joined",
        LeaveReason::Kicked => "kicked",
        LeaveReason::Removed => "removed",
        LeaveReason::NextMatch => "next-match",
    }
}

fn stop_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Drain => "drain",
        StopReason::TimeLimit => "time-limit",
        StopReason::Operator => "operator",
        StopReason::Empty => "empty",
        StopReason::ServiceDown => "service-down",
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

fn with_body(value: Value, body: &[u8]) -> Value {
    let mut fields = object(value);
    match std::str::from_utf8(body) {
        Ok(text) => fields.insert("text".to_owned(), Value::String(text.to_owned())),
        Err(_) => fields.insert("base64".to_owned(), Value::String(STANDARD.encode(body))),
    };
    Value::Object(fields)
}

fn named(kind: &str, name: &str, fields: Value) -> Value {
    let mut line = Map::from_iter([(kind.to_owned(), Value::String(name.to_owned()))]);
    line.extend(object(fields));
    Value::Object(line)
}

fn plain(value: &(impl Serialize + ?Sized)) -> Value {
    serde_json::to_value(value).expect("the contract's types are plain data")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}
