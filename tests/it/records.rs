//! Profiles and stored records: by users, by operators, over a restart, and gone with the account.

use scenehost_client::{Encoding, Error, Lobby, LobbyEvent, Owner, v1};
use serde_json::{Value, json};

use crate::host::{Host, OPS_TOKEN, until, within};
use crate::player::{device, sign_in, sign_in_as};

const GOMOKU: &str = r#"
[fleets.gomoku]
plugin = "gomoku"

[storage]
per_user = 3
"#;

fn change(key: &str, value: &[u8]) -> v1::RecordChange {
    v1::RecordChange { key: key.to_owned(), value: Some(value.to_vec().into()), ..v1::RecordChange::default() }
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> v1::Code {
    match result {
        Err(Error::Refused(refused)) => refused.code(),
        other => panic!("not refused: {other:?}"),
    }
}

/// What an operator asks, and is answered, in frames of the protocol.
async fn ask(host: &Host, frame: Value) -> (u16, Value) {
    let bearer = format!("Bearer {OPS_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer = host.ops("POST", "/v1/ask", &headers, &frame.to_string()).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body)))
}

async fn own(lobby: &Lobby, key: &str) -> Option<v1::StoredRecord> {
    lobby.read_records("gomoku", Owner::Own, vec![key.to_owned()]).await.unwrap().pop()
}

#[tokio::test]
async fn what_users_and_the_game_store_is_there_after_a_kill() {
    let mut host = Host::start(GOMOKU);
    let device = device();
    let ada = sign_in_as(&host, &device, "Ada", Encoding::Json).await;
    let ben = sign_in(&host, "Ben").await;
    let (ada_id, ben_id) = (ada.session().user_id, ben.session().user_id);

    let profile = v1::req_profile::Change { status: Some("here".to_owned()), ..Default::default() };
    assert_eq!(ada.change_profile(profile).await.unwrap().status, "here");
    let seen = ben.profiles(vec![ada_id.clone(), "0".repeat(16), ben_id]).await.unwrap();
    let names: Vec<(&str, &str)> = seen.iter().map(|it| (it.name.as_str(), it.status.as_str())).collect();
    assert_eq!(names, [("Ada", "here"), ("Ben", "")]);
    assert_eq!(code(ben.profiles(vec!["ada".to_owned()]).await), v1::Code::Invalid);

    let version = ada.write_records("gomoku", vec![change("deck", b"1")]).await.unwrap()[0];
    let stale = v1::RecordChange { if_version: Some(version - 1), ..change("deck", b"2") };
    assert_eq!(code(ada.write_records("gomoku", vec![stale]).await), v1::Code::Conflict);
    assert_eq!(code(ada.write_records("chess", vec![change("deck", b"2")]).await), v1::Code::NotFound);
    assert!(ben.read_records("gomoku", Owner::User(&ada_id), vec!["deck".to_owned()]).await.unwrap().is_empty());

    // The game's own backend writes for the user, who hears of it, and for the game, which all may read.
    let write = |owner: &str, key: &str| {
        let change = json!({"key": key, "value": "Mg==", "readers": "RECORD_READERS_ALL"});
        json!({"request": 5, "reqRecords": {"game": "gomoku", "owner": owner, "write": {"changes": [change]}}})
    };
    let (status, answer) = ask(&host, write(&ada_id, "prize")).await;
    assert_eq!((status, answer["request"].as_u64()), (200, Some(5)), "{answer}");
    let news = within("news of the prize", async {
        loop {
            if let Some(LobbyEvent::Records(news)) = ada.next().await {
                return news;
            }
        }
    });
    assert_eq!(news.await.keys, ["prize"]);
    assert_eq!(ask(&host, write("game", "season")).await.0, 200);
    until("the audit", async || host.logged("an operator changes a record").len() == 2).await;
    let audited = &host.logged("an operator changes a record")[0]["fields"];
    assert_eq!((audited["key"].as_str(), audited["bytes"].as_u64()), (Some(r#""prize""#), Some(1)), "{audited}");
    assert!(audited["whose"].as_str().is_some_and(|whose| whose.contains("User")), "{audited}");
    assert_eq!(ask(&host, json!({"reqRecords": {"game": "chess", "list": {}}})).await.0, 400, "whose, of an operator");
    assert_eq!(ask(&host, json!({"reqMatch": {"domain": "gomoku"}})).await.0, 400, "not of Db");

    host.kill9();
    host.restart();
    let ada = sign_in_as(&host, &device, "Ada", Encoding::Proto).await;
    let deck = own(&ada, "deck").await.expect("it was acknowledged");
    assert_eq!((&deck.value[..], deck.version), (&b"1"[..], version));
    assert_eq!(&own(&ada, "prize").await.unwrap().value[..], b"2");
    let season = ada.read_records("gomoku", Owner::Game, vec!["season".to_owned()]).await.unwrap();
    assert_eq!(season.len(), 1);
    assert_eq!(ada.list_records("gomoku", "").await.unwrap(), (vec!["deck".to_owned(), "prize".to_owned()], false));
    ada.write_records("gomoku", vec![change("third", b"3")]).await.unwrap();
    assert_eq!(code(ada.write_records("gomoku", vec![change("fourth", b"4")]).await), v1::Code::Invalid);
}
