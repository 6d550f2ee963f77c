//! Colyseus from npm as a contender, with its default transport. Its program is in
//! `tests/bench/colyseus`; its packages are installed beside the bench's output.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Contender, Idle, Paths, Seated};
use crate::connection::Connection;
use crate::generator::{Message, PLAYERS_PER_ROOM};
use crate::http;
use crate::process::Server;

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7460);
const FILES: [&str; 3] = ["package.json", "package-lock.json", "server.mjs"];

/// The codes of its protocol, and the type of the room's messages as a short string.
const JOIN_ROOM: u8 = 10;
const ERROR: u8 = 11;
const LEAVE_ROOM: u8 = 12;
const MESSAGE_HEAD: [u8; 3] = [17, 0xa1, b'm'];

pub struct Colyseus {
    folder: PathBuf,
    log: PathBuf,
    node: PathBuf,
}

impl Colyseus {
    /// Installs the packages, if that is not done yet.
    pub fn prepare(paths: &Paths) -> Result<Self> {
        let folder = paths.out.join("colyseus");
        fs::create_dir_all(&folder)?;
        let lock = paths.colyseus.join("package-lock.json");
        let installed = folder.join("node_modules").join(".installed-lock.json");
        for file in FILES {
            let source = paths.colyseus.join(file);
            fs::copy(&source, folder.join(file)).with_context(|| format!("cannot copy {}", source.display()))?;
        }
        if fs::read(&lock)? != fs::read(&installed).unwrap_or_default() {
            println!("colyseus: installing its packages from npm");
            install(&folder)?;
            fs::copy(&lock, &installed)?;
        }
        Ok(Self { folder, log: paths.out.join("colyseus.log"), node: find_program("node")? })
    }
}

fn install(folder: &Path) -> Result<()> {
    // Not `npm ci`: that one wants the optional packages of all platforms in the lock file.
    let arguments = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    let status = Command::new("npm").args(arguments).current_dir(folder).status();
    let status = status.context("cannot run npm: install Node.js 20 or later")?;
    if !status.success() {
        bail!("`npm install` failed in {}: {status}", folder.display());
    }
    Ok(())
}

fn find_program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file());
    found.with_context(|| format!("`{name}` is not on the path"))
}

impl Contender for Colyseus {
    fn name(&self) -> &'static str {
        "colyseus"
    }

    fn version(&self) -> Result<String> {
        let package: Value = serde_json::from_slice(&fs::read(self.folder.join("package.json"))?)?;
        let node = Command::new(&self.node).arg("--version").output()?.stdout;
        let node = String::from_utf8_lossy(&node).trim().to_owned();
        let version = |name: &str| package["dependencies"][name].as_str().unwrap_or("?").to_owned();
        let (core, transport) = (version("@colyseus/core"), version("@colyseus/ws-transport"));
        Ok(format!("@colyseus/core {core}, @colyseus/ws-transport {transport}, Node.js {node}"))
    }

    fn start(&self) -> Result<Server> {
        let configure = |command: &mut Command| {
            command.arg("server.mjs").arg(ADDRESS.port().to_string());
            command.current_dir(&self.folder).env("NODE_ENV", "production");
        };
        let mut server = Server::start(&self.node, configure, &self.log)?;
        server.wait_until_ready(ADDRESS, "/__healthcheck")?;
        Ok(server)
    }

    /// As its client does: a seat by HTTP, then the WebSocket, then the welcome and its receipt.
    fn seat(&self, rooms: u32) -> Result<Seated> {
        let mut matchmaker = http::Client::connect(ADDRESS)?;
        let mut players = Vec::new();
        for _ in 0..rooms * PLAYERS_PER_ROOM {
            let seat = matchmaker.post("/matchmake/joinOrCreate/bench", None, &json!({}))?;
            let field = |name: &str| seat[name].as_str().with_context(|| format!("no {name} in {seat}"));
            let path = format!("/{}/{}?sessionId={}", field("processId")?, field("roomId")?, field("sessionId")?);
            let mut player = Connection::open(ADDRESS, &path, None)?;
            let welcome = player.receive()?;
            if welcome.first() != Some(&JOIN_ROOM) {
                bail!("no welcome came from the room, but {welcome:?}");
            }
            player.send(&[JOIN_ROOM])?;
            players.push(player);
        }
        Ok(Seated { players, bystanders: Vec::new() })
    }

    fn put_message(&self, message: &Message, _seen: u32, payload: &mut Vec<u8>) {
        payload.extend_from_slice(&MESSAGE_HEAD);
        payload.extend_from_slice(message);
    }

    fn read(&self, payload: &[u8]) -> Result<Option<Bytes>> {
        if let Some(messages) = payload.strip_prefix(&MESSAGE_HEAD) {
            return Ok(Some(Bytes::copy_from_slice(messages)));
        }
        match payload.first() {
            Some(&code @ (ERROR | LEAVE_ROOM)) => bail!("out of the room with code {code}"),
            _ => Ok(None),
        }
    }

    /// Its rooms tick whether or not somebody is in.
    fn idle_kinds(&self) -> &[Idle] {
        &[Idle::Ticking]
    }

    fn make_idle_rooms(&self, _: Idle, rooms: u32) -> Result<()> {
        http::Client::connect(ADDRESS)?.post("/bench/rooms", None, &json!({ "count": rooms }))?;
        Ok(())
    }
}
