//! When a domain takes searches: hours of days of the week.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

use crate::ids::Time;

const DAY_MIN: u32 = 24 * 60;

/// Hours in which searches are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// On which days they begin; without any: on all.
    #[serde(default)]
    pub days: Vec<Day>,
    /// When they begin, as `18:00`.
    pub from: Clock,
    /// When they end, as `23:30`; `24:00` is midnight. If that is not after `from` it is on the next day.
    pub to: Clock,
    /// How far the clock is ahead of UTC, in minutes; summer time is not known here.
    #[serde(default)]
    pub utc_offset_min: i32,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the days need none")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A time of day in minutes from midnight, 0 to 1440, written `18:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Clock(u32);

impl TryFrom<String> for Clock {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_two = |digits: &str| digits.len() == 2 && digits.bytes().all(|it| it.is_ascii_digit());
        let two = |digits: &str| is_two(digits).then(|| digits.parse::<u32>().ok()).flatten();
        let parts = text.split_once(':').and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)));
        match parts {
            Some((hour, minute)) if minute < 60 && hour * 60 + minute <= DAY_MIN => Ok(Self(hour * 60 + minute)),
            _ => Err(format!("{text:?} is no time of day: write 00:00 to 24:00")),
        }
    }
}

impl From<Clock> for String {
    fn from(clock: Clock) -> Self {
        format!("{:02}:{:02}", clock.0 / 60, clock.0 % 60)
    }
}

impl Hours {
    /// What is wrong with them, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.from.0 >= DAY_MIN {
            return Err("open.from is 24:00: write 00:00 of the next day".to_owned());
        }
        if !(-14 * 60..=14 * 60).contains(&self.utc_offset_min) {
            return Err(format!("open.utc_offset_min is {}: use -840 to 840", self.utc_offset_min));
        }
        Ok(())
    }

    fn begins_on(&self, day: Weekday) -> bool {
        let days = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];
        self.days.is_empty() || self.days.contains(&days[usize::from(day.to_monday_zero_offset().unsigned_abs() % 7)])
    }

    /// How long the hours last.
    fn minutes(&self) -> u32 {
        if self.to.0 > self.from.0 { self.to.0 - self.from.0 } else { self.to.0 + DAY_MIN - self.from.0 }
    }

    /// The minutes until these hours begin, 0 if they are on.
    fn minutes_until(&self, at: Time) -> u32 {
        let offset = Offset::from_seconds(self.utc_offset_min * 60).unwrap_or(Offset::UTC);
        let timestamp = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let here = timestamp.unwrap_or(Timestamp::MAX).to_zoned(TimeZone::fixed(offset));
        let minute = here.hour() as u32 * 60 + here.minute() as u32;
        let (today, yesterday) = (here.weekday(), here.weekday().previous());
        let on_today = self.begins_on(today) && (self.from.0..self.from.0 + self.minutes()).contains(&minute);
        let since_yesterday = self.begins_on(yesterday) && minute + DAY_MIN < self.from.0 + self.minutes();
        if on_today || since_yesterday {
            return 0;
        }
        let mut day = today;
        for days in 0..=7 {
            if self.begins_on(day) && days * DAY_MIN + self.from.0 > minute {
                return days * DAY_MIN + self.from.0 - minute;
            }
            day = day.next();
        }
        8 * DAY_MIN
    }
}

/// When the next of these hours begin, to the minute; `None`: some are on, or there are none, which is always.
pub fn opens(hours: &[Hours], at: Time) -> Option<Time> {
    let minutes = hours.iter().map(|hours| hours.minutes_until(at)).min()?;
    let this_minute = at.0 - at.0 % 60_000;
    (minutes > 0).then(|| Time(this_minute).plus_ms(u64::from(minutes) * 60_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(days: &[Day], from: &str, to: &str, utc_offset_min: i32) -> Hours {
        let clock = |text: &str| Clock::try_from(text.to_owned()).unwrap();
        Hours { days: days.to_vec(), from: clock(from), to: clock(to), utc_offset_min }
    }

    fn at(text: &str) -> Time {
        Time(text.parse::<Timestamp>().unwrap().as_millisecond() as u64)
    }

    #[test]
    fn an_evening_is_open_and_the_next_one_is_told() {
        // 2026-11-25 is a Wednesday.
        let evenings = [hours(&[Day::Wed, Day::Fri], "18:00", "23:30", 0)];
        assert_eq!(opens(&evenings, at("2026-11-25T17:59:59Z")), Some(at("2026-11-25T18:00:00Z")));
        assert_eq!(opens(&evenings, at("2026-11-25T18:00:00Z")), None);
        assert_eq!(opens(&evenings, at("2026-11-25T23:29:59Z")), None);
        assert_eq!(opens(&evenings, at("2026-11-25T23:30:00Z")), Some(at("2026-11-27T18:00:00Z")));
        assert_eq!(opens(&[], at("2026-11-25T23:30:00Z")), None, "without hours always");
    }

    #[test]
    fn a_night_goes_on_after_midnight_and_clocks_may_be_elsewhere() {
        let night = [hours(&[Day::Sat], "22:00", "02:00", 0)];
        assert_eq!(opens(&night, at("2026-11-29T01:59:00Z")), None, "Sunday");
        assert_eq!(opens(&night, at("2026-11-29T02:00:00Z")), Some(at("2026-12-05T22:00:00Z")));
        let seoul = [hours(&[], "09:00", "24:00", 540)];
        assert_eq!(opens(&seoul, at("2026-11-24T23:59:00Z")), Some(at("2026-11-25T00:00:00Z")));
        assert_eq!(opens(&seoul, at("2026-11-25T14:59:00Z")), None);
        assert_eq!(opens(&seoul, at("2026-11-25T15:00:00Z")), Some(at("2026-11-26T00:00:00Z")));
        let whole_days = [hours(&[], "00:00", "24:00", 0)];
        assert_eq!(opens(&whole_days, at("2026-11-25T00:00:00Z")), None);
    }

    #[test]
    fn what_is_no_time_of_day_is_refused() {
        for wrong in ["", "18", "18:60", "24:01", "1:00", "+1:00", "18:00:00", "ab:cd"] {
            assert!(Clock::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
