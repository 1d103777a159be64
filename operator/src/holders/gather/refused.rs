//! Sums that too few holders consent to.

use wire::{HolderSet, Reason, Step};

use super::Gathering;
use crate::holders::masks::HolderMasks;
use crate::release::take_result::Job;

impl Gathering {
    /// A holder said no, at this step and for good.
    pub(crate) fn refuse(&mut self, place: usize, reason: Reason) {
        self.refused = HolderSet::of(self.refused.iter().chain([place]));
        self.reasons.insert(place, reason);
    }

    /// Whether so many say that what may be given away is spent that they cannot all lie. Then the sum has no total ever; what else
    /// holders refuse for they may come to think otherwise of.
    fn is_spent(&self) -> bool {
        let spent = self.reasons.values();
        let spent = spent.filter(|reason| **reason == Reason::BudgetSpent);
        self.terms.noise.is_some() && spent.count() >= usize::from(self.terms.threshold)
    }

    /// The job, to be refused, if that is final.
    pub(crate) fn job_refused(&self) -> Option<Job> {
        let masks = self.job.masks.clone().filter(|_| self.is_spent())?;
        Some(Job {
            masks: Some(HolderMasks {
                refused: Some(Reason::BudgetSpent),
                ..masks
            }),
            ..self.job.clone()
        })
    }

    /// Whether so many refuse for good that the others are too few, and it is known whether that is final.
    pub(crate) fn is_refused(&self) -> bool {
        let left = self.terms.holders.len() - self.refused.len();
        let too_few = self.step == Step::Consent && left < usize::from(self.terms.consents);
        // One that says so alone may lie: it is known once the others have answered.
        let mut reasons = self.reasons.values();
        let may_be_final =
            self.terms.noise.is_some() && reasons.all(|reason| *reason == Reason::BudgetSpent);
        too_few && (self.is_spent() || !may_be_final || self.silent().iter().next().is_none())
    }
}
