//! Rules of matching in a running host: what they decide, and that one which misbehaves keeps nobody from playing.

use futures_util::future::join_all;
use scenehost_client::v1;

use crate::host::{Host, until};
use crate::player::{matched, refusal, sign_in};

/// The rule's misdeeds, in which call, and as what they are counted.
const MISDEEDS: [(&str, &str, &str); 8] = [
    ("loop", "judge", "out_of_fuel"),
    ("log", "judge", "out_of_fuel"),
    ("trap", "judge", "trap"),
    ("memory", "judge", "out_of_memory"),
    ("recursion", "judge", "out_of_memory"),
    ("count", "judge", "wrong_answer"),
    ("trap", "classify", "trap"),
    ("giant", "classify", "wrong_answer"),
];

/// A domain for each rule.
fn config(rules: &[(String, String)]) -> String {
    let mut config = "[server]\nscenes_max = 64\n\n[fleets.gomoku]\nplugin = \"gomoku\"\n".to_owned();
    for (domain, configuration) in rules {
        config += &format!(
            r#"
[domains.{domain}]
fleet = "gomoku"
players_min = 2
players_max = 2
rule = {{ plugin = "hostile-rule", configuration = {{ {configuration} }} }}
"#
        );
    }
    config
}

fn misdeeds(count: &[(&str, &str, &str)]) -> Vec<(String, String)> {
    let rule = |(misdeed, when, _): &(&str, &str, &str)| {
        (format!("{misdeed}-{when}"), format!(r#"misbehave = "{misdeed}", when = "{when}""#))
    };
    count.iter().map(rule).collect()
}

#[tokio::test]
async fn who_may_not_enter_is_told_why_by_the_rule() {
    let host = Host::start(&config(&[("closed".to_owned(), r#"refuse = "nobody today""#.to_owned())]));
    let refused = refusal(sign_in(&host, "Ann").await.find_match("closed").await);
    assert_eq!(refused.code(), v1::Code::NotAdmitted);
    assert!(refused.text.contains("nobody today"), "{}", refused.text);
}

#[tokio::test]
async fn a_rule_that_misbehaves_keeps_nobody_from_playing_and_is_reported() {
    let host = Host::start(&config(&misdeeds(&MISDEEDS)));
    for (misdeed, when, kind) in MISDEEDS {
        let domain = format!("{misdeed}-{when}");
        let faults = format!(r#"scenehost_match_rule_faults_total{{kind="{kind}",domain="{domain}"}}"#);
        let lobbies = join_all([sign_in(&host, "Ann"), sign_in(&host, "Ben")]).await;
        matched(&lobbies, &domain).await;
        until("the fault is counted", async || host.metrics().await.get(&faults) >= 1.0).await;
        assert!(host.log().contains(&format!("{domain}: ")), "the log should say which domain's rule failed: {domain}");
    }
}
