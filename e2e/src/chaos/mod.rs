//! `bench chaos`: kills the processes while they work, and shows that nothing is lost and nothing counted twice.
//!
//! Broker, operator, analytics and two gateways run as processes of their own: of one the meters are simulated, those of the other send
//! lines over a socket. One after the other is killed with SIGKILL
//! while it has work in flight, some of them at named points just before and after a commit or a publish, and started
//! again at once. The network between gateway, analytics and broker cuts, delays, stalls and goes deaf meanwhile. When
//! every reading is taken and settled, four ledgers that know nothing of each other are compared.
//!
//! # Layout
//! * [`serve`]: the processes · `launch`: all of them, started and ended · `process`: kept running, killed, started again ·
//!   `probe`: what they say of themselves
//! * `house`: the meters of the live gateway · `event_clock`: what it goes by
//! * `stage`: settings, ports and the truth · `schedule`: who is killed when · `drive`: the killing
//! * `recovery`: how long a process takes to come back · `proxy`: the network · `observer`: what was on the wire
//! * `totals`, `bills`: what the operator wrote · `judge`: the verdict · `summary`: the figures
//! * [`selftest`]: the same with a fault built in, which must be found · [`soak`]: the same without kills, at length

mod bills;
mod drive;
mod event_clock;
mod house;
mod judge;
mod launch;
mod observer;
mod probe;
mod process;
mod proxy;
mod recovery;
mod schedule;
pub mod selftest;
pub mod serve;
pub mod soak;
mod stage;
mod summary;
mod totals;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use harness::Interrupted;
use harness::output::{progress_bar, write_json};
use indicatif::ProgressBar;
use service::config::Settings;
use service::stop::Stop;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use wire::Topics;

use bills::Bill;
use drive::Drive;
use judge::{Rules, Verdict, judge};
use launch::{end, start};
use observer::Observer;
use process::Process;
use proxy::Faults;
use serve::Role;
use stage::Stage;
pub use summary::Summary;
use totals::{Total, read_lines};

/// Time in which what the kills left behind must be settled without any progress in between.
const QUIET: Duration = Duration::from_secs(20);
/// Time after the last expected total in which one too many may come.
const AFTERWARDS: Duration = Duration::from_millis(2_500);
/// Windows of each feeder a second, as long as nothing holds them up.
const WINDOWS_PER_S: f64 = 2.0;
/// Between two looks at the lines.
const LOOK: Duration = Duration::from_millis(100);
/// Time a run may take, and what it may take for each kill.
const LIMIT: (Duration, Duration) = (Duration::from_secs(90), Duration::from_secs(6));

/// What the command line asks for.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Number of kills, over all processes.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(i64::from(schedule::FEWEST)..=10_000))]
    pub kills: u32,
    /// Seed of the readings, of who is killed when, and of the network's faults.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Simulated meters.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub meters: u32,
    /// Number of feeders the meters are spread over in turn.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub feeders: u32,
    /// Windows of each feeder; three for each kill unless set.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub windows: Option<u32>,
    /// Close a window after this long without a report, so that what a kill holds up comes late, in supplements. Unless set,
    /// windows close when every meter has reported.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub idle_limit: Option<Duration>,
    /// Whether the network between the processes and the broker has faults too.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub network_faults: bool,
    /// Whether there is a gateway, too, whose meters send lines, with a feeder of its own.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub live: bool,
    /// Whether some meters of each feeder are billed by tariff band, where windows close when every meter has reported.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub bills: bool,
    /// Give up after this long; 90 s and 6 s for each kill unless set.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Break the deduplication, then the journal, and pass only if the run notices both.
    #[arg(long)]
    pub self_test: bool,
    /// What to break.
    #[arg(long, hide = true)]
    pub sabotage: Option<selftest::Sabotage>,
}

/// Runs to the verdict, with logs, totals and kills in `results`.
///
/// # Errors
/// Where the run cannot start or is interrupted. Anything that goes wrong in it is in the summary.
pub async fn run(
    base: &Settings,
    options: &Options,
    results: &Path,
    stop: Stop,
) -> Result<Summary> {
    let began = Instant::now();
    let folder = tempfile::Builder::new()
        .prefix("cipherwatt-chaos-")
        .tempdir()
        .context("a folder for the state")?;
    let stage = Stage::set(base, options, folder.path(), results)?;
    let faults = Arc::new(Faults::default());
    let topics = Topics::new(&stage.settings.deployment.root)?;
    // Dropped at the end of the run: a second observer of its name would take its place at the broker, in turns.
    let (_observing, observed) = Stop::manual();
    let sending = observed.clone();
    let observer = Observer::start(&stage.settings, &stage.gateways(), topics, observed);
    let processes = start(&stage, options, results, &faults).await?;
    if let Some(house) = &stage.live {
        house.begin(observer.clone(), sending);
    }

    let (sender, mut recovered) = mpsc::unbounded_channel();
    let mut drive = Drive::new(&stage, &observer, &processes, &sender);
    let mut wrong = Vec::new();
    tokio::select! {
        () = stop.stopped() => return Err(Interrupted.into()),
        played = play_all(&stage, options, &mut drive, &processes) => wrong.extend(played.err()),
    }
    let kills = drive.kills;
    let missed = drive.missed;
    let mut wrong: Vec<String> = wrong.iter().map(|error| format!("{error:#}")).collect();
    wrong.extend(end(processes).await);
    if kills.len() < options.kills as usize {
        wrong.push(format!("{} kills of {} landed", kills.len(), options.kills));
    }
    let mut recoveries = Vec::new();
    while let Ok(recovery) = recovered.try_recv() {
        recoveries.push(recovery);
    }
    if let Some(house) = &stage.live {
        wrong.append(&mut house.sent().refused);
    }
    let verdict = verdict(&stage, &observer, wrong)?;
    let mut summary = Summary::new(options, verdict, &kills, &recoveries);
    summary.fail_points_missed = missed;
    summary.lines = stage.live.as_ref().map(|house| house.sent().clone());
    summary.network_faults = faults.counts();
    summary.wall_s = began.elapsed().as_secs_f64();
    results.clone_into(&mut summary.results);
    if !summary.correct && options.sabotage.is_none() {
        summary.state = Some(folder.keep());
    }
    write_json(results, "kills.json", &kills)?;
    write_json(results, "recoveries.json", &recoveries)?;
    write_json(results, "summary.json", &summary)?;
    Ok(summary)
}

/// What the ledgers say, after what else was wrong.
fn verdict(stage: &Stage, observer: &Observer, mut wrong: Vec<String>) -> Result<Verdict> {
    let totals = read_lines::<Total>(&stage.settings.operator.totals_file)?;
    let rules = Rules {
        min_meters: stage.settings.plan.minimum_group(),
        supplement_min_meters: stage.settings.release.supplement_min_meters,
    };
    let mut verdict = judge(&stage.truths, &observer.seen(), &totals, rules);
    let bills = read_lines::<Bill>(&stage.settings.operator.bills_file)?;
    wrong.extend(stage.billed.judge(&stage.truths, &totals, &bills));
    verdict.bills = (stage.billed.expected(), bills.len()).into();
    wrong.append(&mut verdict.wrong);
    verdict.wrong = wrong;
    Ok(verdict)
}

/// [`play`], for at most as long as the options allow.
async fn play_all(
    stage: &Stage,
    options: &Options,
    drive: &mut Drive<'_>,
    processes: &BTreeMap<Role, Process>,
) -> Result<()> {
    let limit = options.timeout.unwrap_or(LIMIT.0 + LIMIT.1 * options.kills);
    let bar = progress_bar(u64::from(options.kills), "kills");
    let played = timeout(limit, play(stage, options, drive, processes, &bar)).await;
    bar.finish_and_clear();
    played.unwrap_or_else(|_| bail!("did not finish within {} s", limit.as_secs()))
}

/// Every planned kill; then until the gateway has every receipt and the operator every total.
async fn play(
    stage: &Stage,
    options: &Options,
    drive: &mut Drive<'_>,
    processes: &BTreeMap<Role, Process>,
    bar: &ProgressBar,
) -> Result<()> {
    for planned in schedule::schedule(options.kills, options.seed, &stage.roles()) {
        drive.play(&planned).await?;
        bar.set_position(drive.kills.len() as u64);
    }
    for role in stage.roles() {
        drive.recovered(role).await?;
    }
    bar.set_message("waiting until everything is settled");
    let mut fleet = processes[&Role::Meter].state();
    // Fails only where the process could not be kept running, which `end` reports.
    let _ = fleet.wait_for(|state| state.over).await;
    while stage
        .live
        .as_ref()
        .is_some_and(|house| !house.sent().is_over)
    {
        sleep(LOOK).await;
    }
    // With a fault built in it never settles, and need not.
    let quiet = options.sabotage.map_or(QUIET, |_| QUIET / 4);
    all_totals(stage, quiet).await;
    all_bills(stage, quiet).await;
    sleep(AFTERWARDS).await;
    Ok(())
}

/// Waits until every bill is there, or none has come for `quiet`.
async fn all_bills(stage: &Stage, quiet: Duration) {
    let (mut before, mut since) = (0, Instant::now());
    while since.elapsed() < quiet && before < stage.billed.expected() {
        let bills = read_lines::<Bill>(&stage.settings.operator.bills_file).unwrap_or_default();
        if bills.len() > before {
            (before, since) = (bills.len(), Instant::now());
        }
        sleep(LOOK).await;
    }
}

/// Waits until every window has its total, or none has come for `quiet`.
async fn all_totals(stage: &Stage, quiet: Duration) {
    let mut before = 0;
    let mut since = Instant::now();
    while since.elapsed() < quiet {
        let totals = read_lines::<Total>(&stage.settings.operator.totals_file).unwrap_or_default();
        let released = totals.iter().map(|total| u64::from(total.meters)).sum();
        if released >= stage.reports() {
            break;
        }
        if released > before {
            before = released;
            since = Instant::now();
        }
        sleep(Duration::from_millis(250)).await;
    }
}
