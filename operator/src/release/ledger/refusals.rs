//! How many answers under each key epoch said no, and about which feeders.

use redb::{ReadableDatabase as _, TableError};
use wire::{FeederId, KeyEpoch};

use super::error::LedgerError;
use super::store::{OF_FEEDER, REFUSALS, Refusals, Store, count};

impl Store {
    /// How many answers under a key epoch said no: sums that did not open, and culprits of searches.
    pub(super) fn refusals(&mut self, epoch: KeyEpoch) -> Result<u32, LedgerError> {
        self.add_owed()?;
        self.add_owed_refusals()?;
        self.with(|database| {
            let table = database.begin_read()?.open_table(REFUSALS)?;
            Ok(table.get(epoch.0)?.map_or(0, |count| count.value()))
        })
    }

    /// How many of them were about a feeder.
    pub(super) fn refusals_of(
        &mut self,
        epoch: KeyEpoch,
        feeder: &FeederId,
    ) -> Result<u32, LedgerError> {
        self.add_owed()?;
        self.add_owed_refusals()?;
        self.with(|database| {
            let table = match database.begin_read()?.open_table(OF_FEEDER) {
                // Nothing has been counted since an earlier version.
                Err(TableError::TableDoesNotExist(_)) => return Ok(0),
                table => table?,
            };
            let counted = table.get((epoch.0, feeder.as_str()))?;
            Ok(counted.map_or(0, |count| count.value()))
        })
    }

    /// Counts so many more refusals of a key epoch. On an error they are owed: nobody is told how many there are before they
    /// are counted.
    pub(super) fn refuse(&mut self, refusals: Refusals) -> Result<(), LedgerError> {
        self.add_owed()?;
        self.owed_refusals.push(refusals);
        self.add_owed_refusals()
    }

    fn add_owed_refusals(&mut self) -> Result<(), LedgerError> {
        if self.owed_refusals.is_empty() {
            return Ok(());
        }
        let owed = std::mem::take(&mut self.owed_refusals);
        let counted = self.with(|database| {
            let mut changes = database.begin_write()?;
            changes.set_quick_repair(true);
            for refusals in &owed {
                let epoch = refusals.epoch.0;
                count(&mut changes.open_table(REFUSALS)?, epoch, refusals.answers)?;
                let (feeder, answers) = &refusals.of_feeder;
                let key = (epoch, feeder.as_str());
                count(&mut changes.open_table(OF_FEEDER)?, key, *answers)?;
            }
            changes.commit()?;
            Ok(())
        });
        if counted.is_err() {
            self.owed_refusals = owed;
        }
        counted
    }
}
