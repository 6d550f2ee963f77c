//! Reports: a user shows a message to the operators, who look at it and put it away.
//!
//! A report has a copy of its message, so that it says what was said when the channel has gone on. Of a message there
//! is one report, which counts who has shown it. When there is no room for one more, the newest of whoever has the
//! most open gives way to somebody who has fewer: so few users never keep out many.
//!
//! Invariant: there are at most [`REPORTS_MAX`] open reports, of one user at most [`REPORTS_PER_USER_MAX`], and the
//! list names exactly those that are stored.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::{Answer, Channel, ChatMessage};
use crate::db::account::PART_LEN;
use crate::db::{Answer as DbAnswer, Stop, Transaction};
use crate::ids::{GuildId, PartyId, RoomName, Time, UserId};
use crate::profile;
use crate::refusal::Refusal;
use crate::text;

/// How many reports may be open.
pub const REPORTS_MAX: usize = 1_000;
/// How many of them may be one user's.
pub const REPORTS_PER_USER_MAX: usize = 10;
/// How many who have shown the same message are kept; more change nothing.
pub const REPORTERS_MAX: usize = 100;
/// The longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 200;
/// The most reports that are shown at once.
pub const REPORTS_SHOWN_MAX: usize = 32;

/// What a user has shown to the operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who has shown it first.
    pub by: UserId,
    /// Who else has.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub others: BTreeSet<UserId>,
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
    /// What each is about.
    #[serde(default)]
    about: BTreeMap<u64, About>,
}

/// A message, as it is looked for among those that are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct About {
    from: UserId,
    id: u64,
}

impl Open {
    /// How many are whose, the most first; of two who have equally many the one with the newest.
    fn most(&self) -> Option<(UserId, usize)> {
        let mut counts: BTreeMap<UserId, (usize, u64)> = BTreeMap::new();
        for (number, user) in &self.reports {
            let (count, newest) = counts.entry(*user).or_default();
            *count += 1;
            *newest = *number;
        }
        counts.into_iter().max_by_key(|(_, order)| *order).map(|(user, (count, _))| (user, count))
    }

    fn count_of(&self, user: UserId) -> usize {
        self.reports.values().filter(|by| **by == user).count()
    }

    fn newest_of(&self, user: UserId) -> Option<u64> {
        self.reports.iter().rev().find(|(_, by)| **by == user).map(|(number, _)| *number)
    }

    fn take_off(&mut self, number: u64, tx: &mut Transaction<'_>) {
        self.reports.remove(&number);
        self.about.remove(&number);
        tx.delete(key(number));
    }
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
    tx.want([OPEN_KEY, &profile::key(message.from)])?;
    if !tx.has(&profile::key(message.from))? {
        // Nothing is to be kept of who is gone.
        return Err(Refusal::NotFound("such message any more".to_owned()).into());
    }
    let mut open: Open = tx.get_or_default(OPEN_KEY)?;
    let place = Place::from(channel);
    let about = About { from: message.from, id: message.id };
    if let Some((number, known)) = known(&open, about, &message, &place, tx)? {
        return join(number, known, by, tx);
    }
    let own = open.count_of(by);
    if own >= REPORTS_PER_USER_MAX {
        return Err(Refusal::Busy("the operators have to look at your other reports first".into()).into());
    }
    if open.reports.len() >= REPORTS_MAX {
        make_room(&mut open, own, tx)?;
    }
    open.last += 1;
    open.reports.insert(open.last, by);
    open.about.insert(open.last, about);
    tx.put(key(open.last), &Report { by, others: BTreeSet::new(), at: tx.now, reason, place, message });
    tx.put(OPEN_KEY.to_owned(), &open);
    Ok(DbAnswer::Done)
}

/// The open report of this message.
fn known(
    open: &Open,
    about: About,
    message: &ChatMessage,
    place: &Place,
    tx: &mut Transaction<'_>,
) -> Result<Option<(u64, Report)>, Stop> {
    let alike: Vec<u64> = open.about.iter().filter(|(_, it)| **it == about).map(|(number, _)| *number).collect();
    tx.want(alike.iter().map(|number| key(*number)))?;
    for number in alike {
        let report: Option<Report> = tx.get(&key(number))?;
        // A room's numbers begin anew with the host, a direct channel is only its other user's to report.
        let is_same = |report: &Report| report.message.sent == message.sent && report.place == *place;
        if let Some(report) = report.filter(is_same) {
            return Ok(Some((number, report)));
        }
    }
    Ok(None)
}

/// One more has shown the same message.
fn join(number: u64, mut report: Report, by: UserId, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    if report.by != by && report.others.len() < REPORTERS_MAX - 1 && report.others.insert(by) {
        tx.put(key(number), &report);
    }
    Ok(DbAnswer::Done)
}

/// Makes room for a report of a user who has so many open.
fn make_room(open: &mut Open, own: usize, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    // After it nobody has gone below what the user has then, so that two do not push out each other.
    let gives_way = open.most().filter(|(_, count)| *count > own + 1).and_then(|(user, _)| open.newest_of(user));
    let number = gives_way.ok_or(Refusal::Overloaded("reports that operators have to look at".into()))?;
    open.take_off(number, tx);
    Ok(())
}

/// Takes a user whose account is deleted out of some open reports, of those after this number: what the user has said
/// and shown goes, and of a message that others have shown too only the user's part in that. The number of the last
/// report that was looked at; `None`: there was none left.
pub(crate) fn forget(user: UserId, after: u64, tx: &mut Transaction<'_>) -> Result<Option<u64>, Stop> {
    let mut open: Open = tx.get_or_default(OPEN_KEY)?;
    let rest = open.reports.range((Bound::Excluded(after), Bound::Unbounded));
    let numbers: Vec<u64> = rest.map(|(number, _)| *number).take(PART_LEN).collect();
    tx.want(numbers.iter().map(|number| key(*number)))?;
    for number in &numbers {
        let Some(mut report) = tx.get::<Report>(&key(*number))? else { continue };
        let is_in_it = report.by == user || report.message.from == user || report.others.contains(&user);
        if !is_in_it {
            continue;
        }
        report.others.remove(&user);
        if report.by == user {
            let next = report.others.iter().copied().find(|other| open.count_of(*other) < REPORTS_PER_USER_MAX);
            next.map(|next| report.others.remove(&next));
            (report.by, report.reason) = (next.unwrap_or(user), String::new());
        }
        if report.by == user || report.message.from == user {
            open.take_off(*number, tx);
        } else {
            open.reports.insert(*number, report.by);
            tx.put(key(*number), &report);
        }
        tx.put(OPEN_KEY.to_owned(), &open);
    }
    Ok(numbers.last().copied())
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
    if !open.reports.contains_key(&number) {
        return Err(Refusal::NotFound("open report with this number".to_owned()).into());
    }
    open.take_off(number, tx);
    tx.put(OPEN_KEY.to_owned(), &open);
    Ok(DbAnswer::Done)
}
