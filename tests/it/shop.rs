//! The shop against the real binary: what is granted and bought is there after a crash, once, and the catalogue can be
//! another while the host runs.

use scenehost_client::{Encoding, Lobby, LobbyEvent, v1};
use serde_json::{Value, json};
use v1::ledger_entry::Kind;
use v1::req_shop::{Ask, Buy, Change, History, Offers, Wallet};

use crate::host::{Host, OPS_TOKEN, until, within};
use crate::player::{device, gather, refusal, sign_in_as};

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

fn host(folder: &std::path::Path, catalogue: &str) -> Host {
    let file = folder.join("catalogue.toml");
    std::fs::write(&file, catalogue).expect("the folder is writable");
    Host::start(&format!("[economy]\ncatalogue = {:?}\n", file.display().to_string()))
}

fn buy(request: &str) -> Ask {
    Ask::Buy(Buy { offer: "hat".to_owned(), count: 1, request_id: request.to_owned() })
}

async fn ask_as_operator(host: &Host, frame: Value) -> Value {
    let bearer = format!("Bearer {OPS_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer = host.ops("POST", "/v1/ask", &headers, &frame.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).expect("a frame")
}

async fn offer(lobby: &Lobby) -> v1::ShopOffer {
    let shown = lobby.shop(Ask::Offers(Offers::default())).await.expect("everybody may look");
    shown.offers.into_iter().next().expect("there is one")
}

#[tokio::test]
async fn what_is_bought_is_there_once_after_a_crash_and_the_catalogue_can_be_another() {
    let folder = tempfile::tempdir().expect("there is room");
    let mut host = host(folder.path(), CATALOGUE);
    let devices = [device(), device()];
    let ada = sign_in_as(&host, &devices[0], "Ada", Encoding::Proto).await;
    let grace = sign_in_as(&host, &devices[1], "Grace", Encoding::Json).await;
    assert_eq!(offer(&ada).await.why(), v1::shop_offer::Why::CannotPay);

    for lobby in [&ada, &grace] {
        let user = lobby.session().user_id;
        let grant = json!({ "amounts": { "coin": "15" }, "note": "welcome", "requestId": "w" });
        let frame = json!({ "request": 1, "reqShop": { "userId": user, "grant": grant } });
        let made = ask_as_operator(&host, frame.clone()).await;
        assert_eq!(made["resShop"]["balances"]["coin"], "15", "{made}");
        assert_eq!(ask_as_operator(&host, frame).await, made, "once");
        let told = within("word of the grant", async {
            loop {
                if let LobbyEvent::Wallet(wallet) = lobby.next().await.expect("the lobby goes on") {
                    return wallet;
                }
            }
        });
        assert_eq!(told.await.entry.expect("it is told").note, "welcome");
    }
    let forbidden = Ask::Grant(Change { request_id: "g".to_owned(), ..Default::default() });
    assert_eq!(refusal(ada.shop(forbidden).await).code(), v1::Code::Invalid, "users name nobody");

    let bought = ada.shop(buy("b")).await.expect("it is paid for");
    assert_eq!(bought.balances, [("coin".to_owned(), 5), ("hat".to_owned(), 1)].into());
    let sold_out = refusal(grace.shop(buy("b")).await);
    assert_eq!(sold_out.code(), v1::Code::Conflict);
    assert_eq!(offer(&grace).await.why(), v1::shop_offer::Why::SoldOut);

    host.kill9();
    let (is_right, report) = host.store(&["check"]);
    assert!(is_right, "{report}");
    host.restart();
    let ada = sign_in_as(&host, &devices[0], "Ada", Encoding::Json).await;
    assert_eq!(ada.shop(buy("b")).await.expect("it was made"), bought, "once");
    let history = ada.shop(Ask::History(History::default())).await.expect("one's own").entries;
    assert_eq!(history.iter().map(|entry| entry.number).collect::<Vec<_>>(), [2, 1]);
    let wallet = ada.shop(Ask::Wallet(Wallet {})).await.expect("one's own");
    assert_eq!(wallet.balances, bought.balances);

    // One that is not right changes nothing; one that is right is sold from.
    let file = folder.path().join("catalogue.toml");
    std::fs::write(&file, CATALOGUE.replace("stock = 1", "stock = 0")).expect("writable");
    until("the error is told", async || host.log().contains("the one before it stays")).await;
    assert_eq!(offer(&ada).await.title, "A fine hat");
    std::fs::write(&file, CATALOGUE.replace("A fine hat", "A finer hat")).expect("writable");
    until("it is read again", async || host.log().contains("the catalogue was read again")).await;
    assert_eq!(offer(&ada).await.title, "A finer hat");
}

#[test]
fn a_catalogue_that_is_not_right_is_told_at_the_start() {
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("catalogue.toml");
    std::fs::write(&file, CATALOGUE.replace("coin = 10", "crown = 10")).expect("writable");
    let config = format!("[economy]\ncatalogue = {:?}\n", file.display().to_string());
    let failed = Host::fails(&config, &[]);
    assert!(failed.text.contains("[offers.hat]: price: there is no currency or item \"crown\""), "{}", failed.text);
}

#[tokio::test]
async fn a_scene_gives_its_winners_their_prize() {
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("catalogue.toml");
    std::fs::write(&file, CATALOGUE).expect("writable");
    let mut host = Host::start(&format!(
        "[economy]
catalogue = {:?}
[fleets.arena]
plugin = \"arena\"
configuration = {{ round_s = 1, prize = {{ name = \"coin\", count = 3 }} }}
scene = {{ tick_rate_hz = 20 }}
[domains.arena]
fleet = \"arena\"
players_min = 2
players_max = 2
",
        file.display().to_string()
    ));
    let players = gather(&host, "arena", 2).await;
    for player in &players {
        let told = within("word of the prize", async {
            loop {
                if let LobbyEvent::Wallet(wallet) = player.lobby.next().await.expect("the lobby goes on") {
                    return wallet;
                }
            }
        });
        let told = told.await;
        let entry = told.entry.expect("it is told");
        assert_eq!((entry.kind(), entry.postings[1].account.as_str()), (Kind::Grant, "game/arena"), "a draw");
        assert_eq!(told.balances, [("coin".to_owned(), 3)].into());
    }
    host.kill9();
    let (is_right, report) = host.store(&["check"]);
    assert!(is_right, "{report}");
}
