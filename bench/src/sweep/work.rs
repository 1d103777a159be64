//! What each value of each parameter means: the settings of a point.
//!
//! Unless the parameter itself says otherwise, 100 meters send reports of 24 quarter-hours, readings come as fast as the
//! pipeline takes them, and a point has enough windows for some thousand reports (some hundred with `--quick`).

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use harness::network::Network;
use harness::scenario::{self, Scenario};
use packed::layout::{Layout, Shape};
use packed::{Profile, RING};
use service::config::{Plan, Settings};

use crate::results::schema::{Parameter, PointSettings};

use super::Options;
use super::parameter::{name, payload};

/// What counts things.
const WHOLE: &str = "expected a whole number such as 100";

/// Seconds of event time a second in the sweep of interval lengths.
pub(crate) const INTERVAL_SPEED: f64 = 60.0;
/// Wall time of its points; a whole window at least. Full, quick.
const INTERVAL_WALL_S: (f64, f64) = (4.0, 1.5);
/// Intervals of event time that the sweep of batch sizes reports, whatever the batch: a multiple of all its values.
const BATCH_INTERVALS: (u32, u32) = (480, 60);
/// Reports a point is worth, and the least and the most windows it is made of.
const REPORTS: (u32, u32) = (3_000, 300);
const WINDOWS: ((u32, u32), (u32, u32)) = ((2, 40), (1, 6));
/// For how long contributors are kept, in event time: longer than any sweep covers.
const RETENTION: Duration = Duration::from_secs(10 * 365 * 86_400);
/// The broker's log of a point, in bytes a segment and segments: seven of them hold more than its one gateway sends
/// without receipts.
const LOG: (usize, usize) = (4 * 1024 * 1024, 8);

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Work {
    pub(crate) label: String,
    /// The same as a number in the unit of the parameter.
    pub(crate) value: Option<f64>,
    pub(crate) meters: u32,
    pub(crate) feeders: u32,
    pub(crate) interval_s: u32,
    pub(crate) batch: u16,
    pub(crate) windows: u32,
    pub(crate) layout: Layout,
    /// `None`: for each feeder the smallest that does.
    pub(crate) profile: Option<&'static Profile>,
    /// Seconds of event time a second; `None`: as fast as it goes.
    pub(crate) speed: Option<f64>,
    pub(crate) latency: Duration,
    pub(crate) loss: f64,
}

impl Work {
    /// The work at `label` of `parameter`; a value the parameter cannot have is an error that names both.
    pub(crate) fn of(parameter: Parameter, label: &str, options: &Options) -> Result<Self> {
        let flag = || format!("--values {label} of --sweep {}", name(parameter));
        let mut work = Self::usual(parameter, label.trim(), options);
        work.set(parameter).with_context(flag)?;
        if work.feeders == 0 {
            let usual = if work.meters < 60 { 1 } else { 4 };
            work.feeders = options.feeders.unwrap_or(usual);
        }
        work.check().with_context(flag)?;
        work.windows = work.enough(parameter, options.quick);
        Ok(work)
    }

    /// What is in force unless the parameter says otherwise.
    fn usual(parameter: Parameter, label: &str, options: &Options) -> Self {
        let (meters, batch) = match parameter {
            Parameter::Feeders => (300, 24),
            Parameter::Batch => (20, 24),
            Parameter::Interval => (100, 4),
            _ => (100, 24),
        };
        Self {
            label: label.to_owned(),
            value: None,
            meters: options.meters.unwrap_or(meters),
            feeders: 0,
            interval_s: 900,
            batch: options.batch.unwrap_or(batch),
            windows: 0,
            layout: Layout::Profile,
            profile: None,
            speed: None,
            latency: Duration::ZERO,
            loss: 0.0,
        }
    }

    fn set(&mut self, parameter: Parameter) -> Result<()> {
        let label = self.label.as_str();
        let value = match parameter {
            Parameter::Meters => {
                self.meters = label.parse().context(WHOLE)?;
                f64::from(self.meters)
            }
            Parameter::Interval => {
                let interval = seconds(label)?;
                self.interval_s = u32::try_from(interval.as_secs()).context("too long")?;
                ensure!(
                    interval.subsec_nanos() == 0 && self.interval_s > 0,
                    "an interval has whole seconds"
                );
                self.speed = Some(INTERVAL_SPEED);
                interval.as_secs_f64()
            }
            Parameter::Batch => {
                self.batch = label.parse().context(WHOLE)?;
                f64::from(self.batch)
            }
            Parameter::Payload => {
                (self.layout, self.batch) = payload(label)?;
                self.shape()?.coefficients() as f64
            }
            Parameter::Feeders => {
                self.feeders = label.parse().context(WHOLE)?;
                ensure!(self.feeders > 0, "there is at least one feeder");
                f64::from(self.feeders)
            }
            Parameter::Latency => {
                self.latency = seconds(label)?;
                self.latency.as_secs_f64()
            }
            Parameter::Loss => {
                self.loss = label.parse().context("expected a fraction such as 0.01")?;
                let possible = (0.0..1.0).contains(&self.loss);
                ensure!(possible, "a fraction from 0 to below 1");
                self.loss
            }
            Parameter::Operation | Parameter::Epsilon => bail!("it is swept by itself"),
            Parameter::Profile => {
                self.profile = Some(Profile::by_name(label)?);
                return Ok(());
            }
        };
        self.value = Some(value);
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let meters = self.meters;
        let feeders = self.feeders;
        ensure!(self.batch > 0, "a report has at least one interval");
        ensure!(meters >= 2, "a sum needs at least 2 meters");
        ensure!(
            meters / feeders >= 2,
            "{meters} meters on {feeders} feeders: a sum needs at least 2"
        );
        let most = meters.div_ceil(feeders);
        let profile = self.profile.unwrap_or(&packed::ADDITIVE_WIDE);
        let room = profile.max_contributors();
        ensure!(
            most <= room,
            "{most} meters on a feeder, and {} holds {room}: take more --feeders",
            profile.name
        );
        self.shape().map(drop)
    }

    fn enough(&self, parameter: Parameter, quick: bool) -> u32 {
        let pick = |(full, quickly): (u32, u32)| if quick { quickly } else { full };
        let (fewest, most) = if quick { WINDOWS.1 } else { WINDOWS.0 };
        match parameter {
            Parameter::Interval => {
                let (full, quickly) = INTERVAL_WALL_S;
                let event_s = INTERVAL_SPEED * if quick { quickly } else { full };
                let window_s = f64::from(self.interval_s) * f64::from(self.batch);
                (event_s / window_s).max(1.0) as u32
            }
            Parameter::Batch => (pick(BATCH_INTERVALS) / u32::from(self.batch)).max(1),
            // One window of a large fleet is enough, and long enough.
            _ if self.meters >= 20_000 => 1,
            _ => (pick(REPORTS) / self.meters).clamp(fewest, most),
        }
    }

    /// The settings of the services at this point. Windows close when they are complete, so none closes early in a repeat
    /// that may take `limit`.
    pub(crate) fn scenario(&self, base: &Settings, seed: u64, limit: Duration) -> Result<Scenario> {
        let options = scenario::Options {
            holders: None,
            meters: Some(self.meters),
            replay: None,
            feeders: self.feeders,
            batch: Some(self.batch),
            seed,
            interval: Some(Duration::from_secs(u64::from(self.interval_s))),
            network: Network {
                latency: self.latency,
                loss: self.loss,
                seed,
                ..Network::default()
            },
        };
        let mut settings = options.settings(base)?;
        settings.plan.layout = self.layout;
        settings.plan.histogram_edges = Settings::defaults().plan.histogram_edges;
        settings.plan.profile = self.profile;
        settings.set_min_meters(self.min_meters(self.configured_minimum(base)));
        // rumqttd's router, and with it the log, outlives a broker that is stopped within a process: many points, many logs.
        (settings.broker.segment_bytes, settings.broker.segment_count) = LOG;
        let event = Duration::from_secs(self.event_s());
        // All of it is due within a millisecond: what it waits for is the pipeline.
        let speed = self.speed.unwrap_or(event.as_secs_f64() * 1e3);
        let mut scenario = Scenario::paced(settings, &options, event, speed)?;
        scenario.settings.analytics.idle_limit = limit;
        scenario.settings.analytics.grace = limit.mul_f64(speed.max(1.0));
        // Days of event time pass in a second: a meter that lags a moment is not to be too late.
        scenario.settings.analytics.retention = RETENTION;
        Ok(scenario)
    }

    /// Which coefficient of a ciphertext carries what.
    fn shape(&self) -> Result<Shape> {
        let has = || format!("a ciphertext has {} coefficients", RING.dimension);
        let plan = Plan {
            layout: self.layout,
            interval: Duration::from_secs(u64::from(self.interval_s)),
            ..Settings::defaults().plan
        };
        plan.shape(self.batch).with_context(has)
    }

    pub(crate) fn reports(&self) -> u64 {
        u64::from(self.meters) * u64::from(self.windows)
    }

    pub(crate) fn event_s(&self) -> u64 {
        u64::from(self.windows) * u64::from(self.batch) * u64::from(self.interval_s)
    }

    /// The minimum group that the configuration has for this layout.
    pub(crate) fn configured_minimum(&self, base: &Settings) -> u32 {
        let mut plan = base.plan.clone();
        plan.layout = self.layout;
        plan.minimum_group()
    }

    /// The minimum group in this point: the plan's, or the meters of the smallest feeder if they are fewer.
    pub(crate) fn min_meters(&self, configured: u32) -> u32 {
        configured.min(self.meters / self.feeders)
    }

    /// What a point says of itself in the results.
    pub(crate) fn settings(&self, configured: u32, seed: u64) -> Result<PointSettings> {
        let min_meters = self.min_meters(configured);
        let per_report = f64::from(self.interval_s) * f64::from(self.batch);
        Ok(PointSettings {
            meters: self.meters,
            feeders: self.feeders,
            interval_s: self.interval_s,
            batch: self.batch,
            windows: self.windows,
            layout: self.layout.as_str().to_owned(),
            coefficients: Some(self.shape()?.coefficients()),
            profile: self
                .profile
                .map_or("auto", |profile| profile.name)
                .to_owned(),
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
        })
    }
}

/// `5s`, `50ms`, or a bare number of seconds.
fn seconds(label: &str) -> Result<Duration> {
    match label.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).context("a length of time"),
        Err(_) => humantime::parse_duration(label).context("a length of time, such as 5s"),
    }
}

#[cfg(test)]
mod tests;
