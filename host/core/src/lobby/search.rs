//! Searches for a match: asked for, told of, taken back.

use super::{DOMAIN_CHARS_MAX, Due, Lobby, Phase, SEARCH_MARGIN_MS, User, refuse_user, tell};
use crate::ids::{ConnectionId, DomainName, UserId};
use crate::message::{Entry, MatchState, Message, Notice, ServiceName};
use crate::record::RATING_START;
use crate::refusal::Refusal;
use crate::{Context, matching};

impl Lobby {
    pub(super) fn req_match(
        &mut self,
        connection: ConnectionId,
        request: u32,
        domain: DomainName,
        cx: &mut Context<'_>,
    ) {
        let Some((id, user)) = self.signed_in(connection, request, cx) else { return };
        let refusal = match &user.phase {
            _ if domain.as_str().chars().count() > DOMAIN_CHARS_MAX => {
                Some(Refusal::Invalid(format!("the name of a domain has at most {DOMAIN_CHARS_MAX} characters")))
            }
            Phase::Searching { .. } => Some(Refusal::Busy("you are already looking for a match: cancel it first")),
            Phase::InScene { .. } => {
                Some(Refusal::Busy("you are in a game: go back with req_rejoin, or leave it first"))
            }
            Phase::Idle => None,
        };
        let known = user.entered.as_ref();
        let rating = known.and_then(|known| known.ratings.get(&domain)).copied().unwrap_or(RATING_START);
        let blocked = known.map(|known| known.blocked.clone());
        let name = user.record.name.clone();
        let needed = [ServiceName::Match, ServiceName::SceneMaster, ServiceName::Db];
        let down = needed.into_iter().find(|it| self.services_down.contains(it));
        let refusal: Result<u64, Refusal> = match (refusal, self.domains.get(&domain), down) {
            (Some(refusal), _, _) => Err(refusal),
            _ if self.stopping => Err(Refusal::Stopping),
            (None, None, _) => Err(Refusal::NotFound(format!("domain named {:?}", domain.as_str()))),
            (None, _, Some(service)) => Err(Refusal::ServiceDown(service)),
            // Db has told nothing of the user yet: not whom the user has blocked.
            (None, Some(_), None) if blocked.is_none() => Err(Refusal::ServiceDown(ServiceName::Db)),
            (None, Some(wait_ms_max), None) => Ok(*wait_ms_max),
        };
        let wait_ms_max = match refusal {
            Ok(wait_ms_max) => wait_ms_max,
            Err(refusal) => return self.tell(id, request, Notice::Refused(refusal), cx),
        };
        self.tickets += 1;
        let ticket = self.tickets;
        self.set_phase(id, Phase::Searching { domain: domain.clone(), ticket, asked: request, cancel: None });
        self.deadlines.set(Due::User(id), cx.now.plus_ms(wait_ms_max + SEARCH_MARGIN_MS));
        let event = matching::Event::ReqMatch { user: id, ticket, name, rating, blocked: blocked.unwrap_or_default() };
        cx.send(Message::Match(domain, event));
    }

    pub(super) fn req_cancel_match(&mut self, connection: ConnectionId, request: u32, cx: &mut Context<'_>) {
        let Some((id, user)) = self.signed_in(connection, request, cx) else { return };
        match &mut user.phase {
            Phase::Searching { cancel: Some(_), .. } => {
                refuse_user(user, request, Refusal::Busy("the search is being cancelled already"), cx);
            }
            Phase::Searching { domain, ticket, cancel, .. } => {
                *cancel = Some(request);
                let event = matching::Event::ReqCancelMatch { user: id, ticket: *ticket };
                cx.send(Message::Match(domain.clone(), event));
            }
            Phase::InScene { .. } => {
                refuse_user(user, request, Refusal::Busy("the match is already made"), cx);
            }
            Phase::Idle => tell(user, request, Notice::SynMatchState(MatchState::Idle(None)), cx),
        }
    }

    pub(super) fn syn_match_state(&mut self, id: UserId, of_ticket: u64, state: MatchState, cx: &mut Context<'_>) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let Phase::Searching { ticket, asked, .. } = &mut user.phase else { return };
        if *ticket == of_ticket {
            let request = std::mem::take(asked);
            user.match_state = Some(state.clone());
            tell(user, request, Notice::SynMatchState(state), cx);
        }
    }

    pub(super) fn res_match(
        &mut self,
        id: UserId,
        of_ticket: u64,
        result: Result<Entry, Refusal>,
        cx: &mut Context<'_>,
    ) {
        let Some(user) = self.users.get(&id) else { return };
        let Phase::Searching { ticket, asked, cancel, .. } = &user.phase else { return };
        if *ticket != of_ticket {
            return;
        }
        let (asked, cancel) = (*asked, *cancel);
        self.deadlines.clear(&Due::User(id));
        match result {
            Ok(entry) => {
                let (scene, domain) = (entry.scene, entry.domain.clone());
                self.set_phase(id, Phase::InScene { scene, domain, rejoin: None });
                if let Some(request) = cancel.filter(|request| *request != 0) {
                    self.tell(id, request, Notice::Refused(Refusal::Busy("the match is already made")), cx);
                }
                self.tell(id, asked, Notice::ResMatch(entry), cx);
            }
            Err(refusal) => self.end_search(id, Some(refusal), cx),
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
                let wait_ms_max = self.domains.get(domain).copied().unwrap_or_default();
                self.deadlines.set(Due::User(id), cx.now.plus_ms(wait_ms_max + SEARCH_MARGIN_MS));
                // With 0 the user has logged out, and is still to be taken back.
                if let Some(request) = cancel.filter(|request| *request != 0) {
                    *cancel = None;
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
