//! Components in the store, where several nodes share it, in parts that are small enough for a record.

use scenehost_core::Write;
use scenehost_engine::Digest;

use crate::store::{Error, Store};

/// How many bytes a part has.
const PART_BYTES: usize = 4 << 20;

fn prefix(digest: Digest) -> String {
    format!("component/{digest}/")
}

fn key(digest: Digest, part: usize) -> String {
    format!("{}{part:08}", prefix(digest))
}

/// Whether a component is there.
pub async fn has(store: &Store, digest: Digest) -> Result<bool, Error> {
    Ok(store.get(&key(digest, 0)).await?.is_some())
}

/// Writes a component, once.
pub async fn put(store: &Store, digest: Digest, bytes: &[u8]) -> Result<(), Error> {
    // The last part is written with the others or not at all.
    let part = |(number, part): (usize, &[u8])| Write::Put { key: key(digest, number), value: part.to_vec() };
    let writes = bytes.chunks(PART_BYTES).enumerate().map(part).collect();
    store.begin(writes).await?.synced().await
}

/// A component; `None`: it is not there, or damaged.
pub async fn get(store: &Store, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
    let parts = store.scan(&prefix(digest)).await?;
    let bytes: Vec<u8> = parts.into_iter().flat_map(|(_, part)| part).collect();
    Ok((Digest::of(&bytes) == digest).then_some(bytes))
}

/// Removes a component.
pub async fn remove(store: &Store, digest: Digest) -> Result<(), Error> {
    let parts = store.scan(&prefix(digest)).await?;
    let writes: Vec<Write> = parts.into_iter().map(|(key, _)| Write::Delete { key }).collect();
    if writes.is_empty() {
        return Ok(());
    }
    store.begin(writes).await?.synced().await
}
