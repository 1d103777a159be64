//! [`PostgresStore`] as a [`Store`].

use tokio_postgres::types::ToSql;
use wire::{Digest, FeederId, MeterId, Part, Shard, WindowStart};

use super::columns::{bands_column, day};
use super::fault::corrupt;
use super::share::Share;
use super::{LONG, PostgresStore, load, read};
use crate::store::{
    BillKey, ContributorRow, Loaded, MemberRow, ReleaseRow, Scope, Store, StoreError, StoreFormat,
    SumKey, SumRow, Transaction,
};

/// The columns that name a sum, as parameters.
macro_rules! parameters {
    ($key:expr) => {
        [
            &$key.feeder.as_str() as &(dyn ToSql + Sync),
            &$key.window.0.cast_signed(),
            &i32::from($key.part.0),
        ]
    };
}

/// The columns that name a group of a bill, as parameters.
macro_rules! bill_parameters {
    ($key:expr) => {
        [
            &$key.feeder.as_str() as &(dyn ToSql + Sync),
            &$key.period.0.cast_signed(),
            &$key.meter.as_str(),
            &$key.epoch.0.cast_signed(),
            &$key.plan_version.0.cast_signed(),
            &bands_column($key.bands),
        ]
    };
}

impl Store for PostgresStore {
    fn load(
        &mut self,
        format: &StoreFormat,
        scope: Scope<'_>,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Loaded, StoreError> {
        self.looked = None;
        let (migrates, place) = (self.migrates, self.place());
        let (run, shards) = match scope {
            Scope::All => (Some(self.run), None),
            Scope::Shards(shards) => {
                let shards = shards.iter().map(|shard| shard.0.cast_signed());
                (None, Some(shards.collect()))
            }
        };
        let loaded = self.connection.run("read", LONG, async |session| {
            // On its own: what is read after it takes long, and holds nothing up.
            let changes = session.client.transaction().await?;
            if let Err(error) = load::bind(changes, format, run, (migrates, &place)).await? {
                return Ok(Err(error));
            }
            let changes = session.client.transaction().await?;
            changes
                .batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL enable_mergejoin = on")
                .await?;
            let loaded = load::load(&changes, shards, each).await?;
            changes.commit().await?;
            Ok(loaded.map_err(|problem| corrupt(&place, problem)))
        })??;
        self.own = run.is_some();
        Ok(loaded)
    }

    fn commit(&mut self, transaction: &Transaction<'_>) -> Result<Vec<Shard>, StoreError> {
        let mut share = Share::whole(transaction, self.own);
        while !share.is_nothing() {
            let lost = self.attempt(&share)?;
            if lost.is_empty() {
                break;
            }
            // Nothing was written. What is of the other shards is, unless more are lost meanwhile.
            share.lost.extend(lost);
        }
        let windows = transaction.reclaimed.iter();
        self.days
            .passed(windows.map(|(_, window)| day(window.0.cast_signed())));
        self.look_after();
        Ok(share.lost.into_iter().collect())
    }

    fn contributor(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        meter: &MeterId,
        digest: &Digest,
    ) -> Result<Option<(Part, bool)>, StoreError> {
        let looked = self.look_at(feeder, window)?;
        let seat = looked.seats.get(meter).copied();
        Ok(looked.contributors.of(meter, seat, digest))
    }

    fn contributors(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(ContributorRow),
    ) -> Result<(), StoreError> {
        let key = SumKey {
            feeder: feeder.clone(),
            window,
            part: Part(0),
        };
        let looked = self.look_at(feeder, window)?;
        looked.contributors.each_whole(&key, each);
        Ok(())
    }

    fn members(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(MemberRow),
    ) -> Result<(), StoreError> {
        let members = self.look_at(feeder, window)?.members();
        let members = members.map_err(|problem| corrupt(&self.place(), problem))?;
        members.into_iter().for_each(each);
        Ok(())
    }

    fn feeder(
        &mut self,
        feeder: &FeederId,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Option<u64>, StoreError> {
        let place = self.place();
        for row in self.rows(read::FEEDER, &[&feeder.as_str()])? {
            each(read::whole_sum(&row).map_err(|problem| corrupt(&place, problem))?);
        }
        let time = self.one(read::TIME, &[&feeder.as_str()], |row| {
            let time: Option<i64> = row.try_get(0).map_err(|error| error.to_string())?;
            Ok(time.map(i64::cast_unsigned))
        })?;
        Ok(time.flatten())
    }

    fn sum(&mut self, key: &SumKey) -> Result<Option<SumRow>, StoreError> {
        self.one(read::SUM, &parameters!(key), read::whole_sum)
    }

    fn record(&mut self, key: &SumKey) -> Result<Option<Vec<u8>>, StoreError> {
        let record = self.one(read::RECORD, &parameters!(key), |row| {
            row.try_get(0).map_err(|error| error.to_string())
        })?;
        Ok(record.flatten())
    }

    fn release(&mut self, key: &SumKey) -> Result<Option<ReleaseRow>, StoreError> {
        self.one(read::RELEASE, &parameters!(key), |row| {
            read::release(key, row)
        })
    }

    fn bill(&mut self, key: &BillKey) -> Result<Option<Vec<u8>>, StoreError> {
        let key: [&(dyn ToSql + Sync); 6] = bill_parameters!(key);
        self.one(read::BILL, &key, |row| {
            row.try_get(0).map_err(|error| error.to_string())
        })
    }

    fn bills(&mut self, from: Option<&BillKey>, most: usize) -> Result<Vec<BillKey>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = match from {
            None => {
                let least = (i64::MIN, i32::MIN);
                self.rows(
                    read::BILLS,
                    &[&"", &least.0, &"", &least.1, &least.0, &least.0, &most],
                )?
            }
            Some(key) => {
                let [a, b, c, d, e, f] = bill_parameters!(key);
                self.rows(read::BILLS, &[a, b, c, d, e, f, &most])?
            }
        };
        let keys: Result<_, _> = rows.iter().map(read::bill_key).collect();
        keys.map_err(|problem| corrupt(&self.place(), problem))
    }

    fn bytes(&self) -> u64 {
        self.bytes.0
    }
}
