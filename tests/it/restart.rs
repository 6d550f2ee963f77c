//! Games that fail and begin anew: the same users come into the same scene again, and not for ever.

use scenehost_client::{Encoding, Error, Lobby, LobbyEvent, Match, Scene, SceneEvent, v1};
use v1::syn_scene_ended::Reason;

use crate::host::{Host, within};
use crate::player::{lobby_ended, matched, options, sign_in};

/// A game that traps when somebody says something, and may do so once.
const CONFIG: &str = r#"
[fleets.trap]
plugin = "hostile"
configuration = { misbehave = "trap", when = "message" }
scene = { crashes_max = 1 }

[domains.trap]
fleet = "trap"
players_min = 2
players_max = 2
"#;

async fn enter(seat: &Match) -> Scene {
    Scene::join(seat, &options(Encoding::Proto)).await.expect("the token lets them in")
}

/// Why the scene's connection is gone for good.
async fn gone(scene: &mut Scene) -> v1::Code {
    within("the end of the connection", async {
        loop {
            match scene.next().await.expect("it says why it goes") {
                SceneEvent::Gone(why) => match &*why {
                    Error::Closing(closing) => return closing.code(),
                    other => panic!("{other}"),
                },
                SceneEvent::Ended(ended) => panic!("it is not over: {ended:?}"),
                _ => {}
            }
        }
    })
    .await
}

/// The way into the game that has begun anew.
async fn way_in(lobby: &Lobby) -> Match {
    within("the way in", async {
        loop {
            match lobby.next().await.expect("the lobby goes on") {
                LobbyEvent::Match(way) => return way,
                LobbyEvent::SceneEnded(ended) => panic!("it is not over: {ended:?}"),
                _ => {}
            }
        }
    })
    .await
}

#[tokio::test]
async fn who_plays_a_game_that_fails_plays_on_in_a_fresh_one_until_it_fails_too_often() {
    let host = Host::start(CONFIG);
    let lobbies = [sign_in(&host, "Ada").await, sign_in(&host, "Bob").await];
    let seats = matched(&lobbies, "trap").await;
    let (mut ada, mut bob) = (enter(&seats[0]).await, enter(&seats[1]).await);
    let seat_of_ada = ada.info().seat;
    ada.send("do it").await.expect("the scene's connection is open");
    for scene in [&mut ada, &mut bob] {
        assert_eq!(gone(scene).await, v1::Code::Restarting);
    }

    let (again_ada, again_bob) = (way_in(&lobbies[0]).await, way_in(&lobbies[1]).await);
    assert_eq!((&again_ada.scene_id, &again_bob.scene_id), (&seats[0].scene_id, &seats[0].scene_id));
    let (ada, mut bob) = (enter(&again_ada).await, enter(&again_bob).await);
    assert_eq!((ada.info().seat, ada.info().resumed), (seat_of_ada, false));
    assert_eq!(ada.info().players.len(), 2);
    // Whoever has lost the way in asks for another as ever.
    let mut ada = enter(&lobbies[0].rejoin().await.expect("the seat is hers")).await;

    ada.send("do it").await.expect("the scene's connection is open");
    for scene in [&mut ada, &mut bob] {
        assert_eq!(gone(scene).await, v1::Code::Restarting);
    }
    for lobby in &lobbies {
        assert_eq!(lobby_ended(lobby).await.reason(), Reason::Crashed);
    }
    matched(&lobbies, "trap").await;
}
