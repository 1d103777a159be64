//! One repeat of one point: the real services, from start to stop.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;
use meter::Summary;
use service::config::Settings;
use service::stop::Stop;
use tokio::sync::mpsc;

use crate::oracle::Truths;
use crate::results::legacy::ServerStats;
use crate::results::schema::{Cost, Error, Repeat, Status};
use crate::scenario::Scenario;
use crate::stack::Stack;
use crate::verdict::{Row, Verdict, judge};
use crate::watch::Watch;

use super::Interrupted;
use super::samples::{Recorded, Samples};
use super::threads::{Runtimes, Spent, peak_rss, reset_peak};
use super::work::Work;

/// Words of what is wrong that a repeat keeps.
const MOST_REASONS: usize = 10;

/// What a repeat needs besides its work.
pub struct Bench<'a> {
    /// Settings of the services, before the point's own.
    pub base: &'a Settings,
    /// Seed of the fleet and of the emulated network.
    pub seed: u64,
    /// The metrics of this process.
    pub samples: &'a Samples,
    /// Interrupts it.
    pub stop: &'a Stop,
    /// Shifts the truth of one window, to see that a wrong total is found.
    pub shift_truth: bool,
}

/// A repeat and what only some of the files hold.
pub struct Outcome {
    /// For the document.
    pub repeat: Repeat,
    /// One row a released window.
    pub rows: Vec<Row>,
    /// What the server's side counted; `None` where it came to no end.
    pub server: Option<ServerStats>,
}

/// How it went, if it came to an end.
struct Finished {
    watch: Watch,
    summary: Summary,
    spent: Spent,
    recorded: Recorded,
    peak: Option<u64>,
}

impl Bench<'_> {
    /// Runs `work` once. A point that fails is an outcome; an interruption is an error.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub async fn repeat(
        &self,
        work: &Work,
        number: u32,
        limit: Duration,
        bar: &ProgressBar,
    ) -> Result<Outcome> {
        match self.attempt(work, number, limit, bar).await {
            Ok(outcome) => Ok(outcome),
            Err(error) if error.is::<Interrupted>() => Err(error),
            Err(error) => Ok(Outcome {
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

    async fn attempt(
        &self,
        work: &Work,
        number: u32,
        limit: Duration,
        bar: &ProgressBar,
    ) -> Result<Outcome> {
        let mut scenario = Scenario::sweep(self.base, work, self.seed, limit)?;
        if self.shift_truth {
            shift(&mut scenario.truths);
        }
        let rss_before_bytes = reset_peak();
        let began = Instant::now();
        let state = tempfile::Builder::new()
            .prefix("cipherwatt-")
            .tempdir()
            .context("a folder for the state")?;
        let runtimes = Runtimes::start().context("threads for the services")?;
        drop(self.samples.take());
        let finished = self
            .drive(&scenario, &runtimes, state.path(), limit, bar)
            .await;
        runtimes.end();
        let Finished {
            watch,
            summary,
            spent,
            recorded,
            peak,
        } = finished?;
        let verdict = judge(&watch, &scenario.truths);
        let total_wall_s = began.elapsed().as_secs_f64();
        let mut reasons = verdict.wrong.clone();
        if summary.lost > 0 {
            reasons.push(format!("{} reports were refused for good", summary.lost));
        }
        if watch.folded != summary.reports {
            reasons.push(format!(
                "{} reports sent, {} folded",
                summary.reports, watch.folded
            ));
        }
        let left_out = reasons.len().saturating_sub(MOST_REASONS);
        reasons.truncate(MOST_REASONS);
        if left_out > 0 {
            reasons.push(format!("and {left_out} more"));
        }
        let cost = cost(&watch, &summary, &spent, &recorded, &verdict, total_wall_s);
        let cost = Cost {
            peak_rss_bytes: peak,
            rss_before_bytes,
            ..cost
        };
        let server = ServerStats::of(&recorded, &cost);
        let error = error(&verdict);
        Ok(Outcome {
            repeat: Repeat {
                repeat: number,
                status: if reasons.is_empty() {
                    Status::Ok
                } else {
                    Status::Wrong
                },
                reasons,
                cost: Some(cost),
                error: Some(error),
                stages: recorded.stages(),
            },
            rows: verdict.rows,
            server: Some(server),
        })
    }

    /// From the start of the services until every window is accounted for and they have stopped.
    async fn drive(
        &self,
        scenario: &Scenario,
        runtimes: &Runtimes,
        state: &Path,
        limit: Duration,
        bar: &ProgressBar,
    ) -> Result<Finished> {
        let (sender, mut seen) = mpsc::unbounded_channel();
        let (settings, state) = (scenario.settings.clone(), state.to_owned());
        let [operator, analytics, meter] =
            ["operator", "analytics", "meter"].map(|service| runtimes.of(service).clone());
        // What is spawned there without saying where, the broker first of all, runs on the broker's threads.
        let started = runtimes.of("broker").spawn(async move {
            Stack::start_on(&settings, &state, sender, &operator, &analytics, &meter).await
        });
        let mut stack = started.await??;
        let mut watch = Watch::new(scenario.settings.plan.min_meters);
        let (mut summary, mut before, mut accounted) = (None, None, false);
        bar.set_length(scenario.truths.len() as u64);
        let ended = tokio::time::timeout(limit, async {
            while summary.is_none() || !accounted {
                tokio::select! {
                    () = self.stop.stopped() => return Err(Interrupted.into()),
                    ended = stack.fleet_ended() => summary = Some(ended.context("the gateway")?),
                    event = seen.recv() => {
                        let Some(event) = event else { bail!("the services ended") };
                        watch.enter(event);
                        if before.is_none() && watch.span.0.is_some() {
                            before = Some(runtimes.used());
                        }
                        let windows = watch.released.len() + watch.held.len();
                        bar.set_position(windows as u64);
                        // To account for every window takes long; there is no need before there are as many.
                        if !accounted && windows >= scenario.truths.len() {
                            accounted = watch.progress(&scenario.truths) == scenario.truths.len();
                        }
                    }
                    () = tokio::time::sleep(Duration::from_secs(1)), if stack.is_broken() => bail!("a service ended"),
                }
            }
            Ok(())
        })
        .await;
        let after = runtimes.used();
        let peak = peak_rss();
        let stopped = stack.stop().await;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.is::<Interrupted>() => return Err(error),
            // The service that failed says more than that one did.
            Ok(Err(error)) => return Err(stopped.err().unwrap_or(error)),
            Err(_) => bail!(
                "not finished after {}: {} of {} windows accounted for",
                humantime::format_duration(Duration::from_secs(limit.as_secs())),
                watch.progress(&scenario.truths),
                scenario.truths.len(),
            ),
        }
        stopped?;
        while let Ok(event) = seen.try_recv() {
            watch.enter(event);
        }
        Ok(Finished {
            watch,
            summary: summary.unwrap_or_default(),
            spent: after.since(before.as_ref().unwrap_or(&after)),
            recorded: self.samples.take(),
            peak,
        })
    }
}

/// Makes the truth of the first window false.
fn shift(truths: &mut Truths) {
    if let Some(wh) = truths
        .values_mut()
        .next()
        .and_then(|truth| truth.energy_wh.first_mut())
    {
        *wh += 1e6;
    }
}

fn cost(
    watch: &Watch,
    summary: &Summary,
    spent: &Spent,
    recorded: &Recorded,
    verdict: &Verdict,
    total_wall_s: f64,
) -> Cost {
    let wall_s = match watch.span {
        (Some(from), Some(until)) => until.saturating_duration_since(from).as_secs_f64(),
        _ => 0.0,
    };
    let over = |value: f64, by: f64| if by > 0.0 { value / by } else { 0.0 };
    let (reports, readings) = (watch.folded as f64, summary.readings as f64);
    let sealed_bytes = summary.sealed.0 as f64;
    Cost {
        wall_s,
        total_wall_s,
        reports: watch.folded,
        readings: summary.readings,
        reports_resent: recorded.count("cipherwatt_meter_reports_resent_total"),
        reports_duplicate: watch.duplicates,
        reports_rejected: watch
            .rejected
            .iter()
            .map(|(reason, count)| (reason.to_string(), *count))
            .collect(),
        windows_released: verdict.released,
        windows_withheld: verdict.withheld,
        reports_per_s: over(reports, wall_s),
        readings_per_s: over(readings, wall_s),
        bytes_per_report: over(sealed_bytes, summary.sealed.1 as f64),
        bytes_per_reading: over(sealed_bytes, readings),
        published_bytes: recorded.count("cipherwatt_mqtt_published_bytes_total"),
        cpu_s: spent.cpu_s,
        cpu_cores: over(spent.cpu_s, spent.wall_s),
        cpu_us_per_report: over(spent.cpu_s * 1e6, reports),
        cpu_us_per_reading: over(spent.cpu_s * 1e6, readings),
        cpu_s_by_service: spent.by_service.clone(),
        peak_rss_bytes: None,
        rss_before_bytes: None,
    }
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
