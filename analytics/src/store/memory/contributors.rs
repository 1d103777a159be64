//! Who is in which sum.

use std::collections::BTreeMap;

use wire::{Digest, FeederId, MeterId, Part, WindowStart};

use crate::store::{ContributorRow, MemberRow, Short, SumKey, Transaction, short};

#[derive(Debug, Default)]
pub(super) struct Contributors {
    rows: BTreeMap<(FeederId, WindowStart), BTreeMap<MeterId, ContributorRow>>,
    /// Those of sums that keep members only.
    members: BTreeMap<(FeederId, WindowStart), BTreeMap<MeterId, (Part, Short)>>,
}

impl Contributors {
    /// Writes what of a transaction is of feeders that it may write.
    pub(super) fn write(
        &mut self,
        transaction: &Transaction<'_>,
        writes: &dyn Fn(&FeederId) -> bool,
    ) {
        let added = transaction.contributors.iter();
        for added in added.filter(|row| writes(&row.key.feeder)) {
            let window = (added.key.feeder.clone(), added.key.window);
            let meters = self.rows.entry(window).or_default();
            meters.insert(added.meter.clone(), added.clone());
        }
        for (row, _) in &transaction.sums {
            if row.stage.keeps_members() && writes(&row.key.feeder) {
                self.shrink(&row.key);
            }
        }
        let reclaimed = transaction.reclaimed.iter();
        for window in reclaimed.filter(|(feeder, _)| writes(feeder)) {
            self.rows.remove(window);
            self.members.remove(window);
        }
    }

    fn shrink(&mut self, key: &SumKey) {
        let window = (key.feeder.clone(), key.window);
        let Some(meters) = self.rows.get_mut(&window) else {
            return;
        };
        let members = self.members.entry(window).or_default();
        for (meter, row) in meters.extract_if(.., |_, row| row.key.part == key.part) {
            members.insert(meter, (key.part, short(&row.digest.0)));
        }
    }

    pub(super) fn find(
        &self,
        (feeder, window): (&FeederId, WindowStart),
        meter: &MeterId,
        digest: &Digest,
    ) -> Option<(Part, bool)> {
        let window = (feeder.clone(), window);
        let row = self.rows.get(&window).and_then(|rows| rows.get(meter));
        if let Some(row) = row {
            return Some((row.key.part, row.digest == *digest));
        }
        let (part, found) = self.members.get(&window)?.get(meter)?;
        Some((*part, *found == short(&digest.0)))
    }

    pub(super) fn rows(
        &self,
        feeder: &FeederId,
        window: WindowStart,
    ) -> impl Iterator<Item = &ContributorRow> {
        let rows = self.rows.get(&(feeder.clone(), window));
        rows.into_iter().flat_map(BTreeMap::values)
    }

    pub(super) fn members(
        &self,
        feeder: &FeederId,
        window: WindowStart,
    ) -> impl Iterator<Item = MemberRow> {
        let members = self.members.get(&(feeder.clone(), window));
        let members = members.into_iter().flatten();
        members.map(|(meter, (part, digest))| MemberRow {
            part: *part,
            meter: meter.clone(),
            digest: *digest,
        })
    }
}
