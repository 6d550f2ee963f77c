//! What users bring to a search and want of it, kept as long as their session, and what else they ask of matching
//! while they search, or before.
//!
//! Invariants: a wish has limits on everything in it before it is kept. Members of a party each bring their own, so the
//! leader needs to know nothing of theirs; whatever in it the domain does not have is passed over.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::{Lobby, Phase, User};
use serde::{Deserialize, Serialize};

use crate::ids::{ConnectionId, DomainName, RoleName, Time, UserId};
use crate::matching::domain::{Domain, NAME_BYTES_MAX, REGIONS_MAX};
use crate::matching::ticket::OPPONENTS_MAX;
use crate::matching::{self, Wish};
use crate::message::{MatchState, Notice};
use crate::rate::Buckets;
use crate::refusal::Refusal;
use crate::{Context, db};

/// The most names of properties, values and roles in a wish, together.
pub const WISH_NAMES_MAX: usize = 256;
/// How often a user may say a wish, answer whether a match is accepted, or ask for the domains, in 10 s; also all at
/// once.
pub const MATCHING_ASKS_PER_10_S: u32 = 20;
/// About how many bytes of text one part of the list of domains has.
pub const DOMAINS_BYTES_MAX: usize = 32 * 1_024;
/// How many users' buckets are kept; those who have asked the least are forgotten first.
const BUCKETS_MAX: usize = 65_536;

/// What a user wants of matching, but for a search or its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// To bring and want this from the next search on.
    Wish(Box<Wish>),
    /// To play the match that was found, or not.
    Accept(bool),
    /// A part of the list of domains: those whose names come after this one.
    Domains(DomainName),
}

/// A part of the list of domains, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domains {
    /// The domains.
    pub domains: Vec<(DomainName, Arc<Domain>)>,
    /// There are more after the last one.
    pub more: bool,
    /// When this was said: whether a domain is open depends on it.
    pub now: Time,
}

/// The buckets of what users ask.
pub(super) fn asks() -> Buckets<UserId> {
    Buckets::over(MATCHING_ASKS_PER_10_S, 10_000, BUCKETS_MAX)
}

impl Domains {
    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.domains.iter().map(|(name, domain)| text_bytes(name, domain)).sum()
    }
}

impl Lobby {
    pub(super) fn req_matching(&mut self, connection: ConnectionId, request: u32, ask: Ask, cx: &mut Context<'_>) {
        let Some((id, _)) = self.signed_in(connection, request, cx) else { return };
        let too_often = |ms| Refusal::TooOften { what: "requests of yours about matching".into(), ms };
        let allowed = self.matching_asks.take(id, cx.now).map_err(too_often);
        let answer = allowed.and_then(|()| match ask {
            Ask::Wish(wish) => {
                self.keep_wish(id, *wish)?;
                Ok(Some(Notice::Answer(Arc::new(db::Answer::Done))))
            }
            Ask::Accept(accepts) => self.accept(id, request, accepts, cx),
            Ask::Domains(after) => Ok(Some(Notice::ResDomains(Arc::new(self.domains_after(&after, cx.now))))),
        });
        match answer {
            Ok(Some(notice)) => self.tell(id, request, notice, cx),
            Ok(None) => {}
            Err(refusal) => self.tell(id, request, Notice::Refused(refusal), cx),
        }
    }

    /// Keeps what a user brings and wants, in the place of what was kept.
    pub(super) fn keep_wish(&mut self, id: UserId, wish: Wish) -> Result<(), Refusal> {
        check(&wish, id)?;
        if let Some(user) = self.users.get_mut(&id) {
            user.wish = wish;
        }
        Ok(())
    }

    /// Passes on whether a match that was found is accepted: the next word of the search answers it. At once answered is
    /// who says again what is known.
    fn accept(
        &mut self,
        id: UserId,
        request: u32,
        accepts: bool,
        cx: &mut Context<'_>,
    ) -> Result<Option<Notice>, Refusal> {
        const NOTHING: Refusal = Refusal::OutOfOrder(Cow::Borrowed("no match waits for your answer"));
        let user = self.users.get_mut(&id).ok_or(Refusal::Unauthenticated)?;
        let known = user.match_state_at(cx.now);
        let (Phase::Searching { domain, ticket, asked, cancel, .. }, Some(MatchState::Found(found))) =
            (&mut user.phase, known)
        else {
            return Err(NOTHING);
        };
        if *asked != 0 || cancel.is_some() {
            return Err(Refusal::Busy("your answer is on its way already".into()));
        }
        if accepts && found.you_accepted {
            return Ok(Some(Notice::SynMatchState(MatchState::Found(found))));
        }
        *asked = request;
        let (domain, event) = (domain.clone(), matching::Event::ReqAcceptMatch { user: id, ticket: *ticket, accepts });
        self.tell_handler(domain, event, cx);
        Ok(None)
    }

    fn domains_after(&self, after: &DomainName, now: Time) -> Domains {
        let mut page = Domains { domains: Vec::new(), more: false, now };
        let mut bytes = 0;
        let after = (Bound::Excluded(after), Bound::Unbounded);
        for (name, domain) in self.domains.range::<DomainName, _>(after) {
            bytes += text_bytes(name, domain);
            if bytes > DOMAINS_BYTES_MAX && !page.domains.is_empty() {
                page.more = true;
                break;
            }
            page.domains.push((name.clone(), Arc::clone(domain)));
        }
        page
    }

    /// Tells a user how a match stands that waits to be accepted: what was missed of it says too long a time.
    pub(super) fn tell_found(&mut self, id: UserId, cx: &mut Context<'_>) {
        let state = self.users.get(&id).and_then(|user| user.match_state_at(cx.now));
        if let Some(state @ MatchState::Found(_)) = state {
            self.tell(id, 0, Notice::SynMatchState(state), cx);
        }
    }

    /// Tells Match whether a user who searches is here. One who is not is in no match.
    pub(super) fn tell_here(&self, id: UserId, here: bool, cx: &mut Context<'_>) {
        if let Some(User { phase: Phase::Searching { domain, ticket, .. }, .. }) = self.users.get(&id) {
            let event = matching::Event::SynHere { user: id, ticket: *ticket, here };
            self.tell_handler(domain.clone(), event, cx);
        }
    }
}

impl User {
    /// What was told last of the search, as it is now.
    pub(super) fn match_state_at(&self, now: Time) -> Option<MatchState> {
        let (told, state) = self.match_state.as_ref()?;
        let passed_ms = now.ms_since(*told);
        let mut state = state.clone();
        match &mut state {
            MatchState::Searching(searching) => searching.waited_ms += passed_ms,
            MatchState::Found(found) => found.left_ms = found.left_ms.saturating_sub(passed_ms),
            MatchState::Idle(_) | MatchState::Placing { .. } => {}
        }
        Some(state)
    }
}

/// That a wish is within the limits of every domain.
fn check(wish: &Wish, id: UserId) -> Result<(), Refusal> {
    let Wish { has, wants, round_trips, opponents, roles } = wish;
    let lists = || has.iter().chain(wants);
    let names = || lists().flat_map(|(name, values)| std::iter::once(name).chain(values)).chain(roles);
    if names().count() > WISH_NAMES_MAX {
        return Err(Refusal::Invalid(format!("a wish has at most {WISH_NAMES_MAX} names, values and roles in all")));
    }
    if round_trips.len() > REGIONS_MAX {
        return Err(Refusal::Invalid(format!("say the round trips to at most {REGIONS_MAX} regions")));
    }
    if names().chain(round_trips.keys()).any(|name| name.is_empty() || name.len() > NAME_BYTES_MAX) {
        let text = format!("a name or value in a wish has 1 to {NAME_BYTES_MAX} bytes");
        return Err(Refusal::Invalid(text));
    }
    if let Some((name, _)) = lists().find(|(_, values)| values.is_empty()) {
        return Err(Refusal::Invalid(format!("{name} has no value in your wish: leave it out, if any will do")));
    }
    if opponents.len() > OPPONENTS_MAX {
        return Err(Refusal::Invalid(format!("name at most {OPPONENTS_MAX} opponents")));
    }
    if opponents.contains(&id) {
        return Err(Refusal::Invalid("nobody is an opponent of their own: name others".to_owned()));
    }
    Ok(())
}

/// That a domain has the properties and roles that are named for a search in it.
pub(super) fn check_for(wish: &Wish, domain: &Domain) -> Result<(), Refusal> {
    let refused = |what: &str, name: &str, known: Vec<&str>| {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(Refusal::Invalid(format!("there is no {what} {name:?} here: the domain has {known}")))
    };
    if let Some(name) = wish.has.keys().chain(wish.wants.keys()).find(|name| !has_property(domain, name)) {
        return refused("property", name, domain.properties.iter().map(|property| property.name.as_str()).collect());
    }
    match wish.roles.iter().find(|role| !has_role(domain, role)) {
        Some(role) => refused("role", role, roles(domain).collect::<BTreeSet<_>>().into_iter().collect()),
        None => Ok(()),
    }
}

/// Of what a user has said, for whatever domain, that which this one has.
pub(super) fn within(wish: &Wish, domain: &Domain) -> Wish {
    let mut wish = wish.clone();
    wish.has.retain(|name, _| has_property(domain, name));
    wish.wants.retain(|name, _| has_property(domain, name));
    wish.round_trips.retain(|region, _| domain.regions().contains(region));
    wish.roles.retain(|role| has_role(domain, role));
    wish
}

fn has_property(domain: &Domain, name: &str) -> bool {
    domain.properties.iter().any(|property| property.name == name)
}

/// The roles of its teams; one may come more than once.
fn roles(domain: &Domain) -> impl Iterator<Item = &str> {
    domain.teams.teams.iter().flat_map(|team| team.roles.keys()).map(RoleName::as_str)
}

fn has_role(domain: &Domain, name: &str) -> bool {
    roles(domain).any(|role| role == name)
}

fn text_bytes(name: &DomainName, domain: &Domain) -> usize {
    let properties = domain.properties.iter().flat_map(|property| property.values.iter().chain([&property.name]));
    let texts = properties.chain(domain.regions()).map(String::as_str).chain(roles(domain));
    name.as_str().len() + texts.map(|text| text.len() + 8).sum::<usize>() + domain.teams.teams.len() * 8 + 64
}
