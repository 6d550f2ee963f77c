//! Messages as releases say them, kept as bytes: later versions have to understand them, for they are what a node of that
//! release says while its cluster is being upgraded. `frozen/<release>.msgpack` has the messages one after the other, and
//! `frozen/<release>.txt` lists what they have, for people to read: every variant of every enum that may be in one.
//!
//! The files of the release that is being worked on are made anew, whole, by
//! `UPDATE_WIRE=1 cargo test --workspace --lib frozen`: after any change of what nodes say. Read the difference of the list:
//! a variant that is new is refused by the releases before, and one that is gone is what these still say.
//!
//! Invariant: files of a release that was made never change, and are there as long as [`super::SPEAKS`] says that nodes of
//! this version work with those of that one. As long as no release was made, there is only the file of the first one.

mod any;
mod sampler;

use std::path::PathBuf;

use any::Any;
use sampler::Sampler;
use scenehost_core::Partition;
use scenehost_core::scene_master::{Capacity, Offer};

use super::{Envelope, Held, Hello, SPEAKS, Unreadable};
use crate::cluster::unit::{Role, Unit};

const RELEASE: &str = env!("CARGO_PKG_VERSION");
const MESSAGES: &str = "msgpack";
/// The largest file of a release, so that many can be kept.
const BYTES_MAX: usize = 200_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/cluster/wire/frozen")
}

/// What the release says that is being worked on.
fn own(kind: &str) -> PathBuf {
    folder().join(format!("{RELEASE}.{kind}"))
}

/// What nodes say of themselves: all that they can.
fn hello() -> Hello {
    let others = [Unit::SceneMaster(Partition::WHOLE), Unit::Match("duel".into())];
    let units = Unit::SOLE.into_iter().chain(others);
    let capacity = Capacity::scenes(3);
    let offer = Offer { url: "wss://a".to_owned(), capacity, idle: None, region: Some("north".into()) };
    Hello {
        version: SPEAKS.version,
        oldest: SPEAKS.oldest,
        release: RELEASE.to_owned(),
        roles: Role::ALL.to_vec(),
        holds: units.map(|unit| Held { unit, epoch: 5_000_000_000, serves: true }).collect(),
        offer: Some(offer),
        reaches_store: true,
    }
}

/// Messages of this version: of every variant at least one.
fn samples(sampler: &mut Sampler) -> Vec<Envelope> {
    sampler.all::<Envelope>(|envelope| envelope.encode().is_some())
}

fn bytes(envelope: &Envelope) -> Vec<u8> {
    envelope.encode().expect("it may leave its process").to_vec()
}

#[test]
fn of_all_that_can_be_said_there_is_a_frozen_message() {
    let mut sampler = Sampler::default();
    let messages: Vec<Vec<u8>> = samples(&mut sampler).iter().map(bytes).collect();
    assert!(sampler.missing().is_empty(), "no message has these: {:?}", sampler.missing());
    let all = [hello().encode().to_vec()].into_iter().chain(messages).collect::<Vec<_>>().concat();
    assert!(all.len() < BYTES_MAX, "{} bytes", all.len());
    let list = sampler.vocabulary();
    if std::env::var_os("UPDATE_WIRE").is_some() {
        std::fs::write(own(MESSAGES), all).expect("it is ours");
        std::fs::write(own("txt"), list).expect("it is ours");
        return;
    }
    let same = std::fs::read(own(MESSAGES)).is_ok_and(|kept| kept == all)
        && std::fs::read_to_string(own("txt")).is_ok_and(|kept| kept == list);
    assert!(same, "what nodes say has changed: see the head of cluster/wire/frozen.rs, and set UPDATE_WIRE=1");
}

#[test]
fn what_releases_say_is_understood_and_nothing_of_it_is_passed_over() {
    let files = std::fs::read_dir(folder()).expect("it is ours").map(|file| file.expect("it is ours").path());
    let mut releases = 0;
    for file in files.filter(|file| file.extension().is_some_and(|kind| kind == MESSAGES)) {
        let all = std::fs::read(&file).expect("it is ours");
        let (said, messages) = Any::read_all(&all).split_first().map(|(a, b)| (a.clone(), b.to_vec())).expect("some");
        let hello = Hello::decode(&said.write()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(Any::read(&hello.encode()).has_all_of(&said), "{hello:?}");
        assert!(messages.len() > 100, "{} are kept in {}", messages.len(), file.display());
        for was in messages {
            let understood = Envelope::decode(&was.write()).unwrap_or_else(|error| panic!("{error}\n{was:?}"));
            let is = Any::read(&bytes(&understood));
            assert!(is.has_all_of(&was), "of {was:?}\nis understood {is:?}");
        }
        releases += 1;
    }
    assert!(releases > 0);
}

#[test]
fn a_field_that_is_not_known_is_passed_over_wherever_it_is() {
    let mut sampler = Sampler::default();
    let (mut messages, mut places) = (0, 0);
    for sample in samples(&mut sampler) {
        let mut any = Any::read(&bytes(&sample));
        let added = any.add_to_structs(&|keys| sampler.is_struct(keys));
        (messages, places) = (messages + 1, places + added);
        let understood = Envelope::decode(&any.write()).unwrap_or_else(|error| panic!("{error}\n{any:?}"));
        assert_eq!(understood, sample);
    }
    assert!(messages > 100 && places > 2 * messages, "{places} fields in {messages} messages");
}

#[test]
fn a_variant_that_is_not_known_is_refused_and_the_message_with_it() {
    let mut sampler = Sampler::default();
    let mut places = 0;
    for sample in samples(&mut sampler) {
        let any = Any::read(&bytes(&sample));
        for place in 0.. {
            let mut later = any.clone();
            if !later.rename_variant(place, &|text| sampler.is_variant(text)) {
                break;
            }
            places += 1;
            // A text that is no variant there may be called as one is.
            match Envelope::decode(&later.write()) {
                Err(Unreadable::Bytes { .. }) => {}
                Err(other) => panic!("{other}"),
                Ok(understood) => assert_ne!(understood, sample),
            }
        }
    }
    assert!(places > 500, "{places}");
}
