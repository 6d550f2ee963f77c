//! The keys of an issuer, from a JSON Web Key Set (RFC 7517).
//!
//! Invariant: only public keys for signatures get in, and each checks only algorithms that fit its
//! kind and what the set says of it. So a public key is never taken for the secret of an HMAC.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde::Deserialize;

/// The sizes of an RSA modulus, in bytes: 2048 to 8192 bits. RFC 7518, section 3.3, asks for 2048 or more.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;

const RSA: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("it is no JSON Web Key Set, an object with a list of keys")]
    NoSet,
    #[error("it has no key that can check signatures: RSA of 2048 bits or more, P-256, P-384 or Ed25519")]
    NoKey,
}

/// The keys that can be used. Two sets are equal if they have the same keys in the same order.
#[derive(Debug, Clone)]
pub struct KeySet(Vec<Key>);

#[derive(Debug, Clone)]
struct Key {
    jwk: Jwk,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Keys of unknown kinds and for other uses are passed over, as RFC 7517, section 5, asks.
    pub fn parse(document: &[u8]) -> Result<Self, Error> {
        let Document { keys } = serde_json::from_slice(document).map_err(|_| Error::NoSet)?;
        let keys: Vec<Key> = keys.into_iter().filter_map(Key::usable).collect();
        if keys.is_empty() { Err(Error::NoKey) } else { Ok(Self(keys)) }
    }

    /// The key for a token. A token that does not name its key is checked only if there is no
    /// choice (OpenID Connect Core 1.0, section 10.1).
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fitting = self.0.iter().filter(|key| key.algorithms.contains(&algorithm));
        match kid {
            Some(kid) => fitting.find(|key| key.kid() == Some(kid)).map(|key| &key.key),
            None => match (fitting.next(), fitting.next()) {
                (Some(only), None) => Some(&only.key),
                _ => None,
            },
        }
    }

    /// The names of the keys, for the log.
    pub fn kids(&self) -> Vec<&str> {
        self.0.iter().map(|key| key.kid().unwrap_or("(without a kid)")).collect()
    }
}

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().map(|key| &key.jwk).eq(other.0.iter().map(|key| &key.jwk))
    }
}

impl Key {
    fn usable(value: serde_json::Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let for_signatures = match (&jwk.common.public_key_use, &jwk.common.key_operations) {
            (Some(usage), _) => *usage == PublicKeyUse::Signature,
            (None, Some(operations)) => operations.contains(&KeyOperations::Verify),
            (None, None) => true,
        };
        if !for_signatures {
            return None;
        }
        let stated = jwk.common.key_algorithm;
        let may = |algorithm: &Algorithm| stated.is_none_or(|stated| stated == KeyAlgorithm::from(*algorithm));
        let algorithms: Vec<Algorithm> = kind(&jwk)?.iter().copied().filter(may).collect();
        let key = DecodingKey::from_jwk(&jwk).ok().filter(|key| has_right_size(key, &algorithms))?;
        Some(Self { jwk, algorithms, key })
    }

    fn kid(&self) -> Option<&str> {
        self.jwk.common.key_id.as_deref()
    }
}

/// The algorithms that a kind of key is for; none for secrets and for what is not known.
fn kind(jwk: &Jwk) -> Option<&'static [Algorithm]> {
    match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Some(RSA),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Some(&[Algorithm::ES256]),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => Some(&[Algorithm::ES384]),
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Some(&[Algorithm::EdDSA]),
        _ => None,
    }
}

/// A key of another size would refuse every token without a word.
fn has_right_size(key: &DecodingKey, algorithms: &[Algorithm]) -> bool {
    match (key.kind(), algorithms.first()) {
        (DecodingKeyKind::RsaModulusExponent { n, .. }, Some(_)) => RSA_BYTES.contains(&n.len()),
        // A point of a curve is the byte 4 and two coordinates.
        (DecodingKeyKind::SecretOrDer(point), Some(Algorithm::ES256)) => point.len() == 1 + 2 * 32,
        (DecodingKeyKind::SecretOrDer(point), Some(Algorithm::ES384)) => point.len() == 1 + 2 * 48,
        (DecodingKeyKind::SecretOrDer(key), Some(Algorithm::EdDSA)) => key.len() == 32,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::id_tokens::signer::Signer;

    fn set(keys: &[Value]) -> Result<KeySet, Error> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn a_key_is_found_by_its_name_and_only_for_its_algorithms() {
        let keys = set(&[Signer::es256("a").jwk(), Signer::eddsa("b").jwk(), Signer::rsa("c").jwk()]).unwrap();
        assert_eq!(keys.kids(), ["a", "b", "c"]);
        for (kid, algorithm, there) in [
            ("a", Algorithm::ES256, true),
            ("a", Algorithm::ES384, false),
            ("a", Algorithm::HS256, false),
            ("b", Algorithm::EdDSA, true),
            ("b", Algorithm::ES256, false),
            ("c", Algorithm::RS256, true),
            ("c", Algorithm::PS512, true),
            ("c", Algorithm::HS256, false),
            ("d", Algorithm::ES256, false),
            ("", Algorithm::ES256, false),
        ] {
            assert_eq!(keys.find(Some(kid), algorithm).is_some(), there, "{kid} {algorithm:?}");
        }
    }

    #[test]
    fn without_a_name_there_must_be_no_choice() {
        let one = set(&[Signer::es256("a").jwk(), Signer::eddsa("b").jwk()]).unwrap();
        assert!(one.find(None, Algorithm::ES256).is_some());
        assert!(one.find(None, Algorithm::RS256).is_none());
        let two = set(&[Signer::es256("a").jwk(), Signer::es256("b").jwk()]).unwrap();
        assert!(two.find(None, Algorithm::ES256).is_none());
    }

    #[test]
    fn what_a_set_says_of_a_key_holds() {
        let key = Signer::rsa("a").jwk();
        let stated = set(&[with(key.clone(), "alg", json!("RS256"))]).unwrap();
        assert!(stated.find(Some("a"), Algorithm::RS256).is_some());
        assert!(stated.find(Some("a"), Algorithm::PS256).is_none());
        for usable in [with(key.clone(), "use", json!("sig")), with(key.clone(), "key_ops", json!(["verify"]))] {
            assert!(set(&[usable]).is_ok());
        }
        for unusable in [
            with(key.clone(), "use", json!("enc")),
            with(key.clone(), "key_ops", json!(["encrypt"])),
            with(key.clone(), "alg", json!("ES256")),
            with(key.clone(), "alg", json!("RSA-OAEP")),
            with(key.clone(), "kty", json!("AKP")),
            with(key.clone(), "n", json!("AQAB")),
            with(key, "kid", json!(7)),
            with(Signer::es256("a").jwk(), "crv", json!("P-384")),
            with(Signer::es256("a").jwk(), "x", json!("AQAB")),
            with(Signer::eddsa("a").jwk(), "x", json!("not base64!")),
            json!({ "kty": "oct", "kid": "a", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "alg": "HS256" }),
            json!("a key"),
        ] {
            assert_eq!(set(std::slice::from_ref(&unusable)), Err(Error::NoKey), "{unusable}");
            let beside = set(&[unusable, Signer::es256("b").jwk()]).unwrap();
            assert_eq!(beside.kids(), ["b"], "it does no harm to others");
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in ["", "{}", "[]", "null", r#"{"keys":{}}"#, "<html>"] {
            assert_eq!(KeySet::parse(text.as_bytes()), Err(Error::NoSet), "{text}");
        }
        assert_eq!(set(&[]), Err(Error::NoKey));
    }

    #[test]
    fn a_set_with_another_key_is_another_set() {
        let [a, b] = [Signer::es256("a"), Signer::es256("b")].map(|signer| signer.jwk());
        assert_eq!(set(std::slice::from_ref(&a)), set(std::slice::from_ref(&a)));
        assert_ne!(set(std::slice::from_ref(&a)), set(std::slice::from_ref(&b)));
        assert_ne!(set(std::slice::from_ref(&a)), set(&[a, b]));
    }
}
