//! Guilds: groups of users with roles, who stay together from one day to the next.
//!
//! A user is in one guild at most. One joins an open guild at once, and any guild by asking and being accepted, or
//! by an invitation. A guild has one leader; officers accept, invite, decline and remove members. When the leader
//! leaves, the officer who has been in the guild for the longest time leads, or else the member; when the last one
//! leaves, the guild is gone.
//!
//! An invitation by somebody whom the user has blocked looks to the guild as if it had been sent. The user does not
//! hear of it, and it is gone, as if declined, when the block is.
//!
//! Invariants: a guild lists exactly the users whose own record says that they are in it, have asked, or are
//! invited; it has one leader and no more members than its limit; no two guilds have the same name.

mod admission;
mod data;
mod members;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::chat;
use crate::db::{Answer as DbAnswer, Caller, News as DbNews, Stop, Transaction};
use crate::ids::{GuildId, Time, UserId};
use crate::refusal::Refusal;
use crate::text;
pub(crate) use data::Data;
pub use data::{DATA_KEY_BYTES_MAX, DATA_KEYS_MAX, DATA_VALUE_BYTES_MAX, Datum};
pub use view::{Summary, View};

/// The lengths of a guild's name, in characters.
pub const NAME_CHARS: std::ops::RangeInclusive<usize> = 3..=32;
/// The longest tag, in characters.
pub const TAG_CHARS_MAX: usize = 5;
/// The longest text about a guild, in characters.
pub const ABOUT_CHARS_MAX: usize = 500;
/// How many users may wait to be accepted by a guild.
pub const REQUESTS_MAX: usize = 50;
/// How many invitations of a guild may be open.
pub const INVITES_MAX: usize = 50;
/// How many guilds a user may have asked.
pub const REQUESTS_PER_USER_MAX: usize = 4;
/// How many invitations a user may have.
pub const INVITES_PER_USER_MAX: usize = 16;

/// Limits, from the operators' configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The most members of any guild.
    pub members_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { members_max: 100 }
    }
}

impl Limits {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        match (1..=200).contains(&self.members_max) {
            true => Ok(()),
            false => Err("members_max needs 1 to 200: all members are told of what happens in their guild".to_owned()),
        }
    }
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Takes part.
    Member,
    /// Accepts, invites and declines, removes members, changes what the guild says of itself and its data.
    Officer,
    /// Does everything; there is one.
    Leader,
}

/// How one gets in, besides by an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// By joining.
    Open,
    /// By asking, and being accepted.
    ByRequest,
}

/// A user in a guild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What the member may do.
    pub role: Role,
    /// Since when.
    pub since: Time,
}

/// A guild as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guild {
    /// The name, as its founder wrote it.
    pub name: String,
    /// A short form of the name; empty: none. Others may have the same.
    pub tag: String,
    /// The guild's words about itself.
    pub about: String,
    /// How one gets in.
    pub entry: Entry,
    /// The most members.
    pub limit: usize,
    /// When it was founded.
    pub since: Time,
    /// Grows by one with every change.
    pub version: u64,
    /// Who is in it.
    pub members: BTreeMap<UserId, Member>,
    /// Who has asked, and when.
    #[serde(default)]
    pub requests: BTreeMap<UserId, Time>,
    /// Who is invited, and since when.
    #[serde(default)]
    pub invites: BTreeMap<UserId, Time>,
}

/// What is kept for a user: the guild, and where one may come in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The guild the user is in.
    pub guild: Option<GuildId>,
    /// The guilds that the user has asked.
    #[serde(default)]
    pub requests: BTreeSet<GuildId>,
    /// The guilds that have invited the user.
    #[serde(default)]
    pub invites: BTreeSet<GuildId>,
    /// The guilds that somebody has invited the user to whom the user has blocked, and who that was. The guild lists
    /// such an invitation as any other; the user does not hear of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unheard: BTreeMap<GuildId, UserId>,
}

/// Whose a name is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NameRecord {
    pub guild: GuildId,
}

/// The guild that a user is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Which.
    pub guild: GuildId,
    /// As what.
    pub role: Role,
}

/// A guild as a user may name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// The user's own.
    Own,
    /// This one.
    Id(GuildId),
    /// The one with this name; capitals, and how many spaces there are, make no difference.
    Name(String),
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Found a guild, and lead it.
    Create {
        /// Its name.
        name: String,
        /// A short form of it; may be empty.
        tag: String,
        /// Its words about itself.
        about: String,
        /// How one gets in.
        entry: Entry,
    },
    /// A guild as the asker may see it.
    Show(Which),
    /// Where the user is, has asked, and is invited.
    Mine,
    /// Come into an open guild.
    Join(GuildId),
    /// Ask a guild to be let in.
    Ask(GuildId),
    /// Take that back.
    Withdraw(GuildId),
    /// Let a user in who has asked.
    Accept(UserId),
    /// Do not; or take an invitation back.
    Decline(UserId),
    /// Invite a user.
    Invite(UserId),
    /// Come into a guild that has invited the user.
    AcceptInvite(GuildId),
    /// Do not.
    DeclineInvite(GuildId),
    /// Leave the guild.
    Leave,
    /// Remove a member of a lower role.
    Kick(UserId),
    /// Make a member an officer, or an officer a member.
    SetRole(UserId, Role),
    /// Let another member lead; the leader becomes an officer.
    HandOver(UserId),
    /// Change what the guild says of itself; `None`: as it is.
    Change {
        /// Its words about itself.
        about: Option<String>,
        /// How one gets in.
        entry: Option<Entry>,
        /// The most members.
        limit: Option<usize>,
    },
    /// End the guild.
    Dissolve,
    /// End this guild; operators only.
    End(GuildId),
    /// The guild's data.
    ReadData,
    /// Change one of the guild's data.
    WriteData {
        /// Which.
        key: String,
        /// The new value; `None`: it is removed.
        value: Option<Vec<u8>>,
        /// Only if it has this version; 0: only if there is none.
        if_version: Option<u64>,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// A guild.
    Guild(Box<View>),
    /// Where the user is, has asked, and is invited.
    Mine {
        /// The guild the user is in.
        guild: Option<Box<View>>,
        /// The guilds that the user has asked.
        requests: Vec<Summary>,
        /// The guilds that have invited the user.
        invites: Vec<Summary>,
    },
    /// The guild's data.
    Data(Vec<(String, Datum)>),
    /// The version of what was written; 0 if it was removed.
    Written(u64),
}

impl Answer {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Guild(view) => view.bytes(),
            Self::Mine { guild, requests, invites } => {
                let summaries = requests.iter().chain(invites);
                guild.as_ref().map_or(0, |view| view.bytes()) + summaries.map(Summary::bytes).sum::<usize>()
            }
            Self::Data(data) => {
                data.iter().map(|(key, datum)| size_of::<Datum>() + key.len() + datum.value.len()).sum()
            }
            Self::Written(_) => 0,
        }
    }
}

/// What has happened in a guild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// The user is in it now.
    Joined,
    /// The user has left it.
    Left,
    /// The user was removed.
    Kicked,
    /// The user has another role.
    Role,
    /// What the guild says of itself has changed.
    Changed,
    /// The guild is gone.
    Dissolved,
    /// The user wants to be let in.
    Asked,
    /// The user does not want that any more, or is not let in.
    Declined,
    /// The user is invited.
    Invited,
    /// The user is not invited any more.
    Uninvited,
    /// The guild's data have changed.
    Data,
}

/// What a member of a guild, or the user whom it is about, is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Which guild.
    pub guild: GuildId,
    /// Its name.
    pub name: String,
    /// Its version with this change.
    pub version: u64,
    /// What has happened.
    pub what: What,
    /// Who did it, or whom it is about.
    pub about: UserId,
    /// What the one who is told is in the guild from now on; `None`: not in it.
    pub role: Option<Role>,
}

impl News {
    /// Brings what is known of a user's membership up to date.
    pub fn apply(&self, membership: &mut Option<Membership>) {
        match self.role {
            Some(role) => *membership = Some(Membership { guild: self.guild, role }),
            // Else it is about a guild that the user is not in, and perhaps was not.
            None if membership.is_some_and(|it| it.guild == self.guild) => *membership = None,
            None => {}
        }
    }
}

/// What a user has to do with guilds, for the user's export.
pub(crate) fn export(user: UserId, tx: &mut Transaction<'_>) -> Result<Value, Stop> {
    let place: Option<Place> = tx.get(&place_key(user))?;
    Ok(json!(place))
}

/// Takes a user whose account is deleted out of everything that has to do with guilds.
pub(crate) fn forget(user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    let place: Place = tx.get_or_default(&place_key(user))?;
    let all = place.requests.iter().chain(&place.invites).chain(place.unheard.keys()).chain(&place.guild);
    tx.want(all.map(|id| key(*id)))?;
    if let Some(id) = place.guild {
        chat::forget_said_in(id, user, tx)?;
        members::leave(user, tx)?;
    }
    for id in place.requests {
        admission::withdraw(user, id, tx)?;
    }
    for id in place.invites {
        admission::decline_invite(user, id, tx)?;
    }
    admission::end_unheard(user, |_| true, tx)
}

/// A user has ended the block of another: invitations by that one, of which the user has not heard, are gone.
///
/// # Errors
/// [`Stop::Missing`].
pub(crate) fn unblocked(user: UserId, other: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    admission::end_unheard(user, |by| by == other, tx)
}

/// The key of a guild's record.
pub fn key(guild: GuildId) -> String {
    format!("guild/{guild}")
}

/// The key of a user's [`Place`].
pub fn place_key(user: UserId) -> String {
    format!("guild-of/{user}")
}

/// The key that a name is somebody's by.
pub(crate) fn name_key(normalised: &str) -> String {
    format!("guild-name/{normalised}")
}

/// A name as it is shown, and as it is compared: capitals and the number of spaces make no difference.
///
/// # Errors
/// If it has other characters than letters, digits, spaces and a few signs, or too few or many.
pub(crate) fn name(name: &str) -> Result<(String, String), Refusal> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '\'' | '&');
    let shown = text::line(name, NAME_CHARS, "the name of a guild")?;
    if !shown.chars().all(plain) {
        let text = "the name of a guild has letters, digits, spaces, or the characters - _ . ' &";
        return Err(Refusal::Invalid(text.to_owned()));
    }
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let compared = shown.to_lowercase();
    Ok((shown, compared))
}

/// Does what a user wants of guilds.
///
/// # Errors
/// Texts and numbers beyond the limits, guilds and users that there are not, and what the caller's role does not
/// allow.
pub fn run(caller: &Caller, request: &Request, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    if let Request::Show(which) = request {
        return view::show(caller, which, tx).map(DbAnswer::Guild);
    }
    if let (Caller::Operator, Request::End(guild)) = (caller, request) {
        return members::end_by_operator(*guild, tx).map(|()| DbAnswer::Done);
    }
    let Caller::User(user) = *caller else {
        return Err(Refusal::OutOfOrder("only users are in guilds: others can look at them by show".into()).into());
    };
    match request {
        Request::Create { name, tag, about, entry } => members::create(user, name, tag, about, *entry, tx),
        Request::Show(which) => view::show(caller, which, tx),
        Request::Mine => view::mine(user, tx),
        Request::Join(guild) => admission::join(user, *guild, tx),
        Request::AcceptInvite(guild) => admission::accept_invite(user, *guild, tx),
        Request::ReadData => data::read(user, tx),
        Request::WriteData { key, value, if_version } => data::write(user, key, value.as_deref(), *if_version, tx),
        Request::Change { about, entry, limit } => members::change(user, about.as_deref(), *entry, *limit, tx),
        Request::Ask(guild) => return admission::ask(user, *guild, tx).map(|()| DbAnswer::Done),
        Request::Withdraw(guild) => return admission::withdraw(user, *guild, tx).map(|()| DbAnswer::Done),
        Request::Accept(whom) => return admission::accept(user, *whom, tx).map(|()| DbAnswer::Done),
        Request::Decline(whom) => return admission::decline(user, *whom, tx).map(|()| DbAnswer::Done),
        Request::Invite(whom) => return admission::invite(user, *whom, tx).map(|()| DbAnswer::Done),
        Request::DeclineInvite(guild) => return admission::decline_invite(user, *guild, tx).map(|()| DbAnswer::Done),
        Request::Leave => return members::leave(user, tx).map(|()| DbAnswer::Done),
        Request::Kick(whom) => return members::kick(user, *whom, tx).map(|()| DbAnswer::Done),
        Request::SetRole(whom, role) => return members::set_role(user, *whom, *role, tx).map(|()| DbAnswer::Done),
        Request::HandOver(whom) => return members::hand_over(user, *whom, tx).map(|()| DbAnswer::Done),
        Request::End(_) => Err(Refusal::Forbidden("only operators end guilds that they are not in".into()).into()),
        Request::Dissolve => return members::dissolve(user, tx).map(|()| DbAnswer::Done),
    }
    .map(DbAnswer::Guild)
}

/// The guild that a user is in, for those who have to know who may do what.
///
/// # Errors
/// [`Stop::Missing`].
pub(crate) fn membership(user: UserId, tx: &mut Transaction<'_>) -> Result<Option<Membership>, Stop> {
    let place: Place = tx.get_or_default(&place_key(user))?;
    let Some(id) = place.guild else { return Ok(None) };
    let guild: Option<Guild> = tx.get(&key(id))?;
    let member = guild.and_then(|guild| guild.members.get(&user).copied());
    Ok(member.map(|member| Membership { guild: id, role: member.role }))
}

/// A guild by its id.
fn load(id: GuildId, tx: &mut Transaction<'_>) -> Result<Guild, Stop> {
    let guild: Option<Guild> = tx.get(&key(id))?;
    guild.ok_or_else(|| Refusal::NotFound("such guild: it may have been dissolved".to_owned()).into())
}

/// The guild that a user is in, and as what.
pub(crate) fn own(user: UserId, tx: &mut Transaction<'_>) -> Result<(GuildId, Guild, Role), Stop> {
    let none = || Refusal::NotFound("guild that you are in: join one or found one".to_owned());
    let place: Place = tx.get_or_default(&place_key(user))?;
    let id = place.guild.ok_or_else(none)?;
    let guild = load(id, tx)?;
    let role = guild.members.get(&user).map(|member| member.role).ok_or_else(none)?;
    Ok((id, guild, role))
}

/// The same, if the user has at least this role.
fn own_as(user: UserId, least: Role, tx: &mut Transaction<'_>) -> Result<(GuildId, Guild, Role), Stop> {
    let (id, guild, role) = own(user, tx)?;
    match (role >= least, least) {
        (true, _) => Ok((id, guild, role)),
        (false, Role::Leader) => Err(Refusal::Forbidden("only the leader of the guild may do this".into()).into()),
        (false, _) => Err(Refusal::Forbidden("only officers and the leader of the guild may do this".into()).into()),
    }
}

/// Writes a changed guild, and tells its members, and whom it is about.
fn save(id: GuildId, guild: &mut Guild, what: What, about: UserId, tx: &mut Transaction<'_>) {
    guild.version += 1;
    tx.put(key(id), guild);
    let others = Some(about).filter(|about| !guild.members.contains_key(about));
    let recipients: Vec<UserId> = guild.members.keys().copied().chain(others).collect();
    tell(id, guild, what, about, recipients, tx);
}

/// The same for what only those have to know who can let somebody in.
fn save_quietly(id: GuildId, guild: &mut Guild, what: What, about: UserId, tx: &mut Transaction<'_>) {
    save_unheard(id, guild, what, about, tx);
    tell(id, guild, what, about, vec![about], tx);
}

/// The same for what the user whom it is about does not hear of either.
fn save_unheard(id: GuildId, guild: &mut Guild, what: What, about: UserId, tx: &mut Transaction<'_>) {
    guild.version += 1;
    tx.put(key(id), guild);
    let officers = guild.members.iter().filter(|(_, member)| member.role >= Role::Officer);
    let recipients = officers.map(|(user, _)| *user).collect();
    tell(id, guild, what, about, recipients, tx);
}

fn tell(id: GuildId, guild: &Guild, what: What, about: UserId, recipients: Vec<UserId>, tx: &mut Transaction<'_>) {
    for recipient in recipients {
        let role = guild.members.get(&recipient).map(|member| member.role);
        let news = News { guild: id, name: guild.name.clone(), version: guild.version, what, about, role };
        tx.tell(recipient, DbNews::Guild(news));
    }
}
