//! Messages as they are now, kept as bytes in `frozen/version-1.bin`: later versions have to understand them, as they are
//! what a node of this version says while its cluster is being upgraded. `frozen/version-1.txt` lists what there is a
//! message of: every variant of every enum that may be in one.
//!
//! Invariant: messages are added (`UPDATE_WIRE=1 cargo test -p scenehost-server frozen`), and never changed or removed
//! as long as [`super::SPEAKS`] says that nodes of this version work with those of that one.

mod any;
mod sampler;

use std::path::PathBuf;

use any::Any;
use sampler::Sampler;

use super::{Envelope, Hello};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/cluster/wire/frozen").join(name)
}

/// The messages that are kept.
fn frozen() -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file("version-1.bin")).unwrap_or_default();
    if bytes.is_empty() { Vec::new() } else { rmp_serde::from_slice(&bytes).expect("it is a list of messages") }
}

/// Messages of this version: of every variant at least one.
fn samples(sampler: &mut Sampler) -> Vec<Envelope> {
    sampler.all::<Envelope>(|envelope| envelope.encode().is_some())
}

#[test]
fn what_was_said_once_is_understood_and_nothing_of_it_is_passed_over() {
    let frozen = frozen();
    assert!(frozen.len() > 200, "{} are kept", frozen.len());
    for bytes in &frozen {
        let was = Any::read(bytes);
        let understood = Envelope::decode(bytes).unwrap_or_else(|error| panic!("{error}\n{was:?}"));
        let is = Any::read(&understood.encode().expect("it has left its process before"));
        assert!(is.has_all_of(&was), "of {was:?}\nis understood {is:?}");
    }
}

#[test]
fn of_all_that_can_be_said_there_is_a_frozen_message() {
    let mut sampler = Sampler::default();
    let samples = samples(&mut sampler);
    assert!(sampler.missing().is_empty(), "no message has these: {:?}", sampler.missing());
    let vocabulary = sampler.vocabulary();
    let (list, messages) = (file("version-1.txt"), file("version-1.bin"));
    if std::env::var_os("UPDATE_WIRE").is_some() {
        let mut frozen = frozen();
        for sample in samples {
            let bytes = sample.encode().expect("it may leave its process").to_vec();
            if !frozen.contains(&bytes) {
                frozen.push(bytes);
            }
        }
        std::fs::write(messages, rmp_serde::to_vec(&frozen).expect("plain data")).expect("it is ours");
        std::fs::write(list, &vocabulary).expect("it is ours");
        return;
    }
    let listed = std::fs::read_to_string(list).unwrap_or_default();
    assert_eq!(
        listed, vocabulary,
        "what nodes can say has changed: see cluster/wire/frozen.rs. What is new is kept by UPDATE_WIRE=1; what was \
         taken away or renamed breaks clusters that are being upgraded"
    );
}

#[test]
fn a_field_that_is_not_known_is_passed_over_wherever_it_is() {
    let mut sampler = Sampler::default();
    let (mut messages, mut places) = (0, 0);
    for sample in samples(&mut sampler) {
        let mut any = Any::read(&sample.encode().expect("it may leave its process"));
        let added = any.add_to_structs(&|keys| sampler.is_struct(keys));
        (messages, places) = (messages + 1, places + added);
        let understood = Envelope::decode(&any.write()).unwrap_or_else(|error| panic!("{error}\n{any:?}"));
        assert_eq!(understood, sample);
    }
    assert!(messages > 200 && places > messages, "{places} fields in {messages} messages");
}

#[test]
fn what_nodes_say_of_themselves_is_frozen_too() {
    let said = std::fs::read(file("hello-1.bin")).unwrap_or_default();
    let mut sampler = Sampler::default();
    if std::env::var_os("UPDATE_WIRE").is_some() && said.is_empty() {
        // One of this very version, so that it can be worked with.
        let mut hellos = sampler.all::<Hello>(|_| true);
        hellos.iter_mut().for_each(|hello| (hello.version, hello.oldest) = (1, 1));
        let hellos: Vec<Vec<u8>> = hellos.iter().map(|hello| hello.encode().to_vec()).collect();
        std::fs::write(file("hello-1.bin"), rmp_serde::to_vec(&hellos).expect("plain data")).expect("it is ours");
        return;
    }
    let hellos: Vec<Vec<u8>> = rmp_serde::from_slice(&said).expect("it is a list of them");
    assert!(!hellos.is_empty());
    for bytes in &hellos {
        let hello = Hello::decode(bytes).expect("nodes of version 1 are worked with");
        assert!(Any::read(&hello.encode()).has_all_of(&Any::read(bytes)), "{hello:?}");
    }
}
