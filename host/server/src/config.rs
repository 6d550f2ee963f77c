//! The configuration: a TOML file, and flags that stand above it. Everything is checked here, so
//! that the rest of the host sees only what can work.

mod cluster;
mod fleet;
mod plugins;
mod provider;
mod server;
mod store;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use scenehost_core::auth::identity::{PROVIDER_CHARS_MAX, is_provider_name};
use scenehost_core::config::{self, Domain, Fleet};
use scenehost_core::matching::domain::Record;
use scenehost_core::results::{self, board::Board};
use scenehost_core::{DomainName, FleetName, GameName, Partition, chat, db, economy, guild, party, storage};
use serde::Deserialize;

use crate::catalogue;
use crate::fleets::is_plain;
use crate::journals;
use crate::moderation;
use crate::strict::Strict;

pub use crate::cluster::unit::Role;
pub use cluster::Cluster;
pub use fleet::{FleetConfig, LimitsConfig};
pub use plugins::{Plugins, Signatures};
pub use provider::{KeysFrom, Provider, is_loopback};
pub use server::{PerAddress, Server, Tls};
pub use store::StoreConfig;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the configuration {path} cannot be read: {cause}")]
    Read { path: PathBuf, cause: std::io::Error },
    #[error("the configuration {path} is not right:\n{cause}")]
    Parse { path: PathBuf, cause: toml::de::Error },
    #[error("the configuration is not right: {place}: {what}")]
    Wrong { place: String, what: String },
}

/// What `scenehost serve` runs on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub server: Server,
    /// Where what has to last is kept.
    #[serde(default)]
    pub store: StoreConfig,
    /// With it this host is one node of many.
    #[serde(default)]
    pub cluster: Option<Cluster>,
    #[serde(default)]
    pub node: Node,
    #[serde(default)]
    pub ops: Ops,
    #[serde(default)]
    pub plugins: Plugins,
    #[serde(default)]
    pub auth: Auth,
    #[serde(default)]
    pub lobby: config::Lobby,
    #[serde(default)]
    pub storage: storage::Limits,
    #[serde(default)]
    pub chat: chat::Limits,
    #[serde(default)]
    pub guilds: guild::Limits,
    #[serde(default)]
    pub parties: party::Limits,
    #[serde(default)]
    pub leaderboards: BTreeMap<String, Board>,
    #[serde(default)]
    pub economy: Economy,
    /// How long journals of games that are over are kept.
    #[serde(default)]
    pub journals: journals::Bounds,
    #[serde(default)]
    pub fleets: BTreeMap<FleetName, FleetConfig>,
    #[serde(default)]
    pub domains: BTreeMap<DomainName, Domain>,
}

/// What this machine gives to scenes, and what becomes of it when nobody needs it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// How many cores; without it all that the process may use.
    pub cores: Option<f64>,
    /// How much memory; without it three quarters of what the process may use.
    pub memory_mib: Option<u64>,
    /// After how long without a scene that is used the node is idle; 0: never.
    pub idle_ms: u64,
    /// What it does then.
    pub on_idle: OnIdle,
    /// Where it stands: scenes that matching wants in a region run on nodes of that region, or of none.
    pub region: Option<String>,
}

/// The longest name of a region, in characters.
const REGION_CHARS_MAX: usize = 32;

/// What an idle node does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnIdle {
    /// It says so, in its log and its metrics.
    #[default]
    Say,
    /// It says so, gets no more scenes, and the process ends when nothing is left on it.
    Exit,
}

impl Node {
    /// What is wrong with it, if anything.
    fn check(&self) -> Result<(), String> {
        if self.cores.is_some_and(|cores| !(0.01..=4_096.0).contains(&cores)) {
            return Err("cores needs 0.01 to 4096".to_owned());
        }
        if self.memory_mib == Some(0) {
            return Err("memory_mib needs at least 1".to_owned());
        }
        if self.idle_ms > 0 && self.idle_ms < 1_000 {
            return Err("idle_ms needs 0, for never, or at least 1000".to_owned());
        }
        if self.on_idle == OnIdle::Exit && self.idle_ms == 0 {
            return Err("on_idle = \"exit\" needs an idle_ms".to_owned());
        }
        let is_sign = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-';
        let is_name = |name: &String| (1..=REGION_CHARS_MAX).contains(&name.len()) && name.chars().all(is_sign);
        if self.region.as_ref().is_some_and(|region| !is_name(region)) {
            return Err(format!("region is 1 to {REGION_CHARS_MAX} of a to z, 0 to 9 and -, such as \"eu-west\""));
        }
        Ok(())
    }
}

/// Who may sign in, and how.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// What the game's own backend signs its users in with, at least 32 characters; without one it cannot.
    pub server_key: Option<String>,
    /// The rules of accounts and sessions.
    pub accounts: config::Auth,
    /// Whose ID tokens sign users in, by the name that clients call them.
    pub providers: BTreeMap<String, Provider>,
}

impl Auth {
    /// What is wrong with it, if anything, and where.
    fn check(&self) -> Result<(), Error> {
        let wrong = |place: String, what: String| Err(Error::Wrong { place, what });
        if let Err(what) = self.accounts.check() {
            return wrong("[auth.accounts]".to_owned(), what);
        }
        if self.server_key.as_ref().is_some_and(|key| key.len() < 32) {
            let what = "server_key needs at least 32 characters from a secure random source";
            return wrong("[auth]".to_owned(), what.to_owned());
        }
        for (name, provider) in &self.providers {
            let place = format!("[auth.providers.{name}]");
            if !is_provider_name(name) {
                let what = format!("a provider's name has 1 to {PROVIDER_CHARS_MAX} letters, digits, - and _");
                return wrong(place, what);
            }
            if let Err(what) = provider.check() {
                return wrong(place, what);
            }
        }
        Ok(())
    }
}

/// What users pay with and buy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Economy {
    /// The file with currencies, items and offers; without one there are none.
    pub catalogue: Option<PathBuf>,
    /// See [`economy::Limits`].
    pub entries_per_user: Option<u64>,
}

impl Economy {
    /// Its limits.
    fn limits(&self) -> economy::Limits {
        let default = economy::Limits::default();
        economy::Limits { entries_per_user: self.entries_per_user.unwrap_or(default.entries_per_user) }
    }

    /// What is wrong with it, if anything.
    fn check(&self) -> Result<(), String> {
        self.limits().check()?;
        match self.catalogue.as_deref().map(catalogue::load) {
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

/// The listener for operators.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ops {
    /// Where operators and their tools connect; never open it to players.
    pub listen: SocketAddr,
    /// The secret for calls that change something, at least 16 characters. Without one such calls
    /// are refused.
    pub token: Option<String>,
    /// The same for several operators, or tools, by name: the name stands in the audit log, and with what was
    /// uploaded. That of `token` is `ops`.
    pub tokens: BTreeMap<String, String>,
}

/// The name of `ops.token`.
pub const OPS_NAME: &str = "ops";
/// A secret that is shorter can be guessed.
const TOKEN_CHARS_MIN: usize = 16;
/// Every call is compared with each.
const TOKENS_MAX: usize = 64;

impl Ops {
    /// What is wrong with it, if anything.
    fn check(&self) -> Result<(), String> {
        let weak =
            |name: &str| format!("{name} needs at least {TOKEN_CHARS_MIN} characters from a secure random source");
        if self.token.as_ref().is_some_and(|token| token.len() < TOKEN_CHARS_MIN) {
            return Err(weak("token"));
        }
        if self.tokens.len() > TOKENS_MAX {
            return Err(format!("tokens has more than {TOKENS_MAX}"));
        }
        let mut known: Vec<&String> = self.token.iter().collect();
        for (name, token) in &self.tokens {
            if !is_plain(name) || name == OPS_NAME {
                let text = "a name has 1 to 64 letters, digits, - and _, and `ops` is that of token";
                return Err(format!("tokens: {name:?} is no name: {text}"));
            }
            if token.len() < TOKEN_CHARS_MIN {
                return Err(weak(&format!("tokens.{name}")));
            }
            if known.contains(&token) {
                return Err(format!("tokens.{name} is another one's, too: then nobody could tell who it was"));
            }
            known.push(token);
        }
        Ok(())
    }
}

impl Default for Ops {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 7351)), token: None, tokens: BTreeMap::new() }
    }
}

/// Refuses domains that cannot work, alone or together.
///
/// # Errors
/// Which of them, and what to change.
pub fn check_domains(
    domains: &BTreeMap<DomainName, Domain>,
    has_fleet: impl Fn(&FleetName) -> bool,
) -> Result<(), Error> {
    for (name, domain) in domains {
        let wrong = |what: String| Err(Error::Wrong { place: format!("[domains.{name}]"), what });
        if let Err(what) = domain.check() {
            return wrong(what);
        }
        if let Some(of) = domain.rating_of.as_ref().filter(|of| !domains.contains_key(*of)) {
            return wrong(format!("rating_of names {:?}, and there is no such domain", of.as_str()));
        }
        if !has_fleet(&domain.fleet) {
            let fleet = &domain.fleet;
            return wrong(format!("fleet {:?} is not configured: add [fleets.{fleet}]", fleet.as_str()));
        }
    }
    Ok(())
}

impl Config {
    /// Reads the file; its relative paths are seen from its folder.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|cause| Error::Read { path: path.to_owned(), cause })?;
        let parse_error = |cause| Error::Parse { path: path.to_owned(), cause };
        let Strict(mut config) = toml::from_str::<Strict<Self>>(&text).map_err(parse_error)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for relative in [&mut config.server.data_dir, &mut config.server.plugins_dir] {
            *relative = folder.join(&*relative);
        }
        for file in config.auth.providers.values_mut().filter_map(|provider| provider.jwks_file.as_mut()) {
            *file = folder.join(&*file);
        }
        for domain in config.domains.values_mut() {
            if let Record::In(streams) = &mut domain.record {
                *streams = folder.join(&*streams).display().to_string();
            }
        }
        config.economy.catalogue = config.economy.catalogue.map(|file| folder.join(file));
        config.server.backup_dir = config.server.backup_dir.map(|backups| folder.join(backups));
        config.server.pages_dir = config.server.pages_dir.map(|pages| folder.join(pages));
        config.store.seen_from(folder);
        if let Some(cluster) = &mut config.cluster {
            cluster.seen_from(folder);
        }
        if let Some(tls) = &mut config.server.tls {
            tls.certificate = folder.join(&tls.certificate);
            tls.key = folder.join(&tls.key);
        }
        Ok(config)
    }

    /// Refuses what cannot work, saying what to change.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |place: String, what: String| Err(Error::Wrong { place, what });
        check_domains(&self.domains, |fleet| self.fleets.contains_key(fleet))?;
        for (name, fleet) in &self.fleets {
            if let Err(what) = fleet.check() {
                return wrong(format!("[fleets.{name}]"), what);
            }
        }
        if let Err(what) = self.journals.check() {
            return wrong("[journals]".to_owned(), what);
        }
        if let Err(what) = self.store.check() {
            return wrong("[store]".to_owned(), what);
        }
        if let Some(Err(what)) = self.cluster.as_ref().map(Cluster::check) {
            return wrong("[cluster]".to_owned(), what);
        }
        if let Err(what) = self.node.check() {
            return wrong("[node]".to_owned(), what);
        }
        if let Err(what) = self.storage.check() {
            return wrong("[storage]".to_owned(), what);
        }
        if let Err(what) = self.chat.check() {
            return wrong("[chat]".to_owned(), what);
        }
        if let Some(Err(what)) = self.chat.moderation.as_ref().map(|it| moderation::check_url(&it.url)) {
            return wrong("[chat.moderation]".to_owned(), what);
        }
        if let Err(what) = self.guilds.check() {
            return wrong("[guilds]".to_owned(), what);
        }
        if let Err(what) = self.parties.check() {
            return wrong("[parties]".to_owned(), what);
        }
        if let Err((name, what)) = Board::check_all(&self.leaderboards, &self.domains) {
            return wrong(format!("[leaderboards.{name}]"), what);
        }
        if let Err(what) = self.economy.check() {
            return wrong("[economy]".to_owned(), what);
        }
        self.auth.check()?;
        if let Err(what) = self.ops.check() {
            return wrong("[ops]".to_owned(), what);
        }
        if let Err(what) = self.plugins.check() {
            return wrong("[plugins]".to_owned(), what);
        }
        self.server.check()
    }

    /// The rules of what players keep. A game is what one plugin runs.
    pub fn db_rules(&self) -> db::Rules {
        let games = self.fleets.values().map(|fleet| GameName::from(fleet.plugin.as_str())).collect();
        let rated = self.domains.iter().map(|(name, domain)| (name.clone(), domain.rated)).collect();
        let results = results::Rules { rated, boards: self.leaderboards.clone() };
        // The catalogue comes from its file.
        let economy = economy::Rules { limits: self.economy.limits(), ..economy::Rules::default() };
        db::Rules {
            games,
            storage: self.storage.clone(),
            guilds: self.guilds.clone(),
            parties: self.parties.clone(),
            results,
            economy,
        }
    }

    /// The partitions of SceneMaster: one, where this host is all there is.
    pub fn partitions(&self) -> Vec<Partition> {
        Partition::split(self.cluster.as_ref().map_or(1, |cluster| cluster.scene_master_partitions))
    }

    /// The rules' part of the fleets.
    pub fn fleet_rules(&self) -> BTreeMap<FleetName, Fleet> {
        self.fleets.iter().map(|(name, fleet)| (name.clone(), fleet.scene.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_of_the_documentation_is_right() {
        let page = include_str!("../DOMAINS.md");
        let example =
            page.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).expect("it has an example");
        let others = "[fleets.arena]\nplugin = \"arena\"\n\
                      [domains.arena]\nfleet = \"arena\"\nplayers_min = 2\nplayers_max = 2\n";
        let Strict(config) = toml::from_str::<Strict<Config>>(&format!("{others}{example}")).expect("it can be read");
        config.check().expect("it can work");
        assert_eq!(config.domains.len(), 2);
    }
}
