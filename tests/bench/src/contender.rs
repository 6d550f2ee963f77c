//! What is measured: servers that all carry the same load.

mod colyseus;
mod relay;
mod scenehost;

use std::path::PathBuf;

use anyhow::Result;
use bytes::Bytes;
use clap::ValueEnum;

use crate::connection::Connection;
use crate::generator::Message;
use crate::process::Server;

pub use colyseus::Colyseus;
pub use relay::RelayContender;
pub use scenehost::Scenehost;

/// A server that can be measured. One is started for each step, so that steps do not meet.
pub trait Contender {
    fn name(&self) -> &'static str;

    /// What exactly runs, for the report.
    fn version(&self) -> Result<String>;

    /// Starts the server and waits until it is ready.
    fn start(&self) -> Result<Server>;

    /// Brings the players of some more rooms in, as real clients come in.
    fn seat(&self, rooms: u32) -> Result<Seated>;

    /// Writes a player's message as the payload of a WebSocket message. `seen` frames of the game have
    /// come by then, which some protocols say.
    fn put_message(&self, message: &Message, seen: u32, payload: &mut Vec<u8>);

    /// The game's messages in the payload of a WebSocket message, or `None` if it is something
    /// else.
    ///
    /// # Errors
    /// If the payload says that the player is out.
    fn read(&self, payload: &[u8]) -> Result<Option<Bytes>>;

    /// How rooms without players can behave.
    fn idle_kinds(&self) -> &[Idle];

    /// Makes rooms without players, which stay.
    fn make_idle_rooms(&self, kind: Idle, rooms: u32) -> Result<()>;
}

/// What a room does while nobody is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    Sleeping,
    Ticking,
}

/// The connections of players who are in.
pub struct Seated {
    pub players: Vec<Connection>,
    /// Connections that players keep besides: a lobby's.
    pub bystanders: Vec<Connection>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    Scenehost,
    Colyseus,
    Relay,
}

/// Where what is measured lies.
pub struct Paths {
    pub scenehost: PathBuf,
    pub scenehost_config: PathBuf,
    /// The folder with `bench-room.wasm`.
    pub plugins: PathBuf,
    pub colyseus: PathBuf,
    /// Where the bench may write.
    pub out: PathBuf,
}

/// Prepares a contender.
pub fn prepare(name: Name, paths: &Paths) -> Result<Box<dyn Contender>> {
    Ok(match name {
        Name::Scenehost => Box::new(Scenehost::prepare(paths)?),
        Name::Colyseus => Box::new(Colyseus::prepare(paths)?),
        Name::Relay => Box::new(RelayContender::prepare(paths)?),
    })
}
