//! PostgreSQL by TLS, with a password or a certificate.

use std::net::TcpListener;
use std::path::Path;

use passing_postgres::Server;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use scenehost_store::postgres::{Settings, Tls};
use scenehost_store::{Error, Store};

use crate::place::{commit, put};

/// Who may come how, over the network only by TLS.
const RULES: &str = "
local all all trust
hostssl all with_certificate 127.0.0.1/32 cert
hostssl all with_password 127.0.0.1/32 scram-sha-256
";

/// Writes an authority, a server's and a user's certificate.
fn write_certificates(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "authority");
    let key = KeyPair::generate().expect("randomness");
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).expect("it is writable");
    write("ca.pem", params.self_signed(&key).expect("it is right").pem());
    let issuer = Issuer::new(params, key);
    for (name, alternative, common) in [("server", "localhost", "server"), ("client", "client", "with_certificate")] {
        let mut params = CertificateParams::new([alternative.to_owned()]).expect("it is a name");
        params.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().expect("randomness");
        write(&format!("{name}.pem"), params.signed_by(&key, &issuer).expect("it is right").pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
    write("rules", RULES.to_owned());
    write("password", "correct horse\n".to_owned());
    use std::os::unix::fs::PermissionsExt as _;
    let secret = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(folder.join("server.key"), secret).expect("it is ours");
}

#[tokio::test]
async fn the_database_s_certificate_is_checked_and_users_come_by_password_or_certificate() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("there are ports").port();
    let other = tempfile::tempdir().expect("a temporary folder");
    write_certificates(other.path());
    let port_setting = format!("port={port}");
    let settings =
        ["fsync=off", "listen_addresses=127.0.0.1", &port_setting, "ssl=on", "ssl_cert_file={folder}/server.pem"];
    let more = ["ssl_key_file={folder}/server.key", "ssl_ca_file={folder}/ca.pem", "hba_file={folder}/rules"];
    let all: Vec<&str> = settings.into_iter().chain(more).collect();
    let server = Server::start_with(&all, write_certificates);
    let sql = "CREATE ROLE with_password LOGIN SUPERUSER PASSWORD 'correct horse'; \
               CREATE ROLE with_certificate LOGIN SUPERUSER";
    server.sql_at(port, sql);

    let file = |name: &str| Some(server.folder().join(name));
    let base = Settings {
        host: Some("localhost".to_owned()),
        port: Some(port),
        database: Some("postgres".to_owned()),
        tls: Some(Tls::Require),
        ca_file: file("ca.pem"),
        ..Settings::default()
    };
    let by_password =
        Settings { user: Some("with_password".to_owned()), password_file: file("password"), ..base.clone() };
    let by_certificate = Settings {
        user: Some("with_certificate".to_owned()),
        certificate_file: file("client.pem"),
        key_file: file("client.key"),
        ..base
    };
    for right in [&by_password, &by_certificate] {
        let store = Store::connect(right).await.expect("it is let in");
        commit(&store, vec![put("a", "1")]).await.expect("it is up");
    }
    let seen = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename LIKE 'with%'";
    assert_eq!(server.sql_at(port, seen), "t");

    let other_ca = Some(other.path().join("ca.pem"));
    let wrong = [
        (Settings { ca_file: other_ca, ..by_password.clone() }, "certificate"),
        (Settings { ca_file: None, ..by_password.clone() }, "certificate"),
        (Settings { host: Some("127.0.0.1".to_owned()), ..by_password.clone() }, "certificate"),
        (Settings { tls: Some(Tls::Disable), ca_file: None, ..by_password.clone() }, "no encryption"),
        (Settings { password_file: file("rules"), ..by_password }, "password authentication failed"),
        (Settings { certificate_file: None, key_file: None, ..by_certificate }, "certificate"),
    ];
    for (settings, words) in wrong {
        let refused = Store::connect(&settings).await.err().expect("it is not right");
        assert!(matches!(refused, Error::Postgres(_)), "{refused}");
        assert!(refused.to_string().to_lowercase().contains(words), "{words}: {refused}");
    }
}
