//! Links alone, end to end by hand: each promise of `link` and each of its limits.

use bytes::Bytes;
use scenehost_bus::link::frame::{Body, End, Packet};
use scenehost_bus::link::{
    ACK_MS_MAX, BUFFER_BYTES_MAX, BUFFER_FRAMES_MAX, Counters, FRAME_BYTES_MAX, KEEPALIVE_MS, Link, MESSAGE_BYTES_MAX,
    PushError, READY_LEN_MAX, RESEND_MS_MIN, Receipt, SILENCE_MS_MAX, STALL_MS_MAX, WINDOW_FRAMES_MAX, Why,
};

static NOTHING: Bytes = Bytes::new();
static HELLO: (u64, &Bytes) = (1, &NOTHING);

/// Two ends, what has happened, and a time.
struct Pair {
    a: Link,
    b: Link,
    counters: Counters,
    now_ms: u64,
}

fn end(node: u16, link: u64) -> End {
    End { node, incarnation: 1, link }
}

/// Two ends that are up.
fn pair() -> Pair {
    let (a, b) = (Link::open(end(1, 1), 2, 1, 0), Link::open(end(2, 1), 1, 1, 0));
    let mut pair = Pair { a, b, counters: Counters::default(), now_ms: 0 };
    let knock = pair.said_by_a();
    pair.tell_b(knock);
    pair.exchange();
    assert!(pair.a.is_up() && pair.b.is_up());
    pair
}

impl Pair {
    fn said_by_a(&mut self) -> Vec<Packet> {
        std::iter::from_fn(|| self.a.transmit(self.now_ms, HELLO, &mut self.counters)).collect()
    }

    fn said_by_b(&mut self) -> Vec<Packet> {
        std::iter::from_fn(|| self.b.transmit(self.now_ms, HELLO, &mut self.counters)).collect()
    }

    fn tell_a(&mut self, packets: Vec<Packet>) {
        for packet in packets {
            self.a.receive(packet, self.now_ms, &mut self.counters);
        }
    }

    fn tell_b(&mut self, packets: Vec<Packet>) {
        for packet in packets {
            self.b.receive(packet, self.now_ms, &mut self.counters);
        }
    }

    /// Brings all packets over until there are no more.
    fn exchange(&mut self) {
        loop {
            let (one, two) = (self.said_by_a(), self.said_by_b());
            if one.is_empty() && two.is_empty() {
                return;
            }
            self.tell_b(one);
            self.tell_a(two);
        }
    }

    fn push(&mut self, bytes: &Bytes) -> Result<(), PushError> {
        self.a.push(bytes, self.now_ms)
    }

    fn pop(&mut self) -> Option<Bytes> {
        self.b.pop(self.now_ms, &mut self.counters)
    }
}

fn frames(packet: &Packet) -> usize {
    if let Body::Data(data) = &packet.body { data.frames.len() } else { 0 }
}

fn numbered(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

#[test]
fn an_opening_link_takes_nothing() {
    let mut link = Link::open(end(1, 1), 2, 1, 0);
    assert_eq!(link.push(&numbered(1), 0), Err(PushError::Full));
    assert!(!link.is_up());
}

#[test]
fn small_messages_share_a_packet() {
    let mut pair = pair();
    for number in 0..100 {
        pair.push(&numbered(number)).expect("there is room");
    }
    let packets = pair.said_by_a();
    assert_eq!(packets.iter().map(frames).collect::<Vec<_>>(), [100]);
    pair.tell_b(packets);
    for number in 0..100 {
        assert_eq!(pair.pop(), Some(numbered(number)));
    }
    assert_eq!(pair.pop(), None);
}

#[test]
fn messages_of_all_sizes_come_whole() {
    let mut pair = pair();
    let sizes = [0, 1, FRAME_BYTES_MAX, FRAME_BYTES_MAX + 1, 3 * FRAME_BYTES_MAX, MESSAGE_BYTES_MAX];
    for size in sizes {
        let message: Bytes = (0..size).map(|index| (index / 7) as u8).collect();
        pair.push(&message).expect("there is room");
        pair.exchange();
        assert_eq!(pair.pop(), Some(message), "{size}");
    }
    let bytes = MESSAGE_BYTES_MAX + 1;
    let refused = pair.push(&Bytes::from(vec![0; bytes]));
    assert_eq!(refused, Err(PushError::TooLarge { bytes, max: MESSAGE_BYTES_MAX }));
}

#[test]
fn a_full_buffer_refuses_and_loses_nothing() {
    let mut pair = pair();
    for number in 0..BUFFER_FRAMES_MAX as u32 {
        pair.push(&numbered(number)).expect("there is room");
    }
    assert_eq!(pair.push(&numbered(0)), Err(PushError::Full));
    let mut number = 0;
    while number < BUFFER_FRAMES_MAX as u32 {
        pair.exchange();
        while let Some(message) = pair.pop() {
            assert_eq!(message, numbered(number));
            number += 1;
        }
        pair.now_ms += ACK_MS_MAX;
    }
    pair.exchange();
    pair.push(&numbered(0)).expect("there is room again");

    let large = Bytes::from(vec![0; MESSAGE_BYTES_MAX]);
    let fit = BUFFER_BYTES_MAX / MESSAGE_BYTES_MAX;
    let mut other = self::pair();
    for _ in 0..fit {
        other.push(&large).expect("there is room");
    }
    assert_eq!(other.push(&numbered(0)), Err(PushError::Full));
}

#[test]
fn no_more_than_the_window_is_on_its_way() {
    let mut pair = pair();
    for number in 0..2 * WINDOW_FRAMES_MAX as u32 {
        pair.push(&numbered(number)).expect("there is room");
    }
    assert_eq!(pair.said_by_a().iter().map(frames).sum::<usize>(), WINDOW_FRAMES_MAX);
}

#[test]
fn an_acknowledgement_waits_for_company_but_not_long() {
    let mut pair = pair();
    pair.push(&numbered(1)).expect("there is room");
    let packets = pair.said_by_a();
    pair.tell_b(packets);
    assert_eq!(pair.said_by_b(), []);
    assert_eq!(pair.b.wake_ms(), pair.now_ms + ACK_MS_MAX);
    pair.now_ms += ACK_MS_MAX;
    let acknowledgement = pair.said_by_b();
    assert_eq!(acknowledgement.len(), 1);
    assert_eq!(pair.a.unacked(), 1);
    pair.tell_a(acknowledgement);
    assert_eq!(pair.a.unacked(), 0);

    // With company it goes at once.
    pair.push(&numbered(2)).expect("there is room");
    let packets = pair.said_by_a();
    pair.tell_b(packets);
    pair.b.push(&numbered(3), pair.now_ms).expect("there is room");
    let packets = pair.said_by_b();
    pair.tell_a(packets);
    assert_eq!(pair.a.unacked(), 0);
}

#[test]
fn what_is_lost_is_sent_again_after_longer_and_longer_waits() {
    let mut pair = pair();
    pair.push(&numbered(1)).expect("there is room");
    let mut sent_ms = Vec::new();
    while pair.now_ms < 6_000 {
        if pair.said_by_a().iter().any(|packet| frames(packet) > 0) {
            sent_ms.push(pair.now_ms);
        }
        pair.now_ms += 10;
    }
    let waits: Vec<u64> = sent_ms.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(waits, [RESEND_MS_MIN, RESEND_MS_MIN, 200, 400, 800, 1_000, 1_000, 1_000, 1_000]);
    assert_eq!(pair.counters.retransmitted, waits.len() as u64);
}

#[test]
fn what_comes_early_waits_and_what_comes_twice_is_dropped() {
    let mut pair = pair();
    let mut packets = Vec::new();
    for number in 0..4 {
        pair.push(&numbered(number)).expect("there is room");
        packets.extend(pair.said_by_a());
    }
    packets.reverse();
    packets.extend(packets.clone());
    pair.tell_b(packets);
    for number in 0..4 {
        assert_eq!(pair.pop(), Some(numbered(number)));
    }
    assert_eq!(pair.pop(), None);
    assert_eq!(pair.counters.duplicates, 4);
}

#[test]
fn after_a_loss_the_rest_follows_without_further_waits() {
    let mut pair = pair();
    let large = Bytes::from(vec![0; FRAME_BYTES_MAX]);
    for _ in 0..12 {
        pair.push(&large).expect("there is room");
    }
    let lost = pair.said_by_a();
    assert_eq!(lost.len(), 3);
    pair.now_ms += RESEND_MS_MIN;
    for _ in 0..3 {
        let again = pair.said_by_a();
        assert_eq!(again.iter().map(frames).sum::<usize>(), 4);
        pair.tell_b(again);
        let acknowledged = pair.said_by_b();
        pair.tell_a(acknowledged);
    }
    assert_eq!(pair.a.unacked(), 0);
}

#[test]
fn who_takes_nothing_is_not_sent_more_and_nothing_is_lost() {
    let mut pair = pair();
    let many = 2 * (READY_LEN_MAX + WINDOW_FRAMES_MAX) as u32;
    for number in 0..many {
        pair.push(&numbered(number)).expect("there is room");
    }
    for _ in 0..100 {
        pair.exchange();
        pair.now_ms += ACK_MS_MAX;
    }
    let waits = pair.a.unacked();
    assert!(waits >= many as usize - READY_LEN_MAX, "{waits} wait at the sender");
    let retransmitted = pair.counters.retransmitted;
    for _ in 0..100 {
        pair.exchange();
        pair.now_ms += ACK_MS_MAX;
    }
    assert_eq!(pair.a.unacked(), waits);
    assert_eq!(pair.counters.retransmitted, retransmitted, "a full receiver is not knocked at");
    let mut number = 0;
    while number < many {
        while let Some(message) = pair.pop() {
            assert_eq!(message, numbered(number));
            number += 1;
        }
        pair.now_ms += ACK_MS_MAX;
        pair.exchange();
    }
    assert_eq!(pair.a.over(pair.now_ms), None);
}

#[test]
fn what_was_on_its_way_to_a_full_receiver_is_not_acknowledged() {
    let mut pair = pair();
    let (early, late) = (600, WINDOW_FRAMES_MAX as u32);
    for batch in [0..early, early..early + late] {
        for number in batch {
            pair.push(&numbered(number)).expect("there is room");
        }
        pair.exchange();
        pair.now_ms += ACK_MS_MAX;
        pair.exchange();
    }
    assert_eq!(pair.a.unacked(), (early + late) as usize - READY_LEN_MAX);
}

#[test]
fn idle_ends_keep_each_other_alive() {
    let mut pair = pair();
    while pair.now_ms < 10 * SILENCE_MS_MAX {
        pair.now_ms += KEEPALIVE_MS;
        pair.exchange();
        assert_eq!((pair.a.over(pair.now_ms), pair.b.over(pair.now_ms)), (None, None));
    }
}

#[test]
fn silence_ends_a_link() {
    let pair = pair();
    assert_eq!(pair.a.over(SILENCE_MS_MAX - 1), None);
    assert_eq!(pair.a.over(SILENCE_MS_MAX), Some(Why::Silent));
    assert!(pair.a.wake_ms() <= SILENCE_MS_MAX);
}

#[test]
fn signs_of_life_on_other_ways_do_not_keep_a_link() {
    let mut pair = pair();
    pair.a.heard(SILENCE_MS_MAX - 1);
    assert_eq!(pair.a.over(SILENCE_MS_MAX), Some(Why::Silent));
}

/// The peer lives and says so, but nothing gets through to it or it takes nothing.
#[test]
fn a_link_on_which_nothing_moves_is_given_up() {
    let mut pair = pair();
    pair.push(&numbered(1)).expect("there is room");
    while pair.now_ms < STALL_MS_MAX - KEEPALIVE_MS {
        pair.now_ms += KEEPALIVE_MS;
        pair.said_by_a();
        let alive = pair.said_by_b();
        pair.tell_a(alive);
        assert_eq!(pair.a.over(pair.now_ms), None);
    }
    assert_eq!(pair.a.over(STALL_MS_MAX), Some(Why::Stalled));
}

#[test]
fn packets_of_another_link_are_refused() {
    let mut pair = pair();
    pair.push(&numbered(1)).expect("there is room");
    let packet = pair.said_by_a().remove(0);
    let older = Packet { from: End { link: 0, ..packet.from }, ..packet.clone() };
    let for_another = Packet { to: End { link: 7, ..packet.to }, ..packet };
    for packet in [older, for_another] {
        assert_eq!(pair.b.receive(packet, 0, &mut pair.counters), Receipt::Refused);
    }
    assert_eq!(pair.pop(), None);
}

#[test]
fn a_new_link_of_the_peer_ends_the_old_one() {
    let mut pair = pair();
    let mut newer = Link::open(end(1, 2), 2, 1, 0);
    let knock = newer.transmit(0, HELLO, &mut pair.counters).expect("it knocks");
    assert_eq!(pair.b.receive(knock, 0, &mut pair.counters), Receipt::Over(Why::Reset));

    // And what the old end says is refused by the new one.
    pair.b.push(&numbered(1), 0).expect("there is room");
    for packet in pair.said_by_b() {
        assert_eq!(newer.receive(packet, 0, &mut pair.counters), Receipt::Refused);
    }
    assert!(!newer.is_up());
}

/// The end that is still opening has taken nothing, so its number is good for the peer's next link, too.
#[test]
fn an_opening_end_follows_the_peer_to_its_newest_link() {
    let mut counters = Counters::default();
    let (mut a, mut b) = (Link::open(end(1, 1), 2, 1, 0), Link::open(end(2, 1), 1, 1, 0));
    let knock = a.transmit(0, HELLO, &mut counters).expect("it knocks");
    b.receive(knock, 0, &mut counters);
    let answer = b.transmit(0, HELLO, &mut counters).expect("it knocks, too");
    assert_eq!(a.receive(answer, 0, &mut counters), Receipt::Opened);
    a.push(&numbered(1), 0).expect("there is room");
    let late = a.transmit(0, HELLO, &mut counters).expect("it is up");

    let mut newer = Link::open(end(1, 2), 2, 1, 0);
    let knock = newer.transmit(0, HELLO, &mut counters).expect("it knocks");
    assert_eq!(b.receive(knock, 100, &mut counters), Receipt::Refused);
    let answer = b.transmit(100, HELLO, &mut counters).expect("it knocks again");
    assert_eq!(newer.receive(answer, 100, &mut counters), Receipt::Opened);
    let opened = newer.transmit(100, HELLO, &mut counters).expect("it is up");
    assert_eq!(b.receive(opened, 100, &mut counters), Receipt::Opened);

    assert_eq!(b.receive(late, 100, &mut counters), Receipt::Refused);
    assert_eq!(b.pop(100, &mut counters), None);
}

#[test]
fn number_0_is_no_link() {
    let mut link = Link::open(end(1, 1), 2, 1, 0);
    let mut counters = Counters::default();
    let body = Body::Open { revision: 1, hello: Bytes::new() };
    let packet = Packet { from: end(2, 0), to: end(1, 1), body };
    assert_eq!(link.receive(packet, 0, &mut counters), Receipt::Refused);
    assert!(!link.is_up());
}
