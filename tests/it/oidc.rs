//! Sign-in by ID tokens of an OpenID Connect issuer: which are accepted, and where the keys come from.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use scenehost_client::{Credential, Encoding, Lobby};
use serde_json::{Value, json};

use crate::host::{Host, http, until};
use crate::issuer::{CLIENT_ID, ISSUER, Issuer, Key, Reply, claims, jwks, now_s};
use crate::player::{device, options};

/// How long the host does not ask an issuer again because of a token.
const PAUSE: Duration = Duration::from_secs(5);
/// How many tokens of a provider wait for its keys.
const WAITING_MAX: usize = 256;
/// What the log says when keys could not be fetched.
const NO_KEYS: &str = "the keys of a sign-in provider cannot be had";

/// A configuration with providers, by their names and where their keys are.
fn config(providers: &[(&str, &str)]) -> String {
    let provider = |(name, keys): &(&str, &str)| {
        format!("[auth.providers.{name}]\nissuer = \"{ISSUER}\"\naudience = \"{CLIENT_ID}\"\n{keys}\n")
    };
    providers.iter().map(provider).collect()
}

fn by_url(issuer: &Issuer) -> String {
    format!("jwks_url = \"{}\"", issuer.url())
}

/// A host with the provider `test`, whose keys are there.
fn host_with(issuer: &Issuer) -> Host {
    Host::start(&config(&[("test", &by_url(issuer))]))
}

async fn call(host: &Host, path: &str, token: &str, body: &Value) -> (u16, Value) {
    let bearer = format!("Bearer {token}");
    let method = if body.is_null() { "GET" } else { "POST" };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = http(host.address(), method, path, &[("authorization", &bearer)], &body).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

fn oidc(provider: &str, id_token: &str) -> Value {
    json!({ "oidc": { "provider": provider, "idToken": id_token } })
}

async fn sign_in_by(host: &Host, provider: &str, id_token: &str) -> (u16, Value) {
    call(host, "/v1/auth/sign-in", "", &oidc(provider, id_token)).await
}

/// Who an ID token is for.
async fn user(host: &Host, id_token: &str) -> String {
    let (status, answer) = sign_in_by(host, "test", id_token).await;
    assert_eq!(status, 200, "{answer}");
    answer["userId"].as_str().expect("a user").to_owned()
}

/// The status and code with which an ID token is refused.
async fn refused(host: &Host, provider: &str, id_token: &str) -> (u16, String) {
    let (status, answer) = sign_in_by(host, provider, id_token).await;
    (status, answer["code"].as_str().unwrap_or_default().to_owned())
}

/// The lines of the log with this message, once there are so many.
async fn logged(host: &Host, message: &str, count: usize) -> Vec<Value> {
    until("the log", async || host.logged(message).len() >= count).await;
    host.logged(message)
}

fn bad_credential() -> (u16, String) {
    (401, "BAD_CREDENTIAL".to_owned())
}

fn service_down() -> (u16, String) {
    (503, "SERVICE_DOWN".to_owned())
}

#[tokio::test]
async fn a_right_token_by_any_kind_of_key_signs_its_subject_in_also_after_kill_9() {
    let keys = [Key::es256("a"), Key::rs256("b"), Key::eddsa("c")];
    let issuer = Issuer::with_keys(&keys.each_ref());
    let mut host = host_with(&issuer);
    let (status, made) = sign_in_by(&host, "test", &keys[0].token("ada")).await;
    assert_eq!((status, made["created"].as_bool()), (200, Some(true)), "{made}");
    let ada = made["userId"].as_str().expect("a user");
    for key in &keys {
        assert_eq!(user(&host, &key.token("ada")).await, ada);
    }
    assert_ne!(user(&host, &keys[0].token("grace")).await, ada);
    assert_eq!(issuer.requests(), 1, "the keys are kept");

    let credential = Credential::Oidc { provider: "test".to_owned(), id_token: keys[1].token("ada") };
    let lobby = Lobby::connect(&host.url(), credential, options(Encoding::Proto)).await.expect("it is right");
    assert_eq!(lobby.session().user_id, ada);
    host.kill9();
    host.restart();
    assert_eq!(user(&host, &keys[0].token("ada")).await, ada);
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_told_to_the_operator_only() {
    let key = Key::es256("a");
    let issuer = Issuer::with_keys(&[&key]);
    let host = host_with(&issuer);
    let with = |name: &str, value: Value| {
        let mut claims = claims("ada");
        claims[name] = value;
        key.sign(&claims, |_| {})
    };
    let right = key.token("ada");
    let (said, _) = right.rsplit_once('.').expect("a signature");
    let none = "eyJhbGciOiJub25lIiwia2lkIjoiYSJ9"; // {"alg":"none","kid":"a"}
    let without_signature = format!("{none}.{}.", right.split('.').nth(1).expect("claims"));
    let wrong = [
        ("signature", Key::es256("a").token("ada")),
        ("no signature", format!("{said}.")),
        ("issuer", with("iss", json!("https://another.test"))),
        ("audience", with("aud", json!("another-game"))),
        ("one audience of two", with("aud", json!([CLIENT_ID, "another-game"]))),
        ("expired", with("exp", json!(now_s() - 120))),
        ("not yet valid", with("nbf", json!(now_s() + 120))),
        ("of the future", with("iat", json!(now_s() + 120))),
        ("no subject", with("sub", json!(""))),
        ("HMAC by the public key", key.hmac_by_public_key(&claims("ada"))),
        ("no algorithm", without_signature),
        ("unknown kid", Key::es256("b").token("ada")),
        ("another kind of token", key.sign(&claims("ada"), |head| head.typ = Some("at+jwt".to_owned()))),
        ("no token", "x".to_owned()),
    ];
    let mut answers = Vec::new();
    for (what, token) in &wrong {
        let answer = sign_in_by(&host, "test", token).await;
        assert_eq!((answer.0, answer.1["code"].as_str()), (401, Some("BAD_CREDENTIAL")), "{what}: {}", answer.1);
        answers.push(answer);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "all are answered alike");
    let logged = logged(&host, "an ID token is refused", 1).await;
    assert_eq!(logged[0]["fields"]["reason"], "its signature is wrong");
    let logged = format!("{logged:?}");
    assert!(wrong.iter().all(|(_, token)| token.len() < 10 || !logged.contains(token.as_str())), "no token is logged");

    assert_eq!(refused(&host, "test", "").await, (400, "INVALID".to_owned()));
    assert_eq!(refused(&host, "test", &"x".repeat(12_289)).await, (400, "INVALID".to_owned()));
    assert_eq!(refused(&host, "another", &right).await, (404, "NOT_FOUND".to_owned()));
    assert!(!user(&host, &right).await.is_empty(), "and the right one is right");
}

#[tokio::test]
async fn a_token_that_does_not_name_its_key_needs_a_set_without_a_choice() {
    let [key, other] = [Key::es256("a"), Key::es256("b")];
    let issuer = Issuer::with_keys(&[&key]);
    let host = host_with(&issuer);
    let unnamed = |key: &Key| key.sign(&claims("ada"), |head| head.kid = None);
    let ada = user(&host, &unnamed(&key)).await;
    issuer.publish(&[&other]);
    assert_eq!(user(&host, &unnamed(&other)).await, ada, "the only key was replaced");
    assert_eq!(refused(&host, "test", &unnamed(&key)).await, bad_credential());
}

#[tokio::test]
async fn a_new_key_is_known_at_once_and_forged_ones_do_not_flood_the_issuer() {
    let [old, new] = [Key::es256("old"), Key::es256("new")];
    let issuer = Issuer::with_keys(&[&old]);
    let host = host_with(&issuer);
    let ada = user(&host, &old.token("ada")).await;
    let start = Instant::now();
    issuer.publish(&[&new]);
    assert_eq!(user(&host, &new.token("ada")).await, ada);
    assert_eq!(issuer.requests(), 2);
    assert_eq!(refused(&host, "test", &old.token("ada")).await, bad_credential(), "the old key is gone");

    let forged: Vec<String> = (0..100).map(|number| Key::es256(&format!("forged-{number}")).token("ada")).collect();
    for answer in join_all(forged.iter().map(|token| refused(&host, "test", token))).await {
        assert_eq!(answer, bad_credential());
    }
    let pauses = usize::try_from(start.elapsed().as_secs() / PAUSE.as_secs()).expect("a few");
    assert!(issuer.requests() <= 2 + pauses, "{} requests", issuer.requests());
    assert_eq!(user(&host, &new.token("ada")).await, ada, "others are served meanwhile");
}

#[tokio::test]
async fn while_the_issuer_is_down_known_keys_go_on_and_then_new_ones_come() {
    let [old, new] = [Key::es256("old"), Key::es256("new")];
    let issuer = Issuer::with_keys(&[&old]);
    let host = host_with(&issuer);
    let ada = user(&host, &old.token("ada")).await;
    issuer.reply(Reply::Status(500));
    let (status, answer) = sign_in_by(&host, "test", &new.token("ada")).await;
    assert_eq!((status, answer["code"].as_str()), (503, Some("SERVICE_DOWN")), "{answer}");
    assert_eq!(answer["retryAfterMs"], 5_000, "the issuer may have a new key");
    assert_eq!(user(&host, &old.token("ada")).await, ada);
    assert_eq!(logged(&host, NO_KEYS, 1).await[0]["fields"]["kept"], true);

    issuer.publish(&[&old, &new]);
    until("the new key", async || sign_in_by(&host, "test", &new.token("ada")).await.0 == 200).await;
    assert_eq!(user(&host, &new.token("ada")).await, ada);
}

#[tokio::test]
async fn whatever_an_issuer_answers_ends_soon_and_holds_up_nobody_else() {
    let key = Key::es256("a");
    let good = Issuer::with_keys(&[&key]);
    let elsewhere = Issuer::with_keys(&[&key]);
    let bad = [
        ("redirect", Issuer::start(Reply::Redirect(elsewhere.address()))),
        ("endless", Issuer::start(Reply::Endless)),
        ("silent", Issuer::start(Reply::Silence)),
        ("garbage", Issuer::start(Reply::Keys("<html>".to_owned()))),
        ("secret", Issuer::start(Reply::Keys(json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] }).to_string()))),
        ("huge", Issuer::start(Reply::Keys(format!("{{\"keys\":[{}]}}", " ".repeat(300_000))))),
    ];
    let urls: Vec<(&str, String)> = bad.iter().map(|(name, issuer)| (*name, by_url(issuer))).collect();
    let mut providers: Vec<(&str, &str)> = urls.iter().map(|(name, url)| (*name, url.as_str())).collect();
    let of_good = by_url(&good);
    providers.push(("test", &of_good));
    let host = Host::start(&config(&providers));

    let token = key.token("ada");
    let waiting = join_all(bad.iter().map(|(name, _)| refused(&host, name, &token)));
    let others = async {
        user(&host, &token).await;
        let guest = json!({ "guest": { "deviceId": device() } });
        assert_eq!(call(&host, "/v1/auth/sign-in", "", &guest).await.0, 200);
    };
    let (answers, ()) = tokio::join!(waiting, others);
    for ((name, _), answer) in bad.iter().zip(answers) {
        assert_eq!(answer, service_down(), "{name}");
    }
    assert_eq!(elsewhere.requests(), 0, "a redirect is not followed");
    for (name, reason) in
        [("redirect", "302"), ("endless", "262144 bytes"), ("silent", "3 s"), ("huge", "262144 bytes")]
    {
        let says_why = |line: &Value| {
            let error = line["fields"]["error"].as_str();
            line["fields"]["provider"] == name && error.is_some_and(|error| error.contains(reason))
        };
        until(&format!("the log to say why {name} has no keys"), async || host.logged(NO_KEYS).iter().any(says_why))
            .await;
    }
}

#[tokio::test]
async fn only_so_many_tokens_wait_for_an_issuer_that_does_not_answer() {
    let key = Key::es256("a");
    let (good, silent) = (Issuer::with_keys(&[&key]), Issuer::start(Reply::Silence));
    let (of_good, of_silent) = (by_url(&good), by_url(&silent));
    let host = Host::start(&config(&[("test", &of_good), ("silent", &of_silent)]));
    let token = key.token("ada");
    let waiting = join_all((0..WAITING_MAX + 40).map(|_| refused(&host, "silent", &token)));
    let (answers, _) = tokio::join!(waiting, user(&host, &token));
    let overloaded = (503, "OVERLOADED".to_owned());
    assert!(answers.iter().all(|answer| *answer == service_down() || *answer == overloaded), "{answers:?}");
    let refused_at_once = answers.iter().filter(|answer| **answer == overloaded).count();
    assert!((1..=40).contains(&refused_at_once), "{refused_at_once}");
}

#[tokio::test]
async fn by_https_keys_come_only_from_whom_the_system_trusts() {
    let key = Key::es256("a");
    let [folder, other_folder] = [(); 2].map(|()| tempfile::TempDir::new().expect("a temporary folder"));
    let (trusted, certificate) = Issuer::over_tls(&[&key], folder.path());
    let (stranger, _) = Issuer::over_tls(&[&key], other_folder.path());
    let (of_trusted, of_stranger) = (by_url(&trusted), by_url(&stranger));
    let config = config(&[("test", &of_trusted), ("stranger", &of_stranger)]);
    let host = Host::start_where(&config, &[("SSL_CERT_FILE", certificate.as_os_str())]);
    user(&host, &key.token("ada")).await;
    assert_eq!(refused(&host, "stranger", &key.token("ada")).await, service_down());
    assert_eq!(stranger.requests(), 0, "it is not even asked");
    let failures = logged(&host, NO_KEYS, 1).await;
    let error = failures[0]["fields"]["error"].as_str().expect("a text");
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_withdrawn_key_is_good_no_longer_than_the_keys_may_be_old() {
    let [old, new] = [Key::es256("old"), Key::es256("new")];
    let issuer = Issuer::with_keys(&[&old]);
    let host = Host::start(&config(&[("test", &format!("{}\njwks_max_age_ms = 1000", by_url(&issuer)))]));
    user(&host, &old.token("ada")).await;
    issuer.publish(&[&new]);
    until("the end of the old key", async || refused(&host, "test", &old.token("ada")).await == bad_credential()).await;
    user(&host, &new.token("ada")).await;
}

#[tokio::test]
async fn keys_can_lie_in_a_file_that_is_read_again() {
    let [old, new] = [Key::es256("old"), Key::es256("new")];
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = folder.path().join("keys.json");
    let publish = |document: &str| std::fs::write(&file, document).expect("it is writable");
    publish(&jwks(&[&old]));
    let host = Host::start(&config(&[("test", &format!("jwks_file = {file:?}"))]));
    let ada = user(&host, &old.token("ada")).await;
    publish(&jwks(&[&new]));
    assert_eq!(user(&host, &new.token("ada")).await, ada);
    assert_eq!(refused(&host, "test", &old.token("ada")).await, bad_credential());

    publish("half of a");
    logged(&host, NO_KEYS, 1).await;
    assert_eq!(user(&host, &new.token("ada")).await, ada, "the keys from before go on");
}

#[tokio::test]
async fn an_id_token_is_linked_and_unlinked() {
    let key = Key::es256("a");
    let issuer = Issuer::with_keys(&[&key]);
    let host = host_with(&issuer);
    let guest = json!({ "guest": { "deviceId": device() } });
    let (_, ada) = call(&host, "/v1/auth/sign-in", "", &guest).await;
    let session = ada["sessionToken"].as_str().expect("a token");
    let link = async |token: &str| call(&host, "/v1/account/link", session, &oidc("test", token)).await;

    let (status, answer) = link(&Key::es256("a").token("ada")).await;
    assert_eq!((status, answer["code"].as_str()), (401, Some("BAD_CREDENTIAL")), "{answer}");
    assert_eq!(link(&key.token("ada")).await.0, 204);
    assert_eq!(user(&host, &key.token("ada")).await, ada["userId"]);
    user(&host, &key.token("grace")).await;
    let (status, answer) = link(&key.token("grace")).await;
    assert_eq!((status, answer["code"].as_str()), (409, Some("TAKEN")), "{answer}");

    let (_, account) = call(&host, "/v1/account", session, &Value::Null).await;
    let identities = account["identities"].as_array().expect("a list");
    let of_kind = |kind: &str| {
        let label = identities.iter().find_map(|it| it.as_str().filter(|label| label.starts_with(kind)));
        json!({ "identity": label.unwrap_or_else(|| panic!("no {kind} in {identities:?}")) })
    };
    assert_eq!(identities.len(), 2);
    assert_eq!(call(&host, "/v1/account/unlink", session, &of_kind("guest/")).await.0, 204);
    let (status, answer) = call(&host, "/v1/account/unlink", session, &of_kind("oidc/")).await;
    assert_eq!((status, answer["code"].as_str()), (400, Some("INVALID")), "the last one stays: {answer}");
    assert_eq!(call(&host, "/v1/account/link", session, &guest).await.0, 204);
    assert_eq!(call(&host, "/v1/account/unlink", session, &of_kind("oidc/")).await.0, 204);
    assert_ne!(user(&host, &key.token("ada")).await, ada["userId"], "it leads to a new account now");
}
