//! What the operator asks the holders for.

use bytes::Bytes;

use super::agreement::read_signed;
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::ids::FeederId;
use crate::message::Message;
use crate::units::Digest;

/// The most groups of streams that one question names: ten streams, of three holders each.
pub const MAX_GROUPS: usize = 30;

/// What the operator is at with a sum, each step after the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The masks of the zero checks: they tell nothing of a reading, whatever the sum.
    Checks,
    /// Consents to opening this sum, and no other with one of its meters and intervals.
    Consent,
    /// The masks of everything else, which take the consents.
    Payload,
}

impl Step {
    /// The number on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The step of a number.
    pub(super) fn from_code(code: u8) -> Option<Self> {
        [Self::Checks, Self::Consent, Self::Payload]
            .into_iter()
            .find(|step| step.code() == code)
    }

    /// Its name, as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Checks => "checks",
            Self::Consent => "consent",
            Self::Payload => "payload",
        }
    }
}

/// Streams whose masks one holder is to add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The holder's place.
    pub holder: u8,
    /// The streams' places, as bits; at least one.
    pub streams: u16,
}

/// The operator asks the holders for what one sum takes. Signed by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The step.
    pub step: Step,
    /// The feeder whose topic the sum came on.
    pub feeder: FeederId,
    /// The COSE_Sign1 of the sum. Its SHA-256 is what answers name it by.
    pub sum: Bytes,
    /// Which streams each holder is to add up, one answer for each; ascending. None with [`Step::Consent`].
    pub groups: Vec<Group>,
    /// The COSE_Sign1 of each [`Consent`](super::Consent); only with [`Step::Payload`].
    pub consents: Vec<Bytes>,
}

impl Ask {
    /// What answers name the sum by.
    pub fn subject(&self) -> Digest {
        Digest::of(&self.sum)
    }
}

impl Message for Ask {
    const CONTENT_TYPE: &'static str = "cipherwatt/ask";
    const FIELDS: usize = 5;

    fn write(&self, writer: &mut Writer) {
        writer.uint(self.step.code());
        writer.text(self.feeder.as_str());
        writer.bytes(&self.sum);
        writer.list(&self.groups, |writer, group| {
            writer.array(2);
            writer.uint(group.holder);
            writer.uint(group.streams);
        });
        writer.list(&self.consents, |writer, consent| writer.bytes(consent));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            step: reader.code("ask.step", Step::from_code)?,
            feeder: reader.id("ask.feeder")?,
            sum: Bytes::copy_from_slice(reader.bytes("ask.sum")?),
            groups: reader.list(MAX_GROUPS, "ask.groups", |reader| {
                reader.array_of(2, "ask.group")?;
                Ok(Group {
                    holder: reader.u8("ask.holder")?,
                    streams: reader.u16_in(1, u16::MAX, "ask.streams")?,
                })
            })?,
            consents: read_signed(reader, "ask.consents")?,
        })
    }

    fn check(&self) -> Result<(), WireError> {
        crate::cbor::ascending(&self.groups, "ask.groups", |a, b| a < b)
    }
}
