//! Certificates that a test makes for itself, and clients that trust one of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::host::{Host, within};

/// A self-signed certificate with its key.
pub struct Certificate {
    pub chain_pem: String,
    pub key_pem: String,
    der: CertificateDer<'static>,
}

impl Certificate {
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
        let (chain_pem, key_pem) = (made.cert.pem(), made.signing_key.serialize_pem());
        Self { chain_pem, key_pem, der: made.cert.der().clone() }
    }
}

/// The files that a host reads its certificate from.
pub struct Files(TempDir);

impl Files {
    pub fn new(certificate: &Certificate) -> Self {
        let files = Self(TempDir::new().expect("a temporary folder"));
        files.replace(certificate);
        files
    }

    pub fn chain(&self) -> PathBuf {
        self.0.path().join("chain.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    pub fn replace(&self, certificate: &Certificate) {
        self.write(&self.chain(), &certificate.chain_pem);
        self.write(&self.key(), &certificate.key_pem);
    }

    /// Writes a file as careful tools do: whole or not at all.
    pub fn write(&self, path: &Path, text: &str) {
        let new = self.0.path().join("new");
        std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path)).expect("the folder is writable");
    }

    /// The part of a host's configuration that names them.
    pub fn config(&self) -> String {
        format!("\n[server.tls]\ncertificate = {:?}\nkey = {:?}\n", self.chain(), self.key())
    }
}

/// A connection to a host of which only this certificate is accepted; `alpn`: what is offered.
pub async fn connect(host: &Host, certificate: &Certificate, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der.clone()).expect("it can be trusted");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.expect("a protocol version").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    within("a handshake of TLS", async {
        let socket = TcpSocket::new_v4().expect("a socket");
        // A small window, so that a client that does not read soon has as much as fits.
        socket.set_recv_buffer_size(8 << 10).expect("it can be set");
        let stream = socket.connect(host.address()).await.expect("the host listens");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    })
    .await
}
