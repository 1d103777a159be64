//! What somebody signed, without the limbs that it is of.

use bytes::Bytes;

use super::{Unverified, read_signed};
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::ids::DeploymentId;
use crate::keys::VerifyingKey;
use crate::message::Message;
use crate::sign::{protected, write_signed};
use crate::units::Digest;

/// What somebody signed of a message whose limbs are elsewhere: its COSE_Sign1 alone.
#[derive(Debug)]
pub struct Detached<M>(Unverified<M>);

impl<M: Message> Detached<M> {
    /// Parses the first part of a message, as [`Unverified::signed_part`] gave it, without checking its signature.
    ///
    /// # Errors
    /// As [`decode`](super::decode).
    pub fn decode(signed: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(signed);
        let (payload, signature) = read_signed::<M>(&mut reader)?;
        reader.finish("COSE_Sign1")?;
        let (claimed, limbs_digest) = M::from_cbor(payload)?;
        Ok(Self(Unverified {
            claimed,
            payload: signed.slice_ref(payload),
            signature,
            limbs: Bytes::new(),
            limbs_digest,
        }))
    }

    /// As [`Unverified::claimed`].
    pub fn claimed(&self) -> &M {
        self.0.claimed()
    }

    /// The digest of its limbs, if it has some, as anybody may have written it.
    pub fn claimed_limbs_digest(&self) -> Option<Digest> {
        self.0.limbs_digest
    }

    /// Checks that `key` signed the message for `topic` of `deployment`; returns it with the digest of its limbs, if it has some.
    ///
    /// # Errors
    /// [`WireError::BadSignature`].
    pub fn verify(
        self,
        deployment: &DeploymentId,
        topic: &str,
        key: &VerifyingKey,
    ) -> Result<(M, Option<Digest>), WireError> {
        match key.verifies(&self.0.signed(deployment, topic), &self.0.signature) {
            true => Ok((self.0.claimed, self.0.limbs_digest)),
            false => Err(WireError::BadSignature),
        }
    }
}

impl<M: Message> Unverified<M> {
    /// The message's COSE_Sign1, which shows what was signed to somebody who is not to have the limbs.
    pub fn signed_part(&self) -> Bytes {
        let header = protected(M::CONTENT_TYPE);
        let mut writer = Writer::with_capacity(self.payload.len() + header.len() + 128);
        write_signed(&mut writer, &header, &self.payload, &self.signature);
        writer.into_bytes().into()
    }
}
