//! A meter's report of one window.

use super::{DigestOf, Limbs, Message};
use crate::cbor::{Reader, Writer};
use crate::contributors::Salt;
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::{FeederId, GatewayId, MeterId};
use crate::units::{KeyEpoch, PlanVersion, UnixMillis};

/// One meter's encrypted interval data of one window; its limbs are the packed ciphertext. What
/// concerns this household alone, such as how many readings are missing, is inside the ciphertext.
///
/// Unique per (epoch, feeder, window, meter). It does not name the part of the window, because only
/// analytics knows which sums are closed. Signed by the meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The feeder setting it was encoded under: [`crate::FeederPlan::since`].
    pub plan_version: PlanVersion,
    /// The key it was encrypted under.
    pub epoch: KeyEpoch,
    /// The meter's feeder.
    pub feeder: FeederId,
    /// The meter.
    pub meter: MeterId,
    /// The gateway that gets the receipt.
    pub gateway: GatewayId,
    /// The start of the window.
    pub window: WindowStart,
    /// Drawn for this sealing: two plaintexts under one mask would give both away.
    pub salt: Salt,
    /// Wall time of sealing.
    pub sealed_at: UnixMillis,
}

impl Message for Report {
    const CONTENT_TYPE: &'static str = "cipherwatt/report";
    const LIMBS: Limbs = Limbs::Required;
    const DIGEST_OF: DigestOf = DigestOf::Limbs;
    const FIELDS: usize = 8;

    fn write(&self, writer: &mut Writer) {
        writer.uint(self.plan_version.0);
        writer.uint(self.epoch.0);
        writer.text(self.feeder.as_str());
        writer.text(self.meter.as_str());
        writer.text(self.gateway.as_str());
        writer.uint(self.window.0);
        writer.bytes(&self.salt.0);
        writer.uint(self.sealed_at.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            plan_version: PlanVersion(reader.u64("report.plan_version")?),
            epoch: KeyEpoch(reader.u32("report.epoch")?),
            feeder: reader.id("report.feeder")?,
            meter: reader.id("report.meter")?,
            gateway: reader.id("report.gateway")?,
            window: reader.window("report.window")?,
            salt: Salt(reader.bytes_of("report.salt")?),
            sealed_at: reader.millis("report.sealed_at")?,
        })
    }
}
