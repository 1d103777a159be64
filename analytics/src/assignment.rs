//! The plan as it concerns this service: which feeders are its own, and which it is giving up.
//!
//! A feeder is handed over in two steps, each signed by the service that takes it. The owner is started with an
//! `analytics.feeders` that leaves the feeder out. The plan still gives it the feeder, so it *drains* it: it opens no window
//! of it, and what it has open closes by the usual rules. Once every release is settled it asks the operator for the
//! shorter list. Only then may another service have the feeder.

use std::collections::BTreeSet;
use std::sync::Arc;

use service::config::Settings;
use service::trust::{HeldPlan, MinMeters};

use crate::windows::AreaFeeders;
use wire::{AnalyticsEntry, AnalyticsId, FeederId, Owners, Plan, VerifyingKey};

/// A plan and what it assigns to one analytics service.
#[derive(Debug, Clone)]
pub struct AssignedPlan {
    /// The plan.
    pub(crate) held: Arc<HeldPlan>,
    /// The minimum group, window by window.
    pub(crate) min_meters: MinMeters,
    /// The feeders that are in areas.
    pub(crate) in_areas: Arc<AreaFeeders>,
    id: AnalyticsId,
    /// The pool that it is to be a member of, if it is to be of one.
    pool: Option<AnalyticsId>,
    owners: Owners,
}

impl AssignedPlan {
    /// The plan as it concerns the service `id`, with one minimum group for every window.
    #[must_use]
    pub fn new(held: Arc<HeldPlan>, id: AnalyticsId) -> Self {
        Self {
            min_meters: MinMeters::of_plan(&held.plan),
            owners: Owners::of(&held.plan),
            pool: None,
            in_areas: Arc::new(AreaFeeders::of(&held.plan)),
            held,
            id,
        }
    }

    /// As it concerns a member of a pool.
    #[must_use]
    pub fn in_pool(self, pool: Option<AnalyticsId>) -> Self {
        Self { pool, ..self }
    }

    /// As it concerns the service of these settings.
    pub(crate) fn of(held: Arc<HeldPlan>, settings: &Settings) -> Self {
        let analytics = &settings.analytics;
        Self::new(held, analytics.id.clone()).in_pool(analytics.pool.clone())
    }

    /// With the minimum groups that plans had before.
    pub(crate) fn with_min_meters(self, min_meters: MinMeters) -> Self {
        Self { min_meters, ..self }
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.held.plan
    }

    /// Whether this service adds for the feeder.
    #[must_use]
    pub fn owns(&self, feeder: &FeederId) -> bool {
        self.owner(feeder) == Some(self.owner_here())
    }

    /// The owner that this service speaks for: itself, or its pool.
    fn owner_here(&self) -> &AnalyticsId {
        self.pool.as_ref().unwrap_or(&self.id)
    }

    /// The service that adds for the feeder.
    pub(crate) fn owner(&self, feeder: &FeederId) -> Option<&AnalyticsId> {
        self.owners.owner(feeder)
    }

    /// Whether this service adds for the feeder; if not, who does, in words.
    pub(crate) fn check_owner(&self, feeder: &FeederId) -> Result<(), String> {
        match self.owner(feeder) {
            Some(owner) if owner == self.owner_here() => Ok(()),
            Some(owner) => Err(format!("feeder {feeder} belongs to {owner}")),
            None => Err(format!("feeder {feeder} belongs to no analytics service")),
        }
    }

    /// Whether the plan names this service with its `key`.
    pub(crate) fn is_enrolled(&self, key: &VerifyingKey) -> bool {
        let owner = self.owners.owner_of(&self.id);
        owner == Some(self.owner_here()) && self.owners.key(&self.id) == Some(key)
    }

    fn entry(&self) -> Option<&AnalyticsEntry> {
        let entries = &self.plan().analytics;
        entries.iter().find(|entry| entry.id == self.id)
    }

    /// The feeders that the plan gives this service and the `configured` list leaves out.
    pub(crate) fn leaving(&self, configured: &[FeederId]) -> BTreeSet<FeederId> {
        if configured.is_empty() {
            return BTreeSet::new();
        }
        let kept: BTreeSet<_> = configured.iter().collect();
        let planned = self.plan().feeders.iter().map(|setting| &setting.feeder);
        planned
            .filter(|feeder| !kept.contains(feeder) && self.owns(feeder))
            .cloned()
            .collect()
    }

    /// The list of feeders to ask for now; `drained`: nothing is open or unsettled of those that are to be given up.
    ///
    /// What another service still has is asked for last: the operator refuses a request with one such feeder as a whole, and
    /// those that are to be given up must not wait for that. Two services that swap their only feeders would else wait for
    /// each other for ever. If nothing else can be had yet, the list is one feeder of this service's own name: an empty
    /// list means all that nobody lists, and a name that others use, too, would be refused to the second of them.
    pub(crate) fn request(
        &self,
        key: &VerifyingKey,
        configured: &[FeederId],
        drained: bool,
    ) -> Request {
        let wanted: BTreeSet<_> = configured.iter().cloned().collect();
        if self.pool.is_some() {
            return match self.is_enrolled(key) {
                true => Request::Agreed(Vec::new()),
                false => Request::Change(Vec::new()),
            };
        }
        let planned = match self.entry().filter(|entry| entry.key == *key) {
            Some(entry) => entry.feeders.iter().cloned().collect(),
            None => return Request::Change(wanted.into_iter().collect()),
        };
        if wanted == planned {
            return Request::Agreed(planned.into_iter().collect());
        }
        let gives_up = !self.leaving(configured).is_empty();
        if gives_up && !drained {
            return Request::Draining(planned.into_iter().collect());
        }
        let is_free = |feeder: &&FeederId| {
            let owner = self.owner(feeder);
            owner.is_none_or(|owner| owner == self.owner_here())
        };
        let free: BTreeSet<_> = wanted.iter().filter(is_free).cloned().collect();
        let own_name = FeederId::try_from(self.id.as_str());
        Request::Change(match (free.is_empty(), own_name) {
            (true, Ok(own_name)) if gives_up => vec![own_name],
            (false, _) if free != planned => free.into_iter().collect(),
            _ => wanted.into_iter().collect(),
        })
    }
}

/// What a service has to say to the operator about its feeders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// The plan is to have this list instead of the one it has.
    Change(Vec<FeederId>),
    /// The plan has the configured list, which is this.
    Agreed(Vec<FeederId>),
    /// The plan has this list, and it stays so until what is to be given up is drained.
    Draining(Vec<FeederId>),
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
pub(crate) mod tests {
    use super::*;
    pub(crate) fn plan_for(feeders: &[&str]) -> Plan {
        let setting = |feeder: &&str| wire::FeederPlan {
            feeder: feeder.parse().unwrap(),
            areas: None,
            profile: "additive".parse().unwrap(),
            reference_wh: 1 << 16,
            quantum_wh: 1,
            square_unit_wh2: None,
            rating_wh: None,
            max_meters: 255,
            since: wire::PlanVersion(1),
            first_window: wire::WindowStart(0),
        };
        Plan {
            deployment: "dev".parse().unwrap(),
            version: wire::PlanVersion(1),
            valid_until: Some(wire::UnixSeconds(wire::MAX_UNIX_SECONDS)),
            interval_s: 3600,
            batch: 1,
            time_zone: None,
            layout: "profile".parse().unwrap(),
            histogram_edges_wh: Vec::new(),
            min_meters: 15,
            min_meters_before: Vec::new(),
            tariff: None,
            feeders: feeders.iter().map(setting).collect(),
            epochs: Vec::new(),
            analytics: Vec::new(),
            shards: 1,
            pool: Vec::new(),
            holders: Vec::new(),
        }
    }

    fn ids(names: &[&str]) -> Vec<FeederId> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn key(seed: u8) -> VerifyingKey {
        wire::SigningKey::from_bytes(&[seed; 32]).verifying_key()
    }

    fn assigned(plan: Plan, id: &str) -> AssignedPlan {
        let held = HeldPlan::new(plan, Vec::new()).unwrap();
        AssignedPlan::new(Arc::new(held), id.parse().unwrap())
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
        assigned(plan, "one")
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

    fn change(feeders: &[&str]) -> Request {
        Request::Change(ids(feeders))
    }

    fn ask(plan: &AssignedPlan, configured: &[&str], drained: bool) -> Request {
        plan.request(&key(1), &ids(configured), drained)
    }

    #[test]
    fn a_changed_list_is_asked_for_once_what_it_leaves_out_is_drained() {
        let catch_all = plan(&[("one", &[])]);
        assert_eq!(ask(&catch_all, &[], true), Request::Agreed(ids(&[])));
        assert_eq!(
            ask(&catch_all, &["b", "c"], false),
            Request::Draining(ids(&[]))
        );
        assert_eq!(ask(&catch_all, &["c", "b"], true), change(&["b", "c"]));
        // The plan names no such service, or its name with another key.
        assert_eq!(ask(&plan(&[("two", &[])]), &["a"], false), change(&["a"]));
        let other = catch_all.request(&key(2), &ids(&["a"]), false);
        assert_eq!(other, change(&["a"]));
        // More feeders, in another order, or all of the rest: nothing is to be drained.
        let named = plan(&[("one", &["a"])]);
        assert_eq!(ask(&named, &["b", "a"], false), change(&["a", "b"]));
        assert_eq!(ask(&named, &[], false), change(&[]));
        // What another service has is asked for after the rest was given up.
        let others = plan(&[("one", &["a", "b"]), ("two", &["c"])]);
        assert_eq!(ask(&others, &["b", "c"], true), change(&["b"]));
        let given_up = plan(&[("one", &["b"]), ("two", &["c"])]);
        assert_eq!(ask(&given_up, &["b", "c"], true), change(&["b", "c"]));
    }

    #[test]
    fn a_service_gives_up_its_only_feeder_for_one_that_another_still_has() {
        let before = plan(&[("one", &["a"]), ("two", &["c"])]);
        assert_eq!(ask(&before, &["c"], false), Request::Draining(ids(&["a"])));
        assert_eq!(ask(&before, &["c"], true), change(&["one"]));
        // Then it waits for what it wants, and gives nothing up for it any more.
        let between = plan(&[("one", &["one"]), ("two", &["c"])]);
        assert_eq!(ask(&between, &["c"], false), change(&["c"]));
        // So does one that adds for the rest.
        let rest = plan(&[("one", &[]), ("two", &["c"])]);
        assert_eq!(ask(&rest, &["c"], true), change(&["one"]));
        // Nothing is to be given up, so nothing is.
        let more = plan(&[("one", &["a"]), ("two", &[])]);
        assert_eq!(ask(&more, &[], true), change(&[]));
    }

    /// Two services ask in turn, and the operator grants a list without a feeder of the other's.
    fn swap(mut lists: [Vec<FeederId>; 2], wanted: [&[&str]; 2]) -> [Vec<FeederId>; 2] {
        let names = ["one", "two"];
        for round in 0..10 {
            let index = round % 2;
            let mut plan = plan_for(&["a", "b", "c"]);
            plan.analytics = (names.iter().zip(&lists))
                .map(|(id, feeders)| AnalyticsEntry {
                    id: id.parse().unwrap(),
                    key: key(1),
                    feeders: feeders.clone(),
                })
                .collect();
            let assigned = assigned(plan, names[index]);
            if let Request::Change(list) = ask(&assigned, wanted[index], true) {
                let other = &lists[1 - index];
                if !list.iter().any(|feeder| other.contains(feeder)) {
                    lists[index] = list;
                }
            }
        }
        lists
    }

    #[test]
    fn two_services_swap_their_only_feeders() {
        let lists = swap([ids(&["a"]), ids(&["b"])], [&["b"], &["a"]]);
        assert_eq!(lists, [ids(&["b"]), ids(&["a"])]);
        let lists = swap([ids(&["a", "c"]), ids(&["b"])], [&["b"], &["a", "c"]]);
        assert_eq!(lists, [ids(&["b"]), ids(&["a", "c"])]);
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
