//! From bytes to a verified message.
//!
//! In two steps, because the key to verify with depends on who the message says it is from: [`decode`] parses, and
//! [`Unverified::verify`] checks the signature.

mod detached;

use bytes::Bytes;
use coset::iana::Algorithm;
use coset::{CborSerializable as _, ContentType, Header, RegisteredLabelWithPrivate};

use crate::cbor::Reader;
use crate::error::WireError;
use crate::ids::DeploymentId;
use crate::keys::{KnownKeys, Signed, VerifyingKey};
use crate::message::{DigestOf, Limbs, Message};
use crate::sign::{protected, to_be_signed};
use crate::units::Digest;

pub use detached::Detached;

/// The longest protected header that is parsed to say what is wrong with it, in bytes.
const MAX_HEADER_LEN: usize = 256;

/// A message whose signature has not been checked yet.
#[derive(Debug)]
pub struct Unverified<M> {
    claimed: M,
    payload: Bytes,
    signature: [u8; 64],
    limbs: Bytes,
    limbs_digest: Option<Digest>,
}

/// A message whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<M> {
    /// The message.
    pub message: M,
    /// Its limbs; empty if it carries none.
    pub limbs: Bytes,
    /// Its digest, as [`crate::seal`] returned it.
    pub digest: Digest,
}

/// Parses a message without checking its signature.
///
/// # Errors
/// `bytes` is longer than `max_len` (checked before anything else), or is not the deterministic encoding of
/// a message of this type. Memory taken is a small multiple of the length of `bytes`, whatever
/// lengths they claim inside.
pub fn decode<M: Message>(bytes: &[u8], max_len: usize) -> Result<Unverified<M>, WireError> {
    check_len(bytes, max_len)?;
    decode_shared(&Bytes::copy_from_slice(bytes), max_len)
}

/// As [`decode`], without copying: the message shares `bytes`.
///
/// # Errors
/// Those of [`decode`].
pub fn decode_shared<M: Message>(
    bytes: &Bytes,
    max_len: usize,
) -> Result<Unverified<M>, WireError> {
    check_len(bytes, max_len)?;
    let mut reader = Reader::new(bytes);
    let found = reader.array("envelope")?;
    let (payload, signature) = read_signed::<M>(&mut reader)?;
    let limbs = match (M::LIMBS, found) {
        (Limbs::None, 1) => &[],
        (Limbs::Required, 2) => reader.bytes("limbs")?,
        (Limbs::None, 2) => {
            return Err(WireError::LimbsUnexpected {
                message: M::CONTENT_TYPE,
            });
        }
        (Limbs::Required, 1) => {
            return Err(WireError::LimbsMissing {
                message: M::CONTENT_TYPE,
            });
        }
        (_, found) => {
            return Err(WireError::WrongLength {
                field: "envelope",
                expected: 1 + usize::from(M::LIMBS == Limbs::Required),
                found,
            });
        }
    };
    reader.finish("envelope")?;

    let (claimed, limbs_digest) = M::from_cbor(payload)?;
    if let Some(expected) = claimed.limbs_len()
        && expected != limbs.len()
    {
        return Err(WireError::WrongLength {
            field: "limbs",
            expected,
            found: limbs.len(),
        });
    }
    Ok(Unverified {
        claimed,
        payload: bytes.slice_ref(payload),
        signature,
        limbs: bytes.slice_ref(limbs),
        limbs_digest,
    })
}

/// Reads a COSE_Sign1: its payload and its signature.
fn read_signed<'a, M: Message>(reader: &mut Reader<'a>) -> Result<(&'a [u8], [u8; 64]), WireError> {
    reader.array_of(4, "COSE_Sign1")?;
    let header = reader.bytes("protected header")?;
    check_protected::<M>(header)?;
    let unprotected = reader.map("unprotected header")?;
    if unprotected != 0 {
        return Err(WireError::UnprotectedHeader { found: unprotected });
    }
    Ok((reader.bytes("payload")?, reader.bytes_of("signature")?))
}

fn check_len(bytes: &[u8], max: usize) -> Result<(), WireError> {
    match bytes.len() {
        len if len > max => Err(WireError::Oversize { len, max }),
        _ => Ok(()),
    }
}

/// Checks that the protected header is that of `M`. The error names the difference.
fn check_protected<M: Message>(found: &[u8]) -> Result<(), WireError> {
    if found == protected(M::CONTENT_TYPE) {
        return Ok(());
    }
    // Only to name the difference, so only for headers small enough to be worth it.
    if found.len() > MAX_HEADER_LEN {
        return Err(WireError::ProtectedHeader);
    }
    let header = Header::from_slice(found).map_err(|_| WireError::ProtectedHeader)?;
    match &header.alg {
        Some(RegisteredLabelWithPrivate::Assigned(Algorithm::EdDSA)) => {}
        Some(RegisteredLabelWithPrivate::Assigned(other)) => {
            return Err(WireError::WrongAlgorithm {
                found: format!("{other:?}"),
            });
        }
        other => {
            return Err(WireError::WrongAlgorithm {
                found: format!("{other:?}"),
            });
        }
    }
    match header.content_type {
        Some(ContentType::Text(text)) if text == M::CONTENT_TYPE => Err(WireError::ProtectedHeader),
        other => Err(WireError::WrongContentType {
            expected: M::CONTENT_TYPE,
            found: match other {
                Some(ContentType::Text(text)) => text,
                other => format!("{other:?}"),
            },
        }),
    }
}

impl<M: Message> Unverified<M> {
    /// The message as sent by anybody. Use it only to find the key to verify it with, or to refuse it
    /// early.
    pub fn claimed(&self) -> &M {
        &self.claimed
    }

    /// The limbs; their digest has not been checked yet.
    pub fn claimed_limbs(&self) -> &[u8] {
        &self.limbs
    }

    /// Checks that `key` signed the message and its limbs for `topic` of `deployment`.
    ///
    /// # Errors
    /// [`WireError::LimbsDigest`] or [`WireError::BadSignature`].
    pub fn verify(
        self,
        deployment: &DeploymentId,
        topic: &str,
        key: &VerifyingKey,
    ) -> Result<Opened<M>, WireError> {
        let signed = self.signed(deployment, topic);
        // The signature first: the digest of the limbs counts only if it is signed.
        if !key.verifies(&signed, &self.signature) {
            return Err(WireError::BadSignature);
        }
        self.open()
    }

    /// The bytes that are signed.
    fn signed(&self, deployment: &DeploymentId, topic: &str) -> Vec<u8> {
        let header = protected(M::CONTENT_TYPE);
        to_be_signed(&header, &self.payload, deployment, topic)
    }

    /// Checks the limbs of a message whose signature was verified.
    fn open(self) -> Result<Opened<M>, WireError> {
        if let Some(digest) = self.limbs_digest
            && digest != Digest::of(&self.limbs)
        {
            return Err(WireError::LimbsDigest);
        }
        let digest = match (M::DIGEST_OF, self.limbs_digest) {
            (DigestOf::Limbs, Some(digest)) => digest,
            _ => Digest::of(&self.payload),
        };
        Ok(Opened {
            message: self.claimed,
            limbs: self.limbs,
            digest,
        })
    }
}

/// A message to be verified, with the topic it came on and the key to verify it with.
#[derive(Debug)]
pub struct Awaiting<'a, M> {
    /// The message.
    pub unverified: Unverified<M>,
    /// The topic it came on.
    pub topic: &'a str,
    /// The key of its claimed sender.
    pub key: &'a VerifyingKey,
}

/// [`Unverified::verify`] for many messages of one deployment, at half its price: signatures are verified together, and
/// one by one only if that fails. Keys that are `known` are quicker. The results are in the order of the messages.
///
/// A signature that only the holder of the key can make, with a component of small order, may be accepted here and
/// refused there.
pub fn verify_all<M: Message>(
    messages: Vec<Awaiting<'_, M>>,
    deployment: &DeploymentId,
    known: &KnownKeys,
) -> Vec<Result<Opened<M>, WireError>> {
    let bytes: Vec<Vec<u8>> = messages
        .iter()
        .map(|message| message.unverified.signed(deployment, message.topic))
        .collect();
    let signed: Vec<Signed<'_>> = messages
        .iter()
        .zip(&bytes)
        .map(|(message, bytes)| Signed {
            bytes,
            signature: &message.unverified.signature,
            key: message.key,
        })
        .collect();
    let together = signed.len() > 1 && known.all_verify(&signed);
    let hold: Vec<bool> = signed
        .iter()
        .map(|signed| together || signed.key.verifies(signed.bytes, signed.signature))
        .collect();
    let verified = messages.into_iter().zip(hold).map(|(message, holds)| {
        if holds {
            message.unverified.open()
        } else {
            Err(WireError::BadSignature)
        }
    });
    verified.collect()
}
