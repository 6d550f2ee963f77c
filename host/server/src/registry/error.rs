//! What can come of a call about plugins, beside what was wanted. The texts are for operators and designers.

use std::path::PathBuf;

use scenehost_engine::{Digest, Rejected, scratch};

use crate::{domains, fleets, store};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error(transparent)]
    Scratch(#[from] scratch::Fault),
    #[error("{0}")]
    Wrong(String),
    #[error("the plugin {plugin:?} is {is}, and this is {uploaded}: upload it under a name of its own")]
    OtherKind { plugin: String, is: &'static str, uploaded: &'static str },
    #[error("there is no plugin named {0:?} in the registry: upload a version of it first")]
    UnknownPlugin(String),
    #[error("the plugin {plugin:?} has no version {version}")]
    UnknownVersion { plugin: String, version: u32 },
    #[error("no other version of {0:?} was active before")]
    NoneBefore(String),
    #[error("version {version} is in quarantine ({reason}): upload a better one, or release it first")]
    Quarantined { version: u32, reason: String },
    #[error("version {version} is not in quarantine")]
    NotQuarantined { version: u32 },
    #[error("{plugin:?} was changed on another node at the same time: look at what it is now, and try again")]
    Outdated { plugin: String },
    #[error("version {version} is in use: {why}")]
    InUse { version: u32, why: String },
    #[error("{what}: remove versions that are not used any more")]
    Full { what: String },
    #[error("as many uploads as may be are being looked at: try again in some seconds")]
    Busy,
    #[error(
        "the component has more than {bytes_max} bytes: build it in release mode, strip its debug information, and keep \
         assets out of it; or an operator raises [plugins] upload_bytes_max"
    )]
    TooLarge { bytes_max: usize },
    #[error("the component was not there whole after {s} s")]
    TooSlow { s: u64 },
    #[error("the upload was cut off: {0}")]
    CutOff(String),
    #[error(
        "uploads to this host have to be signed: send x-scenehost-publisher with a name of [plugins] publishers, and \
         x-scenehost-signature with its ed25519 signature of the component's SHA-256, in base64"
    )]
    Unsigned,
    #[error("there is no publisher named {0:?}: an operator adds the key to [plugins] publishers")]
    UnknownPublisher(String),
    #[error(
        "the signature is not that of {0:?} for this component: it signs the 32 bytes of the SHA-256, and is sent in \
         base64"
    )]
    BadSignature(String),
    #[error(
        "the stored component {path} is damaged ({what}): put the file with the SHA-256 {digest} back, or upload the same \
         component again"
    )]
    Damaged { path: PathBuf, digest: Digest, what: String },
    #[error("the folder of plugins, {path}: {cause}")]
    Files { path: PathBuf, cause: std::io::Error },
    #[error("the threads that compile uploads cannot be started: {0}")]
    Threads(String),
    #[error(transparent)]
    Fleets(#[from] fleets::Error),
    #[error(transparent)]
    Domains(#[from] domains::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the work was given up: the host is stopping")]
    Stopping,
}

impl Error {
    pub fn unknown_version(plugin: &str, version: u32) -> Self {
        Self::UnknownVersion { plugin: plugin.to_owned(), version }
    }

    /// A short name for clients and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Rejected(rejected) => rejected.kind(),
            Self::Scratch(fault) => fault.kind(),
            Self::Wrong(_) => "wrong",
            Self::OtherKind { .. } => "other_kind",
            Self::UnknownPlugin(_) | Self::UnknownVersion { .. } => "not_found",
            Self::NoneBefore(_) => "none_before",
            Self::Quarantined { .. } => "quarantined",
            Self::NotQuarantined { .. } => "not_quarantined",
            Self::InUse { .. } => "in_use",
            Self::Outdated { .. } => "outdated",
            Self::Full { .. } => "full",
            Self::Busy => "busy",
            Self::TooLarge { .. } => "too_large",
            Self::TooSlow { .. } => "too_slow",
            Self::CutOff(_) => "malformed",
            Self::Unsigned => "unsigned",
            Self::UnknownPublisher(_) => "unknown_publisher",
            Self::BadSignature(_) => "bad_signature",
            Self::Damaged { .. } => "damaged",
            Self::Fleets(_) | Self::Domains(_) => "not_usable",
            Self::Files { .. } | Self::Store(_) => "storage",
            Self::Threads(_) => "threads",
            Self::Stopping => "stopping",
        }
    }
}
