//! Where an issuer's keys come from: a URL, or a file.
//!
//! Invariant: a fetch ends within [`FETCH_MAX`] and reads at most [`BYTES_MAX`], whatever the other
//! side does. It goes to the configured address and nowhere else.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};

use super::keys::{self, KeySet};
use crate::config::{KeysFrom, is_loopback};

/// How long a fetch may take; those who wait for it have to be answered within a sign-in's deadline.
const FETCH_MAX: Duration = Duration::from_secs(3);
/// The longest set of keys; the issuers known to us have some 5 KB.
const BYTES_MAX: usize = 256 * 1_024;
/// How often a file is read.
const FILE_MS: u64 = 5_000;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Unreachable(String),
    #[error("the answer is {0}, and not the keys; a redirect is not followed")]
    Status(StatusCode),
    #[error("it has more than {BYTES_MAX} bytes")]
    TooLong,
    #[error("it took longer than {} s", FETCH_MAX.as_secs())]
    TimedOut,
    #[error("it cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("{0}")]
    Keys(#[from] keys::Error),
}

#[derive(Clone)]
pub enum Source {
    Url { client: Client, url: Url, max_age_ms: u64 },
    File(PathBuf),
}

impl Source {
    pub fn new(keys_from: KeysFrom) -> anyhow::Result<Self> {
        match keys_from {
            KeysFrom::Url { url, max_age_ms } => Ok(Self::Url { client: client(&url)?, url, max_age_ms }),
            KeysFrom::File(path) => Ok(Self::File(path)),
        }
    }

    /// How old the keys may become before they are fetched again.
    pub fn max_age_ms(&self) -> u64 {
        match self {
            Self::Url { max_age_ms, .. } => *max_age_ms,
            Self::File(_) => FILE_MS,
        }
    }

    pub async fn fetch(self) -> Result<KeySet, Error> {
        let fetched = tokio::time::timeout(FETCH_MAX, async {
            match self {
                Self::Url { client, url, .. } => download(&client, url).await,
                Self::File(path) => {
                    let read = tokio::task::spawn_blocking(move || read_keys(&path)).await;
                    read.unwrap_or_else(|error| Err(std::io::Error::other(error).into()))
                }
            }
        });
        fetched.await.unwrap_or(Err(Error::TimedOut))
    }
}

/// Reads a file of keys.
pub fn read_keys(path: &Path) -> Result<KeySet, Error> {
    let mut document = Vec::new();
    File::open(path)?.take(BYTES_MAX as u64 + 1).read_to_end(&mut document)?;
    if document.len() > BYTES_MAX {
        return Err(Error::TooLong);
    }
    Ok(KeySet::parse(&document)?)
}

/// Trusts the authorities that the system trusts, and uses a proxy if HTTPS_PROXY names one, but not
/// to this machine.
fn client(url: &Url) -> anyhow::Result<Client> {
    let client = Client::builder()
        .user_agent(concat!("scenehost/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .pool_max_idle_per_host(0);
    let client = if is_loopback(url) { client.no_proxy() } else { client };
    let client = match url.scheme() {
        "https" => client.https_only(true),
        _ => client.tls_certs_only([]),
    };
    client
        .build()
        .context("no TLS for jwks_url; are the system's certificates of authorities installed (ca-certificates)?")
}

/// The length that is announced counts for nothing; what comes is counted.
async fn download(client: &Client, url: Url) -> Result<KeySet, Error> {
    let unreachable = |error: reqwest::Error| Error::Unreachable(format!("{:#}", anyhow::Error::from(error)));
    let mut response = client.get(url).send().await.map_err(unreachable)?;
    if response.status() != StatusCode::OK {
        return Err(Error::Status(response.status()));
    }
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if document.len() + chunk.len() > BYTES_MAX {
            return Err(Error::TooLong);
        }
        document.extend_from_slice(&chunk);
    }
    Ok(KeySet::parse(&document)?)
}
