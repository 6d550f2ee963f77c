//! A player of the arena by the client that games use, which comes back by itself when its connection is lost.
//!
//! Invariant: every snapshot that comes is looked at, and a scene that ends is an error.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use scenehost_client::{Credential, Lobby, Match, Options, Scene, SceneEvent};
use serde::Deserialize;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// From one message of a player to the next.
const STEER_EVERY: Duration = Duration::from_millis(100);
/// How many sign in and ask for a match at a time.
const AT_ONCE: usize = 64;

/// One player in a game.
pub struct ArenaPlayer {
    scene: Scene,
    /// Which game it is.
    pub scene_id: String,
    steer: Interval,
    inputs: u64,
    _lobby: Lobby,
}

/// What a player meets.
pub enum Met {
    /// The world, in this tick.
    Tick(u64, Instant),
    /// The connection is lost.
    Dropped,
    /// It is back. `complete`: nothing that the game has said is lost.
    Back { complete: bool },
}

/// As much of the arena's messages as is needed here.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    tick: Option<u64>,
}

/// So many new users, each in a game of this domain.
pub async fn gather(url: &str, domain: &'static str, count: usize) -> Result<Vec<ArenaPlayer>> {
    let mut players = Vec::new();
    let numbers: Vec<usize> = (0..count).collect();
    for numbers in numbers.chunks(AT_ONCE) {
        let come = |number: &usize| tokio::spawn(ArenaPlayer::come(url.to_owned(), domain, *number));
        let coming: Vec<_> = numbers.iter().map(come).collect();
        for player in coming {
            players.push(player.await??);
        }
    }
    Ok(players)
}

impl ArenaPlayer {
    async fn come(url: String, domain: &str, number: usize) -> Result<Self> {
        let credential =
            Credential::Guest { device_id: format!("bench-device-{number:08}"), name: format!("Player {number}") };
        let lobby = Lobby::connect(&url, credential, Options::default()).await.context("nobody could sign in")?;
        let seat: Match = lobby.find_match(domain).await.context("no match was found")?;
        let scene = Scene::join(&seat, &Options::default()).await.context("the game could not be entered")?;
        let mut steer = interval(STEER_EVERY);
        steer.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Ok(Self { scene, scene_id: seat.scene_id, steer, inputs: 0, _lobby: lobby })
    }

    /// What comes next; steers meanwhile.
    pub async fn next(&mut self) -> Result<Met> {
        loop {
            let event = tokio::select! {
                event = self.scene.next() => event,
                _ = self.steer.tick() => {
                    self.say().await?;
                    continue;
                }
            };
            match event.context("the scene's connection is over")? {
                SceneEvent::Message(body) => {
                    let told: Told = serde_json::from_slice(&body).context("not a message of the arena")?;
                    if let (b"snapshot", Some(tick)) = (told.kind.as_bytes(), told.tick) {
                        return Ok(Met::Tick(tick, Instant::now()));
                    }
                }
                SceneEvent::Dropped { .. } => return Ok(Met::Dropped),
                SceneEvent::Resumed { complete } => return Ok(Met::Back { complete }),
                SceneEvent::Ended(ended) => bail!("a game has ended: {}", ended.text),
                SceneEvent::Refused(refused) => bail!("a message was refused: {}", refused.text),
                SceneEvent::Gone(why) => bail!("a connection is gone for good: {why}"),
                SceneEvent::Pong { .. } => {}
            }
        }
    }

    /// The controls: in circles, and firing half of the time.
    async fn say(&mut self) -> Result<()> {
        self.inputs += 1;
        let turn = self.inputs as f32 * 0.1;
        let (y, x) = turn.sin_cos();
        let fire = (self.inputs / 10).is_multiple_of(2);
        let body = format!(
            r#"{{"type":"input","n":{},"move":[{x:.3},{y:.3}],"aim":{:.3},"fire":{fire}}}"#,
            self.inputs,
            turn.rem_euclid(std::f32::consts::TAU)
        );
        self.scene.send(body).await.context("a message was not taken")
    }
}
