//! `Scene`, the trait that a game implements. Each handler has a default, so that a game names only
//! what it cares about; only `start` has none.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Init, LeaveReason, Player, Random, SaveError, Seat, StopNotice, Timer};

/// Why a scene cannot start, save or load. `?` takes any error, and `"text".into()` any text; the
/// text is shown to the game's designer.
pub type Fault = Box<dyn std::error::Error>;

/// A player's message that is not one of the game's.
#[derive(Debug, thiserror::Error)]
#[error("not a message of this game: {0}")]
pub struct Unreadable(#[from] serde_json::Error);

/// The logic of one game. The host keeps one value of the type for each scene.
///
/// A step gives the events since the last step to their handlers, in order, and then calls
/// [`tick`](Scene::tick). A panic in any handler is written to the scene's log and ends this scene
/// and no other.
pub trait Scene: Serialize + DeserializeOwned + Sized {
    /// What players send, read from JSON. `()` if the game overrides [`received`](Scene::received).
    type Message: DeserializeOwned;

    /// Begins the scene. `random` is the scene's own randomness, seeded by the host; later it is
    /// [`Context::random`]. An error ends the scene before anybody enters.
    fn start(init: &Init, random: &mut Random) -> Result<Self, Fault>;

    /// Begins the next session in the value of the one before, in fleets that use their scenes again
    /// (`after_session = "reuse"`). Whatever was before is over: the session has to be as new as one of
    /// [`start`](Scene::start), which is what it is by default. Override it to keep what is dear to make and the
    /// same in every session, such as a map. An error ends the scene, as one of `start` does.
    fn restart(&mut self, init: &Init, random: &mut Random) -> Result<(), Fault> {
        *self = Self::start(init, random)?;
        Ok(())
    }

    /// The game's own condition to enter, asked before each [`joined`](Scene::joined). The text of
    /// an `Err` is shown to the player, who stays outside.
    fn admit(&self, player: &Player) -> Result<(), String> {
        let _ = player;
        Ok(())
    }

    /// A player is inside and connected.
    fn joined(&mut self, ctx: &mut Context, player: &Player) {
        let _ = (ctx, player);
    }

    /// A player's connection was lost; the seat is kept for the fleet's grace period.
    fn dropped(&mut self, ctx: &mut Context, seat: Seat) {
        let _ = (ctx, seat);
    }

    /// A dropped player is back. `missed`: messages of this scene did not reach the client, so send its
    /// whole state; else it has got all that was sent meanwhile.
    fn resumed(&mut self, ctx: &mut Context, seat: Seat, missed: bool) {
        let _ = (ctx, seat, missed);
    }

    /// A player is gone for good, or never came.
    fn left(&mut self, ctx: &mut Context, seat: Seat, reason: LeaveReason) {
        let _ = (ctx, seat, reason);
    }

    /// A player's message as bytes. By default it is read as JSON and given to
    /// [`message`](Scene::message), or [`unreadable`](Scene::unreadable) if it is not one.
    ///
    /// Override it for raw bytes or another codec; answer with [`Context::send_bytes`], and count
    /// what cannot be read with [`Context::count_unreadable`].
    fn received(&mut self, ctx: &mut Context, from: Seat, body: Vec<u8>) {
        match serde_json::from_slice(&body) {
            Ok(message) => self.message(ctx, from, message),
            Err(error) => {
                let error = Unreadable(error);
                ctx.count_unreadable(from, &error);
                self.unreadable(ctx, from, error);
            }
        }
    }

    /// A player has sent a message of the game.
    fn message(&mut self, ctx: &mut Context, from: Seat, message: Self::Message) {
        let _ = (ctx, from, message);
    }

    /// A player has sent something else. It was counted and logged already; by default it is passed
    /// over.
    fn unreadable(&mut self, ctx: &mut Context, from: Seat, error: Unreadable) {
        let _ = (ctx, from, error);
    }

    /// A timer set by [`Context::set_timer`] is due.
    fn timer(&mut self, ctx: &mut Context, timer: Timer) {
        let _ = (ctx, timer);
    }

    /// A message from outside the game: an operator, or the game's own backend.
    fn signal(&mut self, ctx: &mut Context, name: &str, body: &[u8]) {
        let _ = (ctx, name, body);
    }

    /// The answer to a [`Context::save`], by the id it returned: it is made and survives a crash, or nothing was
    /// changed. While the store is down it may come late.
    fn saved(&mut self, ctx: &mut Context, id: u64, outcome: Result<(), SaveError>) {
        let _ = (ctx, id, outcome);
    }

    /// The host is about to end the scene. By default it is let do so.
    fn stopping(&mut self, ctx: &mut Context, notice: StopNotice) {
        let _ = (ctx, notice);
    }

    /// The host wants the whole view of users who watch: answer with [`Context::show_whole`]. Only in fleets whose
    /// games can be watched, and at most once a second. By default nothing is shown.
    fn watched(&mut self, ctx: &mut Context) {
        let _ = ctx;
    }

    /// Once in each step, after its events: at the tick rate, or at rate 0 whenever something
    /// happened.
    fn tick(&mut self, ctx: &mut Context) {
        let _ = ctx;
    }

    /// The whole state as bytes. By default CBOR by serde, with the names of fields, so that
    /// a newer version of the game may add fields with `#[serde(default)]`.
    fn save(&self) -> Result<Vec<u8>, Fault> {
        Ok(minicbor_serde::to_vec(self)?)
    }

    /// The reverse of [`save`](Scene::save). `init` is the one the scene was started with.
    fn load(init: &Init, snapshot: &[u8]) -> Result<Self, Fault> {
        let _ = init;
        Ok(minicbor_serde::from_slice(snapshot)?)
    }
}

impl Init {
    /// Reads the fleet's configuration for this game. Give the type `#[serde(default)]` so that
    /// everything may be left out, and `deny_unknown_fields` so that a misspelt name is told.
    pub fn configured<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_str(&self.configuration)
            .map_err(|error| format!("the fleet's configuration of this game: {error}").into())
    }
}
