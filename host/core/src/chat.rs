//! Chat: rooms of the lobby, direct messages between two users, guilds, and parties.
//!
//! Rooms and parties live in the lobby's memory, with their last messages. What is said directly or in a guild is kept here, by
//! Db: a channel has the number of its last message, and so many records as messages are kept, which take turns; so
//! nothing is ever searched for. Whom a user has blocked is the reader's affair: the lobby leaves their messages out.
//!
//! Invariant: the messages of a channel are numbered from 1 without gaps, and those that are kept are the newest, but
//! for those of users whose accounts are deleted.

mod report;
mod talks;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::db::{Answer as DbAnswer, Caller, News as DbNews, Stop, Transaction};
use crate::guild;
use crate::ids::{GuildId, PartyId, RoomName, Time, UserId};
use crate::party;
use crate::profile::{self, Profile};
use crate::refusal::Refusal;

pub(crate) use report::{OPEN_KEY, Open, forget as forget_reports, key as report_key};
pub use report::{
    Place, REASON_CHARS_MAX, REPORTERS_MAX, REPORTS_MAX, REPORTS_PER_USER_MAX, REPORTS_SHOWN_MAX, Report,
};
pub use talks::TALKS_MAX;
pub(crate) use talks::{Talks, forget, key as talks_key};

/// The longest message, in characters.
pub const TEXT_CHARS_MAX: usize = 500;
/// The most messages that are shown at once.
pub const SHOWN_MAX: usize = 32;
/// How many messages of a direct channel or a guild are kept.
pub const KEPT_MAX: u64 = 64;
/// How many messages of a room or a party are kept.
pub const ROOM_KEPT_MAX: usize = 50;
/// How many rooms there may be.
pub const ROOMS_MAX: usize = 64;
/// In how many rooms a user may be.
pub const ROOMS_PER_USER_MAX: usize = 4;

/// What operators have decided.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The rooms there are.
    pub rooms: BTreeSet<RoomName>,
    /// The most users in a room.
    pub room_members: usize,
    /// How many messages a user may write in `per_ms`, over all channels; also all at once.
    pub messages: u32,
    /// See `messages`.
    pub per_ms: u64,
    /// Who looks at messages before anybody else sees them.
    pub moderation: Option<Moderation>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rooms: BTreeSet::from([RoomName::from("lobby")]),
            room_members: 1_000,
            messages: 5,
            per_ms: 5_000,
            moderation: None,
        }
    }
}

impl Limits {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_name = |room: &RoomName| (1..=32).contains(&room.as_str().len()) && room.as_str().chars().all(plain);
        if self.rooms.len() > ROOMS_MAX {
            return Err(format!("there may be at most {ROOMS_MAX} rooms"));
        }
        if let Some(room) = self.rooms.iter().find(|room| !is_name(room)) {
            return Err(format!("a room's name has 1 to 32 letters, digits, - and _: {:?}", room.as_str()));
        }
        if !(1..=10_000).contains(&self.room_members) {
            return Err("room_members needs 1 to 10000".to_owned());
        }
        if !(1..=1_000).contains(&self.messages) || !(1_000..=3_600_000).contains(&self.per_ms) {
            return Err("messages needs 1 to 1000, per_ms 1000 to 3600000".to_owned());
        }
        match &self.moderation {
            Some(moderation) if !(50..=10_000).contains(&moderation.timeout_ms) => {
                Err("moderation.timeout_ms needs 50 to 10000".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Who looks at messages before anybody else sees them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moderation {
    /// The service of the operator's that is asked.
    pub url: String,
    /// How long it may take for a message; and how long a message may wait for its turn to be asked about.
    #[serde(default = "Moderation::timeout_ms")]
    pub timeout_ms: u64,
    /// What happens with a message about which it says nothing.
    #[serde(default)]
    pub on_failure: OnFailure,
}

impl Moderation {
    fn timeout_ms() -> u64 {
        1_000
    }
}

/// What happens with a message about which the moderation says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It is said as it is.
    Allow,
    /// It is refused.
    #[default]
    Refuse,
}

/// Where something is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channel {
    /// In a room of the lobby.
    Room(RoomName),
    /// Between the user and this other one.
    Direct(UserId),
    /// In a guild.
    Guild(GuildId),
    /// In a party.
    Party(PartyId),
}

/// The same as its user names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum To {
    /// A room that the user is in.
    Room(RoomName),
    /// This user.
    Direct(UserId),
    /// The user's guild.
    Guild,
    /// The user's party.
    Party,
}

/// Something that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Its number in its channel, from 1.
    pub id: u64,
    /// Who said it.
    pub from: UserId,
    /// The display name then.
    pub name: String,
    /// What.
    pub text: String,
    /// When.
    pub sent: Time,
}

/// What users ask of the lobby.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// To be in a room.
    Join(RoomName),
    /// To be in it no more.
    Leave(RoomName),
    /// To say something.
    Say(To, String),
    /// The messages before this one, 0 for the newest; so many at most.
    History(To, u64, usize),
    /// To show a message to the operators, by its number and with a reason.
    Report(To, u64, String),
}

/// A message that waits for the operator's moderation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moderate {
    /// The lobby's number; the verdict carries it.
    pub number: u64,
    /// When it is too late to ask about it: the answer would come when nobody waits for it any more.
    pub ask_until: Time,
    /// Where it is to be said.
    pub channel: Channel,
    /// By whom.
    pub user: UserId,
    /// The display name.
    pub name: String,
    /// What.
    pub text: String,
}

/// What the moderation says of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether it may be said.
    pub allow: bool,
    /// What is said in its place.
    pub text: Option<String>,
    /// Why not, for the user to read; may be empty.
    pub reason: String,
}

/// What can be asked of Db; the lobby has checked what is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Keep and pass on what a user says.
    Say {
        /// Where; no room and no party.
        to: To,
        /// The user's display name.
        name: String,
        /// What.
        text: String,
    },
    /// What was said.
    History {
        /// Where; no room and no party.
        of: To,
        /// Before this message; 0: the newest.
        before: u64,
        /// So many at most.
        limit: usize,
    },
    /// Show a message to the operators.
    Report {
        /// Where it was said.
        of: To,
        /// Its number.
        id: u64,
        /// The message, if it is not kept here.
        message: Option<Arc<ChatMessage>>,
        /// Why.
        reason: String,
    },
    /// The open reports after this number; operators only.
    Reports(u64),
    /// Put a report away; operators only.
    RemoveReport(u64),
    /// A user may say nothing until then; operators only.
    Mute(UserId, Time),
    /// A user may speak again; operators only.
    Unmute(UserId),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is said.
    Said(Channel, Arc<ChatMessage>),
    /// What was said, the oldest first.
    Messages(Channel, Vec<Arc<ChatMessage>>),
    /// The user is in the room.
    Joined {
        /// Which.
        room: RoomName,
        /// The number of its last message.
        last_id: u64,
        /// How many users are in it.
        members: usize,
    },
    /// What users have shown to the operators, by number.
    Reports(Vec<(u64, Report)>),
}

impl Answer {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Said(_, message) => message.bytes(),
            Self::Messages(_, messages) => messages.iter().map(|message| message.bytes()).sum(),
            Self::Joined { .. } => 0,
            Self::Reports(reports) => {
                reports.iter().map(|(_, report)| size_of::<Report>() + report.message.bytes()).sum()
            }
        }
    }
}

/// What a user is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// Somebody has said something.
    Said(Channel, Arc<ChatMessage>),
    /// The rooms that the user is in, with the numbers of their last messages: those after the last that came were
    /// missed.
    Rooms(Vec<(RoomName, u64)>),
    /// The user may say nothing until then; `None`: may speak again.
    Muted(Option<Time>),
}

impl News {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Said(_, message) => message.bytes(),
            Self::Rooms(_) | Self::Muted(_) => 0,
        }
    }
}

impl ChatMessage {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.text.len()
    }
}

/// How many messages a channel has seen.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Head {
    pub count: u64,
}

/// Until when a user may say nothing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Muted {
    pub until: Time,
}

/// The key of a user's [`Muted`].
pub(crate) fn muted_key(user: UserId) -> String {
    format!("muted/{user}")
}

pub(crate) fn direct_key(one: UserId, other: UserId) -> String {
    format!("chat/direct/{}-{}", one.min(other), one.max(other))
}

fn guild_key(guild: GuildId) -> String {
    format!("chat/guild/{guild}")
}

fn slot_key(head: &str, id: u64) -> String {
    format!("{head}/{:02}", id % KEPT_MAX)
}

/// Whether a user may speak, read by the lobby's question about who comes in.
///
/// # Errors
/// [`Stop::Missing`].
pub(crate) fn muted_until(user: UserId, tx: &mut Transaction<'_>) -> Result<Option<Time>, Stop> {
    let muted: Option<Muted> = tx.get(&muted_key(user))?;
    match muted {
        Some(Muted { until }) if until > tx.now => Ok(Some(until)),
        Some(_) => {
            tx.delete(muted_key(user));
            Ok(None)
        }
        None => Ok(None),
    }
}

/// A guild is gone, and what was said in it.
pub(crate) fn forget_guild(guild: GuildId, tx: &mut Transaction<'_>) {
    forget_channel(guild_key(guild), tx);
}

fn forget_channel(head: String, tx: &mut Transaction<'_>) {
    (0..KEPT_MAX).for_each(|slot| tx.delete(slot_key(&head, slot)));
    tx.delete(head);
}

/// With whom a user has talked directly, for the user's export.
pub(crate) fn export(user: UserId, tx: &mut Transaction<'_>) -> Result<Value, Stop> {
    let (talks_key, muted_key) = (talks_key(user), muted_key(user));
    tx.want([&talks_key, &muted_key])?;
    let talks: Talks = tx.get_or_default(&talks_key)?;
    let muted: Option<Muted> = tx.get(&muted_key)?;
    Ok(json!({ "talks": talks.with, "muted_until": muted.map(|muted| muted.until) }))
}

/// Removes what a user whose account is deleted has said in the guild that the user is in.
pub(crate) fn forget_said_in(guild: GuildId, user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let slots: Vec<String> = (0..KEPT_MAX).map(|slot| slot_key(&guild_key(guild), slot)).collect();
    tx.want(&slots)?;
    for slot in slots {
        let message: Option<ChatMessage> = tx.get(&slot)?;
        if message.is_some_and(|message| message.from == user) {
            tx.delete(slot);
        }
    }
    Ok(())
}

/// That a user may say nothing is kept no more.
pub(crate) fn unmute(user: UserId, tx: &mut Transaction<'_>) {
    tx.delete(muted_key(user));
}

/// Does what is asked.
///
/// # Errors
/// Users that there are not, guilds that the user is not in, and what the caller may not do.
pub fn run(caller: &Caller, request: &Request, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    match (caller, request) {
        (Caller::User(user), Request::Say { to: To::Direct(other), name, text }) => {
            say_to(*user, *other, name, text, tx)
        }
        (Caller::User(user), Request::Say { to: To::Guild, name, text }) => say_in_guild(*user, name, text, tx),
        (Caller::User(user), Request::History { of, before, limit }) => {
            let (channel, head) = kept_at(*user, of, tx)?;
            let messages = history(&head, *before, *limit, tx)?;
            Ok(DbAnswer::Chat(Answer::Messages(channel, messages)))
        }
        (Caller::User(user), Request::Report { of, id, message, reason }) => {
            let (channel, head) = match of {
                To::Room(room) => (Channel::Room(room.clone()), None),
                To::Party => (Channel::Party(party::own(*user, tx)?.0), None),
                of => kept_at(*user, of, tx).map(|(channel, head)| (channel, Some(head)))?,
            };
            let message = match (message, head) {
                (Some(message), _) => Some(ChatMessage::clone(message)),
                (None, Some(head)) => tx.get(&slot_key(&head, *id))?.filter(|kept: &ChatMessage| kept.id == *id),
                (None, None) => None,
            };
            let message = message.ok_or_else(|| Refusal::NotFound("such message any more".to_owned()))?;
            report::report(*user, channel, message, reason, tx)
        }
        (Caller::Operator, Request::Reports(after)) => report::show(*after, tx),
        (Caller::Operator, Request::RemoveReport(number)) => report::remove(*number, tx),
        (Caller::Operator, Request::Mute(user, until)) => {
            let known: Option<Profile> = tx.get(&profile::key(*user))?;
            if known.is_none() {
                return Err(Refusal::NotFound("such user".to_owned()).into());
            }
            tx.put(muted_key(*user), &Muted { until: *until });
            tx.tell(*user, DbNews::Chat(News::Muted(Some(*until))));
            Ok(DbAnswer::Done)
        }
        (Caller::Operator, Request::Unmute(user)) => {
            unmute(*user, tx);
            tx.tell(*user, DbNews::Chat(News::Muted(None)));
            Ok(DbAnswer::Done)
        }
        (_, Request::Mute(..) | Request::Unmute(_) | Request::Reports(_) | Request::RemoveReport(_)) => {
            Err(Refusal::Forbidden("only operators mute users and see reports".into()).into())
        }
        _ => Err(Refusal::OutOfOrder("only users in the lobby talk".into()).into()),
    }
}

/// A channel that is kept here, and the key of its head.
fn kept_at(user: UserId, of: &To, tx: &mut Transaction<'_>) -> Result<(Channel, String), Stop> {
    match of {
        To::Direct(other) => Ok((Channel::Direct(*other), direct_key(user, *other))),
        To::Guild => {
            let (guild, ..) = guild::own(user, tx)?;
            Ok((Channel::Guild(guild), guild_key(guild)))
        }
        To::Room(_) | To::Party => Err(Refusal::Internal("rooms and parties are not kept here".into()).into()),
    }
}

fn say_to(user: UserId, other: UserId, name: &str, text: &str, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    let head = direct_key(user, other);
    tx.want([head.clone(), profile::key(other)])?;
    let known: Option<Profile> = tx.get(&profile::key(other))?;
    if known.is_none() {
        return Err(Refusal::NotFound("such user".to_owned()).into());
    }
    talks::note(user, other, tx)?;
    let message = keep(&head, user, name, text, tx)?;
    tx.tell(other, DbNews::Chat(News::Said(Channel::Direct(user), Arc::clone(&message))));
    Ok(DbAnswer::Chat(Answer::Said(Channel::Direct(other), message)))
}

fn say_in_guild(user: UserId, name: &str, text: &str, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    let (id, guild, _) = guild::own(user, tx)?;
    let message = keep(&guild_key(id), user, name, text, tx)?;
    for member in guild.members.into_keys().filter(|member| *member != user) {
        tx.tell(member, DbNews::Chat(News::Said(Channel::Guild(id), Arc::clone(&message))));
    }
    Ok(DbAnswer::Chat(Answer::Said(Channel::Guild(id), message)))
}

/// Keeps a message as its channel's newest, in the place of the oldest.
fn keep(
    head_key: &str,
    from: UserId,
    name: &str,
    text: &str,
    tx: &mut Transaction<'_>,
) -> Result<Arc<ChatMessage>, Stop> {
    let mut head: Head = tx.get_or_default(head_key)?;
    head.count += 1;
    let message = ChatMessage { id: head.count, from, name: name.to_owned(), text: text.to_owned(), sent: tx.now };
    tx.put(slot_key(head_key, head.count), &message);
    tx.put(head_key.to_owned(), &head);
    Ok(Arc::new(message))
}

fn history(head_key: &str, before: u64, limit: usize, tx: &mut Transaction<'_>) -> Result<Vec<Arc<ChatMessage>>, Stop> {
    let limit = shown(limit)?;
    let head: Head = tx.get_or_default(head_key)?;
    let end = match before {
        0 => head.count + 1,
        before => before.min(head.count + 1),
    };
    let first_kept = (head.count + 1).saturating_sub(KEPT_MAX).max(1);
    let ids = end.saturating_sub(limit as u64).max(first_kept)..end;
    tx.want(ids.clone().map(|id| slot_key(head_key, id)))?;
    let mut messages = Vec::new();
    for id in ids {
        let message: Option<ChatMessage> = tx.get(&slot_key(head_key, id))?;
        messages.extend(message.filter(|message| message.id == id).map(Arc::new));
    }
    Ok(messages)
}

/// How many messages are shown, if that many may be asked for; 0: as many as may be.
pub(crate) fn shown(limit: usize) -> Result<usize, Refusal> {
    match limit {
        0 => Ok(SHOWN_MAX),
        limit if limit <= SHOWN_MAX => Ok(limit),
        _ => Err(Refusal::Invalid(format!("ask for at most {SHOWN_MAX} messages at once"))),
    }
}
