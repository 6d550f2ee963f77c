//! The match handlers of domains: one that is down, and one that has handed its domain over to the next.
//!
//! Invariants: a handler that is down ends the searches in its domain, and no others; whoever was told that it is down is
//! told when it is back. While a domain is handed over nothing is said to a handler about it: what is to be taken back is
//! taken back here, and all other searches are put to the next one, as old as they are, so that their users notice
//! nothing. They are in no match then (see [`ReqHandOver`](super::Event::ReqHandOver)).

use std::collections::{BTreeMap, BTreeSet};

use super::{Domain, Due, Lobby, Phase, User};
use crate::Context;
use crate::ids::{DomainName, UserId};
use crate::line::State;
use crate::matching::{self, Seeker};
use crate::message::{Message, Notice, ServiceName};
use crate::refusal::Refusal;

/// How long the next handler of a domain may take to be there. Its node has it within about a second, and any other
/// that takes it instead within three.
pub const NEXT_HANDLER_MS_MAX: u64 = 10_000;
const DOWN: Refusal = Refusal::ServiceDown(ServiceName::Match);

/// Why a handler does not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Away {
    /// It is down. These were told.
    Down(BTreeSet<UserId>),
    /// The next one is to come, to which these are put: users by ticket.
    HandedOver(BTreeMap<u64, Vec<UserId>>),
}

impl Lobby {
    /// A handler went up or down.
    pub(super) fn handler(&mut self, domain: DomainName, up: bool, cx: &mut Context<'_>) {
        match (self.handlers.get(&domain), up) {
            (None, false) => self.handler_down(domain, cx),
            (Some(_), true) => self.handler_up(&domain, cx),
            // One that has handed over is to go; one that is down was told of.
            (None, true) | (Some(_), false) => {}
        }
    }

    /// A handler has said all that it had to say, and its searches are put to the next one.
    pub(super) fn req_hand_over(&mut self, domain: DomainName, cx: &mut Context<'_>) {
        cx.send(Message::Match(domain.clone(), matching::Event::ResHandOver));
        if self.handlers.contains_key(&domain) {
            return;
        }
        let (mut tickets, mut cancelled) = (BTreeMap::<u64, Vec<UserId>>::new(), Vec::new());
        for id in self.users_who_search(&domain) {
            let Some(User { phase: Phase::Searching { ticket, cancel, .. }, record, .. }) = self.users.get(&id) else {
                continue;
            };
            tickets.entry(*ticket).or_default().push(id);
            if cancel.is_some() {
                // Its answer is not to come any more.
                let others = Refusal::SearchStopped(format!("{} has stopped the search", record.name));
                cancelled.push((*ticket, id, others));
            }
        }
        self.handlers.insert(domain.clone(), Away::HandedOver(tickets));
        self.deadlines.set(Due::Handler(domain.clone()), cx.now.plus_ms(NEXT_HANDLER_MS_MAX));
        for (ticket, id, others) in cancelled {
            self.end_handed_over(&domain, ticket, id, &others, cx);
        }
    }

    /// There is no next handler: it is down.
    pub(super) fn no_next_handler(&mut self, domain: DomainName, cx: &mut Context<'_>) {
        if self.is_handed_over(&domain) {
            self.handler_down(domain, cx);
        }
    }

    fn handler_down(&mut self, domain: DomainName, cx: &mut Context<'_>) {
        let told = self.users_who_search(&domain);
        self.handlers.insert(domain.clone(), Away::Down(told.iter().copied().collect()));
        for id in told {
            self.tell(id, 0, Notice::SynHandler { domain: domain.clone(), up: false }, cx);
            self.deadlines.clear(&Due::User(id));
            self.end_search(id, Some(DOWN), cx);
        }
    }

    fn handler_up(&mut self, domain: &DomainName, cx: &mut Context<'_>) {
        self.deadlines.clear(&Due::Handler(domain.clone()));
        match self.handlers.remove(domain) {
            Some(Away::Down(told)) => {
                for id in told {
                    self.tell(id, 0, Notice::SynHandler { domain: domain.clone(), up: true }, cx);
                }
            }
            Some(Away::HandedOver(tickets)) => {
                for (ticket, users) in tickets {
                    self.put_again(domain, ticket, users, cx);
                }
            }
            None => {}
        }
    }

    /// Puts a search to the handler that has the domain now, as it stands.
    fn put_again(&mut self, domain: &DomainName, of_ticket: u64, users: Vec<UserId>, cx: &mut Context<'_>) {
        let mut since = cx.now;
        let mut away = BTreeSet::new();
        let mut still = users;
        still.retain(|id| match self.users.get(id) {
            Some(User { phase: Phase::Searching { ticket, since: asked, .. }, line, .. }) if *ticket == of_ticket => {
                since = since.min(*asked);
                if matches!(line.state(), State::Dropped { .. }) {
                    away.insert(*id);
                }
                true
            }
            _ => false,
        });
        if still.is_empty() {
            return;
        }
        let seekers = self.domain(domain).cloned().and_then(|rules| self.seekers(&still, domain, &rules));
        match seekers {
            Ok(seekers) => {
                let waited_ms = cx.now.ms_since(since);
                let event = matching::Event::ReqMatch { ticket: of_ticket, seekers, waited_ms, away };
                cx.send(Message::Match(domain.clone(), event));
            }
            Err(refusal) => {
                for id in still {
                    self.deadlines.clear(&Due::User(id));
                    self.end_search(id, Some(refusal.clone()), cx);
                }
            }
        }
    }

    /// Users as Match has to know them.
    pub(super) fn seekers(
        &self,
        users: &[UserId],
        domain: &DomainName,
        rules: &Domain,
    ) -> Result<Vec<Seeker>, Refusal> {
        users.iter().map(|user| self.seeker(*user, domain, rules)).collect()
    }

    /// Puts a search that begins now to the handler of its domain, or to the next one.
    pub(super) fn put_search(&mut self, domain: DomainName, ticket: u64, seekers: Vec<Seeker>, cx: &mut Context<'_>) {
        if let Some(Away::HandedOver(tickets)) = self.handlers.get_mut(&domain) {
            tickets.insert(ticket, seekers.into_iter().map(|seeker| seeker.user).collect());
            return;
        }
        let event = matching::Event::ReqMatch { ticket, seekers, waited_ms: 0, away: BTreeSet::new() };
        cx.send(Message::Match(domain, event));
    }

    /// Says something about a search to the handler of its domain; the next one hears of it with the search.
    pub(super) fn tell_handler(&self, domain: DomainName, event: matching::Event, cx: &mut Context<'_>) {
        if !self.is_handed_over(&domain) {
            cx.send(Message::Match(domain, event));
        }
    }

    pub(super) fn is_handed_over(&self, domain: &DomainName) -> bool {
        matches!(self.handlers.get(domain), Some(Away::HandedOver(_)))
    }

    /// A user takes a search back that no handler has now; the others of the ticket are told why it is over.
    pub(super) fn end_handed_over(
        &mut self,
        domain: &DomainName,
        ticket: u64,
        by: UserId,
        others: &Refusal,
        cx: &mut Context<'_>,
    ) {
        let Some(Away::HandedOver(tickets)) = self.handlers.get_mut(domain) else { return };
        for id in tickets.remove(&ticket).unwrap_or_default() {
            if self.ticket_of(id) == Some(ticket) {
                self.deadlines.clear(&Due::User(id));
                self.end_search(id, (id != by).then(|| others.clone()), cx);
            }
        }
    }

    /// Whether searches in a domain are taken.
    pub(super) fn has_handler(&self, domain: &DomainName) -> Result<(), Refusal> {
        match self.handlers.get(domain) {
            Some(Away::Down(_)) => Err(DOWN),
            Some(Away::HandedOver(_)) | None => Ok(()),
        }
    }

    /// Who was refused because a handler, or the SceneMaster of its domain, is down is told when it is back.
    pub(super) fn note_refused(&mut self, id: UserId, domain: &DomainName, refusal: &Refusal) {
        self.note_refused_by_master(id, domain, refusal);
        if *refusal == DOWN
            && let Some(Away::Down(told)) = self.handlers.get_mut(domain)
        {
            told.insert(id);
        }
    }

    /// The domains whose handlers are down, for a user who is told of them with this.
    pub(super) fn domains_down_for(&mut self, id: UserId) -> Vec<DomainName> {
        let mut down = Vec::new();
        for (domain, away) in &mut self.handlers {
            if let Away::Down(told) = away {
                told.insert(id);
                down.push(domain.clone());
            }
        }
        down
    }

    /// The domains are these from now on.
    pub(super) fn set_domains(&mut self, domains: BTreeMap<DomainName, Domain>, cx: &mut Context<'_>) {
        self.domains = super::shared(domains);
        let gone: Vec<DomainName> =
            self.handlers.keys().filter(|domain| !self.domains.contains_key(*domain)).cloned().collect();
        // Nobody will have them: whoever waits for the next handler is told so, as by a handler.
        gone.iter().for_each(|domain| self.handler_up(domain, cx));
    }

    fn users_who_search(&self, domain: &DomainName) -> Vec<UserId> {
        self.users_where(|user| matches!(&user.phase, Phase::Searching { domain: of, .. } if of == domain))
    }
}
