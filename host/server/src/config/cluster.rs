//! A host as one of many nodes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use scenehost_bus::driver::nats;
use scenehost_core::partition::SHARDS;
use serde::Deserialize;

use crate::cluster::unit::Role;

/// The longest name of a cluster, in characters.
const NAME_CHARS_MAX: usize = 32;

/// How this host takes part in a cluster.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Which cluster, where several share one bus: 1 to 32 of a to z, 0 to 9, `-` and `_`.
    #[serde(default = "default_name")]
    pub name: String,
    /// This node's number, 1 to 65535, which no other node has; without one it takes the lowest that is free.
    #[serde(default)]
    pub node: Option<u16>,
    /// What it does; without any, everything.
    #[serde(default = "default_roles")]
    pub roles: BTreeSet<Role>,
    /// Where the scenes' connections of users go that run here: `wss://node1.example.org`, which leads to
    /// `server.listen`. Without it to wherever the lobby's connection goes, which is right for one address only.
    #[serde(default)]
    pub url: Option<String>,
    /// In how many partitions the work of SceneMaster is split, 1 to 256: the same on all nodes, and changed only while
    /// none runs.
    #[serde(default = "default_partitions")]
    pub scene_master_partitions: u16,
    pub nats: Nats,
}

/// How the messages between nodes go.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    /// The servers of one NATS cluster: `nats://host:4222` or `tls://host:4222`.
    pub servers: Vec<String>,
    /// A user of the servers' configuration, with the password in a file.
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A file with the servers' token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// A `.creds` file.
    #[serde(default)]
    pub credentials_file: Option<PathBuf>,
    /// A server without TLS is refused.
    #[serde(default)]
    pub tls_required: bool,
    /// The authorities to trust, as PEM; without one the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// What shows the server who this is, as PEM.
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    #[serde(default)]
    pub key_file: Option<PathBuf>,
}

fn default_name() -> String {
    "scenehost".to_owned()
}

/// So many that the few fleets of most hosts seldom share one.
fn default_partitions() -> u16 {
    16
}

fn default_roles() -> BTreeSet<Role> {
    Role::ALL.into_iter().collect()
}

impl Cluster {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        let is_sign = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || "-_".contains(sign);
        if !(1..=NAME_CHARS_MAX).contains(&self.name.len()) || !self.name.chars().all(is_sign) {
            return Err(format!("name is 1 to {NAME_CHARS_MAX} of a to z, 0 to 9, - and _"));
        }
        if !(1..=SHARDS).contains(&self.scene_master_partitions) {
            return Err(format!("scene_master_partitions is 1 to {SHARDS}"));
        }
        if self.node == Some(0) {
            return Err("node is 1 to 65535".to_owned());
        }
        if self.roles.is_empty() {
            return Err("roles needs at least one; without the setting the node has all".to_owned());
        }
        if let Some(url) = &self.url
            && !(url.starts_with("ws://") || url.starts_with("wss://"))
        {
            return Err("url begins with ws:// or wss://, as in wss://node1.example.org".to_owned());
        }
        self.nats.check()
    }

    /// Sees relative paths from this folder.
    pub fn seen_from(&mut self, folder: &Path) {
        let Nats { password_file, token_file, credentials_file, ca_file, certificate_file, key_file, .. } =
            &mut self.nats;
        let files = [password_file, token_file, credentials_file, ca_file, certificate_file, key_file];
        for path in files.into_iter().flatten() {
            *path = folder.join(&path);
        }
    }
}

impl Nats {
    fn check(&self) -> Result<(), String> {
        if self.servers.is_empty() {
            return Err("nats.servers needs at least one, such as \"nats://127.0.0.1:4222\"".to_owned());
        }
        let is_url = |server: &String| server.starts_with("nats://") || server.starts_with("tls://");
        if let Some(server) = self.servers.iter().find(|server| !is_url(server)) {
            return Err(format!("nats.servers: {server:?} is no nats://host:port or tls://host:port"));
        }
        let ways = [self.user.is_some(), self.token_file.is_some(), self.credentials_file.is_some()];
        if ways.into_iter().filter(|is_set| *is_set).count() > 1 {
            return Err("nats: choose one of user, token_file and credentials_file".to_owned());
        }
        if self.user.is_some() != self.password_file.is_some() {
            return Err("nats: user and password_file belong together".to_owned());
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return Err("nats: certificate_file and key_file belong together".to_owned());
        }
        Ok(())
    }

    /// What the driver needs; secrets are read here.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn settings(&self, name: String) -> Result<nats::Settings, String> {
        let credentials = match (&self.user, &self.password_file, &self.token_file, &self.credentials_file) {
            (Some(user), Some(file), _, _) => {
                nats::Credentials::UserAndPassword { user: user.clone(), password: secret(file)? }
            }
            (_, _, Some(file), _) => nats::Credentials::Token(secret(file)?),
            (_, _, _, Some(file)) => nats::Credentials::File(file.clone()),
            _ => nats::Credentials::None,
        };
        let client = self.certificate_file.clone().zip(self.key_file.clone());
        let client = client.map(|(certificate, key)| nats::ClientCertificate { certificate, key });
        let tls = nats::Tls { required: self.tls_required, ca_file: self.ca_file.clone(), client };
        Ok(nats::Settings { servers: self.servers.clone(), name, credentials, tls })
    }
}

fn secret(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|cause| format!("{} cannot be read: {cause}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Result<(), String>, toml::de::Error> {
        toml::from_str::<Cluster>(text).map(|cluster| cluster.check())
    }

    #[test]
    fn a_node_does_everything_unless_it_is_said_what_and_nothing_that_is_wrong_is_passed_over() {
        let least = "nats.servers = [\"nats://127.0.0.1:4222\"]";
        let all: Cluster = toml::from_str(least).expect("it can be read");
        assert_eq!(all.roles, Role::ALL.into_iter().collect());
        assert_eq!(
            read(&format!("roles = [\"lobby\", \"scene-service\"]\nnode = 3\n{least}")).map_err(drop),
            Ok(Ok(()))
        );
        for (more, words) in [
            ("name = \"a.b\"", "name is 1 to 32"),
            ("node = 0", "node is 1 to 65535"),
            ("roles = []", "at least one"),
            ("url = \"https://example.org\"", "ws:// or wss://"),
            ("nats.user = \"ada\"", "belong together"),
            ("nats.token_file = \"t\"\nnats.credentials_file = \"c\"", "choose one"),
        ] {
            let told = read(&format!("{more}\n{least}")).expect("it can be read").expect_err(more);
            assert!(told.contains(words), "{words}: {told}");
        }
        assert!(read("nats.servers = []").expect("it can be read").is_err());
        assert!(read("nats.servers = [\"http://a\"]").expect("it can be read").is_err());
        assert!(read(&format!("roles = [\"judge\"]\n{least}")).is_err(), "no such role");
    }
}
