//! What only a real server can show: interruptions, credentials and TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use scenehost_bus::driver::nats::{ClientCertificate, Credentials, Nats, Settings, Tls};
use scenehost_bus::driver::{Driver, Error};
use scenehost_bus::link::SILENCE_MS_MAX;
use scenehost_bus::peers::{Event, SendError};

use super::peers::{Node, numbered, settings, soon};
use passing_nats::NatsServer;

fn at(server: &NatsServer) -> Settings {
    Settings { servers: vec![server.url()], name: "test".to_owned(), ..Settings::default() }
}

async fn connect(server: &NatsServer) -> Nats {
    Nats::connect(at(server)).await.expect("the server runs")
}

/// Two nodes that are Up for each other.
async fn two(server: &NatsServer) -> (Node, Node) {
    let mut a = Node::start(Arc::new(connect(server).await), settings(1, 1));
    let mut b = Node::start(Arc::new(connect(server).await), settings(2, 1));
    a.up(2).await;
    b.up(1).await;
    (a, b)
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(so).await;
}

fn is_refused(refused: Result<Nats, Error>, why: &str) {
    match refused {
        Err(Error::Down(text)) => assert!(text.to_lowercase().contains(why), "{text}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it is refused"),
    }
}

#[tokio::test]
async fn without_a_server_a_driver_says_so_and_comes_back_by_itself() {
    let server = NatsServer::start();
    let (a, b) = (connect(&server).await, connect(&server).await);
    let mut subscription = b.subscribe("news").await.expect("subscribed");
    let port = server.kill();
    until(|| !a.is_connected() && !b.is_connected()).await;
    assert!(matches!(a.publish("news", Bytes::new()), Err(Error::Down(_))));
    assert!(matches!(a.request("news", Bytes::new(), Duration::from_secs(9)).await, Err(Error::Down(_))));
    assert!(matches!(a.subscribe("other").await, Err(Error::Down(_))));

    let _server = NatsServer::start_with(Some(port), &[]);
    until(|| a.is_connected() && b.is_connected()).await;
    let answer = async {
        loop {
            match a.request("news", Bytes::from_static(b"again"), Duration::from_secs(9)).await {
                // The server does not know yet who has subscribed.
                Err(Error::NoResponder) => tokio::time::sleep(Duration::from_millis(5)).await,
                answer => return answer,
            }
        }
    };
    let respond = async {
        let delivery = subscription.recv().await.expect("the subscription has lived on");
        delivery.reply.expect("it is a request").send(delivery.bytes).expect("it can be sent");
    };
    let (answer, ()) = soon(async { tokio::join!(answer, respond) }).await;
    assert_eq!(answer, Ok(Bytes::from_static(b"again")));
}

#[tokio::test]
async fn links_outlive_a_short_interruption() {
    let server = NatsServer::start();
    let (a, mut b) = two(&server).await;
    for number in 0..1_000 {
        a.peers.send(2, numbered(number)).expect("there is room");
    }
    let port = server.kill();
    for number in 1_000..2_000 {
        a.peers.send(2, numbered(number)).expect("there is room");
    }
    let _server = NatsServer::start_with(Some(port), &[]);
    for number in 0..2_000 {
        assert_eq!(b.message().await, numbered(number));
    }
    assert_eq!(a.peers.peers().len(), 1);
}

#[tokio::test]
async fn a_long_interruption_is_a_down_and_an_up_and_nothing_old_comes_after() {
    let server = NatsServer::start();
    let (mut a, mut b) = two(&server).await;
    let old = a.peers.peers()[0].link;
    let port = server.kill();
    a.peers.send(2, numbered(1)).expect("it is not known yet that it is cut off");
    assert!(matches!(a.next().await, Event::Down { node: 2, .. }));
    assert!(matches!(b.next().await, Event::Down { node: 1, .. }));
    assert_eq!(a.peers.send(2, numbered(2)), Err(SendError::Down));
    tokio::time::sleep(Duration::from_millis(SILENCE_MS_MAX / 2)).await;

    let _server = NatsServer::start_with(Some(port), &[]);
    assert_ne!(a.up(2).await, old);
    b.up(1).await;
    a.peers.send(2, numbered(3)).expect("there is room");
    assert_eq!(b.message().await, numbered(3));
}

#[tokio::test]
async fn large_messages_pass() {
    let server = NatsServer::start();
    let (a, mut b) = two(&server).await;
    let message = Bytes::from(vec![7; scenehost_bus::link::MESSAGE_BYTES_MAX]);
    for _ in 0..4 {
        a.peers.send(2, message.clone()).expect("there is room");
    }
    for _ in 0..4 {
        assert_eq!(b.message().await, message);
    }
}

#[tokio::test]
async fn who_connects_is_checked() {
    let server = NatsServer::start_with(None, &["--user", "node", "--pass", "secret"]);
    is_refused(Nats::connect(at(&server)).await, "authorization");
    let user = |password: &str| Credentials::UserAndPassword { user: "node".to_owned(), password: password.to_owned() };
    is_refused(Nats::connect(Settings { credentials: user("wrong"), ..at(&server) }).await, "authorization");
    assert!(Nats::connect(Settings { credentials: user("secret"), ..at(&server) }).await.is_ok());

    let server = NatsServer::start_with(None, &["--auth", "token"]);
    let token = |token: &str| Credentials::Token(token.to_owned());
    is_refused(Nats::connect(Settings { credentials: token("wrong"), ..at(&server) }).await, "authorization");
    assert!(Nats::connect(Settings { credentials: token("token"), ..at(&server) }).await.is_ok());

    let missing = Credentials::File(PathBuf::from("there-is-no-such.creds"));
    is_refused(Nats::connect(Settings { credentials: missing, ..at(&server) }).await, "there-is-no-such.creds");
}

#[tokio::test]
async fn without_a_server_the_first_connection_fails() {
    let server = NatsServer::start();
    let settings = at(&server);
    server.kill();
    is_refused(Nats::connect(settings).await, "cannot connect");
}

/// A text signed as NATS wants it: a JWT of `issuer` on `subject`.
fn jwt(issuer: &nkeys::KeyPair, subject: &nkeys::KeyPair, what: &str) -> String {
    let (issued_by, on) = (issuer.public_key(), subject.public_key());
    let claims = format!(r#"{{"jti":"1","iat":1,"iss":"{issued_by}","name":"test","sub":"{on}","nats":{{{what}}}}}"#);
    let [header, claims] = [r#"{"typ":"JWT","alg":"ed25519-nkey"}"#, &claims].map(|part| BASE64_URL.encode(part));
    let signature = issuer.sign(format!("{header}.{claims}").as_bytes()).expect("it has the secret");
    format!("{header}.{claims}.{}", BASE64_URL.encode(signature))
}

const NO_LIMITS: &str = r#""subs":-1,"data":-1,"payload":-1"#;

#[tokio::test]
async fn a_credentials_file_lets_its_user_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let (operator, account, user) =
        (nkeys::KeyPair::new_operator(), nkeys::KeyPair::new_account(), nkeys::KeyPair::new_user());
    let operator_jwt = jwt(&operator, &operator, r#""type":"operator","version":2"#);
    let limits = format!(r#"{NO_LIMITS},"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1"#);
    let account_jwt = jwt(&operator, &account, &format!(r#""limits":{{{limits}}},"type":"account","version":2"#));
    let user_jwt = jwt(&account, &user, &format!(r#"{NO_LIMITS},"type":"user","version":2"#));
    let config = write(
        "nats.conf",
        format!(
            "operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload: {{ {}: {account_jwt} }}\n",
            account.public_key()
        ),
    );
    let server = NatsServer::start_with(None, &["--config", argument(&config)]);
    let credentials = |name: &str, seed: String| {
        let jwt = format!("-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n");
        let seed = format!("-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n");
        Credentials::File(write(name, jwt + &seed))
    };
    let theirs = credentials("theirs.creds", user.seed().expect("it has the secret"));
    let driver = Nats::connect(Settings { credentials: theirs, ..at(&server) }).await.expect("it is let in");
    assert!(driver.subscribe("news").await.is_ok());
    let other = credentials("other.creds", nkeys::KeyPair::new_user().seed().expect("it has the secret"));
    is_refused(Nats::connect(Settings { credentials: other, ..at(&server) }).await, "authorization");
}

/// An authority and certificates of it, as files.
struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    fn new() -> Certificates {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let write = |name: &str, pem: String| std::fs::write(folder.path().join(name), pem).expect("written");
        write("ca.pem", authority.pem());
        for name in ["server", "client"] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
            let certificate = params.signed_by(&key, &authority).expect("a certificate");
            write(&format!("{name}.pem"), certificate.pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        Certificates { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn argument(path: &Path) -> &str {
    path.to_str().expect("it is text")
}

#[tokio::test]
async fn both_sides_show_their_certificates() {
    let certificates = Certificates::new();
    let path = |name: &str| certificates.path(name);
    let (ca, certificate, key) = (path("ca.pem"), path("server.pem"), path("server.key"));
    let server = NatsServer::start_with(
        None,
        &["--tlsverify", "--tlscacert", argument(&ca), "--tlscert", argument(&certificate), "--tlskey", argument(&key)],
    );
    let client = Some(ClientCertificate { certificate: path("client.pem"), key: path("client.key") });
    let servers = vec![format!("tls://localhost:{}", server.port)];
    let with = |tls: Tls| Nats::connect(Settings { servers: servers.clone(), tls, ..Settings::default() });

    let driver = with(Tls { required: true, ca_file: Some(ca.clone()), client: client.clone() }).await;
    assert!(driver.expect("both trust each other").subscribe("news").await.is_ok());
    is_refused(with(Tls { required: true, ca_file: None, client: client.clone() }).await, "certificate");
    is_refused(with(Tls { required: true, ca_file: Some(ca), client: None }).await, "cannot connect");
    is_refused(with(Tls { required: true, ca_file: Some(path("missing.pem")), client }).await, "cannot connect");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_required() {
    let server = NatsServer::start();
    let tls = Tls { required: true, ..Tls::default() };
    is_refused(Nats::connect(Settings { tls, ..at(&server) }).await, "cannot connect");
}
