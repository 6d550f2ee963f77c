//! Connections with PostgreSQL: a pool of them, TLS, and what each session is set to.
//!
//! Invariant: a connection on which anything has failed, or that did not answer in time, is closed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{HookError, Manager, ManagerConfig, Object, PoolError, RecyclingMethod};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::Failure;
use super::settings::is_by_tls;
use super::{Error, Settings};

/// How long a query, or a transaction, may take, with the wait for a connection.
pub const QUERY_MAX: Duration = Duration::from_secs(60);
/// A statement waits no longer than this for what another transaction holds.
const LOCK_MAX: &str = "5s";
/// How long the server lets a transaction wait for its client: one whose connection is broken holds nothing longer.
const IDLE_MAX: &str = "10s";

/// A pool of connections. Cheap to clone.
#[derive(Clone)]
pub struct Pool(deadpool_postgres::Pool);

/// A connection of the pool, which goes back there only if it is told that all was well.
pub struct Client(Option<Object>);

impl Pool {
    /// Makes none yet.
    pub fn new(settings: &Settings, connections: usize) -> Result<Self, Error> {
        settings.check()?;
        let config = settings.config()?;
        let of_pool = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match tls(settings)? {
            Some(tls) => Manager::from_config(config, MakeRustlsConnect::new(tls), of_pool),
            None => Manager::from_config(config, NoTls, of_pool),
        };
        let session = Arc::new(session(&settings.schema));
        let hook = deadpool_postgres::Hook::async_fn(move |client, _| {
            let session = Arc::clone(&session);
            Box::pin(async move { client.batch_execute(&session).await.map_err(HookError::Backend) })
        });
        let pool = deadpool_postgres::Pool::builder(manager).max_size(connections).post_create(hook).build();
        // It is refused only for settings of time, of which there are none.
        pool.map(Self).map_err(|cause| Error::Settings(cause.to_string()))
    }

    /// One that nobody else has, as soon as there is one.
    pub async fn client(&self) -> Result<Client, Failure> {
        match self.0.get().await {
            Ok(client) => Ok(Client(Some(client))),
            Err(PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error))) => Err(error.into()),
            Err(error) => Err(Failure::Away(error.to_string())),
        }
    }

    /// Asks once.
    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        within(QUERY_MAX, async {
            let client = self.client().await?;
            let rows = client.query(sql, parameters).await?;
            client.give_back();
            Ok(rows)
        })
        .await
    }

    pub fn close(&self) {
        self.0.close();
    }
}

impl Client {
    /// Asks by a statement that is prepared once for each connection.
    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let object = self.object()?;
        let statement = object.prepare_cached(sql).await?;
        Ok(object.query(&statement, parameters).await?)
    }

    /// Does statements that have no parameters.
    pub async fn execute(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.object()?.batch_execute(sql).await?)
    }

    /// For who has had all answers; without this it is closed.
    pub fn give_back(mut self) {
        drop(self.0.take());
    }

    fn object(&self) -> Result<&Object, Failure> {
        self.0.as_ref().ok_or_else(|| Failure::Away("the connection was given back".to_owned()))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

/// Waits for an answer, but not for ever.
pub async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(Failure::Slow(limit.as_millis())),
    }
}

/// What each session begins with. What was acknowledged has to be durable, so a database that is set to acknowledge
/// before is set right; one that waits for its standbys, too, is left so.
fn session(schema: &str) -> String {
    let query_s = QUERY_MAX.as_secs();
    format!(
        "SET search_path TO \"{schema}\"; SET lock_timeout TO '{LOCK_MAX}'; SET statement_timeout TO '{query_s}s'; \
         SET idle_in_transaction_session_timeout TO '{IDLE_MAX}'; \
         SELECT set_config('synchronous_commit', 'on', false) \
         WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')"
    )
}

/// How TLS is spoken, if it is.
pub fn tls(settings: &Settings) -> Result<Option<ClientConfig>, Error> {
    if !is_by_tls(&settings.config()?) {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    match &settings.ca_file {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|cause| wrong(path, &cause))?;
            }
        }
        None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    }
    if roots.is_empty() {
        let what = "there is no certificate of an authority here to check the database's with: say ca_file";
        return Err(Error::Settings(what.to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|cause| Error::Settings(cause.to_string()))?.with_root_certificates(roots);
    let (Some(certificate), Some(key)) = (&settings.certificate_file, &settings.key_file) else {
        return Ok(Some(builder.with_no_client_auth()));
    };
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|cause| wrong(key, &cause))?;
    let config = builder.with_client_auth_cert(certificates(certificate)?, private);
    config.map(Some).map_err(|cause| wrong(certificate, &cause))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match all.map_err(|cause| wrong(path, &cause))? {
        none if none.is_empty() => Err(Error::Settings(format!("{} has no certificate in it", path.display()))),
        all => Ok(all),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|cause| Error::Settings(format!("{} cannot be read: {cause}", path.display())))
}

fn wrong(path: &Path, cause: &dyn std::fmt::Display) -> Error {
    Error::Settings(format!("{} is not right: {cause}", path.display()))
}
