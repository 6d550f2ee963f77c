//! Accounts over HTTP: passwords, tokens, sessions, identities, bans; also after kill -9.

use scenehost_client::{Credential, Encoding, Error, Lobby, v1};
use serde_json::{Value, json};

use crate::host::{Answer, Host, OPS_TOKEN, http, until, within};
use crate::player::{device, gather, options, refusal, scene_ended};

const CONFIG: &str = r#"
[server]
scenes_max = 16
scene_threads = 1

[auth]
server_key = "a-server-key-of-the-tests-32-chars"

[fleets.echo]
plugin = "hostile"

[domains.pair]
fleet = "echo"
players_min = 2
players_max = 2
"#;
const SERVER_KEY: &str = "a-server-key-of-the-tests-32-chars";
const PASSWORD: &str = "correct horse battery";

/// A call with a token: the status, and the answer if it is JSON.
async fn call(host: &Host, method: &str, path: &str, token: &str, body: Value) -> (u16, Value) {
    let bearer = format!("Bearer {token}");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = http(host.address(), method, path, &[("authorization", &bearer)], &body).await;
    json_of(answer)
}

async fn ops(host: &Host, method: &str, path: &str, body: &str) -> (u16, Value) {
    let bearer = format!("Bearer {OPS_TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    json_of(host.ops(method, path, &headers, body).await)
}

fn json_of(answer: Answer) -> (u16, Value) {
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

async fn sign_in(host: &Host, credential: Value) -> Value {
    let (status, answer) = call(host, "POST", "/v1/auth/sign-in", "", credential).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

fn guest(device_id: &str) -> Value {
    json!({ "guest": { "deviceId": device_id }, "device": "a test" })
}

fn password(name: &str, password: &str, create: bool) -> Value {
    json!({ "password": { "name": name, "password": password, "create": create } })
}

fn text<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}"))
}

/// Whether a session token still signs in.
async fn is_good(host: &Host, session_token: &str) -> bool {
    let (status, answer) = call(host, "POST", "/v1/auth/sign-in", "", json!({ "sessionToken": session_token })).await;
    assert!(status == 200 || answer["code"] == "BAD_TOKEN" || answer["code"] == "BANNED", "{status} {answer}");
    status == 200
}

async fn lobby(host: &Host, session_token: &str) -> Result<Lobby, Error> {
    Lobby::connect(&host.url(), Credential::Session(session_token.to_owned()), options(Encoding::Proto)).await
}

/// Why the server closed a lobby connection.
async fn closing(lobby: &Lobby) -> v1::Code {
    within("the end of a connection", async { while lobby.next().await.is_some() {} }).await;
    match lobby.end() {
        Some(Error::Closing(closing)) => closing.code(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_account_with_a_password_is_made_and_signs_in_and_tells_nobody_what_was_wrong() {
    let host = Host::start(CONFIG);
    let made = sign_in(&host, password("Ada", PASSWORD, true)).await;
    assert_eq!((made["created"].as_bool(), text(&made, "name")), (Some(true), "Ada"));
    let again = sign_in(&host, password("aDa", PASSWORD, false)).await;
    assert_eq!(text(&again, "userId"), text(&made, "userId"));
    let refused = |name: &'static str, password: &'static str, create| {
        let body = self::password(name, password, create);
        let host = &host;
        async move { call(host, "POST", "/v1/auth/sign-in", "", body).await }
    };
    let wrong = refused("ada", "another horse", false).await;
    assert_eq!((wrong.0, text(&wrong.1, "code")), (401, "BAD_CREDENTIAL"));
    assert_eq!(refused("nobody", PASSWORD, false).await, wrong, "an unknown name is answered alike");
    let taken = refused("ADA", "my own password", true).await;
    assert_eq!((taken.0, text(&taken.1, "code")), (409, "TAKEN"));
    let short = refused("grace", "short", true).await;
    assert_eq!((short.0, text(&short.1, "code")), (400, "INVALID"));
    // The same over a lobby connection.
    let credential = Credential::Password { name: "ada".into(), password: PASSWORD.into(), create: false };
    let lobby = Lobby::connect(&host.url(), credential, options(Encoding::Json)).await.expect("it is right");
    assert_eq!(lobby.session().user_id, text(&made, "userId"));
}

#[tokio::test]
async fn a_refreshed_token_replaces_the_old_one_and_a_stolen_one_ends_the_session() {
    let host = Host::start(CONFIG);
    let first = sign_in(&host, guest(&device())).await;
    let connected = lobby(&host, text(&first, "sessionToken")).await.expect("the session lives");
    assert_eq!(connected.session().refresh_token, "", "it has come with the first sign-in");
    let refresh = async |answer: &Value| {
        let body = json!({ "refreshToken": text(answer, "refreshToken") });
        call(&host, "POST", "/v1/auth/refresh", "", body).await
    };
    let (status, second) = refresh(&first).await;
    assert_eq!((status, text(&second, "sessionId")), (200, text(&first, "sessionId")));
    assert!(is_good(&host, text(&first, "sessionToken")).await, "until the new one is used");
    assert!(is_good(&host, text(&second, "sessionToken")).await);
    assert!(!is_good(&host, text(&first, "sessionToken")).await);

    let (status, refused) = refresh(&first).await;
    assert_eq!((status, text(&refused, "code")), (401, "BAD_TOKEN"));
    assert!(text(&refused, "text").contains("copy"), "{refused}");
    assert!(!is_good(&host, text(&second, "sessionToken")).await, "the whole session has ended");
    assert_eq!(closing(&connected).await, v1::Code::SessionEnded, "its connection as well");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_and_stay_ended_after_kill_9() {
    let mut host = Host::start(CONFIG);
    let device_id = device();
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(sign_in(&host, guest(&device_id)).await);
    }
    let token = |index: usize| text(&tokens[index], "sessionToken").to_owned();
    let (_, account) = call(&host, "GET", "/v1/account", &token(0), Value::Null).await;
    let sessions = account["sessions"].as_array().expect("a list").clone();
    assert_eq!(sessions.len(), 4);
    assert_eq!((sessions[0]["own"].as_bool(), text(&sessions[1], "device")), (Some(true), "a test"));

    let path = format!("/v1/account/sessions/{}", text(&tokens[1], "sessionId"));
    assert_eq!(call(&host, "DELETE", &path, &token(0), Value::Null).await.0, 204);
    assert_eq!(call(&host, "POST", "/v1/auth/sign-out", &token(2), json!({})).await.0, 204);
    host.kill9();
    host.restart();
    for (index, good) in [true, false, false, true].into_iter().enumerate() {
        assert_eq!(is_good(&host, &token(index)).await, good, "session {index}");
    }
    let connected = lobby(&host, &token(3)).await.expect("it lives");
    assert_eq!(call(&host, "POST", "/v1/auth/sign-out", &token(0), json!({ "everywhere": true })).await.0, 204);
    assert_eq!(closing(&connected).await, v1::Code::SessionEnded);
    host.kill9();
    host.restart();
    for index in 0..4 {
        assert!(!is_good(&host, &token(index)).await);
    }
}

#[tokio::test]
async fn a_sign_out_over_the_lobby_ends_the_session() {
    let host = Host::start(CONFIG);
    let session = sign_in(&host, guest(&device())).await;
    let token = text(&session, "sessionToken");
    let connected = lobby(&host, token).await.expect("it lives");
    connected.sign_out().await.expect("the server says that the session has ended");
    assert_eq!(refusal(lobby(&host, token).await).code(), v1::Code::BadToken);
}

#[tokio::test]
async fn identities_are_linked_and_the_account_is_exported_and_deleted() {
    let host = Host::start(CONFIG);
    let device_id = device();
    let ada = sign_in(&host, guest(&device_id)).await;
    let (user, token) = (text(&ada, "userId"), text(&ada, "sessionToken"));
    let link = password("ada", PASSWORD, true);
    assert_eq!(call(&host, "POST", "/v1/account/link", token, link).await.0, 204);
    assert_eq!(text(&sign_in(&host, password("ada", PASSWORD, false)).await, "userId"), user);
    let (_, account) = call(&host, "GET", "/v1/account", token, Value::Null).await;
    let identities: Vec<&str> =
        account["identities"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(identities[1], "name/ada");
    for (identity, status) in [(identities[0], 204), ("name/ada", 400), ("name/grace", 404)] {
        let body = json!({ "identity": identity });
        assert_eq!(call(&host, "POST", "/v1/account/unlink", token, body).await.0, status, "{identity}");
    }

    let ada = lobby(&host, token).await.expect("a session");
    let about = v1::req_profile::Change { about: Some("I play white".to_owned()), ..Default::default() };
    ada.change_profile(about).await.expect("it is no long text");
    let (status, export) = call(&host, "GET", "/v1/account/export", token, Value::Null).await;
    assert_eq!((status, text(&export, "user_id")), (200, user));
    assert!(!export.to_string().contains("argon2"), "{export}");
    assert_eq!(export["kept"]["profile"]["about"], "I play white", "what Db keeps is there, too");
    assert_eq!(call(&host, "DELETE", "/v1/account", token, Value::Null).await.0, 204);
    assert!(!is_good(&host, token).await);
    let (status, _) = call(&host, "POST", "/v1/auth/sign-in", "", password("ada", PASSWORD, false)).await;
    assert_eq!(status, 401);
    let other = sign_in(&host, guest(&device_id)).await;
    assert_ne!(text(&other, "userId"), user);
    let other = lobby(&host, text(&other, "sessionToken")).await.expect("a session");
    until("nothing is kept", async || other.profiles(vec![user.to_owned()]).await.expect("an answer").is_empty()).await;
}

#[tokio::test]
async fn a_backend_signs_its_users_in_with_the_server_key() {
    let host = Host::start(CONFIG);
    let ada = json!({ "id": "player 1", "name": "Ada" });
    let (status, first) = call(&host, "POST", "/v1/auth/custom", SERVER_KEY, ada.clone()).await;
    assert_eq!((status, text(&first, "name")), (200, "Ada"));
    let (_, again) = call(&host, "POST", "/v1/auth/custom", SERVER_KEY, ada.clone()).await;
    assert_eq!(text(&again, "userId"), text(&first, "userId"));
    assert_eq!(call(&host, "POST", "/v1/auth/custom", "a wrong key", ada).await.0, 401);
    assert!(lobby(&host, text(&first, "sessionToken")).await.is_ok());
}

#[tokio::test]
async fn a_ban_ends_sessions_connections_and_the_game_and_outlives_kill_9() {
    let mut host = Host::start(CONFIG);
    let players = gather(&host, "pair", 2).await;
    let session = players[0].lobby.session();
    let path = format!("/v1/users/{}/ban", session.user_id);
    let body = r#"{"reason":"shouting","minutes":60}"#;
    assert_eq!(http(host.address(), "POST", &path, &[], body).await.status, 404, "not where players connect");
    assert_eq!(host.ops("POST", &path, &[], body).await.status, 401, "not without the operators' token");
    assert_eq!(ops(&host, "POST", &path, r#"{"reason":" "}"#).await.0, 400);
    assert_eq!(ops(&host, "POST", &path, body).await.0, 204);

    assert_eq!(closing(&players[0].lobby).await, v1::Code::Banned);
    let [mut banned, _other] = <[_; 2]>::try_from(players).map_err(|_| "two").expect("two players");
    let ended = scene_ended(&mut banned.scene).await;
    assert_eq!((ended.reason(), ended.text.as_str()), (v1::syn_scene_ended::Reason::Kicked, "your account was closed"));
    assert!(!is_good(&host, &session.session_token).await);
    host.kill9();
    host.restart();
    let (_, user) = ops(&host, "GET", &format!("/v1/users/{}", session.user_id), "").await;
    assert_eq!(user["ban"]["reason"], "shouting");
    assert!(!is_good(&host, &session.session_token).await);

    assert_eq!(ops(&host, "DELETE", &path, "").await.0, 204);
    assert_eq!(ops(&host, "POST", "/v1/users/0123456789abcdef/ban", body).await.0, 404);
    assert_eq!(ops(&host, "POST", "/v1/users/nobody/ban", body).await.0, 400);
}

#[tokio::test]
async fn with_the_policy_newest_a_new_sign_in_ends_the_session_before_and_its_connection() {
    let host = Host::start(&format!("{CONFIG}\n[auth.accounts]\nsessions = \"newest\"\n"));
    let device_id = device();
    let old = sign_in(&host, guest(&device_id)).await;
    let connected = lobby(&host, text(&old, "sessionToken")).await.expect("it lives");
    let new = sign_in(&host, guest(&device_id)).await;
    assert_eq!(closing(&connected).await, v1::Code::TakenOver);
    assert!(!is_good(&host, text(&old, "sessionToken")).await);
    assert!(lobby(&host, text(&new, "sessionToken")).await.is_ok());
}

#[tokio::test]
async fn with_the_policy_refuse_a_sign_in_waits_until_the_other_has_gone() {
    let host = Host::start(&format!("{CONFIG}\n[auth.accounts]\nsessions = \"refuse\"\n"));
    let device_id = device();
    let first = sign_in(&host, guest(&device_id)).await;
    let connected = lobby(&host, text(&first, "sessionToken")).await.expect("it lives");
    let (status, refused) = call(&host, "POST", "/v1/auth/sign-in", "", guest(&device_id)).await;
    assert_eq!((status, text(&refused, "code")), (409, "BUSY"));
    connected.close().await;
    crate::host::until("the other to have gone", async || {
        call(&host, "POST", "/v1/auth/sign-in", "", guest(&device_id)).await.0 == 200
    })
    .await;
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_a_reason() {
    let host = Host::start(CONFIG);
    let path = "/v1/auth/sign-in";
    let sign_in = async |body: &str| json_of(http(host.address(), "POST", path, &[], body).await);
    for (body, status, code) in [
        ("", 400, "MALFORMED"),
        ("{", 400, "MALFORMED"),
        (r#"{"guest":7}"#, 400, "MALFORMED"),
        ("{}", 400, "INVALID"),
        (r#"{"guest":{"deviceId":"short"}}"#, 400, "INVALID"),
        (r#"{"oidc":{"provider":"nobody","idToken":"x"}}"#, 404, "NOT_FOUND"),
        (r#"{"sessionToken":"guess"}"#, 401, "BAD_TOKEN"),
    ] {
        let (got, answer) = sign_in(body).await;
        assert_eq!((got, text(&answer, "code")), (status, code), "{body}");
    }
    let (status, answer) = sign_in(&format!(r#"{{"guest":{{"deviceId":"{}"}}}}"#, "x".repeat(20_000))).await;
    assert_eq!((status, text(&answer, "code")), (400, "MALFORMED"));
    let evil = [("origin", "https://evil.example")];
    assert_eq!(http(host.address(), "POST", path, &evil, &guest(&device()).to_string()).await.status, 400);
    assert_eq!(http(host.address(), "GET", "/v1/account", &[], "").await.status, 401);
}
