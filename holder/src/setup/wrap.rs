//! A dealt secret on its way to one holder: HPKE (RFC 9180) in base mode, with X25519, HKDF-SHA256 and ChaCha20-Poly1305. Who dealt it
//! is in the deal's signature, and that it is the right one in the stream's public key.

use bytes::Bytes;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{
    Deserializable as _, HpkeError, Kem, OpModeR, OpModeS, Serializable as _, single_shot_open,
    single_shot_seal,
};
use masks::MaskSecret;
use wire::{Digest, HolderSet, MaskKey};
use zeroize::Zeroizing;

type Exchange = X25519HkdfSha256;
type PublicKey = <Exchange as Kem>::PublicKey;
type PrivateKey = <Exchange as Kem>::PrivateKey;
type EncappedKey = <Exchange as Kem>::EncappedKey;

/// The encapsulated key before the ciphertext, in bytes.
const ENCAPPED_LEN: usize = 32;

/// What a wrapped secret is bound to: on any other way it does not open.
pub(super) struct Way {
    /// The digest of the proposal.
    pub(super) proposal: Digest,
    /// Whose stream it is not.
    pub(super) absent: HolderSet,
    /// The places of who dealt it, and of who is to have it.
    pub(super) dealer: usize,
    pub(super) receiver: usize,
}

impl Way {
    fn info(&self) -> Vec<u8> {
        let mut info = b"cipherwatt dealt key 1".to_vec();
        info.extend_from_slice(self.proposal.as_bytes());
        // Places are below five.
        let places = [self.dealer, self.receiver].into_iter();
        info.extend(places.chain(self.absent.iter()).map(|place| place as u8));
        info
    }
}

pub(super) fn wrap(secret: &MaskSecret, to: &MaskKey, way: &Way) -> Result<Bytes, HpkeError> {
    let to = PublicKey::from_bytes(to.as_bytes())?;
    let (encapped, sealed) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Exchange>(
        &OpModeS::Base,
        &to,
        &way.info(),
        secret.to_bytes().as_slice(),
        &[],
    )?;
    let encapped = encapped.to_bytes();
    Ok([encapped.as_slice(), &sealed].concat().into())
}

pub(super) fn unwrap(wrapped: &[u8], own: &MaskSecret, way: &Way) -> Result<MaskSecret, HpkeError> {
    let (encapped, sealed) = wrapped
        .split_at_checked(ENCAPPED_LEN)
        .ok_or(HpkeError::OpenError)?;
    let own = PrivateKey::from_bytes(own.to_bytes().as_slice())?;
    let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, Exchange>(
        &OpModeR::Base,
        &own,
        &EncappedKey::from_bytes(encapped)?,
        &way.info(),
        sealed,
        &[],
    )?;
    let opened = Zeroizing::new(opened);
    let secret: &[u8; 32] = opened
        .as_slice()
        .try_into()
        .map_err(|_| HpkeError::OpenError)?;
    Ok(MaskSecret::from_bytes(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way() -> Way {
        Way {
            proposal: Digest([1; 32]),
            absent: HolderSet::of([2]),
            dealer: 0,
            receiver: 1,
        }
    }

    #[test]
    fn a_secret_opens_for_its_receiver_on_its_way_and_nowhere_else() {
        let [secret, own, other] = [0; 3].map(|_| MaskSecret::generate().unwrap());
        let wrapped = wrap(&secret, &MaskKey(own.public()), &way()).unwrap();
        let opened = unwrap(&wrapped, &own, &way()).unwrap();
        assert_eq!(*opened.to_bytes(), *secret.to_bytes());
        unwrap(&wrapped, &other, &way()).unwrap_err();
        let elsewhere = [
            Way {
                proposal: Digest([2; 32]),
                ..way()
            },
            Way {
                absent: HolderSet::of([3]),
                ..way()
            },
            Way { dealer: 2, ..way() },
            Way {
                receiver: 2,
                ..way()
            },
        ];
        for way in elsewhere {
            unwrap(&wrapped, &own, &way).unwrap_err();
        }
        for at in 0..wrapped.len() {
            let mut changed = wrapped.to_vec();
            changed[at] ^= 1;
            unwrap(&changed, &own, &way()).unwrap_err();
            unwrap(&wrapped[..at], &own, &way()).unwrap_err();
        }
    }
}
