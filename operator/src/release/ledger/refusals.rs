//! How many answers under each key epoch said no.

use redb::ReadableDatabase as _;
use wire::KeyEpoch;

use super::error::LedgerError;
use super::store::{REFUSALS, Store, count_refusals};

impl Store {
    /// How many answers under a key epoch said no: sums that did not open, and culprits of searches.
    pub(super) fn refusals(&mut self, epoch: KeyEpoch) -> Result<u32, LedgerError> {
        self.add_owed()?;
        self.with(|database| {
            let table = database.begin_read()?.open_table(REFUSALS)?;
            Ok(table.get(epoch.0)?.map_or(0, |count| count.value()))
        })
    }

    /// Counts so many more refusals of a key epoch.
    pub(super) fn refuse(&mut self, epoch: KeyEpoch, answers: u32) -> Result<(), LedgerError> {
        self.add_owed()?;
        self.with(|database| {
            let mut changes = database.begin_write()?;
            changes.set_quick_repair(true);
            count_refusals(&mut changes.open_table(REFUSALS)?, epoch, answers)?;
            changes.commit()?;
            Ok(())
        })
    }
}
