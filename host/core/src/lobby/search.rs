//! Searches for a match: asked for, told of, taken back. A party has one search, which each of its members is in: the
//! leader begins it, anybody ends it.

use std::sync::Arc;

use super::{DOMAIN_CHARS_MAX, Domain, Due, Lobby, Phase, SEARCH_MARGIN_MS, User, refuse_user, tell, wish};
use crate::Context;
use crate::ids::{ConnectionId, DomainName, UserId};
use crate::line::State;
use crate::matching::{self, Seeker, Wish};
use crate::message::{Entry, MatchState, Message, Notice, ServiceName};
use crate::partition::Shard;
use crate::refusal::Refusal;
use crate::scene_master;

impl Lobby {
    pub(super) fn req_match(
        &mut self,
        connection: ConnectionId,
        request: u32,
        domain: DomainName,
        wish: Option<Box<Wish>>,
        cx: &mut Context<'_>,
    ) {
        let Some((id, _)) = self.signed_in(connection, request, cx) else { return };
        // Of a party's search all its members are told.
        let allowed = if self.parties.of(id).is_some() { self.take_change(id, cx) } else { Ok(()) };
        let allowed = allowed.and_then(|()| wish.map_or(Ok(()), |wish| self.take_wish(id, &domain, *wish)));
        if let Err(refusal) = allowed.and_then(|()| self.begin_search(id, request, domain.clone(), cx)) {
            self.note_refused(id, &domain, &refusal);
            self.tell(id, request, Notice::Refused(refusal), cx);
        }
    }

    /// Keeps the wish that comes with a search. While another one goes on it stays as it is.
    fn take_wish(&mut self, id: UserId, domain: &DomainName, wish: Wish) -> Result<(), Refusal> {
        self.may_begin(id)?;
        wish::check_for(&wish, self.domain(domain)?)?;
        self.keep_wish(id, wish)
    }

    /// Whether a user does nothing else now.
    fn may_begin(&self, id: UserId) -> Result<(), Refusal> {
        match self.users.get(&id).map(|user| &user.phase) {
            Some(Phase::Searching { .. }) => {
                Err(Refusal::Busy("you are already looking for a match: cancel it first".into()))
            }
            Some(Phase::Joining { .. }) => Err(Refusal::Busy("you are on the way into a game".into())),
            Some(Phase::InScene { .. }) => {
                Err(Refusal::Busy("you are in a game: go back with req_rejoin, or leave it first".into()))
            }
            Some(Phase::Idle) => self.has_no_seat(id),
            None => Ok(()),
        }
    }

    /// Asks for a match for a user, or for the whole party that the user leads.
    pub(super) fn begin_search(
        &mut self,
        id: UserId,
        request: u32,
        domain: DomainName,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        self.may_begin(id)?;
        let users = match self.parties.of(id) {
            Some(_) => self.led_party(id)?.1,
            None => vec![id],
        };
        self.search_together(users, Some((id, request)), domain, cx)?;
        self.end_check_of(id, cx);
        Ok(())
    }

    /// Asks for a match for users who get into one, with the same ticket; if one of them has asked for it, by what
    /// request.
    fn search_together(
        &mut self,
        users: Vec<UserId>,
        asked_by: Option<(UserId, u32)>,
        domain: DomainName,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let rules = Arc::clone(self.may_search(&domain, users.len())?);
        if users.len() > 1 {
            users.iter().try_for_each(|user| self.is_free(*user))?;
        }
        let seekers = self.seekers(&users, &domain, &rules)?;
        self.tickets += 1;
        let ticket = self.tickets;
        for user in users {
            let asked = asked_by.filter(|(id, _)| *id == user).map_or(0, |(_, request)| request);
            let (domain, since) = (domain.clone(), cx.now);
            self.set_phase(user, Phase::Searching { domain, ticket, since, asked, cancel: None });
            self.deadlines.set(Due::User(user), cx.now.plus_ms(rules.wait_ms_max + SEARCH_MARGIN_MS));
        }
        self.put_search(domain, ticket, seekers, cx);
        Ok(())
    }

    /// A game has sent users on to their next match. Why one cannot look for it is told as the state of the search.
    pub(super) fn syn_search_again(
        &mut self,
        users: Vec<UserId>,
        domain: DomainName,
        together: bool,
        cx: &mut Context<'_>,
    ) {
        let is_idle = |user: &User| user.phase == Phase::Idle;
        let mut here: Vec<UserId> = users.into_iter().filter(|user| self.is_here(*user)).collect();
        // Nobody waits together with who has dropped; who is alone may come back meanwhile.
        here.retain(|user| {
            self.users.get(user).is_some_and(|it| is_idle(it) && !(together && it.line.connection().is_none()))
        });
        if together && here.len() > 1 {
            if let Err(refusal) = self.search_together(here.clone(), None, domain.clone(), cx) {
                here.into_iter().for_each(|user| self.search_refused(user, &domain, &refusal, cx));
            }
            return;
        }
        // Who leads a party takes the others along, who then need not ask.
        here.sort_by_key(|user| self.parties.of(*user).is_some_and(|(_, party)| party.leader != *user));
        for user in here {
            if self.users.get(&user).is_some_and(is_idle)
                && let Err(refusal) = self.begin_search(user, 0, domain.clone(), cx)
            {
                self.search_refused(user, &domain, &refusal, cx);
            }
        }
    }

    /// A domain in which so many can look for a match together now.
    pub(super) fn may_search(&self, domain: &DomainName, players: usize) -> Result<&Arc<Domain>, Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        let known = self.domain(domain)?;
        let players_max = known.players_max;
        self.has_handler(domain)?;
        self.masters.check(Shard::of_fleet(&known.fleet).into())?;
        if self.services_down.contains(&ServiceName::Db) {
            return Err(Refusal::ServiceDown(ServiceName::Db));
        }
        match players <= players_max as usize {
            true => Ok(known),
            false => Err(Refusal::Invalid(format!("your party is too large: this game takes {players_max} players"))),
        }
    }

    pub(super) fn domain(&self, name: &DomainName) -> Result<&Arc<Domain>, Refusal> {
        if name.as_str().chars().count() > DOMAIN_CHARS_MAX {
            return Err(Refusal::Invalid(format!("the name of a domain has at most {DOMAIN_CHARS_MAX} characters")));
        }
        self.domains.get(name).ok_or_else(|| Refusal::NotFound(format!("domain named {:?}", name.as_str())))
    }

    /// A user as Match has to know them.
    pub(super) fn seeker(&self, id: UserId, domain: &DomainName, rules: &Domain) -> Result<Seeker, Refusal> {
        let user = self.users.get(&id).ok_or(Refusal::Unauthenticated)?;
        // Db has told nothing of the user yet: not whom the user has blocked.
        let known = user.entered.as_ref().ok_or(Refusal::ServiceDown(ServiceName::Db))?;
        let level = known.levels.get(rules.rating_of.as_ref().unwrap_or(domain)).copied().unwrap_or_default();
        Ok(Seeker {
            user: id,
            name: user.record.name.clone(),
            rating: level.rating,
            games: level.games,
            blocked: known.blocked.clone(),
            wish: wish::within(&user.wish, rules),
        })
    }

    /// A search that was not asked for by a request could not begin. Who does something else needs no word of it.
    pub(super) fn search_refused(&mut self, id: UserId, domain: &DomainName, refusal: &Refusal, cx: &mut Context<'_>) {
        if self.users.get(&id).is_some_and(|user| user.phase == Phase::Idle) {
            self.note_refused(id, domain, refusal);
            self.tell(id, 0, Notice::SynMatchState(MatchState::Idle(Some(refusal.clone()))), cx);
        }
    }

    /// Whether the match that a user has looked for is being made, as the user was told.
    pub(super) fn is_being_placed(&self, id: UserId) -> bool {
        let state = self.users.get(&id).and_then(|user| user.match_state.as_ref());
        matches!(state, Some((_, MatchState::Placing { .. })))
    }

    pub(super) fn req_cancel_match(&mut self, connection: ConnectionId, request: u32, cx: &mut Context<'_>) {
        let Some((id, user)) = self.signed_in(connection, request, cx) else { return };
        match &mut user.phase {
            Phase::Searching { cancel: Some(_), .. } => {
                refuse_user(user, request, Refusal::Busy("the search is being cancelled already".into()), cx);
            }
            Phase::Searching { ticket, .. } => {
                let (ticket, why) = (*ticket, format!("{} has stopped the search", user.record.name));
                self.take_search_back(id, ticket, request, Refusal::SearchStopped(why), cx);
            }
            Phase::Joining { .. } => {
                refuse_user(user, request, Refusal::Busy("you are on the way into a game".into()), cx)
            }
            Phase::InScene { .. } => {
                refuse_user(user, request, Refusal::Busy("the match is already made".into()), cx);
            }
            Phase::Idle => tell(user, request, Notice::SynMatchState(MatchState::Idle(None)), cx),
        }
    }

    /// The search that a user is in.
    pub(super) fn ticket_of(&self, user: UserId) -> Option<u64> {
        match self.users.get(&user).map(|user| &user.phase) {
            Some(Phase::Searching { ticket, .. }) => Some(*ticket),
            _ => None,
        }
    }

    /// Asks Match to give a search back; `request` waits for the answer, 0: nobody does. The others of the party are
    /// told why.
    pub(super) fn take_search_back(
        &mut self,
        id: UserId,
        of_ticket: u64,
        request: u32,
        others: Refusal,
        cx: &mut Context<'_>,
    ) {
        let Some(User { phase: Phase::Searching { domain, ticket, cancel, .. }, .. }) = self.users.get_mut(&id) else {
            return;
        };
        if *ticket == of_ticket && cancel.is_none() {
            *cancel = Some(request);
            let domain = domain.clone();
            if self.is_handed_over(&domain) {
                return self.end_handed_over(&domain, of_ticket, id, &others, cx);
            }
            let event = matching::Event::ReqCancelMatch { user: id, ticket: of_ticket, others };
            cx.send(Message::Match(domain, event));
        }
    }

    pub(super) fn syn_match_state(&mut self, id: UserId, of_ticket: u64, state: MatchState, cx: &mut Context<'_>) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let Phase::Searching { ticket, asked, domain, cancel, .. } = &mut user.phase else { return };
        if *ticket != of_ticket {
            return;
        }
        // Matches that are not accepted take a search beyond its limit: what is begun may come to its end.
        let wait_ms_max = self.domains.get(domain).map_or(0, |domain| domain.wait_ms_max);
        let left_ms = match &state {
            MatchState::Searching(searching) => wait_ms_max.saturating_sub(searching.waited_ms),
            MatchState::Found(found) => found.left_ms,
            MatchState::Idle(_) | MatchState::Placing { .. } => 0,
        };
        let until = cx.now.plus_ms(left_ms + SEARCH_MARGIN_MS);
        let is_planned = self.deadlines.get(&Due::User(id)).is_some_and(|planned| planned >= until);
        // For the answer of a cancel nobody waits longer.
        if cancel.is_none() && !is_planned {
            self.deadlines.set(Due::User(id), until);
        }
        let request = std::mem::take(asked);
        let is_away = matches!(user.line.state(), State::Dropped { .. });
        let waits = matches!(state, MatchState::Searching(_));
        user.match_state = Some((cx.now, state.clone()));
        tell(user, request, Notice::SynMatchState(state), cx);
        // It was in a match that came to nothing when its user went.
        if is_away && waits {
            self.tell_here(id, false, cx);
        }
    }

    pub(super) fn res_match(
        &mut self,
        id: UserId,
        of_ticket: u64,
        result: Result<Entry, Refusal>,
        cx: &mut Context<'_>,
    ) {
        let search = match self.users.get(&id).map(|user| &user.phase) {
            Some(Phase::Searching { ticket, asked, cancel, .. }) if *ticket == of_ticket => Some((*asked, *cancel)),
            Some(Phase::InScene { scene, .. }) if result.as_ref().is_ok_and(|entry| entry.scene == *scene) => return,
            _ => None,
        };
        let Some((asked, cancel)) = search else {
            // The user was told that this search is over, and would not know of the seat.
            if let Ok(entry) = result {
                cx.send(scene_master::Event::ReqGiveUpSeat { user: id, scene: entry.scene });
            }
            return;
        };
        self.deadlines.clear(&Due::User(id));
        let over = self.users.get_mut(&id).and_then(|user| user.over.take());
        match (result, over) {
            // The seat was given up before its user was told of it.
            (Ok(entry), Some((allocation, ended))) if entry.allocation == Some(allocation) => {
                self.end_search(id, Some(Refusal::SceneEnded), cx);
                self.tell(id, 0, Notice::SynSceneEnded(ended), cx);
            }
            (Ok(entry), _) => {
                let (scene, domain) = (entry.scene, entry.domain.clone());
                self.set_phase(id, Phase::InScene { scene, domain, rejoin: None });
                if let Some(request) = cancel.filter(|request| *request != 0) {
                    self.tell(id, request, Notice::Refused(Refusal::Busy("the match is already made".into())), cx);
                }
                self.tell(id, asked, Notice::ResMatch(entry), cx);
            }
            (Err(refusal), _) => self.end_search(id, Some(refusal), cx),
        }
    }

    pub(super) fn res_cancel_match(
        &mut self,
        id: UserId,
        of_ticket: u64,
        result: Result<(), Refusal>,
        cx: &mut Context<'_>,
    ) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let Phase::Searching { ticket, cancel, domain, .. } = &mut user.phase else { return };
        if *ticket != of_ticket {
            return;
        }
        match result {
            Ok(()) => {
                self.deadlines.clear(&Due::User(id));
                self.end_search(id, None, cx);
            }
            // The match is being made; ResMatch is to come.
            Err(refusal) => {
                let wait_ms_max = self.domains.get(domain).map_or(0, |domain| domain.wait_ms_max);
                self.deadlines.set(Due::User(id), cx.now.plus_ms(wait_ms_max + SEARCH_MARGIN_MS));
                let request = *cancel;
                // Who has logged out is still to be taken back.
                if !matches!(user.line.state(), State::Closed(_)) {
                    *cancel = None;
                }
                if let Some(request) = request.filter(|request| *request != 0) {
                    refuse_user(user, request, refusal, cx);
                }
            }
        }
    }

    /// Ends a search without a match, and tells why.
    pub(super) fn end_search(&mut self, id: UserId, refusal: Option<Refusal>, cx: &mut Context<'_>) {
        let Some(User { phase: Phase::Searching { asked, cancel, .. }, .. }) = self.users.get(&id) else { return };
        // The request for it waits, too, if Match has never said how it stands.
        let mut waiting: Vec<u32> = [Some(*asked), *cancel].into_iter().flatten().filter(|it| *it != 0).collect();
        if waiting.is_empty() {
            waiting.push(0);
        }
        let refusal = refusal.or_else(|| self.stopping.then_some(Refusal::Stopping));
        self.set_phase(id, Phase::Idle);
        for request in waiting {
            self.tell(id, request, Notice::SynMatchState(MatchState::Idle(refusal.clone())), cx);
        }
    }
}
