//! Guilds: how users come in and go, what their roles allow, and that a guild and its members say the same of each
//! other, whatever happens.

use std::collections::BTreeMap;

use proptest::prelude::*;
use scenehost_core::consistency;
use scenehost_core::db::{Answer, Caller, Db, Entered, News, Request as DbRequest, Rules};
use scenehost_core::friends;
use scenehost_core::guild::{self, Entry, Guild, Limits, Place, Request, Role, View, What, Which};
use scenehost_core::{GuildId, Refusal, UserId};

use crate::desk::Desk;
use crate::table::variant;

fn rules(members_max: usize) -> Rules {
    Rules { guilds: Limits { members_max }, ..Rules::default() }
}

/// Users 1 to 9, who have been in the lobby.
fn desk(members_max: usize) -> Desk {
    let mut desk = Desk::new(rules(members_max));
    (1..10).for_each(|user| _ = enter(&mut desk, user));
    desk
}

fn enter(desk: &mut Desk, user: u64) -> Entered {
    match desk.ask(Caller::Host, DbRequest::Enter(UserId(user), format!("user {user}"))) {
        Ok(Answer::Entered(entered)) => *entered,
        other => panic!("{other:?}"),
    }
}

fn ask(desk: &mut Desk, user: u64, request: Request) -> Result<Answer, Refusal> {
    desk.ask_as(user, DbRequest::Guild(request))
}

fn done(desk: &mut Desk, user: u64, request: Request) {
    let answer = ask(desk, user, request.clone());
    assert!(answer.is_ok(), "{user} {request:?}: {answer:?}");
}

fn view(answer: Result<Answer, Refusal>) -> View {
    match answer {
        Ok(Answer::Guild(guild::Answer::Guild(view))) => *view,
        other => panic!("{other:?}"),
    }
}

fn create(name: &str, entry: Entry) -> Request {
    Request::Create { name: name.to_owned(), tag: "OWL".to_owned(), about: String::new(), entry }
}

/// A guild that user 1 leads.
fn founded(desk: &mut Desk, entry: Entry) -> GuildId {
    view(ask(desk, 1, create("Night Owls", entry))).id
}

/// The same, with these members; the first of them is an officer.
fn with_members(desk: &mut Desk, members: &[u64]) -> GuildId {
    let id = founded(desk, Entry::Open);
    for member in members {
        desk.world.pass_ms(10);
        done(desk, *member, Request::Join(id));
    }
    done(desk, 1, Request::SetRole(UserId(members[0]), Role::Officer));
    id
}

fn roles(desk: &mut Desk, id: GuildId) -> Vec<(u64, Role)> {
    let view = view(desk.ask(Caller::Operator, DbRequest::Guild(Request::Show(Which::Id(id)))));
    view.members.iter().map(|(user, _, member)| (user.0, member.role)).collect()
}

fn refused(answer: Result<Answer, Refusal>) -> String {
    variant(&answer.expect_err("it should have been refused"))
}

/// What a user was told of guilds since the last look.
fn told(desk: &mut Desk, user: u64) -> Vec<(What, u64, Option<Role>)> {
    let news = std::mem::take(&mut desk.news);
    let of_user = news.into_iter().filter(|(to, _)| to.0 == user);
    let told = of_user.filter_map(|(_, news)| match news {
        News::Guild(news) => Some((news.what, news.about.0, news.role)),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_name_is_one_guilds_however_it_is_written_and_free_again_when_the_guild_is_gone() {
    let mut desk = desk(100);
    let id = founded(&mut desk, Entry::Open);
    for name in ["night owls", " NIGHT   Owls "] {
        assert_eq!(refused(ask(&mut desk, 2, create(name, Entry::Open))), "Taken");
        assert_eq!(view(ask(&mut desk, 2, Request::Show(Which::Name(name.to_owned())))).id, id);
    }
    assert_eq!(refused(ask(&mut desk, 1, create("Another", Entry::Open))), "Busy", "one guild a user");
    done(&mut desk, 1, Request::Dissolve);
    done(&mut desk, 2, create("night owls", Entry::Open));
}

#[test]
fn one_joins_an_open_guild_and_asks_another_whose_officers_decide() {
    let mut desk = desk(100);
    let id = founded(&mut desk, Entry::ByRequest);
    assert_eq!(refused(ask(&mut desk, 2, Request::Join(id))), "Forbidden");
    done(&mut desk, 2, Request::Ask(id));
    done(&mut desk, 3, Request::Ask(id));
    done(&mut desk, 3, Request::Ask(id));
    assert_eq!(told(&mut desk, 1)[1..], [(What::Asked, 2, Some(Role::Leader)), (What::Asked, 3, Some(Role::Leader)),]);
    let seen = view(ask(&mut desk, 1, Request::Show(Which::Own)));
    assert_eq!(seen.requests, [(UserId(2), "user 2".to_owned()), (UserId(3), "user 3".to_owned())]);
    assert_eq!(view(ask(&mut desk, 4, Request::Show(Which::Id(id)))).requests, [], "others do not see who waits");
    assert_eq!(refused(ask(&mut desk, 2, Request::Accept(UserId(3)))), "NotFound", "only members decide");
    done(&mut desk, 1, Request::Accept(UserId(2)));
    assert_eq!(told(&mut desk, 2).last(), Some(&(What::Joined, 2, Some(Role::Member))));
    assert_eq!(refused(ask(&mut desk, 2, Request::Accept(UserId(3)))), "Forbidden", "and of them officers");
    done(&mut desk, 1, Request::Decline(UserId(3)));
    assert_eq!(told(&mut desk, 3), [(What::Declined, 3, None)]);
    assert_eq!(refused(ask(&mut desk, 1, Request::Accept(UserId(3)))), "NotFound");
    done(&mut desk, 1, Request::Change { about: None, entry: Some(Entry::Open), limit: None });
    done(&mut desk, 3, Request::Join(id));
    assert_eq!(roles(&mut desk, id), [(1, Role::Leader), (2, Role::Member), (3, Role::Member)]);
}

#[test]
fn an_invitation_lets_in_until_it_is_taken_back() {
    let mut desk = desk(100);
    let id = founded(&mut desk, Entry::ByRequest);
    for user in [2, 3, 4] {
        done(&mut desk, 1, Request::Invite(UserId(user)));
    }
    assert_eq!(refused(ask(&mut desk, 1, Request::Invite(UserId(99)))), "NotFound");
    let Ok(Answer::Guild(guild::Answer::Mine { guild: None, invites, .. })) = ask(&mut desk, 2, Request::Mine) else {
        panic!("it is invited")
    };
    assert_eq!((invites[0].name.as_str(), invites[0].members), ("Night Owls", 1));
    done(&mut desk, 2, Request::AcceptInvite(id));
    done(&mut desk, 3, Request::DeclineInvite(id));
    done(&mut desk, 1, Request::Decline(UserId(4)));
    for user in [3, 4] {
        assert_eq!(refused(ask(&mut desk, user, Request::AcceptInvite(id))), "NotFound");
    }
    assert_eq!(roles(&mut desk, id), [(1, Role::Leader), (2, Role::Member)]);
}

#[test]
fn a_guild_invitation_crossing_a_block() {
    let mut desk = desk(100);
    let id = with_members(&mut desk, &[2]);
    let befriend = |act, whom| DbRequest::Friends(friends::Request::Do(act, UserId(whom)));
    let invites = |desk: &mut Desk| match ask(desk, 3, Request::Mine) {
        Ok(Answer::Guild(guild::Answer::Mine { invites, .. })) => invites.len(),
        other => panic!("{other:?}"),
    };
    let seen = |desk: &mut Desk| view(ask(desk, 1, Request::Show(Which::Own))).invites.len();
    desk.ask_as(3, befriend(friends::Act::Block, 1)).unwrap();
    desk.news.clear();

    // To who is blocked it looks as it always does.
    let hears_nothing = |desk: &Desk| desk.news.iter().all(|(user, _)| user.0 != 3);
    done(&mut desk, 1, Request::Invite(UserId(3)));
    assert!(hears_nothing(&desk), "{:?}", desk.news);
    assert_eq!(told(&mut desk, 1), [(What::Invited, 3, Some(Role::Leader))]);
    done(&mut desk, 1, Request::Invite(UserId(3)));
    assert_eq!((seen(&mut desk), invites(&mut desk)), (1, 0));
    assert_eq!(refused(ask(&mut desk, 3, Request::AcceptInvite(id))), "NotFound");
    consistent(&desk);
    done(&mut desk, 1, Request::Decline(UserId(3)));
    done(&mut desk, 1, Request::Invite(UserId(3)));
    assert!(hears_nothing(&desk), "{:?}", desk.news);

    // An invitation by somebody else is heard, also beside one that is not.
    done(&mut desk, 2, Request::Invite(UserId(3)));
    assert_eq!(told(&mut desk, 3), [(What::Invited, 3, None)]);
    assert_eq!((seen(&mut desk), invites(&mut desk)), (1, 1));
    done(&mut desk, 3, Request::DeclineInvite(id));

    // With the block it goes as if it had been declined.
    done(&mut desk, 1, Request::Invite(UserId(3)));
    desk.news.clear();
    desk.ask_as(3, befriend(friends::Act::Unblock, 1)).unwrap();
    assert_eq!(told(&mut desk, 1), [(What::Uninvited, 3, Some(Role::Leader))]);
    assert_eq!((seen(&mut desk), invites(&mut desk)), (0, 0));
    consistent(&desk);

    // Who wants in all the same asks, and the end of the guild is told to who has heard of it.
    desk.ask_as(3, befriend(friends::Act::Block, 1)).unwrap();
    done(&mut desk, 1, Request::Change { about: None, entry: Some(Entry::ByRequest), limit: None });
    done(&mut desk, 1, Request::Invite(UserId(3)));
    done(&mut desk, 3, Request::Ask(id));
    assert_eq!(seen(&mut desk), 0);
    consistent(&desk);
    done(&mut desk, 3, Request::Withdraw(id));
    done(&mut desk, 1, Request::Invite(UserId(3)));
    desk.news.clear();
    done(&mut desk, 1, Request::Dissolve);
    assert_eq!(told(&mut desk, 3), []);
    consistent(&desk);
}

#[test]
fn who_joins_elsewhere_asks_nobody_any_more() {
    let mut desk = desk(100);
    let first = founded(&mut desk, Entry::ByRequest);
    let second = view(ask(&mut desk, 2, create("Larks", Entry::Open))).id;
    done(&mut desk, 3, Request::Ask(first));
    assert_eq!(refused(ask(&mut desk, 3, create("Third", Entry::Open))), "Busy");
    done(&mut desk, 3, Request::Join(second));
    assert_eq!(refused(ask(&mut desk, 1, Request::Accept(UserId(3)))), "NotFound");
}

#[test]
fn two_who_want_the_last_place_get_one_of_them() {
    let mut desk = desk(2);
    let id = founded(&mut desk, Entry::Open);
    let [second, third] =
        [2, 3].map(|user| desk.begin(Caller::User(UserId(user)), DbRequest::Guild(Request::Join(id))));
    desk.settle();
    assert!(desk.answer(second).unwrap().is_ok());
    assert_eq!(refused(desk.answer(third).unwrap()), "Busy");
    done(&mut desk, 2, Request::Leave);
    desk.rules = rules(1);
    desk.crash();
    assert_eq!(refused(ask(&mut desk, 2, Request::Join(id))), "Busy", "operators have lowered their limit");
    desk.rules = rules(2);
    desk.crash();
    done(&mut desk, 2, Request::Join(id));
    let limit = |limit| Request::Change { about: None, entry: None, limit: Some(limit) };
    assert_eq!(refused(ask(&mut desk, 1, limit(1))), "Busy", "nobody is put out by a limit");
    assert_eq!(refused(ask(&mut desk, 1, limit(3))), "Invalid", "beyond the operators' limit");
}

#[test]
fn the_oldest_officer_leads_when_the_leader_leaves_and_the_last_one_ends_the_guild() {
    let mut desk = desk(100);
    let id = with_members(&mut desk, &[4, 3, 2]);
    done(&mut desk, 1, Request::SetRole(UserId(2), Role::Officer));
    desk.news.clear();
    done(&mut desk, 1, Request::Leave);
    assert_eq!(told(&mut desk, 4), [(What::Left, 1, Some(Role::Leader)), (What::Role, 4, Some(Role::Leader))]);
    done(&mut desk, 2, Request::Leave);
    done(&mut desk, 4, Request::Leave);
    assert_eq!(roles(&mut desk, id), [(3, Role::Leader)], "no officer is left");
    done(&mut desk, 3, Request::Leave);
    assert_eq!(refused(ask(&mut desk, 1, Request::Show(Which::Id(id)))), "NotFound");
    assert!(!desk.store.keys().any(|key| key.starts_with("guild")), "{:?}", desk.store.keys());
}

#[test]
fn a_role_allows_what_it_says_and_no_more() {
    // 1 leads, 2 is an officer, 3 a member, 4 nobody.
    let about = || Request::Change { about: Some("hoot".to_owned()), entry: None, limit: None };
    let write = || Request::WriteData { key: "hall".to_owned(), value: Some(vec![1]), if_version: None };
    let cases: Vec<(Request, [&str; 4])> = vec![
        (about(), ["", "", "Forbidden", "NotFound"]),
        (write(), ["", "", "Forbidden", "NotFound"]),
        (Request::ReadData, ["", "", "", "NotFound"]),
        (Request::Invite(UserId(5)), ["", "", "Forbidden", "NotFound"]),
        (Request::Kick(UserId(3)), ["", "", "Forbidden", "NotFound"]),
        (Request::Kick(UserId(2)), ["", "Forbidden", "Forbidden", "NotFound"]),
        (Request::Kick(UserId(1)), ["Forbidden", "Forbidden", "Forbidden", "NotFound"]),
        (Request::SetRole(UserId(3), Role::Officer), ["", "Forbidden", "Forbidden", "NotFound"]),
        (Request::SetRole(UserId(3), Role::Leader), ["Invalid", "Forbidden", "Forbidden", "NotFound"]),
        (Request::SetRole(UserId(1), Role::Member), ["OutOfOrder", "Forbidden", "Forbidden", "NotFound"]),
        (Request::HandOver(UserId(3)), ["", "Forbidden", "Forbidden", "NotFound"]),
        (Request::HandOver(UserId(4)), ["NotFound", "Forbidden", "Forbidden", "NotFound"]),
        (Request::End(GuildId(1)), ["Forbidden", "Forbidden", "Forbidden", "Forbidden"]),
        (Request::Dissolve, ["", "Forbidden", "Forbidden", "NotFound"]),
    ];
    let mut desk = desk(100);
    with_members(&mut desk, &[2, 3]);
    for (request, expected) in cases {
        for (user, expected) in (1..).zip(expected) {
            let mut desk = desk.clone();
            let before = desk.store.clone();
            let answer = ask(&mut desk, user, request.clone());
            let outcome = answer.as_ref().err().map(variant).unwrap_or_default();
            assert_eq!(outcome, expected, "user {user}: {request:?}: {answer:?}");
            assert!(answer.is_ok() || desk.store == before, "what is refused changes nothing");
        }
    }
}

#[test]
fn a_guilds_data_are_written_by_who_has_seen_them() {
    let mut desk = desk(100);
    with_members(&mut desk, &[2, 3]);
    let write = |value: Option<&[u8]>, if_version| Request::WriteData {
        key: "hall".to_owned(),
        value: value.map(<[u8]>::to_vec),
        if_version,
    };
    let version = |answer: Result<Answer, Refusal>| match answer {
        Ok(Answer::Guild(guild::Answer::Written(version))) => version,
        other => panic!("{other:?}"),
    };
    let first = version(ask(&mut desk, 1, write(Some(b"1"), Some(0))));
    assert_eq!(refused(ask(&mut desk, 2, write(Some(b"2"), Some(0)))), "Conflict");
    assert_eq!(version(ask(&mut desk, 2, write(None, Some(first)))), 0);
    assert!(version(ask(&mut desk, 2, write(Some(b"3"), Some(0)))) > first, "also over a removal");
    let Ok(Answer::Guild(guild::Answer::Data(data))) = ask(&mut desk, 3, Request::ReadData) else { panic!("data") };
    assert_eq!((data[0].0.as_str(), data[0].1.value.as_slice()), ("hall", &b"3"[..]));
    for number in 1..guild::DATA_KEYS_MAX {
        let more = Request::WriteData { key: number.to_string(), value: Some(vec![0; 1_024]), if_version: None };
        done(&mut desk, 1, more);
    }
    let more = Request::WriteData { key: "one more".to_owned(), value: Some(vec![0]), if_version: None };
    assert_eq!(refused(ask(&mut desk, 1, more)), "Invalid");
}

#[test]
fn a_change_that_changes_nothing_is_told_to_nobody() {
    let mut desk = desk(100);
    with_members(&mut desk, &[2]);
    let change = || Request::Change { about: Some("owls".to_owned()), entry: Some(Entry::Open), limit: None };
    let version = view(ask(&mut desk, 1, change())).version;
    let syncs = desk.syncs;
    desk.news.clear();
    assert_eq!(view(ask(&mut desk, 1, change())).version, version);
    assert_eq!((desk.news.len(), desk.syncs), (0, syncs));
}

#[test]
fn an_operator_ends_a_guild() {
    let mut desk = desk(100);
    let id = with_members(&mut desk, &[2]);
    desk.news.clear();
    let end = |desk: &mut Desk, id| desk.ask(Caller::Operator, DbRequest::Guild(Request::End(id)));
    end(&mut desk, id).unwrap();
    assert_eq!(told(&mut desk, 2), [(What::Dissolved, 1, None)]);
    assert_eq!(consistent(&desk), 0);
    assert_eq!(refused(end(&mut desk, id)), "NotFound");
}

#[test]
fn who_comes_into_the_lobby_brings_the_guild_along_and_news_keep_it_true() {
    let mut desk = desk(100);
    assert_eq!(enter(&mut desk, 1).guild, None);
    let id = with_members(&mut desk, &[2]);
    let mut known = enter(&mut desk, 2).guild;
    assert_eq!(known.map(|it| (it.guild, it.role)), Some((id, Role::Officer)));
    let follow = |desk: &mut Desk, known: &mut Option<guild::Membership>| {
        for (user, news) in std::mem::take(&mut desk.news) {
            if let (UserId(2), News::Guild(news)) = (user, news) {
                news.apply(known);
            }
        }
        *known
    };
    done(&mut desk, 1, Request::HandOver(UserId(2)));
    assert_eq!(follow(&mut desk, &mut known).map(|it| it.role), Some(Role::Leader));
    done(&mut desk, 2, Request::HandOver(UserId(1)));
    done(&mut desk, 1, Request::Kick(UserId(2)));
    assert_eq!(follow(&mut desk, &mut known), None);
}

#[test]
fn bad_requests_are_refused_and_change_nothing() {
    let named = |name: &str| create(name, Entry::Open);
    let tagged = |tag: &str| Request::Create {
        name: "Larks".to_owned(),
        tag: tag.to_owned(),
        about: String::new(),
        entry: Entry::Open,
    };
    let about =
        |about: String| Request::Create { name: "Larks".to_owned(), tag: String::new(), about, entry: Entry::Open };
    let data =
        |key: &str, bytes| Request::WriteData { key: key.to_owned(), value: Some(vec![0; bytes]), if_version: None };
    let nowhere = GuildId(404);
    let cases = [
        (2, named(""), "Invalid"),
        (2, named("  a  "), "Invalid"),
        (2, named(&"x".repeat(33)), "Invalid"),
        (2, named(&"x".repeat(1_000_000)), "Invalid"),
        (2, named("a/b/c"), "Invalid"),
        (2, named("a\nb c"), "Invalid"),
        (2, named("ab\u{200b}c"), "Invalid"),
        (2, tagged("SIXSIX"), "Invalid"),
        (2, tagged("a b"), "Invalid"),
        (2, about("x".repeat(501)), "Invalid"),
        (2, about("\u{7}".to_owned()), "Invalid"),
        (2, Request::Join(nowhere), "NotFound"),
        (2, Request::Ask(nowhere), "NotFound"),
        (2, Request::Withdraw(nowhere), "NotFound"),
        (2, Request::AcceptInvite(nowhere), "NotFound"),
        (2, Request::DeclineInvite(nowhere), "NotFound"),
        (2, Request::Show(Which::Own), "NotFound"),
        (2, Request::Show(Which::Id(nowhere)), "NotFound"),
        (2, Request::Show(Which::Name("nobody".to_owned())), "NotFound"),
        (2, Request::Show(Which::Name(String::new())), "Invalid"),
        (2, Request::Leave, "NotFound"),
        (1, data("", 1), "Invalid"),
        (1, data(&"k".repeat(65), 1), "Invalid"),
        (1, data("a\u{0}", 1), "Invalid"),
        (1, data("a", 1_025), "Invalid"),
        (1, Request::Kick(UserId(9)), "NotFound"),
        (1, Request::Decline(UserId(9)), "NotFound"),
        (1, Request::Change { about: None, entry: None, limit: Some(0) }, "Invalid"),
    ];
    let mut desk = desk(100);
    founded(&mut desk, Entry::Open);
    let before = desk.store.clone();
    for (user, request, expected) in cases {
        let what = format!("{request:.99?}");
        let refusal = ask(&mut desk, user, request).expect_err(&what);
        assert_eq!(variant(&refusal), expected, "{what}");
        assert!(refusal.to_string().len() < 200, "{what}: {refusal}");
    }
    let by_operator = desk.ask(Caller::Operator, DbRequest::Guild(Request::Leave));
    assert_eq!(refused(by_operator), "OutOfOrder");
    assert_eq!(desk.store, before);
}

#[test]
fn how_many_wait_and_are_invited_has_limits() {
    let mut desk = Desk::new(rules(200));
    (1..120).for_each(|user| _ = enter(&mut desk, user));
    let id = founded(&mut desk, Entry::ByRequest);
    for user in 2..2 + guild::REQUESTS_MAX as u64 {
        done(&mut desk, user, Request::Ask(id));
    }
    assert_eq!(refused(ask(&mut desk, 60, Request::Ask(id))), "Busy");
    for user in 60..60 + guild::INVITES_MAX as u64 {
        done(&mut desk, 1, Request::Invite(UserId(user)));
    }
    assert_eq!(refused(ask(&mut desk, 1, Request::Invite(UserId(115)))), "Invalid");
    let founders = 60..60 + guild::INVITES_PER_USER_MAX as u64;
    let others: Vec<GuildId> = founders
        .map(|user| view(ask(&mut desk, user, create(&format!("Guild {user}"), Entry::ByRequest))).id)
        .collect();
    for (index, other) in others.iter().enumerate() {
        let asked = ask(&mut desk, 116, Request::Ask(*other));
        assert_eq!(asked.is_ok(), index < guild::REQUESTS_PER_USER_MAX, "{asked:?}");
        done(&mut desk, 60 + index as u64, Request::Invite(UserId(117)));
    }
    done(&mut desk, 1, Request::Decline(UserId(70)));
    assert_eq!(refused(ask(&mut desk, 1, Request::Invite(UserId(117)))), "Busy", "this user has enough of them");
    // All who wait and are invited are let go of with the guild.
    done(&mut desk, 1, Request::Dissolve);
    assert_eq!(consistent(&desk), others.len());
}

/// How many guilds there are, when all that is stored fits together.
fn consistent(desk: &Desk) -> usize {
    let all = desk.store.iter().map(|(key, value)| Ok::<_, ()>((key.clone(), value.clone())));
    let report = consistency::check(all, |key| Ok(desk.store.get(key).cloned())).unwrap();
    assert_eq!(report.problems, [] as [&str; 0]);
    report.records.get("guild").copied().unwrap_or_default() as usize
}

/// What one of the users 1 to 6 may do next, by three numbers.
fn step(guilds: &[GuildId], number: u64, whom: u64, which: usize) -> Request {
    let whom = UserId(whom);
    let id = guilds.get(which % guilds.len().max(1)).copied().unwrap_or(GuildId(1));
    match number {
        0 => create(["Owls", "Larks", "Rooks"][which % 3], [Entry::Open, Entry::ByRequest][which % 2]),
        1 | 2 => Request::Join(id),
        3 | 4 => Request::Ask(id),
        5 => Request::Withdraw(id),
        6 | 7 => Request::Accept(whom),
        8 => Request::Decline(whom),
        9 | 10 => Request::Invite(whom),
        11 => Request::AcceptInvite(id),
        12 => Request::DeclineInvite(id),
        13 => Request::Leave,
        14 => Request::Kick(whom),
        15 => Request::SetRole(whom, [Role::Member, Role::Officer][which % 2]),
        16 => Request::HandOver(whom),
        17 => Request::Change { about: None, entry: Some(Entry::Open), limit: Some(which) },
        18 => Request::WriteData { key: "k".to_owned(), value: Some(vec![1]), if_version: None },
        _ => Request::Dissolve,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever users do, with a memory that holds next to nothing and power that fails: guilds and users say the
    /// same of each other, each guild has one leader and no more members than its limit, and what was acknowledged
    /// is so.
    #[test]
    fn guilds_and_their_members_agree(
        steps in prop::collection::vec((1..7_u64, 0..20_u64, 1..7_u64, 0..6_usize, 0..16_u32), 1..60),
    ) {
        let mut desk = Desk::new(rules(4));
        (1..7).for_each(|user| _ = enter(&mut desk, user));
        for (user, number, whom, which, crash) in steps {
            let ids = desk.store.keys().filter_map(|key| key.strip_prefix("guild/")?.parse().ok());
            let guilds: Vec<GuildId> = ids.collect();
            let request = step(&guilds, number, whom, which);
            let before = desk.store.clone();
            let asked = desk.begin(Caller::User(UserId(user)), DbRequest::Guild(request.clone()));
            if crash < 4 {
                (0..crash).for_each(|_| _ = desk.sync_one());
                desk.crash();
                desk.world.service = Db::with_cache(rules(4), 2_000).numbered_after(desk.syncs << 32);
            } else {
                desk.settle();
            }
            match desk.answer(asked) {
                Some(Err(_)) => prop_assert_eq!(&desk.store, &before, "what is refused changes nothing"),
                Some(Ok(_)) => prop_assert!(is_done(&desk, user, &request), "{:?} was acknowledged", request),
                None => {}
            }
            consistent(&desk);
        }
    }
}

/// Whether the store says what an acknowledged request has promised.
fn is_done(desk: &Desk, user: u64, request: &Request) -> bool {
    let place = |user: u64| -> Place {
        let value = desk.store.get(&guild::place_key(UserId(user)));
        value.map(|value| serde_json::from_slice(value).unwrap()).unwrap_or_default()
    };
    let own: Option<Guild> = place(user).guild.map(|id| serde_json::from_slice(&desk.store[&guild::key(id)]).unwrap());
    let roles: BTreeMap<u64, Role> =
        own.iter().flat_map(|guild| guild.members.iter().map(|(user, member)| (user.0, member.role))).collect();
    match request {
        Request::Create { .. } => roles == BTreeMap::from([(user, Role::Leader)]),
        Request::Join(id) | Request::AcceptInvite(id) => place(user).guild == Some(*id),
        Request::Ask(id) => place(user).requests.contains(id),
        Request::Withdraw(id) => !place(user).requests.contains(id),
        Request::Accept(whom) => roles.contains_key(&whom.0),
        Request::Kick(whom) => !roles.contains_key(&whom.0),
        Request::SetRole(whom, role) => roles[&whom.0] == *role,
        Request::HandOver(whom) => roles[&whom.0] == Role::Leader && roles[&user] == Role::Officer,
        Request::Leave | Request::Dissolve => place(user).guild.is_none(),
        _ => true,
    }
}
