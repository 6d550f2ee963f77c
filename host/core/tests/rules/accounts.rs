//! Accounts that end: deleted by their users, closed by operators.

use std::collections::BTreeMap;

use scenehost_core::auth::{Action, Answer, Order};
use scenehost_core::{Message, Refusal, UserId, lobby, record, scene_master};

use crate::auth::{DEVICE, HOUR_MS, Host, PASSWORD, guest, is_bad_token, password};
use crate::world::World;

#[test]
fn an_account_is_exported_and_deleted_with_everything_of_it() {
    let mut host = Host::new();
    let ada = host.sign_in(guest(DEVICE)).unwrap();
    host.own(&ada, Action::Link(password("ada", PASSWORD, true))).unwrap();
    host.db_is_there = false;
    assert_eq!(host.own(&ada, Action::Delete), Ok(Answer::Done));
    assert!(host.store.contains_key(&record::forget_key(ada.user)), "an order to Db");
    assert_eq!(host.told.last(), Some(&lobby::Event::SynAccountDeleted { user: ada.user }));
    assert!(is_bad_token(&host.resume(&ada.tokens.session)));
    assert_eq!(host.sign_in(password("ada", PASSWORD, false)), Err(Refusal::WrongPassword));
    host.db_is_there = true;
    host.pass_ms(100 * 24 * HOUR_MS);
    assert!(host.store.is_empty(), "the order is given again until it is done: {:?}", host.store.keys());
    assert_ne!(host.sign_in(guest(DEVICE)).unwrap().user, ada.user);
}

#[test]
fn a_ban_ends_sessions_and_refuses_until_its_end_also_after_a_restart() {
    let mut host = Host::new();
    let ada = host.sign_in(guest(DEVICE)).unwrap();
    let until = Some(host.auth.now.plus_ms(2 * HOUR_MS));
    let ban = Order::Ban { reason: "shouting".to_owned(), until };
    assert_eq!(host.order(ada.user, ban), Ok(Answer::Done));
    let banned = Err(Refusal::Banned { reason: "shouting".to_owned(), until });
    assert!(is_bad_token(&host.resume(&ada.tokens.session)));
    assert_eq!(host.sign_in(guest(DEVICE)), banned);
    host.restart();
    assert_eq!(host.sign_in(guest(DEVICE)), banned);
    assert_eq!(host.refresh(&ada.tokens.refresh), banned);
    assert!(matches!(host.told.last(), Some(lobby::Event::SynAccountClosed { user, .. }) if *user == ada.user));
    host.pass_ms(2 * HOUR_MS);
    assert!(host.sign_in(guest(DEVICE)).is_ok(), "it has ended");

    host.order(ada.user, Order::Ban { reason: "again".to_owned(), until: None }).unwrap();
    host.pass_ms(200 * 24 * HOUR_MS);
    assert!(matches!(host.sign_in(guest(DEVICE)), Err(Refusal::Banned { until: None, .. })));
    assert_eq!(host.order(ada.user, Order::Unban), Ok(Answer::Done));
    assert!(host.sign_in(guest(DEVICE)).is_ok());
    assert!(matches!(host.order(UserId(7), Order::Unban), Err(Refusal::NotFound(_))));
}

#[test]
fn a_user_who_is_removed_loses_the_seat() {
    // The rest of the way is SceneMaster's and Scene's; their tests have it.
    let mut lobby = World::new(lobby::Lobby::new(BTreeMap::new(), 0));
    let refusal = Refusal::Banned { reason: "shouting".to_owned(), until: None };
    let messages = lobby.tell(lobby::Event::SynAccountClosed { user: UserId(5), refusal });
    assert_eq!(messages, [Message::SceneMaster(scene_master::Event::ReqRemoveUser { user: UserId(5) })]);
}
