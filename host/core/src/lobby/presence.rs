//! Presence: what a user is doing, as their friends may see it.
//!
//! Invariants: only friends are told, and neither who is blocked nor by whom; nobody is told twice of the same. A
//! user gets at most one frame in [`PRESENCE_MS_MIN`], with all that has changed since the last one, so a friend
//! whose connection comes and goes is told of as they are at its end. What changes while the user's own connection
//! is lost is told on return, as it is then.
//!
//! What a client knows begins with its list of friends; presence that changes is told from then on.

use std::collections::{BTreeMap, BTreeSet};

use super::{Due, Lobby, Phase, User, tell};
use serde::{Deserialize, Serialize};

use crate::db::{Answer, News};
use crate::ids::{DomainName, Time, UserId};
use crate::line::State;
use crate::message::Notice;
use crate::{Context, friends};

/// For how long changes are gathered, so that what belongs together is told together.
pub const PRESENCE_DELAY_MS: u64 = 100;
/// How long after a frame about friends the next one may leave at the earliest.
pub const PRESENCE_MS_MIN: u64 = 1_000;

/// What a user is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// Not here, or does not want to be seen.
    #[default]
    Offline,
    /// In the lobby.
    Online,
    /// Looking for a match.
    Searching,
    /// In a game of this domain, also while the connection to the lobby is lost.
    InGame(DomainName),
    /// The connection is lost, and the user may come back.
    Away,
}

/// What a user knows of their friends.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    /// What the client was told; of all others it takes for granted that they are offline.
    told: BTreeMap<UserId, Presence>,
    /// Whose presence may be another now.
    changed: BTreeSet<UserId>,
    /// Before this, no frame leaves.
    quiet_until: Time,
}

impl Watch {
    /// A client that begins anew knows nothing.
    pub fn forget(&mut self) {
        self.told.clear();
        self.changed.clear();
    }
}

impl Lobby {
    /// Something has happened by which a user's presence may be another now; friends hear of it at the end of the
    /// step. To be called while the lobby still knows the user.
    pub(super) fn touch(&mut self, id: UserId) {
        self.parties.touch(id);
        let Some(entered) = self.users.get(&id).and_then(|user| user.entered.as_ref()) else { return };
        let here = entered.friends.iter().filter(|friend| self.users.contains_key(friend));
        self.touched.extend(here.map(|friend| (*friend, id)));
    }

    /// At the end of a step: who is to be told of whom, and when.
    pub(super) fn plan_presence(&mut self, cx: &Context<'_>) {
        for (id, of) in std::mem::take(&mut self.touched) {
            if let Some(user) = self.users.get_mut(&id) {
                user.watch.changed.insert(of);
                self.plan_watch(id, cx);
            }
        }
    }

    /// Has a user told what there is to tell, if they can hear it.
    pub(super) fn plan_watch(&mut self, id: UserId, cx: &Context<'_>) {
        let Some(user) = self.users.get(&id) else { return };
        let can_hear = !user.watch.changed.is_empty() && user.line.connection().is_some();
        // A deadline that there is stays: who changes all the time is told of as well.
        if can_hear && self.deadlines.get(&Due::Presence(id)).is_none() {
            self.deadlines.set(Due::Presence(id), cx.now.plus_ms(PRESENCE_DELAY_MS).max(user.watch.quiet_until));
        }
    }

    /// Tells a user what has changed with their friends.
    pub(super) fn tell_presence(&mut self, id: UserId, cx: &mut Context<'_>) {
        let Some(user) = self.users.get_mut(&id) else { return };
        if user.line.connection().is_none() {
            return;
        }
        let changed = std::mem::take(&mut user.watch.changed);
        let now: Vec<(UserId, Presence)> = changed.into_iter().map(|of| (of, self.presence(of, id))).collect();
        let Some(user) = self.users.get_mut(&id) else { return };
        let told: Vec<(UserId, Presence)> = now.into_iter().filter(|(of, now)| user.watch.is_news(*of, now)).collect();
        if !told.is_empty() {
            user.watch.quiet_until = cx.now.plus_ms(PRESENCE_MS_MIN);
            tell(user, 0, Notice::SynPresence(told), cx);
        }
    }

    /// What a user is doing, as this friend may see it. To all others it is offline: each of the two has to have the
    /// other as a friend, so that the end of a friendship, or a block, counts as soon as one of them has heard of it.
    fn presence(&self, of: UserId, friend: UserId) -> Presence {
        let Some(user) = self.users.get(&of) else { return Presence::Offline };
        let is_visible = user.entered.as_ref().is_some_and(|entered| !entered.appears_offline);
        match is_visible && self.has_friend(of, friend) && self.has_friend(friend, of) {
            true => user.presence(),
            false => Presence::Offline,
        }
    }

    fn has_friend(&self, id: UserId, friend: UserId) -> bool {
        let entered = self.users.get(&id).and_then(|user| user.entered.as_ref());
        entered.is_some_and(|entered| entered.friends.contains(&friend) && !entered.blocked.contains(&friend))
    }

    /// The answer of Db about friends does not say what they do; the lobby does.
    pub(super) fn add_presence(&mut self, id: UserId, answer: &mut Answer) {
        let Answer::Friends(friends::Answer { which: friends::Which::Friends, people, .. }) = answer else { return };
        for person in people {
            let presence = self.presence(person.user, id);
            if let Some(user) = self.users.get_mut(&id) {
                user.watch.told.insert(person.user, presence.clone());
            }
            person.presence = Some(presence);
        }
    }

    /// Keeps what the lobby knows of a user's friends as Db has it.
    pub(super) fn take_news(&mut self, id: UserId, news: &News) {
        let News::Friends(news) = news else { return };
        if let friends::News::AppearsOffline(appears_offline) = news {
            if let Some(entered) = self.users.get_mut(&id).and_then(|user| user.entered.as_mut()) {
                entered.appears_offline = *appears_offline;
            }
            return self.touch(id);
        }
        let friends::News::Changed { user: other, change, .. } = news else { return };
        let Some(user) = self.users.get_mut(&id) else { return };
        let Some(entered) = user.entered.as_mut() else { return };
        match change {
            friends::Change::Friends => {
                entered.friends.insert(*other);
                // Each hears of the other, once both have heard that they are friends.
                self.touch(id);
                self.touched.push((id, *other));
            }
            friends::Change::Removed | friends::Change::Blocked => {
                entered.friends.remove(other);
                user.watch.told.remove(other);
                user.watch.changed.remove(other);
                if *change == friends::Change::Blocked {
                    entered.blocked.insert(*other);
                }
            }
            friends::Change::Unblocked => {
                entered.blocked.remove(other);
            }
            friends::Change::Asked | friends::Change::Sent | friends::Change::RequestGone => {}
        }
    }
}

impl Watch {
    /// Whether this is not what the client knows; then it does from now on.
    fn is_news(&mut self, of: UserId, now: &Presence) -> bool {
        let known = match now {
            Presence::Offline => self.told.remove(&of),
            now => self.told.insert(of, now.clone()),
        };
        known.unwrap_or_default() != *now
    }
}

impl User {
    pub(super) fn presence(&self) -> Presence {
        match (self.line.state(), &self.phase) {
            (_, Phase::InScene { domain, .. }) => Presence::InGame(domain.clone()),
            (State::Dropped { .. }, _) => Presence::Away,
            (State::Connected { .. } | State::Resumed { .. }, Phase::Searching { .. }) => Presence::Searching,
            (State::Connected { .. } | State::Resumed { .. }, Phase::Idle | Phase::Joining { .. }) => Presence::Online,
            (State::Connecting { .. } | State::Closed(_), _) => Presence::Offline,
        }
    }
}
