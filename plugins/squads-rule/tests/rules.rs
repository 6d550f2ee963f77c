//! What the rule decides, asked through the test kit.

use scenehost_sdk::rule::testing::{RuleTest, TestPlayer, TestProposal, TestTicket, player, proposal, ticket};
use scenehost_sdk::rule::{Class, Verdict};
use squads_rule::Squads;

fn rule() -> RuleTest<Squads> {
    RuleTest::new("{}")
}

/// Somebody who knows the game and would play these roles.
fn who_plays(user: u64, roles: &[&str]) -> TestPlayer {
    roles.iter().fold(player(user).games(100), |player, role| player.role(role))
}

fn alone(user: u64, roles: &[&str]) -> TestTicket {
    ticket([who_plays(user, roles)]).region("eu", 20).region("us", 120)
}

/// Six who play what they like best, three in each team.
fn six() -> TestProposal {
    let roles = ["tank", "healer", "damage"];
    proposal((0..6).map(|user| alone(user, &[roles[user as usize % 3]]))).teams([0, 0, 0, 1, 1, 1]).region("eu")
}

#[test]
fn who_would_play_no_role_is_told_to_choose_one() {
    let refusal = rule().classify(&alone(1, &["jungler"])).unwrap_err();
    assert_eq!(refusal, "Choose a role that you would play: tank, healer, damage.");
    assert!(rule().classify(&ticket([who_plays(1, &["tank"]), who_plays(2, &[])])).is_err());
    assert_eq!(rule().classify(&alone(1, &["jungler", "tank"])), Ok(Class::open()));
}

#[test]
fn beginners_meet_beginners_for_a_minute() {
    let beginner = || player(1).games(9).role("tank");
    let class = rule().classify(&ticket([beginner()])).unwrap();
    assert_eq!((class.bracket.as_str(), class.bracket_ms, class.rating), ("beginners", Some(60_000), None));
    let with_a_friend = ticket([beginner(), who_plays(2, &["healer"])]);
    assert_eq!(rule().classify(&with_a_friend), Ok(Class::open()));
    let patient = RuleTest::<Squads>::new(r#"{"beginner_games":5,"beginner_ms":1000}"#);
    assert_eq!(patient.classify(&ticket([beginner()])), Ok(Class::open()));
    assert_eq!(patient.classify(&ticket([beginner().games(4)])), Ok(Class::bracket("beginners").for_ms(1_000)));
}

#[test]
fn a_team_that_cannot_share_out_its_roles_is_no_team() {
    assert_eq!(rule().judge(&six()), Verdict::Score(6 * 50 - 20));
    // Both tanks in the same team.
    assert_eq!(rule().judge(&six().teams([0, 0, 0, 0, 1, 1])), Verdict::Veto);
    let two_tanks = proposal([alone(1, &["tank"]), alone(2, &["tank"])]).teams([0, 0]);
    assert_eq!(rule().judge(&two_tanks), Verdict::Veto);
    // The first would rather be the tank, whom the second has to be.
    let yielding = proposal([alone(1, &["tank", "healer"]), alone(2, &["tank"])]).teams([0, 0]);
    assert_eq!(rule().judge(&yielding), Verdict::Score(50));
}

#[test]
fn dearest_roles_come_before_a_short_way_and_too_long_a_way_is_none() {
    let near = proposal([alone(1, &["tank", "healer"]), alone(2, &["tank"])]).teams([0, 0]).region("eu");
    let dear = proposal([alone(1, &["tank", "healer"]), alone(3, &["healer"])]).teams([0, 0]).region("eu");
    assert_eq!(rule().choose(&[near.clone(), dear.clone()]), Some(1));
    assert_eq!(rule().choose(&[near.clone(), dear.region("us")]), Some(0));

    let strict = RuleTest::<Squads>::new(r#"{"rtt_ms_max":100}"#);
    assert_eq!(strict.judge(&six().region("us")), Verdict::Veto);
    assert_eq!(strict.choose(&[six().region("us"), six()]), Some(1));
    assert_eq!(strict.choose(&[six().region("us")]), None);
}

#[test]
fn a_configuration_that_is_not_right_is_refused_with_a_reason() {
    let refused = |configuration: &str| RuleTest::<Squads>::try_new(configuration).err().unwrap();
    assert!(refused(r#"{"rolls":[]}"#).contains("unknown field `rolls`"));
    assert!(refused(r#"{"roles":[]}"#).contains("1 to 8"));
}
