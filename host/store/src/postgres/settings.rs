//! How PostgreSQL is reached: the part `[store]` of a host's configuration.
//!
//! Invariant: no secret is shown, neither by `Debug` nor in an error.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::Error;

/// The most connections that a process may have. Each costs the database a process.
const CONNECTIONS_MAX: usize = 256;
/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// After how long of silence the system asks whether the other side is there, how often, and after how long without
/// a word about what was sent the connection is dead.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEPALIVE_TRIES: u32 = 3;
const SENT_MAX: Duration = Duration::from_secs(10);

/// How PostgreSQL is reached.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `postgres://user@host:port/database`, also with several hosts of which one takes writes. What stands beside it
    /// goes first.
    pub url: Option<String>,
    /// A name, an address, or the folder of a Unix socket.
    pub host: Option<String>,
    /// 5432 if nobody says otherwise.
    pub port: Option<u16>,
    /// Who the host is for the database.
    pub user: Option<String>,
    /// The database, whose encoding and collation do not matter.
    pub database: Option<String>,
    /// The file with the password; a line's end after it is none of it.
    pub password_file: Option<PathBuf>,
    /// The variable of the environment with the password.
    pub password_env: Option<String>,
    /// Whether the connection is by TLS; without it, unless the database is on this machine.
    pub tls: Option<Tls>,
    /// The certificates of authorities (PEM) that the database's leads to, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// This client's certificate, then those that lead to its issuer (PEM), if the database asks for one.
    pub certificate_file: Option<PathBuf>,
    /// The private key of the first of them (PEM).
    pub key_file: Option<PathBuf>,
    /// How many connections there may be at once for reads and commits; three more are for leases.
    pub connections: usize,
    /// The schema with the tables, which is made if it is not there.
    pub schema: String,
}

/// Whether the connection is by TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// Always, and the database's certificate has to be right.
    Require,
    /// Never: for a database on this machine, or behind a tunnel.
    Disable,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: None,
            host: None,
            port: None,
            user: None,
            database: None,
            password_file: None,
            password_env: None,
            tls: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            connections: 16,
            schema: "scenehost".to_owned(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("place", &self.place()).field("connections", &self.connections).finish()
    }
}

impl Settings {
    /// Sees relative paths from this folder.
    pub fn seen_from(&mut self, folder: &Path) {
        let files = [&mut self.password_file, &mut self.ca_file, &mut self.certificate_file, &mut self.key_file];
        for file in files.into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }

    /// Refuses what cannot work, without asking the database.
    ///
    /// # Errors
    /// What to change.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |what: &str| Err(Error::Settings(what.to_owned()));
        if self.connections == 0 || self.connections > CONNECTIONS_MAX {
            return Err(Error::Settings(format!("connections needs 1 to {CONNECTIONS_MAX}")));
        }
        let mut signs = self.schema.chars();
        let begins = signs.next().is_some_and(|sign| sign.is_ascii_lowercase() || sign == '_');
        let is_sign = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '_';
        if !begins || !signs.all(is_sign) || self.schema.len() > 63 || self.schema.starts_with("pg_") {
            return wrong("schema has 1 to 63 of a to z, 0 to 9 and _, begins with no digit and not with pg_");
        }
        if self.password_file.is_some() && self.password_env.is_some() {
            return wrong("password_file and password_env are two places for one password: say one");
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return wrong("certificate_file and key_file go together");
        }
        let config = self.config()?;
        if !is_by_tls(&config) && (self.ca_file.is_some() || self.certificate_file.is_some()) {
            return wrong("there are certificates, and the connection is not by TLS: say tls = \"require\"");
        }
        super::connect::tls(self).map(drop)
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        let Ok(config) = self.address() else { return format!("schema {}", self.schema) };
        let hosts: Vec<String> = config.get_hosts().iter().map(named).collect();
        let database = config.get_dbname().unwrap_or("(the user's)");
        format!("{}, database {database}, schema {}", hosts.join(", "), self.schema)
    }

    /// Where it is, without the password of the file or the environment.
    fn address(&self) -> Result<tokio_postgres::Config, Error> {
        let mut config = match &self.url {
            // What is wrong with it is told without it, for it may have a password.
            Some(url) => url.parse().map_err(|_| {
                let what = "url is not right: it looks like \"postgres://user@host:5432/database\", and signs such as \
                            @ or / in its parts are written in percent, as %40 or %2F";
                Error::Settings(what.to_owned())
            })?,
            None => tokio_postgres::Config::new(),
        };
        if let Some(host) = &self.host {
            if !config.get_hosts().is_empty() {
                return Err(Error::Settings("url and host both say where the database is: say it once".to_owned()));
            }
            config.host(host);
        }
        if let Some(port) = self.port {
            if !config.get_ports().is_empty() {
                return Err(Error::Settings("url and port both say where the database is: say it once".to_owned()));
            }
            config.port(port);
        }
        self.user.as_ref().map(|user| config.user(user));
        self.database.as_ref().map(|database| config.dbname(database));
        if config.get_hosts().is_empty() || config.get_user().is_none() {
            let what = "url, or host and user, have to say where the database is and who the host is for it";
            return Err(Error::Settings(what.to_owned()));
        }
        Ok(config)
    }

    /// What connections are made with.
    pub(super) fn config(&self) -> Result<tokio_postgres::Config, Error> {
        let mut config = self.address()?;
        if let Some(password) = self.password()? {
            config.password(password);
        }
        let is_here = config.get_hosts().iter().all(is_on_this_machine) && config.get_hostaddrs().is_empty();
        let tls = self.tls.unwrap_or(if is_here { Tls::Disable } else { Tls::Require });
        config.ssl_mode(if tls == Tls::Require { SslMode::Require } else { SslMode::Disable });
        config.application_name("scenehost").connect_timeout(CONNECT_MAX).tcp_user_timeout(SENT_MAX);
        config.keepalives_idle(KEEPALIVE_IDLE).keepalives_interval(KEEPALIVE_EVERY).keepalives_retries(KEEPALIVE_TRIES);
        // Of several hosts the one is right that takes writes.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(config)
    }

    fn password(&self) -> Result<Option<String>, Error> {
        if let Some(file) = &self.password_file {
            let text = std::fs::read_to_string(file).map_err(|cause| {
                Error::Settings(format!("password_file {} cannot be read: {cause}", file.display()))
            })?;
            return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        match &self.password_env {
            Some(name) => match std::env::var(name) {
                Ok(password) => Ok(Some(password)),
                Err(_) => {
                    Err(Error::Settings(format!("password_env names {name}, and the environment has no such text")))
                }
            },
            None => Ok(None),
        }
    }
}

pub(super) fn is_by_tls(config: &tokio_postgres::Config) -> bool {
    config.get_ssl_mode() != SslMode::Disable
}

fn named(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    }
}

fn is_on_this_machine(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_url(url: &str) -> Settings {
        Settings { url: Some(url.to_owned()), ..Settings::default() }
    }

    #[test]
    fn tls_is_needed_for_a_database_on_another_machine_unless_it_is_said() {
        let by_tls = |settings: &Settings| is_by_tls(&settings.config().expect("it is right"));
        assert!(by_tls(&with_url("postgres://scenehost@db.example/games")));
        assert!(by_tls(&with_url("postgres://scenehost@localhost,db.example/games")));
        assert!(!by_tls(&with_url("postgres://scenehost@127.0.0.1:5433/games")));
        assert!(!by_tls(&with_url("postgres://scenehost@%2Frun%2Fpostgresql/games")));
        assert!(!by_tls(&Settings { tls: Some(Tls::Disable), ..with_url("postgres://scenehost@db.example/games") }));
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_change_and_never_with_the_secret() {
        let url = "postgres://scenehost:hunter2@localhost/games";
        let right = with_url(url);
        right.check().expect("it can work");
        let missing = Some(PathBuf::from("/nowhere/secret"));
        let wrong = [
            (Settings::default(), "where the database is"),
            (with_url("postgres://scenehost:hunter2@localhost:port/games"), "url is not right"),
            (Settings { host: Some("db".to_owned()), ..right.clone() }, "say it once"),
            (Settings { connections: 0, ..right.clone() }, "1 to 256"),
            (Settings { schema: "Games; DROP".to_owned(), ..right.clone() }, "schema has"),
            (Settings { schema: "pg_games".to_owned(), ..right.clone() }, "schema has"),
            (Settings { password_file: missing.clone(), ..right.clone() }, "/nowhere/secret cannot be read"),
            (Settings { password_env: Some("SCENEHOST_NO_SUCH".to_owned()), ..right.clone() }, "no such text"),
            (
                Settings { password_env: Some("HOME".to_owned()), password_file: missing.clone(), ..right.clone() },
                "say one",
            ),
            (Settings { key_file: missing.clone(), ..right.clone() }, "go together"),
            (Settings { ca_file: missing.clone(), ..right.clone() }, "not by TLS"),
            (Settings { ca_file: missing, tls: Some(Tls::Require), ..right.clone() }, "/nowhere/secret"),
        ];
        for (settings, words) in wrong {
            let refused = settings.check().expect_err("it cannot work").to_string();
            assert!(refused.contains(words) && !refused.contains("hunter2"), "{words}: {refused}");
        }
        let shown = format!("{right:?} {}", right.place());
        assert!(shown.contains("localhost, database games, schema scenehost") && !shown.contains("hunter2"), "{shown}");
    }
}
