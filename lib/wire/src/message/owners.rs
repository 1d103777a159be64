//! Which analytics service owns which feeder.

use std::collections::HashMap;

use super::AnalyticsEntry;
use crate::ids::{AnalyticsId, FeederId};

/// The owner of every feeder: the same answers as [`crate::Plan::analytics_for`], in constant time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    named: HashMap<FeederId, AnalyticsId>,
    rest: Option<AnalyticsId>,
}

impl Owners {
    /// The owners by the analytics entries of a plan: the first entry that names a feeder, else the first that names none.
    pub fn of<'e>(entries: impl IntoIterator<Item = &'e AnalyticsEntry>) -> Self {
        let mut owners = Self::default();
        for entry in entries {
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

    /// The service that owns the feeder.
    pub fn owner(&self, feeder: &FeederId) -> Option<&AnalyticsId> {
        self.named(feeder).or(self.rest())
    }

    /// The service that names the feeder.
    pub fn named(&self, feeder: &FeederId) -> Option<&AnalyticsId> {
        self.named.get(feeder)
    }

    /// The service that owns all feeders that no entry names.
    pub fn rest(&self) -> Option<&AnalyticsId> {
        self.rest.as_ref()
    }
}
