//! Parties: how users come in and go, who may do what, and that nothing of it is lost.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;
use scenehost_core::chat;
use scenehost_core::consistency;
use scenehost_core::db::{Caller, Request as DbRequest, Rules};
use scenehost_core::lobby::{
    self, CHANGES_PER_10_S, CHECK_MS, CODES_PER_MINUTE, PARTY_PRESENCE_MS_MIN, PRESENCE_DELAY_MS, Presence,
    REMOVALS_MAX,
};
use scenehost_core::message::Notice;
use scenehost_core::party::{
    self, Ask, Change, DATA_BYTES_MAX, Gone, INVITE_MS, INVITES_MAX, InvitedView, Limits, MEMBER_DATA_BYTES_MAX, News,
    Party, Request, View,
};
use scenehost_core::{ConnectionId, Message, PartyId, Refusal, UserId, record};

use crate::club::{ADA, BOB, CY, Club, DAN, GRACE_MS};
use crate::desk::Desk;
use crate::table::variant;

fn members(view: &View) -> Vec<u64> {
    view.members.iter().map(|member| member.user.0).collect()
}

fn name_of(result: Result<(), Refusal>) -> String {
    result.map_or_else(|refusal| variant(&refusal), |()| "Ok".to_owned())
}

fn fits_together(desk: &Desk) {
    let records = desk.store.iter().map(|(key, value)| Ok::<_, Infallible>((key.clone(), value.clone())));
    let Ok(report) = consistency::check(records, |key| Ok(desk.store.get(key).cloned()));
    assert_eq!(report.problems, [] as [&str; 0]);
}

/// The members of each stored party, the leader first among them if it is so in the record.
fn stored(desk: &Desk) -> BTreeMap<PartyId, Party> {
    let parties = desk.store.iter().filter_map(|(key, value)| {
        Some((key.strip_prefix("party/")?.parse().ok()?, record::decode(key, value).unwrap()))
    });
    parties.collect()
}

#[test]
fn users_come_in_by_code_and_by_invitation_and_all_hear_it() {
    let mut club = Club::of(&[ADA, BOB, CY]);
    club.ask(ADA, Ask::Create).unwrap();
    let party = club.party(ADA).unwrap();
    assert_eq!((members(&party), party.leader, party.change), (vec![ADA], UserId(ADA), Change::Created));

    let typed = format!("{}-{}", party.code[..3].to_lowercase(), &party.code[3..]);
    club.change(BOB, Request::Join(typed)).unwrap();
    for user in [ADA, BOB] {
        let party = club.party(user).unwrap();
        assert_eq!((members(&party), party.change, party.about), (vec![ADA, BOB], Change::Joined, Some(UserId(BOB))));
        assert!(party.members.iter().all(|member| member.presence == Presence::Online), "{party:?}");
    }

    club.change(BOB, Request::Invite(UserId(CY))).unwrap();
    let [News::Invited(invitation)] = &club.news(CY)[..] else { panic!("Cy is invited") };
    let (until, name) = (invitation.until, invitation.name.clone());
    assert_eq!((name.as_str(), invitation.members, until), ("Bob", 2, club.lobby.now.plus_ms(INVITE_MS)));
    let invited = InvitedView { user: UserId(CY), name: "Cy".to_owned(), until, by: UserId(BOB) };
    assert_eq!(club.party(ADA).unwrap().invited, [invited]);
    club.change(CY, Request::Accept(party.id)).unwrap();
    let party = club.party(CY).unwrap();
    assert_eq!((members(&party), party.invited), (vec![ADA, BOB, CY], vec![]));
    fits_together(&club.desk);
}

#[test]
fn the_member_of_the_longest_time_leads_after_the_leader_and_the_last_one_ends_the_party() {
    let mut club = Club::party_of(&[ADA, BOB, CY]);
    let code = stored(&club.desk).into_values().next().unwrap().code;
    club.change(ADA, Request::Leave).unwrap();
    let [News::Gone(Gone { change: Change::Left, .. })] = club.news(ADA)[..] else { panic!("Ada is out") };
    let party = club.party(CY).unwrap();
    assert_eq!((members(&party), party.leader), (vec![BOB, CY], UserId(BOB)));
    club.change(BOB, Request::Leave).unwrap();
    club.change(CY, Request::Leave).unwrap();
    assert_eq!(club.desk.kept(), [] as [&str; 0]);
    assert_eq!(name_of(club.change(ADA, Request::Join(code))), "NotFound");
}

#[test]
fn the_leader_hands_over_and_removes_who_then_knows_no_code_of_the_party_any_more() {
    let mut club = Club::party_of(&[ADA, BOB, CY]);
    let (id, party) = stored(&club.desk).into_iter().next().unwrap();
    club.change(ADA, Request::HandOver(UserId(BOB))).unwrap();
    assert_eq!(club.party(CY).map(|party| (party.leader, party.change)), Some((UserId(BOB), Change::Leader)));
    assert_eq!(name_of(club.ask(ADA, Ask::Kick(UserId(CY)))), "Forbidden");
    club.ask(BOB, Ask::Kick(UserId(CY))).unwrap();
    let [News::Gone(Gone { change: Change::Kicked, .. })] = club.news(CY)[..] else { panic!("Cy is out") };
    // Nor does anybody else who has heard it from Cy.
    club.come(DAN);
    for user in [CY, DAN] {
        assert_eq!(name_of(club.change(user, Request::Join(party.code.clone()))), "NotFound", "{user}");
    }
    let code = club.party(ADA).unwrap().code;
    assert_ne!(code, party.code);
    club.change(DAN, Request::Join(code)).unwrap();
    club.change(ADA, Request::Invite(UserId(CY))).unwrap();
    club.change(CY, Request::Accept(id)).unwrap();
    fits_together(&club.desk);
}

#[test]
fn what_may_not_be_is_refused_and_changes_nothing() {
    let mut club = Club::party_of(&[ADA, BOB]);
    for user in [CY, DAN] {
        club.come(user);
    }
    let (id, party) = stored(&club.desk).into_iter().next().unwrap();
    let before = club.desk.store.clone();
    let nobody = UserId(99);
    let long = |bytes: usize| "ä".repeat(bytes / 2 + 1);
    for (user, ask, expected) in [
        (ADA, Ask::Create, "Busy"),
        (ADA, Ask::Change(Request::Join(party.code.clone())), "Ok"),
        (CY, Ask::Change(Request::Join(String::new())), "Invalid"),
        (CY, Ask::Change(Request::Join("0OIL1U".to_owned())), "Invalid"),
        (CY, Ask::Change(Request::Join("x".repeat(100_000))), "Invalid"),
        (CY, Ask::Change(Request::Join("222222".to_owned())), "NotFound"),
        (CY, Ask::Change(Request::Accept(id)), "NotFound"),
        (CY, Ask::Change(Request::Accept(PartyId(7))), "NotFound"),
        (CY, Ask::Change(Request::Decline(id)), "Ok"),
        (CY, Ask::Change(Request::Leave), "NotFound"),
        (CY, Ask::Kick(UserId(ADA)), "NotFound"),
        (CY, Ask::Change(Request::Invite(UserId(DAN))), "NotFound"),
        (CY, Ask::Change(Request::Remove(UserId(ADA), id)), "Forbidden"),
        (CY, Ask::Change(Request::SetOwnData(String::new())), "NotFound"),
        (CY, Ask::CheckReady(None), "NotFound"),
        (CY, Ask::Ready(true), "NotFound"),
        (BOB, Ask::Kick(UserId(ADA)), "Forbidden"),
        (BOB, Ask::Change(Request::HandOver(UserId(BOB))), "Forbidden"),
        (BOB, Ask::Change(Request::SetData(String::new())), "Forbidden"),
        (BOB, Ask::Change(Request::SetOwnData(long(MEMBER_DATA_BYTES_MAX))), "Invalid"),
        (BOB, Ask::CheckReady(None), "Forbidden"),
        (BOB, Ask::Ready(false), "OutOfOrder"),
        (ADA, Ask::Kick(UserId(ADA)), "Invalid"),
        (ADA, Ask::Kick(UserId(CY)), "NotFound"),
        (ADA, Ask::Change(Request::HandOver(nobody)), "NotFound"),
        (ADA, Ask::Change(Request::HandOver(UserId(ADA))), "Ok"),
        (ADA, Ask::Change(Request::Invite(nobody)), "NotFound"),
        (ADA, Ask::Change(Request::Invite(UserId(BOB))), "Busy"),
        (ADA, Ask::Change(Request::Uninvite(nobody)), "Ok"),
        (ADA, Ask::Change(Request::SetData(long(DATA_BYTES_MAX))), "Invalid"),
        (ADA, Ask::CheckReady(Some("nowhere".into())), "NotFound"),
        (ADA, Ask::CheckReady(Some("x".repeat(65).as_str().into())), "Invalid"),
    ] {
        assert_eq!(name_of(club.ask(user, ask.clone())), expected, "{user} {ask:?}");
        assert_eq!(club.desk.store, before, "{user} {ask:?}");
    }
    for caller in [Caller::Operator, Caller::Host] {
        let refused = club.desk.ask(caller, DbRequest::Party(Request::Leave)).unwrap_err();
        assert_eq!(variant(&refused), "OutOfOrder");
    }
}

#[test]
fn a_full_party_takes_nobody_and_an_invitation_ends() {
    let mut club = Club::new(Limits { members_max: 2 });
    for user in [ADA, BOB, CY] {
        club.come(user);
    }
    club.ask(ADA, Ask::Create).unwrap();
    let party = club.party(ADA).unwrap();
    club.change(ADA, Request::Invite(UserId(CY))).unwrap();
    club.change(BOB, Request::Join(party.code.clone())).unwrap();
    assert_eq!(name_of(club.change(CY, Request::Accept(party.id))), "Busy");
    club.change(BOB, Request::Leave).unwrap();
    club.pass_ms(INVITE_MS);
    assert_eq!(name_of(club.change(CY, Request::Accept(party.id))), "NotFound");
    club.change(ADA, Request::SetData("a map".to_owned())).unwrap();
    assert_eq!(club.party(ADA).map(|party| (party.invited, party.data)), Some((vec![], "a map".to_owned())));
}

#[test]
fn invitations_are_taken_back_declined_and_told_to_who_comes_later() {
    let mut club = Club::party_of(&[ADA, BOB]);
    club.come(CY);
    club.log_out(CY);
    club.change(BOB, Request::Invite(UserId(CY))).unwrap();
    club.forget_told();
    club.come(CY);
    let [News::Invited(invitation)] = &club.news(CY)[..] else { panic!("Cy hears of it on coming in") };
    let id = invitation.party;
    club.change(CY, Request::Decline(id)).unwrap();
    assert_eq!(club.party(BOB).map(|party| party.change), Some(Change::Uninvited));
    assert_eq!(name_of(club.change(CY, Request::Accept(id))), "NotFound");

    club.change(BOB, Request::Invite(UserId(CY))).unwrap();
    club.forget_told();
    club.change(ADA, Request::Uninvite(UserId(CY))).unwrap();
    assert_eq!(club.news(CY), [News::Uninvited(id)]);
    club.change(ADA, Request::Invite(UserId(CY))).unwrap();
    assert_eq!(name_of(club.change(BOB, Request::Uninvite(UserId(CY)))), "Forbidden", "it is Ada's");
    // Who leaves takes the own invitations along.
    club.forget_told();
    club.change(BOB, Request::Leave).unwrap();
    assert_eq!(club.news(CY), []);
    club.change(ADA, Request::Leave).unwrap();
    assert_eq!(club.news(CY), [News::Uninvited(id)]);
}

#[test]
fn so_many_invitations_are_open_and_no_more() {
    let mut club = Club::party_of(&[ADA]);
    for user in 10..=10 + INVITES_MAX as u64 {
        club.desk.ask(Caller::Host, DbRequest::Enter(UserId(user), "Eve".to_owned())).unwrap();
        let expected = if user < 10 + INVITES_MAX as u64 { "Ok" } else { "Busy" };
        assert_eq!(name_of(club.change(ADA, Request::Invite(UserId(user)))), expected, "{user}");
    }
    club.change(ADA, Request::Invite(UserId(10))).unwrap();
    club.pass_ms(INVITE_MS);
    club.change(ADA, Request::Invite(UserId(10 + INVITES_MAX as u64))).unwrap();
}

#[test]
fn who_has_blocked_somebody_is_in_no_party_with_them_and_does_not_hear_their_invitation() {
    let mut club = Club::party_of(&[ADA, BOB]);
    club.come(CY);
    club.come(DAN);
    let party = stored(&club.desk).into_values().next().unwrap();
    club.block(CY, ADA);
    club.block(BOB, DAN);
    for user in [CY, DAN] {
        assert_eq!(name_of(club.change(user, Request::Join(party.code.clone()))), "Forbidden", "{user}");
    }
    club.forget_told();
    club.change(ADA, Request::Invite(UserId(CY))).unwrap();
    assert_eq!(club.party(ADA).unwrap().invited.len(), 1, "it looks as if it had been sent");
    assert_eq!(club.news(CY), []);
    club.log_out(CY);
    club.come(CY);
    club.change(ADA, Request::Uninvite(UserId(CY))).unwrap();
    assert_eq!(club.news(CY), []);
    // From somebody else it comes, and is of no use.
    club.change(BOB, Request::Invite(UserId(CY))).unwrap();
    assert!(matches!(club.news(CY)[..], [News::Invited(_)]));
}

#[test]
fn a_party_accepting_while_its_leader_leaves() {
    for (order, members_then) in [([0, 1], vec![]), ([1, 0], vec![BOB])] {
        for crash_after in 0..4 {
            let mut club = Club::party_of(&[ADA]);
            club.come(BOB);
            let (id, _) = stored(&club.desk).into_iter().next().unwrap();
            club.change(ADA, Request::Invite(UserId(BOB))).unwrap();
            club.forget_told();
            // Both are on the way at once; whichever comes first, the other finds what it has left.
            club.hold();
            let leaves = club.begin(ADA, Ask::Change(Request::Leave));
            let accepts = club.begin(BOB, Ask::Change(Request::Accept(id)));
            if crash_after < 3 {
                let requests = [(ADA, Request::Leave), (BOB, Request::Accept(id))];
                for place in order {
                    let (user, request) = requests[place].clone();
                    club.desk.begin(Caller::User(UserId(user)), DbRequest::Party(request));
                }
                for _ in 0..crash_after {
                    club.desk.sync_one();
                }
                club.desk.crash();
                club.desk.settle();
                fits_together(&club.desk);
                continue;
            }
            club.let_go(&order);
            assert_eq!(club.answer(ADA, leaves), Ok(()));
            let accepted = club.answer(BOB, accepts);
            let parties = stored(&club.desk);
            match members_then.is_empty() {
                true => {
                    assert_eq!(name_of(accepted), "NotFound");
                    assert!(parties.is_empty(), "{parties:?}");
                }
                false => {
                    accepted.unwrap();
                    let party = club.party(BOB).unwrap();
                    assert_eq!((members(&party), party.leader), (vec![BOB], UserId(BOB)));
                }
            }
            fits_together(&club.desk);
        }
    }
}

#[test]
fn who_drops_keeps_the_place_for_the_grace_period_and_hears_on_return_how_the_party_is() {
    let mut club = Club::party_of(&[ADA, BOB]);
    club.drop(BOB);
    club.pass_ms(PRESENCE_DELAY_MS);
    let party = club.party(ADA).unwrap();
    assert_eq!((party.change, party.members[1].presence.clone()), (Change::Presence, Presence::Away));
    club.change(ADA, Request::SetData("a map".to_owned())).unwrap();
    club.pass_ms(GRACE_MS - 1_000);
    club.forget_told();
    club.come_over(BOB, ConnectionId(77), Some(0));
    let party = club.party(BOB).unwrap();
    assert_eq!((members(&party), party.data, party.change), (vec![ADA, BOB], "a map".to_owned(), Change::None));

    club.tell(lobby::Event::Closed { connection: ConnectionId(77), left: false });
    club.pass_ms(GRACE_MS + 500);
    assert_eq!(club.party(ADA).map(|party| members(&party)), Some(vec![ADA]));
    fits_together(&club.desk);
}

#[test]
fn who_logs_out_leaves_also_while_nothing_can_be_saved() {
    let mut club = Club::party_of(&[ADA, BOB, CY]);
    club.log_out(ADA);
    let party = club.party(BOB).unwrap();
    assert_eq!((members(&party), party.leader), (vec![BOB, CY], UserId(BOB)));

    club.store(false);
    assert_eq!(name_of(club.change(BOB, Request::SetData("lost".to_owned()))), "ServiceDown");
    club.log_out(CY);
    club.pass_ms(20_000);
    assert_eq!(stored(&club.desk).values().next().unwrap().members.len(), 2);
    club.store(true);
    club.pass_ms(lobby::ANSWER_MS_MAX);
    assert_eq!(club.party(BOB).map(|party| members(&party)), Some(vec![BOB]));
    fits_together(&club.desk);
}

#[test]
fn after_a_restart_members_have_the_grace_period_to_come_back() {
    let mut club = Club::party_of(&[ADA, BOB, CY]);
    club.restart();
    club.come(BOB);
    assert_eq!(club.party(BOB).map(|party| members(&party)), Some(vec![ADA, BOB, CY]));
    club.pass_ms(GRACE_MS - 1_000);
    club.come(CY);
    assert_eq!(stored(&club.desk).values().next().unwrap().members.len(), 3);
    club.pass_ms(2_000);
    let party = club.party(BOB).unwrap();
    assert_eq!((members(&party), party.leader), (vec![BOB, CY], UserId(BOB)));

    // And if nobody does, nothing is left of it.
    club.restart();
    club.pass_ms(GRACE_MS + 1_000);
    assert_eq!(club.desk.kept(), [] as [&str; 0]);
}

#[test]
fn members_are_asked_whether_they_are_ready() {
    let mut club = Club::party_of(&[ADA, BOB, CY]);
    club.ask(ADA, Ask::CheckReady(None)).unwrap();
    let party = club.party(BOB).unwrap();
    let ready = |party: &View| party.members.iter().map(|member| member.ready).collect::<Vec<bool>>();
    assert_eq!(party.check.as_ref().unwrap().until, club.lobby.now.plus_ms(CHECK_MS));
    assert_eq!(ready(&party), [true, false, false]);
    assert_eq!(name_of(club.ask(ADA, Ask::CheckReady(None))), "Busy");
    club.ask(BOB, Ask::Ready(true)).unwrap();
    assert_eq!(club.party(CY).map(|party| ready(&party)), Some(vec![true, true, false]));
    club.ask(CY, Ask::Ready(true)).unwrap();
    let party = club.party(ADA).unwrap();
    assert_eq!((party.change, party.check.is_none(), ready(&party)), (Change::AllReady, true, vec![false; 3]));

    // Who is not ends it, and so does time, and who comes or goes.
    club.ask(ADA, Ask::CheckReady(None)).unwrap();
    club.ask(BOB, Ask::Ready(false)).unwrap();
    assert_eq!(club.party(CY).map(|party| (party.change, party.about)), Some((Change::NotReady, Some(UserId(BOB)))));
    club.ask(ADA, Ask::CheckReady(None)).unwrap();
    club.pass_ms(CHECK_MS);
    assert_eq!(club.party(CY).map(|party| (party.change, party.check)), Some((Change::CheckOver, None)));
    club.ask(ADA, Ask::CheckReady(None)).unwrap();
    club.change(CY, Request::Leave).unwrap();
    assert_eq!(club.party(BOB).map(|party| (party.change, party.check)), Some((Change::Left, None)));
    club.pass_ms(CHECK_MS);
    assert_eq!(club.party(BOB), None, "that check is over and tells nothing");
}

#[test]
fn what_members_do_is_told_together_and_only_if_it_is_news() {
    let mut club = Club::party_of(&[ADA, BOB, CY]);
    club.drop(BOB);
    club.drop(CY);
    club.come_over(BOB, ConnectionId(77), Some(0));
    club.forget_told();
    club.pass_ms(PRESENCE_DELAY_MS);
    let views: Vec<News> = club.news(ADA);
    let [News::Party(view)] = &views[..] else { panic!("once: {views:?}") };
    let presence: Vec<&Presence> = view.members.iter().map(|member| &member.presence).collect();
    assert_eq!(presence, [&Presence::Online, &Presence::Online, &Presence::Away]);
}

#[test]
fn one_member_keeps_a_choice_and_the_leader_the_partys_data() {
    let mut club = Club::party_of(&[ADA, BOB]);
    club.change(ADA, Request::SetData("x".repeat(DATA_BYTES_MAX))).unwrap();
    club.change(BOB, Request::SetOwnData("y".repeat(MEMBER_DATA_BYTES_MAX))).unwrap();
    let party = club.party(ADA).unwrap();
    assert_eq!((party.data.len(), party.members[1].data.len()), (DATA_BYTES_MAX, MEMBER_DATA_BYTES_MAX));
    assert_eq!(party.members[0].data, "");
}

#[test]
fn codes_and_changes_have_a_rate() {
    let mut club = Club::of(&[ADA, BOB]);
    for tried in 0..=CODES_PER_MINUTE {
        let expected = if tried < CODES_PER_MINUTE { "NotFound" } else { "TooOften" };
        assert_eq!(name_of(club.change(ADA, Request::Join("222222".to_owned()))), expected, "{tried}");
    }
    club.ask(BOB, Ask::Create).unwrap();
    let refused = (0..CHANGES_PER_10_S).map(|_| club.change(BOB, Request::SetData("x".to_owned())));
    assert_eq!(refused.filter(Result::is_err).count(), 1, "one was used to begin the party");
}

#[test]
fn who_is_invited_while_looking_for_a_match_has_to_choose() {
    let mut club = Club::party_of(&[ADA]);
    club.come(BOB);
    let (id, _) = stored(&club.desk).into_iter().next().unwrap();
    club.change(ADA, Request::Invite(UserId(BOB))).unwrap();
    club.search(BOB).unwrap();
    club.forget_told();
    assert_eq!(name_of(club.change(BOB, Request::Accept(id))), "Busy");
    club.cancel(BOB);
    club.forget_told();
    club.change(BOB, Request::Accept(id)).unwrap();
}

#[test]
fn a_deleted_account_leaves_its_party() {
    let mut club = Club::party_of(&[ADA, BOB]);
    club.desk.ask(Caller::Host, DbRequest::Forget(UserId(ADA))).unwrap();
    let parties = stored(&club.desk);
    let party = parties.values().next().unwrap();
    assert_eq!((party.leader, party.members.len()), (UserId(BOB), 1));
    fits_together(&club.desk);
}

/// A step of a random history.
#[derive(Debug, Clone)]
struct Step {
    user: u64,
    what: usize,
    other: u64,
    syncs: usize,
    crash: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (1..5_u64, 0..10_usize, 1..5_u64, 0..5_usize, prop::bool::weighted(0.15))
        .prop_map(|(user, what, other, syncs, crash)| Step { user, what, other, syncs, crash })
}

fn request(step: &Step, number: u64, desk: &Desk) -> (Caller, Request) {
    let (user, other) = (Caller::User(UserId(step.user)), UserId(step.other));
    let parties = stored(desk);
    let which = parties.iter().nth(step.other as usize % parties.len().max(1));
    match step.what {
        0 | 1 => (user, Request::Create(PartyId(number), number)),
        2 => (user, Request::Invite(other)),
        3 => (user, Request::Accept(which.map_or(PartyId(0), |(id, _)| *id))),
        4 | 5 => (user, Request::Join(which.map_or_else(String::new, |(_, party)| party.code.clone()))),
        6 => (user, Request::Leave),
        7 => (user, Request::Kick(other, number)),
        8 => (user, Request::HandOver(other)),
        _ => (Caller::Host, Request::Remove(other, which.map_or(PartyId(0), |(id, _)| *id))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Whatever users do, and wherever the power fails: what is stored fits together, what was acknowledged is there,
    /// and who hears of every change knows what is stored.
    #[test]
    fn parties_stay_whole(steps in prop::collection::vec(step(), 1..24)) {
        let mut desk = Desk::new(Rules { parties: Limits { members_max: 3 }, ..Rules::default() });
        let mut heard: BTreeMap<PartyId, Party> = BTreeMap::new();
        for (number, step) in steps.iter().enumerate() {
            let (caller, request) = request(step, number as u64 + 1, &desk);
            let asked = desk.begin(caller, DbRequest::Party(request.clone()));
            for _ in 0..step.syncs {
                desk.sync_one();
            }
            hear(&mut heard, &mut desk);
            // An answer leaves after what it answers for is synced.
            if let (Some(Ok(_)), Request::Create(id, _)) = (desk.answer(asked), &request) {
                prop_assert!(desk.store.contains_key(&scenehost_core::party::key(*id)));
            }
            if step.crash {
                desk.crash();
                // As after a start, who hears begins with what is stored.
                heard = stored(&desk);
            }
            fits_together(&desk);
        }
        desk.settle();
        hear(&mut heard, &mut desk);
        fits_together(&desk);
        let kept = stored(&desk);
        prop_assert!(kept.values().all(|party| (1..=3).contains(&party.members.len())));
        prop_assert_eq!(heard, kept);
    }
}

fn hear(heard: &mut BTreeMap<PartyId, Party>, desk: &mut Desk) {
    for message in std::mem::take(&mut desk.said) {
        let Message::Lobby(lobby::Event::SynParty { party, now, .. }) = message else { continue };
        match now {
            Some(now) => {
                let before = heard.insert(party, (*now).clone());
                assert!(before.is_none_or(|before| before.version <= now.version), "in order");
            }
            None => _ = heard.remove(&party),
        }
    }
}

#[test]
fn nothing_that_is_no_answer_is_told_to_a_user_twice() {
    let mut club = Club::party_of(&[ADA, BOB]);
    club.change(BOB, Request::SetOwnData("a hat".to_owned())).unwrap();
    let told = club.told(ADA);
    assert!(matches!(&told[..], [Notice::News(_)]), "{told:?}");
    club.pass_ms(10_000);
    assert_eq!(club.told(ADA), []);
}

#[test]
fn what_is_said_in_a_party_only_its_members_hear_and_only_while_they_are_in_it() {
    let mut club = Club::party_of(&[ADA, BOB, CY]);
    club.come(DAN);
    club.say(ADA, "hello").unwrap();
    assert_eq!(
        [BOB, CY, DAN].map(|user| club.heard(user)),
        [vec!["hello".to_owned()], vec!["hello".to_owned()], vec![]]
    );
    assert_eq!(club.say(DAN, "me, too").map_err(|refusal| variant(&refusal)), Err("NotFound".to_owned()));

    // Who was away asks for what was missed; the party tells how far it is.
    club.drop(CY);
    club.say(BOB, "Cy?").unwrap();
    club.forget_told();
    club.come(CY);
    assert_eq!(club.party(CY).map(|party| party.last_message), Some(2));
    let history = |club: &mut Club, user| club.chat(user, chat::Ask::History(chat::To::Party, 0, 0));
    assert_eq!(history(&mut club, CY).unwrap(), ["hello", "Cy?"]);
    club.change(CY, Request::Leave).unwrap();
    assert_eq!(history(&mut club, CY).map_err(|refusal| variant(&refusal)), Err("NotFound".to_owned()));

    // Whom one has blocked meanwhile one does not hear.
    club.block(BOB, ADA);
    club.say(ADA, "anybody?").unwrap();
    assert_eq!(club.heard(BOB), [] as [&str; 0]);
    assert_eq!(history(&mut club, BOB).unwrap(), ["Cy?"]);
    // What was said before one came in is not one's own to read, nor to show.
    let code = stored(&club.desk).into_values().next().unwrap().code;
    club.change(DAN, Request::Join(code)).unwrap();
    assert_eq!(history(&mut club, DAN).unwrap(), [] as [&str; 0]);
    let report = club.chat(DAN, chat::Ask::Report(chat::To::Party, 2, String::new()));
    assert_eq!(report.map_err(|refusal| variant(&refusal)), Err("NotFound".to_owned()));

    // What members say can be shown to the operators, for longer than the party lasts.
    club.pass_ms(1_000);
    club.chat(ADA, chat::Ask::Report(chat::To::Party, 2, "rude".to_owned())).unwrap();
    let unknown = club.chat(ADA, chat::Ask::Report(chat::To::Party, 9, String::new()));
    assert_eq!(unknown.map_err(|refusal| variant(&refusal)), Err("NotFound".to_owned()));
    let reports = club.desk.ask(Caller::Operator, DbRequest::Chat(chat::Request::Reports(0)));
    assert!(format!("{reports:?}").contains("Cy?"), "{reports:?}");
}

#[test]
fn an_invitation_tells_nobody_whether_a_user_is_here_and_fills_nobodys_line() {
    let mut club = Club::party_of(&[ADA]);
    club.come(CY);
    club.change(ADA, Request::Invite(UserId(CY))).unwrap();
    let while_here = club.party(ADA).unwrap().invited;
    club.drop(CY);
    club.pass_ms(1_000);
    club.forget_told();
    // A stranger tries, also beyond what is allowed.
    let mut done = 0;
    for _ in 0..100 {
        done += usize::from(club.change(ADA, Request::Uninvite(UserId(CY))).is_ok());
        done += usize::from(club.change(ADA, Request::Invite(UserId(CY))).is_ok());
        club.pass_ms(500);
    }
    assert!(done < 60, "{done}");
    club.pass_ms(60_000);
    club.change(ADA, Request::Invite(UserId(CY))).unwrap();
    let while_away = club.party(ADA).unwrap().invited;
    assert_eq!((while_here[0].name.as_str(), while_away[0].name.as_str()), ("Cy", "Cy"));
}

#[test]
fn who_was_told_of_an_invitation_hears_its_end_whoever_has_invited_last() {
    let mut club = Club::party_of(&[ADA, BOB]);
    club.come(CY);
    club.block(CY, BOB);
    let id = *stored(&club.desk).keys().next().unwrap();
    club.change(ADA, Request::Invite(UserId(CY))).unwrap();
    assert!(matches!(club.news(CY)[..], [News::Invited(_)]));
    club.pass_ms(1_000);
    club.change(BOB, Request::Invite(UserId(CY))).unwrap();
    assert_eq!(club.news(CY), []);
    club.change(BOB, Request::Uninvite(UserId(CY))).unwrap();
    assert_eq!(club.news(CY), [News::Uninvited(id)]);
    // And nobody invites whom they have blocked.
    club.block(ADA, CY);
    assert_eq!(name_of(club.change(ADA, Request::Invite(UserId(CY)))), "Forbidden");
}

#[test]
fn members_are_not_disturbed_without_end() {
    let mut club = Club::party_of(&[ADA, BOB]);
    let asked =
        (0..1_000).filter(|_| club.ask(ADA, Ask::CheckReady(None)).is_ok() | club.ask(ADA, Ask::Ready(false)).is_ok());
    assert!(asked.count() <= CHANGES_PER_10_S as usize);
    club.pass_ms(10_000);
    club.forget_told();
    // A connection that comes and goes all the time.
    for _ in 0..40 {
        club.drop(BOB);
        club.pass_ms(50);
        club.come(BOB);
        club.pass_ms(50);
    }
    let told = club.news(ADA).len();
    assert!(told <= 4_000 / PARTY_PRESENCE_MS_MIN as usize + 1, "{told} times in four seconds");
}

#[test]
fn a_lobby_that_takes_a_party_for_alive_that_is_gone_learns_it() {
    let mut club = Club::party_of(&[ADA, BOB]);
    let parties: Vec<(PartyId, Party)> = stored(&club.desk).into_iter().collect();
    club.restart();
    // Db has changed them before the lobby heard of what there was.
    for user in [ADA, BOB] {
        club.desk.ask(Caller::Host, DbRequest::Forget(UserId(user))).unwrap();
    }
    club.desk.said.clear();
    club.tell(lobby::Event::Recovered { parties });
    club.pass_ms(GRACE_MS + 500);
    assert!(club.desk.kept().iter().all(|key| !key.starts_with("party")), "{:?}", club.desk.kept());
    let asked = club.desk.syncs;
    club.pass_ms(60_000);
    assert_eq!(club.desk.syncs, asked, "nothing is asked for again and again");
    assert_eq!(club.lobby.deadline(), None);
}

#[test]
fn many_who_do_not_come_back_are_taken_out_a_few_at_a_time() {
    let mut club = Club::new(Limits::default());
    let parties = (1..=600_u64).map(|id| {
        let member = party::Member { user: UserId(1_000 + id), name: "Eve".to_owned(), data: String::new() };
        let party = Party {
            code: format!("{id:06}"),
            leader: member.user,
            members: vec![member],
            invites: BTreeMap::new(),
            data: String::new(),
            version: 1,
        };
        (PartyId(id), party)
    });
    let parties = parties.collect();
    assert_eq!(club.lobby.tell(lobby::Event::Recovered { parties }), []);
    let mut removals = Vec::new();
    for _ in 0..4 {
        let deadline = club.lobby.deadline().expect("they are to be taken out");
        let messages = club.lobby.pass_ms(deadline.ms_since(club.lobby.now));
        removals.push(messages.len());
    }
    assert_eq!(removals, [REMOVALS_MAX, REMOVALS_MAX, 600 - 2 * REMOVALS_MAX, REMOVALS_MAX], "and then again");
}

#[test]
fn who_logs_out_before_coming_in_was_done_is_no_member() {
    let mut club = Club::party_of(&[ADA]);
    club.come(BOB);
    let code = stored(&club.desk).into_values().next().unwrap().code;
    club.hold();
    club.begin(BOB, Ask::Change(Request::Join(code)));
    club.log_out(BOB);
    club.let_go(&[0]);
    assert_eq!(club.party(ADA).map(|party| members(&party)), Some(vec![ADA]));
}

#[test]
fn members_are_shown_by_the_names_that_they_have_now() {
    let mut club = Club::party_of(&[ADA, BOB]);
    club.rename(BOB, "Robert");
    club.change(ADA, Request::SetData(String::new())).unwrap();
    assert_eq!(club.party(ADA).unwrap().members[1].name, "Robert");
}
