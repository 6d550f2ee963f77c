//! Sign-in: guests, sessions, and credentials that do not hold.

use std::collections::HashMap;

use scenehost_core::auth::{Auth, Credential, Event, Identity, SESSION_MS, SIGN_IN_MS_MAX};
use scenehost_core::{ConnectionId, Message, Refusal, Service, Write, lobby};

use crate::table;
use crate::world::World;

/// Auth with a store behind it, as the host has it.
struct Host {
    auth: World<Auth>,
    store: HashMap<String, Vec<u8>>,
}

impl Host {
    fn new() -> Self {
        Self { auth: World::new(Auth::default()), store: HashMap::new() }
    }

    /// Takes an event and everything that follows from it; the answers, in their order.
    fn run(&mut self, event: Event) -> Vec<(ConnectionId, Result<Identity, Refusal>)> {
        let mut answers = Vec::new();
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let effects = self.auth.step(event);
            for write in effects.writes {
                match write {
                    Write::Put { key, value } => _ = self.store.insert(key, value),
                    Write::Delete { key } => _ = self.store.remove(&key),
                }
            }
            for message in effects.messages {
                match message {
                    Message::Load(load) => {
                        let value = Ok(self.store.get(&load.key).cloned());
                        events.insert(0, Event::Loaded { key: load.key, value });
                    }
                    Message::Lobby(lobby::Event::ResSignIn { connection, result }) => {
                        answers.push((connection, result.map(|identity| *identity)));
                    }
                    other => panic!("unexpected: {other:?}"),
                }
            }
        }
        answers
    }

    fn sign_in(&mut self, credential: Credential) -> Result<Identity, Refusal> {
        let mut answers = self.run(Event::ReqSignIn { connection: ConnectionId(1), credential });
        assert_eq!(answers.len(), 1, "one answer a sign-in");
        answers.remove(0).1
    }
}

fn guest(device: &str, name: &str) -> Credential {
    Credential::Guest { device_id: device.to_owned(), name: name.to_owned() }
}

const DEVICE: &str = "0123456789abcdef";

#[test]
fn a_device_is_the_same_user_at_every_sign_in() {
    let mut host = Host::new();
    let first = host.sign_in(guest(DEVICE, "Ada")).unwrap();
    let second = host.sign_in(guest(DEVICE, "")).unwrap();
    assert_eq!(first.user, second.user);
    assert_eq!(second.record.name, "Ada");
    assert_ne!(first.session_token, second.session_token);
    let renamed = host.sign_in(guest(DEVICE, " Ada L. ")).unwrap();
    assert_eq!(renamed.record.name, "Ada L.");
    assert_ne!(host.sign_in(guest("another-device-id", "")).unwrap().user, first.user);
}

#[test]
fn a_session_token_signs_in_until_it_expires() {
    let mut host = Host::new();
    let guest = host.sign_in(guest(DEVICE, "Ada")).unwrap();
    let session = Credential::Session(guest.session_token.clone());
    let again = host.sign_in(session.clone()).unwrap();
    assert_eq!((again.user, &again.session_token), (guest.user, &guest.session_token));
    host.auth.now = host.auth.now.plus_ms(SESSION_MS);
    assert!(matches!(host.sign_in(session.clone()), Err(Refusal::BadToken(_))));
    assert!(!host.store.keys().any(|key| key.starts_with("session/")), "an expired session is swept");
    assert!(matches!(host.sign_in(Credential::Session("guess".to_owned())), Err(Refusal::BadToken(_))));
}

#[test]
fn the_store_holds_no_secret_in_the_clear() {
    let mut host = Host::new();
    let token = host.sign_in(guest(DEVICE, "Ada")).unwrap().session_token;
    for (key, value) in &host.store {
        let value = String::from_utf8_lossy(value);
        for secret in [DEVICE, token.as_str()] {
            assert!(!key.contains(secret) && !value.contains(secret), "{key} shows a secret");
        }
    }
}

#[test]
fn two_first_sign_ins_of_one_device_make_one_user() {
    let mut host = Host::new();
    let effects = host.auth.step(Event::ReqSignIn { connection: ConnectionId(1), credential: guest(DEVICE, "") });
    assert_eq!(effects.messages.len(), 1);
    let waits = host.auth.step(Event::ReqSignIn { connection: ConnectionId(2), credential: guest(DEVICE, "") });
    assert_eq!(waits.messages, [], "the second waits for the first");
    let Message::Load(load) = effects.messages[0].clone() else { panic!("a load") };
    let answers = host.run(Event::Loaded { key: load.key, value: Ok(None) });
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].1.as_ref().unwrap().user, answers[1].1.as_ref().unwrap().user);
}

#[test]
fn bad_credentials_are_refused_with_a_reason() {
    let mut host = Host::new();
    let long_name = "x".repeat(33);
    for credential in
        [guest("short", ""), guest(&"x".repeat(129), ""), guest(DEVICE, &long_name), guest(DEVICE, "a\nb")]
    {
        assert!(matches!(host.sign_in(credential), Err(Refusal::Invalid(_))));
    }
}

#[test]
fn a_record_that_cannot_be_read_is_an_answer_and_a_fault() {
    let mut host = Host::new();
    host.sign_in(guest(DEVICE, "Ada")).unwrap();
    for value in host.store.values_mut() {
        *value = b"{broken".to_vec();
    }
    assert!(matches!(host.sign_in(guest(DEVICE, "")), Err(Refusal::Internal(_))));
}

#[test]
fn a_sign_in_ends_by_its_deadline_when_the_store_is_silent() {
    let mut host = Host::new();
    host.auth.step(Event::ReqSignIn { connection: ConnectionId(1), credential: guest(DEVICE, "") });
    let messages = host.auth.pass_ms(SIGN_IN_MS_MAX);
    assert_eq!(messages.len(), 1);
    assert_eq!(table::short(&messages[0]), "Lobby ResSignIn ✗TimedOut");
    assert_eq!(host.auth.pass_ms(60_000), []);
}

#[test]
fn every_state_and_event() {
    let ask = |device: &str| Event::ReqSignIn { connection: ConnectionId(1), credential: guest(device, "") };
    let idle = World::new(Auth::default());
    let mut waiting = idle.clone();
    waiting.step(ask(DEVICE));
    let key = scenehost_core::record::guest_key(&scenehost_core::token::SecretHash::of(DEVICE));
    let mut known = waiting.clone();
    let record = br#"{"user":5}"#.to_vec();
    known.step(Event::Loaded { key: key.clone(), value: Ok(Some(record.clone())) });
    let user_key = scenehost_core::record::user_key(scenehost_core::UserId(5));
    let user = br#"{"name":"Ada","created":1}"#.to_vec();
    let loaded = |key: &str, value| Event::Loaded { key: key.to_owned(), value };
    table::check(
        "auth",
        &[("Idle", idle), ("waits for the guest's record", waiting), ("waits for the user's record", known)],
        &[
            ("ReqSignIn, guest", ask("another-device-id")),
            ("ReqSignIn, bad device", ask("short")),
            ("Loaded guest: none", loaded(&key, Ok(None))),
            ("Loaded guest: known", loaded(&key, Ok(Some(record)))),
            ("Loaded guest: unreadable", loaded(&key, Ok(Some(b"?".to_vec())))),
            ("Loaded guest: store down", loaded(&key, Err(()))),
            ("Loaded user: known", loaded(&user_key, Ok(Some(user)))),
            ("Loaded user: none", loaded(&user_key, Ok(None))),
            ("Tick at the deadline", Event::Tick),
        ],
        |state, event| {
            let mut world = state.clone();
            if *event == Event::Tick {
                world.now = world.now.plus_ms(SIGN_IN_MS_MAX);
            }
            let effects = world.step(event.clone());
            let state = if Service::deadline(&world.service).is_none() { "idle" } else { "waits" };
            table::cell(state, &effects)
        },
    );
}
