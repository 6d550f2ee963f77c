//! Texts that are looked at before anything is known of their sender: tokens, ids, names, passwords.
//!
//! What is accepted is what it is said to be, to the last character, so that no two texts are one
//! token or one id.

use scenehost_core::auth::account::{Kind, Presented};
use scenehost_core::auth::identity::{self, DEVICE_ID_CHARS, IdentityKey, NAME_CHARS, PASSWORD_CHARS};
use scenehost_core::token::{self, SecretHash};
use scenehost_core::{
    ConnectionId, DomainName, FleetName, MatchId, NodeId, Refusal, SceneId, SessionId, Time, UserId, record,
};

use crate::json_survives;

/// One text, as each of them; and a moment from its first bytes.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    scene_token(&text);
    account_token(&text);
    ids(&text);
    hash(&text);
    identities(&text);
    names(&text);
    expiry_key(&text);
    moment(data);
}

fn scene_token(text: &str) {
    let Some((scene, hash)) = token::parse_scene_token(text) else { return };
    let (id, secret) = text.split_once('.').expect("a scene token has two parts");
    assert_eq!(scene.to_string(), id.to_ascii_lowercase());
    assert_eq!(hash, SecretHash::of(secret));
}

fn account_token(text: &str) {
    let [session, refresh] = [Kind::Session, Kind::Refresh].map(|kind| Presented::parse(kind, text));
    assert!(session.is_err() || refresh.is_err(), "a token is of one kind");
    for refused in [&session, &refresh].into_iter().filter_map(|presented| presented.as_ref().err()) {
        assert!(matches!(refused, Refusal::BadToken(_)));
    }
    for presented in [session, refresh].into_iter().flatten() {
        assert_eq!(presented.user.to_string(), text[1..17].to_ascii_lowercase());
        assert_eq!(text.split('.').map(str::len).collect::<Vec<_>>(), [17, 32, 64]);
    }
}

fn ids(text: &str) {
    let ids = [
        text.parse::<UserId>().ok().map(|id| id.to_string()),
        text.parse::<SceneId>().ok().map(|id| id.to_string()),
        text.parse::<MatchId>().ok().map(|id| id.to_string()),
        text.parse::<ConnectionId>().ok().map(|id| id.to_string()),
        text.parse::<SessionId>().ok().map(|id| id.to_string()),
        text.parse::<NodeId>().ok().map(|id| id.to_string()),
    ];
    for id in ids.into_iter().flatten() {
        assert_eq!(id, text.to_ascii_lowercase(), "an id has one text");
    }
}

fn hash(text: &str) {
    if let Ok(hash) = SecretHash::try_from(text.to_owned()) {
        assert_eq!(hash.to_string(), text.to_ascii_lowercase(), "a hash has one text");
    }
    let hash = SecretHash::of(text);
    assert_eq!(SecretHash::try_from(hash.to_string()).ok(), Some(hash));
}

fn identities(text: &str) {
    let chars = text.chars().count();
    let (issuer, subject) = text.split_once('\n').unwrap_or(("https://issuer.test", text));
    let keys = [
        ("guest", IdentityKey::guest(text), DEVICE_ID_CHARS.contains(&chars)),
        ("name", IdentityKey::name(text), NAME_CHARS.contains(&chars) && text.bytes().all(is_of_a_name)),
        ("oidc", IdentityKey::oidc(issuer, subject), (1..=256).contains(&subject.chars().count())),
        ("custom", IdentityKey::custom(text), (1..=256).contains(&chars)),
    ];
    for (kind, key, allowed) in keys {
        assert_eq!(key.is_ok(), allowed, "{kind}");
        let Ok(key) = key else { continue };
        assert_eq!(key.kind(), kind);
        assert!(key.label().starts_with(&format!("{kind}/")));
        assert_eq!(key.record_key(), format!("identity/{key}"));
        assert_eq!(json_survives::<IdentityKey>(&record::encode(&key)), Some(key));
    }
    assert_eq!(IdentityKey::name(text), IdentityKey::name(&text.to_ascii_uppercase()), "capitals make no difference");
    assert_eq!(identity::check_password(text).is_ok(), PASSWORD_CHARS.contains(&chars));
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

fn names(text: &str) {
    assert_eq!(DomainName::from(text).as_str(), text);
    assert_eq!(FleetName::from(text).to_string(), text);
    assert!(json_survives::<DomainName>(&record::encode(&text)).is_some());
    assert!(json_survives::<FleetName>(&record::encode(&text)).is_some());
}

fn expiry_key(text: &str) {
    if let Some(user) = record::expiry_user(text) {
        assert!(text.to_ascii_lowercase().ends_with(&user.to_string()));
        assert_eq!(record::expiry_user(&record::expiry_key(0, user)), Some(user));
    }
}

fn moment(data: &[u8]) {
    let Some(bytes) = data.first_chunk() else { return };
    let time = Time(u64::from_be_bytes(*bytes));
    assert!(time.utc().ends_with(" UTC"));
    assert!(time.plus_ms(time.0) >= time);
    assert_eq!(Time(0).ms_since(time), 0);
}
