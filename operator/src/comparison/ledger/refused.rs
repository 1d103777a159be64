//! Sums that were refused after something of them was decrypted.

use redb::{Error, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use wire::{FeederId, KeyEpoch, Reason, Sum};

use super::{ComparisonLedger, ComparisonLedgerError, SumKey};
use crate::release::budget::Counted;

/// Sums that are not compared, and why. What it follows from was decrypted, so it is not asked twice.
pub(super) const REFUSED: TableDefinition<SumKey, &str> = TableDefinition::new("refused");

/// By key epoch and feeder how many of them did not open.
pub(super) const REFUSALS: TableDefinition<(u32, &str), u32> = TableDefinition::new("refusals");

impl ComparisonLedger {
    /// Why a sum of the same window and part is not compared, if it was refused after something of it was decrypted.
    pub(in crate::comparison) fn refused(
        &self,
        sum: &Sum,
    ) -> Result<Option<Reason>, ComparisonLedgerError> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(REFUSED)?;
            let row = table.get((sum.window.0, sum.feeder.as_str(), sum.part.0))?;
            Ok(row.and_then(|row| row.value().parse().ok()))
        };
        self.at(read())
    }

    /// How many sums under a key did not open.
    pub(in crate::comparison) fn refusals(
        &self,
        epoch: KeyEpoch,
        feeder: &FeederId,
    ) -> Result<Counted, ComparisonLedgerError> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(REFUSALS)?;
            let mut counted = Counted::default();
            for row in table.range((epoch.0, "")..)? {
                let (key, count) = row?;
                let (of_epoch, of_feeder) = key.value();
                if of_epoch != epoch.0 {
                    break;
                }
                counted.all = counted.all.saturating_add(count.value());
                if of_feeder == feeder.as_str() {
                    counted.feeder = count.value();
                }
            }
            Ok(counted)
        };
        self.at(read())
    }

    /// Makes it durable that a sum is not compared. Only then may anybody hear of it.
    pub(in crate::comparison) fn refuse(
        &mut self,
        sum: &Sum,
        reason: Reason,
    ) -> Result<(), ComparisonLedgerError> {
        let write = || -> Result<(), Error> {
            let changes = self.database.begin_write()?;
            {
                let key = (sum.window.0, sum.feeder.as_str(), sum.part.0);
                changes.open_table(REFUSED)?.insert(key, reason.as_str())?;
                let mut refusals = changes.open_table(REFUSALS)?;
                let of = (sum.epoch.0, sum.feeder.as_str());
                let count = refusals.get(of)?.map_or(0, |row| row.value());
                if reason == Reason::NotOpened {
                    refusals.insert(of, count.saturating_add(1))?;
                }
            }
            Ok(changes.commit()?)
        };
        self.at(write())
    }
}
