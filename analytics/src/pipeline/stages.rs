//! The stages of a report side by side: received, verified, folded, committed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use service::config::Mode;
use service::stop::Stop;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::egress::Egress;
use super::engine_step::{CloseRules, Resend, StepResult, Work, step};
use super::intake::{Intake, Lot};
use super::leases::{Sharing, Turns};
use super::{AnalyticsError, DRAIN, Runner, TICK};
use crate::engine::Engine;
use crate::metrics;
use crate::store::Store;
use crate::verify::{Verdicts, Verifier};

mod due;
mod verifying;

/// How many times as long as a commit the disk rests after it, within the configured limit: so it is busy for at most a quarter of
/// the time, and commits grow with the load.
const REST: u32 = 3;

/// The runner at work.
pub(super) struct Pipeline<S> {
    runner: Runner,
    egress: Egress,
    intake: Intake,
    verifier: Arc<Verifier>,
    verifying: Option<JoinHandle<Lot>>,
    /// Where the engine is between steps.
    engine: Option<Engine<S>>,
    stepping: Option<Stepping<S>>,
    /// Reports folded since the last commit, and when the first of them, or an operator's receipt, was received.
    folded: usize,
    folded_since: Option<Instant>,
    /// Until then the disk rests, unless a commit is full. It counts from the last commit and not from the oldest report: where
    /// reports have waited long already, each few of them would be committed alone.
    rests_until: Instant,
    /// Whether all windows are to be looked at.
    tick: bool,
    resend: Resend,
    /// Where the store is shared.
    sharing: Option<Sharing>,
    /// Whether the last attempt at a commit failed.
    failing: Arc<AtomicBool>,
}

struct Stepping<S> {
    began: Instant,
    commits: bool,
    result: Pin<Box<dyn Future<Output = Result<StepResult<S>, AnalyticsError>> + Send>>,
}

impl<S: Store + 'static> Pipeline<S> {
    pub(super) fn new(mut runner: Runner, engine: Engine<S>, turns: Option<Turns>) -> Self {
        runner.settled.expect(engine.awaited());
        let analytics = &runner.settings.analytics;
        Self {
            egress: Egress::open(runner.publisher.clone(), runner.observer.clone()),
            intake: Intake::new(analytics.queue_max_reports, analytics.queue_max_bytes),
            verifier: Arc::new(Verifier::new(
                analytics.verify_threads,
                analytics.known_keys,
            )),
            verifying: None,
            engine: Some(engine),
            stepping: None,
            folded: 0,
            folded_since: None,
            rests_until: Instant::now(),
            tick: false,
            resend: Resend::Nothing,
            sharing: turns.map(Sharing::new),
            failing: Arc::default(),
            runner,
        }
    }

    pub(super) async fn run(mut self, stop: Stop) -> Result<(), AnalyticsError> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.judge_again();
            self.start_verifying(false);
            self.start_step(false)?;
            metrics::queued(self.intake.reports() + self.folded);
            let wake = self.wake();
            let receives = self.intake.has_room();
            tokio::select! {
                biased;
                () = stop.stopped() => break,
                result = ended(&mut self.stepping, |stepping| &mut stepping.result) => {
                    self.stepped(result?).await?;
                }
                lot = ended(&mut self.verifying, |verifying| verifying) => {
                    self.verified(lot.map_err(AnalyticsError::Task)?);
                }
                _ = tick.tick() => {
                    self.tick = true;
                    self.runner.ask().await;
                    self.resend_if_due();
                    let can_work = self.runner.can_work() && !self.is_stuck();
                    Sharing::take_part(&mut self.sharing, can_work);
                }
                turned = Sharing::turned(&mut self.sharing) => turned.map(|()| Sharing::subscribe(self.sharing.as_ref(), &self.runner))?,
                event = self.runner.inbox.recv(), if receives => match event {
                    Some(event) => match self.runner.handle(event) {
                        Some(report) => self.intake.receive(report, Instant::now()),
                        None => self.runner.ask().await,
                    },
                    None => break,
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
        match tokio::time::timeout(DRAIN, self.drain()).await {
            Ok(drained) => drained?,
            Err(_) => return Err(AnalyticsError::Undrained),
        }
        self.egress.close().await?;
        Sharing::close(self.sharing).await?;
        self.runner.publisher.close().await;
        Ok(())
    }

    /// Commits what was received, the operator's receipts too, and lets its effects out.
    async fn drain(&mut self) -> Result<(), AnalyticsError> {
        loop {
            self.start_verifying(true);
            let has_work = self.folded_since.is_some() || self.has_receipts();
            if !has_work && self.intake.is_empty() && self.stepping.is_none() {
                return Ok(());
            }
            if has_work || self.intake.has_verified() {
                self.start_step(true)?;
            }
            tokio::select! {
                result = ended(&mut self.stepping, |stepping| &mut stepping.result) => {
                    self.stepped(result?).await?;
                }
                lot = ended(&mut self.verifying, |verifying| verifying) => {
                    self.verified(lot.map_err(AnalyticsError::Task)?);
                }
            }
        }
    }

    /// When something is to be done that no event announces.
    fn wake(&self) -> Option<Instant> {
        let verify = match self.verifying {
            Some(_) => None,
            None => self.intake.verify_at(self.verify_wait()),
        };
        let commit = self.commit_at().filter(|_| self.stepping.is_none());
        verify.into_iter().chain(commit).min()
    }

    /// Gives the engine what there is for it to do, if it is there.
    fn start_step(&mut self, last: bool) -> Result<(), AnalyticsError> {
        let now = Instant::now();
        let commit = last || self.is_commit_due(now);
        let has_receipts = self.has_receipts();
        let has_work = has_receipts || self.intake.has_verified() || self.resend != Resend::Nothing;
        if !(commit || self.tick || has_work) {
            return Ok(());
        }
        let Some(engine) = self.engine.take() else {
            return Ok(());
        };
        let since = has_receipts.then_some(now);
        let (received, verdicts) = self.take_verified();
        self.folded += verdicts.len();
        self.folded_since = self.folded_since.or(received).or(since);
        let work = Work {
            settled: match has_receipts {
                true => self.runner.settled.take(),
                false => Default::default(),
            },
            rules: self.close_rules(&engine, verdicts.len())?,
            verdicts,
            leases: match (&mut self.sharing, self.tick) {
                (Some(sharing), true) => sharing.tell(),
                _ => None,
            },
            all: std::mem::take(&mut self.tick),
            commit,
            resend: std::mem::take(&mut self.resend),
            version: None,
        };
        if commit {
            metrics::committing(self.folded);
            self.folded = 0;
            self.folded_since = None;
        }
        self.stepping = Some(Stepping {
            began: now,
            commits: commit,
            result: Box::pin(step(engine, work, self.failing.clone())),
        });
        Ok(())
    }

    /// Whether the operator's receipts wait that the engine can be told of: without the roster it is not known whose gateways are to hear
    /// of them.
    fn has_receipts(&self) -> bool {
        !self.runner.settled.is_empty() && self.runner.ready().is_some()
    }

    /// Takes what was verified, as far as the next commit has room for it, and when the first of it was received.
    fn take_verified(&mut self) -> (Option<Instant>, Verdicts) {
        let most = self.runner.settings.analytics.commit_max_reports;
        let room = most.saturating_sub(self.folded);
        let taken = match room {
            0 => None,
            _ => self.intake.take_verified(room),
        };
        match taken {
            Some((since, verdicts)) => (Some(since), verdicts),
            None => (None, Vec::new()),
        }
    }

    /// What the windows are closed by, if it is there; `reports` are dropped if it is not.
    fn close_rules(
        &self,
        engine: &Engine<S>,
        reports: usize,
    ) -> Result<Option<CloseRules>, AnalyticsError> {
        let Some((assigned, roster)) = self.runner.ready() else {
            metrics::not_ready(reports);
            return Ok(None);
        };
        if !engine.fits(&assigned.held) {
            let version = assigned.plan().version.0;
            return Err(AnalyticsError::PlanChanged { version });
        }
        Ok(Some(CloseRules {
            assigned,
            leaving: self.runner.leaving.clone(),
            roster,
            active_ms: self.runner.uptime.milliseconds(),
            // What is replayed or simulated is of another time.
            wall: (self.runner.settings.deployment.mode == Mode::Production)
                .then(|| self.runner.clock.now()),
        }))
    }

    async fn stepped(&mut self, result: StepResult<S>) -> Result<(), AnalyticsError> {
        if let Some(stepping) = self.stepping.take()
            && stepping.commits
        {
            let analytics = &self.runner.settings.analytics;
            let rest = stepping.began.elapsed() * REST;
            self.rests_until = Instant::now() + rest.min(analytics.longest_wait());
        }
        let holds_others =
            (self.sharing.as_mut()).is_some_and(|sharing| sharing.stepped(result.leases.is_none()));
        if holds_others {
            self.runner.resent = None; // What its owner before has released is sent at once.
        }
        if holds_others || !result.effects.is_empty() {
            self.runner.settled.expect(result.engine.awaited());
        }
        Sharing::subscribe(self.sharing.as_ref(), &self.runner);
        self.engine = Some(result.engine);
        self.resend = result.resend;
        if let Some((version, handover)) = result.handover {
            self.runner.committed(version, handover);
        }
        self.tick |= result.more;
        metrics::ages(&result.effects.sealed_at, self.runner.clock.now());
        if !result.effects.is_empty() {
            self.egress.let_out(result.effects).await?;
        }
        Ok(())
    }
}

/// Waits for what a slot holds to end; for ever while it is empty. Cancel safe.
async fn ended<T, F: Future + Unpin>(
    slot: &mut Option<T>,
    future: impl Fn(&mut T) -> &mut F,
) -> F::Output {
    match slot {
        Some(held) => future(held).await,
        None => std::future::pending().await,
    }
}
