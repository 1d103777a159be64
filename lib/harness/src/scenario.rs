//! What a run is made of, as settings of the real services.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use readings::Source;
use service::config::{Settings, SourceKind};
use wire::{Grid, GridError, MeterId, UnixSeconds, WindowStart, Zone};

use crate::holders::Group;
use crate::input::Input;
use crate::ledger::Ledger;
use crate::network::Network;
use crate::oracle::Truths;

/// The customers of the demo, unless another input is named.
pub const UCI: &str = "data/uci_electricity_hourly.csv";

const DAY_S: u64 = 86_400;
/// Intervals in a report where nothing says how many.
const BATCH: u16 = 24;
/// Event time the demo covers: two days.
const DEMO_DAYS: Duration = Duration::from_secs(2 * DAY_S);
/// Wall time in which the demo's readings pass.
const DEMO_WALL: Duration = Duration::from_secs(6);
/// Wall time for which a window with meters missing is waited for, by idleness and by event time alike. The services
/// run on one machine, so only an emulated network makes a report late.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same where reports are lost on purpose: many times the longest wait before a report is sent again.
const LOSSY_PATIENCE: Duration = Duration::from_secs(12);
/// Waits before a report is sent again, first and longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));

/// What the command line asks for.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Simulate this many meters instead of replaying real customers.
    #[arg(long, conflicts_with = "replay")]
    pub meters: Option<u32>,
    /// Replay a file of readings, in one of the forms of docs/formats.md.
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    /// Number of feeders the meters are spread over in turn.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub feeders: u32,
    /// Intervals in a report; 24 unless set, or those of the longest day with plan.time_zone.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: Option<u16>,
    /// Seed of a simulated fleet and of the emulated network.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Length of an interval, such as 15m; a file's own unless set, an hour for a simulated fleet.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub interval: Option<Duration>,
    /// Share the mask keys among holders, such as 2of4: two of four together have all.
    #[arg(long, value_name = "TofN")]
    pub holders: Option<Group>,
    /// The network between the gateway and the broker.
    #[arg(skip)]
    pub network: Network,
}

/// A run: settings for the services, and what they must come to.
pub struct Scenario {
    /// Settings of all four services. Address and state folder are still to be set.
    pub settings: Settings,
    /// The truth of every window.
    pub truths: Truths,
    /// Meters in the fleet.
    pub meters: usize,
    /// Their ids, in the order that decides their feeders.
    pub ids: Vec<MeterId>,
    /// Where the readings come from, in words.
    pub input: String,
    /// What the file has, where they come from one.
    pub ledger: Option<Ledger>,
    /// The network between the gateway and the broker.
    pub network: Network,
    /// Who holds mask keys beside the operator.
    pub holders: Option<Group>,
}

impl Scenario {
    /// The demo: two days of event time.
    ///
    /// # Errors
    /// Where the input cannot be read or the options contradict each other.
    pub fn demo(base: &Settings, options: &Options) -> Result<Self> {
        Self::paced(options.settings(base)?, options, DEMO_DAYS, demo_speed())
    }

    /// A continuous run of `wall` time.
    ///
    /// # Errors
    /// As [`Scenario::demo`].
    pub fn run(base: &Settings, options: &Options, wall: Duration) -> Result<Self> {
        let settings = options.settings(base)?;
        let (from, until) = Input::open(&settings)?.as_source().range();
        // A file is stretched over the whole run if it would be over sooner.
        let longest = until.map(|until| (until.0 - from.0) as f64 / wall.as_secs_f64());
        let speed = longest.map_or(demo_speed(), |longest| longest.min(demo_speed()));
        Self::paced(settings, options, wall.mul_f64(speed), speed)
    }

    /// So much event time at so many seconds of it a second, with the input that `settings` name.
    ///
    /// # Errors
    /// As [`Scenario::demo`].
    pub fn paced(
        mut settings: Settings,
        options: &Options,
        event: Duration,
        speed: f64,
    ) -> Result<Self> {
        let mut source = Input::open(&settings)?;
        let interval_s = match options.interval {
            Some(interval) => u32::try_from(interval.as_secs()).context("--interval")?,
            None if options.meters.is_some() => 3600,
            None => source.as_source().interval_s(),
        };
        source.undoubted(interval_s, options.interval.is_some())?;
        let grid = options.grid(interval_s, settings.plan.time_zone)?;
        ensure!(
            DAY_S.is_multiple_of(u64::from(interval_s)),
            "an interval of {interval_s} s does not divide a day: choose another --interval"
        );
        let (window, end) = windows(source.as_source(), grid, event)?;
        settings.plan.interval = Duration::from_secs(u64::from(interval_s));
        settings.plan.batch = grid.batch();
        pace(&mut settings, speed, &options.network);
        let specs = source.as_source().meters();
        let ids: Vec<MeterId> = specs.iter().map(|spec| spec.id.clone()).collect();
        let meters = ids.len();
        let fleet = &mut settings.meter;
        fleet.start = Some(UnixSeconds(window.0));
        fleet.duration = Some(Duration::from_secs(end - window.0));
        fleet.outbox_max_reports = fleet.outbox_max_reports.max(2 * meters);
        let ledger = source.ledger(grid, (window, end))?;
        let (input, mut clear) = source.clear(&settings, options.seed)?;
        let truths = Truths::read(clear.as_mut(), grid, options.feeders, (window, end))?;
        Ok(Self {
            settings,
            truths,
            meters,
            ids,
            input,
            ledger,
            network: options.network,
            holders: options.holders,
        })
    }
}

/// The first window, and the end of the last one, in Unix seconds.
fn windows(source: &dyn Source, grid: Grid, event: Duration) -> Result<(WindowStart, u64)> {
    let (from, until) = source.range();
    let start = match until {
        Some(_) => from.0,
        // Simulated time starts far enough in the past not to catch up with now.
        None => {
            let now = jiff::Timestamp::now().as_second() as u64;
            from.0.max(now - event.as_secs() - grid.longest_window_s())
        }
    };
    let first = grid.first_from(UnixSeconds(start));
    let usual = grid.zone().map_or(grid.longest_window_s(), |_| DAY_S);
    let count = (event.as_secs() / usual).max(1);
    let end = (grid.after(first, count).0).min(until.map_or(u64::MAX, |until| until.0));
    ensure!(first.0 < end, no_window(from.0, end, grid));
    let now = jiff::Timestamp::now();
    ensure!(
        first.0 as i64 <= now.as_second(),
        "the input starts at {first}, ahead of this machine's clock: correct the clock or the input's times"
    );
    Ok((first, end))
}

/// That no window begins in the input, and what to do.
fn no_window(from: u64, until: u64, grid: Grid) -> String {
    if grid.zone().is_some() {
        return format!("the input covers no whole window, which is {grid}: choose a longer input");
    }
    let mend = match fitting_batch(from, until, grid) {
        Some(batch) => format!("choose a smaller one, such as --batch {batch}"),
        None => "choose a longer input".to_owned(),
    };
    format!(
        "the input covers no whole window of --batch {grid}, which starts at a multiple of that in UTC: {mend}"
    )
}

/// The largest batch whose windows divide a day and of which one is in the input.
fn fitting_batch(from: u64, until: u64, grid: Grid) -> Option<u16> {
    let fits = |batch: &u16| {
        let window = u64::from(*batch) * u64::from(grid.interval_s());
        DAY_S.is_multiple_of(window) && from.div_ceil(window) * window + window <= until
    };
    (1..grid.batch()).rev().find(fits)
}

/// What is waited for, and for how long, when event time passes `speed` times as fast as the clock.
fn pace(settings: &mut Settings, speed: f64, network: &Network) {
    let patience = match network.loss > 0.0 || network.latency + network.jitter > RETRY.0 {
        true => LOSSY_PATIENCE,
        false => PATIENCE,
    };
    settings.analytics.idle_limit = patience;
    // Event time runs ahead of the wall clock; what is waited for is wall time.
    settings.analytics.grace = patience.mul_f64(speed.max(1.0));
    (settings.meter.retry_min, settings.meter.retry_max) = RETRY;
    settings.meter.speed = speed;
}

/// Seconds of event time a second in the demo.
fn demo_speed() -> f64 {
    DEMO_DAYS.as_secs_f64() / DEMO_WALL.as_secs_f64()
}

impl Options {
    fn grid(&self, interval_s: u32, zone: Option<Zone>) -> Result<Grid, GridError> {
        match (self.batch, zone) {
            (None, Some(zone)) => Grid::of_days(interval_s, zone),
            (batch, zone) => Grid::planned(interval_s, batch.unwrap_or(BATCH), zone),
        }
    }

    /// `base` with the input that these name.
    ///
    /// # Errors
    /// Where the file to replay is not there.
    pub fn settings(&self, base: &Settings) -> Result<Settings> {
        let mut settings = base.clone();
        let fleet = &mut settings.meter;
        fleet.feeders = self.feeders;
        fleet.seed = self.seed;
        match self.meters {
            Some(meters) => {
                fleet.source = SourceKind::Simulated;
                fleet.meters = meters;
                fleet.replay = None;
            }
            None => {
                fleet.source = SourceKind::Replay;
                fleet.replay = Some(input_file(self.replay.as_deref())?);
            }
        }
        Ok(settings)
    }
}

/// The file to replay: the one named, or the project's own customers, wherever the command is started.
///
/// # Errors
/// Where neither is there.
pub fn input_file(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let in_source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(UCI);
    [PathBuf::from(UCI), in_source]
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "{UCI} is not here: start in the project's folder, or name a file with --replay"
            )
        })
}

#[cfg(test)]
mod tests {
    use readings::{Replay, ReplayOptions};

    use super::*;

    #[test]
    fn an_input_ahead_of_the_clock_is_refused() {
        let options = ReplayOptions {
            start: UnixSeconds(32_503_680_000),
            ..ReplayOptions::default()
        };
        let rows: String = (0..48).map(|hour| format!("{hour},1\n")).collect();
        let csv = "hour,a\n".to_owned() + &rows;
        let source = Replay::from_reader(csv.as_bytes(), "own".as_ref(), &options).unwrap();
        let grid = Grid::new(3600, 24).unwrap();
        let refused = windows(&source, grid, Duration::from_secs(86_400)).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("ahead of this machine's clock")
        );
    }

    #[test]
    fn an_input_without_a_whole_window_names_a_batch_that_has_one() {
        let grid = Grid::new(3600, 24).unwrap();
        // Twelve hours from one o'clock.
        assert_eq!(fitting_batch(3_600, 13 * 3_600, grid), Some(6));
        assert_eq!(fitting_batch(3_600, 3_601, grid), None);
    }
}
