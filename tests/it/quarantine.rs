//! Versions whose scenes keep failing get no more new ones, until operators release them.

use serde_json::{Value, json};

use crate::fleets::call;
use crate::host::{Host, until};
use crate::player::{Player, gather, refusal, sign_in};
use crate::plugins::{activate, component, show, until_scenes, version};
use scenehost_client::v1;

const CONFIG: &str = r#"
[server]
scenes_max = 64
scene_threads = 2

[fleets.traps]
plugin = "hostile"
configuration = { misbehave = "trap", when = "message" }
scene = { on_crash = "end", quarantine = { scenes = 2, within_ms = 600000 } }

[domains.pair]
fleet = "traps"
players_min = 2
players_max = 2
"#;

/// A game that fails when it is told to.
async fn fail(players: &mut [Player]) {
    players[0].scene.send("fail".to_owned()).await.expect("its connection is open");
    for player in players {
        player.ended().await;
    }
}

/// One version after the other is the active one, the last one is so in the end.
async fn versions(host: &Host, count: u32) {
    for number in 1..=count {
        version(host, "hostile", &component("hostile", &number.to_string()), number).await;
        activate(host, "hostile", json!({"version": number})).await;
    }
}

async fn until_in_quarantine(host: &Host, version: usize) -> Value {
    let of = async || show(host, "hostile").await["versions"][version - 1]["quarantine"].clone();
    until("the version to be in quarantine", async || of().await.is_object()).await;
    show(host, "hostile").await
}

#[tokio::test]
async fn a_version_that_keeps_failing_gives_way_to_the_one_before_until_it_is_released() {
    let mut host = Host::start(CONFIG);
    versions(&host, 2).await;
    let going_on = gather(&host, "pair", 2).await;
    fail(&mut gather(&host, "pair", 2).await).await;
    assert_eq!(show(&host, "hostile").await["active"], json!(2), "one is not too many");
    fail(&mut gather(&host, "pair", 2).await).await;
    let shown = until_in_quarantine(&host, 2).await;
    assert_eq!(shown["active"], json!(1));
    let reason = shown["versions"][1]["quarantine"]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("2 scenes of the fleet \"traps\" failed within 600 s"), "{reason}");
    assert!(reason.contains("trapped"), "{reason}");
    assert_eq!(shown["versions"][0]["quarantine"], Value::Null);
    let of_version_1 = gather(&host, "pair", 2).await;
    until_scenes(&host, "hostile", &[1, 1]).await;
    assert_eq!(host.metrics().await.get(r#"scenehost_quarantines_total{plugin="hostile"}"#), 1.0);
    let audited = host.logged("a plugin is rolled back");
    let fields = &audited[0]["fields"];
    assert_eq!((&fields["by"], &fields["from"], &fields["to"]), (&json!("scenehost"), &json!(2), &json!(1)));

    // It stays so after a crash of the host, and until an operator says otherwise.
    drop((going_on, of_version_1));
    host.kill9();
    host.restart();
    let shown = show(&host, "hostile").await;
    assert!(shown["active"] == json!(1) && shown["versions"][1]["quarantine"].is_object(), "{shown}");
    let (status, refused) = call(&host, "POST", "/v1/plugins/hostile/active", &json!({"version": 2})).await;
    assert_eq!((status, &refused["kind"]), (409, &json!("quarantined")), "{refused}");
    let release = "/v1/plugins/hostile/versions/2/release";
    let (status, shown) = call(&host, "POST", release, &Value::Null).await;
    assert_eq!((status, &shown["active"]), (200, &json!(1)), "{shown}");
    let (status, refused) = call(&host, "POST", release, &Value::Null).await;
    assert_eq!((status, &refused["kind"]), (409, &json!("not_quarantined")), "{refused}");
    activate(&host, "hostile", json!({"version": 2})).await;
}

#[tokio::test]
async fn with_no_version_before_there_are_no_new_scenes_until_there_is_a_better_one_or_a_release() {
    let mut host = Host::start(CONFIG);
    versions(&host, 1).await;
    let mut going_on = gather(&host, "pair", 2).await;
    for _ in 0..2 {
        fail(&mut gather(&host, "pair", 2).await).await;
    }
    assert_eq!(until_in_quarantine(&host, 1).await["active"], json!(1));
    let refuses = async |host: &Host| {
        let (ada, bob) = (sign_in(host, "Ada").await, sign_in(host, "Bob").await);
        let (of_ada, of_bob) = tokio::join!(ada.find_match("pair"), bob.find_match("pair"));
        assert_eq!([refusal(of_ada).code(), refusal(of_bob).code()], [v1::Code::Closed; 2]);
        let (status, refused) = call(host, "POST", "/v1/scenes", &json!({"fleet": "traps", "count": 1})).await;
        assert!(refused["error"].as_str().is_some_and(|text| text.contains("failed too often")), "{status} {refused}");
        assert_eq!(call(host, "GET", "/v1/fleets/traps", &Value::Null).await.1["in_quarantine"], json!(true));
    };
    refuses(&host).await;
    fail(&mut going_on).await; // It was there still.
    host.kill9();
    host.restart();
    refuses(&host).await;
    let (status, _) = call(&host, "POST", "/v1/plugins/hostile/versions/1/release", &Value::Null).await;
    assert_eq!(status, 200);
    fail(&mut gather(&host, "pair", 2).await).await;
    assert_eq!(show(&host, "hostile").await["versions"][0]["quarantine"], Value::Null, "the count begins anew");
    fail(&mut gather(&host, "pair", 2).await).await;
    until_in_quarantine(&host, 1).await;
    version(&host, "hostile", &component("hostile", "better"), 2).await;
    activate(&host, "hostile", json!({"version": 2})).await;
    gather(&host, "pair", 2).await;
    assert_eq!(call(&host, "GET", "/v1/fleets/traps", &Value::Null).await.1["in_quarantine"], json!(false));
}

#[tokio::test]
async fn a_canary_that_keeps_failing_has_ended() {
    let host = Host::start(CONFIG);
    versions(&host, 1).await;
    version(&host, "hostile", &component("hostile", "2"), 2).await;
    activate(&host, "hostile", json!({"version": 2, "percent": 99})).await;
    let first = gather(&host, "pair", 2).await;
    until_scenes(&host, "hostile", &[1, 0]).await;
    for _ in 0..2 {
        fail(&mut gather(&host, "pair", 2).await).await;
    }
    let shown = until_in_quarantine(&host, 2).await;
    assert_eq!((&shown["active"], &shown["canary"]), (&json!(1), &Value::Null));
    let second = gather(&host, "pair", 2).await;
    until_scenes(&host, "hostile", &[2, 0]).await;
    drop((first, second));
}
