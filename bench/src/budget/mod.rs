//! `bench budget`: every row of the design's budget, measured in one run.
//!
//! A row is a ratio of two things measured in turns, or a figure in units that do not depend on the machine's load: bytes,
//! processor time. The verdict is on the median. A row that this machine cannot measure says why and is not a miss; one
//! that misses makes the command end with exit code 3.
//!
//! # Layout
//! * [`rows`]: the rows and their limits · [`steps`], [`fold`]: measured on one thread
//! * [`memory`]: analytics' memory, by its own bench
//! * TenSEAL is measured by [`crate::peers`], the load by [`crate::load`]

pub mod fold;
pub mod memory;
pub mod rows;
pub mod steps;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use comfy_table::CellAlignment;
use packed::Kernel;
use serde::Serialize;
use service::config::Settings;
use service::stop::Stop;

use crate::peers::table::plain_table;
use crate::ratio::{Spread, figure};
use crate::{load, peers};
use rows::{Row, Side};

/// What the command line asks for.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Measure only these rows.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROW,…")]
    pub rows: Vec<Row>,
    /// Fewer rounds and a shorter load.
    #[arg(long)]
    pub quick: bool,
    /// Another limit than the design's, such as `admit=90` on a slower machine; may be repeated.
    #[arg(long, value_name = "ROW=VALUE", value_parser = limit)]
    pub limit: Vec<(Row, f64)>,
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// What the documented figures come from.
    Full,
    /// A look.
    Quick,
}

/// A budget, measured.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// One entry a row.
    pub rows: Vec<Entry>,
    /// Names of the rows that missed.
    pub missed: Vec<&'static str>,
    /// Whether none did.
    pub met: bool,
    /// The results folder.
    pub results: PathBuf,
}

/// A row, measured or not.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Its name.
    pub row: Row,
    /// What is measured.
    pub step: &'static str,
    /// The unit of value and limit.
    pub unit: &'static str,
    /// The limit.
    pub limit: f64,
    /// On which side of it the value must be.
    pub side: Side,
    /// The value; its median is what counts.
    pub value: Option<Spread>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it was not measured, or what else is to be said.
    pub note: Option<String>,
    /// The command that measures this row alone.
    pub command: String,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Within the limit.
    Met,
    /// Not within the limit.
    Missed,
    /// This machine cannot measure it.
    NotMeasured,
}

/// What a row's measurement came to.
enum Found {
    Value(Spread, Option<String>),
    /// A value that does not count, because something is wrong.
    Wrong(Spread, String),
    Nothing(String),
    /// The measurement failed.
    Failed(String),
}

impl Effort {
    fn choose<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// Measures the rows and writes `budget.json`.
///
/// # Errors
/// Where the results cannot be written or the run is interrupted. A row whose measurement fails is a miss.
pub async fn run(
    settings: &Settings,
    options: &Options,
    results: &Path,
    stop: Stop,
) -> Result<Outcome> {
    let effort = if options.quick {
        Effort::Quick
    } else {
        Effort::Full
    };
    let wanted = |row: &Row| options.rows.is_empty() || options.rows.contains(row);
    let mut entries = Vec::new();
    for row in Row::ALL.into_iter().filter(wanted) {
        eprintln!("measuring {}: {}", row.name(), row.promise().step);
        let found = tokio::select! {
            () = stop.stopped() => bail!("interrupted"),
            found = measure(row, settings, effort, results, stop.clone()) => found,
        };
        // A row whose measurement fails is not met; the others are still worth knowing.
        let found = found.unwrap_or_else(|error| Found::Failed(format!("{error:#}")));
        entries.push(entry(row, found, options));
    }
    let outcome = Outcome::new(entries, results);
    let path = results.join("budget.json");
    std::fs::write(&path, serde_json::to_string_pretty(&outcome)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(outcome)
}

async fn measure(
    row: Row,
    settings: &Settings,
    effort: Effort,
    results: &Path,
    stop: Stop,
) -> Result<Found> {
    let owned = settings.clone();
    match row {
        Row::Seal => apart(move || steps::seal(&owned, effort)).await,
        Row::Bytes => apart(move || steps::bytes(&owned)).await,
        Row::Admit => apart(move || steps::admission(&owned, effort)).await,
        Row::Tenseal => Ok(tenseal(settings, effort).await),
        Row::FoldAvx512 => folded(Kernel::Avx512, effort).await,
        Row::FoldAvx2 => folded(Kernel::Avx2, effort).await,
        Row::Load => offered(settings, effort, results, stop).await,
        Row::Memory if effort == Effort::Quick => Ok(Found::Nothing(
            "it takes minutes: not with --quick".to_owned(),
        )),
        Row::Memory => Ok(match memory::peak().await {
            Ok(mb) => Found::Value(Spread::exact(mb), None),
            Err(error) => Found::Nothing(format!("{error:#}")),
        }),
    }
}

/// Runs what keeps a thread busy on one of its own.
async fn apart(work: impl FnOnce() -> Result<Vec<f64>> + Send + 'static) -> Result<Found> {
    let values = tokio::task::spawn_blocking(work).await??;
    Ok(Found::Value(steps::spread(&values)?, None))
}

async fn folded(kernel: Kernel, effort: Effort) -> Result<Found> {
    if !Kernel::available().any(|available| available == kernel) {
        return Ok(Found::Nothing(format!("this processor lacks {kernel}")));
    }
    let rounds = effort.choose(21, 5);
    apart(move || fold::Memory::new().ratios(kernel, rounds)).await
}

async fn tenseal(settings: &Settings, effort: Effort) -> Found {
    let plan = peers::Plan::new(effort == Effort::Quick);
    let ratios = peers::client_ratios(settings, "tenseal", &plan).await;
    match ratios.and_then(|ratios| steps::spread(&ratios)) {
        Ok(spread) => Found::Value(spread, None),
        Err(error) => Found::Nothing(format!("{error:#}")),
    }
}

async fn offered(settings: &Settings, effort: Effort, results: &Path, stop: Stop) -> Result<Found> {
    /// The load's own defaults, but for what the budget says.
    #[derive(Parser)]
    struct Defaults {
        #[command(flatten)]
        options: load::Options,
    }
    let duration = effort.choose(Duration::from_secs(45), Duration::from_secs(10));
    let mut options = Defaults::try_parse_from(["load", "--rate", "1112"])?.options;
    options.duration = duration;
    options.quick = effort == Effort::Quick;
    let outcome = load::run(settings, &options, results, stop).await?;
    let note = format!(
        "{} reports/s settled in {} s, {:.2} cores",
        figure(outcome.settled_per_s),
        duration.as_secs(),
        outcome.cores
    );
    let p99 = Spread::exact(outcome.latency_ms.p99);
    Ok(match outcome.wrong.first() {
        Some(wrong) => Found::Wrong(p99, format!("{wrong}; {note}")),
        None => Found::Value(p99, Some(note)),
    })
}

fn entry(row: Row, found: Found, options: &Options) -> Entry {
    let promise = row.promise();
    let limit = options
        .limit
        .iter()
        .rev()
        .find(|(limited, _)| *limited == row);
    let limit = limit.map_or(promise.limit, |(_, limit)| *limit);
    let (value, verdict, note) = match found {
        Found::Value(value, note) if promise.side.holds(value.median, limit) => {
            (Some(value), Verdict::Met, note)
        }
        Found::Value(value, note) => (Some(value), Verdict::Missed, note),
        Found::Wrong(value, note) => (Some(value), Verdict::Missed, Some(note)),
        Found::Nothing(reason) => (None, Verdict::NotMeasured, Some(reason)),
        Found::Failed(error) => (None, Verdict::Missed, Some(error)),
    };
    Entry {
        row,
        step: promise.step,
        unit: promise.unit,
        limit,
        side: promise.side,
        value,
        verdict,
        note,
        command: format!(
            "cargo run --release -p bench -- budget --rows {}{}",
            row.name(),
            if options.quick { " --quick" } else { "" }
        ),
    }
}

impl Outcome {
    fn new(rows: Vec<Entry>, results: &Path) -> Self {
        let missed: Vec<_> = rows
            .iter()
            .filter(|entry| entry.verdict == Verdict::Missed)
            .map(|entry| entry.row.name())
            .collect();
        Self {
            met: missed.is_empty(),
            rows,
            missed,
            results: results.to_owned(),
        }
    }

    /// The table, for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut table = plain_table();
        table.set_header(["row", "step", "budget", "measured", "verdict"]);
        for entry in &self.rows {
            let value = entry
                .value
                .map_or("-".to_owned(), |value| value.to_string());
            let verdict = match entry.verdict {
                Verdict::Met => "met",
                Verdict::Missed => "MISSED",
                Verdict::NotMeasured => "not measured",
            };
            let note = entry
                .note
                .as_ref()
                .map_or(String::new(), |note| format!("\n{note}"));
            table.add_row([
                entry.row.name().to_owned(),
                format!("{}{note}", entry.step),
                format!(
                    "{} {} {}",
                    entry.side.sign(),
                    figure(entry.limit),
                    entry.unit
                ),
                value,
                verdict.to_owned(),
            ]);
        }
        for column in table.column_iter_mut().skip(2).take(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = format!("{table}\n");
        text += "medians, with the extremes of the rounds; limits as in docs/measurements.md, unless set with --limit\n";
        if !self.met {
            text += &format!("MISSED: {}\n", self.missed.join(", "));
        }
        text + &format!("results: {}\n", self.results.display())
    }
}

/// `ROW=VALUE`.
fn limit(text: &str) -> Result<(Row, f64), String> {
    let (name, value) = text.split_once('=').ok_or("it is not ROW=VALUE")?;
    let row = Row::ALL.into_iter().find(|row| row.name() == name);
    let row = row.ok_or_else(|| {
        let names: Vec<_> = Row::ALL.iter().map(|row| row.name()).collect();
        format!("there is no row {name:?}; there are {}", names.join(", "))
    })?;
    match value.parse::<f64>() {
        Ok(limit) if limit.is_finite() && limit >= 0.0 => Ok((row, limit)),
        _ => Err(format!("{value:?} is no limit")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(limits: &[&str]) -> Options {
        Options {
            limit: limits.iter().map(|text| limit(text).unwrap()).collect(),
            ..Options::default()
        }
    }

    fn value(median: f64) -> Found {
        Found::Value(Spread::exact(median), None)
    }

    #[test]
    fn the_median_is_held_against_the_limit() {
        let met = entry(Row::Seal, value(1.15), &options(&[]));
        assert_eq!(met.verdict, Verdict::Met);
        let missed = entry(Row::Seal, value(1.151), &options(&[]));
        assert_eq!(missed.verdict, Verdict::Missed);
        let slower = entry(Row::Seal, value(1.151), &options(&["seal=9", "seal=1.2"]));
        assert_eq!((slower.verdict, slower.limit), (Verdict::Met, 1.2));
    }

    #[test]
    fn a_load_that_loses_reports_misses_however_fast_it_was() {
        let found = Found::Wrong(Spread::exact(5.0), "3 reports without a receipt".to_owned());
        assert_eq!(
            entry(Row::Load, found, &options(&[])).verdict,
            Verdict::Missed
        );
        let failed = Found::Failed("the broker ended".to_owned());
        let failed = entry(Row::Load, failed, &options(&[]));
        assert_eq!(failed.verdict, Verdict::Missed);
        assert_eq!(failed.note.as_deref(), Some("the broker ended"));
    }

    #[test]
    fn what_cannot_be_measured_is_shown_and_is_no_miss() {
        let nothing = Found::Nothing("this processor lacks AVX-512".to_owned());
        let rows = vec![
            entry(Row::FoldAvx512, nothing, &options(&[])),
            entry(Row::Bytes, value(27_600.0), &options(&[])),
        ];
        let outcome = Outcome::new(rows, Path::new("results/x"));
        assert_eq!(outcome.missed, ["bytes"]);
        let text = outcome.text();
        assert!(text.contains("this processor lacks AVX-512"), "{text}");
        assert!(text.contains("MISSED: bytes"), "{text}");
        let json = serde_json::to_value(&outcome).unwrap();
        assert_eq!(json["rows"][0]["verdict"], "not_measured");
        assert_eq!(json["rows"][1]["value"]["median"], 27_600.0);
        assert_eq!(json["rows"][1]["limit"], 27_500.0);
        assert_eq!(
            json["rows"][1]["command"],
            "cargo run --release -p bench -- budget --rows bytes"
        );
    }

    #[test]
    fn a_limit_names_its_row() {
        assert_eq!(limit("fold-avx2=0.5"), Ok((Row::FoldAvx2, 0.5)));
        assert!(limit("fold=1").unwrap_err().contains("fold-avx2"));
        assert!(limit("seal=fast").unwrap_err().contains("\"fast\""));
        assert!(limit("seal").is_err());
    }
}
