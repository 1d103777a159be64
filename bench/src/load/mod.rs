//! Offered load: reports of many distinct meters at stated rates, whatever the pipeline makes of them.
//!
//! The generator is open-loop: report n is due at a fixed time, and its latency counts from then, so that a pipeline
//! that stalls cannot hide it by slowing the generator down. Its gateways keep the pace that real ones keep, so what is
//! due and not yet allowed waits in the generator. Its ciphertexts are a pool of real encryptions of zero; every report has a
//! reading, a mask and a signature of its own, made before the step begins. Every window is decrypted and compared with the
//! truth.
//!
//! # Layout
//! * [`deployment`]: the plan · [`pool`]: ciphertexts · [`seal`]: reading and mask added to one
//! * [`fleet`]: the meters, and where they are · [`reports`]: what they signed
//! * [`step`]: which report is due when, and what became of it · [`gateway`]: sending, settling, sending again
//! * [`world`]: services and generator, offered step after step · [`database`]: PostgreSQL, if they use it
//! * [`search`]: which rate comes next
//! * [`step_summary`], [`summary`]: tables and files

mod database;
mod deployment;
mod due;
mod fleet;
mod gateway;
mod pool;
mod processes;
mod reports;
mod seal;
mod search;
mod services;
mod settings;
mod step;
mod step_summary;
mod summary;
mod uplink;
mod world;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use harness::sharing::Sharing;
use service::config::Settings;
use service::stop::Stop;

use search::Search;
use step_summary::StepSummary;
pub(crate) use summary::Load;
use world::World;

/// Meters unless stated, and with `--quick`.
const METERS: u32 = 100_000;
const QUICK_METERS: u32 = 20_000;
/// Meters on a feeder unless the number of feeders is set.
const METERS_A_FEEDER: u32 = 1_000;
/// The limit of a search that has none.
const MAX_P99: Duration = Duration::from_secs(1);

/// A rate to offer.
fn positive(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok();
    let rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "expected reports a second, a number above 0".to_owned())
}

/// What to offer.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Offer this one rate, in reports/s; 1112 is a million meters every 15 minutes. Without it, the rate goes up in steps
    /// until one is too high, and is then bisected.
    #[arg(long, value_parser = positive)]
    pub(crate) rate: Option<f64>,
    /// How long the one rate is offered, with --rate.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    pub(crate) duration: Duration,
    /// Distinct enrolled meters; each reports once a window. 100,000, or 20,000 with --quick, unless set.
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(crate) meters: Option<u32>,
    /// Feeders; one for each thousand meters unless set.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) feeders: Option<u32>,
    /// How many real ciphertexts the reports share.
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pool: u32,
    /// How analytics keeps and shares the sums.
    #[command(flatten)]
    pub(crate) sharing: Sharing,
    /// Offer the same to one process with a file of its own too, in the same run.
    #[arg(long)]
    pub(crate) beside_file: bool,
    /// Run broker, operator and analytics in processes of their own, whose memory and restart are measured.
    #[arg(long)]
    pub(crate) processes: bool,
    /// Gateways that send, each over a connection of its own and at the pace its receipts allow.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) gateways: u32,
    /// Seed of the readings and of the meters' keys.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Limit on the 99th percentile of the latency. With --rate, a longer one is exit code 3; without, such a rate counts
    /// as too high, and the limit is 1s unless set.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(crate) max_p99: Option<Duration>,
    /// How many rates are offered at most.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) steps: u32,
    /// How long each of them is offered; 20s, or 4s with --quick, unless set.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(crate) step_duration: Option<Duration>,
    /// The first rate, in reports a second.
    #[arg(long, value_parser = positive, default_value_t = 500.0)]
    pub(crate) min_rate: f64,
    /// The greatest rate, in reports a second.
    #[arg(long, value_parser = positive, default_value_t = 30_000.0)]
    pub(crate) max_rate: f64,
    /// Exit with code 3 if the maximum sustained throughput is below this, in reports/s.
    #[arg(long)]
    pub(crate) floor: Option<f64>,
    /// A rough figure in less than a minute.
    #[arg(long)]
    pub(crate) quick: bool,
}

impl Options {
    fn meters(&self) -> u32 {
        let usual = if self.quick { QUICK_METERS } else { METERS };
        self.meters.unwrap_or(usual)
    }

    fn feeders(&self, meters: u32) -> u32 {
        self.feeders.unwrap_or(meters.div_ceil(METERS_A_FEEDER))
    }

    fn step_duration(&self) -> Duration {
        let usual = Duration::from_secs(if self.quick { 4 } else { 20 });
        self.step_duration.unwrap_or(usual)
    }
}

/// Offers one rate to real services, or one after the other until the maximum sustained throughput is known, and judges what
/// they make of each.
pub(crate) async fn run(
    base: &Settings,
    options: &Options,
    results: &Path,
    stop: Stop,
) -> Result<Load> {
    options.sharing.check()?;
    anyhow::ensure!(
        !options.processes || options.sharing == Sharing::ALONE && !options.beside_file,
        "--processes runs one analytics process with a file: leave --store, --analytics and --beside-file out"
    );
    let (mut load, restarted) = measure(base, options, options.sharing, &stop).await?;
    load.write(results)?;
    restarted?;
    if options.beside_file {
        let (beside, _) = measure(base, options, Sharing::ALONE, &stop).await?;
        load.beside = Some(Box::new(beside));
        load.write(results)?;
    }
    Ok(load)
}

/// What a search found, and whether the services worked again after a restart.
async fn measure(
    base: &Settings,
    options: &Options,
    sharing: Sharing,
    stop: &Stop,
) -> Result<(Load, Result<()>)> {
    let (mut search, duration, max_p99) = match options.rate {
        Some(rate) => (
            Search::new(rate, rate, 1),
            options.duration,
            options.max_p99,
        ),
        None => (
            Search::new(options.min_rate, options.max_rate, options.steps),
            options.step_duration(),
            options.max_p99.or(Some(MAX_P99)),
        ),
    };
    let mut world = World::start(base, options, sharing, stop).await?;
    let steps = offer(&mut world, &mut search, duration, max_p99, stop).await;
    let restarted = match &steps {
        Ok(_) => world.restart(stop).await,
        Err(_) => Ok(()),
    };
    let enrolled = world.enrolled;
    let restarted_s = world.restarted.map(|took| took.as_secs_f64());
    let stopped = world.stop().await;
    let steps = steps?;
    stopped?;
    let meters = options.meters();
    let mut load = Load {
        searched: options.rate.is_none(),
        floor: options.floor,
        within_floor: true,
        max_p99_ms: max_p99.map(|limit| limit.as_secs_f64() * 1e3),
        meters: steps.first().map_or(meters, |step| step.meters),
        feeders: options.feeders(meters),
        gateways: options.gateways,
        store: sharing.store.name(),
        analytics: sharing.analytics,
        pool: options.pool,
        enrolled_s: enrolled.as_secs_f64(),
        restarted_s,
        steps,
        ..Load::default()
    };
    if load.searched {
        load.found(&search);
    }
    Ok((load, restarted))
}

async fn offer(
    world: &mut World,
    search: &mut Search,
    duration: Duration,
    max_p99: Option<Duration>,
    stop: &Stop,
) -> Result<Vec<StepSummary>> {
    let mut steps: Vec<StepSummary> = Vec::new();
    while let Some(rate) = search.next() {
        let step = world.step(rate, duration, stop).await?;
        let step = step.limited(max_p99);
        search.record(rate, step.passed());
        let verdict = if step.passed() { "" } else { ": too many" };
        eprintln!(
            "{rate:.0}/s offered, {:.0}/s settled, p99 {:.0} ms{verdict}",
            step.settled_per_s, step.latency_ms.p99
        );
        let correct = step.correct;
        steps.push(step);
        // What is left of a step that did not settle would be held against the next one.
        if !correct {
            break;
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests;
