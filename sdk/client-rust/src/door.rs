//! How connections are made: the options, and what TLS trusts.

use std::sync::{Arc, OnceLock};

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

use crate::{Error, Options};

/// What all connections of a line have in common.
pub(crate) struct Door {
    pub options: Options,
    /// For `wss`.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Door {
    /// For URLs of this scheme.
    pub fn new(scheme: Option<&str>, options: Options) -> Result<Self, Error> {
        let tls = (scheme == Some("wss")).then(|| tls(&options)).transpose()?;
        Ok(Self { options, tls })
    }
}

fn tls(options: &Options) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = system_roots().clone();
    for (index, certificate) in options.root_certificates.iter().enumerate() {
        roots.add(certificate.clone()).map_err(|source| Error::RootCertificate { index, source })?;
    }
    // Named, since a program may have more than one provider and then no default.
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The system's roots, read once. Those that cannot be read are left out: a server that needs one of them
/// is refused with that reason.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    })
}
