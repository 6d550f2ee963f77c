//! Asks the rule natively; `scenectl test` asks the component in the real engine.

use scenehost_sdk::rule::prelude::*;
use scenehost_sdk::rule::testing::{RuleTest, player, proposal, ticket};
use {{crate}}::Rule;

#[test]
fn beginners_meet_beginners() {
    let rule = RuleTest::<Rule>::new(r#"{"beginner_games":3}"#);
    assert_eq!(rule.classify(&ticket([player(1)])).unwrap().bracket, "beginners");
    assert_eq!(rule.classify(&ticket([player(1).games(3)])), Ok(Class::open()));
}

#[test]
fn the_nearer_match_is_made() {
    let rule = RuleTest::<Rule>::new("{}");
    let far = proposal([ticket([player(1)]).region("us", 140)]).region("us");
    let near = proposal([ticket([player(2)]).region("eu", 30)]).region("eu");
    assert_eq!(rule.judge(&far), Verdict::Veto);
    assert_eq!(rule.choose(&[far, near]), Some(1));
}
