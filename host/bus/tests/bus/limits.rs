//! What a link and a node's view of others hold on to when the other side breaks the rules, comes late or is in a bad moment.

use bytes::Bytes;
use scenehost_bus::link::frame::{Body, Data, End, Frame, Heartbeat, Packet, Payload};
use scenehost_bus::link::{
    Counters, FRAME_BYTES_MAX, KEEPALIVE_MS, Link, MESSAGE_BYTES_MAX, READY_BYTES_MAX, RESEND_MS_MIN, STALL_MS_MAX,
    WINDOW_BYTES_MAX, WINDOW_FRAMES_MAX,
};
use scenehost_bus::peers::machine::{Machine, To};
use scenehost_bus::peers::{Event, HEARTBEAT_MS, PEERS_MAX, Settings};

static NOTHING: Bytes = Bytes::new();
static HELLO: (u64, &Bytes) = (1, &NOTHING);

/// One end of a link that is up, whose other end is played by hand.
struct Alone {
    link: Link,
    counters: Counters,
    now_ms: u64,
}

const ME: End = End { node: 2, incarnation: 1, link: 1 };
const PEER: End = End { node: 1, incarnation: 1, link: 1 };

fn alone() -> Alone {
    let link = Link::open(ME, PEER.node, PEER.incarnation, 0);
    let mut alone = Alone { link, counters: Counters::default(), now_ms: 0 };
    alone.hear(Body::Open { revision: 1, hello: Bytes::new() });
    assert!(alone.link.is_up());
    alone.say();
    alone
}

impl Alone {
    fn hear(&mut self, body: Body) {
        self.link.receive(Packet { from: PEER, to: ME, body }, self.now_ms, &mut self.counters);
    }

    /// Hears frames with these numbers on, and that nothing was taken yet of what this end has sent.
    fn hear_frames(&mut self, first: u64, frames: Vec<Frame>) {
        self.hear(Body::Data(Data { ack: 0, room: WINDOW_FRAMES_MAX as u32, first, frames }));
    }

    fn hear_acknowledgement(&mut self, ack: u64, room: u32) {
        self.hear(Body::Data(Data { ack, room, first: 1, frames: Vec::new() }));
    }

    /// What it says now; the numbers and the frames of each packet.
    fn say(&mut self) -> Vec<Data> {
        let said = std::iter::from_fn(|| self.link.transmit(self.now_ms, HELLO, &mut self.counters));
        said.filter_map(|packet| if let Body::Data(data) = packet.body { Some(data) } else { None }).collect()
    }

    fn push(&mut self, message: &'static str) {
        self.link.push(&Bytes::from_static(message.as_bytes()), self.now_ms).expect("there is room");
    }

    fn pop(&mut self) -> Option<Bytes> {
        self.link.pop(self.now_ms, &mut self.counters)
    }
}

fn whole(bytes: Bytes) -> Frame {
    Frame { is_first: true, is_last: true, bytes }
}

#[test]
fn frames_beyond_the_window_are_not_kept() {
    let mut alone = alone();
    let window = WINDOW_FRAMES_MAX as u64;
    alone.hear_frames(1 + window, vec![whole(Bytes::new())]);
    assert_eq!(alone.counters.refused, 1);
    alone.hear_frames(window, vec![whole(Bytes::new())]);
    assert_eq!(alone.counters.refused, 1, "the last one of the window is kept");
}

#[test]
fn of_frames_that_come_early_so_many_bytes_are_kept_and_the_one_whose_turn_it_is_always_is() {
    let mut alone = alone();
    let bytes = Bytes::from(vec![7; FRAME_BYTES_MAX]);
    let fit = WINDOW_BYTES_MAX.div_ceil(FRAME_BYTES_MAX) as u64;
    for number in 2..2 + fit {
        alone.hear_frames(number, vec![whole(bytes.clone())]);
    }
    assert_eq!(alone.counters.refused, 0);
    alone.hear_frames(2 + fit, vec![whole(bytes.clone())]);
    assert_eq!(alone.counters.refused, 1);
    alone.hear_frames(1, vec![whole(bytes)]);
    assert!(alone.pop().is_some(), "what all others wait for is taken");
}

#[test]
fn a_message_that_does_not_end_is_given_up_and_the_next_one_comes() {
    let mut alone = alone();
    let part = |is_first| Frame { is_first, is_last: false, bytes: Bytes::from(vec![7; FRAME_BYTES_MAX]) };
    let mut number = 1;
    for index in 0..=MESSAGE_BYTES_MAX / FRAME_BYTES_MAX {
        alone.hear_frames(number, vec![part(index == 0)]);
        number += 1;
    }
    assert_eq!(alone.counters.refused, 1);
    let last = Frame { is_first: false, is_last: true, bytes: Bytes::from_static(b"the rest of nothing") };
    alone.hear_frames(number, vec![last, whole(Bytes::from_static(b"next"))]);
    assert_eq!(alone.pop().as_deref(), Some(&b"next"[..]));
    assert_eq!(alone.counters.refused, 2);
}

#[test]
fn so_many_bytes_wait_to_be_taken_and_half_of_them_make_room() {
    let mut alone = alone();
    let bytes = Bytes::from(vec![7; FRAME_BYTES_MAX]);
    let fit = READY_BYTES_MAX.div_ceil(FRAME_BYTES_MAX) as u64;
    for number in 1..=fit + 1 {
        alone.hear_frames(number, vec![whole(bytes.clone())]);
    }
    let told = alone.say().pop().expect("so many are acknowledged at once");
    assert_eq!((told.ack, told.room), (fit, 0), "the one more is not acknowledged");
    for _ in 0..fit {
        assert!(alone.pop().is_some());
    }
    let told = alone.say().pop().expect("that there is room is said at once");
    assert_eq!((told.ack, told.room), (fit + 1, WINDOW_FRAMES_MAX as u32));
}

#[test]
fn many_frames_and_those_after_a_gap_are_acknowledged_at_once() {
    let mut many = alone();
    many.hear_frames(1, vec![whole(Bytes::new()); 63]);
    assert_eq!(many.say(), [], "a few wait for company");
    many.hear_frames(64, vec![whole(Bytes::new())]);
    assert_eq!(many.say().iter().map(|data| data.ack).collect::<Vec<_>>(), [64]);

    let mut gap = alone();
    gap.hear_frames(2, vec![whole(Bytes::new())]);
    assert_eq!(gap.say().iter().map(|data| data.ack).collect::<Vec<_>>(), [0], "the sender hears of the gap");
}

#[test]
fn what_was_not_sent_cannot_be_acknowledged_and_an_older_word_changes_nothing() {
    let mut alone = alone();
    alone.push("one");
    alone.say();
    alone.hear_acknowledgement(2, 9);
    assert_eq!(alone.link.unacked(), 1, "there was no second one");
    alone.hear_acknowledgement(1, 9);
    alone.push("two");
    alone.say();
    alone.hear_acknowledgement(2, 9);
    assert_eq!(alone.link.unacked(), 0);
    // What was said when there was no room comes late.
    alone.hear_acknowledgement(0, 0);
    alone.push("three");
    assert_eq!(alone.say().len(), 1, "there is room");
}

#[test]
fn after_an_acknowledgement_what_is_lost_is_sent_again_as_soon_as_before() {
    let mut alone = alone();
    alone.push("one");
    alone.say();
    // Lost four times: the waits have grown.
    while alone.counters.retransmitted < 4 {
        alone.now_ms += 10;
        alone.say();
    }
    alone.hear_acknowledgement(1, 9);
    alone.push("two");
    alone.say();
    let before = alone.counters.retransmitted;
    alone.now_ms += RESEND_MS_MIN;
    alone.say();
    assert_eq!(alone.counters.retransmitted, before + 1);
}

#[test]
fn no_more_bytes_than_the_window_are_on_their_way() {
    let mut alone = alone();
    for _ in 0..2 * WINDOW_BYTES_MAX / FRAME_BYTES_MAX {
        alone.link.push(&Bytes::from(vec![7; FRAME_BYTES_MAX]), 0).expect("there is room");
    }
    let said = alone.say().iter().map(|data| data.frames.len()).sum::<usize>();
    assert_eq!(said, WINDOW_BYTES_MAX.div_ceil(FRAME_BYTES_MAX));
}

#[test]
fn a_link_that_was_idle_for_long_has_not_stalled() {
    let mut alone = alone();
    while alone.now_ms < 2 * STALL_MS_MAX {
        alone.now_ms += KEEPALIVE_MS;
        alone.hear_acknowledgement(0, 9);
    }
    alone.push("something at last");
    assert_eq!(alone.link.over(alone.now_ms), None);
    alone.say();
    alone.now_ms += KEEPALIVE_MS;
    alone.hear_acknowledgement(0, 9);
    assert_eq!(alone.link.over(alone.now_ms), None);
}

#[test]
fn an_opening_end_does_not_knock_in_a_flood_however_often_it_is_asked_to() {
    let (mut link, mut counters) = (Link::open(ME, PEER.node, PEER.incarnation, 0), Counters::default());
    let mut knocks = 0;
    for now_ms in 0..1_000 {
        link.knock_soon(now_ms);
        knocks += usize::from(link.transmit(now_ms, HELLO, &mut counters).is_some());
    }
    assert_eq!(knocks, 50, "one in 20 ms");
}

fn machine(node: u16) -> Machine {
    let settings = Settings { prefix: "t".to_owned(), node, incarnation: 1, process: node.into(), hello: Bytes::new() };
    Machine::new(settings).expect("the settings are good")
}

fn heartbeat(node: u16, revision: u64, hello: &'static str) -> Bytes {
    let hello = Bytes::from_static(hello.as_bytes());
    let (incarnation, process) = (1, node.into());
    Payload::Heartbeat(Heartbeat { node, incarnation, process, is_goodbye: false, revision, hello }).encode()
}

/// What a machine says, but for what it is told at the end.
fn said(machine: &mut Machine, now_ms: u64) -> Vec<(To, Bytes)> {
    std::iter::from_fn(|| machine.transmit(now_ms)).collect()
}

/// Brings everything over between machines with these numbers until there is nothing more.
fn exchange(machines: &mut [(u16, Machine)], now_ms: u64) {
    loop {
        let mut all = Vec::new();
        for (node, machine) in &mut *machines {
            all.extend(said(machine, now_ms).into_iter().map(|(to, bytes)| (*node, to, bytes)));
        }
        if all.is_empty() {
            return;
        }
        for (from, to, bytes) in all {
            let is_for = |node: u16| node != from && (to == To::All || to == To::Node(node));
            for (_, machine) in machines.iter_mut().filter(|(node, _)| is_for(*node)) {
                machine.receive(bytes.clone(), now_ms).expect("all numbers are different");
            }
        }
    }
}

#[test]
fn no_more_nodes_are_known_than_the_limit() {
    let mut machine = machine(u16::MAX);
    for node in 1..=PEERS_MAX as u16 {
        machine.receive(heartbeat(node, 1, ""), 0).expect("it is another's number");
    }
    assert_eq!(machine.counters().refused, 0);
    machine.receive(heartbeat(PEERS_MAX as u16 + 1, 1, ""), 0).expect("it is another's number");
    assert_eq!(machine.counters().refused, 1);
    let knocks = said(&mut machine, 0).into_iter().filter(|(to, _)| *to != To::All).count();
    assert_eq!(knocks, PEERS_MAX);
}

#[test]
fn what_changes_often_is_said_now_and_then() {
    let mut machine = machine(1);
    let mut beats = 0;
    for now_ms in 0..HEARTBEAT_MS {
        machine.announce(Bytes::from(now_ms.to_string())).expect("it is short");
        beats += said(&mut machine, now_ms).len();
    }
    assert_eq!(beats as u64, HEARTBEAT_MS / 20);
}

#[test]
fn a_packet_that_claims_to_be_of_the_node_itself_makes_no_link() {
    let mut machine = machine(2);
    said(&mut machine, 0);
    let packet = Packet { from: ME, to: ME, body: Body::Open { revision: 1, hello: Bytes::new() } };
    machine.receive(Payload::Packet(packet).encode(), 0).expect("it is passed over");
    assert_eq!((machine.counters().refused, said(&mut machine, 0).len()), (1, 0));
}

#[test]
fn nodes_take_turns_when_much_is_to_be_told_of_them() {
    let mut machines = [1, 2, 3].map(|node| (node, machine(node)));
    exchange(&mut machines, 0);
    exchange(&mut machines, 20);
    for (_, machine) in &mut machines {
        let up = std::iter::from_fn(|| machine.event(20)).filter(|event| matches!(event, Event::Up { .. })).count();
        assert_eq!(up, 2);
    }
    for (_, machine) in &mut machines[1..] {
        for _ in 0..10 {
            machine.send(1, None, &Bytes::from_static(b"a word"), 20).expect("it is up");
        }
    }
    exchange(&mut machines, 20);
    let (_, told) = &mut machines[0];
    let from = std::iter::from_fn(|| told.event(20)).map(|event| match event {
        Event::Message { node, .. } => node,
        other => panic!("{other:?}"),
    });
    let from: Vec<u16> = from.collect();
    assert_eq!(from.len(), 20);
    assert!(from.windows(2).all(|two| two[0] != two[1]), "{from:?}");
}

#[test]
fn what_a_node_said_of_itself_before_does_not_come_back() {
    let mut machines = [1, 2].map(|node| (node, machine(node)));
    exchange(&mut machines, 0);
    exchange(&mut machines, 20);
    let (_, told) = &mut machines[0];
    assert!(matches!(told.event(20), Some(Event::Up { node: 2, .. })));
    told.receive(heartbeat(2, 9, "new"), 20).expect("it is another's number");
    told.receive(heartbeat(2, 8, "old"), 20).expect("it is another's number");
    let hellos: Vec<Event> = std::iter::from_fn(|| told.event(20)).collect();
    assert_eq!(hellos, [Event::Hello { node: 2, hello: Bytes::from_static(b"new") }]);
    assert_eq!(told.peers()[0].hello, "new");
}
