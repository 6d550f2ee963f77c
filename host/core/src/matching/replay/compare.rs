//! Reports as text, for a terminal of 120 columns: one by itself, or two side by side.

use std::fmt::Write as _;

use super::report::{Measures, Report};

/// A row: what it shows, of some measures; `None` where there is nothing to show.
type Row = (&'static str, fn(&Measures) -> Option<String>);

const ROWS: [Row; 22] = [
    ("searches", |it| Some(it.searches.to_string())),
    ("matched", |it| part(it.matched, it.searches)),
    ("cancelled", |it| part(it.cancelled, it.searches)),
    ("waited in vain", |it| part(it.starved, it.searches)),
    ("refused or replaced", |it| part(it.refused, it.searches)),
    ("met again within 10 min", |it| part(it.rematches, it.matched)),
    ("wait, mean", |it| seconds(it, it.wait_ms.mean)),
    ("wait, p50", |it| seconds(it, it.wait_ms.p50)),
    ("wait, p95", |it| seconds(it, it.wait_ms.p95)),
    ("wait, p99", |it| seconds(it, it.wait_ms.p99)),
    ("wait, longest of all", |it| (it.searches > 0).then(|| format!("{:.2} s", it.longest_wait_ms as f64 / 1e3))),
    ("rating gap, mean", |it| points(it, it.spread.mean)),
    ("rating gap, p50", |it| points(it, it.spread.p50)),
    ("rating gap, p95", |it| points(it, it.spread.p95)),
    ("rating gap, p99", |it| points(it, it.spread.p99)),
    ("gap of the sides, mean", |it| points(it, it.team_gap.mean)),
    ("gap of the sides, p95", |it| points(it, it.team_gap.p95)),
    ("chance from one half, mean", |it| chance(it, it.unfairness.mean)),
    ("chance from one half, p50", |it| chance(it, it.unfairness.p50)),
    ("chance from one half, p95", |it| chance(it, it.unfairness.p95)),
    ("round trip, p50", |it| trip(it.round_trip_ms.p50)),
    ("round trip, p95", |it| trip(it.round_trip_ms.p95)),
];

fn part(count: u64, of: u64) -> Option<String> {
    (of > 0).then(|| format!("{count} ({:.1} %)", 100.0 * count as f64 / of as f64))
}

fn seconds(measures: &Measures, ms: f64) -> Option<String> {
    (measures.matched > 0).then(|| format!("{:.2} s", ms / 1e3))
}

fn points(measures: &Measures, points: f64) -> Option<String> {
    (measures.matched > 0).then(|| format!("{points:.1}"))
}

fn chance(measures: &Measures, chance: f64) -> Option<String> {
    (measures.matched > 0).then(|| format!("{chance:.3}"))
}

fn trip(ms: f64) -> Option<String> {
    (ms > 0.0).then(|| format!("{ms:.0} ms"))
}

/// The reports side by side, each with its name as the head of its column: what was measured of all searches, then a
/// table of each kind of groups. They are of one stream, so their groups are nearly the same; one that is only in one
/// of them has a line of its own.
pub fn compare(reports: &[(&str, &Report)]) -> String {
    let mut text = String::new();
    line(&mut text, "", reports.iter().map(|(name, _)| (*name).to_owned()));
    line(&mut text, "games", reports.iter().map(|(_, report)| report.games.to_string()));
    for (what, show) in ROWS {
        let cells = reports.iter().map(|(_, report)| show(&report.all).unwrap_or_else(|| "-".to_owned()));
        line(&mut text, what, cells);
    }
    for by in kinds(reports) {
        groups(&mut text, by, reports);
    }
    text
}

fn line(text: &mut String, what: &str, cells: impl Iterator<Item = String>) {
    let _ = write!(text, "{what:28}");
    cells.for_each(|cell| _ = write!(text, "{cell:>22}"));
    text.push('\n');
}

/// By what the searches are told apart.
fn kinds(reports: &[(&str, &Report)]) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    for group in reports.iter().flat_map(|(_, report)| &report.groups) {
        if !kinds.contains(&group.by) {
            kinds.push(group.by);
        }
    }
    kinds
}

fn groups(text: &mut String, by: &str, reports: &[(&str, &Report)]) {
    let _ = writeln!(
        text,
        "\nby {by:25}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "searches", "p50 s", "p95 s", "p99 s", "gap", "sides", "chance", "in vain", "again"
    );
    let mut names: Vec<&str> = Vec::new();
    for group in reports.iter().flat_map(|(_, report)| &report.groups).filter(|group| group.by == by) {
        if !names.contains(&group.name.as_str()) {
            names.push(&group.name);
        }
    }
    for name in names {
        for (of, report) in reports {
            let found = report.groups.iter().find(|group| group.by == by && group.name == name);
            if let Some(group) = found {
                let of = if reports.len() > 1 { *of } else { "" };
                group_line(text, &format!("{name} {of}"), &group.measures);
            }
        }
    }
}

fn group_line(text: &mut String, what: &str, it: &Measures) {
    let of_matched = |value: f64, digits: usize| match it.matched {
        0 => "-".to_owned(),
        _ => format!("{value:.digits$}"),
    };
    let percent = |count: u64, of: u64| match of {
        0 => "-".to_owned(),
        _ => format!("{:.1} %", 100.0 * count as f64 / of as f64),
    };
    let cells = [
        it.searches.to_string(),
        of_matched(it.wait_ms.p50 / 1e3, 2),
        of_matched(it.wait_ms.p95 / 1e3, 2),
        of_matched(it.wait_ms.p99 / 1e3, 2),
        of_matched(it.spread.mean, 1),
        of_matched(it.team_gap.mean, 1),
        of_matched(it.unfairness.mean, 3),
        percent(it.starved, it.searches),
        percent(it.rematches, it.matched),
    ];
    let _ = write!(text, "{what:28}");
    cells.iter().for_each(|cell| _ = write!(text, "{cell:>9}"));
    text.push('\n');
}
