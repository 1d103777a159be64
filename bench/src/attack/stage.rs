//! The stage of an attack: a deployment of its own, of real processes. All of them are without one safeguard, or with all.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::chaos::serve::{self, Role};
use harness::holders::Group;
use harness::oracle;
use harness::process::{free_address, signal};
use harness::rogue::{Observed, Outsider, SumKey};
use meter::Scale;
use service::Settings;
use service::clock::{Clock as _, SystemClock};
use service::config::SourceKind;
use service::failpoint;
use tempfile::TempDir;
use tokio::process::Child;
use wire::{FeederId, Grid, MeterId, Part, Plan, Total, UnixMillis, WindowStart};

/// Length of an interval in seconds, and intervals in a window, unless an attack needs others.
const GRID: (u32, u16) = (900, 4);
/// Windows of a feeder a second.
const WINDOWS_PER_S: f64 = 4.0;
/// Windows between the last that is reported and now, at the least: event time does not catch up with the clock.
const BEFORE_NOW: u64 = 30;
/// How long a window stays open without a report.
const IDLE: Duration = Duration::from_secs(2);
/// How long something may take that is not to happen.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long a process may take to end.
const ENDING: Duration = Duration::from_secs(15);

/// What an attack is given: it makes its stage from it.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) base: Settings,
    /// The safeguard that is left out.
    pub(super) without: Option<&'static str>,
    /// Folder for the logs of the processes.
    pub(super) logs: PathBuf,
}

/// A deployment with one feeder.
pub(super) struct Stage {
    /// Settings of every process that is started without others.
    pub(super) settings: Settings,
    pub(super) feeder: FeederId,
    grid: Grid,
    /// The first window that the homes report.
    pub(super) first: WindowStart,
    /// Windows that they report.
    pub(super) windows: u64,
    without: Option<&'static str>,
    logs: PathBuf,
    pub(super) folder: TempDir,
    processes: Vec<(String, Child)>,
    /// Settings of each holder of mask keys.
    pub(super) holders: Vec<Settings>,
}

impl Ground {
    /// The same, for one of several stages.
    pub(super) fn named(&self, name: &str) -> Self {
        Self {
            logs: self.logs.join(name),
            ..self.clone()
        }
    }

    /// A stage with so many homes that report so many windows, and what else an attack changes.
    pub(super) fn stage(
        self,
        (homes, windows): (u32, u64),
        change: impl FnOnce(&mut Settings),
    ) -> Result<Stage> {
        std::fs::create_dir_all(&self.logs)?;
        let folder = tempfile::Builder::new()
            .prefix("cipherwatt-attack-")
            .tempdir()?;
        let mut settings = self.base;
        settings.deployment.state_dir = folder.path().join("state");
        settings.operator.totals_file = folder.path().join("totals.jsonl");
        settings.operator.bills_file = folder.path().join("bills.jsonl");
        set(&mut settings)?;
        settings.meter.meters = homes;
        change(&mut settings);
        let grid = settings.plan.grid()?;
        let length = grid.longest_window_s();
        let now = SystemClock.now().0 / 1_000;
        let first = grid.window_of(wire::UnixSeconds(now - (windows + BEFORE_NOW) * length));
        let fleet = &mut settings.meter;
        fleet.start = Some(first.seconds());
        fleet.duration = Some(Duration::from_secs(windows * length));
        fleet.speed = WINDOWS_PER_S * length as f64;
        Ok(Stage {
            feeder: meter::feeder_of(0, 1),
            settings,
            grid,
            first,
            windows,
            without: self.without,
            logs: self.logs,
            folder,
            processes: Vec::new(),
            holders: Vec::new(),
        })
    }
}

/// What every stage has in common.
fn set(settings: &mut Settings) -> Result<()> {
    let broker = free_address()?;
    settings.mqtt.address = broker.to_string();
    settings.mqtt.backoff_max = Duration::from_millis(300);
    settings.broker.listen = broker;
    settings.broker.metrics_listen = None;
    settings.broker.segment_count = settings.broker.segment_count.min(4);
    settings.operator.metrics_listen = None;
    settings.operator.live_listen = None;
    // Whoever attacks reads the totals, too.
    settings.operator.publish_totals = true;
    settings.operator.reference_headroom = 4;
    settings.holders.ask_again = Duration::from_millis(500);
    settings.analytics.metrics_listen = None;
    settings.analytics.idle_limit = IDLE;
    settings.analytics.grace = Duration::from_secs(7 * 86_400);
    settings.analytics.retention = Duration::from_secs(30 * 86_400);
    settings.analytics.release_retry = Duration::from_secs(1);
    settings.plan.interval = Duration::from_secs(u64::from(GRID.0));
    settings.plan.batch = GRID.1;
    let fleet = &mut settings.meter;
    fleet.metrics_listen = None;
    fleet.gateway = "homes".parse()?;
    fleet.source = SourceKind::Simulated;
    fleet.feeders = 1;
    fleet.retry_min = Duration::from_millis(500);
    fleet.retry_max = Duration::from_secs(2);
    Ok(())
}

impl Stage {
    /// Gives the deployment holders of mask keys, whom everybody pins.
    pub(super) fn with_holders(mut self, group: Group) -> Result<Self> {
        let state = self.settings.deployment.state_dir.clone();
        std::fs::create_dir_all(&state)?;
        self.holders = group.set_up(&mut self.settings, &state)?;
        Ok(self)
    }

    /// Starts processes with the stage's settings; with the operator the holders, without whom it publishes no roster.
    pub(super) fn run(&mut self, roles: &[Role]) -> Result<()> {
        let settings = self.settings.clone();
        for role in roles {
            self.run_as(*role, role.name(), &settings)?;
            if *role == Role::Operator {
                self.run_holders(&self.holders.clone())?;
            }
        }
        Ok(())
    }

    /// Starts holders, each with settings of its own.
    pub(super) fn run_holders(&mut self, holders: &[Settings]) -> Result<()> {
        holders.iter().try_for_each(|settings| {
            self.run_as(Role::FirstHolder, settings.holder.id.as_str(), settings)
        })
    }

    /// Starts a process of this name with settings of its own.
    pub(super) fn run_as(&mut self, role: Role, name: &str, settings: &Settings) -> Result<()> {
        let child = self.spawn(role, (name, settings), &[])?;
        self.processes.push((name.to_owned(), child));
        Ok(())
    }

    /// What a person does beside the operator: a command of [`serve::ByHand`]. Whether it succeeded.
    pub(super) async fn by_hand(&self, command: &[&str]) -> Result<bool> {
        let settings = ("by-hand", &self.settings);
        let mut child = self.spawn(Role::Operator, settings, command)?;
        Ok(child.wait().await?.success())
    }

    fn spawn(
        &self,
        role: Role,
        (name, settings): (&str, &Settings),
        arguments: &[&str],
    ) -> Result<Child> {
        let config = self.folder.path().join(format!("{name}.toml"));
        std::fs::write(&config, toml::to_string(settings)?)?;
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.logs.join(format!("{name}.log")))?;
        let mut command = serve::command(role)?;
        command
            .arg("--config")
            .arg(&config)
            .args(arguments)
            .stderr(Stdio::from(log));
        if let Some(safeguard) = self.without {
            command.env(failpoint::SABOTAGE, safeguard);
        }
        let child = command.spawn();
        child.with_context(|| format!("cannot start {name}"))
    }

    /// Ends a process.
    pub(super) async fn end(&mut self, name: &str) -> Result<()> {
        let place = self.processes.iter().position(|(other, _)| other == name);
        let (_, mut child) = self.processes.remove(place.context("no such process")?);
        if let Some(id) = child.id() {
            signal(id, "TERM")?;
        }
        let ended = tokio::time::timeout(ENDING, child.wait()).await;
        ended.with_context(|| format!("{name} does not end"))??;
        Ok(())
    }

    /// A client of the broker.
    pub(super) fn outsider(&self, name: &str) -> Result<Outsider> {
        Outsider::connect(&self.settings, name)
    }

    /// Starts all processes, and waits until the homes have founded their feeder: it is sized for whoever does.
    pub(super) async fn run_all(&mut self) -> Result<Outsider> {
        self.run(&Role::ALL)?;
        let onlooker = self.outsider("onlooker")?;
        let founded = onlooker.until("the homes' feeder", |seen| {
            let plan = seen.plan.as_ref();
            plan.is_some_and(|(plan, _)| !plan.feeders.is_empty())
        });
        founded.await?;
        Ok(onlooker)
    }

    /// A window by its number, from the first that the homes report.
    pub(super) fn window(&self, number: u64) -> WindowStart {
        self.grid.after(self.first, number)
    }

    /// A part of a window.
    pub(super) fn key(&self, window: WindowStart, part: u16) -> SumKey {
        (self.feeder.clone(), window, Part(part))
    }

    /// The total of a part, if it comes.
    pub(super) async fn total(&self, outsider: &Outsider, key: &SumKey) -> Option<Total> {
        comes(outsider, |seen| seen.totals.contains_key(key)).await;
        outsider.seen().totals.get(key).cloned()
    }

    /// What a home enters for a window, in the clear, and its name. `settings` are those of its fleet.
    pub(super) fn truth(
        &self,
        (settings, home): (&Settings, &MeterId),
        window: WindowStart,
        seen: &Observed,
    ) -> Result<Vec<i64>> {
        let (plan, _) = seen.plan.as_ref().context("there is no plan")?;
        let scale = scale(plan, &self.feeder, window)?;
        let span = (self.first, self.windows);
        let entered = oracle::entered(settings, plan.grid()?, scale, span)?;
        let truth = entered.get(&(home.clone(), window)).cloned();
        truth.with_context(|| format!("{home} has no readings"))
    }
}

fn scale(plan: &Plan, feeder: &FeederId, window: WindowStart) -> Result<Scale> {
    let setting = plan.feeder(feeder, window).context("no such feeder")?;
    Ok(Scale {
        quantum_wh: setting.quantum_wh,
        reference_wh: setting.reference_wh,
    })
}

/// Whether something comes that is not to come.
pub(super) async fn comes(outsider: &Outsider, holds: impl FnMut(&Observed) -> bool) -> bool {
    let comes = tokio::time::timeout(PATIENCE, outsider.until("it", holds));
    matches!(comes.await, Ok(Ok(())))
}

/// The time now.
pub(super) fn now() -> UnixMillis {
    SystemClock.now()
}
