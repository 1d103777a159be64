//! A store in memory: it survives the engine, not the process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::{Digest, FeederId, MeterId, Part, WindowStart};

use super::{
    BillKey, ContributorRow, Limbs, Loaded, ReleaseRow, Store, StoreError, StoreFormat, SumKey,
    SumRow, Transaction,
};

/// Keeps all rows in memory. Clones share them, so a test can restart an engine on what the last one committed.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    sums: BTreeMap<SumKey, StoredSum>,
    contributors: BTreeMap<(FeederId, WindowStart), BTreeMap<MeterId, ContributorRow>>,
    times: BTreeMap<FeederId, u64>,
    bills: BTreeMap<BillKey, Vec<u8>>,
}

#[derive(Debug)]
struct StoredSum {
    row: SumRow,
    record: Option<Vec<u8>>,
    release: Option<ReleaseRow>,
}

impl MemoryStore {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn load(
        &mut self,
        _: &StoreFormat,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Loaded, StoreError> {
        let rows = self.rows();
        let mut loaded = Loaded::default();
        for (key, sum) in &rows.sums {
            each(sum.row.clone());
            let release = sum.release.as_ref();
            (loaded.releases).extend(release.map(|release| (key.clone(), release.digest)));
        }
        loaded.times = rows
            .times
            .iter()
            .map(|(feeder, time)| (feeder.clone(), *time))
            .collect();
        Ok(loaded)
    }

    fn commit(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for (row, limbs) in &transaction.sums {
            let sum = rows
                .sums
                .entry(row.key.clone())
                .or_insert_with(|| StoredSum {
                    row: row.clone(),
                    record: None,
                    release: None,
                });
            sum.row = row.clone();
            match limbs {
                Limbs::Changed(accumulator) => sum.record = Some(row.record(accumulator)),
                Limbs::Kept => {}
                Limbs::Gone => sum.record = None,
            }
        }
        for added in &transaction.contributors {
            let window = (added.key.feeder.clone(), added.key.window);
            let meters = rows.contributors.entry(window).or_default();
            meters.insert(added.meter.clone(), added.clone());
        }
        for (feeder, time) in &transaction.times {
            rows.times.insert(feeder.clone(), *time);
        }
        for release in &transaction.releases {
            if let Some(sum) = rows.sums.get_mut(&release.key) {
                sum.release = Some(release.clone());
            }
        }
        for key in &transaction.settled {
            if let Some(sum) = rows.sums.get_mut(key) {
                sum.release = None;
            }
        }
        for (feeder, window) in &transaction.reclaimed {
            rows.sums
                .retain(|key, _| key.feeder != *feeder || key.window != *window);
            rows.contributors.remove(&(feeder.clone(), *window));
        }
        for (key, record) in &transaction.bills {
            match record {
                Some(record) => drop(rows.bills.insert(key.clone(), record.clone())),
                None => drop(rows.bills.remove(key)),
            }
        }
        Ok(())
    }

    fn contributor(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        meter: &MeterId,
    ) -> Result<Option<(Part, Digest)>, StoreError> {
        let rows = self.rows();
        let meters = rows.contributors.get(&(feeder.clone(), window));
        let row = meters.and_then(|meters| meters.get(meter));
        Ok(row.map(|row| (row.key.part, row.digest)))
    }

    fn contributors(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(ContributorRow),
    ) -> Result<(), StoreError> {
        let rows = self.rows();
        let meters = rows.contributors.get(&(feeder.clone(), window));
        for row in meters.into_iter().flat_map(BTreeMap::values) {
            each(row.clone());
        }
        Ok(())
    }

    fn feeder(
        &mut self,
        feeder: &FeederId,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Option<u64>, StoreError> {
        let rows = self.rows();
        let all =
            key_of(feeder, WindowStart(0), 0)..=key_of(feeder, WindowStart(u64::MAX), u16::MAX);
        for sum in rows.sums.range(all).map(|(_, sum)| sum) {
            each(sum.row.clone());
        }
        Ok(rows.times.get(feeder).copied())
    }

    fn sum(&mut self, key: &SumKey) -> Result<Option<SumRow>, StoreError> {
        Ok(self.rows().sums.get(key).map(|sum| sum.row.clone()))
    }

    fn record(&mut self, key: &SumKey) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.rows();
        Ok(rows.sums.get(key).and_then(|sum| sum.record.clone()))
    }

    fn release(&mut self, key: &SumKey) -> Result<Option<ReleaseRow>, StoreError> {
        let rows = self.rows();
        Ok(rows.sums.get(key).and_then(|sum| sum.release.clone()))
    }

    fn bill(&mut self, key: &BillKey) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows().bills.get(key).cloned())
    }

    fn bills(&mut self, from: Option<&BillKey>, most: usize) -> Result<Vec<BillKey>, StoreError> {
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        let rows = self.rows();
        let keys = rows.bills.range((from, Bound::Unbounded));
        Ok(keys.take(most).map(|(key, _)| key.clone()).collect())
    }
}

fn key_of(feeder: &FeederId, window: WindowStart, part: u16) -> SumKey {
    SumKey {
        feeder: feeder.clone(),
        window,
        part: Part(part),
    }
}
