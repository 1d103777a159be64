//! Which analytics service owns which feeder, and who speaks for it.

use std::collections::{BTreeMap, HashMap};

use super::{AnalyticsEntry, Plan};
use crate::ids::{AnalyticsId, FeederId};
use crate::keys::VerifyingKey;

/// The owner of every feeder, in constant time: an analytics service, or a pool of such.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    named: HashMap<FeederId, AnalyticsId>,
    rest: Option<AnalyticsId>,
    /// The key of every service, and the owner that it speaks for: itself, or its pool.
    services: BTreeMap<AnalyticsId, (AnalyticsId, VerifyingKey)>,
}

impl Owners {
    /// The owners by a plan: the first entry that names a feeder; else the pool; else the first entry that names none.
    pub fn of(plan: &Plan) -> Self {
        Self::among(plan, &plan.analytics.iter().collect::<Vec<_>>())
    }

    /// The same, if the plan had no service of its own of this name.
    pub fn besides(plan: &Plan, id: &AnalyticsId) -> Self {
        let others = plan.analytics.iter().filter(|entry| entry.id != *id);
        Self::among(plan, &others.collect::<Vec<_>>())
    }

    fn among(plan: &Plan, entries: &[&AnalyticsEntry]) -> Self {
        let mut owners = Self {
            rest: plan.pool.first().map(|entry| entry.pool.clone()),
            ..Self::default()
        };
        for entry in &plan.pool {
            let service = (entry.pool.clone(), entry.key);
            owners.services.insert(entry.analytics.clone(), service);
        }
        for entry in entries {
            let service = (entry.id.clone(), entry.key);
            owners.services.insert(entry.id.clone(), service);
            if entry.feeders.is_empty() && owners.rest.is_none() {
                owners.rest = Some(entry.id.clone());
            }
            for feeder in &entry.feeders {
                let owner = owners.named.entry(feeder.clone());
                owner.or_insert_with(|| entry.id.clone());
            }
        }
        owners
    }

    /// The owner of the feeder.
    pub fn owner(&self, feeder: &FeederId) -> Option<&AnalyticsId> {
        self.named(feeder).or(self.rest())
    }

    /// The service that names the feeder.
    pub fn named(&self, feeder: &FeederId) -> Option<&AnalyticsId> {
        self.named.get(feeder)
    }

    /// The owner of all feeders that no entry names.
    pub fn rest(&self) -> Option<&AnalyticsId> {
        self.rest.as_ref()
    }

    /// Whether an owner is a pool.
    pub fn is_pool(&self, owner: &AnalyticsId) -> bool {
        self.services.values().any(|(of, _)| of == owner) && !self.services.contains_key(owner)
    }

    /// The owner that a service speaks for: itself, or its pool.
    pub fn owner_of(&self, service: &AnalyticsId) -> Option<&AnalyticsId> {
        self.services.get(service).map(|(owner, _)| owner)
    }

    /// The key of a service.
    pub fn key(&self, service: &AnalyticsId) -> Option<&VerifyingKey> {
        self.services.get(service).map(|(_, key)| key)
    }
}
