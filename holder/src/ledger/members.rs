//! Who is enrolled, as far as this holder knows.

use std::collections::BTreeMap;

use redb::{Error, ReadableDatabase as _, ReadableTable as _};
use service::trust::Member;
use wire::{CapacityClass, FeederId, IdError, MaskKey, MeterId, VerifyingKey};

use super::tables::{MEMBERS, PAGES, PRESENT};
use super::{Ledger, LedgerError};

impl Ledger {
    /// Every meter, to `take`.
    pub(crate) fn members(
        &self,
        mut take: impl FnMut(FeederId, u32, Member),
    ) -> Result<(), LedgerError> {
        let damaged = |what: &dyn std::fmt::Display| Error::Corrupted(what.to_string());
        let mut read = || -> Result<(), Error> {
            let view = self.database.begin_read()?;
            for row in view.open_table(MEMBERS)?.iter()? {
                let (key, row) = row?;
                let (feeder, number) = key.value();
                let (meter, key, mask_key, capacity, billing, gateway) = row.value();
                let member = Member {
                    meter: meter.parse().map_err(|error| damaged(&error))?,
                    capacity: CapacityClass::from_number(capacity)
                        .ok_or_else(|| damaged(&"a class of capacity"))?,
                    key: VerifyingKey::from_bytes(*key),
                    mask_key: MaskKey(*mask_key),
                    billing,
                    gateway: gateway.parse().map_err(|error| damaged(&error))?,
                };
                take(
                    feeder.parse().map_err(|error| damaged(&error))?,
                    number,
                    member,
                );
            }
            Ok(())
        };
        let read = read();
        self.at(read)
    }

    /// The newest version of each page of the roster that was taken or countersigned.
    pub(crate) fn page_versions(&self) -> Result<BTreeMap<u16, u64>, LedgerError> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(PAGES)?;
            let rows = table.iter()?.map(|row| {
                let (page, version) = row?;
                Ok((page.value(), version.value()))
            });
            rows.collect()
        };
        self.at(read())
    }

    /// Who is in which page of the roster, to `take`.
    pub(crate) fn present(&self, mut take: impl FnMut(u16, MeterId)) -> Result<(), LedgerError> {
        let mut read = || -> Result<(), Error> {
            for row in self.database.begin_read()?.open_table(PRESENT)?.iter()? {
                let (key, _) = row?;
                let (page, meter) = key.value();
                let meter = meter.parse();
                take(
                    page,
                    meter.map_err(|error: IdError| Error::Corrupted(error.to_string()))?,
                );
            }
            Ok(())
        };
        let read = read();
        self.at(read)
    }

    /// Writes meters down, each new or with another capacity than before, of this version of a page of the roster; and who came to it,
    /// and who left.
    pub(crate) fn enrol<'a>(
        &mut self,
        members: impl Iterator<Item = (&'a FeederId, u32, &'a Member)>,
        version: u64,
        (page, came, left): (u16, &[MeterId], &[MeterId]),
    ) -> Result<(), LedgerError> {
        let write = || -> Result<(), Error> {
            let changes = self.database.begin_write()?;
            {
                let mut table = changes.open_table(MEMBERS)?;
                for (feeder, number, member) in members {
                    let row = (
                        member.meter.as_str(),
                        member.key.as_bytes(),
                        member.mask_key.as_bytes(),
                        member.capacity.number(),
                        member.billing,
                        member.gateway.as_str(),
                    );
                    table.insert((feeder.as_str(), number), row)?;
                }
                let mut present = changes.open_table(PRESENT)?;
                for meter in left {
                    present.remove((page, meter.as_str()))?;
                }
                for meter in came {
                    present.insert((page, meter.as_str()), ())?;
                }
                changes.open_table(PAGES)?.insert(page, version)?;
            }
            Ok(changes.commit()?)
        };
        let written = write();
        self.at(written)
    }
}
