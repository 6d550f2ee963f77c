//! An account as Auth keeps it: the identities that lead to it, its sessions, its ban.
//!
//! Invariant: everything that decides whether a token is good stands in this one record, so every
//! change of it is one write: what was revoked stays revoked, whatever crashes.
//!
//! A session is a family of tokens that replace each other. A refresh makes the next pair; the old
//! pair stays good until the new one is used for the first time, so that an answer that was lost on
//! its way signs nobody out. After that, whoever presents an older refresh token has a copy of it,
//! and the whole family ends (the reuse detection of RFC 9700, section 4.14.2).

use serde::{Deserialize, Serialize};

use super::identity::IdentityKey;
use crate::config;
use crate::ids::{SessionId, Time, UserId};
use crate::refusal::Refusal;
use crate::token::{Secret, SecretHash};

/// The most sessions of one account; more than any policy may ask for.
pub const SESSIONS_MAX: usize = 64;
/// The most identities of one account.
pub const IDENTITIES_MAX: usize = 16;
/// A session's last use is written down when it is older than this.
const USED_MS: u64 = 3_600_000;
const HOUR_MS: u64 = 3_600_000;

/// The record of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// When the account was made.
    pub created: Time,
    /// What leads to it; never empty.
    pub identities: Vec<Linked>,
    /// The sessions that have not ended.
    #[serde(default)]
    pub sessions: Vec<Session>,
    /// Whether it is shut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ban: Option<Ban>,
    /// The hour (since 1970) in which the account is looked at for sessions that have expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep_hour: Option<u64>,
}

/// An identity of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// Where its record is.
    pub key: IdentityKey,
    /// Since when it leads to this account.
    pub since: Time,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What is common to all tokens of this session.
    family: SecretHash,
    /// What the user sees of the device, in the client's words.
    device: String,
    created: Time,
    used: Time,
    /// When it ends unless it is refreshed.
    expires: Time,
    current: Pair,
    /// The next pair, until it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Pair>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pair {
    session: SecretHash,
    session_expires: Time,
    refresh: SecretHash,
}

/// Why an account is shut, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// For the user to read.
    pub reason: String,
    /// The end of it; `None`: it has none.
    pub until: Option<Time>,
    /// When it was imposed.
    pub since: Time,
}

/// The secrets of a session, as its holder gets them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Signs in; short-lived.
    pub session: String,
    /// When it ends.
    pub session_expires: Time,
    /// Gets the next pair, once; empty when the holder has it already.
    pub refresh: String,
    /// When it ends.
    pub refresh_expires: Time,
}

/// A session as its user may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Names it, opens nothing.
    pub id: SessionId,
    /// The device, in the client's words.
    pub device: String,
    /// When it began.
    pub created: Time,
    /// When it was used, to the hour.
    pub used: Time,
    /// When it ends unless it is used.
    pub expires: Time,
    /// Whether it is the asker's own.
    pub own: bool,
}

/// A token that was presented, in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Whose account it names; nothing is proven by that.
    pub user: UserId,
    family: Secret,
    secret: SecretHash,
}

/// Which of the two tokens of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Signs in.
    Session,
    /// Gets the next pair.
    Refresh,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Self::Session => 's',
            Self::Refresh => 'r',
        }
    }
}

/// How long the text of a family's common part is: 128 bits.
const FAMILY_CHARS: usize = 32;
const USER_CHARS: usize = 16;
const SECRET_CHARS: usize = 64;

/// The text of a token: its kind, the account, the family, the secret.
fn token_text(kind: Kind, user: UserId, family: &Secret, secret: &Secret) -> String {
    format!("{}{user}.{}.{}", kind.letter(), family.expose(), secret.expose())
}

impl Presented {
    /// The parts of a token of this kind.
    ///
    /// # Errors
    ///
    /// When the text is no such token; nothing of it is repeated in the refusal.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, Refusal> {
        let parts = || {
            let mut parts = text.strip_prefix(kind.letter())?.split('.');
            let (user, family, secret) = (parts.next()?, parts.next()?, parts.next()?);
            let whole = parts.next().is_none()
                && (user.len(), family.len(), secret.len()) == (USER_CHARS, FAMILY_CHARS, SECRET_CHARS);
            let user = whole.then(|| user.parse().ok())??;
            Some(Self { user, family: Secret::from_holder(family), secret: SecretHash::of(secret) })
        };
        parts().ok_or(match kind {
            Kind::Session => Refusal::BadToken("this is no session token: sign in again".into()),
            Kind::Refresh => Refusal::BadToken("this is no refresh token: sign in again".into()),
        })
    }
}

/// What a session token was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Which session.
    pub session: SessionId,
    /// When the token ends.
    pub token_expires: Time,
    /// When the session ends unless it is refreshed.
    pub expires: Time,
    /// Whether the record has changed and is to be written.
    pub changed: bool,
}

/// Why there is no next pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRefreshed {
    /// The session is unknown, has ended or has expired.
    Unknown,
    /// The token had been replaced by one that was used: this session has now ended.
    Reused(SessionId),
}

impl From<NotRefreshed> for Refusal {
    fn from(not: NotRefreshed) -> Self {
        Self::BadToken(match not {
            NotRefreshed::Unknown => "this session has ended: sign in again".into(),
            NotRefreshed::Reused(_) => {
                "this refresh token was used before, so somebody has a copy of it: the session has ended, sign in again"
                    .into()
            }
        })
    }
}

impl Session {
    fn id(&self) -> SessionId {
        SessionId(self.family.prefix())
    }

    fn promote(&mut self) {
        if let Some(next) = self.next.take() {
            self.current = next;
        }
    }
}

impl Account {
    /// An account that begins with this identity.
    pub fn new(identity: IdentityKey, now: Time) -> Self {
        let identities = vec![Linked { key: identity, since: now }];
        Self { created: now, identities, sessions: Vec::new(), ban: None, sweep_hour: None }
    }

    /// Why nobody may sign in, if so.
    ///
    /// # Errors
    ///
    /// [`Refusal::Banned`].
    pub fn check_open(&self, now: Time) -> Result<(), Refusal> {
        match &self.ban {
            Some(ban) if ban.until.is_none_or(|until| until > now) => {
                Err(Refusal::Banned { reason: ban.reason.clone(), until: ban.until })
            }
            _ => Ok(()),
        }
    }

    /// Begins a session. Those that had to end for it, by the policy, are told.
    pub fn open_session(
        &mut self,
        user: UserId,
        device: String,
        rules: &config::Auth,
        now: Time,
        rng: &mut dyn rand_core::CryptoRng,
    ) -> (Tokens, SessionId, Vec<SessionId>) {
        self.forget_expired(now);
        let family = Secret::draw_128(rng);
        let expires = now.plus_ms(rules.refresh_ms);
        let (pair, tokens) = draw_pair(user, &family, expires, rules, now, rng);
        let session =
            Session { family: family.hash(), device, created: now, used: now, expires, current: pair, next: None };
        let id = session.id();
        self.sessions.push(session);
        let mut ended = Vec::new();
        while self.sessions.len() > rules.sessions.max() {
            // The one that was not used for the longest time; of equals the oldest. Never the new one.
            let (index, _) = self.sessions[..self.sessions.len() - 1]
                .iter()
                .enumerate()
                .min_by_key(|(_, session)| session.used)
                .expect("max is at least 1, so there is one before the new one");
            ended.push(self.sessions.remove(index).id());
        }
        (tokens, id, ended)
    }

    /// Looks a session token up. Using a new pair for the first time makes the old one void.
    ///
    /// # Errors
    ///
    /// [`Refusal::BadToken`] when it is unknown, ended, void or expired.
    pub fn present(&mut self, presented: &Presented, now: Time) -> Result<Found, Refusal> {
        let unknown = Refusal::BadToken("this session has ended: sign in again".into());
        let session =
            self.sessions.iter_mut().find(|session| session.family == presented.family.hash()).ok_or(unknown)?;
        let is_next = session.next.as_ref().is_some_and(|next| next.session == presented.secret);
        let pair = match &session.next {
            Some(next) if is_next => next,
            _ if session.current.session == presented.secret => &session.current,
            _ => {
                return Err(Refusal::BadToken(
                    "this session token was replaced: use the newest, or sign in again".into(),
                ));
            }
        };
        if pair.session_expires <= now || session.expires <= now {
            return Err(Refusal::BadToken("this session token has expired: refresh it, or sign in again".into()));
        }
        let token_expires = pair.session_expires;
        let stale = now.ms_since(session.used) >= USED_MS;
        if is_next {
            session.promote();
        }
        if is_next || stale {
            session.used = now;
        }
        Ok(Found { session: session.id(), token_expires, expires: session.expires, changed: is_next || stale })
    }

    /// The next pair of tokens for a refresh token.
    ///
    /// # Errors
    ///
    /// When there is no such session, or it has ended in this call.
    pub fn refresh(
        &mut self,
        presented: &Presented,
        rules: &config::Auth,
        now: Time,
        rng: &mut dyn rand_core::CryptoRng,
    ) -> Result<(Tokens, SessionId), NotRefreshed> {
        let unknown = || NotRefreshed::Unknown;
        let index = self.sessions.iter().position(|it| it.family == presented.family.hash()).ok_or_else(unknown)?;
        if self.sessions[index].expires <= now {
            self.sessions.remove(index);
            return Err(unknown());
        }
        let session = &mut self.sessions[index];
        if session.next.as_ref().is_some_and(|next| next.refresh == presented.secret) {
            session.promote();
        } else if session.current.refresh != presented.secret {
            return Err(NotRefreshed::Reused(self.sessions.remove(index).id()));
        }
        session.used = now;
        session.expires = now.plus_ms(rules.refresh_ms);
        let (pair, tokens) = draw_pair(presented.user, &presented.family, session.expires, rules, now, rng);
        session.next = Some(pair);
        Ok((tokens, session.id()))
    }

    /// Ends a session; false if there is none of this id.
    pub fn end_session(&mut self, id: SessionId) -> bool {
        let before = self.sessions.len();
        self.sessions.retain(|session| session.id() != id);
        self.sessions.len() != before
    }

    /// Ends all sessions but one, if one is given; which.
    pub fn end_sessions(&mut self, but: Option<SessionId>) -> Vec<SessionId> {
        let ended = self.sessions.iter().map(Session::id).filter(|id| Some(*id) != but).collect();
        self.sessions.retain(|session| Some(session.id()) == but);
        ended
    }

    /// Drops what has expired; whether that was anything.
    pub fn forget_expired(&mut self, now: Time) -> bool {
        let before = self.sessions.len();
        self.sessions.retain(|session| session.expires > now);
        let over = self.ban.as_ref().is_some_and(|ban| ban.until.is_some_and(|until| until <= now));
        if over {
            self.ban = None;
        }
        over || self.sessions.len() != before
    }

    /// The hour after which the first session has expired.
    pub fn next_sweep_hour(&self) -> Option<u64> {
        self.sessions.iter().map(|session| session.expires.0 / HOUR_MS + 1).min()
    }

    /// The sessions, for their user.
    pub fn infos(&self, own: Option<SessionId>) -> Vec<SessionInfo> {
        let info = |session: &Session| SessionInfo {
            id: session.id(),
            device: session.device.clone(),
            created: session.created,
            used: session.used,
            expires: session.expires,
            own: Some(session.id()) == own,
        };
        self.sessions.iter().map(info).collect()
    }
}

/// The hour since 1970 that a moment is in.
pub fn hour_of(time: Time) -> u64 {
    time.0 / HOUR_MS
}

fn draw_pair(
    user: UserId,
    family: &Secret,
    refresh_expires: Time,
    rules: &config::Auth,
    now: Time,
    rng: &mut dyn rand_core::CryptoRng,
) -> (Pair, Tokens) {
    let (session, refresh) = (Secret::draw(rng), Secret::draw(rng));
    let session_expires = now.plus_ms(rules.session_ms).min(refresh_expires);
    let pair = Pair { session: session.hash(), session_expires, refresh: refresh.hash() };
    let tokens = Tokens {
        session: token_text(Kind::Session, user, family, &session),
        session_expires,
        refresh: token_text(Kind::Refresh, user, family, &refresh),
        refresh_expires,
    };
    (pair, tokens)
}
