//! Reports: a user shows a message to the operators, who look at it and put it away.
//!
//! A report has a copy of its message, so that it says what was said when the channel has gone on.
//!
//! Invariant: there are at most [`REPORTS_MAX`] open reports, of one user at most [`REPORTS_PER_USER_MAX`], and the
//! list names exactly those that are stored.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::{Answer, Channel, ChatMessage};
use crate::db::{Answer as DbAnswer, Stop, Transaction};
use crate::ids::{GuildId, PartyId, RoomName, Time, UserId};
use crate::refusal::Refusal;
use crate::text;

/// How many reports may be open.
pub const REPORTS_MAX: usize = 1_000;
/// How many of them may be one user's.
pub const REPORTS_PER_USER_MAX: usize = 10;
/// The longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 200;
/// The most reports that are shown at once.
pub const REPORTS_SHOWN_MAX: usize = 32;

/// What a user has shown to the operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who shows it.
    pub by: UserId,
    /// When.
    pub at: Time,
    /// Why; may be empty.
    pub reason: String,
    /// Where it was said.
    pub place: Place,
    /// What was said.
    pub message: ChatMessage,
}

/// Where a message was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In a room of the lobby.
    Room(RoomName),
    /// Between the user who shows it and this other one.
    Direct(UserId),
    /// In a guild.
    Guild(GuildId),
    /// In a party.
    Party(PartyId),
}

impl From<Channel> for Place {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Room(room) => Self::Room(room),
            Channel::Direct(user) => Self::Direct(user),
            Channel::Guild(guild) => Self::Guild(guild),
            Channel::Party(party) => Self::Party(party),
        }
    }
}

/// The open reports, by number, and whose they are.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Open {
    last: u64,
    pub reports: BTreeMap<u64, UserId>,
}

/// The key of the list of open reports.
pub(crate) const OPEN_KEY: &str = "reports";

/// The key of a report.
pub(crate) fn key(number: u64) -> String {
    format!("report/{number:016x}")
}

/// Keeps a report.
pub(super) fn report(
    by: UserId,
    channel: Channel,
    message: ChatMessage,
    reason: &str,
    tx: &mut Transaction<'_>,
) -> Result<DbAnswer, Stop> {
    let reason = text::line(reason, 0..=REASON_CHARS_MAX, "the reason")?;
    if message.from == by {
        return Err(Refusal::Invalid("this is your own message".to_owned()).into());
    }
    let mut open: Open = tx.get_or_default(OPEN_KEY)?;
    if open.reports.len() >= REPORTS_MAX {
        return Err(Refusal::Overloaded("reports that operators have to look at").into());
    }
    if open.reports.values().filter(|user| **user == by).count() >= REPORTS_PER_USER_MAX {
        return Err(Refusal::Busy("the operators have to look at your other reports first").into());
    }
    open.last += 1;
    open.reports.insert(open.last, by);
    tx.put(key(open.last), &Report { by, at: tx.now, reason, place: channel.into(), message });
    tx.put(OPEN_KEY.to_owned(), &open);
    Ok(DbAnswer::Done)
}

/// The open reports after this number, the oldest first.
pub(super) fn show(after: u64, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    let open: Open = tx.get_or_default(OPEN_KEY)?;
    let rest = open.reports.range((Bound::Excluded(after), Bound::Unbounded));
    let numbers: Vec<u64> = rest.map(|(number, _)| *number).take(REPORTS_SHOWN_MAX).collect();
    tx.want(numbers.iter().map(|number| key(*number)))?;
    let mut reports = Vec::new();
    for number in numbers {
        reports.extend(tx.get(&key(number))?.map(|report| (number, report)));
    }
    Ok(DbAnswer::Chat(Answer::Reports(reports)))
}

/// Puts a report away.
pub(super) fn remove(number: u64, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    let mut open: Open = tx.get_or_default(OPEN_KEY)?;
    if open.reports.remove(&number).is_none() {
        return Err(Refusal::NotFound("open report with this number".to_owned()).into());
    }
    tx.delete(key(number));
    tx.put(OPEN_KEY.to_owned(), &open);
    Ok(DbAnswer::Done)
}
