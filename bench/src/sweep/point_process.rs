//! A point in a process of its own: whatever a point leaves behind, such as the log of rumqttd's router, which outlives its
//! broker within a process, is gone before the next one.

use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use harness::Interrupted;
use harness::output::progress_bar;
use harness::process::signal;
use serde::{Deserialize, Serialize};
use service::config::Settings;
use service::stop::Stop;
use tokio::process::Command;

use super::parameter;
use super::plan::{Plan, Planned};
use super::point::Bench;
use super::samples::Samples;
use super::work::Work;
use super::{LEAST_LIMIT, OVERRUN, Options};
use crate::results::extras::Extras;
use crate::results::schema::{Parameter, Point, Status};
use crate::results::spread;

/// How long the process of a point may take to end.
const LAST: Duration = Duration::from_secs(10);

/// What the process of a point is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PointArguments {
    #[command(flatten)]
    sweep: Options,
    #[arg(long)]
    quick: bool,
    /// Seconds that a repeat is estimated to take.
    #[arg(long)]
    estimate: f64,
    /// Seconds that are left for the whole run, with `--quick`.
    #[arg(long)]
    left: Option<f64>,
}

/// What it prints.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) point: Point,
    pub(crate) extras: Extras,
}

/// Measures a point in a process of its own. One that ends without a result is a point that failed.
pub(super) async fn measure(
    base: &Settings,
    options: &Options,
    (parameter, planned): (Parameter, &Planned),
    left: Option<Duration>,
    stop: &Stop,
) -> Result<Measured> {
    let work = &planned.work;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("point").args(&options.common);
    command.args(told(options, (parameter, planned), left));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let point = command.spawn().context("cannot start another bench")?;
    let process = point.id();
    let mut ended = pin!(point.wait_with_output());
    let ended = tokio::select! {
        ended = &mut ended => ended?,
        () = stop.stopped() => {
            // So that it takes its folders with it.
            if let Some(process) = process {
                signal(process, "TERM")?;
            }
            drop(tokio::time::timeout(LAST, ended).await);
            return Err(Interrupted.into());
        }
    };
    if stop.is_stopped() {
        return Err(Interrupted.into());
    }
    serde_json::from_slice(&ended.stdout).or_else(|unread| {
        let mut point = unmeasured(base, options, planned)?;
        point.status = Status::Failed;
        point.reasons.push(format!(
            "its process ended with {}, and what it printed is no result: {unread}",
            ended.status
        ));
        Ok(Measured {
            point,
            extras: Extras::of(&work.label),
        })
    })
}

/// What [`PointArguments`] is made of.
fn told(
    options: &Options,
    (parameter, planned): (Parameter, &Planned),
    left: Option<Duration>,
) -> Vec<String> {
    let always = [
        ("--sweep", parameter::name(parameter)),
        ("--values", planned.work.label.clone()),
        ("--repeats", options.repeats().to_string()),
        ("--warmup", options.warmup().to_string()),
        ("--seed", options.seed.to_string()),
        ("--estimate", planned.estimate_s.to_string()),
    ];
    let chosen = [
        ("--meters", options.meters.map(f64::from)),
        ("--feeders", options.feeders.map(f64::from)),
        ("--batch", options.batch.map(f64::from)),
        ("--left", left.map(|left| left.as_secs_f64())),
    ];
    let chosen = chosen
        .iter()
        .filter_map(|(flag, value)| Some((*flag, value.as_ref()?.to_string())));
    let flags = [
        ("--quick", options.quick),
        ("--shift-truth", options.shift_truth),
    ];
    let flags = flags.iter().filter(|(_, given)| *given);
    let mut told: Vec<String> = always
        .into_iter()
        .chain(chosen)
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect();
    told.extend(flags.map(|(flag, _)| (*flag).to_owned()));
    told
}

/// The point without any repeat.
pub(super) fn unmeasured(base: &Settings, options: &Options, planned: &Planned) -> Result<Point> {
    let work = &planned.work;
    Ok(Point {
        label: work.label.clone(),
        value: work.value,
        settings: work.settings(work.configured_minimum(base), options.seed)?,
        status: Status::Skipped,
        reasons: Vec::new(),
        estimate_s: planned.estimate_s,
        repeats: Vec::new(),
        median: None,
    })
}

/// The same from within: measures the one point that it is told of.
pub(crate) async fn run(base: &Settings, told: &PointArguments, stop: &Stop) -> Result<Measured> {
    let began = Instant::now();
    let options = Options {
        quick: told.quick,
        ..told.sweep.clone()
    };
    let planned = Plan::new(&options)?.sweeps.into_iter().next();
    let (parameter, points) = planned.context("no parameter is swept")?;
    let [planned] = &points[..] else {
        anyhow::bail!("{} points instead of one", points.len());
    };
    ensure!(told.estimate.is_finite(), "an estimate in seconds");
    let samples = Samples::install()?;
    let repeater = Repeater {
        bench: Bench {
            base,
            seed: options.seed,
            samples: &samples,
            stop,
            shift_truth: options.shift_truth,
        },
        options: &options,
        ends: told
            .left
            .map(|left| began + Duration::from_secs_f64(left.clamp(0.0, 1e6))),
    };
    let mut point = unmeasured(base, &options, planned)?;
    point.estimate_s = told.estimate;
    let mut extras = Extras::of(&planned.work.label);
    let work = (parameter, &planned.work);
    repeater.repeats(work, &mut point, &mut extras).await?;
    let has = |status| point.repeats.iter().any(|repeat| repeat.status == status);
    point.status = match (has(Status::Wrong), has(Status::Failed)) {
        (true, _) => Status::Wrong,
        (_, true) => Status::Failed,
        _ => Status::Ok,
    };
    point.median = spread::of(&point.repeats);
    Ok(Measured { point, extras })
}

struct Repeater<'a> {
    bench: Bench<'a>,
    options: &'a Options,
    /// When the whole run is to be over.
    ends: Option<Instant>,
}

impl Repeater<'_> {
    fn left(&self) -> Option<Duration> {
        let left = |ends: Instant| ends.saturating_duration_since(Instant::now());
        self.ends.map(left)
    }

    async fn repeats(
        &self,
        (parameter, work): (Parameter, &Work),
        point: &mut Point,
        extras: &mut Extras,
    ) -> Result<()> {
        let most = LEAST_LIMIT.max(Duration::from_secs_f64(point.estimate_s * OVERRUN));
        let bar = progress_bar(1, "feeder windows,");
        bar.set_prefix(format!("{} {} ", parameter::name(parameter), work.label));
        for _ in 0..self.options.warmup() {
            bar.set_message("warm-up");
            let limit = self.left().map_or(most, |left| most.min(left));
            self.bench.repeat(work, 0, limit, &bar).await?;
        }
        for number in 1..=self.options.repeats() {
            let limit = self.left().map_or(most, |left| most.min(left));
            if number > 1 && limit.as_secs_f64() < point.estimate_s {
                break;
            }
            bar.set_message(format!("repeat {number} of {}", self.options.repeats()));
            let done = self.bench.repeat(work, number, limit, &bar).await?;
            let reasons = done.repeat.reasons.iter();
            let reasons = reasons.map(|reason| format!("repeat {number}: {reason}"));
            point.reasons.extend(reasons);
            point.repeats.push(done.repeat);
            extras.take(&done.rows, done.server);
        }
        bar.finish_and_clear();
        Ok(())
    }
}
