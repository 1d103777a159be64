//! Making sums durable, and what is said of them then.

use std::time::Instant;

use service::telemetry::ReportId;
use service::{Chain, failpoint};
use wire::SumStatus;

use super::{Candidate, SumTaker};
use crate::metrics;
use crate::release::report::FeederReport;
use crate::release::take_result::TakeResult;

impl SumTaker {
    /// The sums of earlier groups that have reached the ledger since then. They were not announced yet.
    pub(super) fn durable_by_now(&mut self) -> Vec<TakeResult> {
        if self.ledger.owes() {
            return Vec::new();
        }
        let owed = std::mem::take(&mut self.owed);
        owed.into_iter()
            .map(|candidate| self.taken(candidate))
            .collect()
    }

    /// Makes sums durable; `false` if that failed.
    pub(super) fn commit(&mut self, candidates: &[Candidate]) -> bool {
        if candidates.is_empty() {
            return true;
        }
        let start = Instant::now();
        let reports = candidates.iter().map(|candidate| candidate.report.clone());
        let reports: Vec<FeederReport> = reports.collect();
        failpoint::hit("operator.before_record");
        match self.ledger.commit(&reports) {
            Ok(()) => {
                failpoint::hit("operator.after_record");
                metrics::committed(start.elapsed());
                true
            }
            Err(error) => {
                metrics::commit_failed();
                tracing::error!(error = %Chain(&error), releases = candidates.len(), "no release is taken until totals and ledger can be written");
                false
            }
        }
    }

    /// What is said of a sum that is durable.
    pub(super) fn taken(&self, candidate: Candidate) -> TakeResult {
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
        let mut messages = vec![self.signer().receipt(&sum, taken.digest, SumStatus::Taken)];
        if self.settings.publish_totals {
            metrics::published();
            messages.push(self.signer().total(&report));
        }
        TakeResult::Taken {
            report: Box::new(report),
            excerpt,
            messages,
        }
    }
}
