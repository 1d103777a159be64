//! Spending the contributors of sums, looking at what the sums say, making that durable, and what is said of them then.

use std::time::Instant;

use release::churn::Churn;
use service::telemetry::ReportId;
use service::{Chain, failpoint};
use wire::{AreaId, Areas, Plan, Reason, Sum, SumStatus};

use super::refusals::partition_len;
use super::{Candidate, SumTaker, holders, publish};
use crate::metrics;
use crate::open::NotOpened;
use crate::publish::published::Published;
use crate::release::churn;
use crate::release::ledger::{LedgerError, Spent};
use crate::release::opening::Opening;
use crate::release::refused::Refused;
use crate::release::report::{By, FeederReport, Scale};
use crate::release::take_result::TakeResult;
use crate::search::collect::Judged;

/// What a spent sum turned out to be.
enum Verdict {
    Released(Box<FeederReport>, Option<Churn>),
    /// It did not open; the flag says whether a search may refuse more under its key.
    Failed(Box<Refused>, bool),
    /// The refusals of its key epoch ran out in this group: it is not looked at.
    KeySpent,
}

impl SumTaker {
    /// What became of sums of earlier groups, if the ledger has it by now.
    pub(super) fn durable_by_now(&mut self) -> Vec<TakeResult> {
        if self.ledger.owes() {
            return Vec::new();
        }
        let durable = std::mem::take(&mut self.owed);
        self.release_noise(durable.iter());
        for result in &durable {
            self.say(result);
        }
        durable
    }

    /// Opens sums, each of another window, and says what became of each.
    pub(super) fn open(&mut self, candidates: Vec<Candidate>) -> Vec<(usize, TakeResult)> {
        let indices: Vec<usize> = candidates.iter().map(|sum| sum.index).collect();
        let start = Instant::now();
        let results = self.spend_and_settle(candidates).unwrap_or_else(|error| {
            metrics::commit_failed();
            tracing::error!(error = %Chain(&error), releases = indices.len(), "no release is taken until totals and ledger can be written");
            let deferred = indices.iter().map(|index| (*index, TakeResult::Deferred));
            deferred.collect()
        });
        if !results.is_empty() {
            metrics::committed(start.elapsed());
        }
        for (_, result) in &results {
            self.say(result);
        }
        results
    }

    fn spend_and_settle(
        &mut self,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<(usize, TakeResult)>, LedgerError> {
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let openings = candidates
            .iter()
            .flat_map(|sum| [&sum.opening].into_iter().chain(&sum.shares));
        let openings: Vec<Opening> = openings.cloned().collect();
        failpoint::hit("operator.before_record");
        let spent = self.ledger.spend(&openings)?;
        failpoint::hit("operator.after_spend");
        let mut released = Vec::new();
        let mut failed = Vec::new();
        let mut results = Vec::new();
        let mut grounds = Vec::new();
        for candidate in candidates {
            let index = candidate.index;
            let verdict = self.verdict(&candidate, &failed, &spent)?;
            match &verdict {
                Verdict::Released(report, _) => {
                    released.push((**report).clone());
                    grounds.push(publish::grounds(&candidate));
                }
                Verdict::Failed(refused, _) => failed.push((**refused).clone()),
                Verdict::KeySpent => {}
            }
            results.push((index, self.result(candidate, verdict)));
        }
        self.add_noise(&mut results, &grounds)?;
        let settled = self.ledger.settle(&released, &failed);
        if self.ledger.owes() {
            self.owed
                .extend(results.drain(..).map(|(_, result)| result));
        }
        settled?;
        failpoint::hit("operator.after_record");
        self.release_noise(results.iter().map(|(_, result)| result));
        Ok(results)
    }

    /// Counts and logs a total that is durable.
    fn say(&self, result: &TakeResult) {
        let TakeResult::Taken {
            sum, report, churn, ..
        } = result
        else {
            return;
        };
        metrics::total(sum, self.clock.now());
        if churn.is_some_and(|churn| churn.is_small(self.settings.release.min_meters)) {
            metrics::small_churn();
        }
        if self.settings.publish_totals {
            metrics::published();
        }
        tracing::info!(
            trace_id = %self.trace(sum), sum = %ReportId(&report.digest),
            feeder = %report.feeder, window = sum.window.0, part = report.part.0, contributors = report.meters,
            joined = churn.map(|churn| churn.joined), left = churn.map(|churn| churn.left),
            "total written"
        );
    }

    /// Looks at a spent sum. `failed` are those of its group that did not open.
    fn verdict(
        &mut self,
        candidate: &Candidate,
        failed: &[Refused],
        spent: &Spent,
    ) -> Result<Verdict, LedgerError> {
        let Candidate { sum, job, .. } = candidate;
        let counted = self.counted(sum, failed)?;
        if !self.may_fail(sum, &job.plan, counted) {
            return Ok(Verdict::KeySpent);
        }
        let totals = match candidate.was_asked {
            true => Err(NotOpened),
            false => candidate.unmasked.totals(spent),
        };
        metrics::decrypted(candidate.started.elapsed());
        self.budget.answered(sum, totals.is_ok());
        let Ok(totals) = totals else {
            let refused = Box::new(self.refused(candidate));
            if refused.divided {
                let parts = partition_len(sum, &job.plan);
                self.budget.divided(sum, parts, self.clock.now());
            }
            if holders::is_final(job) && sum.rest.is_none() {
                self.divided_first.add(&sum.feeder);
            }
            // A search opens what holders have masks on.
            let is_alone = job.plan.terms_for(sum.window).is_none();
            let may_search = is_alone && self.budget.left(sum.epoch, counted.and_one()) > 0;
            return Ok(Verdict::Failed(refused, may_search));
        };
        tracing::debug!(
            trace_id = %self.trace(&candidate.sum), sum = %ReportId(&candidate.opening.digest),
            contributors = candidate.sum.contributors(), "decrypted"
        );
        let encoding = candidate.unmasked.encoding();
        let terms = candidate.job.plan.terms_for(candidate.sum.window);
        let scale = Scale {
            holders: terms.map(|terms| holders::held_by(&candidate.sum, terms, &candidate.job)),
            interval_s: candidate.job.plan.interval_s,
            intervals: (candidate.job.plan.grid())
                .map_or(u16::MAX, |grid| grid.intervals(candidate.sum.window)),
            quantum_wh: encoding.quantum_wh,
            square_unit_wh2: encoding.square_unit_wh2,
            edges: *encoding.shape.edges(),
            reference_wh: encoding.reference_wh,
            enrolled: candidate.job.expected(&candidate.sum),
            part: candidate.opening.part,
            areas: areas(&candidate.sum, &candidate.job.plan),
            rules: self.rules(&candidate.job.plan),
        };
        let digest = &candidate.opening.digest;
        let report = FeederReport::new(&candidate.sum, digest, &totals, &scale, &self.by());
        let churn =
            churn::since_the_window_before(&mut self.ledger, &candidate.sum, &candidate.job.plan)?;
        Ok(Verdict::Released(Box::new(report), churn))
    }

    /// What is written down of a sum that did not open.
    fn refused(&self, candidate: &Candidate) -> Refused {
        let Candidate {
            job, sum, shares, ..
        } = candidate;
        let opening = Opening {
            stage: self.failed(&candidate.opening, sum, job),
            ..candidate.opening.clone()
        };
        Refused::new(opening, shares, job.names(sum), self.by())
    }

    pub(in crate::release) fn by(&self) -> By {
        By {
            operator: self.keyring.name(),
            taken_at: self.clock.now(),
        }
    }

    /// What is said of a sum once what became of it is durable.
    fn result(&self, candidate: Candidate, verdict: Verdict) -> TakeResult {
        let Candidate {
            opening,
            sum,
            excerpt,
            job,
            ..
        } = candidate;
        let digest = &opening.digest;
        match verdict {
            Verdict::Released(report, churn) => {
                let mut messages = vec![self.receipt(&sum, digest, SumStatus::Taken)];
                // Who may read exact totals is not who reads noisy ones: those go to recipients.
                if self.settings.publish_totals && report.noise().is_none() {
                    messages.push(self.signer().total(&report));
                }
                TakeResult::Taken {
                    report,
                    churn,
                    sum: Box::new(sum),
                    excerpt,
                    messages,
                    published: Published::default(),
                }
            }
            Verdict::Failed(refused, has_refusals) if refused.divided => {
                let judged = Judged {
                    sum: sum.clone(),
                    digest: *digest,
                    plan: job.plan,
                    members: job.members,
                };
                TakeResult::Divided {
                    message: self.receipt(&sum, digest, SumStatus::Divide),
                    sum: Box::new(sum),
                    judged: has_refusals.then(|| Box::new(judged)),
                }
            }
            Verdict::Failed(refused, _) => {
                let status = SumStatus::Rejected(Reason::NotOpened);
                TakeResult::Burnt {
                    message: self.receipt(&sum, digest, status),
                    meters: refused.meters,
                    sum: Box::new(sum),
                }
            }
            Verdict::KeySpent => self.rejected(&sum, digest, Reason::KeySpent),
        }
    }
}

/// The areas that a sum counts for: those of its feeder, and of the rest of an area that one and the one around it.
fn areas(sum: &Sum, plan: &Plan) -> Vec<AreaId> {
    let setting = plan.feeder(&sum.feeder, sum.window);
    let areas = setting.and_then(|setting| setting.areas.as_ref());
    let areas = areas.into_iter().flat_map(Areas::iter);
    let is_below = |area: &&AreaId| {
        let rest = sum.rest.as_ref();
        rest.is_some_and(|rest| rest.area != **area)
    };
    areas.skip_while(is_below).cloned().collect()
}
