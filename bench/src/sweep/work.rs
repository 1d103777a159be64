//! What each value of each parameter means: the settings of a point.
//!
//! Unless the parameter itself says otherwise, 100 meters send reports of 24 quarter-hours, readings come as fast as the
//! pipeline takes them, and a point has enough windows for some thousand reports (some hundred with `--quick`).

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use packed::Profile;
use packed::layout::Layout;

use crate::results::schema::{Parameter, PointSettings};

use super::Options;

/// Seconds of event time a second in the sweep of interval lengths.
pub const INTERVAL_SPEED: f64 = 60.0;
/// Wall time of its points; a whole window at least. Full, quick.
const INTERVAL_WALL_S: (f64, f64) = (4.0, 1.5);
/// Intervals of event time that the sweep of batch sizes reports, whatever the batch: a multiple of all its values.
const BATCH_INTERVALS: (u32, u32) = (480, 60);
/// Reports a point is worth, and the least and the most windows it is made of.
const REPORTS: (u32, u32) = (3_000, 300);
const WINDOWS: ((u32, u32), (u32, u32)) = ((2, 40), (1, 6));

/// Work of one point.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// The value as given.
    pub label: String,
    /// The same as a number in the unit of the parameter.
    pub value: Option<f64>,
    /// Meters in the fleet.
    pub meters: u32,
    /// Feeders.
    pub feeders: u32,
    /// Length of an interval.
    pub interval_s: u32,
    /// Intervals in a report.
    pub batch: u16,
    /// Windows of event time.
    pub windows: u32,
    /// What the slots carry.
    pub layout: Layout,
    /// Parameter profile.
    pub profile: &'static Profile,
    /// Seconds of event time a second; `None`: as fast as it goes.
    pub speed: Option<f64>,
    /// Delay of every report.
    pub latency: Duration,
    /// Probability that a report is lost.
    pub loss: f64,
}

/// The values of a parameter unless `--values` names others: those of the field's earlier demo first.
#[must_use]
pub fn default_values(parameter: Parameter, quick: bool) -> Vec<&'static str> {
    let (all, quickly): (&[&str], usize) = match parameter {
        Parameter::Meters => (&["2", "5", "10", "20", "100", "1000", "10000", "100000"], 5),
        Parameter::Interval => (&["1s", "5s", "10s", "30s", "60s"], 4),
        Parameter::Batch => (&["1", "5", "10", "20", "48", "96"], 4),
        Parameter::Payload => (
            &[
                "profile:1",
                "profile:96",
                "moments:96",
                "profile:24",
                "profile:384",
                "moments:384",
            ],
            3,
        ),
        Parameter::Feeders => (&["1", "4", "10", "20"], 2),
        Parameter::Latency => (&["0ms", "50ms", "10ms", "200ms"], 2),
        Parameter::Loss => (&["0", "0.05", "0.01", "0.2"], 2),
        Parameter::Profile => (&["additive", "additive-wide"], 2),
    };
    let mut chosen = all[..if quick { quickly } else { all.len() }].to_vec();
    // Written in the order of their worth to a quick run; shown by size.
    match parameter {
        Parameter::Payload => chosen.sort_by_key(|label| {
            payload(label).map_or(0, |(layout, n)| layout.slots_needed(n.into()))
        }),
        Parameter::Latency => {
            chosen.sort_by_key(|label| humantime::parse_duration(label).unwrap_or_default())
        }
        Parameter::Loss => chosen.sort_by(|a, b| {
            a.parse()
                .unwrap_or(0.0_f64)
                .total_cmp(&b.parse().unwrap_or(0.0))
        }),
        _ => {}
    }
    chosen
}

/// The unit of a parameter's values, and what is varied, in a sentence.
#[must_use]
pub fn describe(parameter: Parameter) -> (&'static str, &'static str) {
    match parameter {
        Parameter::Meters => (
            "meters",
            "Meters in the fleet, on one feeder below 60 and on four from there on; readings come as fast as the pipeline takes them.",
        ),
        Parameter::Interval => (
            "s",
            "Length of an interval while event time passes at 60 times the clock and a report has 4 intervals: \
             the same meters offer fewer reports a second as the interval grows.",
        ),
        Parameter::Batch => (
            "intervals",
            "Intervals in a report, for the same readings of 20 meters: longer reports are fewer, and each is as large.",
        ),
        Parameter::Payload => (
            "slots",
            "Slots of a ciphertext that carry something, for the same number of reports: N readings (profile:N), or N readings \
             and their squares (moments:N). A ciphertext is as large whatever is in it.",
        ),
        Parameter::Feeders => (
            "feeders",
            "Feeders that the same 300 meters are spread over: more sums to keep, close and decrypt.",
        ),
        Parameter::Latency => (
            "s",
            "Emulated delay of every report between gateway and broker; readings come as fast as the pipeline takes them.",
        ),
        Parameter::Loss => (
            "ratio",
            "Probability that a report is lost between gateway and broker; it is sent again for want of a receipt.",
        ),
        Parameter::Profile => (
            "",
            "Parameter profile: the scale of the slots, and with it the precision and the greatest number of meters.",
        ),
    }
}

impl Work {
    /// The work at `label` of `parameter`.
    ///
    /// # Errors
    /// A value the parameter cannot have; the message names both.
    pub fn of(parameter: Parameter, label: &str, options: &Options) -> Result<Self> {
        let flag = || format!("--values {label} of --sweep {}", name(parameter));
        Self::at(parameter, label.trim(), options).with_context(flag)
    }

    fn at(parameter: Parameter, label: &str, options: &Options) -> Result<Self> {
        let quick = options.quick;
        let (meters, batch) = match parameter {
            Parameter::Feeders => (300, 24),
            Parameter::Batch => (20, 24),
            Parameter::Interval => (100, 4),
            _ => (100, 24),
        };
        let mut work = Self {
            label: label.to_owned(),
            value: None,
            meters: options.meters.unwrap_or(meters),
            feeders: 0,
            interval_s: 900,
            batch: options.batch.unwrap_or(batch),
            windows: 0,
            layout: Layout::Moments,
            profile: &packed::ADDITIVE,
            speed: None,
            latency: Duration::ZERO,
            loss: 0.0,
        };
        match parameter {
            Parameter::Meters => {
                work.meters = label.parse().context("a number of meters")?;
                ensure!(work.meters >= 2, "a sum needs at least 2 meters");
                work.value = Some(f64::from(work.meters));
            }
            Parameter::Interval => {
                let interval = seconds(label)?;
                work.value = Some(interval.as_secs_f64());
                work.interval_s = u32::try_from(interval.as_secs()).context("too long")?;
                ensure!(
                    interval.subsec_nanos() == 0 && work.interval_s > 0,
                    "an interval has whole seconds"
                );
                work.speed = Some(INTERVAL_SPEED);
            }
            Parameter::Batch => {
                work.batch = label.parse().context("a number of intervals")?;
                work.value = Some(f64::from(work.batch));
            }
            Parameter::Payload => {
                (work.layout, work.batch) = payload(label)?;
                work.value = Some(work.layout.slots_needed(work.batch.into()) as f64);
            }
            Parameter::Feeders => {
                work.feeders = label.parse().context("a number of feeders")?;
                ensure!(work.feeders > 0, "there is at least one feeder");
                work.value = Some(f64::from(work.feeders));
            }
            Parameter::Latency => {
                work.latency = seconds(label)?;
                work.value = Some(work.latency.as_secs_f64());
            }
            Parameter::Loss => {
                work.loss = label.parse().context("a fraction")?;
                ensure!(
                    (0.0..1.0).contains(&work.loss),
                    "a fraction from 0 to below 1"
                );
                work.value = Some(work.loss);
            }
            Parameter::Profile => work.profile = Profile::by_name(label)?,
        }
        ensure!(work.batch > 0, "a report has at least one interval");
        if work.feeders == 0 {
            work.feeders = options
                .feeders
                .unwrap_or(if work.meters < 60 { 1 } else { 4 });
        }
        let least = work.meters / work.feeders;
        ensure!(
            least >= 2,
            "{} meters on {} feeders: a sum needs at least 2",
            work.meters,
            work.feeders
        );
        let most = work.meters.div_ceil(work.feeders);
        let room = work.profile.max_contributors();
        ensure!(
            most <= room,
            "{most} meters on a feeder, and {} holds {room}: take more --feeders",
            work.profile.name
        );
        let (slots, needed) = (work.profile.slots(), work.slots_used());
        ensure!(
            needed <= slots,
            "{needed} slots, and a ciphertext has {slots}"
        );
        let pick = |both: (u32, u32)| if quick { both.1 } else { both.0 };
        let (fewest, most) = if quick { WINDOWS.1 } else { WINDOWS.0 };
        work.windows = match parameter {
            Parameter::Interval => {
                let wall = if quick {
                    INTERVAL_WALL_S.1
                } else {
                    INTERVAL_WALL_S.0
                };
                (wall * INTERVAL_SPEED / f64::from(work.interval_s) / f64::from(work.batch))
                    .max(1.0) as u32
            }
            Parameter::Batch => (pick(BATCH_INTERVALS) / u32::from(work.batch)).max(1),
            // One window of a large fleet is enough, and long enough.
            _ if work.meters >= 20_000 => 1,
            _ => (pick(REPORTS) / work.meters).clamp(fewest, most),
        };
        Ok(work)
    }

    /// Slots that carry something.
    #[must_use]
    pub fn slots_used(&self) -> usize {
        self.layout.slots_needed(self.batch.into())
    }

    /// Reports of the point.
    #[must_use]
    pub fn reports(&self) -> u64 {
        u64::from(self.meters) * u64::from(self.windows)
    }

    /// Event time of the point.
    #[must_use]
    pub fn event_s(&self) -> u64 {
        u64::from(self.windows) * u64::from(self.batch) * u64::from(self.interval_s)
    }

    /// The minimum group in this point: the plan's, or the meters of the smallest feeder if they are fewer.
    #[must_use]
    pub fn min_meters(&self, configured: u32) -> u32 {
        configured.min(self.meters / self.feeders)
    }

    /// All settings, for the document.
    #[must_use]
    pub fn settings(&self, configured: u32, seed: u64) -> PointSettings {
        let min_meters = self.min_meters(configured);
        let per_report = f64::from(self.interval_s) * f64::from(self.batch);
        PointSettings {
            meters: self.meters,
            feeders: self.feeders,
            interval_s: self.interval_s,
            batch: self.batch,
            windows: self.windows,
            layout: self.layout.as_str().to_owned(),
            slots_used: self.slots_used(),
            profile: self.profile.name.to_owned(),
            speed: self.speed,
            offered_reports_per_s: self
                .speed
                .map(|speed| f64::from(self.meters) * speed / per_report),
            latency_s: self.latency.as_secs_f64(),
            jitter_s: 0.0,
            loss_ratio: self.loss,
            min_meters,
            min_meters_lowered_from: (min_meters < configured).then_some(configured),
            seed,
        }
    }
}

/// A parameter as the command line writes it.
#[must_use]
pub fn name(parameter: Parameter) -> String {
    let value = clap::ValueEnum::to_possible_value(&parameter);
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// `5s`, `50ms`, or a bare number of seconds.
fn seconds(label: &str) -> Result<Duration> {
    match label.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).context("a length of time"),
        Err(_) => humantime::parse_duration(label).context("a length of time, such as 5s"),
    }
}

/// `profile:96`, `moments:96`, or a bare number of readings in the layout `profile`.
fn payload(label: &str) -> Result<(Layout, u16)> {
    let (layout, readings) = label.split_once(':').unwrap_or(("profile", label));
    match (layout.parse(), readings.parse()) {
        (Ok(layout), Ok(readings)) => Ok((layout, readings)),
        _ => bail!("readings as profile:N or moments:N"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    fn options() -> Options {
        Options::default()
    }

    #[test]
    fn default_values_begin_with_those_of_the_earlier_demo() {
        let starts = |parameter, values: &[&str]| {
            for quick in [true, false] {
                assert!(
                    default_values(parameter, quick).starts_with(values),
                    "{parameter:?}"
                );
            }
        };
        starts(Parameter::Meters, &["2", "5", "10", "20"]);
        starts(Parameter::Interval, &["1s", "5s", "10s", "30s"]);
        starts(Parameter::Batch, &["1", "5", "10", "20"]);
        assert_eq!(
            default_values(Parameter::Meters, false).last(),
            Some(&"100000")
        );
    }

    #[test]
    fn every_default_value_is_work_and_values_that_are_numbers_rise() {
        for parameter in Parameter::value_variants() {
            for quick in [true, false] {
                let options = Options { quick, ..options() };
                let works: Vec<Work> = default_values(*parameter, quick)
                    .iter()
                    .map(|label| Work::of(*parameter, label, &options).unwrap())
                    .collect();
                assert!(works.is_sorted_by(|a, b| a.value <= b.value), "{works:?}");
                assert!(
                    works
                        .iter()
                        .all(|work| work.windows >= 1 && work.reports() > 1)
                );
            }
        }
    }

    #[test]
    fn batches_report_the_same_readings_and_payloads_the_same_reports() {
        let works = |parameter, labels: &[&str]| -> Vec<Work> {
            let of = |label: &&str| Work::of(parameter, label, &options()).unwrap();
            labels.iter().map(of).collect()
        };
        for work in works(Parameter::Batch, &["1", "5", "10", "20", "48", "96"]) {
            assert_eq!(u32::from(work.batch) * work.windows, BATCH_INTERVALS.0);
        }
        let payloads = works(Parameter::Payload, &["1", "profile:96", "moments:512"]);
        assert!(
            payloads
                .iter()
                .all(|work| work.reports() == payloads[0].reports())
        );
        assert_eq!(payloads[2].slots_used(), 1024);
    }

    #[test]
    fn the_minimum_group_is_lowered_only_where_a_feeder_has_fewer_meters_and_says_so() {
        let five = Work::of(Parameter::Meters, "5", &options()).unwrap();
        let settings = five.settings(15, 1);
        assert_eq!(
            (settings.min_meters, settings.min_meters_lowered_from),
            (5, Some(15))
        );
        let hundred = Work::of(Parameter::Meters, "100", &options()).unwrap();
        let settings = hundred.settings(15, 1);
        assert_eq!(
            (settings.min_meters, settings.min_meters_lowered_from),
            (15, None)
        );
    }

    #[test]
    fn a_longer_interval_offers_less() {
        let offered = |label| {
            let work = Work::of(Parameter::Interval, label, &options()).unwrap();
            work.settings(15, 1).offered_reports_per_s.unwrap()
        };
        assert_eq!(offered("1s"), 1500.0);
        assert_eq!(offered("30"), 50.0);
    }

    #[test]
    fn a_value_that_cannot_be_names_the_flag() {
        for (parameter, label) in [
            (Parameter::Meters, "1"),
            (Parameter::Meters, "many"),
            (Parameter::Interval, "0s"),
            (Parameter::Interval, "1.5s"),
            (Parameter::Batch, "0"),
            (Parameter::Payload, "moments:513"),
            (Parameter::Payload, "squares:5"),
            (Parameter::Feeders, "0"),
            (Parameter::Feeders, "151"),
            (Parameter::Loss, "1"),
            (Parameter::Latency, "-1s"),
            (Parameter::Profile, "none"),
        ] {
            let error = format!("{:#}", Work::of(parameter, label, &options()).unwrap_err());
            assert!(
                error.contains(label) && error.contains(&name(parameter)),
                "{error}"
            );
        }
    }
}
