//! The door of a scene: one token, one seat, once, in time.

use std::time::Duration;

use scenehost_client::{Encoding, Match, Scene, v1};
use scenehost_protocol::v1::server_frame::Body;

use crate::host::{Host, http, until};
use crate::player::{enter, matched, options, refusal, sign_in};
use crate::raw::{Raw, join, ping, scene_path, upgrade};

const ECHO: &str = r#"
[server]
scenes_max = 64
scene_threads = 2

[fleets.echo]
plugin = "hostile"

[domains.solo]
fleet = "echo"
players_min = 1
players_max = 1
"#;

async fn seat(host: &Host) -> Match {
    let lobby = sign_in(host, "Ada").await;
    // The seat is the user's, with or without the lobby.
    matched(&[lobby], "solo").await.remove(0)
}

async fn refused(raw: &mut Raw, token: &str) -> v1::Code {
    raw.refused(join(token)).await.code()
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_the_right_one_still_works() {
    let host = Host::start(ECHO);
    let [mine, other] = [seat(&host).await, seat(&host).await];
    let mut raw = Raw::scene(&host, &mine.scene_id, Encoding::Proto).await;
    let zeros = format!("{}.{}", mine.scene_id, "0".repeat(64));
    assert_eq!(refused(&mut raw, &zeros).await, v1::Code::BadToken);
    assert_eq!(refused(&mut raw, &other.scene_token).await, v1::Code::BadToken, "a token of another scene");
    for malformed in ["", ".", "a.b", &mine.scene_id, &mine.scene_token[1..], "ä.ß", &"x".repeat(10_000)] {
        assert_eq!(refused(&mut raw, malformed).await, v1::Code::BadToken, "{malformed:?}");
    }
    let answer = raw.ask(join(&mine.scene_token)).await;
    assert!(matches!(answer, Body::ResJoinScene(_)), "{answer:?}");
}

#[tokio::test]
async fn a_token_opens_its_seat_once() {
    let host = Host::start(ECHO);
    let mine = seat(&host).await;
    let mut inside = Raw::inside(&host, &mine, Encoding::Json).await;
    assert_eq!(refusal(Scene::join(&mine, &options(Encoding::Proto)).await).code(), v1::Code::BadToken);
    assert_eq!(refused(&mut inside, &mine.scene_token).await, v1::Code::OutOfOrder);
    let answer = inside.ask(ping(7)).await;
    assert!(matches!(answer, Body::Pong(pong) if pong.payload == 7), "who is inside does not notice: {answer:?}");
}

#[tokio::test]
async fn a_token_is_refused_after_its_time_and_a_new_one_opens() {
    let host = Host::start(&format!("{ECHO}\n[fleets.echo.scene]\ntoken_ms = 1000\n"));
    let player = enter(vec![sign_in(&host, "Ada").await], "solo").await.remove(0);
    drop(player.scene);
    let late = player.lobby.rejoin().await.expect("the seat is kept");
    assert_eq!(late.token_expires_in, Duration::from_secs(1));
    tokio::time::sleep(late.token_expires_in + Duration::from_millis(200)).await;
    let refused = refusal(Scene::join(&late, &options(Encoding::Proto)).await);
    assert_eq!(refused.code(), v1::Code::TokenExpired);
    assert!(refused.text.contains("req_rejoin"), "the text says what to do: {}", refused.text);
    // On a machine that stands still for a second, a token may be late once more.
    until("a new token to open", async || {
        let way_in = player.lobby.rejoin().await.expect("the seat is kept");
        Scene::join(&way_in, &options(Encoding::Proto)).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_newer_token_ends_the_older_one() {
    let host = Host::start(ECHO);
    let player = enter(vec![sign_in(&host, "Ada").await], "solo").await.remove(0);
    let [older, newer] = [player.lobby.rejoin().await, player.lobby.rejoin().await].map(|seat| seat.expect("a seat"));
    assert_eq!(refusal(Scene::join(&older, &options(Encoding::Proto)).await).code(), v1::Code::BadToken);
    let scene = Scene::join(&newer, &options(Encoding::Proto)).await.expect("the newest token opens");
    assert_eq!(scene.info().seat, player.scene.info().seat);
}

#[tokio::test]
async fn a_scene_that_does_not_exist_is_said_to_have_ended() {
    let host = Host::start(ECHO);
    let unknown = "00000000000000ab";
    let mut raw = Raw::scene(&host, unknown, Encoding::Proto).await;
    let token = format!("{unknown}.{}", "0".repeat(64));
    assert_eq!(refused(&mut raw, &token).await, v1::Code::SceneEnded);

    let headers = [("sec-websocket-protocol", Encoding::Proto.subprotocol())];
    let no_id = upgrade(host.address(), &scene_path("arena"), &headers).await.expect_err("no scene's id");
    assert_eq!(no_id.status, 404);
    assert!(no_id.text.contains("16 hexadecimal digits"), "{}", no_id.text);
    let no_upgrade = http(host.address(), "GET", &scene_path(unknown), &headers, "").await;
    assert_eq!(no_upgrade.status, 426);
}
