//! What holders exchange, in files, before there is an agreement.

use bytes::Bytes;

use super::terms::{HolderSet, MAX_HOLDERS};
use crate::cbor::{Reader, Writer, ascending};
use crate::error::WireError;
use crate::ids::{DeploymentId, HolderId};
use crate::keys::{MaskKey, VerifyingKey};
use crate::message::Message;
use crate::units::Digest;

/// The most keys that one holder deals.
pub const MAX_DEALT: usize = 10;

/// A dealt key for one holder: at most an encapsulated key, 32 bytes, and a tag.
const MAX_WRAPPED_LEN: usize = 256;

/// Who a holder is. Signed by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Its name.
    pub holder: HolderId,
    /// What it signs with.
    pub key: VerifyingKey,
    /// What others encrypt its parts of the mask keys to.
    pub exchange_key: MaskKey,
}

/// A mask key that one holder drew for all that are to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DealtKey {
    /// Who does not get it.
    pub absent: HolderSet,
    /// Its public half.
    pub key: MaskKey,
    /// The secret half, encrypted to each of those who get it, by their places, ascending. The dealer is one of them, so that it need
    /// not keep what it drew.
    pub wrapped: Vec<(u8, Bytes)>,
}

/// The mask keys that one holder drew: those of the streams of which it is the first to have a part. Signed by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deal {
    /// The digest of the [`Proposal`](super::Proposal) that they are drawn for.
    pub proposal: Digest,
    /// The holder.
    pub holder: HolderId,
    /// The keys, ascending by `absent`.
    pub keys: Vec<DealtKey>,
}

impl Message for Card {
    const CONTENT_TYPE: &'static str = "cipherwatt/holder-card";
    const FIELDS: usize = 4;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.deployment.as_str());
        writer.text(self.holder.as_str());
        writer.bytes(self.key.as_bytes());
        writer.bytes(self.exchange_key.as_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            deployment: reader.id("card.deployment")?,
            holder: reader.id("card.holder")?,
            key: reader.checked_key("card.key")?,
            exchange_key: reader.mask_key("card.exchange_key")?,
        })
    }
}

impl Message for Deal {
    const CONTENT_TYPE: &'static str = "cipherwatt/holder-deal";
    const FIELDS: usize = 3;

    fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.proposal.0);
        writer.text(self.holder.as_str());
        writer.list(&self.keys, |writer, dealt| {
            writer.array(3);
            writer.uint(dealt.absent.bits());
            writer.bytes(dealt.key.as_bytes());
            writer.list(&dealt.wrapped, |writer, (place, wrapped)| {
                writer.array(2);
                writer.uint(*place);
                writer.bytes(wrapped);
            });
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            proposal: Digest(reader.bytes_of("deal.proposal")?),
            holder: reader.id("deal.holder")?,
            keys: reader.list(MAX_DEALT, "deal.keys", |reader| {
                reader.array_of(3, "deal.dealt")?;
                Ok(DealtKey {
                    absent: HolderSet::read(reader, "deal.absent")?,
                    key: reader.mask_key("deal.key")?,
                    wrapped: reader.list(MAX_HOLDERS, "deal.wrapped", read_wrapped)?,
                })
            })?,
        })
    }

    fn check(&self) -> Result<(), WireError> {
        ascending(&self.keys, "deal.keys", |a, b| a.absent < b.absent)?;
        let mut keys = self.keys.iter();
        keys.try_for_each(|dealt| ascending(&dealt.wrapped, "deal.wrapped", |a, b| a.0 < b.0))
    }
}

fn read_wrapped(reader: &mut Reader<'_>) -> Result<(u8, Bytes), WireError> {
    reader.array_of(2, "deal.wrapped")?;
    let place = reader.u8("deal.place")?;
    let wrapped = reader.bytes("deal.wrapped_key")?;
    match wrapped.len() {
        len if len > MAX_WRAPPED_LEN => Err(WireError::Oversize {
            len,
            max: MAX_WRAPPED_LEN,
        }),
        _ => Ok((place, Bytes::copy_from_slice(wrapped))),
    }
}
