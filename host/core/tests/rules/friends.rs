//! Friends: requests, blocks, and that what concerns two is always in both records.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;
use scenehost_core::consistency;
use scenehost_core::db::{Answer, Caller, News, Request, Rules};
use scenehost_core::friends::{self, Act, BLOCKED_MAX, Change, FRIENDS_MAX, Friends, REQUESTS_MAX, Which};
use scenehost_core::inbox::{self, Kind};
use scenehost_core::{Refusal, UserId, record};

use crate::desk::Desk;

/// Who does what, about whom.
type Step = (u64, Act, u64);

const ADA: u64 = 1;
const BOB: u64 = 2;
const CY: u64 = 3;
const ACTS: [Act; 7] = [Act::Ask, Act::Accept, Act::Decline, Act::Withdraw, Act::Remove, Act::Block, Act::Unblock];

fn act(act: Act, other: u64) -> Request {
    Request::Friends(friends::Request::Do(act, UserId(other)))
}

/// A desk whose users have been here before.
fn desk(users: impl IntoIterator<Item = u64>) -> Desk {
    let mut desk = Desk::new(Rules::default());
    for user in users {
        desk.ask(Caller::Host, Request::Enter(UserId(user), format!("user {user}"))).unwrap();
    }
    desk
}

fn done(desk: &mut Desk, user: u64, what: Act, other: u64) {
    assert_eq!(desk.ask_as(user, act(what, other)), Ok(Answer::Done), "{user} {what:?} {other}");
}

fn record_of(desk: &Desk, user: u64) -> Friends {
    let key = friends::key(UserId(user));
    desk.store.get(&key).map_or_else(Friends::default, |value| record::decode(&key, value).unwrap())
}

/// What the two are to each other, as each of the two sees it.
fn between(desk: &Desk, user: u64, other: u64) -> String {
    let (record, other) = (record_of(desk, user), UserId(other));
    let lists = [
        (&record.friends, "friends"),
        (&record.requests_in, "in"),
        (&record.requests_out, "out"),
        (&record.blocked, "blocked"),
    ];
    let of: Vec<&str> = lists.iter().filter(|(list, _)| list.contains_key(&other)).map(|(_, name)| *name).collect();
    of.join("+")
}

fn both(desk: &Desk) -> [String; 2] {
    [between(desk, ADA, BOB), between(desk, BOB, ADA)]
}

/// What a user was told of others since the last look.
fn told(desk: &mut Desk, of: u64) -> Vec<Change> {
    let news = std::mem::take(&mut desk.news);
    let of_user = news.into_iter().filter(|(user, _)| *user == UserId(of));
    let changes = of_user.filter_map(|(_, news)| match news {
        News::Friends(friends::News::Changed { change, .. }) => Some(change),
        _ => None,
    });
    changes.collect()
}

fn notifications(desk: &mut Desk, user: u64) -> Vec<Kind> {
    match desk.ask_as(user, Request::Inbox(inbox::Request::List { after: 0, limit: 0 })).unwrap() {
        Answer::Inbox(inbox::Answer::Inbox { posted, .. }) => {
            posted.into_iter().map(|(_, posted)| posted.notification.kind).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn problems(desk: &Desk) -> Vec<String> {
    let of_friends = desk.store.iter().map(|(key, value)| Ok::<_, Infallible>((key.clone(), value.clone())));
    let Ok(report) = consistency::check(of_friends, |key| Ok(desk.store.get(key).cloned()));
    report.problems
}

#[test]
fn a_request_that_is_accepted_makes_both_friends_and_both_hear_of_it() {
    let mut desk = desk([ADA, BOB]);
    done(&mut desk, ADA, Act::Ask, BOB);
    assert_eq!(both(&desk), ["out", "in"]);
    assert_eq!(told(&mut desk, BOB), [Change::Asked]);
    assert_eq!(notifications(&mut desk, BOB), [Kind::FriendRequest]);
    done(&mut desk, BOB, Act::Accept, ADA);
    assert_eq!(both(&desk), ["friends", "friends"]);
    assert_eq!(told(&mut desk, ADA), [Change::Friends]);
    assert_eq!(notifications(&mut desk, BOB), [], "the request is answered");
    assert_eq!(notifications(&mut desk, ADA), [Kind::FriendAccepted]);

    let listed = desk.ask_as(ADA, Request::Friends(friends::Request::List(Which::Friends))).unwrap();
    let Answer::Friends(listed) = listed else { panic!("{listed:?}") };
    assert_eq!(listed.people.len(), 1);
    assert_eq!((listed.people[0].user, listed.people[0].name.as_str()), (UserId(BOB), "user 2"));
    let entered = desk.ask(Caller::Host, Request::Enter(UserId(ADA), "user 1".to_owned())).unwrap();
    let Answer::Entered(entered) = entered else { panic!("{entered:?}") };
    assert!(entered.friends.contains(&UserId(BOB)));
}

#[test]
fn a_request_that_crosses_the_others_makes_both_friends() {
    let mut desk = desk([ADA, BOB]);
    done(&mut desk, ADA, Act::Ask, BOB);
    done(&mut desk, BOB, Act::Ask, ADA);
    assert_eq!(both(&desk), ["friends", "friends"]);
}

#[test]
fn a_request_ends_by_its_sender_or_its_receiver_and_a_friendship_by_either() {
    for (who, what, whom) in [(ADA, Act::Withdraw, BOB), (BOB, Act::Decline, ADA)] {
        let mut desk = desk([ADA, BOB]);
        done(&mut desk, ADA, Act::Ask, BOB);
        desk.news.clear();
        done(&mut desk, who, what, whom);
        assert_eq!(both(&desk), ["", ""], "{what:?}");
        assert_eq!(notifications(&mut desk, BOB), [], "{what:?}");
        assert_eq!(told(&mut desk, whom), [Change::RequestGone], "{what:?}");
        assert!(!desk.store.keys().any(|key| key.starts_with("friends/")), "empty records are no records");
    }
    for (who, whom) in [(ADA, BOB), (BOB, ADA)] {
        let mut desk = desk([ADA, BOB]);
        done(&mut desk, ADA, Act::Ask, BOB);
        done(&mut desk, BOB, Act::Accept, ADA);
        desk.news.clear();
        done(&mut desk, who, Act::Remove, whom);
        assert_eq!(both(&desk), ["", ""]);
        assert_eq!(told(&mut desk, whom), [Change::Removed]);
    }
}

#[test]
fn a_block_looks_to_the_other_like_any_other_end() {
    let mut desk = desk([ADA, BOB]);
    done(&mut desk, ADA, Act::Ask, BOB);
    done(&mut desk, BOB, Act::Accept, ADA);
    desk.news.clear();
    done(&mut desk, BOB, Act::Block, ADA);
    assert_eq!(both(&desk), ["", "blocked"]);
    assert_eq!(told(&mut desk, ADA), [Change::Removed]);

    done(&mut desk, ADA, Act::Ask, BOB);
    assert_eq!(both(&desk), ["out", "blocked"]);
    assert_eq!(told(&mut desk, ADA), [Change::Sent], "it looks sent");
    assert_eq!(notifications(&mut desk, BOB), [], "and reaches nobody");
    let refused = desk.ask_as(BOB, act(Act::Ask, ADA));
    assert!(matches!(refused, Err(Refusal::Conflict(_))), "{refused:?}");
    let refused = desk.ask_as(BOB, act(Act::Accept, ADA));
    assert!(matches!(refused, Err(Refusal::NotFound(_))), "{refused:?}");

    desk.news.clear();
    done(&mut desk, BOB, Act::Unblock, ADA);
    assert_eq!(both(&desk), ["", ""]);
    assert_eq!(told(&mut desk, ADA), [Change::RequestGone], "as if declined");
}

/// In both orders, and with a loss of power after every step in between.
#[test]
fn a_friend_request_crossing_a_block() {
    let ask = (ADA, Act::Ask, BOB);
    let block = (BOB, Act::Block, ADA);
    for [first, second] in [[ask, block], [block, ask]] {
        for synced in 0..8 {
            let mut desk = desk([ADA, BOB]);
            let numbers =
                [first, second].map(|(who, what, whom)| desk.begin(Caller::User(UserId(who)), act(what, whom)));
            for _ in 0..synced {
                desk.sync_one();
            }
            desk.crash();
            let answered = numbers.map(|number| desk.answer(number).is_some());
            // Whoever has heard nothing asks again.
            for ((who, what, whom), answered) in [first, second].into_iter().zip(answered) {
                if !answered {
                    done(&mut desk, who, what, whom);
                }
            }
            let expected = if first == block { "out" } else { "" };
            assert_eq!(both(&desk), [expected, "blocked"], "{first:?} first, {synced} steps");
            assert_eq!(notifications(&mut desk, BOB), [], "nothing is left of the request");
            assert_eq!(problems(&desk).iter().filter(|it| it.contains("friends/")).count(), 0);
        }
    }
}

#[test]
fn what_is_done_again_is_done_already() {
    let cases: [(&[Step], Step); 7] = [
        (&[], (ADA, Act::Ask, BOB)),
        (&[(ADA, Act::Ask, BOB)], (BOB, Act::Accept, ADA)),
        (&[(ADA, Act::Ask, BOB)], (BOB, Act::Decline, ADA)),
        (&[(ADA, Act::Ask, BOB)], (ADA, Act::Withdraw, BOB)),
        (&[(ADA, Act::Ask, BOB), (BOB, Act::Accept, ADA)], (ADA, Act::Remove, BOB)),
        (&[(ADA, Act::Ask, BOB)], (BOB, Act::Block, ADA)),
        (&[(BOB, Act::Block, ADA)], (BOB, Act::Unblock, ADA)),
    ];
    for (before, (who, what, whom)) in cases {
        let mut desk = desk([ADA, BOB]);
        before.iter().for_each(|(who, what, whom)| done(&mut desk, *who, *what, *whom));
        done(&mut desk, who, what, whom);
        let (store, news) = (desk.store.clone(), desk.news.len());
        done(&mut desk, who, what, whom);
        assert_eq!((&desk.store, desk.news.len()), (&store, news), "{what:?}");
    }
}

#[test]
fn who_was_blocked_and_is_gone_can_be_let_go_so_that_there_is_room_for_others() {
    let mut desk = desk([1, 2]);
    done(&mut desk, 1, Act::Block, 2);
    desk.ask(Caller::Host, Request::Forget(UserId(2))).unwrap();
    for what in [Act::Block, Act::Unblock] {
        done(&mut desk, 1, what, 2);
    }
    let again = desk.ask_as(1, act(Act::Block, 2));
    assert!(matches!(again, Err(Refusal::NotFound(_))), "{again:?}");
    let of_second = UserId(2).to_string();
    assert!(desk.store.keys().all(|key| !key.contains(&of_second)), "{:?}", desk.store.keys());
    assert!(!desk.store.contains_key(&friends::key(UserId(1))), "nothing is left of it");
}

#[test]
fn bad_requests_are_refused_and_change_nothing() {
    for what in ACTS {
        for (other, expected) in [(ADA, "Invalid"), (99, "NotFound"), (u64::MAX, "NotFound")] {
            let mut desk = desk([ADA]);
            let before = desk.store.clone();
            let refused = desk.ask_as(ADA, act(what, other)).expect_err("bad");
            assert!(format!("{refused:?}").starts_with(expected), "{what:?} {other}: {refused:?}");
            assert_eq!(desk.store, before);
        }
        let refused = desk([ADA]).ask(Caller::Operator, act(what, ADA));
        assert!(matches!(refused, Err(Refusal::OutOfOrder(_))), "{refused:?}");
    }
    let mut desk = desk([ADA, BOB]);
    assert!(matches!(desk.ask_as(ADA, act(Act::Accept, BOB)), Err(Refusal::NotFound(_))));
}

#[test]
fn every_list_has_its_end() {
    let others = 10..10 + FRIENDS_MAX as u64 + 1;
    let mut desk = desk(others.clone().chain([ADA, BOB]));
    for other in others.clone() {
        let refused = desk.ask_as(ADA, act(Act::Ask, other));
        let is_over = other >= 10 + REQUESTS_MAX as u64;
        assert_eq!(refused.is_err(), is_over, "{other}: {refused:?}");
        let refused = desk.ask_as(other, act(Act::Ask, BOB));
        assert_eq!(matches!(refused, Err(Refusal::Conflict(_))), is_over, "{other}: {refused:?}");
    }
    // Who is blocked cannot tell it from a list that is full.
    let first = others.start;
    done(&mut desk, BOB, Act::Block, first);
    done(&mut desk, first + REQUESTS_MAX as u64, Act::Ask, BOB);
    assert!(matches!(desk.ask_as(first, act(Act::Ask, BOB)), Err(Refusal::Conflict(_))));

    for other in others.clone() {
        let befriended = desk.ask_as(other, act(Act::Ask, CY)).is_err();
        assert!(befriended, "nobody has seen this user");
        let _ = desk.ask_as(BOB, act(Act::Decline, other));
        let _ = desk.ask_as(ADA, act(Act::Withdraw, other));
        done(&mut desk, other, Act::Ask, ADA);
        let accepted = desk.ask_as(ADA, act(Act::Accept, other));
        assert_eq!(accepted.is_err(), record_of(&desk, ADA).requests_in.contains_key(&UserId(other)));
    }
    assert_eq!(record_of(&desk, ADA).friends.len(), FRIENDS_MAX);
    assert!(matches!(desk.ask_as(ADA, act(Act::Ask, BOB)), Err(Refusal::Invalid(_))));
    done(&mut desk, BOB, Act::Unblock, first);
    for other in others.clone().take(BLOCKED_MAX) {
        done(&mut desk, BOB, Act::Block, other);
    }
    assert!(matches!(desk.ask_as(BOB, act(Act::Block, others.end - 1)), Err(Refusal::Invalid(_))));
}

#[test]
fn the_check_of_the_store_finds_what_does_not_mirror() {
    let mut desk = desk([ADA, BOB]);
    let mut half = Friends::default();
    half.friends.insert(UserId(BOB), scenehost_core::Time(1));
    half.requests_in.insert(UserId(BOB), scenehost_core::Time(1));
    half.blocked.insert(UserId(BOB), scenehost_core::Time(1));
    desk.store.insert(friends::key(UserId(ADA)), record::encode(&half));
    let found = problems(&desk);
    for what in ["about a friendship", "about a request", "blocked and not blocked"] {
        assert!(found.iter().any(|problem| problem.contains(what)), "{what}: {found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// With a memory that holds next to nothing and power that fails: whatever was synced fits together.
    #[test]
    fn records_mirror_each_other(
        steps in prop::collection::vec((1..5_u64, 0..7_usize, 1..5_u64, 0..16_u32), 1..60),
    ) {
        let mut desk = desk(1..5);
        let mut acknowledged = BTreeMap::new();
        for (user, what, other, synced) in steps {
            let number = desk.begin(Caller::User(UserId(user)), act(ACTS[what], other));
            for _ in 0..synced {
                desk.sync_one();
            }
            match synced < 6 {
                true => desk.crash(),
                false => desk.settle(),
            }
            let pair = (user.min(other), user.max(other));
            if matches!(desk.answer(number), Some(Ok(_))) && user != other {
                let seen = between(&desk, user, other);
                match ACTS[what] {
                    Act::Ask | Act::Accept => prop_assert!(["out", "friends"].contains(&seen.as_str()), "{}", seen),
                    Act::Block => prop_assert!(seen == "blocked", "{}", seen),
                    Act::Decline => prop_assert!(!seen.contains("in"), "{}", seen),
                    Act::Withdraw => prop_assert!(!seen.contains("out"), "{}", seen),
                    Act::Remove => prop_assert!(!seen.contains("friends"), "{}", seen),
                    Act::Unblock => prop_assert!(!seen.contains("blocked"), "{}", seen),
                }
            }
            acknowledged.insert(pair, between(&desk, pair.0, pair.1));
            for ((user, other), seen) in &acknowledged {
                prop_assert_eq!(&between(&desk, *user, *other), seen, "a change between others changes nothing here");
            }
            let found: Vec<String> = problems(&desk).into_iter().filter(|it| it.starts_with("friends/")).collect();
            prop_assert!(found.is_empty(), "{:?}", found);
        }
    }
}
