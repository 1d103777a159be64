//! What a run came to: `summary.json`, and the table for people.

use std::collections::BTreeMap;
use std::path::PathBuf;

use harness::areas::AreaRow;
use harness::ledger::FileSummary;
use harness::output::write_json;
use harness::percentiles::Percentiles;
use harness::scenario::Scenario;
use harness::session::Finished;
use harness::verdict::{OFF_BY_ONE_PROBABILITY, Row};
use serde::Serialize;
use wire::{AreaId, FeederId};

use crate::output::{or_dash, table};

/// What a run came to: the JSON object on stdout and in `summary.json`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RunSummary {
    pub(crate) windows: usize,
    pub(crate) windows_withheld: usize,
    /// Intervals of released windows that are withheld, because fewer than `plan.min_meters` had a reading.
    pub(crate) intervals_withheld: u64,
    pub(crate) meters: usize,
    pub(crate) feeders: u32,
    pub(crate) reports_sent: u64,
    pub(crate) reports_folded: u64,
    pub(crate) reports_rejected: BTreeMap<String, u64>,
    /// Reports that came again and were not folded again.
    pub(crate) reports_duplicate: u64,
    pub(crate) readings_clamped: u64,
    /// Readings below zero: more was exported than drawn.
    pub(crate) readings_exported: u64,
    pub(crate) readings_missing: u64,
    /// Whether every decrypted total equals the truth.
    pub(crate) exact: bool,
    /// 0 if they are exact.
    pub(crate) max_relative_error: f64,
    /// The largest quantum of a feeder, in Wh: what readings enter in whole multiples of, with the rest carried on.
    pub(crate) quantum_wh: u64,
    /// Probability that the noise of the encryption puts one total of the largest feeder a quantum off.
    pub(crate) off_by_one_probability: f64,
    /// Reports folded in a second, from the first reading to the last release.
    pub(crate) reports_per_s: f64,
    pub(crate) readings_per_s: f64,
    /// Mean size of a report on the wire, in bytes.
    pub(crate) bytes_per_report: f64,
    pub(crate) wall_s: f64,
    pub(crate) results: PathBuf,
    pub(crate) input: String,
    /// What the file has and what became of it, where the input is one.
    pub(crate) file: Option<FileSummary>,
    /// Whether every window is accounted for and every total is exact.
    pub(crate) correct: bool,
    pub(crate) wrong: Vec<String>,
    /// Every question that was asked beside, with its answer and its truth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answers: Option<serde_json::Value>,
    /// The same for people.
    #[serde(skip)]
    pub(crate) answer_lines: String,
    /// The totals of transformers and substations beside the truth, where the plan has some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) areas: Vec<AreaRow>,
    #[serde(skip)]
    pub(crate) rows: Vec<Row>,
}

impl RunSummary {
    /// What is known once the services have stopped; the caller adds time and folder.
    pub(crate) fn new(scenario: &Scenario, finished: Finished) -> Self {
        let mut wrong = finished.wrong();
        let fleet = &finished.fleet;
        let watch = &finished.watch;
        if fleet.clamped > 0 && scenario.settings.meter.replay.is_some() {
            wrong.push(format!(
                "{} readings were clamped, though the capacities come from the file",
                fleet.clamped
            ));
        }
        let ledger = scenario.ledger.as_ref();
        let closed = ledger.map(|ledger| ledger.close(&finished.verdict, &scenario.truths));
        let (file, unaccounted) = closed.map_or((None, None), |(file, wrong)| (Some(file), wrong));
        wrong.extend(unaccounted);
        Self {
            windows: finished.verdict.released,
            windows_withheld: finished.verdict.withheld,
            intervals_withheld: finished.verdict.withheld_intervals,
            meters: scenario.meters,
            feeders: scenario.settings.meter.feeders,
            reports_sent: fleet.reports,
            reports_folded: watch.folded,
            reports_rejected: watch.rejected_by_reason(),
            reports_duplicate: watch.duplicates,
            readings_clamped: fleet.clamped,
            readings_exported: fleet.exported,
            readings_missing: fleet.missing,
            max_relative_error: finished.verdict.max_relative_error,
            exact: finished.verdict.exact,
            quantum_wh: finished.verdict.quantum_wh,
            off_by_one_probability: OFF_BY_ONE_PROBABILITY,
            reports_per_s: finished.per_s(watch.folded),
            readings_per_s: finished.per_s(fleet.readings),
            bytes_per_report: finished.bytes_per_report(),
            wall_s: 0.0,
            results: PathBuf::new(),
            input: scenario.input.clone(),
            file,
            correct: wrong.is_empty(),
            wrong,
            answers: None,
            answer_lines: String::new(),
            areas: finished.areas,
            rows: finished.verdict.rows,
        }
    }

    /// Adds the answers to questions about the same input.
    ///
    /// # Errors
    /// The summary cannot be written.
    pub(crate) fn add(
        &mut self,
        answers: &impl Serialize,
        (lines, wrong): (String, Vec<String>),
    ) -> anyhow::Result<()> {
        self.wrong.extend(wrong);
        self.correct = self.wrong.is_empty();
        self.answers = Some(serde_json::to_value(answers)?);
        self.answer_lines = lines;
        write_json(&self.results, "summary.json", self)
    }

    pub(crate) fn table(&self) -> String {
        let mut table = table(
            2,
            "feeder|window (UTC)|meters|energy kWh|true kWh|error Wh|mean Wh|std Wh|peak kWh|load factor",
        );
        for row in &self.rows {
            table.add_row([
                row.feeder.to_string(),
                utc(row.window.0),
                row.meters.to_string(),
                format!("{:.3}", row.energy_wh as f64 / 1e3),
                format!("{:.3}", row.true_wh as f64 / 1e3),
                row.error_wh.to_string(),
                format!("{:.0}", row.mean_wh),
                or_dash(row.std_wh, |std| format!("{std:.0}")),
                format!("{:.3}", row.peak_wh as f64 / 1e3),
                or_dash(row.load_factor, |factor| format!("{factor:.2}")),
            ]);
        }
        let notes = self.areas() + &self.percentiles();
        let answers = &self.answer_lines;
        format!("{table}\n\n{notes}{}{answers}", self.figures())
    }

    /// Of each transformer and substation, over all its windows.
    fn areas(&self) -> String {
        let mut areas = BTreeMap::<&AreaId, Vec<&AreaRow>>::new();
        for row in &self.areas {
            areas.entry(&row.area).or_default().push(row);
        }
        let line = |(area, rows): (&AreaId, Vec<&AreaRow>)| {
            let kwh =
                |wh: fn(&AreaRow) -> i64| rows.iter().map(|row| wh(row)).sum::<i64>() as f64 / 1e3;
            let least = rows.iter().map(|row| row.completeness).fold(1.0, f64::min);
            format!(
                "area {area}: {:.3} kWh in {} windows, true {:.3} kWh; {} feeders only in its rest, {:.1} % complete or more\n",
                kwh(|row| row.energy_wh),
                rows.len(),
                kwh(|row| row.true_wh),
                rows.iter()
                    .map(|row| row.feeders_in_rest)
                    .max()
                    .unwrap_or(0),
                (least * 1e3).floor() / 10.0
            )
        };
        areas.into_iter().map(line).collect()
    }

    /// Of each feeder's last window that has them.
    fn percentiles(&self) -> String {
        let newest = self.rows.iter().filter_map(|row| {
            let percentiles = row.percentiles.as_ref()?;
            Some((&row.feeder, percentiles))
        });
        let newest: BTreeMap<_, _> = newest.collect();
        let line = |(feeder, percentiles): (&FeederId, &Percentiles)| {
            let [p25, median, p75, p90] = percentiles
                .quartiles_and_p90_wh
                .map(|[from, to]| format!("{from} to {to}"));
            format!(
                "{feeder} at {} (its peak), Wh of a meter: lower quartile {p25}, median {median}, upper quartile {p75}, 90th percentile \
                 {p90}, largest {} or more\n",
                utc(percentiles.at),
                percentiles.largest_wh[0]
            )
        };
        newest.into_iter().map(line).collect()
    }

    fn figures(&self) -> String {
        let rejected: u64 = self.reports_rejected.values().sum();
        let mut text = format!(
            "{}\n{} meters on {} feeders: {} reports sent, {} folded, {} duplicates, {rejected} rejected; ",
            self.input,
            self.meters,
            self.feeders,
            self.reports_sent,
            self.reports_folded,
            self.reports_duplicate,
        );
        text += &format!(
            "{} readings clamped, {} exported, {} missing\n{} windows released, {} withheld\n",
            self.readings_clamped,
            self.readings_exported,
            self.readings_missing,
            self.windows,
            self.windows_withheld
        );
        if let Some(file) = &self.file {
            text += &file.lines();
        }
        text += &format!(
            "readings entered in whole {} Wh, the rest carried on; a total is off by a quantum with probability {:.1e}\n",
            self.quantum_wh, self.off_by_one_probability
        );
        text += &format!(
            "{:.0} reports/s, {:.0} readings/s, {:.0} bytes a report, {:.1} s in all\n",
            self.reports_per_s, self.readings_per_s, self.bytes_per_report, self.wall_s
        );
        text += &format!("results: {}\n", self.results.display());
        if self.windows_withheld > 0 {
            text += "withheld: too few meters on a feeder for plan.min_meters; use fewer --feeders or more meters\n";
        }
        if self.intervals_withheld > 0 {
            text += &format!(
                "{} intervals of released windows withheld: too few meters had a reading for plan.min_meters\n",
                self.intervals_withheld
            );
        }
        for wrong in &self.wrong {
            text += &format!("WRONG: {wrong}\n");
        }
        if self.correct {
            text += "exact: every decrypted total equals the truth\n";
        }
        text
    }
}

fn utc(seconds: u64) -> String {
    jiff::Timestamp::from_second(seconds as i64).map_or_else(
        |_| seconds.to_string(),
        |at| at.strftime("%Y-%m-%d %H:%M").to_string(),
    )
}
