//! The plan as it concerns this service: which feeders are its own, and which it is giving up.
//!
//! A feeder is handed over in two steps, each signed by the service that takes it. The owner is started with an
//! `analytics.feeders` that leaves the feeder out. The plan still gives it the feeder, so it *drains* it: it opens no window
//! of it, and what it has open closes by the usual rules. Once every release is settled it asks the operator for the
//! shorter list. Only then may another service have the feeder.

use std::collections::BTreeSet;

use service::config::Settings;
use wire::{AnalyticsEntry, AnalyticsId, FeederId, Owners, Plan, VerifyingKey};

/// A plan and what it assigns to one analytics service.
#[derive(Debug, Clone)]
pub struct AssignedPlan {
    /// The plan.
    pub plan: Plan,
    id: AnalyticsId,
    owners: Owners,
}

impl AssignedPlan {
    /// The plan as it concerns the service `id`.
    #[must_use]
    pub fn new(plan: Plan, id: AnalyticsId) -> Self {
        Self {
            owners: Owners::of(&plan.analytics),
            plan,
            id,
        }
    }

    /// Whether this service adds for the feeder.
    #[must_use]
    pub fn owns(&self, feeder: &FeederId) -> bool {
        self.owner(feeder) == Some(&self.id)
    }

    /// The service that adds for the feeder.
    #[must_use]
    pub fn owner(&self, feeder: &FeederId) -> Option<&AnalyticsId> {
        self.owners.owner(feeder)
    }

    /// Whether the plan names this service with its `key`.
    pub(crate) fn is_enrolled(&self, key: &VerifyingKey) -> bool {
        self.entry().is_some_and(|entry| entry.key == *key)
    }

    fn entry(&self) -> Option<&AnalyticsEntry> {
        let entries = &self.plan.analytics;
        entries.iter().find(|entry| entry.id == self.id)
    }

    /// The feeders that the plan gives this service and the `configured` list leaves out.
    pub(crate) fn leaving(&self, configured: &[FeederId]) -> BTreeSet<FeederId> {
        if configured.is_empty() {
            return BTreeSet::new();
        }
        let kept: BTreeSet<_> = configured.iter().collect();
        let planned = self.plan.feeders.iter().map(|setting| &setting.feeder);
        planned
            .filter(|feeder| !kept.contains(feeder) && self.owns(feeder))
            .cloned()
            .collect()
    }

    /// The list of feeders to ask for, if the plan has another than the `configured` one; `drained`: nothing is open or
    /// unsettled of those that are to be given up.
    ///
    /// What another service still has is asked for last: the operator refuses a request with one such feeder as a whole, and
    /// those that are to be given up must not wait for that.
    pub(crate) fn request(
        &self,
        key: &VerifyingKey,
        configured: &[FeederId],
        drained: bool,
    ) -> Option<Vec<FeederId>> {
        let wanted: BTreeSet<_> = configured.iter().cloned().collect();
        let entry = match self.entry().filter(|entry| entry.key == *key) {
            Some(entry) => entry.feeders.iter().cloned().collect(),
            None => return Some(wanted.into_iter().collect()),
        };
        if wanted == entry || !(drained || self.leaving(configured).is_empty()) {
            return None;
        }
        let is_free = |feeder: &&FeederId| match self.owners.owner(feeder) {
            Some(owner) => *owner == self.id,
            None => true,
        };
        let free: BTreeSet<_> = wanted.iter().filter(is_free).cloned().collect();
        let first = match free.is_empty() || free == entry {
            true => wanted,
            false => free,
        };
        Some(first.into_iter().collect())
    }
}

/// The feeders whose reports a service listens to: the configured ones and, while it drains, those that the plan gives it,
/// too. Empty: all.
pub(crate) fn listened(settings: &Settings, plan: Option<&AssignedPlan>) -> Vec<FeederId> {
    let configured = &settings.analytics.feeders;
    let planned = plan.and_then(AssignedPlan::entry);
    let planned = planned.map_or(configured, |entry| &entry.feeders);
    if configured.is_empty() || planned.is_empty() {
        return Vec::new();
    }
    let all: BTreeSet<_> = configured.iter().chain(planned).cloned().collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    fn plan_for(feeders: &[&str]) -> Plan {
        let setting = |feeder: &&str| wire::FeederPlan {
            feeder: feeder.parse().unwrap(),
            reference_wh: 1 << 16,
            since: wire::PlanVersion(1),
            first_window: wire::WindowStart(0),
        };
        Plan {
            deployment: "dev".parse().unwrap(),
            version: wire::PlanVersion(1),
            interval_s: 3600,
            batch: 1,
            layout: "profile".parse().unwrap(),
            profile: "additive".parse().unwrap(),
            min_meters: 15,
            feeders: feeders.iter().map(setting).collect(),
            epochs: Vec::new(),
            analytics: Vec::new(),
        }
    }

    fn ids(names: &[&str]) -> Vec<FeederId> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn key(seed: u8) -> VerifyingKey {
        wire::SigningKey::from_bytes(&[seed; 32]).verifying_key()
    }

    /// A plan with feeders a, b and c; each service with its feeders. This service is `one`.
    fn plan(services: &[(&str, &[&str])]) -> AssignedPlan {
        let mut plan = plan_for(&["a", "b", "c"]);
        plan.analytics = services
            .iter()
            .map(|(id, feeders)| AnalyticsEntry {
                id: id.parse().unwrap(),
                key: key(1),
                feeders: ids(feeders),
            })
            .collect();
        AssignedPlan::new(plan, "one".parse().unwrap())
    }

    #[test]
    fn a_list_that_leaves_out_what_the_plan_gives_drains_it() {
        let leaving = |plan: &AssignedPlan, configured: &[&str]| -> Vec<FeederId> {
            plan.leaving(&ids(configured)).into_iter().collect()
        };
        let catch_all = plan(&[("one", &[]), ("two", &["c"])]);
        assert_eq!(leaving(&catch_all, &["b"]), ids(&["a"]));
        assert_eq!(leaving(&catch_all, &["a", "b"]), []);
        assert_eq!(leaving(&catch_all, &[]), []);
        let named = plan(&[("one", &["a", "c"]), ("two", &[])]);
        assert_eq!(leaving(&named, &["c"]), ids(&["a"]));
        assert_eq!(leaving(&named, &["none"]), ids(&["a", "c"]));
        // Adding for the rest again gives nothing up.
        assert_eq!(leaving(&named, &[]), []);
    }

    #[test]
    fn a_changed_list_is_asked_for_once_what_it_leaves_out_is_drained() {
        let catch_all = plan(&[("one", &[])]);
        let ask = |plan: &AssignedPlan, configured: &[&str], drained| {
            plan.request(&key(1), &ids(configured), drained)
        };
        assert_eq!(ask(&catch_all, &[], true), None);
        assert_eq!(ask(&catch_all, &["b", "c"], false), None);
        assert_eq!(ask(&catch_all, &["c", "b"], true), Some(ids(&["b", "c"])));
        // The plan names no such service, or its name with another key.
        assert_eq!(
            ask(&plan(&[("two", &[])]), &["a"], false),
            Some(ids(&["a"]))
        );
        let other = catch_all.request(&key(2), &ids(&["a"]), false);
        assert_eq!(other, Some(ids(&["a"])));
        // More feeders, in another order, or all of the rest: nothing is to be drained.
        let named = plan(&[("one", &["a"])]);
        assert_eq!(ask(&named, &["b", "a"], false), Some(ids(&["a", "b"])));
        assert_eq!(ask(&named, &[], false), Some(Vec::new()));
        // What another service has is asked for after the rest was given up.
        let others = plan(&[("one", &["a", "b"]), ("two", &["c"])]);
        assert_eq!(ask(&others, &["b", "c"], true), Some(ids(&["b"])));
        let given_up = plan(&[("one", &["b"]), ("two", &["c"])]);
        assert_eq!(ask(&given_up, &["b", "c"], true), Some(ids(&["b", "c"])));
    }

    #[test]
    fn it_listens_to_what_it_drains_too() {
        let mut settings = Settings::defaults();
        settings.analytics.feeders = ids(&["b"]);
        assert_eq!(listened(&settings, None), ids(&["b"]));
        let named = plan(&[("one", &["a"])]);
        assert_eq!(listened(&settings, Some(&named)), ids(&["a", "b"]));
        let catch_all = plan(&[("one", &[])]);
        assert_eq!(listened(&settings, Some(&catch_all)), []);
    }
}
