//! A recorded stream: the searches of one domain as they came to its handler, a line of JSON each.
//!
//! Invariant: a stream has no names, and its numbers of users are pseudonyms; what was read is in the order of time.
//!
//! The first line says what it is, `{"match_stream":1,"domain":"duel"}`, and so does each further file of one
//! recording. Each other line is something that happened at a moment, in milliseconds since 1970:
//! `{"at_ms":5,"enter":{"ticket":7,"seekers":[{"user":"000000000000002a","rating":1512}]}}` or
//! `{"at_ms":9,"cancel":{"ticket":7,"user":"000000000000002a"}}`.
//!
//! A name that is not known is refused, as of a file that was written by hand: to pass over something that a search had
//! would be to replay another one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{DomainName, Time, UserId};
use crate::matching::{Event, Seeker, Wish};
use crate::refusal::Refusal;

/// The version that is written and read.
pub const VERSION: u32 = 1;
/// The most lines of a stream; they are all in memory.
pub const LINES_MAX: usize = 5_000_000;
/// The longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 1_024 * 1_024;

/// Why something cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No line at all.
    #[error("the stream is empty: set record = true in its domain, and let some users search")]
    Empty,
    /// The first line is something else.
    #[error("this is no recorded stream: its first line is not {{\"match_stream\":{VERSION},\"domain\":\"…\"}}")]
    NoStream,
    /// Of a version that this host does not know.
    #[error("the stream has version {0}, and this host reads version {VERSION}: use the host that recorded it")]
    Version(u32),
    /// A line that cannot be read.
    #[error("line {line} of the stream is not right: {what}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A line that is earlier than the one before.
    #[error("line {line} of the stream is earlier than the one before it: give the files in the order of their times")]
    Backwards {
        /// Which, from 1.
        line: usize,
    },
    /// A header in the middle that is of another domain.
    #[error("line {line} of the stream begins a recording of {domain}: replay one domain at a time")]
    Mixed {
        /// Which, from 1.
        line: usize,
        /// Of which domain it is.
        domain: DomainName,
    },
    /// More than can be held.
    #[error("the stream has more than {LINES_MAX} lines: replay fewer files at a time")]
    TooLong,
    /// A configuration that cannot work.
    #[error("the domain's configuration is not right: {0}")]
    Domain(String),
}

/// A whole stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The domain that it was recorded in.
    pub domain: DomainName,
    /// What happened, in the order of time.
    pub lines: Vec<Line>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawLine", into = "RawLine")]
pub struct Line {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    pub happened: Happened,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A search began.
    Enter(Enter),
    /// A search was taken back.
    Cancel(Cancel),
    /// A user who searches has lost the connection, or is back.
    Here(Here),
}

/// A search begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enter {
    /// The search's number.
    pub ticket: u64,
    /// Who: one, or a party.
    pub seekers: Vec<Seek>,
}

/// A search is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// The search's number.
    pub ticket: u64,
    /// By whom.
    pub user: Someone,
}

/// A user who searches has lost the connection, or is back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Here {
    /// The search's number.
    pub ticket: u64,
    /// Who.
    pub user: Someone,
    /// Whether the user is here.
    pub here: bool,
}

/// One of those who search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seek {
    /// Who.
    pub user: Someone,
    /// The rating in the domain.
    pub rating: i32,
    /// With whom the user will not play.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<Someone>,
    /// See [`Wish::has`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub has: BTreeMap<String, Vec<String>>,
    /// See [`Wish::wants`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub wants: BTreeMap<String, Vec<String>>,
    /// See [`Wish::round_trips`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub round_trips: BTreeMap<String, u16>,
    /// See [`Wish::roles`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// See [`Wish::opponents`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opponents: Vec<Someone>,
    /// How many games the user has played in the domain.
    #[serde(default)]
    pub games: u32,
}

/// A user's pseudonym, 16 hexadecimal digits: a number of 64 bits is not safe in every reader of JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Someone(pub UserId);

impl TryFrom<String> for Someone {
    type Error = crate::ids::NoId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<Someone> for String {
    fn from(someone: Someone) -> Self {
        someone.0.to_string()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    match_stream: u32,
    domain: DomainName,
}

/// A line as it is written: exactly one of the things that happen.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLine {
    at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enter: Option<Enter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancel: Option<Cancel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    here: Option<Here>,
}

impl TryFrom<RawLine> for Line {
    type Error = &'static str;

    fn try_from(raw: RawLine) -> Result<Self, &'static str> {
        let happened = match (raw.enter, raw.cancel, raw.here) {
            (Some(enter), None, None) if enter.seekers.is_empty() => return Err("enter needs one of seekers at least"),
            (Some(enter), None, None) => Happened::Enter(enter),
            (None, Some(cancel), None) => Happened::Cancel(cancel),
            (None, None, Some(here)) => Happened::Here(here),
            _ => return Err("a line has exactly one of enter, cancel and here"),
        };
        Ok(Self { at_ms: raw.at_ms, happened })
    }
}

impl From<Line> for RawLine {
    fn from(line: Line) -> Self {
        let raw = Self { at_ms: line.at_ms, enter: None, cancel: None, here: None };
        match line.happened {
            Happened::Enter(enter) => Self { enter: Some(enter), ..raw },
            Happened::Cancel(cancel) => Self { cancel: Some(cancel), ..raw },
            Happened::Here(here) => Self { here: Some(here), ..raw },
        }
    }
}

impl Seek {
    /// What is recorded of one who searches.
    fn of(seeker: &Seeker, pseudonym: &dyn Fn(UserId) -> UserId) -> Self {
        let someone = |user: &UserId| Someone(pseudonym(*user));
        let Wish { has, wants, round_trips, roles, opponents } = seeker.wish.clone();
        Self {
            user: someone(&seeker.user),
            rating: seeker.rating,
            blocked: seeker.blocked.iter().map(someone).collect(),
            has,
            wants,
            round_trips,
            roles,
            opponents: opponents.iter().map(someone).collect(),
            games: seeker.games,
        }
    }

    fn seeker(&self) -> Seeker {
        let users = |these: &[Someone]| these.iter().map(|someone| someone.0).collect();
        Seeker {
            user: self.user.0,
            name: String::new(),
            rating: self.rating,
            games: self.games,
            blocked: users(&self.blocked),
            wish: Wish {
                has: self.has.clone(),
                wants: self.wants.clone(),
                round_trips: self.round_trips.clone(),
                roles: self.roles.clone(),
                opponents: users(&self.opponents),
            },
        }
    }
}

impl Happened {
    /// What the handler is told of it.
    pub fn event(&self) -> Event {
        match self {
            Self::Enter(enter) => {
                let seekers = enter.seekers.iter().map(Seek::seeker).collect();
                Event::ReqMatch { ticket: enter.ticket, seekers, waited_ms: 0, away: <_>::default() }
            }
            Self::Cancel(cancel) => Event::ReqCancelMatch {
                user: cancel.user.0,
                ticket: cancel.ticket,
                others: Refusal::SearchStopped(String::new()),
            },
            Self::Here(here) => Event::SynHere { user: here.user.0, ticket: here.ticket, here: here.here },
        }
    }
}

impl Line {
    /// What is recorded of an event that a handler is told, with the pseudonyms of its users; nothing of those that
    /// the host itself brings about.
    pub fn of(event: &Event, now: Time, pseudonym: &dyn Fn(UserId) -> UserId) -> Option<Self> {
        let someone = |user: &UserId| Someone(pseudonym(*user));
        let happened = match event {
            Event::ReqMatch { ticket, seekers, .. } => {
                let seek = |seeker: &Seeker| Seek::of(seeker, pseudonym);
                Happened::Enter(Enter { ticket: *ticket, seekers: seekers.iter().map(seek).collect() })
            }
            Event::ReqCancelMatch { user, ticket, .. } => {
                Happened::Cancel(Cancel { ticket: *ticket, user: someone(user) })
            }
            Event::SynHere { user, ticket, here } => {
                Happened::Here(Here { ticket: *ticket, user: someone(user), here: *here })
            }
            _ => return None,
        };
        Some(Self { at_ms: now.0, happened })
    }

    /// The line as text, without its end.
    pub fn text(&self) -> String {
        json(self)
    }
}

fn json(value: &impl Serialize) -> String {
    // Plain data with texts as keys can always be written.
    serde_json::to_string(value).unwrap_or_default()
}

impl Stream {
    /// The first line of a stream, without its end.
    pub fn header(domain: &DomainName) -> String {
        json(&Header { match_stream: VERSION, domain: domain.clone() })
    }

    /// Reads a stream, or several that follow each other. Empty lines count for nothing.
    ///
    /// # Errors
    /// All of [`Error`] but [`Error::Domain`].
    pub fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Self, Error> {
        let mut lines = lines.zip(1..).filter(|(text, _)| !text.trim().is_empty());
        let (first, _) = lines.next().ok_or(Error::Empty)?;
        let header = header(first).ok_or(Error::NoStream)?;
        let mut stream = Self { domain: readable(header)?, lines: Vec::new() };
        for (text, line) in lines {
            stream.add(text, line)?;
        }
        Ok(stream)
    }

    /// Adds what was recorded after this.
    ///
    /// # Errors
    /// [`Error::Mixed`], [`Error::Backwards`] and [`Error::TooLong`], of the lines of the other one.
    pub fn append(&mut self, later: Self) -> Result<(), Error> {
        if later.domain != self.domain {
            return Err(Error::Mixed { line: 1, domain: later.domain });
        }
        if let (Some(last), Some(next)) = (self.lines.last(), later.lines.first())
            && last.at_ms > next.at_ms
        {
            return Err(Error::Backwards { line: 2 });
        }
        if self.lines.len() + later.lines.len() > LINES_MAX {
            return Err(Error::TooLong);
        }
        self.lines.extend(later.lines);
        Ok(())
    }

    fn add(&mut self, text: &str, line: usize) -> Result<(), Error> {
        if let Some(header) = header(text) {
            let domain = readable(header)?;
            return if domain == self.domain { Ok(()) } else { Err(Error::Mixed { line, domain }) };
        }
        if text.len() > LINE_BYTES_MAX {
            return Err(Error::Line { line, what: format!("it is longer than {LINE_BYTES_MAX} bytes") });
        }
        let next: Line = serde_json::from_str(text).map_err(|error| Error::Line { line, what: error.to_string() })?;
        if self.lines.last().is_some_and(|last| last.at_ms > next.at_ms) {
            return Err(Error::Backwards { line });
        }
        if self.lines.len() == LINES_MAX {
            return Err(Error::TooLong);
        }
        self.lines.push(next);
        Ok(())
    }
}

fn header(text: &str) -> Option<Header> {
    text.starts_with("{\"match_stream\"").then(|| serde_json::from_str(text).ok()).flatten()
}

fn readable(header: Header) -> Result<DomainName, Error> {
    if header.match_stream == VERSION { Ok(header.domain) } else { Err(Error::Version(header.match_stream)) }
}
