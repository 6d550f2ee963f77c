//! Servers behind TLS.

use std::sync::Arc;

use rcgen::CertifiedKey;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use scenehost_client::{CertificateDer, Credential, Error, Lobby, LobbyEvent, Options, Scene};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::server::{Peer, answer_refresh, guest, match_made, options, patient, refused, serve};
use scenehost_client::v1::{self, server_frame};

/// Puts TLS before a server. Gives the new address and the root that vouches for it.
async fn with_tls(url: &str) -> (String, CertificateDer<'static>) {
    let plain = url.strip_prefix("ws://").unwrap().to_owned();
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let root = cert.der().clone();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![root.clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, plain) = (acceptor.clone(), plain.clone());
            tokio::spawn(async move {
                // Who does not trust the certificate goes away; and at the end both sides do.
                let Ok(mut outer) = acceptor.accept(stream).await else { return };
                let mut inner = TcpStream::connect(plain).await.unwrap();
                let _ = copy_bidirectional(&mut outer, &mut inner).await;
            });
        }
    });
    (url, root)
}

#[tokio::test]
async fn a_private_root_is_trusted_when_it_is_given() {
    let (url, server) = serve(|listener| async move {
        let mut lobby = Peer::sign_in(&listener).await;
        let (request, _) = lobby.receive().await;
        lobby.send(request, match_made()).await;
        let mut scene = Peer::enter(&listener).await;
        assert_eq!(scene.message().await, "hello");
    })
    .await;
    let (url, root) = with_tls(&url).await;
    let Err(error) = Lobby::connect(&url, guest(), options()).await else { panic!("trusted without a reason") };
    assert!(matches!(error, Error::Connect { .. }), "{error}");

    let options = Options { root_certificates: vec![root], ..patient() };
    let lobby = Lobby::connect(&url, guest(), options.clone()).await.unwrap();
    let seat = lobby.rejoin().await.unwrap();
    assert_eq!(seat.scene_url, format!("{url}/v1/scene"));
    let scene = Scene::join(&seat, &options).await.unwrap();
    scene.send("hello").await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn tokens_are_refreshed_over_tls_too() {
    let (url, server) = serve(|listener| async move {
        let (mut peer, request, _) = Peer::asks_to_sign_in(&listener).await;
        peer.tell(request, server_frame::Body::Refused(refused(v1::Code::BadToken))).await;
        answer_refresh(&listener, "200 OK", &json!({ "sessionToken": "new", "refreshToken": "next" }).to_string())
            .await;
        Peer::sign_in(&listener).await
    })
    .await;
    let (url, root) = with_tls(&url).await;
    let options = Options { root_certificates: vec![root], ..patient() };
    let tokens = Credential::Tokens { session_token: "old".into(), refresh_token: "refresh".into() };
    let lobby = Lobby::connect(&url, tokens, options).await.unwrap();
    assert!(matches!(lobby.next().await, Some(LobbyEvent::Refreshed(tokens)) if tokens.refresh_token == "next"));
    server.await.unwrap();
}

#[tokio::test]
async fn what_is_no_certificate_is_told() {
    let options = Options { root_certificates: vec![CertificateDer::from(vec![1, 2, 3])], ..options() };
    let result = Lobby::connect("wss://localhost:1", guest(), options).await;
    let Err(error) = result else { panic!("connected") };
    assert!(matches!(error, Error::RootCertificate { index: 0, .. }), "{error}");
}
