//! A host whose store is in PostgreSQL: everything is there after kill -9, one at a time writes, and a database that is
//! away for a while is waited for.

use std::path::Path;

use passing_postgres::{Server, Stop};
use scenehost_client::{Encoding, Lobby, LobbyEvent, v1};
use v1::req_shop::{Ask, Buy, Wallet};

use crate::host::{Host, binary, until, within};
use crate::player::{device, enter, sign_in_as};

const CATALOGUE: &str = r#"
[currencies.coin]
max = 100
[items.hat]
max = 2
[offers.hat]
title = "A fine hat"
price = { coin = 10 }
gives = { hat = 1 }
stock = 1
"#;

fn config(server: &Server, catalogue: &Path) -> String {
    std::fs::write(catalogue, CATALOGUE).expect("the folder is writable");
    format!(
        "[store]
kind = \"postgres\"
url = {:?}
connections = 4
[economy]
catalogue = {:?}
[fleets.arena]
plugin = \"arena\"
configuration = {{ round_s = 1, prize = {{ name = \"coin\", count = 12 }} }}
scene = {{ tick_rate_hz = 20 }}
[domains.arena]
fleet = \"arena\"
players_min = 2
players_max = 2
",
        server.url(),
        catalogue.display().to_string()
    )
}

async fn prize(lobby: &Lobby) -> u64 {
    let told = within("word of the prize", async {
        loop {
            if let LobbyEvent::Wallet(wallet) = lobby.next().await.expect("the lobby goes on") {
                return wallet;
            }
        }
    });
    told.await.balances["coin"]
}

async fn wallet(lobby: &Lobby) -> Vec<(String, u64)> {
    let shown = lobby.shop(Ask::Wallet(Wallet {})).await.expect("one's own").balances;
    let mut balances: Vec<_> = shown.into_iter().collect();
    balances.sort_unstable();
    balances
}

/// Runs `scenehost store copy`: whether that went well, and what it said.
pub fn copy(arguments: &[&str]) -> (bool, String) {
    let output = std::process::Command::new(binary()).args(["store", "copy"]).args(arguments).output();
    let output = output.expect("the binary can be run");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    (output.status.success(), said.concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_played_won_and_bought_is_there_after_a_crash_and_can_be_taken_along() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut host = Host::start(&config(&server, &folder.path().join("catalogue.toml")));
    let devices = [device(), device()];
    let ada = sign_in_as(&host, &devices[0], "Ada", Encoding::Proto).await;
    let grace = sign_in_as(&host, &devices[1], "Grace", Encoding::Json).await;
    let ada_s = ada.session().user_id;
    let players = enter(vec![ada, grace], "arena").await;
    // In the order of seats, which are drawn.
    let device = if players[0].lobby.session().user_id == ada_s { &devices[0] } else { &devices[1] };
    for player in &players {
        assert_eq!(prize(&player.lobby).await, 12, "a draw");
    }
    let buy = || Ask::Buy(Buy { offer: "hat".to_owned(), count: 1, request_id: "b".to_owned() });
    let bought = players[0].lobby.shop(buy()).await.expect("it is paid for");
    assert_eq!(wallet(&players[0].lobby).await, [("coin".to_owned(), 2), ("hat".to_owned(), 1)]);
    let user = players[0].lobby.session().user_id;

    let (is_right, report) = host.store(&["check"]);
    assert!(is_right && report.contains("schema scenehost is right"), "also while it runs: {report}");
    for command in ["backup", "list", "restore"] {
        let (done, said) = host.store(&[command]);
        assert!(!done && said.contains("pg_dump"), "{command}: {said}");
    }
    host.kill9();
    assert!(!host.data_dir().join("store").exists(), "nothing of it is in the folder");
    host.restart();
    assert!(!host.logged("waiting until the lease of the host before has run out").is_empty(), "{}", host.log());
    let ada = sign_in_as(&host, device, "Ada", Encoding::Json).await;
    assert_eq!(ada.session().user_id, user);
    assert_eq!(ada.shop(buy()).await.expect("it was made"), bought, "once");
    assert_eq!(wallet(&ada).await, [("coin".to_owned(), 2), ("hat".to_owned(), 1)]);

    // To a folder for RocksDB, and a host on that.
    let url = server.url();
    let copied = folder.path().join("data").display().to_string();
    let (done, said) = copy(&["--from", &url, "--to", &copied]);
    assert!(!done && said.contains("stop the host, then copy"), "{said}");
    host.terminate();
    host.ended().await;
    let (done, said) = copy(&["--from", &url, "--to", &copied]);
    assert!(done && said.contains(" records, ") && said.contains("SHA-256"), "{said}");
    let back = format!("{url}?application_name=back");
    let (done, said) = copy(&["--from", &copied, "--to", &back]);
    assert!(!done && said.contains("not empty"), "{said}");
    let without = "[economy]\ncatalogue = \"catalogue.toml\"\n";
    let other = Host::start_with(without, &["--data-dir", &copied]);
    let ada = sign_in_as(&other, device, "Ada", Encoding::Proto).await;
    assert_eq!((ada.session().user_id, wallet(&ada).await[0].1), (user, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_host_at_a_time_writes_and_a_database_that_is_away_is_waited_for() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = config(&server, &folder.path().join("catalogue.toml"));
    let mut host = Host::start(&config);
    let refused = tokio::task::block_in_place(|| Host::fails(&config, &[]));
    assert!(refused.text.contains("another host uses this database"), "{}", refused.text);

    let first = sign_in_as(&host, &device(), "Ada", Encoding::Proto).await;
    tokio::task::block_in_place(|| server.stop(Stop::Immediate));
    until("the host to say so", async || host.health().await.0 == 503).await;
    tokio::time::sleep(std::time::Duration::from_secs(6)).await; // Its lease would have run out.
    tokio::task::block_in_place(|| server.restart());
    until("the host to be well", async || host.health().await.0 == 200).await;
    let again = device();
    let grace = sign_in_as(&host, &again, "Grace", Encoding::Proto).await;
    assert!(wallet(&grace).await.is_empty() && wallet(&first).await.is_empty());

    // Somebody has taken its place behind its back: it writes nothing more, and stops.
    server.sql("UPDATE scenehost.units SET epoch = epoch + 1");
    let credential = scenehost_client::Credential::Guest { device_id: device(), name: "Late".to_owned() };
    let late = Lobby::connect(&host.url(), credential, crate::player::without_return(Encoding::Proto)).await;
    assert!(late.is_err(), "who comes now is not acknowledged");
    let status = host.ended().await;
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(host.log().contains("is not this node's any more"), "{}", host.log());
}
