//! Auth under requests in any order, with a store and a host that answer late, wrongly or never.
//!
//! Whatever the records say, every request is answered once, at its deadline at the latest; what is
//! written can be read; and Auth never wants to be woken for what it has just done.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use scenehost_core::auth::account::Account;
use scenehost_core::auth::identity::{IdentityKey, IdentityRecord};
use scenehost_core::auth::{
    Action, Answer, Asker, Auth, Check, Checked, Credential, Event, Order, REQUEST_MS_MAX, Request, Work,
};
use scenehost_core::config::{self, Sessions};
use scenehost_core::db;
use scenehost_core::read::{Load, Scan};
use scenehost_core::record::{self, UserRecord};
use scenehost_core::{
    ConnectionId, Context, Effects, Message, Refusal, Service, ServiceName, SessionId, Time, UserId, Write, lobby,
};

use crate::script::Script;

const STEPS_MAX: usize = 256;
const DEVICES: [&str; 3] = ["0123456789abcdef", "fedcba9876543210", "short"];
const NAMES: [&str; 3] = ["ada", "Bob", "no name"];
const PASSWORDS: [&str; 3] = ["correct horse", "battery staple", "short"];

/// A script of requests, answers and time.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let mut host = Host::new(&mut script);
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        host.next(&mut script);
    }
    host.settle();
}

/// Auth, and what the host would do for it.
struct Host {
    auth: Auth,
    now: Time,
    rng: ChaCha20Rng,
    store: BTreeMap<String, Vec<u8>>,
    loads: Vec<Load>,
    scans: Vec<Scan>,
    checks: Vec<Check>,
    /// The requests that wait for their answer.
    asked: BTreeSet<u64>,
    last_asked: u64,
    /// What users know by now.
    session_tokens: Vec<String>,
    refresh_tokens: Vec<String>,
    users: Vec<UserId>,
    sessions: Vec<SessionId>,
}

impl Host {
    fn new(script: &mut Script) -> Self {
        let sessions = [Sessions::Most(8), Sessions::Newest, Sessions::Refuse, Sessions::Most(2)];
        let sessions = sessions[script.below(sessions.len())];
        let rules = config::Auth { sessions, ..config::Auth::default() };
        Self {
            auth: Auth::new(rules),
            now: Time(1_000_000),
            rng: ChaCha20Rng::seed_from_u64(7),
            store: BTreeMap::new(),
            loads: Vec::new(),
            scans: Vec::new(),
            checks: Vec::new(),
            asked: BTreeSet::new(),
            last_asked: 0,
            session_tokens: Vec::new(),
            refresh_tokens: Vec::new(),
            users: vec![UserId(1)],
            sessions: vec![SessionId(1)],
        }
    }

    fn next(&mut self, script: &mut Script) {
        let byte = script.byte();
        // So that the inputs that are kept go on meaning what they meant.
        if byte >= 252 {
            let up = script.chance();
            self.step(Event::Service { service: ServiceName::Db, up });
            assert_eq!(self.auth.speaks_at_once(), !up);
            return;
        }
        match byte % 12 {
            0 | 1 => self.ask(script),
            2 | 3 => {
                self.ask(script);
                self.answer_everything();
            }
            4 | 5 => self.answer_load(script),
            6 => self.answer_check(script),
            7 => self.answer_scan(script),
            8 => self.answer_everything(),
            9 => self.damage(script),
            10 => {
                let session = script.chance().then(|| script.choice(&self.sessions)).flatten();
                let user = script.choice(&self.users).expect("there is always one");
                self.step(Event::SynOnline { user, session });
            }
            _ => {
                self.now = self.now.plus_ms(script.span_ms());
                self.tick();
            }
        }
    }

    fn ask(&mut self, script: &mut Script) {
        let request = self.request(script);
        self.last_asked += 1;
        let number = self.last_asked;
        // Who comes by the lobby and who by the door have numbers of one kind here.
        let asker = match (&request, script.chance()) {
            (Request::SignIn { .. }, true) => Asker::Lobby(ConnectionId(number)),
            _ => Asker::Door(number),
        };
        self.asked.insert(number);
        self.step(Event::Req { asker, request: Box::new(request) });
    }

    fn request(&self, script: &mut Script) -> Request {
        match script.below(6) {
            0 | 1 => Request::SignIn {
                credential: self.credential(script),
                name: if script.chance() { script.text() } else { String::new() },
                device: if script.chance() { script.text() } else { "a test".to_owned() },
            },
            2 => Request::Refresh(known_or_not(&self.refresh_tokens, script)),
            3 | 4 => Request::Own { token: known_or_not(&self.session_tokens, script), action: self.action(script) },
            _ => Request::Operator {
                user: script.choice(&self.users).expect("there is always one"),
                order: self.order(script),
            },
        }
    }

    fn credential(&self, script: &mut Script) -> Credential {
        match script.below(7) {
            0 => Credential::Guest(DEVICES[script.below(3)].to_owned()),
            1 => Credential::Guest(script.text()),
            2 => Credential::Password {
                name: NAMES[script.below(3)].to_owned(),
                password: PASSWORDS[script.below(3)].to_owned(),
                create: script.chance(),
            },
            3 => Credential::Password { name: script.text(), password: script.text(), create: script.chance() },
            4 => Credential::Oidc { provider: "issuer".to_owned(), token: script.text() },
            5 => Credential::Custom(script.text()),
            _ => Credential::Session(known_or_not(&self.session_tokens, script)),
        }
    }

    fn action(&self, script: &mut Script) -> Action {
        match script.below(8) {
            0 => Action::SignOut,
            1 => Action::SignOutEverywhere,
            2 => Action::Show,
            3 => Action::EndSession(script.choice(&self.sessions).expect("there is always one")),
            4 => Action::Link(self.credential(script)),
            5 => Action::Unlink(if script.chance() { "name/ada".to_owned() } else { script.text() }),
            6 => Action::Export,
            _ => Action::Delete,
        }
    }

    fn order(&self, script: &mut Script) -> Order {
        match script.below(4) {
            0 => {
                Order::Ban { reason: script.text(), until: script.chance().then(|| self.now.plus_ms(script.span_ms())) }
            }
            1 => Order::Unban,
            2 => Order::EndSession(script.choice(&self.sessions).expect("there is always one")),
            _ => Order::Export,
        }
    }

    /// One answer of the store: the truth, a failure, or anything else.
    fn answer_load(&mut self, script: &mut Script) {
        if self.loads.is_empty() {
            // To nothing that was asked.
            let values = Ok(vec![Some(script.bytes().to_vec())]);
            return self.step(Event::Loaded { job: u64::from(script.byte()), values });
        }
        let load = self.loads.swap_remove(script.below(self.loads.len().min(256)));
        let mut values: Vec<Option<Vec<u8>>> = load.keys.iter().map(|key| self.store.get(key).cloned()).collect();
        let values = match script.below(8) {
            0..=2 => Ok(values),
            3 => Err(()),
            4 => {
                values.truncate(script.below(2));
                Ok(values)
            }
            5 => Ok(values.iter().map(|_| Some(script.bytes().to_vec())).collect()),
            6 => Ok(values.iter().map(|_| self.any_value(script)).collect()),
            _ => {
                values.iter_mut().flatten().for_each(|value| change(value, script));
                Ok(values)
            }
        };
        self.step(Event::Loaded { job: load.job, values });
    }

    /// A value of the store, of whichever key.
    fn any_value(&self, script: &mut Script) -> Option<Vec<u8>> {
        let index = script.below(self.store.len().clamp(1, 256));
        self.store.values().nth(index).cloned()
    }

    fn answer_check(&mut self, script: &mut Script) {
        let (job, wanted) = match self.checks.is_empty() {
            true => (u64::from(script.byte()), None),
            false => {
                let Check { job, work } = self.checks.swap_remove(script.below(self.checks.len().min(256)));
                (job, Some(work))
            }
        };
        let result = match script.below(8) {
            0 => Err(Refusal::Overloaded("passwords being checked".into())),
            1 => Ok(Checked::Hashed(script.text())),
            2 => Ok(Checked::Verified(script.chance())),
            3 => IdentityKey::oidc("https://issuer.test", &script.text()).map(Checked::Subject),
            _ => wanted.map_or(Ok(Checked::Verified(true)), |work| checked(&work)),
        };
        self.step(Event::Checked { job, result });
    }

    fn answer_scan(&mut self, script: &mut Script) {
        if self.scans.is_empty() {
            return;
        }
        let scan = self.scans.swap_remove(0);
        let mut keys = self.keys(&scan);
        let keys = match script.below(4) {
            0 | 1 => Ok(keys),
            2 => Err(()),
            _ => {
                keys.push(script.text());
                Ok(keys)
            }
        };
        self.step(Event::Scanned { keys });
    }

    fn keys(&self, scan: &Scan) -> Vec<String> {
        let keys = self.store.range(scan.from.clone()..scan.to.clone()).take(scan.limit);
        keys.map(|(key, _)| key.clone()).collect()
    }

    /// The store and the host are well for a while.
    fn answer_everything(&mut self) {
        for _ in 0..STEPS_MAX {
            if let Some(Load { job, keys }) = self.loads.pop() {
                let values = Ok(keys.iter().map(|key| self.store.get(key).cloned()).collect());
                self.step(Event::Loaded { job, values });
            } else if let Some(Check { job, work }) = self.checks.pop() {
                self.step(Event::Checked { job, result: checked(&work) });
            } else if let Some(scan) = self.scans.pop() {
                let keys = Ok(self.keys(&scan));
                self.step(Event::Scanned { keys });
            } else {
                return;
            }
        }
    }

    /// A record of the store is not what was written any more.
    fn damage(&mut self, script: &mut Script) {
        let index = script.below(self.store.len().clamp(1, 256));
        if let Some(value) = self.store.values_mut().nth(index) {
            change(value, script);
        }
    }

    fn tick(&mut self) {
        self.step(Event::Tick);
        assert!(self.auth.deadline().is_some_and(|deadline| deadline > self.now), "woken for what is done");
    }

    fn step(&mut self, event: Event) {
        let mut out = Effects::default();
        let at_once = self.auth.speaks_at_once();
        self.auth.step(event, &mut Context { now: self.now, rng: &mut self.rng, out: &mut out });
        assert!(!at_once && !self.auth.speaks_at_once() || out.writes.is_empty(), "written while the store is down");
        for write in out.writes {
            match write {
                Write::Put { key, value } => {
                    can_be_read(&key, &value);
                    self.store.insert(key, value);
                }
                Write::Delete { key } => _ = self.store.remove(&key),
            }
        }
        for message in out.messages {
            match message {
                Message::Load(load) => self.loads.push(load),
                Message::Scan(scan) => self.scans.push(scan),
                Message::Check(check) => self.checks.push(check),
                Message::Door(number, result) => self.answered(number, result.map(|answer| *answer)),
                Message::Lobby(lobby::Event::ResSignIn { connection, result }) => {
                    self.answered(connection.0, result.map(Answer::SignedIn));
                }
                Message::Lobby(lobby::Event::SynSessionsEnded { sessions, .. }) => assert!(!sessions.is_empty()),
                Message::Lobby(lobby::Event::SynAccountClosed { .. } | lobby::Event::SynAccountDeleted { .. }) => {}
                Message::Db(db::Event::Req { request, .. }) if matches!(*request, db::Request::Forget(_)) => {}
                other => panic!("Auth has nothing to say to {other:?}"),
            }
        }
    }

    fn answered(&mut self, number: u64, result: Result<Answer, Refusal>) {
        assert!(self.asked.remove(&number), "request {number} is answered, and was not asked or was answered before");
        match result {
            Ok(Answer::SignedIn(identity)) => {
                self.users.push(identity.user);
                self.sessions.push(identity.session);
                self.session_tokens.push(identity.tokens.session);
                // Who signs in with a session token has its other half already.
                self.refresh_tokens.extend(Some(identity.tokens.refresh).filter(|token| !token.is_empty()));
            }
            Ok(Answer::Export(_, export)) => assert!(export.is_object()),
            Ok(Answer::Account { identities, .. }) => assert!(identities.iter().all(|label| !label.is_empty())),
            Ok(Answer::Done) => {}
            Err(refusal) => assert!(!refusal.to_string().is_empty()),
        }
    }

    /// Nobody answers Auth any more, and time passes.
    fn settle(mut self) {
        self.now = self.now.plus_ms(REQUEST_MS_MAX);
        self.tick();
        assert_eq!(self.auth.requests(), 0, "requests end by their deadline");
        assert!(self.asked.is_empty(), "not answered: {:?}", self.asked);
    }
}

/// A token that was given to a user, or one that is almost the same.
fn known_or_not(tokens: &[String], script: &mut Script) -> String {
    let token = script.choice(tokens).unwrap_or_default();
    if script.below(8) > 0 {
        return token;
    }
    let mut bytes = token.into_bytes();
    change(&mut bytes, script);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What the host would say to this.
fn checked(work: &Work) -> Result<Checked, Refusal> {
    let hash = |password: &str| format!("hash of {password}");
    match work {
        Work::HashPassword(password) => Ok(Checked::Hashed(hash(password))),
        Work::VerifyPassword { password, hash: right } => {
            Ok(Checked::Verified(right.as_ref().is_some_and(|right| *right == hash(password))))
        }
        Work::CheckIdToken { token, .. } => IdentityKey::oidc("https://issuer.test", token).map(Checked::Subject),
    }
}

/// One byte is another, or the end is missing.
fn change(value: &mut Vec<u8>, script: &mut Script) {
    let at = usize::from(script.byte()) + 256 * script.below(4);
    match (value.get_mut(at), script.byte()) {
        (Some(_), 0) => value.truncate(at),
        (Some(byte), change) => *byte ^= change,
        (None, _) => {}
    }
}

fn can_be_read(key: &str, value: &[u8]) {
    let kind = key.split('/').next().unwrap_or_default();
    let unreadable = match kind {
        "account" => record::decode::<Account>(key, value).err(),
        "identity" => record::decode::<IdentityRecord>(key, value).err(),
        "user" => record::decode::<UserRecord>(key, value).err(),
        "expiry" if record::expiry_user(key).is_some() => None,
        // An order to Db.
        "forget" if value.is_empty() => None,
        _ => panic!("Auth has no record {key}"),
    };
    assert!(unreadable.is_none(), "{unreadable:?}");
}
