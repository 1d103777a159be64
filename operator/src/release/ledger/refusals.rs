//! How many answers under each key epoch said no.

use redb::ReadableDatabase as _;
use wire::KeyEpoch;

use super::error::LedgerError;
use super::store::{REFUSALS, Store, count_refusals};

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

    /// Counts so many more refusals of a key epoch. On an error they are owed: nobody is told how many there are before they
    /// are counted.
    pub(super) fn refuse(&mut self, epoch: KeyEpoch, answers: u32) -> Result<(), LedgerError> {
        self.add_owed()?;
        self.owed_refusals.push((epoch, answers));
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
            for (epoch, answers) in &owed {
                count_refusals(&mut changes.open_table(REFUSALS)?, *epoch, *answers)?;
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
