//! Where a test's store is: in a folder, or in a schema of a PostgreSQL server that tests share.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use passing_postgres::Server;
use scenehost_core::Write;
use scenehost_store::lock::DataLock;
use scenehost_store::postgres::Settings;
use scenehost_store::{Error, ReadOnly, Store};
use tempfile::TempDir;

/// How long anything may take that takes a moment.
pub const PATIENCE: Duration = Duration::from_secs(40);

pub enum Place {
    Rocks(TempDir),
    Postgres(Box<Settings>),
}

impl Place {
    pub fn rocks() -> Self {
        Self::Rocks(TempDir::new().expect("a temporary folder"))
    }

    pub fn postgres() -> Self {
        Self::Postgres(Box::new(settings(Server::shared())))
    }

    pub async fn open(&self) -> Result<Store, Error> {
        match self {
            Self::Rocks(folder) => Store::open(&folder.path().join("store"), self.lock()),
            Self::Postgres(settings) => Store::connect(settings).await,
        }
    }

    pub fn lock(&self) -> DataLock {
        let Self::Rocks(folder) = self else { panic!("a database has no folder") };
        // A program that another test starts at this moment has all that this process has open, until it runs.
        let tries = (0..100).map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            DataLock::take(folder.path())
        });
        let mut taken = tries.skip_while(Result::is_err);
        taken.next().expect("nobody has it").expect("nobody has it")
    }

    pub async fn read_only(&self) -> ReadOnly {
        let opened = match self {
            Self::Rocks(folder) => Store::read_only(&folder.path().join("store")),
            Self::Postgres(settings) => ReadOnly::of_postgres(settings).await,
        };
        opened.expect("it is there")
    }
}

/// A schema of its own there.
pub fn settings(server: &Server) -> Settings {
    static SCHEMAS: AtomicU32 = AtomicU32::new(0);
    let schema = format!("test_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed));
    Settings { url: Some(server.url()), schema, connections: 4, ..Settings::default() }
}

pub fn put(key: &str, value: impl AsRef<[u8]>) -> Write {
    Write::Put { key: key.to_owned(), value: value.as_ref().to_vec() }
}

pub fn delete(key: &str) -> Write {
    Write::Delete { key: key.to_owned() }
}

/// Makes a batch and waits until it is durable.
pub async fn commit(store: &Store, writes: Vec<Write>) -> Result<(), Error> {
    store.begin(writes).await?.synced().await
}

/// A record as a text.
pub async fn text(store: &Store, key: &str) -> Option<String> {
    let value = store.get(key).await.expect("it can be read");
    value.map(|value| String::from_utf8(value).expect("a text"))
}

/// Ends a test that would wait for ever.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not in time"),
    }
}

/// A connection that changes rows behind the store's back.
pub async fn behind(settings: &Settings) -> tokio_postgres::Client {
    let url = settings.url.as_deref().expect("it has one");
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("it is there");
    tokio::spawn(connection);
    client.batch_execute(&format!("SET search_path TO {}", settings.schema)).await.expect("it is there");
    client
}
