//! Tables, JSON and the results folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use meter::Summary;
use operator::FeederReport;
use serde::Serialize;

use crate::scenario::Scenario;
use crate::verdict::{Row, Verdict};
use crate::watch::Watch;

/// `totals.jsonl`: a line a released window.
pub struct Totals(File);

/// The fields of a line.
#[derive(Serialize)]
struct Line<'a> {
    feeder: &'a wire::FeederId,
    window_start: wire::WindowStart,
    part: wire::Part,
    interval_s: u32,
    meters: u32,
    energy_wh: &'a [i64],
}

impl Totals {
    /// An empty file in `results`.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn create(results: &Path) -> Result<Self> {
        let path = results.join("totals.jsonl");
        Ok(Self(File::create(&path).with_context(|| {
            format!("cannot make {}", path.display())
        })?))
    }

    /// Appends a line.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn append(&mut self, report: &FeederReport) -> Result<()> {
        let line = serde_json::to_string(&Line {
            feeder: &report.feeder,
            window_start: report.window_start,
            part: report.part,
            interval_s: report.interval_s,
            meters: report.meters,
            energy_wh: &report.energy_wh,
        })?;
        writeln!(self.0, "{line}").context("totals.jsonl")
    }
}

/// What a run came to: the JSON object on stdout and in `summary.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Windows released, over all feeders.
    pub windows: usize,
    /// Windows withheld for want of meters.
    pub windows_withheld: usize,
    /// Meters in the fleet.
    pub meters: usize,
    /// Feeders they are spread over.
    pub feeders: u32,
    /// Reports the gateway made.
    pub reports_sent: u64,
    /// Reports analytics folded.
    pub reports_folded: u64,
    /// Reports analytics refused, by reason.
    pub reports_rejected: BTreeMap<String, u64>,
    /// Reports that came again and were not folded again.
    pub reports_duplicate: u64,
    /// Readings clamped to the declared capacity.
    pub readings_clamped: u64,
    /// Readings below zero: more was exported than drawn.
    pub readings_exported: u64,
    /// Intervals without a reading.
    pub readings_missing: u64,
    /// Greatest relative error of an interval.
    pub max_relative_error: f64,
    /// Greatest relative error the noise of the encryption allows an interval.
    pub error_bound: f64,
    /// Reports folded in a second, from the first reading to the last release.
    pub reports_per_s: f64,
    /// Readings summed in a second, likewise.
    pub readings_per_s: f64,
    /// Mean size of a report on the wire, in bytes.
    pub bytes_per_report: f64,
    /// Wall time of the whole run, in seconds.
    pub wall_s: f64,
    /// The results folder.
    pub results: PathBuf,
    /// Where the readings came from.
    pub input: String,
    /// Whether every window is accounted for and every interval is within the bound.
    pub correct: bool,
    /// What is wrong, in words.
    pub wrong: Vec<String>,
    /// One row a released window.
    #[serde(skip)]
    pub rows: Vec<Row>,
}

impl Outcome {
    /// Puts the outcome together and writes `summary.json`.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn new(
        scenario: &Scenario,
        watch: &Watch,
        summary: &Summary,
        verdict: Verdict,
        wall: Duration,
        results: &Path,
    ) -> Result<Self> {
        let mut wrong = verdict.wrong;
        if summary.clamped > 0 && scenario.settings.meter.replay.is_some() {
            wrong.push(format!(
                "{} readings were clamped, though the capacities come from the file",
                summary.clamped
            ));
        }
        if summary.lost > 0 {
            wrong.push(format!("{} reports were refused for good", summary.lost));
        }
        let span = match watch.span {
            (Some(from), Some(until)) => until.saturating_duration_since(from).as_secs_f64(),
            _ => 0.0,
        };
        let rate = |count: u64| if span > 0.0 { count as f64 / span } else { 0.0 };
        let outcome = Self {
            windows: verdict.released,
            windows_withheld: verdict.withheld,
            meters: scenario.meters,
            feeders: scenario.settings.meter.feeders,
            reports_sent: summary.reports,
            reports_folded: watch.folded,
            reports_rejected: watch
                .rejected
                .iter()
                .map(|(reason, count)| (reason.to_string(), *count))
                .collect(),
            reports_duplicate: watch.duplicates,
            readings_clamped: summary.clamped,
            readings_exported: summary.exported,
            readings_missing: summary.missing,
            max_relative_error: verdict.max_relative_error,
            error_bound: verdict.error_bound,
            reports_per_s: rate(watch.folded),
            readings_per_s: rate(summary.readings),
            bytes_per_report: summary.sealed.0 as f64 / summary.sealed.1.max(1) as f64,
            wall_s: wall.as_secs_f64(),
            results: results.to_owned(),
            input: scenario.input.clone(),
            correct: wrong.is_empty(),
            wrong,
            rows: verdict.rows,
        };
        let path = results.join("summary.json");
        std::fs::write(&path, serde_json::to_string_pretty(&outcome)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(outcome)
    }

    /// The table and the figures, for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table
            .load_style(UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header([
            "feeder",
            "window (UTC)",
            "meters",
            "energy kWh",
            "true kWh",
            "error Wh",
            "mean Wh",
            "std Wh",
            "peak kWh",
            "load factor",
        ]);
        for row in &self.rows {
            table.add_row([
                row.feeder.to_string(),
                jiff::Timestamp::from_second(row.window.0 as i64).map_or_else(
                    |_| row.window.to_string(),
                    |at| at.strftime("%Y-%m-%d %H:%M").to_string(),
                ),
                row.meters.to_string(),
                format!("{:.3}", row.energy_wh as f64 / 1e3),
                format!("{:.3}", row.true_wh / 1e3),
                format!("{:.0} (≤ {:.0})", row.error_wh, row.bound_wh),
                format!("{:.0}", row.mean_wh),
                row.std_wh.map_or("-".to_owned(), |std| format!("{std:.0}")),
                format!("{:.3}", row.peak_wh as f64 / 1e3),
                row.load_factor
                    .map_or("-".to_owned(), |factor| format!("{factor:.2}")),
            ]);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!("{table}\n\n{}", self.figures())
    }

    fn figures(&self) -> String {
        let mut text = format!(
            "{}\n{} meters on {} feeders: {} reports sent, {} folded, {} duplicates, {} rejected; {} readings clamped, {} exported, {} missing\n\
             {} windows released, {} withheld\n\
             greatest relative error {:.1e}, allowed by the noise {:.1e}\n\
             {:.0} reports/s, {:.0} readings/s, {:.0} bytes a report, {:.1} s in all\n\
             results: {}\n",
            self.input,
            self.meters,
            self.feeders,
            self.reports_sent,
            self.reports_folded,
            self.reports_duplicate,
            self.reports_rejected.values().sum::<u64>(),
            self.readings_clamped,
            self.readings_exported,
            self.readings_missing,
            self.windows,
            self.windows_withheld,
            self.max_relative_error,
            self.error_bound,
            self.reports_per_s,
            self.readings_per_s,
            self.bytes_per_report,
            self.wall_s,
            self.results.display(),
        );
        if self.windows_withheld > 0 {
            text += "withheld: too few meters on a feeder for plan.min_meters; use fewer --feeders or more meters\n";
        }
        for wrong in &self.wrong {
            text += &format!("WRONG: {wrong}\n");
        }
        if self.correct {
            text += "every decrypted interval equals the truth within the bound\n";
        }
        text
    }
}
