//! From a message to signed bytes.
//!
//! The bytes are the CBOR array `[COSE_Sign1]` or `[COSE_Sign1, limbs]`. The COSE_Sign1 (RFC
//! 9052 §4.2, untagged) has the algorithm EdDSA and the message's content type in its protected
//! header, nothing in its unprotected header, and the message as its payload. Its external data
//! is the CBOR array `[deployment, topic]`, so a message signed for one topic verifies on no
//! other. Limbs are signed through their SHA-256, the last element of the message.
//!
//! The way back is `open`.

use coset::{Header, ProtectedHeader, SignatureContext, sig_structure_data};

use crate::cbor::Writer;
use crate::ids::DeploymentId;
use crate::keys::SigningKey;
use crate::message::{DigestOf, Limbs, Message};
use crate::units::Digest;

/// Seals `message`, with its `limbs`, for `topic` of `deployment`: the bytes to publish and the
/// message's digest.
///
/// # Panics
/// If `limbs` are given for a message type that has none, or the reverse: a mistake of the caller
/// that no input can cause.
pub fn seal<M: Message>(
    message: &M,
    limbs: Option<&[u8]>,
    deployment: &DeploymentId,
    topic: &str,
    key: &SigningKey,
) -> (Vec<u8>, Digest) {
    let limbs_digest = limbs.map(Digest::of);
    let (signed, digest) = sign(message, limbs_digest, deployment, topic, key);
    (envelope(&signed, limbs), digest)
}

/// Signs `message`, which is to travel with limbs of this digest: its COSE_Sign1 alone, and the message's digest.
/// [`envelope`] makes the bytes to publish of it. [`seal`] does both; the two steps are for a sender that knows the
/// digest, or signs long before it sends.
///
/// # Panics
/// If a digest of limbs is given for a message type that has none, or the reverse: a mistake of the caller that no input
/// can cause.
pub fn sign<M: Message>(
    message: &M,
    limbs: Option<Digest>,
    deployment: &DeploymentId,
    topic: &str,
    key: &SigningKey,
) -> (Vec<u8>, Digest) {
    assert_eq!(
        limbs.is_some(),
        M::LIMBS == Limbs::Required,
        "limbs of {}",
        M::CONTENT_TYPE
    );
    let payload = message.to_cbor(limbs.as_ref());
    let header = protected(M::CONTENT_TYPE);
    let signature = key.sign(&to_be_signed(&header, &payload, deployment, topic));

    let mut writer = Writer::with_capacity(payload.len() + header.len() + FRAME_LEN);
    write_signed(&mut writer, &header, &payload, &signature);
    let digest = match (M::DIGEST_OF, limbs) {
        (DigestOf::Limbs, Some(digest)) => digest,
        _ => Digest::of(&payload),
    };
    (writer.into_bytes(), digest)
}

/// Writes a COSE_Sign1.
pub(crate) fn write_signed(writer: &mut Writer, header: &[u8], payload: &[u8], signature: &[u8]) {
    writer.array(4);
    writer.bytes(header);
    writer.map(0);
    writer.bytes(payload);
    writer.bytes(signature);
}

/// The bytes to publish: what [`sign`] returned, with the limbs it was signed for.
pub fn envelope(signed: &[u8], limbs: Option<&[u8]>) -> Vec<u8> {
    let len = signed.len() + limbs.map_or(0, <[u8]>::len) + FRAME_LEN;
    let mut writer = Writer::with_capacity(len);
    writer.array(1 + usize::from(limbs.is_some()));
    writer.raw(signed);
    if let Some(limbs) = limbs {
        writer.bytes(limbs);
    }
    writer.into_bytes()
}

/// The bytes to publish up to the limbs, of which there are `limbs_len`: for whoever sends them from where they are.
pub fn envelope_before_limbs(signed: &[u8], limbs_len: usize) -> Vec<u8> {
    let mut writer = Writer::with_capacity(signed.len() + FRAME_LEN);
    writer.array(2);
    writer.raw(signed);
    writer.bytes_head(limbs_len);
    writer.into_bytes()
}

/// Room for the heads around the parts of a message and for the signature.
const FRAME_LEN: usize = 128;

/// The protected header: `{1: -8, 3: content_type}` in deterministic CBOR.
pub(crate) fn protected(content_type: &str) -> Vec<u8> {
    let mut writer = Writer::with_capacity(64);
    writer.map(2);
    writer.uint(1u8);
    writer.int(-8);
    writer.uint(3u8);
    writer.text(content_type);
    writer.into_bytes()
}

/// The Sig_structure of RFC 9052 §4.4.
pub(crate) fn to_be_signed(
    header: &[u8],
    payload: &[u8],
    deployment: &DeploymentId,
    topic: &str,
) -> Vec<u8> {
    let mut place = Writer::with_capacity(256);
    place.array(2);
    place.text(deployment.as_str());
    place.text(topic);
    let place = place.into_bytes();

    let header = ProtectedHeader {
        original_data: Some(header.to_vec()),
        header: Header::default(),
    };
    sig_structure_data(SignatureContext::CoseSign1, header, None, &place, payload)
}
