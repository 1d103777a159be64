//! Requests to be enrolled.

use super::Message;
use crate::capacity::CapacityClass;
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::ids::{AnalyticsId, FeederId, GatewayId, MeterId};
use crate::keys::{MaskKey, VerifyingKey};
use crate::message::MAX_FEEDERS;
use crate::units::UnixMillis;

/// Most chunks of an enrolment request.
pub const MAX_ENROL_CHUNKS: u32 = 65_536;

/// The most meters in one chunk.
pub const MAX_ENROL_METERS: usize = 16_384;

/// What a gateway has on one feeder, over all chunks of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolFeeder {
    /// The feeder.
    pub feeder: FeederId,
    /// The greatest class of declared capacity on it.
    pub max_capacity: CapacityClass,
    /// How many meters the gateway has on it.
    pub meters: u32,
}

/// A meter to be enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolMeter {
    /// The meter.
    pub meter: MeterId,
    /// Its feeder.
    pub feeder: FeederId,
    /// The class of its declared capacity.
    pub capacity: CapacityClass,
    /// The key that its reports are signed with.
    pub key: VerifyingKey,
    /// The key that its masks are agreed with.
    pub mask_key: MaskKey,
    /// Whether it is to be billed: the energy of each tariff band over a billing period may be opened.
    pub billing: bool,
}

/// A gateway asks the operator to enrol its meters. Signed by `gateway_key`, so that the
/// operator knows the gateway by the key it saw first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolRequest {
    /// The gateway.
    pub gateway: GatewayId,
    /// Its verifying key.
    pub gateway_key: VerifyingKey,
    /// Wall time of the request, the same in all its chunks.
    pub issued_at: UnixMillis,
    /// Number of this chunk of the request, from 0.
    pub chunk: u32,
    /// How many chunks the request has.
    pub chunks: u32,
    /// Every feeder of the request.
    pub feeders: Vec<EnrolFeeder>,
    /// The meters of this chunk.
    pub meters: Vec<EnrolMeter>,
}

impl Message for EnrolRequest {
    const CONTENT_TYPE: &'static str = "cipherwatt/enrol";
    const FIELDS: usize = 7;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.gateway.as_str());
        writer.bytes(self.gateway_key.as_bytes());
        writer.uint(self.issued_at.0);
        writer.uint(self.chunk);
        writer.uint(self.chunks);
        writer.list(&self.feeders, |writer, entry| {
            writer.array(3);
            writer.text(entry.feeder.as_str());
            writer.uint(entry.max_capacity.number());
            writer.uint(entry.meters);
        });
        writer.list(&self.meters, |writer, entry| {
            writer.array(5 + usize::from(entry.billing));
            writer.text(entry.meter.as_str());
            writer.text(entry.feeder.as_str());
            writer.uint(entry.capacity.number());
            writer.bytes(entry.key.as_bytes());
            writer.bytes(entry.mask_key.as_bytes());
            writer.flag(entry.billing);
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let gateway = reader.id("enrol.gateway")?;
        let gateway_key = reader.checked_key("enrol.gateway_key")?;
        let issued_at = reader.millis("enrol.issued_at")?;
        let chunk = reader.u32_in(0, MAX_ENROL_CHUNKS - 1, "enrol.chunk")?;
        let chunks = reader.u32_in(chunk + 1, MAX_ENROL_CHUNKS, "enrol.chunks")?;
        let feeders = reader.list(MAX_FEEDERS, "enrol.feeders", |reader| {
            reader.array_of(3, "enrol.feeder_entry")?;
            Ok(EnrolFeeder {
                feeder: reader.id("enrol.feeder")?,
                max_capacity: reader.capacity("enrol.max_capacity")?,
                meters: reader.u32("enrol.feeder_meters")?,
            })
        })?;
        let meters = reader.list(MAX_ENROL_METERS, "enrol.meters", |reader| {
            let billing = reader.flagged_array_of(5, "enrol.meter_entry")?;
            Ok(EnrolMeter {
                meter: reader.id("enrol.meter")?,
                feeder: reader.id("enrol.meter_feeder")?,
                capacity: reader.capacity("enrol.capacity")?,
                key: reader.checked_key("enrol.key")?,
                mask_key: reader.mask_key("enrol.mask_key")?,
                billing: reader.flag(billing, "enrol.billing")?,
            })
        })?;
        Ok(Self {
            gateway,
            gateway_key,
            issued_at,
            chunk,
            chunks,
            feeders,
            meters,
        })
    }
}

/// An analytics service asks the operator to be put into the plan. Signed by `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnalyticsEnrol {
    /// The analytics service.
    pub id: AnalyticsId,
    /// Its verifying key.
    pub key: VerifyingKey,
    /// Wall time of the request.
    pub issued_at: UnixMillis,
    /// The feeders it adds for; empty means all. A member of a pool names none.
    pub feeders: Vec<FeederId>,
    /// The pool that it is a member of, if it is of one.
    pub pool: Option<AnalyticsId>,
}

impl Message for AnalyticsEnrol {
    const CONTENT_TYPE: &'static str = "cipherwatt/analytics-enrol";
    const FIELDS: usize = 4;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.id.as_str());
        writer.bytes(self.key.as_bytes());
        writer.uint(self.issued_at.0);
        match &self.pool {
            None => writer.list(&self.feeders, |writer, feeder| writer.text(feeder.as_str())),
            Some(pool) => writer.text(pool.as_str()),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut request = Self {
            id: reader.id("analytics_enrol.id")?,
            key: reader.checked_key("analytics_enrol.key")?,
            issued_at: reader.millis("analytics_enrol.issued_at")?,
            feeders: Vec::new(),
            pool: None,
        };
        // A list of feeders as before there were pools, or the name of a pool in its place.
        match reader.is_array() {
            true => {
                request.feeders =
                    reader.list(MAX_FEEDERS, "analytics_enrol.feeders", |reader| {
                        reader.id("analytics_enrol.feeder")
                    })?;
            }
            false => request.pool = Some(reader.id("analytics_enrol.pool")?),
        }
        Ok(request)
    }
}
