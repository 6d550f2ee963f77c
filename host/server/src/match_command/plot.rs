//! What replays have shown, drawn: how long users waited, and how the gaps of ratings go with that.
//!
//! Invariant: the drawing has a bounded size, however many searches there were.

use std::error::Error;
use std::ops::Range;

use anyhow::anyhow;
use plotters::coord::combinators::IntoLogRange as _;
use plotters::prelude::*;
use scenehost_core::matching::replay::{End, Report};

const SIZE: (u32, u32) = (1_200, 620);
/// So many points of a curve, and so many single games, are drawn of each report.
const STEPS: usize = 200;
const DOTS_MAX: usize = 1_500;
/// Shorter waits are drawn as this: the axis of waiting is logarithmic.
const WAIT_S_MIN: f64 = 0.1;
/// Games are put together whose waits are within this factor, for the mean of their gaps.
const BAND: f64 = 1.6;
/// With fewer games in a band no mean is drawn.
const BAND_GAMES_MIN: usize = 10;
/// A blue and an orange that those who do not see all colours tell apart, too (Okabe and Ito, 2008).
const COLORS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0)];

/// A game as one of its searches saw it.
struct Dot {
    wait_s: f64,
    gap: f64,
}

/// The drawing as SVG, of one or two reports with their names.
pub fn draw(reports: &[(&str, &Report)]) -> anyhow::Result<String> {
    let mut svg = String::new();
    draw_to(&mut svg, reports).map_err(|error| anyhow!("{error}"))?;
    Ok(svg)
}

fn draw_to(svg: &mut String, reports: &[(&str, &Report)]) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let domain = reports.first().map_or("", |(_, report)| report.domain.as_str());
    let area = area.titled(&format!("Replay of {domain}"), ("sans-serif", 22))?;
    let (left, right) = area.split_horizontally((SIZE.0 / 2) as i32);
    let longest = reports.iter().map(|(_, report)| report.all.longest_wait_ms as f64 / 1e3).fold(1.0, f64::max);
    let waits = WAIT_S_MIN..longest.max(10.0 * WAIT_S_MIN);
    draw_waits(&left, reports, waits.clone())?;
    draw_gaps(&right, reports, waits)?;
    area.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Which part of all searches had a match after so much waiting.
fn draw_waits(area: &Area<'_>, reports: &[(&str, &Report)], waits: Range<f64>) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption("Searches with a match within so long", ("sans-serif", 16))
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(waits.clone().log_scale(), 0.0..100.0)?;
    chart
        .configure_mesh()
        .x_desc("seconds, logarithmic")
        .y_desc("% of all searches")
        .x_label_formatter(&|seconds| seconds_text(*seconds))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for ((name, report), color) in reports.iter().zip(COLORS) {
        let mut sorted: Vec<f64> = dots(report).map(|dot| dot.wait_s).collect();
        sorted.sort_by(f64::total_cmp);
        let searches = report.all.searches.max(1) as f64;
        let factor = (waits.end / waits.start).powf(1.0 / STEPS as f64);
        let point = |step: usize| {
            let wait_s = waits.start * factor.powi(step as i32);
            (wait_s, 100.0 * sorted.partition_point(|it| *it <= wait_s) as f64 / searches)
        };
        chart
            .draw_series(LineSeries::new((0..=STEPS).map(point), color.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

/// The gap of each game, and the mean gap of those that were waited for about as long.
fn draw_gaps(area: &Area<'_>, reports: &[(&str, &Report)], waits: Range<f64>) -> Result<(), Box<dyn Error>> {
    let highest = reports.iter().map(|(_, report)| report.all.spread.p99).fold(1.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption("Rating gap of the games by waiting: single ones, and the mean", ("sans-serif", 16))
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(waits.log_scale(), 0.0..highest)?;
    chart
        .configure_mesh()
        .x_desc("seconds waited, logarithmic")
        .y_desc("points of rating, up to 99 % of the games")
        .x_label_formatter(&|seconds| seconds_text(*seconds))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for ((_, report), color) in reports.iter().zip(COLORS) {
        let every = (report.all.matched as usize).div_ceil(DOTS_MAX).max(1);
        let shown = dots(report).step_by(every).filter(|dot| dot.gap <= highest);
        chart.draw_series(shown.map(|dot| Circle::new((dot.wait_s, dot.gap), 2, color.mix(0.2).filled())))?;
        chart.draw_series(LineSeries::new(means(report), color.stroke_width(2)))?;
    }
    Ok(())
}

fn dots(report: &Report) -> impl Iterator<Item = Dot> {
    report.samples.iter().filter_map(|sample| match sample.end {
        End::Matched { spread, .. } => {
            Some(Dot { wait_s: (sample.wait_ms as f64 / 1e3).max(WAIT_S_MIN), gap: f64::from(spread) })
        }
        _ => None,
    })
}

/// The mean gap by waiting.
fn means(report: &Report) -> Vec<(f64, f64)> {
    let mut bands = std::collections::BTreeMap::<i32, (usize, f64, f64)>::new();
    for dot in dots(report) {
        let band = ((dot.wait_s / WAIT_S_MIN).ln() / BAND.ln()) as i32;
        let (count, wait, gap) = bands.entry(band).or_default();
        *count += 1;
        *wait += dot.wait_s;
        *gap += dot.gap;
    }
    let many = bands.into_values().filter(|(count, ..)| *count >= BAND_GAMES_MIN);
    many.map(|(count, wait, gap)| (wait / count as f64, gap / count as f64)).collect()
}

fn seconds_text(seconds: f64) -> String {
    if seconds < 1.0 { format!("{seconds:.1}") } else { format!("{seconds:.0}") }
}
