//! Requests to be enrolled.

use super::Message;
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::ids::{AnalyticsId, FeederId, GatewayId, MeterId};
use crate::keys::VerifyingKey;
use crate::message::MAX_FEEDERS;
use crate::units::Watts;

/// Most chunks of an enrolment request.
pub const MAX_ENROL_CHUNKS: u32 = 65_536;

/// The most meters in one chunk.
pub const MAX_ENROL_METERS: usize = 16_384;

/// A gateway asks the operator to enrol its meters. Signed by `gateway_key`, so that the
/// operator knows the gateway by the key it saw first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolRequest {
    /// The gateway.
    pub gateway: GatewayId,
    /// Its verifying key.
    pub gateway_key: VerifyingKey,
    /// Number of this chunk of the request, from 0.
    pub chunk: u32,
    /// How many chunks the request has.
    pub chunks: u32,
    /// Every feeder of the request with the greatest declared capacity on it.
    pub feeders: Vec<(FeederId, Watts)>,
    /// Each meter, its feeder, its declared capacity and its verifying key.
    pub meters: Vec<(MeterId, FeederId, Watts, VerifyingKey)>,
}

impl Message for EnrolRequest {
    const CONTENT_TYPE: &'static str = "cipherwatt/enrol";
    const FIELDS: usize = 6;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.gateway.as_str());
        writer.bytes(self.gateway_key.as_bytes());
        writer.uint(self.chunk);
        writer.uint(self.chunks);
        writer.list(&self.feeders, |writer, (feeder, capacity)| {
            writer.array(2);
            writer.text(feeder.as_str());
            writer.uint(capacity.0);
        });
        writer.list(&self.meters, |writer, (meter, feeder, capacity, key)| {
            writer.array(4);
            writer.text(meter.as_str());
            writer.text(feeder.as_str());
            writer.uint(capacity.0);
            writer.bytes(key.as_bytes());
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let gateway = reader.id("enrol.gateway")?;
        let gateway_key = checked_key(reader, "enrol.gateway_key")?;
        let chunk = reader.u32_in(0, MAX_ENROL_CHUNKS - 1, "enrol.chunk")?;
        let chunks = reader.u32_in(chunk + 1, MAX_ENROL_CHUNKS, "enrol.chunks")?;
        let feeders = reader.list(MAX_FEEDERS, "enrol.feeders", |reader| {
            reader.array_of(2, "enrol.feeder_capacity")?;
            Ok((
                reader.id("enrol.feeder")?,
                Watts(reader.u64("enrol.max_capacity")?),
            ))
        })?;
        let meters = reader.list(MAX_ENROL_METERS, "enrol.meters", |reader| {
            reader.array_of(4, "enrol.meter_entry")?;
            Ok((
                reader.id("enrol.meter")?,
                reader.id("enrol.meter_feeder")?,
                Watts(reader.u64("enrol.capacity_w")?),
                checked_key(reader, "enrol.key")?,
            ))
        })?;
        Ok(Self {
            gateway,
            gateway_key,
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
    /// The feeders it adds for; empty means all.
    pub feeders: Vec<FeederId>,
}

impl Message for AnalyticsEnrol {
    const CONTENT_TYPE: &'static str = "cipherwatt/analytics-enrol";
    const FIELDS: usize = 3;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.id.as_str());
        writer.bytes(self.key.as_bytes());
        writer.list(&self.feeders, |writer, feeder| writer.text(feeder.as_str()));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            id: reader.id("analytics_enrol.id")?,
            key: checked_key(reader, "analytics_enrol.key")?,
            feeders: reader.list(MAX_FEEDERS, "analytics_enrol.feeders", |reader| {
                reader.id("analytics_enrol.feeder")
            })?,
        })
    }
}

/// Reads a key from outside, and refuses one that verifies nothing or that verifies forged signatures.
fn checked_key(reader: &mut Reader<'_>, field: &'static str) -> Result<VerifyingKey, WireError> {
    let key = VerifyingKey::from_bytes(reader.bytes_of(field)?);
    match key.check() {
        Ok(()) => Ok(key),
        Err(_) => Err(WireError::BadKey { field }),
    }
}
