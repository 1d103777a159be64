//! What changed since the last commit.

use std::collections::{BTreeSet, HashMap};

use wire::{Digest, FeederId, MeterId, Part, Salt, WindowStart};

use super::{Sum, Windows};
use crate::store::{ContributorRow, Limbs, ReleaseRow, SumKey, SumRow, Transaction};

#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) sums: BTreeSet<SumKey>,
    contributors: HashMap<(FeederId, WindowStart), Contributors>,
    pub(super) times: BTreeSet<FeederId>,
    pub(super) releases: Vec<ReleaseRow>,
    pub(super) settled: Vec<SumRow>,
    pub(super) reclaimed: Vec<(FeederId, WindowStart)>,
}

/// New contributors of a window.
pub(super) type Contributors = HashMap<MeterId, Counted>;

/// What is stored of a contributor, besides who it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    /// The part it is in.
    pub(super) part: Part,
    pub(super) number: u32,
    pub(super) salt: Salt,
    pub(super) digest: Digest,
}

impl Counted {
    pub(super) fn of(row: &ContributorRow) -> Self {
        Self {
            part: row.key.part,
            number: row.number,
            salt: row.salt,
            digest: row.digest,
        }
    }
}

impl Changes {
    pub(super) fn contributed(&mut self, key: &SumKey, meter: &MeterId, counted: Counted) {
        let window = (key.feeder.clone(), key.window);
        let contributors = self.contributors.entry(window).or_default();
        contributors.insert(meter.clone(), counted);
    }

    pub(super) fn contributor(
        &self,
        feeder: &FeederId,
        window: WindowStart,
        meter: &MeterId,
    ) -> Option<(Part, Digest)> {
        let counted = self.contributors(feeder, window)?.get(meter)?;
        Some((counted.part, counted.digest))
    }

    /// The window's contributors that are not in the store, or are there and not known to be.
    pub(super) fn contributors(
        &self,
        feeder: &FeederId,
        window: WindowStart,
    ) -> Option<&Contributors> {
        self.contributors.get(&(feeder.clone(), window))
    }

    /// The row of a sum of which nothing is awaited any more, if that is so since the last commit.
    pub(super) fn at_rest(&self, key: &SumKey) -> Option<&SumRow> {
        self.settled.iter().find(|row| row.key == *key)
    }

    /// Nothing of these feeders is to be written any more.
    pub(super) fn let_go(&mut self, is_gone: &dyn Fn(&FeederId) -> bool) {
        self.sums.retain(|key| !is_gone(&key.feeder));
        self.contributors.retain(|(feeder, _), _| !is_gone(feeder));
        self.times.retain(|feeder| !is_gone(feeder));
        self.releases.retain(|row| !is_gone(&row.key.feeder));
        self.settled.retain(|row| !is_gone(&row.key.feeder));
        self.reclaimed.retain(|(feeder, _)| !is_gone(feeder));
    }

    /// A window goes, and whatever changed in it.
    pub(super) fn reclaim(&mut self, feeder: &FeederId, window: WindowStart) {
        self.sums
            .retain(|key| key.feeder != *feeder || key.window != window);
        self.contributors.remove(&(feeder.clone(), window));
        self.reclaimed.push((feeder.clone(), window));
    }
}

impl Windows {
    /// What changed since the last [`Windows::committed`], as one transaction.
    #[must_use]
    pub(crate) fn transaction(&self) -> Transaction<'_> {
        let changes = &self.changes;
        let sums = changes.sums.iter().filter_map(|key| self.sum(key));
        let mut windows: Vec<_> = changes.contributors.iter().collect();
        windows.sort_unstable_by_key(|(window, _)| *window);
        let rows = windows.into_iter().flat_map(|((feeder, window), meters)| {
            let mut meters: Vec<_> = meters.iter().collect();
            meters.sort_unstable_by_key(|(meter, _)| *meter);
            meters.into_iter().map(|(meter, counted)| ContributorRow {
                key: SumKey {
                    feeder: feeder.clone(),
                    window: *window,
                    part: counted.part,
                },
                meter: meter.clone(),
                number: counted.number,
                salt: counted.salt,
                digest: counted.digest,
            })
        });
        let settled = &changes.settled;
        Transaction {
            sums: sums
                .map(|sum| (sum.row.clone(), limbs_of(sum)))
                .chain(settled.iter().map(|row| (row.clone(), Limbs::Gone)))
                .collect(),
            contributors: rows.collect(),
            times: changes
                .times
                .iter()
                .filter_map(|id| Some((id.clone(), self.feeders.get(id)?.time?)))
                .collect(),
            releases: changes.releases.clone(),
            settled: settled.iter().map(|row| row.key.clone()).collect(),
            reclaimed: changes.reclaimed.clone(),
            ..Transaction::default()
        }
    }

    /// The store holds everything that [`Windows::transaction`] returned.
    pub(crate) fn committed(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        for key in &changes.sums {
            if let Some(sum) = self.sum_mut(key) {
                sum.changed = false;
            }
        }
        self.cool();
        self.trim(self.rules.max_feeders);
    }

    /// Lets ciphertexts beyond `max_hot` leave memory, those first that nothing was added to for longest. All of them
    /// are in the store.
    fn cool(&mut self) {
        // A sum that was used goes to the back once, so this ends.
        while self.hot.len() > self.rules.max_hot
            && let Some(key) = self.hot.pop_front()
        {
            let Some(sum) = self.sum_mut(&key) else {
                continue;
            };
            if std::mem::take(&mut sum.used) {
                self.hot.push_back(key);
            } else if !sum.changed {
                sum.accumulator = None;
            }
        }
    }
}

fn limbs_of(sum: &Sum) -> Limbs<'_> {
    match &sum.accumulator {
        _ if !sum.takes_reports() => Limbs::Gone,
        Some(accumulator) if sum.changed => Limbs::Changed(accumulator),
        _ => Limbs::Kept,
    }
}
