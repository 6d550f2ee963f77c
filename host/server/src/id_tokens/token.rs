//! An ID token (OpenID Connect Core 1.0, section 2): a signed JWT, checked against an issuer's keys.
//!
//! Invariant: before its signature is right, a token decides only which of the issuer's keys it is
//! checked with. What it brings along (`jwk`, `jku`, `x5c`) is never looked at.

use jsonwebtoken::{Algorithm, Validation};
use scenehost_core::Time;
use scenehost_core::auth::identity::IdentityKey;
use serde::Deserialize;

use super::keys::KeySet;

/// What a token may be signed with. Nothing that needs a shared secret: whoever can check it could
/// make it.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
/// How far the clocks of the issuer and of this host may be apart.
const LEEWAY_S: f64 = 60.0;
/// How much of a foreign text goes to the log.
const SHOWN_CHARS_MAX: usize = 100;

/// What the tokens of a provider have to say.
#[derive(Debug, Clone)]
pub struct Expected {
    pub issuer: String,
    pub audience: Vec<String>,
}

/// Why a token is not accepted, for the operator's log; the user is not told.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("it is no JWT signed by an algorithm that is known here")]
    Unreadable,
    #[error("{0:?} is no algorithm for ID tokens: it needs a public key")]
    Algorithm(Algorithm),
    #[error("its head has typ {0:?}: it is another kind of token")]
    Kind(String),
    #[error("its head has crit: it wants something that is not known here")]
    Critical,
    #[error("the issuer has no key {kid} for {algorithm:?}")]
    UnknownKey { kid: String, algorithm: Algorithm },
    #[error("its signature is wrong")]
    Signature,
    #[error("its claims lack one of iss, sub, aud, exp and iat, or one has the wrong type")]
    Claims,
    #[error("it is by the issuer {0:?}, which is not the configured one")]
    Issuer(String),
    #[error("it is for {0:?}: audience does not allow that")]
    Audience(String),
    #[error("it expired {0} s ago")]
    Expired(u64),
    #[error("it is good only in {0} s")]
    NotYet(u64),
    #[error("its subject is empty or too long")]
    Subject,
}

/// A token whose head has been read, and nothing been checked.
pub struct Unchecked<'a> {
    token: &'a str,
    algorithm: Algorithm,
    kid: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    /// Seconds since 1970, as all of them; fractions are allowed.
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl<'a> Unchecked<'a> {
    /// Reads the head, and refuses what no key could make right.
    pub fn read(token: &'a str) -> Result<Self, Wrong> {
        let head = jsonwebtoken::decode_header(token).map_err(|_| Wrong::Unreadable)?;
        if !ALGORITHMS.contains(&head.alg) {
            return Err(Wrong::Algorithm(head.alg));
        }
        // An access token or a logout token of the same issuer is signed by the same keys.
        if let Some(typ) = head.typ.filter(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(Wrong::Kind(shown(&typ)));
        }
        // Who does not understand all that crit names has to refuse (RFC 7515, section 4.1.11).
        if head.crit.is_some() {
            return Err(Wrong::Critical);
        }
        Ok(Self { token, algorithm: head.alg, kid: head.kid })
    }

    /// Whose token it is.
    pub fn check(&self, keys: &KeySet, expected: &Expected, now: Time) -> Result<IdentityKey, Wrong> {
        let key = keys.find(self.kid.as_deref(), self.algorithm).ok_or_else(|| self.unknown_key())?;
        let decoded = jsonwebtoken::decode::<Claims>(self.token, key, &signature_only(self.algorithm));
        let claims = decoded.map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::Json(_) => Wrong::Claims,
            // The only key may have been replaced by one without a name.
            _ if self.kid.is_none() => self.unknown_key(),
            _ => Wrong::Signature,
        })?;
        claims.claims.check(expected, now)
    }

    fn unknown_key(&self) -> Wrong {
        let kid = self.kid.as_deref().map_or_else(|| "(kid not named)".to_owned(), |kid| format!("{:?}", shown(kid)));
        Wrong::UnknownKey { kid, algorithm: self.algorithm }
    }
}

/// The library looks at the signature only: what the claims have to say is checked here, by the
/// host's clock and strictly.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

impl Claims {
    fn check(&self, expected: &Expected, now: Time) -> Result<IdentityKey, Wrong> {
        if self.iss != expected.issuer {
            return Err(Wrong::Issuer(shown(&self.iss)));
        }
        self.check_audience(expected)?;
        self.check_time(now)?;
        IdentityKey::oidc(&self.iss, &self.sub).map_err(|_| Wrong::Subject)
    }

    /// All of the audience has to be ours: others who get the token could sign in with it here
    /// (OpenID Connect Core 1.0, section 3.1.3.7).
    fn check_audience(&self, expected: &Expected) -> Result<(), Wrong> {
        let audience = match &self.aud {
            Audience::One(one) => std::slice::from_ref(one),
            Audience::Many(many) => many,
        };
        if audience.is_empty() {
            return Err(Wrong::Audience(String::new()));
        }
        match audience.iter().find(|one| !expected.audience.contains(one)) {
            Some(foreign) => Err(Wrong::Audience(shown(foreign))),
            None => Ok(()),
        }
    }

    fn check_time(&self, now: Time) -> Result<(), Wrong> {
        let now_s = now.0 as f64 / 1_000.0;
        let over_s = now_s - self.exp;
        if over_s >= LEEWAY_S {
            return Err(Wrong::Expired(over_s as u64));
        }
        let early_s = self.iat.max(self.nbf.unwrap_or(self.iat)) - now_s;
        if early_s > LEEWAY_S {
            return Err(Wrong::NotYet(early_s as u64));
        }
        Ok(())
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::id_tokens::signer::Signer;

    const NOW_S: u64 = 1_800_000_000;

    fn claims() -> Value {
        json!({ "iss": "https://issuer.test", "sub": "ada", "aud": "game", "exp": NOW_S + 600, "iat": NOW_S - 5 })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    fn without(name: &str) -> Value {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        claims
    }

    fn keys(signers: &[&Signer]) -> KeySet {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    fn check(token: &str, keys: &KeySet) -> Result<IdentityKey, Wrong> {
        let audience = vec!["game".to_owned(), "game-on-phones".to_owned()];
        let expected = Expected { issuer: "https://issuer.test".to_owned(), audience };
        Unchecked::read(token)?.check(keys, &expected, Time(NOW_S * 1_000))
    }

    /// What becomes of these claims, rightly signed.
    fn check_claims(claims: &Value) -> Result<IdentityKey, Wrong> {
        let signer = Signer::es256("a");
        check(&signer.sign(claims), &keys(&[&signer]))
    }

    fn ada() -> Result<IdentityKey, Wrong> {
        Ok(IdentityKey::oidc("https://issuer.test", "ada").unwrap())
    }

    #[test]
    fn a_token_by_any_kind_of_key_names_its_subject() {
        let signers = [Signer::es256("a"), Signer::eddsa("b"), Signer::rsa("c")];
        let keys = keys(&signers.each_ref());
        for signer in &signers {
            assert_eq!(check(&signer.sign(&claims()), &keys), ada());
        }
        assert_ne!(check(&signers[0].sign(&with("sub", json!("grace"))), &keys), ada());
    }

    #[test]
    fn another_signature_is_refused() {
        let (signer, forger) = (Signer::es256("a"), Signer::es256("a"));
        let keys = keys(&[&signer, &Signer::rsa("b")]);
        assert_eq!(check(&forger.sign(&claims()), &keys), Err(Wrong::Signature));
        let [good, other] = [signer.sign(&claims()), signer.sign(&with("sub", json!("grace")))];
        let (said, _) = good.rsplit_once('.').unwrap();
        let (_, signature) = other.rsplit_once('.').unwrap();
        assert_eq!(check(&format!("{said}.{signature}"), &keys), Err(Wrong::Signature));
        assert_eq!(check(&format!("{said}."), &keys), Err(Wrong::Signature));
        assert!(matches!(check(&signer.named("b").sign(&claims()), &keys), Err(Wrong::UnknownKey { .. })));
    }

    #[test]
    fn a_token_that_does_not_name_its_key_is_checked_with_the_only_one_that_fits() {
        let signer = Signer::es256("a");
        let token = signer.sign_with_head(&claims(), |head| head.kid = None);
        assert_eq!(check(&token, &keys(&[&signer, &Signer::eddsa("b")])), ada());
        for others in
            [keys(&[&Signer::es256("a")]), keys(&[&signer, &Signer::es256("b")]), keys(&[&Signer::eddsa("b")])]
        {
            assert!(matches!(check(&token, &others), Err(Wrong::UnknownKey { .. })), "{:?}", others.kids());
        }
    }

    #[test]
    fn algorithms_without_a_public_key_are_refused() {
        let signer = Signer::rsa("a");
        let keys = keys(&[&signer]);
        // The public key is known to everybody: as the secret of an HMAC it would open every account.
        assert_eq!(check(&signer.hmac_by_public_key(&claims()), &keys), Err(Wrong::Algorithm(Algorithm::HS256)));
        let good = signer.sign(&claims());
        let said = good.split('.').nth(1).unwrap();
        let none = "eyJhbGciOiJub25lIiwia2lkIjoiYSJ9"; // {"alg":"none","kid":"a"}
        for token in [format!("{none}.{said}."), format!("{none}.{said}.{}", good.rsplit_once('.').unwrap().1)] {
            assert_eq!(check(&token, &keys), Err(Wrong::Unreadable));
        }
    }

    #[test]
    fn other_kinds_of_tokens_are_refused() {
        let signer = Signer::es256("a");
        let keys = keys(&[&signer]);
        for typ in [None, Some("JWT"), Some("jwt")] {
            let token = signer.sign_with_head(&claims(), |head| head.typ = typ.map(str::to_owned));
            assert_eq!(check(&token, &keys), ada(), "{typ:?}");
        }
        for typ in ["at+jwt", "logout+jwt", ""] {
            let token = signer.sign_with_head(&claims(), |head| head.typ = Some(typ.to_owned()));
            assert_eq!(check(&token, &keys), Err(Wrong::Kind(typ.to_owned())));
        }
        let token = signer.sign_with_head(&claims(), |head| head.crit = Some(vec!["exp".to_owned()]));
        assert_eq!(check(&token, &keys), Err(Wrong::Critical));
        for text in ["", ".", "..", "...", "a.b.c", "e30.e30.e30", "ä.ö.ü", &"x".repeat(12_288)] {
            assert_eq!(check(text, &keys), Err(Wrong::Unreadable), "{text}");
        }
    }

    #[test]
    fn a_key_that_a_token_brings_along_is_not_used() {
        let forger = Signer::es256("a");
        let jwk = serde_json::from_value(forger.jwk()).unwrap();
        let token = forger.sign_with_head(&claims(), |head| head.jwk = Some(jwk));
        assert_eq!(check(&token, &keys(&[&Signer::es256("a")])), Err(Wrong::Signature));
    }

    #[test]
    fn the_claims_have_to_be_there() {
        for name in ["iss", "sub", "aud", "exp", "iat"] {
            assert_eq!(check_claims(&without(name)), Err(Wrong::Claims), "{name}");
        }
        for (name, value) in [
            ("iss", json!(["https://issuer.test"])),
            ("sub", json!(7)),
            ("aud", json!(7)),
            ("exp", json!("1800000600")),
        ] {
            assert_eq!(check_claims(&with(name, value)), Err(Wrong::Claims), "{name}");
        }
        assert_eq!(check_claims(&json!([])), Err(Wrong::Claims));
    }

    #[test]
    fn issuer_audience_and_subject_have_to_be_right() {
        for issuer in ["https://issuer.test/", "https://ISSUER.test", ""] {
            assert_eq!(check_claims(&with("iss", json!(issuer))), Err(Wrong::Issuer(issuer.to_owned())));
        }
        for audience in [json!("game-on-phones"), json!(["game"]), json!(["game", "game-on-phones"])] {
            assert_eq!(check_claims(&with("aud", audience)), ada());
        }
        for (audience, foreign) in [
            (json!("another-game"), "another-game"),
            (json!(["game", "another-game"]), "another-game"),
            (json!([]), ""),
        ] {
            assert_eq!(check_claims(&with("aud", audience)), Err(Wrong::Audience(foreign.to_owned())));
        }
        assert!(check_claims(&with("sub", json!("x".repeat(256)))).is_ok());
        for subject in [String::new(), "x".repeat(257)] {
            assert_eq!(check_claims(&with("sub", json!(subject))), Err(Wrong::Subject));
        }
    }

    #[test]
    fn time_has_to_be_right_up_to_a_minute() {
        for (name, seconds) in [("exp", NOW_S - 59), ("iat", NOW_S + 60), ("nbf", NOW_S + 60), ("nbf", 0)] {
            assert_eq!(check_claims(&with(name, json!(seconds))), ada(), "{name} {seconds}");
        }
        assert_eq!(check_claims(&with("exp", json!(NOW_S as f64 - 59.5))), ada());
        assert_eq!(check_claims(&with("exp", json!(NOW_S - 60))), Err(Wrong::Expired(60)));
        assert_eq!(check_claims(&with("exp", json!(-1.0))), Err(Wrong::Expired(NOW_S + 1)));
        for name in ["iat", "nbf"] {
            assert_eq!(check_claims(&with(name, json!(NOW_S + 61))), Err(Wrong::NotYet(61)), "{name}");
        }
    }
}
