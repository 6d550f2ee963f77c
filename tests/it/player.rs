//! Players that use the Rust client: signed in, matched, inside a scene.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use rand::RngExt;
use scenehost_client::{Credential, Encoding, Error, Lobby, LobbyEvent, Match, Options, Scene, SceneEvent, v1};
use serde_json::Value;

use crate::host::{Host, PATIENCE, within};

/// A user in the lobby and inside a scene.
pub struct Player {
    pub lobby: Lobby,
    pub seat: Match,
    pub scene: Scene,
}

/// A client's options on a busy machine.
pub fn options(encoding: Encoding) -> Options {
    let (connect_timeout, request_timeout, match_timeout) = (PATIENCE, PATIENCE, PATIENCE);
    Options { encoding, connect_timeout, request_timeout, match_timeout, ..Options::default() }
}

/// The same, where every lost connection is the end.
pub fn without_return(encoding: Encoding) -> Options {
    Options { reconnect: false, ..options(encoding) }
}

/// What the server has said when it closed a connection.
pub fn closed_with(why: &Error) -> v1::Code {
    match why {
        Error::Closing(closing) => closing.code(),
        other => panic!("it ended without a word: {other}"),
    }
}

/// A device that nobody knows yet.
pub fn device() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

pub async fn sign_in(host: &Host, name: &str) -> Lobby {
    sign_in_as(host, &device(), name, Encoding::Proto).await
}

pub async fn sign_in_as(host: &Host, device_id: &str, name: &str, encoding: Encoding) -> Lobby {
    let credential = Credential::Guest { device_id: device_id.to_owned(), name: name.to_owned() };
    Lobby::connect(&host.url(), credential, options(encoding)).await.expect("a guest may sign in")
}

/// Lets users of the lobby search a match at the same time: one scene, a way in for each.
pub async fn matched(lobbies: &[Lobby], domain: &str) -> Vec<Match> {
    let searches = lobbies.iter().map(|lobby| lobby.find_match(domain));
    let seats = try_join_all(searches).await.expect("they are matched");
    for seat in &seats {
        assert_eq!(seat.scene_id, seats[0].scene_id, "they are matched with each other");
        assert_eq!(seat.domain, domain);
    }
    seats
}

/// New guests at one table, in the order of their seats.
pub async fn gather(host: &Host, domain: &str, count: usize) -> Vec<Player> {
    let names = (1..=count).map(|number| format!("Guest {number}"));
    let lobbies = join_all(names.map(async |name| sign_in(host, &name).await)).await;
    enter(lobbies, domain).await
}

/// Lets users of the lobby play together, in the order of their seats.
pub async fn enter(lobbies: Vec<Lobby>, domain: &str) -> Vec<Player> {
    let seats = matched(&lobbies, domain).await;
    let mut players = Vec::new();
    for (lobby, seat) in lobbies.into_iter().zip(seats) {
        let scene = Scene::join(&seat, &options(Encoding::Proto)).await.expect("the token lets them in");
        players.push(Player { lobby, seat, scene });
    }
    players.sort_by_key(|player| player.scene.info().seat);
    players
}

impl Player {
    pub async fn say(&mut self, message: &Value) {
        self.scene.send(message.to_string()).await.expect("the scene's connection is open");
    }

    /// The next message of this type; others are passed over.
    pub async fn hear(&mut self, kind: &str) -> Value {
        within(kind, async {
            loop {
                match self.event().await {
                    SceneEvent::Message(body) => {
                        let message: Value = serde_json::from_slice(&body).expect("this game speaks JSON");
                        if message["type"] == kind {
                            return message;
                        }
                    }
                    SceneEvent::Pong { .. } => {}
                    other => panic!("{kind} was expected, {other:?} came"),
                }
            }
        })
        .await
    }

    /// Sends a message to an echoing scene and waits for it to come back.
    pub async fn echo(&mut self, text: &str) {
        self.scene.send(text.to_owned()).await.expect("the scene's connection is open");
        within("the echo", async {
            loop {
                match self.event().await {
                    SceneEvent::Message(body) if body == text => return,
                    SceneEvent::Message(_) | SceneEvent::Pong { .. } => {}
                    other => panic!("an echo was expected, {other:?} came"),
                }
            }
        })
        .await;
    }

    async fn event(&mut self) -> SceneEvent {
        self.scene.next().await.expect("the scene goes on")
    }

    /// Waits for the end of the scene, as both connections tell it.
    pub async fn ended(&mut self) -> v1::SynSceneEnded {
        let here = scene_ended(&mut self.scene).await;
        let there = lobby_ended(&self.lobby).await;
        assert_eq!(here, there, "both connections tell the same");
        assert_eq!(here.scene_id, self.seat.scene_id);
        here
    }
}

/// Waits until a scene's connection tells its end.
pub async fn scene_ended(scene: &mut Scene) -> v1::SynSceneEnded {
    within("the scene's end on its connection", async {
        loop {
            match scene.next().await {
                Some(SceneEvent::Ended(ended)) => return ended,
                Some(SceneEvent::Gone(why)) => panic!("gone: {why}"),
                Some(_) => {}
                None => panic!("the connection ended without a word"),
            }
        }
    })
    .await
}

/// Waits until the lobby tells a scene's end.
pub async fn lobby_ended(lobby: &Lobby) -> v1::SynSceneEnded {
    within("the scene's end in the lobby", async {
        loop {
            match lobby.next().await {
                Some(LobbyEvent::SceneEnded(ended)) => return ended,
                Some(LobbyEvent::Gone(why)) => panic!("gone: {why}"),
                Some(_) => {}
                None => panic!("the lobby's connection ended: {:?}", lobby.end()),
            }
        }
    })
    .await
}

/// What a refused request was refused with.
pub fn refusal<T>(result: Result<T, Error>) -> v1::Refused {
    match result {
        Err(Error::Refused(refused)) => refused,
        Err(other) => panic!("a refusal was expected, not: {other}"),
        Ok(_) => panic!("this should have been refused"),
    }
}

/// Shows that users can be matched and play again: whatever they were in has let them go.
pub async fn free_to_play(lobbies: Vec<Lobby>, domain: &str) {
    let seats = matched(&lobbies, domain).await;
    for seat in &seats {
        assert!(seat.token_expires_in > Duration::ZERO);
    }
}
