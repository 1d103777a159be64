//! Which points are run: all that were asked for, less those that this machine or the time does not allow.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::epsilon;
use crate::operations;
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
        if parameters == [Parameter::Operation] {
            operations::named(&options.values)?;
            return Ok(Self { sweeps: Vec::new() });
        }
        if parameters == [Parameter::Epsilon] {
            epsilon::epsilons(&options.values)?;
            return Ok(Self { sweeps: Vec::new() });
        }
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
            let takes = planned.estimate_s;
            let long = format!(
                "a repeat is estimated to take {takes:.0} s, longer than --point-limit {limit:.0}s"
            );
            let mib = bytes >> 20;
            let large = format!("needs about {mib} MiB of memory, more than is free");
            let too_large = memory.is_some_and(|memory| bytes > memory);
            planned.skip = (takes > limit).then_some(long);
            planned.skip = planned.skip.take().or(too_large.then_some(large));
        }
        let Some(mut left) = left else { return self };
        let sweeps = self.sweeps.iter_mut();
        let places = sweeps.flat_map(|(_, points)| points.iter_mut().enumerate());
        let mut turns: Vec<(usize, &mut Planned)> = places.collect();
        turns.retain(|(_, planned)| planned.skip.is_none());
        // Stable: within a turn the sweeps keep their order.
        turns.sort_by_key(|(place, _)| *place);
        for (place, planned) in turns {
            let runs = options.repeats() + u32::from(place == 0) * options.warmup();
            let takes = planned.estimate_s * f64::from(runs);
            if takes <= left {
                left -= takes;
            } else {
                let why = format!("--quick: {takes:.1} s more would not fit into a minute");
                planned.skip = Some(why);
            }
        }
        self
    }

    pub(crate) fn seconds(&self, options: &Options) -> f64 {
        let of = |points: &Vec<Planned>| {
            let run = points.iter().filter(|point| point.skip.is_none());
            let run: Vec<f64> = run.map(|point| point.estimate_s).collect();
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
        let [(_, points)] = &plan.sweeps[..] else {
            panic!("a parameter named twice is swept once");
        };
        assert!(points.iter().map(|p| &p.work.label).eq(["2", "7"]));
        let two = Options {
            values,
            ..options(&[Parameter::Meters, Parameter::Batch])
        };
        let error = Plan::new(&two).unwrap_err().to_string();
        assert!(error.contains("--values"));
    }

    #[test]
    fn a_point_that_takes_too_long_is_skipped_and_says_why() {
        let options = options(&[Parameter::Meters]);
        let plan = Plan::new(&options)
            .unwrap()
            .within(&estimate(20), &options, None);
        let last = plan.sweeps[0].1.last().unwrap();
        let why = last.skip.as_ref().unwrap();
        assert!(why.contains("--point-limit 180s"), "{last:?}");
        assert!(plan.sweeps[0].1[0].skip.is_none());
        let line = plan.announce(&options, Duration::from_secs(2));
        assert!(
            line.contains("skipped") && line.contains("3 repeats"),
            "{line}"
        );
        let run = plan.sweeps[0].1.iter().filter(|p| p.skip.is_none());
        let run: f64 = run.map(|p| p.estimate_s).sum();
        assert!(plan.seconds(&options) > 3.0 * run);
    }

    #[test]
    fn operations_are_swept_by_themselves_and_by_name() {
        let of = |sweeps: &[Parameter], values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            let options = Options {
                values,
                ..options(sweeps)
            };
            Plan::new(&options).map_err(|error| format!("{error:#}"))
        };
        assert!(of(&[Parameter::Operation], &["sum", "tariff"]).is_ok());
        let unknown = of(&[Parameter::Operation], &["product"]).unwrap_err();
        assert!(
            unknown.contains("product of --sweep operation: expected some of sum"),
            "{unknown}"
        );
        let both = of(&[Parameter::Operation, Parameter::Meters], &[]).unwrap_err();
        assert!(both.contains("it is swept by itself"), "{both}");
    }

    #[test]
    fn a_quick_run_gives_every_sweep_its_first_points() {
        let mut all = <Parameter as clap::ValueEnum>::value_variants().to_vec();
        all.retain(|parameter| ![Parameter::Operation, Parameter::Epsilon].contains(parameter));
        let options = Options {
            quick: true,
            ..options(&all)
        };
        let plan = Plan::new(&options).unwrap();
        let whole = plan.clone().within(&estimate(2), &options, None);
        let left = whole.seconds(&options) * 0.7;
        let plan = plan.within(&estimate(2), &options, Some(left));
        let mut sweeps = plan.sweeps.iter();
        assert!(
            sweeps.all(|(_, points)| points[0].skip.is_none()),
            "{plan:?}"
        );
        let mut points = plan.sweeps.iter().flat_map(|(_, points)| points);
        assert!(points.any(|p| p.skip.is_some()));
        assert!(plan.seconds(&options) <= left);
    }
}
