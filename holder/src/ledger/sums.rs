//! Sums as analytics signed them, for as long as their reports may be asked for, and which of them are to be audited.

use bytes::Bytes;
use redb::{Error, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, Table};
use wire::{Digest, FeederId, WindowStart};

use super::tables::{ConsentKey, SUMS, SumRow};
use super::{Entered, Ledger, LedgerError, feeder_id};

/// Whether a sum is to be audited: nobody says so, it is, or it was.
const UNASKED: u8 = 0;
const ASKED: u8 = 1;
const AUDITED: u8 = 2;

/// Names a sum that was consented to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SumKey {
    pub(crate) window: WindowStart,
    /// The feeder whose topic it came on.
    pub(crate) feeder: FeederId,
    /// What its masks follow from.
    pub(crate) content: Digest,
}

/// A sum that was consented to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptSum {
    pub(crate) key: SumKey,
    /// The COSE_Sign1.
    pub(crate) signed: Bytes,
}

type Sums<'a> = Table<'a, ConsentKey, SumRow>;

/// Keeps the sum that is consented to.
pub(super) fn keep(table: &mut Sums<'_>, entered: &Entered<'_>) -> Result<(), Error> {
    let Some((feeder, share)) = entered.shares.first() else {
        return Ok(());
    };
    let state = if entered.is_audited { ASKED } else { UNASKED };
    let key = (entered.window.0, feeder.as_str(), &share.content.0);
    table.insert(key, (state, &entered.signed[..]))?;
    Ok(())
}

/// Forgets the sums of windows before `first`, but for those that are still to be audited: whoever audits ends them.
pub(super) fn forget(table: &mut Sums<'_>, first: u64) -> Result<(), Error> {
    Ok(table.retain_in(..(first, "", &[0; 32]), |_, (state, _)| state == ASKED)?)
}

impl Ledger {
    /// The sums that are to be audited, the oldest window first.
    pub(crate) fn to_audit(&self) -> Result<Vec<SumKey>, LedgerError> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(SUMS)?;
            let mut sums = Vec::new();
            for row in table.iter()? {
                let (key, row) = row?;
                if row.value().0 == ASKED {
                    sums.push(sum_key(key.value())?);
                }
            }
            Ok(sums)
        };
        self.at(read())
    }

    /// A sum, if it is still there.
    pub(crate) fn sum(&self, key: &SumKey) -> Result<Option<KeptSum>, LedgerError> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(SUMS)?;
            let row = table.get((key.window.0, key.feeder.as_str(), &key.content.0))?;
            Ok(row.map(|row| KeptSum {
                key: key.clone(),
                signed: Bytes::copy_from_slice(row.value().1),
            }))
        };
        self.at(read())
    }

    /// The sums of a window that are still there.
    pub(crate) fn sums_of(&self, window: WindowStart) -> Result<Vec<KeptSum>, LedgerError> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(SUMS)?;
            let range = (window.0, "", &[0; 32])..(window.0 + 1, "", &[0; 32]);
            let sums = table.range(range)?.map(|row| {
                let (key, row) = row?;
                kept(key.value(), row.value().1)
            });
            sums.collect()
        };
        self.at(read())
    }

    /// One of the sums that are still there, by a number drawn for it.
    pub(crate) fn any_sum(&self, drawn: u64) -> Result<Option<KeptSum>, LedgerError> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(SUMS)?;
            let Some(at) = drawn.checked_rem(table.len()?) else {
                return Ok(None);
            };
            let row = table.iter()?.nth(at as usize).transpose()?;
            row.map(|(key, row)| kept(key.value(), row.value().1))
                .transpose()
        };
        self.at(read())
    }

    /// Remembers whether a sum is to be audited, or was. One that is forgotten stays so.
    pub(crate) fn audit(&mut self, key: &SumKey, is_done: bool) -> Result<(), LedgerError> {
        let write = || -> Result<(), Error> {
            let changes = self.database.begin_write()?;
            {
                let mut table = changes.open_table(SUMS)?;
                let key = (key.window.0, key.feeder.as_str(), &key.content.0);
                let signed = table.get(key)?.map(|row| row.value().1.to_vec());
                if let Some(signed) = signed {
                    let state = if is_done { AUDITED } else { ASKED };
                    table.insert(key, (state, &signed[..]))?;
                }
            }
            Ok(changes.commit()?)
        };
        let written = write();
        self.at(written)
    }
}

fn kept(key: (u64, &str, &[u8; 32]), signed: &[u8]) -> Result<KeptSum, Error> {
    Ok(KeptSum {
        key: sum_key(key)?,
        signed: Bytes::copy_from_slice(signed),
    })
}

fn sum_key((window, feeder, content): (u64, &str, &[u8; 32])) -> Result<SumKey, Error> {
    Ok(SumKey {
        window: WindowStart(window),
        feeder: feeder_id(feeder)?,
        content: Digest(*content),
    })
}
