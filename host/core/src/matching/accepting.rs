//! The users of a group are asked whether they accept the match.
//!
//! Invariant: only who declines, or does not answer in time, pays for it: that ticket ends, and its decliner cannot
//! search for a while. The other tickets wait again, as old as they are.

use super::Match;
use super::State;
use super::placing::Group;
use crate::ids::{MatchId, UserId};
use crate::message::{Found, MatchState};
use crate::refusal::Refusal;
use crate::{Context, lobby};

impl Match {
    pub(super) fn ask_to_accept(&mut self, match_id: MatchId, cx: &mut Context<'_>) {
        self.group_until.set(match_id, cx.now.plus_ms(self.domain.accept_ms));
        self.tell_group(match_id, cx);
    }

    pub(super) fn req_accept_match(&mut self, user: UserId, number: u64, accepts: bool, cx: &mut Context<'_>) {
        let Some(ticket) = self.tickets.get(&number).filter(|ticket| ticket.has(user)) else { return };
        let State::Grouped(match_id) = ticket.state else { return };
        let Some(Group { accepted: Some(accepted), tickets, .. }) = self.groups.get_mut(&match_id) else { return };
        if !accepts {
            return self.decline(match_id, &[user], &Refusal::SearchStopped(DECLINED.to_owned()), cx);
        }
        accepted.insert(user);
        let of = |number: &u64| self.tickets.get(number).map_or(0, |ticket| ticket.seekers.len());
        if accepted.len() < tickets.iter().map(of).sum() {
            return self.tell_group(match_id, cx);
        }
        if let Some(group) = self.groups.get_mut(&match_id) {
            group.accepted = None;
        }
        self.place(match_id, cx);
    }

    /// Who has not answered by now has declined.
    pub(super) fn not_accepted(&mut self, match_id: MatchId, cx: &mut Context<'_>) {
        let Some(Group { accepted: Some(accepted), tickets, .. }) = self.groups.get(&match_id) else { return };
        let seekers = tickets.iter().filter_map(|number| self.tickets.get(number)).flat_map(|it| &it.seekers);
        let silent: Vec<UserId> = seekers.map(|it| it.user).filter(|user| !accepted.contains(user)).collect();
        self.decline(match_id, &silent, &Refusal::SearchStopped(NOT_ANSWERED.to_owned()), cx);
    }

    /// A group ends because these do not accept it. Their tickets end, for which the others of them are told
    /// `others`.
    pub(super) fn decline(&mut self, match_id: MatchId, users: &[UserId], others: &Refusal, cx: &mut Context<'_>) {
        let Some(group) = self.groups.remove(&match_id) else { return };
        self.group_until.clear(&match_id);
        for user in users {
            self.counts.declined += 1;
            self.declined.note(*user, cx.now, self.domain.decline);
        }
        let declines =
            |number: &u64| self.tickets.get(number).is_some_and(|ticket| users.iter().any(|user| ticket.has(*user)));
        let (over, back): (Vec<u64>, Vec<u64>) = group.tickets.into_iter().partition(declines);
        for number in over {
            for seeker in self.remove(number) {
                let own = Refusal::SearchStopped(YOU_DECLINED.to_owned());
                let refusal = if users.contains(&seeker.user) { own } else { others.clone() };
                cx.send(lobby::Event::ResMatch { user: seeker.user, ticket: number, result: Err(refusal) });
            }
        }
        self.wait_again(&back, cx);
    }

    /// These wait again, as old as they are, and look at once.
    pub(super) fn wait_again(&mut self, tickets: &[u64], cx: &mut Context<'_>) {
        for number in tickets {
            if let Some(ticket) = self.tickets.get_mut(number) {
                ticket.state = State::Away;
            }
            self.wait(*number, cx.now);
            self.tell_state(*number, cx);
        }
        for number in tickets {
            self.seek(*number, cx);
        }
    }

    fn tell_group(&self, match_id: MatchId, cx: &mut Context<'_>) {
        for number in self.groups.get(&match_id).map(|group| group.tickets.as_slice()).unwrap_or_default() {
            self.tell_state(*number, cx);
        }
    }

    /// How a group stands that is asked to accept, as one of its users may see it.
    pub(super) fn found(&self, match_id: MatchId, user: UserId, cx: &Context<'_>) -> Option<MatchState> {
        let group = self.groups.get(&match_id)?;
        let accepted = group.accepted.as_ref()?;
        let of = |number: &u64| self.tickets.get(number).map_or(0, |ticket| ticket.seekers.len());
        Some(MatchState::Found(Found {
            domain: self.name.clone(),
            players: group.tickets.iter().map(of).sum::<usize>() as u32,
            accepted: accepted.len() as u32,
            you_accepted: accepted.contains(&user),
            left_ms: self.group_until.get(&match_id).map_or(0, |until| until.ms_since(cx.now)),
        }))
    }
}

const DECLINED: &str = "one of your party did not want this match";
const NOT_ANSWERED: &str = "one of your party did not answer";
const YOU_DECLINED: &str = "you did not accept the match: you can search again after a while";
