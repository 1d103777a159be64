//! Carrying all rows over from one store to another, through what every store can do.

use std::collections::BTreeSet;
use std::fmt;
use std::mem::take;

use packed::Accumulator;
use service::failpoint;
use wire::{Digest, FeederId, Salt, Shard};

use super::fit::has_ciphertext;
use super::{
    BillKey, ContributorRow, Limbs, MemberRow, Scope, Stage, Store, StoreError, StoreFormat,
    SumKey, SumRow, Transaction, damaged,
};

/// Bytes of rows in a commit, about: what is in memory at a time.
const COMMIT: usize = 8 << 20;

/// Bytes that a contributor is counted as.
const CONTRIBUTOR: usize = 256;

/// Groups of bills that are listed at a time.
const BILLS: usize = 1_000;

/// How much was carried over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Feeders that have a time.
    pub feeders: u64,
    /// Sums, in whatever stage.
    pub sums: u64,
    /// Their contributors.
    pub contributors: u64,
    /// Releases that the operator has not answered for good.
    pub releases: u64,
    /// Groups of bills.
    pub bills: u64,
}

impl fmt::Display for Carried {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} sums with {} contributors, {} unsettled releases, {} groups of bills, the times of {} feeders",
            self.sums, self.contributors, self.releases, self.bills, self.feeders
        )
    }
}

/// What there is in a store.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// All that have sums or a time.
    pub(crate) feeders: BTreeSet<FeederId>,
    sums: u64,
    times: usize,
    releases: usize,
    has_bills: bool,
}

impl Contents {
    /// Loads a store, which is this process's alone from then on.
    pub(crate) fn of(store: &mut dyn Store, format: &StoreFormat) -> Result<Self, StoreError> {
        let mut contents = Self::default();
        let loaded = store.load(format, Scope::All, &mut |row| {
            contents.sums += 1;
            contents.feeders.insert(row.key.feeder);
        })?;
        contents.times = loaded.times.len();
        contents.releases = loaded.releases.len();
        contents.has_bills = !loaded.periods.is_empty();
        let times = loaded.times.into_iter();
        contents.feeders.extend(times.map(|(feeder, _)| feeder));
        Ok(contents)
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// From which store to which, both of them loaded.
pub(crate) struct Carrying<'a> {
    pub(crate) from: &'a mut dyn Store,
    pub(crate) to: &'a mut dyn Store,
    pub(crate) format: StoreFormat,
    pub(crate) shard: &'a dyn Fn(&FeederId) -> Shard,
    /// Told after each commit what was carried over so far.
    pub(crate) progress: &'a mut dyn FnMut(&Carried),
}

/// What is read and not yet committed.
#[derive(Default)]
struct Batch {
    sums: Vec<(SumRow, Option<Accumulator>)>,
    /// All but the sums.
    rest: Transaction<'static>,
    bytes: usize,
}

impl Carrying<'_> {
    /// Carries over all that there is of these feeders, and all bills. Every row is checked on its way.
    ///
    /// # Errors
    /// [`StoreError`]: what one of the stores says, or something in the first is damaged. The other has a part of it then.
    pub(crate) fn carry(mut self, feeders: &BTreeSet<FeederId>) -> Result<Carried, StoreError> {
        let (mut carried, mut batch) = (Carried::default(), Batch::default());
        for feeder in feeders {
            self.feeder(feeder, &mut batch, &mut carried)?;
        }
        self.bills(&mut batch, &mut carried)?;
        self.commit(&mut batch, &carried)?;
        Ok(carried)
    }

    fn feeder(
        &mut self,
        feeder: &FeederId,
        batch: &mut Batch,
        carried: &mut Carried,
    ) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        let time = self.from.feeder(feeder, &mut |row| rows.push(row))?;
        if let Some(time) = time {
            batch.rest.times.push((feeder.clone(), time));
            carried.feeders += 1;
        }
        for sums in rows.chunk_by(|one, other| one.key.window == other.key.window) {
            self.window(sums, batch, carried)?;
            self.commit_if_full(batch, carried)?;
        }
        Ok(())
    }

    /// All sums of a window, in one commit: in a store the parts of a window are complete at any time.
    fn window(
        &mut self,
        sums: &[SumRow],
        batch: &mut Batch,
        carried: &mut Carried,
    ) -> Result<(), StoreError> {
        let SumKey { feeder, window, .. } = &sums[0].key;
        let mut rows = Vec::new();
        (self.from).contributors(feeder, *window, &mut |row| rows.push(row))?;
        (self.from).members(feeder, *window, &mut |member| {
            rows.push(contributor(&sums[0].key, member));
        })?;
        count(sums, &rows)?;
        carried.contributors += rows.len() as u64;
        batch.bytes += rows.len() * CONTRIBUTOR;
        batch.rest.contributors.extend(rows);
        for row in sums {
            let sum = match has_ciphertext(row) {
                true => Some(self.ciphertext(row)?),
                false => None,
            };
            if row.stage == Stage::Released {
                let release = self.from.release(&row.key)?;
                let release =
                    release.ok_or_else(|| damaged(&row.key, "release", "it is not there"))?;
                batch.bytes += release.bytes.len();
                batch.rest.releases.push(release.intact()?);
                carried.releases += 1;
            }
            // As it is added to, and as it is stored.
            let packed = row.profile.packed_len(self.format.shape.coefficients());
            batch.bytes += sum.as_ref().map_or(0, |_| 3 * packed);
            batch.sums.push((row.clone(), sum));
            carried.sums += 1;
        }
        Ok(())
    }

    fn ciphertext(&mut self, row: &SumRow) -> Result<Accumulator, StoreError> {
        let record = self.from.record(&row.key)?;
        let record = record.ok_or_else(|| damaged(&row.key, "sum", "it is not there"))?;
        let coefficients = self.format.shape.coefficients();
        let packed = row.packed(record)?;
        let sum = Accumulator::from_packed(row.profile, coefficients, &packed, row.contributors);
        sum.map_err(|error| damaged(&row.key, "sum", error.to_string()))
    }

    fn bills(&mut self, batch: &mut Batch, carried: &mut Carried) -> Result<(), StoreError> {
        let mut last: Option<BillKey> = None;
        loop {
            let keys = self.from.bills(last.as_ref(), BILLS)?;
            // The first is the last of those before.
            let new = &keys[usize::from(last.is_some()).min(keys.len())..];
            let Some(end) = new.last() else {
                return Ok(());
            };
            for key in new {
                let record = self.from.bill(key)?.unwrap_or_default();
                key.body(&record)?;
                batch.bytes += record.len();
                batch.rest.bills.push((key.clone(), Some(record)));
                carried.bills += 1;
                self.commit_if_full(batch, carried)?;
            }
            last = Some(end.clone());
        }
    }

    fn commit_if_full(&mut self, batch: &mut Batch, carried: &Carried) -> Result<(), StoreError> {
        match batch.bytes < COMMIT {
            true => Ok(()),
            false => self.commit(batch, carried),
        }
    }

    fn commit(&mut self, batch: &mut Batch, carried: &Carried) -> Result<(), StoreError> {
        let Batch { sums, rest, .. } = take(batch);
        let sums = sums.iter().map(|(row, sum)| {
            let limbs = sum.as_ref().map_or(Limbs::Gone, Limbs::Changed);
            (row.clone(), limbs)
        });
        let mut transaction = Transaction {
            sums: sums.collect(),
            ..rest
        };
        let feeders: BTreeSet<_> = transaction.feeders().cloned().collect();
        let shards = feeders.into_iter().map(|feeder| {
            let shard = (self.shard)(&feeder);
            (feeder, shard)
        });
        transaction.leases.shards = shards.collect();
        failpoint::hit("analytics.migrate");
        self.to.commit(&transaction)?;
        (self.progress)(carried);
        Ok(())
    }
}

/// A member as one that is added to its sum: it keeps of it what it had.
fn contributor(of: &SumKey, member: MemberRow) -> ContributorRow {
    let mut digest = [0; 32];
    digest[..member.digest.len()].copy_from_slice(&member.digest);
    ContributorRow {
        key: SumKey {
            part: member.part,
            ..of.clone()
        },
        meter: member.meter,
        number: 0,
        salt: Salt([0; 8]),
        digest: Digest(digest),
    }
}

/// Compares the contributors of a window with what its sums say of them.
fn count(sums: &[SumRow], rows: &[ContributorRow]) -> Result<(), StoreError> {
    let mut known = 0;
    for sum in sums {
        let of_sum = rows.iter().filter(|row| row.key.part == sum.key.part);
        let found = of_sum.count();
        known += found;
        let expected = sum.contributors as usize;
        // Of a divided one they leave when they come again.
        if found > expected || (found < expected && sum.stage != Stage::Divided) {
            let problem = format!("{found} contributors are stored, not {expected}");
            return Err(damaged(&sum.key, "sum", problem));
        }
    }
    match known == rows.len() {
        true => Ok(()),
        false => Err(damaged(
            &sums[0].key,
            "sum",
            "its window has contributors of no sum",
        )),
    }
}
