//! Feeders of one area are sized together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use wire::{FeederId, Sum, UnixSeconds};

use super::Registry;
use super::demand::Demand;
use crate::metrics;
use service::trust::Members;

impl Registry {
    /// Gives feeders the areas of the configuration.
    pub(crate) fn adopt_areas(&mut self) {
        let now = UnixSeconds(self.clock.now().0 / 1000);
        let roster = &self.roster;
        self.plan.set_areas(|feeder| roster.on_feeder(feeder), now);
    }

    /// Meters on a feeder and on those that are in one area with it.
    pub(super) fn together_with(&self, feeder: &FeederId) -> u32 {
        let feeders = self.plan.together(feeder);
        let meters = feeders.iter().map(|other| self.roster.on_feeder(other));
        meters.fold(0, u32::saturating_add)
    }

    /// The most meters that a sum may come to have.
    pub(crate) fn largest_feeder_or_area(&self) -> u32 {
        let areas = self.plan.areas().map(|feeders| {
            let meters = feeders.iter().map(|feeder| self.roster.on_feeder(feeder));
            meters.fold(0, u32::saturating_add)
        });
        areas.fold(self.roster.largest_feeder(), u32::max)
    }

    /// What a request needs of a feeder and of those that are in one area with it.
    pub(super) fn demand_together(
        &self,
        feeder: &FeederId,
        demands: &BTreeMap<FeederId, Demand>,
    ) -> Option<Demand> {
        demands.get(feeder)?;
        let together = demands
            .iter()
            .filter(|(other, _)| self.plan.is_together(feeder, other));
        together.map(|(_, demand)| *demand).reduce(Demand::and)
    }

    /// The same of the list of physical meters, if there is one with the feeder.
    pub(super) fn listed_demand(&self, feeder: &FeederId) -> Option<Demand> {
        let of = |feeder: &FeederId| {
            let (capacity, meters) = self.physical.feeder(feeder)?;
            Some(Demand { capacity, meters })
        };
        of(feeder)?;
        let together = self.plan.configured_together(feeder);
        together.filter_map(of).reduce(Demand::and)
    }

    /// The meters of the other feeders that a sum names, if it can be the rest of an area.
    pub(crate) fn others_in_rest(
        &self,
        feeder: &FeederId,
        payload: &Bytes,
    ) -> Vec<(FeederId, Arc<Members>)> {
        let mut settings = self.plan.plan().feeders.iter();
        if !settings.any(|setting| setting.feeder == *feeder && setting.areas.is_some()) {
            return Vec::new();
        }
        // What is not a sum is refused where it is verified.
        let Ok(sum) = wire::decode_shared::<Sum>(payload, payload.len()) else {
            return Vec::new();
        };
        let rest = sum.claimed().rest.iter().flat_map(|rest| &rest.others);
        let known = rest.filter(|share| self.plan.reference_wh(&share.feeder).is_some());
        let others = known.map(|share| (share.feeder.clone(), self.roster.members(&share.feeder)));
        others.collect()
    }

    /// The meters of the other feeders that are, or were, in one area with a feeder.
    pub(crate) fn others_in_areas(&self, feeder: &FeederId) -> Vec<(FeederId, Arc<Members>)> {
        let settings = &self.plan.plan().feeders;
        let areas = |is_own: bool| {
            let of = settings
                .iter()
                .filter(move |setting| (setting.feeder == *feeder) == is_own);
            of.filter_map(|setting| Some((&setting.feeder, setting.areas.as_ref()?)))
        };
        let own: BTreeSet<_> = areas(true).flat_map(|(_, areas)| areas.iter()).collect();
        let others = areas(false).filter(|(_, areas)| areas.iter().any(|area| own.contains(area)));
        let others: BTreeSet<_> = others.map(|(other, _)| other).collect();
        let others = others.into_iter();
        others
            .map(|other| (other.clone(), self.roster.members(other)))
            .collect()
    }

    /// Says which areas can have no total of their rest.
    pub(super) fn say_divided_areas(&self) {
        let divided = self.plan.divided_areas();
        metrics::divided_areas(divided.len());
        for areas in divided {
            tracing::warn!(
                area = %areas.topmost(),
                "feeders of this area belong to several analytics services, so what is too small there to be released cannot be \
                 added up: give all of them to one, by analytics.feeders"
            );
        }
    }
}
