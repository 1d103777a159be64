//! `operator export`: totals as CSV, a row an interval of a part.

use std::io::Write;

use serde::Serialize;
use service::Settings;

use super::select::{Selection, starts};
use crate::print::utc;
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
    use crate::testing::report;

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
        let expected = "feeder,interval_start,interval_s,part,energy_wh,present,meters,mean_wh,std_wh\n\
                        feeder-1,2014-03-03T00:00:00Z,3600,0,4,20,20,0.2,\n\
                        feeder-1,2014-03-03T01:00:00Z,3600,0,,,20,,\n";
        assert_eq!(
            (rows, String::from_utf8(text).unwrap().as_str()),
            (2, expected)
        );
    }
}
