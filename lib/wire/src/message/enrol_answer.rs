//! The operator's answer to a gateway's request to join.

use super::Message;
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::ids::{GatewayId, MeterId};
use crate::keys::VerifyingKey;
use crate::reason::Reason;
use crate::units::UnixMillis;

/// The most refusals of an answer: one for each reason there may be.
pub const MAX_REFUSALS: usize = 256;

/// Meters that were refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// How many.
    pub meters: u32,
    /// One of them.
    pub first: MeterId,
}

/// Why a gateway's meters, or some of them, are not enrolled. Signed by the operator; enrolment itself is in the roster alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolAnswer {
    /// The gateway.
    pub gateway: GatewayId,
    /// The key of the request: another one than the reader's is of somebody who uses the same name.
    pub gateway_key: VerifyingKey,
    /// When the request was made.
    pub issued_at: UnixMillis,
    /// Whether the request waits for a person.
    pub waits: bool,
    /// What was refused, a reason at a time.
    pub refused: Vec<Refusal>,
}

impl Message for EnrolAnswer {
    const CONTENT_TYPE: &'static str = "cipherwatt/enrol-answer";
    const FIELDS: usize = 5;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.gateway.as_str());
        writer.bytes(self.gateway_key.as_bytes());
        writer.uint(self.issued_at.0);
        writer.uint(u8::from(self.waits));
        writer.list(&self.refused, |writer, refusal| {
            writer.array(3);
            writer.uint(refusal.reason.code());
            writer.uint(refusal.meters);
            writer.text(refusal.first.as_str());
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            gateway: reader.id("enrol_answer.gateway")?,
            gateway_key: reader.checked_key("enrol_answer.gateway_key")?,
            issued_at: reader.millis("enrol_answer.issued_at")?,
            waits: reader.u32_in(0, 1, "enrol_answer.waits")? == 1,
            refused: reader.list(MAX_REFUSALS, "enrol_answer.refused", |reader| {
                reader.array_of(3, "enrol_answer.refusal")?;
                Ok(Refusal {
                    reason: reader.code("enrol_answer.reason", Reason::from_code)?,
                    meters: reader.u32("enrol_answer.meters")?,
                    first: reader.id("enrol_answer.first")?,
                })
            })?,
        })
    }
}
