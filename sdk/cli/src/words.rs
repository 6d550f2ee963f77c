//! The contract's events and commands, in words for people and as values for programs.

use scenehost_engine::{
    Command, Event, LeaveReason, Level, Opening, PlayerResult, SaveError, SaveOperation, StopReason, Target,
};
use serde_json::{Value, json};

use crate::script::body;

/// What a game wants done, as a line.
pub fn command(command: &Command) -> String {
    match command {
        Command::Send(send) => format!("to {}: {}", target(&send.to), body::show(&send.body)),
        Command::Show(show) => {
            let what = if show.whole { "show" } else { "show change" };
            format!("{what}: {}", body::show(&show.body))
        }
        Command::Timer(alarm) => format!("timer {:x} in {} ms", alarm.id, alarm.after_ms),
        Command::CancelTimer(id) => format!("timer {id:x} cancelled"),
        Command::Finish(ending) if ending.results.is_empty() => "finish: undecided".to_owned(),
        Command::Finish(ending) => format!("finish: {}", list(&ending.results, result)),
        Command::Kick(kick) => format!("kick seat {}: {}", kick.seat, kick.reason),
        Command::Label(label) => format!("label: {label}"),
        Command::SeekPlayers(openings) => format!("seek players: {}", list(openings, opening)),
        Command::StopSeeking => "stop seeking".to_owned(),
        Command::MatchAgain(next) => {
            let domain = next.domain.as_ref().map_or(String::new(), |domain| format!(" in {domain}"));
            let together = if next.together { " together" } else { "" };
            format!("match again seats {:?}{domain}{together}", next.seats)
        }
        Command::Save(save) => format!("save {}: {}", save.id, list(&save.operations, operation)),
    }
}

/// What has happened, as a line.
pub fn event(event: &Event) -> String {
    match event {
        Event::Joined(player) => {
            format!("seat {} joins: {}, user {:016x}, rating {}", player.seat, player.name, player.user, player.rating)
        }
        Event::Dropped(seat) => format!("seat {seat} drops"),
        Event::Resumed(back) if back.missed => format!("seat {} is back and has missed messages", back.seat),
        Event::Resumed(back) => format!("seat {} is back", back.seat),
        Event::Left(departure) => format!("seat {} is gone: {}", departure.seat, left(departure.reason)),
        Event::Message(message) => format!("seat {} sends {}", message.from, body::show(&message.body)),
        Event::Timer(id) => format!("timer {id:x}"),
        Event::Signal(signal) => format!("signal {}: {}", signal.name, body::show(&signal.body)),
        Event::Saved(saved) => match &saved.outcome {
            Ok(()) => format!("save {} is made", saved.id),
            Err(SaveError::Unavailable) => format!("save {} is not made: unavailable", saved.id),
            Err(SaveError::Conflict(text)) => format!("save {} is not made: conflict, {text}", saved.id),
            Err(SaveError::Invalid(text)) => format!("save {} is not made: invalid, {text}", saved.id),
        },
        Event::Stopping(notice) => format!("stopping in {} ms: {}", notice.grace_ms, stopped(notice.reason)),
        Event::Watched => "is watched".to_owned(),
    }
}

/// The same as a value, with bodies that can be read as JSON or text as such.
pub fn event_value(event: &Event) -> Value {
    match event {
        Event::Joined(player) => json!({ "joined": {
            "seat": player.seat, "user": format!("{:016x}", player.user), "name": player.name, "rating": player.rating,
            "team": player.team, "role": player.role, "party": player.party,
        } }),
        Event::Dropped(seat) => json!({ "dropped": seat }),
        Event::Resumed(back) => json!({ "resumed": { "seat": back.seat, "missed": back.missed } }),
        Event::Left(it) => json!({ "left": { "seat": it.seat, "reason": left(it.reason) } }),
        Event::Message(it) => json!({ "message": { "from": it.from, "body": body_value(&it.body) } }),
        Event::Timer(id) => json!({ "timer": format!("{id:x}") }),
        Event::Signal(it) => json!({ "signal": { "name": it.name, "body": body_value(&it.body) } }),
        Event::Saved(saved) => {
            let error = saved.outcome.as_ref().err().map(|error| match error {
                SaveError::Unavailable => json!("unavailable"),
                SaveError::Conflict(text) => json!({ "conflict": text }),
                SaveError::Invalid(text) => json!({ "invalid": text }),
            });
            json!({ "saved": { "id": saved.id, "error": error } })
        }
        Event::Stopping(it) => json!({ "stopping": { "reason": stopped(it.reason), "grace_ms": it.grace_ms } }),
        Event::Watched => json!("watched"),
    }
}

/// What a game wants done, as a value.
pub fn command_value(command: &Command) -> Value {
    match command {
        Command::Send(send) => {
            let to = match &send.to {
                Target::One(seat) => json!(seat),
                Target::Many(seats) => json!(seats),
                Target::All => json!("all"),
                Target::AllBut(seat) => json!({ "all_but": seat }),
            };
            json!({ "send": { "to": to, "body": body_value(&send.body) } })
        }
        Command::Show(show) => json!({ "show": { "whole": show.whole, "body": body_value(&show.body) } }),
        Command::Timer(it) => json!({ "timer": { "id": format!("{:x}", it.id), "after_ms": it.after_ms } }),
        Command::CancelTimer(id) => json!({ "cancel_timer": format!("{id:x}") }),
        Command::Finish(ending) => {
            let result = |it: &PlayerResult| json!({ "seat": it.seat, "place": it.place, "score": it.score });
            json!({ "finish": ending.results.iter().map(result).collect::<Vec<_>>() })
        }
        Command::Kick(kick) => json!({ "kick": { "seat": kick.seat, "reason": kick.reason } }),
        Command::Label(label) => {
            json!({ "label": serde_json::from_str(label).unwrap_or_else(|_| Value::from(label.as_str())) })
        }
        Command::SeekPlayers(openings) => {
            let opening = |it: &Opening| json!({ "count": it.count, "team": it.team, "role": it.role });
            json!({ "seek_players": openings.iter().map(opening).collect::<Vec<_>>() })
        }
        Command::StopSeeking => json!("stop_seeking"),
        Command::MatchAgain(next) => {
            json!({ "match_again": { "seats": next.seats, "domain": next.domain, "together": next.together } })
        }
        Command::Save(save) => {
            json!({ "save": { "id": save.id, "operations": save.operations.iter().map(operation).collect::<Vec<_>>() } })
        }
    }
}

/// A body as `{"json": …}`, `{"text": …}` or `{"base64": …}`, as scripts write it.
fn body_value(bytes: &[u8]) -> Value {
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        return json!({ "json": value });
    }
    match body::show(bytes).strip_prefix("base64:") {
        Some(base64) => json!({ "base64": base64 }),
        None => json!({ "text": String::from_utf8_lossy(bytes) }),
    }
}

/// A level's name.
pub fn level(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

fn list<T>(all: &[T], one: impl Fn(&T) -> String) -> String {
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn result(result: &PlayerResult) -> String {
    format!("seat {} place {} score {}", result.seat, result.place, result.score)
}

fn opening(opening: &Opening) -> String {
    let team = opening.team.map_or(String::new(), |team| format!(" for team {team}"));
    let role = opening.role.as_ref().map_or(String::new(), |role| format!(" as {role}"));
    format!("{}{team}{role}", opening.count)
}

fn operation(operation: &SaveOperation) -> String {
    match operation {
        SaveOperation::Put(record) => {
            let owner = record.owner.map_or("the game".to_owned(), |seat| format!("seat {seat}"));
            let condition = record.if_version.map_or(String::new(), |version| format!(" if version {version}"));
            format!("put {} of {owner}{condition}: {}", record.key, body::show(&record.value))
        }
        SaveOperation::Grant(amount) => format!("grant seat {} {} {}", amount.seat, amount.count, amount.name),
        SaveOperation::Spend(amount) => format!("spend {} {} of seat {}", amount.count, amount.name, amount.seat),
    }
}

fn target(to: &Target) -> String {
    match to {
        Target::One(seat) => format!("seat {seat}"),
        Target::Many(seats) => format!("seats {seats:?}"),
        Target::All => "all".to_owned(),
        Target::AllBut(seat) => format!("all but seat {seat}"),
    }
}

fn left(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::Left => "left",
        LeaveReason::Dropped => "dropped",
        LeaveReason::NeverJoined => "never joined",
        LeaveReason::Kicked => "kicked",
        LeaveReason::Removed => "removed",
        LeaveReason::NextMatch => "next match",
    }
}

fn stopped(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Drain => "drain",
        StopReason::TimeLimit => "time limit",
        StopReason::Operator => "operator",
        StopReason::Empty => "empty",
        StopReason::ServiceDown => "service down",
    }
}
