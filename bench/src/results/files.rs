//! `run.json`, `sweep.csv`, `stages.csv` and the files of [`super::legacy`].

use std::path::{Path, PathBuf};

use anyhow::Result;
use harness::output::write_json;
use serde_json::{Value, json};

use super::extras::Extras;
use super::legacy;
use super::schema::{Parameter, Point, Run};
use crate::output::write_csv;
use crate::sweep::parameter;

/// Columns of `sweep.csv`: a line for each repeat, and for each point that was not run.
const SWEEP: &str = "parameter label=point.label value=point.value repeat=repeat.repeat status reasons
    meters=point.settings.meters feeders=point.settings.feeders interval_s=point.settings.interval_s
    batch=point.settings.batch windows=point.settings.windows layout=point.settings.layout
    coefficients=point.settings.coefficients profile=point.settings.profile speed=point.settings.speed
    offered_reports_per_s=point.settings.offered_reports_per_s latency_s=point.settings.latency_s
    loss_ratio=point.settings.loss_ratio min_meters=point.settings.min_meters
    min_meters_lowered_from=point.settings.min_meters_lowered_from reports=repeat.cost.reports
    readings=repeat.cost.readings reports_resent=repeat.cost.reports_resent
    reports_duplicate=repeat.cost.reports_duplicate windows_released=repeat.cost.windows_released
    wall_s=repeat.cost.wall_s total_wall_s=repeat.cost.total_wall_s reports_per_s=repeat.cost.reports_per_s
    readings_per_s=repeat.cost.readings_per_s bytes_per_report=repeat.cost.bytes_per_report
    bytes_per_reading=repeat.cost.bytes_per_reading published_bytes=repeat.cost.published_bytes
    cpu_s=repeat.cost.cpu_s cpu_cores=repeat.cost.cpu_cores cpu_us_per_report=repeat.cost.cpu_us_per_report
    cpu_us_per_reading=repeat.cost.cpu_us_per_reading cpu_s_meter=repeat.cost.cpu_s_by_service.meter
    cpu_s_broker=repeat.cost.cpu_s_by_service.broker cpu_s_analytics=repeat.cost.cpu_s_by_service.analytics
    cpu_s_operator=repeat.cost.cpu_s_by_service.operator cpu_s_bench=repeat.cost.cpu_s_by_service.bench
    peak_rss_bytes=repeat.cost.peak_rss_bytes exact=repeat.error.exact
    max_abs_error_wh=repeat.error.max_abs_wh max_relative_error=repeat.error.max_relative
    quantum_wh=repeat.error.quantum_wh";

/// Columns of `stages.csv`: a line for each stage of a repeat.
const STAGES: &str =
    "parameter label value repeat stage=stage.stage per=stage.per count=stage.count
    total_s=stage.total_s mean_s=stage.mean_s p50_s=stage.p50_s p90_s=stage.p90_s p99_s=stage.p99_s
    max_s=stage.max_s cpu_us=stage.cpu_us";

/// Writes a run into its folder, as often as there is something new.
pub(crate) struct Files {
    folder: PathBuf,
    extras: Vec<(Parameter, Extras)>,
}

impl Files {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            extras: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, parameter: Parameter, extras: Extras) {
        self.extras.push((parameter, extras));
    }

    pub(crate) fn write(&self, run: &Run) -> Result<()> {
        let folder = &self.folder;
        let extras = &self.extras;
        write_json(folder, "run.json", run)?;
        write_csv(folder, "sweep.csv", SWEEP, sweep_lines(run))?;
        write_csv(folder, "stages.csv", STAGES, stage_lines(run))?;
        let analytics = legacy::analytics_results(run, extras);
        write_json(folder, "analytics_results.json", &analytics)?;
        let performance = legacy::performance_metrics(run);
        write_json(folder, "performance_metrics.json", &performance)?;
        write_json(
            folder,
            "server_stats.json",
            &legacy::server_stats(run, extras),
        )
    }
}

fn points(run: &Run) -> impl Iterator<Item = (String, &Point)> {
    let sweeps = run.sweeps.iter();
    sweeps.flat_map(|sweep| {
        let name = parameter::name(sweep.parameter);
        sweep.points.iter().map(move |point| (name.clone(), point))
    })
}

fn sweep_lines(run: &Run) -> impl Iterator<Item = Value> {
    points(run).flat_map(|(parameter, point)| {
        let settings = json!({"label": point.label, "value": point.value, "settings": point.settings});
        let skipped = point.repeats.is_empty().then(|| {
            let reasons = point.reasons.join("; ");
            json!({"parameter": parameter, "point": settings, "status": point.status, "reasons": reasons})
        });
        let repeats = point.repeats.iter().map(|repeat| {
            let reasons = repeat.reasons.join("; ");
            json!({"parameter": parameter, "point": settings, "repeat": repeat, "status": repeat.status, "reasons": reasons})
        });
        repeats.chain(skipped).collect::<Vec<_>>()
    })
}

fn stage_lines(run: &Run) -> impl Iterator<Item = Value> {
    points(run).flat_map(|(parameter, point)| {
        let stages = point.repeats.iter().flat_map(|repeat| {
            let stages = repeat.stages.iter();
            stages.map(|stage| (repeat.repeat, stage))
        });
        let line = |(repeat, stage)| {
            json!({"parameter": parameter, "label": point.label, "value": point.value, "repeat": repeat, "stage": stage})
        };
        stages.map(line).collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_row_for_each_repeat_and_each_point_that_was_not_run_and_run_json_has_it_all() {
        let run: Run = serde_json::from_str(include_str!("example.json")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        Files::new(folder.path()).write(&run).unwrap();
        let read = |name: &str| {
            let mut reader = csv::Reader::from_path(folder.path().join(name)).unwrap();
            let header = reader.headers().unwrap().clone();
            let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            (header, rows)
        };
        let (header, rows) = read("sweep.csv");
        let repeats = points(&run).map(|(_, point)| point.repeats.len().max(1));
        assert_eq!(rows.len(), repeats.sum::<usize>());
        let column = |name: &str| header.iter().position(|field| field == name).unwrap();
        let of = |status: &str| {
            rows.iter()
                .find(|row| &row[column("status")] == status)
                .unwrap()
        };
        let skipped = of("skipped");
        assert!(skipped[column("reasons")].contains("--point-limit"));
        assert!(
            skipped[column("reports_per_s")].is_empty(),
            "not measured is empty, never 0"
        );
        assert_eq!(&of("wrong")[column("min_meters_lowered_from")], "15");
        let (_, stages) = read("stages.csv");
        let repeats = points(&run).flat_map(|(_, point)| &point.repeats);
        let expected = repeats.map(|repeat| repeat.stages.len());
        assert_eq!(stages.len(), expected.sum::<usize>());
        let text = std::fs::read_to_string(folder.path().join("run.json")).unwrap();
        assert_eq!(serde_json::from_str::<Run>(&text).unwrap(), run);
    }
}
