//! What became of a sum in the end.

use std::collections::BTreeSet;

use wire::{FeederId, GatewayId, MeterId};

use super::{Held, Sum, Windows};
use crate::store::{Stage, Store, StoreError, SumKey, SumRow};

impl Windows {
    /// Records the operator's last receipt for a release: `stage` is what the sum is in from now on. Returns whether it
    /// awaited one.
    pub(crate) fn settled(&mut self, key: &SumKey, stage: Stage) -> bool {
        self.sum(key).is_some_and(Sum::is_released) && self.rest(key, stage).is_some()
    }

    /// The operator refused a release because another service has released the window: it takes no more reports, which
    /// could be in no total. A restart forgets that, and learns it again from the next release.
    pub(crate) fn collected(&mut self, key: &SumKey) {
        let feeder = self.feeders.get_mut(&key.feeder);
        if let Some(window) = feeder.and_then(|feeder| feeder.windows.get_mut(&key.window)) {
            window.collected = true;
        }
    }

    /// Ends the held sums of feeders that are not this service's any more, and returns them. Their contributors are
    /// remembered, so that nobody is counted twice should a feeder come back.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read; what is left is ended at a later call.
    pub(crate) fn withhold(
        &mut self,
        owns: impl Fn(&FeederId) -> bool,
        store: &mut dyn Store,
    ) -> Result<Vec<Held>, StoreError> {
        let away = self
            .away
            .iter()
            .filter(|(id, away)| away.holds && !owns(id));
        let away: Vec<FeederId> = away.map(|(id, _)| id.clone()).collect();
        away.iter().try_for_each(|id| self.recall(id, store))?;
        let is_small = |key: &&SumKey| {
            let sum = self.sum(key);
            let rules = self.rules.of(&self.min_meters, key.window);
            sum.is_some_and(|sum| sum.at_rest(&rules))
        };
        let open = self.open.iter();
        let elsewhere = open.filter(|key| !owns(&key.feeder)).filter(is_small);
        let keys: Vec<_> = elsewhere.cloned().collect();
        let withheld = keys.into_iter().filter_map(|key| {
            let contributors = self.rest(&key, Stage::Refused)?.contributors;
            Some(Held { key, contributors })
        });
        Ok(withheld.collect())
    }

    /// Nothing is awaited of a sum any more. Returns its row, as it will be stored.
    pub(super) fn rest(&mut self, key: &SumKey, stage: Stage) -> Option<SumRow> {
        let feeder = self.feeders.get_mut(&key.feeder)?;
        let sum = feeder.remove_sum(key.window, key.part)?;
        Self::uncount(feeder, &mut self.quota, &self.rules, &sum);
        let mut row = sum.row;
        row.stage = stage;
        self.open.remove(key);
        self.changes.sums.remove(key);
        self.changes.settled.push(row.clone());
        Some(row)
    }

    /// What became of a sum whose end is known; nothing of one that is open or awaits the operator's receipt.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    pub(crate) fn end_of(
        &self,
        key: &SumKey,
        store: &mut dyn Store,
    ) -> Result<Option<Stage>, StoreError> {
        if self.sum(key).is_some() {
            return Ok(None);
        }
        if let Some(row) = self.changes.at_rest(key) {
            return Ok(Some(row.stage));
        }
        Ok(store.sum(key)?.map(|row| row.stage))
    }

    /// The gateways of a sum's contributors, as `gateway_of` knows them now.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    pub(crate) fn gateways<'r>(
        &self,
        key: &SumKey,
        gateway_of: impl Fn(&MeterId) -> Option<&'r GatewayId>,
        store: &mut dyn Store,
    ) -> Result<BTreeSet<&'r GatewayId>, StoreError> {
        let mut gateways = BTreeSet::new();
        self.each_member(key, store, &mut |meter, _| {
            gateways.extend(gateway_of(meter));
        })?;
        Ok(gateways)
    }
}
