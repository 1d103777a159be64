//! What recipients get of sums that were taken: noisy totals.

use std::path::Path;

use privacy::day;
use wire::{Reason, Sum};

use super::{Candidate, SumTaker};
use crate::error::OperatorError;
use crate::publish::publisher::{Grounds, Publisher};
use crate::publish::recipients::Recipients;
use crate::release::ledger::LedgerError;
use crate::release::take_result::TakeResult;

impl SumTaker {
    /// With recipients, if there are any, whose files are beside `totals_file`.
    ///
    /// # Errors
    /// The ledger, or the file of a recipient, cannot be read.
    pub(crate) fn publishing(
        mut self,
        recipients: Recipients,
        totals_file: &Path,
    ) -> Result<Self, OperatorError> {
        self.publisher = match recipients.is_empty() {
            true => None,
            false => Some(Publisher::open(recipients, totals_file, &mut self.ledger)?),
        };
        Ok(self)
    }

    /// Adds noisy totals to results, of which the taken ones have these grounds, in their order.
    pub(super) fn add_noise(
        &mut self,
        results: &mut [(usize, TakeResult)],
        grounds: &[Grounds],
    ) -> Result<(), LedgerError> {
        let Some(publisher) = &mut self.publisher else {
            return Ok(());
        };
        let reports = results.iter().filter_map(|(_, result)| match result {
            TakeResult::Taken { report, .. } => Some(&**report),
            _ => None,
        });
        let sums: Vec<_> = reports.zip(grounds.iter().copied()).collect();
        let mut drawn = publisher.draw(&mut self.ledger, &sums)?.into_iter();
        for (_, result) in results {
            if let TakeResult::Taken {
                published,
                messages,
                ..
            } = result
            {
                *published = drawn.next().unwrap_or_default();
                if self.settings.publish_totals {
                    let totals = published
                        .lines
                        .iter()
                        .filter_map(|stored| stored.line.message());
                    messages.extend(totals.map(|total| self.signer().noisy_total(&total)));
                }
            }
        }
        Ok(())
    }

    /// The recipients of a sum are told that it is refused, if that is because of the noise that holders would add.
    ///
    /// # Errors
    /// They could not be told: the sum may not be refused yet.
    pub(super) fn say_refused(&mut self, sum: &Sum, reason: Reason) -> Result<(), LedgerError> {
        match &mut self.publisher {
            Some(publisher) => publisher.refuse(&mut self.ledger, sum, reason),
            None => Ok(()),
        }
    }

    /// The exact totals of these results are durable: their noisy ones go into the recipients' files.
    pub(super) fn release_noise<'a>(&mut self, results: impl Iterator<Item = &'a TakeResult>) {
        let Some(publisher) = &mut self.publisher else {
            return;
        };
        publisher.release(results.filter_map(|result| match result {
            TakeResult::Taken { published, .. } => Some(published),
            _ => None,
        }));
    }
}

/// What the noise of a sum depends on: the capacity classes in the roster, and the feeder's setting.
pub(super) fn grounds(candidate: &Candidate) -> Grounds {
    let Candidate {
        job, sum, unmasked, ..
    } = candidate;
    let encoding = unmasked.encoding();
    let (interval_s, quantum_wh) = (job.plan.interval_s, encoding.quantum_wh);
    let capacity = |number| Some(job.members.get(number)?.capacity.watts().0);
    // No reading enters as more than the reference, whoever it is of.
    let most = 2 * (encoding.reference_wh / quantum_wh.max(1));
    let widest = sum
        .set
        .iter()
        .map(capacity)
        .try_fold(0, |most, watts| Some(watts?.max(most)));
    let sensitivity = widest.map_or(most, |watts: u64| {
        privacy::sensitivity(watts, interval_s, quantum_wh).min(most)
    });
    Grounds {
        sensitivity,
        day: day(&job.plan),
    }
}
