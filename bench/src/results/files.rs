//! `run.json`, `sweep.csv`, `stages.csv` and the files of [`super::legacy`].

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::legacy::{self, ServerStats};
use super::schema::{Cost, Parameter, Point, Repeat, Run, Stage, StageName, Status};
use crate::sweep::work;
use crate::verdict::Row;

/// Writes a run into its folder, as often as there is something new.
pub struct Files {
    folder: PathBuf,
    extras: Vec<(Parameter, Extras)>,
}

/// What a point has besides its place in the document.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// The point's value.
    pub label: String,
    /// One row a released window, of the first repeat that came to an end.
    pub rows: Vec<Row>,
    /// What the server's side counted in the last repeat.
    pub server: Option<ServerStats>,
}

impl Extras {
    /// Enters a repeat.
    pub fn take(&mut self, rows: Vec<Row>, server: Option<ServerStats>) {
        if self.rows.is_empty() {
            self.rows = rows;
        }
        self.server = server.or(self.server.take());
    }
}

/// A row of `sweep.csv`: a repeat, or a point that was not run.
#[derive(Serialize)]
struct SweepRow<'a> {
    parameter: String,
    label: &'a str,
    value: Option<f64>,
    repeat: Option<u32>,
    status: Status,
    reasons: String,
    meters: u32,
    feeders: u32,
    interval_s: u32,
    batch: u16,
    windows: u32,
    layout: &'a str,
    slots_used: usize,
    profile: &'a str,
    speed: Option<f64>,
    offered_reports_per_s: Option<f64>,
    latency_s: f64,
    loss_ratio: f64,
    min_meters: u32,
    min_meters_lowered_from: Option<u32>,
    reports: Option<u64>,
    readings: Option<u64>,
    reports_resent: Option<u64>,
    reports_duplicate: Option<u64>,
    windows_released: Option<usize>,
    wall_s: Option<f64>,
    total_wall_s: Option<f64>,
    reports_per_s: Option<f64>,
    readings_per_s: Option<f64>,
    bytes_per_report: Option<f64>,
    bytes_per_reading: Option<f64>,
    published_bytes: Option<u64>,
    cpu_s: Option<f64>,
    cpu_cores: Option<f64>,
    cpu_us_per_report: Option<f64>,
    cpu_us_per_reading: Option<f64>,
    cpu_s_meter: Option<f64>,
    cpu_s_broker: Option<f64>,
    cpu_s_analytics: Option<f64>,
    cpu_s_operator: Option<f64>,
    cpu_s_bench: Option<f64>,
    peak_rss_bytes: Option<u64>,
    max_abs_error_wh: Option<f64>,
    bound_wh: Option<f64>,
    max_relative_error: Option<f64>,
    bound_relative: Option<f64>,
}

/// A row of `stages.csv`: a stage of a repeat.
#[derive(Serialize)]
struct StageRow<'a> {
    parameter: String,
    label: &'a str,
    value: Option<f64>,
    repeat: u32,
    stage: StageName,
    per: &'a str,
    count: u64,
    total_s: f64,
    mean_s: f64,
    p50_s: f64,
    p90_s: f64,
    p99_s: f64,
    max_s: f64,
    cpu_us: Option<f64>,
}

impl Files {
    /// For a run in `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            extras: Vec::new(),
        }
    }

    /// Adds what a point has besides.
    pub fn add(&mut self, parameter: Parameter, extras: Extras) {
        self.extras.push((parameter, extras));
    }

    /// Writes all files anew.
    ///
    /// # Errors
    /// Where one cannot be written.
    pub fn write(&self, run: &Run) -> Result<()> {
        self.document(run)?;
        self.csv("sweep.csv", sweep_rows(run))?;
        self.csv("stages.csv", stage_rows(run))?;
        self.json(
            "analytics_results.json",
            &legacy::analytics_results(run, &self.extras),
        )?;
        self.json(
            "performance_metrics.json",
            &legacy::performance_metrics(run),
        )?;
        self.json(
            "server_stats.json",
            &legacy::server_stats(run, &self.extras),
        )
    }

    /// Writes `run.json` alone anew.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn document(&self, run: &Run) -> Result<()> {
        self.json("run.json", run)
    }

    fn json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.folder.join(name);
        let text = serde_json::to_string_pretty(value)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn csv(&self, name: &str, rows: impl Iterator<Item = impl Serialize>) -> Result<()> {
        let path = self.folder.join(name);
        let context = || format!("cannot write {}", path.display());
        let mut writer = csv::Writer::from_path(&path).with_context(context)?;
        for row in rows {
            writer.serialize(row).with_context(context)?;
        }
        writer.flush().with_context(context)
    }
}

/// Each point with its parameter.
fn points(run: &Run) -> impl Iterator<Item = (Parameter, &Point)> {
    let sweeps = run.sweeps.iter();
    sweeps.flat_map(|sweep| sweep.points.iter().map(|point| (sweep.parameter, point)))
}

fn sweep_rows(run: &Run) -> impl Iterator<Item = SweepRow<'_>> {
    points(run).flat_map(|(parameter, point)| {
        let skipped = point
            .repeats
            .is_empty()
            .then(|| sweep_row(parameter, point, None));
        let repeats = point.repeats.iter();
        repeats
            .map(move |repeat| sweep_row(parameter, point, Some(repeat)))
            .chain(skipped)
    })
}

fn sweep_row<'a>(parameter: Parameter, point: &'a Point, repeat: Option<&Repeat>) -> SweepRow<'a> {
    let settings = &point.settings;
    let cost = repeat.and_then(|repeat| repeat.cost.as_ref());
    let error = repeat.and_then(|repeat| repeat.error);
    let reasons = repeat.map_or(&point.reasons, |repeat| &repeat.reasons);
    let number = |of: fn(&Cost) -> f64| cost.map(of);
    let service = |name: &str| cost.and_then(|cost| cost.cpu_s_by_service.get(name).copied());
    SweepRow {
        parameter: work::name(parameter),
        label: &point.label,
        value: point.value,
        repeat: repeat.map(|repeat| repeat.repeat),
        status: repeat.map_or(point.status, |repeat| repeat.status),
        reasons: reasons.join("; "),
        meters: settings.meters,
        feeders: settings.feeders,
        interval_s: settings.interval_s,
        batch: settings.batch,
        windows: settings.windows,
        layout: &settings.layout,
        slots_used: settings.slots_used,
        profile: &settings.profile,
        speed: settings.speed,
        offered_reports_per_s: settings.offered_reports_per_s,
        latency_s: settings.latency_s,
        loss_ratio: settings.loss_ratio,
        min_meters: settings.min_meters,
        min_meters_lowered_from: settings.min_meters_lowered_from,
        reports: cost.map(|cost| cost.reports),
        readings: cost.map(|cost| cost.readings),
        reports_resent: cost.map(|cost| cost.reports_resent),
        reports_duplicate: cost.map(|cost| cost.reports_duplicate),
        windows_released: cost.map(|cost| cost.windows_released),
        wall_s: number(|cost| cost.wall_s),
        total_wall_s: number(|cost| cost.total_wall_s),
        reports_per_s: number(|cost| cost.reports_per_s),
        readings_per_s: number(|cost| cost.readings_per_s),
        bytes_per_report: number(|cost| cost.bytes_per_report),
        bytes_per_reading: number(|cost| cost.bytes_per_reading),
        published_bytes: cost.map(|cost| cost.published_bytes),
        cpu_s: number(|cost| cost.cpu_s),
        cpu_cores: number(|cost| cost.cpu_cores),
        cpu_us_per_report: number(|cost| cost.cpu_us_per_report),
        cpu_us_per_reading: number(|cost| cost.cpu_us_per_reading),
        cpu_s_meter: service("meter"),
        cpu_s_broker: service("broker"),
        cpu_s_analytics: service("analytics"),
        cpu_s_operator: service("operator"),
        cpu_s_bench: service("bench"),
        peak_rss_bytes: cost.and_then(|cost| cost.peak_rss_bytes),
        max_abs_error_wh: error.map(|error| error.max_abs_wh),
        bound_wh: error.map(|error| error.bound_wh),
        max_relative_error: error.map(|error| error.max_relative),
        bound_relative: error.map(|error| error.bound_relative),
    }
}

fn stage_rows(run: &Run) -> impl Iterator<Item = StageRow<'_>> {
    points(run).flat_map(|(parameter, point)| {
        point.repeats.iter().flat_map(move |repeat| {
            repeat
                .stages
                .iter()
                .map(move |stage| stage_row(parameter, point, repeat.repeat, stage))
        })
    })
}

fn stage_row<'a>(
    parameter: Parameter,
    point: &'a Point,
    repeat: u32,
    stage: &'a Stage,
) -> StageRow<'a> {
    StageRow {
        parameter: work::name(parameter),
        label: &point.label,
        value: point.value,
        repeat,
        stage: stage.stage,
        per: &stage.per,
        count: stage.count,
        total_s: stage.total_s,
        mean_s: stage.mean_s,
        p50_s: stage.p50_s,
        p90_s: stage.p90_s,
        p99_s: stage.p99_s,
        max_s: stage.max_s,
        cpu_us: stage.cpu_us,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Run {
        serde_json::from_str(include_str!("example.json")).unwrap()
    }

    #[test]
    fn a_row_for_each_repeat_and_for_each_point_that_was_not_run() {
        let (run, folder) = (example(), tempfile::tempdir().unwrap());
        Files::new(folder.path()).write(&run).unwrap();
        let read = |name: &str| {
            let mut reader = csv::Reader::from_path(folder.path().join(name)).unwrap();
            let header = reader.headers().unwrap().clone();
            let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            (header, rows)
        };
        let (header, rows) = read("sweep.csv");
        let repeats: usize = points(&run)
            .map(|(_, point)| point.repeats.len().max(1))
            .sum();
        assert_eq!(rows.len(), repeats);
        let column = |name: &str| header.iter().position(|field| field == name).unwrap();
        let skipped = rows
            .iter()
            .find(|row| &row[column("status")] == "skipped")
            .unwrap();
        assert!(skipped[column("reasons")].contains("--point-limit"));
        assert!(
            skipped[column("reports_per_s")].is_empty(),
            "not measured is empty, never 0"
        );
        let wrong = rows
            .iter()
            .find(|row| &row[column("status")] == "wrong")
            .unwrap();
        assert_eq!(&wrong[column("min_meters_lowered_from")], "15");
        let (_, stages) = read("stages.csv");
        let expected: usize = points(&run)
            .flat_map(|(_, point)| &point.repeats)
            .map(|r| r.stages.len())
            .sum();
        assert_eq!(stages.len(), expected);
    }

    #[test]
    fn run_json_comes_back_as_it_was() {
        let (run, folder) = (example(), tempfile::tempdir().unwrap());
        Files::new(folder.path()).write(&run).unwrap();
        let text = std::fs::read_to_string(folder.path().join("run.json")).unwrap();
        assert_eq!(serde_json::from_str::<Run>(&text).unwrap(), run);
    }
}
