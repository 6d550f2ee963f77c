//! A host that becomes the first node of many: what it had is there on all of them.

use passing_nats::{NatsServer, free_port};
use passing_postgres::Server;
use scenehost_client::Encoding;
use serde_json::json;

use crate::cluster::{NodeConfig, node_config, status};
use crate::host::{Host, until, within};
use crate::node_operators::CONFIG;
use crate::on_postgres::copy;
use crate::player::{device, enter, sign_in_as};
use crate::plugins::{activate, component, show, version};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_uploaded_plugins_of_a_host_are_there_on_every_node_that_it_grows_to() {
    let mut first = Host::start(CONFIG);
    let devices = [device(), device()];
    let user = sign_in_as(&first, &devices[0], "Ada", Encoding::Proto).await.session().user_id;
    version(&first, "hostile", &component("hostile", "1"), 1).await;
    version(&first, "hostile", &component("hostile", "2"), 2).await;
    activate(&first, "hostile", json!({ "version": 1 })).await;
    first.terminate();
    first.ended().await;

    // As the runbook says: the records are copied, and the host goes on in its folder as a node.
    let (server, nats) = (Server::start(&[]), NatsServer::start());
    let (copied, said) = copy(&["--from", &first.data_dir().display().to_string(), "--to", &server.url()]);
    assert!(copied, "{said}");
    let port = free_port();
    let config = |node, roles, port| {
        let (url, nats, store) = (&format!("ws://127.0.0.1:{port}"), &nats.url(), &server.url());
        node_config(&NodeConfig { config: CONFIG, cluster: "scenehost", node, roles, url, nats, store })
    };
    first.rewrite(&config(1, r#""auth", "db", "lobby", "match", "scene-master""#, 1));
    first.restart();
    let listen = format!("127.0.0.1:{port}");
    let second = Host::start_with(&config(2, r#""scene-service""#, port), &["--listen", &listen]);
    for host in [&first, &second] {
        within("all services up", until("it is", async || status(host).await["down"] == json!([]))).await;
        let shown = show(host, "hostile").await;
        assert_eq!((&shown["active"], shown["versions"].as_array().map(Vec::len)), (&json!(1), Some(2)), "{shown}");
    }

    let ada = sign_in_as(&first, &devices[0], "Ada", Encoding::Proto).await;
    assert_eq!(ada.session().user_id, user);
    let grace = sign_in_as(&first, &devices[1], "Grace", Encoding::Json).await;
    let mut players = enter(vec![ada, grace], "pair").await;
    players[0].echo("on a node that has never been given a component").await;
    let shown = show(&second, "hostile").await;
    assert_eq!(shown["versions"][0]["scenes"], json!(1), "{shown}");
}
