//! What became of a gateway's reports.

use super::Message;
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::{AnalyticsId, GatewayId, MeterId};
use crate::reason::Reason;
use crate::units::Digest;

/// The most entries of a receipt.
pub const MAX_RECEIPT_ENTRIES: usize = 16_384;

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It is in a sum.
    Folded,
    /// It was in a sum before: as good as folded.
    Duplicate,
    /// It was refused.
    Rejected(Reason),
}

impl Status {
    /// The number on the wire: 0, 1, or the reason's code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Folded => 0,
            Self::Duplicate => 1,
            Self::Rejected(reason) => reason.code(),
        }
    }

    /// The status with this number, if there is one.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Folded),
            1 => Some(Self::Duplicate),
            code => Reason::from_code(code).map(Self::Rejected),
        }
    }
}

/// What became of one report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptEntry {
    /// The meter.
    pub meter: MeterId,
    /// The start of the window.
    pub window: WindowStart,
    /// The report's digest: SHA-256 of its limbs.
    pub digest: Digest,
    /// What became of it.
    pub status: Status,
}

/// One message that settles many reports of a gateway. Signed by analytics.
///
/// A gateway heeds an entry only if `analytics` is the service of the meter's feeder
/// ([`crate::Plan::analytics_for`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The analytics service that signs: which key of the plan to verify with.
    pub analytics: AnalyticsId,
    /// The gateway.
    pub gateway: GatewayId,
    /// What became of each report, in any order.
    pub entries: Vec<ReceiptEntry>,
}

impl Message for Receipt {
    const CONTENT_TYPE: &'static str = "cipherwatt/receipt";
    const FIELDS: usize = 3;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.analytics.as_str());
        writer.text(self.gateway.as_str());
        writer.list(&self.entries, |writer, entry| {
            writer.array(4);
            writer.text(entry.meter.as_str());
            writer.uint(entry.window.0);
            writer.bytes(&entry.digest.0);
            writer.uint(entry.status.code());
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            analytics: reader.id("receipt.analytics")?,
            gateway: reader.id("receipt.gateway")?,
            entries: reader.list(MAX_RECEIPT_ENTRIES, "receipt.entries", |reader| {
                reader.array_of(4, "receipt.entry")?;
                Ok(ReceiptEntry {
                    meter: reader.id("receipt.meter")?,
                    window: reader.window("receipt.window")?,
                    digest: Digest(reader.bytes_of("receipt.digest")?),
                    status: {
                        let field = "receipt.status";
                        let value = reader.u8(field)?;
                        Status::from_code(value).ok_or(WireError::UnknownCode { field, value })?
                    },
                })
            })?,
        })
    }
}
