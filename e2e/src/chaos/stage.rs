//! What a run is made of: the settings of its processes, where they listen, and the truth they must come to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::oracle::{Seeded, Truths};
use harness::process::free_address;
use meter::simulated;
use readings::Simulated;
use service::config::{Settings, SourceKind};
use wire::{GatewayId, Grid, UnixSeconds, WindowStart};

use super::bills::Billed;
use super::database::Database;
use super::house::House;
use super::serve::Role;
use super::{Options, WINDOWS_PER_S};

/// Length of an interval in seconds, and intervals in a window: an hour of event time.
const GRID: (u32, u16) = (900, 4);
/// Windows each feeder reports for each kill. A kill needs work in flight, and what a kill holds up does not move on.
const WINDOWS_PER_KILL: u32 = 5;
const FEWEST_WINDOWS: u32 = 30;
/// Smallest group where there are supplements: few of them are too small to be released then.
const SUPPLEMENT: u32 = 2;
/// Windows before now at which event time ends, and the live gateway's goes on.
const MARGIN: u32 = 1_000;
/// How long a shard stays with a process that does not renew its lease.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// Windows the gateway may be ahead of its receipts.
const AHEAD: usize = 4;

/// A run, ready to start.
pub(crate) struct Stage {
    /// Settings of all processes; `mqtt.address` is the broker's own.
    pub(crate) settings: Settings,
    /// The file that holds them.
    pub(crate) config: PathBuf,
    /// The first ledger: what every window must come to, from the seed.
    pub(crate) truths: Truths,
    pub(crate) from: WindowStart,
    pub(crate) windows: u32,
    pub(crate) grid: Grid,
    /// Who is billed.
    pub(crate) billed: Billed,
    /// The gateway whose meters send lines, if there is one.
    pub(crate) live: Option<House>,
    /// Where analytics keeps its sums, if not in a file.
    pub(crate) database: Option<Database>,
    /// Of a pool, where the processes beyond the first serve their metrics.
    pool: BTreeMap<Role, SocketAddr>,
    /// The same of holders of mask keys.
    holders: BTreeMap<Role, SocketAddr>,
}

impl Stage {
    /// Sets a run up, with its configuration and state in `folder` and its totals in `results`.
    pub(crate) fn set(
        base: &Settings,
        options: &Options,
        database: Option<Database>,
        folder: &Path,
        results: &Path,
    ) -> Result<Self> {
        let grid = Grid::new(GRID.0, GRID.1)?;
        let windows = options.windows.unwrap_or_else(|| {
            (options.kills * WINDOWS_PER_KILL).max(FEWEST_WINDOWS) + options.windows_for_faults()
        });
        let length = u64::from(windows) * grid.longest_window_s();
        let now = jiff::Timestamp::now().as_second() as u64;
        // Far enough in the past not to catch up with now, where time would slow down.
        let margin = u64::from(MARGIN) * grid.longest_window_s();
        let from = grid.window_of(UnixSeconds(now - length - margin));
        let mut base = base.clone();
        base.deployment.state_dir = folder.join("state");
        base.operator.totals_file = std::path::absolute(results.join("totals.jsonl"))?;
        base.operator.bills_file = std::path::absolute(results.join("bills.jsonl"))?;
        let mut settings = settings(base, options, grid, from, length)?;
        let pool = share(&mut settings, options, database.as_ref())?;
        let holders = hold(&mut settings, options, folder)?;
        let mut billed = Billed::default();
        if options.bills && options.idle_limit.is_none() && holders.is_empty() {
            let fleet = simulated(&settings);
            billed = Billed::set(&mut settings, &fleet, (from, length))?;
        }
        let source = Simulated::new(&simulated(&settings))?;
        let mut clear = Seeded(Box::new(source));
        let mut truths = Truths::read(&mut clear, grid, options.feeders, (from, from.0 + length))?;
        let mut live = None;
        if options.live {
            let house = House::set(&settings, folder, grid, (from, windows))?;
            house.add_truth(&mut truths)?;
            live = Some(house);
        }
        let stage = Self {
            settings,
            config: folder.join("chaos.toml"),
            truths,
            from,
            windows,
            grid,
            billed,
            live,
            database,
            pool,
            holders,
        };
        stage.write()?;
        Ok(stage)
    }

    /// Writes the file of the settings, once more where they have changed.
    pub(crate) fn write(&self) -> Result<()> {
        std::fs::write(&self.config, toml::to_string(&self.settings)?)
            .with_context(|| format!("cannot write {}", self.config.display()))
    }

    /// The processes there are.
    pub(crate) fn roles(&self) -> Vec<Role> {
        let live = self.live.iter().map(|_| Role::Live);
        let others = self.pool.keys().chain(self.holders.keys()).copied();
        Role::ALL.into_iter().chain(live).chain(others).collect()
    }

    /// Ids of the gateways.
    pub(crate) fn gateways(&self) -> Vec<&GatewayId> {
        let live = self.live.iter().map(|house| &house.settings.meter.gateway);
        live.chain([&self.settings.meter.gateway]).collect()
    }

    /// Contributors of all windows.
    pub(crate) fn reports(&self) -> u64 {
        let windows = self.truths.windows();
        windows.map(|(_, meters)| u64::from(meters)).sum()
    }

    /// Whether there is a pool.
    pub(crate) fn is_shared(&self) -> bool {
        !self.pool.is_empty()
    }

    /// Id of a process of the pool.
    pub(crate) fn id(&self, role: Role) -> String {
        match self.pool.contains_key(&role) {
            true => role.name().to_owned(),
            false => self.settings.analytics.id.to_string(),
        }
    }

    /// Settings of a process of the pool, or of a holder, that the others do not have, as arguments.
    pub(crate) fn own(&self, role: Role) -> Vec<String> {
        let pool = self.pool.get(&role).map(|listen| ("analytics", listen));
        let holder = self.holders.get(&role).map(|listen| ("holder", listen));
        pool.or(holder).map_or_else(Vec::new, |(section, listen)| {
            let id = format!("{section}.id={}", role.name());
            let metrics = format!("{section}.metrics_listen={listen}");
            ["--set".to_owned(), id, "--set".to_owned(), metrics].into()
        })
    }

    /// Where a process serves its metrics.
    pub(crate) fn metrics(&self, role: Role) -> SocketAddr {
        if let Some(listen) = self.pool.get(&role).or_else(|| self.holders.get(&role)) {
            return *listen;
        }
        let listen = match (role, &self.live) {
            (Role::Live, Some(house)) => house.settings.metrics_listen("meter"),
            _ => self.settings.metrics_listen(role.name()),
        };
        listen.expect("every process of a chaos run has a metrics endpoint")
    }

    /// Share of the windows that have been begun when `newest` is the newest one reported.
    pub(crate) fn position(&self, newest: Option<WindowStart>) -> f64 {
        let begun = newest.map_or(0, |newest| {
            newest.0.saturating_sub(self.from.0) / self.grid.longest_window_s() + 1
        });
        begun as f64 / f64::from(self.windows)
    }
}

/// Has analytics use the database and share the feeders, as the options say; returns where processes beyond the first serve their
/// metrics.
fn share(
    settings: &mut Settings,
    options: &Options,
    database: Option<&Database>,
) -> Result<BTreeMap<Role, SocketAddr>> {
    let servers = database.map(Database::addresses);
    let servers = servers.as_ref().map_or(&[][..], |servers| servers);
    options.sharing.enter(settings, servers)?;
    if settings.analytics.pool.is_some() {
        // Short, so that many end in a run.
        settings.analytics.lease_ttl = LEASE;
        settings.analytics.lease_renew = LEASE / 6;
    }
    let others = Role::POOL.into_iter().skip(1);
    let others = others.take(usize::from(options.sharing.analytics) - 1);
    others.map(|role| Ok((role, free_address()?))).collect()
}

/// Sets holders of mask keys up, if there are to be some; returns where they serve their metrics.
fn hold(
    settings: &mut Settings,
    options: &Options,
    folder: &Path,
) -> Result<BTreeMap<Role, SocketAddr>> {
    let Some(group) = options.holders else {
        return Ok(BTreeMap::new());
    };
    std::fs::create_dir_all(&settings.deployment.state_dir)?;
    // Short, so that what one leaves behind does not wait long.
    settings.holders.ask_again = Duration::from_millis(500);
    let holders = group.set_up(settings, folder)?;
    let roles = Role::HOLDERS.into_iter().zip(holders);
    roles.map(|(role, _)| Ok((role, free_address()?))).collect()
}

fn settings(
    mut settings: Settings,
    options: &Options,
    grid: Grid,
    from: WindowStart,
    length: u64,
) -> Result<Settings> {
    let broker = free_address()?;
    settings.mqtt.address = broker.to_string();
    // A second of back-off at most: what is measured is the processes' recovery.
    settings.mqtt.backoff_max = settings.mqtt.backoff_max.min(Duration::from_secs(1));
    settings.plan.interval = Duration::from_secs(u64::from(grid.interval_s()));
    settings.plan.batch = grid.batch();
    if options.idle_limit.is_some() {
        settings.set_min_meters(SUPPLEMENT);
        // As few as may be.
        settings.release.supplement_min_meters = 10 * SUPPLEMENT;
    }

    settings.broker.listen = broker;
    settings.broker.metrics_listen = Some(free_address()?);
    settings.broker.segment_count = settings.broker.segment_count.min(8);
    settings.operator.metrics_listen = Some(free_address()?);

    let analytics = &mut settings.analytics;
    analytics.metrics_listen = Some(free_address()?);
    // A report that a kill makes late must still come, and be in a sum.
    analytics.grace = Duration::from_secs(2 * length);
    analytics.idle_limit = options.idle_limit.unwrap_or(Duration::from_secs(3_600));
    analytics.retention = Duration::from_secs(2 * length);
    analytics.release_retry = Duration::from_secs(1);

    let fleet = &mut settings.meter;
    fleet.metrics_listen = Some(free_address()?);
    fleet.source = SourceKind::Simulated;
    fleet.replay = None;
    fleet.meters = options.meters;
    fleet.feeders = options.feeders;
    fleet.seed = options.seed;
    fleet.speed = WINDOWS_PER_S * grid.longest_window_s() as f64;
    fleet.start = Some(from.seconds());
    fleet.duration = Some(Duration::from_secs(length));
    fleet.outbox_max_reports = AHEAD * options.meters as usize;
    fleet.retry_min = Duration::from_millis(300);
    fleet.retry_max = Duration::from_secs(2);
    Ok(settings)
}
