//! Sums that too few holders consent to.

use wire::{HolderSet, PrivacyUnit, Reason, Step};

use super::Gathering;
use crate::holders::masks::HolderMasks;
use crate::release::take_result::Job;

impl Gathering {
    /// A holder said no, at this step and for good.
    pub(crate) fn refuse(&mut self, place: usize, reason: Reason) {
        self.refused = HolderSet::of(self.refused.iter().chain([place]));
        self.reasons.insert(place, reason);
    }

    /// Whether what holders refuse a sum with this noise for stays so: what may be given away is spent, or the sum has fewer meters than
    /// household-days need. Of all else they may come to think otherwise.
    fn is_lasting(&self, reason: Reason) -> bool {
        let unit = self.terms.noise.as_ref().map(|noise| noise.unit);
        match reason {
            Reason::BudgetSpent => unit.is_some(),
            Reason::MinMeters => unit == Some(PrivacyUnit::HouseholdDay),
            _ => false,
        }
    }

    /// What so many say that they cannot all lie, if that lasts. Then the sum has no total ever.
    fn lasting(&self) -> Option<Reason> {
        let threshold = usize::from(self.terms.threshold);
        let said = |reason: &Reason| self.reasons.values().filter(|said| *said == reason).count();
        let mut reasons = [Reason::BudgetSpent, Reason::MinMeters].into_iter();
        reasons.find(|reason| self.is_lasting(*reason) && said(reason) >= threshold)
    }

    /// The job, to be refused, if that is final.
    pub(crate) fn job_refused(&self) -> Option<Job> {
        let reason = self.lasting()?;
        Some(Job {
            masks: Some(HolderMasks {
                refused: Some(reason),
                ..self.job.masks.clone()?
            }),
            ..self.job.clone()
        })
    }

    /// Whether so many refuse for good that the others are too few, and it is known whether that is final.
    pub(crate) fn is_refused(&self) -> bool {
        let left = self.terms.holders.len() - self.refused.len();
        let too_few = self.step == Step::Consent && left < usize::from(self.terms.consents);
        // One that says so alone may lie: it is known once the others have answered.
        let may_last = self.reasons.values().all(|reason| self.is_lasting(*reason));
        let is_known = self.lasting().is_some() || !may_last;
        too_few && (is_known || self.silent().iter().next().is_none())
    }
}
