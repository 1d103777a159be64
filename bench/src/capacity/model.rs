//! The model: what a report costs each service, from the steps of a load.
//!
//! Cores are taken to be idle + cost × rate, fitted by least squares over the steps that the pipeline managed, but for two,
//! which the model is then held against. Its uncertainty is the greatest deviation there.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) rate: f64,
    /// Cores, by service; the generator is left out.
    pub(crate) cores: BTreeMap<&'static str, f64>,
    pub(crate) written_bytes: f64,
    /// Of the database's log; 0 without one.
    pub(crate) wal_bytes: f64,
}

/// Cores as a function of the rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line {
    /// Cores without load.
    pub(crate) idle: f64,
    /// Core-seconds a report.
    pub(crate) cost_s: f64,
}

/// The model, and how it did on the steps it had not seen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    pub(crate) services: BTreeMap<&'static str, Line>,
    /// Steps it was held against.
    pub(crate) checks: Vec<Check>,
    pub(crate) knee: f64,
    /// Bytes written to the disk for a report, at that rate.
    pub(crate) written_bytes: f64,
    /// A rate, and the bytes a second that were written at it; ascending.
    written: Vec<(f64, f64)>,
    /// The same of the database's log.
    wal: Vec<(f64, f64)>,
}

/// A step that the model had not seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Check {
    pub(crate) rate: f64,
    pub(crate) measured: f64,
    pub(crate) modelled: f64,
}

/// Which service a thread of the load's process is part of; `None` for the generator, what is common, and the operator:
/// it agrees a key with each meter once in a key epoch, so what it needs in a short load says nothing of a long one.
fn service(role: &str) -> Option<&'static str> {
    ["broker", "analytics", "database"]
        .into_iter()
        .find(|service| role.starts_with(service))
}

/// The steps in a `load.json` that were right, within the limit, and not held up by the generator.
pub(crate) fn steps(load: &Value) -> Result<Vec<Step>> {
    let all = load["steps"]
        .as_array()
        .context("the load has no `steps`")?;
    let managed = all
        .iter()
        .filter(|step| step["correct"] == true && step["within_limit"] == true);
    let read = |step: &Value| {
        let mut cores = BTreeMap::new();
        for (role, used) in step["split"]["roles"].as_object()? {
            if let Some(service) = service(role) {
                *cores.entry(service).or_insert(0.0) += used.as_f64()?;
            }
        }
        Some(Step {
            rate: step["rate"].as_f64()?,
            cores,
            written_bytes: step["written_bytes_per_report"].as_f64()?,
            // Loads of before did not count it.
            wal_bytes: step["wal_bytes_per_report"].as_f64().unwrap_or(0.0),
        })
    };
    let mut steps: Vec<Step> = managed.filter_map(read).collect();
    steps.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    Ok(steps)
}

impl Line {
    /// The least-squares line through `points`, which goes through no negative idle.
    fn fit(points: &[(f64, f64)]) -> Self {
        let n = points.len() as f64;
        let mean = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / n;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let var: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        let cov: f64 = points
            .iter()
            .map(|point| (point.0 - x) * (point.1 - y))
            .sum();
        let (cost_s, idle) = (cov / var, y - cov / var * x);
        if idle >= 0.0 {
            return Self { idle, cost_s };
        }
        let squares: f64 = points.iter().map(|point| point.0 * point.0).sum();
        let products: f64 = points.iter().map(|point| point.0 * point.1).sum();
        Self {
            idle: 0.0,
            cost_s: products / squares,
        }
    }

    pub(crate) fn at(&self, rate: f64) -> f64 {
        self.idle + self.cost_s * rate
    }
}

/// On the lines between measured points; below the first and above the last in proportion to it.
fn between(points: &[(f64, f64)], rate: f64) -> f64 {
    let upper = points.partition_point(|point| point.0 < rate);
    match (
        upper.checked_sub(1).map(|lower| points[lower]),
        points.get(upper),
    ) {
        (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (rate - x0) / (x1 - x0),
        (Some((x, y)), None) | (None, Some(&(x, y))) => y * rate / x,
        (None, None) => 0.0,
    }
}

impl Model {
    pub(crate) fn new(steps: &[Step]) -> Result<Self> {
        ensure!(
            steps.len() >= 4,
            "{} usable steps; the model needs 4: `bench load` without --rate makes them",
            steps.len()
        );
        // Held against one in the lower half and one in the upper, neither of them an end.
        let unseen = [1, steps.len() - 2];
        let is_seen = |(index, _): &(usize, &Step)| !unseen.contains(index);
        let seen = || steps.iter().enumerate().filter(is_seen);
        let names = steps.iter().flat_map(|step| step.cores.keys().copied());
        let services: BTreeMap<_, _> = names
            .map(|name| {
                let of = |step: &Step| (step.rate, step.cores.get(name).copied().unwrap_or(0.0));
                let points: Vec<_> = seen().map(|(_, step)| of(step)).collect();
                (name, Line::fit(&points))
            })
            .collect();
        let checks = unseen
            .into_iter()
            .map(|index| Check {
                rate: steps[index].rate,
                measured: steps[index].cores.values().sum(),
                modelled: services
                    .values()
                    .map(|line| line.at(steps[index].rate))
                    .sum(),
            })
            .collect();
        let last = &steps[steps.len() - 1];
        Ok(Self {
            services,
            checks,
            knee: last.rate,
            written_bytes: last.written_bytes,
            written: steps
                .iter()
                .map(|step| (step.rate, step.rate * step.written_bytes))
                .collect(),
            wal: steps
                .iter()
                .map(|step| (step.rate, step.rate * step.wal_bytes))
                .collect(),
        })
    }

    /// Bytes a second written to the disk at a rate. A commit writes anew each sum that it adds to, so a report takes less of it the
    /// more of them there are.
    pub(crate) fn written_s(&self, rate: f64) -> f64 {
        between(&self.written, rate)
    }

    /// The same of the database's log.
    pub(crate) fn wal_s(&self, rate: f64) -> f64 {
        between(&self.wal, rate)
    }

    /// What each service takes: the head and rows of a table, to which rows can be added.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "| service | cores without load | core-microseconds a report |\n|---|---|---|\n",
        );
        for (service, line) in &self.services {
            let (idle, cost_us) = (line.idle, line.cost_s * 1e6);
            text += &format!("| {service} | {idle:.3} | {cost_us:.0} |\n");
        }
        text
    }

    /// Greatest relative deviation on a step it had not seen.
    pub(crate) fn uncertainty(&self) -> f64 {
        let off = |check: &Check| (check.modelled / check.measured - 1.0).abs();
        self.checks.iter().map(off).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(rate: f64, broker: f64, analytics: f64) -> Step {
        Step {
            rate,
            cores: BTreeMap::from([("broker", broker), ("analytics", analytics)]),
            written_bytes: 1000.0,
            wal_bytes: 0.0,
        }
    }

    #[test]
    fn a_line_is_found_and_held_against_steps_it_has_not_seen() {
        let steps: Vec<Step> = [500.0, 1000.0, 2000.0, 4000.0, 5000.0]
            .map(|rate| step(rate, 0.01 + rate * 2e-5, rate * 1e-4))
            .to_vec();
        let model = Model::new(&steps).unwrap();
        assert!((model.services["broker"].cost_s - 2e-5).abs() < 1e-9);
        assert!((model.services["broker"].idle - 0.01).abs() < 1e-9);
        assert!(model.uncertainty() < 1e-9);
        let rates: Vec<f64> = model.checks.iter().map(|check| check.rate).collect();
        assert_eq!(rates, [1000.0, 4000.0]);
        assert_eq!(model.knee, 5000.0);
    }

    #[test]
    fn what_is_written_at_a_rate_is_between_what_was_measured() {
        let points = [(100.0, 1000.0), (200.0, 1500.0)];
        let found = [50.0, 100.0, 150.0, 200.0, 400.0].map(|rate| between(&points, rate));
        assert_eq!(found, [500.0, 1000.0, 1250.0, 1500.0, 3000.0]);
    }

    #[test]
    fn a_deviation_of_an_unseen_step_is_the_uncertainty() {
        let mut steps: Vec<Step> = [500.0, 1000.0, 2000.0, 4000.0]
            .map(|rate| step(rate, 0.0, rate * 1e-4))
            .to_vec();
        steps[1].cores.insert("analytics", 0.2);
        assert!((Model::new(&steps).unwrap().uncertainty() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn no_idle_is_below_nothing_and_three_steps_are_too_few() {
        let line = Line::fit(&[(1000.0, 0.05), (2000.0, 0.2)]);
        assert_eq!(line.idle, 0.0);
        assert!(line.cost_s > 0.0);
        let steps = [1.0, 2.0, 3.0].map(|rate| step(rate, 0.1, 0.1));
        assert!(Model::new(&steps).is_err());
    }

    #[test]
    fn only_steps_the_pipeline_managed_count_and_the_generator_is_left_out() {
        let of = |rate: f64, correct: bool, within: bool| {
            serde_json::json!({"rate": rate, "correct": correct, "within_limit": within, "written_bytes_per_report": 5.0,
                "split": {"roles": {"generator": 1.0, "operator": 0.5, "broker, router": 0.1, "broker, connections": 0.2, "analytics": 0.3}}})
        };
        let load = serde_json::json!({"steps": [of(3.0, true, false), of(2.0, true, true), of(1.0, false, true)]});
        let steps = steps(&load).unwrap();
        assert_eq!(steps.len(), 1);
        assert!((steps[0].cores["broker"] - 0.3).abs() < 1e-9);
        assert_eq!(steps[0].cores.len(), 2);
    }
}
