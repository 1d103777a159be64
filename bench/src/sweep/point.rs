//! One repeat of one point: the real services, from start to stop.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use harness::Interrupted;
use harness::oracle::Truths;
use harness::session::Session;
use harness::stack::Runtimes;
use harness::verdict::{Row, Verdict, judge};
use harness::watch::Watch;
use indicatif::ProgressBar;
use meter::Summary;
use service::config::Settings;
use service::mqtt;
use service::stop::Stop;

use super::samples::{Recorded, Samples};
use super::work::Work;
use crate::results::extras::ServerStats;
use crate::results::schema::{Cost, Error, Repeat, Status};
use crate::usage::{Spent, Threads, peak_rss, reset_peak};

/// Words of what is wrong that a repeat keeps.
const MOST_REASONS: usize = 10;
/// The services, as their threads are named.
const SERVICES: [&str; 4] = ["meter", "broker", "analytics", "operator"];

#[derive(Clone, Copy)]
pub(crate) struct Bench<'a> {
    pub(crate) base: &'a Settings,
    /// Seed of the fleet and of the emulated network.
    pub(crate) seed: u64,
    pub(crate) samples: &'a Samples,
    pub(crate) stop: &'a Stop,
    /// Shifts the truth of one window, to see that a wrong total is found.
    pub(crate) shift_truth: bool,
}

pub(crate) struct RepeatSummary {
    pub(crate) repeat: Repeat,
    pub(crate) rows: Vec<Row>,
    /// What the server's side counted; `None` where it did not finish.
    pub(crate) server: Option<ServerStats>,
}

struct Finished {
    watch: Watch,
    summary: Summary,
    verdict: Verdict,
    spent: Spent,
    recorded: Recorded,
    /// Resident memory before it, and the greatest in it.
    memory: [Option<u64>; 2],
    total_wall_s: f64,
}

impl Bench<'_> {
    /// Runs `work` once. A repeat that fails has a summary; an interruption is an error.
    pub(crate) async fn repeat(
        &self,
        work: &Work,
        number: u32,
        limit: Duration,
        bar: &ProgressBar,
    ) -> Result<RepeatSummary> {
        match self.finish(work, limit, bar).await {
            Ok(finished) => Ok(finished.summary(number)),
            Err(error) if error.is::<Interrupted>() => Err(error),
            Err(error) => Ok(RepeatSummary {
                repeat: Repeat {
                    repeat: number,
                    status: Status::Failed,
                    reasons: vec![format!("{error:#}")],
                    cost: None,
                    error: None,
                    stages: Vec::new(),
                },
                rows: Vec::new(),
                server: None,
            }),
        }
    }

    /// From the start of the services until every window is accounted for and they have stopped.
    async fn finish(&self, work: &Work, limit: Duration, bar: &ProgressBar) -> Result<Finished> {
        let mut scenario = work.scenario(self.base, self.seed, limit)?;
        if self.shift_truth {
            shift(&mut scenario.truths);
        }
        let before = reset_peak();
        let began = Instant::now();
        let state = tempfile::Builder::new()
            .prefix("cipherwatt-")
            .tempdir()
            .context("a folder for the state")?;
        let mut threads = Threads::now();
        let runtimes = Runtimes::start(&SERVICES)?;
        drop(self.samples.take());
        let mut session = Session::start(&scenario, state.path(), &(&runtimes).into()).await?;
        bar.set_length(scenario.truths.len() as u64);
        let mut reading = false;
        let ended = session.run(limit, self.stop, |watch, _| {
            // What it takes is counted from the first reading on.
            if !reading && watch.span.0.is_some() {
                reading = true;
                threads.restart();
            }
            bar.set_position((watch.released.len() + watch.held.len()) as u64);
            Ok(())
        });
        let ended = ended.await;
        let spent = threads.spent();
        let memory = [before, peak_rss()];
        let stopped = session.stop().await;
        let summary = match ended {
            Err(error) if error.is::<Interrupted>() => return Err(error),
            // The service that failed says more than that one did.
            Err(error) => return Err(stopped.err().unwrap_or(error)),
            Ok(summary) => summary,
        };
        stopped?;
        Ok(Finished {
            verdict: judge(&session.watch, &scenario.truths),
            watch: session.watch,
            summary,
            spent,
            recorded: self.samples.take(),
            memory,
            total_wall_s: began.elapsed().as_secs_f64(),
        })
    }
}

fn shift(truths: &mut Truths) {
    let first = truths.values_mut().next();
    if let Some(wh) = first.and_then(|truth| truth.energy_wh.first_mut()) {
        *wh += 1e6;
    }
}

impl Finished {
    fn summary(self, number: u32) -> RepeatSummary {
        let cost = self.cost();
        let reasons = self.reasons();
        RepeatSummary {
            server: Some(ServerStats::of(&self.recorded, &cost)),
            repeat: Repeat {
                repeat: number,
                status: match reasons.is_empty() {
                    true => Status::Ok,
                    false => Status::Wrong,
                },
                reasons,
                cost: Some(cost),
                error: Some(error(&self.verdict)),
                stages: self.recorded.stages(),
            },
            rows: self.verdict.rows,
        }
    }

    fn reasons(&self) -> Vec<String> {
        let (reports, folded) = (self.summary.reports, self.watch.folded);
        let mut reasons = self.verdict.wrong.clone();
        if self.summary.lost > 0 {
            reasons.push(format!(
                "{} reports were refused for good",
                self.summary.lost
            ));
        }
        if folded != reports {
            reasons.push(format!("{reports} reports sent, {folded} folded"));
        }
        let left_out = reasons.len().saturating_sub(MOST_REASONS);
        reasons.truncate(MOST_REASONS);
        if left_out > 0 {
            reasons.push(format!("and {left_out} more"));
        }
        reasons
    }

    fn cost(&self) -> Cost {
        let (watch, summary) = (&self.watch, &self.summary);
        let wall_s = watch.span_s();
        let cpu_s = self.spent.process.as_secs_f64();
        let over = |value: f64, by: f64| if by > 0.0 { value / by } else { 0.0 };
        let (reports, readings) = (watch.folded as f64, summary.readings as f64);
        let sealed_bytes = summary.sealed.0 as f64;
        let count = |name| self.recorded.count(name);
        Cost {
            wall_s,
            total_wall_s: self.total_wall_s,
            reports: watch.folded,
            readings: summary.readings,
            reports_resent: count(meter::metrics::RESENT),
            reports_duplicate: watch.duplicates,
            reports_rejected: watch.rejected_by_reason(),
            windows_released: self.verdict.released,
            windows_withheld: self.verdict.withheld,
            reports_per_s: over(reports, wall_s),
            readings_per_s: over(readings, wall_s),
            bytes_per_report: over(sealed_bytes, summary.sealed.1 as f64),
            bytes_per_reading: over(sealed_bytes, readings),
            published_bytes: count(mqtt::metrics::PUBLISHED_BYTES),
            cpu_s,
            cpu_cores: over(cpu_s, self.spent.wall.as_secs_f64()),
            cpu_us_per_report: over(cpu_s * 1e6, reports),
            cpu_us_per_reading: over(cpu_s * 1e6, readings),
            cpu_s_by_service: by_service(&self.spent),
            peak_rss_bytes: self.memory[1],
            rss_before_bytes: self.memory[0],
        }
    }
}

/// Seconds of processor by service. Threads that have been started since, and have names of their own, are those that the
/// broker's library starts; what is left of the process is `bench`.
fn by_service(spent: &Spent) -> BTreeMap<String, f64> {
    let mut services = BTreeMap::from(SERVICES.map(|service| (service.to_owned(), 0.0)));
    for (thread, cpu) in &spent.new {
        let known = SERVICES
            .iter()
            .find(|service| thread.starts_with(**service));
        *services
            .entry(known.unwrap_or(&"broker").to_string())
            .or_default() += cpu.as_secs_f64();
    }
    let known: f64 = services.values().sum();
    let rest = (spent.process.as_secs_f64() - known).max(0.0);
    services.insert("bench".to_owned(), rest);
    services
}

fn error(verdict: &Verdict) -> Error {
    let greatest = |of: fn(&Row) -> f64| verdict.rows.iter().map(of).fold(0.0, f64::max);
    Error {
        max_abs_wh: greatest(|row| row.error_wh),
        bound_wh: greatest(|row| row.bound_wh),
        max_relative: verdict.max_relative_error,
        bound_relative: verdict.error_bound,
        intervals: verdict.intervals,
    }
}
