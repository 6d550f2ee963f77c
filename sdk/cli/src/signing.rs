//! Publishers' keys: ed25519, of which a host knows the public part, by the publisher's name.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::failure::{Done, Failure};

/// A publisher's key.
pub struct Key(Ed25519KeyPair);

impl Key {
    /// Draws one, and writes it to a file that only its owner reads: PKCS #8 in base64.
    ///
    /// # Errors
    /// When the file is there already or cannot be written.
    pub fn generate(path: &Path) -> Done<Key> {
        let key = Ed25519KeyPair::generate().map_err(|_| Failure::failed("no key could be drawn"))?;
        let der = key.to_pkcs8().map_err(|_| Failure::failed("the key cannot be written"))?;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
            let failure = Failure::usage(format_args!("{}: {error}", path.display()));
            failure.hint("name a file that is not there yet; a key is never overwritten")
        })?;
        writeln!(file, "{}", STANDARD.encode(der.as_ref())).map_err(Failure::file(path))?;
        Ok(Key(key))
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(path: &Path) -> Done<Key> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())))?;
        let der = STANDARD.decode(text.trim()).ok();
        let key = der.and_then(|der| Ed25519KeyPair::from_pkcs8(&der).ok());
        key.map(Key).ok_or_else(|| {
            let failure = Failure::usage(format_args!("{} is no key of a publisher", path.display()));
            failure.hint("`scenectl keygen FILE` makes one")
        })
    }

    /// What hosts know it by, in base64.
    pub fn public(&self) -> String {
        STANDARD.encode(self.0.public_key())
    }

    /// The signature of a component, in base64: over the 32 bytes of its SHA-256.
    pub fn sign(&self, component: &[u8]) -> String {
        STANDARD.encode(self.0.sign(digest(&SHA256, component).as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    #[test]
    fn a_key_that_was_written_signs_as_the_one_that_was_drawn() {
        let path = std::env::temp_dir().join(format!("scenectl-key-{}", std::process::id()));
        let drawn = Key::generate(&path).unwrap();
        let read = Key::read(&path).unwrap();
        assert!(Key::generate(&path).is_err(), "it is not overwritten");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read.public(), drawn.public());
        let public = STANDARD.decode(read.public()).unwrap();
        let signature = STANDARD.decode(read.sign(b"component")).unwrap();
        let signed = digest(&SHA256, b"component");
        UnparsedPublicKey::new(&ED25519, public).verify(signed.as_ref(), &signature).unwrap();
    }
}
