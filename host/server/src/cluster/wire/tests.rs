//! That what is said is heard, and what is not of this version is refused.

use scenehost_core::message::{EndReason, Notice, SceneEnded, ToUser};
use scenehost_core::scene_master::Capacity;
use scenehost_core::{ConnectionId, Epoch, Message, NodeId, Partition, Refusal, SceneId, ServiceName, scene_service};
use serde::Serialize;

use super::*;

fn to_service(message: Message) -> Envelope {
    let from = Some((Unit::SceneMaster(Partition::WHOLE), 3));
    Envelope { from, to: To::Unit { unit: Unit::Lobby, epoch: 7, message: Box::new(message) } }
}

fn end(reason: EndReason) -> Message {
    let (scene, epoch) = (SceneId(u64::MAX), Epoch(2));
    let event = scene_service::Event::ReqDestroyScene { scene, epoch, reason, results: Vec::new(), keep: false };
    Message::SceneService(NodeId(4), event)
}

#[test]
fn what_is_said_is_heard() {
    let ended = SceneEnded { scene: SceneId(1), reason: EndReason::Finished, results: Vec::new() };
    let notices = [
        Notice::SynSceneEnded(ended),
        Notice::Refused(Refusal::Busy("one at a time".into())),
        Notice::Refused(Refusal::TooOften { what: "tries".into(), ms: 5 }),
        Notice::SynService(ServiceName::SceneMaster, false),
        Notice::SynHandler { domain: "duel".into(), up: false },
    ];
    let to_users =
        notices.map(|notice| Message::User(ToUser { connection: ConnectionId(9), seq: 1, request: 2, notice }));
    let others = [end(EndReason::Crashed("a fault".to_owned())), end(EndReason::Left), Message::NodeDrained(NodeId(1))];
    for message in to_users.into_iter().chain(others) {
        let said = to_service(message);
        let bytes = said.encode().expect("it may leave its process");
        assert_eq!(Envelope::decode(&bytes).expect("it is whole"), said);
    }
    let said = Envelope { from: None, to: To::Changed(Changed::Domains) };
    assert_eq!(Envelope::decode(&said.encode().expect("it may leave")).expect("it is whole"), said);
}

#[test]
fn what_stays_in_its_process_is_not_written() {
    let load = scenehost_core::read::Load { job: 1, keys: Vec::new() };
    assert_eq!(to_service(Message::Load(load)).encode(), None);
}

#[test]
fn bytes_that_are_damaged_cut_or_of_no_message_are_refused() {
    let bytes = to_service(end(EndReason::Idle)).encode().expect("it may leave its process");
    for length in 0..bytes.len() {
        assert!(Envelope::decode(&bytes[..length]).is_err(), "{length}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0xc1;
        let _ = Envelope::decode(&damaged); // Refused, or another message; nothing panics.
    }
}

#[test]
fn a_node_of_a_later_version_may_say_more_of_itself() {
    #[derive(Serialize)]
    struct Later {
        mood: &'static str,
        version: u32,
        oldest: u32,
        release: &'static str,
        roles: Vec<&'static str>,
        holds: Vec<Held>,
        offer: Option<Offer>,
    }
    let held = Held { unit: Unit::Match("duel".into()), epoch: 5, serves: true };
    let offer = Offer { url: "ws://a".to_owned(), capacity: Capacity::scenes(3), idle: None, region: None };
    let later = Later {
        mood: "well",
        version: SPEAKS.version + 1,
        oldest: SPEAKS.version,
        release: "9",
        roles: vec!["match", "oracle"],
        holds: vec![held.clone()],
        offer: Some(offer.clone()),
    };
    let heard = Hello::decode(&rmp_serde::to_vec_named(&later).expect("plain data")).expect("it can be read");
    assert_eq!((heard.roles, heard.holds, heard.offer), (vec![Role::Match], vec![held], Some(offer)));
    assert!(!heard.reaches_store, "it has not said so");
}

#[test]
fn a_node_that_this_one_cannot_work_with_is_told_apart_from_damaged_bytes() {
    #[derive(Serialize)]
    struct Later {
        version: u32,
        oldest: u32,
        /// Another type than here.
        roles: u64,
    }
    let later = Later { version: 9, oldest: 8, roles: 3 };
    let said = Hello::decode(&rmp_serde::to_vec_named(&later).expect("plain data")).expect_err("it is not understood");
    assert!(matches!(said, Unreadable::Foreign(Speaks { version: 9, oldest: 8 })), "{said}");
}
