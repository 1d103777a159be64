//! A holder demands the signed reports behind a sum.

use crate::cbor::{Reader, Writer, ascending};
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::{FeederId, HolderId, MeterId};
use crate::message::Message;
use crate::units::{Digest, UnixMillis};

/// The most meters that one demand names.
pub const MAX_DEMANDED: usize = 256;

/// A holder demands reports of one gateway, which a sum that it consented to is said to be of. The gateway answers with each report as
/// it was sent, on a topic of the holder's; what it has not it says nothing about. Signed by the holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditDemand {
    /// The holder.
    pub holder: HolderId,
    /// The digest of the terms that hold for the window.
    pub terms: Digest,
    /// Wall time of the demand; each of a holder is later than the one before.
    pub issued_at: UnixMillis,
    /// The feeder.
    pub feeder: FeederId,
    /// The start of the window.
    pub window: WindowStart,
    /// The meters, ascending, at least one and at most [`MAX_DEMANDED`].
    pub meters: Vec<MeterId>,
}

impl Message for AuditDemand {
    const CONTENT_TYPE: &'static str = "cipherwatt/audit-demand";
    const FIELDS: usize = 6;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.holder.as_str());
        writer.bytes(&self.terms.0);
        writer.uint(self.issued_at.0);
        writer.text(self.feeder.as_str());
        writer.uint(self.window.0);
        writer.list(&self.meters, |writer, meter| writer.text(meter.as_str()));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            holder: reader.id("audit_demand.holder")?,
            terms: Digest(reader.bytes_of("audit_demand.terms")?),
            issued_at: reader.millis("audit_demand.issued_at")?,
            feeder: reader.id("audit_demand.feeder")?,
            window: reader.window("audit_demand.window")?,
            meters: reader.list(MAX_DEMANDED, "audit_demand.meters", |reader| {
                reader.id("audit_demand.meter")
            })?,
        })
    }

    fn check(&self) -> Result<(), WireError> {
        let field = "audit_demand.meters";
        match self.meters.is_empty() {
            true => Err(WireError::Empty { field }),
            false => ascending(&self.meters, field, |a, b| a < b),
        }
    }
}
