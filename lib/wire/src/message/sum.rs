//! A released sum, and the operator's answer.

use super::{DigestOf, Limbs, Message};
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::{AnalyticsId, FeederId};
use crate::reason::Reason;
use crate::units::{Digest, KeyEpoch, Part, PlanVersion, UnixMillis};

/// The encrypted sum over one part of a window; its limbs are the packed ciphertext. Signed by
/// analytics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The analytics service that signs.
    pub analytics: AnalyticsId,
    /// The feeder setting of its reports.
    pub plan_version: PlanVersion,
    /// The key its reports were encrypted under.
    pub epoch: KeyEpoch,
    /// The feeder.
    pub feeder: FeederId,
    /// The start of the window.
    pub window: WindowStart,
    /// 0, or the number of the supplement.
    pub part: Part,
    /// How many meters are in it, at least 1.
    pub contributors: u32,
    /// How many meters the roster has on the feeder.
    pub enrolled: u32,
    /// Readings cut to a declared capacity, over all contributors.
    pub clamped: u64,
    /// Intervals without a reading, over all contributors.
    pub missing: u64,
    /// The earliest `sealed_at` of its reports: wall time, by the gateways' clocks.
    pub oldest_sealed_at: UnixMillis,
    /// The latest `sealed_at` of its reports, no earlier than the earliest.
    pub newest_sealed_at: UnixMillis,
    /// SHA-256 over what contributed, as analytics defines it.
    pub contributors_digest: Digest,
}

impl Message for Sum {
    const CONTENT_TYPE: &'static str = "cipherwatt/sum";
    const LIMBS: Limbs = Limbs::Required;
    const DIGEST_OF: DigestOf = DigestOf::Limbs;
    const FIELDS: usize = 13;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.analytics.as_str());
        writer.uint(self.plan_version.0);
        writer.uint(self.epoch.0);
        writer.text(self.feeder.as_str());
        writer.uint(self.window.0);
        writer.uint(self.part.0);
        writer.uint(self.contributors);
        writer.uint(self.enrolled);
        writer.uint(self.clamped);
        writer.uint(self.missing);
        writer.uint(self.oldest_sealed_at.0);
        writer.uint(self.newest_sealed_at.0);
        writer.bytes(&self.contributors_digest.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut sum = Self {
            analytics: reader.id("sum.analytics")?,
            plan_version: PlanVersion(reader.u64("sum.plan_version")?),
            epoch: KeyEpoch(reader.u32("sum.epoch")?),
            feeder: reader.id("sum.feeder")?,
            window: reader.window("sum.window")?,
            part: Part(reader.u16("sum.part")?),
            contributors: reader.u32_from(1, "sum.contributors")?,
            enrolled: reader.u32("sum.enrolled")?,
            clamped: reader.u64("sum.clamped")?,
            missing: reader.u64("sum.missing")?,
            oldest_sealed_at: reader.millis("sum.oldest_sealed_at")?,
            newest_sealed_at: UnixMillis(0),
            contributors_digest: Digest::default(),
        };
        sum.newest_sealed_at = reader.millis_from(sum.oldest_sealed_at, "sum.newest_sealed_at")?;
        sum.contributors_digest = Digest(reader.bytes_of("sum.contributors_digest")?);
        Ok(sum)
    }
}

/// What became of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SumStatus {
    /// The operator stored it.
    Taken,
    /// The operator had stored the same before: as good as taken.
    Duplicate,
    /// The operator refused it.
    Rejected(Reason),
}

impl SumStatus {
    /// The number on the wire: 0, 1, or the reason's code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Taken => 0,
            Self::Duplicate => 1,
            Self::Rejected(reason) => reason.code(),
        }
    }

    /// The status with this number, if there is one.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Taken),
            1 => Some(Self::Duplicate),
            code => Reason::from_code(code).map(Self::Rejected),
        }
    }
}

/// What became of a sum. Signed by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumReceipt {
    /// The feeder.
    pub feeder: FeederId,
    /// The sum's key epoch.
    pub epoch: KeyEpoch,
    /// The start of the sum's window.
    pub window: WindowStart,
    /// The sum's part.
    pub part: Part,
    /// The sum's digest: SHA-256 of its limbs.
    pub digest: Digest,
    /// What became of it.
    pub status: SumStatus,
}

impl Message for SumReceipt {
    const CONTENT_TYPE: &'static str = "cipherwatt/sum-receipt";
    const FIELDS: usize = 6;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.feeder.as_str());
        writer.uint(self.epoch.0);
        writer.uint(self.window.0);
        writer.uint(self.part.0);
        writer.bytes(&self.digest.0);
        writer.uint(self.status.code());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            feeder: reader.id("sum_receipt.feeder")?,
            epoch: KeyEpoch(reader.u32("sum_receipt.epoch")?),
            window: reader.window("sum_receipt.window")?,
            part: Part(reader.u16("sum_receipt.part")?),
            digest: Digest(reader.bytes_of("sum_receipt.digest")?),
            status: {
                let field = "sum_receipt.status";
                let value = reader.u8(field)?;
                SumStatus::from_code(value).ok_or(WireError::UnknownCode { field, value })?
            },
        })
    }
}
