//! A sign-in provider: an OpenID Connect issuer whose ID tokens are accepted, and where its keys are.
//!
//! Invariant: keys come over TLS, from this machine, or from a file; a forged key would make its
//! maker any user.

use std::path::PathBuf;

use reqwest::Url;
use serde::Deserialize;

use crate::id_tokens;

/// How many client ids a provider may have here.
const AUDIENCES_MAX: usize = 32;
/// The longest issuer, and the longest client id.
const TEXT_BYTES_MAX: usize = 512;
/// The limits of `jwks_max_age_ms`; the keys are kept for a day when they cannot be renewed.
const MAX_AGE_MS: std::ops::RangeInclusive<u64> = 1_000..=12 * 3_600_000;
const MAX_AGE_MS_DEFAULT: u64 = 3_600_000;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Who makes the tokens, exactly as they say it in `iss`.
    pub issuer: String,
    /// For whom they are made: the game's client ids at the issuer. One, or a list.
    #[serde(deserialize_with = "one_or_many")]
    pub audience: Vec<String>,
    /// Where the issuer publishes its keys. Either this or `jwks_file`.
    pub jwks_url: Option<String>,
    /// A file with the issuer's keys, which is read again when it has changed.
    pub jwks_file: Option<PathBuf>,
    /// How old keys from `jwks_url` may become before they are fetched again; an hour unless set.
    pub jwks_max_age_ms: Option<u64>,
}

/// Where keys come from, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysFrom {
    Url { url: Url, max_age_ms: u64 },
    File(PathBuf),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "audience is a client id or a list of client ids")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

impl Provider {
    /// What is wrong with it, if anything; a file of keys is read for that.
    pub fn check(&self) -> Result<(), String> {
        secure_url("issuer", &self.issuer)?;
        if !(1..=AUDIENCES_MAX).contains(&self.audience.len()) {
            return Err(format!(
                "audience needs the game's client id at the issuer, or a list of 1 to {AUDIENCES_MAX}"
            ));
        }
        if self.audience.iter().any(|id| id.is_empty() || id.len() > TEXT_BYTES_MAX) {
            return Err(format!("audience needs client ids of 1 to {TEXT_BYTES_MAX} bytes"));
        }
        match self.keys_from()? {
            KeysFrom::Url { .. } => Ok(()),
            KeysFrom::File(path) => match id_tokens::read_keys(&path) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("jwks_file {}: {error}", path.display())),
            },
        }
    }

    /// Where its keys come from.
    pub fn keys_from(&self) -> Result<KeysFrom, String> {
        match (&self.jwks_url, &self.jwks_file, self.jwks_max_age_ms) {
            (Some(url), None, max_age_ms) => {
                let max_age_ms = max_age_ms.unwrap_or(MAX_AGE_MS_DEFAULT);
                if !MAX_AGE_MS.contains(&max_age_ms) {
                    let (least, most) = MAX_AGE_MS.into_inner();
                    return Err(format!("jwks_max_age_ms is {max_age_ms}: it has to be from {least} to {most}"));
                }
                Ok(KeysFrom::Url { url: secure_url("jwks_url", url)?, max_age_ms })
            }
            (None, Some(path), None) => Ok(KeysFrom::File(path.clone())),
            (None, Some(_), Some(_)) => {
                Err("jwks_max_age_ms is for jwks_url; jwks_file is read again when it has changed: leave it out"
                    .to_owned())
            }
            (None, None, _) => Err("it needs jwks_url or jwks_file: where the issuer's keys are".to_owned()),
            (Some(_), Some(_), _) => Err("it has jwks_url and jwks_file: keep one of them".to_owned()),
        }
    }
}

/// A URL by https, or by http on this machine.
fn secure_url(setting: &str, text: &str) -> Result<Url, String> {
    let wrong = |what: &str| Err(format!("{setting} {text:?} {what}"));
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("{setting} has more than {TEXT_BYTES_MAX} bytes"));
    }
    let Ok(url) = Url::parse(text) else {
        return wrong("is no URL: it needs the form https://host/path");
    };
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return wrong("has a user, a password or a fragment: leave it out");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => wrong("has to begin with https:// (http:// only on this machine, such as http://127.0.0.1)"),
    }
}

/// Whether a URL stays on this machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
