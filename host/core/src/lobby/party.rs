//! Parties as the lobby knows them: who is here, who is ready, what the party looks for, and what its members are
//! told. What a party is, Db decides; the lobby hears of each change, whole and in order.
//!
//! Invariants: only members are told of a party, and those who are invited of their invitation. A member who is not
//! here is taken out at the end of the grace period, or at once after logging out; that is asked for until it is
//! done, so a party never waits for who does not come. Members who look for a match as a party have the same ticket.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::chat::Said;
use super::presence::PRESENCE_DELAY_MS;
use super::{ANSWER_MS_MAX, Due, Lobby, Phase, Presence, User, tell};
use crate::ids::{ConnectionId, DomainName, PartyId, Time, UserId};
use crate::line::State;
use crate::message::{Notice, ServiceName};
use crate::party::{
    Ask, Change, CheckView, Gone, Invitation, InvitedView, Limits, MemberView, News, Party, Request, View,
};
use crate::rate::Buckets;
use crate::refusal::Refusal;
use crate::{Context, db, party};

/// How long members have to say that they are ready.
pub const CHECK_MS: u64 = 30_000;
/// How often a user may try a code in a minute.
pub const CODES_PER_MINUTE: u32 = 10;
/// How many members who are not here are taken out of parties at once; the others follow after a moment.
pub const REMOVALS_MAX: usize = 256;
/// How long that moment is.
const REMOVALS_MS: u64 = 100;
/// How long after word of what members are doing the next one leaves at the earliest.
pub const PARTY_PRESENCE_MS_MIN: u64 = 1_000;
/// How often a user may change parties and invitations in ten seconds.
pub const CHANGES_PER_10_S: u32 = 30;
/// How many users' buckets are kept; those who have done the least are forgotten first.
const BUCKETS_MAX: usize = 65_536;

/// The parties there are.
#[derive(Debug, Clone)]
pub(super) struct Parties {
    limits: Limits,
    known: BTreeMap<PartyId, Known>,
    of: HashMap<UserId, PartyId>,
    invited: BTreeSet<(UserId, PartyId)>,
    codes: Buckets<UserId>,
    changes: Buckets<UserId>,
    /// In which this step has changed what members are doing.
    touched: BTreeSet<PartyId>,
    /// Who is to be taken out.
    absent: BTreeSet<UserId>,
    /// The invitations that were told.
    told: BTreeSet<(UserId, PartyId)>,
}

#[derive(Debug, Clone)]
struct Known {
    party: Party,
    check: Option<Check>,
    said: Said,
    /// What the members were told last of each other.
    told: Vec<Presence>,
    /// Before this, they are not told again.
    quiet_until: Time,
    /// How many messages there were when each came in; those are not the newcomer's to read.
    heard_from: BTreeMap<UserId, u64>,
}

#[derive(Debug, Clone)]
struct Check {
    until: Time,
    domain: Option<DomainName>,
    ready: BTreeSet<UserId>,
}

impl Parties {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            known: BTreeMap::new(),
            of: HashMap::new(),
            invited: BTreeSet::new(),
            codes: Buckets::new(CODES_PER_MINUTE, BUCKETS_MAX),
            changes: Buckets::over(CHANGES_PER_10_S, 10_000, BUCKETS_MAX),
            touched: BTreeSet::new(),
            absent: BTreeSet::new(),
            told: BTreeSet::new(),
        }
    }

    /// The party that a user is in.
    pub fn of(&self, user: UserId) -> Option<(PartyId, &Party)> {
        let id = *self.of.get(&user)?;
        self.known.get(&id).map(|known| (id, &known.party))
    }

    /// What was said in a user's party, and who hears it.
    pub fn said(&mut self, user: UserId) -> Option<(PartyId, &[party::Member], &mut Said)> {
        let id = *self.of.get(&user)?;
        let known = self.known.get_mut(&id)?;
        Some((id, &known.party.members, &mut known.said))
    }

    /// How many messages of the party are not the user's to read.
    pub fn heard_from(&self, user: UserId) -> u64 {
        let known = self.of.get(&user).and_then(|id| self.known.get(id));
        known.and_then(|known| known.heard_from.get(&user).copied()).unwrap_or_default()
    }

    /// Lets go of what a user has said.
    pub fn forget_said(&mut self, user: UserId) {
        self.known.values_mut().for_each(|known| known.said.forget(user));
    }

    /// What a user is doing may be another now.
    pub fn touch(&mut self, user: UserId) {
        self.touched.extend(self.of.get(&user));
    }
}

impl Lobby {
    /// The same lobby, by these rules of parties.
    pub fn with_parties(mut self, limits: Limits) -> Self {
        self.parties = Parties::new(limits);
        self
    }

    pub(super) fn req_party(&mut self, connection: ConnectionId, request: u32, ask: Ask, cx: &mut Context<'_>) {
        let Some((id, _)) = self.signed_in(connection, request, cx) else { return };
        let result = match ask {
            Ask::Create => {
                let (party, salt) = (PartyId(cx.rng.next_u64()), cx.rng.next_u64());
                self.may_come_in(id, cx).map(|()| Some(Request::Create(party, salt)))
            }
            Ask::Kick(whom) => {
                let salt = cx.rng.next_u64();
                self.take_change(id, cx).map(|()| Some(Request::Kick(whom, salt)))
            }
            Ask::Change(change) => self.may_change(id, &change, cx).map(|()| Some(change)),
            Ask::CheckReady(domain) => {
                self.take_change(id, cx).and_then(|()| self.check_ready(id, domain, cx)).map(|()| None)
            }
            Ask::Ready(ready) => self.take_change(id, cx).and_then(|()| self.ready(id, ready, cx)).map(|()| None),
        };
        match result {
            Ok(Some(change)) => self.ask_db(id, request, Box::new(db::Request::Party(change)), cx),
            Ok(None) => self.tell(id, request, Notice::Answer(Arc::new(db::Answer::Done)), cx),
            Err(refusal) => self.tell(id, request, Notice::Refused(refusal), cx),
        }
    }

    /// Whether a user may change something now; so that nobody disturbs others, or tries one code after the other.
    fn may_change(&mut self, id: UserId, change: &Request, cx: &Context<'_>) -> Result<(), Refusal> {
        match change {
            Request::Join(_) => {
                let too_often = |ms| Refusal::TooOften { what: "codes of parties from you".into(), ms };
                self.parties.codes.take(id, cx.now).map_err(too_often)?;
                self.may_come_in(id, cx)
            }
            Request::Accept(_) => self.may_come_in(id, cx),
            // Who is told of these has not asked for anything.
            Request::Invite(_) | Request::Uninvite(_) => {
                self.take_social_change(id, cx)?;
                self.take_change(id, cx)
            }
            _ => self.take_change(id, cx),
        }
    }

    fn may_come_in(&mut self, id: UserId, cx: &Context<'_>) -> Result<(), Refusal> {
        if self.users.get(&id).is_some_and(|user| matches!(user.phase, Phase::Searching { .. })) {
            return Err(Refusal::Busy("you are looking for a match: cancel it first".into()));
        }
        self.take_change(id, cx)
    }

    pub(super) fn take_change(&mut self, id: UserId, cx: &Context<'_>) -> Result<(), Refusal> {
        let too_often = |ms| Refusal::TooOften { what: "changes of parties from you".into(), ms };
        self.parties.changes.take(id, cx.now).map_err(too_often)
    }

    /// The parties that the host before this one has left: members have the grace period to come back.
    pub(super) fn recovered(&mut self, parties: Vec<(PartyId, Party)>, cx: &mut Context<'_>) {
        for (id, party) in parties {
            let leader = party.leader;
            self.syn_party(id, Some(Box::new(party)), Change::None, leader, cx);
        }
        // They have asked for no end, as who logs out has.
        for user in std::mem::take(&mut self.parties.absent) {
            self.deadlines.set(Due::Absent(user), cx.now.plus_ms(self.grace_ms));
        }
    }

    /// Db has changed a party.
    pub(super) fn syn_party(
        &mut self,
        id: PartyId,
        now: Option<Box<Party>>,
        change: Change,
        about: UserId,
        cx: &mut Context<'_>,
    ) {
        let before = self.parties.known.get(&id).map(|known| known.party.clone());
        let version = |party: &Party| party.version;
        if now.as_deref().map(version).is_some_and(|now| before.as_ref().map(version) > Some(now)) {
            return; // What is known is newer.
        }
        let users = |party: &Party| party.members.iter().map(|member| member.user).collect::<BTreeSet<UserId>>();
        let members_before = before.as_ref().map(users).unwrap_or_default();
        let members = now.as_deref().map(users).unwrap_or_default();
        for user in members_before.difference(&members) {
            self.went(*user, id, change, cx);
        }
        for user in members.difference(&members_before) {
            self.parties.of.insert(*user, id);
            match self.is_here(*user) {
                true => self.end_own_search(*user, cx),
                false => _ = self.parties.absent.insert(*user),
            }
        }
        match now.as_deref() {
            Some(party) if members == members_before => {
                self.parties.known.entry(id).and_modify(|known| known.party = party.clone());
            }
            Some(party) => {
                // Who was asked together has to be asked again together.
                self.deadlines.clear(&Due::Check(id));
                let known = self.parties.known.remove(&id);
                let (said, mut heard_from) = known.map(|known| (known.said, known.heard_from)).unwrap_or_default();
                heard_from.retain(|user, _| members.contains(user));
                for user in members.difference(&members_before) {
                    heard_from.insert(*user, said.count());
                }
                let (party, told) = (party.clone(), Vec::new());
                let known = Known { party, check: None, said, told, quiet_until: Time(0), heard_from };
                self.parties.known.insert(id, known);
            }
            None => {
                self.parties.known.remove(&id);
                self.deadlines.clear(&Due::Check(id));
                self.deadlines.clear(&Due::Party(id));
            }
        }
        self.tell_invites(id, before.as_ref(), now.as_deref(), &members, cx);
        self.tell_party(id, change, Some(about), cx);
    }

    /// A user is in a party no more: its search for a match ends, too.
    fn went(&mut self, user: UserId, id: PartyId, change: Change, cx: &mut Context<'_>) {
        if self.parties.of.get(&user) == Some(&id) {
            self.parties.of.remove(&user);
            self.deadlines.clear(&Due::Absent(user));
        }
        let name = self.member_name(id, user);
        self.tell_party_news(user, News::Gone(Gone { party: id, change }), cx);
        let searches = self.ticket_of(user).filter(|ticket| self.searches_with_others(id, user, *ticket));
        if let Some(ticket) = searches {
            let why = match change {
                Change::Kicked => format!("{name} was removed from the party: look for a match again"),
                _ => format!("{name} left the party: look for a match again"),
            };
            self.take_search_back(user, ticket, 0, Refusal::SearchStopped(why), cx);
        }
    }

    /// Who has come into a party while looking for a match alone looks for it no more.
    fn end_own_search(&mut self, user: UserId, cx: &mut Context<'_>) {
        if let Some(ticket) = self.ticket_of(user) {
            let others = Refusal::SearchStopped("another party was joined".to_owned());
            self.take_search_back(user, ticket, 0, others, cx);
        }
    }

    fn searches_with_others(&self, id: PartyId, user: UserId, ticket: u64) -> bool {
        let Some(known) = self.parties.known.get(&id) else { return false };
        known.party.members.iter().any(|member| member.user != user && self.ticket_of(member.user) == Some(ticket))
    }

    fn member_name(&self, id: PartyId, user: UserId) -> String {
        let known = self.parties.known.get(&id);
        let member = known.and_then(|known| known.party.members.iter().find(|member| member.user == user));
        member.map(|member| member.name.clone()).unwrap_or_default()
    }

    /// Tells those of their invitations to a party who were invited with this change, or are not any more.
    fn tell_invites(
        &mut self,
        id: PartyId,
        before: Option<&Party>,
        now: Option<&Party>,
        members: &BTreeSet<UserId>,
        cx: &mut Context<'_>,
    ) {
        let none = BTreeMap::new();
        let before = before.map_or(&none, |party| &party.invites);
        let open = now.map_or(&none, |party| &party.invites);
        for (user, invite) in before {
            if !open.contains_key(user) {
                self.parties.invited.remove(&(*user, id));
                let is_news = !members.contains(user) && invite.until > cx.now;
                if self.parties.told.remove(&(*user, id)) && is_news {
                    self.tell_party_news(*user, News::Uninvited(id), cx);
                }
            }
        }
        for (user, invite) in open {
            self.parties.invited.insert((*user, id));
            if before.get(user) != Some(invite) {
                self.tell_invitation(*user, id, cx);
            }
        }
    }

    /// Who has blocked somebody does not hear of them; and while that is not known, of nobody.
    fn hears_of(&self, user: UserId, other: UserId) -> bool {
        let entered = self.users.get(&user).and_then(|user| user.entered.as_ref());
        entered.is_some_and(|entered| !entered.blocked.contains(&other))
    }

    fn tell_invitation(&mut self, user: UserId, id: PartyId, cx: &mut Context<'_>) {
        let Some(Known { party, .. }) = self.parties.known.get(&id) else { return };
        let Some(invite) = party.invites.get(&user).filter(|invite| invite.until > cx.now) else { return };
        let (members, invite) = (party.members.len(), invite.clone());
        // Who is not connected is told on return: nobody fills the lines of others.
        let is_connected = self.users.get(&user).is_some_and(|user| user.line.connection().is_some());
        if !is_connected || !self.hears_of(user, invite.by) {
            return;
        }
        self.parties.told.insert((user, id));
        let name = self.member_name(id, invite.by);
        let invitation = Invitation { party: id, by: invite.by, name, members, until: invite.until };
        self.tell_party_news(user, News::Invited(invitation), cx);
    }

    fn tell_party_news(&mut self, user: UserId, news: News, cx: &mut Context<'_>) {
        self.tell(user, 0, Notice::News(Arc::new(db::News::Party(Box::new(news)))), cx);
    }

    /// Tells the members who can hear it how their party is now.
    fn tell_party(&mut self, id: PartyId, change: Change, about: Option<UserId>, cx: &mut Context<'_>) {
        let Some(view) = self.party_view(id, change, about, cx.now) else { return };
        self.deadlines.clear(&Due::Party(id));
        if let Some(known) = self.parties.known.get_mut(&id) {
            known.told = view.members.iter().map(|member| member.presence.clone()).collect();
        }
        let members: Vec<UserId> = view.members.iter().map(|member| member.user).collect();
        let news = Arc::new(db::News::Party(Box::new(News::Party(view))));
        for member in members {
            // Who has dropped is told on return, as it is then.
            let Some(user) = self.users.get_mut(&member) else { continue };
            if user.line.connection().is_some() {
                tell(user, 0, Notice::News(Arc::clone(&news)), cx);
            }
        }
    }

    /// Tells a user who has come in of the party that the user is in, and of invitations.
    pub(super) fn tell_own_party(&mut self, id: UserId, cx: &mut Context<'_>) {
        self.deadlines.clear(&Due::Absent(id));
        if let Some((party, _)) = self.parties.of(id)
            && let Some(view) = self.party_view(party, Change::None, None, cx.now)
        {
            self.tell_party_news(id, News::Party(view), cx);
        }
        self.tell_own_invitations(id, cx);
    }

    /// Tells a user of all invitations.
    pub(super) fn tell_own_invitations(&mut self, id: UserId, cx: &mut Context<'_>) {
        let of_user = (id, PartyId(0))..=(id, PartyId(u64::MAX));
        let invited: Vec<PartyId> = self.parties.invited.range(of_user).map(|(_, party)| *party).collect();
        for party in invited {
            self.tell_invitation(id, party, cx);
        }
    }

    fn party_view(&self, id: PartyId, change: Change, about: Option<UserId>, now: Time) -> Option<View> {
        let Known { party, check, said, .. } = self.parties.known.get(&id)?;
        // A name may be another by now.
        let name = |user: &UserId| self.users.get(user).map(|user| user.record.name.clone());
        let member = |member: &party::Member| MemberView {
            user: member.user,
            name: name(&member.user).unwrap_or_else(|| member.name.clone()),
            presence: self.users.get(&member.user).map(User::presence).unwrap_or_default(),
            ready: check.as_ref().is_some_and(|check| check.ready.contains(&member.user)),
            data: member.data.clone(),
        };
        let open = party.invites.iter().filter(|(_, invite)| invite.until > now);
        let invited = |(user, invite): (&UserId, &party::Invite)| InvitedView {
            user: *user,
            name: invite.name.clone(),
            until: invite.until,
            by: invite.by,
        };
        Some(View {
            id,
            code: party.code.clone(),
            leader: party.leader,
            members: party.members.iter().map(member).collect(),
            members_max: self.parties.limits.members_max,
            invited: open.map(invited).collect(),
            data: party.data.clone(),
            check: check.as_ref().map(|check| CheckView { until: check.until, domain: check.domain.clone() }),
            last_message: said.count(),
            change,
            about,
        })
    }

    /// The leader asks all members whether they are ready; the leader is.
    fn check_ready(&mut self, id: UserId, domain: Option<DomainName>, cx: &mut Context<'_>) -> Result<(), Refusal> {
        let (party, members) = self.led_party(id)?;
        if let Some(domain) = &domain {
            self.may_search(domain, members.len())?;
        }
        for member in &members {
            self.is_free(*member)?;
        }
        let until = cx.now.plus_ms(CHECK_MS);
        let Some(known) = self.parties.known.get_mut(&party) else { return Err(party::no_party()) };
        if known.check.is_some() {
            return Err(Refusal::Busy("your party is being asked already".into()));
        }
        known.check = Some(Check { until, domain, ready: BTreeSet::from([id]) });
        self.deadlines.set(Due::Check(party), until);
        self.tell_party(party, Change::Check, Some(id), cx);
        self.all_ready(party, cx);
        Ok(())
    }

    /// A member is ready, or is not.
    fn ready(&mut self, id: UserId, ready: bool, cx: &mut Context<'_>) -> Result<(), Refusal> {
        let party = self.parties.of(id).map(|(party, _)| party).ok_or_else(party::no_party)?;
        let ticket = self.ticket_of(id);
        let is_made = self.is_being_placed(id);
        let Some(known) = self.parties.known.get_mut(&party) else { return Err(party::no_party()) };
        match (&mut known.check, ready) {
            (Some(check), true) => {
                if check.ready.insert(id) {
                    self.tell_party(party, Change::Ready, Some(id), cx);
                    self.all_ready(party, cx);
                }
            }
            (Some(_), false) => self.end_check(party, Change::NotReady, Some(id), cx),
            (None, false) if is_made => return Err(Refusal::Busy("the match is already made".into())),
            (None, ready) => match ticket {
                Some(ticket) if !ready => {
                    let why = format!("{} is not ready", self.member_name(party, id));
                    self.take_search_back(id, ticket, 0, Refusal::SearchStopped(why), cx);
                }
                _ => return Err(Refusal::OutOfOrder("nobody has asked whether you are ready".into())),
            },
        }
        Ok(())
    }

    /// If all are ready, the check is over, and the party looks for a match if that was asked for.
    fn all_ready(&mut self, id: PartyId, cx: &mut Context<'_>) {
        let Some(Known { party, check: Some(check), .. }) = self.parties.known.get(&id) else { return };
        if !party.members.iter().all(|member| check.ready.contains(&member.user)) {
            return;
        }
        let (leader, domain) = (party.leader, check.domain.clone());
        let members: Vec<UserId> = party.members.iter().map(|member| member.user).collect();
        self.end_check(id, Change::AllReady, None, cx);
        if let Some(domain) = domain
            && let Err(refusal) = self.begin_search(leader, 0, domain.clone(), cx)
        {
            members.into_iter().for_each(|member| self.search_refused(member, &domain, &refusal, cx));
        }
    }

    /// A search that has begun otherwise needs no word of who is ready.
    pub(super) fn end_check_of(&mut self, user: UserId, cx: &mut Context<'_>) {
        let id = self.parties.of.get(&user).copied();
        if let Some(id) = id.filter(|id| self.parties.known.get(id).is_some_and(|known| known.check.is_some())) {
            self.end_check(id, Change::None, None, cx);
        }
    }

    fn end_check(&mut self, id: PartyId, change: Change, about: Option<UserId>, cx: &mut Context<'_>) {
        self.deadlines.clear(&Due::Check(id));
        if let Some(known) = self.parties.known.get_mut(&id) {
            known.check = None;
        }
        self.tell_party(id, change, about, cx);
    }

    /// Not all were ready in time.
    pub(super) fn check_over(&mut self, id: PartyId, cx: &mut Context<'_>) {
        self.end_check(id, Change::CheckOver, None, cx);
    }

    /// The party that a user leads, with its members, the user first.
    pub(super) fn led_party(&self, id: UserId) -> Result<(PartyId, Vec<UserId>), Refusal> {
        let (party, of) = self.parties.of(id).ok_or_else(party::no_party)?;
        if of.leader != id {
            return Err(Refusal::Forbidden("only the leader of your party may do this".into()));
        }
        let others = of.members.iter().map(|member| member.user).filter(|user| *user != id);
        Ok((party, [id].into_iter().chain(others).collect()))
    }

    /// Whether a member could begin a game now.
    pub(super) fn is_free(&self, id: UserId) -> Result<(), Refusal> {
        let user = self.users.get(&id).filter(|user| user.line.connection().is_some());
        match user.map(|user| &user.phase) {
            Some(Phase::Idle) => self.has_no_seat(id),
            Some(Phase::Searching { .. }) => {
                Err(Refusal::Busy("a member of your party is looking for a match already".into()))
            }
            Some(Phase::Joining { .. } | Phase::InScene { .. }) => {
                Err(Refusal::Busy("a member of your party is still in a game".into()))
            }
            None => Err(Refusal::Busy("a member of your party is away: wait, or remove them".into())),
        }
    }

    pub(super) fn is_here(&self, id: UserId) -> bool {
        self.users.get(&id).is_some_and(|user| !matches!(user.line.state(), State::Closed(_)))
    }

    /// A user who is not here leaves the party.
    pub(super) fn absent(&mut self, id: UserId) {
        if !self.is_here(id) && self.parties.of.contains_key(&id) {
            self.parties.absent.insert(id);
        }
    }

    /// Has those taken out of their parties who are not here, so many at once. Db is asked until it is done: an order
    /// can be lost with it.
    pub(super) fn take_out_absent(&mut self, cx: &mut Context<'_>) {
        for _ in 0..REMOVALS_MAX {
            let Some(id) = self.parties.absent.pop_first() else { return };
            let Some(party) = self.parties.of.get(&id).copied().filter(|_| !self.is_here(id)) else { continue };
            self.deadlines.set(Due::Absent(id), cx.now.plus_ms(ANSWER_MS_MAX));
            if !self.services_down.contains(&ServiceName::Db) {
                let request = Box::new(db::Request::Party(Request::Remove(id, party)));
                cx.send(db::Event::Req { caller: db::Caller::Host, asker: db::Asker::Nobody, request });
            }
        }
        if !self.parties.absent.is_empty() {
            self.deadlines.set(Due::Removals, cx.now.plus_ms(REMOVALS_MS));
        }
    }

    /// At the end of a step: which parties are to be told what their members are doing, and when.
    pub(super) fn plan_parties(&mut self, cx: &Context<'_>) {
        for id in std::mem::take(&mut self.parties.touched) {
            let quiet_until = self.parties.known.get(&id).map_or(Time(0), |known| known.quiet_until);
            if self.deadlines.get(&Due::Party(id)).is_none() {
                self.deadlines.set(Due::Party(id), cx.now.plus_ms(PRESENCE_DELAY_MS).max(quiet_until));
            }
        }
    }

    /// Tells a party what its members are doing, if that is news.
    pub(super) fn tell_party_presence(&mut self, id: PartyId, cx: &mut Context<'_>) {
        let Some(Known { party, told, .. }) = self.parties.known.get(&id) else { return };
        let presence = |member: &party::Member| self.users.get(&member.user).map(User::presence).unwrap_or_default();
        if party.members.iter().map(presence).ne(told.iter().cloned()) {
            self.tell_party(id, Change::Presence, None, cx);
            if let Some(known) = self.parties.known.get_mut(&id) {
                known.quiet_until = cx.now.plus_ms(PARTY_PRESENCE_MS_MIN);
            }
        }
    }
}
