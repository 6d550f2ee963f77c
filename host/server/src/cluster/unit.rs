//! Units: the services of which one node at a time runs each.

use std::fmt;
use std::str::FromStr;

use scenehost_core::{DomainName, Partition, ServiceName};
use serde::{Deserialize, Serialize};

/// What a node does for its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It may run Auth.
    Auth,
    /// Users connect to it, and it may run the Lobby.
    Lobby,
    /// It may run the handlers of domains.
    Match,
    /// It may run SceneMaster.
    SceneMaster,
    /// It runs scenes.
    SceneService,
    /// It may run Db.
    Db,
}

impl Role {
    pub const ALL: [Self; 6] = [Self::Auth, Self::Lobby, Self::Match, Self::SceneMaster, Self::SceneService, Self::Db];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auth => "auth",
            Self::Lobby => "lobby",
            Self::Match => "match",
            Self::SceneMaster => "scene-master",
            Self::SceneService => "scene-service",
            Self::Db => "db",
        })
    }
}

/// A service that one node at a time owns, by the store's word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Unit {
    Auth,
    Db,
    Lobby,
    /// The authority over the scenes of a partition.
    SceneMaster(Partition),
    /// The handler of a domain.
    Match(DomainName),
}

impl Unit {
    /// Those of which there is one, whatever the configuration.
    pub const SOLE: [Self; 3] = [Self::Auth, Self::Db, Self::Lobby];

    /// What users and other services know it as.
    pub fn service(&self) -> ServiceName {
        match self {
            Self::Auth => ServiceName::Auth,
            Self::Db => ServiceName::Db,
            Self::Lobby => ServiceName::Lobby,
            Self::SceneMaster(_) => ServiceName::SceneMaster,
            Self::Match(_) => ServiceName::Match,
        }
    }

    /// The role of those that may run it.
    pub fn role(&self) -> Role {
        match self {
            Self::Auth => Role::Auth,
            Self::Db => Role::Db,
            Self::Lobby => Role::Lobby,
            Self::SceneMaster(_) => Role::SceneMaster,
            Self::Match(_) => Role::Match,
        }
    }
}

const OF_DOMAIN: &str = "match/";
const OF_PARTITION: &str = "scene-master/";

/// Its name in the store.
impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auth => f.write_str("auth"),
            Self::Db => f.write_str("db"),
            Self::Lobby => f.write_str("lobby"),
            Self::SceneMaster(partition) => write!(f, "{OF_PARTITION}{partition}"),
            Self::Match(domain) => write!(f, "{OF_DOMAIN}{domain}"),
        }
    }
}

/// A name that is no unit's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no unit of this version: auth, db, lobby, scene-master/ and a partition, or match/ and a domain")]
pub struct NoUnit(String);

impl FromStr for Unit {
    type Err = NoUnit;

    fn from_str(text: &str) -> Result<Self, NoUnit> {
        let no_unit = || NoUnit(text.to_owned());
        if let Some(domain) = text.strip_prefix(OF_DOMAIN) {
            return if domain.is_empty() { Err(no_unit()) } else { Ok(Self::Match(domain.into())) };
        }
        if let Some(partition) = text.strip_prefix(OF_PARTITION) {
            return partition.parse().map(Self::SceneMaster).map_err(|_| no_unit());
        }
        Self::SOLE.into_iter().find(|unit| unit.to_string() == text).ok_or_else(no_unit)
    }
}

impl From<Unit> for String {
    fn from(unit: Unit) -> Self {
        unit.to_string()
    }
}

impl TryFrom<String> for Unit {
    type Error = NoUnit;

    fn try_from(text: String) -> Result<Self, NoUnit> {
        text.parse()
    }
}
