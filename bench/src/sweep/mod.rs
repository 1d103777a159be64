//! Sweeps: one parameter over its values, the real services at each, every window checked.
//!
//! A point runs broker, operator, analytics and a fleet over TCP for a bounded number of windows. Before the first one, a
//! small point is run to see how fast the machine is; the estimate that is printed follows from it, and so does which
//! points are left out. That point is the warm-up of a quick run; a full run also runs the first point of each sweep
//! `--warmup` times without recording it. Each point has a process of its own.
//!
//! # Layout
//! * [`parameter`]: what can be swept · [`work`]: what each value means · [`estimate`]: how long it takes · [`plan`]: which points are run
//! * [`point_process`]: a point in its process · [`point`]: one repeat · [`samples`]: every measurement the services make

mod estimate;
pub(crate) mod parameter;
pub(crate) mod plan;
mod point;
pub(crate) mod point_process;
pub(crate) mod samples;
pub(crate) mod work;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::ProgressBar;
use service::config::Settings;
use service::stop::Stop;

use crate::output::parsed;
use crate::results::extras::Extras;
use crate::results::files::Files;
use crate::results::schema::{FORMAT, Parameter, Run, Status};
use crate::results::{environment, table};

use self::estimate::Estimate;
use self::plan::{Plan, Planned};
use self::point::Bench;
use self::point_process::Measured;
use self::samples::Samples;
use self::work::Work;

/// Wall time of a quick run, all sweeps together.
pub(crate) const QUICK: Duration = Duration::from_secs(60);
/// What of it is planned for; the rest is for what takes longer than estimated.
const QUICK_PLANNED: f64 = 0.75;
/// Repeats that take this many times their estimate, and this long at least, have failed.
const OVERRUN: f64 = 6.0;
const LEAST_LIMIT: Duration = Duration::from_secs(60);

/// What to sweep.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Measure at several values of a parameter; name several parameters with commas or by repeating the flag.
    #[arg(
        long = "sweep",
        value_enum,
        value_delimiter = ',',
        value_name = "PARAMETER"
    )]
    pub(crate) sweeps: Vec<Parameter>,
    /// The values to measure at, with commas, where one parameter is swept; each parameter has defaults.
    #[arg(long, value_delimiter = ',', value_name = "VALUE", requires = "sweeps")]
    pub(crate) values: Vec<String>,
    /// How often each point is measured; 3, or 1 with --quick.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), requires = "sweeps")]
    pub(crate) repeats: Option<u32>,
    /// How often the first point of each sweep is run before it is measured; 1, or 0 with --quick.
    #[arg(long, requires = "sweeps")]
    pub(crate) warmup: Option<u32>,
    /// Meters, where they are not what is swept.
    #[arg(long, requires = "sweeps", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) meters: Option<u32>,
    /// Feeders, where they are not what is swept.
    #[arg(long, requires = "sweeps", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) feeders: Option<u32>,
    /// Intervals in a report, where they are not what is swept.
    #[arg(long, requires = "sweeps", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) batch: Option<u16>,
    /// Seed of the fleet and of the emulated network.
    #[arg(long, default_value_t = 1, requires = "sweeps")]
    pub(crate) seed: u64,
    /// Skip points whose repeats are estimated to take longer than this.
    #[arg(long, default_value = "3m", requires = "sweeps", value_parser = humantime::parse_duration)]
    pub(crate) point_limit: Duration,
    /// Falsify the truth of one window of the first point, to see that a wrong total is found.
    #[arg(long, requires = "sweeps", hide = true)]
    pub(crate) shift_truth: bool,
    /// Fewer values, repeats and windows: all chosen sweeps within a minute.
    #[arg(skip)]
    pub(crate) quick: bool,
    /// The files and settings given, for the process of each point.
    #[arg(skip)]
    pub(crate) common: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        // Its arguments all have defaults, or may be left out.
        parsed(&[]).unwrap_or_else(|error| unreachable!("{error}"))
    }
}

impl Options {
    pub(crate) fn repeats(&self) -> u32 {
        self.repeats.unwrap_or(if self.quick { 1 } else { 3 })
    }

    pub(crate) fn warmup(&self) -> u32 {
        self.warmup.unwrap_or(u32::from(!self.quick))
    }
}

/// Runs the sweeps and writes their results, `run.json` after every point. A wrong or failed point is not an
/// error here; it is in the document.
pub(crate) async fn run(
    base: &Settings,
    options: &Options,
    results: &Path,
    stop: &Stop,
) -> Result<Run> {
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
        environment: environment::now(options.repeats(), options.warmup(), options.quick).await,
        sweeps: Vec::new(),
        load: None,
        peers: None,
        budget: None,
    };
    let estimate = calibrate(&bench).await?;
    let left = QUICK.as_secs_f64() * QUICK_PLANNED - began.elapsed().as_secs_f64();
    let plan = plan.within(&estimate, options, options.quick.then_some(left));
    run.environment.estimate_s = plan.seconds(options);
    eprintln!("{}", plan.announce(options, began.elapsed()));
    let mut sweeper = Sweeper {
        base,
        options: options.clone(),
        began,
        stop,
    };
    let mut files = Files::new(results);
    for (parameter, points) in plan.sweeps {
        run.sweeps.push(parameter::empty(parameter));
        sweeper.options.warmup = options.warmup;
        for planned in &points {
            let Measured { point, extras } = sweeper.point(parameter, planned).await?;
            eprintln!("{}", table::progress(parameter, &point));
            if let Some(sweep) = run.sweeps.last_mut() {
                sweep.points.push(point);
            }
            files.add(parameter, extras);
            close(&mut run, began);
            files.write(&run)?;
        }
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
    let hidden = ProgressBar::hidden();
    let done = bench.repeat(&work, 0, LEAST_LIMIT, &hidden).await?;
    if done.repeat.status == Status::Failed {
        let why = done.repeat.reasons.join("; ");
        anyhow::bail!("the first, small point did not finish: {why}");
    }
    Ok(Estimate::calibrated(&work, began.elapsed()))
}

struct Sweeper<'a> {
    base: &'a Settings,
    /// What the next point is measured with.
    options: Options,
    began: Instant,
    stop: &'a Stop,
}

impl Sweeper<'_> {
    fn left(&self) -> Option<Duration> {
        let left = || QUICK.saturating_sub(self.began.elapsed());
        self.options.quick.then(left)
    }

    async fn point(&mut self, parameter: Parameter, planned: &Planned) -> Result<Measured> {
        let needed = planned.estimate_s * f64::from(self.options.repeats());
        let late = self.left().is_some_and(|left| left.as_secs_f64() < needed);
        let late = late.then(|| "--quick: the minute is over".to_owned());
        if let Some(reason) = planned.skip.clone().or(late) {
            let mut point = point_process::unmeasured(self.base, &self.options, planned)?;
            point.reasons.push(reason);
            let extras = Extras::of(&point.label);
            return Ok(Measured { point, extras });
        }
        let left = self.left();
        let point = (parameter, planned);
        let measured =
            point_process::measure(self.base, &self.options, point, left, self.stop).await?;
        // The truth is shifted once, in the first point that runs, and only the first of a sweep is warmed up.
        self.options.shift_truth = false;
        self.options.warmup = Some(0);
        Ok(measured)
    }
}

fn close(run: &mut Run, began: Instant) {
    run.environment.wall_s = began.elapsed().as_secs_f64();
    run.failures.clear();
    for sweep in &run.sweeps {
        for point in &sweep.points {
            if matches!(point.status, Status::Wrong | Status::Failed) {
                let what = point.reasons.first().map_or("", String::as_str);
                let name = parameter::name(sweep.parameter);
                run.failures.push(format!("{name} {}: {what}", point.label));
            }
        }
    }
    run.correct = run.failures.is_empty();
}
