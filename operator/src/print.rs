//! Released windows on standard output: rows of a table for people, JSON lines for programs.

use std::fmt::Write as _;
use std::io::{self, Write};

use live::Live;
use tokio::sync::mpsc;

use crate::event::Event;
use crate::page;
use crate::release::report::FeederReport;

/// How released windows are written to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// A row a window, with a heading now and then.
    #[default]
    Table,
    /// The line of `totals.jsonl`.
    Json,
}

/// Rows between two headings.
const PAGE: usize = 40;

/// Writes every released window until the operator ends, and passes every event to the live page, if there is one. A closed
/// standard output is no error: the page and `totals.jsonl` go on.
pub async fn print(mut events: mpsc::UnboundedReceiver<Event>, output: Output, page: Option<Live>) {
    let mut rows = 0;
    while let Some(event) = events.recv().await {
        if let Some(page) = &page {
            page::enter(page, &event);
        }
        let Event::Released(report) = event else {
            continue;
        };
        let text = match output {
            Output::Json => format!("{}\n", serde_json::to_string(&*report).unwrap_or_default()),
            Output::Table if rows % PAGE == 0 => format!("{}\n{}\n", heading(), row(&report)),
            Output::Table => format!("{}\n", row(&report)),
        };
        rows += 1;
        let mut stdout = io::stdout().lock();
        if stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .is_err()
        {
            rows = 0;
        }
    }
}

fn heading() -> String {
    format!(
        "{:<20} {:<16} {:>4} {:>11} {:>12} {:>10} {:>9} {:>11} {:>5} {:>10}",
        "feeder",
        "window (UTC)",
        "part",
        "meters",
        "energy kWh",
        "mean kWh",
        "std kWh",
        "peak kW",
        "LF",
        "quantum Wh"
    )
}

/// One window: sums over its intervals, the peak with its time.
fn row(report: &FeederReport) -> String {
    let total_wh = report.total_wh() as f64;
    let mut line = format!(
        "{:<20} {:<16} {:>4} {:>11} {:>12.3} {:>10.3}",
        report.feeder,
        utc(report.window_start.0, "%Y-%m-%d %H:%M"),
        report.part.0,
        format!("{}/{}", report.meters, report.enrolled),
        total_wh / 1e3,
        mean_kwh(report),
    );
    let std = report.std_wh.as_deref().map_or_else(
        || "-".to_owned(),
        |std| {
            // The spread of one interval, averaged over the window: what "how different are homes" means at a glance.
            let there = std.iter().flatten();
            let mean =
                there.clone().map(|&wh| wh as f64).sum::<f64>() / there.count().max(1) as f64;
            format!("{:.3}", mean / 1e3)
        },
    );
    let load_factor = report
        .load_factor
        .map_or_else(|| "-".to_owned(), |factor| format!("{factor:.2}"));
    let peak = peak(report).unwrap_or_else(|| "-".to_owned());
    let _ = write!(
        line,
        " {std:>9} {peak:>11} {load_factor:>5} {:>10}",
        report.quantum_wh
    );
    let missing = report.missing;
    let _ = match (report.withheld_intervals, report.clamped.unwrap_or(0)) {
        (0, 0) if missing == 0 => Ok(()),
        (0, clamped) => write!(line, "  {clamped} clamped, {missing} missing"),
        (withheld, _) => write!(line, "  {missing} missing, {withheld} withheld intervals"),
    };
    if !report.rest.is_empty() {
        let _ = write!(line, "  rest of an area: {} feeders", report.rest.len());
    }
    line
}

/// Greatest power, and when its interval begins; none if the report shows no energy.
fn peak(report: &FeederReport) -> Option<String> {
    let interval_s = report.interval_s;
    let kw = report.peak_wh? as f64 * 3.6 / f64::from(interval_s);
    let at = report.window_start.0 + u64::from(report.peak_interval?) * u64::from(interval_s);
    Some(format!("{kw:.1}@{}", utc(at, "%H:%M")))
}

/// What a meter used in the window, on average over those that had readings.
fn mean_kwh(report: &FeederReport) -> f64 {
    report.mean_wh.iter().flatten().sum::<f64>() / 1e3
}

pub(crate) fn utc(seconds: u64, format: &str) -> String {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(
        || seconds.to_string(),
        |time| time.strftime(format).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::report;

    #[test]
    fn columns_line_up_and_times_are_utc() {
        let mut report = report("feeder-1", 1_393_804_800);
        report.energy_wh = [4_000, 6_000, 2_000, 3_000].map(Some).to_vec();
        report.mean_wh = [200.0, 300.0, 100.0, 150.0].map(Some).to_vec();
        (report.peak_wh, report.peak_interval) = (Some(6_000), Some(1));
        report.load_factor = Some(0.625);
        let row = row(&report);
        assert_eq!(row.chars().count(), heading().chars().count(), "{row}");
        for text in [
            "feeder-1",
            "2014-03-03 00:00",
            "20/50",
            "15.000",
            "0.750",
            "6.0@01:00",
            "0.62",
        ] {
            assert!(row.contains(text), "{text} in {row}");
        }
    }

    #[test]
    fn what_was_clamped_or_missing_is_said() {
        let mut report = report("feeder-1", 0);
        report.missing = 3;
        assert!(row(&report).ends_with("0 clamped, 3 missing"));
    }

    #[test]
    fn a_window_without_a_peak_says_what_is_withheld() {
        let mut report = report("feeder-1", 0);
        (report.peak_wh, report.peak_interval, report.clamped) = (None, None, None);
        (report.withheld_intervals, report.missing) = (2, 40);
        let row = row(&report);
        assert!(
            row.contains("40 missing") && row.contains("2 withheld"),
            "{row}"
        );
    }
}
