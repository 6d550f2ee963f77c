//! Texts that stand for something: ids, hashes, scene tokens. Each has one form.

use scenehost_core::auth::account::{Kind, Presented};
use scenehost_core::token::{SecretHash, parse_scene_token};
use scenehost_core::{SceneId, UserId, record};

#[test]
fn an_id_is_its_sixteen_digits() {
    assert_eq!("00000000000000ff".parse::<UserId>().map(|id| id.to_string()).as_deref(), Ok("00000000000000ff"));
    for text in ["", "ff", "+0000000000000ff", "-0000000000000ff", "000000000000000ff", "000000000000000g"] {
        assert!(text.parse::<UserId>().is_err(), "{text}");
        assert!(text.parse::<SceneId>().is_err(), "{text}");
    }
    assert_eq!(record::expiry_user("expiry/0000000001/+0000000000000ff"), None);
}

#[test]
fn a_token_names_its_scene_or_account_without_a_sign() {
    let secret = "5".repeat(64);
    assert!(parse_scene_token(&format!("00000000000000ff.{secret}")).is_some());
    assert!(parse_scene_token(&format!("+0000000000000ff.{secret}")).is_none());
    let family = "7".repeat(32);
    assert!(Presented::parse(Kind::Session, &format!("s00000000000000ff.{family}.{secret}")).is_ok());
    assert!(Presented::parse(Kind::Session, &format!("s+0000000000000ff.{family}.{secret}")).is_err());
}

#[test]
fn a_stored_hash_is_its_digits() {
    let hash = SecretHash::of("secret");
    assert_eq!(SecretHash::try_from(hash.to_string()).ok(), Some(hash));
    for text in ["", "+f", "zz"] {
        assert!(SecretHash::try_from(text.repeat(32)).is_err(), "{text}");
    }
}
