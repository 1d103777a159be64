//! Pages of the roster: which of them this holder takes, and which it countersigns.

use std::collections::BTreeMap;

use service::trust::countersigned;
use service::{failpoint, warn_limited};
use wire::{Countersignature, Reason, RosterPage, Terms, Topic};

use crate::answers::{Answers, Outgoing};
use crate::roster::Change;
use crate::{HolderError, metrics};

/// Pages that are still to be taken: the newest of each number that came before the plan, or with too few countersignatures.
#[derive(Debug, Default)]
pub(crate) struct Waiting(BTreeMap<u16, RosterPage>);

impl Answers {
    /// Takes a page that the operator published: with as many countersignatures as a sum takes consents, of a later version than what
    /// this holder took or countersigned of it before, or with nothing new in it.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub(crate) fn take_page(
        &mut self,
        page: RosterPage,
        waiting: &mut Waiting,
    ) -> Result<Result<(), Reason>, HolderError> {
        let place = (&self.deployment, &self.topics);
        let terms = self.newest_terms();
        let version = terms
            .and_then(|terms| countersigned(&page, page.entries_digest(), terms, place))
            .or_else(|| failpoint::sabotaged("countersigned").then_some(page.version));
        // What nobody countersigned is compared all the same: with nothing new in it, there is nothing to wait for.
        let change = match self.roster.compare(&page, version.unwrap_or(u64::MAX)) {
            Ok(change) => change,
            Err(reason) => return Ok(Err(reason)),
        };
        if version.is_none() && !change.is_known() {
            // With a plan that has no holders nothing is asked of this one.
            let reason = match terms {
                None => Reason::NotReady,
                Some(_) => Reason::NotCountersigned,
            };
            waiting.0.insert(page.page, page);
            return Ok(Err(reason));
        }
        waiting.0.remove(&page.page);
        if version.is_some() {
            self.enrol(change)?;
        }
        Ok(Ok(()))
    }

    /// Looks once more at what could not be taken, under a new plan.
    pub(crate) fn take_waiting(&mut self, waiting: &mut Waiting) -> Result<(), HolderError> {
        for page in std::mem::take(&mut waiting.0).into_values() {
            let number = page.page;
            if let Err(reason) = self.take_page(page, waiting)? {
                tracing::debug!(%reason, page = number, "a page of the roster still waits");
            }
        }
        Ok(())
    }

    /// Countersigns a page that the operator proposed, if nothing that this holder knows speaks against it and `is_approved` says so
    /// of what is new in it. What is countersigned is known from then on: another meter never gets the same number from this holder, and no
    /// earlier state of the page counts here again.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub(crate) fn countersign(
        &mut self,
        page: &RosterPage,
        is_approved: impl FnOnce(&RosterPage, &Change) -> bool,
    ) -> Result<Result<Outgoing, Reason>, HolderError> {
        let Some(terms) = self.newest_terms().map(Terms::digest) else {
            return Ok(Err(Reason::NotReady));
        };
        if !self.parts.contains_key(&terms) {
            return Ok(Err(Reason::UnknownTerms));
        }
        let change = match self.roster.compare(page, page.version) {
            Ok(change) => change,
            Err(reason) => return Ok(Err(reason)),
        };
        if !change.is_known() && !is_approved(page, &change) {
            return Ok(Err(Reason::NotReady));
        }
        self.enrol(change)?;
        metrics::countersigned();
        let message = Countersignature {
            holder: self.id.clone(),
            terms,
            page: page.page,
            version: page.version,
            entries: page.entries_digest(),
        };
        let topic = self.topics.of(&Topic::Countersignature {
            holder: self.id.clone(),
        });
        Ok(Ok(self.signed(&message, topic)))
    }

    fn enrol(&mut self, change: Change) -> Result<(), HolderError> {
        let feeders = self.roster.take(change, &mut self.ledger)?;
        for part in self.parts.values() {
            self.pads.expect(part, feeders.iter());
        }
        metrics::meters(self.roster.len());
        Ok(())
    }

    /// The terms that the roster is countersigned under, from the plan.
    fn newest_terms(&self) -> Option<&Terms> {
        let agreements = &self.held.as_ref()?.plan.holders;
        agreements.last().map(|agreement| &agreement.terms)
    }
}

pub(crate) fn say_refused(page: u16, reason: Reason) {
    metrics::rejected(reason);
    match reason {
        Reason::Conflict => {
            warn_limited!(
                reason = reason; page,
                "a page of the roster contradicts what this holder has countersigned, or seen countersigned: a number of another meter, \
                 or a meter with another number or other keys"
            );
        }
        reason => warn_limited!(reason = reason; page, "a page of the roster was not taken"),
    }
}

#[cfg(test)]
mod tests;
