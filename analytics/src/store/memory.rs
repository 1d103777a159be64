//! A store in memory: it survives the engine, not the process.

mod contributors;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use service::failpoint;
use wire::{Digest, FeederId, MeterId, Part, Shard, WindowStart};

use self::contributors::Contributors;
use super::{
    BillKey, ContributorRow, Fence, Limbs, Loaded, MemberRow, ReleaseRow, Scope, Standing, Store,
    StoreError, StoreFormat, SumKey, SumRow, Transaction,
};

/// Keeps all rows in memory. Clones share them, so a test can restart an engine on what the last one committed.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<Rows>>,
    /// The leases that what is written must be under, where several engines share the rows.
    leases: Option<Arc<Mutex<dyn Standing>>>,
}

#[derive(Debug, Default)]
struct Rows {
    sums: BTreeMap<SumKey, StoredSum>,
    contributors: Contributors,
    times: BTreeMap<FeederId, u64>,
    bills: BTreeMap<BillKey, Vec<u8>>,
    /// The shard that each feeder was last written in, if any.
    shards: HashMap<FeederId, Shard>,
}

#[derive(Debug)]
struct StoredSum {
    row: SumRow,
    record: Option<Vec<u8>>,
    release: Option<ReleaseRow>,
}

impl MemoryStore {
    /// The same rows, of which only those are written whose lease stands.
    pub(crate) fn fenced(&self, leases: Arc<Mutex<dyn Standing>>) -> Self {
        Self {
            rows: self.rows.clone(),
            leases: Some(leases),
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    /// Writes what of a transaction is of feeders that it may write.
    fn write(&mut self, transaction: &Transaction<'_>, writes: &dyn Fn(&FeederId) -> bool) {
        let sums = transaction.sums.iter();
        for (row, limbs) in sums.filter(|(row, _)| writes(&row.key.feeder)) {
            let sum = self
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
        self.contributors.write(transaction, writes);
        for (feeder, time) in transaction
            .times
            .iter()
            .filter(|(feeder, _)| writes(feeder))
        {
            self.times.insert(feeder.clone(), *time);
        }
        for release in transaction
            .releases
            .iter()
            .filter(|row| writes(&row.key.feeder))
        {
            if let Some(sum) = self.sums.get_mut(&release.key) {
                sum.release = Some(release.clone());
            }
        }
        for key in transaction.settled.iter().filter(|key| writes(&key.feeder)) {
            if let Some(sum) = self.sums.get_mut(key) {
                sum.release = None;
            }
        }
        for (feeder, window) in transaction
            .reclaimed
            .iter()
            .filter(|(feeder, _)| writes(feeder))
        {
            self.sums
                .retain(|key, _| key.feeder != *feeder || key.window != *window);
        }
        for (key, record) in transaction
            .bills
            .iter()
            .filter(|(key, _)| writes(&key.feeder))
        {
            match record {
                Some(record) => drop(self.bills.insert(key.clone(), record.clone())),
                None => drop(self.bills.remove(key)),
            }
        }
    }
}

impl Store for MemoryStore {
    fn load(
        &mut self,
        _: &StoreFormat,
        scope: Scope<'_>,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Loaded, StoreError> {
        let rows = self.rows();
        let mut loaded = Loaded::default();
        let is_in = |feeder: &FeederId| match scope {
            Scope::All => true,
            Scope::Shards(shards) => {
                let shard = rows.shards.get(feeder);
                shard.is_some_and(|shard| shards.contains(shard))
            }
        };
        for (key, sum) in rows.sums.iter().filter(|(key, _)| is_in(&key.feeder)) {
            each(sum.row.clone());
            let release = sum.release.as_ref();
            (loaded.releases).extend(release.map(|release| (key.clone(), release.digest)));
        }
        loaded.times = rows
            .times
            .iter()
            .filter(|(feeder, _)| is_in(feeder))
            .map(|(feeder, time)| (feeder.clone(), *time))
            .collect();
        let bills = rows.bills.keys().filter(|key| is_in(&key.feeder));
        loaded.periods = bills.map(|key| (key.feeder.clone(), key.period)).collect();
        Ok(loaded)
    }

    fn commit(&mut self, transaction: &Transaction<'_>) -> Result<Vec<Shard>, StoreError> {
        // Nobody takes a lease while what is under it is written.
        let leases = self.leases.clone();
        let table = leases
            .as_ref()
            .map(|leases| leases.lock().unwrap_or_else(PoisonError::into_inner));
        let under = &transaction.leases;
        let stands = |(shard, fence): (&Shard, &Fence)| {
            let table = table.as_ref();
            let stands = table.is_none_or(|table| table.stands(*shard, *fence));
            stands || failpoint::sabotaged("fence")
        };
        let lost: Vec<Shard> = (under.leases.iter())
            .filter(|(shard, fence)| !stands((shard, fence)))
            .map(|(shard, _)| *shard)
            .collect();
        let writes = |feeder: &FeederId| {
            let shard = under.shards.get(feeder);
            let is_proved = |shard: &Shard| under.leases.contains_key(shard);
            match &table {
                None => true,
                Some(_) => shard.is_some_and(|shard| is_proved(shard) && !lost.contains(shard)),
            }
        };
        let mut rows = self.rows();
        rows.write(transaction, &writes);
        let shards = under.shards.iter().filter(|(feeder, _)| writes(feeder));
        rows.shards
            .extend(shards.map(|(feeder, shard)| (feeder.clone(), *shard)));
        Ok(lost)
    }

    fn contributor(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        meter: &MeterId,
        digest: &Digest,
    ) -> Result<Option<(Part, bool)>, StoreError> {
        let rows = self.rows();
        Ok(rows.contributors.find((feeder, window), meter, digest))
    }

    fn contributors(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(ContributorRow),
    ) -> Result<(), StoreError> {
        let rows = self.rows();
        rows.contributors
            .rows(feeder, window)
            .cloned()
            .for_each(each);
        Ok(())
    }

    fn members(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(MemberRow),
    ) -> Result<(), StoreError> {
        let rows = self.rows();
        let members = rows.contributors.members(feeder, window);
        members.for_each(each);
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
