//! What is done with an account once a job holds it: sign in, refresh, list, link, end, ban, export.
//!
//! Invariant: nothing is answered that the writes of the same step do not make true.

use super::account::{self, Account, Ban, Kind, Presented};
use super::identity::{IdentityKey, IdentityRecord};
use super::{Action, Answer, Identity, Order, Outcome};
use crate::config::{self, Sessions};
use crate::ids::{SessionId, Time, UserId};
use crate::record::{self, UserRecord};
use crate::refusal::Refusal;
use crate::{Context, db, lobby};

/// Has Db remove all that it keeps of a user whose account was deleted some time ago.
pub(super) fn forget(user: UserId, cx: &mut Context<'_>) {
    let request = Box::new(db::Request::Forget(user));
    cx.send(db::Event::Req { caller: db::Caller::Host, asker: db::Asker::Nobody, request });
}

/// An account that a job holds.
pub(super) struct Open {
    pub user: UserId,
    pub account: Account,
    pub profile: UserRecord,
    /// The session with which the user is in the lobby.
    pub online: Option<SessionId>,
    /// Else that a session was used is not noted.
    pub may_write: bool,
}

impl Open {
    pub fn resume(&mut self, token: String, cx: &mut Context<'_>) -> Outcome {
        let presented = Presented::parse(Kind::Session, &token)?;
        let found = self.account.present(&presented, cx.now)?;
        self.account.check_open(cx.now)?;
        if found.changed && self.may_write {
            self.save(cx);
        }
        let tokens = account::Tokens {
            session: token,
            session_expires: found.token_expires,
            refresh: String::new(),
            refresh_expires: found.expires,
        };
        Ok(self.signed_in(found.session, tokens))
    }

    pub fn sign_in(&mut self, name: &str, device: String, rules: &config::Auth, cx: &mut Context<'_>) -> Outcome {
        self.account.check_open(cx.now)?;
        if rules.sessions == Sessions::Refuse && self.online.is_some() {
            return Err(Refusal::Busy("you are signed in elsewhere: sign out there first".into()));
        }
        let name = name.trim();
        if !name.is_empty() && name != self.profile.name {
            name.clone_into(&mut self.profile.name);
            cx.put(record::user_key(self.user), record::encode(&self.profile));
        }
        let (tokens, session, ended) = self.account.open_session(self.user, device, rules, cx.now, cx.rng);
        self.save(cx);
        self.tell_ended(ended, Refusal::TakenOver, cx);
        Ok(self.signed_in(session, tokens))
    }

    pub fn refresh(&mut self, token: String, rules: &config::Auth, cx: &mut Context<'_>) -> Outcome {
        self.account.check_open(cx.now)?;
        let presented = Presented::parse(Kind::Refresh, &token)?;
        match self.account.refresh(&presented, rules, cx.now, cx.rng) {
            Ok((tokens, session)) => {
                self.save(cx);
                Ok(self.signed_in(session, tokens))
            }
            Err(not) => {
                if let account::NotRefreshed::Reused(ended) = not {
                    self.save(cx);
                    self.tell_ended(vec![ended], Refusal::SessionEnded, cx);
                }
                Err(not.into())
            }
        }
    }

    pub fn own(
        &mut self,
        token: &str,
        action: Action,
        identity: Option<(IdentityKey, Option<IdentityRecord>)>,
        password: Option<String>,
        cx: &mut Context<'_>,
    ) -> Outcome {
        let found = self.account.present(&Presented::parse(Kind::Session, token)?, cx.now)?;
        let own = found.session;
        if found.changed && self.may_write {
            self.save(cx);
        }
        match action {
            Action::SignOut => self.end_session(own, cx),
            Action::EndSession(id) => self.end_session(id, cx),
            Action::SignOutEverywhere => {
                let ended = self.account.end_sessions(None);
                self.save(cx);
                self.tell_ended(ended, Refusal::SessionEnded, cx);
                Ok(Answer::Done)
            }
            Action::Show => Ok(Answer::Account {
                sessions: self.account.infos(Some(own)),
                identities: self.account.identities.iter().map(|linked| linked.key.label()).collect(),
            }),
            Action::Link(_) => {
                self.account.check_open(cx.now)?;
                let (key, _) = identity.ok_or(Refusal::Internal("nothing to link".into()))?;
                self.link(key, password, own, cx)
            }
            Action::Unlink(label) => self.unlink(&label, cx),
            Action::Export => Ok(self.export()),
            Action::Delete => {
                for linked in &self.account.identities {
                    cx.delete(linked.key.record_key());
                }
                cx.delete(record::account_key(self.user));
                cx.delete(record::user_key(self.user));
                // What Db keeps is removed by Db; the order stays until that is done, also over a crash. The lobby
                // passes it on, behind what it has asked for a user who was just coming in.
                cx.put(record::forget_key(self.user), Vec::new());
                cx.send(lobby::Event::SynAccountDeleted { user: self.user });
                Ok(Answer::Done)
            }
        }
    }

    fn link(&mut self, key: IdentityKey, password: Option<String>, own: SessionId, cx: &mut Context<'_>) -> Outcome {
        let linked = self.account.identities.iter().any(|linked| linked.key == key);
        if !linked {
            if self.account.identities.len() >= account::IDENTITIES_MAX {
                return Err(Refusal::Invalid(format!("an account has at most {} identities", account::IDENTITIES_MAX)));
            }
            self.account.identities.push(account::Linked { key: key.clone(), since: cx.now });
        } else if password.is_some() {
            // Who changes a password may be shutting somebody out.
            let ended = self.account.end_sessions(Some(own));
            self.tell_ended(ended, Refusal::SessionEnded, cx);
        }
        cx.put(key.record_key(), record::encode(&IdentityRecord { user: self.user, password }));
        self.save(cx);
        Ok(Answer::Done)
    }

    fn unlink(&mut self, label: &str, cx: &mut Context<'_>) -> Outcome {
        let index = self.account.identities.iter().position(|linked| linked.key.label() == label);
        let index = index.ok_or_else(|| Refusal::NotFound(format!("identity {label:?} of your account")))?;
        if self.account.identities.len() == 1 {
            let text = "this is the last way into your account: link another one first, or delete the account";
            return Err(Refusal::Invalid(text.to_owned()));
        }
        let linked = self.account.identities.remove(index);
        cx.delete(linked.key.record_key());
        self.save(cx);
        Ok(Answer::Done)
    }

    pub fn order(&mut self, order: Order, cx: &mut Context<'_>) -> Outcome {
        match order {
            Order::Ban { reason, until } => {
                self.account.ban = Some(Ban { reason: reason.clone(), until, since: cx.now });
                self.account.end_sessions(None);
                self.save(cx);
                let refusal = Refusal::Banned { reason, until };
                cx.send(lobby::Event::SynAccountClosed { user: self.user, refusal });
                Ok(Answer::Done)
            }
            Order::Unban => {
                self.account.ban = None;
                self.save(cx);
                Ok(Answer::Done)
            }
            Order::EndSession(id) => self.end_session(id, cx),
            Order::Export => Ok(self.export()),
        }
    }

    fn end_session(&mut self, id: SessionId, cx: &mut Context<'_>) -> Outcome {
        if !self.account.end_session(id) {
            return Err(Refusal::NotFound(format!("session {id}")));
        }
        self.save(cx);
        self.tell_ended(vec![id], Refusal::SessionEnded, cx);
        Ok(Answer::Done)
    }

    pub fn sweep(&mut self, key: String, cx: &mut Context<'_>) -> Outcome {
        cx.delete(key);
        self.account.sweep_hour = None;
        self.save(cx);
        Ok(Answer::Done)
    }

    fn save(&mut self, cx: &mut Context<'_>) {
        save(self.user, &mut self.account, cx);
    }

    fn signed_in(&self, session: SessionId, tokens: account::Tokens) -> Answer {
        let record = self.profile.clone();
        Answer::SignedIn(Box::new(Identity { user: self.user, record, session, tokens, created: false }))
    }

    fn tell_ended(&self, sessions: Vec<SessionId>, refusal: Refusal, cx: &mut Context<'_>) {
        if !sessions.is_empty() {
            cx.send(lobby::Event::SynSessionsEnded { user: self.user, sessions, refusal });
        }
    }

    /// All that is kept about the user, without what opens doors.
    fn export(&self) -> Answer {
        let moment = |time: Time| time.utc();
        let account = &self.account;
        let identities = account
            .identities
            .iter()
            .map(|linked| serde_json::json!({ "identity": linked.key.label(), "linked": moment(linked.since) }));
        let sessions = account.infos(None).into_iter().map(|session| {
            serde_json::json!({
                "session": session.id.to_string(),
                "device": session.device,
                "created": moment(session.created),
                "used": moment(session.used),
                "expires": moment(session.expires),
            })
        });
        let ban = account.ban.as_ref().map(|ban| {
            serde_json::json!({ "reason": ban.reason, "since": moment(ban.since), "until": ban.until.map(moment) })
        });
        let export = serde_json::json!({
            "user_id": self.user.to_string(),
            "name": self.profile.name,
            "created": moment(account.created),
            "identities": identities.collect::<Vec<_>>(),
            "sessions": sessions.collect::<Vec<_>>(),
            "ban": ban,
        });
        Answer::Export(self.user, export)
    }
}

/// Writes an account, without what has expired, and sees to it that it is looked at when the next
/// session of it expires.
pub(super) fn save(user: UserId, account: &mut Account, cx: &mut Context<'_>) {
    account.forget_expired(cx.now);
    if let Some(next) = account.next_sweep_hour()
        && account.sweep_hour.is_none_or(|hour| next < hour)
    {
        account.sweep_hour = Some(next);
        cx.put(record::expiry_key(next, user), Vec::new());
    }
    cx.put(record::account_key(user), record::encode(account));
}
