//! What operators change on one node is so on all of them, and nobody's change is lost.

use std::time::Duration;

use futures_util::future::join;
use serde_json::json;

use crate::cluster::Cluster;
use crate::fleets::call;
use crate::host::{Host, until, within};
use crate::player::{enter, sign_in};
use crate::plugins::{activate, component, scenes, show, upload, version};

/// A game whose plugin is uploaded.
pub const CONFIG: &str = r#"
[server]
scenes_max = 32
scene_threads = 1

[fleets.echo]
plugin = "hostile"

[domains.pair]
fleet = "echo"
players_min = 2
players_max = 2
"#;

/// Scenes run on node 2 only.
const ALL_BUT_SCENES: &str = r#""auth", "db", "lobby", "match", "scene-master""#;
const SCENES: &str = r#""scene-service""#;
const UPLOADS: usize = 5;

/// Waits until a node knows so many versions of the plugin, and this one is active.
async fn has(host: &Host, versions: usize, active: Option<u32>) {
    until("the node knows it", async || {
        let (_, shown) = call(host, "GET", "/v1/plugins/hostile", &json!(null)).await;
        shown["versions"].as_array().map(Vec::len) == Some(versions) && shown["active"] == json!(active)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_known_to_all_nodes_and_stays_as_long_as_a_scene_of_any_has_it() {
    let cluster = Cluster::start(CONFIG, &[ALL_BUT_SCENES, SCENES]).await;
    let (first, second) = (cluster.node(0), cluster.node(1));
    version(first, "hostile", &component("hostile", "1"), 1).await;
    has(second, 1, None).await;
    activate(first, "hostile", json!({ "version": 1 })).await;
    has(second, 1, Some(1)).await;
    // It is compiled there first, and until then scenes are made of the version before.
    let mut players = within("a scene of the version", async {
        loop {
            let players = enter(vec![sign_in(first, "Ada").await, sign_in(first, "Bob").await], "pair").await;
            if scenes(second, "hostile").await == [1] {
                return players;
            }
        }
    })
    .await;

    version(first, "hostile", &component("hostile", "2"), 2).await;
    activate(first, "hostile", json!({ "version": 2, "swap": true })).await;
    let remove = async || call(first, "DELETE", "/v1/plugins/hostile/versions/1", &json!(null)).await;
    let (status, shown) = remove().await;
    assert_eq!((status, &shown["kind"]), (409, &json!("in_use")), "a scene of the other node runs with it: {shown}");
    // It changes between two steps, and this game makes one for each message.
    within("the scene changes", async {
        while scenes(second, "hostile").await[0] > 0 {
            players[0].echo("as if nothing had been").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(scenes(second, "hostile").await[1] > 0);

    until("it can be removed", async || remove().await.0 == 204).await;
    has(second, 1, Some(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_operators_who_change_a_plugin_on_two_nodes_at_once_none_loses_anything() {
    let cluster = Cluster::start(CONFIG, &[ALL_BUT_SCENES, SCENES]).await;
    let (first, second) = (cluster.node(0), cluster.node(1));
    let mut accepted = Vec::new();
    for round in 0..UPLOADS {
        let [one, two] = ["a", "b"].map(|by| component("hostile", &format!("{by}{round}")));
        let path = "/v1/plugins/hostile/versions";
        let (one, two) = join(upload(first, path, &one), upload(second, path, &two)).await;
        for (status, shown) in [one, two] {
            match status {
                201 => accepted.push(shown["digest"].clone()),
                _ => assert_eq!((status, &shown["kind"]), (409, &json!("outdated")), "{shown}"),
            }
        }
        for host in [first, second] {
            has(host, accepted.len(), None).await;
        }
    }
    assert!(accepted.len() >= UPLOADS, "each time one of them is first");
    let shown = show(second, "hostile").await;
    let versions = shown["versions"].as_array().expect("versions");
    let known: Vec<_> = versions.iter().map(|version| version["digest"].clone()).collect();
    accepted.sort_by_key(ToString::to_string);
    let mut sorted = known;
    sorted.sort_by_key(ToString::to_string);
    assert_eq!(sorted, accepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_is_set_on_one_node_is_there_on_all_until_it_is_taken_away() {
    let cluster = Cluster::start(CONFIG, &[ALL_BUT_SCENES, SCENES]).await;
    let (status, shown) = call(cluster.node(0), "PUT", "/v1/fleets/more", &json!({ "plugin": "hostile" })).await;
    assert!(status < 300, "{status} {shown}");
    // Who takes it away has to know of it.
    let removed = async || call(cluster.node(1), "DELETE", "/v1/fleets/more", &json!(null)).await.0 < 300;
    until("the fleet can be taken away", removed).await;
    until("the fleet is gone", async || call(cluster.node(0), "GET", "/v1/fleets/more", &json!(null)).await.0 == 404)
        .await;
}
