//! Offered load: reports of many distinct meters at a stated rate, whatever the pipeline makes of it.
//!
//! The generator is open-loop: report n is due at a fixed time, and its latency counts from then, so that a pipeline
//! that stalls cannot hide it by slowing the generator down. Its ciphertexts are a pool of real encryptions, made
//! once; every report has a meter id, a sequence number and a signature of its own. Every window is decrypted and
//! compared with the truth.
//!
//! # Layout
//! * [`pool`]: the ciphertexts and what is in them · [`fleet`]: the meters, their keys and their enrolment
//! * [`schedule`]: which report is due when, and what became of it · [`lines`]: sending, settling, sending again

pub mod fleet;
pub mod lines;
pub mod pool;
pub mod schedule;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use service::config::Settings;
use service::stop::Stop;
use tokio::sync::mpsc;

use crate::oracle::{Truth, Truths};
use crate::resources::Usage;
use crate::stack::Stack;
use crate::verdict::judge;
use crate::watch::Watch;

use fleet::Fleet;
use lines::Lines;
use pool::Pool;
use schedule::{Latencies, Schedule};

/// Time after the last report was due in which everything must settle.
const DRAIN: Duration = Duration::from_secs(60);

/// What to offer.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Reports a second. 1112: a million meters every 15 minutes.
    #[arg(long, default_value_t = 1112.0)]
    pub rate: f64,
    /// How long reports are due.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    pub duration: Duration,
    /// Distinct meters; each reports once a window. Half a minute's worth unless set.
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub meters: Option<u32>,
    /// Feeders; one for each thousand meters unless set.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub feeders: Option<u32>,
    /// Real ciphertexts the reports are made of.
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub pool: u32,
    /// MQTT connections that send.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub connections: u32,
    /// Seed of the readings.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Fail, with exit code 3, if the 99th percentile of the latency is longer.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub max_p99: Option<Duration>,
}

/// What a load came to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Reports due in a second.
    pub rate: f64,
    /// Reports settled in a second, from the first that was due to the last receipt.
    pub settled_per_s: f64,
    /// Reports that were due.
    pub reports: u64,
    /// Distinct meters.
    pub meters: u32,
    /// Feeders.
    pub feeders: u32,
    /// From due to receipt, in milliseconds.
    pub latency_ms: Latencies,
    /// From due to being handed to the MQTT client, in milliseconds: the generator's own lateness.
    pub lateness_ms: Latencies,
    /// Reports sent again for want of a receipt.
    pub resent: u64,
    /// Reports refused.
    pub refused: u64,
    /// Reports without a receipt at the end.
    pub unsettled: u64,
    /// Windows decrypted and right.
    pub windows: usize,
    /// What is wrong, in words.
    pub wrong: Vec<String>,
    /// Processor time used, as a number of cores, the generator included.
    pub cores: f64,
    /// Processor time a report, in microseconds, the generator included.
    pub cpu_us_per_report: f64,
    /// Greatest resident memory of the whole process, in MiB.
    pub peak_mib: f64,
    /// Whether everything was settled and every window is right.
    pub correct: bool,
    /// Whether the stated limit was kept.
    pub within_limit: bool,
}

/// Offers a load to real services and judges what they make of it.
///
/// # Errors
/// Where a service fails or enrolment does not come to an end.
pub async fn run(
    base: &Settings,
    options: &Options,
    results: &Path,
    stop: Stop,
) -> Result<Outcome> {
    let schedule = Arc::new(Schedule::new(options));
    let settings = settings(base, options, &schedule);
    let state = tempfile::Builder::new().prefix("cipherwatt-").tempdir()?;
    let (sender, mut seen) = mpsc::unbounded_channel();
    let stack = Stack::services(&settings, state.path(), sender).await?;
    let settings = stack.settings().clone();
    let mut watch = Watch::new(settings.plan.min_meters);
    let fleet = Fleet::enrol(&settings, &schedule, &stop)
        .await
        .context("enrolling the meters")?;
    let pool = Pool::new(&fleet.held, &schedule, options)?;
    let truths = truths(&schedule, &pool);
    let before = Usage::now();
    let began = Instant::now();
    let lines = Lines::start(
        &settings,
        fleet,
        pool,
        schedule.clone(),
        options.connections,
    );
    let limit = options.duration + DRAIN;
    let ended = tokio::time::timeout(limit, async {
        let mut look = tokio::time::interval(Duration::from_millis(200));
        while schedule.settled() < schedule.reports() || watch.progress(&truths) < truths.len() {
            tokio::select! {
                () = stop.stopped() => bail!("interrupted"),
                event = seen.recv() => watch.enter(event.context("the services ended")?),
                _ = look.tick() => if stack.is_broken() { bail!("a service ended") },
            }
        }
        Ok(())
    })
    .await;
    let used = Usage::now().since(&before, began.elapsed());
    let (resent, refused) = lines.stop().await;
    let stopped = stack.stop().await;
    if let Ok(Err(error)) = ended {
        return Err(stopped.err().unwrap_or(error));
    }
    stopped?;
    let verdict = judge(&watch, &truths);
    let mut wrong = verdict.wrong;
    let unsettled = schedule.reports() - schedule.settled();
    wrong.extend((unsettled > 0).then(|| format!("{unsettled} reports without a receipt")));
    wrong.extend((refused > 0).then(|| format!("{refused} reports refused")));
    let latency_ms = schedule.latencies();
    let outcome = Outcome {
        rate: options.rate,
        settled_per_s: schedule.settled_per_s(),
        reports: schedule.reports(),
        meters: schedule.meters(),
        feeders: schedule.feeders(),
        within_limit: options
            .max_p99
            .is_none_or(|limit| latency_ms.p99 <= limit.as_secs_f64() * 1e3),
        latency_ms,
        lateness_ms: schedule.lateness(),
        resent,
        refused,
        unsettled,
        windows: verdict.released,
        correct: wrong.is_empty(),
        wrong,
        cores: used.cores,
        cpu_us_per_report: used.cpu.as_secs_f64() * 1e6 / schedule.reports().max(1) as f64,
        peak_mib: used.peak_mib,
    };
    std::fs::write(
        results.join("load.json"),
        serde_json::to_string_pretty(&outcome)? + "\n",
    )?;
    Ok(outcome)
}

/// One interval a report: what a fleet that reports every quarter of an hour sends.
fn settings(base: &Settings, options: &Options, schedule: &Schedule) -> Settings {
    let mut settings = base.clone();
    settings.plan.interval = Duration::from_secs(u64::from(schedule::INTERVAL_S));
    settings.plan.batch = 1;
    settings.plan.min_meters = settings.plan.min_meters.min(schedule.smallest_feeder());
    // Windows close when they are complete: what is late is part of what is measured.
    settings.analytics.grace = Duration::from_secs(365 * 86_400);
    settings.analytics.idle_limit = options.duration + 2 * DRAIN;
    settings.analytics.retention = Duration::from_secs(2 * 365 * 86_400);
    settings
}

fn truths(schedule: &Schedule, pool: &Pool) -> Truths {
    let mut truths = Truths::new();
    for report in 0..schedule.reports() {
        let slot = schedule.slot(report);
        let truth = truths
            .entry((slot.feeder, slot.window))
            .or_insert_with(|| Truth {
                energy_wh: vec![0.0],
                meters: 0,
            });
        truth.energy_wh[0] += pool.reading_wh(report) as f64;
        truth.meters += 1;
    }
    truths
}

impl Outcome {
    /// The figures, for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "offered   {:.0} reports/s, {} reports of {} meters on {} feeders\n\
             settled   {:.0} reports/s, {} unsettled, {} refused, {} sent again\n\
             latency   p50 {:.1} ms, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1} (from due to receipt)\n\
             generator p50 {:.1} ms late, p99 {:.1}, max {:.1}\n\
             windows   {} decrypted and compared\n\
             used      {:.2} cores, {:.0} µs of processor a report, {:.0} MiB at the peak, generator and all services\n",
            self.rate,
            self.reports,
            self.meters,
            self.feeders,
            self.settled_per_s,
            self.unsettled,
            self.refused,
            self.resent,
            self.latency_ms.p50,
            self.latency_ms.p90,
            self.latency_ms.p99,
            self.latency_ms.p999,
            self.latency_ms.max,
            self.lateness_ms.p50,
            self.lateness_ms.p99,
            self.lateness_ms.max,
            self.windows,
            self.cores,
            self.cpu_us_per_report,
            self.peak_mib,
        );
        for wrong in self.wrong.iter().take(10) {
            text += &format!("WRONG: {wrong}\n");
        }
        if self.correct {
            text += "every report is in exactly one decrypted total, and every total is right\n";
        }
        if !self.within_limit {
            text += "MISSED: the 99th percentile is above --max-p99\n";
        }
        text
    }
}
