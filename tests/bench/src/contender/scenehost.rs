//! Scenehost as a contender, by the whole way that a player takes: signs in at the lobby, asks for a
//! match, enters the scene with its token, and stays in the lobby while playing.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use scenehost_protocol::Encoding;
use scenehost_protocol::v1::{self, client_frame, req_sign_in, server_frame};
use serde_json::json;

use super::{Contender, Idle, Paths, Seated};
use crate::connection::Connection;
use crate::generator::{Message, PLAYERS_PER_ROOM};
use crate::http;
use crate::process::Server;

const CLIENTS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7450);
const OPS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7451);
const OPS_TOKEN: &str = "the-benchs-ops-token";
const DOMAIN: &str = "bench";

const ENCODING: Encoding = Encoding::Proto;

pub struct Scenehost {
    program: PathBuf,
    config: PathBuf,
    plugins: PathBuf,
    data: PathBuf,
    log: PathBuf,
    guests_made: AtomicU32,
}

impl Scenehost {
    pub fn prepare(paths: &Paths) -> Result<Self> {
        let absolute = |path: &PathBuf| {
            fs::canonicalize(path).with_context(|| format!("{} is not there; build it first", path.display()))
        };
        Ok(Self {
            program: absolute(&paths.scenehost)?,
            config: absolute(&paths.scenehost_config)?,
            plugins: absolute(&paths.plugins)?,
            data: paths.out.join("scenehost-data"),
            log: paths.out.join("scenehost.log"),
            guests_made: AtomicU32::new(0),
        })
    }

    /// Players who have signed in and asked for a match.
    fn search(&self, players: u32) -> Result<Vec<Connection>> {
        let mut lobbies = Vec::new();
        for _ in 0..players {
            let guest = self.guests_made.fetch_add(1, Ordering::Relaxed);
            let credential = req_sign_in::Credential::Guest(req_sign_in::Guest {
                device_id: format!("bench-device-{guest:08}"),
                name: format!("Bot {guest}"),
            });
            let mut lobby = Connection::open(CLIENTS, "/v1/lobby", Some(ENCODING.subprotocol()))?;
            let sign_in = v1::ReqSignIn { credential: Some(credential), device: String::new(), resume_seq: None };
            send(&mut lobby, 1, client_frame::Body::ReqSignIn(sign_in))?;
            lobbies.push(lobby);
        }
        for lobby in &mut lobbies {
            receive(lobby, |body| matches!(body, server_frame::Body::ResSignIn(_)))?;
            send(lobby, 2, client_frame::Body::ReqMatch(v1::ReqMatch { domain: DOMAIN.into(), wish: None }))?;
        }
        Ok(lobbies)
    }
}

impl Contender for Scenehost {
    fn name(&self) -> &'static str {
        "scenehost"
    }

    fn version(&self) -> Result<String> {
        let output = Command::new(&self.program).arg("--version").output()?.stdout;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// Starts with an empty store.
    fn start(&self) -> Result<Server> {
        if self.data.exists() {
            fs::remove_dir_all(&self.data)?;
        }
        let configure = |command: &mut Command| {
            command.arg("serve").arg("--config").arg(&self.config);
            command.args(["--listen", &CLIENTS.to_string(), "--ops-listen", &OPS.to_string()]);
            command.args(["--ops-token", OPS_TOKEN]);
            command.arg("--data-dir").arg(&self.data).arg("--plugins-dir").arg(&self.plugins);
        };
        let mut server = Server::start(&self.program, configure, &self.log)?;
        server.wait_until_ready(OPS, "/health")?;
        Ok(server)
    }

    fn seat(&self, rooms: u32) -> Result<Seated> {
        let mut lobbies = self.search(rooms * PLAYERS_PER_ROOM)?;
        let mut players = Vec::new();
        for lobby in &mut lobbies {
            let body = receive(lobby, |body| matches!(body, server_frame::Body::ResMatch(_)))?;
            let server_frame::Body::ResMatch(made) = body else { bail!("no match") };
            let path = made.scene_url.strip_prefix(&format!("ws://{CLIENTS}")).unwrap_or(&made.scene_url);
            let mut player = Connection::open(CLIENTS, path, Some(ENCODING.subprotocol()))?;
            let join = v1::ReqJoinScene { scene_token: made.scene_token, resume_seq: None };
            send(&mut player, 1, client_frame::Body::ReqJoinScene(join))?;
            players.push(player);
        }
        for player in &mut players {
            receive(player, |body| matches!(body, server_frame::Body::ResJoinScene(_)))?;
        }
        Ok(Seated { players, bystanders: lobbies })
    }

    fn put_message(&self, message: &Message, seen: u32, payload: &mut Vec<u8>) {
        let body = client_frame::Body::SceneMessage(v1::SceneMessage { body: Bytes::copy_from_slice(message) });
        let frame = v1::ClientFrame { request: 0, seen, body: Some(body) };
        payload.extend_from_slice(ENCODING.encode_client(&frame).as_bytes());
    }

    fn read(&self, payload: &[u8]) -> Result<Option<Bytes>> {
        match ENCODING.decode_server(payload)?.body {
            Some(server_frame::Body::SceneMessage(message)) => Ok(Some(message.body)),
            Some(server_frame::Body::SynSceneEnded(ended)) => bail!("the scene ended: {}", ended.text),
            Some(server_frame::Body::SynClosing(closing)) => bail!("closing: {}", closing.text),
            Some(server_frame::Body::Refused(refused)) => bail!("refused: {}", refused.text),
            _ => Ok(None),
        }
    }

    fn idle_kinds(&self) -> &[Idle] {
        &[Idle::Sleeping, Idle::Ticking]
    }

    fn make_idle_rooms(&self, kind: Idle, rooms: u32) -> Result<()> {
        let fleet = match kind {
            Idle::Sleeping => "bench",
            Idle::Ticking => "bench-ticking",
        };
        let request = json!({ "fleet": fleet, "count": rooms });
        let answer = http::Client::connect(OPS)?.post("/v1/scenes", Some(OPS_TOKEN), &request)?;
        let created = &answer["created"];
        if created.as_u64() != Some(rooms.into()) {
            bail!("{rooms} rooms were asked for, and {created} were created");
        }
        Ok(())
    }
}

fn send(connection: &mut Connection, request: u32, body: client_frame::Body) -> Result<()> {
    let frame = v1::ClientFrame { request, seen: 0, body: Some(body) };
    connection.send(ENCODING.encode_client(&frame).as_bytes())
}

/// Waits for a frame of the wanted kind; news come between.
fn receive(connection: &mut Connection, wanted: impl Fn(&server_frame::Body) -> bool) -> Result<server_frame::Body> {
    loop {
        let payload = connection.receive()?;
        let body = ENCODING.decode_server(&payload[..])?.body.context("no body")?;
        match body {
            server_frame::Body::Refused(refused) => bail!("refused: {}", refused.text),
            server_frame::Body::SynClosing(closing) => bail!("closing: {}", closing.text),
            server_frame::Body::SynMatchState(v1::SynMatchState { refused: Some(refused), .. }) => {
                bail!("no match: {}", refused.text)
            }
            body if wanted(&body) => return Ok(body),
            _ => {}
        }
    }
}
