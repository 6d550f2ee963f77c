//! Parties: users who prepare and play together, for as long as they are here.
//!
//! A user is in one party at most. One comes in by an invitation or with the party's code. The leader alone removes
//! members, changes the party's data and takes it into matching; when the leader leaves, the member who has been in
//! it for the longest time leads. Who logs out leaves; with the last member the party is gone.
//!
//! Parties are kept, so that nothing that was acknowledged is lost with the host. What goes on in them (who is here,
//! who is ready, what is said) is the lobby's affair: it hears of every change by [`lobby::Event::SynParty`], whole
//! and in order, and takes out who does not come back.
//!
//! Invariants: a party has a member, and its leader is one; it lists exactly the users whose own record names it; a
//! code leads to one party. Nobody comes into a party with somebody who has blocked them, or whom they have blocked.

mod members;
mod view;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::db::{Answer as DbAnswer, Caller, Stop, Transaction};
use crate::ids::{DomainName, PartyId, Time, UserId};
use crate::lobby;
use crate::refusal::Refusal;
pub use view::{CheckView, Gone, Invitation, InvitedView, MemberView, News, View};

/// How many invitations of a party may be open.
pub const INVITES_MAX: usize = 8;
/// How long one can be accepted.
pub const INVITE_MS: u64 = 120_000;
/// The most that a party keeps for its game, in bytes.
pub const DATA_BYTES_MAX: usize = 2_048;
/// The most that it keeps of each member, in bytes.
pub const MEMBER_DATA_BYTES_MAX: usize = 256;
/// The length of a code.
pub const CODE_CHARS: usize = 6;
/// What codes are made of: nothing that looks or sounds like something else, and no words.
const CODE_ALPHABET: &[u8] = b"23456789BCDFGHJKMNPQRSTVWXZ";
/// How many codes a new party tries; more than one is hardly ever somebody's.
const CODES_TRIED: u64 = 4;

/// Limits, from the operators' configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The most members of a party. What a game takes, its domain says.
    pub members_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { members_max: 8 }
    }
}

impl Limits {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        match (2..=32).contains(&self.members_max) {
            true => Ok(()),
            false => Err("members_max needs 2 to 32: all members are told of each other".to_owned()),
        }
    }
}

/// A user in a party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// The display name.
    pub name: String,
    /// What the member keeps for the game.
    #[serde(default)]
    pub data: String,
}

/// That a user may come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The display name of who is invited.
    pub name: String,
    /// Who has invited the user.
    pub by: UserId,
    /// Until when it can be accepted.
    pub until: Time,
}

/// A party as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Whoever knows it can come in.
    pub code: String,
    /// Who leads; a member.
    pub leader: UserId,
    /// In the order in which they came in.
    pub members: Vec<Member>,
    /// Who is invited. Those whose time is over are left out with the next change.
    #[serde(default)]
    pub invites: BTreeMap<UserId, Invite>,
    /// What the leader keeps for the game.
    #[serde(default)]
    pub data: String,
    /// Grows by one with every change.
    pub version: u64,
}

impl Party {
    /// Whether a user is in it.
    pub fn has(&self, user: UserId) -> bool {
        self.members.iter().any(|member| member.user == user)
    }
}

/// The party that a user is in, or that a code leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyRef {
    /// Which.
    pub party: PartyId,
}

/// What users ask of the lobby.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// To begin a party.
    Create,
    /// To remove a member.
    Kick(UserId),
    /// Something that is Db's alone.
    Change(Request),
    /// To ask all members whether they are ready; then to look for a match, if there is a domain.
    CheckReady(Option<DomainName>),
    /// That one is ready, or is not.
    Ready(bool),
}

/// What can be asked of Db.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Begin a party with this id, and lead it; its code is made from the salt. The lobby has drawn both, so that they
    /// are the same when the request runs again.
    Create(PartyId, u64),
    /// Invite a user.
    Invite(UserId),
    /// Take an invitation back.
    Uninvite(UserId),
    /// Come into a party that has invited the user.
    Accept(PartyId),
    /// Do not.
    Decline(PartyId),
    /// Come into the party with this code.
    Join(String),
    /// Leave the party.
    Leave,
    /// Remove a member; the party's code is made anew, from this salt of the lobby's.
    Kick(UserId, u64),
    /// Let another member lead.
    HandOver(UserId),
    /// Keep this for the party.
    SetData(String),
    /// Keep this for the user.
    SetOwnData(String),
    /// Take a user out of this party who is not here any more; the host's own.
    Remove(UserId, PartyId),
}

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Nothing: it is told as it is.
    None,
    /// The party began.
    Created,
    /// A user came in.
    Joined,
    /// A member left.
    Left,
    /// A member was removed.
    Kicked,
    /// Another member leads.
    Leader,
    /// The data of the party or of a member.
    Data,
    /// A user was invited.
    Invited,
    /// An invitation is no more.
    Uninvited,
    /// The members are asked whether they are ready.
    Check,
    /// A member is.
    Ready,
    /// A member is not: the check is over.
    NotReady,
    /// All are.
    AllReady,
    /// Not all were in time.
    CheckOver,
    /// What a member is doing.
    Presence,
}

/// The beginning of the keys of parties.
pub const PREFIX: &str = "party/";

/// The key of a party's record.
pub fn key(party: PartyId) -> String {
    format!("{PREFIX}{party}")
}

/// The key that names the party of a user.
pub fn of_key(user: UserId) -> String {
    format!("party-of/{user}")
}

/// The key that names the party with a code.
pub(crate) fn code_key(code: &str) -> String {
    format!("party-code/{code}")
}

/// A code as it was made, from what somebody has typed.
///
/// # Errors
/// If no code can be meant.
pub(crate) fn code(typed: &str) -> Result<String, Refusal> {
    let signs = typed.chars().filter(|c| !matches!(c, ' ' | '-')).map(|c| c.to_ascii_uppercase());
    let code: String = signs.take(CODE_CHARS + 1).collect();
    match code.len() == CODE_CHARS && code.bytes().all(|c| CODE_ALPHABET.contains(&c)) {
        true => Ok(code),
        false => Err(Refusal::Invalid(format!("the code of a party has {CODE_CHARS} letters and digits"))),
    }
}

/// Does what is wanted of parties.
///
/// # Errors
/// Data beyond its limit, parties and users that there are not, full parties, blocks, and what only the leader does.
pub fn run(caller: &Caller, request: &Request, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    match (caller, request) {
        (Caller::Host, Request::Remove(user, party)) => members::remove(*user, *party, tx)?,
        (_, Request::Remove(..)) => return Err(Refusal::Forbidden("only the host takes members out".into()).into()),
        (Caller::User(user), request) => of_user(*user, request, tx)?,
        (Caller::Host | Caller::Operator, _) => {
            return Err(Refusal::OutOfOrder("only users are in parties".into()).into());
        }
    }
    Ok(DbAnswer::Done)
}

fn of_user(user: UserId, request: &Request, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    match request {
        Request::Create(id, salt) => members::create(user, *id, *salt, tx),
        Request::Invite(whom) => members::invite(user, *whom, tx),
        Request::Uninvite(whom) => members::uninvite(user, *whom, tx),
        Request::Accept(id) => members::accept(user, *id, tx),
        Request::Decline(id) => members::decline(user, *id, tx),
        Request::Join(code) => members::join(user, code, tx),
        Request::Leave => members::leave(user, tx),
        Request::Kick(whom, salt) => members::kick(user, *whom, *salt, tx),
        Request::HandOver(whom) => members::hand_over(user, *whom, tx),
        Request::SetData(data) => members::set_data(user, data, tx),
        Request::SetOwnData(data) => members::set_own_data(user, data, tx),
        Request::Remove(..) => Ok(()),
    }
}

/// What a party keeps of a user, for the user's export.
pub(crate) fn export(user: UserId, tx: &mut Transaction<'_>) -> Result<Value, Stop> {
    let Some((id, party)) = found(user, tx)? else { return Ok(Value::Null) };
    let member = party.members.into_iter().find(|member| member.user == user);
    Ok(json!({ "party": id, "member": member }))
}

/// Takes a user whose account is deleted out of the party.
pub(crate) fn forget(user: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
    members::forget(user, tx)
}

/// The party that a user is in.
///
/// # Errors
/// A refusal if there is none.
pub(crate) fn own(user: UserId, tx: &mut Transaction<'_>) -> Result<(PartyId, Party), Stop> {
    match found(user, tx)? {
        Some(own) => Ok(own),
        None => Err(no_party().into()),
    }
}

/// The same, if there is one.
fn found(user: UserId, tx: &mut Transaction<'_>) -> Result<Option<(PartyId, Party)>, Stop> {
    let Some(PartyRef { party: id }) = tx.get(&of_key(user))? else { return Ok(None) };
    let party: Option<Party> = tx.get(&key(id))?;
    Ok(party.filter(|party| party.has(user)).map(|party| (id, party)))
}

/// The same, if the user leads it.
fn led(user: UserId, tx: &mut Transaction<'_>) -> Result<(PartyId, Party), Stop> {
    let (id, party) = own(user, tx)?;
    match party.leader == user {
        true => Ok((id, party)),
        false => Err(Refusal::Forbidden("only the leader of the party may do this".into()).into()),
    }
}

/// Writes a changed party, and tells the lobby of it.
fn save(id: PartyId, mut party: Party, change: Change, about: UserId, tx: &mut Transaction<'_>) {
    party.version += 1;
    let now = tx.now;
    party.invites.retain(|_, invite| invite.until > now);
    tx.put(key(id), &party);
    tx.send(lobby::Event::SynParty { party: id, now: Some(Box::new(party)), change, about });
}

pub(crate) fn no_party() -> Refusal {
    Refusal::NotFound("party that you are in: begin one, or join one".to_owned())
}
