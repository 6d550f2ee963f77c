//! What the SDK and its test kit promise a rule of matching.

use std::sync::atomic::{AtomicI32, Ordering};

use scenehost_sdk::Level;
use scenehost_sdk::log;
use scenehost_sdk::rule::prelude::*;
use scenehost_sdk::rule::testing::{RuleTest, TestTicket, player, proposal, ticket};

/// Leaves everything as it is.
#[derive(Deserialize)]
struct Plain {}

impl MatchRule for Plain {}

export_rule!(Plain);

/// Tells what it sees.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parrot {
    knows: bool,
    asked: bool,
}

impl Default for Parrot {
    fn default() -> Parrot {
        Parrot { knows: true, asked: true }
    }
}

impl MatchRule for Parrot {
    fn describe(&self) -> Result<Description, Fault> {
        let description = if self.asked { Description::new().classify().judge() } else { Description::new() };
        Ok(if self.knows { description.games().roles().regions().property("map") } else { description })
    }

    fn classify(&self, ticket: Ticket<'_>) -> Result<Class, String> {
        log::info("asked");
        let players = ticket.players().map(|player| {
            let roles: Vec<&str> = player.roles().collect();
            let maps: Vec<&str> = player.values("map").collect();
            let voice = player.has("voice", "on");
            format!("{} {} {roles:?} {maps:?} {voice}", player.user(), player.games())
        });
        let players: Vec<String> = players.collect();
        let eu = ticket.rtt_ms("eu");
        Err(format!("{} waited {} eu {eu:?}: {}", ticket.number(), ticket.waited_ms(), players.join(", ")))
    }

    fn judge(&self, proposal: Proposal<'_>) -> Verdict {
        let ratings =
            proposal.teams().map(|team| team.players().map(|player| player.rating()).sum::<i32>()).collect::<Vec<_>>();
        log::info(&format!("{ratings:?} in {:?} at {:?}", proposal.region(), proposal.rtt_ms()));
        match ratings[..] {
            [one, other] => Verdict::Score(-(one - other).abs()),
            _ => Verdict::Veto,
        }
    }
}

/// Counts how often it was asked, which it must not.
#[derive(Deserialize)]
struct Counting {}

static ASKED: AtomicI32 = AtomicI32::new(0);

impl MatchRule for Counting {
    fn judge(&self, _: Proposal<'_>) -> Verdict {
        Verdict::Score(ASKED.fetch_add(1, Ordering::Relaxed))
    }
}

/// Answers with its configuration.
#[derive(Deserialize)]
struct Wordy {
    bracket: Option<String>,
    refusal: String,
}

impl MatchRule for Wordy {
    fn classify(&self, _: Ticket<'_>) -> Result<Class, String> {
        match &self.bracket {
            Some(bracket) => Ok(Class::bracket(bracket)),
            None => Err(self.refusal.clone()),
        }
    }
}

fn full() -> TestTicket {
    let player = player(7).games(3).role("tank").role("healer").property("map", "ice").property("map", "sand");
    ticket([player.property("voice", "on")]).waited_ms(900).region("us", 90).region("eu", 20)
}

#[test]
fn a_rule_that_says_nothing_leaves_everything_as_it_is() {
    let rule = RuleTest::<Plain>::new("{}");
    assert_eq!(rule.classify(&full()), Ok(Class::open()));
    assert_eq!(rule.judge_all(&[proposal([full()]), proposal([full()])]), [Verdict::Score(0); 2]);
    assert_eq!(rule.team_strength(&[player(1).rating(1200), player(2).rating(1300)]), 2500);
    assert_eq!(rule.team_strength(&[]), 0);
}

#[test]
fn a_rule_sees_what_its_description_wants_and_nothing_else() {
    let seen = RuleTest::<Parrot>::new("{}").classify(&full()).unwrap_err();
    assert_eq!(seen, r#"7 waited 900 eu Some(20): 7 3 ["tank", "healer"] ["ice", "sand"] false"#);
    let seen = RuleTest::<Parrot>::new(r#"{"knows":false}"#).classify(&full()).unwrap_err();
    assert_eq!(seen, "7 waited 900 eu None: 7 0 [] [] false");
}

#[test]
fn teams_and_regions_of_proposals_are_seen() {
    let rule = RuleTest::<Parrot>::new("{}");
    let pair = ticket([player(1).rating(1000), player(2).rating(2000)]).region("eu", 30);
    let other = ticket([player(3).rating(1300)]).region("eu", 50);
    let split = proposal([pair.clone(), other.clone()]).teams([0, 1, 0]).region("eu");
    let together = proposal([pair.clone(), other]).teams([0, 0, 1]);
    let verdicts = rule.judge_all(&[together.clone(), split.clone(), proposal([pair])]);
    assert_eq!(verdicts, [Verdict::Score(-1700), Verdict::Score(-300), Verdict::Veto]);
    assert_eq!(rule.choose(&[together, split]), Some(1));
}

#[test]
fn what_a_rule_logs_can_be_looked_at() {
    let rule = RuleTest::<Parrot>::new("{}");
    rule.judge(&proposal([full()]).region("eu"));
    let line = (Level::Info, r#"[1500] in Some("eu") at Some(20)"#.to_owned());
    assert_eq!(rule.log(), [line.clone(), line], "once for each of the two calls");
    assert_eq!(rule.log(), []);
}

#[test]
#[should_panic(expected = "keep no state")]
fn a_rule_that_remembers_fails_its_test() {
    RuleTest::<Counting>::new("{}").judge(&proposal([full()]));
}

#[test]
#[should_panic(expected = "add `.judge()`")]
fn what_a_rule_is_never_asked_fails_its_test() {
    RuleTest::<Parrot>::new(r#"{"asked":false}"#).judge(&proposal([full()]));
}

#[test]
#[should_panic(expected = "a bracket has 0 to 64 bytes")]
fn a_bracket_that_is_too_long_fails_its_test() {
    let configuration = format!(r#"{{"bracket":"{}","refusal":""}}"#, "b".repeat(65));
    let _ = RuleTest::<Wordy>::new(&configuration).classify(&full());
}

#[test]
#[should_panic(expected = "a refusal has 1 to 256 bytes")]
fn a_refusal_without_a_text_fails_its_test() {
    let _ = RuleTest::<Wordy>::new(r#"{"refusal":""}"#).classify(&full());
}

#[test]
fn a_misspelt_setting_is_told() {
    let refusal = RuleTest::<Parrot>::try_new(r#"{"knowz":true}"#).err().unwrap();
    assert!(refusal.contains("unknown field `knowz`"), "{refusal}");
}
