//! Those who watch a scene, and what they are shown: what the game says to spectators, later by the fleet's delay.
//!
//! Invariants: nothing is shown before its time, but at the end of the game, when nothing is left to hide; who comes to
//! watch is shown a whole view first, and then every change of it, in order. What is kept is bounded. Of what is not
//! shown yet, there is no room for more than [`PENDING_FRAMES_MAX`] and [`PENDING_BYTES_MAX`]: what the game says beyond
//! is not shown, nor any change after it, until the game has told its whole view again, which it is asked for. Of what
//! was shown since the last whole view, there is no room for more than [`SHOWN_FRAMES_MAX`] and [`SHOWN_BYTES_MAX`]:
//! then who comes waits for the next whole view, which the game is asked for before it comes to that.
//!
//! With a delay the views are kept from the scene's beginning, so that who comes need not wait; without one only while
//! somebody watches.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::config::Fleet;
use crate::ids::{ConnectionId, Time, UserId};
use crate::refusal::Refusal;
use crate::token::SecretHash;

/// How many frames may wait for their time to be shown.
pub const PENDING_FRAMES_MAX: usize = 16_384;
/// How many bytes of them.
pub const PENDING_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// How many frames are kept for who comes to watch.
pub const SHOWN_FRAMES_MAX: usize = 1_024;
/// How many bytes of them; a connection takes so much at once.
pub const SHOWN_BYTES_MAX: usize = 256 * 1_024;
/// How long it is at least until the game is asked for its whole view again.
pub const WATCHED_MS_MIN: u64 = 1_000;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept<F> {
    due: Time,
    whole: bool,
    frame: F,
    bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spectators<F> {
    max: usize,
    delay_ms: u64,
    /// The ways in that are open, and until when.
    expected: BTreeMap<UserId, (SecretHash, Time)>,
    watching: BTreeMap<ConnectionId, UserId>,
    /// Those of them who have not been shown a whole view yet.
    waiting: BTreeSet<ConnectionId>,
    /// From the last whole view that was shown; empty if there is none.
    shown: Queue<F>,
    /// What is to be shown, each in its time.
    pending: Queue<F>,
    /// How many frames, and how many bytes, the game has said since its last whole view.
    since_whole: (usize, usize),
    /// Something was not kept: changes mean nothing until the next whole view.
    broken: bool,
    /// A whole view is wanted, and the game was not asked for it.
    unasked: bool,
    /// Before this the game is not asked.
    ask_at: Time,
}

/// Frames, and how many bytes they have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Queue<F> {
    frames: VecDeque<Kept<F>>,
    bytes: usize,
}

impl<F> Queue<F> {
    fn new() -> Self {
        Self { frames: VecDeque::new(), bytes: 0 }
    }

    fn push(&mut self, kept: Kept<F>) {
        self.bytes += kept.bytes;
        self.frames.push_back(kept);
    }

    /// Takes the first frame if it is due; without a time it is.
    fn pop_due(&mut self, now: Option<Time>) -> Option<Kept<F>> {
        let kept = self.frames.pop_front_if(|kept| now.is_none_or(|now| kept.due <= now))?;
        self.bytes -= kept.bytes;
        Some(kept)
    }

    fn clear(&mut self) {
        *self = Self::new();
    }
}

/// What is shown now, and to whom.
pub(super) type Shown<F> = (Vec<ConnectionId>, F);

impl<F: Clone> Spectators<F> {
    pub fn new(limits: &Fleet) -> Self {
        let mut spectators = Self {
            max: limits.spectators_max as usize,
            delay_ms: limits.spectator_delay_ms,
            expected: BTreeMap::new(),
            watching: BTreeMap::new(),
            waiting: BTreeSet::new(),
            shown: Queue::new(),
            pending: Queue::new(),
            since_whole: (0, 0),
            broken: true,
            unasked: false,
            ask_at: Time(0),
        };
        spectators.unasked = spectators.is_kept_from_the_beginning();
        spectators
    }

    pub fn delay_ms(&self) -> u64 {
        self.delay_ms
    }

    fn is_kept_from_the_beginning(&self) -> bool {
        self.max > 0 && self.delay_ms > 0
    }

    fn is_wanted(&self) -> bool {
        self.is_kept_from_the_beginning() || !self.watching.is_empty()
    }

    /// Opens a way in for a user; one that was not used is void.
    pub fn expect(&mut self, user: UserId, token: SecretHash, until: Time) -> Result<(), Refusal> {
        let users = self.users();
        if !users.contains(&user) && users.len() >= self.max {
            return Err(Refusal::SceneFull("as many as may watch this game do so already: try again later".into()));
        }
        self.expected.insert(user, (token, until));
        Ok(())
    }

    /// Those who watch or may come to, each once.
    pub fn users(&self) -> Vec<UserId> {
        let users: BTreeSet<UserId> = self.expected.keys().chain(self.watching.values()).copied().collect();
        users.into_iter().collect()
    }

    /// The user whose way in this opens, once; `None`: it opens none.
    pub fn open(&mut self, now: Time, token: SecretHash) -> Option<Result<UserId, Refusal>> {
        let (user, (_, until)) = self.expected.iter().find(|(_, (it, _))| *it == token)?;
        let (user, until) = (*user, *until);
        if until <= now {
            return Some(Err(Refusal::TokenExpired));
        }
        self.expected.remove(&user);
        Some(Ok(user))
    }

    /// A user watches over this connection. Tells over which one so far.
    pub fn enter(&mut self, user: UserId, connection: ConnectionId) -> Option<ConnectionId> {
        let older = self.connection_of(user);
        if let Some(older) = older {
            self.leave(older);
        }
        self.watching.insert(connection, user);
        if self.shown.frames.is_empty() {
            self.waiting.insert(connection);
            self.unasked |= self.broken || !self.pending.frames.iter().any(|kept| kept.whole);
        }
        older
    }

    /// What a newcomer is shown at once.
    pub fn shown(&self) -> impl Iterator<Item = F> {
        self.shown.frames.iter().map(|kept| kept.frame.clone())
    }

    /// A connection watches no more. Tells whose it was.
    pub fn leave(&mut self, connection: ConnectionId) -> Option<UserId> {
        self.waiting.remove(&connection);
        let user = self.watching.remove(&connection);
        self.forget_if_unwatched();
        user
    }

    /// A user watches no more, and has no way in. Tells over which connection so far, and whether there was anything.
    pub fn remove(&mut self, user: UserId) -> (Option<ConnectionId>, bool) {
        let expected = self.expected.remove(&user).is_some();
        let connection = self.connection_of(user);
        if let Some(connection) = connection {
            self.leave(connection);
        }
        (connection, expected || connection.is_some())
    }

    /// Everybody is let go.
    pub fn remove_all(&mut self) -> Vec<ConnectionId> {
        self.expected.clear();
        self.waiting.clear();
        std::mem::take(&mut self.watching).into_keys().collect()
    }

    pub fn connection_of(&self, user: UserId) -> Option<ConnectionId> {
        self.watching.iter().find(|(_, it)| **it == user).map(|(connection, _)| *connection)
    }

    pub fn is_expected(&self, user: UserId) -> bool {
        self.expected.contains_key(&user)
    }

    pub fn is_watching(&self, connection: ConnectionId) -> bool {
        self.watching.contains_key(&connection)
    }

    /// Those whose way in was not used in time.
    pub fn expire(&mut self, now: Time) -> Vec<UserId> {
        let late: Vec<UserId> =
            self.expected.iter().filter(|(_, (_, until))| *until <= now).map(|(user, _)| *user).collect();
        for user in &late {
            self.expected.remove(user);
        }
        late
    }

    /// When something is to be shown or asked for, or a way in closes.
    pub fn deadline(&self) -> Option<Time> {
        let show = self.pending.frames.front().filter(|_| !self.watching.is_empty()).map(|kept| kept.due);
        let ask = self.may_ask().then_some(self.ask_at);
        self.expected.values().map(|(_, until)| *until).chain(show).chain(ask).min()
    }

    /// The game says something to those who watch.
    pub fn say(&mut self, now: Time, whole: bool, frame: F, bytes: usize) {
        if !self.is_wanted() {
            return;
        }
        if whole {
            (self.broken, self.unasked, self.since_whole) = (false, false, (0, 0));
        }
        if self.broken {
            return;
        }
        if self.pending.frames.len() >= PENDING_FRAMES_MAX || self.pending.bytes + bytes > PENDING_BYTES_MAX {
            (self.broken, self.unasked) = (true, true);
            return;
        }
        let was_new = self.is_new();
        self.since_whole = (self.since_whole.0 + 1, self.since_whole.1 + bytes);
        self.unasked |= was_new && !self.is_new();
        self.pending.push(Kept { due: now.plus_ms(self.delay_ms), whole, frame, bytes });
    }

    /// What is due, or at the end of the game, without a time, all there is; in order.
    pub fn show(&mut self, now: Option<Time>) -> Vec<Shown<F>> {
        let mut shown = Vec::new();
        while let Some(kept) = self.pending.pop_due(now) {
            if kept.whole {
                self.shown.clear();
                self.waiting.clear();
            }
            let started = self.watching.keys().filter(|connection| !self.waiting.contains(connection));
            let to: Vec<ConnectionId> = started.copied().collect();
            if !to.is_empty() {
                shown.push((to, kept.frame.clone()));
            }
            // A change without a whole view before it is for nobody who comes later.
            if kept.whole || !self.shown.frames.is_empty() {
                self.shown.push(kept);
            }
            if self.shown.frames.len() > SHOWN_FRAMES_MAX || self.shown.bytes > SHOWN_BYTES_MAX {
                self.shown.clear();
                self.unasked |= !self.pending.frames.iter().any(|kept| kept.whole);
            }
        }
        shown
    }

    /// Whether the game has to be asked for its whole view now; then it counts as asked.
    pub fn ask(&mut self, now: Time) -> bool {
        let asks = self.may_ask() && self.ask_at <= now;
        if asks {
            (self.unasked, self.ask_at) = (false, now.plus_ms(WATCHED_MS_MIN));
        }
        asks
    }

    fn may_ask(&self) -> bool {
        let has_room = self.pending.frames.len() < PENDING_FRAMES_MAX / 2 && self.pending.bytes < PENDING_BYTES_MAX / 2;
        self.unasked && self.is_wanted() && has_room
    }

    /// Whether the last whole view is so new that those who come can be shown all that came after it.
    fn is_new(&self) -> bool {
        let (frames, bytes) = self.since_whole;
        frames <= SHOWN_FRAMES_MAX / 2 && bytes <= SHOWN_BYTES_MAX / 2
    }

    /// Without a delay nothing is kept for nobody.
    fn forget_if_unwatched(&mut self) {
        if !self.is_wanted() {
            self.shown.clear();
            self.pending.clear();
            (self.broken, self.unasked) = (true, false);
        }
    }
}
