//! When a leaderboard begins anew.

use proptest::prelude::*;
use scenehost_core::Time;
use scenehost_core::results::season::{Reset, Season};

const CALENDAR: [Reset; 3] = [Reset::Daily, Reset::Weekly, Reset::Monthly];
const DAY_MS: u64 = 86_400_000;
/// Beyond the calendar's end, in the year 9999.
const BEYOND: u64 = 253_402_300_800_000;

fn time(text: &str) -> Time {
    let timestamp: jiff::Timestamp = text.parse().expect("a moment of the test");
    Time(timestamp.as_millisecond() as u64)
}

#[track_caller]
fn check(reset: Reset, at: &str, name: &str, begins: &str, ends: &str) {
    let expected = Season { name: name.to_owned(), begins: time(begins), ends: Some(time(ends)) };
    assert_eq!(reset.season(time(at)), expected, "{reset:?} at {at}");
}

#[test]
fn a_day_is_a_day_of_utc() {
    check(Reset::Daily, "2026-11-25T23:59:59.999Z", "2026-11-25", "2026-11-25T00:00Z", "2026-11-26T00:00Z");
    check(Reset::Daily, "2026-11-26T00:00:00Z", "2026-11-26", "2026-11-26T00:00Z", "2026-11-27T00:00Z");
    check(Reset::Daily, "2028-02-29T12:00:00Z", "2028-02-29", "2028-02-29T00:00Z", "2028-03-01T00:00Z");
    check(Reset::Daily, "2026-12-31T12:00:00Z", "2026-12-31", "2026-12-31T00:00Z", "2027-01-01T00:00Z");
}

#[test]
fn a_week_begins_on_monday_and_may_be_of_two_years() {
    check(Reset::Weekly, "2026-11-25T12:00:00Z", "2026-W48", "2026-11-23T00:00Z", "2026-11-30T00:00Z");
    check(Reset::Weekly, "2026-11-23T00:00:00Z", "2026-W48", "2026-11-23T00:00Z", "2026-11-30T00:00Z");
    check(Reset::Weekly, "2026-11-22T23:59:59.999Z", "2026-W47", "2026-11-16T00:00Z", "2026-11-23T00:00Z");
    check(Reset::Weekly, "2027-01-01T00:00:00Z", "2026-W53", "2026-12-28T00:00Z", "2027-01-04T00:00Z");
    check(Reset::Weekly, "2024-12-30T00:00:00Z", "2025-W01", "2024-12-30T00:00Z", "2025-01-06T00:00Z");
    check(Reset::Weekly, "2028-02-29T00:00:00Z", "2028-W09", "2028-02-28T00:00Z", "2028-03-06T00:00Z");
}

#[test]
fn a_month_is_as_long_as_it_is() {
    check(Reset::Monthly, "2028-02-29T23:59:59.999Z", "2028-02", "2028-02-01T00:00Z", "2028-03-01T00:00Z");
    check(Reset::Monthly, "2027-02-28T23:59:59.999Z", "2027-02", "2027-02-01T00:00Z", "2027-03-01T00:00Z");
    check(Reset::Monthly, "2100-02-28T12:00:00Z", "2100-02", "2100-02-01T00:00Z", "2100-03-01T00:00Z");
    check(Reset::Monthly, "2026-12-31T23:59:59.999Z", "2026-12", "2026-12-01T00:00Z", "2027-01-01T00:00Z");
    check(Reset::Monthly, "2026-11-30T00:00:00Z", "2026-11", "2026-11-01T00:00Z", "2026-12-01T00:00Z");
}

#[test]
fn a_board_without_reset_has_one_season() {
    for at in [0, time("2026-11-25T12:00:00Z").0, u64::MAX] {
        let season = Reset::Never.season(Time(at));
        assert_eq!(season, Season { name: "all".to_owned(), begins: Time(0), ends: None });
    }
}

#[test]
fn the_first_week_is_shorter_and_the_last_seasons_do_not_end() {
    let first = Reset::Weekly.season(Time(0));
    assert_eq!(first, Season { name: "1970-W01".to_owned(), begins: Time(0), ends: Some(Time(4 * DAY_MS)) });
    for (reset, name) in CALENDAR.into_iter().zip(["9999-12-30", "9999-W52", "9999-12"]) {
        let last = reset.season(Time(BEYOND));
        assert_eq!((last.name.as_str(), last.ends), (name, None));
        assert_eq!(reset.season(Time(u64::MAX)), last);
        assert_eq!(reset.season(last.begins), last);
        assert_ne!(reset.season(Time(last.begins.0 - 1)), last);
    }
}

#[test]
fn a_reset_is_read_from_its_name() {
    for (text, reset) in ["never", "daily", "weekly", "monthly"].into_iter().zip([
        Reset::Never,
        Reset::Daily,
        Reset::Weekly,
        Reset::Monthly,
    ]) {
        assert_eq!(serde_json::from_value::<Reset>(text.into()).expect("a reset"), reset);
    }
    assert!(serde_json::from_value::<Reset>("yearly".into()).is_err());
}

proptest! {
    #[test]
    fn each_moment_is_in_one_season_and_the_next_begins_where_it_ends(at in 0..BEYOND + DAY_MS) {
        for reset in CALENDAR {
            let season = reset.season(Time(at));
            prop_assert!(season.begins <= Time(at));
            prop_assert_eq!(&reset.season(season.begins), &season);
            if let Some(ends) = season.ends {
                prop_assert!(Time(at) < ends);
                prop_assert_eq!(&reset.season(Time(ends.0 - 1)), &season);
                let next = reset.season(ends);
                prop_assert_eq!(next.begins, ends);
                prop_assert!(season.name < next.name, "{} is before {}", season.name, next.name);
            }
            if season.begins > Time(0) {
                prop_assert_eq!(reset.season(Time(season.begins.0 - 1)).ends, Some(season.begins));
            }
        }
    }
}
