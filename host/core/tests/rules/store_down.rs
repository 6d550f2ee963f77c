//! Auth while the store cannot be written: nothing is written and nobody waits, and nothing that was begun
//! then is written later.

use scenehost_core::auth::{Action, Answer, Asker, Credential, Event, Order, Request, SWEEP_MS};
use scenehost_core::{Effects, Message, Refusal, Service, ServiceName};

use crate::auth::{DEVICE, HOUR_MS, Host, PASSWORD, guest, id_token, password};

const DOWN: Event = Event::Service { service: ServiceName::Db, up: false };
const UP: Event = Event::Service { service: ServiceName::Db, up: true };

fn is_down<T: std::fmt::Debug>(result: &Result<T, Refusal>) -> bool {
    matches!(result, Err(Refusal::ServiceDown(ServiceName::Db)))
}

#[test]
fn while_the_store_is_down_nothing_is_written_and_what_needs_that_is_refused_at_once() {
    let mut host = Host::new();
    let ada = host.sign_in_as(guest(DEVICE), "Ada").unwrap();
    host.auth.now = host.auth.now.plus_ms(2 * HOUR_MS); // Its next use is to be noted.
    let before = host.store.clone();
    assert_eq!(host.auth.step(DOWN), Effects::default());
    assert!(host.auth.service.speaks_at_once());

    for credential in [guest(DEVICE), guest("another-device-id"), password("ada", PASSWORD, true), id_token("ada")] {
        let request = Request::SignIn { credential, name: String::new(), device: String::new() };
        let asked = host.auth.step(Event::Req { asker: Asker::Door(1), request: Box::new(request) });
        assert!(matches!(&asked.messages[..], [Message::Door(1, result)] if is_down(result)), "{asked:?}");
    }
    assert!(is_down(&host.refresh(&ada.tokens.refresh)));
    for action in [
        Action::SignOut,
        Action::SignOutEverywhere,
        Action::EndSession(ada.session),
        Action::Link(password("ada", PASSWORD, true)),
        Action::Unlink("name/ada".to_owned()),
        Action::Delete,
    ] {
        assert!(is_down(&host.own(&ada, action)));
    }
    for order in [Order::Ban { reason: "x".to_owned(), until: None }, Order::Unban, Order::EndSession(ada.session)] {
        assert!(is_down(&host.order(ada.user, order)));
    }
    assert!(matches!(host.resume("no token"), Err(Refusal::BadToken(_))), "what is wrong is told all the same");

    assert_eq!(host.resume(&ada.tokens.session).unwrap().user, ada.user);
    assert_eq!(host.identities(&ada).len(), 1);
    for export in [host.own(&ada, Action::Export), host.order(ada.user, Order::Export)] {
        assert!(matches!(export, Ok(Answer::Export(..))), "{export:?}");
    }
    host.pass_ms(3 * SWEEP_MS);
    assert_eq!((host.store == before, host.faults), (true, 0));

    assert_eq!(host.auth.step(UP), Effects::default());
    assert!(!host.auth.service.speaks_at_once());
    host.resume(&ada.tokens.session).unwrap();
    assert_ne!(host.store, before, "its use is noted");
    host.sign_in(guest("another-device-id")).unwrap();
}

#[test]
fn what_was_under_way_when_the_store_went_down_writes_nothing_afterwards_either() {
    let mut host = Host::new();
    let ada = host.sign_in(guest(DEVICE)).unwrap();
    host.auth.now = host.auth.now.plus_ms(2 * HOUR_MS);
    let before = host.store.clone();
    let ask = |number, credential| {
        let request = Request::SignIn { credential, name: String::new(), device: String::new() };
        Event::Req { asker: Asker::Door(number), request: Box::new(request) }
    };
    let resuming = host.auth.step(ask(1, Credential::Session(ada.tokens.session.clone())));
    let signing_in = host.auth.step(ask(2, guest(DEVICE)));
    let checking = host.auth.step(ask(3, id_token("ada")));
    let refused = host.auth.step(DOWN);
    let refusals = refused.messages.iter().map(|message| match message {
        Message::Door(number, result) => (*number, is_down(result)),
        other => panic!("{other:?}"),
    });
    assert_eq!(refusals.collect::<Vec<_>>(), [(2, true), (3, true)]);

    host.auth.step(UP);
    // What they have asked for is answered only now; the store may not have known of a write before.
    let answers = [signing_in, checking, resuming].map(|effects| host.follow(effects));
    let [signed_in, checked, resumed] = &answers;
    assert!(signed_in.is_empty() && checked.is_empty() && matches!(resumed[..], [Ok(Answer::SignedIn(_))]));
    assert_eq!(host.store, before);
    assert_eq!(host.auth.service.requests(), 0);
}
