//! `bench capacity`: what a city or a country needs, from measured costs.
//!
//! It reads a run that `bench report` joined: the steps of the load, the sealing time of the sweeps, the memory of the budget.
//! It prints Markdown; `docs/capacity.md` has the output and what it assumes.

mod cells;
pub(crate) mod model;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::ratio::figure;
use crate::report::run_in;
use crate::results::schema::{Run, StageName};
use model::Model;

/// What to base it on, and what for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Results folder with `run.json`, in which a load, a budget and a sweep are joined
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Bytes of analytics' store for a report, by `cargo bench -p analytics --bench memory`: its size over its reports
    #[arg(long, value_name = "BYTES")]
    pub(crate) store_bytes: f64,
    /// Share of a core that is planned to be used
    #[arg(long, default_value_t = 0.6)]
    pub(crate) utilisation: f64,
    #[command(flatten)]
    pub(crate) cells: cells::PoolOptions,
}

/// Meters of a city and of a country.
const PLACES: [(&str, f64); 2] = [("city", 1e6), ("country", 30e6)];

/// How often a meter reads and reports, the latter in seconds too.
const RHYTHMS: [(&str, f64); 6] = [
    ("half-hourly, a report a day", 86_400.0),
    ("half-hourly, as they come", 1800.0),
    ("quarter-hourly, as they come", 900.0),
    ("five minutes, a report a quarter hour", 900.0),
    ("one minute, a report a quarter hour", 900.0),
    ("one minute, as they come", 60.0),
];

/// Meters on a feeder, for the number of sums.
const METERS_A_FEEDER: f64 = 1000.0;
/// Days for which contributors are kept: `analytics.retention`.
const RETENTION_DAYS: f64 = 7.0;

struct Costs {
    bytes: f64,
    seal_s: f64,
    /// Of the operator, for a report: its pads, and its share in opening the sum.
    open_s: f64,
    memory_mb: f64,
    store_bytes: f64,
}

pub(crate) fn text(options: &Options) -> Result<String> {
    let run = run_in(&options.folder)?;
    let load = run.load.as_ref();
    let load = load.context("the run has no load: `bench load`, then `bench report` to join it")?;
    let model = Model::new(&model::steps(load)?)?;
    let costs = costs(&run, options)?;
    let cells = cells::text(&options.cells, &costs, options.utilisation)?;
    Ok(measured(&model, &costs) + &needs(&model, &costs, options.utilisation) + &cells)
}

fn costs(run: &Run, options: &Options) -> Result<Costs> {
    let mut points = run.sweeps.iter().flat_map(|sweep| &sweep.points);
    let median = points
        .find_map(|point| point.median.as_ref())
        .context("the run has no point that is right: `bench --sweep meters`")?;
    let seal = median.stage_p50_s.get(&StageName::Seal);
    let seal = seal.context("the sweep has no sealing time")?;
    Ok(Costs {
        bytes: median.bytes_per_report.median,
        seal_s: seal.median,
        open_s: (budget(run, "unmask")? + budget(run, "open")? / METERS_A_FEEDER) / 1e6,
        memory_mb: budget(run, "memory")?,
        store_bytes: options.store_bytes,
    })
}

/// What a row of the budget measured, in its unit.
fn budget(run: &Run, row: &str) -> Result<f64> {
    let rows = run
        .budget
        .as_ref()
        .and_then(|budget| budget["rows"].as_array());
    rows.and_then(|rows| rows.iter().find(|found| found["row"] == row))
        .and_then(|row| row["value"]["median"].as_f64())
        .with_context(|| {
            format!("the run has no {row}: `bench budget --rows unmask,open,memory`, then `bench report` to join it")
        })
}

fn measured(model: &Model, costs: &Costs) -> String {
    let mut text = model.table();
    text += &format!(
        "| the operator, to open | | {:.1} |\n| a gateway, to seal | | {:.0} |\n\nA report is {} bytes; {} bytes are written to the disk for it, {} stay in the store until its \
         window's retention is over. Largest rate managed: {} reports/s.\n\n",
        costs.open_s * 1e6,
        costs.seal_s * 1e6,
        figure(costs.bytes),
        figure(model.written_bytes),
        figure(costs.store_bytes),
        figure(model.knee),
    );
    text += "| held against | measured cores | modelled cores | deviation |\n|---|---|---|---|\n";
    for check in &model.checks {
        text += &format!(
            "| {} reports/s | {:.3} | {:.3} | {:+.0} % |\n",
            figure(check.rate),
            check.measured,
            check.modelled,
            (check.modelled / check.measured - 1.0) * 100.0
        );
    }
    text + &format!(
        "\nUncertainty of the cores below: ± {:.0} %.\n\n",
        model.uncertainty() * 100.0
    )
}

fn needs(model: &Model, costs: &Costs, utilisation: f64) -> String {
    let mut text = String::from(
        "| place | rhythm | reports/s | analytics processes | cores: broker | analytics | operator | gateways | \
         analytics memory | network into the broker | disk writes | store, a week |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (place, meters) in PLACES {
        for (rhythm, every_s) in RHYTHMS {
            let rate = meters / every_s;
            let processes = rate / model.knee / utilisation;
            let processes = processes.ceil().max((meters / 1e6).ceil());
            let cores = |service: &str| {
                let line = model.services.get(service);
                let used = line.map_or(0.0, |line| line.idle * processes + line.cost_s * rate);
                used / utilisation
            };
            let reports = meters * (RETENTION_DAYS * 86_400.0 / every_s);
            text += &format!(
                "| {place} | {rhythm} | {} | {processes:.0} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} GB | {:.1} Mbit/s | {:.1} MB/s | {:.1} GB |\n",
                figure(rate),
                cores("broker"),
                cores("analytics"),
                costs.open_s * rate / utilisation,
                costs.seal_s * rate / utilisation,
                costs.memory_mb / 1e3 * meters / 1e6,
                rate * costs.bytes * 8.0 / 1e6,
                processes * model.written_s(rate / processes) / 1e6,
                reports * costs.store_bytes / 1e9,
            );
        }
    }
    text + &format!(
        "\nCores at {:.0} % use. A feeder is taken to have {METERS_A_FEEDER:.0} meters, two windows open. The broker sends to analytics what it receives.\n",
        utilisation * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        let mut run: Run = serde_json::from_str(include_str!("../results/example.json")).unwrap();
        let step = |rate: f64| {
            serde_json::json!({"rate": rate, "correct": true, "within_limit": true, "written_bytes_per_report": 3000.0,
                "split": {"roles": {"broker": rate * 1e-5, "analytics": rate * 1e-4}}})
        };
        let steps = [500.0, 1000.0, 2000.0, 4000.0].map(step);
        run.load = Some(serde_json::json!({"steps": steps}));
        let row = |(name, value): (&str, f64)| serde_json::json!({"row": name, "value": {"median": value}});
        let rows = [("memory", 200.0), ("unmask", 1.0), ("open", 100.0)].map(row);
        run.budget = Some(serde_json::json!({ "rows": rows }));
        run
    }

    fn options(run: &Run) -> (tempfile::TempDir, Options) {
        let folder = tempfile::tempdir().unwrap();
        let text = serde_json::to_string(run).unwrap();
        std::fs::write(folder.path().join("run.json"), text).unwrap();
        let options = Options {
            folder: folder.path().to_owned(),
            store_bytes: 90.0,
            utilisation: 0.5,
            cells: cells::PoolOptions {
                pool_load: None,
                database_bytes: None,
            },
        };
        (folder, options)
    }

    #[test]
    fn a_city_that_reports_every_quarter_of_an_hour_needs_what_the_arithmetic_says() {
        let (_folder, options) = options(&run());
        let text = text(&options).unwrap();
        let row = text
            .lines()
            .find(|line| line.contains("city | quarter-hourly"))
            .unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[3], "1,111");
        // 1,111 reports/s of 100 µs, planned at half of a core.
        assert_eq!(cells[6], "0.2");
        assert!(text.contains("± 0 %"), "{text}");
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_measures_it() {
        let mut run = run();
        run.budget = None;
        let (_folder, options) = options(&run);
        let error = text(&options).unwrap_err().to_string();
        assert!(
            error.contains("bench budget --rows unmask,open,memory"),
            "{error}"
        );
    }
}
