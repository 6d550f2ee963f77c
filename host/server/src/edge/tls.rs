//! The certificate that clients see: read at start, and again when its files change or the host is told
//! to (SIGHUP).
//!
//! Invariant: what is served was read whole and its key fits. A file that is not right is reported, and
//! what was served before is served on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, ServerConfig};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::config::Tls;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} cannot be read: {cause}", path.display())]
    Read { path: PathBuf, cause: std::io::Error },
    #[error("{} is no PEM file: {cause}", path.display())]
    Pem { path: PathBuf, cause: pem::Error },
    #[error("{} holds no certificate: it needs the server's, then those that lead to its issuer", path.display())]
    NoCertificate { path: PathBuf },
    #[error("{} holds no private key (PKCS#8, PKCS#1 or SEC1)", path.display())]
    NoKey { path: PathBuf },
    #[error("the certificate in {} cannot be used: {cause}", path.display())]
    Certificate { path: PathBuf, cause: rustls::Error },
    #[error("the private key in {} cannot be used: {cause}", path.display())]
    Key { path: PathBuf, cause: rustls::Error },
    #[error("the private key in {} is not that of the first certificate in {}", key.display(), certificate.display())]
    NotItsKey { key: PathBuf, certificate: PathBuf },
    #[error("TLS cannot be set up: {0}")]
    Protocol(rustls::Error),
}

/// When each file was changed, and how long it is.
type Stamp = [Option<(SystemTime, u64)>; 2];

/// What new connections are served with.
pub struct Served {
    files: Tls,
    at_start: Stamp,
    config: watch::Sender<Arc<ServerConfig>>,
}

impl Served {
    pub fn new(files: Tls) -> Result<Self, Error> {
        // Looked at first, so that no change after the reading is missed.
        let at_start = stamp(&files);
        let config = watch::Sender::new(load(&files)?);
        Ok(Self { files, at_start, config })
    }

    pub fn now(&self) -> Arc<ServerConfig> {
        self.config.borrow().clone()
    }

    /// What tells the host to read its certificate again.
    pub fn hang_ups() -> std::io::Result<Signal> {
        signal(SignalKind::hangup())
    }

    /// Reads the files again at each of `hang_ups` and when they have changed, for as long as the host
    /// runs.
    pub async fn keep_current(&self, mut hang_ups: Signal) {
        let mut served = self.at_start;
        let mut seen = served;
        loop {
            let told = tokio::select! {
                _ = hang_ups.recv() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let files = self.files.clone();
            let now = tokio::task::spawn_blocking(move || stamp(&files)).await.unwrap_or(seen);
            // The two files are rarely replaced in one moment: they are read when they have come to rest.
            let changed = now != served && now == seen;
            seen = now;
            if told || changed {
                served = now;
                self.read_again().await;
            }
        }
    }

    async fn read_again(&self) {
        let files = self.files.clone();
        match tokio::task::spawn_blocking(move || load(&files)).await {
            Ok(Ok(config)) => {
                self.config.send_replace(config);
                tracing::info!(certificate = %self.files.certificate.display(), "the certificate was read again");
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the new certificate is not right: the one before it is served on");
            }
            Err(error) => tracing::error!(%error, "reading the certificate has failed"),
        }
    }
}

fn stamp(files: &Tls) -> Stamp {
    [&files.certificate, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

/// Reads the files and checks that they belong together.
pub fn load(files: &Tls) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = chain(&files.certificate)?;
    let key_error = |cause| Error::Key { path: files.key.clone(), cause };
    let key = provider.key_provider.load_private_key(key(&files.key)?).map_err(key_error)?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(Error::NotItsKey { key: files.key.clone(), certificate: files.certificate.clone() });
        }
        Err(cause) => return Err(Error::Certificate { path: files.certificate.clone(), cause }),
    }
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let resolver = Arc::new(SingleCertAndKey::from(certified));
    let mut config = builder.map_err(Error::Protocol)?.with_no_client_auth().with_cert_resolver(resolver);
    // WebSockets are opened over HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|cause| Error::Pem { path: path.to_owned(), cause })?;
    if chain.is_empty() {
        return Err(Error::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|cause| match cause {
        pem::Error::NoItemsFound => Error::NoKey { path: path.to_owned() },
        cause => Error::Pem { path: path.to_owned(), cause },
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|cause| Error::Read { path: path.to_owned(), cause })
}
