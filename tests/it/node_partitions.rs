//! SceneMaster in partitions on several nodes: each comes and goes with its own fleets, and is given to nodes that come
//! later.

use scenehost_client::v1::{Code, Service};
use scenehost_client::{Error, Lobby, LobbyEvent};
use serde_json::{Value, json};

use crate::cluster::{Cluster, status, until};
use crate::fleets::call;
use crate::host::within;
use crate::player::{gather, sign_in};

/// Of the two partitions of the tests' clusters, that of `duel` falls to node 2, and that of `chess` to node 3.
const CONFIG: &str = r#"
[server]
scenes_max = 32
scene_threads = 1

[fleets.duel]
plugin = "hostile"

[domains.duel]
fleet = "duel"
players_min = 2
players_max = 2

[fleets.chess]
plugin = "hostile"

[domains.chess]
fleet = "chess"
players_min = 2
players_max = 2
"#;

/// All but SceneMaster.
const REST: &str = r#""auth", "lobby", "match", "scene-service", "db""#;
const MASTER: &str = r#""scene-master""#;
const OF_DUEL: &str = "scene-master/00-7f";
const OF_CHESS: &str = "scene-master/80-ff";
/// The nodes' places in the cluster.
const SECOND: usize = 1;
const THIRD: usize = 2;

/// Waits until a node runs a partition, as all nodes say.
async fn has(cluster: &Cluster, partition: &str, node: usize) {
    until(&format!("node {} has {partition}", node + 1), async || {
        let mut serves = true;
        for host in cluster.nodes.iter().flatten() {
            let units = status(host).await["units"].as_array().cloned().unwrap_or_default();
            serves &= units.iter().any(|it| it["unit"] == partition && it["node"] == node + 1 && it["serves"] == true);
        }
        serves
    })
    .await;
}

async fn two_owners() -> Cluster {
    let cluster = Cluster::start(CONFIG, &[REST, MASTER, MASTER]).await;
    has(&cluster, OF_DUEL, SECOND).await;
    has(&cluster, OF_CHESS, THIRD).await;
    cluster
}

/// Waits until a user is told of a domain's scenes.
async fn is_told(lobby: &Lobby, domain: &str, up: bool) {
    within("it is told", async {
        loop {
            if let LobbyEvent::Service(service) = lobby.next().await.expect("the lobby goes on") {
                let told = (service.service(), service.up, &service.domains[..]);
                assert_eq!(told, (Service::SceneMaster, up, &[domain.to_owned()][..]));
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_one_partition_is_down_games_of_the_other_begin_and_all_go_on() {
    let mut cluster = two_owners().await;
    let mut duel = gather(cluster.node(0), "duel", 2).await;
    cluster.kill9(SECOND);
    is_told(&duel[0].lobby, "duel", false).await;
    // Those that run go on, and those of the other partition begin.
    duel[0].echo("it plays on").await;
    for _ in 0..3 {
        gather(cluster.node(0), "chess", 2).await[0].echo("a word").await;
    }
    let late = sign_in(cluster.node(0), "Late").await;
    let Err(Error::Refused(refused)) = late.find_match("duel").await else { panic!("none can be made") };
    assert_eq!(refused.code(), Code::ServiceDown);
    // The other node takes it over, and who was told hears of it.
    is_told(&duel[0].lobby, "duel", true).await;
    is_told(&late, "duel", true).await;
    duel[0].echo("and on").await;
    gather(cluster.node(0), "duel", 2).await[0].echo("a new one").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_later_is_given_the_partition_that_falls_to_it() {
    let mut cluster = Cluster::start(CONFIG, &[REST, MASTER]).await;
    has(&cluster, OF_CHESS, SECOND).await;
    let mut chess = gather(cluster.node(0), "chess", 2).await;
    cluster.add_with(MASTER, &[]);
    has(&cluster, OF_CHESS, THIRD).await;
    has(&cluster, OF_DUEL, SECOND).await;
    chess[0].echo("it plays on").await;
    gather(cluster.node(0), "chess", 2).await[0].echo("a new one").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_operators_add_is_in_its_partition_and_lists_are_of_all() {
    let cluster = two_owners().await;
    let provisioned = json!({"plugin": "hostile", "scene": {"start": "provision", "standby_min": 1}});
    // `other` is of the partition of `chess`, `golf` of that of `duel`.
    for name in ["other", "golf"] {
        let (status, put) = call(cluster.node(0), "PUT", &format!("/v1/fleets/{name}"), &provisioned).await;
        assert_eq!(status, 200, "{put}");
    }
    for host in [cluster.node(0), cluster.node(SECOND)] {
        until("both to be ready", async || {
            let fleets = call(host, "GET", "/v1/fleets", &Value::Null).await.1;
            let ready = |name: &str| {
                let fleets = fleets.as_array().cloned().unwrap_or_default();
                fleets.iter().any(|it| it["fleet"] == name && it["scenes"]["Ready"] == 1)
            };
            ready("other") && ready("golf")
        })
        .await;
    }
    let nodes = call(cluster.node(0), "GET", "/v1/nodes", &Value::Null).await.1;
    assert_eq!(nodes.as_array().map(Vec::len), Some(1), "{nodes}");
    assert_eq!(nodes[0]["used"]["scenes"], 2, "of both partitions: {nodes}");
}
