//! The ciphertext of each sum that was consented to: adding is exact, so the same reports have no other.

use bytes::Bytes;
use redb::{Error, ReadableDatabase as _, ReadableTable as _, WriteTransaction};
use wire::{Detached, Digest, Sum, WindowStart};

use super::tables::{CIPHERTEXTS, SUMS};
use super::{Entered, Ledger, LedgerError};

/// Keeps what analytics signed of the ciphertext that is consented to.
pub(super) fn keep(changes: &WriteTransaction, entered: &Entered<'_>) -> Result<(), Error> {
    let Some((_, share)) = entered.shares.first() else {
        return Ok(());
    };
    let mut table = changes.open_table(CIPHERTEXTS)?;
    let key = (entered.window.0, &share.content.0);
    table.insert(key, &entered.ciphertext.0)?;
    Ok(())
}

/// Forgets those of windows before `first`.
pub(super) fn forget(changes: &WriteTransaction, first: u64) -> Result<(), Error> {
    let mut table = changes.open_table(CIPHERTEXTS)?;
    Ok(table.retain_in(..(first, &[0; 32]), |_, _| false)?)
}

/// Those of the sums that are still there as they were signed.
pub(super) fn fill(changes: &WriteTransaction) -> Result<(), Error> {
    let mut table = changes.open_table(CIPHERTEXTS)?;
    for row in changes.open_table(SUMS)?.iter()? {
        let (key, row) = row?;
        let signed = Detached::<Sum>::decode(&Bytes::copy_from_slice(row.value().1)).ok();
        if let Some(ciphertext) = signed.and_then(|signed| signed.claimed_limbs_digest()) {
            let (window, _, content) = key.value();
            table.insert((window, content), &ciphertext.0)?;
        }
    }
    Ok(())
}

impl Ledger {
    /// SHA-256 of the ciphertext that was consented to as the sum of these reports; none of what format 2 had forgotten by the time
    /// that it was taken over.
    pub(crate) fn ciphertext(
        &self,
        window: WindowStart,
        content: &Digest,
    ) -> Result<Option<Digest>, LedgerError> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(CIPHERTEXTS)?;
            let row = table.get((window.0, &content.0))?;
            Ok(row.map(|row| Digest(*row.value())))
        };
        self.at(read())
    }
}
