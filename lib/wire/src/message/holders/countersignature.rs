//! A holder's countersignature under a page of the roster.

use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::ids::HolderId;
use crate::message::Message;
use crate::units::Digest;

/// A holder has seen the meters of a page of the roster, and nothing that it knows speaks against them. It counts for as long as
/// the page has just these, and no holder that has seen a later state of the page takes it for this one any more. Signed by the holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Countersignature {
    /// The holder.
    pub holder: HolderId,
    /// The digest of the terms that it holds keys under.
    pub terms: Digest,
    /// The page, from 0.
    pub page: u16,
    /// The version of the roster with which the page came to have these entries.
    pub version: u64,
    /// The page's entries: [`RosterPage::entries_digest`](crate::RosterPage::entries_digest).
    pub entries: Digest,
}

impl Message for Countersignature {
    const CONTENT_TYPE: &'static str = "cipherwatt/countersignature";
    const FIELDS: usize = 5;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.holder.as_str());
        writer.bytes(&self.terms.0);
        writer.uint(self.page);
        writer.uint(self.version);
        writer.bytes(&self.entries.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            holder: reader.id("countersignature.holder")?,
            terms: Digest(reader.bytes_of("countersignature.terms")?),
            page: reader.u16("countersignature.page")?,
            version: reader.u64("countersignature.version")?,
            entries: Digest(reader.bytes_of("countersignature.entries")?),
        })
    }
}
