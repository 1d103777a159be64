//! Which feeders are in areas.

use std::collections::{BTreeMap, BTreeSet};

use wire::{AreaId, FeederId, Plan};

/// The feeders of a plan that are in areas, by the topmost area that each is in, in some window.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AreaFeeders {
    pub(super) by_area: BTreeMap<AreaId, BTreeSet<FeederId>>,
    pub(super) all: BTreeSet<FeederId>,
}

impl AreaFeeders {
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut feeders = Self::default();
        for setting in &plan.feeders {
            if let Some(areas) = &setting.areas {
                let of_area = feeders.by_area.entry(areas.topmost().clone());
                of_area.or_default().insert(setting.feeder.clone());
                feeders.all.insert(setting.feeder.clone());
            }
        }
        feeders
    }

    /// Whether a feeder is in an area.
    pub(super) fn has(&self, feeder: &FeederId) -> bool {
        self.all.contains(feeder)
    }
}
