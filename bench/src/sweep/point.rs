//! One repeat of one point: the real services, from start to stop.

use std::time::{Duration, Instant};

use anyhow::Result;
use harness::Interrupted;
use harness::runtimes::Runtimes;
use harness::session::{Finished, Session, ratio};
use harness::verdict::{Row, Verdict};
use indicatif::ProgressBar;
use serde_json::Value;
use service::config::Settings;
use service::mqtt;
use service::stop::Stop;

use super::samples::{Recorded, Samples};
use super::work::Work;
use crate::results::extras::server_stats;
use crate::results::schema::{Cost, Error, Repeat, Status};
use harness::usage::{Spent, Threads, Usage, reset_peak};

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
    pub(crate) server: Option<Value>,
}

/// A repeat that came to its end.
struct Ran {
    finished: Finished,
    spent: Spent,
    recorded: Recorded,
    /// Resident memory before it.
    before: Option<u64>,
    /// The greatest in it.
    peak: Option<u64>,
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
        match self.run(work, limit, bar).await {
            Ok(ran) => Ok(ran.summary(number)),
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
    async fn run(&self, work: &Work, limit: Duration, bar: &ProgressBar) -> Result<Ran> {
        let mut scenario = work.scenario(self.base, self.seed, limit)?;
        if self.shift_truth {
            scenario.truths.falsify();
        }
        let before = reset_peak();
        let began = Instant::now();
        let mut threads = Threads::now();
        let runtimes = Runtimes::start(&SERVICES)?;
        drop(self.samples.take());
        let mut session = Session::start(&scenario, &(&runtimes).into()).await?;
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
        let peak = Usage::now().peak_bytes;
        Ok(Ran {
            finished: session.finish(ended).await?,
            spent,
            recorded: self.samples.take(),
            before,
            peak,
            total_wall_s: began.elapsed().as_secs_f64(),
        })
    }
}

impl Ran {
    fn summary(self, number: u32) -> RepeatSummary {
        let cost = self.cost();
        let mut reasons = self.finished.wrong();
        let left_out = reasons.len().saturating_sub(MOST_REASONS);
        reasons.truncate(MOST_REASONS);
        if left_out > 0 {
            reasons.push(format!("and {left_out} more"));
        }
        RepeatSummary {
            server: Some(server_stats(&self.recorded, &cost)),
            repeat: Repeat {
                repeat: number,
                status: match reasons.is_empty() {
                    true => Status::Ok,
                    false => Status::Wrong,
                },
                reasons,
                cost: Some(cost),
                error: Some(error(&self.finished.verdict)),
                stages: self.recorded.stages(),
            },
            rows: self.finished.verdict.rows,
        }
    }

    fn cost(&self) -> Cost {
        let finished = &self.finished;
        let watch = &finished.watch;
        let fleet = &finished.fleet;
        let cpu_s = self.spent.process.as_secs_f64();
        let cpu_us_each = |count: u64| ratio(cpu_s * 1e6, count as f64);
        Cost {
            wall_s: watch.span_s(),
            total_wall_s: self.total_wall_s,
            reports: watch.folded,
            readings: fleet.readings,
            reports_resent: self.recorded.count(meter::metrics::RESENT),
            reports_duplicate: watch.duplicates,
            reports_rejected: watch.rejected_by_reason(),
            windows_released: finished.verdict.released,
            windows_withheld: finished.verdict.withheld,
            reports_per_s: finished.per_s(watch.folded),
            readings_per_s: finished.per_s(fleet.readings),
            bytes_per_report: finished.bytes_per_report(),
            bytes_per_reading: ratio(fleet.sealed.0 as f64, fleet.readings as f64),
            published_bytes: self.recorded.count(mqtt::metrics::PUBLISHED_BYTES),
            cpu_s,
            cpu_cores: ratio(cpu_s, self.spent.wall.as_secs_f64()),
            cpu_us_per_report: cpu_us_each(watch.folded),
            cpu_us_per_reading: cpu_us_each(fleet.readings),
            cpu_s_by_service: self.spent.by_service(&SERVICES),
            peak_rss_bytes: self.peak,
            rss_before_bytes: self.before,
        }
    }
}

fn error(verdict: &Verdict) -> Error {
    let greatest = verdict.rows.iter().map(|row| row.error_wh).max();
    Error {
        exact: Some(verdict.exact),
        max_abs_wh: greatest.unwrap_or(0) as f64,
        max_relative: verdict.max_relative_error,
        quantum_wh: Some(verdict.quantum_wh),
        intervals: verdict.intervals,
        bound_wh: None,
    }
}
