//! The roster goes to the holders before it is published.

use bytes::Bytes;
use tokio::time::Instant;
use wire::{HolderId, Reason, Terms};

use super::EventLoop;
use crate::event::Event;
use crate::holders::countersign;
use crate::metrics;
use crate::plan::publish::Item;

impl EventLoop {
    /// The terms that the roster is countersigned under: the newest, so that meters are known when they come to hold.
    fn countersigners(&self) -> Option<Terms> {
        let plan = self.enrolment.registry.plan.plan();
        plan.holders.last().map(|agreement| agreement.terms.clone())
    }

    /// Takes out of `items` what has to wait for countersignatures, proposes the pages that lack some, and looks again soon.
    pub(super) fn hold_roster(&mut self, items: &mut Vec<Item>) {
        let Some(terms) = self.countersigners() else {
            return;
        };
        if items.iter().all(|item| *item == Item::Plan) {
            return;
        }
        let registry = &mut self.enrolment.registry;
        let roster = &mut registry.roster;
        let lacking = roster.lacking(&terms);
        metrics::pages_uncountersigned(lacking.len());
        if lacking.is_empty() {
            return;
        }
        let proposed = lacking
            .iter()
            .filter_map(|page| roster.proposed(*page, &self.keyring));
        self.holders.propose(proposed.collect());
        let held: Vec<_> = items.extract_if(.., |item| *item != Item::Plan).collect();
        self.schedule.postpone(held, Instant::now());
    }

    /// Says for whom sums wait.
    pub(super) fn say_who_is_awaited(&mut self) {
        let awaited = self.holders.awaited();
        let (sums, holders) = awaited.unwrap_or_default();
        let awaited = (sums, holders.into_iter().cloned().collect());
        if self.hints.awaited != awaited {
            let (sums, holders) = awaited.clone();
            self.observer.tell(Event::HoldersAwaited { sums, holders });
            self.hints.awaited = awaited;
        }
        let (sums, holders) = &self.hints.awaited;
        if *sums > 0 {
            let holders: Vec<_> = holders.iter().map(HolderId::as_str).collect();
            service::warn_limited!(
                reason = Reason::NotConsented;
                sums, holders = holders.join(", "), "sums wait for holders that do not answer"
            );
        }
    }

    /// A holder countersigned a page.
    pub(super) fn countersigned(&mut self, holder: &HolderId, payload: &Bytes) {
        let Some(terms) = self.countersigners() else {
            return;
        };
        let registry = &mut self.enrolment.registry;
        let deployment = registry.plan.plan().deployment.clone();
        let place = (&deployment, &self.topics);
        let taken = countersign::read(payload, holder, &terms, place);
        let taken = taken.and_then(|(message, signed)| {
            match registry.roster.countersign(&message, signed) {
                true => Ok(()),
                // The page has changed since.
                false => Err(Reason::LowerVersion),
            }
        });
        if let Err(reason) = taken {
            metrics::holder_rejected(reason);
            service::warn_limited!(reason = reason; holder = %holder, "a countersignature was not taken");
        }
    }
}
