//! A holder's consent.

use sha2::{Digest as _, Sha256};

use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::ids::{FeederId, HolderId, MeterId};
use crate::keys::MaskKey;
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
    /// Who is in it, as the holder has them: see [`Consent::members_digest`].
    pub members: Digest,
}

impl Consent {
    /// SHA-256 over the meters of a sum, in the order of its shares and their numbers. Of each: the length of its feeder's name in 8
    /// bytes, the name, its number in 4 bytes, the length of its name in 8 bytes, the name, the 32 bytes of its mask key. Integers
    /// are little-endian.
    pub fn members_digest<'a>(
        meters: impl Iterator<Item = (&'a FeederId, u32, &'a MeterId, &'a MaskKey)>,
    ) -> Digest {
        let mut hash = Sha256::new();
        for (feeder, number, meter, mask_key) in meters {
            hash.update((feeder.as_str().len() as u64).to_le_bytes());
            hash.update(feeder.as_str());
            hash.update(number.to_le_bytes());
            hash.update((meter.as_str().len() as u64).to_le_bytes());
            hash.update(meter.as_str());
            hash.update(mask_key.as_bytes());
        }
        Digest(hash.finalize().into())
    }
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
