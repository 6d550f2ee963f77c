//! What is on the wire: it is read as it was written, by later binaries' rules too, and nothing
//! that arrives makes a reader panic.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use scenehost_bus::link::frame::{Body, Data, End, Frame, FrameError, Heartbeat, Packet, Payload, VERSION};
use scenehost_bus::link::{Counters, Link};

fn bytes(len: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..len).prop_map(Bytes::from)
}

fn end() -> impl Strategy<Value = End> {
    any::<(u16, u64, u64)>().prop_map(|(node, incarnation, link)| End { node, incarnation, link })
}

fn frame() -> impl Strategy<Value = Frame> {
    (any::<bool>(), any::<bool>(), bytes(50)).prop_map(|(is_first, is_last, bytes)| Frame { is_first, is_last, bytes })
}

fn heartbeat() -> impl Strategy<Value = Payload> {
    (any::<(u16, u64, u64, bool, u64)>(), bytes(50)).prop_map(
        |((node, incarnation, process, is_goodbye, revision), hello)| {
            Payload::Heartbeat(Heartbeat { node, incarnation, process, is_goodbye, revision, hello })
        },
    )
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        (any::<u64>(), bytes(50)).prop_map(|(revision, hello)| Body::Open { revision, hello }),
        (any::<(u64, u32, u64)>(), vec(frame(), 0..5)).prop_map(|((ack, room, first), frames)| Body::Data(Data {
            ack,
            room,
            first,
            frames
        })),
    ]
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        heartbeat(),
        (end(), end(), body()).prop_map(|(from, to, body)| Payload::Packet(Packet { from, to, body })),
    ]
}

proptest! {
    #[test]
    fn a_payload_is_read_as_it_was_written(payload in payload()) {
        prop_assert_eq!(Payload::decode(payload.encode()), Ok(payload));
    }

    #[test]
    fn fields_that_later_binaries_add_to_a_header_are_skipped(payload in payload(), added in vec(any::<u8>(), 1..20)) {
        let written = payload.encode();
        let header_len = usize::from(u16::from_be_bytes([written[2], written[3]]));
        let mut later = written[..2].to_vec();
        later.extend_from_slice(&((header_len + added.len()) as u16).to_be_bytes());
        later.extend_from_slice(&written[4..4 + header_len]);
        later.extend_from_slice(&added);
        later.extend_from_slice(&written[4 + header_len..]);
        prop_assert_eq!(Payload::decode(Bytes::from(later)), Ok(payload));
    }

    #[test]
    fn a_payload_cut_in_its_header_is_refused(payload in payload(), at in any::<prop::sample::Index>()) {
        let written = payload.encode();
        let header_end = 4 + usize::from(u16::from_be_bytes([written[2], written[3]]));
        let cut = written.slice(..at.index(header_end));
        prop_assert_eq!(Payload::decode(cut), Err(FrameError::Short));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in bytes(200)) {
        let _ = Payload::decode(bytes);
    }

    /// What can be read, however mutilated, may be given to a link that is up.
    #[test]
    fn a_link_takes_any_packet(
        payload in payload(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        numbers in any::<(u64, u32, u64)>(),
        frames in vec(frame(), 0..5),
    ) {
        let mut counters = Counters::default();
        let me = End { node: 1, incarnation: 1, link: 1 };
        let peer = End { node: 2, incarnation: 1, link: 1 };
        let mut link = Link::open(me, 2, 1, 0);
        link.receive(Packet { from: peer, to: me, body: Body::Open { revision: 1, hello: Bytes::new() } }, 0, &mut counters);
        prop_assert!(link.is_up());
        let mut mutilated = payload.encode().to_vec();
        for (at, byte) in changes {
            let at = at.index(mutilated.len());
            mutilated[at] = byte;
        }
        if let Ok(Payload::Packet(packet)) = Payload::decode(Bytes::from(mutilated)) {
            link.receive(packet, 1, &mut counters);
        }
        let (ack, room, first) = numbers;
        link.receive(Packet { from: peer, to: me, body: Body::Data(Data { ack, room, first, frames }) }, 2, &mut counters);
        link.transmit(3, (1, &Bytes::new()), &mut counters);
        while link.pop(3, &mut counters).is_some() {}
    }
}

#[test]
fn what_is_not_known_is_named() {
    let good = Payload::Heartbeat(Heartbeat {
        node: 1,
        incarnation: 2,
        process: 3,
        is_goodbye: false,
        revision: 4,
        hello: Bytes::new(),
    })
    .encode();
    let mut version = good.to_vec();
    version[0] = VERSION + 1;
    assert_eq!(Payload::decode(Bytes::from(version)), Err(FrameError::Version(VERSION + 1)));
    let mut kind = good.to_vec();
    kind[1] = 200;
    assert_eq!(Payload::decode(Bytes::from(kind)), Err(FrameError::Kind(200)));
    assert_eq!(Payload::decode(Bytes::new()), Err(FrameError::Short));
}

/// The bytes themselves, so that a change of the format is seen as one.
#[test]
fn the_format_is_as_it_was() {
    let from = End { node: 1, incarnation: 2, link: 3 };
    let to = End { node: 4, incarnation: 5, link: 6 };
    let frames = vec![Frame { is_first: true, is_last: true, bytes: Bytes::from_static(b"hi") }];
    let data = Body::Data(Data { ack: 7, room: 8, first: 9, frames });
    let written = Payload::Packet(Packet { from, to, body: data }).encode();
    let header = [&[1, 3, 0, 56][..], &[0, 1], &number(2), &number(3), &[0, 4], &number(5), &number(6)].concat();
    let rest = [&number(7)[..], &[0, 0, 0, 8], &number(9), &[3, 0, 0, 0, 2], b"hi"].concat();
    assert_eq!(written, [header, rest].concat());
    let hello = Bytes::from_static(b"x");
    let heartbeat = Heartbeat { node: 1, incarnation: 2, process: 3, is_goodbye: true, revision: 4, hello };
    let written = Payload::Heartbeat(heartbeat).encode();
    assert_eq!(written, [&[1, 1, 0, 27, 0, 1][..], &number(2), &number(3), &[1], &number(4), b"x"].concat());
}

fn number(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}
