//! One page of the list of enrolled meters.

use std::collections::HashSet;

use bytes::Bytes;

use super::Message;
use super::holders::read_signed;
use crate::capacity::CapacityClass;
use crate::cbor::{Reader, Writer, ascending};
use crate::contributors::MAX_METER_NUMBER;
use crate::error::WireError;
use crate::ids::{FeederId, GatewayId, MeterId};
use crate::keys::{MaskKey, VerifyingKey};
use crate::topic::MAX_ROSTER_PAGES;
use crate::units::Digest;

/// The most entries of a page. With ids of the greatest length a page is below 5 MB.
pub const MAX_ROSTER_ENTRIES: usize = 16_384;

/// An enrolled meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterEntry {
    /// The meter.
    pub meter: MeterId,
    /// Its feeder.
    pub feeder: FeederId,
    /// Its number on the feeder, at most [`MAX_METER_NUMBER`]: counted up from 0, the meter's for good, and never
    /// another's.
    pub number: u32,
    /// The gateway it is behind.
    pub gateway: GatewayId,
    /// The class of its declared capacity.
    pub capacity: CapacityClass,
    /// The key that its reports are signed with.
    pub key: VerifyingKey,
    /// The key that its masks are agreed with.
    pub mask_key: MaskKey,
    /// Whether the energy of each of its tariff bands over a billing period may be opened.
    pub billing: bool,
}

/// One page of a roster. Signed by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterPage {
    /// The version of the roster; each change raises it.
    pub version: u64,
    /// Which page this is, from 0.
    pub page: u16,
    /// How many pages the roster has.
    pub pages: u16,
    /// The meters of the page. On the wire they ascend by meter without duplicates; sealing sorts.
    pub entries: Vec<RosterEntry>,
    /// The COSE_Sign1 of each holder's [`Countersignature`](crate::Countersignature) of the entries, where there are holders.
    pub countersignatures: Vec<Bytes>,
}

impl RosterPage {
    /// SHA-256 of the entries' encoding: what holders countersign.
    pub fn entries_digest(&self) -> Digest {
        let mut writer = Writer::new();
        self.write_entries(&mut writer);
        Digest::of(&writer.into_bytes())
    }

    fn write_entries(&self, writer: &mut Writer) {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|entry| &entry.meter);
        writer.list(&entries, |writer, entry| {
            writer.array(7 + usize::from(entry.billing));
            writer.text(entry.meter.as_str());
            writer.text(entry.feeder.as_str());
            writer.uint(entry.number);
            writer.text(entry.gateway.as_str());
            writer.uint(entry.capacity.number());
            writer.bytes(entry.key.as_bytes());
            writer.bytes(entry.mask_key.as_bytes());
            writer.flag(entry.billing);
        });
    }
}

impl Message for RosterPage {
    const CONTENT_TYPE: &'static str = "cipherwatt/roster";
    const FIELDS: usize = 5;

    fn write(&self, writer: &mut Writer) {
        writer.uint(self.version);
        writer.uint(self.page);
        writer.uint(self.pages);
        self.write_entries(writer);
        writer.list(&self.countersignatures, |writer, signed| {
            writer.bytes(signed)
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let version = reader.u64("roster.version")?;
        let page = reader.u16_in(0, MAX_ROSTER_PAGES - 1, "roster.page")?;
        let pages = reader.u16_in(page + 1, MAX_ROSTER_PAGES, "roster.pages")?;
        let entries = reader.list(MAX_ROSTER_ENTRIES, "roster.entries", |reader| {
            let billing = reader.flagged_array_of(7, "roster.entry")?;
            Ok(RosterEntry {
                meter: reader.id("roster.meter")?,
                feeder: reader.id("roster.feeder")?,
                number: reader.u32_in(0, MAX_METER_NUMBER, "roster.number")?,
                gateway: reader.id("roster.gateway")?,
                capacity: reader.capacity("roster.capacity")?,
                key: VerifyingKey::from_bytes(reader.bytes_of("roster.key")?),
                mask_key: reader.mask_key("roster.mask_key")?,
                billing: reader.flag(billing, "roster.billing")?,
            })
        })?;
        let countersignatures = read_signed(reader, "roster.countersignatures")?;
        Ok(Self {
            version,
            page,
            pages,
            entries,
            countersignatures,
        })
    }

    fn check(&self) -> Result<(), WireError> {
        let before = |a: &RosterEntry, b: &RosterEntry| a.meter < b.meter;
        ascending(&self.entries, "roster.entries", before)?;
        // Numbers that another page has too are found where the pages come together.
        let mut taken = HashSet::with_capacity(self.entries.len());
        for entry in &self.entries {
            if !taken.insert((&entry.feeder, entry.number)) {
                return Err(WireError::NumberTwice {
                    feeder: entry.feeder.clone(),
                    number: entry.number,
                });
            }
        }
        Ok(())
    }
}
