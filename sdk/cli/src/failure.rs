//! Why a command did not do what it was asked for, with what to do about it, and its exit code.

use std::fmt;
use std::io;
use std::path::Path;

/// Whose turn it is after a failure. The codes are part of the tool's interface; `scenectl --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The thing asked for failed: a build, a test, a check.
    Failed,
    /// The command was used in a wrong way, or its project is not right.
    Usage,
    /// The host cannot be reached or refuses.
    Host,
}

impl Kind {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Host => 3,
        }
    }

    /// Its name in `--json`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Failed => "failed",
            Kind::Usage => "usage",
            Kind::Host => "host",
        }
    }
}

/// A command's failure.
#[derive(Debug)]
pub struct Failure {
    pub kind: Kind,
    pub text: String,
    /// What the user can do now.
    pub hint: Option<String>,
    /// The command's own report has told it already.
    pub told: bool,
}

/// What a command gives.
pub type Done<T = ()> = Result<T, Failure>;

impl Failure {
    /// The thing asked for failed.
    pub fn failed(text: impl fmt::Display) -> Failure {
        Failure { kind: Kind::Failed, text: text.to_string(), hint: None, told: false }
    }

    /// It was asked for in a wrong way.
    pub fn usage(text: impl fmt::Display) -> Failure {
        Failure { kind: Kind::Usage, text: text.to_string(), hint: None, told: false }
    }

    /// The host is not there or says no.
    pub fn host(text: impl fmt::Display) -> Failure {
        Failure { kind: Kind::Host, text: text.to_string(), hint: None, told: false }
    }

    /// The same, with what to do.
    pub fn hint(self, hint: impl fmt::Display) -> Failure {
        Failure { hint: Some(hint.to_string()), ..self }
    }

    /// The same, when it needs not be told any more.
    pub fn told(self) -> Failure {
        Failure { told: true, ..self }
    }

    /// A file or folder that cannot be read or written.
    pub fn file(path: &Path) -> impl Fn(io::Error) -> Failure {
        move |error| Failure::failed(format_args!("{}: {error}", path.display()))
    }
}

/// Something of the system, of which its own text says enough.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::failed(error)
    }
}
