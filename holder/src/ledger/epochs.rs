//! Key epochs of plans that this holder went by: a plan names two, and a sum that was held may be of an earlier one.

use std::collections::BTreeMap;

use redb::{Error, ReadableDatabase as _, ReadableTable as _};
use wire::{EpochPlan, KeyEpoch, MaskKey, WindowStart};

use super::tables::EPOCHS;
use super::{Ledger, LedgerError};

impl Ledger {
    /// All of them.
    pub(crate) fn epochs(&self) -> Result<BTreeMap<KeyEpoch, EpochPlan>, LedgerError> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(EPOCHS)?;
            let rows = table.iter()?.map(|row| {
                let (epoch, row) = row?;
                let epoch = KeyEpoch(epoch.value());
                let (fingerprint, mask_key, first_window, key_len) = row.value();
                let known = EpochPlan {
                    epoch,
                    fingerprint: *fingerprint,
                    mask_key: MaskKey(*mask_key),
                    first_window: WindowStart(first_window),
                    key_len,
                };
                Ok((epoch, known))
            });
            rows.collect()
        };
        self.at(read())
    }

    /// Remembers one.
    pub(crate) fn know_epoch(&mut self, epoch: &EpochPlan) -> Result<(), LedgerError> {
        let write = || -> Result<(), Error> {
            let changes = self.database.begin_write()?;
            let row = (
                &epoch.fingerprint,
                epoch.mask_key.as_bytes(),
                epoch.first_window.0,
                epoch.key_len,
            );
            changes.open_table(EPOCHS)?.insert(epoch.epoch.0, row)?;
            Ok(changes.commit()?)
        };
        let written = write();
        self.at(written)
    }
}
