//! A holder's consent.

use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::ids::HolderId;
use crate::message::Message;
use crate::units::Digest;

/// A holder consents that one sum is opened, and to no other with a meter and an interval of it, ever. Signed by the holder, and
/// durable there before anybody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The holder.
    pub holder: HolderId,
    /// The digest of the terms that it holds keys under.
    pub terms: Digest,
    /// The sum: SHA-256 of its COSE_Sign1.
    pub subject: Digest,
    /// Who is in it: SHA-256 of the feeder, number, name and mask key of each meter, as the holder has them.
    pub members: Digest,
}

impl Message for Consent {
    const CONTENT_TYPE: &'static str = "cipherwatt/consent";
    const FIELDS: usize = 4;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.holder.as_str());
        writer.bytes(&self.terms.0);
        writer.bytes(&self.subject.0);
        writer.bytes(&self.members.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            holder: reader.id("consent.holder")?,
            terms: Digest(reader.bytes_of("consent.terms")?),
            subject: Digest(reader.bytes_of("consent.subject")?),
            members: Digest(reader.bytes_of("consent.members")?),
        })
    }
}
