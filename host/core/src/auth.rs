//! Auth: who a user is. Turns a credential into a session, durably.
//!
//! Invariant: a user, a guest's device and a session are written in one batch, and the answer
//! leaves after the commit, so an acknowledged sign-in is there after a crash.
//!
//! Main type: [`Auth`]. A sign-in is a short path of states: the credential's record is loaded,
//! then the user's, then the answer is made. Sign-ins with the same credential go one after the
//! other, or two first sign-ins of one device would make two users.

use std::collections::{BTreeMap, HashMap};

use crate::deadlines::Deadlines;
use crate::ids::{ConnectionId, Time, UserId};
use crate::message::ServiceName;
use crate::record::{self, GuestRecord, SessionRecord, UserRecord};
use crate::refusal::Refusal;
use crate::token::{Secret, SecretHash};
use crate::{Context, Service, lobby};

/// How long a session lives.
pub const SESSION_MS: u64 = 30 * 24 * 3_600_000;
/// How many sign-ins may be under way at once; more are refused as overloaded.
pub const SIGN_INS_MAX: usize = 10_000;
/// How long a sign-in may take.
pub const SIGN_IN_MS_MAX: u64 = 5_000;
/// The longest display name, in characters.
pub const NAME_CHARS_MAX: usize = 32;
/// The lengths that a device id may have.
pub const DEVICE_ID_CHARS: std::ops::RangeInclusive<usize> = 16..=128;

/// What a user signs in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A device's secret id, and the display name wanted, which may be empty.
    Guest {
        /// The secret of the device.
        device_id: String,
        /// The display name, or empty.
        name: String,
    },
    /// The token of a session.
    Session(String),
}

/// A sign-in that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who it is.
    pub user: UserId,
    /// The user's record.
    pub record: UserRecord,
    /// The session's token.
    pub session_token: String,
    /// When the session ends.
    pub session_expires: Time,
}

/// What Auth can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A connection wants to sign in; answered by [`lobby::Event::ResSignIn`].
    ReqSignIn {
        /// Which connection.
        connection: ConnectionId,
        /// With what.
        credential: Credential,
    },
    /// The store's answer to a [`Load`].
    Loaded {
        /// The key of the load.
        key: String,
        /// The record, `None` if there is none, or that the store could not answer.
        value: Result<Option<Vec<u8>>, ()>,
    },
    /// Time has passed.
    Tick,
}

/// Asks the store for a record; answered by [`Event::Loaded`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The record's key.
    pub key: String,
}

/// One sign-in under way.
#[derive(Debug, Clone)]
struct SignIn {
    connection: ConnectionId,
    deadline: Time,
    credential: Credential,
    /// What is known of the session by now.
    session: Option<(UserId, String, Time)>,
}

/// The service.
#[derive(Debug, Clone, Default)]
pub struct Auth {
    /// Sign-ins by the key that they wait for, the oldest first.
    waiting: HashMap<String, Vec<SignIn>>,
    /// When the sign-ins under way end.
    deadlines: Deadlines<(ConnectionId, String)>,
}

impl Service for Auth {
    type Event = Event;

    fn step(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::ReqSignIn { connection, credential } => self.req_sign_in(connection, credential, cx),
            Event::Loaded { key, value } => self.loaded(&key, value, cx),
            Event::Tick => self.expire(cx),
        }
    }

    fn tick() -> Event {
        Event::Tick
    }

    fn deadline(&self) -> Option<Time> {
        self.deadlines.next()
    }
}

impl Auth {
    fn req_sign_in(&mut self, connection: ConnectionId, credential: Credential, cx: &mut Context<'_>) {
        if self.deadlines.len() >= SIGN_INS_MAX {
            return answer(connection, Err(Refusal::Overloaded("sign-ins under way")), cx);
        }
        let key = match &credential {
            Credential::Guest { device_id, name } => match check_guest(device_id, name) {
                Ok(()) => record::guest_key(&SecretHash::of(device_id)),
                Err(refusal) => return answer(connection, Err(refusal), cx),
            },
            Credential::Session(token) => record::session_key(&SecretHash::of(token)),
        };
        let deadline = cx.now.plus_ms(SIGN_IN_MS_MAX);
        self.wait(key, SignIn { connection, deadline, credential, session: None }, cx);
    }

    /// Puts a sign-in behind those that wait for the same key; the first one asks for it.
    fn wait(&mut self, key: String, sign_in: SignIn, cx: &mut Context<'_>) {
        self.deadlines.set((sign_in.connection, key.clone()), sign_in.deadline);
        let queue = self.waiting.entry(key.clone()).or_default();
        queue.push(sign_in);
        if queue.len() == 1 {
            cx.send(Load { key });
        }
    }

    fn loaded(&mut self, key: &str, value: Result<Option<Vec<u8>>, ()>, cx: &mut Context<'_>) {
        let Some(queue) = self.waiting.get_mut(key) else {
            return; // Everyone who waited for it has given up.
        };
        let sign_in = queue.remove(0);
        if queue.is_empty() {
            self.waiting.remove(key);
        } else {
            // The next one asks again: this one may be about to write what it will find.
            cx.send(Load { key: key.to_owned() });
        }
        self.deadlines.clear(&(sign_in.connection, key.to_owned()));
        let connection = sign_in.connection;
        let outcome = match value {
            Err(()) => Err(Refusal::ServiceDown(ServiceName::Db)),
            Ok(value) => self.proceed(key, sign_in, value, cx),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(identity)) => answer(connection, Ok(identity), cx),
            Err(refusal) => answer(connection, Err(refusal), cx),
        }
    }

    /// Takes a sign-in from the record it waited for to the next one, or to its end.
    fn proceed(
        &mut self,
        key: &str,
        mut sign_in: SignIn,
        value: Option<Vec<u8>>,
        cx: &mut Context<'_>,
    ) -> Result<Option<Identity>, Refusal> {
        if let Some((user, token, expires)) = sign_in.session.take() {
            let value = value.ok_or(Refusal::Internal("a session without its user"))?;
            let known: UserRecord = decode(key, &value, cx)?;
            return Ok(Some(welcome(user, known, token, expires, &sign_in.credential, cx)));
        }
        let (user, token, expires) = match (&sign_in.credential, value) {
            (Credential::Guest { device_id, name }, None) => {
                return Ok(Some(register(device_id, name, cx)));
            }
            (Credential::Guest { .. }, Some(value)) => {
                let guest: GuestRecord = decode(key, &value, cx)?;
                let (token, expires) = open_session(guest.user, cx);
                (guest.user, token, expires)
            }
            (Credential::Session(_), None) => {
                return Err(Refusal::BadToken("this session is unknown or has ended: sign in again"));
            }
            (Credential::Session(token), Some(value)) => {
                let session: SessionRecord = decode(key, &value, cx)?;
                if session.expires <= cx.now {
                    cx.delete(key.to_owned());
                    return Err(Refusal::BadToken("this session has expired: sign in again"));
                }
                (session.user, token.clone(), session.expires)
            }
        };
        sign_in.session = Some((user, token, expires));
        self.wait(record::user_key(user), sign_in, cx);
        Ok(None)
    }

    fn expire(&mut self, cx: &mut Context<'_>) {
        while let Some((connection, key)) = self.deadlines.pop_due(cx.now) {
            if let Some(queue) = self.waiting.get_mut(&key) {
                queue.retain(|sign_in| sign_in.connection != connection);
                if queue.is_empty() {
                    self.waiting.remove(&key);
                }
            }
            answer(connection, Err(Refusal::TimedOut("signing in")), cx);
        }
    }
}

fn check_guest(device_id: &str, name: &str) -> Result<(), Refusal> {
    if !DEVICE_ID_CHARS.contains(&device_id.chars().count()) {
        return Err(Refusal::Invalid("device_id needs 16 to 128 characters from a secure random source".to_owned()));
    }
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(Refusal::Invalid(format!(
            "the name may have {NAME_CHARS_MAX} characters, none of them control characters"
        )));
    }
    Ok(())
}

/// A device that was never seen: a new user.
fn register(device_id: &str, name: &str, cx: &mut Context<'_>) -> Identity {
    let user = UserId(cx.rng.next_u64());
    let name = match name.trim() {
        "" => format!("Guest {:04}", user.0 % 10_000),
        name => name.to_owned(),
    };
    let record = UserRecord { name, created: cx.now, ratings: BTreeMap::new() };
    cx.put(record::guest_key(&SecretHash::of(device_id)), record::encode(&GuestRecord { user }));
    cx.put(record::user_key(user), record::encode(&record));
    let (session_token, session_expires) = open_session(user, cx);
    Identity { user, record, session_token, session_expires }
}

/// A user who is known; a name that came along replaces the old one.
fn welcome(
    user: UserId,
    mut record: UserRecord,
    session_token: String,
    session_expires: Time,
    credential: &Credential,
    cx: &mut Context<'_>,
) -> Identity {
    if let Credential::Guest { name, .. } = credential {
        let name = name.trim();
        if !name.is_empty() && name != record.name {
            name.clone_into(&mut record.name);
            cx.put(record::user_key(user), record::encode(&record));
        }
    }
    Identity { user, record, session_token, session_expires }
}

fn open_session(user: UserId, cx: &mut Context<'_>) -> (String, Time) {
    let token = Secret::draw(cx.rng);
    let expires = cx.now.plus_ms(SESSION_MS);
    let session = SessionRecord { user, created: cx.now, expires };
    cx.put(record::session_key(&token.hash()), record::encode(&session));
    (token.expose().to_owned(), expires)
}

fn decode<T: serde::de::DeserializeOwned>(key: &str, value: &[u8], cx: &mut Context<'_>) -> Result<T, Refusal> {
    record::decode(key, value).map_err(|unreadable| {
        cx.fault(unreadable.to_string());
        Refusal::Internal("a stored record cannot be read")
    })
}

fn answer(connection: ConnectionId, result: Result<Identity, Refusal>, cx: &mut Context<'_>) {
    cx.send(lobby::Event::ResSignIn { connection, result: result.map(Box::new) });
}
