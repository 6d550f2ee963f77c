//! What holds in a simulated host after every step.
//!
//! Those that are about how long something takes are looked at once in a simulated second, and those about the end of
//! everything when the simulation has run on in peace.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use scenehost_core::lobby::Lobby;
use scenehost_core::matching::{PLACE_ATTEMPTS_MAX, Seeker};
use scenehost_core::results::finished::{Ratings, ratings_key};
use scenehost_core::scene_master::{self, Matched, SceneMaster};
use scenehost_core::{
    DomainName, Effects, Epoch, MatchId, Message, NodeId, Partition, SceneId, Service as _, Shard, Time, UserId,
    consistency, lobby, matching, record, scene_service,
};

use crate::plan::{DOMAINS, FLEETS, NODES, PLAYERS, PROVISIONED};
use crate::sim::{STANDBY_MAX, STANDBY_MIN, Sim, WAIT_MS_MAX};
use crate::watch::{Place, Row, Watch};

pub const SLOTS: &str = "slots of a node are never negative, and as many are taken as scenes hold one";
pub const ONE_SCENE: &str = "a user is in at most one live scene by a SceneMaster's books";
pub const ONE_SEAT: &str = "nobody is matched who has a seat";
pub const AGREED: &str = "the lobby and SceneMaster agree on who is in a scene";
pub const KNOWN: &str = "what lives on a sound node is known to SceneMaster";
pub const LIVES: &str = "what lives by SceneMaster's books on a sound node lives there";
pub const SEATED: &str = "who is inside has a seat by SceneMaster's books";
pub const ONE_EPOCH: &str = "at most one epoch of a scene lives that is not to end";
pub const DEAD_SEAT: &str = "nobody is let into a scene after having been told that it is over";
pub const ENDS_WHEN_TOLD: &str = "a scene on a sound node ends when it is told to";
pub const SEARCH_ENDS: &str = "every search ends by a match, a cancel or its limit";
pub const AWAY: &str = "who has logged out looks for no match";
pub const GRACE: &str = "the seat of who does not come back is given up in time";
pub const ANSWERED: &str = "every request is answered, or its connection ends";
pub const ONE_TICKET: &str = "members of a party that look for a match have one ticket";
pub const KEPT: &str = "a handler that goes ends no searches but those in its domain, and none if it has handed over";
pub const TOGETHER: &str = "who has one ticket comes into one scene";
pub const GROUP_SIZE: &str = "a group is as large as its domain says";
pub const RECORDED_ONCE: &str = "the results of a decided game are recorded exactly once";
pub const CONSISTENT: &str = "the store fits together";
pub const DRAINED: &str = "a node that is drained gets no scene";
pub const STANDBY: &str = "as many scenes are ready as a fleet says";
pub const ORDERED: &str = "every order of an operator is answered once";
pub const NOTHING_WAITS: &str = "nothing waits for ever once nothing fails";
pub const NO_PANIC: &str = "no service panics";

/// How long a request may be without an answer while its connection stands: the longest deadline of the services that
/// may be involved, and the time on the way.
const ANSWER_MS_MAX: u64 = 30_000;
/// How long the lobby and SceneMaster may disagree while a message is on its way.
const AGREE_MS_MAX: u64 = 15_000;
/// How long no scene may be ready though there is room: some that fail, each tried later than the one before.
const UNREADY_MS_MAX: u64 = 240_000;
/// After so long no message of before is on its way.
const LATE_AFTER_MS: u64 = 6_000;
/// How long a scene may live that SceneMaster does not know: until its seats have expired and it asks for its end.
const UNKNOWN_MS_MAX: u64 = 30_000;
/// How long a search may take: the domain's limit, the attempts to place it that may have begun just before, and the
/// lobby's own margin.
const SEARCH_MS_MAX: u64 = WAIT_MS_MAX + PLACE_ATTEMPTS_MAX as u64 * matching::PLACE_MS_MAX + 40_000;

/// What SceneMaster has just done.
pub fn after_master(master: &SceneMaster, effects: &Effects, watch: &mut Watch) {
    slots(master, watch);
    one_scene(master.partition(), watch);
    drained(master.partition(), effects, watch);
    standby_max(watch);
    for fault in &effects.faults {
        // Said by SceneMaster when it gives up a scene; which node it was on it does not say.
        if let Some(scene) = fault.strip_suffix(" did not end in time and is given up") {
            let scene = scene.trim_start_matches("scene ").parse::<SceneId>().ok();
            let node = scene.and_then(|scene| watch.scenes.get(&scene)).map(|row| row.node);
            let sound = node.is_some_and(|node| watch.is_sound(node as usize, SOUND_AFTER_MS));
            watch.check(ENDS_WHEN_TOLD, !sound, || format!("{fault} on node {node:?}"));
        }
    }
}

fn slots(master: &SceneMaster, watch: &mut Watch) {
    if !master.is_up() {
        return; // It does not know all scenes yet.
    }
    for node in 0..NODES {
        let Some((used, of)) = master.slots(NodeId(node as u64)) else { continue };
        let own =
            || watch.scenes.iter().filter(|(id, _)| master.partition().has(Shard::of_id(id.0))).map(|(_, row)| row);
        let holding = own().filter(|row| row.holds_slot && row.node == node as u64).count();
        let holding = holding + own().filter(|row| row.to == Some(node as u64)).count();
        watch.check(SLOTS, used as usize == holding && used <= of, || {
            format!("node {node} has {used} of {of} slots taken, and {holding} scenes hold one")
        });
    }
}

fn drained(partition: Partition, effects: &Effects, watch: &mut Watch) {
    for message in &effects.messages {
        match message {
            Message::SceneService(node, scene_service::Event::ReqCreateScene { scene, .. }) => {
                let drained = watch.draining.contains(&(node.0, partition));
                watch.check(DRAINED, !drained, || format!("scene {scene} is made on node {node}"));
            }
            Message::Operator(number, Ok(_)) => {
                let drained = watch.drains.remove(number).map(|node| (node, partition));
                watch.draining.extend(drained);
            }
            // If it is to exit it is drained now.
            Message::SceneService(node, scene_service::Event::SynDrained { drained: true, .. }) => {
                watch.draining.insert((node.0, partition));
            }
            _ => {}
        }
    }
}

/// The fleet that is provisioned has no more scenes that nobody uses than it may have, nor are more being made than
/// are missing or were ordered.
fn standby_max(watch: &mut Watch) {
    let of_fleet = |(_, row): &(&SceneId, &Row)| row.fleet.as_str() == FLEETS[PROVISIONED] && !row.has_players;
    let unused = |state: &'static str| watch.scenes.iter().filter(of_fleet).filter(move |(_, row)| row.state == state);
    let ready = unused("Ready").count();
    let placing = unused("Placing").filter(|(id, _)| !watch.taken_over.contains(id)).count();
    let ordered: u32 = watch.orders.values().map(|(_, makes, _)| makes).sum();
    watch.check(STANDBY, ready <= STANDBY_MAX as usize, || format!("{ready} scenes are ready"));
    watch.check(STANDBY, placing <= (STANDBY_MIN + ordered) as usize, || {
        format!("{placing} scenes are made that nobody waits for")
    });
}

/// How many slots of a node are taken, by all SceneMasters, and how many it has; `None`: one does not know it.
fn slots_of(sim: &Sim, node: u64) -> Option<(u32, u32)> {
    let slots = sim.host.masters.iter().map(|master| master.service.slots(NodeId(node)));
    slots.reduce(|one, other| one.zip(other).map(|((used, of), (others, _))| (used + others, of))).flatten()
}

/// Once in a second: where there is room, a scene is ready or is made so, or that was tried not long ago.
pub fn standby(sim: &mut Sim) {
    let is_draining = |node: u64| sim.watch.draining.iter().any(|(draining, _)| *draining == node);
    let is_open = |node: u64| !is_draining(node) && sim.watch.is_sound(node as usize, SOUND_AFTER_MS);
    let has_room = |node: u64| is_open(node) && slots_of(sim, node).is_some_and(|(used, of)| used < of);
    let is_ready = |row: &Row| row.fleet.as_str() == FLEETS[PROVISIONED] && row.state == "Ready";
    let is_missing = !sim.is_stopping
        && !sim.watch.scenes.values().any(is_ready)
        && (0..NODES as u64).any(has_room)
        && !sim.store.is_down;
    sim.unready = if is_missing { sim.unready.or(Some(sim.now)) } else { None };
    let since = sim.unready.unwrap_or(sim.now);
    sim.watch.check(STANDBY, sim.now.ms_since(since) <= UNREADY_MS_MAX, || {
        format!("no scene is ready since {} ms", since.0)
    });
}

/// Once in a second: operators are answered in time.
pub fn orders(sim: &mut Sim) {
    let oldest = sim.watch.orders.iter().map(|(number, (since, ..))| (*number, *since)).min_by_key(|(_, since)| *since);
    let Some((number, since)) = oldest else { return };
    let waited_ms = sim.now.ms_since(since.max(sim.watch.store_trouble));
    sim.watch.check(ORDERED, waited_ms <= ANSWER_MS_MAX, || format!("order {number} waits since {} ms", since.0));
}

fn one_scene(partition: Partition, watch: &mut Watch) {
    let mut of: BTreeMap<UserId, SceneId> = BTreeMap::new();
    let mut twice = None;
    let its = |(scene, row): &(&SceneId, &Row)| row.state != "Stopped" && partition.has(Shard::of_id(scene.0));
    for (scene, row) in watch.scenes.iter().filter(its) {
        for user in &row.users {
            if let Some(other) = of.insert(*user, *scene) {
                twice = Some((*user, other, *scene));
            }
        }
    }
    watch.check(ONE_SCENE, twice.is_none(), || format!("{twice:?}"));
}

/// SceneMaster is asked for a scene for a group.
pub fn together(domain: &DomainName, match_id: MatchId, players: &[Matched], watch: &mut Watch) {
    let users: Vec<UserId> = players.iter().map(|player| player.user).collect();
    let domain = domain_of(domain);
    let (players_min, players_max) = PLAYERS[domain];
    watch.check(GROUP_SIZE, (players_min..=players_max).contains(&(users.len() as u32)), || format!("{users:?}"));
    whole(domain, &users, watch);
    watch.groups.insert(match_id, users);
}

/// Users of one ticket go into one scene or into none.
fn whole(domain: usize, users: &[UserId], watch: &mut Watch) {
    let torn = watch.tickets.range((domain, 0)..(domain + 1, 0)).find(|(_, of_ticket)| {
        let inside = of_ticket.iter().filter(|user| users.contains(user)).count();
        inside != 0 && inside != of_ticket.len()
    });
    let text = torn.map(|((_, ticket), of_ticket)| format!("{users:?} of ticket {ticket}: {of_ticket:?}"));
    watch.check(TOGETHER, text.is_none(), || text.unwrap_or_default());
}

fn domain_of(name: &DomainName) -> usize {
    DOMAINS.iter().position(|domain| *domain == name.as_str()).unwrap_or_default()
}

/// What the match handler of a domain has just done.
pub fn after_match(effects: &Effects, place: Place, watch: &mut Watch) {
    let Place::Match(domain) = place else { return };
    for message in &effects.messages {
        match message {
            Message::Lobby(lobby::Event::ResMatch { ticket, result, .. }) => {
                watch.tickets.remove(&(domain, *ticket));
                if matches!(result, Err(scenehost_core::Refusal::NoMatch)) {
                    watch.coverage.reached("match", "Tick at the limit of waiting", "Waiting");
                }
            }
            Message::Lobby(lobby::Event::ResCancelMatch { ticket, result: Ok(()), .. }) => {
                watch.tickets.remove(&(domain, *ticket));
            }
            Message::SceneMaster(scene_master::Event::ReqFillSeats { match_id, players, .. }) => {
                let users: Vec<UserId> = players.iter().map(|player| player.user).collect();
                whole(domain, &users, watch);
                watch.groups.insert(*match_id, users);
            }
            _ => {}
        }
    }
}

/// What the lobby is told: of the searches that there are, those go on that a handler does not take along.
pub fn before_lobby(lobby: &Lobby, event: &lobby::Event, watch: &mut Watch) {
    let lobby::Event::Handler { domain, up } = event else { return };
    let is_handed_over = watch.handed_over.contains(&domain_of(domain));
    let users: BTreeSet<UserId> = watch.asked.values().flatten().copied().collect();
    let searches = users.into_iter().filter_map(|user| Some((user, lobby.search_name(user)?)));
    for (user, (of, ticket)) in searches {
        if of != domain || *up || is_handed_over {
            watch.goes_on.insert(user, (of.clone(), ticket));
        }
        if of == domain && *up && is_handed_over {
            watch.put_again.insert(ticket);
        }
    }
    if *up {
        watch.handed_over.remove(&domain_of(domain));
    }
}

/// What the lobby has just done.
pub fn after_lobby(lobby: &Lobby, effects: &Effects, watch: &mut Watch) {
    for (user, (domain, ticket)) in std::mem::take(&mut watch.goes_on) {
        let is_on = lobby.search_name(user) == Some((&domain, ticket));
        watch.check(KEPT, is_on, || format!("the search {ticket} of user {user} in {domain} has ended"));
    }
    for ticket in std::mem::take(&mut watch.put_again) {
        let is_put = effects
            .messages
            .iter()
            .any(|it| matches!(it, Message::Match(_, matching::Event::ReqMatch { ticket: of, .. }) if *of == ticket));
        watch.check(KEPT, is_put, || format!("the search {ticket} was not put to the next handler"));
        watch.kept += 1;
    }
    for message in &effects.messages {
        let Message::Match(domain, matching::Event::ReqMatch { ticket, seekers, waited_ms, .. }) = message else {
            continue;
        };
        let users: BTreeSet<UserId> = seekers.iter().map(|seeker| seeker.user).collect();
        let torn = watch.parties.values().find(|members| !members.is_disjoint(&users) && **members != users);
        // Somebody may have come into the party while it went on.
        let torn = torn.filter(|_| *waited_ms == 0);
        let text = torn.map(|members| format!("ticket {ticket} is of {users:?}, the party is {members:?}"));
        watch.check(ONE_TICKET, text.is_none(), || text.unwrap_or_default());
        let domain = domain_of(domain);
        watch.asked.insert((domain, *ticket), users);
    }
}

/// A ticket has come to Match.
pub fn one_ticket(place: Place, ticket: u64, seekers: &[Seeker], watch: &mut Watch) {
    let Place::Match(domain) = place else { return };
    let users: BTreeSet<UserId> = seekers.iter().map(|seeker| seeker.user).collect();
    let known = watch.asked.get(&(domain, ticket)).cloned();
    watch.check(ONE_TICKET, known.as_ref() == Some(&users), || {
        format!("ticket {ticket} is of {users:?} and was of {known:?}")
    });
    watch.tickets.insert((domain, ticket), users);
}

/// A scene lets a user in. Over a link that loses messages it may not have heard yet that the seat was taken back; who
/// comes in so is taken out when SceneMaster hears of it, see [`lives`].
pub fn lets_in(user: UserId, scene: SceneId, node: usize, watch: &mut Watch) {
    let told = watch.told.contains(&(user, scene)) && watch.is_sound(node, LATE_AFTER_MS);
    watch.check(DEAD_SEAT, !told, || format!("user {user} came into scene {scene}"));
}

/// The scenes of all nodes, after one of them has done something.
///
/// An incarnation whose end SceneMaster has ordered, or that of a later one, may go on for as long as the order is on
/// its way, and if it is lost, until the next one. It has no users from then on
/// whom SceneMaster has not told another way; see [`lets_in`].
pub fn one_epoch(sim: &mut Sim) {
    let mut open: BTreeMap<SceneId, (usize, Epoch)> = BTreeMap::new();
    let mut twice = None;
    for (node, it) in sim.nodes.iter().enumerate() {
        for (id, hosted) in &it.scenes {
            let epoch = hosted.scene.incarnation().epoch;
            if !hosted.scene.is_open() || sim.watch.ordered.get(id).is_some_and(|ordered| *ordered >= epoch) {
                continue;
            }
            if let Some(other) = open.insert(*id, (node, epoch)) {
                twice = Some((*id, other, (node, epoch)));
            }
        }
    }
    sim.watch.check(ONE_EPOCH, twice.is_none(), || format!("{twice:?}"));
}

/// Once in a second: nobody waits for too long.
pub fn waits(sim: &mut Sim) {
    for (index, user) in sim.users.iter().enumerate() {
        let oldest = user.asked.iter().min_by_key(|(_, since)| **since);
        if let Some((request, since)) = oldest
            && user.signed_in
            && sim.now.ms_since((*since).max(user.here_since)) > ANSWER_MS_MAX
        {
            sim.watch.violated(ANSWERED, format!("request {request} of user {index} since {} ms", since.0));
        }
        if let Some(at) = &user.at_scene
            && at.asked.is_some_and(|since| sim.now.ms_since(since) > ANSWER_MS_MAX)
        {
            sim.watch.violated(ANSWERED, format!("user {index} waits at the door of scene {}", at.scene));
        }
        let phase = sim.host.lobby.service.phase_name(user.id);
        sim.watch.check(AWAY, phase != "Searching, away", || format!("user {index} has logged out"));
        let searches = phase.starts_with("Searching") || phase.starts_with("Cancelling");
        match sim.searching.get(&user.id) {
            Some(since) if searches => {
                let waited_ms = sim.now.ms_since(*since);
                sim.watch.check(SEARCH_ENDS, waited_ms <= SEARCH_MS_MAX, || {
                    format!("user {index} is {phase} since {} ms", since.0)
                });
            }
            None if searches => _ = sim.searching.insert(user.id, sim.now),
            _ => _ = sim.searching.remove(&user.id),
        }
    }
}

/// Once in a second: who has a seat is in a scene by the lobby, too, and the other way round; and nobody has two.
///
/// That somebody has a seat and does not know of it cannot be excluded once messages are lost, and once a match
/// handler was lost or has given up a group whose scene is made all the same: a seat of which nobody was told is given
/// up when its token expires, and one that was left with the scene's next report that comes.
pub fn agreed(sim: &mut Sim) {
    let wait = sim.watch.store_trouble.plus_ms(AGREE_MS_MAX);
    for user in &sim.users {
        let phase = sim.host.lobby.service.phase_name(user.id);
        let by_lobby = phase.starts_with("InScene") || phase.starts_with("Rejoining");
        let has_seat = |row: &&Row| row.state != "Stopped" && row.users.contains(&user.id);
        let seats = sim.watch.scenes.values().filter(has_seat).count();
        let by_master = seats > 0;
        // A fresh lobby does not know of who does not come back; the seat has its own time.
        let is_forgotten = phase == "absent" && (sim.host.life > 1 || sim.moved.contains_key(&Place::Lobby));
        if (by_lobby == by_master && seats < 2) || (by_master && (is_forgotten || sim.now < sim.watch.lossy_until)) {
            sim.disagreed.remove(&user.id);
            continue;
        }
        let since = *sim.disagreed.entry(user.id).or_insert(sim.now);
        // The scene is being made: the match is not answered yet.
        let is_new = sim.watch.scenes.values().any(|row| row.state == "Placing" && row.users.contains(&user.id));
        let too_long = sim.now > since.plus_ms(AGREE_MS_MAX) && sim.now > wait && !is_new;
        sim.watch.check(AGREED, !too_long, || {
            format!("user {} is {phase} since {} ms, and has {seats} seats", user.id, since.0)
        });
    }
}

/// Once in a second: no incarnation lives on where it should not.
pub fn known(sim: &mut Sim) {
    let mut strays = BTreeMap::new();
    for (node, it) in sim.nodes.iter().enumerate() {
        for (id, hosted) in &it.scenes {
            let epoch = hosted.scene.incarnation().epoch;
            let row = sim.watch.scenes.get(id).filter(|row| row.state != "Stopped");
            if row.is_some_and(|row| row.epoch == epoch.0 && row.node == node as u64) {
                continue;
            }
            // As long as its node is not sound it is not counted.
            let since =
                sim.strays.get(&(node, *id, epoch)).copied().filter(|_| sim.watch.is_sound(node, SOUND_AFTER_MS));
            let since = since.unwrap_or(sim.now);
            sim.watch.check(KNOWN, sim.now.ms_since(since) <= UNKNOWN_MS_MAX, || {
                format!("scene {id} (epoch {}) is {} on node {node}", epoch.0, hosted.scene.phase_name())
            });
            strays.insert((node, *id, epoch), since);
        }
    }
    sim.strays = strays;
}

/// Once in a second: what SceneMaster believes of the scenes on sound nodes is true.
pub fn lives(sim: &mut Sim) {
    let mut wrong = BTreeMap::new();
    for (id, row) in &sim.watch.scenes {
        let node = row.node as usize;
        if !matches!(row.state.as_str(), "Allocated" | "Running" | "Empty") || !sim.watch.is_sound(node, LATE_AFTER_MS)
        {
            continue;
        }
        let hosted = sim.nodes[node].scenes.get(id).filter(|it| it.scene.incarnation().epoch.0 == row.epoch);
        let Some(hosted) = hosted else {
            wrong.insert((LIVES, *id), format!("scene {id} is {} on node {node}, and is not there", row.state));
            continue;
        };
        let inside = hosted.scene.connections().filter_map(|(seat, _)| hosted.scene.user_of(seat));
        for user in inside.filter(|user| !row.users.contains(user)) {
            wrong.insert((SEATED, *id), format!("user {user} is in scene {id} on node {node}"));
        }
    }
    // A message may be on its way.
    sim.wrong.retain(|at, _| wrong.contains_key(at));
    for ((invariant, id), text) in wrong {
        let since = *sim.wrong.entry((invariant, id)).or_insert(sim.now);
        sim.watch.check(invariant, sim.now.ms_since(since) <= LATE_AFTER_MS, || text);
    }
}

/// Once in a second: no seat is kept for longer than its grace period.
pub fn grace(sim: &mut Sim) {
    let mut dropped = BTreeMap::new();
    for node in sim.nodes.iter().filter(|node| node.paused_until.is_none()) {
        for (id, hosted) in node.scenes.iter().filter(|(_, hosted)| hosted.scene.is_open()) {
            let grace_ms = hosted.scene.limits().grace_ms + LATE_AFTER_MS;
            let seats = (0..).take_while(|seat| hosted.scene.user_of(*seat).is_some());
            let seats = seats.filter(|seat| hosted.scene.seat_name(*seat) == "Dropped");
            for seat in seats {
                let at = (*id, hosted.scene.incarnation().epoch, seat);
                // One that hangs does nothing in time.
                let hangs = hosted.hangs_until > sim.now;
                let since = sim.dropped.get(&at).copied().filter(|_| !hangs).unwrap_or(sim.now);
                sim.watch.check(GRACE, sim.now.ms_since(since) <= grace_ms, || {
                    format!("seat {seat} of scene {id} is kept since {} ms", since.0)
                });
                dropped.insert(at, since);
            }
        }
    }
    sim.dropped = dropped;
}

/// The store as it is on the disk.
pub fn consistent(sim: &mut Sim) {
    let records = &sim.store.synced;
    let all = records.iter().map(|(key, value)| Ok::<_, Infallible>((key.clone(), value.clone())));
    let Ok(report) = consistency::check(all, |key| Ok(records.get(key).cloned()));
    sim.watch.check(CONSISTENT, report.problems.is_empty(), || report.problems.join("; "));
}

/// The rated games of each user are the decided ones: none too often ever, and in the end none too few.
pub fn recorded_once(sim: &mut Sim, is_over: bool) {
    for user in &sim.users {
        let key = ratings_key(user.id);
        let ratings = sim.store.synced.get(&key).and_then(|value| record::decode::<Ratings>(&key, value).ok());
        let ratings = ratings.unwrap_or_default();
        for domain in DOMAINS.map(DomainName::from) {
            let recorded = ratings.domains.get(&domain).map_or(0, |rating| rating.games) as usize;
            let of_user = |(of, users): &&(DomainName, Vec<UserId>)| *of == domain && users.contains(&user.id);
            let decided = sim.decided.values().filter(of_user).count();
            let fits = if is_over { recorded == decided } else { recorded <= decided };
            sim.watch.check(RECORDED_ONCE, fits, || {
                format!("user {} has {recorded} games in {domain}, and {decided} were decided", user.id)
            });
        }
    }
}

/// The end: everything is over.
pub fn nothing_waits(sim: &mut Sim) {
    let mut waiting: Vec<String> = Vec::new();
    let now = sim.now;
    // Those that are ready, or made so again, wait for nothing as long as their deadlines are to come.
    let is_standby = |row: &Row| {
        let is_made = matches!(row.state.as_str(), "Ready" | "Placing" | "Restarting" | "Stopping");
        is_made && row.users.is_empty() && row.deadline.is_some_and(|deadline| deadline >= now)
    };
    for (id, row) in sim.watch.scenes.iter().filter(|(_, row)| row.state != "Stopped" && !is_standby(row)) {
        waiting.push(format!("scene {id} is {} (epoch {})", row.state, row.epoch));
    }
    let unrecorded: usize = sim.host.masters.iter().map(|master| master.service.unrecorded()).sum();
    if unrecorded > 0 {
        waiting.push(format!("{unrecorded} results are not recorded"));
    }
    for (index, node) in sim.nodes.iter().enumerate() {
        let used = slots_of(sim, index as u64);
        let is_here = |row: &&Row| row.node == index as u64 && row.holds_slot && is_standby(row);
        let standby = sim.watch.scenes.values().filter(is_here).count();
        if used.is_none_or(|(used, _)| used as usize != standby) {
            waiting.push(format!("the slots of node {index} are {used:?}"));
        }
        let is_known = |id| sim.watch.scenes.get(id).is_some_and(is_standby);
        // One that hangs will end when it goes on.
        for (id, hosted) in node.scenes.iter().filter(|(id, it)| !is_known(*id) && it.hangs_until <= now) {
            let (phase, epoch) = (hosted.scene.phase_name(), hosted.scene.incarnation().epoch.0);
            waiting.push(format!("scene {id} (epoch {epoch}) is {phase} on node {index}"));
        }
    }
    for (domain, it) in sim.host.matches.iter().enumerate() {
        for user in sim.users.iter().filter(|user| it.service.ticket_name(user.id) != "none") {
            waiting.push(format!("user {} has a ticket in {}", user.id, DOMAINS[domain]));
        }
    }
    for user in &sim.users {
        let phase = sim.host.lobby.service.phase_name(user.id);
        if !(phase.starts_with("Idle") || phase == "absent") {
            waiting.push(format!("user {} is {phase}", user.id));
        }
    }
    if sim.host.db.service.waiting() > 0 {
        waiting.push(format!("{} requests wait in Db", sim.host.db.service.waiting()));
    }
    sim.watch.check(NOTHING_WAITS, waiting.is_empty(), || waiting.join("; "));
}

/// How long a node counts as unsound after something was wrong with it.
pub const SOUND_AFTER_MS: u64 = 30_000;

impl Watch {
    /// Nothing was wrong with a node for so long.
    fn is_sound(&self, node: usize, for_ms: u64) -> bool {
        let trouble = self.trouble.get(&node).copied().unwrap_or_default();
        self.now >= trouble.max(self.store_trouble).plus_ms(for_ms)
    }

    /// Something is wrong with a node until then.
    pub fn trouble(&mut self, node: usize, until: Time) {
        let known = self.trouble.entry(node).or_default();
        *known = (*known).max(until);
    }
}
