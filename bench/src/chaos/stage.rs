//! What a run is made of: the settings of its processes, where they listen, and the truth they must come to.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use meter::fleet::simulated;
use meter::source::Simulated;
use service::config::{Settings, SourceKind};
use wire::{Grid, UnixSeconds, WindowStart};

use super::Options;
use crate::oracle::{Seeded, Truths, truths};

/// Length of an interval in seconds, and intervals in a window: an hour of event time.
const GRID: (u32, u16) = (900, 4);
/// Windows each feeder reports for each kill. A kill needs work in flight, and what a kill holds up does not move on.
const WINDOWS_PER_KILL: u32 = 3;
/// Fewest windows.
const FEWEST_WINDOWS: u32 = 30;
/// Windows of each feeder a second, as long as nothing holds them up.
const WINDOWS_PER_S: f64 = 2.0;
/// Smallest group where there are supplements: few of them are too small to be released then.
const SUPPLEMENT: u32 = 2;
/// Windows the gateway may be ahead of its receipts.
const AHEAD: usize = 4;
/// Ports to choose from: below those the system gives to outgoing connections, so that none takes the broker's while it
/// is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A run, ready to start.
pub struct Stage {
    /// Settings of all processes; `mqtt.address` is the broker's own.
    pub settings: Settings,
    /// The file that holds them.
    pub config: PathBuf,
    /// The first ledger: what every window must come to, from the seed.
    pub truths: Truths,
    /// The first window.
    pub from: WindowStart,
    /// Windows of each feeder.
    pub windows: u32,
    /// How time is cut.
    pub grid: Grid,
}

impl Stage {
    /// Sets a run up, with its configuration and state in `folder` and its totals in `results`.
    ///
    /// # Errors
    /// Where a file cannot be written or no port is free.
    pub fn set(base: &Settings, options: &Options, folder: &Path, results: &Path) -> Result<Self> {
        let grid = Grid::new(GRID.0, GRID.1)?;
        let windows = options
            .windows
            .unwrap_or_else(|| (options.kills * WINDOWS_PER_KILL).max(FEWEST_WINDOWS));
        let length = u64::from(windows) * grid.window_s();
        let now = jiff::Timestamp::now().as_second() as u64;
        // Far enough in the past not to catch up with now, where time would slow down.
        let from = grid.window_of(UnixSeconds(now - length - 2 * grid.window_s()));
        let settings = settings(base, options, grid, from, length, folder, results)?;
        let source = Simulated::new(&simulated(&settings))?;
        let mut clear = Seeded(Box::new(source));
        let truths = truths(&mut clear, grid, options.feeders, from, from.0 + length)?;
        let config = folder.join("chaos.toml");
        std::fs::write(&config, toml::to_string(&settings)?)
            .with_context(|| format!("cannot write {}", config.display()))?;
        Ok(Self {
            settings,
            config,
            truths,
            from,
            windows,
            grid,
        })
    }

    /// Where a process serves its metrics.
    ///
    /// # Panics
    /// Never: [`Stage::set`] gave each one.
    #[must_use]
    pub fn metrics(&self, process: &str) -> SocketAddr {
        let listen = self.settings.metrics_listen(process);
        listen.expect("every process of a chaos run has a metrics endpoint")
    }

    /// Share of the windows that have been begun when `newest` is the newest one reported.
    #[must_use]
    pub fn position(&self, newest: Option<WindowStart>) -> f64 {
        let begun = newest.map_or(0, |newest| {
            newest.0.saturating_sub(self.from.0) / self.grid.window_s() + 1
        });
        begun as f64 / f64::from(self.windows)
    }
}

fn settings(
    base: &Settings,
    options: &Options,
    grid: Grid,
    from: WindowStart,
    length: u64,
    folder: &Path,
    results: &Path,
) -> Result<Settings> {
    let mut settings = base.clone();
    let mut ports = Ports(PORTS.start + (std::process::id() % 1_000) as u16 * 11);
    let broker = ports.next()?;
    settings.deployment.state_dir = folder.join("state");
    settings.mqtt.address = broker.to_string();
    // A second of back-off at most: what is measured is the processes' recovery.
    settings.mqtt.backoff_max = settings.mqtt.backoff_max.min(Duration::from_secs(1));
    settings.plan.interval = Duration::from_secs(u64::from(grid.interval_s()));
    settings.plan.batch = grid.batch();
    if options.idle_limit.is_some() {
        settings.plan.min_meters = SUPPLEMENT;
    }

    settings.broker.listen = broker;
    settings.broker.metrics_listen = Some(ports.next()?);
    settings.broker.segment_count = settings.broker.segment_count.min(8);
    settings.operator.metrics_listen = Some(ports.next()?);
    settings.operator.totals_file = std::path::absolute(results.join("totals.jsonl"))?;

    let analytics = &mut settings.analytics;
    analytics.metrics_listen = Some(ports.next()?);
    // A report that a kill makes late must still come, and be in a sum.
    analytics.grace = Duration::from_secs(2 * length);
    analytics.idle_limit = options.idle_limit.unwrap_or(Duration::from_secs(3_600));
    analytics.retention = Duration::from_secs(2 * length);
    analytics.release_retry = Duration::from_secs(1);

    let fleet = &mut settings.meter;
    fleet.metrics_listen = Some(ports.next()?);
    fleet.source = SourceKind::Simulated;
    fleet.replay = None;
    fleet.meters = options.meters;
    fleet.feeders = options.feeders;
    fleet.seed = options.seed;
    fleet.speed = WINDOWS_PER_S * grid.window_s() as f64;
    fleet.start = Some(from.seconds());
    fleet.duration = Some(Duration::from_secs(length));
    fleet.outbox_max_reports = AHEAD * options.meters as usize;
    fleet.retry_min = Duration::from_millis(300);
    fleet.retry_max = Duration::from_secs(2);
    Ok(settings)
}

/// Free ports, one after another.
struct Ports(u16);

impl Ports {
    fn next(&mut self) -> Result<SocketAddr> {
        while self.0 < PORTS.end {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.0));
            self.0 += 1;
            if TcpListener::bind(address).is_ok() {
                return Ok(address);
            }
        }
        bail!("no free port from {} to {}", PORTS.start, PORTS.end)
    }
}
