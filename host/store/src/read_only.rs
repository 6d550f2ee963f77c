//! All records of a store as they are at one moment, in the order of keys: for checks and copies.

use std::path::Path;

use rocksdb::{DB, Direction, IteratorMode, Options};

use crate::Error;
use crate::postgres::{self, Snapshot};
use crate::rocks::{FIRST_KEY, text};

/// How many records a page has.
const PAGE: usize = 128;

/// A store as it was when it was opened.
pub struct ReadOnly(Driver);

enum Driver {
    Rocks(DB),
    Postgres(Box<Snapshot>),
}

impl ReadOnly {
    pub(crate) fn of_rocks(path: &Path) -> Result<Self, Error> {
        let opened = DB::open_for_read_only(&Options::default(), path, false);
        let db = opened.map_err(|cause| Error::Open { path: path.display().to_string(), cause })?;
        Ok(Self(Driver::Rocks(db)))
    }

    /// Opens PostgreSQL's to read it; hosts may be using it.
    ///
    /// # Errors
    /// When the database cannot be reached, or is none that this can use.
    pub async fn of_postgres(settings: &postgres::Settings) -> Result<Self, Error> {
        Ok(Self(Driver::Postgres(Box::new(Snapshot::open(settings).await?))))
    }

    /// The next records after this key, in their order; after nothing those from the first on, and at the end none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn page(&self, after: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        match &self.0 {
            Driver::Postgres(snapshot) => snapshot.page(after, PAGE).await,
            Driver::Rocks(db) => {
                let from = after.as_bytes().max(FIRST_KEY);
                let all = db.iterator(IteratorMode::From(from, Direction::Forward));
                let others = all.filter(|record| !record.as_ref().is_ok_and(|(key, _)| **key == *after.as_bytes()));
                let page = others.take(PAGE).map(|record| record.map(|(key, value)| (text(&key), value.into_vec())));
                page.collect::<Result<_, _>>().map_err(Error::Read)
            }
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match &self.0 {
            Driver::Rocks(db) => db.get(key).map_err(Error::Read),
            Driver::Postgres(snapshot) => snapshot.get(key).await,
        }
    }

    /// Reads every record of RocksDB's store in this folder once, and with it the checksum of every block.
    pub(crate) fn read_through(path: &Path) -> Result<(), Error> {
        let db = DB::open_for_read_only(&Options::default(), path, false);
        let db = db.map_err(|cause| Error::Open { path: path.display().to_string(), cause })?;
        db.iterator(IteratorMode::Start).try_for_each(|record| record.map(drop)).map_err(Error::Read)
    }
}
