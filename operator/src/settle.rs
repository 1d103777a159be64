//! Settling sums: verify, judge, decrypt, make durable, and only then answer.
//!
//! This is the blocking half of the operator and runs on a thread of its own. Sums that arrive together are made durable
//! together. One that cannot be verified gets no answer at all: whoever can publish could otherwise name somebody else's
//! sum and have it "rejected" under the operator's signature.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use packed::layout::Layout;
use service::telemetry::{ReportId, Trace};
use service::{Chain, SharedClock, failpoint};
use tokio::sync::mpsc;
use wire::{
    DeploymentId, FeederId, Opened, Part, Plan, Reason, Sum, SumReceipt, SumStatus, Topics, Total,
    WindowStart,
};

use crate::event::Excerpt;
use crate::keyring::Keyring;
use crate::ledger::{COMMIT_MAX, Ledger};
use crate::metrics;
use crate::release::{self, Decision, Rules, Taken};
use crate::report::{By, FeederReport, Scale};

/// Groups after which the releases are counted at the latest. Until then the ledger is ahead of its count, so that an older copy
/// of it from in between would have to be noticed by the totals.
const COUNT_EVERY: u32 = 16;

/// A sum as it arrived on a feeder's topic, with what it is held against.
#[derive(Clone, Debug)]
pub struct Job {
    /// The feeder of the topic.
    pub feeder: FeederId,
    /// The message.
    pub payload: Bytes,
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// Meters enrolled on the feeder.
    pub enrolled: u32,
}

/// What became of a sum.
#[derive(Clone, Debug)]
pub enum Settled {
    /// Taken; the report is durable.
    Taken {
        /// What it says.
        report: Box<FeederReport>,
        /// The beginning of its ciphertext.
        excerpt: Excerpt,
        /// Messages to publish: topic and bytes.
        messages: Vec<(String, Bytes)>,
    },
    /// Taken before.
    Duplicate {
        /// The sum.
        sum: Box<Sum>,
        /// The receipt.
        message: (String, Bytes),
    },
    /// Not taken.
    Rejected {
        /// The feeder of the topic.
        feeder: FeederId,
        /// The window and part it names, if it could be read.
        window: Option<(WindowStart, Part)>,
        /// Why.
        reason: Reason,
        /// The receipt, if the sum was verified.
        message: Option<(String, Bytes)>,
    },
    /// Could not be made durable: no answer, analytics sends it again.
    Deferred,
}

impl Settled {
    /// Whether it answers a release of the feeder and window of `sum`.
    fn is_about(&self, sum: &Sum) -> bool {
        match self {
            Self::Duplicate { sum: other, .. } => {
                other.feeder == sum.feeder && other.window == sum.window
            }
            Self::Rejected { feeder, window, .. } => {
                *feeder == sum.feeder && window.is_some_and(|(window, _)| window == sum.window)
            }
            Self::Taken { .. } | Self::Deferred => false,
        }
    }
}

/// Settings of the settler.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Its topics.
    pub topics: Topics,
    /// Rounding of what leaves the operator, in Wh.
    pub quantum_wh: u64,
    /// Whether totals are published.
    pub publish_totals: bool,
}

/// Takes sums.
pub struct Settler {
    keyring: Arc<Keyring>,
    ledger: Ledger,
    terms: Terms,
    clock: SharedClock,
    operator: String,
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

impl Settler {
    /// A settler that goes on with `ledger`.
    pub fn new(keyring: Arc<Keyring>, ledger: Ledger, terms: Terms, clock: SharedClock) -> Self {
        let operator = keyring.name();
        Self {
            keyring,
            ledger,
            terms,
            clock,
            operator,
        }
    }

    /// Settles sums until `jobs` is closed and drained. Blocks: give it a thread.
    pub fn run(mut self, mut jobs: mpsc::Receiver<Job>, settled: &mpsc::UnboundedSender<Settled>) {
        let mut group = Vec::with_capacity(COMMIT_MAX);
        let mut uncounted = 0;
        while jobs.blocking_recv_many(&mut group, COMMIT_MAX) > 0 {
            for outcome in self.settle(std::mem::take(&mut group)) {
                // If nobody listens the operator is ending; the sum is durable and its next delivery a duplicate.
                let _ = settled.send(outcome);
            }
            uncounted += 1;
            // Receipts never wait for it, and other sums seldom.
            if jobs.is_empty() || uncounted == COUNT_EVERY {
                uncounted = 0;
                if let Err(error) = self.ledger.count() {
                    tracing::error!(error = %Chain(&error), "cannot write down how many releases there are");
                }
            }
        }
    }

    /// Settles a group of at most [`COMMIT_MAX`] sums, in order.
    pub fn settle(&mut self, jobs: Vec<Job>) -> Vec<Settled> {
        let mut outcomes: Vec<Option<Settled>> = Vec::with_capacity(jobs.len());
        let mut candidates = Vec::new();
        for (index, job) in jobs.into_iter().enumerate() {
            outcomes.push(match self.consider(job, index, &candidates) {
                Ok(candidate) => {
                    candidates.push(candidate);
                    None
                }
                Err(outcome) => Some(outcome),
            });
        }
        let durable = self.commit(&candidates);
        if !durable {
            // What was judged against a sum of this group has to be judged again.
            let retracted = |outcome: &Settled| candidates.iter().any(|c| outcome.is_about(&c.sum));
            for outcome in outcomes
                .iter_mut()
                .flatten()
                .filter(|outcome| retracted(outcome))
            {
                *outcome = Settled::Deferred;
            }
        }
        for candidate in candidates {
            let index = candidate.index;
            outcomes[index] = Some(if durable {
                self.taken(candidate)
            } else {
                Settled::Deferred
            });
        }
        outcomes.into_iter().flatten().collect()
    }

    /// Verifies, judges and decrypts a sum. `before` are those of the group that are to be taken before it.
    fn consider(
        &mut self,
        job: Job,
        index: usize,
        before: &[Candidate],
    ) -> Result<Candidate, Settled> {
        let start = Instant::now();
        let opened = match self.verify(&job) {
            Ok(opened) => {
                metrics::verified(start.elapsed());
                opened
            }
            Err((window, reason)) => {
                return Err(Settled::Rejected {
                    feeder: job.feeder,
                    window,
                    reason,
                    message: None,
                });
            }
        };
        tracing::debug!(trace_id = %self.trace(&opened.message), sum = %ReportId(&opened.digest), "received");
        let max_contributors = self.keyring.profile().max_contributors();
        let rules = Rules {
            plan: &job.plan,
            max_contributors,
            enrolled: job.enrolled,
        };
        let window = self.window(&opened.message, before)?;
        let decided = match release::judge(&window, &opened.message, &opened.digest, &rules) {
            Decision::Take => self.decrypt(&opened, &job.plan),
            Decision::Duplicate => {
                let message = self.receipt(&opened.message, opened.digest, SumStatus::Duplicate);
                return Err(Settled::Duplicate {
                    sum: Box::new(opened.message),
                    message,
                });
            }
            Decision::Reject(reason) => Err(reason),
        };
        match decided {
            Ok(report) => {
                let taken = Taken::of(&opened.message, &opened.digest);
                Ok(Candidate {
                    taken,
                    report,
                    excerpt: Excerpt::of(&opened.limbs),
                    sum: opened.message,
                    index,
                })
            }
            Err(reason) => {
                let message =
                    Some(self.receipt(&opened.message, opened.digest, SumStatus::Rejected(reason)));
                let window = Some((opened.message.window, opened.message.part));
                Err(Settled::Rejected {
                    feeder: job.feeder,
                    window,
                    reason,
                    message,
                })
            }
        }
    }

    /// What was taken of the window of `sum`, and what is to be taken `before` it.
    fn window(&mut self, sum: &Sum, before: &[Candidate]) -> Result<Vec<Taken>, Settled> {
        let mut window = self.ledger.window(&sum.feeder, sum.window).map_err(|error| {
            metrics::commit_failed();
            tracing::error!(error = %Chain(&error), "releases are not taken until the ledger can be used");
            Settled::Deferred
        })?;
        let before = before.iter().map(|candidate| &candidate.taken);
        window.extend(before.filter(|taken| taken.is_of_window(sum)).cloned());
        Ok(window)
    }

    /// Checks who sent it. The digest of the limbs is checked with the signature.
    #[allow(
        clippy::type_complexity,
        reason = "a reason and, if it can be read, what it names"
    )]
    fn verify(&self, job: &Job) -> Result<Opened<Sum>, (Option<(WindowStart, Part)>, Reason)> {
        let unverified = wire::decode_shared::<Sum>(&job.payload, job.payload.len())
            .map_err(|error| (None, error.reason()))?;
        let claimed = unverified.claimed();
        let window = Some((claimed.window, claimed.part));
        if claimed.feeder != job.feeder {
            return Err((window, Reason::WrongTopic));
        }
        let owner = job
            .plan
            .analytics_for(&job.feeder)
            .filter(|entry| entry.id == claimed.analytics);
        let key = owner.ok_or((window, Reason::UnknownAnalytics))?.key;
        let topic = self.terms.topics.sum(&job.feeder);
        unverified
            .verify(&self.terms.deployment, &topic, &key)
            .map_err(|error| (window, error.reason()))
    }

    fn decrypt(&self, opened: &Opened<Sum>, plan: &Plan) -> Result<FeederReport, Reason> {
        let start = Instant::now();
        let sum = &opened.message;
        let keys = self.keyring.get(sum.epoch).ok_or(Reason::UnknownEpoch)?;
        let feeder = plan
            .feeder(&sum.feeder, sum.window)
            .ok_or(Reason::UnknownFeeder)?;
        let layout: Layout = plan.layout.as_str().parse().map_err(|_| Reason::NotReady)?;
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(feeder = %sum.feeder, window = %sum.window, part = %sum.part, %error, "a sum does not decrypt");
            Reason::InvalidMessage
        };
        let slots = keys
            .secret
            .decrypt(&opened.limbs)
            .map_err(|error| match error {
                openfhe::Error::Packed(packed::PackError::WrongLength { .. }) => {
                    Reason::WrongLength
                }
                openfhe::Error::Packed(_) => Reason::LimbOutOfRange,
                error => failed(&error),
            })?;
        let profile = self.keyring.profile();
        let greatest =
            f64::from(sum.contributors) + packed::noise::bound(profile, sum.contributors);
        // Every slot of a report is within ±1, so a sum beyond its contributors is not one of this key or these meters.
        if let Some(slot) = slots
            .iter()
            .position(|slot| slot.abs() > greatest || slot.is_nan())
        {
            return Err(failed(&format!(
                "slot {slot} is beyond {} contributors",
                sum.contributors
            )));
        }
        let totals =
            packed::layout::decode(layout, &slots, usize::from(plan.batch), feeder.reference_wh)
                .map_err(|error| failed(&error))?;
        let scale = Scale {
            profile,
            interval_s: plan.interval_s,
            reference_wh: feeder.reference_wh,
            quantum_wh: self.terms.quantum_wh,
        };
        let report = FeederReport::new(sum, &opened.digest, &totals, &scale, &self.by());
        metrics::decrypted(start.elapsed());
        tracing::debug!(trace_id = %self.trace(sum), sum = %ReportId(&opened.digest), contributors = sum.contributors, "decrypted");
        Ok(report)
    }

    fn trace<'a>(&'a self, sum: &'a Sum) -> Trace<'a> {
        Trace {
            deployment: &self.terms.deployment,
            feeder: &sum.feeder,
            window: sum.window,
        }
    }

    fn by(&self) -> By {
        By {
            operator: self.operator.clone(),
            taken_at: self.clock.now(),
        }
    }

    fn commit(&mut self, candidates: &[Candidate]) -> bool {
        if candidates.is_empty() {
            return true;
        }
        let start = Instant::now();
        let reports: Vec<FeederReport> = candidates
            .iter()
            .map(|candidate| candidate.report.clone())
            .collect();
        failpoint::hit("operator.before_record");
        match self.ledger.commit(&reports) {
            Ok(()) => {
                failpoint::hit("operator.after_record");
                metrics::committed(start.elapsed());
                true
            }
            Err(error) => {
                metrics::commit_failed();
                tracing::error!(error = %Chain(&error), releases = candidates.len(), "releases are not taken until they can be written");
                false
            }
        }
    }

    fn taken(&self, candidate: Candidate) -> Settled {
        let Candidate {
            taken,
            report,
            excerpt,
            sum,
            ..
        } = candidate;
        metrics::total(&sum, self.clock.now());
        tracing::info!(
            trace_id = %self.trace(&sum), sum = %ReportId(&taken.digest),
            feeder = %sum.feeder, window = sum.window.0, part = sum.part.0, contributors = sum.contributors,
            "total written"
        );
        let mut messages = vec![self.receipt(&sum, taken.digest, SumStatus::Taken)];
        if self.terms.publish_totals {
            metrics::published();
            messages.push(self.total(&report));
        }
        Settled::Taken {
            report: Box::new(report),
            excerpt,
            messages,
        }
    }

    fn receipt(&self, sum: &Sum, digest: wire::Digest, status: SumStatus) -> (String, Bytes) {
        let (feeder, epoch, window, part) = (sum.feeder.clone(), sum.epoch, sum.window, sum.part);
        let topic = self.terms.topics.sum_receipt(&feeder);
        let receipt = SumReceipt {
            feeder,
            epoch,
            window,
            part,
            digest,
            status,
        };
        let (bytes, _) = wire::seal(
            &receipt,
            None,
            &self.terms.deployment,
            &topic,
            self.keyring.signing(),
        );
        (topic, bytes.into())
    }

    fn total(&self, report: &FeederReport) -> (String, Bytes) {
        let topic = self.terms.topics.total(&report.feeder);
        let total = Total {
            feeder: report.feeder.clone(),
            window: report.window_start,
            part: report.part,
            interval_s: report.interval_s,
            meters: report.meters,
            completeness_ppm: (report.completeness * 1e6).round() as u32,
            energy_wh: report.energy_wh.clone(),
            bound_wh: report.bound_wh.ceil() as u64,
        };
        let (bytes, _) = wire::seal(
            &total,
            None,
            &self.terms.deployment,
            &topic,
            self.keyring.signing(),
        );
        (topic, bytes.into())
    }
}

#[cfg(test)]
mod tests;
