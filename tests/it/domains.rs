//! Domains that operators make, change and remove while users wait in them.

use scenehost_client::{Error, LobbyEvent};
use serde_json::{Value, json};

use crate::fleets::call;
use crate::host::{Host, until, within};
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
async fn the_domains_of_the_file_are_read_again_at_a_hang_up() {
    let host = Host::start(CONFIG);
    let (ada, bob) = (sign_in(&host, "Ada").await, sign_in(&host, "Bob").await);
    let night = "\n[domains.night]\nfleet = \"echo\"\nplayers_min = 2\nplayers_max = 2\n";
    let next = CONFIG.replace("players_min = 2\nplayers_max = 2", "players_min = 3\nplayers_max = 3") + night;
    host.rewrite(&next);
    host.hang_up();
    until("the new domain", async || call(&host, "GET", "/v1/domains/night", &Value::Null).await.0 == 200).await;
    assert_eq!(domain(&host, "pair").await["settings"]["players_max"], 3);
    assert_eq!(within("a match in the new domain", gather(&host, "night", 2)).await.len(), 2);
    let eve = sign_in(&host, "Eve").await;
    let three = async { tokio::join!(ada.find_match("pair"), bob.find_match("pair"), eve.find_match("pair")) };
    let (of_ada, of_bob, of_eve) = within("a match of three", three).await;
    let scenes = [of_ada, of_bob, of_eve].map(|found| found.expect("a way in").scene_id);
    assert!(scenes.iter().all(|scene| *scene == scenes[0]), "{scenes:?}");

    host.rewrite(CONFIG);
    host.hang_up();
    until("the domain to be gone", async || call(&host, "GET", "/v1/domains/night", &Value::Null).await.0 == 404).await;
    assert_eq!(domain(&host, "pair").await["settings"]["players_max"], 2);
}

#[tokio::test]
async fn a_file_with_anything_wrong_in_it_changes_neither_domains_nor_fleets() {
    let host = Host::start(CONFIG);
    // The fleet and the domain would change, and each time something else in the file is not right.
    let next = CONFIG.replace("plugin = \"hostile\"", "plugin = \"hostile\"\nscene = { empty_ms = 7000 }");
    let next = next.replace("players_max = 2", "players_max = 3");
    let before = call(&host, "GET", "/v1/fleets/echo", &Value::Null).await.1["build"].clone();
    let domain_of = |settings: &str| format!("{next}\n[domains.night]\n{settings}");
    for (wrong, reason) in [
        (domain_of("fleet = \"echo\"\nplayers_min = 3\nplayers_max = 2"), "players_min is 3"),
        (domain_of("fleet = \"none\"\nplayers_min = 2\nplayers_max = 2"), "add [fleets.none]"),
        (domain_of("fleet = \"echo\"\nplayers_min = 2\nplayers_max = 2\nrule = { plugin = \"hostile\" }"), "rule"),
        (domain_of("fleet = \"echo\"\nplayers = 2"), "players"),
    ] {
        let told = host.log().matches("fleets and domains stay as they were").count();
        host.rewrite(&wrong);
        host.hang_up();
        let said = async || host.log().matches("fleets and domains stay as they were").count() > told;
        until("the reason", said).await;
        assert!(host.log().contains(reason), "{reason}: {}", host.log());
        assert_eq!(domain(&host, "pair").await["settings"]["players_max"], 2, "{reason}");
        let build = call(&host, "GET", "/v1/fleets/echo", &Value::Null).await.1["build"].clone();
        assert_eq!(build, before, "{reason}");
        assert_eq!(call(&host, "GET", "/v1/domains/night", &Value::Null).await.0, 404, "{reason}");
    }
    host.rewrite(&next);
    host.hang_up();
    until("the right file", async || domain(&host, "pair").await["settings"]["players_max"] == 3).await;
    assert_ne!(call(&host, "GET", "/v1/fleets/echo", &Value::Null).await.1["build"], before);
}

#[tokio::test]
async fn what_is_not_right_changes_nothing_and_says_what_to_change() {
    let host = Host::start(CONFIG);
    let long = "x".repeat(65);
    let with_rule = json!({ "fleet": "echo", "players_min": 2, "players_max": 2, "rule": { "plugin": "hostile" } });
    let misspelt = json!({ "fleet": "echo", "players_min": 2, "players_max": 2, "recent": { "opponent": 1 } });
    for (path, body, text) in [
        ("/v1/domains/pair", json!({ "fleet": "echo" }), "players_min"),
        ("/v1/domains/pair", json!({ "fleet": "none", "players_min": 2, "players_max": 2 }), "add [fleets.none]"),
        ("/v1/domains/pair", json!({ "fleet": "echo", "players_min": 3, "players_max": 2 }), "players_min is 3"),
        ("/v1/domains/pair", with_rule, "refused"),
        ("/v1/domains/pair", misspelt, "unknown field `opponent` in recent.opponent: correct its name"),
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
