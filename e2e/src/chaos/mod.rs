//! `bench chaos`: kills the processes while they work, and shows that nothing is lost and nothing counted twice.
//!
//! Broker, operator, analytics and two gateways run as processes of their own: of one the meters are simulated, those of the other send
//! lines over a socket. One after the other is killed with SIGKILL
//! while it has work in flight, some of them at named points just before and after a commit or a publish, and started
//! again at once. The network between the broker and each process cuts, delays, stalls and goes deaf meanwhile. When
//! every reading is taken and settled, four ledgers that know nothing of each other are compared.
//!
//! # Layout
//! * [`serve`]: the processes · `launch`: all of them, started and ended · `process`: kept running, killed, started again ·
//!   `probe`: what they say of themselves
//! * `options`: what the command line asks for
//! * `database`: two servers of PostgreSQL · `disturbed`: what happens to them, and processes that are stopped
//! * `house`: the meters of the live gateway · `event_clock`: what it goes by
//! * `stage`: settings, ports and the truth · `schedule`: who is killed when · `drive`: the killing
//! * `recovery`: how long a process takes to come back · `proxy`: the network · `observer`: what was on the wire
//! * `consents`: what holders of mask keys consented to · `settled`: what it waits for · `totals`, `bills`: what the operator wrote · `judge`: the verdict · `summary`: the figures
//! * [`selftest`]: the same with a fault built in, which must be found · [`soak`]: the same without kills, at length

mod bills;
mod consents;
mod database;
mod disturbed;
mod drive;
mod event_clock;
mod house;
mod judge;
mod launch;
mod observer;
mod options;
mod probe;
mod process;
mod proxy;
mod recovery;
pub mod sabotage;
mod schedule;
pub mod selftest;
pub mod serve;
mod settled;
pub mod soak;
mod stage;
mod summary;
pub mod told;
mod totals;

use std::collections::BTreeMap;
use std::path::Path;
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
use database::Database;
use disturbed::{Disturbed, Faults};
use drive::{Drive, Kill};
use judge::{Rules, Verdict, judge};
use launch::{end, start};
use observer::Observer;
pub use options::Options;
use process::Process;
use proxy::Networks;
use recovery::Recovery;
use serve::Role;
use settled::{all_bills, all_totals};
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
    options.sharing.check()?;
    let database = Database::of(options.sharing.store).await?;
    let began = Instant::now();
    let folder = tempfile::Builder::new()
        .prefix("cipherwatt-chaos-")
        .tempdir()
        .context("a folder for the state")?;
    let stage = Stage::set(base, options, database, folder.path(), results)?;
    let networks = Networks::of(stage.roles());
    let topics = Topics::new(&stage.settings.deployment.root)?;
    // Dropped at the end of the run: a second observer of its name would take its place at the broker, in turns.
    let (_observing, observed) = Stop::manual();
    let sending = observed.clone();
    let observer = Observer::start(&stage.settings, &stage.gateways(), topics, observed);
    let processes = start(&stage, options, results, &networks).await?;
    if let Some(house) = &stage.live {
        house.begin(observer.clone(), sending);
    }

    let (sender, mut recovered) = mpsc::unbounded_channel();
    let mut drive = Drive::new(&stage, &observer, &processes, &sender);
    let mut wrong = Vec::new();
    tokio::select! {
        () = stop.stopped() => return interrupted(&stage, processes).await,
        played = play_all(&stage, options, &mut drive, &processes) => wrong.extend(played.err()),
    }
    let mut ended = Ended {
        kills: drive.kills,
        missed: drive.missed,
        disturbed: drive.faults,
        recoveries: Vec::new(),
        wrong: wrong.iter().map(|error| format!("{error:#}")).collect(),
    };
    if options.network_faults {
        networks.calm().await;
    }
    ended.wrong.extend(end(processes).await);
    while let Ok(recovery) = recovered.try_recv() {
        ended.recoveries.push(recovery);
    }
    write_json(results, "kills.json", &ended.kills)?;
    write_json(results, "recoveries.json", &ended.recoveries)?;
    let mut summary = summarise(&stage, options, &observer, &networks, ended).await?;
    summary.wall_s = began.elapsed().as_secs_f64();
    results.clone_into(&mut summary.results);
    if !summary.correct && options.sabotage.is_none() {
        summary.state = Some(folder.keep());
    }
    write_json(results, "summary.json", &summary)?;
    Ok(summary)
}

/// Ends everything, in the middle of a run.
async fn interrupted(stage: &Stage, processes: BTreeMap<Role, Process>) -> Result<Summary> {
    end(processes).await;
    if let Some(database) = &stage.database {
        database.settle().await?;
    }
    Err(Interrupted.into())
}

/// What happened to the processes, once they have ended.
struct Ended {
    kills: Vec<Kill>,
    missed: Vec<&'static str>,
    disturbed: Disturbed,
    recoveries: Vec<Recovery>,
    wrong: Vec<String>,
}

async fn summarise(
    stage: &Stage,
    options: &Options,
    observer: &Observer,
    networks: &Networks,
    ended: Ended,
) -> Result<Summary> {
    let Ended {
        kills,
        recoveries,
        mut wrong,
        ..
    } = ended;
    if kills.len() < options.kills as usize {
        wrong.push(format!("{} kills of {} landed", kills.len(), options.kills));
    }
    if let Some(house) = &stage.live {
        wrong.append(&mut house.sent().refused);
    }
    let mut faults = None;
    if let Some(database) = &stage.database {
        let network = networks.database.counts();
        match Faults::of(&ended.disturbed, database, network).await {
            Ok(found) => faults = Some(found),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    let consented = options.holders.map(|_| observer.seen().consents.counted());
    if let Some(found) = consented.filter(|found| found.consented_twice > 0) {
        wrong.push(format!(
            "holders consented to {} pairs of sums with a meter in common",
            found.consented_twice
        ));
    }
    let verdict = verdict(stage, observer, wrong)?;
    let mut summary = Summary::new(options, verdict, &kills, &recoveries);
    summary.faults = faults;
    summary.holders = options.holders.map(|group| group.to_string());
    summary.consented = consented;
    summary.fail_points_missed = ended.missed;
    summary.lines = stage.live.as_ref().map(|house| house.sent().clone());
    summary.networks(networks);
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
    let limit = options.limit();
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
    let mut faults = options.faults(&stage.roles()).into_iter().peekable();
    for planned in schedule::schedule(options.kills, options.seed, &stage.roles()) {
        while let Some(fault) = faults.next_if(|fault| fault.position < planned.position) {
            drive.disturb(&fault).await?;
        }
        drive.play(&planned).await?;
        bar.set_position(drive.kills.len() as u64);
    }
    for fault in faults {
        drive.disturb(&fault).await?;
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
