//! What scenes use, as operators are told: one scene, the versions of a plugin, and Prometheus.

use serde_json::{Value, json};

use crate::fleets::call;
use crate::host::{Host, until};
use crate::player::gather;
use crate::plugins::{activate, component, until_scenes, version};

const CONFIG: &str = r#"
[server]
scenes_max = 64
scene_threads = 2

[fleets.echo]
plugin = "hostile"

[domains.pair]
fleet = "echo"
players_min = 2
players_max = 2
"#;

async fn get(host: &Host, path: &str) -> Value {
    let (status, answer) = call(host, "GET", path, &Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// What a version has used, once that is told.
async fn of_version(host: &Host, version: Value, messages: u64) -> Value {
    let of = async || {
        let all = get(host, "/v1/plugins/hostile/usage").await;
        let usage = all["usage"].as_array().expect("a list").clone();
        usage.into_iter().find(|it| it["version"] == version).unwrap_or_default()
    };
    until("it to be counted", async || of().await["messages_in"] == json!(messages)).await;
    of().await
}

#[tokio::test]
async fn what_a_scene_uses_is_told_of_it_and_of_its_version() {
    let host = Host::start(CONFIG);
    version(&host, "hostile", &component("hostile", "1"), 1).await;
    activate(&host, "hostile", json!({"version": 1})).await;
    let mut players = gather(&host, "pair", 2).await;
    let mut others = gather(&host, "pair", 2).await;
    for text in ["12345", "1234567"] {
        players[0].echo(text).await;
    }
    others[0].echo("123").await;

    let path = format!("/v1/scenes/{}", players[0].seat.scene_id);
    let scene = get(&host, &path).await;
    assert_eq!((&scene["fleet"], &scene["plugin"], &scene["version"]), (&json!("echo"), &json!("hostile"), &json!(1)));
    assert_eq!((&scene["messages_in"], &scene["bytes_in"]), (&json!(2), &json!(12)), "{scene}");
    assert_eq!((&scene["messages_out"], &scene["bytes_out"]), (&json!(2), &json!(12)), "{scene}");
    let number = |value: &Value| value.as_f64().expect("a number");
    assert!(number(&scene["steps"]) >= 2.0 && number(&scene["step_ms"]) > 0.0, "{scene}");
    assert!(number(&scene["memory_bytes"]) > 0.0 && scene["memory_bytes"] == scene["memory_bytes_max"], "{scene}");

    let used = of_version(&host, json!(1), 3).await;
    assert_eq!((&used["fleet"], &used["scenes"], &used["bytes_in"]), (&json!("echo"), &json!(2), &json!(15)), "{used}");
    let steps: u64 = used["step_times"].as_array().expect("numbers").iter().map(|it| it.as_u64().unwrap_or(0)).sum();
    assert_eq!(json!(steps), used["steps"], "each is in one range");
    let [p50, p99, max] = ["step_us_p50", "step_us_p99", "step_us_max"].map(|name| number(&used[name]));
    assert!(0.0 < p50 && p50 <= p99 && p99 <= max, "{used}");
    assert!(number(&used["memory_bytes"]) >= 2.0 * number(&scene["memory_bytes"]), "{used}");

    let metrics = host.metrics().await;
    let of = |name: &str| metrics.get(&format!("{name}{{plugin=\"hostile\",fleet=\"echo\",version=\"1\"}}"));
    assert_eq!(of("scenehost_version_scenes"), 2.0);
    assert_eq!(of("scenehost_version_message_bytes_in_total"), 15.0);
    assert_eq!(json!(of("scenehost_version_step_seconds_count") as u64), used["steps"]);
    let all = r#"scenehost_version_step_seconds_bucket{plugin="hostile",fleet="echo",version="1",le="+Inf"}"#;
    assert_eq!(metrics.get(all), of("scenehost_version_step_seconds_count"));

    for player in players.into_iter().chain(others) {
        player.scene.leave().await.expect("they may leave");
    }
    until_scenes(&host, "hostile", &[0]).await;
    until("their memory to be free", async || of_version(&host, json!(1), 3).await["memory_bytes"] == json!(0)).await;
    let (status, _) = call(&host, "GET", &path, &Value::Null).await;
    assert_eq!(status, 404);
    let (status, _) = call(&host, "GET", "/v1/scenes/none", &Value::Null).await;
    assert_eq!(status, 400);
    let (status, _) = call(&host, "GET", "/v1/plugins/nobody/usage", &Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn the_series_of_versions_that_nobody_plays_any_more_go() {
    let host = Host::start(CONFIG);
    let mut players = gather(&host, "pair", 2).await;
    players[0].echo("of the file").await;
    assert_eq!(of_version(&host, Value::Null, 1).await["scenes"], json!(1));
    let series = async |version: &str| {
        let all = host.metrics().await;
        all.has(&format!("scenehost_version_scenes{{plugin=\"hostile\",fleet=\"echo\",version=\"{version}\"}}"))
    };
    for number in 1..=5 {
        version(&host, "hostile", &component("hostile", &number.to_string()), number).await;
        activate(&host, "hostile", json!({"version": number})).await;
    }
    assert!(series("file").await, "it is played");
    assert_eq!([series("1").await, series("2").await], [false; 2]);
    assert_eq!([series("3").await, series("4").await, series("5").await], [true; 3], "it may still be wanted");
}
