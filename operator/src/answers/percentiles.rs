//! `operator ask percentiles`.

use std::fmt::Write as _;

use serde::Serialize;
use service::Settings;
use wire::FeederId;

use super::select::{Selection, starts};
use crate::print::{Output, utc};
use crate::release::histogram::{Bracket, Histogram};
use crate::release::report::FeederReport;

/// One interval of one part of a feeder, serialised as `--output json` prints it. A range is the least and the greatest Wh that the
/// reading can be.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    feeder: FeederId,
    /// When the interval begins, in seconds since the Unix epoch.
    at: u64,
    part: u16,
    /// Meters that had a reading.
    present: u32,
    p25_wh: Bracket,
    median_wh: Bracket,
    p75_wh: Bracket,
    p90_wh: Bracket,
    largest_wh: Bracket,
    /// The least and the greatest share of the energy that the largest reading can be; none unless both are positive. Above 1 it says
    /// that others exported.
    largest_share: Option<[f64; 2]>,
    /// Share of the meters that export or use nothing; none where that is not a cell.
    zero_or_below: Option<f64>,
}

/// The percentiles across the meters of each feeder, interval by interval.
///
/// # Errors
/// The totals cannot be read, or none of these has a histogram.
pub fn percentiles(
    settings: &Settings,
    selection: &Selection,
    output: Output,
) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for report in selection.reports(settings)? {
        rows.extend(of(&report?, selection));
    }
    anyhow::ensure!(
        !rows.is_empty(),
        "{} has no percentiles of these feeders in this time: they come with plan.layout = \"histogram\"",
        settings.operator.totals_file.display()
    );
    Ok(match output {
        Output::Json => serde_json::to_string(&rows)? + "\n",
        Output::Table => table(&rows),
    })
}

fn of(report: &FeederReport, selection: &Selection) -> Vec<Row> {
    let Some(histogram) = &report.histogram else {
        return Vec::new();
    };
    let asked = starts(report).enumerate();
    let asked = asked.filter(|(_, start)| selection.has(*start));
    asked
        .filter_map(|(k, start)| row(report, histogram, (k, start)))
        .collect()
}

fn row(report: &FeederReport, histogram: &Histogram, (k, at): (usize, u64)) -> Option<Row> {
    let range = |list: &[Option<Bracket>]| list.get(k).copied().flatten();
    Some(Row {
        feeder: report.feeder.clone(),
        at,
        part: report.part.0,
        present: report.present.get(k).copied().flatten()?,
        p25_wh: range(&histogram.p25_wh)?,
        median_wh: range(&histogram.median_wh)?,
        p75_wh: range(&histogram.p75_wh)?,
        p90_wh: range(&histogram.p90_wh)?,
        largest_wh: range(&histogram.largest_wh)?,
        largest_share: largest_share(range(&histogram.largest_wh)?, report.energy_wh.get(k)),
        zero_or_below: histogram.zero_or_below.get(k).copied().flatten(),
    })
}

fn largest_share(largest_wh: Bracket, energy_wh: Option<&Option<i64>>) -> Option<[f64; 2]> {
    let energy = (*energy_wh?)?;
    let is_dominance = energy > 0 && largest_wh[1] > 0;
    is_dominance.then(|| largest_wh.map(|wh| wh.max(0) as f64 / energy as f64))
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<20} {:<16} {:>4} {:>6} {:>15} {:>15} {:>15} {:>15} {:>15} {:>18} {:>7}\n",
        "feeder",
        "interval (UTC)",
        "part",
        "meters",
        "p25 Wh",
        "median Wh",
        "p75 Wh",
        "p90 Wh",
        "largest Wh",
        "its share %",
        "0 or <0"
    );
    for row in rows {
        let range = |[from, to]: Bracket| format!("{from}..{to}");
        let share = row.zero_or_below;
        let _ = writeln!(
            text,
            "{:<20} {:<16} {:>4} {:>6} {:>15} {:>15} {:>15} {:>15} {:>15} {:>18} {:>7}",
            row.feeder,
            utc(row.at, "%Y-%m-%d %H:%M"),
            row.part,
            row.present,
            range(row.p25_wh),
            range(row.median_wh),
            range(row.p75_wh),
            range(row.p90_wh),
            range(row.largest_wh),
            row.largest_share.map_or_else(
                || "-".to_owned(),
                |[from, to]| { format!("{:.1}..{:.1}", from * 1e2, to * 1e2) }
            ),
            share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 1e2)),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{report, report_with_bins};

    #[test]
    fn a_row_an_interval_that_is_shown_and_asked_for() {
        let mut report = report_with_bins("f", 0);
        let histogram = report.histogram.as_mut().unwrap();
        histogram.median_wh[1] = None;
        report.present[1] = None;
        let selection = Selection {
            to: Some(wire::UnixSeconds(3 * 3_600)),
            ..Selection::default()
        };
        let rows = of(&report, &selection);
        let starts: Vec<u64> = rows.iter().map(|row| row.at).collect();
        assert_eq!(starts, [0, 7_200]);
        assert_eq!(
            (rows[0].median_wh, rows[0].p75_wh),
            ([-16_384, 100], [101, 16_384])
        );
        // Of 4 Wh that the test's feeder has, which is less than its bins say.
        assert_eq!(rows[0].largest_share, Some([101.0 / 4.0, 16_384.0 / 4.0]));
        let text = table(&rows);
        assert!(text.contains("101..16384"), "{text}");
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert_eq!(widths, [widths[0]; 3]);
    }

    #[test]
    fn a_total_of_another_layout_has_none() {
        assert_eq!(of(&report("f", 0), &Selection::default()), []);
    }
}
