//! Taking sums: verify, judge, decrypt, make durable, and only then answer.
//!
//! This is the blocking half of the operator and runs on a thread of its own. Sums that arrive together are made durable
//! together. One that cannot be verified gets no answer at all: whoever can publish could otherwise name somebody else's
//! sum and have it "rejected" under the operator's signature.
//!
//! # Layout
//! * [`SumTaker`]: verified, judged, decrypted · `commit`: made durable, and what is said of it then

mod commit;

use std::sync::Arc;
use std::time::Instant;

use packed::layout::Layout;
use service::telemetry::{ReportId, Trace};
use service::{Chain, SharedClock};
use tokio::sync::mpsc;
use wire::{DeploymentId, Opened, Plan, Reason, Sum, SumStatus, Topics};

use super::answers::Signer;
use super::ledger::Ledger;
use super::report::{By, FeederReport, Scale};
use super::rules::{self, Decision, Rules, Taken};
use super::take_result::{Job, TakeResult};
use super::totals::COMMIT_MAX;
use super::verify::verify;
use crate::event::Excerpt;
use crate::keys::keyring::Keyring;
use crate::metrics;
use crate::open::{Slots, decrypt};

/// Groups after which the releases are counted at the latest. Until then the ledger is ahead of its count, and only the
/// totals show that a copy from in between is older.
const COUNT_EVERY: u32 = 16;

/// What taking a sum depends on, apart from keys and plan.
#[derive(Clone, Debug)]
pub(crate) struct TakeSettings {
    pub deployment: DeploymentId,
    pub topics: Topics,
    pub layout: Layout,
    /// Rounding of what leaves the operator, in Wh.
    pub quantum_wh: u64,
    /// Whether decrypted totals are published over MQTT.
    pub publish_totals: bool,
}

/// The only one to decrypt, and to write totals and ledger.
pub(crate) struct SumTaker {
    keyring: Arc<Keyring>,
    ledger: Ledger,
    settings: TakeSettings,
    clock: SharedClock,
    /// Sums that are in the totals and could not be written to the ledger yet. No other is taken before they are.
    owed: Vec<Candidate>,
}

/// A sum on its way to being taken.
struct Candidate {
    taken: Taken,
    report: FeederReport,
    excerpt: Excerpt,
    sum: Sum,
    /// Its place among the jobs of the group.
    index: usize,
}

impl SumTaker {
    pub(crate) fn new(
        keyring: Arc<Keyring>,
        ledger: Ledger,
        settings: TakeSettings,
        clock: SharedClock,
    ) -> Self {
        Self {
            keyring,
            ledger,
            settings,
            clock,
            owed: Vec::new(),
        }
    }

    /// Takes sums until `jobs` is closed and drained. Blocks: give it a thread.
    pub(crate) fn run(mut self, mut jobs: mpsc::Receiver<Job>, results: &mpsc::Sender<TakeResult>) {
        let mut group = Vec::with_capacity(COMMIT_MAX);
        let mut uncounted = 0;
        while jobs.blocking_recv_many(&mut group, COMMIT_MAX) > 0 {
            for result in self.take(std::mem::take(&mut group)) {
                // If nobody listens the operator is ending; the sum is durable and its next delivery a duplicate.
                let _ = results.blocking_send(result);
            }
            uncounted += 1;
            // Receipts never wait for it, and other sums seldom.
            if jobs.is_empty() || uncounted == COUNT_EVERY {
                uncounted = 0;
                if let Err(error) = self.ledger.count() {
                    tracing::error!(error = %Chain(&error), "cannot write releases.count");
                }
            }
        }
    }

    /// Takes a group of at most [`COMMIT_MAX`] sums. Their results come in their order, after those of earlier groups that
    /// are durable only now.
    pub(crate) fn take(&mut self, jobs: Vec<Job>) -> Vec<TakeResult> {
        let mut results: Vec<Option<TakeResult>> = Vec::with_capacity(jobs.len());
        let mut candidates = Vec::new();
        for (index, job) in jobs.into_iter().enumerate() {
            results.push(match self.consider(job, index, &candidates) {
                Ok(candidate) => {
                    candidates.push(candidate);
                    None
                }
                Err(result) => Some(result),
            });
        }
        let mut done = self.durable_by_now();
        if self.commit(&candidates) {
            for candidate in candidates {
                let index = candidate.index;
                results[index] = Some(self.taken(candidate));
            }
            done.extend(results.into_iter().flatten());
            return done;
        }
        let about = |result: &TakeResult| {
            let mut sums = candidates.iter().map(|candidate| &candidate.sum);
            sums.any(|sum| result.is_about(sum))
        };
        // What was judged against a sum of this group has to be judged again.
        done.extend(results.into_iter().map(|result| match result {
            Some(result) if !about(&result) => result,
            _ => TakeResult::Deferred,
        }));
        if self.ledger.owes() {
            self.owed.extend(candidates);
        }
        done
    }

    /// Verifies, judges and decrypts a sum. `before` are those of the group that are to be taken before it.
    fn consider(
        &mut self,
        job: Job,
        index: usize,
        before: &[Candidate],
    ) -> Result<Candidate, TakeResult> {
        let opened = self.verified(&job)?;
        let sum = &opened.message;
        tracing::debug!(trace_id = %self.trace(sum), sum = %ReportId(&opened.digest), "received");
        let rules = Rules {
            plan: &job.plan,
            max_contributors: self.keyring.profile().max_contributors(),
            enrolled: job.enrolled,
        };
        let window = self.window(sum, before)?;
        let report = match rules::judge(&window, sum, &opened.digest, &rules) {
            Decision::Take => self.report(&opened, &job.plan),
            Decision::Duplicate => {
                let message = self
                    .signer()
                    .receipt(sum, opened.digest, SumStatus::Duplicate);
                return Err(TakeResult::Duplicate {
                    sum: Box::new(opened.message),
                    message,
                });
            }
            Decision::Reject(reason) => Err(reason),
        };
        let report = report.map_err(|reason| self.rejected(&opened, reason))?;
        Ok(Candidate {
            taken: Taken::of(sum, &opened.digest),
            report,
            excerpt: Excerpt::of(&opened.limbs),
            sum: opened.message,
            index,
        })
    }

    /// A sum that can be trusted to come from the feeder's analytics service. No other gets an answer.
    fn verified(&self, job: &Job) -> Result<Opened<Sum>, TakeResult> {
        let start = Instant::now();
        let opened = verify(job, &self.settings.deployment, &self.settings.topics);
        let opened = opened.map_err(|(window, reason)| TakeResult::Rejected {
            feeder: job.feeder.clone(),
            window,
            reason,
            message: None,
        })?;
        metrics::verified(start.elapsed());
        Ok(opened)
    }

    fn rejected(&self, opened: &Opened<Sum>, reason: Reason) -> TakeResult {
        let sum = &opened.message;
        let status = SumStatus::Rejected(reason);
        TakeResult::Rejected {
            feeder: sum.feeder.clone(),
            window: Some((sum.window, sum.part)),
            reason,
            message: Some(self.signer().receipt(sum, opened.digest, status)),
        }
    }

    /// What was taken of the window of `sum`, and what is to be taken `before` it.
    fn window(&mut self, sum: &Sum, before: &[Candidate]) -> Result<Vec<Taken>, TakeResult> {
        let mut window = self.ledger.window(&sum.feeder, sum.window).map_err(|error| {
            metrics::commit_failed();
            tracing::error!(error = %Chain(&error), "no release is taken until the ledger can be used");
            TakeResult::Deferred
        })?;
        let before = before.iter().map(|candidate| &candidate.taken);
        window.extend(before.filter(|taken| taken.is_of_window(sum)).cloned());
        Ok(window)
    }

    /// Decrypts a sum. The report has rounded values only.
    fn report(&self, opened: &Opened<Sum>, plan: &Plan) -> Result<FeederReport, Reason> {
        let start = Instant::now();
        let sum = &opened.message;
        let feeder = plan
            .feeder(&sum.feeder, sum.window)
            .ok_or(Reason::UnknownFeeder)?;
        let slots = Slots {
            layout: self.settings.layout,
            batch: plan.batch,
            reference_wh: feeder.reference_wh,
        };
        let totals = decrypt(opened, &slots, &self.keyring)?;
        let scale = Scale {
            profile: self.keyring.profile(),
            interval_s: plan.interval_s,
            reference_wh: feeder.reference_wh,
            quantum_wh: self.settings.quantum_wh,
        };
        let by = By {
            operator: self.keyring.name(),
            taken_at: self.clock.now(),
        };
        let report = FeederReport::new(sum, &opened.digest, &totals, &scale, &by);
        metrics::decrypted(start.elapsed());
        tracing::debug!(trace_id = %self.trace(sum), sum = %ReportId(&opened.digest), contributors = sum.contributors, "decrypted");
        Ok(report)
    }

    fn signer(&self) -> Signer<'_> {
        Signer {
            deployment: &self.settings.deployment,
            topics: &self.settings.topics,
            key: self.keyring.signing(),
        }
    }

    fn trace<'a>(&'a self, sum: &'a Sum) -> Trace<'a> {
        Trace {
            deployment: &self.settings.deployment,
            feeder: &sum.feeder,
            window: sum.window,
        }
    }
}

#[cfg(test)]
mod tests;
