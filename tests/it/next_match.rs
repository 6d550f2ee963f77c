//! What running games want of matching: players for their empty places, and the next match for users who are done.

use scenehost_client::v1::syn_match_state::State;
use scenehost_client::v1::syn_scene_ended::Reason;
use scenehost_client::{Encoding, LobbyEvent, Match, Scene};
use serde_json::json;

use crate::host::{Host, within};
use crate::player::{Player, gather, lobby_ended, matched, options, scene_ended, sign_in};

const TABLES: &str = r#"
[node]
region = "eu"

[fleets.gomoku]
plugin = "gomoku"

[domains.gomoku]
fleet = "gomoku"
players_min = 2
players_max = 2

[fleets.echo]
plugin = "hostile"
configuration = { seeks = 1 }

[domains.echo]
fleet = "echo"
players_min = 2
players_max = 2
"#;

/// Two at a table whose game is over: seat 0 has won.
async fn over(host: &Host) -> [Player; 2] {
    let mut players = gather(host, "gomoku", 2).await;
    for player in &mut players {
        player.hear("state").await;
    }
    players[1].say(&json!({ "type": "resign" })).await;
    players[0].hear("over").await;
    players.try_into().ok().expect("two")
}

/// Waits until the lobby looks for a match for which the user has not asked; what was told of the one before is heard
/// already.
async fn searching(player: &Player) {
    within("the search", async {
        loop {
            match player.lobby.next().await {
                Some(LobbyEvent::MatchState(state)) if state.state() == State::Searching => {
                    return assert_eq!(state.domain, "gomoku");
                }
                Some(LobbyEvent::Gone(why)) => panic!("gone: {why}"),
                Some(_) => {}
                None => panic!("the lobby's connection ended"),
            }
        }
    })
    .await;
}

async fn found(player: &Player) -> Match {
    within("the next match", async {
        loop {
            match player.lobby.next().await {
                Some(LobbyEvent::Match(seat)) => return seat,
                Some(LobbyEvent::Gone(why)) => panic!("gone: {why}"),
                Some(_) => {}
                None => panic!("the lobby's connection ended"),
            }
        }
    })
    .await
}

#[tokio::test]
async fn who_wants_a_new_opponent_is_in_the_next_match_without_asking_for_it() {
    let host = Host::start(TABLES);
    let [mut ada, mut bob] = over(&host).await;
    ada.say(&json!({ "type": "new_opponent" })).await;
    assert_eq!(scene_ended(&mut ada.scene).await.reason(), Reason::NextMatch);
    assert_eq!(lobby_ended(&ada.lobby).await.reason(), Reason::NextMatch);
    searching(&ada).await;
    // The series is over for the other one, too, with its results.
    let ended = bob.ended().await;
    assert_eq!((ended.reason(), ended.results.len()), (Reason::Finished, 2));

    let eve = sign_in(&host, "Eve").await;
    let eves = matched(&[eve], "gomoku").await.remove(0);
    let seat = found(&ada).await;
    assert_eq!(seat.scene_id, eves.scene_id);
    assert_ne!(seat.scene_id, ada.seat.scene_id);
    let mut scenes = Vec::new();
    for seat in [seat, eves] {
        scenes.push(Scene::join(&seat, &options(Encoding::Proto)).await.expect("the token lets them in"));
    }
}

#[tokio::test]
async fn a_search_that_a_game_has_begun_can_be_taken_back() {
    let host = Host::start(TABLES);
    let [mut ada, _bob] = over(&host).await;
    ada.say(&json!({ "type": "new_opponent" })).await;
    assert_eq!(lobby_ended(&ada.lobby).await.reason(), Reason::NextMatch);
    searching(&ada).await;
    ada.lobby.cancel_match().await.expect("it is the user's own search");
    let eve = sign_in(&host, "Eve").await;
    let players = crate::player::enter(vec![ada.lobby, eve], "gomoku").await;
    assert_eq!(players.len(), 2, "who has taken it back may ask anew");
}

#[tokio::test]
async fn a_game_that_seeks_a_player_gets_who_looks_for_a_match() {
    let host = Host::start(TABLES);
    let players = gather(&host, "echo", 2).await;
    let eve = sign_in(&host, "Eve").await;
    // Nobody else looks for a match: it can only be that game.
    let mut eve = crate::player::enter(vec![eve], "echo").await.remove(0);
    assert_eq!(eve.seat.scene_id, players[0].seat.scene_id);
    assert_eq!(eve.scene.info().seat, 2);
    eve.echo("here I am").await;
}
