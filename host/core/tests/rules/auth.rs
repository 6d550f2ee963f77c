//! Sign-in: Auth with all around it, identities, and what goes wrong.

use std::collections::BTreeMap;

use scenehost_core::auth::identity::{ID_TOKEN_BYTES_MAX, IdentityKey, IdentityRecord};
use scenehost_core::auth::{
    Action, Answer, Asker, Auth, Check, Checked, Credential, Event, Identity, Order, REQUEST_MS_MAX, Request, SWEEP_MS,
    Work,
};
use scenehost_core::config::{self, Sessions};
use scenehost_core::db;
use scenehost_core::read::{Load, Scan};
use scenehost_core::{Effects, Message, Refusal, ServiceName, Time, UserId, Write};
use scenehost_core::{lobby, record};

use crate::table;
use crate::world::World;

pub const HOUR_MS: u64 = 3_600_000;
pub const DEVICE: &str = "0123456789abcdef";
pub const PASSWORD: &str = "correct horse";

/// Auth with a store behind it and somebody who checks passwords, as the host has it.
#[derive(Clone)]
pub struct Host {
    pub auth: World<Auth>,
    pub store: BTreeMap<String, Vec<u8>>,
    /// What the lobby was told.
    pub told: Vec<lobby::Event>,
    /// Whether Db does what it is told; else its inbox is full.
    pub db_is_there: bool,
    pub faults: usize,
}

impl Host {
    pub fn new() -> Self {
        Self::with(config::Auth::default())
    }

    fn with(rules: config::Auth) -> Self {
        Self {
            auth: World::new(Auth::new(rules)),
            store: BTreeMap::new(),
            told: Vec::new(),
            db_is_there: true,
            faults: 0,
        }
    }

    pub fn sessions(sessions: Sessions) -> Self {
        Self::with(config::Auth { sessions, ..config::Auth::default() })
    }

    /// Everything that is in memory is lost.
    pub fn restart(&mut self) {
        self.auth.service = Auth::new(config::Auth::default());
    }

    pub fn ask(&mut self, request: Request) -> Result<Answer, Refusal> {
        let effects = self.auth.step(Event::Req { asker: Asker::Door(1), request: Box::new(request) });
        let mut answers = self.follow(effects);
        assert_eq!(answers.len(), 1, "one answer a request");
        answers.remove(0)
    }

    /// Carries out everything that follows; the answers, in their order.
    pub fn follow(&mut self, effects: Effects) -> Vec<Result<Answer, Refusal>> {
        let mut answers = Vec::new();
        let mut all = vec![effects];
        while let Some(effects) = all.pop() {
            self.faults += effects.faults.len();
            self.commit(effects.writes);
            for message in effects.messages {
                let event = match message {
                    Message::Load(load) => self.load(&load),
                    Message::Scan(scan) => self.scan(&scan),
                    Message::Check(check) => self.check(check),
                    Message::Lobby(event) => {
                        // The lobby passes it on to Db.
                        if let (lobby::Event::SynAccountDeleted { user }, true) = (&event, self.db_is_there) {
                            self.store.remove(&record::forget_key(*user));
                        }
                        self.told.push(event);
                        continue;
                    }
                    Message::Door(_, result) => {
                        answers.push(result.map(|answer| *answer));
                        continue;
                    }
                    Message::Db(db::Event::Req { request, .. }) => {
                        let db::Request::Forget(user) = *request else { panic!("unexpected: {request:?}") };
                        if self.db_is_there {
                            self.store.remove(&record::forget_key(user));
                        }
                        continue;
                    }
                    other => panic!("unexpected: {other:?}"),
                };
                all.insert(0, self.auth.step(event));
            }
        }
        answers
    }

    fn commit(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::Put { key, value } => _ = self.store.insert(key, value),
                Write::Delete { key } => _ = self.store.remove(&key),
            }
        }
    }

    fn load(&self, load: &Load) -> Event {
        let values = load.keys.iter().map(|key| self.store.get(key).cloned()).collect();
        Event::Loaded { job: load.job, values: Ok(values) }
    }

    fn scan(&self, scan: &Scan) -> Event {
        let keys = self.store.range(scan.from.clone()..scan.to.clone()).take(scan.limit);
        Event::Scanned { keys: Ok(keys.map(|(key, _)| key.clone()).collect()) }
    }

    fn check(&self, check: Check) -> Event {
        let result = match check.work {
            Work::HashPassword(password) => Ok(Checked::Hashed(hash(&password))),
            Work::VerifyPassword { password, hash: right } => {
                Ok(Checked::Verified(right.is_some_and(|right| right == hash(&password))))
            }
            Work::CheckIdToken { token, .. } => match token.strip_prefix("id token of ") {
                Some(subject) => IdentityKey::oidc("https://issuer.test", subject).map(Checked::Subject),
                None => Err(Refusal::BadCredential("this ID token is not right".to_owned())),
            },
        };
        Event::Checked { job: check.job, result }
    }

    pub fn sign_in(&mut self, credential: Credential) -> Result<Identity, Refusal> {
        self.sign_in_as(credential, "")
    }

    pub fn sign_in_as(&mut self, credential: Credential, name: &str) -> Result<Identity, Refusal> {
        let request = Request::SignIn { credential, name: name.to_owned(), device: "a test".to_owned() };
        self.ask(request).map(signed_in)
    }

    pub fn resume(&mut self, token: &str) -> Result<Identity, Refusal> {
        self.sign_in(Credential::Session(token.to_owned()))
    }

    pub fn refresh(&mut self, token: &str) -> Result<Identity, Refusal> {
        self.ask(Request::Refresh(token.to_owned())).map(signed_in)
    }

    pub fn own(&mut self, of: &Identity, action: Action) -> Result<Answer, Refusal> {
        self.ask(Request::Own { token: of.tokens.session.clone(), action })
    }

    pub fn order(&mut self, user: UserId, order: Order) -> Result<Answer, Refusal> {
        self.ask(Request::Operator { user, order })
    }

    pub fn identities(&mut self, of: &Identity) -> Vec<String> {
        match self.own(of, Action::Show) {
            Ok(Answer::Account { identities, .. }) => identities,
            other => panic!("{other:?}"),
        }
    }

    pub fn pass_ms(&mut self, ms: u64) {
        let end = self.auth.now.plus_ms(ms);
        let mut wakes = 0;
        while let Some(deadline) = self.auth.deadline().filter(|deadline| *deadline <= end) {
            self.auth.now = self.auth.now.max(deadline);
            let effects = self.auth.step(Event::Tick);
            self.follow(effects);
            wakes += 1;
            assert!(wakes < 100_000, "Auth wants to be woken again and again");
        }
        self.auth.now = end;
    }
}

fn hash(password: &str) -> String {
    format!("hash of {}", scenehost_core::token::SecretHash::of(password))
}

fn signed_in(answer: Answer) -> Identity {
    match answer {
        Answer::SignedIn(identity) => *identity,
        other => panic!("{other:?}"),
    }
}

pub fn guest(device: &str) -> Credential {
    Credential::Guest(device.to_owned())
}

pub fn password(name: &str, password: &str, create: bool) -> Credential {
    Credential::Password { name: name.to_owned(), password: password.to_owned(), create }
}

pub fn id_token(subject: &str) -> Credential {
    Credential::Oidc { provider: "test".to_owned(), token: format!("id token of {subject}") }
}

pub fn is_bad_token<T: std::fmt::Debug>(result: &Result<T, Refusal>) -> bool {
    matches!(result, Err(Refusal::BadToken(_)))
}

// Identities

#[test]
fn a_device_is_the_same_user_at_every_sign_in() {
    let mut host = Host::new();
    let first = host.sign_in_as(guest(DEVICE), "Ada").unwrap();
    let second = host.sign_in(guest(DEVICE)).unwrap();
    assert_eq!((first.user, first.created, second.created), (second.user, true, false));
    assert_eq!(second.record.name, "Ada");
    assert_ne!(first.tokens.session, second.tokens.session);
    let renamed = host.sign_in_as(guest(DEVICE), " Ada L. ").unwrap();
    assert_eq!(renamed.record.name, "Ada L.");
    assert_ne!(host.sign_in(guest("another-device-id")).unwrap().user, first.user);
}

#[test]
fn a_password_signs_in_and_a_wrong_one_does_not_tell_what_was_wrong() {
    let mut host = Host::new();
    let made = host.sign_in(password("Ada_1", PASSWORD, true)).unwrap();
    assert_eq!((made.created, made.record.name.as_str()), (true, "Ada_1"));
    assert_eq!(host.sign_in(password("aDA_1", PASSWORD, false)).unwrap().user, made.user);
    assert_eq!(host.sign_in(password("ada_1", "wrong horse", false)), Err(Refusal::WrongPassword));
    assert_eq!(host.sign_in(password("nobody", PASSWORD, false)), Err(Refusal::WrongPassword));
    assert!(matches!(host.sign_in(password("ADA_1", "another one", true)), Err(Refusal::Taken(_))));
}

#[test]
fn wrong_passwords_are_tried_ever_more_slowly_for_names_that_exist_or_not() {
    for name in ["ada", "nobody"] {
        let mut host = Host::new();
        let ada = host.sign_in(password("ada", PASSWORD, true)).unwrap();
        for _ in 0..6 {
            assert_eq!(host.sign_in(password(name, "wrong horse", false)), Err(Refusal::WrongPassword));
        }
        let wait = |ms| Err(Refusal::TriedTooOften { ms });
        assert_eq!(host.sign_in(password(name, PASSWORD, false)), wait(1_000), "the right one has to wait, too");
        assert!(host.resume(&ada.tokens.session).is_ok(), "who has a session does not");
        host.pass_ms(1_000);
        assert_eq!(host.sign_in(password(name, "wrong horse", false)), Err(Refusal::WrongPassword));
        assert_eq!(host.sign_in(password(name, PASSWORD, false)), wait(2_000));
        assert_eq!(host.sign_in(password("grace", PASSWORD, false)), Err(Refusal::WrongPassword), "another name");
        host.pass_ms(2_000);
        if name == "ada" {
            assert!(host.sign_in(password(name, PASSWORD, false)).is_ok());
            assert_eq!(host.sign_in(password(name, "wrong horse", false)), Err(Refusal::WrongPassword), "all forgiven");
        }
        for _ in 0..30 {
            let _ = host.sign_in(password(name, "wrong horse", false));
            host.pass_ms(300_000);
        }
        assert_eq!(host.sign_in(password(name, "wrong horse", false)), Err(Refusal::WrongPassword));
        assert_eq!(host.sign_in(password(name, PASSWORD, false)), wait(300_000), "no longer than that");
        host.pass_ms(900_000 + SWEEP_MS);
        assert_ne!(host.sign_in(password(name, PASSWORD, false)), wait(300_000), "forgiven by time");
    }
}

#[test]
fn an_id_token_and_a_backends_word_sign_in() {
    let mut host = Host::new();
    let ada = host.sign_in(id_token("ada")).unwrap();
    assert_eq!(host.sign_in(id_token("ada")).unwrap().user, ada.user);
    assert_ne!(host.sign_in(id_token("grace")).unwrap().user, ada.user);
    let forged = Credential::Oidc { provider: "test".to_owned(), token: "forged".to_owned() };
    assert!(matches!(host.sign_in(forged), Err(Refusal::BadCredential(_))));
    let custom = |id: &str| Credential::Custom(id.to_owned());
    for (provider, length) in
        [("", 1), ("te st", 1), (&*"x".repeat(33), 1), ("test", 0), ("test", ID_TOKEN_BYTES_MAX + 1)]
    {
        let none = Credential::Oidc { provider: provider.to_owned(), token: "x".repeat(length) };
        assert!(matches!(host.sign_in(none.clone()), Err(Refusal::Invalid(_))), "{provider:?}, {length} bytes");
        assert!(matches!(host.own(&ada, Action::Link(none)), Err(Refusal::Invalid(_))));
    }
    let longest = Credential::Oidc { provider: "x".repeat(32), token: "x".repeat(ID_TOKEN_BYTES_MAX) };
    assert!(matches!(host.sign_in(longest), Err(Refusal::BadCredential(_))), "it is looked at");
    let backend = host.sign_in(custom("player 1")).unwrap();
    assert_eq!(host.sign_in(custom("player 1")).unwrap().user, backend.user);
    assert!(matches!(host.sign_in(custom("")), Err(Refusal::Invalid(_))));
}

#[test]
fn identities_are_linked_and_unlinked_and_the_last_one_stays() {
    let mut host = Host::new();
    let ada = host.sign_in(guest(DEVICE)).unwrap();
    let label = host.identities(&ada).remove(0);
    assert!(label.starts_with("guest/"));
    assert!(matches!(host.own(&ada, Action::Unlink(label.clone())), Err(Refusal::Invalid(_))), "the last one");

    assert_eq!(host.own(&ada, Action::Link(password("ada", PASSWORD, true))), Ok(Answer::Done));
    assert_eq!(host.own(&ada, Action::Link(id_token("ada"))), Ok(Answer::Done));
    assert_eq!(host.sign_in(password("ada", PASSWORD, false)).unwrap().user, ada.user);
    assert_eq!(host.sign_in(id_token("ada")).unwrap().user, ada.user);

    assert_eq!(host.own(&ada, Action::Unlink(label)), Ok(Answer::Done));
    assert_ne!(host.sign_in(guest(DEVICE)).unwrap().user, ada.user, "the device is a new user's now");
    assert!(matches!(host.own(&ada, Action::Unlink("name/grace".to_owned())), Err(Refusal::NotFound(_))));
}

#[test]
fn what_leads_to_another_account_cannot_be_linked() {
    let mut host = Host::new();
    let ada = host.sign_in(guest(DEVICE)).unwrap();
    host.sign_in(password("grace", PASSWORD, true)).unwrap();
    let linked = host.own(&ada, Action::Link(password("grace", "my own one", true)));
    assert!(matches!(linked, Err(Refusal::Taken(_))));
    assert!(host.sign_in(password("grace", PASSWORD, false)).is_ok(), "the password is the old one");
    assert!(is_bad_token(&host.ask(Request::Own { token: "guess".to_owned(), action: Action::Show })));
}

#[test]
fn a_new_password_ends_the_other_sessions() {
    let mut host = Host::new();
    let ada = host.sign_in(password("ada", PASSWORD, true)).unwrap();
    let thief = host.sign_in(password("ada", PASSWORD, false)).unwrap();
    assert_eq!(host.own(&ada, Action::Link(password("ada", "a better horse", true))), Ok(Answer::Done));
    assert!(host.resume(&ada.tokens.session).is_ok());
    assert!(is_bad_token(&host.resume(&thief.tokens.session)));
    assert_eq!(host.sign_in(password("ada", PASSWORD, false)), Err(Refusal::WrongPassword));
    assert!(host.sign_in(password("ada", "a better horse", false)).is_ok());
}

#[test]
fn two_first_sign_ins_of_one_device_make_one_user() {
    let mut host = Host::new();
    let ask = || {
        let request = Request::SignIn { credential: guest(DEVICE), name: String::new(), device: String::new() };
        Event::Req { asker: Asker::Door(1), request: Box::new(request) }
    };
    let first = host.auth.step(ask());
    assert_eq!(first.messages.len(), 1);
    assert_eq!(host.auth.step(ask()).messages, [], "the second waits for the first");
    let answers = host.follow(first);
    let users: Vec<UserId> = answers.into_iter().map(|answer| signed_in(answer.unwrap()).user).collect();
    assert_eq!(users.len(), 2);
    assert_eq!(users[0], users[1]);
}

#[test]
fn the_store_holds_no_secret_in_the_clear() {
    let mut host = Host::new();
    let ada = host.sign_in(guest(DEVICE)).unwrap();
    host.sign_in(password("grace", PASSWORD, true)).unwrap();
    let secrets = [DEVICE, PASSWORD, &ada.tokens.session[18..], &ada.tokens.refresh[18..], &ada.tokens.session[18..50]];
    for (key, value) in &host.store {
        let value = String::from_utf8_lossy(value);
        for secret in secrets {
            assert!(!key.contains(secret) && !value.contains(secret), "{key} shows a secret");
        }
    }
    let Ok(Answer::Export(_, export)) = host.own(&ada, Action::Export) else { panic!("an export") };
    let export = export.to_string();
    assert!(secrets.iter().all(|secret| !export.contains(secret)));
    assert!(export.contains("guest/") && export.contains(&ada.user.to_string()));
}

#[test]
fn bad_credentials_are_refused_with_a_reason() {
    let mut host = Host::new();
    for (credential, name) in [
        (guest("short"), ""),
        (guest(&"x".repeat(129)), ""),
        (guest(DEVICE), "x".repeat(33).as_str()),
        (guest(DEVICE), "a\nb"),
        (password("ab", PASSWORD, true), ""),
        (password("a b c", PASSWORD, true), ""),
        (password("ada", "short", true), ""),
    ] {
        assert!(matches!(host.sign_in_as(credential, name), Err(Refusal::Invalid(_))));
    }
    assert!(host.store.is_empty());
    let mut closed = Host::with(config::Auth { guests: false, passwords: false, ..config::Auth::default() });
    assert!(matches!(closed.sign_in(guest(DEVICE)), Err(Refusal::Invalid(_))));
    assert!(matches!(closed.sign_in(password("ada", PASSWORD, true)), Err(Refusal::Invalid(_))));
}

// What goes wrong

#[test]
fn a_record_that_cannot_be_read_is_an_answer_and_a_fault() {
    let mut host = Host::new();
    let ada = host.sign_in(guest(DEVICE)).unwrap();
    for key in [record::account_key(ada.user), record::user_key(ada.user)] {
        let kept = host.store.insert(key.clone(), b"{broken".to_vec()).unwrap();
        let faults = host.faults;
        assert!(matches!(host.sign_in(guest(DEVICE)), Err(Refusal::Internal(_))));
        assert_eq!(host.faults, faults + 1);
        host.store.insert(key, kept);
    }
    assert!(host.sign_in(guest(DEVICE)).is_ok(), "nothing was lost");
}

#[test]
fn an_identity_that_is_not_what_was_written_can_still_be_shown() {
    let mut host = Host::new();
    let ada = host.sign_in(guest(DEVICE)).unwrap();
    let account = host.store.get_mut(&record::account_key(ada.user)).unwrap();
    let text = String::from_utf8(account.clone()).unwrap();
    let (before, rest) = text.split_once("guest/").unwrap();
    // The twelfth byte of what is shown is inside of a letter.
    *account = format!("{before}guest/01234567890é{}", &rest[13..]).into_bytes();
    let shown = host.identities(&ada);
    assert!(shown[0].starts_with("guest/01234567890é"), "{shown:?}");
}

#[test]
fn an_answer_of_another_kind_than_was_asked_for_is_refused() {
    let mut host = Host::new();
    let credential = Credential::Oidc { provider: "issuer".to_owned(), token: "token".to_owned() };
    let request = Request::SignIn { credential, name: String::new(), device: String::new() };
    host.auth.step(Event::Req { asker: Asker::Door(1), request: Box::new(request) });
    let effects = host.auth.step(Event::Checked { job: 1, result: Ok(Checked::Hashed("hash".to_owned())) });
    assert!(matches!(host.follow(effects)[..], [Err(Refusal::Internal(_))]));
    assert!(host.store.is_empty());
}

#[test]
fn a_request_ends_by_its_deadline_and_the_next_one_gets_its_turn() {
    let mut host = Host::new();
    let request = || Request::SignIn { credential: guest(DEVICE), name: String::new(), device: String::new() };
    host.auth.step(Event::Req { asker: Asker::Door(1), request: Box::new(request()) });
    host.auth.now = host.auth.now.plus_ms(1_000);
    host.auth.step(Event::Req { asker: Asker::Door(2), request: Box::new(request()) });
    // The store is silent about the first; when its deadline has come the second one asks.
    host.auth.now = host.auth.now.plus_ms(REQUEST_MS_MAX - 1_000);
    let effects = host.auth.step(Event::Tick);
    let refused = |message: &Message| matches!(message, Message::Door(1, Err(Refusal::TimedOut(_))));
    assert!(effects.messages.iter().any(refused));
    assert!(host.follow(effects).iter().any(Result::is_ok), "the second one is answered");
    assert_eq!(host.auth.service.requests(), 0);
    let late = host.auth.step(Event::Loaded { job: 1, values: Ok(vec![None]) });
    assert_eq!(late, Effects::default(), "an answer that comes too late changes nothing");
}

#[test]
fn an_answer_to_the_auth_before_a_restart_is_nobodys() {
    let mut host = Host::new();
    let request = || Request::SignIn { credential: guest(DEVICE), name: String::new(), device: String::new() };
    let ask = || Event::Req { asker: Asker::Door(1), request: Box::new(request()) };
    let old = host.auth.step(ask());
    let Some(Message::Load(load)) = old.messages.first() else { panic!("a load") };
    host.auth.service = Auth::new(config::Auth::default()).numbered_after(1 << 32);
    host.auth.step(ask());
    let late = host.auth.step(Event::Loaded { job: load.job, values: Ok(vec![None]) });
    assert_eq!(late, Effects::default());
}

#[test]
fn the_lobby_is_answered_for_its_connection() {
    let mut host = Host::new();
    let connection = scenehost_core::ConnectionId(9);
    let request = Request::SignIn { credential: guest(DEVICE), name: String::new(), device: String::new() };
    let effects = host.auth.step(Event::Req { asker: Asker::Lobby(connection), request: Box::new(request) });
    host.follow(effects);
    let [lobby::Event::ResSignIn { connection: of, result: Ok(_) }] = &host.told[..] else { panic!("{:?}", host.told) };
    assert_eq!(*of, connection);
}

#[test]
fn every_state_and_event() {
    let sign_in = |credential| {
        let request = Request::SignIn { credential, name: String::new(), device: String::new() };
        Event::Req { asker: Asker::Door(1), request: Box::new(request) }
    };
    let record = |user, password: Option<&str>| {
        Some(record::encode(&IdentityRecord { user: UserId(user), password: password.map(ToOwned::to_owned) }))
    };
    let mut known = Host::new();
    let ada = known.sign_in(guest(DEVICE)).unwrap();
    let account = known.store[&record::account_key(ada.user)].clone();
    let profile = known.store[&record::user_key(ada.user)].clone();

    let mut idle = World::new(Auth::new(config::Auth::default()));
    idle.step(Event::Tick); // The first sweep.
    let after = |event: Event| {
        let mut world = idle.clone();
        world.step(event);
        world
    };
    let waits_identity = after(sign_in(guest(DEVICE)));
    let mut waits_check = after(sign_in(password("ada", PASSWORD, false)));
    waits_check.step(Event::Loaded { job: 1, values: Ok(vec![record(5, Some("hash"))]) });
    let waits_account = after(sign_in(Credential::Session(ada.tokens.session.clone())));
    let loaded = |values: Vec<Option<Vec<u8>>>| Event::Loaded { job: 1, values: Ok(values) };
    table::check(
        "auth",
        &[
            ("Idle", idle),
            ("waits for the identity", waits_identity),
            ("waits for the check", waits_check),
            ("waits for the account", waits_account),
        ],
        &[
            ("Req, guest", sign_in(guest("another-device-id"))),
            ("Req, bad device", sign_in(guest("short"))),
            ("Loaded: one record, none", loaded(vec![None])),
            ("Loaded: one record", loaded(vec![record(5, None)])),
            ("Loaded: account and user", loaded(vec![Some(account), Some(profile)])),
            ("Loaded: account and user, none", loaded(vec![None, None])),
            ("Loaded: unreadable", loaded(vec![Some(b"?".to_vec()), Some(b"?".to_vec())])),
            ("Loaded: store down", Event::Loaded { job: 1, values: Err(()) }),
            ("Checked: right", Event::Checked { job: 1, result: Ok(Checked::Verified(true)) }),
            ("Checked: wrong", Event::Checked { job: 1, result: Ok(Checked::Verified(false)) }),
            ("Checked: refused", Event::Checked { job: 1, result: Err(Refusal::Overloaded("passwords".into())) }),
            ("SynOnline", Event::SynOnline { user: ada.user, session: Some(ada.session) }),
            ("Scanned", Event::Scanned { keys: Ok(vec![record::expiry_key(3, ada.user)]) }),
            ("Db down", Event::Service { service: ServiceName::Db, up: false }),
            ("Tick at the deadline", Event::Tick),
        ],
        |state, event| {
            let mut world = state.clone();
            if *event == Event::Tick {
                world.now = world.now.plus_ms(REQUEST_MS_MAX);
            }
            let effects = world.step(event.clone());
            let state = if world.service.requests() == 0 { "idle" } else { "waits" };
            table::cell(state, &effects)
        },
    );
}

#[test]
fn moments_are_told_in_words() {
    assert_eq!(Time(1_795_310_999_000).utc(), "2026-11-22 01:29 UTC");
    assert_eq!(Time(u64::MAX).utc(), "9999-12-30 22:00 UTC");
}
