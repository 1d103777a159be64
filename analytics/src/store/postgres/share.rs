//! The part of a transaction that is written.

use std::collections::{BTreeMap, BTreeSet};

use wire::{FeederId, Part, Shard, WindowStart};

use super::blocks::Contributors;
use crate::store::{Fence, Transaction};

/// Part of a transaction: what is of shards that were not found to be lost.
pub(super) struct Share<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) lost: BTreeSet<Shard>,
    /// Whether the store is this run's own, and no lease is asked for.
    own: bool,
    /// Windows that go, and with them what else there is of them.
    pub(super) reclaimed: BTreeSet<(&'a FeederId, WindowStart)>,
}

impl<'a> Share<'a> {
    pub(super) fn whole(transaction: &'a Transaction<'a>, own: bool) -> Self {
        let windows = transaction.reclaimed.iter();
        Self {
            transaction,
            lost: BTreeSet::new(),
            own,
            reclaimed: windows.map(|(feeder, window)| (feeder, *window)).collect(),
        }
    }

    /// The leases that are still to be proved.
    pub(super) fn leases(&self) -> impl Iterator<Item = (Shard, Fence)> {
        let leases = self.transaction.leases.leases.iter();
        let leases = leases.map(|(shard, fence)| (*shard, *fence));
        leases.filter(|(shard, _)| !self.lost.contains(shard))
    }

    /// Whether nothing can be written: no shard is held.
    pub(super) fn is_nothing(&self) -> bool {
        !self.own && self.leases().next().is_none()
    }

    /// Whether rows of the feeder are written: all of a store that is this run's own.
    pub(super) fn writes(&self, feeder: &FeederId) -> bool {
        let leased = &self.transaction.leases;
        let is_held =
            |shard: &Shard| leased.leases.contains_key(shard) && !self.lost.contains(shard);
        self.own || leased.shards.get(feeder).is_some_and(is_held)
    }

    /// Whether rows of the window are written, and do not go with it.
    pub(super) fn keeps(&self, feeder: &FeederId, window: WindowStart) -> bool {
        self.writes(feeder) && !self.reclaimed.contains(&(feeder, window))
    }

    /// The feeders whose rows are written, with their shards.
    pub(super) fn feeders(&self) -> BTreeMap<&'a FeederId, Option<i16>> {
        let shards = &self.transaction.leases.shards;
        let feeders = self.transaction.feeders();
        feeders
            .filter(|feeder| self.writes(feeder))
            .map(|feeder| {
                let shard = shards.get(feeder);
                // There are at most 256.
                (feeder, shard.map(|shard| shard.0.cast_signed()))
            })
            .collect()
    }

    /// The contributors that are added, by window.
    pub(super) fn added(&self) -> BTreeMap<(&'a FeederId, WindowStart), Contributors> {
        let mut windows = BTreeMap::<_, Contributors>::new();
        for row in &self.transaction.contributors {
            let (feeder, window) = (&row.key.feeder, row.key.window);
            if self.keeps(feeder, window) {
                windows.entry((feeder, window)).or_default().add(row);
            }
        }
        windows
    }

    /// The parts that keep members only from now on, by window.
    pub(super) fn shrunk(&self) -> BTreeMap<(&'a FeederId, WindowStart), BTreeSet<Part>> {
        let mut windows = BTreeMap::<_, BTreeSet<Part>>::new();
        for (row, _) in &self.transaction.sums {
            let (feeder, window) = (&row.key.feeder, row.key.window);
            if row.stage.keeps_members() && self.keeps(feeder, window) {
                windows
                    .entry((feeder, window))
                    .or_default()
                    .insert(row.key.part);
            }
        }
        windows
    }
}
