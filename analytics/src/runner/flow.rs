//! The stages of a report side by side: received, verified, folded, committed.

use std::pin::Pin;
use std::time::Duration;

use service::config::Settings;
use service::roster::Roster;
use service::stop::Stop;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use wire::{Reason, Topic, Topics, UnixMillis};

use super::early;
use super::intake::{Intake, Lot};
use super::outlet::Outlet;
use super::turn::{Terms, Turned, Work, turn};
use super::{AnalyticsError, DRAIN, Runner, TICK};
use crate::admit::{Admission, Refusal};
use crate::assignment::AssignedPlan;
use crate::engine::{Engine, Incoming};
use crate::metrics as meter;
use crate::store::{Store, SumKey};
use crate::verify::{Verdicts, verify};

/// How many times as long as a commit the next one waits, if that is longer than the configured wait: so the disk is
/// busy for at most a quarter of the time, and commits grow with the load.
const REST: u32 = 3;

/// The runner at work.
pub(super) struct Flow<S> {
    runner: Runner,
    outlet: Outlet,
    intake: Intake,
    verifying: Option<JoinHandle<Lot>>,
    /// Where the engine is between turns.
    engine: Option<Engine<S>>,
    turning: Option<Turning<S>>,
    /// Reports folded since the last commit, and when the first of them, or an operator's receipt, was received.
    folded: usize,
    folded_since: Option<Instant>,
    /// How long the oldest report waits before a commit.
    wait: Duration,
    /// Whether all windows are to be looked at.
    tick: bool,
    /// The release after which there are more to be sent again.
    resend: Option<Option<SumKey>>,
}

struct Turning<S> {
    began: Instant,
    commits: bool,
    turned: Pin<Box<dyn Future<Output = Result<Turned<S>, AnalyticsError>> + Send>>,
}

impl<S: Store + 'static> Flow<S> {
    pub(super) fn new(runner: Runner, engine: Engine<S>) -> Self {
        let analytics = &runner.settings.analytics;
        Self {
            outlet: Outlet::open(runner.publisher.clone(), runner.observer.clone()),
            intake: Intake::new(analytics.queue_max_reports, analytics.queue_max_bytes),
            verifying: None,
            engine: Some(engine),
            turning: None,
            folded: 0,
            folded_since: None,
            wait: analytics.commit_min_delay,
            tick: false,
            resend: None,
            runner,
        }
    }

    pub(super) async fn run(mut self, stop: Stop) -> Result<(), AnalyticsError> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.judge_again();
            self.start_verifying(false);
            self.start_turn(false)?;
            meter::queued(self.intake.reports() + self.folded);
            let wake = self.wake();
            let receives = self.intake.has_room();
            tokio::select! {
                biased;
                () = stop.stopped() => break,
                turned = ended(&mut self.turning, |turning| &mut turning.turned) => {
                    self.turned(turned?).await;
                }
                lot = ended(&mut self.verifying, |verifying| verifying) => {
                    self.verified(lot.map_err(AnalyticsError::Task)?);
                }
                _ = tick.tick() => {
                    self.tick = true;
                    self.runner.ask().await;
                    self.resend_if_due();
                }
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
        self.outlet.close().await.map_err(AnalyticsError::Task)?;
        self.runner.publisher.close().await;
        Ok(())
    }

    /// Commits what was received, and lets its effects out.
    async fn drain(&mut self) -> Result<(), AnalyticsError> {
        loop {
            self.start_verifying(true);
            let nothing_left = self.intake.is_empty() && self.folded == 0;
            if nothing_left && self.turning.is_none() {
                return Ok(());
            }
            if self.intake.has_verified() || self.folded > 0 {
                self.start_turn(true)?;
            }
            tokio::select! {
                turned = ended(&mut self.turning, |turning| &mut turning.turned) => {
                    self.turned(turned?).await;
                }
                lot = ended(&mut self.verifying, |verifying| verifying) => {
                    self.verified(lot.map_err(AnalyticsError::Task)?);
                }
            }
        }
    }

    /// Takes up the reports that came too early for the plan and the roster before these.
    fn judge_again(&mut self) {
        for report in self.runner.early.take(self.runner.generation) {
            self.intake.receive(report, Instant::now());
        }
    }

    fn verified(&mut self, mut lot: Lot) {
        self.verifying = None;
        self.runner
            .early
            .keep(std::mem::take(&mut lot.early), lot.generation);
        self.intake.enter_verified(lot);
    }

    /// When something is to be done that no event announces.
    fn wake(&self) -> Option<Instant> {
        let verify = match self.verifying {
            Some(_) => None,
            None => self.intake.verify_at(self.verify_wait()),
        };
        let commit = self.folded_since.map(|since| since + self.wait);
        let commit = commit.filter(|_| self.turning.is_none());
        verify.into_iter().chain(commit).min()
    }

    /// A report waits half its time for others to be verified with, and half to be committed with.
    fn verify_wait(&self) -> Duration {
        self.runner.settings.analytics.commit_min_delay / 2
    }

    /// Verifies what was received, if nothing is being verified and it is time to.
    fn start_verifying(&mut self, at_once: bool) {
        let due = self.intake.verify_at(self.verify_wait());
        let due = due.is_some_and(|due| at_once || due <= Instant::now());
        if !due || self.verifying.is_some() {
            return;
        }
        let Some((since, batch)) = self.intake.take_queue() else {
            return;
        };
        let bytes = batch.iter().map(|report| report.payload.len()).sum();
        let (reports, generation) = (batch.len(), self.runner.generation);
        let Some((assigned, roster)) = self.runner.ready() else {
            meter::not_ready(reports);
            self.intake.forget(reports, bytes);
            self.runner.early.keep(batch, generation);
            return;
        };
        let (settings, topics) = (self.runner.settings.clone(), self.runner.topics.clone());
        let now = self.runner.clock.now();
        self.verifying = Some(spawn_blocking(move || {
            let started = Instant::now();
            let judge = Judge {
                settings: &settings,
                topics: &topics,
                assigned: &assigned,
                roster: &roster,
                now,
            };
            let verdicts = judge.verdicts(&batch);
            meter::verified(started.elapsed(), verdicts.len());
            let is_unowned = |topic: &str| match topics.parse(topic) {
                Some(Topic::Report { feeder, .. }) => assigned.owner(&feeder).is_none(),
                _ => false,
            };
            Lot {
                since,
                reports,
                bytes,
                early: early::of(batch, &verdicts, is_unowned),
                generation,
                verdicts,
            }
        }));
    }

    /// Gives the engine what there is for it to do, if it is there.
    fn start_turn(&mut self, last: bool) -> Result<(), AnalyticsError> {
        let now = Instant::now();
        let most = self.runner.settings.analytics.commit_max_reports;
        let due = |since: Instant| now >= since + self.wait;
        let waited = self.folded_since.is_some_and(due) || self.folded >= most;
        let commit = last || waited || (self.tick && self.folded == 0);
        let settles = !self.runner.settled.is_empty();
        let something = self.intake.has_verified() || self.resend.is_some() || settles;
        if !(commit || self.tick || something) {
            return Ok(());
        }
        let Some(engine) = self.engine.take() else {
            return Ok(());
        };
        let room = most.saturating_sub(self.folded);
        let taken = match room {
            0 => None,
            _ => self.intake.take_verified(room),
        };
        let terms = self.runner.ready();
        if terms.is_none() {
            meter::not_ready(taken.as_ref().map_or(0, |(_, verdicts)| verdicts.len()));
        }
        if let Some((assigned, _)) = &terms
            && !engine.fits(&assigned.plan)
        {
            let version = assigned.plan.version.0;
            return Err(AnalyticsError::PlanChanged { version });
        }
        let (since, verdicts) = taken.map_or((None, Vec::new()), |(since, verdicts)| {
            (Some(since), verdicts)
        });
        self.folded += verdicts.len();
        self.folded_since = self.folded_since.or(since).or(settles.then_some(now));
        let work = Work {
            settled: std::mem::take(&mut self.runner.settled),
            verdicts,
            terms: terms.map(|(assigned, roster)| Terms {
                assigned,
                leaving: self.runner.leaving.clone(),
                roster,
                active_ms: self.runner.reach.milliseconds(),
            }),
            all: std::mem::take(&mut self.tick),
            commit,
            resend: self.resend.take(),
            version: None,
        };
        if commit {
            meter::committing(self.folded);
            (self.folded, self.folded_since) = (0, None);
        }
        self.turning = Some(Turning {
            began: now,
            commits: commit,
            turned: Box::pin(turn(engine, work)),
        });
        Ok(())
    }

    async fn turned(&mut self, turned: Turned<S>) {
        if let Some(turning) = self.turning.take()
            && turning.commits
        {
            let analytics = &self.runner.settings.analytics;
            let rest = turning.began.elapsed() * REST;
            self.wait = rest.clamp(analytics.commit_min_delay, analytics.commit_max_delay);
        }
        self.engine = Some(turned.engine);
        self.resend = turned.resend;
        if let Some((version, handover)) = turned.handover {
            self.runner.committed(version, handover);
        }
        self.tick |= turned.more;
        meter::ages(&turned.effects.sealed_at, self.runner.clock.now());
        if !turned.effects.is_empty() {
            self.outlet.let_out(turned.effects).await;
        }
    }

    /// Begins to send releases again, if it is time to.
    fn resend_if_due(&mut self) {
        let runner = &mut self.runner;
        let retry = runner.settings.analytics.release_retry;
        if self.resend.is_none()
            && runner.resent.is_none_or(|resent| resent.elapsed() >= retry)
            && runner.publisher.is_connected()
        {
            runner.resent = Some(Instant::now());
            self.resend = Some(None);
        }
    }
}

/// What reports are checked against.
struct Judge<'a> {
    settings: &'a Settings,
    topics: &'a Topics,
    assigned: &'a AssignedPlan,
    roster: &'a Roster,
    now: UnixMillis,
}

impl Judge<'_> {
    /// What becomes of each report. Under a plan by which nothing can be checked, all are counted and not answered, so
    /// that their gateways keep them and send them again.
    fn verdicts(&self, batch: &[Incoming]) -> Verdicts {
        let (settings, assigned) = (self.settings, self.assigned);
        match Admission::new(settings, self.topics, assigned, self.roster, self.now) {
            Ok(admission) => verify(&admission, batch, settings.analytics.verify_threads),
            Err(error) => {
                let detail = format!("the plan cannot be used: {error}");
                let refused = || Err(Refusal::silent(Reason::NotReady, detail.clone()));
                batch.iter().map(|_| refused()).collect()
            }
        }
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

#[cfg(test)]
mod tests {
    use wire::{Plan, PlanVersion};

    use super::*;

    /// They used to vanish: neither folded nor counted.
    #[test]
    fn reports_under_a_plan_that_cannot_be_used_are_counted_and_not_answered() {
        let settings = Settings::defaults();
        let topics = Topics::new(&settings.deployment.root).unwrap();
        let plan = Plan {
            deployment: settings.deployment.id.clone(),
            version: PlanVersion(1),
            interval_s: 3600,
            batch: 1,
            layout: "profile".parse().unwrap(),
            profile: "of-a-later-version".parse().unwrap(),
            min_meters: 15,
            feeders: Vec::new(),
            epochs: Vec::new(),
            analytics: Vec::new(),
        };
        let assigned = AssignedPlan::new(plan, settings.analytics.id.clone());
        let roster = Roster::from_pages([]).unwrap();
        let report = Incoming {
            topic: "t".to_owned(),
            payload: Vec::new().into(),
        };
        let judged = Judge {
            settings: &settings,
            topics: &topics,
            assigned: &assigned,
            roster: &roster,
            now: UnixMillis(0),
        };
        let verdicts = judged.verdicts(&[report.clone(), report]);
        assert_eq!(verdicts.len(), 2);
        for verdict in verdicts {
            let refusal = verdict.unwrap_err();
            assert_eq!(refusal.reason, Reason::NotReady);
            assert!(refusal.detail.contains("of-a-later-version"));
            assert!(refusal.address.is_none(), "so it is sent again");
        }
    }
}
