//! Domains that operators make, change and remove while users wait in them.

use scenehost_client::{Error, LobbyEvent};
use serde_json::{Value, json};

use crate::fleets::call;
use crate::host::{Host, within};
use crate::player::{gather, sign_in};

const CONFIG: &str = r#"
[server]
scenes_max = 16
scene_threads = 1

[fleets.echo]
plugin = "hostile"

[domains.pair]
fleet = "echo"
players_min = 2
players_max = 2
"#;

async fn domain(host: &Host, name: &str) -> Value {
    let (status, domain) = call(host, "GET", &format!("/v1/domains/{name}"), &Value::Null).await;
    assert_eq!(status, 200, "{domain}");
    domain
}

fn of(players: u32) -> Value {
    json!({ "fleet": "echo", "players_min": players, "players_max": players })
}

#[tokio::test]
async fn an_operator_makes_a_domain_and_it_is_there_after_a_restart_and_goes_when_it_is_removed() {
    let mut host = Host::start(CONFIG);
    let refused = sign_in(&host, "Ada").await.find_match("night").await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert_eq!(call(&host, "PUT", "/v1/domains/night", &of(2)).await.0, 204);
    let shown = domain(&host, "night").await;
    assert_eq!((&shown["of_operators"], &shown["settings"]["players_max"]), (&json!(true), &json!(2)));
    assert_eq!(within("a match in the new domain", gather(&host, "night", 2)).await.len(), 2);

    host.kill9();
    host.restart();
    assert_eq!(domain(&host, "night").await["of_operators"], true);
    let eve = sign_in(&host, "Eve").await;
    let search = eve.find_match("night");
    let removal = async {
        while eve.next().await.is_none_or(|event| !matches!(event, LobbyEvent::MatchState(_))) {}
        assert_eq!(call(&host, "DELETE", "/v1/domains/night", &Value::Null).await.0, 204);
    };
    let (ended, ()) = within("the search to end", async { tokio::join!(search, removal) }).await;
    let Err(Error::Refused(refused)) = ended else { panic!("{ended:?}") };
    assert!(refused.text.contains("no domain named \"night\" any more"), "{}", refused.text);
    assert_eq!(call(&host, "GET", "/v1/domains/night", &Value::Null).await.0, 404);
    assert_eq!(call(&host, "DELETE", "/v1/domains/night", &Value::Null).await.0, 404);
    assert_eq!(call(&host, "DELETE", "/v1/domains/pair", &Value::Null).await.0, 404, "it is the file's");
}

#[tokio::test]
async fn who_waits_in_a_domain_that_changes_is_matched_by_what_it_is_now() {
    let host = Host::start(CONFIG);
    let (ada, bob) = (sign_in(&host, "Ada").await, sign_in(&host, "Bob").await);
    assert_eq!(call(&host, "PUT", "/v1/domains/pair", &of(3)).await.0, 204);
    let change = async {
        // Both wait for a third.
        for lobby in [&ada, &bob] {
            while lobby.next().await.is_none_or(|event| !matches!(event, LobbyEvent::MatchState(_))) {}
        }
        assert_eq!(call(&host, "DELETE", "/v1/domains/pair", &Value::Null).await.0, 204);
    };
    let both = async { tokio::join!(ada.find_match("pair"), bob.find_match("pair"), change) };
    let (of_ada, of_bob, ()) = within("the match", both).await;
    assert_eq!(of_ada.expect("a way in").scene_id, of_bob.expect("a way in").scene_id);
    assert_eq!(domain(&host, "pair").await["of_operators"], false, "it is the file's again");
}

#[tokio::test]
async fn what_is_not_right_changes_nothing_and_says_what_to_change() {
    let host = Host::start(CONFIG);
    let long = "x".repeat(65);
    let with_rule = json!({ "fleet": "echo", "players_min": 2, "players_max": 2, "rule": { "plugin": "hostile" } });
    for (path, body, text) in [
        ("/v1/domains/pair", json!({ "fleet": "echo" }), "players_min"),
        ("/v1/domains/pair", json!({ "fleet": "none", "players_min": 2, "players_max": 2 }), "add [fleets.none]"),
        ("/v1/domains/pair", json!({ "fleet": "echo", "players_min": 3, "players_max": 2 }), "players_min is 3"),
        ("/v1/domains/pair", with_rule, "refused"),
        (&format!("/v1/domains/{long}"), of(2), "1 to 64"),
    ] {
        let (status, answer) = call(&host, "PUT", path, &body).await;
        assert_eq!(status, 422, "{body}: {answer}");
        assert!(answer.to_string().contains(text), "{body}: {answer}");
    }
    assert_eq!(domain(&host, "pair").await["settings"]["players_max"], 2);
    let (status, all) = call(&host, "GET", "/v1/domains", &Value::Null).await;
    assert_eq!((status, all.as_array().map(Vec::len)), (200, Some(1)));
}
