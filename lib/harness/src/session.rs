//! A scenario from start to stop: the services at work until every window is accounted for.

use std::time::Duration;

use anyhow::{Context as _, Result};
use meter::Summary;
use service::stop::Stop;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::Interrupted;
use crate::areas::{self, AreaRow};
use crate::entered::entered;
use crate::runtimes::On;
use crate::scenario::Scenario;
use crate::stack::{Next, Stack};
use crate::verdict::{Verdict, judge};
use crate::watch::{Seen, Watch};

/// A scenario at work.
pub struct Session<'a> {
    scenario: &'a Scenario,
    stack: Stack,
    watch: Watch,
    _state: TempDir,
}

/// What a scenario came to.
pub struct Finished {
    /// What the services reported.
    pub watch: Watch,
    /// What the gateway counted.
    pub fleet: Summary,
    /// The totals against the truth.
    pub verdict: Verdict,
    /// The same of transformers and substations.
    pub areas: Vec<AreaRow>,
}

/// The time was up before every window was accounted for.
#[derive(Debug, thiserror::Error)]
#[error("did not finish within {}: {accounted} of {windows} windows accounted for; {wrong}", humantime::format_duration(*.limit))]
pub struct NotFinished {
    limit: Duration,
    accounted: usize,
    windows: usize,
    wrong: String,
}

impl<'a> Session<'a> {
    /// Starts the services and the gateway, with their keys and journals in a folder that goes with the session: a secret
    /// key of a run that is over is worth nothing.
    ///
    /// # Errors
    /// Where the broker cannot listen.
    pub async fn start(scenario: &'a Scenario, on: &On) -> Result<Self> {
        let state = tempfile::Builder::new().prefix("cipherwatt-").tempdir();
        let state = state.context("a folder for the state")?;
        let mut stack =
            Stack::with_holders(&scenario.settings, state.path(), on, scenario.holders).await?;
        stack.add_fleet(scenario.network).await?;
        let plan = &scenario.settings.plan;
        let min_meters = plan.minimum_group();
        let in_rests = areas::in_rests(plan, &scenario.truths, min_meters);
        Ok(Self {
            scenario,
            stack,
            watch: Watch::new(min_meters).with_rests(in_rests),
            _state: state,
        })
    }

    /// Waits until the gateway has every receipt and every window is accounted for; `each` gets what is reported
    /// meanwhile, once it is in the watch.
    ///
    /// # Errors
    /// [`NotFinished`] after `limit`; [`Interrupted`]; where a service failed; those of `each`.
    pub async fn run(
        &mut self,
        limit: Duration,
        stop: &Stop,
        mut each: impl FnMut(&Watch, &Seen) -> Result<()>,
    ) -> Result<Summary> {
        let truths = &self.scenario.truths;
        let stack = &mut self.stack;
        let watch = &mut self.watch;
        let work = async {
            let mut summary = None;
            let mut accounted = truths.is_empty();
            loop {
                if accounted && let Some(summary) = summary.take() {
                    return Ok(summary);
                }
                match stack.next(stop).await? {
                    Next::FleetEnded(ended) => summary = Some(ended),
                    Next::Seen(seen) => {
                        watch.record(&seen);
                        each(watch, &seen)?;
                        // To account for every window takes long; there is no need before there are as many.
                        accounted = watch.released.len() + watch.held.len() >= truths.len()
                            && watch.progress(truths) == truths.len();
                    }
                }
            }
        };
        match timeout(limit, work).await {
            Ok(ended) => ended,
            Err(_) => {
                let wrong = judge(&self.watch, truths).wrong.into_iter().next();
                Err(NotFinished {
                    limit: Duration::from_secs(limit.as_secs()),
                    accounted: self.watch.progress(truths),
                    windows: truths.len(),
                    wrong: wrong.unwrap_or_else(|| "no total is wrong so far".to_owned()),
                }
                .into())
            }
        }
    }

    /// Waits until so many bills were opened.
    ///
    /// # Errors
    /// There were not as many after `limit`; [`Interrupted`]; where a service failed.
    pub async fn bills(&mut self, count: usize, limit: Duration, stop: &Stop) -> Result<()> {
        let (stack, watch) = (&mut self.stack, &mut self.watch);
        let work = async {
            while watch.bills.len() < count {
                if let Next::Seen(seen) = stack.next(stop).await? {
                    watch.record(&seen);
                }
            }
            Ok(())
        };
        let done = timeout(limit, work).await;
        done.with_context(|| format!("{} of {count} bills were opened", self.watch.bills.len()))?
    }

    /// Stops everything and judges what was reported until then.
    ///
    /// # Errors
    /// Where `ended`, what [`Session::run`] returned, is one; the first service that failed.
    pub async fn finish(mut self, ended: Result<Summary>) -> Result<Finished> {
        let stopped = self.stack.stop().await;
        while let Some(seen) = self.stack.reported() {
            self.watch.record(&seen);
        }
        let fleet = match ended {
            Ok(fleet) => fleet,
            Err(error) if error.is::<NotFinished>() || error.is::<Interrupted>() => {
                return Err(error);
            }
            // The service that failed says more than the error that its end led to.
            Err(error) => return Err(stopped.err().unwrap_or(error)),
        };
        stopped?;
        let truths = &self.scenario.truths;
        let released = &self.watch.released;
        let entered = entered(released, truths);
        Ok(Finished {
            areas: areas::compare(&self.scenario.settings.plan, released, &entered)?,
            verdict: judge(&self.watch, truths),
            watch: self.watch,
            fleet,
        })
    }
}

impl Finished {
    /// What is wrong, in words: with the totals, and reports that are in none.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = self.verdict.wrong.clone();
        let sent = self.fleet.reports;
        let off = self.areas.iter().filter(|row| row.error_wh > 0);
        wrong.extend(off.map(|row| {
            let AreaRow {
                area,
                window,
                energy_wh,
                true_wh,
                ..
            } = row;
            format!("{area}, window {window}: {energy_wh} Wh, the truth is {true_wh} Wh")
        }));
        let lost = self.fleet.lost;
        let folded = self.watch.folded;
        if lost > 0 {
            wrong.push(format!("{lost} reports were refused for good"));
        }
        let wanted = self.fleet.wanted;
        if wanted > 0 {
            wrong.push(format!(
                "{wanted} reports were wanted again: their sums did not open"
            ));
        }
        if folded != sent {
            wrong.push(format!("{sent} reports sent, {folded} folded"));
        }
        wrong
    }

    /// So many in a second, from the first reading to the last release; 0 before both.
    #[must_use]
    pub fn per_s(&self, count: u64) -> f64 {
        ratio(count as f64, self.watch.span_s())
    }

    /// Mean size of a sealed report, in bytes.
    #[must_use]
    pub fn bytes_per_report(&self) -> f64 {
        let (bytes, reports) = self.fleet.sealed;
        ratio(bytes as f64, reports as f64)
    }
}

/// `value / by`, 0 where `by` is 0.
#[must_use]
pub fn ratio(value: f64, by: f64) -> f64 {
    if by > 0.0 { value / by } else { 0.0 }
}
