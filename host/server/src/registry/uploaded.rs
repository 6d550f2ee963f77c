//! What was uploaded to a host, read beside it: it may run, or be stopped.
//!
//! Invariant: nothing is written, and what is read is as it was when this was opened.

use std::path::Path;

use scenehost_core::record::{decode, plugin_key};

use super::{Error, PluginRecord, files::Files};
use crate::store::{ReadOnly, Store};

pub struct Uploaded {
    store: ReadOnly,
    files: Files,
}

impl Uploaded {
    /// What is in the store of a host, and in its folder of components.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(store: &Path, components: &Path) -> Result<Self, Error> {
        Ok(Self { store: Store::read_only(store)?, files: Files::at(components.to_owned()) })
    }

    /// The component of a plugin's active version; `None` if there is none, so that its file counts. Blocks.
    ///
    /// # Errors
    /// When a record or the component is damaged.
    pub fn active(&self, plugin: &str) -> Result<Option<Vec<u8>>, Error> {
        let key = plugin_key(plugin);
        let Some(record) = self.store.get(&key)? else { return Ok(None) };
        let record: PluginRecord = decode(&key, &record).map_err(|error| Error::Wrong(error.to_string()))?;
        record.chosen().active.map(|digest| self.files.read(digest)).transpose()
    }
}
