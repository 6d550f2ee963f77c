//! What a command prints. Reports go to standard output, everything else (progress, warnings, errors) to standard
//! error; with `--json` a report is exactly one JSON value, so that other programs can read it.
//!
//! Invariant: colours are for terminals only. `anstream` takes them out elsewhere, and where `NO_COLOR` is set.

use std::io::IsTerminal as _;

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::failure::Failure;

pub const GOOD: Style = AnsiColor::Green.on_default().bold();
pub const BAD: Style = AnsiColor::Red.on_default().bold();
pub const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub const NAME: Style = AnsiColor::Cyan.on_default();
pub const FAINT: Style = Style::new().dimmed();

/// How the tool was asked to speak.
#[derive(Clone, Copy)]
pub struct Say {
    pub json: bool,
}

impl Say {
    /// Something that is being done, as cargo says it: a verb and what it is done to.
    pub fn step(self, verb: &str, what: impl std::fmt::Display) {
        eprintln!("{GOOD}{verb:>12}{GOOD:#} {what}");
    }

    /// Something that is not right and stops nothing.
    pub fn warn(self, what: impl std::fmt::Display) {
        eprintln!("{WARN}{:>12}{WARN:#} {what}", "warning");
    }

    /// Something that went wrong, while the command goes on.
    pub fn trouble(self, what: impl std::fmt::Display) {
        eprintln!("{BAD}{:>12}{BAD:#} {what}", "failed");
    }

    /// The command's result: as JSON if that was asked for, else for people.
    pub fn report(self, value: &impl Serialize, for_people: impl FnOnce()) {
        if self.json {
            println!("{}", json(value));
        } else {
            for_people();
        }
    }

    /// Why the command ends without it.
    pub fn failure(self, failure: &Failure) {
        if self.json {
            #[derive(Serialize)]
            struct Report<'a> {
                error: &'a str,
                kind: &'static str,
                #[serde(skip_serializing_if = "Option::is_none")]
                hint: Option<&'a str>,
            }
            let hint = failure.hint.as_deref();
            println!("{}", json(&Report { error: &failure.text, kind: failure.kind.name(), hint }));
        } else {
            eprintln!("{BAD}error{BAD:#}: {}", failure.text);
            if let Some(hint) = &failure.hint {
                eprintln!("{NAME} help{NAME:#}: {hint}");
            }
        }
    }

    /// Asks a question that has yes or no for an answer; without a terminal nobody is there to answer, which is `None`.
    pub fn confirm(self, question: &str) -> Option<bool> {
        if self.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        anstream::eprint!("{WARN}{question}{WARN:#} [y/N] ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

/// Our own values have texts as keys, so they can be written.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a report can be written as JSON")
}

/// A table for people: columns as wide as their longest entry, the first row in faint letters.
pub fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for (place, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let line = cells.join("  ");
        let line = line.trim_end();
        if place == 0 {
            println!("{FAINT}{line}{FAINT:#}");
        } else {
            println!("{line}");
        }
    }
}

/// A number of bytes for people.
pub fn bytes(count: u64) -> String {
    const KIB: f64 = 1_024.0;
    let count = count as f64;
    match count {
        _ if count < KIB => format!("{count} B"),
        _ if count < KIB * KIB => format!("{:.1} KiB", count / KIB),
        _ => format!("{:.1} MiB", count / KIB / KIB),
    }
}

/// A time since 1970 for people, by UTC.
pub fn utc(at_ms: u64) -> String {
    let (days, rest) = (at_ms / 86_400_000, at_ms % 86_400_000 / 1_000);
    let (year, month, day) = civil(days as i64);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// The date of a day since 1970-01-01, by Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>).
fn civil(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_827_696_000), "2000-02-29 12:34:56");
        assert_eq!(utc(1_767_225_599_999), "2025-12-31 23:59:59");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(bytes(17), "17 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(12 << 20), "12.0 MiB");
    }
}
