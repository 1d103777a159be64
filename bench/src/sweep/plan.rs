//! Which points are run: all that were asked for, less those that this machine or the time does not allow.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::results::environment;
use crate::results::schema::Parameter;

use super::Options;
use super::estimate::Estimate;
use super::parameter;
use super::work::Work;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    pub(crate) work: Work,
    pub(crate) estimate_s: f64,
    pub(crate) skip: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) sweeps: Vec<(Parameter, Vec<Planned>)>,
}

impl Plan {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let mut parameters = options.sweeps.clone();
        let mut seen = std::collections::BTreeSet::new();
        parameters.retain(|parameter| seen.insert(*parameter));
        ensure!(
            options.values.is_empty() || parameters.len() == 1,
            "--values are those of one parameter, and --sweep names {}",
            parameters.len()
        );
        let sweep = |parameter: Parameter| {
            let defaults = parameter::default_values(parameter, options.quick);
            let labels: Vec<&str> = match options.values.is_empty() {
                true => defaults,
                false => options.values.iter().map(String::as_str).collect(),
            };
            let planned = labels.into_iter().map(|label| {
                let work = Work::of(parameter, label, options)?;
                Ok(Planned {
                    work,
                    estimate_s: 0.0,
                    skip: None,
                })
            });
            Ok((parameter, planned.collect::<Result<Vec<_>>>()?))
        };
        let sweeps = parameters.into_iter().map(sweep).collect::<Result<_>>()?;
        Ok(Self { sweeps })
    }

    /// The same with estimates, and without the points that do not fit: one repeat is longer than the limit, the memory
    /// is not there, or the seconds `left` for all points are used up. Those are dealt out in turns, so that each sweep
    /// gets its first points.
    pub(crate) fn within(
        mut self,
        estimate: &Estimate,
        options: &Options,
        left: Option<f64>,
    ) -> Self {
        let memory = environment::memory_available();
        let limit = options.point_limit.as_secs_f64();
        for planned in self.sweeps.iter_mut().flat_map(|(_, points)| points) {
            planned.estimate_s = estimate.seconds(&planned.work);
            let bytes = estimate.bytes(&planned.work);
            planned.skip = if planned.estimate_s > limit {
                Some(format!(
                    "a repeat is estimated to take {:.0} s, longer than --point-limit {limit:.0}s",
                    planned.estimate_s
                ))
            } else if memory.is_some_and(|memory| bytes > memory) {
                Some(format!(
                    "needs about {} MiB of memory, more than is free",
                    bytes >> 20
                ))
            } else {
                None
            };
        }
        let Some(mut left) = left else { return self };
        let longest = self
            .sweeps
            .iter()
            .map(|(_, points)| points.len())
            .max()
            .unwrap_or(0);
        for place in 0..longest {
            for (_, points) in &mut self.sweeps {
                let Some(planned) = points
                    .get_mut(place)
                    .filter(|planned| planned.skip.is_none())
                else {
                    continue;
                };
                let takes = planned.estimate_s
                    * f64::from(options.repeats() + u32::from(place == 0) * options.warmup());
                if takes <= left {
                    left -= takes;
                } else {
                    planned.skip = Some(format!(
                        "--quick: {takes:.1} s more would not fit into a minute"
                    ));
                }
            }
        }
        self
    }

    pub(crate) fn seconds(&self, options: &Options) -> f64 {
        let of = |points: &Vec<Planned>| {
            let run: Vec<f64> = points
                .iter()
                .filter(|point| point.skip.is_none())
                .map(|point| point.estimate_s)
                .collect();
            run.iter().sum::<f64>() * f64::from(options.repeats())
                + run.first().unwrap_or(&0.0) * f64::from(options.warmup())
        };
        self.sweeps.iter().map(|(_, points)| of(points)).sum()
    }

    pub(crate) fn announce(&self, options: &Options, calibration: Duration) -> String {
        let points = || self.sweeps.iter().flat_map(|(_, points)| points);
        let skipped = points().filter(|point| point.skip.is_some()).count();
        let about = Duration::from_secs(self.seconds(options).ceil() as u64);
        let mut text = format!(
            "{}, {}, {} of each: about {} (the machine was tried for {:.1} s)",
            number(self.sweeps.len(), "sweep"),
            number(points().count() - skipped, "point"),
            number(options.repeats() as usize, "repeat"),
            humantime::format_duration(about),
            calibration.as_secs_f64(),
        );
        if skipped > 0 {
            text += &format!("; skipped: {}", number(skipped, "point"));
        }
        text
    }
}

/// "1 point", "2 points".
fn number(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(sweeps: &[Parameter]) -> Options {
        Options {
            sweeps: sweeps.to_vec(),
            ..Options::default()
        }
    }

    fn estimate(seconds: u64) -> Estimate {
        let work = Work::of(Parameter::Meters, "100", &Options::default()).unwrap();
        Estimate::calibrated(&work, Duration::from_secs(seconds))
    }

    #[test]
    fn values_belong_to_one_parameter() {
        let values = vec!["2".to_owned(), "7".to_owned()];
        let one = Options {
            values: values.clone(),
            ..options(&[Parameter::Meters, Parameter::Meters])
        };
        let plan = Plan::new(&one).unwrap();
        assert_eq!(
            plan.sweeps.len(),
            1,
            "a parameter named twice is swept once"
        );
        let labels: Vec<&str> = plan.sweeps[0]
            .1
            .iter()
            .map(|p| p.work.label.as_str())
            .collect();
        assert_eq!(labels, ["2", "7"]);
        let two = Options {
            values,
            ..options(&[Parameter::Meters, Parameter::Batch])
        };
        assert!(
            Plan::new(&two)
                .unwrap_err()
                .to_string()
                .contains("--values")
        );
    }

    #[test]
    fn a_point_that_takes_too_long_is_skipped_and_says_why() {
        let options = options(&[Parameter::Meters]);
        let plan = Plan::new(&options)
            .unwrap()
            .within(&estimate(20), &options, None);
        let last = plan.sweeps[0].1.last().unwrap();
        assert!(
            last.skip
                .as_ref()
                .is_some_and(|why| why.contains("--point-limit 180s")),
            "{last:?}"
        );
        assert!(plan.sweeps[0].1[0].skip.is_none());
        let line = plan.announce(&options, Duration::from_secs(2));
        assert!(
            line.contains("skipped") && line.contains("3 repeats"),
            "{line}"
        );
        let run: f64 = plan.sweeps[0]
            .1
            .iter()
            .filter(|p| p.skip.is_none())
            .map(|p| p.estimate_s)
            .sum();
        assert!(plan.seconds(&options) > 3.0 * run);
    }

    #[test]
    fn a_quick_run_gives_every_sweep_its_first_points() {
        let all = <Parameter as clap::ValueEnum>::value_variants();
        let options = Options {
            quick: true,
            ..options(all)
        };
        let plan = Plan::new(&options).unwrap();
        let whole = plan.clone().within(&estimate(2), &options, None);
        let left = whole.seconds(&options) * 0.7;
        let plan = plan.within(&estimate(2), &options, Some(left));
        assert!(
            plan.sweeps
                .iter()
                .all(|(_, points)| points[0].skip.is_none()),
            "{plan:?}"
        );
        assert!(
            plan.sweeps
                .iter()
                .any(|(_, points)| points.iter().any(|p| p.skip.is_some()))
        );
        assert!(plan.seconds(&options) <= left);
    }
}
