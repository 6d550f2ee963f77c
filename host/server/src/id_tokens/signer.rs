//! An issuer's private key, for the tests here.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::Value;

#[derive(Clone)]
pub struct Signer {
    kid: String,
    algorithm: Algorithm,
    private: EncodingKey,
    public: DecodingKey,
}

impl Signer {
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

    pub fn rsa(kid: &str) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key");
        // PKCS #8 of 2048 bits has what is wanted, PKCS #1, after a head of 26 bytes.
        let private = EncodingKey::from_rsa_der(&key.serialized_der()[26..]);
        let public = DecodingKey::from_rsa_der(key.public_key_raw());
        Self { kid: kid.to_owned(), algorithm: Algorithm::RS256, private, public }
    }

    /// The same key by another name.
    pub fn named(&self, kid: &str) -> Self {
        Self { kid: kid.to_owned(), ..self.clone() }
    }

    /// The public key, as the issuer publishes it: without its algorithm.
    pub fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_decoding_key(&self.public, None).expect("a key");
        jwk.common.key_id = Some(self.kid.clone());
        serde_json::to_value(jwk).expect("JSON")
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with_head(claims, |_| {})
    }

    pub fn sign_with_head(&self, claims: &Value, change: impl FnOnce(&mut Header)) -> String {
        let mut head = Header { kid: Some(self.kid.clone()), ..Header::new(self.algorithm) };
        change(&mut head);
        jsonwebtoken::encode(&head, claims, &self.private).expect("it can be signed")
    }

    /// What a forger makes of the public key.
    pub fn hmac_by_public_key(&self, claims: &Value) -> String {
        let head = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::HS256) };
        let key = EncodingKey::from_secret(self.jwk().to_string().as_bytes());
        jsonwebtoken::encode(&head, claims, &key).expect("it can be signed")
    }
}
