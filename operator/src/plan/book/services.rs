//! The analytics services in the plan.

use wire::{AnalyticsEntry, AnalyticsId, PoolEntry};

use super::PlanBook;

impl PlanBook {
    /// Adds an analytics service or replaces the feeders of the one with this id.
    pub(crate) fn set_analytics(&mut self, entry: AnalyticsEntry) {
        if self.plan.analytics.contains(&entry) {
            return;
        }
        let plan = self.change();
        plan.analytics.retain(|other| other.id != entry.id);
        plan.analytics.push(entry);
        plan.sort();
    }

    /// Adds a member of the pool.
    pub(crate) fn add_member(&mut self, entry: PoolEntry) {
        let plan = self.change();
        plan.pool.push(entry);
        plan.sort();
    }

    /// Takes an analytics service out.
    pub(crate) fn remove_analytics(&mut self, id: &AnalyticsId) {
        if self.plan.service_key(id).is_some() {
            let plan = self.change();
            plan.analytics.retain(|entry| entry.id != *id);
            plan.pool.retain(|entry| entry.analytics != *id);
        }
    }
}
