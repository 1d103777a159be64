//! One page of the list of enrolled meters.

use super::Message;
use crate::cbor::{Reader, Writer, ascending};
use crate::error::WireError;
use crate::ids::{FeederId, GatewayId, MeterId};
use crate::keys::VerifyingKey;
use crate::topic::MAX_ROSTER_PAGES;
use crate::units::Watts;

/// The most entries of a page. With ids of the greatest length a page is below 4 MB.
pub const MAX_ROSTER_ENTRIES: usize = 16_384;

/// An enrolled meter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the types say what the fields are")]
pub struct RosterEntry {
    pub meter: MeterId,
    pub feeder: FeederId,
    pub gateway: GatewayId,
    pub capacity_w: Watts,
    pub key: VerifyingKey,
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
}

impl Message for RosterPage {
    const CONTENT_TYPE: &'static str = "cipherwatt/roster";
    const FIELDS: usize = 4;

    fn write(&self, writer: &mut Writer) {
        writer.uint(self.version);
        writer.uint(self.page);
        writer.uint(self.pages);
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|entry| &entry.meter);
        writer.list(&entries, |writer, entry| {
            writer.array(5);
            writer.text(entry.meter.as_str());
            writer.text(entry.feeder.as_str());
            writer.text(entry.gateway.as_str());
            writer.uint(entry.capacity_w.0);
            writer.bytes(entry.key.as_bytes());
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let version = reader.u64("roster.version")?;
        let page = reader.u16_in(0, MAX_ROSTER_PAGES - 1, "roster.page")?;
        let pages = reader.u16_in(page + 1, MAX_ROSTER_PAGES, "roster.pages")?;
        let entries = reader.list(MAX_ROSTER_ENTRIES, "roster.entries", |reader| {
            reader.array_of(5, "roster.entry")?;
            Ok(RosterEntry {
                meter: reader.id("roster.meter")?,
                feeder: reader.id("roster.feeder")?,
                gateway: reader.id("roster.gateway")?,
                capacity_w: Watts(reader.u64("roster.capacity_w")?),
                key: VerifyingKey::from_bytes(reader.bytes_of("roster.key")?),
            })
        })?;
        ascending(&entries, "roster.entries", |a, b| a.meter < b.meter)?;
        Ok(Self {
            version,
            page,
            pages,
            entries,
        })
    }
}
