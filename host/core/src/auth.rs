//! Auth: who a user is. Turns credentials into sessions, durably, and ends them.
//!
//! Invariants: what is acknowledged is in the store. A request changes an account or an identity
//! only while it holds its key, and keys are taken in one order, the identity's before the
//! account's: so requests about one account go one after the other and never wait in a circle.
//! Every request is answered, at its deadline at the latest. While the store cannot be written nothing is
//! written here either: no request that began or was under way then, so that an answer of the store that
//! does not know of a write that still waits can do no harm.
//!
//! Main type: [`Auth`]. A request is a job that takes a key, loads its records, may let the host do
//! [`event::Work`], and ends with one batch of writes and an answer.

pub mod account;
pub mod event;
pub mod identity;
mod open;
mod throttle;

use std::collections::{HashMap, VecDeque};

use crate::config;
use crate::deadlines::Deadlines;
use crate::ids::{SessionId, Time, UserId};
use crate::message::{Message, ServiceName};
use crate::read::{Load, Loaded, Scan};
use crate::record::{self, UserRecord};
use crate::refusal::Refusal;
use crate::{Context, Service, lobby};
use account::{Account, Kind, Presented};
pub use event::{Action, Answer, Asker, Check, Checked, Credential, Event, Identity, Order, Request, Work};
use identity::{IdentityKey, IdentityRecord};
use open::{Open, save};
use throttle::Throttle;

/// How many requests may be under way at once; more are refused as overloaded.
pub const REQUESTS_MAX: usize = 10_000;
/// How long a request may take.
pub const REQUEST_MS_MAX: u64 = 5_000;
/// The longest display name, in characters.
pub const NAME_CHARS_MAX: usize = 32;
/// The longest device label, in characters.
pub const DEVICE_CHARS_MAX: usize = 64;
/// The longest reason of a ban, in characters.
pub const REASON_CHARS_MAX: usize = 256;
/// How often the index of expiry is read.
pub const SWEEP_MS: u64 = 600_000;
/// How many accounts one sweep looks at; with more, the next follows at once.
const SWEEP_MAX: usize = 256;

/// A request under way.
#[derive(Debug, Clone)]
struct Job {
    asker: Asker,
    request: Request,
    /// The keys that it holds or waits for, in this order; the last one may be waited for.
    keys: Vec<String>,
    /// What it loads with the last key.
    waits_for: Waits,
    /// The identity that it is about, and its record once loaded.
    identity: Option<(IdentityKey, Option<IdentityRecord>)>,
    /// The hash of a new password.
    password: Option<String>,
    /// The store could be written all the time since it began.
    may_write: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    Identity,
    Account(UserId),
    Check,
}

/// The service.
#[derive(Debug, Clone)]
pub struct Auth {
    rules: config::Auth,
    last_job: u64,
    jobs: HashMap<u64, Job>,
    /// Who holds a key, first, and who waits for it.
    keys: HashMap<String, VecDeque<u64>>,
    deadlines: Deadlines<u64>,
    online: HashMap<UserId, SessionId>,
    throttle: Throttle,
    sweep_at: Time,
    db_up: bool,
}

/// How a request ends.
type Outcome = Result<Answer, Refusal>;
/// What a stage of a job comes to: nothing yet, or its end.
type Stage = Result<Option<Answer>, Refusal>;

impl Service for Auth {
    type Event = Event;

    fn step(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::Req { asker, request } => self.begin(asker, *request, cx),
            Event::SynOnline { user, session: Some(session) } => _ = self.online.insert(user, session),
            Event::SynOnline { user, session: None } => _ = self.online.remove(&user),
            Event::Loaded { job, values } => self.loaded(job, values, cx),
            Event::Checked { job, result } => self.checked(job, result, cx),
            Event::Scanned { keys } => self.scanned(keys, cx),
            Event::Service { service: ServiceName::Db, up } => self.db(up, cx),
            Event::Service { .. } => {}
            Event::Tick => self.expire(cx),
        }
    }

    fn tick() -> Event {
        Event::Tick
    }

    fn deadline(&self) -> Option<Time> {
        Some(self.deadlines.next().map_or(self.sweep_at, |next| next.min(self.sweep_at)))
    }

    fn store(up: bool) -> Option<Event> {
        Some(Event::Service { service: ServiceName::Db, up })
    }

    fn speaks_at_once(&self) -> bool {
        !self.db_up
    }
}

impl Auth {
    /// Auth by these rules.
    pub fn new(rules: config::Auth) -> Self {
        Self {
            rules,
            last_job: 0,
            jobs: HashMap::new(),
            keys: HashMap::new(),
            deadlines: Deadlines::default(),
            online: HashMap::new(),
            throttle: Throttle::default(),
            sweep_at: Time(0),
            db_up: true,
        }
    }

    /// The same, whose numbers begin after this one: an answer to the Auth before it must find nothing
    /// here, or one user's record would be taken for another's.
    pub fn numbered_after(mut self, last_job: u64) -> Self {
        self.last_job = last_job;
        self
    }

    /// How many requests are under way.
    pub fn requests(&self) -> usize {
        self.jobs.len()
    }

    fn begin(&mut self, asker: Asker, request: Request, cx: &mut Context<'_>) {
        if self.jobs.len() >= REQUESTS_MAX {
            return answer(asker, Err(Refusal::Overloaded("sign-ins under way".into())), cx);
        }
        if let Err(refusal) = self.check(&request) {
            return answer(asker, Err(refusal), cx);
        }
        if !self.db_up && request.must_write() {
            return answer(asker, Err(Refusal::ServiceDown(ServiceName::Db)), cx);
        }
        self.last_job += 1;
        let number = self.last_job;
        let job = Job {
            asker,
            request,
            keys: Vec::new(),
            waits_for: Waits::Check,
            identity: None,
            password: None,
            may_write: self.db_up,
        };
        self.jobs.insert(number, job);
        self.deadlines.set(number, cx.now.plus_ms(REQUEST_MS_MAX));
        let stage = self.first_stage(number, cx);
        self.end_of_stage(number, stage, cx);
    }

    /// What can be refused without a look at the store.
    fn check(&self, request: &Request) -> Result<(), Refusal> {
        match request {
            Request::SignIn { credential, name, device } => {
                check_text(name, NAME_CHARS_MAX, "the name")?;
                check_text(device, DEVICE_CHARS_MAX, "the device's label")?;
                match credential {
                    Credential::Guest(_) if !self.rules.guests => {
                        Err(Refusal::Invalid("this server takes no guests: sign in with an account".to_owned()))
                    }
                    credential => self.check_credential(credential),
                }
            }
            Request::Own { action: Action::Link(credential), .. } => match credential {
                Credential::Session(_) => Err(Refusal::Invalid("a session cannot be linked".to_owned())),
                credential => self.check_credential(credential),
            },
            Request::Operator { order: Order::Ban { reason, .. }, .. } => {
                check_text(reason, REASON_CHARS_MAX, "the reason")
            }
            _ => Ok(()),
        }
    }

    fn check_credential(&self, credential: &Credential) -> Result<(), Refusal> {
        match credential {
            Credential::Password { .. } if !self.rules.passwords => {
                Err(Refusal::Invalid("this server has no accounts with passwords".to_owned()))
            }
            Credential::Password { password, .. } => identity::check_password(password),
            Credential::Oidc { provider, token } => identity::check_id_token(provider, token),
            _ => Ok(()),
        }
    }

    fn first_stage(&mut self, number: u64, cx: &mut Context<'_>) -> Stage {
        let request = self.jobs[&number].request.clone();
        match &request {
            Request::SignIn { credential: Credential::Session(token), .. } => {
                let user = Presented::parse(Kind::Session, token)?.user;
                self.take_account(number, user, cx);
            }
            Request::SignIn { credential, .. } => self.take_credential(number, credential, cx)?,
            Request::Own { token, action: Action::Link(credential) } => {
                Presented::parse(Kind::Session, token)?;
                self.take_credential(number, credential, cx)?;
            }
            Request::Own { token, .. } => {
                let user = Presented::parse(Kind::Session, token)?.user;
                self.take_account(number, user, cx);
            }
            Request::Refresh(token) => {
                let user = Presented::parse(Kind::Refresh, token)?.user;
                self.take_account(number, user, cx);
            }
            Request::Operator { user, .. } | Request::Sweep { user, .. } => self.take_account(number, *user, cx),
        }
        Ok(None)
    }

    fn take_credential(&mut self, number: u64, credential: &Credential, cx: &mut Context<'_>) -> Result<(), Refusal> {
        let key = match credential {
            Credential::Guest(device_id) => IdentityKey::guest(device_id)?,
            Credential::Password { name, .. } => IdentityKey::name(name)?,
            Credential::Custom(id) => IdentityKey::custom(id)?,
            Credential::Oidc { provider, token } => {
                let work = Work::CheckIdToken { provider: provider.clone(), token: token.clone() };
                cx.send(Check { job: number, work });
                return Ok(());
            }
            Credential::Session(_) => return Err(Refusal::Internal("a session is no identity".into())),
        };
        self.take_identity(number, key, cx);
        Ok(())
    }

    fn take_identity(&mut self, number: u64, key: IdentityKey, cx: &mut Context<'_>) {
        let record_key = key.record_key();
        let job = self.jobs.get_mut(&number).expect("the caller's");
        job.identity = Some((key, None));
        self.take(number, record_key, Waits::Identity, cx);
    }

    fn take_account(&mut self, number: u64, user: UserId, cx: &mut Context<'_>) {
        self.take(number, record::account_key(user), Waits::Account(user), cx);
    }

    /// Takes a key, or waits for it behind others.
    fn take(&mut self, number: u64, key: String, waits_for: Waits, cx: &mut Context<'_>) {
        let job = self.jobs.get_mut(&number).expect("the caller's");
        job.waits_for = waits_for;
        job.keys.push(key.clone());
        let queue = self.keys.entry(key).or_default();
        queue.push_back(number);
        if queue.len() == 1 {
            self.load(number, cx);
        }
    }

    /// Loads what belongs to the key that the job has just got.
    fn load(&mut self, number: u64, cx: &mut Context<'_>) {
        let job = &self.jobs[&number];
        let mut keys: Vec<String> = job.keys.last().cloned().into_iter().collect();
        if let Waits::Account(user) = job.waits_for {
            keys.push(record::user_key(user));
        }
        cx.send(Load { job: number, keys });
    }

    fn loaded(&mut self, number: u64, values: Loaded, cx: &mut Context<'_>) {
        let Some(job) = self.jobs.get(&number) else { return }; // Its deadline was first.
        let stage = match (values, job.waits_for) {
            (Err(()), _) => Err(Refusal::ServiceDown(ServiceName::Db)),
            (Ok(values), Waits::Identity) => self.identity_loaded(number, values, cx),
            (Ok(values), Waits::Account(user)) => self.account_loaded(number, user, values, cx),
            (Ok(_), Waits::Check) => return,
        };
        self.end_of_stage(number, stage, cx);
    }

    fn identity_loaded(&mut self, number: u64, mut values: Vec<Option<Vec<u8>>>, cx: &mut Context<'_>) -> Stage {
        let job = self.jobs.get_mut(&number).expect("the caller's");
        let (key, known) = job.identity.as_mut().expect("its record was loaded");
        let value = values.pop().flatten();
        *known = value.map(|value| decode(&key.record_key(), &value, cx)).transpose()?;
        let known = known.clone();
        let work = |work| Check { job: number, work };
        match (&job.request, known) {
            (Request::SignIn { credential: Credential::Password { password, create, .. }, .. }, known) => {
                let password = password.clone();
                if let Some(ms) = self.throttle.wait_ms(key, cx.now).filter(|_| !*create) {
                    return Err(Refusal::TriedTooOften { ms });
                }
                if *create && known.is_some() {
                    return Err(Refusal::Taken("this name is taken: choose another one".into()));
                }
                job.waits_for = Waits::Check;
                cx.send(work(match create {
                    true => Work::HashPassword(password),
                    false => Work::VerifyPassword { password, hash: known.and_then(|known| known.password) },
                }));
                Ok(None)
            }
            (Request::SignIn { .. }, None) => self.register(number, cx).map(Some),
            (Request::SignIn { .. }, Some(known)) => {
                self.take_account(number, known.user, cx);
                Ok(None)
            }
            (Request::Own { token, action: Action::Link(credential) }, known) => {
                let user = Presented::parse(Kind::Session, token)?.user;
                let credential = credential.clone();
                if known.is_some_and(|known| known.user != user) {
                    return Err(Refusal::Taken("this belongs to another account: unlink it there first".into()));
                }
                if let Credential::Password { password, .. } = credential {
                    job.waits_for = Waits::Check;
                    cx.send(work(Work::HashPassword(password)));
                } else {
                    self.take_account(number, user, cx);
                }
                Ok(None)
            }
            _ => Err(Refusal::Internal("a request without an identity has loaded one".into())),
        }
    }

    fn checked(&mut self, number: u64, result: Result<Checked, Refusal>, cx: &mut Context<'_>) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        if job.waits_for != Waits::Check {
            return;
        }
        let known = job.identity.as_ref().and_then(|(_, known)| known.as_ref()).map(|known| known.user);
        let own = match &job.request {
            Request::Own { token, .. } => Presented::parse(Kind::Session, token).ok().map(|presented| presented.user),
            _ => None,
        };
        if let (Ok(Checked::Verified(right)), Some((name, _))) = (&result, &job.identity) {
            match right {
                true => self.throttle.right(name),
                false => self.throttle.wrong(name, cx.now),
            }
        }
        let stage = match (result, own, known) {
            (Err(refusal), _, _) => Err(refusal),
            (Ok(Checked::Subject(key)), _, _) => {
                self.take_identity(number, key, cx);
                Ok(None)
            }
            (Ok(Checked::Verified(true)), _, Some(user)) => {
                self.take_account(number, user, cx);
                Ok(None)
            }
            (Ok(Checked::Verified(_)), _, _) => Err(Refusal::WrongPassword),
            (Ok(Checked::Hashed(hash)), own, _) => {
                job.password = Some(hash);
                match own {
                    Some(user) => {
                        self.take_account(number, user, cx);
                        Ok(None)
                    }
                    None => self.register(number, cx).map(Some),
                }
            }
        };
        self.end_of_stage(number, stage, cx);
    }

    /// A new account, for an identity that led nowhere and whose key the job holds.
    fn register(&mut self, number: u64, cx: &mut Context<'_>) -> Outcome {
        let job = &self.jobs[&number];
        let Request::SignIn { name, device, credential } = &job.request else {
            return Err(Refusal::Internal("only a sign-in makes an account".into()));
        };
        let (key, _) = job.identity.clone().ok_or(Refusal::Internal("an account needs an identity".into()))?;
        let user = UserId(cx.rng.next_u64());
        let name = match (name.trim(), credential) {
            ("", Credential::Password { name, .. }) => name.clone(),
            ("", _) => format!("Guest {:04}", user.0 % 10_000),
            (name, _) => name.to_owned(),
        };
        let record = UserRecord { name, created: cx.now };
        let identity = IdentityRecord { user, password: job.password.clone() };
        let mut account = Account::new(key.clone(), cx.now);
        let (tokens, session, _) = account.open_session(user, device.clone(), &self.rules, cx.now, cx.rng);
        cx.put(key.record_key(), record::encode(&identity));
        cx.put(record::user_key(user), record::encode(&record));
        save(user, &mut account, cx);
        Ok(Answer::SignedIn(Box::new(Identity { user, record, session, tokens, created: true })))
    }

    fn account_loaded(
        &mut self,
        number: u64,
        user: UserId,
        values: Vec<Option<Vec<u8>>>,
        cx: &mut Context<'_>,
    ) -> Stage {
        let job = self.jobs[&number].clone();
        let mut values = values.into_iter();
        let (account, profile) = (values.next().flatten(), values.next().flatten());
        let (Some(account), Some(profile)) = (account, profile) else {
            return match job.request {
                Request::Sweep { key, .. } => {
                    cx.delete(key);
                    Ok(Some(Answer::Done))
                }
                Request::Operator { .. } => Err(Refusal::NotFound(format!("user {user}"))),
                _ => Err(Refusal::BadToken("this account is not there any more".into())),
            };
        };
        let account: Account = decode(&record::account_key(user), &account, cx)?;
        let profile: UserRecord = decode(&record::user_key(user), &profile, cx)?;
        let online = self.online.get(&user).copied();
        let mut open = Open { user, account, profile, online, may_write: job.may_write };
        let rules = &self.rules;
        let answer = match job.request {
            Request::SignIn { credential: Credential::Session(token), .. } => open.resume(token, cx),
            Request::SignIn { name, device, .. } => open.sign_in(&name, device, rules, cx),
            Request::Refresh(token) => open.refresh(token, rules, cx),
            Request::Own { token, action } => open.own(&token, action, job.identity, job.password, cx),
            Request::Operator { order, .. } => open.order(order, cx),
            Request::Sweep { key, .. } => open.sweep(key, cx),
        }?;
        Ok(Some(answer))
    }

    /// After a stage: the job waits for what it has asked for, or ends.
    fn end_of_stage(&mut self, number: u64, stage: Stage, cx: &mut Context<'_>) {
        let outcome = match stage {
            Ok(None) => return,
            Ok(Some(answer)) => Ok(answer),
            Err(refusal) => Err(refusal),
        };
        self.end(number, outcome, cx);
    }

    fn end(&mut self, number: u64, outcome: Outcome, cx: &mut Context<'_>) {
        let Some(job) = self.jobs.remove(&number) else { return };
        self.deadlines.clear(&number);
        for key in job.keys {
            let Some(queue) = self.keys.get_mut(&key) else { continue };
            let held = queue.front() == Some(&number);
            queue.retain(|waiting| *waiting != number);
            match queue.front().copied() {
                None => _ = self.keys.remove(&key),
                // It loads after this job's writes: messages leave after the commit.
                Some(next) if held => self.load(next, cx),
                Some(_) => {}
            }
        }
        answer(job.asker, outcome, cx);
    }

    /// The store went down or up. Whatever would have to write is refused at its going down; the rest goes
    /// on and writes nothing, also when it ends after the store is up again.
    fn db(&mut self, up: bool, cx: &mut Context<'_>) {
        self.db_up = up;
        if up {
            return;
        }
        let mut refused = Vec::new();
        for (number, job) in &mut self.jobs {
            job.may_write = false;
            refused.extend(job.request.must_write().then_some(*number));
        }
        refused.sort_unstable();
        for number in refused {
            self.end(number, Err(Refusal::ServiceDown(ServiceName::Db)), cx);
        }
    }

    fn expire(&mut self, cx: &mut Context<'_>) {
        while let Some(number) = self.deadlines.pop_due(cx.now) {
            self.end(number, Err(Refusal::TimedOut("signing in".into())), cx);
        }
        if self.sweep_at <= cx.now {
            self.throttle.expire(cx.now);
            self.sweep_at = cx.now.plus_ms(SWEEP_MS);
            if !self.db_up {
                return; // The next sweep finds the same.
            }
            let to = record::expiry_hour_key(account::hour_of(cx.now) + 1);
            cx.send(Scan { from: record::EXPIRY_PREFIX.to_owned(), to, limit: SWEEP_MAX });
            let (from, to) = (record::FORGET_PREFIX.to_owned(), record::FORGET_PREFIX.replace('/', "0"));
            cx.send(Scan { from, to, limit: SWEEP_MAX });
        }
    }

    fn scanned(&mut self, keys: Result<Vec<String>, ()>, cx: &mut Context<'_>) {
        if !self.db_up {
            return;
        }
        let keys = keys.unwrap_or_default(); // The store's fault is in the log; the next sweep tries again.
        if keys.len() == SWEEP_MAX {
            self.sweep_at = cx.now.plus_ms(1_000);
        }
        for key in keys {
            if let Some(user) = key.strip_prefix(record::FORGET_PREFIX).and_then(|user| user.parse().ok()) {
                open::forget(user, cx);
                continue;
            }
            match record::expiry_user(&key) {
                Some(user) => self.begin(Asker::Nobody, Request::Sweep { user, key }, cx),
                None => {
                    cx.fault(format!("the key {key} of the index of expiry names no user; it is removed"));
                    cx.delete(key);
                }
            }
        }
    }
}

fn check_text(text: &str, chars_max: usize, what: &str) -> Result<(), Refusal> {
    match text.chars().count() > chars_max || text.chars().any(char::is_control) {
        true => {
            Err(Refusal::Invalid(format!("{what} may have {chars_max} characters, none of them control characters")))
        }
        false => Ok(()),
    }
}

fn decode<T: serde::de::DeserializeOwned>(key: &str, value: &[u8], cx: &mut Context<'_>) -> Result<T, Refusal> {
    record::decode(key, value).map_err(|unreadable| {
        cx.fault(unreadable.to_string());
        Refusal::Internal("a stored record cannot be read".into())
    })
}

fn answer(asker: Asker, outcome: Outcome, cx: &mut Context<'_>) {
    match asker {
        Asker::Nobody => {}
        Asker::Door(number) => cx.send(Message::Door(number, outcome.map(Box::new))),
        Asker::Lobby(connection) => {
            let result = match outcome {
                Ok(Answer::SignedIn(identity)) => Ok(identity),
                Ok(_) => Err(Refusal::Internal("the lobby asks for sign-ins only".into())),
                Err(refusal) => Err(refusal),
            };
            cx.send(lobby::Event::ResSignIn { connection, result });
        }
    }
}
