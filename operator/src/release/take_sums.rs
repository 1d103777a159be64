//! Taking sums: verify, judge, decrypt, spend, look, make durable, and only then answer.
//!
//! This is the blocking half of the operator and runs on a thread of its own. Sums that arrive together are made durable
//! together, one of each window at a time: what came before it decides what the next one is. One that cannot be verified
//! gets no answer at all: whoever can publish could otherwise name somebody else's sum and have it "rejected" under the
//! operator's signature.
//!
//! # Layout
//! * [`SumTaker`]: verified, judged, decrypted · `commit`: spent, looked at, made durable, and what is said of it then
//! * `verified`: from whom it is · `run`: on its thread · `order`: one after the other · `refusals`: whether one may fail · `search`: for who spoiled one
//! * `publish`: what recipients get of them · `ahead`: what is done while no sum waits

mod ahead;
mod commit;
mod holders;
mod order;
mod publish;
mod refusals;
mod run;
mod search;
mod verified;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use service::SharedClock;
use service::telemetry::{ReportId, Trace};
use wire::{DeploymentId, Digest, Part, Plan, Reason, Sum, SumStatus, Topics};

use super::answers::Signer;
use super::budget::Budget;
use super::ledger::{Ledger, LedgerError};
use super::opening::Opening;
use super::rules::{self, Decision, Grounds, Rests};
use super::take_result::{Job, TakeResult};
use crate::event::Excerpt;
use crate::keys::keyring::Keyring;
use crate::open::{Opener, Unmasked};
use crate::publish::publisher::Publisher;
use crate::search::book::{SearchBook, Standing};
use crate::setup::latest;
use order::is_of_one_window;

/// What taking a sum depends on, apart from keys and plan.
#[derive(Clone, Debug)]
pub(crate) struct TakeSettings {
    pub deployment: DeploymentId,
    pub topics: Topics,
    /// Sums of a key epoch that may fail to open.
    pub max_refusals: u32,
    /// How far ahead of this machine's clock a window may end.
    pub future_tolerance: Duration,
    /// Whether decrypted totals are published over MQTT.
    pub publish_totals: bool,
    /// The least meters of a sum with noise of holders whose ε is about household-days.
    pub day_min_meters: u32,
    /// Which sums are released; the minimum group is that of the plan.
    pub release: release::Rules,
}

/// The only one to decrypt, and to write totals and ledger.
pub(crate) struct SumTaker {
    keyring: Arc<Keyring>,
    pub(super) opener: Opener,
    pub(super) ledger: Ledger,
    pub(super) settings: TakeSettings,
    pub(super) clock: SharedClock,
    pub(super) budget: Budget,
    /// The searches that are on, and whom they named.
    searches: SearchBook,
    /// What became of sums whose ledger could not be written yet. No other is taken before it is.
    owed: Vec<TakeResult>,
    /// Absent without recipients of noisy totals.
    publisher: Option<Publisher>,
    divided_first: holders::DividedFirst,
    ahead: ahead::Ahead,
    /// The plan of the last job: it says where answers go.
    pub(super) plan: Option<Arc<Plan>>,
}

/// A sum that is decrypted and not looked at yet.
struct Candidate {
    opening: Opening,
    /// Those of the feeders in the rest of an area; the opening stands for the whole.
    shares: Vec<Opening>,
    unmasked: Unmasked,
    /// Its set did not open before: it is not looked at.
    was_asked: bool,
    sum: Sum,
    excerpt: Excerpt,
    job: Job,
    started: Instant,
    /// Its place among the jobs of the group.
    index: usize,
}

/// What became of a job at first.
enum Considered {
    Open(Box<Candidate>),
    /// A sum of its window is to be taken before it.
    Later(Job),
    Done(TakeResult),
}

impl SumTaker {
    pub(crate) fn new(
        keyring: Arc<Keyring>,
        ledger: Ledger,
        settings: TakeSettings,
        clock: SharedClock,
        searches: SearchBook,
    ) -> Self {
        Self {
            opener: Opener::new(keyring.clone(), settings.deployment.clone()),
            keyring,
            ledger,
            budget: Budget::new(settings.max_refusals),
            settings,
            clock,
            searches,
            owed: Vec::new(),
            publisher: None,
            divided_first: holders::DividedFirst::default(),
            ahead: ahead::Ahead::default(),
            plan: None,
        }
    }

    /// Takes a group of at most [`COMMIT_MAX`](super::totals::COMMIT_MAX) sums. Their results come in their order, after those of earlier groups that
    /// are durable only now.
    pub(crate) fn take(&mut self, jobs: Vec<Job>) -> Vec<TakeResult> {
        let mut waiting: Vec<(usize, Job)> = jobs.into_iter().enumerate().collect();
        let mut results: Vec<Option<TakeResult>> = waiting.iter().map(|_| None).collect();
        let mut owed = Vec::new();
        while !waiting.is_empty() {
            let mut candidates = Vec::new();
            let mut later = Vec::new();
            for (index, job) in waiting {
                self.plan = Some(job.plan.clone());
                match self.consider(job, index, &candidates) {
                    Considered::Open(candidate) => candidates.push(*candidate),
                    Considered::Later(job) => later.push((index, job)),
                    Considered::Done(result) => results[index] = Some(result),
                }
            }
            owed.extend(self.durable_by_now());
            for (index, result) in self.open(candidates) {
                results[index] = Some(result);
            }
            waiting = later;
        }
        owed.extend(results.into_iter().flatten());
        owed
    }

    /// Verifies, judges and decrypts a sum. `before` are those of the group that are taken before it.
    fn consider(&mut self, job: Job, index: usize, before: &[Candidate]) -> Considered {
        let started = Instant::now();
        let verified = self.verified(&job);
        let opened = match verified.and_then(|opened| self.not_refused(opened, &job)) {
            Ok(opened) => opened,
            Err(result) => return Considered::Done(result),
        };
        let sum = &opened.message;
        let job = job.of_window(sum.window);
        if before.iter().any(|other| is_of_one_window(&other.sum, sum)) {
            return Considered::Later(job);
        }
        tracing::debug!(trace_id = %self.trace(sum), sum = %ReportId(&opened.digest), "received");
        let (opening, shares, decision) = match self.judge(sum, &opened.digest, &job) {
            Ok(judged) => judged,
            Err(error) => return Considered::Done(holders::not_taken(&error)),
        };
        let reason = match decision {
            Decision::Open | Decision::Burn => {
                let was_asked =
                    decision == Decision::Burn || self.is_divided_first(&opening, sum, &job);
                match self.unmasked(&opened, &job, (&opening, was_asked)) {
                    Ok(Ok(unmasked)) => {
                        return Considered::Open(Box::new(Candidate {
                            opening,
                            shares,
                            unmasked,
                            was_asked,
                            excerpt: Excerpt::of(&opened.limbs),
                            sum: opened.message,
                            job,
                            started,
                            index,
                        }));
                    }
                    Ok(Err(needed)) => return Considered::Done(needed.into()),
                    Err(result) => return Considered::Done(result),
                }
            }
            Decision::Duplicate => {
                let message = self.receipt(sum, &opened.digest, SumStatus::Duplicate);
                let sum = Box::new(opened.message);
                return Considered::Done(TakeResult::Duplicate { sum, message });
            }
            Decision::Divide => {
                let message = self.receipt(sum, &opened.digest, SumStatus::Divide);
                let sum = Box::new(opened.message);
                return Considered::Done(TakeResult::Divided {
                    sum,
                    message,
                    judged: None,
                });
            }
            Decision::Reject(reason) => reason,
        };
        Considered::Done(self.rejected(sum, &opened.digest, reason))
    }

    /// Holds a sum against the rules and what was opened of its window. Returns the openings that it would be, too: the whole, and
    /// the shares of the rest of an area.
    fn judge(
        &mut self,
        sum: &Sum,
        digest: &Digest,
        job: &Job,
    ) -> Result<(Opening, Vec<Opening>, Decision), LedgerError> {
        let counted = self.counted(sum, &[])?;
        let grounds = Grounds {
            plan: &job.plan,
            members: &job.members,
            others: &job.others,
            release: self.rules(&job.plan),
            has_refusals: self.may_fail(sum, &job.plan, counted),
            latest_end: latest(&self.clock, self.settings.future_tolerance),
        };
        if let Some(rest) = &sum.rest {
            let before = self.ledger.rests(&rest.area, sum.window)?;
            let same = before.iter().find(|other| other.digest == *digest);
            let part = same.map_or(Part(before.len() as u16), |same| same.part);
            let (whole, shares) = Opening::of_rest(sum, rest, part, digest);
            let windows = sum
                .shares()
                .map(|share| self.ledger.window(share.feeder, sum.window));
            let windows = windows.collect::<Result<Vec<_>, _>>()?;
            let rests = Rests {
                before: &before,
                windows: &windows,
            };
            let decision = rules::judge_rest(rests, (sum, rest), &whole, &grounds);
            return Ok((whole, shares, self.beside_bills(decision, sum, job)?));
        }
        let asked = Opening::of(sum, digest);
        let window = self.ledger.window(&sum.feeder, sum.window)?;
        let decision = self.beside_bills(rules::judge(&window, sum, &asked, &grounds), sum, job)?;
        let decision = match self.searches.standing(sum, job.plan.min_meters) {
            Standing::Searched if decision.takes() => Decision::Reject(Reason::NotReady),
            // It is not opened, so it costs no refusal.
            Standing::Spoilt if decision.takes() => Decision::Divide,
            _ => decision,
        };
        Ok((asked, Vec::new(), decision))
    }

    /// The rules of release under a plan.
    pub(super) fn rules(&self, plan: &Plan) -> release::Rules {
        release::Rules {
            min_meters: plan.min_meters,
            ..self.settings.release
        }
    }

    fn receipt(&self, sum: &Sum, digest: &Digest, status: SumStatus) -> (String, Bytes) {
        self.signer().receipt(sum, *digest, status)
    }

    pub(super) fn signer(&self) -> Signer<'_> {
        Signer {
            deployment: &self.settings.deployment,
            topics: &self.settings.topics,
            key: self.keyring.signing(),
            plan: self.plan.as_deref(),
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
