//! How the host stops: it drains, running games may end, everybody is told, and it ends with 0.

use scenehost_client::{Credential, Encoding, Error, Lobby, LobbyEvent, v1};
use scenehost_protocol::v1::syn_scene_ended::Reason;
use serde_json::json;

use crate::host::{Host, OPS_TOKEN, until, within};
use crate::player::{Player, closed_with, device, gather, refusal, scene_ended, sign_in, without_return};

/// Gomoku on a host that drains for so long.
fn config(drain_ms: u64) -> String {
    format!(
        r#"
[server]
scenes_max = 64
scene_threads = 2
drain_ms = {drain_ms}

[fleets.gomoku]
plugin = "gomoku"
scene = {{ stop_grace_ms = 300 }}

[domains.gomoku]
fleet = "gomoku"
players_min = 2
players_max = 2
"#
    )
}

async fn stops(host: &Host) {
    host.terminate();
    until("the host to say that it stops", async || host.health().await == (503, "stopping\n".to_owned())).await;
}

/// The last thing that a lobby connection hears.
async fn closing(player: &Player) -> v1::Code {
    let told = within("the lobby's last word", async {
        loop {
            match player.lobby.next().await {
                // The client would try again: a host that stops may be started again.
                Some(LobbyEvent::Dropped { why, .. }) => return closed_with(&why),
                Some(_) => {}
                None => panic!("the lobby's connection ended without a word: {:?}", player.lobby.end()),
            }
        }
    });
    told.await
}

async fn ended_by_itself(host: &mut Host) {
    let status = host.ended().await;
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(host.logged("stopped").len(), 1);
}

#[tokio::test]
async fn a_host_that_stops_takes_no_new_matches_and_ends_games_after_the_drain() {
    let mut host = Host::start(&config(2_000));
    let mut players = gather(&host, "gomoku", 2).await;
    let waiting = sign_in(&host, "Waiting").await;
    let search = waiting.find_match("gomoku");
    let stop = async {
        until("the search to begin", async || matches!(waiting.next().await, Some(LobbyEvent::MatchState(_)))).await;
        stops(&host).await;
    };
    let (search, ()) = tokio::join!(search, stop);
    assert_eq!(refusal(search).code(), v1::Code::Stopping, "a search is given back");
    assert_eq!(refusal(waiting.find_match("gomoku").await).code(), v1::Code::Stopping);
    let bearer = format!("Bearer {OPS_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let backup = host.ops("POST", "/v1/store/backup", &headers, "{}").await;
    assert!(backup.status == 503 && backup.body.contains("stopping"), "{}", backup.body);
    players[0].say(&json!({"type": "offer_draw"})).await;
    players[0].hear("draw_offered").await;

    for player in &mut players {
        let ended = player.ended().await;
        assert_eq!((ended.reason(), ended.results.len()), (Reason::Stopped, 0));
        assert_eq!(closing(player).await, v1::Code::Stopping);
    }
    ended_by_itself(&mut host).await;
}

#[tokio::test]
async fn a_game_that_hears_of_the_stop_may_still_give_its_result() {
    let mut host = Host::start(&config(0));
    let mut players = gather(&host, "gomoku", 2).await;
    players[1].say(&json!({"type": "resign"})).await;
    for player in &mut players {
        player.hear("over").await;
    }
    host.terminate();
    for player in &mut players {
        let ended = scene_ended(&mut player.scene).await;
        let places: Vec<u32> = ended.results.iter().map(|result| result.place).collect();
        assert_eq!((ended.reason(), places), (Reason::Stopped, vec![1, 2]));
    }
    ended_by_itself(&mut host).await;
}

#[tokio::test]
async fn games_that_end_during_the_drain_end_the_host() {
    let mut host = Host::start(&config(600_000));
    let mut players = gather(&host, "gomoku", 2).await;
    stops(&host).await;
    let leaver = players.pop().expect("two");
    leaver.scene.leave().await.expect("anyone may leave");
    let ended = players[0].ended().await;
    assert_eq!(ended.reason(), Reason::Finished, "a game may be played to its end");
    ended_by_itself(&mut host).await;
}

#[tokio::test]
async fn a_second_signal_ends_running_games_at_once() {
    let mut host = Host::start(&config(600_000));
    let mut players = gather(&host, "gomoku", 2).await;
    stops(&host).await;
    host.terminate();
    for player in &mut players {
        assert_eq!(player.ended().await.reason(), Reason::Stopped);
    }
    ended_by_itself(&mut host).await;
}

#[tokio::test]
async fn a_host_with_nothing_to_do_stops_at_once_and_its_data_is_whole() {
    let mut host = Host::start(&config(600_000));
    let options = without_return(Encoding::Proto);
    let guest = Credential::Guest { device_id: device(), name: "Ada".to_owned() };
    let ada = Lobby::connect(&host.url(), guest, options.clone()).await.expect("a guest may sign in");
    let session = ada.session();
    host.terminate();
    ended_by_itself(&mut host).await;
    within("the lobby's end", async { while ada.next().await.is_some() {} }).await;
    assert!(matches!(ada.find_match("gomoku").await, Err(Error::Closed)));
    host.restart();
    let credential = Credential::Session(session.session_token);
    let again = Lobby::connect(&host.url(), credential, options).await.expect("the session lives");
    assert_eq!(again.session().user_id, session.user_id);
}
