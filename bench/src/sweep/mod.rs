//! Sweeps: one parameter over its values, the real services at each, every window checked.
//!
//! A point runs broker, operator, analytics and a fleet over TCP for a bounded number of windows. Before the first one, a
//! small point is run to see how fast the machine is; the estimate that is printed follows from it, and so does which
//! points are left out. That point is the warm-up of a quick run; a full run also runs the first point of each sweep
//! `--warmup` times without entering it.
//!
//! # Layout
//! * [`work`]: what each value means · [`estimate`]: how long it takes · [`plan`]: which points are run
//! * [`point`]: one repeat · [`samples`]: every measurement the services make · [`threads`]: what each service takes
//! * [`plaintext`]: the same work without encryption

pub mod estimate;
pub mod plaintext;
pub mod plan;
pub mod point;
pub mod samples;
pub mod threads;
pub mod work;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use service::config::Settings;
use service::stop::Stop;

use crate::results::schema::{FORMAT, Parameter, Point, Run, Status, Sweep};
use crate::results::{Extras, Files, environment, spread, table};

use self::estimate::Estimate;
use self::plan::{Plan, Planned};
use self::point::Bench;
use self::samples::Samples;
use self::work::Work;

/// Wall time of a quick run, all sweeps together.
pub const QUICK: Duration = Duration::from_secs(60);
/// What of it is planned for; the rest is for what takes longer than estimated.
const QUICK_PLANNED: f64 = 0.75;
/// Repeats that take this many times their estimate, and this long at least, have failed.
const OVERRUN: f64 = 6.0;
const LEAST_LIMIT: Duration = Duration::from_secs(60);

/// What to sweep.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Measure over the values of a parameter; several with commas or by repeating the flag.
    #[arg(
        long = "sweep",
        value_enum,
        value_delimiter = ',',
        value_name = "PARAMETER"
    )]
    pub sweeps: Vec<Parameter>,
    /// The values, with commas, of the one parameter that is swept; each has its own by default.
    #[arg(long, value_delimiter = ',', value_name = "VALUE", requires = "sweeps")]
    pub values: Vec<String>,
    /// How often each point is measured; 3, or 1 with --quick.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), requires = "sweeps")]
    pub repeats: Option<u32>,
    /// How often the first point of each sweep is run before it is measured; 1, or 0 with --quick.
    #[arg(long, requires = "sweeps")]
    pub warmup: Option<u32>,
    /// Meters, where they are not what is swept.
    #[arg(long, requires = "sweeps", value_parser = clap::value_parser!(u32).range(2..))]
    pub meters: Option<u32>,
    /// Feeders, where they are not what is swept.
    #[arg(long, requires = "sweeps", value_parser = clap::value_parser!(u32).range(1..))]
    pub feeders: Option<u32>,
    /// Intervals in a report, where they are not what is swept.
    #[arg(long, requires = "sweeps", value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: Option<u16>,
    /// Seed of the fleet and of the emulated network.
    #[arg(long, default_value_t = 1, requires = "sweeps")]
    pub seed: u64,
    /// Skip points of which one repeat is estimated to take longer.
    #[arg(long, default_value = "3m", requires = "sweeps", value_parser = humantime::parse_duration)]
    pub point_limit: Duration,
    /// Leave out the comparison with the same pipeline in plaintext.
    #[arg(long, requires = "sweeps")]
    pub no_plaintext: bool,
    /// Shift the truth of one window of the first point, to see that a wrong total is found.
    #[arg(long, requires = "sweeps", hide = true)]
    pub shift_truth: bool,
    /// Fewer values, repeats and windows: all chosen sweeps within a minute.
    #[arg(skip)]
    pub quick: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sweeps: Vec::new(),
            values: Vec::new(),
            repeats: None,
            warmup: None,
            meters: None,
            feeders: None,
            batch: None,
            seed: 1,
            point_limit: Duration::from_secs(180),
            no_plaintext: false,
            shift_truth: false,
            quick: false,
        }
    }
}

impl Options {
    /// Repeats of each point.
    #[must_use]
    pub fn repeats(&self) -> u32 {
        self.repeats.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// Warm-up runs of each sweep.
    #[must_use]
    pub fn warmup(&self) -> u32 {
        self.warmup.unwrap_or(u32::from(!self.quick))
    }
}

/// The run was interrupted.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Runs the sweeps and writes their results, `run.json` after every point.
///
/// # Errors
/// Where it is interrupted or the results cannot be written. A wrong or failed point is no error here; it is in the
/// document.
pub async fn run(base: &Settings, options: &Options, results: &Path, stop: &Stop) -> Result<Run> {
    let began = Instant::now();
    let plan = Plan::new(options)?;
    let samples = Samples::install()?;
    let bench = Bench {
        base,
        seed: options.seed,
        samples: &samples,
        stop,
        shift_truth: false,
    };
    let mut run = Run {
        format: FORMAT,
        correct: true,
        failures: Vec::new(),
        environment: environment::now(options.repeats(), options.warmup(), options.quick),
        sweeps: Vec::new(),
        plaintext: None,
        load: None,
        peers: None,
        budget: None,
    };
    let estimate = calibrate(&bench).await?;
    let left = options
        .quick
        .then(|| (QUICK.as_secs_f64() * QUICK_PLANNED) - began.elapsed().as_secs_f64());
    let plan = plan.within(&estimate, options, left);
    run.environment.estimate_s = plan.seconds(options);
    eprintln!("{}", plan.announce(options, began.elapsed()));
    let mut files = Files::new(results);
    let mut shift = options.shift_truth;
    for (parameter, points) in plan.sweeps {
        let (unit, varies) = work::describe(parameter);
        run.sweeps.push(Sweep {
            parameter,
            unit: unit.to_owned(),
            varies: varies.to_owned(),
            points: Vec::new(),
        });
        let mut warmup = options.warmup();
        for planned in points {
            let bench = Bench {
                shift_truth: std::mem::take(&mut shift),
                ..bench
            };
            let late = options.quick.then(|| QUICK.saturating_sub(began.elapsed()));
            let (point, extras) =
                measure(&bench, planned, options, parameter, &mut warmup, late).await?;
            eprintln!("{}", table::progress(parameter, &point));
            if let Some(sweep) = run.sweeps.last_mut() {
                sweep.points.push(point);
            }
            files.add(parameter, extras);
            close(&mut run, began);
            files.write(&run)?;
        }
    }
    if !options.no_plaintext {
        let rounds = if options.quick { 1 } else { 5 };
        run.plaintext =
            Some(plaintext::run(base, rounds, options.quick, options.seed, stop).await?);
    }
    run.environment.load_average_after = environment::load_average();
    run.environment.ended_at = Some(environment::timestamp());
    close(&mut run, began);
    files.write(&run)?;
    Ok(run)
}

/// Runs a small point to see how fast the machine is now.
async fn calibrate(bench: &Bench<'_>) -> Result<Estimate> {
    let options = Options {
        quick: true,
        ..Options::default()
    };
    let work = Work::of(Parameter::Meters, "100", &options)?;
    let began = Instant::now();
    let outcome = bench
        .repeat(&work, 0, LEAST_LIMIT, &ProgressBar::hidden())
        .await?;
    if outcome.repeat.status == Status::Failed {
        anyhow::bail!(
            "the first, small point came to no end: {}",
            outcome.repeat.reasons.join("; ")
        );
    }
    Ok(Estimate::calibrated(&work, began.elapsed()))
}

/// Runs a point as often as asked.
async fn measure(
    bench: &Bench<'_>,
    planned: Planned,
    options: &Options,
    parameter: Parameter,
    warmup: &mut u32,
    late: Option<Duration>,
) -> Result<(Point, Extras)> {
    let Planned {
        work,
        estimate_s,
        skip,
    } = planned;
    let mut point = Point {
        label: work.label.clone(),
        value: work.value,
        settings: work.settings(bench.base.plan.min_meters, options.seed),
        status: Status::Skipped,
        reasons: Vec::new(),
        estimate_s,
        repeats: Vec::new(),
        median: None,
    };
    let mut extras = Extras {
        label: work.label.clone(),
        ..Extras::default()
    };
    let began = Instant::now();
    let overrun =
        late.filter(|left| left.as_secs_f64() < estimate_s * f64::from(options.repeats()));
    if let Some(reason) = skip.or_else(|| overrun.map(|_| "--quick: the minute is over".to_owned()))
    {
        point.reasons.push(reason);
        return Ok((point, extras));
    }
    let limit = LEAST_LIMIT.max(Duration::from_secs_f64(estimate_s * OVERRUN));
    let limit = late.map_or(limit, |left| limit.min(left));
    let bar = progress_bar(parameter, &work.label);
    for _ in 0..std::mem::take(warmup) {
        bar.set_message("warm-up");
        bench.repeat(&work, 0, limit, &bar).await?;
    }
    for number in 1..=options.repeats() {
        let limit = late.map_or(limit, |left| left.saturating_sub(began.elapsed()));
        if number > 1 && limit.as_secs_f64() < estimate_s {
            break;
        }
        bar.set_message(format!("repeat {number} of {}", options.repeats()));
        let outcome = bench.repeat(&work, number, limit, &bar).await?;
        let reasons = outcome.repeat.reasons.iter();
        point
            .reasons
            .extend(reasons.map(|reason| format!("repeat {number}: {reason}")));
        point.repeats.push(outcome.repeat);
        extras.take(outcome.rows, outcome.server);
    }
    bar.finish_and_clear();
    let has = |status| point.repeats.iter().any(|repeat| repeat.status == status);
    point.status = match (has(Status::Wrong), has(Status::Failed)) {
        (true, _) => Status::Wrong,
        (_, true) => Status::Failed,
        _ => Status::Ok,
    };
    point.median = spread::of(&point.repeats);
    Ok((point, extras))
}

/// Says of the whole run what its points say.
fn close(run: &mut Run, began: Instant) {
    run.environment.wall_s = began.elapsed().as_secs_f64();
    run.failures.clear();
    for sweep in &run.sweeps {
        for point in &sweep.points {
            if matches!(point.status, Status::Wrong | Status::Failed) {
                let what = point.reasons.first().map_or("", String::as_str);
                run.failures.push(format!(
                    "{} {}: {what}",
                    work::name(sweep.parameter),
                    point.label
                ));
            }
        }
    }
    if run
        .plaintext
        .as_ref()
        .is_some_and(|plaintext| !plaintext.correct)
    {
        run.failures
            .push("plaintext: a sum differs from the truth".to_owned());
    }
    run.correct = run.failures.is_empty();
}

/// On standard error, and only on a terminal.
fn progress_bar(parameter: Parameter, label: &str) -> ProgressBar {
    let template = "{elapsed_precise} {prefix} {bar:30} {pos}/{len} feeder windows, {msg}";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(1)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(format!("{} {label}", work::name(parameter)))
}
