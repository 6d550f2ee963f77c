//! The registry of plugins, as the configuration has it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::fleets::is_plain;

/// The length of an ed25519 key.
const KEY_BYTES: usize = 32;
/// The largest upload that can be allowed. So much is held in memory for each of a few uploads at once.
const UPLOAD_BYTES_MOST: usize = 64 << 20;
/// The most versions of one plugin that can be allowed.
const VERSIONS_MOST: usize = 1_024;

/// What uploads may be, and how much is kept of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plugins {
    /// The size of a component, uploaded or in `plugins_dir`.
    pub upload_bytes_max: usize,
    /// How many versions of one plugin are kept; more are refused until some are removed.
    pub versions_max: usize,
    /// How much the components of all versions may take.
    pub stored_bytes_max: u64,
    /// How much compiled code may take; what was not used for the longest time goes first.
    pub code_cache_bytes_max: u64,
    /// Whether uploads have to be signed.
    pub signatures: Signatures,
    /// Who may sign: names, and ed25519 keys in base64.
    pub publishers: BTreeMap<String, String>,
}

impl Default for Plugins {
    fn default() -> Self {
        Self {
            upload_bytes_max: 16 << 20,
            versions_max: 64,
            stored_bytes_max: 4 << 30,
            code_cache_bytes_max: 1 << 30,
            signatures: Signatures::default(),
            publishers: BTreeMap::new(),
        }
    }
}

/// Whether uploads have to be signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signatures {
    /// Signatures are not looked at.
    #[default]
    Off,
    /// One that is there has to be right.
    Optional,
    /// Every upload has to have one.
    Required,
}

impl Plugins {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        if !(1_024..=UPLOAD_BYTES_MOST).contains(&self.upload_bytes_max) {
            return Err(format!("upload_bytes_max needs 1024 to {UPLOAD_BYTES_MOST}"));
        }
        if !(1..=VERSIONS_MOST).contains(&self.versions_max) {
            return Err(format!("versions_max needs 1 to {VERSIONS_MOST}"));
        }
        if self.stored_bytes_max < self.upload_bytes_max as u64 {
            return Err("stored_bytes_max is below upload_bytes_max".to_owned());
        }
        if self.signatures == Signatures::Required && self.publishers.is_empty() {
            return Err("signatures = \"required\" needs publishers, or nothing can be uploaded".to_owned());
        }
        self.keys().map(|_| ())
    }

    /// The publishers' keys.
    pub fn keys(&self) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let key = |(name, text): (&String, &String)| {
            let key = BASE64_STANDARD.decode(text.trim()).ok().filter(|key| key.len() == KEY_BYTES);
            match key {
                Some(key) if is_plain(name) => Ok((name.clone(), key)),
                Some(_) => Err(format!("publishers: {name:?} is no name: it has 1 to 64 letters, digits, - and _")),
                None => Err(format!("publishers.{name} is no ed25519 key: give its {KEY_BYTES} bytes in base64")),
            }
        };
        self.publishers.iter().map(key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_and_says_what_to_change() {
        let key = BASE64_STANDARD.encode([7; 32]);
        for (text, part) in [
            ("upload_bytes_max = 1".to_owned(), "upload_bytes_max"),
            ("versions_max = 0".to_owned(), "versions_max"),
            ("stored_bytes_max = 1000000".to_owned(), "below upload_bytes_max"),
            ("signatures = \"required\"".to_owned(), "needs publishers"),
            ("publishers = { ada = \"c2hvcnQ=\" }".to_owned(), "publishers.ada is no ed25519 key"),
            (format!("publishers = {{ \"a/b\" = \"{key}\" }}"), "is no name"),
        ] {
            let plugins: Plugins = toml::from_str(&text).expect("it can be read");
            let what = plugins.check().expect_err(&text);
            assert!(what.contains(part), "{text}: {what}");
        }
        let right = format!("signatures = \"required\"\npublishers = {{ ada = \"{key}\" }}");
        assert_eq!(toml::from_str::<Plugins>(&right).expect("it can be read").check(), Ok(()));
    }
}
