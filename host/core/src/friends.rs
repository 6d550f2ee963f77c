//! Friends: who wants to hear of whom, who has asked for that, and who wants nothing to do with whom.
//!
//! Each user has one record, and what concerns two is in both, changed in one transaction. A block is not told to
//! the one it is about: friendship and requests end as if they had been ended in the ordinary way, and a request to
//! somebody who has blocked you looks as if it had been sent. It reaches nobody, and is gone, as if declined, when
//! the block is.
//!
//! Invariant: friendship is mutual; a request in is a request out on the other side; a request out is a request in
//! on the other side, or the other side has blocked its sender. Who is blocked is no friend and has no request in.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::db::account::PART_LEN;
use crate::db::{Answer as DbAnswer, Caller, News as DbNews, Stop, Transaction};
use crate::guild;
use crate::ids::{Time, UserId};
use crate::inbox::{self, Kind, Notification};
use crate::lobby::Presence;
use crate::profile::{self, Profile};
use crate::refusal::Refusal;

/// How many friends a user may have.
pub const FRIENDS_MAX: usize = 200;
/// How many requests a user may have out, and how many in.
pub const REQUESTS_MAX: usize = 100;
/// How many a user may have blocked.
pub const BLOCKED_MAX: usize = 200;

/// What is kept of a user's friends: with whom, and since when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Friends {
    /// The friends.
    #[serde(default)]
    pub friends: BTreeMap<UserId, Time>,
    /// Who has asked the user.
    #[serde(default)]
    pub requests_in: BTreeMap<UserId, Time>,
    /// Whom the user has asked.
    #[serde(default)]
    pub requests_out: BTreeMap<UserId, Time>,
    /// With whom the user wants nothing to do.
    #[serde(default)]
    pub blocked: BTreeMap<UserId, Time>,
    /// The user looks offline to everybody.
    #[serde(default)]
    pub appears_offline: bool,
}

/// Which of a user's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// The friends.
    Friends,
    /// Who has asked the user.
    RequestsIn,
    /// Whom the user has asked.
    RequestsOut,
    /// Who is blocked.
    Blocked,
}

/// What a user can do about another. Done again, each is done already and no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Ask to be friends; if the other has asked, both are friends at once.
    Ask,
    /// Be friends with somebody who has asked.
    Accept,
    /// Say no to somebody who has asked.
    Decline,
    /// Take a request back.
    Withdraw,
    /// Be friends no more.
    Remove,
    /// Have nothing to do with somebody.
    Block,
    /// End that.
    Unblock,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// One of the user's lists.
    List(Which),
    /// Do this about this user.
    Do(Act, UserId),
    /// Look offline to everybody, or not any more.
    AppearOffline(bool),
}

/// One of a user's lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which.
    pub which: Which,
    /// Who is in it.
    pub people: Vec<Person>,
    /// Whether the user looks offline to everybody.
    pub appears_offline: bool,
}

/// Somebody in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Who.
    pub user: UserId,
    /// The display name.
    pub name: String,
    /// Since when.
    pub since: Time,
    /// What a friend is doing; the lobby fills it in.
    pub presence: Option<Presence>,
}

impl Answer {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        self.people.iter().map(|person| size_of::<Person>() + person.name.len()).sum()
    }
}

/// What has changed between a user and another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The other has asked.
    Asked,
    /// The user's request is sent.
    Sent,
    /// A request is no more, whoever ended it.
    RequestGone,
    /// They are friends.
    Friends,
    /// They are friends no more.
    Removed,
    /// The user has blocked the other; there are no friendship and no requests between them.
    Blocked,
    /// The user has ended that.
    Unblocked,
}

/// What a user is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// Something has changed between the user and another.
    Changed {
        /// The other.
        user: UserId,
        /// The other's display name.
        name: String,
        /// What.
        change: Change,
    },
    /// The user looks offline to everybody from now on, or not any more.
    AppearsOffline(bool),
}

/// The key of a user's record.
pub fn key(user: UserId) -> String {
    format!("friends/{user}")
}

/// Whether a user has blocked another.
///
/// # Errors
/// [`Stop::Missing`].
pub(crate) fn has_blocked(user: UserId, other: UserId, tx: &mut Transaction<'_>) -> Result<bool, Stop> {
    let record: Friends = tx.get_or_default(&key(user))?;
    Ok(record.blocked.contains_key(&other))
}

/// Shows a list, or changes something between two users.
///
/// # Errors
/// Users that there are not, oneself, lists that are full, and what a block of one's own or the lack of a request
/// forbids.
pub fn run(caller: &Caller, request: &Request, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    let Caller::User(user) = caller else {
        return Err(Refusal::OutOfOrder("only users have friends".into()).into());
    };
    match request {
        Request::List(which) => list(*user, *which, tx),
        Request::Do(act, other) => {
            let mut pair = Pair::read(*user, *other, tx)?;
            match act {
                Act::Ask | Act::Accept if pair.other.is_gone => return Err(unknown()),
                Act::Ask => pair.ask(tx)?,
                Act::Accept => pair.accept(tx)?,
                Act::Decline => pair.decline(tx)?,
                Act::Withdraw => pair.withdraw(tx)?,
                Act::Remove => pair.remove(tx),
                Act::Block => pair.block(tx)?,
                Act::Unblock => pair.unblock(tx)?,
            }
            pair.save(tx);
            Ok(DbAnswer::Done)
        }
        Request::AppearOffline(appears_offline) => {
            let before: Friends = tx.get_or_default(&key(*user))?;
            if before.appears_offline != *appears_offline {
                save(*user, &Friends { appears_offline: *appears_offline, ..before }, tx);
                tx.tell(*user, DbNews::Friends(News::AppearsOffline(*appears_offline)));
            }
            Ok(DbAnswer::Done)
        }
    }
}

fn list(user: UserId, which: Which, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    let known: Friends = tx.get_or_default(&key(user))?;
    let appears_offline = known.appears_offline;
    let listed = match which {
        Which::Friends => known.friends,
        Which::RequestsIn => known.requests_in,
        Which::RequestsOut => known.requests_out,
        Which::Blocked => known.blocked,
    };
    tx.want(listed.keys().map(|user| profile::key(*user)))?;
    let mut people = Vec::new();
    for (user, since) in listed {
        let profile: Option<Profile> = tx.get(&profile::key(user))?;
        // Who is gone is seen by those only who can let them go.
        if profile.is_some() || which == Which::Blocked {
            people.push(Person { user, name: profile.unwrap_or_default().name, since, presence: None });
        }
    }
    Ok(DbAnswer::Friends(Answer { which, people, appears_offline }))
}

fn save(user: UserId, record: &Friends, tx: &mut Transaction<'_>) {
    match *record == Friends::default() {
        true => tx.delete(key(user)),
        false => tx.put(key(user), record),
    }
}

/// The user who does something, and the one it is about.
struct Pair {
    own: Side,
    other: Side,
}

struct Side {
    user: UserId,
    /// Empty if the account is deleted.
    name: String,
    /// The account is deleted, and the record perhaps not yet.
    is_gone: bool,
    before: Friends,
    now: Friends,
}

impl Side {
    /// A user; one whom nobody knows is gone.
    fn read(user: UserId, tx: &mut Transaction<'_>) -> Result<Self, Stop> {
        let profile: Option<Profile> = tx.get(&profile::key(user))?;
        let now: Friends = tx.get_or_default(&key(user))?;
        let is_gone = profile.is_none();
        let name = profile.unwrap_or_default().name;
        Ok(Self { user, name, is_gone, before: now.clone(), now })
    }

    fn mentions(&self, other: UserId) -> bool {
        let Friends { friends, requests_in, requests_out, blocked, .. } = &self.now;
        [friends, requests_in, requests_out, blocked].into_iter().any(|list| list.contains_key(&other))
    }

    /// Tells this user what has changed with the other.
    fn tell(&self, other: &Side, change: Change, tx: &mut Transaction<'_>) {
        let news = News::Changed { user: other.user, name: other.name.clone(), change };
        tx.tell(self.user, DbNews::Friends(news));
    }

    fn has_blocked(&self, other: &Side) -> bool {
        self.now.blocked.contains_key(&other.user)
    }

    /// Takes a request between the two out of this side's record. Whether there was one.
    fn forget_requests(&mut self, other: &Side) -> bool {
        let had_in = self.now.requests_in.remove(&other.user).is_some();
        let had_out = self.now.requests_out.remove(&other.user).is_some();
        had_in || had_out
    }
}

impl Pair {
    fn read(own: UserId, other: UserId, tx: &mut Transaction<'_>) -> Result<Self, Stop> {
        if own == other {
            return Err(Refusal::Invalid("this is you: name another user".to_owned()).into());
        }
        tx.want([own, other].into_iter().flat_map(|user| [key(user), profile::key(user), inbox::key(user)]))?;
        let (own, other) = (Side::read(own, tx)?, Side::read(other, tx)?);
        // Who was blocked can be let go, also when the account is deleted.
        if own.is_gone || other.is_gone && !own.mentions(other.user) {
            return Err(unknown());
        }
        Ok(Self { own, other })
    }

    /// Ends all that is between a user who is gone, and had this name, and another.
    fn forget(user: UserId, name: &str, other: UserId, tx: &mut Transaction<'_>) -> Result<(), Stop> {
        let own = Side { name: name.to_owned(), ..Side::read(user, tx)? };
        let mut pair = Self { own, other: Side::read(other, tx)? };
        pair.remove(tx);
        if pair.own.forget_requests(&pair.other) | pair.other.forget_requests(&pair.own) {
            pair.other.tell(&pair.own, Change::RequestGone, tx);
        }
        pair.own.now.blocked.remove(&other);
        inbox::retract(tx, other, Kind::FriendRequest, user)?;
        pair.save(tx);
        Ok(())
    }

    fn save(&self, tx: &mut Transaction<'_>) {
        for side in [&self.own, &self.other] {
            if side.now != side.before {
                save(side.user, &side.now, tx);
            }
        }
    }

    fn ask(&mut self, tx: &mut Transaction<'_>) -> Result<(), Stop> {
        let Self { own, other } = self;
        if own.has_blocked(other) {
            return Err(Refusal::Conflict("you have blocked this user: unblock them first".into()).into());
        }
        if own.now.friends.contains_key(&other.user) || own.now.requests_out.contains_key(&other.user) {
            return Ok(());
        }
        if own.now.requests_in.contains_key(&other.user) {
            return self.befriend(tx);
        }
        if own.now.friends.len() >= FRIENDS_MAX {
            return Err(too_many_friends());
        }
        if own.now.requests_out.len() >= REQUESTS_MAX {
            let text = format!("you have {REQUESTS_MAX} requests out: wait for an answer, or withdraw one first");
            return Err(Refusal::Invalid(text).into());
        }
        // Also for who is blocked: a difference would tell of the block.
        if other.now.requests_in.len() >= REQUESTS_MAX {
            return Err(Refusal::Conflict("this user has too many requests now: ask again later".into()).into());
        }
        own.now.requests_out.insert(other.user, tx.now);
        own.tell(other, Change::Sent, tx);
        if !other.has_blocked(own) {
            other.now.requests_in.insert(own.user, tx.now);
            inbox::post(tx, other.user, Notification::of_user(Kind::FriendRequest, own.user, &own.name))?;
            other.tell(own, Change::Asked, tx);
        }
        Ok(())
    }

    fn accept(&mut self, tx: &mut Transaction<'_>) -> Result<(), Stop> {
        if self.own.now.friends.contains_key(&self.other.user) {
            return Ok(());
        }
        if !self.own.now.requests_in.contains_key(&self.other.user) {
            return Err(Refusal::NotFound("request of this user: ask them yourself".to_owned()).into());
        }
        self.befriend(tx)
    }

    /// The one whose request it was hears of it also later.
    fn befriend(&mut self, tx: &mut Transaction<'_>) -> Result<(), Stop> {
        let Self { own, other } = self;
        if own.now.friends.len() >= FRIENDS_MAX {
            return Err(too_many_friends());
        }
        if other.now.friends.len() >= FRIENDS_MAX {
            return Err(Refusal::Conflict("this user has as many friends as one can have".into()).into());
        }
        own.forget_requests(other);
        other.forget_requests(own);
        own.now.friends.insert(other.user, tx.now);
        other.now.friends.insert(own.user, tx.now);
        inbox::retract(tx, own.user, Kind::FriendRequest, other.user)?;
        inbox::post(tx, other.user, Notification::of_user(Kind::FriendAccepted, own.user, &own.name))?;
        self.tell_both(&Change::Friends, tx);
        Ok(())
    }

    fn decline(&mut self, tx: &mut Transaction<'_>) -> Result<(), Stop> {
        let Self { own, other } = self;
        if own.now.requests_in.remove(&other.user).is_none() {
            return Ok(());
        }
        other.now.requests_out.remove(&own.user);
        inbox::retract(tx, own.user, Kind::FriendRequest, other.user)?;
        self.tell_both(&Change::RequestGone, tx);
        Ok(())
    }

    fn withdraw(&mut self, tx: &mut Transaction<'_>) -> Result<(), Stop> {
        let Self { own, other } = self;
        if own.now.requests_out.remove(&other.user).is_none() {
            return Ok(());
        }
        own.tell(other, Change::RequestGone, tx);
        if other.now.requests_in.remove(&own.user).is_some() {
            inbox::retract(tx, other.user, Kind::FriendRequest, own.user)?;
            other.tell(own, Change::RequestGone, tx);
        }
        Ok(())
    }

    fn remove(&mut self, tx: &mut Transaction<'_>) {
        let Self { own, other } = self;
        if own.now.friends.remove(&other.user).is_some() {
            other.now.friends.remove(&own.user);
            self.tell_both(&Change::Removed, tx);
        }
    }

    fn block(&mut self, tx: &mut Transaction<'_>) -> Result<(), Stop> {
        let Self { own, other } = self;
        if own.has_blocked(other) {
            return Ok(());
        }
        if own.now.blocked.len() >= BLOCKED_MAX {
            return Err(Refusal::Invalid(format!("you have blocked {BLOCKED_MAX} users: unblock one first")).into());
        }
        own.now.blocked.insert(other.user, tx.now);
        own.now.friends.remove(&other.user);
        own.forget_requests(other);
        for kind in [Kind::FriendRequest, Kind::FriendAccepted] {
            inbox::retract(tx, own.user, kind, other.user)?;
        }
        own.tell(other, Change::Blocked, tx);
        // The other hears what any end of a friendship or a request sounds like.
        if other.now.friends.remove(&own.user).is_some() {
            other.tell(own, Change::Removed, tx);
        } else if !other.has_blocked(own) && other.forget_requests(own) {
            inbox::retract(tx, other.user, Kind::FriendRequest, own.user)?;
            other.tell(own, Change::RequestGone, tx);
        }
        Ok(())
    }

    fn unblock(&mut self, tx: &mut Transaction<'_>) -> Result<(), Stop> {
        let Self { own, other } = self;
        if own.now.blocked.remove(&other.user).is_none() {
            return Ok(());
        }
        guild::unblocked(own.user, other.user, tx)?;
        own.tell(other, Change::Unblocked, tx);
        if other.now.requests_out.remove(&own.user).is_some() {
            other.tell(own, Change::RequestGone, tx);
        }
        Ok(())
    }

    fn tell_both(&self, change: &Change, tx: &mut Transaction<'_>) {
        self.own.tell(&self.other, change.clone(), tx);
        self.other.tell(&self.own, change.clone(), tx);
    }
}

/// Friends, requests and who is blocked, for the user's export.
pub(crate) fn export(user: UserId, tx: &mut Transaction<'_>) -> Result<Value, Stop> {
    let friends: Option<Friends> = tx.get(&key(user))?;
    Ok(json!(friends))
}

/// Takes a user whose account is deleted, and who had this name, out of the lists of some others. False if there was
/// nothing left.
pub(crate) fn forget(user: UserId, name: &str, tx: &mut Transaction<'_>) -> Result<bool, Stop> {
    let Some(own) = tx.get::<Friends>(&key(user))? else { return Ok(false) };
    let others: BTreeSet<UserId> = [&own.friends, &own.requests_in, &own.requests_out, &own.blocked]
        .into_iter()
        .flat_map(BTreeMap::keys)
        .copied()
        .collect();
    if others.is_empty() {
        tx.delete(key(user));
        return Ok(true);
    }
    // Of each other there are three records.
    let some: Vec<UserId> = others.into_iter().take(PART_LEN / 3).collect();
    tx.want(some.iter().flat_map(|other| [key(*other), profile::key(*other), inbox::key(*other)]))?;
    for other in some {
        Pair::forget(user, name, other, tx)?;
    }
    Ok(true)
}

fn unknown() -> Stop {
    Refusal::NotFound("user with this id".to_owned()).into()
}

fn too_many_friends() -> Stop {
    Refusal::Invalid(format!("you have {FRIENDS_MAX} friends: remove one first")).into()
}
