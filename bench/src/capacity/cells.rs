//! Cells: a million meters each, with a broker, a pool of analytics processes, a PostgreSQL server and its synchronous standby.
//!
//! The roster of a deployment has room for no more (its pages), so a country is many of them, which share nothing.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::model::{self, Model};
use super::{Costs, RETENTION_DAYS, RHYTHMS};
use crate::ratio::figure;

/// Meters of a cell.
const CELL: f64 = 1e6;

/// Meters of a city, of a region and of a country.
const PLACES: [f64; 3] = [1e6, 10e6, 30e6];

/// Feeders of a cell: a commit writes the sums of all that reported since the last one.
const FEEDERS: u64 = 1_000;

/// A server and its standby.
const SERVERS: f64 = 2.0;

/// What cells are computed from.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PoolOptions {
    /// load.json of `bench load --store postgres --analytics 2`: cells are computed too
    #[arg(long, value_name = "FILE", requires = "database_bytes")]
    pub(crate) pool_load: Option<PathBuf>,
    /// Bytes of the database for a report of a settled sum, by `.ci/postgres cost --nocapture`
    #[arg(long, value_name = "BYTES", requires = "pool_load")]
    pub(crate) database_bytes: Option<f64>,
}

/// What a report costs a cell.
struct Cell {
    model: Model,
    /// Processes of the pool that was measured.
    measured_processes: f64,
    database_bytes: f64,
    utilisation: f64,
}

/// What a cell needs at one rhythm.
struct Needs {
    rate: f64,
    processes: f64,
    broker: f64,
    pool: f64,
    /// Of the server; the standby is not measured, and writes what the server writes.
    database: f64,
    operator: f64,
    reports_bits_s: f64,
    wal_bytes_s: f64,
    written_bytes_s: f64,
    stored_bytes: f64,
}

impl Cell {
    fn needs(&self, costs: &Costs, every_s: f64) -> Needs {
        let rate = CELL / every_s;
        let a_process = self.model.knee / self.measured_processes;
        // One is lost, and the others manage; or none is, and all are used as planned.
        let processes =
            ((rate / a_process).ceil() + 1.0).max((rate / a_process / self.utilisation).ceil());
        let cores = |service: &str, units: f64| {
            let line = self.model.services.get(service);
            let used = line.map_or(0.0, |line| line.idle * units + line.cost_s * rate);
            used / self.utilisation
        };
        Needs {
            rate,
            processes,
            broker: cores("broker", 1.0),
            pool: cores("analytics", processes / self.measured_processes),
            database: cores("database", 1.0),
            operator: costs.open_s * rate / self.utilisation,
            reports_bits_s: rate * costs.bytes * 8.0,
            wal_bytes_s: self.model.wal_s(rate),
            written_bytes_s: self.model.written_s(rate),
            stored_bytes: CELL * (RETENTION_DAYS * 86_400.0 / every_s) * self.database_bytes,
        }
    }
}

/// Tables of cells, or nothing where no pool was measured.
pub(super) fn text(options: &PoolOptions, costs: &Costs, utilisation: f64) -> Result<String> {
    let (Some(path), Some(database_bytes)) = (&options.pool_load, options.database_bytes) else {
        return Ok(String::new());
    };
    let text = fs::read_to_string(path).with_context(|| format!("reading {path:?}"))?;
    let load: Value = serde_json::from_str(&text).with_context(|| format!("in {path:?}"))?;
    anyhow::ensure!(
        load["store"] == "postgres",
        "{path:?} is not of a load over PostgreSQL: `bench load --store postgres --analytics 2`"
    );
    anyhow::ensure!(
        load["feeders"].as_u64() >= Some(FEEDERS),
        "{path:?} is of fewer than {FEEDERS} feeders, and a cell has so many: add --feeders {FEEDERS}"
    );
    let cell = Cell {
        model: Model::new(&model::steps(&load)?)?,
        measured_processes: load["analytics"]
            .as_f64()
            .context("`analytics` is missing")?,
        database_bytes,
        utilisation,
    };
    let needs = RHYTHMS.map(|(rhythm, every_s)| (rhythm, cell.needs(costs, every_s)));
    Ok(measured(&cell) + &one_cell(&needs) + &places(&needs))
}

fn measured(cell: &Cell) -> String {
    let model = &cell.model;
    format!(
        "\n## Cells\n\nOver PostgreSQL, with {:.0} analytics processes:\n\n{}\n{} bytes of a report stay in the database until its window's retention is \
         over. Largest rate managed, with all of it on this machine: {} reports/s, of which a process is taken to manage its share and no more; \
         a broker and a server are taken to manage a cell. Uncertainty of the cores: ± {:.0} %.\n",
        cell.measured_processes,
        model.table(),
        figure(cell.database_bytes),
        figure(model.knee),
        model.uncertainty() * 100.0
    )
}

fn one_cell(needs: &[(&str, Needs)]) -> String {
    let mut text = String::from(
        "\nA cell of a million meters:\n\n| rhythm | reports/s | analytics processes | cores: broker | pool | database | operator | \
         network: meters to broker, and on to the pool | pool to database, and on to its standby | disk writes of each server | database, a week |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (rhythm, cell) in needs {
        text += &format!(
            "| {rhythm} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} Mbit/s | {:.1} Mbit/s | {:.1} MB/s | {:.1} GB |\n",
            figure(cell.rate),
            cell.processes,
            cell.broker,
            cell.pool,
            cell.database,
            cell.operator,
            cell.reports_bits_s / 1e6,
            cell.wal_bytes_s * 8.0 / 1e6,
            cell.written_bytes_s / 1e6,
            cell.stored_bytes / 1e9,
        );
    }
    text
}

fn places(needs: &[(&str, Needs)]) -> String {
    let mut text = String::from(
        "\nCells for all of a place, each with one broker, one operator and a server with a standby:\n\n\
         | meters | rhythm | cells | brokers | analytics processes | PostgreSQL servers | cores, without standbys | reports into brokers | \
         disk writes, standbys included | databases, a week, standbys included |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for meters in PLACES {
        let cells = (meters / CELL).ceil();
        for (rhythm, cell) in needs {
            let cores = cell.broker + cell.pool + cell.database + cell.operator;
            text += &format!(
                "| {:.0} million | {rhythm} | {cells:.0} | {cells:.0} | {:.0} | {:.0} | {:.0} | {:.1} Gbit/s | {:.0} MB/s | {:.1} TB |\n",
                meters / 1e6,
                cells * cell.processes,
                cells * SERVERS,
                cells * cores,
                cells * cell.reports_bits_s / 1e9,
                cells * SERVERS * cell.written_bytes_s / 1e6,
                cells * SERVERS * cell.stored_bytes / 1e12,
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs() -> Costs {
        Costs {
            bytes: 12_000.0,
            seal_s: 1e-4,
            open_s: 1e-6,
            memory_mb: 200.0,
            store_bytes: 10.0,
        }
    }

    /// The load of a pool of two, in which each of them costs 100 µs a report.
    fn options(store: &str) -> (tempfile::NamedTempFile, PoolOptions) {
        let step = |rate: f64| {
            serde_json::json!({"rate": rate, "correct": true, "within_limit": true, "written_bytes_per_report": 3000.0,
                "wal_bytes_per_report": 1000.0,
                "split": {"roles": {"broker": rate * 1e-5, "analytics": rate * 1e-4, "database": rate * 2e-4}}})
        };
        let steps = [500.0, 1000.0, 2000.0, 4000.0].map(step);
        let load =
            serde_json::json!({"store": store, "analytics": 2, "feeders": FEEDERS, "steps": steps});
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), load.to_string()).unwrap();
        let options = PoolOptions {
            pool_load: Some(file.path().to_owned()),
            database_bytes: Some(11.0),
        };
        (file, options)
    }

    fn row<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
        let row = text.lines().find(|line| line.starts_with(start));
        row.unwrap().split('|').map(str::trim).collect()
    }

    #[test]
    fn a_country_is_as_many_cells_as_it_has_millions_of_meters() {
        let (_file, options) = options("postgres");
        let text = text(&options, &costs(), 0.5).unwrap();
        // 1,111 reports/s, of which a process may have 4,000 / 2 at half use; 200 µs of the database each.
        let cell = row(&text, "| quarter-hourly, as they come");
        assert_eq!(cell[2..4], ["1,111", "2"]);
        assert_eq!(cell[4..7], ["0.0", "0.2", "0.4"]);
        // A megabyte a thousand reports of log, 8.9 Mbit/s.
        assert_eq!(cell[9], "8.9 Mbit/s");
        // 16,667 reports/s.
        assert_eq!(row(&text, "| one minute, as they come")[3], "17");
        let country = row(&text, "| 30 million | quarter-hourly");
        assert_eq!(country[3..7], ["30", "30", "60", "60"]);
        assert_eq!(row(&text, "| 1 million | quarter-hourly")[3], "1");
    }

    #[test]
    fn a_load_of_one_file_is_no_cell() {
        let (_file, options) = options("file");
        let error = text(&options, &costs(), 0.5).unwrap_err().to_string();
        assert!(error.contains("--store postgres"), "{error}");
        let none = PoolOptions {
            pool_load: None,
            database_bytes: None,
        };
        assert_eq!(text(&none, &costs(), 0.5).unwrap(), "");
    }
}
