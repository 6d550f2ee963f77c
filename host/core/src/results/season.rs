//! The seasons of a leaderboard: when it begins anew, by the calendar of UTC.
//!
//! Invariant: each moment belongs to exactly one season, and where a season ends the next begins.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::Time;

/// How often a leaderboard begins anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reset {
    /// Not at all: there is one season.
    #[default]
    Never,
    /// At midnight.
    Daily,
    /// At the midnight that begins Monday.
    Weekly,
    /// At the midnight that begins the first of the month.
    Monthly,
}

/// One season.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Season {
    /// `all`, `2026-11-25`, `2026-W48` (weeks as ISO 8601 counts them) or `2026-11`. The names of one
    /// [`Reset`] sort as their seasons follow each other.
    pub name: String,
    /// Its first millisecond. Nothing is before 1970, so the week in which it began is shorter.
    pub begins: Time,
    /// The first millisecond of the next one; none if there is no next one: if it never ends, or at
    /// the calendar's last season, in the year 9999.
    pub ends: Option<Time>,
}

impl Reset {
    /// The season of a moment. Moments after the calendar's end belong to its last season.
    pub fn season(self, at: Time) -> Season {
        let date = date_of(at);
        let (name, first, length) = match self {
            Self::Never => return Season { name: "all".to_owned(), begins: Time(0), ends: None },
            Self::Daily => (date.to_string(), date, Span::new().days(1)),
            Self::Weekly => {
                let week = date.iso_week_date();
                let since_monday = Span::new().days(date.weekday().to_monday_zero_offset());
                let monday = date.checked_sub(since_monday).unwrap_or(date);
                (format!("{:04}-W{:02}", week.year(), week.week()), monday, Span::new().weeks(1))
            }
            Self::Monthly => {
                let name = format!("{:04}-{:02}", date.year(), date.month());
                (name, date.first_of_month(), Span::new().months(1))
            }
        };
        let ends = first.checked_add(length).ok().and_then(midnight);
        Season { name, begins: midnight(first).unwrap_or_default(), ends }
    }
}

fn date_of(at: Time) -> Date {
    let timestamp = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    timestamp.unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC).date()
}

/// The moment at which a day begins; none for one before 1970 or outside of the calendar.
fn midnight(date: Date) -> Option<Time> {
    let zoned = date.to_zoned(TimeZone::UTC).ok()?;
    u64::try_from(zoned.timestamp().as_millisecond()).ok().map(Time)
}
