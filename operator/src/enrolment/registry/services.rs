//! Analytics services in the plan.

use service::failpoint;
use wire::{AnalyticsEnrol, AnalyticsEntry, FeederId, Owners};

use super::Registry;
use crate::enrolment::analytics::{AnalyticsRefused, check_analytics};
use crate::enrolment::message::EnrolmentRequest;

impl Registry {
    /// Whether a request is for a person to grant even where others are granted at once: an analytics service names a feeder that
    /// the one for all feeders would have.
    pub(crate) fn needs_a_person(&self, request: &EnrolmentRequest) -> bool {
        let EnrolmentRequest::Analytics(request) = request else {
            return false;
        };
        if failpoint::sabotaged("catch_all") {
            return false;
        }
        let plan = self.plan.plan();
        let own = plan.analytics.iter().find(|known| known.id == request.id);
        let is_own = |feeder: &FeederId| own.is_some_and(|own| own.feeders.contains(feeder));
        let others = plan.analytics.iter().filter(|known| known.id != request.id);
        let others = Owners::of(others);
        let takes = |feeder: &FeederId| !is_own(feeder) && others.named(feeder).is_none();
        others.rest().is_some()
            && request.feeders.iter().any(takes)
            && check_analytics(plan, request).is_ok()
    }

    /// Puts an analytics service into the plan. `Ok(false)` if it was there just so.
    ///
    /// # Errors
    /// [`AnalyticsRefused`]; nothing has changed then.
    pub(crate) fn enrol_analytics(
        &mut self,
        request: &AnalyticsEnrol,
    ) -> Result<bool, AnalyticsRefused> {
        let plan = self.plan.plan();
        let entry = entry(request);
        if plan.analytics.contains(&entry) {
            return Ok(false);
        }
        check_analytics(plan, request)?;
        let is_new = plan.analytics.iter().all(|known| known.id != request.id);
        if is_new && let Err(reason) = self.departures.check_analytics(&request.id, &request.key) {
            let id = request.id.clone();
            return Err(AnalyticsRefused::HasLeft { id, reason });
        }
        self.plan.set_analytics(entry);
        Ok(true)
    }
}

/// How the plan would have a service.
pub(super) fn entry(request: &AnalyticsEnrol) -> AnalyticsEntry {
    let mut feeders = request.feeders.clone();
    feeders.sort();
    feeders.dedup();
    AnalyticsEntry {
        id: request.id.clone(),
        key: request.key,
        feeders,
    }
}
