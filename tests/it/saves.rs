//! What games save while the store cannot be written: it is made once when it can be again, or the game ends, as its
//! fleet says.

use std::collections::BTreeSet;
use std::time::Duration;

use forgetful::FULL;
use scenehost_client::v1::req_shop::{Ask, History, Wallet};
use scenehost_client::v1::syn_scene_ended::Reason;
use scenehost_client::{Encoding, Lobby, LobbyEvent, SceneEvent};

use crate::host::{Host, until, within};
use crate::player::{Player, device, enter, gather, lobby_ended, scene_ended, sign_in_as};

const CONFIG: &str = r#"
[server]
scenes_max = 16
scene_threads = 1
drain_ms = 0

[economy]
catalogue = "catalogue.toml"

[fleets.patient]
plugin = "hostile"
configuration = { grants = "coin" }

[fleets.strict]
plugin = "hostile"
configuration = { grants = "coin" }
scene = { on_db_down = "end" }

[fleets.arena]
plugin = "arena"
configuration = { round_s = 4, prize = { name = "coin", count = 3 } }
scene = { tick_rate_hz = 20, on_db_down = "end" }

[domains.patient]
fleet = "patient"
players_min = 2
players_max = 2

[domains.strict]
fleet = "strict"
players_min = 2
players_max = 2

[domains.arena]
fleet = "arena"
players_min = 2
players_max = 2
"#;

/// Has a scene save something.
async fn save(player: &mut Player, text: &str) {
    player.scene.send(text.to_owned()).await.expect("the scene's connection is open");
}

/// The next word of a scene.
async fn heard(player: &mut Player) -> String {
    within("the answer to a save", async {
        loop {
            match player.scene.next().await.expect("the scene goes on") {
                SceneEvent::Message(body) => return String::from_utf8(body.to_vec()).expect("text"),
                SceneEvent::Pong { .. } => {}
                other => panic!("an answer was expected, {other:?} came"),
            }
        }
    })
    .await
}

async fn is_down(host: &Host) {
    until("the store to be down", async || host.metrics().await.get("scenehost_store_up") == 0.0).await;
}

async fn under_way(host: &Host, saves: f64) {
    let is_so = async || host.metrics().await.get("scenehost_saves_under_way") == saves;
    until("so many saves to be under way", is_so).await;
}

/// How many coins a user has, and by how many grants, as soon as the lobby has heard that Db is up.
async fn coins(lobby: &Lobby) -> (u64, usize) {
    let mut entries = None;
    until("the ledger", async || {
        entries = lobby.shop(Ask::History(History::default())).await.ok().map(|shown| shown.entries);
        entries.is_some()
    })
    .await;
    let wallet = lobby.shop(Ask::Wallet(Wallet {})).await.expect("one's own");
    (wallet.balances["coin"], entries.map_or(0, |entries| entries.len()))
}

#[tokio::test]
async fn what_is_saved_while_nothing_can_be_written_is_made_once_and_answered_when_that_is_over() {
    let mut host = Host::start_on_noted_disk(CONFIG);
    let ada = device();
    let lobbies = vec![
        sign_in_as(&host, &ada, "Ada", Encoding::Proto).await,
        sign_in_as(&host, &device(), "Bob", Encoding::Proto).await,
    ];
    let ada_id = lobbies[0].session().user_id;
    let mut players = enter(lobbies, "patient").await;
    players.sort_by_key(|player| player.lobby.session().user_id != ada_id);
    save(&mut players[0], "before").await;
    assert_eq!(heard(&mut players[0]).await, "granted 1");
    host.disk_is("data", FULL, true);
    // This one is on its way to the disk; Db does not say whether it was made, and is asked again.
    save(&mut players[0], "on its way").await;
    is_down(&host).await;
    save(&mut players[0], "after that").await;
    under_way(&host, 2.0).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    under_way(&host, 2.0).await;

    host.disk_is("data", FULL, false);
    let answers = BTreeSet::from([heard(&mut players[0]).await, heard(&mut players[0]).await]);
    assert_eq!(answers, ["granted 2", "granted 3"].map(str::to_owned).into());
    under_way(&host, 0.0).await;
    assert_eq!(coins(&players[0].lobby).await, (3, 3), "each once");
    save(&mut players[0], "afterwards").await;
    assert_eq!(heard(&mut players[0]).await, "granted 4");
    drop(players);
    host.power_failure();
    host.restart_on_noted_disk();
    let lobby = sign_in_as(&host, &ada, "Ada", Encoding::Proto).await;
    assert_eq!(coins(&lobby).await, (4, 4), "what was answered is there");
    let (is_right, report) = host.store(&["check"]);
    assert!(is_right, "{report}");
}

#[tokio::test]
async fn a_game_that_may_not_wait_for_the_store_ends_with_the_reason_and_hurts_no_other() {
    let host = Host::start_on_noted_disk(CONFIG);
    let mut strict = gather(&host, "strict", 2).await;
    let mut patient = gather(&host, "patient", 2).await;
    save(&mut strict[0], "before").await;
    assert_eq!(heard(&mut strict[1]).await, "granted 1");
    host.disk_is("data", FULL, true);
    save(&mut patient[0], "a neighbour's").await;
    is_down(&host).await;
    for text in ["one", "another"] {
        save(&mut strict[0], text).await;
    }
    let mut ends = Vec::new();
    for player in &mut strict {
        let ended = scene_ended(&mut player.scene).await;
        assert_eq!(ended.reason(), Reason::Crashed);
        assert!(ended.text.contains("nothing can be saved now"), "{ended:?}");
        ends.push(ended);
    }
    assert_eq!(host.metrics().await.get("scenehost_store_up"), 0.0, "they are told at once");
    under_way(&host, 1.0).await;

    host.disk_is("data", FULL, false);
    for player in &mut patient {
        assert_eq!(heard(player).await, "granted 1");
    }
    for (player, ended) in strict.iter().zip(ends) {
        assert_eq!(lobby_ended(&player.lobby).await, ended, "both connections tell the same");
    }
    let lobbies = strict.into_iter().map(|player| player.lobby).collect();
    let mut strict = enter(lobbies, "strict").await;
    save(&mut strict[0], "anew").await;
    assert_eq!(heard(&mut strict[1]).await, "granted 1");
    let (is_right, report) = host.store(&["check"]);
    assert!(is_right, "{report}");
}

#[tokio::test]
async fn the_prize_of_a_game_that_has_ended_meanwhile_is_given_once() {
    let host = Host::start_on_noted_disk(CONFIG);
    let mut patient = gather(&host, "patient", 2).await;
    let mut players = gather(&host, "arena", 2).await;
    host.disk_is("data", FULL, true);
    save(&mut patient[0], "a neighbour's").await;
    is_down(&host).await;
    for player in &mut players {
        player.hear("over").await;
    }
    under_way(&host, 2.0).await;
    host.disk_is("data", FULL, false);
    for player in &mut players {
        assert_eq!(scene_ended(&mut player.scene).await.reason(), Reason::Finished);
        let wallet = within("word of the prize", async {
            loop {
                if let LobbyEvent::Wallet(wallet) = player.lobby.next().await.expect("the lobby goes on") {
                    return wallet;
                }
            }
        });
        assert_eq!(wallet.await.balances, [("coin".to_owned(), 3)].into());
    }
    under_way(&host, 0.0).await;
    for player in &players {
        assert_eq!(coins(&player.lobby).await, (3, 1));
    }
}

#[tokio::test]
async fn a_host_that_stops_before_a_save_could_be_made_says_so() {
    let mut host = Host::start_on_noted_disk(CONFIG);
    let mut players = gather(&host, "patient", 2).await;
    host.disk_is("data", FULL, true);
    save(&mut players[0], "lost").await;
    is_down(&host).await;
    host.terminate();
    host.ended().await;
    let told = host.logged("what games have saved is lost: the store could not be written until the end");
    assert_eq!(told[0]["fields"]["never_made"], 1, "{told:?}");
}
