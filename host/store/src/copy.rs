//! All records from one store to another, when no host uses either of them.
//!
//! Invariant: from the first record on until the last one is durable and was read back, the target says that it is half
//! copied, and no host starts on it. What belongs to a driver, such as leases, is not copied.

use sha2::{Digest, Sha256};

use scenehost_core::Write;

use crate::{Driver, Error, ReadOnly, Store};
use crate::{lock::DataLock, postgres, postgres::Postgres, rocks::Rocks};

/// How many records are read back, or removed, at once.
const AT_ONCE: usize = 128;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// How many records.
    pub records: u64,
    /// The bytes of their keys and values.
    pub bytes: u64,
    /// SHA-256 of all of them in the order of keys, each key and value after its length (8 bytes, big-endian), in
    /// hexadecimal digits.
    pub checksum: String,
}

/// Why nothing was copied, or not all.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is something.
    #[error(
        "the target is not empty: choose another, or say --force, which removes all records that are there before it \
         copies"
    )]
    NotEmpty,
    /// A host uses it.
    #[error("node {number} uses {place}, and its lease lasts for {left_ms} ms more: stop the host, then copy")]
    InUse {
        /// Who.
        number: u16,
        /// Which of the two.
        place: String,
        /// For how much longer, if it is not renewed.
        left_ms: u128,
    },
    /// What was written is not what was read.
    #[error(
        "the target has {found:?} where the source has {wanted:?}: somebody else uses one of them; copy again with --force"
    )]
    Differs {
        /// What the source has.
        wanted: Copied,
        /// What the target has.
        found: Copied,
    },
    /// A store that fails.
    #[error(transparent)]
    Store(#[from] Error),
    /// Leases that cannot be read.
    #[error(transparent)]
    Lease(#[from] crate::lease::Error),
}

/// A store that records are copied into.
pub struct Target(Store);

impl Target {
    /// The one in RocksDB in this folder, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn rocks(path: &std::path::Path, lock: DataLock) -> Result<Self, CopyError> {
        Ok(Self(Store(Driver::Rocks(Rocks::open(path, lock)?))))
    }

    /// The one in PostgreSQL, whose tables are made if they are not there.
    ///
    /// # Errors
    /// When it cannot be reached, or a node's lease says that a host uses it.
    pub async fn postgres(settings: &postgres::Settings) -> Result<Self, CopyError> {
        let store = Store(Driver::Postgres(Postgres::connect(settings).await.map_err(Error::from)?));
        not_in_use(&store, settings).await?;
        Ok(Self(store))
    }
}

/// Refuses a database that a host uses, as far as leases tell.
///
/// # Errors
/// Who uses it.
pub async fn not_in_use(store: &Store, settings: &postgres::Settings) -> Result<(), CopyError> {
    for lease in store.leases().nodes().await? {
        if !lease.left.is_zero() {
            let (number, place) = (lease.node.number, settings.place());
            return Err(CopyError::InUse { number, place, left_ms: lease.left.as_millis() });
        }
    }
    Ok(())
}

/// Copies all records, and reads them back. `force` removes what is there before. `progress` hears of each page how
/// many records there are by now.
///
/// # Errors
/// A target that is not empty, a store that fails. What was begun is then left half copied.
pub async fn copy(
    source: &ReadOnly,
    Target(target): &Target,
    force: bool,
    mut progress: impl FnMut(u64),
) -> Result<Copied, CopyError> {
    let has_any = !target.keys("", &after_all(), 1).await?.is_empty();
    if !force && (has_any || target.is_half_copied().await?) {
        return Err(CopyError::NotEmpty);
    }
    target.set_half_copied(true).await?;
    remove_all(target).await?;
    let (mut sum, mut after) = (Sum::default(), String::new());
    loop {
        let page = source.page(&after).await?;
        let Some((last, _)) = page.last() else { break };
        after.clone_from(last);
        page.iter().for_each(|(key, value)| sum.add(key, value));
        let writes = page.into_iter().map(|(key, value)| Write::Put { key, value });
        for writes in in_batches(writes) {
            target.begin(writes).await?.synced().await?;
        }
        progress(sum.records);
    }
    let (wanted, found) = (sum.end(), sum_of(target).await?);
    if wanted != found {
        return Err(CopyError::Differs { wanted, found });
    }
    target.set_half_copied(false).await?;
    Ok(wanted)
}

/// The writes in parts that a batch can take.
fn in_batches(writes: impl Iterator<Item = Write>) -> Vec<Vec<Write>> {
    let (mut batches, mut bytes) = (vec![Vec::new()], 0);
    for write in writes {
        let of_write = match &write {
            Write::Put { key, value } => key.len() + value.len(),
            Write::Delete { key } => key.len(),
        };
        if bytes + of_write > crate::VALUE_BYTES_MAX && bytes > 0 {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += of_write;
        if let Some(batch) = batches.last_mut() {
            batch.push(write);
        }
    }
    batches
}

async fn remove_all(target: &Store) -> Result<(), Error> {
    loop {
        let keys = target.keys("", &after_all(), AT_ONCE).await?;
        if keys.is_empty() {
            return Ok(());
        }
        target.begin(keys.into_iter().map(|key| Write::Delete { key }).collect()).await?.synced().await?;
    }
}

async fn sum_of(store: &Store) -> Result<Copied, Error> {
    let (mut sum, mut from) = (Sum::default(), String::new());
    loop {
        let page = store.records(&from, &after_all(), AT_ONCE).await?;
        page.iter().for_each(|(key, value)| sum.add(key, value));
        match page.last() {
            // The next key there can be; keys have no NUL, so nothing is between.
            Some((last, _)) => from = format!("{last}\u{1}"),
            None => return Ok(sum.end()),
        }
    }
}

/// Longer than any key, of the last character that there is.
fn after_all() -> String {
    "\u{10ffff}".repeat(crate::KEY_BYTES_MAX / 4 + 1)
}

#[derive(Default)]
struct Sum {
    records: u64,
    bytes: u64,
    hash: Sha256,
}

impl Sum {
    fn add(&mut self, key: &str, value: &[u8]) {
        self.records += 1;
        for part in [key.as_bytes(), value] {
            let length = part.len() as u64;
            self.bytes += length;
            self.hash.update(length.to_be_bytes());
            self.hash.update(part);
        }
    }

    fn end(self) -> Copied {
        let checksum = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Copied { records: self.records, bytes: self.bytes, checksum }
    }
}

impl Store {
    async fn is_half_copied(&self) -> Result<bool, Error> {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.is_half_copied(),
            Driver::Postgres(postgres) => postgres.is_half_copied().await,
        }
    }

    async fn set_half_copied(&self, is_so: bool) -> Result<(), Error> {
        match &self.0 {
            Driver::Rocks(rocks) => rocks.set_half_copied(is_so).await,
            Driver::Postgres(postgres) => postgres.set_half_copied(is_so).await,
        }
    }
}
