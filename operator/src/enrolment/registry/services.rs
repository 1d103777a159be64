//! Analytics services in the plan.

use service::failpoint;
use wire::{AnalyticsEnrol, AnalyticsEntry, AnalyticsId, FeederId, Owners, Plan, PoolEntry};

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
        let others = Owners::besides(plan, &request.id);
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
        if has(plan, request) {
            return Ok(false);
        }
        check_analytics(plan, request)?;
        let is_new = plan.service_key(&request.id).is_none();
        if is_new && let Err(reason) = self.departures.check_analytics(&request.id, &request.key) {
            let id = request.id.clone();
            return Err(AnalyticsRefused::HasLeft { id, reason });
        }
        match &request.pool {
            Some(pool) => self.plan.add_member(member(pool, request)),
            None => self.plan.set_analytics(entry(request)),
        }
        Ok(true)
    }
}

/// Whether the plan has a service just as it asks.
pub(super) fn has(plan: &Plan, request: &AnalyticsEnrol) -> bool {
    match &request.pool {
        Some(pool) => plan.pool.contains(&member(pool, request)),
        None => plan.analytics.contains(&entry(request)),
    }
}

fn member(pool: &AnalyticsId, request: &AnalyticsEnrol) -> PoolEntry {
    PoolEntry {
        pool: pool.clone(),
        analytics: request.id.clone(),
        key: request.key,
    }
}

/// How the plan would have a service of its own.
fn entry(request: &AnalyticsEnrol) -> AnalyticsEntry {
    let mut feeders = request.feeders.clone();
    feeders.sort();
    feeders.dedup();
    AnalyticsEntry {
        id: request.id.clone(),
        key: request.key,
        feeders,
    }
}
