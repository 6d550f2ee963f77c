//! Inboxes: notifications that wait for a user who is not here. Operators and other features of the host post them.
//!
//! Invariant: an inbox has at most [`NOTIFICATIONS_MAX`] notifications with at most [`BYTES_MAX`] bytes. Whatever is
//! posted has room: the oldest that was read goes first, and if none was read, the oldest.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::db::{Answer as DbAnswer, Caller, News as DbNews, Stop, Transaction};
use crate::ids::{Time, UserId};
use crate::profile;
use crate::refusal::Refusal;

/// How many notifications an inbox has at most.
pub const NOTIFICATIONS_MAX: usize = 100;
/// How many bytes they have together at most, about.
pub const BYTES_MAX: usize = 64 * 1_024;
/// How many bytes an answer has at most, about; the rest comes with the next.
const ANSWER_BYTES_MAX: usize = 24 * 1_024;
/// What a notification has besides its texts, about.
const NOTIFICATION_BYTES: usize = 96;
/// The longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 100;
/// The longest text, in characters.
pub const BODY_CHARS_MAX: usize = 1_000;
/// The most data for the game, in bytes.
pub const DATA_BYTES_MAX: usize = 2 * 1_024;
/// To how many users one request posts.
pub const USERS_AT_ONCE_MAX: usize = 50;
/// The longest id of an operator's request, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
/// How many ids of operators' requests an inbox remembers, so that a request that is made again posts nothing twice.
pub const REQUEST_IDS_MAX: usize = 32;

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Operators, or the game's own backend, have something to say.
    Operator,
    /// Somebody asks to be friends; goes when the request does.
    FriendRequest,
    /// Somebody whom the user has asked is a friend now.
    FriendAccepted,
}

/// What can be posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// What it is about.
    pub kind: Kind,
    /// Who has caused it, with the display name at that time. Of a kind and a user there is one at most, the newest.
    #[serde(default)]
    pub from: Option<(UserId, String)>,
    /// For the user to read; empty: none.
    #[serde(default)]
    pub title: String,
    /// For the user to read; empty: none.
    #[serde(default)]
    pub body: String,
    /// JSON for the game; empty: none.
    #[serde(default)]
    pub data: String,
    /// When it is of no use any more.
    #[serde(default)]
    pub expires: Option<Time>,
}

impl Notification {
    /// One that a user has caused.
    pub fn of_user(kind: Kind, user: UserId, name: &str) -> Self {
        let (title, body, data) = Default::default();
        Self { kind, from: Some((user, name.to_owned())), title, body, data, expires: None }
    }

    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// Texts that are too long or have control characters, data that is no JSON, nothing to read, and a time of
    /// expiry that has passed.
    pub fn check(&self, now: Time) -> Result<(), Refusal> {
        let invalid = |text: String| Err(Refusal::Invalid(text));
        for (text, chars_max, what) in
            [(&self.title, TITLE_CHARS_MAX, "the title"), (&self.body, BODY_CHARS_MAX, "the body")]
        {
            if text.chars().count() > chars_max {
                return invalid(format!("{what} has at most {chars_max} characters"));
            }
            if text.chars().any(|c| c.is_control() && c != '\n') {
                return invalid(format!("{what} has no control characters"));
            }
        }
        if self.title.trim().is_empty() {
            return invalid("the title is empty: the user reads it".to_owned());
        }
        if self.data.len() > DATA_BYTES_MAX {
            return invalid(format!("the data has at most {DATA_BYTES_MAX} bytes"));
        }
        if !self.data.is_empty() && serde_json::from_str::<serde::de::IgnoredAny>(&self.data).is_err() {
            return invalid("the data is no JSON".to_owned());
        }
        if self.expires.is_some_and(|expires| expires <= now) {
            return invalid("the time of expiry has passed: give one that is to come".to_owned());
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let name = self.from.as_ref().map_or(0, |(_, name)| name.len());
        NOTIFICATION_BYTES + name + self.title.len() + self.body.len() + self.data.len()
    }

    fn is_of(&self, kind: Kind, user: UserId) -> bool {
        self.kind == kind && self.from.as_ref().is_some_and(|(from, _)| *from == user)
    }
}

/// A notification that waits in an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// What was posted.
    pub notification: Notification,
    /// When.
    pub at: Time,
    /// Whether the user has read it.
    pub read: bool,
}

/// An inbox, as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    /// The highest id there was.
    pub last_id: u64,
    /// What waits, by id.
    pub posted: BTreeMap<u64, Posted>,
    /// The newest ids of operators' requests.
    #[serde(default)]
    pub request_ids: VecDeque<String>,
}

impl Inbox {
    fn read(user: UserId, tx: &mut Transaction<'_>) -> Result<Self, Stop> {
        let mut inbox: Self = tx.get_or_default(&key(user))?;
        let now = tx.now;
        inbox.posted.retain(|_, posted| posted.notification.expires.is_none_or(|expires| expires > now));
        Ok(inbox)
    }

    /// How many have not been read.
    pub fn unread(&self) -> u32 {
        let unread = self.posted.values().filter(|posted| !posted.read).count();
        u32::try_from(unread).unwrap_or(u32::MAX)
    }

    /// Makes room for so many bytes more.
    fn make_room(&mut self, bytes: usize) {
        let mut taken: usize = self.posted.values().map(|posted| posted.notification.bytes()).sum();
        while self.posted.len() >= NOTIFICATIONS_MAX || taken + bytes > BYTES_MAX {
            let oldest_read = self.posted.iter().find(|(_, posted)| posted.read);
            let Some(id) = oldest_read.or(self.posted.iter().next()).map(|(id, _)| *id) else { return };
            taken -= self.posted.remove(&id).map_or(0, |posted| posted.notification.bytes());
        }
    }
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// One's own notifications, in the order of their ids.
    List {
        /// After this id; 0: from the first.
        after: u64,
        /// So many at most; 0: as many as fit.
        limit: u32,
    },
    /// These have been read; none named: all.
    Read(Vec<u64>),
    /// These are of no use any more.
    Remove(Vec<u64>),
    /// Post to these users; for operators.
    Post {
        /// To whom; those who are not known are told.
        users: Vec<UserId>,
        /// Names the request: what was posted under it to a user is not posted again.
        request_id: String,
        /// What.
        notification: Box<Notification>,
    },
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The inbox, or what of it was asked for.
    Inbox {
        /// The notifications with their ids.
        posted: Vec<(u64, Posted)>,
        /// There are more after the last one.
        more: bool,
        /// How many in the inbox have not been read.
        unread: u32,
    },
    /// These users are not known; to the others it is posted.
    Unknown(Vec<UserId>),
}

impl Answer {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Inbox { posted, .. } => posted.iter().map(|(_, posted)| posted.notification.bytes()).sum(),
            Self::Unknown(users) => size_of_val(&users[..]),
        }
    }
}

/// A notification has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Its id.
    pub id: u64,
    /// The notification.
    pub posted: Posted,
    /// How many have not been read, with this one.
    pub unread: u32,
}

/// The key of a user's inbox.
pub fn key(user: UserId) -> String {
    format!("inbox/{user}")
}

/// Posts a notification to a user, who hears of it at once if they are here.
///
/// # Errors
/// As [`Transaction::get`] of the inbox.
pub fn post(tx: &mut Transaction<'_>, user: UserId, notification: Notification) -> Result<(), Stop> {
    let inbox = Inbox::read(user, tx)?;
    put(inbox, user, notification, tx);
    Ok(())
}

fn put(mut inbox: Inbox, user: UserId, notification: Notification, tx: &mut Transaction<'_>) {
    if let Some((from, _)) = &notification.from {
        inbox.posted.retain(|_, posted| !posted.notification.is_of(notification.kind, *from));
    }
    inbox.make_room(notification.bytes());
    inbox.last_id += 1;
    let posted = Posted { notification, at: tx.now, read: false };
    inbox.posted.insert(inbox.last_id, posted.clone());
    tx.put(key(user), &inbox);
    let news = News { id: inbox.last_id, posted, unread: inbox.unread() };
    tx.tell(user, DbNews::Inbox(Box::new(news)));
}

/// Takes back what was posted of this kind because of this user, if it is still there.
///
/// # Errors
/// As [`Transaction::get`] of the inbox.
pub fn retract(tx: &mut Transaction<'_>, user: UserId, kind: Kind, from: UserId) -> Result<(), Stop> {
    let mut inbox = Inbox::read(user, tx)?;
    let before = inbox.posted.len();
    inbox.posted.retain(|_, posted| !posted.notification.is_of(kind, from));
    if inbox.posted.len() < before {
        tx.put(key(user), &inbox);
    }
    Ok(())
}

/// Shows, marks or removes one's own notifications; posts some.
///
/// # Errors
/// Too many ids or users at once, notifications that [`Notification::check`] refuses, and callers who may not.
pub fn run(caller: &Caller, request: &Request, tx: &mut Transaction<'_>) -> Result<DbAnswer, Stop> {
    let answer = match request {
        Request::List { after, limit } => list(&own(caller, tx)?.1, *after, *limit),
        Request::Read(ids) => {
            let (user, mut inbox) = own(caller, tx)?;
            check_ids(ids)?;
            let of_these = |id: &u64| ids.is_empty() || ids.contains(id);
            let unread = |(id, posted): &(&u64, &mut Posted)| of_these(id) && !posted.read;
            let read = inbox.posted.iter_mut().filter(unread).map(|(_, posted)| posted.read = true).count();
            changed(user, &inbox, read, tx)
        }
        Request::Remove(ids) => {
            let (user, mut inbox) = own(caller, tx)?;
            if ids.is_empty() {
                return Err(Refusal::Invalid("name the notifications to remove".to_owned()).into());
            }
            check_ids(ids)?;
            let before = inbox.posted.len();
            inbox.posted.retain(|id, _| !ids.contains(id));
            changed(user, &inbox, before - inbox.posted.len(), tx)
        }
        Request::Post { users, request_id, notification } => post_to_all(caller, users, request_id, notification, tx)?,
    };
    Ok(DbAnswer::Inbox(answer))
}

/// What waits for a user, for the user's export.
pub(crate) fn export(user: UserId, tx: &mut Transaction<'_>) -> Result<Value, Stop> {
    let inbox: Option<Inbox> = tx.get(&key(user))?;
    Ok(json!(inbox))
}

/// Removes what waits for a user whose account is deleted.
pub(crate) fn forget(user: UserId, tx: &mut Transaction<'_>) {
    tx.delete(key(user));
}

fn own(caller: &Caller, tx: &mut Transaction<'_>) -> Result<(UserId, Inbox), Stop> {
    match caller {
        Caller::User(user) => Ok((*user, Inbox::read(*user, tx)?)),
        _ => Err(Refusal::OutOfOrder("only users have inboxes".into()).into()),
    }
}

fn check_ids(ids: &[u64]) -> Result<(), Refusal> {
    match ids.len() > NOTIFICATIONS_MAX {
        true => Err(Refusal::Invalid(format!("name at most {NOTIFICATIONS_MAX} notifications at once"))),
        false => Ok(()),
    }
}

/// So many notifications of an inbox have changed: without one nothing is written.
fn changed(user: UserId, inbox: &Inbox, count: usize, tx: &mut Transaction<'_>) -> Answer {
    if count > 0 {
        tx.put(key(user), inbox);
    }
    Answer::Inbox { posted: Vec::new(), more: false, unread: inbox.unread() }
}

fn list(inbox: &Inbox, after: u64, limit: u32) -> Answer {
    let count_max = if limit == 0 { NOTIFICATIONS_MAX } else { limit as usize };
    let mut rest = inbox.posted.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded)).peekable();
    let mut listed = Vec::new();
    let mut bytes = 0;
    while let Some((id, posted)) = rest.peek() {
        bytes += posted.notification.bytes();
        // One always fits.
        if listed.len() >= count_max || (bytes > ANSWER_BYTES_MAX && !listed.is_empty()) {
            break;
        }
        listed.push((**id, (*posted).clone()));
        rest.next();
    }
    Answer::Inbox { posted: listed, more: rest.peek().is_some(), unread: inbox.unread() }
}

fn post_to_all(
    caller: &Caller,
    users: &[UserId],
    request_id: &str,
    notification: &Notification,
    tx: &mut Transaction<'_>,
) -> Result<Answer, Stop> {
    if matches!(caller, Caller::User(_)) {
        return Err(Refusal::Forbidden("only operators post notifications".into()).into());
    }
    if users.is_empty() || users.len() > USERS_AT_ONCE_MAX {
        return Err(Refusal::Invalid(format!("post to 1 to {USERS_AT_ONCE_MAX} users at once")).into());
    }
    if request_id.is_empty() || request_id.len() > REQUEST_ID_BYTES_MAX || request_id.chars().any(char::is_control) {
        let text = format!("request_id has 1 to {REQUEST_ID_BYTES_MAX} bytes and no control characters");
        return Err(Refusal::Invalid(text).into());
    }
    notification.check(tx.now)?;
    tx.want(users.iter().flat_map(|user| [profile::key(*user), key(*user)]))?;
    let mut unknown = Vec::new();
    for user in users {
        if tx.get::<profile::Profile>(&profile::key(*user))?.is_none() {
            unknown.push(*user);
            continue;
        }
        let mut inbox = Inbox::read(*user, tx)?;
        if inbox.request_ids.iter().any(|known| known == request_id) {
            continue;
        }
        inbox.request_ids.push_back(request_id.to_owned());
        if inbox.request_ids.len() > REQUEST_IDS_MAX {
            inbox.request_ids.pop_front();
        }
        put(inbox, *user, notification.clone(), tx);
    }
    Ok(Answer::Unknown(unknown))
}
