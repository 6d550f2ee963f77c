//! Where the store is.

use std::path::Path;

use scenehost_store::postgres;
use serde::Deserialize;

/// Which driver the store has, and what that needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum StoreConfig {
    /// In `store` of `server.data_dir`: for a host that is all there is.
    Rocksdb {},
    /// In a database that is elsewhere.
    Postgres(Box<postgres::Settings>),
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self::Rocksdb {}
    }
}

impl StoreConfig {
    /// Sees relative paths from this folder.
    pub fn seen_from(&mut self, folder: &Path) {
        if let Self::Postgres(settings) = self {
            settings.seen_from(folder);
        }
    }

    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Rocksdb {} => Ok(()),
            Self::Postgres(settings) => settings.check().map_err(|error| error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_store_is_rocksdb_unless_another_is_said_and_nothing_that_is_not_known_is_passed_over() {
        let read = |text: &str| toml::from_str::<Config>(text).map(|config| config.store.check());
        for right in [
            "",
            "[store]\nkind = \"rocksdb\"",
            "[store]\nkind = \"postgres\"\nurl = \"postgres://a@localhost/b\"\nconnections = 4",
            "[store]\nkind = \"postgres\"\nhost = \"/run/postgresql\"\nuser = \"a\"\ntls = \"disable\"",
        ] {
            assert_eq!(read(right).expect(right), Ok(()), "{right}");
        }
        for (wrong, words) in [
            ("[store]\nurl = \"postgres://a@localhost/b\"", "missing field `kind`"),
            ("[store]\nkind = \"rocksdb\"\nurl = \"postgres://a@localhost/b\"", "unknown field `url`"),
            ("[store]\nkind = \"postgres\"\nurll = \"postgres://a@localhost/b\"", "unknown field `urll`"),
            ("[store]\nkind = \"sqlite\"", "unknown variant `sqlite`"),
        ] {
            let refused = read(wrong).expect_err(wrong).to_string();
            assert!(refused.contains(words), "{words}: {refused}");
        }
        assert!(read("[store]\nkind = \"postgres\"").expect("it can be read").is_err(), "it says nothing of where");
    }
}
