//! How good and how soon matches are: searches with real ratings and real round trips go through the handler of a
//! domain as it is by default, and beside that stands the best that could have been done with the same searches at the
//! same mean wait.
//!
//! - `arrivals.rs`: the searches. `optimum.rs`: the best, in two senses. `line.rs`, `blossom.rs`: how it is found.

pub mod arrivals;
mod blossom;
mod line;
mod optimum;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use scenehost_core::config::Domain;
use scenehost_core::matching::domain::Ping;
use scenehost_core::matching::replay::{self, Measures, Quantiles};
use serde::Serialize;

use crate::report::{self, Machine};
use arrivals::{Arrival, REGIONS, Real, real_ratings, real_round_trips};
use optimum::Point;

/// How many searches come in a second, and the name of that in a figure.
const RATES: [(f64, &str); 4] = [(0.2, "0_2"), (1.0, "1"), (5.0, "5"), (25.0, "25")];
const SEARCHES: usize = 4_000;
const SEARCHES_QUICK: usize = 400;

/// One rate with one domain.
#[derive(Serialize)]
struct Row {
    per_s: f64,
    ping: bool,
    searches: u64,
    matched: u64,
    starved: u64,
    wait_s: Spread,
    gap: Spread,
    unfairness_mean: f64,
    round_trip_ms: Option<Spread>,
    /// The mean gaps of the optima at the same mean wait.
    windows_gap: f64,
    hindsight_gap: f64,
    gap_ratio: f64,
    gap_to_hindsight: f64,
}

#[derive(Serialize)]
struct Spread {
    mean: f64,
    p50: f64,
    p95: f64,
    p99: f64,
}

impl Spread {
    fn of(quantiles: Quantiles, unit: f64) -> Self {
        let Quantiles { mean, p50, p95, p99, .. } = quantiles;
        Self { mean: mean / unit, p50: p50 / unit, p95: p95 / unit, p99: p99 / unit }
    }
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    rows: Vec<Row>,
    figures: BTreeMap<String, f64>,
}

/// Measures, prints, and writes `match-quality.json`.
pub fn run(quick: bool, out: &Path) -> Result<PathBuf> {
    report::print_machine();
    let machine = report::machine()?;
    let real = Real { ratings: real_ratings()?, round_trips: real_round_trips()? };
    let count = if quick { SEARCHES_QUICK } else { SEARCHES };
    println!("{HEADER}");
    let mut rows = Vec::new();
    let mut figures = BTreeMap::new();
    for ping in [false, true] {
        for (per_s, name) in RATES {
            let row = measure(&real, ping, per_s, count)?;
            print(&row);
            let kind = if ping { "ping_" } else { "" };
            figures.insert(format!("gap_ratio_{kind}{name}"), row.gap_ratio);
            figures.insert(format!("gap_to_hindsight_{kind}{name}"), row.gap_to_hindsight);
            figures.insert(format!("wait_p50_s_{kind}{name}"), row.wait_s.p50);
            figures.insert(format!("wait_p99_s_{kind}{name}"), row.wait_s.p99);
            rows.push(row);
        }
    }
    let worst = rows.iter().map(|row| row.gap_ratio).fold(0.0, f64::max);
    figures.insert("gap_ratio_max".to_owned(), worst);
    println!("  gap_ratio_max {worst:.2}");
    let file = out.join("match-quality.json");
    report::write(&Report { machine, rows, figures }, &file)?;
    Ok(file)
}

/// A domain for two as it is by default; with `ping` its scenes run in six regions, of which those within 80 ms count, or
/// the nearest. That does not change with waiting, so the optima have the very same limits.
fn domain(ping: bool) -> Domain {
    let regions = Ping {
        regions: REGIONS.iter().map(|region| (*region).to_owned()).collect(),
        ms: 80,
        after_ms: None,
        ms_per_s: 0,
        ms_max: 80,
    };
    Domain { ping: ping.then_some(regions), ..Domain::new("duel".into(), 2, 2) }
}

/// Searches, and what the handler makes of them.
fn replayed(real: &Real, ping: bool, per_s: f64, count: usize) -> Result<(Vec<Arrival>, Measures)> {
    let domain = domain(ping);
    let arrivals = arrivals::arrivals(real, &domain, count, per_s, &mut ChaCha20Rng::seed_from_u64(1));
    let stream = arrivals::stream(&arrivals, real);
    let report = replay::replay(&stream, &domain, None, &mut ChaCha20Rng::seed_from_u64(2), &mut |_| {})?;
    Ok((arrivals, report.all))
}

fn measure(real: &Real, ping: bool, per_s: f64, count: usize) -> Result<Row> {
    let (arrivals, all) = replayed(real, ping, per_s, count)?;
    let Point { gap: windows_gap, .. } = optimum::windows_at(&arrivals, all.wait_ms.mean);
    let Point { gap: hindsight_gap, .. } = optimum::hindsight_at(&arrivals, all.wait_ms.mean);
    Ok(Row {
        per_s,
        ping,
        searches: all.searches,
        matched: all.matched,
        starved: all.starved,
        wait_s: Spread::of(all.wait_ms, 1e3),
        gap: Spread::of(all.spread, 1.0),
        unfairness_mean: all.unfairness.mean,
        round_trip_ms: ping.then(|| Spread::of(all.round_trip_ms, 1.0)),
        windows_gap,
        hindsight_gap,
        gap_ratio: all.spread.mean / windows_gap,
        gap_to_hindsight: all.spread.mean / hindsight_gap,
    })
}

const HEADER: &str = "  a second        wait s: mean    p50    p95    p99   in vain   gap: mean    p95   windows  ratio   \
                      hindsight  ratio   round trip p50    p95 ms";

fn print(row: &Row) {
    let trips = row.round_trip_ms.as_ref();
    println!(
        "  {:8} {:5}         {:6.2} {:6.2} {:6.2} {:6.2}  {:8}      {:6.1} {:6.0}    {:6.1} {:6.2}      {:6.1} {:6.2}   {}",
        row.per_s,
        if row.ping { "ping" } else { "" },
        row.wait_s.mean,
        row.wait_s.p50,
        row.wait_s.p95,
        row.wait_s.p99,
        row.starved,
        row.gap.mean,
        row.gap.p95,
        row.windows_gap,
        row.gap_ratio,
        row.hindsight_gap,
        row.gap_to_hindsight,
        trips.map_or_else(String::new, |trips| format!("        {:6.0} {:6.0}", trips.p50, trips.p95)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real() -> Result<Real> {
        Ok(Real { ratings: real_ratings()?, round_trips: real_round_trips()? })
    }

    #[test]
    fn games_are_as_close_as_the_best_that_knows_no_more() -> Result<()> {
        let real = real()?;
        assert_eq!((real.ratings.len(), real.round_trips.len()), (2 * 6_028, 490));
        for ping in [false, true] {
            for (per_s, _) in RATES {
                let (arrivals, all) = replayed(&real, ping, per_s, 1_000)?;
                let ratio = all.spread.mean / optimum::windows_at(&arrivals, all.wait_ms.mean).gap;
                assert!(ratio <= 1.25, "{per_s} a second, ping {ping}: {ratio}");
                assert!(all.matched >= 950, "{per_s} a second, ping {ping}: {} of 1000", all.matched);
            }
        }
        Ok(())
    }

    #[test]
    fn nobody_does_better_than_hindsight() -> Result<()> {
        let real = real()?;
        for ping in [false, true] {
            let row = measure(&real, ping, 1.0, 200)?;
            assert!(row.gap_to_hindsight >= 1.0, "ping {ping}: {}", row.gap_to_hindsight);
            assert!(row.windows_gap >= row.hindsight_gap, "ping {ping}: {} {}", row.windows_gap, row.hindsight_gap);
        }
        Ok(())
    }
}
