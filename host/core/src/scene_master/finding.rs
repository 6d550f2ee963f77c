//! The list of scenes, and what is found in it.
//!
//! Invariants: every scene that lives is in the list, and those that users can be in are in the part of it that users
//! see; a label is gone with the incarnation that has set it. A request looks at [`SCANNED_MAX`] scenes at most, from
//! its place in the list on, and says where to go on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use super::{Scene, SceneMaster, SeatState, State};
use crate::Context;
use crate::ids::{DomainName, Epoch, FleetName, SceneId, Time, UserId};
use crate::lobby;
use crate::refusal::Refusal;
use crate::scene_list::{Cursor, Found, Label, PAGE_BYTES_MAX, Page, Query};

/// How many scenes one request looks at.
pub const SCANNED_MAX: usize = 500;

/// The place of a scene in the list: the newest is first.
type Key = (Reverse<Time>, SceneId);

#[derive(Debug, Clone, Default)]
pub(super) struct List {
    all: BTreeSet<Key>,
    /// Those that users see, and by what they are asked for.
    open: BTreeSet<Key>,
    by_domain: BTreeMap<DomainName, BTreeSet<Key>>,
    by_fleet: BTreeMap<FleetName, BTreeSet<Key>>,
    /// Where each scene is, so that it is found again.
    places: HashMap<SceneId, Place>,
    labels: HashMap<SceneId, Label>,
}

/// Where a scene is in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    key: Key,
    /// By what users find it, if they do.
    open: Option<(FleetName, Option<DomainName>)>,
}

impl List {
    fn put(&mut self, id: SceneId, place: Place) {
        if self.places.get(&id) == Some(&place) {
            return;
        }
        self.take_out(id);
        let key = place.key;
        self.all.insert(key);
        if let Some((fleet, domain)) = place.open.clone() {
            self.open.insert(key);
            self.by_fleet.entry(fleet).or_default().insert(key);
            domain.into_iter().for_each(|domain| _ = self.by_domain.entry(domain).or_default().insert(key));
        }
        self.places.insert(id, place);
    }

    fn take_out(&mut self, id: SceneId) {
        let Some(Place { key, open }) = self.places.remove(&id) else { return };
        self.all.remove(&key);
        self.open.remove(&key);
        let Some((fleet, domain)) = open else { return };
        self.by_fleet.entry(fleet).and_modify(|keys| _ = keys.remove(&key));
        if let Some(domain) = domain {
            self.by_domain.entry(domain).and_modify(|keys| _ = keys.remove(&key));
        }
    }

    /// The part of the list in which everything is that a query can find, for users or for operators.
    fn part(&self, query: &Query, of_all: bool) -> Option<&BTreeSet<Key>> {
        match (of_all, &query.domain, &query.fleet) {
            (true, ..) => Some(&self.all),
            (_, Some(domain), _) => self.by_domain.get(domain),
            (_, None, Some(fleet)) => self.by_fleet.get(fleet),
            (_, None, None) => Some(&self.open),
        }
    }
}

impl SceneMaster {
    /// A scene has entered a state.
    pub(super) fn list_anew(&mut self, id: SceneId) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let open = is_open(scene).then(|| (scene.fleet.clone(), scene.domain.clone()));
        match scene.state {
            State::Stopped => self.list.take_out(id),
            _ => self.list.put(id, Place { key: (Reverse(scene.born), id), open }),
        }
        if scene.state == State::Placing {
            // The incarnation that is being made has set none yet.
            self.list.labels.remove(&id);
        }
    }

    /// The incarnation, or the session, that has set a scene's label is over.
    pub(super) fn forget_label(&mut self, id: SceneId) {
        self.list.labels.remove(&id);
    }

    pub(super) fn syn_label(&mut self, id: SceneId, epoch: Epoch, label: Label) {
        let is_over = |scene: &Scene| matches!(scene.state, State::Restarting | State::Stopped);
        if self.live(id, epoch).is_some_and(|scene| !is_over(scene)) {
            self.list.labels.insert(id, label);
        }
    }

    /// What a user finds: scenes that users can be in.
    pub(super) fn req_find_scenes(&self, user: UserId, number: u64, query: &Query, cx: &mut Context<'_>) {
        let result = query.check().map(|()| Box::new(self.find(query, false)));
        cx.send(lobby::Event::ResFindScenes { user, number, of: self.partition, result });
    }

    /// What an operator finds: scenes in all states.
    pub(super) fn find_all(&self, query: &Query) -> Result<Box<Page>, Refusal> {
        query.check().map(|()| Box::new(self.find(query, true)))
    }

    fn find(&self, query: &Query, of_all: bool) -> Page {
        let mut page = Page::default();
        let Some(part) = self.list.part(query, of_all) else { return page };
        let from = match query.after {
            Some(Cursor { started, scene }) => Bound::Excluded((Reverse(started), scene)),
            None => Bound::Unbounded,
        };
        let (mut last, mut bytes) = (None, 0);
        for (looked_at, (started, id)) in part.range((from, Bound::Unbounded)).enumerate() {
            if looked_at == SCANNED_MAX || page.scenes.len() == query.limit || bytes >= PAGE_BYTES_MAX {
                page.next = last;
                return page;
            }
            last = Some(Cursor { started: started.0, scene: *id });
            let Some(scene) = self.scenes.get(id) else { continue };
            let found = self.found(*id, scene);
            // A game that says nothing of itself and takes nobody is not for users to see.
            let takes_somebody = scene.rules.join_in_progress || scene.rules.spectators_max > 0;
            let is_shown = of_all || found.label.is_some() || takes_somebody;
            if is_shown && query.fits(&found) {
                bytes += found.bytes();
                page.scenes.push(found);
            }
        }
        page
    }

    fn found(&self, id: SceneId, scene: &Scene) -> Found {
        let players = holders(scene);
        let fleet = &scene.rules;
        let spectators = self.spectators.count(id);
        let players_max = match fleet.join_in_progress {
            true => fleet.seats_max.max(players),
            false => scene.seats.len() as u32,
        };
        Found {
            scene: id,
            domain: scene.domain.clone(),
            fleet: scene.fleet.clone(),
            state: scene.state.name().into(),
            players,
            players_max,
            spectators,
            label: self.list.labels.get(&id).cloned(),
            started: scene.born,
            can_join: self.has_free_seat(scene).is_ok(),
            can_watch: self.may_be_watched(scene).is_ok() && spectators < fleet.spectators_max,
        }
    }
}

/// Whether users can be in it, and so be told of it.
pub(super) fn is_open(scene: &Scene) -> bool {
    matches!(scene.state, State::Allocated | State::Running | State::Suspect)
}

/// How many hold a seat, be it inside or on the way.
pub(super) fn holders(scene: &Scene) -> u32 {
    scene.seats.iter().filter(|row| row.state != SeatState::Gone).count() as u32
}
