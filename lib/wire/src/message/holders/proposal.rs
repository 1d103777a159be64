//! What holders are asked to agree on, before their mask keys are drawn.

use bytes::Bytes;

use super::agreement::read_signed;
use super::noise::NoiseTerms;
use super::terms::{Terms, check_noise, is_strong, write_noise};
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::DeploymentId;
use crate::message::Message;
use crate::units::Digest;

/// Terms without their streams, and who everybody is. Nobody signs it: each [`Deal`](super::Deal) names its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The first window that the terms are to hold for.
    pub from: WindowStart,
    /// The terms that they follow; none for the first.
    pub previous: Option<Terms>,
    /// How many holders together have every stream.
    pub threshold: u8,
    /// How many have to consent.
    pub consents: u8,
    /// The noise that they are to add to what they open.
    pub noise: Option<NoiseTerms>,
    /// The COSE_Sign1 of each holder's [`Card`](super::Card), ascending by holder.
    pub cards: Vec<Bytes>,
}

impl Proposal {
    /// SHA-256 of the array.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_cbor(None))
    }
}

impl Message for Proposal {
    const CONTENT_TYPE: &'static str = "cipherwatt/holder-proposal";
    const FIELDS: usize = 7;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.deployment.as_str());
        writer.uint(self.from.0);
        match &self.previous {
            Some(terms) => writer.bytes(&terms.to_cbor(None)),
            None => writer.null(),
        }
        writer.uint(self.threshold);
        writer.uint(self.consents);
        write_noise(&self.noise, writer);
        writer.list(&self.cards, |writer, signed| writer.bytes(signed));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            deployment: reader.id("proposal.deployment")?,
            from: reader.window("proposal.from")?,
            previous: reader.optional(|reader| {
                let terms = reader.bytes("proposal.previous")?;
                Ok(Terms::from_cbor(terms)?.0)
            })?,
            threshold: reader.u8("proposal.threshold")?,
            consents: reader.u8("proposal.consents")?,
            noise: reader.optional(NoiseTerms::read)?,
            cards: read_signed(reader, "proposal.cards")?,
        })
    }

    fn check(&self) -> Result<(), WireError> {
        let holders = self.cards.len();
        Terms::check_numbers(self.threshold, self.consents, holders)?;
        check_noise(
            &self.noise,
            is_strong(self.threshold, self.consents, holders),
        )
    }
}
