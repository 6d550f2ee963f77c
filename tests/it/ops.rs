//! What operators see and do, on a listener of their own.

use serde_json::{Value, json};

use crate::host::{Host, OPS_TOKEN, http, until};
use crate::player::gather;

const ECHO: &str = r#"
[server]
scenes_max = 16
scene_threads = 2

[fleets.echo]
plugin = "hostile"
scene = { standby_ms = 1000 }

[fleets.ticking]
plugin = "arena"
tick_when_empty = true
scene = { tick_rate_hz = 20, standby_ms = 3600000 }

[domains.pair]
fleet = "echo"
players_min = 2
players_max = 2
"#;

const SCENES: &str = "/v1/scenes";

/// Orders scenes with the token: the status and the answer.
async fn order(host: &Host, body: &str) -> (u16, Value) {
    let bearer = format!("Bearer {OPS_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer = host.ops("POST", SCENES, &headers, body).await;
    (answer.status, serde_json::from_str(&answer.body).expect("JSON"))
}

#[tokio::test]
async fn health_and_metrics_tell_how_the_host_is() {
    let host = Host::start(ECHO);
    assert_eq!(host.health().await, (200, "ok\n".to_owned()));
    let mut players = gather(&host, "pair", 2).await;
    players[0].echo("one").await;
    players[1].echo("two").await;
    until("the counts of two echoes", async || {
        let metrics = host.metrics().await;
        let counts = ["scenes", "scene_connections", "scenes_started_total", "messages_in_total", "messages_out_total"];
        // In: two who entered and two messages.
        counts.map(|name| metrics.sum(&format!("scenehost_{name}"))) == [1.0, 2.0, 1.0, 4.0, 2.0]
    })
    .await;
    let metrics = host.metrics().await;
    for counted in ["scenehost_steps_total", "scenehost_store_commits_total", "scenehost_store_syncs_total"] {
        assert!(metrics.sum(counted) > 0.0, "{counted}");
    }
    until("the records of two profiles", async || {
        let metrics = host.metrics().await;
        let [records, bytes] = ["records", "bytes"].map(|of| metrics.get(&format!("scenehost_db_cache_{of}")));
        records >= 2.0 && bytes > 100.0 * records
    })
    .await;
}

#[tokio::test]
async fn scenes_are_ordered_with_the_token_only() {
    let host = Host::start(ECHO);
    let body = json!({"fleet": "echo", "count": 1}).to_string();
    let json = ("content-type", "application/json");
    for wrong in ["", "Bearer ", "Bearer wrong", OPS_TOKEN, &format!("Basic {OPS_TOKEN}")] {
        let answer = host.ops("POST", SCENES, &[json, ("authorization", wrong)], &body).await;
        assert_eq!(answer.status, 401, "{wrong:?}");
        assert!(answer.body.contains("Authorization: Bearer"), "{}", answer.body);
    }
    assert_eq!(host.ops("POST", SCENES, &[json], &body).await.status, 401);
    assert_eq!(host.ops("GET", SCENES, &[], "").await.status, 405);
    let at_the_edge = http(host.address(), "POST", SCENES, &[json], &body).await;
    assert_eq!(at_the_edge.status, 404, "players' listener knows nothing of it");
    let at_the_edge = http(host.address(), "GET", "/metrics", &[], "").await;
    assert_eq!(at_the_edge.status, 404);
    assert_eq!(host.metrics().await.sum("scenehost_scenes_started_total"), 0.0);
}

#[tokio::test]
async fn an_order_that_cannot_be_read_is_refused_with_the_reason() {
    let host = Host::start(ECHO);
    for (body, word) in [
        ("", "JSON"),
        ("{", "JSON"),
        (r#"{"fleet":"echo"}"#, "count"),
        (r#"{"fleet":"echo","count":-1}"#, "count"),
        (r#"{"fleet":"echo","count":1,"more":1}"#, "more"),
        (r#"{"fleet":"echo","count":0}"#, "1 to 10000"),
        (r#"{"fleet":"echo","count":10001}"#, "1 to 10000"),
    ] {
        let (status, answer) = order(&host, body).await;
        let error = answer["error"].as_str().expect("a reason");
        assert!(status == 400 && error.contains(word), "{body}: {status} {error}");
    }
    let (status, answer) = order(&host, r#"{"fleet":"chess","count":1}"#).await;
    assert_eq!((status, &answer["error"]), (404, &json!("there is no fleet named \"chess\"")));
    let huge = format!(r#"{{"fleet":"{}","count":1}}"#, "x".repeat(100_000));
    assert_eq!(order(&host, &huge).await.0, 400);
}

#[tokio::test]
async fn ordered_scenes_are_ready_and_go_when_nobody_needs_them() {
    let host = Host::start(ECHO);
    let (status, answer) = order(&host, r#"{"fleet":"echo","count":5}"#).await;
    assert_eq!((status, &answer["created"]), (200, &json!(5)));
    let scenes = answer["scenes"].as_array().expect("their ids");
    assert!(scenes.iter().all(|id| id.as_str().is_some_and(|id| id.len() == 16)), "{answer}");
    until("the idle scenes to go", async || {
        let metrics = host.metrics().await;
        let of_idleness = metrics.get("scenehost_scenes_ended_total{reason=\"Idle\"}");
        of_idleness == 5.0 && metrics.sum("scenehost_scenes") == 0.0
    })
    .await;
}

#[tokio::test]
async fn scenes_that_tick_without_anyone_tick_and_slots_have_an_end() {
    let host = Host::start(ECHO);
    let (status, answer) = order(&host, r#"{"fleet":"ticking","count":20}"#).await;
    assert_eq!((status, &answer["created"]), (200, &json!(16)), "as many as there are slots");
    let (status, answer) = order(&host, r#"{"fleet":"echo","count":1}"#).await;
    assert_eq!(status, 409);
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("at its limit (scenes)")), "{answer}");
    until("the empty scenes' steps", async || host.metrics().await.sum("scenehost_steps_total") >= 320.0).await;
    assert_eq!(host.metrics().await.sum("scenehost_scenes"), 16.0);
}
