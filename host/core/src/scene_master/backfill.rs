//! Running scenes that look for players: their leases with Match, and the seats that Match fills.
//!
//! Invariants: a scene has one lease at most, which is open exactly as long as the scene wants players, may take them
//! and has room; the generation of each is in the scene's record before Match hears of it. Match's users get their seats
//! all or none, by the present lease only, and once for each match: a request that comes again seats nobody again.
//! Who is on the way takes a place of the search, and gives it back by not coming.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::finding::holders;
use super::joining::Waiting;
use super::placing::refuse_match;
use super::{Due, Matched, SEATS_EVER_MAX, Scene, SceneMaster, SeatRow, SeatState, State};
use crate::config::PLAYERS_MAX;
use crate::ids::{AllocationId, DomainName, Epoch, MatchId, SceneId, Seat, Time, UserId};
use crate::matching::backfill::{FILL_MS_MAX, HEARTBEAT_MS, Lease, Opening, assign};
use crate::message::Player;
use crate::message::{EndReason, Message, ServiceName};
use crate::refusal::Refusal;
use crate::{Context, Meter, lobby, matching};

/// The upper ends of the classes of times until a place is filled, in milliseconds, as Prometheus names them.
const LE: [(u64, &str); 8] = [
    (500, "500"),
    (2_000, "2000"),
    (5_000, "5000"),
    (15_000, "15000"),
    (60_000, "60000"),
    (180_000, "180000"),
    (600_000, "600000"),
    (u64::MAX, "+Inf"),
];

/// What SceneMaster knows of searches for players.
#[derive(Debug, Clone, Default)]
pub(super) struct Backfill {
    seeking: BTreeMap<SceneId, Seeking>,
    /// The scenes whose leases are open.
    leases: HashMap<AllocationId, SceneId>,
    /// The scenes whose seats these matches fill.
    fills: HashMap<MatchId, SceneId>,
    counts: Counts,
}

/// What an incarnation of a scene has sought.
#[derive(Debug, Clone, Default)]
struct Seeking {
    /// The scene's number of its last search.
    number: u64,
    search: Option<Search>,
    /// What Match has filled, or is filling; no more than the scene has seats.
    fills: BTreeMap<MatchId, Fill>,
}

#[derive(Debug, Clone)]
struct Search {
    domain: DomainName,
    /// What the game has asked for.
    openings: Vec<Opening>,
    since: Time,
    /// The seats that were given by this search, or while it was on, with the openings that they have taken.
    taken: BTreeMap<Seat, usize>,
    lease: Option<Lease>,
    /// What Match was told last.
    told: (Vec<Opening>, Vec<UserId>),
}

/// The users of one match, who all have seats.
#[derive(Debug, Clone)]
struct Fill {
    domain: DomainName,
    seats: Vec<Seat>,
    /// When the search began that they have come by.
    since: Time,
    is_answered: bool,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    filled: u64,
    refused: u64,
    /// How many places took at most so long, for each of [`LE`].
    by_ms: [u64; LE.len()],
    ms: u64,
}

impl Search {
    /// What is open: what was asked for without what is taken, and no more than there is room for.
    fn open(&self, room: u32) -> Vec<Opening> {
        let mut open = self.openings.clone();
        for opening in self.taken.values() {
            open[*opening].count = open[*opening].count.saturating_sub(1);
        }
        let mut room = room;
        for opening in &mut open {
            opening.count = opening.count.min(room);
            room -= opening.count;
        }
        open
    }

    /// A user who has a seat takes a place, if there is one.
    fn take(&mut self, row: &SeatRow) {
        let Player { team, role, .. } = &row.player;
        let fits = |it: &Opening| {
            let is_of_role = role.is_none() || it.role.is_none() || it.role == *role;
            it.count > 0 && is_of_role && it.team.is_none_or(|it| it == *team)
        };
        let place = self.open(PLAYERS_MAX).iter().position(fits);
        place.into_iter().for_each(|place| _ = self.taken.insert(row.player.seat, place));
    }
}

impl Backfill {
    fn search(&mut self, id: SceneId) -> Option<&mut Search> {
        self.seeking.get_mut(&id)?.search.as_mut()
    }

    fn fill(&mut self, match_id: MatchId) -> Option<(SceneId, &mut Fill)> {
        let id = *self.fills.get(&match_id)?;
        Some((id, self.seeking.get_mut(&id)?.fills.get_mut(&match_id)?))
    }

    /// Whether the handler of this domain has sent that match.
    pub fn is_of(&self, match_id: MatchId, domain: &DomainName) -> bool {
        let seeking = self.fills.get(&match_id).and_then(|id| self.seeking.get(id));
        seeking.and_then(|seeking| seeking.fills.get(&match_id)).is_some_and(|fill| fill.domain == *domain)
    }

    fn remove_fill(&mut self, match_id: MatchId) -> Option<(SceneId, Fill)> {
        let id = self.fills.remove(&match_id)?;
        Some((id, self.seeking.get_mut(&id)?.fills.remove(&match_id)?))
    }

    pub fn meters(&self) -> Vec<Meter> {
        let Counts { filled, refused, by_ms, ms } = &self.counts;
        let mut meters = vec![
            Meter::now("scenehost_backfill_leases", self.leases.len()),
            Meter::total("scenehost_backfill_seats_filled_total", *filled),
            Meter::total("scenehost_backfill_refused_total", *refused),
        ];
        for (count, (_, le)) in by_ms.iter().zip(LE) {
            meters.push(Meter::total("scenehost_backfill_milliseconds_bucket", *count).of("le", le));
        }
        meters.push(Meter::total("scenehost_backfill_milliseconds_count", *filled));
        meters.push(Meter::total("scenehost_backfill_milliseconds_sum", *ms));
        meters
    }
}

impl Counts {
    fn filled(&mut self, ms: u64) {
        self.filled += 1;
        self.ms += ms;
        for (count, (le, _)) in self.by_ms.iter_mut().zip(LE) {
            *count += u64::from(ms <= le);
        }
    }
}

/// How many more may have a seat.
fn room(scene: &Scene) -> u32 {
    let seats_max = if scene.rules.join_in_progress { scene.rules.seats_max } else { PLAYERS_MAX };
    let ever = SEATS_EVER_MAX.saturating_sub(scene.seats.len()) as u32;
    seats_max.saturating_sub(holders(scene)).min(ever)
}

/// Whether a user is in a scene, on the way, or was inside: then the user gets no other seat in it.
fn was_in(scene: &Scene, user: UserId) -> bool {
    scene.seats.iter().any(|row| row.player.user == user && (row.is_known || row.state != SeatState::Gone))
}

impl SceneMaster {
    /// A game wants players, or with no openings none any more.
    pub(super) fn syn_seek_players(
        &mut self,
        id: SceneId,
        epoch: Epoch,
        number: u64,
        openings: Vec<Opening>,
        cx: &mut Context<'_>,
    ) {
        let is_over = |scene: &Scene| matches!(scene.state, State::Stopping | State::Stopped);
        let Some(scene) = self.live(id, epoch).filter(|scene| !is_over(scene)) else { return };
        let Some(domain) = scene.domain.clone() else { return };
        let on_the_way: Vec<SeatRow> =
            scene.seats.iter().filter(|row| row.state == SeatState::Expected && !row.is_known).cloned().collect();
        let seeking = self.backfill.seeking.entry(id).or_default();
        // It is said again with each report, in case it was lost.
        if number <= seeking.number {
            return;
        }
        seeking.number = number;
        let older = seeking.search.take();
        let lease = older.as_ref().and_then(|search| search.lease);
        if !openings.is_empty() {
            let since = older.filter(|search| search.lease.is_some()).map_or(cx.now, |search| search.since);
            let mut search = Search {
                domain: domain.clone(),
                openings,
                since,
                taken: BTreeMap::new(),
                lease: None,
                told: <_>::default(),
            };
            // Of these the game knows nothing yet.
            on_the_way.iter().for_each(|row| search.take(row));
            seeking.search = Some(search);
        }
        self.seek_anew(id, cx);
        // A newer lease has taken the place of the older one by itself.
        if let Some(lease) = lease.filter(|_| self.backfill.search(id).is_none_or(|search| search.lease.is_none())) {
            self.end_lease(id, domain, lease, cx);
        }
    }

    /// Whether a scene may get players from Match now.
    fn takes_players(&self, scene: &Scene) -> bool {
        let is_well = matches!(scene.state, State::Allocated | State::Running);
        is_well && scene.allocation.is_some() && self.db_up && !self.stopping && self.reconcile.is_none()
    }

    /// Something has changed that a scene's search depends on: its lease is opened, renewed or ended.
    pub(super) fn seek_anew(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(&id) else { return };
        let takes_players = self.takes_players(scene);
        let (room, players) = (room(scene), players(scene));
        let Some(search) = self.backfill.search(id) else { return };
        let open = search.open(room);
        match search.lease {
            lease if takes_players && open.iter().any(|opening| opening.count > 0) => {
                let told = (open, players);
                if lease.is_none() || told != search.told {
                    search.told = told;
                    self.tell_search(id, cx);
                }
            }
            Some(lease) => {
                search.lease = None;
                let domain = search.domain.clone();
                self.end_lease(id, domain, lease, cx);
            }
            None => {}
        }
    }

    /// Tells Match what a scene wants: for the first time, when it has changed, and at each deadline.
    pub(super) fn tell_search(&mut self, id: SceneId, cx: &mut Context<'_>) {
        let (Some(scene), Some(search)) = (self.scenes.get_mut(&id), self.backfill.search(id)) else { return };
        let Some(allocation) = scene.allocation else { return };
        let is_new = search.lease.is_none();
        if is_new {
            scene.seeks += 1;
        }
        let lease = Lease { allocation, generation: scene.seeks };
        search.lease = Some(lease);
        let (openings, players) = search.told.clone();
        let openings = openings.into_iter().filter(|opening| opening.count > 0).collect();
        let (domain, since) = (search.domain.clone(), search.since);
        let of_node = self.nodes.get(&scene.node).and_then(|node| node.region.clone());
        let region = of_node.or_else(|| scene.arranged.region.clone());
        self.backfill.leases.insert(allocation, id);
        self.deadlines.set(Due::Seek(id), cx.now.plus_ms(HEARTBEAT_MS));
        if is_new {
            self.keep(id, cx);
        }
        let rating = self.scenes.get(&id).and_then(mean_rating);
        let event = matching::Event::ReqBackfill { lease, openings, region, players, rating, since };
        cx.send(Message::Match(domain, event));
    }

    /// Tells a handler that has just begun what the scenes of its domain want.
    pub(super) fn tell_searches(&mut self, domain: &DomainName, cx: &mut Context<'_>) {
        let wants = |seeking: &Seeking| {
            seeking.search.as_ref().is_some_and(|search| search.lease.is_some() && search.domain == *domain)
        };
        let all = self.backfill.seeking.iter().filter(|(_, seeking)| wants(seeking));
        let all: Vec<SceneId> = all.map(|(id, _)| *id).collect();
        for id in all {
            self.tell_search(id, cx);
        }
    }

    fn end_lease(&mut self, id: SceneId, domain: DomainName, lease: Lease, cx: &mut Context<'_>) {
        self.backfill.leases.remove(&lease.allocation);
        self.deadlines.clear(&Due::Seek(id));
        cx.send(Message::Match(domain, matching::Event::SynBackfillEnded { lease }));
    }

    /// All searches are looked at: a store without which nobody gets a seat is up, or down.
    pub(super) fn seek_all_anew(&mut self, cx: &mut Context<'_>) {
        let all: Vec<SceneId> = self.backfill.seeking.keys().copied().collect();
        for id in all {
            self.seek_anew(id, cx);
        }
    }

    /// An incarnation, or a session, is over: the next one seeks for itself.
    pub(super) fn forget_search(&mut self, id: SceneId, refusal: &Refusal, cx: &mut Context<'_>) {
        let Some(Seeking { search, fills, .. }) = self.backfill.seeking.remove(&id) else { return };
        for (match_id, fill) in fills {
            self.backfill.fills.remove(&match_id);
            if !fill.is_answered {
                self.refuse_fill(id, match_id, fill, refusal.clone(), cx);
            }
        }
        if let Some(Search { domain, lease: Some(lease), .. }) = search {
            self.end_lease(id, domain, lease, cx);
        }
    }

    /// Match has users for a scene that wants some.
    pub(super) fn req_fill_seats(
        &mut self,
        match_id: MatchId,
        domain: DomainName,
        lease: Lease,
        players: Vec<Matched>,
        cx: &mut Context<'_>,
    ) {
        match self.backfill.fill(match_id).map(|(_, fill)| fill.is_answered) {
            Some(true) => return self.answer_fill(match_id, cx),
            Some(false) => return, // The answer is on its way.
            None => {}
        }
        let (id, places) = match self.may_fill(&domain, lease, &players) {
            Ok(found) => found,
            Err(refusal) => {
                self.backfill.counts.refused += 1;
                return refuse_match(domain, match_id, refusal, cx);
            }
        };
        for player in &players {
            if self.by_user.contains_key(&player.user) {
                // For the lobby the user is in no game, and so does not know of that seat.
                cx.fault(format!("user {} was matched while holding a seat", player.user));
                self.give_up_seat(player.user, cx);
            }
        }
        let seats = self.give_places(id, match_id, players, &places, cx);
        let Some(seeking) = self.backfill.seeking.get_mut(&id) else { return };
        let Some(search) = &mut seeking.search else { return };
        search.taken.extend(seats.iter().copied().zip(places));
        let fill = Fill { domain, seats, since: search.since, is_answered: false };
        seeking.fills.insert(match_id, fill);
        self.backfill.fills.insert(match_id, id);
        self.keep(id, cx);
        self.order_seats(id, cx);
        self.seek_anew(id, cx);
    }

    /// The scene of a lease, and which of its openings each user takes, if all of them may come.
    fn may_fill(
        &mut self,
        domain: &DomainName,
        lease: Lease,
        players: &[Matched],
    ) -> Result<(SceneId, Vec<usize>), Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        if !self.db_up {
            return Err(Refusal::ServiceDown(ServiceName::Db));
        }
        let over = Refusal::Conflict("this game looks for no players any more, or for others".into());
        let Some(id) = self.backfill.leases.get(&lease.allocation).copied() else { return Err(over) };
        let (Some(scene), Some(search)) = (self.scenes.get(&id), self.backfill.search(id)) else { return Err(over) };
        if search.lease != Some(lease) || search.domain != *domain {
            return Err(over);
        }
        let different: BTreeSet<UserId> = players.iter().map(|player| player.user).collect();
        if players.is_empty() || different.len() < players.len() {
            return Err(Refusal::Invalid("seats are filled with one user or more, each of them once".to_owned()));
        }
        if players.iter().any(|player| was_in(scene, player.user)) {
            return Err(Refusal::Forbidden("one of the players is or was in this game already".into()));
        }
        let wanted: Vec<_> = players.iter().map(|player| (player.team, player.role.as_deref())).collect();
        let places = assign(&search.open(room(scene)), &wanted);
        places
            .map(|places| (id, places))
            .ok_or(Refusal::SceneFull("the places that were open in this game are taken".into()))
    }

    /// Gives users seats, with the team that their opening says, or the smallest one; who have come together are in the
    /// same.
    fn give_places(
        &mut self,
        id: SceneId,
        match_id: MatchId,
        players: Vec<Matched>,
        places: &[usize],
        cx: &mut Context<'_>,
    ) -> Vec<Seat> {
        let openings = self.backfill.search(id).map(|search| search.openings.clone()).unwrap_or_default();
        let first = self.scenes.get(&id).map_or(0, |scene| scene.next_party());
        let (mut parties, mut teams) = (BTreeMap::new(), BTreeMap::new());
        let mut seats = Vec::with_capacity(players.len());
        for (player, place) in players.into_iter().zip(places) {
            let Some(scene) = self.scenes.get(&id) else { break };
            let seat = scene.seats.len() as Seat;
            let next = first + parties.len() as u32;
            let party = *parties.entry(player.party).or_insert(next);
            let of_party = || *teams.entry(party).or_insert_with(|| scene.smallest_team());
            let team = openings.get(*place).and_then(|opening| opening.team).unwrap_or_else(of_party);
            let player = Matched { team, party, ..player };
            self.add_newcomer(id, player.at(seat), Waiting::Match(match_id), FILL_MS_MAX, cx);
            seats.push(seat);
        }
        seats
    }

    /// The scene has a seat of a match: it is answered when it has all of them.
    pub(super) fn fill_confirmed(&mut self, match_id: MatchId, cx: &mut Context<'_>) {
        let Some((id, fill)) = self.backfill.fill(match_id) else { return };
        let seats = fill.seats.clone();
        if !seats.iter().any(|seat| self.newcomers.waits(id, *seat)) {
            self.answer_fill(match_id, cx);
        }
    }

    /// Tells Match the ways in of those who are still on the way.
    fn answer_fill(&mut self, match_id: MatchId, cx: &mut Context<'_>) {
        let Some((id, fill)) = self.backfill.fill(match_id) else { return };
        let is_first = !std::mem::replace(&mut fill.is_answered, true);
        let (domain, seats, since) = (fill.domain.clone(), fill.seats.clone(), fill.since);
        let Some(scene) = self.scenes.get(&id) else { return };
        let rows = seats.iter().filter_map(|seat| scene.seats.get(*seat as usize));
        let ways = rows.filter_map(|row| Some((row.player.user, self.entry(id, scene, row.entry.clone()?))));
        let entries: Vec<_> = ways.collect();
        if is_first {
            entries.iter().for_each(|_| self.backfill.counts.filled(cx.now.ms_since(since)));
        }
        cx.send(Message::Match(domain, matching::Event::ResCreateScene { match_id, result: Ok(entries) }));
        // Match asks for no more before it hears what is open by now.
        if is_first && self.backfill.search(id).is_some_and(|search| search.lease.is_some()) {
            self.tell_search(id, cx);
        }
    }

    /// The scene does not take the users of a match, or does not say so in time.
    pub(super) fn fill_failed(&mut self, match_id: MatchId, refusal: Refusal, cx: &mut Context<'_>) {
        let Some((id, fill)) = self.backfill.remove_fill(match_id) else { return };
        self.refuse_fill(id, match_id, fill, refusal, cx);
        self.end_if_nobody(id, cx);
    }

    fn refuse_fill(&mut self, id: SceneId, match_id: MatchId, fill: Fill, refusal: Refusal, cx: &mut Context<'_>) {
        self.backfill.counts.refused += 1;
        refuse_match(fill.domain, match_id, refusal, cx);
        self.take_places_back(id, &fill.seats, cx);
    }

    /// Match has told nobody of the seats that it has filled, and will not: who has not come in does not come.
    pub(super) fn cancel_fill(&mut self, match_id: MatchId, cx: &mut Context<'_>) {
        let Some((id, fill)) = self.backfill.remove_fill(match_id) else { return };
        self.take_places_back(id, &fill.seats, cx);
        self.end_if_nobody(id, cx);
    }

    /// Seats whose users were never told of them.
    fn take_places_back(&mut self, id: SceneId, seats: &[Seat], cx: &mut Context<'_>) {
        for seat in seats {
            self.newcomers.forget(id, *seat);
            let row = self.scenes.get_mut(&id).and_then(|scene| scene.seats.get_mut(*seat as usize));
            let Some(row) = row.filter(|row| row.state == SeatState::Expected && !row.is_known) else { continue };
            row.remove = Some(EndReason::NeverJoined);
            self.ask_to_remove(id, *seat, EndReason::NeverJoined, cx);
            self.untake(id, *seat);
        }
        self.seek_anew(id, cx);
    }

    /// Somebody has got a seat in a running game otherwise than by its search: it takes a place of that all the same.
    pub(super) fn take_place(&mut self, id: SceneId, seat: Seat) {
        let row = self.scenes.get(&id).and_then(|scene| scene.seats.get(seat as usize));
        if let (Some(row), Some(search)) = (row, self.backfill.search(id)) {
            search.take(row);
        }
    }

    /// Who was on the way does not come: the place is open again.
    pub(super) fn free_place(&mut self, id: SceneId, seat: Seat) {
        if let Some(search) = self.backfill.search(id) {
            search.taken.remove(&seat);
        }
    }

    /// A game sends users on to their next match: they leave it as they are told.
    pub(super) fn syn_match_again(
        &mut self,
        id: SceneId,
        epoch: Epoch,
        seats: Vec<Seat>,
        domain: DomainName,
        together: bool,
        cx: &mut Context<'_>,
    ) {
        let mut users = Vec::new();
        for seat in seats {
            let Some(row) = self.live(id, epoch).and_then(|scene| scene.seats.get(seat as usize)) else { continue };
            if row.state != SeatState::Gone {
                users.push(row.player.user);
                self.syn_user_left(id, epoch, seat, EndReason::NextMatch, cx);
            }
        }
        if !users.is_empty() {
            cx.send(lobby::Event::SynSearchAgain { users, domain, together });
        }
    }
}

/// The mean of the ratings of those who are in a scene or on the way, as they were when they were matched.
fn mean_rating(scene: &Scene) -> Option<i32> {
    let of_these = scene.seats.iter().filter(|row| row.state != SeatState::Gone);
    let ratings: Vec<i64> = of_these.map(|row| i64::from(row.player.rating)).collect();
    let count = i64::try_from(ratings.len()).ok().filter(|count| *count > 0)?;
    i32::try_from(ratings.iter().sum::<i64>() / count).ok()
}

/// All who do not come by the search of a scene: who is in it, on the way, or was inside.
fn players(scene: &Scene) -> Vec<UserId> {
    let is_one = |row: &&SeatRow| row.is_known || row.state != SeatState::Gone;
    scene.seats.iter().filter(is_one).map(|row| row.player.user).collect()
}

impl Scene {
    /// The team with the fewest players, of those that there are.
    pub(super) fn smallest_team(&self) -> u32 {
        let mut players: BTreeMap<u32, usize> = BTreeMap::new();
        for row in &self.seats {
            *players.entry(row.player.team).or_default() += usize::from(row.state != SeatState::Gone);
        }
        players.into_iter().min_by_key(|(team, count)| (*count, *team)).map_or(0, |(team, _)| team)
    }

    /// A number that none of those shares who have come to the scene together.
    pub(super) fn next_party(&self) -> u32 {
        self.seats.iter().map(|row| row.player.party).max().map_or(0, |last| last.saturating_add(1))
    }
}
