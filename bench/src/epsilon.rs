//! `bench --sweep epsilon`: what noise leaves of a feeder's totals, by ε, by the number of homes, and by what ε is about.
//!
//! Simulated households say what a home consumes in an hour, over a week of January; noise is made for their class of capacity, 10 kW.
//! The error is that of noise which is drawn, as the operator draws it.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use harness::output::write_json;
use privacy::{Delta, Epsilon, Guarantee, Mechanism, sensitivity};
use readings::{FleetOptions, Mix, Reading, Simulated, Source as _};
use serde::Serialize;
use wire::{CapacityClass, PrivacyUnit, UnixSeconds, Watts};

use crate::output::table;

/// Homes on a feeder.
const HOMES: [u32; 3] = [50, 1_000, 30_000];
/// Length of an interval, in seconds.
const INTERVAL_S: u32 = 3_600;
/// Simulated homes, and hours of each.
const SIMULATED: (u32, u32) = (200, 7 * 24);
/// Monday, 6 January 2025, at midnight.
const JANUARY: u64 = 1_736_121_600;
/// A home's connection.
const CAPACITY: Watts = Watts(10_000);
/// Below one in the number of homes.
const DELTA: f64 = 1e-6;
/// Intervals of a day.
const DAY: u32 = 86_400 / INTERVAL_S;

/// A unit, a mechanism, an ε and a number of homes.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    homes: u32,
    unit: &'static str,
    mechanism: &'static str,
    epsilon: f64,
    delta: Option<f64>,
    /// Of the noise of an hour.
    scale_wh: f64,
    half_width_wh: u64,
    /// Mean error of an hour that was drawn, as a share of the feeder's mean energy of an hour.
    error: f64,
    /// The half-width of the 95 % interval, as the same share.
    half_width: f64,
}

/// All rows.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Epsilons {
    /// Mean energy of a home in an hour, in watt-hours.
    home_mean_wh: f64,
    /// The greatest capacity of the class that the noise is made for, in watts.
    capacity_w: u64,
    /// The greatest difference that one home makes to an hour, in watt-hours.
    sensitivity_wh: u64,
    draws: usize,
    rows: Vec<Row>,
    /// Whether the errors drawn are those of the distributions.
    pub(crate) correct: bool,
}

/// Draws the noise of these ε.
///
/// # Errors
/// A value is no ε, or the customers cannot be read.
pub(crate) fn run((values, quick): (&[String], bool), results: &Path) -> Result<Epsilons> {
    let epsilons = epsilons(values)?;
    let class = CapacityClass::of(CAPACITY).context("a class of 10 kW")?;
    let mut run = Epsilons {
        home_mean_wh: home_mean_wh()?,
        capacity_w: class.watts().0,
        sensitivity_wh: sensitivity(class.watts().0, INTERVAL_S, 1),
        draws: if quick { 1_000 } else { 10_000 },
        rows: Vec::new(),
        correct: true,
    };
    for unit in [PrivacyUnit::Interval, PrivacyUnit::HouseholdDay] {
        for delta in [None, Some(Delta::try_from(DELTA)?)] {
            for &epsilon in &epsilons {
                run.measure(&Guarantee {
                    unit,
                    epsilon,
                    delta,
                })?;
            }
        }
    }
    write_json(results, "epsilon.json", &run)?;
    Ok(run)
}

/// Mean energy of a simulated household in an hour, in watt-hours.
fn home_mean_wh() -> Result<f64> {
    let (meters, hours) = SIMULATED;
    let mut homes = Simulated::new(&FleetOptions {
        meters,
        mix: Mix {
            household: 1.0,
            business: 0.0,
            solar: 0.0,
        },
        ..FleetOptions::default()
    })?;
    let mut readings = Vec::new();
    let (mut uwh, mut found) = (0.0, 0.0);
    for hour in 0..hours {
        let at = UnixSeconds(JANUARY + u64::from(hour * INTERVAL_S));
        homes.read(at, INTERVAL_S, &mut readings)?;
        for reading in &readings {
            if let Reading::Energy(energy) = reading {
                (uwh, found) = (uwh + energy.0 as f64, found + 1.0);
            }
        }
    }
    ensure!(found > 0.0, "no household has a reading");
    Ok(uwh / found / 1e6)
}

impl Epsilons {
    fn measure(&mut self, guarantee: &Guarantee) -> Result<()> {
        let noise = guarantee.noise(self.sensitivity_wh, DAY);
        let mut error = 0.0;
        for _ in 0..self.draws {
            error += noise.draw()?.unsigned_abs() as f64;
        }
        error /= self.draws as f64;
        let expected = match guarantee.mechanism() {
            Mechanism::Laplace => noise.scale(),
            Mechanism::Gaussian => noise.scale() * std::f64::consts::FRAC_2_PI.sqrt(),
        };
        // Of 1,000 draws the mean error is within a fifth, but for once in a billion times.
        self.correct &= (error / expected - 1.0).abs() < 0.2;
        self.rows.extend(HOMES.map(|homes| {
            let feeder_wh = f64::from(homes) * self.home_mean_wh;
            Row {
                homes,
                unit: guarantee.unit.as_str(),
                mechanism: guarantee.mechanism().as_str(),
                epsilon: guarantee.epsilon.value(),
                delta: guarantee.delta.map(Delta::value),
                scale_wh: noise.scale(),
                half_width_wh: noise.half_width(),
                error: error / feeder_wh,
                half_width: noise.half_width() as f64 / feeder_wh,
            }
        }));
        Ok(())
    }

    pub(crate) fn text(&self) -> String {
        let columns = "unit|noise|epsilon|scale kWh|error 50 homes|1,000|30,000|95 % within, 50 homes|1,000|30,000";
        let mut table = table(2, columns);
        let percent = |share: f64| match share * 100.0 {
            large if large >= 10.0 => format!("{large:.0} %"),
            small => format!("{small:.2} %"),
        };
        for rows in self.rows.chunks(HOMES.len()) {
            let row = &rows[0];
            let mut cells = vec![
                row.unit.to_owned(),
                row.mechanism.to_owned(),
                row.epsilon.to_string(),
                format!("{:.1}", row.scale_wh / 1e3),
            ];
            cells.extend(rows.iter().map(|row| percent(row.error)));
            cells.extend(rows.iter().map(|row| percent(row.half_width)));
            table.add_row(cells);
        }
        format!(
            "{table}\nhours, {} of a day; a home uses {:.0} Wh in one, and makes a difference of {} Wh at most (class up to {} W)\n\
             error: mean of {} draws, as a share of the feeder's mean energy of an hour; gaussian: delta {DELTA:e}\n",
            DAY, self.home_mean_wh, self.sensitivity_wh, self.capacity_w, self.draws
        )
    }
}

/// The ε of these texts; from 0.1 to 10 if there is none.
///
/// # Errors
/// A text is no ε.
pub(crate) fn epsilons(values: &[String]) -> Result<Vec<Epsilon>> {
    if values.is_empty() {
        let defaults = [0.1, 0.3, 1.0, 3.0, 10.0];
        return Ok(defaults
            .into_iter()
            .map(Epsilon::try_from)
            .collect::<Result<_, _>>()?);
    }
    let of = |text: &String| {
        let epsilon = text.parse::<f64>().ok().map(Epsilon::try_from);
        let epsilon = epsilon.and_then(Result::ok);
        ensure!(
            epsilon.is_some(),
            "--values {text} of --sweep epsilon: expected a number from 0.001 to 100, such as 0.5"
        );
        epsilon.context("just checked")
    };
    values.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_day_on_fifty_homes_is_useless_and_an_interval_on_thirty_thousand_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let run = run((&["1".to_owned()], true), folder.path()).unwrap();
        assert!(run.correct);
        let error = |homes, unit, mechanism| {
            let mut rows = run.rows.iter();
            let row =
                rows.find(|row| (row.homes, row.unit, row.mechanism) == (homes, unit, mechanism));
            row.unwrap().error
        };
        assert!(error(50, "household-day", "laplace") > 1.0);
        assert!(error(30_000, "interval", "laplace") < 0.01);
        assert!(
            error(30_000, "household-day", "gaussian") < error(30_000, "household-day", "laplace")
        );
        assert!(run.text().contains("household-day"));
    }

    #[test]
    fn a_value_that_is_no_epsilon_is_refused() {
        let error = epsilons(&["0".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("--values 0 of --sweep epsilon"), "{error}");
    }
}
