//! What the host is to clients: where they connect, and how much of it each may have; and its folders.

use std::net::SocketAddr;
use std::path::PathBuf;

use scenehost_core::address::Network;
use scenehost_core::rate;
use serde::Deserialize;

use super::Error;
use crate::edge::tls;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where the store lives.
    pub data_dir: PathBuf,
    /// Where backups of the store go, instead of `backups` in `data_dir`.
    pub backup_dir: Option<PathBuf>,
    /// Where `<plugin>.wasm` of each fleet lies, of which nothing was uploaded.
    pub plugins_dir: PathBuf,
    /// Pages that are served at `/`, if any.
    pub pages_dir: Option<PathBuf>,
    /// How many threads run scenes; 0: one for each core.
    pub scene_threads: usize,
    /// The most scenes at once.
    pub scenes_max: u32,
    /// The most client connections at once.
    pub connections_max: usize,
    /// Pages of other sites that may connect, such as `https://example.org`; the host's own always may.
    pub allowed_origins: Vec<String>,
    /// Whose `X-Forwarded-For` is believed: addresses and networks of the proxies in front of the host.
    pub trusted_proxies: Vec<Network>,
    /// How long a client may get nowhere with what is its turn: the handshake of TLS, the head of a
    /// request (from its connection, or the answer before it), taking what is sent.
    pub idle_ms: u64,
    /// What one client address may do.
    pub per_address: PerAddress,
    /// With it clients connect by TLS, and only so.
    pub tls: Option<Tls>,
    /// How long running games have to end when the host stops.
    pub drain_ms: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7350)),
            data_dir: PathBuf::from("scenehost-data"),
            plugins_dir: PathBuf::from("plugins"),
            backup_dir: None,
            pages_dir: None,
            scene_threads: 0,
            scenes_max: 10_000,
            connections_max: 20_000,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            idle_ms: 10_000,
            per_address: PerAddress::default(),
            tls: None,
            drain_ms: 10_000,
        }
    }
}

impl Server {
    /// What is wrong with it, if anything, and where.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |place: &str, what: String| Err(Error::Wrong { place: place.to_owned(), what });
        if self.scenes_max == 0 || self.connections_max == 0 {
            return wrong("[server]", "scenes_max and connections_max need at least 1".to_owned());
        }
        if self.idle_ms < 100 {
            return wrong("[server]", "idle_ms is below 100: clients need the time to answer".to_owned());
        }
        let PerAddress { connections, sign_ins_per_minute } = self.per_address;
        if connections == 0 || sign_ins_per_minute == 0 || sign_ins_per_minute > rate::PER_MINUTE_MAX {
            let most = rate::PER_MINUTE_MAX;
            let what = format!("connections needs at least 1, and sign_ins_per_minute 1 to {most}");
            return wrong("[server.per_address]", what);
        }
        match self.tls.as_ref().map(tls::load) {
            Some(Err(error)) => wrong("[server.tls]", error.to_string()),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Where the store is.
    pub fn store_dir(&self) -> PathBuf {
        self.data_dir.join("store")
    }

    /// Where uploaded components are.
    pub fn uploads_dir(&self) -> PathBuf {
        self.data_dir.join("plugins")
    }

    /// Where compiled code is kept.
    pub fn code_dir(&self) -> PathBuf {
        self.data_dir.join("code")
    }

    /// Where its backups are.
    pub fn backup_dir(&self) -> PathBuf {
        self.backup_dir.clone().unwrap_or_else(|| self.data_dir.join("backups"))
    }
}

/// The limits of one client address; IPv6 addresses count by their /64.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PerAddress {
    /// The most connections at once.
    pub connections: u32,
    /// The most tries to sign in, of any kind, in a minute.
    pub sign_ins_per_minute: u32,
}

impl Default for PerAddress {
    fn default() -> Self {
        Self { connections: 256, sign_ins_per_minute: 300 }
    }
}

/// Where the certificate lies; both files are PEM.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The server's certificate, then those that lead to its issuer.
    pub certificate: PathBuf,
    /// The private key of the first of them.
    pub key: PathBuf,
}
