//! An OpenID Connect issuer: keys made for one test, published by a small HTTP server on loopback.
//!
//! It runs on threads of its own, so that it answers also while a test waits for a host to start.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// What all issuers here call themselves, whatever their address.
pub const ISSUER: &str = "https://issuer.test";
/// What the game is called by them.
pub const CLIENT_ID: &str = "game";

/// A private key.
pub struct Key {
    kid: String,
    algorithm: Algorithm,
    private: EncodingKey,
    public: DecodingKey,
}

impl Key {
    pub fn es256(kid: &str) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let private = EncodingKey::from_ec_der(key.serialized_der());
        let public = DecodingKey::from_ec_der(key.public_key_raw());
        Self { kid: kid.to_owned(), algorithm: Algorithm::ES256, private, public }
    }

    pub fn eddsa(kid: &str) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let private = EncodingKey::from_ed_der(key.serialized_der());
        let public = DecodingKey::from_ed_der(key.public_key_raw());
        Self { kid: kid.to_owned(), algorithm: Algorithm::EdDSA, private, public }
    }

    pub fn rs256(kid: &str) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key");
        // PKCS #8 of 2048 bits has what is wanted, PKCS #1, after a head of 26 bytes.
        let private = EncodingKey::from_rsa_der(&key.serialized_der()[26..]);
        let public = DecodingKey::from_rsa_der(key.public_key_raw());
        Self { kid: kid.to_owned(), algorithm: Algorithm::RS256, private, public }
    }

    /// The public key, as the issuer publishes it.
    pub fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_decoding_key(&self.public, Some(self.algorithm)).expect("a key");
        jwk.common.key_id = Some(self.kid.clone());
        serde_json::to_value(jwk).expect("JSON")
    }

    /// A token for this subject, right in every way.
    pub fn token(&self, subject: &str) -> String {
        self.sign(&claims(subject), |_| {})
    }

    pub fn sign(&self, claims: &Value, change: impl FnOnce(&mut Header)) -> String {
        let mut head = Header { kid: Some(self.kid.clone()), ..Header::new(self.algorithm) };
        change(&mut head);
        jsonwebtoken::encode(&head, claims, &self.private).expect("it can be signed")
    }

    /// What a forger makes of the public key: a token whose HMAC has it as its secret.
    pub fn hmac_by_public_key(&self, claims: &Value) -> String {
        let head = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::HS256) };
        let secret = EncodingKey::from_secret(self.public.try_get_as_bytes().expect("the bytes of a point"));
        jsonwebtoken::encode(&head, claims, &secret).expect("it can be signed")
    }
}

/// The claims of a token that is right.
pub fn claims(subject: &str) -> Value {
    let now = now_s();
    json!({ "iss": ISSUER, "aud": CLIENT_ID, "sub": subject, "iat": now, "exp": now + 600 })
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs()
}

/// A set of public keys.
pub fn jwks(keys: &[&Key]) -> String {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// How requests are answered.
#[derive(Clone)]
pub enum Reply {
    /// By this set of keys, or what is given for one.
    Keys(String),
    /// By an error.
    Status(u16),
    /// By another address.
    Redirect(SocketAddr),
    /// By a body that never ends.
    Endless,
    /// Never.
    Silence,
}

/// A running issuer. Stopped when it is dropped.
pub struct Issuer {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    tls: Option<Arc<ServerConfig>>,
    reply: Mutex<Reply>,
    requests: AtomicUsize,
    stopped: AtomicBool,
}

impl Issuer {
    pub fn start(reply: Reply) -> Self {
        Self::start_over(None, reply)
    }

    /// An issuer that is asked by https; its certificate, signed by itself, is written to this folder.
    pub fn over_tls(keys: &[&Key], folder: &Path) -> (Self, PathBuf) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let CertifiedKey { cert, signing_key } = made;
        let file = folder.join("certificate.pem");
        std::fs::write(&file, cert.pem()).expect("the folder is writable");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("TLS").with_no_client_auth().with_single_cert(vec![cert.der().clone()], key);
        let config = Arc::new(config.expect("the key belongs to the certificate"));
        (Self::start_over(Some(config), Reply::Keys(jwks(keys))), file)
    }

    fn start_over(tls: Option<Arc<ServerConfig>>, reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (reply, requests, stopped) = (Mutex::new(reply), AtomicUsize::new(0), AtomicBool::new(false));
        let state = Arc::new(State { tls, reply, requests, stopped });
        let of_thread = Arc::clone(&state);
        let thread = Some(spawn(move || accept(&listener, &of_thread)));
        Self { address, state, thread }
    }

    pub fn with_keys(keys: &[&Key]) -> Self {
        Self::start(Reply::Keys(jwks(keys)))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its keys are.
    pub fn url(&self) -> String {
        let scheme = if self.state.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/keys", self.address)
    }

    pub fn reply(&self, reply: Reply) {
        *self.state.reply.lock().expect("no holder panics") = reply;
    }

    pub fn publish(&self, keys: &[&Key]) {
        self.reply(Reply::Keys(jwks(keys)));
    }

    /// How often it was asked.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // Wakes it up.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.stopped.load(Ordering::SeqCst) {
            return;
        }
        let (stream, state) = (stream.expect("a connection"), Arc::clone(state));
        spawn(move || {
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket has the option");
            // The host may hang up at any time.
            let _ = match &state.tls {
                Some(tls) => {
                    let connection = ServerConnection::new(Arc::clone(tls)).expect("TLS");
                    answer(StreamOwned::new(connection, stream), &state)
                }
                None => answer(stream, &state),
            };
        });
    }
}

fn answer(mut stream: impl Read + Write, state: &State) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if !head.starts_with(b"GET /keys HTTP/1.1\r\n") {
        return write!(stream, "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n");
    }
    state.requests.fetch_add(1, Ordering::SeqCst);
    let reply = state.reply.lock().expect("no holder panics").clone();
    match reply {
        Reply::Keys(keys) => write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{keys}", keys.len()),
        Reply::Status(status) => write!(stream, "HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n"),
        Reply::Redirect(to) => {
            write!(stream, "HTTP/1.1 302 Found\r\nlocation: http://{to}/keys\r\ncontent-length: 0\r\n\r\n")
        }
        Reply::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{{\"keys\":[")?;
            loop {
                stream.write_all(&[b' '; 4_096])?;
            }
        }
        Reply::Silence => {
            while !state.stopped.load(Ordering::SeqCst) {
                sleep(Duration::from_millis(25));
            }
            Ok(())
        }
    }
}
