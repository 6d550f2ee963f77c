//! Nodes in a simulated network with bad weather: what each is told is checked against what the
//! others have sent. `SCENEHOST_BUS_SEEDS` sets how many seeds are run.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use scenehost_bus::driver::sim::{Arrival, Network, Weather};
use scenehost_bus::peers::machine::{Machine, To};
use scenehost_bus::peers::{Event, SendError, Settings};

const NODES: u16 = 4;
/// How long the weather is bad.
const STORM_MS: u64 = 60_000;
/// How long all may take afterwards to be as if nothing had been.
const RECOVERY_MS: u64 = 20_000;

/// One run of a node: whom it is linked with and what has gone over the links.
struct Node {
    machine: Machine,
    incarnation: u64,
    subscriptions: Vec<u64>,
    hello: Bytes,
    is_paused: bool,
    /// Until when it takes no events.
    busy_until_ms: u64,
    /// The peers that are Up, by what they have told.
    up: BTreeMap<u16, Span>,
}

/// What has come from a peer since its Up.
struct Span {
    incarnation: u64,
    /// Our number of the link.
    link: u64,
    hello: Bytes,
    /// The sender's incarnation and number of the link, from its first message.
    theirs: Option<(u64, u64)>,
    received: u64,
}

/// A sender's incarnation, its number of the link, and the receiver.
type Way = (u16, u64, u64, u16);

struct World {
    rng: StdRng,
    network: Network,
    nodes: BTreeMap<u16, Node>,
    /// How many messages have been put into each link.
    sent: BTreeMap<Way, u64>,
    /// The links of which something has been received, by receiver: none may come back.
    heard: BTreeSet<(Way, u64)>,
    delivered: u64,
    downs: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let mut world = World {
            rng: StdRng::seed_from_u64(seed),
            network: Network::new(seed),
            nodes: BTreeMap::new(),
            sent: BTreeMap::new(),
            heard: BTreeSet::new(),
            delivered: 0,
            downs: 0,
        };
        for node in 1..=NODES {
            world.start(node, 1);
        }
        world
    }

    fn start(&mut self, node: u16, incarnation: u64) {
        let hello = Bytes::from(format!("{node} {incarnation}"));
        let process = self.rng.random();
        let settings = Settings { prefix: "t".to_owned(), node, incarnation, process, hello: hello.clone() };
        let machine = Machine::new(settings).expect("the settings are good");
        let name = node.to_string();
        let subscriptions =
            vec![self.network.subscribe(&name, "t.hb"), self.network.subscribe(&name, &format!("t.node.{node}"))];
        let up = BTreeMap::new();
        self.network.resume(&name);
        self.nodes
            .insert(node, Node { machine, incarnation, subscriptions, hello, is_paused: false, busy_until_ms: 0, up });
    }

    fn restart(&mut self, node: u16, says_goodbye: bool) {
        let old = self.nodes.remove(&node).expect("all nodes run");
        if says_goodbye {
            self.network.publish(&node.to_string(), "t.hb", &old.machine.goodbye(), None);
        }
        for subscription in old.subscriptions {
            self.network.unsubscribe(subscription);
        }
        self.start(node, old.incarnation + 1);
    }

    /// Lets a while pass, and everybody do what is to be done.
    fn step(&mut self, ms: u64) {
        let now_ms = self.network.now_ms() + ms;
        for arrival in self.network.step(now_ms) {
            let Arrival::Payload { to, bytes, .. } = arrival else { panic!("nobody asks") };
            let node: u16 = to.parse().expect("names are numbers");
            let node = self.nodes.get_mut(&node).expect("all nodes run");
            node.machine.receive(bytes, now_ms).expect("each node has a number of its own");
        }
        for number in 1..=NODES {
            self.run(number, now_ms);
        }
    }

    fn run(&mut self, number: u16, now_ms: u64) {
        let node = self.nodes.get_mut(&number).expect("all nodes run");
        if node.is_paused {
            return;
        }
        node.machine.tick(now_ms);
        while now_ms >= node.busy_until_ms
            && let Some(event) = node.machine.event(now_ms)
        {
            self.downs += u64::from(matches!(event, Event::Down { .. }));
            let told = node.told(number, event, &self.sent);
            if let Some(way) = told {
                self.delivered += 1;
                self.heard.insert(way);
            }
        }
        while let Some((to, bytes)) = node.machine.transmit(now_ms) {
            let subject = match to {
                To::All => "t.hb".to_owned(),
                To::Node(node) => format!("t.node.{node}"),
            };
            self.network.publish(&number.to_string(), &subject, &bytes, None);
        }
    }

    /// Has a node send to another, if it believes that it is there.
    fn send(&mut self, from: u16, to: u16) {
        let now_ms = self.network.now_ms();
        let len = if self.rng.random_range(0..50) == 0 { 300_000 } else { self.rng.random_range(0..200) };
        let node = self.nodes.get_mut(&from).expect("all nodes run");
        let Some(span) = node.up.get(&to) else {
            return;
        };
        let way = (from, node.incarnation, span.link, to);
        let sent = self.sent.entry(way).or_insert(0);
        let bytes = message(way, *sent, len);
        match node.machine.send(to, None, &bytes, now_ms) {
            Ok(()) => *sent += 1,
            // Down before the node has heard of it, or a peer that takes nothing for long.
            Err(SendError::Down | SendError::Full) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn storm(&mut self) {
        let (one, two) = (self.rng.random_range(1..=NODES), self.rng.random_range(1..=NODES));
        let (name, other) = (one.to_string(), two.to_string());
        let now_ms = self.network.now_ms();
        match self.rng.random_range(0..3_000) {
            0..20 => self.change_the_weather(),
            20..30 => self.network.cut(&name, &other),
            30..36 => {
                self.network.cut(&name, &other);
                self.network.cut(&other, &name);
            }
            36..56 => self.network.mend(),
            56..60 => {
                self.network.pause(&name);
                self.nodes.get_mut(&one).expect("all nodes run").is_paused = true;
            }
            60..90 => self.resume(one),
            90..93 => self.restart(one, false),
            93..96 => self.restart(one, true),
            96..110 => {
                let busy_ms = [100, 1_000, 4_000, 15_000][self.rng.random_range(0..4)];
                self.nodes.get_mut(&one).expect("all nodes run").busy_until_ms = now_ms + busy_ms;
            }
            110..130 => {
                let hello = Bytes::from(format!("{one} says {}", self.rng.random::<u32>()));
                let node = self.nodes.get_mut(&one).expect("all nodes run");
                node.machine.announce(hello.clone()).expect("it is short");
                node.hello = hello;
            }
            _ => {
                for _ in 0..self.rng.random_range(0..5) {
                    self.send(one, two);
                }
            }
        }
    }

    fn resume(&mut self, node: u16) {
        self.network.resume(&node.to_string());
        self.nodes.get_mut(&node).expect("all nodes run").is_paused = false;
    }

    fn change_the_weather(&mut self) {
        let lost_per_mille = [0, 0, 50, 150, 300][self.rng.random_range(0..5)];
        let doubled_per_mille = [0, 0, 100, 300][self.rng.random_range(0..4)];
        let longest_ms = [1, 5, 50, 400][self.rng.random_range(0..4)];
        let reorders = self.rng.random();
        let delay_ms = 1..=longest_ms;
        self.network.set_weather(Weather { lost_per_mille, doubled_per_mille, delay_ms, reorders });
    }

    fn clear_up(&mut self) {
        self.network.set_weather(Weather::calm());
        self.network.mend();
        for node in 1..=NODES {
            self.resume(node);
            self.nodes.get_mut(&node).expect("all nodes run").busy_until_ms = 0;
        }
    }

    /// All are Up for each other, know what each says of itself, and have all that was sent.
    fn check_that_all_is_well(&self) {
        for (number, node) in &self.nodes {
            for (other, peer) in self.nodes.iter().filter(|(other, _)| *other != number) {
                let span = node.up.get(other).unwrap_or_else(|| panic!("{other} is Up for {number}"));
                assert_eq!(span.incarnation, peer.incarnation);
                assert_eq!(span.hello, peer.hello);
                let back = peer.up.get(number).unwrap_or_else(|| panic!("{number} is Up for {other}"));
                let way = (*other, peer.incarnation, back.link, *number);
                let sent = self.sent.get(&way).copied().unwrap_or(0);
                assert_eq!(span.received, sent, "all that {other} has sent to {number} has come");
                if sent > 0 {
                    assert_eq!(span.theirs, Some((peer.incarnation, back.link)));
                }
            }
        }
    }
}

impl Node {
    /// Checks what the node is told; for the first message of a link, which link that is.
    fn told(&mut self, number: u16, event: Event, sent: &BTreeMap<Way, u64>) -> Option<(Way, u64)> {
        match event {
            Event::Up { node, incarnation, link, hello } => {
                let span = Span { incarnation, link, hello, theirs: None, received: 0 };
                assert!(self.up.insert(node, span).is_none(), "Up follows Down");
                None
            }
            Event::Hello { node, hello } => {
                let span = self.up.get_mut(&node).expect("a Hello is of a node that is Up");
                assert_ne!(span.hello, hello, "it is another");
                span.hello = hello;
                None
            }
            Event::Down { node, .. } => {
                assert!(self.up.remove(&node).is_some(), "Down follows Up");
                None
            }
            Event::Message { node, incarnation, bytes } => {
                let span = self.up.get_mut(&node).expect("a message is of a node that is Up");
                let (way, order) = read(&bytes);
                let (from, of, link, to) = way;
                assert_eq!((from, of, to), (node, incarnation, number));
                assert_eq!(incarnation, span.incarnation);
                assert_eq!(order, span.received, "in order, once each, from the first one on");
                assert!(order < sent[&way], "it has been sent");
                assert_eq!(*span.theirs.get_or_insert((of, link)), (of, link), "one link between Up and Down");
                span.received += 1;
                Some((way, self.incarnation << 32 | span.link))
            }
        }
    }
}

fn message((from, incarnation, link, to): Way, order: u64, len: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(32 + len);
    for number in [u64::from(from), incarnation, link, u64::from(to), order] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend((0..len).map(|index| (index as u64 + order) as u8));
    Bytes::from(bytes)
}

fn read(bytes: &Bytes) -> (Way, u64) {
    let number = |index: usize| u64::from_be_bytes(bytes[8 * index..8 * index + 8].try_into().expect("eight bytes"));
    let order = number(4);
    let is_whole = bytes[40..].iter().enumerate().all(|(index, byte)| *byte == (index as u64 + order) as u8);
    assert!(is_whole, "a message comes as it was sent");
    ((number(0) as u16, number(1), number(2), number(3) as u16), order)
}

fn seeds() -> u64 {
    std::env::var("SCENEHOST_BUS_SEEDS").map_or(8, |seeds| seeds.parse().expect("a number"))
}

/// Storms for a while, then waits until all must be well again.
fn storm(seed: u64) -> World {
    let mut world = World::new(seed);
    while world.network.now_ms() < STORM_MS {
        world.storm();
        let ms = world.rng.random_range(1..10);
        world.step(ms);
    }
    world.clear_up();
    let until_ms = world.network.now_ms() + RECOVERY_MS;
    while world.network.now_ms() < until_ms {
        world.step(5);
    }
    world
}

#[test]
fn what_comes_between_up_and_down_is_a_prefix_of_what_was_sent() {
    let (mut delivered, mut downs) = (0, 0);
    for seed in 0..seeds() {
        // Shown only when the test fails.
        println!("seed {seed}");
        let world = storm(seed);
        world.check_that_all_is_well();
        // One link of a sender is heard on one link of a receiver, or an old one has come back.
        let mut receivers = BTreeMap::new();
        for (way, receiver) in &world.heard {
            assert!(receivers.insert(way, receiver).is_none(), "seed {seed}: {way:?} is heard twice");
        }
        (delivered, downs) = (delivered + world.delivered, downs + world.downs);
    }
    assert!(delivered > 1_000 * seeds(), "{delivered} messages tell something");
    assert!(downs > 10 * seeds(), "{downs} Downs tell something");
}

#[test]
fn one_seed_gives_one_story() {
    let (one, two) = (storm(7), storm(7));
    assert_eq!((one.delivered, one.downs, one.sent), (two.delivered, two.downs, two.sent));
}
