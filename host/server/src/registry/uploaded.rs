//! What was uploaded to a host, read beside it: it may run, or be stopped.
//!
//! Invariant: nothing is written, and what is read is as it was when this was opened.

use std::collections::BTreeMap;

use anyhow::Context as _;
use scenehost_core::record::{PLUGIN_PREFIX, decode, plugin_key};

use super::{Error, PluginRecord, files::Files};
use crate::config::{Config, StoreConfig};
use crate::store::{self, ReadOnly, Store};

pub struct Uploaded {
    /// The records of plugins.
    records: BTreeMap<String, Vec<u8>>,
    files: Files,
}

impl Uploaded {
    /// What is in the store of a host, and in its folder of components; `None` if it has never had a store. Blocks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(config: &Config) -> anyhow::Result<Option<Self>> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("reading the store")?;
        let store = match &config.store {
            StoreConfig::Rocksdb {} if !config.server.store_dir().is_dir() => return Ok(None),
            StoreConfig::Rocksdb {} => Store::read_only(&config.server.store_dir())?,
            StoreConfig::Postgres(settings) => runtime.block_on(ReadOnly::of_postgres(settings))?,
        };
        let records = runtime.block_on(records(&store))?;
        Ok(Some(Self { records, files: Files::at(config.server.uploads_dir()) }))
    }

    /// The component of a plugin's active version; `None` if there is none, so that its file counts. Blocks.
    ///
    /// # Errors
    /// When a record or the component is damaged.
    pub fn active(&self, plugin: &str) -> Result<Option<Vec<u8>>, Error> {
        let key = plugin_key(plugin);
        let Some(record) = self.records.get(&key) else { return Ok(None) };
        let record: PluginRecord = decode(&key, record).map_err(|error| Error::Wrong(error.to_string()))?;
        record.chosen().active.map(|digest| self.files.read(digest)).transpose()
    }
}

async fn records(store: &ReadOnly) -> Result<BTreeMap<String, Vec<u8>>, store::Error> {
    let (mut records, mut after) = (BTreeMap::new(), PLUGIN_PREFIX.to_owned());
    loop {
        let before = records.len();
        let page = store.page(&after).await?;
        records.extend(page.into_iter().take_while(|(key, _)| key.starts_with(PLUGIN_PREFIX)));
        match records.last_key_value() {
            Some((last, _)) if records.len() > before => after.clone_from(last),
            _ => return Ok(records),
        }
    }
}
