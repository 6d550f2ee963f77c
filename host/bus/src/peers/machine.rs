//! Who is there, as a pure state machine: heartbeats in, links, events and payloads out.
//!
//! Invariant: what is told of a peer is Up, then its messages in their order, then Down, and again
//! Up; nothing of an old link comes after its Down. What is not taken waits here, and at most one
//! Down and one Up of each peer do: an Up that was never told is forgotten with its link.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use bytes::Bytes;

use super::{Error, Event, HEARTBEAT_MS, HELLO_BYTES_MAX, PEERS_MAX, Peer, SendError, Settings};
use crate::link::frame::{Body, End, Heartbeat, Packet, Payload};
use crate::link::{Counters, Link, PushError, Receipt, SILENCE_MS_MAX, Why};

/// Heartbeats are never sent more often than this, whatever asks for them.
const HEARTBEAT_MS_MIN: u64 = 20;

/// Whom a payload is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// All nodes.
    All,
    /// One.
    Node(u16),
}

/// The state of one node's view of all others. The time is an argument, in milliseconds of any
/// clock that never goes back.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    revision: u64,
    links: u64,
    /// What is known of each node that was ever heard.
    histories: BTreeMap<u16, History>,
    peers: BTreeMap<u16, Known>,
    tales: BTreeMap<u16, Tale>,
    /// The nodes of which there may be something to tell.
    tellable: BTreeSet<u16>,
    told_last: u16,
    heartbeat_ms: u64,
    beaten_ms: Option<u64>,
    /// When one of our own heartbeats came back last.
    mirrored_ms: Option<u64>,
    counters: Counters,
}

/// What is kept of a node for ever: what must never come back.
#[derive(Debug, Default)]
struct History {
    /// The highest incarnation heard.
    incarnation: u64,
    /// Whether that has said goodbye.
    is_gone: bool,
}

/// A node with which there is a link, or will be.
#[derive(Debug)]
struct Known {
    link: Link,
    /// What it says of itself, by its latest revision that came.
    hello: Option<(u64, Bytes)>,
}

/// What has been told of a node, and what is to be.
#[derive(Debug, Default)]
struct Tale {
    /// An Up has been told, and no Down after it.
    is_told: bool,
    /// The link of that Up is over.
    down: Option<Why>,
    /// A newer link is up.
    is_up: bool,
    /// What the node says of itself has changed since it was told.
    is_changed: bool,
}

impl Machine {
    /// A node that knows nobody yet.
    ///
    /// # Errors
    /// [`Error`] of the settings.
    pub fn new(settings: Settings) -> Result<Machine, Error> {
        settings.check()?;
        Ok(Machine {
            settings,
            revision: 1,
            links: 0,
            histories: BTreeMap::new(),
            peers: BTreeMap::new(),
            tales: BTreeMap::new(),
            tellable: BTreeSet::new(),
            told_last: 0,
            heartbeat_ms: 0,
            beaten_ms: None,
            mirrored_ms: None,
            counters: Counters::default(),
        })
    }

    /// Takes a payload that came by one of the subjects.
    ///
    /// # Errors
    /// [`Error::NumberTaken`] if another process has this node's number, and the better claim.
    pub fn receive(&mut self, bytes: Bytes, now_ms: u64) -> Result<(), Error> {
        match Payload::decode(bytes) {
            Ok(Payload::Heartbeat(heartbeat)) if heartbeat.node == self.settings.node => self.mirror(heartbeat, now_ms),
            Ok(Payload::Heartbeat(heartbeat)) => {
                self.heartbeat(heartbeat, now_ms);
                Ok(())
            }
            Ok(Payload::Packet(packet)) => {
                self.packet(packet, now_ms);
                Ok(())
            }
            Err(_) => {
                self.counters.refused += 1;
                Ok(())
            }
        }
    }

    /// A heartbeat with our number: our own, or of another process that believes it is us. The
    /// highest incarnation stays; of two with one incarnation who hears of the other goes.
    fn mirror(&mut self, heartbeat: Heartbeat, now_ms: u64) -> Result<(), Error> {
        let Settings { node, incarnation, process, .. } = self.settings;
        if heartbeat.incarnation < incarnation {
            self.counters.refused += 1;
            if !heartbeat.is_goodbye {
                self.heartbeat_ms = 0;
            }
        } else if heartbeat.incarnation > incarnation || heartbeat.process != process {
            return Err(Error::NumberTaken { node, incarnation, other: heartbeat.incarnation });
        } else {
            self.mirrored_ms = Some(now_ms);
        }
        Ok(())
    }

    fn heartbeat(&mut self, heartbeat: Heartbeat, now_ms: u64) {
        let Heartbeat { node, incarnation, is_goodbye, revision, hello, .. } = heartbeat;
        if !self.admits(node, incarnation) {
            return;
        }
        if is_goodbye {
            self.end(node, Why::Goodbye);
            self.histories.entry(node).or_default().is_gone = true;
        } else if self.know(node, incarnation, now_ms) {
            self.hello(node, revision, hello);
        }
    }

    fn packet(&mut self, packet: Packet, now_ms: u64) {
        let End { node, incarnation, .. } = packet.from;
        if packet.to.node != self.settings.node {
            self.counters.refused += 1;
            return;
        }
        if !self.admits(node, incarnation) || !self.know(node, incarnation, now_ms) {
            return;
        }
        if let Body::Open { revision, hello } = &packet.body {
            self.hello(node, *revision, hello.clone());
        }
        let is_for_this_process = packet.to.incarnation == self.settings.incarnation;
        let Some(known) = self.peers.get_mut(&node) else { return };
        if !is_for_this_process {
            // The peer has not heard yet that we have been started anew; our knock tells it.
            self.counters.refused += 1;
            known.link.knock_soon(now_ms);
            return;
        }
        match known.link.receive(packet.clone(), now_ms, &mut self.counters) {
            Receipt::Taken => {
                self.tellable.insert(node);
            }
            Receipt::Opened => self.opened(node),
            Receipt::Refused => {}
            Receipt::Over(why) => self.begin_anew(node, why, packet, now_ms),
        }
    }

    /// The peer has begun a new link: so do we, and the packet is its first.
    fn begin_anew(&mut self, node: u16, why: Why, packet: Packet, now_ms: u64) {
        self.end(node, why);
        if self.know(node, packet.from.incarnation, now_ms) {
            if let Body::Open { revision, hello } = &packet.body {
                self.hello(node, *revision, hello.clone());
            }
            if let Some(known) = self.peers.get_mut(&node) {
                known.link.receive(packet, now_ms, &mut self.counters);
            }
        }
    }

    fn opened(&mut self, node: u16) {
        self.tales.entry(node).or_default().is_up = true;
        self.tellable.insert(node);
    }

    /// Whether what comes from this incarnation of a node is to be heard. A higher one ends all
    /// that was with a lower.
    fn admits(&mut self, node: u16, incarnation: u64) -> bool {
        let is_own = node == 0 || node == self.settings.node;
        let history = self.histories.entry(node).or_default();
        if is_own || incarnation < history.incarnation || (incarnation == history.incarnation && history.is_gone) {
            self.counters.refused += 1;
            return false;
        }
        if incarnation > history.incarnation {
            self.end(node, Why::Restarted);
            self.histories.insert(node, History { incarnation, is_gone: false });
        }
        true
    }

    /// Has a link to a node, at least an opening one, and notes that it lives. False where there is
    /// no place for another.
    fn know(&mut self, node: u16, incarnation: u64, now_ms: u64) -> bool {
        if let Some(known) = self.peers.get_mut(&node) {
            known.link.heard(now_ms);
            return true;
        }
        if self.peers.len() >= PEERS_MAX {
            self.counters.refused += 1;
            return false;
        }
        self.links += 1;
        let me = End { node: self.settings.node, incarnation: self.settings.incarnation, link: self.links };
        let link = Link::open(me, node, incarnation, now_ms);
        self.peers.insert(node, Known { link, hello: None });
        true
    }

    fn hello(&mut self, node: u16, revision: u64, hello: Bytes) {
        let Some(known) = self.peers.get_mut(&node) else { return };
        let is_news = known.hello.as_ref().is_none_or(|(known, _)| revision > *known);
        if is_news {
            known.hello = Some((revision, hello));
            self.tales.entry(node).or_default().is_changed = true;
            self.tellable.insert(node);
        }
    }

    /// Forgets a node's link.
    fn end(&mut self, node: u16, why: Why) {
        if self.peers.remove(&node).is_none() {
            return;
        }
        let Some(tale) = self.tales.get_mut(&node) else { return };
        tale.is_up = false;
        tale.is_changed = false;
        if tale.is_told {
            tale.down.get_or_insert(why);
            self.tellable.insert(node);
        } else {
            self.tales.remove(&node);
        }
    }

    /// Ends the links that the time has ended. Those that were up are opened anew.
    pub fn tick(&mut self, now_ms: u64) {
        let over: Vec<(u16, Why)> =
            self.peers.iter().filter_map(|(node, known)| Some((*node, known.link.over(now_ms)?))).collect();
        for (node, why) in over {
            let Some(known) = self.peers.get(&node) else { continue };
            let (was_up, incarnation) = (known.link.is_up(), known.link.peer().incarnation);
            self.end(node, why);
            if was_up {
                self.know(node, incarnation, now_ms);
            }
        }
    }

    /// The next payload to send now; to be called until there is none.
    pub fn transmit(&mut self, now_ms: u64) -> Option<(To, Bytes)> {
        let soonest_ms = self.beaten_ms.map_or(0, |beaten_ms| beaten_ms + HEARTBEAT_MS_MIN);
        if now_ms >= self.heartbeat_ms.max(soonest_ms) {
            self.heartbeat_ms = now_ms + HEARTBEAT_MS;
            self.beaten_ms = Some(now_ms);
            return Some((To::All, self.beat(false)));
        }
        let hello = (self.revision, &self.settings.hello);
        let counters = &mut self.counters;
        self.peers.iter_mut().find_map(|(node, known)| {
            let packet = known.link.transmit(now_ms, hello, counters)?;
            Some((To::Node(*node), Payload::Packet(packet).encode()))
        })
    }

    fn beat(&self, is_goodbye: bool) -> Bytes {
        let Settings { node, incarnation, process, hello, .. } = &self.settings;
        Payload::Heartbeat(Heartbeat {
            node: *node,
            incarnation: *incarnation,
            process: *process,
            is_goodbye,
            revision: self.revision,
            hello: hello.clone(),
        })
        .encode()
    }

    /// The last payload of a node that goes, for all.
    pub fn goodbye(&self) -> Bytes {
        self.beat(true)
    }

    /// When the time alone has something to do here; not later than the next heartbeat.
    pub fn wake_ms(&self) -> u64 {
        let soonest_ms = self.beaten_ms.map_or(0, |beaten_ms| beaten_ms + HEARTBEAT_MS_MIN);
        let links_ms = self.peers.values().map(|known| known.link.wake_ms()).min();
        links_ms.unwrap_or(u64::MAX).min(self.heartbeat_ms.max(soonest_ms))
    }

    /// Whether [`Machine::event`] may have something.
    pub fn has_events(&self) -> bool {
        !self.tellable.is_empty()
    }

    /// The next thing to tell. Nodes take turns.
    pub fn event(&mut self, now_ms: u64) -> Option<Event> {
        while let Some(node) = self.next_tellable() {
            self.told_last = node;
            if let Some(event) = self.event_of(node, now_ms) {
                return Some(event);
            }
            self.tellable.remove(&node);
        }
        None
    }

    fn next_tellable(&self) -> Option<u16> {
        let after = self.tellable.range((Excluded(self.told_last), Unbounded)).next();
        after.or_else(|| self.tellable.first()).copied()
    }

    fn event_of(&mut self, node: u16, now_ms: u64) -> Option<Event> {
        let tale = self.tales.get_mut(&node)?;
        if let Some(why) = tale.down.take() {
            tale.is_told = false;
            if !self.peers.contains_key(&node) {
                self.tales.remove(&node);
            }
            return Some(Event::Down { node, why });
        }
        let known = self.peers.get_mut(&node)?;
        let (_, hello) = known.hello.as_ref()?;
        let incarnation = known.link.peer().incarnation;
        if tale.is_up {
            (tale.is_up, tale.is_changed) = (false, false);
            tale.is_told = true;
            let link = known.link.me().link;
            return Some(Event::Up { node, incarnation, link, hello: hello.clone() });
        }
        if !tale.is_told {
            return None;
        }
        if tale.is_changed {
            tale.is_changed = false;
            return Some(Event::Hello { node, hello: hello.clone() });
        }
        let bytes = known.link.pop(now_ms, &mut self.counters)?;
        Some(Event::Message { node, incarnation, bytes })
    }

    /// Puts a message into the link to a node that has been told Up, and Down since then neither
    /// has been told nor is about to be. With `link`, only into that of this number.
    ///
    /// # Errors
    /// [`SendError`]; nothing of the message has been taken then.
    pub fn send(&mut self, node: u16, link: Option<u64>, bytes: &Bytes, now_ms: u64) -> Result<(), SendError> {
        let is_up = self.tales.get(&node).is_some_and(|tale| tale.is_told && tale.down.is_none());
        let is_meant = |known: &Known| link.is_none_or(|link| link == known.link.me().link);
        let known = self.peers.get_mut(&node).filter(|known| is_up && is_meant(known));
        let pushed = known.ok_or(SendError::Down)?.link.push(bytes, now_ms);
        match pushed {
            Ok(()) => {
                self.counters.sent += 1;
                self.counters.sent_bytes += bytes.len() as u64;
                Ok(())
            }
            Err(PushError::Full) => {
                self.counters.refused += 1;
                Err(SendError::Full)
            }
            Err(PushError::TooLarge { bytes, max }) => {
                self.counters.refused += 1;
                Err(SendError::TooLarge { bytes, max })
            }
        }
    }

    /// Changes what this node says of itself, and has it said at once.
    ///
    /// # Errors
    /// [`Error::HelloTooLarge`]; what was said before stays.
    pub fn announce(&mut self, hello: Bytes) -> Result<(), Error> {
        if hello.len() > HELLO_BYTES_MAX {
            return Err(Error::HelloTooLarge { bytes: hello.len() });
        }
        self.settings.hello = hello;
        self.revision += 1;
        self.heartbeat_ms = 0;
        Ok(())
    }

    /// The nodes that have been told Up and not Down.
    pub fn peers(&self) -> Vec<Peer> {
        let up = self.tales.iter().filter(|(_, tale)| tale.is_told && tale.down.is_none());
        up.filter_map(|(node, _)| {
            let known = self.peers.get(node)?;
            let (_, hello) = known.hello.clone()?;
            let End { link, .. } = known.link.me();
            let (incarnation, unacked) = (known.link.peer().incarnation, known.link.unacked());
            Some(Peer { node: *node, incarnation, link, hello, unacked })
        })
        .collect()
    }

    /// Whether what this node says to all reaches those who can hear: it does hear itself.
    pub fn hears_itself(&self, now_ms: u64) -> bool {
        self.mirrored_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < SILENCE_MS_MAX)
    }

    /// How many frames wait to be acknowledged, of all links.
    pub fn unacked(&self) -> usize {
        self.peers.values().map(|known| known.link.unacked()).sum()
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        Counters { unacked: self.unacked() as u64, ..self.counters }
    }
}
