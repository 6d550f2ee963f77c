//! The relay of this program as a contender: the limit of what such a core can do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};
use bytes::Bytes;

use super::{Contender, Idle, Paths, Seated};
use crate::connection::Connection;
use crate::generator::{Message, PLAYERS_PER_ROOM};
use crate::process::Server;

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7470);

pub struct RelayContender {
    log: PathBuf,
    rooms_made: AtomicU32,
}

impl RelayContender {
    pub fn prepare(paths: &Paths) -> Result<Self> {
        Ok(Self { log: paths.out.join("relay.log"), rooms_made: AtomicU32::new(0) })
    }
}

impl Contender for RelayContender {
    fn name(&self) -> &'static str {
        "relay"
    }

    fn version(&self) -> Result<String> {
        Ok(format!("of scenehost-bench {}", env!("CARGO_PKG_VERSION")))
    }

    fn start(&self) -> Result<Server> {
        let program = std::env::current_exe()?;
        let configure = |command: &mut std::process::Command| {
            command.arg("relay").arg(ADDRESS.to_string());
        };
        let mut server = Server::start(&program, configure, &self.log)?;
        server.wait_until_ready(ADDRESS, "/health")?;
        self.rooms_made.store(0, Ordering::Relaxed);
        Ok(server)
    }

    fn seat(&self, rooms: u32) -> Result<Seated> {
        let first = self.rooms_made.fetch_add(rooms, Ordering::Relaxed);
        let mut players = Vec::new();
        for room in first..first + rooms {
            for _ in 0..PLAYERS_PER_ROOM {
                players.push(Connection::open(ADDRESS, &format!("/rooms/{room}"), None)?);
            }
        }
        Ok(Seated { players, bystanders: Vec::new() })
    }

    fn put_message(&self, message: &Message, _seen: u32, payload: &mut Vec<u8>) {
        payload.extend_from_slice(message);
    }

    fn read(&self, payload: &[u8]) -> Result<Option<Bytes>> {
        Ok(Some(Bytes::copy_from_slice(payload)))
    }

    fn idle_kinds(&self) -> &[Idle] {
        &[]
    }

    fn make_idle_rooms(&self, _: Idle, _: u32) -> Result<()> {
        bail!("the relay makes a room with its first player")
    }
}
