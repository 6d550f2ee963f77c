//! Signatures of uploads: ed25519 (RFC 8032) over the SHA-256 of the component.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use scenehost_engine::Digest;

use super::Error;
use crate::config::{self, Signatures};

/// Who has signed an upload, as the client says, and the signature in base64.
#[derive(Debug, Clone, Default)]
pub struct Signed {
    pub publisher: Option<String>,
    pub signature: Option<String>,
}

/// Those who may sign.
#[derive(Debug)]
pub struct Publishers {
    policy: Signatures,
    keys: BTreeMap<String, Vec<u8>>,
}

impl Publishers {
    /// # Errors
    /// A key that is none.
    pub fn new(plugins: &config::Plugins) -> Result<Self, Error> {
        Ok(Self { policy: plugins.signatures, keys: plugins.keys().map_err(Error::Wrong)? })
    }

    /// Who has signed a component; `None`: nobody, and nobody has to.
    ///
    /// # Errors
    /// Without a signature where there has to be one, and with one that is not right.
    pub fn check(&self, digest: Digest, signed: &Signed) -> Result<Option<String>, Error> {
        let (publisher, signature) = match (self.policy, &signed.publisher, &signed.signature) {
            (Signatures::Off, _, _) | (Signatures::Optional, None, None) => return Ok(None),
            (_, Some(publisher), Some(signature)) => (publisher, signature),
            _ => return Err(Error::Unsigned),
        };
        let key = self.keys.get(publisher).ok_or_else(|| Error::UnknownPublisher(publisher.clone()))?;
        let bad = || Error::BadSignature(publisher.clone());
        let signature = BASE64_STANDARD.decode(signature.trim()).map_err(|_| bad())?;
        UnparsedPublicKey::new(&ED25519, key).verify(&digest.0, &signature).map_err(|_| bad())?;
        Ok(Some(publisher.clone()))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    fn publishers(policy: Signatures) -> (Publishers, Ed25519KeyPair) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes are a seed");
        let keys = BTreeMap::from([("ada".to_owned(), pair.public_key().as_ref().to_vec())]);
        (Publishers { policy, keys }, pair)
    }

    fn signed(publisher: Option<&str>, signature: Option<String>) -> Signed {
        Signed { publisher: publisher.map(str::to_owned), signature }
    }

    #[test]
    fn only_the_publishers_own_signature_of_this_component_counts() {
        let (digest, other) = (Digest::of(b"a component"), Digest::of(b"another"));
        let (publishers, pair) = publishers(Signatures::Required);
        let sign = |digest: Digest| Some(BASE64_STANDARD.encode(pair.sign(&digest.0)));
        let check = |publisher, signature| {
            publishers.check(digest, &signed(publisher, signature)).map_err(|error| error.kind())
        };
        assert_eq!(check(Some("ada"), sign(digest)), Ok(Some("ada".to_owned())));
        assert_eq!(check(Some("ada"), sign(other)), Err("bad_signature"));
        assert_eq!(check(Some("ada"), Some("no base64!".to_owned())), Err("bad_signature"));
        assert_eq!(check(Some("eve"), sign(digest)), Err("unknown_publisher"));
        assert_eq!(check(Some("ada"), None), Err("unsigned"));
        assert_eq!(check(None, sign(digest)), Err("unsigned"));
        assert_eq!(check(None, None), Err("unsigned"));
    }

    #[test]
    fn where_signatures_are_optional_one_that_is_there_has_to_be_right() {
        let digest = Digest::of(b"a component");
        let (publishers, pair) = publishers(Signatures::Optional);
        let check = |signed: &Signed| publishers.check(digest, signed).map_err(|error| error.kind());
        assert_eq!(check(&Signed::default()), Ok(None));
        assert_eq!(check(&signed(Some("ada"), Some("AAAA".to_owned()))), Err("bad_signature"));
        let right = signed(Some("ada"), Some(BASE64_STANDARD.encode(pair.sign(&digest.0))));
        assert_eq!(check(&right), Ok(Some("ada".to_owned())));
    }

    #[test]
    fn where_they_are_off_they_are_not_looked_at() {
        let (publishers, _) = publishers(Signatures::Off);
        let wrong = signed(Some("eve"), Some("AAAA".to_owned()));
        assert_eq!(publishers.check(Digest::of(b"it"), &wrong).map_err(|error| error.kind()), Ok(None));
    }
}
