//! `operator export`: totals as CSV, a row an interval of a part.

use std::io::Write;

use serde::Serialize;
use service::Settings;

use super::select::{Selection, starts};
use crate::print::utc;
use crate::release::histogram::{Bracket, Histogram};
use crate::release::report::FeederReport;

/// A row. What is withheld is empty, as is an energy where nobody had a reading.
#[derive(Debug, Serialize)]
struct Row<'a> {
    feeder: &'a str,
    /// When the interval begins, RFC 3339 in UTC.
    interval_start: String,
    interval_s: u32,
    part: u16,
    energy_wh: Option<i64>,
    /// Meters that had a reading.
    present: Option<u32>,
    /// Meters in the sum.
    meters: u32,
    mean_wh: Option<f64>,
    std_wh: Option<i64>,
    /// Ends of the range that the reading of this rank is in; with layout `histogram`.
    p25_from_wh: Option<i64>,
    p25_to_wh: Option<i64>,
    median_from_wh: Option<i64>,
    median_to_wh: Option<i64>,
    p75_from_wh: Option<i64>,
    p75_to_wh: Option<i64>,
    p90_from_wh: Option<i64>,
    p90_to_wh: Option<i64>,
    largest_from_wh: Option<i64>,
    largest_to_wh: Option<i64>,
    /// Share of the meters that export, and of those that export or use nothing.
    exporting: Option<f64>,
    zero_or_below: Option<f64>,
    /// Of the rest of an area, which stands in the place of the feeder: how many feeders are in it.
    feeders_in_rest: Option<usize>,
}

/// Writes the totals that a selection names, in the order of release, and returns how many intervals there were.
///
/// # Errors
/// The totals cannot be read, or the output is closed.
pub fn csv(settings: &Settings, selection: &Selection, output: impl Write) -> anyhow::Result<u64> {
    write(selection, selection.reports(settings)?, output)
}

fn write(
    selection: &Selection,
    reports: impl Iterator<Item = anyhow::Result<FeederReport>>,
    output: impl Write,
) -> anyhow::Result<u64> {
    let mut writer = csv::Writer::from_writer(output);
    let mut rows = 0;
    for report in reports {
        let report = report?;
        for (k, start) in starts(&report).enumerate() {
            if !selection.has(start) {
                continue;
            }
            let std = report.std_wh.as_ref().and_then(|std| std.get(k));
            let histogram = report.histogram.as_ref();
            let ends = |list: fn(&Histogram) -> &[Option<Bracket>]| {
                let bracket = histogram.and_then(|of| list(of).get(k).copied().flatten());
                bracket.map_or([None; 2], |ends| ends.map(Some))
            };
            let share = |list: fn(&Histogram) -> &[Option<f64>]| {
                histogram.and_then(|of| list(of).get(k).copied().flatten())
            };
            let [p25_from_wh, p25_to_wh] = ends(|of| &of.p25_wh);
            let [median_from_wh, median_to_wh] = ends(|of| &of.median_wh);
            let [p75_from_wh, p75_to_wh] = ends(|of| &of.p75_wh);
            let [p90_from_wh, p90_to_wh] = ends(|of| &of.p90_wh);
            let [largest_from_wh, largest_to_wh] = ends(|of| &of.largest_wh);
            writer.serialize(Row {
                feeder: report.feeder.as_str(),
                interval_start: utc(start, "%Y-%m-%dT%H:%M:%SZ"),
                interval_s: report.interval_s,
                part: report.part.0,
                energy_wh: report.energy_wh[k],
                present: report.present.get(k).copied().flatten(),
                meters: report.meters,
                mean_wh: report.mean_wh.get(k).copied().flatten(),
                std_wh: std.copied().flatten(),
                p25_from_wh,
                p25_to_wh,
                median_from_wh,
                median_to_wh,
                p75_from_wh,
                p75_to_wh,
                p90_from_wh,
                p90_to_wh,
                largest_from_wh,
                largest_to_wh,
                exporting: share(|of| &of.exporting),
                zero_or_below: share(|of| &of.zero_or_below),
                feeders_in_rest: Some(report.rest.len()).filter(|feeders| *feeders > 0),
            })?;
            rows += 1;
        }
    }
    writer.flush()?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{report, report_with_bins};

    #[test]
    fn a_row_an_interval_and_what_is_withheld_is_empty() {
        let mut report = report("feeder-1", 1_393_804_800);
        report.energy_wh[1] = None;
        (report.present[1], report.mean_wh[1]) = (None, None);
        let selection = Selection {
            to: Some(wire::UnixSeconds(1_393_804_800 + 2 * 3_600)),
            ..Selection::default()
        };
        let mut text = Vec::new();
        let rows = write(&selection, [Ok(report)].into_iter(), &mut text).unwrap();
        let expected = "feeder,interval_start,interval_s,part,energy_wh,present,meters,mean_wh,std_wh,\
                        p25_from_wh,p25_to_wh,median_from_wh,median_to_wh,p75_from_wh,p75_to_wh,p90_from_wh,p90_to_wh,\
                        largest_from_wh,largest_to_wh,exporting,zero_or_below,feeders_in_rest\n\
                        feeder-1,2014-03-03T00:00:00Z,3600,0,4,20,20,0.2,,,,,,,,,,,,,,\n\
                        feeder-1,2014-03-03T01:00:00Z,3600,0,,,20,,,,,,,,,,,,,,,\n";
        assert_eq!(
            (rows, String::from_utf8(text).unwrap().as_str()),
            (2, expected)
        );
    }

    #[test]
    fn percentiles_are_the_ends_of_ranges() {
        let selection = Selection {
            to: Some(wire::UnixSeconds(3_600)),
            ..Selection::default()
        };
        let mut text = Vec::new();
        let reports = [Ok(report_with_bins("f", 0))].into_iter();
        write(&selection, reports, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let row = text.lines().nth(1).unwrap();
        let expected = ",-16384,100,-16384,100,101,16384,101,16384,101,16384,,,";
        assert!(row.ends_with(expected), "{row}");
    }
}
