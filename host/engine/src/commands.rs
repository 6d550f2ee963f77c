//! Checks what a step returned against the contract and the limits, before anything is done with it.

use crate::{
    bindings::{Command, Opening, Outgoing, SaveOperation, Showing, Target},
    failure::Failure,
    limits::Limits,
};

const ALARM_MS_MAX: u32 = 24 * 60 * 60 * 1_000;
const LABEL_BYTES_MAX: usize = 2_048;
const EVICTION_REASON_BYTES_MAX: usize = 256;
const RECORD_KEY_BYTES_MAX: usize = 128;
const OPENINGS_MAX: usize = 16;
const ROLE_BYTES_MAX: usize = 64;
const PLAYERS_MAX: u64 = 200;
const DOMAIN_CHARS_MAX: usize = 64;

/// What the host may allocate for one step's result: the commands themselves and the bytes in them.
pub fn hostcall_fuel(limits: &Limits) -> usize {
    let commands = (limits.commands_per_step_max as usize).saturating_mul(size_of::<Command>());
    limits.output_bytes_per_step_max.saturating_add(commands)
}

/// # Errors
///
/// The first limit that the commands pass.
pub fn check(commands: &[Command], limits: &Limits) -> Result<(), Failure> {
    if commands.len() > limits.commands_per_step_max as usize {
        return Err(Failure::TooManyCommands { count: commands.len(), limit: limits.commands_per_step_max });
    }
    let mut messages: usize = 0;
    let mut bytes: usize = 0;
    for (index, command) in commands.iter().enumerate() {
        if let Command::Send(Outgoing { body, .. }) | Command::Show(Showing { body, .. }) = command {
            messages += 1;
            if body.len() > limits.message_bytes_max {
                return Err(Failure::MessageTooLarge { size_bytes: body.len(), limit_bytes: limits.message_bytes_max });
            }
        } else if let Some(problem) = problem(command) {
            return Err(Failure::BadCommand { index, problem });
        }
        bytes += size_bytes(command);
    }
    if messages > limits.messages_per_step_max as usize {
        return Err(Failure::TooManyMessages { count: messages, limit: limits.messages_per_step_max });
    }
    if bytes > limits.output_bytes_per_step_max {
        return Err(Failure::OutputTooLarge { limit_bytes: limits.output_bytes_per_step_max });
    }
    Ok(())
}

fn problem(command: &Command) -> Option<&'static str> {
    match command {
        Command::Kick(eviction) if eviction.reason.len() > EVICTION_REASON_BYTES_MAX => {
            Some("the reason of a kick is longer than 256 bytes")
        }
        Command::Label(label) if label.len() > LABEL_BYTES_MAX => Some("a label is longer than 2 KiB"),
        Command::SeekPlayers(openings) => search_problem(openings),
        Command::MatchAgain(next) if next.seats.len() as u64 > PLAYERS_MAX => {
            Some("more than 200 players are sent on to their next match")
        }
        Command::MatchAgain(next) if next.domain.as_ref().is_some_and(|it| it.chars().count() > DOMAIN_CHARS_MAX) => {
            Some("the name of a domain is longer than 64 characters")
        }
        Command::Timer(alarm) if alarm.after_ms > ALARM_MS_MAX => Some("a timer is set for more than 24 hours"),
        Command::Save(request) => request.operations.iter().find_map(|operation| {
            let SaveOperation::Put(record) = operation else {
                return None;
            };
            (record.key.len() > RECORD_KEY_BYTES_MAX).then_some("the key of a stored record is longer than 128 bytes")
        }),
        _ => None,
    }
}

fn search_problem(openings: &[Opening]) -> Option<&'static str> {
    let players: u64 = openings.iter().map(|opening| u64::from(opening.count)).sum();
    let is_long = |opening: &Opening| opening.role.as_ref().is_some_and(|role| role.len() > ROLE_BYTES_MAX);
    if openings.is_empty() || openings.iter().any(|opening| opening.count == 0) {
        Some("a search for players asks for none")
    } else if openings.len() > OPENINGS_MAX {
        Some("a search for players has more than 16 kinds of places")
    } else if players > PLAYERS_MAX {
        Some("a search asks for more than 200 players")
    } else if openings.iter().any(is_long) {
        Some("the name of a role is longer than 64 bytes")
    } else {
        None
    }
}

/// The bytes that a command carries beyond its fixed size.
fn size_bytes(command: &Command) -> usize {
    match command {
        Command::Send(message) => {
            let seats = match &message.to {
                Target::Many(seats) => size_of_val(seats.as_slice()),
                Target::One(_) | Target::All | Target::AllBut(_) => 0,
            };
            message.body.len() + seats
        }
        Command::Show(showing) => showing.body.len(),
        Command::Kick(eviction) => eviction.reason.len(),
        Command::Label(label) => label.len(),
        Command::SeekPlayers(openings) => {
            let roles: usize = openings.iter().filter_map(|opening| opening.role.as_ref()).map(String::len).sum();
            size_of_val(openings.as_slice()) + roles
        }
        Command::MatchAgain(next) => size_of_val(next.seats.as_slice()) + next.domain.as_ref().map_or(0, String::len),
        Command::Save(request) => request.operations.iter().map(operation_bytes).sum(),
        Command::Finish(ending) => size_of_val(ending.results.as_slice()),
        Command::StopSeeking | Command::Timer(_) | Command::CancelTimer(_) => 0,
    }
}

fn operation_bytes(operation: &SaveOperation) -> usize {
    let carried = match operation {
        SaveOperation::Put(record) => record.key.len() + record.value.len(),
        SaveOperation::Grant(amount) | SaveOperation::Spend(amount) => amount.name.len(),
    };
    size_of::<SaveOperation>() + carried
}
