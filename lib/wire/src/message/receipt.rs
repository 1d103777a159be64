//! What became of a gateway's reports.

use super::Message;
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::{AnalyticsId, FeederId, GatewayId, MeterId};
use crate::reason::Reason;
use crate::units::{Digest, Part};

/// The most entries of a receipt, and the most settlements.
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
    /// The part of the window that it was folded into; 0 if it was refused.
    pub part: Part,
}

/// What became of a sum that reports are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SettlementOutcome {
    /// It was released: its reports are needed no more.
    Released = 0,
    /// It was refused for good: its reports are needed no more.
    Refused = 1,
    /// It failed: its reports are to be sent again, to be added in other groups.
    Wanted = 2,
}

impl SettlementOutcome {
    /// The number on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The outcome with this number, if there is one.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Released),
            1 => Some(Self::Refused),
            2 => Some(Self::Wanted),
            _ => None,
        }
    }
}

/// What became of one part of a window: of every report that was folded into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The feeder.
    pub feeder: FeederId,
    /// The start of the window.
    pub window: WindowStart,
    /// The part, as in the entries of earlier receipts.
    pub part: Part,
    /// What became of it.
    pub outcome: SettlementOutcome,
}

/// What became of many reports of a gateway, and of the sums that earlier ones are in. Signed by analytics.
///
/// A gateway heeds an entry or a settlement only if `analytics` is the service of the feeder
/// ([`crate::Plan::key_for`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The analytics service that signs: which key of the plan to verify with.
    pub analytics: AnalyticsId,
    /// The gateway.
    pub gateway: GatewayId,
    /// What became of each report, in any order.
    pub entries: Vec<ReceiptEntry>,
    /// What became of the sums, in any order.
    pub settlements: Vec<Settlement>,
}

impl Message for Receipt {
    const CONTENT_TYPE: &'static str = "cipherwatt/receipt";
    const FIELDS: usize = 4;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.analytics.as_str());
        writer.text(self.gateway.as_str());
        writer.list(&self.entries, |writer, entry| {
            writer.array(5);
            writer.text(entry.meter.as_str());
            writer.uint(entry.window.0);
            writer.bytes(&entry.digest.0);
            writer.uint(entry.status.code());
            writer.uint(entry.part.0);
        });
        writer.list(&self.settlements, |writer, settlement| {
            writer.array(4);
            writer.text(settlement.feeder.as_str());
            writer.uint(settlement.window.0);
            writer.uint(settlement.part.0);
            writer.uint(settlement.outcome.code());
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            analytics: reader.id("receipt.analytics")?,
            gateway: reader.id("receipt.gateway")?,
            entries: reader.list(MAX_RECEIPT_ENTRIES, "receipt.entries", |reader| {
                reader.array_of(5, "receipt.entry")?;
                let mut entry = ReceiptEntry {
                    meter: reader.id("receipt.meter")?,
                    window: reader.window("receipt.window")?,
                    digest: Digest(reader.bytes_of("receipt.digest")?),
                    status: reader.code("receipt.status", Status::from_code)?,
                    part: Part(0),
                };
                let max = match entry.status {
                    Status::Rejected(_) => 0,
                    Status::Folded | Status::Duplicate => u16::MAX,
                };
                entry.part = Part(reader.u16_in(0, max, "receipt.part")?);
                Ok(entry)
            })?,
            settlements: reader.list(MAX_RECEIPT_ENTRIES, "receipt.settlements", |reader| {
                reader.array_of(4, "receipt.settlement")?;
                Ok(Settlement {
                    feeder: reader.id("receipt.settled_feeder")?,
                    window: reader.window("receipt.settled_window")?,
                    part: Part(reader.u16("receipt.settled_part")?),
                    outcome: reader.code("receipt.outcome", SettlementOutcome::from_code)?,
                })
            })?,
        })
    }
}
