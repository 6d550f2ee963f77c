//! Membership through its handle, on the driver of one process and the real clock.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use scenehost_bus::driver::local::LocalBus;
use scenehost_bus::driver::{self, Driver};
use scenehost_bus::link::frame::{Heartbeat, Payload};
use scenehost_bus::link::{BUFFER_FRAMES_MAX, MESSAGE_BYTES_MAX, SILENCE_MS_MAX, Why};
use scenehost_bus::peers::{Error, Event, HELLO_BYTES_MAX, Peers, SendError, Settings};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What must happen, happens within this.
const SOON: Duration = Duration::from_secs(30);

/// A node that runs.
pub struct Node {
    pub peers: Peers,
    pub events: mpsc::Receiver<Event>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), Error>>,
}

pub fn settings(node: u16, incarnation: u64) -> Settings {
    let hello = Bytes::from(format!("{node}.{incarnation}"));
    Settings { prefix: "test".to_owned(), node, incarnation, process: u64::from(node) << 32 | incarnation, hello }
}

impl Node {
    pub fn start(driver: Arc<dyn Driver>, settings: Settings) -> Node {
        let (peers, runner, events) = Peers::new(driver, settings).expect("the settings are good");
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(runner.run(async {
            if stopped.await.is_err() {
                pending::<()>().await;
            }
        }));
        Node { peers, events, stop, running }
    }

    pub async fn next(&mut self) -> Event {
        soon(self.events.recv()).await.expect("the node runs")
    }

    /// Waits for a node's Up and gives the link.
    pub async fn up(&mut self, expected: u16) -> u64 {
        let Event::Up { node, link, .. } = self.next().await else { panic!("it is an Up") };
        assert_eq!(node, expected);
        link
    }

    pub async fn message(&mut self) -> Bytes {
        let Event::Message { bytes, .. } = self.next().await else { panic!("it is a message") };
        bytes
    }

    /// Ends as a process that is killed.
    pub fn kill(self) {
        self.running.abort();
    }

    async fn stop(self) -> mpsc::Receiver<Event> {
        self.stop.send(()).expect("it runs");
        soon(self.running).await.expect("it ends").expect("it ends well");
        self.events
    }

    async fn fails(self) -> Error {
        soon(self.running).await.expect("it ends").expect_err("it fails")
    }
}

pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it happens soon")
}

pub fn numbered(number: u32) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn node(bus: &LocalBus, number: u16, incarnation: u64) -> Node {
    Node::start(Arc::new(bus.node()), settings(number, incarnation))
}

async fn two(bus: &LocalBus) -> (Node, Node) {
    let (mut a, mut b) = (node(bus, 1, 1), node(bus, 2, 1));
    a.up(2).await;
    b.up(1).await;
    (a, b)
}

#[tokio::test]
async fn nodes_find_each_other_and_talk() {
    let bus = LocalBus::default();
    let (mut a, mut b) = (node(&bus, 1, 5), node(&bus, 2, 6));
    let Event::Up { node: 2, incarnation: 6, hello, .. } = a.next().await else { panic!("2 is Up") };
    assert_eq!(hello, "2.6");
    b.up(1).await;
    for number in 0..1_000 {
        a.peers.send(2, numbered(number)).expect("there is room");
    }
    for number in 0..1_000 {
        let expected = Event::Message { node: 1, incarnation: 5, bytes: numbered(number) };
        assert_eq!(b.next().await, expected);
    }
    b.peers.send(1, Bytes::from_static(b"all came")).expect("there is room");
    assert_eq!(a.message().await, "all came");
    let (sent, received) = (a.peers.counters(), b.peers.counters());
    assert_eq!((sent.sent, sent.sent_bytes, received.received, received.received_bytes), (1_000, 4_000, 1_000, 4_000));
    let known = a.peers.peers();
    assert_eq!((known.len(), known[0].node, known[0].incarnation), (1, 2, 6));
}

#[tokio::test]
async fn a_node_hears_itself_as_long_as_the_bus_brings_back_what_it_says() {
    let alone = node(&LocalBus::default(), 1, 1);
    let peers = alone.peers.clone();
    let hears = async |so: bool| {
        while peers.hears_itself() != so {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(!peers.hears_itself(), "nothing was said yet");
    soon(hears(true)).await;
    alone.kill();
    soon(hears(false)).await;
}

#[tokio::test]
async fn what_a_node_says_of_itself_is_told_when_it_changes() {
    let bus = LocalBus::default();
    let (mut a, b) = two(&bus).await;
    b.peers.announce(Bytes::from_static(b"other")).expect("it is short");
    assert_eq!(a.next().await, Event::Hello { node: 2, hello: Bytes::from_static(b"other") });
    assert_eq!(a.peers.peers()[0].hello, "other");
    let bytes = HELLO_BYTES_MAX + 1;
    assert_eq!(b.peers.announce(Bytes::from(vec![0; bytes])), Err(Error::HelloTooLarge { bytes }));
}

#[tokio::test]
async fn a_node_that_says_goodbye_is_down_at_once_after_all_it_has_sent() {
    let bus = LocalBus::default();
    let (mut a, b) = two(&bus).await;
    for number in 0..5_000 {
        b.peers.send(1, numbered(number)).expect("there is room");
    }
    let handle = b.peers.clone();
    let stopping = tokio::spawn(b.stop());
    for number in 0..5_000 {
        assert_eq!(a.message().await, numbered(number));
    }
    assert_eq!(a.next().await, Event::Down { node: 2, why: Why::Goodbye });
    soon(stopping).await.expect("it has stopped");
    assert_eq!(handle.send(1, numbered(0)), Err(SendError::Closed));
    assert_eq!(a.peers.send(2, numbered(0)), Err(SendError::Down));
    assert_eq!(a.peers.peers(), []);
}

#[tokio::test]
async fn what_comes_late_of_a_node_that_has_said_goodbye_is_not_heard() {
    let bus = LocalBus::default();
    let (mut a, b) = two(&bus).await;
    b.stop().await;
    assert_eq!(a.next().await, Event::Down { node: 2, why: Why::Goodbye });
    let refused = a.peers.counters().refused;
    let Settings { node, incarnation, process, hello, .. } = settings(2, 1);
    let late = Heartbeat { node, incarnation, process, is_goodbye: false, revision: 1, hello };
    let stranger = bus.node();
    let mut knocks = stranger.subscribe("test.node.2").await.expect("subscribed");
    stranger.publish("test.hb", Payload::Heartbeat(late).encode()).expect("sent");
    let dropped = async {
        while a.peers.counters().refused == refused {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(dropped).await;
    assert!(knocks.try_recv().is_none());
}

#[tokio::test]
async fn a_node_that_is_killed_is_down_within_three_seconds() {
    let bus = LocalBus::default();
    let (mut a, b) = two(&bus).await;
    let killed = Instant::now();
    let handle = b.peers.clone();
    b.kill();
    assert_eq!(a.next().await, Event::Down { node: 2, why: Why::Silent });
    let took = killed.elapsed();
    assert!(took > Duration::from_millis(SILENCE_MS_MAX - 1_000), "{took:?}");
    assert!(took < Duration::from_millis(SILENCE_MS_MAX + 500), "{took:?}");
    assert_eq!(handle.send(1, numbered(0)), Err(SendError::Closed));
}

#[tokio::test]
async fn a_node_that_is_started_anew_is_down_and_up() {
    let bus = LocalBus::default();
    let (mut a, b) = two(&bus).await;
    let old = a.peers.peers()[0].link;
    b.kill();
    let mut b = node(&bus, 2, 2);
    assert_eq!(a.next().await, Event::Down { node: 2, why: Why::Restarted });
    let new = a.up(2).await;
    assert_ne!(old, new);
    assert_eq!(a.peers.send_on(2, old, numbered(1)), Err(SendError::Down));
    a.peers.send_on(2, new, numbered(2)).expect("there is room");
    b.up(1).await;
    assert_eq!(b.message().await, numbered(2));
}

#[tokio::test]
async fn a_lower_incarnation_is_not_heard_and_ends_itself() {
    let bus = LocalBus::default();
    let mut a = node(&bus, 1, 1);
    let _b = node(&bus, 2, 7);
    a.up(2).await;
    let stale = node(&bus, 2, 6);
    assert_eq!(stale.fails().await, Error::NumberTaken { node: 2, incarnation: 6, other: 7 });
    a.peers.send(2, numbered(1)).expect("it is still up");
    assert!(a.events.try_recv().is_err());
}

#[tokio::test]
async fn of_two_processes_of_one_incarnation_the_first_ends() {
    let bus = LocalBus::default();
    let one = node(&bus, 1, 1);
    tokio::task::yield_now().await;
    let two = Node::start(Arc::new(bus.node()), Settings { process: 99, ..settings(1, 1) });
    assert_eq!(one.fails().await, Error::NumberTaken { node: 1, incarnation: 1, other: 1 });
    assert!(!two.running.is_finished());
}

#[tokio::test]
async fn who_takes_no_events_is_not_sent_more_and_then_gets_all() {
    let bus = LocalBus::default();
    let (a, mut b) = two(&bus).await;
    let mut sent = 0;
    let mut refused_in_a_row = 0;
    // What the sender's buffer, the receiver's and the events' queue hold, and no more.
    while refused_in_a_row < 50 {
        match a.peers.send(2, numbered(sent)) {
            Ok(()) => (sent, refused_in_a_row) = (sent + 1, 0),
            Err(error) => {
                assert_eq!(error, SendError::Full);
                refused_in_a_row += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    assert!(sent > BUFFER_FRAMES_MAX as u32);
    assert!(a.peers.counters().refused >= 50);
    for number in 0..sent {
        assert_eq!(b.message().await, numbered(number));
    }
    a.peers.send(2, numbered(sent)).expect("there is room again");
    assert_eq!(b.message().await, numbered(sent));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_by_its_reason() {
    let bus = LocalBus::default();
    let (a, _b) = two(&bus).await;
    assert_eq!(a.peers.send(9, numbered(0)), Err(SendError::Down));
    assert_eq!(a.peers.send(1, numbered(0)), Err(SendError::Down));
    let bytes = MESSAGE_BYTES_MAX + 1;
    let too_large = SendError::TooLarge { bytes, max: MESSAGE_BYTES_MAX };
    assert_eq!(a.peers.send(2, Bytes::from(vec![0; bytes])), Err(too_large));
}

#[tokio::test]
async fn bad_settings_are_refused() {
    let bus = LocalBus::default();
    let refused = |settings| Peers::new(Arc::new(bus.node()), settings).err();
    assert_eq!(refused(settings(0, 1)), Some(Error::BadNumber));
    let bad_prefix = Settings { prefix: "a b".to_owned(), ..settings(1, 1) };
    assert_eq!(refused(bad_prefix), Some(Error::Bus(driver::Error::BadSubject)));
    let bytes = HELLO_BYTES_MAX + 1;
    let too_large = Settings { hello: Bytes::from(vec![0; bytes]), ..settings(1, 1) };
    assert_eq!(refused(too_large), Some(Error::HelloTooLarge { bytes }));
}

#[tokio::test]
async fn a_closed_driver_ends_the_node() {
    let driver = Arc::new(LocalBus::default().node());
    let node = Node::start(driver.clone(), settings(1, 1));
    tokio::task::yield_now().await;
    driver.close().await;
    assert_eq!(node.fails().await, Error::Bus(driver::Error::Closed));
}

#[tokio::test]
async fn a_node_whose_events_nobody_takes_any_more_says_goodbye() {
    let bus = LocalBus::default();
    let (mut a, b) = two(&bus).await;
    drop(b.events);
    assert_eq!(a.next().await, Event::Down { node: 2, why: Why::Goodbye });
    soon(b.running).await.expect("it ends").expect("it ends well");
    drop(b.stop);
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_harms_nothing() {
    let bus = LocalBus::default();
    let (a, mut b) = two(&bus).await;
    let refused = b.peers.counters().refused;
    let stranger = bus.node();
    for subject in ["test.hb", "test.node.2"] {
        stranger.publish(subject, Bytes::from_static(b"\x01\x03nonsense")).expect("sent");
        stranger.publish(subject, Bytes::from_static(b"\x02\x01\x00\x00")).expect("sent");
    }
    a.peers.send(2, numbered(1)).expect("there is room");
    assert_eq!(b.message().await, numbered(1));
    while b.peers.counters().refused < refused + 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(b.peers.peers().len(), 1);
}
