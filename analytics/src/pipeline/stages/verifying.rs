//! The stage that verifies.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::Instant;
use wire::Topic;

use super::Pipeline;
use crate::admit::Admission;
use crate::metrics;
use crate::pipeline::early::{self, EarlyReports};
use crate::pipeline::intake::Lot;
use crate::store::Store;

impl<S: Store + 'static> Pipeline<S> {
    /// Takes up the reports that came too early for the plan and the roster before these.
    pub(super) fn judge_again(&mut self) {
        for report in self.runner.early.take(self.runner.generation) {
            self.intake.receive(report, Instant::now());
        }
    }

    pub(super) fn verified(&mut self, mut lot: Lot) {
        self.verifying = None;
        self.runner
            .keep_early(std::mem::take(&mut lot.early), lot.generation);
        self.intake.enter_verified(lot);
    }

    /// A report waits half its time for others to be verified with, and half to be committed with.
    pub(super) fn verify_wait(&self) -> Duration {
        self.runner.settings.analytics.commit_min_delay / 2
    }

    /// Verifies what was received, if nothing is being verified and it is time to.
    pub(super) fn start_verifying(&mut self, at_once: bool) {
        let due = self.intake.verify_at(self.verify_wait());
        let due = due.is_some_and(|due| at_once || due <= Instant::now());
        if !due || self.verifying.is_some() {
            return;
        }
        let Some((since, batch)) = self.intake.take_queue() else {
            return;
        };
        let bytes = batch.iter().map(|report| report.payload.len()).sum();
        let reports = batch.len();
        let generation = self.runner.generation;
        let Some((assigned, roster)) = self.runner.ready() else {
            metrics::not_ready(reports);
            self.intake.forget(reports, bytes);
            self.runner
                .keep_early(EarlyReports::unsigned(batch), generation);
            return;
        };
        let settings = self.runner.settings.clone();
        let verifier = self.verifier.clone();
        let topics = self.runner.topics.clone();
        let now = self.runner.clock.now();
        self.verifying = Some(spawn_blocking(move || {
            let started = Instant::now();
            let admission = Admission::new(&settings, &topics, &assigned, &roster, now);
            let verdicts = verifier.verify(&admission, &batch);
            metrics::verified(started.elapsed(), verdicts.len());
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
}
